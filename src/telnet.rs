//! The telnet protocol (RFC 854): its commands are taken out of what a connection sends, and every option is refused. Those
//! that erase become the keys that do.

use memchr::memchr;

use crate::erase::{DELETE, KILL};
use crate::limits::SUBNEGOTIATION;

/// Where the stream of one connection stands in the protocol.
///
/// The byte 0xFF never occurs in UTF-8, so it is taken for IAC anywhere: who never sends one is never answered by telnet.
#[derive(Debug, Default)]
pub struct Telnet(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Data,
    Iac,
    /// After WILL, WONT, DO or DONT.
    Option(u8),
    /// In a sub-negotiation.
    Sub {
        /// How many of its bytes have been swallowed, up to [`SUBNEGOTIATION`].
        swallowed: u16,
        /// The last of them.
        last: u8,
    },
}

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
/// Erase character.
const EC: u8 = 247;
/// Erase line.
const EL: u8 = 248;
const SE: u8 = 240;
/// The first of the commands without an operand: end of file, as RFC 1184 adds.
const EOF: u8 = 236;

impl Telnet {
    /// Hands the data among `bytes` to `data`, in runs as long as they are. What must be answered is appended to `refusals`.
    pub fn filter(&mut self, bytes: &[u8], refusals: &mut Vec<u8>, mut data: impl FnMut(&[u8])) {
        let mut rest = bytes;
        loop {
            if matches!(self.0, State::Data) {
                let run = memchr(IAC, rest).unwrap_or(rest.len());
                if run > 0 {
                    data(&rest[..run]);
                    rest = &rest[run..];
                }
            }
            let Some((&byte, behind)) = rest.split_first() else { return };
            if let Some(byte) = self.step(byte, refusals) {
                data(&[byte]);
            }
            rest = behind;
        }
    }

    /// Whether what is in `bytes` is nothing but data.
    pub fn is_data(&self, bytes: &[u8]) -> bool {
        matches!(self.0, State::Data) && memchr(IAC, bytes).is_none()
    }

    /// Takes one byte in; gives the data that it is, if it is data.
    fn step(&mut self, byte: u8, refusals: &mut Vec<u8>) -> Option<u8> {
        let (state, data) = match (&self.0, byte) {
            (State::Data, IAC) => (State::Iac, None),
            (State::Data, _) => (State::Data, Some(byte)),
            (State::Iac, WILL..=DONT) => (State::Option(byte), None),
            (State::Iac, SB) => (State::Sub { swallowed: 0, last: SB }, None),
            (State::Iac, EC) => (State::Data, Some(DELETE)),
            (State::Iac, EL) => (State::Data, Some(KILL)),
            (State::Iac, EOF..=IAC) => (State::Data, None),
            (State::Iac, _) => (State::Data, Some(byte)),
            (State::Option(verb), option) => {
                match *verb {
                    WILL => refusals.extend_from_slice(&[IAC, DONT, option]),
                    DO => refusals.extend_from_slice(&[IAC, WONT, option]),
                    // What the peer will not do needs no answer: nothing was ever agreed.
                    _ => {}
                }
                (State::Data, None)
            }
            (State::Sub { last: IAC, .. }, SE) => (State::Data, None),
            // One that was cut off has no end. A line has, and the next one is to be heard. In a short one a LF alone may be a
            // number: the height of a window, say.
            (State::Sub { last: b'\r', .. }, b'\n' | b'\0')
            | (State::Sub { swallowed: SUBNEGOTIATION.., .. }, b'\n') => (State::Data, Some(b'\n')),
            (State::Sub { swallowed, last }, _) => {
                // Of two in a row, the second begins nothing.
                let last = if *last == IAC { 0 } else { byte };
                (State::Sub { swallowed: swallowed.saturating_add(1), last }, None)
            }
        };
        self.0 = state;
        data
    }
}
