//! What holds people to their limits: the token bucket slows, the fixed windows refuse.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use crate::limits::{self, BURST};
use crate::names::{ConnId, KeptNick, Nick, Origin, Prefix};
use crate::time::Instant;

/// The token bucket that slows a flood down: a line takes a token, tokens come back at the rate, and there is room for
/// [`BURST`]'s worth of them. It holds no more than the time at which it will be full again, as the generic cell rate
/// algorithm of ITU-T I.371 does.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    full: Option<Instant>,
}

impl TokenBucket {
    /// Takes a token, of which `rate` come back a second; at 0 there is always one. When there is none, says at what time
    /// there will be one.
    pub fn take(&mut self, rate: u32, now: Instant) -> Result<(), Instant> {
        if rate == 0 {
            return Ok(());
        }
        let full = self.full.map_or(now, |full| full.max(now)) + Duration::from_secs(1) / rate;
        if full > now + BURST {
            return Err(full - BURST);
        }
        self.full = Some(full);
        Ok(())
    }
}

/// Counts what may be done so many times a minute. The minute begins with the first time.
#[derive(Clone, Copy, Default, Debug)]
pub struct FixedWindow {
    /// In tenths of a second.
    since: u32,
    used: u32,
}

impl FixedWindow {
    /// Uses one of `limit`; `false` when the minute's are used up.
    #[must_use]
    pub fn take(&mut self, limit: u32, now: Instant) -> bool {
        if self.is_over(now) {
            *self = Self { since: tenths(now - Instant::START), used: 0 };
        }
        let left = self.used < limit;
        self.used += u32::from(left);
        left
    }

    /// Whether one of `limit` is left.
    pub fn has_left(&self, limit: u32, now: Instant) -> bool {
        self.is_over(now) || self.used < limit
    }

    fn is_over(&self, now: Instant) -> bool {
        tenths(now - Instant::START).saturating_sub(self.since) >= tenths(limits::MINUTE)
    }
}

fn tenths(span: Duration) -> u32 {
    u32::try_from(span.as_millis() / 100).unwrap_or(u32::MAX)
}

/// Counts by keys what each may do so many times in a window, and so outlives connections. All keys have the same window, and are
/// forgotten together when it ends.
#[derive(Debug)]
struct KeyedWindow<K> {
    length: Duration,
    since: Instant,
    used: HashMap<K, u32>,
}

impl<K: Hash + Eq> KeyedWindow<K> {
    fn new(length: Duration) -> Self {
        Self { length, since: Instant::START, used: HashMap::new() }
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.since + self.length
    }

    fn has_left(&self, key: &K, limit: u32, now: Instant) -> bool {
        self.is_over(now) || self.used.get(key).is_none_or(|&used| used < limit)
    }

    fn count(&mut self, keys: impl Iterator<Item = K>, now: Instant) {
        if self.is_over(now) {
            *self = Self { since: now, ..Self::new(self.length) };
        }
        for key in keys {
            if self.used.len() < limits::PREFIXES || self.used.contains_key(&key) {
                *self.used.entry(key).or_default() += 1;
            }
        }
    }
}

/// Counts for each address prefix what it may do so many times in a window, and so outlives connections.
#[derive(Debug)]
pub struct PrefixWindow(KeyedWindow<Prefix>);

impl PrefixWindow {
    /// Windows of this length.
    pub fn new(length: Duration) -> Self {
        Self(KeyedWindow::new(length))
    }

    /// Uses one of `limit` of a prefix, and one of [`limits::WIDER`] times as many of the wider one; `false` when either's
    /// are used up.
    #[must_use]
    #[cfg(test)]
    pub fn take(&mut self, prefix: Prefix, limit: u32, now: Instant) -> bool {
        let left = self.has_left(prefix, limit, now);
        if left {
            self.count(prefix, now);
        }
        left
    }

    /// Whether one of `limit` is left.
    pub fn has_left(&self, prefix: Prefix, limit: u32, now: Instant) -> bool {
        self.0.is_over(now) || has_left(&self.0.used, prefix, limit)
    }

