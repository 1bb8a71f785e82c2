use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::architecture::{Clip, Precision, Recipe, Tower};
use super::*;
use crate::engine::{KINDS, engine};

const FILES: [(&str, &[u8]); 4] = [
    ("image.onnx", b"an image tower"),
    ("text.onnx", b"a text tower"),
    ("tokenizer.json", b"{}"),
    ("detector.onnx", b"a detector"),
];

/// A manifest of `files` in which `from` is replaced by `to`.
fn manifest(files: &[(&str, &[u8])], from: &str, to: &str) -> String {
    let hashes: String = files
        .iter()
        .map(|(name, bytes)| format!("{name:?} = \"{}\"\n", hex::encode(Sha256::digest(bytes))))
        .collect();
    let text = format!(
        r#"
name = "test-pack"
version = 3
license = "MIT"
source = "here"
[embedding]
width = 32
space = "test"
logit_scale = 100.0
[image]
size = [32, 32]
mean = [0.5, 0.5, 0.5]
std = [0.25, 0.25, 0.25]
resize = "bicubic"
files = {{ cpu = "image.onnx" }}
[text]
tokenizer = "tokenizer.json"
context = 16
pooling = "eot"
template = "a person {{}}."
files = {{ cpu = "text.onnx" }}
[detector]
kind = "nanodet"
size = [416, 416]
classes = "coco"
person = 0
files = {{ cpu = "detector.onnx" }}
[sha256]
{hashes}"#
    );
    assert!(text.contains(from), "{from:?} is not in the manifest");
    text.replace(from, to)
}

fn pack_of(files: &[(&str, &[u8])], from: &str, to: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    fs::write(folder.path().join("pack.toml"), manifest(files, from, to)).unwrap();
    folder
}

fn good() -> TempDir {
    pack_of(&FILES, "", "")
}

#[test]
fn a_folder_is_a_pack() {
    let folder = good();
    let pack = Pack::open(folder.path()).unwrap();
    assert_eq!(pack.identity(), "test-pack@3");
    assert_eq!(pack.manifest().embedding.width, 32);
    assert_eq!(pack.tokenizer().unwrap().as_ref(), b"{}");
    assert_eq!(pack.heads().unwrap(), None);
    assert_eq!(pack.verify().count(), 4);
    assert!(pack.verify().all(|(_, result)| result.is_ok()));
    let model = pack.model(Role::Image, "cpu").unwrap();
    assert!(matches!(model.bytes, ModelBytes::File(path) if path == folder.path().join("image.onnx")));
}

