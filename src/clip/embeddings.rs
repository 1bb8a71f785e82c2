//! Rows of vectors: what both towers make and everything behind them reads.

/// Rows of embeddings of one width, as the towers give them: finite, not zero, of any length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Embeddings {
    width: usize,
    data: Vec<f32>,
}

impl Embeddings {
    /// No rows yet, each to be `width` long.
    pub fn new(width: usize) -> Self {
        Self { width, data: Vec::new() }
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Forgets the rows, keeps the memory.
    pub fn clear(&mut self) {
        self.data.clear();
    }

    /// Forgets the rows, keeps the memory; rows to come are `width` long.
    pub fn reset(&mut self, width: usize) {
        self.data.clear();
        self.width = width;
    }

    /// Row `index`; `None` past the end.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        self.data.get(index * self.width..(index + 1) * self.width)
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + Clone {
        self.data.chunks_exact(self.width.max(1))
    }

    /// All rows, one after the other.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// Appends `vector`. One of another width, of zero length or with a non-finite element is refused: `false`, and
    /// nothing is appended.
    #[must_use]
    pub fn push(&mut self, vector: &[f32]) -> bool {
        let norm = norm(vector);
        let fits = vector.len() == self.width && norm.is_finite() && norm > 0.0;
        if fits {
            self.data.extend_from_slice(vector);
        }
        fits
    }

    /// Appends `vector` scaled to unit length; refuses what [`Embeddings::push`] refuses.
    #[must_use]
    pub fn push_normalised(&mut self, vector: &[f32]) -> bool {
        let norm = norm(vector);
        if vector.len() != self.width || !norm.is_finite() || norm <= 0.0 {
            return false;
        }
        self.data.extend(vector.iter().map(|x| x / norm));
        true
    }
}

/// Length of a vector (L2).
pub fn norm(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}

/// The inner product; of two unit vectors their cosine. Elements beyond the shorter vector are ignored.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Independent sums, because the compiler may not reorder one.
    const LANES: usize = 8;
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_at_unit_length() {
        let mut embeddings = Embeddings::new(2);
        assert!(embeddings.push_normalised(&[3.0, 4.0]));
        assert!(embeddings.push_normalised(&[-0.5, 0.0]));
        assert_eq!(embeddings.len(), 2);
        assert_eq!(embeddings.row(0), Some(&[0.6, 0.8][..]));
        assert_eq!(embeddings.row(1), Some(&[-1.0, 0.0][..]));
        assert_eq!(embeddings.row(2), None);
        embeddings.reset(1);
        assert!(embeddings.is_empty() && embeddings.push_normalised(&[7.0]));
    }

    #[test]
    fn raw_rows_come_back_as_they_are() {
        let mut embeddings = Embeddings::new(2);
        assert!(embeddings.push(&[3.0, 4.0]));
        assert_eq!((embeddings.row(0), norm(embeddings.data())), (Some(&[3.0, 4.0][..]), 5.0));
    }

    #[test]
    fn what_has_no_direction_is_refused() {
        let mut embeddings = Embeddings::new(2);
        for bad in [&[0.0, 0.0][..], &[1.0, f32::NAN], &[f32::INFINITY, 1.0], &[1.0], &[1.0, 1.0, 1.0], &[]] {
            assert!(!embeddings.push_normalised(bad) && !embeddings.push(bad), "{bad:?}");
        }
        assert!(embeddings.is_empty());
    }

    #[test]
    fn dot_takes_every_element() {
        for length in 0..40 {
            let a: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let b: Vec<f32> = (0..length).map(|i| 1.0 - i as f32).collect();
            let expected: f32 = (0..length).map(|i| i as f32 * (1.0 - i as f32)).sum();
            assert_eq!(dot(&a, &b), expected, "whole numbers below 2^24 are exact");
        }
    }
}
