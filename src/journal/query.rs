//! What is asked of the thread that reads the logs, and what it answers.

use std::time::SystemTime;

use crate::event::{Logged, SaidKind};
use crate::names::{ConnId, Nick, RoomName, Text};

/// Asks for messages of a room that are in its log. Each query has exactly one [`Answer`], in the order of the queries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query {
    /// For whom it is; it comes back with the answer.
    pub asker: ConnId,
    /// The room, in the spelling of its log.
    pub room: RoomName,
    /// Which of its messages.
    pub section: Section,
    /// How many messages the answer may have.
    pub lines: usize,
    /// How many bytes it may have. Those of a message are its text and [`limits::HISTORY_HEAD`].
    ///
    /// [`limits::HISTORY_HEAD`]: crate::limits::HISTORY_HEAD
    pub bytes: usize,
}

/// A section of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Section {
    /// The last messages that have numbers below this.
    Before(u64),
    /// The first messages that have numbers above `seq` and below `below`.
    After {
        /// The number before the first one.
        seq: u64,
        /// The number at which it ends.
        below: u64,
    },
}

/// What came of a [`Query`].
#[derive(Debug)]
pub struct Answer {
    /// For whom it is.
    pub asker: ConnId,
    /// `None` if the log cannot be read, of which the operator has been told.
    pub page: Option<Page>,
}

/// What a log has of a section.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The messages, by ascending numbers.
    pub lines: Vec<PastLine>,
    /// Whether these are all of the section; otherwise the limits of the query left some out.
    pub is_whole: bool,
}

/// A message of a log, on its way from one thread to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PastLine {
    /// Its number.
    pub seq: u64,
    /// When it was said.
    pub at: SystemTime,
    /// What its author was called then.
    pub from: Nick,
    /// How it was meant.
    pub kind: SaidKind,
    /// What was said.
    pub text: String,
}

impl From<Logged> for PastLine {
    fn from(line: Logged) -> Self {
        Self { seq: line.seq, at: line.at, from: line.from, kind: line.kind, text: line.text.as_str().to_owned() }
    }
}

impl From<PastLine> for Logged {
    fn from(line: PastLine) -> Self {
        Self { seq: line.seq, at: line.at, from: line.from, kind: line.kind, text: Text::new(&line.text) }
    }
}
