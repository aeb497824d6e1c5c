//! What Tab offers.

use std::fs;
use std::path::Path;

use crate::client::wire::paths;
use crate::commands;
use crate::names::{Nick, Place, clean};
use crate::register::entry::RuleKind;
use crate::unicode::fold;

/// The most names that are read of a folder.
const FOLDER_MAX: usize = 10_000;

/// What `/set` may change here. The client needs the rest as it is.
const SETTINGS: [&str; 2] = ["presence", "typing"];
/// Commands that are for somebody in a room.
const OF_MEMBERS: &[&str] = &["op", "deop", "voice", "devoice", "founder", "kick", "ban", "mute", "invite", "uninvite"];

/// What may stand for the word before the cursor.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Completion {
    /// Where the word begins, as a byte of the text before the cursor.
    pub start: usize,
    /// Whole words with what follows them, as in `/join ` or `docs/`. They are sorted, and each is there once.
    pub candidates: Vec<String>,
}

/// What there is to be named.
#[derive(Default, Debug)]
pub struct World<'a> {
    /// The commands, without their slash.
    pub commands: &'a [&'a str],
    /// The people.
    pub nicks: Vec<&'a str>,
    /// The rooms, with their `#`.
    pub rooms: Vec<&'a str>,
    /// The rooms that may be entered, with their `#`.
    pub known_rooms: Vec<&'a str>,
    /// The IDs of the files that may be fetched.
    pub files: Vec<u64>,
}

/// What may be completed at the end of `before`, the text before the cursor. `list` tells what is in a folder, and of
/// each name whether it is a folder.
pub fn complete(before: &str, world: &World, list: impl Fn(&Path) -> Vec<(String, bool)>) -> Completion {
    let rooms = || world.rooms.iter().map(|room| format!("{room} "));
    let nicks = || world.nicks.iter().map(|nick| format!("{nick} "));
    let talk = || match last_word(before) {
        (_, "") => Completion::default(),
        (start, word) if word.starts_with('#') => offer(start, word, rooms()),
        (start, word) if word.starts_with('@') => offer(start, word, nicks().map(|nick| format!("@{nick}"))),
        (0, word) => offer(0, word, world.nicks.iter().map(|nick| format!("{nick}: "))),
        (start, word) => offer(start, word, nicks()),
    };
    // A doubled slash says one.
    let Some(command) = before.strip_prefix('/').filter(|command| !command.starts_with('/')) else { return talk() };
    let Some((command, rest)) = command.split_once(' ') else {
        return offer(0, before, world.commands.iter().map(|command| format!("/{command} ")));
    };
    let command = command.to_ascii_lowercase();
    let command = commands::find(&command).map_or(&*command, |spec| spec.name);
    let rest = rest.trim_start_matches(' ');
    let start = before.len() - rest.len();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>().into_iter();
    let rules = || commands::RULES.iter().map(|(_, rule)| format!("{rule} "));
    let switches = |word: &str| offer(before.len() - word.len(), word, words(&["on", "off"]));
    match (command, rest.split_once(' ')) {
        ("fold", None) => switches(rest),
        ("set", None) => offer(start, rest, SETTINGS.iter().map(|setting| format!("{setting} "))),
        ("set" | "typing", Some((_, word))) if !word.contains(' ') => switches(word),
        ("show", Some((_, word))) => offer(before.len() - word.len(), word, words(&["full"])),
        ("help", None) => offer(start, rest, words(world.commands)),
        ("join", None) => offer(start, rest, world.known_rooms.iter().map(|room| format!("{room} "))),
        ("leave" | "topic" | "history", None) => offer(start, rest, rooms()),
        ("get" | "show" | "cancel", None) => {
            let mut ids = offer(start, rest, world.files.iter().map(|id| format!("{id} ")));
            // Numbers that are sorted as text and then by their length are sorted.
            ids.candidates.sort_by_key(String::len);
            ids
        }
        // Alone, it may be the file for whom one talks to.
        ("send", None) if !rest.is_empty() => {
            let mut both = complete_path(start, rest, list);
            // Of a name with blanks, what stands before them would be taken for somebody.
            both.candidates.retain(|name| !is_target(rest) || !name.contains(' '));
            if both.start == start {
                both.candidates.extend(offer(start, rest, rooms().chain(nicks())).candidates);
                both.candidates.sort_by_cached_key(|name| (name.to_lowercase(), name.clone()));
            }
            both
        }
        ("send" | "msg" | "query" | "typing" | "files" | "who", None) => offer(start, rest, rooms().chain(nicks())),
        ("ignore" | "unignore", None) => offer(start, rest, nicks()),
        ("bans" | "unban" | "erase", None) => offer(start, rest, rooms()),
        ("account" | "login" | "where" | "kill" | "block" | "grant" | "revoke" | "operator", None) => {
            offer(start, rest, nicks())
        }
        ("room", None) => offer(start, rest, rooms().chain(rules())),
        ("room", Some((first, more))) => {
            let more = more.trim_start_matches(' ');
            let at = |word: &str| before.len() - word.len();
            match (first.starts_with('#'), more.split_once(' ')) {
                (true, None) => offer(at(more), more, rules()),
                (true, Some((rule, value))) if !value.contains(' ') => offer(at(value), value, words(values(rule))),
                (false, None) => offer(at(more), more, words(values(first))),
                _ => Completion::default(),
            }
        }
        (command, None) if OF_MEMBERS.contains(&command) => offer(start, rest, rooms().chain(nicks())),
        (command, Some((room, nick))) if OF_MEMBERS.contains(&command) && room.starts_with('#') => {
            let nick = nick.trim_start_matches(' ');
            offer(before.len() - nick.len(), nick, nicks())
        }
        ("send", Some((first, path))) => {
            let path = if is_target(first) { path.trim_start_matches(' ') } else { rest };
            complete_path(before.len() - path.len(), path, list)
        }
        ("msg", Some(_)) | ("me", _) => talk(),
        _ => Completion::default(),
    }
}

