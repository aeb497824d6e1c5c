//! Which path somebody means, and what a file may be called here and there.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::names::{FileName, clean};

const NAMELESS: &str = "file";
/// The most bytes in the name of a file that comes: ` (2)` is still to follow.
const LONGEST_NAME: usize = 240;
/// The most bytes in a name that all file systems take.
const LONGEST_PLAIN: usize = 100;

/// The name under which a file is sent: the last part of its path, made to fit [`FileName`], and `file` where there is none.
pub fn name_of(path: &Path) -> String {
    let name = path.file_name().map_or_else(Default::default, |name| clean(name.as_bytes()));
    let name = cut(&name.replace('\\', "_").replace('\t', " "), FileName::MAX);
    if name.is_empty() { NAMELESS.into() } else { name }
}

/// The path that `path` stands for: `~` and `~/…` are in the home folder.
pub fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), home()) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            let mut path = home.into_os_string();
            path.push(rest);
            path.into()
        }
        _ => path.into(),
    }
}

/// Whether a line is just the path of a file that is here, in the form in which terminals type what is dropped into them.
pub fn is_dropped(line: &str) -> bool {
    // Behind a slash alone stands a command.
    let is_path = line.starts_with(['\'', '"']) || line.strip_prefix('/').unwrap_or(line).contains('/');
    is_path && fs::symlink_metadata(meant(OsStr::new(line))).is_ok_and(|data| data.is_file())
}

/// The path of the file that somebody means. What is dropped into a terminal may stand in quotes, have backslashes in it or
/// begin with `file://`, and what is no UTF-8 is shown and typed with U+FFFD. What is there as it stands is meant so.
pub fn meant(typed: &OsStr) -> PathBuf {
    let Some(text) = typed.to_str() else { return typed.into() };
    let whole = expand(text);
    let is_there = |path: &PathBuf| fs::symlink_metadata(path).is_ok();
    if is_there(&whole) {
        return whole;
    }
    let others = [Some(expand(&unquoted(text))), of_url(&unquoted(text)), shown_as(&whole)];
    others.into_iter().flatten().find(is_there).unwrap_or(whole)
}

/// A word as a shell reads it, but for spaces, which may be a part of it.
pub(super) fn unquoted(text: &str) -> String {
    let (mut plain, mut quote, mut chars) = (String::new(), None, text.chars());
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None | Some('"'), '\\') => plain.extend(chars.next()),
            _ => plain.push(c),
        }
    }
    plain
}

/// The path in a `file://` address.
fn of_url(text: &str) -> Option<PathBuf> {
    let rest = text.strip_prefix("file://")?;
    let mut left = &rest.as_bytes()[rest.find('/')?..];
    let mut path = Vec::new();
    while let [first, others @ ..] = left {
        let hex = others.get(..2).filter(|_| *first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        path.push(byte.unwrap_or(*first));
        left = if byte.is_some() { &others[2..] } else { others };
    }
    Some(OsString::from_vec(path).into())
}

/// The only file that is shown as `path`, which stands for what is no UTF-8.
fn shown_as(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str().filter(|name| name.contains('\u{fffd}'))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    let mut alike = names.filter(|entry| clean(entry.as_bytes()) == name);
    let found = alike.next()?;
    alike.next().is_none().then(|| path.with_file_name(found))
}

/// The folder for what is fetched: the one that the desktop calls so, `~/Downloads` where none does, and the current one for
/// who has no home.
pub fn downloads() -> PathBuf {
    let Some(home) = home() else { return ".".into() };
    let config = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|config| config.is_absolute());
    let names = config.unwrap_or_else(|| home.join(".config")).join("user-dirs.dirs");
    // To open a pipe would wait for its writer.
    let is_file = names.metadata().is_ok_and(|of| of.is_file());
    let names = if is_file { fs::read_to_string(names).unwrap_or_default() } else { String::new() };
    user_folder(&names, &home).unwrap_or_else(|| home.join("Downloads"))
}

/// What the lines of `user-dirs.dirs` call the download folder. The home folder itself stands there for none.
fn user_folder(names: &str, home: &Path) -> Option<PathBuf> {
    let value = |line: &str| {
        let value = line.trim().strip_prefix("XDG_DOWNLOAD_DIR")?.trim_start().strip_prefix('=')?;
        Some(unquoted(value.trim()))
    };
    let value = names.lines().rev().find_map(value)?;
    let folder = match value.strip_prefix("$HOME") {
        Some(rest) => home.join(rest.trim_start_matches('/')),
        None => value.into(),
    };
    (folder.is_absolute() && folder != home).then_some(folder)
}

/// The home folder, if there is one.
fn home() -> Option<PathBuf> {
    env::home_dir().filter(|home| home.is_absolute())
}

/// The name in characters that all file systems take.
pub(super) fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = harmless(name).chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    cut(&name, LONGEST_PLAIN)
}

