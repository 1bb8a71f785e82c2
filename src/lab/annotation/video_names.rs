//! The same video under the names that different files give it.

use std::collections::HashMap;

use crate::lab::map::{Catalogue, Video};

/// How a name of one file is found among another's. `Basketball/v_Basketball_g01_c01` is also
/// `Basketball_v_Basketball_g01_c01` (YOWO), `v_Basketball_g01_c01` (iCLIP), and any of them with `.avi`.
#[derive(Debug, Clone)]
pub struct VideoNames {
    /// Other names; none for a name that two videos could have. Absent where only the same name is the same video.
    others: Option<HashMap<String, Option<Video>>>,
}

impl VideoNames {
    /// For files of one format.
    pub fn exact() -> Self {
        Self { others: None }
    }

    /// For files of different formats.
    pub fn lenient(catalogue: &Catalogue) -> Self {
        let mut others: HashMap<String, Option<Video>> = HashMap::new();
        for (index, name) in catalogue.videos().iter().enumerate() {
            let video = Video(index);
            let (flat, last) = (flat(name), last(name).to_owned());
            let both = [Some(flat.clone()), (last != flat).then_some(last)];
            for other in both.into_iter().flatten() {
                others.entry(other).and_modify(|known| *known = None).or_insert(Some(video));
            }
        }
        Self { others: Some(others) }
    }

    /// The video that is meant, if there is one.
    pub fn find(&self, name: &str, catalogue: &Catalogue) -> Option<Video> {
        if let Some(video) = catalogue.known_video(name) {
            return Some(video);
        }
        let others = self.others.as_ref()?;
        let flat = flat(name);
        let unlabelled = catalogue.classes().iter().find_map(|class| {
            let rest = flat.strip_prefix(class.name.as_str())?.strip_prefix('_')?;
            others.get(rest).copied().flatten()
        });
        let direct =
            [flat.as_str(), last(name)].into_iter().find_map(|name| others.get(name).copied().flatten());
        direct.or(unlabelled)
    }

    /// The video that is meant; a new one if none is.
    pub fn resolve(&self, name: &str, catalogue: &mut Catalogue) -> Video {
        self.find(name, catalogue).unwrap_or_else(|| catalogue.video(name))
    }
}

fn stem(name: &str) -> &str {
    [".avi", ".mp4", ".mkv", ".webm"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

fn flat(name: &str) -> String {
    stem(name).replace('/', "_")
}

fn last(name: &str) -> &str {
    stem(name).rsplit('/').next().unwrap_or_default()
}
