//! Who is measured, and how each is set up.
//!
//! Every server runs as its authors ship it for Debian, in the foreground and without a log. All that slows down or
//! turns away people who come fast, say much or come from one address is off as far as its settings allow, as all that
//! is asked here is what the work itself costs. Nothing that saves work is turned off.

use std::fmt;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::dialect::Dialect;
use super::wire::{self, Wire};
use chinwag_bench::{Outcome, failed};
use testkit::binary;

/// A server under measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Peer {
    /// Ours.
    Chinwag,
    /// Version 0.1 of ours.
    Before,
    /// The loop that does nothing but write, so many lines a write: what no server can go below.
    Bare(usize),
    /// InspIRCd.
    Inspircd,
    /// ircd-hybrid.
    Hybrid,
    /// ngIRCd.
    Ngircd,
}

/// All of them, as columns of the table.
pub const PEERS: &[Peer] = &[
    Peer::Bare(1),
    Peer::Bare(16),
    Peer::Bare(64),
    Peer::Chinwag,
    Peer::Before,
    Peer::Inspircd,
    Peer::Hybrid,
    Peer::Ngircd,
];

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chinwag => f.pad("chinwag"),
            Self::Before => f.pad("chinwag-0.1"),
            Self::Bare(lines) => f.pad(&format!("bare-{lines}")),
            Self::Inspircd => f.pad("inspircd"),
            Self::Hybrid => f.pad("ircd-hybrid"),
            Self::Ngircd => f.pad("ngircd"),
        }
    }
}

impl Peer {
    /// Who bears this name.
    pub fn named(name: &str) -> Option<Self> {
        PEERS.iter().copied().find(|peer| peer.to_string() == name)
    }

    /// What it speaks.
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Chinwag | Self::Before => Dialect::Plain,
            Self::Bare(_) => Dialect::Bare,
            Self::Inspircd | Self::Hybrid | Self::Ngircd => Dialect::Irc,
        }
    }

    /// How many may be on their way in at once. ngIRCd has a queue of ten for them, and whoever does not fit waits for
    /// a second. InspIRCd lets people in once a second, all who have come since.
    pub fn pace(self) -> usize {
        match self {
            Self::Ngircd => 8,
            Self::Inspircd => 2500,
            _ => 200,
        }
    }

    /// Where it is: what this program belongs to, what `scripts/bench` has built or unpacked, or what is installed.
    fn path(self) -> Outcome<PathBuf> {
        match self {
            Self::Chinwag => return Ok(binary().into()),
            Self::Bare(_) => return std::env::current_exe().map_err(failed("this program's path")),
            _ => {}
        }
        let named = std::env::var_os("CHINWAG_BEFORE").filter(|_| self == Self::Before).map(PathBuf::from);
        let unpacked = unpacked().map(|peers| peers.join(format!("{self}/usr/sbin/{self}")));
        let installed = Some(PathBuf::from(format!("/usr/sbin/{self}"))).filter(|_| self != Self::Before);
        let all = [named, unpacked, installed];
        all.into_iter().flatten().find(|path| path.exists()).ok_or_else(|| format!("there is no {self} here"))
    }

    /// What it calls itself; an error if it cannot be had.
    pub fn version(self) -> Outcome<String> {
        if matches!(self, Self::Bare(_)) {
            return Ok("this program".into());
        }
        let path = self.path()?;
        let size = path.metadata().map_err(failed("its size"))?.len();
        let mut command = Command::new(&path);
        if self == Self::Hybrid {
            // It tells nothing to root.
            command = Command::new("unshare");
            command.args(["--user", "--map-user=1000"]).arg(path).arg("-version");
        } else {
            command.arg("--version");
        }
        let told = command.output().map_err(failed("its version"))?;
        let told = String::from_utf8_lossy(&told.stdout).lines().next().unwrap_or_default().to_owned();
        // ngIRCd tells how it was built, too.
        let told =
            told.trim_start_matches("ircd: version ").split("-IDENT").next().unwrap_or_default().trim().to_owned();
        if told.is_empty() { Err(format!("{self} does not run")) } else { Ok(format!("{told}, {size} bytes")) }
    }

    /// How it is started with its settings in this folder, where its certificate is if people come in TLS, and on which
    /// port; 0 if it picks one and tells.
    pub fn command(self, folder: &Path, wire: Wire, options: &[&str]) -> Outcome<(Command, u16)> {
        let mut command = Command::new(self.path()?);
        let own = match self {
            Self::Chinwag | Self::Before => {
                // Everybody may say as much as they like. People from the loopback are never too many for one address.
                command.args(["serve", "--rate", "0"]).args(options);
                match wire {
                    Wire::Clear => _ = command.args(["--listen", "127.0.0.1:0"]),
                    Wire::Web => _ = command.args(["--listen", "none", "--web", "127.0.0.1:0"]),
                    Wire::Tls(_) => {
                        let [cert, key] = wire::files(folder);
                        command.args(["--listen", "none", "--tls", "127.0.0.1:0"]);
                        command.arg("--cert").arg(cert).arg("--key").arg(key);
                    }
                }
                if std::env::var_os("RUST_LOG").is_none() {
                    command.env("RUST_LOG", "warn");
                }
                true
            }
            Self::Bare(lines) => {
                command.args(["--bare", &lines.to_string()]).args(options);
                true
            }
            _ => false,
        };
        if own {
            command.stdout(Stdio::piped());
            return Ok((command, 0));
        }
        let port = free_port()?;
        let config = folder.join("config");
        let settings = match self {
            Self::Inspircd => {
                command.args(["--runasroot", "--nofork", "--nolog", "--nopid", "--config"]).arg(&config);
                inspircd(port, wire, folder)
            }
            Self::Hybrid => {
                command = unpacked_hybrid(&command, folder)?;
                command.arg("-configfile").arg(&config);
                hybrid(port)
            }
            _ => {
                command.arg("-n").arg("-f").arg(&config);
                ngircd(port, wire, folder)?
            }
        };
        std::fs::write(&config, settings).map_err(failed("the settings"))?;
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok((command, port))
    }
}

