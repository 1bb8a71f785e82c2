//! What ground truth and detections both name: labels and videos.

use std::collections::HashMap;

/// A label, by its place in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(pub usize);

/// A video, by its place in the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Video(pub usize);

/// A label, and the number that a format may call it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Class {
    pub id: i64,
    pub name: String,
}

/// The names of a ground truth; a detection's are looked up in it.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    classes: Vec<Class>,
    by_name: HashMap<String, Label>,
    by_id: HashMap<i64, Label>,
    videos: Vec<String>,
    by_video: HashMap<String, Video>,
    /// The videos of the test set in its order, which some detections count by.
    pub test: Vec<Video>,
    /// Frames that are called by a number alone.
    pub images: HashMap<i64, (Video, i64)>,
}

impl Catalogue {
    /// With these labels. The error names one that is there twice.
    pub fn new(classes: Vec<Class>) -> Result<Self, String> {
        let mut catalogue = Self::default();
        for class in classes {
            let label = Label(catalogue.classes.len());
            if catalogue.by_name.insert(class.name.clone(), label).is_some() {
                return Err(format!("label {} is there twice", class.name));
            }
            if catalogue.by_id.insert(class.id, label).is_some() {
                return Err(format!("two labels have the number {}", class.id));
            }
            catalogue.classes.push(class);
        }
        Ok(catalogue)
    }

    /// Labels numbered from `first`, in their order.
    pub fn numbered(first: i64, names: impl IntoIterator<Item = String>) -> Result<Self, String> {
        Self::new((first..).zip(names).map(|(id, name)| Class { id, name }).collect())
    }

    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    pub fn name(&self, label: Label) -> &str {
        self.classes.get(label.0).map_or("", |class| &class.name)
    }

    pub fn label(&self, name: &str) -> Option<Label> {
        self.by_name.get(name).copied()
    }

    pub fn label_by_id(&self, id: i64) -> Option<Label> {
        self.by_id.get(&id).copied()
    }

    /// By number, or by name.
    pub fn label_called(&self, text: &str) -> Option<Label> {
        text.parse().ok().and_then(|id| self.label_by_id(id)).or_else(|| self.label(text))
    }

    pub fn videos(&self) -> &[String] {
        &self.videos
    }

    pub fn video_name(&self, video: Video) -> &str {
        self.videos.get(video.0).map_or("", String::as_str)
    }

    /// The video of this name, entered if it is new.
    pub fn video(&mut self, name: &str) -> Video {
        if let Some(video) = self.by_video.get(name) {
            return *video;
        }
        let video = Video(self.videos.len());
        self.videos.push(name.to_owned());
        self.by_video.insert(name.to_owned(), video);
        video
    }

    pub fn known_video(&self, name: &str) -> Option<Video> {
        self.by_video.get(name).copied()
    }
}
