//! What comes from the connections: bytes, lines, and the end of them.

use std::borrow::Cow;
use std::io;

use crate::connection::{Connection, Pause};
use crate::event::{Bye, Event, Lost, SaidKind, Verb};
use crate::hub::Departure;
use crate::limits;
use crate::linebuf::{Ending, Line, LineBuf, cut_by_cr};
use crate::names::{ConnId, clean};
use crate::outbox::Kind;
use crate::plain;
use crate::request::Request;
use crate::system::System;
use crate::time::Now;
use crate::transport::Transport;

use super::Reactor;
use super::refusals::Refusal;

/// What follows a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The line behind it.
    Line,
    /// Nothing for now.
    Nothing,
    /// The lines behind it, when the connection has its turn again.
    Later,
    /// Nothing on this connection: it is lost, and its place is kept.
    Loss,
}

impl<S: System> Reactor<S> {
    pub(super) fn serve_active(&mut self, id: ConnId, now: Now) {
        let pending = |c: &Connection<S::Stream>| c.outbox().replies();
        let replies = self.registry.get(id).map_or(0, pending);
        let read = self.read_and_run(id, now);
        let Some(connection) = self.registry.get_mut(id) else { return };
        if read.max(connection.outbox().replies().saturating_sub(replies)) > limits::LOW_PRIORITY_BYTES {
            connection.lower_priority();
        } else if connection.pause().is_none() && !connection.queued_mut().run {
            // Nothing more of what it asked for is there.
            connection.restore_priority();
        }
    }

    /// A connection that has exhausted its budget goes to the low-priority run queue.
    pub(super) fn put_off(&mut self, id: ConnId) {
        if let Some(connection) = self.registry.get_mut(id) {
            connection.lower_priority();
            self.run_soon(id);
        }
    }

    /// Carries out what lines there are and reads more, as long as it is this connection's turn; gives the bytes read.
    fn read_and_run(&mut self, id: ConnId, now: Now) -> usize {
        let mut read = 0;
        let mut budget = limits::LINES_A_TURN;
        loop {
            let Some(connection) = self.registry.get_mut(id) else { return read };
            let has_lines = !connection.framing().lines.is_empty() || connection.pause().is_some();
            let more = has_lines && self.run_lines(id, now, &mut budget);
            let replies_allowed = self.egress.replies_allowed();
            let Some(connection) = self.registry.get_mut(id).filter(|connection| connection.is_active()) else {
                return read;
            };
            if more {
                self.put_off(id);
                return read;
            }
            if connection.pause() == Some(Pause::Replies) && connection.is_deaf() && connection.keep().is_some() {
                // Nothing more is carried out before these are taken, which is on another connection.
                self.input_done(id, now);
                return read;
            }
            if connection.pause().is_some() {
                self.wait(id, now);
                return read;
            }
            if connection.input_ended().is_some() {
                self.input_done(id, now);
                return read;
            }
            if !connection.is_readable() {
                return read;
            }
            if read >= limits::READ_A_TURN {
                self.put_off(id);
                return read;
            }
            // Negotiation is answered too, though it makes no line.
            if connection.outbox().replies() > replies_allowed {
                connection.set_pause(Some(Pause::Replies));
                return read;
            }
            let has_upload = self.hub.has_upload(id);
            let lines = &connection.framing().lines;
            if lines.is_endless() && !(has_upload && lines.at_chunk()) {
                // It counts as lines by its length, so that it costs no more than they do.
                if !connection.pay_for_endless(rate_for(connection, self.hub.settings().rate), now.at) {
                    self.wait(id, now);
                    return read;
                }
                connection.framing().lines.hollow_chunk();
            }
            let before = connection.framing().lines.len();
            let count = self.read(id, if has_upload { limits::READ_CHUNK } else { limits::READ }, now);
            read += count;
            let Some(connection) = self.registry.get_mut(id) else { return read };
            // So much that is no part of a line, as keys and telnet's commands are, counts as one. Nobody types so much of it.
            let is_barren = count >= limits::READ_BARREN && connection.framing().lines.len() <= before;
            if is_barren && !connection.pay_for_endless(rate_for(connection, self.hub.settings().rate), now.at) {
                self.wait(id, now);
                return read;
            }
        }
    }

