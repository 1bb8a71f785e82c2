//! Position embeddings for another grid of patches.

use std::cell::RefCell;

use rten_onnx::onnx::{DataType, TensorProto};

use super::graph::Graph;
use super::{DeriveError, is, multiples};

/// Of the cubic, as PyTorch's bicubic interpolation has it; with it `transformers` interpolates positions.
const SHARPNESS: f64 = -0.75;

/// Replaces the position embedding of a tower that reads pictures of `from` (width, height) by that of one that reads
/// pictures of `to`. The class token keeps its own.
pub fn interpolate(graph: &mut Graph, from: [usize; 2], to: [usize; 2]) -> Result<(), DeriveError> {
    let patch = patch(graph).ok_or(DeriveError::Position("the patches are not made by one convolution"))?;
    multiples(to, patch)?;
    let grid = |sides: [usize; 2]| {
        let [width, height] = sides;
        let [across, down] = patch;
        [width / across, height / down]
    };
    let (coarse, wanted) = (grid(from), grid(to));
    let tokens = |[columns, rows]: [usize; 2]| columns * rows + 1;
    let is_table = |tensor: &&TensorProto| {
        let dims: Vec<_> = tensor.dims.iter().filter(|size| **size != 1).collect();
        matches!(dims[..], [first, _] if *first == tokens(coarse) as i64)
            && tensor.data_type == Some(DataType::FLOAT)
    };
    let added = graph.nodes().iter().filter(|node| is(node, "Add")).flat_map(|node| &node.input);
    let tables: Vec<_> = added.filter_map(|name| graph.constant(name)).filter(is_table).collect();
    let [table] = tables[..] else {
        return Err(DeriveError::Position("no constant of one row a token is added to the tokens"));
    };
    let values = floats(table).ok_or(DeriveError::Position("its table is not in the file"))?;
    let width = values.len() / tokens(coarse);
    let other = regridded(&values, coarse, wanted, width);
    let mut dims = table.dims.clone();
    if let Some(count) = dims.iter_mut().find(|size| **size == tokens(coarse) as i64) {
        *count = tokens(wanted) as i64;
    }
    let raw = other.iter().flat_map(|value| value.to_le_bytes()).collect();
    let replaced = TensorProto {
        name: table.name.clone(),
        dims,
        data_type: Some(DataType::FLOAT),
        raw_data: Some(RefCell::new(raw)),
        ..TensorProto::default()
    };
    graph.replace(replaced);
    Ok(())
}

/// Width and height of a patch: the strides of the one convolution.
fn patch(graph: &Graph) -> Option<[usize; 2]> {
    let mut convolutions = graph.nodes().iter().filter(|node| is(node, "Conv") || is(node, "ConvInteger"));
    let (Some(one), None) = (convolutions.next(), convolutions.next()) else { return None };
    let strides = one.attribute.iter().find(|attribute| attribute.name.as_deref() == Some("strides"))?;
    let [down, across] = strides.ints[..] else { return None };
    Some([usize::try_from(across).ok()?, usize::try_from(down).ok()?]).filter(|patch| !patch.contains(&0))
}

/// The numbers of an f32 tensor, if they are in the file.
pub fn floats(tensor: &TensorProto) -> Option<Vec<f32>> {
    let values: Vec<f32> = match &tensor.raw_data {
        Some(raw) => raw.borrow().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        None => tensor.float_data.clone(),
    };
    (values.len() as i64 == tensor.dims.iter().product::<i64>()).then_some(values)
}

/// The class token's row, then the grid of `wanted` columns and rows over the same picture, by bicubic interpolation
/// between cells' middles.
fn regridded(
    table: &[f32],
    [columns, rows]: [usize; 2],
    [columns_wanted, rows_wanted]: [usize; 2],
    width: usize,
) -> Vec<f32> {
    let (class, grid) = table.split_at(width.min(table.len()));
    let mut out = class.to_vec();
    for y in 0..rows_wanted {
        let down = taps(y, rows_wanted, rows);
        for x in 0..columns_wanted {
            let across = taps(x, columns_wanted, columns);
            let start = out.len();
            out.resize(start + width, 0.0);
            for (row, by) in &down {
                for (column, bx) in &across {
                    let at = (row * columns + column) * width;
                    let (cell, weight) = (grid.get(at..at + width).unwrap_or_default(), (by * bx) as f32);
                    let sums = out.get_mut(start..).unwrap_or_default();
                    sums.iter_mut().zip(cell).for_each(|(sum, value)| *sum += weight * value);
                }
            }
        }
    }
    out
}

