//! Model packs: the manifest, the files and their hashes. See `models/` for how packs are made.
//!
//! Knows files and engines; has never heard of a camera. Every file is untrusted: sizes are bounded before they are
//! read, hashes checked before anything is parsed, shapes against the manifest after.

pub mod architecture;
mod archive;
pub mod derive;
mod files;
mod make;
pub mod manifest;
mod nano;
pub mod pull;
#[cfg(test)]
mod tests;

pub use make::{RandomPack, make_random};
pub use manifest::{
    Channels, Detector, DetectorKind, Embedding, Files, Filter, Fit, Heads, Image, Manifest, Pooling, Text,
};

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use tracing::{debug, warn};

use crate::engine::{Engine, EngineError, Input, Model, ModelBytes, Options, Port, Session};
use files::Store;

/// One of a pack's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Image,
    Text,
    Detector,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Detector => "detector",
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("pack {path}: {source}; name a pack's folder, a .tar.zst of one, or \"nano\"")]
    Open { path: PathBuf, source: std::io::Error },
    #[error("pack {path}: {reason}")]
    Archive { path: PathBuf, reason: String },
    #[error("pack nano is not in this binary: build it with the feature \"nano\", or name another pack")]
    NoNano,
    #[error("{path}: {reason}")]
    Manifest { path: String, reason: String },
    #[error("pack {pack}: {file} is missing; fetch the pack again")]
    Missing { pack: String, file: String },
    #[error("pack {pack}: {file} cannot be read: {source}")]
    Read { pack: String, file: String, source: std::io::Error },
    #[error("pack {pack}: {file} is {size} bytes, which it cannot be (1 to {most}); fetch the pack again")]
    Size { pack: String, file: String, size: u64, most: u64 },
    #[error(
        "pack {pack}: {file} is damaged or was changed: its SHA-256 is {found}, pack.toml says {expected}; fetch the \
         pack again"
    )]
    Hash { pack: String, file: String, expected: String, found: String },
    #[error("pack {pack} has no text tower: make the vocabulary on another machine")]
    NoText { pack: String },
    #[error("pack {pack}: {role} tower {file}: {reason}; pack.toml and the model are not of one pack")]
    Shape { pack: String, role: Role, file: String, reason: String },
    #[error("{file}: no regions can be read off this image tower: {reason}; set scoring.regions = \"crops\"")]
    Regions { file: String, reason: String },
    #[error(
        "{file}: this image tower cannot be made to read pictures of {side} × {side} px: {reason}; give scoring.input and \
         scoring.small another size, or leave them out"
    )]
    Input { file: String, side: usize, reason: String },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("{0} exists; remove it first or choose another folder")]
    Exists(PathBuf),
}

/// An opened pack: its manifest has been checked, its files have not yet been touched.
#[derive(Debug, Clone)]
pub struct Pack {
    manifest: Manifest,
    store: Store,
    /// `image.size` as its files have it, if another was asked for.
    published: Option<[usize; 2]>,
}

impl Pack {
    /// Opens the pack `nano`, a folder, or a `.tar.zst` of one, which is unpacked beside it the first time.
    pub fn open(path: &Path) -> Result<Self, PackError> {
        let store = if path == Path::new("nano") {
            Store::Embedded(nano::FILES.ok_or(PackError::NoNano)?)
        } else if path.to_string_lossy().ends_with(".tar.zst") {
            Store::Folder(archive::unpacked(path)?)
        } else {
            Store::Folder(path.to_owned())
        };
        let text = store.manifest(path)?;
        let manifest = Manifest::parse(&text)
            .map_err(|reason| PackError::Manifest { path: store.describe(files::MANIFEST), reason })?;
        Ok(Self { manifest, store, published: None })
    }

    /// What the pack says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `nano@1`
    pub fn identity(&self) -> String {
        format!("{}@{}", self.manifest.name, self.manifest.version)
    }

    /// The same pack, whose image tower reads square pictures with sides of so many pixels; `None`: as it is published.
    /// See [`derive::resized`]; whether it can is seen when it is loaded.
    #[must_use]
    pub fn with_input(mut self, side: Option<usize>) -> Self {
        let published = self.published.take().unwrap_or(self.manifest.image.size);
        self.manifest.image.size = side.map_or(published, |side| [side; 2]);
        self.published = Some(published).filter(|size| *size != self.manifest.image.size);
        self
    }

