//! Whether the daemon lives, for whoever watches it.

use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::Page;

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(healthz))
}

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 204, description = "it lives")))]
async fn healthz() -> StatusCode {
    StatusCode::NO_CONTENT
}
