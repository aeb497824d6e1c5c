//! The commands: one table that parses them, explains them and lists them.

use crate::event::{Fault, Setting, Switch};
use crate::names::{Digest, FileId};

/// What a connection sent, read but not yet judged.
#[derive(Clone, PartialEq, Debug)]
pub enum Input<'a> {
    /// Said to the current target.
    Say(&'a str),
    /// A command, or what is wrong with its words.
    Command(&'static Spec, Result<Command<'a>, Fault>),
    /// A command that there is not.
    Unknown(&'a str),
    /// Base64 for the open upload.
    Chunk(&'a [u8]),
    /// A line that was thrown away.
    TooLong {
        /// Whether it was a chunk.
        chunk: bool,
    },
}

/// A command with its arguments. Names are looked up, or checked, by whoever carries it out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the table says what each one does and takes")]
pub enum Command<'a> {
    Help(Option<&'a str>),
    Limits,
    Pass(&'a str),
    Nick(&'a str),
    Join(&'a str),
    Leave { room: Option<&'a str>, reason: Option<&'a str> },
    Query(&'a str),
    Rooms,
    Who(Option<&'a str>),
    Msg { target: &'a str, text: &'a str },
    Me(&'a str),
    Typing { target: Option<&'a str>, switch: Switch },
    Topic { room: Option<&'a str>, topic: Option<&'a str> },
    Send(Offer<'a>),
    Get { id: FileId, offset: u64 },
    Files(Option<&'a str>),
    Cancel(FileId),
    History { room: Option<&'a str>, part: Part },
    Ignore(Option<&'a str>),
    Unignore(&'a str),
    Away(Option<&'a str>),
    Back,
    Set(Option<(Setting, Switch)>),
    Ping(Option<&'a str>),
    Quit(Option<&'a str>),
}

impl Input<'_> {
    /// Whether it asks for what may be a long answer.
    pub fn asks_for_much(&self) -> bool {
        matches!(self, Self::Command(_, Ok(command)) if command.has_long_answer())
    }
}

impl Command<'_> {
    /// Whether the answer may have as many lines as there are people, rooms, messages or files.
    pub fn has_long_answer(&self) -> bool {
        matches!(self, Self::Who(_) | Self::Rooms | Self::History { .. } | Self::Files(_))
    }
}

/// A file that somebody wants to share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer<'a> {
    /// With whom.
    pub target: &'a str,
    /// How many bytes it has.
    pub size: u64,
    /// The digest that it has, if its sender says so.
    pub digest: Option<Digest>,
    /// What it is called.
    pub name: &'a str,
}

/// Which part of a room's history is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The last messages: this many, or as many as usual.
    Last(Option<u64>),
    /// The first messages after this number.
    After(u64),
}

/// A row of the table.
pub struct Spec {
    /// The canonical name, without the slash.
    pub name: &'static str,
    /// What other programs call it.
    pub aliases: &'static [&'static str],
    /// How it is typed.
    pub usage: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    /// Whether it works before the server's password is given.
    pub while_locked: bool,
    parse: for<'a> fn(&mut Words<'a>) -> Result<Command<'a>, Slip>,
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What is wrong with a command's words.
enum Slip {
    /// They do not fit its usage.
    Usage,
    /// Something that has a name of its own.
    Fault(Fault),
}

macro_rules! table {
    ($($name:literal $([$($alias:literal),+])? $usage:literal $about:literal $parse:expr;)+) => {
        /// Every command there is.
        pub const TABLE: &[Spec] = &[$(Spec {
            name: $name,
            aliases: &[$($($alias),+)?],
            usage: $usage,
            about: $about,
            while_locked: matches!($name.as_bytes(), b"pass" | b"help" | b"ping" | b"quit"),
            parse: $parse,
        }),+];
    };
}

table! {
    "help" "/help [COMMAND]" "every command, or one"
        |w| Ok(Command::Help(w.word()));
    "limits" "/limits" "the limits of this server"
        |_| Ok(Command::Limits);
    "pass" "/pass PASSWORD" "unlock the server"
        |w| Ok(Command::Pass(w.rest()?));
    "nick" "/nick NAME" "be known as NAME"
        |w| Ok(Command::Nick(w.need()?));
    "join" "/join #ROOM" "enter a room, made if new, and talk there"
        |w| {
            let room = w.need()?;
            // A second word is what other servers take for the room's key.
            w.word();
            Ok(Command::Join(room))
        };
    "leave" ["part"] "/leave [#ROOM] [REASON]" "leave a room"
        |w| Ok(Command::Leave { room: w.room(), reason: w.rest().ok() });
    "query" "/query TARGET" "talk to TARGET, a room or a person, from now on"
        |w| Ok(Command::Query(w.need()?));
    "rooms" ["list"] "/rooms" "the rooms there are"
        |_| Ok(Command::Rooms);
    "who" ["names", "whois"] "/who [#ROOM or NICK]" "who is there"
        |w| Ok(Command::Who(w.word()));
    "msg" "/msg TARGET TEXT" "say TEXT to a room or to one person"
        |w| Ok(Command::Msg { target: w.need()?, text: w.text()? });
    "me" "/me TEXT" "tell what you do"
        |w| Ok(Command::Me(w.text()?));
    "typing" "/typing [TARGET] [on|off]" "tell that you are typing; it lasts six seconds"
        |w| {
            let first = w.word();
            let (target, switch) = match first.map(switch) {
                Some(Some(switch)) => (None, Some(switch)),
                _ => (first, w.word().map(|w| switch(w).ok_or(Slip::Usage)).transpose()?),
            };
            Ok(Command::Typing { target, switch: switch.unwrap_or(Switch::On) })
        };
    "topic" "/topic [#ROOM] [TEXT]" "read or set what a room is about; - clears it"
        |w| Ok(Command::Topic { room: w.room(), topic: w.rest().ok() });
    "send" "/send TARGET SIZE [sha256:HEX] NAME" "share a file: SIZE bytes follow, as lines of = and base64"
        |w| {
            let (target, size) = (w.need()?, w.number()?);
            let name = w.rest()?;
            let mut words = Words(name);
            let digest = words.word().and_then(|first| Some((first, first.get(..7)?)));
            let digest = digest.filter(|(_, start)| start.eq_ignore_ascii_case("sha256:"));
            let Some((first, _)) = digest else { return Ok(Command::Send(Offer { target, size, digest: None, name })) };
            let digest = Digest::from_hex(&first[7..]);
            match (digest, words.rest()) {
                (Some(_), Ok(name)) => Ok(Command::Send(Offer { target, size, digest, name })),
                (Some(_), Err(slip)) => Err(slip),
                (None, Ok(_)) => Err(Slip::Fault(Fault::MalformedDigest)),
                // A file may be called so.
                (None, Err(_)) => Ok(Command::Send(Offer { target, size, digest: None, name })),
            }
        };
    "get" "/get ID [OFFSET]" "fetch a file, from OFFSET on"
        |w| Ok(Command::Get { id: FileId(w.number()?), offset: w.number_or_end()?.unwrap_or(0) });
    "files" "/files [TARGET]" "the files that you may fetch"
        |w| Ok(Command::Files(w.word()));
    "cancel" "/cancel ID" "stop your download, or else withdraw your file"
        |w| Ok(Command::Cancel(FileId(w.number()?)));
    "history" "/history [#ROOM] [COUNT | after SEQ]" "a room's last messages, or the first after number SEQ"
        |w| {
            let room = w.room();
            let part = if w.keyword("after") { Part::After(w.number()?) } else { Part::Last(w.number_or_end()?) };
            Ok(Command::History { room, part })
        };
    "ignore" "/ignore [NICK]" "hear no more of NICK; alone, whom you ignore"
        |w| Ok(Command::Ignore(w.word()));
    "unignore" "/unignore NICK" "hear of NICK again"
        |w| Ok(Command::Unignore(w.need()?));
    "away" "/away [TEXT]" "tell those who write to you that you are away"
        |w| Ok(Command::Away(w.rest().ok()));
    "back" "/back" "be back"
        |_| Ok(Command::Back);
    "set" "/set [echo|stamp|presence on|off]" "your settings, or change one"
        |w| {
            let Some(name) = w.word() else { return Ok(Command::Set(None)) };
            let setting = SETTINGS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
            let switch = switch(w.need()?);
            setting.zip(switch).map(|(&(setting, _), switch)| Command::Set(Some((setting, switch)))).ok_or(Slip::Usage)
        };
    "ping" "/ping [TOKEN]" "are you there?"
        |w| Ok(Command::Ping(w.rest().ok()));
    "quit" ["exit"] "/quit [REASON]" "leave the server"
        |w| Ok(Command::Quit(w.rest().ok()));
}

/// What `/set` sets, and how it is called.
pub const SETTINGS: &[(Setting, &str)] =
    &[(Setting::Echo, "echo"), (Setting::Stamp, "stamp"), (Setting::Presence, "presence"), (Setting::Whole, "whole")];

/// Finds a command by its name or alias, in any case and with or without the slash.
pub fn find(name: &str) -> Option<&'static Spec> {
    let name = name.strip_prefix('/').unwrap_or(name);
    TABLE.iter().find(|spec| {
        spec.name.eq_ignore_ascii_case(name) || spec.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    })
}

/// Reads a line of text; `None` if it is empty.
pub fn parse(line: &str) -> Option<Input<'_>> {
    if line.is_empty() {
        return None;
    }
    let Some(command) = line.strip_prefix('/') else { return Some(Input::Say(line)) };
    if command.starts_with('/') {
        return Some(Input::Say(command));
    }
    let (name, rest) = command.split_at(command.find(' ').unwrap_or(command.len()));
    let Some(spec) = find(name) else { return Some(Input::Unknown(name)) };
    let mut words = Words(rest);
    let command = match (spec.parse)(&mut words) {
        Ok(_) if words.word().is_some() => Err(Fault::Usage(spec.usage)),
        Ok(command) => Ok(command),
        Err(Slip::Usage) => Err(Fault::Usage(spec.usage)),
        Err(Slip::Fault(fault)) => Err(fault),
    };
    Some(Input::Command(spec, command))
}

/// What is still unread of a command's line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn word(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(' ');
        let (word, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    fn need(&mut self) -> Result<&'a str, Slip> {
        self.word().ok_or(Slip::Usage)
    }

    /// The next word if it names a room.
    fn room(&mut self) -> Option<&'a str> {
        if self.0.trim_start_matches(' ').starts_with('#') { self.word() } else { None }
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let mut ahead = Words(self.0);
        let found = ahead.word().is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if found {
            self.0 = ahead.0;
        }
        found
    }

    fn number(&mut self) -> Result<u64, Slip> {
        self.number_or_end()?.ok_or(Slip::Usage)
    }

    /// A number that is out of range is the largest there is, so that it meets the limit that it is beyond.
    fn number_or_end(&mut self) -> Result<Option<u64>, Slip> {
        match self.word() {
            None => Ok(None),
            Some(word) if word.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(word.parse().unwrap_or(u64::MAX))),
            Some(_) => Err(Slip::Usage),
        }
    }

    /// All that is left, without spaces around it.
    fn rest(&mut self) -> Result<&'a str, Slip> {
        let rest = std::mem::take(&mut self.0).trim_matches(' ');
        if rest.is_empty() { Err(Slip::Usage) } else { Ok(rest) }
    }

    /// All that is left as it was typed, for indented lines are indented for a reason.
    fn text(&mut self) -> Result<&'a str, Slip> {
        let text = std::mem::take(&mut self.0);
        let text = text.strip_prefix(' ').unwrap_or(text);
        if text.trim_matches(' ').is_empty() { Err(Slip::Usage) } else { Ok(text) }
    }
}

fn switch(word: &str) -> Option<Switch> {
    [("on", Switch::On), ("off", Switch::Off)].into_iter().find(|(w, _)| w.eq_ignore_ascii_case(word)).map(|(_, s)| s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command<'_>, Fault> {
        match parse(line) {
            Some(Input::Command(_, command)) => command,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn text_is_said_and_a_doubled_slash_says_one() {
        assert_eq!(parse("hi  there "), Some(Input::Say("hi  there ")));
        assert_eq!(parse("//who"), Some(Input::Say("/who")));
        assert_eq!(parse(""), None);
        assert_eq!(parse("/"), Some(Input::Unknown("")));
        assert_eq!(parse("/ who"), Some(Input::Unknown("")));
        assert_eq!(parse("/foo bar"), Some(Input::Unknown("foo")));
    }

    #[test]
    fn arguments() {
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let send = |digest, name| Ok(Command::Send(Offer { target: "#a", size: 5, digest, name }));
        let topic = |room, topic| Ok(Command::Topic { room, topic });
        let typing = |target, switch| Ok(Command::Typing { target, switch });
        let history = |room, part| Ok(Command::History { room, part });
        for (line, want) in [
            ("/NICK  alice ", Ok(Command::Nick("alice"))),
            ("/join #a key", Ok(Command::Join("#a"))),
            ("/part #a so long ", Ok(Command::Leave { room: Some("#a"), reason: Some("so long") })),
            ("/leave so long", Ok(Command::Leave { room: None, reason: Some("so long") })),
            ("/leave", Ok(Command::Leave { room: None, reason: None })),
            ("/msg bob   indented ", Ok(Command::Msg { target: "bob", text: "  indented " })),
            ("/me waves", Ok(Command::Me("waves"))),
            ("/typing", typing(None, Switch::On)),
            ("/typing off", typing(None, Switch::Off)),
            ("/typing bob", typing(Some("bob"), Switch::On)),
            ("/typing #a OFF", typing(Some("#a"), Switch::Off)),
            ("/topic", topic(None, None)),
            ("/topic #a", topic(Some("#a"), None)),
            ("/topic #a b c", topic(Some("#a"), Some("b c"))),
            ("/topic b #c", topic(None, Some("b #c"))),
            ("/send #a 5 a b.txt", send(None, "a b.txt")),
            (&format!("/send #a 5 SHA256:{hex} a b.txt"), send(Digest::from_hex(hex), "a b.txt")),
            ("/send #a 5 sha256:x", send(None, "sha256:x")),
            ("/send #a 5 sha256:x y", Err(Fault::MalformedDigest)),
            ("/get 7", Ok(Command::Get { id: FileId(7), offset: 0 })),
            ("/get 7 12288", Ok(Command::Get { id: FileId(7), offset: 12288 })),
            ("/get 99999999999999999999999", Ok(Command::Get { id: FileId(u64::MAX), offset: 0 })),
            ("/history", history(None, Part::Last(None))),
            ("/history #a 20", history(Some("#a"), Part::Last(Some(20)))),
            ("/history #a after 5", history(Some("#a"), Part::After(5))),
            ("/history AFTER 5", history(None, Part::After(5))),
            ("/set", Ok(Command::Set(None))),
            ("/set Stamp ON", Ok(Command::Set(Some((Setting::Stamp, Switch::On))))),
            ("/ping a b", Ok(Command::Ping(Some("a b")))),
            ("/EXIT", Ok(Command::Quit(None))),
        ] {
            assert_eq!(command(line), want, "{line}");
        }
        for line in [
            "/nick",
            "/nick a b",
            "/join",
            "/msg bob",
            "/msg bob  ",
            "/msg",
            "/me",
            "/me  ",
            "/get",
            "/get x",
            "/get -1",
            "/get +1",
            "/get 1 2 3",
            "/send #a",
            "/send #a 5",
            "/send #a five x",
            "/send #a -5 x",
            "/history #a after",
            "/history x",
            "/history 5 after 5",
            "/set echo",
            "/set foo on",
            "/set echo maybe",
            "/typing bob maybe",
            "/unignore",
            "/pass",
            "/rooms x",
            "/back soon",
            &format!("/send #a 5 sha256:{hex}"),
        ] {
            assert!(matches!(command(line), Err(Fault::Usage(_))), "{line}: {:?}", command(line));
        }
    }

    #[test]
    fn every_name_finds_its_command_and_no_other() {
        for spec in TABLE {
            for name in spec.aliases.iter().chain([&spec.name]) {
                assert_eq!(find(&format!("/{}", name.to_uppercase())), Some(spec));
                assert_eq!(TABLE.iter().filter(|s| s.name == *name || s.aliases.contains(name)).count(), 1, "{name}");
            }
            assert!(spec.usage.starts_with(&format!("/{}", spec.name)));
        }
    }
}
