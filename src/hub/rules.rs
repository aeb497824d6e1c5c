//! Order in rooms: who has which rank there, what the rules are, what is taken back.

use std::collections::BTreeSet;

use crate::effect::{Effect, Output, Record};
use crate::event::{Deed, Detail, Done, Event, Fault, Gone, Happening, Meant, Quota, Rank, Shown};
use crate::files::{File, Share};
use crate::guestbook::{Guestbook, Spoke};
use crate::limits;
use crate::meters::Counted;
use crate::names::{ConnId, FileId, KeptNick, Nick, Origin, PersonId, Place, RoomName, Text};
use crate::people::Person;
use crate::policy::{Action, Actor, Doing, Entrance, Ruled, rules_any_room};
use crate::register::Rules;
use crate::register::entry::{BanKind, Entry, Founder, Role, Rule, RuleKind};
use crate::request::{Named, Request, RulesPart};
use crate::rooms::{Message, RoomId};
use crate::rules::Someone;
use crate::settings::Accounts;
use crate::time::Day;
use crate::typing::Conversation;

use super::{Hub, Turn};

/// Whom something is done to: somebody who is online, or the owner of a name.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub(super) nick: Nick,
    pub(super) owned: Option<Nick>,
    pub(super) who: Option<PersonId>,
}

/// Coming in and going.
impl Hub {
    /// Whether whose turn it is may come into a room, with this key if they gave one.
    pub(super) fn may_enter(
        &mut self,
        name: RoomName,
        key: Option<&str>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let room = self.rooms.find(&name).map(|id| &self.rooms[id]);
        let rules = self.in_force(&name, room.map_or(Guestbook::NONE, |room| room.book()));
        let name = room.map_or(name, |room| room.name);
        let entrance = Entrance { name, rules, count: room.map_or(0, |room| room.members().len()), now: turn.now };
        let tries = if key.is_some() && rules.key().is_some() { Some(self.has_tries(turn)) } else { None };
        let may = self.may(turn.who, Action::Enter(entrance, key));
        match (may, tries) {
            // Whoever guesses on learns nothing, not even when a guess is right.
            (Ok(()) | Err(Fault::BadKey { .. }), Some(false)) => Err(Fault::TooMany(Quota::WrongKeys)),
            (Err(why @ Fault::BadKey { .. }), Some(true)) => {
                self.count_wrong_key(turn);
                turn.out.effect(Effect::NoteWrongKey(turn.conn, name));
                Err(why)
            }
            (may, _) => may,
        }
    }

    /// Whether whose turn it is may try another key.
    fn has_tries(&self, turn: &Turn<'_, impl Output>) -> bool {
        let own = self.people.get(turn.who).map(Person::wrong_keys).unwrap_or_default();
        let left = || self.wrong_keys.has_left(self.counted(turn), &own, limits::WRONG_KEYS, turn.now.at);
        self.settings.rate == 0 || left()
    }

    fn count_wrong_key(&mut self, turn: &Turn<'_, impl Output>) {
        let who = self.counted(turn);
        let Some(person) = self.people.get_mut(turn.who) else { return };
        self.wrong_keys.count(who, &mut person.rare_mut().wrong_keys, turn.now.at);
    }

    /// Whether whose turn it is makes a room by coming into it, which they must be allowed to do then.
    pub(super) fn may_make(&self, name: RoomName, turn: &Turn<'_, impl Output>) -> Result<bool, Fault> {
        if !self.is_new(&name) {
            return Ok(false);
        }
        self.may(turn.who, Action::MakeRoom(self.settings.room_makers, self.settings.guests))?;
        match self.account(turn).is_some_and(|owned| self.register().founded(&owned).len() >= limits::FOUNDED) {
            true => Err(Fault::TooMany(Quota::Founded)),
            false => Ok(true),
        }
    }

    /// A room of which only what is shown to nobody is left is there for nobody, as if it were not. Its numbers go on.
    pub(super) fn put_away_erased(&mut self) {
        let erased = self.register().rooms().filter(|(_, rules)| !rules.erased().is_empty());
        let names: Vec<RoomName> = erased.map(|(name, _)| *name).filter(|name| self.is_new(name)).collect();
        names.iter().for_each(|name| self.rooms.put_away(name));
    }

    /// The number of the next message of a room. The log may have lost its end, or be an older one, and what was taken back is named
    /// by its number: so none of these is given again.
    pub(super) fn next_seq(&self, room: RoomId) -> u64 {
        let room = &self.rooms[room];
        let erased = self.register().room(&room.name).map_or(0, Rules::last_erased);
        room.last_seq().max(erased) + 1
    }

