//! A model's weights on their way into rten: each of them in memory once.
//!
//! rten 0.27 unfolds 8-bit weights (DequantizeLinear of a constant) when it loads a model, and keeps the 8-bit ones
//! beside them for as long as the model lives. So they are unfolded here, by the same arithmetic, and let go. And a
//! graph that was changed can be given to rten only as bytes, which it copies the weights out of. So they stay out of
//! those bytes, as what ONNX calls external data.

use std::cell::RefCell;
use std::collections::HashMap;

use rten::ModelOptions;
use rten_onnx::onnx::{
    AttributeProto, DataLocation, DataType, GraphProto, NodeProto, StringStringEntryProto, TensorProto,
};

/// Bytes; what is smaller stays in the graph.
const LARGE: usize = 1 << 10;

/// Whether some weights are in another file, which a pack's hashes do not cover.
pub fn are_elsewhere(graph: &GraphProto) -> bool {
    graph.initializer.iter().any(|tensor| tensor.data_location == Some(DataLocation::EXTERNAL))
}

/// Puts the product into the place of every DequantizeLinear of an 8-bit weight, and drops what nothing reads then.
pub fn unfold(graph: &mut GraphProto) {
    if graph.node.iter().flat_map(|node| &node.attribute).any(|attribute| attribute.g.is_some()) {
        return; // graphs within this one may read its tensors
    }
    let mut readers = readers(graph);
    let mut nodes = std::mem::take(&mut graph.node);
    nodes.retain(|node| {
        let Some(product) = product(node, &graph.initializer) else { return true };
        for input in &node.input {
            let Some(left) = readers.get_mut(input) else { continue };
            *left -= 1;
            if *left == 0 {
                graph.initializer.retain(|tensor| tensor.name.as_ref() != Some(input));
            }
        }
        graph.initializer.push(product);
        false
    });
    graph.node = nodes;
    graph.initializer.retain(|tensor| tensor.name.as_ref().is_some_and(|name| readers.contains_key(name)));
}

/// Of each name, how often it is read. An initializer that is an input as well is one that a caller may replace.
fn readers(graph: &GraphProto) -> HashMap<String, usize> {
    let read = graph.node.iter().flat_map(|node| node.input.iter().cloned());
    let ports = graph.input.iter().chain(&graph.output).filter_map(|port| port.name.clone());
    let mut readers = HashMap::new();
    for name in read.chain(ports) {
        *readers.entry(name).or_insert(0) += 1;
    }
    readers
}

/// What a DequantizeLinear of a constant makes of it; `None` if this is none, or not as plain as they are.
fn product(node: &NodeProto, initializers: &[TensorProto]) -> Option<TensorProto> {
    if node.op_type.as_deref() != Some("DequantizeLinear") {
        return None;
    }
    let find = |name: &String| initializers.iter().find(|tensor| tensor.name.as_ref() == Some(name));
    let weight = find(node.input.first()?)?;
    let (values, scales) = (integers(weight)?, floats(find(node.input.get(1)?)?)?);
    let zeros = match node.input.get(2).filter(|name| !name.is_empty()) {
        Some(name) => integers(find(name)?)?,
        None => vec![0; scales.len()],
    };
    let sizes = weight.dims.iter().map(|size| usize::try_from(*size).ok()).collect::<Option<Vec<_>>>()?;
    let elements = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size))?;
    let block = match scales.len() {
        1 => elements,
        channels => {
            let axis = attribute(node, "axis").map_or(Some(1), |axis| axis.i)?;
            let axis = if axis < 0 { axis.checked_add(sizes.len() as i64)? } else { axis };
            let axis = usize::try_from(axis).ok().filter(|axis| sizes.get(*axis) == Some(&channels))?;
            sizes.get(axis + 1..)?.iter().product()
        }
    };
    if values.len() != elements || zeros.len() != scales.len() || block == 0 {
        return None;
    }
    let mut product = Vec::with_capacity(elements * size_of::<f32>());
    for (values, (scale, zero)) in values.chunks(block).zip(scales.iter().zip(&zeros).cycle()) {
        values
            .iter()
            .for_each(|value| product.extend_from_slice(&((value - zero) as f32 * scale).to_le_bytes()));
    }
    Some(TensorProto {
        name: Some(node.output.first()?.clone()),
        dims: weight.dims.clone(),
        data_type: Some(DataType::FLOAT),
        raw_data: Some(RefCell::new(product)),
        ..TensorProto::default()
    })
}

/// Takes the large tensors out of `graph`, which says from now on where in `options` they are.
pub fn hand_over(graph: &mut GraphProto, options: &mut ModelOptions) {
    let constants = graph.node.iter_mut().flat_map(|node| &mut node.attribute);
    let constants = constants.filter_map(|attribute| attribute.t.as_mut());
    for (number, tensor) in graph.initializer.iter_mut().chain(constants).enumerate() {
        // Of other types rten makes its own.
        let kept = [DataType::FLOAT, DataType::INT32, DataType::INT8, DataType::UINT8];
        let kept = tensor.data_type.is_some_and(|kind| kept.contains(&kind));
        let large = |bytes: &mut RefCell<Vec<u8>>| kept && bytes.get_mut().len() >= LARGE;
        let Some(bytes) = tensor.raw_data.take_if(large) else { continue };
        let (place, bytes) = (format!("{number}.data"), bytes.into_inner());
        let entry = |key: &str, value| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
        let length = bytes.len().to_string();
        tensor.external_data =
            vec![entry("location", place.clone()), entry("offset", "0".into()), entry("length", length)];
        tensor.data_location = Some(DataLocation::EXTERNAL);
        options.external_data(&place, bytes);
    }
}

/// The values of an 8-bit tensor, however they are stored.
pub fn integers(tensor: &TensorProto) -> Option<Vec<i32>> {
    let signed = match tensor.data_type? {
        DataType::INT8 => true,
        DataType::UINT8 => false,
        _ => return None,
    };
    let value = |byte: u8| if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
    Some(match &tensor.raw_data {
        Some(raw) => raw.borrow().iter().map(|byte| value(*byte)).collect(),
        None => tensor.int32_data.iter().map(|number| value(*number as u8)).collect(),
    })
}

fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    if tensor.data_type? != DataType::FLOAT {
        return None;
    }
    match &tensor.raw_data {
        Some(raw) => Some(raw.borrow().as_chunks().0.iter().copied().map(f32::from_le_bytes).collect()),
        None => Some(tensor.float_data.clone()),
    }
}

/// A node's attribute of that name.
pub fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
}
