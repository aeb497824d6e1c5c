//! The state machine that chinwag is: who is online and in which room, who may hear and fetch what, what is owed to whom.
//!
//! It knows no socket, no file, no thread and no clock. It is told the time with everything that comes in, and what follows
//! goes into a [`Sink`].

mod ask;
mod download;
mod file;
mod talk;
mod upload;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::commands::{Command, Input};
use crate::event::{
    Bye, Done, Event, Fault, Gone, Happening, Job, Lost, Now, PastRoom, Quota, Record, Reply, Sink, Switch, Trouble,
};
use crate::files::{Files, Share};
use crate::limits::{self, Settings};
use crate::names::{ConnId, FileId, Nick, Place, RoomName, Text};
use crate::people::{Download, Intake, People, Person};
use crate::presence::Presence;
use crate::rooms::{Room, RoomId, Rooms};
use crate::typing::{Typing, Where};

/// How somebody went away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    /// Their input ended.
    Quit,
    /// Their connection broke, or the server closed it.
    Lost(Lost),
}

/// The whole of the server's state.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    password: Option<[u8; 32]>,
    /// Connections that have not given the password: they are nobody yet.
    locked: HashMap<ConnId, Locked>,
    people: People,
    rooms: Rooms,
    files: Files,
    typing: Typing,
    presence: Presence,
    alarms: BTreeSet<(Duration, Alarm)>,
    disk: Disk,
    /// Why the log of the rooms is not being kept, if it is not.
    trouble: Option<Trouble>,
    /// Counts joins and typing lines, so that it can be told which came first.
    moment: u64,
    downloads: u64,
}

#[derive(Debug)]
struct Locked {
    wrong: u8,
    intake: Intake,
}

/// What the disk has been asked for and has not done yet.
#[derive(Debug, Default)]
struct Disk {
    jobs: usize,
    bytes: usize,
    /// Lines of downloads that it has been asked for.
    reads: usize,
    /// Bytes of downloads that it has been asked for, or has given, and that have not been handed on.
    held: usize,
    /// Who waits until there are fewer reads.
    waiting: VecDeque<ConnId>,
}

/// Why the hub wants to be told the time. An alarm that no longer means anything is let pass.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Alarm {
    Presence,
    Typing(ConnId, Where),
    File(FileId),
    Locked(ConnId),
}

impl Hub {
    /// An empty server.
    pub fn new(settings: Settings) -> Self {
        Self {
            password: settings.password.as_deref().map(fingerprint),
            locked: HashMap::new(),
            people: People::default(),
            rooms: Rooms::new(settings.history),
            files: Files::new(settings.next_file),
            typing: Typing::default(),
            presence: Presence::default(),
            alarms: BTreeSet::new(),
            disk: Disk::default(),
            trouble: None,
            moment: 0,
            downloads: 0,
            settings,
        }
    }

    /// Takes in a room of an earlier process. This is for the beginning, before anybody is there.
    pub fn restore_room(&mut self, past: PastRoom) {
        let room = self.rooms.find(&past.name).unwrap_or_else(|| self.rooms.create(past.name));
        self.rooms.keep(room);
        self.rooms.set_topic(room, past.topic.map(|topic| (ConnId::NOBODY, topic)));
        for line in past.lines {
            self.rooms.remember(room, ConnId::NOBODY, line);
        }
        self.rooms.go_on_after(room, past.last_seq);
        self.rooms.settle(room);
    }

