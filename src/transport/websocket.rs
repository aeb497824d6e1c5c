//! A WebSocket, as a transport: frames on the one side, lines on the other. What carries it is a transport itself.
//!
//! Before there is one, a browser sends a request of HTTP, which may be for the page as well: then it is answered here, and nobody is
//! admitted.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use super::{Farewell, Layer, NotArrived, Transport, Unfinished};
use crate::limits;
use crate::meters::TokenBucket;
use crate::names::Wire;
use crate::peer::Peer;
use crate::time::Instant;
use crate::web::frames::{self, Besides, CloseCode, End, Frames};
use crate::web::http::{self, Answer, Way};
use crate::web::{self, Heard, Places, WebDoor};

/// Frames without text that may come between two looks at the clock: as many as may come at once.
const CONTROLS_AT_ONCE: u8 = 60;
/// Pieces that are written at once, with the head before them.
const PIECES: usize = 17;

/// One such stream. A browser costs the server what this takes, so it is small.
#[derive(Debug)]
pub struct WebSocket<T: Transport> {
    under: T,
    frames: Frames,
    /// When something came last, as far as is known.
    heard: Instant,
    /// What holds frames without text to their rate.
    controls: TokenBucket,
    /// Bytes that are missing of the message that is being written.
    left: u32,
    /// How many such frames have come since somebody looked at the clock.
    unpaid: u8,
    phase: Phase,
    /// Whether something has come since somebody looked at the clock.
    is_heard: bool,
    /// Whether the last read got all that it had room for.
    has_more: bool,
    /// What is there for a moment only.
    passing: Option<Box<Passing>>,
}

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Its request is being read.
    Request,
    /// That is being answered, and that is all.
    Answer,
    /// That is being answered, and it is a WebSocket then.
    Upgrade,
    /// It is a WebSocket.
    Open,
    /// The server has said that it closes, and the peer is to say so too. What else comes is discarded.
    Closing,
    /// The server has ended what it says. What still comes is discarded.
    Shut,
}

#[derive(Debug, Default)]
struct Passing {
    /// Until the request is answered.
    door: Option<Rc<WebDoor>>,
    /// What has come of the request.
    request: Vec<u8>,
    /// What of the answer is to be written behind `before`.
    body: Answer,
    written: usize,
    /// Whose it is, as the request tells.
    peer: Option<Peer>,
    /// What is to be written before anything else.
    before: Vec<u8>,
    /// The answer to the newest ping, to be written behind the message that is being written.
    pong: Option<Vec<u8>>,
}

impl Passing {
    fn is_empty(&self) -> bool {
        self.door.is_none() && self.before.is_empty() && self.pong.is_none()
    }
}

impl<T: Transport> WebSocket<T> {
    /// A browser that has come by this door.
    pub fn new(under: T, door: Rc<WebDoor>) -> Self {
        Self {
            under,
            frames: Frames::default(),
            heard: Instant::START,
            controls: TokenBucket::default(),
            left: 0,
            unpaid: 0,
            phase: Phase::Request,
            is_heard: false,
            has_more: false,
            passing: Some(Box::new(Passing { door: Some(door), ..Passing::default() })),
        }
    }

    /// What carries it, to be registered.
    pub fn under_mut(&mut self) -> &mut T {
        &mut self.under
    }

    fn passing(&mut self) -> &mut Passing {
        self.passing.get_or_insert_default()
    }

    /// By which way it comes, as far as the server knows by itself.
    fn way(&self) -> Way {
        if self.handshake() == Some(Wire::Secure) { Way::Secure } else { Way::Clear }
    }

