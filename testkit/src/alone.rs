//! The core alone as a world: every line is carried out when it is sent, and what follows is heard when that returns.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use chinwag::effect::{Description, Job, Outcome, PastFile, PastRoom, Record};
use chinwag::event::{Bye, Event, Lost, Trouble, Unstored};
use chinwag::framing::Framing;
use chinwag::hub::{Departure, Hub};
use chinwag::limits::DOWNLOAD_UNIT;
use chinwag::linebuf::Ending;
use chinwag::names::{ConnId, Digest, FileId, Origin, Prefix, RoomName, Wire};
use chinwag::plain::{self, Style};
use chinwag::register::entry::{Founder, Rule};
use chinwag::register::{Register, Rules};
use chinwag::settings::Settings;
use chinwag::time::{Day, Instant, Now};

use crate::ledger::Ledger;
use crate::memory::{Disk, Notes, Told, in_clear, why_not};
use crate::model::{Chance, Crowd, Entry, Heard, Parting, World};

/// As much of a file as a queue takes.
const QUEUED: usize = 4 * DOWNLOAD_UNIT;
/// Slots are used again, and generations tell their users apart.
const SLOTS: u32 = 16;

/// Somebody who is, or was, connected.
struct Peer {
    id: ConnId,
    /// From where they come, if not from here.
    address: Option<IpAddr>,
    framing: Framing,
    style: Style,
    inbox: VecDeque<String>,
    is_closed: bool,
    is_locked: bool,
    is_lagging: bool,
    has_lagged: bool,
}

/// The core, with nothing around it.
pub struct Alone {
    /// The core.
    pub hub: Hub,
    settings: Settings,
    notes: Notes,
    disk: Disk,
    at: Instant,
    peers: Vec<Peer>,
    log: VecDeque<Entry>,
    /// How many messages have been in that, and how many of the records have been looked at.
    logged: usize,
    read: usize,
    /// What the disk has.
    stored: BTreeMap<FileId, Stored>,
}

/// What the disk has of a file.
#[derive(Default)]
struct Stored {
    what: Option<Description>,
    len: u64,
    digest: Option<Digest>,
}

impl Alone {
    /// An empty server.
    pub fn new(settings: Settings) -> Self {
        Self {
            hub: Hub::new(settings.clone()),
            settings,
            notes: Notes::default(),
            disk: Disk::default(),
            at: Instant::START + Duration::from_secs(1000),
            peers: Vec::new(),
            log: VecDeque::new(),
            logged: 0,
            read: 0,
            stored: BTreeMap::new(),
        }
    }

    fn now(&self) -> Now {
        Now { at: self.at, wall: SystemTime::UNIX_EPOCH + (self.at - Instant::START) }
    }

    /// Hands on what everybody was told.
    fn deliver(&mut self) {
        let now = self.now();
        self.notes.go_on(&mut self.hub, now);
        self.hub.check();
        for record in &self.notes.records[self.read..] {
            self.read += 1;
            if let Record::Said { line, .. } = &record {
                let text = line.text.as_str().to_owned();
                self.log.push_back(Entry { seq: line.seq, text, waited: Duration::ZERO });
                self.logged += 1;
            }
        }
        for (to, told) in std::mem::take(&mut self.notes.told) {
            let Some(peer) = self.peers.iter_mut().rev().find(|peer| peer.id == to && !peer.is_closed) else {
                panic!("{to:?} is gone and is told {told:?}");
            };
            let stamp = self.notes.stamps.get(&to).copied().unwrap_or(false);
            let style = Style { stamp, ..peer.style };
            let mut lines = String::new();
            match &told {
                Told::Event(event) => {
                    match event {
                        Event::Locked(_) => peer.is_locked = true,
                        Event::Hello { .. } => peer.is_locked = false,
                        _ => {}
                    }
                    plain::event(&mut lines, event, style);
                }
                Told::Detail(detail) => plain::detail(&mut lines, detail, style),
                Told::Reply(reply) => plain::reply(&mut lines, reply, style),
                Told::Data(file, offset, data) => {
                    let mut spelled = Vec::new();
                    plain::data(&mut spelled, *file, *offset, data, style);
                    lines = String::from_utf8(spelled).unwrap();
                }
            }
            peer.inbox.extend(lines.lines().map(str::to_owned));
        }
        for id in std::mem::take(&mut self.notes.closed) {
            self.peers.iter_mut().filter(|peer| peer.id == id).for_each(|peer| peer.is_closed = true);
        }
    }

