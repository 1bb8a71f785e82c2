//! An ONNX graph to be looked through and added to.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use rten_onnx::onnx::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TypeProto, TypeProtoTensor, ValueInfoProto,
};

/// The output that is followed.
const OUTPUT: &str = "image_embeds";

/// A value of the graph, and the one that stands for it on a branch.
pub struct Cut {
    pub value: String,
    pub instead: String,
}

pub struct Graph {
    proto: GraphProto,
    output: String,
    /// Nodes that are added, and read what is on the branch.
    late: Vec<NodeProto>,
}

impl Graph {
    /// `None` unless it has one input beside its weights, and an output `image_embeds` or one output alone.
    pub fn new(proto: GraphProto) -> Option<Self> {
        let names = || proto.output.iter().filter_map(|value| value.name.as_deref());
        let output = names()
            .find(|name| *name == OUTPUT)
            .or_else(|| names().next().filter(|_| names().count() == 1))?;
        let output = output.to_owned();
        let graph = Self { proto, output, late: Vec::new() };
        let fed = graph
            .proto
            .input
            .iter()
            .filter(|input| !graph.is_constant(input.name.as_deref().unwrap_or_default()));
        (fed.count() == 1).then_some(graph)
    }

    pub fn output(&self) -> String {
        self.output.clone()
    }

    pub fn node(&self, index: usize) -> Option<&NodeProto> {
        self.proto.node.get(index)
    }

    pub fn nodes(&self) -> &[NodeProto] {
        &self.proto.node
    }

    /// Those who read `value`.
    pub fn readers<'a>(&'a self, value: &'a str) -> impl Iterator<Item = &'a NodeProto> {
        self.proto.node.iter().filter(move |node| node.input.iter().any(|input| input == value))
    }

    /// Indices of the nodes that `value` is computed from and `wanted` picks, in order of computation.
    pub fn ancestors(&self, value: &str, wanted: impl Fn(&NodeProto) -> bool) -> Vec<usize> {
        let mut needed = HashSet::from([value.to_owned()]);
        let mut found = Vec::new();
        for (index, node) in self.proto.node.iter().enumerate().rev() {
            if node.output.iter().any(|output| needed.contains(output)) {
                needed.extend(node.input.iter().cloned());
                if wanted(node) {
                    found.push(index);
                }
            }
        }
        found.reverse();
        found
    }

    pub fn constant(&self, name: &str) -> Option<&TensorProto> {
        self.proto.initializer.iter().find(|tensor| tensor.name.as_deref() == Some(name))
    }

    pub fn is_constant(&self, name: &str) -> bool {
        self.constant(name).is_some()
    }

    /// Replaces the constant of this name.
    pub fn replace(&mut self, tensor: TensorProto) {
        if let Some(place) = self.proto.initializer.iter_mut().find(|known| known.name == tensor.name) {
            *place = tensor;
        }
    }

    /// Whether a constant, in the graph or made by a node, is the integer 0 alone.
    pub fn is_zero(&self, name: &str) -> bool {
        let made = self.proto.node.iter().find(|node| node.output.iter().any(|output| output == name));
        let value = made.and_then(|node| node.attribute.iter().find_map(|attribute| attribute.t.as_ref()));
        let tensor = self.constant(name).or(value);
        tensor.is_some_and(|tensor| {
            let one = tensor.dims.iter().product::<i64>() == 1 && tensor.data_type == Some(DataType::INT64);
            let zero = match &tensor.raw_data {
                Some(raw) => raw.borrow().iter().all(|byte| *byte == 0),
                None => tensor.int64_data.iter().all(|value| *value == 0),
            };
            one && zero
        })
    }

