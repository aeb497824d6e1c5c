//! The command line: options, and what is said and done when something fails.
#![cfg_attr(
    not(feature = "client"),
    allow(unused_imports, dead_code, reason = "what the options of the client stand for is left out")
)]

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

#[cfg(feature = "client")]
use chinwag::client::model::session::Wish;
#[cfg(feature = "client")]
use chinwag::client::oneshot::Outgoing;
#[cfg(feature = "client")]
use chinwag::client::saved::{self, Saved};
#[cfg(feature = "client")]
use chinwag::client::visit::{Bell, Options};
#[cfg(feature = "client")]
use chinwag::client::wire::store;
#[cfg(feature = "client")]
use chinwag::client::wire::transfers::{self, Keep};
#[cfg(feature = "client")]
use chinwag::client::{chat, gallery, oneshot, pipe, plain};
use chinwag::dialect::PLAIN;
use chinwag::home::Home;
use chinwag::limits;
use chinwag::listener::{LISTENERS, cannot, reason};
use chinwag::names::{FileId, FileName, Nick, Place, RoomName, clean};
use chinwag::plain::{bad_nick, bad_room};
use chinwag::reactor::{Door, Reactor};
use chinwag::settings::{Logging, Settings};
use chinwag::stderr::Stderr;
use chinwag::time::as_stamped;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use env_logger::Target;
use log::{LevelFilter, info, warn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag::{register, register_conditional_shutdown};

/// A chat of plain text lines, for nc, telnet and ten-line bots.
#[derive(Parser)]
#[command(version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Run the server
    Serve(Serve),
    #[cfg(feature = "client")]
    /// Chat: in a terminal with everything, in a pipe as with nc
    Connect(Connect),
    #[cfg(feature = "client")]
    /// Share files, and print their IDs
    Send(Send),
    #[cfg(feature = "client")]
    /// Fetch files, and print where they are
    Get(Get),
    #[cfg(feature = "client")]
    /// Say something, for scripts
    Say(Say),
    #[cfg(feature = "client")]
    /// Decode a picture, for the client
    #[command(hide = true)]
    Decode {
        /// Columns of pixels
        width: NonZero<u16>,
        /// Rows of pixels
        height: NonZero<u16>,
    },
}

#[derive(Args)]
#[command(after_help = CONNECT_HELP)]
struct Connect {
    /// The server, as HOST or HOST:PORT, or the name of a saved one [default: 127.0.0.1:2428]
    #[arg(value_name = "SERVER", value_parser = server_or_name)]
    server: Option<String>,
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
    /// Who is typing: tell others of you and you of others, or neither [default: on, but off with --plain]
    #[arg(long, value_name = "SWITCH")]
    typing: Option<Switch>,
    /// Tell only how many come and go, as in: 4 came, 2 left [default: as /fold was set last]
    #[arg(long, value_name = "SWITCH", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    fold: Option<Switch>,
    /// Plain text line by line, for screen readers and braille, without escape sequences [default: where TERM is dumb]
    #[arg(long, value_name = "SWITCH", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    plain: Option<Switch>,
}

const CONNECT_HELP: &str = "In a terminal, /help lists the commands. In a pipe, lines from standard input go to the server and its lines to \
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
struct Send {
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
struct Get {
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
    after_help = "It goes on by itself after a broken connection, and ends with 0 if all lines have been said. What begins with - stands \
                  behind --. SERVER and NICK may also come from CHINWAG_SERVER and CHINWAG_NICK, or be saved: see chinwag connect \
                  --help."
)]
struct Say {
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
    /// The server, as HOST or HOST:PORT, or the name of a saved one [default: 127.0.0.1:2428]
    #[arg(long, value_name = "SERVER", value_parser = server_or_name)]
    server: Option<String>,
}

