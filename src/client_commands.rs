//! The client's commands: their options, and what is made of them, of the environment and of what is saved.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chinwag::client::meet::meet;
use chinwag::client::model::session::{Anew, Instead, Wish};
use chinwag::client::oneshot::{Outgoing, Telling};
use chinwag::client::saved::{self, Saved};
use chinwag::client::screen::Palette;
use chinwag::client::visit::{Bell, Options};
use chinwag::client::wire::paths;
use chinwag::client::wire::server::{Named, Scheme, Server, fingerprint};
use chinwag::client::wire::transfers::{self, Keep};
use chinwag::client::{chat, oneshot, pipe, plain, tokens};
use chinwag::limits::LINE;
use chinwag::names::{Digest, FileId, FileName, Nick, Place, RoomName, Token};
use chinwag::options::files::{self, others_can_read, password, read_file};
use chinwag::plain::{bad_nick, bad_room};
use chinwag::text::counted;
use clap::{Args, ValueEnum};

use super::tell;

#[derive(Args)]
#[command(after_help = CONNECT_HELP)]
pub(crate) struct Connect {
    /// The server, as HOST, HOST:PORT or tls://HOST, or the name of a saved one [default: 127.0.0.1:2428]
    #[arg(value_name = "SERVER", value_parser = server_or_name)]
    server: Option<String>,
    #[command(flatten)]
    proof: Proof,
    #[command(flatten)]
    who: Who,
    /// Save what you fetch in DIR [default: your download folder]
    #[arg(long, value_name = "DIR")]
    downloads: Option<PathBuf>,
    /// Colours: where there is a terminal and NO_COLOR is not set, always, or never [default: auto]
    #[arg(long, value_name = "WHEN")]
    color: Option<When>,
    /// Ring the bell for what is said to you: always, or never [default: always]
    #[arg(long, value_name = "WHEN")]
    bell: Option<Ring>,
    /// Who is typing: tell others of you and you of others, or neither [default: as /set typing was set last, else on, but off with --plain]
    #[arg(long, value_name = "SWITCH")]
    typing: Option<Switch>,
    /// Tell only how many come and go, as in: 4 came, 2 left [default: as /fold was set last]
    #[arg(long, value_name = "SWITCH", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    fold: Option<Switch>,
    /// Plain text line by line, for screen readers and braille, without escape sequences [default: where TERM is dumb]
    #[arg(long, value_name = "SWITCH", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    plain: Option<Switch>,
    /// Whether plain text tells when each thing was said [default: on]
    #[arg(long, value_name = "SWITCH")]
    times: Option<Switch>,
    /// Whether plain text tells each time in which room, and not only where that is another one than before [default: on]
    #[arg(long, value_name = "SWITCH")]
    rooms: Option<Switch>,
}

const CONNECT_HELP: &str = "In a terminal, /help lists the commands. Who logs in there needs no password the next time, and where one \
                            name alone is kept so, no --nick either. In a pipe, lines from standard input go to the server and its lines to \
                            standard output, as they are.

Servers can be saved in ~/.config/chinwag/config (or $XDG_CONFIG_HOME/chinwag/config), in the words of the options:

  [work]
  server = chat.example.org
  nick = alice
  join = #team #lobby

Then `chinwag connect work` is enough. What stands above the first section holds for every server. An option goes before the \
                            environment (CHINWAG_SERVER, CHINWAG_NICK), that before the section, and that before what holds for \
                            every server.";

#[derive(Args)]
#[command(
    after_help = "It goes on by itself after a broken connection, and ends with 0 if all files have arrived whole. SERVER and NICK may \
                  also come from CHINWAG_SERVER and CHINWAG_NICK, or be saved: see chinwag connect --help."
)]
pub(crate) struct Send {
    /// The files; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<OsString>,
    /// Share them with TARGET, a room ('#lobby', in quotes) or a nick
    #[arg(long, value_name = "TARGET", value_parser = target)]
    to: Place,
    /// What the only file, or else standard input, is to be called [default: its own name, or stdin]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    create: Create,
    #[command(flatten)]
    server: Where,
    #[command(flatten)]
    who: Who,
}

#[derive(Args)]
#[command(
    after_help = "It goes on by itself after a broken connection, and ends with 0 if all files are here whole. SERVER and NICK may \
                  also come from CHINWAG_SERVER and CHINWAG_NICK, or be saved: see chinwag connect --help."
)]
pub(crate) struct Get {
    /// The IDs of the files
    #[arg(value_name = "ID", required = true, value_parser = id)]
    ids: Vec<u64>,
    /// Save to PATH, which must not exist yet, or into the folder PATH, which is made if several files or a / at its end tell
    /// that it is one; - is standard output [default: here]
    #[arg(long, short, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: Where,
    #[command(flatten)]
    who: Who,
}

