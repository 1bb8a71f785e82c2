//! Zones and privacy masks of a camera, as they are drawn on its picture.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{self, Path};
use super::orders::Order;
use super::problem::Problem;
use super::state::Page;
use super::words::SavedWhere;
use crate::config::{Mask, Zone};

/// More than anybody draws.
const MOST: usize = 64;

/// A part of the picture that actions may be limited to.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ZoneArea {
    pub name: String,
    /// At least three corners `[x, y]`, in order.
    pub polygon: Vec<[f32; 2]>,
}

impl From<&Zone> for ZoneArea {
    fn from(zone: &Zone) -> Self {
        Self { name: zone.name.clone(), polygon: zone.polygon.clone() }
    }
}

/// All of a camera's.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Regions {
    zones: Vec<ZoneArea>,
    /// Polygons in which nobody and nothing is to be seen.
    masks: Vec<Vec<[f32; 2]>>,
}

pub(super) fn routes() -> OpenApiRouter<Page> {
    OpenApiRouter::new().routes(routes!(regions, set_regions))
}

/// A camera's zones and masks.
#[utoipa::path(get, path = "/cameras/{camera}/regions", tag = "cameras", params(("camera" = String, Path)), responses(
    (status = 200, body = Regions), (status = 404, body = Problem)))]
async fn regions(State(page): State<Page>, Path(name): Path<String>) -> Result<Json<Regions>, Problem> {
    page.known(&name)?;
    let config = page.config();
    let camera = config.camera(&name).cloned().unwrap_or_default();
    let zones = camera.zones.iter().map(ZoneArea::from).collect();
    Ok(Json(Regions { zones, masks: camera.masks.into_iter().map(|mask| mask.polygon).collect() }))
}

/// Draws these zones and masks and no others. They are written into the configuration, whose comments stay.
#[utoipa::path(put, path = "/cameras/{camera}/regions", tag = "cameras", params(("camera" = String, Path)),
    request_body = Regions, responses((status = 200, body = SavedWhere), (status = 404, body = Problem),
    (status = 409, body = Problem), (status = 422, body = Problem)))]
async fn set_regions(
    State(page): State<Page>,
    Path(camera): Path<String>,
    extract::Json(regions): extract::Json<Regions>,
) -> Result<Json<SavedWhere>, Problem> {
    page.known(&camera)?;
    if regions.zones.len() > MOST || regions.masks.len() > MOST {
        return Err(Problem::unprocessable(
            format!("more than {MOST} zones or masks; leave some out"),
            Vec::new(),
        ));
    }
    let rounded = |polygon: Vec<[f32; 2]>| polygon.into_iter().map(|point| point.map(round)).collect();
    let zones = regions.zones.into_iter();
    let zones = zones.map(|zone| Zone { name: zone.name, polygon: rounded(zone.polygon) }).collect();
    let masks = regions.masks.into_iter();
    let masks = masks.map(|polygon| Mask { name: String::new(), polygon: rounded(polygon) }).collect();
    let saved = page.orders.give(|reply| Order::SetRegions { camera, zones, masks, reply }).await?;
    Ok(Json(saved.into()))
}

/// A tenth of a pixel is exact enough.
fn round(coordinate: f32) -> f32 {
    (coordinate * 1e4).round() / 1e4
}
