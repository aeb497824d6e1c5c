//! Losing a connection: what is told of it, what is asked for again on the next one, and what becomes of messages whose answer
//! was lost (limbo).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{BLINK, LIMBO, Loss, Message, Pending, Phase, Session, Waiting, cut, typed};
use crate::client::model::news::TransferAnswer;
use crate::names::{Place, RoomName};
use crate::wire::Command;

/// How many reasons are told of why there is no connection, before there is one again.
const LOSSES: usize = 4;

/// What is told of a lost connection.
pub(super) fn lost(why: &str) -> String {
    format!("the connection is lost: {why}; trying to get another")
}

impl Session {
    /// The connection is lost, for this reason, or could not be made again, and the server keeps our place for this time. Nothing is
    /// said until [`Session::taken_up`], unless that turns out to be not so, and [`Session::lost`] tells it.
    pub fn lost_and_kept(&mut self, why: &str, time: Duration, now: Instant) {
        let (why, is_told, has_moved) = (why.to_owned(), false, false);
        let due = now + time.min(self.patience);
        self.loss.get_or_insert(Loss { since: now, due, why, is_told, has_moved });
    }

    /// Whether a connection has just been lost and may soon be back, as if nothing had happened.
    pub fn is_blinking(&self, now: Instant) -> bool {
        self.loss.as_ref().is_some_and(|loss| now.saturating_duration_since(loss.since) < BLINK)
    }

    /// Our place is taken up, and all is as if nothing had happened.
    pub fn taken_up(&mut self, now: Instant) {
        let Some(Loss { since, is_told, has_moved, .. }) = self.loss.take() else { return };
        let time = now.saturating_duration_since(since);
        if self.quitting {
            // Who wants to leave need not know.
        } else if is_told || time >= BLINK {
            self.note(format!("the connection was lost for {} seconds, and is back", time.as_secs()));
            self.told_target = None;
        }
        if let Some(place) = self.talks.target().filter(|_| has_moved) {
            self.ask(Command::Query(place), Pending::Query);
        }
        self.settle(now);
    }

    /// The connection is lost, for this reason, and our place too, if there was one.
    pub fn lost(&mut self, why: &str) {
        let loss = self.loss.take();
        let is_told = loss.as_ref().is_some_and(|loss| loss.is_told);
        // Who wants to leave has not lost it.
        if self.phase != Phase::Offline && !self.quitting && !is_told {
            self.tell_loss(loss.as_ref().map_or(why, |loss| &loss.why));
        }
        if let Some(nick) = self.nick.filter(|_| self.stays) {
            self.logins.was_owner = self.owner().is_some() || self.logins.was_owner && !self.had.is_empty();
            for room in self.talks.rooms() {
                let rank = self.talks.ranks(Place::Room(room)).and_then(|ranks| ranks.of(nick));
                if let Some(rank) = rank.filter(|_| self.had.iter().all(|(had, _)| *had != room)) {
                    self.had.push((room, rank));
                }
            }
        }
        self.had.retain(|(had, _)| self.talks.rooms().any(|room| room == *had));
        self.phase = Phase::Offline;
        self.nick = None;
        self.restored = false;
        self.regaining = false;
        self.since = None;
        self.told_target = None;
        self.typing = None;
        self.lines.clear();
        self.talks.lost();
        self.limbo.extend(self.sent.drain(..).filter(|message| !message.arrived));
        for asked in std::mem::take(&mut self.asked) {
            match asked.pending {
                Pending::Typed(line) => {
                    let name = cut(&line).0;
                    self.refuse(format!("the connection broke before {name} was answered; see what came of it"));
                    if typed::name(&line) == "nick" {
                        self.drop_words();
                    }
                    if typed::moves(&line) {
                        self.stay();
                        self.astray = Some(line);
                    }
                }
                Pending::Old(_) => {
                    self.refuse("the connection broke before /passwd was done; type it again".to_owned())
                }
                Pending::Password(password) => self.password = Some(password),
                Pending::Search { word, .. } => self.found(&word, None, Vec::new()),
                _ => {}
            }
        }
        self.answers.push_back(TransferAnswer::Offline);
    }

