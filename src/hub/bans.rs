//! Who is put out of rooms, banned or muted there, and what is left of what they sent.

use std::time::{Duration, SystemTime};

use crate::effect::{Effect, Output};
use crate::event::{Ask, Barring, Done, Event, Fault, Gone, Happening, Long, Owning, Quota, Rank, Silence, Verb};
use crate::files::{File, Share, Stage};
use crate::guestbook::{GuestBan, Guestbook};
use crate::limits;
use crate::names::{ConnId, FileId, Nick, Origin, PersonId, Place, RoomName, Text, Was};
use crate::people::Person;
use crate::policy::Doing;
use crate::register::entry::{Ban, BanKind, BlockScope, Entry, Founder, Network, Role, Rule, Who};
use crate::request::{Addressed, Named, Request, Whom};
use crate::rooms::RoomId;
use crate::rules::InForce;
use crate::time::{Now, end_of};
use crate::typing::Conversation;

use super::answer::Answer;
use super::rules::Subject;
use super::{Hub, Turn, refuse};

/// Who is put out, and who is not heard.
impl Hub {
    pub(super) fn kick(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        nick: Named<'_, Nick>,
        reason: Option<&str>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::Moderate, turn)?;
        let room = self.rooms[id].name;
        let reason = short_reason(reason)?;
        let subject = self.subject(nick, turn)?;
        let who = self.member(id, subject)?;
        self.may_put_out(id, subject, turn)?;
        self.meet(who, turn);
        self.put_out(id, who, &Happening::Kicked { nick: subject.nick, reason }, turn)?;
        Ok(Done::Kick { room, nick: subject.nick })
    }

    /// Whether somebody can be put out of a room at all.
    fn may_put_out(&self, room: RoomId, subject: Subject, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        match self.rank(room, subject) {
            Some(Rank::Founder) => Err(Fault::IsFounder(subject.nick)),
            _ if subject.who == Some(turn.who) => Err(Fault::PutOutSelf(self.rooms[room].name)),
            _ => Ok(()),
        }
    }

    /// Puts a member out of a room, and ends all that they do there. They are told last, and after that nothing of the room.
    fn put_out(
        &mut self,
        room: RoomId,
        who: PersonId,
        what: &Happening,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let conns: Vec<ConnId> = self.people.conns_of(who).collect();
        conns.iter().for_each(|&conn| self.cut_short(conn, room, turn.out));
        let why = Fault::Gone(Gone::PutOut);
        let is_theirs = |file: &File| {
            let is_sender = file.sender == who || conns.contains(&file.via);
            file.share == Share::Room(room) && is_sender && !matches!(file.stage, Stage::Ready(_))
        };
        let files: Vec<FileId> = self.files.iter().filter(|(_, file)| is_theirs(file)).map(|(id, _)| id).collect();
        files.into_iter().for_each(|file| self.end_file(file, why.clone(), turn));
        self.stop_downloads_from((room, who), |_| true, &why, turn);
        self.end_in_room(room, who, turn);
        self.tell_act(room, what, turn)?;
        self.tell_late(room, who, what, turn)?;
        let name = self.rooms[room].name;
        for conn in conns {
            self.people.way_mut(conn).into_iter().for_each(|way| way.put_out(name));
            turn.out.effect(Effect::PutOut(conn));
        }
        self.leave_room(room, who, turn);
        Ok(())
    }

    /// What takes `who` out of a room has been told there. It must not be left out for those of their own connections that are
    /// slow: later they would be told of a room that they are not in.
    pub(super) fn tell_late(
        &mut self,
        room: RoomId,
        who: PersonId,
        what: &Happening,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let (place, at, nick) = (Place::Room(self.rooms[room].name), turn.now.wall, self.by_nick(turn)?);
        for conn in self.people.conns_of(who).collect::<Vec<_>>() {
            if self.people.way_mut(conn).and_then(|way| way.take_missed(room)).is_some() {
                let what = self.as_heard(room, turn.who, what, turn);
                turn.out.answer(conn, &Event::Happened { place, at, who: nick, what });
            }
        }
        Ok(())
    }

    pub(super) fn ban(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        (kind, whom, time, reason): (BanKind, Whom<'_>, Option<Duration>, Option<&str>),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::Moderate, turn)?;
        let room = self.rooms[id].name;
        let reason = short_reason(reason)?;
        let (who, guest, network) = match whom {
            Whom::Pattern(pattern) => (Who::Pattern(pattern), None, None),
            Whom::Nick(nick) => {
                let subject = self.subject(nick, turn)?;
                self.may_put_out(id, subject, turn)?;
                let by_name = self.rules(&self.rooms[id]).rank_of_name(subject.owned.as_ref());
                if by_name >= Some(Rank::Op) {
                    return Err(Fault::IsOp { nick: Text::new(subject.nick.as_str()), room });
                }
                self.meet_subject(subject, turn);
                match (subject.owned, subject.who.and_then(|who| self.people.get(who))) {
                    (Some(owned), _) => (Who::Name(owned), None, None),
                    (None, Some(guest)) => {
                        let network = match guest.origin() {
                            Origin::Loopback => None,
                            Origin::Network(prefix) => Some(Network::from(prefix)),
                        };
                        (Who::Guest(subject.nick), Some(guest.id), network)
                    }
                    (None, None) => return Err(Fault::NoSuchNick(Text::new(nick.typed))),
                }
            }
        };
        let time = match (&who, time) {
            (Who::Guest(_), None) => Some(limits::GUEST_BAN),
            (Who::Guest(_), Some(time)) if time.is_zero() => Some(limits::GUEST_BAN_MOST),
            (Who::Guest(_), Some(time)) => Some(time.min(limits::GUEST_BAN_MOST)),
            (Who::Name(_) | Who::Pattern(_), time) => time.filter(|time| !time.is_zero()),
        };
        let number = self.ban_number(id, kind, (&who, guest), turn)?;
        let until = time.and_then(|time| end_of(turn.now.wall, time));
        let time = time.filter(|_| until.is_some());
        let known = self.rules(&self.rooms[id]).rules.bans().iter().find(|ban| ban.id == number);
        let was = known.filter(|ban| !self.is_over(room, ban, turn.now)).map(|ban| (false, ban.until));
        let by = self.by(turn)?;
        // Who is not heard is not read either.
        let reason = reason.filter(|_| self.is_heard(id, turn.who, turn));
        let text = reason.clone().unwrap_or_else(|| Text::new(""));
        let ban = Ban { id: number, kind, who: who.clone(), network, until, by, reason: text };
        self.note_of_room(room, Entry::Ban { room, ban }, turn)?;
        self.rooms.book_mut(id).number_ban(number);
        if let Some(who) = guest {
            let since = self.next_serial();
            self.rooms.book_mut(id).add_ban(GuestBan { id: number, kind, who, since });
        }
        let what = Happening::Banned { kind, who: who.clone(), time, reason };
        let whom = match &who {
            Who::Name(nick) => self.owner_here(nick).map(|person| person.id),
            Who::Guest(_) => guest,
            Who::Pattern(_) => None,
        };
        match whom.filter(|&whom| self.rooms[id].member(whom).is_some()) {
            Some(whom) if kind == BanKind::Ban => self.put_out(id, whom, &what, turn)?,
            whom => {
                self.tell_act(id, &what, turn)?;
                if let Some(whom) = whom {
                    let key = (whom, Conversation::Room(id));
                    self.typing.stop(key);
                    self.tell_typing(key, turn);
                }
            }
        }
        self.tell_lasting(Barring::Ban(kind, room, who.clone()), until, was, turn);
        Ok(Done::Ban { kind, room, id: number, who, by_connection: guest.is_some() && network.is_none() })
    }

    /// Tells for how long somebody is barred whom it barred, and what was so before, if that was something else and not only shorter.
    pub(super) fn tell_lasting(
        &self,
        barred: Barring,
        until: Option<SystemTime>,
        was: Option<(bool, Option<SystemTime>)>,
        turn: &mut Turn<'_, impl Output>,
    ) {
        let of_guests = matches!(barred, Barring::Block(BlockScope::Guests, _));
        let is_longer = |was: Option<SystemTime>| was.zip(until).is_some_and(|(was, until)| was <= until);
        let was = was.filter(|was| *was != (of_guests, until) && !(was.0 == of_guests && is_longer(was.1)));
        if was.is_some() {
            turn.out.answer(turn.conn, &Event::Lasts { barred, until, was });
        }
    }

    /// The number of a ban: that of the one for the same, or the next one. Those that are over make place.
    fn ban_number(
        &mut self,
        room: RoomId,
        kind: BanKind,
        (who, guest): (&Who, Option<PersonId>),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<u64, Fault> {
        let InForce { rules, book, .. } = self.rules(&self.rooms[room]);
        let same = match guest {
            Some(guest) => book.ban_of(kind, guest),
            None => rules.bans().iter().find(|ban| ban.kind == kind && ban.who == *who).map(|ban| ban.id),
        };
        let is_there = |id: &u64| rules.bans().iter().any(|ban| ban.id == *id);
        if let Some(id) = same.filter(is_there) {
            return Ok(id);
        }
        let next = rules.next_ban().max(book.last_ban() + 1);
        let name = self.rooms[room].name;
        let now = self.accounts.surely(turn.now);
        let over: Vec<u64> = rules.bans().iter().filter(|ban| self.is_over(name, ban, now)).map(|ban| ban.id).collect();
        if rules.bans().len() - over.len() >= limits::BANS {
            return Err(Fault::TooMany(Quota::Bans));
        }
        over.into_iter().for_each(|id| self.end_ban(room, id, turn));
        Ok(next)
    }

    /// Whether a ban holds for nobody any more: its time is over, or it is for a connection that is gone.
    pub(super) fn is_over(&self, room: RoomName, ban: &Ban, now: Now) -> bool {
        let is_of_connection = matches!(ban.who, Who::Guest(_)) && ban.network.is_none();
        ban.until.is_some_and(|until| until <= now.wall) || (is_of_connection && !self.is_of_anybody(room, ban.id))
    }

    /// Whether the guest for whom a ban is, or a connection of theirs, is here still.
    fn is_of_anybody(&self, room: RoomName, ban: u64) -> bool {
        let book = self.rooms.find(&room).map_or(Guestbook::NONE, |room| self.rooms[room].book());
        let Some(GuestBan { who, .. }) = book.ban(ban) else { return false };
        let was = Was::Person(*who);
        self.people.get(*who).is_some() || self.people.iter().any(|person| person.was().contains(&was))
    }

    /// A refusal with whom one may ask who may not do something in a room, where one may know of it; and of a file that is not there, with how
    /// long files are kept.
    pub(super) fn with_whom_to_ask(&self, why: Fault, turn: &Turn<'_, impl Output>) -> Fault {
        let name = match why {
            Fault::Banned { room, .. }
            | Fault::Silent {
                room,
                why: Silence::Muted(_) | Silence::Moderated | Silence::Guests(Owning::Never),
                ..
            }
            | Fault::NoGuests { room, owning: Owning::Never }
            | Fault::NotOwn { room, .. }
            | Fault::InviteOnly(room)
            | Fault::BadKey { room, .. } => room,
            Fault::NoSuchFile => return Fault::NoFileFor { kept: self.settings.file_ttl },
            why => return why,
        };
        let id = self.rooms.find(&name);
        let rules = self.in_force(&name, id.map_or(Guestbook::NONE, |id| self.rooms[id].book()));
        let is_seen = id.map_or(!rules.holds(&Rule::Hidden(true)), |id| self.sees(turn.who, id));
        let founder = match rules.rules.founder() {
            Some(Founder::Owner(nick)) => Some(nick),
            _ => None,
        };
        let names: Vec<Nick> = founder.into_iter().chain(rules.names(Role::Op)).collect();
        let owners = names.iter().filter_map(|nick| self.owner_here(nick));
        let guests = rules.guests(Role::Op).filter_map(|who| self.people.get(who));
        let here = owners.chain(guests).filter(|person| person.id != turn.who).map(Person::nick);
        let some = |nicks: &mut dyn Iterator<Item = Nick>| nicks.take(limits::ASKED).collect::<Vec<Nick>>();
        let ask = match some(&mut here.into_iter()) {
            _ if !is_seen => Ask::Friend,
            here if !here.is_empty() => Ask::Here(here),
            _ if names.is_empty() => Ask::Operator,
            _ => Ask::Later(some(&mut names.into_iter())),
        };
        Fault::Asking(Box::new(why), ask)
    }

    /// Somebody owned this name until now, if any, and is somebody else.
    pub(super) fn note_was_owner(&mut self, who: PersonId, left: Option<Nick>) {
        if let Some((left, person)) = left.zip(self.people.get_mut(who)) {
            person.note_was(Was::Owner(left.into()));
        }
    }

    /// The bans of names that are about to be nobody's, and with which bans by name end, as far as their owners are here or others who
    /// were these before: for whom each is.
    pub(super) fn bans_that_stay(
        &self,
        is_lost: impl Fn(&Nick) -> bool,
        now: Now,
    ) -> Vec<(RoomName, Ban, Vec<PersonId>)> {
        let was_owner = |person: &Person, owner: &Nick| {
            person.was().iter().any(|was| matches!(was, Was::Owner(nick) if nick.get() == *owner))
        };
        let had: Vec<&Person> = self.people.iter().filter(|person| !person.was().is_empty()).collect();
        if had.is_empty() {
            return Vec::new();
        }
        let bans = self.register().rooms().flat_map(|(room, rules)| rules.bans().iter().map(|ban| (*room, ban)));
        let of_lost = bans.filter_map(|(room, ban)| match &ban.who {
            Who::Name(nick) if is_lost(nick) && !self.is_over(room, ban, now) => {
                Some((room, ban.clone(), had.iter().filter(|one| was_owner(one, nick)).map(|one| one.id).collect()))
            }
            _ => None,
        });
        of_lost.filter(|(_, _, had): &(_, _, Vec<PersonId>)| !had.is_empty()).collect()
    }

    /// These names are nobody's any more, and their bans go on for those who had them, like bans of guests by connection.
    pub(super) fn carry_bans(
        &mut self,
        stay: Vec<(RoomName, Ban, Vec<PersonId>)>,
        is_lost: impl Fn(&Nick) -> bool,
        now: Now,
        out: &mut impl Output,
    ) {
        for (room, ban, had) in stay {
            let Some(&first) = had.first() else { continue };
            let (Some(id), Ok(nick)) = (self.rooms.find(&room), self.nick(first)) else { continue };
            let until = ban.until.or_else(|| end_of(now.wall, limits::GUEST_BAN_MOST));
            let ban = Ban { who: Who::Guest(nick), network: None, until, ..ban };
            let guest = GuestBan { id: ban.id, kind: ban.kind, who: first, since: self.next_serial() };
            self.note(vec![Entry::Ban { room, ban }], out);
            self.rooms.book_mut(id).add_ban(guest);
            for &who in &had[1..] {
                self.people.get_mut(who).into_iter().for_each(|person| person.note_was(Was::Person(first)));
            }
        }
        let had: Vec<PersonId> =
            self.people.iter().filter(|person| !person.was().is_empty()).map(|person| person.id).collect();
        for who in had {
            self.people.get_mut(who).into_iter().for_each(|person| person.forget_was(&is_lost));
        }
    }

    fn end_ban(&mut self, room: RoomId, id: u64, turn: &mut Turn<'_, impl Output>) {
        self.note(vec![Entry::Unban { room: self.rooms[room].name, id }], turn.out);
        self.rooms.book_mut(room).remove_ban(id);
    }

    pub(super) fn unban(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        number: u64,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::Moderate, turn)?;
        let room = self.rooms[id].name;
        let bans = self.rules(&self.rooms[id]).rules.bans();
        let is_it = |ban: &&Ban| ban.id == number && !self.is_over(room, ban, turn.now);
        let ban = bans.iter().find(is_it).ok_or(Fault::NoSuchBan { id: number, room })?;
        let what = Happening::Unbanned { kind: ban.kind, who: ban.who.clone() };
        self.end_ban(id, number, turn);
        self.tell_act(id, &what, turn)?;
        Ok(Done::Unban { room, id: number })
    }

    pub(super) fn list_bans(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        turn: &Turn<'_, impl Output>,
    ) -> Result<Answer, Fault> {
        let id = self.ruled_room(room, Doing::Moderate, turn)?;
        Ok(Answer::bans(self.rooms[id].name))
    }
}

