//! What a refusal says: its stable word, and the text for a person, which says what to do next.

use std::time::SystemTime;

use super::rule_name;
use crate::commands::{self, GUESTS, is_common};
use crate::event::{
    Ask, Fault, Gone, Lock, Long, Meant, Misplaced, NoBlock, Owning, Quota, Silence, Unfit, Unstored, Vacancy, Verb,
};
use crate::limits;
use crate::names::{BadName, Nick, RoomName, Text};
use crate::register::entry::RuleKind;
use crate::text::{counted, roughly};
use crate::time::in_seconds;
use crate::wire::{AGAIN, Code, TOKEN};

/// The stable word of a refusal.
pub(super) fn code(why: &Fault) -> Code<'static> {
    match why {
        Fault::UnknownCommand(_) => Code::UnknownCommand,
        Fault::Usage(_)
        | Fault::NoHelp(_)
        | Fault::BeyondEnd(_)
        | Fault::BadPassword(_)
        | Fault::NotWritten(_)
        | Fault::OnlyKeys
        | Fault::OnlyEnds
        | Fault::BehindKey
        | Fault::BadTime(_)
        | Fault::Indented
        | Fault::Copied
        | Fault::Slashless(_)
        | Fault::BareToken
        | Fault::MaybePassword
        | Fault::NoSuchRule(_)
        | Fault::BadValue(_)
        | Fault::BadPattern
        | Fault::InNoNick(_)
        | Fault::Misplaced { .. } => Code::Usage,
        Fault::TooLong { .. } => Code::TooLong,
        Fault::TooMany(_) => Code::TooMany,
        Fault::Locked(_) | Fault::PlaceOfGuest => Code::Locked,
        Fault::BadNick(..) | Fault::BadRoom(..) | Fault::BadFileName | Fault::GuestName(_) => Code::BadName,
        Fault::Taken { .. } | Fault::LooksOwned { .. } => Code::Taken,
        Fault::NoSuchNick(_) | Fault::MeantRoom(..) | Fault::MeantPerson(..) | Fault::NotIgnored(_) => Code::NoSuchNick,
        Fault::NoSuchRoom(_) | Fault::NoSuchRoomByDoor(_) => Code::NoSuchRoom,
        Fault::NotInRoom(_) | Fault::PutOutBefore(_) => Code::NotInRoom,
        Fault::NoRoom | Fault::NoRoomByDoor | Fault::NoTarget | Fault::Unheard(_) => Code::NoRoom,
        Fault::NoSuchFile | Fault::NoFileFor { .. } | Fault::NoSuchFileByDoor => Code::NoSuchFile,
        Fault::NoUpload => Code::NoUpload,
        Fault::BadChunk => Code::BadChunk,
        Fault::BadDigest | Fault::MalformedDigest => Code::BadDigest,
        Fault::BeyondSize(_) | Fault::TooBig(_) => Code::TooBig,
        Fault::NoSpace | Fault::NotStored(_) => Code::NoSpace,
        Fault::DiskFailed | Fault::Gone(_) | Fault::NoPlace => Code::Gone,
        Fault::NoToken
        | Fault::DiskBusy
        | Fault::MemoryShort
        | Fault::Busy(_)
        | Fault::BusyFile(_)
        | Fault::PasswordsBusy
        | Fault::NameBusy(_) => Code::Busy,
        Fault::WrongPassword
        | Fault::WrongLogin(_)
        | Fault::NoOwner { .. }
        | Fault::NameOfNobody { .. }
        | Fault::OwnedAlready(_)
        | Fault::NoPassword(_)
        | Fault::OldPassword
        | Fault::KeepsNothing
        | Fault::AccountsOff
        | Fault::AccountsClosed
        | Fault::IgnoreSelf
        | Fault::NotYours(_)
        | Fault::KeptItself
        | Fault::NotFounder { is_op: true, .. }
        | Fault::IsFounder(_)
        | Fault::IsOp { .. }
        | Fault::PutOutSelf(_)
        | Fault::GuestsBlocked
        | Fault::NameBlocked(_)
        | Fault::NoBlock(_)
        | Fault::OperatorSelf
        | Fault::NobodyHere
        | Fault::OwnsNoName { .. } => Code::Refused,
        Fault::BadConfig(_) => Code::BadConfig,
        Fault::Owned(_) | Fault::OwnedForGood(_) => Code::Owned,
        Fault::Held(_) => Code::Held,
        Fault::NoAccount { .. } | Fault::NoGuests { .. } | Fault::GuestsMakeNoRooms(_) => Code::NoAccount,
        Fault::Insecure { .. } | Fault::InsecurePlace => Code::Insecure,
        Fault::NotOp { .. } | Fault::NotOwn { .. } | Fault::NotFounder { is_op: false, .. } => Code::NotOp,
        Fault::Asking(why, _) | Fault::Knowing(why, _) | Fault::OfSender(why) => code(why),
        Fault::NotThere { .. } => Code::NoSuchNick,
        Fault::Banned { .. } | Fault::NameBanned { .. } => Code::Banned,
        Fault::Silent { .. } => Code::Muted,
        Fault::InviteOnly(_) => Code::InviteOnly,
        Fault::BadKey { .. } => Code::BadKey,
        Fault::RoomFull { .. } => Code::TooMany,
        Fault::NoSuchBan { .. } | Fault::NoSuchBlock(_) => Code::Gone,
    }
}

