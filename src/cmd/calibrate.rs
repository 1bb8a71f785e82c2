//! `watchword calibrate`: thresholds for a rate of false alarms, from footage in which nothing happens.

mod curve;
mod findings;
mod positives;
mod watching;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, ensure};
use diffy::DiffOptions;
use serde_json::json;
use tracing::warn;

use self::findings::{Finding, Footage, Wish};
use self::watching::Watcher;
use super::interrupt::stop_on_signals;
use super::place::Place;
use super::recording::Screening;
use super::words;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Action, Config, with_thresholds};
use crate::event::calibration::THRESHOLDS;

/// Find each action's threshold from footage in which nothing happens, and write it into the configuration.
///
/// The footage goes through the daemon's own pipeline. A false alarm is an event that would begin, by the
/// configuration's own smoothing, minimum_duration, zones and [events]; each action gets the lowest threshold with which,
/// and with every higher one, there are no more of them than asked for. Comments in the file stay, and the file as it was
/// is kept beside it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file: whose words to try, and whose thresholds to write
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Footage of ordinary hours without any of the actions: video files, .avi or .mjpeg of JPEGs, or folders of JPEGs.
    /// Several count as one long recording
    #[arg(long = "source", value_name = "PATH", num_args = 1.., required = true)]
    sources: Vec<PathBuf>,
    /// The camera that it is from, whose zones, masks and rate apply; the first one unless given
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// Clips in which actions happen, to say how many are found: DIR/ACTION/anything, or files called ACTION.mp4,
    /// ACTION-2.mp4 and so on
    #[arg(long, value_name = "DIR")]
    positives: Option<PathBuf>,
    /// False alarms an hour that are put up with, of each action and camera
    #[arg(long, value_name = "RATE", default_value_t = 0.1)]
    per_hour: f64,
    /// Choose no threshold below this, even if nothing comes near it
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.3)]
    lowest: f64,
    /// Where to draw false alarms and clips found against the threshold
    #[arg(long, value_name = "FILE", default_value = "calibration.svg")]
    curve: PathBuf,
    /// Print what would change in the configuration, and leave it as it is
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Calibrates.
pub fn run(args: Args) -> anyhow::Result<()> {
    let loaded = super::config::load_file(&args.config)?;
    let config = &loaded.config;
    let wish = args.wish(config)?;
    let camera = camera(config, args.camera.as_deref())?;
    let clips = match &args.positives {
        Some(folder) => positives::find(folder, &config.actions)?,
        None => Vec::new(),
    };
    for source in &args.sources {
        ensure!(source.exists(), "{}: there is no such file or folder", source.display());
    }
    let place = if args.dry_run {
        None
    } else {
        Some(Place::new(&args.config).context("--dry-run only shows what would change")?)
    };
    remark(config, camera);

    let (stop, clock) = (stop_on_signals()?, Arc::new(SystemClock) as Arc<dyn Clock>);
    let screening = Screening::load(config, Arc::clone(&clock), stop.clone())?;
    let mut watcher = Watcher { config, camera, clock, stop, screening };
    let negatives = args.sources.iter().map(|path| Ok((path.as_path(), watcher.watch(path)?)));
    let negatives = negatives.collect::<anyhow::Result<Vec<_>>>()?;
    let positives = clips.iter().map(|clip| Ok((clip.action, watcher.watch(&clip.path)?)));
    let positives = positives.collect::<anyhow::Result<Vec<_>>>()?;

    let footage = Footage { negatives: &negatives, positives: &positives };
    let watched = config.actions.iter().enumerate().filter(|(_, action)| is_watched(action, camera));
    let findings: Vec<_> = watched.map(|(i, action)| Finding::new(i, action, &footage, wish)).collect();
    let hours = footage.watched().as_secs_f64() / 3600.0;
    if args.json {
        let json = json!({
            "camera": camera.name,
            "hours": hours,
            "per_hour": wish.per_hour,
            "long_enough": wish.is_known_after(footage.watched()),
            "actions": findings,
        });
        println!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        print!("{}", findings::table(&findings, footage.watched(), wish)?);
    }
    let changed = findings
        .iter()
        .filter(|found| found.after.is_some_and(|after| after.threshold != found.before.threshold));
    let thresholds = changed.filter_map(|found| Some((found.action, found.after?.threshold)));
    let text = with_thresholds(loaded.text(), thresholds)?;
    match place {
        None if !args.json => print!("\n{}", difference(&args, loaded.text(), &text)),
        None => {}
        Some(_) if text == loaded.text() => eprintln!("{}: nothing to change", args.config.display()),
        Some(place) => {
            let backup = place.replace(loaded.text(), &text)?;
            eprintln!("{} written; as it was: {}", args.config.display(), backup.display());
        }
    }
    let drawing = curve::svg(&findings, footage.watched(), wish.per_hour)?;
    fs::write(&args.curve, drawing).with_context(|| format!("cannot write {}", args.curve.display()))?;
    eprintln!("the curves: {}", args.curve.display());
    Ok(())
}

impl Args {
    fn wish(&self, config: &Config) -> anyhow::Result<Wish> {
        let (per_hour, lowest) = (self.per_hour, self.lowest);
        ensure!(per_hour > 0.0 && per_hour.is_finite(), "--per-hour {per_hour}: a number above 0 is needed");
        ensure!(lowest > 0.0 && lowest <= 1.0, "--lowest {lowest}: a probability above 0 is needed");
        let hysteresis = config.events.hysteresis;
        ensure!(
            lowest as f32 > hysteresis,
            "--lowest {lowest} is not above events.hysteresis, {hysteresis}: an occurrence would never end"
        );
        Ok(Wish { per_hour, floor: (lowest * f64::from(THRESHOLDS.end - 1)).ceil() as u16 })
    }
}

fn camera<'a>(config: &'a Config, name: Option<&str>) -> anyhow::Result<&'a config::Camera> {
    let first = || config.cameras.first().map(|camera| camera.name.as_str());
    Ok(config.known_camera(name.or_else(first).unwrap_or_default())?)
}

fn is_watched(action: &Action, camera: &config::Camera) -> bool {
    action.zones.is_empty() || camera.zones.iter().any(|zone| action.zones.contains(&zone.name))
}

/// What the thresholds would not hold for.
fn remark(config: &Config, camera: &config::Camera) {
    let name = &camera.name;
    if camera.analysis_fps.is_none() {
        warn!(
            "camera {name} has no analysis_fps: every frame of the footage counts, the box may manage fewer; set it"
        );
    }
    for action in config.actions.iter().filter(|action| !is_watched(action, camera)) {
        warn!("{} is limited to zones that camera {name} does not have; it keeps its threshold", action.name);
    }
    let overlaid = words::file().is_some_and(|kept| matches!(words::read(&kept), Ok(Some(_))));
    if overlaid {
        warn!(
            "a vocabulary was set over MQTT; as long as it stands, the file's actions and thresholds do not count"
        );
    }
}

/// What would change, as `diff -u` shows it.
fn difference(args: &Args, before: &str, after: &str) -> String {
    let name = args.config.display().to_string();
    let mut options = DiffOptions::new();
    options.set_original_filename(name.clone()).set_modified_filename(name);
    options.create_patch(before, after).to_string()
}
