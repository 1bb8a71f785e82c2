//! The `tract` engine: an independent second opinion, every model of the tests must agree on both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;
use tract_linalg::multithread::Executor;
use tract_onnx::pb;
use tract_onnx::prelude::{
    Framework, InferenceModelExt, RunOptions, TValue, TVec, TractError, TractResult, TypedSimplePlan,
    TypedSimpleState,
};
use tract_onnx::tract_hir::infer::Factoid;

use super::guard::{check_inputs, guarded};
use super::outline;
use super::{
    Element, Engine, EngineError, Input, Model, ModelBytes, Options, Port, Session, Tensor, kernels,
};

/// tract. Sessions of one engine that ask for the same number of threads run on the same ones.
#[derive(Default)]
pub struct Tract {
    executors: Mutex<HashMap<usize, Executor>>,
}

impl Tract {
    fn executor(&self, options: Options) -> Executor {
        if options.threads <= 1 {
            return Executor::SingleThread;
        }
        // A map of pools is whole even if another thread panicked while it held the lock.
        let mut executors = self.executors.lock().unwrap_or_else(PoisonError::into_inner);
        executors.entry(options.threads).or_insert_with(|| Executor::multithread(options.threads)).clone()
    }
}

impl Engine for Tract {
    fn name(&self) -> &'static str {
        "tract"
    }

    fn describe(&self, options: Options) -> String {
        format!("tract 0.23, {}, {} threads", kernels::instructions(), options.threads.max(1))
    }

    fn load(&self, model: &Model, options: Options) -> Result<Box<dyn Session>, EngineError> {
        let session = guarded(|| TractSession::new(model, self.executor(options)));
        match session {
            Ok(session) => Ok(Box::new(session)),
            Err(reason) => Err(EngineError::Load { model: model.name.clone(), reason }),
        }
    }
}

struct TractSession {
    name: String,
    plan: Arc<TypedSimplePlan>,
    state: TypedSimpleState,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl TractSession {
    fn new(model: &Model, executor: Executor) -> Result<Self, String> {
        let proto = read(&model.bytes)?;
        let graph = proto.graph.as_ref().ok_or("has no graph: not an ONNX model")?;
        let fed =
            graph.input.iter().filter(|i| graph.initializer.iter().all(|constant| constant.name != i.name));
        let inputs = fed.map(port).collect::<Result<Vec<_>, _>>()?;
        let outputs = graph.output.iter().map(port).collect::<Result<Vec<_>, _>>()?;
        if inputs.is_empty() || outputs.is_empty() {
            return Err("has no input or no output: not a usable model".into());
        }
        let plan = prepare(proto, executor).map_err(chain)?;
        let state = plan.spawn().map_err(chain)?;
        Ok(Self { name: model.name.clone(), plan, state, inputs, outputs })
    }

    fn try_run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), String> {
        check_inputs(&self.inputs, inputs)?;
        let values = inputs
            .iter()
            .map(|input| {
                let tensor = match *input {
                    Input::F32 { shape, data } => tract_onnx::prelude::Tensor::from_shape(shape, data),
                    Input::I64 { shape, data } => tract_onnx::prelude::Tensor::from_shape(shape, data),
                };
                tensor.map(TValue::from)
            })
            .collect::<TractResult<TVec<TValue>>>()
            .map_err(chain)?;
        let results = self.state.run(values).map_err(chain)?;
        outputs.resize_with(results.len(), Tensor::default);
        for (result, output) in results.iter().zip(outputs) {
            let floats = result.cast_to::<f32>().map_err(chain)?;
            let view = floats.to_plain_array_view::<f32>().map_err(chain)?;
            output.overwrite(floats.shape(), view.iter().copied());
        }
        Ok(())
    }
}

impl Session for TractSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        let result = guarded(|| self.try_run(inputs, outputs));
        if result.is_err() {
            // A failed run leaves its intermediate values in the state.
            if let Ok(state) = self.plan.spawn() {
                self.state = state;
            }
        }
        result.map_err(|reason| EngineError::Run { model: self.name.clone(), reason })
    }
}

/// A file is mapped by tract while it is decoded. External data is refused: a pack's hashes do not cover it.
fn read(bytes: &ModelBytes) -> Result<pb::ModelProto, String> {
    outline::check(bytes)?;
    match bytes {
        ModelBytes::Static(bytes) => pb::ModelProto::decode(*bytes).map_err(|error| error.to_string()),
        ModelBytes::Made(bytes) => pb::ModelProto::decode(&bytes[..]).map_err(|error| error.to_string()),
        ModelBytes::File(path) => tract_onnx::onnx().proto_model_for_path(path).map_err(chain),
    }
}

/// From the file's graph to one that runs.
///
/// A dimension that the file leaves open stays a symbol, so that one plan serves every batch size; a plan per batch
/// size would pack the weights again for each.
fn prepare(proto: pb::ModelProto, executor: Executor) -> TractResult<Arc<TypedSimplePlan>> {
    let mut model = tract_onnx::onnx().model_for_proto_model(&proto)?;
    drop(proto);
    for index in 0..model.inputs.len() {
        let mut fact = model.input_fact(index)?.clone();
        let open: Vec<usize> = fact
            .shape
            .dims()
            .enumerate()
            .filter_map(|(axis, size)| (!size.is_concrete()).then_some(axis))
            .collect();
        for axis in open {
            let symbol = model.symbols.new_with_prefix("open");
            fact.shape.set_dim(axis, symbol.into());
        }
        model.set_input_fact(index, fact)?;
    }
    let model = model.into_optimized()?;
    let options = RunOptions { executor: Some(executor), ..RunOptions::default() };
    TypedSimplePlan::new_with_options(model, &options)
}

fn port(value: &pb::ValueInfoProto) -> Result<Port, String> {
    use pb::tensor_proto::DataType;
    use pb::tensor_shape_proto::dimension::Value::DimValue;
    let tensor = value.r#type.as_ref().and_then(|kind| kind.value.as_ref());
    let Some(pb::type_proto::Value::TensorType(tensor)) = tensor else {
        return Err(format!("{} is not declared as a tensor", value.name));
    };
    let element = match DataType::try_from(tensor.elem_type) {
        Ok(DataType::Float) => Element::F32,
        Ok(DataType::Int64 | DataType::Int32) => Element::I64,
        other => return Err(format!("{} is {other:?}; f32 and i64 are supported", value.name)),
    };
    let dimensions = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let shape = dimensions.map(|dimension| match dimension.value {
        Some(DimValue(size)) => usize::try_from(size).ok().filter(|size| *size > 0),
        _ => None,
    });
    Ok(Port { name: value.name.clone(), element, shape: shape.collect() })
}

/// The whole chain of causes on one line: tract's outermost message is the least telling.
fn chain(error: TractError) -> String {
    format!("{error:#}")
}
