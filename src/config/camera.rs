//! Cameras and the zones drawn in their pictures.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::{FileRef, Hours, Hwaccel, RtspTransport, Span, Speed};

/// `[[camera]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Camera {
    /// Slug; part of topics.
    pub name: String,
    /// `/dev/video0` or a link to it in `/dev/v4l/by-id`, `rtsp://..`, a video file, an `.avi`/`.mjpeg` of JPEGs, or a
    /// folder of JPEGs.
    pub source: String,
    /// Pixels, width and height; absent: as the source likes.
    pub size: Option<[u32; 2]>,
    /// Frames a second asked of a device, or assumed for pictures without times.
    pub fps: Option<f64>,
    /// How a device is to deliver its pixels; absent: the cheapest way that gives size and rate.
    pub format: Option<DeviceFormat>,
    /// Frames a second to analyse; absent: every frame that the box has time for.
    pub analysis_fps: Option<f64>,
    /// A live source that is silent for so long has failed, and is opened again.
    pub stall_timeout: Span,
    /// What carries an RTSP stream.
    pub rtsp_transport: RtspTransport,
    /// Whether an https:// server must show a certificate that is trusted.
    pub tls_verify: bool,
    /// What decodes a stream or a file.
    pub hwaccel: Hwaccel,
    /// Who we are to a stream's server.
    pub username: Option<String>,
    /// A file with the password, so that no password stands in this one.
    pub password_file: Option<FileRef>,
    /// Start a recording again at its end.
    #[serde(rename = "loop")]
    pub repeat: bool,
    /// What a device's controls are set to whenever it is opened, by the driver's names as `v4l2-ctl` writes them.
    pub controls: BTreeMap<String, ControlValue>,
    /// How fast a recording is played.
    pub speed: Speed,
    /// When it is watched; empty: always.
    pub schedule: Vec<Hours>,
    /// Degrees clockwise by which the picture is turned: 0, 90, 180 or 270.
    pub rotate: u32,
    /// Whether left and right change places, after turning.
    pub mirror: bool,
    /// `[x1, y1, x2, y2]`, fractions of the picture that is turned: the part that is the camera's picture.
    pub region: Option<[f32; 4]>,
    #[serde(rename = "mask")]
    pub masks: Vec<Mask>,
    #[serde(rename = "zone")]
    pub zones: Vec<Zone>,
}

impl Default for Camera {
    fn default() -> Self {
        Self {
            name: String::new(),
            source: String::new(),
            size: None,
            fps: None,
            format: None,
            analysis_fps: None,
            stall_timeout: Span::from_secs_f64(5.0),
            rtsp_transport: RtspTransport::default(),
            tls_verify: true,
            hwaccel: Hwaccel::default(),
            username: None,
            password_file: None,
            repeat: false,
            controls: BTreeMap::new(),
            speed: Speed::default(),
            schedule: Vec::new(),
            rotate: 0,
            mirror: false,
            region: None,
            masks: Vec::new(),
            zones: Vec::new(),
        }
    }
}

/// A device's pixel format, by the kernel's four characters for it (`videodev2.h`). A driver's variant of it in
/// several memory planes (`NM12` for `NV12`) goes by the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DeviceFormat {
    Yuyv,
    Uyvy,
    Nv12,
    Nv21,
    Nv16,
    Yu12,
    Rgb3,
    Bgr3,
    Grey,
    Mjpg,
}

impl fmt::Display for DeviceFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// What a control of a device is set to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum ControlValue {
    Flag(bool),
    Number(i64),
    /// An item of a menu, in the driver's words.
    Item(String),
}

impl fmt::Display for ControlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Item(item) => write!(f, "{item:?}"),
        }
    }
}

impl<'de> Deserialize<'de> for ControlValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ControlValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number, true or false, or an item of the control's menu in quotes")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<ControlValue, E> {
                Ok(ControlValue::Flag(flag))
            }

            fn visit_i64<E>(self, number: i64) -> Result<ControlValue, E> {
                Ok(ControlValue::Number(number))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<ControlValue, E> {
                i64::try_from(number)
                    .map(ControlValue::Number)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E>(self, item: &str) -> Result<ControlValue, E> {
                Ok(ControlValue::Item(item.to_owned()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `[[camera.mask]]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mask {
    /// For whoever reads the configuration.
    pub name: String,
    /// At least three `[x, y]` points, fractions of the camera's picture.
    pub polygon: Vec<[f32; 2]>,
}

/// `[[camera.zone]]`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Zone {
    /// Slug.
    pub name: String,
    /// At least three `[x, y]` points, fractions of the camera's picture.
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
