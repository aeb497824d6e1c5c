//! A place that outlives its transport: what was written to it, losing the transport, and going on with another.

use super::{Cold, Connection, Life};
use crate::effect::LeftOut;
use crate::event::Lost;
use crate::framing::Framing;
use crate::names::{ConnId, PlaceToken};
use crate::outbox::{Outbox, Rest, Sent};
use crate::time::Instant;
use crate::transport::Transport;

/// What a connection has whose place is kept when its transport is lost.
pub struct Keep {
    /// Who has this may take it up.
    pub token: PlaceToken,
    /// What was written to it.
    pub sent: Sent,
    /// How many lines of its own were carried out or refused.
    pub had: u64,
    /// The newest connection on which it was kept or taken up.
    newest: ConnId,
    /// How its transport was lost, once it is.
    pub lost: Option<Lost>,
}

impl<T: Transport> Connection<T> {
    /// What it has if its place is kept when its transport is lost.
    #[inline]
    pub fn keep(&self) -> Option<&Keep> {
        self.rare.as_deref()?.keep.as_deref()
    }

    /// The same, to be changed.
    #[inline]
    pub fn keep_mut(&mut self) -> Option<&mut Keep> {
        self.rare.as_deref_mut()?.keep.as_deref_mut()
    }

    /// Its place is kept from now on when its transport is lost.
    pub fn begin_to_keep(&mut self, token: PlaceToken) {
        let keep = Keep { token, sent: Sent::default(), had: 0, newest: self.id, lost: None };
        self.rare.get_or_insert_default().keep = Some(Box::new(keep));
    }

    /// Bytes of memory that are held of what was written to it.
    #[inline]
    pub fn held(&self) -> usize {
        self.keep().map_or(0, |keep| keep.sent.memory())
    }

    /// Its place is kept no more: what was written to it is forgotten.
    pub fn end_keeping(&mut self) -> Option<PlaceToken> {
        let keep = self.rare.as_deref_mut()?.keep.take()?;
        self.outbox.forget_keep();
        Some(keep.token)
    }

    /// Whether its input has ended, and all was written that its place is to be kept after.
    pub fn ends_with_its_queue(&self) -> bool {
        self.keep().is_some() && self.input_ended.is_some() && self.is_written() && self.life == Life::Active
    }

    /// A line of its own was carried out or refused.
    pub fn count_line(&mut self) {
        if let Some(keep) = self.keep_mut() {
            keep.had += 1;
        }
    }

    /// Its transport is lost, and its place kept until then. What it sent and is not carried out is forgotten.
    pub(crate) fn lose(&mut self, how: Lost, until: Instant) -> Option<T> {
        if let Some(keep) = self.keep_mut() {
            keep.lost = Some(how);
        }
        self.life = Life::Kept;
        let Cold { hinted, hinted_at_ends, hinted_at_keys, .. } = self.cold();
        *self.cold_mut() = Cold { until: Some(until), hinted, hinted_at_ends, hinted_at_keys, ..Cold::default() };
        self.outbox.unwrite();
        self.reset_input();
        self.writable = false;
        self.readable = false;
        (self.input_ended, self.output_ended) = (None, None);
        self.transport.take()
    }

    /// What comes from its transport begins anew, with a line.
    fn reset_input(&mut self) {
        self.framing = Framing::default();
        self.paid = false;
        self.pause = None;
    }

    /// Goes on with the transport of another connection, with what has come over it, and where it comes from. Gives its own, if it
    /// still has one, and what was pending for the other.
    pub(crate) fn take_up(&mut self, other: Self) -> (Option<T>, Outbox) {
        if let Some(keep) = self.keep_mut() {
            keep.lost = None;
        }
        self.life = Life::Active;
        self.reset_input();
        let Cold { closed, urgent, .. } = other.cold();
        let Cold { hinted, hinted_at_ends, hinted_at_keys, .. } = self.cold();
        *self.cold_mut() = Cold { closed, urgent, hinted, hinted_at_ends, hinted_at_keys, ..Cold::default() };
        self.framing = other.framing;
        self.style.crlf = other.style.crlf;
        self.peer = other.peer;
        (self.readable, self.writable) = (other.readable, other.writable);
        (self.input_ended, self.output_ended) = (other.input_ended, other.output_ended);
        (std::mem::replace(&mut self.transport, other.transport), other.outbox)
    }

    /// Takes out what was written to it behind so many lines and what is pending behind that, for the connection that takes it up, and
    /// tells what is held no more of it, and whether what tells so is counted. Its egress must be told.
    pub(crate) fn rewind(&mut self, lines: u64, by: ConnId) -> Option<(Rest, LeftOut, bool)> {
        let Self { rare, outbox, .. } = self;
        let keep = rare.as_deref_mut()?.keep.as_deref_mut()?;
        let is_late = by.is_older_than(keep.newest);
        keep.newest = if is_late { keep.newest } else { by };
        Some(outbox.rewind(&mut keep.sent, lines, is_late))
    }
}
