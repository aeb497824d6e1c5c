//! The commands of the line protocol: one table that parses them to requests, explains them and lists them.

mod mistyped;
mod words;

use self::mistyped::not_meant;
pub use self::mistyped::{has_keys, holds_secret, is_common, keyed, may_mean, meant, slashless, slashless_secret};
use self::words::{
    Said, Slip, Words, in_no_nick, is_scope, misplaced, network, new_password, number, pattern, person, room, span,
    switch, target,
};
use crate::event::{Change, Fault, Misplaced, SaidKind, Setting, Verb};
use crate::limits;
use crate::names::{Digest, FileId, Nick, PlaceToken, Text};
use crate::register::entry::{BanKind, BlockScope, Guests, Role, Rule, RuleKind};
use crate::request::{Barred, Credential, HistoryPart, Named, Offer, Request, RulesPart, Topic, Wanted, Whom};
use crate::settings::{self, Accounts, RoomMakers, ServerSetting};
use crate::text::is_blank;
use crate::wire::{self, TOKEN};

/// A row of the table.
pub struct Spec {
    /// What it asks for.
    pub verb: Verb,
    /// Among which it is listed.
    pub group: Group,
    /// The canonical name, without the slash.
    pub name: &'static str,
    /// What other programs call it.
    pub aliases: &'static [&'static str],
    /// How it is typed.
    pub usage: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    parse: for<'a> fn(&mut Words<'a>) -> Result<Request<'a>, Slip>,
}

impl Spec {
    /// Reads what stands behind its name.
    fn read<'a>(&self, rest: &'a str) -> Request<'a> {
        let mut words = Words(rest);
        let why = match (self.parse)(&mut words) {
            // What is wrong with one word is told whatever stands behind it.
            Err(Slip::Fault(fault)) => fault,
            Ok(request) if words.word().is_none() => return request,
            Ok(_) | Err(Slip::Usage) => Fault::Usage(self.verb),
        };
        Request::Malformed { verb: self.verb, why }
    }
}

/// What commands are about that are listed together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its word")]
pub enum Group {
    Talk,
    People,
    Rooms,
    Files,
    Yours,
    Operator,
}

/// The groups in the order in which they are listed, and how each is called.
pub const GROUPS: &[(Group, &str)] = &[
    (Group::Talk, "talk"),
    (Group::People, "people"),
    (Group::Rooms, "rooms"),
    (Group::Files, "files"),
    (Group::Yours, "yours"),
    (Group::Operator, "operator"),
];

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        self.verb == other.verb
    }
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! table {
    ($($verb:ident $group:ident $name:literal $([$($alias:literal),+])? $usage:literal $about:literal $parse:expr;)+) => {
        /// Every command there is.
        pub const TABLE: &[Spec] = &[$(Spec {
            verb: Verb::$verb,
            group: Group::$group,
            name: $name,
            aliases: &[$($($alias),+)?],
            usage: $usage,
            about: $about,
            parse: $parse,
        }),+];
    };
}

