//! Tokens by which programs prove whose they are, each in a file of its own that nobody else can read: `NICK TOKEN`.
//!
//! A client keeps those that it was given in `tokens/HOST:PORT/NICK`, beside the lines that were typed.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::client::line::history;
use crate::client::saved;
use crate::names::{Nick, Token};
use crate::unicode::fold;
use crate::wire;

/// The most bytes that are read of a file.
const BYTES: u64 = 4096;
/// The most tokens that are read for one server.
const COUNT: usize = 100;

/// A name, and a token of it, which may stand there as in `/login`. Nothing, if the first line holds anything else.
pub fn parse(text: &str) -> Option<(Nick, Token)> {
    let mut words = text.lines().next().unwrap_or_default().split_whitespace();
    let nick = words.next().and_then(|word| Nick::new(word).ok());
    let token = words.next().and_then(|word| wire::token(word.strip_prefix("token:").unwrap_or(word)));
    nick.zip(token).filter(|_| words.next().is_none())
}

/// Whether others can read this file.
pub fn is_open_to_others(of: &Metadata) -> bool {
    of.is_file() && of.mode() & 0o044 != 0
}

/// What is kept for the server at `server` (HOST:PORT). What cannot be read, or others can read, is not there.
pub fn kept(server: &str) -> Vec<(Nick, Token)> {
    let files = folder(server).and_then(|folder| fs::read_dir(folder).ok());
    files.into_iter().flatten().flatten().take(COUNT).filter_map(|file| read(&file.path())).collect()
}

fn read(path: &Path) -> Option<(Nick, Token)> {
    let is_ours = path.symlink_metadata().is_ok_and(|of| of.is_file() && !is_open_to_others(&of));
    let mut text = String::new();
    File::open(path).ok().filter(|_| is_ours)?.take(BYTES).read_to_string(&mut text).ok()?;
    parse(&text)
}

/// Keeps a token of a name for later runs, in the place of the one before.
pub fn keep(server: &str, nick: Nick, token: Token) -> io::Result<()> {
    let Some(path) = path(server, nick) else { return Ok(()) };
    saved::keep(&path, &format!("{nick} {}\n", wire::token_text(token)))
}

/// Keeps a token no longer. Another one of that name, which another client may have been given meanwhile, stays.
pub fn forget(server: &str, nick: Nick, token: Token) -> io::Result<()> {
    match path(server, nick) {
        Some(path) if read(&path) == Some((nick, token)) => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Where that of a name is kept.
pub fn path(server: &str, nick: Nick) -> Option<PathBuf> {
    Some(folder(server)?.join(name(nick)))
}

/// Where those of this server are kept.
fn folder(server: &str) -> Option<PathBuf> {
    Some(history::default_path()?.with_file_name("tokens").join(server.to_ascii_lowercase()))
}

/// What the file of a name is called: names are the same in any case.
fn name(nick: Nick) -> String {
    fold(nick.as_str()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_a_token() {
        let token = wire::token_text(Token([7; 32]));
        for text in [format!("alice {token}"), format!("  alice  token:{token} \nmore")] {
            assert_eq!(parse(&text), Some((Nick::new("alice").unwrap(), Token([7; 32]))), "{text}");
        }
        for text in ["", "alice", &token, &format!("{token} alice"), &format!("alice {token} x"), "alice short"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
