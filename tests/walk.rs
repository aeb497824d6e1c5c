//! A random walk over the core: whatever people do, in whatever order, what must hold holds after each step.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests are no library, and may panic"
)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use chinwag::commands;
use chinwag::event::{
    Change, Description, Detail, Done, Event, Happening, Job, Lost, Now, Outcome, PastFile, PastRoom, Record, Reply,
    SaidKind, Setting, Verb,
};
use chinwag::hub::{Departure, Hub};
use chinwag::limits::{
    DOWNLOAD_UNIT, FILES, FILES_A_SENDER, MINUTE, READ_AHEAD, READ_AHEAD_IN_ALL, ROOMS as ROOMS_IN_ALL, ROOMS_A_PERSON,
    UPLOADS,
};
use chinwag::names::{ConnId, Digest, FileId, Nick, Origin, Place, Prefix, RoomName, clean};
use chinwag::request::{BadChunk, Named, Offer, Request, Target};
use chinwag::settings::{Logging, Settings};
use testkit::memory::{Disk, Memory, Notes, Told};

/// As much as a queue takes.
const QUEUED: usize = 4 * DOWNLOAD_UNIT;

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % sides as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

/// What the walk knows of a connection, from nothing but what the connection was told and did.
#[derive(Default)]
struct Client {
    nick: String,
    rooms: BTreeSet<String>,
    echo: bool,
    presence: bool,
    lagging: bool,
    ignores: BTreeSet<ConnId>,
    /// A copy of the server's list, once `/who` gave it.
    online: Option<(u64, BTreeSet<String>)>,
    rows: Vec<String>,
    /// Where each download is.
    downloads: HashMap<FileId, u64>,
    /// The upload that chunks belong to.
    upload: Option<FileId>,
    /// Uploads whose end has not been told.
    uploads: BTreeSet<FileId>,
}

/// What the walk knows of a file.
struct File {
    size: usize,
    bytes: Vec<u8>,
    sender: ConnId,
    /// A room, or the one connection that it is for.
    room: Option<String>,
    receiver: Option<ConnId>,
}

struct Walk {
    hub: Hub,
    notes: Notes,
    disk: Disk,
    dice: Dice,
    tick: Duration,
    next_conn: u32,
    clients: BTreeMap<ConnId, Client>,
    files: HashMap<FileId, File>,
    /// Who is owed each message of a room and has not been told it or of its being missed.
    owed: HashMap<(String, u64), BTreeSet<ConnId>>,
    /// The message that is being heard.
    said: Option<(String, u64)>,
    /// Who may hear each text; every text is said once.
    audience: HashMap<String, BTreeSet<ConnId>>,
    texts: u64,
    counted: BTreeMap<&'static str, u64>,
}

const NICKS: &[&str] = &["ann", "Bob", "bob", "cyd", "guest1", "Guest2", "guest3", "dee"];
const ROOMS: &[&str] = &["#a", "#B", "#c", "#A"];

impl Walk {
    fn new(seed: u64, settings: Settings) -> Self {
        Self {
            hub: Hub::new(settings),
            notes: Notes::default(),
            disk: Disk::default(),
            dice: Dice(seed * 2 + 1),
            tick: Duration::from_secs(1000),
            next_conn: 0,
            clients: BTreeMap::new(),
            files: HashMap::new(),
            owed: HashMap::new(),
            said: None,
            audience: HashMap::new(),
            texts: 0,
            counted: BTreeMap::new(),
        }
    }

    fn now(&self) -> Now {
        Now { tick: self.tick, wall: SystemTime::UNIX_EPOCH + self.tick }
    }

    fn somebody(&mut self) -> Option<ConnId> {
        let ids: Vec<ConnId> = self.clients.keys().copied().collect();
        if ids.is_empty() { None } else { Some(*self.dice.pick(&ids)) }
    }

    fn nick_of_somebody(&mut self) -> String {
        match self.somebody() {
            Some(id) if self.dice.roll(8) > 0 => self.clients[&id].nick.clone(),
            _ => (*self.dice.pick(NICKS)).to_owned(),
        }
    }

    fn target(&mut self) -> String {
        if self.dice.roll(3) > 0 { (*self.dice.pick(ROOMS)).to_owned() } else { self.nick_of_somebody() }
    }

    fn some_file(&mut self) -> u64 {
        let newest = self.files.keys().map(|id| id.0).max().unwrap_or(0);
        newest.saturating_sub(self.dice.roll(6) as u64)
    }

    fn step(&mut self) {
        match self.dice.roll(100) {
            0..4 if self.clients.len() < 9 => self.connect(),
            4..6 => self.disconnect(),
            6..14 => self.pass_time(),
            14..34 => self.disk_step(),
            34..36 => self.lag_or_not(),
            36..52 => self.send_chunk(),
            52..60 => self.say(),
            _ => self.command(),
        }
        self.hub.check();
        if self.dice.roll(50) == 0 {
            self.check_at_rest();
        }
    }

