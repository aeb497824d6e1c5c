//! What a person types: lines, and the keys before them.

use std::time::{Duration, Instant};

use super::own::OWN;
use super::secret::Wary;
use super::target::goes_to_target;
use super::{Message, Pending, Phase, Session, Waiting, cut};
use crate::client::model::news::{Extent, Taken, TransferRequest};
use crate::commands;
use crate::limits::LINE;
use crate::names::{FileId, Nick, Place, RoomName, clean};
use crate::wire::{ClientLine, Command};

/// How often typing is told on, while keys go on.
const TYPING_AGAIN: Duration = Duration::from_secs(3);
/// How long the server takes somebody to be typing.
const TYPING_LASTS: Duration = Duration::from_secs(6);
/// What is told of the commands that keep a place.
const KEEPS: &str = "this client keeps your place by itself, and takes it up again";
/// What is told of a file that is for nobody.
const NOBODY: &str = "nobody is there to get it; /send TARGET PATH, or /join #lobby first";
/// Lines that may wait for their turn.
const WAITING: usize = 10_000;
/// Commands that may be unanswered before what is typed waits: the server takes some twenty lines a second.
const UNANSWERED: usize = 100;

impl Session {
    /// Something was typed into the input row, which now holds `text`.
    pub fn keystroke(&mut self, text: &str, now: Instant) {
        if self.without_typing {
            return;
        }
        let is_command = matches!(ClientLine::parse(text), ClientLine::Command { .. });
        let is_said = !text.trim().is_empty() && !is_command && self.is_online() && self.astray.is_none();
        let place = self.talks.target().filter(|_| is_said);
        match (self.typing, place) {
            (Some((told, at)), Some(place)) if told == place && now.duration_since(at) < TYPING_AGAIN => return,
            (Some((told, at)), place) if Some(told) != place && now.duration_since(at) < TYPING_LASTS => {
                self.ask(Command::Typing(told, false), Pending::Quiet);
            }
            (None, None) => return,
            _ => {}
        }
        self.typing = place.map(|place| (place, now));
        if let Some(place) = place {
            self.ask(Command::Typing(place, true), Pending::Quiet);
        }
    }

    /// Goes to the conversation beside this one, `step` further on or back. Whether that can be: not while a command that
    /// was typed may still move the target elsewhere.
    pub fn walk(&mut self, step: isize) -> bool {
        if self.is_moving() {
            return false;
        }
        if let Some(place) = self.talks.beside(step) {
            self.go_to(place);
            if self.is_in() {
                self.ask(Command::Query(place), Pending::Quiet);
            } else if let Some(loss) = &mut self.loss {
                loss.has_moved = true;
            }
        }
        true
    }

    /// Talks to `place` from now on.
    pub(super) fn go_to(&mut self, place: Place) {
        self.talks.set_target(Some(place));
        self.astray = None;
    }

    /// Whether the target may be moved by what was typed already.
    pub(super) fn is_moving(&self) -> bool {
        let is_queued = |waiting: &Waiting| matches!(waiting, Waiting::Command(line) if moves(line));
        self.is_pending(MOVING) || self.waiting.iter().any(is_queued)
    }

    /// Carries out a line that was typed, unless the finger may have slipped: then it has to be typed once more.
    pub fn typed(&mut self, line: &str, now: Instant) -> Taken {
        self.take(line, Self::slip, now)
    }

    /// Carries out a line that is meant as it stands: it was pasted and confirmed to be text, or a program wrote it.
    pub fn meant(&mut self, line: &str, now: Instant) -> Taken {
        self.take(line, |_, _, _| None, now)
    }

    /// Carries out a line, unless `doubt` tells why it may not be meant. That also gets the line that was doubted last.
    fn take(
        &mut self,
        line: &str,
        doubt: impl FnOnce(&mut Self, &str, Option<&str>) -> Option<String>,
        now: Instant,
    ) -> Taken {
        self.dozes = false;
        if self.quitting && self.logins.has_person() && !is_quit(line) {
            // It may be for whoever has the terminal next.
            return Taken::No("you are leaving, so that is not said; leave once more to do so at once".to_owned());
        }
        if let Some(taken) = self.prove(line) {
            return taken;
        }
        let line = clean(line.as_bytes());
        let line = line.trim_end();
        let doubted = self.doubted.take();
        if let Some(why) = doubt(self, line, doubted.as_deref()) {
            return Taken::No(why);
        }
        if (self.asks_password() || self.asks_pass()) && name(line).is_empty() && !line.is_empty() {
            // It may well be the password, which nobody else is to read.
            let how = self.locked.as_deref().unwrap_or_default();
            return Taken::No(format!("the server is locked, and this goes nowhere: {how}"));
        }
        let taken = match ClientLine::parse(line) {
            ClientLine::Command { name, rest } => self.command(line, name, rest.trim_start(), doubted.as_deref()),
            ClientLine::Said(text) => self.say_here(line, text, doubted.as_deref()),
            ClientLine::Chunk(_) => self.say_here(line, line, doubted.as_deref()),
        };
        self.settle(now);
        taken
    }

