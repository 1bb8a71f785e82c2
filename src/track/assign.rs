//! Optimal assignment: which row goes with which column, so that the sum of their weights is the greatest.
//!
//! Optimal and not greedy: where two persons cross, the best single pair is often the wrong one and leaves the other
//! two without a match. The Hungarian method by shortest augmenting paths (Kuhn 1955; Jonker and Volgenant 1987) is
//! O(rows² · columns), a few microseconds for the persons of a frame.

/// Finds assignments; keeps its scratch.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    rows: usize,
    columns: usize,
    /// `rows × columns`; positive, or 0 for a pair that must not be.
    weights: Vec<f32>,
    /// Dual variables.
    row_price: Vec<f32>,
    column_price: Vec<f32>,
    /// The row that a column is given to, [`NONE`] if to none.
    owner: Vec<usize>,
    /// On the path being searched: the least slack of a column, the column before it, whether it is on the tree.
    slack: Vec<f32>,
    before: Vec<usize>,
    reached: Vec<bool>,
}

const NONE: usize = usize::MAX;

impl Assignment {
    /// Sets the problem: `weight(row, column)` is positive, or 0 for a pair that must not be.
    pub fn reset(&mut self, rows: usize, columns: usize, mut weight: impl FnMut(usize, usize) -> f32) {
        (self.rows, self.columns) = (rows, columns);
        self.weights.clear();
        for row in 0..rows {
            self.weights.extend((0..columns).map(|column| weight(row, column)));
        }
    }

    /// Solves it. Afterwards [`Assignment::pairs`] are those of greatest total weight.
    pub fn solve(&mut self) {
        // Each row gets a column of its own, of weight 0, to which it goes when there is nothing better. Columns are
        // counted from 1; column 0 holds the row that is being placed.
        let count = self.columns + self.rows + 1;
        reset(&mut self.row_price, self.rows, 0.0);
        reset(&mut self.column_price, count, 0.0);
        reset(&mut self.owner, count, NONE);
        reset(&mut self.before, count, 0);
        for row in 0..self.rows {
            let end = self.search(row, count);
            self.augment(end);
        }
    }

    /// Rows and columns that go together.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let given = self.owner.iter().skip(1).take(self.columns).enumerate();
        given
            .filter(|&(column, &row)| row != NONE && self.weights[row * self.columns + column] > 0.0)
            .map(|(column, &row)| (row, column))
    }

    /// What it costs to give `row` the column; a pair that must not be is never on a shortest path, because going without
    /// costs 0.
    fn cost(&self, row: usize, column: usize) -> f32 {
        match column - 1 {
            c if c < self.columns => {
                let weight = self.weights[row * self.columns + c];
                if weight > 0.0 { -weight } else { f32::INFINITY }
            }
            c if c - self.columns == row => 0.0,
            _ => f32::INFINITY,
        }
    }

    /// Dijkstra's search for the cheapest free column that `row` can end in, by way of others' columns. Indices are
    /// proven: rows are below `rows`, columns below `count`.
    fn search(&mut self, row: usize, count: usize) -> usize {
        reset(&mut self.slack, count, f32::INFINITY);
        reset(&mut self.reached, count, false);
        self.owner[0] = row;
        let mut at = 0;
        loop {
            self.reached[at] = true;
            let row = self.owner[at];
            let (mut least, mut next) = (f32::INFINITY, 0);
            for column in 1..count {
                if self.reached[column] {
                    continue;
                }
                let reduced = self.cost(row, column) - self.row_price[row] - self.column_price[column];
                if reduced < self.slack[column] {
                    self.slack[column] = reduced;
                    self.before[column] = at;
                }
                if self.slack[column] < least {
                    (least, next) = (self.slack[column], column);
                }
            }
            for column in 0..count {
                if self.reached[column] {
                    self.row_price[self.owner[column]] += least;
                    self.column_price[column] -= least;
                } else {
                    self.slack[column] -= least;
                }
            }
            at = next;
            if self.owner[at] == NONE {
                return at;
            }
        }
    }

    /// Moves each row on the path one column on.
    fn augment(&mut self, mut at: usize) {
        while at != 0 {
            let before = self.before[at];
            self.owner[at] = self.owner[before];
            at = before;
        }
    }
}

fn reset<T: Clone>(values: &mut Vec<T>, count: usize, value: T) {
    values.clear();
    values.resize(count, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn solved(weights: &[Vec<f32>]) -> Vec<(usize, usize)> {
        let mut assignment = Assignment::default();
        assignment.reset(weights.len(), weights.first().map_or(0, Vec::len), |r, c| weights[r][c]);
        assignment.solve();
        assignment.pairs().collect()
    }

    /// Tries everything.
    fn best(weights: &[Vec<f32>], free: &mut Vec<bool>) -> f32 {
        let Some((row, rest)) = weights.split_first() else { return 0.0 };
        let mut most = best(rest, free);
        for column in 0..row.len() {
            if free[column] && row[column] > 0.0 {
                free[column] = false;
                most = most.max(row[column] + best(rest, free));
                free[column] = true;
            }
        }
        most
    }

    proptest! {
        #[test]
        fn finds_what_trying_everything_finds(
            weights in (0usize..6, 0usize..6).prop_flat_map(|(rows, columns)| {
                // Many pairs that must not be, and few distinct weights, so that some are equal.
                let weight = prop_oneof![Just(0.0f32), (1u8..8).prop_map(|w| f32::from(w) / 8.0), 0.01f32..1.0];
                prop::collection::vec(prop::collection::vec(weight, columns), rows)
            }),
        ) {
            let pairs = solved(&weights);
            let sum: f32 = pairs.iter().map(|&(r, c)| weights[r][c]).sum();
            let mut free = vec![true; weights.first().map_or(0, Vec::len)];
            prop_assert!((sum - best(&weights, &mut free)).abs() < 1e-4, "{pairs:?}");
            for (i, (row, column)) in pairs.iter().enumerate() {
                prop_assert!(weights[*row][*column] > 0.0);
                prop_assert!(pairs[..i].iter().all(|(r, c)| r != row && c != column));
            }
        }
    }

    #[test]
    fn is_not_greedy() {
        assert_eq!(solved(&[vec![0.9, 0.8], vec![0.8, 0.0]]), [(1, 0), (0, 1)]);
    }

    #[test]
    fn holds_up_at_a_hundred_a_side() {
        let weights: Vec<Vec<f32>> = (0..100)
            .map(|r| (0..100).map(|c| if (r + 37) % 100 == c { 0.6 } else { 0.3 }).collect())
            .collect();
        let pairs = solved(&weights);
        assert_eq!(pairs.len(), 100);
        assert!(pairs.iter().all(|(r, c)| (r + 37) % 100 == *c));
    }
}
