//! One person's stay on a server, over all the connections that it takes: what is said to the server, what its lines mean
//! for us, and what is shown of them. It knows no socket, no terminal and no clock.

mod asked;
mod deeds;
mod instead;
mod lock;
mod login;
mod loss;
mod own;
mod refused;
mod replies;
mod rows;
mod search;
mod secret;
mod slips;
mod target;
mod told;
mod trace;
mod typed;

pub use instead::Instead;
pub use login::TokenChange;
pub use typed::{is_automatic, is_known, is_quit, own_commands};

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::asked::{Asked, Pending};
use crate::client::model::news::{News, TransferAnswer, TransferRequest};
use crate::client::model::talks::Talks;
use crate::commands;
use crate::names::{FileId, Nick, Place, RoomName, Token};
use crate::wire::{Command, Rank};

/// How long lines whose fate is unknown wait for the server to have done with the connection that they were sent on. It gives
/// up a dead one within 90 seconds.
const LIMBO: Duration = Duration::from_secs(95);
/// How many people there may be for all their names to be asked for, so that Tab knows them.
const CROWD: u64 = 500;
/// How often it is asked again whether our own dead connection is gone.
const AGAIN: Duration = Duration::from_secs(5);
/// How long a loss may last for nothing to come of it: nobody is told, and who leaves just then waits for its end.
const BLINK: Duration = Duration::from_secs(2);

/// What the person wishes for from the start.
#[derive(Clone, Default, Debug)]
pub struct Wish {
    /// The name to have.
    pub nick: Option<Nick>,
    /// What is done where that one cannot be had.
    pub instead: Instead,
    /// The rooms to be in; the last is talked to.
    pub rooms: Vec<RoomName>,
    /// What unlocks the server.
    pub password: Option<String>,
    /// Tells what unlocks it now, as that may have changed since.
    pub new_password: Option<Anew<String>>,
    /// What proves that names are ours.
    pub tokens: Vec<(Nick, Token)>,
    /// Whose token was given in a file, and what that is called.
    pub token_file: Option<(Nick, String)>,
    /// Tells what proves the name that is wished for now, or why that cannot be read.
    pub new_token: Option<Anew<Result<(Nick, Token), String>>>,
    /// Whether somebody is there who can be asked for a password, and for whom tokens are kept.
    pub person: bool,
    /// Whether to tell nobody that we are typing, and to be told of nobody.
    pub without_typing: bool,
    /// Whether not to be told who comes online and goes.
    pub without_presence: bool,
    /// What somebody is told to do who means a room that is not there, where the rooms should be there already; empty if there is nothing, and
    /// nothing is for the rooms themselves.
    pub expects_rooms: Option<&'static str>,
    /// The room that is only spoken to, from outside if need be.
    pub outside: Option<RoomName>,
    /// Whether somebody stays who wants to know what changes meanwhile.
    pub stays: bool,
}

/// Tells how something is at the moment that may change while there is no connection, if it can.
#[derive(Clone)]
pub struct Anew<T>(pub Arc<dyn Fn() -> Option<T>>);

impl<T> fmt::Debug for Anew<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Anew")
    }
}

