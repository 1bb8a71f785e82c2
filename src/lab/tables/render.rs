//! Our numbers beside the published ones, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Metric, Table};
use crate::lab::map::Report;
use crate::lab::split::Split;

/// A table filled in.
#[derive(Debug, Clone, Serialize)]
pub struct Sheet {
    pub table: String,
    pub title: String,
    /// Whose published figures stand in it; none where the papers have none for this task.
    pub benchmark: Option<String>,
    /// What is judged: `pack` and encoder, and what else a number depends on.
    pub about: Vec<(String, String)>,
    pub splits: Vec<Split>,
    pub metrics: Vec<Metric>,
    pub rows: Vec<Line>,
}

/// A row filled in.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub name: String,
    /// One for each metric.
    pub cells: Vec<Cell>,
    /// AP by label, in the table's first metric.
    pub labels: Vec<LabelCell>,
    /// Why there are no numbers of ours.
    pub missing: Option<String>,
}

/// Two figures to be compared, per cent.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cell {
    pub published: Option<f64>,
    pub ours: Option<Spread>,
}

/// A label's AP.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelCell {
    pub label: String,
    pub ap: Spread,
}

/// Several runs of the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    /// Standard deviation of a sample (n − 1); none for one run.
    pub deviation: Option<f64>,
    pub runs: Vec<f64>,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(runs: Vec<f64>) -> Option<Self> {
        let count = runs.len();
        let mean = runs.iter().sum::<f64>() / count as f64;
        let squares: f64 = runs.iter().map(|run| (run - mean).powi(2)).sum();
        let deviation = (count > 1).then(|| (squares / (count - 1) as f64).sqrt());
        (count > 0).then_some(Self { mean, deviation, runs })
    }

    fn text(&self) -> String {
        match self.deviation {
            Some(deviation) => format!("{:.2} ± {deviation:.2} ({})", self.mean, self.runs.len()),
            None => format!("{:.2}", self.mean),
        }
    }
}

impl Line {
    /// Sets our numbers: for each run a report for each of the table's metrics.
    pub fn fill(&mut self, runs: &[Vec<Option<Report>>]) {
        for (index, cell) in self.cells.iter_mut().enumerate() {
            let maps = runs.iter().filter_map(|run| Some(run.get(index)?.as_ref()?.map));
            cell.ours = Spread::of(maps.collect());
        }
        let mut labels: Vec<(String, Vec<f64>)> = Vec::new();
        for score in runs.iter().filter_map(|run| run.first()?.as_ref()).flat_map(|report| &report.labels) {
            match labels.iter_mut().find(|(label, _)| *label == score.label) {
                Some((_, runs)) => runs.push(score.ap),
                None => labels.push((score.label.clone(), vec![score.ap])),
            }
        }
        let cell = |(label, runs)| Some(LabelCell { label, ap: Spread::of(runs)? });
        self.labels = labels.into_iter().filter_map(cell).collect();
    }
}

impl Sheet {
    /// With the published figures and none of ours.
    pub fn new(table: &Table, benchmark: Option<&str>, splits: &[Split]) -> Self {
        let rows = table.rows.iter().map(|row| {
            let published = benchmark.and_then(|benchmark| row.published.get(benchmark));
            let cell = |index: usize| Cell {
                published: published.and_then(|figures| figures.get(index)).copied(),
                ours: None,
            };
            Line {
                name: row.name.clone(),
                cells: (0..table.metrics.len()).map(cell).collect(),
                labels: Vec::new(),
                missing: row.method.is_none().then(|| "not made here".to_owned()),
            }
        });
        Self {
            table: table.name.clone(),
            title: table.title.clone(),
            benchmark: benchmark.map(str::to_owned),
            about: Vec::new(),
            splits: splits.to_vec(),
            metrics: table.metrics.clone(),
            rows: rows.collect(),
        }
    }

    /// Markdown: the table, then AP by label of the rows that have it.
    pub fn markdown(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        let mut about = self.about.clone();
        let splits: Vec<&str> = self.splits.iter().map(|split| split.name.as_str()).collect();
        about.push(("splits".into(), splits.join(", ")));
        about.push((
            "published figures".into(),
            self.benchmark
                .as_ref()
                .map(|name| format!("{name}, CLIP ViT-B/16"))
                .unwrap_or_else(|| "none for this task".into()),
        ));
        for (name, value) in &about {
            let _ = writeln!(text, "- {name}: {value}");
        }
        let header = self.metrics.iter().map(|metric| format!(" {metric} published | {metric} ours |"));
        let _ = writeln!(text, "\n| |{}", header.collect::<String>());
        let _ = writeln!(text, "|---|{}", "---:|---:|".repeat(self.metrics.len()));
        for row in &self.rows {
            let _ = write!(text, "| {} |", row.name);
            for cell in &row.cells {
                let published = cell.published.map_or("–".into(), |figure| format!("{figure:.2}"));
                let ours = cell.ours.as_ref().map_or("–".into(), Spread::text);
                let _ = write!(text, " {published} | {ours} |");
            }
            text.push('\n');
        }
        for row in &self.rows {
            if let Some(missing) = &row.missing {
                let _ = writeln!(text, "\n{}: {missing}.", row.name);
            }
        }
        text + &self.by_label()
    }

    fn by_label(&self) -> String {
        let rows: Vec<&Line> = self.rows.iter().filter(|row| !row.labels.is_empty()).collect();
        let mut labels: Vec<&str> = Vec::new();
        for cell in rows.iter().flat_map(|row| &row.labels) {
            if !labels.contains(&cell.label.as_str()) {
                labels.push(&cell.label);
            }
        }
        let Some(metric) = self.metrics.first().filter(|_| !labels.is_empty()) else { return String::new() };
        let header: String = rows.iter().map(|row| format!(" {} |", row.name)).collect();
        let mut text = format!("\n| {metric} by label |{header}\n|---|{}\n", "---:|".repeat(rows.len()));
        for label in labels {
            let _ = write!(text, "| {label} |");
            for row in &rows {
                let cell = row.labels.iter().find(|cell| cell.label == label);
                let _ = write!(text, " {} |", cell.map_or("–".into(), |cell| cell.ap.text()));
            }
            text.push('\n');
        }
        text
    }
}
