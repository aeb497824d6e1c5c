//! A peer that takes little of what is pending: when it is tried again, when it is stalled, and what the kernel may take for dead.

use std::time::Duration;

use super::{Cold, Connection};
use crate::limits;
use crate::outbox::Flushed;
use crate::time::Instant;
use crate::transport::Transport;

/// What a try is of a connection that is stalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Others follow.
    Again,
    /// If it takes nothing now it is dropped.
    Last,
}

impl<T: Transport> Connection<T> {
    /// Takes note of what came of writing. A consumer that takes little lives, and the kernel must not take it for dead; one
    /// that takes less than [`limits::STALL_BYTES`] in the time of a stall is as bad as one that takes nothing.
    pub fn note_flushed(&mut self, flushed: Flushed, stall: Duration, now: Instant) {
        let Flushed::Blocked { taken } = flushed else {
            if let Some(rare) = &mut self.rare {
                rare.cold.stalled = None;
            }
            return;
        };
        let Cold { stalled, slow, .. } = self.cold();
        if taken > 0 && stalled.is_some() || stall > limits::DEAD {
            if slow.is_none() {
                self.set_user_timeout(None);
            }
            self.cold_mut().slow = Some(now);
        }
        let cold = self.cold_mut();
        cold.taken = cold.taken.saturating_add(u16::try_from(taken).unwrap_or(u16::MAX));
        if stalled.is_none() || cold.taken >= limits::STALL_BYTES {
            (cold.stalled, cold.taken) = (Some(now), 0);
        }
    }

    /// Which try it is of a stalled one, if it is time for one: once in each of [`limits::TRIES`] parts of a stall, whatever
    /// else wakes it. The system says that there is room only when there is much, so a slow consumer deserves a try now and
    /// then. What it holds of segments is looked at again too, as others may have let go of them.
    pub fn retry(&mut self, stall: Duration, now: Instant) -> Option<Retry> {
        let Cold { stalled, tried, .. } = self.cold();
        let (since, is_last) = (stalled?, stalled.is_some_and(|since| now >= since + stall));
        // A wake may be a little late, and the next try is not put off by that.
        if !is_last && now < tried.unwrap_or(since).max(since) + stall / limits::TRIES / 2 {
            return None;
        }
        self.cold_mut().tried = Some(now);
        self.writable = true;
        self.outbox.unsettle();
        Some(if is_last { Retry::Last } else { Retry::Again })
    }

    /// Whether it has taken too little for so long.
    pub fn is_stalled_for(&self, stall: Duration, now: Instant) -> bool {
        self.cold().stalled.is_some_and(|since| now >= since + stall)
    }

    /// Lets the kernel judge again whether the peer is dead, if it has not been seen to be slow for a while.
    pub fn calm_down(&mut self, now: Instant) {
        let Cold { stalled, slow, .. } = self.cold();
        if stalled.is_none() && slow.is_some_and(|at| now >= at + limits::CALM) {
            self.cold_mut().slow = None;
            self.set_user_timeout(Some(limits::DEAD));
        }
    }

    fn set_user_timeout(&mut self, timeout: Option<Duration>) {
        if let Some(transport) = &mut self.transport {
            transport.set_user_timeout(timeout);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::nowhere::{Nowhere, connection};
    use super::*;
    use crate::metrics::OutCounts;
    use crate::outbox::{Kind, Segment};

    const STALL: Duration = Duration::from_secs(60);

    /// Whether somebody is found to be stalled in ten minutes who takes so many bytes every second.
    fn stalls(taken: usize) -> bool {
        let mut connection = connection();
        (0..600).map(|n| Instant::START + Duration::from_secs(n)).any(|now| {
            connection.note_flushed(Flushed::Blocked { taken }, STALL, now);
            connection.is_stalled_for(STALL, now)
        })
    }

    #[test]
    fn who_takes_less_than_so_many_bytes_in_the_time_of_a_stall_is_stalled() {
        assert!(stalls(0) && stalls(1) && stalls(16));
        assert!(!stalls(18) && !stalls(100_000));
    }

    #[test]
    fn a_stalled_one_is_tried_once_in_each_part_of_a_stall_whatever_wakes_it() {
        let mut connection = connection();
        connection.note_flushed(Flushed::Blocked { taken: 0 }, STALL, Instant::START);
        let wakes = (0..60_000).map(|n| Instant::START + Duration::from_millis(n));
        let tries = wakes.filter(|&now| connection.retry(STALL, now).is_some()).count();
        assert!((3..=2 * limits::TRIES as usize).contains(&tries), "{tries}");
        assert_eq!(connection.retry(STALL, Instant::START + STALL), Some(Retry::Last));
    }

    #[test]
    fn what_others_have_let_go_of_is_not_kept_whole_past_the_next_try() {
        let held = Rc::default();
        let segment = Segment::new(&held);
        segment.extend(&[b'x'; 10_000]);
        // So many hold a tenth of it that copies would take more memory.
        let mut connections: Vec<Connection<Nowhere>> = (0..20).map(|_| connection()).collect();
        connections.iter_mut().for_each(|connection| connection.outbox_mut().push_shared(Kind::Event, &segment, 9_000));
        for connection in &mut connections {
            assert_eq!(
                connection.write(&mut Vec::new(), &mut OutCounts::default()).unwrap(),
                Flushed::Blocked { taken: 0 }
            );
            connection.note_flushed(Flushed::Blocked { taken: 0 }, STALL, Instant::START);
        }
        drop(segment);
        connections.truncate(1);
        assert!(held.get() >= 10_000);
        let mut last = connections.remove(0);
        assert_eq!(last.retry(STALL, Instant::START + STALL / limits::TRIES), Some(Retry::Again));
        last.write(&mut Vec::new(), &mut OutCounts::default()).unwrap();
        assert_eq!((held.get(), last.outbox().memory()), (0, 1_000));
    }
}
