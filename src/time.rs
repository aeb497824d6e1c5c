//! Time as the server counts it. An instant and a span are two types: [`Instant`] and [`Duration`].

use std::fmt;
use std::num::NonZeroU64;
use std::ops::{Add, AddAssign, Sub};
use std::time::{Duration, SystemTime};

use humantime::Rfc3339Timestamp;

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
#[inline]
pub fn as_stamped(wall: SystemTime) -> SystemTime {
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    wall.clamp(SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + LAST)
}

/// A time as a stamp tells it, in whole seconds.
pub fn in_seconds(at: SystemTime) -> Rfc3339Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is what it panics without")]
    humantime::format_rfc3339_seconds(as_stamped(at))
}

/// A time as a stamp tells it, in milliseconds.
pub fn in_millis(at: SystemTime) -> Rfc3339Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is what it panics without")]
    humantime::format_rfc3339_millis(as_stamped(at))
}

/// When a span ends that begins now; nothing if that is later than a stamp can tell, and so never.
pub fn end_of(wall: SystemTime, span: Duration) -> Option<SystemTime> {
    wall.checked_add(span).filter(|&end| as_stamped(end) == end)
}

/// A day by UTC, of the years 1970 to 9999, shown as `2026-11-28`. What lasts for months is counted in days.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Day(u32);

impl Day {
    const LENGTH: u64 = 86_400;

    /// The day on which it is this time.
    pub fn of(wall: SystemTime) -> Self {
        let since = as_stamped(wall).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(u32::try_from(since.as_secs() / Self::LENGTH).unwrap_or(u32::MAX))
    }

    /// Reads a day in the one way in which it is shown; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let begin = humantime::parse_rfc3339(&format!("{text}T00:00:00Z")).ok()?;
        Some(Self::of(begin)).filter(|day| day.to_string() == text)
    }

    /// Whether a span that began on this day is over on `today`. What is of the future has just begun: a clock may have been
    /// wrong.
    pub fn is_over(self, span: Duration, today: Self) -> bool {
        u64::from(today.0.saturating_sub(self.0)) >= span.as_secs().div_ceil(Self::LENGTH)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(self.0) * Self::LENGTH);
        let text = in_seconds(begin).to_string();
        f.write_str(&text[..10])
    }
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
        let stamp = |wall| in_millis(wall).to_string();
        assert_eq!(stamp(SystemTime::UNIX_EPOCH - day), "1970-01-01T00:00:00.000Z");
        assert_eq!(stamp(SystemTime::UNIX_EPOCH + day), "1970-01-02T00:00:00.000Z");
        assert_eq!(stamp(SystemTime::UNIX_EPOCH + 10_000 * 366 * day), "9999-12-31T23:59:59.000Z");
        assert_eq!(in_seconds(SystemTime::UNIX_EPOCH - day).to_string(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn what_ends_later_than_stamps_tell_never_ends() {
        let (start, day) = (SystemTime::UNIX_EPOCH, 86_400);
        assert_eq!(end_of(start, Duration::from_secs(day)), Some(start + Duration::from_secs(day)));
        for days in [4_000_000, u64::MAX / day] {
            assert_eq!(end_of(start, Duration::from_secs(days * day)), None);
        }
    }

    #[test]
    fn days() {
        let day = |text| Day::new(text).unwrap();
        for text in ["1970-01-01", "2026-11-28", "9999-12-31"] {
            assert_eq!(day(text).to_string(), text);
        }
        for bad in ["", "2026-11-8", "2026-02-30", "26-11-28", "2026-11-28T", "2026-11-28T00:00:00Z", "1969-12-31"] {
            assert_eq!(Day::new(bad), None, "{bad}");
        }
        let month = Duration::from_secs(30 * 86_400);
        assert!(!day("2026-11-01").is_over(month, day("2026-11-30")));
        assert!(day("2026-11-01").is_over(month, day("2026-12-01")));
        assert!(!day("2026-11-01").is_over(month, day("2026-10-01")));
        assert!(day("2026-11-01").is_over(Duration::from_secs(1), day("2026-11-02")));
    }
}
