//! From an image tower to one that also says what is where in the picture: its graph, edited.
//!
//! The derived model reads one picture of twice the tower's sides and has a second output, `region_embeds`
//! `[cells, width]`: an embedding for each cell of a grid over the picture, row by row, in the space of
//! `image_embeds`. Where the tower pools the picture into one vector, each cell goes on alone:
//!
//! - a vision transformer's tokens take the last block without looking at one another. Its attention is left out and
//!   the value path kept, `x + out(v(norm(x)))`, then the perceptron as ever (MaskCLIP, Zhou et al. 2022; CLIPSelf, Wu
//!   et al. 2024); each token but the class token goes through the final norm and the projection. Position embeddings
//!   are interpolated to the finer grid;
//! - of a convolutional network the maps before global pooling.
//!
//! Weights are shared: the cells cost the last block and what comes after it once more. Knows graphs; nothing of
//! pictures, boxes or engines.

mod graph;
mod position;
#[cfg(test)]
mod tests;

use rten_onnx::onnx::{ModelProto, NodeProto};

use graph::{Graph, operator};
pub use position::floats;

/// The name of the output.
pub const REGIONS: &str = "region_embeds";
/// The derived model's picture has so many times the tower's sides: people in a whole frame are small.
pub const SCALE: usize = 2;

/// Why a tower cannot be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum DenseError {
    #[error("it is no ONNX model: {0}")]
    Parse(String),
    #[error("it has no graph with one picture as input and one output image_embeds")]
    Ports,
    #[error("its ONNX opset {0} is older than 10")]
    Opset(i64),
    #[error("{0}; the picture is pooled in a way that is not known here")]
    Pooling(&'static str),
    #[error("{0}; the last block is of a form that is not known here")]
    Block(&'static str),
    #[error("{0}; the position embedding is of a form that is not known here")]
    Position(&'static str),
}

/// The model derived from the ONNX bytes of a tower that reads pictures of `size` (width, height).
pub fn derive(bytes: &[u8], size: [usize; 2]) -> Result<Vec<u8>, DenseError> {
    let parse = |error: rten_onnx::protobuf::ProtobufError| DenseError::Parse(error.to_string());
    let mut model = ModelProto::parse_buf(bytes).map_err(parse)?;
    let opset = model.opset_import.iter().filter(|set| set.domain.as_deref().unwrap_or_default().is_empty());
    let opset = opset.filter_map(|set| set.version).max().unwrap_or_default();
    if opset < 10 {
        return Err(DenseError::Opset(opset));
    }
    let proto = model.graph.take().ok_or(DenseError::Ports)?;
    let mut graph = Graph::new(proto).ok_or(DenseError::Ports)?;
    let output = graph.output();
    let pooled = graph.ancestors(&output, |node| is(node, "GlobalAveragePool"));
    let cuts = if pooled.is_empty() {
        position::interpolate(&mut graph, size, SCALE)?;
        transformer(&mut graph, &output)?
    } else {
        convolutional(&mut graph, &pooled)?
    };
    graph.branch(&output, &cuts, REGIONS);
    graph.declare(size.map(|side| side * SCALE), REGIONS);
    model.graph = Some(graph.into_proto());
    model.write_buf().map_err(parse)
}

/// A value of the graph, and the one that stands for it on the way of the regions.
struct Cut {
    value: String,
    instead: String,
}

/// The attention's result becomes its values, and the class token all others.
fn transformer(graph: &mut Graph, output: &str) -> Result<Vec<Cut>, DenseError> {
    let gathers = graph.ancestors(output, |node| is(node, "Gather") && attribute(node, "axis") == Some(1));
    let pooling = gathers.last().and_then(|index| graph.node(*index));
    let pooling = pooling.filter(|node| node.input.get(1).is_some_and(|index| graph.is_zero(index)));
    let [tokens, pooled] = pooling
        .and_then(|node| Some([node.input.first()?.clone(), node.output.first()?.clone()]))
        .ok_or(DenseError::Pooling("no class token is gathered from the tokens"))?;
    // Nodes stand in the order in which they are computed.
    let last = graph.ancestors(&tokens, |node| is(node, "Softmax")).pop();
    let weights = last.and_then(|index| graph.node(index)?.output.first().cloned());
    let weights = weights.ok_or(DenseError::Block("it has no softmax over tokens"))?;
    let readers: Vec<_> = graph.readers(&weights).collect();
    let [product] = readers[..] else {
        return Err(DenseError::Block("its attention weights are read more than once"));
    };
    let [first, values] = &product.input[..] else {
        return Err(DenseError::Block("its attention weights are not multiplied with values"));
    };
    if !is(product, "MatMul") || *first != weights || graph.is_constant(values) {
        return Err(DenseError::Block("its attention weights are not multiplied with values"));
    }
    let attended = product.output.first().cloned().unwrap_or_default();
    let values = values.clone();
    let [start, end, axis, cells] = ["start", "end", "axis", "cells"].map(|part| format!("{REGIONS}/{part}"));
    for (name, value) in [(&start, 1), (&end, i64::MAX), (&axis, 1)] {
        graph.integer(name, value);
    }
    // [1, tokens, width] without the class token, then [cells, width].
    let others = format!("{REGIONS}/tokens");
    let branch = graph.on_branch(&tokens, REGIONS);
    graph.late(operator("Slice", vec![branch, start, end, axis], others.clone(), &[]));
    graph.late(operator("Flatten", vec![others], cells.clone(), &[("axis", &[2])]));
    Ok(vec![Cut { value: attended, instead: values }, Cut { value: pooled, instead: cells }])
}

/// What is pooled becomes the cells of its map.
fn convolutional(graph: &mut Graph, pooled: &[usize]) -> Result<Vec<Cut>, DenseError> {
    let mut cuts = Vec::new();
    for index in pooled {
        let pool = graph
            .node(*index)
            .and_then(|node| Some([node.input.first()?.clone(), node.output.first()?.clone()]));
        let [map, pool] = pool.ok_or(DenseError::Pooling("a pooling has no input"))?;
        let readers: Vec<_> = graph.readers(&pool).collect();
        let [flat] = readers[..] else {
            return Err(DenseError::Pooling("what is pooled globally is read more than once"));
        };
        if !["Flatten", "Reshape", "Squeeze"].iter().any(|op| is(flat, op)) {
            return Err(DenseError::Pooling("what is pooled globally is not made a vector"));
        }
        let value = flat.output.first().cloned().unwrap_or_default();
        // [1, channels, h, w] → [h · w, channels].
        let [turned, cells] = ["turned", "cells"].map(|part| format!("{REGIONS}/{map}/{part}"));
        graph.late(operator("Transpose", vec![map], turned.clone(), &[("perm", &[0, 2, 3, 1])]));
        graph.late(operator("Flatten", vec![turned], cells.clone(), &[("axis", &[3])]));
        cuts.push(Cut { value, instead: cells });
    }
    Ok(cuts)
}

fn is(node: &NodeProto, op: &str) -> bool {
    node.op_type.as_deref() == Some(op)
}

fn attribute(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))?.i
}
