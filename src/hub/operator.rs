//! Operators: the door by which whoever runs the server comes in, and what operators alone may do.

use crate::effect::{Effect, Output, Reloaded, Whereabouts};
use crate::event::{Bye, Deed, Detail, Done, Event, Fault, Lock, Reply, Verb};
use crate::limits;
use crate::names::{ConnId, Nick, PersonId, Text};
use crate::people::{Intake, Person};
use crate::policy::{Action, Actor, knows, may};
use crate::register::Author;
use crate::request::{BadChunk, Named, Request};
use crate::settings::ServerSetting;
use crate::time::{Instant, Now};

use super::bans::short_reason;
use super::{Alarm, Hub, Turn, fingerprint, refuse};

/// A connection that came by the operator's door.
#[derive(Debug)]
pub(super) struct Control {
    intake: Intake,
    /// When it is closed, unless something is said there.
    until: Instant,
}

/// The door.
impl Hub {
    /// A connection has come in by the operator's door: nobody is online through it, and it may do what operators may. It is told
    /// nothing but what it asks for, and what the disk does not keep of what is done.
    pub fn connect_control(&mut self, conn: ConnId, now: Now, out: &mut impl Output) {
        let until = now.at + limits::CONTROL_SILENCE;
        self.tell_trouble(conn, out);
        self.controls.insert(conn, Control { intake: Intake::None { told: false }, until });
        self.alarm(until, Alarm::Control(conn));
    }

    pub(super) fn forget_control(&mut self, conn: ConnId) {
        if let Some(control) = self.controls.remove(&conn) {
            self.accounts.forget(conn);
            self.drop_answer(conn);
            self.alarms.remove(&(control.until, Alarm::Control(conn)));
        }
    }

    /// A request came in by the operator's door.
    pub(super) fn handle_control(&mut self, request: Request<'_>, turn: &mut Turn<'_, impl Output>) {
        let (conn, verb) = (turn.conn, request.verb());
        let Some(control) = self.controls.get_mut(&conn) else { return };
        let until = turn.now.at + limits::CONTROL_SILENCE;
        let was_until = std::mem::replace(&mut control.until, until);
        match (request, may(Actor::Control, Action::Ask(verb))) {
            (Request::Chunk(Err(BadChunk::TooLong)), _) => {}
            (Request::Chunk(_), _) => control.intake.refuse_chunk(conn, turn.out),
            (_, Err(why)) => {
                if verb == Verb::Send {
                    control.intake = Intake::Discard;
                }
                refuse(conn, verb, why, turn.out);
            }
            (Request::Quit(_), Ok(())) => {
                self.forget_control(conn);
                turn.out.reply(conn, &Reply::Done(Done::Quit));
                turn.out.effect(Effect::Close { conn, bye: None });
            }
            (request, Ok(())) => match self.carry_out(request, turn) {
                Ok(done) => done.into_iter().for_each(|done| turn.out.reply(conn, &Reply::Done(done))),
                // Nobody can join a room there.
                Err(Fault::NoRoom) => refuse(conn, verb, Fault::NoRoomByDoor, turn.out),
                Err(Fault::NoSuchRoom(name)) => refuse(conn, verb, Fault::NoSuchRoomByDoor(name), turn.out),
                Err(Fault::NoSuchFile) => refuse(conn, verb, Fault::NoSuchFileByDoor, turn.out),
                Err(why) => refuse(conn, verb, why, turn.out),
            },
        }
        self.alarms.remove(&(was_until, Alarm::Control(conn)));
        if self.controls.contains_key(&conn) {
            self.alarm(until, Alarm::Control(conn));
        }
    }
}

/// Who may do it.
impl Hub {
    /// Who asks, as far as it matters for what they may do.
    pub(super) fn actor(&self, turn: &Turn<'_, impl Output>) -> Actor<'_> {
        self.actor_at(turn.conn, self.people.get(turn.who), turn.now)
    }

    fn actor_at<'a>(&self, conn: ConnId, person: Option<&'a Person>, now: Now) -> Actor<'a> {
        if self.controls.contains_key(&conn) {
            return Actor::Control;
        }
        let Some(person) = person else {
            return Actor::Locked(self.lock_of(conn, now).unwrap_or(Lock::Password));
        };
        let owned = self.register().owned(&person.nick());
        Actor::online(self.someone_owning(person, owned), owned, self.wire_of(conn))
    }

    /// TLS is spoken at this port, and lines are taken in clear from this machine at that one, if at any.
    pub fn note_ports(&mut self, tls: Option<u16>, clear: Option<u16>) {
        (self.settings.tls, self.settings.clear) = (tls, clear);
    }

    /// Whether what comes through a connection is an operator's.
    pub fn is_of_operator(&self, conn: ConnId, now: Now) -> bool {
        matches!(self.actor_at(conn, self.people.at(conn), now), Actor::Control | Actor::Operator(_))
    }

    /// By whom something is done.
    pub(super) fn by(&self, turn: &Turn<'_, impl Output>) -> Result<Author, Fault> {
        if turn.who == PersonId::NOBODY { Ok(Author::Server) } else { self.nick(turn.who).map(Author::Person) }
    }

    /// How people are shown by whom something is done.
    pub(super) fn by_nick(&self, turn: &Turn<'_, impl Output>) -> Result<Nick, Fault> {
        if turn.who == PersonId::NOBODY { Ok(Nick::server()) } else { self.nick(turn.who) }
    }

    /// Has it written down what an operator has done.
    pub(super) fn audit(&self, deed: Deed, turn: &mut Turn<'_, impl Output>) {
        if let Ok(by) = self.by(turn) {
            turn.out.effect(Effect::Audit { conn: turn.conn, by, deed });
        }
    }

    /// What is asked for, if whoever asks may know that there is such a request.
    pub(super) fn for_who_may<'a>(
        &self,
        request: Request<'a>,
        turn: &Turn<'_, impl Output>,
    ) -> Result<Request<'a>, Fault> {
        match request {
            Request::OfOperators { typed, request } => may(self.actor(turn), Action::Operate(typed)).map(|()| *request),
            Request::Malformed { verb, why: why @ (Fault::UnknownCommand(_) | Fault::NoHelp(_)) } => {
                Ok(Request::Malformed { verb, why: self.with_what_is_known(why, turn) })
            }
            request => Ok(request),
        }
    }

    /// The refusal of what is no command, with those that are known to whoever asks, if these are not those that everybody knows.
    fn with_what_is_known(&self, why: Fault, turn: &Turn<'_, impl Output>) -> Fault {
        let actor = self.actor(turn);
        if matches!(actor, Actor::Locked(_) | Actor::Person(_)) {
            return why;
        }
        let known = Verb::ALL.iter().copied().filter(|&verb| knows(actor, verb)).collect();
        Fault::Knowing(Box::new(why), known)
    }
}

