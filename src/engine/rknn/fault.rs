//! What the runtime's codes mean, and what to do about them.

use super::sys::Failed;

/// Versions that the runtime tells of itself, for messages.
pub fn explained(failed: Failed, versions: &str) -> String {
    let (meaning, remedy) = match failed.code {
        -2 => {
            ("it took too long", "see `dmesg | grep -i rknpu`: the NPU may hang; a restart of the box helps")
        }
        -3 => (
            "the NPU cannot be used",
            "check that the driver is there (`watchword doctor`) and that the user may open /dev/dri/renderD* (group render)",
        ),
        -4 => {
            ("no memory", "end other programs, take a smaller model, or give the kernel more CMA (cma=256M)")
        }
        -6 => (
            "this model is none that it can run",
            "it was damaged, or converted by a newer toolkit than this runtime: update librknnrt.so to the toolkit's \
             version or later",
        ),
        -10 => {
            ("runtime and driver do not fit together", "update the kernel's RKNPU driver, or librknnrt.so")
        }
        -11 | -12 => ("the model was prepared for another driver", "convert it again, or update the driver"),
        -13 => (
            "the model was converted for another chip",
            "convert it for this one: board/rockchip/convert.py --target",
        ),
        _ => ("it failed", "set RKNN_LOG_LEVEL=4 to have the runtime say more"),
    };
    format!("{} gave {}: {meaning}; {remedy} ({versions})", failed.call, failed.code)
}