    fn connect(&mut self) {
        self.next_conn += 1;
        // Slots are used again, and generations tell their users apart.
        let id = ConnId::new(self.next_conn % 16, self.next_conn);
        if self.clients.keys().any(|other| other.slot() == id.slot()) {
            return;
        }
        self.clients.insert(id, Client { presence: true, ..Client::default() });
        self.hub.connect(id, Origin::Loopback, self.now(), &mut self.notes);
        self.read(None);
        assert!(!self.clients[&id].nick.is_empty(), "somebody was not greeted");
    }

    fn disconnect(&mut self) {
        let Some(id) = self.somebody() else { return };
        let how = if self.dice.roll(2) == 0 { Departure::Quit } else { Departure::Lost(Lost::Reset) };
        self.hub.disconnect(id, self.now(), how, &mut self.notes);
        self.gone(id);
    }

    fn gone(&mut self, id: ConnId) {
        self.read(None);
        self.clients.remove(&id);
        for owed in self.owed.values_mut() {
            owed.remove(&id);
        }
    }

    fn pass_time(&mut self) {
        self.tick += match self.dice.roll(120) {
            0 => Duration::from_secs(70),
            1 => Duration::from_secs(700),
            n => Duration::from_millis(n as u64 * 20),
        };
        self.hub.tick(self.now(), &mut self.notes);
        assert!(self.hub.next_alarm().is_none_or(|at| at > self.tick));
        self.read(None);
    }

    /// Does some of the disk's jobs, and lets downloads go on.
    fn disk_step(&mut self) {
        for _ in 0..self.dice.roll(6) {
            let Some(job) = self.notes.jobs.pop_front() else { break };
            let may_fail = matches!(job, Job::Append(..) | Job::Read { .. });
            let outcome = if may_fail && self.dice.roll(200) == 0 {
                match job {
                    Job::Append(file, bytes) => Outcome::WriteFailed { file, bytes: bytes.len(), full: true },
                    Job::Read { file, len, reader, download, .. } => {
                        Outcome::ReadFailed { file, len, reader, download }
                    }
                    _ => unreachable!(),
                }
            } else {
                self.disk.carry_out(job)
            };
            self.hub.disk_did(self.now(), outcome, &mut self.notes);
            self.read(None);
        }
        for id in std::mem::take(&mut self.notes.wanting) {
            let room = self.dice.roll(QUEUED);
            self.hub.pump(id, room, &mut self.notes);
            if self.clients.contains_key(&id) && self.hub.is_transferring(id) && room < QUEUED / 2 {
                self.notes.wanting.push(id);
                break;
            }
        }
        self.read(None);
    }

    fn lag_or_not(&mut self) {
        let Some(id) = self.somebody() else { return };
        let client = self.clients.get_mut(&id).unwrap();
        client.lagging = !client.lagging;
        if client.lagging {
            client.online = None;
            self.hub.lag(id);
        } else {
            self.hub.caught_up(id, self.now(), &mut self.notes);
        }
        self.read(None);
    }

    fn send_chunk(&mut self) {
        // Mostly whoever is sending goes on, and mostly not too far.
        let is_sending = |client: &Client| client.upload.is_some_and(|file| client.uploads.contains(&file));
        let sending = self.clients.iter().filter(|(_, client)| is_sending(client)).map(|(&id, _)| id);
        let sending: Vec<ConnId> = sending.collect();
        let goes_on = !sending.is_empty() && self.dice.roll(10) > 0;
        let Some(id) = (if goes_on { Some(*self.dice.pick(&sending)) } else { self.somebody() }) else { return };
        let left = self.clients[&id]
            .upload
            .and_then(|file| self.files.get(&file))
            .map(|file| file.size.saturating_sub(file.bytes.len()));
        let most = if self.dice.roll(30) == 0 { 400 } else { left.unwrap_or(400).min(400) };
        let len = if self.dice.roll(3) == 0 { most } else { self.dice.roll(most + 1) };
        let bytes: Vec<u8> = (0..len).map(|_| self.dice.roll(256) as u8).collect();
        let is_bad = self.dice.roll(40) == 0;
        if let Some(file) = self.clients[&id].upload.and_then(|file| self.files.get_mut(&file)) {
            file.bytes.extend_from_slice(&bytes);
        }
        let chunk = match self.dice.roll(60) {
            0 => Err(BadChunk::TooLong),
            _ if is_bad => Err(BadChunk::Malformed),
            _ => Ok(bytes),
        };
        self.hub.handle(id, self.now(), Request::Chunk(chunk), &mut self.notes);
        let replies = self.read(Some(id));
        assert!(replies.is_empty() || matches!(replies[..], [Reply::Refused { verb: Verb::Chunk, .. }]), "{replies:?}");
    }

    fn new_text(&mut self) -> String {
        self.texts += 1;
        format!("text {}", self.texts)
    }

    /// Notes who may hear `text`, which `id` is about to say to `target`.
    fn note_audience(&mut self, id: ConnId, target: Option<&str>, text: &str) {
        let speaker = &self.clients[&id];
        let mut audience = BTreeSet::new();
        for (&other, client) in &self.clients {
            let named = target.map(str::to_lowercase);
            let is_meant = match named.as_deref() {
                Some(room) if room.starts_with('#') => client.rooms.contains(room),
                Some(nick) => client.nick.to_lowercase() == nick,
                // The current target is the hub's to know; at least it must be in a room with the speaker, or alone.
                None => true,
            };
            if (is_meant && !client.ignores.contains(&id)) || (other == id && speaker.echo) {
                audience.insert(other);
            }
        }
        self.audience.insert(text.to_owned(), audience);
    }

