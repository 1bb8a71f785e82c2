//! Embedded sentences on disk: what one start leaves to the next, which then needs no text tower.
//!
//! Whatever is wrong with the file, it is as if there were none: the words are embedded anew.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};

use super::Vocabulary;
use super::sentences::Sentences;
use crate::clip::Embeddings;

/// Bytes; more than any vocabulary has.
const LARGEST: u64 = 64 << 20;

/// Names in the file: the tensor `[sentences, width]` f32, and in the header who embedded them, their texts as a JSON
/// list, and the SHA-256 over all that.
const ROWS: &str = "rows";
const ENCODER: &str = "encoder";
const SENTENCES: &str = "sentences";
const HASH: &str = "sha256";

/// A file of sentences and their rows.
#[derive(Debug)]
pub struct Shelf {
    path: PathBuf,
    encoder: String,
}

impl Shelf {
    /// The file at `path`; what is in it counts if it was embedded by `encoder`, a text that no two encoders share.
    pub fn new(path: &Path, encoder: String) -> Self {
        Self { path: path.to_owned(), encoder }
    }

    /// The rows of `sentences`, if all of them are there.
    pub fn rows(&self, sentences: &[String]) -> Option<Embeddings> {
        let kept = self.read()?;
        let mut rows = Embeddings::new(kept.width());
        sentences.iter().all(|sentence| kept.get(sentence).is_some_and(|row| rows.push(row))).then_some(rows)
    }

    /// Keeps the sentences of `vocabulary`, and no others. Nothing is written if that is what is kept.
    ///
    /// # Errors
    /// It cannot be written; the file is as it was.
    pub fn keep(&self, vocabulary: &Vocabulary) -> io::Result<()> {
        if self.read().is_some_and(|kept| kept == vocabulary.sentences) {
            return Ok(());
        }
        let written = self.path.with_extension("new");
        let mut file = File::create(&written)?;
        file.write_all(&self.bytes(&vocabulary.sentences)?)?;
        file.sync_all()?;
        fs::rename(written, &self.path)
    }

    fn bytes(&self, sentences: &Sentences) -> io::Result<Vec<u8>> {
        let texts = serde_json::to_string(&sentences.texts())?;
        let rows: Vec<u8> = sentences.rows().data().iter().flat_map(|x| x.to_le_bytes()).collect();
        let shape = vec![sentences.rows().len(), sentences.width()];
        let tensor = TensorView::new(Dtype::F32, shape, &rows).map_err(io::Error::other)?;
        let header = HashMap::from([
            (HASH.into(), hash(&self.encoder, &texts, &rows)),
            (ENCODER.into(), self.encoder.clone()),
            (SENTENCES.into(), texts),
        ]);
        safetensors::serialize([(ROWS, tensor)], Some(header)).map_err(io::Error::other)
    }

    fn read(&self) -> Option<Sentences> {
        let mut bytes = Vec::new();
        File::open(&self.path).ok()?.take(LARGEST).read_to_end(&mut bytes).ok()?;
        let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
        let header = header.metadata().as_ref()?;
        let (encoder, texts) = (header.get(ENCODER)?, header.get(SENTENCES)?);
        let file = SafeTensors::deserialize(&bytes).ok()?;
        let tensor = file.tensor(ROWS).ok()?;
        if *encoder != self.encoder || *header.get(HASH)? != hash(encoder, texts, tensor.data()) {
            return None;
        }
        let (Dtype::F32, [_, width]) = (tensor.dtype(), tensor.shape()) else { return None };
        let numbers: Vec<f32> = tensor.data().as_chunks().0.iter().copied().map(f32::from_le_bytes).collect();
        Sentences::of(serde_json::from_str(texts).ok()?, numbers.chunks_exact(*width.max(&1)), *width)
    }
}

fn hash(encoder: &str, texts: &str, rows: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [encoder.as_bytes(), texts.as_bytes(), rows] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{action, build, settings};
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| text.to_string()).collect()
    }

    #[test]
    fn what_is_kept_is_there_at_the_next_start_for_the_same_encoder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentences");
        let shelf = Shelf::new(&path, "a".into());
        let wanted = texts(&["a person standing.", "a person waving."]);
        assert_eq!(shelf.rows(&wanted), None, "nothing is there yet");
        let words = build(&[action("wave", &["waving"], &[])], &settings(&["standing"])).unwrap();
        shelf.keep(&words).unwrap();
        let rows = Shelf::new(&path, "a".into()).rows(&wanted).unwrap();
        let row = |text: &str| words.sentences.get(text);
        assert_eq!((rows.row(0), rows.row(1)), (row(&wanted[0]), row(&wanted[1])));
        assert_eq!(shelf.rows(&texts(&["a person waving.", "a person falling."])), None, "one is missing");
        assert_eq!(Shelf::new(&path, "b".into()).rows(&wanted), None, "another encoder's");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn other_words_take_the_place_of_those_before_and_the_same_write_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentences");
        let shelf = Shelf::new(&path, "a".into());
        let words = |phrase| build(&[action("x", &[phrase], &[])], &settings(&[])).unwrap();
        shelf.keep(&words("waving")).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
        shelf.keep(&words("waving")).unwrap();
        assert!(fs::metadata(&path).unwrap().permissions().readonly(), "it is the file from before");
        shelf.keep(&words("falling")).unwrap();
        assert_eq!(shelf.rows(&texts(&["a person waving."])), None);
        assert!(shelf.rows(&texts(&["a person falling."])).is_some());
        assert!(Shelf::new(&folder.path().join("no/folder"), "a".into()).keep(&words("x")).is_err());
    }

    #[test]
    fn a_damaged_file_is_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sentences");
        let shelf = Shelf::new(&path, "a".into());
        let wanted = texts(&["a person waving."]);
        shelf.keep(&build(&[action("wave", &["waving"], &[])], &settings(&[])).unwrap()).unwrap();
        let (good, kept) = (fs::read(&path).unwrap(), shelf.rows(&wanted).unwrap());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 4;
            fs::write(&path, &bad).unwrap();
            assert!(shelf.rows(&wanted).is_none_or(|rows| rows == kept), "byte {at}");
            fs::write(&path, &good[..at]).unwrap();
            assert_eq!(shelf.rows(&wanted), None, "cut to {at}");
        }
    }
}
