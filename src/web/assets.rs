//! The page itself: the files of `page/`, inside the program.
//!
//! Each is asked for again at every visit, and sent only if it is another than the browser has.

use std::sync::LazyLock;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::state::Page;

/// Files of `page/`: where each is found, what it is, what is in it.
macro_rules! files {
    ($($address:literal $kind:literal $file:literal)*) => {
        &[$(File { address: $address, kind: $kind, bytes: include_bytes!(concat!("page/", $file)) }),*]
    };
}

struct File {
    address: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const FILES: &[File] = files![
    "/" "text/html; charset=utf-8" "index.html"
    "/style.css" "text/css; charset=utf-8" "style.css"
    "/icon.svg" "image/svg+xml" "icon.svg"
    "/action.js" "text/javascript; charset=utf-8" "action.js"
    "/again.js" "text/javascript; charset=utf-8" "again.js"
    "/api.js" "text/javascript; charset=utf-8" "api.js"
    "/app.js" "text/javascript; charset=utf-8" "app.js"
    "/camera.js" "text/javascript; charset=utf-8" "camera.js"
    "/dom.js" "text/javascript; charset=utf-8" "dom.js"
    "/draft.js" "text/javascript; charset=utf-8" "draft.js"
    "/drawing.js" "text/javascript; charset=utf-8" "drawing.js"
    "/event.js" "text/javascript; charset=utf-8" "event.js"
    "/feed.js" "text/javascript; charset=utf-8" "feed.js"
    "/format.js" "text/javascript; charset=utf-8" "format.js"
    "/health.js" "text/javascript; charset=utf-8" "health.js"
    "/live.js" "text/javascript; charset=utf-8" "live.js"
    "/login.js" "text/javascript; charset=utf-8" "login.js"
    "/outlines.js" "text/javascript; charset=utf-8" "outlines.js"
    "/picture.js" "text/javascript; charset=utf-8" "picture.js"
    "/plot.js" "text/javascript; charset=utf-8" "plot.js"
    "/polygon.js" "text/javascript; charset=utf-8" "polygon.js"
    "/recent.js" "text/javascript; charset=utf-8" "recent.js"
    "/router.js" "text/javascript; charset=utf-8" "router.js"
    "/save.js" "text/javascript; charset=utf-8" "save.js"
    "/timeline.js" "text/javascript; charset=utf-8" "timeline.js"
    "/tryout.js" "text/javascript; charset=utf-8" "tryout.js"
    "/words.js" "text/javascript; charset=utf-8" "words.js"
    "/zones.js" "text/javascript; charset=utf-8" "zones.js"
];

/// What tells one version of the page from another. Weak, as it is compressed on its way.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let mut digest = Sha256::new();
    FILES.iter().for_each(|file| digest.update(file.bytes));
    format!("W/\"{}\"", hex::encode(digest.finalize()).split_at(16).0)
});

pub(super) fn routes() -> Router<Page> {
    FILES.iter().fold(Router::new(), |router, file| {
        router.route(file.address, get(move |headers: HeaderMap| async move { answer(file, &headers) }))
    })
}

/// Whether it is a file's address.
pub(super) fn is_one(path: &str) -> bool {
    FILES.iter().any(|file| file.address == path)
}

fn answer(file: &File, headers: &HeaderMap) -> Response {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let same = known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == *TAG));
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.kind)], file.bytes).into_response()
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&TAG) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