    fn say(&mut self) {
        let Some(id) = self.somebody() else { return };
        let text = self.new_text();
        self.note_audience(id, None, &text);
        self.hub.handle(id, self.now(), Request::Say { kind: SaidKind::Text, text: &text }, &mut self.notes);
        let replies = self.read(Some(id));
        assert!(replies.is_empty() || matches!(replies[..], [Reply::Refused { verb: Verb::Say, .. }]), "{replies:?}");
    }

    fn command(&mut self) {
        let Some(id) = self.somebody() else { return };
        let text = self.new_text();
        let (nick, target, room) = (self.nick_of_somebody(), self.target(), *self.dice.pick(ROOMS));
        let (file, number) = (self.some_file(), self.dice.roll(2000));
        let switch = *self.dice.pick(&["on", "off"]);
        let line = match self.dice.roll(33) {
            0 => format!("/nick {}", self.dice.pick(NICKS)),
            1..5 => format!("/join {room}"),
            5 => format!("/leave {room} {text}"),
            6 => "/leave".to_owned(),
            7 => format!("/query {target}"),
            8 | 9 => format!("/msg {target} {text}"),
            10 => format!("/me {text}"),
            11 => format!("/typing {target} {switch}"),
            12 => "/typing".to_owned(),
            13 => format!("/topic {room} {text}"),
            14 | 15 => format!("/send {target} {number} name {number}.txt"),
            16 | 31 => {
                // Of bytes that are not known yet no digest is right; that a wrong one is found is seen here too.
                let digest = "0".repeat(64);
                format!("/send {room} {} sha256:{digest} fixed.txt", 500)
            }
            17..20 => format!("/get {file} {}", self.dice.roll(3) * 100),
            20 => format!("/cancel {file}"),
            21 => format!("/history {room} {}", self.dice.roll(20)),
            22 => format!("/history {room} after {}", self.dice.roll(20)),
            23 => format!("/ignore {nick}"),
            24 => format!("/unignore {nick}"),
            25 => format!("/set echo {switch}"),
            26 => format!("/set presence {switch}"),
            27 => "/who".to_owned(),
            28 => format!("/who {target}"),
            29 => (*self.dice.pick(&["/rooms", "/files", "/limits", "/help", "/ignore", "/set", "/ping x"])).to_owned(),
            30 => (*self.dice.pick(&["/away gone", "/away", "/back", "/nope", "/nick", "/get x", "/send"])).to_owned(),
            _ if self.dice.roll(4) == 0 => format!("/quit {text}"),
            _ => format!("/typing {target}"),
        };
        self.run(id, &line, &text);
    }

