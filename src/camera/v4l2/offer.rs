//! What a device offers, and which of it to take.

use std::fmt;
use std::io;

use serde::Serialize;

use super::driver::{Driver, FourCc, IntervalRange, SizeRange, Steps};
use super::format::{FORMATS, Known};
use crate::config::DeviceFormat;

/// Frames a second that a format must reach to be taken before a compressed one, where none are asked for.
const ENOUGH_FPS: f64 = 15.0;

/// A format that a device offers, with all of its sizes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormatOffer {
    pub format: FourCc,
    /// In the driver's words.
    pub description: String,
    /// Whether it can be read.
    pub understood: bool,
    /// None where the driver does not say.
    pub sizes: Vec<SizeOffer>,
}

/// A size or a range of sizes, with the rates at the largest of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SizeOffer {
    /// Pixels.
    pub width: Bounds,
    pub height: Bounds,
    /// Frames a second, the highest first; a range has its ends. None where the driver does not say.
    pub fps: Vec<f64>,
    pub any_fps_between: bool,
}

/// Minimum, maximum and step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bounds(pub u32, pub u32, pub u32);

impl fmt::Display for SizeOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Bounds(w, most_w, step_w), Bounds(h, most_h, step_h)) = (self.width, self.height);
        write!(f, "{w}x{h}")?;
        if (w, h) != (most_w, most_h) {
            write!(f, " to {most_w}x{most_h} in steps of {step_w} and {step_h}")?;
        }
        let rates: Vec<String> = self.fps.iter().map(|fps| rounded(*fps)).collect();
        match &rates[..] {
            [] => Ok(()),
            [most, .., least] if self.any_fps_between => write!(f, " at {least} to {most}/s"),
            rates => write!(f, " at {}/s", rates.join(", ")),
        }
    }
}

/// Everything that a device offers.
pub fn everything(driver: &dyn Driver) -> io::Result<Vec<FormatOffer>> {
    let formats = driver.formats()?.into_iter().map(|described| {
        let format = described.format;
        let sizes = driver.sizes(format).into_iter().map(|SizeRange { width, height }| {
            let ranges = driver.intervals(format, width.maximum, height.maximum);
            let mut fps: Vec<f64> =
                ranges.iter().flat_map(|r| [r.shortest.rate(), r.longest.rate()]).flatten().collect();
            fps.sort_by(|a, b| b.total_cmp(a));
            fps.dedup();
            let bounds = |Steps { minimum, maximum, step }| Bounds(minimum, maximum, step);
            SizeOffer {
                width: bounds(width),
                height: bounds(height),
                fps,
                any_fps_between: ranges.iter().any(|range| range.shortest != range.longest),
            }
        });
        FormatOffer {
            format,
            description: described.text,
            understood: FORMATS.iter().any(|known| known.code == format),
            sizes: sizes.collect(),
        }
    });
    Ok(formats.collect())
}

/// One thing a device can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    pub format: FourCc,
    pub width: u32,
    pub height: u32,
    /// The highest rate at this size, if the driver says.
    pub fps: Option<f64>,
}

impl Offer {
    /// Size and rate.
    fn size(&self) -> String {
        let rate = self.fps.map_or(String::new(), |fps| format!(" at {}/s", rounded(fps)));
        format!("{}x{}{rate}", self.width, self.height)
    }
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format, self.size())
    }
}

fn rounded(fps: f64) -> String {
    ((fps * 100.0).round() / 100.0).to_string()
}

/// Asks the device for all that it offers. Where it takes any size within bounds, for `size`.
pub fn offers(driver: &dyn Driver, size: [u32; 2]) -> io::Result<Vec<Offer>> {
    let mut offers = Vec::new();
    for described in driver.formats()? {
        let format = described.format;
        let mut sizes = driver.sizes(format);
        if sizes.is_empty() {
            // Not every driver enumerates sizes; then the one asked for is tried.
            sizes.push(SizeRange { width: Steps::one(size[0]), height: Steps::one(size[1]) });
        }
        for SizeRange { width, height } in sizes {
            let (width, height) = (width.nearest(size[0]), height.nearest(size[1]));
            let intervals = driver.intervals(format, width, height);
            let rates = intervals.iter().filter_map(|IntervalRange { shortest, .. }| shortest.rate());
            offers.push(Offer { format, width, height, fps: rates.reduce(f64::max) });
        }
    }
    Ok(offers)
}

