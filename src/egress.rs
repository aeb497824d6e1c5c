//! All write queues: what is pending in them together, and which of them is written to when.
//!
//! **Gathering.** A write is the dearest thing there is. So fan-outs, which write to all who are owed what others said, take
//! no more than a part of the time: each is paid for by a small multiple of the processor time that it took, and what
//! is said meanwhile is added to the open segments. (Nagle's algorithm and Kafka's `linger.ms` are of the kind.) A small room takes so little that it does not
//! wait at all, not for a large one either. What one connection is owed alone takes its way at once, and takes along what
//! is pending for it.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use arrayvec::ArrayVec;

use crate::connection::{Connection, Life, List};
use crate::dialect::Dialect;
use crate::effect::{Effect, LeftOut, Lines, Output};
use crate::event::{Change, Detail, Event, Fault, Gone, Happening, Reply, Setting};
use crate::limits;
use crate::metrics::{OutCounts, Pending};
use crate::names::{ConnId, FileId, Place, PlaceToken, RoomName};
use crate::outbox::{Flushed, Kind, Outbox, Rest, Segment};
use crate::plain::Style;
use crate::registry::Registry;
use crate::time::Instant;
use crate::transport::{Layer, Transport};
use crate::wire;

/// The most that may be [few](Egress::few).
const FEW: usize = 64;
/// So many are few however long a write takes: a machine that is busy must not hold up small rooms.
const FEW_LEAST: usize = 8;

/// Bytes that are pending for a connection alone. Of one that arrives nothing is counted.
fn private<T: Transport>(connection: &Connection<T>) -> usize {
    let unsent = if connection.life() == Life::Arriving { 0 } else { connection.unsent() };
    connection.outbox().private() + unsent
}

/// Encodes an event that is the own affair of somebody who came over this layer.
fn encode_own(dialect: &dyn Dialect, layer: Layer, line: &mut String, event: &Event, style: Style) {
    dialect.event(line, event, style);
    // No key ends a page.
    if layer.is_web() && matches!(event, Event::Bye(_) | Event::Expelled { .. }) {
        let said = wire::farewell(line.trim_end_matches(style.end())).len();
        line.truncate(said);
        line.push_str(style.end());
    }
}

/// What is left out with an event that is somebody's own affair, if its line does not tell.
fn kept_as(event: &Event) -> Option<Lines> {
    match *event {
        Event::Said { place: Place::Room(room), seq, .. } => Some(Lines::Room(room, seq.map(|seq| (seq, seq)))),
        Event::Happened { place: Place::Room(room), what: Happening::Missed { count, after }, .. } => {
            Some(Lines::Room(room, (count > 0).then(|| (after + 1, after + count))))
        }
        Event::Happened { place: Place::Room(room), .. } => Some(Lines::Room(room, None)),
        Event::Presence { .. } => Some(Lines::Presence),
        Event::LeftOut { private: true } => Some(Lines::Private),
        _ => None,
    }
}

/// How the lines of some connections are encoded: what has the same encoding is encoded once.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Encoding {
    dialect: usize,
    style: Style,
}

/// All write queues.
pub struct Egress {
    /// The dialects that connections may have.
    dialects: Vec<&'static dyn Dialect>,
    /// Bytes of lines that are pending for one connection each, and that wait sealed.
    private: usize,
    /// Bytes of memory of the segments that several share, each counted once.
    shared: Rc<Cell<usize>>,
    /// Bytes of memory of the file data that is pending.
    chunks: usize,
    /// Bytes of memory of what was written to connections whose places are kept, as if each held it alone.
    held: usize,
    /// How many connections these are.
    kept: usize,
    /// Who is to be written to, by [`List`].
    lists: [VecDeque<ConnId>; List::COUNT],
    /// Slow consumers of whom the core may not know yet.
    lagged: Vec<ConnId>,
    /// What the rooms' lines of this fan-out are added to, in each encoding that somebody wants them in.
    open: BTreeMap<RoomName, Vec<(Encoding, Segment)>>,
    /// Bytes that have been added to these.
    gathered: usize,
    /// When the next fan-out may begin.
    gate: Instant,
    /// When the fan-outs so far are paid for.
    paid: Instant,
    /// What a write has taken lately in a fan-out, as an average in which the last fan-out counts an eighth.
    write_cost: Duration,
    /// A line while it is encoded.
    line: String,
    /// In which segment the events that are being published stand for each encoding, and from where on.
    encoded: Vec<(Encoding, Segment, usize)>,
    /// What file data was in that has been written: to use it again is to spare taking, clearing and giving back memory.
    spare: Vec<u8>,
    counts: OutCounts,
}

