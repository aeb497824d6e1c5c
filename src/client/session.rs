//! One person's stay on a server, over all the connections that it takes: what is said to the server, what its lines mean
//! for us, and what is shown of them. It knows no socket, no terminal and no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use crate::client::seen::{Line, Next};
use crate::client::talks::Talks;
use crate::client::view::{self, Change, Stamp, Told, What};
use crate::commands;
use crate::limits::LINE;
use crate::names::{FileId, Nick, Place, RoomName, clean};

/// How often typing is told on, while keys go on.
const TYPING_AGAIN: Duration = Duration::from_secs(3);
/// How long the server takes somebody to be typing.
const TYPING_LASTS: Duration = Duration::from_secs(6);
/// How long lines whose fate is unknown wait for the server to have done with the connection that they were sent on. It gives
/// up a dead one within 90 seconds.
const LIMBO: Duration = Duration::from_secs(95);
/// How often our name is asked for again while somebody else, or our own dead connection, has it.
const NICK_AGAIN: Duration = Duration::from_secs(5);
/// Lines that may wait for a connection.
const WAITING: usize = 1_000;

/// What the person wishes for from the start.
#[derive(Clone, Default, Debug)]
pub struct Wish {
    /// The name to have.
    pub nick: Option<Nick>,
    /// The rooms to be in; the last is talked to.
    pub rooms: Vec<RoomName>,
    /// What unlocks the server.
    pub password: Option<String>,
}

/// Something to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Somebody said something.
    Said {
        /// Where.
        place: Place,
        /// When, if that is known.
        at: Option<SystemTime>,
        /// Who.
        from: Nick,
        /// What.
        text: String,
        /// What it is to us.
        mark: Mark,
    },
    /// Something happened.
    Happened {
        /// Where.
        place: Place,
        /// When, if that is known.
        at: Option<SystemTime>,
        /// What, in words.
        text: String,
    },
    /// A file is shared.
    File {
        /// Where.
        place: Place,
        /// When, if that is known.
        at: Option<SystemTime>,
        /// By whom.
        from: Nick,
        /// Its ID.
        file: FileId,
        /// Its size in bytes.
        size: u64,
        /// What it is called.
        name: String,
    },
    /// A part of the answer to a command.
    Answer(String),
    /// A command is done, as the server puts it.
    Done(String),
    /// Something that could not be done, and what to do instead.
    Refused(String),
    /// Something that the person should know.
    Note(String),
}

/// What a message is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// Said by somebody to a room.
    Plain,
    /// Said by ourselves.
    Own,
    /// Said to us alone, or with our name in it.
    ForUs,
}

/// What the server answered to a request for a transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The upload that was asked for with this key goes on from `offset`.
    Sending {
        /// Which upload.
        key: u64,
        /// The ID that it has.
        file: FileId,
        /// How many bytes the server has already.
        offset: u64,
    },
    /// The upload with this key is refused, for this reason.
    NotSent(u64, String),
    /// A download begins.
    Coming {
        /// Which.
        file: FileId,
        /// From where on.
        offset: u64,
        /// How large the whole file is.
        size: u64,
    },
    /// A download is refused, for this reason.
    NotComing(FileId, String),
    /// What a file is called and how large it is; `None` if there is no such file.
    Found(FileId, Option<(u64, String)>),
    /// The connection is lost, and all transfers are broken off.
    Offline,
}

/// How things stand, for a status row.
#[derive(Debug)]
pub struct Status {
    /// What we are called, while we are in.
    pub nick: Option<Nick>,
    /// How many people are online.
    pub online: u64,
    /// Lines that were typed and not yet taken by the server.
    pub unsent: usize,
}

/// What is to become of a line that was typed.
#[derive(PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is on its way.
    Yes,
    /// It asks for a transfer, which is not the session's business.
    Transfer(Request),
    /// It cannot be taken, for this reason.
    No(String),
}

/// What a person asks of the transfers.
#[derive(PartialEq, Eq, Debug)]
pub enum Request {
    /// Share the file at this path.
    Send(Place, String),
    /// Fetch a file.
    Get(FileId),
    /// Fetch a picture, to show it.
    Show(FileId),
    /// Stop a transfer, or withdraw a file.
    Cancel(FileId),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Offline,
    /// Connected, and not in yet.
    Knocking,
    /// In, and everything is being put as it was before the last connection was lost.
    Restoring,
    Online,
}

