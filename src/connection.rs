//! One connection: its transport, its framing and its dialect, and how far it is.

mod kept;
mod put_out;
mod slow;

use std::io::{self, IoSlice, Write};
use std::time::Duration;

pub use self::kept::Keep;
use self::put_out::PutOut;
pub use self::slow::Retry;
use crate::event::Lost;
use crate::framing::Framing;
use crate::limits;
use crate::linebuf::LineBuf;
use crate::meters::TokenBucket;
use crate::metrics::OutCounts;
use crate::names::{ConnId, Wire};
use crate::outbox::{Flushed, Outbox};
use crate::peer::Peer;
use crate::plain::Style;
use crate::time::Instant;
use crate::transport::{Farewell, Layer, NotArrived, Transport, Unfinished};
use crate::web::Places;

/// The part of its life that a connection is in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It has come, and cannot be admitted before more of it has.
    Arriving,
    /// It was admitted: it speaks and listens.
    Active,
    /// It was not admitted: it is being told why, and is not read.
    Rejected,
    /// It was admitted and goes: nothing more is read of it, and what is pending for it is written.
    Draining,
    /// There was no place. It is heard for one line, which may be for a place that is kept, or prove that it is an owner's.
    Applying,
    /// It was admitted, and its transport is lost. Its place is kept: it speaks no more, and what is for it waits.
    Kept,
    /// All is written. Its input is discarded for a while, so that a reset does not swallow the last line.
    Lingering,
}

/// How one direction of a connection came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// In good order: the peer has nothing more to say, or takes nothing more.
    Done,
    /// It broke: it was reset.
    Reset,
    /// It broke: nothing was heard of the peer any more.
    Timeout,
}

impl Ended {
    /// How it broke, if it did.
    fn lost(self) -> Option<Lost> {
        match self {
            Self::Done => None,
            Self::Reset => Some(Lost::Reset),
            Self::Timeout => Some(Lost::Timeout),
        }
    }
}

/// Why nothing more is carried out of what a connection has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// Flood control: until its token bucket has a token again.
    Rate,
    /// Write backpressure: too many replies are pending for it.
    Replies,
    /// Disk backpressure: its chunks are left where they come from, or an operator's lines until the audit log has the last ones.
    Disk,
    /// Its last request has not been answered yet.
    Answer,
    /// Its last request waits for a password to be looked at, or for the ledger.
    Account,
}

/// What the system says of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Readiness {
    /// It may be read.
    pub readable: bool,
    /// It may be written.
    pub writable: bool,
    /// The peer has closed its side.
    pub closed: bool,
    /// It is broken.
    pub failed: bool,
    /// Something urgent has come, as telnet has it.
    pub urgent: bool,
}

/// Who is written to when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum List {
    /// In this turn.
    Prompt,
    /// When nothing else is to be written, so many a turn: answers, presence and file data.
    Unhurried,
    /// In the next fan-out.
    Fanout,
}

impl List {
    /// How many there are.
    pub const COUNT: usize = 3;
}

/// Which of the run queues and write lists a connection is in, so that it is in each of them once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Queued {
    /// One of the run queues: it has something to do.
    pub run: bool,
    /// The write lists, by [`List`].
    pub lists: [bool; List::COUNT],
    /// Those for whom the core may have file data.
    pub pump: bool,
    /// Those who are looked after when they have been silent for long.
    pub beat: bool,
}

