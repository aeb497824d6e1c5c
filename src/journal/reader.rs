//! The thread that reads the logs again, for what rooms no longer remember in memory.

use crate::channel::{Receiver, Sender, bounded, channel};
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use log::{error, warn};
use mio::Waker;

use super::logs::path;
use super::search;
use crate::effect::{Found, Logged, Passage, Query, Section};
use crate::home::{give_way, open_regular};
use crate::limits;
use crate::names::RoomName;

/// The thread, and the ways to it and from it. It ends when this goes.
#[derive(Debug)]
pub(super) struct Reader {
    queries: Option<Sender<Query>>,
    found: Option<Receiver<Found>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Begins to read in `folder`; each answer wakes `waker`.
    pub(super) fn start(folder: PathBuf, waker: Arc<Waker>) -> io::Result<Self> {
        // There is one query a connection at most, and it is small.
        let (queries, inbox) = channel();
        // Answers are large, so the thread waits until they are taken.
        let (outbox, found) = bounded(limits::LOG_ANSWERS);
        let thread = thread::Builder::new().name("log-read".into()).spawn(move || {
            give_way();
            let mut archive = Archive { folder, complaint: None };
            for query in inbox.iter() {
                if outbox.send(archive.answer(&query)).is_err() {
                    break;
                }
                if let Err(e) = waker.wake() {
                    error!("cannot wake the reactor: {e}");
                }
            }
        })?;
        Ok(Self { queries: Some(queries), found: Some(found), thread: Some(thread) })
    }

    pub(super) fn ask(&self, query: Query) {
        if self.queries.as_ref().is_none_or(|queries| queries.send(query).is_err()) {
            error!("the thread that reads the logs is gone");
        }
    }

    pub(super) fn found(&self) -> impl Iterator<Item = Found> + '_ {
        self.found.iter().flat_map(Receiver::try_iter)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Nobody takes the answers any more, so what has been asked for is left.
        self.found = None;
        self.queries = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that reads the logs failed");
        }
    }
}

/// The logs as they are on disk.
#[derive(Debug)]
struct Archive {
    folder: PathBuf,
    /// What was last complained of, so that it is logged once.
    complaint: Option<(RoomName, io::ErrorKind)>,
}

impl Archive {
    fn answer(&mut self, query: &Query) -> Found {
        let passage = self.open(query.room).and_then(|(newest, older)| read(newest.as_ref(), older.as_ref(), query));
        Found {
            asker: query.asker,
            serial: query.serial,
            passage: passage.map_err(|e| self.complain(query.room, "log", &e)).ok(),
        }
    }

    /// Opens both halves of a room's log, the newest first. An older one that cannot be read is taken for none, as it is at
    /// the start.
    fn open(&mut self, room: RoomName) -> io::Result<(Option<File>, Option<File>)> {
        let newest = open(&path(&self.folder, room, "log"))?;
        let older = open(&path(&self.folder, room, "log.1"));
        let older = older.map_err(|e| self.complain(room, "older log", &e)).ok().flatten();
        // If the log was cut in between, both are the same one: the older half is gone, and in the new log is only what was
        // said after it was asked for.
        let is_cut = is_same(newest.as_ref(), older.as_ref())?;
        Ok((newest, older.filter(|_| !is_cut)))
    }

    fn complain(&mut self, room: RoomName, what: &str, e: &io::Error) {
        if self.complaint.replace((room, e.kind())) != Some((room, e.kind())) {
            warn!("cannot read the {what} of {room}: {e}");
        }
    }
}

