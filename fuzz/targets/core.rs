//! The core: whatever people, time and disk do, in whatever order, what must hold between people, rooms and files holds
//! after each step, every command gets its one reply, what is told is one clean line, and nothing stays when all have
//! gone. It may be killed at any time and begins again from what was logged and stored, and no number goes back.
#![no_main]

#[allow(dead_code, unreachable_pub, missing_docs, reason = "it is there for the tests")]
#[path = "../../testkit/src/memory.rs"]
mod memory;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, SystemTime};

use arbitrary::{Result, Unstructured};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chinwag::commands::{TABLE, spec_of};
use chinwag::event::{
    Bye, Change, Description, Done, Event, Happening, Job, Logged, Lost, Now, Outcome, PastFile, PastRoom, Record,
    Reply, SaidKind, Setting, Trouble, Verb,
};
use chinwag::hub::{Departure, Hub};
use chinwag::limits::{DOWNLOAD_UNIT, LINE, SERVER_LINE};
use chinwag::settings::{Logging, Settings};
use chinwag::linebuf::LineBuf;
use chinwag::names::{ConnId, Digest, FileId, Origin, Place, Prefix, RoomName, Text};
use chinwag::plain::{self, Chunks, Style};
use chinwag::request::Request;
use libfuzzer_sys::fuzz_target;
use memory::{Disk, Notes, Told};
use sha2::{Digest as _, Sha256};

fuzz_target!(|bytes: &[u8]| {
    let mut plan = Unstructured::new(bytes);
    // A plan that is too short ends where it ends.
    if let Ok(mut crowd) = Crowd::new(&mut plan) {
        while !plan.is_empty() && crowd.steps < 500 && crowd.step(&mut plan).is_ok() {}
        crowd.end();
    }
});

/// As much as a queue takes.
const QUEUED: usize = 4 * DOWNLOAD_UNIT;
const PASSWORD: &str = "open";
/// The sizes of files, so that one may be taken up again. The largest is more than the spool takes.
const SIZES: &[u64] = &[0, 1, 300, 12_288, 12_289, 30_000, 40_000, 70_000];
const TIMES: &[u64] = &[0, 1, 20, 249, 250, 999, 1_000, 3_000, 6_000, 59_999, 60_000, 600_000, 4_000_000];
const MOST: usize = 7;
const ROOMS: &[&str] = &["#a", "#a", "#B", "#A", "#c"];
const WORDS: &str = "#a #B #c #A ann Bob bob guest1 Guest2 guest3 guest4 @ann @guest1 on off after echo stamp \
    presence whole 0 1 2 3 4 5 12288 18446744073709551615 - # @ x.txt ../x sha256:00 text help open \u{fffd}";

/// What is known of a connection, from nothing but what it did and was told.
struct Client {
    id: ConnId,
    lines: LineBuf,
    style: Style,
    is_locked: bool,
    is_lagging: bool,
    nick: String,
    /// The rooms it is in, and the number of the last message that it was told there.
    rooms: BTreeMap<RoomName, u64>,
    /// The upload that chunks belong to, and how many bytes it has.
    upload: Option<(FileId, u64)>,
    /// Uploads whose end has not been told.
    uploads: BTreeSet<FileId>,
    /// Where each download is.
    downloads: HashMap<FileId, u64>,
}

struct Crowd {
    hub: Hub,
    notes: Notes,
    disk: Disk,
    tick: Duration,
    clients: Vec<Client>,
    /// The last of those who have gone.
    gone: Option<ConnId>,
    count: u32,
    steps: u32,
    newest_file: u64,
    settings: Settings,
    /// What the log has of each room: what it is about, and what was said.
    logs: BTreeMap<RoomName, (Option<Text>, Vec<Logged>)>,
    /// What the disk has.
    stored: BTreeMap<FileId, Stored>,
    /// Files whose bytes are not those that [`bytes_at`] gives.
    odd_files: Vec<FileId>,
}

/// What the disk has of a file.
#[derive(Default)]
struct Stored {
    what: Option<Description>,
    len: u64,
    digest: Option<Digest>,
}

