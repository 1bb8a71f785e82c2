//! `lab features`: one pass over an annotated data set, whose features are kept for training and evaluation.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::clip::{Sight, TextTower};
use crate::clock::{Clock, SystemClock};
use crate::cmd::interrupt::stop_on_signals;
use crate::cmd::progress;
use crate::config::{Config, Crop, EngineKind, Regions};
use crate::detect::Detector;
use crate::engine::{self, Options};
use crate::frame::{Frame, Rect};
use crate::lab::annotation::{self, Format, Setting};
use crate::lab::dataset::{FORMAT, TEXTS, Texts};
use crate::lab::features::{Boxes, Clip, Extractor, Footage, Person, is_current, path_of, sentences};
use crate::lab::map::{Catalogue, Found, Region, Truth, Video};
use crate::pack::Pack;

/// The layout of the files is described in src/lab/README.md. Run again after an interruption, it goes on where it was.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with the videos by name: files, or folders of numbered pictures
    dataset: PathBuf,
    /// What is there: annotations in a format that `lab map` knows, frames counted from 1
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Persons found; the pack's own detector finds them unless given
    #[arg(long, value_name = "FILE")]
    detections: Option<PathBuf>,
    /// The pack whose encoder and detector look: `nano`, a pack folder or a .tar.zst of one
    #[arg(long, default_value = "nano")]
    pack: PathBuf,
    /// Folder for the files, one a video; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only these videos, one a line
    #[arg(long, value_name = "FILE")]
    videos: Option<PathBuf>,
    /// Which of the ground truth's test sets, from 1, if it has several
    #[arg(long, default_value_t = 1)]
    split: usize,
    /// The labels by number, if the ground truth does not name them
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Only every n-th frame, from the first
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
    every: i64,
    /// Keep persons found with a score above this
    #[arg(long, default_value_t = 0.2)]
    min_score: f32,
    /// At most so many objects a frame, of those that overlap a person
    #[arg(long, default_value_t = 10)]
    objects: usize,
    /// How a crop becomes the encoder's square
    #[arg(long, default_value = "pad", value_parser = parse_crop)]
    crop: Crop,
    /// Share of a person's width and height by which the box is enlarged on every side before it is looked at
    #[arg(long, default_value_t = 0.0, value_parser = parse_enlarge)]
    enlarge: f32,
    /// Where the features of persons and objects come from: "crops", an encoding of each, or "one-pass", one of the whole
    /// frame off which they are read
    #[arg(long, default_value = "crops", value_parser = parse_regions)]
    regions: Regions,
    /// What the text tower reads of a label, {} being its words; several are several phrasings [default: the pack's]
    #[arg(long, value_name = "SENTENCE")]
    template: Vec<String>,
    /// Other words for labels: TOML, `label = "phrase"` or `label = ["phrase", "phrase"]`
    #[arg(long, value_name = "FILE")]
    phrases: Option<PathBuf>,
    /// Threads of the engine; 0 takes every core
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn parse_crop(text: &str) -> Result<Crop, String> {
    serde_json::from_value(text.into()).map_err(|_| "pad, stretch or center".into())
}

fn parse_enlarge(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share is from 0 to 1".into()),
    }
}

pub(super) fn parse_regions(text: &str) -> Result<Regions, String> {
    serde_json::from_value(text.into()).map_err(|_| "crops or one-pass".into())
}

/// The boxes of a video's frames.
type Timeline = HashMap<i64, Boxes>;

/// A video that is still to be looked at.
struct Task {
    name: String,
    footage: Footage,
    timeline: Timeline,
    path: PathBuf,
    key: String,
}