/// One connection.
pub struct Connection<T> {
    id: ConnId,
    peer: Peer,
    /// When it came, in whole seconds since the process began.
    came: u32,
    /// None of a place that is kept.
    transport: Option<T>,
    framing: Framing,
    /// Which of the dialects it has.
    dialect: u8,
    style: Style,
    /// Whether an unfinished last line of its input is dropped.
    whole: bool,
    life: Life,
    /// Whether there may be something to read: readiness is told once. Only a read that would block, or one that got all there
    /// was, clears it.
    readable: bool,
    /// Whether and how its input ended.
    input_ended: Option<Ended>,
    /// Why its next line is not carried out, if it is not.
    pause: Option<Pause>,
    bucket: TokenBucket,
    /// Whether a token has been taken for the next line already.
    paid: bool,
    /// Whether a line has come from it.
    has_spoken: bool,
    /// Whether it exhausted the budget of its last turn, or asked for much: it belongs into the low-priority run queue.
    low_priority: bool,
    outbox: Outbox,
    /// Whether the transport may take something.
    writable: bool,
    /// Whether and how writing failed; nothing more is written then.
    output_ended: Option<Ended>,
    /// Whether it is a slow consumer, for whom the core leaves out room lines.
    lagging: bool,
    /// Whether the core may have file data for it.
    fetches: bool,
    queued: Queued,
    /// When it is to be looked at again.
    wake: Option<Instant>,
    /// What only a few have, so that the others need no memory for it.
    rare: Option<Box<Rare>>,
}

/// What only some connections have.
#[derive(Default)]
struct Rare {
    cold: Cold,
    keep: Option<Box<Keep>>,
}

/// The cold fields of a connection.
#[derive(Clone, Copy, Default)]
struct Cold {
    /// When the system said that its input has an end, which may be behind much that is still to be read.
    closed: Option<Instant>,
    /// When flood control lets it go on, or until when it lingers, is kept, may apply or arrive.
    until: Option<Instant>,
    /// Since when its transport has taken too little of what is pending.
    stalled: Option<Instant>,
    /// Bytes that it has taken since then.
    taken: u16,
    /// When it was last tried, though nothing was heard of room.
    tried: Option<Instant>,
    /// When it was last seen to read slowly; the kernel does not take it for dead then.
    slow: Option<Instant>,
    /// Whether it ever sent something urgent. A read ends at an urgent mark, and more may be there behind it.
    urgent: bool,
    /// Whether it was told that what it sends is no UTF-8.
    hinted: bool,
    /// Whether it was told that what it ends its lines in is no line end.
    hinted_at_ends: bool,
    /// Whether it was told that others see something else than the keys that it sends.
    hinted_at_keys: bool,
    /// Whether it was told that what begins without a slash is no command.
    hinted_at_slash: bool,
    /// Whether it is not to be here any more, though it was admitted.
    is_refused: bool,
    /// What of its input came before the person was put out of a room, and after.
    put_out: Option<PutOut>,
}

impl<T: Transport> Connection<T> {
    /// A connection that has just come in, from whom and when.
    pub fn new(id: ConnId, transport: T, (peer, now): (Peer, Instant), dialect: u8, life: Life) -> Self {
        Self {
            id,
            peer,
            came: u32::try_from((now - Instant::START).as_secs()).unwrap_or(u32::MAX),
            transport: Some(transport),
            framing: Framing::default(),
            dialect,
            style: Style::FIRST,
            whole: false,
            life,
            readable: true,
            input_ended: None,
            pause: None,
            bucket: TokenBucket::default(),
            paid: false,
            has_spoken: false,
            low_priority: false,
            outbox: Outbox::default(),
            writable: true,
            output_ended: None,
            lagging: false,
            fetches: false,
            queued: Queued::default(),
            wake: None,
            rare: None,
        }
    }

    /// By which the core knows it.
    pub fn id(&self) -> ConnId {
        self.id
    }

    /// Who is at the other end.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// When it came, to the second.
    pub fn came(&self) -> Instant {
        Instant::START + Duration::from_secs(self.came.into())
    }

    /// Which of the dialects it has.
    pub fn dialect(&self) -> usize {
        usize::from(self.dialect)
    }

    /// How it wants its lines.
    pub fn style(&self) -> Style {
        self.style
    }

    /// How it wants its lines, to be changed.
    pub fn style_mut(&mut self) -> &mut Style {
        &mut self.style
    }

