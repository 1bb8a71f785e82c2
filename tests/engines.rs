//! One set of tests, run on every engine; and the engines against each other.
//!
//! Models: small random CLIP towers (f32 and int8), the nano pack's own, and `../shared/data/models` if it is there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb;
use watchword::config::EngineKind;
use watchword::engine::{Element, EngineError, Input, Model, ModelBytes, Options, Port, Session, Tensor, engine};
use watchword::pack::architecture::{Clip, Graph, Precision, Recipe, Tower};

const ENGINES: [EngineKind; 2] = [EngineKind::Cpu, EngineKind::Tract];
const ONE: Options = Options { threads: 1 };

/// Every part of CLIP, small enough for a debug build.
const SMALL: Clip = Clip {
    picture: 32,
    patch: 8,
    image: Tower { width: 64, layers: 2, heads: 2 },
    text: Tower { width: 64, layers: 3, heads: 4 },
    context: 16,
    vocabulary: 100,
    embedding: 32,
};

/// A model under test, and whether its arithmetic is exact to f32.
struct Case {
    name: String,
    path: PathBuf,
    exact: bool,
}

fn write(graph: Graph, path: &Path) {
    graph.write(&mut File::create(path).unwrap()).unwrap();
}

/// The small towers, written to `folder`, and the published models that are there.
fn cases(folder: &TempDir) -> Vec<Case> {
    let towers: [(&str, fn(&Recipe) -> Graph); 2] = [("image", Recipe::image_tower), ("text", Recipe::text_tower)];
    let mut cases = Vec::new();
    for (word, precision) in [("f32", Precision::F32), ("int8", Precision::Int8)] {
        let recipe = Recipe { clip: SMALL, precision, seed: 7 };
        for (tower, make) in towers {
            let name = format!("{tower}.{word}");
            let path = folder.path().join(format!("{name}.onnx"));
            write(make(&recipe), &path);
            cases.push(Case { name, path, exact: precision == Precision::F32 });
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in [
        "models/nano/image.int8.onnx",
        "models/nano/text.int8.onnx",
        "models/nano/detector.int8.onnx",
        "../shared/data/models/yolox_nano.onnx",
    ] {
        let path = root.join(file);
        if path.exists() {
            cases.push(Case { name: file.into(), path, exact: !file.contains("int8") });
        } else {
            println!("skipped: {} is not there", path.display());
        }
    }
    cases
}

fn load(kind: EngineKind, path: &Path, options: Options) -> Result<Box<dyn Session>, EngineError> {
    let model = Model { name: path.display().to_string(), bytes: ModelBytes::File(path.into()) };
    engine(kind).load(&model, options)
}

/// What a port is fed.
enum Fed {
    Floats(Vec<usize>, Vec<f32>),
    Integers(Vec<usize>, Vec<i64>),
}

impl Fed {
    /// Noise, different in each row: `batch` rows where the first dimension is open, 7 columns where another is.
    fn new(port: &Port, batch: usize) -> Self {
        let open = [batch, 7];
        let sizes = port.shape.iter().enumerate();
        let shape: Vec<usize> = sizes.map(|(axis, size)| size.unwrap_or(open[axis.min(1)])).collect();
        let count: usize = shape.iter().product();
        let noise = (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0);
        match port.element {
            // yolox reads bytes as they are.
            Element::F32 if port.name == "images" => Self::Floats(shape, noise.map(|x| 255.0 * x).collect()),
            Element::F32 => Self::Floats(shape, noise.map(|x| 4.0 * x - 2.0).collect()),
            Element::I64 => {
                let integer = |x: f32| match port.name.as_str() {
                    "attention_mask" => 1,
                    "token_type_ids" => 0,
                    _ => 1 + (98.0 * x) as i64,
                };
                Self::Integers(shape, noise.map(integer).collect())
            }
        }
    }

    fn input(&self) -> Input<'_> {
        match self {
            Self::Floats(shape, data) => Input::F32 { shape, data },
            Self::Integers(shape, data) => Input::I64 { shape, data },
        }
    }

    /// Row `index` of the batch, alone.
    fn row(&self, index: usize) -> Self {
        fn cut<T: Copy>(shape: &[usize], data: &[T], index: usize) -> (Vec<usize>, Vec<T>) {
            let length = data.len() / shape[0];
            ([&[1], &shape[1..]].concat(), data[index * length..(index + 1) * length].to_vec())
        }
        match self {
            Self::Floats(shape, data) => {
                let (shape, data) = cut(shape, data, index);
                Self::Floats(shape, data)
            }
            Self::Integers(shape, data) => {
                let (shape, data) = cut(shape, data, index);
                Self::Integers(shape, data)
            }
        }
    }
}

fn feed(session: &dyn Session, batch: usize) -> Vec<Fed> {
    session.inputs().iter().map(|port| Fed::new(port, batch)).collect()
}

fn run(session: &mut dyn Session, fed: &[Fed]) -> Vec<Tensor> {
    let inputs: Vec<Input<'_>> = fed.iter().map(Fed::input).collect();
    let mut outputs = Vec::new();
    session.run(&inputs, &mut outputs).unwrap();
    for output in &outputs {
        assert_eq!(output.shape.iter().product::<usize>(), output.data.len());
        assert!(output.data.iter().all(|x| x.is_finite()));
    }
    outputs
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Exact models to `tolerance`; int8 models by direction, as their roundings may fall to either side.
fn assert_agree(what: &str, exact: bool, tolerance: f32, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    if exact {
        let difference = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{what}: greatest difference {difference:.1e}");
        assert!(difference <= tolerance, "{what}: {difference}");
    } else {
        let cosine = cosine(a, b);
        println!("{what}: cosine {cosine:.6}");
        assert!(cosine >= 0.998, "{what}: {cosine}");
    }
}

#[test]
fn the_engines_agree() {
    let folder = TempDir::new().unwrap();
    for case in cases(&folder) {
        let [mut cpu, mut tract] = ENGINES.map(|kind| load(kind, &case.path, ONE).unwrap());
        assert_eq!(cpu.inputs(), tract.inputs(), "{}", case.name);
        let fed = feed(&*cpu, 2);
        let (a, b) = (run(&mut *cpu, &fed), run(&mut *tract, &fed));
        assert_eq!(a.len(), b.len());
        for ((a, b), (of_cpu, of_tract)) in a.iter().zip(&b).zip(cpu.outputs().iter().zip(tract.outputs())) {
            assert_eq!(of_cpu.name, of_tract.name);
            assert_eq!(a.shape, b.shape);
            assert_agree(&format!("{} {}", case.name, of_cpu.name), case.exact, 1e-3, &a.data, &b.data);
        }
    }
}

#[test]
fn a_batch_is_its_pictures() {
    let folder = TempDir::new().unwrap();
    for case in cases(&folder) {
        for kind in ENGINES {
            let mut session = load(kind, &case.path, ONE).unwrap();
            if session.inputs()[0].shape[0].is_some() {
                continue;
            }
            for batch in [1, 2, 5] {
                let fed = feed(&*session, batch);
                let together = run(&mut *session, &fed);
                let length = together[0].data.len() / batch;
                for index in [0, batch - 1] {
                    let row: Vec<Fed> = fed.iter().map(|fed| fed.row(index)).collect();
                    let alone = run(&mut *session, &row);
                    let part = &together[0].data[index * length..(index + 1) * length];
                    let what = format!("{} on {kind:?}, {index} of {batch}", case.name);
                    // A dynamically quantised model takes one range from the whole batch, so rows may differ a little.
                    assert_agree(&what, case.exact, 1e-4, part, &alone[0].data);
                }
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let folder = TempDir::new().unwrap();
    for case in cases(&folder) {
        for kind in ENGINES {
            let [one, two] = [1, 2].map(|threads| {
                let mut session = load(kind, &case.path, Options { threads }).unwrap();
                let fed = feed(&*session, 2);
                run(&mut *session, &fed)
            });
            assert_agree(&format!("{} on {kind:?}", case.name), case.exact, 1e-4, &one[0].data, &two[0].data);
        }
    }
}

#[test]
fn int8_follows_f32() {
    let folder = TempDir::new().unwrap();
    cases(&folder);
    for kind in ENGINES {
        for tower in ["image", "text"] {
            let [exact, rounded] = ["f32", "int8"].map(|word| {
                let mut session = load(kind, &folder.path().join(format!("{tower}.{word}.onnx")), ONE).unwrap();
                let fed = feed(&*session, 1);
                run(&mut *session, &fed)
            });
            let cosine = cosine(&exact[0].data, &rounded[0].data);
            println!("{tower} on {kind:?}: cosine {cosine:.5}");
            assert!(cosine >= 0.998, "{tower} on {kind:?}: {cosine}");
        }
    }
}

/// `y = x · w` between quantise/dequantise pairs, and `best`, where y is greatest.
fn quantised_by_pairs() -> Vec<u8> {
    use pb::tensor_proto::DataType;
    let info = |name: &str, element: DataType, sizes: &[i64]| {
        use pb::tensor_shape_proto::{Dimension, dimension::Value};
        let dim = |size: &i64| {
            let value = if *size > 0 { Value::DimValue(*size) } else { Value::DimParam("batch".into()) };
            Dimension { value: Some(value), ..Dimension::default() }
        };
        let shape = Some(pb::TensorShapeProto { dim: sizes.iter().map(dim).collect() });
        let tensor = pb::type_proto::Tensor { elem_type: element.into(), shape };
        let value = Some(pb::type_proto::Value::TensorType(tensor));
        let r#type = Some(pb::TypeProto { value, ..pb::TypeProto::default() });
        pb::ValueInfoProto { name: name.into(), r#type, ..pb::ValueInfoProto::default() }
    };
    let constant = |name: &str, element: DataType, dims: &[i64], raw_data: Vec<u8>| pb::TensorProto {
        name: name.into(),
        data_type: element.into(),
        dims: dims.to_vec(),
        raw_data,
        ..pb::TensorProto::default()
    };
    let node = |op: &str, inputs: &[&str], output: &str| pb::NodeProto {
        op_type: op.into(),
        name: output.into(),
        input: inputs.iter().map(|name| (*name).into()).collect(),
        output: vec![output.into()],
        ..pb::NodeProto::default()
    };
    let integer = |name: &str, i: i64| {
        let r#type = pb::attribute_proto::AttributeType::Int.into();
        pb::AttributeProto { name: name.into(), r#type, i, ..pb::AttributeProto::default() }
    };
    let best = pb::NodeProto {
        attribute: vec![integer("axis", 1), integer("keepdims", 0)],
        ..node("ArgMax", &["y"], "best")
    };
    let graph = pb::GraphProto {
        name: "pairs".into(),
        node: vec![
            node("QuantizeLinear", &["x", "half", "middle"], "xq"),
            node("DequantizeLinear", &["xq", "half", "middle"], "xd"),
            node("DequantizeLinear", &["w", "half", "zero"], "wd"),
            node("MatMul", &["xd", "wd"], "y"),
            best,
        ],
        initializer: vec![
            constant("half", DataType::Float, &[], 0.5_f32.to_le_bytes().to_vec()),
            constant("middle", DataType::Uint8, &[], vec![128]),
            constant("zero", DataType::Int8, &[], vec![0]),
            constant("w", DataType::Int8, &[2, 3], vec![2, 0, 0xFE, 0, 4, 6]),
        ],
        input: vec![info("x", DataType::Float, &[0, 2])],
        output: vec![info("y", DataType::Float, &[0, 3]), info("best", DataType::Int64, &[0])],
        ..pb::GraphProto::default()
    };
    let opset = pb::OperatorSetIdProto { version: 17, ..pb::OperatorSetIdProto::default() };
    pb::ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..pb::ModelProto::default() }
        .encode_to_vec()
}

#[test]
fn quantisation_by_pairs_and_integer_outputs() {
    let bytes: &'static [u8] = quantised_by_pairs().leak();
    for kind in ENGINES {
        let model = Model { name: "pairs".into(), bytes: ModelBytes::Static(bytes) };
        let mut session = engine(kind).load(&model, ONE).unwrap();
        let data = [1.1, -0.6, -200.0, 1.3];
        let mut outputs = Vec::new();
        session.run(&[Input::F32 { shape: &[2, 2], data: &data }], &mut outputs).unwrap();
        // x to the nearest half, at least -64: [[1, -0.5], [-64, 1.5]]; w = [[1, 0, -1], [0, 2, 3]].
        let y = vec![1.0, -1.0, -2.5, -64.0, 3.0, 68.5];
        assert_eq!(outputs[0], Tensor { shape: vec![2, 3], data: y }, "{kind:?}");
        assert_eq!(outputs[1], Tensor { shape: vec![2], data: vec![0.0, 2.0] }, "{kind:?}");
        assert_eq!(session.outputs()[1].element, Element::I64);
    }
}

#[test]
fn outputs_keep_their_memory() {
    let folder = TempDir::new().unwrap();
    cases(&folder);
    for kind in ENGINES {
        let mut session = load(kind, &folder.path().join("image.f32.onnx"), ONE).unwrap();
        let mut outputs = Vec::new();
        let mut pointers = Vec::new();
        for batch in [3, 1, 3] {
            let fed = feed(&*session, batch);
            session.run(&[fed[0].input()], &mut outputs).unwrap();
            assert_eq!(outputs[0].shape, [batch, SMALL.embedding]);
            pointers.push(outputs[0].data.as_ptr());
        }
        assert!(pointers.iter().all(|pointer| *pointer == pointers[0]), "{kind:?}");
    }
}

#[test]
fn bad_files_are_errors_that_name_them() {
    let folder = TempDir::new().unwrap();
    cases(&folder);
    let good = fs::read(folder.path().join("image.int8.onnx")).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let mut bad = vec![
        folder.path().join("absent.onnx"),
        folder.path().to_owned(),
        put("empty.onnx", &[]),
        put("garbage.onnx", &good.iter().map(|byte| byte ^ 0xA5).collect::<Vec<_>>()),
        put("page.onnx", b"<html>404 not found</html>"),
        put("zeros.onnx", &[0; 4096]),
    ];
    for length in [1, 2, 10, 100, good.len() / 4, good.len() / 2, good.len() - 1] {
        bad.push(put(&format!("cut.{length}.onnx"), &good[..length]));
    }
    for kind in ENGINES {
        for path in &bad {
            let error = load(kind, path, ONE).err().unwrap_or_else(|| panic!("{kind:?} loads {}", path.display()));
            println!("{kind:?}: {error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert!(matches!(error, EngineError::Load { .. }));
        }
    }
}

/// Bytes changed here and there: an error or a session, whose run is an error or tensors; nothing else.
#[test]
fn damaged_files_do_not_take_the_process_along() {
    let folder = TempDir::new().unwrap();
    let clip = Clip { image: Tower { width: 16, layers: 1, heads: 1 }, ..SMALL };
    let path = folder.path().join("tiny.onnx");
    write(Recipe { clip, precision: Precision::Int8, seed: 1 }.image_tower(), &path);
    let good = fs::read(&path).unwrap();
    for kind in ENGINES {
        let mut refused = 0;
        for round in 0..60_usize {
            let mut bytes = good.clone();
            // The graph comes first, its weights behind: most changes hit names, operators, shapes and lengths.
            for change in 0..3 {
                let at = (round * 7919 + change * 104_729) % 6000;
                bytes[at] = bytes[at].wrapping_add(1 + (round % 7) as u8);
            }
            fs::write(&path, &bytes).unwrap();
            match load(kind, &path, ONE) {
                Ok(mut session) => {
                    let fed = feed(&*session, 1);
                    let inputs: Vec<Input<'_>> = fed.iter().map(Fed::input).collect();
                    let _ = session.run(&inputs, &mut Vec::new());
                }
                Err(EngineError::Load { .. }) => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
        println!("{kind:?} refused {refused} of 60");
        assert!(refused > 0);
    }
}

#[test]
fn bad_inputs_are_errors_and_the_session_lives_on() {
    let folder = TempDir::new().unwrap();
    cases(&folder);
    for kind in ENGINES {
        let mut session = load(kind, &folder.path().join("text.f32.onnx"), ONE).unwrap();
        let good = Input::I64 { shape: &[1, 3], data: &[1, 5, 99] };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        session.run(&[good], &mut before).unwrap();
        let mut refused = |input: Input<'_>, part: &str| {
            let error = session.run(&[input], &mut Vec::new()).unwrap_err();
            assert!(matches!(error, EngineError::Run { .. }));
            assert!(error.to_string().contains(part), "{kind:?}: {error}");
        };
        refused(Input::I64 { shape: &[3], data: &[1, 5, 99] }, "input_ids is [?, ?]");
        refused(Input::F32 { shape: &[1, 3], data: &[0.0; 3] }, "is I64, not F32");
        // No such token.
        refused(Input::I64 { shape: &[1, 3], data: &[1, 100, 2] }, "text.f32.onnx");
        // More tokens than positions.
        refused(Input::I64 { shape: &[1, 17], data: &[1; 17] }, "text.f32.onnx");
        session.run(&[good], &mut after).unwrap();
        assert_eq!(before, after);
    }
}

#[test]
fn an_engine_says_what_it_runs_on() {
    for (kind, word) in [(EngineKind::Cpu, "rten"), (EngineKind::Tract, "tract")] {
        let text = engine(kind).describe(Options { threads: 2 });
        println!("{text}");
        assert!(text.starts_with(word) && text.ends_with("2 threads"), "{text}");
    }
}
