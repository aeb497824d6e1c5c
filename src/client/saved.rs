//! Saved servers: what a person has written down for them in `~/.config/chinwag/config`, in the words of the options.
//!
//! ```text
//! nick = alice
//!
//! [work]
//! server = chat.example.org
//! join = #team #lobby
//! ```
//!
//! What stands above the first section holds for every server.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::client::line::history;
use crate::home::{Durability, make_folder, open_regular, private, replace};
use crate::listener::reason;
use crate::time;

/// How many servers are remembered that were left.
const LEFT: usize = 100;
/// The most bytes that the file may have.
const MOST: u64 = 64 * 1024;

/// What may be settled: each is what the option of that name is.
pub const KEYS: &[&str] = &[
    "server",
    "nick",
    "join",
    "password-file",
    "token-file",
    "tls",
    "fingerprint",
    "downloads",
    "color",
    "bell",
    "typing",
    "fold",
    "plain",
    "times",
    "rooms",
];

/// The key of which the value may be several words.
const LIST: &str = "join";

/// What is written down for one server.
#[derive(Default, Debug)]
pub struct Saved {
    path: PathBuf,
    /// Whether there is a section for this server.
    pub is_named: bool,
    /// The names of all sections.
    pub names: Vec<String>,
    /// What holds for every server.
    general: Vec<Setting>,
    /// What the section says.
    own: Vec<Setting>,
    /// What is wrong in sections of other servers, of each what comes first.
    pub wrong: Vec<String>,
}

#[derive(Debug)]
struct Setting {
    line: usize,
    key: &'static str,
    value: String,
}

impl Saved {
    /// What the file at `path` says of the server `name`; without a name, of every server. Nothing if there is no such file. It
    /// is an error if it cannot be read or understood, or if `check` refuses a word of it; but in the section of another server that
    /// is only something to be told.
    pub fn of(
        path: Option<PathBuf>,
        name: Option<&str>,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Result<Self, String> {
        let Some(path) = path else { return Ok(Self::default()) };
        let Some(text) = read(&path)? else { return Ok(Self::default()) };
        let mut saved = Self { path, ..Self::default() };
        // The name of the section that is read, and whether something is wrong in it that is told already.
        let (mut section, mut is_wrong) = (None, false);
        for (n, line) in text.lines().enumerate() {
            let (n, line) = (n + 1, line.trim());
            let wrong = |why: &str| format!("{}:{n}: {why}", saved.path.display());
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(rest) = line.strip_prefix('[') {
                let title = rest.strip_suffix(']').map(str::trim).filter(|title| !title.is_empty());
                let title = title.ok_or_else(|| wrong("a section is a name in brackets, as in [work]"))?;
                (section, is_wrong) = (Some(title), false);
                saved.is_named |= section == name;
                if !saved.names.iter().any(|known| known == title) {
                    saved.names.push(title.to_owned());
                }
                continue;
            }
            let setting = saved.setting(n, line, &check);
            match (section, setting) {
                (None, setting) => saved.general.push(setting?),
                (Some(title), setting) if Some(title) == name => saved.own.push(setting?),
                (Some(title), Err(why)) if !std::mem::replace(&mut is_wrong, true) => {
                    saved.wrong.push(format!("{why}; this goes on without it, as it is for [{title}] alone"));
                }
                (Some(_), _) => {}
            }
        }
        // Who names a server means no other.
        saved.general.retain(|setting| name.is_none() || setting.key != "server");
        Ok(saved)
    }

    /// What this line settles, which has this number.
    fn setting(
        &self,
        number: usize,
        line: &str,
        check: impl Fn(&str, &str) -> Result<(), String>,
    ) -> Result<Setting, String> {
        let wrong = |why: &str| format!("{}:{number}: {why}", self.path.display());
        let (key, value) = line.split_once('=').ok_or_else(|| wrong("a line is KEY = VALUE, as in nick = alice"))?;
        let key = key.trim().to_ascii_lowercase();
        let key = KEYS
            .iter()
            .find(|known| **known == key)
            .ok_or_else(|| wrong(&format!("nothing is called “{key}” here; there are {}", KEYS.join(", "))))?;
        // Of several in quotes each has its own.
        let whole = unquoted(value.trim());
        let value = if whole.contains(['"', '\'']) { value.trim() } else { whole }.to_owned();
        if value.is_empty() {
            return Err(wrong(&format!("{key} has no value; write {key} = VALUE, or take the line out")));
        }
        let setting = Setting { line: number, key, value };
        setting.words().try_for_each(|word| self.value(&setting, word, |word| check(key, word)))?;
        Ok(setting)
    }

    /// What is settled under this key, read by `read`. The last line counts. An error names file and line.
    pub fn one<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
        self.settings(key).last().map(|setting| self.value(setting, &setting.value, &read)).transpose()
    }

