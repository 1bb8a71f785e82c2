//! Lists of labels and of videos: text files with a name a line, and the label maps of AVA.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::lab::map::{Catalogue, Class};

/// No list of labels or videos is longer.
const MOST_BYTES: u64 = 64 << 20;

/// A name a line.
pub fn names(path: &Path) -> anyhow::Result<Vec<String>> {
    let read = || {
        let text = text(path)?;
        let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let names: Vec<String> = names.map(str::to_owned).collect();
        ensure!(!names.is_empty(), "there is no name in it");
        Ok(names)
    };
    read().with_context(|| format!("list {}", path.display()))
}

/// Labels with their numbers: a name a line, counted from 1; `number name` a line; or AVA's `.pbtxt`.
pub fn classes(path: &Path) -> anyhow::Result<Vec<Class>> {
    let read = || {
        let text = text(path)?;
        let classes = if text.contains('{') { label_map(&text)? } else { lines(&text) };
        ensure!(!classes.is_empty(), "there is no label in it");
        Ok(classes)
    };
    read().with_context(|| format!("labels {}", path.display()))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let length = std::fs::metadata(path)?.len();
    ensure!(length <= MOST_BYTES, "larger than {MOST_BYTES} bytes");
    Ok(std::fs::read_to_string(path)?)
}

fn lines(text: &str) -> Vec<Class> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let numbered = lines.iter().map(|line| {
        let (number, name) = line.split_once(char::is_whitespace)?;
        Some(Class { id: number.parse().ok()?, name: name.trim().to_owned() })
    });
    numbered.collect::<Option<_>>().unwrap_or_else(|| {
        (1..).zip(&lines).map(|(id, name)| Class { id, name: (*name).to_owned() }).collect()
    })
}

/// The labels of a file that calls them by number or by name: `classes`, or for want of them what it calls them, numbers
/// in their order and then names.
pub fn called<'a>(
    classes: Option<&[Class]>,
    labels: impl Iterator<Item = &'a str>,
) -> anyhow::Result<Catalogue> {
    let classes = match classes {
        Some(classes) => classes.to_vec(),
        None => {
            let distinct: BTreeSet<(i64, &str)> =
                labels.map(|label| (label.parse().unwrap_or(i64::MAX), label)).collect();
            let numbers = distinct.iter().map(|(id, _)| *id).filter(|id| *id < i64::MAX);
            let mut free = numbers.max().unwrap_or(0).saturating_add(1)..;
            let class = |(id, name): (i64, &str)| {
                let id = if id < i64::MAX { Some(id) } else { free.next() };
                Some(Class { id: id?, name: name.to_owned() })
            };
            distinct.into_iter().filter_map(class).collect()
        }
    };
    Catalogue::new(classes).map_err(anyhow::Error::msg)
}

/// `item { name: "sit" id: 11 }`, or `label { name: "sit" label_id: 11 .. }`.
fn label_map(text: &str) -> anyhow::Result<Vec<Class>> {
    let mut classes = Vec::new();
    for item in text.split('{').skip(1) {
        let Some((item, _)) = item.split_once('}') else { bail!("an item is not closed with }}") };
        // A name may contain anything, "id:" too: the number is looked for behind it.
        let quoted = item.split_once("name:").and_then(|(_, rest)| {
            let (name, rest) = rest.trim_start().strip_prefix('"')?.split_once('"')?;
            let id = rest.split_once("id:")?.1.split_whitespace().next()?;
            Some((name, id.parse().ok()?))
        });
        match quoted {
            Some((name, id)) => classes.push(Class { id, name: name.to_owned() }),
            None => bail!("item {:?} has not name and id, in this order", item.trim()),
        }
    }
    Ok(classes)
}
