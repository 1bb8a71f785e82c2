//! Linear layers: a matrix and a bias, applied to rows, in f32 or with int8 weights.
//!
//! The products are those of the CPU engine's own `rten-gemm`: it has kernels for int8 with dot-product instructions
//! on x86-64 and Arm, which `ndarray` has not.

use rten_gemm::{BiasVector, GemmExecutor, GemmInputA, GemmInputB, GemmOptions, PackedBMatrix, QuantParams};
use rten_simd::SimdOp;
use rten_tensor::NdTensorView;
use rten_vecmath::MinMax;

/// A matrix `[rows, columns]` as a file holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Values,
}

/// The elements of a matrix, row after row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Float(Vec<f32>),
    /// -127..=127, to be multiplied by its row's scale.
    Int8 {
        data: Vec<i8>,
        scales: Vec<f32>,
    },
}

impl Matrix {
    /// The elements in f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.values {
            Values::Float(data) => data.clone(),
            Values::Int8 { data, scales } => data
                .chunks_exact(self.columns.max(1))
                .zip(scales)
                .flat_map(|(row, scale)| row.iter().map(move |x| f32::from(*x) * scale))
                .collect(),
        }
    }

    /// The same matrix in int8, each row on a scale of its own.
    pub fn quantised(&self) -> Self {
        let Values::Float(floats) = &self.values else { return self.clone() };
        let (mut data, mut scales) = (Vec::with_capacity(floats.len()), Vec::with_capacity(self.rows));
        for row in floats.chunks_exact(self.columns.max(1)) {
            let largest = row.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            data.extend(row.iter().map(|x| (x / scale).round().clamp(-127.0, 127.0) as i8));
            scales.push(scale);
        }
        Self { rows: self.rows, columns: self.columns, values: Values::Int8 { data, scales } }
    }

    fn is_int8(&self) -> bool {
        matches!(self.values, Values::Int8 { .. })
    }
}

thread_local! {
    /// Tables of functions for this processor, which rten-gemm does not let threads share.
    static KERNELS: Kernels = Kernels::default();
}

struct Kernels {
    float: GemmExecutor<f32>,
    int8: GemmExecutor<u8, i8, i32>,
    /// The largest quantised activation: on x86 without VNNI two products are added up in 16 bits, where eight bits
    /// of each would overflow.
    top: u8,
}

impl Default for Kernels {
    fn default() -> Self {
        let int8 = GemmExecutor::<u8, i8, i32>::new();
        let top = if int8.may_saturate() { 127 } else { 255 };
        Self { float: GemmExecutor::new(), int8, top }
    }
}

/// Buffers of the int8 path; they grow once.
#[derive(Debug, Default)]
pub struct Scratch {
    quantised: Vec<u8>,
    scales: Vec<f32>,
    zeros: Vec<u8>,
    sums: Vec<i32>,
}

/// `x → x·Wᵀ + b` on rows.
pub struct Linear {
    inputs: usize,
    outputs: usize,
    weight: Packed,
    bias: Vec<f32>,
}

enum Packed {
    Float(PackedBMatrix<f32>),
    Int8 { matrix: PackedBMatrix<i8>, scales: Vec<f32> },
}

impl Linear {
    /// Lays `matrix` out for the kernels. `bias` is as long as the matrix has rows, or absent.
    pub fn new(matrix: &Matrix, bias: Option<Vec<f32>>) -> Self {
        let shape = [matrix.rows, matrix.columns];
        let weight = match &matrix.values {
            Values::Float(data) => {
                let view = NdTensorView::from_data(shape, data.as_slice());
                Packed::Float(KERNELS.with(|kernels| kernels.float.prepack_b(view.transposed())))
            }
            Values::Int8 { data, scales } => {
                let view = NdTensorView::from_data(shape, data.as_slice());
                let matrix = KERNELS.with(|kernels| kernels.int8.prepack_b(view.transposed()));
                Packed::Int8 { matrix, scales: scales.clone() }
            }
        };
        let bias = bias.unwrap_or_else(|| vec![0.0; matrix.rows]);
        Self { inputs: matrix.columns, outputs: matrix.rows, weight, bias }
    }

    /// `second ∘ first` without the bias between: the product of the two matrices, in int8 if either is.
    pub fn chained(first: &Matrix, second: &Matrix, bias: Option<Vec<f32>>) -> Self {
        let (a, b) = (second.to_f32(), first.to_f32());
        let mut product = vec![0.0; second.rows * first.columns];
        multiply(&a, second.columns, &b, first.columns, &mut product);
        let product = Matrix { rows: second.rows, columns: first.columns, values: Values::Float(product) };
        let product = if first.is_int8() || second.is_int8() { product.quantised() } else { product };
        Self::new(&product, bias)
    }

