//! What passes between the session and those around it: what is to be shown, and what is for the transfers.

use std::time::SystemTime;

use crate::names::{FileId, Nick, Place, RoomName};
use crate::wire::Rank;

/// Stands above what was said since an earlier run.
pub const NEW: &str = "new since you left";

/// Something to be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Somebody said something.
    Said {
        /// Where.
        place: Place,
        /// When, if that is known.
        at: Option<SystemTime>,
        /// Who.
        from: Nick,
        /// What.
        text: String,
        /// What it is to us.
        mark: Mark,
        /// Whether it has just been said.
        age: Age,
        /// What they are in the room.
        rank: Option<Rank>,
        /// Its number, where that is asked for.
        number: Option<u64>,
    },
    /// Something happened.
    Happened {
        /// Where.
        place: Place,
        /// When, if that is known.
        at: Option<SystemTime>,
        /// What, in words.
        text: String,
        /// Whether somebody came into the room by it, or went.
        moves: Option<Moves>,
        /// Who has invited us by it, or put us out.
        call: Option<Nick>,
    },
    /// Messages were taken back.
    Erased {
        /// Where.
        place: Place,
        /// When, if that is known.
        at: Option<SystemTime>,
        /// Who took them back.
        by: Nick,
        /// The numbers of the first and the last.
        numbers: (u64, u64),
        /// Of those that were shown lately: who said them, and when.
        shown: Vec<(Nick, SystemTime)>,
    },
    /// A file is shared.
    File {
        /// Where.
        place: Place,
        /// When, if that is known.
        at: Option<SystemTime>,
        /// By whom.
        from: Nick,
        /// Its ID.
        file: FileId,
        /// Its size in bytes.
        size: u64,
        /// What it is called.
        name: String,
        /// Whether it has just been shared.
        age: Age,
    },
    /// A part of the answer to a command.
    Answer(String),
    /// A command is done, as the server puts it.
    Done(String),
    /// Something that could not be done, and what to do instead.
    Refused(String),
    /// Something that the person should know.
    Note(String),
}

impl News {
    /// When it was, if that is known.
    pub fn at(&self) -> Option<SystemTime> {
        match self {
            Self::Said { at, .. } | Self::Happened { at, .. } | Self::Erased { at, .. } | Self::File { at, .. } => *at,
            _ => None,
        }
    }

    /// Whether it is of no day: what a list or a search has found is told below it, whenever that was, and what is new is.
    pub fn is_timeless(&self) -> bool {
        matches!(self, Self::Answer(_)) || matches!(self, Self::Note(text) if text == NEW)
    }

    /// Who calls for us with this, where, and with what: what has just been said to us, shared with us alone, or done to us.
    pub fn call(&self) -> Option<(Nick, Place, &str)> {
        match self {
            Self::Said { place, from, text, mark: Mark::ForUs, age: Age::New, .. } => Some((*from, *place, text)),
            Self::File { place: place @ Place::With(nick), from, name, .. } if nick == from => {
                Some((*from, *place, name))
            }
            Self::Happened { place, text, call: Some(who), .. } => Some((*who, *place, text)),
            _ => None,
        }
    }

    /// Where `other` tells that the same happened, if it does and that is elsewhere: who leaves the server, say, leaves all their rooms.
    pub fn also_in(&self, other: &Self) -> Option<Place> {
        let (
            Self::Happened { place, at, text, call: None, .. },
            Self::Happened { place: there, at: then, text: what, call: None, .. },
        ) = (self, other)
        else {
            return None;
        };
        ((at, text) == (then, what) && place != there).then_some(*there)
    }
}

/// The sign of a rank, which stands before the name of whoever has it and is no part of that; the room's own mark.
pub fn mark_of(rank: Rank) -> &'static str {
    match rank {
        Rank::Founder | Rank::Op => "@",
        Rank::Voice => "+",
        Rank::Nobody => "",
    }
}

/// Which way somebody moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moves {
    /// Into a room.
    In,
    /// Out of it, or off the server.
    Out,
}

/// When something was said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// Just now, or while we were fetching what came before.
    New,
    /// Earlier: it comes from the history.
    Past,
}

/// What a message is to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// Said by somebody to a room.
    Plain,
    /// Said by ourselves, here.
    Own,
    /// Said by ourselves over another connection.
    Elsewhere,
    /// Said to us alone, or with our name in it.
    ForUs,
}

/// What the server answered to a request for a transfer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransferAnswer {
    /// The upload that was asked for with this key goes on from `offset`.
    Sending {
        /// Which upload.
        key: u64,
        /// The ID that it has.
        file: FileId,
        /// How many bytes the server has already.
        offset: u64,
    },
    /// The upload with this key is refused, for this reason.
    NotSent(u64, String),
    /// The download with this key begins.
    Coming {
        /// Which download.
        key: u64,
        /// From where on.
        offset: u64,
        /// How large the whole file is.
        size: u64,
        /// What it is called.
        name: String,
    },
    /// The download with this key is refused, for this reason.
    NotComing(u64, String),
    /// The server does not send the file of the download with this key just now, as others are still under way.
    Later(u64),
    /// The largest file that the server takes, in bytes.
    Largest(u64),
    /// The file of the download with this key is not there now, though it was, for this reason: its sender's connection may have broken.
    Gone(u64, String),
    /// What the file of the download with this key is; `None` if there is no such file.
    Found(u64, Option<Found>),
    /// This file is shared, perhaps once more after its sender's connection broke.
    Shared(FileId),
    /// Others than before may be in this room by now, and are not to get what was for those who were.
    Opened(RoomName),
    /// The connection is lost, and all transfers are broken off.
    Offline,
}

/// A file that is to be fetched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// How large it is.
    pub size: u64,
    /// What it is called.
    pub name: String,
    /// Whether the server has all of it.
    pub is_ready: bool,
}

/// What is to become of a line that was typed.
#[derive(PartialEq, Eq, Debug)]
pub enum Taken {
    /// It is on its way.
    Yes,
    /// It asks for a transfer, which is not the session's business.
    Transfer(TransferRequest),
    /// Who comes and goes is to be folded from now on, or not; without either, it is asked whether it is.
    Fold(Option<bool>),
    /// It is on its way, and sets what is called so: the next runs begin with that, too.
    Set(&'static str, bool),
    /// It cannot be taken, for this reason.
    No(String),
}

/// How large a picture is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// So small that what was said stays in sight.
    Thumbnail,
    /// As large as the window, or as the picture.
    Full,
}

/// What a person asks of the transfers.
#[derive(PartialEq, Eq, Debug)]
pub enum TransferRequest {
    /// Share the file at this path.
    Send(Place, String),
    /// Fetch a file.
    Get(FileId),
    /// Fetch a picture, to show so much of it.
    Show(FileId, Extent),
    /// Stop a transfer, or withdraw a file.
    Cancel(FileId),
    /// Stop sending the file of this name, which may have no ID yet.
    CancelNamed(String),
}
