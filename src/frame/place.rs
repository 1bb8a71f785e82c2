//! Where a crop of the frame lies in a tensor, and the way back.

use super::Rect;

/// How a crop's proportions become the tensor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// The whole crop fills the tensor, its proportions given up.
    Stretch,
    /// The whole crop, centred, with padding on two sides (letterbox).
    Pad,
    /// The whole crop in the top left corner, as YOLOX has it: sizes rounded down, padding right or below.
    PadTopLeft,
    /// The crop's short side fills the tensor; what the long side has too much is cut off on both ends.
    Center,
}

/// Maps tensor coordinates back to pixels of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Placement {
    /// The part of the frame that was read, in its pixels.
    pub source: Rect,
    /// Where it went, in tensor pixels; the rest is padding.
    pub target: Rect,
}

impl Placement {
    /// Where `crop` goes in a tensor of `width` × `height`. An empty crop goes nowhere: both rectangles are empty.
    pub(super) fn new(crop: Rect, fit: Fit, width: usize, height: usize) -> Self {
        let (w, h) = (crop.width(), crop.height());
        if !(w > 0.0 && h > 0.0) || width == 0 || height == 0 {
            let at = Rect::new(crop.x1, crop.y1, crop.x1, crop.y1);
            return Self { source: at, target: Rect::default() };
        }
        let (tw, th) = (width as f32, height as f32);
        let inside = (tw / w).min(th / h);
        match fit {
            Fit::Stretch => Self { source: crop, target: Rect::new(0.0, 0.0, tw, th) },
            Fit::Pad => {
                let (fw, fh) = ((w * inside).round().clamp(1.0, tw), (h * inside).round().clamp(1.0, th));
                let (x, y) = (((tw - fw) / 2.0).floor(), ((th - fh) / 2.0).floor());
                Self { source: crop, target: Rect::new(x, y, x + fw, y + fh) }
            }
            Fit::PadTopLeft => {
                // The side that fits exactly must not lose a pixel to rounding errors.
                let floor = |length: f32| (length * inside + 1e-3).floor();
                let (fw, fh) = (floor(w).clamp(1.0, tw), floor(h).clamp(1.0, th));
                Self { source: crop, target: Rect::new(0.0, 0.0, fw, fh) }
            }
            Fit::Center => {
                let outside = (tw / w).max(th / h);
                let (cx, cy) = crop.centre();
                let (x, y) = (tw / outside / 2.0, th / outside / 2.0);
                let source = Rect::new(cx - x, cy - y, cx + x, cy + y).intersection(&crop);
                Self { source, target: Rect::new(0.0, 0.0, tw, th) }
            }
        }
    }

    /// A rectangle in tensor pixels, in pixels of the frame. It is not clamped: a box that reaches into the padding
    /// reaches out of the crop. After an empty crop, everything is at the crop.
    pub fn to_frame(&self, rect: Rect) -> Rect {
        let (sx, sy) = self.scale();
        let Self { source, target } = self;
        Rect {
            x1: source.x1 + (rect.x1 - target.x1) * sx,
            y1: source.y1 + (rect.y1 - target.y1) * sy,
            x2: source.x1 + (rect.x2 - target.x1) * sx,
            y2: source.y1 + (rect.y2 - target.y1) * sy,
        }
    }

    /// The way there: a rectangle in pixels of the frame, in tensor pixels. After an empty crop, everything is nowhere.
    pub fn to_tensor(&self, rect: Rect) -> Rect {
        let (sx, sy) = self.scale();
        let Self { source, target } = self;
        let part = |length: f32, scale: f32| if scale > 0.0 { length / scale } else { 0.0 };
        Rect {
            x1: target.x1 + part(rect.x1 - source.x1, sx),
            y1: target.y1 + part(rect.y1 - source.y1, sy),
            x2: target.x1 + part(rect.x2 - source.x1, sx),
            y2: target.y1 + part(rect.y2 - source.y1, sy),
        }
    }

    /// Frame pixels a tensor pixel; 0 after an empty crop.
    fn scale(&self) -> (f32, f32) {
        let ratio = |source: f32, target: f32| if target > 0.0 { source / target } else { 0.0 };
        (ratio(self.source.width(), self.target.width()), ratio(self.source.height(), self.target.height()))
    }
}
