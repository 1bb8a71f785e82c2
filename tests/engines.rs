//! One suite, run on every engine that this machine has; and every engine against the first.
//!
//! Cases: operators as detectors and towers use them (tests/models/ops), small random CLIP towers (f32 and int8), the nano
//! pack's own networks, and `../shared/data/models` if it is there. How near an engine must come, and what it need not
//! do, stands in [`RUNTIMES`] and nowhere else.
//!
//! An engine that does not read ONNX is given the nano pack as `board/rockchip/convert.py` writes it, on its own board:
//!
//!     WATCHWORD_CONVERTED=nano-rk3588 cargo test --release --test engines

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use watchword::config::EngineKind;
use watchword::engine::{
    Element, EngineError, Input, Model, ModelBytes, Options, Port, Session, Tensor, engine,
};
use watchword::pack::architecture::{Clip, Graph, Precision, Recipe, Tower};

/// An engine in the suite.
struct Runtime {
    kind: EngineKind,
    /// Greatest difference of an operator's or an exact network's values from what they should be.
    difference: f32,
    /// Lowest cosine of a network with int8 or fp16 in it, whose roundings may fall to either side.
    cosine: f64,
    /// Cases that it need not pass, and why.
    exceptions: &'static [(&'static str, &'static str)],
}

/// The first is what the others are compared with.
const RUNTIMES: [Runtime; 5] = [
    Runtime { kind: EngineKind::Cpu, difference: 1e-3, cosine: 0.998, exceptions: &[] },
    Runtime { kind: EngineKind::Tract, difference: 1e-3, cosine: 0.998, exceptions: &[] },
    Runtime { kind: EngineKind::OnnxRuntime, difference: 1e-3, cosine: 0.998, exceptions: &[] },
    // fp16 where TensorRT likes it.
    Runtime { kind: EngineKind::Cuda, difference: 1e-2, cosine: 0.998, exceptions: &[] },
    // Everything is fp16 there.
    Runtime { kind: EngineKind::Rknn, difference: 2e-2, cosine: 0.99, exceptions: &[] },
];

impl Runtime {
    /// Those that this machine has; the others are named.
    fn here() -> impl Iterator<Item = &'static Self> {
        RUNTIMES.iter().filter(|runtime| {
            let engine = engine(runtime.kind);
            engine.missing().is_none_or(|why| {
                println!("skipped: {:?}: {why}", runtime.kind);
                false
            })
        })
    }

    /// Those of them that read ONNX.
    fn of_onnx() -> impl Iterator<Item = EngineKind> {
        Self::here().map(|runtime| runtime.kind).filter(|kind| engine(*kind).reads() == "onnx")
    }

    /// The case for this engine; `None`, with a message, if it is excepted or there is no such file.
    fn load(&self, case: &Case) -> Option<Box<dyn Session>> {
        if let Some((_, why)) = self.exceptions.iter().find(|(name, _)| *name == case.name) {
            println!("excepted: {} on {:?}: {why}", case.name, self.kind);
            return None;
        }
        let engine = engine(self.kind);
        if engine.reads() == "onnx" {
            return Some(load(self.kind, &case.path, ONE).unwrap());
        }
        // image.int8.onnx → image.fp16.rk3588.rknn
        let network = case.name.strip_prefix("models/nano/").and_then(|file| file.split('.').next());
        let converted = std::env::var_os("WATCHWORD_CONVERTED").zip(network).and_then(|(folder, network)| {
            let ending = format!(".{}.{}", engine.name(), engine.reads());
            let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            files.find(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                name.starts_with(network) && name.ends_with(&ending)
            })
        });
        if converted.is_none() {
            println!("skipped: {} on {:?}: not in WATCHWORD_CONVERTED", case.name, self.kind);
        }
        converted.map(|path| load(self.kind, &path, ONE).unwrap())
    }

    /// Exact values to the difference that is allowed; roughly computed ones by direction.
    fn assert_agree(&self, what: &str, exact: bool, a: &[f32], b: &[f32]) {
        let exact = exact && engine(self.kind).reads() == "onnx";
        assert_agree(&format!("{what} on {:?}", self.kind), exact, self.difference, self.cosine, a, b);
    }
}

