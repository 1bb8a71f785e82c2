//! From a frame to boxes: conversion, the detector's run, decoding, score thresholds, non-maximum suppression.
//!
//! Knows frames, engines and packs; has never heard of tracks or actions.

mod coco;
mod grid;
mod nanodet;
mod nms;
mod spec;
#[cfg(test)]
mod tests;
mod yolox;

pub use coco::COCO;
pub use spec::{Kind, Spec};

use std::cmp::Ordering;

use crate::config::{self, Config};
use crate::engine::{Element, Engine, EngineError, Input, Options, Session, Tensor};
use crate::frame::{Converter, Layout, Picture, Placement, Rect};
use crate::pack::{Pack, PackError, Role};
use grid::Grid;
use nms::Room;

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

impl Detection {
    /// By falling score; equal ones by class and place, so that any order of arrival becomes the same one.
    pub(crate) fn best_first(&self, other: &Self) -> Ordering {
        let key = |d: &Self| [d.rect.x1, d.rect.y1, d.rect.x2, d.rect.y2];
        let place =
            key(self).iter().zip(key(other)).map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne());
        (other.score.total_cmp(&self.score).then(self.class.cmp(&other.class)))
            .then(place.unwrap_or(Ordering::Equal))
    }
}

/// Appends who is in a picture of this width and height, whatever their class says; see [`Detector::pretend`].
pub type Crowd = Box<dyn FnMut(f32, f32, &mut Vec<Detection>) + Send>;

/// Why a detector is of no use, or a frame was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    #[error(
        "detector {model}: input size {width}x{height} is not of whole cells; it must be a multiple of 32"
    )]
    Size { model: String, width: usize, height: usize },
    #[error("detector {model}: class {person} is to be the person, but there are {classes} classes")]
    Person { model: String, person: u16, classes: usize },
    #[error(
        "detector {model}: takes {found}, not one picture {expected}; correct [detector] in the pack's pack.toml"
    )]
    Input { model: String, expected: String, found: String },
    #[error(
        "detector {model}, {kind:?}: there is no output with the {expected}, there is {found}; correct [detector] in the pack's pack.toml"
    )]
    Output { model: String, kind: Kind, expected: String, found: String },
    #[error("detector {model}: its classes are {classes:?}; only \"coco\" is known")]
    Classes { model: String, classes: String },
    #[error(transparent)]
    Pack(Box<PackError>),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<PackError> for DetectError {
    fn from(error: PackError) -> Self {
        Self::Pack(Box::new(error))
    }
}

/// What is worth keeping.
#[derive(Debug, Clone, Copy)]
struct Thresholds {
    person_class: u16,
    /// Lowest score of a person.
    person: f32,
    /// Lowest score of anything else.
    object: f32,
}

/// A loaded detector and what it needs from frame to frame.
pub struct Detector {
    session: Box<dyn Session>,
    spec: Spec,
    settings: config::Detector,
    thresholds: Thresholds,
    grids: [Grid; 3],
    converter: Converter,
    shape: [usize; 4],
    tensor: Vec<f32>,
    /// Where the picture in `tensor` lies, and its frame's size.
    placement: Placement,
    frame: (f32, f32),
    outputs: Vec<Tensor>,
    found: Vec<Detection>,
    crowd: Option<Crowd>,
}

impl Detector {
    /// Loads the detector of a pack.
    pub fn open(
        pack: &Pack,
        engine: &dyn Engine,
        options: Options,
        config: &Config,
    ) -> Result<Self, DetectError> {
        let model = pack.model(Role::Detector, engine.name())?.name;
        let spec = Spec::of_pack(model, &pack.manifest().detector)?;
        let session = pack.load(Role::Detector, engine, options)?;
        Self::new(session, spec, &config.detector, config.tracker.low_threshold)
    }

    /// Checks that `session` is what `spec` describes, and runs it once on an empty picture: a model whose outputs are
    /// not the kind's fails here, not at the first frame. Persons are reported down to `low_threshold`, which is the
    /// tracker's, objects from `settings.object_threshold`.
    pub fn new(
        session: Box<dyn Session>,
        spec: Spec,
        settings: &config::Detector,
        low_threshold: f32,
    ) -> Result<Self, DetectError> {
        let Layout { width, height, .. } = spec.layout;
        let person = spec.person;
        if width == 0 || height == 0 || width % 32 != 0 || height % 32 != 0 {
            return Err(DetectError::Size { model: spec.model, width, height });
        }
        if usize::from(person) >= spec.classes.len() {
            return Err(DetectError::Person { model: spec.model, person, classes: spec.classes.len() });
        }
        let shape = [1, 3, height, width];
        check_input(session.as_ref(), &spec, &shape)?;

        let grids = grid::grids(&spec);
        let thresholds =
            Thresholds { person_class: person, person: low_threshold, object: settings.object_threshold };
        let converter = Converter::new(spec.layout);
        let frame = (width as f32, height as f32);
        let whole = Rect::new(0.0, 0.0, frame.0, frame.1);
        let mut detector = Self {
            session,
            settings: settings.clone(),
            thresholds,
            // A cell gives at most a person and an object.
            found: Vec::with_capacity(2 * grids.iter().map(Grid::cells).sum::<usize>()),
            grids,
            tensor: vec![0.0; converter.layout().len()],
            converter,
            shape,
            placement: Placement { source: whole, target: whole },
            frame,
            outputs: Vec::new(),
            crowd: None,
            spec,
        };
        detector.detect(&mut Vec::new())?;
        Ok(detector)
    }

