//! What was typed by mistake: a command that is misspelled, a secret that would be said, the keys of a terminal.

use super::words::person;
use super::{TABLE, find};
use crate::event::{Fault, Verb};
use crate::limits;
use crate::text::is_blank;
use crate::wire::{self, TOKEN};

/// What other programs call commands that somebody may look for here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("w", "msg"),
    ("tell", "msg"),
    ("whisper", "msg"),
    ("bye", "quit"),
    ("users", "who"),
    ("channels", "rooms"),
    ("unmute", "unban"),
    ("kickban", "ban"),
    ("mode", "room"),
    ("identify", "login"),
    ("auth", "login"),
    ("password", "passwd"),
];
/// The longest name that may be a slip of the fingers.
const SLIP_MAX: usize = 12;

/// The names of commands that somebody may mean who has typed this one, which is none: those that begin so, and those that
/// are a slip or two away. They are of those alone that `is_known` to them.
pub fn meant(typed: &str, is_known: impl Fn(Verb) -> bool) -> Vec<&'static str> {
    let is_meant = |name: &&&str| may_mean(typed, name);
    let known = TABLE.iter().filter(|spec| is_known(spec.verb));
    let close = known.filter_map(|spec| [spec.name].iter().chain(spec.aliases).find(is_meant).copied());
    let is_named = |name: &str| find(name).is_some_and(|spec| is_known(spec.verb));
    let is_other = |other: &str| other.eq_ignore_ascii_case(typed);
    let elsewhere = ELSEWHERE.iter().filter(|(other, name)| is_other(other) && is_named(name)).map(|(_, name)| *name);
    // What is a word elsewhere is no slip.
    let is_word = typed.len() > 1 && elsewhere.clone().next().is_some();
    close.filter(|_| !is_word).chain(elsewhere).collect()
}

/// Whether who has typed this, which is no command, may mean that of this name, as it begins so or is a slip or two away.
pub fn may_mean(typed: &str, name: &str) -> bool {
    let typed = typed.to_lowercase();
    let slips = if typed.len() > 4 { 2 } else { usize::from(typed.len() > 2) };
    (1..=SLIP_MAX).contains(&typed.len()) && (name.starts_with(&*typed) || slips_between(&typed, name) <= slips)
}

/// Whether a request is for others than operators, to whom alone those are known that are not.
pub fn is_common(verb: Verb) -> bool {
    !verb.is_of_operators()
}

/// How many letters are missing, too many, wrong, or in each other's place.
fn slips_between(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for i in 0..=one.len() {
        for j in 0..=other.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let is_wrong = usize::from(one[i - 1] != other[j - 1]);
                let least = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + is_wrong);
                let is_swapped = i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1];
                if is_swapped { least.min(rows[i - 2][j - 2] + 1) } else { least }
            };
        }
    }
    rows[one.len()][other.len()]
}

/// Why nobody means to say this text: it is a secret behind something too much, or without its slash.
pub(super) fn not_meant(text: &str) -> Option<Fault> {
    let behind = text.trim_start_matches(is_blank);
    if behind.starts_with('/') && holds_secret(behind) {
        return Some(Fault::Indented);
    }
    let word = text.trim_matches(is_blank);
    if word.strip_prefix(TOKEN).and_then(wire::token).is_some() {
        return Some(Fault::BareToken);
    }
    // As pages show what is typed.
    let copied = behind.strip_prefix('>').map(|line| line.trim_start_matches(is_blank));
    if copied.is_some_and(|line| line.starts_with('/') && holds_secret(line)) {
        return Some(Fault::Copied);
    }
    let secret = backslashed_secret(behind).or_else(|| slashless_secret(copied.unwrap_or(text)));
    secret.map(Fault::Slashless)
}

/// The command with a secret, or for one person, that is meant by one behind the other slash, as those type it who know that one from paths.
fn backslashed_secret(text: &str) -> Option<Verb> {
    let (name, rest) = text.strip_prefix('\\')?.split_once(is_blank)?;
    let is_for_few = |verb| matches!(verb, Verb::Passwd | Verb::Msg | Verb::Query);
    let spec = find(name).filter(|spec| SECRET.contains(&spec.name) || is_for_few(spec.verb))?;
    (!rest.trim_matches(is_blank).is_empty()).then_some(spec.verb)
}