    /// Whether an unfinished last line of its input is dropped, to be changed.
    pub fn whole_mut(&mut self) -> &mut bool {
        &mut self.whole
    }

    /// The part of its life that it is in.
    pub fn life(&self) -> Life {
        self.life
    }

    /// Whether it speaks and listens.
    pub fn is_active(&self) -> bool {
        self.life == Life::Active
    }

    /// Whether it goes as soon as all that is pending for it is written.
    pub fn goes_when_written(&self) -> bool {
        matches!(self.life, Life::Draining | Life::Rejected)
    }

    /// It goes on to another part of its life, in which no line of it is carried out. Its registry counts lives.
    pub(crate) fn set_life(&mut self, life: Life) {
        self.life = life;
        self.pause = None;
        // Whoever is admitted late has been heard already.
        if life != Life::Active {
            self.framing.lines = LineBuf::default();
        }
        // Nothing more comes of an answer that is under way.
        self.outbox.release();
    }

    /// Which queues and lists it is in.
    pub fn queued(&self) -> Queued {
        self.queued
    }

    /// Which queues and lists it is in, to be changed.
    pub fn queued_mut(&mut self) -> &mut Queued {
        &mut self.queued
    }

    /// What carries its lines. Of a place that is kept nobody knows.
    pub fn layer(&self) -> Layer {
        self.transport.as_ref().map_or(Layer::Tcp, Transport::layer)
    }

    /// Whether it came to speak TLS with the server itself.
    pub fn is_tls(&self) -> bool {
        self.layer().is_tls()
    }

    /// Its transport, if it has one.
    pub(crate) fn transport_mut(&mut self) -> Option<&mut T> {
        self.transport.as_mut()
    }

    /// Its transport, to be registered and given up.
    pub fn into_transport(self) -> Option<T> {
        self.transport
    }

    /// Whether nothing is to be done but to read what comes and to write what is pending, as is so nearly always.
    #[inline]
    pub fn is_on_fast_path(&self) -> bool {
        self.life == Life::Active
            && self.pause.is_none()
            && !self.lagging
            && !self.fetches
            && self.wake.is_none()
            && self.rare.as_deref().is_none_or(Rare::is_on_fast_path)
    }

    fn cold(&self) -> Cold {
        self.rare.as_deref().map(|rare| rare.cold).unwrap_or_default()
    }

    fn cold_mut(&mut self) -> &mut Cold {
        &mut self.rare.get_or_insert_default().cold
    }

    /// Takes note of what the system says.
    pub fn note(&mut self, ready: Readiness, now: Instant) {
        if ready.readable || ready.closed || ready.failed {
            self.readable = true;
            self.note_input(now);
        }
        if ready.urgent {
            self.cold_mut().urgent = true;
        }
        if ready.closed || ready.failed {
            self.cold_mut().closed.get_or_insert(now);
        }
        if ready.writable || ready.failed {
            self.writable = true;
        }
        // What had arrived can still be read behind it.
        if let Some(e) = ready.failed.then(|| self.transport.as_mut()?.take_error()).flatten() {
            self.output_ended.get_or_insert(ended_by(&e));
        }
    }
}

/// What comes in.
impl<T: Transport> Connection<T> {
    /// Goes on arriving as far as it goes now. Who is at the other end is known for sure only when that is done.
    pub(crate) fn arrive(&mut self, places: Places) -> Result<(), NotArrived> {
        let transport = self.transport.as_mut().ok_or(io::Error::from(io::ErrorKind::NotConnected))?;
        let arrived = transport.arrive(self.peer, places);
        // What follows may have come already.
        self.readable = arrived.is_ok() || transport.has_more();
        self.peer = arrived?;
        // Until when it might take for that means nothing any more, and is not held for as long as it is here.
        self.rare.take_if(|rare| rare.cold.closed.is_none() && !rare.cold.urgent);
        Ok(())
    }

