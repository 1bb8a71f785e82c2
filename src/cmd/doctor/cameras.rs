//! Cameras: those that are plugged in, and those that the configuration names.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use super::finding::Finding;
use crate::camera::v4l2::Found;
use crate::camera::{self, Stop};
use crate::clock::SystemClock;
use crate::config::{self, Config};

const CAMERA: &str = "camera";

/// A device is asked what it is, which disturbs nobody; a stream is opened, and closed again.
pub fn findings(config: Option<&Config>, found: &[Found]) -> Vec<Finding> {
    let Some(config) = config else {
        if found.is_empty() {
            let remedy =
                "plug one in, or use one of the network; `dmesg` tells what became of one that is plugged in";
            return vec![Finding::warn(CAMERA, "none is plugged in", remedy)];
        }
        return found.iter().map(plugged).collect();
    };
    thread::scope(|scope| {
        let threads: Vec<_> =
            config.cameras.iter().map(|camera| (camera, scope.spawn(|| configured(camera, found)))).collect();
        let finding = |(camera, thread): (&config::Camera, thread::ScopedJoinHandle<'_, Finding>)| {
            thread.join().unwrap_or_else(|_| failed(camera, "the check broke off", "look into its log"))
        };
        threads.into_iter().map(finding).collect()
    })
}

fn plugged(found: &Found) -> Finding {
    let device = found.path.display();
    match &found.identity {
        Ok(identity) => Finding::ok(CAMERA, format!("{device}: {}", identity.card)),
        // It says what to do itself.
        Err(error) => Finding::warn(CAMERA, error, format!("then `watchword doctor camera {device}`")),
    }
}

fn configured(camera: &config::Camera, found: &[Found]) -> Finding {
    let source = camera.source.as_str();
    let is_device = source.starts_with("/dev/");
    if !is_device {
        return match camera::open(camera, Arc::new(SystemClock), Stop::new()) {
            Ok(source) => Finding::ok(CAMERA, format!("{}: {}", camera.name, source.info().description)),
            Err(error) => {
                failed(camera, &error.to_string(), "correct `source`, or see to the camera and the network")
            }
        };
    }
    let real = Path::new(source).canonicalize();
    let device = found.iter().find(|found| real.as_ref().is_ok_and(|real| *real == found.path));
    match device.map(|device| &device.identity) {
        Some(Ok(identity)) => Finding::ok(CAMERA, format!("{}: {source}: {}", camera.name, identity.card)),
        Some(Err(error)) => failed(camera, &error.to_string(), "see what it says"),
        None => {
            let remedy = "plug it in (`dmesg` tells what became of it), or correct `source`: `watchword doctor camera` \
                          lists the cameras that are there";
            failed(camera, &format!("{source} is no camera, or not there"), remedy)
        }
    }
}

fn failed(camera: &config::Camera, what: &str, remedy: &str) -> Finding {
    Finding::fail(CAMERA, format!("{}: {what}", camera.name), remedy)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn what_is_configured_must_be_there() {
        let dev = tempfile::tempdir().unwrap();
        let missing = dev.path().join("missing.mp4");
        let mut config = Config::default();
        for (name, source) in [("gate", "/dev/video77"), ("file", missing.to_str().unwrap())] {
            config.cameras.push(config::Camera {
                name: name.into(),
                source: source.into(),
                ..config::Camera::default()
            });
        }
        let findings = findings(Some(&config), &[]);
        assert!(findings.iter().all(|finding| finding.status == Status::Fail), "{findings:?}");
        assert!(findings[0].found.starts_with("gate: /dev/video77"), "{findings:?}");
        assert!(findings[1].found.contains("no such file"), "{findings:?}");
    }

    #[test]
    fn without_a_configuration_the_plugged_ones_are_listed() {
        let denied = camera::CameraError::Device { name: "/dev/video1".into(), reason: "denied".into() };
        let found = [
            Found { path: "/dev/video0".into(), stable: Vec::new(), identity: Ok(Default::default()) },
            Found { path: "/dev/video1".into(), stable: Vec::new(), identity: Err(denied) },
        ];
        let statuses: Vec<_> = findings(None, &found).iter().map(|finding| finding.status).collect();
        assert_eq!(statuses, [Status::Ok, Status::Warn]);
        assert_eq!(findings(None, &[])[0].status, Status::Warn);
    }
}