/// What a refusal says to a person: what is wrong, and what to do next.
pub(super) fn explain(why: &Fault) -> String {
    match why {
        Fault::Asking(why, ask) => explain_asking(why, ask),
        Fault::Knowing(why, known) => match &**why {
            Fault::UnknownCommand(name) => unknown(name, |verb| known.contains(&verb)),
            Fault::NoHelp(word) => no_help(word, |verb| known.contains(&verb)),
            why => explain(why),
        },
        why => explain_alone(why),
    }
}

/// The same of what was refused to a command.
pub(super) fn explain_to(verb: Verb, why: &Fault) -> String {
    let text = explain(why);
    match why {
        // Who made trouble has gone when the operator comes.
        Fault::NoSuchNick(name) if matches!(verb, Verb::Where | Verb::Block) && text.ends_with("/who lists who is") => {
            format!(
                "{text}; the server's log tells from where somebody came who has gone (is {name}), and /block takes an address"
            )
        }
        _ => text,
    }
}

/// That this is no command, and which of those that are known may be meant.
fn unknown(name: &Text, is_known: impl Fn(Verb) -> bool) -> String {
    format!("/{name}: no such command; {}/help lists them", guess(name, is_known))
}

/// The same, where help was asked for about it.
fn no_help(word: &Text, is_known: impl Fn(Verb) -> bool) -> String {
    format!("{word} is no command; {}/help lists them", guess(word, is_known))
}

/// The same of what somebody may not do in a room, and may ask about.
fn explain_asking(why: &Fault, ask: &Ask) -> String {
    let guests = |meant: Meant| match meant {
        Meant::Them => "you are",
        Meant::Network => "guests from your network are",
        Meant::Called => "guests of your name are",
    };
    let (room, what, wanted) = match why {
        Fault::Banned { room, until, meant } => {
            (room, format!("{} banned from {room}{}", guests(*meant), until_text(*until)), String::new())
        }
        Fault::Silent { room, why: Silence::Muted(until), meant } => {
            (room, format!("{} muted in {room}{}", guests(*meant), until_text(*until)), String::new())
        }
        Fault::Silent { room, why: Silence::Moderated, .. } => {
            (room, format!("only ops and voices speak in {room}"), " for /voice".to_owned())
        }
        Fault::Silent { room, why: Silence::Guests(_), .. } => {
            (room, format!("only people who own their names speak in {room}"), " for /voice".to_owned())
        }
        Fault::NoGuests { room, .. } => {
            (room, format!("only people who own their names come into {room}"), " for /invite".to_owned())
        }
        Fault::InviteOnly(room) => (room, format!("only who is invited comes into {room}"), " for /invite".to_owned()),
        Fault::BadKey { room, is_wrong } => {
            let what = if *is_wrong { format!("that is not the key of {room}") } else { format!("{room} has a key") };
            (room, what, format!(" for it, and type /join {room} KEY"))
        }
        Fault::NotOwn { seq, room } => {
            let what =
                format!("message {seq} is not known to be yours, and only ops of {room} take back what others said");
            (room, what, String::new())
        }
        why => return explain_alone(why),
    };
    let names = |nicks: &[Nick]| {
        let nicks: Vec<String> = nicks.iter().map(Nick::to_string).collect();
        nicks.join(" or ")
    };
    let are = |nicks: &[Nick]| if nicks.len() == 1 { "an op" } else { "ops" };
    let ask = match ask {
        Ask::Here(nicks) => format!("ask {}, {} of it,{wanted}", names(nicks), are(nicks)),
        Ask::Later(nicks) => format!("ask {}, {} of it, when they are here,{wanted}", names(nicks), are(nicks)),
        Ask::Operator => {
            format!(
                "it has no op, and the operator of the server appoints one with chinwag ctl op '{room}' NICK, whom to ask{wanted}"
            )
        }
        Ask::Friend => format!("ask whoever told you of it{wanted}"),
    };
    let ask = ask.trim_end_matches(',');
    let other = match why {
        Fault::Banned { meant: Meant::Network, .. } | Fault::Silent { meant: Meant::Network, .. } => {
            ", or /login if you own a name"
        }
        Fault::Banned { meant: Meant::Called, .. } => ", or choose another name with /nick",
        _ => "",
    };
    format!("{what}; {ask}{other}")
}

