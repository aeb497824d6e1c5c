//! What is written again where a place outlives its transport: pending lines that were half written, those that were written and did
//! not come, and file data, which is read again.

use std::collections::VecDeque;

use memchr::memchr_iter;

use super::piece::Piece;
use super::segment::{Of, Segment, at};
use super::{Kind, Outbox, Sent, Tail};
use crate::effect::LeftOut;
use crate::limits;
use crate::names::FileId;

/// Units of a file that are read at once to be written again.
const REREAD: u64 = 4;

/// What was taken out of a queue, to be put back.
#[derive(Debug)]
pub struct Rest(VecDeque<Piece>);

impl Rest {
    /// Nothing comes of a file, which `is_of_file` tells of a line, but `line` before all else.
    pub fn give_up(&mut self, file: FileId, line: &[u8], is_of_file: impl Fn(&[u8]) -> bool) {
        self.0.retain(|piece| !piece.is_of(file));
        for piece in self.0.iter_mut().filter(|piece| piece.kind == Kind::Reply && piece.segment.of().is_none()) {
            let text = piece.of(&piece.segment.bytes()).to_vec();
            let is_other = |line: &&[u8]| !is_of_file(line);
            let others: Vec<u8> = text.split_inclusive(|&b| b == b'\n').filter(is_other).flatten().copied().collect();
            if others.len() < text.len() {
                (piece.start, piece.end, piece.segment) = (0, at(others.len()), Segment::own(others));
            }
        }
        self.0.retain(|piece| piece.len() > 0 || piece.unread().is_some());
        let (end, segment) = (at(line.len()), Segment::own(line.to_vec()));
        self.0.push_front(Piece::new(Kind::Reply, segment, 0, end));
    }
}

impl Outbox {
    /// Which part of which file must be read before anything more can be written, if there is one.
    pub fn unread(&self) -> Option<(FileId, u64, usize)> {
        let (file, offset, len) = self.first.as_ref()?.unread()?;
        let unit = limits::DOWNLOAD_UNIT as u64;
        let most = (offset / unit + REREAD) * unit - offset;
        Some((file, offset, usize::try_from(len.min(most)).unwrap_or_default()))
    }

    /// Puts lines of so many bytes of a file, from `offset` on, in the place of what was to be read.
    pub fn fill(&mut self, lines: Vec<u8>, file: FileId, offset: u64, len: usize) {
        let mut pieces = self.take_pieces();
        if let Some(place) =
            pieces.iter().position(|piece| piece.unread().is_some_and(|it| (it.0, it.1) == (file, offset)))
        {
            let left = pieces[place].unread().map_or(0, |(_, _, all)| all.saturating_sub(len as u64));
            let of = Of::File { file, offset, len: len as u64 };
            let (end, segment) = (at(lines.len()), Segment::own_of(lines, Some(of)));
            let piece = Piece::new(Kind::Chunk, segment, 0, end);
            let rest = std::mem::replace(&mut pieces[place], piece);
            if left > 0 {
                let segment = Segment::to_be_read(file, offset + len as u64, left);
                pieces.insert(place + 1, Piece { segment, ..rest });
            }
        }
        self.append(pieces);
    }

    /// What was to be read of a file is there no more: `line` tells so in its place, and nothing else comes of that file, which
    /// `is_of_file` tells of a line.
    pub fn give_up(&mut self, file: FileId, line: &[u8], is_of_file: impl Fn(&[u8]) -> bool) {
        let mut pieces = self.take_pieces();
        if let Some(place) = pieces.iter().position(|piece| piece.is_of(file) && piece.unread().is_some()) {
            let mut rest = Rest(pieces.split_off(place));
            rest.give_up(file, line, is_of_file);
            pieces.append(&mut rest.0);
        }
        self.append(pieces);
    }

    /// The transport is lost: a line of which a part is written is to be written again, and file data is to be read again.
    pub fn unwrite(&mut self) {
        let mut pieces = self.take_pieces();
        for piece in &mut pieces {
            piece.start = piece.line_start();
            piece.half_written = false;
            let text = piece.segment.bytes();
            let lines = |text: &[u8]| memchr_iter(b'\n', text).count() as u64;
            let unread = match piece.unread() {
                None => piece.to_be_read(lines(&text[..piece.start as usize]), lines(piece.of(&text))),
                Some(_) => None,
            };
            drop(text);
            if let Some(unread) = unread {
                *piece = unread;
            }
        }
        self.append(pieces);
    }

    /// Takes out all that is pending and not held back, and before it what was written behind so many lines; and what was left
    /// out of that. What belonged to the old transport alone is forgotten.
    pub fn rewind(&mut self, sent: &mut Sent, lines: u64) -> (Rest, LeftOut) {
        self.unwrite();
        let pending = self.take_pieces().into_iter().filter(|piece| !matches!(piece.kind, Kind::Aside | Kind::Keep));
        let mut pending: VecDeque<Piece> = pending.collect();
        sent.skip(lines, &mut pending);
        let (mut pieces, left_out) = sent.take(lines);
        pieces.append(&mut pending);
        (Rest(pieces), left_out)
    }

