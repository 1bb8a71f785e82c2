//! Whether the daemon lives and does its work, for whoever watches it.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::samples::Sample;
use super::state::Page;
use crate::config::Config;

/// A frame must be analysed in this time, or in that of three frames if these are rarer.
const LATELY: Duration = Duration::from_secs(10);

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz))
}

/// The process lives. Answered to everybody.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 204, description = "it lives")))]
async fn healthz() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Frames are analysed, or there is nothing to be watched: every camera is lost, paused or off duty.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 204, description = "it watches"),
        (status = 503, body = Problem, description = "it does not"),
    )
)]
async fn readyz(State(page): State<Page>) -> Result<StatusCode, Problem> {
    let report = Sample::now(&page).await?.report;
    let lately = page.since_analysed().is_some_and(|since| since < lately(&page.config()));
    if lately || report.cameras.iter().all(|camera| camera.status.is_silent()) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(Problem::unavailable("no frame was analysed lately; /api/v1/status says how each camera is"))
}

fn lately(config: &Config) -> Duration {
    let slowest = config.cameras.iter().filter_map(|camera| camera.analysis_fps).min_by(f64::total_cmp);
    let frames = slowest.and_then(|fps| Duration::try_from_secs_f64(3.0 / fps).ok());
    frames.map_or(LATELY, |frames| frames.max(LATELY))
}
