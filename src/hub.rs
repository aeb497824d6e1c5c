//! The state machine that chinwag is: who is online and in which room, who may hear and fetch what, what is owed to whom.
//!
//! It knows no socket, no file, no thread and no clock. It is told the time with everything that comes in, and what follows
//! goes into an [`Output`].

mod account;
mod answer;
mod ask;
mod bans;
mod blocks;
mod download;
mod file;
mod find;
mod hear;
mod kept;
mod operator;
mod queue;
mod rules;
mod talk;
mod upload;
mod way;

use std::collections::{BTreeSet, HashMap, VecDeque};

use sha2::{Digest as _, Sha256};

use crate::effect::{Effect, Job, Output, PastRoom};
use crate::event::{
    Bye, Done, Event, Fault, Happening, Keeping, Kept, Lock, Lost, Quota, Reply, SaidKind, Standing, Trouble, Verb,
};
use crate::files::{Files, Owner};
use crate::limits;
use crate::meters::{Connects, Doings, PrefixWindow, Shares};
use crate::metrics::{CoreCounts, CoreLevels};
use crate::names::{ConnId, FileId, Nick, Origin, PersonId, RoomName, Text, Wire};
use crate::people::{Download, Intake, People, Person, Way};
use crate::policy::{Action, Actor, Doing, may, sees};
use crate::presence::Presence;
use crate::register::Author;
use crate::request::{BadChunk, Named, Request};
use crate::rooms::{Room, RoomId, Rooms};
use crate::settings::{ServerSetting, Settings};
use crate::time::{Day, Instant, Now};
use crate::typing::{Conversation, Typing};

use account::Accounts;
use answer::Answer;
use operator::Control;

/// How somebody went away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// Their input ended.
    Quit,
    /// Their connection broke, or the server closed it.
    Lost(Lost),
}

/// One thing that comes in: when, and where goes what follows from it.
struct Turn<'a, O> {
    now: Now,
    /// The connection that it comes from, and who is there; nobody where the server acts by itself.
    conn: ConnId,
    who: PersonId,
    out: &'a mut O,
}

impl<'a, O: Output> Turn<'a, O> {
    /// One in which the server acts by itself.
    fn of_server(now: Now, out: &'a mut O) -> Self {
        Self { now, conn: ConnId::NOBODY, who: PersonId::NOBODY, out }
    }

    /// Who is not told of what `who` does: the connection that it comes from has a reply, and the others of the same person see
    /// it as everybody does. Of what the server does to them they are told otherwise, or not at all.
    fn author(&self, who: PersonId) -> Except {
        if self.who == who { Except::Conn(self.conn) } else { Except::Person(who) }
    }
}

/// Who does not hear something that others hear.
#[derive(Clone, Copy)]
enum Except {
    /// Everybody hears it.
    Nobody,
    /// This connection alone.
    Conn(ConnId),
    /// All connections of this person.
    Person(PersonId),
}

impl Except {
    /// Whether it holds for this connection of this person.
    fn holds(self, who: PersonId, conn: ConnId) -> bool {
        match self {
            Self::Nobody => false,
            Self::Conn(except) => conn == except,
            Self::Person(except) => who == except,
        }
    }
}

/// The whole of the server's state.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    /// What the options say of that which operators may change.
    configured: [ServerSetting; 3],
    password: Option<[u8; 32]>,
    /// Connections that have not given the password: they are nobody yet.
    locked: HashMap<ConnId, Locked>,
    /// Connections that came by the operator's door: they are nobody.
    controls: HashMap<ConnId, Control>,
    people: People,
    rooms: Rooms,
    files: Files,
    /// What has been done of late, in renames, in joins and leaves, and in new rooms.
    renames: Doings,
    joins: Doings,
    new_rooms: Doings,
    /// The same of invitations, and of wrong keys of rooms.
    invitations: Doings,
    wrong_keys: Doings,
    /// What was set up in rooms today.
    rules_added: Shares,
    /// Wrong passwords of late, by address prefix.
    wrong_passwords: PrefixWindow,
    /// Who has come of late.
    connects: Connects,
    accounts: Accounts,
    /// Who waits for the configuration to be read anew, in the order in which they asked.
    reloads: VecDeque<(ConnId, Author)>,
    /// A room that was taken up for a request of somebody who is not in it; it goes again behind that, if nothing keeps it.
    taken_up: Option<RoomId>,
    typing: Typing,
    presence: Presence,
    alarms: BTreeSet<(Instant, Alarm)>,
    disk: Disk,
    /// Answers of which something is still to be told.
    answers: HashMap<ConnId, Answer>,
    /// How much the log has been asked for and has not given.
    queries: usize,
    /// Connections whose answers search the log past what is ignored, in the order of their turns, and when the first has its
    /// turn.
    searches: VecDeque<ConnId>,
    next_search: Instant,
    /// Why the log of the rooms is not being kept, if it is not.
    trouble: Option<Trouble>,
    /// Why rules and bans are not being kept, if they are not.
    rules_trouble: Option<Trouble>,
    /// Rooms whose own logs cannot be kept.
    unkept: BTreeSet<RoomName>,
    /// Rooms that were forgotten last, when their logs may have been there still, and when that was.
    forgotten: Vec<RoomName>,
    forgotten_at: Option<Instant>,
    /// Counts joins, typing lines and queries of the log, so that it can be told which came first.
    serial: u64,
    downloads: u64,
    counts: CoreCounts,
}