impl Egress {
    /// Nothing is pending yet.
    pub fn new(dialects: Vec<&'static dyn Dialect>) -> Self {
        Self {
            dialects,
            private: 0,
            shared: Rc::default(),
            chunks: 0,
            held: 0,
            kept: 0,
            lists: Default::default(),
            lagged: Vec::new(),
            open: BTreeMap::new(),
            gathered: 0,
            gate: Instant::START,
            paid: Instant::START,
            write_cost: Duration::from_micros(4),
            line: String::new(),
            encoded: Vec::new(),
            spare: Vec::new(),
            counts: OutCounts::default(),
        }
    }

    /// The dialect of a connection.
    pub fn dialect<T: Transport>(&self, connection: &Connection<T>) -> &'static dyn Dialect {
        self.dialects[connection.dialect()]
    }

    /// What has gone out so far.
    pub fn counts(&self) -> &OutCounts {
        &self.counts
    }

    /// What is pending for all together.
    pub fn pending(&self) -> Pending {
        Pending { private: self.private, shared: self.shared.get(), files: self.chunks, held: self.held }
    }

    /// Whether so much is pending for all together that memory is short.
    pub fn is_memory_short(&self) -> bool {
        self.private + self.shared.get() > limits::PENDING_IN_ALL
    }

    /// Bytes of replies that may be pending for a connection before its requests wait.
    pub fn replies_allowed(&self) -> usize {
        if self.is_memory_short() { 0 } else { limits::REPLIES_PENDING }
    }

    /// Bytes of file data that may be queued for a connection.
    pub fn chunks_allowed(&self) -> usize {
        if self.chunks > limits::CHUNKS_IN_ALL { limits::CHUNK_BYTES } else { limits::CHUNKS_QUEUED }
    }

    /// Bytes that may be pending for one connection before it is a slow consumer.
    #[inline]
    fn high_water_mark(&self) -> usize {
        if self.is_memory_short() { limits::SLOW_CONSUMER_SHORT } else { limits::SLOW_CONSUMER }
    }

    /// Has `push` queue something for a connection, if it still listens.
    #[inline]
    fn add<T: Transport>(&mut self, connection: &mut Connection<T>, kind: Kind, push: impl FnOnce(&mut Outbox)) {
        // Nobody would ever read it, or the last line has been said.
        if !connection.listens() {
            return;
        }
        let outbox = connection.outbox_mut();
        let before = (outbox.private(), outbox.chunks());
        push(outbox);
        self.private += outbox.private() - before.0;
        self.chunks += outbox.chunks() - before.1;
        // Said again and again, as the core forgets it of somebody who was nobody yet.
        let most = match connection.life() {
            Life::Kept => limits::KEPT_PENDING,
            _ => usize::MAX,
        };
        if kind != Kind::Chunk && connection.outbox().lines() > self.high_water_mark().min(most) {
            connection.lag();
            self.lagged.push(connection.id());
        }
    }

    fn list(&self, list: List) -> &VecDeque<ConnId> {
        &self.lists[list as usize]
    }

    /// Puts a connection into a list, unless it is there.
    #[inline]
    fn enlist<T: Transport>(&mut self, connection: &mut Connection<T>, list: List) {
        if !std::mem::replace(&mut connection.queued_mut().lists[list as usize], true) {
            self.lists[list as usize].push_back(connection.id());
        }
    }

    /// What has been said is not added to any more. It is called before it is written, and when nobody is left to whom it is.
    pub fn close_segments(&mut self) {
        self.open.clear();
        self.gathered = 0;
    }

    /// Takes the next connection out of a list.
    #[inline]
    pub fn next<T: Transport>(&mut self, list: List, registry: &mut Registry<T>) -> Option<ConnId> {
        let id = self.lists[list as usize].pop_front()?;
        if let Some(connection) = registry.get_mut(id) {
            connection.queued_mut().lists[list as usize] = false;
        }
        Some(id)
    }

    /// Sees to it that a connection is written to in this turn.
    pub fn hurry<T: Transport>(&mut self, connection: &mut Connection<T>) {
        self.enlist(connection, List::Prompt);
    }

    /// Whether somebody is to be written to as soon as may be. What comes of writing may put others into a list again.
    pub fn is_busy(&self) -> bool {
        !self.list(List::Prompt).is_empty() || !self.list(List::Unhurried).is_empty()
    }

    /// How many wait to be written to when nothing else is to be done.
    pub fn unhurried(&self) -> usize {
        self.list(List::Unhurried).len()
    }

    /// When the next fan-out is to begin, if anybody waits for one.
    pub fn next_fanout(&self) -> Option<Instant> {
        (!self.list(List::Fanout).is_empty()).then_some(self.gate)
    }

    /// Whether a fan-out is to begin now: its time has come, or so much has been gathered that a listener could be taken
    /// for a slow consumer before anything was written.
    pub fn is_fanout_due(&self, now: Instant) -> bool {
        !self.list(List::Fanout).is_empty() && (now >= self.gate || self.is_full())
    }

    /// Whether so much has been gathered that it should be written before more is said.
    pub fn is_full(&self) -> bool {
        self.gathered > self.high_water_mark() / limits::GATHERED_PART
    }

    /// A fan-out to so many has ended that took so much processor time: if other threads had the processor meanwhile, that
    /// says nothing of what writing costs. It is paid for by a multiple of that time, and the next waits while more than
    /// [`limits::GATHER_SLACK`] of it is owed: so whoever says something now and then waits for nothing. (It is the
    /// generic cell rate algorithm of ITU-T I.371.)
    pub fn note_fanout(&mut self, writes: u32, took: Duration, now: Instant) {
        if let Some(each) = took.checked_div(writes) {
            self.write_cost = (self.write_cost * 7 + each) / 8;
        }
        // Whatever a fan-out takes, half of the time is left for others.
        let most = limits::GATHER_WITHIN.saturating_sub(2 * took).max(took).min(limits::GATHER);
        self.paid = self.paid.max(now) + took * limits::GATHER_FACTOR;
        let wait = (self.paid - now).saturating_sub(limits::GATHER_SLACK).min(most);
        // What could not be waited for is not owed for ever.
        self.paid = self.paid.min(now + limits::GATHER_SLACK + wait);
        self.gate = if wait < limits::GATHER_LEAST { now } else { now + wait };
    }

    /// To so many a line is written so soon that it need not wait for a fan-out.
    fn few(&self) -> usize {
        let each = (self.write_cost * limits::GATHER_FACTOR).max(Duration::from_nanos(1));
        usize::try_from(limits::GATHER_LEAST.as_nanos() / each.as_nanos()).unwrap_or(FEW).clamp(FEW_LEAST, FEW)
    }

    /// Whether [`Egress::take_lagged`] has any.
    #[inline]
    pub fn has_lagged(&self) -> bool {
        !self.lagged.is_empty()
    }

    /// Takes the connections that have become slow consumers since it was called last.
    pub fn take_lagged(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.lagged)
    }

    /// Forgets all that is pending for a connection.
    pub fn clear<T: Transport>(&mut self, connection: &mut Connection<T>) {
        self.counting(connection, |connection, _| connection.outbox_mut().clear());
    }

    /// Forgets all that is pending for a connection, but for the rest of a line of which a part is written: what is told
    /// next begins a line.
    pub fn cut<T: Transport>(&mut self, connection: &mut Connection<T>) {
        self.counting(connection, |connection, _| connection.outbox_mut().cut());
    }

    /// Writes as much of what is pending for a connection as its transport takes.
    pub fn flush<T: Transport>(&mut self, connection: &mut Connection<T>) -> io::Result<Flushed> {
        let most = if self.held > limits::HELD_IN_ALL { limits::HELD_SHORT } else { limits::HELD };
        let mut counts = self.counts;
        let flushed = self.counting(connection, |connection, spare| {
            let flushed = connection.write(spare, &mut counts);
            if let Some(keep) = connection.keep_mut() {
                keep.sent.trim(most);
            }
            flushed
        });
        self.counts = counts;
        flushed
    }

    /// Reads once from a connection, see [`Connection::read`]. What TLS answers by itself may have to wait.
    pub fn read<T: Transport>(&mut self, connection: &mut Connection<T>, buf: &mut [u8]) -> io::Result<usize> {
        self.counting(connection, |connection, _| connection.read(buf))
    }

    /// Looks after a connection that may be gone without a word, and tells when it is to be looked after again, see
    /// [`Transport::beat`].
    pub fn beat<T: Transport>(&mut self, connection: &mut Connection<T>, now: Instant) -> Option<Instant> {
        let next = self.counting(connection, |connection, _| connection.beat(now));
        if connection.unsent() > 0 {
            self.hurry(connection);
        }
        next
    }

    /// Counts what is pending less, or moves from shared to private, while `change` is made.
    #[inline]
    fn counting<T: Transport, R>(
        &mut self,
        connection: &mut Connection<T>,
        change: impl FnOnce(&mut Connection<T>, &mut Vec<u8>) -> R,
    ) -> R {
        self.discount(connection);
        let result = change(connection, &mut self.spare);
        self.count(connection);
        result
    }

    /// Counts what is pending for a connection, or held of what was written to it.
    #[inline]
    pub(crate) fn count<T: Transport>(&mut self, connection: &Connection<T>) {
        self.private += private(connection);
        self.chunks += connection.outbox().chunks();
        self.held += connection.held();
    }

    /// Counts it no more.
    #[inline]
    pub(crate) fn discount<T: Transport>(&mut self, connection: &Connection<T>) {
        self.private -= private(connection);
        self.chunks -= connection.outbox().chunks();
        self.held -= connection.held();
    }

    /// From now on the place of a connection is kept.
    pub fn keep<T: Transport>(&mut self, connection: &mut Connection<T>, token: PlaceToken) {
        if self.kept == 0 {
            // From now on segments know what they are of.
            self.close_segments();
        }
        self.kept += 1;
        connection.begin_to_keep(token);
    }

    /// The place of a connection is kept no more. Gives the token.
    pub fn end_keeping<T: Transport>(&mut self, connection: &mut Connection<T>) -> Option<PlaceToken> {
        let token = self.counting(connection, |connection, _| connection.end_keeping())?;
        self.kept -= 1;
        Some(token)
    }

    /// So many lines of what was written to a connection have come; `false` if that is more than were.
    pub fn confirm<T: Transport>(&mut self, connection: &mut Connection<T>, lines: u64) -> bool {
        self.counting(connection, |connection, _| connection.keep_mut().is_some_and(|keep| keep.sent.confirm(lines)))
    }

    /// Queues a reply that is not the core's.
    pub fn reply<T: Transport>(&mut self, connection: &mut Connection<T>, kind: Kind, reply: &Reply) {
        self.encode_for(connection, kind, |dialect, line, style| dialect.reply(line, reply, style));
    }

    /// Queues a detail of a reply that is not the core's.
    pub fn detail<T: Transport>(&mut self, connection: &mut Connection<T>, detail: &Detail) {
        self.encode_for(connection, Kind::Reply, |dialect, line, style| dialect.detail(line, detail, style));
    }

    /// Queues a detail of the reply that comes next, which belongs to the connection and not to the place.
    pub fn aside<T: Transport>(&mut self, connection: &mut Connection<T>, detail: &Detail) {
        self.encode_for(connection, Kind::Aside, |dialect, line, style| dialect.detail(line, detail, style));
    }

    /// Queues again what was written to a connection and has not come, and what was pending behind it. Of files of which
    /// something is held no more, it is told that they are gone.
    pub fn put_back<T: Transport>(
        &mut self,
        connection: &mut Connection<T>,
        mut rest: Rest,
        left_out: &LeftOut,
        ends: Option<&'static str>,
    ) {
        let dialect = self.dialect(connection);
        for file in left_out.files() {
            let line = self.alone_gone(connection, file);
            rest.give_up(file, line.as_bytes(), |line| dialect.is_of_file(line, file));
        }
        self.counting(connection, |connection, _| connection.outbox_mut().put_back(rest, ends));
        self.enlist(connection, List::Prompt);
    }

    fn alone_gone<T: Transport>(&self, connection: &Connection<T>, file: FileId) -> String {
        let event = Event::Broken { file, why: Fault::Gone(Gone::NotHeld) };
        let mut line = String::new();
        self.dialect(connection).event(&mut line, &event, connection.style());
        line
    }

    /// Bytes of memory that what several are owed takes, or was taken by it and is not given back yet.
    pub fn shared(&self) -> usize {
        self.shared.get()
    }

    /// Panics unless what is counted is what is pending, and whoever can be written to is in a list; for tests.
    pub fn check<T: Transport>(&self, registry: &Registry<T>) {
        let sum = |count: fn(&Outbox) -> usize| registry.iter().map(|connection| count(connection.outbox())).sum();
        assert_eq!(self.private, registry.iter().map(private).sum(), "miscounted");
        assert_eq!(self.chunks, sum(Outbox::chunks), "miscounted");
        assert_eq!(self.held, registry.iter().map(Connection::held).sum(), "miscounted");
        assert_eq!(self.kept, registry.iter().filter(|connection| connection.keep().is_some()).count());
        for connection in registry.iter() {
            let (id, outbox) = (connection.id(), connection.outbox());
            let times = self.lists.each_ref().map(|list| list.iter().filter(|&&other| other == id).count());
            assert_eq!(times, connection.queued().lists.map(usize::from), "{id:?} is in these lists");
            let is_minded = times != [0; List::COUNT] || (connection.is_blocked() && connection.wake().is_some());
            // Its loss is near, or something is being read for it.
            let is_kept = connection.is_deaf() || outbox.unread().is_some();
            let is_minded = is_minded || connection.keep().is_some() && is_kept;
            assert!(connection.is_written() || is_minded, "{id:?} is forgotten with {} bytes", outbox.lines());
            assert!(outbox.lines() <= 2 * limits::SLOW_CONSUMER, "{} bytes are pending", outbox.lines());
            assert!(outbox.chunks() <= limits::CHUNKS_QUEUED + limits::CHUNK_BYTES, "{} of files", outbox.chunks());
        }
    }

    /// Queues bytes for a connection alone.
    pub fn push<T: Transport>(&mut self, connection: &mut Connection<T>, kind: Kind, bytes: &[u8]) {
        self.add(connection, kind, |outbox| outbox.push(kind, bytes));
        self.enlist(connection, List::Unhurried);
    }

    /// Queues for a connection alone what `write` writes in its dialect and style.
    fn encode_for<T: Transport>(
        &mut self,
        connection: &mut Connection<T>,
        kind: Kind,
        write: impl FnOnce(&dyn Dialect, &mut String, Style),
    ) {
        self.encode_into(connection, (kind, List::Unhurried), write);
    }

    /// The same, for a connection that is then in this list.
    #[inline]
    fn encode_into<T: Transport>(
        &mut self,
        connection: &mut Connection<T>,
        (kind, list): (Kind, List),
        write: impl FnOnce(&dyn Dialect, &mut String, Style),
    ) {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        write(self.dialect(connection), &mut line, connection.style());
        self.add(connection, kind, |outbox| outbox.push(kind, line.as_bytes()));
        self.enlist(connection, list);
        self.line = line;
    }

    /// An event that is the own affair of somebody who has no queue, as a dialect encodes it.
    pub fn alone(&self, dialect: usize, layer: Layer, event: &Event, style: Style) -> String {
        let mut line = String::new();
        encode_own(self.dialects[dialect], layer, &mut line, event, style);
        line
    }

    /// Queues an event that is a connection's own affair.
    pub fn tell<T: Transport>(&mut self, connection: &mut Connection<T>, event: &Event) {
        // It belongs to no answer that is being told.
        let kind = if connection.outbox().is_holding() { Kind::Event } else { Kind::Reply };
        self.tell_as(connection, kind, event);
    }

    /// The same of an event that belongs to the connection and not to the place.
    pub fn tell_aside<T: Transport>(&mut self, connection: &mut Connection<T>, event: &Event) {
        self.tell_as(connection, Kind::Aside, event);
    }

    fn tell_as<T: Transport>(&mut self, connection: &mut Connection<T>, kind: Kind, event: &Event) {
        let layer = connection.layer();
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        encode_own(self.dialect(connection), layer, &mut line, event, connection.style());
        let known = connection.keep().and_then(|_| kept_as(event));
        self.add(connection, kind, |outbox| match known {
            Some(lines) => outbox.push_known(kind, line.as_bytes(), lines),
            None => outbox.push(kind, line.as_bytes()),
        });
        self.enlist(connection, List::Unhurried);
        self.line = line;
    }

    /// Queues events for all of `to`, encoded once for each encoding in use.
    #[inline]
    fn publish<T: Transport>(
        &mut self,
        registry: &mut Registry<T>,
        to: &mut dyn Iterator<Item = ConnId>,
        events: &[Event],
    ) {
        let (kind, list, room) = match events {
            [Event::Presence { .. }, ..] => (Kind::Presence, Some(List::Unhurried), None),
            [event, ..] => match event.place() {
                Some(&Place::Room(room)) => (Kind::Event, None, Some(room)),
                _ => (Kind::Event, Some(List::Prompt), None),
            },
            [] => return,
        };
        let (Some(one), another) = (to.next(), to.next()) else { return };
        if let ([event @ (Event::Said { place, .. } | Event::Happened { place, .. })], None) = (events, another)
            && let Place::With(_) = place
        {
            // What nobody else hears is shared with nobody.
            let Some(connection) = registry.get_mut(one) else { return };
            self.encode_into(connection, (kind, List::Prompt), |dialect, line, style| {
                dialect.event(line, event, style)
            });
            self.gathered += self.line.len();
            self.counts.deliveries += 1;
            return;
        }
        let to = std::iter::once(one).chain(another).chain(to);
        let mut encoded = std::mem::take(&mut self.encoded);
        // How they are written to depends on how many they are.
        let (few, mut first) = (self.few(), ArrayVec::<ConnId, FEW>::new());
        let mut hearers = 0;
        for id in to {
            let Some(connection) = registry.get_mut(id) else { continue };
            let encoding = Encoding { dialect: connection.dialect(), style: connection.style() };
            let known = encoded.iter().position(|(known, ..)| *known == encoding);
            let at = known.unwrap_or_else(|| {
                let (segment, start) = self.encode(room, encoding, events);
                encoded.push((encoding, segment, start));
                encoded.len() - 1
            });
            let (_, segment, start) = &encoded[at];
            // What is pending may be parts of a message of which the end is fixed.
            let may_be_first = !connection.is_mid_message();
            self.add(connection, kind, |outbox| match events {
                // What could not be written down is pending, and must not come before people know.
                [Event::NotKept(..) | Event::Keeping(_)] if may_be_first => outbox.push_shared_first(kind, segment),
                _ => outbox.push_shared(kind, segment, *start),
            });
            hearers += 1;
            match list {
                Some(list) => self.enlist(connection, list),
                None if hearers <= few => first.push(id),
                None => self.enlist(connection, List::Fanout),
            }
        }
        self.counts.deliveries += (hearers * events.len()) as u64;
        let list = if hearers <= few { List::Prompt } else { List::Fanout };
        for id in first {
            if let Some(connection) = registry.get_mut(id) {
                self.enlist(connection, list);
            }
        }
        encoded.clear();
        self.encoded = encoded;
    }

    /// Adds events to a segment: the room's open one, or one of their own. Gives it, and where they begin.
    fn encode(&mut self, room: Option<RoomName>, encoding: Encoding, events: &[Event]) -> (Segment, usize) {
        let Encoding { dialect, style } = encoding;
        self.line.clear();
        events.iter().for_each(|event| self.dialects[dialect].event(&mut self.line, event, style));
        let len = self.line.len();
        self.gathered += len;
        let Some(room) = room else {
            let segment = Segment::new(&self.shared);
            segment.extend(self.line.as_bytes());
            return (segment, 0);
        };
        let begin = || if self.kept > 0 { Segment::of_room(&self.shared, room) } else { Segment::new(&self.shared) };
        let open = self.open.entry(room).or_default();
        let at = open.iter().position(|(known, _)| *known == encoding).unwrap_or_else(|| {
            open.push((encoding, begin()));
            open.len() - 1
        });
        let segment = &mut open[at].1;
        if !segment.has_room(len) {
            *segment = begin();
        }
        if let [Event::Said { seq: Some(seq), .. }] = events {
            segment.note_said(*seq);
        }
        segment.extend(self.line.as_bytes());
        (segment.clone(), segment.len() - len)
    }
}

