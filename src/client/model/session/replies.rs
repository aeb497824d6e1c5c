//! What the server answers.

use super::typed::{moves, name};
use super::{Asked, Message, Pending, Session, cut};
use crate::client::model::news::{Age, Mark, News, TransferAnswer, mark_of};
use crate::client::model::seen::Line;
use crate::commands;
use crate::names::{Nick, Place, RoomName};
use crate::wire::{Code, Detail, Done, Value};

/// What this client does in its own way, with what stands for it in the server's help.
const OWN_HELP: &[(&str, &[&str])] = &[
    ("/send ", &["/send [TARGET] PATH  share the file at PATH"]),
    ("/get ", &["/get ID  fetch a file, and save it", SHOW]),
    ("/cancel ", &["/cancel ID or NAME  stop a transfer, or else withdraw your file"]),
    ("/login ", &["/login NICK  be NICK, whose password you know; it is asked for, and not shown"]),
    ("/quit ", &["/quit [REASON]  leave the server"]),
];
/// Commands whose details say all, so that their count need not be told.
const LISTS: &[&str] = &["bans", "files", "help", "history", "ignore", "limits", "op", "room", "rooms", "set", "who"];
/// Why a transfer does not begin that the server did not refuse.
const NONSENSE: &str = "the server's answer makes no sense";
/// The keys of the screen, told besides the commands.
pub(super) const KEYS: &str = "Tab completes; Ctrl-R looks for a line that you typed; Alt-Left and Alt-Right go through the conversations; Ctrl-D leaves";
/// What the server knows nothing of: commands, and their help.
pub(super) const OWN: &[(&str, &str)] = &[
    ("show", SHOW),
    ("search", "/search WORD  look for WORD in what was shown here and in the history of this room"),
    ("fold", "/fold on|off  tell only how many come and go, as in 4 came, 2 left"),
];
/// What they are called in the list of all commands.
const OWN_GROUP: &str = "this client:";
/// How many of those are told who are in a room that is entered, and how many on a line.
const HERE: usize = 100;
const HERE_ON_A_LINE: usize = 20;
/// How many people may have a rank in a room, as far as they are told apart.
const RANKED: usize = 500;
const SHOW: &str = "/show ID [full]  show a picture, small or as large as there is room";

/// A row of the reply to entering a room, in words.
fn of_join(room: RoomName, row: &str) -> String {
    match Detail::parse("join", row) {
        Detail::Topic(topic) => format!("{room} is about {topic}"),
        Detail::Rules(rules) => format!("what holds in {room}: {rules}; /room tells more"),
        _ => row.to_owned(),
    }
}

/// What stands in the place of a line of the server's help.
fn own_help(text: &str) -> Option<&'static [&'static str]> {
    OWN_HELP.iter().find(|(usage, _)| text.starts_with(usage)).map(|(_, help)| *help)
}

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
fn is_of(line: &str, command: &str) -> bool {
    commands::find(command).map_or("", |spec| spec.name) == name(line)
}

/// Which messages a line takes back that begins with `/erase`: from this one to that.
fn erased(line: &str) -> (u64, u64) {
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    let first = numbers.next().unwrap_or(u64::MAX);
    (first, numbers.next().unwrap_or(first))
}

