//! Small files below a root: `/`, or a folder that a test has made to look like one.

use std::fs;
use std::path::{Path, PathBuf};

/// The root. A file that is not there or does not answer is `None`: no board has all of them.
#[derive(Debug, Clone)]
pub struct Tree(PathBuf);

impl Default for Tree {
    fn default() -> Self {
        Self("/".into())
    }
}

impl Tree {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    /// Whether this is the machine itself.
    pub fn is_machine(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// Where `path` is; a slash in front of it counts for nothing.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// The text of a file, without white space and NULs at its ends (the device tree ends its texts with one).
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = String::from_utf8_lossy(&fs::read(self.path(path)).ok()?).into_owned();
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The number in a file, decimal or with `0x` in front.
    pub fn number(&self, path: impl AsRef<Path>) -> Option<i64> {
        number(&self.text(path)?)
    }

    /// The entries of a folder whose names begin with `prefix`, by name, a number at its end counting as one.
    pub fn entries(&self, folder: impl AsRef<Path>, prefix: &str) -> Vec<PathBuf> {
        let folder = folder.as_ref();
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort_by_key(|name| {
            let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
            let (word, digits) = name.split_at(name.len() - digits);
            (word.to_owned(), digits.parse::<u64>().unwrap_or(0))
        });
        names.into_iter().map(|name| folder.join(name)).collect()
    }
}

pub(super) fn number(text: &str) -> Option<i64> {
    match text.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder with these files in it.
    pub(crate) fn plant(files: &[(&str, &str)]) -> (tempfile::TempDir, Tree) {
        let root = tempfile::tempdir().unwrap();
        let tree = Tree::at(root.path());
        for (path, text) in files {
            let path = tree.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (root, tree)
    }

    #[test]
    fn files_are_read_as_the_kernel_writes_them() {
        let (_root, tree) = plant(&[
            ("a/model", "Radxa ROCK 5B\0"),
            ("a/temp", "48500\n"),
            ("a/life", "0x0b"),
            ("a/empty", "\n"),
            ("z/zone10/x", ""),
            ("z/zone2/x", ""),
            ("z/other", ""),
        ]);
        assert_eq!(tree.text("/a/model").as_deref(), Some("Radxa ROCK 5B"));
        assert_eq!((tree.number("a/temp"), tree.number("a/life")), (Some(48_500), Some(11)));
        assert_eq!((tree.text("a/empty"), tree.number("a/model"), tree.text("b")), (None, None, None));
        assert_eq!(tree.entries("z", "zone"), [Path::new("z/zone2"), Path::new("z/zone10")]);
        assert!(tree.entries("y", "").is_empty() && tree.exists("/a/temp") && !tree.is_machine());
    }
}
