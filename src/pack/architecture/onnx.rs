//! Building an ONNX graph node by node and writing it out tensor by tensor.

use std::collections::HashSet;
use std::io::{self, Write};

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use super::messages::{self, AttributeType, DataType};
use super::random::{Random, quantise_columns};
use super::{Precision, Recipe};

/// LayerNormalization came with 17, a partial Shape with 15; both runtimes and every onnxruntime since 2022 have it.
const OPSET: i64 = 17;
const IR_VERSION: i64 = 8;

/// Field numbers of `graph` in ModelProto and of `initializer` in GraphProto.
const GRAPH_FIELD: u32 = 7;
const INITIALIZER_FIELD: u32 = 5;

/// Weights of 8-bit products are kept to 7 bits (onnxruntime's `reduce_range`, as in the published models): AVX2
/// without VNNI adds pairs of products in 16 bits, and two full products do not fit.
const PRODUCT_LIMIT: f32 = 64.0;
/// Nothing multiplies the token table in 8 bits.
const TABLE_LIMIT: f32 = 127.0;

/// An ONNX graph under construction. Values and nodes go by the name of the value.
///
/// In [`Precision::Int8`] matrix products and the table take the form that onnxruntime's `quantize_dynamic` gives
/// them, and that transformers.js publishes:
/// - linear layers: DynamicQuantizeLinear → MatMulInteger → Cast → Mul by (input's scale × weight's) → Add of the
///   f32 bias; weights i8, symmetric, one scale per output channel; one DynamicQuantizeLinear serves all layers that
///   read the same value;
/// - the patch convolution: the same with ConvInteger and one scale;
/// - the token table: i8 with one scale, Gather → DequantizeLinear;
/// - all else f32. `X.weight` becomes `X.weight_quantized`, `X.weight_scale`, `X.weight_zero_point`.
pub struct Graph {
    precision: Precision,
    seed: u64,
    nodes: Vec<messages::Node>,
    inputs: Vec<messages::Value>,
    outputs: Vec<messages::Value>,
    initializers: Vec<messages::Tensor>,
    quantised: HashSet<String>,
    parameters: usize,
}

impl Graph {
    pub(super) fn new(recipe: &Recipe) -> Self {
        Self {
            precision: recipe.precision,
            seed: recipe.seed,
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            initializers: Vec::new(),
            quantised: HashSet::new(),
            parameters: 0,
        }
    }

    /// Number of weights, before quantisation and without constants.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// Declares an input; a dimension is a name or a size.
    pub(super) fn input(&mut self, name: &str, element: DataType, shape: &[Size]) -> String {
        self.inputs.push(value_info(name, element, shape));
        name.into()
    }

    /// Declares what the last node computes as the output `name`.
    pub(super) fn output(&mut self, name: &str, shape: &[Size]) {
        if let Some(last) = self.nodes.last_mut() {
            last.outputs = vec![name.into()];
        }
        self.outputs.push(value_info(name, DataType::Float, shape));
    }

