//! The short name of a vocabulary: a hash over everything that a score depends on besides the picture.

use sha2::{Digest, Sha256};

use super::Words;

/// The first 8 hexadecimal digits of a SHA-256 over the space, the template, the actions by name, each with its
/// phrases and `against` phrases in alphabetical order, and the background in alphabetical order. Every text is
/// preceded by its length and every list by its count, so that no two vocabularies read the same.
pub fn id(words: &Words<'_>, template: &str) -> String {
    let mut hash = Sha256::new();
    text(&mut hash, "watchword vocabulary 1");
    text(&mut hash, words.space);
    text(&mut hash, template);
    let mut actions: Vec<_> = words.actions.iter().collect();
    actions.sort_by_key(|action| &action.name);
    count(&mut hash, actions.len());
    for action in actions {
        text(&mut hash, &action.name);
        sorted(&mut hash, &action.phrases);
        sorted(&mut hash, &action.against);
    }
    sorted(&mut hash, &words.settings.background);
    hex::encode(hash.finalize().get(..4).unwrap_or_default())
}

fn sorted(hash: &mut Sha256, phrases: &[String]) {
    let mut phrases: Vec<_> = phrases.iter().map(|phrase| phrase.trim()).collect();
    phrases.sort_unstable();
    count(hash, phrases.len());
    phrases.into_iter().for_each(|phrase| text(hash, phrase));
}

fn text(hash: &mut Sha256, text: &str) {
    count(hash, text.len());
    hash.update(text);
}

fn count(hash: &mut Sha256, count: usize) {
    hash.update((count as u64).to_le_bytes());
}
