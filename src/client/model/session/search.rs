//! `/search`: in what this terminal has seen, and in the server's history of the room that is talked to.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use super::{Pending, Session};
use crate::client::model::news::{Age, News, Taken};
use crate::names::{Nick, Place, RoomName};
use crate::wire::Command;

/// Bytes of messages that are kept to be searched.
const KEPT: usize = 4 * 1024 * 1024;
/// What a message costs besides its text, roughly.
const HEAD: usize = 128;
/// Messages of the server's history that are searched: as many as it tells at once.
const ASKED: usize = 500;
/// How many of the messages that were found are shown.
const SHOWN: usize = 100;

/// The messages that were shown, as far as they are kept.
#[derive(Default, Debug)]
pub(super) struct Heard {
    /// With their numbers, as far as they have one.
    messages: VecDeque<(Option<u64>, News)>,
    bytes: usize,
}

impl Heard {
    /// Keeps a message that may be kept already, as it was asked for.
    pub(super) fn keep_once(&mut self, news: &News, number: u64) {
        if !self.messages.iter().any(|(_, known)| is_same(known, news)) {
            self.keep(news, Some(number));
        }
    }

    /// Keeps a message; the oldest go for it.
    pub(super) fn keep(&mut self, news: &News, number: Option<u64>) {
        self.bytes += cost(news);
        self.messages.push_back((number, news.clone()));
        while self.bytes > KEPT {
            self.bytes -= self.messages.pop_front().map_or(0, |(_, news)| cost(&news));
        }
    }

    /// Keeps the messages of these numbers no longer. Returns who said them, and when, the newest of each number.
    pub(super) fn forget(&mut self, room: RoomName, first: u64, last: u64) -> Vec<(Nick, SystemTime)> {
        let mut forgotten = BTreeMap::new();
        let bytes = &mut self.bytes;
        self.messages.retain(|(number, news)| match (number, news) {
            (Some(number), News::Said { place, at, from, .. })
                if *place == Place::Room(room) && (first..=last).contains(number) =>
            {
                *bytes -= cost(news);
                forgotten.extend(at.map(|at| (*number, (*from, at))));
                false
            }
            _ => true,
        });
        forgotten.into_values().collect()
    }
}

fn cost(news: &News) -> usize {
    HEAD + text(news).len()
}

fn text(news: &News) -> &str {
    match news {
        News::Said { text, .. } | News::File { name: text, .. } => text,
        _ => "",
    }
}

/// Whether both are one message, of which the server tells the time alone in the same way whenever it tells it.
fn is_same(one: &News, other: &News) -> bool {
    match (one, other) {
        (
            News::Said { place, at, from, text, .. },
            News::Said { place: other, at: other_at, from: other_from, text: other_text, .. },
        ) => (place, at, from, text) == (other, other_at, other_from, other_text),
        (News::File { file, size, name, .. }, News::File { file: other, size: other_size, name: other_name, .. }) => {
            (file, size, name) == (other, other_size, other_name)
        }
        _ => false,
    }
}

impl Session {
    /// Searches for a word, in any case.
    pub(super) fn search(&mut self, word: &str) -> Taken {
        if word.is_empty() {
            return Taken::No("it is /search WORD".to_owned());
        }
        match self.talks.target() {
            Some(Place::Room(room)) if self.is_online() => {
                // By their names, files are found too.
                self.ask(Command::Files, Pending::Shared(Vec::new()));
                let pending = Pending::Search { room, word: word.to_owned(), past: Vec::new() };
                self.ask(Command::History(room, &ASKED.to_string()), pending);
            }
            _ => self.found(word, None, Vec::new()),
        }
        Taken::Yes
    }

