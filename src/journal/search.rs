//! Finding messages in one log by their numbers, without reading all of it. Nothing here writes.

use std::fs::File;
use std::io::{self, Read};
use std::ops::{ControlFlow, Range};

use memchr::{memchr, memrchr};

use super::format;
use super::logs::At;
use crate::effect::Logged;

/// How much is read at once, in bytes: longer than the longest line that [`format::parse_saved`] takes.
const BLOCK: usize = 16 * 1024;

/// A message, and where its line begins and ends in the log.
struct Hit {
    line: Logged,
    at: Range<u64>,
}

/// Where the first message begins whose number is `seq` or greater; the end of the log, if there is none. Numbers are taken
/// to ascend, and lines that are no messages are passed over.
///
/// Of a line that stands where its number does not ascend, this may take notice or not. Such lines are what a failed write
/// left doubled, and either copy is right.
pub(super) fn place(log: &File, seq: u64) -> io::Result<u64> {
    let end = log.metadata()?.len();
    let (mut low, mut high) = (0, end);
    while high - low > BLOCK as u64 {
        let middle = low + (high - low) / 2;
        match first(log, start_of_line(log, middle, high)?..high)? {
            Some(found) if found.line.seq < seq => low = found.at.end,
            _ => high = middle,
        }
    }
    // Damage may have brought `high` too far down. `low` is right, and what is found from there on is.
    let mut place = end;
    scan(log, low..end, |found| {
        if found.line.seq < seq {
            return ControlFlow::Continue(());
        }
        place = found.at.start;
        ControlFlow::Break(())
    })?;
    Ok(place)
}

/// The first message of the log.
pub(super) fn first_of(log: &File) -> io::Result<Option<Logged>> {
    Ok(first(log, 0..log.metadata()?.len())?.map(|found| found.line))
}

/// Hands over the messages from the place `from` on, with ascending numbers above `seq`, until `take` has enough.
pub(super) fn forward(
    log: &File,
    from: u64,
    mut seq: u64,
    mut take: impl FnMut(Logged) -> ControlFlow<()>,
) -> io::Result<()> {
    scan(log, from..log.metadata()?.len(), |Hit { line, .. }| {
        if line.seq <= seq {
            return ControlFlow::Continue(());
        }
        seq = line.seq;
        take(line)
    })
}

/// Hands over the messages before the place `to`, the last one first, with descending numbers below `seq`, until `take`
/// has enough.
pub(super) fn backward(
    log: &File,
    mut to: u64,
    mut seq: u64,
    mut take: impl FnMut(Logged) -> ControlFlow<()>,
) -> io::Result<()> {
    while to > 0 {
        let from = start_of_line(log, to.saturating_sub(BLOCK as u64), to)?;
        let block = read(log, from..to)?;
        for line in format::read(&block).lines.into_iter().rev() {
            if line.seq >= seq {
                continue;
            }
            seq = line.seq;
            if take(line).is_break() {
                return Ok(());
            }
        }
        // A block without a line end is damage, and belongs to nothing.
        to = if from < to { from } else { to.saturating_sub(BLOCK as u64) };
    }
    Ok(())
}

/// The first message whose line is within `range`, which begins where a line does.
fn first(log: &File, range: Range<u64>) -> io::Result<Option<Hit>> {
    let mut first = None;
    scan(log, range, |found| {
        first = Some(found);
        ControlFlow::Break(())
    })?;
    Ok(first)
}

/// Hands over the messages whose lines are within `range`, which begins where a line does, until `take` has enough.
fn scan(log: &File, range: Range<u64>, mut take: impl FnMut(Hit) -> ControlFlow<()>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let block = read(log, at..range.end)?;
        let Some(last) = memrchr(b'\n', &block) else {
            // What is longer than a block is damage, and what has no end yet is being written.
            at = start_of_line(log, at + BLOCK as u64, range.end)?;
            continue;
        };
        for line in block[..=last].split_inclusive(|&b| b == b'\n') {
            let begin = at;
            at += line.len() as u64;
            if let Some(message) = format::parse_saved(&line[..line.len() - 1])
                && take(Hit { line: message, at: begin..at }).is_break()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Where the first line begins at `at` or behind it; `end`, if none does before that.
fn start_of_line(log: &File, at: u64, end: u64) -> io::Result<u64> {
    let Some(mut from) = at.checked_sub(1) else { return Ok(0) };
    while from < end {
        let block = read(log, from..end)?;
        match memchr(b'\n', &block) {
            Some(line_end) => return Ok(from + line_end as u64 + 1),
            None => from += BLOCK as u64,
        }
    }
    Ok(end)
}

/// The bytes of `range`, as far as they fit into a block and are there: a log may be cut while it is read.
fn read(log: &File, range: Range<u64>) -> io::Result<Vec<u8>> {
    let len = (range.end - range.start).min(BLOCK as u64);
    let mut bytes = Vec::with_capacity(BLOCK);
    At { file: log, at: range.start }.take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}
