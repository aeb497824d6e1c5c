//! What comes from the connections: bytes, lines, and the end of them.

use std::io;

use log::debug;

use crate::connection::{Ended, Hold, Phase, lost_by};
use crate::event::{Bye, Now};
use crate::hub::Departure;
use crate::limits;
use crate::linebuf::{Ending, LineBuf};
use crate::names::ConnId;
use crate::outbox::Kind;
use crate::plain::{self, Chunks};

use super::Reactor;

impl Reactor {
    pub(super) fn serve_open(&mut self, id: ConnId, now: Now) {
        let replies = self.net[id].outbox.replies();
        let read = self.read_and_run(id, now);
        let Some(connection) = self.net.get_mut(id) else { return };
        if read.max(connection.outbox.replies().saturating_sub(replies)) > limits::GREEDY {
            connection.greedy = true;
        } else if connection.hold == Hold::None && !connection.in_work {
            // Nothing more of what it asked for is there.
            connection.greedy = false;
        }
    }

    /// Puts a connection that has had its turn behind the others.
    fn put_off(&mut self, id: ConnId) {
        if let Some(connection) = self.net.get_mut(id) {
            connection.greedy = true;
            self.add_work(id);
        }
    }

    /// Carries out what lines there are and reads more, as long as it is this connection's turn; gives the bytes read.
    fn read_and_run(&mut self, id: ConnId, now: Now) -> usize {
        let mut read = 0;
        let mut budget = limits::LINES_A_TURN;
        loop {
            let has_lines = self.net.get_mut(id).is_some_and(|c| !c.lines.is_empty() || c.hold != Hold::None);
            let more = has_lines && self.run_lines(id, now, &mut budget);
            let replies_allowed = self.net.replies_allowed();
            let Some(connection) = self.net.get_mut(id).filter(|connection| connection.phase == Phase::Open) else {
                return read;
            };
            if more {
                self.put_off(id);
                return read;
            }
            if connection.hold != Hold::None {
                self.give_up_after_end(id, now);
                return read;
            }
            if connection.ended.is_some() {
                self.input_done(id, now);
                return read;
            }
            if !connection.readable {
                return read;
            }
            if read >= limits::READ_A_TURN {
                self.put_off(id);
                return read;
            }
            // Negotiation is answered too, though it makes no line.
            if connection.outbox.replies() > replies_allowed {
                connection.hold = Hold::Replies;
                return read;
            }
            let has_upload = self.hub.has_upload(id);
            if connection.lines.is_endless() && !has_upload {
                // It counts as lines by its length, so that it costs no more than they do.
                if let Err(then) = connection.bucket.take(self.settings.rate, now.tick) {
                    (connection.hold, connection.until) = (Hold::Flood, Some(then.into()));
                    return read;
                }
                connection.lines.hollow_chunk();
            }
            read += self.read(id, if has_upload { limits::READ_CHUNK } else { limits::READ }, now);
        }
    }

    /// Reads once from a connection, and takes note of the end of its input.
    fn read(&mut self, id: ConnId, most: usize, now: Now) -> usize {
        let connection = &mut self.net[id];
        let mut refusals = Vec::new();
        let read = match connection.read(&mut self.scratch[..most]) {
            Ok(0) => {
                connection.ended = Some(connection.lost.map_or(Ended::Done, Ended::Lost));
                connection.lines.end();
                0
            }
            Ok(n) => {
                connection.lines.lend(&mut self.memory);
                connection.lines.feed(&self.scratch[..n], &mut refusals);
                // Negotiation makes no line, and so leaves nothing in it.
                connection.lines.give_back(&mut self.memory);
                n
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) => {
                connection.ended = Some(Ended::Lost(lost_by(&e)));
                connection.lines.end();
                0
            }
        };
        if !connection.has_spoken && connection.lines.is_not_text() {
            self.hub.expel(id, now, Bye::NotText, &mut self.net);
            self.after_core(now);
        } else if !refusals.is_empty() {
            self.net.push(id, Kind::Reply, &refusals);
        }
        read
    }

