//! `pack.toml`: what a pack says of itself, and whether that can be.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A pack's `pack.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub name: String,
    pub version: u32,
    /// Of the weights.
    pub license: String,
    /// Where the weights come from.
    pub source: String,
    pub embedding: Embedding,
    pub image: Image,
    /// Absent: vocabularies must be made elsewhere.
    pub text: Option<Text>,
    pub detector: Detector,
    pub heads: Option<Heads>,
    /// Every file of the pack but this one → its SHA-256 in hexadecimal.
    pub sha256: BTreeMap<String, String>,
}

/// `[embedding]`: the space that both towers end in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Elements of a vector.
    pub width: usize,
    /// Heads and vocabularies made for another space are refused.
    pub space: String,
    /// Factor on a cosine before the softmax.
    pub logit_scale: f32,
}

/// `[image]`: the image tower, `[batch, 3, height, width]` f32 → `[batch, embedding.width]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Pixels, width and height.
    pub size: [usize; 2],
    /// Of R, G, B; subtracted from a value in 0..=1.
    pub mean: [f32; 3],
    /// Of R, G, B; divides what is left.
    pub std: [f32; 3],
    pub resize: Filter,
    /// An engine's name → the most crops in one run there, for a tower that is no faster with more of them; they take
    /// memory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub batch: BTreeMap<String, usize>,
    pub files: Files,
}

/// `[text]`: the text tower, `[batch, sequence]` i64 → `[batch, embedding.width]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// A file in the format of the `tokenizers` crate.
    pub tokenizer: String,
    /// Most tokens in a phrase.
    pub context: usize,
    pub pooling: Pooling,
    /// Sentence around a phrase, with `{}` where it goes.
    pub template: String,
    pub files: Files,
}

/// `[detector]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detector {
    pub kind: DetectorKind,
    /// Pixels, width and height.
    pub size: [usize; 2],
    /// The list of classes, `coco`.
    pub classes: String,
    /// Index of a person in it.
    pub person: u16,
    /// By tensor plane; subtracted from a value in 0..=255. Absent: as the kind is published.
    pub mean: Option<[f32; 3]>,
    /// By tensor plane; divides what is left. Absent: as the kind is published.
    pub std: Option<[f32; 3]>,
    /// Absent: as the kind is published.
    pub channels: Option<Channels>,
    /// Absent: as the kind is published.
    pub resize: Option<Fit>,
    pub files: Files,
}

/// `[heads]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heads {
    pub file: String,
}

/// An engine's name (`cpu`, `tract`, `rk3588`, ..) → the file it reads. Without one of its own it reads `cpu`'s.
pub type Files = BTreeMap<String, String>;

/// How pictures are resampled for the image tower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    Bilinear,
    Bicubic,
}

/// How the text tower makes one vector of many tokens; the tower does it itself, the tokenizer must suit it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// At the end of the text (CLIP).
    Eot,
    /// Mean over the tokens (sentence transformers).
    Mean,
}

/// How a detector's outputs are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectorKind {
    Nanodet,
    Yolox,
}

/// The order of a tensor's planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channels {
    Rgb,
    Bgr,
}

/// How a frame's proportions become the detector's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The frame fills the tensor.
    Stretch,
    /// The whole frame, centred.
    Pad,
    /// The whole frame in the top left corner.
    PadTopLeft,
}

/// No embedding that we know of is wider, no tower's picture larger.
const MOST_WIDTH: usize = 8192;
const MOST_PIXELS: usize = 4096;
const MOST_TOKENS: usize = 8192;
const MOST_BATCH: usize = 1024;

impl Manifest {
    /// Reads a `pack.toml` and checks it. The error names the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if !is_slug(&self.name) {
            return Err(format!("name {:?}: only a-z, 0-9, '-' and '.' make a name", self.name));
        }
        within("embedding.width", self.embedding.width, MOST_WIDTH)?;
        positive("embedding.logit_scale", self.embedding.logit_scale)?;
        self.image.size.iter().try_for_each(|side| within("image.size", *side, MOST_PIXELS))?;
        self.image.std.iter().try_for_each(|std| positive("image.std", *std))?;
        self.image.mean.iter().try_for_each(|mean| finite("image.mean", *mean))?;
        self.image.batch.values().try_for_each(|crops| within("image.batch", *crops, MOST_BATCH))?;
        self.detector.size.iter().try_for_each(|side| within("detector.size", *side, MOST_PIXELS))?;
        self.detector.std.iter().flatten().try_for_each(|std| positive("detector.std", *std))?;
        self.detector.mean.iter().flatten().try_for_each(|mean| finite("detector.mean", *mean))?;
        if self.detector.classes != "coco" {
            return Err(format!("detector.classes {:?}: only \"coco\" is known", self.detector.classes));
        }
        if self.detector.person >= 80 {
            return Err(format!("detector.person {}: coco has 80 classes", self.detector.person));
        }
        if let Some(text) = &self.text {
            within("text.context", text.context, MOST_TOKENS)?;
            if text.template.matches("{}").count() != 1 {
                return Err(format!("text.template {:?}: must hold {{}} once", text.template));
            }
        }
        self.check_files()
    }

    /// Every file that is named has a hash, and is in the pack's own folder.
    fn check_files(&self) -> Result<(), String> {
        for (section, files) in [("image", Some(&self.image.files)), ("detector", Some(&self.detector.files))]
            .into_iter()
            .chain([("text", self.text.as_ref().map(|text| &text.files))])
        {
            if files.is_some_and(|files| !files.contains_key("cpu")) {
                return Err(format!("{section}.files: \"cpu\" is missing; every pack has it"));
            }
        }
        for file in self.files() {
            if !self.sha256.contains_key(file) {
                return Err(format!("sha256: {file:?} is named above but has no hash here"));
            }
        }
        for (file, hash) in &self.sha256 {
            if !is_plain(file) {
                return Err(format!("sha256: {file:?} is not a plain file name"));
            }
            if hash.len() != 64 || hash.bytes().any(|digit| !digit.is_ascii_hexdigit()) {
                return Err(format!("sha256: {file:?}: a hash has 64 hexadecimal digits"));
            }
        }
        Ok(())
    }

    /// Every file that the sections name.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let text = self.text.iter().flat_map(|text| text.files.values().chain([&text.tokenizer]));
        let models = self.image.files.values().chain(self.detector.files.values());
        models.chain(text).chain(self.heads.iter().map(|heads| &heads.file)).map(String::as_str)
    }
}

fn is_slug(name: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.len() <= 64
        && name.bytes().all(known)
}

/// A name that cannot lead out of a folder, on any system.
pub(super) fn is_plain(file: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !file.is_empty() && file.len() <= 128 && !file.starts_with('.') && file.bytes().all(known)
}

fn within(key: &str, value: usize, most: usize) -> Result<(), String> {
    if (1..=most).contains(&value) { Ok(()) } else { Err(format!("{key} {value}: must be 1 to {most}")) }
}

fn positive(key: &str, value: f32) -> Result<(), String> {
    if value.is_finite() && value > 0.0 { Ok(()) } else { Err(format!("{key} {value}: must be above 0")) }
}

fn finite(key: &str, value: f32) -> Result<(), String> {
    if value.is_finite() { Ok(()) } else { Err(format!("{key} {value}: must be a number")) }
}
