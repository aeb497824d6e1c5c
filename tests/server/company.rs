//! People in the core alone, some of whom own their names.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chinwag::names::{Digest, Nick, Origin, Prefix};
use chinwag::register::Register;
use chinwag::register::entry::Entry;
use chinwag::settings::{Logging, Settings};
use chinwag::time::{Day, Now};
use sha2::{Digest as _, Sha256};
use testkit::memory::Memory;

pub const DATA: Option<Logging> = Some(Logging { max: u64::MAX, sync: Duration::ZERO });

/// What the owners of names prove themselves by.
pub const SECRET: [u8; 32] = [7; 32];

/// People in the core alone, of whom these own their names.
pub struct Company(pub Memory, pub Vec<String>);

/// A register in which these names have owners.
pub fn owners(names: &[&str], now: Now) -> Register {
    let (mut register, day) = (Register::default(), Day::of(now.wall));
    for name in names {
        let (nick, digest) = (Nick::new(name).unwrap(), Digest(Sha256::digest(SECRET).into()));
        register.apply(Entry::Name { nick, since: day, password: None });
        register.apply(Entry::Token { nick, used: day, digest });
    }
    register
}

impl Company {
    /// A server on which these names have owners, and something is kept.
    pub fn new(settings: Settings, owned: &[&str]) -> Self {
        let memory = Memory::new(Settings { rate: 0, log: DATA, clear_passwords: true, ..settings });
        let mut company = Self(memory, owned.iter().map(|name| (*name).to_owned()).collect());
        company.restore(owners(owned, company.0.now()));
        company
    }

    pub fn restore(&mut self, register: Register) {
        let now = self.0.now();
        self.0.hub.restore_register(register, now, &mut self.0.notes);
    }

    /// What a start finds that has these owners and the ledger as it is now.
    pub fn register_of_ledger(&self, names: &[&str]) -> Register {
        let mut register = owners(names, self.0.now());
        self.0.notes.ledger.entries.iter().for_each(|entry| register.apply(entry.clone()));
        register
    }

    pub fn enter(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.enter_from(name, Origin::Loopback));
    }

    pub fn enter_from(&mut self, name: &str, origin: Origin) {
        self.0.connect_from(name, origin);
        let token = URL_SAFE_NO_PAD.encode(SECRET);
        let called = match self.1.iter().any(|owned| owned == name) {
            true => format!("/login {name} token:{token}"),
            false => format!("/nick {name}"),
        };
        self.0.send(name, format!("/set presence off\n{called}\n").as_bytes());
        self.heard(name);
    }

    /// What somebody has heard since they were asked last.
    pub fn heard(&mut self, name: &str) -> Vec<String> {
        std::iter::from_fn(|| self.0.next(name)).collect()
    }

    /// What somebody is told from now on until a line of theirs has been carried out.
    pub fn told(&mut self, name: &str, line: &str) -> Vec<String> {
        self.heard(name);
        self.0.send(name, format!("{line}\n").as_bytes());
        self.heard(name)
    }

    /// The reply to a line.
    pub fn ask(&mut self, name: &str, line: &str) -> String {
        self.told(name, line).pop().unwrap_or_default()
    }

    pub fn refused(&mut self, name: &str, line: &str, code: &str) {
        let reply = self.ask(name, line);
        assert_eq!(reply.split(' ').nth(2), Some(code), "{name}: {line}: {reply}");
        assert!(reply.starts_with("! "), "{name}: {line}: {reply}");
    }

    pub fn done(&mut self, name: &str, line: &str) {
        let reply = self.ask(name, line);
        assert!(reply.is_empty() || reply.starts_with("+ "), "{name}: {line}: {reply}");
    }
}

pub fn network(n: u8) -> Origin {
    Origin::Network(Prefix::v4([203, 0, 113, n]))
}
