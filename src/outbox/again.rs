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
    /// out of that, and whether rows that tell of it are counted. What belonged to the old transport alone is forgotten.
    pub fn rewind(&mut self, sent: &mut Sent, lines: u64, is_late: bool) -> (Rest, LeftOut, bool) {
        self.unwrite();
        let pending = self.take_pieces().into_iter().filter(|piece| !matches!(piece.kind, Kind::Aside | Kind::Keep));
        let mut pending: VecDeque<Piece> = pending.collect();
        sent.skip(lines, &mut pending);
        let (mut pieces, left_out, goes_on) = sent.take(lines, is_late);
        pieces.append(&mut pending);
        (Rest(pieces), left_out, goes_on)
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
    use crate::effect::Lines;
    use crate::names::RoomName;

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

    /// Takes a place up, and tells whether a row is counted that says what is left out.
    fn take_up(outbox: &mut Outbox, sent: &mut Sent, (lines, is_late): (u64, bool)) -> bool {
        let (rest, left_out, goes_on) = outbox.rewind(sent, lines, is_late);
        if goes_on && left_out.has(Lines::Rest) {
            outbox.push_known(Kind::Reply, b"left out\n", Lines::Rest);
        }
        outbox.put_back(rest, None);
        goes_on
    }

    #[test]
    fn what_is_held_goes_on_from_any_line_that_ever_came() {
        let (mut gaps, mut late) = (0, 0);
        for seed in 0..400 {
            let mut dice = fastrand::Rng::with_seed(seed);
            let held = Rc::default();
            let (mut outbox, mut sent, room) = (Outbox::default(), Sent::default(), Segment::new(&held));
            let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room: usize::MAX }, Vec::new());
            outbox.push(Kind::Keep, b"+ keep\n");
            outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
            writer.taken.clear();
            // How many lines there are, which of them comes next, and how many have come as whoever reads them counts.
            let (mut count, mut next, mut come) = (0, 0, 0);
            // What they have said on their connections, what they say on one whose line is long under way, and whether they have given
            // that up for another.
            let (mut said, mut stuck, mut is_given_up) = (0, 0, false);
            // Whether they are told that some are left out, and whether they read nothing of what is written.
            let (mut is_told, mut is_away) = (false, false);
            for step in 0..600 {
                match dice.usize(..12) {
                    0..4 => {
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
                    4 if !is_away => {
                        assert!(sent.confirm(come), "seed {seed}");
                        said = come;
                        assert!(!sent.confirm(sent.written() + 1));
                    }
                    5 => sent.trim(dice.usize(..300)),
                    6 => (stuck, is_given_up, is_away) = (come, false, true),
                    7 => {
                        late += u32::from(is_given_up);
                        // Where more was said since, it does not matter when the connection came.
                        let is_late = is_given_up && (stuck == said || dice.bool());
                        take_up(&mut outbox, &mut sent, (stuck, is_late));
                        is_away = true;
                        writer.taken.clear();
                    }
                    8 => {
                        assert!(take_up(&mut outbox, &mut sent, (come, false)));
                        (said, is_given_up, is_away) = (come, true, false);
                        writer.taken.clear();
                    }
                    _ => {
                        writer.room = if step == 599 { usize::MAX } else { dice.usize(..40) };
                        outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
                        let end = writer.taken.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
                        let lines: Vec<u8> = writer.taken.drain(..end).collect();
                        let lines = String::from_utf8(lines).unwrap();
                        for line in lines.lines().filter(|_| !is_away) {
                            come += 1;
                            let Some(number) = line.strip_prefix("line ") else {
                                (is_told, gaps) = (true, gaps + 1);
                                continue;
                            };
                            let number: u64 = number.parse().unwrap();
                            assert!(number == next || (is_told && number > next), "seed {seed}: {number}, not {next}");
                            (next, is_told) = (number + 1, false);
                        }
                    }
                }
                assert!(come <= sent.most_written() && said <= come, "seed {seed}");
            }
        }
        assert!(gaps > 100 && late > 1_000, "{gaps} {late}");
    }

    #[test]
    fn what_was_confirmed_is_told_of_if_it_is_said_not_to_have_come() {
        let (mut outbox, mut sent) = (Outbox::default(), Sent::default());
        let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room: usize::MAX }, Vec::new());
        let room = RoomName::new("#a").unwrap();
        outbox.push(Kind::Keep, b"+ keep\n");
        outbox.push_known(Kind::Event, b"#a <bob> one\n", Lines::Room(room, Some((1, 1))));
        outbox.push(Kind::Event, b"@bob <bob> two\n");
        outbox.push_known(Kind::Event, b"#a <bob> three\n", Lines::Room(room, Some((2, 2))));
        outbox.push(Kind::Reply, b"+ ping\n");
        outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
        assert!(sent.confirm(3));
        for (lines, want) in [
            (0, &[Lines::Room(room, Some((1, 2))), Lines::Private][..]),
            (2, &[Lines::Room(room, Some((1, 2)))]),
            (3, &[]),
            (4, &[]),
        ] {
            let (rest, left_out, goes_on) = outbox.rewind(&mut sent, lines, false);
            assert_eq!((left_out.lines().collect::<Vec<_>>(), goes_on), (want.to_vec(), lines >= 3));
            outbox.put_back(rest, None);
            writer.taken.clear();
            outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
            assert_eq!(writer.taken, if lines < 4 { &b"+ ping\n"[..] } else { b"" });
            assert_eq!((sent.written(), sent.most_written()), (4, 4));
        }
    }

    #[test]
    fn what_tells_of_lines_that_are_left_out_stands_for_them() {
        let (mut outbox, mut sent) = (Outbox::default(), Sent::default());
        let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room: usize::MAX }, Vec::new());
        let (room, held) = (RoomName::new("#a").unwrap(), Rc::default());
        outbox.push(Kind::Keep, b"+ keep\n");
        outbox.push_known(Kind::Reply, b"#a * ann missed 3 after 0\n", Lines::Room(room, Some((1, 3))));
        outbox.push_known(Kind::Reply, b"* notice private messages were left out\n", Lines::Private);
        let segment = Segment::of_room(&held, room);
        segment.note_said(4);
        segment.extend(b"#a <bob> four\n");
        outbox.push_shared(Kind::Event, &segment, 0);
        outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
        sent.trim(0);
        let (rest, left_out, _) = outbox.rewind(&mut sent, 0, false);
        assert_eq!(left_out.lines().collect::<Vec<_>>(), [Lines::Room(room, Some((1, 4))), Lines::Private]);
        // What is said next in private is none of what is written again.
        outbox.put_back(rest, None);
        outbox.push_shared(Kind::Event, &segment, 0);
        outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
        let (rest, ..) = outbox.rewind(&mut sent, 0, false);
        outbox.put_back(rest, None);
        outbox.push(Kind::Event, b"@bob <bob> five\n");
        outbox.write_to(&mut writer, &mut spare, Some(&mut sent)).unwrap();
        sent.trim(0);
        let (_, left_out, _) = outbox.rewind(&mut sent, 0, false);
        assert_eq!(left_out.lines().collect::<Vec<_>>(), [Lines::Room(room, Some((4, 4))), Lines::Private]);
    }
}
