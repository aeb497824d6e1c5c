//! One connection's write queue: what is pending for it, some of it in buffers that it shares with others.

mod again;
mod piece;
mod segment;
mod sent;

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};

pub use self::again::Rest;
pub use self::piece::PIECE;
use self::piece::Piece;
use self::segment::{Of, at};
pub use self::segment::{SEGMENT, Segment};
pub use self::sent::Sent;
use crate::effect::Lines;
use crate::names::FileId;

/// Why bytes are sent, as each kind has a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An answer to the connection's own requests.
    Reply,
    /// What others did.
    Event,
    /// Who came and went, which is no hurry.
    Presence,
    /// A line of file data.
    Chunk,
    /// What belongs to the connection and not to the place: it is neither counted as a line nor held once it is written.
    Aside,
    /// The same, and behind it what is written is counted and held.
    Keep,
}

impl Kind {
    /// Whether it waits while an answer is being told.
    fn is_held_back(self) -> bool {
        matches!(self, Self::Event | Self::Presence | Self::Chunk)
    }
}

/// What [`Outbox::write_to`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flushed {
    /// The queue is drained.
    All,
    /// The writer takes no more for now.
    Blocked {
        /// Bytes that it took before it blocked.
        taken: usize,
    },
}

/// A queue of bytes. Empty, it owns no memory.
///
/// Lines are counted with [`PIECE`] bytes for each piece that they are in, and file data by the memory that it is in, so that
/// what is counted is what is held.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Nearly always there is no more than one piece, which so needs no memory of its own.
    first: Option<Piece>,
    /// A connection for whom nothing is pending is a third smaller for the box.
    rest: Option<Box<Tail>>,
    replies: u32,
    events: u32,
    /// Those of the bytes of lines that stand in shared segments, which are counted there.
    shared: u32,
    chunks: u32,
}

/// What is pending behind the first piece.
#[derive(Debug, Default)]
struct Tail {
    pieces: VecDeque<Piece>,
    /// What is held back while an answer is being told: all but the answer itself.
    held: Option<VecDeque<Piece>>,
}

/// Pieces handed to the writer at once.
const PIECES: usize = 16;

impl Outbox {
    /// Queues the part of `segment` that begins at `start` and is its end now.
    #[inline]
    pub fn push_shared(&mut self, kind: Kind, segment: &Segment, start: usize) {
        let (start, end) = (at(start), at(segment.len()));
        // An empty piece would look like a writer that takes nothing.
        if start == end {
            return;
        }
        match self.last(kind) {
            // Lines that follow each other there are one piece here.
            Some(last) if last.end == start && last.kind == kind && last.segment.is_same(segment) => {
                last.end = end;
                last.settled = false;
                *self.count(kind) += end - start;
            }
            _ => self.add(Piece::new(kind, segment.clone(), start, end)),
        }
        self.shared += end - start;
    }

    /// Queues lines of so many bytes of a file, from `offset` on, of which it is kept what they are.
    pub fn push_file(&mut self, lines: Vec<u8>, file: FileId, offset: u64, len: usize) {
        let end = at(lines.len());
        let segment = Segment::own_of(lines, Some(Of::File { file, offset, len: len as u64 }));
        self.add(Piece::new(Kind::Chunk, segment, 0, end));
    }

    /// Queues all of `segment` before the first of what others did that is pending, but behind a line that is half written.
    pub fn push_shared_first(&mut self, kind: Kind, segment: &Segment) {
        let end = at(segment.len());
        let piece = Piece::new(kind, segment.clone(), 0, end);
        let is_event = |piece: &Piece| piece.kind == Kind::Event;
        let pieces = self.rest.iter().flat_map(|rest| &rest.pieces);
        let Some(place) = self.first.iter().chain(pieces).position(is_event) else {
            if let Some(Tail { held: Some(held), .. }) = self.rest.as_deref_mut() {
                held.push_front(piece);
                *self.count(kind) += end + PIECE;
            } else {
                self.add(piece);
            }
            self.shared += end;
            return;
        };
        let rest = &mut self.rest.get_or_insert_default().pieces;
        match place.checked_sub(1) {
            Some(place) => rest.insert(place, piece),
            None => {
                let Some(mut first) = self.first.take() else { return };
                // A line that is half written stays before it.
                match first.split_at_line() {
                    Some(half) if first.len() == 0 => {
                        rest.push_front(piece);
                        self.first = Some(half);
                    }
                    Some(half) => {
                        let kind = first.kind;
                        rest.push_front(first);
                        rest.push_front(piece);
                        self.first = Some(half);
                        *self.count(kind) += PIECE;
                    }
                    None => {
                        rest.push_front(first);
                        self.first = Some(piece);
                    }
                }
            }
        }
        *self.count(kind) += end + PIECE;
        self.shared += end;
    }

