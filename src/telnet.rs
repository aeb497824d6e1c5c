//! The telnet protocol (RFC 854): its commands are taken out of what a connection sends, and every option is refused.

use memchr::memchr;

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
    /// In a sub-negotiation, of which this many bytes have been swallowed.
    Sub(u16),
    /// At an IAC in it.
    SubIac(u16),
}

const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
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
            if self.step(byte, refusals) {
                data(&[byte]);
            }
            rest = behind;
        }
    }

    /// Takes one byte in; `true` if it is data.
    fn step(&mut self, byte: u8, refusals: &mut Vec<u8>) -> bool {
        // A sub-negotiation that does not end is given up, and what follows is read as if there had been none.
        match self.0 {
            State::Sub(SUBNEGOTIATION..) => self.0 = State::Data,
            State::SubIac(SUBNEGOTIATION..) => self.0 = State::Iac,
            _ => {}
        }
        let is_data = match (&self.0, byte) {
            (State::Data, _) => byte != IAC,
            (State::Iac, EOF..=IAC) => false,
            (State::Iac, _) => true,
            _ => false,
        };
        self.0 = match (&self.0, byte) {
            (State::Data, IAC) => State::Iac,
            (State::Iac, WILL..=DONT) => State::Option(byte),
            (State::Iac, SB) => State::Sub(0),
            (State::Data | State::Iac, _) | (State::SubIac(_), SE) => State::Data,
            (State::Option(verb), option) => {
                match *verb {
                    WILL => refusals.extend_from_slice(&[IAC, DONT, option]),
                    DO => refusals.extend_from_slice(&[IAC, WONT, option]),
                    // What the peer will not do needs no answer: nothing was ever agreed.
                    _ => {}
                }
                State::Data
            }
            (State::Sub(n), IAC) => State::SubIac(n + 1),
            (State::Sub(n) | State::SubIac(n), _) => State::Sub(n + 1),
        };
        is_data
    }
}