/// What a name with blanks may stand in.
const QUOTES: [char; 2] = ['"', '\''];

/// Whether `/send` takes a word for whom something is for, and not for a path.
fn is_target(word: &str) -> bool {
    Place::new(word).is_some() || Nick::new(word).is_ok()
}

/// What a rule of a room may be, as far as that can be listed.
fn values(rule: &str) -> &'static [&'static str] {
    let kind = commands::RULES.iter().find(|(_, name)| name.eq_ignore_ascii_case(rule)).map(|(kind, _)| *kind);
    match kind {
        Some(RuleKind::Guests) => &["speak", "listen", "out"],
        Some(RuleKind::Key | RuleKind::Limit | RuleKind::Slow) => &["off"],
        Some(_) => &["on", "off"],
        None => &[],
    }
}

/// The names in the folder `path`, sorted, and of each whether it is a folder. Names that are not UTF-8 are left out,
/// and so is what is beyond the first 10,000. A folder that cannot be read has none.
pub fn list_folder(path: &Path) -> Vec<(String, bool)> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let name = |entry: fs::DirEntry| {
        let kind = entry.file_type().ok()?;
        let is_folder = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
        Some((entry.file_name().into_string().ok()?, is_folder))
    };
    let mut names: Vec<_> = entries.take(FOLDER_MAX).flatten().filter_map(name).collect();
    names.sort_unstable();
    names
}

fn offer(start: usize, word: &str, names: impl Iterator<Item = String>) -> Completion {
    // Without case, letters stand apart from their marks, so that one may be typed without the other.
    let word = fold(word);
    let mut candidates: Vec<_> = names.filter(|name| fold(name).starts_with(&*word)).collect();
    candidates.sort_by_cached_key(|name| (name.to_lowercase(), name.clone()));
    candidates.dedup();
    Completion { start, candidates }
}

fn last_word(text: &str) -> (usize, &str) {
    let start = text.rfind([' ', '\t']).map_or(0, |space| space + 1);
    (start, &text[start..])
}

