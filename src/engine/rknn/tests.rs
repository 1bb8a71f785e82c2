//! The binding, on a stand-in for Rockchip's runtime that a C compiler makes when the tests run.

use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::sys::{Handle, InOutNum, RawInput, RawOutput, TensorMem};
use super::sys::{SdkVersion, TensorAttr};
use super::*;
use crate::engine::{Input, Tensor};

/// The library, made once; none if there is no compiler.
fn standin() -> Option<&'static Path> {
    static MADE: OnceLock<Option<(tempfile::TempDir, PathBuf)>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("librknnrt.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/rknn/standin.c");
        let mut compiler = Command::new(std::env::var("CC").unwrap_or_else(|_| "cc".into()));
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-o"]).arg(&library);
        // Rockchip's own header, to lay the structures out by that.
        if let Ok(header) = std::env::var("WATCHWORD_RKNN_HEADER") {
            compiler.arg(format!("-DRKNN_HEADER=\"{header}\""));
        }
        let output = compiler.arg(&source).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some((folder, library))
    });
    if made.is_none() {
        println!("skipped: there is no C compiler (Debian: gcc)");
    }
    made.as_ref().map(|(_, library)| library.as_path())
}

/// What a model of these words does on `soc`.
struct Bench {
    engine: Rknn,
    cores: usize,
}

impl Bench {
    fn new(soc: Soc) -> Option<Self> {
        Some(Self { engine: Rknn::with(standin()?.as_os_str(), soc), cores: 8 })
    }

    fn load(&self, words: &str) -> Result<Box<dyn Session>, String> {
        let bytes: &'static [u8] = format!("RKNN {words} ").leak().as_bytes();
        let model = Model { name: "tower.rknn".into(), bytes: ModelBytes::Static(bytes) };
        self.engine.load(&model, Options::of(self.cores)).map_err(|error| error.to_string())
    }

    /// Loads, and runs `rows` pictures of 2 × 3.
    fn run(&self, words: &str, rows: usize) -> Result<[Tensor; 2], String> {
        let mut session = self.load(words)?;
        run(&mut *session, rows)
    }
}

/// Picture `row` holds `row`, + 10 in its second channel, + 20 in its third.
fn pictures(rows: usize) -> Vec<f32> {
    (0..rows).flat_map(|row| (0..18).map(move |i| row as f32 + (i / 6 * 10) as f32)).collect()
}

fn run(session: &mut dyn Session, rows: usize) -> Result<[Tensor; 2], String> {
    let mut outputs = Vec::new();
    let (shape, data) = ([rows, 3, 2, 3], pictures(rows));
    session
        .run(&[Input::F32 { shape: &shape, data: &data }], &mut outputs)
        .map_err(|error| error.to_string())?;
    Ok(outputs.try_into().unwrap())
}

#[test]
fn structures_are_laid_out_as_in_c() {
    let Some(library) = standin() else { return };
    let ours = [
        size_of::<InOutNum>(),
        size_of::<SdkVersion>(),
        offset_of!(SdkVersion, driver),
        size_of::<TensorAttr>(),
        offset_of!(TensorAttr, dims),
        offset_of!(TensorAttr, name),
        offset_of!(TensorAttr, n_elems),
        offset_of!(TensorAttr, size),
        offset_of!(TensorAttr, fmt),
        offset_of!(TensorAttr, kind),
        offset_of!(TensorAttr, qnt_type),
        offset_of!(TensorAttr, fl),
        offset_of!(TensorAttr, zp),
        offset_of!(TensorAttr, scale),
        offset_of!(TensorAttr, w_stride),
        offset_of!(TensorAttr, size_with_stride),
        offset_of!(TensorAttr, pass_through),
        offset_of!(TensorAttr, h_stride),
        size_of::<TensorMem>(),
        offset_of!(TensorMem, size),
        offset_of!(TensorMem, priv_data),
        size_of::<RawInput>(),
        offset_of!(RawInput, buf),
        offset_of!(RawInput, size),
        offset_of!(RawInput, pass_through),
        offset_of!(RawInput, kind),
        offset_of!(RawInput, fmt),
        size_of::<RawOutput>(),
        offset_of!(RawOutput, index),
        offset_of!(RawOutput, buf),
        offset_of!(RawOutput, size),
        size_of::<Handle>(),
    ]
    .map(|size| size as u64);
    assert_eq!(super::sys::standin::layout(library, ours.len()), ours);
    // What Rockchip's own library (librknn_api.so of rknn-toolkit2 2.5.0) takes for the right sizes of answers.
    assert_eq!((size_of::<InOutNum>(), size_of::<TensorAttr>(), size_of::<SdkVersion>()), (8, 376, 512));
}

