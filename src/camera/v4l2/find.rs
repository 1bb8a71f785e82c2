//! Which cameras there are, by names that stay theirs, and all that each of them offers.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::controls::{normalised, range};
use super::driver::{Control, ControlKind, Driver, Identity};
use super::node::Node;
use super::offer::{FormatOffer, everything};
use super::{CameraError, refused};

/// A device node that captures, or one that could not be asked.
#[derive(Debug)]
pub struct Found {
    /// `/dev/video0`
    pub path: PathBuf,
    /// Links to it that do not change with the order in which devices appear: by serial number, then by socket.
    pub stable: Vec<PathBuf>,
    pub identity: Result<Identity, CameraError>,
}

/// Everything about a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    pub identity: Identity,
    /// Links to it that stay its own.
    pub stable: Vec<PathBuf>,
    pub formats: Vec<FormatOffer>,
    pub controls: Vec<ControlReport>,
}

/// A control, by the name that the configuration knows it by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ControlReport {
    pub name: String,
    /// In the driver's words.
    pub title: String,
    pub kind: ControlKind,
    pub minimum: i64,
    pub maximum: i64,
    pub step: u64,
    pub default: i64,
    /// What it is set to; none of a button.
    pub value: Option<i64>,
    pub read_only: bool,
    /// Something automatic is in charge of it.
    pub inactive: bool,
    /// The menu, by value.
    pub items: BTreeMap<i64, String>,
    /// What it can be set to, in words.
    pub range: String,
}

impl ControlReport {
    fn of(driver: &dyn Driver, control: Control) -> Self {
        let value = match control.kind {
            ControlKind::Button => None,
            _ => driver.control(&control).ok(),
        };
        let range = range(&control);
        let Control { name, kind, minimum, maximum, step, default, read_only, inactive, items, .. } = control;
        let items = items.into_iter().collect();
        let name_in_configuration = normalised(&name);
        Self {
            name: name_in_configuration,
            title: name,
            kind,
            minimum,
            maximum,
            step,
            default,
            value,
            read_only,
            inactive,
            items,
            range,
        }
    }
}

/// All device nodes that capture or cannot be asked, in the order of their numbers.
pub fn devices() -> Vec<Found> {
    devices_in(Path::new("/dev"), &|path| Node::open(path).map(|node| node.identity().clone()))
}

fn devices_in(dev: &Path, identify: &dyn Fn(&Path) -> io::Result<Identity>) -> Vec<Found> {
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix("video")?.parse::<u32>().ok();
    let mut nodes: Vec<(u32, PathBuf)> =
        listed(dev).into_iter().filter_map(|path| Some((number(&path)?, path))).collect();
    nodes.sort();
    nodes
        .into_iter()
        .filter_map(|(_, path)| {
            let identity = match identify(&path) {
                Ok(identity) => Ok(identity),
                // A codec, an output, a stream of metadata.
                Err(error) if matches!(error.raw_os_error(), Some(19 | 25)) => return None, // ENODEV, ENOTTY
                Err(error) => Err(refused(&path.to_string_lossy(), "open", &error)),
            };
            Some(Found { stable: stable_names(dev, &path), path, identity })
        })
        .collect()
}

/// The links in `v4l/by-id` and `v4l/by-path` that lead to the device at `path`.
fn stable_names(dev: &Path, path: &Path) -> Vec<PathBuf> {
    let Ok(target) = path.canonicalize() else { return Vec::new() };
    let links = ["v4l/by-id", "v4l/by-path"].into_iter().flat_map(|folder| listed(&dev.join(folder)));
    links.filter(|link| link.canonicalize().is_ok_and(|leads_to| leads_to == target)).collect()
}

/// A folder's entries by name; none of a folder that is not there.
fn listed(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Asks a device for everything. Does not disturb whoever is capturing from it.
///
/// # Errors
/// As when it is opened for capturing.
pub fn inspect(path: &Path) -> Result<Inspection, CameraError> {
    let name = path.to_string_lossy();
    let node = Node::open(path).map_err(|error| refused(&name, "open", &error))?;
    Ok(Inspection {
        identity: node.identity().clone(),
        stable: stable_names(Path::new("/dev"), path),
        formats: everything(&node).map_err(|error| refused(&name, "formats", &error))?,
        controls: node.controls().into_iter().map(|control| ControlReport::of(&node, control)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_listed_by_number_with_the_links_that_stay_theirs() {
        let dev = tempfile::tempdir().unwrap();
        for name in ["video10", "video2", "video3", "video4", "video", "videodev", "null"] {
            std::fs::write(dev.path().join(name), "").unwrap();
        }
        for (folder, link, target) in [
            ("v4l/by-id", "usb-Maker_Camera_123-video-index0", "../../video10"),
            ("v4l/by-path", "platform-usb-1.2-video-index0", "../../video10"),
            ("v4l/by-path", "platform-isp-video-index0", "../../video2"),
            ("v4l/by-path", "platform-gone-video-index0", "../../video7"),
        ] {
            std::fs::create_dir_all(dev.path().join(folder)).unwrap();
            std::os::unix::fs::symlink(target, dev.path().join(folder).join(link)).unwrap();
        }
        let identify = |path: &Path| match path.file_name().unwrap().to_str().unwrap() {
            "video3" => Err(io::Error::from_raw_os_error(19)),
            "video4" => Err(io::Error::from_raw_os_error(13)),
            _ => Ok(Identity::default()),
        };
        let found = devices_in(dev.path(), &identify);
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.strip_prefix(dev.path()).unwrap().display().to_string()).collect()
        };
        let paths: Vec<PathBuf> = found.iter().map(|found| found.path.clone()).collect();
        assert_eq!(names(&paths), ["video2", "video4", "video10"]);
        assert_eq!(names(&found[0].stable), ["v4l/by-path/platform-isp-video-index0"]);
        assert_eq!(
            names(&found[2].stable),
            ["v4l/by-id/usb-Maker_Camera_123-video-index0", "v4l/by-path/platform-usb-1.2-video-index0"]
        );
        let denied = found[1].identity.as_ref().unwrap_err().to_string();
        assert!(denied.contains("video4") && denied.contains("group `video`"), "{denied}");
        assert!(devices_in(Path::new("/nowhere"), &identify).is_empty());
    }
}