/// How things stand, for a status row.
#[derive(Debug)]
pub struct Status {
    /// What we are called, while we are in.
    pub nick: Option<Nick>,
    /// How many people are online, if that is known.
    pub online: Option<usize>,
    /// Lines that were typed and not yet taken by the server.
    pub unsent: usize,
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

/// What is told of a room that is entered, as it is with everything else of that room.
#[derive(Default, Debug)]
struct Entry {
    /// Rows of the server's answer: the topic, and what holds there.
    rows: Vec<String>,
    /// Who is there, as far as that is told.
    here: Vec<Nick>,
    /// How many these are in all.
    count: u64,
    /// Which rules hold, as the server names them.
    rules: String,
    /// Whether the person came with a key, and the room has none.
    wants_key: bool,
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

impl Message {
    fn new(place: Place, text: String) -> Self {
        Self { place, text, from: None, arrived: false }
    }
}

/// There is no connection, but the server keeps our place.
#[derive(Debug)]
struct Loss {
    since: Instant,
    /// When the person is told: when the server keeps the place no more, if it has noticed by now, or before.
    due: Instant,
    why: String,
    /// Whether the person has been told.
    is_told: bool,
    /// Whether the target is another now, which the server does not know.
    has_moved: bool,
}

#[derive(Debug)]
enum Waiting {
    Message(Message),
    /// It goes to what the target is by then, as it was typed after a command that moves it.
    Text(String),
    /// The file of this path, in the same way.
    File(String),
    Command(String),
}

/// The session.
#[derive(Debug)]
pub struct Session {
    password: Option<String>,
    logins: login::Logins,
    nick: Option<Nick>,
    wanted: Option<Nick>,
    instead: Instead,
    /// Why nothing is done any more, as we cannot be who we were to be.
    undone: Option<String>,
    /// Whether our name is somebody else's after a loss, our own dead connection's perhaps.
    regaining: bool,
    away: Option<String>,
    ignored: Vec<Nick>,
    /// Those of them who were not back yet when we were.
    missing: Vec<Nick>,
    /// Whether we know of everybody who is online.
    knows_all: bool,
    phase: Phase,
    loss: Option<Loss>,
    /// Why connections were lost since we were in last, as far as that was told.
    losses: Vec<String>,
    /// Whether this is the first connection.
    first: bool,
    /// Whether somebody stays who wants to know what changes meanwhile.
    stays: bool,
    trace: trace::Trace,
    expects_rooms: Option<&'static str>,
    /// The room that is only spoken to, and why we may not come in, if we may not.
    outside: Option<RoomName>,
    kept_out: Option<String>,
    /// The keys by which we came into rooms.
    room_keys: Vec<(RoomName, String)>,
    /// Rooms that should have been there and were not.
    missing_rooms: Vec<RoomName>,
    quitting: bool,
    /// What was typed last and not said, as it looks like a command, or may be meant for elsewhere.
    doubted: Option<String>,
    /// Whether it is still to be told that nobody is talked to, as a room did not let us in.
    is_nowhere: bool,
    /// The line that was to lead to where the person talks next, and was refused.
    astray: Option<String>,
    /// Whom the person talks to, as far as they were told.
    told_target: Option<Place>,
    restored: bool,
    /// What the server says unlocks it, if it is locked.
    locked: Option<String>,
    /// Whether the server closed the last connection as nobody typed its password, and no other is made before somebody does.
    dozes: bool,
    /// What `/help` tells of the keys.
    pub keys: &'static str,
    /// Whether all is heard or felt word by word: then what is long is only counted, and there are no pictures.
    pub is_spoken: bool,
    /// How long a loss may last before it is told, though the server keeps our place: nothing else may show it.
    pub patience: Duration,
    /// The time of day, as far as that is told before a line of the server's is.
    pub clock: SystemTime,
    /// How many details the reply that is coming has so far.
    details: usize,
    /// The rooms in which we had a rank when the connection was lost, until it is known whether we have it still.
    had: Vec<(RoomName, Rank)>,
    /// The room that is being entered, as far as that was told.
    entry: Entry,
    /// The conversations.
    pub talks: Talks,
    typing: Option<(Place, Instant)>,
    without_typing: bool,
    without_presence: bool,
    /// What may be searched.
    heard: search::Heard,
    asked: VecDeque<Asked>,
    asks: u64,
    /// Messages that were sent and not answered yet.
    sent: VecDeque<Message>,
    /// Messages of which the answer was lost with a connection.
    limbo: VecDeque<Message>,
    /// Names under which the server may still be busy with connections that we have lost, and with what was sent on them.
    ghosts: Vec<Nick>,
    /// When the server said something last.
    heard_at: Option<Instant>,
    /// For how many seconds it had not when we came in.
    away_for: u64,
    /// For how many seconds the server keeps a file, once that has been told.
    pub file_ttl: Option<u64>,
    /// Whether the server has done, or listed, what it does for operators alone.
    pub is_operator: bool,
    /// The files of which we were told last, with their sizes and names: a server that was started anew may give their IDs to others.
    told_files: VecDeque<(FileId, u64, String)>,
    /// Files that were shared before we came in, of rooms of which the history is still to come.
    shared: Vec<News>,
    /// When the newest message was said that was seen in an earlier run.
    pub left: Option<SystemTime>,
    /// When we came in, and when our name and the ghosts were asked for last.
    since: Option<(Instant, Instant)>,
    waiting: VecDeque<Waiting>,
    lines: VecDeque<String>,
    news: VecDeque<News>,
    /// What is shown below all that was said before and is still to come, as it would be seen by nobody above that.
    last_news: VecDeque<News>,
    answers: VecDeque<TransferAnswer>,
    /// Files that waited to be known for whom they are.
    files: VecDeque<TransferRequest>,
}

impl Session {
    /// A session that begins with these wishes.
    pub fn new(wish: Wish) -> Self {
        let mut talks = Talks::default();
        wish.rooms.iter().for_each(|&room| talks.set_target(Some(Place::Room(room))));
        Self {
            password: wish.password,
            logins: login::Logins::new(wish.tokens, wish.token_file, wish.person),
            nick: None,
            wanted: wish.nick,
            instead: wish.instead,
            undone: None,
            regaining: false,
            away: None,
            ignored: Vec::new(),
            missing: Vec::new(),
            knows_all: false,
            phase: Phase::Offline,
            loss: None,
            losses: Vec::new(),
            first: true,
            stays: wish.stays,
            trace: trace::Trace::default(),
            expects_rooms: wish.expects_rooms,
            outside: wish.outside,
            kept_out: None,
            room_keys: Vec::new(),
            missing_rooms: Vec::new(),
            quitting: false,
            doubted: None,
            is_nowhere: false,
            astray: None,
            told_target: None,
            restored: false,
            locked: None,
            dozes: false,
            keys: own::KEYS,
            is_spoken: false,
            patience: Duration::MAX,
            clock: SystemTime::UNIX_EPOCH,
            details: 0,
            had: Vec::new(),
            entry: Entry::default(),
            talks,
            typing: None,
            without_typing: wish.without_typing,
            without_presence: wish.without_presence,
            heard: search::Heard::default(),
            asked: VecDeque::new(),
            asks: 0,
            sent: VecDeque::new(),
            limbo: VecDeque::new(),
            ghosts: Vec::new(),
            heard_at: None,
            away_for: 0,
            file_ttl: None,
            left: None,
            is_operator: false,
            told_files: VecDeque::new(),
            shared: Vec::new(),
            since: None,
            waiting: VecDeque::new(),
            lines: VecDeque::new(),
            news: VecDeque::new(),
            last_news: VecDeque::new(),
            answers: VecDeque::new(),
            files: VecDeque::new(),
        }
    }

