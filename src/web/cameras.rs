//! Cameras: which there are, what they see, whether they are watched.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Path;
use super::orders::Order;
use super::problem::Problem;
use super::regions::ZoneArea;
use super::state::{Page, Shared};
use crate::config::{Camera, Config, NoCamera};
use crate::pipeline::{ControlError, Status};
use crate::render::Canvas;

/// A picture must come in this time.
const PICTURE: Duration = Duration::from_secs(5);
/// Who does not take a message in this time is gone.
const SEND: Duration = Duration::from_secs(10);
/// To find out who is gone while no pictures come.
const PING: Duration = Duration::from_secs(20);
/// Nobody has much to say to us.
const HEARD: usize = 1024;

/// How each camera is, as far as it was heard.
#[derive(Default)]
pub struct Cameras(Mutex<Vec<Heard>>);

struct Heard {
    name: String,
    status: Status,
    /// Pixels.
    size: Option<[usize; 2]>,
}

impl Cameras {
    /// Goes by another configuration; what was heard of cameras that stay is known on.
    pub(super) fn reconfigure(&self, config: &Config) {
        let mut cameras = self.lock();
        cameras.retain(|camera| config.camera(&camera.name).is_some());
        for Camera { name, .. } in &config.cameras {
            if !cameras.iter().any(|camera| camera.name == *name) {
                cameras.push(Heard { name: name.clone(), status: Status::default(), size: None });
            }
        }
    }

    pub(super) fn status(&self, camera: &str, status: Status) {
        self.change(camera, |camera| camera.status = status);
    }

    pub(super) fn size(&self, camera: &str, size: [usize; 2]) {
        self.change(camera, |camera| camera.size = Some(size));
    }

    /// Names of those from which frames come.
    pub(super) fn online(&self) -> Vec<String> {
        let cameras = self.lock();
        let online = cameras.iter().filter(|camera| camera.status == Status::Online);
        online.map(|camera| camera.name.clone()).collect()
    }

    fn change(&self, camera: &str, change: impl FnOnce(&mut Heard)) {
        if let Some(camera) = self.lock().iter_mut().find(|known| known.name == camera) {
            change(camera);
        }
    }

    fn heard(&self, camera: &str) -> (Status, Option<[usize; 2]>) {
        let cameras = self.lock();
        cameras
            .iter()
            .find(|known| known.name == camera)
            .map_or_else(Default::default, |c| (c.status, c.size))
    }

    /// Held for as long as it takes to find a name.
    fn lock(&self) -> MutexGuard<'_, Vec<Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// There is such a camera.
    pub(super) fn known(&self, camera: &str) -> Result<(), Problem> {
        let unknown = |error: NoCamera| Problem::not_found(error.to_string());
        self.config().known_camera(camera).map(drop).map_err(unknown)
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NoCamera(_) => Self::not_found(error.to_string()),
            ControlError::Busy => Self::too_many(error.to_string(), 1),
            ControlError::Stopped
            | ControlError::Stuck
            | ControlError::NoFrame(_)
            | ControlError::OtherModels => Self::unavailable(error.to_string()),
        }
    }
}

/// A camera.
#[derive(Serialize, ToSchema)]
struct Described {
    name: String,
    /// As `stats` says it: opening, online, lost, paused, scheduled off, ended.
    status: &'static str,
    /// Width and height of its pictures, pixels; `null` before the first.
    size: Option<[usize; 2]>,
    zones: Vec<ZoneArea>,
    masks: Vec<Vec<[f32; 2]>>,
    /// Names of the actions that can be seen there.
    actions: Vec<String>,
}

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new()
        .routes(routes!(cameras))
        .routes(routes!(picture))
        .routes(routes!(live))
        .routes(routes!(pause))
        .routes(routes!(resume))
}

