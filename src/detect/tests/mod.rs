//! The detector at its seam: a session that returns what a test wants.

mod suppression;

use proptest::prelude::*;

use super::*;
use crate::engine::Port;
use crate::frame::Fit;
use crate::frame::PixelFormat;
use crate::pack::manifest;

const CLASSES: [&str; 3] = ["person", "cup", "chair"];

/// Returns the same outputs at each run.
struct Fixed {
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    tensors: Vec<Tensor>,
}

impl Session for Fixed {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        assert!(
            matches!(inputs, [Input::F32 { shape, data }] if data.len() == shape.iter().product::<usize>())
        );
        outputs.resize_with(self.tensors.len(), Tensor::default);
        for (output, tensor) in outputs.iter_mut().zip(&self.tensors) {
            output.shape.clone_from(&tensor.shape);
            output.data.clone_from(&tensor.data);
        }
        Ok(())
    }
}

fn port(name: &str, shape: &[usize]) -> Port {
    Port { name: name.into(), element: Element::F32, shape: shape.iter().map(|&d| Some(d)).collect() }
}

fn fixed(input: &[usize], tensors: Vec<Tensor>) -> Box<Fixed> {
    let outputs = tensors.iter().enumerate().map(|(i, t)| port(&format!("out{i}"), &t.shape)).collect();
    Box::new(Fixed { inputs: vec![port("image", input)], outputs, tensors })
}

fn tensor(shape: &[usize], value: impl Fn(usize) -> f32) -> Tensor {
    Tensor { shape: shape.to_vec(), data: (0..shape.iter().product()).map(value).collect() }
}

fn spec(kind: Kind, width: usize, height: usize) -> Spec {
    Spec { classes: &CLASSES, fit: Fit::Stretch, ..Spec::new("pack/detector.onnx", kind, width, height) }
}

fn settings(person: f32, object: f32, iou: f32) -> config::Detector {
    config::Detector {
        person_threshold: person,
        object_threshold: object,
        nms_iou: iou,
        max_persons: 100,
        max_objects: 100,
    }
}

/// Outputs for a 64 × 32 input that show nothing.
fn nothing(kind: Kind) -> Vec<Tensor> {
    match kind {
        Kind::Nanodet => [32usize, 8, 2]
            .into_iter()
            .flat_map(|cells| [tensor(&[1, cells, 3], |_| 0.0), tensor(&[1, cells, 44], |_| 0.0)])
            .collect(),
        Kind::Yolox => vec![tensor(&[1, 42, 8], |_| 0.0)],
    }
}

fn found(kind: Kind, tensors: Vec<Tensor>, settings: &config::Detector, low: f32) -> Vec<Detection> {
    let mut detector =
        Detector::new(fixed(&[1, 3, 32, 64], tensors), spec(kind, 64, 32), settings, low).unwrap();
    detector.prepare(&Picture::new(PixelFormat::Rgb24, 64, 32));
    let mut out = Vec::new();
    detector.detect(&mut out).unwrap();
    out
}

fn golden(kind: &str) -> Vec<Detection> {
    let lines = include_str!("golden.txt").lines().filter_map(|line| line.strip_prefix(kind));
    lines
        .map(|line| {
            let v: Vec<f32> = line.split_whitespace().map(|v| v.parse().unwrap()).collect();
            Detection { class: v[0] as u16, score: v[1], rect: Rect::new(v[2], v[3], v[4], v[5]) }
        })
        .collect()
}

fn assert_close(found: &[Detection], expected: &[Detection]) {
    assert!(!expected.is_empty());
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (a, b) in found.iter().zip(expected) {
        let sides =
            [a.rect.x1 - b.rect.x1, a.rect.y1 - b.rect.y1, a.rect.x2 - b.rect.x2, a.rect.y2 - b.rect.y2];
        let near = a.class == b.class
            && (a.score - b.score).abs() < 1e-5
            && sides.iter().all(|side| side.abs() < 1e-3);
        assert!(near, "{a:?} is not {b:?}");
    }
}

/// The synthetic outputs of `golden.py`, in any order and with or without a batch dimension.
fn synthetic(kind: Kind) -> Vec<Tensor> {
    match kind {
        Kind::Nanodet => [(8usize, 32usize), (16, 8), (32, 2)]
            .into_iter()
            .flat_map(|(stride, cells)| {
                let phase = stride as f64;
                let score = move |i| (0.5 + 0.5 * (0.37 * i as f64 + phase).sin()) as f32;
                let side = move |i| (3.0 * (0.11 * i as f64 + phase).cos() - (i % 44 % 11) as f64) as f32;
                let shape: &[usize] = if stride == 16 { &[8, 4, 11] } else { &[1, cells, 44] };
                [tensor(shape, side), tensor(&[1, cells, 3], score)]
            })
            .rev()
            .collect(),
        Kind::Yolox => vec![tensor(&[42, 8], |i| (0.5 + 0.5 * (0.37 * i as f64).sin()) as f32)],
    }
}

