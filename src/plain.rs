//! The line dialect: which line of the protocol tells what happened, and what is asked for by a line that came in.

mod refusal;

use std::borrow::Cow;

use base64::Engine as _;
use memchr::memchr;

use crate::commands::{self, ACTION, GROUPS, GUESTS, RULES, SERVER_SETTINGS, SETTINGS};
use crate::event::{
    Activity, Barring, Bye, Deed, Detail, Done, Event, Fault, Happening, Keeping, Kept, Limit, Lock, Long, Loss, Lost,
    Rank, Reply, SaidKind, Setting, Shown, Standing, Trouble, Verb,
};
use crate::limits;
use crate::linebuf::Line;
use crate::names::{FileId, Text, Wire, clean};
use crate::register::entry::{Author, BanKind, BlockScope, Blocked, Role, Rule, RuleKind, Who};
use crate::request::{BadChunk, Request};
use crate::settings::ServerSetting;
use crate::time::in_seconds;
use crate::wire::base64::BASE64;
use crate::wire::{self, Code, ServerLine, Stamp, Value, What};

pub use crate::commands::{has_keys, slashless};
pub use refusal::{bad_nick, bad_room};

use refusal::{code, explain, explain_to, until_text};

/// What `* hello` calls the server.
pub const VERSION: &str = concat!("chinwag/", env!("CARGO_PKG_VERSION"));

/// How one connection wants its lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// Whether they end in CR and LF, and not in LF alone.
    pub crlf: bool,
    /// Whether they carry stamps.
    pub stamp: bool,
}

impl Style {
    /// LF, and no stamps.
    pub const FIRST: Self = Self { crlf: false, stamp: false };

    /// What they end in.
    pub fn end(self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }
}

/// Parses what a connection sent. Text must be [`clean`] by now; `None` is a line that means nothing.
pub fn parse<'a>(line: &Line<'a>, text: &'a str) -> Option<Request<'a>> {
    match *line {
        Line::Text(bytes) => match commands::keyed(bytes) {
            Some(why) => {
                let verb = commands::parse(text).map_or(Verb::Say, |request| request.verb());
                Some(Request::Malformed { verb, why })
            }
            None => commands::parse(text),
        },
        Line::Chunk(base64) => Some(Request::Chunk(BASE64.decode(base64).map_err(|_| BadChunk::Malformed))),
        Line::TooLong { chunk: true, .. } => Some(Request::Chunk(Err(BadChunk::TooLong))),
        Line::TooLong { chunk: false, .. } => {
            let why = Fault::TooLong { what: Long::Line, limit: limits::LINE };
            Some(Request::Malformed { verb: Verb::Unknown, why })
        }
    }
}

/// Why a connection that begins with this line is closed unheard, if it speaks another protocol.
///
/// A browser can be made to send a request with chosen text inside to any port, so what follows must not be carried out.
pub fn rejects(first: &Line<'_>) -> Option<Bye> {
    if is_http(first) {
        Some(Bye::NotHttp { web: None })
    } else if is_irc(first) {
        Some(Bye::NotIrc)
    } else {
        other_protocol(first)
    }
}

fn is_http(first: &Line<'_>) -> bool {
    match first {
        Line::Text(line) => requested(line) == Some(b"HTTP"),
        // The version is lost with the end of the line, so what stands before the path must do.
        Line::TooLong { start, .. } => {
            let mut words = start.splitn(2, |&b| b == b' ');
            let is_shouted = |word: &[u8]| is_method(word) && !word.iter().any(u8::is_ascii_lowercase);
            let is_path = |rest: &[u8]| rest.starts_with(b"/") || rest.to_ascii_lowercase().starts_with(b"http");
            words.next().is_some_and(is_shouted) && words.next().is_some_and(is_path)
        }
        Line::Chunk(_) => false,
    }
}

/// The protocol of which a line is a request, as HTTP and those after it have them: `METHOD … PROTOCOL/VERSION`.
fn requested(line: &[u8]) -> Option<&[u8]> {
    let mut words = line.trim_ascii_end().split(|&b| b == b' ');
    words.next().filter(|word| is_method(word))?;
    let version = words.next_back()?;
    Some(&version[..memchr(b'/', version)?])
}

