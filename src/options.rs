//! The options of `serve`, and what they set.

pub mod files;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::{ArgGroup, Args, ValueEnum};
use log::{info, warn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::home::space_for_files;
use crate::limits;
use crate::listener::{Carrier, Proxies, TOKENS, reason};
use crate::names::{Wire, clean};
use crate::register::entry::Network;
use crate::settings::{self, Logging, RoomMakers, Settings};
use crate::text::bytes;
use crate::tls::{self, Bad, Certificate};
use crate::transport::Tls;
use crate::web::{PageOrigin, WebDoor};

use self::files::{everybody_can_read, motd, our_password, read_file};

/// Where a server listens unless it is told otherwise.
const SERVER: &str = "127.0.0.1:2428";
/// Where a server listens for TLS if its address has no port.
const TLS_PORT: u16 = 2429;
/// Where a server listens for browsers if it is not told where.
const WEB: &str = "127.0.0.1:2480";
/// Where a server listens for browsers in TLS if its address has no port.
const WEB_TLS_PORT: u16 = 2481;
/// The largest file that a server takes unless it is told otherwise, in bytes.
const MAX_FILE: u64 = 100 << 20;

/// Why options cannot be used.
#[derive(Debug)]
pub struct Mistake {
    /// The option that it is about, without dashes, if it is about one.
    pub option: Option<&'static str>,
    /// Which of its values it is about, where it may have several.
    pub value: Option<String>,
    /// What is wrong, and what to do.
    pub text: String,
}

impl Mistake {
    /// One that is about this option.
    pub fn of(option: &'static str) -> impl Fn(String) -> Self {
        move |text| Self { option: Some(option), value: None, text }
    }
}

impl From<String> for Mistake {
    fn from(text: String) -> Self {
        Self { option: None, value: None, text }
    }
}

/// Sizes take K, M, G and T, with or without a B; times take s, m, h and d.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("encrypted").multiple(true).args(["tls", "web_tls"])))]
pub struct Serve {
    /// Read options from FILE too, one a line, without dashes; what is typed wins [default: none]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen here; may be given several times. :PORT stands for all addresses, port 0 picks a free one, none listens nowhere in clear
    #[arg(long, value_name = "ADDR", default_value = SERVER)]
    listen: Vec<String>,
    /// Listen here for TLS, on port 2429 if none is given; may be given several times [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    tls: Vec<String>,
    /// The certificate for TLS, with those of its authorities behind it, in PEM [default: one made in --data]
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// The key of the certificate, in PEM [default: the one made with it]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Listen here for proxies that say in a PROXY header for whom a connection is; may be given several times [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    proxy_listen: Vec<String>,
    /// The proxies that are believed, an address or ADDRESS/LEN; may be given several times
    #[arg(long, value_name = "PREFIX", value_parser = network, default_values = ["127.0.0.0/8", "::1"])]
    proxy_from: Vec<Network>,
    /// Take it that nobody can read along up to the proxies, as they take TLS alone [default: what they say]
    #[arg(long)]
    proxy_secure: bool,
    /// Listen here for browsers, on 127.0.0.1:2480 if no address is given; may be given several times [default: nowhere]
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = WEB)]
    web: Vec<String>,
    /// The same over TLS, on port 2481 if none is given [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    web_tls: Vec<String>,
    /// A name of the server of which pages may talk to it, as in https://chat.example.org; may be given several times [default: none]
    #[arg(long, value_name = "URL", value_parser = origin)]
    origin: Vec<PageOrigin>,
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
    #[arg(long, value_name = "N", value_parser = number::<usize>, default_value_t = 0)]
    max_clients: usize,
    /// Connections from one IPv4 address or IPv6 /64, loopback not counted; 0 is no limit
    #[arg(long, value_name = "N", value_parser = number::<usize>, default_value_t = 100)]
    max_per_ip: usize,
    /// Lines a second from one connection, with three seconds' worth at once; 0 is no limit
    #[arg(long, value_name = "N", value_parser = number::<u32>, default_value_t = 20)]
    rate: u32,
    /// Lines that a room remembers
    #[arg(long, value_name = "N", value_parser = number::<usize>, default_value_t = 200)]
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
    pub data: Option<PathBuf>,
    /// The socket by which operators come in [default: ctl in --data, else none]
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Let monitors such as Prometheus fetch the figures of the server here, over HTTP [default: nowhere]
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<String>,
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

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Accounts {
    Open,
    Closed,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Clear {
    Allow,
    Refuse,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Guests {
    On,
    Listen,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Rooms {
    Open,
    Named,
}

impl Serve {
    /// The options that `new` has otherwise and that only a start takes.
    pub fn restarts(&self, new: &Self) -> Vec<&'static str> {
        let of_the_start = [
            ("listen", self.listen != new.listen),
            ("tls", self.tls != new.tls),
            ("proxy-listen", self.proxy_listen != new.proxy_listen),
            ("web", self.web != new.web),
            ("web-tls", self.web_tls != new.web_tls),
            ("metrics", self.metrics != new.metrics),
            ("data", self.data != new.data),
            ("control", self.control != new.control),
            ("spool", self.spool != new.spool),
        ];
        of_the_start.into_iter().filter_map(|(option, has_changed)| has_changed.then_some(option)).collect()
    }

    /// What the options set, with what the files say that they name. An error says what to do; what is only odd is said in the log.
    pub fn settings(&self) -> Result<Settings, Mistake> {
        let has_arrivals = [&self.tls, &self.proxy_listen, &self.web, &self.web_tls].iter().any(|at| !at.is_empty());
        let (room, others) = room_for_clients(if has_arrivals { limits::ARRIVING } else { 0 })?;
        let max_clients = if self.max_clients == 0 { room } else { self.max_clients.min(room) };
        if self.max_clients > room {
            let (wanted, needed) = (self.max_clients, self.max_clients.saturating_add(others));
            warn!(
                "the file-descriptor limit leaves no more than {room} connections of {wanted}; raise it with ulimit -n {needed}, or \
                 LimitNOFILE={needed} in a unit of systemd"
            );
        }
        if self.max_file.is_some_and(|max_file| max_file > self.spool) {
            return Err(Mistake::of("max-file")(
                "--max-file is larger than --spool, the space for all files together; set it to at most that".into(),
            ));
        }
        if let Some(space) = space_for_files(self.data.as_deref()).filter(|space| *space < self.spool) {
            let (spool, space) = (bytes(self.spool), bytes(space));
            warn!(
                "shared files may take {spool}, and their disk has {space} for them; when it is full, nothing of what is said is kept; give \
                 less with --spool"
            );
        }
        let log_may_be_short = self.history as u64 > self.log_max / 2 / limits::LINE as u64;
        if self.data.is_some() && log_may_be_short {
            warn!("if messages are long, fewer than --history may be there after a restart; raise --log-max");
        }
        let has_accounts = self.data.is_some() && self.accounts != Some(Accounts::Off);
        if self.guests == Guests::Off && !has_accounts {
            warn!("with --guests off nobody comes in, as nobody owns a name here; give --data, without --accounts off");
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| format!("cannot draw what secrets are made of: {e}"))?;
        Ok(Settings {
            name: self.name.clone(),
            motd: self.motd.as_deref().map(motd).transpose().map_err(Mistake::of("motd"))?.unwrap_or_default(),
            password: self
                .password_file
                .as_deref()
                .map(our_password)
                .transpose()
                .map_err(Mistake::of("password-file"))?,
            max_clients,
            max_per_ip: self.max_per_ip,
            rate: self.rate,
            history: self.history,
            max_file: self.max_file.unwrap_or(MAX_FILE.min(self.spool)),
            spool: self.spool,
            file_ttl: self.file_ttl,
            stall: self.stall,
            log: self.data.is_some().then_some(Logging { max: self.log_max, sync: self.sync }),
            next_file: 1,
            tls: None,
            clear: None,
            accounts: match self.accounts.unwrap_or(Accounts::Open) {
                Accounts::Open => settings::Accounts::Open,
                Accounts::Closed => settings::Accounts::Closed,
                Accounts::Off => settings::Accounts::Off,
            },
            clear_passwords: self.clear_passwords == Clear::Allow,
            name_ttl: Some(self.name_ttl).filter(|ttl| !ttl.is_zero()),
            proxies: self.proxy_from.clone(),
            seed,
            room_makers: match self.rooms {
                Rooms::Open => RoomMakers::Anybody,
                Rooms::Named => RoomMakers::Named,
            },
            guests: match self.guests {
                Guests::On => settings::Guests::On,
                Guests::Listen => settings::Guests::Listen,
                Guests::Off => settings::Guests::Off,
            },
        })
    }

    /// Where to listen, and what comes in there, in the order in which that is told. An error says what to do.
    pub fn addresses(&self, certificate: Option<Certificate>) -> Result<Vec<(SocketAddr, Carrier)>, Mistake> {
        let mut wanted: Vec<(Carrier, String)> = Vec::new();
        if self.listen != ["none"] {
            wanted.extend(self.listen.iter().map(|address| (Carrier::Plain, address.clone())));
        }
        let tls = certificate.map(|certificate| Rc::new(Tls::new(certificate)));
        if let Some(tls) = &tls {
            wanted.extend(self.tls.iter().map(|address| (Carrier::Tls(Rc::clone(tls)), address.clone())));
        }
        if self.proxy_secure && self.proxy_listen.is_empty() {
            warn!("--proxy-secure is for proxies, which come in nowhere; give --proxy-listen too, or leave it out");
        }
        let proxied = Carrier::Proxied(self.proxies());
        wanted.extend(self.proxy_listen.iter().map(|address| (proxied.clone(), address.clone())));
        let door = Rc::new(WebDoor::new(self.origin.clone(), self.proxy_from.clone()));
        wanted.extend(self.web.iter().map(|address| (Carrier::Web(Rc::clone(&door)), address.clone())));
        if let Some(tls) = tls {
            let carrier = Carrier::WebTls(door, tls);
            wanted.extend(self.web_tls.iter().map(|address| (carrier.clone(), address.clone())));
        }
        if wanted.is_empty() {
            return Err("with --listen none nobody can come in; give --tls, --web or --proxy-listen too"
                .to_owned()
                .into());
        }
        addresses(&wanted).map_err(|(n, text)| {
            let (carrier, address) = &wanted[n];
            Mistake { option: Some(carrier.option()), value: Some(address.clone()), text }
        })
    }

    /// The proxies that are believed.
    pub fn proxies(&self) -> Proxies {
        let wire = if self.proxy_secure { Wire::Secure } else { Wire::Clear };
        Proxies { from: self.proxy_from.clone(), wire }
    }

    /// Pages of which names may talk to the server besides those that its own have.
    pub fn origins(&self) -> Vec<PageOrigin> {
        self.origin.clone()
    }

    /// Where monitors fetch the metrics, which is none of the `others`. An error says what to do.
    pub fn metrics_addresses(&self, others: &[(SocketAddr, Carrier)]) -> Result<Vec<SocketAddr>, Mistake> {
        let wanted: Vec<_> = self.metrics.iter().map(|address| (Carrier::Plain, address.clone())).collect();
        let found = addresses(&wanted).map_err(|(_, text)| Mistake::of("metrics")(text))?;
        let found: Vec<SocketAddr> = found.into_iter().map(|(address, _)| address).collect();
        match others.iter().find(|(other, _)| other.port() != 0 && found.contains(other)) {
            Some((same, carrier)) => Err(Mistake::of("metrics")(clash(*same, carrier.option(), "metrics"))),
            None => Ok(found),
        }
    }

    /// The certificate that is shown in TLS, if that is spoken. It is told which it is, as people compare that. Where none is given, it
    /// is the one that the server has in the folder `own`, or makes there.
    pub fn certificate(&self, own: Option<&Path>) -> Result<Option<Certificate>, Mistake> {
        let wants = if self.tls.is_empty() { "web-tls" } else { "tls" };
        let of = |option, text: &str| Err(Mistake::of(option)(text.to_owned()));
        if self.tls.is_empty() && self.web_tls.is_empty() {
            if self.cert.is_some() || self.key.is_some() {
                warn!("--cert and --key are for TLS, which is spoken nowhere; give --tls too, or leave them out");
            }
            return Ok(None);
        }
        let certificate = match (&self.cert, &self.key, own) {
            (Some(cert), Some(key), _) => {
                let read = |option, path: &Path| read_file(path, limits::PEM).map_err(Mistake::of(option));
                let (chain, private) = (read("cert", cert)?, read("key", key)?);
                if let Some(warning) = everybody_can_read(key) {
                    warn!("{warning}");
                }
                tls::load((cert, &chain), (key, &private)).map_err(|bad| match bad {
                    Bad::Certificate(text) => Mistake::of("cert")(text),
                    Bad::Key(text) => Mistake::of("key")(text),
                })?
            }
            (Some(_), None, _) => return of("cert", "--cert needs the key of the certificate; give --key too"),
            (None, Some(_), _) => return of("key", "--key needs the certificate of the key; give --cert too"),
            (None, None, Some(own)) => tls::own(own).map_err(Mistake::of(wants))?,
            (None, None, None) => {
                let text =
                    format!("--{wants} needs a certificate; give --cert and --key, or --data, where one is made");
                return of(wants, &text);
            }
        };
        info!("{certificate:?}");
        if certificate.is_slow() {
            warn!(
                "the key of the certificate is of RSA, with which a handshake takes six times as long as with one of P-256"
            );
        }
        Ok(Some(certificate))
    }

    /// The same, where nothing may be changed: what the server would make at its start is not kept.
    pub fn certificate_there(&self, own: Option<&Path>) -> Result<Option<Certificate>, Mistake> {
        let wants = if self.tls.is_empty() { "web-tls" } else { "tls" };
        let is_wanted = !(self.tls.is_empty() && self.web_tls.is_empty()) && self.cert.is_none() && self.key.is_none();
        match own.filter(|own| is_wanted && !tls::has_own(own)) {
            Some(own) => tls::look(own).map(Some).map_err(Mistake::of(wants)),
            None => self.certificate(own),
        }
    }
}

/// Raises the limit of descriptors as far as the system allows, and tells how many connections that leaves besides so many that arrive,
/// and how many descriptors all else may take.
fn room_for_clients(arriving: usize) -> Result<(usize, usize), String> {
    /// For listeners, operators, those who are turned away or have not gone yet, files of the spool, logs of rooms that are open, to be
    /// synced or being synced, and the rest.
    const OTHERS: usize = TOKENS
        + limits::CONTROLS
        + limits::APPLYING
        + limits::REJECTED
        + limits::LINGERING
        + limits::SCRAPES
        + 4 * limits::FILES_OPEN
        + 16;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    let limit = if raised { maximum } else { current };
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit < limits::DESCRIPTORS {
        let least = limits::DESCRIPTORS;
        return Err(format!(
            "cannot serve with {limit} open files; raise the limit to {least} or more with ulimit -n {least}, or LimitNOFILE={least} in a \
             unit of systemd"
        ));
    }
    // A small limit leaves half of itself.
    Ok((limit.saturating_sub(OTHERS + arriving).max(limit / 2), OTHERS + arriving))
}

/// An address with this port, if it has none.
fn with_port(address: &str, port: u16) -> String {
    match address.parse() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) if address.contains(':') && !address.ends_with(']') => address.to_owned(),
        Err(_) => format!("{address}:{port}"),
    }
}

