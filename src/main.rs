//! The command line, and what is said and done when something fails.

#[cfg(feature = "client")]
mod client_commands;

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
#[cfg(feature = "client")]
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

#[cfg(feature = "client")]
use chinwag::client::gallery;
use chinwag::config::{self, Config, Wrong};
use chinwag::ctl;
use chinwag::dialect::PLAIN;
use chinwag::effect::Reloaded;
use chinwag::home::{CONTROL, Home, TLS};
use chinwag::listener::{Carrier, cannot, reason};
use chinwag::options::{Mistake, Serve};
use chinwag::reactor::{Door, Reactor};
use chinwag::reload::Anew;
use chinwag::scrape::Monitors;
use chinwag::settings::{Accounts, Settings};
use chinwag::signals;
use chinwag::stderr::{Form, Stderr};
use chinwag::system;
use chinwag::tls::{self, Certificate};
use clap::error::{ContextKind, ErrorKind};
use clap::{Args, Parser, Subcommand};
use env_logger::Target;
use log::{Level, LevelFilter, info, warn};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag::{register, register_conditional_shutdown};

/// A chat of plain text lines, for nc, telnet and ten-line bots.
#[derive(Parser)]
#[command(version, about, long_about = None)]
pub(crate) struct Cli {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// Run the server
    Serve(Serve),
    /// Say whether serve could begin with these options, and change nothing
    Check(Serve),
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

/// Where packages have the data folder.
const DATA: &str = "/var/lib/chinwag";

#[derive(Args)]
struct Ctl {
    /// The data folder of the server [default: $CHINWAG_DATA, else /var/lib/chinwag]
    #[arg(long, value_name = "DIR", conflicts_with = "control")]
    data: Option<PathBuf>,
    /// The socket of the server, if it was given one with --control
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// A command and its words, as in kill mallory; help lists them
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl Ctl {
    /// Where the server is asked.
    fn door(&self) -> PathBuf {
        let folder = || std::env::var_os("CHINWAG_DATA").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let folder = self.data.clone().or_else(folder).unwrap_or_else(|| DATA.into());
        self.control.clone().unwrap_or_else(|| folder.join(CONTROL))
    }

    /// What is asked: behind a command `--help` asks for help on it, as what it takes is told to everybody, say.
    fn asked(&self, typed: &[OsString]) -> Vec<String> {
        match &*self.words {
            [command, .., last] if ["--help", "-h"].contains(&&**last) && typed.iter().all(|word| word != "--") => {
                vec!["help".to_owned(), command.clone()]
            }
            words => words.to_vec(),
        }
    }

    /// Why nothing is asked with this command line: an option behind the command would be a part of it, and may be told to everybody. Behind
    /// `--` all is meant as it stands.
    fn misplaced(&self, typed: &[OsString]) -> Option<String> {
        let is_option = |word: &String| ["--data", "--control"].contains(&word.split('=').next().unwrap_or_default());
        let word =
            self.words.iter().skip(1).find(|word| is_option(word)).filter(|_| typed.iter().all(|word| word != "--"))?;
        Some(format!(
            "{word} would be a part of the command; put it before COMMAND, as in chinwag ctl --data DIR {0}, or -- there if it is \
             meant so: chinwag ctl -- {0}",
            self.words[0]
        ))
    }
}

fn main() -> ExitCode {
    // A file that grows beyond the limit of its user is then an error like that of a full disk, and no end.
    let _ = register(SIGXFSZ, Arc::default());
    let words: Vec<OsString> = std::env::args_os().collect();
    let (mode, config) = match config::parse(&words) {
        Ok((Cli { mode }, config)) => (mode, config),
        Err(Wrong::Typed(error)) => refuse(error),
        Err(Wrong::Configured(text)) => {
            tell(&text);
            return ExitCode::FAILURE;
        }
    };
    let done = match mode {
        Mode::Serve(options) => start_log().and_then(|log| {
            let done = serve(options, &config, words, &log);
            log.finish();
            done
        }),
        Mode::Check(options) => start_log().and_then(|log| {
            let done = check(&options, &config);
            log.finish();
            done
        }),
        Mode::Ctl(ctl) => {
            let ask = || ctl::ask(&ctl.door(), &ctl.asked(&words), &mut io::stdout().lock());
            match ctl.misplaced(&words).map_or_else(ask, Err) {
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
/// and how the port is written that stood alone, as `nc` takes it, or had an option of its own.
fn refuse(mut error: clap::Error) -> ! {
    const QUOTES: &str = "put the room in quotes, as in '#lobby'; a shell takes a bare # for a comment";
    const COLON: &str = "the port goes behind the host and a colon, as in 127.0.0.1:2428";
    const LISTEN: &str = "the port belongs to --listen, as in --listen :2428";
    const SERVER: &str = "connect takes the server as it is, as in chinwag connect chat.example.org";
    const CONNECT: &str = "to chat on a server it is chinwag connect SERVER";
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let is_last = |known: &[&str]| words.last().is_some_and(|last| known.contains(&last.as_str()));
    let is_port = |word: &String| word.parse::<u16>().is_ok();
    let tip = match error.kind() {
        ErrorKind::InvalidValue if is_last(&["--join", "--to"]) => Some(QUOTES),
        ErrorKind::MissingRequiredArgument if is_last(&["say"]) => Some(QUOTES),
        ErrorKind::UnknownArgument
            if words[0] == "connect" && words.iter().any(|word| word.split('=').next() == Some("--server")) =>
        {
            // It would be how to have a server that is called --server.
            error.remove(ContextKind::Suggested);
            Some(SERVER)
        }
        ErrorKind::UnknownArgument if words[0] == "connect" && words.iter().any(is_port) => Some(COLON),
        ErrorKind::InvalidSubcommand => Some(CONNECT),
        ErrorKind::UnknownArgument if words[0] == "serve" && words.iter().any(|word| word.starts_with("--port")) => {
            Some(LISTEN)
        }
        _ => None,
    };
    let _ = error.print();
    if let Some(tip) = tip {
        let _ = writeln!(io::stderr(), "\n  tip: {tip}");
    }
    // Whatever is wrong, `check` says so with 1.
    let is_checked = error.exit_code() != 0 && words.first().is_some_and(|first| first == "check");
    std::process::exit(if is_checked { 1 } else { error.exit_code() })
}

/// Logs to standard error, from `info` on unless RUST_LOG says otherwise.
fn start_log() -> Result<Stderr, String> {
    let form = Form::of_stderr();
    let stderr = Stderr::start(form).map_err(|e| cannot("start the thread of the log", &e).to_string())?;
    env_logger::Builder::new()
        .filter_level(LevelFilter::Info)
        .parse_default_env()
        .target(Target::Pipe(Box::new(stderr.clone())))
        .format(move |out, record| writeln!(out, "{}", form.line(SystemTime::now(), record.level(), record.args())))
        .init();
    let spec = std::env::var("RUST_LOG").unwrap_or_default();
    // A word that is no level is taken for the name of a part of the program, of which nothing is told.
    let is_level = |word: &str| word.is_empty() || word.contains(['=', '/']) || word.parse::<LevelFilter>().is_ok();
    if let Some(word) = spec.split(',').map(str::trim).find(|word| !is_level(word)) {
        warn!("RUST_LOG has no level {word}; give error, warn, info, debug, trace or off");
    }
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

fn serve(options: Serve, config: &Config, words: Vec<OsString>, log: &Stderr) -> Result<(), String> {
    // Who sends such a signal does not know how far the start has come.
    let hangup = Some(signals::OF_A_RELOAD).filter(|_| !signals::ends_with_terminal());
    for signal in signals::OF_NOTE.into_iter().chain(hangup) {
        register(signal, Arc::default()).map_err(|e| reason(&e))?;
    }
    // Until it listens, there is nobody to say goodbye to.
    let starting = end_at_once(0)?;
    warn_of_overruled(config);
    let settings = options.settings().map_err(|mistake| config.tell(&mistake))?;
    let home = match &options.data {
        Some(dir) => Home::at(dir),
        None => Home::temporary(),
    };
    let home = home.map_err(|e| has_no_home(&options, config, &e))?;
    let settings = Settings { next_file: home.next_id(), ..settings };
    let certificate = options.certificate(home.tls().as_deref()).map_err(|mistake| config.tell(&mistake))?;
    let mut shown = certificate.clone();
    let has_secret_names = settings.log.is_some() && settings.accounts != Accounts::Off && !settings.clear_passwords;
    let addresses = options.addresses(certificate).map_err(|mistake| config.tell(&mistake))?;
    if options.data.is_none() {
        info!("without --data nothing is kept beyond the end of this process, and nobody can own a name");
    }
    info!("at most {} connections", settings.max_clients);
    let for_metrics = options.metrics_addresses(&addresses).map_err(|mistake| config.tell(&mistake))?;
    let metrics = Monitors { addresses: for_metrics, origins: options.origins() };
    let door = Door { dialect: &PLAIN, addresses };
    look_at_control(&options, config)?;
    let control = options.control.clone();
    let reader = Box::new(move || reload(&words, &options, &mut shown));
    let mut reactor = Reactor::open(&[door], metrics, control, home, settings, reader).map_err(|e| reason(&e))?;
    starting.store(false, Ordering::SeqCst);
    reactor.tell_ready();
    let addresses = reactor.addresses().map_err(|e| reason(&e))?;
    let is_own = |(address, carrier): &(SocketAddr, &Carrier)| {
        address.ip().to_canonical().is_loopback() && !matches!(carrier, Carrier::Proxied(_))
    };
    // A door for browsers is on this machine where a proxy of it lets others in.
    let own = addresses.iter().find(|(_, carrier)| !carrier.is_web()).filter(|_| addresses.iter().all(is_own));
    if let Some((first, carrier)) = own {
        let (ip, port, option) = (first.ip(), first.port(), carrier.option());
        info!("only this machine can come in, as {ip} is its own; --{option} :{port} is for others too");
    }
    let is_in_clear = |(_, carrier): &(SocketAddr, &Carrier)| matches!(carrier, Carrier::Plain | Carrier::Web(_));
    if has_secret_names && !addresses.iter().all(is_own) && addresses.iter().all(is_in_clear) {
        info!(
            "names can be registered, and logged in to, from this machine alone, as others on the way could read the passwords; \
             --tls :2429 is for others too, or --clear-passwords allow"
        );
    }
    // Who reads that it listens can read all that was said before.
    log.finish();
    // Whoever started the server may read it never; that is no reason not to serve.
    let metrics = reactor.metrics_addresses().map_err(|e| reason(&e))?;
    let (web, others): (Vec<_>, Vec<_>) = addresses.iter().partition(|(_, carrier)| carrier.is_web());
    let told = |listening: Vec<&(SocketAddr, &Carrier)>| {
        listening.iter().map(|(address, carrier)| carrier.told(*address) + "\n").collect::<String>()
    };
    let metrics: String = metrics.iter().map(|address| format!("metrics http://{address}/\n")).collect();
    let listening = told(others) + &metrics + &told(web);
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

/// Reads the options and their files once more, which are those of the start in `started`. `shown` is the certificate until then and from
/// then on.
fn reload(words: &[OsString], started: &Serve, shown: &mut Option<Certificate>) -> Result<Anew, String> {
    let (Cli { mode }, config) = config::parse(words).map_err(|wrong| wrong.text())?;
    let Mode::Serve(options) = mode else { return Err("the command line is none of a server".to_owned()) };
    warn_of_overruled(&config);
    let settings = options.settings().map_err(|mistake| config.tell(&mistake))?;
    let own = started.data.as_ref().map(|dir| dir.join(TLS));
    if let (Some(own), Some(shown)) = (&own, &shown) {
        tls::put_back(own, shown);
    }
    let certificate = options.certificate(own.as_deref()).map_err(|mistake| config.tell(&mistake))?;
    // Only a start listens there, but it is not to find out what is wrong.
    let addresses = options.addresses(certificate.clone()).map_err(|mistake| config.tell(&mistake))?;
    options.metrics_addresses(&addresses).map_err(|mistake| config.tell(&mistake))?;
    shown.clone_from(&certificate);
    let warning = certificate.as_ref().and_then(|certificate| certificate.warning(SystemTime::now()));
    let odd = warning.map(|warning| format!("the certificate {warning}"));
    let what = Reloaded { settings, restart: started.restarts(&options), odd };
    Ok(Anew { what, certificate, proxies: options.proxies(), origins: options.origins() })
}

/// Says on standard output that a server could begin with these options; else it is an error, in the words of the server.
fn check(options: &Serve, config: &Config) -> Result<(), String> {
    warn_of_overruled(config);
    let settings = options.settings().map_err(|mistake| config.tell(&mistake))?;
    Home::look(options.data.as_deref()).map_err(|e| has_no_home(options, config, &e))?;
    if let Some(dir) = &options.data {
        system::look(dir, &settings).map_err(|e| reason(&e))?;
    }
    let own = options.data.as_ref().map(|dir| dir.join(TLS));
    let certificate = options.certificate_there(own.as_deref()).map_err(|mistake| config.tell(&mistake))?;
    let addresses = options.addresses(certificate).map_err(|mistake| config.tell(&mistake))?;
    options.metrics_addresses(&addresses).map_err(|mistake| config.tell(&mistake))?;
    match (&options.control, &options.data) {
        (None, Some(dir)) => system::look_at_own_control(dir),
        _ => look_at_control(options, config)?,
    }
    writeln!(io::stdout(), "ok").map_err(|e| cannot("write the answer", &e).to_string())
}

/// Says which lines of the configuration file do not count, as something else is typed: `data` may stand there, and the server keeps
/// what it keeps elsewhere.
fn warn_of_overruled(config: &Config) {
    if let Some(overruled) = config.overruled() {
        warn!("{overruled}");
    }
}

/// Why there is no folder for files, and what to do.
fn has_no_home(options: &Serve, config: &Config, e: &io::Error) -> String {
    let why = reason(e);
    match &options.data {
        Some(dir) => config.tell(&Mistake::of("data")(format!("cannot keep files in {}: {why}", dir.display()))),
        None => {
            let parent = std::env::temp_dir();
            format!("cannot make a folder for files in {}: {why}; set TMPDIR, or give --data", parent.display())
        }
    }
}

/// What would keep a server with these options from opening the operator's door where it is wanted.
fn look_at_control(options: &Serve, config: &Config) -> Result<(), String> {
    let look = |path: &PathBuf| system::look_at_control(path, options.data.as_deref());
    options.control.as_ref().map_or(Ok(()), look).map_err(|e| config.tell(&Mistake::of("control")(reason(&e))))
}

/// Tells on standard error what goes wrong, or might, while other things go on.
fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}chinwag: {text}", Form::of_stderr().lead(Level::Error));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_are_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