    /// Adds a node with one output, which is named like it.
    pub(super) fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        self.node_with_outputs(op, name, inputs, &[name], attributes);
        name.into()
    }

    fn node_with_outputs(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) {
        self.nodes.push(messages::Node {
            op: op.into(),
            name: name.into(),
            inputs: inputs.iter().map(|input| String::from(*input)).collect(),
            outputs: outputs.iter().map(|output| String::from(*output)).collect(),
            attributes: attributes.iter().map(|(name, value)| attribute(name, value)).collect(),
        });
    }

    /// Adds a constant of integers (shapes, indices); no dimensions make a scalar.
    pub(super) fn integers(&mut self, name: &str, dimensions: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, DataType::Int64, dimensions, bytes)
    }

    /// Adds a constant of floats.
    pub(super) fn floats(&mut self, name: &str, dimensions: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initializer(name, DataType::Float, dimensions, bytes)
    }

    fn initializer(&mut self, name: &str, kind: DataType, dimensions: &[usize], raw_data: Vec<u8>) -> String {
        let dims = dimensions.iter().map(|size| *size as i64).collect();
        self.initializers.push(messages::Tensor { dims, kind: kind.into(), name: name.into(), raw_data });
        name.into()
    }

    fn draw(&mut self, name: &str, dimensions: &[usize], mean: f32, deviation: f32) -> Vec<f32> {
        let count = dimensions.iter().product();
        self.parameters += count;
        Random::new(self.seed, name).values(count, mean, deviation)
    }

    /// Adds a random f32 weight, whatever the precision.
    pub(super) fn weight(&mut self, name: &str, dimensions: &[usize], mean: f32, deviation: f32) -> String {
        let values = self.draw(name, dimensions, mean, deviation);
        self.floats(name, dimensions, &values)
    }

    /// Adds a random i8 weight with a scale per column of the last dimension, or one of all.
    fn quantised_weight(
        &mut self,
        name: &str,
        dimensions: &[usize],
        deviation: f32,
        per: Per,
        limit: f32,
    ) -> [String; 3] {
        let values = self.draw(name, dimensions, 0.0, deviation);
        let (integers, scales) = match per {
            Per::Column(columns) => quantise_columns(&values, columns, limit),
            Per::Tensor => {
                let greatest =
                    values.iter().fold(f32::MIN_POSITIVE, |greatest, value| greatest.max(value.abs()));
                let step = greatest / limit;
                (values.iter().map(|value| (value / step).round() as i8).collect(), vec![step])
            }
        };
        drop(values);
        let of_scale: &[usize] = match per {
            Per::Column(columns) => &[columns],
            Per::Tensor => &[],
        };
        let bytes = integers.iter().map(|value| value.cast_unsigned()).collect();
        [
            self.initializer(&format!("{name}_quantized"), DataType::Int8, dimensions, bytes),
            self.floats(&format!("{name}_scale"), of_scale, &scales),
            self.initializer(&format!("{name}_zero_point"), DataType::Int8, of_scale, vec![0; scales.len()]),
        ]
    }

    /// The names of `x` in 8 bits, of its scale and its zero point.
    fn quantise(&mut self, x: &str) -> [String; 3] {
        let names = [format!("{x}_quantized"), format!("{x}_scale"), format!("{x}_zero_point")];
        if self.quantised.insert(x.into()) {
            let [quantised, scale, zero] = &names;
            let name = format!("{x}_QuantizeLinear");
            self.node_with_outputs("DynamicQuantizeLinear", &name, &[x], &[quantised, scale, zero], &[]);
        }
        names
    }

    /// `x · weight`, an integer product scaled back to f32: `op` is MatMulInteger or ConvInteger.
    fn integer_product(
        &mut self,
        op: &str,
        name: &str,
        x: &str,
        [weight, weight_scale, weight_zero]: &[String; 3],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let [x, x_scale, x_zero] = self.quantise(x);
        let product =
            self.node(op, &format!("{name}_quant"), &[&x, weight, &x_zero, weight_zero], attributes);
        let to = [("to", Attribute::Int(i64::from(i32::from(DataType::Float))))];
        let cast = self.node("Cast", &format!("{name}_cast"), &[&product], &to);
        let scales = self.node("Mul", &format!("{name}_scales"), &[&x_scale, weight_scale], &[]);
        self.node("Mul", name, &[&cast, &scales], &[])
    }

    /// A linear layer `x · weight + bias`; `scope` is that of its parameters, the weight is `[from, to]`.
    pub(super) fn linear(
        &mut self,
        scope: &str,
        x: &str,
        [from, to]: [usize; 2],
        deviation: f32,
        bias: bool,
    ) -> String {
        let weight = format!("{scope}.weight");
        let name = if bias { format!("{scope}.product") } else { scope.into() };
        let product = match self.precision {
            Precision::F32 => {
                let weight = self.weight(&weight, &[from, to], 0.0, deviation);
                self.node("MatMul", &name, &[x, &weight], &[])
            }
            Precision::Int8 => {
                let weight =
                    self.quantised_weight(&weight, &[from, to], deviation, Per::Column(to), PRODUCT_LIMIT);
                self.integer_product("MatMulInteger", &name, x, &weight, &[])
            }
        };
        if !bias {
            return product;
        }
        let bias = self.weight(&format!("{scope}.bias"), &[to], 0.0, BIAS_DEVIATION);
        self.node("Add", scope, &[&product, &bias], &[])
    }

    /// A convolution with a square kernel, which is its own stride, and no bias: `[_, 3, h, w]` → `[_, to, h/k, w/k]`.
    pub(super) fn patches(
        &mut self,
        scope: &str,
        x: &str,
        to: usize,
        kernel: usize,
        deviation: f32,
    ) -> String {
        let weight = format!("{scope}.weight");
        let dimensions = [to, 3, kernel, kernel];
        let square = || Attribute::Ints(vec![kernel as i64; 2]);
        let attributes = [("kernel_shape", square()), ("strides", square())];
        match self.precision {
            Precision::F32 => {
                let weight = self.weight(&weight, &dimensions, 0.0, deviation);
                self.node("Conv", scope, &[x, &weight], &attributes)
            }
            Precision::Int8 => {
                let weight =
                    self.quantised_weight(&weight, &dimensions, deviation, Per::Tensor, PRODUCT_LIMIT);
                self.integer_product("ConvInteger", scope, x, &weight, &attributes)
            }
        }
    }

    /// Rows of a table: `x` i64 → `[.., width]`.
    pub(super) fn table(
        &mut self,
        scope: &str,
        x: &str,
        [rows, width]: [usize; 2],
        deviation: f32,
    ) -> String {
        let weight = format!("{scope}.weight");
        match self.precision {
            Precision::F32 => {
                let weight = self.weight(&weight, &[rows, width], 0.0, deviation);
                self.node("Gather", scope, &[&weight, x], &[])
            }
            Precision::Int8 => {
                let [weight, scale, zero] =
                    self.quantised_weight(&weight, &[rows, width], deviation, Per::Tensor, TABLE_LIMIT);
                let rows = self.node("Gather", &format!("{scope}_quant"), &[&weight, x], &[]);
                self.node("DequantizeLinear", scope, &[&rows, &scale, &zero], &[])
            }
        }
    }

    /// Layer normalisation over the last axis.
    pub(super) fn layer_norm(&mut self, scope: &str, x: &str, width: usize) -> String {
        let weight = self.weight(&format!("{scope}.weight"), &[width], 1.0, NORM_DEVIATION);
        let bias = self.weight(&format!("{scope}.bias"), &[width], 0.0, BIAS_DEVIATION);
        let epsilon = [("epsilon", Attribute::Float(1e-5)), ("axis", Attribute::Int(-1))];
        self.node("LayerNormalization", scope, &[x, &weight, &bias], &epsilon)
    }

    /// Writes the model. The outer two messages are encoded by hand, so that of the tensors, which can be hundreds of
    /// megabytes, one at a time is in memory twice.
    pub fn write(self, to: &mut impl Write) -> io::Result<()> {
        let model = messages::Model {
            ir_version: IR_VERSION,
            producer: env!("CARGO_PKG_NAME").into(),
            operators: vec![messages::OperatorSet { version: OPSET }],
        };
        let graph = messages::Graph {
            name: "clip".into(),
            nodes: self.nodes,
            inputs: self.inputs,
            outputs: self.outputs,
        };
        let tensors: usize = self
            .initializers
            .iter()
            .map(|tensor| {
                let length = tensor.encoded_len();
                key_len(INITIALIZER_FIELD) + encoded_len_varint(length as u64) + length
            })
            .sum();
        let mut buffer = model.encode_to_vec();
        encode_key(GRAPH_FIELD, WireType::LengthDelimited, &mut buffer);
        encode_varint((graph.encoded_len() + tensors) as u64, &mut buffer);
        graph.encode(&mut buffer)?;
        for tensor in self.initializers {
            encode_key(INITIALIZER_FIELD, WireType::LengthDelimited, &mut buffer);
            tensor.encode_length_delimited(&mut buffer)?;
            to.write_all(&buffer)?;
            buffer.clear();
        }
        to.write_all(&buffer)
    }
}

