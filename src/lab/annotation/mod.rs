//! Ground truth and detections from the files that people have.
//!
//! Files come from anywhere: each reader bounds what it takes, runs nothing, and names the place of what it refuses.

mod ava;
mod format;
mod jhmdb;
mod labels;
mod numpy;
mod reference;
#[cfg(test)]
mod tests;
mod tubes;
mod ucf101;
mod video_names;
mod yowo;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::{Context, bail};

use super::map::{Catalogue, Class, Found, Label, Truth, Video};
pub use format::Format;
use format::Source;
pub use labels::{classes, names};
use video_names::VideoNames;

/// What a ground truth does not say of itself.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The labels by number, instead of what the file or the data set's own order says.
    pub classes: Option<Vec<Class>>,
    /// Which of the file's test sets, from 1.
    pub split: usize,
}

/// The ground truth of a file or folder, and what it calls things.
pub fn truth(
    path: &Path,
    format: Option<Format>,
    setting: &Setting,
) -> anyhow::Result<(Catalogue, Truth, Format)> {
    let read = || {
        let source = Source::open(path)?;
        let format = format.map_or_else(|| source.format(), Ok)?;
        let (catalogue, truth) = match format {
            Format::Reference => reference::truth(source.bytes()?),
            Format::Tubes => tubes::truth(source.bytes()?, setting.split),
            Format::Ucf101 => ucf101::truth(source.bytes()?, setting.classes.as_deref()),
            Format::Jhmdb => jhmdb::truth(source.bytes()?, setting.classes.as_deref()),
            Format::Yowo => yowo::truth(source.folder()?, setting.classes.as_deref()),
            Format::Ava => ava::truth(source.bytes()?, setting.classes.as_deref()),
        }?;
        if truth.frames.is_empty() {
            bail!("nothing is annotated in it");
        }
        Ok((catalogue, truth, format))
    };
    read().with_context(|| format!("ground truth {}", path.display()))
}

/// The detections of a file or folder. `classes` are the numbers of its labels where they are not the ground truth's.
pub fn detections(
    path: &Path,
    format: Option<Format>,
    classes: Option<&[Class]>,
    truth: Format,
    catalogue: &mut Catalogue,
) -> anyhow::Result<(Found, Strangers)> {
    let mut read = || {
        let source = Source::open(path)?;
        let format = format.map_or_else(|| source.format(), Ok)?;
        let names = if format == truth { VideoNames::exact() } else { VideoNames::lenient(catalogue) };
        let mut names = Names { catalogue, classes, videos: names, strangers: Strangers::default() };
        let found = match format {
            Format::Reference => reference::found(source.bytes()?, &mut names),
            Format::Tubes => tubes::found(source.bytes()?, &mut names),
            Format::Ucf101 => bail!("annotations of UCF101-24 hold no scores, and are no detections"),
            Format::Jhmdb => jhmdb::found(source.bytes()?, &names),
            Format::Yowo => yowo::found(source.folder()?, &mut names),
            Format::Ava => ava::found(source.bytes()?, &mut names),
        }?;
        Ok((found, names.strangers))
    };
    read().with_context(|| format!("detections {}", path.display()))
}

/// Leaves the videos of these names in truth and detections.
pub fn keep_videos(
    names: &[String],
    catalogue: &Catalogue,
    truth: &mut Truth,
    found: &mut Found,
) -> anyhow::Result<()> {
    let kept = videos(names, catalogue);
    truth.frames.retain(|actor| kept.contains(&actor.video));
    truth.tubes.retain(|action| kept.contains(&action.video));
    found.frames.iter_mut().for_each(|actors| actors.retain(|actor| kept.contains(&actor.video)));
    found.tubes.iter_mut().for_each(|actions| actions.retain(|action| kept.contains(&action.video)));
    anyhow::ensure!(!truth.frames.is_empty(), "none of its {} videos is in the ground truth", names.len());
    Ok(())
}

/// The videos of these names, as other files may spell them; names of no video are passed over.
pub fn videos(names: &[String], catalogue: &Catalogue) -> HashSet<Video> {
    let lookup = VideoNames::lenient(catalogue);
    // Lists such as UCF101's have the label's number behind the name.
    let first = names.iter().filter_map(|line| line.split_whitespace().next());
    first.filter_map(|name| lookup.find(name, catalogue)).collect()
}

/// Labels of detections that the ground truth does not list, and how often they came.
pub type Strangers = BTreeMap<String, usize>;

/// How detections name what the ground truth names.
struct Names<'a> {
    catalogue: &'a mut Catalogue,
    classes: Option<&'a [Class]>,
    videos: VideoNames,
    strangers: Strangers,
}

impl Names<'_> {
    fn label(&mut self, name: &str) -> Option<Label> {
        let label = self.catalogue.label(name);
        if label.is_none() {
            *self.strangers.entry(name.to_owned()).or_default() += 1;
        }
        label
    }

    /// A label by its number in the detections' own numbering, or by its name.
    fn label_called(&mut self, text: &str) -> Option<Label> {
        match (self.classes, text.parse::<i64>()) {
            (Some(classes), Ok(id)) => match classes.iter().find(|class| class.id == id) {
                Some(class) => self.label(&class.name),
                None => self.label(text),
            },
            _ => self.catalogue.label_called(text).or_else(|| self.label(text)),
        }
    }

    fn label_by_id(&mut self, id: i64) -> Option<Label> {
        self.label_called(&id.to_string())
    }

    fn video(&mut self, name: &str) -> Video {
        self.videos.resolve(name, self.catalogue)
    }
}

/// A score that can be ranked.
fn score(value: f64) -> anyhow::Result<f64> {
    anyhow::ensure!(value.is_finite(), "score {value} is not finite");
    Ok(value)
}

/// The number of a frame.
fn frame(value: f64) -> anyhow::Result<i64> {
    super::map::whole(value).with_context(|| format!("frame {value} is not a whole number"))
}
