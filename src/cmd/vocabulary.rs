//! `watchword vocabulary`: what a pack makes of words, before a camera watches for them.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::assemble::Loaded;
use crate::camera;
use crate::clip::{Embeddings, ImageTower};
use crate::config::{Action, Config};
use crate::frame::Rect;
use crate::heads::{Features, Scorer, Scores};
use crate::vocabulary::{Vocabulary, sentence};

/// Try words on pictures.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say how well phrases fit pictures, each picture as a whole
    Score(ScoreArgs),
    /// Show the phrases as the pack reads them, and which it can hardly tell apart
    Show(WordArgs),
}

/// Whose words, and who reads them.
#[derive(Debug, clap::Args)]
struct WordArgs {
    /// What somebody may be doing; besides those of the configuration
    #[arg(long = "action", value_name = "TEXT", num_args = 1.., required_unless_present = "config")]
    actions: Vec<String>,
    /// What people do when they do none of it; besides that of the configuration
    #[arg(long, value_name = "TEXT", num_args = 1..)]
    background: Vec<String>,
    /// A configuration with actions, background and pack
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// `nano`, a pack's folder, or a .tar.zst of one
    #[arg(long)]
    pack: Option<PathBuf>,
    /// Sentence around each phrase, with {} where it goes; the pack has its own
    #[arg(long)]
    template: Option<String>,
}

#[derive(Debug, clap::Args)]
struct ScoreArgs {
    #[command(flatten)]
    words: WordArgs,
    /// JPEG or PNG
    #[arg(long = "image", value_name = "FILE", num_args = 1.., required = true)]
    images: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Scores or shows.
pub fn run(args: Args) -> anyhow::Result<()> {
    let text = match args.command {
        Command::Score(args) => score(&args)?,
        Command::Show(args) => show(args.configuration()?)?,
    };
    print!("{text}");
    Ok(())
}

impl WordArgs {
    /// The configuration file, or the defaults, with what the command line says over it.
    fn configuration(&self) -> anyhow::Result<Config> {
        let mut config = match &self.config {
            Some(path) => super::config::load(path)?,
            None => Config::default(),
        };
        config.actions.extend(self.actions.iter().map(|phrase| Action {
            name: phrase.clone(),
            phrases: vec![phrase.clone()],
            ..Action::default()
        }));
        config.vocabulary.background.extend_from_slice(&self.background);
        config.vocabulary.template = self.template.clone().or(config.vocabulary.template);
        if let Some(pack) = &self.pack {
            config.pack.path.clone_from(pack);
        }
        Ok(config)
    }
}

fn score(args: &ScoreArgs) -> anyhow::Result<String> {
    let config = args.words.configuration()?;
    let loaded = Loaded::open(&config)?;
    let vocabulary = loaded.vocabulary(&config)?;
    let mut tower = ImageTower::open(&loaded.pack, &*loaded.engine, loaded.options)?;
    let scale = config.scoring.logit_scale.unwrap_or(loaded.pack.manifest().embedding.logit_scale);
    let mut scorer = Scorer::new(config.scoring.heads, scale);

    let (mut whole, none) = (Embeddings::default(), Embeddings::default());
    let mut scores = Scores::default();
    let mut pictures = Vec::new();
    for path in &args.images {
        let picture = camera::read_picture(path)?;
        let rect = Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32);
        tower.push(&picture, rect, config.scoring.crop);
        tower.encode(&mut [(1, &mut whole)])?;
        // Person and context at once: fusion of a vector with itself is that vector.
        let features = Features { count: 1, persons: &whole, objects: &none, context: whole.row(0) };
        scorer.score(&features, &vocabulary, &mut scores);
        pictures.push(Scored::new(path, &config.actions, scores.row(0).unwrap_or_default()));
    }
    if args.json {
        let json: Vec<_> = pictures.iter().map(Scored::json).collect();
        return Ok(serde_json::to_string_pretty(&json)? + "\n");
    }
    Ok(pictures.iter().map(Scored::table).collect::<Vec<_>>().join("\n"))
}

