//! What holds people to their limits: the token bucket slows, the fixed windows refuse.

use std::collections::HashMap;
use std::time::Duration;

use crate::limits::{self, BURST};
use crate::names::Prefix;
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

/// Counts for each address prefix what it may do so many times in a window, and so outlives connections. All prefixes have
/// the same window, and are forgotten together when it ends.
#[derive(Debug)]
pub struct PrefixWindow {
    length: Duration,
    since: Instant,
    used: HashMap<Prefix, u32>,
}

impl PrefixWindow {
    /// Windows of this length.
    pub fn new(length: Duration) -> Self {
        Self { length, since: Instant::START, used: HashMap::new() }
    }

    /// Uses one of `limit` of a prefix, and one of [`limits::WIDER`] times as many of the wider one; `false` when either's
    /// are used up.
    #[must_use]
    pub fn take(&mut self, prefix: Prefix, limit: u32, now: Instant) -> bool {
        let left = self.has_left(prefix, limit, now);
        if left {
            self.count(prefix, now);
        }
        left
    }

    /// Whether one of `limit` is left.
    pub fn has_left(&self, prefix: Prefix, limit: u32, now: Instant) -> bool {
        self.is_over(now) || has_left(&self.used, prefix, limit)
    }

    /// How many a prefix has used, or of the wider one so many as each of [`limits::WIDER`] may have of that, if these are more.
    pub fn used(&self, prefix: Prefix, now: Instant) -> u32 {
        if self.is_over(now) { 0 } else { used(&self.used, prefix) }
    }

    /// Counts one, whether it was left or not.
    pub fn count(&mut self, prefix: Prefix, now: Instant) {
        if self.is_over(now) {
            *self = Self { since: now, ..Self::new(self.length) };
        }
        for prefix in networks(prefix) {
            if self.used.len() < limits::PREFIXES || self.used.contains_key(&prefix) {
                *self.used.entry(prefix).or_default() += 1;
            }
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now >= self.since + self.length
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
    fn so_many_prefixes_are_counted_at_most() {
        let mut window = PrefixWindow::new(limits::MINUTE);
        for n in 0..2 * limits::PREFIXES as u32 {
            assert!(window.take(Prefix::v4(n.to_be_bytes()), 1, Instant::START));
        }
        assert_eq!(window.used.len(), limits::PREFIXES);
        assert!(!window.take(Prefix::v4([0; 4]), 1, Instant::START));
    }
}
