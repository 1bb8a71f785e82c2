//! Engines stood in for by sessions that write into the caller's tensors as real ones do: five people who walk to and
//! fro, and an image tower that sees the same in all of them.
#![allow(dead_code)] // each test binary uses its own part

use watchword::camera::SourceInfo;
use watchword::clip::{Embeddings, ImageTower, RegionTower, Sight, TwoSizes};
use watchword::config::{self, Config, Regions};
use watchword::detect::{Detector, Kind, Spec};
use watchword::engine::{Element, EngineError, Input, Port, Session, Tensor};
use watchword::frame::{Filter, Frame, Layout, Picture, PixelFormat};
use watchword::heads::{
    Interaction, Kind as Unit, Metadata, Method, Pads, Scorer, Size, Start, fresh, quantise, serialise,
};
use watchword::pipeline::Networks;
use watchword::vocabulary::{Vocabulary, Words};

const SIDE: usize = 416;
const CELLS: usize = 52 * 52 + 26 * 26 + 13 * 13;
pub const WIDTH: usize = 64;

/// Puts out whatever `fill` writes; allocates only while the outputs grow.
struct Puppet<F> {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    columns: usize,
    rows: fn(batch: usize) -> usize,
    fill: F,
}

impl<F: FnMut(&mut [f32]) + Send> Session for Puppet<F> {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        let [Input::F32 { shape: [batch, ..], .. }] = inputs else { panic!("one f32 input") };
        let rows = (self.rows)(*batch);
        outputs.resize_with(1, Tensor::default);
        let output = &mut outputs[0];
        output.shape.clear();
        output.shape.extend_from_slice(&[1, rows, self.columns][usize::from(*batch == rows)..]);
        output.data.clear();
        output.data.resize(rows * self.columns, 0.0);
        (self.fill)(&mut output.data);
        Ok(())
    }
}

fn port(name: &str, shape: &[Option<usize>]) -> Port {
    Port { name: name.into(), element: Element::F32, shape: shape.to_vec() }
}

/// An image tower for regions with a grid of 14 × 14 cells.
struct Cells {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Session for Cells {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, _: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        outputs.resize_with(2, Tensor::default);
        for (output, rows) in outputs.iter_mut().zip([1, 14 * 14]) {
            output.shape.clear();
            output.shape.extend_from_slice(&[rows, WIDTH]);
            output.data.clear();
            output.data.extend((0..rows * WIDTH).map(|i| 1.0 + (i % 7) as f32));
        }
        Ok(())
    }
}

/// Five people in a row who walk to and fro, as YOLOX would tell of them.
pub fn walkers() -> impl FnMut(&mut [f32]) + Send {
    let mut frame = 0usize;
    move |predictions| {
        frame += 1;
        let step = (frame % 40).abs_diff(20) as f32 / 10.0;
        for person in 0..5 {
            show(predictions, 20 * 52 + 5 + person * 10, step, (30.0, 90.0));
        }
    }
}

/// Puts a person of so many pixels across and down into YOLOX's `predictions`: into a cell of stride 8, so much of it aside.
pub fn show(predictions: &mut [f32], cell: usize, aside: f32, (width, height): (f32, f32)) {
    let values = &mut predictions[cell * 85..][..85];
    values[0] = aside;
    values[2] = (width / 8.0).ln();
    values[3] = (height / 8.0).ln();
    values[4] = 0.9;
    values[5] = 0.95; // a person
}

/// A live camera of 640 × 480.
pub fn live() -> SourceInfo {
    SourceInfo { description: String::new(), width: 640, height: 480, fps: None, frames: None, live: true }
}

/// A detector that sees [`walkers`].
pub fn detector() -> Box<dyn Session> {
    detector_with(walkers())
}

/// A detector whose predictions, as YOLOX has them, `fill` writes.
pub fn detector_with(fill: impl FnMut(&mut [f32]) + Send + 'static) -> Box<dyn Session> {
    Box::new(Puppet {
        inputs: vec![port("images", &[Some(1), Some(3), Some(SIDE), Some(SIDE)])],
        outputs: vec![port("output", &[Some(1), Some(CELLS), Some(85)])],
        columns: 85,
        rows: |_| CELLS,
        fill,
    })
}

/// An image tower whose embeddings `fill` writes, [`WIDTH`] values for each crop.
pub fn tower_with(fill: impl FnMut(&mut [f32]) + Send + 'static) -> Box<dyn Session> {
    tower_reading(224, fill)
}

