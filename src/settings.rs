//! What the operator may set, and what holds where nothing is set.

use std::time::Duration;

use crate::limits;
use crate::register::entry::Network;

/// What the operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the server calls itself in its greeting.
    pub name: Option<String>,
    /// The message of the day, by lines.
    pub motd: Vec<String>,
    /// What `/pass` asks for.
    pub password: Option<String>,
    /// Connections in all; at least one, as descriptors bound them where the operator does not.
    pub max_clients: usize,
    /// Connections from one IPv4 address or IPv6 /64, and [`limits::WIDER`] times as many from a /48, loopback not counted; 0 is no
    /// limit.
    pub max_per_ip: usize,
    /// Lines a second; 0 is no limit.
    pub rate: u32,
    /// Lines a room remembers.
    pub history: usize,
    /// Bytes that one file may have.
    pub max_file: u64,
    /// Bytes that all files together may have.
    pub spool: u64,
    /// How long a file is kept.
    pub file_ttl: Duration,
    /// The time of a stall: how long a connection may take less than [`limits::STALL_BYTES`] of what is pending for it.
    pub stall: Duration,
    /// How the rooms are logged; `None` if nothing outlives the process.
    pub log: Option<Logging>,
    /// The ID of the next file; greater than any that an earlier process gave.
    pub next_file: u64,
    /// The port at which TLS is spoken, if it is, for those who came elsewhere.
    pub tls: Option<u16>,
    /// The port at which lines are taken in clear from this machine, if they are, for those who come in through SSH.
    pub clear: Option<u16>,
    /// Who may make rooms.
    pub room_makers: RoomMakers,
    /// What people may do who own no name.
    pub guests: Guests,
    /// Whether people may own names, where anything outlives the process.
    pub accounts: Accounts,
    /// Whether passwords of names may come over connections on which others can read along.
    pub clear_passwords: bool,
    /// How long a name is its owner's who does not come; `None` is for ever.
    pub name_ttl: Option<Duration>,
    /// The proxies that are believed, which nobody blocks.
    pub proxies: Vec<Network>,
    /// What secrets are made of: the chance of the system, but in tests.
    pub seed: [u8; 32],
}

/// Whether people may own names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accounts {
    /// Whoever comes may make a name theirs.
    Open,
    /// Only the operator makes names.
    Closed,
    /// Nobody proves to own one. Names that have owners stay theirs.
    Off,
}

/// Who may make rooms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RoomMakers {
    /// Whoever comes.
    Anybody,
    /// Only people who own their names.
    Named,
}

/// What people may do on the server who own no name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guests {
    /// What rooms let them.
    On,
    /// Come in, and listen in every room.
    Listen,
    /// Stay and listen if they are here. Nobody else comes in who owns no name.
    Off,
}

/// One of the settings that an operator may change while the server runs. It is as the options say again after a reload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerSetting {
    /// See [`Settings::guests`].
    Guests(Guests),
    /// See [`Settings::accounts`].
    Accounts(Accounts),
    /// See [`Settings::room_makers`].
    Rooms(RoomMakers),
}

/// How the rooms are logged.
#[derive(Clone, Copy, Debug)]
pub struct Logging {
    /// Bytes of a room's log; of what is older, nothing is kept.
    pub max: u64,
    /// How much a loss of power may cost at most; nothing has been heard that it could cost if this is zero.
    pub sync: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: None,
            motd: Vec::new(),
            password: None,
            max_clients: 10_000,
            max_per_ip: 100,
            rate: 20,
            history: 200,
            max_file: 100 << 20,
            spool: 1 << 30,
            file_ttl: Duration::from_secs(24 * 3600),
            stall: Duration::from_secs(60),
            log: None,
            next_file: 1,
            tls: None,
            clear: None,
            accounts: Accounts::Open,
            clear_passwords: false,
            name_ttl: Some(Duration::from_secs(365 * 86_400)),
            proxies: Vec::new(),
            seed: [0; 32],
            room_makers: RoomMakers::Anybody,
            guests: Guests::On,
        }
    }
}

impl Settings {
    /// The settings that an operator may change, in the order in which they are listed. Nobody owns names where nothing is kept.
    pub fn of_server(&self) -> [ServerSetting; 3] {
        let accounts = if self.log.is_some() { self.accounts } else { Accounts::Off };
        [ServerSetting::Guests(self.guests), ServerSetting::Accounts(accounts), ServerSetting::Rooms(self.room_makers)]
    }

    /// Changes one of these.
    pub fn set(&mut self, setting: ServerSetting) {
        match setting {
            ServerSetting::Guests(guests) => self.guests = guests,
            ServerSetting::Accounts(accounts) => self.accounts = accounts,
            ServerSetting::Rooms(makers) => self.room_makers = makers,
        }
    }

    /// Takes what is new of these, but for what is as it was made at the start.
    pub fn renew(&mut self, new: Self) {
        *self = Self {
            max_file: new.max_file.min(self.spool),
            spool: self.spool,
            log: self.log.map(|log| new.log.unwrap_or(log)),
            next_file: self.next_file,
            tls: self.tls,
            clear: self.clear,
            seed: self.seed,
            ..new
        };
    }

    /// Lines that may come at once.
    pub fn burst(&self) -> u32 {
        u32::try_from(limits::BURST.as_secs()).map_or(u32::MAX, |seconds| self.rate.saturating_mul(seconds))
    }
}
