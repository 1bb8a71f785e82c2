//! The heads against the reference in NumPy, which was checked against the paper authors' own modules.
#![cfg(feature = "lab")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{complaint, output, watchword};
use safetensors::SafeTensors;

const CASES: usize = 24;
const OUTPUTS: [&str; 5] =
    ["interaction", "text_prompted", "probabilities", "probabilities_unprompted", "probabilities_baseline"];

/// A Python with numpy and safetensors: `$WATCHWORD_PYTHON`, or `python3`.
fn python() -> Option<String> {
    let python = std::env::var("WATCHWORD_PYTHON").unwrap_or_else(|_| "python3".into());
    let fits = Command::new(&python).args(["-c", "import numpy, safetensors"]).output();
    if fits.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!(
        "skipped: {python} has no numpy and safetensors (pip install numpy safetensors; WATCHWORD_PYTHON)"
    );
    None
}

fn floats(file: &SafeTensors<'_>, name: &str) -> Vec<f32> {
    let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The largest difference of each output from the reference's.
fn differences(folder: &Path, weights: &str) -> Vec<f32> {
    let (case, out) = (folder.join("case.safetensors"), folder.join("out.safetensors"));
    let mut command = watchword();
    command.args(["lab", "heads", "--weights"]).arg(folder.join(weights));
    let run = output(command.arg("--case").arg(&case).arg("--out").arg(&out));
    assert!(run.status.success(), "{}: {}", folder.display(), complaint(&run));
    let (case, out) = (std::fs::read(case).unwrap(), std::fs::read(out).unwrap());
    let (case, out) = (SafeTensors::deserialize(&case).unwrap(), SafeTensors::deserialize(&out).unwrap());
    let difference = |name: &&str| {
        let (ours, theirs) = (floats(&out, name), floats(&case, name));
        assert_eq!(ours.len(), theirs.len(), "{name}");
        ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    OUTPUTS.iter().map(difference).collect()
}

#[test]
fn the_reference_agrees_over_many_shapes() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/heads/cases.py");
    let made = output(Command::new(python).arg(script).arg(folder.path()).arg(CASES.to_string()));
    assert!(made.status.success(), "{}", complaint(&made));
    for case in 0..CASES {
        let folder = folder.path().join(case.to_string());
        for (name, difference) in OUTPUTS.iter().zip(differences(&folder, "heads.safetensors")) {
            assert!(difference <= 1e-4, "case {case}, f32, {name}: {difference}");
        }
        let int8 = differences(&folder, "int8.safetensors");
        for (name, difference) in
            OUTPUTS.iter().zip(int8).filter(|(name, _)| name.starts_with("probabilities"))
        {
            assert!(difference <= 2e-2, "case {case}, int8, {name}: {difference}");
        }
    }
}

#[test]
fn a_case_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (weights, out) = (folder.path().join("heads.safetensors"), folder.path().join("out"));
    assert!(output(watchword().args(["lab", "init", "--out"]).arg(&weights)).status.success());
    let mut command = watchword();
    let run = output(
        command
            .args(["lab", "heads", "--case"])
            .arg(&weights)
            .arg("--weights")
            .arg(&weights)
            .arg("--out")
            .arg(&out),
    );
    assert!(!run.status.success() && complaint(&run).contains("tensor slots"), "{}", complaint(&run));
    std::fs::write(&weights, b"not a file of tensors").unwrap();
    let run = output(
        watchword()
            .args(["lab", "heads", "--case", "none", "--weights"])
            .arg(&weights)
            .arg("--out")
            .arg(&out),
    );
    assert!(!run.status.success() && complaint(&run).contains("heads.safetensors"), "{}", complaint(&run));
}

#[test]
fn a_checkpoint_by_pytorch_with_the_authors_names_becomes_heads() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/heads/authors");
    let folder = tempfile::tempdir().unwrap();
    let heads = folder.path().join("heads.safetensors");
    let mut command = watchword();
    let run = output(
        command.args(["models", "import-heads"]).arg(kept.join("checkpoint.pth")).arg("--out").arg(&heads),
    );
    assert!(run.status.success(), "{}", complaint(&run));
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let units = "8 wide, units person, object, context, memory, person, object, context, memory";
    assert!(said.contains(units), "{said}");
    std::fs::copy(kept.join("case.safetensors"), folder.path().join("case.safetensors")).unwrap();
    for (name, difference) in OUTPUTS.iter().zip(differences(folder.path(), "heads.safetensors")) {
        assert!(difference <= 1e-4, "{name}: {difference}");
    }
}
