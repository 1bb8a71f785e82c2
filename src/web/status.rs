//! How the box is: numbers for the page and for scripts.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::samples::{Point, Sample};
use super::state::Page;
use crate::mqtt::{CameraStats, Counters};
use crate::pipeline::CameraReport;

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(status)).routes(routes!(history))
}

/// How the box is. Rates and means are over the last few seconds, counts since the start.
#[derive(Serialize, ToSchema)]
struct Status {
    node: String,
    version: &'static str,
    uptime_seconds: f64,
    /// Name and version of the pack.
    pack: String,
    /// What runs the networks.
    engine: String,
    /// Content hash of the words.
    vocabulary: String,
    broker: Broker,
    spool: Spool,
    /// From capture to the end of analysis, over the latest 1024 frames.
    latency_ms: Latency,
    /// Milliseconds a frame, by stage.
    stage_ms: BTreeMap<&'static str, f64>,
    /// Frames that wait for the analysis.
    frames_waiting: u64,
    memory_bytes: u64,
    /// Empty where there is no sensor.
    temperatures: Vec<Temperature>,
    cameras: Vec<Camera>,
}

#[derive(Serialize, ToSchema)]
struct Broker {
    /// Whether the broker has accepted us, now.
    connected: bool,
    /// Events handed to a connection, repeats counted again.
    sent: u64,
    /// Events that the broker acknowledged.
    acknowledged: u64,
    /// Events dropped for want of room.
    dropped: u64,
    /// Events dropped as they were too old.
    expired: u64,
}

#[derive(Serialize, ToSchema)]
struct Spool {
    /// `off`, `opening`, `ok`, `full`, `read_only` or `failed`.
    state: &'static str,
    /// Events not yet acknowledged by the broker.
    waiting: usize,
}

#[derive(Serialize, ToSchema)]
struct Latency {
    /// null before the first frame.
    p50: Option<f64>,
    p95: Option<f64>,
}

#[derive(Serialize, ToSchema)]
struct Temperature {
    zone: String,
    celsius: f64,
}

#[derive(Serialize, ToSchema)]
struct Camera {
    name: String,
    /// `opening`, `online`, `lost`, `paused`, `scheduled off` or `ended`.
    status: &'static str,
    /// Frames analysed a second.
    fps: f64,
    captured: u64,
    analysed: u64,
    /// Frames that a newer one replaced before the analysis had time for them.
    dropped: u64,
    /// Frames that the camera counted and that never came.
    missed: u64,
    /// Frames that came damaged.
    corrupted: u64,
    /// Frames that could not be analysed.
    failed: u64,
    /// Times that it was opened again after it broke.
    reopened: u64,
    /// What went wrong last, whether or not it still does.
    last_error: Option<String>,
    /// In the latest frame.
    persons: usize,
}

/// How the box is.
#[utoipa::path(
    get, path = "/status", tag = "health",
    responses((status = 200, body = Status), (status = 503, body = Problem, description = "the analysis is stuck"))
)]
async fn status(State(page): State<Page>) -> Result<Json<Status>, Problem> {
    let Sample { report, stats, delivery, .. } = Sample::now(&page).await?;
    let in_effect = page.in_effect();
    let Counters { connected, queued, sent, acked, dropped, expired, spool, .. } = delivery;
    let camera = |report: &CameraReport| camera(report, stats.cameras.get(&report.name));
    Ok(Json(Status {
        node: in_effect.config.node.name.clone(),
        version: stats.version,
        uptime_seconds: stats.uptime_s,
        pack: in_effect.pack,
        engine: in_effect.engine,
        vocabulary: in_effect.vocabulary,
        broker: Broker { connected, sent, acknowledged: acked, dropped, expired },
        spool: Spool { state: spool.name(), waiting: queued },
        latency_ms: Latency { p50: stats.latency_ms_p50, p95: stats.latency_ms_p95 },
        frames_waiting: report.waiting,
        memory_bytes: report.resident_memory,
        cameras: report.cameras.iter().map(camera).collect(),
        temperatures: stats
            .temperatures
            .into_iter()
            .map(|(zone, celsius)| Temperature { zone, celsius })
            .collect(),
        stage_ms: stats.stage_ms,
    }))
}

fn camera(report: &CameraReport, stats: Option<&CameraStats>) -> Camera {
    Camera {
        name: report.name.clone(),
        status: report.status.name(),
        fps: stats.map_or(0.0, |stats| stats.analysed_fps),
        captured: report.captured,
        analysed: report.analysed,
        dropped: report.dropped,
        missed: report.missed,
        corrupted: report.corrupted,
        failed: report.failed,
        reopened: report.reopened,
        last_error: report.last_error.clone(),
        persons: report.persons,
    }
}

/// The last hour, the oldest first: one value of each series for each time.
#[derive(Serialize, ToSchema)]
struct History {
    /// RFC 3339, UTC.
    times: Vec<String>,
    series: Series,
}

#[derive(Serialize, ToSchema)]
struct Series {
    /// Frames analysed a second, all cameras.
    fps: Vec<f64>,
    latency_p95_ms: Vec<Option<f64>>,
    memory_bytes: Vec<u64>,
    /// Events not yet acknowledged by the broker.
    spool: Vec<usize>,
    /// Of the hottest sensor, °C.
    temperature: Vec<Option<f64>>,
}

/// How the box was over the last hour, each `stats.interval`, but no oftener than each 5 s.
#[utoipa::path(get, path = "/status/history", tag = "health", responses((status = 200, body = History)))]
async fn history(State(page): State<Page>) -> Json<History> {
    let points = page.samples.points();
    Json(History {
        times: points.iter().map(|point| format!("{:.3}", point.time)).collect(),
        series: Series {
            fps: series(&points, |point| point.fps),
            latency_p95_ms: series(&points, |point| point.latency_ms),
            memory_bytes: series(&points, |point| point.memory),
            spool: series(&points, |point| point.waiting),
            temperature: series(&points, |point| point.temperature),
        },
    })
}

fn series<T>(points: &[Point], value: impl Fn(&Point) -> T) -> Vec<T> {
    points.iter().map(value).collect()
}
