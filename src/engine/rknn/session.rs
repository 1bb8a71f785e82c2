//! A model on the NPU. Its rows are spread over the cores: a model is made for one picture, and several pictures are
//! several runs, on a context a core, all sharing the weights.

use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::thread;

use tracing::{info, warn};

use super::super::guard::{check_inputs, guarded};
use super::super::{Element, EngineError, Input, Port, Session, Tensor};
use super::fault::explained;
use super::layout::Layout;
use super::sys::{
    self, Context, FLOAT16, FLOAT32, Failed, INT8, NCHW, NHWC, QUERY_INPUT_ATTR, QUERY_NATIVE_INPUT_ATTR,
    QUERY_OUTPUT_ATTR, Runtime, SdkVersion, TensorAttr,
};

/// The structures are those of this version of the interface and later ones.
const OLDEST_API: [u32; 2] = [1, 4];
/// What Rockchip advises for its toolkit 2.
const ADVISED_DRIVER: [u32; 3] = [0, 9, 2];
/// No network of ours has more.
const MOST_TENSORS: u32 = 64;

/// A loaded model.
pub struct RknnSession {
    name: String,
    versions: String,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    /// Elements of a row of each output.
    lengths: Vec<usize>,
    workers: Vec<Worker>,
    /// As many as there may be.
    most: usize,
    /// Whether a run takes any number of rows, one after the other on each worker.
    spreads: bool,
}

/// A context, and what it reads and writes.
struct Worker {
    context: Context,
    feeds: Vec<Feed>,
    /// The memory that the NPU writes each output to, as f32; empty where the runtime is asked for them.
    bound: Vec<usize>,
    /// Of one row.
    row: Vec<Vec<f32>>,
    /// Of all its rows, by output.
    results: Vec<Vec<f32>>,
}

/// How an input gets to the NPU.
#[derive(Clone, Copy)]
enum Feed {
    /// Written where the NPU reads it.
    Bound { memory: usize, layout: Layout },
    /// Handed to the runtime, which converts and copies it.
    Copied { index: u32, fmt: c_int },
}

impl RknnSession {
    pub fn new(name: &str, runtime: &Arc<Runtime>, model: &mut [u8], most: usize) -> Result<Self, String> {
        let unknown = |failed| explained(failed, "versions unknown");
        let context = Context::new(runtime, model).map_err(unknown)?;
        let version = context.version().map_err(unknown)?;
        let versions = check(&version)?;
        let failed = |failed| explained(failed, &versions);
        let count = context.in_out_num().map_err(failed)?;
        if !(1..=MOST_TENSORS).contains(&count.inputs) || !(1..=MOST_TENSORS).contains(&count.outputs) {
            return Err(format!("has {} inputs and {} outputs", count.inputs, count.outputs));
        }
        let attrs = |context: &Context, command, count| -> Result<Vec<TensorAttr>, Failed> {
            (0..count).map(|index| context.attr(command, index)).collect()
        };
        let of_inputs = attrs(&context, QUERY_INPUT_ATTR, count.inputs).map_err(failed)?;
        let of_outputs = attrs(&context, QUERY_OUTPUT_ATTR, count.outputs).map_err(failed)?;
        let mut inputs = of_inputs.iter().map(port).collect::<Result<Vec<_>, _>>()?;
        let mut outputs = of_outputs.iter().map(port).collect::<Result<Vec<_>, _>>()?;
        let spreads = inputs.iter().chain(&outputs).all(|port| port.shape.first() == Some(&Some(1)));
        if spreads {
            let batch = inputs.iter_mut().chain(&mut outputs).filter_map(|port| port.shape.first_mut());
            batch.for_each(|batch| *batch = None);
        }
        let lengths: Vec<usize> = of_outputs.iter().map(|attr| attr.n_elems as usize).collect();
        let worker = Worker::new(context, &of_inputs, &of_outputs).map_err(failed)?;
        info!(model = name, versions, without_a_copy = !worker.bound.is_empty(), "on the NPU");
        let workers = vec![worker];
        Ok(Self { name: name.into(), versions, inputs, outputs, lengths, workers, most, spreads })
    }

