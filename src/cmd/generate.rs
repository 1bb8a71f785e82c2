//! `watchword generate`: the manual pages and the shells' completions, from the command line itself, for packages.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap_complete::Shell;

/// Write manual pages and completions for bash, zsh and fish.
#[derive(clap::Args)]
pub struct Args {
    /// The folder to write them to
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Writes `command`'s pages to `man1/` and its completions under the names by which the shells look for them.
pub fn run(args: Args, mut command: clap::Command) -> anyhow::Result<()> {
    let mut write = |folder: &Path| {
        let pages = folder.join("man1");
        fs::create_dir_all(&pages)?;
        // First, because the completions add the `help` commands.
        clap_mangen::generate_to(command.clone(), pages)?;
        for (shell, name) in
            [(Shell::Bash, "watchword"), (Shell::Zsh, "_watchword"), (Shell::Fish, "watchword.fish")]
        {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command, "watchword", &mut text);
            fs::write(folder.join(name), text)?;
        }
        Ok::<_, std::io::Error>(())
    };
    write(&args.out).with_context(|| args.out.display().to_string())
}