/// What there is to choose from, for an error: the sizes of the formats that are understood, formats of equal sizes
/// together; of the others, the names.
pub fn listed(offers: &[Offer]) -> String {
    let understood = |offer: &&Offer| FORMATS.iter().any(|known| known.code == offer.format);
    let mut formats: Vec<(FourCc, String)> = Vec::new();
    for offer in offers.iter().filter(understood) {
        let size = offer.size();
        match formats.iter_mut().find(|(format, _)| *format == offer.format) {
            Some((_, sizes)) => *sizes = format!("{sizes}, {size}"),
            None => formats.push((offer.format, size)),
        }
    }
    let mut groups: Vec<(String, String)> = Vec::new();
    for (format, sizes) in formats {
        match groups.iter_mut().find(|(_, of_group)| *of_group == sizes) {
            Some((names, _)) => *names = format!("{names}/{format}"),
            None => groups.push((format.to_string(), sizes)),
        }
    }
    if !groups.is_empty() {
        let words: Vec<String> =
            groups.into_iter().map(|(names, sizes)| format!("{names} {sizes}")).collect();
        return words.join("; ");
    }
    let mut others: Vec<FourCc> = offers.iter().map(|offer| offer.format).collect();
    others.dedup();
    let words: Vec<String> = others.iter().map(FourCc::to_string).collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

/// What else than `taken` could have been had, for the log: other formats of its size, other sizes of its format.
pub fn alternatives(offers: &[Offer], taken: &Offer) -> String {
    let of_size = offers
        .iter()
        .filter(|o| (o.width, o.height) == (taken.width, taken.height) && o.format != taken.format);
    let formats: Vec<String> = of_size
        .map(|o| o.fps.map_or(o.format.to_string(), |fps| format!("{} at {}/s", o.format, rounded(fps))))
        .collect();
    let of_format = offers
        .iter()
        .filter(|o| o.format == taken.format && (o.width, o.height) != (taken.width, taken.height));
    let sizes: Vec<String> = of_format.map(Offer::size).collect();
    let or_none = |words: Vec<String>| if words.is_empty() { "none".into() } else { words.join(", ") };
    format!("formats of this size: {}; sizes of this format: {}", or_none(formats), or_none(sizes))
}

/// The offer to take for `size` (exactly) and `fps` (at least, if any offer has them): the first of `formats` that is
/// fast enough, else the fastest. Grey only if there is nothing with colours.
pub fn choose(
    formats: &[Known],
    offers: &[Offer],
    size: [u32; 2],
    fps: Option<f64>,
) -> Option<(Offer, Known)> {
    // A driver that says 29.97 does for 30; one that says nothing is believed.
    let enough = fps.unwrap_or(ENOUGH_FPS) * 0.99;
    let reached = |offer: &Offer| offer.fps.map_or(enough, |fps| fps.min(enough));
    let has_colours = |known: &Known| known.name != DeviceFormat::Grey;
    let fitting = offers.iter().filter(|offer| [offer.width, offer.height] == size);
    let ranked = fitting.filter_map(|offer| {
        let rank = formats.iter().position(|known| known.code == offer.format)?;
        Some((offer, rank, formats.get(rank)?))
    });
    let (offer, _, known) = ranked.max_by(|(a, i, known), (b, j, other)| {
        has_colours(known).cmp(&has_colours(other)).then(reached(a).total_cmp(&reached(b))).then(j.cmp(i))
    })?;
    Some((*offer, *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(format: &[u8; 4], width: u32, height: u32, fps: Option<f64>) -> Offer {
        Offer { format: FourCc(*format), width, height, fps }
    }

    #[test]
    fn raw_is_taken_where_it_is_fast_enough() {
        let offers = [
            offer(b"MJPG", 640, 480, Some(30.0)),
            offer(b"YUYV", 640, 480, Some(30.0)),
            offer(b"MJPG", 1920, 1080, Some(30.0)),
            offer(b"YUYV", 1920, 1080, Some(5.0)),
            offer(b"H264", 1920, 1080, Some(60.0)),
        ];
        let format =
            |size, fps| choose(&FORMATS, &offers, size, fps).map(|(offer, _)| offer.format.to_string());
        assert_eq!(format([640, 480], Some(30.0)).unwrap(), "YUYV");
        assert_eq!(format([640, 480], None).unwrap(), "YUYV");
        // Faster than anything offered: the fastest, raw among equals.
        assert_eq!(format([640, 480], Some(60.0)).unwrap(), "YUYV");
        assert_eq!(format([1920, 1080], Some(5.0)).unwrap(), "YUYV");
        assert_eq!(format([1920, 1080], Some(10.0)).unwrap(), "MJPG");
        assert_eq!(format([1920, 1080], None).unwrap(), "MJPG");
        assert_eq!(format([1280, 720], None), None);
        assert_eq!(choose(&FORMATS, &[offer(b"H264", 8, 8, None)], [8, 8], None), None);
    }

    #[test]
    fn colours_count_more_than_anything() {
        let offers = [offer(b"GREY", 8, 8, Some(60.0)), offer(b"MJPG", 8, 8, Some(5.0))];
        let chosen = |offers| choose(&FORMATS, offers, [8, 8], Some(60.0)).map(|(_, known)| known.name);
        assert_eq!(chosen(&offers), Some(DeviceFormat::Mjpg));
        assert_eq!(chosen(&offers[..1]), Some(DeviceFormat::Grey));
        assert_eq!(choose(&FORMATS[..3], &offers, [8, 8], None), None, "none of those asked for");
    }

    #[test]
    fn what_is_offered_is_said_in_short() {
        let offers = [
            offer(b"H264", 1920, 1080, Some(60.0)),
            offer(b"YUYV", 640, 480, Some(30000.0 / 1001.0)),
            offer(b"YUYV", 320, 240, None),
        ];
        assert_eq!(listed(&offers), "YUYV 640x480 at 29.97/s, 320x240");
        let twice =
            [offers[1], offers[2], offer(b"MJPG", 8, 8, None), offer(b"UYVY", 640, 480, offers[1].fps)];
        let alike = [&twice[..], &[offer(b"UYVY", 320, 240, None)]].concat();
        assert_eq!(listed(&alike), "YUYV/UYVY 640x480 at 29.97/s, 320x240; MJPG 8x8");
        assert_eq!(listed(&[offers[0], offers[0], offer(b"Y16\xa0", 1, 1, None)]), "H264, Y16-BE");
        assert_eq!(listed(&[]), "nothing");
        assert_eq!(
            alternatives(&[offer(b"MJPG", 640, 480, Some(60.0)), offers[1], offers[2]], &offers[1]),
            "formats of this size: MJPG at 60/s; sizes of this format: 320x240"
        );
        assert_eq!(
            alternatives(&offers[..1], &offers[0]),
            "formats of this size: none; sizes of this format: none"
        );
        let mut size = SizeOffer {
            width: Bounds(640, 640, 1),
            height: Bounds(480, 480, 1),
            fps: vec![30.0, 15.0, 7.5],
            any_fps_between: false,
        };
        assert_eq!(size.to_string(), "640x480 at 30, 15, 7.5/s");
        (size.width, size.any_fps_between) = (Bounds(16, 1920, 8), true);
        assert_eq!(size.to_string(), "16x480 to 1920x480 in steps of 8 and 1 at 7.5 to 30/s");
    }
}
