//! From an image tower to one that also says what is where in the picture.
//!
//! The derived model has a second output, `region_embeds` `[cells, width]`: an embedding for each cell of a grid over the
//! picture, row by row, in the space of `image_embeds`. Where the tower pools the picture into one vector, each cell goes
//! on alone:
//!
//! - a vision transformer's tokens take the last block without looking at one another. Its attention is left out and
//!   the value path kept, `x + out(v(norm(x)))`, then the perceptron as ever (MaskCLIP, Zhou et al. 2022; CLIPSelf, Wu
//!   et al. 2024); each token but the class token goes through the final norm and the projection;
//! - of a convolutional network the maps before global pooling.
//!
//! Weights are shared: the cells cost the last block and what comes after it once more.

use super::graph::{Cut, Graph, operator};
use super::{DeriveError, attribute, is};

/// The name of the output.
pub const REGIONS: &str = "region_embeds";

/// Adds the output to `graph`; `pooled` are its global poolings, if it is convolutional.
pub fn add(graph: &mut Graph, pooled: &[usize]) -> Result<(), DeriveError> {
    let output = graph.output();
    let cuts = if pooled.is_empty() { transformer(graph, &output)? } else { convolutional(graph, pooled)? };
    graph.branch(&output, &cuts, REGIONS);
    Ok(())
}

/// The attention's result becomes its values, and the class token all others.
fn transformer(graph: &mut Graph, output: &str) -> Result<Vec<Cut>, DeriveError> {
    let gathers = graph.ancestors(output, |node| is(node, "Gather") && attribute(node, "axis") == Some(1));
    let pooling = gathers.last().and_then(|index| graph.node(*index));
    let pooling = pooling.filter(|node| node.input.get(1).is_some_and(|index| graph.is_zero(index)));
    let [tokens, pooled] = pooling
        .and_then(|node| Some([node.input.first()?.clone(), node.output.first()?.clone()]))
        .ok_or(DeriveError::Pooling("no class token is gathered from the tokens"))?;
    // Nodes stand in the order in which they are computed.
    let last = graph.ancestors(&tokens, |node| is(node, "Softmax")).pop();
    let weights = last.and_then(|index| graph.node(index)?.output.first().cloned());
    let weights = weights.ok_or(DeriveError::Block("it has no softmax over tokens"))?;
    let readers: Vec<_> = graph.readers(&weights).collect();
    let [product] = readers[..] else {
        return Err(DeriveError::Block("its attention weights are read more than once"));
    };
    let [first, values] = &product.input[..] else {
        return Err(DeriveError::Block("its attention weights are not multiplied with values"));
    };
    if !is(product, "MatMul") || *first != weights || graph.is_constant(values) {
        return Err(DeriveError::Block("its attention weights are not multiplied with values"));
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
fn convolutional(graph: &mut Graph, pooled: &[usize]) -> Result<Vec<Cut>, DeriveError> {
    let mut cuts = Vec::new();
    for index in pooled {
        let pool = graph
            .node(*index)
            .and_then(|node| Some([node.input.first()?.clone(), node.output.first()?.clone()]));
        let [map, pool] = pool.ok_or(DeriveError::Pooling("a pooling has no input"))?;
        let readers: Vec<_> = graph.readers(&pool).collect();
        let [flat] = readers[..] else {
            return Err(DeriveError::Pooling("what is pooled globally is read more than once"));
        };
        if !["Flatten", "Reshape", "Squeeze"].iter().any(|op| is(flat, op)) {
            return Err(DeriveError::Pooling("what is pooled globally is not made a vector"));
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
