//! Lines that people type: whatever is read from one is a command of the table with clean words that stand in the line,
//! and spelling it again gives the same command.
#![no_main]

use chinwag::commands::{self, Command, Input, Offer, Part, SETTINGS, TABLE};
use chinwag::event::{Fault, Switch};
use chinwag::linebuf::{Line, LineBuf};
use chinwag::names::{Digest, FileName, Nick, Place, RoomName, Text, clean};
use chinwag::plain;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = clean(bytes);
    check_clean(&text);
    check_names(&text);
    if let Some(input) = commands::parse(&text) {
        check(&text, &input);
    } else {
        assert_eq!(text, "");
    }
    // And as they come from a socket.
    let mut lines = LineBuf::default();
    lines.feed(bytes, &mut Vec::new());
    lines.end();
    while let Some((line, _)) = lines.next_line() {
        let text = plain::text(&line);
        check_clean(&text);
        plain::is_http(&line);
        match (plain::read(&line, &text), line) {
            (Some(Input::Chunk(read)), Line::Chunk(chunk)) => assert_eq!(read, chunk),
            (Some(Input::TooLong { chunk: read }), Line::TooLong { chunk, .. }) => assert_eq!(read, chunk),
            (Some(input), Line::Text(_)) => check(&text, &input),
            (None, Line::Text(_)) => assert_eq!(text, ""),
            (input, line) => panic!("{input:?} is read from {line:?}"),
        }
    }
});

fn check_clean(text: &str) {
    assert!(!text.contains(|c: char| c != '\t' && c.is_control()), "{text:?}");
    assert_eq!(clean(text.as_bytes()), text);
    assert_eq!(Text::new(text).as_str(), text);
}

/// A name is shown as it was given, or there is none.
fn check_names(text: &str) {
    if let Some(nick) = Nick::new(text) {
        assert!(nick.as_str() == text && (1..=20).contains(&text.len()));
        assert_eq!(Nick::new(&text.to_ascii_uppercase()), Some(nick));
        assert_eq!(Place::new(&format!("@{text}")), Some(Place::With(nick)));
        if let Some(number) = nick.guest_number() {
            assert_eq!(Nick::guest(number), Some(nick));
        }
    }
    if let Some(room) = RoomName::new(text) {
        assert!(room.as_str() == text && (2..=32).contains(&text.len()));
        assert!(Nick::new(text).is_none());
    }
    if let Some(place) = Place::new(text) {
        assert_eq!(place.to_string(), text);
    }
    if let Some(name) = FileName::new(text) {
        assert!(name.to_string() == text && text.len() <= FileName::MAX && !text.contains(['/', '\\']));
    }
    if let Some(digest) = Digest::from_hex(text) {
        assert_eq!(digest.to_string(), format!("sha256:{}", text.to_ascii_lowercase()));
    }
}

fn check(line: &str, input: &Input<'_>) {
    match input {
        Input::Say(said) => {
            assert!(!said.is_empty());
            assert_eq!(*said, line.strip_prefix('/').unwrap_or(line));
            assert!(!line.starts_with('/') || line.starts_with("//"));
        }
        Input::Unknown(name) => {
            assert!(commands::find(name).is_none() && line[1..].starts_with(name));
        }
        Input::Command(spec, command) => {
            assert!(TABLE.iter().any(|known| known == *spec));
            let typed = line.split(' ').next().unwrap_or_default();
            assert_eq!(commands::find(typed), Some(*spec), "{line:?}");
            match command {
                Ok(command) => check_command(line, spec.name, command),
                Err(Fault::Usage(usage)) => assert_eq!(*usage, spec.usage),
                Err(Fault::MalformedDigest) => assert_eq!(spec.name, "send"),
                Err(why) => panic!("{line:?} is refused before anybody looked: {why:?}"),
            }
        }
        Input::Chunk(_) | Input::TooLong { .. } => panic!("{input:?} is read from text"),
    }
}

