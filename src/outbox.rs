//! What waits to be written to one connection.

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

/// A queue of bytes, some shared with other connections. Empty, it owns no memory.
#[derive(Debug, Default)]
pub struct Outbox {
    pieces: VecDeque<(Kind, Piece)>,
    /// How much of the first piece is written already.
    written: usize,
    replies: usize,
    events: usize,
    chunks: usize,
}

#[derive(Debug)]
enum Piece {
    Shared(Rc<[u8]>),
    Own(Vec<u8>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// A piece of one's own grows up to this before the next is begun.
const GATHERED: usize = 16 * 1024;
/// Pieces handed to the writer at once.
const PIECES: usize = 64;

impl Outbox {
    /// Queues `bytes` that others have too.
    pub fn push_shared(&mut self, kind: Kind, bytes: Rc<[u8]>) {
        *self.count(kind) += bytes.len();
        // An empty piece would look like a writer that takes nothing.
        if !bytes.is_empty() {
            self.pieces.push_back((kind, Piece::Shared(bytes)));
        }
    }

    /// Queues `bytes` for this connection alone.
    pub fn push(&mut self, kind: Kind, bytes: &[u8]) {
        *self.count(kind) += bytes.len();
        match self.pieces.back_mut() {
            Some((last, Piece::Own(own))) if *last == kind && own.len() + bytes.len() <= GATHERED => {
                own.extend_from_slice(bytes);
            }
            _ if bytes.is_empty() => {}
            _ => self.pieces.push_back((kind, Piece::Own(bytes.to_vec()))),
        }
    }

    /// Queues `bytes` for this connection alone, as they are.
    pub fn push_own(&mut self, kind: Kind, bytes: Vec<u8>) {
        *self.count(kind) += bytes.len();
        if !bytes.is_empty() {
            self.pieces.push_back((kind, Piece::Own(bytes)));
        }
    }

    /// Bytes of replies that wait.
    pub fn replies(&self) -> usize {
        self.replies
    }

    /// Bytes that wait, file data not counted.
    pub fn lines(&self) -> usize {
        self.replies + self.events
    }

    /// Bytes of file data that wait.
    pub fn chunks(&self) -> usize {
        self.chunks
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Forgets all that waits.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn count(&mut self, kind: Kind) -> &mut usize {
        match kind {
            Kind::Reply => &mut self.replies,
            Kind::Event | Kind::Presence => &mut self.events,
            Kind::Chunk => &mut self.chunks,
        }
    }

    /// Writes until all is written or the writer would block; any other error is the writer's end.
    pub fn write_to(&mut self, writer: &mut impl Write) -> io::Result<Flushed> {
        let mut progress = false;
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let count = self.pieces.len().min(PIECES);
            for (slice, (at, (_, piece))) in slices.iter_mut().zip(self.pieces.iter().enumerate()) {
                *slice = IoSlice::new(&piece.bytes()[if at == 0 { self.written } else { 0 }..]);
            }
            match writer.write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    progress = true;
                    self.advance(n);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Flushed::Blocked { progress }),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.pieces = VecDeque::new();
        Ok(Flushed::All)
    }

    fn advance(&mut self, mut n: usize) {
        while let Some((kind, piece)) = self.pieces.front() {
            let (kind, left) = (*kind, piece.bytes().len() - self.written);
            let taken = left.min(n);
            *self.count(kind) -= taken;
            n -= taken;
            if taken < left {
                self.written += taken;
                return;
            }
            self.written = 0;
            self.pieces.pop_front();
        }
    }
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
        for room in 1..40 {
            let mut outbox = Outbox::default();
            let mut writer = Narrow { taken: Vec::new(), room: 0 };
            let mut want = Vec::new();
            for n in 0..100usize {
                let line = format!("line {n}\n");
                want.extend_from_slice(line.as_bytes());
                match n % 4 {
                    0 => outbox.push_shared(Kind::Event, Rc::from(line.as_bytes())),
                    1 => outbox.push(Kind::Chunk, line.as_bytes()),
                    _ => outbox.push(Kind::Reply, line.as_bytes()),
                }
                if n % 7 == 0 {
                    writer.room = room;
                    outbox.write_to(&mut writer).unwrap();
                }
                assert_eq!(outbox.lines() + outbox.chunks(), want.len() - writer.taken.len());
            }
            assert_eq!(outbox.write_to(&mut writer).unwrap(), Flushed::Blocked { progress: writer.room > 0 });
            writer.room = usize::MAX;
            assert_eq!(outbox.write_to(&mut writer).unwrap(), Flushed::All);
            assert_eq!(writer.taken, want);
            assert!(outbox.is_empty() && outbox.lines() == 0 && outbox.replies() == 0 && outbox.chunks() == 0);
        }
    }

    #[test]
    fn an_empty_outbox_owns_no_memory() {
        let mut outbox = Outbox::default();
        outbox.push(Kind::Reply, b"x\n");
        outbox.write_to(&mut Vec::new()).unwrap();
        assert_eq!(outbox.pieces.capacity(), 0);
    }

    #[test]
    fn a_closed_writer_is_an_error() {
        let mut outbox = Outbox::default();
        outbox.push(Kind::Reply, b"x\n");
        assert_eq!(outbox.write_to(&mut [0u8; 0].as_mut_slice()).unwrap_err().kind(), io::ErrorKind::WriteZero);
    }
}
