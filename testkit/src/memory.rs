//! The core without sockets, disk or clock: what it tells whom is written down, and its jobs are done in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use chinwag::effect::{
    Effect, Entered, Found, Job, Outcome, Output, Passage, PasswordResult, PasswordTask, Query, Record, Reloaded,
    Section,
};
use chinwag::event::{Change, Deed, Detail, Done, Event, Fault, Reply, Setting, Unstored, Verb};
use chinwag::framing::Framing;
use chinwag::hub::{Departure, Hub};
use chinwag::limits::{DOWNLOAD_UNIT, HISTORY_HEAD, KEEP};
use chinwag::linebuf::Ending;
use chinwag::names::{ConnId, Digest, FileId, Nick, Origin, PlaceToken, Wire};
use chinwag::plain::{self, Style};
use chinwag::register::{Author, PasswordHash};
use chinwag::settings::Settings;
use chinwag::time::{Instant, Now};
use sha2::{Digest as _, Sha256};

use crate::ledger::Ledger;

/// Something that a connection was told.
#[derive(Clone, Debug)]
pub enum Told {
    Event(Event),
    Data(FileId, u64, Vec<u8>),
    Detail(Detail),
    Reply(Reply),
}

/// Writes down what the hub says.
#[derive(Default)]
pub struct Notes {
    pub told: Vec<(ConnId, Told)>,
    pub jobs: VecDeque<Job>,
    pub wanting: Vec<ConnId>,
    /// Whose answers can go on.
    pub resumed: Vec<ConnId>,
    /// What is to be looked up in the log, which is `records`.
    pub queries: VecDeque<Query>,
    pub closed: Vec<ConnId>,
    pub stamps: HashMap<ConnId, bool>,
    pub records: Vec<Record>,
    pub wrong_passwords: Vec<ConnId>,
    pub failed_logins: Vec<(ConnId, Nick)>,
    /// What operators have done.
    pub deeds: Vec<(Author, Deed)>,
    /// Passwords that are to be looked at.
    pub tasks: VecDeque<PasswordTask>,
    /// How often the configuration is to be read anew.
    pub reloads: usize,
    pub ledger: Ledger,
    pub is_memory_short: bool,
}

impl Notes {
    /// Has the answers that are under way told to their ends, as if searches of the log had their turns at once.
    pub fn go_on(&mut self, hub: &mut Hub, now: Now) {
        loop {
            self.go_on_until_a_search(hub, now);
            let Some(at) = hub.next_search() else { return };
            hub.tick(Now { at: at.max(now.at), ..now }, self);
        }
    }

    /// The same, but those that wait for their turn to search the log are left to wait.
    pub fn go_on_until_a_search(&mut self, hub: &mut Hub, now: Now) {
        while !(self.resumed.is_empty() && self.queries.is_empty() && self.tasks.is_empty() && self.ledger.is_idle())
            || self.reloads > 0
        {
            while let Some(left) = self.reloads.checked_sub(1) {
                self.reloads = left;
                hub.reloaded(now, Ok(reload(hub.settings())), self);
            }
            while let Some(task) = self.tasks.pop_front() {
                hub.password_did(now, look_at(&task), self);
            }
            while self.ledger.settle(Entered::Written).is_some() {
                hub.ledger_did(now, Entered::Written, self);
            }
            while let Some(conn) = self.resumed.pop() {
                hub.go_on(conn, now, self);
            }
            if let Some(query) = self.queries.pop_front() {
                let found = self.look_up(&query);
                hub.log_has(now, found, self);
            }
        }
    }

