use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// J-HMDB's.
fn jhmdb() -> Vec<String> {
    let names = "brush_hair catch clap climb_stairs golf jump kick_ball pick pour pullup push run shoot_ball shoot_bow \
                 shoot_gun sit stand swing_baseball throw walk wave";
    names.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn the_papers_split_has_six_unseen_actions_of_21() {
    let split = &"jhmdb-75".parse::<Division>().unwrap().splits(&jhmdb(), 3).unwrap()[..];
    let [split] = split else { panic!("a named split is not drawn") };
    assert_eq!(split.unseen, names(&["catch", "clap", "pullup", "sit", "throw", "wave"]));
    assert_eq!(split.seen.len(), 15);
    let error = "ucf-75".parse::<Division>().unwrap().splits(&jhmdb(), 1).unwrap_err().to_string();
    assert!(error.contains("FloorGymnastics") && error.contains("is not in the data set"), "{error}");
}

#[test]
fn spelling_counts_and_what_stands_between_words_does_not() {
    let labels = names(&["BrushHair", "ClimbStairs", "Run"]);
    let split = Split::new("x".into(), &labels, &names(&["brush_hair", "run"])).unwrap();
    assert_eq!((split.seen, split.unseen), (names(&["ClimbStairs"]), names(&["BrushHair", "Run"])));
    for (unseen, part) in [
        (&["brushhairs"][..], "the nearest is BrushHair"),
        (&["run", "Run"], "there twice"),
        (&["run", "brush hair", "climb stairs"], "no label is left to train on"),
        (&[], "no label is unseen"),
    ] {
        let error = Split::new("x".into(), &labels, &names(unseen)).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn shares_names_and_paths_are_told_apart() {
    assert_eq!("all".parse(), Ok(Division::Supervised));
    assert_eq!("75/25".parse(), Ok(Division::Drawn { seen: 75 }));
    assert!("75/26".parse::<Division>().unwrap_err().contains("100 together"));
    assert!("0/100".parse::<Division>().is_err());
    assert!("jhmdb".parse::<Division>().unwrap_err().contains("jhmdb-75, ucf-75"));
    let all = Division::Supervised.splits(&jhmdb(), 5).unwrap();
    assert_eq!((all.len(), all[0].seen.len(), &all[0].seen), (1, 21, &all[0].unseen));
}

#[test]
fn lists_and_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("mine.txt"), "Run\n\n").unwrap();
    let labels = names(&["run", "sit", "wave"]);
    let split = Split::listed(&at("mine.txt"), &labels).unwrap();
    assert_eq!((split.name.as_str(), split.unseen), ("mine", names(&["run"])));
    fs::write(at("test_label.txt"), "sit\n").unwrap();
    fs::write(at("train_label.txt"), "run\nwave\n").unwrap();
    assert_eq!(Split::listed(folder.path(), &labels).unwrap().seen, names(&["run", "wave"]));
    fs::write(at("train_label.txt"), "run\n").unwrap();
    let error = Split::listed(folder.path(), &labels).unwrap_err().to_string();
    assert!(error.contains("not together the labels"), "{error}");
}

#[test]
fn the_published_lists_are_read() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/annotations/jhmdb");
    if !folder.exists() {
        return eprintln!("skipped: {} is not there", folder.display());
    }
    let labels = annotation::names(&folder.join("all_label.txt")).unwrap();
    assert_eq!(labels, jhmdb());
    let listed = |n: u32| Split::listed(&folder.join(format!("label_split_{n}")), &labels).unwrap();
    let named = &"jhmdb-75".parse::<Division>().unwrap().splits(&labels, 1).unwrap()[0];
    assert_eq!(listed(1).unseen, named.unseen, "the paper's own is the first");
    assert_eq!(listed(3).unseen, names(&["brush_hair", "jump", "pour", "push", "shoot_ball", "shoot_bow"]));
}

proptest! {
    #[test]
    fn a_draw_divides_and_can_be_repeated(count in 2..40usize, percent in 1..100usize, seed in any::<u64>()) {
        let labels: Vec<String> = (0..count).map(|n| format!("action {n}")).collect();
        let Ok(split) = Split::draw(&labels, percent, seed) else {
            // Too few labels for that share.
            prop_assert_eq!(count * percent / 100, 0);
            return Ok(());
        };
        prop_assert_eq!(split.seen.len(), count * percent / 100);
        let mut both = [split.seen.clone(), split.unseen.clone()].concat();
        both.sort_by_key(|label| labels.iter().position(|l| l == label));
        prop_assert_eq!(&both, &labels);
        let mut backwards = labels.clone();
        backwards.reverse();
        let again = Split::draw(&backwards, percent, seed).unwrap();
        prop_assert_eq!(again.unseen.iter().collect::<HashSet<_>>(), split.unseen.iter().collect::<HashSet<_>>());
    }
}

#[test]
fn seeds_draw_differently() {
    let splits = Division::Drawn { seen: 75 }.splits(&jhmdb(), 8).unwrap();
    let distinct: HashSet<_> = splits.iter().map(|split| &split.unseen).collect();
    assert_eq!((splits.len(), splits[0].seen.len(), splits[0].unseen.len()), (8, 15, 6));
    assert!(distinct.len() > 6, "{distinct:?}");
}