    /// Queues `bytes` of lines for this connection alone.
    pub fn push(&mut self, kind: Kind, bytes: &[u8]) {
        debug_assert_ne!(kind, Kind::Chunk, "file data is queued in its own memory");
        if let Some(last) = self.last(kind)
            && last.kind == kind
            && let Some((own, None)) = last.segment.own_mut()
            && own.len() == last.end as usize
            && own.len() + bytes.len() <= SEGMENT
        {
            if own.capacity() - own.len() < bytes.len() {
                // Doubling would hold up to twice what is counted.
                own.reserve_exact(bytes.len().max(own.len() / 4));
            }
            own.extend_from_slice(bytes);
            last.end = at(own.len());
            *self.count(kind) += at(bytes.len());
        } else {
            self.push_own(kind, bytes.to_vec());
        }
    }

    /// Queues `bytes` for this connection alone, as they are.
    #[inline]
    pub fn push_own(&mut self, kind: Kind, bytes: Vec<u8>) {
        let end = at(bytes.len());
        if end > 0 {
            self.add(Piece::new(kind, Segment::own(bytes), 0, end));
        }
    }

    /// Queues `bytes` for this connection alone, of which it is kept what they are.
    pub fn push_known(&mut self, kind: Kind, bytes: &[u8], lines: Lines) {
        self.add(Piece::new(kind, Segment::own_of(bytes.to_vec(), Some(Of::Own(lines))), 0, at(bytes.len())));
    }

    /// From now on, until [`Outbox::release`], all but replies is held back: it counts as pending and is not written.
    pub fn hold(&mut self) {
        self.rest.get_or_insert_default().held.get_or_insert_default();
    }

    /// Queues what was held back.
    pub fn release(&mut self) {
        let Some(Tail { pieces, held }) = self.rest.as_deref_mut() else { return };
        let held = held.take();
        if pieces.is_empty() {
            self.rest = None;
        }
        for piece in held.into_iter().flatten() {
            // `settle` goes by the newest, and may not have seen what is before this one now.
            self.queue(Piece { settled: false, ..piece });
        }
    }