    /// The log of the rooms cannot be kept for this reason, or is being kept again: everybody is told once.
    pub fn set_trouble(&mut self, trouble: Option<Trouble>, sink: &mut impl Sink) {
        let event = match (self.trouble, trouble) {
            (None, Some(trouble)) => Event::NotKept(trouble),
            (Some(_), None) => Event::KeptAgain,
            _ => return self.trouble = trouble,
        };
        self.trouble = trouble;
        sink.publish(&mut self.people.iter().map(|person| person.id), &[event]);
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// A connection has come in.
    pub fn connect(&mut self, id: ConnId, now: Now, sink: &mut impl Sink) {
        if self.password.is_none() {
            return self.let_in(id, now, sink);
        }
        self.locked.insert(id, Locked { wrong: 0, intake: Intake::None { told: false } });
        self.alarm(now.tick + limits::LOCKED, Alarm::Locked(id));
        sink.answer(id, &Event::Locked);
    }

    fn let_in(&mut self, id: ConnId, now: Now, sink: &mut impl Sink) {
        let nick = self.people.enter(id, now.tick);
        self.open_presence(now);
        self.presence.came(&nick);
        let server = self.settings.name.as_deref().map(Text::new);
        sink.answer(id, &Event::Hello { nick, online: self.people.len(), server });
        for line in &self.settings.motd {
            sink.answer(id, &Event::Motd(Text::new(line)));
        }
        if let Some(trouble) = self.trouble {
            sink.answer(id, &Event::NotKept(trouble));
        }
    }

    /// A connection is gone, or nothing more is to be heard of it.
    pub fn disconnect(&mut self, id: ConnId, now: Now, how: Departure, sink: &mut impl Sink) {
        self.locked.remove(&id);
        let what = match how {
            Departure::Quit => Happening::Quit(None),
            Departure::Lost(lost) => Happening::Lost(lost),
        };
        self.depart(id, now, what, sink);
    }

    /// Closes a connection for a cause of the server's own.
    pub fn expel(&mut self, id: ConnId, now: Now, bye: Bye, sink: &mut impl Sink) {
        self.disconnect(id, now, Departure::Lost(Lost::Closed(bye)), sink);
        sink.close(id, Some(bye));
    }

    fn depart(&mut self, id: ConnId, now: Now, what: Happening, sink: &mut impl Sink) {
        if self.people.get(id).is_none() {
            return;
        }
        self.drop_transfers(id, now, sink);
        self.typing.forget_person(id);
        let Some(person) = self.people.leave(id) else { return };
        self.open_presence(now);
        let nick = person.nick();
        self.presence.went(&nick);
        for room in person.rooms {
            self.tell_room(room, id, nick, &what, now, sink);
            self.rooms.leave(room, id);
        }
        self.forget_unreachable(sink);
    }

    /// A line came in from a connection. It gets its one reply, if one is due, before this returns.
    pub fn handle(&mut self, id: ConnId, now: Now, input: Input<'_>, sink: &mut impl Sink) {
        if self.locked.contains_key(&id) {
            return self.handle_locked(id, now, input, sink);
        }
        let Some(person) = self.people.get_mut(id) else { return };
        person.active = now.tick.into();
        match input {
            Input::Say(text) => {
                if let Err(why) = self.say_here(id, now, text, sink) {
                    refuse(id, "say", why, sink);
                }
            }
            Input::Chunk(base64) => self.chunk(id, now, base64, sink),
            Input::TooLong { chunk: true } => self.overlong_chunk(id, now, sink),
            Input::TooLong { chunk: false } => refuse(id, "?", too_long(), sink),
            Input::Unknown(name) => refuse(id, "?", unknown(name), sink),
            Input::Command(spec, command) => {
                if spec.name == "send" {
                    self.before_send(id, now, sink);
                }
                match command.and_then(|command| self.carry_out(id, now, command, sink)) {
                    Ok(done) => sink.reply(id, &Reply::Done(done)),
                    Err(why) => refuse(id, spec.name, why, sink),
                }
                if spec.name == "quit" && self.people.get(id).is_none() {
                    sink.close(id, None);
                }
            }
        }
    }

    fn handle_locked(&mut self, id: ConnId, now: Now, input: Input<'_>, sink: &mut impl Sink) {
        let Some(locked) = self.locked.get_mut(&id) else { return };
        let (spec, command) = match input {
            Input::Command(spec, command) if spec.while_locked => (spec, command),
            Input::Command(spec, _) => {
                if spec.name == "send" {
                    locked.intake = Intake::Discard;
                }
                return refuse(id, spec.name, Fault::Locked, sink);
            }
            Input::Say(_) => return refuse(id, "say", Fault::Locked, sink),
            Input::Unknown(name) => return refuse(id, "?", unknown(name), sink),
            Input::TooLong { chunk: false } => return refuse(id, "?", too_long(), sink),
            Input::TooLong { chunk: true } => return,
            Input::Chunk(_) => return locked.intake.refuse_chunk(id, sink),
        };
        match command {
            Ok(Command::Pass(password)) if self.password == Some(fingerprint(password)) => {
                let intake = locked.intake;
                self.locked.remove(&id);
                sink.reply(id, &Reply::Done(Done::Pass));
                self.let_in(id, now, sink);
                // The chunks of a /send that was refused may still be coming.
                self.set_intake(id, intake);
            }
            Ok(Command::Pass(_)) => {
                locked.wrong += 1;
                let last = locked.wrong >= limits::PASSWORDS;
                refuse(id, spec.name, Fault::WrongPassword, sink);
                if last {
                    self.expel(id, now, Bye::WrongPasswords, sink);
                }
            }
            Ok(Command::Quit(_)) => {
                self.locked.remove(&id);
                sink.reply(id, &Reply::Done(Done::Quit));
                sink.close(id, None);
            }
            Ok(Command::Help(word)) => match ask::help(id, word, sink) {
                Ok(done) => sink.reply(id, &Reply::Done(done)),
                Err(why) => refuse(id, spec.name, why, sink),
            },
            Ok(Command::Ping(token)) => sink.reply(id, &Reply::Done(Done::Ping(token.map(Text::new)))),
            Ok(_) => refuse(id, spec.name, Fault::Locked, sink),
            Err(why) => refuse(id, spec.name, why, sink),
        }
    }

    fn carry_out(&mut self, id: ConnId, now: Now, command: Command<'_>, sink: &mut impl Sink) -> Result<Done, Fault> {
        if command.has_long_answer() && sink.is_crowded() {
            return Err(Fault::Crowded);
        }
        match command {
            Command::Help(word) => ask::help(id, word, sink),
            Command::Limits => Ok(self.limits(id, sink)),
            // There is nothing to unlock, and a bot that always gives its password is well served so.
            Command::Pass(_) => Ok(Done::Pass),
            Command::Nick(name) => self.rename(id, now, name, sink),
            Command::Join(room) => self.join(id, now, room, sink),
            Command::Leave { room, reason } => self.leave(id, now, room, reason, sink),
            Command::Query(target) => self.query(id, target),
            Command::Rooms => self.list_rooms(id, sink),
            Command::Who(whom) => self.who(id, now, whom, sink),
            Command::Msg { target, text } => {
                let place = self.resolve(id, target)?;
                self.say(id, now, place, Text::new(text), sink).map(Done::Msg)
            }
            Command::Me(text) => self.say_here(id, now, &format!("/me {text}"), sink).map(|_| Done::Me),
            Command::Typing { target, switch } => self.set_typing(id, now, target, switch, sink),
            Command::Topic { room, topic } => self.topic(id, now, room, topic, sink),
            Command::Send(offer) => self.send(id, now, &offer, sink),
            Command::Get { id: file, offset } => self.get(id, file, offset, sink),
            Command::Files(target) => self.list_files(id, now, target, sink),
            Command::Cancel(file) => self.cancel(id, now, file, sink),
            Command::History { room, part } => self.history(id, room, part, sink),
            Command::Ignore(nick) => self.ignore(id, nick, sink),
            Command::Unignore(nick) => self.unignore(id, nick),
            Command::Away(text) => self.away(id, text),
            Command::Back => Ok(self.back(id)),
            Command::Set(change) => Ok(self.set(id, change, sink)),
            Command::Ping(token) => Ok(Done::Ping(token.map(Text::new))),
            Command::Quit(reason) => {
                self.depart(id, now, Happening::Quit(reason.map(Text::new)), sink);
                Ok(Done::Quit)
            }
        }
    }

    /// Too much waits for this connection: room lines and presence are left out for it until [`Hub::caught_up`].
    pub fn lag(&mut self, id: ConnId) {
        self.people.set_lagging(id, Switch::On);
    }

    /// All that waited for this connection is written: it is told what it missed.
    pub fn caught_up(&mut self, id: ConnId, now: Now, sink: &mut impl Sink) {
        self.people.set_lagging(id, Switch::Off);
        let Some(person) = self.people.get_mut(id) else { return };
        let missed_presence = std::mem::replace(&mut person.missed_presence, Switch::Off);
        let wants_presence = (person.presence, missed_presence) == (Switch::On, Switch::On);
        for room in person.rooms.clone() {
            self.tell_missed(id, room, now, sink);
        }
        // By the version of the last line they see that there were others.
        if let Some(last) = self.presence.last().filter(|_| wants_presence) {
            sink.answer(id, last);
        }
    }

    fn tell_missed(&mut self, id: ConnId, room: RoomId, now: Now, sink: &mut impl Sink) {
        let Some((count, after)) = self.rooms.take_missed(room, id) else { return };
        let Some(who) = self.people.get(id).map(Person::nick) else { return };
        let place = Place::Room(self.rooms[room].name);
        sink.answer(id, &Event::Happened { place, at: now.wall, who, what: Happening::Missed { count, after } });
    }

    /// When [`Hub::tick`] is to be called next.
    pub fn next_alarm(&self) -> Option<Duration> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Lets happen what is due.
    pub fn tick(&mut self, now: Now, sink: &mut impl Sink) {
        while let Some((at, alarm)) = self.alarms.pop_first() {
            if at > now.tick {
                self.alarms.insert((at, alarm));
                return;
            }
            match alarm {
                Alarm::Presence => self.tell_presence(sink),
                Alarm::Typing(who, place) => self.tell_typing((who, place), now, sink),
                Alarm::File(file) => self.file_due(file, now, sink),
                Alarm::Locked(id) => {
                    if self.locked.contains_key(&id) {
                        self.expel(id, now, Bye::Idle, sink);
                    }
                }
            }
        }
    }

    fn alarm(&mut self, at: Duration, alarm: Alarm) {
        self.alarms.insert((at, alarm));
    }

    /// Opens a window for the change of presence that comes next, unless one is open.
    fn open_presence(&mut self, now: Now) {
        if !self.presence.is_pending() {
            self.alarm(now.tick + limits::PRESENCE_WINDOW, Alarm::Presence);
        }
    }

    fn tell_presence(&mut self, sink: &mut impl Sink) {
        let lines = self.presence.gather(|name| self.people.is_online(name));
        if lines.is_empty() {
            return;
        }
        let wants = |person: &&Person| person.presence == Switch::On && !person.is_lagging();
        sink.publish(&mut self.people.iter().filter(wants).map(|person| person.id), &lines);
        self.people.leave_out_presence();
    }

    /// Tells a room something about `who`, without the words of somebody whom the hearer ignores.
    fn tell_room(&self, room: RoomId, who: ConnId, nick: Nick, what: &Happening, now: Now, sink: &mut impl Sink) {
        let room = &self.rooms[room];
        let event = |what| Event::Happened { place: Place::Room(room.name), at: now.wall, who: nick, what };
        sink.publish(&mut self.hearers(room, who, Some(who)), &[event(what.clone())]);
        let bare = match what {
            Happening::Left(_) => Happening::Left(None),
            Happening::Quit(_) => Happening::Quit(None),
            Happening::Joined | Happening::Renamed(_) | Happening::Lost(_) => what.clone(),
            _ => return,
        };
        let spared = |&id: &ConnId| id != who && self.people.get(id).is_some_and(|p| !p.is_lagging() && p.ignores(who));
        sink.publish(&mut room.members().filter(spared), &[event(bare)]);
    }

    /// Those in a room who shall hear what `who` says or does there, but for `without`.
    fn hearers<'a>(
        &'a self,
        room: &'a Room,
        who: ConnId,
        without: Option<ConnId>,
    ) -> impl Iterator<Item = ConnId> + 'a {
        // Nearly always nobody is to be asked whether they want to hear it.
        let all = !self.people.any_lagging() && self.people.get(who).is_some_and(|person| !person.is_ignored());
        let hears = move |id| self.people.get(id).is_some_and(|p| !p.is_lagging() && !p.ignores(who));
        room.members().filter(move |&id| Some(id) != without && (all || hears(id)))
    }

    /// What `target` means to `id`, who must be allowed to speak there.
    fn resolve(&self, id: ConnId, target: &str) -> Result<Where, Fault> {
        if target.starts_with('#') {
            return self.room_of(id, target).map(Where::Room);
        }
        self.find_person(target).map(|person| Where::Person(person.id))
    }

    fn find_person(&self, name: &str) -> Result<&Person, Fault> {
        let nick = Nick::new(name.strip_prefix('@').unwrap_or(name));
        let person = nick.and_then(|nick| self.people.find(&nick)).and_then(|id| self.people.get(id));
        person.ok_or_else(|| Fault::NoSuchNick(Text::new(name)))
    }

    fn find_room(&self, name: &str) -> Result<RoomId, Fault> {
        let room = RoomName::new(name).and_then(|name| self.rooms.find(&name));
        room.ok_or_else(|| Fault::NoSuchRoom(Text::new(name)))
    }

    /// The room of this name, in which `id` must be.
    fn room_of(&self, id: ConnId, name: &str) -> Result<RoomId, Fault> {
        let room = self.find_room(name)?;
        let is_in = self.rooms[room].member(id).is_some();
        if is_in { Ok(room) } else { Err(Fault::NotInRoom(self.rooms[room].name)) }
    }

    /// The room of this name, or the current one.
    fn room_or_current(&self, id: ConnId, name: Option<&str>) -> Result<RoomId, Fault> {
        match (name, self.people.get(id).and_then(|person| person.current)) {
            (Some(name), _) => self.room_of(id, name),
            (None, Some(Where::Room(room))) => Ok(room),
            (None, _) => Err(Fault::NoRoom),
        }
    }

    /// Where what `id` says goes.
    fn current(&self, id: ConnId) -> Result<Where, Fault> {
        match self.people.get(id).and_then(|person| person.current) {
            Some(Where::Person(other)) if self.people.get(other).is_none() => Err(Fault::NoTarget),
            Some(place) => Ok(place),
            None => Err(Fault::NoTarget),
        }
    }

    /// How one who is in a conversation names it.
    fn place(&self, place: Where) -> Result<Place, Fault> {
        match place {
            Where::Room(room) => Ok(Place::Room(self.rooms[room].name)),
            Where::Person(other) => {
                self.people.get(other).map(|person| Place::With(person.nick())).ok_or(Fault::NoTarget)
            }
        }
    }

    fn nick(&self, id: ConnId) -> Result<Nick, Fault> {
        self.people.get(id).map(Person::nick).ok_or(Fault::NoTarget)
    }

    /// Forgets an empty room to make place for a new one.
    fn make_place_for_room(&mut self, now: Now, sink: &mut impl Sink) -> Result<(), Fault> {
        if self.rooms.len() < limits::ROOMS {
            return Ok(());
        }
        let oldest = self.rooms.longest_empty().ok_or(Fault::TooMany(Quota::Rooms))?;
        let held = |share: &Share| *share == Share::Room(oldest);
        let files: Vec<FileId> = self.files.iter().filter(|(_, file)| held(&file.share)).map(|(id, _)| id).collect();
        let name = self.rooms[oldest].name;
        for file in files {
            self.end_file(file, Fault::Gone(Gone::RoomForgotten), now, sink);
        }
        // The last of its files may have been all that kept it.
        if self.rooms.find(&name) == Some(oldest) {
            if self.rooms[oldest].is_kept() {
                sink.keep(Record::Forgotten(name));
            }
            self.rooms.forget(oldest);
        }
        Ok(())
    }

    fn job(&mut self, job: Job, sink: &mut impl Sink) {
        match &job {
            Job::Read { len, .. } => {
                self.disk.reads += limits::lines_of(*len);
                self.disk.held += len;
            }
            Job::Append(_, bytes) => {
                self.disk.jobs += 1;
                self.disk.bytes += bytes.len();
            }
            Job::Create(_) | Job::Describe(..) | Job::Finish(_) | Job::Remove(_) => self.disk.jobs += 1,
        }
        sink.job(job);
    }

    fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// Panics unless all that must hold between people, rooms and files holds; for tests.
    #[allow(clippy::expect_used, reason = "it is there to panic")]
    pub fn check(&self) {
        self.people.check();
        self.rooms.check();
        self.files.check();
        for person in self.people.iter() {
            assert!(!self.locked.contains_key(&person.id));
            for &room in &person.rooms {
                assert!(self.rooms[room].member(person.id).is_some(), "in a room that does not list them");
            }
            if let Some(Where::Room(room)) = person.current {
                assert!(person.rooms.contains(&room), "speaking to a room that they are not in");
            }
            for download in person.downloads() {
                let file = self.files.get(download.file).expect("a download of a file that is gone");
                assert!(file.readers.contains(&person.id));
                assert!(self.may_fetch(person.id, file), "fetching a file that is not for them");
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
                let person = self.people.get(reader).expect("a reader who is gone");
                assert!(person.downloads().iter().any(|download| download.file == id));
            }
        }
        let held: usize = self.people.iter().flat_map(Person::downloads).map(Download::held).sum();
        assert!(held <= self.disk.held, "{held} bytes of downloads are held");
        let alarms = self.alarms.iter().filter(|(_, alarm)| matches!(alarm, Alarm::File(_))).count();
        assert_eq!(alarms, self.files.len(), "an alarm a file");
        assert!(self.files.used() <= self.settings.spool && self.files.len() <= limits::FILES);
    }

    /// Whether nothing at all is left: nobody, no room, no file, and nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
            && self.locked.is_empty()
            && self.rooms.is_empty()
            && self.files.is_empty()
            && self.typing.is_empty()
            && !self.presence.is_pending()
            && self.alarms.is_empty()
            && (self.disk.jobs, self.disk.bytes, self.disk.reads, self.disk.held) == (0, 0, 0, 0)
            && self.disk.waiting.is_empty()
    }

    /// The server's list of who is online, and the version of the last presence line; for tests.
    pub fn online(&self) -> (u64, Vec<Nick>) {
        let mut names: Vec<Nick> = self.people.iter().map(Person::nick).collect();
        names.sort_unstable();
        (self.presence.version(), names)
    }
}

impl Intake {
    /// Answers a chunk that belongs to no upload, once.
    fn refuse_chunk(&mut self, id: ConnId, sink: &mut impl Sink) {
        if *self == (Self::None { told: false }) {
            *self = Self::None { told: true };
            refuse(id, "?", Fault::NoUpload, sink);
        }
    }
}

fn refuse(id: ConnId, command: &'static str, why: Fault, sink: &mut impl Sink) {
    sink.reply(id, &Reply::Refused { command, why });
}

fn too_long() -> Fault {
    Fault::TooLong { what: "a line", limit: limits::LINE }
}

fn unknown(name: &str) -> Fault {
    Fault::UnknownCommand(Text::new(&name.chars().take(40).collect::<String>()))
}

/// Passwords are compared by their digests, which takes as long whatever they have in common.
fn fingerprint(password: &str) -> [u8; 32] {
    Sha256::digest(password).into()
}
