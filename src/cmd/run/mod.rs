//! `watchword run`: the daemon.

mod feeds;
mod kept;
mod notify;
mod orders;
mod service;
mod supervisor;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use tracing::{info, warn};

use self::feeds::Feeds;
use self::notify::Notify;
use self::service::Service;
use self::supervisor::Supervisor;
use self::watch::{ModelFiles, Watch};
use super::assemble::Loaded;
use super::interrupt::{hangup, stop_on_signals};
use super::words;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, BrokerKind};
use crate::mqtt::{Broker, Mqtt, SpoolState};
use crate::pipeline::{Control, Pipeline, Publishing};
use crate::web::{Observing, Orders, Page, Parts, Timeline, Web};

/// Watch the configured cameras and publish what is seen, until SIGTERM or SIGINT.
#[derive(clap::Args)]
pub struct Args {
    /// The configuration file; see `watchword config check`
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// What is still queued for the broker at the end has this long to leave.
const DRAIN: Duration = Duration::from_secs(3);

/// What the page is answering at the end has this long.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs the daemon.
pub fn run(args: Args) -> anyhow::Result<()> {
    let (stop, hangup) = (stop_on_signals()?, hangup()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let watch = Watch::new(&args.config, clock.monotonic());
    let loaded = super::config::load_with_words(&args.config)?;
    let config = loaded.config.clone();

    let model_files = ModelFiles::of(&config);
    let models = Loaded::open(&config)?.keeping(super::state::folder());
    info!("{}", models.describe());
    let (networks, vocabulary) = models.load(&config)?;
    let vocabulary = Arc::new(vocabulary);

    // The configuration keeps the port that it names, 0 too: a reload compares it with the file's.
    let client = match config.mqtt.broker {
        BrokerKind::Embedded => Broker::start(&config.mqtt)?.client(&config.mqtt),
        BrokerKind::External => config.mqtt.clone(),
    };
    let origin = models.origin(&config, &vocabulary);
    let (publisher, mqtt) = Mqtt::start(&with_spool(client), origin, Arc::clone(&clock))?;
    let publishing = Publishing::new(publisher.clone(), &config);
    let (control, requests) = Control::new();
    let (sender, messages) = supervisor::channel();
    let orders = {
        let sender = sender.clone();
        Orders::new(move |order| sender.try_send(supervisor::Message::Order(order)).is_ok())
    };
    let timeline = super::state::folder().map(|folder| folder.join("timeline.db"));
    let timeline =
        Timeline::start(timeline, Arc::clone(&clock)).context("the timeline's thread did not start")?;
    let page = Page::new(Parts {
        config: config.clone(),
        vocabulary: Arc::clone(&vocabulary),
        engine: models.engine.describe(models.options),
        control: control.clone(),
        publisher: publisher.clone(),
        timeline: timeline.clone(),
        orders,
        clock: Arc::clone(&clock),
    });
    let web = Web::start(&config.web, page.clone()).context("the page's threads did not start")?;
    let observing = Observing::new(publishing, page.clone());
    let mut service = Service::new(observing, Notify::from_environment(), Arc::clone(&clock), &config);

    let mut feeds = Feeds::new(Arc::clone(&clock), stop.clone());
    let mut pipeline = Pipeline {
        config: config.clone(),
        networks,
        vocabulary: Arc::clone(&vocabulary),
        feeds: config.cameras.iter().map(|camera| feeds.feed(camera, &config.node)).collect(),
        clock: Arc::clone(&clock),
        explain: false,
        requests,
    };
    let supervisor = Supervisor {
        sender,
        messages,
        file: args.config,
        watch,
        loaded,
        config,
        since: clock.utc(),
        models,
        model_files,
        vocabulary,
        tried: None,
        text_tower: Default::default(),
        feeds,
        control,
        publisher: publisher.clone(),
        redial: mqtt.redial(),
        page,
        web: web.settings(),
        words: words::file(),
        clock,
        hangup,
    };
    // Not waited for at the end: it may be in the middle of loading something that nobody needs any more.
    let stopped = stop.clone();
    thread::Builder::new().name("supervisor".into()).spawn(move || supervisor.run(&stopped))?;

    let result = pipeline.run(&mut service, &stop).context("the pipeline stopped");
    service.stopping();
    web.stop();
    let spool = publisher.counters().spool;
    let left = mqtt.shutdown(DRAIN);
    web.shutdown(FAREWELL);
    timeline.flush(FAREWELL);
    match spool {
        _ if left == 0 => {}
        SpoolState::Ok => info!(left, "events wait on disk for the next start"),
        _ => warn!(left, "events could not be delivered before the end"),
    }
    let report = result?;
    info!(analysed = report.analysed, uptime = ?report.uptime, "stopped");
    Ok(())
}

/// With the place of the spool, where the configuration leaves that to us.
fn with_spool(mut settings: config::Mqtt) -> config::Mqtt {
    let spool = &mut settings.spool;
    if spool.enabled && spool.path.is_none() {
        spool.path = super::state::folder().map(|folder| folder.join("spool.db"));
        match &spool.path {
            Some(path) => info!(?path, "events wait on disk"),
            None => {
                info!("events wait in memory, and a restart loses them: set mqtt.spool.path to keep them")
            }
        }
    }
    settings
}
