//! What heads are trained and judged on: cached features, splits, annotated tubes, words.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::clip::TextTower;
use crate::config::EngineKind;
use crate::config::Regions;
use crate::engine::{self, Options};
use crate::lab::annotation::{self, Setting};
use crate::lab::dataset::{Dataset, Texts, Video};
use crate::lab::eval::{self, Background, MIN_SCORE, Tubes};
use crate::lab::features::words;
use crate::lab::link::Linking;
use crate::lab::map::Catalogue;
use crate::lab::split::{Division, Split};
use crate::lab::tables::benchmark;
use crate::lab::training;
use crate::lab::wording::Wording;
use crate::pack::Pack;
use crate::vocabulary::sentence;

/// What is judged on what.
#[derive(Debug, clap::Args)]
pub struct Task {
    /// Which labels are unseen and count: `jhmdb-75` or `ucf-75` for the paper's, shares such as `75/25` to draw them, a
    /// list or folder of lists, or `all`
    #[arg(long, default_value = "all")]
    pub split: Division,
    /// How many splits are drawn, by the seeds 0, 1, ..
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub draws: u64,
    /// The videos that are judged, one a line; those that show an unseen label unless given
    #[arg(long, value_name = "FILE")]
    pub videos: Option<PathBuf>,
    /// The annotation that the features were made from, for tubes in videos
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// The labels by number, if the annotation does not name them
    #[arg(long, value_name = "FILE")]
    pub classes: Option<PathBuf>,
    /// Which of the annotation's test sets, from 1, if it has several
    #[arg(long, default_value_t = 1)]
    pub test_set: usize,
    /// Take persons found with a score above this
    #[arg(long, default_value_t = MIN_SCORE)]
    pub min_score: f32,
    /// Frame numbers in a second, for the memory: as the heads were trained; 1, as in the paper, makes every frame a slot
    #[arg(long, default_value_t = 1.0, value_parser = parse_fps)]
    pub fps: f32,
    /// Tubes that are shorter, in frames, are dropped
    #[arg(long, value_name = "FRAMES", default_value_t = Linking::default().min_length)]
    pub shortest_tube: i64,
    /// What people do otherwise, in words, to take part in the softmax
    #[arg(long, value_name = "PHRASE", num_args = 1..)]
    pub background: Vec<String>,
    /// The pack that made the features, to read the background and learned words
    #[arg(long)]
    pub pack: Option<PathBuf>,
}

impl Task {
    /// How boxes become tubes.
    pub fn linking(&self) -> Linking {
        Linking { min_length: self.shortest_tube, ..Linking::default() }
    }
}

fn parse_fps(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(fps) if fps.is_finite() && fps > 0.0 => Ok(fps),
        _ => Err("frames in a second are above 0".into()),
    }
}

/// All that is judged on, opened.
pub struct Materials {
    pub dataset: Dataset,
    pub texts: Texts,
    pub splits: Vec<Split>,
    pub benchmark: Option<String>,
    pub tubes: Option<Tubes>,
    pub background: Option<Background>,
    /// Places in the data set of the videos that may be judged; all of them unless a list says which.
    listed: Option<Vec<usize>>,
    folder: PathBuf,
    min_score: f32,
}

impl Materials {
    /// Opens the features in `folder`, and what `task` names.
    pub fn open(folder: &Path, task: &Task) -> anyhow::Result<Self> {
        let dataset = Dataset::open(folder, None)?;
        let texts = dataset.texts()?;
        let splits = task.split.splits(&dataset.labels, task.draws)?;
        let benchmark =
            splits.first().and_then(|split| benchmark(&dataset.labels, split.seen.len(), split.unseen.len()));
        let tubes = task.truth.as_deref().map(|path| {
            let classes = task.classes.as_deref().map(annotation::classes).transpose()?;
            let (names, truth, _) =
                annotation::truth(path, None, &Setting { classes, split: task.test_set })?;
            Tubes::new(&dataset, names, truth).with_context(|| format!("annotation {}", path.display()))
        });
        let tubes = tubes.transpose()?;
        let listed = task.videos.as_deref().map(|path| listed(path, &dataset)).transpose()?;
        let background = read_background(task, &dataset)?;
        Ok(Self {
            dataset,
            texts,
            splits,
            benchmark,
            tubes,
            background,
            listed,
            folder: folder.to_owned(),
            min_score: task.min_score,
        })
    }

