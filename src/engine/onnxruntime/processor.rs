//! The `onnxruntime` engine: the processor, by ONNX Runtime. Faster than `cpu` where its int8 kernels fit the processor, for
//! more memory and a library to be installed beside the program; benches/RESULTS.md has both.

use super::super::guard::guarded;
use super::super::outline;
use super::super::{Engine, EngineError, Model, Options, Session};
use super::session::OnnxSession;
use super::{Provider, environment};

/// ONNX Runtime on the processor, or why there is none.
pub struct OnnxRuntime {
    missing: Option<String>,
}

impl Default for OnnxRuntime {
    fn default() -> Self {
        Self { missing: guarded(|| environment().map(drop)).err() }
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> &'static str {
        "onnxruntime"
    }

    fn describe(&self, options: Options) -> String {
        format!("ONNX Runtime on the processor, {} threads", options.threads)
    }

    fn missing(&self) -> Option<&str> {
        self.missing.as_deref()
    }

    fn load(&self, model: &Model, options: Options) -> Result<Box<dyn Session>, EngineError> {
        let open = || {
            // As for the other engines: what it says of a damaged file.
            outline::check(&model.bytes)?;
            OnnxSession::new(environment()?, model, options, Provider::Processor)
        };
        match guarded(open) {
            Ok(session) => Ok(Box::new(session)),
            Err(reason) => Err(EngineError::Load { model: model.name.clone(), reason }),
        }
    }
}
