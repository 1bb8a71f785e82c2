//! What a detector is: its kind, what it reads, its classes.

use super::DetectError;
use super::coco::COCO;
use crate::frame::{Filter, Fit, Layout};
use crate::pack::manifest::{self, Channels};

pub use crate::pack::manifest::DetectorKind as Kind;

/// A detector's description: the pack's word where it has one, the published preprocessing of the kind elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The model, for messages.
    pub model: String,
    pub kind: Kind,
    /// What the network reads; width and height are multiples of the largest stride, 32.
    pub layout: Layout,
    /// How a frame's proportions become the input's.
    pub fit: Fit,
    /// Names by class.
    pub classes: &'static [&'static str],
    /// The class of persons.
    pub person: u16,
}

impl Spec {
    /// A detector of COCO's classes as its kind is published (`data/transform` of RangiLyu/nanodet, `demo` of
    /// Megvii-BaseDetection/YOLOX), with one exception: NanoDet gets the picture letterboxed. It is published with the
    /// picture stretched; on 16:9 video of standing people that costs most of the score (median 0.20 instead of 0.86),
    /// and on 4:3 nothing is lost by keeping the proportions.
    pub fn new(model: impl Into<String>, kind: Kind, width: usize, height: usize) -> Self {
        let (mean, std, fit) = match kind {
            Kind::Nanodet => ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395], Fit::Pad),
            Kind::Yolox => ([0.0; 3], [1.0; 3], Fit::PadTopLeft),
        };
        // Padding is the grey that YOLOX was trained with; NanoDet does as well with it as with any.
        let layout = Layout { width, height, mean, std, bgr: true, filter: Filter::Bilinear, fill: 114.0 };
        Self { model: model.into(), kind, layout, fit, classes: &COCO, person: 0 }
    }

    /// The detector of a pack. `model` is what to call it in messages.
    pub fn of_pack(model: impl Into<String>, detector: &manifest::Detector) -> Result<Self, DetectError> {
        let [width, height] = detector.size;
        let published = Self::new(model, detector.kind, width, height);
        if detector.classes != "coco" {
            return Err(DetectError::Classes { model: published.model, classes: detector.classes.clone() });
        }
        let layout = Layout {
            mean: detector.mean.unwrap_or(published.layout.mean),
            std: detector.std.unwrap_or(published.layout.std),
            bgr: detector.channels.unwrap_or(Channels::Bgr) == Channels::Bgr,
            ..published.layout
        };
        let fit = match detector.resize {
            None => published.fit,
            Some(manifest::Fit::Stretch) => Fit::Stretch,
            Some(manifest::Fit::Pad) => Fit::Pad,
            Some(manifest::Fit::PadTopLeft) => Fit::PadTopLeft,
        };
        Ok(Self { layout, fit, person: detector.person, ..published })
    }
}
