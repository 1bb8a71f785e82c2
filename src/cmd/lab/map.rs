//! `lab map`: how good detections are, in the papers' measure.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use serde::Serialize;

use crate::lab::annotation::{self, Format, Setting, Strangers};
use crate::lab::link::{Linking, link};
use crate::lab::map::{Catalogue, Found, Label, Measure, Report, Truth, frame_map, oracle, video_map};

/// Formats are recognised by their content; src/lab/README.md describes them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is there: annotations in a format that is known
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// What was found
    #[arg(long, value_name = "FILE")]
    detections: PathBuf,
    /// How much must overlap for a detection to be right; several, with commas between them
    #[arg(long, value_delimiter = ',', default_value = "0.5", value_parser = parse_iou)]
    iou: Vec<f64>,
    /// Judge tubes in videos as well as boxes in frames
    #[arg(long)]
    video: bool,
    /// With --video: link boxes in frames to tubes, as ACT does, for detections that hold none
    #[arg(long, requires = "video")]
    link: bool,
    /// Give every person found the right action: what the detector leaves to be had
    #[arg(long)]
    oracle: bool,
    /// The labels that count, one a line; all of them unless given
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// The videos that count, one a line
    #[arg(long, value_name = "FILE")]
    videos: Option<PathBuf>,
    /// Which of the ground truth's test sets, from 1, if it has several
    #[arg(long, default_value_t = 1)]
    split: usize,
    /// Take only detections with a score above this
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f64>,
    /// The labels by number: one a line, from 1; `number label` a line; or AVA's .pbtxt
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// The same for the detections, if they number labels otherwise
    #[arg(long, value_name = "FILE")]
    detection_classes: Option<PathBuf>,
    /// The ground truth's format
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The detections' format
    #[arg(long, value_enum)]
    detection_format: Option<Format>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_iou(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(iou) if iou > 0.0 && iou <= 1.0 => Ok(iou),
        _ => Err("an IoU is above 0 and at most 1".into()),
    }
}

/// Prints the report.
pub fn run(args: Args) -> anyhow::Result<()> {
    let classes = args.classes.as_deref().map(annotation::classes).transpose()?;
    let own_classes = args.detection_classes.as_deref().map(annotation::classes).transpose()?;
    let setting = Setting { classes, split: args.split };
    let (mut catalogue, mut truth, format) = annotation::truth(&args.truth, args.format, &setting)?;
    let (mut found, strangers) = annotation::detections(
        &args.detections,
        args.detection_format,
        own_classes.as_deref(),
        format,
        &mut catalogue,
    )?;
    tell(&strangers);
    if let Some(path) = &args.videos {
        annotation::keep_videos(&annotation::names(path)?, &catalogue, &mut truth, &mut found)
            .with_context(|| format!("list {}", path.display()))?;
    }
    if let Some(least) = args.min_score {
        found.frames.iter_mut().for_each(|actors| actors.retain(|actor| actor.score > least));
        found.tubes.iter_mut().for_each(|actions| actions.retain(|action| action.score > least));
    }
    let labels = match &args.labels {
        None => (0..catalogue.classes().len()).map(Label).collect(),
        Some(path) => {
            pick(&annotation::names(path)?, &catalogue).with_context(|| format!("list {}", path.display()))?
        }
    };
    check(&args, &truth, &found)?;
    if args.oracle {
        found = oracle(&truth, found);
    }
    if args.link {
        let frames = found.frames.as_deref().unwrap_or_default();
        found.tubes = Some(link(frames, &Linking::default())?);
    }
    let mut reports = Vec::new();
    for iou in args.iou {
        reports.extend(frame_map(&catalogue, &labels, &truth, &found, iou));
        if args.video {
            reports.extend(video_map(&catalogue, &labels, &truth, &found, iou));
        }
    }
    if reports.is_empty() {
        bail!("ground truth {}: none of the labels that count is in it", args.truth.display());
    }
    if args.json {
        #[derive(Serialize)]
        struct Out<'a> {
            reports: &'a [Report],
        }
        println!("{}", serde_json::to_string_pretty(&Out { reports: &reports })?);
    } else {
        print!("{}", table(&reports));
    }
    Ok(())
}