    /// See [`Transport::asked_name`].
    pub(crate) fn asked_name(&self) -> Option<String> {
        self.transport.as_ref().and_then(Transport::asked_name)
    }

    /// See [`Transport::handshake`].
    pub(crate) fn handshake(&self) -> Option<Wire> {
        self.transport.as_ref().and_then(Transport::handshake)
    }

    /// Reads once; `Ok(0)` is the end of input. Something may be left to be written then, so its egress must be told.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(transport) = &mut self.transport else { return Err(io::ErrorKind::WouldBlock.into()) };
        loop {
            match transport.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Err(e);
                }
                Ok(0) => {
                    self.end_input(self.output_ended.filter(|ended| ended.lost().is_some()).unwrap_or(Ended::Done));
                    return Ok(0);
                }
                Ok(n) => {
                    // Less than there was room for is all there was; more, or the end, comes with an event of its own.
                    let goes_on = |cold: &Cold| cold.closed.is_some() || cold.urgent;
                    let is_cold = self.rare.as_deref().is_some_and(|rare| goes_on(&rare.cold));
                    self.readable = n == buf.len() || is_cold || transport.has_more();
                    return Ok(n);
                }
                Err(e) => {
                    self.end_input(ended_by(&e));
                    return Err(e);
                }
            }
        }
    }

    /// What has been read until now has come now.
    pub fn note_heard(&mut self, now: Instant) {
        let Some(transport) = &mut self.transport else { return };
        transport.note_heard(now);
        self.readable |= transport.has_more();
    }

    /// Looks after a peer who may be gone without a word, see [`Transport::beat`]; its egress must be told. Nobody's fault is silence while
    /// the server does not read, or has something to write.
    pub(crate) fn beat(&mut self, now: Instant) -> Option<Instant> {
        let is_attended = self.life == Life::Active && self.pause.is_none() && !self.readable && self.is_written();
        let transport = self.transport.as_mut().filter(|_| self.life == Life::Active)?;
        if !is_attended {
            transport.excuse(now);
        }
        match transport.beat(now) {
            Ok(next) => next,
            Err(e) => {
                self.end_input(ended_by(&e));
                None
            }
        }
    }

    fn end_input(&mut self, how: Ended) {
        self.input_ended.get_or_insert(how);
        self.framing.lines.end();
    }

    /// What it sent and is not carried out yet.
    pub fn framing(&mut self) -> &mut Framing {
        &mut self.framing
    }

    /// Whether a whole line may be among what it sent and is not carried out yet.
    pub fn may_have_lines(&self) -> bool {
        !self.framing.lines.is_searched()
    }

    /// Whether there may be something to read.
    pub fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether and how its input ended: all that it sent has been read then.
    pub fn input_ended(&self) -> Option<Ended> {
        self.input_ended
    }

    /// How it was lost, if reading, writing or the system has shown that it is.
    pub fn lost(&self) -> Option<Lost> {
        [self.input_ended, self.output_ended].into_iter().flatten().find_map(Ended::lost)
    }

    /// Whether it takes nothing more.
    pub fn is_deaf(&self) -> bool {
        self.output_ended.is_some() || self.lost().is_some()
    }

    /// Takes a token for the next line, unless there is one for it already; `false` if there is none, and it is paused until
    /// there is.
    pub fn pay(&mut self, rate: u32, now: Instant) -> bool {
        if !self.paid {
            self.paid = self.pay_for_endless(rate, now);
        }
        self.paid
    }

    /// Takes a token for input that has no end yet; see [`Connection::pay`].
    pub fn pay_for_endless(&mut self, rate: u32, now: Instant) -> bool {
        let taken = self.bucket.take(rate, now);
        if let Err(until) = taken {
            self.pause = Some(Pause::Rate);
            self.cold_mut().until = Some(until);
        }
        taken.is_ok()
    }

    /// The next line is paid for: it is the one whose token was used last.
    pub fn keep_token(&mut self) {
        self.paid = true;
    }

    /// The line that was paid for is being carried out, or is not to be paid for.
    pub fn use_token(&mut self) {
        self.paid = false;
    }

    /// Why its next line is not carried out, if it is not.
    pub fn pause(&self) -> Option<Pause> {
        self.pause
    }

    /// Pauses it, or lets it go on.
    pub fn set_pause(&mut self, pause: Option<Pause>) {
        self.pause = pause;
    }

    /// Whether half a line that it leaves, at which `lines` are, is dropped. Where anybody may have cut it off, it is lost by that.
    pub fn drops_unfinished(&mut self, lines: &LineBuf) -> bool {
        match self.transport.as_ref().map_or(Unfinished::Line, Transport::unfinished) {
            Unfinished::Cut if lines.at_half_line() => {
                self.input_ended = Some(Ended::Reset);
                return true;
            }
            Unfinished::Dropped if lines.at_half_line() => return true,
            _ => {}
        }
        // Of a place that is kept, lines are counted, and half a line of file data would count as one.
        self.whole && lines.at_unfinished() || self.keep().is_some() && lines.at_half_line()
    }

    /// Whether a line has come from it.
    pub fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// It is to be told that what it sends is no UTF-8; says whether it was before.
    pub fn hint(&mut self) -> bool {
        std::mem::replace(&mut self.cold_mut().hinted, true)
    }

    /// It is to be told that what it ends its lines in is no line end; says whether it was before.
    pub fn hint_at_ends(&mut self) -> bool {
        std::mem::replace(&mut self.cold_mut().hinted_at_ends, true)
    }

    /// It is to be told that others see something else than the keys that it sends; says whether it was before.
    pub fn hint_at_keys(&mut self) -> bool {
        std::mem::replace(&mut self.cold_mut().hinted_at_keys, true)
    }

    /// It is to be told that what begins without a slash is no command; says whether it was before.
    pub fn hint_at_slash(&mut self) -> bool {
        std::mem::replace(&mut self.cold_mut().hinted_at_slash, true)
    }

    /// A line has come from it; says whether one had before.
    pub fn speak(&mut self) -> bool {
        std::mem::replace(&mut self.has_spoken, true)
    }

    /// Whether it belongs into the low-priority run queue.
    pub fn is_low_priority(&self) -> bool {
        self.low_priority
    }

    /// From now on it belongs into the low-priority run queue.
    pub fn lower_priority(&mut self) {
        self.low_priority = true;
    }

    /// From now on it belongs into the ordinary run queue.
    pub fn restore_priority(&mut self) {
        self.low_priority = false;
    }

    /// Whether what flood control holds back is not waited for any longer: its input has ended, and the time for that too,
    /// or it was cut off.
    pub fn is_to_give_up(&self, now: Instant) -> bool {
        let is_over = self.cold().closed.is_some_and(|closed| now >= closed + limits::AFTER_END);
        self.pause == Some(Pause::Rate) && (is_over || self.lost().is_some())
    }
}