/// CLIP starts biases at 0 and norms at 1; a little off, so that a test sees a wrong one.
const BIAS_DEVIATION: f32 = 0.02;
const NORM_DEVIATION: f32 = 0.05;

#[derive(Clone, Copy)]
enum Per {
    /// Of the last dimension, which is so long.
    Column(usize),
    Tensor,
}

/// A dimension of an input or output.
pub(super) enum Size {
    Fixed(usize),
    Named(&'static str),
}

/// The value of a node's attribute.
pub(super) enum Attribute {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
}

fn attribute(name: &str, value: &Attribute) -> messages::Attribute {
    let named = messages::Attribute { name: name.into(), ..messages::Attribute::default() };
    match value {
        Attribute::Int(int) => {
            messages::Attribute { kind: AttributeType::Int.into(), int: Some(*int), ..named }
        }
        Attribute::Ints(ints) => {
            messages::Attribute { kind: AttributeType::Ints.into(), ints: ints.clone(), ..named }
        }
        Attribute::Float(x) => {
            messages::Attribute { kind: AttributeType::Float.into(), float: Some(*x), ..named }
        }
    }
}

fn value_info(name: &str, element: DataType, shape: &[Size]) -> messages::Value {
    let dimensions = shape.iter().map(|size| match size {
        Size::Fixed(size) => messages::Dimension { size: Some(*size as i64), name: None },
        Size::Named(name) => messages::Dimension { size: None, name: Some((*name).into()) },
    });
    let shape = Some(messages::Shape { dimensions: dimensions.collect() });
    let tensor = Some(messages::TensorType { element: element.into(), shape });
    messages::Value { name: name.into(), kind: Some(messages::Type { tensor }) }
}