/// A command whose reply has not come, and what that reply is for.
#[derive(Debug)]
enum Pending {
    /// Nobody asked for it.
    Quiet,
    /// The person did, with this line.
    Typed(String),
    /// A message, the first in `sent`.
    Said,
    Password(String),
    Nick,
    /// Whether somebody of this name is there.
    Ghost(Nick),
    Join(RoomName),
    Query(Place),
    History(RoomName),
    /// All that was restored has been answered.
    Restored,
    Send(u64),
    Get(FileId),
    /// The name and the size of this file are looked up, and have been found.
    Files(FileId, Option<(u64, String)>),
}

/// A message that was typed.
#[derive(Debug)]
struct Message {
    place: Place,
    text: String,
    /// As whom it was sent, if it was.
    from: Option<Nick>,
    /// Whether it has been seen to arrive, before it was answered.
    arrived: bool,
}

#[derive(Debug)]
enum Waiting {
    Message(Message),
    Command(String),
}

/// The session.
#[derive(Debug)]
pub struct Session {
    password: Option<String>,
    nick: Option<Nick>,
    wanted: Option<Nick>,
    /// Since when our name is somebody else's after a loss, and when it was asked for last.
    regaining: Option<(Instant, Instant)>,
    away: Option<String>,
    ignored: Vec<Nick>,
    online: u64,
    phase: Phase,
    /// Whether this is the first connection.
    first: bool,
    quitting: bool,
    restored: bool,
    /// The conversations.
    pub talks: Talks,
    typing: Option<(Place, Instant)>,
    pending: VecDeque<Pending>,
    /// Messages that were sent and not answered yet.
    sent: VecDeque<Message>,
    /// Messages of which the answer was lost with a connection.
    limbo: VecDeque<Message>,
    /// Names under which the server may still be busy with connections that we have lost, and with what was sent on them.
    ghosts: Vec<Nick>,
    /// When we came in.
    since: Option<Instant>,
    waiting: VecDeque<Waiting>,
    lines: VecDeque<String>,
    news: VecDeque<News>,
    answers: VecDeque<Answer>,
}

