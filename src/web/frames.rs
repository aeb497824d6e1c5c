//! The frames of a WebSocket (RFC 6455): what comes is taken apart where it stands, and the heads of what goes out are made.

/// Bytes that the head of a frame from the server has at most.
pub const HEAD: usize = 10;
/// Bytes that a control frame carries at most (RFC 6455, 5.5).
const CONTROL: u8 = 125;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// A ping without payload, as the server sends it.
pub const SERVER_PING: [u8; 2] = [FIN | PING, 0];

/// Why a WebSocket is closed (RFC 6455, 7.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// All is said.
    pub const NORMAL: Self = Self(1000);
    /// Who is at that end goes.
    pub const GOING_AWAY: Self = Self(1001);
    /// The rules of frames were broken.
    pub const PROTOCOL: Self = Self(1002);
    /// A message came that was no text.
    pub const NO_TEXT: Self = Self(1003);
    /// What came was no UTF-8.
    pub const NO_UTF8: Self = Self(1007);
    /// More came than may.
    pub const POLICY: Self = Self(1008);
    /// There is no place: it may be tried again later.
    pub const TRY_AGAIN: Self = Self(1013);

    /// Whether it may stand in a frame.
    fn is_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

/// The head of a text message of so many bytes from the server, and how many bytes it has.
pub fn text_head(len: usize) -> ([u8; HEAD], usize) {
    let mut head = [0; HEAD];
    head[0] = FIN | TEXT;
    match (u8::try_from(len), u16::try_from(len)) {
        (Ok(len @ ..=CONTROL), _) => {
            head[1] = len;
            (head, 2)
        }
        (_, Ok(len)) => {
            head[1] = 126;
            head[2..4].copy_from_slice(&len.to_be_bytes());
            (head, 4)
        }
        _ => {
            head[1] = 127;
            head[2..].copy_from_slice(&(len as u64).to_be_bytes());
            (head, HEAD)
        }
    }
}

/// A pong that answers a ping with this payload.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    control(PONG, payload)
}

/// A frame that closes.
pub fn close(CloseCode(code): CloseCode) -> Vec<u8> {
    control(CLOSE, &code.to_be_bytes())
}

fn control(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(CONTROL.into())];
    [&[FIN | opcode, u8::try_from(payload.len()).unwrap_or(CONTROL)], payload].concat()
}

/// What comes besides text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Besides<'a> {
    /// A ping, to be answered with its payload.
    Ping(&'a [u8]),
    /// A pong that was not [expected](Frames::expect_pong).
    Pong,
    /// A frame without payload.
    Nothing,
}

/// How what comes has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The peer has closed it, with a code if it gave one.
    Closed(Option<CloseCode>),
    /// The peer has broken the rules.
    Broken(CloseCode),
}

/// Where the frame under way is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Part {
    #[default]
    First,
    Len,
    /// So many bytes of a longer length, and of the mask, are missing.
    LongLen(u8),
    Mask(u8),
    Payload,
}

/// What has come of the frames of one connection: text is taken out of them, and nothing of it is kept.
#[derive(Debug, Default)]
pub struct Frames {
    /// Bytes of the payload that are missing.
    left: u64,
    /// The payload of the control frame under way, if there is one.
    #[expect(clippy::box_collection, reason = "hardly ever is there one, and each browser has this")]
    control: Option<Box<Vec<u8>>>,
    /// The mask, turned so that its first byte is for the next byte of the payload.
    mask: [u8; 4],
    /// The bytes that have come of a character, and how many these are.
    character: [u8; 3],
    has: u8,
    /// The first two bytes of the head.
    first: u8,
    len: u8,
    part: Part,
    /// Whether a message is under way, and a line in it.
    in_message: bool,
    in_line: bool,
    /// A line is to be ended for which there was no place.
    owes_end: bool,
    /// Whether a ping has no pong.
    is_pinged: bool,
    end: Option<End>,
}

