//! `lab eval`: how good heads are on cached features, beside what the papers report of theirs.

use std::path::PathBuf;

use anyhow::{Context, ensure};

use super::materials::{Materials, Task, wording};
use crate::lab::dataset::Texts;
use crate::lab::eval::{self, Heads, Setting};
use crate::lab::split::Division;
use crate::lab::tables::{Frozen, Judging, Method, Metric, Row, Sheet, Table, Vote, figure, tables};

/// Scores come from the code that runs on the device; src/lab/README.md says how they are judged.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder that `lab features` made
    features: PathBuf,
    /// What scores: `baseline` and `fusion` need no training; else a heads file. Several are several rows
    #[arg(long = "heads", value_name = "HEADS", required = true, num_args = 1..)]
    heads: Vec<String>,
    #[command(flatten)]
    task: Task,
    #[command(flatten)]
    judging: JudgingArgs,
    /// What is measured: `frame` or `video`, and an IoU; several, with commas between them
    #[arg(long, value_delimiter = ',', default_value = "frame@0.5")]
    metrics: Vec<Metric>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct JudgingArgs {
    /// Average scores along a person's track
    #[arg(long, value_enum)]
    vote: Option<Vote>,
    /// Share of the frozen encoder in a geometric mean with the scores, 0 to 1
    #[arg(long, default_value_t = 0.0, value_parser = parse_share)]
    fuse: f64,
    /// Read the first phrasing of a label alone; the mean of all unless given
    #[arg(long)]
    one_phrasing: bool,
    /// Leave the memory of frames to come empty
    #[arg(long)]
    blind: bool,
    /// Show heads every person as the whole frame, as `lab ablate` trains prompting for the baseline
    #[arg(long)]
    frame_alone: bool,
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is from 0 to 1".into()),
    }
}

/// Prints the rows.
pub fn run(args: Args) -> anyhow::Result<()> {
    let materials = Materials::open(&args.features, &args.task)?;
    let tables = tables()?;
    let dataset = &materials.dataset;
    let texts = match args.judging.one_phrasing {
        true => eval::first_phrasing(&materials.texts),
        false => materials.texts.clone(),
    };
    let rows = args.heads.iter().map(|name| Candidate::open(name, &args.judging, &args.task, &texts));
    let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    let learned = rows.iter().any(|row| row.method.vectors.is_some());
    let wording = args.task.pack.as_deref().filter(|_| learned).map(|pack| wording(pack, dataset));
    let wording = wording.transpose()?;
    let title = format!("{}: unseen actions", args.features.display());
    let title =
        if args.task.split == Division::Supervised { args.features.display().to_string() } else { title };
    let table = Table {
        name: "eval".into(),
        title,
        metrics: args.metrics.clone(),
        rows: rows
            .iter()
            .map(|row| Row {
                name: row.name.clone(),
                published: Default::default(),
                method: Some(row.method.clone()),
            })
            .collect(),
    };
    let mut sheet = Sheet::new(&table, materials.benchmark.as_deref(), &materials.splits);
    sheet.about = materials.about();
    for (row, line) in rows.iter().zip(&mut sheet.rows) {
        let mut outcomes = Vec::new();
        for split in &materials.splits {
            let labels =
                split.unseen.iter().map(|label| dataset.label(label)).collect::<anyhow::Result<Vec<_>>>()?;
            let setting = Setting {
                heads: row.heads(),
                frame_alone: row.method.frame_alone,
                judging: row.method.judging.clone(),
                background: materials.background.clone(),
                min_score: args.task.min_score,
                fps: args.task.fps,
                linking: args.task.linking(),
                wording: wording.as_ref(),
            };
            let videos = materials.judged(&labels);
            ensure!(!videos.is_empty(), "split {}: no video shows an unseen label", split.name);
            let reports = eval::reports(
                dataset,
                &texts,
                materials.tubes.as_ref(),
                &videos,
                &labels,
                &setting,
                &args.metrics,
            );
            outcomes.push(reports.with_context(|| format!("heads {}", row.name))?);
        }
        line.fill(&outcomes);
        if let Some(benchmark) = &materials.benchmark {
            for (cell, metric) in line.cells.iter_mut().zip(&args.metrics) {
                cell.published = figure(&tables, &row.method, benchmark, *metric);
            }
        }
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&sheet)?),
        false => print!("{}", sheet.markdown()),
    }
    Ok(())
}

/// Heads to be judged.
struct Candidate {
    name: String,
    method: Method,
    bytes: Vec<u8>,
}

impl Candidate {
    fn open(name: &str, judging: &JudgingArgs, task: &Task, texts: &Texts) -> anyhow::Result<Self> {
        let frozen = |frozen| (Method { frozen: Some(frozen), ..Method::default() }, Vec::new());
        let (mut method, bytes) = match name {
            "baseline" => frozen(Frozen::Baseline),
            "fusion" => frozen(Frozen::Fusion),
            path => {
                let read = || {
                    let bytes = std::fs::read(path)?;
                    anyhow::Ok((
                        Method { frame_alone: judging.frame_alone, ..Method::of_heads(&bytes)? },
                        bytes,
                    ))
                };
                read().with_context(|| format!("heads {path}"))?
            }
        };
        // The papers' rows of these tell by how labels are read.
        if method.temporal.is_some() && method.vectors.is_none() {
            method.phrases = texts.phrasings() > 1;
            method.bare = !method.phrases && eval::bare_words(texts).is_some();
        }
        method.judging = Judging {
            vote: judging.vote,
            fuse: judging.fuse,
            background: !task.background.is_empty(),
            blind: judging.blind,
        };
        Ok(Self { name: name.to_owned(), method, bytes })
    }

    fn heads(&self) -> Heads<'_> {
        self.method.frozen.map_or(Heads::Trained(&self.bytes), Heads::Frozen)
    }
}
