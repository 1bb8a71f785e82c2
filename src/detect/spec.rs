//! What a detector is: its kind, its input, its classes.

use super::coco::COCO;
use crate::frame::{Filter, Fit, Layout};
use crate::pack::{self, Channels};

pub use crate::pack::DetectorKind as Kind;

/// A detector's description: the pack's word where it has one, the published preprocessing of the kind elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The model, for messages.
    pub model: String,
    pub kind: Kind,
    /// Pixels of the input; a multiple of the largest stride, 32.
    pub width: usize,
    /// Pixels of the input; a multiple of 32.
    pub height: usize,
    /// Names by class.
    pub classes: &'static [&'static str],
    /// The class of persons.
    pub person: u16,
    /// By tensor plane; subtracted from a value in 0..=255.
    pub mean: [f32; 3],
    /// By tensor plane; divides what is left.
    pub std: [f32; 3],
    /// The planes are B, G, R.
    pub bgr: bool,
    /// How a frame's proportions become the input's.
    pub fit: Fit,
}

impl Spec {
    /// A detector of COCO's classes as its kind is published (NanoDet, YOLOX: `data/transforms` and `demo/` of their
    /// repositories), with one exception: NanoDet gets the picture letterboxed. It is published with the picture
    /// stretched; measured on 16:9 video of standing people, that costs most of the score (median 0.20 instead of
    /// 0.86), and on 4:3 nothing is lost by keeping the proportions.
    pub fn new(model: impl Into<String>, kind: Kind, width: usize, height: usize) -> Self {
        let (mean, std, fit) = match kind {
            Kind::Nanodet => ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395], Fit::Pad),
            Kind::Yolox => ([0.0; 3], [1.0; 3], Fit::PadTopLeft),
        };
        Self {
            model: model.into(),
            kind,
            width,
            height,
            classes: &COCO,
            person: 0,
            mean,
            std,
            bgr: true,
            fit,
        }
    }

    /// The detector of a pack. `model` is what to call it in messages.
    pub fn of_pack(model: impl Into<String>, detector: &pack::Detector) -> Self {
        let [width, height] = detector.size;
        let published = Self::new(model, detector.kind, width, height);
        Self {
            person: detector.person,
            mean: detector.mean.unwrap_or(published.mean),
            std: detector.std.unwrap_or(published.std),
            bgr: detector.channels.map_or(published.bgr, |channels| channels == Channels::Bgr),
            fit: detector.resize.map_or(published.fit, |fit| match fit {
                pack::Fit::Stretch => Fit::Stretch,
                pack::Fit::Pad => Fit::Pad,
                pack::Fit::PadTopLeft => Fit::PadTopLeft,
            }),
            ..published
        }
    }

    /// What the conversion is to make of a frame. Padding is the grey that YOLOX was trained with.
    pub(super) fn layout(&self) -> Layout {
        let &Self { width, height, mean, std, bgr, .. } = self;
        Layout { width, height, mean, std, bgr, filter: Filter::Bilinear, fill: 114.0 }
    }
}
