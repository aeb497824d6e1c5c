//! What the shell shall do for the core, and the way out for all that the core says.

use crate::event::{Bye, Change, Detail, Event, Job, Query, Record, Reply};
use crate::names::{ConnId, FileId};

/// Something for the shell to do.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields are called what they are")]
pub enum Effect {
    /// Have this written down before anybody is told of it.
    Log(Record),
    /// Look this up in the log, with all in it that was to be written down before.
    ReadLog(Query),
    /// Hand this to the disk.
    Disk(Job),
    /// There may be something for `Hub::pump` to do for this connection.
    Pump(ConnId),
    /// Note in the log of the process that a wrong password came from here.
    NoteWrongPassword(ConnId),
    /// An upload of this connection has ended, in whatever way: what it has sent of a chunk that is not whole is for nobody.
    UploadEnded(ConnId),
    /// The answer to this connection's last request can go on: call `Hub::go_on` when others have had their turn and little
    /// enough is pending for it.
    Resume(ConnId),
    /// The core knows this connection no more: close it when all that is pending for it is written.
    Close {
        conn: ConnId,
        /// Why, if it is to be told so.
        bye: Option<Bye>,
    },
}

/// Where the core's facts and effects go. It is the shell's part to encode them, send them and do them.
pub trait Output {
    /// Tells `events` to all of `to`.
    fn publish(&mut self, to: &mut dyn Iterator<Item = ConnId>, events: &[Event]);
    /// Tells `event` to somebody whose own request brought it about, so it waits as replies do.
    fn answer(&mut self, to: ConnId, event: &Event);
    /// Hands bytes of a file, from `offset` on, to `to` who downloads it. They end at a multiple of
    /// [`limits::DOWNLOAD_UNIT`] or with the file, and if they begin in the midst of a unit they do not go beyond it.
    ///
    /// [`limits::DOWNLOAD_UNIT`]: crate::limits::DOWNLOAD_UNIT
    fn data(&mut self, to: ConnId, file: FileId, offset: u64, data: &[u8]);
    /// A detail of the reply that comes next.
    fn detail(&mut self, to: ConnId, detail: &Detail);
    /// The one reply to a request.
    fn reply(&mut self, to: ConnId, reply: &Reply);
    /// From now on this is so for `to`: the setting is a matter of the connection.
    fn set(&mut self, to: ConnId, change: Change);
    /// Whether so much is pending for all together, and something for `to`, that a long answer must be refused.
    fn is_memory_short_for(&self, to: ConnId) -> bool;
    /// Something is to be done, after what was before it and before what comes after it.
    fn effect(&mut self, effect: Effect);
}
