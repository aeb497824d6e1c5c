//! One connection of a simulation: the bytes both ways, how they fare, and the transport that the server has of it.

use super::*;

/// How a direction of a connection ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In good order.
    Fin,
    /// Cut off.
    Reset,
}

/// What was so when bytes were written.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    /// Where the bytes end in the stream.
    pub(super) end: usize,
    pub(super) logged: Option<usize>,
    pub(super) waited: Duration,
}

/// One connection: the server's socket, and the peer's.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) slot: Option<usize>,
    /// How many bytes must come before the server may admit it.
    pub(super) head: usize,
    /// The address that these tell of.
    pub(super) named: Option<IpAddr>,
    /// Whether it stands for a WebSocket.
    pub(super) is_web: bool,
    /// What the peer sent and the server's kernel has, and what is on its way there.
    pub(super) arrived: VecDeque<u8>,
    pub(super) coming: VecDeque<u8>,
    /// The end of what the peer sends, and whether it has arrived.
    pub(super) end: Option<End>,
    pub(super) end_arrived: bool,
    /// What broke it, for the server to take once.
    pub(super) error: Option<ErrorKind>,
    /// What the server wrote, and the peer has not read.
    pub(super) out: VecDeque<u8>,
    pub(super) marks: VecDeque<Mark>,
    /// Bytes written and read in all, and whether a line has been written in part.
    pub(super) written: usize,
    pub(super) is_mid_line: bool,
    pub(super) read: usize,
    /// A write found no room.
    pub(super) wants_room: bool,
    /// Something has changed that the server has not been told.
    pub(super) edge: bool,
    /// The server writes nothing more, or has closed.
    pub(super) is_shut: bool,
    pub(super) is_closed: bool,
    /// The peer reads nothing any more.
    pub(super) is_deaf: bool,
    /// The server has closed it with something unread.
    pub(super) was_cut: bool,
    /// Whether a write ever found no room, and when those were that found some, with the bytes that they took.
    pub(super) was_blocked: bool,
    pub(super) taken: VecDeque<(Instant, usize)>,
    /// Whether the last write found no room; if so, since when the server waits and what it could write meanwhile, anew
    /// whenever that was as much as a consumer must take.
    pub(super) is_blocked: bool,
    pub(super) stalled: Option<(Instant, usize)>,
}

impl Wire {
    /// Whether the server has read all that was sent, or will read no more.
    pub(super) fn is_heard(&self) -> bool {
        self.is_closed || (self.arrived.is_empty() && self.coming.is_empty())
    }

    pub(super) fn readiness(&self, room: usize) -> Readiness {
        let is_reset = self.end_arrived && self.end == Some(End::Reset);
        Readiness {
            readable: !self.arrived.is_empty() || self.end_arrived,
            writable: self.out.len() <= room * 2 / 3 || is_reset,
            closed: self.end_arrived,
            failed: self.error.is_some(),
            urgent: false,
        }
    }

    /// Something of what is on its way arrives, the end at last.
    pub(super) fn arrive(&mut self, most: usize) {
        let most = most.min(self.coming.len());
        self.arrived.extend(self.coming.drain(..most));
        self.edge |= most > 0;
        if self.coming.is_empty() && self.end.is_some() && !self.end_arrived {
            self.end_arrived = true;
            self.edge = true;
            // What is written to a peer that reads nothing more is answered with a reset.
            if self.is_deaf && !self.out.is_empty() {
                self.end = Some(End::Reset);
            }
            if self.end == Some(End::Reset) {
                self.error = Some(ErrorKind::ConnectionReset);
                self.out.clear();
            }
        }
    }

    pub(super) fn is_arriving(&self) -> bool {
        !self.coming.is_empty() || (self.end.is_some() && !self.end_arrived)
    }

    /// The peer takes bytes out.
    pub(super) fn take(&mut self, most: usize, room: usize) -> Vec<u8> {
        let most = most.min(self.out.len());
        let bytes: Vec<u8> = self.out.drain(..most).collect();
        self.read += most;
        // The kernel tells of room when a third is free.
        if self.wants_room && self.out.len() <= room * 2 / 3 {
            self.wants_room = false;
            self.edge = true;
        }
        bytes
    }
}

