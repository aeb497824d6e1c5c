//! The line protocol: how what happened is spelled, and what is read from a line. Nothing outside this file writes a line.

use std::fmt::Write as _;

use base64::Engine as _;

use crate::chunks::BASE64;
use crate::commands::{self, ACTION, SETTINGS};
use crate::event::{
    Bye, Change, Detail, Done, Event, Fault, Gone, Happening, Limit, Long, Lost, Quota, Reply, SaidKind, Setting,
    State, Trouble, Verb,
};
use crate::limits;
use crate::linebuf::Line;
use crate::names::{FileId, Nick, Place, Text, clean};
use crate::request::{BadChunk, Request};

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
    /// How many styles there are.
    pub const COUNT: usize = 4;

    /// LF, and no stamps.
    pub const FIRST: Self = Self { crlf: false, stamp: false };

    /// Which of the styles it is, for tables of them.
    pub fn index(self) -> usize {
        usize::from(self.crlf) * 2 + usize::from(self.stamp)
    }

    fn end(self) -> &'static str {
        if self.crlf { "\r\n" } else { "\n" }
    }
}

/// Whether somebody takes the chunks of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chunks {
    /// An upload is open.
    Wanted,
    /// None is, and so a chunk is not worth decoding.
    Unwanted,
}

/// Reads what a connection sent. Text must be [`clean`] by now; `None` is a line that means nothing.
pub fn read<'a>(line: &Line<'a>, text: &'a str, chunks: Chunks) -> Option<Request<'a>> {
    match *line {
        Line::Text(_) => commands::parse(text),
        Line::Chunk(_) if chunks == Chunks::Unwanted => Some(Request::Chunk(Ok(Vec::new()))),
        Line::Chunk(base64) => Some(Request::Chunk(BASE64.decode(base64).map_err(|_| BadChunk::Malformed))),
        Line::TooLong { chunk: true, .. } => Some(Request::Chunk(Err(BadChunk::TooLong))),
        Line::TooLong { chunk: false, .. } => {
            let why = Fault::TooLong { what: Long::Line, limit: limits::LINE };
            Some(Request::Malformed { verb: Verb::Unknown, why })
        }
    }
}

