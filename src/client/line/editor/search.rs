//! What is looked for in the lines typed before.

use super::printable;
use crate::client::line::history::History;

/// A search through the lines typed before.
#[derive(Default, Debug)]
pub(super) struct Search {
    pub(super) word: String,
    /// The line in which that stands: where it is, and what it is.
    pub(super) found: Option<(usize, String)>,
    /// Whether it stands in no older one.
    is_over: bool,
}

impl Search {
    /// Looks in the lines before the `end`-th.
    pub(super) fn look(&mut self, history: &History, end: usize) {
        let found = Some(history).filter(|_| !self.word.is_empty()).and_then(|history| history.find(&self.word, end));
        self.is_over = found.is_none() && !self.word.is_empty();
        if let Some((at, line)) = found {
            self.found = Some((at, line.to_owned()));
        }
    }

    /// Looks on, for another line than the one that was found.
    pub(super) fn look_on(&mut self, history: &History) {
        let before = self.found.clone();
        let mut end = usize::MAX;
        loop {
            if let Some((at, _)) = &self.found {
                end = *at;
            }
            self.look(history, end);
            let is_same = |(_, line): &(usize, String)| before.as_ref().is_some_and(|(_, before)| before == line);
            if self.is_over || self.word.is_empty() || !self.found.as_ref().is_some_and(is_same) {
                return;
            }
        }
    }

    /// What the row shows: up to the cursor, and behind it.
    pub(super) fn row(&self) -> (String, String) {
        let head = if self.is_over { "(search, no more) " } else { "(search) " };
        let found = self.found.as_ref().map(|(_, line)| format!(": {}", printable(line))).unwrap_or_default();
        (head.to_owned() + &printable(&self.word), found)
    }
}
