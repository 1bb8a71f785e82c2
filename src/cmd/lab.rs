//! `watchword lab`: the science behind the heads, for workstations.

mod ablate;
mod eval;
mod features;
mod heads;
mod init;
mod make_synthetic;
mod map;
mod materials;
mod train;

use clap::Subcommand;

use super::calibrate;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the papers' tables: train every row, judge it, and set it beside the published figures
    Ablate(ablate::Args),
    /// Find thresholds from footage in which nothing happens, as `watchword calibrate`
    Calibrate(calibrate::Args),
    /// Judge heads on features that were kept, beside the papers' figures
    Eval(eval::Args),
    /// Keep what the networks see in a data set, for training
    Features(features::Args),
    /// Run the heads on features in a file, and write all they make of them
    Heads(heads::Args),
    /// Write new heads: untrained ones, as training starts, or random ones
    Init(init::Args),
    /// Make a world of features in which training can be tried without a data set
    MakeSynthetic(make_synthetic::Args),
    /// Judge detections against annotations: frame and video mAP
    Map(map::Args),
    /// Train heads on the features of a data set
    Train(train::Args),
}

/// Runs the subcommand.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Ablate(args) => ablate::run(args),
        Command::Calibrate(args) => calibrate::run(args),
        Command::Eval(args) => eval::run(args),
        Command::Features(args) => features::run(args),
        Command::Heads(args) => heads::run(args),
        Command::Init(args) => init::run(args),
        Command::MakeSynthetic(args) => make_synthetic::run(args),
        Command::Map(args) => map::run(args),
        Command::Train(args) => train::run(args),
    }
}