/// A port for a server that takes no port 0. Nobody else is likely to take it within the next moment.
fn free_port() -> Outcome<u16> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(free.map_err(failed("a free port"))?.port())
}

/// Where `scripts/bench` unpacks packages.
fn unpacked() -> Option<PathBuf> {
    if let Some(peers) = std::env::var_os("CHINWAG_PEERS") {
        return Some(peers.into());
    }
    let own = std::env::current_exe().ok()?;
    Some(own.parent()?.parent()?.join("peers"))
}

/// InspIRCd with its core modules, as it is without any other. Its penalties are out of reach (`threshold`,
/// `commandrate`), and `fakelag` is off; no name is looked up; queues hold what comes; `softlimit` and `somaxconn` let
/// ten thousand in at once; and it reads from a socket as much as it can at once (`netbuffersize`), which is to its
/// advantage. Rooms have the mode `n` alone, the least it allows for a room with members only. Its TLS is that of GnuTLS, as Debian
/// builds no other.
fn inspircd(port: u16, wire: Wire, folder: &Path) -> String {
    let modules = unpacked().map(|peers| peers.join("inspircd/usr/lib/inspircd/modules")).filter(|path| path.exists());
    let modules = modules.map_or_else(|| "/usr/lib/inspircd/modules".into(), |path| path.display().to_string());
    let [cert, key] = wire::files(folder).map(|file| file.display().to_string());
    let (tls, profile) = match wire {
        Wire::Clear | Wire::Web => (String::new(), ""),
        Wire::Tls(_) => (
            format!(
                r#"<module name="ssl_gnutls">
<sslprofile name="bench" provider="gnutls" certfile="{cert}" keyfile="{key}">
"#
            ),
            r#" sslprofile="bench""#,
        ),
    };
    let folder = folder.display();
    format!(
        r#"<config format="xml">
<path moduledir="{modules}" configdir="{folder}" datadir="{folder}" logdir="{folder}" runtimedir="{folder}">
<server name="irc.bench" description="bench" network="bench" id="1AA">
<admin name="bench" nick="bench" email="bench">
{tls}<bind address="127.0.0.1" port="{port}" type="clients"{profile}>
<connect name="all" allow="*" maxchans="100" timeout="600" pingfreq="60m" hardsendq="64M" softsendq="64M" recvq="1M"
  threshold="1000000" commandrate="1000000000" fakelag="no" localmax="1000000" globalmax="1000000" maxconnwarn="no"
  resolvehostnames="no" useident="no" limit="1000000">
<performance softlimit="1000000" somaxconn="4096" netbuffersize="65534" clonesonconnect="no">
<options defaultmodes="n" casemapping="ascii">
"#
    )
}

