//! Time as the server counts it. An instant and a span are two types: [`Instant`] and [`Duration`].

use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, SystemTime};

/// What time it is, told to the core with everything that comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// By the monotonic clock, for alarms and limits.
    pub at: Instant,
    /// The time of day, for stamps.
    pub wall: SystemTime,
}

/// The same time, or the nearest that a stamp can tell: stamps are of the years 1970 to 9999, and a clock may be set to
/// anything.
pub fn as_stamped(wall: SystemTime) -> SystemTime {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    wall.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST)
}

/// An instant of monotonic time, in nanoseconds since the process began. It takes eight bytes, with an `Option` around it
/// too, as there is a handful for every connection. Arithmetic ends at its bounds: no process lives for the 584 years that it
/// can hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// When the process began.
    pub const START: Self = Self(NonZeroU64::MIN);
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos(span)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(NonZeroU64::new(self.0.get().saturating_sub(nanos(span))).unwrap_or(NonZeroU64::MIN))
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// How long it is after `earlier`; nothing if it is not.
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_stamp() {
        let day = Duration::from_secs(86_400);
        let stamp = |wall| humantime::format_rfc3339_millis(as_stamped(wall)).to_string();
        assert_eq!(stamp(SystemTime::UNIX_EPOCH - day), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(SystemTime::UNIX_EPOCH + day), "1970-01-02T00:00:00.000Z");
        assert_eq!(stamp(SystemTime::UNIX_EPOCH + 10_000 * 366 * day), "9999-12-31T23:59:59.000Z");
    }
}