    /// How many a prefix has used, or of the wider one so many as each of [`limits::WIDER`] may have of that, if these are more.
    pub fn used(&self, prefix: Prefix, now: Instant) -> u32 {
        if self.0.is_over(now) { 0 } else { used(&self.0.used, prefix) }
    }

    /// Counts one, whether it was left or not.
    pub fn count(&mut self, prefix: Prefix, now: Instant) {
        self.0.count(networks(prefix), now);
    }

    /// Gives one back that was counted in this window.
    fn give_back(&mut self, prefix: Prefix) {
        for prefix in networks(prefix) {
            if let Some(used) = self.0.used.get_mut(&prefix) {
                *used = used.saturating_sub(1);
            }
        }
    }
}

/// With whom somebody is counted: whoever owns a name for themselves, wherever they come from and however often.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// The owner of this name.
    Account(Nick),
    /// A guest, with those who come from the same network.
    Network(Prefix),
    /// A guest on this machine: people who share a machine, or a proxy that names nobody, are not to be counted as one.
    Alone,
}

/// Counts what accounts, and the guests of a network together, may do so many times in a window.
#[derive(Debug)]
pub struct Shares {
    of_networks: PrefixWindow,
    of_accounts: KeyedWindow<KeptNick>,
}

impl Shares {
    /// Windows of this length.
    pub fn new(length: Duration) -> Self {
        Self { of_networks: PrefixWindow::new(length), of_accounts: KeyedWindow::new(length) }
    }

    /// Whether one of `limit` is left, which for guests on this machine there always is.
    pub fn has_left(&self, who: Counted, limit: u32, now: Instant) -> bool {
        match who {
            Counted::Account(nick) => self.of_accounts.has_left(&nick.into(), limit, now),
            Counted::Network(prefix) => self.of_networks.has_left(prefix, limit, now),
            Counted::Alone => true,
        }
    }

    /// Counts one, whether it was left or not.
    pub fn count(&mut self, who: Counted, now: Instant) {
        match who {
            Counted::Account(nick) => self.of_accounts.count(std::iter::once(nick.into()), now),
            Counted::Network(prefix) => self.of_networks.count(prefix, now),
            Counted::Alone => {}
        }
    }
}

/// Counts what somebody may do so many times a minute. It is counted in a window of their own, which no login and no logout renews;
/// and that of an owner by account, that of a guest by network, which may do [`limits::A_PREFIX`] times as much.
#[derive(Debug)]
pub struct Doings(Shares);

impl Default for Doings {
    fn default() -> Self {
        Self(Shares::new(limits::MINUTE))
    }
}

impl Doings {
    /// Uses one of `limit`; `false` when they are used up.
    #[must_use]
    pub fn take(&mut self, who: Counted, own: &mut FixedWindow, limit: u32, now: Instant) -> bool {
        let left = self.has_left(who, own, limit, now);
        if left {
            self.count(who, own, now);
        }
        left
    }

    /// Whether one of `limit` is left.
    pub fn has_left(&self, who: Counted, own: &FixedWindow, limit: u32, now: Instant) -> bool {
        let most = if matches!(who, Counted::Network(_)) { limit * limits::A_PREFIX } else { limit };
        own.has_left(limit, now) && self.0.has_left(who, most, now)
    }

    /// Counts one, whether it was left or not.
    pub fn count(&mut self, who: Counted, own: &mut FixedWindow, now: Instant) {
        self.0.count(who, now);
        let _ = own.take(u32::MAX, now);
    }
}

/// Counts for each address prefix who came in this minute and has not logged in since.
#[derive(Debug)]
pub struct Connects {
    window: PrefixWindow,
    /// Those who are counted in this window and have not gone.
    counted: HashMap<ConnId, Prefix>,
}

impl Default for Connects {
    fn default() -> Self {
        Self { window: PrefixWindow::new(limits::MINUTE), counted: HashMap::new() }
    }
}

impl Connects {
    /// Whether somebody more may come from somewhere, where so many may.
    pub fn has_left(&self, origin: Origin, limit: u32, now: Instant) -> bool {
        match origin {
            Origin::Loopback => true,
            Origin::Network(prefix) => self.window.has_left(prefix, limit, now),
        }
    }

