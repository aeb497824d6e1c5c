//! Lines that people type: whatever is read from one is a command of the table with clean words that stand in the line,
//! and spelling it again gives the same command.
#![no_main]

use chinwag::commands::{self, ACTION, GUESTS, RULES, SERVER_SETTINGS, SETTINGS, spec_of};
use chinwag::event::{Change, Fault, SaidKind, Verb};
use chinwag::linebuf::{Line, LineBuf};
use chinwag::names::{Digest, FileName, Nick, Place, RoomName, Text, clean};
use chinwag::plain;
use chinwag::register::entry::{BlockScope, Rule};
use chinwag::request::{
    BadChunk, Barred, Credential, HistoryPart, Named, Offer, Request, RulesPart, Target, Topic, Wanted, Whom,
};
use chinwag::text::narrow;
use chinwag::unicode::nfc;
use chinwag::wire::Done;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = clean(bytes);
    check_clean(&text);
    check_names(&text);
    match commands::parse(&text) {
        Some(request) => check(&text, &request),
        None => assert_eq!(text, ""),
    }
    // And as they come from a socket.
    let mut lines = LineBuf::default();
    lines.feed(bytes);
    lines.end();
    while let Some((line, _)) = lines.next_line() {
        let text = plain::text(&line);
        check_clean(&text);
        plain::rejects(&line);
        match (plain::parse(&line, &text), line) {
            (Some(Request::Chunk(Ok(bytes))), Line::Chunk(chunk)) => assert!(bytes.len() <= chunk.len() / 4 * 3),
            (Some(Request::Chunk(Err(BadChunk::Malformed))), Line::Chunk(_)) => {}
            (Some(Request::Chunk(Err(BadChunk::TooLong))), Line::TooLong { chunk: true, .. }) => {}
            (Some(Request::Malformed { why: Fault::TooLong { .. }, .. }), Line::TooLong { chunk: false, .. }) => {}
            (Some(request), Line::Text(_)) => check(&text, &request),
            (None, Line::Text(_)) => assert_eq!(text, ""),
            (request, line) => panic!("{request:?} is read from {line:?}"),
        }
    }
});

fn check_clean(text: &str) {
    assert!(!text.contains(|c: char| c != '\t' && c.is_control()), "{text:?}");
    assert_eq!(clean(text.as_bytes()), text);
    assert_eq!(Text::new(text).as_str(), narrow(text));
}

/// A name is shown as it was given, but for how its marks are spelled, or there is none.
fn check_names(text: &str) {
    let spelled = nfc(text);
    if let Ok(nick) = Nick::new(text) {
        assert!(nick.as_str() == spelled && (1..=Nick::BYTES).contains(&spelled.len()));
        assert_eq!(Nick::new(&text.to_ascii_uppercase()), Ok(nick));
        assert_eq!(Place::new(&format!("@{text}")), Some(Place::With(nick)));
        assert!(nick.is_like(&nick));
        if let Some(number) = nick.guest_numbers().into_iter().next() {
            assert!(Nick::guest(number).is_some_and(|guest| guest.is_like(&nick)));
        }
    }
    if let Ok(room) = RoomName::new(text) {
        assert!(room.as_str() == spelled && (2..=RoomName::BYTES).contains(&spelled.len()));
        assert!(Nick::new(text).is_err());
    }
    if let Some(place) = Place::new(text) {
        assert_eq!(place.to_string(), spelled);
    }
    if let Some(name) = FileName::new(text) {
        let name = name.to_string();
        assert!(name == narrow(text) && name.len() <= FileName::MAX && !name.contains(['/', '\\']));
    }
    if let Some(digest) = Digest::from_hex(text) {
        assert_eq!(digest.to_string(), format!("sha256:{}", text.to_ascii_lowercase()));
    }
}

fn check(line: &str, request: &Request<'_>) {
    let typed = line.split(' ').next().unwrap_or_default();
    match request {
        Request::OfOperators { typed: name, request } => {
            assert!(line[1..].starts_with(name) && request.verb().is_of_operators());
            check(line, request);
        }
        Request::Say { kind: SaidKind::Text, text } => {
            assert!(!text.is_empty());
            assert_eq!(*text, line.strip_prefix('/').unwrap_or(line));
            assert!(!line.starts_with('/') || line.starts_with("//"));
        }
        Request::Malformed { verb: Verb::Unknown, why: Fault::UnknownCommand(name) } => {
            assert_eq!(commands::find(typed), None);
            // It is cut first, and then narrowed.
            let mut ends = (1..=line.len()).filter(|&end| line.is_char_boundary(end));
            assert!(ends.any(|end| narrow(&line[1..end]) == name.as_str()), "{line:?} is none of {name:?}");
        }
        Request::Malformed { verb, why } => {
            assert_eq!(commands::find(typed), spec_of(*verb), "{line:?}");
            match why {
                Fault::Usage(of) => assert_eq!(of, verb),
                Fault::MalformedDigest => assert_eq!(*verb, Verb::Send),
                Fault::NoHelp(_) => assert_eq!(*verb, Verb::Help),
                Fault::OnlyEnds | Fault::OnlyKeys | Fault::Indented => assert_eq!(*verb, Verb::Say),
                why => panic!("{line:?} is refused before anybody looked: {why:?}"),
            }
        }
        Request::Chunk(_) => panic!("{request:?} is read from text"),
        request => {
            assert_eq!(commands::find(typed), spec_of(request.verb()), "{line:?}");
            check_command(line, request);
        }
    }
}