fn explain_alone(why: &Fault) -> String {
    let known = |nick: &Nick| nick.to_string();
    match why {
        Fault::UnknownCommand(name) => unknown(name, is_common),
        Fault::Usage(verb) => {
            let usage = commands::spec_of(*verb).map_or("", |spec| spec.usage);
            let where_from = match verb {
                Verb::Nick => "; a name is one word",
                Verb::Unban => "; /bans lists the IDs, and a ban and a mute of one person have each their own",
                Verb::Erase => "; SEQ is the number of a message, which /history shows, and LAST no lower one",
                Verb::Unblock => "; /blocks lists the IDs",
                Verb::Block => "; WHO is a nick, or an address as in 203.0.113.5 or 203.0.113.0/24",
                Verb::Server => "; guests are on, listen or off, accounts open, closed or off, rooms open or named",
                _ => "",
            };
            format!("it is {usage}{where_from}")
        }
        Fault::OnlyKeys => "the keys that move the cursor do nothing here; Ctrl-U drops what you typed".to_owned(),
        Fault::OnlyEnds => "Ctrl-C, Ctrl-D and Ctrl-Z end nothing here; /quit leaves".to_owned(),
        Fault::BehindKey => {
            "a key that does nothing here stands before that command, so nothing of the line was said or done; type it again".to_owned()
        }
        Fault::BadTime(typed) => {
            format!("{typed} is no time: that is a number with its unit right behind it, as in 30m, 12h or 7d, before the reason")
        }
        Fault::Indented => "a blank stands before that, so it would be said to others; begin with the slash".to_owned(),
        Fault::Copied => "a > stands before that, so it would be said to others; begin with the slash".to_owned(),
        Fault::BareToken => {
            "others would read that, and whoever has it may be who it is for; it is /login NICK token:TOKEN".to_owned()
        }
        Fault::MaybePassword => {
            "others would read that, and it may be your password; /login NICK PASSWORD, or say it once more".to_owned()
        }
        Fault::Slashless(verb) => {
            let usage = commands::spec_of(*verb).map_or("", |spec| spec.usage);
            format!("others would read that, and it looks like {usage} without its slash; begin with the slash, or say it with /msg TARGET TEXT")
        }
        Fault::NoSuchRule(word) => format!("{word} is no rule; /room lists them"),
        Fault::BadValue(kind) => bad_value(*kind),
        Fault::BadPattern => {
            let (least, most) = (limits::PATTERN_LEAST, limits::PATTERN);
            format!("a pattern has at least {least} characters besides its *, and at most {most} bytes, as in spam*")
        }
        Fault::InNoNick(c) => {
            format!(
                "nobody is called like that, for {}; WHO is a nick, or a pattern of nicks as in spam*, and the nick of a guest bans \
                 where they come from",
                shown(*c)
            )
        }
        Fault::Misplaced { verb, what, typed } => {
            let name = commands::spec_of(*verb).map_or("", |spec| spec.name);
            match what {
                Misplaced::Room => format!("{typed} would be the reason; a room comes first: /{name} {typed} NICK"),
                Misplaced::Scope => {
                    format!("{typed} would be taken for something else; it is /{name} WHO guests TIME REASON, or all in its place")
                }
                Misplaced::Time if matches!(verb, Verb::Kick | Verb::Kill) => {
                    let longer = if *verb == Verb::Kick { "ban" } else { "block" };
                    format!(
                        "{typed} would be the reason, and they may come back at once; /{longer} NICK TIME keeps them out for so long, \
                         as in /{longer} NICK 7d"
                    )
                }
                Misplaced::Time => {
                    format!(
                        "{typed} would be part of the reason; TIME is one word before it, as in /{name} WHO 7d REASON (or 2h, or \
                         30m), and 0 is for good"
                    )
                }
            }
        }
        Fault::NoHelp(word) => no_help(word, is_common),
        Fault::TooLong { what, limit } => {
            let (what, next) = match what {
                Long::Line => ("a line", "say it in parts"),
                Long::Topic => ("a topic", "make it shorter"),
                Long::Away => ("an away text", "make it shorter"),
                Long::Reason => ("a reason", "make it shorter"),
            };
            format!("{what} has at most {limit} bytes; {next}")
        }
        Fault::TooMany(quota) => too_many(*quota),
        Fault::Locked(Lock::Password) => "the server is locked; send /pass PASSWORD first".to_owned(),
        Fault::Locked(Lock::Guests) => {
            "only people who own their names come in now; send /login NICK PASSWORD first".to_owned()
        }
        Fault::Locked(Lock::Everybody) => "nobody comes in now; try again later".to_owned(),
        Fault::BadNick(name, why) => format!("{name} is no name: {}", bad_nick(*why)),
        Fault::BadRoom(name, _) if RoomName::meant(name.as_str()).is_some() => {
            format!("a room's name begins with #; is /join #{name} meant?")
        }
        Fault::BadRoom(name, why) => format!("{name} is no room: {}", bad_room(*why)),
        Fault::BadFileName => {
            format!("a file name has 1 to {} bytes, no / or \\, and is not . or ..", crate::names::FileName::MAX)
        }
        Fault::Taken { nick, holder } => match (nick.get(), holder.get()) {
            (nick, holder) if nick == holder => {
                format!("{holder} is somebody else; choose another name, or wait a minute if that was you")
            }
            (nick, holder) => format!("{nick} looks like {holder}, who is here; choose another name"),
        },
        Fault::LooksOwned { nick, owned } => {
            let (nick, owned) = (nick.get(), owned.get());
            format!("{nick} looks like {owned}, which belongs to somebody; grant {owned}, or choose another name")
        }
        Fault::NoSuchNick(name) if name.as_str().contains('*') => {
            format!("{name} is not here; patterns are for /ban and /mute in a room")
        }
        Fault::NoSuchNick(name) if name.as_str().starts_with("name:") || name.as_str().starts_with("guest:") => {
            format!("{name} is not here; that is how lists tell whom a ban is for: type the nick alone")
        }
        Fault::NoSuchNick(name) => format!("{name} is not here; /who lists who is"),
        Fault::MeantRoom(name, room) => format!("{name} is not here; is the room {room} meant?"),
        Fault::MeantPerson(name, nick) => format!("{name} is not here; is {nick} meant? /who lists who is"),
        Fault::NotIgnored(name) => format!("you do not ignore {name}; /ignore lists whom you do"),
        Fault::NoSuchRoom(name) => format!("there is no room {name}; /rooms lists them, /join makes one"),
        Fault::NoSuchRoomByDoor(name) => format!("there is no room {name}; /rooms lists them"),
        Fault::PutOutBefore(room) => format!("you were put out of {room} before that came; /join {room} once more"),
        Fault::NotInRoom(room) => format!("you are not in {room}; /join {room} first"),
        Fault::NoRoom => "no room is current; name one, or /join #lobby first".to_owned(),
        Fault::NoRoomByDoor => {
            "no room is current at the operator's door; name one, as in /op #lobby, which a shell wants in quotes: chinwag ctl \
             op '#lobby'"
                .to_owned()
        }
        Fault::NoTarget => "nobody hears you here; /join #lobby or /query NAME first".to_owned(),
        Fault::Unheard(text) => {
            let word = text.as_str().split(' ').next().filter(|word| !word.starts_with('/'));
            match word.and_then(commands::find).filter(|spec| !spec.verb.is_of_operators()) {
                Some(spec) => {
                    let name = spec.name;
                    format!("nobody hears you here; is /{name} meant? If not, /join #lobby or /query NAME first")
                }
                None => explain(&Fault::NoTarget),
            }
        }
        Fault::NoSuchFileByDoor => "there is no such file; /files lists them".to_owned(),
        Fault::NoSuchFile => "there is no such file for you; /files lists those there are".to_owned(),
        Fault::NoFileFor { kept } => {
            let kept = roughly(kept.as_secs());
            format!(
                "there is no such file for you: it may be of a room that you are not in, or its time may be over ({kept} here); /files \
                 lists those there are"
            )
        }
        Fault::NoUpload => "no upload is open; /send TARGET SIZE NAME opens one, /msg TARGET = says it".to_owned(),
        Fault::BadChunk => format!("a chunk is = and at most {} characters of padded base64", limits::CHUNK_LINE),
        Fault::BadDigest => "the bytes that came have another digest; send the file again".to_owned(),
        Fault::MalformedDigest => "a digest is sha256: and 64 hexadecimal digits".to_owned(),
        Fault::BeyondSize(size) => format!("more bytes came than the {size} announced; send the file again"),
        Fault::TooBig(limit) => format!("a file has at most {} here", counted(*limit, "byte")),
        Fault::BeyondEnd(size) => format!("the file ends at {size}; give an OFFSET up to that"),
        Fault::NoSpace => "no space is left for files; try again later".to_owned(),
        Fault::NotStored(why) => {
            let (what, then) = match why {
                Unstored::Full => ("the server's disk is full", "try again later"),
                Unstored::Descriptors => ("the server has too many files open", "try again in a moment"),
                Unstored::Denied => ("the server may not write where it keeps files", "tell whoever runs it"),
                Unstored::Failed => ("the server cannot write to its disk now", "try again later"),
            };
            format!("{what}; {then}")
        }
        Fault::DiskFailed => "the server's disk failed; try again later".to_owned(),
        Fault::DiskBusy => "the server's disk is busy; try again in a moment".to_owned(),
        Fault::MemoryShort => "too much waits to be sent to everybody; try again in a moment".to_owned(),
        Fault::Gone(gone) => gone_text(*gone),
        Fault::OfSender(why) => match **why {
            Fault::Gone(Gone::NotHeld) => "its sender's upload broke off, so this file never comes; ask them to send it again".to_owned(),
            Fault::Gone(_) => format!("its sender's upload broke off; if that goes on, the file is {AGAIN}, under this ID"),
            _ => "its sender's upload failed, so this file never comes; ask them to send it again".to_owned(),
        },
        Fault::Busy(nick) => format!("{} reads too slowly now; try again in a moment", known(nick)),
        Fault::BusyFile(id) => format!("file {id} is on its way to you already; /cancel {id} stops it"),
        Fault::WrongPassword => "that is not the password; try again".to_owned(),
        Fault::WrongLogin(nick) => {
            format!(
                "that is neither the password nor a token of {nick}; try again, or ask the operator if yours is lost; a token is \
                 typed as token:TOKEN"
            )
        },
        Fault::NoOwner { nick, vacancy: Vacancy::Free } => {
            format!("nobody owns {nick}; /nick {nick} takes it, and /register PASSWORD makes it yours")
        }
        Fault::NoOwner { nick, vacancy: Vacancy::Held } => format!("nobody owns {nick} any more; {}", held_text()),
        Fault::NoOwner { nick, vacancy: Vacancy::Closed } => {
            format!("nobody owns {nick}; look how yours is spelled, or ask the operator for a name")
        }
        Fault::NameOfNobody { nick, like: None } => {
            let nick = nick.get();
            format!("nobody owns {nick}; /grant {nick} gives the name to somebody")
        }
        Fault::NameOfNobody { nick, like: Some(owned) } => {
            let (nick, owned) = (nick.get(), owned.get());
            format!("nobody owns {nick}; it looks like {owned}, which belongs to somebody: type {owned} if that is meant")
        }
        Fault::Owned(nick) => {
            format!("{nick} belongs to somebody; if that is you: /login {nick} PASSWORD, else choose another name")
        }
        Fault::NameBusy(nick) => format!("{nick} is just being changed; try again in a moment"),
        Fault::OwnedForGood(nick) => format!("{nick} belongs to somebody; choose another name"),
        Fault::Held(nick) => format!("{nick} was somebody's not long ago; {}", held_text()),
        Fault::NoAccount { nick, owning } => match owning {
            Owning::Choose => "guests have no name of their own; choose one with /nick NAME and /register PASSWORD, or \
                               /login NICK PASSWORD"
                .to_owned(),
            Owning::Register => {
                format!("{nick} is not yours; /register PASSWORD makes it so, or /login NICK PASSWORD takes your own name")
            }
            Owning::Ask | Owning::Never => {
                format!("{nick} is not yours; /login NICK PASSWORD takes your own name, which the operator gave you")
            }
        },
        Fault::OwnedAlready(nick) => format!("{nick} is yours already; /passwd OLD NEW changes its password"),
        Fault::GuestName(nick) => format!("{nick} is for guests; choose another name first"),
        Fault::BadPassword(Unfit::Garbled) => "some of this is no text, and so others would be taken for it; set your \
            terminal or program to UTF-8, or choose one of ASCII letters and digits"
            .to_owned(),
        Fault::BadPassword(Unfit::Token) => {
            format!("what begins with {TOKEN} is taken for a token; choose another password")
        }
        Fault::BadPassword(Unfit::Plain) => {
            let (least, most) = (limits::PASSWORD.start(), limits::PASSWORD.end());
            format!("a password is one word of {least} to {most} bytes, and not the name itself; choose another")
        }
        Fault::NoPassword(nick) => format!("{nick} has no password yet; /passwd NEW gives it one, and that is asked for"),
        Fault::OldPassword => "the old password comes first: /passwd OLD NEW".to_owned(),
        Fault::Insecure { tls, clear } => {
            let how = match tls {
                Some(port) => format!("come over TLS, at port {port} (chinwag connect tls://HOST:{port})"),
                None => "this server speaks no TLS itself, so ask who runs it how to come".to_owned(),
            };
            let ssh = clear.map(|port| {
                format!(", or come over ssh (ssh -L 2428:127.0.0.1:{port} HOST, and then connect to 127.0.0.1:2428)")
            });
            format!("others on the way can read what you send here, so no password is taken; {how}{}", ssh.unwrap_or_default())
        }
        Fault::BadConfig(why) => why.to_string(),
        Fault::KeepsNothing => {
            "this server keeps nothing, as it runs without --data; a name is yours while you are here".to_owned()
        },
        Fault::AccountsOff => "nobody logs in or out here, as the server runs with --accounts off; a name that is free is yours while you are here".to_owned(),
        Fault::AccountsClosed => "only the operator gives names away here; ask them for yours".to_owned(),
        Fault::PasswordsBusy => "many passwords are being looked at; try again in a moment".to_owned(),
        Fault::IgnoreSelf => "you cannot ignore yourself; /ignore NICK takes somebody else".to_owned(),
        Fault::NoToken => "the system gives no random numbers now; try again in a moment".to_owned(),
        Fault::NoPlace => "no place is kept for this token any more; /nick and /join as if you were new".to_owned(),
        Fault::InsecurePlace => {
            "your place was kept where nobody can read along, and others can here; come as you came before, or /login anew"
                .to_owned()
        }
        Fault::PlaceOfGuest => {
            "guests may not come from your network, so come from another one, or /login NICK PASSWORD if you own a name"
                .to_owned()
        }
        Fault::KeptItself => "your own place is kept here; connect anew, and say it there".to_owned(),
        Fault::NotWritten(lines) => {
            format!("no more than {} came since the first + keep; count again", counted(*lines, "line"))
        }
        Fault::NotYours(id) => format!("file {id} is not yours; ask who sent it, or an op of its room"),
        Fault::NotOp { room, has_ops: true } => format!("only ops of {room} may do that; /op {room} lists them"),
        Fault::NotOp { room, has_ops: false } => {
            format!(
                "only ops of {room} may do that; it has none, and the operator of the server appoints one with chinwag ctl op \
                 '{room}' NICK"
            )
        }
        Fault::NotFounder { room, has_founder: true, .. } => {
            format!("only the founder of {room} may do that; /op {room} tells who it is")
        }
        Fault::NotFounder { room, can_have: false, .. } => {
            format!("only the founder of {room} may do that; it has none, as nobody owns a name here, and /op {room} NICK gives a rank")
        }
        Fault::NotFounder { room, has_founder: false, .. } => {
            format!(
                "only the founder of {room} may do that; it has none, and the operator appoints one with chinwag ctl founder \
                 '{room}' NICK"
            )
        }
        Fault::IsFounder(nick) => {
            format!("{nick} is the founder, and nobody can do that to them; they hand the room over with /founder NICK")
        }
        Fault::IsOp { nick, room } => {
            format!("{nick} is an op of {room}; /deop {room} {nick} first")
        }
        Fault::OperatorSelf => "that is you; ask another operator, or do it on the server with chinwag ctl".to_owned(),
        Fault::NobodyHere => {
            "nobody is online here, as this is the operator's door; connect to the chat for that, or see /help for what \
             goes here, as /grant NICK for who needs a new password"
                .to_owned()
        }
        Fault::PutOutSelf(room) => format!("that is you; /leave {room} goes"),
        Fault::OwnsNoName { owning: Owning::Never, .. } => {
            "only who owns a name can be a founder, and nobody owns one here; /op NICK gives a rank that goes with whoever has it"
                .to_owned()
        }
        Fault::OwnsNoName { nick, owning } => {
            let next = match owning {
                Owning::Register => "ask them to /register PASSWORD first",
                Owning::Choose => "ask them to take one with /nick NAME and /register PASSWORD first",
                Owning::Ask | Owning::Never => "ask the operator to give them one first",
            };
            format!("{nick} is a guest, and only who owns a name can be a founder; {next}")
        }
        Fault::NotThere { nick, room } => format!("{} is not in {room}; /who {room} lists who is", nick),
        Fault::Asking(..) | Fault::Knowing(..) => explain(why),
        Fault::Banned { .. } | Fault::InviteOnly(_) | Fault::BadKey { .. } | Fault::NotOwn { .. } => {
            explain_asking(why, &Ask::Friend)
        }
        Fault::NameBanned { nick, room } => {
            format!("guests called {nick} are banned from {room}; choose another name, or /leave {room} first")
        }
        why_silent @ Fault::Silent { room, why, .. } => match why {
            Silence::Muted(_) | Silence::Moderated => explain_asking(why_silent, &Ask::Friend),
            Silence::Guests(owning) => {
                let next = how_to_own(*owning).unwrap_or("ask an op of it for /voice");
                format!("only people who own their names speak in {room}; {next}")
            }
            Silence::Slow { every, left } => {
                let (every, left) = (counted((*every).into(), "second"), counted((*left).into(), "more second"));
                format!("in {room} one may say something every {every}; wait {left}")
            }
        },
        Fault::RoomFull { room, limit } => {
            let people = if *limit == 1 { "1 person" } else { &format!("{limit} people") };
            format!("{room} takes {people}, and is full; try again later")
        }
        Fault::NoGuests { room, owning } => {
            let next = how_to_own(*owning).unwrap_or("ask an op of it for /invite");
            format!("only people who own their names come into {room}; {next}")
        }
        Fault::GuestsMakeNoRooms(owning) => format!(
            "only people who own their names make rooms here; {}, and /rooms lists those there are",
            how_to_own(*owning).unwrap_or("nobody can log in now")
        ),
        Fault::GuestsBlocked => {
            "guests may not come from your network, so keep your name; /login NICK PASSWORD takes another of yours".to_owned()
        }
        Fault::NameBlocked(nick) => format!("{nick} may not come to this server; ask who runs it"),
        Fault::NoBlock(why) => no_block(*why),
        Fault::NoSuchBan { id: u64::MAX, room } => format!("there is no ban of so large a number; /bans {room} lists them"),
        Fault::NoSuchBlock(u64::MAX) => "there is no block of so large a number; /blocks lists them".to_owned(),
        Fault::NoSuchBlock(id) => format!("there is no block {id}; /blocks lists them"),
        Fault::NoSuchBan { id, room } => format!("there is no ban {id} of {room}; /bans {room} lists them"),
    }
}