/// Whether a connection that begins with this line speaks HTTP.
///
/// A browser can be made to send a request with chosen text inside to any port, so what follows must not be carried out.
pub fn is_http(first: &Line<'_>) -> bool {
    let is_method = |word: &[u8]| {
        !word.is_empty() && word.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
    };
    match first {
        Line::Text(line) => {
            let words: Vec<&[u8]> = line.split(|&b| b == b' ').collect();
            matches!(words[..], [method, _, version] if is_method(method) && version.starts_with(b"HTTP/"))
        }
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

/// Spells an event, behind what is in `out`.
pub fn event(out: &mut String, event: &Event, style: Style) {
    write_event(out, event, style);
    out.push_str(style.end());
}

/// Spells bytes of a file in place of what is in `out`, in as many lines as they need.
pub fn data(out: &mut Vec<u8>, file: FileId, data: &[u8], style: Style) {
    let (start, end) = (format!("={file} "), style.end());
    let encoded = |bytes: &[u8]| bytes.len().div_ceil(3) * 4;
    let len = data.chunks(limits::DOWNLOAD_LINE).map(|bytes| start.len() + encoded(bytes) + end.len()).sum();
    // What is there is not cleared, as all of it is written over.
    out.resize(len, 0);
    let mut rest = &mut out[..];
    for bytes in data.chunks(limits::DOWNLOAD_LINE) {
        let mut part = |len| rest.split_off_mut(..len).unwrap_or_default();
        part(start.len()).copy_from_slice(start.as_bytes());
        // It cannot fail, as this is the room that it takes.
        let _ = BASE64.encode_slice(bytes, part(encoded(bytes)));
        part(end.len()).copy_from_slice(end.as_bytes());
    }
}

/// Spells a detail of a reply, behind what is in `out`, in as many lines as it needs.
pub fn detail(out: &mut String, detail: &Detail, style: Style) {
    let mut line = |write: &dyn Fn(&mut String)| {
        out.push_str("- ");
        write(out);
        out.push_str(style.end());
    };
    match detail {
        Detail::Help(verb) => {
            for spec in commands::TABLE.iter().filter(|spec| verb.is_none_or(|verb| verb == spec.verb)) {
                line(&|out| put(out, format_args!("{}  {}", spec.usage, spec.about)));
            }
        }
        Detail::Limits(limits) => {
            for (name, value, about) in OWN_LIMITS {
                line(&|out| put(out, format_args!("{name} {value} {about}")));
            }
            for &(limit, value) in limits {
                let (name, unit, about) = limit_words(limit);
                line(&|out| put(out, format_args!("{name} {value}{unit} {about}")));
            }
        }
        _ => line(&|out| write_detail(out, detail)),
    }
}

/// The limits of the line protocol itself.
const OWN_LIMITS: [(&str, usize, &str); 2] = [
    ("line", limits::LINE, "bytes a line, with its ending"),
    ("chunk", limits::CHUNK_LINE, "characters of base64 on a = line"),
];

/// What a limit is called, what stands behind its value, and what it limits.
fn limit_words(limit: Limit) -> (&'static str, &'static str, &'static str) {
    match limit {
        Limit::Rate => ("rate", "", "lines a second; 0 is no limit; more are read more slowly"),
        Limit::Burst => ("burst", "", "lines at once"),
        Limit::Renames => ("renames", "", "renames a minute; 0 is no limit"),
        Limit::Joins => ("joins", "", "joins and leaves a minute; 0 is no limit"),
        Limit::RoomsOfPerson => ("rooms", "", "rooms that you may be in"),
        Limit::Rooms => ("all-rooms", "", "rooms there may be"),
        Limit::Topic => ("topic", "", "bytes of a topic or an away text"),
        Limit::Ignored => ("ignored", "", "people whom you may ignore"),
        Limit::History => ("history", "", "messages that a room remembers"),
        Limit::HistoryLines => ("history-lines", "", "messages one /history gives"),
        Limit::HistoryBytes => ("history-bytes", "", "bytes one /history gives"),
        Limit::Log => ("log", "", "bytes of a room's log, which outlives a restart; 0 is none"),
        Limit::File => ("file", "", "bytes of a file"),
        Limit::Spool => ("spool", "", "bytes of all files"),
        Limit::FileTtl => ("file-ttl", "s", "how long a file is kept"),
        Limit::FilesOfSender => ("files", "", "files that you may have shared at once"),
        Limit::Files => ("all-files", "", "files there may be"),
        Limit::Uploads => ("uploads", "", "uploads under way of all people at once"),
        Limit::Downloads => ("downloads", "", "files that you may fetch at once"),
        Limit::UploadSilence => ("upload-silence", "s", "how long an upload may pause"),
        Limit::Resume => ("resume", "s", "how long an upload that broke off may be taken up again"),
        Limit::Typing => ("typing", "s", "how long /typing lasts"),
        Limit::SlowReader => ("slow-reader", "", "bytes waiting for you beyond which you miss room lines"),
        Limit::Stall => ("stall", "s", "how long you may read nothing of what waits for you"),
        Limit::Locked => ("locked", "s", "how long you may take to give the password"),
        Limit::Clients => ("clients", "", "connections in all"),
        Limit::ClientsOfAddress => ("per-address", "", "connections from one address"),
        Limit::NewRooms => ("new-rooms", "", "new rooms a minute from one network; 0 is no limit"),
        Limit::Logs => ("all-logs", "", "rooms that may have a log; 0 is none"),
    }
}

/// Spells a reply, behind what is in `out`.
pub fn reply(out: &mut String, reply: &Reply, style: Style) {
    match reply {
        Reply::Done(done) => write_done(out, done),
        Reply::Refused { verb, why } => put(out, format_args!("! {} {} {}", name(*verb), code(why), explain(why))),
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

/// Writing to a `String` cannot fail.
fn put(out: &mut String, args: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

fn write_event(out: &mut String, event: &Event, style: Style) {
    match event {
        Event::Hello { nick, online, server } => {
            let at = server.as_ref().map(|server| format!(" at {server}")).unwrap_or_default();
            put(
                out,
                format_args!(
                    "* hello {nick} {VERSION} {online} online{at}; \
                     /join #lobby to talk, /nick NAME to be known, /help for the rest"
                ),
            );
        }
        Event::Locked => put(out, format_args!("* locked {VERSION} send /pass PASSWORD")),
        Event::Motd(line) => write_with(out, "* motd", Some(line).filter(|line| !line.as_str().is_empty())),
        Event::Presence { version, gone, came } => {
            put(out, format_args!("* presence {version}"));
            gone.iter().for_each(|name| put(out, format_args!(" -{name}")));
            came.iter().for_each(|name| put(out, format_args!(" +{name}")));
        }
        Event::Said { place, seq, at, from, kind, text } => {
            write_place(out, place);
            if style.stamp {
                write_stamp(out, *seq, *at);
            }
            for part in ["<", from.as_str(), "> ", said_as(*kind), text.as_str()] {
                out.push_str(part);
            }
        }
        Event::Happened { place, at, who, what } => {
            write_place(out, place);
            if style.stamp {
                write_stamp(out, None, *at);
            }
            for part in ["* ", who.as_str(), " "] {
                out.push_str(part);
            }
            write_happening(out, what);
        }
        Event::Whole { file, size, digest } => put(out, format_args!("={file} . {size} {digest}")),
        Event::Broken { file, why } => put(out, format_args!("={file} ! {} {}", code(why), explain(why))),
        Event::NotKept(trouble) => put(
            out,
            format_args!(
                "* notice history is not being kept: {}; what is said meanwhile may be lost if the server stops",
                trouble_text(*trouble)
            ),
        ),
        Event::KeptAgain => out.push_str("* notice history is being kept again"),
        Event::Bye(bye) => put(out, format_args!("* bye {} {}", bye_code(*bye), farewell(*bye))),
    }
}

/// Lines that begin so are most of all, and formatting would cost more than what is formatted.
fn write_place(out: &mut String, place: &Place) {
    let parts = match place {
        Place::Room(room) => ["", room.as_str(), " "],
        Place::With(nick) => ["@", nick.as_str(), " "],
    };
    parts.into_iter().for_each(|part| out.push_str(part));
}

/// What stands before the text of somebody who says it so.
fn said_as(kind: SaidKind) -> &'static str {
    match kind {
        SaidKind::Text => "",
        SaidKind::Action => ACTION,
    }
}

fn write_stamp(out: &mut String, seq: Option<u64>, at: std::time::SystemTime) {
    let at = humantime::format_rfc3339_millis(at);
    match seq {
        Some(seq) => put(out, format_args!("[{seq}@{at}] ")),
        None => put(out, format_args!("[-@{at}] ")),
    }
}

fn write_happening(out: &mut String, what: &Happening) {
    match what {
        Happening::Joined => out.push_str("joined"),
        Happening::Left(reason) => write_with(out, "left", reason.as_ref()),
        Happening::Renamed(nick) => put(out, format_args!("renamed {nick}")),
        Happening::Quit(reason) => write_with(out, "quit", reason.as_ref()),
        Happening::Lost(lost) => put(out, format_args!("lost {}", lost_code(*lost))),
        Happening::Topic(topic) => write_with(out, "topic", topic.as_ref()),
        Happening::Typing => out.push_str("typing"),
        Happening::Idle => out.push_str("idle"),
        Happening::File { id, size, name } => put(out, format_args!("file {id} {size} {name}")),
        Happening::Unfile { id, why } => put(out, format_args!("unfile {id} {}", code(why))),
        Happening::Missed { count, after } => put(out, format_args!("missed {count} after {after}")),
        Happening::Away(text) => write_with(out, "away", text.as_ref()),
    }
}

fn write_with(out: &mut String, word: &str, text: Option<&Text>) {
    out.push_str(word);
    if let Some(text) = text {
        put(out, format_args!(" {text}"));
    }
}

fn write_detail(out: &mut String, detail: &Detail) {
    match detail {
        // These have lines of their own.
        Detail::Help(_) | Detail::Limits(_) => {}
        Detail::Topic(topic) => put(out, format_args!("topic {topic}")),
        Detail::Here(nicks) => {
            out.push_str("here");
            nicks.iter().for_each(|nick| put(out, format_args!(" {nick}")));
        }
        Detail::Room { name, count, topic } => write_with(out, &format!("{name} {count}"), topic.as_ref()),
        Detail::Who { nick, state, idle, rooms } => {
            let (state, text) = match state {
                State::Here => ("here", None),
                State::Typing => ("typing", None),
                State::Away(text) => ("away", text.as_ref()),
            };
            for field in [nick.as_str(), " ", state, " "] {
                out.push_str(field);
            }
            put(out, format_args!("{}s ", idle.as_secs()));
            for (n, room) in rooms.iter().enumerate() {
                out.push_str(if n == 0 { "" } else { "," });
                out.push_str(room.as_str());
            }
            write_with(out, if rooms.is_empty() { "-" } else { "" }, text);
        }
        Detail::Line { seq, at, from, kind, text } => {
            write_stamp(out, Some(*seq), *at);
            put(out, format_args!("<{from}> {}{text}", said_as(*kind)));
        }
        Detail::File { id, size, sender, place, age, coming, name } => {
            put(out, format_args!("{id} {size} {sender} "));
            put(out, format_args!("{place} "));
            put(out, format_args!("{}s {} {name}", age.as_secs(), if *coming { "coming" } else { "ready" }));
        }
        Detail::Ignored(nick) => put(out, format_args!("{nick}")),
        Detail::Setting(change) => write_change(out, *change),
    }
}

fn write_done(out: &mut String, done: &Done) {
    out.push_str("+ ");
    let target = |place: &Place| match place {
        Place::Room(room) => room.to_string(),
        Place::With(nick) => nick.to_string(),
    };
    match done {
        Done::Help => out.push_str("help"),
        Done::Limits => out.push_str("limits"),
        Done::Pass => out.push_str("pass"),
        Done::Nick(nick) => put(out, format_args!("nick {nick}")),
        Done::Join { room, count } => put(out, format_args!("join {room} {count}")),
        Done::Leave(room) => put(out, format_args!("leave {room}")),
        Done::Query(place) => put(out, format_args!("query {}", target(place))),
        Done::Rooms(count) => put(out, format_args!("rooms {count}")),
        Done::Who { version, count } => put(out, format_args!("who {version} {count}")),
        Done::Msg(place) => put(out, format_args!("msg {}", target(place))),
        Done::Me => out.push_str("me"),
        Done::Typing { place, on } => put(out, format_args!("typing {} {}", target(place), on_off(*on))),
        Done::Topic { room, topic } => write_with(out, &format!("topic {room}"), topic.as_ref()),
        Done::Send { id, offset } => put(out, format_args!("send {id} {offset}")),
        Done::Get { id, offset, size, name } => put(out, format_args!("get {id} {offset} {size} {name}")),
        Done::Files(count) => put(out, format_args!("files {count}")),
        Done::Cancel(id) => put(out, format_args!("cancel {id}")),
        Done::History { room, count } => put(out, format_args!("history {room} {count}")),
        Done::Ignore(nick) => put(out, format_args!("ignore {nick}")),
        Done::Ignoring(count) => put(out, format_args!("ignore {count}")),
        Done::Unignore(nick) => put(out, format_args!("unignore {nick}")),
        Done::Away => out.push_str("away"),
        Done::Back => out.push_str("back"),
        Done::Settings => out.push_str("set"),
        Done::Set(change) => {
            out.push_str("set ");
            write_change(out, *change);
        }
        Done::Ping(token) => write_with(out, "ping", token.as_ref()),
        Done::Quit => out.push_str("quit"),
    }
}

fn write_change(out: &mut String, change: Change) {
    put(out, format_args!("{} {}", setting_name(change.setting), on_off(change.on)));
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn setting_name(setting: Setting) -> &'static str {
    SETTINGS.iter().find(|(known, _)| *known == setting).map_or("?", |(_, name)| name)
}

/// The stable word of a refusal.
pub fn code(why: &Fault) -> &'static str {
    match why {
        Fault::UnknownCommand(_) => "unknown-command",
        Fault::Usage(_) | Fault::NoHelp(_) | Fault::BeyondEnd(_) => "usage",
        Fault::TooLong { .. } => "too-long",
        Fault::TooMany(_) => "too-many",
        Fault::Locked => "locked",
        Fault::BadNick(_) | Fault::BadRoom(_) | Fault::BadFileName => "bad-name",
        Fault::Taken(_) => "taken",
        Fault::NoSuchNick(_) | Fault::NotIgnored(_) => "no-such-nick",
        Fault::NoSuchRoom(_) => "no-such-room",
        Fault::NotInRoom(_) => "not-in-room",
        Fault::NoRoom | Fault::NoTarget => "no-room",
        Fault::NoSuchFile => "no-such-file",
        Fault::NoUpload => "no-upload",
        Fault::BadChunk => "bad-chunk",
        Fault::BadDigest | Fault::MalformedDigest => "bad-digest",
        Fault::BeyondSize(_) | Fault::TooBig(_) => "too-big",
        Fault::NoSpace | Fault::NotStored => "no-space",
        Fault::DiskFailed | Fault::Gone(_) => "gone",
        Fault::DiskBusy | Fault::Crowded | Fault::Busy(_) | Fault::BusyFile(_) => "busy",
        Fault::WrongPassword | Fault::IgnoreSelf | Fault::NotYours(_) => "refused",
    }
}

/// What a refusal says to a person: what is wrong, and what to do next.
fn explain(why: &Fault) -> String {
    let known = |nick: &Nick| nick.to_string();
    match why {
        Fault::UnknownCommand(name) => format!("/{name}: no such command; /help lists them"),
        Fault::Usage(verb) => format!("it is {}", commands::spec_of(*verb).map_or("", |spec| spec.usage)),
        Fault::NoHelp(word) => format!("{word} is no command; /help lists them"),
        Fault::TooLong { what, limit } => {
            let what = match what {
                Long::Line => "a line",
                Long::Topic => "a topic",
                Long::Away => "an away text",
            };
            format!("{what} has at most {limit} bytes; say it in parts")
        }
        Fault::TooMany(quota) => too_many(*quota),
        Fault::Locked => "the server is locked; send /pass PASSWORD first".to_owned(),
        Fault::BadNick(name) => {
            format!("{name} is no name: a letter, then up to 19 letters, digits, - or _, and not on or off")
        }
        Fault::BadRoom(name) => {
            format!("{name} is no room: # and a letter or digit, then up to 30 letters, digits, - or _, as in #lobby")
        }
        Fault::BadFileName => {
            format!("a file name has 1 to {} bytes, no / or \\, and is not . or ..", crate::names::FileName::MAX)
        }
        Fault::Taken(nick) => format!("{nick} is somebody else; choose another name"),
        Fault::NoSuchNick(name) => format!("{name} is not here; /who lists who is"),
        Fault::NotIgnored(name) => format!("you do not ignore {name}; /ignore lists whom you do"),
        Fault::NoSuchRoom(name) => format!("there is no room {name}; /rooms lists them, /join makes one"),
        Fault::NotInRoom(room) => format!("you are not in {room}; /join {room} first"),
        Fault::NoRoom => "no room is current; name one, or /join #lobby first".to_owned(),
        Fault::NoTarget => "nobody hears you here; /join #lobby or /query NAME first".to_owned(),
        Fault::NoSuchFile => "there is no such file for you; /files lists those there are".to_owned(),
        Fault::NoUpload => "no upload is open; /send TARGET SIZE NAME opens one, /msg TARGET = says it".to_owned(),
        Fault::BadChunk => format!("a chunk is = and at most {} characters of padded base64", limits::CHUNK_LINE),
        Fault::BadDigest => "the bytes that came have another digest; send the file again".to_owned(),
        Fault::MalformedDigest => "a digest is sha256: and 64 hexadecimal digits".to_owned(),
        Fault::BeyondSize(size) => format!("more bytes came than the {size} announced; send the file again"),
        Fault::TooBig(limit) => format!("a file has at most {limit} bytes here"),
        Fault::BeyondEnd(size) => format!("the file ends at {size}; give an OFFSET up to that"),
        Fault::NoSpace => "no space is left for files; try again later".to_owned(),
        Fault::NotStored => "the server's disk takes nothing now; try again later".to_owned(),
        Fault::DiskFailed => "the server's disk failed; try again later".to_owned(),
        Fault::DiskBusy => "the server's disk is busy; try again in a moment".to_owned(),
        Fault::Crowded => "too much waits to be sent to everybody; try again in a moment".to_owned(),
        Fault::Gone(gone) => gone_text(*gone),
        Fault::Busy(nick) => format!("{} reads too slowly now; try again in a moment", known(nick)),
        Fault::BusyFile(id) => format!("file {id} is on its way to you already; /cancel {id} stops it"),
        Fault::WrongPassword => "that is not the password; try again".to_owned(),
        Fault::IgnoreSelf => "you cannot ignore yourself; /ignore NICK takes somebody else".to_owned(),
        Fault::NotYours(id) => format!("file {id} is not yours; only who sent it can withdraw it"),
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
        Quota::RoomsOfPerson => format!("you may be in {} rooms; /leave one first", limits::ROOMS_A_PERSON),
        Quota::NewRooms => {
            let limit = limits::NEW_ROOMS * limits::A_PREFIX;
            format!("at most {limit} new rooms a minute from one network; wait a little, or join one that there is")
        }
        Quota::Rooms => format!("there are {} rooms already; join one of them", limits::ROOMS),
        Quota::Logs => format!("there are logs of {} rooms already; join a room that has one", limits::LOGS),
        Quota::Ignored => format!("you may ignore {} people; /unignore one first", limits::IGNORED),
        Quota::Files => format!("you may share {} files at once; /cancel one first", limits::FILES_A_SENDER),
        Quota::Uploads => format!("{} uploads are under way already; try again in a moment", limits::UPLOADS),
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
        Gone::Superseded => "another /send broke it off".to_owned(),
        Gone::ReceiverLeft => "the one it was for has left".to_owned(),
        Gone::NoLongerYours => "you left its room".to_owned(),
        Gone::NotReached(0) => "nothing has been said here yet; ask after 0".to_owned(),
        Gone::NotReached(last) => format!("the last message here is {last}; ask after that, or after 0"),
    }
}

/// The stable word for how a connection was lost.
pub fn lost_code(lost: Lost) -> &'static str {
    match lost {
        Lost::Reset => "reset",
        Lost::Timeout => "timeout",
        Lost::Closed(bye) => bye_code(bye),
    }
}

fn bye_code(bye: Bye) -> &'static str {
    match bye {
        Bye::Full | Bye::MadePlace => "full",
        Bye::TooManyFromAddress | Bye::WrongPasswords => "refused",
        Bye::TooSlow => "too-slow",
        Bye::Idle => "idle",
        Bye::Shutdown => "shutdown",
        Bye::NotHttp => "not-http",
        Bye::NotText => "not-text",
    }
}

fn farewell(bye: Bye) -> &'static str {
    match bye {
        Bye::Full => "the server is full; try again later",
        Bye::MadePlace => "the server is full, and you have not said a word; connect again and say one",
        Bye::TooManyFromAddress => "too many connections from your address; close one first",
        Bye::WrongPasswords => "too many wrong passwords; ask for the right one and connect again",
        Bye::TooSlow => "you read nothing for too long; connect again",
        Bye::Idle => "no password came in time; connect again",
        Bye::Shutdown => "the server is shutting down",
        Bye::NotHttp => "this is no web server but a chat; connect with nc or telnet",
        Bye::NotText => "this is a chat of plain text lines, without TLS; connect with nc or telnet",
    }
}

/// The text of a line that came in, made safe.
pub fn text<'a>(line: &Line<'a>) -> std::borrow::Cow<'a, str> {
    match line {
        Line::Text(text) => clean(text),
        Line::Chunk(_) | Line::TooLong { .. } => std::borrow::Cow::Borrowed(""),
    }
}
