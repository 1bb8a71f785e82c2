//! What a device offers, and which of it to take.

use std::fmt;
use std::io;

use v4l::Fraction;
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::video::Capture;

use crate::frame::{Packed, PixelFormat};

/// Frames a second that a format must reach to be taken before a compressed one, where none are asked for.
const ENOUGH_FPS: f64 = 15.0;

/// How the driver's pixels become a picture's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    /// The driver's buffer is a picture as it is.
    Planes(PixelFormat),
    Packed(Packed),
    Jpeg,
}

/// A driver's name for a format, and what it is.
pub type Known = (&'static [u8; 4], Pixels);

/// The formats that are understood, best first: least to copy and to compute, then compressed.
pub const FORMATS: [Known; 9] = [
    (b"NV12", Pixels::Planes(PixelFormat::Nv12)),
    (b"NV21", Pixels::Planes(PixelFormat::Nv21)),
    (b"YU12", Pixels::Planes(PixelFormat::I420)),
    (b"YUYV", Pixels::Packed(Packed::Yuyv)),
    (b"UYVY", Pixels::Packed(Packed::Uyvy)),
    (b"RGB3", Pixels::Planes(PixelFormat::Rgb24)),
    (b"BGR3", Pixels::Planes(PixelFormat::Bgr24)),
    (b"GREY", Pixels::Planes(PixelFormat::Grey)),
    (b"MJPG", Pixels::Jpeg),
];

/// One thing a device can do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Offer {
    pub format: [u8; 4],
    pub width: u32,
    pub height: u32,
    /// The highest rate at this size, if the driver says.
    pub fps: Option<f64>,
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}x{}", self.format.escape_ascii(), self.width, self.height)?;
        self.fps.map_or(Ok(()), |fps| write!(f, " at {}/s", (fps * 100.0).round() / 100.0))
    }
}

/// What there is to choose from, for an error: the sizes of each format that is understood; of the others, the names.
pub fn listed(offers: &[Offer]) -> String {
    let known = |offer: &Offer| FORMATS.iter().any(|(format, _)| **format == offer.format);
    let mut words: Vec<String> = offers.iter().filter(|offer| known(offer)).map(Offer::to_string).collect();
    let mut others: Vec<[u8; 4]> =
        offers.iter().filter(|offer| !known(offer)).map(|offer| offer.format).collect();
    others.dedup();
    if words.is_empty() {
        words.extend(others.iter().map(|format| format.escape_ascii().to_string()));
    }
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

/// The offer to take for `size` (exactly) and `fps` (at least, if any offer has them): the first of `formats` that is
/// fast enough, else the fastest.
pub fn choose(
    formats: &[Known],
    offers: &[Offer],
    size: [u32; 2],
    fps: Option<f64>,
) -> Option<(Offer, Pixels)> {
    let rank = |offer: &Offer| formats.iter().position(|(format, _)| **format == offer.format);
    // A driver that says 29.97 does for 30; one that says nothing is believed.
    let enough = fps.unwrap_or(ENOUGH_FPS) * 0.99;
    let reached = |offer: &Offer| offer.fps.map_or(enough, |fps| fps.min(enough));
    let fitting = offers.iter().filter(|offer| [offer.width, offer.height] == size);
    let ranked = fitting.filter_map(|offer| Some((offer, rank(offer)?)));
    let (offer, rank) = ranked.max_by(|(a, i), (b, j)| reached(a).total_cmp(&reached(b)).then(j.cmp(i)))?;
    Some((*offer, formats[rank].1))
}

/// Asks the device for all that it offers. Where it takes any size within bounds, for `size`.
pub fn offers(device: &v4l::Device, size: [u32; 2]) -> io::Result<Vec<Offer>> {
    let mut offers = Vec::new();
    for description in device.enum_formats()? {
        let fourcc = description.fourcc;
        // Not every driver enumerates sizes; then the one asked for is tried.
        let sizes = device.enum_framesizes(fourcc).unwrap_or_default();
        let mut all: Vec<[u32; 2]> = sizes
            .iter()
            .map(|offered| match &offered.size {
                FrameSizeEnum::Discrete(one) => [one.width, one.height],
                FrameSizeEnum::Stepwise(range) => {
                    let fit = |asked: u32, min: u32, max: u32, step: u32| {
                        let asked = asked.clamp(min, max.max(min));
                        asked - (asked - min) % step.max(1)
                    };
                    [
                        fit(size[0], range.min_width, range.max_width, range.step_width),
                        fit(size[1], range.min_height, range.max_height, range.step_height),
                    ]
                }
            })
            .collect();
        if all.is_empty() {
            all.push(size);
        }
        for [width, height] in all {
            let intervals = device.enum_frameintervals(fourcc, width, height).unwrap_or_default();
            let rates = intervals.iter().filter_map(|offered| match &offered.interval {
                FrameIntervalEnum::Discrete(interval) => rate(*interval),
                FrameIntervalEnum::Stepwise(range) => rate(range.min),
            });
            offers.push(Offer { format: fourcc.repr, width, height, fps: rates.reduce(f64::max) });
        }
    }
    Ok(offers)
}

/// Frames a second.
pub fn rate(interval: Fraction) -> Option<f64> {
    let fps = f64::from(interval.denominator) / f64::from(interval.numerator);
    (fps.is_finite() && fps > 0.0).then_some(fps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(format: &[u8; 4], width: u32, height: u32, fps: Option<f64>) -> Offer {
        Offer { format: *format, width, height, fps }
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
        let format = |size, fps| choose(&FORMATS, &offers, size, fps).map(|(offer, _)| offer.format);
        assert_eq!(format([640, 480], Some(30.0)), Some(*b"YUYV"));
        assert_eq!(format([640, 480], None), Some(*b"YUYV"));
        // Faster than anything offered: the fastest, raw among equals.
        assert_eq!(format([640, 480], Some(60.0)), Some(*b"YUYV"));
        assert_eq!(format([1920, 1080], Some(5.0)), Some(*b"YUYV"));
        assert_eq!(format([1920, 1080], Some(10.0)), Some(*b"MJPG"));
        assert_eq!(format([1920, 1080], None), Some(*b"MJPG"));
        assert_eq!(format([1280, 720], None), None);
        assert_eq!(choose(&FORMATS, &[offer(b"H264", 8, 8, None)], [8, 8], None), None);
        assert_eq!(
            choose(&FORMATS, &[offer(b"GREY", 8, 8, None)], [8, 8], Some(99.0)).unwrap().0.format,
            *b"GREY"
        );
    }

    #[test]
    fn what_is_offered_is_said_in_short() {
        let offers = [
            offer(b"H264", 1920, 1080, Some(60.0)),
            offer(b"YUYV", 640, 480, Some(30000.0 / 1001.0)),
            offer(b"YUYV", 320, 240, None),
        ];
        assert_eq!(listed(&offers), "YUYV 640x480 at 29.97/s, YUYV 320x240");
        assert_eq!(listed(&[offers[0], offers[0], offer(b"Y16\xa0", 1, 1, None)]), "H264, Y16\\xa0");
        assert_eq!(listed(&[]), "nothing");
    }
}
