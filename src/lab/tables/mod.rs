//! The papers' tables: what they report, how each row is made here, and both side by side.
//!
//! The tables are data, `published.toml`. Knows figures and methods by name; has never heard of features or training.

mod method;
mod render;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::map::Measure;
use super::split::plain;
pub use method::{Frozen, Judging, Method, Units, Vote};
pub use render::{Cell, LabelCell, Line, Sheet, Spread};

/// Published figures, and the rows to set beside them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    pub name: String,
    pub title: String,
    pub metrics: Vec<Metric>,
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// A method's figures.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    pub name: String,
    /// By benchmark, one for each of the table's metrics, or fewer.
    #[serde(default)]
    pub published: BTreeMap<String, Vec<f64>>,
    /// How it is made here; none for a method that is not here.
    pub method: Option<Method>,
}

/// What is measured: `frame@0.5`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Metric {
    pub measure: Measure,
    pub iou: f64,
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('@').and_then(|(measure, iou)| {
            let measure = match measure {
                "frame" => Measure::Frame,
                "video" => Measure::Video,
                _ => return None,
            };
            Some(Self { measure, iou: iou.parse().ok().filter(|iou| *iou > 0.0 && *iou <= 1.0)? })
        });
        parts.ok_or_else(|| format!("{text:?} is neither frame@ nor video@ and an IoU above 0 and at most 1"))
    }
}

impl TryFrom<String> for Metric {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measure = match self.measure {
            Measure::Frame => "frame",
            Measure::Video => "video",
        };
        write!(out, "{measure}@{}", self.iou)
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    table: Vec<Table>,
}

/// All tables.
pub fn tables() -> anyhow::Result<Vec<Table>> {
    let file: File = toml::from_str(include_str!("published.toml")).context("the published tables")?;
    for table in &file.table {
        for row in &table.rows {
            let fits = row.published.values().all(|figures| figures.len() <= table.metrics.len());
            ensure!(fits, "table {}, row {}: more figures than metrics", table.name, row.name);
        }
    }
    Ok(file.table)
}

/// The table of this name.
pub fn table(name: &str) -> anyhow::Result<Table> {
    let tables = tables()?;
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let unknown = || format!("there is no table {name}; there are {}", names.join(", "));
    tables.iter().find(|table| table.name == name).cloned().with_context(unknown)
}

/// What the papers report of a method, in whichever table.
pub fn figure(tables: &[Table], method: &Method, benchmark: &str, metric: Metric) -> Option<f64> {
    tables.iter().find_map(|table| {
        let column = table.metrics.iter().position(|other| *other == metric)?;
        let row = table.rows.iter().find(|row| row.method.as_ref() == Some(method))?;
        row.published.get(benchmark)?.get(column).copied()
    })
}

/// What the papers call this task, by its labels and the share of them that is trained on; none for other data sets and
/// shares.
pub fn benchmark(labels: &[String], seen: usize, unseen: usize) -> Option<String> {
    /// A few labels that only this data set has, and how many it has.
    const SETS: [(&str, usize, [&str; 3]); 2] = [
        ("jhmdb", 21, ["brushhair", "kickball", "shootgun"]),
        ("ucf", 24, ["basketballdunk", "salsaspin", "trampolinejumping"]),
    ];
    let plain: Vec<String> = labels.iter().map(|label| plain(label)).collect();
    let is = |(_, count, some): &&(&str, usize, [&str; 3])| {
        plain.len() == *count && some.iter().all(|label| plain.iter().any(|known| known == label))
    };
    let (set, count, _) = SETS.iter().find(is)?;
    let share = if unseen == *count {
        "all"
    } else if seen == count * 75 / 100 {
        "75"
    } else if seen == count * 50 / 100 {
        "50"
    } else {
        return None;
    };
    Some(format!("{set}-{share}"))
}
