//! The command line: options, and what is said and done when something fails.

#[cfg(feature = "client")]
mod client_commands;

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(feature = "client")]
use std::num::NonZero;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

#[cfg(feature = "client")]
use chinwag::client::gallery;
use chinwag::ctl;
use chinwag::dialect::PLAIN;
use chinwag::home::{CONTROL, Home};
use chinwag::limits;
use chinwag::listener::{Entrance, LISTENERS, TOKENS, cannot, reason};
use chinwag::names::clean;
use chinwag::reactor::{Door, Reactor};
use chinwag::settings::{self, Logging, RoomMakers, Settings};
use chinwag::signals;
use chinwag::stderr::Stderr;
use chinwag::time::in_seconds;
use chinwag::tls::{self, Certificate};
use chinwag::transport::Tls;
use clap::error::ErrorKind as Wrong;
use clap::{Args, Parser, Subcommand, ValueEnum};
use env_logger::Target;
use log::{LevelFilter, info, warn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
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
    /// Do what operators do, on the machine of the server
    Ctl(Ctl),
    #[cfg(feature = "client")]
    /// Chat: in a terminal with everything, in a pipe as with nc
    Connect(client_commands::Connect),
    #[cfg(feature = "client")]
    /// Share files, and print their IDs
    Send(client_commands::Send),
    #[cfg(feature = "client")]
    /// Fetch files, and print where they are
    Get(client_commands::Get),
    #[cfg(feature = "client")]
    /// Say something, for scripts
    Say(client_commands::Say),
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

/// Where a server listens unless it is told otherwise.
const SERVER: &str = "127.0.0.1:2428";
/// Where a server listens for TLS if its address has no port.
const TLS_PORT: u16 = 2429;
/// The largest file that a server takes unless it is told otherwise, in bytes.
const MAX_FILE: u64 = 100 << 20;
/// How long what is read at the start may send nothing, if it is a pipe.
const PIPE: Timespec = Timespec { tv_sec: 3, tv_nsec: 0 };

/// Sizes take K, M, G and T, with or without a B; times take s, m, h and d.
#[derive(Args)]
struct Serve {
    /// Listen here; may be given several times. Port 0 picks a free one, none listens nowhere in clear
    #[arg(long, value_name = "ADDR", default_value = SERVER)]
    listen: Vec<String>,
    /// Listen here for TLS, on port 2429 if none is given; may be given several times [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    tls: Vec<String>,
    /// The certificate for TLS, with those of its authorities behind it, in PEM [default: one made in --data]
    #[arg(long, value_name = "FILE", requires_all = ["tls", "key"])]
    cert: Option<PathBuf>,
    /// The key of the certificate, in PEM [default: the one made with it]
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
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
    /// The largest file [default: 100M, or --spool if that is less]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_file: Option<u64>,
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
    /// The socket by which operators come in [default: ctl in --data, else none]
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// How much of what was said a loss of power may cost; 0 is nothing, and slow
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = sync, requires = "data")]
    sync: Duration,
    /// The space for the log of one room; the older half goes when it is full
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = log_max, requires = "data")]
    log_max: u64,
    /// Whether people may own names: whoever registers one, only whom you give one, or nobody [default: open with --data, else off]
    #[arg(long, value_name = "WHO")]
    accounts: Option<Accounts>,
    /// Whether passwords of names may come over connections on which others can read along
    #[arg(long, value_name = "SWITCH", default_value = "refuse")]
    clear_passwords: Clear,
    /// How long a name is kept for an owner who does not come; 0 is for ever
    #[arg(long, value_name = "TIME", default_value = "365d", value_parser = name_ttl)]
    name_ttl: Duration,
    /// Who may make rooms: whoever comes, or only people who own their names
    #[arg(long, value_name = "WHO", default_value = "open")]
    rooms: Rooms,
    /// What guests may do, who own no name: what rooms let them, only listen, or only stay if they are here
    #[arg(long, value_name = "SWITCH", default_value = "on")]
    guests: Guests,
}