/// How somebody comes to own a name, if they can.
fn how_to_own(owning: Owning) -> Option<&'static str> {
    match owning {
        Owning::Register => Some("/register PASSWORD makes yours your own"),
        Owning::Choose => Some("choose one with /nick NAME, and /register PASSWORD makes it your own"),
        Owning::Ask => Some("ask the operator, who gives names away"),
        Owning::Never => None,
    }
}

/// Why a name that was somebody's is nobody's, and what can be done.
fn held_text() -> String {
    format!("it is kept from everybody for {} days, so choose another name", limits::NAME_HELD.as_secs() / 86_400)
}

/// Why somebody cannot be blocked.
fn no_block(why: NoBlock) -> String {
    match why {
        NoBlock::Loopback(network) => {
            format!(
                "{network} is this machine itself, and whoever comes through a proxy on it; /kill NICK closes one of them"
            )
        }
        NoBlock::Proxy(network) => {
            format!("{network} is a proxy's, and so all who come through it; block who it says they are, or /kill NICK")
        }
        NoBlock::Local(nick) => {
            format!(
                "{nick} comes from this machine, or through a proxy on it, as others may; /kill {nick} closes that one alone"
            )
        }
        NoBlock::Own => "you would shut yourself out; block less, or come from elsewhere".to_owned(),
        NoBlock::TooWide { least } => format!("too many strangers are in that; give a LEN of {least} or more"),
        NoBlock::Owner(nick) => format!("{nick} owns the name, and so is no guest; /block {nick} all shuts them out"),
    }
}