table! {
    Help Yours "help" "/help [COMMAND]" "the commands that you may use, or one"
        |w| {
            let word = w.word();
            if w.rest().is_ok() {
                return Err(Slip::Usage);
            }
            let verb =
                word.map(|word| find(word).map(|spec| (spec.verb, word)).ok_or_else(|| Fault::NoHelp(Text::new(word))));
            verb.transpose().map(Request::Help).map_err(Slip::Fault)
        };
    Limits Yours "limits" "/limits" "the limits of this server"
        |_| Ok(Request::Limits);
    Pass Yours "pass" "/pass PASSWORD" "unlock the server"
        |w| Ok(Request::Pass(w.rest()?));
    Nick Yours "nick" "/nick NAME" "be known as NAME"
        |w| {
            let typed = w.need()?;
            Ok(Request::Nick(Named { typed, name: Nick::new(typed) }))
        };
    Register Yours "register" "/register PASSWORD" "make the name that you have yours"
        |w| Ok(Request::Register(w.need().and_then(new_password)?));
    Login Yours "login" "/login NICK PASSWORD" "be NICK, whose password you know"
        |w| {
            let (nick, secret) = (person(w.need()?), w.need()?);
            let credential = match secret.strip_prefix(TOKEN) {
                Some(token) => Credential::Token(wire::token(token)),
                None => Credential::Password(secret),
            };
            Ok(Request::Login { nick, credential })
        };
    Logout Yours "logout" "/logout" "be a guest again"
        |_| Ok(Request::Logout);
    Passwd Yours "passwd" "/passwd [OLD] NEW" "change the password of your name"
        |w| {
            let first = w.need()?;
            let (old, new) = w.word().map_or((None, first), |new| (Some(first), new));
            Ok(Request::Passwd { old, new: new_password(new)? })
        };
    Token Yours "token" "/token [off]" "a secret for a program that is you; off ends all of them"
        |w| Ok(Request::Token(if w.keyword("off") { Wanted::Off } else { Wanted::New }));
    Drop Yours "drop" "/drop PASSWORD" "give your name up, and its ranks; nobody can have it for 30 days"
        |w| Ok(Request::Drop(w.need()?));
    Account Yours "account" "/account [NICK]" "whose a name is, and what you have"
        |w| Ok(Request::Account(w.word().map(person)));
    Join Rooms "join" "/join #ROOM [KEY]" "enter a room, made if new (and then without a key), and talk there"
        |w| Ok(Request::Join { room: room(w.need()?), key: w.word() });
    Leave Rooms "leave" ["part"] "/leave [#ROOM] [REASON]" "leave a room"
        |w| Ok(Request::Leave { room: w.room(), reason: w.rest().ok() });
    Query Talk "query" "/query TARGET" "talk to TARGET, a room or a person, from now on"
        |w| Ok(Request::Query(target(w.need()?)));
    Rooms Rooms "rooms" ["list"] "/rooms" "the rooms there are"
        |_| Ok(Request::Rooms);
    Who People "who" ["names", "whois"] "/who [#ROOM or NICK]" "who is there"
        |w| Ok(Request::Who(w.word().map(target)));
    Msg Talk "msg" "/msg TARGET TEXT" "say TEXT to a room or to one person"
        |w| {
            let (target, text) = (target(w.need()?), w.text()?);
            let (kind, text) = said(text);
            Ok(Request::Msg { target, kind, text })
        };
    Me Talk "me" "/me TEXT" "tell what you do"
        |w| Ok(Request::Say { kind: SaidKind::Action, text: w.text()? });
    Typing Talk "typing" "/typing [TARGET] [on|off]" "tell that you are typing; it lasts six seconds"
        |w| {
            let first = w.word();
            let (whom, on) = match first.map(switch) {
                Some(Some(on)) => (None, Some(on)),
                _ => (first, w.word().map(|w| switch(w).ok_or(Slip::Usage)).transpose()?),
            };
            Ok(Request::Typing { target: whom.map(target), on: on.unwrap_or(true) })
        };
    Topic Rooms "topic" "/topic [#ROOM] [TEXT]" "read or set what a room is about; - clears it"
        |w| {
            let room = w.room();
            let topic = match w.rest() {
                Ok("-") => Topic::Clear,
                Ok(text) => Topic::Set(text),
                Err(_) => Topic::Read,
            };
            Ok(Request::Topic { room, topic })
        };
    Op Rooms "op" "/op [#ROOM] [NICK]" "make NICK an op of a room; alone, who has a rank there"
        |w| {
            let room = w.room();
            Ok(match w.word().map(person) {
                Some(nick) => Request::Role { room, nick, role: Role::Op, on: true },
                None => Request::Ranks(room),
            })
        };
    Deop Rooms "deop" "/deop [#ROOM] NICK" "make NICK an op no more"
        |w| Ok(Request::Role { room: w.room(), nick: person(w.need()?), role: Role::Op, on: false });
    Voice Rooms "voice" "/voice [#ROOM] NICK" "let NICK speak in a room that is moderated"
        |w| Ok(Request::Role { room: w.room(), nick: person(w.need()?), role: Role::Voice, on: true });
    Devoice Rooms "devoice" "/devoice [#ROOM] NICK" "take that back"
        |w| Ok(Request::Role { room: w.room(), nick: person(w.need()?), role: Role::Voice, on: false });
    Founder Rooms "founder" "/founder [#ROOM] NICK" "make NICK the founder of your room"
        |w| Ok(Request::Founder { room: w.room(), nick: person(w.need()?) });
    Kick Rooms "kick" "/kick [#ROOM] NICK [REASON]" "put NICK out of a room"
        |w| {
            let (room, nick) = (w.room(), person(w.need()?));
            Ok(Request::Kick { room, nick, reason: w.reason(Verb::Kick, Said { room: room.is_some(), ..Said::ALL })? })
        };
    Ban Rooms "ban" "/ban [#ROOM] WHO [TIME] [REASON]" "keep WHO, a nick or spam*, out of a room; TIME as in 30m, 12h, 7d"
        |w| ban(BanKind::Ban, w);
    Mute Rooms "mute" "/mute [#ROOM] WHO [TIME] [REASON]" "have WHO heard no more in a room"
        |w| ban(BanKind::Mute, w);
    Unban Rooms "unban" "/unban [#ROOM] ID" "end a ban or a mute"
        |w| Ok(Request::Unban { room: w.room(), id: w.number()? });
    Bans Rooms "bans" "/bans [#ROOM]" "the bans and mutes of a room"
        |w| Ok(Request::Bans(w.room()));
    Invite Rooms "invite" "/invite [#ROOM] NICK" "invite NICK to a room"
        |w| Ok(Request::Invite { room: w.room(), nick: person(w.need()?), on: true });
    Uninvite Rooms "uninvite" "/uninvite [#ROOM] NICK" "take that back"
        |w| Ok(Request::Invite { room: w.room(), nick: person(w.need()?), on: false });
    Room Rooms "room" "/room [#ROOM] [RULE [VALUE]]" "the rules of a room, or set one"
        |w| {
            let room = w.room();
            let Some(name) = w.word() else { return Ok(Request::Room { room, part: RulesPart::All }) };
            let known = RULES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
            let kind = known.map(|(kind, _)| *kind).ok_or_else(|| Slip::Fault(Fault::NoSuchRule(Text::new(name))))?;
            let part = match w.word() {
                None => RulesPart::One(kind),
                Some(value) => {
                    // Each value is one word: a key too, and of a time the unit may stand behind a blank.
                    let is_cut = w.rest().is_ok();
                    let rule = rule(kind, value).filter(|_| !is_cut);
                    RulesPart::Set(rule.ok_or(Slip::Fault(Fault::BadValue(kind)))?)
                }
            };
            Ok(Request::Room { room, part })
        };
    Erase Rooms "erase" "/erase [#ROOM] SEQ [LAST]" "take messages back, by the numbers that /history shows: one, or all up to LAST"
        |w| {
            let (room, first) = (w.room(), w.number()?);
            let last = w.number_or_end()?.unwrap_or(first);
            if last < first { Err(Slip::Usage) } else { Ok(Request::Erase { room, first, last }) }
        };
    Send Files "send" "/send TARGET SIZE [sha256:HEX] NAME" "share a file: SIZE bytes follow, as lines of = and base64"
        |w| {
            let (target, size) = (target(w.need()?), w.number()?);
            let name = w.rest()?;
            let mut words = Words(name);
            let digest = words.word().and_then(|first| Some((first, first.get(..7)?)));
            let digest = digest.filter(|(_, start)| start.eq_ignore_ascii_case("sha256:"));
            let Some((first, _)) = digest else { return Ok(Request::Send(Offer { target, size, digest: None, name })) };
            let digest = Digest::from_hex(&first[7..]);
            match (digest, words.rest()) {
                (Some(_), Ok(name)) => Ok(Request::Send(Offer { target, size, digest, name })),
                (Some(_), Err(slip)) => Err(slip),
                (None, Ok(_)) => Err(Slip::Fault(Fault::MalformedDigest)),
                // A file may be called so.
                (None, Err(_)) => Ok(Request::Send(Offer { target, size, digest: None, name })),
            }
        };
    Get Files "get" "/get ID [OFFSET]" "fetch a file, from OFFSET on"
        |w| Ok(Request::Get { id: FileId(w.number()?), offset: w.number_or_end()?.unwrap_or(0) });
    Files Files "files" "/files [TARGET]" "the files that you may fetch"
        |w| Ok(Request::Files(w.word().map(target)));
    Cancel Files "cancel" "/cancel ID" "stop your download, or else withdraw your file"
        |w| Ok(Request::Cancel(FileId(w.number()?)));
    History Talk "history" "/history [#ROOM] [COUNT | after SEQ]" "a room's last messages, or the first after number SEQ"
        |w| {
            let room = w.room();
            let part = if w.keyword("after") { HistoryPart::After(w.number()?) } else { HistoryPart::Last(w.number_or_end()?) };
            Ok(Request::History { room, part })
        };
    Ignore People "ignore" "/ignore [NICK]" "hear no more of NICK; alone, whom you ignore"
        |w| Ok(Request::Ignore(w.word().map(person)));
    Unignore People "unignore" "/unignore NICK" "hear of NICK again"
        |w| Ok(Request::Unignore(person(w.need()?)));
    Away People "away" "/away [TEXT]" "tell those who write to you that you are away"
        |w| Ok(Request::Away(w.rest().ok()));
    Back People "back" "/back" "be back"
        |_| Ok(Request::Back);
    Set Yours "set" "/set [echo|stamp|presence|typing on|off]" "your settings, or change one"
        |w| {
            let Some(name) = w.word() else { return Ok(Request::Set(None)) };
            let setting = SETTINGS.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
            let on = switch(w.need()?);
            setting.zip(on).map(|(&(setting, _), on)| Request::Set(Some(Change { setting, on }))).ok_or(Slip::Usage)
        };
    Ping Yours "ping" "/ping [TOKEN]" "are you there?"
        |w| Ok(Request::Ping(w.rest().ok()));
    Keep Yours "keep" "/keep [LINES]" "keep your place if the connection is lost; LINES have come since"
        |w| Ok(Request::Keep(w.number_or_end()?));
    Resume Yours "resume" "/resume TOKEN LINES" "take up the place that /keep keeps, from line LINES on"
        |w| {
            let token = w.need()?;
            Ok(Request::Resume { token: PlaceToken::new(token), lines: w.number()? })
        };
    Quit Yours "quit" ["exit"] "/quit [REASON]" "leave the server; in nc, then Enter or Ctrl-C"
        |w| Ok(Request::Quit(w.rest().ok()));
    Kill Operator "kill" "/kill NICK [REASON]" "put NICK out, on all of their connections"
        |w| Ok(Request::Kill { nick: person(w.need()?), reason: w.reason(Verb::Kill, Said::ALL)? });
    Where Operator "where" "/where NICK" "through which connections NICK is here, and from where"
        |w| Ok(Request::Where(person(w.need()?)));
    Wall Operator "wall" "/wall TEXT" "tell everybody something"
        |w| Ok(Request::Wall(w.rest()?));
    Grant Operator "grant" "/grant NICK" "a token for NICK, good once: it makes the name theirs, or gives its owner a new beginning"
        |w| Ok(Request::Grant(person(w.need()?)));
    Revoke Operator "revoke" "/revoke NICK" "take the name NICK from its owner"
        |w| Ok(Request::Revoke(person(w.need()?)));
    Operator Operator "operator" "/operator [NICK on|off]" "who is an operator, or make the owner of NICK one"
        |w| {
            let Some(nick) = w.word().map(person) else { return Ok(Request::Operator(None)) };
            let on = switch(w.need()?).ok_or(Slip::Usage)?;
            Ok(Request::Operator(Some((nick, on))))
        };
    Block Operator "block" "/block WHO [guests|all] [TIME] [REASON]" "let nobody come who is WHO: a nick, or ADDRESS[/LEN]"
        |w| {
            let who = w.need()?;
            let is_address = |who: &str| who.contains(['.', ':', '/']);
            if is_scope(who) && Words(w.0).word().is_some_and(is_address) {
                return Err(misplaced(Verb::Block, Misplaced::Scope, who));
            }
            let whom = match is_address(who) {
                true => Barred::Network(network(who).ok_or(Slip::Usage)?),
                false => Barred::Nick(person(who)),
            };
            let is_of_guests = w.keyword("guests");
            let scope = if is_of_guests { BlockScope::Guests } else { BlockScope::All };
            let is_of_all = !is_of_guests && w.keyword("all");
            let time = w.time()?;
            let said = Said { room: true, time: time.is_some(), scope: is_of_guests || is_of_all };
            Ok(Request::Block { whom, scope, time, reason: w.reason(Verb::Block, said)? })
        };
    Unblock Operator "unblock" "/unblock ID" "end a block"
        |w| Ok(Request::Unblock(w.number()?));
    Blocks Operator "blocks" "/blocks" "who may not come"
        |_| Ok(Request::Blocks);
    Server Operator "server" "/server [guests|accounts|rooms VALUE]" "who may do what on this server, or change it until the next reload"
        |w| {
            let Some(name) = w.word() else { return Ok(Request::Server(None)) };
            let value = w.need()?;
            let is_it = |(_, known, word): &&(ServerSetting, &str, &str)| {
                known.eq_ignore_ascii_case(name) && word.eq_ignore_ascii_case(value)
            };
            let setting = SERVER_SETTINGS.iter().find(is_it).ok_or(Slip::Usage)?.0;
            Ok(Request::Server(Some(setting)))
        };
    Reload Operator "reload" "/reload" "read the configuration and its files anew"
        |_| Ok(Request::Reload);
    Metrics Operator "metrics" "/metrics" "the figures of this server, as a monitor reads them"
        |_| Ok(Request::Metrics);
}

