//! Why a person got a score: what each unit contributed, and what was attended to.

use super::metadata::Kind;
use super::scores::Scores;

/// How a frame's scores came about.
#[derive(Debug, Default)]
pub struct Explanation {
    pub(super) steps: Vec<Step>,
    /// Softmax weights of the objects, a row for each person: the mean over the object units. The rest of each row up
    /// to 1 went to pads. Without columns where no unit looks at objects.
    pub objects: Vec<Vec<f32>>,
    /// The same of the slots of the memory.
    pub slots: Vec<Vec<f32>>,
}

/// The scores of all persons up to some point of the heads.
#[derive(Debug)]
pub struct Step {
    /// `fusion` before any unit, the unit's kind after it, `prompt` at the end.
    pub after: &'static str,
    pub scores: Scores,
}

impl Explanation {
    /// From `fusion`, which trained heads start from, to the final scores.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
        self.objects.clear();
        self.slots.clear();
    }

    pub(super) fn step(&mut self, unit: Option<Kind>, scores: Scores) {
        self.steps.push(Step { after: unit.map_or("fusion", Kind::name), scores });
    }
}