/// What values a rule takes.
fn bad_value(kind: RuleKind) -> String {
    let name = rule_name(kind);
    match kind {
        RuleKind::Hidden
        | RuleKind::InviteOnly
        | RuleKind::Moderated
        | RuleKind::Outside
        | RuleKind::TopicLocked
        | RuleKind::Past => format!("{name} is on or off"),
        RuleKind::Key => format!("{name} is one word of up to {} bytes, or off; on is none", limits::KEY),
        RuleKind::Limit => format!("{name} is a number of people, or off"),
        RuleKind::Slow => format!("{name} is a time, as in 30s or 5m, or off"),
        RuleKind::Guests => {
            let words: Vec<&str> = GUESTS.iter().map(|(_, word)| *word).collect();
            format!("{name} is one of {}", words.join(", "))
        }
    }
}

/// Until when something holds, for a person.
pub(super) fn until_text(until: Option<SystemTime>) -> String {
    until.map_or_else(|| " for good".to_owned(), |until| format!(" until {}", in_seconds(until)))
}

/// Why this can be no nick, and what can.
pub fn bad_nick(why: BadName) -> String {
    let rule = "a name is a letter, then up to 19 letters, digits, - or _";
    bad_name(why, rule, "a letter", Nick::CHARACTERS, Nick::BYTES)
}