    /// The videos on which `labels` are judged.
    pub fn judged(&self, labels: &[usize]) -> Vec<&Video> {
        let videos = self.dataset.videos.iter().enumerate();
        let may =
            |index: usize| self.listed.as_ref().is_none_or(|listed| listed.binary_search(&index).is_ok());
        eval::showing(videos.filter(|(index, _)| may(*index)).map(|(_, video)| video), labels)
    }

    /// The videos that heads may be trained on: none that a list says are judged.
    pub fn training(&self) -> Dataset {
        let listed = self.listed.as_deref().unwrap_or_default();
        let videos = self.dataset.videos.iter().enumerate();
        let videos = videos.filter(|(index, _)| listed.binary_search(index).is_err());
        Dataset { videos: videos.map(|(_, video)| video.clone()).collect(), ..self.dataset.clone() }
    }

    /// What a number depends on besides heads and splits.
    pub fn about(&self) -> Vec<(String, String)> {
        let videos = self.listed.as_ref().map_or(self.dataset.videos.len(), Vec::len);
        let about = [
            ("features", self.folder.display().to_string()),
            ("encoder", self.dataset.embedding.clone()),
            ("videos", format!("{videos}")),
            ("persons", format!("found with a score above {}", self.min_score)),
        ];
        about.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// The places of the videos that a list names, ascending.
fn listed(path: &Path, dataset: &Dataset) -> anyhow::Result<Vec<usize>> {
    let mut names = Catalogue::numbered(1, dataset.labels.iter().cloned()).map_err(anyhow::Error::msg)?;
    let entered: Vec<_> = dataset.videos.iter().map(|video| names.video(&video.name)).collect();
    let wanted = annotation::videos(&annotation::names(path)?, &names);
    let places: Vec<usize> = entered
        .iter()
        .enumerate()
        .filter(|(_, video)| wanted.contains(video))
        .map(|(place, _)| place)
        .collect();
    ensure!(!places.is_empty(), "list {}: none of its videos is among the features", path.display());
    Ok(places)
}

/// What the pack's text tower makes of the background.
fn read_background(task: &Task, dataset: &Dataset) -> anyhow::Result<Option<Background>> {
    if task.background.is_empty() {
        return Ok(None);
    }
    let pack = open_pack(task.pack.as_deref().unwrap_or(Path::new("nano")), dataset)?;
    let template = pack.manifest().text.as_ref().map_or("{}", |text| &text.template);
    let sentences: Vec<String> = task.background.iter().map(|phrase| sentence(template, phrase)).collect();
    let tower = TextTower::open(&pack, &*engine::engine(EngineKind::Cpu), Options::of(0));
    let rows = tower?.embed(&sentences)?;
    Ok(Some(Background { phrases: sentences, rows }))
}

/// What reads learned words with the labels' names.
pub fn wording(pack: &Path, dataset: &Dataset) -> anyhow::Result<Wording> {
    let pack = open_pack(pack, dataset)?;
    let names: Vec<String> = dataset.labels.iter().map(|label| words(label)).collect();
    Wording::open(&pack, &names, &training::device()?)
}

/// The pack that made the features.
fn open_pack(path: &Path, dataset: &Dataset) -> anyhow::Result<Pack> {
    let pack = Pack::open(path)?;
    let space = &pack.manifest().embedding.space;
    ensure!(
        [Regions::Crops, Regions::OnePass].iter().any(|regions| regions.space(space) == dataset.embedding),
        "pack {} embeds into {space}, the features are of {}: --pack is the one that made them",
        pack.identity(),
        dataset.embedding
    );
    Ok(pack)
}
