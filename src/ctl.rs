//! `chinwag ctl`: asks a server something by its operator's door.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use crate::control::connect;
use crate::home::user_name;
use crate::limits;
use crate::listener::reason;
use crate::wire::{Code, ServerLine, farewell};

/// How the server answered. It is written out by then.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// It is refused.
    Refused,
}

/// Asks the server behind the door at `path` for what these words say, and writes the rows of the answer and the reply to `out`. An
/// error says why there is no answer, and what to do.
pub fn ask(path: &Path, words: &[String], out: &mut impl Write) -> Result<Answer, String> {
    let line = words.join(" ");
    if line.contains(['\n', '\r']) {
        return Err("a command is one line; give its words without line ends".to_owned());
    }
    let is_page = line.trim_matches(['/', ' ']).eq_ignore_ascii_case("metrics");
    let mut say = |line: &str| writeln!(out, "{line}").map_err(|e| format!("cannot write the answer: {}", reason(&e)));
    let stream = connect(path).map_err(|e| cannot_reach(path, &e))?;
    let lost = |e: io::Error| format!("the server has not answered: {}; look whether it runs", reason(&e));
    stream.set_read_timeout(Some(limits::CONTROL_PATIENCE)).map_err(lost)?;
    let line = format!("/{}\n", line.trim_start_matches('/'));
    let has_room = line.contains(" #");
    match (&stream).write_all(line.as_bytes()).and_then(|()| stream.shutdown(Shutdown::Write)) {
        // It may have said why before it closed.
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => return Err(lost(e)),
        _ => {}
    }
    let mut lines = BufReader::new(&stream);
    while let Some(line) = next_line(&mut lines).map_err(|e| match e.kind() {
        io::ErrorKind::WouldBlock => STUCK.to_owned(),
        _ => lost(e),
    })? {
        let answer = match ServerLine::parse(&line) {
            // It is printed as a monitor reads it.
            ServerLine::Detail(row) if is_page => {
                say(row)?;
                continue;
            }
            ServerLine::Done(_) if is_page => return Ok(Answer::Done),
            ServerLine::Detail(_) => None,
            ServerLine::Done(_) => Some(Answer::Done),
            ServerLine::Refused { .. } => Some(Answer::Refused),
            ServerLine::Bye { text, .. } => return Err(farewell(text).to_owned()),
            ServerLine::Notice(text) => {
                warn(text);
                continue;
            }
            _ => continue,
        };
        say(&line)?;
        if let ServerLine::Refused { code: Code::Usage, text, .. } = ServerLine::parse(&line)
            && text.contains("#ROOM")
            && !has_room
        {
            warn(ROOM);
        }
        if let Some(answer) = answer {
            // What the disk did not take of it comes with the answer.
            let with_it = lines.buffer().split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
            with_it.for_each(|line| {
                if let ServerLine::Notice(text) = ServerLine::parse(line) {
                    warn(text);
                }
            });
            return Ok(answer);
        }
    }
    Err("the server has gone without an answer; look whether it runs".to_owned())
}

/// Tells whoever asked what the server says besides its answer.
fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "chinwag: {text}");
}

/// To whom this belongs, or where we may not look, the innermost folder around it that we may look at.
fn owner(path: &Path) -> Option<(&Path, String)> {
    let (what, data) = path.ancestors().find_map(|what| Some((what, fs::symlink_metadata(what).ok()?)))?;
    let uid = data.uid();
    Some((what, user_name(uid).unwrap_or(format!("'#{uid}'"))))
}

/// How a room is typed, of which a shell may have seen nothing but a comment.
const ROOM: &str = "a room begins with #, and is put in quotes, as in '#lobby': a shell takes a bare # for a comment";

/// A server that takes a connection and says nothing.
const STUCK: &str = "the server runs, but has not answered for a minute; look at its log, or end it and start it again";

/// The next line, if there is one. Whoever waits for it is told so after a few seconds.
fn next_line(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let (begun, mut line, mut is_told) = (Instant::now(), Vec::new(), false);
    loop {
        match lines.read_until(b'\n', &mut line) {
            Ok(_) if line.is_empty() => return Ok(None),
            Ok(_) => break,
            Err(e) if e.kind() != io::ErrorKind::WouldBlock || begun.elapsed() >= limits::CONTROL_SILENCE => {
                return Err(e);
            }
            Err(_) if !is_told => {
                is_told = true;
                warn("the server has not answered yet; waiting for a minute");
            }
            Err(_) => {}
        }
    }
    let text = String::from_utf8(line).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn cannot_reach(path: &Path, e: &io::Error) -> String {
    let hint = match e.kind() {
        io::ErrorKind::NotFound => {
            "; does the server run? Its folder is given before the command with --data, or its socket with --control"
        }
        io::ErrorKind::ConnectionRefused => "; no server runs there, start it first",
        io::ErrorKind::PermissionDenied => match owner(path) {
            Some((what, user)) => &*format!(
                "; only the user that the server runs as may, and {} belongs to {user}: try sudo -u {user}",
                what.display()
            ),
            None => "; only the user that the server runs as may, try sudo -u",
        },
        _ => "",
    };
    format!("cannot reach a server at {}: {}{hint}", path.display(), reason(e))
}
