//! What is owed to a connection of a write buffer.

use memchr::{memchr, memchr_iter, memrchr};

use super::Kind;
use super::segment::{Of, SEGMENT, Segment, at};
use crate::limits;
use crate::names::FileId;

/// Bytes of memory that a piece takes besides its text: its place in the queue, its buffer's head, and what the allocator
/// adds to each.
pub const PIECE: u32 = 160;
/// Bytes of a file on a line.
const LINE: u64 = limits::DOWNLOAD_LINE as u64;

/// A part of a segment that is owed to a connection.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) segment: Segment,
    /// What is written already counts to what is before it.
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
    /// Whether [`super::Outbox::settle`] has seen it.
    pub(super) settled: bool,
    /// Whether it begins in the midst of a line, of which something is written.
    pub(super) half_written: bool,
}

impl Piece {
    #[inline]
    pub(super) fn new(kind: Kind, segment: Segment, start: u32, end: u32) -> Self {
        Self { segment, start, end, kind, settled: false, half_written: false }
    }

    pub(super) fn len(&self) -> u32 {
        self.end - self.start
    }

    /// Takes off the rest of a line of which something is written already, if it begins with one.
    pub(super) fn split_at_line(&mut self) -> Option<Self> {
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
    pub(super) fn line_start(&self) -> u32 {
        if !self.half_written {
            return self.start;
        }
        memrchr(b'\n', &self.segment.bytes()[..self.start as usize]).map_or(0, |end| at(end) + 1)
    }

    /// Whether it is data of this file.
    pub(super) fn is_of(&self, file: FileId) -> bool {
        matches!(self.segment.of(), Some(&Of::File { file: other, .. }) if other == file)
    }

    /// What is to be read of which file before it can be written.
    pub(super) fn unread(&self) -> Option<(FileId, u64, u64)> {
        match self.segment.of() {
            Some(&Of::File { file, offset, len }) if self.segment.is_empty() => Some((file, offset, len)),
            _ => None,
        }
    }

    /// The bytes, out of what [`RefCell::borrow`] gives for the segment.
    pub(super) fn of<'a>(&self, segment: &'a [u8]) -> &'a [u8] {
        &segment[self.start as usize..self.end as usize]
    }

    /// Ends its lines in `end`, however they ended.
    pub(super) fn end_lines_in(&mut self, end: &str) {
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
    pub(super) fn overhead(&self) -> u32 {
        if self.kind == Kind::Chunk { at(self.segment.bytes().capacity()) } else { PIECE }
    }

    /// What counts of so many of its bytes until they are written.
    pub(super) fn share(&self, bytes: u32) -> u32 {
        if self.kind == Kind::Chunk { 0 } else { bytes }
    }
}

/// What is held of it, and written again.
impl Piece {
    /// Whether both are of one segment.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.segment.is_same(&other.segment)
    }

    /// A part of the same segment.
    pub(super) fn part(&self, start: u32, end: u32) -> Self {
        Self::new(self.kind, self.segment.clone(), start, end)
    }

    /// A copy of a part of the segment.
    pub(super) fn copy(&self, start: u32, end: u32) -> Self {
        let text = self.segment.bytes();
        let of = self.segment.of().and_then(|of| of.part(start, end, 0));
        let segment = Segment::own_of(text[start as usize..end as usize].to_vec(), of);
        Self { settled: true, ..Self::new(self.kind, segment, 0, end - start) }
    }

    /// Adds a copy of a part of another's segment to its own, if that is a copy too, and is of the same.
    pub(super) fn add_copy(&mut self, other: &Self, start: u32, end: u32) -> bool {
        let is_of_same = match (self.segment.of(), other.segment.of()) {
            (None, None) => true,
            (Some(Of::Room { name, .. }), Some(Of::Room { name: other, .. })) => name.as_str() == other.as_str(),
            _ => false,
        };
        let Some((bytes, of)) = self.segment.own_mut().filter(|_| is_of_same) else { return false };
        if bytes.len() + (end - start) as usize > SEGMENT {
            return false;
        }
        if let (Some(Of::Room { said, .. }), Some(others)) = (of, other.segment.of())
            && let Some(Of::Room { said: more, .. }) = others.part(start, end, at(bytes.len()))
        {
            said.get_mut().extend(more.into_inner());
        }
        bytes.extend_from_slice(&other.segment.bytes()[start as usize..end as usize]);
        self.end = at(bytes.len());
        true
    }

    /// The numbers of the first and the last message in it, if there is one.
    pub(super) fn said(&self) -> Option<(u64, u64)> {
        let Some(Of::Room { said, .. }) = self.segment.of() else { return None };
        let said = said.borrow();
        let mut seqs = said.iter().filter(|(place, _)| (self.start..self.end).contains(place)).map(|&(_, seq)| seq);
        let first = seqs.next()?;
        Some((first, seqs.next_back().unwrap_or(first)))
    }

    /// How many lines it has, of which it begins and ends with whole ones.
    pub(super) fn line_count(&self) -> u64 {
        match self.segment.of() {
            Some(&Of::File { offset, len, .. }) => (offset + len).div_ceil(LINE) - offset / LINE,
            _ => memchr_iter(b'\n', self.of(&self.segment.bytes())).count() as u64,
        }
    }

    /// Takes off so many lines, which it has, from its beginning.
    pub(super) fn split_lines(&mut self, count: u64) -> Self {
        if let Some(&Of::File { file, offset, len }) = self.segment.of() {
            let to = (offset / LINE + count) * LINE;
            self.segment = Segment::to_be_read(file, to, len - (to - offset));
            return Self { segment: Segment::to_be_read(file, offset, to - offset), ..self.part(0, 0) };
        }
        let nth = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
        let end = memchr_iter(b'\n', self.of(&self.segment.bytes())).nth(nth);
        let end = end.map_or(self.end, |end| self.start + at(end) + 1);
        let head = self.part(self.start, end);
        self.start = end;
        head
    }

    /// What must be read to make so many of its lines of file data again, behind so many of the first.
    pub(super) fn to_be_read(&self, before: u64, count: u64) -> Option<Self> {
        let Some(Of::File { file, offset, len }) = self.segment.of() else { return None };
        let line = |n: u64| if n == 0 { *offset } else { (offset / LINE + n) * LINE };
        let (from, to) = (line(before), line(before + count).min(offset + len));
        Some(Self { segment: Segment::to_be_read(*file, from, to - from), start: 0, end: 0, ..self.part(0, 0) })
    }
}