#[derive(Args)]
struct Ctl {
    /// The data folder of the server
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "control")]
    data: PathBuf,
    /// The socket of the server, if it was given one with --control
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// A command and its words, as in kill mallory; help lists them
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Accounts {
    Open,
    Closed,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Clear {
    Allow,
    Refuse,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Guests {
    On,
    Listen,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rooms {
    Open,
    Named,
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
        Mode::Ctl(Ctl { data, control, words }) => {
            let path = control.unwrap_or_else(|| data.join(CONTROL));
            match ctl::ask(&path, &words, &mut io::stdout().lock()) {
                Ok(ctl::Answer::Done) => Ok(()),
                // It is told already.
                Ok(ctl::Answer::Refused) => return ExitCode::FAILURE,
                Err(e) => Err(e),
            }
        }
        #[cfg(feature = "client")]
        Mode::Connect(options) => client_commands::connect(options),
        #[cfg(feature = "client")]
        Mode::Send(options) => client_commands::send(options),
        #[cfg(feature = "client")]
        Mode::Get(options) => client_commands::get(options),
        #[cfg(feature = "client")]
        Mode::Say(options) => client_commands::say(options),
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
        Wrong::InvalidValue if is_last(&["--join", "--to"]) => Some(QUOTES),
        Wrong::MissingRequiredArgument if is_last(&["say"]) => Some(QUOTES),
        Wrong::UnknownArgument if words[0] == "connect" && words.iter().any(is_port) => Some(COLON),
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
            let at = in_seconds(SystemTime::now());
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
    // Who sends such a signal does not know how far the start has come.
    for signal in signals::of_no_end() {
        register(signal, Arc::default()).map_err(|e| reason(&e))?;
    }
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
    let addresses = addresses(options, &home)?;
    info!("at most {} connections", settings.max_clients);
    let door = Door { dialect: &PLAIN, addresses };
    let mut reactor = Reactor::open(&[door], options.control.clone(), home, settings).map_err(|e| reason(&e))?;
    starting.store(false, Ordering::SeqCst);
    let addresses = reactor.addresses().map_err(|e| reason(&e))?;
    if let Some((_, first)) = addresses.first().filter(|_| addresses.iter().all(|(_, at)| at.ip().is_loopback())) {
        let (ip, port) = (first.ip(), first.port());
        info!("only this machine can come in, as {ip} is its own; --listen 0.0.0.0:{port} is for others too");
    }
    // Who reads that it listens can read all that was said before.
    log.finish();
    // Whoever started the server may read it never; that is no reason not to serve.
    let listens = |&(entrance, address): &(&Entrance, SocketAddr)| match entrance {
        Entrance::Clear => format!("listening {address}\n"),
        Entrance::Tls(_) => format!("tls {address}\n"),
    };
    let listening: String = addresses.iter().map(listens).collect();
    let write = move || {
        let mut out = io::stdout();
        let _ = out.write_all(listening.as_bytes()).and_then(|()| out.flush());
    };
    thread::Builder::new().name("stdout".into()).spawn(write).map_err(|e| cannot("start a thread", &e).to_string())?;
    let end = reactor.run().map_err(|e| format!("the event loop failed: {}", reason(&e)));
    // What is left is to tidy up. Should the disk hang over it, another signal does not wait for that.
    end_at_once(1)?;
    end
}

/// Tells on standard error what goes wrong, or might, while other things go on.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "chinwag: {text}");
}

fn settings(options: &Serve) -> Result<Settings, String> {
    let room = room_for_clients(if options.tls.is_empty() { 0 } else { limits::ARRIVING })?;
    let max_clients = if options.max_clients == 0 { room } else { options.max_clients.min(room) };
    if options.max_clients > room {
        let wanted = options.max_clients;
        warn!("the file-descriptor limit leaves no more than {room} connections of {wanted}; raise it with ulimit -n");
    }
    if options.max_file.is_some_and(|max_file| max_file > options.spool) {
        return Err(
            "--max-file is larger than --spool, the space for all files together; set it to at most that".into()
        );
    }
    let log_may_be_short = options.history as u64 > options.log_max / 2 / limits::LINE as u64;
    if options.data.is_some() && log_may_be_short {
        warn!("if messages are long, fewer than --history may be there after a restart; raise --log-max");
    }
    let has_accounts = options.data.is_some() && options.accounts != Some(Accounts::Off);
    if options.guests == Guests::Off && !has_accounts {
        warn!("with --guests off nobody comes in, as nobody owns a name here; give --data, without --accounts off");
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| format!("cannot draw what secrets are made of: {e}"))?;
    Ok(Settings {
        name: options.name.clone(),
        motd: options.motd.as_deref().map(motd).transpose()?.unwrap_or_default(),
        password: options.password_file.as_deref().map(our_password).transpose()?,
        max_clients,
        max_per_ip: options.max_per_ip,
        rate: options.rate,
        history: options.history,
        max_file: options.max_file.unwrap_or(MAX_FILE.min(options.spool)),
        spool: options.spool,
        file_ttl: options.file_ttl,
        stall: options.stall,
        log: options.data.is_some().then_some(Logging { max: options.log_max, sync: options.sync }),
        next_file: 1,
        accounts: match options.accounts.unwrap_or(Accounts::Open) {
            Accounts::Open => settings::Accounts::Open,
            Accounts::Closed => settings::Accounts::Closed,
            Accounts::Off => settings::Accounts::Off,
        },
        clear_passwords: options.clear_passwords == Clear::Allow,
        name_ttl: Some(options.name_ttl).filter(|ttl| !ttl.is_zero()),
        seed,
        room_makers: match options.rooms {
            Rooms::Open => RoomMakers::Anybody,
            Rooms::Named => RoomMakers::Named,
        },
        guests: match options.guests {
            Guests::On => settings::Guests::On,
            Guests::Listen => settings::Guests::Listen,
            Guests::Off => settings::Guests::Off,
        },
    })
}

/// Raises the limit of descriptors as far as the system allows, and tells how many connections that leaves besides so many that arrive.
fn room_for_clients(arriving: usize) -> Result<usize, String> {
    /// For listeners, operators, those who are turned away or have not gone yet, files of the spool, logs of rooms that are open, to be
    /// synced or being synced, and the rest.
    const OTHERS: usize = TOKENS
        + limits::CONTROLS
        + limits::APPLYING
        + limits::REJECTED
        + limits::LINGERING
        + 4 * limits::FILES_OPEN
        + 16;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current };
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit < limits::DESCRIPTORS {
        let least = limits::DESCRIPTORS;
        return Err(format!("cannot serve with {limit} open files; raise the limit to {least} or more with ulimit -n"));
    }
    // A small limit leaves half of itself.
    Ok(limit.saturating_sub(OTHERS + arriving).max(limit / 2))
}

/// Where to listen, and how connections begin there: first those in clear.
fn addresses(options: &Serve, home: &Home) -> Result<Vec<(Entrance, SocketAddr)>, String> {
    let mut wanted: Vec<(Entrance, String)> = Vec::new();
    if options.listen != ["none"] {
        wanted.extend(options.listen.iter().map(|address| (Entrance::Clear, address.clone())));
    }
    if !options.tls.is_empty() {
        let tls = Rc::new(Tls::new(certificate(options, home)?));
        let with_port = |address: &String| (Entrance::Tls(Rc::clone(&tls)), with_port(address, TLS_PORT));
        wanted.extend(options.tls.iter().map(with_port));
    }
    if wanted.is_empty() {
        return Err("with --listen none nobody can come in; give --tls too".into());
    }
    let mut found: Vec<(Entrance, SocketAddr)> = Vec::new();
    for (entrance, address) in wanted {
        let resolved =
            resolve(&address).map_err(|why| format!("cannot listen on {address}: {why}; it takes HOST:PORT"))?;
        for resolved in resolved {
            match found.iter().find(|(_, other)| *other == resolved && resolved.port() != 0) {
                None => found.push((entrance.clone(), resolved)),
                Some((Entrance::Clear, _)) if matches!(entrance, Entrance::Tls(_)) => {
                    return Err(format!("cannot listen on {resolved} in clear and for TLS; take another port for one"));
                }
                Some(_) => {}
            }
        }
    }
    if found.len() > LISTENERS {
        return Err(format!("cannot listen on {} addresses, only on {LISTENERS}", found.len()));
    }
    let sockets: Vec<SocketAddr> = found.iter().map(|(_, address)| *address).collect();
    for all in sockets.iter().filter(|all| all.ip().is_unspecified() && all.port() != 0) {
        let is_within = |one: &&SocketAddr| *one != all && one.port() == all.port() && one.is_ipv4() == all.is_ipv4();
        if let Some(one) = sockets.iter().find(is_within) {
            return Err(format!(
                "cannot listen on {one} besides {all}, which takes in all addresses; leave one of them out"
            ));
        }
    }
    Ok(found)
}

/// An address with this port, if it has none.
fn with_port(address: &str, port: u16) -> String {
    match address.parse() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) if address.contains(':') && !address.ends_with(']') => address.to_owned(),
        Err(_) => format!("{address}:{port}"),
    }
}