impl Session {
    pub(super) fn detail(&mut self, text: &str) {
        if let Detail::Here(nicks) = Detail::parse("join", text) {
            nicks.iter().for_each(|nick| self.talks.meet(*nick));
        }
        let command = self.asked.front().map_or("", |asked| name(&asked.line));
        if let Detail::In { room, .. } = Detail::parse("login", text)
            && command == "login"
        {
            self.logged_into(room);
        }
        // Who they are is told with their ranks, which come next.
        let is_shown = self.asked.front().is_some_and(|asked| match asked.pending {
            Pending::Typed(_) => true,
            Pending::Join(_) => self.first,
            _ => false,
        });
        if let Detail::Here(nicks) = Detail::parse("join", text)
            && command == "join"
            && is_shown
        {
            self.here.extend(nicks.iter().take(HERE.saturating_sub(self.here.len())));
            return;
        }
        match self.asked.front_mut().map(|asked| &mut asked.pending) {
            Some(Pending::Typed(line)) => {
                self.details += 1;
                let command = name(line);
                let place = RoomName::new(cut(cut(line).1).0).ok().map(Place::Room).or(self.talks.target());
                match (Detail::parse(command, text), place) {
                    (Detail::Line { seq, at, from, text }, Some(place)) => {
                        let mark = if Some(from) == self.nick { Mark::Own } else { Mark::Plain };
                        let rank = self.talks.ranks(place).and_then(|ranks| ranks.of(from));
                        let (at, text, number) = (Some(at), text.to_owned(), Some(seq));
                        let news = News::Said { place, at, from, text, mark, age: Age::Past, rank, number };
                        self.heard.keep_once(&news, seq);
                        self.news.push_back(news);
                    }
                    (_, Some(Place::Room(room))) if command == "join" => self.answer(of_join(room, text)),
                    (Detail::Who { nick, .. }, Some(Place::Room(room))) if line.contains('#') => {
                        let rank = self.talks.room(room).and_then(|talk| talk.ranks.of(nick));
                        self.answer(format!("{}{text}", rank.map_or("", mark_of)));
                    }
                    _ => match own_help(text).filter(|_| command == "help") {
                        Some(lines) => lines.iter().for_each(|&line| self.answer(line.to_owned())),
                        None => self.answer(text.to_owned()),
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
            Some(&mut Pending::Join(room)) if self.first => self.answer(of_join(room, text)),
            Some(Pending::Files(_, wanted, found)) => {
                if let Detail::File { file, size, name, .. } = Detail::parse("files", text)
                    && file == *wanted
                {
                    *found = Some((size, name.to_owned()));
                }
            }
            Some(Pending::Limits(largest)) => {
                if let Detail::Limit { name: "file", value: Value::Count(count), .. } = Detail::parse("limits", text) {
                    *largest = Some(count);
                }
            }
            Some(&mut Pending::Search { room, ref mut past, .. }) => {
                let Detail::Line { seq, at, from, text } = Detail::parse("history", text) else { return };
                let mark = if Some(from) == self.nick { Mark::Own } else { Mark::Plain };
                let (place, at, text) = (Place::Room(room), Some(at), text.to_owned());
                past.push(News::Said { place, at, from, text, mark, age: Age::Past, rank: None, number: Some(seq) });
            }
            Some(&mut Pending::History(room)) => {
                let Detail::Line { seq, at, from, text } = Detail::parse("history", text) else { return };
                let line = Line { seq, at, from, text: text.to_owned() };
                if let Some(line) = self.talks.room(room).and_then(|talk| talk.seen.past(line)) {
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
        for Asked { line, pending } in self.asked.drain(..at).collect::<Vec<_>>() {
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
        match done {
            Done::Nick(nick) => self.called(nick),
            Done::Login(nick) => self.logged_in(nick, matches!(pending, Pending::Login(_, Some(_)))),
            Done::Register(nick) => self.ask_token(nick),
            Done::Passwd | Done::TokenOff | Done::Drop(_) => {
                // With these all tokens end.
                if let Some(nick) = self.nick {
                    self.logins.forget(nick);
                    match done {
                        Done::Passwd => self.ask_token(nick),
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
            Done::Join { room, .. } => {
                let (place, is_new) = (Place::Room(room), self.talks.room(room).is_none());
                if matches!(pending, Pending::Typed(_)) {
                    self.go_to(place);
                }
                let here = std::mem::take(&mut self.here);
                if is_new || matches!(pending, Pending::Join(_)) {
                    self.entered(room, here);
                } else {
                    self.ask_ranks(room, here);
                }
            }
            Done::Leave(room) => self.talks.close(Place::Room(room)),
            Done::Query(place) if matches!(pending, Pending::Typed(_)) => self.go_to(place),
            Done::Ignore(nick) if !self.ignored.contains(&nick) => self.ignored.push(nick),
            Done::Unignore(nick) => self.ignored.retain(|ignored| *ignored != nick),
            Done::Back => self.away = None,
            _ => {}
        }
        match pending {
            Pending::Who => self.knows_all = true,
            Pending::Token(nick) => {
                if let Done::Token(token) = done {
                    self.got_token(nick, token);
                }
            }
            // It was one of an owner after all.
            Pending::Probe(nick) => self.ask_password(nick),
            Pending::Ranks { room, here, told } => {
                self.talks.room(room).into_iter().for_each(|talk| talk.ranks.replace(&told));
                self.tell_here(room, &here);
            }
            Pending::Quiet
            | Pending::Expected(_)
            | Pending::Login(..)
            | Pending::Nick
            | Pending::Ignore(_)
            | Pending::Join(_)
            | Pending::Query => {}
            // We may have taken the name ourselves, so nobody else had it any more.
            Pending::Ghost(ghost) => self.ghosts.retain(|known| *known != ghost || Some(ghost) != self.nick),
            Pending::Typed(line) => {
                let command = done.command();
                if command == "away" {
                    self.away = Some(cut(&line).1.to_owned());
                }
                let is_one = matches!(
                    done,
                    Done::Set(..) | Done::Ignore(_) | Done::OfMember { .. } | Done::Room { rule: Some(_), .. }
                );
                let is_list = LISTS.contains(&command) && !is_one;
                match std::mem::take(&mut self.details) {
                    _ if !is_list => self.news.push_back(News::Done(done.to_string())),
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
            Pending::Password(password) => {
                self.password = Some(password);
                self.locked = None;
            }
            Pending::History(room) => {
                let was_missing = self.missing_rooms.contains(&room);
                self.missing_rooms.retain(|missing| *missing != room);
                // The server knows more rooms than those that it has in memory.
                if was_missing && matches!(done, Done::History { count: 0, .. }) {
                    let why = "it was not there before, and nobody else is in it; --create says that you mean it";
                    self.note(format!("is {room} the right room? {why}"));
                }
                if let Some(next) = self.talks.room(room).map(|talk| talk.seen.answered()) {
                    self.fetched(room, next);
                }
            }
            Pending::Search { room, word, past } => self.found(&word, Some(room), past),
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
            // Whoever does not tell it may take anything.
            Pending::Limits(largest) => self.answers.push_back(TransferAnswer::Largest(largest.unwrap_or(u64::MAX))),
            Pending::Files(key, _, found) => self.answers.push_back(TransferAnswer::Found(key, found)),
        }
    }

    /// Tells who is in a room that was entered.
    fn tell_here(&mut self, room: RoomName, here: &[Nick]) {
        let ranks = self.talks.ranks(Place::Room(room));
        let name = |nick: &Nick| format!("{}{nick}", ranks.and_then(|ranks| ranks.of(*nick)).map_or("", mark_of));
        let names: Vec<String> = here.iter().map(name).collect();
        for names in names.chunks(HERE_ON_A_LINE) {
            self.answer(format!("in {room}: {}", names.join(" ")));
        }
    }

    pub(super) fn refused(&mut self, command: &str, code: Code<'_>, text: &str) {
        // `?` stands for any line that was not understood.
        let is_answer = self.asked.front().is_some_and(|asked| command == "?" || is_of(&asked.line, command));
        match if is_answer { self.asked.pop_front() } else { None } {
            Some(Asked { pending, .. }) => {
                self.details = 0;
                self.turned_down(pending, code, text);
            }
            None => self.refuse(text.to_owned()),
        }
    }

    fn turned_down(&mut self, pending: Pending, code: Code<'_>, text: &str) {
        match pending {
            Pending::Quiet | Pending::Who | Pending::Restored => self.restored |= matches!(pending, Pending::Restored),
            Pending::Typed(line)
                if code == Code::Owned
                    && name(&line) == "nick"
                    && Nick::new(cut(&line).1.trim()).is_ok_and(|nick| self.owned(nick)) => {}
            Pending::Typed(line) => {
                let name = cut(&line).0;
                self.refuse(if text.starts_with(name) { text.to_owned() } else { format!("{name}: {text}") });
                if moves(&line) {
                    self.stay();
                    self.astray = Some(line);
                }
            }
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
                self.refuse(format!("{}{text}", what.unwrap_or_default()));
            }
            Pending::Nick if code == Code::Owned && self.wanted.is_some_and(|nick| self.owned(nick)) => {}
            Pending::Login(nick, token) => self.not_logged_in(nick, token, code, text),
            Pending::Probe(nick) if code == Code::Insecure => self.insecure(nick, text),
            Pending::Probe(nick) => self.ask_password(nick),
            Pending::Token(nick) => self.note(format!("the next start needs the password of {nick} again: {text}")),
            Pending::Ranks { room, here, .. } => self.tell_here(room, &here),
            Pending::Nick if self.first => {
                self.wanted = self.nick;
                let nick = self.nick.map(|nick| format!("; you are {nick} now")).unwrap_or_default();
                let text = format!("{text}{nick}");
                let yields = self.yields && matches!(code, Code::Taken | Code::Owned | Code::Held);
                if yields {
                    self.note(text)
                } else {
                    self.refuse(text)
                }
                self.settled();
            }
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
            Pending::Join(room) => {
                self.talks.close(Place::Room(room));
                self.refuse(format!("{room}: {text}"));
                self.report_limbo(room);
            }
            Pending::Query => self.refuse(text.to_owned()),
            Pending::History(room) => {
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
            Pending::Get(key) if code == Code::NoSuchFile => self.answers.push_back(TransferAnswer::Gone(key)),
            Pending::Get(key) => self.answers.push_back(TransferAnswer::NotComing(key, text.to_owned())),
            Pending::Files(key, ..) => self.answers.push_back(TransferAnswer::Found(key, None)),
        }
    }
}
