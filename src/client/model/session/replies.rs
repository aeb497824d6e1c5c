//! What the server answers.

use std::time::Duration;

use super::deeds::deed;
use super::login::key_of;
use super::own::{OWN, OWN_GROUP, SHOW, own_help};
use super::rows::{of_join, row};
use super::secret::Secret;
use super::typed::name;
use super::{Asked, Entry, Message, Pending, Session, cut, people};
use crate::client::model::news::{Age, Found, Mark, News, TransferAnswer, mark_of};
use crate::client::model::seen::Line;
use crate::commands;
use crate::names::{Nick, Place, RoomName};
use crate::text::counted;
use crate::wire::{Code, Detail, Done, Rank, Standing, Value};

/// Commands whose details say all, so that their count need not be told.
const LISTS: &[&str] = &[
    "bans", "blocks", "files", "help", "history", "ignore", "limits", "metrics", "op", "operator", "room", "rooms",
    "server", "set", "where", "who",
];
/// Why a transfer does not begin that the server did not refuse.
const NONSENSE: &str = "the server's answer makes no sense";
/// How many of those are told who are in a room that is entered, and how many on a line.
const HERE: usize = 100;
const HERE_ON_A_LINE: usize = 20;
/// How many rows there may be of a room that is entered besides who is there.
const ROWS: usize = 10;
/// Of how many places it is told that files were shared there meanwhile.
const PLACES: usize = 20;
/// How many people may have a rank in a room, as far as they are told apart.
const RANKED: usize = 500;
/// How many files there may be for us: so many as the server keeps.
const FILES: usize = 1_000;

/// Whether a reply names just what this line of ours is about; `None` where either of them names nothing.
fn names_the_same(line: &str, done: &Done<'_>) -> Option<bool> {
    let (asked, told) = (cut(line).1.trim_start(), done.to_string());
    let (asked, told) = (cut(asked).0, cut(cut(&told).1).0);
    let is_named = match done.command() {
        "nick" | "join" | "query" | "msg" | "get" | "cancel" | "ignore" | "unignore" | "ping" | "set" => {
            !asked.is_empty()
        }
        // The place may be left out.
        "leave" | "topic" | "history" | "typing" | "op" => asked.starts_with(['#', '@']),
        _ => false,
    };
    (is_named && !told.is_empty())
        .then(|| told.trim_start_matches('@').eq_ignore_ascii_case(asked.trim_start_matches('@')))
}

/// Whether a line has this command, or both are newer than this program.
pub(super) fn is_of(line: &str, command: &str) -> bool {
    commands::find(command).map_or("", |spec| spec.name) == name(line)
}

/// Whether a command is for operators alone.
fn is_of_operators(command: &str) -> bool {
    commands::find(command).is_some_and(|spec| spec.verb.is_of_operators())
}

/// Which messages a line takes back that begins with `/erase`: from this one to that.
fn erased(line: &str) -> (u64, u64) {
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    let first = numbers.next().unwrap_or(u64::MAX);
    (first, numbers.next().unwrap_or(first))
}

