//! What was written to a connection whose place is kept: it may never have been read, and so is held until it is confirmed.

use std::collections::VecDeque;

use memchr::memchr_iter;

use super::Kind;
use super::piece::{PIECE, Piece};
use super::segment::{Of, Segment};
use crate::effect::{LeftOut, Lines};

/// The lines that were written since the first `+ keep`, and as many of the last of them as may be held. Only whole lines are
/// here; one that is half written is still pending.
#[derive(Debug, Default)]
pub struct Sent {
    /// Whether that `+ keep` is written.
    begun: bool,
    /// How many lines were written since. What is to be written once more does not count.
    written: u64,
    /// The most that this ever was: so many may have come.
    most: u64,
    /// The most that is said to have come.
    said: u64,
    /// Those of them that are in `lines` no more.
    past: u64,
    lines: VecDeque<Held>,
    /// Bytes of text in `lines`.
    bytes: usize,
    /// What of these `past` lines was never confirmed, and what was.
    left_out: LeftOut,
    confirmed: LeftOut,
}

/// Some whole lines that follow each other.
#[derive(Debug)]
struct Held {
    piece: Piece,
    count: u64,
}

impl Sent {
    /// Whether whoever is written to can know that their place is kept.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// How many lines were written, but for those that are to be written once more.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The same with those.
    pub fn most_written(&self) -> u64 {
        self.most
    }

    /// Bytes of memory that what is held takes, as if nobody else held it.
    pub fn memory(&self) -> usize {
        self.bytes + PIECE as usize * self.lines.len()
    }

    /// Takes note of what was written of a piece that was to be written from `from` on, where a line begins.
    pub(super) fn note(&mut self, piece: &Piece, from: u32) {
        let to = piece.line_start();
        match piece.kind {
            Kind::Keep => self.begun |= piece.len() == 0,
            Kind::Aside => {}
            _ if self.begun && from < to => self.hold(piece, from, to),
            _ => {}
        }
    }

    fn hold(&mut self, piece: &Piece, from: u32, to: u32) {
        let text = piece.segment.bytes();
        let lines_in = |from: u32, to: u32| memchr_iter(b'\n', &text[from as usize..to as usize]).count() as u64;
        let count = lines_in(from, to);
        self.written += count;
        self.most = self.most.max(self.written);
        if let Some(Of::File { .. }) = piece.segment.of() {
            // It is read again if it must be.
            let Some(piece) = piece.to_be_read(lines_in(0, from), count) else { return };
            let goes_on = self.lines.back_mut().is_some_and(|last| last.go_on_with(&piece, count));
            if !goes_on {
                self.lines.push_back(Held { piece, count });
            }
            return;
        }
        let len = (to - from) as usize;
        self.bytes += len;
        // To hold it where it is would take more memory than a copy does.
        let is_copied = len <= PIECE as usize || 2 * len < text.len();
        let is_added = match self.lines.back_mut() {
            Some(last) if last.piece.end == from && last.piece.is_of_same(piece) => {
                (last.piece.end, last.count) = (to, last.count + count);
                true
            }
            Some(last) => is_copied && last.add(piece, from, to, count),
            None => false,
        };
        if !is_added {
            let piece = if is_copied { piece.copy(from, to) } else { piece.part(from, to) };
            self.lines.push_back(Held { piece, count });
        }
    }

    /// Lets go of what is beyond `limit` bytes, the first of it first.
    pub fn trim(&mut self, limit: usize) {
        while self.bytes > limit || self.memory() > 4 * limit {
            let Some(Held { piece, count }) = self.lines.pop_front() else { return };
            self.past += count;
            self.bytes -= piece.len() as usize;
            add(&mut self.left_out, &piece, self.past);
        }
    }

    /// So many lines have come; `false` if that is more than were written.
    pub fn confirm(&mut self, lines: u64) -> bool {
        if lines > self.written {
            return false;
        }
        self.said = self.said.max(lines);
        self.confirmed.add_all(self.left_out.take_up_to(lines));
        while self.past < lines
            && let Some(first) = self.lines.front_mut()
        {
            let count = first.count.min(lines - self.past);
            let before = first.piece.len() as usize;
            self.past += count;
            if first.count == count {
                add(&mut self.confirmed, &first.piece, self.past);
                self.lines.pop_front();
                self.bytes -= before;
            } else {
                first.count -= count;
                add(&mut self.confirmed, &first.piece.split_lines(count), self.past);
                self.bytes -= before - first.piece.len() as usize;
            }
        }
        true
    }