fn is_method(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

fn is_irc(first: &Line<'_>) -> bool {
    let Line::Text(line) = first else { return false };
    let mut words = line.split(|&b| b == b' ');
    match (words.next().unwrap_or_default(), words.next(), words.count()) {
        (b"CAP", Some(b"LS" | b"LIST" | b"REQ"), _) | (b"NICK" | b"PASS", Some([_, ..]), 0) => true,
        (b"USER", Some([_, ..]), more) => more >= 3,
        _ => false,
    }
}

fn other_protocol(first: &Line<'_>) -> Option<Bye> {
    let (Line::Text(line) | Line::TooLong { start: line, .. }) = first else { return None };
    match line.split(|&b| b == b' ').next()? {
        b"PROXY" => Some(Bye::NotProxied),
        b"EHLO" | b"HELO" | [b'S', b'S', b'H', b'-', ..] => Some(Bye::NotChat),
        _ => matches!(requested(line)?, b"SIP" | b"RTSP").then_some(Bye::NotChat),
    }
}

/// Encodes an event, behind what is in `out`.
pub fn event(out: &mut String, event: &Event, style: Style) {
    write_event(out, event, style);
    out.push_str(style.end());
}

/// Encodes bytes of a file in place of what is in `out`, in as many lines as they need.
pub fn data(out: &mut Vec<u8>, file: FileId, offset: u64, data: &[u8], style: Style) {
    let (start, end) = (format!("={file} "), style.end());
    let encoded = |bytes: &[u8]| bytes.len().div_ceil(3) * 4;
    // Whatever comes together, each line ends where it always does, as lines are counted.
    let begun = usize::try_from(offset % limits::DOWNLOAD_LINE as u64).unwrap_or_default();
    let (first, others) = data.split_at(data.len().min(limits::DOWNLOAD_LINE - begun));
    let lines = || std::iter::once(first).chain(others.chunks(limits::DOWNLOAD_LINE)).filter(|bytes| !bytes.is_empty());
    let len: usize = lines().map(|bytes| start.len() + encoded(bytes) + end.len()).sum();
    // It is counted by the memory that it is in.
    out.reserve_exact(len.saturating_sub(out.len()));
    // What is there is not cleared, as all of it is written over.
    out.resize(len, 0);
    let mut rest = &mut out[..];
    for bytes in lines() {
        let mut part = |len| rest.split_off_mut(..len).unwrap_or_default();
        part(start.len()).copy_from_slice(start.as_bytes());
        // It cannot fail, as this is the room that it takes.
        let _ = BASE64.encode_slice(bytes, part(encoded(bytes)));
        part(end.len()).copy_from_slice(end.as_bytes());
    }
}

/// Whether a line that was encoded is about this file alone.
pub fn is_of_file(line: &[u8], file: FileId) -> bool {
    line.starts_with(format!("={file} ").as_bytes())
}

/// Encodes a detail of a reply, behind what is in `out`, in as many lines as it needs.
pub fn detail(out: &mut String, detail: &Detail, style: Style) {
    let mut line = |row: wire::Detail<'_>| {
        row.write(out);
        out.push_str(style.end());
    };
    match detail {
        Detail::Help(verb) => commands::spec_of(*verb).into_iter().map(help_row).for_each(line),
        Detail::Commands(verbs) => {
            for &(group, name) in GROUPS {
                let is_listed = |spec: &&commands::Spec| spec.group == group && verbs.contains(&spec.verb);
                let mut rows = commands::TABLE.iter().filter(is_listed).map(help_row).peekable();
                if rows.peek().is_some() {
                    line(wire::Detail::Group(name));
                }
                rows.for_each(&mut line);
            }
        }
        Detail::Limits(limits) => {
            for (name, value, about) in OWN_LIMITS {
                line(wire::Detail::Limit { name, value: Value::Count(value as u64), about });
            }
            for &(limit, value) in limits {
                let (name, unit, about) = limit_words(limit);
                line(wire::Detail::Limit { name, value: unit(value), about });
            }
        }
        Detail::Topic(topic) => line(wire::Detail::Topic(topic.as_str())),
        Detail::Here(nicks) => line(wire::Detail::Here(nicks.into())),
        Detail::Room { name, count, topic } => {
            line(wire::Detail::Room { room: *name, count: *count as u64, topic: text_of(topic.as_ref()) });
        }
        Detail::Who { nick, activity, idle, rooms } => {
            let (activity, away) = match activity {
                Activity::Here => (wire::Activity::Here, None),
                Activity::Typing => (wire::Activity::Typing, None),
                Activity::Away(text) => (wire::Activity::Away, text.as_ref()),
            };
            let (idle, away) = (idle.as_secs(), text_of(away));
            line(wire::Detail::Who { nick: *nick, activity, idle, rooms: rooms.into(), away });
        }
        Detail::Line { seq, at, from, kind, text } => {
            line(wire::Detail::Line { seq: *seq, at: *at, from: *from, text: &said(*kind, text) });
        }
        Detail::File { id, size, sender, place, age, coming, name } => line(wire::Detail::File {
            file: *id,
            size: *size,
            sender: *sender,
            place: *place,
            age: age.as_secs(),
            coming: *coming,
            name: name.as_str(),
        }),
        Detail::In { room, last } => line(wire::Detail::In { room: *room, last: *last }),
        Detail::Name { since, seen } => line(wire::Detail::Name { since: *since, seen: *seen }),
        Detail::Tokens(count) => line(wire::Detail::Tokens(*count as u64)),
        Detail::Founder(rooms) => line(wire::Detail::Founder(rooms.into())),
        Detail::Ways(count) => line(wire::Detail::Ways(*count as u64)),
        Detail::Kept(count) => line(wire::Detail::Kept(*count as u64)),
        Detail::Ignored(nick) => line(wire::Detail::Ignored(*nick)),
        Detail::Setting(change) => line(wire::Detail::Setting(setting_name(change.setting), change.on)),
        Detail::Ranked { rank, nick } => line(wire::Detail::Ranked { rank: wire_rank(Some(*rank)), nick: *nick }),
        Detail::Ban { id, kind, who, by, until, reason } => {
            let by = match by {
                Author::Person(nick) => Some(*nick),
                Author::Server => None,
            };
            let (mute, who, reason) = (*kind == BanKind::Mute, wire_whom(who), reason.as_str());
            line(wire::Detail::Ban { id: *id, mute, who, by, until: *until, reason });
        }
        Detail::Block { id, scope, who, until, reason } => {
            let (of_guests, who) = (*scope == BlockScope::Guests, blocked(who));
            line(wire::Detail::Block { id: *id, of_guests, who: &who, until: *until, reason: reason.as_str() });
        }
        Detail::Server(setting) => {
            let (name, value) = server_words(*setting);
            line(wire::Detail::Server(name, value));
        }
        Detail::Restart(option) => line(wire::Detail::Restart(option)),
        Detail::Metric(text) => line(wire::Detail::Metric(text.as_str())),
        Detail::Rule(rule) => {
            let (name, value) = rule_words(rule);
            line(wire::Detail::Rule(name, &value));
        }
        Detail::Rules(kinds) => {
            let names: Vec<&str> = kinds.iter().map(|kind| rule_name(*kind)).collect();
            line(wire::Detail::Rules(&names.join(" ")));
        }
        Detail::Had(count) => line(wire::Detail::Had(*count)),
        Detail::Operator(nick) => line(wire::Detail::Operator(*nick)),
        Detail::Way { nick, address, wire, since, named } => line(wire::Detail::Way {
            nick: *nick,
            address: address.as_str(),
            secure: *wire == Wire::Secure,
            since: *since,
            named: *named,
        }),
        Detail::Upload { id, offset } => line(wire::Detail::Upload { file: *id, offset: *offset }),
    }
}

