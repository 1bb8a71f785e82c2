//! The science behind the heads, for workstations: what they are trained on, and how good they are.
//!
//! Nothing that runs on a board knows this room; the feature `lab` leaves it out.

pub mod ablate;
pub mod annotation;
pub mod dataset;
pub mod eval;
pub mod features;
pub mod link;
pub mod map;
pub mod split;
pub mod synthetic;
pub mod tables;
pub mod temporal;
pub mod training;
pub mod transformer;
pub mod wording;