    /// The next line for the server.
    pub fn poll_line(&mut self) -> Option<String> {
        self.lines.pop_front()
    }

    /// The next thing to be shown.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front().or_else(|| if self.is_filling() { None } else { self.last_news.pop_front() })
    }

    /// The next answer for the transfers.
    pub fn poll_answer(&mut self) -> Option<TransferAnswer> {
        self.answers.pop_front()
    }

    /// The next file that is to be sent, now that it is known for whom.
    pub fn poll_file(&mut self) -> Option<TransferRequest> {
        self.files.pop_front()
    }

    /// Whether files wait to be known for whom they are.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty() || self.waiting.iter().any(|waiting| matches!(waiting, Waiting::File(_)))
    }

    /// How things stand.
    pub fn status(&self) -> Status {
        let unsent = self.limbo.len() + self.waiting.len();
        Status { nick: self.nick, online: self.knows_all.then(|| self.talks.present()), unsent }
    }

    /// Whether transfers may be asked for.
    pub fn is_online(&self) -> bool {
        self.phase == Phase::Online && self.loss.is_none() && self.undone.is_none()
    }

    /// Whether somebody is there who can be asked.
    pub fn has_person(&self) -> bool {
        self.logins.has_person()
    }

    /// Whether the person has asked to leave.
    pub fn is_quitting(&self) -> bool {
        self.quitting
    }

