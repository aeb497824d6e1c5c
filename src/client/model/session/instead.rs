//! What is done where the name that is wished for cannot be had. A person is told, and chooses; what a script is to do under a name it
//! never does under another.

use std::time::Instant;

use super::{LIMBO, Session};
use crate::names::{Nick, Token};
use crate::wire::Code;

/// What is done where the name that is wished for cannot be had.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum Instead {
    /// The person goes by another, and is told.
    #[default]
    Choose,
    /// Another is as good, which is noted.
    Yield,
    /// Nothing: all is done under that name or is not, in the word for it ("said").
    End(&'static str),
}

impl Instead {
    /// The same for a script, where nobody chooses.
    pub fn for_script(self, done: &'static str) -> Self {
        if self == Self::Yield { self } else { Self::End(done) }
    }
}

impl Session {
    /// Why nothing is done any more, as we cannot be who we were to be.
    pub fn undone(&self) -> Option<&str> {
        self.undone.as_deref()
    }

    /// What proves that a name is ours is this now, or cannot be read for this reason.
    pub fn prove_by(&mut self, read: Result<(Nick, Token), String>) {
        match read {
            Ok((nick, token)) => self.logins.renew(nick, token),
            Err(why) => self.note(why),
        }
    }

    /// Whether nothing is done under any other name than the one that is wanted.
    pub(super) fn insists(&self) -> bool {
        matches!(self.instead, Instead::End(_)) && self.wanted.is_some_and(|nick| !nick.is_guest())
    }

    /// Whether we are to be somebody else than whom the server has made us.
    pub(super) fn is_no_more(&self, nick: Nick) -> bool {
        self.insists() && self.wanted.is_some_and(|wanted| !wanted.is_like(&nick))
    }

    /// The name that is wanted was refused.
    pub(super) fn has_no_name(&mut self, code: Code<'_>, text: &str) {
        let Instead::End(done) = self.instead else { return self.has_other_name(code, text) };
        let wanted = self.wanted.map(|nick| nick.to_string()).unwrap_or_default();
        match code {
            // It may be our own dead connection that has it, or is one of too many, and the server gives that up.
            Code::Taken | Code::Busy | Code::TooMany if !self.first => {
                if !std::mem::replace(&mut self.regaining, true) {
                    let why = match code {
                        Code::Taken => format!("{wanted} is somebody else now"),
                        _ => text.to_owned(),
                    };
                    let seconds = LIMBO.as_secs();
                    self.note(format!(
                        "{why}; nothing more is {done} before you are {wanted} again, for {seconds} seconds at most"
                    ));
                }
            }
            Code::Owned => self.end_without_name(&format!(
                "{wanted} belongs to somebody, and a program is them by a good token alone: --token-file FILE"
            )),
            _ => self.end_without_name(text),
        }
    }

    /// The server has given us another name than the one that is wanted.
    fn has_other_name(&mut self, code: Code<'_>, text: &str) {
        self.wanted = self.nick;
        let nick = self.nick.map(|nick| format!("; you are {nick} now")).unwrap_or_default();
        let text = format!("{text}{nick}");
        if self.instead == Instead::Yield && matches!(code, Code::Taken | Code::Owned | Code::Held) {
            self.note(text)
        } else {
            self.refuse(text)
        }
        self.settled();
    }

    /// Time has passed, and a name that somebody else has is waited for only so long.
    pub(super) fn give_name_time(&mut self, now: Instant) {
        if let Some(nick) = self.wanted.filter(|_| self.insists() && self.regaining && !self.is_early(now)) {
            self.end_without_name(&format!("{nick} was not free again within {} seconds", LIMBO.as_secs()));
        }
    }

