//! The C interface of Rockchip's runtime, `librknnrt.so`, looked up when it is loaded: the only unsafe code of the
//! engines.
//!
//! Written down from rknn_api.h of airockchip/rknn-toolkit2 (2.3); a test has a C compiler lay the same structures out,
//! or those of that header itself. Nothing here has an opinion: what is called when is `context`'s business.
#![allow(unsafe_code)]

use std::error::Error;
use std::ffi::{OsStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use libloading::{Library, Symbol};

/// `rknn_context`.
#[cfg(target_arch = "arm")]
pub type Handle = u32;
#[cfg(not(target_arch = "arm"))]
pub type Handle = u64;

pub const MAX_DIMS: usize = 16;
const MAX_NAME: usize = 256;

/// `rknn_query_cmd`
pub const QUERY_IN_OUT_NUM: c_int = 0;
pub const QUERY_INPUT_ATTR: c_int = 1;
pub const QUERY_OUTPUT_ATTR: c_int = 2;
pub const QUERY_SDK_VERSION: c_int = 5;
pub const QUERY_NATIVE_INPUT_ATTR: c_int = 8;

/// `rknn_tensor_type`
pub const FLOAT32: c_int = 0;
pub const FLOAT16: c_int = 1;
pub const INT8: c_int = 2;
pub const UINT8: c_int = 3;

/// `rknn_tensor_format`
pub const NCHW: c_int = 0;
pub const NHWC: c_int = 1;

/// `rknn_tensor_qnt_type`: affine, asymmetric.
pub const AFFINE: c_int = 2;

/// `rknn_input_output_num`
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct InOutNum {
    pub inputs: u32,
    pub outputs: u32,
}

/// `rknn_sdk_version`
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SdkVersion {
    pub api: [c_char; 256],
    pub driver: [c_char; 256],
}

/// `rknn_tensor_attr`
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TensorAttr {
    pub index: u32,
    pub n_dims: u32,
    pub dims: [u32; MAX_DIMS],
    pub name: [c_char; MAX_NAME],
    pub n_elems: u32,
    /// Bytes.
    pub size: u32,
    pub fmt: c_int,
    pub kind: c_int,
    pub qnt_type: c_int,
    pub fl: i8,
    pub zp: i32,
    pub scale: f32,
    /// Elements from one row of a picture to the next; 0: its width.
    pub w_stride: u32,
    pub size_with_stride: u32,
    pub pass_through: u8,
    pub h_stride: u32,
}

impl Default for TensorAttr {
    fn default() -> Self {
        Self {
            index: 0,
            n_dims: 0,
            dims: [0; MAX_DIMS],
            name: [0; MAX_NAME],
            n_elems: 0,
            size: 0,
            fmt: 0,
            kind: 0,
            qnt_type: 0,
            fl: 0,
            zp: 0,
            scale: 0.0,
            w_stride: 0,
            size_with_stride: 0,
            pass_through: 0,
            h_stride: 0,
        }
    }
}

/// `rknn_tensor_mem`
#[repr(C)]
#[derive(Debug)]
pub struct TensorMem {
    pub virt_addr: *mut c_void,
    pub phys_addr: u64,
    pub fd: i32,
    pub offset: i32,
    pub size: u32,
    pub flags: u32,
    pub priv_data: *mut c_void,
}

/// `rknn_input`
#[repr(C)]
#[derive(Debug)]
pub struct RawInput {
    pub index: u32,
    pub buf: *mut c_void,
    pub size: u32,
    pub pass_through: u8,
    pub kind: c_int,
    pub fmt: c_int,
}

/// `rknn_output`
#[repr(C)]
#[derive(Debug)]
pub struct RawOutput {
    pub want_float: u8,
    pub is_prealloc: u8,
    pub index: u32,
    pub buf: *mut c_void,
    pub size: u32,
}

/// A code of the runtime's that is not `RKNN_SUCC`, and the call that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    pub call: &'static str,
    pub code: c_int,
}

