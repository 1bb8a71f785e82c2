//! `watchword lab` as a user runs it.
#![allow(dead_code)] // each test binary uses its own part

use std::path::Path;

use crate::common::{complaint, output, watchword};

/// What a run that succeeds prints.
pub fn said(arguments: &[&str]) -> String {
    let mut command = watchword();
    let run = output(command.arg("lab").args(arguments));
    assert!(run.status.success(), "{command:?}: {}", complaint(&run));
    String::from_utf8(run.stdout).unwrap()
}

/// What a run that fails complains of.
pub fn refused(arguments: &[&str]) -> String {
    let mut command = watchword();
    let run = output(command.arg("lab").args(arguments));
    assert!(!run.status.success(), "{command:?} succeeded");
    complaint(&run)
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
