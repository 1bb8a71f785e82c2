//! Probabilities by person and action.

/// A row for each person, a column for each action, each 0..=1. A row sums to at most 1: what is missing is
/// "none of these".
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    actions: usize,
    data: Vec<f32>,
}

impl Scores {
    /// Number of persons.
    pub fn len(&self) -> usize {
        self.data.len().checked_div(self.actions).unwrap_or(0)
    }

    /// Whether nobody was scored.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Number of columns.
    pub fn actions(&self) -> usize {
        self.actions
    }

    /// The probabilities of person `index`; `None` past the end.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        self.data.get(index * self.actions..(index + 1) * self.actions)
    }

    /// The persons in order.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact(self.actions.max(1))
    }

    /// `persons` rows of zeros for `actions` columns; keeps the memory.
    pub fn reset(&mut self, persons: usize, actions: usize) {
        self.actions = actions;
        self.data.clear();
        self.data.resize(persons * actions, 0.0);
    }

    /// The persons in order, to be written to.
    pub fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f32]> {
        self.data.chunks_exact_mut(self.actions.max(1))
    }
}