    /// Whether a room is new to whoever comes in: nobody is in it, and nothing of it is left that anybody may be shown.
    pub(super) fn is_new(&self, name: &RoomName) -> bool {
        let Some(last) = self.rooms.only_messages(name) else { return false };
        let rules = self.register().room(name).unwrap_or(Rules::NONE);
        let is_ruled = !matches!(rules.founder(), None | Some(Founder::Guest))
            || !rules.rules().is_empty()
            || !rules.roles().is_empty()
            || !rules.bans().is_empty();
        !is_ruled && rules.shown(1, last) == 0
    }

    /// Whose turn it is has come into a room, and has made it or has not.
    pub(super) fn settle_in(&mut self, room: RoomId, makes: bool, turn: &mut Turn<'_, impl Output>) {
        let (name, last) = (self.rooms[room].name, self.rooms[room].last_seq());
        if makes {
            if last == 0 {
                self.count_anew(name, turn.out);
            }
            match self.account(turn).filter(|&owned| !self.is_going(owned)) {
                Some(owner) => {
                    let founder = Founder::Owner(owner);
                    let rule = Rule::TopicLocked(true);
                    self.note(vec![Entry::Room { room: name, founder }, Entry::Rule { room: name, rule }], turn.out);
                }
                None => self.rooms.book_mut(room).set_role(turn.who, Some(Role::Op)),
            }
        }
        if self.rules(&self.rooms[room]).holds(&Rule::Past(false)) {
            self.rooms.book_mut(room).come(turn.who, last);
        }
    }

    /// Somebody is to leave a room, and what they do there in ways of their own ends.
    pub(super) fn end_in_room(&mut self, room: RoomId, who: PersonId, turn: &mut Turn<'_, impl Output>) {
        let conns: Vec<ConnId> = self.people.conns_of(who).collect();
        for conn in conns {
            if let Some(way) = self.people.way_mut(conn) {
                way.current = way.current.filter(|&current| current != Conversation::Room(room));
            }
            // Later it would be told of a room that it is not in.
            self.tell_missed(room, conn, turn);
        }
        self.typing.forget((who, Conversation::Room(room)));
    }

    /// Somebody is not in a room any more. With the last one goes a room that a guest made for few.
    pub(super) fn leave_room(&mut self, room: RoomId, who: PersonId, turn: &mut Turn<'_, impl Output>) {
        if let Some(person) = self.people.get_mut(who) {
            person.rooms.retain(|&other| other != room);
        }
        let name = self.rooms[room].name;
        let is_last = self.rooms[room].members().all(|member| member == who);
        let goes = is_last && self.register().room(&name).is_some_and(Rules::goes_when_empty);
        self.rooms.leave(room, who);
        if goes {
            self.forget_room(name, turn);
        }
        self.forget_rules(&name, turn.out);
    }

    /// With a guest's room of which nothing is left goes what was so of it.
    pub(super) fn forget_rules(&mut self, name: &RoomName, out: &mut impl Output) {
        if self.register().room(name).is_some_and(Rules::is_of_guests) && !self.rooms.exists(name) {
            let entries = self.register().clearing(*name);
            self.note(entries, out);
            // Where there is a log, what was in it may still be there.
            if self.settings.log.is_none() {
                self.count_anew(*name, out);
            }
        }
    }

    /// What was taken back of a room that is there no more is not what is said in it next.
    fn count_anew(&mut self, room: RoomName, out: &mut impl Output) {
        if self.register().room(&room).is_some_and(|rules| !rules.erased().is_empty()) {
            self.note(vec![Entry::Anew { room }], out);
        }
    }

    /// What was forgotten before this turn is in no log any more, and so need not be taken back either.
    fn forget_erased(&mut self, turn: &mut Turn<'_, impl Output>) {
        if self.trouble.is_some() || self.forgotten_at == Some(turn.now.at) {
            return;
        }
        self.forgotten_at = Some(turn.now.at);
        for room in std::mem::take(&mut self.forgotten) {
            if !self.rooms.exists(&room) {
                self.count_anew(room, turn.out);
            }
        }
    }

    /// Nothing that was said or shared in a room is there any more for anybody, and whoever comes in next makes it. Nobody is in it.
    ///
    /// What goes with it goes in an order in which no crash brings anything back: as long as the log may still have what was said,
    /// the ledger has that it is taken back.
    pub(super) fn forget_room(&mut self, name: RoomName, turn: &mut Turn<'_, impl Output>) {
        self.forget_erased(turn);
        if let Some(room) = self.rooms.find(&name) {
            let is_of_room = |(_, file): &(FileId, &File)| file.share == Share::Room(room);
            let files: Vec<FileId> = self.files.iter().filter(is_of_room).map(|(id, _)| id).collect();
            files.into_iter().for_each(|file| self.end_file(file, Fault::Gone(Gone::Removed), turn));
        }
        let mut entries = Vec::new();
        // Of one that was forgotten before only the topic may be there, of which no room is made.
        let is_left = self.register().room(&name).is_some_and(Rules::is_forgotten);
        if let Some((room, last)) = self.rooms.wipe(&name).or(is_left.then_some((name, 0))) {
            turn.out.effect(Effect::Log(Record::Forgotten { room }));
            // A crash may leave the beginning of this: the rules end when there is nothing any more that they keep from others. A start
            // that still finds its log knows by the number 0 that it was forgotten.
            entries.push(Entry::Erase { room: name, first: 0, last });
            self.forgotten.push(name);
        }
        entries.extend(self.register().clearing(name));
        self.note(entries, turn.out);
    }

