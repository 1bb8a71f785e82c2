//! The `rknn` engine: the NPU of a Rockchip chip, through Rockchip's own runtime.
//!
//! The runtime is a closed library, `librknnrt.so`, which is looked up when the engine is made and not linked: one program
//! runs with and without it. It reads `.rknn` files, made for one chip by `board/rockchip/convert.py`; models that a pack
//! has only as ONNX (text towers, mostly) run on the processor.
//!
//! Why no crate: `rknn-rs` wants bindgen and links the library; `rknpu2` 0.0.9 loads it, and is unsafe code of 6000
//! lines for the dozen calls that are made here, with no check of what it loaded.

mod fault;
mod layout;
mod session;
mod sys;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;
use std::sync::Arc;

use super::cpu::Cpu;
use super::guard::guarded;
use super::{Engine, EngineError, Model, ModelBytes, Options, Session};
use crate::board::{Identity, Soc, Tree};
use session::RknnSession;
use sys::Runtime;

/// Where the dynamic linker looks for it: /usr/lib, what /etc/ld.so.conf names, `LD_LIBRARY_PATH`.
const LIBRARY: &str = "librknnrt.so";
/// What a `.rknn` file begins with.
const MAGIC: &[u8] = b"RKNN";

/// Rockchip's NPU, or why there is none.
pub struct Rknn {
    runtime: Result<Arc<Runtime>, String>,
    soc: Soc,
    cpu: Cpu,
}

impl Default for Rknn {
    fn default() -> Self {
        let identity = Identity::read(&Tree::default());
        match identity.soc.npu() {
            Some(_) => Self::with(LIBRARY.as_ref(), identity.soc),
            None => {
                let chip = identity.chip.or(identity.model).unwrap_or_else(|| "this machine".into());
                let reason = format!(
                    "{chip} has no NPU that Rockchip's runtime drives (rk3588, rk3576, rk3568, rk3566, rk3562 have); \
                     set pack.engine = \"cpu\" or \"auto\""
                );
                Self { runtime: Err(reason), soc: identity.soc, cpu: Cpu::default() }
            }
        }
    }
}

impl Rknn {
    /// On the chip `soc`, with the library of that name or path.
    fn with(library: &OsStr, soc: Soc) -> Self {
        let runtime = Runtime::open(library).map_err(|reason| {
            format!(
                "Rockchip's runtime cannot be loaded: {reason}; copy librknnrt.so from Rockchip's rknn-toolkit2 to \
                 /usr/lib (board/rockchip.md says how), or set pack.engine = \"cpu\""
            )
        });
        Self { runtime, soc, cpu: Cpu::default() }
    }

    fn open(&self, model: &Model, options: Options) -> Result<RknnSession, String> {
        let runtime = self.runtime.as_ref().map_err(Clone::clone)?;
        let mut bytes = match &model.bytes {
            ModelBytes::Static(bytes) => bytes.to_vec(),
            ModelBytes::Made(bytes) => bytes.clone(),
            ModelBytes::File(path) => fs::read(path).map_err(|error| format!("cannot be read: {error}"))?,
        };
        if !bytes.starts_with(MAGIC) {
            return Err("is no .rknn file; convert the model with board/rockchip/convert.py".into());
        }
        RknnSession::new(
            &model.name,
            runtime,
            &mut bytes,
            options.threads.clamp(1, self.soc.npu_cores().max(1)),
        )
    }
}

impl Engine for Rknn {
    fn name(&self) -> &'static str {
        self.soc.npu().unwrap_or("rknn")
    }

    fn reads(&self) -> &'static str {
        "rknn"
    }

    fn missing(&self) -> Option<&str> {
        self.runtime.as_ref().err().map(String::as_str)
    }

    fn describe(&self, options: Options) -> String {
        let cores = options.threads.clamp(1, self.soc.npu_cores().max(1));
        let cpu = self.cpu.describe(options);
        format!("{}'s NPU, {cores} of its cores; what is not converted for it on {cpu}", self.name())
    }

    fn load(&self, model: &Model, options: Options) -> Result<Box<dyn Session>, EngineError> {
        if !model.name.ends_with(".rknn") {
            return self.cpu.load(model, options);
        }
        match guarded(|| self.open(model, options)) {
            Ok(session) => Ok(Box::new(session)),
            Err(reason) => Err(EngineError::Load { model: model.name.clone(), reason }),
        }
    }
}
