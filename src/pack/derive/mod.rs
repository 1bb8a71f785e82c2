//! Image towers made of a pack's own: its graph, edited when it is loaded.
//!
//! [`resized`] reads smaller or larger pictures: of a vision transformer the position embeddings are interpolated to the
//! other grid of patches, a convolutional network takes what it is given. [`with_regions`] besides says what is where in
//! the picture. Knows graphs; nothing of pictures, boxes or engines.

mod graph;
mod position;
mod regions;
#[cfg(test)]
mod tests;

use rten_onnx::onnx::{ModelProto, NodeProto};

use graph::Graph;
pub use position::floats;
pub use regions::REGIONS;

/// Regions are read off a picture of so many times the tower's sides: people in a whole frame are small.
pub const SCALE: usize = 2;
/// A convolutional network halves its map five times; of other sizes its borders would fall elsewhere.
const STRIDE: usize = 32;

/// Why a tower cannot be made into another.
#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
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
    #[error("it takes multiples of {step} px, which {side} is not")]
    Step { side: usize, step: usize },
}

/// The tower that reads pictures of `to` (width, height), of the ONNX bytes of one that reads pictures of `from`.
pub fn resized(bytes: &[u8], from: [usize; 2], to: [usize; 2]) -> Result<Vec<u8>, DeriveError> {
    edited(bytes, |graph| {
        let pooled = global_poolings(graph);
        resize(graph, &pooled, from, to)?;
        graph.declare_input(to, None);
        graph.declare_outputs(None);
        Ok(())
    })
}

/// The tower that reads one picture of [`SCALE`] times the sides `to` and has the output [`REGIONS`] besides, of one that
/// reads pictures of `from`; see [`regions`].
pub fn with_regions(bytes: &[u8], from: [usize; 2], to: [usize; 2]) -> Result<Vec<u8>, DeriveError> {
    edited(bytes, |graph| {
        let (pooled, to) = (global_poolings(graph), to.map(|side| side * SCALE));
        resize(graph, &pooled, from, to)?;
        regions::add(graph, &pooled)?;
        graph.declare_input(to, Some(1));
        graph.declare_outputs(Some(REGIONS));
        Ok(())
    })
}

fn edited(
    bytes: &[u8],
    edit: impl FnOnce(&mut Graph) -> Result<(), DeriveError>,
) -> Result<Vec<u8>, DeriveError> {
    let parse = |error: rten_onnx::protobuf::ProtobufError| DeriveError::Parse(error.to_string());
    let mut model = ModelProto::parse_buf(bytes).map_err(parse)?;
    let opset = model.opset_import.iter().filter(|set| set.domain.as_deref().unwrap_or_default().is_empty());
    let opset = opset.filter_map(|set| set.version).max().unwrap_or_default();
    if opset < 10 {
        return Err(DeriveError::Opset(opset));
    }
    let proto = model.graph.take().ok_or(DeriveError::Ports)?;
    let mut graph = Graph::new(proto).ok_or(DeriveError::Ports)?;
    edit(&mut graph)?;
    model.graph = Some(graph.into_proto());
    model.write_buf().map_err(parse)
}

/// Indices of the nodes in which a convolutional network pools; a transformer has none.
fn global_poolings(graph: &Graph) -> Vec<usize> {
    graph.ancestors(&graph.output(), |node| is(node, "GlobalAveragePool"))
}

fn resize(graph: &mut Graph, pooled: &[usize], from: [usize; 2], to: [usize; 2]) -> Result<(), DeriveError> {
    if pooled.is_empty() {
        return position::interpolate(graph, from, to);
    }
    multiples(to, [STRIDE; 2])
}

/// Refuses sides that are no multiples of `steps`.
fn multiples(sides: [usize; 2], steps: [usize; 2]) -> Result<(), DeriveError> {
    let mut pairs = sides.into_iter().zip(steps);
    match pairs.find(|(side, step)| *side == 0 || !side.is_multiple_of(*step)) {
        Some((side, step)) => Err(DeriveError::Step { side, step }),
        None => Ok(()),
    }
}

fn is(node: &NodeProto, op: &str) -> bool {
    node.op_type.as_deref() == Some(op)
}

fn attribute(node: &NodeProto, name: &str) -> Option<i64> {
    node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))?.i
}
