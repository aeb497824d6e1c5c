//! Input of somebody who was put out of a room: what they sent before is told from what comes later.

use super::Connection;
use crate::limits;
use crate::time::Instant;
use crate::transport::Transport;

/// How input that came before somebody was put out of a room is told from what came later.
#[derive(Clone, Copy)]
pub(super) struct PutOut {
    /// Bytes that had come and have not been read yet.
    unread: u32,
    /// Bytes that the peer's system may hold behind them, as there was no room for more here.
    behind: u32,
    /// Since when nothing is left to be read of what comes without a break.
    dry: Option<Instant>,
    /// Bytes of the lines under way that came later.
    later: u32,
}

impl PutOut {
    /// Whether all has been read that was sent before.
    fn is_read(&self) -> bool {
        self.unread == 0 && self.behind == 0
    }
}

impl<T: Transport> Connection<T> {
    /// The person was put out of a room: what they have sent until now is told from what comes later. Where much waits to be read,
    /// there may have been no room for more, which the system of their machine holds then and sends on when there is. All of that comes
    /// without a break.
    pub fn put_out(&mut self) {
        let unread = self.transport.as_ref().map_or(0, Transport::unread);
        let behind = if unread >= limits::PUT_OUT_FULL { limits::PUT_OUT_BEHIND } else { 0 };
        let unread = u32::try_from(unread).unwrap_or(u32::MAX);
        // They may be put out of another room while that still comes.
        let before = self.cold().put_out.filter(|before| before.behind > 0);
        let dry = before.and_then(|before| before.dry).filter(|_| unread == 0);
        let behind = before.map_or(behind, |before| before.behind.max(behind));
        self.cold_mut().put_out = Some(PutOut { unread, behind, dry, later: 0 });
    }

    /// Something more has come. Behind a break it is what they have sent since they were put out.
    pub(super) fn note_input(&mut self, now: Instant) {
        let Some(put_out) = self.rare.as_mut().and_then(|rare| rare.cold.put_out.as_mut()) else { return };
        if put_out.dry.take().is_some_and(|dry| now > dry + limits::PUT_OUT_BREAK) {
            put_out.behind = 0;
        }
    }

    /// How much may be read at once of what may: what came before the person was put out of a room is read by itself.
    pub fn readable_at_once(&self, most: usize) -> usize {
        match self.cold().put_out {
            Some(PutOut { unread: 1.., .. }) => most.min(self.unread_before()),
            _ => most,
        }
    }

    fn unread_before(&self) -> usize {
        self.cold().put_out.map_or(0, |put_out| put_out.unread as usize)
    }

    /// So many bytes were read, and the lines under way had `before` bytes before that.
    #[inline]
    pub fn note_read(&mut self, read: usize, before: usize, now: Instant) {
        let added = self.framing.lines.len().saturating_sub(before);
        let (is_dry, Some(rare)) = (!self.readable, self.rare.as_mut()) else { return };
        let Some(put_out) = rare.cold.put_out.as_mut() else { return };
        let read = u32::try_from(read).unwrap_or(u32::MAX);
        if put_out.unread > 0 {
            put_out.unread = put_out.unread.saturating_sub(read);
            // What does not come at once had not come.
            if is_dry {
                put_out.unread = 0;
            }
        } else if put_out.behind > 0 {
            put_out.behind = put_out.behind.saturating_sub(read);
        } else {
            put_out.later = put_out.later.saturating_add(u32::try_from(added).unwrap_or(u32::MAX));
        }
        if is_dry && put_out.behind > 0 {
            put_out.dry = Some(now);
        }
    }

    /// Whether the next of its lines came before the person was put out of a room, if so many bytes of lines are left.
    pub fn at_line_before(&self, left: usize) -> bool {
        self.cold().put_out.is_some_and(|put_out| left > put_out.later as usize)
    }

    /// Whether the last of what came before the person was put out of a room is gone, if so many bytes of lines are left; it says
    /// so once.
    pub fn is_past_put_out(&mut self, left: usize) -> bool {
        let Some(rare) = self.rare.as_mut() else { return false };
        rare.cold.put_out.take_if(|put_out| put_out.is_read() && left <= put_out.later as usize).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Readiness;
    use super::super::nowhere::connection;
    use super::*;

    #[test]
    fn what_comes_without_a_break_was_sent_before_one_was_put_out() {
        for (pause, is_later) in [(limits::PUT_OUT_BREAK, false), (limits::PUT_OUT_BREAK * 2, true)] {
            let mut connection = connection();
            connection.put_out();
            connection.note_read(limits::PUT_OUT_FULL, 0, Instant::START);
            connection.readable = false;
            connection.note_read(0, 0, Instant::START);
            assert!(!connection.is_past_put_out(0));
            // They are put out of another room too.
            connection.put_out();
            connection.note_read(limits::PUT_OUT_FULL, 0, Instant::START);
            connection.note(Readiness { readable: true, ..Readiness::default() }, Instant::START + pause);
            assert_eq!(connection.is_past_put_out(0), is_later);
        }
        // No system holds more than so much.
        let mut connection = connection();
        connection.put_out();
        connection.note_read(limits::PUT_OUT_FULL, 0, Instant::START);
        connection.note_read(limits::PUT_OUT_BEHIND as usize, 0, Instant::START);
        assert!(connection.is_past_put_out(0));
    }
}