/// A transport whose writes are counted.
struct Counted<'a, T> {
    transport: &'a mut T,
    counts: &'a mut OutCounts,
}

impl<T: Transport> Counted<'_, T> {
    fn count(&mut self, written: io::Result<usize>) -> io::Result<usize> {
        if let Ok(bytes) = written {
            self.counts.writes += 1;
            self.counts.bytes += bytes as u64;
        }
        written
    }
}

impl<T: Transport> Write for Counted<'_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.transport.write(bytes);
        self.count(written)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.transport.write_vectored(pieces);
        self.count(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.transport.flush()
    }
}

/// What goes out.
impl<T: Transport> Connection<T> {
    /// What is pending for it.
    #[inline]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// What is pending for it, to be added to. Its egress must be told, which counts bytes.
    #[inline]
    pub(crate) fn outbox_mut(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Whether anything more may be queued for it: somebody reads it, and the last line has not been said.
    #[inline]
    pub fn listens(&self) -> bool {
        // What comes after a loss waits where a place is kept.
        matches!(self.life, Life::Active | Life::Kept | Life::Applying | Life::Rejected)
            && (self.output_ended.is_none() || self.keep().is_some())
    }

    /// Whether nothing is pending for it, and nothing that was written waits in its transport.
    #[inline]
    pub fn is_written(&self) -> bool {
        self.outbox.is_empty() && self.unsent() == 0
    }

    /// Bytes that were written to it and wait in its transport.
    #[inline]
    pub fn unsent(&self) -> usize {
        self.transport.as_ref().map_or(0, Transport::unsent)
    }

    /// Whether what is pending belongs to a message that its transport has begun.
    pub fn is_mid_message(&self) -> bool {
        self.transport.as_ref().is_some_and(Transport::is_mid_message)
    }

    /// Whether the last write did not take all, and nothing has been heard of room since.
    pub fn is_blocked(&self) -> bool {
        !self.writable
    }

    /// Writes as much of what is pending as its transport takes, and counts it. What file data was in is left in `spare`.
    pub(crate) fn write(&mut self, spare: &mut Vec<u8>, counts: &mut OutCounts) -> io::Result<Flushed> {
        // What is for a place that is kept is written when somebody has taken it up.
        self.writable &= self.output_ended.is_none() || self.keep().is_none();
        if !self.writable && !self.is_written() {
            self.outbox.settle();
            return Ok(Flushed::Blocked { taken: 0 });
        }
        let Some(transport) = &mut self.transport else { return Ok(Flushed::Blocked { taken: 0 }) };
        let sent = self.rare.as_deref_mut().and_then(|rare| Some(&mut rare.keep.as_deref_mut()?.sent));
        let before = transport.unsent();
        let flushed =
            self.outbox.write_to(&mut Counted { transport, counts }, spare, sent).map(|flushed| match flushed {
                // What waits sealed nobody has taken.
                Flushed::Blocked { taken } => {
                    Flushed::Blocked { taken: (before + taken).saturating_sub(transport.unsent()) }
                }
                Flushed::All => Flushed::All,
            });
        self.writable = !matches!(flushed, Ok(Flushed::Blocked { .. }));
        if !self.writable {
            self.outbox.settle();
        }
        flushed
    }

    /// Writing failed: nothing more is written. What it sent before is still carried out.
    pub fn note_broken(&mut self, e: &io::Error, now: Instant) {
        self.output_ended.get_or_insert(ended_by(e));
        self.readable = true;
        let cold = self.cold_mut();
        cold.stalled = None;
        cold.closed.get_or_insert(now);
    }

    /// Has the next write tried, whatever was known of the transport.
    pub fn force_writable(&mut self) {
        self.writable = true;
    }

    /// Tells the peer that nothing more is written; `false` if it is known to be gone. It may linger until then.
    pub fn shut(&mut self, until: Instant, farewell: Farewell) -> bool {
        self.cold_mut().until = Some(until);
        let has_ended = self.input_ended.is_some();
        let transport = self.transport.as_mut().filter(|transport| !has_ended || transport.may_go_on());
        transport.is_some_and(|transport| transport.shut(farewell).is_ok())
    }

    /// It is not to be here any more, though it was admitted.
    pub fn refuse(&mut self) {
        self.cold_mut().is_refused = true;
    }

    /// Whether it is not to be here any more, though it was admitted.
    pub fn is_refused(&self) -> bool {
        self.cold().is_refused
    }

    /// Whether it is a slow consumer, for whom the core leaves out room lines.
    pub fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// It is a slow consumer from now on.
    pub fn lag(&mut self) {
        self.lagging = true;
    }

    /// It is a slow consumer no more.
    pub fn catch_up(&mut self) {
        self.lagging = false;
    }

    /// Whether the core may have file data for it.
    pub fn fetches(&self) -> bool {
        self.fetches
    }

    /// The core may have file data for it from now on.
    pub fn begin_to_fetch(&mut self) {
        self.fetches = true;
    }

    /// The core has no file data for it.
    pub fn end_fetching(&mut self) {
        self.fetches = false;
    }
}

impl Rare {
    #[inline]
    fn is_on_fast_path(&self) -> bool {
        self.cold.stalled.is_none() && self.cold.slow.is_none() && self.keep.is_none()
    }
}

/// Times.
impl<T: Transport> Connection<T> {
    /// It may apply for a place until then, or arrive.
    pub fn wait_until(&mut self, until: Instant) {
        self.cold_mut().until = Some(until);
    }

