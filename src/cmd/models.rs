//! `watchword models`: what packs there are, whether they are whole, and packs for benchmarks.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};

use crate::config::EngineKind;
use crate::engine::{self, Engine, Input, Model, Options, Session, Tensor};
use crate::heads::{AUTHORS_PADS, Interaction, Pads, Setting, import, quantise};
use crate::pack::architecture::{Precision, Recipe};
use crate::pack::pull::{self, KNOWN, Pull};
use crate::pack::{DetectorKind, Pack, RandomPack, Role, make_random};

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
    /// Fetch a pack with published weights, check it, and put it in place
    Pull {
        /// Which one; `watchword models list` says what there is.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(KNOWN.map(|known| known.name)))]
        name: String,
        /// What the weights are kept in; f32 is what NPUs' converters and GPUs want.
        #[arg(long, value_enum, default_value_t = PrecisionArg::Int8)]
        precision: PrecisionArg,
        /// Instead of the model hub: a mirror's address (https://..), a folder with the same files or with a pack, or a
        /// .tar.zst of a pack.
        #[arg(long, value_name = "URL|DIR|FILE")]
        from: Option<String>,
        /// The pack's folder; without it packs/NAME in the daemon's state folder if there is one, else here.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Take files that differ from those that were pulled first.
        #[arg(long)]
        update: bool,
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
    /// Write a pack's image tower as scoring.regions = "one-pass" runs it, to look into or convert
    DeriveRegions {
        /// `nano`, a pack's folder, or a `.tar.zst` of one.
        pack: PathBuf,
        /// The ONNX file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write a pack's image tower as scoring.input runs it, to look into or convert
    DeriveInput {
        /// `nano`, a pack's folder, or a `.tar.zst` of one.
        pack: PathBuf,
        /// Side of the picture that it is to read, pixels.
        side: usize,
        /// The ONNX file to write.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
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

impl From<PrecisionArg> for Precision {
    fn from(precision: PrecisionArg) -> Self {
        match precision {
            PrecisionArg::F32 => Self::F32,
            PrecisionArg::Int8 => Self::Int8,
        }
    }
}

/// Runs the subcommand; what it has to say goes to standard output.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::List { folders } => list(&folders),
        Command::Verify { pack } => verify(&pack),
        Command::Pull { name, precision, from, out, update } => {
            pull_known(&name, precision.into(), from.as_deref(), out, update)
        }
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
        Command::DeriveRegions { pack, out } => save(&Pack::open(&pack)?.tower_with_regions("cpu")?, &out),
        Command::DeriveInput { pack, side, out } => {
            let pack = Pack::open(&pack)?.with_input(Some(side));
            // Loaded as well: only a run tells whether the graph holds.
            pack.load(Role::Image, &*engine::engine(EngineKind::Cpu), Options::of(0))?;
            save(&pack.model(Role::Image, "cpu")?, &out)
        }
        Command::MakeRandom { architecture, precision, seed, out } => {
            let (name, clip) = RandomPack::ARCHITECTURES
                .into_iter()
                .find(|(name, _)| *name == architecture)
                .with_context(|| format!("architecture {architecture} is not known"))?;
            let recipe = Recipe { clip, precision: precision.into(), seed };
            let pack = RandomPack { name: name.into(), recipe };
            let manifest = make_random(&pack, &out)?;
            println!("{}@{} is in {}", manifest.name, manifest.version, out.display());
            Ok(())
        }
    }
}

fn save(model: &Model, out: &Path) -> anyhow::Result<()> {
    let bytes = model.bytes.whole().map_err(anyhow::Error::msg)?;
    std::fs::write(out, &bytes).with_context(|| format!("cannot write {}", out.display()))
}

fn pull_known(
    name: &str,
    precision: Precision,
    from: Option<&str>,
    out: Option<PathBuf>,
    update: bool,
) -> anyhow::Result<()> {
    let known =
        KNOWN.into_iter().find(|known| known.name == name).with_context(|| format!("no pack {name}"))?;
    let out = out.unwrap_or_else(|| {
        let folder = format!("{name}-{}", precision.name());
        super::state::folder().unwrap_or_default().join("packs").join(folder)
    });
    println!("{name}: licence of the weights: {}", known.license);
    let bar = super::progress::bytes();
    let mut file = String::new();
    let mut progress = |now: pull::Progress<'_>| {
        if file != now.file {
            now.file.clone_into(&mut file);
            bar.set_message(file.clone());
        }
        bar.set_length(now.total.unwrap_or(now.done));
        bar.set_position(now.done);
    };
    let engine = engine::engine(EngineKind::Cpu);
    let mut try_out = |pack: &Pack| {
        bar.set_message("trying it out");
        pack.roles().try_for_each(|role| pack.load(role, &*engine, Options::of(1)).map(drop))
    };
    let wanted = Pull { known, precision, from, out: &out, update };
    let pulled = pull::pull(&wanted, &mut progress, &mut try_out);
    bar.finish_and_clear();
    let pack = pulled?;
    println!("{} is in {out}; use it with\n\n[pack]\npath = {out:?}", pack.identity(), out = out.display());
    Ok(())
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
    println!("\npull knows {}", KNOWN.map(|known| known.name).join(", "));
    println!("make-random knows {names}");
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
    let mut report = |what: &str, result: Result<(), String>| match result {
        Ok(()) => println!("ok    {what}"),
        Err(error) => {
            println!("BAD   {what}: {error}");
            bad += 1;
        }
    };
    for (file, result) in pack.verify() {
        report(file, result.map_err(|error| error.to_string()));
    }
    let engine = engine::engine(EngineKind::Cpu);
    for role in pack.roles() {
        let loaded = pack.load(role, &*engine, Options::of(1));
        report(&format!("the {role} model loads"), loaded.map(drop).map_err(|error| error.to_string()));
    }
    let best = engine::engine(EngineKind::Auto);
    for role in [Role::Image, Role::Detector] {
        let made = pack.model(role, best.name())?;
        if !["cpu", "onnxruntime"].contains(&best.name()) && made.name.ends_with(best.reads()) {
            let what = format!("the {role} model for {} does as the processor's", best.name());
            report(&what, agrees(&pack, role, &*best, &*engine).map_err(|error| format!("{error:#}")));
        }
    }
    if bad > 0 {
        bail!("{} has {bad} faults; fetch it again", pack.identity());
    }
    println!("{} is whole", pack.identity());
    Ok(())
}