    /// Whether anything but replies is held back.
    pub fn is_holding(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.held.is_some())
    }

    /// Bytes of replies that are pending.
    pub fn replies(&self) -> usize {
        self.replies as usize
    }

    /// Bytes that are pending, file data not counted.
    pub fn lines(&self) -> usize {
        (self.replies + self.events) as usize
    }

    /// Those of [`Outbox::lines`] that nobody else holds.
    pub fn private(&self) -> usize {
        (self.replies + self.events - self.shared) as usize
    }

    /// Bytes of memory that file data which is pending takes.
    pub fn chunks(&self) -> usize {
        self.chunks as usize
    }

    /// Whether nothing is to be written.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Forgets all that is pending.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Forgets all that is pending, but for the rest of a line of which something is written.
    pub fn cut(&mut self) {
        let first = self.first.take().filter(|piece| piece.half_written);
        self.clear();
        // An answer to a telnet option has no end of line, and is short.
        if let Some(rest) = first.map(|mut piece| piece.split_at_line().unwrap_or(piece)) {
            self.shared = if rest.segment.is_shared() { rest.len() } else { 0 };
            self.add(rest);
        }
    }

    /// Copies what is little out of shared segments, as they would be kept for it. Where as many others hold one as would
    /// take more memory with copies than it has, it is kept. Those that are kept do not grow any more.
    /// It looks at nothing that it has seen before, so calling it again costs nothing.
    pub fn settle(&mut self) {
        let mut copied = 0;
        let (pieces, held) = match self.rest.as_deref_mut() {
            Some(Tail { pieces, held }) => (Some(pieces), held.as_mut()),
            None => (None, None),
        };
        let queued = self.first.iter_mut().chain(pieces.into_iter().flatten());
        let held = held.into_iter().flatten();
        let unseen = |piece: &&mut Piece| !piece.settled;
        for piece in queued.rev().take_while(unseen).chain(held.rev().take_while(unseen)) {
            piece.settled = true;
            let holders = piece.segment.holders().max(2);
            if piece.segment.len() <= holders * piece.len() as usize {
                piece.segment.complete();
            } else if piece.segment.is_shared() {
                copied += piece.len();
                // A line that is half written may have to be written again.
                let from = piece.line_start();
                let bytes = piece.segment.bytes()[from as usize..piece.end as usize].to_vec();
                let of = piece.segment.of().and_then(|of| of.part(from, piece.end, 0));
                (piece.start, piece.end) = (piece.start - from, piece.end - from);
                piece.segment = Segment::own_of(bytes, of);
            }
        }
        self.shared -= copied;
    }

    /// Has [`Outbox::settle`] look at everything again.
    pub fn unsettle(&mut self) {
        let rest = self.rest.iter_mut().flat_map(|rest| rest.pieces.iter_mut().chain(rest.held.iter_mut().flatten()));
        self.first.iter_mut().chain(rest).for_each(|piece| piece.settled = false);
    }

    /// Bytes of memory that what is pending holds, as if nobody else held it.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        let rest = self.rest.iter().flat_map(|rest| rest.pieces.iter().chain(rest.held.iter().flatten()));
        self.first.iter().chain(rest).map(|piece| piece.segment.bytes().capacity()).sum()
    }

    /// The piece behind which one of this kind would stand.
    #[inline]
    fn last(&mut self, kind: Kind) -> Option<&mut Piece> {
        match self.rest.as_deref_mut() {
            Some(Tail { held: Some(held), .. }) if kind.is_held_back() => held.back_mut(),
            Some(Tail { pieces, .. }) => pieces.back_mut().or(self.first.as_mut()),
            None => self.first.as_mut(),
        }
    }

    #[inline]
    fn add(&mut self, piece: Piece) {
        *self.count(piece.kind) += piece.share(piece.len()) + piece.overhead();
        match self.rest.as_deref_mut() {
            Some(Tail { held: Some(held), .. }) if piece.kind.is_held_back() => held.push_back(piece),
            _ => self.queue(piece),
        }
    }

    #[inline]
    fn queue(&mut self, piece: Piece) {
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.rest.get_or_insert_default().pieces.push_back(piece);
        }
    }

    #[inline]
    fn count(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Reply | Kind::Aside | Kind::Keep => &mut self.replies,
            Kind::Event | Kind::Presence => &mut self.events,
            Kind::Chunk => &mut self.chunks,
        }
    }

    /// Writes until the queue is drained and the writer holds nothing back, or it would block; any other error is the writer's end. What file data
    /// was in is left in `spare`, to be used again. Where a place is kept, `sent` takes note of what is written. What is to be read
    /// first is not waited for.
    pub fn write_to(
        &mut self,
        writer: &mut impl Write,
        spare: &mut Vec<u8>,
        mut sent: Option<&mut Sent>,
    ) -> io::Result<Flushed> {
        let mut taken = 0;
        while let Some(first) = self.first.as_ref().filter(|first| first.unread().is_none()) {
            let written = match &self.rest {
                None => writer.write(first.of(&first.segment.bytes())),
                Some(rest) => write_pieces(writer, std::iter::once(first).chain(&rest.pieces)),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    taken += n;
                    self.advance(n, spare, sent.as_deref_mut());
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked { taken }),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.first.is_none() {
            self.rest = self.rest.take().filter(|rest| rest.held.is_some());
        }
        match writer.flush() {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Flushed::Blocked { taken }),
            flushed => flushed.map(|()| Flushed::All),
        }
    }

    fn advance(&mut self, mut n: usize, spare: &mut Vec<u8>, mut sent: Option<&mut Sent>) {
        while let Some(piece) = self.first.as_mut().filter(|first| first.unread().is_none()) {
            let taken = piece.len().min(at(n));
            let line = sent.as_ref().map(|_| piece.line_start());
            piece.start += taken;
            if taken > 0 {
                piece.half_written = piece.segment.bytes()[piece.start as usize - 1] != b'\n';
            }
            if let Some((sent, line)) = sent.as_deref_mut().zip(line) {
                sent.note(piece, line);
            }
            let (kind, is_written, is_shared) = (piece.kind, piece.len() == 0, piece.segment.is_shared());
            let freed = piece.share(taken) + if is_written { piece.overhead() } else { 0 };
            *self.count(kind) -= freed;
            if is_shared {
                self.shared -= taken;
            }
            if !is_written {
                return;
            }
            n -= taken as usize;
            let next = self.rest.as_mut().and_then(|rest| rest.pieces.pop_front());
            let written = std::mem::replace(&mut self.first, next);
            if kind == Kind::Chunk
                && let Some(own) = written.and_then(|piece| piece.segment.into_bytes())
            {
                *spare = own;
            }
        }
    }
}

