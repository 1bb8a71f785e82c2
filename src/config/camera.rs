//! Cameras and the zones drawn in their pictures.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// `[[camera]]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Camera {
    /// Slug; part of topics.
    pub name: String,
    /// `/dev/video0`, `rtsp://..`, a video file, an `.avi`/`.mjpeg` of JPEGs, or a folder of JPEGs.
    pub source: String,
    /// Pixels, width and height; absent: as the source likes.
    pub size: Option<[u32; 2]>,
    /// Frames a second asked of a device, or assumed for pictures without times.
    pub fps: Option<f64>,
    /// Frames a second to analyse; absent: every frame that the box has time for.
    pub analysis_fps: Option<f64>,
    /// Start a recording again at its end.
    #[serde(rename = "loop")]
    pub repeat: bool,
    #[serde(rename = "zone")]
    pub zones: Vec<Zone>,
}

/// `[[camera.zone]]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Zone {
    /// Slug.
    pub name: String,
    /// At least three `[x, y]` points, fractions of the frame.
    pub polygon: Vec<[f32; 2]>,
}

impl Camera {
    /// The source as it may be shown and logged: `rtsp://user:password@host/..` without the password.
    pub fn source_without_password(&self) -> Cow<'_, str> {
        let shown = || {
            let (scheme, rest) = self.source.split_once("://")?;
            let authority = rest.split(['/', '?', '#']).next()?;
            // A password may hold an @ of its own, written as it should not be; the host never does.
            let (credentials, _) = authority.rsplit_once('@')?;
            let (user, _) = credentials.split_once(':')?;
            Some(format!("{scheme}://{user}:***{}", rest.get(credentials.len()..)?))
        };
        shown().map_or(Cow::Borrowed(self.source.as_str()), Cow::Owned)
    }
}