/// Where the core's facts and effects go: facts are encoded and queued at once, effects wait until the core has returned.
pub struct Outgoing<'a, T> {
    /// The connections.
    pub registry: &'a mut Registry<T>,
    /// Their write queues.
    pub egress: &'a mut Egress,
    /// What the loop has to do.
    pub effects: &'a mut VecDeque<Effect>,
}

impl<T: Transport> Output for Outgoing<'_, T> {
    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnId>, events: &[Event]) {
        self.egress.publish(self.registry, to, events);
    }

    fn answer(&mut self, to: ConnId, event: &Event) {
        if let Some(connection) = self.registry.get_mut(to) {
            self.egress.tell(connection, event);
        }
    }

    fn data(&mut self, to: ConnId, file: FileId, offset: u64, data: &[u8]) {
        let Some(connection) = self.registry.get_mut(to) else { return };
        let egress = &mut *self.egress;
        let mut lines = std::mem::take(&mut egress.spare);
        egress.dialect(connection).data(&mut lines, file, offset, data, connection.style());
        if lines.capacity() - lines.len() > lines.len().min(limits::CHUNK_BYTES) {
            // What is short may be pending for long, and would keep all that memory for it.
            let short = lines.clone();
            egress.spare = std::mem::replace(&mut lines, short);
        }
        let is_kept = connection.keep().is_some();
        egress.add(connection, Kind::Chunk, |outbox| match is_kept {
            true => outbox.push_file(lines, file, offset, data.len()),
            false => outbox.push_own(Kind::Chunk, lines),
        });
        egress.enlist(connection, List::Unhurried);
    }

    fn reread(&mut self, to: ConnId, file: FileId, offset: u64, data: Option<&[u8]>) {
        let Some(connection) = self.registry.get_mut(to) else { return };
        let egress = &mut *self.egress;
        let dialect = egress.dialect(connection);
        let mut lines = Vec::new();
        match data {
            Some(data) => {
                dialect.data(&mut lines, file, offset, data, connection.style());
                egress.counting(connection, |connection, _| {
                    connection.outbox_mut().fill(lines, file, offset, data.len());
                });
            }
            None => {
                let line = egress.alone_gone(connection, file);
                egress.counting(connection, |connection, _| {
                    let is_of_file = |line: &[u8]| dialect.is_of_file(line, file);
                    connection.outbox_mut().give_up(file, line.as_bytes(), is_of_file);
                });
            }
        }
        egress.enlist(connection, List::Unhurried);
    }

    fn detail(&mut self, to: ConnId, detail: &Detail) {
        if let Some(connection) = self.registry.get_mut(to) {
            // Nothing may stand between the details of a reply and the reply.
            connection.outbox_mut().hold();
            self.egress.encode_for(connection, Kind::Reply, |dialect, line, style| dialect.detail(line, detail, style));
        }
    }

    fn reply(&mut self, to: ConnId, reply: &Reply) {
        if let Some(connection) = self.registry.get_mut(to) {
            self.egress.encode_for(connection, Kind::Reply, |dialect, line, style| dialect.reply(line, reply, style));
            connection.outbox_mut().release();
        }
    }

    fn set(&mut self, to: ConnId, Change { setting, on }: Change) {
        let Some(connection) = self.registry.get_mut(to) else { return };
        match setting {
            Setting::Stamp => connection.style_mut().stamp = on,
            Setting::Whole => *connection.whole_mut() = on,
            Setting::Echo | Setting::Presence | Setting::Typing => {}
        }
    }

    fn is_memory_short_for(&self, to: ConnId) -> bool {
        self.egress.is_memory_short() && self.registry.get(to).is_some_and(|connection| !connection.outbox().is_empty())
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::net::Ipv4Addr;

    use super::*;
    use crate::connection::Life;
    use crate::dialect::PLAIN;
    use crate::names::Text;
    use crate::peer::Peer;

    /// Takes so many bytes, and gives none.
    struct Narrow(usize);

    impl Read for Narrow {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Narrow {
        fn shut(&mut self, _: crate::transport::Farewell) -> io::Result<()> {
            Ok(())
        }

        fn set_user_timeout(&mut self, _: Option<Duration>) {}

        fn unread(&self) -> usize {
            0
        }

        fn take_error(&mut self) -> Option<io::Error> {
            None
        }
    }

    struct Net {
        registry: Registry<Narrow>,
        egress: Egress,
        effects: VecDeque<Effect>,
    }

    impl Net {
        fn new() -> Self {
            Self { registry: Registry::default(), egress: Egress::new(vec![&PLAIN]), effects: VecDeque::new() }
        }

        fn connect(&mut self, takes: usize) -> ConnId {
            self.registry.insert(Narrow(takes), (Peer::at(Ipv4Addr::LOCALHOST.into()), Instant::START), 0, Life::Active)
        }

        fn out(&mut self) -> Outgoing<'_, Narrow> {
            let Self { registry, egress, effects } = self;
            Outgoing { registry, egress, effects }
        }

        fn flush(&mut self, id: ConnId) -> Flushed {
            self.egress.flush(self.registry.get_mut(id).unwrap()).unwrap()
        }
    }

    #[test]
    fn a_short_piece_of_a_file_does_not_hold_the_memory_of_a_long_one() {
        let mut net = Net::new();
        let id = net.connect(usize::MAX);
        net.out().data(id, FileId(1), 0, &[0; 4 * limits::DOWNLOAD_UNIT]);
        assert!(net.registry.get(id).unwrap().outbox().memory() >= 64 * 1024);
        assert_eq!(net.flush(id), Flushed::All);
        net.out().data(id, FileId(1), 0, b"short");
        assert!(net.registry.get(id).unwrap().outbox().memory() < 100);
    }

    #[test]
    fn a_goodbye_tells_a_browser_of_no_key_whoever_says_it() {
        let mut net = Net::new();
        let egress = &mut net.egress;
        for (layer, is_told) in [(Layer::Tcp, true), (Layer::Wss, false)] {
            let line = egress.alone(0, layer, &Event::Bye(crate::event::Bye::Full), Style::FIRST);
            assert_eq!((line.contains(wire::ENDS_NC), line.ends_with('\n')), (is_told, true), "{line:?}");
        }
    }

    #[test]
    fn memory_is_short_while_much_is_pending_for_everybody() {
        let mut net = Net::new();
        let ids: Vec<ConnId> = (0..100).map(|_| net.connect(0)).collect();
        let event = Event::Motd(Text::new(&"x".repeat(4000)));
        while net.egress.private <= limits::PENDING_IN_ALL {
            assert!(!net.egress.is_memory_short() && net.egress.replies_allowed() > 0);
            ids.iter().for_each(|&id| net.out().answer(id, &event));
        }
        assert!(net.egress.is_memory_short() && net.egress.replies_allowed() == 0);
        // Who has nothing pending is answered all the same.
        let idle = net.connect(0);
        assert!(net.out().is_memory_short_for(ids[0]) && !net.out().is_memory_short_for(idle));
        net.egress.clear(net.registry.get_mut(ids[0]).unwrap());
        assert!(!net.egress.is_memory_short());
    }

    /// What somebody says in a room.
    fn said(len: usize) -> Event {
        Event::Said {
            place: Place::Room(RoomName::new("#a").unwrap()),
            seq: Some(1),
            at: std::time::SystemTime::UNIX_EPOCH,
            from: crate::names::Nick::new("alice").unwrap(),
            kind: crate::event::SaidKind::Text,
            text: Text::new(&"x".repeat(len)),
        }
    }

    #[test]
    fn nobody_is_slow_before_a_fan_out_was_due_however_short_memory_is() {
        let mut net = Net::new();
        let ids: Vec<ConnId> = (0..100).map(|_| net.connect(usize::MAX)).collect();
        net.egress.gate = Instant::START + Duration::MAX;
        for pending in [0, limits::PENDING_IN_ALL] {
            net.egress.private = pending;
            let mut turns = 0;
            while !net.egress.is_fanout_due(Instant::START) {
                // What one connection may say before it is looked at again whether it is enough.
                for _ in 0..limits::LINES_A_TURN {
                    net.out().publish(&mut ids.iter().copied(), &[said(4000)]);
                }
                assert!(net.egress.take_lagged().is_empty(), "somebody is slow after {turns} turns");
                turns += 1;
            }
            assert!(turns > 0);
            net.egress.close_segments();
            while let Some(id) = net.egress.next(List::Fanout, &mut net.registry) {
                net.flush(id);
            }
        }
    }

    #[test]
    fn a_small_room_does_not_wait_however_long_a_write_takes() {
        let mut net = Net::new();
        (0..100).for_each(|_| net.egress.note_fanout(1, Duration::from_secs(1), Instant::START));
        let mut ids: Vec<ConnId> = (0..FEW_LEAST).map(|_| net.connect(usize::MAX)).collect();
        net.out().publish(&mut ids.iter().copied(), &[said(10)]);
        assert_eq!(net.egress.next_fanout(), None);
        ids.push(net.connect(usize::MAX));
        net.out().publish(&mut ids.iter().copied(), &[said(10)]);
        assert!(net.egress.next_fanout().is_some());
    }

    #[test]
    fn only_who_keeps_a_large_room_busy_waits() {
        let mut net = Net::new();
        let (took, begin) = (Duration::from_millis(2), Instant::START + Duration::from_secs(1));
        net.egress.note_fanout(500, took, begin);
        assert_eq!(net.egress.gate, begin);
        // With one fan-out behind the other, each is soon paid for in full.
        let mut now = begin;
        for _ in 0..100 {
            now = now.max(net.egress.gate) + took;
            net.egress.note_fanout(500, took, now);
        }
        let share = (now - begin).as_secs_f64() / (100 * took).as_secs_f64();
        assert!((7.0..9.0).contains(&share), "{share}");
        now += Duration::from_millis(50);
        net.egress.note_fanout(500, took, now);
        assert_eq!(net.egress.gate, now);
    }

    #[test]
    fn what_many_share_counts_once() {
        let mut net = Net::new();
        let ids: Vec<ConnId> = (0..1000).map(|_| net.connect(0)).collect();
        let event = Event::Motd(Text::new(&"x".repeat(4000)));
        for _ in 0..67 {
            net.out().publish(&mut ids.iter().copied(), std::slice::from_ref(&event));
        }
        assert!(!net.egress.is_memory_short() && net.egress.take_lagged().is_empty());
        assert!(net.egress.shared.get() < 67 * 8192, "{}", net.egress.shared.get());
        for &id in &ids {
            assert_eq!(net.flush(id), Flushed::Blocked { taken: 0 });
        }
        assert!(!net.egress.is_memory_short());
        for &id in &ids {
            net.egress.clear(net.registry.get_mut(id).unwrap());
        }
        assert_eq!((net.egress.private, net.egress.shared.get()), (0, 0));
    }
}
