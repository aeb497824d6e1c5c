//! A line of a room's log, `SEQ TIME <nick> text`, and how a log is read that may be damaged. Nothing here touches a file.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::effect::Logged;
use crate::event::SaidKind;
use crate::limits;
use crate::names::{Nick, Text};
use crate::text::is_safe;
use crate::time::in_millis;

/// What stands before the text of an action.
const ACTION: &str = "/me ";

/// What stands in a log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Reading {
    /// Its messages, by ascending numbers.
    pub lines: Vec<Logged>,
    /// Bytes up to the end of the last message; what stands behind that is damaged.
    pub good: usize,
    /// Lines before that which are no messages, or whose numbers do not ascend.
    pub skipped: usize,
}

/// Adds a message to what is to be written, as one line.
pub fn encode(out: &mut String, line: &Logged) {
    let at = in_millis(line.at);
    let action = if line.kind == SaidKind::Action { ACTION } else { "" };
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{} {at} <{}> {action}{}", line.seq, line.from, line.text);
}

/// Reads one line without its end; `None` unless it stands as [`encode`] would have it, but for what texts of earlier versions
/// may hide.
pub fn parse(line: &[u8]) -> Option<Logged> {
    let whole = std::str::from_utf8(line).ok()?;
    let mut fields = whole.splitn(4, ' ');
    let seq = fields.next()?.parse().ok().filter(|&seq| seq < limits::LAST_SEQ)?;
    let at: SystemTime = humantime::parse_rfc3339(fields.next()?).ok()?;
    let from = Nick::new(fields.next()?.strip_prefix('<')?.strip_suffix('>')?).ok()?;
    // Of a line with nothing but invalid bytes, each becomes a character of three.
    let text = fields.next().filter(|text| text.len() <= 3 * limits::LINE)?;
    let (kind, text) = match text.strip_prefix(ACTION) {
        Some(action) => (SaidKind::Action, action),
        None => (SaidKind::Text, text),
    };
    let line = |text| Logged { seq, at, from, kind, text: Text::new(text) };
    let mut head = String::new();
    encode(&mut head, &line(""));
    let is_ours = head.strip_suffix('\n').and_then(|head| whole.strip_prefix(head)) == Some(text) && is_safe(text);
    is_ours.then(|| line(text))
}

/// Reads one line without its LF, and without what editors for Windows put before a text and at the ends of its lines.
pub(super) fn parse_saved(line: &[u8]) -> Option<Logged> {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    parse(line.strip_suffix(b"\r").unwrap_or(line))
}