#[derive(Debug)]
struct Locked {
    origin: Origin,
    wire: Wire,
    intake: Intake,
    /// When it is closed.
    until: Instant,
    /// Whether it is closed unless its first request is a login that lets it in.
    is_on_trial: bool,
}

/// What the disk has been asked for and has not done yet.
#[derive(Debug, Default)]
struct Disk {
    /// Those that change files, in their order, in which they are done. It is known for whom each is, but for those that bring
    /// bytes, which are counted by these.
    jobs: VecDeque<Option<Owner>>,
    bytes: usize,
    /// Bytes of downloads that it has been asked for, in whole units.
    reads: usize,
    /// Bytes of downloads that it has been asked for, or has given, and that have not been handed on.
    held: usize,
    /// Connections whose downloads wait until fewer reads are under way.
    waiting: VecDeque<ConnId>,
}

/// Why the hub wants to be told the time. An alarm that no longer means anything is let pass.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Alarm {
    Presence,
    Typing(PersonId, Conversation),
    File(FileId),
    Locked(ConnId),
    Control(ConnId),
    /// The log has not answered this query yet.
    Log(ConnId, u64),
    /// It is the turn of a search of the log.
    Search,
}

impl Hub {
    /// An empty server.
    pub fn new(settings: Settings) -> Self {
        Self {
            password: settings.password.as_deref().map(fingerprint),
            locked: HashMap::new(),
            controls: HashMap::new(),
            people: People::default(),
            rooms: Rooms::new(settings.history),
            files: Files::new(settings.next_file),
            renames: Doings::default(),
            joins: Doings::default(),
            new_rooms: Doings::default(),
            invitations: Doings::default(),
            wrong_keys: Doings::default(),
            rules_added: Shares::new(limits::DAY),
            wrong_passwords: PrefixWindow::new(limits::WRONG_PASSWORDS_WINDOW),
            connects: Connects::default(),
            accounts: Accounts::new(settings.seed),
            reloads: VecDeque::new(),
            taken_up: None,
            typing: Typing::default(),
            presence: Presence::default(),
            alarms: BTreeSet::new(),
            disk: Disk::default(),
            answers: HashMap::new(),
            queries: 0,
            searches: VecDeque::new(),
            next_search: Instant::START,
            trouble: None,
            rules_trouble: None,
            unkept: BTreeSet::new(),
            forgotten: Vec::new(),
            forgotten_at: None,
            serial: 0,
            downloads: 0,
            counts: CoreCounts::default(),
            configured: settings.of_server(),
            settings,
        }
    }

    /// Takes in a room of an earlier process. This is for the beginning, before anybody is there.
    pub fn restore_room(&mut self, past: PastRoom) {
        self.rooms.restore(past);
    }

    /// The log of the rooms, or what rules and bans there are, cannot be kept for this reason, or is being kept again: everybody is
    /// told once.
    pub fn set_trouble(&mut self, log: Option<Trouble>, rules: Option<Trouble>, out: &mut impl Output) {
        let was = (std::mem::replace(&mut self.trouble, log), std::mem::replace(&mut self.rules_trouble, rules));
        for (what, was, is) in [(Kept::History, was.0, log), (Kept::Rules, was.1, rules)] {
            let event = match (was, is) {
                (None, Some(trouble)) => Event::NotKept(what, trouble),
                (Some(_), None) => Event::KeptAgain(what),
                _ => continue,
            };
            out.publish(&mut self.people.conns().chain(self.controls.keys().copied()), &[event]);
        }
    }

