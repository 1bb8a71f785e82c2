//! `watchword vocabulary`: what a pack makes of words, before a camera watches for them.

mod scored;

use std::fmt::Write;
use std::path::PathBuf;

use scored::Scored;

use super::assemble::Loaded;
use crate::camera;
use crate::clip::{Embeddings, ImageTower};
use crate::config::{Action, Config};
use crate::detect::{Detection, Detector};
use crate::frame::Rect;
use crate::heads::{Features, Scores};
use crate::vocabulary::{Vocabulary, sentence};

/// Try words on pictures.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Say how well phrases fit pictures, as a whole and for each person in them
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
    let vocabulary = loaded.vocabulary(&config, None)?;
    let mut tower = ImageTower::open(&loaded.pack, &*loaded.engine, loaded.options)?;
    let mut scorer = loaded.scorer(&config)?;

    let mut detector = Detector::open(&loaded.pack, &*loaded.engine, loaded.options, &config)?;

    let (mut rows, none) = (Embeddings::default(), Embeddings::default());
    let (mut found, mut scores) = (Vec::new(), Scores::default());
    let mut pictures = Vec::new();
    for path in &args.images {
        let picture = camera::read_picture(path)?;
        detector.prepare(&picture);
        detector.detect(&mut found)?;
        found.retain(|d| d.class == detector.person() && d.score >= config.detector.person_threshold);

        let whole = Rect::new(0.0, 0.0, picture.width as f32, picture.height as f32);
        let enlarged =
            |person: &Detection| person.rect.enlarged(config.scoring.enlarge).clamped(whole.x2, whole.y2);
        for rect in [whole].into_iter().chain(found.iter().map(enlarged)) {
            tower.push(&picture, rect, config.scoring.crop);
        }
        tower.encode(&mut [(tower.len(), &mut rows)])?;
        // The whole picture goes first, as if it were a person: fusion of a vector with itself is that vector.
        let features =
            Features { count: rows.len(), persons: &rows, objects: &none, context: rows.row(0), memory: &[] };
        scorer.score(&features, &vocabulary, &mut scores, None);
        pictures.push(Scored::new(path, &config.actions, &found, &scores));
    }
    if args.json {
        let json: Vec<_> = pictures.iter().map(Scored::json).collect();
        return Ok(serde_json::to_string_pretty(&json)? + "\n");
    }
    Ok(pictures.iter().map(Scored::table).collect::<Vec<_>>().join("\n"))
}

/// Phrases whose cosine is above this get nearly the same score from any picture.
const ALIKE: f32 = 0.95;
/// Pairs to show although they are not alike.
const NEAREST: usize = 5;

fn show(config: Config) -> anyhow::Result<String> {
    let loaded = Loaded::open(&config)?;
    let vocabulary = loaded.vocabulary(&config, None)?;
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
    use std::path::Path;

    use super::*;

    fn action(name: &str, phrase: &str) -> Action {
        Action { name: name.into(), phrases: vec![phrase.into()], ..Action::default() }
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
