//! Being somebody whose name is owned: by a token that was kept, or by a password that the person is asked for.

mod tokens;

use std::collections::VecDeque;

use super::secret::{Secret, Wary};
use super::{Asked, Entry, Pending, Session, cut};
use crate::client::model::news::Taken;
use crate::commands;
use crate::names::{Nick, Place, RoomName, Token, clean};
use crate::wire::{self, ClientLine, Code, Command, Proof};

/// How many rooms a login may find us in.
const ROOMS: usize = 100;

/// What is to become of the tokens that are kept for later runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenChange {
    /// This one proves from now on that the name is ours.
    Keep(Nick, Token),
    /// This one proves nothing any more.
    Forget(Nick, Token),
}

/// What proves that names are ours.
#[derive(Default, Debug)]
pub(super) struct Logins {
    /// What is kept of them.
    tokens: Vec<(Nick, Token)>,
    /// Whose token was given in a file, and what that is called.
    file: Option<(Nick, String)>,
    /// Whether somebody is there who can be asked for a password. For them a token is kept, too.
    pub(super) person: bool,
    /// Whose password the person is being asked for.
    pub(super) asking: Option<Nick>,
    /// What they typed as that password, if it may be a token.
    typed: Option<Token>,
    /// Whether that was one, as an operator gives to who has no password.
    pub(super) is_invited: bool,
    /// What else they are being asked for.
    pub(super) secret: Option<Secret>,
    /// Why what the person types next may be a password, though none is asked for.
    pub(super) wary: Option<Wary>,
    /// The name that we own and go by, as it is registered. We may be shown in another spelling.
    pub(super) owner: Option<Nick>,
    /// The name that has no password, as the server told us.
    pub(super) without_password: Option<Nick>,
    /// Whether nothing is restored before it is settled as whom.
    holds: bool,
    /// The rooms in which the last login found us, as its answer told, and that have been entered since then if they were new.
    rooms: Vec<RoomName>,
    found: Vec<RoomName>,
    /// The rooms that let us in as a guest no more, which a login may change, and whether we talked there.
    outside: Vec<(RoomName, bool)>,
    changes: VecDeque<TokenChange>,
    /// Whose token this server has refused on this connection. It may be good on the next one: another server may have answered, one that
    /// was started with another folder say.
    doubted: Option<Nick>,
    /// Whether we owned our name when the last connection was lost.
    pub(super) was_owner: bool,
    /// Of whom it is to be told that a token is kept, once it is, and of whom it was.
    kept: Option<Nick>,
    noted: Option<Nick>,
}

impl Logins {
    pub(super) fn new(tokens: Vec<(Nick, Token)>, file: Option<(Nick, String)>, person: bool) -> Self {
        Self { tokens, file, person, ..Self::default() }
    }

    /// A connection is made or lost, and nobody has proved anything on it.
    pub(super) fn reset(&mut self) {
        (self.owner, self.holds, self.typed, self.doubted) = (None, false, None, None);
        self.rooms.clear();
        self.found.clear();
    }

    /// Whether somebody is there who can be asked for a password.
    pub(super) fn has_person(&self) -> bool {
        self.person
    }

    /// What is typed next is no password, as one has been taken.
    pub(super) fn is_sure(&mut self) {
        self.wary = None;
    }
}

impl Session {
    /// Whose password the person is being asked for. The next line that they type is that.
    #[cfg(test)]
    pub fn asks_login(&self) -> Option<Nick> {
        self.logins.asking
    }
    /// The name that we own and go by, as it is registered.
    pub(super) fn owner(&self) -> Option<Nick> {
        self.logins.owner
    }
    /// Asks for the name that is wanted: with what proves that it is ours, if there is that.
    pub(super) fn ask_name(&mut self) {
        if let Some(nick) = self.wanted.filter(|_| !self.is_naming()) {
            match self.logins.token(nick) {
                Some(token) => self.ask(Command::Login(nick, Proof::Token(token)), Pending::Login(nick, Some(token))),
                // Whoever gives a script a token means the owner, and no guest of that name. How it stands with the name tells what is wrong.
                None if self.is_disproved(nick) => self.ask(format!("/account {nick}"), Pending::Owned(nick)),
                None => self.ask(Command::Nick(nick), Pending::Nick),
            }
        }
    }

    /// Whether rooms are entered only once it is settled as whom: each time by a script that is to be somebody, and else the first time, where
    /// a person may have to be asked, or a token may be good no more.
    pub(super) fn holds_back(&mut self) -> bool {
        let has_token = || self.wanted.is_some_and(|nick| self.logins.token(nick).is_some());
        let is_unsure = self.insists() || self.first && (self.logins.person || has_token());
        self.logins.holds = self.is_naming() && is_unsure;
        self.logins.holds
    }

    /// Whether we are to be the owner of this name alone, and the server has refused what proves that.
    fn is_disproved(&self, nick: Nick) -> bool {
        self.insists() && self.logins.doubted == Some(nick)
    }

    /// Whether it is still open what we are called.
    pub(super) fn is_naming(&self) -> bool {
        let is_naming = |asked: &Asked| match asked.pending {
            Pending::Nick | Pending::Login(..) | Pending::Probe(..) => true,
            Pending::Owned(nick) => self.is_disproved(nick),
            _ => false,
        };
        self.logins.asking.is_some() || self.asked.iter().any(is_naming)
    }

