//! The actions of a world: families of five, whose members differ from the first in one factor each.

use super::random::Random;
use super::word;

/// What a person does, with what, where, and after what.
pub const FACTORS: [[&str; 4]; 4] = [
    ["crouching", "reaching", "running", "lying"],
    ["ball", "box", "rope", "ladder"],
    ["yard", "kitchen", "hall", "roof"],
    ["whistle", "knock", "fall", "flash"],
];
/// A first action, and one that differs from it in each factor.
pub const FAMILY: usize = 1 + FACTORS.len();
/// More families would leave too few of the 256 combinations to choose from.
pub const MOST_FAMILIES: usize = 32;

/// A value of each factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action(pub [usize; FACTORS.len()]);

impl Action {
    /// Its words.
    pub fn name(&self) -> String {
        let words: Vec<&str> =
            self.0.iter().enumerate().map(|(factor, value)| word(factor, *value)).collect();
        words.join("-")
    }
}

/// Draws families of actions, no action twice.
pub fn draw(families: usize, random: &mut Random) -> Vec<Vec<Action>> {
    let mut drawn: Vec<Vec<Action>> = Vec::new();
    while drawn.len() < families {
        let first = FACTORS.map(|values| random.below(values.len()));
        let mut family = vec![Action(first)];
        for (factor, values) in FACTORS.iter().enumerate() {
            let mut other = first;
            if let Some(value) = other.get_mut(factor) {
                *value = (*value + 1 + random.below(values.len() - 1)) % values.len();
            }
            family.push(Action(other));
        }
        if !family.iter().any(|action| drawn.iter().flatten().any(|known| known == action)) {
            drawn.push(family);
        }
    }
    drawn
}
