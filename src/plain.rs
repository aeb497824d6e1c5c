//! The line dialect: which line of the protocol tells what happened, and what is asked for by a line that came in.

use std::borrow::Cow;
use std::time::SystemTime;

use base64::Engine as _;
use memchr::memchr;

use crate::commands::{self, ACTION, GROUPS, GUESTS, RULES, SERVER_SETTINGS, SETTINGS};
use crate::event::{
    Activity, Bye, Deed, Detail, Done, Event, Fault, Gone, Happening, Keeping, Kept, Limit, Lock, Long, Loss, Lost,
    NoBlock, Owning, Quota, Rank, Reply, SaidKind, Setting, Shown, Silence, Standing, Trouble, Unstored, Vacancy, Verb,
};
use crate::limits;
use crate::linebuf::Line;
use crate::names::{BadName, FileId, Nick, RoomName, Text, Wire, clean};
use crate::register::entry::{Author, BanKind, BlockScope, Blocked, Role, Rule, RuleKind, Who};
use crate::request::{BadChunk, Request};
use crate::settings::ServerSetting;
use crate::text::counted;
use crate::time::in_seconds;
use crate::wire::base64::BASE64;
use crate::wire::{self, Code, ServerLine, Stamp, Value, What};

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
        Line::Text(bytes) if is_ends(bytes) => Some(Request::Malformed { verb: Verb::Say, why: Fault::OnlyEnds }),
        Line::Text(_) => commands::parse(text),
        Line::Chunk(base64) => Some(Request::Chunk(BASE64.decode(base64).map_err(|_| BadChunk::Malformed))),
        Line::TooLong { chunk: true, .. } => Some(Request::Chunk(Err(BadChunk::TooLong))),
        Line::TooLong { chunk: false, .. } => {
            let why = Fault::TooLong { what: Long::Line, limit: limits::LINE };
            Some(Request::Malformed { verb: Verb::Unknown, why })
        }
    }
}

