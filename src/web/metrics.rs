//! Numbers for Prometheus, by its conventions: base units, `_total` for what only grows. board/web.md lists them.

use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::samples::Sample;
use super::state::{InEffect, Page};
use crate::mqtt::SpoolState;
use crate::pipeline::{CameraReport, Stage, Status};

/// The text format, and its version.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Numbers for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "health",
    responses(
        (status = 200, body = String, content_type = "text/plain", description = "Prometheus' text format 0.0.4"),
        (status = 503, body = Problem, description = "the analysis is stuck"),
    )
)]
async fn metrics(State(page): State<Page>) -> Result<impl IntoResponse, Problem> {
    let sample = Sample::now(&page).await?;
    let mut text = String::new();
    encode(&mut text, &exposition(&sample, &page.in_effect()))
        .map_err(|_| Problem::unavailable("the metrics could not be written; try again"))?;
    Ok(([(header::CONTENT_TYPE, KIND)], text))
}

fn exposition(sample: &Sample, in_effect: &InEffect) -> Registry {
    let mut to = Exposition(Registry::with_prefix("watchword"));
    let Sample { report, stats, delivery, untold } = sample;
    let InEffect { config, vocabulary, pack, engine } = in_effect;
    let about = [
        ("version", stats.version.to_owned()),
        ("node", config.node.name.clone()),
        ("pack", pack.clone()),
        ("engine", engine.clone()),
        ("vocabulary", vocabulary.clone()),
    ];
    to.gauge("build_info", "What runs; always 1", [(about.into(), 1.0)]);
    to.gauge("uptime_seconds", "Since the pipeline was started", [(none(), report.uptime.as_secs_f64())]);
    to.gauge("resident_memory_bytes", "In RAM", [(none(), report.resident_memory as f64)]);
    let zones = stats.temperatures.iter().map(|(zone, celsius)| (label("zone", zone), *celsius));
    to.gauge("temperature_celsius", "By sensor", zones);

    let latencies = [("0.5", report.latency_p50), ("0.95", report.latency_p95)];
    let latencies = latencies
        .iter()
        .filter_map(|(quantile, time)| Some((label("quantile", quantile), time.as_ref()?.as_secs_f64())));
    to.gauge("latency_seconds", "From capture to the end of analysis, of the latest 1024 frames", latencies);
    let stages =
        Stage::ALL.map(|stage| (label("stage", stage.name()), report.stages.of(stage).as_secs_f64()));
    to.seconds("stage_seconds", "Time spent in each stage of the analysis", stages);
    to.gauge("frames_waiting", "Frames that wait for the analysis", [(none(), report.waiting as f64)]);

    let online = |camera: &CameraReport| f64::from(u8::from(camera.status == Status::Online));
    let each = |value: fn(&CameraReport) -> u64| {
        report.cameras.iter().map(move |camera| (label("camera", &camera.name), value(camera)))
    };
    let cameras = report.cameras.iter();
    to.gauge(
        "camera_online",
        "Whether its frames come",
        cameras.clone().map(|camera| (label("camera", &camera.name), online(camera))),
    );
    to.gauge(
        "camera_persons",
        "Persons in the latest frame",
        cameras.map(|camera| (label("camera", &camera.name), camera.persons as f64)),
    );
    to.counter("frames_captured", "Frames that the source delivered", each(|camera| camera.captured));
    to.counter("frames_analysed", "Frames analysed", each(|camera| camera.analysed));
    to.counter(
        "frames_dropped",
        "Frames that a newer one replaced before the analysis had time",
        each(|camera| camera.dropped),
    );
    to.counter(
        "frames_missed",
        "Frames that the camera counted and that never came",
        each(|camera| camera.missed),
    );
    to.counter("frames_corrupted", "Frames that came damaged", each(|camera| camera.corrupted));
    to.counter("frames_failed", "Frames that could not be analysed", each(|camera| camera.failed));
    to.counter("camera_reopened", "Times it was opened again after it broke", each(|camera| camera.reopened));
    to.counter("frames_searched", "Frames that the detector looked at", each(|camera| camera.searched));
    to.counter("crops_encoded", "Crops that the image tower encoded", each(|camera| camera.crops.encoded));
    to.counter(
        "crops_kept",
        "Crops that looked as when they were encoded last, or waited for their turn",
        each(|camera| camera.crops.kept),
    );

    to.counter(
        "timeline_dropped",
        "Changes of events that are not in the timeline, for want of time or space",
        [(none(), *untold)],
    );
    to.gauge(
        "mqtt_connected",
        "Whether the broker has accepted us",
        [(none(), f64::from(u8::from(delivery.connected)))],
    );
    to.gauge(
        "mqtt_events_waiting",
        "Events not yet acknowledged by the broker",
        [(none(), delivery.queued as f64)],
    );
    to.counter(
        "mqtt_events_sent",
        "Events handed to a connection, repeats counted again",
        [(none(), delivery.sent)],
    );
    to.counter("mqtt_events_acknowledged", "Events that the broker acknowledged", [(none(), delivery.acked)]);
    to.counter("mqtt_events_dropped", "Events dropped for want of room", [(none(), delivery.dropped)]);
    to.counter("mqtt_events_expired", "Events dropped as they were too old", [(none(), delivery.expired)]);
    to.counter(
        "mqtt_detections_dropped",
        "Frames of detections dropped as the broker was away or slow",
        [(none(), delivery.dropped_detections)],
    );
    let states = SpoolState::ALL
        .map(|state| (label("state", state.name()), f64::from(u8::from(state == delivery.spool))));
    to.gauge("spool_state", "1 for the state that the spool is in", states);
    to.0
}

type Labels = Vec<(&'static str, String)>;

fn none() -> Labels {
    Labels::new()
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

/// Metrics as they are now.
struct Exposition(Registry);

impl Exposition {
    fn gauge(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).set(value);
        }
        self.0.register(name, help, family);
    }

    fn counter(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, u64)>) {
        let family = Family::<Labels, Counter>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    fn seconds(&mut self, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, f64)>) {
        let family = Family::<Labels, Counter<f64, AtomicU64>>::default();
        for (labels, value) in values {
            family.get_or_create(&labels).inc_by(value);
        }
        self.0.register(name, help, family);
    }
}