    /// Whether there is a connection on which no chinwag server has shown itself.
    pub fn is_ungreeted(&self) -> bool {
        self.phase == Phase::Knocking && self.locked.is_none()
    }

    /// When [`Session::tick`] is due.
    pub fn next_tick(&self) -> Option<Instant> {
        if let Some(loss) = &self.loss {
            return Some(loss.due).filter(|_| !loss.is_told);
        }
        let waits = self.regaining || self.phase == Phase::Restoring;
        // Later than that, our name being free shows only in who goes.
        self.since.filter(|(since, asked)| waits && *asked < *since + LIMBO).map(|(_, asked)| asked + AGAIN)
    }

    /// Whether there is a connection, though the server may not have let us in.
    pub fn is_connected(&self) -> bool {
        self.phase != Phase::Offline && self.loss.is_none()
    }

    /// Whether the server has let us in, so that it can be asked things.
    pub fn is_in(&self) -> bool {
        matches!(self.phase, Phase::Restoring | Phase::Online) && self.loss.is_none()
    }

    /// Whether our own earlier connection may still have our name, and with it what only its holder may take up again.
    pub fn is_regaining(&self, now: Instant) -> bool {
        self.regaining && self.is_early(now)
    }

    /// A connection stands.
    pub fn connected(&mut self) {
        self.phase = Phase::Knocking;
        self.locked = None;
        self.details = 0;
        self.entry = Entry::default();
        self.logins.reset();
    }

    /// This unlocks the server from now on.
    pub fn unlock_with(&mut self, password: String) {
        self.password = Some(password);
    }