/// What operators may do.
impl Hub {
    pub(super) fn kill(
        &mut self,
        nick: Named<'_, Nick>,
        reason: Option<&str>,
        turn: &mut Turn<'_, impl Output>,
    ) -> Result<Done, Fault> {
        let reason = short_reason(reason)?;
        let person = self.find_person(nick, turn)?;
        let (who, nick) = (person.id, person.nick());
        if who == turn.who {
            return Err(Fault::OperatorSelf);
        }
        let conns: Vec<ConnId> = self.people.conns_of(who).collect();
        conns.into_iter().for_each(|conn| self.close_for(conn, Bye::Killed, reason.as_ref(), turn));
        self.audit(Deed::Kill { nick, reason }, turn);
        Ok(Done::Kill(nick))
    }

    pub(super) fn wall(&mut self, text: &str, turn: &mut Turn<'_, impl Output>) -> Result<Done, Fault> {
        let (from, text) = (self.by_nick(turn)?, Text::new(text));
        turn.out.publish(&mut self.people.conns(), &[Event::Wall { from, text: text.clone() }]);
        self.audit(Deed::Wall(text), turn);
        Ok(Done::Wall(self.people.len()))
    }

    /// Has the configuration read anew, as somebody wants by a signal.
    pub fn heard_reload(&mut self, out: &mut impl Output) {
        // One that has not begun reads what there is then.
        if !self.reloads.iter().skip(1).any(|(conn, _)| *conn == ConnId::NOBODY) {
            self.ask_reload(ConnId::NOBODY, Author::Server, out);
        }
    }

    pub(super) fn reload(&mut self, turn: &mut Turn<'_, impl Output>) -> Result<(), Fault> {
        let by = self.by(turn)?;
        self.accounts.wait(turn.conn);
        self.ask_reload(turn.conn, by, turn.out);
        Ok(())
    }

    fn ask_reload(&mut self, conn: ConnId, by: Author, out: &mut impl Output) {
        self.reloads.push_back((conn, by));
        out.effect(Effect::Reload);
    }

    /// The configuration was read anew for whoever asked first, or something is wrong with it; then nothing changes. What operators had
    /// changed is as the options say again, and what that is comes back, for the log.
    pub fn reloaded(&mut self, now: Now, read: Result<Reloaded, String>, out: &mut impl Output) -> Vec<ServerSetting> {
        let Some((conn, by)) = self.reloads.pop_front() else { return Vec::new() };
        let mut restored = Vec::new();
        let done = read.map(|Reloaded { settings, restart, odd }| {
            self.password = settings.password.as_deref().map(fingerprint);
            self.rooms.remember_lines(settings.history);
            let before = self.settings.of_server();
            self.settings.renew(settings);
            let now = self.settings.of_server();
            let is_restored = |&n: &usize| before[n] != self.configured[n] && before[n] != now[n];
            restored.extend((0..now.len()).filter(is_restored).map(|n| now[n]));
            self.configured = now;
            out.effect(Effect::Audit { conn, by, deed: Deed::Reload });
            (restart, odd)
        });
        // They may have gone meanwhile.
        if !self.accounts.waits_no_more(conn) {
            return restored;
        }
        let who = self.people.at(conn).map_or(PersonId::NOBODY, |person| person.id);
        let turn = &mut Turn { now, conn, who, out };
        if let Ok((restart, odd)) = &done {
            odd.iter().for_each(|odd| turn.out.answer(conn, &Event::Odd(Text::new(odd))));
            restart.iter().for_each(|option| turn.out.detail(conn, &Detail::Restart(option)));
            restored.iter().for_each(|setting| turn.out.detail(conn, &Detail::Server(*setting)));
        }
        let done = done
            .map(|_| Some(Done::Reload))
            .map_err(|why| Fault::BadConfig(Text::new(&why.chars().take(limits::MISTAKE).collect::<String>())));
        self.answer_late(Verb::Reload, done, turn);
        restored
    }

    /// Has the shell tell from where somebody is here, as it knows the addresses.
    pub(super) fn tell_where(&self, nick: Named<'_, Nick>, turn: &mut Turn<'_, impl Output>) -> Result<(), Fault> {
        let person = self.find_person(nick, turn)?;
        let ways = self.people.conns_of(person.id).map(|conn| (conn, self.wire_of(conn))).collect();
        let whom = Whereabouts { nick: person.nick(), named: self.owned_by(person).is_some(), ways };
        turn.out.effect(Effect::Where { conn: turn.conn, whom });
        Ok(())
    }
}