/// The command that is meant by a text with just its shape, but without its slash, where others would read a password: one that there is
/// has the length of one, and one that is to be may be too short yet. Who talks about logging in uses more words, or shorter ones.
pub fn slashless_secret(text: &str) -> Option<Verb> {
    let mut words = text.split(is_blank).filter(|word| !word.is_empty());
    let first = words.next()?;
    let is = |name: &str| first.strip_suffix(':').unwrap_or(first).eq_ignore_ascii_case(name);
    let may_be_password = |word: &str| limits::PASSWORD.contains(&word.len());
    match (words.next()?, words.next(), words.next()) {
        (_, None, _) if is("register") => Some(Verb::Register),
        (nick, Some(word), None) if is("login") && person(nick).name.is_ok() && may_be_password(word) => {
            Some(Verb::Login)
        }
        // The nick is left out. Who asks for a "login please" writes no digits.
        (word, None, _) if is("login") && may_be_password(word) && word.contains(|c: char| c.is_ascii_digit()) => {
            Some(Verb::Login)
        }
        (word, None, _) if is("passwd") && may_be_password(word) => Some(Verb::Passwd),
        (old, Some(new), None) if is("passwd") && (may_be_password(old) || may_be_password(new)) => Some(Verb::Passwd),
        (word, None, _) if is("drop") && may_be_password(word) => Some(Verb::Drop),
        _ => None,
    }
}

/// The command that may be meant by a text that is its name and a room or a person, but without its slash. Of a name alone, only of
/// what who is lost types: `back` or `who` people say.
pub fn slashless(text: &str) -> Option<Verb> {
    let mut words = text.split(is_blank).filter(|word| !word.is_empty());
    let (name, second) = (words.next().filter(|name| !name.starts_with('/'))?, words.next());
    let verb = find(name).map(|spec| spec.verb).filter(|verb| is_common(*verb))?;
    let is_meant = second.map_or(matches!(verb, Verb::Help | Verb::Quit), |word| word.starts_with(['#', '@']));
    is_meant.then_some(verb)
}

/// Whether a line has keys in it as terminals send them, of which others see something else. What is for colours is sent by no key.
pub fn has_keys(line: &[u8]) -> bool {
    let is_key = |at: usize| {
        let (begun, is_mouse) = (&line[at..], line[at..].starts_with(b"\x1b[<"));
        sequence(begun).is_some_and(|behind| is_mouse || begun[begun.len() - behind.len() - 1] != b'm')
    };
    (0..line.len()).any(is_key)
}

/// Why nobody means to say this line, as it came: it is nothing but keys, those that end programs, or those that move the cursor, the mouse
/// and their like; or a command stands behind one.
pub fn keyed(line: &[u8]) -> Option<Fault> {
    only_keys(line).or_else(|| command_behind_key(line).then_some(Fault::BehindKey))
}

/// Whether what begins as a command stands right behind a key that means nothing here, as Esc, Ctrl-C, one that moves the cursor, or the
/// Enter of a terminal that sends CR alone. Its writer has seen the line begin there, as some terminals and programs drop what was typed
/// before.
fn command_behind_key(line: &[u8]) -> bool {
    let is_key = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    // Nearly no line has any, and that is quickly seen.
    line.iter().any(is_key)
        && (0..line.len()).filter(|&at| is_key(&line[at])).any(|at| {
            let behind = sequence(&line[at..]).unwrap_or(&line[at + 1..]).trim_ascii_start();
            let name = behind.strip_prefix(b"/").and_then(|text| text.split(u8::is_ascii_whitespace).next());
            name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_alphabetic))
        })
}

fn only_keys(line: &[u8]) -> Option<Fault> {
    if !line.is_empty() && line.iter().all(|byte| matches!(byte, 0x03 | 0x04 | 0x1a)) {
        return Some(Fault::OnlyEnds);
    }
    let mut rest = line.trim_ascii();
    while let Some(behind) = sequence(rest) {
        if behind.is_empty() {
            return Some(Fault::OnlyKeys);
        }
        rest = behind;
    }
    None
}

/// What stands behind the sequence that a line begins with, if it is one of several bytes that terminals send for one key.
fn sequence(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"\x1b[").or_else(|| line.strip_prefix(b"\x1bO"))?;
    let end = rest.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b'<'))?;
    (rest[end].is_ascii_alphabetic() || rest[end] == b'~').then(|| &rest[end + 1..])
}

