//! Shared write buffers.

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use crate::effect::Lines;
use crate::names::{FileId, RoomName};

/// A segment grows up to this many bytes before the next is begun.
pub const SEGMENT: usize = 16 * 1024;

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
pub(super) enum Of {
    /// Where its messages begin, and their numbers.
    Room { name: RoomName, said: RefCell<Vec<(u32, u64)>> },
    /// So many bytes of a file, from `offset` on. While there is no text they are to be read.
    File { file: FileId, offset: u64, len: u64 },
    /// Lines for one connection alone: a row that tells that something was left out stands for what it tells of.
    Own(Lines),
}

impl Of {
    /// The same of a part of a room's segment, which stands `before` bytes behind the beginning of another.
    pub(super) fn part(&self, start: u32, end: u32, before: u32) -> Option<Self> {
        let (name, said) = match self {
            Self::Room { name, said } => (name, said.borrow()),
            Self::File { .. } => return None,
            Self::Own(lines) => return Some(Self::Own(*lines)),
        };
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

    pub(super) fn of(&self) -> Option<&Of> {
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

    pub(super) fn own(bytes: Vec<u8>) -> Self {
        Self::with(bytes, None, None)
    }

    pub(super) fn own_of(bytes: Vec<u8>, of: Option<Of>) -> Self {
        Self::with(bytes, None, of)
    }

    /// File data that is still to be read.
    pub(super) fn to_be_read(file: FileId, offset: u64, len: u64) -> Self {
        Self::with(Vec::new(), None, Some(Of::File { file, offset, len }))
    }

    pub(super) fn is_shared(&self) -> bool {
        self.0.held.is_some()
    }

    /// Its bytes.
    #[inline]
    pub(super) fn bytes(&self) -> Ref<'_, Vec<u8>> {
        self.0.bytes.borrow()
    }

    /// Its bytes and what it is of, to be changed, if it belongs to one connection alone and nothing else is owed of it.
    #[inline]
    pub(super) fn own_mut(&mut self) -> Option<(&mut Vec<u8>, Option<&mut Of>)> {
        let own = Rc::get_mut(&mut self.0).filter(|own| own.held.is_none())?;
        Some((own.bytes.get_mut(), own.of.as_deref_mut()))
    }

    /// Its memory, if nothing else is owed of it.
    pub(super) fn into_bytes(self) -> Option<Vec<u8>> {
        Rc::into_inner(self.0).map(|mut own| std::mem::take(own.bytes.get_mut()))
    }

    /// Whether both are one.
    #[inline]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// How many hold it.
    pub(super) fn holders(&self) -> usize {
        Rc::strong_count(&self.0)
    }

    /// Nothing more is added to it.
    pub(super) fn complete(&self) {
        self.0.complete.set(true);
    }
}

/// A place in a segment, whose length is far below 4 GiB: that of all that may ever be pending for a connection.
pub(super) fn at(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