    /// Why a line that was typed may not be what was meant. To tell it afterwards would be too late: what was meant for the server
    /// alone would be said to somebody.
    fn slip(&mut self, line: &str, doubted: Option<&str>) -> Option<String> {
        if line.starts_with(char::is_whitespace) && line.trim_start().starts_with('/') && commands::holds_secret(line) {
            return Some("a blank stands before that, so it would be said to others; begin with the slash".to_owned());
        }
        // Nothing is said to anybody then.
        if self.asks_password() || self.asks_pass() {
            return None;
        }
        let is_doubted = doubted == Some(line);
        let wary = self.may_be_password(line);
        let place = self.talks.target()?;
        let why = if let Some(wary) = wary {
            let (why, how) = match wary {
                Wary::Untold(owned) => (
                    self.nick.map(|nick| format!("you are {nick} now, and ")).unwrap_or_default(),
                    format!("; /login {owned} asks for the password"),
                ),
                Wary::Undone(command) => (format!("/{command} is not done, and "), String::new()),
                Wary::Unanswered(command) => {
                    let why = "it may be the password; wait for the answer";
                    return Some(format!("/{command} has no answer yet, so this is not said to {place}: {why}"));
                }
                Wary::Needless => ("no password is needed, and ".to_owned(), String::new()),
                Wary::Refused(command, 1) => (format!("/{command} was refused, and "), String::new()),
                Wary::Refused(command, _) => {
                    return Some(format!(
                        "/{command} was refused, so this is not said to {place}: it may be the password"
                    ));
                }
            };
            format!("{why}this would be said to {place}; type it once more if you mean that{how}")
        } else {
            let ClientLine::Said(text) = ClientLine::parse(line) else { return None };
            let command = self.looks_like(text).filter(|_| !is_doubted)?;
            format!("is {command} meant? Begin it with /, or type it once more to say it as it is")
        };
        self.doubted = Some(line.to_owned());
        Some(why)
    }

    /// Sends what waits, as far as it may go out now.
    pub(super) fn send_waiting(&mut self) {
        // It must be known as whom a message is said, to find it again.
        while self.is_online() && !self.is_pending(NAMING) && self.asked.len() < UNANSWERED {
            match self.waiting.pop_front() {
                None => break,
                Some(Waiting::Command(line)) => self.send_command(line),
                // What it may have to be told from must be known before.
                Some(Waiting::Message(message)) if self.is_fetching(message.place) => {
                    self.waiting.push_front(Waiting::Message(message));
                    break;
                }
                Some(Waiting::Message(message)) => {
                    self.ask(Command::Msg(message.place, &message.text), Pending::Said);
                    self.sent.push_back(Message { from: self.nick, ..message });
                }
                Some(waiting @ (Waiting::Text(_) | Waiting::File(_))) if self.is_pending(MOVING) => {
                    self.waiting.push_front(waiting);
                    break;
                }
                Some(Waiting::File(path)) => match self.talks.target() {
                    Some(place) => self.files.push_back(TransferRequest::Send(place, path)),
                    None => self.refuse(format!("{NOBODY}; so this is not sent: {path}")),
                },
                Some(Waiting::Text(text)) => match self.talks.target() {
                    Some(place) => self.waiting.push_front(Waiting::Message(Message::new(place, text))),
                    None => {
                        self.refuse(format!("nobody hears you here; /join #lobby first, then say it again: {text}"))
                    }
                },
            }
        }
    }

    /// The target is not what it was to become, so what was typed for that is not said at all; unless it was typed for a
    /// later move, which is not answered yet.
    pub(super) fn stay(&mut self) {
        if self.is_pending(MOVING) {
            return;
        }
        let next = self.waiting.iter().position(|waiting| matches!(waiting, Waiting::Command(line) if moves(line)));
        let rest = self.waiting.split_off(next.unwrap_or(self.waiting.len()));
        for waiting in std::mem::replace(&mut self.waiting, rest).into_iter().rev() {
            match waiting {
                Waiting::Text(text) => self.refuse(format!("so this is not said: {text}")),
                Waiting::File(path) => self.refuse(format!("so this is not sent: {path}")),
                waiting => self.waiting.push_front(waiting),
            }
        }
    }

    fn is_fetching(&self, place: Place) -> bool {
        self.asked.iter().any(|asked| matches!(asked.pending, Pending::History(room) if Place::Room(room) == place))
    }

    /// Whether one of these commands was typed and is not answered yet.
    pub(super) fn is_pending(&self, names: &[&str]) -> bool {
        self.asked.iter().any(|asked| match &asked.pending {
            Pending::Nick | Pending::Login(..) => names.contains(&"nick"),
            Pending::Typed(line) => names.contains(&name(line)),
            _ => false,
        })
    }

    fn say(&mut self, text: &str) -> Taken {
        if self.is_moving() {
            return match fits(text, "") {
                Ok(()) => self.wait(Waiting::Text(text.to_owned())),
                Err(why) => Taken::No(why),
            };
        }
        match self.talks.target() {
            Some(place) => self.message(place, text),
            None => {
                let meant = self.looks_like(text).map(|command| format!("did you mean {command}? else "));
                let meant = meant.unwrap_or_default();
                let room = self.talks.last_room().map(|room| format!("/query {room}"));
                let how = room.unwrap_or_else(|| "/join #lobby or /query NAME".to_owned());
                Taken::No(format!("nobody hears you here; {meant}{how} first"))
            }
        }
    }