/// Lowest cosine of an engine with itself, where int8 is rounded.
const ROUNDED: f64 = 0.998;
const ONE: Options = Options { threads: 1, prepack: true };

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

type Make = fn(&Recipe) -> Graph;

/// The small towers, written to `folder`, and the published models that are there.
fn cases(folder: &TempDir) -> Vec<Case> {
    let towers: [(&str, Make); 2] = [("image", Recipe::image_tower), ("text", Recipe::text_tower)];
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

fn assert_agree(what: &str, exact: bool, tolerance: f32, lowest: f64, a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len(), "{what}");
    if exact {
        let difference = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{what}: greatest difference {difference:.1e}");
        assert!(difference <= tolerance, "{what}: {difference}");
    } else {
        let cosine = cosine(a, b);
        println!("{what}: cosine {cosine:.6}");
        assert!(cosine >= lowest, "{what}: {cosine}");
    }
}

/// What sets the first row of two apart from the second. Random towers say much the same of any picture: two embeddings
/// can point one way although one engine never looked at the picture.
fn contrast(output: &Tensor) -> Vec<f32> {
    let (first, second) = output.data.split_at(output.data.len() / 2);
    first.iter().zip(second).map(|(a, b)| a - b).collect()
}

#[test]
fn operators_give_what_onnxruntime_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/ops");
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let shape = |tensor: &serde_json::Value| -> Vec<usize> {
        tensor["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
    };
    for (name, wanted) in expected.as_object().unwrap() {
        let case = Case { name: name.clone(), path: folder.join(format!("{name}.onnx")), exact: true };
        for runtime in Runtime::here() {
            let Some(mut session) = runtime.load(&case) else { continue };
            let mut outputs = Vec::new();
            let (data, x) = (floats(&wanted["x"]["data"]), shape(&wanted["x"]));
            session.run(&[Input::F32 { shape: &x, data: &data }], &mut outputs).unwrap();
            assert_eq!(outputs[0].shape, shape(&wanted["y"]), "{name} on {:?}", runtime.kind);
            runtime.assert_agree(name, true, &outputs[0].data, &floats(&wanted["y"]["data"]));
        }
    }
}

fn floats(value: &serde_json::Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

#[test]
fn the_engines_agree() {
    let folder = TempDir::new().unwrap();
    for case in cases(&folder) {
        let mut first = RUNTIMES[0].load(&case).unwrap();
        for runtime in Runtime::here().skip(1) {
            let Some(mut other) = runtime.load(&case) else { continue };
            let shapes = |session: &dyn Session| -> Vec<Port> { session.inputs().to_vec() };
            if engine(runtime.kind).reads() == "onnx" {
                assert_eq!(shapes(&*first), shapes(&*other), "{} on {:?}", case.name, runtime.kind);
            }
            let fed = feed(&*first, 2);
            let (a, b) = (run(&mut *first, &fed), run(&mut *other, &fed));
            assert_eq!(a.len(), b.len());
            for ((a, b), (of_first, of_other)) in
                a.iter().zip(&b).zip(first.outputs().iter().zip(other.outputs()))
            {
                assert_eq!(of_first.name, of_other.name);
                assert_eq!(a.shape, b.shape);
                runtime.assert_agree(
                    &format!("{} {}", case.name, of_first.name),
                    case.exact,
                    &a.data,
                    &b.data,
                );
                if a.shape[0] == 2 {
                    let what = format!("{} {}, between rows", case.name, of_first.name);
                    runtime.assert_agree(&what, case.exact, &contrast(a), &contrast(b));
                }
            }
        }
    }
}

#[test]
fn a_batch_is_its_pictures() {
    let folder = TempDir::new().unwrap();
    for case in cases(&folder) {
        for kind in Runtime::of_onnx() {
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
                    assert_agree(&what, case.exact, 1e-4, ROUNDED, part, &alone[0].data);
                }
            }
        }
    }
}

#[test]
fn threads_and_prepacking_change_nothing() {
    let folder = TempDir::new().unwrap();
    for case in cases(&folder) {
        for kind in Runtime::of_onnx() {
            let [plain, others @ ..] =
                [ONE, Options::of(2), Options { prepack: false, ..ONE }].map(|options| {
                    let mut session = load(kind, &case.path, options).unwrap();
                    let fed = feed(&*session, 2);
                    (options, run(&mut *session, &fed))
                });
            for (options, other) in others {
                let what = format!("{} on {kind:?}, {options:?}", case.name);
                assert_agree(&what, case.exact, 1e-4, ROUNDED, &plain.1[0].data, &other[0].data);
            }
        }
    }
}

