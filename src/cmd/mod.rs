//! (being built)

pub mod models;