    /// Adds a constant of one integer in a list.
    pub fn integer(&mut self, name: &str, value: i64) {
        self.proto.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: vec![1],
            data_type: Some(DataType::INT64),
            raw_data: Some(RefCell::new(value.to_le_bytes().into())),
            ..TensorProto::default()
        });
    }

    /// What `value` is called on the branch.
    pub fn on_branch(&self, value: &str, branch: &str) -> String {
        format!("{branch}/{value}")
    }

    /// Adds a node that may read values of the branch.
    pub fn late(&mut self, node: NodeProto) {
        self.late.push(node);
    }

    /// Computes what follows the cuts up to `output` a second time, with what stands instead of them; the result is
    /// called `branch`.
    pub fn branch(&mut self, output: &str, cuts: &[Cut], branch: &str) {
        let upstream: HashSet<_> = self.ancestors(output, |_| true).into_iter().collect();
        let mut names: HashMap<String, String> =
            cuts.iter().map(|cut| (cut.value.clone(), cut.instead.clone())).collect();
        let mut nodes = Vec::new();
        for (index, node) in self.proto.node.iter().enumerate() {
            let touched = node.input.iter().any(|input| names.contains_key(input));
            let is_cut = node.output.iter().any(|output| names.contains_key(output));
            if !touched || is_cut || !upstream.contains(&index) {
                continue;
            }
            let mut twin = node.clone();
            twin.name = twin.name.map(|name| self.on_branch(&name, branch));
            for input in &mut twin.input {
                if let Some(name) = names.get(input) {
                    input.clone_from(name);
                }
            }
            for value in &mut twin.output {
                let name = if value == output { branch.to_owned() } else { self.on_branch(value, branch) };
                names.insert(std::mem::replace(value, name.clone()), name);
            }
            nodes.push(twin);
        }
        self.proto.node.append(&mut nodes);
        self.proto.node.append(&mut self.late);
        self.sort();
    }

    /// Puts the nodes in an order of computation, as ONNX wants them; those that stand in one keep it.
    fn sort(&mut self) {
        let made: HashSet<String> =
            self.proto.node.iter().flat_map(|node| node.output.iter().cloned()).collect();
        let (mut done, mut waiting) = (HashSet::new(), std::mem::take(&mut self.proto.node));
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut later = Vec::new();
            for node in waiting {
                if node.input.iter().all(|input| !made.contains(input) || done.contains(input)) {
                    done.extend(node.output.iter().cloned());
                    self.proto.node.push(node);
                } else {
                    later.push(node);
                }
            }
            if later.len() == before {
                self.proto.node.append(&mut later); // a cycle, which the runtime will refuse
            }
            waiting = later;
        }
    }

    /// Pictures of this size (width, height) come in, so many at once; `None`: as many as before.
    pub fn declare_input(&mut self, [width, height]: [usize; 2], batch: Option<usize>) {
        let constants: HashSet<_> =
            self.proto.initializer.iter().filter_map(|tensor| tensor.name.clone()).collect();
        for input in &mut self.proto.input {
            if input.name.as_ref().is_none_or(|name| !constants.contains(name)) {
                let before = dimensions(input).and_then(|shape| shape.first().cloned());
                let batch = batch.map(fixed).or(before).unwrap_or_else(|| open("batch"));
                input.r#type = Some(floats(vec![batch, fixed(3), fixed(height), fixed(width)]));
            }
        }
        self.proto.value_info.clear(); // shapes of the other picture
    }

    /// The embedding goes out, and the branch if there is one; nothing else, whose shape may have been of the other picture.
    pub fn declare_outputs(&mut self, branch: Option<&str>) {
        let outputs = std::mem::take(&mut self.proto.output);
        let mut outputs: Vec<_> =
            outputs.into_iter().filter(|value| value.name.as_deref() == Some(&*self.output)).collect();
        if let Some(branch) = branch {
            let width = outputs.iter().find_map(|value| dimensions(value)?.last().cloned());
            let shape = vec![open("cells"), width.unwrap_or_else(|| open("width"))];
            outputs.push(ValueInfoProto { name: Some(branch.into()), r#type: Some(floats(shape)) });
        }
        self.proto.output = outputs;
    }

    pub fn into_proto(self) -> GraphProto {
        self.proto
    }
}

fn dimensions(value: &ValueInfoProto) -> Option<&[Dimension]> {
    Some(&value.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?.dim)
}

fn fixed(size: usize) -> Dimension {
    Dimension { dim_value: Some(size as i64), dim_param: None }
}

fn open(name: &str) -> Dimension {
    Dimension { dim_value: None, dim_param: Some(name.into()) }
}

fn floats(dim: Vec<Dimension>) -> TypeProto {
    let shape = Some(TensorShapeProto { dim });
    TypeProto {
        tensor_type: Some(TypeProtoTensor { elem_type: Some(DataType::FLOAT), shape }),
        ..TypeProto::default()
    }
}

/// A node with one output, which is named like it, and attributes of integers; one integer alone is no list.
pub fn operator(op: &str, input: Vec<String>, output: String, attributes: &[(&str, &[i64])]) -> NodeProto {
    let attribute = |(name, values): &(&str, &[i64])| {
        let named = AttributeProto { name: Some((*name).into()), ..AttributeProto::default() };
        match values {
            [value] => AttributeProto { i: Some(*value), r#type: Some(AttributeType::INT), ..named },
            _ => AttributeProto { ints: values.to_vec(), r#type: Some(AttributeType::INTS), ..named },
        }
    };
    NodeProto {
        op_type: Some(op.into()),
        name: Some(output.clone()),
        input,
        output: vec![output],
        attribute: attributes.iter().map(attribute).collect(),
        ..NodeProto::default()
    }
}
