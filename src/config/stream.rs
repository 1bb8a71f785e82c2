//! How `ffmpeg` is to read a stream or a file.

use serde::{Deserialize, Serialize};

/// What carries an RTSP stream's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RtspTransport {
    /// The connection that commands go over, too: nothing is lost on the way.
    #[default]
    Tcp,
    Udp,
    UdpMulticast,
    /// A tunnel through what lets only HTTP pass.
    Http,
}

impl RtspTransport {
    /// As `ffmpeg` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::UdpMulticast => "udp_multicast",
            Self::Http => "http",
        }
    }
}

/// What decodes a video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hwaccel {
    /// The processor's cores.
    #[default]
    None,
    /// Whatever `ffmpeg` finds.
    Auto,
    /// Intel's and AMD's graphics.
    Vaapi,
    /// Intel Quick Sync Video.
    Qsv,
    /// NVIDIA's graphics.
    Nvdec,
    /// The kernel's stateless decoders, with an `ffmpeg` that is built for them.
    Drm,
    /// The kernel's stateful decoders, as in the Raspberry Pi 4.
    V4l2m2m,
    /// Rockchip's, with an `ffmpeg` that is built for it.
    Rkmpp,
}
