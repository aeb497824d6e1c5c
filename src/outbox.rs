//! What waits to be written to one connection.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::rc::Rc;

/// Why bytes are sent, as each kind has a limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An answer to the connection's own commands.
    Reply,
    /// What others did.
    Event,
    /// Who came and went, which is no hurry.
    Presence,
    /// A line of file data.
    Chunk,
}

/// What [`Outbox::write_to`] came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flushed {
    /// All that waited is written.
    All,
    /// The writer takes no more for now; whether it took anything at all.
    Blocked {
        /// Whether some bytes were taken before it blocked.
        progress: bool,
    },
}

/// Bytes of which each connection may be owed another part. They only ever grow.
#[derive(Clone, Debug, Default)]
pub struct Segment(Rc<RefCell<Vec<u8>>>);

impl Segment {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of what is in it from `start` on.
    pub fn part(&self, start: usize) -> Vec<u8> {
        self.0.borrow()[start..].to_vec()
    }

    /// Adds `bytes` at its end.
    pub fn extend(&self, bytes: &[u8]) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

/// A part of a segment that is owed to a connection.
#[derive(Debug)]
struct Piece {
    segment: Segment,
    /// What is written already counts to what is before it.
    start: u32,
    end: u32,
    kind: Kind,
}

impl Piece {
    /// The bytes, out of what [`RefCell::borrow`] gives for the segment.
    fn of<'a>(&self, segment: &'a [u8]) -> &'a [u8] {
        &segment[self.start as usize..self.end as usize]
    }
}

/// A queue of bytes, some shared with other connections. Empty, it owns no memory.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Nearly always there is no more than one piece, which so needs no memory of its own.
    first: Option<Piece>,
    #[allow(clippy::box_collection, reason = "a connection for whom nothing waits is so a third smaller")]
    rest: Option<Box<VecDeque<Piece>>>,
    replies: u32,
    events: u32,
    chunks: u32,
}

/// A segment grows up to this before the next is begun.
pub const SEGMENT: usize = 16 * 1024;
/// Pieces handed to the writer at once.
const PIECES: usize = 16;

impl Outbox {
    /// Queues the part of `segment` that begins at `start` and is its end now.
    pub fn push_shared(&mut self, kind: Kind, segment: &Segment, start: usize) {
        let end = segment.len();
        let (start, end) = (at(start), at(end));
        *self.count(kind) += end - start;
        match self.last() {
            // Lines that follow each other there are one piece here.
            Some(last) if last.end == start && last.kind == kind && Rc::ptr_eq(&last.segment.0, &segment.0) => {
                last.end = end;
            }
            // An empty piece would look like a writer that takes nothing.
            _ if start == end => {}
            _ => self.add(Piece { segment: segment.clone(), start, end, kind }),
        }
    }

    /// Queues `bytes` for this connection alone.
    pub fn push(&mut self, kind: Kind, bytes: &[u8]) {
        if let Some(last) = self.last()
            && last.kind == kind
            && let Some(own) = Rc::get_mut(&mut last.segment.0).map(RefCell::get_mut)
            && own.len() == last.end as usize
            && own.len() + bytes.len() <= SEGMENT
        {
            own.extend_from_slice(bytes);
            last.end = at(own.len());
            *self.count(kind) += at(bytes.len());
        } else {
            self.push_own(kind, bytes.to_vec());
        }
    }

    /// Queues `bytes` for this connection alone, as they are.
    pub fn push_own(&mut self, kind: Kind, bytes: Vec<u8>) {
        let end = at(bytes.len());
        *self.count(kind) += end;
        if end > 0 {
            self.add(Piece { segment: Segment(Rc::new(RefCell::new(bytes))), start: 0, end, kind });
        }
    }

    /// Bytes of replies that wait.
    pub fn replies(&self) -> usize {
        self.replies as usize
    }

    /// Bytes that wait, file data not counted.
    pub fn lines(&self) -> usize {
        (self.replies + self.events) as usize
    }

    /// Bytes of file data that wait.
    pub fn chunks(&self) -> usize {
        self.chunks as usize
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Forgets all that waits.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Copies what waits out of larger segments, as they would be kept for it, however little it is.
    pub fn settle(&mut self) {
        let rest = self.rest.iter_mut().flat_map(|rest| rest.iter_mut());
        for piece in self.first.iter_mut().chain(rest) {
            let len = piece.end - piece.start;
            if Rc::strong_count(&piece.segment.0) > 1 || piece.segment.len() > 2 * len as usize {
                let bytes = piece.of(&piece.segment.0.borrow()).to_vec();
                (piece.start, piece.end) = (0, len);
                piece.segment = Segment(Rc::new(RefCell::new(bytes)));
            }
        }
    }

    /// Bytes of memory that what waits holds, as if nobody else held it.
    #[cfg(test)]
    pub fn memory(&self) -> usize {
        let rest = self.rest.iter().flat_map(|rest| rest.iter());
        self.first.iter().chain(rest).map(|piece| piece.segment.0.borrow().capacity()).sum()
    }

    fn last(&mut self) -> Option<&mut Piece> {
        self.rest.as_mut().and_then(|rest| rest.back_mut()).or(self.first.as_mut())
    }

    fn add(&mut self, piece: Piece) {
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.rest.get_or_insert_default().push_back(piece);
        }
    }

