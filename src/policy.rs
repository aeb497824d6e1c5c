//! Who may do what. Every request that somebody may be refused for who they are asks here, and nowhere else.

use crate::event::{Bye, Fault, Lock, Meant, Silence, Verb};
use crate::files::{File, Share, Stage};
use crate::names::{FileId, Nick, RoomName, Text, Wire};
use crate::people::Person;
use crate::register::entry::{BanKind, BlockScope, Guests, Rule, RuleKind};
use crate::register::{Blocks, Owned};
use crate::rooms::Room;
use crate::rules::{InForce, Someone};
use crate::settings::{self, Accounts, RoomMakers};
use crate::time::Now;

/// Who wants to do something.
#[derive(Clone, Copy, Debug)]
pub enum Actor<'a> {
    /// A connection that has not been let in, for this reason.
    Locked(Lock),
    /// A connection that came by the operator's door, where nobody is online.
    Control,
    /// Somebody who is online.
    Person(Someone<'a>),
    /// Somebody who is online, and an operator.
    Operator(Someone<'a>),
}

impl<'a> Actor<'a> {
    /// Somebody who is online, as the owner of their name if they are that, through a connection like this. An operator is one only
    /// where nobody can read along.
    pub fn online(someone: Someone<'a>, owned: Option<&Owned>, wire: Wire) -> Self {
        let is_operator = wire == Wire::Secure && owned.is_some_and(Owned::is_operator);
        if is_operator { Self::Operator(someone) } else { Self::Person(someone) }
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Ask for anything at all.
    Ask(Verb),
    /// Ask for what is for operators, by its name as it was typed.
    Operate(&'a str),
    /// Do something in a room.
    InRoom(Doing, Ruled<'a>),
    /// Come into a room, with this key, if they gave one.
    Enter(Entrance<'a>, Option<&'a str>),
    /// Make a room, where these may, and guests may do this.
    MakeRoom(RoomMakers, settings::Guests),
    /// Be in this room under another name, as its owner if they are that.
    Stay(Nick, Option<Nick>, Ruled<'a>),
    /// Fetch a file, or be told of it. A file that was shared in a room comes with the room.
    Fetch(&'a File, Option<&'a Room>),
    /// Take a file away from those for whom it is.
    Withdraw(FileId, &'a File, Option<Ruled<'a>>),
    /// Do what is for the owner of their name; `None` if nobody owns it.
    AsOwner(Option<&'a Owned>),
    /// Hear no more of somebody.
    Ignore(&'a Person),
    /// Be nobody in particular from now on, where these may not come from.
    BeGuest(Option<BlockScope>),
}

/// A room with the rules that are in force there now.
#[derive(Clone, Copy, Debug)]
pub struct Ruled<'a> {
    /// The room.
    pub room: &'a Room,
    /// Its rules.
    pub rules: InForce<'a>,
    /// What time it is.
    pub now: Now,
}

/// What is in force at the entrance of a room, which need not be in memory.
#[derive(Clone, Copy, Debug)]
pub struct Entrance<'a> {
    /// What it is called.
    pub name: RoomName,
    /// Its rules.
    pub rules: InForce<'a>,
    /// How many are in it.
    pub count: usize,
    /// What time it is.
    pub now: Now,
}

/// What is done in a room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// Say something.
    Speak,
    /// Be seen to type.
    Show,
    /// Share a file, under a name that may be words.
    Offer,
    /// Have a text of one's own shown where one is not asked whether one may: a reason, say.
    Tell,
    /// Read what was said, and what it is about.
    Read,
    /// Set what it is about.
    SetTopic,
    /// Go.
    Leave,
    /// See who has which rank, and what the rules are.
    SeeRules,
    /// See which files are shared there.
    SeeFiles,
    /// See to order, by what ops have for it.
    Moderate,
    /// Invite somebody.
    Invite,
    /// Make somebody else the founder.
    HandOver,
}

/// Whether somebody may do something, or why not.
pub fn may(actor: Actor<'_>, action: Action<'_>) -> Result<(), Fault> {
    if let Action::Operate(typed) = action {
        // What somebody may not use is unknown to them.
        let is_operator = matches!(actor, Actor::Control | Actor::Operator(_));
        return allow(is_operator, || Fault::UnknownCommand(Text::new(typed)));
    }
    let someone = match actor {
        Actor::Person(someone) | Actor::Operator(someone) => someone,
        Actor::Locked(lock) => {
            let is_allowed = matches!(action, Action::Ask(verb) if is_for_anybody(verb, lock));
            return allow(is_allowed, || Fault::Locked(lock));
        }
        Actor::Control => return may_from_outside(action),
    };
    match action {
        Action::Ask(_) | Action::Operate(_) => Ok(()),
        // A room may be left without anybody who could hand it over.
        Action::InRoom(doing, _) if rules_any_room(actor, doing) => Ok(()),
        Action::InRoom(doing, place) => may_in_room(&someone, doing, place),
        Action::Enter(entrance, key) => may_enter(&someone, entrance, key),
        Action::MakeRoom(makers, guests) => {
            // Whoever makes a room is heard there, and guests who are only let stay are to listen.
            let may_guests = makers == RoomMakers::Anybody && guests != settings::Guests::Off;
            allow(may_guests || someone.owned.is_some(), || Fault::GuestsMakeNoRooms(someone.owning()))
        }
        Action::Stay(nick, owned, Ruled { room, rules, now }) => {
            let leaves = someone.owned.filter(|left| owned != Some(*left));
            let renamed = Someone { nick, owned, leaves, ..someone };
            let since = room.member(someone.id).map(|member| member.since);
            let is_banned = rules.ban_of(BanKind::Ban, &renamed, since, now.wall).is_some();
            allow(!is_banned, || Fault::NameBanned { nick: Text::new(nick.as_str()), room: room.name })
        }
        Action::Fetch(file, room) => {
            let is_for = match file.share {
                Share::Room(_) => room.is_some_and(|room| room.member(someone.id).is_some()),
                Share::Person(to, _) => to == someone.id,
            };
            let is_there = file.stage != Stage::Broken;
            allow((is_for || file.sender == someone.id) && is_there, || Fault::NoSuchFile)
        }
        Action::Withdraw(id, file, place) => {
            if place.is_some_and(|place| place.rules.is_op(&someone)) {
                return allow(file.stage != Stage::Broken, || Fault::NoSuchFile);
            }
            may(actor, Action::Fetch(file, place.map(|place| place.room)))?;
            allow(file.sender == someone.id, || Fault::NotYours(id))
        }
        Action::AsOwner(owned) => {
            allow(owned.is_some(), || Fault::NoAccount { nick: someone.nick, owning: someone.owning() })
        }
        Action::BeGuest(scope) => allow(scope.is_none(), || Fault::GuestsBlocked),
        Action::Ignore(other) => allow(other.id != someone.id, || Fault::IgnoreSelf),
    }
}

/// What somebody must prove before they are let in, or why they may not come at all: `scope` may not come from where they come from.
pub fn receive(scope: Option<BlockScope>, guests: settings::Guests, has_password: bool) -> Result<Option<Lock>, Bye> {
    match (scope, guests) {
        (Some(BlockScope::All), _) => Err(Bye::Blocked),
        (Some(BlockScope::Guests), _) | (None, settings::Guests::Off) => Ok(Some(Lock::Guests)),
        (None, settings::Guests::On | settings::Guests::Listen) => Ok(has_password.then_some(Lock::Password)),
    }
}

/// Whether somebody may be who owns this name, having proved it, at this time.
pub fn may_come_as(nick: Nick, blocks: &Blocks, now: Now) -> Result<(), Fault> {
    allow(!blocks.has_name(nick, now.wall), || Fault::NameBlocked(nick))
}

/// A place that is kept, as far as it matters who may take it up.
#[derive(Clone, Copy, Debug)]
pub struct KeptPlace<'a> {
    /// What whoever has it owns, if they own their name.
    pub owned: Option<&'a Owned>,
    /// Whether others could read along where it was kept.
    pub wire: Wire,
}

/// Whether a place that is kept is taken up from where others can read along, or cannot, and where `scope` may not come from. What
/// locks the server is no matter here: whoever has the place has been in. A guest may come back where no new one is let in.
pub fn may_take_up(place: KeptPlace<'_>, wire: Wire, scope: Option<BlockScope>) -> Result<(), Fault> {
    allow(scope.is_none() || (scope == Some(BlockScope::Guests) && place.owned.is_some()), || Fault::PlaceOfGuest)?;
    let is_private = place.owned.is_some() && place.wire == Wire::Secure;
    allow(wire == Wire::Secure || !is_private, || Fault::InsecurePlace)
}

/// Whether somebody is told that there is a request of this kind.
pub fn knows(actor: Actor<'_>, verb: Verb) -> bool {
    match actor {
        Actor::Control => may(actor, Action::Ask(verb)).is_ok(),
        Actor::Operator(_) => true,
        Actor::Locked(_) | Actor::Person(_) => !verb.is_of_operators(),
    }
}

/// What decides which requests are of use to somebody besides who they are.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Whether people may own names on this server.
    pub accounts: Accounts,
    /// The room that is current for them.
    pub room: Option<Ruled<'a>>,
    /// Whether they are in any.
    pub is_in_rooms: bool,
}

/// Whether a request is of any use to somebody as things are. This is for listing requests, and refuses nothing: what they may
/// do in another room than the current one does not count, and neither does whether they are heard just now.
pub fn may_use(actor: Actor<'_>, verb: Verb, around: Around<'_>) -> bool {
    use Verb::{Account, Ban, Bans, Deop, Devoice, Drop, Erase, Founder, History, Invite, Kick, Leave, Login, Logout};
    use Verb::{Mute, Op, Pass, Passwd, Register, Room, Token, Topic, Unban, Uninvite, Voice};
    let has_accounts = around.accounts != Accounts::Off;
    let someone = match actor {
        Actor::Control => return knows(actor, verb),
        Actor::Locked(_) => return may(actor, Action::Ask(verb)).is_ok() && (verb != Login || has_accounts),
        Actor::Person(someone) | Actor::Operator(someone) => someone,
    };
    let here = |doing| around.room.is_some_and(|room| may(actor, Action::InRoom(doing, room)).is_ok());
    match verb {
        // They are let in already.
        Pass => false,
        Register => around.accounts == Accounts::Open && someone.owned.is_none(),
        Login | Account => has_accounts,
        Logout | Passwd | Token | Drop => has_accounts && someone.owned.is_some(),
        Leave | Topic | History | Op | Room | Erase => around.is_in_rooms,
        Deop | Voice | Devoice | Kick | Ban | Mute | Unban | Bans => here(Doing::Moderate),
        Invite | Uninvite => here(Doing::Invite),
        Founder => rules_any_room(actor, Doing::HandOver) || here(Doing::HandOver),
        verb => knows(actor, verb),
    }
}

/// Whether anybody may tell or send something to this person alone: not if all of their connections are slow consumers. It is
/// asked for each private line, and so without what only rules of rooms need to know.
pub fn may_reach(person: &Person, is_reading: bool) -> Result<(), Fault> {
    allow(is_reading, || Fault::Busy(person.nick()))
}

/// Whether somebody may know that a room is there. Whatever tells of rooms asks this.
pub fn sees(actor: Actor<'_>, room: &Room, rules: InForce<'_>) -> bool {
    let is_theirs = || match actor {
        Actor::Person(someone) | Actor::Operator(someone) => {
            room.member(someone.id).is_some() || rules.is_op_by_name(&someone)
        }
        Actor::Control => true,
        Actor::Locked(_) => false,
    };
    !rules.holds(&Rule::Hidden(true)) || is_theirs()
}

/// Whether somebody is told of all rooms that there are, in memory or not: of those in which nobody is and nothing was said, too.
pub fn sees_all(actor: Actor<'_>) -> bool {
    matches!(actor, Actor::Control)
}

/// Whether somebody may do this in every room, whoever is in it and whether or not it is hidden, as they are an operator.
pub fn rules_any_room(actor: Actor<'_>, doing: Doing) -> bool {
    match actor {
        Actor::Control => true,
        Actor::Operator(_) => doing == Doing::HandOver,
        Actor::Locked(_) | Actor::Person(_) => false,
    }
}

fn may_in_room(someone: &Someone<'_>, doing: Doing, place: Ruled<'_>) -> Result<(), Fault> {
    let Ruled { room, rules, now } = place;
    let name = room.name;
    let member = room.member(someone.id);
    let is_in = || allow(member.is_some(), || Fault::NotInRoom(name));
    let not_op = || Fault::NotOp { room: name, has_ops: rules.has_ops() };
    let is_op = || {
        let may = rules.is_op(someone);
        // Who is not in the room is told that first, unless their name is enough.
        if may || member.is_some() { allow(may, not_op) } else { Err(Fault::NotInRoom(name)) }
    };
    let silent = |why: Option<(Silence, Meant)>| {
        why.map_or(Ok(()), |(why, meant)| Err(Fault::Silent { room: name, why, meant }))
    };
    let slowed = || rules.slowed(someone, member.map(|member| member.since), now).map(|why| (why, Meant::Them));
    let is_heard = || silent(rules.silence(someone, member.map(|member| member.since), now.wall));
    match doing {
        Doing::Read | Doing::SeeFiles | Doing::Leave => is_in(),
        Doing::Speak if member.is_none() => {
            allow(rules.holds(&Rule::Outside(true)), || Fault::NotInRoom(name))?;
            is_not_banned(someone, name, rules, now)?;
            let is_let_in = someone.owned.is_some() || rules.guests_may() != Guests::Out || rules.is_invited(someone);
            allow(is_let_in, || Fault::NoGuests { room: name, owning: someone.owning() })?;
            is_heard()?;
            silent(slowed())
        }
        Doing::Speak => {
            is_heard()?;
            silent(slowed())
        }
        Doing::Show => {
            is_in()?;
            is_heard()
        }
        Doing::Offer => {
            is_in()?;
            is_heard()?;
            silent(slowed())
        }
        Doing::Tell => is_heard(),
        Doing::SetTopic => {
            is_in()?;
            is_heard()?;
            allow(!rules.holds(&Rule::TopicLocked(true)) || rules.is_op(someone), not_op)?;
            silent(slowed())
        }
        Doing::SeeRules if rules.is_op_by_name(someone) => Ok(()),
        Doing::SeeRules => is_in(),
        Doing::Moderate => is_op(),
        Doing::Invite if rules.is_op(someone) => Ok(()),
        Doing::Invite => {
            is_in()?;
            allow(!rules.holds(&Rule::InviteOnly(true)), not_op)?;
            // Who is invited is heard, so those who may only listen would let each other speak.
            let is_heard = rules.rank(someone).is_some() || !rules.is_for_listeners(someone);
            allow(is_heard, || Fault::Silent { room: name, why: Silence::Guests(someone.owning()), meant: Meant::Them })
        }
        Doing::HandOver => {
            let is_op = is_op();
            let is_outside = matches!(is_op, Err(Fault::NotInRoom(_)));
            allow(!is_outside, || Fault::NotInRoom(name))?;
            allow(rules.is_founder(someone), || Fault::NotFounder {
                room: name,
                is_op: is_op.is_ok(),
                has_founder: rules.has_founder(),
                can_have: someone.accounts != Accounts::Off,
            })
        }
    }
}

fn is_not_banned(someone: &Someone<'_>, room: RoomName, rules: InForce<'_>, now: Now) -> Result<(), Fault> {
    match rules.ban_of(BanKind::Ban, someone, None, now.wall) {
        Some(ban) => Err(Fault::Banned { room, until: ban.until, meant: rules.meant(ban, someone) }),
        None => Ok(()),
    }
}

/// Bans come before invitations, and these before keys.
fn may_enter(someone: &Someone<'_>, entrance: Entrance<'_>, key: Option<&str>) -> Result<(), Fault> {
    let Entrance { name, rules, count, now } = entrance;
    if rules.is_op_by_name(someone) {
        return Ok(());
    }
    is_not_banned(someone, name, rules, now)?;
    if !rules.is_invited(someone) {
        allow(someone.owned.is_some() || rules.guests_may() != Guests::Out, || Fault::NoGuests {
            room: name,
            owning: someone.owning(),
        })?;
        allow(!rules.holds(&Rule::InviteOnly(true)), || Fault::InviteOnly(name))?;
        let is_key = |word: Text| key == Some(word.as_str());
        allow(rules.key().is_none_or(is_key), || Fault::BadKey { room: name, is_wrong: key.is_some() })?;
    }
    match rules.rule(RuleKind::Limit) {
        Rule::Limit(Some(limit)) => allow((count as u64) < limit, || Fault::RoomFull { room: name, limit }),
        _ => Ok(()),
    }
}

/// Whether it is heard before a connection is let in. Chunks are, as they may still come for what was refused.
fn is_for_anybody(verb: Verb, lock: Lock) -> bool {
    // No password of the server lets a guest in where guests may not come.
    if verb == Verb::Pass {
        return lock == Lock::Password;
    }
    let is_for_all = matches!(verb, Verb::Login | Verb::Help | Verb::Ping | Verb::Resume | Verb::Quit);
    is_for_all || matches!(verb, Verb::Chunk | Verb::Unknown)
}

/// What may be done by the operator's door: all that takes nobody who is online.
fn may_from_outside(action: Action<'_>) -> Result<(), Fault> {
    let is_allowed = match action {
        Action::Operate(_) => true,
        Action::Ask(verb) => verb.is_of_operators() || is_for_nobody(verb),
        Action::InRoom(doing, _) => {
            matches!(doing, Doing::SeeRules | Doing::SeeFiles | Doing::Moderate | Doing::HandOver | Doing::Tell)
        }
        // Nobody gets a file there, so this is to be told of it.
        Action::Fetch(file, _) | Action::Withdraw(_, file, _) => {
            return allow(file.stage != Stage::Broken, || Fault::NoSuchFile);
        }
        Action::Enter(..)
        | Action::MakeRoom(..)
        | Action::Stay(..)
        | Action::AsOwner(_)
        | Action::BeGuest(_)
        | Action::Ignore(_) => false,
    };
    allow(is_allowed, || Fault::NobodyHere)
}

/// Whether it takes nobody who is online, though it is for others too.
fn is_for_nobody(verb: Verb) -> bool {
    use Verb::{Account, Ban, Bans, Cancel, Deop, Devoice, Erase, Founder, Kick, Mute, Op, Room, Unban, Voice};
    let is_question = matches!(verb, Verb::Help | Verb::Limits | Verb::Ping | Verb::Quit | Verb::Unknown);
    let is_list = matches!(verb, Verb::Who | Verb::Rooms | Verb::Files | Account | Bans | Room | Op);
    let is_order = matches!(verb, Deop | Voice | Devoice | Founder | Kick | Ban | Mute | Unban | Erase | Cancel);
    is_question || is_list || is_order
}

fn allow(is_allowed: bool, why: impl FnOnce() -> Fault) -> Result<(), Fault> {
    if is_allowed { Ok(()) } else { Err(why()) }
}