impl Session {
    pub(super) fn detail(&mut self, text: &str) {
        let command = self.asked.front().map_or("", |asked| name(&asked.line));
        match Detail::parse("join", text) {
            Detail::Here(nicks) => nicks.iter().for_each(|nick| self.talks.meet(*nick)),
            Detail::Rules(rules) if command == "join" => self.entry.rules = rules.to_owned(),
            _ => {}
        }
        if let Detail::In { room, .. } = Detail::parse("login", text)
            && command == "login"
            && !matches!(self.asked.front(), Some(Asked { pending: Pending::Old(_), .. }))
        {
            // It is told when it is entered.
            return self.logged_into(room);
        }
        // Who is there is told with their ranks, which come next, and so is the rest of it, before what was said there.
        let is_shown = self.asked.front().is_some_and(|asked| match asked.pending {
            Pending::Typed(_) => true,
            Pending::Join(room) => self.first || self.is_found(room),
            _ => false,
        });
        if command == "join" && is_shown {
            match Detail::parse("join", text) {
                Detail::Here(nicks) => {
                    let here = &mut self.entry.here;
                    here.extend(nicks.iter().take(HERE.saturating_sub(here.len())));
                }
                _ if self.entry.rows.len() < ROWS => self.entry.rows.push(text.to_owned()),
                _ => {}
            }
            return;
        }
        match self.asked.front_mut().map(|asked| &mut asked.pending) {
            Some(Pending::Typed(line)) => {
                self.details += 1;
                let command = name(line);
                let is_first = self.details == 1;
                let place = RoomName::new(cut(cut(line).1).0).ok().map(Place::Room).or(self.talks.target());
                match Detail::parse(command, text) {
                    Detail::Room { room, .. } => self.talks.hear_of(room),
                    Detail::File { file, .. } => self.talks.hear_of_file(file),
                    _ => {}
                }
                self.is_operator |= command == "help" && is_of_operators(cut(text).0);
                match (Detail::parse(command, text), place) {
                    (Detail::Line { seq, at, from, text }, Some(place)) => {
                        if let Place::Room(room) = place {
                            if is_first && seq > 1 {
                                self.take_shared(room, Some(at));
                            }
                            self.tell_shared(room, Some(at));
                        }
                        let mark = if Some(from) == self.nick { Mark::Own } else { Mark::Plain };
                        let rank = self.talks.ranks(place).and_then(|ranks| ranks.of(from));
                        let (at, text, number) = (Some(at), text.to_owned(), Some(seq));
                        let news = News::Said { place, at, from, text, mark, age: Age::Past, rank, number };
                        self.heard.keep_once(&news, seq);
                        self.news.push_back(news);
                    }
                    (Detail::Who { nick, .. }, Some(Place::Room(room))) if line.contains('#') => {
                        let rank = self.talks.room(room).and_then(|talk| talk.ranks.of(nick));
                        let text = row(command, text).unwrap_or_else(|| text.to_owned());
                        self.answer(format!("{}{text}", rank.map_or("", mark_of)));
                    }
                    _ => match own_help(text, self.logins.person).filter(|_| ["help", "set"].contains(&command)) {
                        Some(lines) => {
                            let lines = lines.iter().filter(|line| !self.is_spoken || **line != SHOW);
                            lines
                                .copied()
                                .collect::<Vec<_>>()
                                .into_iter()
                                .for_each(|line| self.answer(line.to_owned()));
                        }
                        None => self.answer(row(command, text).unwrap_or_else(|| text.to_owned())),
                    },
                }
            }
            Some(Pending::Who) => {
                if let Detail::Who { nick, .. } = Detail::parse("who", text) {
                    self.talks.meet(nick);
                }
            }
            Some(Pending::Ranks { told, .. }) => {
                if let Detail::Ranked { rank, nick } = Detail::parse("op", text)
                    && told.len() < RANKED
                {
                    told.push((nick, rank));
                }
            }
            Some(Pending::Ways(ways)) => {
                if let Detail::Ways(count) = Detail::parse("account", text) {
                    *ways = count;
                }
            }
            Some(Pending::Files(_, wanted, found)) => {
                if let Detail::File { file, size, name, coming, .. } = Detail::parse("files", text)
                    && file == *wanted
                {
                    *found = Some(Found { size, name: name.to_owned(), is_ready: !coming });
                }
            }
            Some(Pending::Shared(files)) => {
                if let Detail::File { file, size, sender: from, place, age, name, .. } = Detail::parse("files", text)
                    && files.len() < FILES
                {
                    let (at, name) = (self.clock.checked_sub(Duration::from_secs(age)), name.to_owned());
                    files.push(News::File { place, at, from, file, size, name, age: Age::Past });
                }
            }
            Some(Pending::Missed(away, found)) => {
                if let Detail::File { file, size, sender, place, age, name, .. } = Detail::parse("files", text)
                    && age <= *away
                    && !self.told_files.iter().any(|told| (told.0, told.1, &*told.2) == (file, size, name))
                    && Some(sender) != self.nick
                {
                    let at = found.iter().position(|(at, _)| *at == place);
                    if let Some((_, count)) = at.and_then(|at| found.get_mut(at)) {
                        *count += 1;
                    } else if found.len() < PLACES {
                        found.push((place, 1));
                    }
                }
            }
            Some(Pending::Limits(largest)) => match Detail::parse("limits", text) {
                Detail::Limit { name: "file", value: Value::Count(count), .. } => *largest = Some(count),
                Detail::Limit { name: "file-ttl", value: Value::Seconds(time), .. } => self.file_ttl = Some(time),
                _ => {}
            },
            Some(&mut Pending::Search { room, ref mut past, .. }) => {
                let Detail::Line { seq, at, from, text } = Detail::parse("history", text) else { return };
                let mark = if Some(from) == self.nick { Mark::Own } else { Mark::Plain };
                let (place, at, text) = (Place::Room(room), Some(at), text.to_owned());
                past.push(News::Said { place, at, from, text, mark, age: Age::Past, rank: None, number: Some(seq) });
            }
            Some(&mut Pending::History(room)) => {
                let Detail::Line { seq, at, from, text } = Detail::parse("history", text) else { return };
                let line = Line { seq, at, from, text: text.to_owned() };
                let before = self.talks.room(room).and_then(|talk| talk.seen.last_at());
                if let Some(line) = self.talks.room(room).and_then(|talk| talk.seen.past(line)) {
                    self.tell_above(room);
                    if before.is_none() && line.seq > 1 {
                        // They stand among what is not shown either.
                        self.take_shared(room, Some(line.at));
                    }
                    self.lead_to(room, before, line.at);
                    self.show(Place::Room(room), Some(line.seq), Some(line.at), line.from, line.text, Age::Past);
                }
            }
            _ => {}
        }
    }