/// Looks at every video that is not in the cache yet.
pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let pack = Pack::open(&args.pack)?;
    let (catalogue, timelines) = timelines(&args)?;
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let all = timelines.len();
    let said = read_labels(&args, &pack, &catalogue)?;
    let tasks = tasks(&args, &pack, &catalogue, timelines)?;
    let progress = progress::videos(tasks.len());
    let (mut extractor, mut frames) = (None, 0);
    for task in &tasks {
        let extractor = match &mut extractor {
            Some(extractor) => extractor,
            none => none.insert(open(&args, &pack)?),
        };
        progress.set_message(task.name.clone());
        let mut clip = Clip::new(extractor.sight.width(), catalogue.classes().len());
        let place = || format!("video {} ({})", task.name, task.footage.path().display());
        let mut pictures = task.footage.open(Arc::clone(&clock), stop.clone()).with_context(place)?;
        let (mut frame, nobody) = (Frame::default(), Boxes::default());
        let nobody = Boxes { persons: args.detections.as_ref().map(|_| Vec::new()), ..nobody };
        loop {
            if stop.is_set() {
                bail!("stopped; what is finished is kept, run it again to go on");
            }
            let wanted = |number: i64| (number - 1).rem_euclid(args.every) == 0;
            let Some(number) = pictures.next(&mut frame, wanted).with_context(place)? else { break };
            let boxes = task.timeline.get(&number).unwrap_or(&nobody);
            extractor.look(&frame.picture, boxes).with_context(|| format!("{}, frame {number}", place()))?;
            clip.push(number, boxes, &extractor.seen);
        }
        ensure!(!clip.is_empty(), "{}: there are no frames in it", place());
        frames += clip.len();
        clip.write(&task.path, metadata(task, &args, &pack, &catalogue)?)?;
        progress.inc(1);
    }
    progress.finish_and_clear();
    let before = all - tasks.len();
    println!("{}: {all} videos, {before} of them from before; {frames} frames seen", args.out.display());
    if !said {
        println!("pack {} has no text tower: the labels' embeddings are left out", pack.identity());
    }
    Ok(())
}

/// Keeps what the text tower makes of the labels, unless it is there already; `false` if the pack has none.
fn read_labels(args: &Args, pack: &Pack, catalogue: &Catalogue) -> anyhow::Result<bool> {
    let Some(text) = &pack.manifest().text else { return Ok(false) };
    let labels: Vec<String> = catalogue.classes().iter().map(|class| class.name.clone()).collect();
    let templates =
        if args.template.is_empty() { std::slice::from_ref(&text.template) } else { &args.template };
    let sentences = sentences(&labels, args.phrases.as_deref(), templates)?;
    let (space, logit_scale) = (space(args, pack), pack.manifest().embedding.logit_scale);
    let key = hash(&format!("1 {} {space} {labels:?} {sentences:?}", pack.identity()));
    let path = args.out.join(TEXTS);
    if !is_current(&path, &key) {
        let mut tower = TextTower::open(pack, &*engine::engine(EngineKind::Cpu), Options::of(args.threads))?;
        let rows = tower.embed(&sentences.concat())?;
        Texts { labels, embedding: space, logit_scale, sentences, rows, key }.write(&path)?;
    }
    Ok(true)
}

/// The space of the features, which heads are trained for.
fn space(args: &Args, pack: &Pack) -> String {
    args.regions.space(&pack.manifest().embedding.space)
}

fn open(args: &Args, pack: &Pack) -> anyhow::Result<Extractor> {
    let engine = engine::engine(EngineKind::Cpu);
    let options = Options::of(args.threads);
    let mut config = Config::default();
    config.tracker.low_threshold = args.min_score;
    Ok(Extractor {
        detector: Detector::open(pack, &*engine, options, &config)?,
        sight: Sight::open(args.regions, None, pack, &*engine, options)?,
        crop: args.crop,
        enlarge: args.enlarge,
        min_score: args.min_score,
        most_objects: args.objects,
        detections: Vec::new(),
        seen: Default::default(),
    })
}