/// Whether a line is nothing but Ctrl-C, Ctrl-D and Ctrl-Z, which some terminals send on. In its text they are as good as any
/// other control character.
fn is_ends(line: &[u8]) -> bool {
    !line.is_empty() && line.iter().all(|b| matches!(b, 0x03 | 0x04 | 0x1a))
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
            ServerLine::Refused { command: name(*verb), code: code(why), text: &explain(why) }.write(out);
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
            let (what, how) = match why {
                Loss::GivenUp => ("was given up", "that was done on another of your connections"),
                Loss::Revoked => ("was given up", "an operator took it from its owner, and can tell why"),
                Loss::Granted => ("belongs to somebody now", "an operator gave it to them"),
            };
            let text = format!("{what}; {how}. You are {nick} now, and /nick NAME takes another name");
            ServerLine::Nick { nick: *nick, old: *old, text: &text }.write(out);
        }
        Event::Garbled => ServerLine::Notice(
            "some of what you sent is no UTF-8, and others see \u{fffd} in its place; set your terminal or program to UTF-8",
        )
        .write(out),
        Event::Unended => ServerLine::Notice(
            "CR alone ends no line here: Ctrl-U drops what you typed, and Ctrl-J ends a line; set your terminal or program to LF or CR LF",
        )
        .write(out),
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
        Event::LeftOut => ServerLine::Notice("private messages were left out").write(out),
        Event::KeptAgain(Kept::History) => ServerLine::Notice("history is being kept again").write(out),
        Event::KeptAgain(Kept::Rules) => ServerLine::Notice("rules and bans are being kept again").write(out),
        Event::Keeping(Keeping { room, kept: false }) => {
            let text = format!(
                "the history of {room} is not being kept: its log cannot be written; what is said there may be lost if the server stops"
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

/// The stable word of a refusal.
fn code(why: &Fault) -> Code<'static> {
    match why {
        Fault::UnknownCommand(_) => Code::UnknownCommand,
        Fault::Usage(_)
        | Fault::NoHelp(_)
        | Fault::BeyondEnd(_)
        | Fault::BadPassword
        | Fault::NotWritten(_)
        | Fault::OnlyKeys
        | Fault::OnlyEnds
        | Fault::BadTime(_)
        | Fault::Indented
        | Fault::NoSuchRule(_)
        | Fault::BadValue(_)
        | Fault::BadPattern => Code::Usage,
        Fault::TooLong { .. } => Code::TooLong,
        Fault::TooMany(_) => Code::TooMany,
        Fault::Locked(_) | Fault::PlaceOfGuest => Code::Locked,
        Fault::BadNick(..) | Fault::BadRoom(..) | Fault::BadFileName | Fault::GuestName(_) => Code::BadName,
        Fault::Taken { .. } | Fault::LooksOwned { .. } => Code::Taken,
        Fault::NoSuchNick(_) | Fault::MeantRoom(..) | Fault::NotIgnored(_) => Code::NoSuchNick,
        Fault::NoSuchRoom(_) => Code::NoSuchRoom,
        Fault::NotInRoom(_) => Code::NotInRoom,
        Fault::NoRoom | Fault::NoTarget | Fault::Unheard(_) => Code::NoRoom,
        Fault::NoSuchFile => Code::NoSuchFile,
        Fault::NoUpload => Code::NoUpload,
        Fault::BadChunk => Code::BadChunk,
        Fault::BadDigest | Fault::MalformedDigest => Code::BadDigest,
        Fault::BeyondSize(_) | Fault::TooBig(_) => Code::TooBig,
        Fault::NoSpace | Fault::NotStored(_) => Code::NoSpace,
        Fault::DiskFailed | Fault::Gone(_) | Fault::NoPlace => Code::Gone,
        Fault::NoToken
        | Fault::DiskBusy
        | Fault::MemoryShort
        | Fault::Busy(_)
        | Fault::BusyFile(_)
        | Fault::PasswordsBusy
        | Fault::NameBusy(_) => Code::Busy,
        Fault::WrongPassword
        | Fault::WrongLogin(_)
        | Fault::NoOwner { .. }
        | Fault::NameOfNobody { .. }
        | Fault::OwnedAlready(_)
        | Fault::NoPassword(_)
        | Fault::OldPassword
        | Fault::KeepsNothing
        | Fault::AccountsOff
        | Fault::AccountsClosed
        | Fault::IgnoreSelf
        | Fault::NotYours(_)
        | Fault::KeptItself
        | Fault::NotFounder { is_op: true, .. }
        | Fault::IsFounder(_)
        | Fault::IsOp { .. }
        | Fault::PutOutSelf(_)
        | Fault::GuestsBlocked
        | Fault::NameBlocked(_)
        | Fault::NoBlock(_)
        | Fault::OperatorSelf
        | Fault::NobodyHere
        | Fault::OwnsNoName { .. } => Code::Refused,
        Fault::BadConfig(_) => Code::BadConfig,
        Fault::Owned(_) | Fault::OwnedForGood(_) => Code::Owned,
        Fault::Held(_) => Code::Held,
        Fault::NoAccount { .. } | Fault::NoGuests { .. } | Fault::GuestsMakeNoRooms(_) => Code::NoAccount,
        Fault::Insecure | Fault::InsecurePlace => Code::Insecure,
        Fault::NotOp { .. } | Fault::NotFounder { is_op: false, .. } => Code::NotOp,
        Fault::NotThere { .. } => Code::NoSuchNick,
        Fault::Banned { .. } | Fault::NameBanned { .. } => Code::Banned,
        Fault::Silent { .. } => Code::Muted,
        Fault::InviteOnly(_) => Code::InviteOnly,
        Fault::BadKey(_) => Code::BadKey,
        Fault::RoomFull { .. } => Code::TooMany,
        Fault::NoSuchBan { .. } | Fault::NoSuchBlock(_) => Code::Gone,
    }
}

/// What a refusal says to a person: what is wrong, and what to do next.
fn explain(why: &Fault) -> String {
    let known = |nick: &Nick| nick.to_string();
    match why {
        Fault::UnknownCommand(name) => format!("/{name}: no such command; {}/help lists them", guess(name)),
        Fault::Usage(verb) => {
            let usage = commands::spec_of(*verb).map_or("", |spec| spec.usage);
            let where_from = match verb {
                Verb::Unban => "; /bans lists the IDs",
                Verb::Unblock => "; /blocks lists the IDs",
                Verb::Block => "; WHO is a nick, or an address as in 203.0.113.5 or 203.0.113.0/24",
                Verb::Server => "; guests are on, listen or off, accounts open, closed or off, rooms open or named",
                _ => "",
            };
            format!("it is {usage}{where_from}")
        }
        Fault::OnlyKeys => "the keys that move the cursor do nothing here; Ctrl-U drops what you typed".to_owned(),
        Fault::OnlyEnds => "Ctrl-C, Ctrl-D and Ctrl-Z end nothing here; /quit leaves".to_owned(),
        Fault::BadTime(typed) => {
            format!("{typed} is no time: that is a number with its unit right behind it, as in 30m, 12h or 7d, before the reason")
        }
        Fault::Indented => "a blank stands before that, so it would be said to others; begin with the slash".to_owned(),
        Fault::NoSuchRule(word) => format!("{word} is no rule; /room lists them"),
        Fault::BadValue(kind) => bad_value(*kind),
        Fault::BadPattern => {
            let (least, most) = (limits::PATTERN_LEAST, limits::PATTERN);
            format!("a pattern has at least {least} characters besides its *, and at most {most} bytes, as in spam*")
        }
        Fault::NoHelp(word) => format!("{word} is no command; {}/help lists them", guess(word)),
        Fault::TooLong { what, limit } => {
            let (what, next) = match what {
                Long::Line => ("a line", "say it in parts"),
                Long::Topic => ("a topic", "make it shorter"),
                Long::Away => ("an away text", "make it shorter"),
                Long::Reason => ("a reason", "make it shorter"),
            };
            format!("{what} has at most {limit} bytes; {next}")
        }
        Fault::TooMany(quota) => too_many(*quota),
        Fault::Locked(Lock::Password) => "the server is locked; send /pass PASSWORD first".to_owned(),
        Fault::Locked(Lock::Guests) => {
            "only people who own their names come in now; send /login NICK PASSWORD first".to_owned()
        }
        Fault::Locked(Lock::Everybody) => "nobody comes in now; try again later".to_owned(),
        Fault::BadNick(name, why) => format!("{name} is no name: {}", bad_nick(*why)),
        Fault::BadRoom(name, _) if RoomName::meant(name.as_str()).is_some() => {
            format!("a room's name begins with #; is /join #{name} meant?")
        }
        Fault::BadRoom(name, why) => format!("{name} is no room: {}", bad_room(*why)),
        Fault::BadFileName => {
            format!("a file name has 1 to {} bytes, no / or \\, and is not . or ..", crate::names::FileName::MAX)
        }
        Fault::Taken { nick, holder } => match (nick.get(), holder.get()) {
            (nick, holder) if nick == holder => {
                format!("{holder} is somebody else; choose another name, or wait a minute if that was you")
            }
            (nick, holder) => format!("{nick} looks like {holder}, who is here; choose another name"),
        },
        Fault::LooksOwned { nick, owned } => {
            let (nick, owned) = (nick.get(), owned.get());
            format!("{nick} looks like {owned}, which belongs to somebody; grant {owned}, or choose another name")
        }
        Fault::NoSuchNick(name) if name.as_str().contains('*') => {
            format!("{name} is not here; patterns are for /ban and /mute in a room")
        }
        Fault::NoSuchNick(name) => format!("{name} is not here; /who lists who is"),
        Fault::MeantRoom(name, room) => format!("{name} is not here; is the room {room} meant?"),
        Fault::NotIgnored(name) => format!("you do not ignore {name}; /ignore lists whom you do"),
        Fault::NoSuchRoom(name) => format!("there is no room {name}; /rooms lists them, /join makes one"),
        Fault::NotInRoom(room) => format!("you are not in {room}; /join {room} first"),
        Fault::NoRoom => "no room is current; name one, or /join #lobby first".to_owned(),
        Fault::NoTarget => "nobody hears you here; /join #lobby or /query NAME first".to_owned(),
        Fault::Unheard(text) => {
            let word = text.as_str().split(' ').next().filter(|word| !word.starts_with('/'));
            match word.and_then(commands::find).filter(|spec| !spec.verb.is_of_operators()) {
                Some(spec) => {
                    let name = spec.name;
                    format!("nobody hears you here; is /{name} meant? If not, /join #lobby or /query NAME first")
                }
                None => explain(&Fault::NoTarget),
            }
        }
        Fault::NoSuchFile => "there is no such file for you; /files lists those there are".to_owned(),
        Fault::NoUpload => "no upload is open; /send TARGET SIZE NAME opens one, /msg TARGET = says it".to_owned(),
        Fault::BadChunk => format!("a chunk is = and at most {} characters of padded base64", limits::CHUNK_LINE),
        Fault::BadDigest => "the bytes that came have another digest; send the file again".to_owned(),
        Fault::MalformedDigest => "a digest is sha256: and 64 hexadecimal digits".to_owned(),
        Fault::BeyondSize(size) => format!("more bytes came than the {size} announced; send the file again"),
        Fault::TooBig(limit) => format!("a file has at most {} here", counted(*limit, "byte")),
        Fault::BeyondEnd(size) => format!("the file ends at {size}; give an OFFSET up to that"),
        Fault::NoSpace => "no space is left for files; try again later".to_owned(),
        Fault::NotStored(why) => {
            let (what, then) = match why {
                Unstored::Full => ("the server's disk is full", "try again later"),
                Unstored::Descriptors => ("the server has too many files open", "try again in a moment"),
                Unstored::Denied => ("the server may not write where it keeps files", "tell whoever runs it"),
                Unstored::Failed => ("the server cannot write to its disk now", "try again later"),
            };
            format!("{what}; {then}")
        }
        Fault::DiskFailed => "the server's disk failed; try again later".to_owned(),
        Fault::DiskBusy => "the server's disk is busy; try again in a moment".to_owned(),
        Fault::MemoryShort => "too much waits to be sent to everybody; try again in a moment".to_owned(),
        Fault::Gone(gone) => gone_text(*gone),
        Fault::Busy(nick) => format!("{} reads too slowly now; try again in a moment", known(nick)),
        Fault::BusyFile(id) => format!("file {id} is on its way to you already; /cancel {id} stops it"),
        Fault::WrongPassword => "that is not the password; try again".to_owned(),
        Fault::WrongLogin(nick) => {
            format!("that is neither the password nor a token of {nick}; try again, or ask the operator if yours is lost")
        },
        Fault::NoOwner { nick, vacancy: Vacancy::Free } => {
            format!("nobody owns {nick}; /nick {nick} takes it, and /register PASSWORD makes it yours")
        }
        Fault::NoOwner { nick, vacancy: Vacancy::Held } => format!("nobody owns {nick} any more; {}", held_text()),
        Fault::NoOwner { nick, vacancy: Vacancy::Closed } => {
            format!("nobody owns {nick}; look how yours is spelled, or ask the operator for a name")
        }
        Fault::NameOfNobody { nick, like: None } => {
            let nick = nick.get();
            format!("nobody owns {nick}; /grant {nick} gives the name to somebody")
        }
        Fault::NameOfNobody { nick, like: Some(owned) } => {
            let (nick, owned) = (nick.get(), owned.get());
            format!("nobody owns {nick}; it looks like {owned}, which belongs to somebody: type {owned} if that is meant")
        }
        Fault::Owned(nick) => {
            format!("{nick} belongs to somebody; if that is you: /login {nick} PASSWORD, else choose another name")
        }
        Fault::NameBusy(nick) => format!("{nick} is just being changed; try again in a moment"),
        Fault::OwnedForGood(nick) => format!("{nick} belongs to somebody; choose another name"),
        Fault::Held(nick) => format!("{nick} was somebody's not long ago; {}", held_text()),
        Fault::NoAccount { nick, owning } => match owning {
            Owning::Choose => "guests have no name of their own; choose one with /nick NAME and /register PASSWORD, or \
                               /login NICK PASSWORD"
                .to_owned(),
            Owning::Register => {
                format!("{nick} is not yours; /register PASSWORD makes it so, or /login NICK PASSWORD takes your own name")
            }
            Owning::Ask | Owning::Never => {
                format!("{nick} is not yours; /login NICK PASSWORD takes your own name, which the operator gave you")
            }
        },
        Fault::OwnedAlready(nick) => format!("{nick} is yours already; /passwd OLD NEW changes its password"),
        Fault::GuestName(nick) => format!("{nick} is for guests; choose another name first"),
        Fault::BadPassword => {
            let (least, most) = (limits::PASSWORD.start(), limits::PASSWORD.end());
            format!("a password is one word of {least} to {most} bytes, and not the name itself; choose another")
        }
        Fault::NoPassword(nick) => format!("{nick} has no password yet; /passwd NEW gives it one, and that is asked for"),
        Fault::OldPassword => "the old password comes first: /passwd OLD NEW".to_owned(),
        Fault::Insecure => {
            "others on the way can read what you send here, so no password is taken; come over TLS, if this server has \
             it (chinwag connect tls://HOST), or over ssh (ssh -L 2428:127.0.0.1:2428 HOST, and then connect to \
             127.0.0.1:2428)"
                .to_owned()
        }
        Fault::BadConfig(why) => why.to_string(),
        Fault::KeepsNothing => {
            "this server keeps nothing, as it runs without --data; a name is yours while you are here".to_owned()
        },
        Fault::AccountsOff => "nobody owns a name here; one that is free is yours while you are here".to_owned(),
        Fault::AccountsClosed => "only the operator gives names away here; ask them for yours".to_owned(),
        Fault::PasswordsBusy => "many passwords are being looked at; try again in a moment".to_owned(),
        Fault::IgnoreSelf => "you cannot ignore yourself; /ignore NICK takes somebody else".to_owned(),
        Fault::NoToken => "the system gives no random numbers now; try again in a moment".to_owned(),
        Fault::NoPlace => "no place is kept for this token any more; /nick and /join as if you were new".to_owned(),
        Fault::InsecurePlace => {
            "your place was kept where nobody can read along, and others can here; come as you came before, or /login anew"
                .to_owned()
        }
        Fault::PlaceOfGuest => {
            "guests may not come from your network, so come from another one, or /login NICK PASSWORD if you own a name"
                .to_owned()
        }
        Fault::KeptItself => "your own place is kept here; connect anew, and say it there".to_owned(),
        Fault::NotWritten(lines) => {
            format!("no more than {} came since the first + keep; count again", counted(*lines, "line"))
        }
        Fault::NotYours(id) => format!("file {id} is not yours; ask who sent it, or an op of its room"),
        Fault::NotOp { room, has_ops: true } => format!("only ops of {room} may do that; /op {room} lists them"),
        Fault::NotOp { room, has_ops: false } => {
            format!(
                "only ops of {room} may do that; it has none, and the operator appoints a founder with chinwag ctl founder \
                 '{room}' NICK"
            )
        }
        Fault::NotFounder { room, has_founder: true, .. } => {
            format!("only the founder of {room} may do that; /op {room} tells who it is")
        }
        Fault::NotFounder { room, has_founder: false, .. } => {
            format!(
                "only the founder of {room} may do that; it has none, and the operator appoints one with chinwag ctl founder \
                 '{room}' NICK"
            )
        }
        Fault::IsFounder(nick) => {
            format!("{nick} is the founder, and nobody can do that to them; they hand the room over with /founder NICK")
        }
        Fault::IsOp { nick, room } => {
            format!("{nick} is an op of {room}; /deop {room} {nick} first")
        }
        Fault::OperatorSelf => "that is you; ask another operator, or do it on the server with chinwag ctl".to_owned(),
        Fault::NobodyHere => {
            "nobody is online here, as this is the operator's door; connect to the chat for that, or see /help for what \
             goes here"
                .to_owned()
        }
        Fault::PutOutSelf(room) => format!("that is you; /leave {room} goes"),
        Fault::OwnsNoName { owning: Owning::Never, .. } => {
            "only who owns a name can be a founder, and nobody owns one here; /op NICK gives a rank that goes with whoever has it"
                .to_owned()
        }
        Fault::OwnsNoName { nick, owning } => {
            let next = match owning {
                Owning::Register => "ask them to /register PASSWORD first",
                Owning::Choose => "ask them to take one with /nick NAME and /register PASSWORD first",
                Owning::Ask | Owning::Never => "ask the operator to give them one first",
            };
            format!("{nick} is a guest, and only who owns a name can be a founder; {next}")
        }
        Fault::NotThere { nick, room } => format!("{} is not in {room}; /who {room} lists who is", nick),
        Fault::Banned { room, until, by_network: false } => {
            format!("you are banned from {room}{}; ask an op of it", until_text(*until))
        }
        Fault::Banned { room, until, by_network: true } => {
            let until = until_text(*until);
            format!("guests from your network are banned from {room}{until}; ask an op of it, or /login if you own a name")
        }
        Fault::NameBanned { nick, room } => {
            format!("guests called {nick} are banned from {room}; choose another name, or /leave {room} first")
        }
        Fault::Silent { room, why } => match why {
            Silence::Muted(until) => {
                format!("you are muted in {room}{}; ask an op of it, whom /op {room} lists", until_text(*until))
            }
            Silence::Moderated => {
                format!("only ops and voices speak in {room}; ask an op of it for /voice, whom /op {room} lists")
            }
            Silence::Guests(owning) => {
                let next = how_to_own(*owning).unwrap_or("ask an op of it for /voice");
                format!("only people who own their names speak in {room}; {next}")
            }
            Silence::Slow { every, left } => {
                let (every, left) = (counted((*every).into(), "second"), counted((*left).into(), "more second"));
                format!("in {room} one may say something every {every}; wait {left}")
            }
        },
        Fault::InviteOnly(room) => format!("only who is invited comes into {room}; ask an op of it for /invite"),
        Fault::BadKey(room) => format!("{room} has a key; ask an op of it, and type /join {room} KEY"),
        Fault::RoomFull { room, limit } => {
            let people = if *limit == 1 { "1 person" } else { &format!("{limit} people") };
            format!("{room} takes {people}, and is full; try again later")
        }
        Fault::NoGuests { room, owning } => {
            let next = how_to_own(*owning).unwrap_or("ask an op of it for /invite");
            format!("only people who own their names come into {room}; {next}")
        }
        Fault::GuestsMakeNoRooms(owning) => format!(
            "only people who own their names make rooms here; {}, and /rooms lists those there are",
            how_to_own(*owning).unwrap_or("nobody can log in now")
        ),
        Fault::GuestsBlocked => {
            "guests may not come from your network, so keep your name; /login NICK PASSWORD takes another of yours".to_owned()
        }
        Fault::NameBlocked(nick) => format!("{nick} may not come to this server; ask who runs it"),
        Fault::NoBlock(why) => no_block(*why),
        Fault::NoSuchBlock(id) => format!("there is no block {id}; /blocks lists them"),
        Fault::NoSuchBan { id, room } => format!("there is no ban {id} of {room}; /bans {room} lists them"),
    }
}

/// How somebody comes to own a name, if they can.
fn how_to_own(owning: Owning) -> Option<&'static str> {
    match owning {
        Owning::Register => Some("/register PASSWORD makes yours your own"),
        Owning::Choose => Some("choose one with /nick NAME, and /register PASSWORD makes it your own"),
        Owning::Ask => Some("ask the operator, who gives names away"),
        Owning::Never => None,
    }
}