impl Frames {
    /// Takes apart what was read into the first `read` bytes of `buf`, and puts the text in it to the beginning: gives how many bytes
    /// these are. It ends in an LF where the message does, as far as `buf` has room for that. What comes besides is told. Once it has
    /// [ended](Frames::end), nothing more is looked at.
    pub fn take(&mut self, buf: &mut [u8], read: usize, mut besides: impl FnMut(Besides<'_>)) -> usize {
        let (mut at, mut text) = (0, 0);
        while at < read && self.end.is_none() {
            if self.owes_end && text < at {
                text += self.end_line(&mut buf[text..]);
            }
            if self.part == Part::Payload {
                let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(read - at);
                let payload = at..at + len;
                self.unmask(&mut buf[payload.clone()]);
                self.left -= len as u64;
                at += len;
                if let Some(control) = &mut self.control {
                    control.extend_from_slice(&buf[payload]);
                } else {
                    let valid = self.check(&buf[payload.clone()]);
                    buf.copy_within(payload.start..payload.start + valid, text);
                    text += valid;
                    if let Some(last) = valid.checked_sub(1) {
                        self.in_line = buf[text - valid + last] != b'\n';
                    }
                }
            } else {
                self.head(buf[at]);
                at += 1;
            }
            if self.part == Part::Payload && self.left == 0 && self.end.is_none() {
                self.part = Part::First;
                self.complete(&mut besides);
            }
        }
        if self.owes_end {
            text += self.end_line(&mut buf[text..]);
        }
        text
    }

    /// The end of a line for which there was no place, if there is one: gives how many bytes of `buf` it takes.
    pub fn end_line(&mut self, buf: &mut [u8]) -> usize {
        let Some(place) = buf.first_mut().filter(|_| self.owes_end) else { return 0 };
        *place = b'\n';
        self.owes_end = false;
        1
    }

    /// Whether there is the end of a line that [`Frames::end_line`] gives.
    pub fn owes_end(&self) -> bool {
        self.owes_end
    }

    /// How it has ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// It has ended, if it had not: the peer has broken a rule.
    pub fn broken(&mut self, code: CloseCode) {
        self.end.get_or_insert(End::Broken(code));
    }

    /// A ping goes out, so that a pong is owed.
    pub fn expect_pong(&mut self) {
        self.is_pinged = true;
    }

    /// Takes one byte of a head.
    fn head(&mut self, byte: u8) {
        match self.part {
            Part::First => {
                self.first = byte;
                let (is_whole, opcode) = (byte & FIN != 0, byte & 0xf);
                let is_allowed = match opcode {
                    CONTINUATION => self.in_message,
                    TEXT => !self.in_message,
                    CLOSE | PING | PONG => is_whole,
                    BINARY if byte & 0x70 == 0 => return self.broken(CloseCode::NO_TEXT),
                    _ => false,
                };
                if !is_allowed || byte & 0x70 != 0 {
                    return self.broken(CloseCode::PROTOCOL);
                }
                self.part = Part::Len;
            }
            Part::Len => {
                self.len = byte & !MASKED;
                if byte & MASKED == 0 || self.is_control() && self.len > CONTROL {
                    return self.broken(CloseCode::PROTOCOL);
                }
                (self.left, self.part) = match self.len {
                    126 => (0, Part::LongLen(2)),
                    127 => (0, Part::LongLen(8)),
                    len => (len.into(), Part::Mask(4)),
                };
            }
            Part::LongLen(missing) => {
                self.left = self.left << 8 | u64::from(byte);
                self.part = if missing > 1 { Part::LongLen(missing - 1) } else { Part::Mask(4) };
                // It has the shortest form, and no more than 63 bits.
                let least = if self.len == 126 { u64::from(CONTROL) + 1 } else { 1 << 16 };
                if missing == 1 && (self.left < least || self.left >> 63 != 0) {
                    self.broken(CloseCode::PROTOCOL);
                }
            }
            Part::Mask(missing) => {
                self.mask[usize::from(4 - missing)] = byte;
                self.part = if missing > 1 { Part::Mask(missing - 1) } else { Part::Payload };
                if missing == 1 {
                    self.control = self.is_control().then(Box::default);
                    self.in_message |= !self.is_control();
                }
            }
            Part::Payload => {}
        }
    }

    fn is_control(&self) -> bool {
        self.first & 0x8 != 0
    }

    fn unmask(&mut self, payload: &mut [u8]) {
        let mask = u32::from_ne_bytes(self.mask);
        let mut words = payload.chunks_exact_mut(4);
        for word in &mut words {
            if let Ok(bytes) = <[u8; 4]>::try_from(&*word) {
                word.copy_from_slice(&(u32::from_ne_bytes(bytes) ^ mask).to_ne_bytes());
            }
        }
        words.into_remainder().iter_mut().zip(self.mask).for_each(|(byte, mask)| *byte ^= mask);
        self.mask.rotate_left(payload.len() % 4);
    }

    /// How many of these bytes are text behind what came before: all, unless they end it.
    fn check(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while self.has > 0 && at < bytes.len() {
            let mut character = [0; 4];
            let has = usize::from(self.has);
            character[..has].copy_from_slice(&self.character[..has]);
            character[has] = bytes[at];
            match std::str::from_utf8(&character[..=has]) {
                Ok(_) => self.has = 0,
                Err(e) if e.error_len().is_none() && has < 3 => {
                    self.character[has] = bytes[at];
                    self.has += 1;
                }
                Err(_) => {
                    self.broken(CloseCode::NO_UTF8);
                    return at;
                }
            }
            at += 1;
        }
        match std::str::from_utf8(&bytes[at..]) {
            Ok(_) => bytes.len(),
            Err(e) if e.error_len().is_none() => {
                let rest = &bytes[at + e.valid_up_to()..];
                self.character[..rest.len()].copy_from_slice(rest);
                self.has = u8::try_from(rest.len()).unwrap_or_default();
                bytes.len()
            }
            Err(e) => {
                self.broken(CloseCode::NO_UTF8);
                at + e.valid_up_to()
            }
        }
    }

    /// All of a frame has come.
    fn complete(&mut self, besides: &mut impl FnMut(Besides<'_>)) {
        if let Some(payload) = self.control.take() {
            return match self.first & 0xf {
                PING => besides(Besides::Ping(&payload)),
                PONG if std::mem::take(&mut self.is_pinged) => {}
                PONG => besides(Besides::Pong),
                _ => self.end = Some(closed(&payload)),
            };
        }
        if self.len == 0 {
            besides(Besides::Nothing);
        }
        if self.first & FIN == 0 {
            return;
        }
        self.in_message = false;
        if self.has > 0 {
            return self.broken(CloseCode::NO_UTF8);
        }
        self.owes_end = std::mem::take(&mut self.in_line);
    }
}

/// What a frame that closes says.
fn closed(payload: &[u8]) -> End {
    match *payload {
        [] => End::Closed(None),
        [high, low, ref reason @ ..] => {
            let code = CloseCode(u16::from_be_bytes([high, low]));
            match std::str::from_utf8(reason) {
                _ if !code.is_sent() => End::Broken(CloseCode::PROTOCOL),
                Err(_) => End::Broken(CloseCode::NO_UTF8),
                Ok(_) => End::Closed(Some(code)),
            }
        }
        [_] => End::Broken(CloseCode::PROTOCOL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame of a client.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [0xa1, 0x02, 0xf3, 0x44];
        let (head, len) = text_head(payload.len());
        let mut frame = head[..len].to_vec();
        (frame[0], frame[1]) = (first, frame[1] | MASKED);
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// What comes of bytes that are read in parts of these sizes: the text, what came besides, and how it ended.
    fn run(input: &[u8], sizes: impl IntoIterator<Item = usize>) -> (Vec<u8>, Vec<String>, Option<End>) {
        let (mut frames, mut text, mut besides) = (Frames::default(), Vec::new(), Vec::new());
        let (mut rest, mut sizes) = (input, sizes.into_iter());
        while !rest.is_empty() {
            let len = sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len());
            let mut buf = rest[..len].to_vec();
            rest = &rest[len..];
            let end = frames.end_line(&mut buf.clone());
            text.extend(std::iter::repeat_n(b'\n', end));
            let count = frames.take(&mut buf, len, |other| besides.push(format!("{other:?}")));
            text.extend_from_slice(&buf[..count]);
        }
        let end = frames.end_line(&mut [0]);
        text.extend(std::iter::repeat_n(b'\n', end));
        if frames.end().is_some() {
            // Of a line that has not ended by then nothing is carried out.
            text.truncate(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
        }
        (text, besides, frames.end())
    }

    #[test]
    fn a_message_ends_its_line_and_only_once() {
        for (messages, want) in [
            (&["a"][..], "a\n"),
            (&["a\n"], "a\n"),
            (&["a", "b"], "a\nb\n"),
            (&["", "\n", "a\nb"], "\na\nb\n"),
            (&["a\r\n"], "a\r\n"),
        ] {
            let input: Vec<u8> = messages.iter().flat_map(|text| frame(FIN | TEXT, text.as_bytes())).collect();
            for size in 1..=input.len() {
                let (text, _, end) = run(&input, std::iter::repeat(size));
                assert_eq!((String::from_utf8(text).unwrap().as_str(), end), (want, None), "{messages:?} by {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(
            parts in proptest::collection::vec((prop_oneof![
                Just(FIN | TEXT), Just(TEXT), Just(CONTINUATION), Just(FIN), Just(FIN | PING), Just(FIN | PONG), any::<u8>(),
            ], prop_oneof![
                "[a-z\u{e4}\u{20ac}\u{1f98a}\n\r]{0,40}".prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..140),
            ]), 0..8),
            sizes in proptest::collection::vec(1_usize..60, 0..40),
        ) {
            let input: Vec<u8> = parts.iter().flat_map(|(first, payload)| frame(*first, payload)).collect();
            let whole = run(&input, []);
            prop_assert_eq!(&run(&input, sizes), &whole);
            prop_assert_eq!(&run(&input, std::iter::repeat(1)), &whole);
            prop_assert!(std::str::from_utf8(&whole.0).map_or_else(|e| e.error_len().is_none(), |_| true));
        }
    }
}
