//! One connection's write queue: what is pending for it, some of it in buffers that it shares with others.

mod sent;

use std::cell::{Cell, Ref, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::rc::Rc;

use memchr::{memchr, memchr_iter, memrchr};

pub use self::sent::Sent;
use crate::effect::LeftOut;
use crate::limits;
use crate::names::{FileId, RoomName};

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

/// A shared write buffer, of which each connection may be owed another part. Its bytes only ever grow, and its memory is
/// counted once, in a counter that is given when it is made, for as long as anybody holds it.
#[derive(Clone, Debug)]
pub struct Segment(Rc<Buffer>);

#[derive(Debug)]
struct Buffer {
    bytes: RefCell<Vec<u8>>,
    /// Whether nothing more is added to it.
    complete: Cell<bool>,
    /// Where the memory is counted. A buffer that belongs to one connection alone is counted there.
    held: Option<Rc<Cell<usize>>>,
    /// What it is of, if that may be asked when it is written.
    of: Option<Box<Of>>,
}

/// What a segment is of. It is known where a place may have to be told that it was left out.
#[derive(Debug)]
enum Of {
    /// Where its messages begin, and their numbers.
    Room { name: RoomName, said: RefCell<Vec<(u32, u64)>> },
    /// So many bytes of a file, from `offset` on. While there is no text they are to be read.
    File { file: FileId, offset: u64, len: u64 },
}

impl Of {
    /// The same of a part of a room's segment, which stands `before` bytes behind the beginning of another.
    fn part(&self, start: u32, end: u32, before: u32) -> Option<Self> {
        let Self::Room { name, said } = self else { return None };
        let said = said.borrow();
        let within = said.iter().filter(|(place, _)| (start..end).contains(place));
        let said = RefCell::new(within.map(|&(place, seq)| (place - start + before, seq)).collect());
        Some(Self::Room { name: *name, said })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.set(held.get() - self.bytes.get_mut().capacity());
        }
    }
}

impl Segment {
    /// An empty one, whose memory is counted in `held` while it lives.
    pub fn new(held: &Rc<Cell<usize>>) -> Self {
        Self::with(Vec::new(), Some(Rc::clone(held)), None)
    }

    /// The same for lines of a room, of which it is kept which messages they are.
    pub fn of_room(held: &Rc<Cell<usize>>, name: RoomName) -> Self {
        Self::with(Vec::new(), Some(Rc::clone(held)), Some(Of::Room { name, said: RefCell::default() }))
    }

    #[inline]
    fn with(bytes: Vec<u8>, held: Option<Rc<Cell<usize>>>, of: Option<Of>) -> Self {
        let of = of.map(Box::new);
        Self(Rc::new(Buffer { bytes: RefCell::new(bytes), complete: Cell::default(), held, of }))
    }

    /// What is added next begins with the message of this number.
    pub fn note_said(&self, seq: u64) {
        if let Some(Of::Room { said, .. }) = self.of() {
            said.borrow_mut().push((at(self.len()), seq));
        }
    }

    fn of(&self) -> Option<&Of> {
        self.0.of.as_deref()
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.0.bytes.borrow().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `len` more bytes may be added: it stays within [`SEGMENT`], and nobody keeps it for long.
    pub fn has_room(&self, len: usize) -> bool {
        self.len() + len <= SEGMENT && !self.0.complete.get()
    }

    /// Adds `bytes` at its end.
    pub fn extend(&self, bytes: &[u8]) {
        let mut own = self.0.bytes.borrow_mut();
        let before = own.capacity();
        own.extend_from_slice(bytes);
        if let Some(held) = &self.0.held {
            held.set(held.get() + own.capacity() - before);
        }
    }

    fn own(bytes: Vec<u8>) -> Self {
        Self::with(bytes, None, None)
    }

    fn own_of(bytes: Vec<u8>, of: Option<Of>) -> Self {
        Self::with(bytes, None, of)
    }

    /// File data that is still to be read.
    fn to_be_read(file: FileId, offset: u64, len: u64) -> Self {
        Self::with(Vec::new(), None, Some(Of::File { file, offset, len }))
    }

    fn is_shared(&self) -> bool {
        self.0.held.is_some()
    }

    /// Its bytes.
    #[inline]
    fn bytes(&self) -> Ref<'_, Vec<u8>> {
        self.0.bytes.borrow()
    }

    /// Its bytes and what it is of, to be changed, if it belongs to one connection alone and nothing else is owed of it.
    #[inline]
    fn own_mut(&mut self) -> Option<(&mut Vec<u8>, Option<&mut Of>)> {
        let own = Rc::get_mut(&mut self.0).filter(|own| own.held.is_none())?;
        Some((own.bytes.get_mut(), own.of.as_deref_mut()))
    }

