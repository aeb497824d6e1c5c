//! Standing before a locked server: what is known to unlock it is sent, and else the person asked.

use super::{Asked, Pending, Phase, Session};
use crate::client::model::news::Taken;
use crate::names::clean;
use crate::wire::{ClientLine, Command};

impl Session {
    /// The server is locked. What is known to unlock it is sent, and else the person told.
    pub(super) fn ask_entry(&mut self) {
        let token = self.wanted.and_then(|nick| self.logins.token(nick));
        match self.password {
            // Who owns a name is let in by that, also where the password is another one by now.
            _ if token.is_some() => self.ask_name(),
            Some(_) => self.ask_pass(),
            None if self.asks_pass() => {
                self.drop_words();
                self.note("the server is locked: type its password, which is not shown".to_owned());
            }
            None => {
                let how = self.locked.clone().unwrap_or_default();
                let file = if how.contains("/pass") { ", or come with --password-file" } else { "" };
                self.refuse(format!("the server is locked: {how}{file}"));
            }
        }
    }

    /// Tries the password that is known. It is known on only if it is right.
    pub(super) fn ask_pass(&mut self) {
        if let Some(password) = self.password.take() {
            self.ask(Command::Pass(&password.clone()), Pending::Password(password));
        }
    }

    /// Whether somebody is there who is asked for the password of the server: what they type next is that. Without a connection it goes
    /// out on the next one.
    pub(super) fn asks_pass(&self) -> bool {
        let is_out = matches!(self.phase, Phase::Knocking | Phase::Offline);
        let is_locked = is_out && self.locked.as_ref().is_some_and(|how| how.contains("/pass"));
        let opens =
            |asked: &Asked| matches!(asked.pending, Pending::Password(_) | Pending::Login(..) | Pending::Probe(..));
        self.logins.has_person() && is_locked && self.password.is_none() && !self.asked.iter().any(opens)
    }

    /// Takes what the person typed as the password of the server, unless it is a command.
    pub(super) fn take_pass(&mut self, line: &str) -> Option<Taken> {
        let line = clean(line.as_bytes());
        let phrase = line.trim();
        match ClientLine::parse(phrase) {
            ClientLine::Command { .. } => return None,
            _ if phrase.is_empty() => {}
            _ if self.phase == Phase::Offline => self.password = Some(phrase.to_owned()),
            _ => self.ask(Command::Pass(phrase), Pending::Password(phrase.to_owned())),
        }
        Some(Taken::Yes)
    }

    /// The server has let us in by this password.
    pub(super) fn unlocked(&mut self, password: String) {
        (self.password, self.locked) = (Some(password), None);
        self.logins.is_sure();
    }