/// What a file may be called whatever a server calls it, see [`super::store::Part::open`].
pub(super) fn harmless(name: &str) -> String {
    let name = clean(name.rsplit(['/', '\\']).next().unwrap_or_default().as_bytes()).replace('\t', " ");
    let name = match name.as_bytes() {
        [] => NAMELESS.into(),
        [b'.' | b'-', ..] => format!("_{name}"),
        _ => name,
    };
    let mut name = cut(&name, LONGEST_NAME);
    // It would be taken for what has come of another file. Some systems do not tell capitals from small letters.
    if let Some(dot) = name.len().checked_sub(".part".len())
        && name.as_bytes()[dot..].eq_ignore_ascii_case(b".part")
    {
        name.replace_range(dot..=dot, "_");
    }
    name
}

/// At most so many bytes of `name`, with its extension.
pub(super) fn cut(name: &str, most: usize) -> String {
    if name.len() <= most {
        return name.into();
    }
    // What is longer than this is not meant for one.
    let extension =
        name.rfind('.').map(|dot| &name[dot..]).filter(|extension| extension.len() <= 16).unwrap_or_default();
    let mut end = most - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{extension}", &name[..end])
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn names_to_send_fit() {
        use std::ffi::OsStr;
        let long = format!("{}.jpeg", "é".repeat(200));
        for (path, name) in [
            ("cat.png", "cat.png"),
            ("/a/b/.profile", ".profile"),
            ("a/b/", "b"),
            ("a\\b", "a_b"),
            ("a\tb\nc\x1b", "a b\u{fffd}c\u{fffd}"),
            ("/", "file"),
            ("..", "file"),
            ("", "file"),
            (&long, &format!("{}.jpeg", "é".repeat(125))),
        ] {
            assert_eq!(name_of(Path::new(path)), name);
            assert!(FileName::new(name).is_some(), "{name}");
        }
        let bytes = [b"\xff".repeat(255), b"x.".repeat(150)].map(|bytes| name_of(Path::new(OsStr::from_bytes(&bytes))));
        assert!(bytes.iter().all(|name| FileName::new(name).is_some()));
    }

    #[test]
    fn the_home_folder() {
        let home = env::var("HOME").unwrap();
        for (path, wants) in
            [("~", &*home), ("~/a b", &format!("{home}/a b")), ("~a", "~a"), ("a/~", "a/~"), ("/a", "/a"), ("", "")]
        {
            assert_eq!(expand(path).as_os_str(), wants);
        }
    }

    #[test]
    fn what_is_dropped_or_shown_is_found() {
        let dir = tempdir().unwrap();
        let path = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
        let names: [&[u8]; 6] = [b"a b", b"it's", b"a\\b", b"caf\xe9", b"'q'", b"100%"];
        for name in names {
            fs::write(path(name), "").unwrap();
        }
        let at = dir.path().display();
        for (typed, name) in [
            (format!("{at}/a b"), &b"a b"[..]),
            (format!("'{at}/a b'"), b"a b"),
            (format!("{at}/a\\ b"), b"a b"),
            (format!("\"{at}/it's\""), b"it's"),
            (format!("'{at}/it'\\''s'"), b"it's"),
            (format!("{at}/a\\b"), b"a\\b"),
            (format!("{at}/'q'"), b"'q'"),
            (format!("file://{at}/a%20b"), b"a b"),
            (format!("file://localhost{at}/caf%E9"), b"caf\xe9"),
            (format!("'file://{at}/100%25'"), b"100%"),
            (format!("file://{at}/100%"), b"100%"),
            (format!("{at}/caf\u{fffd}"), b"caf\xe9"),
        ] {
            assert_eq!(meant(typed.as_ref()), path(name), "{typed}");
        }
        for (line, wants) in [("./Cargo.toml", true), ("/Cargo.toml", false), ("Cargo.toml", false), ("./none", false)]
        {
            assert_eq!(is_dropped(line), wants, "{line}");
        }
        for none in ["no such", "'none'", "file://", "file://x", "'", "\\", "\u{fffd}"] {
            assert_eq!(meant(none.as_ref()), Path::new(none));
        }
        fs::write(path(b"caf\xe8"), "").unwrap();
        let typed = format!("{at}/caf\u{fffd}");
        assert_eq!(meant(typed.as_ref()), Path::new(&typed), "it may be either");
    }

    #[test]
    fn the_folder_that_the_desktop_calls_so() {
        let home = Path::new("/home/al");
        for (names, folder) in [
            ("XDG_DOWNLOAD_DIR=\"$HOME/Téléchargements\"\n", Some("/home/al/Téléchargements")),
            ("# XDG_DOWNLOAD_DIR=\"/no\"\n  XDG_DOWNLOAD_DIR = \"/data/in\\\"x\"", Some("/data/in\"x")),
            ("XDG_DOWNLOAD_DIR=\"/one\"\nXDG_MUSIC_DIR=\"/m\"\nXDG_DOWNLOAD_DIR=\"/two\"", Some("/two")),
            ("XDG_DOWNLOAD_DIR=\"$HOME/\"", None),
            ("XDG_DOWNLOAD_DIR=\"$HOME\"", None),
            ("XDG_DOWNLOAD_DIR=\"in\"", None),
            ("XDG_DOWNLOAD_DIR=", None),
            ("", None),
        ] {
            assert_eq!(user_folder(names, home).as_deref(), folder.map(Path::new), "{names}");
        }
    }
}