    /// All the words that are settled under this key, on one line or on several.
    pub fn all<T>(&self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
        let words = self.settings(key).flat_map(|setting| setting.words().map(move |word| (setting, word)));
        words.map(|(setting, word)| self.value(setting, word, &read)).collect()
    }

    /// The path that is settled under this key, which may begin with `~`, or else in the folder of the file.
    pub fn path(&self, key: &str, expand: impl Fn(&str) -> PathBuf) -> Option<PathBuf> {
        let setting = self.settings(key).last()?;
        Some(self.path.parent().unwrap_or(Path::new("")).join(expand(&setting.value)))
    }

    /// What the section says under this key, or else what holds for every server.
    fn settings(&self, key: &str) -> impl Iterator<Item = &Setting> {
        let of_key = move |setting: &&Setting| setting.key == key;
        let of = if self.own.iter().any(|setting| setting.key == key) { &self.own } else { &self.general };
        of.iter().filter(of_key)
    }

    fn value<T>(&self, setting: &Setting, text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
        read(text).map_err(|why| {
            let Setting { line, key, value } = setting;
            // A room begins so too.
            let is_comment = if *key == LIST { value.contains(" # ") } else { value.contains([' ', '\t']) };
            let comment =
                if is_comment && value.contains([';', '#']) { "; a comment stands on a line of its own" } else { "" };
            format!("{}:{line}: {key} = {text}: {why}{comment}", self.path.display())
        })
    }
}

impl Setting {
    /// The words that it is made of.
    fn words(&self) -> impl Iterator<Item = &str> {
        let separators: &[char] = if self.key == LIST { &[' ', '\t', ','] } else { &[] };
        self.value.split(separators).filter(|word| !word.is_empty()).map(unquoted)
    }
}

/// Where servers are saved: `$XDG_CONFIG_HOME/chinwag/config`, or else `$HOME/.config/chinwag/config`.
pub fn default_path() -> Option<PathBuf> {
    let absolute = |folder: OsString| Some(PathBuf::from(folder)).filter(|folder| folder.is_absolute());
    let config = env::var_os("XDG_CONFIG_HOME").and_then(absolute);
    let config = config.or_else(|| Some(env::var_os("HOME").and_then(absolute)?.join(".config")))?;
    Some(config.join("chinwag/config"))
}

/// The file of this name beside the lines that were typed. It is an error if there is no place for either.
pub fn beside(name: &str) -> io::Result<PathBuf> {
    history::default_path().map(|path| path.with_file_name(name)).ok_or_else(homeless)
}

/// Why nothing can be kept.
pub fn homeless() -> io::Error {
    io::Error::new(ErrorKind::NotFound, "there is no home folder for it; set HOME")
}

