//! What goes out to the connections: first to the log, then to the sockets, and what becomes of those who do not take it.

use std::time::Duration;

use log::debug;

use crate::connection::{Connection, Life, List, Pause};
use crate::event::{Bye, Event, Lost};
use crate::hub::Departure;
use crate::limits;
use crate::names::ConnId;
use crate::outbox::Flushed;
use crate::plain;
use crate::system::System;
use crate::time::Now;
use crate::transport::Farewell;

use super::Reactor;

impl<S: System> Reactor<S> {
    /// Writes down what was said and noted in this turn, before anybody hears it, and then has looked up what is asked for.
    pub(super) fn write_log(&mut self, now: Now) {
        let rules_trouble = self.system.settle_notes();
        let trouble = self.system.log(&self.records);
        self.records.clear();
        self.queries.drain(..).for_each(|query| self.system.ask(query));
        while let Some(keeping) = self.system.keeping() {
            self.core(now, |hub, out| hub.set_keeping(keeping, out));
        }
        self.core(now, |hub, out| hub.set_trouble(trouble, rules_trouble, out));
    }

    /// Closes those who have had their last try and still took too little.
    pub(super) fn drop_stalled(&mut self, now: Now) {
        if self.on_trial.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.on_trial) {
            let stall = self.hub.settings().stall;
            if self.registry.get(id).is_some_and(|connection| connection.is_stalled_for(stall, now.at)) {
                self.drop_slow(id, now);
            }
        }
        self.write_log(now);
        self.flush(now);
    }

    /// Closes a connection that has taken too little for too long.
    fn drop_slow(&mut self, id: ConnId, now: Now) {
        if self.lose(id, Lost::Closed(Bye::TooSlow), now) {
            return;
        }
        self.note_end(id, plain::bye_code(Bye::TooSlow).as_str());
        self.counts.byes.count(plain::bye_code(Bye::TooSlow));
        self.core(now, |hub, out| hub.disconnect(id, now, Departure::Lost(Lost::Closed(Bye::TooSlow)), out));
        if let Some(connection) = self.registry.get_mut(id) {
            self.egress.cut(connection);
            self.egress.tell(connection, &Event::Bye(Bye::TooSlow));
            connection.force_writable();
            // As far as the socket still takes it, which is hardly far.
            if let Err(e) = self.egress.flush(connection) {
                debug!("connection {id} takes no farewell: {e}");
            }
        }
        self.remove(id);
    }

    /// Asks the disk for what people download, as far as their queues have room for it.
    pub(super) fn pump(&mut self, now: Now) {
        for id in std::mem::take(&mut self.wanting) {
            if let Some(connection) = self.registry.get_mut(id) {
                connection.queued_mut().pump = false;
            }
            self.pump_one(id, now);
        }
    }

    pub(super) fn pump_one(&mut self, id: ConnId, now: Now) {
        let allowed = self.egress.chunks_allowed();
        let takes = |connection: &&mut Connection<S::Stream>| connection.is_active() && !connection.is_deaf();
        let Some(connection) = self.registry.get_mut(id).filter(takes) else {
            // Its turn at the disk goes to the next.
            return self.core(now, |hub, out| hub.pump(id, 0, out));
        };
        // While an answer is being told, file data would only be held back.
        let allowed = if connection.outbox().is_holding() { 0 } else { allowed };
        let room = allowed.saturating_sub(connection.outbox().chunks()) / limits::CHUNK_BYTES * limits::DOWNLOAD_UNIT;
        let has_ended = connection.input_ended().is_some();
        self.core(now, |hub, out| hub.pump(id, room, out));
        let is_transferring = self.hub.is_transferring(id);
        if let Some(connection) = self.registry.get_mut(id).filter(|_| !is_transferring) {
            connection.end_fetching();
        }
        // It may have waited for just this to be whole.
        if has_ended && !is_transferring {
            self.run_soon(id);
        }
    }

    /// Writes what is pending, once for each connection, and what others said only when it is time for a fan-out.
    pub(super) fn flush(&mut self, now: Now) {
        self.flush_prompt(now);
        match self.egress.next_fanout() {
            None => self.egress.close_segments(),
            Some(_) if self.egress.is_fanout_due(self.system.at()) => self.fan_out(now),
            Some(_) => _ = self.gathering.get_or_insert(now.at),
        }
        // What is found for them once they are written to is for the next turn.
        for _ in 0..self.egress.unhurried().min(limits::ANSWERED_A_TURN) {
            let Some(id) = self.egress.next(List::Unhurried, &mut self.registry) else { break };
            self.flush_one(id, now);
        }
    }

    /// Writes to all for whom something is pending that does not wait.
    #[inline]
    pub(super) fn flush_prompt(&mut self, now: Now) {
        while let Some(id) = self.egress.next(List::Prompt, &mut self.registry) {
            self.flush_one(id, now);
        }
    }

    /// Writes to all who are owed what others said.
    pub(super) fn fan_out(&mut self, now: Now) {
        let before = self.system.worked();
        self.egress.close_segments();
        let mut writes = 0;
        while let Some(id) = self.egress.next(List::Fanout, &mut self.registry) {
            self.flush_one(id, now);
            writes += 1;
        }
        if writes > 0 {
            self.counts.gathers.add(self.gathering.take().map_or(Duration::ZERO, |since| now.at - since));
        }
        self.egress.note_fanout(writes, self.system.worked() - before, self.system.at());
    }

    pub(super) fn flush_one(&mut self, id: ConnId, now: Now) {
        debug_assert!(self.records.is_empty(), "what is not written down must not go out");
        let Some(connection) = self.registry.get_mut(id) else { return };
        if connection.life() == Life::Kept {
            return;
        }
        match self.egress.flush(connection) {
            Ok(Flushed::All) if connection.is_on_fast_path() => return,
            Ok(flushed) => connection.note_flushed(flushed, self.hub.settings().stall, now.at),
            Err(e) => {
                connection.note_broken(&e, now.at);
                if connection.keep().is_none() {
                    self.egress.clear(connection);
                }
                if !connection.is_active() {
                    return self.remove(id);
                }
                self.run_soon(id);
            }
        }
        let replies_allowed = self.egress.replies_allowed();
        let Some(connection) = self.registry.get_mut(id) else { return };
        if connection.goes_when_written() && connection.is_written() {
            return self.linger(id, now);
        }
        if connection.pause() == Some(Pause::Replies) && connection.outbox().replies() <= replies_allowed {
            self.run_soon(id);
        }
        let Some(connection) = self.registry.get_mut(id) else { return };
        if connection.is_lagging() && connection.outbox().lines() == 0 {
            connection.catch_up();
            if connection.is_active() {
                self.core(now, |hub, out| hub.caught_up(id, now, out));
            }
        }
        if let Some((file, offset, len)) = self.registry.get(id).and_then(|connection| connection.outbox().unread()) {
            self.core(now, |hub, out| hub.reread(id, file, offset, len, out));
        }
        if self.registry.get(id).is_some_and(Connection::ends_with_its_queue) {
            self.run_soon(id);
        }
        if self.registry.get(id).is_some_and(Connection::fetches) {
            self.pump_one(id, now);
        }
        self.rearm(id, now);
    }

    /// All is written: says so to the peer, and waits a moment for it to go.
    pub(super) fn linger(&mut self, id: ConnId, now: Now) {
        // When all go at once, each gets its farewell.
        let is_crowded = self.registry.lingering() >= limits::LINGERING && self.end.is_none();
        let ends = self.end.is_some();
        let Some(connection) = self.registry.get_mut(id) else { return };
        let farewell = match connection.life() {
            Life::Rejected => Farewell::Refused,
            _ if connection.is_refused() => Farewell::Refused,
            _ if ends => Farewell::ServerEnds,
            _ => Farewell::Done,
        };
        if !connection.shut(now.at + limits::LINGER, farewell) || is_crowded {
            return self.remove(id);
        }
        self.registry.set_life(id, Life::Lingering);
        self.run_soon(id);
        self.rearm(id, now);
    }
}
