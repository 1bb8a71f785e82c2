//! Layer normalisation.

/// What PyTorch adds to a variance.
const EPSILON: f32 = 1e-5;

/// Scales each row of `width` in place to zero mean and unit variance.
pub fn normalise(rows: &mut [f32], width: usize) {
    for row in rows.chunks_exact_mut(width.max(1)) {
        let square = centre(row);
        let scale = inverse_deviation(square, width);
        row.iter_mut().for_each(|x| *x *= scale);
    }
}

/// As [`normalise`], then an element-wise weight and bias.
pub fn normalise_affine(rows: &mut [f32], weight: &[f32], bias: &[f32]) {
    normalise(rows, weight.len());
    for row in rows.chunks_exact_mut(weight.len().max(1)) {
        row.iter_mut().zip(weight).zip(bias).for_each(|((x, weight), bias)| *x = *x * weight + bias);
    }
}

/// Takes the mean from `row`; gives the sum of squares of what is left.
pub fn centre(row: &mut [f32]) -> f32 {
    let mean = sum(row) / row.len().max(1) as f32;
    row.iter_mut().for_each(|x| *x -= mean);
    crate::clip::dot(row, row)
}

/// What turns centred elements, `width` of them with `square` as the sum of their squares, into normalised ones.
pub fn inverse_deviation(square: f32, width: usize) -> f32 {
    (square / width.max(1) as f32 + EPSILON).sqrt().recip()
}

/// In eight independent sums, because the compiler may not reorder one.
fn sum(row: &[f32]) -> f32 {
    let (lanes, rest) = row.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for lane in lanes {
        sums.iter_mut().zip(lane).for_each(|(sum, x)| *sum += x);
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}