    /// We cannot be who we were to be, for this reason, so nothing is done any more.
    pub(super) fn end_without_name(&mut self, why: &str) {
        let Instead::End(done) = self.instead else { return };
        let more = if self.first { "was" } else { "more is" };
        std::mem::take(&mut self.limbo).into_iter().for_each(|message| self.report(message));
        self.undone.get_or_insert(format!("{why}; so nothing {more} {done}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::model::session::tests::{answer, hear, sent, shown};
    use crate::client::model::session::{AGAIN, Wish};
    use crate::names::RoomName;

    const TAKEN: &str = "! nick taken alice is somebody else; choose another name";
    const TOKEN: Token = Token([0; 32]);

    /// A script that says something in #a as alice alone, on its first connection before its name is answered, or on one after a loss for
    /// which it has these tokens.
    fn script(tokens: Vec<(Nick, Token)>, is_first: bool) -> Session {
        let (nick, rooms) = (Nick::new("alice").ok(), vec![RoomName::new("#a").unwrap()]);
        let instead = Instead::default().for_script("said");
        let mut session = Session::new(Wish { nick, rooms, instead, ..Wish::default() });
        let greeting = ["* hello guest1 x 2 online", "+ who 1 2", "+ set whole on", "+ set echo on", "+ set stamp on"];
        session.connected();
        hear(&mut session, &greeting[..1]);
        if !is_first {
            while !session.is_online() || !session.asked.is_empty() {
                answer(&mut session);
            }
            session.lost("gone");
            shown(&mut session);
            tokens.into_iter().for_each(|read| session.prove_by(Ok(read)));
            session.connected();
            hear(&mut session, &greeting[..1]);
        }
        hear(&mut session, &greeting[1..]);
        sent(&mut session);
        session
    }

    #[test]
    fn a_script_does_nothing_under_another_name() {
        for (answers, is_first, want) in [
            (&[TAKEN][..], true, "alice is somebody else; choose another name; so nothing was said"),
            (&["! nick held alice is held"], false, "alice is held; so nothing more is said"),
            (
                &["! nick owned alice belongs to somebody; if that is you: /login alice PASSWORD"],
                false,
                "alice belongs to somebody, and a program is them by a good token alone: --token-file FILE; so nothing more is said",
            ),
            (
                &["+ nick alice", "* nick guest7 alice was given up; an operator took it from its owner."],
                false,
                "alice was given up; an operator took it from its owner; so nothing more is said",
            ),
        ] {
            let mut session = script(Vec::new(), is_first);
            session.meant("/msg #a hi", Instant::now());
            hear(&mut session, answers);
            assert_eq!(session.undone(), Some(want));
            answer(&mut session);
            assert!(!session.is_online() && session.unsent().next().is_some(), "{want}");
        }
    }

    #[test]
    fn a_script_that_has_lost_its_name_waits_for_it_and_not_for_ever() {
        for (tokens, refused, name) in [
            (Vec::new(), TAKEN, "/nick alice"),
            (vec![(Nick::new("alice").unwrap(), TOKEN)], "! login too-many you are here 8 times", "/login alice "),
        ] {
            let (mut session, now, second) = (script(tokens, false), Instant::now(), Duration::from_secs(1));
            session.meant("/msg #a hi", now);
            for (line, at) in [(refused, AGAIN), (refused, LIMBO - AGAIN), ("", LIMBO - second)] {
                hear(&mut session, &[line]);
                session.tick(now + at);
                let asked = sent(&mut session);
                assert!(line.is_empty() || asked.len() == 1 && asked[0].starts_with(name), "{asked:?}");
                assert_eq!((session.is_online(), session.undone()), (false, None));
            }
            assert_eq!(shown(&mut session).len(), 1, "it is told once");
            session.tick(now + LIMBO + second);
            let want = "alice was not free again within 95 seconds; so nothing more is said";
            assert_eq!(session.undone(), Some(want));
        }
        let mut session = script(Vec::new(), false);
        session.meant("/msg #a hi", Instant::now());
        hear(&mut session, &[TAKEN, "* presence 9 -alice", "+ nick alice"]);
        assert_eq!(sent(&mut session)[0], "/nick alice");
        hear(&mut session, &["+ join #a 1", "+ query #a", "+ op #a 0", "+ history #a 0", "+ ping restored"]);
        assert!(sent(&mut session).contains(&"/msg #a hi".to_owned()));
    }
}