#[test]
fn an_engine_without_files_of_its_own_reads_those_of_cpu() {
    let folder = pack_of(&FILES, r#"cpu = "image.onnx""#, r#"cpu = "image.onnx", cuda = "text.onnx""#);
    let pack = Pack::open(folder.path()).unwrap();
    assert!(pack.model(Role::Image, "tract").unwrap().name.ends_with("image.onnx"));
    assert!(pack.model(Role::Image, "cuda").unwrap().name.ends_with("text.onnx"));
}

#[test]
fn a_file_that_is_not_what_was_published_is_named() {
    let message = |change: &dyn Fn(PathBuf)| {
        let folder = good();
        change(folder.path().join("image.onnx"));
        let error = Pack::open(folder.path()).unwrap().model(Role::Image, "cpu").unwrap_err();
        println!("{error}");
        (error.to_string(), error)
    };
    let (text, error) = message(&|path| fs::remove_file(path).unwrap());
    assert!(
        matches!(error, PackError::Missing { .. }) && text.contains("test-pack@3: image.onnx is missing")
    );
    let (text, error) = message(&|path| fs::write(path, b"an image towEr").unwrap());
    let hashes = [&b"an image tower"[..], b"an image towEr"].map(|bytes| hex::encode(Sha256::digest(bytes)));
    assert!(
        matches!(error, PackError::Hash { .. }) && hashes.iter().all(|hash| text.contains(hash)),
        "{text}"
    );
    let (_, error) = message(&|path| fs::write(path, b"an image").unwrap());
    assert!(matches!(error, PackError::Hash { .. }), "short");
    let (text, error) = message(&|path| fs::write(path, b"").unwrap());
    assert!(matches!(error, PackError::Size { size: 0, .. }) && text.contains("image.onnx is 0 bytes"));
    let (_, error) = message(&|path| {
        fs::remove_file(&path).unwrap();
        fs::create_dir(path).unwrap();
    });
    assert!(matches!(error, PackError::Read { .. } | PackError::Size { .. }), "a folder");
}

#[test]
fn a_damaged_tokenizer_is_not_handed_out() {
    let folder = good();
    fs::write(folder.path().join("tokenizer.json"), b"[]").unwrap();
    let pack = Pack::open(folder.path()).unwrap();
    assert!(matches!(pack.tokenizer(), Err(PackError::Hash { file, .. }) if file == "tokenizer.json"));
    assert_eq!(pack.verify().filter(|(_, result)| result.is_err()).count(), 1);
}

#[test]
fn a_pack_that_is_not_there_is_named() {
    let error = Pack::open(Path::new("/nowhere/pack")).unwrap_err();
    assert!(
        error.to_string().contains("/nowhere/pack") && error.to_string().contains("name a pack's folder")
    );
    let error = Pack::open(Path::new("/nowhere/pack.tar.zst")).unwrap_err();
    assert!(error.to_string().contains("/nowhere/pack.tar.zst"));
}

#[test]
fn a_manifest_that_cannot_be_is_refused_by_key() {
    let wrong = [
        ("width = 32", "width = 0", "embedding.width"),
        ("width = 32", "width = 1000000", "embedding.width"),
        ("width = 32", "width = 32\nwdith = 3", "wdith"),
        ("version = 3", "version = 3\ncolour = 1", "colour"),
        ("logit_scale = 100.0", "logit_scale = -1.0", "logit_scale"),
        ("logit_scale = 100.0", "logit_scale = nan", "logit_scale"),
        ("size = [32, 32]", "size = [0, 32]", "image.size"),
        ("size = [32, 32]", "size = [32]", "size"),
        ("size = [416, 416]", "size = [416, 99999]", "detector.size"),
        ("std = [0.25, 0.25, 0.25]", "std = [0.25, 0.0, 0.25]", "image.std"),
        ("mean = [0.5, 0.5, 0.5]", "mean = [0.5, inf, 0.5]", "image.mean"),
        ("resize = \"bicubic\"", "resize = \"lanczos\"", "lanczos"),
        ("resize = \"bicubic\"", "resize = \"bicubic\"\nbatch = { cpu = 0 }", "image.batch"),
        ("pooling = \"eot\"", "pooling = \"max\"", "max"),
        ("kind = \"nanodet\"", "kind = \"yolo99\"", "yolo99"),
        ("kind = \"nanodet\"", "kind = \"nanodet\"\nstd = [0.0, 1.0, 1.0]", "detector.std"),
        ("kind = \"nanodet\"", "kind = \"nanodet\"\nresize = \"squash\"", "squash"),
        ("classes = \"coco\"", "classes = \"voc\"", "voc"),
        ("person = 0", "person = 80", "detector.person"),
        ("a person {}.", "a person.", "text.template"),
        ("context = 16", "context = 0", "text.context"),
        ("{ cpu = \"text.onnx\" }", "{ cuda = \"text.onnx\" }", "text.files"),
        ("{ cpu = \"text.onnx\" }", "{ cpu = \"other.onnx\" }", "other.onnx"),
        ("{ cpu = \"text.onnx\" }", "{ cpu = \"text.onnx\", cuda = \"text.fp16.onnx\" }", "text.fp16.onnx"),
        ("\"text.onnx\" = \"", "\"../text.onnx\" = \"00\"\n\"text.onnx\" = \"", "../text.onnx"),
        ("\"text.onnx\" = \"", "\"spare.onnx\" = \"00\"\n\"text.onnx\" = \"", "64 hexadecimal"),
        ("name = \"test-pack\"", "name = \"../../etc\"", "../../etc"),
        ("[embedding]", "[embeddding]", "embedd"),
    ];
    for (from, to, part) in wrong {
        let folder = pack_of(&FILES, from, to);
        let error = Pack::open(folder.path()).unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, PackError::Manifest { .. }), "{to}: {message}");
        assert!(message.contains(part) && message.contains("pack.toml"), "{to}: {message}");
    }
}