    /// Whether it was told that the connection is lost, and none has led to a server since.
    pub fn has_told_loss(&self) -> bool {
        !self.losses.is_empty()
    }

    pub(super) fn tell_loss(&mut self, why: &str) {
        // A server that turns us away does so each time.
        let is_new = !why.is_empty() && self.losses.iter().all(|told| told != why);
        if self.losses.len() < LOSSES && is_new {
            self.losses.push(why.to_owned());
            self.note(lost(why));
        }
    }

    /// Whoever had a name while we were gone need not be who had it before. So nobody is talked to any more, and what was typed
    /// for somebody meanwhile goes to nobody.
    fn give_up_people(&mut self) {
        let with = |place: &Place| matches!(place, Place::With(_));
        if let Some(place) = self.talks.target().filter(with) {
            self.note(format!("{place} may be somebody else after this; /query NAME to talk on"));
        }
        for place in self.talks.iter().map(|talk| talk.place).filter(with).collect::<Vec<_>>() {
            self.talks.close(place);
        }
        self.give_up(|_, waiting| match waiting {
            Waiting::Message(Message { place: place @ Place::With(_), text, .. }) => {
                Some(format!("{place} may be somebody else by now, and has not got this: {text}"))
            }
            Waiting::Command(line) if typed::names_somebody(line) => {
                let why = "whoever is called so may be somebody else by now; type it again if you mean them";
                Some(format!("{line} is not done: {why}"))
            }
            _ => None,
        });
    }

    /// These rules held in a room when the connection was lost, and hold there no longer. What was typed for those who were there
    /// then is not for all who may be there now.
    pub(super) fn tell_opened(&mut self, room: RoomName, gone: &[&str], count: u64) {
        let why = if count == 1 { "you made it anew" } else { "it was made anew, or an op changed that" };
        self.note(format!("in {room} no longer holds: {}; {why}, and /room {room} tells how it is", gone.join(" ")));
        self.report_limbo(room);
        self.answers.push_back(TransferAnswer::Opened(room));
        self.give_up(|target, waiting| match waiting {
            Waiting::Message(Message { place, text, .. }) if *place == Place::Room(room) => {
                Some(format!("others may read {room} now, and it has not got this: {text}"))
            }
            Waiting::Command(line) if typed::is_about(line, room, target) => {
                Some(format!("{line} is not done: others may read {room} now; type it again if they may"))
            }
            _ => None,
        });
    }

    /// What waits and `why` tells something of, given the target, is told and not sent; nor is what was typed to go where that leads.
    fn give_up(&mut self, why: impl Fn(Option<Place>, &Waiting) -> Option<String>) {
        let (mut is_nowhere, target) = (false, self.talks.target());
        for waiting in std::mem::take(&mut self.waiting) {
            match (why(target, &waiting), waiting) {
                (Some(why), waiting) => {
                    self.refuse(why);
                    if let Waiting::Command(line) = waiting
                        && typed::moves(&line)
                    {
                        is_nowhere = true;
                        self.astray = Some(line);
                    }
                }
                (None, Waiting::Text(text)) if is_nowhere => self.refuse(format!("so this is not said: {text}")),
                (None, Waiting::File(path)) if is_nowhere => self.refuse(format!("so this is not sent: {path}")),
                (None, waiting) => {
                    is_nowhere &= !matches!(&waiting, Waiting::Command(line) if typed::moves(line));
                    self.waiting.push_back(waiting);
                }
            }
        }
    }

