//! Writes the man pages and the completions for bash, zsh and fish into a folder, which is made: `pages DIR DAY`.
//!
//! They come from the definition of the command line, so they tell what `--help` tells. DAY, as in 2026-11-29, stands below each
//! page.

use std::env;
use std::error::Error;
use std::fs::create_dir_all;
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

#[path = "../src/main.rs"]
#[allow(dead_code, reason = "only its options are wanted")]
mod program;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args_os().skip(1);
    let (Some(dir), Some(day)) = (words.next(), words.next().and_then(|day| day.into_string().ok())) else {
        return Err("give the folder to write into, and the day".into());
    };
    write(Path::new(&dir), &day)
}

/// Writes `man/` and `completions/` into `dir`.
pub(crate) fn write(dir: &Path, day: &str) -> Result<(), Box<dyn Error>> {
    let (man, completions) = (dir.join("man"), dir.join("completions"));
    create_dir_all(&man)?;
    create_dir_all(&completions)?;
    let mut command = shown(program::Cli::command());
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "chinwag", &completions)?;
    }
    command.build();
    for command in [&command].into_iter().chain(command.get_subcommands()) {
        let source = concat!("chinwag ", env!("CARGO_PKG_VERSION"));
        Man::new(command.clone()).date(day).source(source).manual("chinwag").generate_to(&man)?;
    }
    Ok(())
}

/// The command without what nobody types: completions would tell of it.
fn shown(command: Command) -> Command {
    let subcommands: Vec<Command> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    let shown = Command::new("chinwag").version(env!("CARGO_PKG_VERSION")).subcommand_required(true);
    shown.about(command.get_about().cloned().unwrap_or_default()).disable_help_subcommand(true).subcommands(subcommands)
}