fn tower_reading(side: usize, fill: impl FnMut(&mut [f32]) + Send + 'static) -> Box<dyn Session> {
    Box::new(Puppet {
        inputs: vec![port("pixel_values", &[None, Some(3), Some(side), Some(side)])],
        outputs: vec![port("image_embeds", &[None, Some(WIDTH)])],
        columns: WIDTH,
        rows: |batch| batch,
        fill,
    })
}

/// What [`tower_with`] may write: the same for every crop.
pub fn same(data: &mut [f32]) {
    data.iter_mut().enumerate().for_each(|(i, x)| *x = 1.0 + (i % 7) as f32);
}

pub fn networks(config: &Config, method: Method) -> Networks {
    networks_with(detector(), config, method)
}

pub fn networks_with(detector: Box<dyn Session>, config: &Config, method: Method) -> Networks {
    networks_of(detector, tower_with(same), config, method)
}

/// `tower` is for crops.
pub fn networks_of(
    detector: Box<dyn Session>,
    tower: Box<dyn Session>,
    config: &Config,
    method: Method,
) -> Networks {
    let spec = Spec::new("puppet", Kind::Yolox, SIDE, SIDE);
    let detector = Detector::new(detector, spec, &config.detector, config.tracker.low_threshold).unwrap();
    let layout = |side: usize| Layout {
        width: side,
        height: side,
        mean: [0.0; 3],
        std: [1.0; 3],
        bgr: false,
        filter: Filter::Bicubic,
        fill: 114.0,
    };
    let sight: Sight = match config.scoring.regions {
        Regions::Crops => {
            let open =
                |session, side| ImageTower::new("puppet".into(), session, layout(side), WIDTH).unwrap();
            let large = open(tower, 224);
            match config.scoring.small {
                Some(side) => TwoSizes::new(large, open(tower_reading(side, same), side), side).into(),
                None => large.into(),
            }
        }
        Regions::OnePass => {
            let cells = Cells {
                inputs: vec![port("pixel_values", &[Some(1), Some(3), Some(224), Some(224)])],
                outputs: vec![
                    port("image_embeds", &[Some(1), Some(WIDTH)]),
                    port("region_embeds", &[None, Some(WIDTH)]),
                ],
            };
            RegionTower::new("puppet".into(), Box::new(cells), layout(224), WIDTH).unwrap().into()
        }
    };
    Networks::new(detector, sight, Scorer::new(method, 10.0), &config.scoring)
}

pub fn vocabulary(config: &Config) -> Vocabulary {
    let words = Words {
        actions: &config.actions,
        settings: &config.vocabulary,
        template: "{}",
        space: "puppet",
        pack: "puppet@1",
    };
    let embed = |phrases: &[String]| {
        let mut rows = Embeddings::new(WIDTH);
        for (n, _) in phrases.iter().enumerate() {
            let row: Vec<f32> = (0..WIDTH).map(|i| ((i + n) % 5) as f32 + 0.1).collect();
            assert!(rows.push(&row));
        }
        Ok(rows)
    };
    Vocabulary::from_words(&words, None, embed).unwrap()
}

pub fn frame(format: PixelFormat) -> Frame {
    let mut picture = Picture::new(format, 640, 480);
    picture.data.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i % 251) as u8);
    Frame { picture, ..Frame::default() }
}

pub fn config() -> Config {
    let action = |name: &str| config::Action {
        name: name.into(),
        phrases: vec![name.into()],
        threshold: 0.99,
        ..config::Action::default()
    };
    Config { actions: vec![action("walking"), action("falling"), action("waving")], ..Config::default() }
}

/// Interaction heads with every part, in int8.
pub fn heads() -> Method {
    let metadata = Metadata {
        units: vec![Unit::Person, Unit::Object, Unit::Context, Unit::Memory],
        before: 3,
        after: 2,
        rate: 2.0,
        pads: Pads { person: 25, object: 5, context: 25, memory: 10 },
        tau: 0.07,
        ln_affine: false,
        relu: true,
        embedding: None,
    };
    let size = Size { width: WIDTH, layers: 2, hidden: 4 * WIDTH };
    let bytes = serialise(&fresh(&metadata, size, Start::Random, 0), &metadata).unwrap();
    Method::Interaction(Box::new(Interaction::read(&quantise(&bytes).unwrap()).unwrap()))
}