    fn add_peer(&mut self, who: usize, address: Option<IpAddr>, style: Style) -> ConnId {
        let used: HashSet<usize> =
            self.peers.iter().filter(|peer| !peer.is_closed).map(|peer| peer.id.slot()).collect();
        let slot = (0..SLOTS).find(|slot| !used.contains(&(*slot as usize))).unwrap();
        let id = ConnId::new(slot, u32::try_from(who).unwrap() + 1);
        self.peers.push(Peer {
            id,
            address,
            framing: Framing::default(),
            style,
            inbox: VecDeque::new(),
            is_closed: false,
            is_locked: false,
            is_lagging: false,
            has_lagged: false,
        });
        id
    }

    fn pump(&mut self, chance: &mut dyn Chance) {
        for id in std::mem::take(&mut self.notes.wanting) {
            let room = chance.below(QUEUED);
            self.hub.pump(id, room, &mut self.notes);
            let is_here = self.peers.iter().any(|peer| peer.id == id && !peer.is_closed);
            if is_here && self.hub.is_transferring(id) && room < QUEUED / 2 {
                self.notes.wanting.push(id);
                break;
            }
        }
        self.deliver();
    }

    /// Does some of the disk's jobs, and perhaps fails in one.
    fn disk_step(&mut self, chance: &mut dyn Chance) {
        for _ in 0..chance.below(6) {
            let Some(job) = self.notes.jobs.pop_front() else { break };
            let fails = chance.one_in(200);
            let outcome = self.carry_out(job, fails);
            self.hub.disk_did(self.now(), outcome, &mut self.notes);
            self.deliver();
        }
        self.pump(chance);
    }

    /// Does a job, and notes what the disk has then.
    fn carry_out(&mut self, job: Job, fails: bool) -> Outcome {
        match job {
            Job::Append(file, bytes) if fails => {
                return Outcome::WriteFailed { file, bytes: bytes.len(), why: why_not(bytes.len()) };
            }
            Job::Read { file, len, reader, download, .. } if fails => {
                return Outcome::ReadFailed { file, len, reader, download };
            }
            _ => {}
        }
        match &job {
            Job::Create(id) => drop(self.stored.insert(*id, Stored::default())),
            Job::Append(id, bytes) => self.stored.entry(*id).or_default().len += bytes.len() as u64,
            Job::Describe(id, what) => self.stored.entry(*id).or_default().what = Some(Description::clone(what)),
            Job::Remove(id) => drop(self.stored.remove(id)),
            Job::Finish(_) | Job::Read { .. } => {}
        }
        let failed = match job {
            Job::Create(file) | Job::Finish(file) if fails => Some(file),
            _ => None,
        };
        let outcome = self.disk.carry_out(job);
        if let Some(file) = failed {
            return Outcome::WriteFailed { file, bytes: 0, why: Unstored::Failed };
        }
        if let Outcome::Finished(id, digest) = &outcome {
            self.stored.entry(*id).or_default().digest = Some(*digest);
        }
        outcome
    }

    fn lag_or_not(&mut self, chance: &mut dyn Chance) {
        // Who has not given the password is nobody who could lag.
        let is_here = |&who: &usize| !self.peers[who].is_closed && !self.peers[who].is_locked;
        let here: Vec<usize> = (0..self.peers.len()).filter(is_here).collect();
        if here.is_empty() {
            return;
        }
        let who = *chance.pick(&here);
        let peer = &mut self.peers[who];
        peer.is_lagging = !peer.is_lagging;
        if peer.is_lagging {
            peer.has_lagged = true;
            self.hub.lag(peer.id);
        } else {
            let id = peer.id;
            self.hub.caught_up(id, self.now(), &mut self.notes);
        }
        self.deliver();
    }

    /// Somebody who has gone is spoken of once more: nothing follows from it.
    fn speak_of_the_gone(&mut self, chance: &mut dyn Chance) {
        let Some(peer) = self.peers.iter().rev().find(|peer| peer.is_closed) else { return };
        let (id, now) = (peer.id, self.now());
        match chance.below(5) {
            0 => self.hub.lag(id),
            1 => self.hub.caught_up(id, now, &mut self.notes),
            2 => self.hub.pump(id, QUEUED, &mut self.notes),
            3 => self.hub.disconnect(id, now, Departure::Quit, &mut self.notes),
            _ => self.hub.handle(id, now, chinwag::request::Request::Rooms, &mut self.notes),
        }
        assert!(self.notes.told.is_empty(), "somebody who has gone is heard");
    }