    /// Says what was typed without a target.
    fn say_here(&mut self, line: &str, text: &str, doubted: Option<&str>) -> Taken {
        match self.strays(line, "to say it there", doubted) {
            Some(why) => Taken::No(why),
            None => self.say(text),
        }
    }

    fn message(&mut self, place: Place, text: &str) -> Taken {
        if text.trim().is_empty() {
            return Taken::No("there is nothing to say; type it after the name".to_owned());
        }
        if let Err(why) = fits(text, &place.to_string()) {
            return Taken::No(why);
        }
        // A message ends the typing by itself.
        self.typing = self.typing.filter(|(told, _)| *told != place);
        self.wait(Waiting::Message(Message::new(place, text.to_owned())))
    }

    /// Why nothing is kept for this place until there is a connection again: whoever has that name then may be another.
    fn may_be_another(&self, place: Place) -> Option<String> {
        (matches!(place, Place::With(_)) && !self.is_in() && !self.first)
            .then(|| format!("{place} may be somebody else when the connection is back; wait for it"))
    }

    fn wait(&mut self, waiting: Waiting) -> Taken {
        if self.waiting.len() >= WAITING {
            return Taken::No(format!("{WAITING} lines wait for their turn already; wait for them"));
        }
        self.waiting.push_back(waiting);
        Taken::Yes
    }

