//! The `cpu` engine: rten, fast int8 and f32 kernels for x86-64 and Arm.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use rten::{DataType, Dimension, ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueType, ValueView};
use rten_onnx::onnx::ModelProto;
use rten_onnx::protobuf::{DecodeMessage, ReadPos, ValueReader};
use rten_tensor::prelude::*;

use super::guard::{check_inputs, guarded};
use super::{
    Element, Engine, EngineError, Input, Model, ModelBytes, Options, Port, Session, Tensor, conv_integer,
    kernels, outline, weights,
};

/// rten. Sessions of one engine that ask for the same number of threads run on the same ones.
///
/// rten 0.27 also starts its own default pool at the first run, whatever pool a run is given
/// (`RunOptions::thread_pool` evaluates its fallback eagerly); those threads stay parked.
#[derive(Default)]
pub struct Cpu {
    pools: Mutex<HashMap<usize, Arc<ThreadPool>>>,
}

impl Cpu {
    fn pool(&self, options: Options) -> Arc<ThreadPool> {
        let threads = options.threads.max(1);
        // A map of pools is whole even if another thread panicked while it held the lock.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(pools.entry(threads).or_insert_with(|| Arc::new(ThreadPool::with_num_threads(threads))))
    }
}

impl Engine for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn describe(&self, options: Options) -> String {
        let (products, instructions) = (kernels::products(), kernels::instructions());
        format!("rten 0.27, {products} ({instructions}), {} threads", options.threads.max(1))
    }

    fn load(&self, model: &Model, options: Options) -> Result<Box<dyn Session>, EngineError> {
        let pool = self.pool(options);
        let session = guarded(|| {
            let graph = pool.run(|| read(&model.bytes, options))?;
            CpuSession::new(model.name.clone(), graph, Arc::clone(&pool))
        });
        match session {
            Ok(session) => Ok(Box::new(session)),
            Err(reason) => Err(EngineError::Load { model: model.name.clone(), reason }),
        }
    }
}

/// A model whose bytes are streamed into the tensors and are nowhere else. (Mapping them would need `unsafe`, which
/// `rten::Model::load_mmap` is, and rten copies weights out of a mapped ONNX file anyhow, because they are not aligned
/// there.)
fn read(bytes: &ModelBytes, options: Options) -> Result<rten::Model, String> {
    outline::check(bytes)?;
    let reader = ValueReader::new(ReadPos::new(bytes.open()?));
    let mut model = ModelProto::decode(reader).map_err(|error| error.to_string())?;
    let mut loading = ModelOptions::with_all_ops();
    loading.prepack_weights(options.prepack);
    if let Some(graph) = &mut model.graph {
        if weights::are_elsewhere(graph) {
            return Err(
                "has weights in another file; make one file of them, which the pack's hash covers".into()
            );
        }
        conv_integer::repair(graph);
        weights::unfold(graph);
        weights::hand_over(graph, &mut loading);
    }
    let graph = model.write_buf().map_err(|error| error.to_string())?;
    drop(model);
    loading.load(graph).map_err(|error| error.to_string())
}

struct CpuSession {
    name: String,
    model: rten::Model,
    options: RunOptions,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    output_ids: Vec<NodeId>,
    /// rten has no 64-bit integers: one buffer an input, empty where the input is f32.
    integers: Vec<Vec<i32>>,
}

impl CpuSession {
    fn new(name: String, model: rten::Model, pool: Arc<ThreadPool>) -> Result<Self, String> {
        let inputs = ports(&model, model.input_ids())?;
        let outputs = ports(&model, model.output_ids())?;
        if inputs.is_empty() || outputs.is_empty() {
            return Err("has no input or no output: not a usable model".into());
        }
        let output_ids = model.output_ids().to_vec();
        let options = RunOptions::default().with_thread_pool(Some(pool));
        let integers = vec![Vec::new(); inputs.len()];
        Ok(Self { name, model, options, inputs, outputs, output_ids, integers })
    }

    fn try_run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), String> {
        check_inputs(&self.inputs, inputs)?;
        for ((input, port), integers) in inputs.iter().zip(&self.inputs).zip(&mut self.integers) {
            integers.clear();
            if let Input::I64 { data, .. } = input {
                for &value in *data {
                    let value = i32::try_from(value)
                        .map_err(|_| format!("input {}: {value} exceeds 32 bits", port.name))?;
                    integers.push(value);
                }
            }
        }
        let mut values = Vec::with_capacity(inputs.len());
        for ((input, id), integers) in inputs.iter().zip(self.model.input_ids()).zip(&self.integers) {
            let view = match *input {
                Input::F32 { shape, data } => {
                    ValueView::from_shape(shape, data).map_err(|e| e.to_string())?
                }
                Input::I64 { shape, .. } => {
                    ValueView::from_shape(shape, integers.as_slice()).map_err(|e| e.to_string())?
                }
            };
            values.push((*id, view.into()));
        }
        let results = self
            .model
            .run(values, &self.output_ids, Some(self.options.clone()))
            .map_err(|error| error.to_string())?;
        outputs.resize_with(results.len(), Tensor::default);
        for (result, output) in results.iter().zip(outputs) {
            store(result, output)?;
        }
        Ok(())
    }
}

impl Session for CpuSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        // A run changes nothing in rten's model; our own buffers are cleared at the next one.
        guarded(|| self.try_run(inputs, outputs))
            .map_err(|reason| EngineError::Run { model: self.name.clone(), reason })
    }
}

fn ports(model: &rten::Model, ids: &[NodeId]) -> Result<Vec<Port>, String> {
    ids.iter()
        .map(|id| {
            let info = model.node_info(*id).ok_or("an input or output has no node")?;
            let name = info.name().unwrap_or_default().to_owned();
            let element = match info.dtype() {
                Some(ValueType::Tensor(DataType::Float)) | None => Element::F32,
                Some(ValueType::Tensor(DataType::Int32)) => Element::I64,
                Some(other) => return Err(format!("{name} is {other}; f32 and i64 are supported")),
            };
            let shape = info.shape().unwrap_or_default();
            let shape = shape.into_iter().map(|dimension| match dimension {
                Dimension::Fixed(size) => Some(size),
                Dimension::Symbolic(_) => None,
            });
            Ok(Port { name, element, shape: shape.collect() })
        })
        .collect()
}

fn store(value: &Value, output: &mut Tensor) -> Result<(), String> {
    match value {
        Value::FloatTensor(tensor) => match tensor.data() {
            Some(data) => output.overwrite(tensor.shape(), data.iter().copied()),
            None => output.overwrite(tensor.shape(), tensor.iter().copied()),
        },
        Value::Int32Tensor(tensor) => output.overwrite(tensor.shape(), tensor.iter().map(|x| *x as f32)),
        Value::Int8Tensor(tensor) => output.overwrite(tensor.shape(), tensor.iter().map(|x| f32::from(*x))),
        Value::UInt8Tensor(tensor) => output.overwrite(tensor.shape(), tensor.iter().map(|x| f32::from(*x))),
        other => return Err(format!("an output is a {}; only tensors are supported", other.dtype())),
    }
    Ok(())
}