    /// Shows the messages with this word, the newest last: those of this terminal, and those in `past`, which the server has told
    /// of `room`.
    pub(super) fn found(&mut self, word: &str, room: Option<RoomName>, past: Vec<News>) {
        let sought = word.to_lowercase();
        let is_found = |news: &News| text(news).to_lowercase().contains(&sought);
        let mut found = past;
        found.retain(is_found);
        for (number, news) in self.heard.messages.iter().filter(|(_, news)| is_found(news)) {
            if !found.iter().any(|known| is_same(known, news)) {
                let mut news = news.clone();
                if let News::Said { number: shown, .. } = &mut news {
                    *shown = *number;
                }
                found.push(news);
            }
        }
        found.sort_by_key(News::at);
        let more = found.len().saturating_sub(SHOWN);
        let count = found.len();
        for mut news in found.into_iter().skip(more) {
            if let News::Said { age, .. } | News::File { age, .. } = &mut news {
                *age = Age::Past;
            }
            self.news.push_back(news);
        }
        let older = room.map(|room| format!(" and the last {ASKED} messages of {room}, names of files included"));
        let older = older.unwrap_or_default();
        let found = if count == 0 { "no message and no file".to_owned() } else { count.to_string() };
        let shown = if more > 0 { format!("; the newest {SHOWN} are shown") } else { String::new() };
        self.answer(format!("{found} with “{word}” in what was shown here{older}{shown}"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::client::model::session::tests::{hear, online, sent, shown};

    /// The texts that are shown, and the last answer.
    fn told(session: &mut Session) -> (Vec<String>, String) {
        let (mut texts, mut last) = (Vec::new(), String::new());
        for news in shown(session) {
            match news {
                News::Said { text, age: Age::Past, .. } => texts.push(text),
                News::File { name, age: Age::Past, .. } => texts.push(name),
                News::Answer(text) => last = text,
                _ => {}
            }
        }
        (texts, last)
    }

    #[test]
    fn what_was_shown_and_what_the_server_has_is_searched_each_once() {
        let (mut session, now) = (online(&["#b", "#a"]), Instant::now());
        session.clock = humantime::parse_rfc3339("2026-11-22T16:00:00Z").unwrap();
        hear(
            &mut session,
            &[
                "#a [3@2026-11-22T14:33:00.123Z] <bob> more Tea",
                "#b [1@2026-11-22T14:20:00.123Z] <bob> tea elsewhere",
                "@carol [-@2026-11-22T14:40:00.123Z] <carol> TEA in private",
                "#a [4@2026-11-22T14:34:00.123Z] <bob> coffee",
            ],
        );
        shown(&mut session);
        assert_eq!(session.typed("/search tea", now), Taken::Yes);
        assert_eq!(sent(&mut session), ["/files", "/history #a 500"]);
        hear(
            &mut session,
            &[
                "- 4 13 bob #a 3600s ready Tea.pdf",
                "- 5 13 bob #a 30s ready coffee.pdf",
                "+ files 2",
                "- [1@2026-11-22T14:30:00.123Z] <alice> old tea",
                "- [2@2026-11-22T14:31:00.123Z] <bob> nothing",
                "- [3@2026-11-22T14:33:00.123Z] <bob> more Tea",
                "+ history #a 3",
            ],
        );
        let want = ["tea elsewhere", "old tea", "more Tea", "TEA in private", "Tea.pdf"].map(str::to_owned);
        let summary = "5 with “tea” in what was shown here and the last 500 messages of #a, names of files included";
        assert_eq!(told(&mut session), (want.to_vec(), summary.to_owned()));
        let unread = session.talks.iter().map(|talk| talk.unread).sum::<usize>();
        assert_eq!(unread, 2, "what is found is not unread");
        // Without the server, what there is here.
        session.typed("/search tea", now);
        hear(&mut session, &["! files busy x", "! history not-in-room you are not in #a"]);
        assert_eq!(told(&mut session).0.len(), 3);
        session.lost("gone");
        shown(&mut session);
        session.typed("/search COFFEE", now);
        assert_eq!(
            told(&mut session),
            (vec!["coffee".to_owned()], "1 with “COFFEE” in what was shown here".to_owned())
        );
        session.typed("/search milk", now);
        assert_eq!(told(&mut session).1, "no message and no file with “milk” in what was shown here");
        assert!(matches!(session.typed("/search", now), Taken::No(_)));
    }

    #[test]
    fn what_was_asked_of_the_history_is_searched_too() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        for _ in 0..2 {
            session.typed("/history #a 1", now);
            hear(&mut session, &["+ files 0", "- [1@2026-11-22T14:30:00.123Z] <bob> old tea", "+ history #a 1"]);
        }
        assert_eq!(session.heard.messages.len(), 1, "each is kept once");
        session.lost("gone");
        shown(&mut session);
        session.typed("/search tea", now);
        assert_eq!(told(&mut session), (vec!["old tea".to_owned()], "1 with “tea” in what was shown here".to_owned()));
    }

    #[test]
    fn what_is_kept_to_be_searched_has_a_bound() {
        let (mut session, long) = (online(&["#a"]), "x".repeat(4_000));
        for n in 0..3_000 {
            hear(&mut session, &[&format!("#a [{n}@2026-11-22T14:33:00.123Z] <bob> {n} {long}")]);
            shown(&mut session);
        }
        assert!(session.heard.bytes <= KEPT && session.heard.messages.len() > 900);
        session.lost("gone");
        shown(&mut session);
        session.typed("/search x", Instant::now());
        let (texts, summary) = told(&mut session);
        assert!(
            texts.len() == SHOWN && texts[99].starts_with("2999 ") && summary.ends_with("the newest 100 are shown")
        );
    }
}
