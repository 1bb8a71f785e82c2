//! The examination of boards that are folders.

use std::fs;
use std::os::unix::fs::symlink;

use super::finding::{Finding, Status};
use super::*;

struct Board {
    _root: tempfile::TempDir,
    tree: Tree,
}

impl Board {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::at(root.path());
        let board = Self { _root: root, tree };
        files.iter().for_each(|(path, text)| board.set(path, text));
        board
    }

    fn set(&self, path: &str, text: &str) {
        let path = self.tree.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// All that is read from the tree.
    fn findings(&self) -> Vec<Finding> {
        let identity = Identity::read(&self.tree);
        let mut findings = machine::findings(&self.tree, &identity);
        findings.extend(accelerator::findings(&self.tree, &identity, None));
        findings.extend(storage::findings(&self.tree, None));
        findings
    }

    /// What stands behind `check`, each with its status's first letter.
    fn said(&self, check: &str) -> Vec<String> {
        let findings = self.findings();
        let of_check = findings.iter().filter(|finding| finding.check == check);
        of_check
            .map(|finding| {
                assert_eq!(finding.remedy.is_some(), finding.status != Status::Ok, "{finding:?}");
                format!("{:?}: {}", finding.status, finding.found)
            })
            .collect()
    }
}

const RK3588: &[(&str, &str)] = &[
    ("proc/device-tree/model", "Radxa ROCK 5B\0"),
    ("proc/device-tree/compatible", "radxa,rock-5b\0rockchip,rk3588\0"),
    ("proc/sys/kernel/osrelease", "6.1.84-8-rk2410\n"),
    (
        "proc/cpuinfo",
        "processor\t: 0\nFeatures\t: fp asimd aes asimdhp asimddp\nCPU part\t: 0xd05\n\nprocessor\t: 4\nFeatures\t: fp asimd \
         asimddp\nCPU part\t: 0xd0b\n\n",
    ),
    ("proc/meminfo", "MemTotal:       16200000 kB\nMemFree: 10 kB\nMemAvailable:   14800000 kB\n"),
    ("sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1800000"),
    ("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "1800000"),
    ("sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "ondemand"),
    ("sys/class/thermal/thermal_zone0/type", "soc-thermal"),
    ("sys/class/thermal/thermal_zone0/temp", "48000"),
    ("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive"),
    ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "85000"),
    ("sys/class/thermal/thermal_zone0/trip_point_1_type", "critical"),
    ("sys/class/thermal/thermal_zone0/trip_point_1_temp", "115000"),
    ("sys/kernel/debug/rknpu/version", "RKNPU driver: v0.9.8\n"),
    ("usr/lib/librknnrt.so", "\0ELF\0\0librknnrt version: 2.3.2 (429f97ae6b@2025-04-09T09:09:27)\0"),
    ("proc/self/mountinfo", "27 1 179:2 / / rw,noatime - ext4 /dev/root rw\n"),
    ("sys/devices/mmc0/block/mmcblk0/mmcblk0p2/partition", "2"),
    ("sys/devices/mmc0/block/mmcblk0/device/life_time", "0x02 0x01"),
    ("sys/devices/mmc0/block/mmcblk0/device/pre_eol_info", "0x01"),
];

#[test]
fn a_rockchip_board_in_order() {
    let board = Board::new(RK3588);
    fs::create_dir_all(board.tree.path("sys/dev/block")).unwrap();
    symlink("../../devices/mmc0/block/mmcblk0/mmcblk0p2", board.tree.path("sys/dev/block/179:2")).unwrap();
    assert_eq!(board.said("board"), ["Ok: Radxa ROCK 5B (rockchip,rk3588)"]);
    assert_eq!(
        board.said("kernel"),
        [format!("Ok: Linux 6.1.84-8-rk2410, program for {}", std::env::consts::ARCH)]
    );
    assert_eq!(board.said("processor"), ["Ok: 2 × Cortex-A55 and Cortex-A76; int8 dot products"]);
    assert_eq!(board.said("clocks"), ["Ok: governor ondemand, not held back"]);
    assert_eq!(board.said("memory"), ["Ok: 15155 of 16588 MB available"]);
    assert_eq!(board.said("heat"), ["Ok: soc-thermal 48 °C; it is slowed down from 85 on"]);
    assert_eq!(board.said("slowed by"), ["Ok: nothing, as far as this board tells"]);
    assert_eq!(board.said("NPU"), ["Ok: driver RKNPU v0.9.8", "Ok: runtime librknnrt 2.3.2"]);
    assert_eq!(board.said("disk")[1], "Ok: eMMC mmcblk0: up to 20 % of its life is used");
}

#[test]
fn a_rockchip_board_in_trouble() {
    let board = Board::new(RK3588);
    board.set("sys/class/thermal/thermal_zone0/temp", "91000");
    assert_eq!(board.said("heat"), ["Warn: soc-thermal 91 °C; it is slowed down from 85 on"]);
    assert_eq!(board.said("slowed by"), ["Warn: heat, now"]);
    board.set("sys/class/thermal/thermal_zone0/temp", "111000");
    assert_eq!(board.said("heat"), ["Fail: soc-thermal 111 °C; it switches itself off at 115"]);
    board.set("proc/meminfo", "MemTotal: 1000000 kB\nMemAvailable: 90000 kB\n");
    assert_eq!(board.said("memory"), ["Fail: 92 of 1024 MB available"]);
    board.set("sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1008000");
    assert_eq!(board.said("clocks"), ["Warn: held back: policy0 at 1008 of 1800 MHz"]);
    board.set("proc/self/mountinfo", "27 1 179:2 / / ro - ext4 /dev/root rw\n");
    assert!(board.said("disk")[0].starts_with("Fail: / cannot be written to"), "{:?}", board.said("disk"));
    // A kernel of the distribution's instead of Rockchip's.
    fs::remove_file(board.tree.path("sys/kernel/debug/rknpu/version")).unwrap();
    fs::remove_file(board.tree.path("usr/lib/librknnrt.so")).unwrap();
    assert_eq!(board.said("NPU").len(), 2);
    assert!(board.said("NPU").iter().all(|line| line.starts_with("Warn: no ")), "{:?}", board.said("NPU"));
    let mut config = Config::default();
    config.pack.engine = crate::config::EngineKind::Rknn;
    let wanted = accelerator::findings(&board.tree, &Identity::read(&board.tree), Some(&config));
    assert!(wanted.iter().all(|finding| finding.status == Status::Fail), "{wanted:?}");
    board.set("sys/bus/platform/drivers/rocket/fdab0000.npu/x", "");
    assert!(board.said("NPU")[0].contains("rocket"));
}

#[test]
fn a_jetson() {
    let board = Board::new(&[
        ("proc/device-tree/model", "NVIDIA Jetson Orin Nano Developer Kit\0"),
        ("proc/device-tree/compatible", "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0"),
        ("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd42\n"),
        ("sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq", "1190400"),
        ("sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq", "1510400"),
        ("sys/class/hwmon/hwmon3/name", "soctherm_oc"),
        ("sys/class/hwmon/hwmon3/oc3_event_cnt", "37"),
        (
            "etc/nv_tegra_release",
            "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
        ),
        ("usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1.1", ""),
        ("usr/lib/aarch64-linux-gnu/libnvinfer.so.10", ""),
        ("dev/nvhost-gpu", ""),
    ]);
    assert_eq!(board.said("processor"), ["Ok: 1 × Cortex-A78AE; int8 dot products"]);
    assert!(board.said("clocks")[0].contains("policy0 at 1190 of 1510 MHz"));
    assert_eq!(board.said("slowed by"), ["Warn: over_current, since it was started"]);
    assert_eq!(
        board.said("GPU"),
        [
            "Ok: Jetson Linux R36.4.3",
            "Ok: CUDA driver libcuda.so.1.1",
            "Ok: TensorRT: libnvinfer.so.10",
            "Warn: no cuDNN (libcudnn.so.*)",
            "Warn: no ONNX Runtime (libonnxruntime.so*)",
        ]
    );
    fs::remove_file(board.tree.path("dev/nvhost-gpu")).unwrap();
    assert!(board.said("GPU")[1].contains("no device of the GPU"));
}

#[test]
fn a_raspberry_pi_on_a_weak_supply() {
    let board = Board::new(&[
        ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.5\0"),
        ("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0"),
        ("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n"),
        ("sys/devices/platform/soc/soc:firmware/get_throttled", "50001\n"),
    ]);
    assert_eq!(board.said("processor"), ["Warn: 1 × Cortex-A72; no instructions for int8 products"]);
    assert_eq!(board.said("slowed by"), ["Warn: under_voltage, now", "Warn: heat, since it was started"]);
    assert_eq!(board.said("GPU").len() + board.said("NPU").len(), 0);
    assert_eq!(board.said("heat"), ["Ok: no thermal zones: this machine does not say how warm it is"]);
}

#[test]
fn a_plain_pc() {
    let flags = "processor\t: 0\nmodel name\t: Intel(R) N100\nflags\t\t: fpu avx2 avx_vnni\n";
    let board = Board::new(&[
        ("sys/class/dmi/id/sys_vendor", "Beelink"),
        ("sys/class/dmi/id/product_name", "EQ12"),
        ("proc/cpuinfo", flags),
        (
            "proc/driver/nvidia/version",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5\n",
        ),
    ]);
    assert_eq!(board.said("board"), ["Ok: Beelink EQ12"]);
    assert_eq!(board.said("processor"), ["Ok: 1 × Intel(R) N100; VNNI (AVX2)"]);
    assert_eq!(board.said("GPU"), ["Ok: NVIDIA driver 550.54.15"]);
    assert!(board.said("slowed by").is_empty());
}

#[test]
fn a_machine_that_tells_nothing_breaks_nothing() {
    let board = Board::new(&[]);
    assert!(board.findings().iter().all(|finding| finding.status != Status::Fail), "{:?}", board.findings());
}