impl Session {
    /// A session that begins with these wishes.
    pub fn new(wish: Wish) -> Self {
        let mut talks = Talks::default();
        wish.rooms.iter().for_each(|&room| talks.set_target(Some(Place::Room(room))));
        Self {
            password: wish.password,
            nick: None,
            wanted: wish.nick,
            regaining: None,
            away: None,
            ignored: Vec::new(),
            online: 0,
            phase: Phase::Offline,
            first: true,
            quitting: false,
            restored: false,
            talks,
            typing: None,
            pending: VecDeque::new(),
            sent: VecDeque::new(),
            limbo: VecDeque::new(),
            ghosts: Vec::new(),
            since: None,
            waiting: VecDeque::new(),
            lines: VecDeque::new(),
            news: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// The next line for the server.
    pub fn poll_line(&mut self) -> Option<String> {
        self.lines.pop_front()
    }

    /// The next thing to be shown.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    /// The next answer for the transfers.
    pub fn poll_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        let unsent = self.limbo.len() + self.waiting.len() + self.sent.len();
        Status { nick: self.nick, online: self.online, unsent }
    }

    /// Whether transfers may be asked for.
    pub fn is_online(&self) -> bool {
        self.phase == Phase::Online
    }

    /// Whether the person has asked to leave.
    pub fn is_quitting(&self) -> bool {
        self.quitting
    }

    /// When [`Session::tick`] is due.
    pub fn next_tick(&self) -> Option<Instant> {
        // Later than that, our name being free shows only in who goes.
        self.regaining.filter(|(since, asked)| *asked < *since + LIMBO).map(|(_, asked)| asked + NICK_AGAIN)
    }

    /// Whether our own earlier connection may still have our name, and with it what only its holder may take up again.
    pub fn is_regaining(&self, now: Instant) -> bool {
        self.regaining.is_some_and(|(since, _)| now.saturating_duration_since(since) < LIMBO)
    }

    /// A connection stands.
    pub fn connected(&mut self) {
        self.phase = Phase::Knocking;
    }

    /// The connection is lost, for this reason.
    pub fn lost(&mut self, why: &str) {
        if self.phase != Phase::Offline {
            self.note(format!("the connection is lost: {why}; what you type is kept until there is another"));
        }
        self.phase = Phase::Offline;
        self.nick = None;
        self.restored = false;
        self.regaining = None;
        self.typing = None;
        self.lines.clear();
        self.talks.lost();
        self.limbo.extend(self.sent.drain(..).filter(|message| !message.arrived));
        for pending in std::mem::take(&mut self.pending) {
            if let Pending::Typed(line) = pending {
                let name = view::cut(&line).0;
                self.refuse(format!("the connection broke before {name} was answered; see what came of it"));
            }
        }
        self.answers.push_back(Answer::Offline);
    }

    /// Messages that have not been sent, or of which it is not known whether they arrived, as they were typed.
    pub fn unsent(&self) -> impl Iterator<Item = String> {
        let message = |message: &Message| format!("{} {}", message.place, message.text);
        let waiting = self.waiting.iter().map(move |waiting| match waiting {
            Waiting::Message(message) => format!("{} {}", message.place, message.text),
            Waiting::Command(line) => line.clone(),
        });
        self.limbo.iter().chain(&self.sent).map(message).chain(waiting)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        if let Some((since, asked)) = self.regaining
            && now.saturating_duration_since(asked) >= NICK_AGAIN
        {
            self.regaining = Some((since, now));
            self.ask_nick();
        }
        self.settle(now);
    }

    /// Something was typed into the input row, which now holds `text`.
    pub fn keystroke(&mut self, text: &str, now: Instant) {
        let is_command = text.starts_with('/') && !text.starts_with("//");
        let place = self.talks.target().filter(|_| !text.trim().is_empty() && !is_command && self.is_online());
        match (self.typing, place) {
            (Some((told, at)), Some(place)) if told == place && now.duration_since(at) < TYPING_AGAIN => return,
            (Some((told, at)), place) if Some(told) != place && now.duration_since(at) < TYPING_LASTS => {
                self.ask(format!("/typing {told} off"), Pending::Quiet);
            }
            (None, None) => return,
            _ => {}
        }
        self.typing = place.map(|place| (place, now));
        if let Some(place) = place {
            self.ask(format!("/typing {place} on"), Pending::Quiet);
        }
    }

    /// Goes to the conversation beside this one, `step` further on or back.
    pub fn walk(&mut self, step: isize) {
        if let Some(place) = self.talks.beside(step) {
            self.talks.set_target(Some(place));
            if self.is_online() {
                self.ask(format!("/query {place}"), Pending::Quiet);
            }
        }
    }

    /// Carries out a line that was typed.
    pub fn typed(&mut self, line: &str, now: Instant) -> Taken {
        let line = clean(line.as_bytes());
        let line = line.trim_end();
        let command = line.strip_prefix('/').filter(|rest| !rest.starts_with('/'));
        let taken = match command {
            Some(command) => self.command(line, command),
            None => self.say(line.strip_prefix('/').unwrap_or(line)),
        };
        self.settle(now);
        taken
    }

    /// Asks to share a file; `key` comes back with the answer.
    pub fn ask_send(&mut self, key: u64, line: String) {
        self.ask(line, Pending::Send(key));
    }

    /// Asks for a file from `offset` on.
    pub fn ask_get(&mut self, file: FileId, offset: u64) {
        self.ask(format!("/get {file} {offset}"), Pending::Get(file));
    }

    /// Asks whether the server is still there.
    pub fn ask_alive(&mut self) {
        self.ask("/ping alive".to_owned(), Pending::Quiet);
    }

    /// Asks what a file is called and how large it is.
    pub fn ask_file(&mut self, file: FileId) {
        self.ask("/files".to_owned(), Pending::Files(file, None));
    }

    /// Asks to stop a transfer or to withdraw a file, and shows what comes of it.
    pub fn ask_cancel(&mut self, file: FileId) {
        let line = format!("/cancel {file}");
        self.ask(line.clone(), Pending::Typed(line));
    }

    /// Takes a line of the server's in. File data is none of the session's business.
    pub fn told(&mut self, told: Told<'_>, now: Instant) {
        match told {
            Told::Hello { nick, online } if self.phase == Phase::Knocking => self.hello(nick, online, now),
            Told::Locked => self.locked(),
            Told::Motd(text) => self.news.push_back(News::Answer(text.to_owned())),
            Told::Presence(changes) => changes.into_iter().for_each(|change| self.presence(change)),
            Told::Bye { text, .. } => self.note(format!("the server says goodbye: {text}")),
            Told::Said { place, stamp, from, text } => self.said(place, stamp, from, text),
            Told::Happened { place, stamp, who, what } => self.happened(place, stamp, who, what, now),
            Told::Detail(text) => self.detail(text),
            Told::Done { command, rest } => self.done(command, rest),
            // Of a chunk that came too late; it answers no command.
            Told::Refused { command: "?", code: "no-upload", .. } => {}
            Told::Refused { code, text, .. } => self.refused(code, text, now),
            Told::Other("") => {}
            Told::Other(line) => self.note(line.to_owned()),
            Told::Hello { .. } | Told::Chunk { .. } | Told::Whole { .. } | Told::Broken { .. } => {}
        }
        self.settle(now);
    }

    fn ask(&mut self, line: String, pending: Pending) {
        self.lines.push_back(line);
        self.pending.push_back(pending);
    }

    fn note(&mut self, text: String) {
        self.news.push_back(News::Note(text));
    }

    fn refuse(&mut self, text: String) {
        self.news.push_back(News::Refused(text));
    }

    fn say(&mut self, text: &str) -> Taken {
        match self.talks.target() {
            Some(place) => self.message(place, text),
            None => Taken::No("nobody hears you here; /join #lobby or /query NAME first".to_owned()),
        }
    }

    fn message(&mut self, place: Place, text: &str) -> Taken {
        if text.trim().is_empty() {
            return Taken::No("there is nothing to say; type it after the name".to_owned());
        }
        if text.len() > LINE - "/msg \n".len() - place.to_string().len() - 1 {
            return Taken::No(format!("a line has at most {LINE} bytes; say it in parts"));
        }
        // A message ends the typing by itself.
        self.typing = self.typing.filter(|(told, _)| *told != place);
        self.wait(Waiting::Message(Message { place, text: text.to_owned(), from: None, arrived: false }))
    }

    fn wait(&mut self, waiting: Waiting) -> Taken {
        if self.waiting.len() >= WAITING {
            return Taken::No(format!("{WAITING} lines wait for the connection already; wait for it too"));
        }
        self.waiting.push_back(waiting);
        Taken::Yes
    }

    fn command(&mut self, line: &str, command: &str) -> Taken {
        let (word, rest) = view::cut(command);
        let rest = rest.trim_start();
        let name = commands::find(word).map_or(word, |spec| spec.name).to_lowercase();
        let file = || rest.trim().parse().map(FileId).map_err(|_| format!("it is /{name} ID; /files lists them"));
        let request = match name.as_str() {
            "msg" => {
                let (target, text) = view::cut(rest);
                let place = Place::new(target).or_else(|| Nick::new(target).map(Place::With));
                return match place {
                    Some(place) => self.message(place, text),
                    None => Taken::No("it is /msg TARGET TEXT".to_owned()),
                };
            }
            "me" if rest.is_empty() => Err("it is /me TEXT".to_owned()),
            "me" => return self.say(&format!("/me {rest}")),
            "send" => {
                let (target, path) = view::cut(rest);
                let place = Place::new(target).or_else(|| Nick::new(target).map(Place::With));
                match place {
                    Some(place) if !path.trim().is_empty() => Ok(Request::Send(place, path.trim().to_owned())),
                    _ => Err("it is /send TARGET PATH, as in /send #lobby ~/cat.png".to_owned()),
                }
            }
            "get" => file().map(Request::Get),
            "show" => file().map(Request::Show),
            "cancel" => file().map(Request::Cancel),
            "set" if ["echo", "stamp"].contains(&view::cut(rest).0.to_lowercase().as_str()) => {
                Err("this client needs echo and stamps on, to lose no line and to double none".to_owned())
            }
            "quit" => {
                self.quitting = true;
                self.ask(line.to_owned(), Pending::Quiet);
                return Taken::Yes;
            }
            _ if self.phase == Phase::Knocking && matches!(name.as_str(), "pass" | "help" | "ping") => {
                self.send_command(line.to_owned());
                return Taken::Yes;
            }
            _ => return self.wait(Waiting::Command(line.to_owned())),
        };
        match request {
            Ok(request) => Taken::Transfer(request),
            Err(why) => Taken::No(why),
        }
    }

    fn send_command(&mut self, line: String) {
        let (word, rest) = view::cut(&line[1..]);
        let pending = match commands::find(word).map(|spec| spec.name) {
            Some("pass") => Pending::Password(rest.trim().to_owned()),
            _ => Pending::Typed(line.clone()),
        };
        self.ask(line, pending);
    }

    fn locked(&mut self) {
        match self.password.take() {
            Some(password) => self.ask(format!("/pass {password}"), Pending::Password(password)),
            None => self.refuse("the server is locked; /pass PASSWORD or --password-file unlocks it".to_owned()),
        }
    }

    /// We are in. What was before the last connection was lost is asked for again.
    fn hello(&mut self, nick: Nick, online: u64, now: Instant) {
        self.phase = Phase::Restoring;
        self.since = Some(now);
        self.nick = Some(nick);
        self.online = online;
        self.ask("/set echo on".to_owned(), Pending::Quiet);
        self.ask("/set stamp on".to_owned(), Pending::Quiet);
        if *self.wanted.get_or_insert(nick) != nick {
            self.ask_nick();
        } else if self.first {
            self.news.push_back(News::Answer(format!("you are {nick}; /nick NAME changes that")));
        }
        for room in self.talks.rooms().collect::<Vec<_>>() {
            self.ask(format!("/join {room}"), Pending::Join(room));
        }
        for nick in self.ignored.clone() {
            self.ask(format!("/ignore {nick}"), Pending::Quiet);
        }
        if let Some(text) = &self.away {
            self.ask(format!("/away {text}"), Pending::Quiet);
        }
        match self.talks.target() {
            Some(place) => self.ask(format!("/query {place}"), Pending::Query(place)),
            None if self.first => {
                self.news.push_back(News::Answer("/join #lobby to talk, /help for the rest".to_owned()))
            }
            None => {}
        }
        self.ghosts.clear();
        for ghost in self.limbo.iter().filter_map(|message| message.from) {
            if !self.ghosts.contains(&ghost) {
                self.ghosts.push(ghost);
            }
        }
        self.ask_ghosts();
        self.ask("/ping restored".to_owned(), Pending::Restored);
    }

    fn ask_nick(&mut self) {
        let is_asked = self.pending.iter().any(|pending| matches!(pending, Pending::Nick));
        if let Some(nick) = self.wanted.filter(|_| !is_asked) {
            self.ask(format!("/nick {nick}"), Pending::Nick);
        }
    }

    /// Asks whether those whom we have been are still there.
    fn ask_ghosts(&mut self) {
        for ghost in self.ghosts.clone() {
            self.ask(format!("/who {ghost}"), Pending::Ghost(ghost));
        }
    }

    /// Goes on as soon as nothing more has to be waited for.
    fn settle(&mut self, now: Instant) {
        if self.phase == Phase::Restoring && self.restored && !self.is_in_limbo(now) {
            self.leave_limbo();
            self.phase = Phase::Online;
            if !std::mem::take(&mut self.first) {
                self.note("connected again".to_owned());
            }
        }
        // It must be known as whom a message is said, to find it again.
        while self.is_online()
            && !self.is_renaming()
            && let Some(waiting) = self.waiting.pop_front()
        {
            match waiting {
                Waiting::Message(message) => {
                    self.ask(format!("/msg {} {}", message.place, message.text), Pending::Said);
                    self.sent.push_back(Message { from: self.nick, ..message });
                }
                Waiting::Command(line) => self.send_command(line),
            }
        }
    }

    fn is_renaming(&self) -> bool {
        self.pending.iter().any(|pending| match pending {
            Pending::Nick => true,
            Pending::Typed(line) => line[1..].to_ascii_lowercase().starts_with("nick"),
            _ => false,
        })
    }

    /// Whether it may still turn out what became of messages that were sent on an earlier connection.
    fn is_in_limbo(&self, now: Instant) -> bool {
        let is_early = self.since.is_some_and(|since| now.saturating_duration_since(since) < LIMBO);
        let fetches = self.pending.iter().any(|pending| matches!(pending, Pending::History(_)));
        !self.limbo.is_empty() && is_early && (fetches || !self.ghosts.is_empty())
    }

    /// What has not arrived is said again, where that can be known.
    fn leave_limbo(&mut self) {
        let certain = self.ghosts.is_empty();
        for message in std::mem::take(&mut self.limbo).into_iter().rev() {
            match message.place {
                Place::Room(_) if certain => self.waiting.push_front(Waiting::Message(message)),
                place => {
                    let text = message.text;
                    self.refuse(format!("the connection broke, and {place} may not have got this: {text}"));
                }
            }
        }
    }

    fn presence(&mut self, change: Change) {
        match change {
            Change::Came(who) => {
                self.online += 1;
                self.talks.meet(who);
            }
            Change::Went(who) => {
                self.online = self.online.saturating_sub(1);
                if self.talks.depart(who) {
                    self.note(format!("{who} has gone; /query NAME or /join #ROOM to talk on"));
                }
                self.ghosts.retain(|ghost| *ghost != who);
                if Some(who) == self.wanted && self.regaining.is_some() {
                    self.ask_nick();
                }
            }
        }
    }

    fn said(&mut self, place: Place, stamp: Stamp, from: Nick, text: &str) {
        self.talks.idle(place, from);
        let text = text.to_owned();
        if let Place::Room(room) = place
            && let (Some(seq), Some(at)) = (stamp.seq, stamp.at)
            && let Some(talk) = self.talks.room(room)
        {
            if let Some(line) = talk.seen.live(Line { seq, at, from, text }) {
                self.show(place, Some(at), from, line.text);
            }
        } else {
            self.show(place, stamp.at, from, text);
        }
    }

    /// Shows a message that has not been shown.
    fn show(&mut self, place: Place, at: Option<SystemTime>, from: Nick, text: String) {
        self.talks.meet(from);
        let is_this = |said: &Message| said.from == Some(from) && said.place == place && said.text == text;
        let limbo = self.limbo.iter().position(is_this);
        if let Some(sent) = self.sent.iter_mut().find(|sent| !sent.arrived && is_this(sent)) {
            sent.arrived = true;
        }
        let is_own = limbo.is_some() || [self.nick, self.wanted].contains(&Some(from));
        if let Some(at) = limbo {
            self.limbo.remove(at);
        }
        let is_for_us = || matches!(place, Place::With(_)) || self.nick.is_some_and(|nick| mentions(&text, nick));
        let mark = if is_own {
            Mark::Own
        } else if is_for_us() {
            Mark::ForUs
        } else {
            Mark::Plain
        };
        if !is_own && self.talks.target() != Some(place) {
            self.talks.unread(place);
        }
        self.news.push_back(News::Said { place, at, from, text, mark });
    }

    fn happened(&mut self, place: Place, stamp: Stamp, who: Nick, what: What<'_>, now: Instant) {
        let reason = |reason: &str| if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let text = match what {
            What::Typing => return self.talks.typing(place, who, now),
            What::Idle => return self.talks.idle(place, who),
            What::Missed { .. } => return self.fetch(place),
            What::File { file, size, name } => {
                let name = name.to_owned();
                return self.news.push_back(News::File { place, at: stamp.at, from: who, file, size, name });
            }
            What::Joined => {
                self.talks.meet(who);
                format!("{who} joined")
            }
            What::Left(text) => format!("{who} left{}", reason(text)),
            What::Quit(text) => format!("{who} quit{}", reason(text)),
            What::Lost(text) => format!("{who} was lost{}", reason(text)),
            What::Renamed(new) => {
                self.talks.rename(who, new);
                format!("{who} is now {new}")
            }
            What::Topic("") => format!("{who} cleared the topic"),
            What::Topic(text) => format!("{who} set the topic: {text}"),
            What::Unfile { file, code } => format!("file {file} of {who} is no longer there ({code})"),
            What::Away(text) => format!("{who} is away{}", reason(text)),
            What::Other(text) => format!("{who} {text}"),
        };
        if matches!(what, What::Left(_) | What::Quit(_) | What::Lost(_)) {
            self.talks.idle(place, who);
        }
        self.news.push_back(News::Happened { place, at: stamp.at, text });
    }

    /// Fetches what was missed of a room.
    fn fetch(&mut self, place: Place) {
        if let Place::Room(room) = place
            && let Some(arguments) = self.talks.room(room).and_then(|talk| talk.seen.fetch())
        {
            self.ask(format!("/history {room} {arguments}"), Pending::History(room));
        }
    }

    fn fetched(&mut self, room: RoomName, next: Next) {
        match next {
            Next::Ask(arguments) => self.ask(format!("/history {room} {arguments}"), Pending::History(room)),
            Next::Done(held, missing) => {
                if missing > 0 && self.ignored.is_empty() {
                    self.note(format!("{missing} messages in {room} came while you were gone, and are no longer kept"));
                }
                for line in held {
                    self.show(Place::Room(room), Some(line.at), line.from, line.text);
                }
            }
        }
    }

    fn detail(&mut self, text: &str) {
        for name in text.strip_prefix("here ").into_iter().flat_map(|names| names.split(' ')) {
            Nick::new(name).into_iter().for_each(|nick| self.talks.meet(nick));
        }
        match self.pending.front_mut() {
            Some(Pending::Typed(line)) => {
                let place = view::room(view::cut(line).1).map(Place::Room).or(self.talks.target());
                let news = match (view::past(text), place) {
                    (Some(past), Some(place)) => News::Said {
                        place,
                        at: Some(past.at),
                        from: past.from,
                        text: past.text.to_owned(),
                        mark: if Some(past.from) == self.nick { Mark::Own } else { Mark::Plain },
                    },
                    _ => News::Answer(own_help(text).unwrap_or(text).to_owned()),
                };
                self.news.push_back(news);
            }
            Some(Pending::Join(_)) if self.first => self.news.push_back(News::Answer(text.to_owned())),
            Some(Pending::Files(wanted, found)) => {
                if let Some((_, size, name)) = view::file(text).filter(|(file, ..)| file == wanted) {
                    *found = Some((size, name.to_owned()));
                }
            }
            Some(&mut Pending::History(room)) => {
                let Some(past) = view::past(text) else { return };
                let line = Line { seq: past.seq, at: past.at, from: past.from, text: past.text.to_owned() };
                let line = self.talks.room(room).and_then(|talk| talk.seen.past(line));
                if let Some(line) = line.filter(|line| !self.ignored.contains(&line.from)) {
                    self.show(Place::Room(room), Some(line.at), line.from, line.text);
                }
            }
            _ => {}
        }
    }

    fn done(&mut self, command: &str, rest: &str) {
        let Some(pending) = self.pending.pop_front() else { return };
        let (first, more) = view::cut(rest);
        match command {
            "nick" => {
                if let Some(nick) = Nick::new(first) {
                    (self.nick, self.wanted, self.regaining) = (Some(nick), Some(nick), None);
                }
            }
            "join" => {
                if let Some(room) = view::room(rest) {
                    let (place, is_new) = (Place::Room(room), self.talks.room(room).is_none());
                    if matches!(pending, Pending::Typed(_)) {
                        self.talks.set_target(Some(place));
                    }
                    if is_new || matches!(pending, Pending::Join(_)) {
                        self.fetch(place);
                    }
                }
            }
            "leave" => view::room(rest).into_iter().for_each(|room| self.talks.close(Place::Room(room))),
            "query" if matches!(pending, Pending::Typed(_)) => {
                self.talks.set_target(Place::new(first).or_else(|| Nick::new(first).map(Place::With)));
            }
            "ignore" if more.is_empty() => {
                self.ignored.extend(Nick::new(first).filter(|nick| !self.ignored.contains(nick)));
            }
            "unignore" => self.ignored.retain(|nick| Some(*nick) != Nick::new(first)),
            "back" => self.away = None,
            _ => {}
        }
        match pending {
            Pending::Quiet | Pending::Nick | Pending::Join(_) | Pending::Query(_) => {}
            // We may have taken the name ourselves, so nobody else had it any more.
            Pending::Ghost(ghost) => self.ghosts.retain(|known| *known != ghost || Some(ghost) != self.nick),
            Pending::Typed(line) => {
                if command == "away" {
                    self.away = Some(view::cut(&line).1.to_owned());
                }
                self.news.push_back(News::Done(if rest.is_empty() {
                    command.to_owned()
                } else {
                    format!("{command} {rest}")
                }));
            }
            Pending::Said => drop(self.sent.pop_front()),
            Pending::Password(password) => self.password = Some(password),
            Pending::History(room) => {
                if let Some(next) = self.talks.room(room).map(|talk| talk.seen.answered()) {
                    self.fetched(room, next);
                }
            }
            Pending::Restored => self.restored = true,
            Pending::Send(key) => match (first.parse(), more.parse()) {
                (Ok(file), Ok(offset)) => self.answers.push_back(Answer::Sending { key, file: FileId(file), offset }),
                _ => self.answers.push_back(Answer::NotSent(key, "the server's answer makes no sense".to_owned())),
            },
            Pending::Get(file) => {
                let mut words = more.splitn(3, ' ');
                let mut number = || words.next().and_then(|word| word.parse().ok());
                match (number(), number()) {
                    (Some(offset), Some(size)) => self.answers.push_back(Answer::Coming { file, offset, size }),
                    _ => {
                        self.answers.push_back(Answer::NotComing(file, "the server's answer makes no sense".to_owned()))
                    }
                }
            }
            Pending::Files(file, found) => self.answers.push_back(Answer::Found(file, found)),
        }
    }

    fn refused(&mut self, code: &str, text: &str, now: Instant) {
        let Some(pending) = self.pending.pop_front() else { return self.refuse(text.to_owned()) };
        match pending {
            Pending::Quiet | Pending::Restored => self.restored |= matches!(pending, Pending::Restored),
            Pending::Typed(line) => {
                let name = view::cut(&line).0;
                self.refuse(if text.starts_with(name) { text.to_owned() } else { format!("{name}: {text}") });
            }
            Pending::Password(_) => self.refuse(format!("/pass: {text}")),
            Pending::Said => {
                let what =
                    self.sent.pop_front().map(|message| format!("{} has not got “{}”: ", message.place, message.text));
                self.refuse(format!("{}{text}", what.unwrap_or_default()));
            }
            Pending::Nick if self.first => {
                self.wanted = self.nick;
                let nick = self.nick.map(|nick| format!("; you are {nick} now")).unwrap_or_default();
                self.refuse(format!("{text}{nick}"));
            }
            // One guest's name is as good as another's.
            Pending::Nick if self.wanted.is_some_and(|nick| nick.guest_number().is_some()) => {
                (self.wanted, self.regaining) = (self.nick, None);
            }
            Pending::Nick if code == "taken" => {
                if self.regaining.is_none() {
                    self.regaining = Some((now, now));
                    let names = self.wanted.zip(self.nick);
                    if let Some((wanted, nick)) = names {
                        self.note(format!("you are {nick} until {wanted} is free again"));
                    }
                }
            }
            Pending::Nick => self.refuse(text.to_owned()),
            Pending::Ghost(ghost) => self.ghosts.retain(|known| *known != ghost),
            Pending::Join(room) => {
                self.talks.close(Place::Room(room));
                self.refuse(format!("{room}: {text}"));
            }
            Pending::Query(place) => {
                if self.talks.target() == Some(place) && matches!(place, Place::With(_)) {
                    self.talks.close(place);
                }
                self.refuse(text.to_owned());
            }
            Pending::History(room) => {
                if let Some(talk) = self.talks.room(room) {
                    let next = if code == "gone" { talk.seen.gone() } else { talk.seen.answered() };
                    self.fetched(room, next);
                }
            }
            Pending::Send(key) => self.answers.push_back(Answer::NotSent(key, text.to_owned())),
            Pending::Get(file) => self.answers.push_back(Answer::NotComing(file, text.to_owned())),
            Pending::Files(file, _) => self.answers.push_back(Answer::Found(file, None)),
        }
    }
}

/// The commands that this client adds or does itself, with what they do.
pub const OWN_HELP: &[(&str, &str)] = &[
    ("/send ", "/send TARGET PATH  share the file at PATH"),
    ("/get ", "/get ID  fetch a file, and save it"),
    ("/cancel ", "/cancel ID  stop a transfer, or else withdraw your file"),
    ("/show ", "/show ID  show a picture"),
];

/// What stands in the place of a line of the server's help.
fn own_help(text: &str) -> Option<&'static str> {
    OWN_HELP.iter().find(|(usage, _)| text.starts_with(usage)).map(|(_, help)| *help)
}

/// Whether `text` has the name in it as a word.
fn mentions(text: &str, nick: Nick) -> bool {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).any(|word| Nick::new(word) == Some(nick))
}