fn checked(call: &'static str, code: c_int) -> Result<(), Failed> {
    if code == 0 { Ok(()) } else { Err(Failed { call, code }) }
}

/// The functions that are used. Valid as long as `_library` is loaded, which is as long as this lives.
pub struct Runtime {
    init: unsafe extern "C" fn(*mut Handle, *mut c_void, u32, u32, *mut c_void) -> c_int,
    dup_context: unsafe extern "C" fn(*mut Handle, *mut Handle) -> c_int,
    destroy: unsafe extern "C" fn(Handle) -> c_int,
    query: unsafe extern "C" fn(Handle, c_int, *mut c_void, u32) -> c_int,
    inputs_set: unsafe extern "C" fn(Handle, u32, *mut RawInput) -> c_int,
    run: unsafe extern "C" fn(Handle, *mut c_void) -> c_int,
    outputs_get: unsafe extern "C" fn(Handle, u32, *mut RawOutput, *mut c_void) -> c_int,
    outputs_release: unsafe extern "C" fn(Handle, u32, *mut RawOutput) -> c_int,
    set_core_mask: unsafe extern "C" fn(Handle, c_int) -> c_int,
    create_mem: unsafe extern "C" fn(Handle, u32) -> *mut TensorMem,
    destroy_mem: unsafe extern "C" fn(Handle, *mut TensorMem) -> c_int,
    set_io_mem: unsafe extern "C" fn(Handle, *mut TensorMem, *mut TensorAttr) -> c_int,
    _library: Library,
}

impl Runtime {
    /// Loads the library of that name (searched for as the dynamic linker does) or path.
    ///
    /// # Errors
    /// If it cannot be loaded, or is another library or one too old: what the linker says.
    pub fn open(library: &OsStr) -> Result<Arc<Self>, String> {
        // SAFETY: the library's initialisers run. It is what the operator installed under the runtime's own name, and is
        // trusted as every library is that the linker loads for us.
        let library = unsafe { Library::new(library) }.map_err(whole)?;
        macro_rules! functions {
            ($($field:ident = $name:literal),* $(,)?) => {
                Self {
                    // SAFETY: the type of each field is what rknn_api.h declares for the function of that name, and the
                    // library is kept as long as the pointers are.
                    $($field: *unsafe { find(&library, $name) }?,)*
                    _library: library,
                }
            };
        }
        Ok(Arc::new(functions! {
            init = "rknn_init",
            dup_context = "rknn_dup_context",
            destroy = "rknn_destroy",
            query = "rknn_query",
            inputs_set = "rknn_inputs_set",
            run = "rknn_run",
            outputs_get = "rknn_outputs_get",
            outputs_release = "rknn_outputs_release",
            set_core_mask = "rknn_set_core_mask",
            create_mem = "rknn_create_mem",
            destroy_mem = "rknn_destroy_mem",
            set_io_mem = "rknn_set_io_mem",
        }))
    }
}

/// With what the linker says.
fn whole(error: libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// # Safety
/// `T` must be the function's type.
unsafe fn find<'a, T>(library: &'a Library, name: &str) -> Result<Symbol<'a, T>, String> {
    // SAFETY: the caller's promise.
    unsafe { library.get(name) }.map_err(whole)
}

/// What can be asked with `rknn_query`.
///
/// # Safety
/// The runtime fills the structure of the command whole, whatever bytes it writes being a valid value.
unsafe trait Answer: Copy {}
// SAFETY: integers and floats only, laid out as in C.
unsafe impl Answer for InOutNum {}
// SAFETY: as above.
unsafe impl Answer for SdkVersion {}
// SAFETY: as above.
unsafe impl Answer for TensorAttr {}

/// A model that is loaded, with its memory. Used by one thread at a time.
pub struct Context {
    runtime: Arc<Runtime>,
    handle: Handle,
    memory: Vec<NonNull<TensorMem>>,
}