    /// It is settled as whom we are here.
    pub(super) fn settled(&mut self) {
        if std::mem::take(&mut self.logins.holds) {
            self.restore();
        }
    }

    /// A name turned out to be somebody's. Whether the person is there to be asked for the password, should that be they.
    /// `is_known`: that it is somebody's was told by the server, and not said by the person.
    pub(super) fn owned(&mut self, nick: Nick, is_known: bool) -> bool {
        if !self.logins.person {
            return false;
        }
        if let Some(token) = self.logins.token(nick) {
            self.logins.wary = Some(Wary::Needless);
            self.ask(Command::Login(nick, Proof::Token(token)), Pending::Login(nick, Some(token)));
        } else if self.logins.owner.is_some() {
            self.ask_password(nick, is_known);
        } else {
            // A guest gets no token. But how that is refused tells whether a password may be sent, before anybody types one.
            self.ask(Command::Token, Pending::Probe(nick, is_known));
        }
        true
    }

    /// Whether the person is `nick` already, as its owner or as a guest. Then they are told so, as a login would change nothing, and one
    /// word that they type next may be the password all the same.
    pub(super) fn is_own(&mut self, nick: Nick) -> bool {
        let told = match self.logins.owner.filter(|_| self.is_in()) {
            Some(owner) if owner.is_like(&nick) => "; no password is needed",
            // A name that belongs to somebody else could not be a guest's.
            None if self.is_in() && self.nick == Some(nick) => ", a guest; /register makes the name yours",
            _ => return false,
        };
        self.logins.wary = Some(Wary::Needless);
        self.answer(format!("you are {nick} already{told}"));
        true
    }

    pub(super) fn ask_password(&mut self, nick: Nick, is_known: bool) {
        self.logins.asking = Some(nick);
        let other = self.nick.filter(|_| self.is_in()).map(|nick| format!("; Enter alone leaves you {nick}"));
        let other = other.unwrap_or_default();
        self.note(match is_known {
            true => format!("{nick} belongs to somebody: if that is you, type the password, which is not shown{other}"),
            false => format!("type the password of {nick}, which is not shown{other}"),
        });
    }

    /// Takes what the person typed as the password that they were asked for.
    pub(super) fn prove(&mut self, line: &str) -> Option<Taken> {
        if self.logins.secret.is_some() {
            return self.take_secret(line);
        }
        if self.logins.asking.is_none() && self.asks_pass() {
            return self.take_pass(line);
        }
        let nick = self.logins.asking?;
        let line = clean(line.as_bytes());
        let (word, rest) = cut(line.trim());
        match ClientLine::parse(word) {
            // Whoever gives a command wants something else.
            ClientLine::Command { name, .. } if commands::find(name).is_some() => {
                self.stay_guest();
                return None;
            }
            _ if word.is_empty() => {
                self.stay_guest();
                self.logins.wary = Some(Wary::Untold(nick));
                let now = self.nick.map(|nick| format!("you are {nick} now; ")).unwrap_or_default();
                self.note(format!("{now}/login {nick} asks for it again"));
            }
            _ if !self.is_in() && self.locked().is_none() => {
                return Some(Taken::No("there is no connection; type the password again when there is".to_owned()));
            }
            _ if !rest.is_empty() => return Some(Taken::No("a password is one word; type it again".to_owned())),
            _ => {
                (self.logins.asking, self.logins.typed) = (None, wire::token(word));
                self.logins.is_invited = wire::token(word.strip_prefix(wire::TOKEN).unwrap_or(word)).is_some();
                self.ask(Command::Login(nick, Proof::Password(word)), Pending::Login(nick, None));
            }
        }
        Some(Taken::Yes)
    }

    /// The person is not who they were asked to be, or cannot be it now.
    fn stay_guest(&mut self) {
        self.logins.asking = None;
        self.give_name_up();
        self.settled();
    }

    /// Goes by the name that we have.
    pub(super) fn give_name_up(&mut self) {
        (self.wanted, self.regaining) = (self.nick.or(self.wanted), false);
    }

    /// A row of the answer to a login.
    pub(super) fn logged_into(&mut self, room: RoomName) {
        if !self.logins.rooms.contains(&room) && self.logins.rooms.len() < ROOMS {
            self.logins.rooms.push(room);
        }
    }

    /// We are `nick`, and have proved it.
    pub(super) fn logged_in(&mut self, nick: Nick, by_token: bool) {
        let before = self.nick.replace(nick);
        (self.wanted, self.regaining, self.locked) = (Some(nick), false, None);
        (self.logins.asking, self.logins.owner) = (None, Some(nick));
        // By a token one comes in unasked, so the password may be typed behind that.
        self.logins.wary = self.logins.wary.filter(|_| by_token);
        self.logins.found.clear();
        self.trace.found = std::mem::take(&mut self.logins.rooms);
        for room in self.trace.found.clone() {
            if self.talks.room(room).is_none() {
                self.talks.open(Place::Room(room));
                self.enter(room);
                // Whatever is said from now on comes after what was said before.
                self.entered(room, Entry::default());
                self.logins.found.push(room);
            }
        }
        // Where a guest may not be, the owner of a name may.
        for (room, was_target) in std::mem::take(&mut self.logins.outside) {
            self.talks.open(Place::Room(room));
            if was_target && self.talks.target().is_none() {
                self.talks.set_target(Some(Place::Room(room)));
            }
        }
        if self.logins.holds {
            self.settled();
        } else if self.is_in() {
            self.enter_again();
            self.renamed(before, nick);
        }
        if !by_token {
            self.ask_token(nick);
        }
    }

