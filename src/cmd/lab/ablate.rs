//! `lab ablate`: the papers' tables, every row trained and judged here.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};

use super::materials::{Materials, Task, wording};
use crate::camera::Stop;
use crate::cmd::interrupt::stop_on_signals;
use crate::cmd::progress;
use crate::lab::ablate::{self, ROUNDS};
use crate::lab::dataset::{Dataset, Texts};
use crate::lab::eval::{self, Heads, Setting};
use crate::lab::features::write_whole;
use crate::lab::map::{Measure, Report};
use crate::lab::split::Split;
use crate::lab::tables::{Method, Metric, Row, Sheet, Table, table};
use crate::lab::training::{self, Recipe, State};
use crate::lab::wording::Wording;

/// The tables are listed in src/lab/README.md. Stopped, or run again with more seeds, it trains what is missing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder that `lab features` made
    features: PathBuf,
    /// Which tables: zero-shot, compared, units, orders, supervised, video, beyond; several, with commas between them
    #[arg(long, value_delimiter = ',', required = true)]
    tables: Vec<String>,
    /// Folder for the tables, as Markdown and JSON, and for what is trained
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    task: Task,
    /// Every row is trained with the seeds 0, 1, .. so many of them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// How often a row's units follow each other; the authors go through them twice
    #[arg(long, default_value_t = ROUNDS, value_parser = parse_rounds)]
    rounds: usize,
    /// What rows say nothing of, as `lab train --recipe` takes it; the authors' recipe unless given
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Steps, instead of the recipe's
    #[arg(long)]
    iterations: Option<usize>,
    /// In the table `beyond`, a row more: iCLIP + prompting on other features of the same data set (another crop, enlarged
    /// persons)
    #[arg(long = "variant", value_name = "NAME=DIR", value_parser = parse_variant)]
    variants: Vec<(String, PathBuf)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn parse_rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=16) => Ok(rounds),
        _ => Err("1 to 16".into()),
    }
}

fn parse_variant(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, folder)) if !name.is_empty() && !folder.is_empty() => {
            Ok((name.to_owned(), folder.into()))
        }
        _ => Err("a name, =, and a folder of features".into()),
    }
}

/// Trains, judges, and prints the tables.
pub fn run(args: Args) -> anyhow::Result<()> {
    let stop = stop_on_signals()?;
    let tables = args.tables.iter().map(|name| table(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let materials = Materials::open(&args.features, &args.task)?;
    check(&tables, &materials, &args)?;
    let recipe = base(&args)?;
    let wording = wordings(&tables, &materials, &args);
    let mut bench = Bench { args: &args, recipe, wording, stop, trained: 0, before: 0 };
    let mut sheets = Vec::new();
    for table in &tables {
        let mut sheet = bench.sheet(table, &materials)?;
        if table.name == "beyond" {
            bench.variants(table, &materials, &mut sheet)?;
        }
        let path = |ending: &str| args.out.join(format!("{}.{ending}", table.name));
        write_whole(&path("md"), sheet.markdown().as_bytes())?;
        write_whole(&path("json"), &serde_json::to_vec_pretty(&sheet)?)?;
        sheets.push(sheet);
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&sheets)?),
        false => {
            sheets.iter().for_each(|sheet| println!("{}", sheet.markdown()));
            println!("{}: {} heads trained, {} from before", args.out.display(), bench.trained, bench.before);
        }
    }
    Ok(())
}

/// That the task has what the tables need, before anything is trained.
fn check(tables: &[Table], materials: &Materials, args: &Args) -> anyhow::Result<()> {
    for table in tables {
        ensure!(
            materials.tubes.is_some() || table.metrics.iter().all(|metric| metric.measure == Measure::Frame),
            "table {}: tubes in videos are judged against annotated ones: --truth",
            table.name
        );
    }
    let supervised = materials.splits.iter().any(|split| split.seen == split.unseen);
    ensure!(
        !supervised || args.task.videos.is_some(),
        "with --split all, what is judged must be kept from training: --videos lists the test videos"
    );
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    Ok(())
}

fn base(args: &Args) -> anyhow::Result<Recipe> {
    let mut recipe: Recipe = match &args.recipe {
        Some(path) => {
            let read = || anyhow::Ok(toml::from_str(&std::fs::read_to_string(path)?)?);
            read().with_context(|| format!("recipe {}", path.display()))?
        }
        None => Recipe::default(),
    };
    recipe.iterations = args.iterations.unwrap_or(recipe.iterations);
    recipe.fps = args.task.fps;
    recipe.check()?;
    Ok(recipe)
}

/// A run of all that was asked for.
struct Bench<'a> {
    args: &'a Args,
    recipe: Recipe,
    /// What reads learned words, or why there is nothing to.
    wording: Result<Wording, String>,
    stop: Stop,
    trained: usize,
    /// Heads that were there already.
    before: usize,
}