    fn run(&mut self, id: ConnId, line: &str, text: &str) {
        let request = commands::parse(line).unwrap();
        let verb = request.verb();
        if let Some(spec) = commands::spec_of(verb) {
            *self.counted.entry(spec.name).or_default() += 1;
        }
        match &request {
            Request::Msg {
                target: Target::Room(Named { typed, .. }) | Target::Person(Named { typed, .. }), ..
            } => {
                self.note_audience(id, Some(typed), text);
            }
            Request::Say { .. } => self.note_audience(id, None, text),
            _ => {}
        }
        if verb == Verb::Send {
            self.clients.get_mut(&id).unwrap().upload = None;
        }
        let ignored = match &request {
            Request::Ignore(Some(whom)) | Request::Unignore(whom) => {
                let named = |(_, client): &(&ConnId, &Client)| client.nick.eq_ignore_ascii_case(whom.typed);
                self.clients.iter().find(named).map(|(&id, _)| id)
            }
            _ => None,
        };
        let share = match &request {
            Request::Send(Offer {
                target: Target::Room(Named { typed, .. }) | Target::Person(Named { typed, .. }),
                size,
                ..
            }) => Some(((*typed).to_owned(), usize::try_from(*size).unwrap())),
            _ => None,
        };
        self.hub.handle(id, self.now(), request, &mut self.notes);
        let now = self.now();
        self.notes.go_on(&mut self.hub, now);
        let replies = self.read(Some(id));
        assert_eq!(replies.len(), 1, "{line}: {replies:?}");
        let client = self.clients.get_mut(&id).unwrap();
        match &replies[0] {
            Reply::Refused { verb: refused, .. } => assert_eq!(*refused, verb, "{line}"),
            Reply::Done(done) => match done {
                Done::Nick(nick) => client.nick = nick.to_string(),
                Done::Join { room, count } => {
                    client.rooms.insert(room.to_string().to_lowercase());
                    let here = self.clients.values().filter(|c| c.rooms.contains(&room.to_string().to_lowercase()));
                    assert_eq!(here.count(), *count);
                }
                Done::Leave(room) => {
                    let room = room.to_string().to_lowercase();
                    client.rooms.remove(&room);
                    self.owed.iter_mut().filter(|((name, _), _)| *name == room).for_each(|(_, owed)| {
                        owed.remove(&id);
                    });
                }
                Done::Ignore(_) => drop(client.ignores.insert(ignored.unwrap())),
                Done::Unignore(_) => {
                    // Only somebody who is here is known by name; the gone are ignored in vain.
                    if let Some(ignored) = ignored {
                        client.ignores.remove(&ignored);
                    }
                }
                Done::Set(Change { setting: Setting::Echo, on }) => client.echo = *on,
                Done::Set(Change { setting: Setting::Presence, on }) => {
                    client.presence = *on;
                    client.online = None;
                }
                Done::Who { version, count } => {
                    assert_eq!(client.rows.len(), *count);
                    if line == "/who" && client.presence && !client.lagging {
                        client.online = Some((*version, client.rows.drain(..).collect()));
                    }
                }
                Done::Send { id: file, offset } => {
                    if *offset > 0 {
                        *self.counted.entry("resumed").or_default() += 1;
                    }
                    let (target, size) = share.unwrap();
                    let target = target.to_lowercase();
                    let receiver =
                        self.clients.iter().find(|(_, c)| c.nick.to_lowercase() == target).map(|(&id, _)| id);
                    let room = target.starts_with('#').then_some(target);
                    let receiver = receiver.filter(|_| room.is_none());
                    let known =
                        self.files.entry(*file).or_insert(File { size, bytes: Vec::new(), sender: id, room, receiver });
                    known.sender = id;
                    known.bytes.truncate(usize::try_from(*offset).unwrap());
                    assert_eq!(known.bytes.len() as u64, *offset);
                    let client = self.clients.get_mut(&id).unwrap();
                    client.upload = Some(*file);
                    client.uploads.insert(*file);
                }
                Done::Get { id: file, offset, .. } => drop(client.downloads.insert(*file, *offset)),
                Done::Cancel(file) if client.downloads.remove(file).is_some() => {}
                Done::Cancel(file) => drop(client.uploads.take(file)),
                Done::Quit => {
                    assert_eq!(std::mem::take(&mut self.notes.closed), [id]);
                    self.gone(id);
                }
                _ => {}
            },
        }
        if let Some(client) = self.clients.get_mut(&id) {
            client.rows.clear();
        }
    }

    /// Reads what everybody was told, and checks that it was theirs to hear. Returns the replies, which only `asking` may get.
    fn read(&mut self, asking: Option<ConnId>) -> Vec<Reply> {
        let mut replies = Vec::new();
        self.said = None;
        for (to, told) in std::mem::take(&mut self.notes.told) {
            match told {
                Told::Reply(reply) => {
                    assert_eq!(Some(to), asking, "a reply that nobody asked for: {reply:?}");
                    replies.push(reply);
                }
                Told::Detail(detail) => {
                    assert!(Some(to) == asking && replies.is_empty(), "a detail that nobody asked for: {detail:?}");
                    if let Detail::Who { nick, .. } = detail {
                        self.clients.get_mut(&to).unwrap().rows.push(nick.to_string());
                    }
                }
                Told::Event(event) => {
                    assert!(
                        Some(to) != asking || replies.is_empty() || matches!(event, Event::Hello { .. }),
                        "after the reply: {event:?}"
                    );
                    self.hear(to, asking, event);
                }
                Told::Data(file, data) => self.receive(to, file, &data),
            }
        }
        replies
    }

    fn receive(&mut self, to: ConnId, file: FileId, data: &[u8]) {
        *self.counted.entry("data").or_default() += 1;
        let (client, known) = (self.clients.get_mut(&to).unwrap(), &self.files[&file]);
        let is_for = match &known.room {
            Some(room) => client.rooms.contains(room),
            None => known.receiver == Some(to),
        };
        assert!(is_for || known.sender == to, "{to:?} gets bytes of {file}");
        let at = client.downloads.get_mut(&file).expect("a download that was asked for");
        let from = usize::try_from(*at).unwrap();
        assert_eq!(known.bytes[from..from + data.len()], *data);
        // Lines begin at multiples of their length, and only the last one of the file is shorter.
        *at += data.len() as u64;
        assert!(from % DOWNLOAD_UNIT + data.len() <= DOWNLOAD_UNIT || from % DOWNLOAD_UNIT == 0);
        assert!(*at % DOWNLOAD_UNIT as u64 == 0 || *at == known.size as u64);
    }