/// All cameras.
#[utoipa::path(get, path = "/cameras", tag = "cameras", responses((status = 200, body = Vec<Described>)))]
async fn cameras(State(page): State<Page>) -> Json<Vec<Described>> {
    let config = page.config();
    let described = config.cameras.iter().map(|camera| {
        let (status, size) = page.cameras.heard(&camera.name);
        let has = |zone: &String| camera.zones.iter().any(|known| known.name == *zone);
        let seen =
            config.actions.iter().filter(|action| action.zones.is_empty() || action.zones.iter().any(has));
        Described {
            name: camera.name.clone(),
            status: status.name(),
            size,
            zones: camera.zones.iter().map(ZoneArea::from).collect(),
            masks: camera.masks.iter().map(|mask| mask.polygon.clone()).collect(),
            actions: seen.map(|action| action.name.clone()).collect(),
        }
    });
    Json(described.collect())
}

/// A picture: the next frame that is analysed, as it is analysed, with nothing drawn into it.
#[utoipa::path(get, path = "/cameras/{camera}/picture", tag = "cameras", params(("camera" = String, Path)), responses(
    (status = 200, content_type = "image/jpeg", body = [u8]), (status = 404, body = Problem),
    (status = 429, body = Problem), (status = 503, body = Problem)))]
async fn picture(State(page): State<Page>, Path(camera): Path<String>) -> Result<Response, Problem> {
    page.known(&camera)?;
    let busy = || Problem::too_many("others wait for pictures; ask again in a moment", 1);
    let _turn = page.looking.try_acquire().map_err(|_| busy())?;
    let jpeg = page
        .aside(move |page| {
            let picture = page.control.picture(&camera, PICTURE)?;
            let jpeg = Canvas::default().jpeg(&picture, usize::MAX);
            jpeg.map_err(|error| Problem::unavailable(error.to_string()))
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

/// Live pictures, as a WebSocket: at most five a second, fewer for who is slow. Each message is binary: the length of the
/// JSON behind it (32 bits, little-endian); `{"time", "size": [w, h], "tracks": [{"id", "box", "score", "actions":
/// [[name, probability], ..]}]}` with each person's three most probable actions; a JPEG, at most 960 pixels wide.
#[utoipa::path(get, path = "/cameras/{camera}/live", tag = "cameras", params(("camera" = String, Path)), responses(
    (status = 101, description = "the socket is open"), (status = 404, body = Problem)))]
async fn live(
    State(page): State<Page>,
    Path(camera): Path<String>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    page.known(&camera)?;
    let upgrade = upgrade.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    Ok(upgrade.max_message_size(HEARD).on_upgrade(async move |socket| {
        if let Some(messages) = page.live.watch(&camera) {
            show(socket, messages).await;
        }
    }))
}

/// Sends the newest message whenever the one before was taken, until the socket closes or the camera is no more.
async fn show(mut socket: WebSocket, mut messages: watch::Receiver<Option<Bytes>>) {
    loop {
        let message = tokio::select! {
            changed = messages.changed() => {
                if changed.is_err() {
                    break;
                }
                messages.borrow_and_update().clone().map(Message::Binary)
            }
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => None,
            },
            () = tokio::time::sleep(PING) => Some(Message::Ping(Bytes::new())),
        };
        if let Some(message) = message
            && !matches!(tokio::time::timeout(SEND, socket.send(message)).await, Ok(Ok(())))
        {
            break;
        }
    }
}

/// Stops watching a camera until it is resumed.
#[utoipa::path(post, path = "/cameras/{camera}/pause", tag = "cameras", params(("camera" = String, Path)), responses(
    (status = 204), (status = 404, body = Problem)))]
async fn pause(State(page): State<Page>, Path(camera): Path<String>) -> Result<StatusCode, Problem> {
    page.orders.give(|reply| Order::Pause { camera, pause: true, reply }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Watches a camera again.
#[utoipa::path(post, path = "/cameras/{camera}/resume", tag = "cameras", params(("camera" = String, Path)), responses(
    (status = 204), (status = 404, body = Problem)))]
async fn resume(State(page): State<Page>, Path(camera): Path<String>) -> Result<StatusCode, Problem> {
    page.orders.give(|reply| Order::Pause { camera, pause: false, reply }).await?;
    Ok(StatusCode::NO_CONTENT)
}
