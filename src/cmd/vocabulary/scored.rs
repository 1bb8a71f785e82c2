//! What phrases score on a picture, for people and for programs to read.

use std::fmt::Write;
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::config::Action;
use crate::detect::Detection;
use crate::heads::Scores;

/// A picture's probabilities.
pub struct Scored<'a> {
    path: &'a Path,
    whole: Probabilities<'a>,
    persons: Vec<(Detection, Probabilities<'a>)>,
}

/// Of each action, in the configuration's order.
struct Probabilities<'a>(Vec<(&'a Action, f32)>);

/// As printed with `--json`.
#[derive(Serialize)]
pub struct Json {
    image: String,
    #[serde(flatten)]
    whole: JsonScores,
    persons: Vec<JsonPerson>,
}

#[derive(Serialize)]
struct JsonPerson {
    /// Pixels.
    #[serde(rename = "box")]
    rect: [f32; 4],
    person_score: f32,
    #[serde(flatten)]
    scores: JsonScores,
}

#[derive(Serialize)]
struct JsonScores {
    /// By action.
    scores: Map<String, Value>,
    /// Probability of no action: of the background, or of what stands against an action.
    none: f32,
}

const NONE: &str = "(none of these)";
/// Characters of a label in the table.
const LABEL: usize = 48;
/// Characters of a bar for certainty.
const BAR: usize = 24;

impl<'a> Scored<'a> {
    /// `scores` has the whole picture's row first, then one for each of `persons`.
    pub fn new(path: &'a Path, actions: &'a [Action], persons: &[Detection], scores: &Scores) -> Self {
        let mut rows =
            scores.rows().map(|row| Probabilities(actions.iter().zip(row.iter().copied()).collect()));
        Self {
            path,
            whole: rows.next().unwrap_or(Probabilities(Vec::new())),
            persons: persons.iter().copied().zip(rows).collect(),
        }
    }

    /// To be printed with `--json`.
    pub fn json(&self) -> Json {
        let persons = self.persons.iter().map(|(person, scores)| {
            let rect = [person.rect.x1, person.rect.y1, person.rect.x2, person.rect.y2];
            JsonPerson { rect, person_score: person.score, scores: scores.json() }
        });
        Json { image: self.path.display().to_string(), whole: self.whole.json(), persons: persons.collect() }
    }

    /// A table for the whole picture and one for each person.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n", self.path.display());
        self.whole.table(&mut text);
        for (person, scores) in &self.persons {
            let ((x, y), rect) = (person.rect.centre(), person.rect);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "person at {x:.0}, {y:.0} ({:.0} × {:.0} pixels, {:.0} % sure)",
                rect.width(),
                rect.height(),
                person.score * 100.0
            );
            scores.table(&mut text);
        }
        text
    }
}

impl Probabilities<'_> {
    fn none(&self) -> f32 {
        (1.0 - self.0.iter().map(|(_, p)| p).sum::<f32>()).max(0.0)
    }

    fn json(&self) -> JsonScores {
        let scores = self.0.iter().map(|(action, p)| (action.name.clone(), (*p).into())).collect();
        JsonScores { scores, none: self.none() }
    }

    /// The actions in words, most probable first.
    fn table(&self, text: &mut String) {
        let mut rows: Vec<_> = self.0.iter().map(|(action, p)| (shortened(action.label()), *p)).collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        // What would print as nothing: without background, what rounding left over.
        if self.none() >= 5e-4 {
            rows.push((NONE.into(), self.none()));
        }
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        for (label, p) in rows {
            let bar = "█".repeat((p * BAR as f32).round() as usize);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<width$}  {bar:<BAR$}  {:5.1} %", p * 100.0);
        }
    }
}

/// At most [`LABEL`] characters of `label`.
fn shortened(label: &str) -> String {
    match label.char_indices().nth(LABEL) {
        Some(_) => label.chars().take(LABEL - 1).chain(['…']).collect(),
        None => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Rect;

    fn action(name: &str, phrase: &str) -> Action {
        Action { name: name.into(), phrases: vec![phrase.into()], ..Action::default() }
    }

    fn scored<'a>(actions: &'a [Action], persons: &[Detection], rows: &[&[f32]]) -> Scored<'a> {
        let mut scores = Scores::default();
        scores.reset(rows.len(), actions.len());
        scores.rows_mut().zip(rows).for_each(|(to, from)| to.copy_from_slice(from));
        Scored::new(Path::new("a.jpg"), actions, persons, &scores)
    }

    fn bar(n: usize) -> String {
        "█".repeat(n) + &" ".repeat(BAR - n)
    }

    #[test]
    fn the_table_is_sorted_and_aligned() {
        let actions = [action("wave", "waving"), action("fall", "stürzt")];
        let person = Detection { class: 0, score: 0.9, rect: Rect::new(10.0, 20.0, 30.0, 60.0) };
        let scored = scored(&actions, &[person], &[&[0.25, 0.5], &[1.0, 0.0]]);
        let expected = format!(
            "a.jpg\n  stürzt           {}   50.0 %\n  waving           {}   25.0 %\n  (none of these)  {}   25.0 %\n\
             person at 20, 40 (20 × 40 pixels, 90 % sure)\n  waving  {}  100.0 %\n  stürzt  {}    0.0 %\n",
            bar(12),
            bar(6),
            bar(6),
            bar(BAR),
            bar(0),
        );
        assert_eq!(scored.table(), expected);
        let expected = serde_json::json!({
            "image": "a.jpg",
            "scores": {"wave": 0.25, "fall": 0.5},
            "none": 0.25,
            "persons": [{
                "box": [10.0, 20.0, 30.0, 60.0],
                "person_score": 0.9f32,
                "scores": {"wave": 1.0, "fall": 0.0},
                "none": 0.0,
            }],
        });
        assert_eq!(serde_json::to_value(scored.json()).unwrap(), expected);
    }

    #[test]
    fn a_long_label_is_cut() {
        let actions = [action("long", &"ä".repeat(LABEL + 1)), action("just", &"ö".repeat(LABEL))];
        let table = scored(&actions, &[], &[&[0.5, 0.5]]).table();
        let labels = [format!("  {}…  ", "ä".repeat(LABEL - 1)), format!("  {}  ", "ö".repeat(LABEL))];
        assert!(labels.iter().all(|label| table.contains(label)), "{table}");
    }
}