    /// The model of `role` for the engine of that name (`files.cpu` if the pack has none of its own for it). A file's
    /// hash is verified first; embedded bytes can only be damaged with the program itself, so their hashes are
    /// verified by a test and by `watchword models verify`, not at every start.
    pub fn model(&self, role: Role, engine: &str) -> Result<Model, PackError> {
        let model = self.published_model(role, engine)?;
        let (Some(from), Role::Image) = (self.published, role) else { return Ok(model) };
        let to = self.manifest.image.size;
        let derived = derived(&model, |bytes| derive::resized(bytes, from, to));
        let bytes = derived.map_err(|reason| self.no_input(&model.name, reason))?;
        Ok(Model { name: model.name, bytes })
    }

    /// Of a tower whose graph could be changed but does not work: `reason`.
    fn no_input(&self, file: &str, reason: String) -> PackError {
        let [side, _] = self.manifest.image.size;
        PackError::Input { file: file.to_owned(), side, reason }
    }

    fn published_model(&self, role: Role, engine: &str) -> Result<Model, PackError> {
        let file = self.model_file(role, engine)?;
        let bytes = match &self.store {
            Store::Embedded(_) => ModelBytes::Static(self.store.embedded(&self.identity(), file)?),
            Store::Folder(folder) => {
                let started = Instant::now();
                self.verify_file(file)?;
                debug!(file, took = ?started.elapsed(), "verified");
                ModelBytes::File(folder.join(file))
            }
        };
        Ok(Model { name: self.store.describe(file), bytes })
    }

    /// The image tower with an embedding for each cell of a grid over the picture besides; see
    /// [`derive::with_regions`]. While it is derived, the tower is in memory three times.
    pub fn tower_with_regions(&self, engine: &str) -> Result<Model, PackError> {
        let tower = self.published_model(Role::Image, engine)?;
        let to = self.manifest.image.size;
        let from = self.published.unwrap_or(to);
        let bytes = derived(&tower, |bytes| derive::with_regions(bytes, from, to))
            .map_err(|reason| PackError::Regions { file: tower.name.clone(), reason })?;
        Ok(Model { name: format!("{} for regions", tower.name), bytes })
    }

    /// Loads the model of `role`, and checks its inputs and outputs against the manifest.
    pub fn load(
        &self,
        role: Role,
        engine: &dyn Engine,
        options: Options,
    ) -> Result<Box<dyn Session>, PackError> {
        let model = self.model(role, engine.name())?;
        if role != Role::Text && !model.name.ends_with(engine.reads()) {
            let (pack, engine) = (self.identity(), engine.name());
            warn!(pack, "no {role} model for {engine} in it: the processor runs it; see board/rockchip.md");
        }
        let started = Instant::now();
        let mut session = engine.load(&model, options)?;
        debug!(model = model.name, took = ?started.elapsed(), "loaded");
        self.check_shapes(role, session.inputs(), session.outputs()).map_err(|reason| PackError::Shape {
            pack: self.identity(),
            role,
            file: self.model_file(role, engine.name()).unwrap_or_default().to_owned(),
            reason,
        })?;
        if role == Role::Image && self.published.is_some() {
            // A graph may have numbers of tokens written into it in many ways; a run tells.
            self.try_out(&mut *session).map_err(|reason| self.no_input(&model.name, reason))?;
        }
        Ok(session)
    }

    /// Has the image tower look at a grey picture.
    fn try_out(&self, session: &mut dyn Session) -> Result<(), String> {
        let [width, height] = self.manifest.image.size;
        let batch =
            session.inputs().first().and_then(|port| port.shape.first().copied().flatten()).unwrap_or(1);
        let (shape, mut outputs) = ([batch, 3, height, width], Vec::new());
        let data = vec![0.0; shape.iter().product()];
        let run = session.run(&[Input::F32 { shape: &shape, data: &data }], &mut outputs);
        run.map_err(|error| error.to_string())
    }

