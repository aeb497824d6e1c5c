//! The telnet protocol (RFC 854): its commands are taken out of what a connection sends, and every option is refused but BINARY
//! (RFC 856) of the peer. Those that erase become the keys that do.
//!
//! Without BINARY the telnet of Linux and of macOS takes a letter's second byte for a key whose code it is but for the top bit, and
//! sends what the key stands for: `К`, `М`, `Ü` and the like begin with their first byte and go on with a command.

use memchr::memchr;

use crate::erase::{DELETE, INTERRUPT, KILL};
use crate::limits::SUBNEGOTIATION;

/// Where the stream of one connection stands in the protocol.
///
/// The byte 0xFF never occurs in UTF-8, so it is taken for IAC anywhere: who never sends one is never answered by telnet.
#[derive(Debug, Default)]
pub struct Telnet {
    state: State,
    binary: Binary,
    /// How many bytes are missing of the character in whose midst the data stands.
    missing: u8,
}

/// Whether the peer sends bytes as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Binary {
    #[default]
    Unspoken,
    /// It was asked to, or has offered it and was told to.
    Wanted,
    /// It does not, or does no more.
    Declined,
}

#[derive(PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Data,
    Iac,
    /// After WILL, WONT, DO or DONT.
    Option(u8),
    /// In one that tells how large a window is, behind so many of its four bytes, which are numbers.
    Size(u8),
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
/// Interrupt process.
const IP: u8 = 244;
/// Erase character.
const EC: u8 = 247;
/// Erase line.
const EL: u8 = 248;
const SE: u8 = 240;
/// The first and the last of the commands without an operand: end of file, as RFC 1184 adds, and go ahead.
const EOF: u8 = 236;
const GA: u8 = 249;
/// The option of RFC 856.
const BINARY: u8 = 0;
/// That of RFC 1073.
const WINDOW_SIZE: u8 = 31;

impl Telnet {
    /// Hands the data among `bytes` to `data`, in runs as long as they are. What must be said of options is appended to `answers`.
    pub fn filter(&mut self, bytes: &[u8], answers: &mut Vec<u8>, mut data: impl FnMut(&[u8])) {
        let mut rest = bytes;
        loop {
            if self.state == State::Data {
                let run = memchr(IAC, rest).unwrap_or(rest.len());
                if run > 0 {
                    self.pass(&rest[..run]);
                    data(&rest[..run]);
                    rest = &rest[run..];
                }
            }
            let Some((&byte, behind)) = rest.split_first() else { return };
            if let Some(byte) = self.step(byte, answers) {
                self.pass(&[byte]);
                data(&[byte]);
            }
            rest = behind;
        }
    }

    /// Takes `bytes` in if they are nothing but data, and tells whether they are.
    pub fn take_data(&mut self, bytes: &[u8]) -> bool {
        let is_data = self.state == State::Data && memchr(IAC, bytes).is_none();
        if is_data {
            self.pass(bytes);
        }
        is_data
    }

    /// Notes in the midst of what character `data` ends.
    fn pass(&mut self, data: &[u8]) {
        for (behind, byte) in (0..3).zip(data.iter().rev()) {
            let len: u8 = match byte {
                0x80..=0xBF => continue,
                0xC2..=0xDF => 2,
                0xE0..=0xEF => 3,
                0xF0..=0xF4 => 4,
                _ => 0,
            };
            self.missing = len.saturating_sub(1 + behind);
            return;
        }
        self.missing = self.missing.saturating_sub(u8::try_from(data.len()).unwrap_or(u8::MAX));
    }

    /// Takes one byte in; gives the data that it is, if it is data.
    fn step(&mut self, byte: u8, answers: &mut Vec<u8>) -> Option<u8> {
        let (state, data) = match (&self.state, byte) {
            (State::Data, IAC) => (State::Iac, None),
            (State::Data, _) => (State::Data, Some(byte)),
            (State::Iac, WILL..=DONT) => (State::Option(byte), None),
            (State::Iac, SB) => (State::Sub { swallowed: 0, last: SB }, None),
            (State::Iac, EC) => (State::Data, Some(DELETE)),
            (State::Iac, EL) => (State::Data, Some(KILL)),
            (State::Iac, EOF..=GA) if self.missing > 0 => {
                if self.binary == Binary::Unspoken {
                    self.binary = Binary::Wanted;
                    answers.extend_from_slice(&[IAC, DO, BINARY]);
                }
                (State::Data, letter_of(byte))
            }
            (State::Iac, IP) => (State::Data, Some(INTERRUPT)),
            (State::Iac, EOF..=IAC) => (State::Data, None),
            (State::Iac, _) => (State::Data, Some(byte)),
            (State::Option(verb), option) => {
                match *verb {
                    WILL if option == BINARY => {
                        if self.binary != Binary::Wanted {
                            answers.extend_from_slice(&[IAC, DO, BINARY]);
                        }
                        self.binary = Binary::Wanted;
                    }
                    WONT if option == BINARY => {
                        if self.binary == Binary::Wanted {
                            answers.extend_from_slice(&[IAC, DONT, BINARY]);
                        }
                        self.binary = Binary::Declined;
                    }
                    WILL => answers.extend_from_slice(&[IAC, DONT, option]),
                    DO => answers.extend_from_slice(&[IAC, WONT, option]),
                    // What else the peer will not do needs no answer: nothing was ever agreed.
                    _ => {}
                }
                (State::Data, None)
            }
            (State::Sub { swallowed: 0, .. }, WINDOW_SIZE) => (State::Size(0), None),
            (State::Size(told @ ..3), _) if byte != IAC => (State::Size(told + 1), None),
            (State::Size(_), _) => (State::Sub { swallowed: 4, last: byte }, None),
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
        self.state = state;
        data
    }
}

/// The byte within a character for which a peer without [`BINARY`] sends this command, with the keys that terminals have at first.
fn letter_of(command: u8) -> Option<u8> {
    const BRK: u8 = 243;
    const ABORT: u8 = 238;
    const ABORT_OUTPUT: u8 = 245;
    const SUSPEND: u8 = 237;
    let control = match command {
        IP => b'C',
        ABORT_OUTPUT => b'O',
        SUSPEND => b'Z',
        BRK | ABORT => b'\\',
        _ => return None,
    };
    Some(0x80 | control & 0x1F)
}