#[test]
fn decodes_nanodet_as_numpy_does() {
    assert_close(
        &found(Kind::Nanodet, synthetic(Kind::Nanodet), &settings(0.95, 0.97, 0.3), 0.9),
        &golden("nanodet"),
    );
}

#[test]
fn decodes_yolox_as_numpy_does() {
    assert_close(
        &found(Kind::Yolox, synthetic(Kind::Yolox), &settings(0.5, 0.6, 0.3), 0.5),
        &golden("yolox"),
    );
}

#[test]
fn keeps_the_best_of_each_sort() {
    let all = found(Kind::Yolox, synthetic(Kind::Yolox), &settings(0.5, 0.6, 0.3), 0.5);
    let most = config::Detector { max_persons: 2, max_objects: 3, ..settings(0.5, 0.6, 0.3) };
    let few = found(Kind::Yolox, synthetic(Kind::Yolox), &most, 0.5);
    let best = |person: bool, n: usize| all.iter().filter(move |d| (d.class == 0) == person).take(n).copied();
    let mut expected: Vec<_> = best(true, 2).chain(best(false, 3)).collect();
    expected.sort_by(Detection::best_first);
    assert_eq!(few, expected);
}

#[test]
fn maps_boxes_back_to_the_frame() {
    let session = fixed(&[1, 3, 32, 64], synthetic(Kind::Yolox));
    let spec = Spec { fit: Fit::PadTopLeft, ..spec(Kind::Yolox, 64, 32) };
    let mut detector = Detector::new(session, spec, &settings(0.5, 0.6, 0.3), 0.5).unwrap();
    // Letterboxed, a 640 × 640 frame is 32 × 32 pixels of the input: a box there is 20 times larger in the frame,
    // and what stands in the padding is outside of it.
    detector.prepare(&Picture::new(PixelFormat::Rgb24, 640, 640));
    let mut out = Vec::new();
    detector.detect(&mut out).unwrap();
    let first = golden("yolox")[0].rect;
    let expected = Rect::new(first.x1 * 20.0, first.y1 * 20.0, first.x2 * 20.0, first.y2 * 20.0);
    assert!(out[0].rect.iou(&expected) > 0.999, "{:?} is not {expected:?}", out[0]);
    assert!(out.iter().all(|d| d.rect == d.rect.clamped(640.0, 640.0) && d.rect.area() > 0.0));
    assert_eq!(detector.class_names().get(2), Some(&"chair"));
}

#[test]
fn numbers_that_are_none_show_nothing() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let yolox = vec![tensor(&[1, 42, 8], |i| if i % 8 < 4 { value } else { 1.0 })];
        let nanodet = nothing(Kind::Nanodet)
            .into_iter()
            .map(|t| tensor(&t.shape, |_| if t.shape[2] == 44 { value } else { 1.0 }))
            .collect();
        for (kind, tensors) in [(Kind::Yolox, yolox), (Kind::Nanodet, nanodet)] {
            for d in found(kind, tensors, &settings(0.5, 0.5, 0.5), 0.1) {
                assert!(d.rect.area().is_finite() && d.rect == d.rect.clamped(64.0, 32.0), "{d:?}");
            }
        }
    }
    let scores = vec![tensor(&[1, 42, 8], |_| f32::NAN)];
    assert_eq!(found(Kind::Yolox, scores, &settings(0.5, 0.5, 0.5), 0.1), []);
}

#[test]
fn refuses_what_is_not_described() {
    let new = |input: &[usize], tensors, spec| {
        Detector::new(fixed(input, tensors), spec, &settings(0.5, 0.5, 0.5), 0.1).err().unwrap().to_string()
    };
    let message = new(&[1, 3, 64, 32], nothing(Kind::Yolox), spec(Kind::Yolox, 64, 32));
    assert!(message.contains("pack/detector.onnx") && message.contains("[1, 3, 32, 64]"), "{message}");
    assert!(message.contains("image F32 [1, 3, 64, 32]"), "{message}");

    let message = new(&[1, 3, 32, 64], nothing(Kind::Nanodet), spec(Kind::Yolox, 64, 32));
    assert!(message.contains("[42, 8]") && message.contains("out0 [1, 32, 3]"), "{message}");

    let mut short = nothing(Kind::Nanodet);
    short.remove(3);
    let message = new(&[1, 3, 32, 64], short, spec(Kind::Nanodet, 64, 32));
    assert!(message.contains("box distributions of stride 16"), "{message}");

    let message = new(&[1, 3, 30, 64], nothing(Kind::Yolox), spec(Kind::Yolox, 64, 30));
    assert!(message.contains("64x30"), "{message}");
    let stranger = Spec { person: 3, ..spec(Kind::Yolox, 64, 32) };
    let message = new(&[1, 3, 32, 64], nothing(Kind::Yolox), stranger);
    assert!(message.contains("class 3"), "{message}");
}

