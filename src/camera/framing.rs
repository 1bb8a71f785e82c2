//! What of a source's picture is the camera's picture: a part of it, turned upright, with what nobody may see blacked out.
//!
//! It happens in the camera's thread, before anybody else has the frame. A part is a matter of where the planes begin, and
//! blacking out overwrites; only turning moves pixels.

use super::{CameraError, Source, SourceInfo};
use crate::config;
use crate::frame::{Frame, Mask, Picture, PixelFormat, PixelRect, Turn};

/// A source whose pictures are framed as its camera's configuration says.
pub struct Framed<S> {
    source: S,
    info: SourceInfo,
    turn: Turn,
    region: Option<[f32; 4]>,
    mask: Mask,
    /// What the next picture is turned into.
    spare: Picture,
}

impl<S: Source> Framed<S> {
    pub fn new(source: S, camera: &config::Camera) -> Self {
        let turn = Turn { quarters: (camera.rotate / 90 % 4) as u8, mirror: camera.mirror };
        let mask = Mask::new(camera.masks.iter().map(|mask| mask.polygon.clone()));
        let mut info = source.info().clone();
        let [left, top, right, bottom] =
            camera.region.map_or([0, 0, info.width, info.height], |r| part(r, turn, info.width, info.height));
        (info.width, info.height) = (right - left, bottom - top);
        if turn.is_lying() {
            (info.width, info.height) = (info.height, info.width);
        }
        let masks = camera.masks.len();
        for (is_so, said) in [
            (camera.region.is_some(), "of which a part".to_owned()),
            (turn.quarters > 0, format!("turned by {}°", camera.rotate)),
            (turn.mirror, "mirrored".to_owned()),
            (info != *source.info(), format!("to {}x{}", info.width, info.height)),
            (masks > 0, format!("{masks} masked")),
        ] {
            if is_so {
                info.description += ", ";
                info.description += &said;
            }
        }
        let spare = Picture::new(PixelFormat::Grey, 0, 0);
        Self { source, info, turn, region: camera.region, mask, spare }
    }

    /// Whether a camera's pictures are the source's as they are.
    pub fn is_needless(camera: &config::Camera) -> bool {
        camera.rotate == 0 && !camera.mirror && camera.region.is_none() && camera.masks.is_empty()
    }
}

impl<S: Source> Source for Framed<S> {
    fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
        if !self.source.read(frame)? {
            return Ok(false);
        }
        let picture = &mut frame.picture;
        if let Some(region) = self.region {
            picture.narrow(part(region, self.turn, picture.width, picture.height));
        }
        if !self.turn.is_none() {
            self.turn.apply(picture, &mut self.spare);
            std::mem::swap(picture, &mut self.spare);
        }
        self.mask.apply(picture);
        picture.check().map_err(|error| {
            let name = self.info.description.clone();
            CameraError::Picture { name, reason: error.to_string() }
        })?;
        Ok(true)
    }

    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn corrupted(&self) -> u64 {
        self.source.corrupted()
    }
}