    /// Reads once from a connection, and takes note of the end of its input.
    pub(super) fn read(&mut self, id: ConnId, most: usize, now: Now) -> usize {
        let Some(connection) = self.registry.get_mut(id) else { return 0 };
        let mut answers = Vec::new();
        // Errors and the end are noted by the connection itself.
        let most = connection.readable_at_once(most);
        let read = self.egress.read(connection, &mut self.scratch[..most]).unwrap_or_default();
        if read > 0 {
            let framing = connection.framing();
            let before = framing.lines.len();
            framing.lines.lend(&mut self.memory);
            framing.feed(&self.scratch[..read], &mut answers);
            connection.note_read(read, before, now.at);
            // Negotiation makes no line, and so leaves nothing in it.
            connection.framing().lines.give_back(&mut self.memory);
        } else {
            let lines = connection.framing().lines.len();
            connection.note_read(0, lines, now.at);
        }
        connection.note_heard(now.at);
        if connection.unsent() > 0 {
            self.egress.hurry(connection);
        }
        // What browsers send there nobody else has written for them, and no other protocol begins within it. Whoever is not admitted
        // is heard for a line, whatever it is.
        let is_first = connection.is_active() && !connection.has_spoken() && !connection.layer().is_web();
        let framing = connection.framing();
        if is_first && framing.lines.is_not_text() {
            let bye = Bye::NotText { tls: self.tls_port.filter(|_| !connection.is_tls()) };
            self.core(now, |hub, out| hub.expel(id, now, bye, out));
        } else if is_first && framing.is_proxied() {
            self.expel_proxied(id, now);
        } else if !answers.is_empty() {
            self.egress.push(connection, Kind::Reply, &answers);
        }
        read
    }

    /// Closes a connection that began with a PROXY header where none is taken, and has the log tell what to set.
    fn expel_proxied(&mut self, id: ConnId, now: Now) {
        if let Some(connection) = self.registry.get_mut(id) {
            self.refusals.note(connection.peer(), Refusal::Told(Bye::NotProxied), now.at);
        }
        self.core(now, |hub, out| hub.expel(id, now, Bye::NotProxied, out));
    }

    /// Has the next slice made of the answer that is under way, if its reader has taken enough of the last; `true` when it
    /// is complete.
    fn go_on(&mut self, id: ConnId, now: Now) -> bool {
        let replies_allowed = self.egress.replies_allowed();
        let Some(connection) = self.registry.get_mut(id) else { return false };
        if connection.outbox().replies() > replies_allowed {
            connection.set_pause(Some(Pause::Replies));
            return false;
        }
        self.core(now, |hub, out| hub.go_on(id, now, out));
        !self.waits_for_answer(id)
    }

    /// Lets the next lines of a connection wait while the answer to the last one is under way.
    #[inline]
    fn waits_for_answer(&mut self, id: ConnId) -> bool {
        let is_answering = self.hub.is_answering(id);
        if let Some(connection) = self.registry.get_mut(id).filter(|_| is_answering) {
            connection.set_pause(Some(Pause::Answer));
        }
        is_answering
    }

    /// Lets the next lines of a connection wait while a password is looked at for the last one, or the ledger written.
    #[inline]
    fn waits_for_account(&mut self, id: ConnId) -> bool {
        let is_waiting = self.hub.is_waiting(id);
        if let Some(connection) = self.registry.get_mut(id).filter(|_| is_waiting) {
            connection.set_pause(Some(Pause::Account));
        }
        is_waiting
    }