    /// The rooms as the log has them.
    fn past(&self) -> impl Iterator<Item = PastRoom> + use<> {
        let mut past: BTreeMap<RoomName, PastRoom> = BTreeMap::new();
        for record in &self.notes.records {
            let (Record::Said { room: name, .. } | Record::Topic { room: name, .. } | Record::Forgotten { room: name }) =
                record;
            let room =
                past.entry(*name).or_insert(PastRoom { name: *name, topic: None, last_seq: 0, lines: Vec::new() });
            match record {
                Record::Said { line, .. } => {
                    assert_eq!(line.seq, room.last_seq + 1, "{name} has a gap");
                    room.last_seq = line.seq;
                    room.lines.push(line.clone());
                }
                Record::Topic { topic, .. } => room.topic.clone_from(topic),
                Record::Forgotten { .. } => drop(past.remove(name)),
            }
        }
        let remembered = self.settings.history.max(1);
        past.into_values().map(move |mut room| {
            room.lines.drain(..room.lines.len().saturating_sub(remembered));
            room
        })
    }

    /// The process is killed, or the machine loses power, and another begins with what was logged and stored: its rooms tell the
    /// same, if all that was noted of them is still there; whether it is, is returned.
    fn restart(&mut self, chance: &mut dyn Chance) -> bool {
        let rooms = self.rooms_to_compare();
        let before = self.history(&rooms);
        self.peers.iter_mut().for_each(|peer| peer.is_closed = true);
        // Whoever kills a process takes nothing from the ledger that was written.
        if chance.one_in(2) {
            self.notes.ledger.synced = self.notes.ledger.entries.len();
        }
        let (register, left) = self.notes.ledger.crash(chance);
        let is_all_there = left == self.notes.ledger.entries.len();
        let ledger = Ledger::left(register.entries(Day::of(self.now().wall)).collect());
        self.notes = Notes { records: std::mem::take(&mut self.notes.records), ledger, ..Notes::default() };
        // A file that is gone has had its ID, too.
        let next = self.stored.keys().next_back().map_or(1, |id| id.0 + 1);
        self.settings.next_file = next.max(self.settings.next_file) + 10;
        self.hub = Hub::new(self.settings.clone());
        self.past().for_each(|room| self.hub.restore_room(room));
        let now = self.now();
        // It is read as it was written anew.
        let mut register = Register::default();
        self.notes.ledger.entries.iter().cloned().for_each(|entry| register.apply(entry));
        for (id, file) in std::mem::take(&mut self.stored) {
            let past = file.what.and_then(|description| {
                let is_all = file.len == description.size;
                let actual = (is_all && file.digest.is_none()).then(|| self.disk.carry_out(Job::Finish(id)));
                let digest = match actual {
                    Some(Outcome::Finished(_, digest)) => Some(digest).filter(|_| description.claimed == Some(digest)),
                    _ => file.digest,
                };
                let goes_on = match digest {
                    Some(_) => is_all,
                    None => description.claimed.is_some() && 0 < file.len && file.len < description.size,
                };
                goes_on.then_some(PastFile { id, description, len: file.len, digest })
            });
            match past {
                Some(past) => {
                    let (what, len, digest) = (Some(past.description.clone()), past.len, past.digest);
                    self.stored.insert(id, Stored { what, len, digest });
                    self.hub.restore_file(past, now, &mut self.notes);
                }
                None => drop(self.disk.carry_out(Job::Remove(id))),
            }
        }
        self.hub.restore_register(register, now, &mut self.notes);
        self.deliver();
        // Where no guests come in, nobody looks.
        let is_let_in = !before.iter().any(|line| line.starts_with("! join locked"));
        if is_all_there && is_let_in {
            assert_eq!(before, self.history(&rooms));
        }
        is_all_there
    }