fn help_row(spec: &commands::Spec) -> wire::Detail<'static> {
    wire::Detail::Help { usage: spec.usage, about: spec.about }
}

/// The limits of the line protocol itself.
const OWN_LIMITS: [(&str, usize, &str); 2] = [
    ("line", limits::LINE, "bytes a line, with its ending"),
    ("chunk", limits::CHUNK_LINE, "characters of base64 on a = line"),
];

/// What a limit is called, what its value is of, and what it limits.
fn limit_words(limit: Limit) -> (&'static str, fn(u64) -> Value, &'static str) {
    match limit {
        Limit::Rate => ("rate", Value::Count, "lines a second; 0 is no limit; more are read more slowly"),
        Limit::Burst => ("burst", Value::Count, "lines at once"),
        Limit::Renames => ("renames", Value::Count, "renames a minute; 0 is no limit"),
        Limit::Joins => ("joins", Value::Count, "joins and leaves a minute; 0 is no limit"),
        Limit::RoomsOfPerson => ("rooms", Value::Count, "rooms that you may be in"),
        Limit::Rooms => ("all-rooms", Value::Count, "rooms there may be"),
        Limit::Topic => ("topic", Value::Count, "bytes of a topic or an away text"),
        Limit::Ignored => ("ignored", Value::Count, "people whom you may ignore"),
        Limit::History => ("history", Value::Count, "messages that a room remembers"),
        Limit::HistoryLines => ("history-lines", Value::Count, "messages one /history gives"),
        Limit::HistoryBytes => ("history-bytes", Value::Count, "bytes one /history gives"),
        Limit::Log => ("log", Value::Count, "bytes of a room's log, which outlives a restart; 0 is none"),
        Limit::File => ("file", Value::Count, "bytes of a file"),
        Limit::Spool => ("spool", Value::Count, "bytes of all files"),
        Limit::FileTtl => ("file-ttl", Value::Seconds, "how long a file is kept"),
        Limit::FilesOfSender => ("files", Value::Count, "files that you may have shared at once"),
        Limit::Files => ("all-files", Value::Count, "files there may be"),
        Limit::Uploads => ("uploads", Value::Count, "uploads under way of all people at once"),
        Limit::Downloads => ("downloads", Value::Count, "files that you may fetch at once"),
        Limit::UploadSilence => ("upload-silence", Value::Seconds, "how long an upload may pause"),
        Limit::Resume => ("resume", Value::Seconds, "how long an upload that broke off may be taken up again"),
        Limit::Typing => ("typing", Value::Seconds, "how long /typing lasts"),
        Limit::SlowConsumer => ("slow-reader", Value::Count, "bytes waiting for you beyond which you miss room lines"),
        Limit::Stall => ("stall", Value::Seconds, "how long you may read nothing of what waits for you"),
        Limit::Locked => ("locked", Value::Seconds, "how long you may take to give the password"),
        Limit::Clients => ("clients", Value::Count, "connections in all"),
        Limit::ClientsOfAddress => {
            ("per-address", Value::Count, "connections from one IPv4 address or IPv6 /64; 0 is no limit")
        }
        Limit::NewRooms => (
            "new-rooms",
            Value::Count,
            "new rooms a minute from one network, a tenth of them by one connection; 0 is no limit",
        ),
        Limit::Keep => ("keep", Value::Seconds, "how long your place is kept after a loss, if you say /keep"),
        Limit::KeepWeb => ("keep-web", Value::Seconds, "the same over a WebSocket"),
        Limit::Logs => ("all-logs", Value::Count, "rooms that may have a log; 0 is none"),
        Limit::Tries => ("tries", Value::Count, "wrong passwords and tokens from one network in ten minutes"),
        Limit::Names => ("all-names", Value::Count, "names that may have owners; 0 is none"),
        Limit::Registrations => {
            ("registrations", Value::Count, "names a day that may be registered from one network; 0 is none")
        }
        Limit::RegistrationsInAll => {
            ("all-registrations", Value::Count, "names that may be registered in ten minutes; 0 is none")
        }
        Limit::NameTtl => {
            ("name-ttl", Value::Seconds, "how long a name is kept for an owner who stays away; 0 is for ever")
        }
        Limit::Tokens => ("tokens", Value::Count, "tokens that a name may have"),
        Limit::TokenGood => ("token-ttl", Value::Seconds, "how long after its last use a token is good"),
        Limit::Ops => ("ops", Value::Count, "ops of a room, its founder among them"),
        Limit::Voices => ("voices", Value::Count, "voices of a room"),
        Limit::Invited => ("invited", Value::Count, "people who are invited to a room"),
        Limit::Bans => ("bans", Value::Count, "bans and mutes of a room"),
        Limit::Blocks => ("blocks", Value::Count, "names and networks that may not come"),
        Limit::Connects => (
            "connects",
            Value::Count,
            "connections a minute from one network, without those that log in; 0 is no limit",
        ),
        Limit::Founded => ("founded", Value::Count, "rooms of which you may be the founder"),
        Limit::Rules => (
            "rules",
            Value::Count,
            "rules, ranks, bans and invitations that you, or the guests of one network, may add to rooms in a day; fewer when \
             little is left",
        ),
        Limit::Invitations => ("invitations", Value::Count, "invitations a minute; 0 is no limit"),
        Limit::WrongKeys => ("wrong-keys", Value::Count, "wrong keys of rooms a minute; 0 is no limit"),
    }
}

