//! What the log of the process says of connections that may not come: each address, but so few lines that a flood fills no disk.

use std::fmt;

use log::warn;

use crate::event::Bye;
use crate::limits;
use crate::peer::Peer;
use crate::proxy::BadHeader;
use crate::time::Instant;

/// How much has been said in this minute.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    since: Option<Instant>,
    noted: usize,
    left_out: u64,
    last: Option<(Peer, Refusal)>,
}

/// Why somebody is not taken in, or does not go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// They are told so.
    Told(Bye),
    /// They are told so, as nobody may come by the name that they have, or have proved to own.
    Named,
    /// They are told nothing, as nobody knows who they are.
    BadHeader(BadHeader),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Told(Bye::Blocked) => "a blocked connection",
            Self::Named => "a connection by a blocked name",
            Self::Told(Bye::GuestsBlocked { .. }) => "a blocked guest",
            Self::Told(Bye::TooManyFromAddress | Bye::TooOften) => "too many connections",
            Self::Told(Bye::NotProxied) => {
                "a PROXY header at a port that takes none, so who comes through that proxy is turned away (give it a port of --proxy-listen, \
                 with --proxy-from for its address, and --proxy-secure if it ends TLS; or have it send none): a connection"
            }
            Self::Told(_) => "a connection for which there is no place",
            Self::BadHeader(bad) => return bad.fmt(f),
        })
    }
}

impl Refusals {
    /// Says that this peer is not taken in, or does not go on.
    pub(super) fn note(&mut self, peer: Peer, why: Refusal, now: Instant) {
        if self.is_due(peer, why, now) {
            match std::mem::take(&mut self.left_out) {
                0 => warn!("{why} from {}", peer.prefix()),
                more => {
                    let from = peer.prefix();
                    warn!("{why} from {from}; {more} more were closed or refused since the line before");
                }
            }
        }
    }

    /// Whether a line is said now. One of the same address says nothing new within the minute.
    fn is_due(&mut self, peer: Peer, why: Refusal, now: Instant) -> bool {
        if self.since.is_none_or(|since| now - since >= limits::REFUSALS_NOTED_IN) {
            (self.since, self.noted, self.last) = (Some(now), 0, None);
        }
        if self.noted >= limits::REFUSALS_NOTED || self.last.replace((peer, why)) == Some((peer, why)) {
            self.left_out += 1;
            return false;
        }
        self.noted += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_says_little() {
        let mut refusals = Refusals::default();
        let peer = |n: u8| Peer::at([203, 0, 113, n].into());
        let due = |refusals: &mut Refusals, n: u8, at: u64| {
            refusals.is_due(peer(n), Refusal::Told(Bye::TooOften), Instant::START + Duration::from_secs(at))
        };
        assert!(due(&mut refusals, 1, 0) && !due(&mut refusals, 1, 1) && due(&mut refusals, 2, 1));
        let said = (0..200).filter(|&n| due(&mut refusals, n, 2)).count();
        assert_eq!((said + 2, refusals.left_out), (limits::REFUSALS_NOTED, 201 - said as u64));
        assert!(due(&mut refusals, 9, 60));
    }
}
