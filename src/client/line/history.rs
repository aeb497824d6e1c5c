//! The lines typed before, in this run and in earlier ones.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::mem;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

use super::editor::LINE_MAX;
use crate::commands;
use crate::names::clean;

/// The most lines that are remembered.
pub const REMEMBERED: usize = 1000;

/// A file with more lines than this is cut to those that are remembered.
const FILE_LINES: usize = 2 * REMEMBERED;
/// No more than this is read of a file, from its end.
const FILE_BYTES: u64 = ((FILE_LINES + 1) * (LINE_MAX + 1)) as u64;

/// The lines typed before, and where in them somebody is who walks through them.
///
/// It is a comfort: what fails with its file is ignored.
#[derive(Default, Debug)]
pub struct History {
    path: Option<PathBuf>,
    lines: Vec<String>,
    /// The line that is shown; at the end of them it is the unfinished one.
    at: usize,
    unfinished: String,
    /// Lines that are to be written down once it is known that they were taken.
    unwritten: Vec<String>,
    /// Whether what is said goes to one person.
    pub is_private: bool,
}

impl History {
    /// Reads the lines of earlier runs from `path`, where those of this one will go too. Without it, no file is
    /// touched.
    pub fn open(path: Option<PathBuf>) -> Self {
        let mut lines = path.as_deref().and_then(|path| read(path).ok()).unwrap_or_default();
        let is_long = lines.len() > FILE_LINES;
        lines.drain(..lines.len().saturating_sub(REMEMBERED));
        if is_long && let Some(path) = &path {
            // A file that cannot be cut now will be later.
            let _ = rewrite(path, &lines);
        }
        lines.retain(|line| line.len() <= LINE_MAX);
        Self { path, at: lines.len(), lines, ..Self::default() }
    }

    /// Remembers `line` as the newest, and goes to the end. Passwords, blank lines and repetitions are not remembered, and
    /// neither what is said in private nor the key of a room is written down by [`History::settle`].
    pub fn add(&mut self, line: &str) {
        if !is_secret(line) && !line.trim().is_empty() && self.lines.last().is_none_or(|last| last != line) {
            if !self.is_private && !is_confidential(line) {
                self.unwritten.push(line.to_owned());
            }
            self.lines.push(line.to_owned());
            self.lines.drain(..self.lines.len().saturating_sub(REMEMBERED));
        }
        self.leave();
    }

    /// What was added is written down if it was taken as it stands: what was not may well be a slip, and for others than it seems.
    pub fn settle(&mut self, is_taken: bool) {
        let lines = mem::take(&mut self.unwritten);
        for line in lines.iter().filter(|_| is_taken) {
            self.path.iter().for_each(|path| drop(append(path, line)));
        }
    }

    /// Goes to the line before, if there is one. `line` is what is typed now: it is kept if it is the unfinished one.
    pub fn older(&mut self, line: &str) -> Option<&str> {
        let at = self.at.checked_sub(1)?;
        if self.at == self.lines.len() {
            line.clone_into(&mut self.unfinished);
        }
        self.at = at;
        Some(&self.lines[at])
    }

    /// Goes to the line after, if there is one; the last is the unfinished one.
    pub fn newer(&mut self) -> Option<&str> {
        if self.at == self.lines.len() {
            return None;
        }
        self.at += 1;
        Some(self.lines.get(self.at).unwrap_or(&self.unfinished))
    }

    /// The newest line before the `end`-th in which `word` stands, in any case, and where it is.
    pub fn find(&self, word: &str, end: usize) -> Option<(usize, &str)> {
        let word = word.to_lowercase();
        let before = self.lines[..end.min(self.lines.len())].iter().enumerate();
        let found = before.rev().find(|(_, line)| line.to_lowercase().contains(&word));
        found.map(|(at, line)| (at, line.as_str()))
    }

    /// Goes to the line that was found there. `line` is what is typed now, as for [`History::older`].
    pub fn go_to(&mut self, at: usize, line: &str) -> Option<&str> {
        if self.at == self.lines.len() {
            line.clone_into(&mut self.unfinished);
        }
        self.at = at;
        self.lines.get(at).map(String::as_str)
    }

    /// Goes to the end, and forgets the unfinished line.
    pub fn leave(&mut self) {
        self.at = self.lines.len();
        mem::take(&mut self.unfinished);
    }
}

