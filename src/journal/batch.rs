//! What is to be written, gathered by rooms.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::format::encode;
use crate::effect::Record;
use crate::limits;
use crate::names::RoomName;

/// What is to be written of one room, in this order.
#[derive(Debug)]
pub(super) struct Work {
    /// What the room is called, in the spelling of its log.
    pub(super) name: RoomName,
    /// Whether what the log has of the room goes first.
    pub(super) is_forgotten: bool,
    pub(super) lines: String,
    pub(super) topic: Option<Option<String>>,
}

impl Work {
    fn new(name: RoomName) -> Self {
        Self { name, is_forgotten: false, lines: String::new(), topic: None }
    }
}

/// What is to be written of all rooms.
#[derive(Debug, Default)]
pub(super) struct Batch {
    rooms: BTreeMap<RoomName, Work>,
    bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// Bytes of lines.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn has(&self, room: &RoomName) -> bool {
        self.rooms.contains_key(room)
    }

    /// Takes everything out.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Work> + use<> {
        std::mem::take(self).rooms.into_values()
    }

    pub(super) fn add(&mut self, record: &Record) {
        match record {
            Record::Said { room, line } => {
                let mut work = Work::new(*room);
                encode(&mut work.lines, line);
                self.append(work);
            }
            Record::Topic { room, topic } => {
                let topic = Some(topic.as_ref().map(ToString::to_string));
                self.append(Work { topic, ..Work::new(*room) });
            }
            Record::Forgotten { room } => self.append(Work { is_forgotten: true, ..Work::new(*room) }),
        }
    }

    /// Puts what came later behind what is here of the same room.
    pub(super) fn append(&mut self, later: Work) {
        let work = self.rooms.entry(later.name).or_insert_with(|| Work::new(later.name));
        self.bytes += later.lines.len();
        if later.is_forgotten {
            self.bytes -= work.lines.len();
            *work = Work { is_forgotten: true, ..Work::new(later.name) };
        }
        if work.lines.is_empty() {
            work.lines = later.lines;
        } else {
            work.lines.push_str(&later.lines);
        }
        if later.topic.is_some() {
            work.topic = later.topic;
        }
    }

    /// Lets go of all lines but the newest of each room, which has its last number; and of the longest of these as well, until
    /// the others have no more than [`limits::LOG_NEWEST`].
    pub(super) fn leave_lines_out(&mut self) {
        for work in self.rooms.values_mut() {
            let whole = work.lines.trim_end_matches('\n');
            let newest = whole.rfind('\n').map_or(0, |end| end + 1);
            self.bytes -= newest;
            work.lines.drain(..newest);
            work.lines.shrink_to_fit();
        }
        let mut longest: Vec<(usize, RoomName)> =
            self.rooms.iter().map(|(name, work)| (work.lines.len(), *name)).collect();
        longest.sort_unstable();
        while self.bytes > limits::LOG_NEWEST
            && let Some((len, name)) = longest.pop()
            && let Entry::Occupied(mut work) = self.rooms.entry(name)
        {
            self.bytes -= len;
            work.get_mut().lines = String::new();
            if work.get().topic.is_none() && !work.get().is_forgotten {
                work.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Logged;
    use crate::event::SaidKind;
    use crate::memory;
    use crate::names::{Nick, Text};
    use crate::settings::{Logging, Settings};
    use std::time::SystemTime;

    fn said(room: &str, seq: u64) -> Record {
        saying(room, seq, "x")
    }

    fn saying(room: &str, seq: u64, text: &str) -> Record {
        let (from, text) = (Nick::new("a").unwrap(), Text::new(text));
        let line = Logged { seq, at: SystemTime::UNIX_EPOCH, from, kind: SaidKind::Text, text };
        Record::Said { room: RoomName::new(room).unwrap(), line }
    }

    fn batch(records: &[Record]) -> Batch {
        let mut batch = Batch::default();
        records.iter().for_each(|record| batch.add(record));
        batch
    }

    /// What is to be done, as `NAME SEQ…` for each room.
    fn shown(batch: &mut Batch) -> Vec<String> {
        let bytes = batch.bytes;
        let works: Vec<Work> = batch.take().collect();
        assert_eq!(works.iter().map(|work| work.lines.len()).sum::<usize>(), bytes);
        let seqs = |work: &Work| {
            work.lines.lines().map(|line| format!(" {}", line.split(' ').next().unwrap())).collect::<String>()
        };
        works.iter().map(|work| format!("{}{}", work.name, seqs(work))).collect()
    }

    #[test]
    fn rooms_are_gathered_in_order() {
        let mut both = batch(&[said("#b", 1), said("#a", 1), said("#b", 2)]);
        batch(&[said("#b", 3)]).take().for_each(|work| both.append(work));
        assert_eq!(shown(&mut both), ["#a 1", "#b 1 2 3"]);
    }

    #[test]
    fn of_a_room_that_is_forgotten_only_what_came_later_is_written() {
        let room = RoomName::new("#a").unwrap();
        let mut both = batch(&[said("#a", 1), Record::Topic { room, topic: Some(Text::new("tea")) }]);
        batch(&[said("#a", 2), Record::Forgotten { room }, said("#a", 1)]).take().for_each(|work| both.append(work));
        let work = both.rooms.get(&room).unwrap();
        assert!(work.is_forgotten && work.topic.is_none());
        assert_eq!(shown(&mut both), ["#a 1"]);
    }

    #[test]
    fn what_waits_takes_no_more_memory_than_it_may() {
        let log = Some(Logging { max: u64::MAX, sync: std::time::Duration::ZERO });
        let terms = memory::terms(&Settings { log, ..Settings::default() });
        let most = terms.iter().find(|term| term.name == "for the log").unwrap().common / memory::BATCHES;
        let (text, mut batch) = (Text::new(&"x".repeat(limits::LINE)), Batch::default());
        let name = |n: usize| RoomName::new(&format!("#{n:030}")).unwrap();
        let topic = Some(Text::new(&"x".repeat(limits::TOPIC)));
        let info = allocation_counter::measure(|| {
            // A long line in every room, and then as many as there may be in a turn, in one.
            for n in 0..limits::LOGS + limits::RECORDS {
                let line = Logged {
                    seq: u64::MAX,
                    at: SystemTime::UNIX_EPOCH,
                    from: Nick::new("a2345678901234567890").unwrap(),
                    kind: SaidKind::Text,
                    text: text.clone(),
                };
                batch.add(&Record::Said { room: name(n % limits::LOGS * usize::from(n < limits::LOGS)), line });
                batch.add(&Record::Topic { room: name(n % limits::LOGS), topic: topic.clone() });
                if n % limits::RECORDS == 0 && batch.bytes() > limits::LOG_WAITING {
                    batch.leave_lines_out();
                }
            }
        });
        let held = usize::try_from(info.bytes_max).unwrap();
        assert!(held <= most && held >= most / 5 * 3, "{held} bytes, and {most} may be");
    }

    #[test]
    fn what_is_left_out_leaves_the_last_number() {
        let mut batch = batch(&[said("#a", 1), said("#a", 2), said("#b", 5)]);
        batch.leave_lines_out();
        assert_eq!(shown(&mut batch), ["#a 2", "#b 5"]);
    }

    #[test]
    fn of_the_newest_lines_the_longest_are_left_out_first() {
        let long = "x".repeat(limits::LINE);
        let rooms = 2 * limits::LOG_NEWEST / limits::LINE;
        let mut batch = Batch::default();
        for n in 0..rooms {
            // One has a topic, which is not said anew and so stays.
            let topic = Some(Text::new("tea"));
            let room = RoomName::new(&format!("#r{n}")).unwrap();
            if n == 0 {
                batch.add(&Record::Topic { room, topic });
            }
            batch.add(&saying(&format!("#r{n}"), 7, if n % 2 == 0 { &long } else { "short" }));
        }
        batch.leave_lines_out();
        assert!(batch.bytes() <= limits::LOG_NEWEST && batch.bytes() > limits::LOG_NEWEST - 2 * limits::LINE);
        assert!((0..rooms).filter(|n| n % 2 == 1).all(|n| batch.has(&RoomName::new(&format!("#r{n}")).unwrap())));
        assert!(batch.has(&RoomName::new("#r0").unwrap()));
        let left = batch.rooms.len();
        assert!(left > rooms / 2 && left < rooms);
        // What is left out once is not looked at for each line that comes after it.
        assert!(batch.bytes() < limits::LOG_WAITING);
    }
}
