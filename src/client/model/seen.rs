//! Which of a room's messages have been seen, and how those that were missed are brought in: each once, and in order.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::names::Nick;

/// How many of a room's last messages are shown when it is entered.
pub const ON_JOIN: usize = 20;
/// Messages that are held back while older ones are fetched; beyond it they are let go, and fetched too.
const HELD: usize = 256;

/// A message of a room.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Its number, from 1.
    pub seq: u64,
    /// When it was said.
    pub at: SystemTime,
    /// By whom.
    pub from: Nick,
    /// What was said.
    pub text: String,
}

/// What has been seen of one room, over all connections.
///
/// While older messages are fetched (with `/history`, whose lines go to [`Seen::past`]), newer ones (which go to
/// [`Seen::live`]) are held back.
#[derive(Default, Debug)]
pub struct Seen {
    /// The newest message that was shown, or that there was when we came.
    last: Option<(u64, SystemTime)>,
    /// The newest message that was shown before we left the room, as long as nothing has been seen since we came back.
    shown: Option<(u64, SystemTime)>,
    /// How many messages came again that were shown before that.
    again: u64,
    /// Messages that the server no longer had, which nobody has been told yet.
    missing: u64,
    /// Whether more was said before what was shown when we came, which nobody has been told yet.
    has_earlier: bool,
    fetch: Option<Fetch>,
}

#[derive(Default, Debug)]
struct Fetch {
    held: BTreeMap<u64, Line>,
    /// How many more messages are to come to one who has just come in, and whether more was said before them. `None` if others are
    /// fetched.
    first: Option<(usize, bool)>,
    /// Whether this reply brought something.
    fresh: bool,
    /// Whether nothing shows yet that the room still is the one it was.
    unsure: bool,
    /// Whether it showed that the room counts from 1 again.
    anew: bool,
    /// Whether it brought a message. What is missing behind one is not forgotten, as older ones go first: it was taken back.
    reached: bool,
}

/// What follows when a `/history` has been answered.
#[derive(Debug)]
pub enum Next {
    /// Ask again, with these arguments after the room.
    Ask(String),
    /// Everything has been brought in: these have been held back, and so many are lost for ever.
    Done(Vec<Line>, u64),
}

impl Seen {
    /// When the newest message was said that was shown.
    pub fn last_at(&self) -> Option<SystemTime> {
        self.last.filter(|(seq, _)| *seq > 0).map(|(_, at)| at)
    }

    /// Begins to fetch what is missing. Returns the arguments of `/history` after the room; `None` while a fetch is under
    /// way.
    pub fn fetch(&mut self) -> Option<String> {
        if self.fetch.is_some() {
            return None;
        }
        let first = self.last.is_none().then_some((ON_JOIN, false));
        self.fetch = Some(Fetch { first, unsure: self.last.is_some_and(|(seq, _)| seq > 0), ..Fetch::default() });
        // The message that we have seen last is asked for once more, to know whether the room still is the one it was.
        Some(self.last.map_or_else(|| ON_JOIN.to_string(), |(seq, _)| format!("after {}", seq.saturating_sub(1))))
    }

    /// A message has just been said. Returns it unless it is held back or has been seen.
    pub fn live(&mut self, line: Line) -> Option<Line> {
        match &mut self.fetch {
            Some(fetch) => {
                if fetch.held.len() >= HELD {
                    fetch.held.clear();
                    fetch.fresh = true;
                }
                fetch.held.insert(line.seq, line);
                None
            }
            None => self.take(line),
        }
    }

    /// We are no longer in the room. Should we come back, we begin as if we had never been there, but what was shown is not shown
    /// again.
    pub fn leave(&mut self) {
        let shown = self.last.filter(|(seq, _)| *seq > 0).or(self.shown);
        *self = Self { shown, ..Self::default() };
    }

    /// How many messages of the history were not shown since this was asked last, as they had been before we left.
    pub fn again(&mut self) -> u64 {
        std::mem::take(&mut self.again)
    }

