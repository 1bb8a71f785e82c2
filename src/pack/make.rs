//! `watchword models make-random`: a whole pack with an exact architecture and random towers.
//!
//! For benchmarks and tests of packs whose weights are not at hand. The detector and the tokenizer are real, so that
//! people are found and phrases are cut as they would be; what the towers make of them means nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::architecture::{CLIP_VIT_B16, CLIP_VIT_B32, Clip, Graph, Recipe, TINYCLIP_VIT_8M_16};
use super::files::{HashingFile, MANIFEST};
use super::manifest::{Detector, Embedding, Files, Filter, Image, Manifest, Pooling, Text};
use super::{Pack, PackError, Role, nano};
use crate::engine::ModelBytes;

/// What a random pack is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RandomPack {
    /// The pack's name starts with it.
    pub name: String,
    pub recipe: Recipe,
}

impl RandomPack {
    /// The architectures that go by a name.
    pub const ARCHITECTURES: [(&'static str, Clip); 3] = [
        ("clip-vit-b16", CLIP_VIT_B16),
        ("clip-vit-b32", CLIP_VIT_B32),
        ("tinyclip-vit-8m-16", TINYCLIP_VIT_8M_16),
    ];
}

/// Writes the pack to the folder `out`, which must not exist; it appears there whole or not at all.
pub fn make_random(pack: &RandomPack, out: &Path) -> Result<Manifest, PackError> {
    if out.exists() {
        return Err(PackError::Exists(out.to_owned()));
    }
    let nano = Pack::open(Path::new("nano"))?;
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let partial = out.with_file_name(format!(".{name}.{}.partial", std::process::id()));
    let result = fs::create_dir_all(&partial).and_then(|()| {
        let manifest = write_files(pack, &nano, &partial)?;
        fs::rename(&partial, out)?;
        Ok(manifest)
    });
    // Whatever happened, nothing half written stays; after a rename there is nothing to remove.
    let _ = fs::remove_dir_all(&partial);
    result.map_err(|source| PackError::Write { path: out.to_owned(), source })
}

fn write_files(pack: &RandomPack, nano: &Pack, folder: &Path) -> io::Result<Manifest> {
    let Recipe { clip, precision, seed } = pack.recipe;
    let word = precision.name();
    let mut hashes = BTreeMap::new();
    let mut add =
        |file: &str, write: &mut dyn FnMut(&mut HashingFile) -> io::Result<()>| -> io::Result<String> {
            let mut to = HashingFile::create(&folder.join(file))?;
            write(&mut to)?;
            hashes.insert(file.to_owned(), to.finish()?);
            Ok(file.to_owned())
        };
    // One tower at a time is in memory.
    let tower = |make: fn(&Recipe) -> Graph| move |to: &mut HashingFile| make(&pack.recipe).write(to);
    let image = add(&format!("image.{word}.onnx"), &mut tower(Recipe::image_tower))?;
    let text = add(&format!("text.{word}.onnx"), &mut tower(Recipe::text_tower))?;
    let tokenizer = add("tokenizer.json", &mut |to| to.write_all(&nano::clip_tokenizer()?))?;
    let detector = detector(nano, folder, &mut hashes)?;

    let towers = Towers { image, text, tokenizer };
    let space = format!("random/{}/{seed}", pack.name);
    let mut manifest = manifest(&clip, space, towers, detector, hashes);
    manifest.name = format!("{}-random-{word}", pack.name);
    manifest.license = "none: the towers' weights are random; detector and tokenizer as in nano".into();
    manifest.source = format!("watchword models make-random {} --precision {word} --seed {seed}", pack.name);
    write_manifest(&manifest, folder)?;
    Ok(manifest)
}

/// Writes the detector of `nano` into `folder`, and its hash to the others.
pub(super) fn detector(
    nano: &Pack,
    folder: &Path,
    hashes: &mut BTreeMap<String, String>,
) -> io::Result<Detector> {
    let mut detector = nano.manifest().detector.clone();
    let model = nano.model(Role::Detector, "cpu").map_err(io::Error::other)?;
    let file = detector.files.get("cpu").cloned().unwrap_or_default();
    let mut to = HashingFile::create(&folder.join(&file))?;
    match &model.bytes {
        ModelBytes::Static(bytes) => to.write_all(bytes)?,
        ModelBytes::Made(bytes) => to.write_all(bytes)?,
        ModelBytes::File(path) => io::copy(&mut fs::File::open(path)?, &mut to).map(drop)?,
    }
    hashes.insert(file.clone(), to.finish()?);
    detector.files = cpu(file);
    Ok(detector)
}

/// The names of the files of two towers.
pub(super) struct Towers {
    pub image: String,
    pub text: String,
    pub tokenizer: String,
}

/// The manifest of a CLIP's pack, without its name and where it comes from.
pub(super) fn manifest(
    clip: &Clip,
    space: String,
    towers: Towers,
    detector: Detector,
    hashes: BTreeMap<String, String>,
) -> Manifest {
    Manifest {
        name: String::new(),
        version: 1,
        license: String::new(),
        source: String::new(),
        embedding: Embedding { width: clip.embedding, space, logit_scale: 100.0 },
        image: Image {
            size: [clip.picture; 2],
            mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
            resize: Filter::Bicubic,
            batch: BTreeMap::new(),
            files: cpu(towers.image),
        },
        text: Some(Text {
            tokenizer: towers.tokenizer,
            context: clip.context,
            pooling: Pooling::Eot,
            template: "a photo of a person {}.".into(),
            files: cpu(towers.text),
        }),
        detector,
        heads: None,
        sha256: hashes,
    }
}

pub(super) fn write_manifest(manifest: &Manifest, folder: &Path) -> io::Result<()> {
    let text = toml::to_string(manifest).map_err(io::Error::other)?;
    fs::write(folder.join(MANIFEST), text)
}

fn cpu(file: String) -> Files {
    Files::from([("cpu".into(), file)])
}