/// Why a name that was somebody's is nobody's, and what can be done.
fn held_text() -> String {
    format!("it is kept from everybody for {} days, so choose another name", limits::NAME_HELD.as_secs() / 86_400)
}

/// Why somebody cannot be blocked.
fn no_block(why: NoBlock) -> String {
    match why {
        NoBlock::Loopback(network) => {
            format!(
                "{network} is this machine itself, and whoever comes through a proxy on it; /kill NICK closes one of them"
            )
        }
        NoBlock::Local(nick) => {
            format!(
                "{nick} comes from this machine, or through a proxy on it, as others may; /kill {nick} closes that one alone"
            )
        }
        NoBlock::Own => "you would shut yourself out; block less, or come from elsewhere".to_owned(),
        NoBlock::TooWide { least } => format!("too many strangers are in that; give a LEN of {least} or more"),
        NoBlock::Owner(nick) => format!("{nick} owns the name, and so is no guest; /block {nick} all shuts them out"),
    }
}

/// What values a rule takes.
fn bad_value(kind: RuleKind) -> String {
    let name = rule_name(kind);
    match kind {
        RuleKind::Hidden
        | RuleKind::InviteOnly
        | RuleKind::Moderated
        | RuleKind::Outside
        | RuleKind::TopicLocked
        | RuleKind::Past => format!("{name} is on or off"),
        RuleKind::Key => format!("{name} is one word of up to {} bytes, or off; on is none", limits::KEY),
        RuleKind::Limit => format!("{name} is a number of people, or off"),
        RuleKind::Slow => format!("{name} is a time, as in 30s or 5m, or off"),
        RuleKind::Guests => {
            let words: Vec<&str> = GUESTS.iter().map(|(_, word)| *word).collect();
            format!("{name} is one of {}", words.join(", "))
        }
    }
}

