//! Which disk a folder is on, and how worn that is.
//!
//! Sources: proc(5) for mountinfo; JESD84-B51 (eMMC), 7.4.37 to 7.4.40, for life time and PRE_EOL_INFO, as
//! drivers/mmc/core/mmc.c shows them.

use std::path::{Path, PathBuf};

use super::Tree;
use super::tree::number;

/// Where a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// `mmcblk0`; none for what is on no disk (a network's, memory's, an overlay's).
    pub name: Option<String>,
    pub kind: &'static str,
    pub file_system: String,
    pub read_only: bool,
    /// What it says of its own wear, if it says anything.
    pub wear: Option<Wear>,
}

/// How worn an eMMC is, in its own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wear {
    /// Per cent of its life that are gone at most, in steps of 10; above 100: more than it was made for.
    pub used: u32,
    /// Of its spare blocks: 1 normal, 2 most are gone (80 %), 3 nearly all (90 %); 0 unknown.
    pub spare: u32,
}

/// The disk that holds `path` (absolute).
pub fn disk_of(tree: &Tree, path: &Path) -> Option<Disk> {
    let mounts = tree.text("proc/self/mountinfo")?;
    // The deepest that holds it; of two in one place the later is on top.
    let mount =
        mounts.lines().filter_map(Mount::parse).filter(|mount| path.starts_with(&mount.place)).reduce(
            |best, mount| {
                if mount.place.as_os_str().len() >= best.place.as_os_str().len() { mount } else { best }
            },
        )?;
    let block = whole_disk(tree, &mount.device);
    let name = block.as_ref().and_then(|block| Some(block.file_name()?.to_str()?.to_owned()));
    let wear = block.as_ref().and_then(|block| wear(block));
    let kind = kind(name.as_deref(), block.as_deref());
    Some(Disk { name, kind, file_system: mount.file_system, read_only: mount.read_only, wear })
}

/// A line of mountinfo.
struct Mount {
    /// Numbers of the device, `179:2`.
    device: String,
    place: PathBuf,
    read_only: bool,
    file_system: String,
}

impl Mount {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    fn parse(line: &str) -> Option<Self> {
        let (mount, rest) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(2);
        let (device, _, place, options) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let mut of_file_system = rest.split(' ');
        let file_system = of_file_system.next()?.to_owned();
        let has_ro = |options: &str| options.split(',').any(|option| option == "ro");
        let read_only = has_ro(options) || of_file_system.nth(1).is_some_and(has_ro);
        Some(Self {
            device: device.to_owned(),
            place: place.replace("\\040", " ").into(),
            read_only,
            file_system,
        })
    }
}

/// The folder in /sys of the disk that the device (a partition, mostly) is on.
fn whole_disk(tree: &Tree, device: &str) -> Option<PathBuf> {
    let block = tree.path(format!("sys/dev/block/{device}")).canonicalize().ok()?;
    if block.join("partition").exists() { block.parent().map(Path::to_owned) } else { Some(block) }
}

fn kind(name: Option<&str>, block: Option<&Path>) -> &'static str {
    let card = |block: &Path| std::fs::read_to_string(block.join("device/type")).ok();
    match name {
        Some(name) if name.starts_with("mmcblk") => match block.and_then(card).as_deref().map(str::trim) {
            Some("SD") => "SD card",
            _ => "eMMC",
        },
        Some(name) if name.starts_with("nvme") => "NVMe disk",
        Some(_) => "disk",
        None => "no disk of its own",
    }
}

fn wear(block: &Path) -> Option<Wear> {
    let read = |file: &str| std::fs::read_to_string(block.join("device").join(file)).ok();
    // Two estimates, for the two kinds of cells that it may have: `0x01 0x02`.
    let life = read("life_time")?;
    let steps = life.split_whitespace().filter_map(|text| u32::try_from(number(text)?).ok()).max()?;
    let spare = read("pre_eol_info").and_then(|text| u32::try_from(number(text.trim())?).ok()).unwrap_or(0);
    // 0: it does not say.
    (steps > 0).then_some(Wear { used: steps * 10, spare })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::tree::tests::plant;
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 179:2 / / rw,noatime - ext4 /dev/root rw
28 27 259:1 / /var/lib/watch\\040word rw,noatime - ext4 /dev/nvme0n1p1 ro
29 27 0:30 / /tmp rw - tmpfs tmpfs rw
30 27 179:34 / /mnt rw - vfat /dev/mmcblk1p2 rw
";

    #[test]
    fn a_folder_leads_to_its_disk_and_that_to_its_wear() {
        let emmc = "sys/devices/platform/fe2e0000.mmc/mmc_host/mmc0/mmc0:0001/block/mmcblk0";
        let sd = "sys/devices/platform/fe2c0000.mmc/mmc_host/mmc1/mmc1:aaaa/block/mmcblk1";
        let nvme = "sys/devices/pci0/nvme/nvme0/nvme0n1";
        let (_root, tree) = plant(&[
            ("proc/self/mountinfo", MOUNTS),
            (&format!("{emmc}/mmcblk0p2/partition"), "2"),
            (&format!("{emmc}/device/life_time"), "0x03 0x0b\n"),
            (&format!("{emmc}/device/pre_eol_info"), "0x02\n"),
            (&format!("{emmc}/device/type"), "MMC\n"),
            (&format!("{sd}/mmcblk1p2/partition"), "2"),
            (&format!("{sd}/device/type"), "SD\n"),
            (&format!("{nvme}/nvme0n1p1/partition"), "1"),
        ]);
        fs::create_dir_all(tree.path("sys/dev/block")).unwrap();
        for (number, path) in [
            ("179:2", format!("{emmc}/mmcblk0p2")),
            ("179:34", format!("{sd}/mmcblk1p2")),
            ("259:1", format!("{nvme}/nvme0n1p1")),
        ] {
            symlink(Path::new("../../..").join(path), tree.path(format!("sys/dev/block/{number}"))).unwrap();
        }
        let disk = |path: &str| disk_of(&tree, Path::new(path)).unwrap();
        assert_eq!(
            disk("/var/lib/watchword"),
            Disk {
                name: Some("mmcblk0".into()),
                kind: "eMMC",
                file_system: "ext4".into(),
                read_only: false,
                wear: Some(Wear { used: 110, spare: 2 }),
            }
        );
        let fast = disk("/var/lib/watch word/spool.db");
        assert_eq!((fast.name.as_deref(), fast.kind, fast.read_only), (Some("nvme0n1"), "NVMe disk", true));
        let memory = disk("/tmp/x");
        assert_eq!(
            (memory.name, memory.kind, memory.file_system.as_str()),
            (None, "no disk of its own", "tmpfs")
        );
        let card = disk("/mnt/x");
        assert_eq!((card.kind, card.wear), ("SD card", None));
        assert_eq!(disk_of(&Tree::at("/nowhere"), Path::new("/")), None);
    }
}