/// Opens a log for reading; `None` if there is none.
fn open(path: &Path) -> io::Result<Option<File>> {
    match open_regular(File::options().read(true), path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

fn is_same(one: Option<&File>, other: Option<&File>) -> io::Result<bool> {
    let (Some(one), Some(other)) = (one, other) else { return Ok(false) };
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// Reads what is asked for from both halves of a log.
fn read(newest: Option<&File>, older: Option<&File>, query: &Query) -> io::Result<Passage> {
    let mut filling = Filling::new(query);
    match query.section {
        Section::Before(mut below) => {
            for log in [newest, older].into_iter().flatten() {
                search::backward(log, search::place(log, below)?, below, |line| {
                    below = line.seq;
                    filling.take(line)
                })?;
                if !filling.passage.is_whole {
                    break;
                }
            }
            filling.passage.lines.reverse();
        }
        Section::After { mut seq, below } => {
            // Where both have a number, it is the newest that counts.
            let first = newest.map(search::first_of).transpose()?.flatten();
            let end_of_older = first.map_or(below, |line| line.seq.min(below));
            for (log, end) in [(older, end_of_older), (newest, below)] {
                let Some(log) = log else { continue };
                search::forward(log, search::place(log, seq.saturating_add(1))?, seq, |line| {
                    if line.seq >= end {
                        return ControlFlow::Break(());
                    }
                    seq = line.seq;
                    filling.take(line)
                })?;
                if !filling.passage.is_whole {
                    break;
                }
            }
        }
    }
    Ok(filling.passage)
}

/// A passage, and what there is still room for in it.
struct Filling {
    passage: Passage,
    lines: usize,
    bytes: usize,
}

impl Filling {
    fn new(query: &Query) -> Self {
        Self { passage: Passage { lines: Vec::new(), is_whole: true }, lines: query.lines, bytes: query.bytes }
    }

    /// Adds a message, if there is room for it.
    fn take(&mut self, line: Logged) -> ControlFlow<()> {
        let cost = line.text.as_str().len() + limits::HISTORY_HEAD;
        let (Some(lines), Some(bytes)) = (self.lines.checked_sub(1), self.bytes.checked_sub(cost)) else {
            self.passage.is_whole = false;
            return ControlFlow::Break(());
        };
        (self.lines, self.bytes) = (lines, bytes);
        self.passage.lines.push(line.into());
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::PastLine;
    use crate::journal::{Logs, format};
    use crate::names::{ConnId, Nick, Text};
    use mio::{Events, Poll, Token};
    use proptest::prelude::*;
    use rustix::fs::{CWD, Mode, mkfifoat};
    use std::fs;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, SystemTime};

    fn room() -> RoomName {
        RoomName::new("#room").unwrap()
    }

    fn before(seq: u64) -> Query {
        query(Section::Before(seq))
    }

    fn after(seq: u64, below: u64) -> Query {
        query(Section::After { seq, below })
    }

    fn query(section: Section) -> Query {
        let (lines, bytes) = (limits::HISTORY_LINES, limits::HISTORY_BYTES);
        Query { asker: ConnId::new(1, 2), serial: 0, room: room(), section, lines, bytes }
    }

    fn archive(folder: &Path) -> Archive {
        Archive { folder: folder.to_owned(), complaint: None }
    }

    fn line(seq: u64, len: usize) -> Logged {
        let text = Text::new(&"word ".repeat(len.div_ceil(5))[..len]);
        Logged {
            seq,
            at: SystemTime::UNIX_EPOCH,
            from: Nick::new("alice").unwrap(),
            kind: crate::event::SaidKind::Text,
            text,
        }
    }

    fn spelled(lines: impl IntoIterator<Item = Logged>) -> String {
        let mut log = String::new();
        lines.into_iter().for_each(|line| format::encode(&mut log, &line));
        log
    }

    fn seqs(passage: &Passage) -> Vec<u64> {
        passage.lines.iter().map(|line| line.seq).collect()
    }

    /// What `answer` must be, found by reading everything.
    fn plain_scan(newest: Option<&[u8]>, older: Option<&[u8]>, query: &Query) -> Passage {
        let newest = newest.map(|log| format::read(log).lines).unwrap_or_default();
        let first = newest.first().map_or(u64::MAX, |line| line.seq);
        let mut lines = older.map(|log| format::read(log).lines).unwrap_or_default();
        lines.retain(|line| line.seq < first);
        lines.extend(newest);
        let mut filling = Filling::new(query);
        let mut take = |line: &Logged| filling.take(line.clone()).is_continue();
        match query.section {
            Section::Before(seq) => {
                let _ = lines.iter().rev().filter(|line| line.seq < seq).all(&mut take);
                filling.passage.lines.reverse();
            }
            Section::After { seq, below } => {
                let _ = lines.iter().filter(|line| seq < line.seq && line.seq < below).all(&mut take);
            }
        }
        filling.passage
    }

    /// What a log may be made of.
    #[derive(Clone, Debug)]
    enum LogPart {
        /// Messages, each with so many bytes of text, and how far each number is from the one before.
        Lines { count: u8, len: u16, step: u8 },
        /// Bytes that are no messages.
        Noise(Vec<u8>),
        /// A line that has no end before a place far behind.
        Long(u32),
        /// Half a line that was not set aside, marked as the writer does.
        Torn,
        /// So many bytes once more, whole lines, which a failed write has left.
        Doubled(u16),
    }

    fn pieces() -> impl Strategy<Value = Vec<LogPart>> {
        let lines =
            (1_u8..60, 0_u16..4_000, 1_u8..4).prop_map(|(count, len, step)| LogPart::Lines { count, len, step });
        let other = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200).prop_map(LogPart::Noise),
            (0_u32..200_000).prop_map(LogPart::Long),
            Just(LogPart::Torn),
            (0_u16..20_000).prop_map(LogPart::Doubled),
        ];
        prop::collection::vec(prop_oneof![2 => lines, 1 => other], 0..16)
    }

    /// A log made of `pieces` and the number of its last message; the first one is behind `seq`.
    fn made_of(pieces: &[LogPart], mut seq: u64) -> (Vec<u8>, u64) {
        let mut log = Vec::new();
        for piece in pieces {
            match piece {
                LogPart::Lines { count, len, step } => {
                    for _ in 0..*count {
                        seq += u64::from(*step);
                        log.extend(spelled([line(seq, usize::from(*len))]).into_bytes());
                    }
                }
                LogPart::Noise(bytes) => log.extend(bytes),
                LogPart::Long(len) => log.resize(log.len() + *len as usize, 0),
                LogPart::Torn => log.extend(b"7 2026-11-22T14:30:00.123Z <alice> cut of\0\n"),
                LogPart::Doubled(len) => {
                    let mut begin = log.len().saturating_sub(usize::from(*len));
                    begin += log[begin..].iter().position(|&b| b == b'\n').map_or(0, |end| end + 1);
                    log.extend_from_within(begin..);
                }
            }
        }
        (log, seq)
    }

    fn at_most(lines: usize, bytes: usize, query: Query) -> Query {
        Query { lines, bytes, ..query }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]
        #[test]
        fn what_is_searched_for_is_what_a_plain_scan_finds(older in prop::option::of(pieces()), newest in prop::option::of(pieces()),
            lines in 0_usize..600, bytes in 0_usize..300_000,
            places in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 6)) {
            let (older, last) = older.map_or((None, 0), |pieces| {
                let (log, last) = made_of(&pieces, 0);
                (Some(log), last)
            });
            let (newest, last) = newest.map_or((None, last), |pieces| {
                let (log, last) = made_of(&pieces, last);
                (Some(log), last)
            });
            let dir = tempfile::tempdir().unwrap();
            for (kind, log) in [("log.1", &older), ("log", &newest)] {
                log.iter().for_each(|log| fs::write(path(dir.path(), room(), kind), log).unwrap());
            }
            let mut archive = archive(dir.path());
            for (one, other) in places {
                let count = usize::try_from(last).unwrap() + 3;
                let (one, other) = (one.index(count) as u64, other.index(count) as u64);
                for query in [before(one), after(one, other), after(one, u64::MAX)] {
                    let query = at_most(lines, bytes, query);
                    let passage = archive.answer(&query).passage.unwrap();
                    prop_assert!(passage == plain_scan(newest.as_deref(), older.as_deref(), &query), "{:?}: {:?}", query, seqs(&passage));
                }
            }
        }

        #[test]
        fn whatever_stands_in_a_log_numbers_ascend(parts in prop::collection::vec((0_u64..50, 0_usize..3_000), 0..200),
            seq in 0_u64..50, below in 0_u64..50) {
            let dir = tempfile::tempdir().unwrap();
            fs::write(path(dir.path(), room(), "log"), spelled(parts.iter().map(|&(seq, len)| line(seq, len)))).unwrap();
            let mut archive = archive(dir.path());
            for query in [before(seq), after(seq, below)] {
                let passage = archive.answer(&query).passage.unwrap();
                let within = |n: &u64| match query.section {
                    Section::Before(seq) => *n < seq,
                    Section::After { seq, below } => seq < *n && *n < below,
                };
                prop_assert!(seqs(&passage).is_sorted_by(|one, next| one < next) && seqs(&passage).iter().all(within));
            }
        }
    }

    #[test]
    fn what_is_no_log_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (log, older) = (path(dir.path(), room(), "log"), path(dir.path(), room(), "log.1"));
        let mut archive = archive(dir.path());
        let nothing = Passage { lines: Vec::new(), is_whole: true };
        assert_eq!(archive.answer(&before(9)).passage, Some(nothing));
        fs::create_dir(&log).unwrap();
        assert_eq!(archive.answer(&before(9)).passage, None);
        fs::remove_dir(&log).unwrap();
        mkfifoat(CWD, &log, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(archive.answer(&before(9)).passage, None);
        fs::remove_file(&log).unwrap();
        fs::write(dir.path().join("other"), spelled([line(1, 1)])).unwrap();
        std::os::unix::fs::symlink("other", &log).unwrap();
        assert_eq!(archive.answer(&before(9)).passage, None);
        fs::remove_file(&log).unwrap();
        // The newest half is read all the same.
        fs::write(&log, spelled([line(5, 1)])).unwrap();
        fs::create_dir(&older).unwrap();
        assert_eq!(seqs(&archive.answer(&before(9)).passage.unwrap()), [5]);
    }

    #[test]
    fn a_log_that_was_just_cut_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let (log, older) = (path(dir.path(), room(), "log"), path(dir.path(), room(), "log.1"));
        fs::write(&log, spelled((1..=5).map(|seq| line(seq, 9)))).unwrap();
        // So it looks to whoever opens one before it is renamed, and the other after that.
        fs::hard_link(&log, &older).unwrap();
        let mut archive = archive(dir.path());
        assert_eq!(seqs(&archive.answer(&before(4)).passage.unwrap()), [1, 2, 3]);
        assert_eq!(seqs(&archive.answer(&after(2, 9)).passage.unwrap()), [3, 4, 5]);
        fs::remove_file(&log).unwrap();
        assert_eq!(seqs(&archive.answer(&after(2, 9)).passage.unwrap()), [3, 4, 5]);
    }

    #[test]
    fn a_log_can_be_read_while_it_is_written_and_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (written, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                // Each half has about 300 lines.
                let mut logs = Logs::new(dir.path().to_owned(), 200_000, None);
                for seq in 1.. {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    logs.append(room(), &spelled([line(seq, 300)])).unwrap();
                    written.store(seq, Ordering::SeqCst);
                }
            });
            let mut archive = archive(dir.path());
            while written.load(Ordering::SeqCst) < 10_000 {
                let last = written.load(Ordering::SeqCst);
                let seqs = seqs(&archive.answer(&at_most(50, 1 << 20, before(last + 1))).passage.unwrap());
                // While it was asked for it may have been cut more than once.
                if written.load(Ordering::SeqCst) < last + 200 {
                    assert!(seqs.iter().rev().copied().eq((1..=last).rev().take(50)), "{seqs:?} up to {last}");
                }
            }
            stop.store(true, Ordering::SeqCst);
        });
    }

    #[test]
    fn each_query_has_one_answer_and_nobody_waits_for_those_that_are_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(path(dir.path(), room(), "log"), spelled((1..=300).map(|seq| line(seq, 9)))).unwrap();
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let reader = Reader::start(dir.path().to_owned(), Arc::clone(&waker)).unwrap();
        let count = 10 * limits::LOG_ANSWERS as u32;
        let ask = |n| reader.ask(at_most(1, 1_000, Query { asker: ConnId::new(n, 0), ..before(n.into()) }));
        (2..2 + count).for_each(ask);
        let (mut got, mut events) = (Vec::new(), Events::with_capacity(1));
        while got.len() < count as usize {
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            assert!(!events.is_empty(), "nothing woke the loop after {got:?}");
            got.extend(reader.found().map(|answer| (answer.asker, seqs(&answer.passage.unwrap()))));
        }
        assert!(got.into_iter().eq((2..2 + count).map(|n| (ConnId::new(n, 0), vec![u64::from(n) - 1]))));
        (2..2 + count).for_each(ask);
        drop(reader);
    }

    /// Bytes that this thread has read.
    fn bytes_read() -> u64 {
        let io = fs::read_to_string("/proc/thread-self/io").unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    }

    #[test]
    fn of_a_large_log_little_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = String::new();
        let mut last = 0;
        while log.len() < 64 << 20 {
            last += 1;
            format::encode(&mut log, &line(last, 100));
        }
        fs::write(path(dir.path(), room(), "log"), &log).unwrap();
        let mut archive = archive(dir.path());
        for seq in [1, last / 3, last / 2, last - 1] {
            for query in [before(seq), after(seq, u64::MAX)] {
                let begun = bytes_read();
                let passage = archive.answer(&query).passage.unwrap();
                let read = bytes_read() - begun;
                assert!(read < 1 << 20, "{read} bytes read for {query:?}");
                assert_eq!(passage, plain_passage(seq, last, &query));
            }
        }
    }

    /// A passage of a log without gaps or damage.
    fn plain_passage(seq: u64, last: u64, query: &Query) -> Passage {
        let (lines, all): (Vec<u64>, u64) = match query.section {
            Section::Before(_) => ((1..seq).rev().take(query.lines).collect(), seq - 1),
            Section::After { .. } => ((seq + 1..=last).take(query.lines).collect(), last - seq),
        };
        let is_whole = lines.len() as u64 == all;
        let mut lines: Vec<PastLine> = lines.into_iter().map(|seq| line(seq, 100).into()).collect();
        lines.sort_unstable_by_key(|line| line.seq);
        Passage { lines, is_whole }
    }
}
