//! The works, and how large each is.

use std::fmt;
use std::time::Duration;

use super::dialect::Dialect;
use super::figures::Figures;
use super::host::Host;
use super::network::Writes;
use super::peers::{PEERS, Peer};
use super::wire::{Key, Wire};
use super::{arrive, file, latency, pairs, talk};
use chinwag_bench::Outcome;

/// One kind of work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// A hundred lines a second to a room of a thousand.
    Steady,
    /// Eight people with sixteen lines each under way, in a room of two hundred.
    Flat200,
    /// The same in a room of a thousand.
    Flat1000,
    /// A hundred lines a second to a room of ten.
    Ten,
    /// Ten lines a second to a room of a hundred: each comes when the one before is long over.
    Lone,
    /// A room of a hundred in which nobody says anything.
    Idle,
    /// Five hundred pairs who play ping-pong with bare text.
    Pairs,
    /// The same with `/msg`, which is answered.
    PairsMsg,
    /// Three thousand who join one room.
    Join3000,
    /// Ten thousand who connect, take a name, and then do nothing.
    Connect10000,
    /// The same without presence, which IRC has not.
    Connect10000Quiet,
    /// A file down one connection.
    File,
    /// How long lines take in a room of two hundred, while others fetch files, and while some do not read.
    Latency,
    /// The room of a thousand again, in TLS.
    SteadyTls,
    /// Ten thousand who connect in TLS, take a name, and then do nothing.
    Connect10000Tls,
    /// Two thousand who do so with a server that has a key of RSA.
    Connect2000Rsa,
    /// How long lines take in a room of two hundred in TLS, while two thousand handshakes stop half way.
    Handshakes,
    /// The room of a thousand again, over WebSockets.
    SteadyWs,
    /// The room of a thousand with sixteen lines each under way again, over WebSockets.
    Flat1000Ws,
    /// Ten thousand who connect over WebSockets, take a name, and then do nothing.
    Connect10000Ws,
}

/// All of them.
pub const WORKS: &[Work] = &[
    Work::Steady,
    Work::Flat200,
    Work::Flat1000,
    Work::Ten,
    Work::Lone,
    Work::Idle,
    Work::Pairs,
    Work::PairsMsg,
    Work::Join3000,
    Work::Connect10000,
    Work::Connect10000Quiet,
    Work::File,
    Work::Latency,
    Work::SteadyTls,
    Work::Connect10000Tls,
    Work::Connect2000Rsa,
    Work::Handshakes,
    Work::SteadyWs,
    Work::Flat1000Ws,
    Work::Connect10000Ws,
];

/// How long the load toils for each read in the flat works where a write is dear: about what it takes there to wake a
/// program that has something to read.
const TOIL: Duration = Duration::from_micros(40);

/// How much is done in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// As the table says.
    Full,
    /// As little as still tells something.
    Quick,
    /// So little that it only shows that the program works.
    Tiny,
}

impl Size {
    /// So many a process may need open at once.
    pub fn descriptors(self) -> u64 {
        match self {
            Self::Full => 11_000,
            Self::Quick => 6_000,
            Self::Tiny => 2_200,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Steady => "steady",
            Self::Flat200 => "flat200",
            Self::Flat1000 => "flat1000",
            Self::Ten => "ten",
            Self::Lone => "lone",
            Self::Idle => "idle",
            Self::Pairs => "pairs",
            Self::PairsMsg => "pairs-msg",
            Self::Join3000 => "join3000",
            Self::Connect10000 => "connect10000",
            Self::Connect10000Quiet => "connect10000-quiet",
            Self::File => "file",
            Self::Latency => "latency",
            Self::SteadyTls => "steady-tls",
            Self::Connect10000Tls => "connect10000-tls",
            Self::Connect2000Rsa => "connect2000-rsa",
            Self::Handshakes => "handshakes",
            Self::SteadyWs => "steady-ws",
            Self::Flat1000Ws => "flat1000-ws",
            Self::Connect10000Ws => "connect10000-ws",
        })
    }
}

impl Work {
    /// What bears this name.
    pub fn named(name: &str) -> Option<Self> {
        WORKS.iter().copied().find(|work| work.to_string() == name)
    }

