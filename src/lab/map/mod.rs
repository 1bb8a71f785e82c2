//! Mean average precision over frames and over videos, as the papers on action detection report it.
//!
//! All-point interpolated AP; a detection is judged against the ground truth of its label that it overlaps most, and
//! each ground truth may be found once. Knows boxes, tubes and scores; has never heard of a file.

mod catalogue;
mod matching;
mod oracle;
mod precision;
mod region;
mod report;
#[cfg(test)]
mod tests;
mod tube;

pub use catalogue::{Catalogue, Class, Label, Video};
pub use oracle::{oracle, persons};
pub use precision::average_precision;
pub use region::{Region, RegionError};
pub use report::{LabelScore, Measure, Report, frame_map, video_map};
pub use tube::{Tube, TubeError, whole};

/// A person who acts, in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Actor {
    pub video: Video,
    /// As the annotation counts: in a frame-wise data set the frame, in AVA the second.
    pub frame: i64,
    pub label: Label,
    pub region: Region,
}

/// A person who acts, over time.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    pub video: Video,
    pub label: Label,
    pub tube: Tube,
}

/// What is there.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    pub frames: Vec<Actor>,
    /// Empty where the annotation does not say who is who from frame to frame.
    pub tubes: Vec<Action>,
}

impl Truth {
    /// Tubes, and each of their frames.
    pub fn of_tubes(tubes: Vec<Action>) -> Self {
        let frames = tubes.iter().flat_map(|Action { video, label, tube }| {
            tube.frames().map(|(frame, region)| Actor {
                video: *video,
                frame,
                label: *label,
                region: *region,
            })
        });
        Self { frames: frames.collect(), tubes }
    }
}

/// A person found, in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundActor {
    pub video: Video,
    pub frame: i64,
    /// None of a person of whom nobody has said what it does.
    pub label: Option<Label>,
    pub score: f64,
    pub region: Region,
}

/// An action found, over time.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundAction {
    pub video: Video,
    pub label: Label,
    pub score: f64,
    pub tube: Tube,
}

/// What was found, in the order of the file: of equal scores, the first counts first. Absent is what a file does not
/// speak of, as against nothing found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub frames: Option<Vec<FoundActor>>,
    pub tubes: Option<Vec<FoundAction>>,
}
