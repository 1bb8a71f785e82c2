//! How the programs are told what to read.
//!
//! An argument list can be read by every user of the box, and the programs take an address from nowhere else: no
//! environment, no file of options before ffmpeg 7. But they read scripts (the `concat` demuxer's, "ffconcat"), and a
//! script of one file, handed over through a pipe, names an address that nobody else sees.

use std::process::Command;
use std::time::Duration;

use super::address::{Address, is_url};
use crate::camera::CameraError;
use crate::config::{self, RtspTransport};

/// What a stream may be carried by. Not `file`, nor anything else of this box: a server must not redirect us there.
const PROTOCOLS: &str = "pipe,fd,rtsp,rtsps,rtp,srtp,tcp,udp,tls,http,https,httpproxy,rtmp,rtmps,rtmpt,srt,crypto,data,hls,\
                         mmsh,mmst";

/// What is read.
#[derive(Clone)]
pub struct Input {
    pub address: Address,
    transport: RtspTransport,
    tls_verify: bool,
    /// When the programs are to give up by themselves a server that is silent. They are ended sooner, unless the daemon
    /// was killed: then nobody else ends them.
    patience: Duration,
}

impl Input {
    pub fn new(camera: &config::Camera) -> Result<Self, CameraError> {
        let patience = Duration::from(camera.stall_timeout).max(super::OPENING) * 2;
        let (transport, tls_verify) = (camera.rtsp_transport, camera.tls_verify);
        Ok(Self { address: Address::of(camera)?, transport, tls_verify, patience })
    }

    /// Adds the arguments that name it to a program's; returns what the program is to read from its standard input.
    pub fn add_to(&self, command: &mut Command) -> Option<String> {
        let name = self.address.full();
        if !is_url(name) {
            // Marked as a path, for a colon in it would make it an address.
            command.arg("-i").arg(format!("file:{name}"));
            return None;
        }
        if name.starts_with("file://") {
            command.args(["-i", name]);
            return None;
        }
        command.args(["-f", "concat", "-safe", "0", "-protocol_whitelist", PROTOCOLS, "-i", "pipe:0"]);
        Some(self.script())
    }

    /// The script (ffmpeg's documentation, "concat", "Syntax").
    fn script(&self) -> String {
        let name = self.address.full();
        let patience = self.patience.as_micros();
        let options = if name.starts_with("rtsp://") || name.starts_with("rtsps://") {
            format!("option rtsp_transport {}\noption timeout {patience}\n", self.transport.name())
        } else {
            let verify = u8::from(self.tls_verify);
            format!("option rw_timeout {patience}\noption tls_verify {verify}\n")
        };
        // Within quotes everything stands for itself but the quote; a line ends with its line.
        let quoted = name.replace('\'', "'\\''").replace(['\n', '\r', '\0'], "");
        format!("ffconcat version 1.0\nfile '{quoted}'\n{options}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_not_among_the_arguments_and_a_path_is() {
        let input = |source: &str| {
            let camera = config::Camera { source: source.into(), ..Default::default() };
            let mut command = Command::new("ffmpeg");
            let script = Input::new(&camera).unwrap().add_to(&mut command);
            (command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(), script)
        };
        let (arguments, script) = input("rtsp://me:it's@host/live");
        assert!(arguments.iter().all(|argument| !argument.contains("host")), "{arguments:?}");
        let script = script.unwrap();
        assert!(
            script.starts_with("ffconcat version 1.0\nfile 'rtsp://me:it'\\''s@host/live'\n"),
            "{script}"
        );
        assert!(script.contains("option rtsp_transport tcp\n"), "{script}");
        assert!(input("https://host/live").1.unwrap().contains("option tls_verify 1\n"));
        let (_, script) = input("http://host/a\nfile /etc/passwd");
        assert_eq!(script.unwrap().lines().filter(|line| line.starts_with("file")).count(), 1);
        assert_eq!(input("a:b.mp4"), (vec!["-i".to_owned(), "file:a:b.mp4".into()], None));
        assert_eq!(input("file:///a.mp4").1, None);
    }
}