/// What `/set` sets, and how it is called.
pub const SETTINGS: &[(Setting, &str)] = &[
    (Setting::Echo, "echo"),
    (Setting::Stamp, "stamp"),
    (Setting::Presence, "presence"),
    (Setting::Typing, "typing"),
    (Setting::Whole, "whole"),
];

/// What `/room` sets, and how it is called.
pub const RULES: &[(RuleKind, &str)] = &[
    (RuleKind::Hidden, "hidden"),
    (RuleKind::InviteOnly, "invite-only"),
    (RuleKind::Key, "key"),
    (RuleKind::Limit, "limit"),
    (RuleKind::Guests, "guests"),
    (RuleKind::Moderated, "moderated"),
    (RuleKind::Outside, "outside"),
    (RuleKind::TopicLocked, "topic-locked"),
    (RuleKind::Slow, "slow"),
    (RuleKind::Past, "past"),
];

/// What guests may do, and how it is called.
pub const GUESTS: &[(Guests, &str)] = &[(Guests::Speak, "speak"), (Guests::Listen, "listen"), (Guests::Out, "out")];

/// What `/server` sets: each value, how the setting is called, and how the value is.
pub const SERVER_SETTINGS: &[(ServerSetting, &str, &str)] = &[
    (ServerSetting::Guests(settings::Guests::On), "guests", "on"),
    (ServerSetting::Guests(settings::Guests::Listen), "guests", "listen"),
    (ServerSetting::Guests(settings::Guests::Off), "guests", "off"),
    (ServerSetting::Accounts(Accounts::Open), "accounts", "open"),
    (ServerSetting::Accounts(Accounts::Closed), "accounts", "closed"),
    (ServerSetting::Accounts(Accounts::Off), "accounts", "off"),
    (ServerSetting::Rooms(RoomMakers::Anybody), "rooms", "open"),
    (ServerSetting::Rooms(RoomMakers::Named), "rooms", "named"),
];

