use std::collections::HashSet;

use super::*;
use crate::lab::annotation::{self, Setting};
use crate::lab::dataset::{Dataset, People, Sampling};
use crate::lab::split::Split;

const SIZE: Size = Size { width: 16, families: 4, videos: 2 };

#[test]
fn a_family_differs_in_one_factor_at_a_time() {
    let families = actions::draw(MOST_FAMILIES, &mut Random::new(7));
    let all: Vec<_> = families.concat();
    assert_eq!(all.iter().map(Action::name).collect::<HashSet<_>>().len(), MOST_FAMILIES * FAMILY);
    for family in families {
        for (factor, other) in family[1..].iter().enumerate() {
            let differing: Vec<usize> = (0..4).filter(|f| other.0[*f] != family[0].0[*f]).collect();
            assert_eq!(differing, [factor]);
        }
    }
}

#[test]
fn a_world_is_a_data_set_with_its_ground_truth_and_split() {
    let folder = tempfile::tempdir().unwrap();
    let written = write(folder.path(), SIZE, 3).unwrap();
    assert_eq!((written.seen.len(), written.unseen.len(), written.videos), (15, 5, 40));
    let data = Dataset::open(folder.path(), None).unwrap();
    assert_eq!((data.videos.len(), data.width), (40, SIZE.width));
    assert_eq!(data.texts().unwrap().labels, data.labels);
    let split = Split::listed(folder.path(), &data.labels).unwrap();
    assert_eq!((split.seen, split.unseen), (written.seen, written.unseen));

    // The annotation and the features speak of the same people.
    let setting = Setting { classes: None, split: 1 };
    let (catalogue, truth, _) = annotation::truth(&folder.path().join("truth.json"), None, &setting).unwrap();
    let sampling =
        Sampling { people: People::Truth, most_persons: 10, most_objects: 5, reach: None, fps: 1.0 };
    let mut persons = 0;
    for video in &data.videos {
        for row in 0..video.frames.len() {
            let sample = video.sample(row, &sampling).unwrap();
            persons += sample.boxes.len();
            let own = catalogue.label(video.name.split('/').next().unwrap()).unwrap();
            assert!(sample.labels.iter().all(|labels| *labels == [own.0]));
        }
    }
    assert_eq!(persons, truth.frames.len());

    let again = tempfile::tempdir().unwrap();
    write(again.path(), SIZE, 3).unwrap();
    let other = tempfile::tempdir().unwrap();
    write(other.path(), SIZE, 4).unwrap();
    // Metadata are written in any order; what counts is what is read.
    let texts = |folder: &Path| Dataset::open(folder, None).unwrap().texts().unwrap().rows;
    assert_eq!(texts(folder.path()), texts(again.path()));
    assert_ne!(texts(folder.path()), texts(other.path()));
    let samples = |folder: &Path| {
        let data = Dataset::open(folder, None).unwrap();
        data.videos.iter().map(|video| video.sample(9, &sampling).unwrap()).collect::<Vec<_>>()
    };
    assert!(samples(folder.path()) == samples(again.path()));
}