// SAFETY: the runtime lets a context be used by any thread, one at a time (Rockchip's own thread pools do so), and the
// memory belongs to this context alone.
unsafe impl Send for Context {}

impl Context {
    /// Loads a model; the runtime keeps a copy of what it needs.
    pub fn new(runtime: &Arc<Runtime>, model: &mut [u8]) -> Result<Self, Failed> {
        let mut handle = 0;
        let size = u32::try_from(model.len()).map_err(|_| Failed { call: "rknn_init", code: -6 })?;
        // SAFETY: `model` is `size` bytes that live through the call; without RKNN_FLAG_MODEL_BUFFER_ZERO_COPY nothing of
        // it is kept. The last argument may be null.
        let code = unsafe { (runtime.init)(&mut handle, model.as_mut_ptr().cast(), size, 0, null_mut()) };
        checked("rknn_init", code)?;
        Ok(Self { runtime: Arc::clone(runtime), handle, memory: Vec::new() })
    }

    /// Another context of the same model, which shares its weights.
    pub fn duplicate(&mut self) -> Result<Self, Failed> {
        let mut handle = 0;
        // SAFETY: both are contexts' places, the first a living one's.
        let code = unsafe { (self.runtime.dup_context)(&mut self.handle, &mut handle) };
        checked("rknn_dup_context", code)?;
        Ok(Self { runtime: Arc::clone(&self.runtime), handle, memory: Vec::new() })
    }

    fn query<A: Answer>(&self, command: c_int, mut answer: A) -> Result<A, Failed> {
        // SAFETY: `A` is the structure of the command (private: the callers below see to it), and its size is told.
        let code = unsafe {
            (self.runtime.query)(self.handle, command, (&raw mut answer).cast(), size_of::<A>() as u32)
        };
        checked("rknn_query", code).map(|()| answer)
    }

    pub fn in_out_num(&self) -> Result<InOutNum, Failed> {
        self.query(QUERY_IN_OUT_NUM, InOutNum::default())
    }

    pub fn version(&self) -> Result<SdkVersion, Failed> {
        self.query(QUERY_SDK_VERSION, SdkVersion { api: [0; 256], driver: [0; 256] })
    }

    /// One of the commands that ask for a tensor.
    pub fn attr(&self, command: c_int, index: u32) -> Result<TensorAttr, Failed> {
        debug_assert!([QUERY_INPUT_ATTR, QUERY_OUTPUT_ATTR, QUERY_NATIVE_INPUT_ATTR].contains(&command));
        self.query(command, TensorAttr { index, ..TensorAttr::default() })
    }

    pub fn set_core_mask(&mut self, mask: c_int) -> Result<(), Failed> {
        // SAFETY: plain numbers.
        checked("rknn_set_core_mask", unsafe { (self.runtime.set_core_mask)(self.handle, mask) })
    }

    /// Hands over f32 of the layout `fmt`, which the runtime converts.
    pub fn set_input(&mut self, index: u32, fmt: c_int, data: &[f32]) -> Result<(), Failed> {
        let size =
            u32::try_from(size_of_val(data)).map_err(|_| Failed { call: "rknn_inputs_set", code: -8 })?;
        let buf = data.as_ptr().cast_mut().cast();
        let mut input = RawInput { index, buf, size, pass_through: 0, kind: FLOAT32, fmt };
        // SAFETY: one input, whose buffer is `size` bytes and is read, not written, before the call returns.
        checked("rknn_inputs_set", unsafe { (self.runtime.inputs_set)(self.handle, 1, &mut input) })
    }

    pub fn run(&mut self) -> Result<(), Failed> {
        // SAFETY: the extension may be null; whatever buffers are bound belong to this context.
        checked("rknn_run", unsafe { (self.runtime.run)(self.handle, null_mut()) })
    }

