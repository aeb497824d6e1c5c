//! The connections: what each one reads and owes, and how the core's events reach them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Read};
use std::net::IpAddr;
use std::ops::{Index, IndexMut};
use std::sync::mpsc::Sender;

use mio::net::TcpStream;
use slab::Slab;

use crate::effect::{Effect, Output};
use crate::event::{Change, Detail, Event, Job, Lost, Record, Reply, Setting};
use crate::limits::{self, Moment};
use crate::linebuf::LineBuf;
use crate::meters::TokenBucket;
use crate::names::{ConnId, FileId, Place, RoomName};
use crate::outbox::{Flushed, Kind, Outbox, SEGMENT, Segment};
use crate::plain::{self, Style};

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It speaks and listens.
    Open,
    /// Nothing more is read of it; what waits for it is written.
    Leaving,
    /// All is written; its input is discarded for a while, so that a reset does not swallow the last line.
    Lingering,
}

/// The end of a connection's input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It has nothing more to say.
    Done,
    /// It broke.
    Lost(Lost),
}

/// What a connection counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// One of the clients.
    Client,
    /// One that is being told why it cannot stay.
    TurnedAway,
    /// One that was a client, and to which nothing more is owed.
    Past,
}

/// What a connection waits for before its next line is carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// For nothing.
    None,
    /// For its flood control.
    Flood,
    /// For its reader, as too many replies wait.
    Replies,
    /// For the disk.
    Disk,
}

/// One connection.
pub struct Connection {
    /// Its name for the core.
    pub id: ConnId,
    /// The socket.
    pub stream: TcpStream,
    /// Where it comes from.
    pub address: IpAddr,
    /// What it sent and is not carried out yet.
    pub lines: LineBuf,
    /// What waits for it.
    pub outbox: Outbox,
    /// Whether an unfinished last line of its input is dropped.
    pub whole: bool,
    /// How it wants its lines.
    pub style: Style,
    /// Its flood control.
    pub bucket: TokenBucket,
    /// Whether the next line has been paid for already.
    pub paid: bool,
    /// Whether a line has come from it.
    pub has_spoken: bool,
    /// Whether there may be something to read. Only a read that would block, or one that got all there was, says no.
    pub readable: bool,
    /// When the system said that its input has an end, which may be behind much that is still to be read.
    pub closed: Option<Moment>,
    /// Whether the socket may take something.
    pub writable: bool,
    /// How far it is.
    pub phase: Phase,
    /// Whether and how its input ended.
    pub ended: Option<Ended>,
    /// Whether writing failed; nothing more is written then.
    pub broken: bool,
    /// How the connection was lost, if writing showed it.
    pub lost: Option<Lost>,
    /// Since when its socket has taken nothing, with something waiting.
    pub stalled: Option<Moment>,
    /// When it was last seen to read slowly; the kernel does not take it for dead then.
    pub slow: Option<Moment>,
    /// What it waits for.
    pub hold: Hold,
    /// When flood control lets it go on, or when it has lingered for long enough.
    pub until: Option<Moment>,
    /// Whether the core leaves out room lines for it.
    pub lagging: bool,
    /// What it counts as.
    pub standing: Standing,
    /// When it is to be looked at again.
    pub wake: Option<Moment>,
    /// Whether the core may have file data for it.
    pub fetches: bool,
    /// Whether it is in one of the reactor's lists of work.
    pub in_work: bool,
    /// Whether its last turn was not enough for it, or cost much.
    pub greedy: bool,
    /// Whether it is in the list of those with something to write that can wait.
    unhurried: bool,
    /// Whether it is in the list of those with something to write.
    dirty: bool,
}

impl Connection {
    /// Whether nothing is to be done but to read what comes and to write what waits, as is so nearly always.
    pub fn is_at_ease(&self) -> bool {
        (self.phase, self.hold, self.lagging, self.fetches) == (Phase::Open, Hold::None, false, false)
            && self.stalled.is_none()
            && self.slow.is_none()
            && self.wake.is_none()
    }

