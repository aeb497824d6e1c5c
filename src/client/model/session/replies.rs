//! What the server answers.

use super::typed::moves;
use super::{Pending, Session};
use crate::client::model::news::{Answer, Mark, News};
use crate::client::model::seen::Line;
use crate::client::model::view;
use crate::names::{FileId, Nick, Place, RoomName};

/// What this client does in its own way, with what stands for it in the server's help.
const OWN_HELP: &[(&str, &[&str])] = &[
    ("/send ", &["/send TARGET PATH  share the file at PATH"]),
    ("/get ", &["/get ID  fetch a file, and save it", SHOW]),
    ("/cancel ", &["/cancel ID  stop a transfer, or else withdraw your file"]),
];
/// Commands whose details say all, so that their count need not be told.
const LISTS: &[&str] = &["files", "help", "history", "ignore", "limits", "rooms", "set", "who"];
/// What is told besides the commands.
const KEYS: &str = "Tab completes; Alt-Left and Alt-Right go through the conversations; Ctrl-D leaves";
/// What the server knows nothing of.
pub(super) const SHOW: &str = "/show ID  show a picture";

/// Whether a line that was typed is this command.
fn is(line: &str, command: &str) -> bool {
    view::cut(line).0.eq_ignore_ascii_case(command)
}

/// A detail of entering a room, in words.
fn of_join(room: RoomName, detail: &str) -> String {
    match view::cut(detail) {
        ("here", nicks) => format!("in {room}: {nicks}"),
        ("topic", topic) => format!("{room} is about {topic}"),
        _ => detail.to_owned(),
    }
}

/// What stands in the place of a line of the server's help.
fn own_help(text: &str) -> Option<&'static [&'static str]> {
    OWN_HELP.iter().find(|(usage, _)| text.starts_with(usage)).map(|(_, help)| *help)
}

impl Session {
    pub(super) fn detail(&mut self, text: &str) {
        for name in text.strip_prefix("here ").into_iter().flat_map(|names| names.split(' ')) {
            Nick::new(name).into_iter().for_each(|nick| self.talks.meet(nick));
        }
        match self.pending.front_mut() {
            Some(Pending::Typed(line)) => {
                self.details += 1;
                let place = view::room(view::cut(line).1).map(Place::Room).or(self.talks.target());
                let (is_help, is_join) = (is(line, "/help"), is(line, "/join"));
                match (view::past(text), place) {
                    (Some(past), Some(place)) => self.news.push_back(News::Said {
                        place,
                        at: Some(past.at),
                        from: past.from,
                        text: past.text.to_owned(),
                        mark: if Some(past.from) == self.nick { Mark::Own } else { Mark::Plain },
                    }),
                    (_, Some(Place::Room(room))) if is_join => self.answer(of_join(room, text)),
                    _ => match own_help(text).filter(|_| is_help) {
                        Some(lines) => lines.iter().for_each(|&line| self.answer(line.to_owned())),
                        None => self.answer(text.to_owned()),
                    },
                }
            }
            Some(Pending::Who) => Nick::new(view::cut(text).0).into_iter().for_each(|nick| self.talks.meet(nick)),
            Some(&mut Pending::Join(room)) if self.first => self.answer(of_join(room, text)),
            Some(Pending::Files(_, wanted, found)) => {
                if let Some((_, size, name)) = view::file(text).filter(|(file, ..)| file == wanted) {
                    *found = Some((size, name.to_owned()));
                }
            }
            Some(&mut Pending::History(room)) => {
                let Some(past) = view::past(text) else { return };
                let line = Line { seq: past.seq, at: past.at, from: past.from, text: past.text.to_owned() };
                if let Some(line) = self.talks.room(room).and_then(|talk| talk.seen.past(line)) {
                    self.show(Place::Room(room), Some(line.at), line.from, line.text);
                }
            }
            _ => {}
        }
    }