    /// Elements of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// What every row has added to it.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Overwrites `out` with a row for each of `rows`, `[N, inputs]` → `[N, outputs]`.
    ///
    /// With int8 weights each row is quantised on a scale of its own, and the bias is added in f32.
    pub fn apply(&self, rows: &[f32], scratch: &mut Scratch, out: &mut Vec<f32>) {
        self.run(rows, true, scratch, out);
    }

    /// As [`Linear::apply`], without the bias.
    pub fn apply_unbiased(&self, rows: &[f32], scratch: &mut Scratch, out: &mut Vec<f32>) {
        self.run(rows, false, scratch, out);
    }

    fn run(&self, rows: &[f32], biased: bool, scratch: &mut Scratch, out: &mut Vec<f32>) {
        let count = rows.len() / self.inputs.max(1);
        out.resize(count * self.outputs, 0.0);
        if count == 0 {
            return;
        }
        let shape = [count, self.inputs];
        match &self.weight {
            Packed::Float(matrix) => {
                let options =
                    GemmOptions { bias: biased.then_some(BiasVector::Row(&self.bias)), ..Default::default() };
                let rows = GemmInputA::Unpacked(NdTensorView::from_data(shape, rows));
                // Invariant: `out` and the bias have the lengths that the matrix was packed with.
                let product =
                    |kernels: &Kernels| kernels.float.gemm(out, rows, GemmInputB::Packed(matrix), options);
                KERNELS.with(product).expect("shapes agree");
            }
            Packed::Int8 { matrix, scales } => {
                quantise(rows, self.inputs, KERNELS.with(|kernels| kernels.top), scratch);
                scratch.sums.resize(count * self.outputs, 0);
                let options = GemmOptions {
                    a_quant: Some(QuantParams { zero_point: &scratch.zeros }),
                    ..Default::default()
                };
                let rows = GemmInputA::Unpacked(NdTensorView::from_data(shape, scratch.quantised.as_slice()));
                let sums = scratch.sums.as_mut_slice();
                // Invariant: as above.
                let product =
                    |kernels: &Kernels| kernels.int8.gemm(sums, rows, GemmInputB::Packed(matrix), options);
                KERNELS.with(product).expect("shapes agree");
                let outs = out.chunks_exact_mut(self.outputs);
                let sums = scratch.sums.chunks_exact(self.outputs);
                for ((out, sums), row_scale) in outs.zip(sums).zip(&scratch.scales) {
                    let columns = out.iter_mut().zip(sums).zip(scales).zip(&self.bias);
                    if biased {
                        columns.for_each(|(((y, sum), scale), bias)| {
                            *y = *sum as f32 * (row_scale * scale) + bias
                        });
                    } else {
                        columns.for_each(|(((y, sum), scale), _)| *y = *sum as f32 * (row_scale * scale));
                    }
                }
            }
        }
    }
}

/// Maps each row's range, which includes 0, to `0..=top`.
fn quantise(rows: &[f32], width: usize, top: u8, scratch: &mut Scratch) {
    /// Added to a small number, leaves it as an integer in the low bits of the sum (1.5 · 2²³): rounding that every
    /// processor does many at a time.
    const ROUND: f32 = 12_582_912.0;
    let Scratch { quantised, scales, zeros, .. } = scratch;
    quantised.resize(rows.len(), 0);
    scales.clear();
    zeros.clear();
    let top = f32::from(top);
    for (row, out) in rows.chunks_exact(width).zip(quantised.chunks_exact_mut(width)) {
        let (low, high) = MinMax::new(row).dispatch();
        let (low, high) = (low.min(0.0), high.max(0.0));
        let scale = if high > low { (high - low) / top } else { 1.0 };
        let zero = (-low / scale).round();
        let inverse = scale.recip();
        for (q, x) in out.iter_mut().zip(row) {
            *q = ((x * inverse + zero).clamp(0.0, top) + ROUND).to_bits() as u8;
        }
        scales.push(scale);
        zeros.push(zero as u8);
    }
}

/// `a [n, k] · b [k, m]`, once at load.
fn multiply(a: &[f32], k: usize, b: &[f32], m: usize, out: &mut [f32]) {
    for (a, out) in a.chunks_exact(k.max(1)).zip(out.chunks_exact_mut(m.max(1))) {
        for (a, b) in a.iter().zip(b.chunks_exact(m.max(1))) {
            out.iter_mut().zip(b).for_each(|(out, b)| *out += a * b);
        }
    }
}