/// Until when something holds, for a person.
fn until_text(until: Option<SystemTime>) -> String {
    until.map(|until| format!(" until {}", in_seconds(until))).unwrap_or_default()
}

/// Why this can be no nick, and what can.
pub fn bad_nick(why: BadName) -> String {
    let rule = "a name is a letter, then up to 19 letters, digits, - or _";
    bad_name(why, rule, "a letter", Nick::CHARACTERS, Nick::BYTES)
}

/// Why this can be no room, and what can.
pub fn bad_room(why: BadName) -> String {
    let rule = "a room is # and a letter or digit, then up to 30 letters, digits, - or _, as in #lobby";
    bad_name(why, rule, "a letter or digit", RoomName::CHARACTERS + 1, RoomName::BYTES)
}

/// `rule`: all that such a name is. `first`: what it begins with. Only the rule that was broken is told.
fn bad_name(why: BadName, rule: &str, first: &str, characters: usize, bytes: usize) -> String {
    match why {
        BadName::Empty => rule.to_owned(),
        BadName::Begins(c) => format!("it begins with {}; {first} comes first", shown(c)),
        BadName::Has(c) => format!("{} is in it; use letters, digits, - and _ alone", shown(c)),
        BadName::TooLong => format!("it is too long; at most {characters} characters and {bytes} bytes"),
        BadName::Unusual(c) => format!("{} is no character for names; write it with usual letters", shown(c)),
        BadName::Mixes([one, other]) => {
            format!("it mixes {one} and {other}, and so may look like another; write it in one script")
        }
        BadName::Reserved => "commands and services are called so, and nobody else; choose another name".to_owned(),
    }
}