    /// What the line was for that this answers: the first that has no answer, if the answer fits. A stray line would else be
    /// taken for its answer, and each answer after it for that to the line before.
    ///
    /// An answer to a later line that names what that line is about shows that those before it get none any more.
    fn answered_by(&mut self, done: &Done<'_>) -> Option<Pending> {
        let is_of = |asked: &Asked| is_of(&asked.line, done.command());
        let first = self.asked.front()?;
        let at = if is_of(first) && names_the_same(&first.line, done) != Some(false) {
            0
        } else {
            self.asked.iter().position(|asked| is_of(asked) && names_the_same(&asked.line, done) == Some(true))?
        };
        for Asked { line, pending, .. } in self.asked.drain(..at).collect::<Vec<_>>() {
            match pending {
                Pending::Said => {
                    if let Some(Message { place, text, .. }) = self.sent.pop_front() {
                        self.refuse(format!("there was no answer, and {place} may not have got this: {text}"));
                    }
                }
                pending => {
                    self.turned_down(pending, Code::Other(""), &format!("{}: there was no answer", cut(&line).0))
                }
            }
        }
        self.asked.pop_front().map(|asked| asked.pending)
    }

    pub(super) fn done(&mut self, done: Done<'_>) {
        let Some(pending) = self.answered_by(&done) else { return };
        self.is_operator |= is_of_operators(done.command());
        // Whether there is more that tells it.
        let mut is_told = false;
        let mut is_nowhere = false;
        match done {
            Done::Nick(nick) => self.called(nick),
            // It was only tried.
            Done::Login(_) if matches!(pending, Pending::Old(_)) => {}
            Done::Login(nick) => {
                // Who was asked who they are, or has a token that was kept, has no other line to tell them.
                let is_news = self.first || self.regaining || self.wanted != Some(nick);
                if is_news && matches!(pending, Pending::Login(..)) {
                    self.answer(format!("you are {nick}"));
                }
                let is_kept = matches!(pending, Pending::Login(_, Some(_)));
                let is_first = self.first;
                self.logged_in(nick, is_kept);
                // Who came by an invitation may have no password, which the server tells with that.
                let is_typed = match &pending {
                    Pending::Typed(line) => line.contains(" token:"),
                    Pending::Login(_, proof) => proof.is_none() && self.logins.is_invited,
                    _ => false,
                };
                if self.logins.person && self.is_in() && (is_kept && is_first || is_typed) {
                    self.ask("/account", Pending::Quiet);
                }
            }
            Done::Register(nick) => self.ask_token(nick),
            Done::Passwd | Done::TokenOff | Done::Drop(_) => {
                // With these all tokens end.
                if let Some(nick) = self.owner().or(self.nick) {
                    self.logins.forget(nick);
                    match done {
                        Done::Passwd => {
                            self.logins.without_password = None;
                            self.ask_token(nick);
                        }
                        Done::Drop(nick) => self.became_guest(nick),
                        _ => {}
                    }
                }
            }
            Done::Logout(nick) => self.became_guest(nick),
            Done::OfMember { command, room, nick } => self.ranked_by_us(command, room, nick),
            Done::Count { command: "erase", room, .. } => {
                if let Pending::Typed(line) = &pending {
                    let (first, last) = erased(line);
                    self.heard.forget(room, first, last);
                }
            }
            Done::Join { room, count } => {
                let (place, is_new) = (Place::Room(room), self.talks.room(room).is_none());
                if let Pending::Typed(line) = &pending {
                    self.note_key(room, line);
                    self.go_to(place);
                }
                let mut entry = Entry { count, ..std::mem::take(&mut self.entry) };
                is_told = !entry.here.is_empty();
                entry.wants_key = matches!(&pending, Pending::Typed(line) if key_of(line).is_some())
                    && is_new
                    && entry.rules.split(' ').all(|rule| rule != "key");
                let gone = self.talks.room(room).map(|talk| talk.set_rules(&entry.rules)).unwrap_or_default();
                if !gone.is_empty() && matches!(pending, Pending::Join(_)) {
                    self.tell_opened(room, &gone, count);
                }
                if is_new || matches!(pending, Pending::Join(_)) {
                    self.entered(room, entry);
                } else {
                    self.ask_ranks(room, entry);
                }
            }
            Done::Leave(room) => {
                self.room_keys.retain(|(known, _)| *known != room);
                is_nowhere = self.close(Place::Room(room));
            }
            Done::Query(place) if matches!(pending, Pending::Typed(_)) => {
                self.go_to(place);
                self.told_target = Some(place);
            }
            Done::Room { room, rule: Some((rule, value)) } => {
                self.talks.room(room).into_iter().for_each(|talk| talk.set_rule(rule, value));
            }
            Done::Ignore(nick) if !self.ignored.contains(&nick) => self.ignored.push(nick),
            Done::Unignore(nick) => self.ignored.retain(|ignored| *ignored != nick),
            Done::Back => self.away = None,
            // Who comes and goes is told no more, or was not.
            Done::Set("presence", is_on) => {
                self.knows_all = false;
                self.talks.forget_present();
                if is_on {
                    self.ask("/who", Pending::Who);
                }
            }
            _ => {}
        }
        match pending {
            Pending::Who => self.knows_all = !self.without_presence,
            Pending::Token(nick) => {
                if let Done::Token(token) = done {
                    self.got_token(nick, token);
                }
            }
            Pending::Owned(nick) => self.token_refused(nick, matches!(done, Done::Account(_, Standing::Owned)), None),
            // It was one of an owner after all.
            Pending::Probe(nick, is_known) => self.ask_password(nick, is_known),
            Pending::MaySend => self.await_secret(Secret::New { of: "register", old: None, first: None }),
            Pending::Old(old) => self.await_secret(Secret::New { of: "passwd", old: Some(old), first: None }),
            Pending::Ranks { room, entry, told } => {
                self.talks.room(room).into_iter().for_each(|talk| talk.ranks.replace(&told));
                self.tell_rank_lost(room);
                self.tell_entry(room, &entry);
            }
            Pending::Quiet
            | Pending::Expected(_)
            | Pending::Login(..)
            | Pending::Nick
            | Pending::Ignore(_)
            | Pending::Join(_)
            | Pending::Query => {}
            Pending::Ways(ways) => self.has_ways(ways),
            // We may have taken the name ourselves, so nobody else had it any more.
            Pending::Ghost(ghost) => self.ghosts.retain(|known| *known != ghost || Some(ghost) != self.nick),
            Pending::Typed(line) => {
                let command = done.command();
                if command == "away" {
                    self.away = Some(cut(&line).1.to_owned());
                }
                let is_one = matches!(
                    done,
                    Done::Set(..)
                        | Done::Ignore(_)
                        | Done::OfMember { .. }
                        | Done::Operator(..)
                        | Done::Room { rule: Some(_), .. }
                );
                let is_list = LISTS.contains(&command) && !is_one;
                if let Done::History { room, .. } = done {
                    // More may follow on the first after a number.
                    if !line.to_ascii_lowercase().contains(" after ") {
                        self.tell_shared(room, None);
                    }
                    self.shared.clear();
                }
                match std::mem::take(&mut self.details) {
                    // The row has told it already.
                    1.. if matches!(done, Done::Room { rule: Some(_), .. }) => {}
                    _ if is_told => {}
                    _ if !is_list => {
                        let deed = match &done {
                            // Nobody else can be called so.
                            Done::Account(nick, Standing::Owned)
                                if [self.nick, self.owner()].contains(&Some(*nick)) =>
                            {
                                let lack = "; it has no password yet, and /passwd gives it one";
                                Some(format!("{nick} belongs to you{}", if self.lacks_password() { lack } else { "" }))
                            }
                            done => deed(&line, done),
                        };
                        let deed = deed.unwrap_or_else(|| done.to_string());
                        let nowhere = if is_nowhere { format!("; {}", self.nowhere()) } else { String::new() };
                        let text = format!("{deed}{nowhere}");
                        // Of what was not there nothing has been done.
                        let is_nothing = matches!(done, Done::Count { command: "erase", count: 0, .. });
                        self.news.push_back(if is_nothing { News::Note(text) } else { News::Done(text) });
                    }
                    0 => self.answer(format!("{command}: none")),
                    _ if command == "help" && !line.contains(' ') => {
                        self.answer(OWN_GROUP.to_owned());
                        OWN[1..].iter().for_each(|(_, help)| self.answer((*help).to_owned()));
                        self.answer(self.keys.to_owned());
                    }
                    _ => {}
                }
            }
            Pending::Said => drop(self.sent.pop_front()),
            Pending::Password(password) => self.unlocked(password),
            Pending::History(room) => {
                let was_missing = self.missing_rooms.contains(&room);
                self.missing_rooms.retain(|missing| *missing != room);
                // The server knows more rooms than those that it has in memory.
                // Nor has it a room in memory that is somebody's and in which nobody has spoken. Who makes a room has a rank there.
                let rank = self.nick.zip(self.talks.ranks(Place::Room(room))).and_then(|(nick, ranks)| ranks.of(nick));
                if was_missing && rank.is_some() && matches!(done, Done::History { count: 0, .. }) {
                    let how = self.expects_rooms.unwrap_or_default();
                    self.note(format!(
                        "is {room} the right room? it was not there before, and nobody else is in it{how}"
                    ));
                }
                self.tell_shared(room, None);
                if let Some(next) = self.talks.room(room).map(|talk| talk.seen.answered()) {
                    self.fetched(room, next);
                }
            }
            Pending::Search { room, word, past } => self.found(&word, Some(room), past),
            Pending::Shared(files) => match self.asked.front_mut().map(|asked| &mut asked.pending) {
                Some(Pending::Search { past, .. }) => past.extend(files),
                Some(Pending::Typed(line)) if name(line) == "history" => self.shared = files,
                _ => self.shared = self.not_told(files),
            },
            Pending::Restored => self.restored = true,
            Pending::Send(key) => self.answers.push_back(match done {
                Done::Send { file, offset } => TransferAnswer::Sending { key, file, offset },
                _ => TransferAnswer::NotSent(key, NONSENSE.to_owned()),
            }),
            Pending::Get(key) => self.answers.push_back(match done {
                Done::Get { offset, size, name, .. } => {
                    TransferAnswer::Coming { key, offset, size, name: name.to_owned() }
                }
                _ => TransferAnswer::NotComing(key, NONSENSE.to_owned()),
            }),
            Pending::Missed(_, found) => {
                for (place, count) in found {
                    let files = counted(count, "file");
                    self.note(format!("shared with {place} while you missed it: {files}; /files {place} tells more"));
                }
            }
            // Whoever does not tell it may take anything.
            Pending::Limits(largest) => self.answers.push_back(TransferAnswer::Largest(largest.unwrap_or(u64::MAX))),
            Pending::Files(key, _, found) => self.answers.push_back(TransferAnswer::Found(key, found)),
        }
    }