    fn hear(&mut self, to: ConnId, asking: Option<ConnId>, event: Event) {
        *self.counted.entry(kind(&event)).or_default() += 1;
        let Some(client) = self.clients.get_mut(&to) else { panic!("{to:?} is gone and hears {event:?}") };
        match event {
            Event::Hello { nick, .. } => client.nick = nick.to_string(),
            Event::Presence { version, gone, came } => {
                assert!(client.presence && !client.lagging);
                assert!(!gone.is_empty() || !came.is_empty());
                if let Some((known, online)) = &mut client.online {
                    assert_eq!(version, *known + 1, "a version is left out");
                    *known = version;
                    online.retain(|name| !gone.contains(name));
                    online.extend(came);
                }
            }
            Event::Said { place, seq, text, .. } => {
                let text = text.as_str().to_owned();
                assert!(self.audience[&text].contains(&to), "{to:?} hears {text:?} in {place:?}");
                if let (Place::Room(room), Some(seq)) = (place, seq) {
                    let room = room.to_string().to_lowercase();
                    assert!(client.rooms.contains(&room) && !client.lagging);
                    // The first who hears it shows who else must: all others in the room who are not spared.
                    let from = asking.unwrap();
                    let clients = &self.clients;
                    let key = (room.clone(), seq);
                    // A room that was forgotten counts from 1 again.
                    if self.said.replace(key.clone()).as_ref() != Some(&key) {
                        self.owed.remove(&key);
                    }
                    let owed = self.owed.entry(key).or_insert_with(|| {
                        let is_due = |id: ConnId, c: &Client| {
                            c.rooms.contains(&room) && !c.ignores.contains(&from) && (id != from || c.echo)
                        };
                        clients.iter().filter(|(id, c)| is_due(**id, c)).map(|(&id, _)| id).collect()
                    });
                    assert!(owed.remove(&to), "{to:?} hears {room} {seq} and was not to");
                }
            }
            Event::Happened { place, what, .. } => {
                if let Place::Room(room) = place {
                    let room = room.to_string().to_lowercase();
                    let own = matches!(what, Happening::Unfile { .. });
                    assert!(client.rooms.contains(&room) || own, "{to:?} hears {what:?} of {room}");
                    if let Happening::Missed { count, after } = what {
                        for seq in after + 1..=after + count {
                            self.owed.get_mut(&(room.clone(), seq)).map(|owed| owed.remove(&to));
                        }
                    }
                }
            }
            // Who fetches their own file hears first of the end of the upload.
            Event::Whole { file, size, .. } => {
                if !client.uploads.remove(&file) {
                    assert_eq!(client.downloads.remove(&file), Some(size), "{to:?} {file}");
                }
            }
            Event::Broken { file, .. } => {
                assert!(client.uploads.remove(&file) || client.downloads.remove(&file).is_some(), "{to:?} {file}");
            }
            // Everybody is told, in whatever state.
            Event::NotKept(_) | Event::KeptAgain => {}
            Event::Motd(_) | Event::Locked | Event::Bye(_) => panic!("{event:?}"),
        }
    }

    /// When no change waits to be told, every copy of the list is the list, and nobody is owed a message.
    fn check_at_rest(&mut self) {
        self.tick += Duration::from_millis(260);
        self.hub.tick(self.now(), &mut self.notes);
        self.read(None);
        let (version, online) = self.hub.online();
        let online: BTreeSet<String> = online.iter().map(ToString::to_string).collect();
        let known: BTreeSet<String> = self.clients.values().map(|client| client.nick.clone()).collect();
        assert_eq!(online, known, "the list is not who is there");
        for client in self.clients.values() {
            if let Some((known, copy)) = &client.online {
                assert_eq!((*known, copy), (version, &online), "the copy of {}", client.nick);
            }
        }
        for ((room, seq), owed) in &self.owed {
            for id in owed {
                assert!(self.clients[id].lagging, "{} never heard {room} {seq}", self.clients[id].nick);
            }
        }
        self.owed.retain(|_, owed| !owed.is_empty());
    }

    /// A hub that knows nothing but what was written down has the same rooms to tell of.
    fn check_restart(&mut self, settings: Settings) {
        let mut past: BTreeMap<RoomName, PastRoom> = BTreeMap::new();
        for record in &self.notes.records {
            let (Record::Said { room: name, .. } | Record::Topic { room: name, .. }) = record;
            let room =
                past.entry(*name).or_insert(PastRoom { name: *name, topic: None, last_seq: 0, lines: Vec::new() });
            match record {
                Record::Said { line, .. } => {
                    assert_eq!(line.seq, room.lines.last().map_or(0, |last| last.seq) + 1, "{name} has a gap");
                    room.last_seq = line.seq;
                    room.lines.push(line.clone());
                }
                Record::Topic { topic, .. } => room.topic.clone_from(topic),
            }
        }
        let remembered = settings.history.max(1);
        let mut again = Hub::new(settings);
        for mut room in past.into_values() {
            room.lines.drain(..room.lines.len().saturating_sub(remembered));
            again.restore_room(room);
        }
        again.check();
        let mut asked: Vec<String> = ROOMS.iter().map(ToString::to_string).collect();
        asked.retain(|room| {
            self.notes
                .records
                .iter()
                .any(|r| matches!(r, Record::Said { room: r, .. } if r.as_str().eq_ignore_ascii_case(room)))
        });
        let now = self.now();
        let [before, after] = [&mut self.hub, &mut again].map(|hub| {
            let (mut notes, id) =
                (Notes { records: self.notes.records.clone(), ..Notes::default() }, ConnId::new(1000, 0));
            hub.connect(id, Origin::Loopback, now, &mut notes);
            for room in &asked {
                for line in [
                    format!("/join {room}"),
                    format!("/topic {room}"),
                    format!("/history {room} 500"),
                    format!("/history {room} after 3"),
                ] {
                    hub.handle(id, now, commands::parse(&line).unwrap(), &mut notes);
                    notes.go_on(hub, now);
                }
            }
            hub.disconnect(id, now, Departure::Quit, &mut notes);
            notes.told.retain(|(to, told)| {
                *to == id
                    && matches!(
                        told,
                        Told::Detail(Detail::Line { .. })
                            | Told::Reply(Reply::Done(Done::Topic { .. } | Done::History { .. }))
                    )
            });
            notes.told.iter().map(|(_, told)| format!("{told:?}")).collect::<Vec<_>>()
        });
        assert_eq!(before, after);
        *self.counted.entry("restored").or_default() += after.len() as u64;
    }