/// A character as a refusal tells of it, whether it can be seen alone or not.
fn shown(c: char) -> String {
    let code = u32::from(c);
    match c {
        ' ' => "a blank".to_owned(),
        '!'..='~' => c.to_string(),
        _ if c.is_alphanumeric() => format!("{c} (U+{code:04X})"),
        _ => format!("U+{code:04X}"),
    }
}

/// Asks which commands may be meant by one that there is not; empty if none may.
fn guess(name: &Text) -> String {
    match &commands::meant(name.as_str().trim_start_matches('/'))[..] {
        [] => String::new(),
        meant => format!("did you mean /{}? ", meant.join(" or /")),
    }
}

fn too_many(quota: Quota) -> String {
    match quota {
        Quota::Renames => format!("at most {} renames a minute; wait a little", limits::RENAMES),
        Quota::Joins => format!("at most {} joins and leaves a minute; wait a little", limits::JOINS),
        Quota::WrongPasswords => {
            let minutes = limits::WRONG_PASSWORDS_WINDOW.as_secs() / 60;
            format!("too many wrong passwords came from your address; try again in {minutes} minutes")
        }
        Quota::Registrations => {
            let most = limits::REGISTRATIONS;
            format!(
                "at most {most} names a day are registered from where you come; try again tomorrow, or ask the operator, who \
                 gives names with chinwag ctl grant NAME"
            )
        }
        Quota::RegistrationsInAll => "many names are being registered; try again in ten minutes".to_owned(),
        Quota::Names => {
            "the server keeps as many names as it may; until one is given up, talk under a name that is not yours"
                .to_owned()
        }
        Quota::RoomsOfPerson => format!("you may be in {} rooms; /leave one first", limits::ROOMS_A_PERSON),
        Quota::Ways => format!("you are here through {} connections; /quit on one of them first", limits::WAYS),
        Quota::NewRooms => {
            let (own, all) = (limits::NEW_ROOMS, limits::NEW_ROOMS * limits::A_PREFIX);
            format!(
                "at most {own} new rooms a minute, and {all} from one network; wait a little, or join one that there is"
            )
        }
        Quota::RoomsOfNetwork => {
            "the rooms that were made from your network are as many as it may have; join one that there is".to_owned()
        }
        Quota::Rooms => format!("there are {} rooms already; join one of them", limits::ROOMS),
        Quota::Logs => format!("there are logs of {} rooms already; join a room that has one", limits::LOGS),
        Quota::Ignored => format!("you may ignore {} people; /unignore one first", limits::IGNORED),
        Quota::Files => format!("you may share {} files at once; /cancel one first", limits::FILES_A_SENDER),
        Quota::FilesOfNetwork => {
            format!("{} files were shared from your network; /cancel one of yours first", limits::FILES_A_PREFIX)
        }
        Quota::UploadsOfNetwork => {
            let most = limits::UPLOADS_A_PREFIX;
            format!("{most} uploads are under way from your network; try again when one of them has ended")
        }
        Quota::Uploads => format!("{} uploads are under way already; try again in a moment", limits::UPLOADS),
        Quota::Ops => format!("a room may have {} ops; /deop one first", limits::OPS),
        Quota::Voices => format!("a room may have {} voices; /devoice one first", limits::VOICES),
        Quota::Invited => format!("{} people may be invited to a room; /uninvite one first", limits::INVITED),
        Quota::Bans => format!("a room may have {} bans; /unban one first", limits::BANS),
        Quota::FoundedBy(nick) => {
            format!(
                "{nick} is the founder of {} rooms, and nobody may be of more; choose somebody else",
                limits::FOUNDED
            )
        }
        Quota::Founded => {
            format!("one may be the founder of {} rooms; hand one over with /founder first", limits::FOUNDED)
        }
        Quota::Invitations => format!("at most {} invitations a minute; wait a little", limits::INVITATIONS),
        Quota::WrongKeys => {
            format!("at most {} wrong keys a minute; wait a little, and ask for the right one", limits::WRONG_KEYS)
        }
        Quota::Erased => {
            format!(
                "messages are taken out of a room in {} stretches already; erase those between two as well",
                limits::ERASED
            )
        }
        Quota::Blocks => format!("there are {} blocks already; /unblock one first", limits::BLOCKS),
        Quota::Rules => "the server remembers as much of its rooms as it may; ask who runs it".to_owned(),
        Quota::RulesOfGuests => {
            "the server remembers as much of rooms that nobody owns as it may; ask who runs it, or come in with a name of \
             your own and make a room"
                .to_owned()
        }
        Quota::RulesOfDay => {
            "you, or others from your network, have set up as much in rooms as one may in a day; try again tomorrow".to_owned()
        }
        Quota::Operators => {
            format!("{} people may be operators; take that from one first, with /operator NICK off", limits::OPERATORS)
        }
        Quota::Downloads => format!("you may fetch {} files at once; wait for one, or /cancel it", limits::DOWNLOADS),
    }
}