/// Reads a log. A line counts if it is whole and its number is greater than those before: what a crash leaves behind is
/// half a line, or blocks of zeros or of old data, and none of it must ever pass for a message or take the numbers back.
pub fn read(bytes: &[u8]) -> Reading {
    let mut reading = Reading::default();
    let (mut at, mut skipped) = (0, 0);
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        at += line.len();
        let Some(line) = line.strip_suffix(b"\n") else { break };
        let last = reading.lines.last().map_or(0, |line| line.seq);
        match parse_saved(line).filter(|line| line.seq > last) {
            Some(line) => {
                reading.lines.push(line);
                reading.good = at;
                reading.skipped += std::mem::take(&mut skipped);
            }
            // The log's own mark of a line that was torn before.
            None if line.is_empty() => {}
            None => skipped += 1,
        }
    }
    reading
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const GOOD: &str = "1 2026-11-22T14:30:00.123Z <alice> hi\n2 2026-11-22T14:30:01.000Z <Bob> /me waves\tonce \n";

    fn message(seq: u64, millis: u64, nick: &str, text: &str) -> Logged {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        Logged { seq, at, from: Nick::new(nick).unwrap(), kind: SaidKind::Text, text: Text::new(text) }
    }

    #[test]
    fn a_log_that_was_saved_on_windows_is_read() {
        let saved = format!("\u{feff}{}", GOOD.replace('\n', "\r\n"));
        let reading = read(saved.as_bytes());
        assert_eq!((reading.lines, reading.good, reading.skipped), (read(GOOD.as_bytes()).lines, saved.len(), 0));
    }

    #[test]
    fn only_what_we_would_write_is_read() {
        assert_eq!(read(GOOD.as_bytes()).lines.len(), 2);
        for bad in [
            "",
            "x",
            "01 2026-11-22T14:30:00.123Z <alice> hi",
            "1 2026-11-22T14:30:00Z <alice> hi",
            "1 2026-11-22T14:30:00.123Z <1alice> hi",
            "1 2026-11-22T14:30:00.123Z alice hi",
            "1 2026-11-22T14:30:00.123Z <alice>",
            "1  2026-11-22T14:30:00.123Z <alice> hi",
            "1152921504606846976 2026-11-22T14:30:00.123Z <alice> hi",
            "-1 2026-11-22T14:30:00.123Z <alice> hi",
            "1 2026-11-22T14:30:00.123Z <alice> \u{1b}[2J",
            "1 2026-11-22T14:30:00.123Z <alice> hi\r",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(parse(b"1 2026-11-22T14:30:00.123Z <alice> \xff"), None);
        let waves = Logged { kind: SaidKind::Action, ..message(7, 1000, "alice", "waves") };
        assert_eq!(parse(b"7 1970-01-01T00:00:01.000Z <alice> /me waves"), Some(waves));
        let old = "7 1970-01-01T00:00:01.000Z <alice> hid\u{ad}den";
        assert_eq!(parse(old.as_bytes()), Some(message(7, 1000, "alice", "hidden")));
        let long = |len| format!("1 2026-11-22T14:30:00.123Z <alice> {}", "x".repeat(len));
        assert!(parse(long(3 * limits::LINE).as_bytes()).is_some());
        assert_eq!(parse(long(3 * limits::LINE + 1).as_bytes()), None);
        assert_eq!(parse(b"7 1970-01-01T00:00:01.000Z <alice> "), Some(message(7, 1000, "alice", "")));
    }

    #[test]
    fn a_damaged_tail_is_told_from_damage_before_the_end() {
        let check = |tail: &[u8]| {
            let reading = read(&[GOOD.as_bytes(), tail].concat());
            assert_eq!((reading.lines.len(), reading.good, reading.skipped), (2, GOOD.len(), 0), "{tail:?}");
        };
        check(b"");
        check(b"3 2026-11-22T14:30:02.000Z <alice> cut of");
        check(&[0; 4096]);
        check(b"\n\n\x00\xff\xfe\n");
        // Numbers never go back, so these are old blocks of a disk.
        check(GOOD.as_bytes());
        let reading = read(format!("{GOOD}rubbish\n\n9 2026-11-22T14:30:02.000Z <alice> on\n").as_bytes());
        assert_eq!((reading.lines.len(), reading.skipped), (3, 1));
        assert_eq!(read(b"rubbish"), Reading::default());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in prop::collection::vec((any::<String>(), 0_u64..4_000_000_000_000), 0..20),
            cut in any::<prop::sample::Index>(), garbage in prop::collection::vec(any::<u8>(), 0..50)) {
            let lines: Vec<Logged> =
                texts.iter().enumerate().map(|(n, (text, at))| message(n as u64 + 1, *at, "alice", text)).collect();
            let mut log = String::new();
            lines.iter().for_each(|line| encode(&mut log, line));
            let whole = read(log.as_bytes());
            prop_assert_eq!(&whole, &Reading { lines: lines.clone(), good: log.len(), skipped: 0 });
            // A write that was cut off loses nothing but the line that it cut.
            let cut = cut.index(log.len() + 1);
            let count = log.as_bytes()[..cut].iter().filter(|&&b| b == b'\n').count();
            let mut torn = log.as_bytes()[..cut].to_vec();
            prop_assert_eq!(&read(&torn).lines[..], &lines[..count]);
            torn.extend_from_slice(&garbage);
            prop_assert_eq!(&read(&torn).lines[..count.min(lines.len())], &lines[..count]);
        }
    }
}