#[derive(Args)]
struct Who {
    /// Be known as NICK
    #[arg(long, value_parser = nick)]
    nick: Option<Nick>,
    /// Enter ROOM ('#lobby', in quotes) first; may be given several times
    #[arg(long, value_name = "ROOM", value_parser = room)]
    join: Vec<RoomName>,
    /// Unlock the server with the first line of FILE
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
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

/// Where a server listens unless it is told otherwise.
const SERVER: &str = "127.0.0.1:2428";

/// Sizes take K, M, G and T, with or without a B; times take s, m, h and d.
#[derive(Args)]
struct Serve {
    /// Listen here; may be given several times. Port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = SERVER)]
    listen: Vec<String>,
    /// What the server calls itself in its greeting [default: nothing]
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// Show the lines of FILE to everybody who connects [default: none]
    #[arg(long, value_name = "FILE")]
    motd: Option<PathBuf>,
    /// Let in only who knows the password, the first line of FILE [default: everybody]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Connections in all; 0 is what the file-descriptor limit leaves
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_clients: usize,
    /// Connections from one IPv4 address or IPv6 /64, loopback not counted; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_per_ip: usize,
    /// Lines a second from one connection, with three seconds' worth at once; 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 20)]
    rate: u32,
    /// Lines that a room remembers
    #[arg(long, value_name = "N", default_value_t = 200)]
    history: usize,
    /// The largest file
    #[arg(long, value_name = "SIZE", default_value = "100M", value_parser = size)]
    max_file: u64,
    /// The space for all files together
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    spool: u64,
    /// How long a file is kept
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    file_ttl: Duration,
    /// Close a connection that takes next to nothing of what waits for it for so long
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = time)]
    stall: Duration,
    /// Keep what is said in rooms and the files shared there in DIR, over a restart [default: all goes with the process]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How much of what was said a loss of power may cost; 0 is nothing, and slow
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = sync, requires = "data")]
    sync: Duration,
    /// The space for the log of one room; the older half goes when it is full
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = log_max, requires = "data")]
    log_max: u64,
}

fn main() -> ExitCode {
    // A file that grows beyond the limit of its user is then an error like that of a full disk, and no end.
    let _ = register(SIGXFSZ, Arc::default());
    let done = match Cli::try_parse().unwrap_or_else(|e| refuse(&e)).mode {
        Mode::Serve(options) => match start_log() {
            Ok(log) => {
                let done = serve(&options, &log);
                log.finish();
                done
            }
            Err(e) => Err(e),
        },
        #[cfg(feature = "client")]
        Mode::Connect(options) => connect(options),
        #[cfg(feature = "client")]
        Mode::Send(options) => send(options),
        #[cfg(feature = "client")]
        Mode::Get(options) => get(options),
        #[cfg(feature = "client")]
        Mode::Say(options) => say(options),
        #[cfg(feature = "client")]
        Mode::Decode { width, height } => gallery::decode((width.get().into(), height.get().into())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            tell(&message);
            ExitCode::FAILURE
        }
    }
}

/// Tells what is wrong with the command line, and ends. A bare `#` and what follows it never came here, so that is told too,
/// and how the port is written that stood alone, as `nc` takes it.
fn refuse(error: &clap::Error) -> ! {
    const QUOTES: &str = "put the room in quotes, as in '#lobby'; a shell takes a bare # for a comment";
    const COLON: &str = "the port goes behind the host and a colon, as in 127.0.0.1:2428";
    let _ = error.print();
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let is_last = |known: &[&str]| words.last().is_some_and(|last| known.contains(&last.as_str()));
    let is_port = |word: &String| word.parse::<u16>().is_ok();
    let tip = match error.kind() {
        ErrorKind::InvalidValue if is_last(&["--join", "--to"]) => Some(QUOTES),
        ErrorKind::MissingRequiredArgument if is_last(&["say"]) => Some(QUOTES),
        ErrorKind::UnknownArgument if words[0] == "connect" && words.iter().any(is_port) => Some(COLON),
        _ => None,
    };
    if let Some(tip) = tip {
        let _ = writeln!(io::stderr(), "\n  tip: {tip}");
    }
    std::process::exit(error.exit_code())
}