#[test]
fn pictures_reach_the_npu_as_planes_pixels_halves_and_bytes() {
    let Some(bench) = Bench::new(Soc::Rk3588) else { return };
    for (words, bound) in [
        ("type=fp16", 1.0),
        ("type=fp16 stride=16", 1.0),
        ("type=int8", 1.0),
        ("type=int8 stride=16", 1.0),
        ("type=fp16 planes=1", 0.0),
        ("type=fp32", 0.0),
    ] {
        let [mean, seen] = bench.run(words, 1).unwrap();
        assert_eq!(mean, Tensor { shape: vec![1, 3], data: vec![0.0, 10.0, 20.0] }, "{words}");
        assert_eq!(seen.data[1..], [0.0, bound], "{words}");
    }
}

#[test]
fn ports_are_those_of_the_other_engines() {
    let Some(bench) = Bench::new(Soc::Rk3588) else { return };
    let session = bench.load("height=5").unwrap();
    let [input] = session.inputs() else { panic!("one input") };
    assert_eq!(
        (input.name.as_str(), &input.shape[..]),
        ("pixel_values", &[None, Some(3), Some(5), Some(3)][..])
    );
    let names: Vec<_> =
        session.outputs().iter().map(|port| (port.name.as_str(), port.shape.clone())).collect();
    assert_eq!(names, [("mean", vec![None, Some(3)]), ("seen", vec![None, Some(3)])]);
}

#[test]
fn rows_are_spread_over_the_cores_that_there_are() {
    for (soc, cores) in [(Soc::Rk3588, 3), (Soc::Rk3576, 2), (Soc::Rk3568, 1)] {
        let Some(mut bench) = Bench::new(soc) else { return };
        let mut session = bench.load("").unwrap();
        for rows in [1, 7, 2, 1] {
            let [mean, seen] = run(&mut *session, rows).unwrap();
            let expected: Vec<f32> =
                (0..rows).flat_map(|row| [0.0, 10.0, 20.0].map(|x| x + row as f32)).collect();
            assert_eq!(mean, Tensor { shape: vec![rows, 3], data: expected }, "{soc:?}");
            let masks: Vec<f32> = seen.data.chunks(3).map(|row| row[0]).collect();
            if rows == 7 && cores > 1 {
                let wanted: Vec<f32> = (0..7).map(|row| (1 << (row % cores)) as f32).collect();
                assert_eq!(masks, wanted, "{soc:?}");
            }
        }
        // As many as are asked for, if fewer.
        bench.cores = 1;
        let [_, seen] = bench.run("", 5).unwrap();
        assert!(seen.data.chunks(3).all(|row| row[0] == 0.0), "left to the runtime");
    }
}

#[test]
fn one_core_serves_where_there_are_no_more() {
    let Some(bench) = Bench::new(Soc::Rk3588) else { return };
    for words in ["fail=dup_context:-4", "fail=set_core_mask:-1"] {
        let [mean, _] = bench.run(words, 4).unwrap();
        assert_eq!(
            mean.data.chunks(3).map(|row| row[0]).collect::<Vec<_>>(),
            [0.0, 1.0, 2.0, 3.0],
            "{words}"
        );
    }
}