    /// Somebody came.
    pub fn count(&mut self, conn: ConnId, origin: Origin, now: Instant) {
        let Origin::Network(prefix) = origin else { return };
        if self.window.0.is_over(now) {
            self.counted = HashMap::new();
        }
        self.window.count(prefix, now);
        self.counted.insert(conn, prefix);
    }

    /// They have logged in, or are known otherwise, and so they are counted no more.
    pub fn free(&mut self, conn: ConnId, now: Instant) {
        if let Some(prefix) = self.counted.remove(&conn).filter(|_| !self.window.0.is_over(now)) {
            self.window.give_back(prefix);
        }
    }

    /// Whether this is so of all who are counted and have not gone; for tests.
    pub fn all_are(&self, is_so: impl Fn(ConnId) -> bool) -> bool {
        self.counted.keys().all(|&conn| is_so(conn))
    }

    /// They have gone, and are counted all the same.
    pub fn forget(&mut self, conn: ConnId) {
        self.counted.remove(&conn);
    }
}

/// Counts what all together may do so many times in a window.
#[derive(Debug)]
pub struct Window {
    length: Duration,
    since: Instant,
    used: u32,
}

impl Window {
    /// Windows of this length.
    pub fn new(length: Duration) -> Self {
        Self { length, since: Instant::START, used: 0 }
    }

    /// Whether one of `limit` is left.
    pub fn has_left(&self, limit: u32, now: Instant) -> bool {
        now >= self.since + self.length || self.used < limit
    }

    /// Counts one, whether it was left or not.
    pub fn count(&mut self, now: Instant) {
        if now >= self.since + self.length {
            *self = Self { since: now, ..Self::new(self.length) };
        }
        self.used += 1;
    }
}

/// Counts for each address prefix what there is of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PrefixCount {
    count: HashMap<Prefix, u32>,
}

impl PrefixCount {
    /// Whether a prefix has fewer than `limit`, and the wider one fewer than [`limits::WIDER`] times as many.
    pub fn has_left(&self, prefix: Prefix, limit: u32) -> bool {
        has_left(&self.count, prefix, limit)
    }

    /// How many a prefix has, see [`PrefixWindow::used`].
    pub fn used(&self, prefix: Prefix) -> u32 {
        used(&self.count, prefix)
    }

    /// There is one more.
    pub fn add(&mut self, prefix: Prefix) {
        networks(prefix).for_each(|prefix| *self.count.entry(prefix).or_default() += 1);
    }

    /// One is gone.
    pub fn remove(&mut self, prefix: Prefix) {
        for prefix in networks(prefix) {
            if let Some(count) = self.count.get_mut(&prefix) {
                *count -= 1;
                if *count == 0 {
                    self.count.remove(&prefix);
                }
            }
        }
    }
}

/// A prefix and the wider one.
fn networks(prefix: Prefix) -> impl Iterator<Item = Prefix> {
    [Some(prefix), prefix.wider()].into_iter().flatten()
}

/// Whether a prefix has fewer than `limit`, and the wider one fewer than [`limits::WIDER`] times as many.
fn has_left(counts: &HashMap<Prefix, u32>, prefix: Prefix, limit: u32) -> bool {
    let limits = [limit, limit.saturating_mul(limits::WIDER)];
    networks(prefix).zip(limits).all(|(prefix, limit)| counts.get(&prefix).is_none_or(|&count| count < limit))
}

