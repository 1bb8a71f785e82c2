//! `watchword detect`: the same pipeline over a recording, into files and without a broker.

mod lines;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lines::{Line, Names};

use super::annotate::Annotator;
use super::interrupt::stop_on_signals;
use super::progress;
use super::recording::{Recording, Screening};
use crate::camera::Stop;
use crate::clock::{Clock, SystemClock};
use crate::event::ActionEvent;
use crate::heads::Reach;
use crate::mqtt::{Origin, event_json};
use crate::pipeline::{CameraReport, Observer, Report, Seen, Status, View};
use crate::vocabulary::Vocabulary;

/// Analyse a recording: tracks, events and an annotated video as files.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration file; its first camera's settings apply to the recording
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A video file, an .avi or .mjpeg of JPEGs, or a folder of JPEGs
    #[arg(long, value_name = "PATH")]
    source: PathBuf,
    /// Folder for tracks.jsonl, events.jsonl and annotated.avi; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Analyse every frame, whatever `analysis_fps` says
    #[arg(long)]
    every_frame: bool,
    /// Say for each person what each unit of the heads contributed, and what it looked at
    #[arg(long)]
    explain: bool,
    /// Do not write the annotated video
    #[arg(long)]
    no_video: bool,
}

/// Runs the pipeline over the recording.
pub fn run(args: Args) -> anyhow::Result<()> {
    let config = super::config::load(&args.config)?;
    let stop = stop_on_signals()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let mut camera = config.cameras.first().cloned().unwrap_or_default();
    if args.every_frame {
        camera.analysis_fps = None;
    }
    let recording = Recording::open(&args.source, &camera, &clock, &stop)?;
    let mut screening = Screening::load(&config, clock, stop.clone())?;
    screening.explain(args.explain);
    let vocabulary = Arc::clone(screening.vocabulary());

    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let video = (!args.no_video)
        .then(|| Annotator::create(&args.out.join("annotated.avi"), recording.analysis_fps()))
        .transpose()?;
    let mut written = Writing {
        tracks: create(&args.out.join("tracks.jsonl"))?,
        events: create(&args.out.join("events.jsonl"))?,
        video,
        origin: screening.loaded.origin(&config, &vocabulary),
        vocabulary,
        classes: screening.networks().class_names(),
        reach: screening.networks().reach(),
        progress: progress::bar(recording.frames()),
        start: None,
        failure: None,
        stop,
    };

    let report = screening.show(recording, &mut written);
    let written = written.finish();
    let report = report?;
    written?;
    let sum = |count: fn(&CameraReport) -> u64| report.cameras.iter().map(count).sum::<u64>();
    eprintln!(
        "{} of {} frames analysed in {:.1} s ({:.1} a second), {} of them searched for people, {} crops encoded of {}; see {}",
        report.analysed,
        sum(|camera| camera.captured),
        report.uptime.as_secs_f64(),
        report.analysed as f64 / report.uptime.as_secs_f64(),
        sum(|camera| camera.searched),
        sum(|camera| camera.crops.encoded),
        sum(|camera| camera.crops.encoded + camera.crops.kept),
        args.out.display(),
    );
    Ok(())
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?))
}

/// Writes what the pipeline sees into files.
struct Writing {
    tracks: BufWriter<File>,
    events: BufWriter<File>,
    video: Option<Annotator>,
    origin: Origin,
    vocabulary: Arc<Vocabulary>,
    classes: &'static [&'static str],
    reach: Option<Reach>,
    progress: indicatif::ProgressBar,
    /// The first frame's time.
    start: Option<Duration>,
    failure: Option<anyhow::Error>,
    stop: Stop,
}

impl Writing {
    /// A full disk ends the run; what it said is reported by [`Writing::finish`].
    fn attempt(&mut self, write: impl FnOnce(&mut Self) -> anyhow::Result<()>) {
        if self.failure.is_none()
            && let Err(error) = write(self)
        {
            self.failure = Some(error);
            self.stop.set();
        }
    }

    fn write_tracks(&mut self, view: &View) -> anyhow::Result<()> {
        let names = Names { actions: self.vocabulary.names(), classes: self.classes, reach: self.reach };
        for frame in view.judged() {
            serde_json::to_writer(
                &mut self.tracks,
                &Line::new(frame, &names, self.start.unwrap_or_default()),
            )?;
            self.tracks.write_all(b"\n")?;
        }
        Ok(())
    }

    fn write_events(&mut self, events: &[ActionEvent]) -> anyhow::Result<()> {
        for event in events {
            serde_json::to_writer(&mut self.events, &event_json(event, &self.origin, 0))?;
            self.events.write_all(b"\n")?;
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.progress.finish_and_clear();
        if let Some(error) = self.failure {
            return Err(error.context("cannot write the results"));
        }
        self.tracks.flush().context("cannot write tracks.jsonl")?;
        self.events.flush().context("cannot write events.jsonl")?;
        self.video.take().map_or(Ok(()), Annotator::finish)
    }
}

impl Observer for Writing {
    fn analysed(&mut self, seen: &Seen<'_>) {
        self.start.get_or_insert(seen.frame.time.monotonic);
        self.attempt(|this| {
            this.write_tracks(seen.view).context("cannot write tracks.jsonl")?;
            this.write_events(seen.view.events()).context("cannot write events.jsonl")?;
            this.video.as_mut().map_or(Ok(()), |video| video.draw(seen))
        });
        self.progress.set_position(seen.frame.sequence + 1);
    }

    fn closed(&mut self, view: &View) {
        self.attempt(|this| {
            this.write_tracks(view).context("cannot write tracks.jsonl")?;
            this.write_events(view.events()).context("cannot write events.jsonl")
        });
    }

    fn status(&mut self, _: &str, _: Status) {}

    fn report(&mut self, _: &Report) {}
}