/// The pixels of a source's picture that become `region` (left, top, right, bottom; fractions) of the picture that is
/// turned by `turn`. At least one pixel of every picture; left and top are even.
fn part([x1, y1, x2, y2]: [f32; 4], turn: Turn, width: usize, height: usize) -> PixelRect {
    let (a, b) = (turn.source_of([x1, y1]), turn.source_of([x2, y2]));
    let pixels = |a: f32, b: f32, length: usize| {
        let at = |fraction: f32| (f64::from(fraction) * length as f64).round() as usize;
        let first = at(a.min(b)).min(length.saturating_sub(1)) & !1;
        (first, at(a.max(b)).clamp(length.min(first + 1), length))
    };
    let ((left, right), (top, bottom)) = (pixels(a[0], b[0], width), pixels(a[1], b[1], height));
    [left, top, right, bottom]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Camera, Mask};

    /// Always the same picture of 40 × 20 pixels, each of which says where it is.
    struct Still(SourceInfo, PixelFormat);

    impl Still {
        fn new(format: PixelFormat) -> Self {
            let description = "still".into();
            let info = SourceInfo { description, width: 40, height: 20, fps: None, frames: None, live: true };
            Self(info, format)
        }
    }

    impl Source for Still {
        fn read(&mut self, frame: &mut Frame) -> Result<bool, CameraError> {
            frame.picture.reset(self.1, 40, 20);
            frame.picture.data.fill(128);
            let luma = frame.picture.data.iter_mut().take(40 * 20).enumerate();
            luma.for_each(|(i, byte)| *byte = 20 + (i % 40) as u8 + if i / 40 >= 10 { 100 } else { 0 });
            Ok(true)
        }

        fn info(&self) -> &SourceInfo {
            &self.0
        }
    }

    /// A picture's first plane.
    fn framed(camera: &Camera, format: PixelFormat) -> (usize, usize, Vec<u8>, SourceInfo) {
        let mut source = Framed::new(Still::new(format), camera);
        let mut frame = Frame::default();
        for _ in 0..3 {
            assert!(source.read(&mut frame).unwrap());
        }
        let info = source.info().clone();
        let Frame { picture: Picture { width, height, planes, data, .. }, .. } = frame;
        assert_eq!((width, height), (info.width, info.height), "{}", info.description);
        let row = |y: usize| data[planes[0].offset + y * planes[0].stride..][..width].to_vec();
        (width, height, (0..height).flat_map(row).collect(), info)
    }

    const FORMATS: [PixelFormat; 4] =
        [PixelFormat::Grey, PixelFormat::Nv12, PixelFormat::I420, PixelFormat::I422];

    #[test]
    fn a_region_is_a_part_of_the_picture_as_it_is_seen_upright() {
        for format in FORMATS {
            let camera = Camera { region: Some([0.5, 0.0, 1.0, 0.5]), ..Camera::default() };
            let (width, height, luma, info) = framed(&camera, format);
            assert_eq!((width, height, luma[0], luma[width - 1]), (20, 10, 40, 59));
            assert_eq!(info.description, "still, of which a part, to 20x10");
            // Turned clockwise, what was at the left is above and what was below is at the left.
            let camera = Camera { rotate: 90, ..camera };
            let (width, height, luma, _) = framed(&camera, format);
            assert_eq!((width, height), (10, 20), "the upper right quarter of 20 × 40");
            assert_eq!((luma[0], luma[(height - 1) * width]), (20, 39), "{format:?}");
            let whole = framed(&Camera { rotate: 90, ..Camera::default() }, format);
            assert_eq!((whole.0, whole.1), (20, 40));
            assert_eq!((whole.2[0], whole.2[19], whole.2[39 * 20]), (120, 20, 159));
            let mirrored = framed(&Camera { mirror: true, ..Camera::default() }, format);
            assert_eq!((mirrored.2[0], mirrored.2[39]), (59, 20));
        }
    }

    #[test]
    fn masks_lie_in_the_picture_that_is_left() {
        let mask =
            Mask { name: "window".into(), polygon: vec![[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.5]] };
        for format in FORMATS {
            let black = if format == PixelFormat::Grey { 0 } else { 16 };
            for rotate in [0, 90, 180, 270] {
                let region = Some([0.0, 0.0, 0.5, 1.0]);
                let camera = Camera { rotate, region, masks: vec![mask.clone()], ..Camera::default() };
                let (width, height, luma, _) = framed(&camera, format);
                for (i, value) in luma.iter().enumerate() {
                    let masked = i % width < width / 2 && i / width < height / 2;
                    assert_eq!(*value == black, masked, "{format:?} {rotate} {i}");
                }
            }
        }
    }

    #[test]
    fn a_part_has_a_pixel_at_least() {
        for (width, height) in [(1, 1), (2, 3), (640, 480)] {
            for region in [[0.0, 0.0, 0.01, 0.01], [0.99, 0.99, 1.0, 1.0], [0.333, 0.5, 0.334, 1.0]] {
                for quarters in 0..4 {
                    let [left, top, right, bottom] =
                        part(region, Turn { quarters, mirror: true }, width, height);
                    assert!(left < right && right <= width && top < bottom && bottom <= height);
                    assert!(left % 2 == 0 && top % 2 == 0);
                }
            }
        }
    }
}
