//! One connection of somebody who is online, and what becomes of what goes through it.

use crate::event::{Change, Lost, Setting};
use crate::names::{ConnId, FileId, Origin, PersonId, RoomName, Wire};
use crate::rooms::RoomId;
use crate::typing::Conversation;

/// What becomes of the chunks that a connection sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Intake {
    /// There is no upload, and the connection has been told so or not.
    None {
        /// Whether it has.
        told: bool,
    },
    /// They belong to this upload.
    Open(FileId),
    /// They belong to an upload that was refused or failed.
    Discard,
}

impl Default for Intake {
    fn default() -> Self {
        Self::None { told: false }
    }
}

/// A download under way.
#[derive(Debug)]
pub struct Download {
    /// Tells it from an earlier one of the same file.
    pub serial: u64,
    /// What is fetched.
    pub file: FileId,
    /// Bytes from the file's beginning up to where the disk has been asked for them.
    pub asked: u64,
    /// Bytes from the file's beginning up to where they have been handed to the shell.
    pub sent: u64,
    /// What the disk gave last: at most [`READ_AHEAD`](crate::limits::READ_AHEAD) bytes, kept to be filled again.
    block: Vec<u8>,
    /// How many bytes of it have been handed on.
    taken: usize,
}

impl Download {
    /// A download of a file from `offset` on.
    pub fn new(serial: u64, file: FileId, offset: u64) -> Self {
        Self { serial, file, asked: offset, sent: offset, block: Vec::new(), taken: 0 }
    }

    /// Takes what the disk gave.
    pub fn fill(&mut self, block: Vec<u8>) {
        (self.block, self.taken) = (block, 0);
    }

    /// What was filled last, for the disk to fill again.
    pub fn take_buffer(&mut self) -> Vec<u8> {
        self.taken = 0;
        std::mem::take(&mut self.block)
    }

    /// What the disk gave and has not been handed on.
    pub fn ready(&self) -> &[u8] {
        &self.block[self.taken..]
    }

    /// Notes that `len` bytes more have been handed on, and gives how many are held no more.
    pub fn hand_on(&mut self, len: usize) -> usize {
        let held = self.held();
        self.taken += len;
        self.sent += len as u64;
        held - self.held()
    }

    /// Whether the disk has been asked for something that has not been handed on.
    pub fn is_held(&self) -> bool {
        self.asked > self.sent
    }

    /// Bytes that are held in memory until all of them are handed on.
    pub fn held(&self) -> usize {
        if self.ready().is_empty() { 0 } else { self.block.len() }
    }
}

/// A part of a file that is read once more, as it was lost on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reread {
    /// Tells it from downloads.
    pub serial: u64,
    /// Of which file.
    pub file: FileId,
    /// Where it begins.
    pub offset: u64,
}

/// One way in: a connection of somebody who is online, and what belongs to it alone.
#[derive(Debug)]
pub struct Way {
    /// Which connection.
    pub conn: ConnId,
    /// The network that it comes from, with whose people it shares what is counted by network.
    pub origin: Origin,
    /// Whether others can read along on it.
    pub wire: Wire,
    /// Where what is said goes that names no target: the room that was entered last, or what was chosen since.
    pub current: Option<Conversation>,
    /// Whether what is said through it comes back to it.
    pub echo: bool,
    /// Whether its lines carry stamps.
    pub stamp: bool,
    /// Whether it is told of presence.
    pub presence: bool,
    /// Whether its next line may be a password alone, as the one before it was refused for want of one.
    pub is_wary: bool,
    pub(super) lag: Lag,
    /// What most do without, so that they need no memory for it.
    pub(super) rare: Option<Box<RareWay>>,
}

/// What only some ways in need.
#[derive(Debug, Default)]
pub struct RareWay {
    /// What becomes of the chunks that come next.
    intake: Intake,
    /// Uploads that are whole and wait for their digest.
    pub finishing: usize,
    /// Downloads; the one whose turn is next comes first.
    pub downloads: Vec<Download>,
    /// Whether these wait for a turn at the disk.
    pub wait_for_disk: bool,
    /// How the connection was lost, if it is and its place is kept.
    lost: Option<Lost>,
    /// While it is: who has said something in private that may never be had.
    pub(super) unreached: Option<Vec<PersonId>>,
    /// What the disk has been asked for that was handed on before.
    pub reread: Option<Reread>,
    /// Which typing lines are wanted, if not all.
    typing: Option<WantedTyping>,
    /// Rooms of which something was left out, and the last message before that.
    missed: Vec<(RoomId, u64)>,
    /// Whether something was left out that was for them alone, as another way in could take it.
    pub(super) missed_private: bool,
    /// Rooms that they were put out of, as long as something may be there that was sent before.
    put_out: Vec<RoomName>,
}

impl Way {
    pub(super) fn new(conn: ConnId, origin: Origin, wire: Wire) -> Self {
        Self {
            conn,
            origin,
            wire,
            current: None,
            echo: false,
            stamp: false,
            presence: true,
            is_wary: false,
            lag: Lag::None,
            rare: None,
        }
    }

    /// What only some need; from now on this one does.
    #[inline]
    pub fn rare_mut(&mut self) -> &mut RareWay {
        self.rare.get_or_insert_default()
    }

    /// What becomes of the chunks that come through it next.
    pub fn intake(&self) -> Intake {
        self.rare.as_ref().map(|rare| rare.intake).unwrap_or_default()
    }

    /// From now on the chunks that come through it become of this.
    pub fn set_intake(&mut self, intake: Intake) {
        if intake != self.intake() {
            self.rare_mut().intake = intake;
        }
    }