/// Why this can be no room, and what can.
pub fn bad_room(why: BadName) -> String {
    let rule = "a room is # and a letter or digit, then up to 30 letters, digits, - or _, as in #lobby";
    bad_name(why, rule, "a letter or digit", RoomName::CHARACTERS + 1, RoomName::BYTES)
}

/// `rule`: all that such a name is. `first`: what it begins with. Only the rule that was broken is told.
fn bad_name(why: BadName, rule: &str, first: &str, characters: usize, bytes: usize) -> String {
    match why {
        BadName::Empty => rule.to_owned(),
        BadName::Begins('\u{fffd}') | BadName::Has('\u{fffd}') => {
            "some of it is no UTF-8; set your terminal or program to that, or write it in letters of ASCII".to_owned()
        }
        BadName::Begins(c) => format!("it begins with {}; {first} comes first", shown(c)),
        BadName::Has(c) => format!("{} is in it; use letters, digits, - and _ alone", shown(c)),
        BadName::TooLong => format!("it is too long; at most {characters} characters and {bytes} bytes"),
        BadName::Unusual(c) => format!("{} is no character for names; write it with usual letters", shown(c)),
        BadName::Mixes([one, other]) => {
            format!("it mixes {one} and {other}, and so may look like another; write it in one script")
        }
        BadName::Reserved => "commands and services are called so, and nobody else; choose another name".to_owned(),
    }
}