/// How many a prefix has, or its part of what the wider one has, if that is more.
fn used(counts: &HashMap<Prefix, u32>, prefix: Prefix) -> u32 {
    let of = |prefix| counts.get(&prefix).copied().unwrap_or_default();
    of(prefix).max(prefix.wider().map_or(0, of) / limits::WIDER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let (mut bucket, mut now) = (TokenBucket::default(), Instant::START);
        assert!((0..60).all(|_| bucket.take(20, now).is_ok()));
        let mut taken = 0;
        while now < Instant::START + Duration::from_secs(10) {
            match bucket.take(20, now) {
                Ok(()) => taken += 1,
                Err(then) => {
                    assert!(then > now);
                    now = then;
                }
            }
        }
        assert!((190..=200).contains(&taken), "{taken}");
    }

    #[test]
    fn a_rate_of_zero_is_no_limit() {
        let mut bucket = TokenBucket::default();
        assert!((0..100_000).all(|_| bucket.take(0, Instant::START).is_ok()));
    }

    #[test]
    fn a_window_renews_after_a_minute() {
        let mut window = FixedWindow::default();
        let at = Instant::START + Duration::from_secs(100);
        assert!((0..10).all(|_| window.take(10, at)));
        assert!(!window.take(10, at + Duration::from_secs(59)));
        assert!(window.take(10, at + limits::MINUTE));
    }

    #[test]
    fn a_prefix_has_its_share_and_the_wider_one_eight_times_that() {
        let mut window = PrefixWindow::new(limits::MINUTE);
        let at = Instant::START + Duration::from_secs(100);
        let of = |net: u8| Prefix::v6([0x20, 1, 0x0d, 0xb8, 0, 0, 0, net, 0, 0, 0, 0, 0, 0, 0, 1]);
        let v4 = Prefix::v4([203, 0, 113, 5]);
        assert!((0..10).all(|_| window.take(v4, 10, at)));
        assert!(!window.take(v4, 10, at + Duration::from_secs(59)));
        assert!(window.take(Prefix::v4([203, 0, 113, 6]), 10, at));
        for net in 1..=8 {
            assert!((0..10).all(|_| window.take(of(net), 10, at)), "{net}");
            assert!(!window.take(of(net), 10, at), "{net}");
        }
        assert!(!window.take(of(9), 10, at));
        assert!(window.take(of(9), 10, at + limits::MINUTE));
    }

    #[test]
    fn an_account_is_counted_for_itself_and_a_guest_with_their_network() {
        let (mut doings, at) = (Doings::default(), Instant::START + Duration::from_secs(100));
        let (alice, here) =
            (Counted::Account(Nick::new("alice").unwrap()), Counted::Network(Prefix::v4([203, 0, 113, 5])));
        // However often somebody comes back, they have one account.
        assert_eq!((0..20).filter(|_| doings.take(alice, &mut FixedWindow::default(), 10, at)).count(), 10);
        let mut guest = || {
            let mut own = FixedWindow::default();
            (0..20).filter(|_| doings.take(here, &mut own, 10, at)).count()
        };
        assert!((0..10).all(|_| guest() == 10));
        assert_eq!(guest(), 0);
        assert!(doings.take(Counted::Alone, &mut FixedWindow::default(), 10, at));
        assert!(doings.take(alice, &mut FixedWindow::default(), 10, at + limits::MINUTE));
    }

    #[test]
    fn who_logs_in_is_not_counted_among_those_who_come() {
        let (mut connects, at) = (Connects::default(), Instant::START + Duration::from_secs(100));
        let here = Origin::Network(Prefix::v4([203, 0, 113, 5]));
        let conn = |n| ConnId::new(n, 0);
        (0..30).for_each(|n| connects.count(conn(n), here, at));
        let has_left = |connects: &Connects, at| connects.has_left(here, 30, at);
        assert!(!has_left(&connects, at) && connects.has_left(Origin::Loopback, 30, at));
        connects.forget(conn(0));
        connects.free(conn(0), at);
        assert!(!has_left(&connects, at), "who has gone is counted all the same");
        (0..2).for_each(|_| connects.free(conn(1), at));
        assert!(has_left(&connects, at));
        connects.count(conn(30), here, at);
        assert!(!has_left(&connects, at), "one login counts once");
        // Of an earlier minute nobody is given back.
        let later = at + limits::MINUTE;
        assert!(has_left(&connects, later));
        (31..61).for_each(|n| connects.count(conn(n), here, later));
        connects.free(conn(2), later);
        assert!(!has_left(&connects, later));
    }

    #[test]
    fn so_many_prefixes_are_counted_at_most() {
        let mut window = PrefixWindow::new(limits::MINUTE);
        for n in 0..2 * limits::PREFIXES as u32 {
            assert!(window.take(Prefix::v4(n.to_be_bytes()), 1, Instant::START));
        }
        assert_eq!(window.0.used.len(), limits::PREFIXES);
        assert!(!window.take(Prefix::v4([0; 4]), 1, Instant::START));
    }
}