    /// Goes by other thresholds from now on; see [`Detector::new`].
    pub fn reconfigure(&mut self, settings: &config::Detector, low_threshold: f32) {
        self.settings.clone_from(settings);
        self.thresholds.person = low_threshold;
        self.thresholds.object = settings.object_threshold;
    }

    /// Converts `picture` for the next [`Detector::detect`].
    pub fn prepare(&mut self, picture: &Picture) {
        self.frame = (picture.width as f32, picture.height as f32);
        let whole = Rect::new(0.0, 0.0, self.frame.0, self.frame.1);
        self.placement = self.converter.convert(picture, whole, self.spec.fit, &mut self.tensor);
    }

    /// Finds persons and objects in the picture last prepared: at most `max_persons` and `max_objects`, best first, in
    /// pixels of its frame and inside it. After an error, `out` is empty.
    pub fn detect(&mut self, out: &mut Vec<Detection>) -> Result<(), DetectError> {
        out.clear();
        self.found.clear();
        self.session.run(&[Input::F32 { shape: &self.shape, data: &self.tensor }], &mut self.outputs)?;
        let decode = match self.spec.kind {
            Kind::Nanodet => nanodet::decode,
            Kind::Yolox => yolox::decode,
        };
        let classes = self.spec.classes.len();
        decode(&self.outputs, &self.grids, classes, &self.thresholds, &mut self.found).map_err(
            |missing| DetectError::Output {
                model: self.spec.model.clone(),
                kind: self.spec.kind,
                expected: format!("{}, {:?}", missing.what, missing.shape),
                found: self.describe_outputs(),
            },
        )?;

        let (placement, (width, height)) = (self.placement, self.frame);
        self.found.retain_mut(|d| {
            let rect = placement.to_frame(d.rect);
            // NaN fails the comparison of areas; an infinite edge is cut off.
            d.rect = rect.clamped(width, height);
            d.rect.area() > 0.0
        });
        let room = Room {
            person_class: self.spec.person,
            persons: self.settings.max_persons,
            objects: self.settings.max_objects,
        };
        nms::suppress(&mut self.found, self.settings.nms_iou, room, out);
        if let Some(crowd) = &mut self.crowd {
            out.retain(|d| d.class != self.spec.person);
            let others = out.len();
            crowd(width, height, out);
            out.iter_mut().skip(others).for_each(|d| d.class = self.spec.person);
        }
        Ok(())
    }

    /// Does its work from now on and then finds `crowd` in place of the persons who are there, to measure with people
    /// of a known number.
    pub fn pretend(&mut self, crowd: Crowd) {
        self.crowd = Some(crowd);
    }

    /// The names of all classes.
    pub fn class_names(&self) -> &'static [&'static str] {
        self.spec.classes
    }

    /// The class of persons.
    pub fn person(&self) -> u16 {
        self.spec.person
    }

    fn describe_outputs(&self) -> String {
        let name = |i: usize| self.session.outputs().get(i).map_or("?", |port| port.name.as_str());
        let outputs: Vec<_> =
            self.outputs.iter().enumerate().map(|(i, t)| format!("{} {:?}", name(i), t.shape)).collect();
        outputs.join(", ")
    }
}

/// Refuses a model that does not take one picture of the right size, as far as it says what it takes.
fn check_input(session: &dyn Session, spec: &Spec, shape: &[usize]) -> Result<(), DetectError> {
    let fits = |declared: &[Option<usize>]| {
        declared.is_empty()
            || declared.len() == shape.len()
                && declared.iter().zip(shape).all(|(d, &expected)| d.is_none_or(|d| d == expected))
    };
    if let [port] = session.inputs()
        && port.element == Element::F32
        && fits(&port.shape)
    {
        return Ok(());
    }
    let ports = session.inputs().iter();
    let ports: Vec<_> = ports
        .map(|port| {
            let dims: Vec<_> =
                port.shape.iter().map(|d| d.map_or("?".to_owned(), |d| d.to_string())).collect();
            format!("{} {:?} [{}]", port.name, port.element, dims.join(", "))
        })
        .collect();
    let found = if ports.is_empty() { "no input".to_owned() } else { ports.join(", ") };
    Err(DetectError::Input { model: spec.model.clone(), expected: format!("F32 {shape:?}"), found })
}