/// Of `cells` in a row, the four that cell `index` of `wanted` in their place is made of, and their weights (Keys 1981);
/// beyond the edge the last one stands on. As in `transformers`, nothing is averaged where the cells become fewer.
fn taps(index: usize, wanted: usize, cells: usize) -> [(usize, f64); 4] {
    let middle = (index as f64 + 0.5) * cells as f64 / wanted as f64 - 0.5;
    let (floor, part) = (middle.floor(), middle - middle.floor());
    std::array::from_fn(|tap| {
        let offset = tap as f64 - 1.0;
        let cell = (floor + offset).clamp(0.0, cells.saturating_sub(1) as f64) as usize;
        (cell, cubic((part - offset).abs()))
    })
}

fn cubic(x: f64) -> f64 {
    let a = SHARPNESS;
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_becomes_four_in_its_place_and_the_class_token_stays() {
        // Two values a cell: its column and its row.
        let (columns, rows) = (6, 5);
        let cell = |i: usize| [(i % columns) as f32, (i / columns) as f32];
        let table: Vec<f32> = [9.0, -9.0].into_iter().chain((0..columns * rows).flat_map(cell)).collect();
        let finer = regridded(&table, [columns, rows], [2 * columns, 2 * rows], 2);
        assert_eq!(finer.len(), 2 * (4 * columns * rows + 1));
        assert_eq!(finer[..2], [9.0, -9.0]);
        // This cubic overshoots: a quarter of a cell becomes 0.296875.
        let expected =
            |at: usize| (at / 2) as f32 + if at.is_multiple_of(2) { -0.296_875 } else { 0.296_875 };
        for y in 4..2 * rows - 4 {
            for x in 4..2 * columns - 4 {
                let at = 2 * (1 + y * 2 * columns + x);
                let (column, row) = (finer[at], finer[at + 1]);
                assert!((column - expected(x)).abs() < 1e-5 && (row - expected(y)).abs() < 1e-5, "{x}, {y}");
            }
        }
    }

    #[test]
    fn weights_are_those_of_pytorch() {
        // A quarter of a cell before the middle of cell 2, by the formula with a = -0.75.
        let weights = taps(4, 16, 8).map(|(_, weight)| weight);
        let expected = [-0.035_156_25, 0.261_718_75, 0.878_906_25, -0.105_468_75];
        assert!(weights.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{weights:?}");
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert_eq!(taps(0, 16, 8).map(|(cell, _)| cell), [0, 0, 0, 1]);
    }

    #[test]
    fn a_coarser_grid_lies_over_the_same_picture() {
        // 14 cells become 10: the first is a fifth of a cell further in, the middle stays the middle.
        let weights = taps(0, 10, 14).map(|(_, weight)| weight);
        let expected = [-0.096, 0.92, 0.2, -0.024];
        assert!(weights.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{weights:?}");
        let ramp: Vec<f32> = std::iter::once(7.0).chain((0..14 * 14).map(|i| (i % 14) as f32)).collect();
        let coarser = regridded(&ramp, [14, 14], [10, 10], 1);
        assert_eq!((coarser.len(), coarser[0]), (101, 7.0));
        for (x, value) in coarser[1..11].iter().enumerate().skip(1).take(8) {
            assert!((value - ((x as f32 + 0.5) * 1.4 - 0.5)).abs() < 0.1, "{x}: {value}");
        }
        let same = regridded(&ramp, [14, 14], [14, 14], 1);
        assert_eq!(same, ramp);
    }
}
