//! Parses the command line, sets up logging, calls one module of `cmd/`, prints the error chain.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use watchword::cmd;

/// jemalloc gives freed memory back. glibc's allocator would keep the 60 MB in which the text tower was loaded, used
/// and dropped; how soon jemalloc does is set in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Watches a camera for actions described in words, and publishes what it sees over MQTT.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    /// More about what is going on: -v for debug, -vv for trace (RUST_LOG overrides)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show it all working: an embedded clip, model and broker
    Demo(cmd::demo::Args),
    /// The daemon: watch the configured cameras, publish events
    Run(cmd::run::Args),
    /// Analyse a recording into files
    Detect(cmd::detect::Args),
    /// Try words on pictures
    Vocabulary(cmd::vocabulary::Args),
    /// Find thresholds from footage in which nothing happens
    Calibrate(cmd::calibrate::Args),
    /// Check or show a configuration
    Config(cmd::config::Args),
    /// Set up the box's own page
    Web(cmd::web::Args),
    /// List, verify or make model packs
    Models(cmd::models::Args),
    /// Examine this machine, and say what to do about what is not as it should be
    Doctor(cmd::doctor::Args),
    /// Measure how many people this machine follows, and where the time goes
    Bench(cmd::bench::Args),
    /// Publish as a fleet of boxes would, to try a broker
    FleetSim(cmd::fleet_sim::Args),
    /// Write manual pages and completions, for packages
    #[command(hide = true)]
    Generate(cmd::generate::Args),
    /// Work on the interaction heads themselves, and judge detections
    #[cfg(feature = "lab")]
    Lab(Box<cmd::lab::Args>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The embedded broker reports every client that leaves without a word as an error.
    let default_level = match (&cli.command, cli.verbose) {
        (_, 2..) => "watchword=trace,info,rumqttd=off",
        (_, 1) => "watchword=debug,info,rumqttd=off",
        (Command::Run(_), 0) => "watchword=info,warn,rumqttd=off",
        // Hundreds of nodes lose a broker at once, and each would say so.
        (Command::FleetSim(_), 0) => "error,rumqttd=off",
        (_, 0) => "warn,rumqttd=off",
    };
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| default_level.into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();

    let result = match cli.command {
        Command::Demo(args) => cmd::demo::run(args),
        Command::Run(args) => cmd::run::run(args),
        Command::Detect(args) => cmd::detect::run(args),
        Command::Vocabulary(args) => cmd::vocabulary::run(args),
        Command::Calibrate(args) => cmd::calibrate::run(args),
        Command::Config(args) => cmd::config::run(args),
        Command::Web(args) => cmd::web::run(args),
        Command::Models(args) => cmd::models::run(args),
        Command::Doctor(args) => cmd::doctor::run(args),
        Command::Bench(args) => cmd::bench::run(args),
        Command::FleetSim(args) => cmd::fleet_sim::run(args),
        Command::Generate(args) => cmd::generate::run(args, Cli::command()),
        #[cfg(feature = "lab")]
        Command::Lab(args) => cmd::lab::run(*args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watchword: {error:#}");
            ExitCode::FAILURE
        }
    }
}