fn check_command(line: &str, request: &Request<'_>) {
    let (again, words, rest) = spell(request);
    for word in words.iter().chain(&rest) {
        let (from, to) = (word.as_ptr() as usize, word.as_ptr() as usize + word.len());
        let whole = line.as_bytes().as_ptr_range();
        assert!(whole.start as usize <= from && to <= whole.end as usize, "{word:?} does not stand in {line:?}");
    }
    assert!(!words.iter().any(|word| word.is_empty() || word.contains(' ')), "{line:?} has no such word: {request:?}");
    let read = match commands::parse(&again) {
        Some(Request::OfOperators { request, .. }) => Some(*request),
        read => read,
    };
    assert_eq!(read.as_ref(), Some(request), "{line:?} and {again:?}");
}

/// A line that gives this request, its words, and what it takes as it was typed.
fn spell<'a>(request: &Request<'a>) -> (String, Vec<&'a str>, Option<&'a str>) {
    let name = spec_of(request.verb()).expect("a request that is a command").name;
    let target = |target: &Target<'a>| match target {
        Target::Room(Named { typed, .. }) | Target::Person(Named { typed, .. }) => *typed,
    };
    let with = |word: Option<&'a str>, rest: Option<&'a str>| {
        let mut line = format!("/{name}");
        for part in word.iter().chain(&rest) {
            line += " ";
            line += part;
        }
        (line, word.into_iter().collect::<Vec<_>>(), rest)
    };
    let more = |word: Option<&'a str>, more: &str| {
        let (line, words, rest) = with(word, None);
        (line + more, words, rest)
    };
    let on_off = |on: bool| if on { " on" } else { " off" };
    let in_room = |room: &Option<Named<'a, RoomName>>, word: &'a str, more: &str, rest: Option<&'a str>| {
        let (line, mut words, _) = with(room.map(|room| room.typed), None);
        words.push(word);
        (format!("{line} {word}{more} {}", rest.unwrap_or_default()), words, rest)
    };
    match request {
        Request::Help(what) => with(what.map(|(_, typed)| typed), None),
        Request::Kill { nick, reason } => with(Some(nick.typed), *reason),
        Request::Where(nick) | Request::Grant(nick) | Request::Revoke(nick) => with(Some(nick.typed), None),
        Request::Wall(text) => with(None, Some(text)),
        Request::Operator(None) => with(None, None),
        Request::Operator(Some((nick, on))) => more(Some(nick.typed), on_off(*on)),
        Request::Block { whom, scope, time, reason } => {
            let scope = if *scope == BlockScope::Guests { "guests" } else { "all" };
            let time = time.map(|time| format!(" {}s", time.as_secs())).unwrap_or_default();
            let (who, words) = match whom {
                Barred::Nick(nick) => (nick.typed.to_owned(), vec![nick.typed]),
                Barred::Network(network) => (network.to_string(), Vec::new()),
            };
            (format!("/{name} {who} {scope}{time} {}", reason.unwrap_or_default()), words, *reason)
        }
        Request::Unblock(id) => more(None, &format!(" {id}")),
        Request::Blocks | Request::Server(None) | Request::Reload | Request::Metrics => with(None, None),
        Request::Server(Some(setting)) => {
            let known = SERVER_SETTINGS.iter().find(|(known, ..)| known == setting).expect("a setting of the table");
            more(None, &format!(" {} {}", known.1, known.2))
        }
        Request::OfOperators { request, .. } => spell(request),
        Request::Limits | Request::Rooms | Request::Back | Request::Set(None) => with(None, None),
        Request::Pass(text) | Request::Say { text, .. } => with(None, Some(text)),
        Request::Nick(named) | Request::Unignore(named) => with(Some(named.typed), None),
        Request::Logout | Request::Token(Wanted::New) => with(None, None),
        Request::Token(Wanted::Off) => more(None, " off"),
        Request::Register(word) | Request::Drop(word) => with(Some(word), None),
        Request::Login { nick, credential: Credential::Password(password) } => {
            (format!("/{name} {} {password}", nick.typed), vec![nick.typed, password], None)
        }
        Request::Login { nick, credential: Credential::Token(token) } => {
            let token = token.map(|token| Done::Token(token).to_string().split_off("token ".len()));
            more(Some(nick.typed), &format!(" token:{}", token.unwrap_or_default()))
        }
        Request::Passwd { old: Some(old), new } => (format!("/{name} {old} {new}"), vec![old, new], None),
        Request::Passwd { old: None, new } => with(Some(new), None),
        Request::Account(named) => with(named.as_ref().map(|named| named.typed), None),
        Request::Join { room, key } => with(Some(room.typed), *key),
        Request::Ranks(room) | Request::Bans(room) => with(room.map(|room| room.typed), None),
        Request::Role { room, nick, .. } | Request::Founder { room, nick } | Request::Invite { room, nick, .. } => {
            in_room(room, nick.typed, "", None)
        }
        Request::Kick { room, nick, reason } => in_room(room, nick.typed, "", *reason),
        Request::Ban { room, whom, time, reason, .. } => {
            let time = time.map(|time| format!(" {}s", time.as_secs())).unwrap_or_default();
            match whom {
                Whom::Nick(nick) => in_room(room, nick.typed, &time, *reason),
                Whom::Pattern(pattern) => {
                    let (line, words, _) = with(room.map(|room| room.typed), None);
                    let reason = reason.unwrap_or_default();
                    (format!("{line} {pattern}{time} {reason}"), words, None)
                }
            }
        }
        Request::Unban { room, id } => more(room.map(|room| room.typed), &format!(" {id}")),
        Request::Erase { room, first, last } => more(room.map(|room| room.typed), &format!(" {first} {last}")),
        Request::Room { room, part } => {
            let name = |kind| RULES.iter().find(|(known, _)| *known == kind).expect("a rule of the table").1;
            let part = match part {
                RulesPart::All => String::new(),
                RulesPart::One(kind) => format!(" {}", name(*kind)),
                RulesPart::Set(rule) => format!(" {} {}", name(rule.kind()), value(rule)),
            };
            more(room.map(|room| room.typed), &part)
        }
        Request::Leave { room, reason } => {
            assert!(room.is_none_or(|room| room.typed.starts_with('#')));
            with(room.map(|room| room.typed), *reason)
        }
        Request::Query(to) => with(Some(target(to)), None),
        Request::Who(to) | Request::Files(to) => with(to.as_ref().map(target), None),
        Request::Msg { target: to, kind, text } => {
            let action = if *kind == SaidKind::Action { ACTION } else { "" };
            let to = target(to);
            (format!("/{name} {to} {action}{text}"), vec![to], Some(text))
        }
        Request::Typing { target: to, on } => more(to.as_ref().map(target), on_off(*on)),
        Request::Topic { room, topic } => {
            let room = room.map(|room| room.typed);
            match topic {
                Topic::Read => with(room, None),
                Topic::Set(text) => with(room, Some(text)),
                Topic::Clear => more(room, " -"),
            }
        }
        Request::Send(Offer { target: to, size, digest, name: file }) => {
            let digest = digest.map(|digest| format!("{digest} ")).unwrap_or_default();
            let to = target(to);
            (format!("/{name} {to} {size} {digest}{file}"), vec![to], Some(file))
        }
        Request::Keep(None) => with(None, None),
        Request::Keep(Some(lines)) => more(None, &format!(" {lines}")),
        Request::Resume { token, lines } => {
            // What is no token is read as that.
            let token = token.map_or("-".to_owned(), |token| token.to_string());
            more(None, &format!(" {token} {lines}"))
        }
        Request::Get { id, offset } => more(None, &format!(" {id} {offset}")),
        Request::Cancel(id) => more(None, &format!(" {id}")),
        Request::History { room, part } => {
            let part = match part {
                HistoryPart::Last(None) => String::new(),
                HistoryPart::Last(Some(count)) => format!(" {count}"),
                HistoryPart::After(seq) => format!(" after {seq}"),
            };
            more(room.map(|room| room.typed), &part)
        }
        Request::Ignore(named) => with(named.map(|named| named.typed), None),
        Request::Away(text) | Request::Ping(text) | Request::Quit(text) => with(None, *text),
        Request::Set(Some(Change { setting, on })) => {
            let setting = SETTINGS.iter().find(|(known, _)| known == setting).map(|(_, name)| name);
            more(None, &format!(" {}{}", setting.expect("a setting of the table"), on_off(*on)))
        }
        Request::Chunk(_) | Request::Malformed { .. } => unreachable!("{request:?} is no command"),
    }
}

/// A rule's value, as somebody types it.
fn value(rule: &Rule) -> String {
    let switch = |on: bool| if on { "on" } else { "off" }.to_owned();
    let number = |value: Option<u64>| value.map_or("off".to_owned(), |value| value.to_string());
    match rule {
        Rule::Hidden(on)
        | Rule::InviteOnly(on)
        | Rule::Moderated(on)
        | Rule::Outside(on)
        | Rule::TopicLocked(on)
        | Rule::Past(on) => switch(*on),
        Rule::Key(key) => key.as_ref().map_or("off".to_owned(), |key| key.to_string()),
        Rule::Limit(value) | Rule::Slow(value) => number(*value),
        Rule::Guests(guests) => GUESTS.iter().find(|(known, _)| known == guests).expect("of the table").1.to_owned(),
    }
}