    /// Its downloads; the one whose turn is next comes first.
    pub fn downloads(&self) -> &[Download] {
        self.rare.as_ref().map(|rare| rare.downloads.as_slice()).unwrap_or_default()
    }

    /// Its downloads, to be changed.
    pub fn downloads_mut(&mut self) -> &mut [Download] {
        self.rare.as_mut().map(|rare| rare.downloads.as_mut_slice()).unwrap_or_default()
    }

    /// Takes all of its downloads from it.
    pub fn take_downloads(&mut self) -> Vec<Download> {
        self.rare.as_mut().map(|rare| std::mem::take(&mut rare.downloads)).unwrap_or_default()
    }

    /// Whether something is downloaded through it, or was sent through it and waits for its digest.
    pub fn is_transferring(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.downloads.is_empty() || rare.finishing > 0)
    }

    /// They were put out of a room: what came through it before is not to be carried out.
    pub fn put_out(&mut self, room: RoomName) {
        let rooms = &mut self.rare_mut().put_out;
        if !rooms.contains(&room) {
            rooms.push(room);
        }
    }

    /// The rooms that they were put out of, as long as something may be there that was sent before.
    pub fn put_out_of(&self) -> &[RoomName] {
        self.rare.as_ref().map(|rare| rare.put_out.as_slice()).unwrap_or_default()
    }

    /// All that was sent before they were put out of rooms has been carried out, or was not to be.
    pub fn forget_put_out(&mut self) {
        self.rare.as_mut().into_iter().for_each(|rare| rare.put_out = Vec::new());
    }

    /// Whether something that was handed on is being read once more.
    pub fn is_rereading(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.reread.is_some())
    }

    /// Takes what is read once more, if it is this.
    pub fn take_reread(&mut self, serial: u64) -> Option<Reread> {
        self.rare.as_mut()?.reread.take_if(|reread| reread.serial == serial)
    }

    /// How its connection was lost, if it is and its place is kept.
    pub fn lost(&self) -> Option<Lost> {
        self.rare.as_ref().and_then(|rare| rare.lost)
    }

    /// Its connection is lost, and its place kept: what is said in private from now on may reach nobody.
    pub fn lose(&mut self, how: Lost) {
        // What was sent and is not carried out is dropped.
        self.forget_put_out();
        let rare = self.rare_mut();
        rare.lost = Some(how);
        rare.unreached.get_or_insert_default();
    }

    /// It has a connection again.
    pub fn take_up(&mut self) {
        self.forget_put_out();
        self.take_unreached();
        self.rare.as_mut().into_iter().for_each(|rare| rare.lost = None);
    }

    /// Takes those who have said something in private that nobody has had, if its connection is lost.
    pub fn take_unreached(&mut self) -> Option<Vec<PersonId>> {
        self.rare.as_mut().and_then(|rare| rare.unreached.take())
    }

    /// Whether the typing lines are wanted of which the first had this serial number.
    pub fn wants_typing(&self, serial: u64) -> bool {
        match self.rare.as_ref().and_then(|rare| rare.typing) {
            None => true,
            Some(WantedTyping::None) => false,
            Some(WantedTyping::After(wanted)) => wanted < serial,
        }
    }

    /// Whether that is so already.
    pub fn is_set(&self, Change { setting, on }: Change) -> bool {
        let is_on = match setting {
            Setting::Echo => self.echo,
            Setting::Stamp => self.stamp,
            Setting::Presence => self.presence,
            Setting::Typing => self.wants_typing(u64::MAX),
            // The shell has it.
            Setting::Whole => return false,
        };
        is_on == on
    }

    /// From now on typing lines are wanted, with which serial number they begin; or none.
    pub fn set_typing(&mut self, after: Option<u64>) {
        match after {
            // It may have been shown one that is under way.
            Some(_) if self.wants_typing(u64::MAX) => {}
            Some(after) => self.rare_mut().typing = Some(WantedTyping::After(after)),
            None => self.rare_mut().typing = Some(WantedTyping::None),
        }
    }

    /// Typing lines that began before this serial number were shown to others alone.
    pub fn pass_over_typing(&mut self, after: u64) {
        if self.wants_typing(u64::MAX) {
            self.rare_mut().typing = Some(WantedTyping::After(after));
        }
    }

    /// Whether room lines and presence are left out for it.
    pub fn is_lagging(&self) -> bool {
        self.lag != Lag::None
    }

    /// Notes that what is said or happens in a room is left out after this message, unless that has been noted before.
    pub fn miss(&mut self, room: RoomId, after: u64) {
        let missed = &mut self.rare_mut().missed;
        if missed.iter().all(|(other, _)| *other != room) {
            missed.push((room, after));
        }
    }

    /// The rooms of which something was left out.
    pub fn missed(&self) -> impl Iterator<Item = RoomId> + '_ {
        self.rare.iter().flat_map(|rare| &rare.missed).map(|(room, _)| *room)
    }

    /// Takes whether something was left out that was for them alone.
    pub fn take_missed_private(&mut self) -> bool {
        self.rare.as_mut().is_some_and(|rare| std::mem::take(&mut rare.missed_private))
    }

    /// Takes what is to be told of a room of which something was left out: the last message before that.
    pub fn take_missed(&mut self, room: RoomId) -> Option<u64> {
        let missed = &mut self.rare.as_mut()?.missed;
        let at = missed.iter().position(|(other, _)| *other == room)?;
        Some(missed.swap_remove(at).1)
    }
}

/// Whether a way in is a slow consumer, for which room lines and presence are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lag {
    /// It is not.
    None,
    /// It is.
    Lagging,
    /// It is, and presence has been left out.
    MissingPresence,
}

/// Which typing lines are wanted where not all of them are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WantedTyping {
    None,
    /// Those that began after this serial number.
    After(u64),
}
