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
