//! What all people share: the rooms and what was heard in them, letters, files, and the figures.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::Poll;

use crate::room::{Letters, Room, Stay, shortened};
use chinwag_bench::{Outcome, Peer, connect, failed};
use testkit::Server;

/// Rooms of the usual kind.
pub const ROOMS: usize = 40;
/// The busy room, by its index.
pub const BUSY: usize = ROOMS;
/// Files whose digests are remembered.
const FILES: usize = 5_000;

pub struct World {
    pub rooms: Vec<Room>,
    /// Lines that the server remembers of a room.
    pub history: u64,
    pub letters: Letters,
    /// Digests of files.
    pub files: HashMap<u64, String>,
    pub chance: Rng,
    /// Those who can be written to, by their slot.
    online: Vec<Option<(Stay, String)>>,
    /// How much those who have left had said where.
    pub said: Vec<(Stay, usize, u64)>,
    pub delivered: u64,
    pub missed: u64,
    pub missed_by_usual: u64,
    pub fetched: u64,
    pub forgotten: u64,
    pub looked: u64,
    pub too_slow: u64,
    pub uploads: u64,
    pub resumed: u64,
    pub downloads: u64,
    pub refused_files: u64,
    stays: u64,
}

impl World {
    pub fn new(chance: Rng, history: u64, people: usize) -> Self {
        let names = (0..ROOMS).map(|n| format!("#r{n}")).chain(["#busy".to_owned()]);
        Self {
            rooms: names.map(Room::new).collect(),
            history,
            letters: Letters::default(),
            files: HashMap::new(),
            chance,
            online: vec![None; people],
            said: Vec::new(),
            delivered: 0,
            missed: 0,
            missed_by_usual: 0,
            fetched: 0,
            forgotten: 0,
            looked: 0,
            too_slow: 0,
            uploads: 0,
            resumed: 0,
            downloads: 0,
            refused_files: 0,
            stays: 0,
        }
    }

    /// A room of the usual kind.
    pub fn some_room(&mut self) -> usize {
        self.chance.usize(..ROOMS)
    }

    pub fn room_named(&self, name: &str) -> Option<usize> {
        let n = if name == "#busy" { BUSY } else { name.strip_prefix("#r")?.parse().ok()? };
        (n < self.rooms.len()).then_some(n)
    }

    /// Somebody who can be written to.
    pub fn somebody(&mut self) -> Option<(Stay, String)> {
        let n = self.chance.usize(..self.online.len());
        self.online[n].clone().filter(|(_, nick)| !nick.is_empty())
    }

    /// The person in a slot has this name now.
    pub fn is_called(&mut self, slot: usize, stay: Stay, nick: &str) {
        if self.online[slot].as_ref().is_none_or(|(known, name)| *known != stay || name != nick) {
            self.online[slot] = Some((stay, nick.to_owned()));
        }
    }

    pub fn has_left(&mut self, slot: usize, stay: Stay) {
        self.online[slot] = None;
        self.letters.left(stay);
        self.stays += 1;
    }

    /// Rows of a history: each is what others heard, and they follow each other. The first and the last number.
    pub fn rows(&mut self, room: usize, details: &[String]) -> Outcome<Option<(u64, u64)>> {
        let mut ends: Option<(u64, u64)> = None;
        for row in details {
            let parts = row.strip_prefix("- [").and_then(|row| row.split_once("] "));
            let (stamp, said) = parts.ok_or_else(|| format!("a strange row: {}", shortened(row)))?;
            let (seq, _) = self.rooms[room].hear(stamp, said)?;
            if let Some((_, last)) = ends
                && seq != last + 1
            {
                return Err(format!("the history of {} has {seq} after {last}", self.rooms[room].name));
            }
            ends = Some((ends.map_or(seq, |(first, _)| first), seq));
        }
        Ok(ends)
    }

    /// Checks what has become known; all of it at the end, when nothing is under way any more.
    pub fn settle(&mut self, is_end: bool) -> Vec<String> {
        let mut failures: Vec<String> = self.rooms.iter_mut().filter_map(|room| room.settle().err()).collect();
        failures.extend(self.letters.settle(Instant::now(), is_end).err());
        if is_end {
            failures.extend(self.rooms.iter_mut().filter_map(|room| room.finish().err()));
            let said = std::mem::take(&mut self.said);
            failures
                .extend(said.iter().filter_map(|(stay, room, said)| self.rooms[*room].has_all_of(*stay, *said).err()));
        }
        // Old files are fetched by nobody.
        if self.files.len() > 2 * FILES {
            let newest = self.files.keys().max().copied().unwrap_or_default();
            self.files.retain(|id, _| id + FILES as u64 > newest);
        }
        failures
    }