    /// Asks for what was before the last connection was lost, but for the name.
    pub(super) fn restore(&mut self) {
        match self.first {
            true => self.note_trace(),
            false => self.give_up_people(),
        }
        // Before anything can be heard of them.
        let ignored = std::mem::take(&mut self.ignored).into_iter().chain(std::mem::take(&mut self.missing));
        for nick in ignored.collect::<Vec<_>>() {
            self.ask(Command::Ignore(nick), Pending::Ignore(nick));
        }
        for room in self.talks.rooms().collect::<Vec<_>>() {
            if self.first && self.expects_rooms.is_some() {
                self.ask(Command::Topic(room), Pending::Expected(room));
            }
            self.enter(room);
        }
        if let Some(text) = self.away.clone() {
            self.ask(Command::Away(&text), Pending::Quiet);
        }
        match self.talks.target() {
            Some(place) => self.ask(Command::Query(place), Pending::Query),
            None if self.first => match self.found_in() {
                // Over another connection of theirs, and so on this one.
                Some(room) => {
                    self.go_to(Place::Room(room));
                    self.told_target = self.talks.target();
                    self.ask(Command::Query(Place::Room(room)), Pending::Query);
                    self.answer(format!("you are in {room} and talk there; /query TARGET for another"));
                }
                None if self.quitting => {}
                None => self.answer("/join #lobby to talk, /help for the rest".to_owned()),
            },
            None => {}
        }
        self.ghosts.clear();
        for ghost in self.limbo.iter().filter_map(|message| message.from) {
            if !self.ghosts.contains(&ghost) {
                self.ghosts.push(ghost);
            }
        }
        self.ask_ghosts();
        if self.stays && !self.first && self.talks.rooms().next().is_some() {
            self.ask(Command::Files, Pending::Missed(self.away_for, Vec::new()));
        }
        self.ask(Command::Ping("restored"), Pending::Restored);
        self.tell_below();
    }

    /// Asks whether those whom we have been are still there.
    pub(super) fn ask_ghosts(&mut self) {
        for ghost in self.ghosts.clone() {
            self.ask(Command::Who(Some(ghost)), Pending::Ghost(ghost));
        }
    }

    pub(super) fn is_early(&self, now: Instant) -> bool {
        self.since.is_some_and(|(since, _)| now.saturating_duration_since(since) < LIMBO)
    }

    /// Whether it may still turn out what became of messages that were sent on an earlier connection.
    pub(super) fn is_in_limbo(&self, now: Instant) -> bool {
        let fetches = self.asked.iter().any(|asked| matches!(asked.pending, Pending::History(_)));
        !self.limbo.is_empty() && self.is_early(now) && (fetches || !self.ghosts.is_empty())
    }

    /// What has not arrived is said again, where that can be known.
    pub(super) fn leave_limbo(&mut self) {
        let certain = self.ghosts.is_empty();
        for message in std::mem::take(&mut self.limbo).into_iter().rev() {
            match message.place {
                Place::Room(room) if certain && self.talks.room(room).is_some() => {
                    self.waiting.push_front(Waiting::Message(message))
                }
                _ => self.report(message),
            }
        }
    }

    /// It cannot be known whether this has arrived.
    pub(super) fn report(&mut self, Message { place, text, .. }: Message) {
        self.refuse(format!("the connection broke, and {place} may not have got this: {text}"));
    }