fn check_command(line: &str, name: &str, command: &Command<'_>) {
    let (again, words, rest) = spell(command);
    for word in words.iter().chain(&rest) {
        assert!(!word.is_empty(), "{line:?} has an empty word: {command:?}");
        let (from, to) = (word.as_ptr() as usize, word.as_ptr() as usize + word.len());
        let whole = line.as_bytes().as_ptr_range();
        assert!(whole.start as usize <= from && to <= whole.end as usize, "{word:?} does not stand in {line:?}");
    }
    assert!(!words.iter().any(|word| word.contains(' ')), "{line:?} has a word of two: {command:?}");
    assert_eq!(again.split(' ').next(), Some(format!("/{name}").as_str()));
    let Some(Input::Command(spec, Ok(same))) = commands::parse(&again) else { panic!("{again:?} is no command") };
    assert_eq!((spec.name, &same), (name, command), "{line:?} and {again:?}");
}

/// A line that gives this command, its words, and what it takes as it was typed.
fn spell<'a>(command: &Command<'a>) -> (String, Vec<&'a str>, Option<&'a str>) {
    let bare = |name: &str| (format!("/{name}"), vec![], None);
    let with = |name: &str, word: Option<&'a str>| match word {
        Some(word) => (format!("/{name} {word}"), vec![word], None),
        None => (format!("/{name}"), vec![], None),
    };
    let with_rest = |name: &str, word: Option<&'a str>, rest: Option<&'a str>| {
        let mut line = format!("/{name}");
        for part in word.iter().chain(&rest) {
            line += " ";
            line += part;
        }
        (line, word.into_iter().collect(), rest)
    };
    let on_off = |switch: Switch| if switch == Switch::On { "on" } else { "off" };
    match *command {
        Command::Help(word) => with("help", word),
        Command::Limits => bare("limits"),
        Command::Pass(password) => with_rest("pass", None, Some(password)),
        Command::Nick(name) => with("nick", Some(name)),
        Command::Join(room) => with("join", Some(room)),
        Command::Leave { room, reason } => {
            assert!(room.is_none_or(|room| room.starts_with('#')));
            with_rest("leave", room, reason)
        }
        Command::Query(target) => with("query", Some(target)),
        Command::Rooms => bare("rooms"),
        Command::Who(whom) => with("who", whom),
        Command::Msg { target, text } => with_rest("msg", Some(target), Some(text)),
        Command::Me(text) => with_rest("me", None, Some(text)),
        Command::Typing { target, switch } => {
            let (line, words, _) = with("typing", target);
            (format!("{line} {}", on_off(switch)), words, None)
        }
        Command::Topic { room, topic } => with_rest("topic", room, topic),
        Command::Send(Offer { target, size, digest, name }) => {
            let digest = digest.map(|digest| format!("{digest} ")).unwrap_or_default();
            (format!("/send {target} {size} {digest}{name}"), vec![target], Some(name))
        }
        Command::Get { id, offset } => (format!("/get {id} {offset}"), vec![], None),
        Command::Files(target) => with("files", target),
        Command::Cancel(id) => (format!("/cancel {id}"), vec![], None),
        Command::History { room, part } => {
            let (line, words, _) = with("history", room);
            let part = match part {
                Part::Last(None) => String::new(),
                Part::Last(Some(count)) => format!(" {count}"),
                Part::After(seq) => format!(" after {seq}"),
            };
            (line + &part, words, None)
        }
        Command::Ignore(nick) => with("ignore", nick),
        Command::Unignore(nick) => with("unignore", Some(nick)),
        Command::Away(text) => with_rest("away", None, text),
        Command::Back => bare("back"),
        Command::Set(None) => bare("set"),
        Command::Set(Some((setting, switch))) => {
            let name = SETTINGS.iter().find(|(known, _)| *known == setting).map(|(_, name)| name);
            (format!("/set {} {}", name.expect("a setting of the table"), on_off(switch)), vec![], None)
        }
        Command::Ping(token) => with_rest("ping", None, token),
        Command::Quit(reason) => with_rest("quit", None, reason),
    }
}
