//! `lab init`: heads that nobody has trained yet.

use std::path::PathBuf;

use anyhow::Context;

use crate::config::Regions;
use crate::heads::{Kind, Metadata, Pads, Size, Start, fresh, quantise, serialise};
use crate::pack::Pack;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The pack whose encoder they are for: `nano`, a pack folder or a .tar.zst of one
    #[arg(long, default_value = "nano")]
    pack: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where the embeddings of persons and objects will come from: "crops" or "one-pass" (scoring.regions)
    #[arg(long, default_value = "crops", value_parser = super::features::parse_regions)]
    regions: Regions,
    /// What the units look at, in their order
    #[arg(long, value_delimiter = ',', default_value = "person,object,context,memory,person,object,context,memory",
          value_parser = |name: &str| name.parse::<Kind>().map_err(|()| "person, object, context or memory"))]
    units: Vec<Kind>,
    /// Layers of prompting
    #[arg(long, default_value_t = 2)]
    layers: usize,
    /// Memory slots before the frame
    #[arg(long, default_value_t = 30)]
    before: usize,
    /// Memory slots after the frame
    #[arg(long, default_value_t = 0)]
    after: usize,
    /// Slots in a second
    #[arg(long, default_value_t = 1.0)]
    rate: f32,
    /// Every weight at random, instead of giving what `fusion` gives: for tests and benchmarks
    #[arg(long)]
    random: bool,
    /// Weights in int8
    #[arg(long)]
    int8: bool,
    /// The same seed gives the same weights on every machine
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Writes the heads.
pub fn run(args: Args) -> anyhow::Result<()> {
    let pack = Pack::open(&args.pack)?;
    let embedding = &pack.manifest().embedding;
    let space = args.regions.space(&embedding.space);
    let metadata = Metadata {
        units: args.units,
        before: args.before,
        after: args.after,
        rate: args.rate,
        pads: Pads::default(),
        tau: embedding.logit_scale.recip(),
        ln_affine: false,
        relu: true,
        embedding: Some(space.clone()),
    };
    // What is written can be read again.
    let metadata = Metadata::parse(&metadata.to_map())?;
    let start = if args.random { Start::Random } else { Start::Untrained };
    let size = Size { width: embedding.width, layers: args.layers, hidden: 4 * embedding.width };
    let mut bytes = serialise(&fresh(&metadata, size, start, args.seed), &metadata)?;
    if args.int8 {
        bytes = quantise(&bytes)?;
    }
    std::fs::write(&args.out, &bytes).with_context(|| format!("cannot write {}", args.out.display()))?;
    println!("{} ({:.1} MB) for {}", args.out.display(), bytes.len() as f64 / 1e6, space);
    Ok(())
}