/// What was sent by those who were put out, before they were.
impl Hub {
    /// Whether a request is not to be carried out, which a connection sent before it was put out of a room: it is for that room.
    pub fn is_void(&self, conn: ConnId, request: &Request<'_>) -> bool {
        let Some(way) = self.people.way(conn).filter(|way| !way.put_out_of().is_empty()) else { return false };
        match request.addressed() {
            Addressed::Room(room) => way.put_out_of().contains(&room),
            Addressed::Current => way.current.is_none(),
            Addressed::Elsewhere => false,
        }
    }

    /// Refuses such a request.
    pub fn refuse_void(&mut self, conn: ConnId, now: Now, request: &Request<'_>, out: &mut impl Output) {
        let Some(who) = self.people.at(conn).map(|person| person.id) else { return };
        let verb = request.verb();
        if verb == Verb::Send {
            self.before_send(&mut Turn { now, conn, who, out });
        }
        let why = match request.addressed() {
            Addressed::Room(room) if verb == Verb::Join => Fault::PutOutBefore(room),
            Addressed::Room(room) => Fault::NotInRoom(room),
            Addressed::Current | Addressed::Elsewhere => Fault::NoTarget,
        };
        // What follows is meant for the target that they would have now, and for no other.
        if let (Verb::Join | Verb::Query, Some(way)) = (verb, self.people.way_mut(conn)) {
            way.current = None;
        }
        refuse(conn, verb, why, out);
    }

    /// Nothing is left of what a connection sent before it was put out.
    pub fn forget_void(&mut self, conn: ConnId) {
        if let Some(way) = self.people.way_mut(conn) {
            way.forget_put_out();
        }
    }
}

pub(super) fn short_reason(reason: Option<&str>) -> Result<Option<Text>, Fault> {
    let reason = reason.map(Text::new);
    let fits = reason.as_ref().is_none_or(|reason| reason.as_str().len() <= limits::REASON);
    if fits { Ok(reason) } else { Err(Fault::TooLong { what: Long::Reason, limit: limits::REASON }) }
}