    fn command(&mut self, line: &str, word: &str, rest: &str, doubted: Option<&str>) -> Taken {
        let name = commands::find(word).map_or(word, |spec| spec.name).to_lowercase();
        let by_id = format!("a file is meant by its ID, which /files tells: /{name} 7, say");
        let file = || rest.trim().parse().map(FileId).map_err(|_| by_id.clone());
        if goes_to_target(&name, rest)
            && let Some(why) = self.strays(line, "if you mean that", doubted)
        {
            return Taken::No(why);
        }
        let request = match name.as_str() {
            "msg" => {
                let (word, text) = cut(rest);
                return match target(word) {
                    Some(place) => self.message(place, text),
                    None => Taken::No("it is /msg TARGET TEXT".to_owned()),
                };
            }
            "me" if rest.is_empty() => Err("it is /me TEXT".to_owned()),
            "me" => return self.say_here(line, &format!("/me {rest}"), doubted),
            "query" if rest.is_empty() => {
                let whom = self.talks.target().map_or("nobody".to_owned(), |place| place.to_string());
                self.answer(format!("you talk to {whom}; /query TARGET for another"));
                return Taken::Yes;
            }
            "send" => {
                let (word, path) = cut(rest);
                let (place, path) = match target(word) {
                    Some(place) if !path.trim().is_empty() => (Some(place), path),
                    // Where only a path is given, the file is for those whom one talks to.
                    _ if rest.starts_with(['#', '@']) => (None, ""),
                    // Whom that is may change yet.
                    _ if !rest.is_empty() && self.is_moving() => {
                        return self.wait(Waiting::File(rest.trim().to_owned()));
                    }
                    _ => (self.talks.target(), rest),
                };
                match place {
                    None if !path.is_empty() => Err(NOBODY.to_owned()),
                    Some(place) if !path.is_empty() => match self.may_be_another(place) {
                        None => Ok(TransferRequest::Send(place, path.trim().to_owned())),
                        Some(why) => Err(why),
                    },
                    _ => Err("it is /send [TARGET] PATH, as in /send #lobby ~/cat.png".to_owned()),
                }
            }
            "get" => file().map(TransferRequest::Get),
            "show" => shown(rest).ok_or_else(|| format!("{by_id}, or /show 7 full")),
            "cancel" if rest.trim().is_empty() => {
                Err("it is /cancel ID, or /cancel NAME of what is being sent".to_owned())
            }
            // What still waits for its turn has no ID.
            "cancel" => {
                Ok(file()
                    .map_or_else(|_| TransferRequest::CancelNamed(rest.trim().to_owned()), TransferRequest::Cancel))
            }
            "set"
                if ["echo", "stamp", "whole"].contains(&cut(rest).0.to_lowercase().as_str())
                    && switch(cut(rest).1) != Some(true) =>
            {
                Err("this client needs echo, stamp and whole on, to lose no line and to double none".to_owned())
            }
            "register" | "passwd" | "drop" if rest.is_empty() && self.may_ask_secret() => {
                return self.ask_for_secret(self::name(line));
            }
            "register" | "passwd" | "drop" if rest.is_empty() && self.may_ask_entry() => {
                Err(format!("the server is locked: {}", self.locked().unwrap_or_default()))
            }
            "register" | "passwd" | "drop" | "login" if self.misses_the_form(self::name(line), rest) => {
                Err(match self::name(line) {
                    "login" => "it is /login NICK; the password is asked for, and not shown".to_owned(),
                    name => format!("a password is one word; /{name} alone asks for it, and does not show it"),
                })
            }
            // Nobody could log in any more but with an operator's help.
            "token" if rest.trim().eq_ignore_ascii_case("off") && self.lacks_password() && doubted != Some(line) => {
                self.doubted = Some(line.to_owned());
                Err("your name has no password, so after this nobody can log in by it; /passwd gives it one first, or type it \
                         once more if you mean that"
                        .to_owned())
            }
            "pass" if rest.trim().is_empty() && self.asks_pass() => {
                self.note("type the password of the server, which is not shown".to_owned());
                return Taken::Yes;
            }
            // Whoever expects to be asked types it next all the same.
            "pass" if rest.trim().is_empty() && self.logins.person && self.locked().is_none() => {
                self.logins.wary = Some(Wary::Needless);
                Err("the server asks for no password now; a name's own is for /login NICK".to_owned())
            }
            "set" if cut(rest).0.eq_ignore_ascii_case("typing") && switch(cut(rest).1).is_some() => {
                self.without_typing = switch(cut(rest).1) == Some(false);
                // Whoever was shown it before must not see it for longer.
                if self.without_typing
                    && let Some((told, _)) = self.typing.take()
                {
                    self.ask(Command::Typing(told, false), Pending::Quiet);
                }
                return self.set(line, "typing", !self.without_typing);
            }
            "set" if cut(rest).0.eq_ignore_ascii_case("presence") && switch(cut(rest).1).is_some() => {
                self.without_presence = switch(cut(rest).1) == Some(false);
                return self.set(line, "presence", !self.without_presence);
            }
            "nick" if rest.trim().contains(char::is_whitespace) => {
                let joined = rest.split_whitespace().collect::<Vec<_>>().join("-");
                let example = Nick::new(&joined).map(|nick| format!(", as in /nick {nick}")).unwrap_or_default();
                Err(format!("a name has no blanks; it is /nick NAME{example}"))
            }
            "room" if is_key_of_words(rest) => Err("a key is one word; it is /room key WORD".to_owned()),
            "history" | "erase"
                if !rest.starts_with('#')
                    && !self.is_moving()
                    && matches!(self.talks.target(), Some(Place::With(_))) =>
            {
                Err(format!("what is said in private is kept nowhere; /{name} #ROOM is for what was said in a room"))
            }
            "history" if is_somebody(rest.trim()) => {
                Err("what is said in private is kept nowhere; /search WORD looks through what was shown here"
                    .to_owned())
            }
            "?" | "hilfe" => Err("it is /help that lists the commands".to_owned()),
            word if is_automatic(word) => Err(KEEPS.to_owned()),
            "help" if is_automatic(&rest.trim().trim_start_matches('/').to_lowercase()) => {
                self.answer(KEEPS.to_owned());
                return Taken::Yes;
            }
            "search" => return self.search(rest.trim()),
            "fold" if rest.trim().is_empty() => return Taken::Fold(None),
            "fold" => match switch(rest) {
                Some(is_on) => return Taken::Fold(Some(is_on)),
                None => Err("it is /fold on or /fold off".to_owned()),
            },
            "help" if own(rest).is_some() => {
                own(rest).into_iter().for_each(|help| self.answer(help.to_owned()));
                return Taken::Yes;
            }
            "login" if Nick::new(rest.trim()).is_ok_and(|nick| self.is_own(nick)) => return Taken::Yes,
            // Whose password it is does to be asked for it.
            "login"
                if (self.is_in() || self.may_ask_entry())
                    && Nick::new(rest.trim()).is_ok_and(|nick| self.owned(nick, false)) =>
            {
                return Taken::Yes;
            }
            // What was typed before is said before, unless the person cannot wait.
            "quit" if (self.is_online() || self.loss.is_some()) && !std::mem::replace(&mut self.quitting, true) => {
                return self.wait(Waiting::Command(line.to_owned()));
            }
            "quit" => {
                self.quitting = true;
                self.ask(line.to_owned(), Pending::Quiet);
                return Taken::Yes;
            }
            "pass" if self.phase == Phase::Offline && !rest.trim().is_empty() => {
                self.password = Some(rest.trim().to_owned());
                return Taken::Yes;
            }
            _ if self.phase == Phase::Knocking && matches!(name.as_str(), "pass" | "login" | "help" | "ping") => {
                self.send_command(line.to_owned());
                return Taken::Yes;
            }
            _ => return self.wait(Waiting::Command(line.to_owned())),
        };
        match request {
            Ok(request) => Taken::Transfer(request),
            Err(why) => Taken::No(why),
        }
    }

    /// Sets something by this line, for the next runs too.
    fn set(&mut self, line: &str, name: &'static str, is_on: bool) -> Taken {
        match self.wait(Waiting::Command(line.to_owned())) {
            Taken::Yes => Taken::Set(name, is_on),
            taken => taken,
        }
    }