    /// Reads once; `Ok(0)` is the end of input.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Err(e);
                }
                Ok(n) => {
                    // Less than there was room for is all there was; more, or the end, comes with an event of its own.
                    self.readable = n == buf.len() || self.closed.is_some();
                    return Ok(n);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// How a connection broke, for those who see it.
pub fn lost_by(e: &io::Error) -> Lost {
    match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Lost::Timeout,
        _ => Lost::Reset,
    }
}

/// All connections. It is where the core's events go.
pub struct Connections {
    /// Boxed, as a slab that grows leaves its old memory behind.
    slab: Slab<Box<Connection>>,
    generation: u32,
    jobs: Sender<Job>,
    queues: Queues,
    clients: usize,
    turned_away: usize,
    past: usize,
    by_address: HashMap<IpAddr, usize>,
    /// What the rooms' lines of this turn are added to, in each style that somebody wants them in.
    open: BTreeMap<RoomName, [Option<Segment>; Style::COUNT]>,
    /// Those for whom the core may have file data.
    wanting: Vec<ConnId>,
    /// Those that the core has closed.
    closed: Vec<ConnId>,
    /// What is to be written down before anything goes out.
    records: Vec<Record>,
    /// A line while it is spelled.
    line: String,
    /// What file data was in that has been written: to use it again is to spare taking, clearing and giving back memory.
    spare: Vec<u8>,
}

/// What waits for all connections together, and whose turn it is to be written to.
#[derive(Default)]
struct Queues {
    /// Bytes that wait for all of them together, file data not counted.
    waiting: usize,
    /// Bytes of file data that wait for all of them together.
    chunks: usize,
    /// Those with something to write.
    dirty: VecDeque<ConnId>,
    /// Those with something to write that can wait: answers, presence and file data.
    unhurried: VecDeque<ConnId>,
    /// Those for whom too much waits, of which the core may not know yet.
    lagged: Vec<ConnId>,
}

impl Queues {
    /// Has `push` queue something for a connection, if it is one that still listens.
    fn add(&mut self, connection: &mut Connection, kind: Kind, len: usize, push: impl FnOnce(&mut Outbox)) {
        // Nobody would ever read it, or the last line has been said.
        if connection.broken || connection.phase != Phase::Open {
            return;
        }
        push(&mut connection.outbox);
        *(if kind == Kind::Chunk { &mut self.chunks } else { &mut self.waiting }) += len;
        // Said again and again, as the core forgets it of somebody who was nobody yet.
        if connection.outbox.lines() > self.limit() {
            connection.lagging = true;
            self.lagged.push(connection.id);
        }
        if kind == Kind::Event {
            self.mark_dirty(connection);
        } else if !std::mem::replace(&mut connection.unhurried, true) {
            self.unhurried.push_back(connection.id);
        }
    }

    /// Bytes that may wait for one connection before lines are left out for it.
    fn limit(&self) -> usize {
        if self.is_crowded() { limits::SLOW_READER_TIGHT } else { limits::SLOW_READER }
    }

    fn is_crowded(&self) -> bool {
        self.waiting > limits::WAITING_IN_ALL
    }

    fn mark_dirty(&mut self, connection: &mut Connection) {
        if !std::mem::replace(&mut connection.dirty, true) {
            self.dirty.push_back(connection.id);
        }
    }
}

impl Index<ConnId> for Connections {
    type Output = Connection;

    fn index(&self, id: ConnId) -> &Connection {
        &self.slab[id.slot()]
    }
}

impl IndexMut<ConnId> for Connections {
    fn index_mut(&mut self, id: ConnId) -> &mut Connection {
        &mut self.slab[id.slot()]
    }
}

impl Connections {
    /// None yet; jobs for the disk go to `jobs`.
    pub fn new(jobs: Sender<Job>) -> Self {
        Self {
            slab: Slab::new(),
            generation: 0,
            jobs,
            queues: Queues::default(),
            clients: 0,
            turned_away: 0,
            past: 0,
            by_address: HashMap::new(),
            open: BTreeMap::new(),
            wanting: Vec::new(),
            closed: Vec::new(),
            records: Vec::new(),
            line: String::new(),
            spare: Vec::new(),
        }
    }

    /// Connections that count as clients.
    pub fn clients(&self) -> usize {
        self.clients
    }

    /// Clients from an address.
    pub fn clients_from(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or(0)
    }

