//! Tokens by which programs prove whose they are, each in a file of its own that nobody else can read: `NICK TOKEN`.
//!
//! A client keeps those that it was given in `tokens/HOST:PORT/NICK`, beside the lines that were typed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::client::saved;
use crate::listener::reason;
use crate::names::{Nick, Token};
use crate::unicode::fold;
use crate::wire;

/// The most tokens that are read for one server.
const COUNT: usize = 100;

/// A name, and a token of it, which may stand there as in `/login`. Nothing, if the first line holds anything else.
pub fn parse(text: &str) -> Option<(Nick, Token)> {
    let mut words = text.lines().next().unwrap_or_default().split_whitespace();
    let nick = words.next().and_then(|word| Nick::new(word).ok());
    let token = words.next().and_then(|word| wire::token(word.strip_prefix("token:").unwrap_or(word)));
    nick.zip(token).filter(|_| words.next().is_none())
}

/// The token in the file at `path`, of which `read` gives the bytes, and whose it is. Nobody else may be able to read it.
pub fn ours(path: &Path, read: impl FnOnce() -> Result<Vec<u8>, String>) -> Result<(Nick, Token), String> {
    let shown = path.display();
    if path.metadata().is_ok_and(|of| of.is_file() && of.mode() & 0o044 != 0) {
        return Err(format!("others can read the token in {shown}; chmod 600 {shown} keeps it to you"));
    }
    parse(&String::from_utf8_lossy(&read()?)).ok_or_else(|| {
        format!("{shown} holds no token: its first line is NICK TOKEN, and /token gives one of a name that is yours")
    })
}

/// What is kept for the server at `server` (HOST:PORT); and why what is kept of `wished`, or of any name if none is wished, is of no use.
pub fn kept(server: &str, wished: Option<Nick>) -> (Vec<(Nick, Token)>, Vec<String>) {
    let files = folder(server).and_then(|folder| fs::read_dir(folder).ok());
    let (mut tokens, mut complaints) = (Vec::new(), Vec::new());
    for file in files.into_iter().flatten().flatten().take(COUNT) {
        let is_meant = match (file.file_name().to_str(), wished) {
            (Some(file), Some(nick)) => file == name(nick),
            // So is called what clients need beside the tokens.
            (Some(file), None) => !file.starts_with('.'),
            (None, _) => false,
        };
        match read(&file.path()) {
            Ok(token) => tokens.push(token),
            Err(why) if is_meant => complaints.push(format!("a token that is kept is not used: {why}")),
            Err(_) => {}
        }
    }
    (tokens, complaints)
}

/// The one of this name that is kept now, if it is of use.
pub fn of(server: &str, nick: Nick) -> Option<(Nick, Token)> {
    read(&path(server, nick)?).ok()
}

/// Reads a token that is kept. To open a pipe would wait for its writer, and a link leads to what is not ours.
fn read(path: &Path) -> Result<(Nick, Token), String> {
    match path.symlink_metadata() {
        Ok(of) if of.is_file() => ours(path, || Ok(saved::bytes(path)?.unwrap_or_default())),
        Ok(_) => Err(format!("{} is no file", path.display())),
        Err(e) => Err(format!("cannot read {}: {}", path.display(), reason(&e))),
    }
}

/// Keeps a token of a name for later runs, in the place of the one before.
pub fn keep(server: &str, nick: Nick, token: Token) -> io::Result<()> {
    saved::keep(&path(server, nick).ok_or_else(saved::homeless)?, &format!("{nick} {}\n", wire::token_text(token)))
}

/// Keeps a token no longer. Another one of that name, which another client may have been given meanwhile, stays.
pub fn forget(server: &str, nick: Nick, token: Token) -> io::Result<()> {
    match path(server, nick) {
        Some(path) if read(&path) == Ok((nick, token)) => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// Where that of a name is kept.
pub fn path(server: &str, nick: Nick) -> Option<PathBuf> {
    Some(folder(server)?.join(name(nick)))
}

/// Where those of this server are kept.
fn folder(server: &str) -> Option<PathBuf> {
    Some(saved::beside("tokens").ok()?.join(server.to_ascii_lowercase()))
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