#[test]
fn int8_follows_f32() {
    let folder = TempDir::new().unwrap();
    cases(&folder);
    for kind in Runtime::of_onnx() {
        for tower in ["image", "text"] {
            let [exact, rounded] = ["f32", "int8"].map(|word| {
                let mut session =
                    load(kind, &folder.path().join(format!("{tower}.{word}.onnx")), ONE).unwrap();
                let fed = feed(&*session, 2);
                run(&mut *session, &fed).remove(0)
            });
            assert_agree(&format!("{tower} on {kind:?}"), false, 0.0, ROUNDED, &exact.data, &rounded.data);
            let cosine = cosine(&contrast(&exact), &contrast(&rounded));
            println!("{tower} on {kind:?}, between rows: cosine {cosine:.5}");
            assert!(cosine >= 0.98, "{tower} on {kind:?}: {cosine}");
        }
    }
}

/// Models as onnxruntime quantises them, and what it makes of them: see tests/models/make.py.
#[test]
fn models_quantised_by_onnxruntime_give_what_it_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let expected: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    let x = floats(&expected["x"]);
    for kind in Runtime::of_onnx() {
        for name in ["dynamic", "pairs"] {
            let bytes: &'static [u8] = fs::read(folder.join(format!("{name}.onnx"))).unwrap().leak();
            let model = Model { name: name.into(), bytes: ModelBytes::Static(bytes) };
            let mut session = engine(kind).load(&model, ONE).unwrap();
            let mut outputs = Vec::new();
            session.run(&[Input::F32 { shape: &[2, 3, 8, 8], data: &x }], &mut outputs).unwrap();
            assert_eq!(outputs[0].shape, [2, 5]);
            assert_agree(
                &format!("{name} on {kind:?}"),
                false,
                0.0,
                ROUNDED,
                &outputs[0].data,
                &floats(&expected[name]["y"]),
            );
            // Integers come as floats.
            assert_eq!(outputs[1], Tensor { shape: vec![2], data: floats(&expected[name]["best"]) });
            assert_eq!(session.outputs()[1].element, Element::I64);
        }
    }
}

#[test]
fn outputs_keep_their_memory() {
    let folder = TempDir::new().unwrap();
    cases(&folder);
    for kind in Runtime::of_onnx() {
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
    for kind in Runtime::of_onnx() {
        for path in &bad {
            let error =
                load(kind, path, ONE).err().unwrap_or_else(|| panic!("{kind:?} loads {}", path.display()));
            println!("{kind:?}: {error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert!(matches!(error, EngineError::Load { .. }));
        }
    }
}

/// A bit changed here and there: an error or a session, whose run is an error or tensors; nothing else. (Not against
/// malice: an axis of -2⁵⁶ keeps tract busy for ever. That is what a pack's hashes are for.)
#[test]
fn damaged_files_do_not_take_the_process_along() {
    let folder = TempDir::new().unwrap();
    let clip = Clip { image: Tower { width: 16, layers: 1, heads: 1 }, ..SMALL };
    let path = folder.path().join("tiny.onnx");
    write(Recipe { clip, precision: Precision::Int8, seed: 1 }.image_tower(), &path);
    let good = fs::read(&path).unwrap();
    for kind in Runtime::of_onnx() {
        let mut refused = 0;
        for round in 0..140_usize {
            let mut bytes = good.clone();
            // The graph comes first, its weights behind: changes hit names, operators, shapes and lengths.
            let at = (round * 7919) % 6000;
            bytes[at] ^= 1 << (round % 8);
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
        println!("{kind:?} refused {refused} of 140");
        assert!(refused > 70 && refused < 140);
    }
}

#[test]
fn bad_inputs_are_errors_and_the_session_lives_on() {
    let folder = TempDir::new().unwrap();
    cases(&folder);
    for kind in Runtime::of_onnx() {
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
        let text = engine(kind).describe(Options::of(2));
        println!("{text}");
        assert!(text.starts_with(word) && text.ends_with("2 threads"), "{text}");
    }
}