#[derive(Args)]
#[command(
    after_help = "It goes on by itself after a broken connection, and ends with 0 if all lines have been said, or standard input has none. What begins with - stands \
                  behind --. SERVER and NICK may also come from CHINWAG_SERVER and CHINWAG_NICK, or be saved: see chinwag connect \
                  --help."
)]
pub(crate) struct Say {
    /// A room, which it enters ('#lobby', in quotes), or a nick
    #[arg(value_name = "TARGET", value_parser = target)]
    to: Place,
    /// What to say, a message a line [default: the lines of standard input, as they come]
    #[arg(value_name = "TEXT")]
    text: Vec<OsString>,
    #[command(flatten)]
    create: Create,
    #[command(flatten)]
    server: Where,
    #[command(flatten)]
    who: Who,
}

#[derive(Args)]
struct Create {
    /// Make rooms that are not there, without a warning
    #[arg(long)]
    create: bool,
}

#[derive(Args)]
struct Where {
    /// The server, as HOST, HOST:PORT or tls://HOST, or the name of a saved one [default: 127.0.0.1:2428]
    #[arg(long, value_name = "SERVER", value_parser = server_or_name)]
    server: Option<String>,
    #[command(flatten)]
    proof: Proof,
}

#[derive(Args)]
struct Proof {
    /// Speak TLS with the server, and nothing else
    #[arg(long)]
    tls: bool,
    /// The certificate that the server must have, as sha256:HEX [default: what is known of it, or what an authority vouches for]
    #[arg(long, value_name = "DIGEST", value_parser = certificate)]
    fingerprint: Option<Digest>,
}

