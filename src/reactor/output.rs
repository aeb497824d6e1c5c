//! What goes out to the connections: first to the log, then to the sockets, and what becomes of those who do not take it.

use std::io;
use std::net::Shutdown;

use log::debug;

use crate::connection::{Connection, Hold, Phase, lost_by};
use crate::effect::Output;
use crate::event::{Bye, Event, Lost, Now};
use crate::hub::Departure;
use crate::limits;
use crate::listener::set_user_timeout;
use crate::names::ConnId;
use crate::outbox::Flushed;

use super::Reactor;

impl Reactor {
    /// Writes down what was said in this turn, before anybody hears it.
    pub(super) fn write_log(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        let records = self.net.take_records();
        if !records.is_empty() {
            journal.write(&records);
        }
        self.hub.set_trouble(journal.trouble(), &mut self.net);
    }

    /// Closes those who have had their last try and still took nothing.
    pub(super) fn drop_stalled(&mut self, now: Now) {
        if self.on_trial.is_empty() {
            return;
        }
        for id in std::mem::take(&mut self.on_trial) {
            let stall = self.settings.stall;
            let is_stalled = |c: &Connection| c.stalled.is_some_and(|since| now.tick >= since.get() + stall);
            if self.net.get_mut(id).is_some_and(|c| is_stalled(c)) {
                self.drop_slow(id, now);
            }
        }
        self.flush(now);
    }

    /// Closes a connection that has taken nothing for too long.
    fn drop_slow(&mut self, id: ConnId, now: Now) {
        debug!("{id:?} is too slow");
        self.hub.disconnect(id, now, Departure::Lost(Lost::Closed(Bye::TooSlow)), &mut self.net);
        self.net.clear(id);
        self.net.answer(id, &Event::Bye(Bye::TooSlow));
        self.net[id].writable = true;
        // As far as the socket still takes it, which is hardly far.
        if let Err(e) = self.net.flush(id) {
            debug!("{id:?} takes no farewell: {e}");
        }
        self.remove(id);
        self.after_core(now);
    }

    /// Asks the disk for what people download, as far as their queues have room for it.
    pub(super) fn pump(&mut self) {
        for id in self.net.take_wanting() {
            self.pump_one(id);
        }
    }

    pub(super) fn pump_one(&mut self, id: ConnId) {
        let allowed = self.net.chunks_allowed();
        let Some(connection) = self.net.get_mut(id).filter(|connection| connection.phase == Phase::Open) else {
            // Its turn at the disk goes to the next.
            return self.hub.pump(id, 0, &mut self.net);
        };
        let room = allowed.saturating_sub(connection.outbox.chunks()) / limits::CHUNK_BYTES * limits::DOWNLOAD_UNIT;
        let has_ended = connection.ended.is_some();
        self.hub.pump(id, room, &mut self.net);
        let is_transferring = self.hub.is_transferring(id);
        if let Some(connection) = self.net.get_mut(id).filter(|_| !is_transferring) {
            connection.fetches = false;
        }
        // It may have waited for just this to be whole.
        if has_ended && !is_transferring {
            self.add_work(id);
        }
    }

    /// Writes what waits, once for each connection.
    pub(super) fn flush(&mut self, now: Now) {
        while let Some(id) = self.net.next_dirty() {
            self.flush_one(id, now);
        }
        // What is found for them once they are written to is for the next turn.
        for _ in 0..self.net.unhurried().min(limits::ANSWERED_A_TURN) {
            let Some(id) = self.net.next_unhurried() else { break };
            self.flush_one(id, now);
        }
    }

    pub(super) fn flush_one(&mut self, id: ConnId, now: Now) {
        debug_assert!(!self.net.has_records(), "what is not written down must not go out");
        let flushed = self.net.flush(id);
        let Some(connection) = self.net.get_mut(id) else { return };
        match flushed {
            Ok(Flushed::All) if connection.is_at_ease() => return,
            Ok(Flushed::All) => connection.stalled = None,
            Ok(Flushed::Blocked { progress }) => {
                // Who takes something lives, and whoever may take nothing for longer than the dead do must be left alone.
                if progress && connection.stalled.is_some() || self.settings.stall > limits::DEAD {
                    if connection.slow.is_none() {
                        set_user_timeout(&connection.stream, None);
                    }
                    connection.slow = Some(now.tick.into());
                }
                if progress || connection.stalled.is_none() {
                    connection.stalled = Some(now.tick.into());
                }
            }
            Err(e) => {
                // What it sent before it broke is still carried out.
                connection.broken = true;
                // A pipe is broken where the peer had closed in good order before.
                connection.lost = Some(lost_by(&e)).filter(|_| e.kind() != io::ErrorKind::BrokenPipe);
                connection.stalled = None;
                connection.readable = true;
                connection.closed.get_or_insert(now.tick.into());
                let is_open = connection.phase == Phase::Open;
                self.net.clear(id);
                if !is_open {
                    return self.remove(id);
                }
                self.add_work(id);
            }
        }
        let replies_allowed = self.net.replies_allowed();
        let Some(connection) = self.net.get_mut(id) else { return };
        if connection.phase == Phase::Leaving && connection.outbox.is_empty() {
            return self.linger(id, now);
        }
        if connection.hold == Hold::Replies && connection.outbox.replies() <= replies_allowed {
            self.add_work(id);
        }
        let connection = &mut self.net[id];
        if connection.lagging && connection.outbox.lines() == 0 {
            connection.lagging = false;
            if connection.phase == Phase::Open {
                self.hub.caught_up(id, now, &mut self.net);
            }
        }
        if self.net[id].fetches {
            self.pump_one(id);
        }
        self.rearm(id, now);
    }

    /// All is written: says so to the peer, and waits a moment for it to go.
    fn linger(&mut self, id: ConnId, now: Now) {
        let connection = &mut self.net[id];
        let is_known_to_go = connection.ended.is_some() || connection.stream.shutdown(Shutdown::Write).is_err();
        // When all go at once, each gets its farewell.
        if is_known_to_go || (self.net.past() >= limits::LINGERING && self.end.is_none()) {
            return self.remove(id);
        }
        let connection = &mut self.net[id];
        (connection.phase, connection.until) = (Phase::Lingering, Some((now.tick + limits::LINGER).into()));
        self.net.discount(id);
        self.add_work(id);
        self.rearm(id, now);
    }
}