    /// Makes workers until there are `wanted`, each on a core of its own.
    fn hire(&mut self, wanted: usize) {
        let wanted = wanted.min(self.most);
        while self.workers.len() < wanted {
            match self.another() {
                Ok(worker) => self.workers.push(worker),
                Err(failed) => {
                    let (model, reason) = (&self.name, explained(failed, &self.versions));
                    warn!(model, cores = self.workers.len(), "no more cores of the NPU are used: {reason}");
                    self.most = self.workers.len();
                }
            }
            if self.workers.len() >= self.most {
                return;
            }
        }
    }

    fn another(&mut self) -> Result<Worker, Failed> {
        let core = self.workers.len();
        // There is one from the beginning.
        let Some(first) = self.workers.first_mut() else {
            return Err(Failed { call: "rknn_dup_context", code: -7 });
        };
        if core == 1 {
            first.context.set_core_mask(1)?;
        }
        let mut context = first.context.duplicate()?;
        context.set_core_mask(1 << core)?;
        let attrs = |context: &Context, command, count: usize| -> Result<Vec<TensorAttr>, Failed> {
            (0..count as u32).map(|index| context.attr(command, index)).collect()
        };
        let inputs = attrs(&context, QUERY_INPUT_ATTR, self.inputs.len())?;
        let outputs = attrs(&context, QUERY_OUTPUT_ATTR, self.outputs.len())?;
        Worker::new(context, &inputs, &outputs)
    }

    fn try_run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), String> {
        check_inputs(&self.inputs, inputs)?;
        let mut planes: Vec<&[f32]> = Vec::with_capacity(inputs.len());
        let mut rows = 1;
        for input in inputs {
            let Input::F32 { shape, data } = *input else {
                return Err("integers are not for the NPU".into());
            };
            planes.push(data);
            if self.spreads {
                rows = shape.first().copied().unwrap_or(1);
            }
        }
        if planes.iter().any(|data| data.len() % rows.max(1) != 0) {
            return Err("the inputs have different numbers of rows".into());
        }
        self.hire(rows);
        let count = self.workers.len().min(rows).max(1);
        let (planes, versions) = (&planes, &self.versions);
        let work = |first: usize, worker: &mut Worker| worker.rows(planes, rows, first, count);
        let done: Vec<Result<(), Failed>> = match self.workers.get_mut(..count) {
            Some([alone]) => vec![work(0, alone)],
            Some(several) => thread::scope(|scope| {
                let threads: Vec<_> = several
                    .iter_mut()
                    .enumerate()
                    .map(|(first, worker)| scope.spawn(move || work(first, worker)))
                    .collect();
                let broken = Err(Failed { call: "a thread", code: -1 });
                threads.into_iter().map(|thread| thread.join().unwrap_or(broken)).collect()
            }),
            None => Vec::new(),
        };
        done.into_iter().collect::<Result<(), _>>().map_err(|failed| explained(failed, versions))?;
        outputs.resize_with(self.outputs.len(), Tensor::default);
        for (index, ((output, port), length)) in
            outputs.iter_mut().zip(&self.outputs).zip(&self.lengths).enumerate()
        {
            output.shape.clear();
            output.shape.extend(port.shape.iter().map(|size| size.unwrap_or(rows)));
            output.data.clear();
            for row in 0..rows {
                let results = self.workers.get(row % count).and_then(|worker| worker.results.get(index));
                let start = row / count * length;
                output.data.extend_from_slice(
                    results.and_then(|all| all.get(start..start + length)).unwrap_or_default(),
                );
            }
        }
        Ok(())
    }
}

impl Session for RknnSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        // Every buffer is written anew by the next run.
        guarded(|| self.try_run(inputs, outputs))
            .map_err(|reason| EngineError::Run { model: self.name.clone(), reason })
    }
}

impl Drop for RknnSession {
    fn drop(&mut self) {
        // Copies before the context that they were made of.
        while self.workers.pop().is_some() {}
    }
}