/// Encodes a reply, behind what is in `out`.
pub fn reply(out: &mut String, reply: &Reply, style: Style) {
    match reply {
        Reply::Done(Done::Room { room, rule: Some(rule) }) => {
            let (name, value) = rule_words(rule);
            ServerLine::Done(wire::Done::Room { room: *room, rule: Some((name, &value)) }).write(out);
        }
        Reply::Done(Done::Block { id, who, closed }) => {
            let who = blocked(who);
            ServerLine::Done(wire::Done::Block { id: *id, who: &who, closed: *closed as u64 }).write(out);
        }
        Reply::Done(done) => ServerLine::Done(encode_done(done)).write(out),
        Reply::Refused { verb, why } => {
            ServerLine::Refused { command: name(*verb), code: code(why), text: &explain_to(*verb, why) }.write(out);
        }
    }
    out.push_str(style.end());
}

/// What a refusal calls what was asked for.
fn name(verb: Verb) -> &'static str {
    match verb {
        Verb::Say => "say",
        Verb::Chunk | Verb::Unknown => "?",
        verb => commands::spec_of(verb).map_or("?", |spec| spec.name),
    }
}

fn write_event(out: &mut String, event: &Event, style: Style) {
    let stamp = |seq, at| style.stamp.then_some(Stamp { seq, at });
    match event {
        Event::Hello { nick, online, server } => {
            let at = server.as_ref().map(|server| format!(" at {server}")).unwrap_or_default();
            let text = format!("online{at}; /join #lobby to talk, /nick NAME to be known, /help for the rest");
            ServerLine::Hello { nick: *nick, server: VERSION, online: *online as u64, text: &text }.write(out);
        }
        Event::Locked(lock) => {
            let text = match lock {
                Lock::Password => "send /pass PASSWORD",
                Lock::Guests => "only people who own their names come in; send /login NICK PASSWORD",
                Lock::Everybody => "nobody comes in now; try again later",
            };
            ServerLine::Locked { server: VERSION, text }.write(out);
        }
        Event::Motd(line) => ServerLine::Motd(line.as_str()).write(out),
        Event::Presence { version, gone, came } => {
            let gone = gone.iter().map(|name| wire::Change::Went(name.get()));
            let came = came.iter().map(|name| wire::Change::Came(name.get()));
            ServerLine::Presence { version: *version, changes: gone.chain(came).collect() }.write(out);
        }
        Event::Said { place, seq, at, from, kind, text } => {
            let (stamp, text) = (stamp(*seq, *at), said(*kind, text));
            ServerLine::Message { place: *place, stamp, from: *from, text: &text }.write(out);
        }
        Event::Happened { place, at, who, what } => {
            let stamp = stamp(None, *at);
            let value;
            let what = match what {
                Happening::Set(rule) => {
                    let (name, words) = rule_words(rule);
                    value = words;
                    What::Set(name, &value)
                }
                what => encode_happening(what),
            };
            ServerLine::Event { place: *place, stamp, who: *who, what }.write(out);
        }
        Event::Whole { file, size, digest } => {
            ServerLine::Whole { file: *file, size: *size, digest: *digest }.write(out);
        }
        Event::Broken { file, why } => {
            ServerLine::Failed { file: *file, code: code(why), text: &explain(why) }.write(out);
        }
        Event::NotKept(what, trouble) => {
            let (what, risk) = match what {
                Kept::History => ("history is", "what is said meanwhile may be lost"),
                Kept::Rules => ("rules and bans are", "what changes of them meanwhile may be undone"),
            };
            let why = trouble_text(*trouble);
            ServerLine::Notice(&format!("{what} not being kept: {why}; {risk} if the server stops")).write(out);
        }
        Event::Wall { from, text } => ServerLine::Wall { from: *from, text: text.as_str() }.write(out),
        Event::NameLost { nick, old, why } => {
            let given = "an operator gave it to them";
            let (what, how) = match why {
                Loss::GivenUp => ("was given up".to_owned(), "that was done on another of your connections"),
                Loss::Revoked => ("was given up".to_owned(), "an operator took it from its owner, and can tell why"),
                Loss::Granted(granted) if granted == old => ("belongs to somebody now".to_owned(), given),
                Loss::Granted(granted) => (format!("looks like {granted}, which belongs to somebody now"), given),
            };
            let text = format!("{what}; {how}. You are {nick} now, and /nick NAME takes another name");
            ServerLine::Nick { nick: *nick, old: *old, text: &text }.write(out);
        }
        Event::Operating(true) => ServerLine::Notice(
            "you are an operator of this server now, wherever nobody can read along; /help lists what operators may do",
        )
        .write(out),
        Event::Operating(false) => ServerLine::Notice("you are no operator of this server any more").write(out),
        Event::NoPassword(nick) => {
            let text = format!(
                "{nick} has no password yet, so once its tokens end nobody can log in as {nick}; /passwd PASSWORD gives it one"
            );
            ServerLine::Notice(&text).write(out);
        }
        Event::Garbled => ServerLine::Notice(
            "some of what you sent is no UTF-8, and others see \u{fffd} in its place; set your terminal or program to UTF-8 (telnet: Ctrl-], and set outbinary), or on Windows take ncat in place of telnet",
        )
        .write(out),
        Event::Unended => ServerLine::Notice(
            "CR alone ends no line here: Ctrl-U drops what you typed, and Ctrl-J ends a line; set your terminal or program to LF or CR LF",
        )
        .write(out),
        Event::Keyed => ServerLine::Notice(
            "others see \u{fffd} in place of the keys that you sent among your text, which move no cursor here; Backspace erases a character, and Ctrl-U the line",
        )
        .write(out),
        Event::Slashless(verb) => {
            let name = name(*verb);
            ServerLine::Notice(&format!("without a slash that is said to others; /{name} is the command, if that was meant")).write(out);
        }
        Event::Odd(text) => ServerLine::Notice(text.as_str()).write(out),
        Event::NameChangedHands(nick) => {
            let text =
                format!("{nick} is somebody else now than the {nick} you talked with before; what you say goes to the new one");
            ServerLine::Notice(&text).write(out);
        }
        Event::InvitedInVain { nick, room, ban } => {
            let text =
                format!("{nick} is banned from {room}, which no invitation changes; /unban {room} {ban} ends that");
            ServerLine::Notice(&text).write(out);
        }
        Event::Lasts { barred, until, was } => {
            let (what, of_guests) = match barred {
                Barring::Ban(BanKind::Ban, room, who) => (format!("{} is banned from {room}", wire_whom(who)), false),
                Barring::Ban(BanKind::Mute, room, who) => (format!("{} is muted in {room}", wire_whom(who)), false),
                Barring::Block(scope, who) => (format!("{} is blocked", blocked(who)), *scope == BlockScope::Guests),
            };
            let how = |of_guests, until| [if of_guests { " for guests" } else { "" }, &until_text(until)].concat();
            let was = was.map(|(of_guests, until)| format!("; it was{}", how(of_guests, until))).unwrap_or_default();
            ServerLine::Notice(&[&what, &how(of_guests, *until), &*was].concat()).write(out);
        }
        Event::MayWithdraw(file) => {
            let text = format!("your download of file {file} is stopped; /cancel {file} once more takes the file away from everybody");
            ServerLine::Notice(&text).write(out);
        }
        Event::NoWayBack(nick) => {
            let text = format!("nobody can log in here now, so {nick}, which is yours, is not to be had again until the operator changes that");
            ServerLine::Notice(&text).write(out);
        }
        Event::GoesWhenEmpty { room, rule, owning } => {
            let first = Shown::Rule(rule.at_first());
            let (rule, value) = rule_words(&first);
            let keep = if *owning { format!("; /op {room} NICK of somebody who owns their name keeps it") } else { String::new() };
            let text = format!(
                "a guest made {room}, so with {rule} it is forgotten with all that was said and shared there when the last one \
                 leaves{keep}; /room {room} {rule} {value} takes that back"
            );
            ServerLine::Notice(&text).write(out);
        }
        Event::RankGoes { room, nick } => {
            let text =
                format!("you are op of {room} only until you leave it, as you became that as a guest; /op {room} {nick} keeps it");
            ServerLine::Notice(&text).write(out);
        }
        Event::LeftOut { private: true } => ServerLine::Notice("private messages were left out").write(out),
        Event::LeftOut { private: false } => ServerLine::Notice("replies or news of the server were left out").write(out),
        Event::KeptAgain(Kept::History) => ServerLine::Notice("history is being kept again").write(out),
        Event::KeptAgain(Kept::Rules) => ServerLine::Notice("rules and bans are being kept again").write(out),
        Event::Keeping(Keeping { room, kept: false }) => {
            let text = format!(
                "the history of {room} is not being kept: its log, or its topic, cannot be written; what is said there may be lost if the server stops"
            );
            ServerLine::Notice(&text).write(out);
        }
        Event::Keeping(Keeping { room, kept: true }) => {
            ServerLine::Notice(&format!("the history of {room} is being kept again")).write(out);
        }
        Event::Expelled { bye, reason } => {
            let text = [reason.as_str(), wire::ENDS_NC].concat();
            ServerLine::Bye { code: bye_code(*bye), text: &text }.write(out);
        }
        Event::Bye(bye) => {
            let text = farewell(*bye) + wire::ENDS_NC;
            ServerLine::Bye { code: bye_code(*bye), text: &text }.write(out);
        }
    }
}