fn write_pieces<'a>(writer: &mut impl Write, pieces: impl Iterator<Item = &'a Piece>) -> io::Result<usize> {
    let mut pieces = pieces.take_while(|piece| piece.unread().is_none()).take(PIECES);
    let borrowed: [_; PIECES] = std::array::from_fn(|_| pieces.next().map(|piece| (piece, piece.segment.bytes())));
    let mut slices = [IoSlice::new(&[]); PIECES];
    let mut count = 0;
    for (slice, (piece, segment)) in slices.iter_mut().zip(borrowed.iter().flatten()) {
        *slice = IoSlice::new(piece.of(segment));
        count += 1;
    }
    writer.write_vectored(&slices[..count])
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    /// Takes `room` bytes and then blocks.
    pub(super) struct Narrow {
        pub(super) taken: Vec<u8>,
        pub(super) room: usize,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let n = bytes.len().min(self.room);
            self.taken.extend_from_slice(&bytes[..n]);
            self.room -= n;
            Ok(n)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_is_written_once_and_in_order_at_any_pace() {
        for space in 1..40 {
            let held = Rc::default();
            let (mut outbox, room) = (Outbox::default(), Segment::new(&held));
            let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room: 0 }, Vec::new());
            let mut want = Vec::new();
            for n in 0..100usize {
                let line = format!("line {n}\n");
                want.extend_from_slice(line.as_bytes());
                match n % 4 {
                    0 => {
                        let start = room.len();
                        room.extend(line.as_bytes());
                        outbox.push_shared(Kind::Event, &room, start);
                    }
                    1 => outbox.push_own(Kind::Chunk, line.into_bytes()),
                    _ => outbox.push(Kind::Reply, line.as_bytes()),
                }
                if n % 7 == 0 {
                    writer.room = space;
                    outbox.write_to(&mut writer, &mut spare, None).unwrap();
                }
                let pieces = || outbox.first.iter().chain(outbox.rest.iter().flat_map(|rest| &rest.pieces));
                let of_lines = pieces().filter(|piece| piece.kind != Kind::Chunk).count();
                let chunks = || pieces().filter(|piece| piece.kind == Kind::Chunk);
                let counted = outbox.lines() - of_lines * PIECE as usize;
                let of_chunks: u32 = chunks().map(Piece::len).sum();
                assert_eq!(counted + of_chunks as usize, want.len() - writer.taken.len());
                assert_eq!(outbox.chunks(), chunks().map(|piece| piece.segment.bytes().capacity()).sum());
            }
            writer.room = 0;
            assert_eq!(outbox.write_to(&mut writer, &mut spare, None).unwrap(), Flushed::Blocked { taken: 0 });
            writer.room = usize::MAX;
            assert_eq!(outbox.write_to(&mut writer, &mut spare, None).unwrap(), Flushed::All);
            assert_eq!(writer.taken, want);
            assert!(outbox.is_empty() && (outbox.lines(), outbox.replies(), outbox.chunks()) == (0, 0, 0));
            assert_eq!(outbox.private(), 0);
        }
    }

    #[test]
    fn what_comes_first_stands_before_all_events_and_behind_half_a_line() {
        let lines: &[(Kind, &str)] =
            &[(Kind::Event, "one\n"), (Kind::Event, "two\n"), (Kind::Reply, "+\n"), (Kind::Event, "three\n")];
        for (skipped, written, want) in [
            (0, 0, "first one two + three "),
            (0, 2, "one first two + three "),
            (0, 4, "one first two + three "),
            (0, 5, "one two first + three "),
            (0, 8, "one two + first three "),
            (2, 0, "+ first three "),
            (2, 1, "+ first three "),
            (4, 0, "first "),
        ] {
            for settles in [false, true] {
                let held = Rc::default();
                let (mut outbox, room, first) = (Outbox::default(), Segment::new(&held), Segment::new(&held));
                let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room: written }, Vec::new());
                room.extend(&[b'x'; 100]);
                for (kind, line) in &lines[skipped..] {
                    let start = room.len();
                    room.extend(line.as_bytes());
                    outbox.push_shared(*kind, &room, start);
                }
                outbox.write_to(&mut writer, &mut spare, None).unwrap();
                if settles {
                    outbox.settle();
                }
                first.extend(b"first\n");
                outbox.push_shared_first(Kind::Event, &first);
                writer.room = usize::MAX;
                assert_eq!(outbox.write_to(&mut writer, &mut spare, None).unwrap(), Flushed::All);
                assert_eq!(String::from_utf8(writer.taken).unwrap().replace('\n', " "), want);
                assert_eq!((outbox.lines(), outbox.private()), (0, 0), "{want}");
            }
        }
        // Nothing comes between the rows of an answer and the reply.
        let (mut outbox, held) = (Outbox::default(), Rc::default());
        let (room, first) = (Segment::new(&held), Segment::new(&held));
        outbox.hold();
        outbox.push(Kind::Reply, b"- row\n");
        room.extend(b"event\n");
        outbox.push_shared(Kind::Event, &room, 0);
        first.extend(b"first\n");
        outbox.push_shared_first(Kind::Event, &first);
        outbox.push(Kind::Reply, b"+ reply\n");
        outbox.release();
        let mut written = Vec::new();
        outbox.write_to(&mut written, &mut Vec::new(), None).unwrap();
        assert_eq!(written, b"- row\n+ reply\nfirst\nevent\n");
        assert_eq!((outbox.lines(), outbox.private()), (0, 0));
    }

    #[test]
    fn what_is_forgotten_leaves_no_part_of_a_line() {
        for kind in [Kind::Reply, Kind::Event, Kind::Chunk] {
            for (room, want) in
                [(0, ""), (3, "one\n"), (4, "one\n"), (5, "one\ntwo\n"), (8, "one\ntwo\n"), (12, "one\ntwo\nthree\n")]
            {
                let (mut outbox, held) = (Outbox::default(), Rc::default());
                let segment = Segment::new(&held);
                segment.extend(b"zero\none\ntwo\nthree\n");
                match kind {
                    Kind::Event => outbox.push_shared(kind, &segment, 5),
                    _ => outbox.push_own(kind, b"one\ntwo\nthree\n".to_vec()),
                }
                outbox.push(Kind::Reply, b"four\n");
                let (mut writer, mut spare) = (Narrow { taken: Vec::new(), room }, Vec::new());
                outbox.write_to(&mut writer, &mut spare, None).unwrap();
                outbox.settle();
                outbox.cut();
                outbox.push(Kind::Reply, b"bye\n");
                writer.room = usize::MAX;
                outbox.write_to(&mut writer, &mut spare, None).unwrap();
                assert_eq!(String::from_utf8(writer.taken).unwrap(), format!("{want}bye\n"), "{kind:?}, {room}");
                assert_eq!((outbox.lines(), outbox.private(), outbox.chunks()), (0, 0, 0));
            }
        }
    }

    #[test]
    fn what_is_pending_for_long_holds_little_more_than_itself() {
        let held = Rc::default();
        let (mut outbox, room) = (Outbox::default(), Segment::new(&held));
        for n in 0..100 {
            room.extend(&[b'x'; 100]);
            if n % 10 == 0 {
                outbox.push_shared(Kind::Event, &room, 100 * n);
            }
        }
        assert_eq!(outbox.private(), 10 * PIECE as usize);
        outbox.settle();
        assert_eq!((outbox.memory(), outbox.private()), (1000, 1000 + 10 * PIECE as usize));
        drop(room);
        assert_eq!(held.get(), 0);
        let mut written = Vec::new();
        outbox.write_to(&mut written, &mut Vec::new(), None).unwrap();
        assert_eq!(written, [b'x'; 1000]);
        assert_eq!((outbox.lines(), outbox.private()), (0, 0));
    }

    #[test]
    fn what_most_of_a_segment_is_pending_for_stays_shared() {
        let held = Rc::default();
        let (mut outbox, room) = (Outbox::default(), Segment::new(&held));
        room.extend(&[b'x'; 1000]);
        outbox.push_shared(Kind::Event, &room, 400);
        outbox.settle();
        drop(room);
        assert_eq!((outbox.lines(), outbox.private()), (600 + PIECE as usize, PIECE as usize));
        assert!(held.get() >= 1000);
        outbox.clear();
        assert_eq!(held.get(), 0);
    }

    #[test]
    fn what_many_hold_a_little_of_each_is_not_copied_for_each() {
        let room = Segment::new(&Rc::default());
        let mut outboxes: Vec<Outbox> = (0..100).map(|_| Outbox::default()).collect();
        for _ in 0..10 {
            let start = room.len();
            room.extend(&[b'x'; 1000]);
            for outbox in &mut outboxes {
                outbox.push_shared(Kind::Event, &room, start);
                outbox.push(Kind::Reply, b"between\n");
            }
        }
        outboxes.iter_mut().for_each(Outbox::settle);
        let copied = |outbox: &Outbox| outbox.private() - 20 * PIECE as usize - 10 * b"between\n".len();
        assert_eq!(outboxes.iter().map(copied).sum::<usize>(), 0);
    }

    #[test]
    fn a_segment_that_is_kept_does_not_grow() {
        let held = Rc::default();
        let (mut outbox, room) = (Outbox::default(), Segment::new(&held));
        room.extend(b"for one\n");
        outbox.push_shared(Kind::Event, &room, 0);
        assert!(room.has_room(SEGMENT - room.len()) && !room.has_room(SEGMENT));
        outbox.settle();
        assert!(!room.has_room(1), "it keeps more than its own");
    }

    #[test]
    fn what_is_counted_is_what_is_held() {
        let held = Rc::default();
        for len in [1, 17, 60, 300, 5000] {
            let (mut outbox, room) = (Outbox::default(), Segment::new(&held));
            room.extend(&[b'x'; 100_000]);
            let line = vec![b'x'; len];
            let used = allocation_counter::measure(|| {
                for n in 0..500usize {
                    match n % 5 {
                        0 | 1 => outbox.push(Kind::Reply, &line),
                        2 => outbox.push_shared(Kind::Event, &room, 100_000 - len),
                        _ => outbox.push(Kind::Event, &line),
                    }
                    outbox.settle();
                }
            });
            // The allocator adds up to 16 bytes to each of the two blocks that a piece has.
            let blocks = 16 * 2 * 400;
            let used = usize::try_from(used.bytes_current).unwrap() + blocks;
            assert!(used <= outbox.private() * 5 / 4, "{used} held and {} counted, lines of {len}", outbox.private());
        }
    }

    #[test]
    fn file_data_counts_as_what_it_is_in_until_all_of_it_is_written() {
        let mut outbox = Outbox::default();
        let mut lines = Vec::with_capacity(20_000);
        lines.resize(16_000, b'x');
        outbox.push_own(Kind::Chunk, lines);
        for room in [0, 1, 15_998] {
            outbox.write_to(&mut Narrow { taken: Vec::new(), room }, &mut Vec::new(), None).unwrap();
            assert_eq!((outbox.chunks(), outbox.memory()), (20_000, 20_000));
        }
        outbox.write_to(&mut Vec::new(), &mut Vec::new(), None).unwrap();
        assert_eq!((outbox.chunks(), outbox.memory()), (0, 0));
    }

    #[test]
    fn an_empty_outbox_owns_no_memory() {
        let mut outbox = Outbox::default();
        outbox.push(Kind::Reply, b"x\n");
        outbox.write_to(&mut Vec::new(), &mut Vec::new(), None).unwrap();
        assert!(outbox.first.is_none());
        assert!(outbox.rest.is_none());
    }

    #[test]
    fn a_closed_writer_is_an_error() {
        let mut outbox = Outbox::default();
        outbox.push(Kind::Reply, b"x\n");
        assert_eq!(
            outbox.write_to(&mut [0u8; 0].as_mut_slice(), &mut Vec::new(), None).unwrap_err().kind(),
            io::ErrorKind::WriteZero
        );
    }
}
