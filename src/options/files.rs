//! What the options name files for: the message of the day, and passwords.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use log::warn;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::limits;
use crate::listener::reason;
use crate::names::clean;

/// How long what is read at the start may send nothing, if it is a pipe.
const PIPE: Timespec = Timespec { tv_sec: 3, tv_nsec: 0 };

/// The lines of the message of the day, safe to show.
pub(super) fn motd(path: &Path) -> Result<Vec<String>, String> {
    let bytes = read_file(path, limits::MOTD)?;
    if str::from_utf8(&bytes).is_err() {
        warn!("{} is no text in UTF-8, and what is not shows as \u{fffd}; save it as that", path.display());
    }
    let whole = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let lines = whole.split(|&b| b == b'\n').filter(|_| !bytes.is_empty());
    let lines: Vec<String> = lines.map(|line| clean(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()).collect();
    match lines.iter().position(|line| line.len() > limits::LINE) {
        Some(n) => Err(format!("line {} of {} has more than {} bytes", n + 1, path.display(), limits::LINE)),
        None => Ok(lines),
    }
}

/// The password on the first line of a file. An error says what to do.
pub fn password(path: &Path) -> Result<String, String> {
    let text = String::from_utf8(read_file(path, limits::LINE as u64)?)
        .map_err(|_| format!("cannot use {}: it is no text in UTF-8; save it as that", path.display()))?;
    let password = text.lines().next().unwrap_or_default().trim();
    if password.is_empty() {
        Err(format!("{} holds no password on its first line", path.display()))
    } else if clean(password.as_bytes()) != password || password.contains(char::REPLACEMENT_CHARACTER) {
        Err(format!("cannot use {}: nobody can type what is on its first line; is it plain text?", path.display()))
    } else {
        Ok(password.to_owned())
    }
}

/// The password of a file that is ours, and of others only if they are told of.
pub(super) fn our_password(path: &Path) -> Result<String, String> {
    let password = password(path)?;
    if others_can_read(path) {
        let (owner, path) = (chown(path), path.display());
        warn!("others on this machine can read the password in {path}; {owner}chmod 600 {path} keeps it to you");
    }
    Ok(password)
}

/// What is to be said of a private key that everybody may read. To be read by a group, as a hook may leave it, is how a server gets one that is not
/// its own.
pub(super) fn everybody_can_read(key: &Path) -> Option<String> {
    key.metadata().ok().filter(|data| data.is_file() && data.mode() & 0o004 != 0)?;
    let (owner, key) = (chown(key), key.display());
    Some(format!("everybody on this machine can read the private key in {key}; {owner}chmod 600 {key} keeps it to you"))
}

/// What comes before a file is closed to others, so that we can read it then.
fn chown(path: &Path) -> String {
    let user = geteuid();
    let is_readable = user.is_root() || path.metadata().is_ok_and(|data| data.uid() == user.as_raw());
    if is_readable { String::new() } else { format!("chown {} {} && ", user.as_raw(), path.display()) }
}

/// Whether users besides the owner of a file may read it.
pub fn others_can_read(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o044 != 0)
}

/// Reads a file of at most `limit` bytes, without the mark that some editors put before its text. A pipe will do, as long as
/// something comes through it.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // To open a pipe would else wait for its writer.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let read = opened.and_then(|file| Piped(file).take(limit + 1).read_to_end(&mut bytes));
    let read = read.map_err(|e| {
        let hint = match e.kind() {
            ErrorKind::PermissionDenied => "; let the user read it that the server runs as",
            _ => "",
        };
        format!("cannot read {}: {}{hint}", path.display(), reason(&e))
    })?;
    if read as u64 > limit {
        return Err(format!("cannot use {}: it must be a file of at most {limit} bytes", path.display()));
    }
    let mark = "\u{feff}".as_bytes();
    Ok(bytes.strip_prefix(mark).unwrap_or(&bytes).to_vec())
}

/// A file that is waited for only so long if it is a pipe.
struct Piped(File);

impl Read for Piped {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PIPE))? == 0 {
            let why = format!("it is a pipe, and nothing came through it in {} seconds; give a file", PIPE.tv_sec);
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        self.0.read(bytes)
    }
}