    /// The log of one room cannot be kept, or is kept again: those who are in it are told.
    pub fn set_keeping(&mut self, keeping: Keeping, out: &mut impl Output) {
        let Keeping { room, kept } = keeping;
        let is_news = if kept { self.unkept.remove(&room) } else { self.unkept.insert(room) };
        if let Some(id) = self.rooms.find(&room).filter(|_| is_news) {
            let members = self.rooms[id].members();
            out.publish(&mut members.flat_map(|who| self.people.conns_of(who)), &[Event::Keeping(keeping)]);
        }
    }

    /// What the operator has set, as it is now.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What the core has counted.
    pub fn counts(&self) -> &CoreCounts {
        &self.counts
    }

    /// How things stand. It looks at every room and name.
    pub fn levels(&self) -> CoreLevels {
        // Nobody in particular is told.
        let is_seen = |room: &Room| sees(Actor::Locked(Lock::Password), room, self.rules(room));
        CoreLevels {
            people: self.people.len(),
            slow_consumers: self.people.lagging().len(),
            rooms: self.rooms.iter().filter(|(_, room)| is_seen(room)).count(),
            history_bytes: self.rooms.remembered(),
            spool_bytes: self.files.used(),
            names: self.register().owners(),
            auth_queue: self.accounts.waiting_passwords(),
            is_log_degraded: self.trouble.or(self.rules_trouble).is_some() || !self.unkept.is_empty(),
        }
    }

    /// How whoever is here through a connection is called.
    pub fn nick_at(&self, conn: ConnId) -> Option<Nick> {
        self.people.at(conn).map(Person::nick)
    }