    /// Connections that are being told why they cannot stay.
    pub fn turned_away(&self) -> usize {
        self.turned_away
    }

    /// Connections to which nothing more is owed.
    pub fn past(&self) -> usize {
        self.past
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// Every connection.
    pub fn ids(&self) -> Vec<ConnId> {
        self.slab.iter().map(|(_, connection)| connection.id).collect()
    }

    /// The connection in a slot.
    pub fn in_slot(&self, slot: usize) -> Option<ConnId> {
        self.slab.get(slot).map(|connection| connection.id)
    }

    /// The connection of this name, if it still lives.
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        find(&mut self.slab, id)
    }

    /// The slot that the next connection gets.
    pub fn next_slot(&self) -> usize {
        self.slab.vacant_key()
    }

    /// Takes a connection in.
    pub fn insert(&mut self, stream: TcpStream, address: IpAddr, standing: Standing) -> ConnId {
        let entry = self.slab.vacant_entry();
        self.generation = self.generation.wrapping_add(1);
        // A slab of sockets is bounded by the descriptors, which are far fewer than 2^32.
        let id = ConnId::new(u32::try_from(entry.key()).unwrap_or(u32::MAX), self.generation);
        entry.insert(Box::new(Connection {
            id,
            stream,
            address,
            lines: LineBuf::default(),
            whole: false,
            outbox: Outbox::default(),
            style: Style::FIRST,
            bucket: TokenBucket::default(),
            paid: false,
            has_spoken: false,
            readable: true,
            closed: None,
            writable: true,
            phase: Phase::Open,
            ended: None,
            broken: false,
            lost: None,
            stalled: None,
            slow: None,
            hold: Hold::None,
            until: None,
            lagging: false,
            standing,
            wake: None,
            fetches: false,
            in_work: false,
            greedy: false,
            unhurried: false,
            dirty: false,
        }));
        if standing == Standing::Client {
            self.clients += 1;
            *self.by_address.entry(address).or_default() += 1;
        } else {
            self.turned_away += 1;
        }
        id
    }

    /// A connection counts as nothing any more, as nothing is owed to it.
    pub fn discount(&mut self, id: ConnId) {
        let Some(connection) = self.get_mut(id) else { return };
        let (standing, address) = (connection.standing, connection.address);
        connection.standing = Standing::Past;
        match standing {
            Standing::Client => {
                self.clients -= 1;
                if let Some(count) = self.by_address.get_mut(&address) {
                    *count -= 1;
                    if *count == 0 {
                        self.by_address.remove(&address);
                    }
                }
            }
            Standing::TurnedAway => self.turned_away -= 1,
            Standing::Past => return,
        }
        self.past += 1;
    }

    /// Takes a connection out, which closes its socket once it is dropped.
    pub fn remove(&mut self, id: ConnId) -> Option<Box<Connection>> {
        self.discount(id);
        self.get_mut(id)?;
        let connection = self.slab.remove(id.slot());
        self.past -= 1;
        self.queues.waiting -= connection.outbox.lines();
        self.queues.chunks -= connection.outbox.chunks();
        Some(connection)
    }

    /// Forgets all that waits for a connection.
    pub fn clear(&mut self, id: ConnId) {
        if let Some(connection) = find(&mut self.slab, id) {
            self.queues.waiting -= connection.outbox.lines();
            self.queues.chunks -= connection.outbox.chunks();
            connection.outbox.clear();
        }
    }

    /// Writes as much of what waits for a connection as its socket takes.
    pub fn flush(&mut self, id: ConnId) -> io::Result<Flushed> {
        let Some(connection) = find(&mut self.slab, id) else { return Ok(Flushed::All) };
        if !connection.writable && !connection.outbox.is_empty() {
            return Ok(Flushed::Blocked { progress: false });
        }
        let (lines, chunks) = (connection.outbox.lines(), connection.outbox.chunks());
        let flushed = connection.outbox.write_to(&mut connection.stream, &mut self.spare);
        self.queues.waiting -= lines - connection.outbox.lines();
        self.queues.chunks -= chunks - connection.outbox.chunks();
        connection.writable = !matches!(flushed, Ok(Flushed::Blocked { .. }));
        if !connection.writable {
            connection.outbox.settle();
        }
        flushed
    }