/// A picture's probabilities.
struct Scored<'a> {
    path: &'a Path,
    actions: Vec<(&'a Action, f32)>,
}

/// As printed with `--json`.
#[derive(Serialize)]
struct Json {
    image: String,
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
    fn new(path: &'a Path, actions: &'a [Action], scores: &[f32]) -> Self {
        Self { path, actions: actions.iter().zip(scores.iter().copied()).collect() }
    }

    fn none(&self) -> f32 {
        (1.0 - self.actions.iter().map(|(_, p)| p).sum::<f32>()).max(0.0)
    }

    fn json(&self) -> Json {
        Json {
            image: self.path.display().to_string(),
            scores: self.actions.iter().map(|(action, p)| (action.name.clone(), (*p).into())).collect(),
            none: self.none(),
        }
    }

    /// The actions in words, most probable first.
    fn table(&self) -> String {
        let mut rows: Vec<_> =
            self.actions.iter().map(|(action, p)| (shortened(action.label()), *p)).collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1));
        // What would print as nothing: without background, what rounding left over.
        if self.none() >= 5e-4 {
            rows.push((NONE.into(), self.none()));
        }
        let width = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
        let mut text = format!("{}\n", self.path.display());
        for (label, p) in rows {
            let bar = "█".repeat((p * BAR as f32).round() as usize);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<width$}  {bar:<BAR$}  {:5.1} %", p * 100.0);
        }
        text
    }
}

/// At most [`LABEL`] characters of `label`.
fn shortened(label: &str) -> String {
    match label.char_indices().nth(LABEL) {
        Some(_) => label.chars().take(LABEL - 1).chain(['…']).collect(),
        None => label.to_owned(),
    }
}

/// Phrases whose cosine is above this get nearly the same score from any picture.
const ALIKE: f32 = 0.95;
/// Pairs to show although they are not alike.
const NEAREST: usize = 5;

fn show(config: Config) -> anyhow::Result<String> {
    let loaded = Loaded::open(&config)?;
    let vocabulary = loaded.vocabulary(&config)?;
    Ok(describe(&config, &vocabulary, &loaded.pack.identity())?)
}