fn clash(address: SocketAddr, one: &str, other: &str) -> String {
    format!("cannot listen on {address} for --{one} and --{other}; take another port for one")
}

/// The addresses that these stand for, each once. An error tells of which of them what is wrong, and what to do.
fn addresses(wanted: &[(Carrier, String)]) -> Result<Vec<(SocketAddr, Carrier)>, (usize, String)> {
    // Each with the one of those that are wanted for which it is.
    let mut found: Vec<(SocketAddr, usize)> = Vec::new();
    for (n, (carrier, address)) in wanted.iter().enumerate() {
        let address = match carrier {
            Carrier::Tls(_) => with_port(address, TLS_PORT),
            Carrier::WebTls(..) => with_port(address, WEB_TLS_PORT),
            _ => address.clone(),
        };
        let resolved = resolve(&address).map_err(|why| {
            let example = match carrier {
                Carrier::Web(_) => WEB.to_owned(),
                Carrier::Tls(_) => with_port("127.0.0.1", TLS_PORT),
                Carrier::WebTls(..) => with_port("127.0.0.1", WEB_TLS_PORT),
                Carrier::Plain | Carrier::Proxied(_) => SERVER.to_owned(),
            };
            let why = match address.parse::<u16>() {
                Ok(_) => "a port stands behind a colon".to_owned(),
                Err(_) if !address.contains([':', ',', ' ']) => "its port is missing".to_owned(),
                Err(_) => why,
            };
            let one = if address.contains([',', ' ']) {
                "one address, and the option once more for each other one"
            } else {
                "an address"
            };
            (n, format!("cannot listen on {address}: {why}; give {one}, as in {example}, or :PORT for all"))
        })?;
        for resolved in resolved {
            let same = found.iter().find(|(other, _)| *other == resolved && resolved.port() != 0);
            match same.map(|&(_, other)| wanted[other].0.option()) {
                None => found.push((resolved, n)),
                Some(other) if other != carrier.option() => {
                    return Err((n, clash(resolved, other, carrier.option())));
                }
                Some(_) => {}
            }
        }
    }
    for (all, of_all) in found.iter().filter(|(all, _)| all.ip().is_unspecified() && all.port() != 0) {
        let is_within =
            |(one, _): &&(SocketAddr, usize)| one != all && one.port() == all.port() && one.is_ipv4() == all.is_ipv4();
        if let Some((one, n)) = found.iter().find(is_within) {
            let text =
                format!("cannot listen on {one} besides {all}, which takes in all addresses; leave one of them out");
            return Err((*n.max(of_all), text));
        }
    }
    Ok(found.into_iter().map(|(address, n)| (address, wanted[n].0.clone())).collect())
}