    /// What the log has for a query.
    pub fn look_up(&self, query: &Query) -> Found {
        let is_end = |record: &Record| matches!(record, Record::Forgotten { room } if *room == query.room);
        let from = self.records.iter().rposition(is_end).unwrap_or_default();
        let lines = self.records[from..].iter().filter_map(|record| match record {
            Record::Said { room, line } if *room == query.room => Some(line),
            _ => None,
        });
        let mut lines: Vec<_> = match query.section {
            Section::Before(below) => lines.rev().filter(|line| line.seq < below).collect(),
            Section::After { seq, below } => lines.filter(|line| seq < line.seq && line.seq < below).collect(),
        };
        let all = lines.len();
        let mut bytes = 0;
        let fits = lines.iter().take(query.lines).take_while(|line| {
            bytes += line.text.as_str().len() + HISTORY_HEAD;
            bytes <= query.bytes
        });
        lines.truncate(fits.count());
        let is_whole = lines.len() == all;
        lines.sort_unstable_by_key(|line| line.seq);
        let lines = lines.into_iter().map(|line| line.clone().into()).collect();
        Found { asker: query.asker, serial: query.serial, passage: Some(Passage { lines, is_whole }) }
    }
}

impl Output for Notes {
    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnId>, events: &[Event]) {
        for to in to {
            self.told.extend(events.iter().map(|event| (to, Told::Event(event.clone()))));
        }
    }

    fn answer(&mut self, to: ConnId, event: &Event) {
        self.told.push((to, Told::Event(event.clone())));
    }

    fn data(&mut self, to: ConnId, file: FileId, offset: u64, data: &[u8]) {
        self.told.push((to, Told::Data(file, offset, data.to_vec())));
    }

    fn reread(&mut self, _: ConnId, _: FileId, _: u64, _: Option<&[u8]>) {
        unreachable!("nothing is lost on its way here");
    }

    fn detail(&mut self, to: ConnId, detail: &Detail) {
        self.told.push((to, Told::Detail(detail.clone())));
    }

    fn reply(&mut self, to: ConnId, reply: &Reply) {
        self.told.push((to, Told::Reply(reply.clone())));
    }

    fn set(&mut self, to: ConnId, change: Change) {
        if change.setting == Setting::Stamp {
            self.stamps.insert(to, change.on);
        }
    }

    fn is_memory_short_for(&self, _: ConnId) -> bool {
        self.is_memory_short
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Log(record) => self.records.push(record),
            Effect::Disk(job) => self.jobs.push_back(job),
            Effect::Pump(conn) => self.wanting.push(conn),
            Effect::NoteWrongPassword(conn) => self.wrong_passwords.push(conn),
            Effect::NoteFailedLogin(conn, nick) => self.failed_logins.push((conn, nick)),
            Effect::Password(task) => self.tasks.push_back(task),
            Effect::Reload => self.reloads += 1,
            Effect::Ledger(entries) => self.ledger.write(entries),
            Effect::Note(entries) => self.ledger.note(entries),
            // Nobody's lines are held back here.
            Effect::Answered(_) => {}
            // Nothing is held here for longer than a line takes.
            Effect::UploadEnded(_) | Effect::PutOut(_) => {}
            Effect::Resume(conn) => self.resumed.push(conn),
            // There is no log of the process.
            Effect::NoteWrongKey(..) | Effect::NoteNick(_) | Effect::NoteLapsed(_) | Effect::NoteAhead(_) => {}
            // Nobody loses a connection here, so no place need be kept.
            Effect::Keep { conn, .. } => {
                self.reply(conn, &Reply::Done(Done::Keep { token: PlaceToken(0), time: KEEP }));
            }
            Effect::EndKeeping(_) => {}
            Effect::TakeUp { conn, .. } => {
                self.reply(conn, &Reply::Refused { verb: Verb::Resume, why: Fault::NoPlace });
            }
            Effect::Audit { by, deed, .. } => self.deeds.push((by, deed)),
            // Nobody has an address here.
            Effect::Where { conn, whom } => self.reply(conn, &Reply::Done(Done::Where(whom.nick))),
            // What the shell counts there is nobody here to count.
            Effect::Metrics(conn) => self.reply(conn, &Reply::Done(Done::Metrics(0))),
            Effect::ReadLog(query) => self.queries.push_back(query),
            Effect::Close { conn, bye } => {
                match bye {
                    Some((bye, None)) => self.answer(conn, &Event::Bye(bye)),
                    Some((bye, Some(reason))) => self.answer(conn, &Event::Expelled { bye, reason }),
                    None => {}
                }
                self.closed.push(conn);
            }
        }
    }
}