/// Whether others than whom it names are not to read a line, or none but the server: it holds a secret or the key of a room, or is for one
/// person; also with a slip before its command.
pub fn is_confidential(line: &str) -> bool {
    is_secret(line) || is_for_one(line) || holds_key(line)
}

/// Whether a line may hold a secret, also behind the wrong slash or the mark of a prompt, or is a token by itself.
pub fn is_secret(line: &str) -> bool {
    let command = line.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '/' | '\\' | '>'));
    command.starts_with("token:")
        || commands::holds_secret(line)
        || command.len() < line.len() && commands::holds_secret(&format!("/{command}"))
}

/// Whether this is a command that says something to one person, or to whomever it names.
fn is_for_one(line: &str) -> bool {
    let word = line.split_whitespace().next().unwrap_or_default();
    let Some(command) = word.strip_prefix(['/', '\\']) else { return word.eq_ignore_ascii_case("msg") };
    // People also try what other programs call it.
    commands::find(command).is_some_and(|spec| spec.name == "msg")
        || ["m", "w", "whisper", "tell", "pm", "dm", "notice"].iter().any(|other| command.eq_ignore_ascii_case(other))
        || commands::find(command).is_none() && commands::meant(command, commands::is_common).contains(&"msg")
}

/// Whether this is a command with the key of a room.
fn holds_key(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default();
    match commands::find(word).map(|spec| spec.name) {
        Some("join") => {
            words.next().is_some_and(|room| word.starts_with('/') || room.starts_with('#')) && words.next().is_some()
        }
        Some("room") => words.any(|word| word.eq_ignore_ascii_case("key")) && words.next().is_some(),
        _ => false,
    }
}

/// Where the history is kept: `$XDG_STATE_HOME/chinwag/history`, or else `$HOME/.local/state/chinwag/history`.
pub fn default_path() -> Option<PathBuf> {
    path_in(env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))
}

fn path_in(state: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |folder: OsString| Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute());
    let state = state.and_then(absolute).or_else(|| Some(home.and_then(absolute)?.join(".local/state")))?;
    Some(state.join("chinwag/history"))
}

fn read(path: &Path) -> io::Result<Vec<String>> {
    // To open a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Ok(Vec::new());
    }
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(FILE_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES).read_to_end(&mut bytes)?;
    let lines = bytes.split(|&b| b == b'\n').map(|line| clean(line).into_owned());
    // The first line may lack its start.
    Ok(lines.skip(usize::from(start > 0)).filter(|line| !line.trim().is_empty()).collect())
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    // To open a pipe would wait for its reader.
    if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        return Ok(());
    }
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    // In one go, so that lines of two clients are not mixed.
    file.write_all(format!("{line}\n").as_bytes())
}

