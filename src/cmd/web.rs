//! `watchword web`: what the box's own page needs before it can be shown to others.

use std::io::{self, BufRead, IsTerminal, Read};

use anyhow::{Context, ensure};
use console::Term;

use crate::web::password;

/// The shortest password that is taken, characters.
const LEAST: usize = 8;

/// Set up the box's own page.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Ask for a password, or read it from a pipe, and print the hash that web.password_file is to hold
    Password,
}

/// Asks and prints.
pub fn run(args: Args) -> anyhow::Result<()> {
    match args.command {
        Command::Password => {
            let password = if io::stdin().is_terminal() { asked()? } else { piped()? };
            let length = password.chars().count();
            ensure!(length >= LEAST, "{length} characters are too few; take {LEAST} or more");
            ensure!(password.len() <= password::MOST, "longer than {} bytes", password::MOST);
            println!("{}", password::hash(&password).context("no hash could be made")?);
            Ok(())
        }
    }
}

fn asked() -> anyhow::Result<String> {
    let terminal = Term::stderr();
    let ask = |question: &str| {
        terminal.write_str(question)?;
        terminal.read_secure_line()
    };
    let (password, again) = (ask("Password: ")?, ask("Again: ")?);
    ensure!(password == again, "these are two different passwords");
    Ok(password)
}

fn piped() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .take(2 * password::MOST as u64)
        .read_line(&mut line)
        .context("no password on standard input")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
