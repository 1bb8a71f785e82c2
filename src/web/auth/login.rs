//! Logging in and out.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{COOKIE, Peer, Shown, password};
use crate::web::extract::Json;
use crate::web::problem::Problem;
use crate::web::state::Page;

pub(in crate::web) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(session, log_in, log_out))
}

/// Whether one has to log in, and has.
#[derive(Serialize, ToSchema)]
struct Session {
    required: bool,
    authenticated: bool,
}

#[derive(Deserialize, ToSchema)]
struct LogIn {
    password: String,
}

/// Whether a log-in is needed, and there was one.
#[utoipa::path(get, path = "/session", tag = "session", responses((status = 200, body = Session)))]
async fn session(State(page): State<Page>, headers: HeaderMap) -> axum::Json<Session> {
    let authenticated = page.shown(&headers) != Shown::Nothing;
    axum::Json(Session { required: page.auth.access().needed, authenticated })
}

/// Logs in: the answer sets the session's cookie.
#[utoipa::path(
    post, path = "/session", tag = "session", request_body = LogIn,
    responses(
        (status = 204, description = "logged in"),
        (status = 401, body = Problem, description = "another password"),
        (status = 409, body = Problem, description = "no password is set"),
        (status = 429, body = Problem, description = "too many tries; see Retry-After"),
    )
)]
async fn log_in(
    State(page): State<Page>,
    Extension(peer): Extension<Peer>,
    jar: CookieJar,
    Json(LogIn { password }): Json<LogIn>,
) -> Result<(StatusCode, CookieJar), Problem> {
    let none = || Problem::conflict("this box has no password; set web.password_file, or show the token");
    let hash = page.auth.access().password.ok_or_else(none)?;
    page.auth.limiter.count(peer.address).map_err(too_often)?;
    if !is_right(&page, password, hash.clone()).await? {
        warn!(from = %peer.address, "somebody tried to log in with a wrong password");
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong password"));
    }
    let now = page.clock.monotonic();
    let id = {
        let mut sessions = page.auth.sessions();
        if let Some(before) = jar.get(COOKIE) {
            sessions.close(before.value());
        }
        sessions.open(now)
    };
    // It may have been changed while it was compared.
    if page.auth.access().password.as_ref() != Some(&hash) {
        page.auth.sessions().close(&id);
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "wrong password"));
    }
    info!(from = %peer.address, "logged in to the page");
    let cookie = Cookie::build((COOKIE, id)).path("/").http_only(true).same_site(SameSite::Strict);
    Ok((StatusCode::NO_CONTENT, jar.add(cookie.secure(peer.encrypted))))
}

/// Logs out.
#[utoipa::path(delete, path = "/session", tag = "session", responses((status = 204, description = "logged out")))]
async fn log_out(State(page): State<Page>, jar: CookieJar) -> (StatusCode, CookieJar) {
    if let Some(cookie) = jar.get(COOKIE) {
        page.auth.sessions().close(cookie.value());
    }
    (StatusCode::NO_CONTENT, jar.remove(Cookie::build(COOKIE).path("/")))
}

/// Compares off the threads that serve, one at a time.
async fn is_right(page: &Page, password: String, hash: String) -> Result<bool, Problem> {
    if password.len() > password::MOST {
        return Ok(false);
    }
    let busy = |_| Problem::unavailable("the box is about to stop; try again");
    let _turn = page.auth.verifying.acquire().await.map_err(|_| Problem::unavailable("try again"))?;
    let compared = tokio::task::spawn_blocking(move || password::verify(&password, &hash));
    compared.await.map_err(busy)?.map_err(|problem| {
        error!(%problem, "web.password_file holds no hash of a password; `watchword web password` makes one");
        Problem::unavailable("the password's hash cannot be read; the log says more")
    })
}

fn too_often(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    Problem::too_many(format!("too many tries to log in; try again in {seconds} s"), seconds)
}