/// Every annotated video by name, with what is known of its frames.
fn timelines(args: &Args) -> anyhow::Result<(Catalogue, Vec<(String, Timeline)>)> {
    let classes = args.classes.as_deref().map(annotation::classes).transpose()?;
    let setting = Setting { classes, split: args.split };
    let (mut catalogue, mut truth, format) = annotation::truth(&args.truth, None, &setting)?;
    ensure!(
        format != Format::Ava,
        "ground truth {}: AVA annotates seconds, not frames",
        args.truth.display()
    );
    let mut found = Found::default();
    if let Some(path) = &args.detections {
        (found, _) = annotation::detections(path, None, None, format, &mut catalogue)?;
        ensure!(found.frames.is_some(), "detections {} hold no boxes in frames", path.display());
    }
    if let Some(path) = &args.videos {
        annotation::keep_videos(&annotation::names(path)?, &catalogue, &mut truth, &mut found)
            .with_context(|| format!("list {}", path.display()))?;
    }
    let mut videos: HashMap<Video, Timeline> = HashMap::new();
    add_truth(&mut videos, &truth);
    for person in crate::lab::map::persons(found.frames.unwrap_or_default()) {
        // A video that is not annotated is no part of the data set.
        if let Some(timeline) = videos.get_mut(&person.video) {
            let persons = timeline.entry(person.frame).or_default().persons.get_or_insert_default();
            persons.push(Person { rect: rect(&person.region), score: person.score as f32 });
        }
    }
    if args.detections.is_some() {
        let frames = videos.values_mut().flat_map(HashMap::values_mut);
        frames.for_each(|boxes| boxes.persons = Some(boxes.persons.take().unwrap_or_default()));
    }
    let named =
        videos.into_iter().map(|(video, timeline)| (catalogue.video_name(video).to_owned(), timeline));
    let mut named: Vec<_> = named.collect();
    named.sort_by(|a, b| a.0.cmp(&b.0));
    Ok((catalogue, named))
}

fn add_truth(videos: &mut HashMap<Video, Timeline>, truth: &Truth) {
    for actor in &truth.frames {
        let boxes = videos.entry(actor.video).or_default().entry(actor.frame).or_default();
        let rect = rect(&actor.region);
        match boxes.truth.iter_mut().find(|(known, _)| *known == rect) {
            Some((_, labels)) => labels.push(actor.label.0),
            None => boxes.truth.push((rect, vec![actor.label.0])),
        }
    }
}

fn rect(region: &Region) -> Rect {
    let [x1, y1, x2, y2] = region.corners().map(|side| side as f32);
    Rect::new(x1, y1, x2, y2)
}

/// What there is to do: all footage must be there, and what has been done with the same settings is left out.
fn tasks(
    args: &Args,
    pack: &Pack,
    catalogue: &Catalogue,
    timelines: Vec<(String, Timeline)>,
) -> anyhow::Result<Vec<Task>> {
    let (mut tasks, mut missing) = (Vec::new(), Vec::new());
    for (name, timeline) in timelines {
        let Some(footage) = Footage::find(&args.dataset, &name) else {
            missing.push(name);
            continue;
        };
        let path = path_of(&args.out, &name)?;
        let key = key(args, pack, catalogue, &footage, &timeline);
        if !is_current(&path, &key) {
            tasks.push(Task { name, footage, timeline, path, key });
        }
    }
    if let [first, ..] = &missing[..] {
        bail!(
            "{} of the annotated videos are not below {}: {first} for one; --videos takes a list of those that are",
            missing.len(),
            args.dataset.display()
        );
    }
    Ok(tasks)
}

/// Whatever makes a difference to a video's features.
fn key(args: &Args, pack: &Pack, catalogue: &Catalogue, footage: &Footage, timeline: &Timeline) -> String {
    let mut frames: Vec<_> = timeline.iter().collect();
    frames.sort_by_key(|(frame, _)| **frame);
    let length =
        std::fs::metadata(footage.path()).ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    let settings = (args.every, args.min_score, args.objects, args.crop, args.enlarge, args.regions);
    let labels: Vec<&str> = catalogue.classes().iter().map(|class| class.name.as_str()).collect();
    let own = args.detections.is_none();
    let text = format!("1 {} {settings:?} {own} {labels:?} {length:?} {frames:?}", pack.identity());
    hash(&text)
}

fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

fn metadata(
    task: &Task,
    args: &Args,
    pack: &Pack,
    catalogue: &Catalogue,
) -> anyhow::Result<HashMap<String, String>> {
    let labels: Vec<&str> = catalogue.classes().iter().map(|class| class.name.as_str()).collect();
    let entries = [
        ("format", FORMAT.to_owned()),
        ("video", task.name.clone()),
        ("labels", serde_json::to_string(&labels)?),
        ("pack", pack.identity()),
        ("embedding", space(args, pack)),
        ("key", task.key.clone()),
    ];
    Ok(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
