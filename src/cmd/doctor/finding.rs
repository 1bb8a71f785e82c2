//! What the examination has to say: one line, and what to do.

use std::fmt::Display;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Ok,
    /// It works; not as well, or not for as long, as it could.
    Warn,
    /// It cannot do its work.
    Fail,
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// `memory`; there may be several of one name.
    pub check: &'static str,
    pub status: Status,
    pub found: String,
    /// None if all is well.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(check: &'static str, found: impl Display) -> Self {
        Self { check, status: Status::Ok, found: found.to_string(), remedy: None }
    }

    pub fn warn(check: &'static str, found: impl Display, remedy: impl Display) -> Self {
        Self { check, status: Status::Warn, found: found.to_string(), remedy: Some(remedy.to_string()) }
    }

    pub fn fail(check: &'static str, found: impl Display, remedy: impl Display) -> Self {
        Self { status: Status::Fail, ..Self::warn(check, found, remedy) }
    }

    pub fn print(&self) {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warn => "warn",
            Status::Fail => "fail",
        };
        // Of several lines each stands under the first.
        let found = self.found.trim_end().replace('\n', &format!("\n{:21}", ""));
        println!("{status:<5} {:<14} {found}", self.check);
        if let Some(remedy) = &self.remedy {
            println!("{:20} → {remedy}", "");
        }
    }
}
