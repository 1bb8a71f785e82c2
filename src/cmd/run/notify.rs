//! What a service tells its manager, as sd_notify(3) lays down: datagrams of `KEY=value` lines.
//!
//! The analysis thread speaks, and must never wait: a message that the manager's queue has no room for is dropped. (The
//! crates for this block, or know no abstract sockets.)

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use std::{env, process};

use tracing::warn;

/// The way to the service manager, or to nobody.
#[derive(Debug, Default)]
pub(super) struct Notify {
    socket: Option<UnixDatagram>,
    /// How long the manager waits for a sign of life before it ends us.
    pub watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says; started from a shell, there is nobody to tell.
    pub fn from_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Self::default() };
        let mine = env::var("WATCHDOG_PID").map_or(true, |pid| pid == process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC").ok().filter(|_| mine);
        Self::new(&name, watchdog.as_deref()).unwrap_or_else(|error| {
            warn!(?name, %error, "NOTIFY_SOCKET leads nowhere: the service manager will not hear that we are ready");
            Self::default()
        })
    }

    pub fn new(name: &OsStr, watchdog: Option<&str>) -> io::Result<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        let microseconds = watchdog.and_then(|number| number.parse().ok()).filter(|number| *number > 0);
        Ok(Self { socket: Some(socket), watchdog: microseconds.map(Duration::from_micros) })
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.socket.is_some()
    }

    /// What is there to be watched is; it is what `systemctl start` waits for. Whether there was room for the message:
    /// this one is to be said again until it is heard.
    pub fn ready(&self) -> bool {
        self.send("READY=1")
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// The end has begun.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// A line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace('\n', " ")));
    }

    fn send(&self, message: &str) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.send(message.as_bytes()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_manager_hears_what_it_is_told_wherever_it_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("watchword-test-{}", process::id());
        let hidden = SocketAddr::from_abstract_name(&name).unwrap();
        let listeners = [
            (UnixDatagram::bind(&path).unwrap(), path.into_os_string()),
            (UnixDatagram::bind_addr(&hidden).unwrap(), format!("@{name}").into()),
        ];
        for (listener, name) in listeners {
            let notify = Notify::new(&name, Some("30000000")).unwrap();
            assert_eq!(notify.watchdog, Some(Duration::from_secs(30)));
            notify.ready();
            notify.status("two\nlines");
            assert_eq!([heard(&listener), heard(&listener)], ["READY=1", "STATUS=two lines"]);
        }
        assert!(Notify::new(OsStr::new("/nobody/listens"), None).is_err());
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _deaf = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::new(path.as_os_str(), Some("0")).unwrap();
        assert_eq!(notify.watchdog, None, "off");
        assert!(notify.ready());
        (0..100_000).for_each(|_| notify.alive());
        assert!(!notify.ready(), "there is no room");
    }
}