    pub(super) fn is_heard(&self, room: RoomId, who: PersonId, turn: &Turn<'_, impl Output>) -> bool {
        self.may(who, Action::InRoom(Doing::Tell, self.ruled(room, turn.now))).is_ok()
    }

    /// What others hear of what somebody does in a room: without their reason, if they are not heard there.
    pub(super) fn as_heard(
        &self,
        room: RoomId,
        who: PersonId,
        what: &Happening,
        turn: &Turn<'_, impl Output>,
    ) -> Happening {
        let is_heard = || self.is_heard(room, who, turn);
        // Words of farewell are words, where one may say something only now and then.
        let is_slowed = || {
            let Some(person) = self.people.get(who) else { return false };
            let Ruled { room, rules, now } = self.ruled(room, turn.now);
            let since = room.member(who).map(|member| member.since);
            rules.slowed(&self.someone(person), since, now).is_some()
        };
        match what {
            Happening::Left(Some(_)) if !is_heard() || is_slowed() => Happening::Left(None),
            Happening::Quit(Some(_)) if !is_heard() || is_slowed() => Happening::Quit(None),
            Happening::Kicked { nick, reason: Some(_) } if !is_heard() => {
                Happening::Kicked { nick: *nick, reason: None }
            }
            Happening::Banned { kind, who, time, reason: Some(_) } if !is_heard() => {
                Happening::Banned { kind: *kind, who: who.clone(), time: *time, reason: None }
            }
            what => what.clone(),
        }
    }

    /// Somebody said something in a room, where people may do so only now and then.
    pub(super) fn note_spoken(&mut self, room: RoomId, who: PersonId, turn: &Turn<'_, impl Output>) {
        let rules = self.rules(&self.rooms[room]);
        let Some(every) = rules.slow() else { return };
        let Some(person) = self.people.get(who) else { return };
        let someone = self.someone(person);
        if rules.rank(&someone).is_none() {
            let most = limits::SPOKE + 2 * self.rooms[room].members().len();
            let (owned, origin, at) = (someone.owned.map(KeptNick::from), someone.origin, turn.now.at);
            let spoke = Spoke { who, owned, origin, serial: self.next_serial(), at };
            self.rooms.book_mut(room).speak(spoke, at - every, most);
        }
    }
}

/// Ranks.
impl Hub {
    /// The room of this name, or the current one, in which whose turn it is must be allowed to do this. One that is not in memory
    /// is taken up for who rules it by name.
    pub(super) fn ruled_room(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        doing: Doing,
        turn: &Turn<'_, impl Output>,
    ) -> Result<RoomId, Fault> {
        if let Some(name) = room.and_then(|room| room.name.ok()).filter(|name| self.rooms.find(name).is_none()) {
            let rules = self.in_force(&name, Guestbook::NONE);
            // Looking must not make a room, nor bring back the name of one that was forgotten.
            let is_theirs = match self.actor(turn) {
                actor if rules_any_room(actor, doing) => !self.is_new(&name),
                Actor::Person(someone) | Actor::Operator(someone) => rules.is_op_by_name(&someone),
                Actor::Control | Actor::Locked(_) => false,
            };
            if is_theirs {
                self.taken_up = self.open_room(name, turn).ok();
            }
        }
        self.room_or_current(room, doing, turn)
    }

    pub(super) fn subject(&self, whom: Named<'_, Nick>, turn: &Turn<'_, impl Output>) -> Result<Subject, Fault> {
        let subject = match self.find_person(whom, turn) {
            Ok(person) => Subject { nick: person.nick(), owned: self.owned_by(person), who: Some(person.id) },
            Err(why) => {
                let owned = whom.name.ok().and_then(|nick| self.register().owned(&nick)).ok_or(why)?;
                Subject { nick: owned.nick(), owned: Some(owned.nick()), who: None }
            }
        };
        // What is given to a name that is about to be nobody's would be the next owner's.
        match subject.owned.filter(|&owned| self.is_going(owned)) {
            Some(owned) => Err(Fault::NameBusy(owned)),
            None => Ok(subject),
        }
    }

    /// Something is given or done to somebody, which may be meant for another one who had that name.
    pub(super) fn meet_subject(&mut self, subject: Subject, turn: &mut Turn<'_, impl Output>) {
        subject.who.into_iter().for_each(|who| self.meet(who, turn));
    }