/// A rule with the value that somebody typed; `None` if it cannot have that.
fn rule(kind: RuleKind, value: &str) -> Option<Rule> {
    let is_off = value.eq_ignore_ascii_case("off");
    Some(match kind {
        RuleKind::Hidden => Rule::Hidden(switch(value)?),
        RuleKind::InviteOnly => Rule::InviteOnly(switch(value)?),
        RuleKind::Moderated => Rule::Moderated(switch(value)?),
        RuleKind::Outside => Rule::Outside(switch(value)?),
        RuleKind::TopicLocked => Rule::TopicLocked(switch(value)?),
        RuleKind::Past => Rule::Past(switch(value)?),
        RuleKind::Key if is_off => Rule::Key(None),
        // That is what others are shown of a key.
        RuleKind::Key if value.eq_ignore_ascii_case("on") => return None,
        RuleKind::Key if value.len() > limits::KEY || value.contains(is_blank) => return None,
        RuleKind::Key => Rule::Key(Some(Text::new(value))),
        RuleKind::Limit if is_off => Rule::Limit(None),
        RuleKind::Limit => Rule::Limit(Some(number(value).filter(|&limit| limit > 0)?)),
        RuleKind::Slow if is_off => Rule::Slow(None),
        RuleKind::Slow => {
            let every = span(value).filter(|every| !every.is_zero())?;
            Rule::Slow(Some(every.min(limits::SLOW_MOST).as_secs()))
        }
        RuleKind::Guests => {
            let known = GUESTS.iter().find(|(_, word)| word.eq_ignore_ascii_case(value));
            Rule::Guests(known.map(|(guests, _)| *guests)?)
        }
    })
}

