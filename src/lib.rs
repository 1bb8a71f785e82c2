//! Watchword: an edge appliance that watches a camera for actions described in words.
//!
//! A frame goes one way, and the modules stand in that order: [`camera`] → [`frame`] → [`detect`] → [`track`] →
//! [`clip`] → [`heads`] → [`event`] → [`mqtt`]. A module knows those before it, never those behind it;
//! [`pipeline`] knows them all, and [`web`] shows it.

// Allowed in two modules, `camera::v4l2::sys` and `engine::rknn::sys`, which say why.
#![deny(unsafe_code)]

pub mod board;
pub mod clock;
pub mod config;
pub mod database;
mod pem;
pub mod pickle;

pub mod camera;
pub mod frame;

pub mod engine;
pub mod pack;

pub mod detect;
pub mod track;

pub mod clip;
pub mod vocabulary;

pub mod heads;

pub mod event;
pub mod render;

pub mod mqtt;

pub mod pipeline;

pub mod web;

#[cfg(feature = "lab")]
pub mod lab;

pub mod cmd;