/// A text as it is said. Only an action is not there as it stands.
#[inline]
fn said(kind: SaidKind, text: &Text) -> Cow<'_, str> {
    match kind {
        SaidKind::Text => Cow::Borrowed(text.as_str()),
        SaidKind::Action => Cow::Owned(format!("{ACTION}{text}")),
    }
}

fn text_of(text: Option<&Text>) -> &str {
    text.map_or("", Text::as_str)
}

fn encode_happening(what: &Happening) -> What<'_> {
    match what {
        Happening::Joined => What::Joined,
        Happening::Left(reason) => What::Left(text_of(reason.as_ref())),
        Happening::Renamed(nick) => What::Renamed(*nick),
        Happening::Quit(reason) => What::Quit(text_of(reason.as_ref())),
        Happening::Lost(lost) => What::Lost(lost_code(*lost)),
        Happening::Topic(topic) => What::Topic(text_of(topic.as_ref())),
        Happening::Typing => What::Typing,
        Happening::Idle => What::Idle,
        Happening::File { id, size, name } => What::File { file: *id, size: *size, name: name.as_str() },
        Happening::Unfile { id, why } => What::Unfile { file: *id, code: code(why) },
        Happening::Missed { count, after } => What::Missed { count: *count, after: *after },
        Happening::Away(text) => What::Away(text_of(text.as_ref())),
        Happening::Made { nick, rank } => What::Made { nick: *nick, rank: wire_rank(*rank) },
        Happening::Kicked { nick, reason } => What::Kicked { nick: *nick, reason: text_of(reason.as_ref()) },
        Happening::Banned { kind, who, time, reason } => What::Banned {
            mute: *kind == BanKind::Mute,
            who: wire_whom(who),
            seconds: time.map_or(0, |time| time.as_secs()),
            reason: text_of(reason.as_ref()),
        },
        Happening::Unbanned { kind, who } => What::Unbanned { mute: *kind == BanKind::Mute, who: wire_whom(who) },
        // Its value is words that are made for it.
        Happening::Set(rule) => What::Set(rule_words(rule).0, ""),
        Happening::Invite(room) => What::Invite(*room),
        Happening::Erased { first, last } => What::Erased { first: *first, last: *last },
        Happening::Unreached => What::Unreached,
    }
}