    pub(super) fn done(&mut self, command: &str, rest: &str) {
        let Some(pending) = self.pending.pop_front() else { return };
        let (first, more) = view::cut(rest);
        match command {
            "nick" => {
                if let Some(nick) = Nick::new(first) {
                    (self.nick, self.wanted, self.regaining) = (Some(nick), Some(nick), false);
                }
            }
            "join" => {
                if let Some(room) = view::room(rest) {
                    let (place, is_new) = (Place::Room(room), self.talks.room(room).is_none());
                    if matches!(pending, Pending::Typed(_)) {
                        self.talks.set_target(Some(place));
                    }
                    if is_new || matches!(pending, Pending::Join(_)) {
                        self.fetch(place);
                    }
                }
            }
            "leave" => view::room(rest).into_iter().for_each(|room| self.talks.close(Place::Room(room))),
            "query" if matches!(pending, Pending::Typed(_)) => {
                self.talks.set_target(Place::new(first).or_else(|| Nick::new(first).map(Place::With)));
            }
            "ignore" if more.is_empty() => {
                self.ignored.extend(Nick::new(first).filter(|nick| !self.ignored.contains(nick)));
            }
            "unignore" => self.ignored.retain(|nick| Some(*nick) != Nick::new(first)),
            "back" => self.away = None,
            _ => {}
        }
        match pending {
            Pending::Who => self.knows_all = true,
            Pending::Quiet | Pending::Nick | Pending::Ignore(_) | Pending::Join(_) | Pending::Query(_) => {}
            // We may have taken the name ourselves, so nobody else had it any more.
            Pending::Ghost(ghost) => self.ghosts.retain(|known| *known != ghost || Some(ghost) != self.nick),
            Pending::Typed(line) => {
                if command == "away" {
                    self.away = Some(view::cut(&line).1.to_owned());
                }
                let is_list =
                    LISTS.contains(&command) && (command != "set" && command != "ignore" || !line.contains(' '));
                match std::mem::take(&mut self.details) {
                    _ if !is_list => self.news.push_back(News::Done(format!("{command} {rest}"))),
                    0 => self.answer(format!("{command}: none")),
                    _ if command == "help" && !line.contains(' ') => self.answer(KEYS.to_owned()),
                    _ => {}
                }
            }
            Pending::Said => drop(self.sent.pop_front()),
            Pending::Password(password) => {
                self.password = Some(password);
                self.locked = false;
            }
            Pending::History(room) => {
                if let Some(next) = self.talks.room(room).map(|talk| talk.seen.answered()) {
                    self.fetched(room, next);
                }
            }
            Pending::Restored => self.restored = true,
            Pending::Send(key) => match (first.parse(), more.parse()) {
                (Ok(file), Ok(offset)) => self.answers.push_back(Answer::Sending { key, file: FileId(file), offset }),
                _ => self.answers.push_back(Answer::NotSent(key, "the server's answer makes no sense".to_owned())),
            },
            Pending::Get(key) => {
                let mut words = more.splitn(3, ' ');
                let offset = words.next().and_then(|word| word.parse().ok());
                let size = words.next().and_then(|word| word.parse().ok());
                self.answers.push_back(match (offset, size, words.next()) {
                    (Some(offset), Some(size), Some(name)) => {
                        Answer::Coming { key, offset, size, name: name.to_owned() }
                    }
                    _ => Answer::NotComing(key, "the server's answer makes no sense".to_owned()),
                });
            }
            Pending::Files(key, _, found) => self.answers.push_back(Answer::Found(key, found)),
        }
    }

    pub(super) fn refused(&mut self, code: &str, text: &str) {
        let Some(pending) = self.pending.pop_front() else { return self.refuse(text.to_owned()) };
        self.details = 0;
        match pending {
            Pending::Quiet | Pending::Who | Pending::Restored => self.restored |= matches!(pending, Pending::Restored),
            Pending::Typed(line) => {
                let name = view::cut(&line).0;
                self.refuse(if text.starts_with(name) { text.to_owned() } else { format!("{name}: {text}") });
                if moves(&line) {
                    self.stay();
                }
            }
            Pending::Ignore(nick) => self.note(format!("{nick} is not here, and so is no longer ignored")),
            Pending::Password(_) => self.refuse(format!("/pass: {text}")),
            Pending::Said => {
                let what =
                    self.sent.pop_front().map(|message| format!("{} has not got “{}”: ", message.place, message.text));
                self.refuse(format!("{}{text}", what.unwrap_or_default()));
            }
            Pending::Nick if self.first => {
                self.wanted = self.nick;
                let nick = self.nick.map(|nick| format!("; you are {nick} now")).unwrap_or_default();
                self.refuse(format!("{text}{nick}"));
            }
            // One guest's name is as good as another's.
            Pending::Nick if self.wanted.is_some_and(|nick| nick.guest_number().is_some()) => {
                (self.wanted, self.regaining) = (self.nick, false);
            }
            Pending::Nick if code == "taken" => {
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
            Pending::Query(place) => {
                if self.talks.target() == Some(place) && matches!(place, Place::With(_)) {
                    self.talks.close(place);
                }
                self.refuse(text.to_owned());
            }
            Pending::History(room) => {
                let is_gone = code == "gone";
                if let Some(talk) = self.talks.room(room) {
                    let next = if is_gone { talk.seen.gone() } else { talk.seen.give_up() };
                    self.fetched(room, next);
                }
                if !is_gone {
                    self.report_limbo(room);
                }
            }
            Pending::Send(key) => self.answers.push_back(Answer::NotSent(key, text.to_owned())),
            Pending::Get(key) if code == "no-such-file" => self.answers.push_back(Answer::Gone(key)),
            Pending::Get(key) => self.answers.push_back(Answer::NotComing(key, text.to_owned())),
            Pending::Files(key, ..) => self.answers.push_back(Answer::Found(key, None)),
        }
    }
}