    /// The server has closed the connection, as nobody typed in time what unlocks it. Whether somebody is there for whom it is waited
    /// until they do: whoever looks a password up, or has gone for a night, is not told of a new connection each minute.
    pub fn doze(&mut self) -> bool {
        self.dozes = self.logins.has_person() && self.locked().is_some() && !self.quitting;
        if self.dozes {
            // There is nothing to be tried again.
            self.phase = Phase::Offline;
            self.lost("");
            let how = if self.asks_pass() { "type it" } else { "press Enter" };
            self.note(format!(
                "no password came in time, so the server closed the connection; {how}, and there is another"
            ));
        }
        self.dozes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::client::model::news::News;
    use crate::client::model::session::Wish;
    use crate::client::model::session::tests::{hear, sent, shown};
    use crate::names::{Nick, Token};

    const LOCKED: &str = "* locked chinwag/0.2.0 send /pass PASSWORD";
    const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn alice() -> Nick {
        Nick::new("alice").unwrap()
    }

    /// What is sent besides what every connection begins with.
    fn asked(session: &mut Session) -> Vec<String> {
        sent(session).into_iter().filter(|line| !line.starts_with("/set ") && line != "/who").collect()
    }

    #[test]
    fn whoever_stands_before_a_locked_server_is_asked_for_what_opens_it() {
        let before = || {
            let mut session = Session::new(Wish { nick: Some(alice()), person: true, ..Wish::default() });
            session.connected();
            hear(&mut session, &[LOCKED]);
            shown(&mut session);
            session
        };
        for (line, replies, secret, word, sent) in [
            (
                "/login alice",
                &["! token locked x"][..],
                "password of alice",
                "correct-horse",
                "/login alice correct-horse",
            ),
            ("/login alice", &["! token insecure x"], "password of the server", "correct-horse", "/pass correct-horse"),
            ("/pass", &[], "password of the server", "correct-horse", "/pass correct-horse"),
            ("/help pass", &["- x", "+ help 1"], "password of the server", "a long password", "/pass a long password"),
            ("", &[], "password of the server", "=1 two", "/pass =1 two"),
        ] {
            let mut session = before();
            assert_eq!(session.typed(line, Instant::now()), Taken::Yes);
            asked(&mut session);
            hear(&mut session, replies);
            assert_eq!(session.asks_secret().as_deref(), Some(secret), "{line}");
            session.typed(word, Instant::now());
            assert_eq!(asked(&mut session), [sent]);
            // There is nothing to be asked for before it is known.
            assert_eq!(session.asks_secret(), None);
        }
        // Who gives the command is understood, too, and who has mistyped it is told so.
        let mut session = before();
        shown(&mut session);
        assert!(matches!(session.typed("/pas a long password", Instant::now()), Taken::No(_)));
        session.typed("/pass a long password", Instant::now());
        assert_eq!((asked(&mut session), shown(&mut session)), (vec!["/pass a long password".to_owned()], Vec::new()));
        // One word that is said afterwards is no password.
        hear(&mut session, &["! pass refused x"]);
        session.typed("correct-horse", Instant::now());
        hear(&mut session, &["+ pass", "* hello alice chinwag/0.2.0 1 online; welcome"]);
        assert!(!session.is_wary() && session.asks_secret().is_none());
        let mut session = before();
        let locked = "the server is locked: send /pass PASSWORD";
        assert_eq!(session.typed("/register", Instant::now()), Taken::No(locked.to_owned()));
        // Who comes in by their own name has been told who they are.
        session.typed("/login alice correct-horse", Instant::now());
        hear(&mut session, &["+ login alice", "* hello alice chinwag/0.2.0 1 online; welcome"]);
        let told = shown(&mut session);
        let is_told = |news: &&News| matches!(news, News::Answer(text) if text.starts_with("you are alice"));
        assert!(told.iter().filter(is_told).count() <= 1, "{told:?}");
    }

    #[test]
    fn whoever_lets_the_password_of_the_server_wait_is_waited_for() {
        for (person, is_asked) in [(true, true), (false, false)] {
            let mut session = Session::new(Wish { person, ..Wish::default() });
            session.connected();
            hear(&mut session, &[LOCKED]);
            shown(&mut session);
            assert_eq!((session.doze(), session.is_dozing()), (is_asked, is_asked));
            if !is_asked {
                continue;
            }
            assert_eq!(shown(&mut session).len(), 1, "it is told once");
            assert_eq!(session.asks_secret().as_deref(), Some("password of the server"));
            // What is typed goes out on the next connection, once.
            session.typed("a long password", Instant::now());
            assert_eq!((session.is_dozing(), asked(&mut session)), (false, Vec::new()));
            session.connected();
            hear(&mut session, &[LOCKED]);
            assert_eq!(asked(&mut session), ["/pass a long password"]);
            hear(&mut session, &["! pass refused x"]);
            assert!(session.doze());
            session.typed("", Instant::now());
            session.connected();
            hear(&mut session, &[LOCKED]);
            assert_eq!((session.is_dozing(), asked(&mut session)), (false, Vec::new()));
        }
    }

    #[test]
    fn a_token_opens_a_locked_server_of_which_the_password_is_another_one_now() {
        let login = format!("/login alice token:{TOKEN}");
        for (reply, next) in [
            ("+ login alice", None),
            ("! login refused x", Some("/pass tea")),
            ("! login insecure x", Some("/pass tea")),
            ("! login too-many x", Some("/pass tea")),
        ] {
            let tokens = vec![(alice(), Token([0; 32]))];
            let password = Some("tea".to_owned());
            let wish = Wish { nick: Some(alice()), tokens, password, person: true, ..Wish::default() };
            let mut session = Session::new(wish);
            session.connected();
            hear(&mut session, &[LOCKED]);
            assert_eq!(asked(&mut session), [login.as_str()]);
            hear(&mut session, &[reply]);
            assert_eq!(asked(&mut session).first().map(String::as_str), next, "{reply}");
        }
    }
}