/// The server's end of a connection.
pub struct Stream {
    pub(super) wire: Rc<RefCell<Wire>>,
    pub(super) net: Rc<Net>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let wire = &mut *self.wire.borrow_mut();
        wire.is_closed = true;
        wire.slot = None;
        // To close with something unread is to reset: what the peer has not taken is lost to it.
        if !wire.arrived.is_empty() || !wire.coming.is_empty() {
            wire.out.truncate(self.net.below(wire.out.len() + 1));
            wire.was_cut = true;
        }
        self.net.open.set(self.net.open.get() - 1);
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let wire = &mut *self.wire.borrow_mut();
        if self.net.one_in(16 * self.net.weather.odd) {
            return Err(ErrorKind::Interrupted.into());
        }
        if wire.arrived.is_empty() {
            if wire.end_arrived {
                return wire.error.take().map_or(Ok(0), |kind| Err(kind.into()));
            }
            return Err(ErrorKind::WouldBlock.into());
        }
        let n = buf.len().min(wire.arrived.len());
        for (to, byte) in buf.iter_mut().zip(wire.arrived.drain(..n)) {
            *to = byte;
        }
        Ok(n)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (wire, net) = (&mut *self.wire.borrow_mut(), &*self.net);
        assert!(!wire.is_shut, "a write after the end of what is written");
        // There is hardly room for it.
        if bytes.starts_with(b"* bye too-slow") {
            assert!(!wire.is_mid_line, "the goodbye stands in the midst of a line");
            // It was dropped for having taken too little, so it did; the seconds are for the turns in which a stall began.
            let since = net.clock.get() + Duration::from_secs(2) - net.stall;
            let taken: usize = wire.taken.iter().filter(|(at, _)| *at > since).map(|(_, n)| n).sum();
            assert!(taken < usize::from(STALL_BYTES), "who took {taken} bytes is dropped as too slow");
        }
        if net.one_in(16 * net.weather.odd) {
            return Err(ErrorKind::Interrupted.into());
        }
        net.clock.set(net.clock.get() + net.weather.write);
        if wire.end_arrived && wire.end == Some(End::Reset) {
            return Err(wire.error.take().unwrap_or(ErrorKind::BrokenPipe).into());
        }
        // A peer that has closed answers with a reset, which is a broken pipe where it had closed in good order.
        if wire.is_deaf && wire.end_arrived {
            if wire.written > 0 && net.one_in(2) {
                return Err(ErrorKind::BrokenPipe.into());
            }
            wire.error = Some(ErrorKind::BrokenPipe);
            (wire.end, wire.edge) = (Some(End::Reset), true);
            return Ok(bytes.len());
        }
        let room = net.weather.room.saturating_sub(wire.out.len());
        if room == 0 || net.one_in(4 * net.weather.odd) {
            (wire.wants_room, wire.was_blocked, wire.is_blocked) = (true, true, true);
            if wire.stalled.is_none_or(|(_, taken)| taken >= usize::from(STALL_BYTES)) {
                wire.stalled = Some((net.clock.get(), 0));
            }
            return Err(ErrorKind::WouldBlock.into());
        }
        let most = room.min(bytes.len());
        let n = if net.one_in(net.weather.odd) { 1 + net.below(most) } else { most };
        wire.out.extend(&bytes[..n]);
        wire.is_mid_line = bytes[n - 1] != b'\n';
        wire.written += n;
        wire.taken.push_back((net.clock.get(), n));
        wire.is_blocked = false;
        if let Some((_, taken)) = &mut wire.stalled {
            *taken += n;
        }
        let logged = net.is_log_kept.get().then(|| net.logged.get());
        wire.marks.push_back(Mark { end: wire.written, logged, waited: net.waited.get() });
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Stream {
    fn arrive(&mut self, peer: peer::Peer, _: Places) -> Result<peer::Peer, NotArrived> {
        let mut byte = [0];
        while self.wire.borrow().head > 0 {
            match self.read(&mut byte) {
                Ok(0) => return Err(NotArrived::Failed(ErrorKind::UnexpectedEof.into())),
                Ok(_) => self.wire.borrow_mut().head -= 1,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(self.wire.borrow().named.map_or(peer, |address| peer::Peer::named(address, names::Wire::Clear)))
    }

    fn shut(&mut self, _: Farewell) -> io::Result<()> {
        let wire = &mut *self.wire.borrow_mut();
        if wire.end_arrived && wire.end == Some(End::Reset) {
            return Err(ErrorKind::NotConnected.into());
        }
        wire.is_shut = true;
        Ok(())
    }

    fn set_user_timeout(&mut self, _: Option<Duration>) {}

    fn layer(&self) -> Layer {
        if self.wire.borrow().is_web { Layer::Ws } else { Layer::Tcp }
    }

    fn unread(&self) -> usize {
        self.wire.borrow().arrived.len()
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.wire.borrow_mut().error.take().map(Into::into)
    }
}