    /// A founder who is going is followed when they are gone, by whom the ledger has for eldest then: until that is written, nobody
    /// gets a rank or loses one, or after a restart another one would follow.
    fn founder_lasts(&self, room: RoomId) -> Result<(), Fault> {
        match self.rules(&self.rooms[room]).rules.founder() {
            Some(Founder::Owner(owned)) if self.is_going(owned) => Err(Fault::NameBusy(owned)),
            _ => Ok(()),
        }
    }

    /// Somebody who must be in the room.
    pub(super) fn member(&self, room: RoomId, subject: Subject) -> Result<PersonId, Fault> {
        let room = &self.rooms[room];
        let member = subject.who.filter(|&who| room.member(who).is_some());
        member.ok_or(Fault::NotThere { nick: Text::new(subject.nick.as_str()), room: room.name })
    }

    /// What somebody is in a room.
    pub(super) fn rank(&self, room: RoomId, subject: Subject) -> Option<Rank> {
        let rules = self.rules(&self.rooms[room]);
        let person = subject.who.and_then(|who| self.people.get(who));
        match person {
            Some(person) => rules.rank(&self.someone(person)),
            None => rules.rank_of_name(subject.owned.as_ref()),
        }
    }

    pub(super) fn list_ranks(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::SeeRules, turn)?;
        let (room, rules) = (self.rooms[id].name, self.rules(&self.rooms[id]));
        let mut ranked = Vec::new();
        let shown = |owned| self.owner_here(&owned).map_or(owned, Person::nick);
        if let Some(Founder::Owner(nick)) = rules.rules.founder() {
            ranked.push((Rank::Founder, shown(nick)));
        }
        for role in [Role::Op, Role::Voice] {
            let guests = rules.guests(role).filter_map(|who| self.people.get(who)).map(Person::nick);
            ranked.extend(rules.names(role).map(shown).chain(guests).map(|nick| (role.into(), nick)));
        }
        ranked.iter().for_each(|&(rank, nick)| turn.out.detail(turn.conn, &Detail::Ranked { rank, nick }));
        Ok(Done::Ranks { room, count: ranked.len() })
    }

    pub(super) fn set_role(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        nick: Named<'_, Nick>,
        (role, on): (Role, bool),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::Moderate, turn)?;
        let room = self.rooms[id].name;
        let subject = self.subject(nick, turn)?;
        if on {
            self.meet_subject(subject, turn);
        }
        self.founder_lasts(id)?;
        if subject.owned.is_none() {
            self.member(id, subject)?;
        }
        let was = match self.rank(id, subject) {
            Some(Rank::Founder) => return Err(Fault::IsFounder(subject.nick)),
            Some(Rank::Op) => Some(Role::Op),
            Some(Rank::Voice) => Some(Role::Voice),
            None => None,
        };
        let is = match on {
            true => Some(role),
            false => was.filter(|was| *was != role),
        };
        // Whoever had a rank as a guest here and owns their name now has it for good only once it is given to the name.
        let has_name = |nick| self.rules(&self.rooms[id]).rank_of_name(Some(&nick)) == is.map(Rank::from);
        let is_kept = subject.owned.is_none_or(has_name);
        if was != is || !is_kept {
            if was != is {
                self.has_place(id, is)?;
            }
            if let Some(nick) = subject.owned {
                self.note_of_room(room, Entry::Role { room, nick, role: is }, turn)?;
            }
            let of_guest = is.filter(|_| subject.owned.is_none());
            if let Some(who) = subject.who {
                self.rooms.book_mut(id).set_role(who, of_guest);
            }
            self.audit_of_server(Deed::Role { room, nick: subject.nick, role, on }, turn);
            if was != is {
                self.tell_others(id, &Happening::Made { nick: subject.nick, rank: is.map(Rank::from) }, turn)?;
            }
        }
        self.note_lasting(id, subject, is, turn)?;
        let verb = Request::Role { room: None, nick, role, on }.verb();
        Ok(Done::Ranked { verb, room, nick: subject.nick })
    }

    /// Whoever was given a role as a guest, and owns their name now, has it for good when they are given it again.
    fn note_lasting(
        &mut self,
        id: RoomId,
        subject: Subject,
        role: Option<Role>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let Some((nick, who)) = subject.owned.zip(subject.who) else { return Ok(()) };
        if role.is_some() && self.rooms[id].book().role(who) == role {
            self.note_of_room(self.rooms[id].name, Entry::Role { room: self.rooms[id].name, nick, role }, turn)?;
            self.rooms.book_mut(id).set_role(who, None);
        }
        Ok(())
    }

    /// Whether there is a place for one more who has this role.
    fn has_place(&self, room: RoomId, role: Option<Role>) -> Result<(), Fault> {
        let rules = self.rules(&self.rooms[room]);
        let count = |role| rules.names(role).count() + rules.guests(role).count();
        let founder = usize::from(matches!(rules.rules.founder(), Some(Founder::Owner(_))));
        match role {
            Some(Role::Op) if founder + count(Role::Op) >= limits::OPS => Err(Fault::TooMany(Quota::Ops)),
            Some(Role::Voice) if count(Role::Voice) >= limits::VOICES => Err(Fault::TooMany(Quota::Voices)),
            _ => Ok(()),
        }
    }

    pub(super) fn hand_over(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        nick: Named<'_, Nick>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::HandOver, turn)?;
        let room = self.rooms[id].name;
        // Whoever wants to be rid of a room, and knows nobody who would have it, gives it back: nobody is called like the server.
        let is_given_up = nick.typed.eq_ignore_ascii_case(Nick::server().as_str());
        let subject = match is_given_up {
            true => Subject { nick: Nick::server(), owned: None, who: None },
            false => self.subject(nick, turn)?,
        };
        self.founder_lasts(id)?;
        let rules = self.rules(&self.rooms[id]);
        let before = match rules.rules.founder() {
            Some(Founder::Owner(owned)) => Some(owned),
            Some(Founder::Gone | Founder::Guest) | None => None,
        };
        let is_theirs = self.people.get(turn.who).is_some_and(|person| rules.is_founder(&self.someone(person)));
        if is_theirs && !is_given_up {
            self.member(id, subject)?;
        }
        if subject.owned.is_none() && !is_given_up {
            return Err(Fault::OwnsNoName { nick: subject.nick, owning: self.owning(&subject.nick) });
        }
        if before != subject.owned {
            if subject.owned.is_some_and(|next| self.register().founded(&next).len() >= limits::FOUNDED) {
                return Err(Fault::TooMany(Quota::FoundedBy(subject.nick)));
            }
            let founder = subject.owned.map_or(Founder::Gone, Founder::Owner);
            let mut entries = vec![Entry::Room { room, founder }];
            if let Some(nick) = before {
                entries.push(Entry::Role { room, nick, role: Some(Role::Op) });
            }
            subject.who.into_iter().for_each(|who| self.rooms.book_mut(id).set_role(who, None));
            self.note(entries, turn.out);
            self.keep_topic(id, turn.out);
            let what = Happening::Made { nick: subject.nick, rank: Some(Rank::Founder) };
            if !is_theirs && turn.who != PersonId::NOBODY {
                self.audit(Deed::InRoom(room, what.clone()), turn);
            }
            self.tell_act(id, &what, turn)?;
        }
        Ok(Done::Founder { room, nick: subject.nick })
    }

    /// Tells rooms whose founder's name is nobody's any more who is the founder now, if anybody is.
    pub(super) fn tell_who_follows(&mut self, rooms: &[RoomName], turn: &mut Turn<'_, impl Output>) {
        for name in rooms {
            let founder = self.register().room(name).and_then(Rules::founder);
            let (Some(Founder::Owner(next)), Some(room)) = (founder, self.rooms.find(name)) else { continue };
            let shown = self.people.find(&next).and_then(|who| self.people.get(who)).map(Person::nick);
            let what = Happening::Made { nick: shown.unwrap_or(next), rank: Some(Rank::Founder) };
            self.tell_room(room, PersonId::NOBODY, Nick::server(), &what, turn);
        }
    }

    pub(super) fn invite(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        nick: Named<'_, Nick>,
        on: bool,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::Invite, turn)?;
        let room = self.rooms[id].name;
        let subject = self.subject(nick, turn)?;
        let Subject { nick, owned, who } = subject;
        let rules = self.rules(&self.rooms[id]);
        let is_invited = match owned {
            Some(owned) => rules.rules.is_invited(&owned),
            None => who.is_some_and(|who| rules.book.is_invited(who)),
        };
        if !on {
            match (owned, who) {
                (Some(nick), _) if is_invited => self.note(vec![Entry::Invite { room, nick, on }], turn.out),
                (None, Some(who)) if is_invited => self.rooms.book_mut(id).uninvite(who),
                _ => {}
            }
            return Ok(Done::Uninvite { room, nick });
        }
        self.meet_subject(subject, turn);
        let other = who.filter(|&who| who != turn.who);
        other.map_or(Ok(()), |who| self.may_reach(who))?;
        self.count_invitation(turn)?;
        if !is_invited {
            if !self.may_invite_more(id) {
                return Err(Fault::TooMany(Quota::Invited));
            }
            match (owned, who) {
                (Some(nick), _) => self.note_of_room(room, Entry::Invite { room, nick, on }, turn)?,
                (None, Some(who)) => self.rooms.book_mut(id).invite(who),
                (None, None) => {}
            }
        }
        if let Some(ban) = self.known_ban(id, subject, turn) {
            turn.out.answer(turn.conn, &Event::InvitedInVain { nick, room, ban });
        }
        let from = self.nick(turn.who)?;
        let person = other.and_then(|who| self.people.get(who)).filter(|person| !person.ignores(turn.who));
        if let Some(person) = person {
            let whom = person.id;
            let what = Happening::Invite(room);
            let event = Event::Happened { place: Place::With(from), at: turn.now.wall, who: from, what };
            self.tell_alone(whom, ConnId::NOBODY, &event, turn.out);
            self.people.note_unreached(whom, turn.who);
        }
        Ok(Done::Invite { room, nick })
    }

    /// Whose turn it is owns their name from now on, and it is invited wherever they were as a guest.
    pub(super) fn keep_invitations(&mut self, nick: Nick, turn: &mut Turn<'_, impl Output>) {
        let rooms = self.rooms.iter().filter(|(_, room)| room.book().is_invited(turn.who));
        let rooms: Vec<(RoomId, RoomName)> = rooms.map(|(id, room)| (id, room.name)).collect();
        for (id, room) in rooms {
            // Where no more is taken down for them, they are invited for as long as they are here.
            if self.note_of_room(room, Entry::Invite { room, nick, on: true }, turn).is_ok() {
                self.rooms.book_mut(id).uninvite(turn.who);
            }
        }
    }

    /// Whose turn it is owns their name from now on, and has for good the ranks that they had as a guest. In a room of guests these stay as
    /// they are: whether it lasts is not decided by who registers.
    pub(super) fn keep_ranks(&mut self, nick: Nick, turn: &mut Turn<'_, impl Output>) {
        let ranks = self.rooms.iter().filter_map(|(id, room)| Some((id, room.name, room.book().role(turn.who)?)));
        for (id, room, role) in ranks.collect::<Vec<_>>() {
            let founder = self.rules(&self.rooms[id]).rules.founder();
            if matches!(founder, Some(Founder::Owner(_) | Founder::Gone))
                && self.founder_lasts(id).is_ok()
                && self.note_of_room(room, Entry::Role { room, nick, role: Some(role) }, turn).is_ok()
            {
                self.rooms.book_mut(id).set_role(turn.who, None);
            }
        }
    }

    /// The number of the ban that keeps somebody out of a room, if whose turn it is may know. Who comes from where a guest comes from
    /// who is banned is not told of, or anybody could be asked of whether they do.
    fn known_ban(&self, room: RoomId, subject: Subject, turn: &Turn<'_, impl Output>) -> Option<u64> {
        self.may(turn.who, Action::InRoom(Doing::Moderate, self.ruled(room, turn.now))).ok()?;
        let rules = self.rules(&self.rooms[room]);
        let someone = match subject.who.and_then(|who| self.people.get(who)) {
            Some(person) => self.someone(person),
            None => Someone {
                id: PersonId::NOBODY,
                nick: subject.nick,
                owned: subject.owned,
                leaves: None,
                was: &[],
                accounts: self.accounts_here(),
                origin: Origin::Loopback,
            },
        };
        let ban = rules.ban_of(BanKind::Ban, &someone, None, turn.now.wall)?;
        (rules.meant(ban, &someone) != Meant::Network).then_some(ban.id)
    }

    fn may_invite_more(&mut self, room: RoomId) -> bool {
        let named = self.rules(&self.rooms[room]).rules.invited();
        if named + self.rooms[room].book().invited() >= limits::INVITED {
            let people = &self.people;
            self.rooms.book_mut(room).retain_invited(|who| people.get(who).is_some());
        }
        named + self.rooms[room].book().invited() < limits::INVITED
    }

    fn count_invitation(&mut self, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let who = self.counted(turn);
        let Some(person) = self.people.get_mut(turn.who).filter(|_| self.settings.rate > 0) else { return Ok(()) };
        let own = &mut person.rare_mut().invitations;
        let left = self.invitations.take(who, own, limits::INVITATIONS, turn.now.at);
        if left { Ok(()) } else { Err(Fault::TooMany(Quota::Invitations)) }
    }
}

