//! Where events are kept: is there room, can it be written to, and how worn is it?

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfsMountFlags, statvfs};

use super::finding::Finding;
use crate::board::{Disk, Tree, Wear, disk_of};
use crate::config::Config;

const DISK: &str = "disk";

pub fn findings(tree: &Tree, config: Option<&Config>) -> Vec<Finding> {
    let Some(folder) = folder(tree, config) else {
        let remedy = "set mqtt.spool.path, or start the daemon by systemd with StateDirectory=watchword; without, events \
                      that wait are lost with a power cut";
        return vec![Finding::warn(DISK, "no folder to keep events in", remedy)];
    };
    let disk = disk_of(tree, &folder);
    let mut findings = vec![space(tree, &folder, disk.as_ref())];
    findings.extend(disk.as_ref().map(worn));
    findings
}

/// The spool's folder, or the nearest above it that is there.
fn folder(tree: &Tree, config: Option<&Config>) -> Option<PathBuf> {
    let configured = config.and_then(|config| config.mqtt.spool.path.clone());
    let spool = match configured {
        Some(path) => Some(std::path::absolute(path).ok()?),
        None if tree.is_machine() => crate::cmd::state::folder().map(|folder| folder.join("spool.db")),
        None => Some("/var/lib/watchword/spool.db".into()),
    };
    let spool = spool?;
    spool.ancestors().skip(1).find(|folder| tree.exists(folder)).map(Path::to_owned)
}

fn space(tree: &Tree, folder: &Path, disk: Option<&Disk>) -> Finding {
    let at = folder.display();
    match statvfs(tree.path(folder)) {
        Err(error) => Finding::warn(DISK, format!("{at}: {error}"), "see `df` and `dmesg`"),
        Ok(_) if disk.is_some_and(|disk| disk.read_only) => read_only(folder),
        Ok(stat) if stat.f_flag.contains(StatVfsMountFlags::RDONLY) => read_only(folder),
        Ok(stat) => judge(
            folder,
            stat.f_bavail.saturating_mul(stat.f_frsize),
            (stat.f_files > 0).then_some(stat.f_favail),
        ),
    }
}

fn read_only(folder: &Path) -> Finding {
    let remedy = "see `dmesg` for why (a disk with faults is mounted so), or set mqtt.spool.path to where it can write";
    Finding::fail(DISK, format!("{} cannot be written to: it is mounted read-only", folder.display()), remedy)
}

/// The spool's own limit is 64 MB; a database needs as much again while it is tidied.
fn judge(folder: &Path, free: u64, free_files: Option<u64>) -> Finding {
    let found = format!("{}: {} MB free", folder.display(), free / 1_000_000);
    let remedy = "make room: journalctl --vacuum-size=50M, apt clean";
    if free < 20_000_000 || free_files.is_some_and(|files| files < 16) {
        Finding::fail(DISK, found, remedy)
    } else if free < 200_000_000 || free_files.is_some_and(|files| files < 1000) {
        Finding::warn(DISK, found, remedy)
    } else {
        Finding::ok(DISK, found)
    }
}

fn worn(disk: &Disk) -> Finding {
    let name = disk.name.as_deref().unwrap_or(&disk.file_system);
    let what = format!("{} {name}", disk.kind);
    let replace = "replace it before it fails, and keep logs in memory (journald: Storage=volatile)";
    match disk.wear {
        Some(Wear { used, spare }) if used > 100 || spare == 3 => {
            Finding::fail(DISK, format!("{what}: its life is used up"), replace)
        }
        Some(Wear { used, spare }) if used > 80 || spare == 2 => {
            Finding::warn(DISK, format!("{what}: up to {used} % of its life is used"), replace)
        }
        Some(Wear { used, .. }) => Finding::ok(DISK, format!("{what}: up to {used} % of its life is used")),
        None if disk.kind == "NVMe disk" => {
            Finding::ok(DISK, format!("{what}: `nvme smart-log` tells how worn it is"))
        }
        None => Finding::ok(DISK, format!("{what}: does not tell how worn it is")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn little_room_is_a_warning_and_none_a_failure() {
        let status = |free, files| judge(Path::new("/x"), free, files).status;
        assert_eq!(status(1_000_000_000, Some(100_000)), Status::Ok);
        assert_eq!(status(1_000_000_000, None), Status::Ok, "btrfs does not count files");
        assert_eq!(status(100_000_000, Some(100_000)), Status::Warn);
        assert_eq!(status(1_000_000_000, Some(500)), Status::Warn);
        assert_eq!(status(10_000_000, Some(100_000)), Status::Fail);
        assert_eq!(status(1_000_000_000, Some(0)), Status::Fail);
    }

    #[test]
    fn wear_is_judged_by_what_is_left() {
        let status = |used, spare| {
            let disk = Disk {
                name: Some("mmcblk0".into()),
                kind: "eMMC",
                file_system: "ext4".into(),
                read_only: false,
                wear: Some(Wear { used, spare }),
            };
            worn(&disk).status
        };
        assert_eq!([status(10, 1), status(80, 0)], [Status::Ok; 2]);
        assert_eq!([status(90, 1), status(10, 2)], [Status::Warn; 2]);
        assert_eq!([status(110, 1), status(10, 3)], [Status::Fail; 2]);
    }
}
