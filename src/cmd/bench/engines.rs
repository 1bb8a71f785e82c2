//! `watchword bench --engines`: the image tower alone, on each of the processor's engines.

use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;
use tracing::warn;

use crate::config::EngineKind;
use crate::engine::{Input, Options, Session, Tensor, engine};
use crate::pack::{Pack, Role};

const BATCHES: [usize; 3] = [1, 4, 8];

/// An engine at work, and how long each of its runs took, for each batch.
struct Runner {
    kind: EngineKind,
    description: String,
    session: Box<dyn Session>,
    times: [Vec<Duration>; BATCHES.len()],
}

/// Medians of one engine.
#[derive(Serialize)]
struct Row {
    engine: EngineKind,
    description: String,
    /// Batch and milliseconds for each of its pictures.
    image_ms: Vec<(usize, f64)>,
    /// How many times as fast as the first engine, by batch.
    speed: Vec<(usize, f64)>,
}

/// Those of the processor.
const KINDS: [EngineKind; 3] = [EngineKind::Cpu, EngineKind::OnnxRuntime, EngineKind::Tract];

/// Runs each of `kinds` (none: all of the processor's) that is here `rounds` times on each batch, in turn, so that whatever
/// else the machine does meets all.
pub fn run(
    pack: &Pack,
    kinds: &[EngineKind],
    options: Options,
    rounds: u32,
    json: bool,
) -> anyhow::Result<()> {
    let kinds = if kinds.is_empty() { &KINDS } else { kinds };
    let open = |kind: &EngineKind| Runner::open(pack, *kind, options);
    let mut runners: Vec<Runner> = kinds.iter().filter_map(open).collect();
    let mut outputs = Vec::new();
    for round in 0..=rounds {
        for runner in &mut runners {
            runner.round(pack.manifest().image.size, round > 0, &mut outputs)?;
        }
    }
    let medians = |runner: &mut Runner| {
        let each = BATCHES.into_iter().zip(&mut runner.times);
        each.map(|(batch, times)| (batch, median(times).as_secs_f64() * 1e3 / batch as f64)).collect()
    };
    let rows = runners.iter_mut().map(|runner| (medians(runner), runner.kind, runner.description.clone()));
    let rows: Vec<(Vec<(usize, f64)>, _, _)> = rows.collect();
    let first = rows.first().map(|(first, ..)| first.clone()).context("no engine takes this pack")?;
    let rows = rows.into_iter().map(|(image_ms, engine, description)| {
        let speed = first.iter().zip(&image_ms).map(|((batch, a), (_, b))| (*batch, a / b)).collect();
        Row { engine, description, image_ms, speed }
    });
    let rows: Vec<_> = rows.collect();
    if json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!(
        "{}: the image tower, ms for each picture in batches of {BATCHES:?} (times as fast as the first)",
        pack.identity()
    );
    for row in &rows {
        let figures =
            row.image_ms.iter().zip(&row.speed).map(|((_, ms), (_, speed))| format!("{ms:9.2} ({speed:.2})"));
        println!("{}  {}", figures.collect::<String>(), row.description);
    }
    Ok(())
}

impl Runner {
    /// `None`, and the log says why, where it is not to be had.
    fn open(pack: &Pack, kind: EngineKind, options: Options) -> Option<Self> {
        let engine = engine(kind);
        if let Some(why) = engine.missing() {
            warn!(?kind, "left out: {why}");
            return None;
        }
        let model = pack.model(Role::Image, engine.name()).map_err(|error| error.to_string());
        let session = model.and_then(|model| engine.load(&model, options).map_err(|error| error.to_string()));
        session.inspect_err(|error| warn!(?kind, "left out: {error}")).ok().map(|session| Self {
            kind,
            description: engine.describe(options),
            session,
            times: Default::default(),
        })
    }

    /// Each batch once.
    fn round(&mut self, size: [usize; 2], counts: bool, outputs: &mut Vec<Tensor>) -> anyhow::Result<()> {
        for (batch, times) in BATCHES.into_iter().zip(&mut self.times) {
            let time = timed(&mut *self.session, size, batch, outputs)?;
            if counts {
                times.push(time);
            }
        }
        Ok(())
    }
}

/// How long the image tower takes for `batch` pictures, of this width and height, at once.
pub fn timed(
    session: &mut dyn Session,
    [width, height]: [usize; 2],
    batch: usize,
    outputs: &mut Vec<Tensor>,
) -> anyhow::Result<Duration> {
    let shape = [batch, 3, height, width];
    let data = vec![0.1; shape.iter().product()];
    let start = Instant::now();
    session.run(&[Input::F32 { shape: &shape, data: &data }], outputs)?;
    Ok(start.elapsed())
}

pub fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