/// The bytes of every file, but for the odd ones, from here on.
fn bytes_at(offset: u64, len: u64) -> Vec<u8> {
    (offset..offset + len).map(|at| (at * 31 % 251) as u8).collect()
}

/// How many replies a request gets at least; one is the most.
fn replies_due(verb: Verb) -> usize {
    usize::from(spec_of(verb).is_some() || verb == Verb::Unknown)
}

impl Crowd {
    fn new(plan: &mut Unstructured<'_>) -> Result<Self> {
        let flags: u8 = plan.arbitrary()?;
        let settings = Settings {
            name: (flags & 2 != 0).then(|| "a \u{202e}server".to_owned()),
            motd: if flags & 4 != 0 { vec!["hello\x1b".to_owned(), String::new()] } else { Vec::new() },
            password: (flags & 0xc0 == 0xc0).then(|| PASSWORD.to_owned()),
            history: if flags & 1 != 0 { 3 } else { 0 },
            max_file: 80_000,
            spool: 60_000,
            file_ttl: Duration::from_secs(3600),
            log: (flags & 16 != 0).then_some(Logging { max: 1 << 20, sync: Duration::ZERO }),
            ..Settings::default()
        };
        let mut crowd = Self {
            hub: Hub::new(settings.clone()),
            notes: Notes::default(),
            disk: Disk::default(),
            tick: Duration::from_secs(1000),
            clients: Vec::new(),
            gone: None,
            count: 0,
            steps: 0,
            newest_file: 0,
            settings,
            logs: BTreeMap::new(),
            stored: BTreeMap::new(),
            odd_files: Vec::new(),
        };
        // Mostly there are some to whom something can happen.
        if flags & 8 == 0 {
            for at in 0..3 {
                crowd.connect(plan)?;
                crowd.send(at, b"/join #a\n");
            }
        }
        Ok(crowd)
    }

    fn now(&self) -> Now {
        Now { tick: self.tick, wall: SystemTime::UNIX_EPOCH + self.tick }
    }

    fn step(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        self.steps += 1;
        match plan.int_in_range(0..=31u8)? {
            0 | 1 => self.connect(plan)?,
            2 => self.disconnect(plan)?,
            3 | 4 => self.pass_time(Duration::from_millis(*plan.choose(TIMES)?)),
            5..8 => self.disk_step(plan)?,
            8 => self.settle(),
            9..12 => self.pump(plan)?,
            12 => self.lag_or_not(plan)?,
            13..17 => self.send_chunk(plan)?,
            17 => self.offer(plan)?,
            18 => match plan.int_in_range(0..=7u8)? {
                0 => self.restart(),
                1 | 2 => self.trouble(plan)?,
                _ => self.disturb(plan)?,
            },
            19 | 20 => self.send_raw(plan)?,
            21 => self.say(plan)?,
            _ => self.command(plan)?,
        }
        self.hub.check();
        Ok(())
    }

    /// Which of the clients does something.
    fn somebody(&self, plan: &mut Unstructured<'_>) -> Result<Option<usize>> {
        if self.clients.is_empty() { Ok(None) } else { plan.choose_index(self.clients.len()).map(Some) }
    }

    fn connect(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        if self.clients.len() >= MOST {
            return Ok(());
        }
        // Slots are used again, and generations tell their users apart.
        let slots = u32::try_from(MOST).unwrap_or(u32::MAX);
        let Some(slot) = (0..slots)
            .find(|&slot| self.clients.iter().all(|c| c.id != ConnId::new(slot, 0) && c.id.slot() != slot as usize))
        else {
            return Ok(());
        };
        self.count += 1;
        let id = ConnId::new(slot, self.count);
        let origin = if plan.arbitrary()? { Origin::Loopback } else { Origin::Network(Prefix::v4([203, 0, 113, 5])) };
        let style = Style { crlf: plan.arbitrary()?, ..Style::FIRST };
        self.clients.push(Client {
            id,
            lines: LineBuf::default(),
            style,
            is_locked: false,
            is_lagging: false,
            nick: String::new(),
            rooms: BTreeMap::new(),
            upload: None,
            uploads: BTreeSet::new(),
            downloads: HashMap::new(),
        });
        self.hub.connect(id, origin, self.now(), &mut self.notes);
        self.read(None);
        let client = self.clients.last();
        assert!(client.is_some_and(|c| c.is_locked || !c.nick.is_empty()), "somebody was not greeted");
        Ok(())
    }

