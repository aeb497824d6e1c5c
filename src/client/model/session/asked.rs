//! What the server was asked, and what its answers are for.

use super::{Entry, Phase, Session, cut, typed};
use crate::client::model::news::{Found, News};
use crate::names::{FileId, Nick, Place, RoomName, Token};
use crate::wire::{Command, Rank};

/// A command whose reply has not come, and what that reply is for.
#[derive(Debug)]
pub(super) enum Pending {
    /// Nobody asked for it.
    Quiet,
    /// The person did, with this line.
    Typed(String),
    /// A message, the first in `sent`.
    Said,
    Password(String),
    Nick,
    /// To be called so, proved by this token, or else by a password.
    Login(Nick, Option<Token>),
    /// Whether a password may be sent, for this name, and whether it is known to be somebody's.
    Probe(Nick, bool),
    /// Whether somebody owns this name, of which the token that is kept was refused.
    Owned(Nick),
    /// Whether this is the password that we have, for `/passwd`.
    Old(String),
    /// Whether a password may be sent, for the name that we have.
    MaySend,
    /// A token for the next start, of this name.
    Token(Nick),
    /// Over how many connections the person is here.
    Ways(u64),
    /// Who has a rank in this room, in which those are.
    Ranks {
        room: RoomName,
        entry: Entry,
        told: Vec<(Nick, Rank)>,
    },
    /// Everybody, to know their names.
    Who,
    /// To be heard no more, as before.
    Ignore(Nick),
    /// Whether somebody of this name is there.
    Ghost(Nick),
    /// Whether this room is there already.
    Expected(RoomName),
    Join(RoomName),
    Query,
    History(RoomName),
    /// What was said in this room, of which some may hold this word.
    Search {
        room: RoomName,
        word: String,
        past: Vec<News>,
    },
    /// All that was restored has been answered.
    Restored,
    Send(u64),
    Get(u64),
    /// Which files were shared in the last so many seconds of which we were not told: where, and how many.
    Missed(u64, Vec<(Place, u64)>),
    /// The files that there are for us.
    Shared(Vec<News>),
    /// The largest file that the server takes, once that has been told.
    Limits(Option<u64>),
    /// This file is looked up, and has been found.
    Files(u64, FileId, Option<Found>),
}

/// What was sent and has no reply yet.
#[derive(Debug)]
pub(super) struct Asked {
    /// Its number among all.
    pub(super) number: u64,
    pub(super) line: String,
    pub(super) pending: Pending,
}

impl Session {
    /// The first command of the person's that has no answer.
    pub fn awaited(&self) -> Option<&str> {
        self.asked.iter().find_map(|asked| match asked.pending {
            Pending::Search { .. } => Some("/search"),
            Pending::Typed(_) | Pending::Password(_) | Pending::Login(..) | Pending::Send(_) | Pending::Get(_) => {
                Some(cut(&asked.line).0)
            }
            _ => None,
        })
    }

    /// The number of the first line of ours that has no answer.
    pub fn oldest(&self) -> Option<u64> {
        self.asked.front().map(|asked| asked.number)
    }

    /// Asks to share a file; `key` comes back with the answer.
    pub fn ask_send(&mut self, key: u64, line: String) {
        self.ask(line, Pending::Send(key));
    }

    /// Asks for a file from `offset` on; `key` comes back with the answer.
    pub fn ask_get(&mut self, key: u64, file: FileId, offset: u64) {
        self.ask(Command::Get { file, offset }, Pending::Get(key));
    }

    /// Whether what was said before is still to come.
    pub fn is_reading_history(&self) -> bool {
        self.asked.iter().any(|asked| typed::name(&asked.line) == "history")
    }

    /// Asks whether the server is still there.
    pub fn ask_alive(&mut self) {
        self.ask(Command::Ping("alive"), Pending::Quiet);
    }

    /// Asks what a file is called and how large it is; `key` comes back with the answer.
    pub fn ask_file(&mut self, key: u64, file: FileId) {
        self.ask(Command::Files, Pending::Files(key, file, None));
    }

    /// Asks how large a file may be.
    pub fn ask_limits(&mut self) {
        self.ask(Command::Limits, Pending::Limits(None));
    }