/// What the rules are, and what is taken back.
impl Hub {
    pub(super) fn room_rules(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        part: RulesPart,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let doing = if matches!(part, RulesPart::Set(_)) { Doing::Moderate } else { Doing::SeeRules };
        let id = self.ruled_room(room, doing, turn)?;
        let (room, rules) = (self.rooms[id].name, self.rules(&self.rooms[id]));
        let is_op = self.may_in(id, Doing::Moderate, turn).is_ok();
        let shown = |rule| if is_op { Shown::Rule(rule) } else { hide_key(rule) };
        let rule = match part {
            RulesPart::All => {
                for kind in RuleKind::ALL {
                    turn.out.detail(turn.conn, &Detail::Rule(shown(rules.rule(kind))));
                }
                return Ok(Done::Room { room, rule: None });
            }
            RulesPart::One(kind) => shown(rules.rule(kind)),
            RulesPart::Set(rule) => {
                if rules.rule(rule.kind()) != rule {
                    let goes = |hub: &Self| hub.register().room(&room).is_some_and(Rules::goes_when_empty);
                    let went = goes(self);
                    self.note_of_room(room, Entry::Rule { room, rule: rule.clone() }, turn)?;
                    self.tell_rule(id, &rule, turn)?;
                    if !went && goes(self) {
                        let owning = self.accounts_here() != Accounts::Off;
                        turn.out.answer(turn.conn, &Event::GoesWhenEmpty { room, rule: rule.kind(), owning });
                    }
                    // Else the owner of a name finds themselves shut out of a room that they made as a guest.
                    let own = self.account(turn).filter(|nick| {
                        rule.is_restriction() && self.rules(&self.rooms[id]).rank_of_name(Some(nick)).is_none()
                    });
                    if let Some(nick) = own {
                        turn.out.answer(turn.conn, &Event::RankGoes { room, nick });
                    }
                }
                Shown::Rule(rule)
            }
        };
        Ok(Done::Room { room, rule: Some(rule) })
    }