/// The commands whose arguments are secret: `/passwd` is among them as `/pass` is.
const SECRET: [&str; 5] = ["pass", "login", "register", "token", "drop"];

/// What people type with a password elsewhere, to services of IRC say, none of which is a command here.
const SECRET_ELSEWHERE: &[&str] = &[
    "identify",
    "id",
    "auth",
    "authenticate",
    "sasl",
    "ns",
    "nickserv",
    "msgserv",
    "cs",
    "chanserv",
    "ghost",
    "recover",
    "regain",
    "release",
    "oper",
    "su",
    "changepassword",
    "changepass",
    "chpass",
    "setpass",
    "setpassword",
    "newpass",
    "newpassword",
    "pw",
    "pwd",
    "quote",
    "raw",
];

/// Whether a line that was typed may hold a secret, and so is written down and shown nowhere. So may one whose command is
/// misspelled, or lacks its slash or the blank behind it.
pub fn holds_secret(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let word = words.next().unwrap_or_default();
    let begins = |word: &str, start: &str| word.get(..start.len()).is_some_and(|s| s.eq_ignore_ascii_case(start));
    match word.strip_prefix('/') {
        Some(word) if SECRET.iter().any(|start| begins(word, start)) => true,
        Some(word) if SECRET_ELSEWHERE.iter().any(|other| word.eq_ignore_ascii_case(other)) => words.next().is_some(),
        Some(word) => {
            let is_meant = |name: &&str| SECRET.iter().any(|start| begins(name, start));
            let is_password = || word.len() <= SLIP_MAX && slips_between(&word.to_lowercase(), "password") <= 2;
            // Alone it tells nothing.
            words.next().is_some()
                && find(word).is_none()
                && (is_password() || meant(word, is_common).iter().any(is_meant))
        }
        // Who forgot the slash did not mean to say it either.
        None => SECRET.iter().chain(&["passwd", "password"]).any(|start| word.eq_ignore_ascii_case(start)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::event::SaidKind;
    use crate::request::Request;

    fn say(text: &str) -> Request<'_> {
        Request::Say { kind: SaidKind::Text, text }
    }

    #[test]
    fn what_nobody_means_to_say_is_not_said() {
        let refused = |why| Some(Request::Malformed { verb: Verb::Say, why });
        for secret in [
            " /pass x",
            "  /login alice x",
            " /PAS x",
            " /lgoin alice x",
            "\t/pass x",
            "\u{a0}/login alice x",
            "\u{3000}/passwd x",
            " \u{2003}/drop\u{2003}x",
            "\u{2800}/register x",
        ] {
            assert_eq!(parse(secret), refused(Fault::Indented), "{secret}");
        }
        let slashless = [
            ("register secret1", Verb::Register),
            (" Register  secret-word ", Verb::Register),
            ("login alice correct-horse", Verb::Login),
            ("LOGIN @alice token:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Verb::Login),
            ("passwd correct-horse", Verb::Passwd),
            ("passwd correct-horse short", Verb::Passwd),
            ("drop correct-horse", Verb::Drop),
            ("\u{3000}login alice\u{a0}correct-horse", Verb::Login),
            ("login: alice correct-horse", Verb::Login),
            ("login pw12345678", Verb::Login),
            ("\\login alice x", Verb::Login),
            (" \\Register x", Verb::Register),
            ("\\passwd old new", Verb::Passwd),
            ("\\drop x", Verb::Drop),
            ("\\msg bob psst", Verb::Msg),
            ("\\query bob", Verb::Query),
            ("> login alice correct-horse", Verb::Login),
        ];
        for (secret, verb) in slashless {
            assert_eq!(parse(secret), refused(Fault::Slashless(verb)), "{secret}");
        }
        for secret in ["> /login alice x", ">/register x", " >  /pas x"] {
            assert_eq!(parse(secret), refused(Fault::Copied), "{secret}");
        }
        let token = "token:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for secret in [token, &format!(" {token} ")] {
            assert_eq!(parse(secret), refused(Fault::BareToken), "{secret}");
        }
        for text in [
            "register",
            "register your name first",
            "registers secret-word",
            "login works now",
            "login",
            "login alice correct-horse and so on",
            "the password is hunter2",
            "passwd is broken",
            "drop it",
            "pass the salt",
            "login required",
            "login: it works now",
            "\\login",
            "\\register{x} is LaTeX",
            "\\o/ hello",
            "> so said bob",
            "> /usr/bin",
            "> register",
            "token:short",
            "the invitation is token:AAAA",
        ] {
            assert_eq!(parse(text), Some(say(text)), "{text}");
        }
        for text in ["\u{fffd}", "\u{fffd}[A", " /usr/bin", " /me waves", " pass x", " /who"] {
            assert_eq!(parse(text), Some(say(text)), "{text}");
        }
    }

    #[test]
    fn a_line_of_keys_alone_is_told_from_one_with_text() {
        for line in [
            "\x1b[A",
            "\x1b[A\x1b[1;5C ",
            "\x1bOB",
            "\x1b[3~\x1b[D",
            "\x1b[<0;10;4M\x1b[<0;10;4m",
            "\x1b[200~\x1b[201~",
        ] {
            assert_eq!(keyed(line.as_bytes()), Some(Fault::OnlyKeys), "{line:?}");
            assert!(has_keys(line.as_bytes()), "{line:?}");
        }
        for line in ["so \x1b[A", "\x1b[A up", "\x1b[200~pasted\x1b[201~", "x\x1b[<0;10;4m"] {
            assert_eq!(keyed(line.as_bytes()), None, "{line:?}");
            assert!(has_keys(line.as_bytes()), "{line:?}");
        }
        for line in ["\x03", "\x04\x1a"] {
            assert_eq!(keyed(line.as_bytes()), Some(Fault::OnlyEnds), "{line:?}");
        }
        for line in [
            "\x1b/msg bob hi",
            "so \x1b[A\x1b[B/who",
            "\x03/QUIT",
            "no\x03 /me waves",
            "hello\r\r/msg bob hi",
            "\x1b/loign alice correct-horse",
            "\x1b[31m/rooms",
            "not this\x1a/msg bob hi",
            "\x1c/tell bob hi",
            "\x0c /w bob hi",
        ] {
            assert_eq!(keyed(line.as_bytes()), Some(Fault::BehindKey), "{line:?}");
        }
        for line in [
            "",
            " ",
            "\t",
            "\r\r",
            "\x14",
            "\x1b",
            "\x1b[",
            "\x1b[1;",
            "\x02bold\x02",
            "\x1b[31mred\x1b[m",
            "\u{fffd}[A",
            "\u{fffd}",
            "\x1b[01;34m/usr/bin\x1b[m",
            "\x0304/who\x03",
            "50%\r/home/alice",
            "\x1b//who",
        ] {
            assert_eq!(keyed(line.as_bytes()), None, "{line:?}");
            assert!(!has_keys(line.as_bytes()), "{line:?}");
        }
    }

    #[test]
    fn what_takes_a_password_elsewhere_may_hold_one_here() {
        for line in [
            "/identify correct-horse",
            "/auth alice correct-horse",
            "/ns identify correct-horse",
            "/NickServ identify correct-horse",
            "/changepassword one another",
            "/oper root correct-horse",
            "/loign alice correct-horse",
            "/password correct-horse",
            "/pasword correct-horse",
            "/Passowrd correct-horse",
        ] {
            assert!(holds_secret(line), "{line}");
        }
        for line in ["/ns", "/who alice", "/mode #a +m", "/unmute 1", "identify yourself"] {
            assert!(!holds_secret(line), "{line}");
        }
    }

    #[test]
    fn a_slip_is_told_from_a_command_that_nobody_has() {
        for (typed, names) in [
            ("j", &["join"][..]),
            ("w", &["who", "msg"]),
            ("q", &["query", "quit"]),
            ("lsit", &["list"]),
            ("HLEP", &["help"]),
            ("quti", &["quit"]),
            ("histroy", &["history"]),
            ("unignroe", &["unignore"]),
            ("whos", &["who"]),
            ("tell", &["msg"]),
            ("unmute", &["unban"]),
            ("mode", &["room"]),
            ("Identify", &["login"]),
            ("x", &[]),
            ("nope", &[]),
            ("frobnicate", &[]),
            ("", &[]),
        ] {
            assert_eq!(meant(typed, is_common), names, "{typed}");
        }
        for (typed, names) in [("relaod", &["reload"][..]), ("kil", &["kill"]), ("jion", &[]), ("identify", &[])] {
            let is_known = |verb| !matches!(verb, Verb::Join | Verb::Login);
            assert_eq!(meant(typed, is_known), names, "{typed}");
        }
    }
}