/// For whom a ban or a mute is to be, for how long, and why.
fn ban<'a>(kind: BanKind, w: &mut Words<'a>) -> Result<Request<'a>, Slip> {
    let (room, who) = (w.room(), w.need()?);
    let whom = match who.contains('*') {
        true => {
            let pattern = pattern(who).ok_or(Slip::Fault(Fault::BadPattern))?;
            match in_no_nick(who) {
                Some(c) => return Err(Slip::Fault(Fault::InNoNick(c))),
                None => Whom::Pattern(pattern),
            }
        }
        false => Whom::Nick(person(who)),
    };
    let verb = if kind == BanKind::Ban { Verb::Ban } else { Verb::Mute };
    let time = w.time()?;
    let reason = w.reason(verb, Said { room: room.is_some(), time: time.is_some(), scope: true })?;
    Ok(Request::Ban { room, kind, whom, time, reason })
}

/// Finds a command by its name or alias, in any case and with or without the slash.
pub fn find(name: &str) -> Option<&'static Spec> {
    let name = name.strip_prefix('/').unwrap_or(name);
    TABLE.iter().find(|spec| {
        spec.name.eq_ignore_ascii_case(name) || spec.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    })
}

/// How a request is typed, if it is a command.
pub fn spec_of(verb: Verb) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.verb == verb)
}

/// Reads a line of text; `None` if it is empty.
pub fn parse(line: &str) -> Option<Request<'_>> {
    if line.is_empty() {
        return None;
    }
    let Some(command) = line.strip_prefix('/') else {
        return Some(match not_meant(line) {
            Some(why) => Request::Malformed { verb: Verb::Say, why },
            None => Request::Say { kind: SaidKind::Text, text: line },
        });
    };
    if command.starts_with('/') {
        return Some(Request::Say { kind: SaidKind::Text, text: command });
    }
    let (name, rest) = command.split_at(command.find(' ').unwrap_or(command.len()));
    // A TAB completes nothing where lines are typed to nc.
    let name = name.trim_end_matches('\t');
    let Some(spec) = find(name) else {
        let shown: String = name.chars().take(NAME_SHOWN).collect();
        return Some(Request::Malformed { verb: Verb::Unknown, why: Fault::UnknownCommand(Text::new(&shown)) });
    };
    let request = spec.read(rest);
    let is_of_operators = spec.verb.is_of_operators();
    Some(if is_of_operators { Request::OfOperators { typed: name, request: Box::new(request) } } else { request })
}

/// Characters of the name of an unknown command that its refusal shows.
const NAME_SHOWN: usize = 40;

/// How text is said that may begin with the command for actions, as that is how they are spelled wherever text stands.
pub fn said(text: &str) -> (SaidKind, &str) {
    match text.strip_prefix(ACTION) {
        Some(action) => (SaidKind::Action, action),
        None => (SaidKind::Text, text),
    }
}