    /// Reads the request once, and finds out what is answered when all of its head has come.
    fn read_request(&mut self, peer: Peer, places: Places) -> Result<(), NotArrived> {
        let way = self.way();
        let mut bytes = [0; 2048];
        loop {
            let request = &mut self.passing.get_or_insert_default().request;
            let room_left = (limits::WEB_HEAD + 1).saturating_sub(request.len()).clamp(1, bytes.len());
            let read = match self.under.read(&mut bytes[..room_left]) {
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if read == 0 {
                return Err(NotArrived::Failed(ErrorKind::UnexpectedEof.into()));
            }
            request.extend_from_slice(&bytes[..read]);
            let Passing { door: Some(door), request, .. } = self.passing() else {
                return Err(NotArrived::Failed(ErrorKind::NotConnected.into()));
            };
            let heard = match http::head_len(request) {
                Ok(None) => continue,
                Err(why) => Heard::Answered(door.bad(why).by(way)),
                Ok(Some(len)) => door.hear(request, len, (peer, way), places),
            };
            match heard {
                Heard::Answered(answer) => self.answer(answer),
                Heard::Upgraded(answer, peer) => {
                    let passing = self.passing();
                    (passing.before, passing.peer) = (answer, Some(peer));
                    self.phase = Phase::Upgrade;
                }
            }
            return Ok(());
        }
    }

    /// This is the answer to its request.
    fn answer(&mut self, answer: Answer) {
        self.phase = Phase::Answer;
        let passing = self.passing();
        passing.body = answer.to(&std::mem::take(&mut passing.request));
    }

    /// Writes what is left of the answer.
    fn write_answer(&mut self) -> io::Result<()> {
        let Self { under, passing: Some(passing), .. } = self else { return Ok(()) };
        let Passing { body: Answer { head, body }, written, .. } = &mut **passing;
        while *written < head.len() + body.len() {
            let rest = [
                IoSlice::new(&head[head.len().min(*written)..]),
                IoSlice::new(&body[written.saturating_sub(head.len())..]),
            ];
            match under.write_vectored(&rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => *written += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        under.flush()
    }

    /// Writes what stands before the next message; `WouldBlock` if the socket does not take all of it.
    fn push(&mut self) -> io::Result<()> {
        let Self { under, passing, left, .. } = self;
        let Some(what) = passing.as_deref_mut() else { return Ok(()) };
        loop {
            if what.before.is_empty() && *left == 0 {
                what.before = what.pong.take().unwrap_or_default();
            }
            if what.before.is_empty() {
                break;
            }
            match under.write(&what.before) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => _ = what.before.drain(..n),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if what.is_empty() {
            *passing = None;
        }
        Ok(())
    }

    /// Writes so much of these pieces as is missing of the message.
    fn write_left(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let (cut, count) = cut(&[], pieces, self.left as usize);
        let n = self.under.write_vectored(&cut[..count])?;
        self.left -= small(n);
        Ok(n)
    }

    /// Begins a message of these pieces, of which it has so many bytes.
    fn write_message(&mut self, pieces: &[IoSlice<'_>], len: usize) -> io::Result<usize> {
        let (head, head_len) = frames::text_head(len);
        let head = &head[..head_len];
        let n = match pieces {
            [piece] if len <= limits::WEB_COPIED => {
                let mut buffer = [0; limits::WEB_COPIED + frames::HEAD];
                buffer[..head_len].copy_from_slice(head);
                buffer[head_len..head_len + len].copy_from_slice(piece);
                self.under.write(&buffer[..head_len + len])?
            }
            _ => {
                let (cut, count) = cut(head, pieces, len);
                self.under.write_vectored(&cut[..count])?
            }
        };
        if n == 0 {
            return Ok(0);
        }
        self.left = small(len);
        if n > head_len {
            self.left -= small(n - head_len);
            return Ok(n - head_len);
        }
        if n < head_len {
            self.passing().before.extend_from_slice(&head[n..]);
        }
        // It took the head alone. Only the socket says that it takes no more.
        self.push()?;
        self.write_left(pieces)
    }

    /// Tells the peer that it is closed, if nothing is under way and the socket takes that at once; gives whether it does.
    fn close(&mut self, farewell: Farewell) -> bool {
        if self.phase != Phase::Open || self.left > 0 || self.flush().is_err() {
            return false;
        }
        let code = match (self.frames.end(), farewell) {
            (Some(End::Closed(code)), _) => code.unwrap_or(CloseCode::NORMAL),
            (Some(End::Broken(code)), _) => code,
            (None, Farewell::Done) => CloseCode::NORMAL,
            (None, Farewell::ServerEnds) => CloseCode::GOING_AWAY,
            (None, Farewell::Refused) => CloseCode::TRY_AGAIN,
        };
        // What it does not take now nobody waits for.
        self.under.write(&frames::close(code)).is_ok()
    }

    /// Discards what comes until the peer closes too, which is the end.
    fn read_closing(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.under.read(buf)?;
        self.frames.take(buf, read, |_| {});
        Ok(if self.frames.end().is_some() { 0 } else { read })
    }

    /// Takes apart what was read.
    fn take(&mut self, buf: &mut [u8], read: usize) -> usize {
        let (mut pong, mut unpaid) = (None, self.unpaid);
        let text = self.frames.take(buf, read, |besides| {
            if let Besides::Ping(payload) = besides {
                pong = Some(frames::pong(payload));
            }
            unpaid = unpaid.saturating_add(1);
        });
        self.unpaid = unpaid;
        if pong.is_some() {
            self.passing().pong = pong;
        }
        if unpaid > CONTROLS_AT_ONCE {
            self.frames.broken(CloseCode::POLICY);
        }
        text
    }
}

/// `head` and so much of `pieces` as has `len` bytes, and how many pieces that are with it.
fn cut<'a>(head: &'a [u8], pieces: &'a [IoSlice<'_>], mut len: usize) -> ([IoSlice<'a>; PIECES], usize) {
    let mut cut = [IoSlice::new(&[]); PIECES];
    let mut count = 0;
    if !head.is_empty() {
        cut[0] = IoSlice::new(head);
        count = 1;
    }
    for piece in pieces {
        if len == 0 || count == PIECES {
            break;
        }
        let part = &piece[..piece.len().min(len)];
        len -= part.len();
        cut[count] = IoSlice::new(part);
        count += 1;
    }
    (cut, count)
}

/// A length of what is pending, which is far below 4 GiB.
fn small(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl<T: Transport> Read for WebSocket<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.phase == Phase::Closing {
            return self.read_closing(buf);
        }
        if self.phase != Phase::Open {
            return self.under.read(buf);
        }
        loop {
            let owed = self.frames.end_line(buf);
            if owed > 0 {
                return Ok(owed);
            }
            match self.frames.end() {
                Some(End::Closed(None | Some(CloseCode::NORMAL | CloseCode::GOING_AWAY)) | End::Broken(_)) => {
                    return Ok(0);
                }
                Some(End::Closed(_)) => return Err(ErrorKind::ConnectionReset.into()),
                None => {}
            }
            let read = self.under.read(buf);
            self.has_more = matches!(read, Ok(read) if read == buf.len());
            let read = match read? {
                // Whoever means to go says so.
                0 => return Err(ErrorKind::ConnectionReset.into()),
                read => read,
            };
            self.is_heard = true;
            let text = self.take(buf, read);
            if text > 0 {
                return Ok(text);
            }
        }
    }
}

impl<T: Transport> Write for WebSocket<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    /// Makes one message of what is given, whole pieces of it until they have [`limits::WEB_MESSAGE`] bytes.
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.phase != Phase::Open {
            return self.under.write_vectored(bufs);
        }
        self.push()?;
        if self.left > 0 {
            return self.write_left(bufs);
        }
        let (mut len, mut count) = (0, 0);
        for piece in bufs.iter().take(PIECES - 1) {
            if len >= limits::WEB_MESSAGE {
                break;
            }
            len += piece.len();
            count += 1;
        }
        self.write_message(&bufs[..count], len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.push()?;
        self.under.flush()
    }
}

impl<T: Transport> Transport for WebSocket<T> {
    fn arrive(&mut self, peer: Peer, places: Places) -> Result<Peer, NotArrived> {
        if self.phase == Phase::Request {
            match self.under.arrive(peer, places) {
                Err(NotArrived::InClear { .. }) => self.answer(web::needs_https()),
                carried => self.read_request(carried?, places)?,
            }
        }
        if self.phase == Phase::Answer {
            return Err(match self.write_answer() {
                Ok(()) => NotArrived::Answered,
                Err(e) if e.kind() == ErrorKind::WouldBlock => NotArrived::Answering,
                Err(e) => NotArrived::Failed(e),
            });
        }
        self.flush()?;
        let passing = self.passing.take();
        self.phase = Phase::Open;
        (self.is_heard, self.has_more) = (true, false);
        Ok(passing.and_then(|passing| passing.peer).unwrap_or(peer))
    }

    fn give_up(&mut self, places: Places) {
        let has_begun = self.passing.as_ref().is_some_and(|passing| !passing.request.is_empty());
        // Within a handshake nothing can be said, and in clear nobody would understand it.
        if self.phase != Phase::Request || self.layer().is_tls() && self.handshake() != Some(Wire::Secure) {
            return;
        }
        // What has come and is not read would take the answer back.
        let _ = self.under.read(&mut [0; 2048]);
        match places {
            Places::None => self.answer(web::full().by(self.way())),
            Places::Left if has_begun => self.answer(web::late().by(self.way())),
            Places::Left => return,
        }
        // As far as it goes at once.
        let _ = self.write_answer();
        let _ = self.under.shut(Farewell::Done);
    }

    fn asked_name(&self) -> Option<String> {
        self.under.asked_name()
    }

    fn handshake(&self) -> Option<Wire> {
        self.under.handshake()
    }

    fn layer(&self) -> Layer {
        match self.under.layer() {
            Layer::Tls | Layer::Wss => Layer::Wss,
            Layer::Tcp | Layer::Ws => Layer::Ws,
        }
    }

    fn has_more(&self) -> bool {
        let has_own = || self.has_more || self.frames.owes_end() || self.frames.end().is_some();
        self.phase == Phase::Open && has_own() || self.under.has_more()
    }

    fn unfinished(&self) -> Unfinished {
        Unfinished::Dropped
    }

    fn may_go_on(&self) -> bool {
        self.frames.end().is_some()
    }

    fn is_mid_message(&self) -> bool {
        self.left > 0
    }

    fn unsent(&self) -> usize {
        let passing = self.passing.as_ref();
        let own = passing.map_or(0, |passing| passing.before.len() + passing.pong.as_ref().map_or(0, Vec::len));
        own + self.under.unsent()
    }

    fn shut(&mut self, farewell: Farewell) -> io::Result<()> {
        let is_told = self.close(farewell);
        self.passing = None;
        // Firefox takes in nothing of a WebSocket whose stream ends while it is still being opened. So whoever is told so closes first.
        if is_told && self.frames.end().is_none() {
            self.phase = Phase::Closing;
            return Ok(());
        }
        self.phase = Phase::Shut;
        self.under.shut(farewell)
    }

    fn note_heard(&mut self, now: Instant) {
        if std::mem::take(&mut self.is_heard) {
            self.heard = now;
        }
        for _ in 0..std::mem::take(&mut self.unpaid) {
            if self.controls.take(limits::WEB_CONTROLS, now).is_err() {
                return self.frames.broken(CloseCode::POLICY);
            }
        }
    }

    fn excuse(&mut self, now: Instant) {
        self.heard = now;
    }

    fn beat(&mut self, now: Instant) -> io::Result<Option<Instant>> {
        if self.phase != Phase::Open {
            return Ok(None);
        }
        let silence: Duration = now - self.heard;
        if silence >= limits::WEB_DEAD {
            // Who only slept learns of it.
            self.close(Farewell::ServerEnds);
            self.phase = Phase::Shut;
            return Err(ErrorKind::TimedOut.into());
        }
        if silence < limits::WEB_PING {
            return Ok(Some(self.heard + limits::WEB_PING));
        }
        self.frames.expect_pong();
        self.passing().before.extend_from_slice(&frames::SERVER_PING);
        Ok(Some(self.heard + limits::WEB_DEAD))
    }

    fn set_user_timeout(&mut self, timeout: Option<Duration>) {
        self.under.set_user_timeout(timeout);
    }

    fn unread(&self) -> usize {
        self.under.unread()
    }

    fn take_error(&mut self) -> Option<io::Error> {
        self.under.take_error()
    }
}

impl<T: Transport> Drop for WebSocket<T> {
    /// Whatever the reason, the server ends what it has said.
    fn drop(&mut self) {
        self.close(Farewell::Done);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::{Flushed, Kind, Outbox, Segment};
    use std::collections::VecDeque;

    /// Takes so many bytes a write, and nothing every other time.
    #[derive(Debug, Default)]
    struct Narrow {
        taken: Vec<u8>,
        coming: VecDeque<u8>,
        pace: usize,
        is_blocked: bool,
        is_shut: bool,
    }

    impl Read for Narrow {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            if self.coming.is_empty() { Err(ErrorKind::WouldBlock.into()) } else { self.coming.read(buf) }
        }
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.is_blocked = !self.is_blocked;
            if self.is_blocked {
                return Err(ErrorKind::WouldBlock.into());
            }
            let n = bytes.len().min(self.pace);
            self.taken.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            self.write(&pieces.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Narrow {
        fn shut(&mut self, _: Farewell) -> io::Result<()> {
            self.is_shut = true;
            Ok(())
        }

        fn set_user_timeout(&mut self, _: Option<Duration>) {}

        fn unread(&self) -> usize {
            self.coming.len()
        }

        fn take_error(&mut self) -> Option<io::Error> {
            None
        }
    }

    /// One that is open.
    fn open(pace: usize) -> WebSocket<Narrow> {
        let mut socket = WebSocket::new(Narrow { pace, ..Narrow::default() }, Rc::default());
        (socket.phase, socket.passing) = (Phase::Open, None);
        socket
    }

    /// A frame of a client, whose mask changes nothing.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        [&[first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0], payload].concat()
    }

    /// The frames of the server in these bytes: first bytes and payloads.
    fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        while let [first, len, ref rest @ ..] = *bytes {
            let (len, rest) = match len {
                126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
                127 => (u64::from_be_bytes(rest[..8].try_into().unwrap()).try_into().unwrap(), &rest[8..]),
                len => (usize::from(len), rest),
            };
            found.push((first, rest[..len].to_vec()));
            bytes = &rest[len..];
        }
        found
    }

    #[test]
    fn what_waits_is_whole_messages_of_whole_lines_at_any_pace() {
        for pace in (1..40).chain([125, 130, 200, 1399, 5000, 100_000]) {
            let (held, mut spare, mut socket) = (Rc::default(), Vec::new(), open(pace));
            let (mut outbox, room) = (Outbox::default(), Segment::new(&held));
            let (mut want, mut pings) = (Vec::new(), 0);
            for n in 0..300_usize {
                let line = format!("{n} {}\n", "\u{e4}".repeat(n * 7 % 300));
                want.extend_from_slice(line.as_bytes());
                match n % 3 {
                    0 => outbox.push(Kind::Reply, line.as_bytes()),
                    1 => outbox.push_own(Kind::Chunk, line.into_bytes()),
                    _ => {
                        let start = room.len();
                        room.extend(line.as_bytes());
                        outbox.push_shared(Kind::Event, &room, start);
                    }
                }
                if n % 5 == 0 {
                    let flushed = outbox.write_to(&mut socket, &mut spare, None).unwrap();
                    if flushed != Flushed::All {
                        outbox.settle();
                    }
                }
                if n % 50 == 7 {
                    pings += 1;
                    socket.under.coming.extend(frame(0x89, n.to_string().as_bytes()));
                    assert_eq!(socket.read(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
                }
            }
            while outbox.write_to(&mut socket, &mut spare, None).unwrap() != Flushed::All {}
            assert_eq!((socket.left, socket.unsent()), (0, 0));
            let mut got = Vec::new();
            let mut pongs = 0;
            for (first, payload) in frames(&socket.under.taken) {
                match first {
                    0x81 => {
                        assert!(payload.ends_with(b"\n") && payload.len() < limits::WEB_MESSAGE + 16 * 1024 + 1);
                        got.extend(payload);
                    }
                    0x8a => pongs += 1,
                    other => panic!("{other:x}"),
                }
            }
            assert_eq!(String::from_utf8(got).unwrap(), String::from_utf8(want).unwrap(), "at {pace}");
            // Of several only the newest is answered.
            assert!((1..=pings).contains(&pongs), "{pongs} of {pings} at {pace}");
        }
    }

    #[test]
    fn silence_is_asked_about_and_then_ends_it() {
        let begun = Instant::START + Duration::from_secs(1000);
        let after = |seconds| begun + Duration::from_secs(seconds);
        let mut socket = open(1000);
        socket.is_heard = true;
        socket.note_heard(begun);
        assert_eq!(socket.beat(after(44)).unwrap(), Some(after(45)));
        assert_eq!(socket.unsent(), 0);
        assert_eq!(socket.beat(after(45)).unwrap(), Some(after(90)));
        while socket.flush().is_err() {}
        assert_eq!(frames(&socket.under.taken), [(0x89, Vec::new())]);
        // Whatever comes is a sign of life, a piece of a frame too.
        socket.under.coming.extend(&frame(0x81, b"hi")[..3]);
        assert!(socket.read(&mut [0; 100]).is_err());
        socket.note_heard(after(80));
        assert_eq!(socket.beat(after(90)).unwrap(), Some(after(125)));
        // While the server does not read, nobody is silent.
        socket.excuse(after(200));
        assert_eq!(socket.beat(after(200)).unwrap(), Some(after(245)));
        (socket.under.is_blocked, socket.under.taken) = (true, Vec::new());
        assert_eq!(socket.beat(after(290)).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(frames(&socket.under.taken), [(0x88, 1001_u16.to_be_bytes().to_vec())]);
    }

    #[test]
    fn a_ping_of_ours_makes_one_pong_free() {
        let mut socket = open(1000);
        socket.frames.expect_pong();
        let pongs = usize::from(CONTROLS_AT_ONCE) + 1;
        socket.under.coming.extend(frame(0x8a, b"").repeat(pongs));
        assert_eq!(socket.read(&mut [0; 4000]).unwrap_err().kind(), ErrorKind::WouldBlock);
        socket.note_heard(Instant::START);
        assert_eq!(socket.read(&mut [0; 4000]).unwrap_err().kind(), ErrorKind::WouldBlock);
        socket.under.coming.extend(frame(0x8a, b""));
        assert_eq!(socket.read(&mut [0; 4000]).unwrap_err().kind(), ErrorKind::WouldBlock);
        socket.note_heard(Instant::START);
        // It has ended, with its code.
        assert!(socket.has_more());
        assert_eq!(socket.read(&mut [0; 4000]).unwrap(), 0);
        assert_eq!(socket.frames.end(), Some(End::Broken(CloseCode::POLICY)));
    }

    #[test]
    fn nothing_is_closed_in_the_midst_of_a_message() {
        let mut socket = open(5);
        assert!(socket.write(b"a line\n").is_err());
        assert_eq!(socket.write(b"a line\n").unwrap(), 3);
        socket.shut(Farewell::Done).unwrap();
        assert_eq!(socket.under.taken, b"\x81\x07a l");
        assert!(socket.under.is_shut);
    }

    #[test]
    fn the_stream_ends_when_both_have_closed() {
        let mut socket = open(1000);
        socket.under.is_blocked = true;
        socket.shut(Farewell::Refused).unwrap();
        assert_eq!(frames(&socket.under.taken), [(0x88, 1013_u16.to_be_bytes().to_vec())]);
        // What was on its way is for nobody.
        socket.under.coming.extend(&frame(0x81, b"hi\n")[..5]);
        assert_eq!(socket.read(&mut [0; 100]).unwrap(), 5);
        assert_eq!(socket.read(&mut [0; 100]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!socket.under.is_shut);
        socket.under.coming.extend(&frame(0x81, b"hi\n")[5..]);
        socket.under.coming.extend(frame(0x88, &1013_u16.to_be_bytes()));
        assert_eq!(socket.read(&mut [0; 100]).unwrap(), 0);
        // Who closes first waits for the server's word alone.
        let mut socket = open(1000);
        socket.under.coming.extend(frame(0x88, b""));
        assert_eq!(socket.read(&mut [0; 100]).unwrap(), 0);
        socket.under.is_blocked = true;
        socket.shut(Farewell::Done).unwrap();
        assert!(socket.under.is_shut);
    }
}
