//! Places that outlive their connections: they are kept when a transport is lost, and taken up by another connection.

use std::time::Duration;

use log::{debug, info, warn};

use crate::connection::{Connection, Life, Pause};
use crate::event::{Bye, Detail, Done, Event, Fault, Lost, Reply, Verb};
use crate::hub::Departure;
use crate::limits;
use crate::linebuf::{Ending, LineBuf};
use crate::names::{ConnId, PlaceToken};
use crate::outbox::Kind;
use crate::plain;
use crate::request::Request;
use crate::system::System;
use crate::time::Now;
use crate::transport::Transport;

use super::Reactor;

/// What a connection asks for that wants to go on in a place that is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct TakeUp {
    token: Option<PlaceToken>,
    /// How many lines of what was written there have come.
    lines: u64,
}

impl TakeUp {
    pub(super) fn new(token: Option<PlaceToken>, lines: u64) -> Self {
        Self { token, lines }
    }
}

/// How long the place of a connection is kept if its transport is lost now.
fn keep_time<T: Transport>(connection: &Connection<T>) -> Duration {
    if connection.layer().is_web() { limits::KEEP_WEB } else { limits::KEEP }
}

impl<S: System> Reactor<S> {
    /// Keeps the place of a connection when its transport is lost, and takes note of how much has come of what was written to it.
    pub(super) fn keep(&mut self, id: ConnId, lines: Option<u64>) {
        let done = self.begin_to_keep(id, lines.unwrap_or(0));
        let Some(connection) = self.registry.get_mut(id) else { return };
        match done {
            Ok(token) => {
                let done = Done::Keep { token, time: keep_time(connection) };
                self.egress.reply(connection, Kind::Keep, &Reply::Done(done));
            }
            Err(why) => self.egress.reply(connection, Kind::Reply, &Reply::Refused { verb: Verb::Keep, why }),
        }
    }

    fn begin_to_keep(&mut self, id: ConnId, lines: u64) -> Result<PlaceToken, Fault> {
        let connection = self.registry.get_mut(id).ok_or(Fault::NoPlace)?;
        if let Some(keep) = connection.keep() {
            let (token, written) = (keep.token, keep.sent.written());
            return if self.egress.confirm(connection, lines) { Ok(token) } else { Err(Fault::NotWritten(written)) };
        }
        if lines > 0 {
            return Err(Fault::NotWritten(0));
        }
        let token = self.system.token().map_err(|e| {
            warn!("there are no random bits for a token: {e}");
            Fault::NoToken
        })?;
        self.egress.keep(connection, token);
        self.places.insert(token, id);
        Ok(token)
    }

    /// The place of a connection is kept no more.
    pub(super) fn end_keeping(&mut self, id: ConnId) {
        if let Some(token) = self.registry.get_mut(id).and_then(|connection| self.egress.end_keeping(connection)) {
            self.places.remove(&token);
        }
    }

    /// The same of one that goes on: if its input has ended, nothing is waited for that its place was to be kept after.
    pub(super) fn go_on_unkept(&mut self, id: ConnId) {
        self.end_keeping(id);
        self.run_soon(id);
    }

    /// The transport of a connection is lost: nobody is told if its place is kept. `false` if it is not.
    pub(super) fn lose(&mut self, id: ConnId, how: Lost, now: Now) -> bool {
        let Some(connection) = self.registry.get(id).filter(|connection| connection.is_active()) else { return false };
        let is_known = connection.keep().is_some_and(|keep| keep.sent.has_begun());
        if !is_known || self.registry.keeps_many_from(connection.peer()) {
            return false;
        }
        debug!("connection {id} is lost and kept: {}", plain::lost_code(how).as_str());
        self.egress.discount(connection);
        let until = now.at + keep_time(connection);
        let transport = self.registry.lose(id, how, until);
        self.registry.get(id).into_iter().for_each(|connection| self.egress.count(connection));
        transport.into_iter().for_each(|transport| self.system.close(transport));
        self.hub.lose_sight(id, how);
        self.rearm(id, now);
        true
    }

    /// Looks after a place that is kept: nobody has taken it up when its time is over.
    pub(super) fn mind_place(&mut self, id: ConnId, now: Now) {
        let Some(connection) = self.registry.get(id).filter(|connection| connection.is_over(now.at)) else { return };
        let how = connection.keep().and_then(|keep| keep.lost).unwrap_or(Lost::Timeout);
        self.note_end(id, plain::lost_code(how).as_str());
        self.counts.lost.count(plain::lost_code(how));
        self.core(now, |hub, out| hub.disconnect(id, now, Departure::Lost(how), out));
        self.remove(id);
    }