    /// Tells a room that a rule was set. Its key is for ops alone.
    fn tell_rule(&mut self, id: RoomId, rule: &Rule, turn: &mut Turn<'_, impl Output>) -> Result<(), Fault> {
        if !matches!(rule, Rule::Key(Some(_))) {
            return self.tell_act(id, &Happening::Set(Shown::Rule(rule.clone())), turn);
        }
        self.audit_of_server(Deed::InRoom(self.rooms[id].name, Happening::Set(Shown::SomeKey)), turn);
        let (who, except) = (self.by_nick(turn)?, turn.author(turn.who));
        self.leave_out(id, except, |_| true);
        let (room, rules) = (&self.rooms[id], self.rules(&self.rooms[id]));
        let is_op = |conn: &ConnId| self.people.at(*conn).is_some_and(|person| rules.is_op(&self.someone(person)));
        let lagging = self.lagging_in(room);
        let conns = room.members().flat_map(|id| self.people.conns_of(id).map(move |conn| (id, conn)));
        let hears = |way: &(PersonId, ConnId)| !except.holds(way.0, way.1) && lagging.binary_search(way).is_err();
        let (ops, others): (Vec<ConnId>, Vec<ConnId>) = conns.filter(hears).map(|(_, conn)| conn).partition(is_op);
        for (to, shown) in [(ops, Shown::Rule(rule.clone())), (others, Shown::SomeKey)] {
            let what = Happening::Set(shown);
            let event = Event::Happened { place: Place::Room(room.name), at: turn.now.wall, who, what };
            turn.out.publish(&mut to.into_iter(), &[event]);
        }
        Ok(())
    }

