//! Every address that is answered. A module's handlers come with their description: the API and its OpenAPI document are
//! one list.

use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router, middleware};
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa::openapi::{ContentBuilder, Ref, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use super::problem::Problem;
use super::state::Page;
use super::{assets, auth, cameras, events, guard, health, metrics, regions, scores, status, words};

/// Where the API is.
const API: &str = "/api/v1";
/// The largest body of a request, bytes: more words than a box can look for.
const MOST_BODY: usize = 256 * 1024;

#[derive(OpenApi)]
#[openapi(info(
    title = "Watchword",
    description = "What a box sees, what happened, what it watches for, and how it is. Boxes and polygons are fractions of \
                   the picture, times are RFC 3339 in UTC. Whatever goes wrong is answered with {\"error\", \"problems\"}.",
    license(name = "MIT OR Apache-2.0")
))]
struct Description;

/// Handlers under [`API`], each module's own.
fn api() -> OpenApiRouter<Page> {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(status::routes())
        .merge(cameras::routes())
        .merge(regions::routes())
        .merge(events::routes())
        .merge(words::routes())
        .merge(scores::routes())
}

fn described() -> OpenApiRouter<Page> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(health::routes())
        .merge(metrics::routes())
        .nest(API, api())
}

/// Says of every operation that what goes wrong is answered as a [`Problem`], also where that is not its own doing.
fn refuse(document: &mut utoipa::openapi::OpenApi) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("what went wrong, before or in it")
        .content("application/json", content)
        .build();
    for path in document.paths.paths.values_mut() {
        for operation in
            [&mut path.get, &mut path.put, &mut path.post, &mut path.delete].into_iter().flatten()
        {
            let responses = &mut operation.responses.responses;
            responses.entry("default".into()).or_insert_with(|| problem.clone().into());
        }
    }
}

/// All of it.
pub(super) fn router(page: Page) -> Router {
    let (router, mut document) = described().split_for_parts();
    refuse(&mut document);
    router
        .route(&format!("{API}/openapi.json"), get(|| async { Json(document) }))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .merge(assets::routes())
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(page.clone(), guard::guard))
        .with_state(page)
}

async fn unknown(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; {API}/openapi.json says what there is", uri.path()))
}

async fn wrong_method() -> Problem {
    let message = format!("not with this method; {API}/openapi.json says with which");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