    /// Carries out what lines there are; `true` if there may be more of them than one turn allows.
    fn run_lines(&mut self, id: ConnId, now: Now, budget: &mut usize) -> bool {
        if self.waits_for_account(id) || self.hub.is_answering(id) && !self.ends_answer(id, now) {
            return false;
        }
        // The lines are taken out, as carrying them out may reach every connection, this one too.
        let Some(connection) = self.registry.get_mut(id) else { return false };
        let mut lines = std::mem::take(&mut connection.framing().lines);
        let next = loop {
            let next = self.run_line(id, &mut lines, now, budget);
            if next != Next::Line {
                break next;
            }
        };
        if let Some(connection) = self.registry.get_mut(id).filter(|connection| connection.is_active()) {
            // What is held back may wait for long.
            if self.hub.has_upload(id) {
                lines.release_spare();
            } else {
                lines.forget_chunk();
            }
            connection.framing().lines = lines;
        }
        let what = self.taking_up.take();
        let more = next == Next::Later || what.is_some();
        if let Some(what) = what {
            // What follows is carried out in its new place.
            self.take_up(id, what, now);
        }
        if next == Next::Loss {
            self.input_done(id, now);
        }
        more
    }

    /// Goes on with the answer that is under way; `true` if nothing more is to come of it.
    fn ends_answer(&mut self, id: ConnId, now: Now) -> bool {
        let Some(connection) = self.registry.get(id).filter(|connection| connection.is_deaf()) else {
            return self.go_on(id, now);
        };
        // Where the place is kept, it is told in full when that is taken up.
        if connection.keep().is_some() {
            self.input_done(id, now);
            return false;
        }
        self.hub.drop_answer(id);
        true
    }

    /// Carries out the next line, if that may be, and tells what follows.
    #[inline]
    fn run_line(&mut self, id: ConnId, lines: &mut LineBuf, now: Now, budget: &mut usize) -> Next {
        let replies_allowed = self.egress.replies_allowed();
        let Some(connection) = self.registry.get_mut(id).filter(|connection| connection.is_active()) else {
            return Next::Nothing;
        };
        connection.set_pause(None);
        if connection.is_past_put_out(lines.len()) {
            self.hub.forget_void(id);
        }
        if lines.is_empty() {
            lines.give_back(&mut self.memory);
            return Next::Nothing;
        }
        if *budget == 0 {
            return Next::Later;
        }
        if connection.outbox().replies() > replies_allowed {
            connection.set_pause(Some(Pause::Replies));
            return Next::Nothing;
        }
        let is_of_upload = lines.at_chunk() && self.hub.has_upload(id);
        let outruns_disk = is_of_upload && (!self.hub.disk_keeps_up() || self.hub.waits_for_space(id));
        // What operators do must not outrun what is written down of it.
        let outruns_audit = !outruns_disk && !self.system.takes_deeds() && self.hub.is_of_operator(id, now);
        self.is_audit_behind |= outruns_audit;
        if outruns_disk || outruns_audit {
            self.hold_by_disk(id);
            return Next::Nothing;
        }
        let rate = rate_for(connection, self.hub.settings().rate);
        let rate = if lines.at_chunk() && self.hub.has_chunks(id) {
            rate.saturating_mul(limits::CHUNKS_OF_LINE)
        } else {
            rate
        };
        let is_paid = connection.pay(rate, now.at);
        // What will be refused in any case does not wait for that.
        let may_be_void = connection.at_line_before(lines.len()) && !lines.at_chunk();
        if !is_paid && !may_be_void {
            return Next::Nothing;
        }
        if connection.drops_unfinished(lines) {
            *lines = LineBuf::default();
            return Next::Nothing;
        }
        let Some((line, ending)) = lines.next_line() else {
            if lines.is_cut_by_cr() && !connection.hint_at_ends() {
                self.egress.tell(connection, &Event::Unended);
            }
            return Next::Nothing;
        };
        *budget -= 1;
        connection.use_token();
        if ending == Ending::Crlf {
            connection.style_mut().crlf = true;
        }
        let text = match line {
            Line::Text(text) => clean(text),
            Line::Chunk(_) | Line::TooLong { .. } => Cow::Borrowed(""),
        };
        // Nobody decodes a chunk that belongs to no upload.
        let line = if matches!(line, Line::Chunk(_)) && !is_of_upload { Line::Chunk(&[]) } else { line };
        let Some(request) = self.egress.dialect(connection).parse(&line, &text) else { return Next::Line };
        if may_be_void && self.hub.is_void(id, &request) {
            if is_paid {
                connection.keep_token();
            }
            connection.count_line();
            self.counts.lines += 1;
            self.core(now, |hub, out| hub.refuse_void(id, now, &request, out));
            return Next::Line;
        }
        if !is_paid && matches!(line, Line::Text(_)) {
            lines.put_back();
            return Next::Nothing;
        }
        if request.has_long_answer() && connection.is_deaf() {
            // What it said before it broke is carried out, but nobody would read this. Where the place is kept, it is asked for
            // anew, with all that is behind it.
            return if connection.keep().is_some() { Next::Loss } else { Next::Line };
        }
        if request.has_long_answer() && !connection.is_low_priority() {
            // It may take long, and so goes to the low-priority run queue.
            connection.keep_token();
            lines.put_back();
            return Next::Later;
        }
        self.carry_out_line(id, (&line, &text), request, now);
        let waits = self.waits_for_answer(id) || self.waits_for_account(id) || self.taking_up.is_some();
        if waits { Next::Nothing } else { Next::Line }
    }