fn wire_rank(rank: Option<Rank>) -> wire::Rank {
    match rank {
        Some(Rank::Founder) => wire::Rank::Founder,
        Some(Rank::Op) => wire::Rank::Op,
        Some(Rank::Voice) => wire::Rank::Voice,
        None => wire::Rank::Nobody,
    }
}

fn wire_whom(who: &Who) -> wire::Whom<'_> {
    match who {
        Who::Name(nick) => wire::Whom::Name(*nick),
        Who::Guest(nick) => wire::Whom::Guest(*nick),
        Who::Pattern(pattern) => wire::Whom::Pattern(pattern.as_str()),
    }
}

/// Who is blocked.
fn blocked(who: &Blocked) -> String {
    match who {
        Blocked::Name(nick) => wire::Whom::Name(*nick).to_string(),
        Blocked::Network(network) => network.to_string(),
    }
}

/// What a setting of the server is called, and its value.
fn server_words(setting: ServerSetting) -> (&'static str, &'static str) {
    let known = SERVER_SETTINGS.iter().find(|(known, ..)| *known == setting);
    known.map_or(("?", "?"), |&(_, name, value)| (name, value))
}

/// What a rule is called, and its value.
fn rule_words(shown: &Shown) -> (&'static str, Cow<'_, str>) {
    let Shown::Rule(rule) = shown else { return (rule_name(RuleKind::Key), Cow::Borrowed("on")) };
    let switch = |on: bool| Cow::Borrowed(if on { "on" } else { "off" });
    let off = || Cow::Borrowed("off");
    let value = match rule {
        Rule::Hidden(on)
        | Rule::InviteOnly(on)
        | Rule::Moderated(on)
        | Rule::Outside(on)
        | Rule::TopicLocked(on)
        | Rule::Past(on) => switch(*on),
        Rule::Key(key) => key.as_ref().map_or_else(off, |key| Cow::Borrowed(key.as_str())),
        Rule::Limit(limit) => limit.map_or_else(off, |limit| Cow::Owned(limit.to_string())),
        Rule::Slow(seconds) => seconds.map_or_else(off, |seconds| Cow::Owned(format!("{seconds}s"))),
        Rule::Guests(guests) => {
            Cow::Borrowed(GUESTS.iter().find(|(known, _)| known == guests).map_or("?", |(_, word)| word))
        }
    };
    (rule_name(rule.kind()), value)
}

fn rule_name(kind: RuleKind) -> &'static str {
    RULES.iter().find(|(known, _)| *known == kind).map_or("?", |(_, name)| name)
}