    fn disconnect(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.somebody(plan)? else { return Ok(()) };
        let id = self.clients[at].id;
        match plan.int_in_range(0..=3u8)? {
            0 => self.hub.expel(id, self.now(), Bye::TooSlow, &mut self.notes),
            1 => self.hub.disconnect(id, self.now(), Departure::Lost(Lost::Reset), &mut self.notes),
            2 => self.hub.disconnect(id, self.now(), Departure::Lost(Lost::Timeout), &mut self.notes),
            _ => self.hub.disconnect(id, self.now(), Departure::Quit, &mut self.notes),
        }
        self.read(None);
        self.forget(id);
        Ok(())
    }

    fn forget(&mut self, id: ConnId) {
        self.clients.retain(|client| client.id != id);
        self.notes.stamps.remove(&id);
        self.gone = Some(id);
    }

    fn pass_time(&mut self, time: Duration) {
        self.tick += time;
        self.hub.tick(self.now(), &mut self.notes);
        assert!(self.hub.next_alarm().is_none_or(|at| at > self.tick), "an alarm is due still");
        self.read(None);
    }

    /// Does some of the disk's jobs, and perhaps fails in one.
    fn disk_step(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let fails = plan.ratio(1u8, 16)?;
        for _ in 0..*plan.choose(&[1, 2, 5, 50])? {
            let Some(job) = self.notes.jobs.pop_front() else { break };
            let outcome = self.carry_out(job, fails);
            self.hub.disk_did(self.now(), outcome, &mut self.notes);
            self.read(None);
            self.hub.check();
        }
        Ok(())
    }

    /// Does a job, and notes what the disk has then.
    fn carry_out(&mut self, job: Job, fails: bool) -> Outcome {
        match job {
            Job::Append(file, bytes) if fails => {
                return Outcome::WriteFailed { file, bytes: bytes.len(), full: bytes.len() % 2 == 0 };
            }
            Job::Read { file, len, reader, download, .. } if fails => {
                return Outcome::ReadFailed { file, len, reader, download };
            }
            _ => {}
        }
        match &job {
            Job::Create(id) => drop(self.stored.insert(*id, Stored::default())),
            Job::Append(id, bytes) => self.stored.entry(*id).or_default().len += bytes.len() as u64,
            Job::Describe(id, what) => self.stored.entry(*id).or_default().what = Some(what.clone()),
            Job::Remove(id) => drop(self.stored.remove(id)),
            Job::Finish(_) | Job::Read { .. } => {}
        }
        let (finish, create) = (matches!(job, Job::Finish(_)), matches!(job, Job::Create(_)));
        let of = match &job {
            Job::Create(id) | Job::Append(id, _) | Job::Describe(id, _) | Job::Finish(id) | Job::Remove(id) => *id,
            Job::Read { file, .. } => *file,
        };
        let outcome = self.disk.carry_out(job);
        if fails && (finish || create) {
            return Outcome::WriteFailed { file: of, bytes: 0, full: false };
        }
        if let Outcome::Finished(id, digest) = &outcome
            && let Some(stored) = self.stored.get_mut(id)
        {
            stored.digest = Some(*digest);
        }
        outcome
    }