    /// Whether the time is over for which it lingers, its place is kept, or it may apply or arrive.
    pub fn is_over(&self, now: Instant) -> bool {
        self.cold().until.is_none_or(|until| now >= until)
    }

    /// When it must be looked at again whatever else happens, if it must. `stall` is the setting.
    fn next_wake(&self, stall: Duration, now: Instant) -> Option<Instant> {
        let is_held_back = self.pause == Some(Pause::Rate);
        let cold = self.cold();
        let is_for_a_time = matches!(self.life, Life::Arriving | Life::Applying | Life::Kept | Life::Lingering);
        let until = cold.until.filter(|_| is_held_back || is_for_a_time);
        let ended = cold.closed.filter(|_| is_held_back).map(|closed| closed + limits::AFTER_END);
        let part = stall / limits::TRIES;
        let next_try =
            |since| (1..=limits::TRIES).map(|n| since + part * n).find(|&at| at > now).unwrap_or(since + stall);
        let stalled = cold.stalled.map(next_try);
        let calm = cold.slow.filter(|_| stalled.is_none()).map(|at| at + limits::CALM);
        [until, ended, stalled, calm].into_iter().flatten().min().map(|at| at.max(now))
    }

    /// Sets the time of its wake anew; gives the old and the new one if they differ.
    pub fn rearm(&mut self, stall: Duration, now: Instant) -> Option<(Option<Instant>, Option<Instant>)> {
        if self.is_on_fast_path() {
            return None;
        }
        let wake = self.next_wake(stall, now);
        let old = std::mem::replace(&mut self.wake, wake);
        (old != wake).then_some((old, wake))
    }