    /// Everybody goes, all times pass: what is left?
    fn end(&mut self) {
        while let Some(id) = self.somebody() {
            self.hub.disconnect(id, self.now(), Departure::Quit, &mut self.notes);
            self.gone(id);
        }
        for _ in 0..4 {
            while let Some(job) = self.notes.jobs.pop_front() {
                let outcome = self.disk.carry_out(job);
                self.hub.disk_did(self.now(), outcome, &mut self.notes);
            }
            self.tick += Duration::from_secs(100_000);
            self.hub.tick(self.now(), &mut self.notes);
        }
        self.read(None);
        self.hub.check();
        assert!(self.disk.is_empty(), "files are left on the disk");
    }
}

/// What the walk must come across, or it shows nothing.
const KINDS: &[&str] = &[
    "said", "presence", "data", "whole", "broken", "missed", "typing", "idle", "file", "unfile", "away", "lost",
    "resumed", "restored",
];

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Said { .. } => "said",
        Event::Presence { .. } => "presence",
        Event::Whole { .. } => "whole",
        Event::Broken { .. } => "broken",
        Event::Happened { what, .. } => match what {
            Happening::Missed { .. } => "missed",
            Happening::Typing => "typing",
            Happening::Idle => "idle",
            Happening::File { .. } => "file",
            Happening::Unfile { .. } => "unfile",
            Happening::Away(_) => "away",
            Happening::Lost(_) => "lost",
            _ => "other",
        },
        _ => "other",
    }
}

fn settings(seed: u64, history: usize) -> Settings {
    let rate = if seed.is_multiple_of(3) { 20 } else { 0 };
    let log = seed.is_multiple_of(4).then_some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let history = if log.is_some() { history + seed as usize % 3 * 4 } else { history };
    Settings { history, rate, log, max_file: 1800, spool: 5000, ..Settings::default() }
}

#[test]
fn a_hundred_thousand_steps() {
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..100 {
        let history = if seed % 2 == 0 { 0 } else { 5 };
        let settings = settings(seed, history);
        let is_logged = settings.log.is_some();
        let mut walk = Walk::new(seed, settings.clone());
        for _ in 0..2000 {
            walk.step();
        }
        if is_logged {
            walk.check_restart(settings);
        }
        walk.end();
        assert!(history > 0 || is_logged || walk.hub.is_empty(), "an emptied hub holds something: {:#?}", walk.hub);
        for (what, times) in walk.counted {
            *counted.entry(what).or_default() += times;
        }
    }
    for kind in KINDS {
        assert!(counted.get(kind).is_some_and(|&times| times >= 20), "the walk hardly came across {kind}: {counted:?}");
    }
    let never: Vec<_> = commands::TABLE.iter().filter(|spec| !counted.contains_key(spec.name)).collect();
    assert!(never.iter().all(|spec| spec.name == "pass"), "the walk never used {never:?}");
}

#[test]
fn long_answers_are_refused_while_much_waits_for_everybody() {
    let mut memory = Memory::new(Settings::default());
    memory.connect("alice");
    memory.send("alice", b"/join #a\nhello\n");
    while memory.next("alice").is_some() {}
    memory.notes.is_crowded = true;
    for command in ["who", "who #a", "rooms", "history", "files"] {
        memory.send("alice", format!("/{command}\n").as_bytes());
        let want = format!("! {} busy ", command.split(' ').next().unwrap());
        assert!(memory.next("alice").is_some_and(|line| line.starts_with(&want)), "{command}");
    }
    memory.send("alice", b"/msg #a talk goes on\n");
    assert_eq!(memory.next("alice").as_deref(), Some("+ msg #a"));
    memory.notes.is_crowded = false;
    memory.send("alice", b"/rooms\n");
    assert_eq!(memory.next("alice").as_deref(), Some("- #a 1"));
}

