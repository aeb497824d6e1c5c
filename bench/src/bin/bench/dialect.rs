//! The two languages of the servers under measure: how the same thing is said in each, and what its lines mean.

use chinwag_bench::Outcome;

/// The room that everybody is in.
pub const ROOM: &str = "#room";
/// So many bytes has what is said, in every language.
pub const TEXT: usize = 60;

/// What a server speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// Plain lines, as chinwag speaks them.
    Plain,
    /// What the bare loop passes on unseen. Who speaks hears itself too, and gives the line the form that chinwag
    /// would.
    Bare,
    /// IRC.
    Irc,
}

/// The name of everybody, by number; all are of one length.
pub fn name(who: usize) -> String {
    format!("p{who:05}")
}

/// Who bears the name that begins these bytes.
pub fn bearer(name: &[u8]) -> Option<usize> {
    let digits = name.strip_prefix(b"p")?.get(..5)?;
    digits.iter().try_fold(0, |n, digit| digit.is_ascii_digit().then(|| n * 10 + usize::from(digit - b'0')))
}

/// What the speaker of this number says for the `n`th time.
pub fn text(speaker: usize, n: u32) -> String {
    // The padding shows a line that was cut or run together.
    format!("{}{n:08} the quick brown fox jumps over the lazy dog, twice", char::from(b'A' + speaker as u8))
}

impl Dialect {
    /// Ends a line.
    pub fn ending(self) -> &'static str {
        if self == Self::Irc { "\r\n" } else { "\n" }
    }

    /// Comes in under one's name.
    pub fn enter(self, who: usize) -> String {
        let name = name(who);
        match self {
            Self::Plain | Self::Bare => format!("/nick {name}\n"),
            Self::Irc => format!("NICK {name}\r\nUSER p 0 * :p\r\n"),
        }
    }

    /// Whether this line says that one is in under one's name.
    pub fn has_entered(self, line: &[u8]) -> bool {
        match self {
            Self::Plain | Self::Bare => line.starts_with(b"+ nick "),
            // The end of the message of the day, or that there is none.
            Self::Irc => numeric(line).is_some_and(|n| n == b"376" || n == b"422"),
        }
    }

    /// Enters the room.
    pub fn join(self) -> String {
        match self {
            Self::Plain | Self::Bare => format!("/join {ROOM}\n"),
            Self::Irc => format!("JOIN {ROOM}\r\n"),
        }
    }

    /// Whether this line says that one is in the room.
    pub fn has_joined(self, line: &[u8]) -> bool {
        match self {
            Self::Plain | Self::Bare => line.starts_with(b"+ join "),
            Self::Irc => numeric(line) == Some(b"366"),
        }
    }

    /// Says a text in the room.
    pub fn say(self, who: usize, text: &str) -> String {
        match self {
            Self::Plain => format!("{text}\n"),
            Self::Bare => format!("{ROOM} <{}> {text}\n", name(who)),
            Self::Irc => format!("PRIVMSG {ROOM} :{text}\r\n"),
        }
    }

    /// What stands before the text of `who` in a line of the room, if this is that.
    pub fn is_said_by(self, who: usize, before: &[u8]) -> bool {
        let name = name(who);
        match self {
            Self::Plain | Self::Bare => before == format!("{ROOM} <{name}> ").as_bytes(),
            Self::Irc => before.starts_with(format!(":{name}!").as_bytes()) && before.ends_with(b" PRIVMSG #room :"),
        }
    }

    /// What stands before the text of `who` in a line to `whom` alone, if this is that.
    pub fn is_told_by(self, who: usize, whom: usize, before: &[u8]) -> bool {
        let (from, to) = (name(who), name(whom));
        match self {
            Self::Plain | Self::Bare => before == format!("@{from} <{from}> ").as_bytes(),
            Self::Irc => {
                before.starts_with(format!(":{from}!").as_bytes())
                    && before.ends_with(format!(" PRIVMSG {to} :").as_bytes())
            }
        }
    }

    /// Takes a line that nobody said. The answer that it wants, if any; an error if it should not have come.
    pub fn aside(self, line: &[u8]) -> Outcome<Option<String>> {
        match self {
            Self::Plain if line.starts_with(b"* presence ") => Ok(None),
            Self::Irc if line.starts_with(b"PING ") => {
                Ok(Some(format!("PONG {}\r\n", String::from_utf8_lossy(&line[5..]))))
            }
            _ => Err(format!("{:?} came unasked", String::from_utf8_lossy(line))),
        }
    }

    /// Whether this line says that something was refused, or that the connection ends.
    pub fn is_trouble(self, line: &[u8]) -> bool {
        match self {
            Self::Plain | Self::Bare => line.starts_with(b"! ") || line.starts_with(b"* bye "),
            Self::Irc => {
                line.starts_with(b"ERROR ") || numeric(line).is_some_and(|n| matches!(n[0], b'4' | b'5') && n != b"422")
            }
        }
    }
}

/// The number of a server's reply in IRC.
pub fn numeric(line: &[u8]) -> Option<&[u8]> {
    let after = line.strip_prefix(b":")?.split(|byte| *byte == b' ').nth(1)?;
    (after.len() == 3 && after.iter().all(u8::is_ascii_digit)).then_some(after)
}

/// The lines of a block, without their endings.
pub fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let block = block.strip_suffix(b"\n").unwrap_or(block);
    block.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}