    /// Has a connection go on in a place that is kept, or tells it why not.
    pub(super) fn take_up(&mut self, id: ConnId, what: TakeUp, now: Now) {
        match self.place_for(id, what, now) {
            Ok(place) => self.hand_over(id, place, what.lines, now),
            Err(why) => {
                if let Some(connection) = self.registry.get_mut(id) {
                    self.egress.reply(connection, Kind::Reply, &Reply::Refused { verb: Verb::Resume, why });
                }
            }
        }
    }

    /// The place that a connection may take up.
    fn place_for(&self, id: ConnId, TakeUp { token, lines }: TakeUp, now: Now) -> Result<ConnId, Fault> {
        let connection = self.registry.get(id).ok_or(Fault::NoPlace)?;
        if connection.keep().is_some() {
            return Err(Fault::KeptItself);
        }
        let place = token.and_then(|token| self.registry.get(*self.places.get(&token)?));
        let place = place.filter(|place| place.dialect() == connection.dialect()).ok_or(Fault::NoPlace)?;
        let peer = connection.peer();
        self.hub.may_take_up(place.id(), peer.origin(), peer.wire(), now)?;
        let written = place.keep().map_or(0, |keep| keep.sent.most_written());
        if lines > written { Err(Fault::NotWritten(written)) } else { Ok(place.id()) }
    }

    /// A connection goes on in a place of which so many lines have come. What the place has not carried out of what it sent is
    /// dropped. Nobody sees whoever the connection was.
    fn hand_over(&mut self, id: ConnId, place: ConnId, lines: u64, now: Now) {
        self.hub.recognise(id, now);
        self.core(now, |hub, out| hub.disconnect(id, now, Departure::Quit, out));
        let Some(connection) = self.registry.get_mut(id) else { return };
        if let Some(wake) = connection.disarm() {
            self.timers.remove(&(wake, id));
        }
        self.egress.discount(connection);
        let Some(connection) = self.registry.get_mut(place) else { return };
        self.egress.discount(connection);
        let ends = connection.style().crlf;
        let had = connection.keep().map_or(0, |keep| keep.had);
        let taken = connection.rewind(lines, id);
        let Some((old, pending)) = self.registry.take_up(place, id) else { return };
        old.into_iter().for_each(|transport| self.system.close(transport));
        let Some(connection) = self.registry.get_mut(place) else { return };
        connection.outbox_mut().adopt(pending);
        self.egress.count(connection);
        let registered = connection.transport_mut().map(|transport| self.system.reregister(transport, place.slot()));
        if let Some(Err(e)) = registered {
            warn!("cannot set up a connection: {e}");
        }
        let ends = (connection.style().crlf != ends).then_some(connection.style().end());
        self.egress.aside(connection, &Detail::Had(had));
        let known = self.hub.place_of(place);
        if let Some((id, offset)) = known.and_then(|(_, upload)| upload) {
            self.egress.aside(connection, &Detail::Upload { id, offset });
        }
        if let Some((nick, _)) = known {
            self.egress.reply(connection, Kind::Aside, &Reply::Done(Done::Resume(nick)));
        }
        let Some((rest, left_out, is_counted)) = taken else { return };
        let peer = connection.peer();
        let rows = self.core(now, |hub, _| hub.taken_up(place, (peer.origin(), peer.wire()), &left_out, now));
        let Some(connection) = self.registry.get_mut(place) else { return };
        for row in &rows {
            match is_counted {
                true => self.egress.tell(connection, row),
                false => self.egress.tell_aside(connection, row),
            }
        }
        let is_answering = self.hub.is_answering(place);
        let is_transferring = self.hub.is_transferring(place);
        let Some(connection) = self.registry.get_mut(place) else { return };
        self.egress.put_back(connection, rest, &left_out, ends);
        if is_answering {
            connection.set_pause(Some(Pause::Answer));
        }
        if is_transferring {
            connection.begin_to_fetch();
            if !std::mem::replace(&mut connection.queued_mut().pump, true) {
                self.wanting.push(place);
            }
        }
        if let Some(connection) = self.registry.get(place) {
            info!("connection {id} from {} goes on as connection {place}", connection.peer().prefix());
        }
        self.look_after(place, now);
        self.run_soon(place);
        self.rearm(place, now);
    }

