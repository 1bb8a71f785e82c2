//! What the pipeline saw, drawn into a video and a picture: for `detect` and `demo`.

mod reasons;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::pipeline::Seen;
use crate::render::{Annotation, AviWriter, Canvas};

/// Most actions listed at a person.
const LINES: usize = 2;
/// Actions less probable than this are not worth a line.
const LEAST: f32 = 0.15;

/// Draws each analysed frame into an `.avi`, and keeps the most telling one.
pub struct Annotator {
    video: AviWriter,
    canvas: Canvas,
    best: Canvas,
    best_score: f32,
    /// Of the first frame, monotonic.
    begin: Option<Duration>,
}

impl Annotator {
    /// Starts a video of `fps` frames a second.
    pub fn create(path: &Path, fps: f64) -> anyhow::Result<Self> {
        let video =
            AviWriter::create(path, fps).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { video, canvas: Canvas::default(), best: Canvas::default(), best_score: -1.0, begin: None })
    }

    /// Draws one frame.
    pub fn draw(&mut self, seen: &Seen<'_>) -> anyhow::Result<()> {
        self.canvas.load(&seen.frame.picture);
        for zone in seen.view.zones() {
            self.canvas.draw_zone(&zone.polygon, &zone.name);
        }
        let now = seen.frame.time.monotonic;
        let elapsed = now.saturating_sub(*self.begin.get_or_insert(now)).as_secs_f32();
        let clock = format!("{:02.0}:{:04.1}", (elapsed / 60.0).floor(), elapsed % 60.0);
        let persons = match seen.view.visible().count() {
            1 => "1 person".to_owned(),
            count => format!("{count} persons"),
        };
        let explained = seen.view.judged().last().filter(|frame| frame.explanation.is_some());
        let looking = explained.map(|frame| reasons::recollections(frame, seen.networks.reach()));
        let middle =
            looking.filter(|text| !text.is_empty()).map_or(String::new(), |text| format!("memory {text}   "));
        self.canvas.draw_legend(&clock, &(middle + &persons));
        for (rect, label) in explained.into_iter().flat_map(|frame| reasons::objects(frame, seen)) {
            self.canvas.draw_object(&rect, &label);
        }
        let mut telling = 0.0;
        let mut persons = Vec::new();
        for track in seen.view.visible() {
            let scores = seen.view.smoothed(track.id).unwrap_or(&[]);
            let names = seen.vocabulary.names().iter().map(AsRef::as_ref);
            let mut ranked: Vec<(&str, f32)> = names.zip(scores.iter().copied()).collect();
            ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
            ranked.retain(|(_, score)| *score >= LEAST);
            ranked.truncate(LINES);
            telling += ranked.first().map_or(0.0, |(_, score)| *score);
            for step in explained.into_iter().flat_map(|frame| reasons::steps(frame, track.id)) {
                ranked.push(step);
            }
            persons.push((track, ranked));
        }
        let annotations: Vec<_> = persons
            .iter()
            .map(|(track, lines)| {
                let highlighted = seen.view.is_open(track.id);
                Annotation { rect: track.rect, id: track.id, lines, highlighted }
            })
            .collect();
        self.canvas.draw_persons(&annotations);
        if telling > self.best_score {
            self.best_score = telling;
            self.best.clone_from(&self.canvas);
        }
        self.video.write(&self.canvas).context("cannot write the annotated video")
    }

    /// Writes the frame in which most was going on as a JPEG.
    pub fn save_best(&self, path: &Path) -> anyhow::Result<()> {
        self.best.save_jpeg(path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Completes the video.
    pub fn finish(self) -> anyhow::Result<()> {
        self.video.finish().context("cannot complete the annotated video")
    }
}