    /// The process is killed, and another begins with what was logged and stored.
    fn restart(&mut self) {
        if self.settings.log.is_none() {
            return;
        }
        self.clients.clear();
        self.gone = None;
        self.notes = Notes::default();
        // A file that is gone has had its ID, too.
        self.settings.next_file =
            self.stored.keys().next_back().map_or(1, |id| id.0 + 1).max(self.settings.next_file) + 10;
        self.hub = Hub::new(self.settings.clone());
        for (&name, (topic, lines)) in &self.logs {
            let from = lines.len().saturating_sub(self.settings.history.max(1));
            let (topic, last_seq) = (topic.clone(), lines.last().map_or(0, |line| line.seq));
            self.hub.restore_room(PastRoom { name, topic, last_seq, lines: lines[from..].to_vec() });
            self.hub.check();
        }
        let now = self.now();
        for (id, file) in std::mem::take(&mut self.stored) {
            let past = file.what.and_then(|description| {
                let is_all = file.len == description.size;
                let same = |digest: &Digest| description.claimed == Some(*digest);
                let actual = (is_all && file.digest.is_none()).then(|| self.disk.carry_out(Job::Finish(id)));
                let digest = match actual {
                    Some(Outcome::Finished(_, digest)) => Some(digest).filter(same),
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
                    self.hub.check();
                }
                None => drop(self.disk.carry_out(Job::Remove(id))),
            }
        }
        self.read(None);
    }

    /// The log is kept no more, or again.
    fn trouble(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let troubles = [None, Some(Trouble::Full), Some(Trouble::Failed), Some(Trouble::Slow)];
        self.hub.set_trouble(*plan.choose(&troubles)?, &mut self.notes);
        self.read(None);
        Ok(())
    }

    /// Takes what is to be logged, and gives what was said. Numbers never go back.
    fn log(&mut self) -> Vec<(RoomName, u64)> {
        let mut said = Vec::new();
        for record in std::mem::take(&mut self.notes.records) {
            match record {
                Record::Said { room, line } => {
                    let (_, lines) = self.logs.entry(room).or_default();
                    assert!(lines.last().is_none_or(|last| last.seq < line.seq), "{line:?} after {lines:?}");
                    said.push((room, line.seq));
                    lines.push(line);
                }
                Record::Topic { room, topic } => self.logs.entry(room).or_default().0 = topic,
            }
        }
        said
    }

    fn pump(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let room = *plan.choose(&[QUEUED, 0, 20_000])?;
        for id in std::mem::take(&mut self.notes.wanting) {
            self.hub.pump(id, room, &mut self.notes);
            // Whoever had no room asks again when there is some.
            if self.hub.is_transferring(id) && room < QUEUED && !self.notes.wanting.contains(&id) {
                self.notes.wanting.push(id);
            }
        }
        self.read(None);
        Ok(())
    }

    /// The disk and the downloads run until nothing moves.
    fn settle(&mut self) {
        while !self.notes.jobs.is_empty() || !self.notes.wanting.is_empty() {
            for id in std::mem::take(&mut self.notes.wanting) {
                self.hub.pump(id, QUEUED, &mut self.notes);
            }
            if let Some(job) = self.notes.jobs.pop_front() {
                let outcome = self.carry_out(job, false);
                self.hub.disk_did(self.now(), outcome, &mut self.notes);
            }
            self.read(None);
        }
    }

    fn lag_or_not(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.somebody(plan)? else { return Ok(()) };
        let client = &mut self.clients[at];
        let id = client.id;
        client.is_lagging = plan.arbitrary()?;
        if client.is_lagging {
            self.hub.lag(id);
        } else {
            self.hub.caught_up(id, self.now(), &mut self.notes);
        }
        self.read(None);
        Ok(())
    }

    /// Somebody who has gone is spoken of once more.
    fn disturb(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let Some(id) = self.gone else { return Ok(()) };
        match plan.int_in_range(0..=5u8)? {
            0 => self.hub.lag(id),
            1 => self.hub.caught_up(id, self.now(), &mut self.notes),
            2 => self.hub.pump(id, QUEUED, &mut self.notes),
            3 => self.hub.disconnect(id, self.now(), Departure::Quit, &mut self.notes),
            4 => self.hub.handle(id, self.now(), Request::Chunk(Ok(vec![0; 3])), &mut self.notes),
            _ => self.hub.handle(id, self.now(), Request::Say { kind: SaidKind::Text, text: "text" }, &mut self.notes),
        }
        assert!(self.notes.told.is_empty(), "somebody who has gone is heard");
        Ok(())
    }

    /// The next bytes of the upload that is open, or of none; perhaps too many, or no base64.
    fn send_chunk(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        // Mostly whoever is sending goes on.
        let sending =
            self.clients.iter().position(|c| c.upload.is_some()).filter(|_| plan.ratio(7, 8).unwrap_or(false));
        let Some(at) = sending.map_or_else(|| self.somebody(plan), |at| Ok(Some(at)))? else { return Ok(()) };
        let at_byte = self.clients[at].upload.map_or(0, |(_, at)| at);
        let len = *plan.choose(&[1, 300, 12_288, 12_289, 30_000, 0])?;
        let mut line = b"=".to_vec();
        line.extend(BASE64.encode(bytes_at(at_byte, len)).into_bytes());
        if plan.ratio(1u8, 32)? {
            line.push(b'!');
        }
        line.push(b'\n');
        self.send(at, &line);
        Ok(())
    }

    fn offer(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.somebody(plan)? else { return Ok(()) };
        let size = *plan.choose(SIZES)?;
        let target = self.target(plan)?;
        let digest = match plan.int_in_range(0..=3u8)? {
            0 => format!("sha256:{} ", "0".repeat(64)),
            1 => String::new(),
            _ => format!("{} ", digest(size)),
        };
        self.send(at, format!("/send {target} {size} {digest}x.txt\n").as_bytes());
        Ok(())
    }

    fn send_raw(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.somebody(plan)? else { return Ok(()) };
        let len = usize::from(plan.int_in_range(0..=40u8)?).min(plan.len());
        let mut line = plan.bytes(len)?.to_vec();
        match plan.int_in_range(0..=15u8)? {
            0 => line.resize(LINE + 10, b'a'),
            1 => {}
            _ => line.push(b'\n'),
        }
        self.send(at, &line);
        Ok(())
    }

    fn say(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.somebody(plan)? else { return Ok(()) };
        let text = self.word(plan)?;
        self.send(at, format!("{text}\n").as_bytes());
        Ok(())
    }

    fn command(&mut self, plan: &mut Unstructured<'_>) -> Result<()> {
        let Some(at) = self.somebody(plan)? else { return Ok(()) };
        let line = match plan.int_in_range(0..=15u8)? {
            0 | 1 => format!("/join {}", plan.choose(ROOMS)?),
            2 | 3 => format!("/get {} {}", self.file(plan)?, plan.choose(&["", "1", "12288"])?),
            4 | 5 => format!("/msg {} {}", self.target(plan)?, self.word(plan)?),
            6 => format!("/cancel {}", self.file(plan)?),
            7 => format!("/typing {} {}", self.target(plan)?, plan.choose(&["on", "off"])?),
            8 => format!("/query {}", self.target(plan)?),
            9 => format!("/history {} {}", plan.choose(ROOMS)?, plan.choose(&["", "2", "after 1"])?),
            10 => format!("/nick {}", self.word(plan)?),
            _ => {
                let mut line = format!("/{}", plan.choose(TABLE)?.name);
                for _ in 0..plan.int_in_range(0..=3u8)? {
                    line += " ";
                    line += &self.word(plan)?;
                }
                line
            }
        };
        self.send(at, format!("{line}\n").as_bytes());
        Ok(())
    }

    /// Mostly the newest file.
    fn file(&self, plan: &mut Unstructured<'_>) -> Result<u64> {
        Ok(self.newest_file.saturating_sub(*plan.choose(&[0, 0, 0, 1, 2, 3])?))
    }

    /// Mostly a room or somebody.
    fn target(&self, plan: &mut Unstructured<'_>) -> Result<String> {
        Ok(match plan.int_in_range(0..=7u8)? {
            0..4 => (*plan.choose(ROOMS)?).to_owned(),
            4..7 => self.somebody(plan)?.map(|at| self.clients[at].nick.clone()).unwrap_or_default(),
            _ => self.word(plan)?,
        })
    }

    fn word(&self, plan: &mut Unstructured<'_>) -> Result<String> {
        let words: Vec<&str> = WORDS.split(' ').collect();
        let at = plan.choose_index(words.len() + MOST + 1)?;
        Ok(match at.checked_sub(words.len()) {
            None => words[at].to_owned(),
            Some(MOST) => "text ".repeat(150),
            Some(who) => self.clients.get(who).map(|client| client.nick.clone()).unwrap_or_default(),
        })
    }

    /// A client sends bytes, and its whole lines are carried out.
    fn send(&mut self, at: usize, bytes: &[u8]) {
        let id = self.clients[at].id;
        self.clients[at].lines.feed(bytes, &mut Vec::new());
        while let Some(client) = self.clients.iter_mut().find(|client| client.id == id) {
            let Some((line, _)) = client.lines.next_line() else { break };
            let text = plain::text(&line).into_owned();
            let chunks = if self.hub.has_upload(id) { Chunks::Wanted } else { Chunks::Unwanted };
            let Some(request) = plain::read(&line, &text, chunks) else { continue };
            let verb = request.verb();
            if verb == Verb::Send {
                client.upload = None;
            }
            if let Request::Chunk(Ok(bytes)) = &request
                && let Some((file, at)) = &mut client.upload
            {
                let len = bytes.len() as u64;
                if *bytes != bytes_at(*at, len) {
                    self.odd_files.push(*file);
                }
                *at += len;
            }
            let now = Now { tick: self.tick, wall: SystemTime::UNIX_EPOCH + self.tick };
            self.hub.handle(id, now, request, &mut self.notes);
            self.notes.go_on(&mut self.hub, now);
            let replies = self.read(Some(id));
            assert!((replies_due(verb)..=1).contains(&replies.len()), "{text:?}: {replies:?}");
            if let Some(Reply::Refused { verb: refused, .. }) = replies.first() {
                assert_eq!(*refused, verb, "{text:?}");
            }
            self.hub.check();
        }
    }

    /// Reads what everybody was told. Returns the replies, which only `asking` may get.
    fn read(&mut self, asking: Option<ConnId>) -> Vec<Reply> {
        let mut replies = Vec::new();
        let logged = self.log();
        for (to, told) in std::mem::take(&mut self.notes.told) {
            let client = self.clients.iter_mut().find(|client| client.id == to);
            let Some(client) = client else { panic!("{to:?} is gone and is told {told:?}") };
            let stamp = self.notes.stamps.get(&to).copied().unwrap_or(false);
            let style = Style { stamp, ..client.style };
            match told {
                Told::Reply(reply) => {
                    assert_eq!(Some(to), asking, "a reply that nobody asked for: {reply:?}");
                    let mut line = String::new();
                    plain::reply(&mut line, &reply, style);
                    check_line(&line, style);
                    match &reply {
                        Reply::Done(Done::Nick(nick)) => client.nick = nick.to_string(),
                        Reply::Done(Done::Join { room, .. }) => drop(client.rooms.entry(*room).or_default()),
                        Reply::Done(Done::Leave(room)) => drop(client.rooms.remove(room)),
                        Reply::Done(Done::Send { id, offset }) => {
                            client.upload = Some((*id, *offset));
                            client.uploads.insert(*id);
                            self.newest_file = self.newest_file.max(id.0);
                        }
                        Reply::Done(Done::Get { id, offset, .. }) => drop(client.downloads.insert(*id, *offset)),
                        Reply::Done(Done::Cancel(id)) if client.downloads.remove(id).is_some() => {}
                        Reply::Done(Done::Cancel(id)) => drop(client.uploads.take(id)),
                        Reply::Done(Done::Set(Change { setting: Setting::Stamp, on })) => assert_eq!(*on, stamp),
                        _ => {}
                    }
                    replies.push(reply);
                }
                Told::Detail(detail) => {
                    assert!(Some(to) == asking && replies.is_empty(), "a detail that nobody asked for: {detail:?}");
                    let mut line = String::new();
                    plain::detail(&mut line, &detail, style);
                    line.split_inclusive('\n').for_each(|line| check_line(line, style));
                }
                Told::Data(file, data) => {
                    let mut lines = Vec::new();
                    plain::data(&mut lines, file, &data, style);
                    let lines = String::from_utf8_lossy(&lines);
                    lines.split_inclusive('\n').for_each(|line| check_line(line, style));
                    client.receive(file, &data, &self.odd_files);
                }
                Told::Event(event) => {
                    let mut line = String::new();
                    plain::event(&mut line, &event, style);
                    check_line(&line, style);
                    client.hear(&event, &self.odd_files);
                    if let Event::Said { place: Place::Room(room), seq: Some(seq), .. } = event {
                        assert!(
                            self.settings.log.is_none() || logged.contains(&(room, seq)),
                            "{room} {seq} is not logged"
                        );
                    }
                }
            }
        }
        for id in std::mem::take(&mut self.notes.closed) {
            self.forget(id);
        }
        replies
    }

    /// Everybody goes, the disk comes to an end, all times pass: nothing is left.
    fn end(&mut self) {
        while let Some(id) = self.clients.last().map(|client| client.id) {
            self.hub.disconnect(id, self.now(), Departure::Quit, &mut self.notes);
            self.read(None);
            self.forget(id);
        }
        for _ in 0..4 {
            while let Some(job) = self.notes.jobs.pop_front() {
                let outcome = self.carry_out(job, false);
                self.hub.disk_did(self.now(), outcome, &mut self.notes);
            }
            self.pass_time(Duration::from_secs(100_000));
        }
        self.hub.check();
        assert!(self.disk.is_empty(), "files are left on the disk");
        assert!(self.hub.next_alarm().is_none(), "something is waited for");
        // Rooms are kept for what was said there.
        let keeps_rooms = self.settings.history > 0 || self.settings.log.is_some();
        assert!(keeps_rooms || self.hub.is_empty(), "something is left: {:#?}", self.hub);
    }
}

impl Client {
    fn receive(&mut self, file: FileId, data: &[u8], odd_files: &[FileId]) {
        assert!(!self.is_locked, "who is locked out gets bytes of {file}");
        let Some(at) = self.downloads.get_mut(&file) else { panic!("{} fetches no {file}", self.nick) };
        let len = data.len() as u64;
        assert!(odd_files.contains(&file) || *data == bytes_at(*at, len), "wrong bytes of {file} at {at}");
        *at += len;
    }

