//! A model in ONNX Runtime.

use std::fmt::Write;

use half::f16;
use ort::environment::Environment;
use ort::ep;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{Session as OrtSession, SessionInputValue};
use ort::value::{DynValue, Outlet, TensorElementType, TensorRef, ValueType};
use tracing::warn;

use super::super::guard::{check_inputs, guarded};
use super::super::{Element, EngineError, Input, Model, ModelBytes, Options, Port, Session, Tensor};
use super::{Provider, cache};

/// As many pictures as the image tower puts in a run, and as many as it mostly does: TensorRT's engines are built for a
/// range of batches and are fastest at one in it.
const MOST: usize = 16;
const USUAL: usize = 8;

pub struct OnnxSession {
    name: String,
    session: OrtSession,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl OnnxSession {
    pub fn new(
        environment: &Environment,
        model: &Model,
        options: Options,
        provider: Provider,
    ) -> Result<Self, String> {
        let builder = || -> Result<SessionBuilder, String> {
            let builder = OrtSession::builder(environment).map_err(|error| error.to_string())?;
            // Left to itself it rounds the inputs of a layer whose weights alone are int8: of what sets two pictures apart
            // that costs 3 % in `nano` (cosine 0.965 in the suite, 1.000 with this).
            let builder = builder.with_quant_qdq(false).map_err(|error| error.to_string())?;
            let builder = builder.with_prepacking(options.prepack).map_err(|error| error.to_string())?;
            // Threads that look out for work keep a processor busy that another session's, or the camera's, would need: a
            // frame's detector and image tower take half as long again with them.
            let builder = builder.with_intra_op_spinning(false).map_err(|error| error.to_string())?;
            builder.with_intra_threads(options.threads.max(1)).map_err(|error| error.to_string())
        };
        let chosen = match provider {
            Provider::Processor => builder()?,
            Provider::Cuda => with(builder()?, &[cuda()])?,
            Provider::TensorRt => {
                // Its engines are built for ranges of shapes, so these must be known before.
                let plain = builder()?
                    .with_optimization_level(GraphOptimizationLevel::Disable)
                    .map_err(|error| error.to_string())?;
                let inputs = ports(commit(plain, &model.bytes)?.inputs())?;
                with(builder()?, &[tensor_rt(model, &inputs)?, cuda()])?
            }
        };
        let session = commit(chosen, &model.bytes)?;
        let (inputs, outputs) = (ports(session.inputs())?, ports(session.outputs())?);
        if inputs.is_empty() || outputs.is_empty() {
            return Err("has no input or no output: not a usable model".into());
        }
        Ok(Self { name: model.name.clone(), session, inputs, outputs })
    }

    fn try_run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), String> {
        check_inputs(&self.inputs, inputs)?;
        let mut values = Vec::with_capacity(inputs.len());
        for (input, port) in inputs.iter().zip(&self.inputs) {
            let value: ort::Result<SessionInputValue<'_>> = match *input {
                Input::F32 { shape, data } => TensorRef::from_array_view((shape, data)).map(Into::into),
                Input::I64 { shape, data } => TensorRef::from_array_view((shape, data)).map(Into::into),
            };
            values.push((port.name.clone(), value.map_err(|error| error.to_string())?));
        }
        let results = self.session.run(values).map_err(|error| error.to_string())?;
        outputs.resize_with(self.outputs.len(), Tensor::default);
        for (port, output) in self.outputs.iter().zip(outputs) {
            let value = results.get(&port.name).ok_or_else(|| format!("output {} is absent", port.name))?;
            store(value, output).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

impl Session for OnnxSession {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[Input<'_>], outputs: &mut Vec<Tensor>) -> Result<(), EngineError> {
        guarded(|| self.try_run(inputs, outputs))
            .map_err(|reason| EngineError::Run { model: self.name.clone(), reason })
    }
}

fn commit(mut builder: SessionBuilder, model: &ModelBytes) -> Result<OrtSession, String> {
    match model {
        ModelBytes::Static(bytes) => builder.commit_from_memory(bytes),
        ModelBytes::Made(bytes) => builder.commit_from_memory(bytes),
        ModelBytes::File(path) => builder.commit_from_file(path),
    }
    .map_err(|error| error.to_string())
}

/// A provider that cannot be had is an error, so that the next is tried and the log says why.
fn with(
    builder: SessionBuilder,
    providers: &[ep::ExecutionProviderDispatch],
) -> Result<SessionBuilder, String> {
    let providers: Vec<_> = providers.iter().map(|provider| provider.clone().error_on_failure()).collect();
    builder.with_execution_providers(providers).map_err(|error| error.to_string())
}

fn cuda() -> ep::ExecutionProviderDispatch {
    ep::CUDA::default().build()
}

/// fp16 wherever TensorRT finds it faster, with what was built before kept on disk.
fn tensor_rt(model: &Model, inputs: &[Port]) -> Result<ep::ExecutionProviderDispatch, String> {
    if inputs.iter().any(|port| port.element != Element::F32) {
        return Err("reads words: these are embedded when they change, which is not worth an engine".into());
    }
    let mut provider = ep::TensorRT::default().with_fp16(true).with_layer_norm_fp32_fallback(true);
    if let [least, usual, most] = [1, USUAL, MOST].map(|batch| profile(inputs, batch))
        && least != most
    {
        provider = provider
            .with_profile_min_shapes(least)
            .with_profile_opt_shapes(usual)
            .with_profile_max_shapes(most);
    }
    match cache::folder(&model.bytes) {
        Ok(folder) => {
            let folder = folder.to_string_lossy().into_owned();
            provider = provider
                .with_engine_cache(true)
                .with_engine_cache_path(&folder)
                .with_timing_cache(true)
                .with_timing_cache_path(folder);
        }
        Err(error) => {
            let model = &model.name;
            warn!(model, %error, "TensorRT's engine is built at every start: there is no folder to keep it in");
        }
    }
    Ok(provider.build())
}

/// `pixel_values:8x3x224x224`: every open dimension is the batch.
fn profile(inputs: &[Port], batch: usize) -> String {
    let mut text = String::new();
    for port in inputs {
        let separator = if text.is_empty() { "" } else { "," };
        _ = write!(text, "{separator}{}:", port.name); // writing to a String does not fail
        for (axis, size) in port.shape.iter().enumerate() {
            _ = write!(text, "{}{}", if axis > 0 { "x" } else { "" }, size.unwrap_or(batch));
        }
    }
    text
}

fn ports(outlets: &[Outlet]) -> Result<Vec<Port>, String> {
    outlets
        .iter()
        .map(|outlet| {
            let name = outlet.name().to_owned();
            let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
                return Err(format!("{name} is no tensor"));
            };
            let element = match ty {
                TensorElementType::Float32 | TensorElementType::Float16 => Element::F32,
                TensorElementType::Int64 | TensorElementType::Int32 => Element::I64,
                other => return Err(format!("{name} is {other:?}; f32 and i64 are supported")),
            };
            let shape = shape.iter().map(|size| usize::try_from(*size).ok()).collect();
            Ok(Port { name, element, shape })
        })
        .collect()
}

fn store(value: &DynValue, output: &mut Tensor) -> ort::Result<()> {
    if let Ok((shape, data)) = value.try_extract_tensor::<f32>() {
        output.overwrite(&sizes(shape), data.iter().copied());
    } else if let Ok((shape, data)) = value.try_extract_tensor::<f16>() {
        output.overwrite(&sizes(shape), data.iter().map(|x| x.to_f32()));
    } else if let Ok((shape, data)) = value.try_extract_tensor::<i32>() {
        output.overwrite(&sizes(shape), data.iter().map(|x| *x as f32));
    } else {
        let (shape, data) = value.try_extract_tensor::<i64>()?;
        output.overwrite(&sizes(shape), data.iter().map(|x| *x as f32));
    }
    Ok(())
}

/// A computed tensor has no open dimension.
fn sizes(shape: &[i64]) -> Vec<usize> {
    shape.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_names_every_input_with_its_batch() {
        let port = |name: &str, shape: &[Option<usize>]| Port {
            name: name.into(),
            element: Element::F32,
            shape: shape.into(),
        };
        let inputs = [port("a", &[None, Some(3), Some(8)]), port("b", &[None])];
        assert_eq!(profile(&inputs, 16), "a:16x3x8,b:16");
        let fixed = [port("a", &[Some(1), Some(3)])];
        assert_eq!(profile(&fixed, 1), profile(&fixed, 16));
    }
}