    /// When it is to be looked at again.
    pub fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// Its wake has come, or it is removed.
    pub fn disarm(&mut self) -> Option<Instant> {
        self.wake.take()
    }
}

/// How an error ended a connection.
fn ended_by(e: &io::Error) -> Ended {
    match e.kind() {
        // The peer had closed in good order before, and does not read any more.
        io::ErrorKind::BrokenPipe => Ended::Done,
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Ended::Timeout,
        _ => Ended::Reset,
    }
}

/// A connection for the tests of its parts.
#[cfg(test)]
mod nowhere {
    use std::io::{Read, Write};
    use std::net::Ipv4Addr;

    use super::*;

    /// Nobody is at its other end.
    pub(super) struct Nowhere;

    impl Read for Nowhere {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    impl Write for Nowhere {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Nowhere {
        fn shut(&mut self, _: Farewell) -> io::Result<()> {
            Ok(())
        }

        fn set_user_timeout(&mut self, _: Option<Duration>) {}

        fn unread(&self) -> usize {
            limits::PUT_OUT_FULL
        }

        fn take_error(&mut self) -> Option<io::Error> {
            None
        }
    }

    pub(super) fn connection() -> Connection<Nowhere> {
        Connection::new(
            ConnId::NOBODY,
            Nowhere,
            (Peer::at(Ipv4Addr::LOCALHOST.into()), Instant::START),
            0,
            Life::Active,
        )
    }
}
