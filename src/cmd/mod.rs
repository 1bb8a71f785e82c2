//! One file for each subcommand: what it takes, what it puts together, what it prints.

pub mod bench;
pub mod calibrate;
pub mod config;
pub mod demo;
pub mod detect;
pub mod doctor;
pub mod fleet_sim;
pub mod generate;
#[cfg(feature = "lab")]
pub mod lab;
pub mod models;
pub mod run;
pub mod vocabulary;
pub mod web;

mod annotate;
mod assemble;
mod interrupt;
mod place;
mod progress;
mod recording;
mod state;
mod words;