/// ngIRCd without limits of connections and rooms, without penalties for those who say much, and without the lookups
/// (DNS, ident, PAM), for each of which it would start a process.
fn ngircd(port: u16, wire: Wire, folder: &Path) -> Outcome<String> {
    let [cert, key] = wire::files(folder).map(|file| file.display().to_string());
    // Without a port in clear it takes the one that is usual.
    let (port, tls) = match wire {
        Wire::Clear | Wire::Web => (port, String::new()),
        Wire::Tls(_) => (free_port()?, format!("[SSL]\nCertFile = {cert}\nKeyFile = {key}\nPorts = {port}\n")),
    };
    Ok(format!(
        "[Global]\nName = irc.bench\nInfo = bench\nListen = 127.0.0.1\nPorts = {port}\nMotdPhrase = bench\n\
         [Limits]\nMaxConnections = 0\nMaxConnectionsIP = 0\nMaxJoins = 0\nMaxNickLength = 20\nMaxPenaltyTime = 0\n\
         PingTimeout = 3600\n\
         [Options]\nDNS = no\nIdent = no\nPAM = no\nNoticeBeforeRegistration = no\n{tls}"
    ))
}

/// ircd-hybrid with people who may flood (`can_flood`, `default_floodcount`) and come from one address without end
/// (`exceed_limit`, `throttle_time`), and without ident. It cannot be told not to look addresses up in DNS, so it is
/// given a name server that answers at once, see [`names`].
fn hybrid(port: u16) -> String {
    format!(
        r#"serverinfo {{ name = "irc.bench"; description = "bench"; network_name = "bench"; network_description = "bench";
  hub = no; default_max_clients = 19000; max_nick_length = 20; }};
admin {{ name = "bench"; description = "bench"; email = "bench"; }};
class {{ name = "users"; ping_time = 60 minutes; number_per_ip_local = 100000; number_per_ip_global = 100000;
  max_number = 100000; sendq = 64 megabytes; recvq = 8000 bytes; max_channels = 25; }};
listen {{ host = "127.0.0.1"; port = {port}; }};
auth {{ user = "*@127.0.0.0/8"; class = "users"; flags = exceed_limit, can_flood; }};
channel {{ max_channels = 25; default_join_flood_count = 0; }};
general {{ disable_auth = yes; default_floodcount = 0; anti_nick_flood = no; throttle_count = 100000; throttle_time = 0;
  ping_cookie = no; pace_wait = 0; pace_wait_simple = 0; max_targets = 999; anti_spam_exit_message_time = 0; }};
log {{ use_logging = no; }};
"#
    )
}

/// ircd-hybrid looks for its modules in one place only, refuses to be root, and cannot be installed beside ngIRCd. So
/// what was unpacked is laid over `/usr/lib` in a view of the file system that this process alone has, and the user
/// there is not root. The binary is the one that Debian built.
fn unpacked_hybrid(ircd: &Command, folder: &Path) -> Outcome<Command> {
    let binary = PathBuf::from(ircd.get_program());
    let usr = binary.parent().and_then(Path::parent).ok_or("ircd-hybrid is nowhere")?;
    let resolver = folder.join("resolv.conf");
    let mut view = String::new();
    if usr != Path::new("/usr") {
        view += "mount -t overlay overlay -o \"lowerdir=$1/lib:/usr/lib\" /usr/lib && ";
    }
    if let Some(address) = names() {
        std::fs::write(&resolver, format!("nameserver {address}\n")).map_err(failed("the settings"))?;
        view += "mount --bind \"$2\" /etc/resolv.conf && ";
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    command.arg(format!("{view} shift 2 && exec unshare --user --map-user=1000 \"$@\""));
    command.arg("sh").arg(usr).arg(resolver).arg(binary).arg("-foreground");
    for file in ["pid", "log", "kline", "xline", "dline", "resv"] {
        command.arg(format!("-{file}file")).arg(folder.join(file));
    }
    Ok(command)
}

/// A name server that knows no names and says so at once, if this process may be one (root may). The system's own may
/// be far away, or drop what comes too fast, and ircd-hybrid asks again only after four seconds.
fn names() -> Option<IpAddr> {
    static SERVER: OnceLock<Option<IpAddr>> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let socket = UdpSocket::bind("127.0.0.253:53").ok()?;
        let address = socket.local_addr().ok()?.ip();
        std::thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((n, from)) = socket.recv_from(&mut packet) {
                // The question comes back as the answer that there is no such name.
                if n > 12 {
                    (packet[2], packet[3]) = (0x81, 0x83);
                    let _ = socket.send_to(&packet[..n], from);
                }
            }
        });
        Some(address)
    })
}
