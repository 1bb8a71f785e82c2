//! Board, kernel, processor, memory, heat and power.

use std::env::consts::ARCH;

use super::finding::Finding;
use crate::board::{Identity, Pace, Soc, Tree, Zone, remedy, zones};

pub fn findings(tree: &Tree, identity: &Identity) -> Vec<Finding> {
    let mut findings = vec![board(identity), kernel(tree)];
    findings.extend([processor(tree), clocks(tree), memory(tree)].into_iter().flatten());
    findings.push(heat(&zones(tree)));
    findings.extend(slowed(tree, identity));
    findings
}

fn board(identity: &Identity) -> Finding {
    let model = identity.model.as_deref().unwrap_or("a machine that does not say what it is");
    match &identity.chip {
        Some(chip) => Finding::ok("board", format!("{model} ({chip})")),
        None => Finding::ok("board", model),
    }
}

fn kernel(tree: &Tree) -> Finding {
    let release = tree.text("proc/sys/kernel/osrelease").unwrap_or_else(|| "of unknown release".into());
    Finding::ok("kernel", format!("Linux {release}, program for {ARCH}"))
}

/// What the fast int8 kernels are made of, as /proc/cpuinfo calls it, best first.
const INT8: [(&str, &str); 4] = [
    ("avx512_vnni", "VNNI (AVX-512)"),
    ("avx_vnni", "VNNI (AVX2)"),
    ("i8mm", "int8 matrix products"),
    ("asimddp", "int8 dot products"),
];

/// Cores of Arm that small boards have, by their number in /proc/cpuinfo (as in arch/arm64/include/asm/cputype.h).
const ARM_PARTS: [(&str, &str); 8] = [
    ("0xd03", "Cortex-A53"),
    ("0xd05", "Cortex-A55"),
    ("0xd08", "Cortex-A72"),
    ("0xd0b", "Cortex-A76"),
    ("0xd0d", "Cortex-A77"),
    ("0xd41", "Cortex-A78"),
    ("0xd42", "Cortex-A78AE"),
    ("0xd40", "Neoverse-V1"),
];

fn processor(tree: &Tree) -> Option<Finding> {
    let info = tree.text("proc/cpuinfo")?;
    let values = |key: &str| {
        let key = key.to_owned();
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.filter(move |(name, _)| name.trim() == key).map(|(_, value)| value.trim())
    };
    let count = values("processor").count().max(1);
    let mut kinds: Vec<&str> = values("CPU part")
        .map(|part| ARM_PARTS.iter().find(|(number, _)| *number == part).map_or(part, |(_, name)| name))
        .chain(values("model name"))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let features = values("Features").chain(values("flags")).next().unwrap_or_default();
    let int8: Vec<&str> = INT8
        .iter()
        .filter(|(flag, _)| features.split_whitespace().any(|feature| feature == *flag))
        .map(|(_, name)| *name)
        .collect();
    let cores =
        format!("{count} × {}", if kinds.is_empty() { "unknown".into() } else { kinds.join(" and ") });
    Some(if int8.is_empty() {
        let remedy = "int8 models are slow here; take packs with f32 weights or few parameters, and a low `analysis_fps`";
        Finding::warn("processor", format!("{cores}; no instructions for int8 products"), remedy)
    } else {
        Finding::ok("processor", format!("{cores}; {}", int8.join(", ")))
    })
}

/// Whether the clocks are set lower than they could be.
fn clocks(tree: &Tree) -> Option<Finding> {
    let policies = tree.entries("sys/devices/system/cpu/cpufreq", "policy");
    let mut held = Vec::new();
    for policy in &policies {
        let mhz = |file: &str| Some(tree.number(policy.join(file))? / 1000);
        let (limit, most) = (mhz("scaling_max_freq")?, mhz("cpuinfo_max_freq")?);
        if limit < most {
            let name = policy.file_name().unwrap_or_default().to_string_lossy().into_owned();
            held.push(format!("{name} at {limit} of {most} MHz"));
        }
    }
    let governor = tree.text(policies.first()?.join("scaling_governor")).unwrap_or_default();
    Some(if !held.is_empty() {
        let remedy = "if that is not meant: choose another power mode (Jetson: nvpmodel -q, nvpmodel -m) or raise \
                      scaling_max_freq; after heat it goes away by itself";
        Finding::warn("clocks", format!("held back: {}", held.join(", ")), remedy)
    } else if governor == "powersave" && !tree.exists("sys/devices/system/cpu/intel_pstate") {
        let remedy = "set another governor: cpupower frequency-set -g schedutil";
        Finding::warn("clocks", "governor powersave: always the lowest frequency", remedy)
    } else {
        Finding::ok("clocks", format!("governor {governor}, not held back"))
    })
}

/// Megabytes that the smallest pack in use needs, with room for the pictures of a camera: `nano` takes 137 in the demo.
const NEEDED: i64 = 200;

fn memory(tree: &Tree) -> Option<Finding> {
    let info = tree.text("proc/meminfo")?;
    let megabytes = |key: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        Some(line.split_whitespace().next()?.parse::<i64>().ok()? * 1024 / 1_000_000)
    };
    let (total, available) = (megabytes("MemTotal")?, megabytes("MemAvailable")?);
    let found = format!("{available} of {total} MB available");
    Some(match available {
        ..NEEDED => Finding::fail("memory", found, "end other programs; the smallest pack needs 200 MB"),
        NEEDED..500 => {
            Finding::warn("memory", found, "enough for `nano`, not for larger packs; end other programs")
        }
        _ => Finding::ok("memory", found),
    })
}

fn heat(zones: &[Zone]) -> Finding {
    let Some(hottest) = zones.iter().max_by(|a, b| a.celsius.total_cmp(&b.celsius)) else {
        return Finding::ok("heat", "no thermal zones: this machine does not say how warm it is");
    };
    let at = |zone: &Zone| format!("{} {:.0} °C", zone.name, zone.celsius);
    let air = "give it air, a larger heat sink or shade, or lower `analysis_fps`";
    if let Some(zone) = zones.iter().find(|zone| zone.critical.is_some_and(|most| zone.celsius >= most - 5.0))
    {
        let most = zone.critical.unwrap_or_default();
        return Finding::fail("heat", format!("{}; it switches itself off at {most:.0}", at(zone)), air);
    }
    match zones.iter().find(|zone| zone.is_hot()) {
        Some(zone) => {
            let from = zone.passive.unwrap_or_default();
            Finding::warn("heat", format!("{}; it is slowed down from {from:.0} on", at(zone)), air)
        }
        None => {
            let from = hottest.passive.map(|from| format!("; it is slowed down from {from:.0} on"));
            Finding::ok("heat", at(hottest) + &from.unwrap_or_default())
        }
    }
}

/// What holds it back now, and what the counters say of the time before.
fn slowed(tree: &Tree, identity: &Identity) -> Vec<Finding> {
    let now = Pace::default().look(tree);
    let mut findings: Vec<Finding> = now
        .iter()
        .map(|cause| Finding::warn("slowed by", format!("{}, now", cause.name()), remedy(*cause)))
        .collect();
    let before = Pace::since_start(tree).into_iter().filter(|cause| !now.contains(cause));
    findings.extend(before.map(|cause| {
        Finding::warn("slowed by", format!("{}, since it was started", cause.name()), remedy(cause))
    }));
    if findings.is_empty() && identity.soc != Soc::Other {
        findings.push(Finding::ok("slowed by", "nothing, as far as this board tells"));
    }
    findings
}