fn encode_done(done: &Done) -> wire::Done<'_> {
    match *done {
        Done::Help => wire::Done::Help,
        Done::Limits => wire::Done::Limits,
        Done::Pass => wire::Done::Pass,
        Done::Nick(nick) => wire::Done::Nick(nick),
        Done::Register(nick) => wire::Done::Register(nick),
        Done::Login(nick) => wire::Done::Login(nick),
        Done::Logout(nick) => wire::Done::Logout(nick),
        Done::Passwd => wire::Done::Passwd,
        Done::Token(token) => token.map_or(wire::Done::TokenOff, wire::Done::Token),
        Done::Drop(nick) => wire::Done::Drop(nick),
        Done::Account { nick, standing } => {
            let standing = match standing {
                Standing::Free => wire::Standing::Free,
                Standing::Owned => wire::Standing::Owned,
                Standing::Held => wire::Standing::Held,
            };
            wire::Done::Account(nick, standing)
        }
        Done::Join { room, count } => wire::Done::Join { room, count: count as u64 },
        Done::Leave(room) => wire::Done::Leave(room),
        Done::Query(place) => wire::Done::Query(place),
        Done::Rooms(count) => wire::Done::Rooms(count as u64),
        Done::Who { version, count } => wire::Done::Who { version, count: count as u64 },
        Done::Msg(place) => wire::Done::Msg(place),
        Done::Me => wire::Done::Me,
        Done::Typing { place, on } => wire::Done::Typing(place, on),
        Done::Topic { room, ref topic } => wire::Done::Topic(room, text_of(topic.as_ref())),
        Done::Send { id, offset } => wire::Done::Send { file: id, offset },
        Done::Get { id, offset, size, ref name } => wire::Done::Get { file: id, offset, size, name: name.as_str() },
        Done::Files(count) => wire::Done::Files(count as u64),
        Done::Cancel(id) => wire::Done::Cancel(id),
        Done::History { room, count } => wire::Done::History { room, count: count as u64 },
        Done::Ignore(nick) => wire::Done::Ignore(nick),
        Done::Ignoring(count) => wire::Done::Ignoring(count as u64),
        Done::Unignore(nick) => wire::Done::Unignore(nick),
        Done::Away => wire::Done::Away,
        Done::Back => wire::Done::Back,
        Done::Settings => wire::Done::Settings,
        Done::Set(change) => wire::Done::Set(setting_name(change.setting), change.on),
        Done::Ping(ref token) => wire::Done::Ping(text_of(token.as_ref())),
        Done::Keep { token, time } => wire::Done::Keep { token, seconds: time.as_secs() },
        Done::Resume(nick) => wire::Done::Resume(nick),
        Done::Quit => wire::Done::Quit,
        Done::Kill(nick) => wire::Done::Kill(nick),
        Done::Where(nick) => wire::Done::Where(nick),
        Done::Wall(count) => wire::Done::Wall(count as u64),
        Done::Grant { nick, token } => wire::Done::Grant(nick, token),
        Done::Revoke(nick) => wire::Done::Revoke(nick),
        Done::Operator { nick, on } => wire::Done::Operator(nick, on),
        Done::Operators(count) => wire::Done::Operators(count as u64),
        Done::Ranked { verb, room, nick } => wire::Done::OfMember { command: name(verb), room, nick },
        Done::Founder { room, nick } => wire::Done::OfMember { command: name(Verb::Founder), room, nick },
        Done::Kick { room, nick } => wire::Done::OfMember { command: name(Verb::Kick), room, nick },
        Done::Invite { room, nick } => wire::Done::OfMember { command: name(Verb::Invite), room, nick },
        Done::Uninvite { room, nick } => wire::Done::OfMember { command: name(Verb::Uninvite), room, nick },
        Done::Ranks { room, count } => wire::Done::Count { command: name(Verb::Op), room, count: count as u64 },
        Done::Bans { room, count } => wire::Done::Count { command: name(Verb::Bans), room, count: count as u64 },
        Done::Erase { room, count } => wire::Done::Count { command: name(Verb::Erase), room, count },
        Done::Ban { kind, room, id, ref who, by_connection } => {
            wire::Done::Ban { mute: kind == BanKind::Mute, room, id, who: wire_whom(who), by_connection }
        }
        Done::Unban { room, id } => wire::Done::Unban { room, id },
        Done::Unblock(id) => wire::Done::Unblock(id),
        Done::Blocks(count) => wire::Done::Blocks(count as u64),
        Done::Server => wire::Done::Server,
        Done::Reload => wire::Done::Reload,
        Done::Metrics(count) => wire::Done::Metrics(count as u64),
        // Who is blocked has words that are made for it.
        Done::Block { id, closed, .. } => wire::Done::Block { id, who: "?", closed: closed as u64 },
        // One rule has words that are made for it.
        Done::Room { room, .. } => wire::Done::Room { room, rule: None },
    }
}

fn setting_name(setting: Setting) -> &'static str {
    SETTINGS.iter().find(|(known, _)| *known == setting).map_or("?", |(_, name)| name)
}

fn trouble_text(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Full => "the server's disk is full",
        Trouble::Failed => "the server's disk fails",
        Trouble::Slow => "the server's disk is too slow",
    }
}

/// The codes with which connections are not let in, from the first on.
pub const REJECTED: &[Code<'static>] = &[Code::Full, Code::Refused, Code::Blocked, Code::NeedsTls];
/// The codes with which connections are closed.
pub const BYES: &[Code<'static>] = &[
    Code::Full,
    Code::Refused,
    Code::Blocked,
    Code::TooSlow,
    Code::Idle,
    Code::Killed,
    Code::Shutdown,
    Code::NotHttp,
    Code::NotIrc,
    Code::NotText,
    Code::NotChat,
];
/// The codes with which connections are lost that the server did not close.
pub const LOST: &[Code<'static>] = &[Code::Reset, Code::Timeout];

/// The stable word for how a connection was lost.
pub fn lost_code(lost: Lost) -> Code<'static> {
    match lost {
        Lost::Reset => Code::Reset,
        Lost::Timeout => Code::Timeout,
        Lost::Closed(bye) => bye_code(bye),
    }
}

/// The stable word for why a connection is closed.
pub fn bye_code(bye: Bye) -> Code<'static> {
    match bye {
        Bye::Full | Bye::MadePlace | Bye::ControlsTaken => Code::Full,
        Bye::TooManyFromAddress | Bye::TooOften | Bye::WrongPasswords | Bye::Unproved => Code::Refused,
        Bye::Blocked | Bye::GuestsBlocked { .. } => Code::Blocked,
        Bye::TooSlow => Code::TooSlow,
        Bye::Idle | Bye::Silent => Code::Idle,
        Bye::Killed | Bye::Granted => Code::Killed,
        Bye::Shutdown => Code::Shutdown,
        Bye::NotHttp { .. } => Code::NotHttp,
        Bye::NotIrc => Code::NotIrc,
        Bye::NotText { .. } => Code::NotText,
        Bye::NeedsTls => Code::NeedsTls,
        Bye::NotChat | Bye::NotProxied => Code::NotChat,
    }
}