/// That the files hold what is asked of them.
fn check(args: &Args, truth: &Truth, found: &Found) -> anyhow::Result<()> {
    let detections = args.detections.display();
    match &found.frames {
        Some(frames) => ensure!(
            args.oracle || frames.is_empty() || frames.iter().any(|actor| actor.label.is_some()),
            "detections {detections} are of persons without actions: --oracle gives every one the right action"
        ),
        None => ensure!(
            !args.oracle && args.video,
            "detections {detections} hold tubes and no boxes in frames: they can be judged with --video"
        ),
    }
    ensure!(
        !args.video || !truth.tubes.is_empty(),
        "ground truth {} does not say who is who from frame to frame: leave out --video",
        args.truth.display()
    );
    ensure!(
        !args.link || found.frames.is_some(),
        "detections {detections} hold no boxes in frames that could be linked: leave out --link"
    );
    ensure!(
        !args.video || args.link || !args.oracle,
        "--oracle knows the actions of boxes in frames: with --video, add --link, which makes tubes of them"
    );
    ensure!(
        !args.video || args.link || found.tubes.is_some(),
        "detections {detections} hold no tubes: leave out --video, or add --link, which makes tubes of boxes in frames"
    );
    Ok(())
}

fn tell(strangers: &Strangers) {
    if !strangers.is_empty() {
        let count: usize = strangers.values().sum();
        let names: Vec<&str> = strangers.keys().take(5).map(String::as_str).collect();
        let more = if strangers.len() > names.len() { ", .." } else { "" };
        tracing::warn!(
            "{count} detections have labels that the ground truth does not list: {}{more}",
            names.join(", ")
        );
    }
}

/// The labels of these names.
fn pick(names: &[String], catalogue: &Catalogue) -> anyhow::Result<Vec<Label>> {
    let mut labels = Vec::new();
    for name in names {
        let known = catalogue.classes().iter().map(|class| class.name.as_str());
        let near = known.max_by(|a, b| strsim::jaro(a, name).total_cmp(&strsim::jaro(b, name)));
        let label = catalogue.label(name).with_context(|| {
            format!(
                "label {name} is not in the ground truth; the nearest is {}. If it has only numbers, --classes names them",
                near.unwrap_or_default()
            )
        })?;
        ensure!(!labels.contains(&label), "label {name} is there twice");
        labels.push(label);
    }
    Ok(labels)
}

/// For each measure a row for each label and a column for each IoU.
fn table(reports: &[Report]) -> String {
    let mut text = String::new();
    for (measure, unit) in [(Measure::Frame, "boxes"), (Measure::Video, "tubes")] {
        let columns: Vec<&Report> = reports.iter().filter(|report| report.measure == measure).collect();
        let Some(first) = columns.first() else { continue };
        let names = first.labels.iter().map(|label| label.label.chars().count());
        let width = names.max().unwrap_or(0).max("mean".len());
        let mut line = format!("{:width$}  {unit:>8}  {:>8}", "", "found");
        for report in &columns {
            let _ = write!(line, "  {:>9}", format!("AP@{}", report.iou));
        }
        let _ = writeln!(text, "{}{line}", if text.is_empty() { "" } else { "\n" });
        for (index, label) in first.labels.iter().enumerate() {
            let mut line = format!("{:width$}  {:>8}  {:>8}", label.label, label.positives, label.detections);
            for label in columns.iter().filter_map(|report| report.labels.get(index)) {
                let _ = write!(line, "  {:>9.4}", label.ap);
            }
            let _ = writeln!(text, "{line}");
        }
        let total =
            |of: fn(&crate::lab::map::LabelScore) -> usize| first.labels.iter().map(of).sum::<usize>();
        let mut line = format!(
            "{:width$}  {:>8}  {:>8}",
            "mean",
            total(|label| label.positives),
            total(|label| label.detections)
        );
        for report in &columns {
            let _ = write!(line, "  {:>9.4}", report.map);
        }
        let _ = writeln!(text, "{line}");
    }
    text
}