/// Logs to standard error, from `info` on unless RUST_LOG says otherwise.
fn start_log() -> Result<Stderr, String> {
    let stderr = Stderr::start().map_err(|e| cannot("start the thread of the log", &e).to_string())?;
    env_logger::Builder::new()
        .filter_level(LevelFilter::Info)
        .parse_default_env()
        .target(Target::Pipe(Box::new(stderr.clone())))
        .format(|out, record| {
            let at = humantime::format_rfc3339_seconds(as_stamped(SystemTime::now()));
            writeln!(out, "{at} {:5} {}", record.level(), record.args())
        })
        .init();
    Ok(stderr)
}

/// Has SIGINT and SIGTERM end the process at once with this code, as long as what is returned is set. They do so whatever it
/// is about, and where it is the first process of a container too.
fn end_at_once(code: i32) -> Result<Arc<AtomicBool>, String> {
    let at_once = Arc::new(AtomicBool::new(true));
    for signal in [SIGINT, SIGTERM] {
        register_conditional_shutdown(signal, code, Arc::clone(&at_once)).map_err(|e| reason(&e))?;
    }
    Ok(at_once)
}

fn serve(options: &Serve, log: &Stderr) -> Result<(), String> {
    // Until it listens, there is nobody to say goodbye to.
    let starting = end_at_once(0)?;
    let settings = settings(options)?;
    let home = match &options.data {
        Some(dir) => Home::at(dir).map_err(|e| format!("cannot keep files in {}: {}", dir.display(), reason(&e)))?,
        None => Home::temporary().map_err(|e| {
            let parent = std::env::temp_dir();
            let why = reason(&e);
            format!("cannot make a folder for files in {}: {why}; set TMPDIR, or give --data", parent.display())
        })?,
    };
    let settings = Settings { next_file: home.next_id(), ..settings };
    let addresses = addresses(&options.listen)?;
    info!("at most {} connections", settings.max_clients);
    let door = Door { dialect: &PLAIN, addresses };
    let mut reactor = Reactor::open(&[door], home, settings).map_err(|e| reason(&e))?;
    starting.store(false, Ordering::SeqCst);
    let addresses = reactor.addresses().map_err(|e| reason(&e))?;
    if let Some(first) = addresses.first().filter(|_| addresses.iter().all(|address| address.ip().is_loopback())) {
        let (ip, port) = (first.ip(), first.port());
        info!("only this machine can come in, as {ip} is its own; --listen 0.0.0.0:{port} is for others too");
    }
    // Who reads that it listens can read all that was said before.
    log.finish();
    let mut out = io::stdout().lock();
    for address in addresses {
        // Whoever started the server may have stopped listening to it; that is no reason not to serve.
        let _ = writeln!(out, "listening {address}");
    }
    let _ = out.flush();
    drop(out);
    let end = reactor.run().map_err(|e| format!("the event loop failed: {}", reason(&e)));
    // What is left is to tidy up. Should the disk hang over it, another signal does not wait for that.
    end_at_once(1)?;
    end
}