    /// We are called `nick` now, as we wished to be.
    pub(super) fn called(&mut self, nick: Nick) {
        let before = self.nick.replace(nick);
        if before == Some(nick) && self.logins.person {
            // It changes nothing to be called so, and the password may be typed all the same.
            self.logins.wary = Some(Wary::Needless);
            self.drop_words();
        }
        // Who spells their own name in another way is its owner still, and finds it again as it is registered.
        self.logins.owner = self.logins.owner.filter(|owner| owner.is_like(&nick));
        (self.wanted, self.regaining) = (self.logins.owner.or(Some(nick)), false);
        if self.is_in() {
            self.renamed(before, nick);
        }
        self.settled();
    }

    /// We are `nick` from now on, and nobody's owner.
    pub(super) fn became_guest(&mut self, nick: Nick) {
        let before = self.nick.replace(nick);
        (self.wanted, self.regaining, self.logins.owner) = (Some(nick), false, None);
        self.logins.found.clear();
        if self.is_in() {
            self.enter_again();
            self.renamed(before, nick);
        }
    }

    /// Enters a room, unless it was entered with the login.
    pub(super) fn enter(&mut self, room: RoomName) {
        if !self.logins.found.contains(&room) {
            let key = self.room_keys.iter().find(|(known, _)| *known == room);
            let line = key.map_or(Command::Join(room).to_string(), |(_, key)| format!("{} {key}", Command::Join(room)));
            self.ask(line, Pending::Join(room));
        }
    }

    /// A room does not let us in, of which this is known: whether we talked there. It is entered again with a login. Whether that is
    /// awaited just now.
    pub(super) fn stays_outside(&mut self, room: RoomName, was_target: bool) -> bool {
        if self.logins.owner.is_some() {
            return false;
        }
        let outside = &mut self.logins.outside;
        if outside.len() < ROOMS && outside.iter().all(|(known, _)| *known != room) {
            outside.push((room, was_target));
        }
        let is_tried = || self.regaining && self.wanted.is_some_and(|nick| self.logins.token(nick).is_some());
        self.is_naming() || is_tried()
    }

    /// A room in which the last login found us.
    pub(super) fn found_in(&self) -> Option<RoomName> {
        self.logins.found.first().copied()
    }

    /// A room was entered with this line, which may have its key: without that we would not come in again after a loss.
    pub(super) fn note_key(&mut self, room: RoomName, line: &str) {
        self.room_keys.retain(|(known, _)| *known != room);
        self.room_keys.extend(key_of(line).map(|key| (room, key.to_owned())));
    }

    /// Whether we enter this room as it was the login that found us there, and not the person.
    pub(super) fn is_found(&self, room: RoomName) -> bool {
        self.logins.found.contains(&room)
    }

    /// Enters the rooms in which we were, as we may be in none of them under another name. Where we are, that changes nothing.
    fn enter_again(&mut self) {
        for room in self.talks.rooms().collect::<Vec<_>>() {
            self.enter(room);
        }
        if let Some(place) = self.talks.target() {
            self.ask(Command::Query(place), Pending::Query);
        }
    }

    /// A login failed.
    pub(super) fn not_logged_in(&mut self, nick: Nick, token: Option<Token>, code: Code<'_>, text: &str) {
        match (token, code) {
            (Some(_), Code::Refused) => {
                self.logins.doubted = Some(nick);
                if !self.is_in() {
                    // Nor can it be asked there how it stands with the name.
                    let is_last = self.insists() && self.password.is_none();
                    return match () {
                        () if !is_last => self.ask_entry(),
                        () if text.starts_with("that is ") => self.token_refused(nick, true, None),
                        () if text.starts_with("nobody owns ") => self.token_refused(nick, false, None),
                        () => self.has_no_name(code, text),
                    };
                }
                if self.wanted == Some(nick) && self.insists() {
                    return self.ask_name();
                }
                // The same is said of a name that nobody owns, and only of one that somebody owns is the token bad for good.
                self.ask(format!("/account {nick}"), Pending::Owned(nick));
                if text.starts_with("nobody owns ") && self.wanted != Some(nick) {
                    self.refuse(text.to_owned());
                } else if self.wanted == Some(nick) {
                    self.ask_name();
                } else {
                    self.owned(nick, true);
                }
            }
            // There is another way in, and the name is asked for again there.
            (Some(_), _) if !self.is_in() && self.password.is_some() => self.ask_pass(),
            _ if self.insists() => self.has_no_name(code, &format!("you are not {nick}: {text}")),
            // Nothing else that is typed would change that.
            (_, Code::Insecure) => self.insecure(nick, text),
            (Some(_), _) if !self.first && self.wanted == Some(nick) => {
                if !std::mem::replace(&mut self.regaining, true) {
                    self.refuse(format!("you are not {nick} now: {text}"));
                }
                self.settled();
            }
            (Some(_), _) => {
                self.refuse(format!("you are not {nick}: {text}"));
                self.stay_guest();
            }
            (None, Code::Refused) if text.starts_with("nobody owns ") => {
                self.refuse(text.to_owned());
                self.stay_guest();
            }
            (None, _) => match self.logins.typed.take().filter(|_| code == Code::Refused) {
                // Who marks a token by a double click misses what stands before it.
                Some(token) => self.ask(Command::Login(nick, Proof::Token(token)), Pending::Login(nick, None)),
                None => {
                    self.refuse(text.to_owned());
                    self.logins.asking = Some(nick);
                }
            },
        }
    }