/// A pack whose image tower is `bytes`, for pictures of 32 px.
fn pack_with_tower(bytes: &[u8]) -> TempDir {
    pack_of(&[("image.onnx", bytes), FILES[1], FILES[2], FILES[3]], "", "")
}

#[test]
fn a_tower_reads_the_input_that_is_asked_for_or_says_why_not() {
    let tower = Tower { width: 64, layers: 1, heads: 2 };
    let clip =
        Clip { picture: 32, patch: 8, image: tower, text: tower, context: 16, vocabulary: 10, embedding: 32 };
    let mut bytes = Vec::new();
    Recipe { clip, precision: Precision::F32, seed: 1 }.image_tower().write(&mut bytes).unwrap();
    let load = |bytes: &[u8], side| {
        let folder = pack_with_tower(bytes);
        let pack = Pack::open(folder.path()).unwrap().with_input(side);
        let options = Options::of(1);
        let session =
            pack.load(Role::Image, &*engine(KINDS[0]), options).map_err(|error| error.to_string())?;
        Ok::<_, String>((session.inputs()[0].shape.clone(), pack.manifest().image.size))
    };
    let fits = |side| Ok((vec![None, Some(3), Some(side), Some(side)], [side; 2]));
    assert_eq!(load(&bytes, Some(16)), fits(16));
    assert_eq!(load(&bytes, None), fits(32));
    assert_eq!(load(&bytes, Some(32)), fits(32));
    let error = load(&bytes, Some(20)).unwrap_err();
    assert!(error.contains("20 × 20 px") && error.contains("multiples of 8 px"), "{error}");
    assert!(error.contains("image.onnx") && error.contains("scoring.input"), "{error}");
    assert!(load(b"no model", Some(16)).unwrap_err().contains("scoring.input"));

    // Exporters write the number of tokens into graphs: such a one is still a graph, and fails when it is run.
    let mut model = rten_onnx::onnx::ModelProto::parse_buf(&bytes[..]).unwrap();
    let constants = &mut model.graph.as_mut().unwrap().initializer;
    let shape = constants.iter_mut().find(|tensor| tensor.name.as_deref() == Some("flat_patches")).unwrap();
    let fixed = [0_i64, 64, 16].iter().flat_map(|size| size.to_le_bytes()).collect::<Vec<_>>();
    *shape.raw_data.as_ref().unwrap().borrow_mut() = fixed;
    let fixed = model.write_buf().unwrap();
    assert_eq!(load(&fixed, None), fits(32));
    let error = load(&fixed, Some(16)).unwrap_err();
    assert!(error.contains("16 × 16 px") && error.contains("scoring.input"), "{error}");
}

#[test]
fn a_manifest_survives_being_written() {
    let parsed = Manifest::parse(&manifest(&FILES, "person = 0", "person = 0\nchannels = \"bgr\"")).unwrap();
    assert_eq!(parsed.detector.channels, Some(Channels::Bgr));
    assert_eq!(Manifest::parse(&toml::to_string(&parsed).unwrap()).unwrap(), parsed);
    let nano = Pack::open(Path::new("nano")).unwrap();
    assert_eq!(nano.manifest().image.batch.get("cpu"), Some(&1));
    assert_eq!(&Manifest::parse(&toml::to_string(nano.manifest()).unwrap()).unwrap(), nano.manifest());
}

const SMALL: Clip = Clip {
    picture: 32,
    patch: 8,
    image: Tower { width: 16, layers: 1, heads: 1 },
    text: Tower { width: 16, layers: 1, heads: 1 },
    context: 16,
    vocabulary: 100,
    embedding: 32,
};

