//! ONNX Runtime: the engine `onnxruntime` on the processor, the engine `cuda` on an NVIDIA GPU.
//!
//! It is a shared library that is loaded when one of the engines is made and not linked: one program runs with and
//! without it, and the crate (`ort`, without its downloads) is built by cargo alone, for any target. `ORT_DYLIB_PATH`
//! names it, if it is in no place where the linker looks.

mod cache;
mod cuda;
mod processor;
mod session;

use std::path::PathBuf;
use std::sync::OnceLock;

use ort::environment::Environment;

pub use cuda::Cuda;
pub use processor::OnnxRuntime;

/// What computes, within ONNX Runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    /// TensorRT, and CUDA for what that does not know.
    TensorRt,
    Cuda,
    Processor,
}

/// ONNX Runtime, loaded once: it allows one environment in a process.
fn environment() -> Result<&'static Environment, String> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let named = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
        let names = match named {
            Some(path) => vec![path],
            None => ["libonnxruntime.so", "libonnxruntime.so.1"].map(PathBuf::from).to_vec(),
        };
        let mut reasons = Vec::new();
        for name in names {
            match ort::init_from(&name) {
                Ok(builder) => return builder.with_name("watchword").build().map_err(|error| error.to_string()),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(format!(
            "ONNX Runtime cannot be loaded: {}; install it (board/README.md says how; for a GPU board/jetson.md), and set \
             ORT_DYLIB_PATH if it is in a place of its own",
            reasons.join("; ")
        ))
    });
    made.as_ref().map_err(Clone::clone)
}