/// The certificate that is shown in TLS. It is told which it is, as people compare that.
fn certificate(options: &Serve, home: &Home) -> Result<Certificate, String> {
    let certificate = match (&options.cert, &options.key, home.tls()) {
        (Some(cert), Some(key), _) => tls::load(cert, key)?,
        (_, _, Some(folder)) => tls::own(&folder)?,
        _ => return Err("--tls needs a certificate; give --cert and --key, or --data, where one is made".into()),
    };
    info!("{certificate:?}");
    if certificate.is_slow() {
        warn!(
            "the key of the certificate is of RSA, with which a handshake takes six times as long as with one of P-256"
        );
    }
    Ok(certificate)
}

/// The addresses that HOST:PORT stands for. An IPv6 address may name its network interface, as in `[fe80::1%eth0]:2428`.
fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    let named = address.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")).filter(|(ip, _)| ip.contains('%'));
    let resolved = match named.and_then(|(ip, port)| Some((ip, port.parse::<u16>().ok()?))) {
        Some((ip, port)) => (ip, port).to_socket_addrs(),
        None => address.to_socket_addrs(),
    };
    resolved.map(Iterator::collect).map_err(|e| reason(&e))
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

/// The password of a file that is ours, and of others only if they are told of.
fn our_password(path: &Path) -> Result<String, String> {
    let password = password(path)?;
    if others_can_read(path) {
        warn!("others on this machine can read the password in {0}; chmod 600 {0} keeps it to you", path.display());
    }
    Ok(password)
}