    fn send_command(&mut self, line: String) {
        let pending = match name(&line) {
            "quit" => Pending::Quiet,
            "pass" if !self.is_in() => Pending::Password(cut(&line).1.trim().to_owned()),
            _ => Pending::Typed(line.clone()),
        };
        if self.stays && name(&line) == "history" {
            self.ask(Command::Files, Pending::Shared(Vec::new()));
        }
        self.ask(line, pending);
    }
}

/// Whether what stands behind `/history` is whom one has talked to, and neither a number nor a part.
fn is_somebody(rest: &str) -> bool {
    let is_number = rest.bytes().all(|byte| byte.is_ascii_digit());
    matches!(target(rest), Some(Place::With(_))) && !is_number && !rest.eq_ignore_ascii_case("after")
}

/// Whether words behind `/room` would set a key that is more than one word.
fn is_key_of_words(rest: &str) -> bool {
    let mut words = rest.split_whitespace().skip_while(|word| word.starts_with('#'));
    words.next().is_some_and(|rule| rule.eq_ignore_ascii_case("key")) && words.count() > 1
}

/// The help of one of this client's own commands.
fn own(typed: &str) -> Option<&'static str> {
    let typed = typed.trim().trim_start_matches('/');
    OWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(typed)).map(|(_, help)| *help)
}

/// Whether a word means on or off.
pub(super) fn switch(word: &str) -> Option<bool> {
    match word.trim() {
        word if word.eq_ignore_ascii_case("on") => Some(true),
        word if word.eq_ignore_ascii_case("off") => Some(false),
        _ => None,
    }
}

/// Commands of this client that the server does not know.
pub fn own_commands() -> impl Iterator<Item = &'static str> {
    OWN.iter().map(|(name, _)| *name)
}

/// Whether the client says this command by itself, and lets nobody type it.
pub fn is_automatic(name: &str) -> bool {
    matches!(name, "keep" | "resume")
}

/// Whether a line begins with no slash, or with a command that there is.
pub fn is_known(line: &str) -> bool {
    let ClientLine::Command { name, .. } = ClientLine::parse(line.trim_start()) else { return true };
    commands::find(name).is_some() || own_commands().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether this is no more than the wish to leave.
pub fn is_quit(line: &str) -> bool {
    name(line) == "quit"
}

/// Whom or which room a word means, with or without `@`.
pub(super) fn target(word: &str) -> Option<Place> {
    Place::new(word).or_else(|| Nick::new(word).ok().map(Place::With))
}

/// Commands after which the target may be another.
const MOVING: &[&str] = &["join", "leave", "query"];

/// Commands after which we may be called otherwise.
const NAMING: &[&str] = &["nick", "login", "logout", "drop"];

/// Whether the target may be another after this line.
pub(super) fn moves(line: &str) -> bool {
    MOVING.contains(&name(line))
}

/// Commands that do something to somebody of whom only the name is given.
const TO_SOMEBODY: &[&str] =
    &["query", "ignore", "op", "deop", "voice", "devoice", "founder", "kick", "ban", "mute", "invite", "uninvite"];

/// Whether what this line does depends on who has a name then.
pub(super) fn names_somebody(line: &str) -> bool {
    TO_SOMEBODY.contains(&name(line)) && cut(line).1.split(' ').any(|word| !word.is_empty() && !word.starts_with('#'))
}

/// Whether a line leads into this room, or tells everybody there something, while `target` is talked to.
pub(super) fn is_about(line: &str, room: RoomName, target: Option<Place>) -> bool {
    let place = RoomName::new(cut(cut(line).1.trim_start()).0).ok().map(Place::Room);
    match name(line) {
        "join" | "query" => place == Some(Place::Room(room)),
        "topic" => place.or(target) == Some(Place::Room(room)),
        _ => false,
    }
}

/// What the command of a line is called; empty for one that nobody knows.
pub(super) fn name(line: &str) -> &'static str {
    commands::find(cut(line).0).map_or("", |spec| spec.name)
}

/// Whether a message is short enough to be said to `place`; to any place, if that is empty. An error says how long it may be: the line that
/// brings it there names the place, too.
fn fits(text: &str, place: &str) -> Result<(), String> {
    let (name, to) = if place.is_empty() { (PLACE_MAX, String::new()) } else { (place.len(), format!(" to {place}")) };
    let most = LINE - "/msg ".len() - name - " ".len() - "\n".len();
    if text.len() > most {
        return Err(format!("a message{to} has at most {most} bytes; say it in parts"));
    }
    Ok(())
}

/// The most bytes that the name of a room has.
const PLACE_MAX: usize = RoomName::BYTES;

