//! `lab make-synthetic`: a world of features to try training on.

use std::path::PathBuf;

use anyhow::ensure;

use crate::lab::synthetic::{self, FAMILY, MOST_FAMILIES, Size};

/// What the world is like is described in src/lab/README.md.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for it; made if it is not there
    folder: PathBuf,
    /// The same seed gives the same world on every machine
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Elements of a feature
    #[arg(long, default_value_t = 64)]
    width: usize,
    /// Families of 5 actions; a quarter of them is unseen
    #[arg(long, default_value_t = 8)]
    families: usize,
    /// Videos of each action
    #[arg(long, default_value_t = 10)]
    videos: usize,
}

/// Writes the world.
pub fn run(args: Args) -> anyhow::Result<()> {
    let Args { folder, seed, width, families, videos } = args;
    ensure!((2..=MOST_FAMILIES).contains(&families), "--families {families}: 2 to {MOST_FAMILIES}");
    ensure!((8..=4096).contains(&width), "--width {width}: 8 to 4096");
    ensure!((1..=100).contains(&videos), "--videos {videos}: 1 to 100");
    let written = synthetic::write(&folder, Size { width, families, videos }, seed)?;
    println!(
        "{}: {} videos of {} actions ({families} families of {FAMILY}), {} of them unseen",
        folder.display(),
        written.videos,
        written.seen.len() + written.unseen.len(),
        written.unseen.len()
    );
    Ok(())
}