    /// Carries out a line that is a request, or turns away whoever begins in another protocol. What is odd about the line is told once.
    #[inline]
    fn carry_out_line(&mut self, id: ConnId, (line, text): (&Line<'_>, &Cow<'_, str>), request: Request<'_>, now: Now) {
        let Some(connection) = self.registry.get_mut(id) else { return };
        // What was borrowed came as it is.
        let is_changed = matches!(text, Cow::Owned(_));
        let is_garbled = is_changed && matches!(line, Line::Text(bytes) if std::str::from_utf8(bytes).is_err());
        let is_cut_by_cr = is_changed && matches!(line, Line::Text(bytes) if cut_by_cr(bytes));
        // What is malformed others do not see at all.
        let is_shown = is_changed && !matches!(request, Request::Malformed { .. });
        let meant = match &request {
            Request::Say { kind: SaidKind::Text, text } if self.hub.has_target(id) => plain::slashless(text),
            _ => None,
        };
        let is_keyed = is_shown && matches!(line, Line::Text(bytes) if plain::has_keys(bytes));
        let is_first = !connection.speak();
        let may_be_other = is_first && !connection.layer().is_web();
        let rejection = match if may_be_other { self.egress.dialect(connection).rejects(line) } else { None } {
            Some(Bye::NotHttp { .. }) => Some(Bye::NotHttp { web: self.web_port }),
            rejection => rejection,
        };
        if is_garbled && rejection.is_none() && !connection.hint() {
            self.egress.tell(connection, &Event::Garbled);
        }
        if is_cut_by_cr && rejection.is_none() && !connection.hint_at_ends() {
            self.egress.tell(connection, &Event::Unended);
        }
        if is_keyed && rejection.is_none() && !connection.hint_at_keys() {
            self.egress.tell(connection, &Event::Keyed);
        }
        if let Some(meant) = meant.filter(|_| rejection.is_none() && !connection.hint_at_slash()) {
            self.egress.tell(connection, &Event::Slashless(meant));
        }
        if !matches!(request.verb(), Verb::Keep | Verb::Resume) {
            connection.count_line();
        }
        self.counts.lines += 1;
        if is_first {
            self.note_nick(id);
        }
        match rejection {
            Some(Bye::NotProxied) => self.expel_proxied(id, now),
            Some(bye) => self.core(now, |hub, out| hub.expel(id, now, bye, out)),
            None => self.core(now, |hub, out| hub.handle(id, now, request, out)),
        }
    }

