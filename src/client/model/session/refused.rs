//! What the server refuses: matched with what was asked, and what becomes of that.

use super::replies::is_of;
use super::secret::Secret;
use super::typed::{moves, name};
use super::{Asked, Pending, Session, cut};
use crate::client::model::news::TransferAnswer;
use crate::names::{Nick, Place};
use crate::wire::Code;

impl Session {
    pub(super) fn refused(&mut self, command: &str, code: Code<'_>, text: &str) {
        // `?` stands for any line that was not understood.
        let is_answer = self.asked.front().is_some_and(|asked| command == "?" || is_of(&asked.line, command));
        let text = &self.without_form(text);
        match if is_answer { self.asked.pop_front() } else { None } {
            Some(Asked { pending, .. }) => {
                self.details = 0;
                self.turned_down(pending, code, text);
            }
            None => self.refuse(text.to_owned()),
        }
    }

    pub(super) fn turned_down(&mut self, pending: Pending, code: Code<'_>, text: &str) {
        self.grow_wary(&pending, code);
        let awaits_name = match &pending {
            Pending::Typed(line) => name(line) == "nick",
            // Another one of ours may have it, which asks for nothing.
            Pending::Nick => code == Code::Owned,
            _ => false,
        };
        if awaits_name {
            self.drop_words();
        }
        match pending {
            Pending::Missed(..) | Pending::Shared(_) => {}
            Pending::Quiet | Pending::Who | Pending::Restored => self.restored |= matches!(pending, Pending::Restored),
            Pending::Typed(line)
                if code == Code::Owned
                    && name(&line) == "nick"
                    && Nick::new(cut(&line).1.trim()).is_ok_and(|nick| self.owned(nick, true)) => {}
            Pending::Typed(line) => {
                let name = cut(&line).0;
                let text = self.own_slip(&line, code).unwrap_or_else(|| text.to_owned());
                self.refuse(if text.starts_with(name) { text } else { format!("{name}: {text}") });
                if moves(&line) {
                    self.stay();
                    self.astray = Some(line);
                }
            }
            Pending::Ways(_) => self.has_ways(0),
            Pending::Expected(room) if code == Code::NoSuchRoom => self.missing_rooms.push(room),
            Pending::Expected(_) => {}
            Pending::Ignore(nick) => {
                self.note(format!("{nick} is not here, and is only ignored again if they come back soon"));
                self.missing.push(nick);
            }
            Pending::Password(_) => self.refuse(format!("/pass: {text}")),
            Pending::Said => {
                let what =
                    self.sent.pop_front().map(|message| format!("{} has not got “{}”: ", message.place, message.text));
                let kept_out = self.kept_out.as_deref().filter(|_| matches!(code, Code::NotInRoom | Code::NoSuchRoom));
                self.refuse(format!("{}{}", what.unwrap_or_default(), kept_out.unwrap_or(text)));
            }
            Pending::Nick if code == Code::Owned && self.wanted.is_some_and(|nick| self.owned(nick, true)) => {}
            Pending::Login(nick, token) => self.not_logged_in(nick, token, code, text),
            Pending::Owned(nick) => self.token_refused(nick, false, Some(text)),
            Pending::Probe(nick, _) if code == Code::Insecure => self.insecure(nick, text),
            // Nobody owns a name there.
            Pending::Probe(..) if code == Code::Refused => self.refuse(format!("/login: {text}")),
            Pending::Probe(nick, is_known) => self.ask_password(nick, is_known),
            Pending::MaySend if code == Code::NoAccount => {
                self.await_secret(Secret::New { of: "register", old: None, first: None });
            }
            Pending::MaySend => self.refuse(format!("/register: {text}")),
            Pending::Old(_) if code == Code::Refused => {
                self.refuse(text.to_owned());
                self.await_secret(Secret::Old);
            }
            Pending::Old(_) => self.refuse(format!("/passwd: {text}")),
            Pending::Token(nick) => self.note(format!("the next start needs the password of {nick} again: {text}")),
            Pending::Ranks { room, entry, .. } => self.tell_entry(room, &entry),
            Pending::Nick if self.first || self.insists() => self.has_no_name(code, text),
            // One guest's name is as good as another's.
            Pending::Nick if self.wanted.is_some_and(|nick| nick.is_guest()) => self.give_name_up(),
            Pending::Nick if code == Code::Taken => {
                if !std::mem::replace(&mut self.regaining, true)
                    && let (Some(wanted), Some(nick)) = (self.wanted, self.nick)
                {
                    self.note(format!("you are {nick} until {wanted} is free again"));
                }
            }
            Pending::Nick => self.refuse(text.to_owned()),
            Pending::Ghost(ghost) => self.ghosts.retain(|known| *known != ghost),
            // The room may be one to which people speak who are not in it.
            Pending::Join(room) if self.outside == Some(room) => {
                self.close(Place::Room(room));
                self.kept_out = Some(text.to_owned());
            }
            Pending::Join(room) => {
                let is_nowhere = self.close(Place::Room(room));
                let is_awaited = self.stays_outside(room, is_nowhere);
                let is_free = self.expects_rooms == Some("");
                if is_awaited {
                    self.note(format!("you come into {room} again once you are logged in"));
                } else if !self.first {
                    // Nobody has asked for that just now.
                    self.note(format!("you are not in {room} any more: {text}"));
                } else {
                    let text =
                        if text.contains(&room.to_string()) { text.to_owned() } else { format!("{room}: {text}") };
                    // For such a room there is nothing, and what is looked for may be in another.
                    if is_free { self.note(text) } else { self.refuse(text) }
                }
                self.is_nowhere |= is_nowhere && !is_awaited && !is_free;
                self.tell_nowhere();
                self.report_limbo(room);
            }
            // That we talk to nobody has been told, and why.
            Pending::Query if self.talks.target().is_none() => {}
            Pending::Query => self.refuse(text.to_owned()),
            Pending::History(room) => {
                self.take_shared(room, None);
                let is_gone = code == Code::Gone;
                if let Some(talk) = self.talks.room(room) {
                    let next = if is_gone { talk.seen.gone() } else { talk.seen.give_up() };
                    self.fetched(room, next);
                }
                if !is_gone {
                    self.report_limbo(room);
                }
            }
            Pending::Search { word, .. } => self.found(&word, None, Vec::new()),
            Pending::Send(key) => self.answers.push_back(TransferAnswer::NotSent(key, text.to_owned())),
            Pending::Limits(_) => self.answers.push_back(TransferAnswer::Largest(u64::MAX)),
            Pending::Get(key) if matches!(code, Code::TooMany | Code::Busy) => {
                self.answers.push_back(TransferAnswer::Later(key));
            }
            Pending::Get(key) if code == Code::NoSuchFile => {
                self.answers.push_back(TransferAnswer::Gone(key, text.to_owned()));
            }
            Pending::Get(key) => self.answers.push_back(TransferAnswer::NotComing(key, text.to_owned())),
            Pending::Files(key, ..) => self.answers.push_back(TransferAnswer::Found(key, None)),
        }
    }
}