/// The picture that `/show` is to show with these words, and how much of it.
fn shown(rest: &str) -> Option<TransferRequest> {
    let (file, extent) = cut(rest.trim());
    let extent = match extent.trim() {
        "" => Extent::Thumbnail,
        word if word.eq_ignore_ascii_case("full") => Extent::Full,
        _ => return None,
    };
    Some(TransferRequest::Show(FileId(file.parse().ok()?), extent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::news::News;
    use crate::client::model::session::Wish;
    use crate::client::model::session::tests::{hear, online, sent, shown, shown_in_all};

    #[test]
    fn typing_is_told_while_it_is_true_and_not_too_often() {
        let (mut session, start) = (online(&["#a", "#b"]), Instant::now());
        // (tenths of a second, the row then, what the server is told)
        for (tenths, text, want) in [
            (0, "h", &["/typing #b on"][..]),
            (1, "hi", &[]),
            (29, "hi t", &[]),
            (30, "hi th", &["/typing #b on"]),
            (31, "", &["/typing #b off"]),
            (32, "/", &[]),
            (33, "/who", &[]),
            (34, "//who", &["/typing #b on"]),
            (35, "/who", &["/typing #b off"]),
            (36, "   ", &[]),
            (37, "x", &["/typing #b on"]),
            // The server has ended it by itself.
            (100, "", &[]),
            (101, "y", &["/typing #b on"]),
        ] {
            session.keystroke(text, start + Duration::from_millis(tenths * 100));
            assert_eq!(sent(&mut session), want, "{tenths} {text}");
        }
        // A message ends it, and what is typed next is news.
        let now = start + Duration::from_millis(10_200);
        session.typed("y", now);
        session.keystroke("", now);
        assert_eq!(sent(&mut session), ["/msg #b y"]);
        session.keystroke("z", now);
        assert_eq!(sent(&mut session), ["/typing #b on"]);
        // Somewhere else it is told anew.
        session.walk(1);
        session.keystroke("zz", now);
        assert_eq!(sent(&mut session), ["/query #a", "/typing #b off", "/typing #a on"]);
    }

    #[test]
    fn what_is_typed_goes_where_the_prompt_says() {
        let now = Instant::now();
        let mut session = online(&["#a"]);
        for (line, want) in [
            ("hi  there", "/msg #a hi  there"),
            ("//who", "/msg #a /who"),
            ("/me waves", "/msg #a /me waves"),
            ("/ME  waves ", "/msg #a /me waves"),
            ("/msg bob psst", "/msg @bob psst"),
            ("/msg #a  x", "/msg #a  x"),
            ("=)", "/msg #a =)"),
            ("a\x1bb", "/msg #a a\u{fffd}b"),
            ("/topic tea", "/topic tea"),
            ("/set echo on", "/set echo on"),
            ("/nosuch", "/nosuch"),
        ] {
            assert_eq!(session.typed(line, now), Taken::Yes, "{line}");
            assert_eq!(sent(&mut session), [want], "{line}");
        }
        for line in [
            "/me",
            "/me ",
            "/msg",
            "/msg bob",
            "/msg b+b x",
            "/send #a",
            "/get",
            "/get x",
            "/show -1",
            "/show 1 big",
            "/set echo off",
            "/set echo",
            " /pass secret",
            "\t/lgoin alice secret",
        ] {
            assert!(matches!(session.typed(line, now), Taken::No(_)), "{line}");
        }
        let long = "x".repeat(LINE);
        assert!(matches!(session.typed(&long, now), Taken::No(_)));
        assert!(matches!(Session::new(Wish::default()).typed("hi", now), Taken::No(why) if why.contains("/join")));
    }

    #[test]
    fn what_is_pasted_and_confirmed_or_written_by_a_program_is_meant() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        for line in ["leave", "register", " /who", " /pass secret", "leave", "//quit"] {
            assert_eq!(session.meant(line, now), Taken::Yes, "{line}");
        }
        let said = ["leave", "register", " /who", " /pass secret", "leave", "/quit"];
        assert_eq!(sent(&mut session), said.map(|text| format!("/msg #a {text}")));
    }

    #[test]
    fn what_cannot_be_done_is_told_before_the_server_is_asked() {
        let private =
            |name| format!("what is said in private is kept nowhere; /{name} #ROOM is for what was said in a room");
        let key = "a key is one word; it is /room key WORD".to_owned();
        for (line, want) in [
            ("/room key our secret", key.clone()),
            ("/room #a KEY our secret", key),
            ("/get board.png", "a file is meant by its ID, which /files tells: /get 7, say".to_owned()),
            ("/history 5", private("history")),
            ("/erase 1 3", private("erase")),
        ] {
            let mut session = online(&["#a"]);
            session.go_to(Place::With(Nick::new("bob").unwrap()));
            assert_eq!(session.typed(line, Instant::now()), Taken::No(want), "{line}");
        }
        let no_person = "what is said in private is kept nowhere; /search WORD looks through what was shown here";
        for line in ["/history bob", "/history @bob"] {
            assert_eq!(online(&["#a"]).typed(line, Instant::now()), Taken::No(no_person.to_owned()), "{line}");
        }
        for line in ["/history 5", "/history after 5"] {
            assert_eq!(online(&["#a"]).typed(line, Instant::now()), Taken::Yes, "{line}");
        }
        for line in ["/room key secret", "/room #a key off", "/room moderated on", "/history #a", "/erase #a 1"] {
            let mut session = online(&["#a"]);
            session.go_to(Place::With(Nick::new("bob").unwrap()));
            assert_eq!(session.typed(line, Instant::now()), Taken::Yes, "{line}");
            assert_eq!(sent(&mut session).last().map(String::as_str), Some(line));
        }
    }

    #[test]
    fn what_was_said_before_one_came_is_not_unread_and_what_was_missed_is() {
        let (mut session, now) =
            (Session::new(Wish { rooms: rooms(&["#a", "#b"]), ..Wish::default() }), Instant::now());
        let unread = |session: &Session| session.talks.iter().map(|talk| talk.unread).collect::<Vec<_>>();
        let past = |seq: u64| format!("- [{seq}@2026-11-30T12:00:0{seq}.000Z] <bob> hi");
        session.connected();
        let coming = ["* hello alice x 1 online", "+ who 1 1", "+ set whole on", "+ set echo on", "+ set stamp on"];
        hear(&mut session, &coming);
        hear(&mut session, &["+ join #a 1", "+ join #b 1", "+ query #b", "+ ping restored", "+ op #a 0"]);
        hear(&mut session, &[&past(1), "+ history #a 1", "+ op #b 0", &past(1), "+ history #b 1"]);
        hear(&mut session, &["+ history #a 0", "+ history #b 0"]);
        assert_eq!(unread(&session), [0, 0]);
        session.typed("/ping", now);
        hear(&mut session, &["#a [2@2026-11-30T12:00:02.000Z] <bob> hi", "+ ping"]);
        assert_eq!(unread(&session), [1, 0]);
        session.lost("gone");
        session.connected();
        hear(&mut session, &coming);
        hear(&mut session, &["+ join #a 1", "+ join #b 1", "+ query #b", "+ ping restored", "+ op #a 0"]);
        hear(&mut session, &[&past(2), &past(3), "+ history #a 2"]);
        assert_eq!(unread(&session), [2, 0]);
    }

    fn rooms(names: &[&str]) -> Vec<RoomName> {
        names.iter().filter_map(|name| RoomName::new(name).ok()).collect()
    }

    #[test]
    fn what_is_no_command_is_told_what_is() {
        for (line, want) in [
            ("/nick Hannelore Müller", "a name has no blanks; it is /nick NAME, as in /nick Hannelore-Müller"),
            ("/nick a+ b+", "a name has no blanks; it is /nick NAME"),
            ("/?", "it is /help that lists the commands"),
            ("/Hilfe", "it is /help that lists the commands"),
        ] {
            assert_eq!(online(&["#a"]).typed(line, Instant::now()), Taken::No(want.to_owned()));
        }
    }

    #[test]
    fn transfers_are_asked_for() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        let place = Place::Room(RoomName::new("#a").unwrap());
        let bob = Place::With(Nick::new("bob").unwrap());
        for (line, want) in [
            ("/send #a ~/my cat.png ", TransferRequest::Send(place, "~/my cat.png".to_owned())),
            ("/SEND @bob x", TransferRequest::Send(bob, "x".to_owned())),
            ("/send bob x", TransferRequest::Send(bob, "x".to_owned())),
            ("/send ~/my cat.png", TransferRequest::Send(place, "~/my cat.png".to_owned())),
            ("/send 'my cat.png' ", TransferRequest::Send(place, "'my cat.png'".to_owned())),
            ("/send file:///tmp/cat.png", TransferRequest::Send(place, "file:///tmp/cat.png".to_owned())),
            ("/send notes", TransferRequest::Send(place, "notes".to_owned())),
            ("/get 7", TransferRequest::Get(FileId(7))),
            ("/show 7", TransferRequest::Show(FileId(7), Extent::Thumbnail)),
            ("/show 7 Full", TransferRequest::Show(FileId(7), Extent::Full)),
            ("/cancel 7", TransferRequest::Cancel(FileId(7))),
        ] {
            assert_eq!(session.typed(line, now), Taken::Transfer(want), "{line}");
        }
        assert!(sent(&mut session).is_empty());
    }

    #[test]
    fn what_is_typed_offline_waits_and_what_cannot_wait_is_told() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        session.typed("/topic", now);
        session.lost("gone");
        for n in 0..WAITING {
            assert_eq!(session.typed(&n.to_string(), now), Taken::Yes);
        }
        assert!(matches!(session.typed("one more", now), Taken::No(_)));
        assert!(sent(&mut session).is_empty());
        session.connected();
        hear(&mut session, &["* hello alice x 1 online"]);
        let asked = sent(&mut session);
        assert!(asked.contains(&"/join #a".to_owned()), "{asked:?}");
        let replies = ["+ who 1 0", "+ set whole on", "+ set echo on", "+ set stamp on", "+ join #a 1", "+ query #a"];
        hear(&mut session, &replies);
        hear(&mut session, &["+ ping restored"]);
        assert_eq!(sent(&mut session), ["/op #a", "/history #a after 0"]);
        hear(&mut session, &["+ op #a 0", "+ history #a 0"]);
        let lines = sent(&mut session);
        assert_eq!((lines.len(), &*lines[0], &*lines[99]), (UNANSWERED, "/msg #a 0", "/msg #a 99"));
        hear(&mut session, &["+ msg #a", "+ msg #a"]);
        assert_eq!(sent(&mut session), ["/msg #a 100", "/msg #a 101"]);
    }

    #[test]
    fn what_is_typed_after_a_move_goes_to_the_new_place_or_nowhere() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        for line in ["one", "/query bob", "two", "/join #b", "three"] {
            assert_eq!(session.typed(line, now), Taken::Yes);
        }
        assert_eq!(sent(&mut session), ["/msg #a one", "/query bob"]);
        hear(&mut session, &["+ msg #a", "+ query bob"]);
        assert_eq!(sent(&mut session), ["/msg @bob two", "/join #b"]);
        hear(&mut session, &["+ msg bob", "! join too-many wait a little"]);
        assert!(sent(&mut session).is_empty());
        let refused: Vec<News> = std::iter::from_fn(|| session.poll_news()).collect();
        assert!(refused.contains(&News::Refused("so this is not said: three".to_owned())), "{refused:?}");
        // Offline nothing else holds.
        session.lost("gone");
        for line in ["/query carol", "four"] {
            assert_eq!(session.typed(line, now), Taken::Yes);
        }
        assert_eq!(session.unsent().collect::<Vec<_>>(), ["/query carol", "four"]);
    }

    #[test]
    fn a_file_for_whom_one_talks_to_waits_until_that_is_known() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        for line in ["/query bob", "/send cat.png", "/join #b", "/send #c dog.png", "/send dog.png"] {
            let is_named = line.contains("#c");
            assert_eq!(matches!(session.typed(line, now), Taken::Transfer(_)), is_named, "{line}");
        }
        assert!(session.has_files() && session.poll_file().is_none());
        assert_eq!(session.unsent().collect::<Vec<_>>(), ["/send cat.png", "/join #b", "/send dog.png"]);
        hear(&mut session, &["+ query bob"]);
        let bob = Place::With(Nick::new("bob").unwrap());
        assert_eq!(session.poll_file(), Some(TransferRequest::Send(bob, "cat.png".to_owned())));
        hear(&mut session, &["! join banned you may not come into #b"]);
        assert!(!session.has_files());
        let refused = News::Refused("so this is not sent: dog.png".to_owned());
        assert!(shown(&mut session).contains(&refused));
        // So it is after a loss, when whoever is called so may be another.
        session.lost("gone");
        for line in ["/query carol", "/send cat.png"] {
            assert_eq!(session.typed(line, now), Taken::Yes);
        }
        session.connected();
        hear(&mut session, &["* hello alice x 2 online"]);
        assert!(shown_in_all(&mut session).contains(&News::Refused("so this is not sent: cat.png".to_owned())));
        assert!(!session.has_files());
    }

    #[test]
    fn nobody_walks_away_from_a_move() {
        let (mut session, now) = (online(&["#a", "#b"]), Instant::now());
        session.typed("/query bob", now);
        assert!(!session.walk(1));
        hear(&mut session, &["+ query bob"]);
        assert!(session.walk(1));
        sent(&mut session);
        session.typed("hi", now);
        assert_eq!(sent(&mut session), ["/msg #a hi"]);
        // What was meant for a later move is said there, though an earlier one was refused.
        for line in ["/query nobody", "/join #c", "hello"] {
            session.typed(line, now);
        }
        hear(&mut session, &["+ query #a", "+ msg #a", "! query no-such-nick x", "+ join #c 1", "+ history #c 0"]);
        assert_eq!(
            sent(&mut session),
            ["/query nobody", "/join #c", "/op #c", "/files", "/history #c 20", "/msg #c hello"]
        );
    }

    #[test]
    fn one_leaves_when_all_is_said_and_at_once_the_second_time() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        session.typed("/join #b", now);
        session.typed("last words", now);
        session.typed("/quit", now);
        assert!(session.is_quitting());
        assert_eq!(sent(&mut session), ["/join #b"]);
        session.typed("/quit", now);
        assert_eq!(sent(&mut session), ["/quit"]);
        assert_eq!(session.unsent().collect::<Vec<_>>(), ["last words"]);
    }

    #[test]
    fn whoever_has_a_name_after_a_loss_gets_nothing_that_was_meant_for_another() {
        let (mut session, now) = (online(&["#a"]), Instant::now());
        session.talks.set_target(Place::new("@bob"));
        session.lost("gone");
        let typed = [
            "hi",
            "/msg guest7 psst",
            "/query #a",
            "1",
            "/query bob",
            "2",
            "/join #b",
            "3",
            "/kick #a bob",
            "/ignore bob",
        ];
        for line in typed {
            assert_eq!(session.typed(line, now), Taken::Yes, "{line}");
        }
        assert!(matches!(session.typed("/send bob x", now), Taken::No(_)));
        shown(&mut session);
        session.connected();
        hear(&mut session, &["* hello alice x 2 online"]);
        let refused = shown_in_all(&mut session).into_iter().filter(|news| matches!(news, News::Refused(_))).count();
        assert_eq!((refused, session.talks.target()), (6, None));
        assert_eq!(session.unsent().collect::<Vec<_>>(), ["/query #a", "1", "/join #b", "3"]);
        assert!(!sent(&mut session).iter().any(|line| line.contains("bob") || line.contains("guest7")));
    }
}