#[derive(Args)]
struct Who {
    /// Be known as NICK
    #[arg(long, value_parser = nick)]
    nick: Option<Nick>,
    /// Enter ROOM ('#lobby', in quotes) first; may be given several times
    #[arg(long, value_name = "ROOM", value_parser = room)]
    join: Vec<RoomName>,
    /// Unlock the server with the first line of FILE, which is read again after a lost connection
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Be whose token is in FILE, which only you can read, its first line NICK TOKEN; it is read again after a lost connection [default: the token kept for NICK]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ring {
    Always,
    Never,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(crate) fn connect(options: Connect) -> Result<(), String> {
    let Settled { server, mut wish, saved } = options.who.settle(options.server, options.proof)?;
    let switch = |option: Option<Switch>, key| -> Result<Option<bool>, String> {
        Ok(option.or(saved.one(key, choice)?).map(|switch| switch == Switch::On))
    };
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    // In a pipe it is what somebody has just written, and nothing that was saved, that makes it another thing than nc.
    let is_plain = match options.plain {
        Some(switch) => switch == Switch::On,
        None => is_terminal && is_plain(&saved)?,
    };
    // Nor what was set in a chat.
    let remembered = |name| saved::remembered(name).filter(|_| is_terminal || is_plain);
    let typing = switch(options.typing, "typing")?.or_else(|| remembered("typing"));
    wish.without_typing = !typing.unwrap_or(!is_plain);
    wish.without_presence = remembered("presence") == Some(false);
    wish.person = io::stdin().is_terminal();
    // Whoever has a single name on this server most likely means that.
    if let ([(owner, _)], true, None) = (&wish.tokens[..], wish.person, wish.nick) {
        wish.nick = Some(*owner);
    }
    wish.stays = true;
    // What a script types may be a login, unless it comes with a token.
    if !wish.person && wish.tokens.iter().any(|(owner, _)| Some(*owner) == wish.nick) {
        wish.instead = wish.instead.for_script("done");
    }
    if !is_terminal && !is_plain {
        return pipe::run(&server, &wish);
    }
    let fold = switch(options.fold, "fold")?.or_else(|| remembered("fold")).unwrap_or_default();
    let color = options.color.or(saved.one("color", choice)?);
    let colour = match color.unwrap_or(When::Auto) {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            variable("NO_COLOR").is_none() && Palette::of(&variable("TERM").unwrap_or_default()) != Palette::None
        }
    };
    let bell = match options.bell.or(saved.one("bell", choice)?).unwrap_or(Ring::Always) {
        Ring::Always => Bell::Rings,
        Ring::Never => Bell::Silent,
    };
    let downloads = match options.downloads {
        None => saved.path("downloads", paths::expand).unwrap_or_else(paths::downloads),
        Some(folder) => folder.to_str().map_or_else(|| folder.clone(), paths::expand),
    };
    if downloads.starts_with("~") {
        return Err("there is no home folder, so --downloads takes a path without ~".to_owned());
    }
    let times = switch(options.times, "times")?.unwrap_or(true);
    let rooms = switch(options.rooms, "rooms")?.unwrap_or(true);
    let options = Options { server, wish, downloads, colour, bell, fold, times, rooms };
    if is_plain { plain::run(options) } else { chat::run(options) }
}

pub(crate) fn send(options: Send) -> Result<(), String> {
    let Settled { server, wish, saved } = options.who.settle_for(options.to, options.server, &options.create)?;
    let telling = telling(&saved)?;
    if options.files.iter().filter(|file| *file == "-").count() > 1 {
        return Err("standard input can be sent only once".into());
    }
    // Among several files it is for standard input, which has no name of its own.
    let is_named = |file: &OsStr| file == "-" || options.files.len() == 1;
    if let Some(name) = &options.name {
        if !options.files.iter().any(|file| is_named(file)) {
            return Err("--name is for one file; send the others by themselves".into());
        }
        if FileName::new(name).is_none() {
            return Err(format!("{name} is no name for a file; give another with --name"));
        }
    }
    let open = |file: &OsString| {
        let given = options.name.clone().filter(|_| is_named(file));
        if file == "-" {
            return Ok(Outgoing::Input(given.unwrap_or("stdin".to_owned())));
        }
        let (source, name) = transfers::open(file)?;
        Ok::<_, String>(Outgoing::File(source, given.unwrap_or(name)))
    };
    let (mut files, mut missing) = (VecDeque::new(), Vec::new());
    for file in &options.files {
        match open(file) {
            Ok(file) => files.push_back(file),
            Err(why) => missing.push(why),
        }
    }
    let last = missing.pop();
    missing.iter().for_each(|why| tell(why));
    if files.is_empty() {
        return last.map_or(Ok(()), Err);
    }
    // What is good is sent all the same.
    last.iter().for_each(|why| tell(why));
    let wish = Wish { instead: wish.instead.for_script("sent"), ..wish };
    oneshot::send(server, wish, files, options.to, telling)?;
    match missing.len() + last.iter().len() {
        0 => Ok(()),
        count => Err(format!("not sent: {count} of {}", counted(options.files.len() as u64, "file"))),
    }
}

pub(crate) fn say(options: Say) -> Result<(), String> {
    let Settled { server, wish, .. } = options.who.settle_for(options.to, options.server, &options.create)?;
    let outside = match options.to {
        Place::Room(room) => Some(room),
        Place::With(_) => None,
    };
    let wish = Wish { outside, instead: wish.instead.for_script("said"), ..wish };
    let text = options.text.join(OsStr::new(" "));
    let text = (!options.text.is_empty()).then_some(text.as_bytes());
    oneshot::say(server, wish, options.to, text)
}

pub(crate) fn get(options: Get) -> Result<(), String> {
    let Settled { server, wish, saved } = options.who.settle(options.server.server, options.server.proof)?;
    let telling = telling(&saved)?;
    let wish = Wish { expects_rooms: Some(""), instead: wish.instead.for_script("fetched"), ..wish };
    let mut ids: Vec<FileId> = Vec::new();
    for id in options.ids.into_iter().map(FileId) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let (keep, folder) = match options.output {
        None => (Keep::Folder, PathBuf::from(".")),
        Some(path) if path == Path::new("-") && ids.len() == 1 => (Keep::Out, PathBuf::new()),
        Some(path) if path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/") => (Keep::Folder, path),
        Some(path) if ids.len() == 1 => (Keep::At(path), PathBuf::new()),
        Some(path) if fs::symlink_metadata(&path).is_ok() || path == Path::new("-") => {
            return Err(format!(
                "several files need a folder, and {} is none; give another to --output",
                path.display()
            ));
        }
        Some(path) => (Keep::Folder, path),
    };
    oneshot::get(server, wish, &ids, &keep, folder, telling)
}

/// What holds for one server.
struct Settled {
    server: Server,
    wish: Wish,
    saved: Saved,
}

impl Who {
    /// Options go before the environment, that before what is saved for the server, and that before what is saved for all.
    fn settle(self, server: Option<String>, proof: Proof) -> Result<Settled, String> {
        let path = saved::default_path();
        let given = match server.or(variable("CHINWAG_SERVER")) {
            None => Saved::of(path.clone(), None, check)?.one("server", |name| Ok(name.to_owned()))?,
            given => given,
        };
        let saved = Saved::of(path, given.as_deref(), check)?;
        saved.wrong.iter().for_each(|why| tell(why));
        let mut named = match (saved.one("server", str::parse::<Named>)?, given) {
            (Some(named), _) => named,
            (None, Some(given)) => {
                let named = given.parse::<Named>().map_err(|why| format!("{given}: {why}"))?;
                may_be_host(&given, &named, &saved)?;
                named
            }
            (None, None) => Named::here(),
        };
        if proof.tls || saved.one("tls", choice)? == Some(Switch::On) {
            named.scheme = Scheme::Tls;
        }
        let is_asked = self.nick.is_some();
        let given = self.token_file.as_deref().map(our_token).transpose()?;
        let nick = match (self.nick, &given, variable("CHINWAG_NICK")) {
            (Some(nick), Some((owner, _)), _) if nick != *owner => {
                return Err(format!("the token is {owner}'s, and --nick says {nick}; leave one of them out"));
            }
            (_, Some((owner, _)), _) => Some(*owner),
            (Some(nick), None, _) => Some(nick),
            (None, None, Some(text)) => Some(nick(&text).map_err(|why| format!("CHINWAG_NICK={text}: {why}"))?),
            (None, None, None) => saved.one("nick", nick)?,
        };
        let saved_token = saved.path("token-file", paths::expand).filter(|_| given.is_none());
        let given = given.or(saved_token.as_deref().map(our_token).transpose()?);
        // Whoever saves a token and no name means that name.
        let nick = nick.or(given.map(|(owner, _)| owner));
        // Who comes with a token means its name alone, as nobody else who is there keeps it from them.
        let is_given = given.is_some_and(|(owner, _)| nick == Some(owner));
        let instead = if is_asked || is_given { Instead::Choose } else { Instead::Yield };
        let path = self.token_file.or(saved_token);
        let token_file = given.zip(path.as_deref()).map(|((owner, _), path)| (owner, path.display().to_string()));
        let server = meet(&named, proof.fingerprint.or(saved.one("fingerprint", certificate)?))?;
        let (kept, useless) = tokens::kept(&server.address.to_string(), nick);
        // Whoever says by which token they go needs no other.
        useless.iter().filter(|_| given.is_none()).for_each(|why| tell(why));
        let tokens = given.into_iter().chain(kept).collect();
        let address = server.address.to_string();
        // Through a pipe it comes once.
        let new_token = move || match &path {
            Some(path) => path.is_file().then(|| our_token(path)),
            None => tokens::of(&address, nick?).map(Ok),
        };
        let new_token = Some(Anew(Arc::new(new_token)));
        let rooms = if self.join.is_empty() { saved.all("join", saved_room)? } else { self.join };
        let password_file = self.password_file.or(saved.path("password-file", paths::expand));
        let password = password_file.as_deref().map(our_password).transpose()?;
        let again = |path: PathBuf| move || path.is_file().then(|| files::password(&path).ok()).flatten();
        let new_password = password_file.map(|path| Anew(Arc::new(again(path))));
        let wish =
            Wish { nick, instead, rooms, password, new_password, tokens, token_file, new_token, ..Wish::default() };
        Ok(Settled { server, wish, saved })
    }