    /// No place is kept any more: no line that is pending is where counting begins.
    pub fn forget_keep(&mut self) {
        let rest = self.rest.iter_mut().flat_map(|rest| &mut rest.pieces);
        for piece in self.first.iter_mut().chain(rest).filter(|piece| piece.kind == Kind::Keep) {
            piece.kind = Kind::Aside;
        }
    }

    /// Queues what was pending for another connection on the transport that is this one's now.
    pub fn adopt(&mut self, mut other: Self) {
        other.release();
        let pieces = other.take_pieces().into_iter();
        self.append(pieces.map(|piece| Piece { kind: Kind::Aside, ..piece }).collect());
    }

    /// Queues what was taken out, with other line ends if these are other than they were.
    pub fn put_back(&mut self, Rest(mut pieces): Rest, ends: Option<&'static str>) {
        ends.into_iter().for_each(|end| pieces.iter_mut().for_each(|piece| piece.end_lines_in(end)));
        self.append(pieces);
    }

    /// Takes out all that is pending and not held back.
    fn take_pieces(&mut self) -> VecDeque<Piece> {
        let Self { first, rest, .. } = std::mem::take(self);
        let Tail { mut pieces, held } = rest.map(|rest| *rest).unwrap_or_default();
        first.into_iter().for_each(|first| pieces.push_front(first));
        if let Some(held) = held {
            self.hold();
            for piece in held {
                self.shared += if piece.segment.is_shared() { piece.len() } else { 0 };
                self.add(piece);
            }
        }
        pieces
    }

    /// Queues pieces behind all that is pending and not held back.
    fn append(&mut self, pieces: VecDeque<Piece>) {
        for piece in pieces {
            self.shared += if piece.segment.is_shared() { piece.len() } else { 0 };
            *self.count(piece.kind) += piece.share(piece.len()) + piece.overhead();
            self.queue(Piece { settled: false, ..piece });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::tests::Narrow;
    use super::*;

    #[test]
    fn lines_are_counted_from_the_last_place_that_was_begun_though_nothing_was_written_meanwhile() {
        let (mut outbox, mut sent) = (Outbox::default(), Sent::default());
        let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room: usize::MAX }, Vec::new());
        for line in ["+ keep\n", "+ keep\n"] {
            outbox.push(Kind::Keep, line.as_bytes());
            outbox.push(Kind::Reply, b"of the place before\n");
        }
        outbox.forget_keep();
        outbox.push(Kind::Keep, b"+ keep\n");
        outbox.push(Kind::Reply, b"one\n");
        outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
        assert!(outbox.is_empty() && outbox.replies() == 0);
        assert_eq!((sent.has_begun(), sent.most_written()), (true, 1));
    }

    #[test]
    fn what_is_held_goes_on_from_any_line_that_ever_came() {
        for seed in 0..200 {
            let mut dice = fastrand::Rng::with_seed(seed);
            let held = Rc::default();
            let (mut outbox, mut sent, room) = (Outbox::default(), Sent::default(), Segment::new(&held));
            let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room: usize::MAX }, Vec::new());
            outbox.push(Kind::Keep, b"+ keep\n");
            outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
            writer.taken.clear();
            // How many lines there are, how many of them came on this connection, and on any.
            let (mut count, mut come, mut most) = (0, 0, 0);
            for step in 0..400 {
                match dice.usize(..8) {
                    0..3 => {
                        let line = format!("line {count}\n");
                        let start = room.len();
                        match dice.bool() {
                            true => {
                                room.extend(line.as_bytes());
                                outbox.push_shared(Kind::Event, &room, start);
                            }
                            false => outbox.push(Kind::Reply, line.as_bytes()),
                        }
                        count += 1;
                    }
                    3 => {
                        // Connections of old may ask late, for less than what came since.
                        let lines = if dice.bool() { most } else { dice.u64(..=most) };
                        let (rest, left_out) = outbox.rewind(&mut sent, lines);
                        assert!(!left_out.private && left_out.rooms.is_empty());
                        outbox.put_back(rest, None);
                        come = lines;
                        writer.taken.clear();
                    }
                    _ => {
                        writer.room = if step == 399 { usize::MAX } else { dice.usize(..40) };
                        outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
                        let end = writer.taken.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                        let lines: Vec<u8> = writer.taken.drain(..end).collect();
                        for line in String::from_utf8(lines).unwrap().lines() {
                            assert_eq!(line, format!("line {come}"), "seed {seed}");
                            come += 1;
                        }
                        most = most.max(come);
                    }
                }
                assert_eq!(sent.most_written(), most, "seed {seed}");
                assert!(come <= count);
            }
        }
    }
}
