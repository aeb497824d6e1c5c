//! Secrets that a command needs and that the person is asked for, and what may be one though none is asked for.

use std::time::Instant;

use super::typed::{is_quit, name};
use super::{Asked, Message, Pending, Session, Waiting, cut};
use crate::client::model::news::Taken;
use crate::commands;
use crate::limits::PASSWORD;
use crate::names::{Nick, Place, RoomName, clean};
use crate::text::counted;
use crate::wire::{ClientLine, Code, Command, Proof};

/// A secret that a command needs, and that the person is asked for.
#[derive(Debug)]
pub(super) enum Secret {
    /// The password that they have, for `/passwd`.
    Old,
    /// The one that they will have, for the command `of`, typed once and then once more.
    New { of: &'static str, old: Option<String>, first: Option<String> },
    /// The password that they have, for `/drop`.
    Drop,
}

/// Why what is typed next may be a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wary {
    /// The one of this name was asked for, and left untold.
    Untold(Nick),
    /// The one for this command was.
    Undone(&'static str),
    /// This command that takes one has no answer yet: who expects to be asked for it types on.
    Unanswered(&'static str),
    /// None was asked for, as none is needed: who expects to be asked for it types it all the same.
    Needless,
    /// This command was refused that takes one: who expects to be asked for it then types it, so often.
    Refused(&'static str, usize),
}

impl Session {
    /// What secret the person is being asked for, in words. The next line that they type is that.
    pub fn asks_secret(&self) -> Option<String> {
        match &self.logins.secret {
            None => {
                let of_server = || self.asks_pass().then(|| "password of the server".to_owned());
                self.logins.asking.map(|nick| format!("password of {nick}")).or_else(of_server)
            }
            Some(Secret::Old | Secret::Drop) => Some("your password".to_owned()),
            Some(Secret::New { first: None, .. }) => Some("new password".to_owned()),
            Some(Secret::New { first: Some(_), .. }) => Some("new password once more".to_owned()),
        }
    }

    /// Whether somebody is there who can be asked for a secret now.
    pub(super) fn may_ask_secret(&self) -> bool {
        self.logins.person && self.is_in()
    }

    /// Whether somebody is there who can be asked for one before the server lets them in.
    pub(super) fn may_ask_entry(&self) -> bool {
        self.logins.person && self.locked().is_some()
    }

    /// Asks for what this command needs, which has come without it.
    pub(super) fn ask_for_secret(&mut self, command: &'static str) -> Taken {
        let is_owner = self.logins.owner.is_some();
        if is_owner == (command == "register") {
            let count = match command {
                "passwd" => 3,
                "register" => 2,
                _ => 1,
            };
            self.logins.wary = Some(Wary::Refused(command, count));
        }
        match (command, is_owner) {
            // A guest gets no token. But how that is refused tells whether a password may be sent, before anybody types one.
            ("register", false) => self.ask(Command::Token, Pending::MaySend),
            ("register", true) => {
                return Taken::No("your name is yours already; /passwd changes its password".to_owned());
            }
            (_, false) => {
                return Taken::No(format!("/{command} is for who owns a name; /register makes yours your own"));
            }
            ("passwd", true) if self.lacks_password() => {
                self.await_secret(Secret::New { of: "passwd", old: None, first: None });
            }
            ("passwd", true) => self.await_secret(Secret::Old),
            (_, true) if self.lacks_password() => {
                return Taken::No(
                    "your name has no password yet, by which it is given up; /passwd gives it one".to_owned(),
                );
            }
            (_, true) => self.await_secret(Secret::Drop),
        }
        Taken::Yes
    }

    /// Whether what follows this command for a secret is not what it takes. Then the person is told the form without the secret, which they
    /// may type next all the same.
    pub(super) fn misses_the_form(&mut self, command: &'static str, rest: &str) -> bool {
        let words = rest.split_whitespace().count();
        let is_wrong = match command {
            "login" => words == 0 || words > 2,
            "passwd" => words > 2,
            _ => words > 1,
        };
        let is_told = is_wrong && self.logins.person;
        if is_told {
            self.logins.wary = Some(Wary::Refused(command, 1));
        }
        is_told
    }

    /// What the server says, for somebody who is asked for passwords: they need not type one where it can be seen.
    pub(super) fn without_form(&self, text: &str) -> String {
        match self.logins.person {
            true => text
                .replace(" PASSWORD", "")
                .replace(": /passwd OLD NEW", "; /passwd alone asks for both")
                .replace("/passwd OLD NEW", "/passwd"),
            false => text.to_owned(),
        }
    }

    /// Notes of which name a notice of the server's says that it has no password.
    pub(super) fn notes_password(&mut self, text: &str) {
        let nick = text.split_once(" has no password").and_then(|(nick, _)| Nick::new(nick).ok());
        self.logins.without_password = nick.or(self.logins.without_password);
    }

    /// Whether the name that we own has no password, as far as we know.
    pub(super) fn lacks_password(&self) -> bool {
        self.logins.owner.is_some() && self.logins.owner == self.logins.without_password
    }

    /// Has the person asked for a secret.
    pub(super) fn await_secret(&mut self, secret: Secret) {
        self.note(match &secret {
            Secret::Old => "type your password, which is not shown; Enter alone if your name has none yet".to_owned(),
            Secret::New { first: None, .. } => {
                format!(
                    "type the new password, one word of at least {} characters, which is not shown; Enter alone leaves all as it is",
                    PASSWORD.start()
                )
            }
            Secret::New { first: Some(_), .. } => "type the new password once more".to_owned(),
            Secret::Drop => format!(
                "type your password to give your name up, which is not shown; {}, and for 30 days nobody can have the name; Enter alone \
                 leaves all as it is",
                self.costs_of_drop()
            ),
        });
        self.logins.secret = Some(secret);
    }

    /// What goes with our name, as far as we know.
    fn costs_of_drop(&self) -> String {
        let rank = |room: RoomName| Some((self.talks.ranks(Place::Room(room))?.of(self.nick?)?, room));
        let ranks: Vec<_> =
            self.talks.rooms().filter_map(rank).map(|(rank, room)| format!("{} of {room}", rank.as_str())).collect();
        match &ranks[..] {
            [] => "what belongs to it goes with it, ranks in rooms say".to_owned(),
            ranks => format!("with it you are no more {}", ranks.join(", ")),
        }
    }

    /// The person wants to be asked no more.
    pub fn leave_untold(&mut self, now: Instant) {
        if matches!(self.logins.secret, Some(Secret::Old)) {
            // There an empty line is an answer.
            self.logins.secret = None;
            self.logins.wary = Some(Wary::Undone("passwd"));
            self.note("/passwd is not done".to_owned());
        } else {
            self.typed("", now);
        }
        if self.logins.asking.is_none() && self.asks_pass() {
            self.note("what you typed is cleared; type the password of the server, or /quit leaves".to_owned());
        }
    }

    /// Takes what the person typed as the secret that a command needs, if they were asked for one.
    pub(super) fn take_secret(&mut self, line: &str) -> Option<Taken> {
        let secret = self.logins.secret.take()?;
        let line = clean(line.as_bytes());
        let word = line.trim();
        let command = match &secret {
            Secret::Old => "passwd",
            Secret::New { of, .. } => of,
            Secret::Drop => "drop",
        };
        let is_command = matches!(ClientLine::parse(cut(word).0), ClientLine::Command { name, .. } if commands::find(name).is_some());
        let refused = if is_command || word.is_empty() && !matches!(secret, Secret::Old) {
            if is_quit(word) {
                // Plain text leaves so at Ctrl-C, where nobody has typed it.
                self.note(format!("/{command} is not done"));
                return None;
            }
            if is_command {
                self.note(format!("/{command} is not done, as {} was typed in place of the password", cut(word).0));
                return None;
            }
            self.logins.wary = Some(Wary::Undone(command));
            self.note(format!("/{command} is not done"));
            return Some(Taken::Yes);
        } else if !self.is_in() && self.locked().is_none() {
            Some("there is no connection; type the password again when there is".to_owned())
        } else if word.contains(' ') {
            Some("a password is one word; type it again".to_owned())
        } else if matches!(secret, Secret::New { first: None, .. }) && !PASSWORD.contains(&word.len()) {
            Some(format!("a password has {} to {} bytes; type another one", PASSWORD.start(), PASSWORD.end()))
        } else {
            None
        };
        if let Some(why) = refused {
            self.logins.secret = Some(secret);
            return Some(Taken::No(why));
        }
        let done = |session: &mut Self, line: String| session.ask(line, Pending::Typed(format!("/{command}")));
        match secret {
            Secret::Old if word.is_empty() => self.await_secret(Secret::New { of: "passwd", old: None, first: None }),
            // To log in as whom we are changes nothing, and tells whether it is the right one before another is thought of.
            Secret::Old => {
                let owner = self.logins.owner.or(self.nick);
                let login = owner.map(|nick| Command::Login(nick, Proof::Password(word)));
                login.into_iter().for_each(|login| self.ask(login, Pending::Old(word.to_owned())));
            }
            Secret::New { of, old, first: None } => {
                self.await_secret(Secret::New { of, old, first: Some(word.to_owned()) });
            }
            Secret::New { of, old, first: Some(first) } if first != word => {
                self.refuse("these two are not the same".to_owned());
                self.await_secret(Secret::New { of, old, first: None });
            }
            Secret::New { of, old, .. } => {
                let old = old.map(|old| format!("{old} ")).unwrap_or_default();
                done(self, format!("/{of} {old}{word}"));
            }
            Secret::Drop => done(self, format!("/drop {word}")),
        }
        Some(Taken::Yes)
    }

    /// Whether what is typed next may be a password, though none is asked for any more.
    pub fn is_wary(&self) -> bool {
        let is_nick = |waiting: &Waiting| matches!(waiting, Waiting::Command(line) if name(line) == "nick");
        let is_coming = self.logins.person && self.first && self.nick != self.wanted;
        let is_asking = is_coming || self.is_pending(&["nick"]) || self.waiting.iter().any(is_nick);
        self.logins.wary.is_some() || self.unanswered_secret().is_some() || is_asking
    }

    /// What waits and is one word is not said: who expects that a name asks them for its password types on, and may have typed that.
    pub(super) fn drop_words(&mut self) {
        let before = self.waiting.len();
        let is_person = self.logins.person;
        self.waiting.retain(|waiting| match waiting {
            // What was sent before is none.
            Waiting::Message(Message { text, from: None, .. }) | Waiting::Text(text) => {
                !is_person || text.trim().contains(char::is_whitespace)
            }
            _ => true,
        });
        let count = before - self.waiting.len();
        if count > 0 {
            let what = counted(count as u64, "line");
            self.refuse(format!("not said, as it may be the password: {what} of one word"));
        }
    }

    /// What was asked for with this was refused, and a password may come after it.
    pub(super) fn grow_wary(&mut self, pending: &Pending, code: Code<'_>) {
        // So a guest is told that a password may be sent.
        let is_question = matches!(pending, Pending::MaySend | Pending::Probe(..)) && code == Code::NoAccount;
        // Whoever has typed on expects to be asked for nothing.
        let is_typed =
            |asked: &Asked| matches!(asked.pending, Pending::Typed(_) | Pending::Said | Pending::Password(_));
        let is_last = self.waiting.is_empty() && !self.asked.iter().any(is_typed);
        if self.logins.person
            && is_last
            && !is_question
            && let Some(command) = takes_secret(pending)
        {
            // Who chooses one types it twice.
            let count = if matches!(pending, Pending::MaySend) { 2 } else { 1 };
            self.logins.wary = Some(Wary::Refused(command, count));
        }
    }

    /// The command that was typed last, if it takes a secret and has no answer yet.
    fn unanswered_secret(&self) -> Option<&'static str> {
        let is_typed = |asked: &&Asked| {
            matches!(asked.pending, Pending::Typed(_) | Pending::Said) || takes_secret(&asked.pending).is_some()
        };
        let last = match self.waiting.back() {
            Some(Waiting::Command(line)) => secret_of(line),
            Some(_) => None,
            None => self.asked.iter().rev().find(is_typed).and_then(|asked| takes_secret(&asked.pending)),
        };
        last.filter(|_| self.logins.person)
    }

    /// Why this line may be a password that is about to be said. It is asked once, but while a command has no answer each time: who
    /// expects to be asked twice types it twice. A command shows that the person knows where they are, and so do several words after a
    /// refusal.
    pub(super) fn may_be_password(&mut self, line: &str) -> Option<Wary> {
        if line.trim().is_empty() {
            return None;
        }
        let is_one_word = !line.trim().contains(char::is_whitespace);
        let unanswered = || self.unanswered_secret().map(Wary::Unanswered);
        let wary = self.logins.wary.or_else(unanswered);
        let wary = wary
            .filter(|wary| name(line).is_empty() && (is_one_word || matches!(wary, Wary::Untold(_) | Wary::Undone(_))));
        self.logins.wary = match wary {
            Some(Wary::Refused(command, count)) if count > 1 => Some(Wary::Refused(command, count - 1)),
            _ => None,
        };
        wary
    }
}

/// The command of this line, if it takes a secret.
fn secret_of(line: &str) -> Option<&'static str> {
    Some(name(line)).filter(|name| ["register", "login", "passwd", "drop", "pass", "token"].contains(name))
}

/// The command with a secret that this is for.
fn takes_secret(pending: &Pending) -> Option<&'static str> {
    match pending {
        Pending::Typed(line) => secret_of(line),
        Pending::MaySend => Some("register"),
        Pending::Old(_) => Some("passwd"),
        Pending::Probe(..) | Pending::Login(_, None) => Some("login"),
        Pending::Password(_) => Some("pass"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::news::News;
    use crate::client::model::session::Wish;
    use crate::client::model::session::login::tests::{asked, greeted};
    use crate::client::model::session::tests::{hear, online, sent, shown, shown_in_all};

    #[test]
    fn who_has_no_password_is_warned_before_the_tokens_end() {
        let mut session = greeted(Vec::new(), true);
        hear(&mut session, &["+ nick alice", "+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a"]);
        hear(&mut session, &["+ ping restored"]);
        let now = Instant::now();
        session.typed(&format!("/login alice token:{}", "A".repeat(43)), now);
        shown(&mut session);
        hear(&mut session, &["+ login alice", "+ join #a 1", "+ query #a", &format!("+ token {}", "A".repeat(43))]);
        hear(
            &mut session,
            &["* notice alice has no password yet; /passwd PASSWORD gives it one", "+ account alice owned"],
        );
        let told = format!("{:?}", shown(&mut session));
        assert!(told.contains("alice has no password yet; /passwd gives it one"), "{told}");
        asked(&mut session);
        assert!(matches!(session.typed("/token off", now), Taken::No(why) if why.contains("nobody can log in by it")));
        assert!(matches!(session.typed("/drop", now), Taken::No(why) if why.contains("/passwd gives it one")));
        assert!(asked(&mut session).is_empty());
        shown(&mut session);
        session.typed("/account", now);
        hear(&mut session, &["+ op #a 0", "+ history #a 0", "+ account alice owned"]);
        let account = "alice belongs to you; it has no password yet, and /passwd gives it one";
        assert!(shown(&mut session).contains(&News::Done(account.to_owned())));
        // Who means it types it twice, and who gives it a password is warned no more.
        asked(&mut session);
        session.typed("/token off", now);
        session.typed("/token off", now);
        assert_eq!(asked(&mut session), ["/token off"]);
        hear(&mut session, &["+ token off"]);
        for line in ["/passwd", "correct-horse", "correct-horse"] {
            session.typed(line, now);
        }
        assert_eq!(asked(&mut session), ["/passwd correct-horse"], "there is no old one to be asked for");
        hear(&mut session, &["+ passwd", &format!("+ token {}", "A".repeat(43))]);
        session.typed("/token off", now);
        assert!(asked(&mut session).contains(&"/token off".to_owned()));
    }

    #[test]
    fn one_word_after_a_refused_command_for_a_password_is_not_said_at_once() {
        for (line, replies, command) in [
            ("/register", &["! token insecure x"][..], "/register"),
            ("/register secret", &["! register insecure x"], "/register"),
            ("/login bob secret", &["! login insecure x"], "/login"),
            ("/login", &["! login usage x"], "/login"),
            ("/login bob", &["! token insecure x"], "/login"),
            ("/passwd", &[], "/passwd"),
            ("/passwd a b", &["! passwd insecure x"], "/passwd"),
            ("/drop secret", &["! drop insecure x"], "/drop"),
            ("/token", &["! token no-account x"], "/token"),
            ("/pass secret", &["! pass refused x"], "/pass"),
        ] {
            for (said, is_said) in [("correct-horse", false), ("what is that", true)] {
                let mut session = greeted(Vec::new(), true);
                hear(&mut session, &["+ nick alice", "+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a"]);
                hear(&mut session, &["+ ping restored"]);
                asked(&mut session);
                session.typed(line, Instant::now());
                asked(&mut session);
                hear(&mut session, replies);
                assert!(session.is_wary(), "{line}");
                match session.typed(said, Instant::now()) {
                    Taken::No(why) => {
                        assert!(!is_said && why.starts_with(&format!("{command} was refused, ")), "{line}: {why}");
                        // Who expects to be asked for it three times types it three times.
                        let count = [("/register", 2), ("/passwd", 3)].iter().find(|(command, _)| *command == line);
                        for _ in 1..count.map_or(1, |(_, count)| *count) {
                            let taken = session.typed(said, Instant::now());
                            assert!(matches!(taken, Taken::No(_)), "{line}");
                        }
                        assert!(asked(&mut session).is_empty());
                        session.typed(said, Instant::now());
                    }
                    taken => assert!(taken == Taken::Yes && is_said, "{line}"),
                }
                // Who means it types it once more.
                assert_eq!(asked(&mut session).last(), Some(&format!("/msg #a {said}")), "{line}");
                assert!(!session.is_wary(), "{line}");
            }
        }
    }

    #[test]
    fn what_is_typed_after_a_password_that_was_left_untold_is_not_said_at_once() {
        let now = Instant::now();
        for (line, is_owner) in [("/register", false), ("/passwd", true), ("/drop", true)] {
            for is_interrupted in [false, true] {
                let mut session = greeted(Vec::new(), true);
                hear(&mut session, &["+ nick alice", "+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a"]);
                hear(&mut session, &["+ ping restored"]);
                if is_owner {
                    session.typed("/login alice correct-horse", now);
                    hear(&mut session, &["- in #a 0", "+ login alice", &format!("+ token {}", "A".repeat(43))]);
                }
                asked(&mut session);
                session.typed(line, now);
                hear(&mut session, if is_owner { &[] } else { &["! token no-account x"] });
                asked(&mut session);
                // Where the old password comes first, an empty line says that there is none.
                while session.asks_secret().is_some() {
                    if is_interrupted { session.leave_untold(now) } else { drop(session.typed("", now)) }
                }
                assert!(session.is_wary(), "{line}");
                let why =
                    format!("{line} is not done, and this would be said to #a; type it once more if you mean that");
                assert_eq!(session.typed("probewort88", now), Taken::No(why), "{line}");
                assert!(asked(&mut session).is_empty());
                session.typed("probewort88", now);
                assert_eq!(asked(&mut session), ["/msg #a probewort88"], "{line}");
            }
        }
    }

    #[test]
    fn one_word_is_not_said_while_a_command_for_a_password_has_no_answer() {
        for (line, sent) in [
            ("/register", "/token"),
            ("/register secret", "/register secret"),
            ("/login bob secret", "/login bob secret"),
            ("/passwd a b", "/passwd a b"),
            ("/pass secret", "/pass secret"),
        ] {
            let mut session = greeted(Vec::new(), true);
            hear(&mut session, &["+ nick alice", "+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a"]);
            hear(&mut session, &["+ ping restored"]);
            asked(&mut session);
            let now = Instant::now();
            session.typed(line, now);
            assert_eq!(asked(&mut session), [sent], "{line}");
            let is_doubted = |session: &mut Session, why: &str| {
                assert!(session.is_wary(), "{line}");
                matches!(session.typed("correct-horse", now), Taken::No(told) if told.contains(why))
            };
            // Who expects to be asked for it twice types it twice.
            for _ in 0..3 {
                let why = " has no answer yet, so this is not said to #a: it may be the password; wait for the answer";
                assert!(is_doubted(&mut session, why), "{line}");
            }
            // Who thinks by then that it is asked for types it again, and so once more who chooses it.
            hear(&mut session, &[&format!("! {} insecure x", cut(&sent[1..]).0)]);
            if line == "/register" {
                assert!(is_doubted(&mut session, " was refused, so this is not said to #a"));
            }
            assert!(is_doubted(&mut session, " was refused, and this would be said to #a"), "{line}");
            assert_eq!(asked(&mut session), [""; 0], "{line}");
            session.typed("correct-horse", now);
            assert_eq!(asked(&mut session), ["/msg #a correct-horse"], "{line}");
        }
        // Several words are none, and after them one word is not either.
        let mut session = online(&["#a"]);
        session.logins.person = true;
        for line in ["/register secret", "what is that", "hello"] {
            assert_eq!(session.typed(line, Instant::now()), Taken::Yes, "{line}");
        }
    }

    #[test]
    fn one_word_behind_a_name_is_said_only_if_the_name_was_free() {
        let now = Instant::now();
        let own = "+ nick alice";
        for (line, reply, is_said) in [
            ("/nick bob", "+ nick bob", true),
            ("/nick bob", "! nick owned bob belongs to somebody", false),
            ("/nick bob", "! nick taken bob is somebody else", false),
            ("/nick alice", own, false),
            ("/nick bob", "", false),
        ] {
            let mut session = online(&["#a"]);
            session.logins.person = true;
            for line in [line, "correct-horse", "what is that", "/msg #a correct-horse"] {
                assert_eq!(session.typed(line, now), Taken::Yes, "{line}");
            }
            assert!(session.is_wary(), "it is not to be written down");
            assert_eq!(asked(&mut session), [line]);
            shown(&mut session);
            match reply {
                "" => session.lost("gone"),
                reply => hear(&mut session, &[reply]),
            }
            let news = shown(&mut session);
            let why = News::Refused("not said, as it may be the password: 2 lines of one word".to_owned());
            assert_eq!(news.contains(&why), !is_said, "{reply}: {news:?}");
            let mut lines = asked(&mut session);
            lines.extend(session.unsent().map(|line| format!("/msg {line}")));
            assert_eq!(lines.iter().any(|line| line.contains("horse")), is_said, "{reply}: {lines:?}");
            assert!(lines.contains(&"/msg #a what is that".to_owned()), "{reply}: {lines:?}");
            // Whose name it is need not prove it.
            let why = "no password is needed, and this would be said to #a; type it once more if you mean that";
            let is_needless = session.typed("correct-horse", now) == Taken::No(why.to_owned());
            assert_eq!(is_needless, reply == own, "{reply}");
        }
        // A script is asked for nothing.
        let mut session = online(&["#a"]);
        for line in ["/nick bob", "hello"] {
            session.typed(line, now);
        }
        hear(&mut session, &["! nick owned bob belongs to somebody"]);
        assert!(sent(&mut session).contains(&"/msg #a hello".to_owned()));
    }

    #[test]
    fn one_word_that_was_typed_before_a_password_is_asked_for_is_not_said() {
        let now = Instant::now();
        let owned = ["* hello guest1 x 1 online", "! nick owned alice belongs to somebody", "! token no-account x"];
        // The first time, and after a loss in which the name has become somebody's; the server's own password, too.
        for (is_first, lines) in
            [(true, &owned[..]), (false, &owned[..]), (true, &["* locked chinwag/0.2.0 send /pass PASSWORD"])]
        {
            let nick = Nick::new("alice").ok();
            let rooms = vec![RoomName::new("#a").unwrap()];
            let mut session = Session::new(Wish { nick, rooms, person: true, ..Wish::default() });
            if !is_first {
                session = online(&["#a"]);
                session.logins.person = true;
                session.lost("gone");
            }
            for line in ["correct-horse", "what is that"] {
                assert_eq!(session.typed(line, now), Taken::Yes, "{line}");
            }
            assert_eq!(session.is_wary(), is_first, "it is not to be written down");
            session.connected();
            hear(&mut session, &lines[..1]);
            asked(&mut session);
            let settings = ["+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"];
            hear(&mut session, if lines.len() > 1 { &settings } else { &[] });
            for line in &lines[1..] {
                hear(&mut session, &[line]);
                if !is_first && line.starts_with("! nick") {
                    hear(&mut session, &["+ join #a 1", "+ query #a", "+ files 0", "+ ping restored"]);
                }
            }
            assert!(session.asks_secret().is_some(), "{lines:?}");
            let news = shown_in_all(&mut session);
            let why = News::Refused("not said, as it may be the password: 1 line of one word".to_owned());
            assert!(news.contains(&why), "{news:?}");
            let mut said: Vec<_> = session.unsent().collect();
            said.extend(
                asked(&mut session).into_iter().filter_map(|line| line.strip_prefix("/msg ").map(str::to_owned)),
            );
            assert_eq!(said, ["#a what is that"], "{lines:?}");
        }
    }

    #[test]
    fn a_secret_that_is_left_out_is_asked_for() {
        let nick = Nick::new("alice").unwrap();
        let mut session = Session::new(Wish { nick: Some(nick), person: true, ..Wish::default() });
        let coming = ["* hello guest1 x 1 online", "+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"];
        session.connected();
        hear(&mut session, &coming);
        hear(&mut session, &["+ nick alice", "+ ping restored"]);
        shown(&mut session);
        sent(&mut session);
        let say = |session: &mut Session, line: &str| {
            session.typed(line, Instant::now());
            sent(session)
        };
        // Whether it may be sent at all is found out first.
        assert_eq!(say(&mut session, "/register"), ["/token"]);
        hear(&mut session, &["! token insecure this connection is not encrypted; ask"]);
        assert_eq!(shown(&mut session), [News::Refused("/register: this connection is not encrypted; ask".to_owned())]);
        assert!(say(&mut session, "/register") == ["/token"]);
        hear(&mut session, &["! token no-account guests have no name of their own"]);
        assert!(say(&mut session, "correct-horse").is_empty() && say(&mut session, "correct-hores").is_empty());
        assert!(say(&mut session, "correct-horse").is_empty(), "they differ, so both are asked for again");
        assert_eq!(say(&mut session, "correct-horse"), ["/register correct-horse"]);
        hear(&mut session, &["+ register alice"]);
        hear(&mut session, &[&format!("+ token {}", "A".repeat(43))]);
        sent(&mut session);
        // An owner has proved already that secrets may be sent.
        assert!(say(&mut session, "/passwd").is_empty());
        assert_eq!(say(&mut session, "wrong-horse"), ["/login alice wrong-horse"]);
        hear(&mut session, &["! login refused that is not the password"]);
        assert_eq!(session.asks_secret().as_deref(), Some("your password"), "no new one is asked for before");
        assert_eq!(say(&mut session, "correct-horse"), ["/login alice correct-horse"]);
        hear(&mut session, &["- in #a 7", "+ login alice"]);
        assert!(say(&mut session, "short").is_empty());
        assert_eq!(
            session.asks_secret().as_deref(),
            Some("new password"),
            "it is not asked for twice before it is told"
        );
        assert!(say(&mut session, "other-horse").is_empty());
        assert_eq!(say(&mut session, "other-horse"), ["/passwd correct-horse other-horse"]);
        hear(&mut session, &["+ passwd"]);
        hear(&mut session, &[&format!("+ token {}", "A".repeat(43))]);
        sent(&mut session);
        // Who has a name by a token that an operator gave has no old one.
        assert!(say(&mut session, "/passwd").is_empty() && say(&mut session, "").is_empty());
        assert!(say(&mut session, "third-horse").is_empty());
        assert_eq!(say(&mut session, "third-horse"), ["/passwd third-horse"]);
        hear(&mut session, &["! passwd refused the old password comes first: /passwd OLD NEW"]);
        let why = "/passwd: the old password comes first; /passwd alone asks for both".to_owned();
        assert_eq!(shown(&mut session).pop(), Some(News::Refused(why)));
        // Enter alone, or another command, gives it up.
        assert!(say(&mut session, "/drop").is_empty() && say(&mut session, "").is_empty());
        assert_eq!(shown(&mut session).pop(), Some(News::Note("/drop is not done".to_owned())));
        // What it costs is told before it is too late.
        for (rank, cost) in [
            (
                &[][..],
                "; what belongs to it goes with it, ranks in rooms say, and for 30 days nobody can have the name; ",
            ),
            (&["#a * bob made alice founder"], "; with it you are no more founder of #a, and for 30 days nobody can "),
        ] {
            if !rank.is_empty() {
                session.typed("/join #a", Instant::now());
                hear(&mut session, &["+ join #a 2", "+ op #a 0", "+ history #a 0"]);
                hear(&mut session, rank);
                sent(&mut session);
                shown(&mut session);
            }
            assert!(say(&mut session, "/drop").is_empty());
            let told = shown(&mut session);
            assert!(matches!(&told[..], [News::Note(text)] if text.contains(cost)), "{told:?}");
            assert!(say(&mut session, "").is_empty());
            shown(&mut session);
        }
        // Ctrl-C leaves each question, also that for the old password, where an empty line is an answer.
        for line in ["/passwd", "/drop"] {
            assert!(say(&mut session, line).is_empty());
            session.leave_untold(Instant::now());
            assert_eq!((session.asks_secret(), sent(&mut session)), (None, Vec::new()));
            assert_eq!(shown(&mut session).pop(), Some(News::Note(format!("{line} is not done"))));
        }
        assert!(say(&mut session, "/drop").is_empty());
        shown(&mut session);
        assert_eq!(say(&mut session, "/who"), ["/who"]);
        let why = "/drop is not done, as /who was typed in place of the password";
        assert_eq!(shown(&mut session), [News::Note(why.to_owned())]);
        hear(&mut session, &["+ who 1 1"]);
        assert!(say(&mut session, "/drop").is_empty());
        assert_eq!(say(&mut session, "other-horse"), ["/drop other-horse"]);
        hear(&mut session, &["+ drop guest1"]);
        let told = format!("{:?}", shown(&mut session));
        assert!(!told.contains("horse"), "{told}");
    }
}