#[test]
fn what_a_network_has_used_up_is_no_more_for_whoever_connects_anew() {
    let mut memory = Memory::new(Settings::default());
    let home = Origin::Network(Prefix::v4([203, 0, 113, 5]));
    let last = |memory: &mut Memory, name: &str| std::iter::from_fn(|| memory.next(name)).last().unwrap();
    // One connection has ten renames, a network a hundred, however many connections they come over.
    for n in 0..10 {
        let name = format!("c{n}");
        memory.connect_from(&name, home);
        memory.send(&name, (0..10).map(|i| format!("/nick c{n}x{i}\n")).collect::<String>().as_bytes());
        assert_eq!(last(&mut memory, &name), format!("+ nick c{n}x9"));
        memory.end(&name);
    }
    let elsewhere = Origin::Network(Prefix::v4([203, 0, 113, 6]));
    for (name, origin, want) in
        [("one", home, "! nick too-many "), ("two", elsewhere, "+ "), ("three", Origin::Loopback, "+ ")]
    {
        memory.connect_from(name, origin);
        memory.send(name, format!("/nick {name}\n").as_bytes());
        assert!(last(&mut memory, name).starts_with(want), "{name}");
    }
    memory.wait(MINUTE);
    memory.send("one", b"/nick one\n");
    assert_eq!(last(&mut memory, "one"), "+ nick one");
}

#[test]
fn guessing_a_password_ends_with_the_tries_of_a_network() {
    let mut memory = Memory::new(Settings { password: Some("open".to_owned()), ..Settings::default() });
    let home = Origin::Network(Prefix::v4([203, 0, 113, 5]));
    let last = |memory: &mut Memory, name: &str| std::iter::from_fn(|| memory.next(name)).last().unwrap();
    for name in ["one", "two"] {
        memory.connect_from(name, home);
        memory.send(name, b"/pass a\n/pass b\n/pass c\n/pass d\n/pass e\n");
        assert!(last(&mut memory, name).starts_with("* bye refused "), "{name}");
    }
    assert_eq!(memory.notes.wrong_passwords.len(), 10);
    // Now even the right one is not heard, from there.
    memory.connect_from("three", home);
    memory.send("three", b"/pass open\n");
    let told: Vec<String> = std::iter::from_fn(|| memory.next("three")).collect();
    assert!(told[1].starts_with("! pass too-many ") && told[2].starts_with("* bye refused "), "{told:?}");
    for (name, origin) in [("four", Origin::Loopback), ("five", Origin::Network(Prefix::v4([203, 0, 113, 6])))] {
        memory.connect_from(name, origin);
        memory.send(name, b"/pass open\n");
        assert!(last(&mut memory, name).starts_with("* hello "), "{name}");
    }
    memory.wait(10 * MINUTE);
    memory.connect_from("six", home);
    memory.send("six", b"/pass open\n");
    assert!(last(&mut memory, "six").starts_with("* hello "));
}

#[test]
fn what_comes_back_goes_when_its_time_is_over() {
    let hour = Duration::from_secs(3600);
    let log = Some(Logging { max: u64::MAX, sync: Duration::ZERO });
    let mut hub = Hub::new(Settings { log, file_ttl: 24 * hour, ..Settings::default() });
    let mut notes = Notes::default();
    let wall = SystemTime::UNIX_EPOCH + 1000 * hour;
    let claimed = Some(Digest([7; 32]));
    for (id, len, digest) in [(1, 10, claimed), (2, 5, None)] {
        let (room, from) = (RoomName::new("#a").unwrap(), Nick::new("alice").unwrap());
        let description = Description { room, from, size: 10, at: wall - 23 * hour, claimed, name: "x".to_owned() };
        let file = PastFile { id: FileId(id), description, len, digest };
        hub.restore_file(file, Now { tick: Duration::ZERO, wall }, &mut notes);
    }
    // The upload that can be taken up waits for ten minutes, and the whole one has the hour that was left.
    let mut gone = |after: Duration| {
        hub.tick(Now { tick: after, wall: wall + after }, &mut notes);
        hub.check();
        notes.jobs.drain(..).collect::<Vec<_>>()
    };
    let moment = Duration::from_secs(1);
    assert_eq!(gone(hour / 6 - moment), []);
    assert_eq!(gone(hour / 6), [Job::Remove(FileId(2))]);
    assert_eq!(gone(hour - moment), []);
    assert_eq!(gone(hour), [Job::Remove(FileId(1))]);
}

#[test]
fn so_many_rooms_and_files_there_are_at_most() {
    let mut memory = Memory::new(Settings { rate: 0, ..Settings::default() });
    let names: Vec<String> = (0..ROOMS_IN_ALL / ROOMS_A_PERSON).map(|n| format!("c{n}")).collect();
    for (who, name) in names.iter().enumerate() {
        memory.connect(name);
        let joins: String = (0..ROOMS_A_PERSON).map(|n| format!("/join #r{who}-{n}\n")).collect();
        memory.send(name, joins.as_bytes());
    }
    let answer = |memory: &mut Memory, name: &str, to: &str| {
        std::iter::from_fn(|| memory.next(name)).filter(|line| line.contains(to)).last().unwrap()
    };
    memory.connect("late");
    memory.send("late", b"/join #more\n");
    assert!(answer(&mut memory, "late", " join ").starts_with("! join too-many "));
    // One in which nobody is any more makes place, although something was said there.
    memory.send(&names[0], b"/msg #r0-0 hello\n/leave #r0-0\n");
    memory.send("late", b"/join #more\n");
    assert_eq!(answer(&mut memory, "late", " join "), "+ join #more 1");
    memory.send("late", b"/rooms\n");
    assert_eq!(answer(&mut memory, "late", "+ rooms"), format!("+ rooms {ROOMS_IN_ALL}"));
    // With as many files as there may be, the oldest goes for a new one.
    let sharers = FILES / FILES_A_SENDER;
    for name in &names[..sharers] {
        memory.send(name, b"/join #more\n");
        memory.send(name, b"/leave\n/join #more\n");
        memory.send(name, "/send #more 1 x\n=YQ==\n".repeat(FILES_A_SENDER).as_bytes());
    }
    memory.send("late", b"/files\n");
    assert_eq!(answer(&mut memory, "late", "+ files"), format!("+ files {FILES}"));
    memory.send("late", b"/send #more 1 x\n=YQ==\n");
    memory.send("late", b"/files\n");
    assert_eq!(answer(&mut memory, "late", "+ files"), format!("+ files {FILES}"));
}