    fn count(&mut self, kind: Kind) -> &mut u32 {
        match kind {
            Kind::Reply => &mut self.replies,
            Kind::Event | Kind::Presence => &mut self.events,
            Kind::Chunk => &mut self.chunks,
        }
    }

    /// Writes until all is written or the writer would block; any other error is the writer's end. What file data was in
    /// is left in `spare`, to be used again.
    pub fn write_to(&mut self, writer: &mut impl Write, spare: &mut Vec<u8>) -> io::Result<Flushed> {
        let mut progress = false;
        while let Some(first) = &self.first {
            let written = match &self.rest {
                None => writer.write(first.of(&first.segment.0.borrow())),
                Some(rest) => write_pieces(writer, std::iter::once(first).chain(rest.iter())),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    progress = true;
                    self.advance(n, spare);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked { progress }),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.rest = None;
        Ok(Flushed::All)
    }

    fn advance(&mut self, mut n: usize, spare: &mut Vec<u8>) {
        while let Some(piece) = &mut self.first {
            let taken = (piece.end - piece.start).min(at(n));
            piece.start += taken;
            let (kind, is_written) = (piece.kind, piece.start == piece.end);
            *self.count(kind) -= taken;
            if !is_written {
                return;
            }
            n -= taken as usize;
            let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
            let written = std::mem::replace(&mut self.first, next);
            if kind == Kind::Chunk
                && let Some(own) = written.and_then(|piece| Rc::into_inner(piece.segment.0))
            {
                *spare = own.into_inner();
            }
        }
    }
}

/// A place in a segment, whose length is far below 4 GiB: that of all that may ever wait for a connection.
fn at(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn write_pieces<'a>(writer: &mut impl Write, pieces: impl Iterator<Item = &'a Piece>) -> io::Result<usize> {
    let mut pieces = pieces.take(PIECES);
    let borrowed: [_; PIECES] = std::array::from_fn(|_| pieces.next().map(|piece| (piece, piece.segment.0.borrow())));
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
    use super::*;

    /// Takes `room` bytes and then blocks.
    struct Narrow {
        taken: Vec<u8>,
        room: usize,
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
            let (mut outbox, room) = (Outbox::default(), Segment::default());
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
                    1 => outbox.push(Kind::Chunk, line.as_bytes()),
                    _ => outbox.push(Kind::Reply, line.as_bytes()),
                }
                if n % 7 == 0 {
                    writer.room = space;
                    outbox.write_to(&mut writer, &mut spare).unwrap();
                }
                assert_eq!(outbox.lines() + outbox.chunks(), want.len() - writer.taken.len());
            }
            assert_eq!(
                outbox.write_to(&mut writer, &mut spare).unwrap(),
                Flushed::Blocked { progress: writer.room > 0 }
            );
            writer.room = usize::MAX;
            assert_eq!(outbox.write_to(&mut writer, &mut spare).unwrap(), Flushed::All);
            assert_eq!(writer.taken, want);
            assert!(outbox.is_empty() && outbox.lines() == 0 && outbox.replies() == 0 && outbox.chunks() == 0);
        }
    }

    #[test]
    fn what_waits_long_holds_no_more_than_itself() {
        let (mut outbox, room) = (Outbox::default(), Segment::default());
        for n in 0..100 {
            room.extend(&[b'x'; 100]);
            if n % 10 == 0 {
                outbox.push_shared(Kind::Event, &room, 100 * n);
            }
        }
        assert!(outbox.memory() > 10 * 10_000);
        outbox.settle();
        assert_eq!((outbox.memory(), outbox.lines()), (1000, 1000));
        let mut written = Vec::new();
        outbox.write_to(&mut written, &mut Vec::new()).unwrap();
        assert_eq!(written, [b'x'; 1000]);
    }

    #[test]
    fn an_empty_outbox_owns_no_memory() {
        let mut outbox = Outbox::default();
        outbox.push(Kind::Reply, b"x\n");
        outbox.write_to(&mut Vec::new(), &mut Vec::new()).unwrap();
        assert!(outbox.first.is_none());
        assert!(outbox.rest.is_none());
    }

    #[test]
    fn a_closed_writer_is_an_error() {
        let mut outbox = Outbox::default();
        outbox.push(Kind::Reply, b"x\n");
        assert_eq!(
            outbox.write_to(&mut [0u8; 0].as_mut_slice(), &mut Vec::new()).unwrap_err().kind(),
            io::ErrorKind::WriteZero
        );
    }
}