/// A character as a refusal tells of it, whether it can be seen alone or not.
fn shown(c: char) -> String {
    let code = u32::from(c);
    match c {
        ' ' => "a blank".to_owned(),
        '!'..='~' => c.to_string(),
        _ if c.is_alphanumeric() => format!("{c} (U+{code:04X})"),
        _ => format!("U+{code:04X}"),
    }
}

/// Asks which commands may be meant by one that there is not; empty if none may.
fn guess(name: &Text, is_known: impl Fn(Verb) -> bool) -> String {
    match &commands::meant(name.as_str().trim_start_matches('/'), is_known)[..] {
        [] => String::new(),
        meant => format!("did you mean /{}? ", meant.join(" or /")),
    }
}

/// Of what a person does so many a minute at most, and the guests of a network together more.
fn a_minute(most: u32, what: &str) -> String {
    format!("at most {most} {what} a minute, and {} from one network; wait a little", most * limits::A_PREFIX)
}

fn too_many(quota: Quota) -> String {
    match quota {
        Quota::Renames => a_minute(limits::RENAMES, "renames"),
        Quota::Joins => a_minute(limits::JOINS, "joins and leaves"),
        Quota::WrongPasswords => {
            let minutes = limits::WRONG_PASSWORDS_WINDOW.as_secs() / 60;
            format!("too many wrong passwords came from your address; try again in {minutes} minutes")
        }
        Quota::Registrations => {
            let most = limits::REGISTRATIONS;
            format!(
                "at most {most} names a day are registered from where you come; try again tomorrow, or ask the operator, who \
                 gives names with chinwag ctl grant NAME"
            )
        }
        Quota::RegistrationsInAll => "many names are being registered; try again in ten minutes".to_owned(),
        Quota::Names => {
            "the server keeps as many names as it may; until one is given up, talk under a name that is not yours"
                .to_owned()
        }
        Quota::RoomsOfPerson => format!("you may be in {} rooms; /leave one first", limits::ROOMS_A_PERSON),
        Quota::Ways => format!("you are here through {} connections; /quit on one of them first", limits::WAYS),
        Quota::NewRooms => {
            let (own, all) = (limits::NEW_ROOMS, limits::NEW_ROOMS * limits::A_PREFIX);
            format!(
                "at most {own} new rooms a minute, and {all} from one network; wait a little, or join one that there is"
            )
        }
        Quota::RoomsOfNetwork => {
            "the rooms that were made from your network are as many as it may have; join one that there is".to_owned()
        }
        Quota::Rooms => format!("there are {} rooms already; join one of them", limits::ROOMS),
        Quota::Logs => format!("there are logs of {} rooms already; join a room that has one", limits::LOGS),
        Quota::Ignored => format!("you may ignore {} people; /unignore one first", limits::IGNORED),
        Quota::Files => format!("you may share {} files at once; /cancel one first", limits::FILES_A_SENDER),
        Quota::FilesOfNetwork => {
            format!("{} files were shared from your network; /cancel one of yours first", limits::FILES_A_PREFIX)
        }
        Quota::UploadsOfNetwork => {
            let most = limits::UPLOADS_A_PREFIX;
            format!("{most} uploads are under way from your network; try again when one of them has ended")
        }
        Quota::Uploads => format!("{} uploads are under way already; try again in a moment", limits::UPLOADS),
        Quota::Ops => format!("a room may have {} ops; /deop one first", limits::OPS),
        Quota::Voices => format!("a room may have {} voices; /devoice one first", limits::VOICES),
        Quota::Invited => format!("{} people may be invited to a room; /uninvite one first", limits::INVITED),
        Quota::Bans => format!("a room may have {} bans; /unban one first", limits::BANS),
        Quota::FoundedBy(nick) => {
            format!(
                "{nick} is the founder of {} rooms, and nobody may be of more; choose somebody else",
                limits::FOUNDED
            )
        }
        Quota::Founded => {
            format!(
                "one may be the founder of {} rooms; hand one over first with /founder #ROOM NICK, or give it up with /founder #ROOM server",
                limits::FOUNDED
            )
        }
        Quota::Invitations => a_minute(limits::INVITATIONS, "invitations"),
        Quota::WrongKeys => {
            format!("{}, and ask for the right one", a_minute(limits::WRONG_KEYS, "wrong keys"))
        }
        Quota::Erased => {
            format!(
                "messages are taken out of a room in {} stretches already; erase those between two as well",
                limits::ERASED
            )
        }
        Quota::Blocks => format!("there are {} blocks already; /unblock one first", limits::BLOCKS),
        Quota::Rules => "the server remembers as much of its rooms as it may; ask who runs it".to_owned(),
        Quota::RulesOfGuests => {
            "the server remembers as much of rooms that nobody owns as it may; ask who runs it, or come in with a name of \
             your own and make a room"
                .to_owned()
        }
        Quota::RulesOfDay => {
            "you, or others from your network, have set up as much in rooms as one may in a day; try again tomorrow".to_owned()
        }
        Quota::Operators => {
            format!("{} people may be operators; take that from one first, with /operator NICK off", limits::OPERATORS)
        }
        Quota::Downloads => format!("you may fetch {} files at once; wait for one, or /cancel it", limits::DOWNLOADS),
    }
}