    /// Queues bytes for a connection alone.
    pub fn push(&mut self, id: ConnId, kind: Kind, bytes: &[u8]) {
        if let Some(connection) = find(&mut self.slab, id) {
            self.queues.add(connection, kind, bytes.len(), |outbox| outbox.push(kind, bytes));
        }
    }

    /// The next of those with something to write. What is written is not added to any more.
    pub fn next_dirty(&mut self) -> Option<ConnId> {
        self.open.clear();
        let id = self.queues.dirty.pop_front()?;
        if let Some(connection) = self.get_mut(id) {
            connection.dirty = false;
        }
        Some(id)
    }

    /// The next of those with something to write that can wait, or perhaps by now with nothing.
    pub fn next_unhurried(&mut self) -> Option<ConnId> {
        let id = self.queues.unhurried.pop_front()?;
        if let Some(connection) = self.get_mut(id) {
            connection.unhurried = false;
        }
        Some(id)
    }

    /// How many such there are.
    pub fn unhurried(&self) -> usize {
        self.queues.unhurried.len()
    }

    /// Sees to it that a connection is flushed.
    pub fn mark_dirty(&mut self, id: ConnId) {
        if let Some(connection) = find(&mut self.slab, id) {
            self.queues.mark_dirty(connection);
        }
    }

    /// Those for whom the core may have file data.
    pub fn take_wanting(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.wanting)
    }

    /// Whether there are any such.
    pub fn any_wanting(&self) -> bool {
        !self.wanting.is_empty()
    }

    /// Those for whom too much has come to wait.
    pub fn take_lagged(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.queues.lagged)
    }

    /// Those that the core has closed.
    pub fn take_closed(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.closed)
    }

    /// What is to be written down.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.records)
    }

    /// Whether there is anything of that.
    pub fn has_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// Bytes of replies that may wait for a connection before its commands wait too.
    pub fn replies_allowed(&self) -> usize {
        if self.is_crowded() { 0 } else { limits::REPLIES_WAITING }
    }

    /// Bytes of file data that may be queued for a connection.
    pub fn chunks_allowed(&self) -> usize {
        if self.queues.chunks > limits::CHUNKS_IN_ALL { limits::CHUNK_BYTES } else { limits::CHUNKS_QUEUED }
    }

    /// Queues for a connection what `write` writes in its style.
    fn spell(&mut self, id: ConnId, kind: Kind, write: impl FnOnce(&mut String, Style)) {
        let Some(connection) = find(&mut self.slab, id) else { return };
        self.line.clear();
        write(&mut self.line, connection.style);
        let line = self.line.as_bytes();
        self.queues.add(connection, kind, line.len(), |outbox| outbox.push(kind, line));
    }
}

/// The connection of this name, if it still lives; the rest of [`Connections`] stays free to be changed.
fn find(slab: &mut Slab<Box<Connection>>, id: ConnId) -> Option<&mut Connection> {
    slab.get_mut(id.slot()).filter(|connection| connection.id == id).map(Box::as_mut)
}