    /// What a connection sent waits for the disk.
    fn hold_by_disk(&mut self, id: ConnId) {
        self.registry.get_mut(id).into_iter().for_each(|connection| connection.set_pause(Some(Pause::Disk)));
        // It may have gone on meanwhile, and be held once more.
        if !self.held_by_disk.contains(&id) {
            self.held_by_disk.push(id);
        }
    }

    /// The last request of a connection has been answered, for which its lines waited.
    pub(super) fn answered(&mut self, id: ConnId) {
        let Some(connection) = self.registry.get_mut(id).filter(|connection| connection.is_active()) else { return };
        if connection.pause() == Some(Pause::Account) {
            connection.set_pause(None);
        }
        self.run_soon(id);
    }

    /// Whoever is here through a connection was put out of a room: what they have sent for it does not wait to be refused.
    pub(super) fn put_out(&mut self, id: ConnId) {
        let Some(connection) = self.registry.get_mut(id) else { return };
        connection.put_out();
        self.run_soon(id);
    }

    /// What has come of a chunk is for nobody any more, and chunks wait for the disk no more.
    pub(super) fn upload_ended(&mut self, id: ConnId) {
        let Some(connection) = self.registry.get_mut(id) else { return };
        connection.framing().lines.forget_chunk();
        if connection.pause() == Some(Pause::Disk) {
            connection.set_pause(None);
            self.run_soon(id);
        }
    }

    /// A connection is paused. Input that flood control holds back is given up when it is not waited for any longer.
    fn wait(&mut self, id: ConnId, now: Now) {
        let Some(connection) = self.registry.get_mut(id).filter(|connection| connection.is_to_give_up(now.at)) else {
            return;
        };
        connection.set_pause(None);
        connection.framing().lines = LineBuf::default();
        // What is still unread tells nothing but how it ended, and there is only so much of it.
        while connection.input_ended().is_none() && connection.is_readable() {
            // Errors and the end are noted by the connection itself.
            let _ = self.egress.read(connection, &mut self.scratch);
        }
        self.input_done(id, now);
    }

    /// All that a connection said is carried out, and it says nothing more. It goes, unless something is still owed to it.
    pub(super) fn input_done(&mut self, id: ConnId, now: Now) {
        let Some(connection) = self.registry.get(id) else { return };
        let (lost, is_deaf) = (connection.lost(), connection.is_deaf());
        if !is_deaf && self.hub.is_transferring(id) {
            return;
        }
        let is_kept = connection.keep().is_some();
        if is_kept && !is_deaf && !connection.is_written() {
            // What it was told is written first.
            return;
        }
        if is_kept && self.lose(id, lost.unwrap_or(Lost::Timeout), now) {
            return;
        }
        if let Some(lost) = lost {
            self.counts.lost.count(plain::lost_code(lost));
        }
        let how = lost.map_or(Departure::Quit, Departure::Lost);
        self.note_end(id, lost.map_or("quit", |lost| plain::lost_code(lost).as_str()));
        self.core(now, |hub, out| hub.disconnect(id, now, how, out));
        if is_deaf { self.remove(id) } else { self.drain(id, now) }
    }

    /// Reads and forgets; `true` when the end has come.
    pub(super) fn discard_input(&mut self, id: ConnId) -> bool {
        let Some(connection) = self.registry.get_mut(id) else { return true };
        let mut read = 0;
        while connection.is_readable() && read < limits::READ_A_TURN {
            match self.egress.read(connection, &mut self.scratch) {
                Ok(0) => return true,
                Ok(n) => read += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
        }
        if connection.is_readable() {
            self.run_soon(id);
        }
        false
    }
}

/// Lines a second that a connection may send. The operator's own are not held back.
fn rate_for<T: Transport>(connection: &Connection<T>, rate: u32) -> u32 {
    if connection.peer().is_control() { 0 } else { rate }
}