/// The addresses that HOST:PORT stands for, or all there are that :PORT does. An IPv6 address may name its network interface, as in
/// `[fe80::1%eth0]:2428`.
fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    if let Some(port) = address.strip_prefix(':').and_then(|port| port.parse().ok()) {
        return Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into(), (Ipv6Addr::UNSPECIFIED, port).into()]);
    }
    let named = address.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")).filter(|(ip, _)| ip.contains('%'));
    let resolved = match named.and_then(|(ip, port)| Some((ip, port.parse::<u16>().ok()?))) {
        Some((ip, port)) => (ip, port).to_socket_addrs(),
        None => address.to_socket_addrs(),
    };
    resolved.map(Iterator::collect).map_err(|e| reason(&e))
}

fn number<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    match number_and_unit(text) {
        (Some(number), "") => {
            N::try_from(number).map_err(|_| "that is more than there can be; take a smaller number".into())
        }
        _ => Err("it is a whole number, as in 20".into()),
    }
}

fn network(text: &str) -> Result<Network, String> {
    Network::typed(text).ok_or_else(|| "it is an address, or one with /LEN, as in 192.0.2.0/24".into())
}

fn origin(text: &str) -> Result<PageOrigin, String> {
    PageOrigin::new(text.strip_suffix('/').unwrap_or(text))
        .ok_or_else(|| "it is what browsers show up to the name and its port, as in https://chat.example.org".into())
}

fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    match clean(name.as_bytes()) == name {
        false => Err("a name is one line of text that is seen".into()),
        true if (1..=80).contains(&name.len()) => Ok(name.to_owned()),
        true => Err("a name has 1 to 80 bytes".into()),
    }
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
        None | Some(0) => Err("a time is a whole number with s, m, h or d, as in 7d or 1h30m, and more than 0".into()),
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

/// The seconds that a time has, which may be of several parts; the most there are for one that has more. It is an error if nothing
/// tells of what it has so many: who writes 24 means hours, perhaps.
fn seconds(text: &str) -> Result<Option<u64>, String> {
    const UNITS: [(&[&str], u64); 5] = [
        (&["s", "sec", "second", "seconds"], 1),
        (&["m", "min", "minute", "minutes"], 60),
        (&["h", "hour", "hours"], 3_600),
        (&["d", "day", "days"], 86_400),
        (&["w", "week", "weeks"], 604_800),
    ];
    if text == "0" {
        return Ok(Some(0));
    }
    let (mut rest, mut sum, mut last) = (text, 0_u64, u64::MAX);
    loop {
        let (number, after) = number_and_unit(rest);
        let (unit, next) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        if let (Some(_), "") = (number, unit) {
            return Err(format!("{rest} of what? Write {rest}s, {rest}m, {rest}h or {rest}d"));
        }
        let unit = UNITS.iter().find(|(names, _)| names.iter().any(|name| unit.trim().eq_ignore_ascii_case(name)));
        // The longer ones come first.
        let Some((number, (_, factor))) = number.zip(unit).filter(|(_, (_, factor))| *factor < last) else {
            return Ok(None);
        };
        sum = sum.saturating_add(number.saturating_mul(*factor));
        if next.is_empty() {
            return Ok(Some(sum));
        }
        (rest, last) = (next, *factor);
    }
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
        assert_eq!((time("1h30m"), time("1 hour 30 minutes")), (time("90m"), time("5400s")));
        assert_eq!(time("1h30"), Err("30 of what? Write 30s, 30m, 30h or 30d".to_owned()));
        for week in ["7d", "7 days", "1w", "6d23h60m", "168h", "10080min", "604800s"] {
            assert_eq!(time(week), Ok(Duration::from_secs(604_800)), "{week}");
        }
        assert_eq!((sync("0"), sync("0s"), sync("1d")), (Ok(Duration::ZERO), Ok(Duration::ZERO), time("24h")));
        for bad in ["", "K", "MB", "1X", "1MiBi", "-1", "1.5M", "99999999999999999999", "99999999999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        for bad in ["", "0", "0s", "5y", "1h30", "30m1h", "1h1h", "h30m", "s", "99999999999h"] {
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
}
