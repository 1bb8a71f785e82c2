//! `watchword doctor`: whether this machine is fit for what it is to do, part by part, and what to do if not.

mod accelerator;
mod broker;
mod camera;
mod cameras;
mod finding;
mod machine;
mod models;
mod storage;
#[cfg(test)]
mod tests;
mod wall_clock;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Subcommand;
use serde::Serialize;

use self::finding::{Finding, Status};
use crate::board::{Identity, Tree};
use crate::config::Config;

/// Examine this machine, and say what to do about what is not as it should be.
///
/// Run it as the user that the daemon runs as: what that user may not open is found so. A daemon that runs is not
/// disturbed. The exit status is 0 if nothing failed; warnings do not count.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// The daemon's configuration; without it /etc/watchword/watchword.toml, if that is there
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List cameras; or say what one offers, and measure it
    Camera(camera::Args),
}

/// Where the package puts the configuration.
const CONFIG: &str = "/etc/watchword/watchword.toml";

/// Runs the examination; an error if something is not as it must be.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Camera(args)) => camera::run(args),
        None => examine(&args),
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    /// The worst of them.
    status: Status,
    findings: &'a [Finding],
}

fn examine(args: &Args) -> anyhow::Result<()> {
    let given = args.config.as_deref().or_else(|| Path::new(CONFIG).exists().then_some(Path::new(CONFIG)));
    let (mut findings, config) = configuration(given);
    findings.extend(everything(&Tree::default(), config.as_ref()));
    let status = findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&Report { status, findings: &findings })?);
    } else {
        findings.iter().for_each(Finding::print);
    }
    let failed = findings.iter().filter(|finding| finding.status == Status::Fail).count();
    match failed {
        0 => Ok(()),
        1 => bail!("one thing is not as it must be, see `fail` above"),
        _ => bail!("{failed} things are not as they must be, see `fail` above"),
    }
}

/// The configuration, and whether it can be used.
fn configuration(path: Option<&Path>) -> (Vec<Finding>, Option<Config>) {
    const CHECK: &str = "configuration";
    let Some(path) = path else {
        let text = "none, so nothing is said of its cameras and its broker";
        return (vec![Finding::warn(CHECK, text, "name it: --config FILE")], None);
    };
    match super::config::read(path, None) {
        Ok(loaded) => {
            let mut findings = vec![Finding::ok(CHECK, path.display())];
            findings.extend(loaded.warnings.iter().map(|warning| {
                Finding::warn(CHECK, warning, "see what `watchword config check` says about it")
            }));
            (findings, Some(loaded.config))
        }
        Err(errors) => {
            let remedy = format!("correct it; `watchword config check {}` checks it again", path.display());
            (vec![Finding::fail(CHECK, errors, remedy)], None)
        }
    }
}

/// Every check, in the order in which a box is put together. Without a configuration: what can be said without one.
fn everything(tree: &Tree, config: Option<&Config>) -> Vec<Finding> {
    let identity = Identity::read(tree);
    let mut findings = machine::findings(tree, &identity);
    findings.extend(accelerator::findings(tree, &identity, config));
    findings.extend(storage::findings(tree, config));
    findings.push(wall_clock::finding(tree));
    findings.extend(cameras::findings(config, &crate::camera::v4l2::devices()));
    findings.extend(models::findings(config));
    findings.extend(config.map(broker::finding));
    findings
}