    /// What there was of everything.
    pub fn summary(&self) -> String {
        let said: u64 = self.rooms.iter().map(Room::last).sum();
        format!(
            "{said} lines said, {} delivered; {} missed by the slow, {} by others, {} of these fetched, {} forgotten; {} \
             looked up; {} of {} letters arrived; {} files sent, {} of them in two parts, {} refused, {} fetched; {} stays \
             ended, {} of them too slow",
            self.delivered,
            self.missed - self.missed_by_usual,
            self.missed_by_usual,
            self.fetched,
            self.forgotten,
            self.looked,
            self.letters.arrived,
            self.letters.count,
            self.uploads,
            self.resumed,
            self.refused_files,
            self.downloads,
            self.stays,
            self.too_slow
        )
    }

    /// Asks another server on the same folder for the histories: they end with what was heard last, and are as they were.
    pub fn compare(&mut self, server: &Server) -> Outcome<()> {
        let poll = Poll::new().map_err(failed("poll"))?;
        let stream = connect(server.socket_address(), 0, None).map_err(failed("nobody can connect"))?;
        let mut peer = Peer::new(stream, poll.registry(), 0).map_err(failed("poll"))?;
        let mut scratch = vec![0; 64 * 1024];
        for room in 0..self.rooms.len() {
            let name = self.rooms[room].name.clone();
            let greatest = self.rooms[room].greatest();
            // The end of what is remembered, as much as one answer holds: 256 KiB, of which the busy room has many.
            let count = if room == BUSY { 80 } else { self.history };
            peer.send(&format!("/join {name}\n/history {name} {count}"));
            let mut rows = Vec::new();
            let since = Instant::now();
            let mut is_done = false;
            while !is_done {
                peer.readable = true;
                peer.flush().map_err(failed("the connection"))?;
                peer.fill(&mut scratch, usize::MAX).map_err(failed("the connection"))?;
                let block = peer.take_lines()?;
                rows.extend(block.lines().filter(|line| line.starts_with("- [")).map(str::to_owned));
                is_done = block.lines().any(|line| line.starts_with("+ history") || line.starts_with('!'));
                if since.elapsed() > Duration::from_secs(20) {
                    return Err(format!("no history of {name}"));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let ends = self.rows(room, &rows)?;
            let expected = (greatest.saturating_sub(count) + 1, greatest);
            if greatest > 0 && ends != Some(expected) {
                return Err(format!("the history of {name} goes {ends:?}, and what was heard {expected:?}"));
            }
        }
        Ok(())
    }
}

/// Seconds of which the least counts: what is under way for a moment is no growth.
const WINDOW: usize = 10;
/// Growth that is none: queues of the slow are at another place of their round, and the allocator keeps some of them.
const MARGIN: u64 = 4 * 1024;

/// What the server held, second by second, once it was warm.
#[derive(Default)]
pub struct Memory {
    samples: Vec<u64>,
}

impl Memory {
    /// So many kilobytes now.
    pub fn sample(&mut self, resident: u64) {
        self.samples.push(resident);
    }

    /// Of the first and of the last third, the median of the least of each window.
    fn ends(&self) -> (u64, u64) {
        let third = (self.samples.len() / 3).max(1).min(self.samples.len());
        let middle = |samples: &[u64]| {
            let mut least: Vec<u64> =
                samples.chunks(WINDOW).filter_map(|window| window.iter().min().copied()).collect();
            least.sort_unstable();
            least.get(least.len() / 2).copied().unwrap_or_default()
        };
        (middle(&self.samples[..third]), middle(&self.samples[self.samples.len() - third..]))
    }

    pub fn verdict(&self) -> Outcome<()> {
        let (first, last) = self.ends();
        if last <= first + MARGIN {
            Ok(())
        } else {
            Err(format!("the server's memory grew from {first} to {last} KiB"))
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.ends();
        let most = self.samples.iter().max().copied().unwrap_or_default();
        write!(f, "{first} KiB in the first third, {last} KiB in the last, {most} KiB at most")
    }
}