    fn hear(&mut self, event: &Event, odd_files: &[FileId]) {
        match event {
            Event::Locked => self.is_locked = true,
            Event::Hello { nick, .. } => {
                self.is_locked = false;
                self.nick = nick.to_string();
            }
            Event::Bye(_) => {}
            event => assert!(!self.is_locked, "who is locked out hears {event:?}"),
        }
        match event {
            Event::Presence { gone, came, .. } => {
                assert!(!self.is_lagging && (!gone.is_empty() || !came.is_empty()));
            }
            Event::Said { place: Place::Room(room), seq, .. } => {
                let Some(last) = self.rooms.get_mut(room) else { panic!("{} hears what {room} says", self.nick) };
                assert!(!self.is_lagging && seq.is_some_and(|seq| seq > *last), "{seq:?} after {last}");
                *last = seq.unwrap_or_default();
            }
            Event::Said { seq, .. } => assert_eq!(*seq, None),
            Event::Happened { place: Place::Room(room), what, .. } => {
                // Senders hear of the end of their file wherever they are.
                let may_be_out = matches!(what, Happening::Unfile { .. });
                assert!(may_be_out || self.rooms.contains_key(room), "{} hears {what:?} of {room}", self.nick);
            }
            Event::Whole { file, size, digest: told } => {
                assert!(odd_files.contains(file) || *told == digest(*size), "a wrong digest of {file}");
                // Who fetches their own file hears first of the end of the upload.
                if !self.uploads.remove(file) {
                    assert_eq!(self.downloads.remove(file), Some(*size), "{file} is not whole");
                }
            }
            Event::Broken { file, .. } => {
                let was_under_way = self.uploads.remove(file) || self.downloads.remove(file).is_some();
                assert!(was_under_way, "{} hears of the end of {file}", self.nick);
            }
            _ => {}
        }
    }
}

fn digest(size: u64) -> Digest {
    Digest(Sha256::digest(bytes_at(0, size)).into())
}

/// What is told is one line that drives no terminal and is no longer than is promised.
fn check_line(line: &str, style: Style) {
    let end = if style.crlf { "\r\n" } else { "\n" };
    let Some(text) = line.strip_suffix(end) else { panic!("a line without an end: {line:?}") };
    assert!(!text.contains(|c: char| c != '\t' && c.is_control()), "{line:?}");
    assert!(!text.is_empty() && line.len() <= SERVER_LINE, "{} bytes: {line:?}", line.len());
}