    /// Asks to stop a download of which no more is wanted.
    pub fn ask_stop(&mut self, file: FileId) {
        self.ask(Command::Cancel(file), Pending::Quiet);
    }

    /// Asks to stop a transfer or to withdraw a file, and shows what comes of it.
    pub fn ask_cancel(&mut self, file: FileId) {
        let command = Command::Cancel(file);
        self.ask(command, Pending::Typed(command.to_string()));
    }

    pub(super) fn ask(&mut self, line: impl ToString, pending: Pending) {
        // What nobody hears gets no answer.
        if self.phase == Phase::Offline || self.loss.is_some() {
            return;
        }
        let line = line.to_string();
        self.lines.push_back(line.clone());
        self.asks += 1;
        self.asked.push_back(Asked { number: self.asks, line, pending });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::super::tests::{hear, online, sent, shown};
    use super::*;
    use crate::client::model::news::TransferAnswer;

    #[test]
    fn a_stray_line_shifts_nothing() {
        // (what nobody asked for, while these lines have no answer)
        for stray in [
            "+ who 7 1",
            "+ msg #b",
            "+ msg carol",
            "+ ping alive",
            "+ topic #a tea",
            "! say no-room you are nowhere",
            "! ? no-upload there is none",
            "! topic usage it is /topic",
            "+ join #b 1",
        ] {
            let mut session = online(&["#a"]);
            let now = Instant::now();
            for line in ["one", "/msg bob two", "/topic"] {
                session.typed(line, now);
            }
            assert_eq!(sent(&mut session), ["/msg #a one", "/msg @bob two", "/topic"]);
            let topic = match stray {
                "+ topic #a tea" | "! topic usage it is /topic" => "+ topic #a",
                _ => "+ topic #a tea",
            };
            hear(&mut session, &[stray, "+ msg #a"]);
            assert_eq!(session.unanswered().collect::<Vec<_>>(), ["@bob two"], "{stray}");
            hear(&mut session, &[stray, "! msg no-such-nick bob is not here"]);
            assert_eq!(session.unanswered().count(), 0, "{stray}");
            shown(&mut session);
            hear(&mut session, &[topic]);
            let told = if topic.ends_with("tea") { "#a is about tea" } else { "#a has no topic" };
            assert_eq!(shown(&mut session), [News::Done(told.to_owned())], "{stray}");
            assert!(session.asked.is_empty());
        }
    }

    #[test]
    fn lost_answers_are_missed_and_hold_up_nothing() {
        let mut session = online(&["#a"]);
        let now = Instant::now();
        for line in ["one", "/topic", "/msg bob two", "/query bob"] {
            session.typed(line, now);
        }
        session.ask_get(7, FileId(1), 0);
        session.ask_alive();
        hear(&mut session, &["+ msg bob"]);
        assert!(session.unanswered().next().is_none());
        let told = shown(&mut session);
        for want in ["there was no answer, and #a may not have got this: one", "/topic: there was no answer"] {
            assert!(told.contains(&News::Refused(want.to_owned())), "{told:?}");
        }
        hear(&mut session, &["+ ping alive"]);
        assert!(session.asked.is_empty());
        assert_eq!(session.poll_answer(), Some(TransferAnswer::NotComing(7, "/get: there was no answer".to_owned())));
    }

    #[test]
    fn what_a_server_calls_in_another_way_is_an_answer_all_the_same() {
        let mut session = online(&["#a"]);
        for (line, reply) in [
            ("/PART #A", "+ leave #a"),
            ("/who @bob", "+ who 1 1"),
            ("/ignore bob", "+ ignore BOB"),
            ("/ignore", "+ ignore 1"),
            ("/nick alice", "+ nick alice"),
            ("/ping a b", "+ ping a b"),
            ("/set typing on", "+ set typing on"),
            ("/newer thing", "+ newest of all"),
            ("/newer thing", "! newer usage no"),
            ("/lsit", "! ? unknown-command /lsit"),
            ("/history", "+ history #a 0"),
        ] {
            session.typed(line, Instant::now());
            if sent(&mut session).contains(&"/files".to_owned()) {
                hear(&mut session, &["+ files 0"]);
            }
            hear(&mut session, &[reply]);
            assert!(session.asked.is_empty(), "{line}");
        }
    }
}
