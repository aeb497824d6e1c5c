//! Places that outlive their connections: what the core has to do with them.

use crate::effect::{Effect, Job, LeftOut, Lines, Output};
use crate::event::{Event, Fault, Happening, Lost};
use crate::limits;
use crate::names::{ConnId, FileId, Nick, Origin, PersonId, Place, Wire};
use crate::people::{Intake, Reread, Way};
use crate::policy::{KeptPlace, may_take_up};
use crate::time::Now;

use super::{Hub, Turn};

impl Hub {
    /// Who is here through a connection, and their open upload with how many bytes of it have come.
    pub fn place_of(&self, conn: ConnId) -> Option<(Nick, Option<(FileId, u64)>)> {
        let person = self.people.at(conn)?;
        let upload = match self.people.way(conn)?.intake() {
            Intake::Open(id) => self.files.get(id).map(|file| (id, file.received)),
            Intake::None { .. } | Intake::Discard => None,
        };
        Some((person.nick(), upload))
    }

    /// Whether the place of a connection is taken up from somewhere, see [`may_take_up`].
    pub fn may_take_up(&self, place: ConnId, from: Origin, wire: Wire, now: Now) -> Result<(), Fault> {
        let person = self.people.at(place).ok_or(Fault::NoPlace)?;
        let kept = KeptPlace { owned: self.register().owned(&person.nick()), wire: self.wire_of(place) };
        may_take_up(kept, wire, self.scope_of(from, now))
    }

    /// The transport of a connection is lost, and its place kept: it is noted who says something to its person in private.
    pub fn lose_sight(&mut self, conn: ConnId, how: Lost) {
        if let Some(way) = self.people.way_mut(conn) {
            way.lose(how);
        }
    }

    /// Ends the eldest place of somebody that is kept for nobody, where one more connection of theirs would be too many: whoever comes has proved
    /// to be the one whom it waits for.
    pub(super) fn make_room_beside(&mut self, who: PersonId, turn: &mut Turn<'_, impl Output>) {
        let conns: Vec<ConnId> = self.people.conns_of(who).collect();
        if conns.len() >= limits::WAYS {
            conns.into_iter().find(|&conn| self.end_lost(conn, turn));
        }
    }

    /// Ends the place of a connection that is lost; `false` if it stands.
    fn end_lost(&mut self, conn: ConnId, turn: &mut Turn<'_, impl Output>) -> bool {
        let Some(how) = self.people.way(conn).and_then(Way::lost) else { return false };
        self.lose(conn, &Happening::Lost(how), turn);
        turn.out.effect(Effect::Close { conn, bye: None });
        true
    }

    /// The places of somebody's connections are over: who is not there is gone, and those who are go on without.
    pub(super) fn end_places(&mut self, who: PersonId, turn: &mut Turn<'_, impl Output>) {
        for conn in self.people.conns_of(who).collect::<Vec<_>>() {
            if !self.end_lost(conn, turn) {
                turn.out.effect(Effect::EndKeeping(conn));
            }
        }
    }

    /// The place of a connection is taken up from somewhere. Gives the rows that tell its person what was left out of what was written
    /// to them.
    pub fn taken_up(&mut self, conn: ConnId, (from, wire): (Origin, Wire), left_out: &LeftOut, now: Now) -> Vec<Event> {
        for file in left_out.files() {
            self.stop_download(conn, file);
        }
        let mut rows = Vec::new();
        let Some(way) = self.people.way_mut(conn) else { return rows };
        way.take_up();
        (way.origin, way.wire) = (from, wire);
        let wants_presence = way.presence && left_out.has(Lines::Presence);
        let Some((person, who)) = self.people.at(conn).map(|person| (person.id, person.nick())) else { return rows };
        self.people.forget_unreached(person);
        for lines in left_out.lines() {
            let Lines::Room(name, seqs) = lines else { continue };
            let is_theirs =
                |&room: &crate::rooms::RoomId| self.people.at(conn).is_some_and(|p| p.rooms.contains(&room));
            let Some(room) = self.rooms.find(&name).filter(is_theirs) else { continue };
            let (first, last) = seqs.unwrap_or((self.rooms[room].last_seq() + 1, self.rooms[room].last_seq()));
            let what = Happening::Missed { count: last + 1 - first, after: first - 1 };
            let place = Place::Room(self.rooms[room].name);
            rows.push(Event::Happened { place, at: now.wall, who, what });
        }
        for (lines, private) in [(Lines::Private, true), (Lines::Rest, false)] {
            rows.extend(left_out.has(lines).then_some(Event::LeftOut { private }));
        }
        rows.extend(self.presence.last().filter(|_| wants_presence).cloned());
        rows
    }

    /// Somebody of this name has gone: those are told whose private lines they have not had.
    pub(super) fn tell_unreached(&mut self, nick: Nick, senders: Vec<PersonId>, turn: &mut Turn<'_, impl Output>) {
        let event =
            Event::Happened { place: Place::With(nick), at: turn.now.wall, who: nick, what: Happening::Unreached };
        for who in senders {
            self.tell_alone(who, ConnId::NOBODY, &event, turn.out);
        }
    }

    /// Has the disk read once more what was handed on to a connection and was lost on its way.
    pub fn reread(&mut self, conn: ConnId, file: FileId, offset: u64, len: usize, out: &mut impl Output) {
        if self.people.way(conn).is_none_or(Way::is_rereading) {
            return;
        }
        if self.files.get(file).is_none_or(|known| known.written < offset + len as u64) {
            self.stop_download(conn, file);
            return out.reread(conn, file, offset, None);
        }
        self.downloads += 1;
        let serial = self.downloads;
        if let Some(way) = self.people.way_mut(conn) {
            way.rare_mut().reread = Some(Reread { serial, file, offset });
        }
        self.job(Job::Read { file, offset, len, buffer: Vec::new(), reader: conn, download: serial }, None, out);
    }

    /// A read of `len` bytes came back: what was to be read once more, if it is that.
    pub(super) fn reread_came(
        &mut self,
        reader: ConnId,
        serial: u64,
        len: usize,
        out: &mut impl Output,
    ) -> Option<Reread> {
        let reread = self.people.way_mut(reader)?.take_reread(serial)?;
        self.disk.reads -= len.next_multiple_of(limits::DOWNLOAD_UNIT);
        self.disk.held -= len;
        self.wake_reader(out);
        Some(reread)
    }
}