#[cfg(feature = "client")]
fn connect(options: Connect) -> Result<(), String> {
    let Settled { server, mut wish, saved } = options.who.settle(options.server)?;
    let switch = |option: Option<Switch>, key| -> Result<Option<bool>, String> {
        Ok(option.or(saved.one(key, choice)?).map(|switch| switch == Switch::On))
    };
    let term = std::env::var("TERM").unwrap_or_default();
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    // In a pipe it is what somebody has just written, and nothing that was saved, that makes it another thing than nc.
    let is_plain = match options.plain {
        Some(switch) => switch == Switch::On,
        None => is_terminal && switch(None, "plain")?.unwrap_or(matches!(&*term, "" | "dumb")),
    };
    let typing = switch(options.typing, "typing")?;
    wish.without_typing = !typing.unwrap_or(!is_plain);
    if !is_terminal && !is_plain {
        return pipe::run(&server, &wish);
    }
    let fold = switch(options.fold, "fold")?.or_else(|| saved::remembered("fold")).unwrap_or_default();
    let color = options.color.or(saved.one("color", choice)?);
    let colour = match color.unwrap_or(When::Auto) {
        When::Always => true,
        When::Never => false,
        When::Auto => std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let bell = match options.bell.or(saved.one("bell", choice)?).unwrap_or(Ring::Always) {
        Ring::Always => Bell::Rings,
        Ring::Never => Bell::Silent,
    };
    let downloads = match options.downloads {
        None => saved.path("downloads", store::expand).unwrap_or_else(store::downloads),
        Some(folder) => folder.to_str().map_or_else(|| folder.clone(), store::expand),
    };
    if downloads.starts_with("~") {
        return Err("there is no home folder, so --downloads takes a path without ~".to_owned());
    }
    let options = Options { address: server, wish, downloads, colour, bell, fold };
    if is_plain { plain::run(options) } else { chat::run(options) }
}

#[cfg(feature = "client")]
fn send(options: Send) -> Result<(), String> {
    let (server, wish) = options.who.settle_for(options.to, options.server, &options.create)?;
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
    oneshot::send(&server, wish, files, options.to)?;
    match missing.len() + last.iter().len() {
        0 => Ok(()),
        count => Err(format!("{count} of {} files could not be sent", options.files.len())),
    }
}

#[cfg(feature = "client")]
fn say(options: Say) -> Result<(), String> {
    let (server, wish) = options.who.settle_for(options.to, options.server, &options.create)?;
    let text = options.text.join(OsStr::new(" "));
    let text = (!options.text.is_empty()).then_some(text.as_bytes());
    oneshot::say(&server, wish, options.to, text)
}

#[cfg(feature = "client")]
fn get(options: Get) -> Result<(), String> {
    let Settled { server, wish, .. } = options.who.settle(options.server.server)?;
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
    oneshot::get(&server, wish, &ids, &keep, folder)
}

#[cfg(feature = "client")]
/// What holds for one server.
struct Settled {
    /// Where it is, as HOST:PORT.
    server: String,
    wish: Wish,
    saved: Saved,
}

#[cfg(feature = "client")]
impl Who {
    /// Options go before the environment, that before what is saved for the server, and that before what is saved for all.
    fn settle(self, server: Option<String>) -> Result<Settled, String> {
        let path = saved::default_path();
        let given = match server.or(variable("CHINWAG_SERVER")) {
            None => Saved::of(path.clone(), None)?.one("server", |name| Ok(name.to_owned()))?,
            given => given,
        };
        let saved = Saved::of(path, given.as_deref())?;
        let server = match (saved.one("server", self::server)?, given) {
            (Some(server), _) => server,
            (None, Some(given)) => self::server(&given).map_err(|why| format!("{given}: {why}"))?,
            (None, None) => SERVER.to_owned(),
        };
        let yields = self.nick.is_none();
        let nick = match (self.nick, variable("CHINWAG_NICK")) {
            (Some(nick), _) => Some(nick),
            (None, Some(text)) => Some(nick(&text).map_err(|why| format!("CHINWAG_NICK={text}: {why}"))?),
            (None, None) => saved.one("nick", nick)?,
        };
        let rooms = if self.join.is_empty() { saved.all("join", room)? } else { self.join };
        let password_file = self.password_file.or(saved.path("password-file", store::expand));
        let password = password_file.as_deref().map(our_password).transpose()?;
        Ok(Settled { server, wish: Wish { nick, yields, rooms, password, ..Wish::default() }, saved })
    }

    /// The server and the wish of who has something for `to`. They enter no other room than they say now.
    fn settle_for(mut self, to: Place, server: Where, create: &Create) -> Result<(String, Wish), String> {
        let mut rooms = std::mem::take(&mut self.join);
        let Settled { server, wish, .. } = self.settle(server.server)?;
        if let Place::Room(room) = to
            && !rooms.contains(&room)
        {
            rooms.push(room);
        }
        Ok((server, Wish { rooms, expects_rooms: !create.create, ..wish }))
    }
}

#[cfg(feature = "client")]
/// A variable of the environment, unless it is empty.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

/// Tells on standard error what goes wrong, or might, while other things go on.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "chinwag: {text}");
}

