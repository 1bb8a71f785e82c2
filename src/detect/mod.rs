//! From a detector's raw outputs to boxes: decoding, score thresholds, non-maximum suppression.
//!
//! Knows frames, engines and packs; has never heard of tracks or actions.

mod coco;
mod decode;
mod nms;

pub use coco::CLASSES as COCO;
pub use decode::Grid;

use crate::config::{self, Config};
use crate::engine::{Element, Engine, EngineError, Input, Options, Session, Tensor};
use crate::frame::{Converter, Filter, Fit, Layout, Picture, Placement, Rect};
use crate::pack::manifest::{Channels, DetectorKind, Fit as PackFit};
use crate::pack::{Pack, PackError, Role};

/// One thing found in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    /// Index into the detector's class list (COCO: 0 is a person).
    pub class: u16,
    /// 0..=1.
    pub score: f32,
    /// Pixels of the frame.
    pub rect: Rect,
}

/// Why a detector cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the detector's {what} is {found}; a {kind:?} with the pack's size has {expected}")]
    Shape { what: &'static str, kind: DetectorKind, found: String, expected: String },
    #[error("the detector's classes are `{found}`; only `coco` is known")]
    Classes { found: String },
}

/// How a detector is fed and read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spec {
    pub kind: DetectorKind,
    /// What the network reads.
    pub layout: Layout,
    pub fit: Fit,
    /// Index of a person in the class list.
    pub person: u16,
}

impl Spec {
    /// From a pack's manifest; what it leaves out is as the kind is published.
    ///
    /// NanoDet (RangiLyu/nanodet): BGR with ImageNet's mean and deviation, stretched. YOLOX (Megvii): BGR, 0..=255,
    /// in the top left corner, the rest 114.
    pub fn from_pack(pack: &Pack) -> Result<Self, DetectError> {
        let detector = &pack.manifest().detector;
        if detector.classes != "coco" {
            return Err(DetectError::Classes { found: detector.classes.clone() });
        }
        let (mean, std, fit) = match detector.kind {
            DetectorKind::Nanodet => ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395], Fit::Stretch),
            DetectorKind::Yolox => ([0.0; 3], [1.0; 3], Fit::PadTopLeft),
        };
        let [width, height] = detector.size;
        let layout = Layout {
            width,
            height,
            mean: detector.mean.unwrap_or(mean),
            std: detector.std.unwrap_or(std),
            bgr: detector.channels.unwrap_or(Channels::Bgr) == Channels::Bgr,
            filter: Filter::Bilinear,
            fill: 114.0,
        };
        let fit = match detector.resize {
            None => fit,
            Some(PackFit::Stretch) => Fit::Stretch,
            Some(PackFit::Pad) => Fit::Pad,
            Some(PackFit::PadTopLeft) => Fit::PadTopLeft,
        };
        Ok(Self { kind: detector.kind, layout, fit, person: detector.person })
    }
}

/// A detector network with what goes in front of it and behind it. Keeps its buffers.
pub struct Detector {
    session: Box<dyn Session>,
    spec: Spec,
    settings: config::Detector,
    /// Persons down to this score are reported, for the tracker to continue tracks with.
    low_threshold: f32,
    converter: Converter,
    input: Vec<f32>,
    outputs: Vec<Tensor>,
    grid: Grid,
    placement: Placement,
    /// Pixels of the latest frame, width and height.
    frame: (f32, f32),
    candidates: Vec<Detection>,
}

impl Detector {
    /// Loads the pack's detector.
    pub fn open(
        pack: &Pack,
        engine: &dyn Engine,
        options: Options,
        config: &Config,
    ) -> Result<Self, DetectError> {
        let session = pack.load(Role::Detector, engine, options)?;
        Self::new(session, Spec::from_pack(pack)?, &config.detector, config.tracker.low_threshold)
    }

    /// Wraps a loaded network; its input must be as `spec` says.
    pub fn new(
        session: Box<dyn Session>,
        spec: Spec,
        settings: &config::Detector,
        low_threshold: f32,
    ) -> Result<Self, DetectError> {
        let Layout { width, height, .. } = spec.layout;
        let expected = [1, 3, height, width];
        let fits = |shape: &[Option<usize>]| {
            shape.len() == 4 && shape.iter().zip(expected).all(|(found, e)| found.is_none_or(|f| f == e))
        };
        match session.inputs() {
            [port] if port.element == Element::F32 && fits(&port.shape) => {}
            ports => {
                let (found, expected) = (format!("{ports:?}"), format!("one f32 {expected:?}"));
                return Err(DetectError::Shape { what: "input", kind: spec.kind, found, expected });
            }
        }
        Ok(Self {
            session,
            converter: Converter::new(spec.layout),
            input: vec![0.0; spec.layout.len()],
            outputs: Vec::new(),
            grid: Grid::new(width, height),
            placement: Placement::default(),
            frame: (0.0, 0.0),
            candidates: Vec::new(),
            settings: settings.clone(),
            low_threshold,
            spec,
        })
    }

    /// Index of a person in the class list.
    pub fn person(&self) -> u16 {
        self.spec.person
    }

    /// The name of a class.
    pub fn class_name(&self, class: u16) -> &'static str {
        COCO.get(usize::from(class)).copied().unwrap_or("unknown")
    }

    /// Converts a picture into the network's input.
    pub fn prepare(&mut self, picture: &Picture) {
        self.frame = (picture.width as f32, picture.height as f32);
        let whole = Rect::new(0.0, 0.0, self.frame.0, self.frame.1);
        self.placement = self.converter.convert(picture, whole, self.spec.fit, &mut self.input);
    }

    /// Finds what is in the prepared picture: persons down to the low threshold and objects down to theirs, best
    /// first, at most as many of each as configured, inside the frame. Overwrites `out`.
    pub fn detect(&mut self, out: &mut Vec<Detection>) -> Result<(), DetectError> {
        out.clear();
        let Layout { width, height, .. } = self.spec.layout;
        let input = Input::F32 { shape: &[1, 3, height, width], data: &self.input };
        self.session.run(&[input], &mut self.outputs)?;

        let (person, objects) = (self.spec.person, self.settings.object_threshold);
        let persons = self.low_threshold.min(self.settings.person_threshold);
        let least = |class: u16| if class == person { persons } else { objects };
        self.candidates.clear();
        let decoded = match self.spec.kind {
            DetectorKind::Nanodet => decode::nanodet(&self.outputs, &self.grid, least, &mut self.candidates),
            DetectorKind::Yolox => decode::yolox(&self.outputs, &self.grid, least, &mut self.candidates),
        };
        decoded.map_err(|expected| {
            let found = format!("{:?}", self.outputs.iter().map(|o| &o.shape).collect::<Vec<_>>());
            DetectError::Shape { what: "output", kind: self.spec.kind, found, expected }
        })?;
        nms::suppress(&mut self.candidates, self.settings.nms_iou);

        let (mut persons, mut objects) = (self.settings.max_persons, self.settings.max_objects);
        for candidate in &self.candidates {
            let left = if candidate.class == person { &mut persons } else { &mut objects };
            let rect = self.placement.to_frame(candidate.rect).clamped(self.frame.0, self.frame.1);
            if *left > 0 && rect.area() > 0.0 {
                *left -= 1;
                out.push(Detection { rect, ..*candidate });
            }
        }
        Ok(())
    }
}