#[test]
fn a_model_of_another_pack_is_refused_by_its_shapes() {
    let recipe = Recipe { clip: SMALL, precision: Precision::F32, seed: 0 };
    let [mut image, mut text] = [Vec::new(), Vec::new()];
    recipe.image_tower().write(&mut image).unwrap();
    recipe.text_tower().write(&mut text).unwrap();
    let files: [(&str, &[u8]); 4] =
        [("image.onnx", &image), ("text.onnx", &text), ("tokenizer.json", b"{}"), ("detector.onnx", &image)];
    let options = Options::of(1);
    for &kind in KINDS {
        let engine = engine(kind);
        let load = |from, to, role| {
            let folder = pack_of(&files, from, to);
            Pack::open(folder.path()).unwrap().load(role, &*engine, options).map(drop)
        };
        load("", "", Role::Image).unwrap();
        load("", "", Role::Text).unwrap();
        let refused = |from, to, role, part: &str| {
            let error = load(from, to, role).unwrap_err();
            assert!(matches!(error, PackError::Shape { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
        };
        refused("width = 32", "width = 33", Role::Image, "embedding.width is 33");
        refused("width = 32", "width = 33", Role::Text, "embedding.width is 33");
        refused("size = [32, 32]", "size = [32, 40]", Role::Image, "size is 32 × 40 × 3");
        refused("", "", Role::Detector, "size is 416 × 416 × 3");
        // A text tower in the place of a detector.
        let other = r#"files = { cpu = "text.onnx" }"#;
        let folder = pack_of(&files, r#"files = { cpu = "detector.onnx" }"#, other);
        let pack = Pack::open(folder.path()).unwrap();
        assert!(matches!(pack.load(Role::Detector, &*engine, options), Err(PackError::Shape { .. })));
        // Not a model at all, though its hash is right.
        let folder = good();
        let error = Pack::open(folder.path()).unwrap().load(Role::Image, &*engine, options).err().unwrap();
        assert!(matches!(error, PackError::Engine(_)), "{error}");
    }
}

mod archives {
    use super::*;

    /// A name as it is written, however bad; what it is; what it holds.
    type Entry<'a> = (&'a str, tar::EntryType, &'a [u8]);

    /// A `.tar.zst` of the entries.
    fn archive(folder: &Path, entries: &[Entry<'_>]) -> PathBuf {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, bytes) in entries {
            let mut header = tar::Header::new_ustar();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            if kind.is_symlink() {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        let tar = builder.into_inner().unwrap();
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let path = folder.join("pack.tar.zst");
        fs::write(&path, ruzstd::encoding::compress_to_vec(tar.as_slice(), level)).unwrap();
        path
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    fn good_entries<'a>(prefix: &str, text: &'a str) -> Vec<(String, &'a [u8])> {
        let files = FILES.iter().map(|(name, bytes)| (format!("{prefix}{name}"), *bytes));
        files.chain([(format!("{prefix}pack.toml"), text.as_bytes())]).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn an_archive_is_unpacked_once_beside_itself() {
        let text = manifest(&FILES, "", "");
        for prefix in ["", "./", "test-pack/"] {
            let folder = TempDir::new().unwrap();
            let entries = good_entries(prefix, &text);
            let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), FILE, *bytes)).collect();
            let path = archive(folder.path(), &entries);
            let pack = Pack::open(&path).unwrap();
            assert!(pack.verify().all(|(_, result)| result.is_ok()));
            let unpacked: Vec<String> =
                names(folder.path()).into_iter().filter(|name| name != "pack.tar.zst").collect();
            assert_eq!(unpacked.len(), 1);
            // The second time it is only opened: a file that was changed since stays changed, and is found out.
            fs::write(folder.path().join(&unpacked[0]).join("text.onnx"), b"changed").unwrap();
            let pack = Pack::open(&path).unwrap();
            assert!(matches!(pack.model(Role::Text, "cpu"), Err(PackError::Hash { .. })));
        }
    }

    #[test]
    fn a_new_archive_of_an_old_name_is_unpacked_anew() {
        let folder = TempDir::new().unwrap();
        let open = |text: &str| {
            let entries = good_entries("", text);
            let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), FILE, *bytes)).collect();
            Pack::open(&archive(folder.path(), &entries)).unwrap().identity()
        };
        assert_eq!(open(&manifest(&FILES, "", "")), "test-pack@3");
        assert_eq!(open(&manifest(&FILES, "version = 3", "version = 4")), "test-pack@4");
    }

    #[test]
    fn an_archive_that_leads_elsewhere_is_refused_and_leaves_nothing() {
        let many: Vec<String> = (0..40).map(|index| format!("file{index}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), FILE, &b"x"[..])).collect();
        let cases: [(&[Entry<'_>], &str); 8] = [
            (&[("../evil", FILE, b"x")], "would lead out"),
            (&[("a/../../evil", FILE, b"x")], "would lead out"),
            (&[("/tmp/evil", FILE, b"x")], "would lead out"),
            (&[("a/b/c", FILE, b"x")], "would lead out"),
            (&[(".hidden", FILE, b"x")], "would lead out"),
            (&[("link", tar::EntryType::Symlink, b"")], "is a link"),
            (&[("twice", FILE, b"x"), ("a/twice", FILE, b"y")], "there twice"),
            (&many, "more than 32 files"),
        ];
        for (entries, part) in cases {
            let folder = TempDir::new().unwrap();
            let error = Pack::open(&archive(folder.path(), entries)).unwrap_err();
            assert!(matches!(error, PackError::Archive { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(names(folder.path()), ["pack.tar.zst"], "{entries:?}");
        }
    }

    #[test]
    fn an_archive_cut_off_or_of_garbage_is_refused_and_leaves_nothing() {
        let folder = TempDir::new().unwrap();
        let text = manifest(&FILES, "", "");
        let entries = good_entries("", &text);
        let entries: Vec<_> = entries.iter().map(|(name, bytes)| (name.as_str(), FILE, *bytes)).collect();
        let path = archive(folder.path(), &entries);
        let bytes = fs::read(&path).unwrap();
        for length in [0, 3, 20, bytes.len() / 2, bytes.len() - 20] {
            fs::write(&path, &bytes[..length]).unwrap();
            let error = Pack::open(&path).unwrap_err();
            assert!(matches!(error, PackError::Archive { .. }), "{length}: {error}");
            assert_eq!(names(folder.path()), ["pack.tar.zst"], "{length}");
        }
        fs::write(&path, b"not an archive at all, but a page that says so").unwrap();
        assert!(matches!(Pack::open(&path), Err(PackError::Archive { .. })));
    }
}

#[cfg(feature = "nano")]
mod carried {
    use super::*;

    /// The hashes of embedded files are verified here, and not at every start.
    #[test]
    fn nano_is_whole_and_loads() {
        let pack = Pack::open(Path::new("nano")).unwrap();
        assert_eq!(pack.manifest().name, "nano");
        for (file, result) in pack.verify() {
            result.unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        for &kind in KINDS {
            for role in [Role::Image, Role::Text, Role::Detector] {
                pack.load(role, &*engine(kind), Options::of(1)).unwrap();
            }
        }
        tokenizers::Tokenizer::from_bytes(pack.tokenizer().unwrap()).unwrap();
    }

    #[test]
    fn a_random_pack_is_whole_and_the_same_by_its_seed() {
        let folder = TempDir::new().unwrap();
        let make = |name: &str, precision, seed| {
            let recipe = Recipe { clip: SMALL, precision, seed };
            let out = folder.path().join(name);
            make_random(&RandomPack { name: "small".into(), recipe }, &out).map(|manifest| (manifest, out))
        };
        for precision in [Precision::F32, Precision::Int8] {
            let (written, out) = make(&format!("{precision:?}"), precision, 5).unwrap();
            let pack = Pack::open(&out).unwrap();
            assert_eq!(pack.manifest(), &written);
            assert!(pack.verify().all(|(_, result)| result.is_ok()));
            for &kind in KINDS {
                for role in [Role::Image, Role::Text, Role::Detector] {
                    pack.load(role, &*engine(kind), Options::of(1)).unwrap();
                }
            }
            tokenizers::Tokenizer::from_bytes(pack.tokenizer().unwrap()).unwrap();
            let (same, _) = make(&format!("{precision:?} again"), precision, 5).unwrap();
            let (other, _) = make(&format!("{precision:?} of another seed"), precision, 6).unwrap();
            assert_eq!(same, written);
            assert_ne!(other.sha256, written.sha256);
        }
        assert!(matches!(make("F32", Precision::F32, 5), Err(PackError::Exists(_))));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 6, "something half written was left");
    }
}