fn settings(options: &Serve) -> Result<Settings, String> {
    let room = room_for_clients();
    let max_clients = if options.max_clients == 0 { room } else { options.max_clients };
    if max_clients > room {
        warn!("the file-descriptor limit leaves only {room} connections, not {max_clients}; raise it with ulimit -n");
    }
    if options.max_file > options.spool {
        warn!("a file may be larger than the space for all of them; set --max-file to at most --spool");
    }
    let log_may_be_short = options.history as u64 > options.log_max / 2 / limits::LINE as u64;
    if options.data.is_some() && log_may_be_short {
        warn!("if messages are long, fewer than --history may be there after a restart; raise --log-max");
    }
    Ok(Settings {
        name: options.name.clone(),
        motd: options.motd.as_deref().map(motd).transpose()?.unwrap_or_default(),
        password: options.password_file.as_deref().map(password).transpose()?,
        max_clients,
        max_per_ip: options.max_per_ip,
        rate: options.rate,
        history: options.history,
        max_file: options.max_file,
        spool: options.spool,
        file_ttl: options.file_ttl,
        stall: options.stall,
        log: options.data.is_some().then_some(Logging { max: options.log_max, sync: options.sync }),
        next_file: 1,
    })
}

/// Raises the limit of descriptors as far as the system allows, and tells how many connections that leaves.
fn room_for_clients() -> usize {
    /// For listeners, those who are turned away or have not gone yet, files of the spool, logs of rooms that are open, to be
    /// synced or being synced, and the rest.
    const OTHERS: usize =
        LISTENERS + limits::REJECTED + limits::LINGERING + limits::FILES_OPEN + 3 * limits::LOGS_OPEN + 16;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current };
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    // A tiny limit leaves half of itself, and at least one.
    limit.saturating_sub(OTHERS).max(limit / 2).max(1)
}

fn addresses(listen: &[String]) -> Result<Vec<SocketAddr>, String> {
    let mut found = Vec::new();
    for address in listen {
        let resolved = address
            .to_socket_addrs()
            .map_err(|e| format!("cannot listen on {address}: {}; it takes HOST:PORT", reason(&e)))?;
        for resolved in resolved {
            if !found.contains(&resolved) || resolved.port() == 0 {
                found.push(resolved);
            }
        }
    }
    if found.len() > LISTENERS {
        return Err(format!("cannot listen on {} addresses, only on {LISTENERS}", found.len()));
    }
    Ok(found)
}

fn motd(path: &Path) -> Result<Vec<String>, String> {
    let bytes = read_file(path, limits::MOTD)?;
    if str::from_utf8(&bytes).is_err() {
        warn!("{} is no text in UTF-8, and what is not shows as \u{fffd}; save it as that", path.display());
    }
    let whole = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let lines = whole.split(|&b| b == b'\n').filter(|_| !bytes.is_empty());
    // Text that is safe to show.
    let lines: Vec<String> = lines.map(|line| clean(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()).collect();
    match lines.iter().position(|line| line.len() > limits::LINE) {
        Some(n) => Err(format!("line {} of {} has more than {} bytes", n + 1, path.display(), limits::LINE)),
        None => Ok(lines),
    }
}

fn password(path: &Path) -> Result<String, String> {
    let text = String::from_utf8(read_file(path, limits::LINE as u64)?)
        .map_err(|_| format!("cannot use {}: it is no text in UTF-8; save it as that", path.display()))?;
    let password = text.lines().next().unwrap_or_default().trim();
    if password.is_empty() {
        Err(format!("{} holds no password on its first line", path.display()))
    } else if clean(password.as_bytes()) != password {
        Err(format!("cannot use {}: nobody can type what is on its first line; is it plain text?", path.display()))
    } else {
        Ok(password.to_owned())
    }
}

#[cfg(feature = "client")]
/// A password of ours. Who else can read it is told of.
fn our_password(path: &Path) -> Result<String, String> {
    let password = password(path)?;
    if path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o044 != 0) {
        tell(&format!("others can read the password in {0}; chmod 600 {0} keeps it to you", path.display()));
    }
    Ok(password)
}