    pub(super) fn erase(
        &mut self,
        room: Option<Named<'_, RoomName>>,
        (first, last): (u64, u64),
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let id = self.ruled_room(room, Doing::SeeRules, turn)?;
        let room = &self.rooms[id];
        let (name, rules) = (room.name, self.rules(room).rules);
        let (first, last) = (first.max(1), last.min(room.last_seq()));
        let from = if room.is_kept() { first } else { first.max(room.first_seq()) };
        let count = if from <= last { rules.shown(from, last) } else { 0 };
        if count == 0 {
            return Ok(Done::Erase { room: name, count });
        }
        let owned = self.account(turn);
        // However its owner spelled a name, it is one; but somebody else may have been called so before it was theirs.
        let is_owners = |message: &Message| {
            let name = self.register().owned(&message.nick.get()).filter(|name| Some(name.nick()) == owned);
            let day = Day::of(message.at);
            name.is_some_and(|name| message.owned != Some(false) && name.since() <= day)
        };
        let is_own = |message: &Message| message.by == turn.who || is_owners(message);
        let messages = room.history_after(from - 1).take_while(|message| message.seq <= last);
        let own: BTreeSet<u64> = messages.filter(|message| is_own(message)).map(|message| message.seq).collect();
        if let Some(seq) = (from..=last).find(|seq| !rules.is_erased(*seq) && !own.contains(seq)) {
            self.may_in(id, Doing::Moderate, turn).map_err(|why| match why {
                Fault::NotOp { room, .. } => Fault::NotOwn { seq, room },
                why => why,
            })?;
        }
        if rules.erased().len() >= limits::ERASED {
            return Err(Fault::TooMany(Quota::Erased));
        }
        self.note_of_room(name, Entry::Erase { room: name, first, last }, turn)?;
        self.tell_act(id, &Happening::Erased { first, last }, turn)?;
        Ok(Done::Erase { room: name, count })
    }

    /// Tells a room what whose turn it is has done there, and has it written down if that is whoever runs the server.
    pub(super) fn tell_act(
        &mut self,
        room: RoomId,
        what: &Happening,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        self.audit_of_server(Deed::InRoom(self.rooms[room].name, what.clone()), turn);
        self.tell_others(room, what, turn)
    }