fn trouble_text(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Full => "the server's disk is full",
        Trouble::Failed => "the server's disk fails",
        Trouble::Slow => "the server's disk is too slow",
    }
}

fn gone_text(gone: Gone) -> String {
    match gone {
        Gone::Withdrawn => "its sender withdrew it".to_owned(),
        Gone::Evicted => "it made room for newer files; ask for it again".to_owned(),
        Gone::Expired => "it was kept for as long as files are; ask for it again".to_owned(),
        Gone::BrokenOff => {
            "the upload broke off; the same /send with a digest takes it up again, without one it begins anew"
                .to_owned()
        }
        Gone::Slowest => {
            "all places for uploads were taken, and this was the slowest of those who have most; the same /send \
                          with a digest takes it up again, without one it begins anew"
                .to_owned()
        }
        Gone::Superseded => "another /send broke it off".to_owned(),
        Gone::ReceiverLeft => "the one it was for has left".to_owned(),
        Gone::NoLongerYours => "you left its room".to_owned(),
        Gone::Removed => "an op of its room took it away, or the room is no more".to_owned(),
        Gone::PutOut => "you were put out of its room".to_owned(),
        Gone::NotHeld => "what came of it before the loss is held no more; fetch it again".to_owned(),
        Gone::NotReached(0) => "nothing has been said here yet; ask after 0".to_owned(),
        Gone::NotReached(last) => format!("the last message here is {last}; ask after that, or after 0"),
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
        Bye::TooManyFromAddress | Bye::TooOften | Bye::WrongPasswords => Code::Refused,
        Bye::Blocked | Bye::GuestsBlocked => Code::Blocked,
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
        Bye::GuestsBlocked => {
            "guests may not come from your network; ask who runs the server, or come as the owner of a name: /login NICK \
             PASSWORD, over TLS or ssh"
        }
        Bye::WrongPasswords => "too many wrong passwords; ask for the right one and connect again",
        Bye::TooSlow => "you read nothing for too long; connect again",
        Bye::Idle => "no password came in time; connect again",
        Bye::Shutdown => "the server is shutting down",
        Bye::Killed => "an operator put you out; ask them why",
        Bye::Granted => "an operator had a new token made for this name; ask them for it, if the name is yours",
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
