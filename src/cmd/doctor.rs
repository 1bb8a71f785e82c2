//! `watchword doctor`: whether this machine is fit for what it is to do, part by part, and what to do if not.

mod camera;

use clap::Subcommand;

/// Examine this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List cameras; or say what one offers, and measure it
    Camera(camera::Args),
}

/// Runs the examination; an error if something is not as it must be.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Camera(args) => camera::run(args),
    }
}