impl Bench<'_> {
    fn sheet(&mut self, table: &Table, materials: &Materials) -> anyhow::Result<Sheet> {
        let mut sheet = Sheet::new(table, materials.benchmark.as_deref(), &materials.splits);
        sheet.about = materials.about();
        let Recipe { iterations, frames, optimiser, .. } = &self.recipe;
        let rounds = self.args.rounds;
        let about =
            format!("{iterations} steps of {frames} frames, {optimiser:?}, units {rounds} times over");
        sheet.about.push(("trained".into(), about));
        sheet.about.push(("seeds".into(), format!("{} for each split", self.args.seeds)));
        for (row, line) in table.rows.iter().zip(&mut sheet.rows) {
            let Some(method) = &row.method else { continue };
            match self.lacks(method, materials) {
                Some(lack) => line.missing = Some(lack),
                None => line.fill(&self.row(row, method, &table.metrics, materials)?),
            }
        }
        Ok(sheet)
    }

    /// A row for each of the other features, all else being the same.
    fn variants(&mut self, table: &Table, materials: &Materials, sheet: &mut Sheet) -> anyhow::Result<()> {
        let own = |row: &&Row| row.name == "iCLIP + prompting";
        let Some(row) = table.rows.iter().find(own) else { return Ok(()) };
        let Some(method) = &row.method else { return Ok(()) };
        for (name, folder) in &self.args.variants {
            let other = Materials::open(folder, &self.args.task)?;
            ensure!(
                other.dataset.labels == materials.dataset.labels,
                "{}: its labels are not those of {}",
                folder.display(),
                self.args.features.display()
            );
            let row =
                Row { name: format!("{}, {name}", row.name), published: Default::default(), ..row.clone() };
            let rows = vec![row.clone()];
            let mut line = Sheet::new(&Table { rows, ..table.clone() }, None, &[]).rows.remove(0);
            line.fill(&self.row(&row, method, &table.metrics, &other)?);
            sheet.rows.push(line);
        }
        Ok(())
    }

    /// The reports of a row, by split and seed.
    fn row(
        &mut self,
        row: &Row,
        method: &Method,
        metrics: &[Metric],
        materials: &Materials,
    ) -> anyhow::Result<Vec<Vec<Option<Report>>>> {
        let Materials { dataset, texts, .. } = materials;
        let one = match (method.bare, method.phrases) {
            (true, _) => Some(eval::bare_words(texts).context("no phrasing is the labels' bare words")?),
            (false, true) => None,
            (false, false) => Some(eval::first_phrasing(texts)),
        };
        let texts = one.as_ref().unwrap_or(texts);
        let mut runs = Vec::new();
        for split in &materials.splits {
            let place = || format!("{}, split {}", row.name, split.name);
            let training = materials.training();
            // What is not trained is the same with every seed.
            let seeds = if method.frozen.is_some() { 1 } else { self.args.seeds };
            for seed in 0..seeds {
                let heads = self.heads(row, method, split, seed, &training, texts).with_context(place)?;
                let setting = Setting {
                    heads: method.frozen.map_or(Heads::Trained(&heads), Heads::Frozen),
                    frame_alone: method.frame_alone,
                    judging: method.judging.clone(),
                    background: materials.background.clone(),
                    min_score: self.args.task.min_score,
                    fps: self.args.task.fps,
                    linking: self.args.task.linking(),
                    wording: self.wording.as_ref().ok(),
                };
                let labels = split
                    .unseen
                    .iter()
                    .map(|label| dataset.label(label))
                    .collect::<anyhow::Result<Vec<_>>>()?;
                let videos = materials.judged(&labels);
                ensure!(!videos.is_empty(), "split {}: no video shows an unseen label", split.name);
                let tubes = materials.tubes.as_ref();
                let reports = eval::reports(dataset, texts, tubes, &videos, &labels, &setting, metrics);
                runs.push(reports.with_context(place)?);
                if self.stop.is_set() {
                    bail!("stopped; what is trained is kept, run it again to go on");
                }
            }
        }
        Ok(runs)
    }

    /// The heads of a row, trained unless they are there; empty where nothing is trained.
    fn heads(
        &mut self,
        row: &Row,
        method: &Method,
        split: &Split,
        seed: u64,
        data: &Dataset,
        texts: &Texts,
    ) -> anyhow::Result<Vec<u8>> {
        let Some(recipe) = ablate::recipe(method, &self.recipe, self.args.rounds, seed) else {
            return Ok(Vec::new());
        };
        let bar = progress::steps(recipe.iterations)
            .with_message(format!("{}, split {}, seed {seed}", row.name, split.name));
        let mut watch = |state: &State, _| bar.set_position(state.step as u64);
        let runs = self.args.out.join("runs");
        let task = training::Task {
            data,
            texts,
            wording: self.wording.as_ref().ok(),
            labels: &split.seen,
            out: &runs,
        };
        let heads = ablate::heads(&task, &recipe, &runs, &self.stop, &mut watch)?;
        bar.finish_and_clear();
        match heads {
            ablate::Heads::Stopped => bail!("stopped; what is trained is kept, run it again to go on"),
            ablate::Heads::Ready { bytes, before } => {
                *(if before { &mut self.before } else { &mut self.trained }) += 1;
                Ok(bytes)
            }
        }
    }

    /// What a method needs and the task does not have.
    fn lacks(&self, method: &Method, materials: &Materials) -> Option<String> {
        let texts = &materials.texts;
        if method.phrases && texts.phrasings() < 2 {
            return Some(
                "the features hold one phrasing of each label; `lab features --template`, several times"
                    .into(),
            );
        }
        if method.bare && eval::bare_words(texts).is_none() {
            return Some(
                "no phrasing of the features is the labels' bare words; `lab features --template {}` beside others"
                    .into(),
            );
        }
        if let (Some(_), Err(lack)) = (method.vectors, &self.wording) {
            return Some(lack.clone());
        }
        let background = method.judging.background && materials.background.is_none();
        background.then(|| "no --background is given".to_owned())
    }
}

/// What reads learned words, where a row has some.
fn wordings(tables: &[Table], materials: &Materials, args: &Args) -> Result<Wording, String> {
    let mut methods = tables.iter().flat_map(|table| &table.rows).filter_map(|row| row.method.as_ref());
    let pack = args.task.pack.as_deref().filter(|_| methods.any(|method| method.vectors.is_some()));
    let pack = pack.ok_or("no --pack is given, whose text tower reads learned words")?;
    wording(pack, &materials.dataset).map_err(|error| format!("{error:#}"))
}