impl Worker {
    /// Binds memory to inputs and outputs if our pictures can be written as the NPU reads them, and lets the runtime convert
    /// and copy otherwise: all of them or none, since the runtime does not mix both ways.
    fn new(mut context: Context, inputs: &[TensorAttr], outputs: &[TensorAttr]) -> Result<Self, Failed> {
        let row = outputs.iter().map(|attr| vec![0.0; attr.n_elems as usize]).collect();
        let results = vec![Vec::new(); outputs.len()];
        let indices = 0..inputs.len() as u32;
        let natives: Vec<TensorAttr> =
            indices.map(|index| context.attr(QUERY_NATIVE_INPUT_ATTR, index)).collect::<Result<_, _>>()?;
        let layouts: Option<Vec<Layout>> = natives.iter().map(Layout::of).collect();
        let Some(layouts) = layouts else {
            // Pictures come as planes; everything else as it is.
            let feeds = (0..).zip(inputs).map(|(index, _)| Feed::Copied { index, fmt: NCHW }).collect();
            return Ok(Self { context, feeds, bound: Vec::new(), row, results });
        };
        let mut feeds = Vec::with_capacity(layouts.len());
        for (native, layout) in natives.into_iter().zip(layouts) {
            let size = native.size_with_stride.max(native.size);
            let memory = context.bind(TensorAttr { pass_through: 0, ..native }, size)?;
            feeds.push(Feed::Bound { memory, layout });
        }
        let mut bound = Vec::with_capacity(outputs.len());
        for attr in outputs {
            let size = attr.n_elems.saturating_mul(size_of::<f32>() as u32);
            bound.push(context.bind(TensorAttr { kind: FLOAT32, ..*attr }, size)?);
        }
        Ok(Self { context, feeds, bound, row, results })
    }

    /// Runs the rows `first`, `first + step`, .. of `rows`.
    fn rows(&mut self, planes: &[&[f32]], rows: usize, first: usize, step: usize) -> Result<(), Failed> {
        self.results.iter_mut().for_each(Vec::clear);
        for row in (first..rows).step_by(step) {
            for (feed, data) in self.feeds.iter().zip(planes) {
                let length = data.len() / rows;
                let data = data.get(row * length..(row + 1) * length).unwrap_or_default();
                match *feed {
                    Feed::Bound { memory, layout } => layout.write(data, self.context.bytes(memory)),
                    Feed::Copied { index, fmt } => self.context.set_input(index, fmt, data)?,
                }
            }
            self.context.run()?;
            if self.bound.is_empty() {
                self.context.get_outputs(&mut self.row)?;
            }
            for (memory, row) in self.bound.iter().zip(&mut self.row) {
                let (values, _) = self.context.bytes(*memory).as_chunks();
                row.iter_mut().zip(values).for_each(|(to, bytes)| *to = f32::from_ne_bytes(*bytes));
            }
            for (all, row) in self.results.iter_mut().zip(&self.row) {
                all.extend_from_slice(row);
            }
        }
        Ok(())
    }
}

/// As the other engines name a tensor: pictures as `[N, C, H, W]`, whatever the NPU's own order is.
fn port(attr: &TensorAttr) -> Result<Port, String> {
    let name = text(&attr.name);
    match attr.kind {
        FLOAT32 | FLOAT16 | INT8 | sys::UINT8 => {}
        other => {
            return Err(format!(
                "{name} is of type {other} (rknn_tensor_type); only pictures and what is made of them are for the NPU, so \
                 leave text towers as ONNX"
            ));
        }
    }
    let count = (attr.n_dims as usize).min(sys::MAX_DIMS);
    let mut shape: Vec<usize> = attr.dims.iter().take(count).map(|size| *size as usize).collect();
    if shape.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))
        != Some(attr.n_elems as usize)
    {
        return Err(format!("{name} is said to be {shape:?} and to have {} elements", attr.n_elems));
    }
    if let (NHWC, [_, height, width, channels]) = (attr.fmt, shape.as_mut_slice()) {
        (*height, *width, *channels) = (*channels, *height, *width);
    }
    Ok(Port { name, element: Element::F32, shape: shape.into_iter().map(Some).collect() })
}

/// The runtime's versions in words, if it is new enough.
fn check(version: &SdkVersion) -> Result<String, String> {
    let (api, driver) = (text(&version.api), text(&version.driver));
    let versions = format!("librknnrt {api}, driver {driver}");
    let numbers = |text: &str| -> Vec<u32> {
        let word = text.trim_start_matches('v').split([' ', '-']).next().unwrap_or_default();
        word.split('.').map_while(|part| part.parse().ok()).collect()
    };
    if numbers(&api) < OLDEST_API.to_vec() {
        return Err(format!("{versions}: too old, 1.4 at least is needed; update librknnrt.so"));
    }
    if numbers(&driver) < ADVISED_DRIVER.to_vec() {
        warn!("{versions}: Rockchip advises a driver of 0.9.2 or later; update the kernel");
    }
    Ok(versions)
}

fn text(bytes: &[c_char]) -> String {
    let bytes: Vec<u8> = bytes.iter().flat_map(|c| c.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
