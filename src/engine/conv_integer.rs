//! A way around two faults in rten 0.27's ConvInteger, for models that have one.
//!
//! Where it goes by im2col (a kernel larger than 1 × 1, not depthwise), it forgets the kernel's zero point if the batch
//! has more than one picture (the kernel is packed beforehand, without it), and it pads with 128 instead of the input's
//! zero point. Both change numbers without an error. Published CLIP towers have one such operator, the patch embedding;
//! so it is computed in f32, on the same integers: exact up to 2²⁴, and a hundredth of a tower's work.
//! The test on `tests/models/dynamic.onnx` fails without this; when it passes without, this file can go.

use std::cell::RefCell;

use rten_onnx::onnx::{AttributeProto, AttributeType, DataType, GraphProto, NodeProto, TensorProto};

use super::weights::{attribute, integers};

/// Replaces each affected ConvInteger by `int(Conv(float(x) - float(x_zero), float(w - w_zero)))`.
pub fn repair(graph: &mut GraphProto) {
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes {
        match affected(&node, &graph.initializer) {
            Some(weight) => {
                graph.node.extend(in_floats(node, weight.name.clone()));
                graph.initializer.push(weight);
            }
            None => graph.node.push(node),
        }
    }
}

/// The weights of a node that rten would compute wrongly, as floats with their zero point taken off.
fn affected(node: &NodeProto, initializers: &[TensorProto]) -> Option<TensorProto> {
    if node.op_type.as_deref() != Some("ConvInteger") {
        return None;
    }
    let find = |index: usize| {
        let name = node.input.get(index).filter(|name| !name.is_empty());
        name.and_then(|name| initializers.iter().find(|tensor| tensor.name.as_ref() == Some(name)))
    };
    let weight = find(1)?;
    let group = attribute(node, "group").and_then(|group| group.i).unwrap_or(1);
    let all =
        |name, value: i64| attribute(node, name).is_none_or(|list| list.ints.iter().all(|x| *x == value));
    let plain =
        all("strides", 1) && all("dilations", 1) && all("pads", 0) && attribute(node, "auto_pad").is_none();
    match *weight.dims.as_slice() {
        [_, _, 1, 1] if group == 1 && plain => return None,
        [kernels, 1, _, _] if kernels == group && group > 1 => return None,
        _ => {}
    }
    let values = integers(weight)?;
    let zeros = find(3).map_or(Some(vec![0]), integers)?;
    let kernels = usize::try_from(*weight.dims.first()?).ok()?;
    let length = values.len().checked_div(kernels).filter(|length| *length > 0)?;
    let zero = |kernel: usize| zeros.get(kernel).or(zeros.first()).copied().unwrap_or(0);
    let centred = values.chunks(length).enumerate().flat_map(|(kernel, values)| {
        let zero = zero(kernel);
        values.iter().flat_map(move |value| ((value - zero) as f32).to_le_bytes())
    });
    Some(TensorProto {
        name: Some(format!("{}_centred", node.output.first()?)),
        dims: weight.dims.clone(),
        data_type: Some(DataType::FLOAT),
        raw_data: Some(RefCell::new(centred.collect())),
        ..TensorProto::default()
    })
}

fn in_floats(node: NodeProto, weight: Option<String>) -> Vec<NodeProto> {
    let output = node.output.first().cloned().unwrap_or_default();
    let name = |part: &str| format!("{output}_{part}");
    let x = node.input.first().cloned().unwrap_or_default();
    let mut nodes = vec![cast(x, name("x"), DataType::FLOAT)];
    let mut centred = name("x");
    if let Some(zero) = node.input.get(2).filter(|zero| !zero.is_empty()) {
        nodes.push(cast(zero.clone(), name("x_zero"), DataType::FLOAT));
        nodes.push(operator("Sub", vec![name("x"), name("x_zero")], name("x_centred")));
        centred = name("x_centred");
    }
    let inputs = vec![centred, weight.unwrap_or_default()];
    nodes.push(NodeProto { attribute: node.attribute, ..operator("Conv", inputs, name("float")) });
    nodes.push(cast(name("float"), output, DataType::INT32));
    nodes
}

fn operator(op: &str, input: Vec<String>, output: String) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        name: Some(output.clone()),
        input,
        output: vec![output],
        ..NodeProto::default()
    }
}

fn cast(from: String, to: String, kind: DataType) -> NodeProto {
    let attribute = AttributeProto {
        name: Some("to".into()),
        i: Some(kind.0.into()),
        r#type: Some(AttributeType::INT),
        ..AttributeProto::default()
    };
    NodeProto { attribute: vec![attribute], ..operator("Cast", vec![from], to) }
}