#[test]
fn only_so_much_is_read_for_those_who_take_nothing() {
    let (mut hub, mut notes, mut disk) = (Hub::new(Settings::default()), Notes::default(), Disk::default());
    let now = Now { tick: Duration::ZERO, wall: SystemTime::UNIX_EPOCH };
    let len = 2 * READ_AHEAD;
    for id in 1..=4 {
        disk.carry_out(Job::Create(FileId(id)));
        disk.carry_out(Job::Append(FileId(id), vec![0; len]));
        let (room, from) = (RoomName::new("#a").unwrap(), Nick::new("alice").unwrap());
        let size = len as u64;
        let description = Description { room, from, size, at: now.wall, claimed: None, name: "x".to_owned() };
        let file = PastFile { id: FileId(id), description, len: size, digest: Some(Digest([7; 32])) };
        hub.restore_file(file, now, &mut notes);
    }
    let people: Vec<ConnId> = (0..300).map(|slot| ConnId::new(slot, 1)).collect();
    for &id in &people {
        hub.connect(id, Origin::Loopback, now, &mut notes);
        for command in ["/join #a", "/get 1", "/get 2", "/get 3", "/get 4"] {
            hub.handle(id, now, commands::parse(command).unwrap(), &mut notes);
        }
    }
    // What is handed on stays in the queues.
    let mut queued: HashMap<ConnId, usize> = HashMap::new();
    let (mut held, mut most) = (0, 0);
    while !notes.jobs.is_empty() || !notes.wanting.is_empty() {
        for id in std::mem::take(&mut notes.wanting) {
            let room = QUEUED - queued.get(&id).copied().unwrap_or_default();
            hub.pump(id, room, &mut notes);
        }
        for (to, told) in std::mem::take(&mut notes.told) {
            if let Told::Data(_, data) = told {
                held -= data.len();
                *queued.entry(to).or_default() += data.len();
            }
        }
        if let Some(job) = notes.jobs.pop_front() {
            if let Job::Read { len, .. } = job {
                held += len;
                most = held.max(most);
            }
            hub.disk_did(now, disk.carry_out(job), &mut notes);
        }
        hub.check();
    }
    assert!(most <= READ_AHEAD_IN_ALL + READ_AHEAD, "{most} bytes are held");
    assert!(people.iter().all(|id| queued[id] == QUEUED), "somebody has got less than there is room for");
    for id in people {
        hub.disconnect(id, now, Departure::Quit, &mut notes);
    }
    hub.check();
}

#[test]
fn so_many_uploads_are_under_way_at_most() {
    let mut memory = Memory::new(Settings { rate: 0, ..Settings::default() });
    let names: Vec<String> = (0..=UPLOADS).map(|n| format!("c{n}")).collect();
    for name in &names {
        memory.connect(name);
        memory.send(name, b"/join #a\n/send #a 10 x\n");
    }
    let (last, others) = names.split_last().unwrap();
    let answer = |memory: &mut Memory, name: &str| {
        std::iter::from_fn(|| memory.next(name)).find(|line| line.contains(" send ")).unwrap()
    };
    assert!(others.iter().all(|name| answer(&mut memory, name).starts_with("+ send ")));
    // The first of them has to make place.
    assert!(answer(&mut memory, last).starts_with("+ send "));
    assert!(std::iter::from_fn(|| memory.next(&names[0])).any(|line| line.starts_with("=1 ! gone ")));
    memory.send(&names[0], b"/send #a 10 x\n");
    assert!(answer(&mut memory, &names[0]).starts_with("+ send "));
    assert!(std::iter::from_fn(|| memory.next(&names[1])).any(|line| line.starts_with("=2 ! gone ")));
}

#[test]
fn what_people_write_is_clean_whatever_it_was() {
    // The walk speaks in clean text; that anything else becomes such is a matter of one function.
    let mut dice = Dice(7);
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..dice.roll(60)).map(|_| dice.roll(256) as u8).collect();
        let text = clean(&bytes);
        assert!(!text.contains(|c: char| c != '\t' && c.is_control()), "{text:?}");
        assert_eq!(clean(text.as_bytes()), text);
    }
}
