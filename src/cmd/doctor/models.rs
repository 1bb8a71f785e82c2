//! The model pack: is it whole, and does it hold what the engine reads?

use super::finding::Finding;
use crate::config::{self, Config};
use crate::engine::{Options, engine};
use crate::pack::{Pack, PackError, Role};

const PACK: &str = "pack";

pub fn findings(config: Option<&Config>) -> Vec<Finding> {
    let settings = config.map_or_else(config::Pack::default, |config| config.pack.clone());
    let failed = |error: &PackError| {
        Finding::fail(
            PACK,
            error,
            "see `watchword models verify`; fetch the pack again, or correct pack.path",
        )
    };
    let pack = match Pack::open(&settings.path) {
        Ok(pack) => pack,
        Err(error) => return vec![failed(&error)],
    };
    let faults: Vec<Finding> = pack.verify().filter_map(|(_, result)| Some(failed(&result.err()?))).collect();
    if !faults.is_empty() {
        return faults;
    }
    let engine = engine(settings.engine);
    let options = Options { prepack: settings.prepack, ..Options::of(settings.threads) };
    // As they will be loaded: the image tower for its input, and for another if small crops have one of their own.
    let scoring = config.map(|config| &config.scoring);
    let pack = pack.with_input(scoring.and_then(|scoring| scoring.input));
    let small = scoring.and_then(|scoring| scoring.small).map(|side| pack.clone().with_input(Some(side)));
    let used = [(Some(&pack), Role::Image), (small.as_ref(), Role::Image), (Some(&pack), Role::Detector)];
    let unusable = used.into_iter().filter_map(|(pack, role)| pack?.load(role, &*engine, options).err());
    let mut findings: Vec<Finding> = unusable.map(|error| failed(&error)).collect();
    if let Some(why) = engine.missing() {
        findings.push(Finding::warn(
            PACK,
            format!("the configured engine cannot run: {why}"),
            "install it, or set pack.engine = \"cpu\"",
        ));
    }
    if findings.is_empty() {
        let runs = engine.describe(options);
        findings.push(Finding::ok(PACK, format!("{} is whole, and loads on {runs}", pack.identity())));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let nano = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/nano");
        for entry in std::fs::read_dir(nano).unwrap().flatten() {
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
        }
        let mut config = Config::default();
        config.pack.path = folder.path().into();
        assert_eq!(findings(Some(&config))[0].status, Status::Ok);
        config.scoring.small = Some(100);
        let unfit = findings(Some(&config));
        assert!(unfit.len() == 1 && unfit[0].found.contains("100 × 100 px"), "{unfit:?}");
        config.scoring.small = None;
        std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
        let damaged = findings(Some(&config));
        assert_eq!(damaged.len(), 1);
        assert!(
            damaged[0].status == Status::Fail && damaged[0].found.contains("tokenizer.json"),
            "{damaged:?}"
        );
        config.pack.path = folder.path().join("nowhere");
        assert_eq!(findings(Some(&config))[0].status, Status::Fail);
    }
}