    /// The server and the wish of who has something for `to`. They enter no other room than they say now.
    fn settle_for(mut self, to: Place, server: Where, create: &Create) -> Result<Settled, String> {
        let mut rooms = std::mem::take(&mut self.join);
        let Settled { server, wish, saved } = self.settle(server.server, server.proof)?;
        if let Place::Room(room) = to
            && !rooms.contains(&room)
        {
            rooms.push(room);
        }
        let expects_rooms = (!create.create).then_some("; --create is for when you mean it");
        Ok(Settled { server, wish: Wish { rooms, expects_rooms, ..wish }, saved })
    }
}

/// Whether terminals get plain text, unless an option says otherwise.
fn is_plain(saved: &Saved) -> Result<bool, String> {
    let term = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    Ok(saved.one("plain", choice::<Switch>)?.map_or(term, |switch| switch == Switch::On))
}

/// How a terminal tells how far files are.
fn telling(saved: &Saved) -> Result<Telling, String> {
    Ok(if is_plain(saved)? { Telling::Words } else { Telling::Bar })
}

/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

/// A password of ours. Who else can read it is told of.
fn our_password(path: &Path) -> Result<String, String> {
    let password = password(path)?;
    if others_can_read(path) {
        tell(&format!("others can read the password in {0}; chmod 600 {0} keeps it to you", path.display()));
    }
    Ok(password)
}

/// A token of ours, and whose it is.
fn our_token(path: &Path) -> Result<(Nick, Token), String> {
    tokens::ours(path, || read_file(path, LINE as u64))
}

fn nick(text: &str) -> Result<Nick, String> {
    Nick::new(text).and_then(Nick::allowed).map_err(|why| format!("that is no name: {}", bad_nick(why)))
}

fn id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "an ID is a number, as in 7; /files lists them".into())
}