    /// The rooms of which there is a log, and into which anybody comes before a restart and after it: those of guests that keep
    /// something to themselves do not outlive it.
    fn rooms_to_compare(&self) -> BTreeSet<RoomName> {
        let is_open = |room: &RoomName| {
            let rules = self.hub.register().room(room).map(Rules::rules).unwrap_or_default();
            !rules.iter().any(|rule| rule.is_restriction() || matches!(rule, Rule::Limit(Some(_))))
        };
        self.past().filter(|room| room.last_seq > 0).map(|room| room.name).filter(is_open).collect()
    }

    /// What somebody who comes now is told of these rooms.
    fn history(&mut self, rooms: &BTreeSet<RoomName>) -> Vec<String> {
        let mut notes = Notes { records: self.notes.records.clone(), ..Notes::default() };
        let (id, now) = (ConnId::new(1000, 0), self.now());
        self.hub.connect(id, Origin::Loopback, Wire::Secure, now, &mut notes);
        if let Some(password) = self.settings.password.as_deref() {
            self.hub.handle(id, now, chinwag::request::Request::Pass(password), &mut notes);
        }
        for room in rooms {
            let asked = [
                format!("/join {room}"),
                format!("/topic {room}"),
                format!("/history {room} 500"),
                format!("/history {room} after 3"),
            ];
            for line in asked {
                let request = chinwag::commands::parse(&line).unwrap();
                self.hub.handle(id, now, request, &mut notes);
                notes.go_on(&mut self.hub, now);
            }
        }
        self.hub.disconnect(id, now, Departure::Quit, &mut notes);
        let mut told = String::new();
        for (_, line) in notes.told.iter().filter(|(to, _)| *to == id) {
            let style = Style::FIRST;
            match line {
                Told::Detail(detail) => plain::detail(&mut told, detail, style),
                Told::Reply(reply) => plain::reply(&mut told, reply, style),
                _ => {}
            }
        }
        let is_of_room = |line: &&str| !line.starts_with("- here ") && !line.starts_with("+ join ");
        told.lines().filter(is_of_room).map(str::to_owned).collect()
    }

    /// The log of the rooms is kept no more, or again.
    fn trouble(&mut self, chance: &mut dyn Chance) {
        let troubles = [None, None, Some(Trouble::Full), Some(Trouble::Failed), Some(Trouble::Slow)];
        self.hub.set_trouble(*chance.pick(&troubles), *chance.pick(&troubles), &mut self.notes);
        self.deliver();
    }

    /// All have gone: the disk comes to an end, all times pass, and nothing is left.
    pub fn end(&mut self) {
        for _ in 0..4 {
            while let Some(job) = self.notes.jobs.pop_front() {
                let outcome = self.carry_out(job, false);
                self.hub.disk_did(self.now(), outcome, &mut self.notes);
            }
            self.pass(Duration::from_secs(100_000));
        }
        assert!(self.disk.is_empty(), "files are left on the disk");
        assert!(self.hub.next_alarm().is_none(), "something is waited for");
        // Rooms are kept for what was said there, and blocks and what the operator has set in rooms for their own sake.
        let keeps_rooms = self.settings.history > 0 || self.settings.log.is_some();
        let is_ruled = |rules: &Rules| rules.founder() == Some(Founder::Gone);
        let register = self.hub.register();
        let keeps_rules = !register.blocks().is_empty() || register.rooms().any(|(_, rules)| is_ruled(rules));
        assert!(keeps_rooms || keeps_rules || self.hub.is_empty(), "an emptied hub holds something: {:#?}", self.hub);
    }
}

/// Where somebody comes from, if not from here.
fn address(chance: &mut dyn Chance) -> Option<IpAddr> {
    let last = u8::try_from(chance.below(4)).unwrap();
    match chance.below(3) {
        0 => Some(Ipv4Addr::new(192, 0, 2, last).into()),
        1 => Some(Ipv6Addr::new(0x2001, 0xdb8, 0, last.into(), 0, 0, 0, 1).into()),
        _ => None,
    }
}

fn origin(address: Option<IpAddr>) -> Origin {
    match address {
        Some(IpAddr::V4(address)) => Origin::Network(Prefix::v4(address.octets())),
        Some(IpAddr::V6(address)) => Origin::Network(Prefix::v6(address.octets())),
        None => Origin::Loopback,
    }
}

impl World for Alone {
    const AT_ONCE: bool = true;

