//! `watchword config`: whether a configuration is right, and what is in effect; how every other command reads one.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use tracing::{error, warn};

use super::words;
use crate::config::{Config, ConfigErrors, Loaded, Overlay};

/// Check or show a configuration.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say everything that is wrong with a configuration, with line and remedy
    Check {
        /// The configuration file; WATCHWORD__SECTION__KEY in the environment overrides it
        file: PathBuf,
    },
    /// Print the configuration in effect, and where each value comes from
    Show {
        /// The configuration file; WATCHWORD__SECTION__KEY in the environment overrides it
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Checks or shows; an error if the configuration cannot be used.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Check { file } => check(&file),
        Command::Show { config } => show(&config),
    }
}

/// Reads the configuration at `path` with the process's environment over it, and logs its warnings.
pub fn load(path: &Path) -> anyhow::Result<Config> {
    load_file(path).map(|loaded| loaded.config)
}

/// As [`load`], with the file's text.
pub fn load_file(path: &Path) -> anyhow::Result<Loaded> {
    let loaded = read(path, None).map_err(|errors| anyhow!("the configuration cannot be used:\n{errors}"))?;
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    Ok(loaded)
}

/// As the daemon goes by it: with the vocabulary that was set over MQTT, unless there is something wrong with that, which
/// is logged.
pub fn load_with_words(path: &Path) -> anyhow::Result<Loaded> {
    let overlay = words::file().map_or(Ok(None), |kept| words::read(&kept)).unwrap_or_else(|error| {
        error!("the vocabulary that was set over MQTT cannot be used, the file's is: {error:#}");
        None
    });
    let loaded = read(path, None).map_err(|errors| anyhow!("the configuration cannot be used:\n{errors}"))?;
    if overlay.is_none() {
        return Ok(loaded);
    }
    Ok(loaded.overlaid(overlay).unwrap_or_else(|errors| {
        error!("the vocabulary that was set over MQTT does not fit the file, whose own is used:\n{errors}");
        loaded
    }))
}

fn check(path: &Path) -> anyhow::Result<()> {
    let loaded = read(path, None).map_err(|errors| {
        let count = plural(errors.errors(), "error");
        anyhow!("{count} in {}:\n{errors}", path.display())
    })?;
    for warning in &loaded.warnings {
        println!("{warning}");
    }
    let config = &loaded.config;
    println!(
        "{} can be used: {}, {}, {}",
        path.display(),
        plural(config.cameras.len(), "camera"),
        plural(config.actions.len(), "action"),
        plural(loaded.warnings.len(), "warning"),
    );
    Ok(())
}

fn show(path: &Path) -> anyhow::Result<()> {
    let loaded = load_with_words(path)?;
    print!("{}", loaded.to_toml().context("the configuration cannot be written as TOML")?);
    Ok(())
}

/// Reads the configuration at `path` with the process's environment over it, and `overlay` over both.
pub fn read(path: &Path, overlay: Option<Overlay>) -> Result<Loaded, ConfigErrors> {
    // A variable that is not Unicode is none of ours.
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Config::load_with(path, env, overlay)
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