    /// The messages to this room that are in limbo cannot be found any more.
    pub(super) fn report_limbo(&mut self, room: RoomName) {
        let here = |message: &Message| message.place == Place::Room(room);
        let (lost, kept): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.limbo).into_iter().partition(here);
        self.limbo = kept;
        lost.into_iter().for_each(|message| self.report(message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::news::{News, Taken};
    use crate::client::model::session::tests::{answer, hear, online, sent, shown};
    use crate::client::model::session::{AGAIN, Wish};

    #[test]
    fn a_lost_name_is_asked_for_again() {
        let mut session = online(&[]);
        session.lost("gone");
        session.connected();
        hear(
            &mut session,
            &["* hello guest1 x 2 online", "+ who 1 2", "+ set whole on", "+ set echo on", "+ set stamp on"],
        );
        hear(&mut session, &["! nick taken alice is somebody else", "+ ping restored"]);
        sent(&mut session);
        let now = Instant::now();
        assert!(session.is_online() && session.is_regaining(now));
        session.tick(now + AGAIN);
        assert_eq!(sent(&mut session), ["/nick alice"]);
        hear(&mut session, &["! nick taken alice is somebody else", "* presence 9 -alice"]);
        assert_eq!(sent(&mut session), ["/nick alice"]);
        hear(&mut session, &["+ nick alice"]);
        assert!(!session.is_regaining(now) && session.next_tick().is_none());
    }

    /// What is shown of a session that was let in again after these lines were said in #a meanwhile.
    fn shown_after_past(session: &mut Session) -> Vec<News> {
        let past = |n: u64| format!("- [{n}@2026-11-22T14:30:0{n}.000Z] <bob> {n}");
        let mut news = Vec::new();
        for _ in 0..10 {
            for line in sent(session) {
                let rows = if line.starts_with("/history") { vec![past(1), past(2)] } else { Vec::new() };
                let (command, rest) = cut(&line[1..]);
                let first = cut(rest).0;
                let done = match command {
                    "who" => "+ who 1 1".to_owned(),
                    "join" if first == "#locked" => "! join bad-key #locked has a key".to_owned(),
                    "join" => format!("+ join {first} 2"),
                    "history" => format!("+ history {first} 2"),
                    "op" => format!("+ op {first} 0"),
                    "files" => "+ files 0".to_owned(),
                    "nick" => "! nick taken alice is somebody else; choose another name".to_owned(),
                    _ => format!("+ {command} {rest}"),
                };
                let rows: Vec<&str> = rows.iter().map(String::as_str).chain([&*done]).collect();
                hear(session, &rows);
                news.extend(shown(session));
            }
        }
        news
    }

    #[test]
    fn what_was_not_done_is_told_below_what_was_missed() {
        let (mut session, now) = (online(&["#locked", "#a"]), Instant::now());
        session.lost("gone");
        for line in ["/query bob", "/msg bob psst", "/kick carol"] {
            session.typed(line, now);
        }
        shown(&mut session);
        session.connected();
        hear(&mut session, &["* hello alice x 2 online"]);
        let mut news = shown(&mut session);
        news.extend(shown_after_past(&mut session));
        let last = news.iter().rposition(|news| matches!(news, News::Said { .. })).unwrap();
        let below: Vec<_> = news[last + 1..].iter().collect();
        for told in ["@bob may be somebody else by now, and has not got this: psst", "/kick carol is not done"] {
            let is_told = |news: &&News| matches!(news, News::Refused(text) if text.starts_with(told));
            assert!(below.iter().copied().any(|news| is_told(&news)), "{told}: {news:?}");
        }
        let told = News::Note("you are not in #locked any more: #locked has a key".to_owned());
        assert!(below.contains(&&told), "{news:?}");
        // A loss that is told only now, as the server was soon back, stands above.
        session.patience = Duration::from_secs(9);
        session.lost("reset");
        session.connected();
        hear(&mut session, &["* hello alice x 2 online"]);
        let mut news = shown(&mut session);
        news.extend(shown_after_past(&mut session));
        let at = |text: &str| news.iter().position(|news| matches!(news, News::Note(note) if note.starts_with(text)));
        assert!(at("the connection is lost: reset").is_some_and(|lost| at("connected again") > Some(lost)), "{news:?}");
    }

    #[test]
    fn why_one_is_called_otherwise_is_told_below_what_was_said_before() {
        let rooms = ["#a", "#locked"].map(|room| RoomName::new(room).unwrap()).to_vec();
        for person in [true, false] {
            let nick = crate::names::Nick::new("alice").ok();
            let rooms = rooms.clone();
            let mut session = Session::new(Wish { nick, rooms, person, stays: true, ..Wish::default() });
            session.connected();
            hear(&mut session, &["* hello guest1 x 2 online"]);
            let news = shown_after_past(&mut session);
            let last = news.iter().rposition(|news| matches!(news, News::Said { .. })).unwrap();
            let why = "alice is somebody else; choose another name; you are guest1 now";
            for told in [why, "#locked has a key"] {
                assert!(news[last + 1..].contains(&News::Refused(told.to_owned())), "{told}: {news:?}");
            }
        }
    }

    #[test]
    fn what_was_settled_is_settled_again() {
        let mut session = online(&["#a"]);
        let now = Instant::now();
        for line in ["/join #b", "/query bob", "/ignore carol", "/away at sea"] {
            session.typed(line, now);
            answer(&mut session);
        }
        session.lost("gone");
        session.connected();
        hear(&mut session, &["* hello alice x 900 online"]);
        let want = [
            "/set whole on",
            "/set echo on",
            "/set stamp on",
            "/ignore carol",
            "/join #a",
            "/join #b",
            "/away at sea",
            "/files",
            "/ping restored",
        ];
        assert_eq!(sent(&mut session), want);
        assert_eq!(session.talks.target(), None, "bob may be somebody else");
    }

    #[test]
    fn what_was_typed_for_a_room_that_had_rules_is_not_said_where_these_are_gone() {
        let now = Instant::now();
        // How it is known that the room was closed, and what is told of it.
        for (line, told, named) in [
            ("/room invite-only on", "+ room #b invite-only on", "invite-only"),
            ("/who", "#b * bob set key on", "key"),
            ("/who", "#b * bob set past off", "past"),
            ("/join #b", "- rules hidden moderated\n+ join #b 2", "hidden"),
        ] {
            for (rules, count, why) in
                [("", 1, "you made it anew"), ("- rules moderated", 2, "it was made anew, or an op changed that")]
            {
                let mut session = online(&["#a", "#b"]);
                session.typed(line, now);
                hear(&mut session, &told.split('\n').collect::<Vec<_>>());
                answer(&mut session);
                session.typed("before", now);
                sent(&mut session);
                session.lost("gone");
                for line in ["psst", "/msg #a hi", "/topic secrets", "/join #b", "and on"] {
                    assert_eq!(session.typed(line, now), Taken::Yes, "{line}");
                }
                shown(&mut session);
                session.connected();
                hear(&mut session, &["* hello alice x 2 online", "+ who 1 2", "+ set whole on", "+ set echo on"]);
                hear(&mut session, &["+ set stamp on", "+ join #a 1", rules, &format!("+ join #b {count}")]);
                let why = format!("in #b no longer holds: {named}; {why}, and /room #b tells how it is");
                let refused = |text: &str| News::Refused(text.to_owned());
                assert_eq!(session.unsent().collect::<Vec<_>>(), ["#a hi"]);
                // It is told below what was said in both rooms meanwhile.
                assert_eq!(shown(&mut session), []);
                hear(&mut session, &["+ query #b", "! who no-such-nick alice is not here", "+ files 0"]);
                hear(&mut session, &["+ ping restored", "+ op #a 0", "+ history #a 0", "+ op #b 0", "+ history #b 0"]);
                let want = [
                    News::Note("connected again".to_owned()),
                    News::Note(why),
                    refused("the connection broke, and #b may not have got this: before"),
                    refused("others may read #b now, and it has not got this: psst"),
                    refused("/topic secrets is not done: others may read #b now; type it again if they may"),
                    refused("/join #b is not done: others may read #b now; type it again if they may"),
                    refused("so this is not said: and on"),
                ];
                assert_eq!(shown(&mut session), want);
                let opened = TransferAnswer::Opened(RoomName::new("#b").unwrap());
                assert!(std::iter::from_fn(|| session.poll_answer()).any(|answer| answer == opened));
            }
        }
    }

    #[test]
    fn what_was_typed_is_said_where_a_room_is_as_open_as_it_was() {
        for (told, rules) in [
            ("#b * bob set invite-only on", "- rules invite-only key"),
            ("#b * bob set moderated on", ""),
            ("#b * bob set invite-only off", ""),
            ("#b * bob set past on", ""),
        ] {
            let mut session = online(&["#b"]);
            hear(&mut session, &[told]);
            session.lost("gone");
            session.typed("psst", Instant::now());
            shown(&mut session);
            session.connected();
            hear(&mut session, &["* hello alice x 2 online", "+ who 1 2", "+ set whole on", "+ set echo on"]);
            hear(&mut session, &["+ set stamp on", rules, "+ join #b 1"]);
            assert_eq!(shown(&mut session), [], "{told}");
            assert_eq!(session.unsent().collect::<Vec<_>>(), ["#b psst"]);
        }
    }

    #[test]
    fn a_room_is_entered_again_with_the_key_by_which_it_was_entered() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        for (line, reply) in [
            ("/join #b sesame", "+ join #b 1"),
            ("/join #c sesame", "+ join #c 1"),
            ("/join #d guess", "! join bad-key #d has a key"),
            ("/leave #c", "+ leave #c"),
        ] {
            session.typed(line, now);
            hear(&mut session, &[reply]);
            answer(&mut session);
        }
        session.lost("gone");
        session.connected();
        hear(&mut session, &["* hello alice x 900 online"]);
        let joins: Vec<String> = sent(&mut session).into_iter().filter(|line| line.starts_with("/join ")).collect();
        assert_eq!(joins, ["/join #a", "/join #b sesame"]);
    }

    #[test]
    fn who_comes_back_later_than_we_do_is_ignored_again() {
        let (mut session, now) = (online(&[]), Instant::now());
        for line in ["/ignore bob", "/ignore carol"] {
            session.typed(line, now);
            answer(&mut session);
        }
        session.lost("gone");
        session.connected();
        hear(
            &mut session,
            &["* hello alice x 1 online", "+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"],
        );
        sent(&mut session);
        hear(&mut session, &["! ignore no-such-nick bob is not here", "! ignore no-such-nick carol is not here"]);
        hear(&mut session, &["+ ping restored", "* presence 2 +bob"]);
        assert_eq!(sent(&mut session), ["/ignore bob"]);
        hear(&mut session, &["+ ignore bob", "* presence 3 -bob", "* presence 4 +bob"]);
        assert!(sent(&mut session).is_empty(), "who has gone while we were here may be somebody else");
        session.tick(now + LIMBO + AGAIN);
        hear(&mut session, &["* presence 5 +carol"]);
        assert!(sent(&mut session).is_empty(), "after so long, it may be somebody else");
    }

    #[test]
    fn while_the_place_is_kept_what_is_typed_waits_and_little_is_told() {
        let (mut session, start) = (online(&["#a", "#b"]), Instant::now());
        let minute = Duration::from_secs(60);
        session.typed("before", start);
        assert_eq!(sent(&mut session), ["/msg #b before"]);
        session.lost_and_kept("reset", minute, start);
        session.lost_and_kept("refused", minute, start + BLINK);
        assert!(!session.is_online() && !session.is_in());
        session.typed("after", start);
        session.keystroke("x", start);
        assert!(session.walk(1));
        session.ask_alive();
        session.tick(start + minute - BLINK);
        assert_eq!((sent(&mut session).len(), shown(&mut session).len()), (0, 0));
        // Whoever went elsewhere is there now; what was typed before that goes where it was meant for.
        session.taken_up(start + BLINK);
        assert_eq!(sent(&mut session), ["/query #a", "/msg #b after"]);
        let told = "the connection was lost for 2 seconds, and is back";
        assert_eq!(shown(&mut session), [News::Note(told.to_owned())]);
        hear(&mut session, &["+ msg #b", "+ query #a", "+ msg #b"]);
        assert!(session.asked.is_empty());
        // Who wants to leave does so when all is said.
        session.lost_and_kept("reset", minute, start);
        assert!(session.is_blinking(start) && !session.is_blinking(start + BLINK));
        for line in ["last words", "/quit"] {
            assert_eq!(session.typed(line, start), Taken::Yes);
        }
        session.taken_up(start);
        assert_eq!(sent(&mut session), ["/msg #a last words", "/quit"]);
        assert!(session.is_quitting());
        session.quitting = false;
        hear(&mut session, &["+ msg #a", "+ quit"]);
        // Nobody need know of a moment.
        session.lost_and_kept("reset", minute, start);
        session.taken_up(start + BLINK / 2);
        assert_eq!((sent(&mut session).len(), shown(&mut session).len()), (0, 0));
    }

    #[test]
    fn a_place_that_is_gone_is_a_loss_and_a_long_one_is_told_before() {
        let minute = Duration::from_secs(60);
        for is_long in [true, false] {
            let (mut session, start) = (online(&["#a"]), Instant::now());
            let lost = News::Note("the connection is lost: reset; trying to get another".to_owned());
            session.typed("one", start);
            sent(&mut session);
            session.lost_and_kept("reset", minute, start);
            if is_long {
                assert_eq!(session.next_tick(), Some(start + minute));
                session.tick(start + minute);
                assert_eq!((shown(&mut session), session.next_tick()), (vec![lost.clone()], None));
            }
            session.typed("two", start);
            session.lost("");
            assert_eq!(shown(&mut session), if is_long { vec![] } else { vec![lost] });
            session.connected();
            hear(&mut session, &["* hello alice x 900 online"]);
            assert!(sent(&mut session).contains(&"/join #a".to_owned()), "one comes in anew");
            assert_eq!((session.limbo.len(), session.waiting.len()), (1, 1));
        }
        // However long it took, the place may still be there.
        let (mut session, start) = (online(&["#a"]), Instant::now());
        session.lost_and_kept("reset", minute, start);
        session.tick(start + minute);
        shown(&mut session);
        session.taken_up(start + 2 * minute);
        let told = "the connection was lost for 120 seconds, and is back";
        assert_eq!(shown(&mut session), [News::Note(told.to_owned())]);
    }

    #[test]
    fn a_loss_that_nothing_else_shows_is_told_soon() {
        let (mut session, start) = (online(&["#a"]), Instant::now());
        session.patience = 2 * BLINK;
        session.lost_and_kept("reset", Duration::from_secs(60), start);
        session.tick(start + BLINK);
        assert_eq!(shown(&mut session), []);
        assert_eq!(session.next_tick(), Some(start + 2 * BLINK));
        session.tick(start + 2 * BLINK);
        let told = |text: &str| [News::Note(text.to_owned())];
        assert_eq!(shown(&mut session), told("the connection is lost: reset; trying to get another"));
        session.taken_up(start + 20 * BLINK);
        assert_eq!(shown(&mut session), told("the connection was lost for 40 seconds, and is back"));
    }

    #[test]
    fn a_server_that_is_away_behind_a_relay_is_told_of_once() {
        let mut session = online(&["#a"]);
        for (why, is_told) in
            [("closed", true), ("closed", false), ("reset", true), ("closed", false), ("reset", false)]
        {
            session.lost(why);
            let want = is_told.then(|| News::Note(format!("the connection is lost: {why}; trying to get another")));
            assert_eq!(shown(&mut session), Vec::from_iter(want));
            session.connected();
        }
        // The next loss is another one.
        hear(&mut session, &["* hello alice x 1 online"]);
        while !session.is_online() || !session.asked.is_empty() {
            answer(&mut session);
        }
        shown(&mut session);
        session.lost("closed");
        assert_eq!(shown(&mut session).len(), 1);
    }

    #[test]
    fn who_leaves_has_lost_nothing() {
        let mut session = online(&["#a"]);
        session.typed("/quit", Instant::now());
        assert_eq!(sent(&mut session), ["/quit"]);
        hear(&mut session, &["+ quit"]);
        session.lost("the server closed it");
        assert!(shown(&mut session).iter().all(|news| !matches!(news, News::Note(_) | News::Refused(_))));
    }
}