/// Why a disk that fails takes no chunk of so many bytes.
pub fn why_not(bytes: usize) -> Unstored {
    [Unstored::Full, Unstored::Failed, Unstored::Descriptors, Unstored::Denied][bytes % 4]
}

/// Reads settings anew of which nothing was changed but by operators.
pub fn reload(settings: &Settings) -> Reloaded {
    let first = Settings::default();
    let settings =
        Settings { guests: first.guests, accounts: first.accounts, room_makers: first.room_makers, ..settings.clone() };
    Reloaded { settings, restart: Vec::new(), odd: None }
}

/// What the wire is of somebody who comes in clear.
pub fn in_clear(origin: Origin) -> Wire {
    if origin == Origin::Loopback { Wire::Secure } else { Wire::Clear }
}

/// Looks at a password, quickly.
pub fn look_at(task: &PasswordTask) -> PasswordResult {
    let of = |password: &str, salt: [u8; 16]| Sha256::new().chain_update(salt).chain_update(password).finalize().into();
    match task {
        PasswordTask::Hash { password, salt } => {
            PasswordResult::Hash(PasswordHash { memory: 8, passes: 1, salt: *salt, hash: of(&password.0, *salt) })
        }
        PasswordTask::Verify { password, hash } if of(&password.0, hash.salt) == hash.hash => PasswordResult::Right,
        PasswordTask::Verify { .. } => PasswordResult::Wrong,
    }
}

/// Files in memory.
#[derive(Default)]
pub struct Disk {
    files: HashMap<FileId, Vec<u8>>,
}

impl Disk {
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub fn carry_out(&mut self, job: Job) -> Outcome {
        match job {
            Job::Create(id) => {
                assert!(self.files.insert(id, Vec::new()).is_none(), "{id} is used twice");
                Outcome::Done
            }
            Job::Describe(..) => Outcome::Done,
            Job::Append(id, bytes) => {
                self.files.get_mut(&id).expect("bytes for a file that there is").extend_from_slice(&bytes);
                Outcome::Appended(id, bytes.len())
            }
            Job::Finish(id) => Outcome::Finished(id, Digest(Sha256::digest(&self.files[&id]).into())),
            Job::Read { file, offset, len, reader, download, .. } => {
                let from = usize::try_from(offset).unwrap();
                let data = self.files[&file][from..from + len].to_vec();
                Outcome::Data { data, reader, download }
            }
            Job::Remove(id) => {
                assert!(self.files.remove(&id).is_some(), "{id} is removed twice");
                Outcome::Done
            }
        }
    }
}

/// A hub, with clients that send bytes and see lines.
pub struct Memory {
    pub hub: Hub,
    pub notes: Notes,
    pub disk: Disk,
    pub at: Instant,
    clients: BTreeMap<String, (ConnId, Framing, Style)>,
    seen: HashMap<ConnId, VecDeque<String>>,
    count: u32,
}

impl Memory {
    pub fn new(settings: Settings) -> Self {
        Self {
            hub: Hub::new(settings),
            notes: Notes::default(),
            disk: Disk::default(),
            at: Instant::START,
            clients: BTreeMap::new(),
            seen: HashMap::new(),
            count: 0,
        }
    }

    pub fn now(&self) -> Now {
        // A day on which to find the stamps again.
        let day = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        Now { at: self.at, wall: day + (self.at - Instant::START) }
    }

    pub fn connect(&mut self, name: &str) {
        self.connect_from(name, Origin::Loopback);
    }