impl Output for Connections {
    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnId>, events: &[Event]) {
        let kind = if let [Event::Presence { .. }, ..] = events { Kind::Presence } else { Kind::Event };
        let Self { slab, queues, open, line, .. } = self;
        let mut alone = [const { None }; Style::COUNT];
        let segments = match events.first().and_then(Event::place) {
            Some(Place::Room(room)) => open.entry(room).or_default(),
            _ => &mut alone,
        };
        let mut starts = [None; Style::COUNT];
        for id in to {
            let Some(connection) = find(slab, id) else { continue };
            let (style, n) = (connection.style, connection.style.index());
            let start = *starts[n].get_or_insert_with(|| {
                line.clear();
                events.iter().for_each(|event| plain::event(line, event, style));
                segments[n].take_if(|segment| segment.len() + line.len() > SEGMENT);
                let segment = segments[n].get_or_insert_default();
                segment.extend(line.as_bytes());
                segment.len() - line.len()
            });
            let Some(segment) = &segments[n] else { continue };
            let is_slow = connection.stalled.is_some();
            queues.add(connection, kind, segment.len() - start, |outbox| {
                // It may wait for long, and would keep all of the segment for that.
                if is_slow { outbox.push(kind, &segment.part(start)) } else { outbox.push_shared(kind, segment, start) }
            });
        }
    }

    fn answer(&mut self, to: ConnId, event: &Event) {
        self.spell(to, Kind::Reply, |line, style| plain::event(line, event, style));
    }

    fn data(&mut self, to: ConnId, file: FileId, _offset: u64, data: &[u8]) {
        let Some(connection) = find(&mut self.slab, to) else { return };
        let mut lines = std::mem::take(&mut self.spare);
        plain::data(&mut lines, file, data, connection.style);
        if lines.capacity() > 2 * lines.len() {
            // What is short may wait for long, and would keep all that memory for it.
            let short = lines.clone();
            self.spare = std::mem::replace(&mut lines, short);
        }
        self.queues.add(connection, Kind::Chunk, lines.len(), |outbox| outbox.push_own(Kind::Chunk, lines));
    }

    fn detail(&mut self, to: ConnId, detail: &Detail) {
        self.spell(to, Kind::Reply, |line, style| plain::detail(line, detail, style));
    }

    fn reply(&mut self, to: ConnId, reply: &Reply) {
        self.spell(to, Kind::Reply, |line, style| plain::reply(line, reply, style));
    }

    fn set(&mut self, to: ConnId, change: Change) {
        if let Some(connection) = self.get_mut(to) {
            match change.setting {
                Setting::Stamp => connection.style.stamp = change.on,
                Setting::Whole => connection.whole = change.on,
                Setting::Echo | Setting::Presence => {}
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.queues.is_crowded()
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Log(record) => self.records.push(record),
            // The spool's thread lives as long as the reactor does; without it every transfer is dead anyway.
            Effect::Disk(job) => {
                if self.jobs.send(job).is_err() {
                    log::error!("the spool is gone: files cannot be shared any more");
                }
            }
            Effect::Pump(conn) => {
                if let Some(connection) = self.get_mut(conn) {
                    connection.fetches = true;
                }
                self.wanting.push(conn);
            }
            Effect::Close { conn, bye } => {
                if let Some(bye) = bye {
                    self.answer(conn, &Event::Bye(bye));
                }
                self.closed.push(conn);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Text;
    use std::net::TcpListener;
    use std::sync::mpsc::channel;

    #[test]
    fn a_short_piece_of_a_file_does_not_hold_the_memory_of_a_long_one() {
        let mut net = Connections::new(channel().0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let id = net.insert(TcpStream::connect(address).unwrap(), address.ip(), Standing::Client);
        let _peer = listener.accept().unwrap();
        net.data(id, FileId(1), 0, &[0; 4 * limits::DOWNLOAD_LINE]);
        assert!(net[id].outbox.memory() >= 64 * 1024);
        assert_eq!(net.flush(id).unwrap(), Flushed::All);
        net.data(id, FileId(1), 0, b"short");
        assert!(net[id].outbox.memory() < 100, "{}", net[id].outbox.memory());
    }

    #[test]
    fn it_is_crowded_while_much_waits_for_everybody() {
        let (jobs, _todo) = channel();
        let mut net = Connections::new(jobs);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut ids = Vec::new();
        for _ in 0..100 {
            let stream = TcpStream::connect(address).unwrap();
            ids.push(net.insert(stream, address.ip(), Standing::Client));
        }
        // All have the same bytes, so that much waits and little memory is needed.
        let event = Event::Motd(Text::new(&"x".repeat(4000)));
        let mut line = String::new();
        plain::event(&mut line, &event, Style::FIRST);
        let each = ids.len() * line.len();
        let mut waiting = 0;
        while waiting <= limits::WAITING_IN_ALL {
            assert!(!net.is_crowded() && net.replies_allowed() > 0, "{waiting}");
            net.publish(&mut ids.iter().copied(), std::slice::from_ref(&event));
            waiting += each;
        }
        assert!(net.is_crowded() && net.replies_allowed() == 0);
        net.clear(ids[0]);
        net.clear(ids[1]);
        assert!(!net.is_crowded());
    }
}