    /// The tokenizer's file.
    pub fn tokenizer(&self) -> Result<Cow<'static, [u8]>, PackError> {
        self.read(&self.text()?.tokenizer)
    }

    /// All that the embedding of a phrase depends on, with the engine of that name; `None` without a text tower.
    pub fn text_identity(&self, engine: &str) -> Option<String> {
        let Text { tokenizer, context, pooling, .. } = self.manifest.text.as_ref()?;
        let tower = self.expected_hash(self.model_file(Role::Text, engine).ok()?);
        let (tokenizer, width) = (self.expected_hash(tokenizer), self.manifest.embedding.width);
        Some(format!("{tower} {tokenizer} {context} {pooling:?} {width}"))
    }

    /// The weights of the interaction heads, if the pack has any.
    pub fn heads(&self) -> Result<Option<Cow<'static, [u8]>>, PackError> {
        self.manifest.heads.as_ref().map(|heads| self.read(&heads.file)).transpose()
    }

    /// The networks that it has.
    pub fn roles(&self) -> impl Iterator<Item = Role> + use<> {
        let text = self.manifest.text.is_some();
        [Role::Image, Role::Text, Role::Detector].into_iter().filter(move |role| text || *role != Role::Text)
    }

    /// Verifies every file with a hash, embedded ones too: its name and what is wrong with it.
    pub fn verify(&self) -> impl Iterator<Item = (&str, Result<(), PackError>)> {
        self.manifest.sha256.keys().map(|file| (file.as_str(), self.verify_file(file)))
    }

    fn text(&self) -> Result<&Text, PackError> {
        self.manifest.text.as_ref().ok_or_else(|| PackError::NoText { pack: self.identity() })
    }

    fn model_file(&self, role: Role, engine: &str) -> Result<&str, PackError> {
        let files = match role {
            Role::Image => &self.manifest.image.files,
            Role::Text => &self.text()?.files,
            Role::Detector => &self.manifest.detector.files,
        };
        // The manifest was refused if it had no `cpu`.
        Ok(files.get(engine).or_else(|| files.get("cpu")).map(String::as_str).unwrap_or_default())
    }

    fn expected_hash(&self, file: &str) -> &str {
        // The manifest was refused if a file had no hash; an empty one matches nothing.
        self.manifest.sha256.get(file).map(String::as_str).unwrap_or_default()
    }

    fn verify_file(&self, file: &str) -> Result<(), PackError> {
        self.store.verify(&self.identity(), file, self.expected_hash(file))
    }

    fn read(&self, file: &str) -> Result<Cow<'static, [u8]>, PackError> {
        self.store.read(&self.identity(), file, self.expected_hash(file))
    }

    fn check_shapes(&self, role: Role, inputs: &[Port], outputs: &[Port]) -> Result<(), String> {
        let size = match role {
            Role::Image => Some(self.manifest.image.size),
            Role::Detector => Some(self.manifest.detector.size),
            Role::Text => None,
        };
        if let (Some([width, height]), [input]) = (size, inputs) {
            let fits = matches!(*input.shape.as_slice(), [_, planes, h, w]
                if planes.is_none_or(|n| n == 3) && h.is_none_or(|h| h == height) && w.is_none_or(|w| w == width));
            if !fits {
                let shape = &input.shape;
                return Err(format!("input {} is {shape:?}, size is {width} × {height} × 3", input.name));
            }
        } else if size.is_some() {
            return Err(format!("takes {} inputs instead of one picture", inputs.len()));
        }
        // Towers are published with more outputs than the one that is wanted.
        let expected = self.manifest.embedding.width;
        let wide =
            |output: &Port| output.shape.last().copied().flatten().is_none_or(|width| width == expected);
        if role != Role::Detector && !outputs.iter().any(wide) {
            let found: Vec<_> =
                outputs.iter().map(|output| format!("{} {:?}", output.name, output.shape)).collect();
            return Err(format!("output {}: embedding.width is {expected}", found.join(", ")));
        }
        Ok(())
    }
}

/// What `edit` makes of the bytes of `model`.
fn derived(
    model: &Model,
    edit: impl FnOnce(&[u8]) -> Result<Vec<u8>, derive::DeriveError>,
) -> Result<ModelBytes, String> {
    let bytes = model.bytes.whole()?;
    edit(&bytes).map(ModelBytes::Made).map_err(|error| error.to_string())
}
