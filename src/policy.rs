//! Who may do what. Every request that somebody may be refused for who they are asks here, and nowhere else.

use crate::event::{Fault, Verb};
use crate::files::{File, Share, Stage};
use crate::names::FileId;
use crate::people::Person;
use crate::register::Owned;
use crate::rooms::Room;

/// Who wants to do something.
#[derive(Clone, Copy, Debug)]
pub enum Actor<'a> {
    /// A connection that has not given the password.
    Locked,
    /// Somebody who is online.
    Person(&'a Person),
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Ask for anything at all.
    Ask(Verb),
    /// Do something in a room.
    InRoom(Doing, &'a Room),
    /// Tell or send something to one person alone.
    Reach {
        /// To whom.
        person: &'a Person,
        /// Whether one of their connections at least is no slow consumer.
        is_reading: bool,
    },
    /// Fetch a file, or be told of it. A file that was shared in a room comes with the room.
    Fetch(&'a File, Option<&'a Room>),
    /// Take a file away from those for whom it is.
    Withdraw(FileId, &'a File, Option<&'a Room>),
    /// Hear no more of somebody.
    Ignore(&'a Person),
    /// Do what is for the owner of their name; `None` if nobody owns it.
    AsOwner(Option<&'a Owned>),
}

/// What is done in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// Speak there: say something, type, share a file.
    Speak,
    /// Read what was said, and what it is about.
    Read,
    /// Set what it is about.
    SetTopic,
    /// Go.
    Leave,
}

/// Whether somebody may do something, or why not.
pub fn may(actor: Actor<'_>, action: Action<'_>) -> Result<(), Fault> {
    let Actor::Person(person) = actor else {
        let is_allowed = matches!(action, Action::Ask(verb) if is_for_anybody(verb));
        return allow(is_allowed, || Fault::Locked);
    };
    match action {
        Action::Ask(_) => Ok(()),
        Action::InRoom(Doing::Speak | Doing::Read | Doing::SetTopic | Doing::Leave, room) => {
            allow(room.member(person.id).is_some(), || Fault::NotInRoom(room.name))
        }
        Action::Reach { person, is_reading } => allow(is_reading, || Fault::Busy(person.nick())),
        Action::Fetch(file, room) => {
            let is_for = match file.share {
                Share::Room(_) => room.is_some_and(|room| room.member(person.id).is_some()),
                Share::Person(to, _) => to == person.id,
            };
            let is_there = file.stage != Stage::Broken;
            allow((is_for || file.sender == person.id) && is_there, || Fault::NoSuchFile)
        }
        Action::Withdraw(id, file, room) => {
            may(actor, Action::Fetch(file, room))?;
            allow(file.sender == person.id, || Fault::NotYours(id))
        }
        Action::AsOwner(owned) => allow(owned.is_some(), || Fault::NoAccount(person.nick())),
        Action::Ignore(other) => allow(other.id != person.id, || Fault::IgnoreSelf),
    }
}

/// Whether it is heard before the password is given. Chunks are, as they may still come for what was refused.
fn is_for_anybody(verb: Verb) -> bool {
    let is_for_all = matches!(verb, Verb::Pass | Verb::Login | Verb::Help | Verb::Ping | Verb::Resume | Verb::Quit);
    is_for_all || matches!(verb, Verb::Chunk | Verb::Unknown)
}

fn allow(is_allowed: bool, why: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if is_allowed { Ok(()) } else { Err(why()) }
}