    /// Takes all that was written behind so many lines, to be written and counted once more; and what of it is held no more. What was
    /// written before that is held on, as it is not confirmed. Also tells whether rows that tell of what is held no more are counted.
    ///
    /// Lines are counted on from what the newest connection says. Where an older one asks late, or less is said to have come than was
    /// before, the count stays what it is: by that count the next one asks, and it must not be taken to have what it has not.
    pub(super) fn take(&mut self, lines: u64, is_late: bool) -> (VecDeque<Piece>, LeftOut, bool) {
        let goes_on = !is_late && lines >= self.said;
        let mut left_out = LeftOut::default();
        if lines < self.past {
            left_out = self.left_out.behind(lines);
            if lines < self.said {
                left_out.add_all(self.confirmed.behind(lines));
            }
            if goes_on {
                (self.left_out, self.past, self.most) = (LeftOut::default(), lines, lines);
            } else {
                left_out.forget_files();
            }
        }
        if goes_on {
            self.said = lines;
        }
        let lines = lines.max(self.past);
        let (mut at, mut held) = (self.past, 0);
        while at < lines
            && let Some(Held { piece, count }) = self.lines.get_mut(held)
        {
            if at + *count > lines {
                let head = piece.split_lines(lines - at);
                let before = Held { piece: head, count: lines - at };
                *count -= before.count;
                self.lines.insert(held, before);
            }
            at += self.lines[held].count;
            held += 1;
        }
        let pieces = self.lines.split_off(held).into_iter().map(|held| held.piece).collect();
        self.written = lines;
        self.bytes = self.lines.iter().map(|held| held.piece.len() as usize).sum();
        (pieces, left_out, goes_on)
    }
}

impl Sent {
    /// Of `pieces`, which are to be written once more, all have come up to this line: what was written before that goes on to be held.
    /// It is so where a connection of old has asked for them, and they had come on another.
    pub(super) fn skip(&mut self, lines: u64, pieces: &mut VecDeque<Piece>) {
        while self.written < lines
            && let Some(mut piece) = pieces.pop_front()
        {
            let all = piece.line_count();
            let count = all.min(lines - self.written);
            if count < all {
                let head = piece.split_lines(count);
                pieces.push_front(std::mem::replace(&mut piece, head));
            }
            self.written += count;
            self.bytes += piece.len() as usize;
            self.lines.push_back(Held { piece, count });
        }
    }
}

/// Notes that a piece is held no more, the last line of which is this one.
fn add(left_out: &mut LeftOut, piece: &Piece, last: u64) {
    let mut add = |lines| left_out.add(lines, last);
    match piece.segment.of() {
        Some(Of::Room { name, .. }) => add(Lines::Room(*name, piece.said())),
        Some(Of::File { file, .. }) => add(Lines::File(*file)),
        Some(Of::Own(lines)) => add(*lines),
        None if piece.kind == Kind::Presence => add(Lines::Presence),
        None => {
            let text = piece.segment.bytes();
            let is_private = |line: &[u8]| line.starts_with(b"@");
            let mut lines = piece.of(&text).split_inclusive(|&byte| byte == b'\n');
            if lines.clone().any(is_private) {
                add(Lines::Private);
            }
            if !lines.all(is_private) {
                add(Lines::Rest);
            }
        }
    }
}

impl Held {
    /// Adds a copy of lines, if those that are held are a copy of the same kind and there is room.
    fn add(&mut self, piece: &Piece, from: u32, to: u32, count: u64) -> bool {
        let is_added = self.piece.kind == piece.kind && self.piece.add_copy(piece, from, to);
        self.count += if is_added { count } else { 0 };
        is_added
    }

    /// Adds lines of file data that are read again as these are, if they follow these in the same file.
    fn go_on_with(&mut self, piece: &Piece, count: u64) -> bool {
        let (Some(&Of::File { file, offset, len }), Some(&Of::File { file: other, offset: from, len: more })) =
            (self.piece.segment.of(), piece.segment.of())
        else {
            return false;
        };
        let goes_on = file == other && offset + len == from;
        if goes_on {
            self.piece.segment = Segment::to_be_read(file, offset, len + more);
            self.count += count;
        }
        goes_on
    }
}