    pub fn connect_from(&mut self, name: &str, origin: Origin) {
        self.count += 1;
        let id = ConnId::new(self.count, 0);
        self.clients.insert(name.to_owned(), (id, Framing::default(), Style::FIRST));
        self.hub.connect(id, origin, in_clear(origin), self.now(), &mut self.notes);
        self.settle();
    }

    /// Somebody comes in by the operator's door.
    pub fn connect_control(&mut self, name: &str) {
        self.count += 1;
        let id = ConnId::new(self.count, 0);
        self.clients.insert(name.to_owned(), (id, Framing::default(), Style::FIRST));
        let now = self.now();
        self.hub.connect_control(id, now, &mut self.notes);
    }

    pub fn send(&mut self, name: &str, bytes: &[u8]) {
        self.clients.get_mut(name).unwrap().1.feed(bytes, &mut Vec::new());
        self.run(name);
    }

    pub fn end(&mut self, name: &str) {
        let (id, framing, _) = self.clients.get_mut(name).unwrap();
        let id = *id;
        framing.lines.end();
        self.run(name);
        self.hub.disconnect(id, self.now(), Departure::Quit, &mut self.notes);
        self.settle();
    }

    fn run(&mut self, name: &str) {
        let now = self.now();
        let (id, framing, style) = self.clients.get_mut(name).unwrap();
        while let Some((line, ending)) = framing.lines.next_line() {
            if ending == Ending::Crlf {
                style.crlf = true;
            }
            let text = plain::text(&line);
            if let Some(request) = plain::parse(&line, &text) {
                self.hub.handle(*id, now, request, &mut self.notes);
                self.notes.go_on(&mut self.hub, now);
            }
        }
        self.settle();
    }

    pub fn wait(&mut self, time: Duration) {
        let end = self.at + time;
        while let Some(at) = self.hub.next_alarm().filter(|&at| at <= end) {
            self.at = at.max(self.at);
            self.hub.tick(self.now(), &mut self.notes);
            self.settle();
        }
        self.at = end;
    }

    /// Lets the disk and the downloads run until nothing moves, and spells what everybody was told.
    fn settle(&mut self) {
        while !self.notes.jobs.is_empty() || !self.notes.wanting.is_empty() {
            for id in std::mem::take(&mut self.notes.wanting) {
                let told = self.notes.told.len();
                self.hub.pump(id, 4 * DOWNLOAD_UNIT, &mut self.notes);
                // All of it is taken at once, and so there is room for more.
                if self.notes.told.len() > told {
                    self.notes.wanting.push(id);
                }
            }
            if let Some(job) = self.notes.jobs.pop_front() {
                let outcome = self.disk.carry_out(job);
                self.hub.disk_did(self.now(), outcome, &mut self.notes);
            }
        }
        self.hub.check();
        for (to, told) in std::mem::take(&mut self.notes.told) {
            let Some((_, _, style)) = self.clients.values().find(|(id, _, _)| *id == to) else { continue };
            let stamp = self.notes.stamps.get(&to).copied().unwrap_or(false);
            let style = Style { stamp, ..*style };
            let mut lines = String::new();
            match &told {
                Told::Event(event) => plain::event(&mut lines, event, style),
                Told::Data(file, offset, data) => {
                    let mut spelled = Vec::new();
                    plain::data(&mut spelled, *file, *offset, data, style);
                    lines = String::from_utf8(spelled).unwrap();
                }
                Told::Detail(detail) => plain::detail(&mut lines, detail, style),
                Told::Reply(reply) => plain::reply(&mut lines, reply, style),
            }
            self.seen.entry(to).or_default().extend(lines.lines().map(str::to_owned));
        }
    }

    /// The next line that a client sees.
    pub fn next(&mut self, name: &str) -> Option<String> {
        self.seen.get_mut(&self.clients[name].0)?.pop_front()
    }
}