    /// Tells of a room that was entered what there is to be told, and who is in it.
    pub(super) fn tell_entry(&mut self, room: RoomName, Entry { rows, here, count, wants_key, .. }: &Entry) {
        rows.iter().for_each(|row| self.answer(of_join(room, row)));
        let own = self.nick.and_then(|nick| self.talks.ranks(Place::Room(room))?.of(nick));
        // Whoever makes a room with a key believes that it has that.
        if *wants_key && matches!(own, Some(Rank::Op | Rank::Founder)) {
            self.note(format!("{room} has no key, so anybody may come in; /room {room} key KEY sets one"));
        }
        if self.is_spoken && here.len() > HERE_ON_A_LINE {
            return self.answer(format!("in {room}: {}; /who {room} tells who", people(*count)));
        }
        let ranks = self.talks.ranks(Place::Room(room));
        let name = |nick: &Nick| format!("{}{nick}", ranks.and_then(|ranks| ranks.of(*nick)).map_or("", mark_of));
        let names: Vec<String> = here.iter().map(name).collect();
        for names in names.chunks(HERE_ON_A_LINE) {
            self.answer(format!("in {room}: {}", names.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::client::model::news::Taken;
    use crate::client::model::session::Wish;
    use crate::client::model::session::tests::{hear, online, sent, shown};
    use crate::names::Token;

    #[test]
    fn who_makes_a_room_with_a_key_is_told_that_it_has_none() {
        let hint = "#b has no key, so anybody may come in; /room #b key KEY sets one".to_owned();
        for (line, rows, rank, is_told) in [
            ("/join #b sesame", &["- here alice", "+ join #b 1"][..], "op", true),
            ("/join #b", &["- here alice", "+ join #b 1"], "op", false),
            ("/join #b sesame", &["- here alice", "- rules invite-only key", "+ join #b 1"], "founder", false),
            ("/join #b sesame", &["- here alice bob", "+ join #b 2"], "voice", false),
        ] {
            let mut session = online(&["#a"]);
            session.typed(line, Instant::now());
            hear(&mut session, rows);
            let told = told(&mut session, &[&format!("- {rank} alice"), "+ op #b 1", "+ history #b 0"]);
            assert_eq!(told.contains(&hint), is_told, "{line} {rows:?}: {told:?}");
        }
    }

    #[test]
    fn that_nobody_is_talked_to_is_told_below_what_was_said_before() {
        let rooms = ["#a", "#b"].map(|room| RoomName::new(room).unwrap()).into();
        let mut session = Session::new(Wish { nick: Nick::new("alice").ok(), rooms, stays: true, ..Wish::default() });
        session.connected();
        let coming = ["* hello guest1 x 1 online", "+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"];
        hear(&mut session, &coming);
        hear(&mut session, &["+ nick alice", "+ join #a 1", "! join bad-key #b has a key", "+ ping restored"]);
        let nowhere = "you talk to nobody now; /query #a changes that".to_owned();
        assert!(!told(&mut session, &["+ op #a 0"]).contains(&nowhere));
        let past = told(&mut session, &["- [1@2026-11-30T12:00:00Z] <bob> hi", "+ history #a 1"]);
        assert_eq!(past.last(), Some(&nowhere), "{past:?}");
        let Taken::No(why) = session.typed("hello", Instant::now()) else { panic!("nobody hears that") };
        assert_eq!(why, "nobody hears you here; /query #a first");
    }

    /// What is shown of these lines, as text alone.
    fn told(session: &mut Session, lines: &[&str]) -> Vec<String> {
        hear(session, lines);
        let text = |news| match news {
            News::Answer(text) | News::Done(text) | News::Refused(text) | News::Note(text) => text,
            News::Happened { text, .. } | News::Said { text, .. } => text,
            other => format!("{other:?}"),
        };
        shown(session).into_iter().map(text).collect()
    }

    /// What is shown of this line, once the server has given this reply.
    fn typed(session: &mut Session, line: &str, reply: &[&str]) -> Vec<String> {
        session.typed(line, Instant::now());
        sent(session);
        told(session, reply)
    }

    #[test]
    fn who_has_left_a_room_knows_that_nobody_hears_them() {
        let mut session = online(&["#b", "#a"]);
        let is_told = |told: &[String], text: &str| told.iter().any(|line| line.contains(text));
        let left = typed(&mut session, "/leave", &["+ leave #a"]);
        assert!(is_told(&left, "you talk to nobody now; /query #b"), "{left:?}");
        let left = typed(&mut session, "/leave #b", &["+ leave #b"]);
        assert!(!is_told(&left, "you talk to nobody"), "that was so before: {left:?}");
        let mut session = online(&["#b", "#a"]);
        let left = typed(&mut session, "/leave #b", &["+ leave #b"]);
        assert!(!is_told(&left, "you talk to nobody"), "one talks to #a as before: {left:?}");
        let left = typed(&mut session, "/leave #a", &["+ leave #a"]);
        assert!(is_told(&left, "you talk to nobody now; /join #ROOM or /query NAME"), "{left:?}");
        // Who is put out has not asked for it.
        let mut session = online(&["#b", "#a"]);
        let out = told(&mut session, &["#a * bob kicked alice"]);
        assert!(is_told(&out, "you talk to nobody now; /query #b"), "{out:?}");
    }

    #[test]
    fn what_one_has_done_is_told_in_a_sentence() {
        for (line, reply, want) in [
            ("/op bob", "+ op #a bob", "you made bob an op of #a"),
            ("/deop bob", "+ deop #a bob", "you took the rank of bob in #a"),
            ("/voice bob", "+ voice #a bob", "you made bob a voice of #a"),
            ("/devoice bob", "+ devoice #a bob", "you took the rank of bob in #a"),
            ("/founder bob", "+ founder #a bob", "you made bob the founder of #a"),
            ("/kick bob", "+ kick #a bob", "you put bob out of #a"),
            ("/invite bob", "+ invite #a bob", "you invited bob to #a; who is not here now is told nothing of it"),
            ("/uninvite bob", "+ uninvite #a bob", "you took back that bob is invited to #a"),
            ("/typing bob on", "+ typing bob on", "@bob is told that you are typing"),
            (
                "/typing off",
                "+ typing #a off",
                "#a is told that you are not typing; /set typing off tells nobody from now on",
            ),
            ("/pass sesame", "+ pass", "the server asks for no password now"),
            (
                "/ban mallory",
                "+ ban #a 1 guest:mallory",
                "you banned mallory, a guest, from #a for 1 day (ban 1; /unban #a 1 ends it)",
            ),
            (
                "/ban mallory 1h",
                "+ ban #a 1 guest:mallory connection",
                "you banned mallory, a guest, from #a for 1 hour, on that connection alone (ban 1; /unban #a 1 ends it)",
            ),
            ("/ban bob", "+ ban #a 2 name:bob", "you banned bob from #a (ban 2; /unban #a 2 ends it)"),
            (
                "/mute spam* 90",
                "+ mute #a 3 pattern:spam*",
                "you muted guests called spam* in #a for 90 seconds (mute 3; /unban #a 3 ends it)",
            ),
            ("/unban 3", "+ unban #a 3", "ban or mute 3 of #a is over"),
            ("/room hidden on", "+ room #a hidden on", "you set hidden to on in #a"),
            ("/room hidden", "+ room #a hidden on", "hidden is on in #a"),
            ("/erase 7", "+ erase #a 1", "you took 1 message of #a back"),
            ("/erase 7 9", "+ erase #a 3", "you took 3 messages of #a back"),
            ("/erase 7", "+ erase #a 0", "there is no such message in #a to take back"),
            ("/kill bob", "+ kill bob", "you put bob off the server"),
            ("/wall hi", "+ wall 1", "you told 1 person"),
            ("/wall hi", "+ wall 3", "you told 3 people"),
            ("/revoke bob", "+ revoke bob", "you took the name bob from its owner"),
            ("/operator bob on", "+ operator bob on", "you made bob an operator"),
            ("/operator bob off", "+ operator bob off", "bob is an operator no more"),
            (
                "/block bob",
                "+ block 7 name:bob 1",
                "you let bob come no more; 1 connection was closed (block 7; /unblock 7 ends it)",
            ),
            (
                "/block 203.0.113.5",
                "+ block 8 203.0.113.5/32 2",
                "you let nobody come from 203.0.113.5/32 any more; 2 connections were closed (block 8; /unblock 8 ends it)",
            ),
            ("/unblock 8", "+ unblock 8", "you ended block 8"),
            ("/reload", "+ reload", "the server has read its configuration anew"),
            ("/topic", "+ topic #a", "#a has no topic"),
            ("/topic tea", "+ topic #a tea", "#a is about tea"),
            ("/nick bob", "+ nick bob", "you are bob"),
            ("/away", "+ away", "you are away; /back ends that"),
            ("/back", "+ back", "you are back"),
            ("/set typing on", "+ set typing on", "typing is on"),
            ("/ping 1", "+ ping 1", "ping 1"),
        ] {
            let mut session = online(&["#a"]);
            assert_eq!(typed(&mut session, line, &[reply]), [want], "{line}");
        }
        let mut session = online(&["#a"]);
        let lines = ["- bob 127.0.0.1 secure 2026-11-28T21:14:03Z guest", "+ where bob"];
        assert_eq!(typed(&mut session, "/where bob", &lines).len(), 1, "what the rows say is not said again");
    }

    #[test]
    fn a_kept_token_tells_who_one_is() {
        let nick = Nick::new("alice").unwrap();
        let wish = Wish { nick: Some(nick), tokens: vec![(nick, Token([0; 32]))], person: true, ..Wish::default() };
        let mut session = Session::new(wish);
        let coming = ["* hello guest1 x 1 online", "+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"];
        session.connected();
        let is_told = |told: &[String]| told.iter().any(|line| line == "you are alice");
        assert!(is_told(&told(&mut session, &[&coming[..], &["+ login alice"]].concat())));
        hear(&mut session, &["+ ping restored"]);
        session.lost("gone");
        session.connected();
        let again = told(&mut session, &[&coming[..], &["+ login alice"]].concat());
        assert!(!is_told(&again), "who comes back is told nothing new: {again:?}");
        // Who has been somebody else meanwhile is.
        hear(&mut session, &["+ ping restored"]);
        typed(&mut session, "/nick carol", &["+ nick carol"]);
        typed(&mut session, "/nick alice", &["! nick owned alice belongs to somebody"]);
        assert!(is_told(&told(&mut session, &["+ login alice"])));
    }

    #[test]
    fn a_room_that_is_entered_is_told_once() {
        let mut session = online(&["#a"]);
        let rows = ["- topic tea", "- here alice bob", "+ join #b 2"];
        assert_eq!(typed(&mut session, "/join #b", &rows), [""; 0]);
        let entered = told(&mut session, &["- op bob", "+ op #b 1", "+ history #b 0"]);
        assert_eq!(entered, ["#b is about tea", "in #b: alice @bob"]);
        // Where all is heard, many are only counted.
        session.is_spoken = true;
        for (count, want) in [(2, "in #c: alice p1"), (62, "in #c: 62 people; /who #c tells who")] {
            let others: String = (1..count).map(|n| format!(" p{n}")).collect();
            let rows = [format!("- here alice{others}"), format!("+ join #c {count}"), "+ op #c 0".to_owned()];
            let entered = typed(&mut session, "/join #c", &rows.each_ref().map(String::as_str));
            assert_eq!(entered, [want]);
            typed(&mut session, "/leave #c", &["+ history #c 0", "+ leave #c"]);
        }
    }

    #[test]
    fn nothing_is_done_where_there_is_nothing_to_take_back() {
        let mut session = online(&["#a"]);
        session.typed("/erase 7", Instant::now());
        hear(&mut session, &["+ erase #a 0"]);
        let none = "there is no such message in #a to take back".to_owned();
        assert!(shown(&mut session).contains(&News::Note(none)));
    }

    #[test]
    fn a_room_that_is_closed_to_us_is_told_once_and_by_nobodys_fault() {
        let wish = Wish { rooms: vec![RoomName::new("#a").unwrap()], stays: true, ..Wish::default() };
        let mut session = Session::new(wish);
        session.connected();
        hear(
            &mut session,
            &["* hello alice x 1 online", "+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"],
        );
        shown(&mut session);
        let refused = ["! join banned you are banned from #a", "! query no-such-room there is no room #a"];
        hear(&mut session, &refused);
        let nowhere = News::Note("you talk to nobody now; /join #ROOM or /query NAME changes that".to_owned());
        let banned = News::Refused("you are banned from #a".to_owned());
        assert_eq!(shown(&mut session), [banned, nowhere.clone()]);
        // Who logs out may have to stay outside, and has not asked to come in.
        let mut session = online(&["#a"]);
        typed(&mut session, "/logout", &["+ logout guest1"]);
        hear(
            &mut session,
            &["! join bad-key #a has a key; ask an op of it", "! query no-such-room there is no room #a"],
        );
        let out = News::Note("you are not in #a any more: #a has a key; ask an op of it".to_owned());
        assert_eq!(shown(&mut session), [out, nowhere]);
    }

    #[test]
    fn help_leaves_out_what_the_client_does_by_itself() {
        let mut session = online(&["#a"]);
        let rows = [
            "- yours:",
            "- /set [echo|stamp|presence|typing on|off]  your settings, or change one",
            "- /ping [TOKEN]  are you there?",
            "- /keep [LINES]  keep your place if the connection is lost; LINES have come since",
            "- /resume TOKEN LINES  take up the place that /keep keeps, from line LINES on",
            "+ help",
        ];
        let help = typed(&mut session, "/help", &rows);
        assert!(help.iter().any(|line| line.starts_with("/ping")), "{help:?}");
        let own = ["/keep", "/resume", "echo", "stamp"];
        assert!(!help.iter().any(|line| own.iter().any(|own| line.contains(own))), "{help:?}");
        session.typed("/help keep", Instant::now());
        assert_eq!(sent(&mut session), [""; 0]);
        assert_eq!(told(&mut session, &[]), ["this client keeps your place by itself, and takes it up again"]);
    }

    #[test]
    fn a_rank_that_went_with_the_connection_is_told() {
        let mut session = online(&["#a"]);
        hear(&mut session, &["#a * bob made alice op"]);
        session.lost("gone");
        session.connected();
        hear(&mut session, &["* hello guest1 x 9 online", "+ who 1 1"]);
        hear(&mut session, &["+ set whole on", "+ set echo on", "+ set stamp on", "+ nick alice", "+ join #a 2"]);
        shown(&mut session);
        let news = told(&mut session, &["+ query #a", "+ ping restored", "- op bob", "+ op #a 1"]);
        let lost =
            "you are an op of #a no longer, as the rank of a guest goes with the connection; an op can give it again";
        assert!(news.iter().any(|line| line == lost), "{news:?}");
        // It is told once, and to nobody who has it still.
        session.ask_ranks(RoomName::new("#a").unwrap(), Entry::default());
        let news = told(&mut session, &["+ history #a 0", "- op bob", "+ op #a 1"]);
        assert!(!news.iter().any(|line| line.contains("no longer")), "{news:?}");
    }

    #[test]
    fn where_nobody_is_op_the_operator_gives_a_rank_again() {
        let mut session = online(&["#a"]);
        hear(&mut session, &["#a * bob made alice op"]);
        session.lost("gone");
        session.connected();
        hear(&mut session, &["* hello guest1 x 9 online", "+ who 1 1"]);
        hear(&mut session, &["+ set whole on", "+ set echo on", "+ set stamp on", "+ nick alice", "+ join #a 2"]);
        let news = told(&mut session, &["+ query #a", "+ ping restored", "- voice bob", "+ op #a 1"]);
        let why = "the rank of a guest goes with the connection; the server's operator can give it again";
        assert!(news.iter().any(|line| line.ends_with(why)), "{news:?}");
    }

    #[test]
    fn what_is_ours_is_told_so() {
        let mut session = online(&["#a"]);
        assert_eq!(typed(&mut session, "/account alice", &["+ account alice owned"]), ["alice belongs to you"]);
        assert_eq!(typed(&mut session, "/account bob", &["+ account bob owned"]), ["bob belongs to somebody"]);
        session.ask_cancel(crate::names::FileId(1));
        assert_eq!(told(&mut session, &["+ cancel 1"]), ["file 1 is not shared any more"]);
    }

    #[test]
    fn what_the_server_lists_is_known_for_tab() {
        let mut session = online(&["#a"]);
        told(&mut session, &["@alice * bob invite #secret"]);
        typed(&mut session, "/rooms", &["- #club 3 chess", "+ rooms 1"]);
        let rooms: Vec<String> = session.talks.known_rooms().map(|room| room.to_string()).collect();
        assert_eq!(rooms, ["#a", "#secret", "#club"]);
        // Operators have more commands than others.
        typed(&mut session, "/help", &["- operator:", "- /who  who is there", "+ help 1"]);
        assert!(!session.is_operator);
        typed(&mut session, "/help", &["- /wall TEXT  tell everybody", "+ help 1"]);
        assert!(std::mem::take(&mut session.is_operator));
        typed(&mut session, "/wall hi", &["+ wall"]);
        assert!(session.is_operator);
    }

    #[test]
    fn files_that_were_shared_while_one_was_gone_are_told_of() {
        let (mut session, start) = (online(&["#a"]), Instant::now());
        // What was shown is not missed; but after a restart another file may have its ID.
        for line in ["#a <bob> hi", "#a * bob file 6 13 seen.txt", "#a * bob file 2 99 another.txt"] {
            session.told(crate::wire::ServerLine::parse(line), start);
        }
        session.lost("gone");
        session.connected();
        let later = start + Duration::from_secs(60);
        let coming = ["* hello guest1 x 1 online", "+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"];
        let rows = [
            "- 1 13 bob #a 3600s ready before.txt",
            "- 2 13 bob #a 30s ready one.txt",
            "- 3 13 carol #a 60s coming two.txt",
            "- 4 13 alice #a 20s ready own.txt",
            "- 5 13 bob @bob 20s ready private.txt",
            "- 6 13 bob #a 30s ready seen.txt",
            "+ files 6",
        ];
        for line in coming.iter().chain(&["+ nick alice", "+ join #a 2", "+ query #a"]).chain(&rows) {
            session.told(crate::wire::ServerLine::parse(line), later);
        }
        let past = ["+ ping restored", "+ op #a 0", "+ history #a 0"];
        let told: Vec<String> = told(&mut session, &past).into_iter().filter(|line| line.contains("while")).collect();
        let want = [
            "shared with #a while you missed it: 2 files; /files #a tells more",
            "shared with @bob while you missed it: 1 file; /files @bob tells more",
        ];
        assert_eq!(told, want);
    }

    #[test]
    fn what_was_shown_of_a_room_is_not_shown_again_when_one_comes_back() {
        let mut session = online(&["#a"]);
        let line = |seq: u64, text: &str| format!("[{seq}@2026-11-22T14:3{seq}:00.123Z] <bob> {text}");
        told(&mut session, &[&format!("#a {}", line(1, "one")), &format!("#a {}", line(2, "two"))]);
        for (gone, come, want) in [
            (
                "+ leave #a",
                vec![line(1, "one"), line(2, "two"), line(3, "three")],
                vec!["shown above already: 2 earlier messages of #a", "three"],
            ),
            (
                "+ leave #a",
                vec![line(2, "two"), line(3, "three")],
                vec!["shown above already: 2 earlier messages of #a"],
            ),
            // A room that has begun anew since has other messages under the same numbers.
            ("+ leave #a", vec![line(1, "four").replace(":31:", ":51:")], vec!["four"]),
        ] {
            typed(&mut session, "/leave #a", &[gone]);
            session.typed("/join #a", Instant::now());
            sent(&mut session);
            told(&mut session, &["+ join #a 1"]);
            assert_eq!(sent(&mut session), ["/op #a", "/files", "/history #a 20"]);
            let rows: Vec<String> = come.iter().map(|line| format!("- {line}")).collect();
            let mut lines = vec!["+ op #a 0", "+ files 0"];
            lines.extend(rows.iter().map(String::as_str));
            let count = format!("+ history #a {}", come.len());
            lines.push(&count);
            let mut news = told(&mut session, &lines);
            news.sort();
            assert_eq!(news, want);
        }
    }
}