#[test]
fn failures_name_the_call_the_versions_and_the_remedy() {
    let Some(bench) = Bench::new(Soc::Rk3588) else { return };
    for (words, parts) in [
        ("fail=init:-6", &["rknn_init gave -6", "newer toolkit"][..]),
        ("fail=init:-13", &["another chip", "--target"]),
        ("fail=init:-3", &["cannot be used", "group render"]),
        ("fail=query:-5", &["rknn_query gave -5"]),
        ("fail=create_mem:-4", &["rknn_create_mem gave -4", "librknnrt 2.3.2", "driver 0.9.8"]),
        ("fail=set_io_mem:-5", &["rknn_set_io_mem gave -5"]),
        ("int64=1", &["pixel_values is of type 8", "text towers"]),
        ("wrong=1", &["[1, 3, 3, 3] and to have 18 elements"]),
        ("api=1.3.0", &["librknnrt 1.3.0", "too old", "update"]),
        ("api=rubbish", &["too old"]),
        ("fail=run:-2", &["rknn_run gave -2", "took too long", "dmesg"]),
        ("fail=outputs_get:-1 type=fp32", &["rknn_outputs_get gave -1", "RKNN_LOG_LEVEL"]),
        ("fail=inputs_set:-8 type=fp32", &["rknn_inputs_set gave -8"]),
    ] {
        let error = bench.run(words, 1).unwrap_err();
        for part in parts.iter().chain([&"tower.rknn"]) {
            assert!(error.contains(part), "{words}: {part:?} is not in {error}");
        }
    }
    // An old driver is a warning only.
    assert!(bench.run("driver=0.8.2", 1).is_ok());
}

#[test]
fn a_run_that_fails_on_one_core_fails_and_the_session_lives_on() {
    let Some(bench) = Bench::new(Soc::Rk3588) else { return };
    let mut session = bench.load("fail2=run:-1").unwrap();
    assert!(run(&mut *session, 1).is_ok());
    assert!(run(&mut *session, 3).unwrap_err().contains("rknn_run gave -1"), "the first core's second run");
    let mut session = bench.load("").unwrap();
    let wrong = session.run(&[Input::F32 { shape: &[1, 3, 3, 2], data: &[0.0; 18] }], &mut Vec::new());
    assert!(wrong.unwrap_err().to_string().contains("pixel_values is [?, 3, 2, 3]"));
    assert!(session.run(&[Input::F32 { shape: &[0, 3, 2, 3], data: &[] }], &mut Vec::new()).is_ok());
    assert_eq!(run(&mut *session, 2).unwrap()[0].shape, [2, 3]);
}

#[test]
fn everything_that_was_made_is_destroyed() {
    let Some(library) = standin() else { return };
    // The count is the library's, and other tests use it at the same time: a copy of its own.
    static COPY: Mutex<()> = Mutex::new(());
    let _one = COPY.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("librknnrt.so");
    fs::copy(library, &copy).unwrap();
    let bench = Bench { engine: Rknn::with(copy.as_os_str(), Soc::Rk3588), cores: 3 };
    for words in
        ["", "fail=set_io_mem:-5", "fail2=set_core_mask:-1", "fail=query:-1", "api=1.0.0", "type=fp32"]
    {
        _ = bench.run(words, 5);
        assert_eq!(super::sys::standin::living(&copy), 0, "{words}");
    }
    let session = bench.load("");
    assert_eq!(super::sys::standin::living(&copy), 4, "a context and its buffers");
    drop(session);
}

#[test]
fn without_a_runtime_or_an_npu_it_says_what_to_do() {
    let engine = Rknn::with("librknnrt-that-is-not-there.so".as_ref(), Soc::Rk3588);
    assert!(engine.missing().is_some());
    let model = Model { name: "x.rknn".into(), bytes: ModelBytes::Static(b"RKNN") };
    let error = engine.load(&model, Options::of(1)).err().unwrap().to_string();
    assert!(error.contains("librknnrt-that-is-not-there.so") && error.contains("pack.engine"), "{error}");
    // Another library under its name: the C library of this system.
    let engine = Rknn::with("libc.so.6".as_ref(), Soc::Rk3588);
    let error = engine.load(&model, Options::of(1)).err().unwrap().to_string();
    assert!(error.contains("rknn_init"), "{error}");
    if Identity::read(&Tree::default()).soc.npu().is_none() {
        let error = Rknn::default().load(&model, Options::of(1)).err().unwrap().to_string();
        assert!(error.contains("has no NPU"), "{error}");
    }
    let Some(bench) = Bench::new(Soc::Rk3588) else { return };
    let model = Model { name: "x.rknn".into(), bytes: ModelBytes::Static(b"\x08\x07onnx") };
    let error = bench.engine.load(&model, Options::of(1)).err().unwrap().to_string();
    assert!(error.contains("convert.py"), "{error}");
}