    fn connect(&mut self, who: usize, chance: &mut dyn Chance) {
        let style = Style { crlf: chance.one_in(4), ..Style::FIRST };
        let address = address(chance);
        let id = self.add_peer(who, address, style);
        let origin = origin(address);
        self.hub.connect(id, origin, in_clear(origin), self.now(), &mut self.notes);
        self.deliver();
        assert!(!self.peers[who].inbox.is_empty(), "somebody was not greeted");
    }

    fn connect_control(&mut self, who: usize, _: &mut dyn Chance) -> bool {
        let id = self.add_peer(who, None, Style::FIRST);
        // Nobody is there who could lag.
        self.peers[who].is_locked = true;
        let now = self.now();
        self.hub.connect_control(id, now, &mut self.notes);
        self.deliver();
        true
    }

    fn address(&self, who: usize) -> Option<IpAddr> {
        self.peers[who].address
    }

    fn keeps(&self) -> bool {
        self.settings.log.is_some()
    }

    fn send(&mut self, who: usize, bytes: &[u8]) {
        self.peers[who].framing.feed(bytes, &mut Vec::new());
        let mut framing = std::mem::take(&mut self.peers[who].framing);
        while let Some((line, ending)) = framing.lines.next_line() {
            let now = self.now();
            let peer = &mut self.peers[who];
            if peer.is_closed {
                break;
            }
            peer.style.crlf |= ending == Ending::Crlf;
            let text = plain::text(&line);
            if let Some(request) = plain::parse(&line, &text) {
                self.hub.handle(peer.id, now, request, &mut self.notes);
                self.deliver();
            }
        }
        self.peers[who].framing = framing;
    }

    fn reconnect(&mut self, _: usize, _: &mut dyn Chance) {
        unreachable!("the core knows of no transports");
    }

    fn part(&mut self, who: usize, how: Parting) {
        let (id, now) = (self.peers[who].id, self.now());
        match how {
            Parting::End => self.hub.disconnect(id, now, Departure::Quit, &mut self.notes),
            Parting::Close => self.hub.expel(id, now, Bye::TooSlow, &mut self.notes),
            Parting::Reset => self.hub.disconnect(id, now, Departure::Lost(Lost::Reset), &mut self.notes),
        }
        self.notes.told.retain(|(to, _)| *to != id);
        self.peers[who].is_closed = true;
        self.deliver();
    }

    fn hear(&mut self, who: usize) -> Option<Heard> {
        let line = self.peers[who].inbox.pop_front()?;
        let logged = self.settings.log.map(|_| self.logged);
        Some(Heard { line, logged, waited: Duration::ZERO })
    }

    fn is_closed(&self, who: usize) -> bool {
        self.peers[who].is_closed && self.peers[who].inbox.is_empty()
    }

    fn was_cut(&self, _: usize) -> bool {
        false
    }

    fn pass(&mut self, time: Duration) {
        self.at += time;
        self.hub.tick(self.now(), &mut self.notes);
        assert!(self.hub.next_alarm().is_none_or(|at| at > self.at), "an alarm is due still");
        self.deliver();
    }

    fn disturb(&mut self, chance: &mut dyn Chance) {
        match chance.below(32) {
            0..25 => self.disk_step(chance),
            25..28 => self.lag_or_not(chance),
            28 => self.trouble(chance),
            _ => self.speak_of_the_gone(chance),
        }
    }

    fn is_slow(&self, who: usize) -> bool {
        self.peers[who].is_lagging
    }

    fn was_slow(&self, who: usize) -> bool {
        self.peers[who].has_lagged
    }

    fn next_logged(&mut self) -> Option<Entry> {
        self.log.pop_front()
    }

    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    fn online(&self) -> (u64, BTreeMap<String, usize>) {
        let (version, online) = self.hub.online();
        (version, online.iter().map(|(nick, ways)| (nick.to_string(), *ways)).collect())
    }

    fn register(&self) -> &Register {
        self.hub.register()
    }

    fn crashed(&mut self, chance: &mut dyn Chance) -> (Register, SystemTime) {
        (self.notes.ledger.crash(chance).0, self.now().wall)
    }
}

impl Crowd<Alone> {
    /// The server is killed, and another begins.
    pub fn restart(&mut self, chance: &mut dyn Chance) {
        let is_all_there = self.world.restart(chance);
        let wall = self.world.now().wall;
        self.killed(wall, is_all_there);
    }
}
