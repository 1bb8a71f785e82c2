//! The science behind the heads, for workstations: how good they are.
//!
//! Nothing that runs on a board knows this room; the feature `lab` leaves it out.

pub mod annotation;
pub mod map;