    /// Whether more was said before what was shown since this was asked last. It was when all that was asked for when we came in came,
    /// and is not the beginning of the room, nor what comes right behind what was shown before we left.
    pub fn has_earlier(&mut self) -> bool {
        std::mem::take(&mut self.has_earlier)
    }

    /// A message came from the history. Returns it unless it has been seen.
    pub fn past(&mut self, line: Line) -> Option<Line> {
        let fetch = self.fetch.as_mut()?;
        fetch.unsure = false;
        if let (None, Some((seq, at))) = (self.last, self.shown) {
            // In a room that has begun anew, the same numbers are of later messages.
            if line.seq < seq && line.at <= at || (line.seq, line.at) == (seq, at) {
                self.again += 1;
                return None;
            }
            self.shown = self.shown.filter(|_| line.seq > seq);
        }
        if let Some((seq, at)) = self.last {
            fetch.anew |= line.seq == seq && line.at != at;
            if line.seq <= seq || fetch.anew {
                fetch.reached = true;
                return None;
            }
            if !fetch.reached {
                self.missing = self.missing.saturating_add(line.seq - seq - 1);
            }
        }
        (fetch.fresh, fetch.reached) = (true, true);
        if let Some((more, is_cut)) = &mut fetch.first {
            if *more == ON_JOIN {
                *is_cut = line.seq > self.shown.map_or(1, |(seq, _)| seq.saturating_add(1));
            }
            *more = more.saturating_sub(1);
            self.has_earlier |= *more == 0 && *is_cut;
        }
        self.take(line)
    }

    /// These messages were taken back, and all between them: what is held back of them is not shown.
    pub fn erase(&mut self, first: u64, last: u64) {
        if let Some(fetch) = &mut self.fetch {
            fetch.held.retain(|seq, _| !(first..=last).contains(seq));
        }
    }

    /// The history has been answered.
    pub fn answered(&mut self) -> Next {
        let Some(mut fetch) = self.fetch.take() else { return Next::Done(Vec::new(), 0) };
        let last = match self.last {
            // Nothing was there, so everything that will be is new.
            None => {
                let last = self.shown.take().unwrap_or((0, SystemTime::UNIX_EPOCH));
                self.last = Some(last);
                last.0
            }
            Some(_) if fetch.anew => return self.anew(fetch),
            Some((last, _)) => last,
        };
        let goes_on = fetch.held.keys().next().is_some_and(|&first| first <= last.saturating_add(1));
        if fetch.unsure || fetch.fresh && !goes_on {
            self.fetch = Some(Fetch { first: None, fresh: false, unsure: false, ..fetch });
            return Next::Ask(format!("after {last}"));
        }
        let held = std::mem::take(&mut fetch.held).into_values();
        Next::Done(held.filter_map(|line| self.take(line)).collect(), std::mem::take(&mut self.missing))
    }

    /// The history does not reach so far: the room was forgotten, and counts from 1 again.
    pub fn gone(&mut self) -> Next {
        let fetch = self.fetch.take().unwrap_or_default();
        if self.last.is_some_and(|(seq, _)| seq > 0) { self.anew(fetch) } else { Next::Done(Vec::new(), 0) }
    }

    /// The history cannot be had: what was held back is all there is.
    pub fn give_up(&mut self) -> Next {
        let held = self.fetch.take().unwrap_or_default().held.into_values();
        Next::Done(held.filter_map(|line| self.take(line)).collect(), 0)
    }

    /// The connection is lost, and the answer that was waited for with it.
    pub fn lost(&mut self) {
        self.fetch = None;
    }

    fn anew(&mut self, fetch: Fetch) -> Next {
        self.last = Some((0, SystemTime::UNIX_EPOCH));
        self.fetch = Some(Fetch { fresh: false, anew: false, unsure: false, reached: false, ..fetch });
        Next::Ask("after 0".to_owned())
    }