/// Lowest cosine between what an NPU or a GPU makes of a picture and what the processor does.
const ALIKE: f64 = 0.99;

/// Runs both on two pictures of noise. Converters and drivers have been seen to make networks that load, run, and are
/// wrong.
fn agrees(pack: &Pack, role: Role, npu: &dyn Engine, cpu: &dyn Engine) -> anyhow::Result<()> {
    let options = Options::of(0);
    let mut sessions = (pack.load(role, npu, options)?, pack.load(role, cpu, options)?);
    let manifest = pack.manifest();
    let ([width, height], bytes) = match role {
        Role::Detector => (manifest.detector.size, matches!(manifest.detector.kind, DetectorKind::Yolox)),
        _ => (manifest.image.size, false),
    };
    let lowest = alikeness(&mut *sessions.0, &mut *sessions.1, [height, width], bytes)?;
    if lowest < ALIKE {
        bail!(
            "cosine {lowest:.4} where {ALIKE} is the least: it was converted wrongly, or driver, runtime and converter do \
             not fit together; update all three (board/rockchip.md), and set pack.engine = \"cpu\" until then"
        );
    }
    Ok(())
}

/// The lowest cosine over outputs and pictures; `bytes`: the network reads 0 to 255.
fn alikeness(
    a: &mut dyn Session,
    b: &mut dyn Session,
    [height, width]: [usize; 2],
    bytes: bool,
) -> anyhow::Result<f64> {
    let mut lowest = 1.0;
    for seed in [1_u32, 2] {
        let noise = (0..(3 * height * width) as u32).map(|i| {
            let x = ((i ^ seed << 24).wrapping_mul(2_654_435_761) >> 16) as f32 / 65536.0;
            if bytes { 255.0 * x } else { 4.0 * x - 2.0 }
        });
        let (shape, data) = ([1, 3, height, width], noise.collect::<Vec<f32>>());
        let input = [Input::F32 { shape: &shape, data: &data }];
        let mut outputs: [Vec<Tensor>; 2] = Default::default();
        a.run(&input, &mut outputs[0])?;
        b.run(&input, &mut outputs[1])?;
        let [of_a, of_b] = &outputs;
        for (x, y) in of_a.iter().zip(of_b) {
            if x.shape != y.shape {
                bail!("an output is {:?} instead of {:?}", x.shape, y.shape);
            }
            lowest = cosine(&x.data, &y.data).min(lowest);
        }
    }
    Ok(lowest)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    // NaN, and a network that says nothing, are like nothing.
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::architecture::{Clip, Precision, Recipe, Tower};

    #[test]
    fn another_network_is_told_from_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let tower = Tower { width: 16, layers: 1, heads: 1 };
        let clip = Clip {
            picture: 32,
            patch: 8,
            image: tower,
            text: tower,
            context: 8,
            vocabulary: 50,
            embedding: 32,
        };
        let engine = engine::engine(EngineKind::Cpu);
        let load = |seed| {
            let path = folder.path().join(format!("{seed}.onnx"));
            let recipe = Recipe { clip, precision: Precision::F32, seed };
            recipe.image_tower().write(&mut File::create(&path).unwrap()).unwrap();
            let model = engine::Model { name: "tower".into(), bytes: engine::ModelBytes::File(path) };
            engine.load(&model, Options::of(1)).unwrap()
        };
        let alike = |a, b| alikeness(&mut *load(a), &mut *load(b), [32, 32], false).unwrap();
        assert!(alike(1, 1) > 0.999_999);
        assert!(alike(1, 2) < ALIKE);
        assert_eq!(cosine(&[0.0; 3], &[1.0; 3]), 0.0);
        assert_eq!(cosine(&[f32::NAN; 3], &[1.0; 3]), 0.0);
    }
}
