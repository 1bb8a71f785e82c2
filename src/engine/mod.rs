//! Where networks run: one trait, one file per runtime.
//!
//! Knows tensors and model bytes; has never heard of pictures, people or words. A model's input layout is known
//! to this module and to [`crate::pack`] alone.

#[cfg(any(test, not(feature = "tract")))]
mod absent;
mod bytes;
mod carried;
mod conv_integer;
mod cpu;
mod guard;
mod kernels;
mod onnxruntime;
mod outline;
mod rknn;
#[cfg(feature = "tract")]
mod tract;
mod weights;

pub use bytes::ModelBytes;

use crate::config::EngineKind;

/// The processor's runtimes in this program.
pub const KINDS: &[EngineKind] = &[
    EngineKind::Cpu,
    #[cfg(feature = "tract")]
    EngineKind::Tract,
];

/// The runtime that the configuration names; one that is not in this program loads nothing. Sessions loaded by one engine
/// share its threads.
pub fn engine(kind: EngineKind) -> Box<dyn Engine> {
    match kind {
        EngineKind::Cpu => Box::new(cpu::Cpu::default()),
        #[cfg(feature = "tract")]
        EngineKind::Tract => Box::new(tract::Tract::default()),
        #[cfg(not(feature = "tract"))]
        EngineKind::Tract => Box::new(absent::Absent("tract")),
        EngineKind::OnnxRuntime => Box::new(onnxruntime::OnnxRuntime::default()),
        EngineKind::Cuda => Box::new(onnxruntime::Cuda::default()),
        EngineKind::Rknn => Box::new(rknn::Rknn::default()),
        EngineKind::Auto => {
            let (npu, gpu) = (rknn::Rknn::default(), onnxruntime::Cuda::default());
            let processor = onnxruntime::OnnxRuntime::default();
            if npu.missing().is_none() {
                Box::new(npu)
            } else if gpu.missing().is_none() {
                Box::new(gpu)
            } else if processor.missing().is_none() {
                Box::new(processor)
            } else {
                Box::new(cpu::Cpu::default())
            }
        }
    }
}

/// Bytes of a model (ONNX, or what an NPU reads) and the name to call it by in errors.
#[derive(Debug, Clone)]
pub struct Model {
    /// For messages: a path, or `nano/image.int8.onnx`.
    pub name: String,
    pub bytes: ModelBytes,
}

/// How a session is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads within one run; at least 1.
    pub threads: usize,
    /// Lays weights out for the processor when the model is loaded, and not at every run: the fewer pictures or words a run
    /// has, the more that is. Takes about the size of the weights of linear layers once more.
    pub prepack: bool,
}

impl Options {
    /// So many threads; 0 takes every core. Weights are laid out beforehand.
    pub fn of(threads: usize) -> Self {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        Self { threads, prepack: true }
    }
}

/// The element type of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    F32,
    I64,
}

/// An input or output of a model. `None` in a shape is a dimension known only at run time (the batch);
/// an empty shape is a scalar, or an output whose shape the model does not declare.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    pub name: String,
    pub element: Element,
    pub shape: Vec<Option<usize>>,
}

/// A tensor handed to a model: row-major data and its shape.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    F32 { shape: &'a [usize], data: &'a [f32] },
    I64 { shape: &'a [usize], data: &'a [i64] },
}

/// A tensor that a model produced, row-major. Kept by the caller from run to run, so that it allocates once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("model {model}: {reason}")]
    Load { model: String, reason: String },
    #[error("model {model}: {reason}")]
    Run { model: String, reason: String },
}

/// A runtime for networks.
pub trait Engine: Send + Sync {
    /// The key of the files that it reads in a pack: `cpu`, `tract`, `rk3588`, ..
    fn name(&self) -> &'static str;

    /// How the names of files end that are made for it. What a pack has not made for it runs on the processor.
    fn reads(&self) -> &'static str {
        "onnx"
    }

    /// Which hardware path it will take, for the log at start-up and for `bench`: its kernels, by name.
    fn describe(&self, options: Options) -> String;

    /// Why it cannot run anything on this machine, and what to do about it; `None` if it can.
    fn missing(&self) -> Option<&str> {
        None
    }

    /// Parses and prepares a model.
    fn load(&self, model: &Model, options: Options) -> Result<Box<dyn Session>, EngineError>;
}

/// A loaded model.
pub trait Session: Send {
    fn inputs(&self) -> &[Port];
    fn outputs(&self) -> &[Port];

    /// Runs the model on `inputs`, in the order of [`Session::inputs`], and overwrites `outputs`
    /// (in the order of [`Session::outputs`]; resized to fit, integer outputs as f32).
    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError>;
}