/// What an action begins with.
pub const ACTION: &str = "/me ";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::names::{BadName, Token};

    fn say(text: &str) -> Request<'_> {
        Request::Say { kind: SaidKind::Text, text }
    }

    fn unknown(name: &str) -> Request<'_> {
        Request::Malformed { verb: Verb::Unknown, why: Fault::UnknownCommand(Text::new(name)) }
    }

    #[test]
    fn text_is_said_and_a_doubled_slash_says_one() {
        assert_eq!(parse("hi  there "), Some(say("hi  there ")));
        assert_eq!(parse("//who"), Some(say("/who")));
        assert_eq!(parse("//me waves"), Some(say("/me waves")));
        assert_eq!(parse(""), None);
        assert_eq!(parse("/"), Some(unknown("")));
        assert_eq!(parse("/ who"), Some(unknown("")));
        assert_eq!(parse("/foo bar"), Some(unknown("foo")));
        assert_eq!(parse("/who\t"), parse("/who"));
    }

    #[test]
    fn arguments() {
        let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let (a, bob) = (target("#a"), target("bob"));
        let send = |digest, name| Request::Send(Offer { target: a, size: 5, digest, name });
        let topic = |room, topic| Request::Topic { room, topic };
        let typing = |target, on| Request::Typing { target, on };
        let history = |room, part| Request::History { room, part };
        let msg = |kind, text| Request::Msg { target: bob, kind, text };
        let me = |text| Request::Say { kind: SaidKind::Action, text };
        let nick = person("bob");
        let role = |room, role, on| Request::Role { room, nick, role, on };
        let kick = |room, reason| Request::Kick { room, nick, reason };
        let ban = |room, whom, seconds: Option<u64>, reason| Request::Ban {
            room,
            kind: BanKind::Ban,
            whom,
            time: seconds.map(Duration::from_secs),
            reason,
        };
        let rule = |rule| Request::Room { room: None, part: RulesPart::Set(rule) };
        let (in_a, stamp) = (Some(room("#a")), Some(Change { setting: Setting::Stamp, on: true }));
        for (line, want) in [
            ("/NICK  alice ", Request::Nick(person("alice"))),
            ("/nick @bob", Request::Nick(Named { typed: "@bob", name: Err(BadName::Begins('@')) })),
            ("/ignore @bob", Request::Ignore(Some(Named { typed: "@bob", name: Nick::new("bob") }))),
            ("/help WHO", Request::Help(Some((Verb::Who, "WHO")))),
            ("/register secret-word", Request::Register("secret-word")),
            ("/login bob x", Request::Login { nick: person("bob"), credential: Credential::Password("x") }),
            ("/login @bob token:x", Request::Login { nick: person("@bob"), credential: Credential::Token(None) }),
            (
                "/login bob token:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                Request::Login { nick: person("bob"), credential: Credential::Token(Some(Token([0; 32]))) },
            ),
            ("/passwd new", Request::Passwd { old: None, new: "new" }),
            ("/passwd old new", Request::Passwd { old: Some("old"), new: "new" }),
            ("/token", Request::Token(Wanted::New)),
            ("/token OFF", Request::Token(Wanted::Off)),
            ("/account", Request::Account(None)),
            ("/account bob", Request::Account(Some(person("bob")))),
            ("/join #a key", Request::Join { room: room("#a"), key: Some("key") }),
            ("/join a", Request::Join { room: Named { typed: "a", name: Err(BadName::Empty) }, key: None }),
            ("/part #a so long ", Request::Leave { room: in_a, reason: Some("so long") }),
            ("/leave so long", Request::Leave { room: None, reason: Some("so long") }),
            ("/leave", Request::Leave { room: None, reason: None }),
            ("/msg bob   indented ", msg(SaidKind::Text, "  indented ")),
            ("/msg bob /me waves", msg(SaidKind::Action, "waves")),
            ("/msg bob /me", msg(SaidKind::Text, "/me")),
            ("/me waves", me("waves")),
            ("/me  /me", me(" /me")),
            ("/typing", typing(None, true)),
            ("/typing off", typing(None, false)),
            ("/typing bob", typing(Some(bob), true)),
            ("/typing #a OFF", typing(Some(a), false)),
            ("/topic", topic(None, Topic::Read)),
            ("/topic #a", topic(in_a, Topic::Read)),
            ("/topic #a b c", topic(in_a, Topic::Set("b c"))),
            ("/topic b #c", topic(None, Topic::Set("b #c"))),
            ("/topic  - ", topic(None, Topic::Clear)),
            ("/send #a 5 a b.txt", send(None, "a b.txt")),
            (&format!("/send #a 5 SHA256:{hex} a b.txt"), send(Digest::from_hex(hex), "a b.txt")),
            ("/send #a 5 sha256:x", send(None, "sha256:x")),
            ("/send #a 5 sha256:x y", Request::Malformed { verb: Verb::Send, why: Fault::MalformedDigest }),
            ("/get 7", Request::Get { id: FileId(7), offset: 0 }),
            ("/get 7 12288", Request::Get { id: FileId(7), offset: 12288 }),
            ("/get 99999999999999999999999", Request::Get { id: FileId(u64::MAX), offset: 0 }),
            ("/history", history(None, HistoryPart::Last(None))),
            ("/history #a 20", history(in_a, HistoryPart::Last(Some(20)))),
            ("/history #a after 5", history(in_a, HistoryPart::After(5))),
            ("/history AFTER 5", history(None, HistoryPart::After(5))),
            ("/op", Request::Ranks(None)),
            ("/op #a", Request::Ranks(in_a)),
            ("/OP bob", role(None, Role::Op, true)),
            ("/deop #a bob", role(in_a, Role::Op, false)),
            ("/voice #a bob", role(in_a, Role::Voice, true)),
            ("/kick bob you know  why", kick(None, Some("you know  why"))),
            ("/kick bob come back in 10m", kick(None, Some("come back in 10m"))),
            ("/kick bob 3 strikes", kick(None, Some("3 strikes"))),
            ("/kick #a @bob", Request::Kick { room: in_a, nick: person("@bob"), reason: None }),
            ("/ban bob", ban(None, Whom::Nick(person("bob")), None, None)),
            ("/ban #a spam* 30m ads", ban(in_a, Whom::Pattern(Text::new("spam*")), Some(1_800), Some("ads"))),
            ("/ban bob 0 for good", ban(None, Whom::Nick(person("bob")), Some(0), Some("for good"))),
            ("/ban bob 7D", ban(None, Whom::Nick(person("bob")), Some(7 * 86_400), None)),
            ("/ban bob 90 ads", ban(None, Whom::Nick(person("bob")), Some(90), Some("ads"))),
            ("/ban bob 1h 3rd time", ban(None, Whom::Nick(person("bob")), Some(3_600), Some("3rd time"))),
            ("/ban bob 0 for 1 hour", ban(None, Whom::Nick(person("bob")), Some(0), Some("for 1 hour"))),
            ("/ban bob 0 for good", ban(None, Whom::Nick(person("bob")), Some(0), Some("for good"))),
            ("/ban bob for the second time", ban(None, Whom::Nick(person("bob")), None, Some("for the second time"))),
            ("/ban bob for all to see", ban(None, Whom::Nick(person("bob")), None, Some("for all to see"))),
            ("/ban bob what a day", ban(None, Whom::Nick(person("bob")), None, Some("what a day"))),
            ("/ban bob broke rule 3", ban(None, Whom::Nick(person("bob")), None, Some("broke rule 3"))),
            ("/ban #a bob #b is better", ban(in_a, Whom::Nick(person("bob")), None, Some("#b is better"))),
            ("/unban #a 3", Request::Unban { room: in_a, id: 3 }),
            ("/uninvite bob", Request::Invite { room: None, nick: person("bob"), on: false }),
            ("/room", Request::Room { room: None, part: RulesPart::All }),
            ("/room #a Guests", Request::Room { room: in_a, part: RulesPart::One(RuleKind::Guests) }),
            ("/room guests LISTEN", rule(Rule::Guests(Guests::Listen))),
            ("/room key open", rule(Rule::Key(Some(Text::new("open"))))),
            ("/room key off", rule(Rule::Key(None))),
            ("/room limit 20", rule(Rule::Limit(Some(20)))),
            ("/room limit 99999999999999999999", rule(Rule::Limit(Some(u64::MAX)))),
            ("/room slow 2m", rule(Rule::Slow(Some(120)))),
            ("/room slow 30", rule(Rule::Slow(Some(30)))),
            ("/room past off", rule(Rule::Past(false))),
            ("/erase 41", Request::Erase { room: None, first: 41, last: 41 }),
            ("/erase #a 41 43", Request::Erase { room: in_a, first: 41, last: 43 }),
            ("/set", Request::Set(None)),
            ("/set Stamp ON", Request::Set(stamp)),
            ("/ping a b", Request::Ping(Some("a b"))),
            ("/EXIT", Request::Quit(None)),
            ("/keep", Request::Keep(None)),
            ("/keep 7", Request::Keep(Some(7))),
            ("/resume 0000000000000000000000000000000f 7", Request::Resume { token: Some(PlaceToken(15)), lines: 7 }),
            ("/resume short 7", Request::Resume { token: None, lines: 7 }),
        ] {
            assert_eq!(parse(line), Some(want), "{line}");
        }
        for line in [
            "/help who is",
            "/help nobody there",
            "/nick",
            "/nick a b",
            "/join",
            "/msg bob",
            "/msg bob  ",
            "/msg",
            "/me",
            "/me  ",
            "/get",
            "/get x",
            "/get -1",
            "/get +1",
            "/get 1 2 3",
            "/send #a",
            "/send #a 5",
            "/send #a five x",
            "/send #a -5 x",
            "/history #a after",
            "/history x",
            "/history 5 after 5",
            "/set echo",
            "/set foo on",
            "/set echo maybe",
            "/typing bob maybe",
            "/unignore",
            "/register",
            "/register two words",
            "/login bob",
            "/login bob x y",
            "/passwd",
            "/passwd a b c",
            "/token on",
            "/drop",
            "/logout now",
            "/pass",
            "/rooms x",
            "/keep x",
            "/keep 1 2",
            "/resume",
            "/resume 0000000000000000000000000000000f",
            "/back soon",
            "/join #a key more",
            "/op bob carol",
            "/kick",
            "/ban #a",
            "/unban x",
            "/bans 7",
            "/erase",
            "/erase 5 4",
            &format!("/send #a 5 sha256:{hex}"),
        ] {
            let refused = parse(line);
            let is_usage = matches!(&refused, Some(Request::Malformed { verb, why: Fault::Usage(of) }) if verb == of);
            assert!(is_usage, "{line}: {refused:?}");
        }
        let misplaced = |verb, what, typed: &str| Fault::Misplaced { verb, what, typed: Text::new(typed) };
        for (line, verb, why) in [
            ("/ban a*", Verb::Ban, Fault::BadPattern),
            ("/mute #a **ab**", Verb::Mute, Fault::BadPattern),
            ("/ban a\tb*", Verb::Ban, Fault::BadPattern),
            ("/ban a\u{a0}b*", Verb::Ban, Fault::BadPattern),
            ("/mute abc*\u{3000}", Verb::Mute, Fault::BadPattern),
            ("/room key a\tb", Verb::Room, Fault::BadValue(RuleKind::Key)),
            ("/room key two words", Verb::Room, Fault::BadValue(RuleKind::Key)),
            ("/room #a limit 5 people", Verb::Room, Fault::BadValue(RuleKind::Limit)),
            ("/room key a\u{a0}b", Verb::Room, Fault::BadValue(RuleKind::Key)),
            ("/room key \u{3000}", Verb::Room, Fault::BadValue(RuleKind::Key)),
            ("/room key a\u{2800}", Verb::Room, Fault::BadValue(RuleKind::Key)),
            ("/room limit +5", Verb::Room, Fault::BadValue(RuleKind::Limit)),
            ("/room colour", Verb::Room, Fault::NoSuchRule(Text::new("colour"))),
            ("/room hidden maybe", Verb::Room, Fault::BadValue(RuleKind::Hidden)),
            ("/room limit 0", Verb::Room, Fault::BadValue(RuleKind::Limit)),
            ("/room slow soon", Verb::Room, Fault::BadValue(RuleKind::Slow)),
            ("/room slow 1 hour", Verb::Room, Fault::BadValue(RuleKind::Slow)),
            ("/ban bob 3rd time", Verb::Ban, Fault::BadTime(Text::new("3rd"))),
            ("/ban bob for 2h", Verb::Ban, misplaced(Verb::Ban, Misplaced::Time, "for 2h")),
            ("/ban bob for 2 hours, sorry", Verb::Ban, misplaced(Verb::Ban, Misplaced::Time, "for 2 hours,")),
            ("/mute gus spamming 2h", Verb::Mute, misplaced(Verb::Mute, Misplaced::Time, "2h")),
            ("/mute gus spamming 10min", Verb::Mute, misplaced(Verb::Mute, Misplaced::Time, "10min")),
            ("/mute gus spamming 2 hours", Verb::Mute, misplaced(Verb::Mute, Misplaced::Time, "2 hours")),
            ("/mute gus forever", Verb::Mute, misplaced(Verb::Mute, Misplaced::Time, "forever")),
            ("/ban wanda #c", Verb::Ban, misplaced(Verb::Ban, Misplaced::Room, "#c")),
            ("/kick bob 10m", Verb::Kick, misplaced(Verb::Kick, Misplaced::Time, "10m")),
            ("/kick #a bob for 2 hours, sorry", Verb::Kick, misplaced(Verb::Kick, Misplaced::Time, "for 2 hours,")),
            ("/kick bob for a week", Verb::Kick, misplaced(Verb::Kick, Misplaced::Time, "for a week")),
            ("/ban bob for a week", Verb::Ban, misplaced(Verb::Ban, Misplaced::Time, "for a week")),
            (
                "/ban bob For half an hour, no more",
                Verb::Ban,
                misplaced(Verb::Ban, Misplaced::Time, "For half an hour,"),
            ),
            (
                "/ban bob for the next two days",
                Verb::Ban,
                misplaced(Verb::Ban, Misplaced::Time, "for the next two days"),
            ),
            ("/ban bob f\u{fc}r eine Woche", Verb::Ban, misplaced(Verb::Ban, Misplaced::Time, "f\u{fc}r eine Woche")),
            ("/ban bob for good", Verb::Ban, misplaced(Verb::Ban, Misplaced::Time, "for good")),
            ("/mute bob spam for ever", Verb::Mute, misplaced(Verb::Mute, Misplaced::Time, "for ever")),
            ("/mute bob for a while", Verb::Mute, misplaced(Verb::Mute, Misplaced::Time, "for a while")),
            ("/mute bob a week", Verb::Mute, misplaced(Verb::Mute, Misplaced::Time, "a week")),
            ("/kick wanda #c", Verb::Kick, misplaced(Verb::Kick, Misplaced::Room, "#c")),
            ("/ban *!*@1.2.3.4", Verb::Ban, Fault::InNoNick('!')),
            ("/ban 198.51.*", Verb::Ban, Fault::InNoNick('1')),
            ("/ban pattern:spam*", Verb::Ban, Fault::InNoNick(':')),
            ("/ban ab* 1h", Verb::Ban, Fault::BadPattern),
            ("/room private on", Verb::Room, Fault::NoSuchRule(Text::new("private"))),
            ("/ban bob -1d", Verb::Ban, Fault::BadTime(Text::new("-1d"))),
            ("/mute bob +2h ads", Verb::Mute, Fault::BadTime(Text::new("+2h"))),
            ("/ban bob \u{2212}1 day", Verb::Ban, Fault::BadTime(Text::new("\u{2212}1"))),
            ("/mute #a bob 10min x y", Verb::Mute, Fault::BadTime(Text::new("10min"))),
            ("/mute bob 1 Hour, no more", Verb::Mute, Fault::BadTime(Text::new("1 Hour,"))),
            ("/room #a slow 0", Verb::Room, Fault::BadValue(RuleKind::Slow)),
            ("/room key on", Verb::Room, Fault::BadValue(RuleKind::Key)),
            (&format!("/room key {}", "k".repeat(65)), Verb::Room, Fault::BadValue(RuleKind::Key)),
            ("/room guests in", Verb::Room, Fault::BadValue(RuleKind::Guests)),
        ] {
            assert_eq!(parse(line), Some(Request::Malformed { verb, why }), "{line}");
        }
        for (line, what, typed) in [
            ("/block 10.2.2.2 2h guests", Misplaced::Scope, "guests"),
            ("/block 10.2.2.2 guest 2h", Misplaced::Scope, "guest"),
            ("/block 10.2.2.2 everybody", Misplaced::Scope, "everybody"),
            ("/block 10.2.2.2 guests all", Misplaced::Scope, "all"),
            ("/block guests 10.2.2.2", Misplaced::Scope, "guests"),
            ("/block 10.2.2.2 for 2h", Misplaced::Time, "for 2h"),
            ("/block 10.2.2.2 for a week", Misplaced::Time, "for a week"),
            ("/block bob for ever", Misplaced::Time, "for ever"),
        ] {
            let Some(Request::OfOperators { request, .. }) = parse(line) else { panic!("{line}") };
            let why = misplaced(Verb::Block, what, typed);
            assert_eq!(*request, Request::Malformed { verb: Verb::Block, why }, "{line}");
        }
    }

    #[test]
    fn every_name_finds_its_command_and_no_other() {
        for spec in TABLE {
            for name in spec.aliases.iter().chain([&spec.name]) {
                assert_eq!(find(&format!("/{}", name.to_uppercase())), Some(spec));
                assert_eq!(TABLE.iter().filter(|s| s.name == *name || s.aliases.contains(name)).count(), 1, "{name}");
            }
            assert!(spec.usage.starts_with(&format!("/{}", spec.name)));
        }
    }
}