fn complete_path(start: usize, path: &str, list: impl Fn(&Path) -> Vec<(String, bool)>) -> Completion {
    // In quotes a path goes on up to the next of these.
    if let Some(quote) = path.chars().next().filter(|c| QUOTES.contains(c)) {
        let mut within = complete_path(start + 1, &path[1..], list);
        within.candidates.retain(|name| !name.contains([quote, '\\']));
        for name in within.candidates.iter_mut().filter(|name| !name.ends_with('/')) {
            name.push(quote);
        }
        return within;
    }
    if path == "~" {
        return Completion { start, candidates: vec!["~/".to_owned()] };
    }
    let (folder, last) = path.split_at(path.rfind('/').map_or(0, |slash| slash + 1));
    let names = list(&paths::expand(if folder.is_empty() { "." } else { folder })).into_iter();
    let names = names.filter(|(name, _)| last.starts_with('.') || !name.starts_with('.'));
    // A name that cannot be typed cannot be completed.
    let names = names.filter(|(name, _)| clean(name.as_bytes()) == *name);
    // What follows a file is the end of the line, so a space would be part of its name.
    let names = names.map(|(name, is_folder)| if is_folder { name + "/" } else { name });
    offer(start + folder.len(), last, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    fn disk(path: &Path) -> Vec<(String, bool)> {
        let home = std::env::home_dir().unwrap();
        let names: &[(&str, bool)] = match path.to_str().unwrap() {
            "." => &[("a b.txt", false), ("Docs", true), ("dog.png", false), (".hidden", true), ("bad\x1b", false)],
            "Docs/" => &[("é.txt", false), ("in two", true)],
            "/" => &[("etc", true)],
            "a b/" => &[("c", false)],
            _ if path == home => &[("at home", false)],
            _ if path == home.join("x") => &[("deep", false)],
            _ => &[],
        };
        names.iter().map(|&(name, is_folder)| (name.to_owned(), is_folder)).collect()
    }

    #[test]
    fn words() {
        let world = World {
            commands: &["join", "msg", "me", "join"],
            nicks: vec!["alice", "Bob", "alfred", "alice"],
            rooms: vec!["#lobby", "#Log", "#dev"],
            known_rooms: vec!["#lobby", "#Log", "#dev", "#club"],
            files: vec![10, 9, 12],
        };
        let people = &["alfred ", "alice ", "Bob "][..];
        let rooms = &["#dev ", "#lobby ", "#Log "][..];
        let both = &[rooms, people].concat();
        for (before, start, want) in [
            // The command.
            ("/", 0, &["/join ", "/me ", "/msg "][..]),
            ("/M", 0, &["/me ", "/msg "]),
            ("/x", 0, &[]),
            // Its first argument.
            ("/join ", 6, &["#club ", "#dev ", "#lobby ", "#Log "]),
            ("/join #cl", 6, &["#club "]),
            ("/leave #cl", 7, &[]),
            ("/JOIN  #LO", 7, &["#lobby ", "#Log "]),
            ("/leave #d", 7, &["#dev "]),
            ("/part #d", 6, &["#dev "]),
            ("/topic al", 7, &[]),
            ("/history ", 9, rooms),
            ("/get ", 5, &["9 ", "10 ", "12 "]),
            ("/show 1", 6, &["10 ", "12 "]),
            ("/cancel 9", 8, &["9 "]),
            ("/msg ", 5, both),
            ("/query b", 7, &["Bob "]),
            ("/typing #de", 8, &["#dev "]),
            ("/files ", 7, both),
            ("/who AL", 5, &["alfred ", "alice "]),
            ("/ignore ", 8, people),
            ("/fold ", 6, &["off", "on"]),
            ("/fold of", 6, &["off"]),
            ("/set ", 5, &["presence ", "typing "]),
            ("/set typing ", 12, &["off", "on"]),
            ("/set typing on ", 0, &[]),
            ("/typing #dev of", 13, &["off"]),
            ("/show 9 f", 8, &["full"]),
            ("/help m", 6, &["me", "msg"]),
            ("/unignore b", 10, &["Bob "]),
            ("/send al", 6, &["alfred ", "alice "]),
            ("/kick b", 6, &["Bob "]),
            ("/op #d", 4, &["#dev "]),
            ("/room #d", 6, &["#dev "]),
            ("/room mo", 6, &["moderated "]),
            ("/room moderated ", 16, &["off", "on"]),
            ("/room guests l", 13, &["listen"]),
            ("/room #dev  past o", 17, &["off", "on"]),
            ("/room #dev in", 11, &["invite-only "]),
            ("/room #dev key ", 15, &["off"]),
            ("/room nonsense ", 0, &[]),
            ("/room #dev past on ", 0, &[]),
            ("/where b", 7, &["Bob "]),
            ("/kill al", 6, &["alfred ", "alice "]),
            ("/account AL", 9, &["alfred ", "alice "]),
            // What follows.
            ("/ban #dev AL", 10, &["alfred ", "alice "]),
            ("/ban bob al", 0, &[]),
            ("/kick #dev alice al", 0, &[]),
            ("/join #dev b", 0, &[]),
            ("/get 9 1", 0, &[]),
            ("/nick al", 0, &[]),
            ("/away al", 0, &[]),
            ("/unknown al", 0, &[]),
            ("/msg bob ", 0, &[]),
            ("/msg bob al", 9, &["alfred ", "alice "]),
            ("/me hugs b", 9, &["Bob "]),
            // Talk.
            ("", 0, &[]),
            ("hi ", 0, &[]),
            ("b", 0, &["Bob: "]),
            ("é b", 3, &["Bob "]),
            ("é\tb", 3, &["Bob "]),
            (" b", 1, &["Bob "]),
            ("see #l", 4, &["#lobby ", "#Log "]),
            ("#d", 0, &["#dev "]),
            ("@AL", 0, &["@alfred ", "@alice "]),
            ("hi @", 3, &["@alfred ", "@alice ", "@Bob "]),
            ("//join b", 7, &["Bob "]),
            ("//j", 0, &[]),
            // Paths.
            ("/send bob ", 10, &["a b.txt", "Docs/", "dog.png"]),
            ("/send bob  DO", 11, &["Docs/", "dog.png"]),
            ("/send bob a b", 10, &["a b.txt"]),
            ("/send bob .", 10, &[".hidden/"]),
            ("/send bob Docs/", 15, &["in two/", "é.txt"]),
            ("/send bob Docs/É", 15, &["é.txt"]),
            ("/send bob a b/", 14, &["c"]),
            ("/send bob /", 11, &["etc/"]),
            ("/send bob ~", 10, &["~/"]),
            ("/send bob ~/", 12, &["at home"]),
            ("/send bob ~/x/d", 14, &["deep"]),
            ("/send bob ~x", 10, &[]),
            ("/send bob nowhere/", 18, &[]),
            // For whom one talks to.
            ("/send ", 6, both),
            ("/send do", 6, &["Docs/", "dog.png"]),
            ("/send d", 6, &["Docs/", "dog.png"]),
            ("/send a", 6, &["alfred ", "alice "]),
            ("/send Docs/i", 11, &["in two/"]),
            ("/send ./nowhere", 0, &[]),
            ("/send /", 7, &["etc/"]),
            ("/send ~", 6, &["~/"]),
            ("/send ~/x/d", 10, &["deep"]),
            ("/send ~/at h", 8, &["at home"]),
            // In quotes.
            ("/send \"a", 7, &["a b.txt\""]),
            ("/send \"a b", 7, &["a b.txt\""]),
            ("/send bob 'a b", 11, &["a b.txt'"]),
            ("/send bob 'Docs/", 16, &["in two/", "é.txt'"]),
            ("/send '~/at", 9, &["at home'"]),
            ("/send 'a b.txt' ", 0, &[]),
        ] {
            let completion = complete(before, &world, disk);
            assert_eq!(completion.candidates, want, "{before:?}");
            if !want.is_empty() {
                assert_eq!(completion.start, start, "{before:?}");
            }
        }
    }

    #[test]
    fn folders() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("b")).unwrap();
        fs::write(path("a"), "").unwrap();
        fs::write(folder.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        symlink("b", path("to b")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        let want = [("a", false), ("b", true), ("dangling", false), ("to b", true)];
        assert_eq!(list_folder(folder.path()), want.map(|(name, is_folder)| (name.to_owned(), is_folder)));
        assert_eq!(list_folder(&path("a")), []);
    }
}