    /// No secret is taken on this connection.
    pub(super) fn insecure(&mut self, nick: Nick, text: &str) {
        let other = self.nick.map(|nick| format!(" Until then you are {nick}.")).unwrap_or_default();
        self.refuse(format!("{nick} belongs to somebody, and no password can be sent from here: {text}.{other}"));
        self.stay_guest();
    }
}

/// The key in a line that enters a room.
pub(super) fn key_of(line: &str) -> Option<&str> {
    line.split(' ').filter(|word| !word.is_empty()).nth(2)
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Instant;

    use super::*;
    use crate::client::model::news::News;
    use crate::client::model::session::Wish;
    use crate::client::model::session::tests::{hear, online, sent, shown};

    const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    const OWNED: &str = "! nick owned alice belongs to somebody; if that is you: /login alice PASSWORD";

    fn alice() -> Nick {
        Nick::new("alice").unwrap()
    }

    /// A session of alice's in #a that has just been greeted, with the answers to what comes before the name.
    pub(in super::super) fn greeted(tokens: Vec<(Nick, Token)>, person: bool) -> Session {
        let rooms = vec![RoomName::new("#a").unwrap()];
        let mut session = Session::new(Wish { nick: Some(alice()), rooms, tokens, person, ..Wish::default() });
        again(&mut session);
        session
    }

    fn again(session: &mut Session) {
        session.connected();
        hear(session, &["* hello guest1 chinwag/0.2.0 1 online; welcome", "+ who 1 1"]);
        hear(session, &["+ set whole on", "+ set echo on", "+ set stamp on"]);
    }

    /// What is sent besides what every connection begins with.
    pub(in super::super) fn asked(session: &mut Session) -> Vec<String> {
        sent(session).into_iter().filter(|line| !line.starts_with("/set ") && line != "/who").collect()
    }

    fn changes(session: &mut Session) -> Vec<TokenChange> {
        std::iter::from_fn(|| session.poll_token()).collect()
    }

    #[test]
    fn a_guest_is_asked_for_no_password_of_the_name_that_they_have() {
        let mut session = online(&["#a"]);
        session.logins.person = true;
        session.typed("/login Alice", Instant::now());
        let told = "you are Alice already, a guest; /register makes the name yours";
        assert_eq!(shown(&mut session), [News::Answer(told.to_owned())]);
        assert!(sent(&mut session).is_empty() && session.asks_secret().is_none());
    }

    #[test]
    fn who_is_asked_for_a_password_comes_in_as_themselves() {
        let mut session = greeted(Vec::new(), true);
        assert_eq!(asked(&mut session), ["/nick alice"], "no room is entered as somebody else");
        hear(&mut session, &[OWNED]);
        assert_eq!((asked(&mut session), session.asks_login()), (vec!["/token".to_owned()], None));
        hear(&mut session, &["! token no-account you are a guest"]);
        assert_eq!(session.asks_login(), Some(alice()));
        for (typed, is_taken) in [("two words", false), ("wrong-horse ", true)] {
            assert_eq!(session.typed(typed, Instant::now()) == Taken::Yes, is_taken, "{typed}");
        }
        assert_eq!((asked(&mut session), session.asks_login()), (vec!["/login alice wrong-horse".to_owned()], None));
        hear(&mut session, &["! login refused that is not the password; try again"]);
        assert_eq!(session.asks_login(), Some(alice()));
        session.typed("correct-horse", Instant::now());
        assert_eq!(asked(&mut session), ["/login alice correct-horse"]);
        shown(&mut session);
        hear(&mut session, &["- in #b 7", "+ login alice"]);
        let want = ["/join #b", "/op #b", "/history #b 20", "/join #a", "/query #a", "/ping restored", "/token"];
        assert_eq!(asked(&mut session), want);
        hear(
            &mut session,
            &["- topic tea", "- here alice", "+ join #b 1", "- op alice", "+ op #b 1", "+ history #b 0", "- topic a"],
        );
        hear(&mut session, &["- here alice", "+ join #a 1", "+ query #a", "+ ping restored"]);
        assert_eq!(asked(&mut session), ["/op #a", "/history #a 20"]);
        // Each room is told by itself, and what was said there behind that.
        let room = |news: News| matches!(&news, News::Answer(text) if text.contains('#')).then_some(news);
        let rooms: Vec<_> = shown(&mut session).into_iter().filter_map(room).collect();
        assert_eq!(rooms, ["#b is about tea", "in #b: @alice"].map(|text| News::Answer(text.to_owned())));
        hear(&mut session, &[&format!("+ token {TOKEN}")]);
        assert_eq!(changes(&mut session), [TokenChange::Keep(alice(), Token([0; 32]))]);
        let told = format!("{:?}", shown(&mut session));
        assert!(!told.contains(TOKEN) && !told.contains("horse"), "{told}");
        // The next connection needs no password.
        session.lost("gone");
        again(&mut session);
        assert_eq!(asked(&mut session)[0], format!("/login alice token:{TOKEN}"));
    }

    #[test]
    fn who_is_in_a_room_over_another_connection_talks_there_at_once() {
        for (rooms, want) in [(vec![], "#b"), (vec![RoomName::new("#a").unwrap()], "#a")] {
            let wish = Wish { nick: Some(alice()), rooms, tokens: vec![(alice(), Token([0; 32]))], ..Wish::default() };
            let mut session = Session::new(Wish { person: true, ..wish });
            again(&mut session);
            hear(&mut session, &["- in #b 7", "+ login alice"]);
            assert_eq!(session.talks.target(), Place::new(want));
            let told = shown(&mut session);
            let is_sent_away = |news: &News| matches!(news, News::Answer(text) if text.starts_with("/join #lobby"));
            assert!(!told.iter().any(is_sent_away), "{told:?}");
        }
    }

    #[test]
    fn a_token_that_is_refused_is_forgotten_and_the_password_asked_for() {
        let mut session = greeted(vec![(alice(), Token([0; 32]))], true);
        assert_eq!(asked(&mut session), [format!("/login alice token:{TOKEN}")]);
        hear(&mut session, &["! login refused that is no token of alice"]);
        assert_eq!(changes(&mut session), [], "nobody may own the name here");
        assert_eq!(asked(&mut session), ["/account alice", "/nick alice"]);
        hear(&mut session, &["- name 2026-11-28 2026-12-01", "+ account alice owned"]);
        assert_eq!(changes(&mut session), [TokenChange::Forget(alice(), Token([0; 32]))]);
        hear(&mut session, &[OWNED, "! token no-account x"]);
        assert_eq!(session.asks_login(), Some(alice()));
        // Who cannot be asked is told, and comes into no room as somebody else.
        let mut session = greeted(vec![(alice(), Token([0; 32]))], false);
        assert_eq!(asked(&mut session), [format!("/login alice token:{TOKEN}")]);
        hear(&mut session, &["! login refused that is no token of alice", "+ account alice owned", OWNED]);
        assert!(shown(&mut session).iter().any(|news| matches!(news, News::Refused(why) if why.contains("alice"))));
        // Whatever else is wrong, it may be good later.
        for code in ["too-many", "busy", "insecure"] {
            let mut session = greeted(vec![(alice(), Token([0; 32]))], true);
            hear(&mut session, &[&format!("! login {code} not now")]);
            assert_eq!(changes(&mut session), []);
            assert!(session.asks_login().is_none() && asked(&mut session).contains(&"/join #a".to_owned()), "{code}");
        }
    }

    #[test]
    fn who_is_somebody_already_or_by_a_token_types_no_password_to_others() {
        let mut session = greeted(vec![(alice(), Token([0; 32]))], true);
        hear(&mut session, &["+ login alice", "+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a"]);
        hear(&mut session, &["+ ping restored"]);
        asked(&mut session);
        let now = Instant::now();
        let is_kept_back = |session: &mut Session| {
            let taken = session.typed("correct-horse", now);
            matches!(taken, Taken::No(why) if why.starts_with("no password is needed, and this would be said to #a"))
        };
        assert!(!session.is_wary(), "nobody was asked anything");
        for line in ["/login alice", "/login A1ice"] {
            shown(&mut session);
            session.typed(line, now);
            let told = format!("you are {} already; no password is needed", &line["/login ".len()..]);
            assert_eq!((shown(&mut session), asked(&mut session)), (vec![News::Answer(told)], Vec::new()));
            assert!(is_kept_back(&mut session), "{line}");
            assert!(asked(&mut session).is_empty());
        }
        // So it is where a token that is kept does it, before it is answered and after.
        session.typed("/nick carol", now);
        hear(&mut session, &["+ nick carol"]);
        for replies in [&[][..], &["+ login alice"]] {
            session.typed("/login alice", now);
            hear(&mut session, replies);
            assert!(is_kept_back(&mut session), "{replies:?}");
            hear(&mut session, if replies.is_empty() { &["! login busy x"] } else { &[] });
        }
        session.typed("several words are none", now);
        assert!(!session.is_wary());
    }

    #[test]
    fn a_room_that_lets_no_guest_in_is_entered_with_the_login() {
        let refused = "! join bad-key #a has a key; ask alice, an op of it, when they are here, for it";
        let mut session = greeted(Vec::new(), true);
        hear(&mut session, &["+ login alice", OWNED, "! token no-account x"]);
        session.typed("correct-horse", Instant::now());
        hear(&mut session, &["+ login alice", "+ join #a 1", "+ query #a", "+ ping restored", "! token busy x"]);
        hear(&mut session, &["+ op #a 0", "+ history #a 0"]);
        session.lost("gone");
        again(&mut session);
        asked(&mut session);
        shown(&mut session);
        hear(&mut session, &[OWNED, refused, "! query no-such-room x", "+ ping restored", "! token no-account x"]);
        let told = format!("{:?}", shown(&mut session));
        assert!(told.contains("you come into #a again once you are logged in"), "{told}");
        assert!(!told.contains("ask alice") && !told.contains("you talk to nobody"), "{told}");
        asked(&mut session);
        session.typed("correct-horse", Instant::now());
        hear(&mut session, &["+ login alice"]);
        assert_eq!(asked(&mut session), ["/login alice correct-horse", "/join #a", "/query #a", "/token"]);
        hear(&mut session, &["+ join #a 1", "+ query #a"]);
        assert_eq!(session.talks.target(), Place::new("#a"));
        // So is one that was to be entered at the start, by whoever logs in later.
        let mut session = greeted(Vec::new(), true);
        hear(&mut session, &[OWNED, "! token no-account x"]);
        session.typed("", Instant::now());
        hear(
            &mut session,
            &["! join no-account #a is for who owns a name", "! query no-such-room x", "+ ping restored"],
        );
        asked(&mut session);
        session.typed("/login alice correct-horse", Instant::now());
        hear(&mut session, &["+ login alice"]);
        assert_eq!(asked(&mut session)[1..], ["/join #a", "/query #a", "/token"]);
    }

    #[test]
    fn a_token_stays_where_nobody_owns_the_name_and_is_tried_again() {
        let login = format!("/login alice token:{TOKEN}");
        for (refused, account) in [
            ("! login refused nobody owns alice; /nick alice takes it", "+ account alice free"),
            ("! login refused this server keeps nothing", "! account refused this server keeps nothing"),
        ] {
            let mut session = greeted(vec![(alice(), Token([0; 32]))], true);
            hear(&mut session, &["+ login alice", "+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a"]);
            hear(&mut session, &["+ ping restored", "#a * bob made alice op"]);
            session.stays = true;
            session.lost("gone");
            asked(&mut session);
            again(&mut session);
            assert_eq!(asked(&mut session)[0], login);
            shown(&mut session);
            hear(&mut session, &[refused]);
            assert_eq!(asked(&mut session), ["/account alice", "/nick alice"]);
            hear(&mut session, &["+ join #a 1", "+ query #a", "+ files 0", "+ ping restored", account, "+ nick alice"]);
            hear(&mut session, &["+ op #a 0"]);
            let told = format!("{:?}", shown(&mut session));
            assert!(told.contains("this server knows nobody who owns alice") && !told.contains("no longer"), "{told}");
            assert_eq!(changes(&mut session), []);
            // What was the server's mistake is over with the connection.
            session.lost("gone");
            asked(&mut session);
            again(&mut session);
            assert_eq!(asked(&mut session)[0], login);
            hear(&mut session, &["+ login alice", "+ join #a 1", "+ query #a", "+ files 0", "+ ping restored"]);
            hear(&mut session, &["+ join #a 1", "+ query #a", "- op alice", "+ op #a 1"]);
            let told = format!("{:?}", shown(&mut session));
            assert!(!told.contains("no longer"), "{told}");
        }
    }

    #[test]
    fn a_token_is_tried_as_one_where_a_password_is_asked_for() {
        let mut session = greeted(Vec::new(), true);
        hear(&mut session, &[OWNED, "! token no-account x"]);
        asked(&mut session);
        session.typed(TOKEN, Instant::now());
        assert_eq!(asked(&mut session), [format!("/login alice {TOKEN}")], "it may be a password");
        shown(&mut session);
        hear(&mut session, &["! login refused that is neither"]);
        assert_eq!(asked(&mut session), [format!("/login alice token:{TOKEN}")]);
        assert_eq!(shown(&mut session), []);
        // It is not tried for ever.
        hear(&mut session, &["! login refused that is neither"]);
        assert_eq!((asked(&mut session), session.asks_login()), (Vec::new(), Some(alice())));
        session.typed(TOKEN, Instant::now());
        hear(&mut session, &["! login busy x"]);
        assert_eq!(asked(&mut session), [format!("/login alice {TOKEN}")]);
        session.typed(TOKEN, Instant::now());
        hear(&mut session, &["! login refused that is neither", "+ login alice"]);
        let told = asked(&mut session);
        assert!(told.contains(&"/token".to_owned()), "it may have been good once");
        assert!(told.contains(&"/account".to_owned()), "who has one may have no password: {told:?}");
    }

    #[test]
    fn who_comes_by_an_invitation_is_told_once_that_the_name_has_no_password() {
        for (typed, is_asked) in [(format!("token:{TOKEN}"), true), ("correct-horse".to_owned(), false)] {
            let mut session = greeted(Vec::new(), true);
            hear(&mut session, &[OWNED, "! token no-account x"]);
            asked(&mut session);
            session.typed(&typed, Instant::now());
            asked(&mut session);
            hear(&mut session, &["+ login alice"]);
            assert_eq!(asked(&mut session).contains(&"/account".to_owned()), is_asked, "{typed}");
        }
    }

    #[test]
    fn who_says_whom_they_want_to_be_is_not_told_that_it_is_somebody_s() {
        let told = |session: &mut Session| {
            shown(session)
                .into_iter()
                .find_map(|news| match news {
                    News::Note(text) | News::Refused(text) => Some(text),
                    _ => None,
                })
                .unwrap()
        };
        let mut session = online(&["#a"]);
        session.logins.person = true;
        session.typed("/login bob", Instant::now());
        hear(&mut session, &["! token no-account x"]);
        assert_eq!(told(&mut session), "type the password of bob, which is not shown; Enter alone leaves you alice");
        // No password makes a name somebody's that is nobody's.
        session.typed("correct-horse", Instant::now());
        hear(&mut session, &["! login refused nobody owns bob; /nick bob takes it"]);
        assert_eq!((told(&mut session).as_str(), session.asks_login()), ("nobody owns bob; /nick bob takes it", None));
        assert!(session.is_wary(), "a password may be typed all the same");
        // Where nobody owns names, nobody is asked.
        session.typed("/login bob", Instant::now());
        hear(&mut session, &["! token refused this server keeps nothing"]);
        assert_eq!((told(&mut session).as_str(), session.asks_login()), ("/login: this server keeps nothing", None));
    }

    #[test]
    fn no_password_is_asked_for_where_none_may_be_sent() {
        let mut session = greeted(Vec::new(), true);
        hear(&mut session, &[OWNED, "! token insecure this connection is not encrypted; come over ssh"]);
        assert_eq!(session.asks_login(), None);
        let want = "alice belongs to somebody, and no password can be sent from here: this connection is not encrypted; \
                    come over ssh. Until then you are guest1.";
        assert!(shown(&mut session).contains(&News::Refused(want.to_owned())));
        assert_eq!(asked(&mut session)[2..], ["/join #a", "/query #a", "/ping restored"]);
    }

    #[test]
    fn who_does_not_type_it_goes_by_the_name_that_they_have() {
        for (line, want) in [("", &[][..]), ("/topic", &[]), ("/quit", &["/quit"])] {
            let mut session = greeted(Vec::new(), true);
            hear(&mut session, &[OWNED, "! token no-account x"]);
            asked(&mut session);
            assert_eq!(session.typed(line, Instant::now()), Taken::Yes);
            let want = [&["/join #a", "/query #a", "/ping restored"][..], want].concat();
            assert_eq!(
                (asked(&mut session), session.asks_login()),
                (want.iter().map(|&s| s.to_owned()).collect(), None)
            );
        }
    }

    #[test]
    fn what_is_typed_after_the_question_is_not_said_at_once() {
        for (between, is_said) in [("", false), ("/topic", true)] {
            let mut session = greeted(Vec::new(), true);
            hear(&mut session, &[OWNED, "! token no-account x"]);
            session.typed("", Instant::now());
            assert!(session.is_wary());
            hear(&mut session, &["+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a", "+ ping restored"]);
            asked(&mut session);
            session.typed(between, Instant::now());
            asked(&mut session);
            let taken = session.typed("correct-horse", Instant::now());
            assert_eq!(taken == Taken::Yes, is_said, "{between:?}");
            assert_eq!(asked(&mut session).contains(&"/msg #a correct-horse".to_owned()), is_said, "{between:?}");
            // Who means it types it once more.
            session.typed("correct-horse", Instant::now());
            assert!(!session.is_wary() && asked(&mut session).contains(&"/msg #a correct-horse".to_owned()));
        }
    }

    #[test]
    fn who_spells_their_name_in_another_way_is_its_owner_still() {
        let mut session = greeted(vec![(alice(), Token([0; 32]))], true);
        hear(&mut session, &["+ login alice", "+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a"]);
        hear(&mut session, &["+ ping restored"]);
        asked(&mut session);
        let now = Instant::now();
        session.typed("/nick A1ice", now);
        hear(&mut session, &["+ nick A1ice"]);
        assert_eq!(session.status().nick, Nick::new("A1ice").ok());
        session.typed("/account", now);
        shown(&mut session);
        hear(&mut session, &["+ account alice owned"]);
        assert_eq!(shown(&mut session), [News::Done("alice belongs to you".to_owned())]);
        // What ends all tokens ends that of the name as it is registered.
        session.typed("/passwd correct-horse battery-staple", now);
        hear(&mut session, &["+ passwd"]);
        assert_eq!(changes(&mut session), [TokenChange::Forget(alice(), Token([0; 32]))]);
        hear(&mut session, &[&format!("+ token {TOKEN}")]);
        assert_eq!(changes(&mut session), [TokenChange::Keep(alice(), Token([0; 32]))]);
        session.lost("gone");
        again(&mut session);
        assert_eq!(asked(&mut session)[0], format!("/login alice token:{TOKEN}"));
        hear(&mut session, &["+ login alice"]);
        // Somebody else was given the name that theirs looked like.
        for (line, is_owner) in [
            ("* nick alice A1ice belongs to somebody now; an operator gave it to them.", true),
            ("* nick guest7 alice was given up; an operator took it from its owner.", false),
        ] {
            hear(&mut session, &[line]);
            assert_eq!(session.owner().is_some(), is_owner, "{line}");
        }
        // Another name is somebody else's.
        hear(&mut session, &["+ login alice"]);
        session.called(Nick::new("malice").unwrap());
        assert_eq!((session.owner(), session.wanted), (None, Nick::new("malice").ok()));
    }

    #[test]
    fn what_is_typed_as_a_password_never_goes_elsewhere() {
        let mut session = greeted(Vec::new(), true);
        hear(&mut session, &[OWNED, "! token no-account x"]);
        asked(&mut session);
        session.lost("gone");
        assert!(matches!(session.typed("correct-horse", Instant::now()), Taken::No(_)));
        again(&mut session);
        assert_eq!(asked(&mut session), [""; 0], "the password is still awaited");
        session.typed("correct-horse", Instant::now());
        assert_eq!(asked(&mut session), ["/login alice correct-horse"]);
        // What a typed login says stands nowhere while it waits.
        session.lost("gone");
        session.typed("/login bob battery-staple", Instant::now());
        assert_eq!(session.unsent().collect::<Vec<_>>(), ["/login …"]);
    }

    #[test]
    fn who_logs_in_once_more_sees_nothing_twice() {
        let mut session = online(&["#a"]);
        let room = ["- here bob", "+ join #b 1", "- op bob", "+ op #b 1"];
        let past = ["+ files 0", "- [1@2026-11-22T14:30:00.123Z] <carol> one", "+ history #b 1"];
        let others = ["+ join #a 1", "+ query #a", "+ op #a 0", "+ history #a 0"];
        for (login, want) in [
            ("first", &["you are bob", "in #b: @bob", "<carol> one"][..]),
            ("again", &["you are bob", "in #b: @bob", "shown above already: 1 earlier message of #b"]),
        ] {
            session.typed("/login bob correct-horse", Instant::now());
            hear(&mut session, &[&["- in #b 1", "+ login bob"][..], &room, &past, &others].concat());
            let told: Vec<String> = shown(&mut session)
                .into_iter()
                .map(|news| match news {
                    News::Said { from, text, .. } => format!("<{from}> {text}"),
                    News::Answer(text) | News::Done(text) => text,
                    other => format!("{other:?}"),
                })
                .collect();
            assert_eq!(told, want, "{login}");
            session.typed("/logout", Instant::now());
            let left = ["+ logout guest1", "+ join #a 1", "! join bad-key #b has a key", "+ query #a"];
            hear(&mut session, &[&left[..], &others[2..]].concat());
            let out = News::Note("you are not in #b any more: #b has a key".to_owned());
            assert!(shown(&mut session).contains(&out), "{login}");
            sent(&mut session);
        }
    }

    #[test]
    fn another_name_that_is_owned_is_asked_for_too_and_a_login_takes_the_rooms_along() {
        let mut session = greeted(Vec::new(), true);
        hear(&mut session, &["+ nick alice"]);
        hear(&mut session, &["+ join #a 1", "+ op #a 0", "+ history #a 0", "+ query #a", "+ ping restored"]);
        assert!(session.is_online());
        asked(&mut session);
        session.typed("/nick bob", Instant::now());
        hear(&mut session, &["! nick owned bob belongs to somebody", "! token no-account x"]);
        assert_eq!(
            (asked(&mut session).len(), session.asks_login().map(|nick| nick.to_string())),
            (2, Some("bob".to_owned()))
        );
        session.typed("correct-horse", Instant::now());
        hear(&mut session, &["+ login bob"]);
        assert_eq!(asked(&mut session), ["/login bob correct-horse", "/join #a", "/query #a", "/token"]);
        assert_eq!(session.status().nick, Nick::new("bob").ok());
        // With a new password the old tokens end; with none, nobody needs one.
        hear(&mut session, &["+ join #a 1", "+ query #a", &format!("+ token {TOKEN}")]);
        let bob = Nick::new("bob").unwrap();
        assert_eq!(changes(&mut session), [TokenChange::Keep(bob, Token([0; 32]))]);
        asked(&mut session);
        hear(&mut session, &["+ op #a 0", "+ history #a 0"]);
        for (line, done, want) in [
            ("/passwd correct-horse battery-staple", "+ passwd", Some("/token")),
            ("/token off", "+ token off", None),
            ("/drop battery-staple", "+ drop guest1", Some("/join #a")),
        ] {
            session.typed(line, Instant::now());
            assert_eq!(asked(&mut session), [line]);
            hear(&mut session, &[done]);
            assert_eq!(asked(&mut session).first().map(String::as_str), want, "{line}");
            if want == Some("/token") {
                shown(&mut session);
                hear(&mut session, &[&format!("+ token {TOKEN}")]);
                assert_eq!(shown(&mut session), [], "that it is kept has been told");
                changes(&mut session);
            }
        }
        assert_eq!(session.status().nick, Nick::new("guest1").ok());
        // Who types no password is asked for it, and it is seen by nobody.
        session.typed("/login alice", Instant::now());
        assert_eq!(asked(&mut session).last().map(String::as_str), Some("/token"));
        hear(&mut session, &["+ join #a 1", "+ query #a", "! token no-account x"]);
        assert_eq!(session.asks_login(), Some(alice()));
    }
}