fn farewell(bye: Bye) -> Cow<'static, str> {
    let text = match bye {
        Bye::Full => "the server is full; try again later",
        Bye::MadePlace => "the server is full, and you have not said a word; connect again and say one",
        Bye::TooManyFromAddress => "too many connections from your address; close one first",
        Bye::TooOften => "too many connections came from your network in this minute; connect again in the next one",
        Bye::Blocked => "you may not come to this server; ask who runs it",
        Bye::GuestsBlocked { in_clear: true } => {
            "guests may not come from your network; ask who runs the server, or come as the owner of a name: /login NICK \
             PASSWORD"
        }
        Bye::GuestsBlocked { in_clear: false } => {
            "guests may not come from your network; ask who runs the server, or come as the owner of a name: /login NICK \
             PASSWORD, over TLS or ssh"
        }
        Bye::WrongPasswords => "too many wrong passwords; ask for the right one and connect again",
        Bye::TooSlow => "you read nothing for too long; connect again",
        Bye::Idle => "no password came in time; connect again",
        Bye::Shutdown => "the server is shutting down",
        Bye::Killed => "an operator put you out; ask them why",
        Bye::Granted => "an operator had a new token made for this name; ask them for it, if the name is yours",
        Bye::Unproved => "the password of this name is another now, or its tokens are ended; connect again, and /login",
        Bye::ControlsTaken => "as many are at the operator's door as there may be; close one first",
        Bye::Silent => "nothing was said here for a minute; connect again",
        Bye::NotHttp { web: None } => "this is no web server but a chat; connect with nc or telnet",
        Bye::NotHttp { web: Some(port) } => {
            return format!("this is no web server but a chat; open port {port} in a browser, or connect here with nc")
                .into();
        }
        Bye::NotIrc => {
            "this port is not IRC but chinwag; connect with nc or telnet, where it is /nick NAME and /join #lobby"
        }
        Bye::NotText { tls: None } => "this is a chat of plain text lines, without TLS; connect with nc or telnet",
        Bye::NotText { tls: Some(port) } => {
            return format!("this port is without TLS, which is spoken on port {port}; connect there, or here with nc")
                .into();
        }
        Bye::NeedsTls => "this port speaks TLS; connect with ncat --ssl, or openssl s_client -quiet",
        Bye::NotChat => "this is a chat of plain text lines, and speaks no other protocol; connect with nc or telnet",
        Bye::NotProxied => {
            "a PROXY header came, which this port does not take; have the proxy send none, or send it to a port of --proxy-listen"
        }
    };
    text.into()
}

/// What an operator has done, as they would ask for it: with names alone, and what they wrote besides.
pub fn deed(deed: &Deed) -> (String, Option<&Text>) {
    let words = match deed {
        Deed::Kill { nick, reason } => return (format!("kill {nick}"), reason.as_ref()),
        Deed::Wall(text) => return ("wall".to_owned(), Some(text)),
        Deed::Grant(nick) => format!("grant {nick}"),
        Deed::Revoke(nick) => format!("revoke {nick}"),
        Deed::Operator { nick, on } => format!("operator {nick} {}", if *on { "on" } else { "off" }),
        Deed::Block { id, scope, who, until, reason } => {
            let scope = if *scope == BlockScope::Guests { "guests" } else { "all" };
            let until = until.map_or_else(|| "-".to_owned(), |until| in_seconds(until).to_string());
            let reason = Some(reason).filter(|reason| !reason.as_str().is_empty());
            return (format!("block {id} {scope} {} {until}", blocked(who)), reason);
        }
        Deed::Unblock { id, who } => format!("unblock {id} {}", blocked(who)),
        Deed::Server(setting) => {
            let (name, value) = server_words(*setting);
            format!("server {name} {value}")
        }
        Deed::Reload => "reload".to_owned(),
        Deed::Cancel(file) => format!("cancel {file}"),
        Deed::NotDone(what) => {
            let (words, text) = self::deed(what);
            return (format!("not-done {words}"), text);
        }
        Deed::Role { room, nick, role, on } => {
            let command = match (role, on) {
                (Role::Op, true) => "op",
                (Role::Op, false) => "deop",
                (Role::Voice, true) => "voice",
                (Role::Voice, false) => "devoice",
            };
            format!("{command} {room} {nick}")
        }
        Deed::InRoom(room, what) => match what {
            Happening::Made { nick, .. } => format!("founder {room} {nick}"),
            Happening::Kicked { nick, reason } => return (format!("kick {room} {nick}"), reason.as_ref()),
            Happening::Banned { kind, who, time, reason } => {
                let command = if *kind == BanKind::Mute { "mute" } else { "ban" };
                let seconds = time.map_or(0, |time| time.as_secs());
                return (format!("{command} {room} {} {seconds}", wire_whom(who)), reason.as_ref());
            }
            Happening::Unbanned { who, .. } => format!("unban {room} {}", wire_whom(who)),
            Happening::Set(shown) => {
                let (rule, value) = rule_words(shown);
                format!("room {room} {rule} {value}")
            }
            Happening::Erased { first, last } => format!("erase {room} {first} {last}"),
            // Operators do nothing else in rooms.
            _ => room.to_string(),
        },
    };
    (words, None)
}

/// The text of a line that came in, made safe.
pub fn text<'a>(line: &Line<'a>) -> Cow<'a, str> {
    match line {
        Line::Text(text) => clean(text),
        Line::Chunk(_) | Line::TooLong { .. } => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_file_end_where_they_always_do() {
        let (bytes, unit) = (vec![7; 2 * limits::DOWNLOAD_LINE + 5], limits::DOWNLOAD_LINE);
        let encoded = |from: usize, to: usize| {
            let mut out = Vec::new();
            data(&mut out, FileId(1), from as u64, &bytes[from..to], Style::FIRST);
            out
        };
        let parts = [encoded(1, unit), encoded(unit, 2 * unit), encoded(2 * unit, bytes.len())].concat();
        assert!(encoded(1, bytes.len()) == parts);
    }
}