/// Whether users besides the owner of a file may read it.
fn others_can_read(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o044 != 0)
}

/// Reads a file of at most `limit` bytes, without the mark that some editors put before its text. A pipe will do, as long as
/// something comes through it.
fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    // To open a pipe would else wait for its writer.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let read = opened.and_then(|file| Piped(file).take(limit + 1).read_to_end(&mut bytes));
    let read = read.map_err(|e| {
        let hint = match e.kind() {
            ErrorKind::PermissionDenied => "; let the user read it that the server runs as",
            _ => "",
        };
        format!("cannot read {}: {}{hint}", path.display(), reason(&e))
    })?;
    if read as u64 > limit {
        return Err(format!("cannot use {}: it must be a file of at most {limit} bytes", path.display()));
    }
    let mark = "\u{feff}".as_bytes();
    Ok(bytes.strip_prefix(mark).unwrap_or(&bytes).to_vec())
}

/// A file that is waited for only so long if it is a pipe.
struct Piped(File);

impl Read for Piped {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&PIPE))? == 0 {
            let why = format!("it is a pipe, and nothing came through it in {} seconds; give a file", PIPE.tv_sec);
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        self.0.read(bytes)
    }
}

fn name(text: &str) -> Result<String, String> {
    let name = clean(text.trim().as_bytes()).into_owned();
    if (1..=80).contains(&name.len()) { Ok(name) } else { Err("a name has 1 to 80 bytes".into()) }
}

fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 5] = [("", 1), ("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)];
    let (number, unit) = number_and_unit(text);
    let is = |name: &str| {
        [name.to_owned(), format!("{name}B"), format!("{name}iB")].iter().any(|name| unit.eq_ignore_ascii_case(name))
    };
    match UNITS.iter().find(|(name, _)| is(name)).and_then(|(_, factor)| Some(number?.saturating_mul(*factor))) {
        None => Err("a size is a whole number with K, M, G or T, as in 10M or 10MB, or of bytes".into()),
        Some(u64::MAX) => Err(format!("a size is at most {}T", u64::MAX >> 40)),
        Some(size) => Ok(size),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        None | Some(0) => Err("a time is a whole number with s, m, h or d, as in 7d, and more than 0".into()),
        Some(seconds) => at_most(seconds),
    }
}

fn sync(text: &str) -> Result<Duration, String> {
    seconds(text)?.map_or_else(
        || Err("a time is a whole number with s, m, h or d, as in 2s; 0 waits for the disk each time".into()),
        at_most,
    )
}

/// A time of so many seconds, if it is not too long.
fn at_most(seconds: u64) -> Result<Duration, String> {
    let longest = u64::from(u32::MAX);
    if seconds <= longest {
        Ok(Duration::from_secs(seconds))
    } else {
        Err(format!("a time is at most {}d", longest / 86_400))
    }
}

fn name_ttl(text: &str) -> Result<Duration, String> {
    seconds(text)?
        .map_or_else(|| Err("a time is a whole number with s, m, h or d, as in 365d; 0 is for ever".into()), at_most)
}

/// The seconds that a time has; the most there are for one that has more. It is an error if nothing tells of what it has so many:
/// who writes 24 means hours, perhaps.
fn seconds(text: &str) -> Result<Option<u64>, String> {
    const UNITS: [(&[&str], u64); 5] = [
        (&["s", "sec", "second", "seconds"], 1),
        (&["m", "min", "minute", "minutes"], 60),
        (&["h", "hour", "hours"], 3_600),
        (&["d", "day", "days"], 86_400),
        (&["w", "week", "weeks"], 604_800),
    ];
    let (number, unit) = number_and_unit(text);
    match (number, unit) {
        (Some(0), "") => return Ok(Some(0)),
        (Some(_), "") => return Err(format!("{text} of what? Write {text}s, {text}m, {text}h or {text}d")),
        _ => {}
    }
    let unit = UNITS.iter().find(|(names, _)| names.iter().any(|name| unit.eq_ignore_ascii_case(name)));
    Ok(number.zip(unit).map(|(number, (_, factor))| number.saturating_mul(*factor)))
}

fn log_max(text: &str) -> Result<u64, String> {
    let max = size(text)?;
    let least = limits::LOG_LEAST;
    if max >= least { Ok(max) } else { Err(format!("a log needs at least {least} bytes, or 1M")) }
}

/// A whole number, which is the largest there is if it is larger, and what stands behind it.
fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    ((!number.is_empty()).then(|| number.parse().unwrap_or(u64::MAX)), unit.trim_start())
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
        assert_eq!(time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(time("24"), Err("24 of what? Write 24s, 24m, 24h or 24d".to_owned()));
        assert_eq!((sync("1"), name_ttl("365")), (Err("1 of what? Write 1s, 1m, 1h or 1d".to_owned()), time("365")));
        assert_eq!((name_ttl("0"), name_ttl("9 weeks")), (Ok(Duration::ZERO), time("63d")));
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
        // What is only too large is told how large it may be, and that is so.
        for large in ["16777216T", "99999999999999999999", "99999999999999999G"] {
            assert_eq!(size(large), Err("a size is at most 16777215T".to_owned()), "{large}");
        }
        assert_eq!(size("16777215T"), Ok(16_777_215 << 40));
        for large in ["49711d", "99999999999h", "99999999999999999999s", "4294967296s"] {
            assert_eq!(
                (time(large), sync(large)),
                (Err("a time is at most 49710d".to_owned()), time(large)),
                "{large}"
            );
        }
        assert_eq!(time("49710d"), Ok(Duration::from_secs(49_710 * 86_400)));
    }

    #[test]
    fn the_options_are_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