    /// Lines that have not been sent, as they were typed.
    pub fn unsent(&self) -> impl Iterator<Item = String> {
        self.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::Message(message) => Some(format!("{} {}", message.place, message.text)),
            Waiting::Command(line) if is_quit(line) => None,
            Waiting::Command(line) if commands::holds_secret(line) => Some(format!("{} …", cut(line).0)),
            Waiting::File(path) => Some(format!("/send {path}")),
            Waiting::Text(line) | Waiting::Command(line) => Some(line.clone()),
        })
    }

    /// Messages of which it is not known whether they arrived.
    pub fn unanswered(&self) -> impl Iterator<Item = String> {
        let messages = self.limbo.iter().chain(&self.sent).filter(|message| !message.arrived);
        messages.map(|message| format!("{} {}", message.place, message.text))
    }

    /// Drops what waits to be sent, and tells how much that was.
    pub fn forget_unsent(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }

    /// What the server says unlocks it, while it waits for that.
    pub fn locked(&self) -> Option<&str> {
        self.locked.as_deref().filter(|_| self.phase == Phase::Knocking)
    }

    /// Whether no connection is made before somebody types something.
    pub fn is_dozing(&self) -> bool {
        self.dozes
    }

    /// Whether the server waits for a password that somebody is to type.
    pub fn asks_password(&self) -> bool {
        let opens = |asked: &Asked| matches!(asked.pending, Pending::Password(_) | Pending::Login(..));
        self.locked().is_some() && !self.asked.iter().any(opens)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) {
        if let Some(loss) = self.loss.as_mut() {
            if loss.due <= now && !std::mem::replace(&mut loss.is_told, true) && !self.quitting {
                let why = loss.why.clone();
                self.tell_loss(&why);
            }
            return;
        }
        if let Some((since, _)) = self.since
            && self.next_tick().is_some_and(|at| at <= now)
        {
            self.since = Some((since, now));
            if self.regaining {
                self.ask_name();
            }
            self.ask_ghosts();
        }
        self.give_name_time(now);
        self.settle(now);
    }

    fn note(&mut self, text: String) {
        self.tell(News::Note(text));
    }

    fn answer(&mut self, text: String) {
        self.news.push_back(News::Answer(text));
    }

    fn refuse(&mut self, text: String) {
        self.tell(News::Refused(text));
    }

    /// Shows news of what has become of something, where the person looks.
    fn tell(&mut self, news: News) {
        let is_early = self.phase == Phase::Restoring && self.is_filling();
        if is_early { &mut self.last_news } else { &mut self.news }.push_back(news);
    }

    /// We are in. What was before the last connection was lost is asked for again.
    fn hello(&mut self, nick: Nick, online: u64, text: &str, now: Instant) {
        self.phase = Phase::Restoring;
        self.locked = None;
        self.since = Some((now, now));
        self.nick = Some(nick);
        self.knows_all = false;
        self.away_for = self.heard_at.map_or(0, |heard| now.saturating_duration_since(heard).as_secs() + 1);
        if online <= CROWD {
            self.ask(Command::Who(None), Pending::Who);
        }
        // A line that is cut in half must not be said as it is: it is said again.
        self.ask(Command::Set("whole", true), Pending::Quiet);
        self.ask(Command::Set("echo", true), Pending::Quiet);
        self.ask(Command::Set("stamp", true), Pending::Quiet);
        if self.without_typing {
            self.ask(Command::Set("typing", false), Pending::Quiet);
        }
        if self.without_presence {
            self.ask(Command::Set("presence", false), Pending::Quiet);
        }
        if self.first && self.is_spoken {
            let at = text.split("; /join ").next().unwrap_or_default();
            self.answer(format!("{} {at}", people(online)));
        }
        if *self.wanted.get_or_insert(nick) != nick {
            self.ask_name();
        } else if self.first && self.owner().is_none() {
            self.answer(format!("you are {nick}; /nick NAME changes that"));
        }
        if !self.holds_back() {
            self.restore();
        }
    }

    /// Goes on as soon as nothing more has to be waited for.
    fn settle(&mut self, now: Instant) {
        // The first time nothing is said or shared before it is settled as whom, and never by a script that is to be somebody.
        let is_named = !((self.first || self.insists()) && self.is_naming());
        let is_settled = self.loss.is_none() && self.restored && is_named;
        if self.phase == Phase::Restoring && is_settled && !self.is_in_limbo(now) {
            self.leave_limbo();
            self.phase = Phase::Online;
            if !std::mem::take(&mut self.first) {
                self.note("connected again".to_owned());
            }
        }
        if self.is_online() {
            self.losses.clear();
        }
        if !self.is_early(now) {
            self.missing.clear();
        }
        self.send_waiting();
        self.tell_target();
    }
}

/// The first word of what somebody typed, and what follows it.
fn cut(line: &str) -> (&str, &str) {
    line.split_once(' ').unwrap_or((line, ""))
}

