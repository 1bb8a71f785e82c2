//! What the text tower reads of a data set's labels.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use crate::vocabulary::sentence;

/// The sentences of each of `labels`: each of its phrases in each of `templates`.
///
/// `phrases` is a TOML file of `label = "phrase"` or `label = ["phrase", ..]`; for a label that is not in it, and without
/// the file, the phrase is the label's own [`words`]. Every label must come to as many sentences.
pub fn sentences(
    labels: &[String],
    phrases: Option<&Path>,
    templates: &[String],
) -> anyhow::Result<Vec<Vec<String>>> {
    for template in templates {
        ensure!(
            template.matches("{}").count() == 1,
            "template {template:?}: must hold {{}} once, where the phrase goes"
        );
    }
    let own = phrases.map(|path| read(path, labels).with_context(|| format!("phrases {}", path.display())));
    let own = own.transpose()?.unwrap_or_default();
    let mut sentences: Vec<Vec<String>> = Vec::new();
    for label in labels {
        let phrases = own.get(label).cloned().unwrap_or_else(|| vec![words(label)]);
        let of_label: Vec<String> = templates
            .iter()
            .flat_map(|template| phrases.iter().map(move |phrase| sentence(template, phrase)))
            .collect();
        if let Some(first) = sentences.first() {
            ensure!(
                of_label.len() == first.len(),
                "label {label} has {} sentences, the one before it {}: give every label as many phrases",
                of_label.len(),
                first.len()
            );
        }
        sentences.push(of_label);
    }
    Ok(sentences)
}

fn read(path: &Path, labels: &[String]) -> anyhow::Result<HashMap<String, Vec<String>>> {
    let table: toml::Table = std::fs::read_to_string(path)?.parse()?;
    let mut phrases = HashMap::new();
    for (label, value) in table {
        ensure!(labels.contains(&label), "{label} is none of the data set's labels: {}", labels.join(", "));
        let list = match value {
            toml::Value::String(phrase) => vec![phrase],
            toml::Value::Array(values) => {
                let text = |value: &toml::Value| value.as_str().map(str::to_owned);
                values
                    .iter()
                    .map(text)
                    .collect::<Option<_>>()
                    .with_context(|| format!("{label}: not all are text"))?
            }
            _ => bail!("{label}: neither a phrase nor a list of phrases"),
        };
        let blank = list.is_empty() || list.iter().any(|phrase| phrase.trim().is_empty());
        ensure!(!blank, "{label}: a phrase is missing or blank");
        phrases.insert(label, list);
    }
    Ok(phrases)
}

/// A label as words: `shoot_ball` and `FloorGymnastics` are "shoot ball" and "floor gymnastics".
pub fn words(label: &str) -> String {
    let mut words = String::new();
    let mut before = ' ';
    for letter in label.chars() {
        if letter.is_whitespace() || letter == '_' || letter == '-' {
            words.push(' ');
        } else {
            if letter.is_uppercase() && before.is_lowercase() {
                words.push(' ');
            }
            words.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