#[test]
fn a_pack_has_the_last_word_on_preprocessing() {
    let mut detector = manifest::Detector {
        kind: Kind::Nanodet,
        size: [320, 416],
        classes: "coco".into(),
        person: 0,
        mean: None,
        std: Some([1.0, 2.0, 3.0]),
        channels: Some(manifest::Channels::Rgb),
        resize: None,
        files: Default::default(),
    };
    let spec = Spec::of_pack("p", &detector).unwrap();
    let layout = spec.layout;
    assert_eq!((layout.width, layout.height, layout.bgr, spec.fit), (320, 416, false, Fit::Pad));
    assert_eq!((layout.mean, layout.std), ([103.53, 116.28, 123.675], [1.0, 2.0, 3.0]));
    detector.resize = Some(manifest::Fit::Stretch);
    assert_eq!(Spec::of_pack("p", &detector).unwrap().fit, Fit::Stretch);
    detector.classes = "lvis".into();
    assert!(Spec::of_pack("p", &detector).unwrap_err().to_string().contains("lvis"));
}

/// A box of some cell of a 64 × 32 input whose sides are within the reach of the distributions.
fn boxes() -> impl Strategy<Value = (usize, usize, [f32; 4])> {
    (0usize..3).prop_flat_map(|grid| {
        let cells = [32usize, 8, 2][grid];
        (Just(grid), 0..cells, prop::array::uniform4(0.05f32..9.5))
    })
}

proptest! {
    /// A distribution over two neighbouring strides has any expectation between them.
    #[test]
    fn nanodet_inverts_an_encoder((grid, cell, distances) in boxes(), class in 0u16..3, score in 0.5f32..=1.0) {
        let stride = [8.0f32, 16.0, 32.0][grid];
        let columns = [8, 4, 2][grid];
        let mut tensors = nothing(Kind::Nanodet);
        tensors[2 * grid].data[cell * 3 + usize::from(class)] = score;
        for (side, distance) in distances.iter().enumerate() {
            let logits = &mut tensors[2 * grid + 1].data[cell * 44 + side * 11..][..11];
            logits.fill(-50.0);
            let (below, part) = (distance.floor() as usize, distance.fract());
            logits[below] = (1.0 - part).ln();
            logits[below + 1] = part.ln();
        }
        let (x, y) = (((cell % columns) as f32 + 0.5) * stride, ((cell / columns) as f32 + 0.5) * stride);
        let [l, t, r, b] = distances.map(|d| d * stride);
        let rect = Rect::new(x - l, y - t, x + r, y + b).clamped(64.0, 32.0);
        assert_close(
            &found(Kind::Nanodet, tensors, &settings(0.5, 0.5, 0.5), 0.5),
            &[Detection { class, score, rect }],
        );
    }

    #[test]
    fn yolox_inverts_an_encoder(
        cell in 0usize..42,
        x1 in 0.0f32..60.0, y1 in 0.0f32..28.0, w in 1.0f32..60.0, h in 1.0f32..30.0,
        class in 0u16..3, objectness in 0.75f32..=1.0, score in 0.75f32..=1.0,
    ) {
        let (first, columns, stride) = match cell { 0..32 => (0, 8, 8.0), 32..40 => (32, 4, 16.0), _ => (40, 2, 32.0) };
        let (column, row) = (((cell - first) % columns) as f32, ((cell - first) / columns) as f32);
        let mut tensors = nothing(Kind::Yolox);
        let (x, y) = ((x1 + w / 2.0) / stride - column, (y1 + h / 2.0) / stride - row);
        let values = &mut tensors[0].data[cell * 8..][..8];
        values[..5].copy_from_slice(&[x, y, (w / stride).ln(), (h / stride).ln(), objectness]);
        values[5 + usize::from(class)] = score;
        let rect = Rect::new(x1, y1, x1 + w, y1 + h).clamped(64.0, 32.0);
        assert_close(
            &found(Kind::Yolox, tensors, &settings(0.5, 0.5, 0.5), 0.5),
            &[Detection { class, score: objectness * score, rect }],
        );
    }
}

#[test]
fn a_person_is_found_below_the_threshold_of_objects() {
    let mut tensors = nothing(Kind::Yolox);
    tensors[0].data[..8].copy_from_slice(&[0.5, 0.5, 0.0, 0.0, 1.0, 0.2, 0.3, 0.1]);
    let found = found(Kind::Yolox, tensors, &settings(0.5, 0.4, 0.5), 0.2);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].class, found[0].score), (0, 0.2));
}
