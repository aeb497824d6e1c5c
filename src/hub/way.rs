//! Ways in: how a connection comes to be one of somebody's, and is theirs no more.

use crate::effect::{Effect, Output};
use crate::event::{Event, Fault, Gone, Happening};
use crate::names::{ConnId, FileId, PersonId};
use crate::people::{Intake, Person, Way};
use crate::typing::Conversation;

use super::{Hub, Turn};

impl Hub {
    /// A way in is no more. With the last one the person goes, and is told of; of another nobody sees anything.
    pub(super) fn part(&mut self, conn: ConnId, what: &Happening, turn: &mut Turn<'_, impl Output>) {
        self.note_tokens([conn], turn);
        self.accounts.forget(conn);
        let Some(who) = self.people.at(conn).map(|person| person.id) else { return };
        self.drop_transfers(conn, turn);
        self.drop_answer(conn);
        if self.people.has_several(who) {
            self.stop_typing_by(who, conn, turn);
        }
        let Some(mut way) = self.people.take_way(conn) else { return self.depart(who, what, turn) };
        // What was said while all of their connections were lost waits in each of these.
        let senders = way.take_unreached().unwrap_or_default();
        let gone = senders.into_iter().filter(|&from| !self.people.may_reach_later(who, from)).collect();
        if let Some(nick) = self.people.get(who).map(Person::nick) {
            self.tell_unreached(nick, gone, turn);
        }
    }

    /// Makes somebody of their own of the connection whose turn it is, which is one of several of somebody: a guest, in no room.
    /// Nobody sees it but by presence.
    pub(super) fn step_out(&mut self, turn: &mut Turn<'_, impl Output>) {
        self.before_change(turn);
        self.stop_typing_by(turn.who, turn.conn, turn);
        let owned = self.account(turn);
        let Some(who) = self.people.split(turn.conn, turn.now.at) else { return };
        turn.who = who;
        self.note_was_owner(who, owned);
        self.after_change(turn);
        if let Some(nick) = self.people.get(who).map(Person::nick) {
            self.open_presence(turn.now);
            self.presence.came(&nick);
        }
    }

    /// Makes the connection whose turn it is a way in of somebody who is online, beside their others. Whoever was here through it
    /// alone leaves their rooms, and nobody sees it but by presence.
    pub(super) fn come_in_beside(&mut self, into: PersonId, turn: &mut Turn<'_, impl Output>) {
        if self.people.has_several(turn.who) {
            self.step_out(turn);
        }
        self.before_change(turn);
        self.fail_uploads_to(turn.who, turn);
        self.stop_typing_by(turn.who, turn.conn, turn);
        self.typing.forget_person(turn.who);
        let Some((guest, nick, rooms)) = self.people.merge(turn.conn, into) else { return };
        turn.who = into;
        if !self.typing.is_empty() {
            let serial = self.next_serial();
            self.people.way_mut(turn.conn).into_iter().for_each(|way| way.pass_over_typing(serial));
        }
        rooms.iter().for_each(|&room| self.leave_room(room, guest, turn));
        self.after_change(turn);
        self.open_presence(turn.now);
        self.presence.went(&nick);
        self.forget_unreachable(turn.out);
    }

    /// Before the connection whose turn it is becomes somebody else's, what it does in the rooms of whose it is ends.
    fn before_change(&mut self, turn: &mut Turn<'_, impl Output>) {
        if let Some(Intake::Open(file)) = self.people.way(turn.conn).map(Way::intake) {
            self.break_off(file, Gone::BrokenOff, turn);
        }
        for room in self.people.get(turn.who).map(|person| person.rooms.clone()).unwrap_or_default() {
            // Later it would be told of a room that it is not in.
            self.tell_missed(room, turn.conn, turn);
        }
        if let Some(way) = self.people.way_mut(turn.conn) {
            way.current = way.current.filter(|current| matches!(current, Conversation::Person(_)));
        }
    }

    /// The connection whose turn it is has become somebody else's: what they may not fetch it fetches no more.
    fn after_change(&mut self, turn: &mut Turn<'_, impl Output>) {
        turn.out.effect(Effect::NoteNick(turn.conn));
        self.stop_what_is_not_theirs(turn.conn, turn.out);
    }

    /// A connection fetches no more what whoever is here through it may not fetch.
    pub(super) fn stop_what_is_not_theirs(&mut self, conn: ConnId, out: &mut impl Output) {
        let (Some(person), Some(way)) = (self.people.at(conn), self.people.way(conn)) else { return };
        let may_not = |&file: &FileId| self.files.get(file).is_none_or(|file| self.may_fetch(person, file).is_err());
        let files: Vec<FileId> = way.downloads().iter().map(|download| download.file).filter(may_not).collect();
        for file in files {
            self.stop_download(conn, file);
            out.answer(conn, &Event::Broken { file, why: Fault::Gone(Gone::NoLongerYours) });
            out.effect(Effect::Pump(conn));
        }
    }
}