    /// Waits for the end of the run, and writes each output as f32 into its slice, which must have its length.
    pub fn get_outputs(&mut self, outputs: &mut [Vec<f32>]) -> Result<(), Failed> {
        let mut raw: Vec<RawOutput> = (0..)
            .zip(outputs.iter_mut())
            .map(|(index, data)| {
                let size = size_of_val(data.as_slice()) as u32; // the attribute it was sized by counts in 32 bits
                RawOutput { want_float: 1, is_prealloc: 1, index, buf: data.as_mut_ptr().cast(), size }
            })
            .collect();
        let count = raw.len() as u32;
        // SAFETY: `count` outputs, each with a buffer of `size` bytes that nobody else uses meanwhile.
        let code = unsafe { (self.runtime.outputs_get)(self.handle, count, raw.as_mut_ptr(), null_mut()) };
        checked("rknn_outputs_get", code)?;
        // SAFETY: the outputs that were just got; the buffers are ours and stay.
        checked("rknn_outputs_release", unsafe {
            (self.runtime.outputs_release)(self.handle, count, raw.as_mut_ptr())
        })
    }

    /// Makes memory of at least `size` bytes that the NPU reads and writes without a copy, and binds it to a tensor.
    /// The number it is known by here.
    pub fn bind(&mut self, mut attr: TensorAttr, size: u32) -> Result<usize, Failed> {
        // SAFETY: a living context and a number.
        let memory = unsafe { (self.runtime.create_mem)(self.handle, size) };
        let memory = NonNull::new(memory).ok_or(Failed { call: "rknn_create_mem", code: -4 })?;
        // From here on it is destroyed with the context, bound or not.
        self.memory.push(memory);
        // SAFETY: it came from the runtime a moment ago and has not been given away.
        let made = unsafe { memory.as_ref() };
        if made.virt_addr.is_null() || made.size < size {
            return Err(Failed { call: "rknn_create_mem", code: -4 });
        }
        // SAFETY: both live; the runtime keeps the memory, which outlives the binding, and copies the attribute.
        let code = unsafe { (self.runtime.set_io_mem)(self.handle, memory.as_ptr(), &mut attr) };
        checked("rknn_set_io_mem", code)?;
        Ok(self.memory.len() - 1)
    }

    /// The bytes of memory that was bound, between runs.
    pub fn bytes(&mut self, memory: usize) -> &mut [u8] {
        let Some(memory) = self.memory.get(memory) else { return &mut [] };
        // SAFETY: the runtime made it with `size` bytes at an address that is not null (`bind` has seen to both), which
        // are nobody else's while no run is going on, and none is while this context is borrowed.
        unsafe {
            let memory = memory.as_ref();
            std::slice::from_raw_parts_mut(memory.virt_addr.cast(), memory.size as usize)
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        for memory in self.memory.drain(..) {
            // SAFETY: made by this context, destroyed once. A failure would leave nothing to be done.
            unsafe { (self.runtime.destroy_mem)(self.handle, memory.as_ptr()) };
        }
        // SAFETY: destroyed once, nothing of it is used after.
        unsafe { (self.runtime.destroy)(self.handle) };
    }
}

/// What the stand-in of the tests tells of itself.
#[cfg(test)]
pub mod standin {
    use std::path::Path;

    use super::*;

    /// Sizes and offsets in C.
    pub fn layout(library: &Path, count: usize) -> Vec<u64> {
        let mut out = vec![0; count];
        // SAFETY: the stand-in's own function, which writes as many numbers as the test knows of.
        unsafe {
            let library = Library::new(library).unwrap();
            let layout: Symbol<'_, unsafe extern "C" fn(*mut u64)> = library.get("standin_layout").unwrap();
            layout(out.as_mut_ptr());
        }
        out
    }

    /// Contexts and buffers that are not destroyed.
    pub fn living(library: &Path) -> i64 {
        // SAFETY: the stand-in's own function; it is loaded already, so this is the same one.
        unsafe {
            let library = Library::new(library).unwrap();
            let living: Symbol<'_, unsafe extern "C" fn() -> std::ffi::c_long> =
                library.get("standin_living").unwrap();
            living()
        }
    }
}