    /// Hears those for whom there was no place, in the order in which they came. There may be one meanwhile.
    pub(super) fn hear_applicants(&mut self, now: Now) {
        for id in std::mem::take(&mut self.applicants) {
            let is_applying = |life: Option<Life>| life == Some(Life::Applying);
            if is_applying(self.registry.get(id).map(Connection::life)) {
                self.hear_applicant(id, now);
                self.rearm(id, now);
            }
            if is_applying(self.registry.get(id).map(Connection::life)) {
                self.applicants.push(id);
            }
        }
    }

    /// Hears a connection for which there was no place, as its first line may be for one that is kept, or prove that it is an owner's.
    pub(super) fn hear_applicant(&mut self, id: ConnId, now: Now) {
        let Some(peer) = self.registry.get(id).map(Connection::peer) else { return };
        if self.refusal(peer, now).is_none() {
            self.registry.set_life(id, Life::Active);
            return self.welcome(id, peer, now);
        }
        let may_prove = self.may_prove(peer, now);
        let replies_allowed = self.egress.replies_allowed();
        let Some(connection) = self.registry.get_mut(id) else { return };
        let may_read = connection.is_readable() && connection.outbox().replies() <= replies_allowed;
        if may_read && connection.framing().lines.is_searched() {
            self.read(id, limits::READ, now);
        }
        let Some(connection) = self.registry.get_mut(id) else { return };
        let dialect = self.egress.dialect(connection);
        let mut lines = std::mem::take(&mut connection.framing().lines);
        let (mut asked, mut proves) = (None, false);
        let mut is_heard = lines.is_endless() || connection.input_ended().is_some() || connection.is_over(now.at);
        while let Some((line, ending)) = lines.next_line() {
            connection.style_mut().crlf |= ending == Ending::Crlf;
            match dialect.parse(&line, &plain::text(&line)) {
                // A line that is empty means nothing.
                None => continue,
                Some(Request::Resume { token, lines }) => asked = Some(TakeUp::new(token, lines)),
                Some(Request::Login { credential, .. }) if may_prove => {
                    proves = self.hub.may_be_looked_at(&credential, peer.origin());
                    // Others from there have their passwords looked at first.
                    if !proves && !is_heard {
                        lines.put_back();
                        connection.framing().lines = lines;
                        return;
                    }
                }
                Some(_) => {}
            }
            is_heard = true;
            break;
        }
        if proves {
            lines.put_back();
        }
        connection.framing().lines = lines;
        if proves {
            self.registry.set_life(id, Life::Active);
            self.look_after(id, now);
            self.hub.try_login(id, peer.origin(), peer.wire(), now);
            // At once, as the next one may want the place where its password waits.
            return self.serve_active(id, now);
        }
        match asked.map(|what| (what, self.place_for(id, what, now))) {
            Some((what, Ok(place))) => self.hand_over(id, place, what.lines, now),
            _ if is_heard => self.reject(id, now),
            _ => {}
        }
    }

    /// Tells a connection that there is no place for it.
    pub(super) fn reject(&mut self, id: ConnId, now: Now) {
        let Some(peer) = self.registry.get(id).map(Connection::peer) else { return };
        let turned_away = self.turned_away(peer, now);
        let bye = if self.end.is_some() { Bye::Shutdown } else { turned_away.unwrap_or(Bye::Full) };
        if bye != Bye::Shutdown {
            self.note_rejected(peer, bye, now);
        }
        self.send_off(id, bye);
    }

    /// Tells a connection that was not admitted why it cannot stay.
    pub(super) fn send_off(&mut self, id: ConnId, bye: Bye) {
        if self.registry.rejected() >= limits::REJECTED {
            return self.dismiss(id, bye);
        }
        self.registry.set_life(id, Life::Rejected);
        if let Some(connection) = self.registry.get_mut(id) {
            connection.framing().lines = LineBuf::default();
            self.egress.tell(connection, &Event::Bye(bye));
            self.egress.hurry(connection);
        }
    }

    /// Takes out a connection for which there is no place, and tells it why, if it can be told at once.
    fn dismiss(&mut self, id: ConnId, bye: Bye) {
        let Some(connection) = self.registry.get_mut(id) else { return };
        if let Some(wake) = connection.disarm() {
            self.timers.remove(&(wake, id));
        }
        self.egress.discount(connection);
        let (dialect, style) = (connection.dialect(), connection.style());
        if let Some(transport) = self.registry.remove(id).and_then(Connection::into_transport) {
            self.turn_away(transport, dialect, style, bye);
        }
    }
}