fn room(text: &str) -> Result<RoomName, String> {
    RoomName::new(text).map_err(|why| match RoomName::meant(text) {
        Some(room) => format!("a room begins with #; did you mean '{room}', in quotes?"),
        None => format!("that is no room: {}", bad_room(why)),
    })
}

/// A room that is saved. Nothing is quoted there as for a shell, and what stands behind a room is another one.
fn saved_room(text: &str) -> Result<RoomName, String> {
    RoomName::new(text).map_err(|why| {
        let key = "key of a room is not saved; an op's /invite NICK lets in without it who owns that name";
        match RoomName::meant(text) {
            Some(room) => format!("a room begins with #; did you mean {room}? The {key}"),
            // A key has no such sign.
            None if text.contains('#') => format!("that is no room: {}", bad_room(why)),
            None => format!("that is no room: {}; and the {key}", bad_room(why)),
        }
    })
}

fn target(text: &str) -> Result<Place, String> {
    let place = Place::new(text).or_else(|| Nick::new(text).ok().map(Place::With));
    place.ok_or_else(|| "a target is a room, as in '#lobby', or a nick".into())
}

/// What may be a server or the name of a saved one. Which of them it is is known later.
fn server_or_name(text: &str) -> Result<String, String> {
    text.parse::<Named>().map(|_| text.to_owned())
}

/// Whether a word of what is saved may stand under its key.
fn check(key: &str, word: &str) -> Result<(), String> {
    match key {
        "server" => word.parse::<Named>().map(drop),
        "fingerprint" => certificate(word).map(drop),
        "nick" => nick(word).map(drop),
        "join" => saved_room(word).map(drop),
        "color" => choice::<When>(word).map(drop),
        "bell" => choice::<Ring>(word).map(drop),
        "typing" | "fold" | "plain" | "times" | "rooms" | "tls" => choice::<Switch>(word).map(drop),
        _ => Ok(()),
    }
}

/// A word that is no address may be the name of a saved server with a slip in it, or without a host: if no host is called so, that is told.
/// What no host is ever called is an address with something left out.
fn may_be_host(given: &str, named: &Named, saved: &Saved) -> Result<(), String> {
    if let Some(rest) = given.strip_prefix("tls:").filter(|rest| !rest.starts_with('/')) {
        return Err(format!("{given} is no server; is tls://{rest} meant?"));
    }
    if given.parse::<u16>().is_ok() {
        return Err(format!("{given} is a port, and no server; is 127.0.0.1:{given} meant?"));
    }
    let is_word = !given.contains(['.', ':', '[']);
    if saved.names.is_empty() || !is_word || named.clear().resolve().is_ok() {
        return Ok(());
    }
    if saved.is_named {
        return Err(format!("no host is called {given}, and [{given}] names none; write server = HOST below it"));
    }
    Err(format!("{given} is no host that is known here, and no saved server; saved are {}", saved.names.join(", ")))
}

/// The digest of a certificate, as the server's log has it, or as openssl prints it: behind other words, or none.
fn certificate(text: &str) -> Result<Digest, String> {
    let digits = text.rsplit('=').next().unwrap_or(text);
    let begins = digits.get(..SHA256.len()).is_some_and(|start| start.eq_ignore_ascii_case(SHA256));
    let digits = if begins { &digits[SHA256.len()..] } else { digits };
    fingerprint(&format!("{SHA256}{digits}")).ok_or_else(|| {
        "it is sha256: and 64 hexadecimal digits, as the server's log has them, or what openssl x509 -fingerprint -sha256 prints"
            .into()
    })
}

/// What the digest of a certificate begins with.
const SHA256: &str = "sha256:";

/// One of the words that an option takes.
fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    let words = || T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let known = || words().map(|word| word.get_name().to_owned()).collect::<Vec<_>>().join(" or ");
    T::from_str(text, true).map_err(|_| format!("it is {}", known()))
}
