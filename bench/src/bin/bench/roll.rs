//! What was said in the room, and what of it each has heard: every line byte for byte, in order, none twice.

use std::time::{Duration, Instant};

use super::dialect::{Dialect, TEXT, name, text};
use super::load::Out;
use chinwag_bench::Outcome;

struct Speaker {
    /// What stands before its text in everybody's lines; found out with its first line.
    before: Vec<u8>,
    /// All its lines as they are to arrive, one after the other.
    lines: Vec<u8>,
    /// When each was said.
    at: Vec<Instant>,
    /// How many have heard each.
    heard: Vec<u32>,
}

/// The speakers of the room, who are its first members, and all its listeners.
pub struct Roll {
    dialect: Dialect,
    /// Those who listen, speakers too.
    members: usize,
    speakers: Vec<Speaker>,
    /// For each member and speaker, the number of the line that comes next.
    next: Vec<u32>,
    /// The length of every line as it arrives, once it is known.
    len: usize,
    /// Where the text stands in it.
    start: usize,
    /// How many have to hear each line.
    pub listeners: u32,
    /// Lines said that not everybody has heard.
    pub under_way: usize,
    /// Whose lines have just been heard by everybody, one entry a line.
    pub arrived: Vec<usize>,
    /// How long each line took to each listener, in microseconds, if that is wanted.
    pub times: Option<Vec<u32>>,
}

impl Roll {
    /// A room of so many members, of whom the first `speakers` will speak.
    pub fn new(dialect: Dialect, members: usize, speakers: usize) -> Self {
        let speaker = || Speaker { before: Vec::new(), lines: Vec::new(), at: Vec::new(), heard: Vec::new() };
        Self {
            dialect,
            members,
            speakers: (0..speakers).map(|_| speaker()).collect(),
            next: vec![0; members * speakers],
            len: 0,
            start: 0,
            listeners: members as u32 - u32::from(dialect != Dialect::Bare),
            under_way: 0,
            arrived: Vec::new(),
            times: None,
        }
    }

    /// Has a speaker say its next line.
    pub fn say(&mut self, speaker: usize, mut write: impl FnMut(usize, &[u8])) {
        let said = &mut self.speakers[speaker];
        let text = text(speaker, said.at.len() as u32);
        // The first line is put down when it is seen how lines look.
        if !said.before.is_empty() {
            said.put(&text, self.dialect);
        }
        self.under_way += 1;
        said.heard.push(0);
        said.at.push(Instant::now());
        write(speaker, self.dialect.say(speaker, &text).as_bytes());
    }

    /// Takes the lines that a member has heard.
    pub fn take(&mut self, out: &mut Out, member: usize, mut block: &[u8], at: Instant) -> Outcome<()> {
        let speakers = self.speakers.len();
        while !block.is_empty() {
            let speaker = block.get(self.start).map_or(usize::MAX, |letter| usize::from(letter.wrapping_sub(b'A')));
            if let (Some(line), Some(said)) = (block.get(..self.len), self.speakers.get_mut(speaker)) {
                let next = &mut self.next[member * speakers + speaker];
                let n = *next as usize;
                if self.len > 0 && said.lines.get(n * self.len..(n + 1) * self.len) == Some(line) {
                    *next += 1;
                    said.heard[n] += 1;
                    if let Some(times) = &mut self.times {
                        times.push(at.saturating_duration_since(said.at[n]).as_micros() as u32);
                    }
                    if said.heard[n] == self.listeners {
                        self.under_way -= 1;
                        self.arrived.push(speaker);
                    }
                    block = &block[self.len..];
                    continue;
                }
            }
            let end = block.iter().position(|byte| *byte == b'\n').map_or(block.len(), |end| end + 1);
            let line = &block[..end];
            if !self.learn(line) {
                let line = line.strip_suffix(self.dialect.ending().as_bytes()).unwrap_or(line);
                let aside = self
                    .dialect
                    .aside(line)
                    .map_err(|e| format!("{} in the room: {e}, twice, or too soon", name(member)))?;
                if let Some(answer) = aside {
                    out.say(member, answer);
                }
                block = &block[end..];
            }
        }
        Ok(())
    }

    /// Learns from the first line of a speaker how its lines look. Says whether it was that.
    fn learn(&mut self, line: &[u8]) -> bool {
        let ending = self.dialect.ending().as_bytes();
        let Some(start) = line.len().checked_sub(TEXT + ending.len()) else { return false };
        let speaker = usize::from(line[start].wrapping_sub(b'A'));
        let Some(said) = self.speakers.get_mut(speaker) else { return false };
        let first = text(speaker, 0);
        let is_first = said.before.is_empty() && line[start..].strip_suffix(ending) == Some(first.as_bytes());
        let fits = self.len == 0 || self.len == line.len();
        if !is_first || !fits || !self.dialect.is_said_by(speaker, &line[..start]) {
            return false;
        }
        said.before = line[..start].to_vec();
        said.put(&first, self.dialect);
        (self.len, self.start) = (line.len(), start);
        true
    }

    /// From this member on, who is no speaker, nobody hears any more.
    pub fn deafen(&mut self, from: usize) {
        self.listeners -= (self.members - from) as u32;
        self.members = from;
    }

    /// So many lines were said in all.
    pub fn said(&self) -> usize {
        self.speakers.iter().map(|speaker| speaker.at.len()).sum()
    }

    /// An error if somebody has not heard each line of each speaker.
    pub fn complete(&self) -> Outcome<()> {
        for member in 0..self.members {
            for (speaker, said) in self.speakers.iter().enumerate() {
                let heard = self.next[member * self.speakers.len() + speaker] as usize;
                let due = if member == speaker && self.dialect != Dialect::Bare { 0 } else { said.at.len() };
                if heard != due {
                    return Err(format!("{} heard {heard} of {due} lines of {}", name(member), name(speaker)));
                }
            }
        }
        Ok(())
    }
}

impl Speaker {
    /// Puts a line down as it is to arrive.
    fn put(&mut self, text: &str, dialect: Dialect) {
        self.lines.extend_from_slice(&self.before);
        self.lines.extend_from_slice(text.as_bytes());
        self.lines.extend_from_slice(dialect.ending().as_bytes());
    }
}

/// The time that a share of all is under, in milliseconds.
pub fn percentile(times: &mut [u32], share: f64) -> f64 {
    if times.is_empty() {
        return 0.0;
    }
    let at = ((times.len() as f64 * share) as usize).min(times.len() - 1);
    let (_, time, _) = times.select_nth_unstable(at);
    Duration::from_micros(u64::from(*time)).as_secs_f64() * 1000.0
}