/// What was remembered under this name when it was last settled in a chat.
pub fn remembered(name: &str) -> Option<bool> {
    match read(&beside(name).ok()?).ok()??.trim() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// Remembers what was settled in a chat under this name, beside the lines that were typed.
pub fn remember(name: &str, is_on: bool) -> io::Result<()> {
    keep(&beside(name)?, if is_on { "on\n" } else { "off\n" })
}

/// When the newest message was said that was seen on this server before the client left it last.
pub fn left(server: &str) -> Option<SystemTime> {
    let text = read(&beside("left").ok()?).ok()??;
    let at = text.lines().find_map(|line| line.strip_suffix(server)?.strip_suffix(' '))?;
    humantime::parse_rfc3339(at).ok()
}

/// Remembers that for the next run, the latest first.
pub fn leave(server: &str, at: SystemTime) -> io::Result<()> {
    let path = beside("left")?;
    change(&path, || {
        let text = read(&path)?.unwrap_or_default();
        let others = text.lines().filter(|line| !line.ends_with(&format!(" {server}"))).take(LEFT - 1);
        let own = format!("{} {server}\n", time::in_millis(at));
        Ok(others.fold(own, |text, line| text + line + "\n"))
    })
}

/// The text of a file of a person's own; `None` if there is no such file. It is an error if it cannot be read, is no text or has too
/// many bytes.
pub fn read(path: &Path) -> Result<Option<String>, String> {
    bytes(path)?.map(String::from_utf8).transpose().map_err(|_| not_utf8(path))
}

/// Why a file is of no use that is no text, or was saved in another encoding.
pub fn not_utf8(path: &Path) -> String {
    format!("cannot read {}: it is not UTF-8; save it as that", path.display())
}

/// The same, be it text or not, without the mark that some editors put before a text.
pub fn bytes(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let failed = |why: &str| format!("cannot read {}: {why}", path.display());
    match path.metadata() {
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(failed(&reason(&e))),
        // To open a pipe would wait for its writer.
        Ok(metadata) if !metadata.is_file() => return Err(failed("it is no file")),
        Ok(metadata) if metadata.len() > MOST => return Err(failed(&format!("it has more than {MOST} bytes"))),
        Ok(_) => {}
    }
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    read.map_err(|e| failed(&reason(&e)))?;
    let mark = "\u{feff}".as_bytes();
    Ok(Some(bytes.strip_prefix(mark).map(<[u8]>::to_vec).unwrap_or(bytes)))
}

/// Keeps a text in a file that nobody else can read, in the place of the one before.
pub fn keep(path: &Path, text: &str) -> io::Result<()> {
    change(path, || Ok(text.to_owned()))
}

/// Keeps so the text that `text` makes, perhaps of the one before: of several clients each waits until the one before has kept its own.
pub fn change(path: &Path, text: impl FnOnce() -> Result<String, String>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    make_folder(folder)?;
    let lock = open_regular(private().write(true).create(true).truncate(false), &folder.join(".lock"))?;
    // Not every file system can lock. It is kept all the same.
    let _ = lock.lock();
    replace(path, text().map_err(io::Error::other)?.as_bytes(), Durability::Sync)
}

/// Who quotes a room as in a shell means the room.
fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What a file with this text says of `work`.
    fn work(text: &str) -> Result<Saved, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        fs::write(&path, text).unwrap();
        let check = |_: &str, text: &str| word(text).map(drop);
        Saved::of(Some(path.clone()), Some("work"), check).map_err(|why| why.replace(&*path.to_string_lossy(), "FILE"))
    }

    fn word(text: &str) -> Result<String, String> {
        if text == "bad" { Err("it is bad".to_owned()) } else { Ok(text.to_owned()) }
    }

    #[test]
    fn a_section_goes_before_what_holds_for_all() {
        let text = "\u{feff}nick = alice\r\njoin = #a\n; no more\n[home]\nnick=eve\n[ work ]\n# mine\n Server = \
                    there \njoin='#b' #c\njoin = \"#d\"\n join = \"#e\", \"#f\"\n[other]\nnick = eve\n";
        let saved = work(text).unwrap();
        assert!(saved.is_named && saved.names == ["home", "work", "other"]);
        assert_eq!(saved.one("nick", word), Ok(Some("alice".to_owned())));
        assert_eq!(saved.one("server", word), Ok(Some("there".to_owned())));
        assert_eq!(saved.all("join", word), Ok(["#b", "#c", "#d", "#e", "#f"].map(str::to_owned).to_vec()));
        assert_eq!(saved.one("fold", word), Ok(None));
        let none = work("[home]\nnick = eve").unwrap();
        assert!(!none.is_named && none.one("nick", word) == Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, want) in [
            ("[work\n", "FILE:1: a section is"),
            ("\n[]", "FILE:2: a section is"),
            ("[work]\nnick alice", "FILE:2: a line is KEY = VALUE"),
            ("nik = alice", "FILE:1: nothing is called “nik” here; there are server, nick,"),
            ("nick =", "FILE:1: nick has no value"),
            ("[work]\nnick = bad", "FILE:2: nick = bad: it is bad"),
            ("join = #a bad #c", "FILE:1: join = bad: it is bad"),
            // Whose that is cannot be known.
            ("[home]\nnick = eve\n[other\nnick = bad", "FILE:3: a section is"),
        ] {
            let why = work(text).unwrap_err();
            assert!(why.starts_with(want), "{why}");
        }
        let why = work("[work]\nnick = worse").unwrap().one("nick", |_| Err::<(), _>("it is worse".to_owned()));
        assert!(why.unwrap_err().ends_with("config:2: nick = worse: it is worse"));
    }

    #[test]
    fn what_is_wrong_for_another_server_stops_this_one_not() {
        let text = "nick = alice\n[home]\npassword = x\nnick =\n[work]\njoin = #a\n[other]\nnick = eve\njoin = bad\n";
        let saved = work(text).unwrap();
        assert_eq!(saved.all("join", word), Ok(vec!["#a".to_owned()]));
        let told: Vec<_> = saved.wrong.iter().map(|why| why.rsplit_once("config:").unwrap().1).collect();
        assert!(told.len() == 2 && told[0].starts_with("3: nothing is called “password” here"), "{told:?}");
        assert_eq!(told[1], "9: join = bad: it is bad; this goes on without it, as it is for [other] alone");
    }

    #[test]
    fn a_comment_behind_a_value_is_told_from_a_room() {
        let why = |line: &str| {
            let settled = work("").unwrap();
            let (key, value) = line.split_once(" = ").unwrap();
            let key = KEYS.iter().find(|known| **known == key).unwrap();
            let setting = Setting { line: 1, key, value: value.to_owned() };
            settled.value(&setting, value, |_| Err::<(), _>("no".to_owned())).unwrap_err()
        };
        for (line, is_told) in [
            ("server = host # mine", true),
            ("nick = alice ;me", true),
            ("nick = al#ice", false),
            ("join = #a # mine", true),
            ("join = #a #b c", false),
        ] {
            assert_eq!(why(line).ends_with("; a comment stands on a line of its own"), is_told, "{line}");
        }
    }

    #[test]
    fn what_is_kept_leaves_alone_what_others_are_about_to_keep() {
        let folder = tempfile::tempdir().unwrap();
        // In another container there may be a client of the same number.
        let theirs = folder.path().join(format!(".{}", std::process::id()));
        fs::write(&theirs, "theirs").unwrap();
        let path = folder.path().join("ours");
        keep(&path, "ours").unwrap();
        let read = |path| fs::read_to_string(path).unwrap();
        assert_eq!((read(path), read(theirs)), ("ours".to_owned(), "theirs".to_owned()));
    }

    #[test]
    fn without_a_file_nothing_is_settled() {
        for path in [None, Some(PathBuf::from("/dev/null/config")), Some(PathBuf::from("/none/config"))] {
            assert!(Saved::of(path, Some("work"), |_, _| Ok(())).is_ok_and(|saved| !saved.is_named));
        }
        assert!(Saved::of(Some(PathBuf::from("/dev")), None, |_, _| Ok(())).is_err());
    }
}
