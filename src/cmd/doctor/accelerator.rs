//! NPU and GPU: driver, runtime, and whether they fit together. Nothing is loaded for this, only looked at.

use std::path::{Path, PathBuf};

use super::finding::{Finding, Status};
use crate::board::{Identity, Soc, Tree};
use crate::config::{Config, EngineKind};

const NPU: &str = "NPU";
const GPU: &str = "GPU";

/// What is missing is a failure if the configuration wants it.
pub fn findings(tree: &Tree, identity: &Identity, config: Option<&Config>) -> Vec<Finding> {
    let mut findings = of_chip(tree, identity);
    if config.is_some_and(|config| config.pack.engine == EngineKind::Rknn) {
        let missing = |finding: &&mut Finding| finding.check == NPU && finding.status == Status::Warn;
        findings.iter_mut().filter(missing).for_each(|finding| finding.status = Status::Fail);
    }
    findings
}

fn of_chip(tree: &Tree, identity: &Identity) -> Vec<Finding> {
    match identity.soc {
        Soc::Tegra => jetson(tree),
        Soc::Other | Soc::Broadcom => desktop_gpu(tree).into_iter().collect(),
        _ => rockchip(tree),
    }
}

/// Where distributions and Rockchip's own images put the runtime.
const RKNN_RUNTIMES: [&str; 5] = [
    "usr/lib/librknnrt.so",
    "usr/lib/aarch64-linux-gnu/librknnrt.so",
    "usr/local/lib/librknnrt.so",
    "usr/lib64/librknnrt.so",
    "oem/usr/lib/librknnrt.so",
];

const RKNN_RUNTIME_REMEDY: &str = "copy librknnrt.so (rknpu2/runtime/Linux/librknn_api/aarch64 of Rockchip's \
                                   rknn-toolkit2) to /usr/lib; see board/rockchip.md";

fn rockchip(tree: &Tree) -> Vec<Finding> {
    let driver = ["proc/rknpu/version", "sys/kernel/debug/rknpu/version"]
        .iter()
        .find_map(|path| tree.text(path))
        .map(|text| text.trim_start_matches("RKNPU driver:").trim().to_owned());
    let bound = !tree.entries("sys/bus/platform/drivers/RKNPU", "").is_empty();
    let mainline = !tree.entries("sys/bus/platform/drivers/rocket", "").is_empty();
    let driver = match driver {
        Some(version) => Finding::ok(NPU, format!("driver RKNPU {version}")),
        None if bound => Finding::ok(NPU, "driver RKNPU (its version is shown to root only)"),
        None if mainline => Finding::warn(
            NPU,
            "driver rocket, of the mainline kernel, which Rockchip's runtime cannot use",
            "boot a kernel of Rockchip's (5.10 or 6.1) to use the NPU; engine = \"cpu\" works with any",
        ),
        None => Finding::warn(
            NPU,
            "no driver: the kernel has no RKNPU, or the device tree has it switched off",
            "boot an image with Rockchip's kernel (5.10 or 6.1); engine = \"cpu\" works with any",
        ),
    };
    let runtime = match RKNN_RUNTIMES.iter().map(|path| tree.path(path)).find(|path| path.exists()) {
        Some(path) => {
            let version =
                version_in(&path, b"librknnrt version: ").unwrap_or_else(|| "of unknown version".into());
            Finding::ok(NPU, format!("runtime librknnrt {version}"))
        }
        None => Finding::warn(NPU, "no runtime: librknnrt.so is in no library folder", RKNN_RUNTIME_REMEDY),
    };
    vec![driver, runtime]
}

/// The word behind `mark` in a library.
fn version_in(path: &Path, mark: &[u8]) -> Option<String> {
    /// Rockchip's is 8 MB.
    const MOST: u64 = 1 << 27;
    if path.metadata().ok()?.len() > MOST {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    let start = bytes.windows(mark.len()).position(|window| window == mark)? + mark.len();
    let word = bytes.get(start..)?.iter().take(32).take_while(|byte| byte.is_ascii_graphic());
    let word: String = word.map(|byte| char::from(*byte)).collect();
    (!word.is_empty()).then_some(word)
}

/// Folders of NVIDIA's libraries on a Jetson (JetPack 5 and 6) and of everybody's.
const NVIDIA_FOLDERS: [&str; 5] = [
    "usr/lib/aarch64-linux-gnu/tegra",
    "usr/lib/aarch64-linux-gnu/nvidia",
    "usr/lib/aarch64-linux-gnu",
    "usr/local/cuda/lib64",
    "usr/local/lib",
];

fn jetson(tree: &Tree) -> Vec<Finding> {
    let library = |name: &str| -> Option<PathBuf> {
        let found = NVIDIA_FOLDERS.iter().flat_map(|folder| tree.entries(folder, name));
        found.into_iter().next()
    };
    let install =
        "install NVIDIA's runtime libraries: apt install nvidia-jetpack-runtime; see board/jetson.md";
    let release = match tree.text("etc/nv_tegra_release") {
        // # R36 (release), REVISION: 4.3, GCID: ..
        Some(text) => {
            let mut parts = text.trim_start_matches("# ").split(", ");
            let major = parts.next().unwrap_or_default().trim_end_matches(" (release)").to_owned();
            let minor = parts.next().unwrap_or_default().trim_start_matches("REVISION: ").to_owned();
            Finding::ok(GPU, format!("Jetson Linux {major}.{minor}"))
        }
        None => {
            Finding::warn(GPU, "no /etc/nv_tegra_release: not NVIDIA's own system", "see board/jetson.md")
        }
    };
    let driver = match library("libcuda.so") {
        Some(_)
            if !tree.exists("dev/nvhost-gpu") && !tree.exists("dev/nvgpu") && !tree.exists("dev/nvidia0") =>
        {
            let remedy =
                "add the user to the groups video and render; in a container, start it with --runtime nvidia";
            Finding::warn(GPU, "CUDA's driver library is here, but no device of the GPU", remedy)
        }
        Some(path) => Finding::ok(GPU, format!("CUDA driver {}", name(&path))),
        None => Finding::warn(GPU, "no CUDA driver: libcuda.so is in none of NVIDIA's folders", install),
    };
    let mut findings = vec![release, driver];
    for (what, file) in
        [("TensorRT", "libnvinfer.so."), ("cuDNN", "libcudnn.so."), ("ONNX Runtime", "libonnxruntime.so")]
    {
        findings.push(match library(file) {
            Some(path) => Finding::ok(GPU, format!("{what}: {}", name(&path))),
            None => Finding::warn(GPU, format!("no {what} ({file}*)"), install),
        });
    }
    findings
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A PC's NVIDIA card; most have none, which is nothing to speak of.
fn desktop_gpu(tree: &Tree) -> Option<Finding> {
    // NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar ..
    let text = tree.text("proc/driver/nvidia/version")?;
    let version = text.lines().next()?.split("  ").nth(1)?.trim();
    Some(Finding::ok(GPU, format!("NVIDIA driver {version}")))
}