    fn tell_others(&mut self, room: RoomId, what: &Happening, turn: &mut Turn<'_, impl Output>) -> Result<(), Fault> {
        let what = self.as_heard(room, turn.who, what, turn);
        self.tell_room(room, turn.who, self.by_nick(turn)?, &what, turn);
        Ok(())
    }

    /// Has it written down what is done in a room, if it is done by whoever runs the server.
    fn audit_of_server(&self, deed: Deed, turn: &mut Turn<'_, impl Output>) {
        if turn.who == PersonId::NOBODY {
            self.audit(deed, turn);
        }
    }

    /// Something is so of a room from now on. With the first thing it is known who made it: a guest, if nobody else did.
    pub(super) fn note_of_room(
        &mut self,
        room: RoomName,
        entry: Entry,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<(), Fault> {
        let takes_back = match &entry {
            Entry::Role { role, .. } => role.is_none(),
            Entry::Rule { rule, .. } => *rule == rule.kind().at_first(),
            _ => false,
        };
        if !takes_back {
            self.may_add_rule(&room, turn)?;
        }
        // It would be forgotten with the last who leaves as soon as a rule keeps something from others, and that is for guests alone to
        // decide.
        let stays = match &entry {
            Entry::Role { .. } => true,
            Entry::Rule { .. } => self.people.get(turn.who).is_none_or(|person| self.owned_by(person).is_some()),
            _ => false,
        };
        let maker = match self.register().room(&room).and_then(Rules::founder) {
            _ if takes_back => None,
            None | Some(Founder::Guest) if stays => Some(Founder::Gone),
            None => Some(Founder::Guest),
            // All that the ledger has of it up to here may be a right of a name that goes before this.
            Some(Founder::Guest) if self.has_going() => Some(Founder::Guest),
            Some(_) => None,
        };
        let is_kept = maker == Some(Founder::Gone);
        let mut entries = vec![entry];
        if let Some(founder) = maker {
            // A crash may leave the beginning of this. Without the mark, a rule that guests set would be taken for one of an owner's.
            let at = if founder == Founder::Guest { 0 } else { 1 };
            entries.insert(at, Entry::Room { room, founder });
        }
        let lines = self.register().lines();
        self.note(entries, turn.out);
        if let Some(id) = self.rooms.find(&room).filter(|_| is_kept) {
            self.keep_topic(id, turn.out);
        }
        if self.register().lines() > lines {
            let who = self.counted(turn);
            self.rules_added.count(who, turn.now.at);
            self.people.get_mut(turn.who).into_iter().for_each(|person| person.rare_mut().rules_added += 1);
        }
        Ok(())
    }

    /// Whether whose turn it is may set up one more thing in rooms, where so many may be set up in a day.
    fn has_rules_left(&self, most: u32, turn: &Turn<'_, impl Output>) -> bool {
        match self.counted(turn) {
            Counted::Alone => self.people.get(turn.who).is_none_or(|person| person.rules_added() < most),
            who => self.rules_added.has_left(who, most, turn.now.at),
        }
    }

    /// Whether there is a place for one more thing that is so of a room. Whoever would use up all of them gets less the less is
    /// left, and some are for operators, and for rooms that somebody owns.
    fn may_add_rule(&self, room: &RoomName, turn: &Turn<'_, impl Output>) -> Result<(), Fault> {
        let all = self.register().lines();
        if matches!(self.actor(turn), Actor::Control | Actor::Operator(_)) {
            let is_full = all >= limits::RULES_LINES;
            return if is_full { Err(Fault::TooMany(Quota::Rules)) } else { Ok(()) };
        }
        let is_owned = matches!(self.register().room(room).and_then(Rules::founder), Some(Founder::Owner(_)));
        let left = limits::RULES_OF_ALL.saturating_sub(all);
        let of_guests = limits::RULES_OF_GUESTS.saturating_sub(self.register().lines_of_guests());
        let left_here = if is_owned { left } else { left.min(of_guests) };
        let most = u32::try_from(left_here.div_ceil(limits::RULES_PARTS)).unwrap_or(u32::MAX).min(limits::RULES_A_DAY);
        match left {
            0 => Err(Fault::TooMany(Quota::Rules)),
            _ if left_here == 0 => Err(Fault::TooMany(Quota::RulesOfGuests)),
            _ if !self.has_rules_left(most, turn) => Err(Fault::TooMany(Quota::RulesOfDay)),
            _ => Ok(()),
        }
    }
}

/// A rule as it is shown to those who may not know the key.
fn hide_key(rule: Rule) -> Shown {
    if matches!(rule, Rule::Key(Some(_))) { Shown::SomeKey } else { Shown::Rule(rule) }
}
