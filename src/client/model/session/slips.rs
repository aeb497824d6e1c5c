//! Lines that may not be meant as they stand: commands without their slash, or with another sign in its place.

use super::own::{OWN, own_form};
use super::typed::switch;
use super::{Session, cut};
use crate::commands;
use crate::limits::PASSWORD;
use crate::names::Nick;
use crate::request::{Request, RulesPart};
use crate::wire::{self, TOKEN};

/// What stands in the place of a slash: what looks like one, what other programs' commands begin with, and the keys beside it.
const WRONG: [char; 10] = ['\\', '|', '?', '!', '.', '-', '7', '／', '∕', '⁄'];

impl Session {
    /// How the command is typed here that somebody may mean who has typed this without a slash.
    pub(super) fn looks_like(&self, text: &str) -> Option<&'static str> {
        let usage = slashless(text, |nick| self.talks.known().any(|known| *known == nick))?;
        Some(own_form(usage, self.logins.person))
    }
}

/// The command that somebody may mean who has typed this without a slash: it has just its shape. Behind a blank it is no command
/// either, with its slash. A nick shows that one is meant only if there is somebody who `is_known` by it.
fn slashless(text: &str, is_known: impl Fn(Nick) -> bool) -> Option<&'static str> {
    if let Some(spec) = commands::slashless_secret(text).and_then(commands::spec_of) {
        return Some(spec.usage);
    }
    if text.starts_with(char::is_whitespace) {
        let (word, _) = cut(text.trim_start());
        return commands::find(word).filter(|_| word.starts_with('/')).map(|spec| spec.usage);
    }
    // As it stands in a manual, behind the sign of what is typed there.
    if let Some(text) = text.strip_prefix('>').map(str::trim_start) {
        let spec = commands::find(cut(text).0).filter(|_| text.starts_with('/'));
        return spec.or(commands::slashless_secret(text).and_then(commands::spec_of)).map(|spec| spec.usage);
    }
    if text.strip_prefix(TOKEN).is_some_and(|token| wire::token(token).is_some()) {
        return commands::find("login").map(|spec| spec.usage);
    }
    let (word, rest) = cut(text);
    let (word, rest) = match word.strip_suffix(':') {
        Some(word) if commands::slashless_secret(&format!("{word} {rest}")).is_some() => (word, rest),
        _ => (word, rest),
    };
    let is_wrong = word.starts_with(WRONG) && !rest.trim().is_empty();
    if let Some(name) = word.strip_prefix(WRONG).filter(|name| is_wrong && commands::holds_secret(name)) {
        return commands::find(name).map(|spec| spec.usage);
    }
    // What is for one person is said to none else.
    if let Some(name) =
        word.strip_prefix('\\').filter(|name| is_wrong && ["msg", "query"].contains(&&*name.to_lowercase()))
    {
        return commands::find(name).map(|spec| spec.usage);
    }
    let word = if word.eq_ignore_ascii_case("bye") { "quit" } else { word };
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((name, help)) = OWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        let is_command = match *name {
            "show" => is_number(rest.trim_end_matches(" full")),
            "fold" => rest.is_empty() || switch(rest).is_some(),
            _ => false,
        };
        return help.split("  ").next().filter(|_| is_command);
    }
    let spec = commands::find(word).filter(|_| !word.starts_with('/'))?;
    let is_one_word = !rest.is_empty() && !rest.contains(' ');
    // What stands behind the room, where one may be named.
    let (room, behind) = cut(rest);
    let about = if room.starts_with('#') { behind } else { rest };
    let is_command = match spec.name {
        "typing" => switch(rest).is_some(),
        "help" | "quit" | "rooms" | "files" | "limits" | "logout" | "away" => rest.is_empty(),
        // A key is nobody's but theirs who come in.
        "join" => is_one_word || rest.starts_with('#') && !behind.is_empty() && !behind.contains(' '),
        "query" | "nick" | "pass" | "drop" => is_one_word,
        "register" => rest.is_empty() || is_one_word,
        // The name is left out.
        "login" if PASSWORD.contains(&rest.len()) && rest.contains(|c: char| c.is_ascii_digit()) && is_one_word => true,
        "login" | "passwd" => rest.is_empty() || cut(rest).1.trim().split(' ').count() == 1 && rest.contains(' '),
        "token" => rest.is_empty() || rest.eq_ignore_ascii_case("off"),
        "leave" => rest.is_empty() || rest.starts_with('#'),
        "topic" | "bans" => about.is_empty(),
        "history" => about.is_empty() || is_number(about.strip_prefix("after ").unwrap_or(about)),
        "erase" => is_number(about) || is_number(cut(about).0) && is_number(cut(about).1),
        "unban" => is_number(about),
        "get" | "cancel" => is_number(rest),
        "who" | "account" | "ignore" => rest.is_empty() || Nick::new(rest).is_ok_and(is_known),
        "unignore" | "kill" | "where" | "grant" | "revoke" => Nick::new(rest).is_ok_and(is_known),
        "kick" | "ban" | "mute" | "op" | "deop" | "voice" | "devoice" | "founder" | "invite" | "uninvite" => {
            Nick::new(about).is_ok_and(is_known)
        }
        "room" | "set" => {
            let line = format!("/{text}");
            let asked = commands::parse(&line);
            rest.is_empty() || matches!(asked, Some(Request::Room { part: RulesPart::Set(_), .. } | Request::Set(_)))
        }
        "msg" => rest.starts_with(['#', '@']) || cut(rest).1.contains(|c: char| !c.is_whitespace()),
        "send" => {
            let (first, second) = cut(rest);
            let path = if second.is_empty() { first } else { second };
            !path.contains(' ') && path.contains(['.', '/']) && !path.ends_with('.')
        }
        _ => false,
    };
    is_command.then_some(spec.usage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::news::Taken;
    use crate::client::model::session::tests::{hear, online, sent};
    use std::time::Instant;

    /// The command that this looks like, by its name, where only bert is known.
    fn looks_like(text: &str) -> Option<&'static str> {
        let bert = Nick::new("bert").unwrap();
        slashless(text, |nick| nick == bert).map(|usage| cut(&usage[1..]).0)
    }

    #[test]
    fn what_has_just_the_shape_of_a_command_looks_like_it() {
        // The page has the same rule, and its test the same table.
        let table = include_str!("../../../../tests/page/slips.txt");
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (name, text) = line.split_once('\t').unwrap();
            assert_eq!(looks_like(text), Some(name).filter(|name| *name != "-"), "{text}");
        }
        for (text, name) in [
            ("fold", Some("fold")),
            ("Fold on", Some("fold")),
            ("fold it", None),
            ("show 7", Some("show")),
            ("show 7 full", Some("show")),
            ("show me", None),
            ("show", None),
            ("search tea", None),
        ] {
            assert_eq!(looks_like(text), name, "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_command_is_said_once_it_is_typed_again() {
        let now = Instant::now();
        for line in ["passwd caissa-queen1", "kick bob", "\\login bob secret", "bye", " /who"] {
            let mut session = online(&["#a"]);
            hear(&mut session, &["* presence 2 +bob"]);
            let taken = session.typed(line, now);
            assert!(matches!(&taken, Taken::No(why) if why.contains(" meant?")), "{line}: {taken:?}");
            assert_eq!(session.typed(line, now), Taken::Yes, "{line}");
            assert_eq!(sent(&mut session), [format!("/msg #a {line}")]);
        }
        assert_eq!(online(&["#a"]).typed("kick bob", now), Taken::Yes, "nobody is called so here");
    }
}