fn rewrite(path: &Path, lines: &[String]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", process::id()));
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    let done = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&new, path));
    if done.is_err() {
        let _ = fs::remove_file(&new);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn add(history: &mut History, line: &str) {
        history.add(line);
        history.settle(true);
    }

    fn numbers(from: usize, to: usize) -> String {
        (from..to).map(|n| format!("line {n}\n")).collect()
    }

    #[test]
    fn walking_keeps_the_unfinished_line() {
        let mut history = History::open(None);
        assert_eq!(history.older("x"), None);
        assert_eq!(history.newer(), None);
        for line in ["a", "b", "b", "", "  ", "a"] {
            history.add(line);
        }
        assert_eq!(history.older("unfinished"), Some("a"));
        assert_eq!(history.older("a, changed"), Some("b"));
        assert_eq!(history.older("b"), Some("a"));
        assert_eq!(history.older("a"), None);
        assert_eq!(history.newer(), Some("b"));
        assert_eq!(history.newer(), Some("a"));
        assert_eq!(history.newer(), Some("unfinished"));
        assert_eq!(history.newer(), None);
        history.older("more");
        history.add("c");
        assert_eq!(history.newer(), None);
        assert_eq!(history.older(""), Some("c"));
        history.older("");
        history.leave();
        assert_eq!(history.newer(), None);
        assert_eq!(history.older(""), Some("c"));
    }

    #[test]
    fn passwords_are_not_remembered_and_private_lines_not_written_down() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        let mut history = History::open(Some(path.clone()));
        for line in [
            "/pass x",
            "  /PaSs x",
            "/password",
            "/pass",
            "/passwd a b",
            "/pas x",
            " /pss x",
            "/logn bob x",
            "/regitser x",
            "/Login bob x",
            "/register x",
            "/drop x",
            "/token",
            "pass x",
            "login bob x",
            "/ register x",
            "/pasword x",
            "\\login bob x",
            "> /login bob x",
            "password x",
            "token:x",
        ] {
            add(&mut history, line);
        }
        assert_eq!(history.older(""), None);
        assert!(!path.exists());
        // It can be had again in this run, and is not written down.
        for line in [
            "/msg bob psst",
            "/MSG #a x",
            "/w bob psst",
            "/join #vault secret",
            "/room key secret",
            "/ROOM #vault Key secret",
            "/mgs bob psst",
            "msg bob psst",
            "\\msg bob psst",
            "join #vault secret",
            "room key secret",
        ] {
            add(&mut history, line);
        }
        // What was not taken may be for somebody else than it seems.
        history.add("/msgbob psst");
        history.settle(false);
        history.is_private = true;
        add(&mut history, "said to one person");
        history.is_private = false;
        assert!(!path.exists());
        assert_eq!(history.older(""), Some("said to one person"));
        let open =
            ["say /pass", "/pas", "/join #vault", "/room #vault key", "/room hidden on", "join us for tea", "//w x"];
        open.iter().for_each(|line| add(&mut history, line));
        assert_eq!(fs::read_to_string(path).unwrap(), open.join("\n") + "\n");
    }

    #[test]
    fn what_is_added_is_there_next_time_and_nobody_elses_business() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/history");
        let mut history = History::open(Some(path.clone()));
        add(&mut history, "one");
        add(&mut history, "zwei é 🦀\tx");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        // Another client adds to it meanwhile.
        append(&path, "three").unwrap();
        add(&mut history, "four");
        let mut history = History::open(Some(path));
        for line in ["four", "three", "zwei é 🦀\tx", "one"] {
            assert_eq!(history.older(""), Some(line));
        }
        assert_eq!(history.older(""), None);
    }

    #[test]
    fn files_of_any_kind_do_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        fs::write(&path, format!("ok\r\n\n\x1b[2J\n{}\n", "x".repeat(LINE_MAX + 1)).as_bytes()).unwrap();
        assert_eq!(History::open(Some(path)).lines, ["ok\u{fffd}", "\u{fffd}[2J"]);
        for path in [folder.path().to_owned(), PathBuf::from("/dev/null"), PathBuf::from("/dev/null/history")] {
            let mut history = History::open(Some(path));
            add(&mut history, "a");
            assert_eq!(history.older(""), Some("a"));
        }
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history");
        for (lines, kept) in [(999, 999), (1000, 1000), (2000, 2000), (2001, 1000)] {
            fs::write(&path, numbers(0, lines)).unwrap();
            let history = History::open(Some(path.clone()));
            assert_eq!(history.lines.len(), lines.min(REMEMBERED));
            assert_eq!(history.lines.last(), Some(&format!("line {}", lines - 1)));
            assert_eq!(fs::read_to_string(&path).unwrap(), numbers(lines - kept, lines));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut history = History::open(Some(path.clone()));
        history.add("new");
        assert_eq!((history.lines.len(), &*history.lines[0]), (REMEMBERED, "line 1002"));

        let huge = [vec![b'x'; usize::try_from(FILE_BYTES).unwrap()], b"\nlast\n".to_vec()].concat();
        fs::write(&path, huge).unwrap();
        assert_eq!(History::open(Some(path)).lines, ["last"]);
    }

    #[test]
    fn paths() {
        let path = |state: &str, home: &str| path_in(Some(state.into()), Some(home.into()));
        assert_eq!(path("/s", "/h"), Some("/s/chinwag/history".into()));
        assert_eq!(path("", "/h"), Some("/h/.local/state/chinwag/history".into()));
        assert_eq!(path("s", "/h"), Some("/h/.local/state/chinwag/history".into()));
        assert_eq!(path("", ""), None);
        assert_eq!(path_in(None, None), None);
    }
}
