//! `watchword models`: what packs there are, whether they are whole, and packs for benchmarks.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};

use crate::engine::{Options, engine};
use crate::heads::{AUTHORS_PADS, Interaction, Pads, Setting, import, quantise};
use crate::pack::architecture::{Precision, Recipe};
use crate::pack::{Pack, RandomPack, Role, make_random};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the packs that are at hand, and the licence of their weights.
    List {
        /// Folders with packs in them, besides the embedded one.
        folders: Vec<PathBuf>,
    },
    /// Check every file of a pack against its hash, and load its models.
    Verify {
        /// `nano`, a pack's folder, or a `.tar.zst` of one.
        #[arg(default_value = "nano")]
        pack: PathBuf,
    },
    /// Read a checkpoint of the paper's authors (PyTorch) and write its interaction heads
    ImportHeads {
        /// The checkpoint, a .pth; nothing in it is executed.
        checkpoint: PathBuf,
        /// The heads file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// The space of the encoder that it was trained on, as a pack's manifest names it.
        #[arg(long, default_value = "openai/clip-vit-base-patch16")]
        embedding: String,
        /// Memory slots before the frame; half of them unless said.
        #[arg(long)]
        before: Option<usize>,
        /// Memory slots in a second.
        #[arg(long, default_value_t = 1.0)]
        rate: f32,
        /// Trained with missing keys masked, instead of the authors' zero features.
        #[arg(long)]
        masked: bool,
        /// Temperature of the softmax.
        #[arg(long, default_value_t = 0.07)]
        tau: f32,
        /// Write the matrices in int8.
        #[arg(long)]
        int8: bool,
    },
    /// Write a pack with an exact architecture and random weights, for benchmarks and tests.
    MakeRandom {
        /// The towers' architecture.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(RandomPack::ARCHITECTURES.map(|(name, _)| name)))]
        architecture: String,
        /// What the weights are kept in.
        #[arg(long, value_enum, default_value_t = PrecisionArg::Int8)]
        precision: PrecisionArg,
        /// The same seed gives the same weights on every machine.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Folder to make; must not exist.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionArg {
    F32,
    Int8,
}

/// Runs the subcommand; what it has to say goes to standard output.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List { folders } => list(&folders),
        Command::Verify { pack } => verify(&pack),
        Command::ImportHeads { checkpoint, out, embedding, before, rate, masked, tau, int8 } => {
            let pads = if masked { Pads::default() } else { AUTHORS_PADS };
            let file =
                File::open(&checkpoint).with_context(|| format!("checkpoint {}", checkpoint.display()))?;
            let mut bytes = import(BufReader::new(file), &Setting { embedding, before, rate, pads, tau })
                .with_context(|| format!("checkpoint {}", checkpoint.display()))?;
            if int8 {
                bytes = quantise(&bytes)?;
            }
            std::fs::write(&out, &bytes).with_context(|| format!("cannot write {}", out.display()))?;
            let heads = Interaction::read(&bytes)?;
            let units: Vec<_> = heads.metadata().units.iter().map(|kind| kind.name()).collect();
            println!("{}: {} wide, units {}", out.display(), heads.width(), units.join(", "));
            Ok(())
        }
        Command::MakeRandom { architecture, precision, seed, out } => {
            let (name, clip) = RandomPack::ARCHITECTURES
                .into_iter()
                .find(|(name, _)| *name == architecture)
                .with_context(|| format!("architecture {architecture} is not known"))?;
            let precision = match precision {
                PrecisionArg::F32 => Precision::F32,
                PrecisionArg::Int8 => Precision::Int8,
            };
            let pack = RandomPack { name: name.into(), recipe: Recipe { clip, precision, seed } };
            let manifest = make_random(&pack, &out)?;
            println!("{}@{} is in {}", manifest.name, manifest.version, out.display());
            Ok(())
        }
    }
}

fn list(folders: &[PathBuf]) -> anyhow::Result<()> {
    show(Path::new("nano"));
    for folder in folders {
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))?;
        let mut packs: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("pack.toml").is_file())
            .collect();
        packs.sort();
        packs.iter().for_each(|path| show(path));
    }
    let names = RandomPack::ARCHITECTURES.map(|(name, _)| name).join(", ");
    println!("\nmake-random knows {names}");
    Ok(())
}

/// One bad pack does not hide the others.
fn show(path: &Path) {
    match Pack::open(path) {
        Ok(pack) => {
            let manifest = pack.manifest();
            let towers = if manifest.text.is_some() { "image and text" } else { "image" };
            println!("{}  ({})", pack.identity(), path.display());
            println!("    {towers}, {} wide, in {}", manifest.embedding.width, manifest.embedding.space);
            println!("    licence: {}", manifest.license);
            println!("    from: {}", manifest.source);
        }
        Err(error) => println!("{}\n    {error}", path.display()),
    }
}

fn verify(path: &Path) -> anyhow::Result<()> {
    let pack = Pack::open(path)?;
    let mut bad = 0;
    let mut report = |what: &str, result: Result<(), crate::pack::PackError>| match result {
        Ok(()) => println!("ok    {what}"),
        Err(error) => {
            println!("BAD   {what}: {error}");
            bad += 1;
        }
    };
    for (file, result) in pack.verify() {
        report(file, result);
    }
    let engine = engine(crate::config::EngineKind::Cpu);
    for role in [Role::Image, Role::Text, Role::Detector] {
        if role != Role::Text || pack.manifest().text.is_some() {
            report(
                &format!("the {role} model loads"),
                pack.load(role, &*engine, Options { threads: 1 }).map(drop),
            );
        }
    }
    if bad > 0 {
        bail!("{} has {bad} faults; fetch it again", pack.identity());
    }
    println!("{} is whole", pack.identity());
    Ok(())
}