    /// How many people are online.
    pub fn people(&self) -> usize {
        self.people.len()
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Whether the disk has all that was sent to be kept there.
    pub fn is_all_on_disk(&self) -> bool {
        self.disk.jobs.is_empty()
    }

    /// A connection has come in from somewhere.
    pub fn connect(&mut self, conn: ConnId, origin: Origin, wire: Wire, now: Now, out: &mut impl Output) {
        let turn = &mut Turn::of_server(now, out);
        self.connects.count(conn, origin, now.at);
        let lock = match self.reception(origin, now) {
            Ok(None) => return self.let_in(conn, origin, wire, turn),
            Ok(Some(lock)) => lock,
            Err(bye) => return self.close(conn, bye, turn),
        };
        let until = turn.now.at + limits::LOCKED;
        self.locked.insert(conn, Locked::new(origin, wire, until));
        self.alarm(until, Alarm::Locked(conn));
        turn.out.answer(conn, &Event::Locked(lock));
    }

    /// Lets somebody in who was locked out, and is no more. The chunks of an upload that was refused may still be coming.
    fn let_in_locked(&mut self, conn: ConnId, turn: &mut Turn<'_, impl Output>) {
        let Some(&Locked { origin, wire, intake, .. }) = self.locked.get(&conn) else { return };
        self.unlock(conn);
        self.let_in(conn, origin, wire, turn);
        self.set_intake(conn, intake);
    }

    /// Lets somebody in, as a guest.
    fn let_in(&mut self, conn: ConnId, origin: Origin, wire: Wire, turn: &mut Turn<'_, impl Output>) {
        let who = self.people.enter(conn, origin, wire, turn.now.at);
        if let Some(nick) = self.people.get(who).map(Person::nick) {
            self.open_presence(turn.now);
            self.presence.came(&nick);
        }
        turn.out.effect(Effect::NoteNick(conn));
        self.greet(conn, turn);
    }

    /// Tells a connection that it is let in.
    fn greet(&mut self, conn: ConnId, turn: &mut Turn<'_, impl Output>) {
        if let Some(nick) = self.people.at(conn).map(Person::nick) {
            let server = self.settings.name.as_deref().map(Text::new);
            turn.out.answer(conn, &Event::Hello { nick, online: self.people.len(), server });
        }
        for line in &self.settings.motd {
            turn.out.answer(conn, &Event::Motd(Text::of_operator(line)));
        }
        self.tell_trouble(conn, turn.out);
    }

    /// Tells a connection what is not being kept, if anything is not.
    fn tell_trouble(&self, conn: ConnId, out: &mut impl Output) {
        for (what, trouble) in [(Kept::History, self.trouble), (Kept::Rules, self.rules_trouble)] {
            if let Some(trouble) = trouble {
                out.answer(conn, &Event::NotKept(what, trouble));
            }
        }
    }

    /// A connection is gone, or nothing more is to be heard of it.
    pub fn disconnect(&mut self, conn: ConnId, now: Now, how: Departure, out: &mut impl Output) {
        let what = match how {
            Departure::Quit => Happening::Quit(None),
            Departure::Lost(lost) => Happening::Lost(lost),
        };
        self.lose(conn, &what, &mut Turn::of_server(now, out));
    }

    /// Closes a connection for a cause of the server's own.
    pub fn expel(&mut self, conn: ConnId, now: Now, bye: Bye, out: &mut impl Output) {
        self.close(conn, bye, &mut Turn::of_server(now, out));
    }

    fn close(&mut self, conn: ConnId, bye: Bye, turn: &mut Turn<'_, impl Output>) {
        self.lose(conn, &Happening::Lost(Lost::Closed(bye)), turn);
        turn.out.effect(Effect::Close { conn, bye: Some((bye, None)) });
    }

    /// Closes a connection because an operator wants it, with what they say to that.
    fn close_for(&mut self, conn: ConnId, bye: Bye, reason: Option<&Text>, turn: &mut Turn<'_, impl Output>) {
        self.lose(conn, &Happening::Lost(Lost::Closed(bye)), turn);
        turn.out.effect(Effect::Close { conn, bye: Some((bye, reason.cloned())) });
    }

    /// Forgets a connection, and who was there through it alone.
    fn lose(&mut self, conn: ConnId, what: &Happening, turn: &mut Turn<'_, impl Output>) {
        self.unlock(conn);
        self.connects.forget(conn);
        self.forget_control(conn);
        self.part(conn, what, turn);
    }

    /// A connection is locked no more, whatever it is now. Its alarm goes with it, as connections may come and go.
    fn unlock(&mut self, conn: ConnId) {
        if let Some(locked) = self.locked.remove(&conn) {
            self.alarms.remove(&(locked.until, Alarm::Locked(conn)));
        }
    }

    fn depart(&mut self, who: PersonId, what: &Happening, turn: &mut Turn<'_, impl Output>) {
        self.fail_uploads_to(who, turn);
        self.typing.forget_person(who);
        let Some(person) = self.people.get_mut(who) else { return };
        let (nick, rooms, unreached) = (person.nick(), person.rooms.clone(), person.take_unreached());
        for room in rooms {
            let what = self.as_heard(room, who, what, turn);
            if matches!(what, Happening::Quit(Some(_))) {
                self.note_spoken(room, who, turn);
            }
            self.tell_room(room, who, nick, &what, turn);
            self.leave_room(room, who, turn);
        }
        self.people.leave(who);
        self.tell_unreached(nick, unreached, turn);
        self.note_seen(&nick, turn);
        self.open_presence(turn.now);
        self.presence.went(&nick);
        self.forget_unreachable(turn.out);
    }

    /// A request came in from a connection, of which no answer [is under way](Hub::is_answering) and which
    /// [waits](Hub::is_waiting) for nothing. It gets its one reply, if one is due, before this returns, when [`Hub::go_on`] has told
    /// the rest of a long answer, or when the connection waits no more.
    pub fn handle(&mut self, conn: ConnId, now: Now, request: Request<'_>, out: &mut impl Output) {
        if let Some(locked) = self.locked.get(&conn).filter(|locked| !locked.is_on_trial)
            && self.reception(locked.origin, now) == Ok(None)
        {
            // What they had to prove is asked of nobody any more.
            self.let_in_locked(conn, &mut Turn::of_server(now, out));
        }
        debug_assert!(!self.is_waiting(conn), "its lines wait");
        let who = self.people.at(conn).map_or(PersonId::NOBODY, |person| person.id);
        let turn = &mut Turn { now, conn, who, out };
        let request = match self.for_who_may(request, turn) {
            Ok(request) => request,
            Err(why) => return refuse(conn, Verb::Unknown, why, turn.out),
        };
        if let Some(lock) = self.lock_of(conn, now) {
            self.handle_locked(request, lock, turn);
            return self.end_trial(turn);
        }
        if self.controls.contains_key(&conn) {
            self.handle_control(request, turn);
            return self.settle_taken_up();
        }
        let is_of_person = request.is_of_person() && !self.may_be_of_program(&request, who, conn);
        let Some(person) = self.people.get_mut(who) else { return };
        if is_of_person {
            person.active = now.at;
        }
        let verb = request.verb();
        let is_wary = self.people.way_mut(conn).is_some_and(|way| std::mem::take(&mut way.is_wary));
        if verb == Verb::Send {
            self.before_send(turn);
        }
        match request {
            // What is said in passing is answered by nothing but a refusal.
            Request::Say { kind: SaidKind::Text, text } => {
                let is_word = limits::PASSWORD.contains(&text.len()) && !text.contains(char::is_whitespace);
                let said = match is_wary && is_word && self.has_target(conn) {
                    true => Err(Fault::MaybePassword),
                    false => self.say_here(SaidKind::Text, text, turn),
                };
                if let Err(why) = said {
                    let why = if why == Fault::NoTarget { Fault::Unheard(Text::new(text)) } else { why };
                    let why = self.with_whom_to_ask(why, turn);
                    refuse(conn, verb, why, turn.out);
                }
            }
            Request::Chunk(chunk) => self.chunk(chunk, turn),
            request => match self.carry_out(request, turn) {
                Ok(done) => done.into_iter().for_each(|done| turn.out.reply(conn, &Reply::Done(done))),
                Err(why) => {
                    if let Some(way) = self.people.way_mut(conn) {
                        way.is_wary = matches!(why, Fault::Owned(_) | Fault::Usage(Verb::Login));
                    }
                    let why = self.with_whom_to_ask(why, turn);
                    refuse(conn, verb, why, turn.out);
                }
            },
        }
        self.settle_taken_up();
        if verb == Verb::Quit && self.people.at(conn).is_none() {
            turn.out.effect(Effect::Close { conn, bye: None });
        }
    }

    /// Whether a program that comes in once more asks for it by itself: it is so already, or is of one of several connections alone.
    fn may_be_of_program(&self, request: &Request<'_>, who: PersonId, conn: ConnId) -> bool {
        match request {
            Request::Set(Some(change)) if self.people.way(conn).is_some_and(|way| way.is_set(*change)) => true,
            Request::Set(_) | Request::Query(_) => self.people.has_several(who),
            Request::Join { room: Named { name: Ok(room), .. }, .. } => {
                self.rooms.find(room).is_some_and(|room| self.rooms[room].member(who).is_some())
            }
            Request::Ignore(Some(Named { name: Ok(nick), .. })) => {
                self.people.get(who).is_some_and(|person| person.ignored().iter().any(|one| one.nick.get() == *nick))
            }
            Request::Away(text) => {
                let away = self.people.get(who).and_then(Person::away);
                away.is_some_and(|(known, _)| known.as_ref().map(Text::as_str) == *text)
            }
            _ => false,
        }
    }

    fn settle_taken_up(&mut self) {
        if let Some(room) = self.taken_up.take() {
            self.rooms.settle(room);
        }
    }

    fn handle_locked(&mut self, request: Request<'_>, lock: Lock, turn: &mut Turn<'_, impl Output>) {
        let conn = turn.conn;
        let verb = request.verb();
        // Whether a secret may be sent can be found out before one is let in.
        let is_of_secrets = matches!(verb, Verb::Register | Verb::Passwd | Verb::Token | Verb::Drop);
        let may_send = || if is_of_secrets { self.may_send_secrets(turn) } else { Ok(()) };
        let is_let_in = || may(Actor::Locked(lock), Action::Ask(verb));
        if let Err(why) = self.may_ask_of_names(verb).and_then(|()| may_send()).and_then(|()| is_let_in()) {
            if let Some(locked) = self.locked.get_mut(&conn).filter(|_| verb == Verb::Send) {
                locked.intake = Intake::Discard;
            }
            return refuse(conn, verb, why, turn.out);
        }
        let Some(locked) = self.locked.get_mut(&conn) else { return };
        match request {
            // Whoever guesses on learns nothing, not even when a guess is right.
            Request::Pass(_) if !hears_passwords(&self.wrong_passwords, locked.origin, turn.now.at) => {
                // It is not looked at, so nobody is said to have given a wrong one.
                refuse(conn, verb, Fault::TooMany(Quota::WrongPasswords), turn.out);
                self.close(conn, Bye::WrongPasswords, turn);
            }
            Request::Pass(password) if self.password == Some(fingerprint(password)) => {
                turn.out.reply(conn, &Reply::Done(Done::Pass));
                self.let_in_locked(conn, turn);
            }
            Request::Pass(_) => {
                let last = self.count_wrong(turn);
                turn.out.effect(Effect::NoteWrongPassword(conn));
                refuse(conn, verb, Fault::WrongPassword, turn.out);
                if last {
                    self.close(conn, Bye::WrongPasswords, turn);
                }
            }
            Request::Quit(_) => {
                self.lose(conn, &Happening::Quit(None), turn);
                turn.out.reply(conn, &Reply::Done(Done::Quit));
                turn.out.effect(Effect::Close { conn, bye: None });
            }
            Request::Chunk(Err(BadChunk::TooLong)) => {}
            Request::Chunk(_) => locked.intake.refuse_chunk(conn, turn.out),
            request => match self.carry_out(request, turn) {
                Ok(done) => done.into_iter().for_each(|done| turn.out.reply(conn, &Reply::Done(done))),
                Err(why) => refuse(conn, verb, why, turn.out),
            },
        }
    }

    /// Carries out a request; `None` if the rest of its answer comes later, or the shell replies.
    fn carry_out(&mut self, request: Request<'_>, turn: &mut Turn<'_, impl Output>) -> Result<Option<Done>, Fault> {
        if request.has_long_answer() && turn.out.is_memory_short_for(turn.conn) {
            return Err(Fault::MemoryShort);
        }
        self.may_ask_of_names(request.verb())?;
        let done = match request {
            Request::Help(what) => self.help(what, turn),
            Request::Limits => Ok(self.limits(turn)),
            // There is nothing to unlock, and a bot that always gives its password is well served so.
            Request::Pass(_) => Ok(Done::Pass),
            Request::Nick(name) => self.rename(name, turn),
            Request::Register(password) => return self.register_name(password, turn),
            Request::Login { nick, credential } => return self.login(nick, credential, turn),
            Request::Logout => self.logout(turn),
            Request::Passwd { old, new } => return self.passwd(old, new, turn),
            Request::Token(wanted) => return self.token(wanted, turn),
            Request::Drop(password) => return self.drop_name(password, turn),
            Request::Account(whom) => self.tell_account(whom, turn),
            Request::Join { room, key } => self.join(room, key, turn),
            Request::Leave { room, reason } => self.leave(room, reason, turn),
            Request::Query(target) => self.query(target, turn),
            Request::Rooms => return Ok(self.tell(Answer::rooms(), turn)),
            Request::Who(whom) => return self.who(whom, turn).map(|answer| self.tell(answer, turn)),
            Request::Say { kind, text } => self.say_here(kind, text, turn).map(|()| Done::Me),
            Request::Msg { target, kind, text } => {
                let opened = self.open_to_outside(target, turn);
                let said = self.resolve(target, Doing::Speak, turn).and_then(|place| {
                    self.say(place, kind, Text::new(text), turn)?;
                    self.place(place).map(Done::Msg)
                });
                opened.into_iter().for_each(|room| self.rooms.settle(room));
                said
            }
            Request::Typing { target, on } => self.set_typing(target, on, turn),
            Request::Topic { room, topic } => self.topic(room, topic, turn),
            Request::Ranks(room) => self.list_ranks(room, turn),
            Request::Role { room, nick, role, on } => self.set_role(room, nick, (role, on), turn),
            Request::Founder { room, nick } => self.hand_over(room, nick, turn),
            Request::Kick { room, nick, reason } => self.kick(room, nick, reason, turn),
            Request::Ban { room, kind, whom, time, reason } => self.ban(room, (kind, whom, time, reason), turn),
            Request::Unban { room, id } => self.unban(room, id, turn),
            Request::Bans(room) => return self.list_bans(room, turn).map(|answer| self.tell(answer, turn)),
            Request::Invite { room, nick, on } => self.invite(room, nick, on, turn),
            Request::Room { room, part } => self.room_rules(room, part, turn),
            Request::Erase { room, first, last } => self.erase(room, (first, last), turn),
            Request::Block { whom, scope, time, reason } => self.block(whom, (scope, time, reason), turn),
            Request::Unblock(id) => self.unblock(id, turn),
            Request::Blocks => {
                let answer = Answer::blocks();
                return Ok(self.tell(answer, turn));
            }
            Request::Server(change) => self.server(change, turn),
            Request::Reload => return self.reload(turn).map(|()| None),
            Request::Metrics => {
                // Most of it the shell has counted.
                turn.out.effect(Effect::Metrics(turn.conn));
                return Ok(None);
            }
            Request::Send(offer) => self.send(&offer, turn),
            Request::Get { id: file, offset } => self.get(file, offset, turn),
            Request::Files(target) => return self.list_files(target, turn).map(|answer| self.tell(answer, turn)),
            Request::Cancel(file) => self.cancel(file, turn),
            Request::History { room, part } => {
                return self.history(room, part, turn).map(|answer| self.tell(answer, turn));
            }
            Request::Ignore(None) => Ok(self.list_ignored(turn)),
            Request::Ignore(Some(whom)) => self.ignore(whom, turn),
            Request::Unignore(whom) => self.unignore(whom, turn),
            Request::Away(text) => self.away(text, turn),
            Request::Back => Ok(self.back(turn)),
            Request::Set(None) => Ok(self.list_settings(turn)),
            Request::Set(Some(change)) => Ok(self.set(change, turn)),
            Request::Ping(token) => Ok(Done::Ping(token.map(Text::new))),
            // The connection is the shell's, which replies.
            Request::Keep(lines) => {
                turn.out.effect(Effect::Keep { conn: turn.conn, lines });
                return Ok(None);
            }
            Request::Resume { token, lines } => {
                turn.out.effect(Effect::TakeUp { conn: turn.conn, token, lines });
                return Ok(None);
            }
            Request::Quit(reason) => {
                self.lose(turn.conn, &Happening::Quit(reason.map(Text::new)), turn);
                Ok(Done::Quit)
            }
            Request::Kill { nick, reason } => self.kill(nick, reason, turn),
            Request::Where(nick) => return self.tell_where(nick, turn).map(|()| None),
            Request::Wall(text) => self.wall(text, turn),
            Request::Grant(nick) => return self.grant(nick, turn),
            Request::Revoke(nick) => return self.revoke(nick, turn),
            Request::Operator(None) => Ok(self.list_operators(turn)),
            Request::Operator(Some((nick, on))) => return self.set_operator(nick, on, turn),
            Request::OfOperators { request, .. } => return self.carry_out(*request, turn),
            Request::Malformed { why, .. } => Err(why),
            Request::Chunk(_) => Err(Fault::NoUpload),
        };
        done.map(Some)
    }

    /// When [`Hub::tick`] is to be called next.
    pub fn next_alarm(&self) -> Option<Instant> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Lets happen what is due.
    pub fn tick(&mut self, now: Now, out: &mut impl Output) {
        let turn = &mut Turn::of_server(now, out);
        while let Some(&(at, alarm)) = self.alarms.first()
            && at <= turn.now.at
        {
            self.alarms.pop_first();
            match alarm {
                Alarm::Presence => self.tell_presence(turn.out),
                Alarm::Typing(who, place) => self.tell_typing((who, place), turn),
                Alarm::File(file) => self.file_due(file, turn),
                Alarm::Log(conn, serial) => self.log_is_late(conn, serial, turn),
                Alarm::Search => self.search_on(turn),
                Alarm::Control(conn) => {
                    if self.controls.contains_key(&conn) {
                        self.close(conn, Bye::Silent, turn);
                    }
                }
                Alarm::Locked(conn) => {
                    if self.locked.contains_key(&conn) {
                        self.close(conn, Bye::Idle, turn);
                    }
                }
            }
        }
    }

    fn alarm(&mut self, at: Instant, alarm: Alarm) {
        self.alarms.insert((at, alarm));
    }

    /// Opens a window for the change of presence that comes next, unless one is open.
    fn open_presence(&mut self, now: Now) {
        if !self.presence.is_pending() {
            self.alarm(now.at + limits::PRESENCE_WINDOW, Alarm::Presence);
        }
    }

    fn tell_presence(&mut self, out: &mut impl Output) {
        // Some have been given a part of the list, and are told this after the rest.
        if self.answers.values().any(Answer::is_of_people) {
            self.presence.asked();
        }
        let lines = self.presence.gather(|name| self.people.is_online(name));
        if lines.is_empty() {
            return;
        }
        let wants = |way: &&Way| way.presence && !way.is_lagging();
        out.publish(&mut self.people.all_ways().filter(wants).map(|way| way.conn), &lines);
        self.people.leave_out_presence();
    }

    /// Asks the disk for something. What it is to change, it changes for the owner of the file.
    fn job(&mut self, job: Job, owner: Option<Owner>, out: &mut impl Output) {
        match &job {
            Job::Read { len, .. } => {
                self.disk.reads += len.next_multiple_of(limits::DOWNLOAD_UNIT);
                self.disk.held += len;
            }
            Job::Append(_, bytes) => {
                self.disk.jobs.push_back(None);
                self.disk.bytes += bytes.len();
            }
            Job::Create(_) | Job::Describe(..) | Job::Finish(_) | Job::Remove(_) => {
                self.disk.jobs.push_back(owner);
            }
        }
        out.effect(Effect::Disk(job));
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Panics unless all that must hold between people, rooms and files holds; for tests.
    #[allow(clippy::expect_used, reason = "it is there to panic")]
    pub fn check(&self) {
        self.people.check();
        self.rooms.check();
        self.files.check();
        for person in self.people.iter() {
            for &room in &person.rooms {
                assert!(self.rooms[room].member(person.id).is_some(), "in a room that does not list them");
            }
            let (owned, shown) = (self.owned_by(person), person.nick());
            let like = self.register().like(&shown, Day::of(std::time::SystemTime::UNIX_EPOCH));
            let mut owners = like.filter(|(_, standing)| *standing == Standing::Owned).map(|(owner, _)| owner);
            assert!(owners.all(|owner| owned == Some(owner)), "{shown:?} is shown like the owner of another name");
            for way in self.people.ways(person) {
                assert!(!self.locked.contains_key(&way.conn));
                if let Some(Conversation::Room(room)) = way.current {
                    assert!(person.rooms.contains(&room), "speaking to a room that they are not in");
                }
                assert!(way.missed().all(|room| person.rooms.contains(&room)), "missed a room that they are not in");
                for download in way.downloads() {
                    let file = self.files.get(download.file).expect("a download of a file that is gone");
                    assert!(file.readers.contains(&way.conn));
                    assert_eq!(self.may_fetch(person, file), Ok(()), "fetching a file that is not for them");
                }
            }
        }
        for (id, room) in self.rooms.iter() {
            for member in room.members() {
                let person = self.people.get(member).expect("a room lists somebody who is gone");
                assert!(person.rooms.contains(&id), "listed in a room that they are not in");
            }
        }
        for (id, file) in self.files.iter() {
            for &reader in &file.readers {
                let way = self.people.way(reader).expect("a reader who is gone");
                assert!(way.downloads().iter().any(|download| download.file == id));
            }
        }
        self.check_accounts();
        let is_here = |conn| self.people.at(conn).is_some() || self.locked.contains_key(&conn);
        assert!(self.connects.all_are(is_here), "somebody who has gone is remembered");
        for conn in self.answers.keys() {
            assert!(self.people.at(*conn).is_some() || self.controls.contains_key(conn), "an answer for nobody");
        }
        assert!(self.searches.iter().all(|conn| self.answers.contains_key(conn)), "a search for nobody");
        let has_alarm = self.alarms.contains(&(self.next_search, Alarm::Search));
        assert_eq!(has_alarm, !self.searches.is_empty(), "a search without a turn, or a turn without a search");
        let has_alarm = self.alarms.iter().any(|(_, alarm)| *alarm == Alarm::Presence);
        assert_eq!(has_alarm, self.presence.is_pending(), "presence is to be told, and never will be");
        let held: usize = self.people.all_ways().flat_map(Way::downloads).map(Download::held).sum();
        assert!(held <= self.disk.held, "{held} bytes of downloads are held");
        let alarms = self.alarms.iter().filter(|(_, alarm)| matches!(alarm, Alarm::File(_))).count();
        assert_eq!(alarms, self.files.len(), "an alarm a file");
        assert!(self.files.used() <= self.settings.spool && self.files.len() <= limits::FILES);
    }

    /// Whether nothing at all is left: nobody, no room, no file, and nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
            && self.locked.is_empty()
            && self.controls.is_empty()
            && self.answers.is_empty()
            && self.queries == 0
            && self.rooms.is_empty()
            && self.files.is_empty()
            && self.typing.is_empty()
            && self.accounts.is_empty()
            && !self.presence.is_pending()
            && self.alarms.is_empty()
            && (self.disk.jobs.len(), self.disk.bytes, self.disk.reads, self.disk.held) == (0, 0, 0, 0)
            && self.disk.waiting.is_empty()
    }

    /// The server's list of who is online, each with how many connections, and the version of the last presence line; for tests.
    pub fn online(&self) -> (u64, Vec<(Nick, usize)>) {
        let mut names: Vec<(Nick, usize)> =
            self.people.iter().map(|person| (person.nick(), self.people.ways(person).count())).collect();
        names.sort_unstable();
        (self.presence.version(), names)
    }
}

impl Locked {
    fn new(origin: Origin, wire: Wire, until: Instant) -> Self {
        Self { origin, wire, intake: Intake::None { told: false }, until, is_on_trial: false }
    }
}

impl Intake {
    /// Answers a chunk that belongs to no upload, once.
    fn refuse_chunk(&mut self, conn: ConnId, out: &mut impl Output) {
        if *self == (Self::None { told: false }) {
            *self = Self::None { told: true };
            refuse(conn, Verb::Chunk, Fault::NoUpload, out);
        }
    }
}

fn refuse(conn: ConnId, verb: Verb, why: Fault, out: &mut impl Output) {
    out.reply(conn, &Reply::Refused { verb, why });
}

/// Whether passwords from somewhere are still listened to, after the wrong ones of late. On this machine each connection has
/// its own tries and no more.
fn hears_passwords(wrong_passwords: &PrefixWindow, origin: Origin, now: Instant) -> bool {
    match origin {
        Origin::Loopback => true,
        Origin::Network(prefix) => wrong_passwords.has_left(prefix, limits::PASSWORDS_OF_PREFIX, now),
    }
}

/// Passwords are compared by their digests, which takes as long whatever they have in common.
fn fingerprint(password: &str) -> [u8; 32] {
    Sha256::digest(password).into()
}