fn gone_text(gone: Gone) -> String {
    match gone {
        Gone::Withdrawn => "its sender withdrew it".to_owned(),
        Gone::MadeSpace => "it made room for newer files; ask for it again".to_owned(),
        Gone::Expired => "it was kept for as long as files are; ask for it again".to_owned(),
        Gone::BrokenOff => {
            "the upload broke off; the same /send with a digest takes it up again, without one it begins anew"
                .to_owned()
        }
        Gone::Slowest => {
            "all places for uploads were taken, and this was the slowest of those who have most; the same /send \
                          with a digest takes it up again, without one it begins anew"
                .to_owned()
        }
        Gone::Superseded => "another /send broke it off".to_owned(),
        Gone::ReceiverLeft => "the one it was for has left".to_owned(),
        Gone::NoLongerYours => "you left its room".to_owned(),
        Gone::Removed => "an op of its room took it away, or the room is no more".to_owned(),
        Gone::PutOut => "you were put out of its room".to_owned(),
        Gone::NotHeld => "what came of it before the loss is held no more; fetch it again".to_owned(),
        Gone::NotReached(0) => "nothing has been said here yet; ask after 0".to_owned(),
        Gone::NotReached(last) => format!("the last message here is {last}; ask after that, or after 0"),
    }
}