fn describe(config: &Config, vocabulary: &Vocabulary, pack: &str) -> Result<String, std::fmt::Error> {
    let read = |phrase: &String| sentence(vocabulary.template(), phrase);
    let mut text = format!("vocabulary {}, read by {pack}\n\n", vocabulary.id());
    for action in &config.actions {
        writeln!(text, "{}", action.name)?;
        action.phrases.iter().try_for_each(|phrase| writeln!(text, "  {}", read(phrase)))?;
        action.against.iter().try_for_each(|phrase| writeln!(text, "  against {}", read(phrase)))?;
    }
    if !config.vocabulary.background.is_empty() {
        writeln!(text, "(background)")?;
        config.vocabulary.background.iter().try_for_each(|phrase| writeln!(text, "  {}", read(phrase)))?;
    }
    let pairs = vocabulary.pairs();
    let alike = pairs.iter().filter(|(_, _, cosine)| *cosine > ALIKE).count();
    if !pairs.is_empty() {
        writeln!(text, "\nmost alike (cosine)")?;
    }
    for (a, b, cosine) in pairs.iter().take(alike.max(NEAREST)) {
        let warning = if *cosine > ALIKE {
            "  ! the pack can hardly tell these apart; word them differently"
        } else {
            ""
        };
        writeln!(text, "  {cosine:.2}  {a} / {b}{warning}")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(name: &str, phrase: &str) -> Action {
        Action { name: name.into(), phrases: vec![phrase.into()], ..Action::default() }
    }

    #[test]
    fn the_table_is_sorted_and_aligned() {
        let actions = [action("wave", "waving"), action("fall", "stürzt")];
        let scored = Scored::new(Path::new("a.jpg"), &actions, &[0.25, 0.5]);
        let bar = |n: usize| "█".repeat(n) + &" ".repeat(BAR - n);
        let expected = format!(
            "a.jpg\n  stürzt           {}   50.0 %\n  waving           {}   25.0 %\n  (none of these)  {}   25.0 %\n",
            bar(12),
            bar(6),
            bar(6)
        );
        assert_eq!(scored.table(), expected);
        let long = [action("long", &"ä".repeat(LABEL + 1)), action("just", &"ö".repeat(LABEL))];
        let table = Scored::new(Path::new("a.jpg"), &long, &[0.5, 0.5]).table();
        let labels = [format!("  {}…  ", "ä".repeat(LABEL - 1)), format!("  {}  ", "ö".repeat(LABEL))];
        assert!(labels.iter().all(|label| table.contains(label)), "{table}");
        let certain = Scored::new(Path::new("a.jpg"), &actions[..1], &[1.0]).table();
        assert_eq!(certain, format!("a.jpg\n  waving  {}  100.0 %\n", bar(BAR)), "nothing else is possible");
        let json = serde_json::to_value(scored.json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"image": "a.jpg", "scores": {"wave": 0.25, "fall": 0.5}, "none": 0.25})
        );
    }

    #[test]
    fn what_is_alike_is_pointed_out() {
        let mut config = Config {
            actions: vec![action("wave", "waving"), action("greet", "greeting")],
            ..Config::default()
        };
        config.actions[0].against.push("standing".into());
        config.vocabulary.background.push("walking".into());
        let words = crate::vocabulary::Words {
            actions: &config.actions,
            settings: &config.vocabulary,
            template: "a person {}",
            space: "s",
            pack: "p@1",
        };
        let vocabulary = Vocabulary::from_words(&words, None, |sentences| {
            let mut rows = Embeddings::new(2);
            for sentence in sentences {
                assert!(rows.push_normalised(if sentence.ends_with("ting") {
                    &[1.0, 0.15]
                } else {
                    &[1.0, 0.0]
                }));
            }
            Ok(rows)
        })
        .unwrap();
        let text = describe(&config, &vocabulary, "p@1").unwrap();
        assert!(text.starts_with(&format!(
            "vocabulary {}, read by p@1\n\nwave\n  a person waving\n",
            vocabulary.id()
        )));
        assert!(
            text.contains("  against a person standing\n")
                && text.contains("(background)\n  a person walking\n")
        );
        assert!(text.contains("  0.99  wave / greet  ! the pack can hardly tell these apart"), "{text}");
    }

    #[test]
    fn the_command_line_adds_to_the_configuration() {
        #[derive(clap::Parser)]
        struct Cli {
            #[command(flatten)]
            args: Args,
        }
        let parse =
            |line: &str| <Cli as clap::Parser>::try_parse_from(line.split(' ')).map(|cli| cli.args.command);
        let Ok(Command::Score(args)) = parse(
            "x score --action waving falling --action sitting --background standing --image a.jpg b.png --template {}!",
        ) else {
            panic!("should parse")
        };
        assert_eq!(args.images, [Path::new("a.jpg"), Path::new("b.png")]);
        let config = args.words.configuration().unwrap();
        let names: Vec<_> = config.actions.iter().map(|action| (&*action.name, action.label())).collect();
        assert_eq!(names, [("waving", "waving"), ("falling", "falling"), ("sitting", "sitting")]);
        assert_eq!(config.vocabulary.background, ["standing"]);
        assert_eq!(config.vocabulary.template.as_deref(), Some("{}!"));
        assert_eq!(config.pack.path, Path::new("nano"));
        assert!(parse("x score --image a.jpg").is_err(), "no words");
        assert!(parse("x score --action waving").is_err(), "no picture");
        assert!(parse("x show --config watchword.toml").is_ok());
    }
}