    fn take(&mut self, line: Line) -> Option<Line> {
        if self.last.is_some_and(|(seq, _)| line.seq <= seq) {
            return None;
        }
        self.last = Some((line.seq, line.at));
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    /// A room as a server keeps it.
    #[derive(Default)]
    struct Room {
        lines: Vec<Line>,
        forgotten: u64,
    }

    impl Room {
        fn say(&mut self, text: u64) -> Line {
            let seq = self.lines.last().map_or(0, |line| line.seq) + 1;
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(text);
            let line = Line { seq, at, from: Nick::new("a").unwrap(), text: text.to_string() };
            self.lines.push(line.clone());
            line
        }

        /// Answers `/history`, with at most `limit` lines.
        fn answer(&self, arguments: &str, limit: usize) -> Option<Vec<Line>> {
            let kept: Vec<Line> = self.lines.iter().filter(|line| line.seq > self.forgotten).cloned().collect();
            let Some(after) = arguments.strip_prefix("after ") else {
                let count: usize = arguments.parse().unwrap();
                return Some(kept[kept.len().saturating_sub(count)..].to_vec());
            };
            let after: u64 = after.parse().unwrap();
            let newest = self.lines.last().map_or(0, |line| line.seq);
            (after <= newest).then(|| kept.into_iter().filter(|line| line.seq > after).take(limit).collect())
        }
    }

    /// Fetches to the end, while `meanwhile` messages are said before each answer and after it.
    fn catch_up(seen: &mut Seen, room: &mut Room, meanwhile: &[u64], limit: usize) -> (Vec<String>, u64) {
        let (mut shown, mut said) = (Vec::new(), meanwhile.iter());
        let mut ask = seen.fetch().unwrap();
        loop {
            if let Some(&text) = said.next() {
                let line = room.say(text);
                assert_eq!(seen.live(line), None);
            }
            let next = match room.answer(&ask, limit) {
                Some(lines) => {
                    shown.extend(lines.into_iter().filter_map(|line| seen.past(line)).map(|line| line.text));
                    seen.answered()
                }
                None => seen.gone(),
            };
            match next {
                Next::Ask(arguments) => ask = arguments,
                Next::Done(held, missing) => {
                    shown.extend(held.into_iter().map(|line| line.text));
                    return (shown, missing);
                }
            }
        }
    }

    #[test]
    fn what_was_said_before_what_is_shown_on_entering_is_known_of() {
        for (said, forgotten, is_more) in
            [(0, 0, false), (20, 0, false), (21, 0, true), (100, 0, true), (100, 90, false)]
        {
            let (mut seen, mut room) = (Seen::default(), Room::default());
            (0..said).for_each(|text| drop(room.say(text)));
            room.forgotten = forgotten;
            catch_up(&mut seen, &mut room, &[], 500);
            assert_eq!((seen.has_earlier(), seen.has_earlier()), (is_more, false), "{said}");
            // Nothing of it is told when a connection is made anew, however much was said meanwhile.
            (200..300).for_each(|text| drop(room.say(text)));
            seen.lost();
            catch_up(&mut seen, &mut room, &[], 500);
            assert!(!seen.has_earlier());
            // Who comes again has seen what was shown.
            for (meanwhile, is_more) in [(0, false), (20, false), (21, true)] {
                seen.leave();
                (400..400 + meanwhile).for_each(|text| drop(room.say(text)));
                catch_up(&mut seen, &mut room, &[], 500);
                assert_eq!(seen.has_earlier(), is_more, "{meanwhile}");
            }
        }
    }

    fn texts(range: std::ops::Range<u64>) -> Vec<String> {
        range.map(|text| text.to_string()).collect()
    }

    #[test]
    fn what_was_missed_is_shown_once_and_in_order() {
        let (mut seen, mut room) = (Seen::default(), Room::default());
        (0..30).for_each(|text| drop(room.say(text)));
        assert_eq!(catch_up(&mut seen, &mut room, &[], 500), (texts(10..30), 0));
        let line = room.say(30);
        assert_eq!(seen.live(line.clone()), Some(line.clone()));
        assert_eq!(seen.live(line), None, "it has been seen");
        (31..1_000).for_each(|text| drop(room.say(text)));
        assert_eq!(catch_up(&mut seen, &mut room, &[1_000, 1_001], 100).0, texts(31..1_002));
        assert_eq!(catch_up(&mut seen, &mut room, &[], 100).0, texts(0..0));
    }

    #[test]
    fn what_the_server_no_longer_has_is_counted() {
        let (mut seen, mut room) = (Seen::default(), Room::default());
        room.say(0);
        catch_up(&mut seen, &mut room, &[], 500);
        (1..10).for_each(|text| drop(room.say(text)));
        room.forgotten = 6;
        assert_eq!(catch_up(&mut seen, &mut room, &[], 500), (texts(6..10), 5));
    }

    #[test]
    fn what_was_taken_back_is_not_missed() {
        let line = |seq| Line { seq, at: SystemTime::UNIX_EPOCH, from: Nick::new("bob").unwrap(), text: String::new() };
        let mut seen = Seen::default();
        for (rows, missing) in [(&[1, 2, 5][..], 0), (&[5, 9], 0), (&[12, 15], 2)] {
            seen.fetch();
            rows.iter().for_each(|&seq| drop(seen.past(line(seq))));
            seen.answered();
            assert!(matches!(seen.answered(), Next::Done(_, told) if told == missing), "{rows:?}");
        }
    }

    #[test]
    fn a_room_that_counts_anew_is_shown_from_its_beginning() {
        for length in [0, 1, 4, 5, 6, 20] {
            let (mut seen, mut room) = (Seen::default(), Room::default());
            (0..5).for_each(|text| drop(room.say(text)));
            catch_up(&mut seen, &mut room, &[], 500);
            let mut room = Room::default();
            (100..100 + length).for_each(|text| drop(room.say(text)));
            assert_eq!(catch_up(&mut seen, &mut room, &[], 500), (texts(100..100 + length), 0), "{length}");
        }
    }

    #[test]
    fn an_empty_room_hides_nothing_that_comes() {
        let (mut seen, mut room) = (Seen::default(), Room::default());
        assert_eq!(catch_up(&mut seen, &mut room, &[], 500).0, texts(0..0));
        room.say(1);
        seen.lost();
        assert_eq!(catch_up(&mut seen, &mut room, &[], 500).0, texts(1..2));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(steps in proptest::collection::vec((0u8..4, 0usize..40), 1..60), limit in 2usize..30) {
            let (mut seen, mut room) = (Seen::default(), Room::default());
            let mut shown = catch_up(&mut seen, &mut room, &[], limit).0;
            let mut next = 0u64;
            for (step, count) in steps {
                let count = count as u64;
                let said = next..next + count;
                next += count;
                match step {
                    // Said while we listen.
                    0 => shown.extend(said.filter_map(|text| seen.live(room.say(text))).map(|line| line.text)),
                    // Said while we were not there.
                    1 => {
                        said.for_each(|text| drop(room.say(text)));
                        shown.extend(catch_up(&mut seen, &mut room, &[], limit).0);
                    }
                    // Said while we fetch, of which the last is not awaited.
                    2 => {
                        let said: Vec<u64> = said.collect();
                        let (before, during) = said.split_at(said.len() / 2);
                        before.iter().for_each(|&text| drop(room.say(text)));
                        shown.extend(catch_up(&mut seen, &mut room, during, limit).0);
                        let said = room.lines.len() as u64;
                        next = said;
                    }
                    // Fetched, but lost before the answer.
                    _ => {
                        seen.fetch();
                        said.for_each(|text| drop(seen.live(room.say(text))));
                        seen.lost();
                        shown.extend(catch_up(&mut seen, &mut room, &[], limit).0);
                    }
                }
            }
            prop_assert_eq!(shown, texts(0..room.lines.len() as u64));
        }
    }
}