/// Reads a file of at most `limit` bytes, without the mark that some editors put before its text.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes));
    let read = read.map_err(|e| format!("cannot read {}: {}", path.display(), reason(&e)))?;
    if read as u64 > limit {
        return Err(format!("cannot use {}: it must be a file of at most {limit} bytes", path.display()));
    }
    let mark = "\u{feff}".as_bytes();
    Ok(bytes.strip_prefix(mark).unwrap_or(&bytes).to_vec())
}

fn name(text: &str) -> Result<String, String> {
    let name = clean(text.trim().as_bytes()).into_owned();
    if (1..=80).contains(&name.len()) { Ok(name) } else { Err("a name has 1 to 80 bytes".into()) }
}

fn nick(text: &str) -> Result<Nick, String> {
    Nick::new(text).and_then(Nick::allowed).map_err(|why| format!("that is no name: {}", bad_nick(why)))
}

fn id(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "an ID is a number, as in 7; /files lists them".into())
}

fn room(text: &str) -> Result<RoomName, String> {
    RoomName::new(text).map_err(|why| match RoomName::new(&format!("#{text}")) {
        Ok(room) => format!("a room begins with #; did you mean '{room}', in quotes?"),
        Err(_) => format!("that is no room: {}", bad_room(why)),
    })
}

fn target(text: &str) -> Result<Place, String> {
    let place = Place::new(text).or_else(|| Nick::new(text).ok().map(Place::With));
    place.ok_or_else(|| "a target is a room, as in '#lobby', or a nick".into())
}

/// What may be a server or the name of a saved one. Which of them it is is known later.
fn server_or_name(text: &str) -> Result<String, String> {
    server(text).map(|_| text.to_owned())
}

#[cfg(feature = "client")]
/// One of the words that an option takes.
fn choice<T: ValueEnum>(text: &str) -> Result<T, String> {
    let words = || T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
    let known = || words().map(|word| word.get_name().to_owned()).collect::<Vec<_>>().join(" or ");
    T::from_str(text, true).map_err(|_| format!("it is {}", known()))
}

/// HOST:PORT, where the port may be left out.
fn server(text: &str) -> Result<String, String> {
    let (_, port) = SERVER.rsplit_once(':').unwrap_or_default();
    if text.starts_with('#') {
        return Err(format!("a server is HOST or HOST:PORT; --join '{text}' enters a room"));
    }
    if text.contains(|c: char| c == '/' || c.is_whitespace()) {
        return Err(format!("a server is HOST or HOST:PORT, as in {SERVER}, without blanks or slashes"));
    }
    // It may name the interface that it is to be reached over.
    let (ip, interface) = text.split_once('%').unwrap_or((text, "lo"));
    if ip.parse::<Ipv6Addr>().is_ok() && !interface.is_empty() && !interface.contains([':', ']']) {
        return Ok(format!("[{text}]:{port}"));
    }
    match text.rsplit_once(':') {
        _ if text.starts_with('[') && text.ends_with(']') => Ok(format!("{text}:{port}")),
        None if !text.is_empty() => Ok(format!("{text}:{port}")),
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("a server is HOST or HOST:PORT, with a PORT of at most 65535".into()),
    }
}

fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 5] = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
    let (number, unit) = number_and_unit(text);
    let is = |name: &str| {
        [name.to_owned(), format!("{name}B"), format!("{name}iB")].iter().any(|name| unit.eq_ignore_ascii_case(name))
    };
    let size = UNITS.iter().find(|(name, _)| is(name)).and_then(|(_, factor)| number?.checked_mul(*factor));
    size.ok_or_else(|| "a size is a whole number with K, M, G or T, as in 10M or 10MB, or of bytes".into())
}

fn time(text: &str) -> Result<Duration, String> {
    match seconds(text) {
        Some(seconds @ 1..=0xffff_ffff) => Ok(Duration::from_secs(seconds)),
        _ => Err("a time is a whole number with s, m, h or d, as in 7d, or of seconds, and more than 0".into()),
    }
}

fn sync(text: &str) -> Result<Duration, String> {
    match seconds(text) {
        Some(seconds @ 0..=0xffff_ffff) => Ok(Duration::from_secs(seconds)),
        _ => Err("a time is a whole number with s, m, h or d, or of seconds; 0 waits for the disk each time".into()),
    }
}

fn seconds(text: &str) -> Option<u64> {
    const UNITS: [(&[&str], u64); 5] = [
        (&["", "s", "sec", "second", "seconds"], 1),
        (&["m", "min", "minute", "minutes"], 60),
        (&["h", "hour", "hours"], 3_600),
        (&["d", "day", "days"], 86_400),
        (&["w", "week", "weeks"], 604_800),
    ];
    let (number, unit) = number_and_unit(text);
    let factor = UNITS.iter().find(|(names, _)| names.iter().any(|name| unit.eq_ignore_ascii_case(name)))?.1;
    number?.checked_mul(factor)
}

fn log_max(text: &str) -> Result<u64, String> {
    let max = size(text)?;
    let least = limits::LOG_LEAST;
    if max >= least { Ok(max) } else { Err(format!("a log needs at least {least} bytes, or 1M")) }
}

/// A whole number, and what stands behind it.
fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    (number.parse().ok(), unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(size("100M"), Ok(100 << 20));
        assert_eq!(size("1g"), Ok(1 << 30));
        assert_eq!(size("512"), Ok(512));
        for ten_megabytes in ["10M", "10MB", "10mb", "10MiB", "10 MB", "10240K", "10485760B"] {
            assert_eq!(size(ten_megabytes), Ok(10 << 20), "{ten_megabytes}");
        }
        assert_eq!(size("1TB"), Ok(1 << 40));
        assert_eq!(time("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        for week in ["7d", "7 days", "1w", "168h", "10080min", "604800s"] {
            assert_eq!(time(week), Ok(Duration::from_secs(604_800)), "{week}");
        }
        assert_eq!((sync("0"), sync("0s"), sync("1d")), (Ok(Duration::ZERO), Ok(Duration::ZERO), time("24h")));
        for bad in ["", "K", "MB", "1X", "1MiBi", "-1", "1.5M", "99999999999999999999", "99999999999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "0s", "5y", "1h30m", "s", "99999999999h"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn servers() {
        for (text, want) in [
            ("example.org", "example.org:2428"),
            ("example.org:1", "example.org:1"),
            ("::1", "[::1]:2428"),
            ("[::1]", "[::1]:2428"),
            ("[::1]:1", "[::1]:1"),
            ("fe80::1%lo", "[fe80::1%lo]:2428"),
            ("[fe80::1%lo]", "[fe80::1%lo]:2428"),
            ("[fe80::1%lo]:1", "[fe80::1%lo]:1"),
        ] {
            assert_eq!(server(text).as_deref(), Ok(want), "{text}");
        }
        for bad in ["", ":", ":2428", "host:", "host:x", "host:99999"] {
            assert!(server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_options_are_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
