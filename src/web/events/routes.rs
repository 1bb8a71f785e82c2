//! What happened, for whoever asks, and as it happens.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::store::{Details, Filter, Occurrence, Store};
use crate::database::DatabaseError;
use crate::web::extract::{Path, Query};
use crate::web::problem::Problem;
use crate::web::state::Page;

/// Events of one answer, unless it is asked otherwise, and at most.
const LIMIT: (usize, usize) = (50, 500);
/// A comment, so that both ends know the other is there.
const ALIVE: Duration = Duration::from_secs(20);

/// Which events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    camera: Option<String>,
    action: Option<String>,
    zone: Option<String>,
    /// That begin at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// That begin before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// An event's id: only those that came before it.
    before: Option<String>,
    /// At most so many; 500 at most.
    limit: Option<usize>,
}

/// Some of the events, the newest first.
#[derive(Serialize, ToSchema)]
struct Events {
    events: Vec<Occurrence>,
    /// Whether there are others before them; ask for those `before` the last of these.
    more: bool,
}

pub(in crate::web) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new()
        .routes(routes!(events))
        .routes(routes!(stream))
        .routes(routes!(event))
        .routes(routes!(picture))
}

/// What happened, the newest first.
#[utoipa::path(get, path = "/events", tag = "events", params(Which), responses(
    (status = 200, body = Events), (status = 400, body = Problem), (status = 503, body = Problem)))]
async fn events(State(page): State<Page>, Query(which): Query<Which>) -> Result<Json<Events>, Problem> {
    let Which { camera, action, zone, from, to, before, limit } = which;
    let limit = limit.unwrap_or(LIMIT.0).clamp(1, LIMIT.1);
    let filter = Filter { camera, action, zone, from, to, before, limit };
    let (events, more) = read(&page, move |store| store.list(&filter)).await?;
    Ok(Json(Events { events, more }))
}

/// An event with its scores over time.
#[utoipa::path(get, path = "/events/{id}", tag = "events", params(("id" = String, Path)), responses(
    (status = 200, body = Details), (status = 404, body = Problem), (status = 503, body = Problem)))]
async fn event(State(page): State<Page>, Path(id): Path<String>) -> Result<Json<Details>, Problem> {
    read(&page, move |store| store.details(&id)).await?.map(Json).ok_or_else(forgotten)
}

/// What the camera saw when an event began. There are pictures only while `mqtt.snapshots` is on.
#[utoipa::path(get, path = "/events/{id}/picture", tag = "events", params(("id" = String, Path)), responses(
    (status = 200, content_type = "image/jpeg", body = [u8]), (status = 404, body = Problem),
    (status = 503, body = Problem)))]
async fn picture(State(page): State<Page>, Path(id): Path<String>) -> Result<Response, Problem> {
    let none = || {
        Problem::not_found(
            "there is no picture of this event; those of later ones are kept if mqtt.snapshots is on",
        )
    };
    let jpeg = read(&page, move |store| store.picture(&id)).await?.ok_or_else(none)?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

/// Events as they begin and end, as server-sent events whose data is an event.
#[utoipa::path(get, path = "/events/stream", tag = "events", responses(
    (status = 200, content_type = "text/event-stream", body = Occurrence)))]
async fn stream(State(page): State<Page>) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(tell(page.timeline.0.told.subscribe(), sender));
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(Lines(receiver))).into_response()
}

/// Until the listener is gone. Who is too slow misses what was in between.
async fn tell(mut told: broadcast::Receiver<Occurrence>, listener: mpsc::Sender<Bytes>) {
    // At once, so that the listener knows that from now on it misses nothing.
    let mut line = Bytes::from_static(b": listening\n\n");
    while listener.send(line).await.is_ok() {
        line = tokio::select! {
            occurrence = told.recv() => match occurrence {
                Ok(occurrence) => match serde_json::to_string(&occurrence) {
                    Ok(json) => format!("data: {json}\n\n").into(),
                    Err(_) => pulse(),
                },
                Err(RecvError::Lagged(_)) => pulse(),
                Err(RecvError::Closed) => return,
            },
            () = tokio::time::sleep(ALIVE) => pulse(),
            () = listener.closed() => return,
        };
    }
}

/// Says nothing but that it goes on.
fn pulse() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// A body that comes line by line.
struct Lines(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

fn forgotten() -> Problem {
    Problem::not_found("there is no such event; it may be so old that it was forgotten")
}

/// Reads from the timeline, aside from what must not wait.
async fn read<T: Send + 'static>(
    page: &Page,
    read: impl FnOnce(&Store) -> Result<T, DatabaseError> + Send + 'static,
) -> Result<T, Problem> {
    page.aside(move |page| {
        let store = page.timeline.0.store.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let store =
            store.as_ref().ok_or_else(|| Problem::unavailable("the timeline is being opened; ask again"))?;
        read(store).map_err(|error| Problem::unavailable(format!("the timeline cannot be read: {error}")))
    })
    .await
}
