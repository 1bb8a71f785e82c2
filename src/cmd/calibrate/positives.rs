//! Clips in which actions happen, and which action each of them shows.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use crate::config::Action;

/// A clip and the index of the action in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Clip {
    pub action: usize,
    pub path: PathBuf,
}

/// The clips in `folder`. A sub-folder is called as its action and holds clips, or is itself one if JPEGs are in it; a
/// file is called as its action, with or without something behind it: `falling.mp4`, `falling-2.mp4`, `falling 3.avi`.
/// What begins with a dot is passed over.
///
/// # Errors
/// Something is called as no action, or there is nothing.
pub fn find(folder: &Path, actions: &[Action]) -> anyhow::Result<Vec<Clip>> {
    let mut clips = Vec::new();
    for path in entries(folder)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(action) = named(name, actions) else {
            let known: Vec<_> = actions.iter().map(|action| action.name.as_str()).collect();
            bail!(
                "{}: no action is called so; a clip is DIR/ACTION/anything or DIR/ACTION-anything.mp4, and the actions \
                 are {}",
                path.display(),
                known.join(", ")
            );
        };
        if !path.is_dir() {
            clips.push(Clip { action, path });
            continue;
        }
        let inside = entries(&path)?;
        if inside.iter().any(|path| is_picture(path)) {
            clips.push(Clip { action, path });
        } else {
            clips.extend(inside.into_iter().map(|path| Clip { action, path }));
        }
    }
    ensure!(!clips.is_empty(), "{}: no clips in it", folder.display());
    Ok(clips)
}

/// The longest action name that `name` begins with, if it ends there.
fn named(name: &str, actions: &[Action]) -> Option<usize> {
    let fits = |action: &Action| {
        let rest = name.strip_prefix(action.name.as_str());
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    let fitting = actions.iter().enumerate().filter(|(_, action)| fits(action));
    fitting.max_by_key(|(_, action)| action.name.len()).map(|(index, _)| index)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| folder.display().to_string())?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    ["jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions() -> Vec<Action> {
        let action = |name: &str| Action { name: name.into(), ..Action::default() };
        ["climbing", "climbing_fence", "fall"].map(action).into()
    }

    #[test]
    fn names_say_the_action() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for file in [
            "fall/x.mp4",
            "fall/y.avi",
            "climbing_fence/1.jpg",
            "climbing_fence/2.JPG",
            "climbing/night/0.jpeg",
        ] {
            fs::create_dir_all(at(file).parent().unwrap()).unwrap();
            fs::write(at(file), "").unwrap();
        }
        for file in
            ["climbing-2.mp4", "climbing_fence 3.mp4", "fall.mp4", "fall2.mp4", ".DS_Store", "fall/.x"]
        {
            fs::write(at(file), "").unwrap();
        }
        let mut found: Vec<_> = find(folder.path(), &actions())
            .unwrap()
            .into_iter()
            .map(|clip| (clip.action, clip.path))
            .collect();
        found.sort();
        let expected = [
            (0, "climbing-2.mp4"),
            (0, "climbing/night"),
            (1, "climbing_fence"),
            (1, "climbing_fence 3.mp4"),
            (2, "fall.mp4"),
            (2, "fall/x.mp4"),
            (2, "fall/y.avi"),
            (2, "fall2.mp4"),
        ];
        let mut expected: Vec<_> = expected.map(|(action, name)| (action, at(name))).into();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_called_otherwise_is_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(folder.path(), &actions()).unwrap_err().to_string().ends_with("no clips in it"));
        fs::write(folder.path().join("falling.mp4"), "").unwrap();
        let error = find(folder.path(), &actions()).unwrap_err().to_string();
        assert!(
            error.contains("falling.mp4") && error.ends_with("climbing, climbing_fence, fall"),
            "{error}"
        );
        assert!(find(&folder.path().join("none"), &actions()).is_err());
    }
}