    /// Carries out what lines there are; `true` if there may be more of them than one turn allows.
    fn run_lines(&mut self, id: ConnId, now: Now, budget: &mut usize) -> bool {
        // The lines are taken out, as carrying them out may reach every connection, this one too.
        let Some(connection) = self.net.get_mut(id) else { return false };
        let mut lines = std::mem::take(&mut connection.lines);
        let mut more = false;
        loop {
            let replies_allowed = self.net.replies_allowed();
            let Some(connection) = self.net.get_mut(id).filter(|c| c.phase == Phase::Open) else { break };
            let held = std::mem::replace(&mut connection.hold, Hold::None);
            if lines.is_empty() {
                lines.give_back(&mut self.memory);
                break;
            }
            if *budget == 0 {
                more = true;
                break;
            }
            if connection.outbox.replies() > replies_allowed {
                connection.hold = Hold::Replies;
                break;
            }
            if lines.at_chunk() && self.hub.has_upload(id) {
                if !self.hub.disk_keeps_up() {
                    connection.hold = Hold::Disk;
                    if held != Hold::Disk {
                        self.held_by_disk.push(id);
                    }
                    break;
                }
            } else if !connection.paid {
                if let Err(then) = connection.bucket.take(self.settings.rate, now.tick) {
                    (connection.hold, connection.until) = (Hold::Flood, Some(then.into()));
                    break;
                }
                connection.paid = true;
            }
            if connection.whole && lines.at_unfinished() {
                lines = LineBuf::default();
                break;
            }
            let is_chunk = lines.at_chunk();
            let Some((line, ending)) = lines.next_line() else { break };
            *budget -= 1;
            let chunks = if is_chunk && self.hub.has_upload(id) { Chunks::Wanted } else { Chunks::Unwanted };
            if chunks == Chunks::Unwanted {
                connection.paid = false;
            }
            if ending == Ending::Crlf {
                connection.style.crlf = true;
            }
            let text = plain::text(&line);
            let Some(request) = plain::read(&line, &text, chunks) else { continue };
            if request.has_long_answer() && !connection.greedy {
                // It may take long, and so waits behind those who ask for less.
                connection.paid = true;
                lines.put_back();
                more = true;
                break;
            }
            if !std::mem::replace(&mut connection.has_spoken, true) && plain::is_http(&line) {
                self.hub.expel(id, now, Bye::NotHttp, &mut self.net);
            } else {
                self.hub.handle(id, now, request, &mut self.net);
            }
            self.after_core(now);
        }
        if let Some(connection) = self.net.get_mut(id).filter(|connection| connection.phase == Phase::Open) {
            // What is held back may wait for long.
            lines.release_spare();
            connection.lines = lines;
        }
        more
    }

    /// Input that flood control holds back after its end is not waited for forever.
    fn give_up_after_end(&mut self, id: ConnId, now: Now) {
        let connection = &mut self.net[id];
        let is_over = connection.closed.is_some_and(|closed| now.tick >= closed.get() + limits::AFTER_END);
        if !is_over || connection.hold != Hold::Flood {
            return;
        }
        connection.hold = Hold::None;
        connection.lines = LineBuf::default();
        // What is still unread tells nothing but how it ended, and there is only so much of it.
        while connection.ended.is_none() && connection.readable {
            match connection.read(&mut self.scratch) {
                Ok(0) => connection.ended = Some(Ended::Done),
                Err(e) if e.kind() != io::ErrorKind::WouldBlock => connection.ended = Some(Ended::Lost(lost_by(&e))),
                _ => {}
            }
        }
        self.input_done(id, now);
    }

    /// All that a connection said is carried out, and it says nothing more. It goes, unless something is still owed to it.
    fn input_done(&mut self, id: ConnId, now: Now) {
        let connection = &self.net[id];
        let lost = match connection.ended {
            Some(Ended::Lost(lost)) => Some(lost),
            _ => connection.lost,
        };
        let is_deaf = connection.broken || lost.is_some();
        if !is_deaf && self.hub.is_transferring(id) {
            return;
        }
        let how = lost.map_or(Departure::Quit, Departure::Lost);
        debug!("{id:?} is gone: {how:?}");
        self.hub.disconnect(id, now, how, &mut self.net);
        self.after_core(now);
        if is_deaf { self.remove(id) } else { self.leave(id, now) }
    }

    /// Reads and forgets; `true` when the end has come.
    pub(super) fn discard_input(&mut self, id: ConnId) -> bool {
        let connection = &mut self.net[id];
        let mut read = 0;
        while connection.readable && read < limits::READ_A_TURN {
            match connection.read(&mut self.scratch) {
                Ok(0) => return true,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        if connection.readable {
            self.add_work(id);
        }
        false
    }
}
