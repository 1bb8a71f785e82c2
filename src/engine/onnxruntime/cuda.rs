//! The `cuda` engine: an NVIDIA GPU (a Jetson's, or a card), through ONNX Runtime with TensorRT or CUDA. Where there is no
//! library, no GPU, or a network that the GPU does not take, the processor does it (`cpu`), and the log says why.
//!
//! Why not tract's CUDA runtime, which needs no library but NVIDIA's driver: it is built for one version of CUDA, adds
//! 17 MB to the program on every board, and compiles its kernels on the box; TensorRT chooses and fuses kernels for the very
//! chip and has fp16 for all of a tower, and NVIDIA keeps both it and ONNX Runtime for its own boards.

use ort::ep::{self, ExecutionProvider};
use tracing::{info, warn};

use super::super::cpu::Cpu;
use super::super::guard::guarded;
use super::super::outline;
use super::super::{Engine, EngineError, Model, Options, Session};
use super::session::OnnxSession;
use super::{Provider, environment};

/// An NVIDIA GPU, or why there is none.
pub struct Cuda {
    /// Best first.
    providers: Vec<Provider>,
    missing: Option<String>,
    cpu: Cpu,
}

impl Default for Cuda {
    fn default() -> Self {
        let found = guarded(|| {
            environment()?;
            providers()
        });
        let (providers, missing) = match found {
            Ok(providers) => (providers, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        Self { providers, missing, cpu: Cpu::default() }
    }
}

/// What this ONNX Runtime was built with.
fn providers() -> Result<Vec<Provider>, String> {
    let has = |available: ort::Result<bool>| available.unwrap_or(false);
    let mut found = Vec::new();
    if has(ep::TensorRT::is_available()) {
        found.push(Provider::TensorRt);
    }
    if has(ep::CUDA::is_available()) {
        found.push(Provider::Cuda);
    }
    if found.is_empty() {
        return Err(
            "this ONNX Runtime was built for the processor alone; install one with TensorRT or CUDA \
                    (board/jetson.md says how)"
                .into(),
        );
    }
    Ok(found)
}

impl Cuda {
    /// On the best provider that takes the model. Each may still lack a library or a device of its own.
    fn open(&self, model: &Model, options: Options) -> Result<OnnxSession, String> {
        // As for the other engines: what it says of a damaged file.
        outline::check(&model.bytes)?;
        let environment = environment()?;
        let mut reasons = Vec::new();
        for provider in &self.providers {
            match OnnxSession::new(environment, model, options, *provider) {
                Ok(session) => {
                    info!(model = model.name, ?provider, "on the GPU");
                    return Ok(session);
                }
                Err(reason) => reasons.push(format!("{provider:?}: {}", reason.trim().replace('\n', " "))),
            }
        }
        Err(reasons.join("; "))
    }
}

impl Engine for Cuda {
    fn name(&self) -> &'static str {
        "cuda"
    }

    fn describe(&self, options: Options) -> String {
        match &self.missing {
            None => format!("ONNX Runtime on {:?}", self.providers),
            Some(_) => format!("{}, for want of a GPU", self.cpu.describe(options)),
        }
    }

    fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    fn load(&self, model: &Model, options: Options) -> Result<Box<dyn Session>, EngineError> {
        let reason = match &self.missing {
            Some(reason) => reason.clone(),
            None => match guarded(|| self.open(model, options)) {
                Ok(session) => return Ok(Box::new(session)),
                Err(reason) => reason,
            },
        };
        warn!(model = model.name, "the processor runs it, not the GPU: {reason}");
        self.cpu.load(model, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Input, ModelBytes};

    #[test]
    fn without_a_gpu_the_processor_runs_it_and_it_is_said_why() {
        let engine =
            Cuda { providers: Vec::new(), missing: Some("no GPU in this test".into()), cpu: Cpu::default() };
        assert_eq!((engine.name(), engine.missing()), ("cuda", Some("no GPU in this test")));
        assert!(engine.describe(Options::of(1)).contains("for want of a GPU"));
        let model = Model {
            name: "pairs.onnx".into(),
            bytes: ModelBytes::Static(include_bytes!("../../../tests/models/pairs.onnx")),
        };
        let mut session = engine.load(&model, Options::of(1)).unwrap();
        let mut outputs = Vec::new();
        session.run(&[Input::F32 { shape: &[1, 3, 8, 8], data: &[0.5; 192] }], &mut outputs).unwrap();
        assert_eq!(outputs[0].shape, [1, 5]);
    }
}
