//! The two towers: pictures to embeddings, phrases to embeddings, in one space.
//!
//! Knows frames, engines and packs; has never heard of tracks or events.

/// Rows of embeddings of one width, each of unit length (L2).
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

    /// Row `index`; `None` past the end.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        self.data.get(index * self.width..(index + 1) * self.width)
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.data.chunks_exact(self.width.max(1))
    }

    /// Appends `vector` scaled to unit length. A vector of another width, of zero length or with a
    /// non-finite element is refused: `false`, and nothing is appended.
    #[must_use]
    pub fn push_normalised(&mut self, vector: &[f32]) -> bool {
        let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        if vector.len() != self.width || !norm.is_finite() || norm <= 0.0 {
            return false;
        }
        self.data.extend(vector.iter().map(|x| x / norm));
        true
    }
}