    /// Its memory, if nothing else is owed of it.
    fn into_bytes(self) -> Option<Vec<u8>> {
        Rc::into_inner(self.0).map(|mut own| std::mem::take(own.bytes.get_mut()))
    }

    /// Whether both are one.
    #[inline]
    fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// How many hold it.
    fn holders(&self) -> usize {
        Rc::strong_count(&self.0)
    }

    /// Nothing more is added to it.
    fn complete(&self) {
        self.0.complete.set(true);
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
    /// Whether [`Outbox::settle`] has seen it.
    settled: bool,
    /// Whether it begins in the midst of a line, of which something is written.
    half_written: bool,
}

impl Piece {
    #[inline]
    fn new(kind: Kind, segment: Segment, start: u32, end: u32) -> Self {
        Self { segment, start, end, kind, settled: false, half_written: false }
    }

    fn len(&self) -> u32 {
        self.end - self.start
    }

    /// Takes off the rest of a line of which something is written already, if it begins with one.
    fn split_at_line(&mut self) -> Option<Self> {
        if !self.half_written {
            return None;
        }
        let len = memchr(b'\n', self.of(&self.segment.bytes()))? + 1;
        let end = self.start + at(len);
        let half = Self { segment: self.segment.clone(), end, ..*self };
        (self.start, self.half_written) = (end, false);
        Some(half)
    }

    /// Where the line begins that is written next, or half written.
    fn line_start(&self) -> u32 {
        if !self.half_written {
            return self.start;
        }
        memrchr(b'\n', &self.segment.bytes()[..self.start as usize]).map_or(0, |end| at(end) + 1)
    }

    /// Whether it is data of this file.
    fn is_of(&self, file: FileId) -> bool {
        matches!(self.segment.of(), Some(&Of::File { file: other, .. }) if other == file)
    }

    /// What is to be read of which file before it can be written.
    fn unread(&self) -> Option<(FileId, u64, u64)> {
        match self.segment.of() {
            Some(&Of::File { file, offset, len }) if self.segment.is_empty() => Some((file, offset, len)),
            _ => None,
        }
    }

    /// The bytes, out of what [`RefCell::borrow`] gives for the segment.
    fn of<'a>(&self, segment: &'a [u8]) -> &'a [u8] {
        &segment[self.start as usize..self.end as usize]
    }

    /// Ends its lines in `end`, however they ended.
    fn end_lines_in(&mut self, end: &str) {
        if self.len() == 0 {
            return;
        }
        let (mut text, mut places) = (Vec::new(), Vec::new());
        for line in self.of(&self.segment.bytes()).split_inclusive(|&b| b == b'\n') {
            places.push(at(text.len()));
            text.extend_from_slice(
                line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line)),
            );
            text.extend_from_slice(end.as_bytes());
        }
        let of = self.segment.of().and_then(|of| of.part(self.start, self.end, 0));
        if let Some(Of::Room { said, .. }) = &of {
            let before = self.of(&self.segment.bytes()).to_vec();
            let nth = |place: u32| memchr_iter(b'\n', &before[..place as usize]).count();
            said.borrow_mut().iter_mut().for_each(|(place, _)| *place = places[nth(*place)]);
        }
        (self.start, self.end, self.segment) = (0, at(text.len()), Segment::own_of(text, of));
    }

    /// What counts of it until it is written, besides the bytes of a line that are pending. File data is counted by the
    /// memory that it is in, which is held until all of it is written.
    fn overhead(&self) -> u32 {
        if self.kind == Kind::Chunk { at(self.segment.bytes().capacity()) } else { PIECE }
    }

    /// What counts of so many of its bytes until they are written.
    fn share(&self, bytes: u32) -> u32 {
        if self.kind == Kind::Chunk { 0 } else { bytes }
    }
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

/// What is pending behind the first piece.
#[derive(Debug, Default)]
struct Tail {
    pieces: VecDeque<Piece>,
    /// What is held back while an answer is being told: all but the answer itself.
    held: Option<VecDeque<Piece>>,
}

/// A segment grows up to this many bytes before the next is begun.
pub const SEGMENT: usize = 16 * 1024;
/// Bytes of memory that a piece takes besides its text: its place in the queue, its buffer's head, and what the allocator
/// adds to each.
pub const PIECE: u32 = 160;
/// Units of a file that are read at once to be written again.
const REREAD: u64 = 4;
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
            && let Some((own, _)) = last.segment.own_mut()
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

/// A place in a segment, whose length is far below 4 GiB: that of all that may ever be pending for a connection.
fn at(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
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
