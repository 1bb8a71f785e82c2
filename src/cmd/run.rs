//! `watchword run`: the daemon.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tracing::{info, warn};

use super::assemble::Loaded;
use super::interrupt::stop_on_signals;
use crate::camera::{self, Paced};
use crate::clock::{Clock, SystemClock};
use crate::config::{BrokerKind, Speed};
use crate::mqtt::{Broker, Mqtt, SpoolState};
use crate::pipeline::{Delivery, Feed, Gate, Opener, Pipeline, Publishing, Requests, Schedule};

/// Watch the configured cameras and publish what is seen, until SIGTERM or SIGINT.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration file; see `watchword config check`
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What is still queued for the broker at the end has this long to leave.
const DRAIN: Duration = Duration::from_secs(3);

/// Runs the daemon.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut config = super::config::load(&args.config)?;
    let spool = &mut config.mqtt.spool;
    if spool.enabled && spool.path.is_none() {
        spool.path = super::state::folder().map(|folder| folder.join("spool.db"));
        match &spool.path {
            Some(path) => info!(?path, "events wait on disk"),
            None => {
                info!("events wait in memory, and a restart loses them: set mqtt.spool.path to keep them")
            }
        }
    }
    let stop = stop_on_signals()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let loaded = Loaded::open(&config)?;
    info!("{}", loaded.describe());
    let vocabulary = Arc::new(loaded.vocabulary(&config)?);
    let networks = loaded.networks(&config)?;

    let _broker = match config.mqtt.broker {
        BrokerKind::Embedded => Some(Broker::start(&config.mqtt)?),
        BrokerKind::External => None,
    };
    let origin = loaded.origin(&config, &vocabulary);
    let (publisher, mqtt) = Mqtt::start(&config.mqtt, origin, Arc::clone(&clock))?;
    let mut publishing = Publishing::new(publisher.clone(), &config);

    let feeds = config
        .cameras
        .iter()
        .cloned()
        .map(|camera| {
            let (clock, stop, wanted) = (Arc::clone(&clock), stop.child(), camera.clone());
            let own = stop.clone();
            let open: Opener = Box::new(move || {
                let source = camera::open(&wanted, Arc::clone(&clock), stop.clone())?;
                Ok(Box::new(Paced::new(source, Arc::clone(&clock), stop.clone()).at(wanted.speed)))
            });
            let gate = Gate::new(Schedule::of(&camera, &config.node));
            let own_time = camera.speed == Speed::default();
            let delivery = if own_time { Delivery::Latest } else { Delivery::Replay };
            Feed { camera, open, delivery, gate, stop: own }
        })
        .collect();
    let pipeline = Pipeline {
        config,
        networks,
        vocabulary,
        feeds,
        clock,
        explain: false,
        requests: Requests::default(),
    };
    let result = pipeline.run(&mut publishing, &stop).context("the pipeline stopped");
    let spool = publisher.counters().spool;
    let left = mqtt.shutdown(DRAIN);
    match spool {
        _ if left == 0 => {}
        SpoolState::Ok => info!(left, "events wait on disk for the next start"),
        _ => warn!(left, "events could not be delivered before the end"),
    }
    let report = result?;
    info!(analysed = report.analysed, uptime = ?report.uptime, "stopped");
    Ok(())
}
