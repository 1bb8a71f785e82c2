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

#[cfg(test)]
mod tests {
    use rten_onnx::onnx::{AttributeType, ValueInfoProto};

    use super::*;

    fn tensor(name: &str, kind: DataType, dims: &[i64], bytes: Vec<u8>) -> TensorProto {
        TensorProto {
            name: Some(name.into()),
            dims: dims.to_vec(),
            data_type: Some(kind),
            raw_data: Some(RefCell::new(bytes)),
            ..TensorProto::default()
        }
    }

    fn scale(name: &str, values: &[f32]) -> TensorProto {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        tensor(name, DataType::FLOAT, &[values.len() as i64], bytes)
    }

    fn node(operator: &str, input: &[&str], output: &str, axis: Option<i64>) -> NodeProto {
        let axis = axis.map(|axis| AttributeProto {
            name: Some("axis".into()),
            i: Some(axis),
            r#type: Some(AttributeType::INT),
            ..AttributeProto::default()
        });
        NodeProto {
            op_type: Some(operator.into()),
            input: input.iter().map(|name| name.to_string()).collect(),
            output: vec![output.into()],
            attribute: axis.into_iter().collect(),
            ..NodeProto::default()
        }
    }

    fn port(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.into()), ..ValueInfoProto::default() }
    }

    fn names(graph: &GraphProto) -> Vec<&str> {
        graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()).collect()
    }

    /// What a graph makes of the weight -1, 2, 3, 4, 5, 254 - 256, of `dims`.
    fn unfolded(dims: &[i64], axis: Option<i64>, scales: &[f32], zeros: Option<&[u8]>) -> Option<Vec<f32>> {
        let mut graph = GraphProto {
            initializer: vec![
                tensor("w", DataType::INT8, dims, vec![255, 2, 3, 4, 5, 254]),
                scale("s", scales),
            ],
            output: vec![port("y")],
            ..GraphProto::default()
        };
        let mut input = vec!["w", "s"];
        if let Some(zeros) = zeros {
            input.push("z");
            graph.initializer.push(tensor("z", DataType::INT8, &[zeros.len() as i64], zeros.to_vec()));
        }
        graph.node = vec![node("DequantizeLinear", &input, "w32", axis), node("Relu", &["w32"], "y", None)];
        unfold(&mut graph);
        if graph.node.len() == 2 {
            assert_eq!(names(&graph).len(), input.len(), "nothing is dropped");
            return None;
        }
        assert_eq!(names(&graph), ["w32"], "nothing else is left");
        let product = graph.initializer.first().unwrap();
        assert_eq!(product.dims, dims);
        floats(product)
    }

    #[test]
    fn each_channel_has_its_scale_and_zero() {
        let one = unfolded(&[2, 3], Some(0), &[0.5], None).unwrap();
        assert_eq!(one, [-0.5, 1.0, 1.5, 2.0, 2.5, -1.0]);
        let rows = unfolded(&[2, 3], Some(0), &[1.0, 10.0], Some(&[1, 2])).unwrap();
        assert_eq!(rows, [-2.0, 1.0, 2.0, 20.0, 30.0, -40.0]);
        let columns = [-1.0, 20.0, 300.0, 4.0, 50.0, -200.0];
        for axis in [None, Some(1), Some(-1)] {
            assert_eq!(unfolded(&[2, 3], axis, &[1.0, 10.0, 100.0], None).unwrap(), columns);
        }
        let inner = unfolded(&[1, 2, 3], Some(1), &[1.0, 10.0], None).unwrap();
        assert_eq!(inner, [-1.0, 2.0, 3.0, 40.0, 50.0, -20.0]);
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_runtime() {
        assert_eq!(unfolded(&[2, 3], Some(0), &[1.0, 2.0, 3.0], None), None);
        assert_eq!(unfolded(&[2, 3], Some(2), &[1.0, 2.0], None), None);
        assert_eq!(unfolded(&[2, 3], Some(0), &[1.0, 2.0], Some(&[1])), None);
        assert_eq!(unfolded(&[7, 3], Some(0), &[1.0], None), None);
        assert_eq!(unfolded(&[-1, i64::MAX], None, &[1.0], None), None);
        assert_eq!(unfolded(&[i64::MAX, i64::MAX], None, &[1.0], None), None);
    }

    #[test]
    fn a_weight_that_others_read_stays() {
        let weights = ["shared", "input", "lone"].map(|name| tensor(name, DataType::UINT8, &[1], vec![3]));
        let mut graph = GraphProto {
            initializer: weights.into_iter().chain([scale("s", &[2.0])]).collect(),
            node: vec![
                node("DequantizeLinear", &["shared", "s"], "a", None),
                node("DequantizeLinear", &["input", "s"], "b", None),
                node("DequantizeLinear", &["lone", "s"], "c", None),
                node("Gather", &["shared", "a", "b", "c"], "y", None),
            ],
            input: vec![port("input")],
            output: vec![port("y")],
            ..GraphProto::default()
        };
        unfold(&mut graph);
        assert_eq!(names(&graph), ["shared", "input", "a", "b", "c"]);
        assert_eq!(graph.node.len(), 1);
    }

    #[test]
    fn large_tensors_leave_the_graph_and_small_ones_stay() {
        let constant = AttributeProto {
            name: Some("value".into()),
            t: Some(tensor("", DataType::INT8, &[5000], vec![1; 5000])),
            r#type: Some(AttributeType::TENSOR),
            ..AttributeProto::default()
        };
        let constant = NodeProto { attribute: vec![constant], ..node("Constant", &[], "c", None) };
        let mut graph = GraphProto {
            initializer: vec![
                tensor("large", DataType::FLOAT, &[4000], vec![0; 16_000]),
                tensor("small", DataType::FLOAT, &[4], vec![0; 16]),
                tensor("long", DataType::INT64, &[4000], vec![0; 32_000]),
            ],
            node: vec![constant],
            ..GraphProto::default()
        };
        assert!(!are_elsewhere(&graph));
        hand_over(&mut graph, &mut ModelOptions::with_all_ops());
        let inside = |tensor: &TensorProto| tensor.raw_data.is_some() && tensor.data_location.is_none();
        assert_eq!(graph.initializer.iter().map(inside).collect::<Vec<_>>(), [false, true, true]);
        let constant = graph.node.first().and_then(|node| node.attribute.first()?.t.as_ref());
        assert!(constant.is_some_and(|tensor| !inside(tensor)) && are_elsewhere(&graph));
    }
}