/// So many people.
fn people(count: u64) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::news::Taken;
    use crate::wire::ServerLine;

    /// What is to be sent to the server.
    pub(super) fn sent(session: &mut Session) -> Vec<String> {
        std::iter::from_fn(|| session.poll_line()).collect()
    }

    /// The server says these lines.
    pub(super) fn hear(session: &mut Session, lines: &[&str]) {
        lines.iter().for_each(|line| session.told(ServerLine::parse(line), Instant::now()));
    }

    /// What is shown, forgetting the rest.
    pub(super) fn shown(session: &mut Session) -> Vec<News> {
        std::iter::from_fn(|| session.poll_news()).collect()
    }

    /// What is shown, and what waits below what rooms have still to tell.
    pub(super) fn shown_in_all(session: &mut Session) -> Vec<News> {
        let news = shown(session);
        news.into_iter().chain(session.last_news.drain(..)).collect()
    }

    /// A session of alice's in these rooms, of which the last is the target.
    pub(super) fn online(rooms: &[&str]) -> Session {
        let rooms = rooms.iter().filter_map(|room| RoomName::new(room).ok()).collect();
        let nick = Nick::new("alice").ok();
        let mut session = Session::new(Wish { nick, rooms, stays: true, ..Wish::default() });
        session.connected();
        hear(&mut session, &["* hello guest1 chinwag/0.2.0 1 online; welcome"]);
        while !session.is_online() || !session.asked.is_empty() {
            answer(&mut session);
        }
        shown(&mut session);
        session
    }

    /// The server does what it was asked to.
    pub(super) fn answer(session: &mut Session) {
        for line in sent(session) {
            let (command, rest) = cut(&line[1..]);
            let first = cut(rest).0;
            let reply = match command {
                "who" => "+ who 1 1".to_owned(),
                "join" => format!("+ join {first} 1"),
                "history" => format!("+ history {first} 0"),
                "files" => "+ files 0".to_owned(),
                _ => format!("+ {command} {rest}"),
            };
            hear(session, &[&reply]);
        }
    }

    #[test]
    fn what_an_operator_tells_everybody_is_shown() {
        let mut session = online(&["#a"]);
        hear(&mut session, &["* wall server tea at noon"]);
        assert_eq!(shown(&mut session), [News::Note("server tells everybody: tea at noon".to_owned())]);
    }

    #[test]
    fn one_comes_in_under_a_name_and_into_rooms() {
        let wish = Wish { nick: Nick::new("alice").ok(), rooms: vec![RoomName::new("#a").unwrap()], ..Wish::default() };
        let mut session = Session::new(wish);
        session.connected();
        assert!(sent(&mut session).is_empty(), "nothing is said before the server has greeted");
        hear(&mut session, &["* hello guest1 chinwag/0.2.0 1 online; welcome", "* hello guest2 again 1 online"]);
        assert_eq!(
            sent(&mut session),
            [
                "/who",
                "/set whole on",
                "/set echo on",
                "/set stamp on",
                "/nick alice",
                "/join #a",
                "/query #a",
                "/ping restored"
            ]
        );
        assert!(!session.is_online());
        hear(
            &mut session,
            &[
                "+ who 1 1",
                "+ set whole on",
                "+ set echo on",
                "+ set stamp on",
                "+ nick alice",
                "- here alice",
                "+ join #a 1",
            ],
        );
        assert_eq!(sent(&mut session), ["/op #a", "/history #a 20"], "only who stays wants to know of files");
        hear(&mut session, &["+ query #a", "+ ping restored"]);
        assert!(session.is_online());
        assert_eq!(session.status().nick, Nick::new("alice").ok());
    }

    #[test]
    fn a_name_that_somebody_has_is_not_insisted_on_at_first() {
        let mut session = Session::new(Wish { nick: Nick::new("alice").ok(), ..Wish::default() });
        session.connected();
        hear(
            &mut session,
            &["* hello guest1 x 2 online", "+ who 1 2", "+ set whole on", "+ set echo on", "+ set stamp on"],
        );
        hear(&mut session, &["! nick taken alice is somebody else; choose another name", "+ ping restored"]);
        assert!(session.is_online() && session.next_tick().is_none());
        let news = shown(&mut session);
        let refused = "alice is somebody else; choose another name; you are guest1 now";
        assert!(news.contains(&News::Refused(refused.to_owned())), "{news:?}");
    }

    #[test]
    fn a_password_opens_every_connection() {
        let mut session = Session::new(Wish { password: Some("tea".to_owned()), ..Wish::default() });
        for _ in 0..2 {
            session.connected();
            hear(&mut session, &["* locked chinwag/0.2.0 send /pass PASSWORD"]);
            assert_eq!(sent(&mut session), ["/pass tea"]);
            hear(&mut session, &["+ pass"]);
            session.lost("gone");
        }
        session.connected();
        // Meanwhile what is typed waits, as the right one may be on its way.
        session.talks.set_target(Some(Place::With(Nick::new("bob").unwrap())));
        hear(&mut session, &["* locked s x"]);
        assert_eq!(session.typed("hello", Instant::now()), Taken::Yes);
        hear(&mut session, &["! pass refused that is not the password", "* locked s x"]);
        assert_eq!(sent(&mut session), ["/pass tea"], "a wrong one is not tried again");
        for line in ["coffee", "/pas coffee"] {
            assert!(matches!(session.typed(line, Instant::now()), Taken::No(_)), "{line} may be the password");
        }
        // What unlocks it is for the server to say.
        assert!(shown(&mut session).contains(&News::Refused("the server is locked: x".to_owned())));
        session.typed("/pass coffee", Instant::now());
        assert_eq!(sent(&mut session), ["/pass coffee"]);
    }

    #[test]
    fn a_room_that_was_not_there_is_told_if_it_should_have_been() {
        for (topic, ranks, history, is_told) in [
            ("! topic no-such-room #a", "- op guest1", "+ history #a 0", true),
            // The server has taken it up from its log.
            ("! topic no-such-room #a", "- op guest1", "+ history #a 5", false),
            // Somebody has founded it, and nobody has spoken there.
            ("! topic no-such-room #a", "- founder alice", "+ history #a 0", false),
            ("! topic not-in-room #a", "- op guest1", "+ history #a 0", false),
        ] {
            let rooms = vec![RoomName::new("#a").unwrap()];
            let mut session = Session::new(Wish { rooms, expects_rooms: Some("; so do this"), ..Wish::default() });
            session.connected();
            hear(&mut session, &["* hello guest1 x 1 online", "+ who 1 1"]);
            hear(&mut session, &["+ set whole on", "+ set echo on", "+ set stamp on"]);
            assert!(sent(&mut session).contains(&"/topic #a".to_owned()));
            hear(&mut session, &[topic, "+ join #a 1", "+ query #a", "+ ping restored", ranks, "+ op #a 1", history]);
            let is_note = |news: &News| matches!(news, News::Note(text) if text.contains("#a the right room") && text.ends_with("; so do this"));
            assert_eq!(shown(&mut session).iter().any(is_note), is_told, "{topic} {ranks} {history}");
        }
    }

    #[test]
    fn who_was_left_out_of_something_asks_who_is_there() {
        let mut session = online(&["#a"]);
        hear(&mut session, &["* presence 2 +bob +carol"]);
        assert_eq!(session.status().online, Some(2));
        hear(&mut session, &["#a * alice missed 0 after 0"]);
        assert_eq!(sent(&mut session), ["/who", "/history #a after 0"]);
        assert_eq!(session.status().online, None, "nobody knows");
        hear(&mut session, &["- carol here 0s #a", "+ who 3 1", "+ history #a 0"]);
        assert_eq!(session.status().online, Some(1), "bob has gone");
    }

    #[test]
    fn how_many_are_online_is_known_only_while_that_is_told() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        hear(&mut session, &["* presence 2 +bob +carol"]);
        for (line, asks) in [("/set presence off", false), ("/set presence on", true)] {
            assert_eq!(session.typed(line, now), Taken::Set("presence", asks));
            sent(&mut session);
            hear(&mut session, &[&format!("+ {}", &line[1..])]);
            assert_eq!((sent(&mut session) == ["/who"], session.status().online), (asks, None));
        }
        hear(&mut session, &["- bob here 0s #a", "+ who 1 1"]);
        assert_eq!(session.status().online, Some(1));
        // So it is on the next connection, where nobody knows for how long that is so either.
        session.typed("/set presence off", now);
        session.lost("gone");
        session.connected();
        hear(&mut session, &["* hello alice x 1 online"]);
        assert!(sent(&mut session).contains(&"/set presence off".to_owned()));
        hear(&mut session, &["- bob here 0s #a", "+ who 1 1"]);
        assert_eq!(session.status().online, None);
    }
}