    /// Whether this is a work for them.
    pub fn is_for(self, peer: Peer) -> bool {
        let (bare, before) = (matches!(peer, Peer::Bare(_)), peer == Peer::Before);
        match self {
            Self::Flat200 | Self::Flat1000 => true,
            Self::Steady | Self::Pairs => !bare || peer == Peer::Bare(1),
            Self::Ten | Self::Lone => peer == Peer::Bare(1) || peer == Peer::Chinwag || before,
            Self::Connect10000 => (!bare || peer == Peer::Bare(1)) && !before,
            Self::Join3000 => !bare && !before,
            Self::Idle | Self::PairsMsg => peer == Peer::Chinwag || before,
            Self::Connect10000Quiet
            | Self::Latency
            | Self::Handshakes
            | Self::SteadyWs
            | Self::Flat1000Ws
            | Self::Connect10000Ws => peer == Peer::Chinwag,
            Self::SteadyTls | Self::Connect10000Tls | Self::Connect2000Rsa => {
                matches!(peer, Peer::Chinwag | Peer::Inspircd | Peer::Ngircd)
            }
            Self::File => peer == Peer::Chinwag || peer == Peer::Bare(1),
        }
    }

    /// How people come in for it.
    fn wire(self) -> Wire {
        match self {
            Self::SteadyTls | Self::Connect10000Tls | Self::Handshakes => Wire::Tls(Key::P256),
            Self::Connect2000Rsa => Wire::Tls(Key::Rsa),
            Self::SteadyWs | Self::Flat1000Ws | Self::Connect10000Ws => Wire::Web,
            _ => Wire::Clear,
        }
    }

    /// Whether what writes cost decides what it costs.
    pub fn is_talk(self) -> bool {
        match self {
            Self::Steady
            | Self::SteadyTls
            | Self::SteadyWs
            | Self::Flat200
            | Self::Flat1000
            | Self::Flat1000Ws
            | Self::Ten
            | Self::Lone
            | Self::Pairs
            | Self::PairsMsg => true,
            Self::Idle
            | Self::Join3000
            | Self::Connect10000
            | Self::Connect10000Quiet
            | Self::Connect10000Tls
            | Self::Connect10000Ws
            | Self::Connect2000Rsa
            | Self::File
            | Self::Latency
            | Self::Handshakes => false,
        }
    }

    /// Those who do it.
    pub fn peers(self) -> impl Iterator<Item = Peer> {
        PEERS.iter().copied().filter(move |peer| self.is_for(*peer))
    }

    /// One run against a fresh server.
    pub fn run(self, peer: Peer, size: Size, writes: Writes, cores: &[usize]) -> Outcome<Figures> {
        let of = |full: usize, quick: usize, tiny: usize| match size {
            Size::Full => full,
            Size::Quick => quick,
            Size::Tiny => tiny,
        };
        let options: &[&str] = match (self, peer) {
            (Self::File, Peer::Bare(_)) => &["files"],
            (Self::Pairs, Peer::Bare(_)) => &["pairs"],
            _ => &[],
        };
        let host = Host::start(peer, self.wire(), cores, options)?;
        let host = &host;
        // Where the server has a dear write to do for each, those who read are the busy ones all the same.
        let toil = if writes == Writes::Dear { TOIL } else { Duration::ZERO };
        match self {
            Self::Steady | Self::SteadyTls | Self::SteadyWs => {
                talk::steady(host, of(1000, 1000, 20), 100, of(500, 150, 20) as u32)
            }
            Self::Ten => talk::steady(host, 10, 100, of(500, 150, 20) as u32),
            Self::Lone => talk::steady(host, of(100, 100, 20), 10, of(50, 20, 2) as u32),
            Self::Idle => talk::idle(host, of(100, 100, 20), Duration::from_secs(of(5, 3, 1) as u64)),
            Self::Flat200 => talk::flat(host, of(200, 200, 20), of(9600, 2400, 320), toil),
            Self::Flat1000 | Self::Flat1000Ws => talk::flat(host, of(1000, 1000, 30), of(3200, 960, 320), toil),
            Self::Pairs => pairs::pairs(host, of(500, 500, 10), of(100, 30, 10) as u32, false),
            Self::PairsMsg => pairs::pairs(host, of(500, 500, 10), of(100, 30, 10) as u32, true),
            Self::Join3000 => arrive::join(host, of(3000, 1000, 30)),
            Self::Connect10000
            | Self::Connect10000Quiet
            | Self::Connect10000Tls
            | Self::Connect10000Ws
            | Self::Connect2000Rsa => {
                // IRC knows no presence.
                let is_quiet = self != Self::Connect10000 && host.dialect == Dialect::Plain;
                let besides = if is_quiet { "/set presence off\n" } else { "" };
                let rest = Duration::from_secs(of(3, 1, 0) as u64);
                let count = if self == Self::Connect2000Rsa { of(2_000, 1_000, 20) } else { of(10_000, 5_000, 50) };
                arrive::connect(host, count, besides, rest)
            }
            Self::File => file::file(peer, host, of(8533, 8533, 100) as u64, of(10, 3, 1) as u32),
            Self::Latency => latency::latency(host, of(200, 200, 30), of(300, 75, 10) as u32),
            Self::Handshakes => latency::beside_handshakes(host, of(200, 200, 30), of(300, 75, 10) as u32),
        }
    }
}
