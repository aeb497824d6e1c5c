//! From bytes to lines: line ends and the length limits.

use memchr::{memchr_iter, memchr2, memrchr, memrchr2};

use crate::erase::{INTERRUPT, Key, has_keys};
use crate::limits::{CHUNK_LINE, LINE};

/// What a connection sent, without its line end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A line of text, not yet checked.
    Text(&'a [u8]),
    /// A line that began with `=`, without that.
    Chunk(&'a [u8]),
    /// A line that was thrown away because it was too long.
    TooLong {
        /// Whether it began with `=`.
        chunk: bool,
        /// What it began with.
        start: &'a [u8],
    },
}

/// How the newest line ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// LF alone, or the end of input.
    Lf,
    /// CR and LF, or CR and NUL, which a terminal sends in telnet that shows each line end as it is.
    Crlf,
}

/// How much of an overlong line is kept: enough to know an HTTP request by it.
const START: usize = 32;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Gathers one connection's bytes and gives them back as lines.
///
/// It never holds more than one line's limit and what was fed since the last line was taken, and, once
/// [`LineBuf::next_line`] finds nothing or [`LineBuf::release`] is called, nothing at all while no line is under way.
#[derive(Debug)]
pub struct LineBuf {
    buf: Vec<u8>,
    /// Where the next line begins in `buf`. This and the like are small numbers, as every connection has them.
    start: u32,
    /// Up to where `buf` has been searched for a line end.
    searched: u32,
    /// How many bytes have been thrown away of the line at `start`.
    thrown_away: u32,
    /// The most bytes a line may have with its ending, if it does not begin with `=`.
    limit: u16,
    /// How many bytes the line had that was taken last, if it was one of text.
    taken: u16,
    /// Whether the line at `start` is being thrown away; of it only its beginning and its newest byte are still there.
    overlong: bool,
    ended: bool,
    /// Whether the first bytes have passed, before which a byte order mark may stand.
    under_way: bool,
}

impl Default for LineBuf {
    /// For what a client sends.
    fn default() -> Self {
        Self::new(LINE)
    }
}

impl LineBuf {
    /// For lines of at most `limit` bytes with their ending, up to 65,535; those that begin with `=` have a limit of their own.
    pub fn new(limit: usize) -> Self {
        Self {
            buf: Vec::new(),
            start: 0,
            searched: 0,
            thrown_away: 0,
            limit: u16::try_from(limit).unwrap_or(u16::MAX),
            taken: 0,
            overlong: false,
            ended: false,
            under_way: false,
        }
    }

    fn start(&self) -> usize {
        self.start as usize
    }

    fn searched(&self) -> usize {
        self.searched as usize
    }

    fn limit(&self) -> usize {
        usize::from(self.limit)
    }

    /// Takes in what somebody typed: keys among `bytes` erase what they erase of the line under way.
    pub fn type_in(&mut self, bytes: &[u8]) {
        if !has_keys(bytes) {
            return self.feed(bytes);
        }
        self.drop_taken();
        let mut begin = self.newest();
        let mut rest = bytes;
        while let Some((at, key)) = rest.iter().enumerate().find_map(|(at, &byte)| Some((at, Key::new(byte)?))) {
            let run = &rest[..at];
            rest = &rest[at + 1..];
            self.buf.extend_from_slice(run);
            if let Some(end) = memrchr(b'\n', run) {
                begin = self.buf.len() - run.len() + end + 1;
            }
            if key == Key::Nothing && self.buf[begin..].last() == Some(&b'\r') {
                self.buf.push(0);
                begin = self.buf.len();
            } else {
                self.press(key, begin);
            }
        }
        self.buf.extend_from_slice(rest);
    }

    /// Where the line begins that is under way, or will be.
    fn newest(&self) -> usize {
        // No NUL is taken in but one that ends a line.
        memrchr2(b'\n', 0, &self.buf[self.start()..]).map_or(self.start(), |at| self.start() + at + 1)
    }

    /// A key erases something of the line that is under way and begins at `begin`.
    fn press(&mut self, key: Key, begin: usize) {
        let is_first = begin == self.start();
        // The first may have lost its middle, and each of this length may lose it: then only what Ctrl-U leaves is known.
        let is_long = self.buf.len() - begin >= self.limit() || (self.overlong && is_first);
        if is_long && key != Key::Line {
            return;
        }
        // What Ctrl-C has dropped is on no screen any more.
        let dropped = memrchr(INTERRUPT, &self.buf[begin..]).filter(|_| key != Key::Line).map_or(0, |at| at + 1);
        let left = key.leaves(&self.buf[begin + dropped..]);
        self.buf.truncate(begin + dropped + left);
        self.searched = self.searched.min(small(self.buf.len()));
        if key == Key::Line && is_first {
            (self.overlong, self.thrown_away) = (false, 0);
        }
    }

    /// Takes `bytes` in.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.drop_taken();
        self.buf.extend_from_slice(bytes);
    }

    #[inline]
    fn drop_taken(&mut self) {
        if self.start() > 0 {
            self.buf.drain(..self.start());
            self.searched -= self.start;
            self.start = 0;
        }
    }

    /// No more bytes will come: what is left counts as a line.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// Whether what has come begins as TLS does, or STUN, which browsers can be made to send with chosen text inside.
    pub fn is_not_text(&self) -> bool {
        const TLS: &[u8] = b"\x16\x03";
        const STUN_COOKIE: &[u8] = b"!\x12\xa4B";
        let has_cookie = |start: &[u8]| start.windows(STUN_COOKIE.len()).any(|word| word == STUN_COOKIE);
        let buf = &self.buf[self.start()..];
        buf.starts_with(TLS) || has_cookie(&buf[..buf.len().min(12)])
    }

    /// Whether the next line is a chunk of a file; `false` also when there is none yet.
    pub fn at_chunk(&self) -> bool {
        self.buf.get(self.start()) == Some(&b'=')
    }

    /// Whether what is left is a line of text that ended with the input and not by itself.
    pub fn at_unfinished(&self) -> bool {
        !self.at_chunk() && self.at_half_line()
    }

    /// Whether what is left is a line of any kind that ended with the input and not by itself.
    pub fn at_half_line(&self) -> bool {
        let rest = &self.buf[self.start()..];
        let ends = |pair: &[u8]| pair[1] == b'\n' || pair == b"\r\0";
        // What has been searched holds no end, even where its middle is gone; but its last byte may be the first of one.
        let unsearched = &self.buf[self.start().max(self.searched().saturating_sub(1))..];
        self.ended && rest.first().is_some_and(|&b| b != b'\n') && !unsearched.windows(2).any(ends)
    }

    /// Whether the line of text that is left is [`cut_by_cr`].
    pub fn is_cut_by_cr(&self) -> bool {
        !self.at_chunk() && cut_by_cr(&self.buf[self.start()..])
    }

    /// Whether more bytes than a line may have are there, or have been thrown away, and no end of it.
    pub fn is_endless(&self) -> bool {
        self.overlong || self.buf.len() - self.start() >= self.limit()
    }

    /// Throws away the chunk that is under way: only its length matters, as it belongs to no upload. It becomes an empty one.
    pub fn hollow_chunk(&mut self) {
        if self.at_chunk() && self.buf.len() - self.start() > START {
            let searched = self.searched;
            if self.find_end().is_none() {
                self.throw_away();
            } else {
                self.searched = searched;
            }
        }
    }

    /// Holds no more memory than its lines take that belong to no upload, which has ended or never was.
    pub fn forget_chunk(&mut self) {
        if self.is_endless() {
            self.hollow_chunk();
        }
        self.drop_taken();
        if self.buf.capacity() > self.buf.len() {
            self.buf = self.buf.to_vec();
        }
    }

    /// Whether everything that was fed has been taken as lines.
    pub fn is_empty(&self) -> bool {
        self.start() == self.buf.len()
    }

    /// How many bytes are there that have not been taken as lines.
    pub fn len(&self) -> usize {
        self.buf.len() - self.start()
    }

    /// Whether what is left has been searched in vain for the end of a line.
    pub fn is_searched(&self) -> bool {
        self.is_empty() || self.searched() == self.buf.len()
    }

    /// Puts back the line of text that was taken just now, to be taken again.
    pub fn put_back(&mut self) {
        self.start -= u32::from(self.taken);
        self.searched = self.start;
    }

    /// Reads into this memory, if there is none yet: to use it again is to spare taking and giving back some for each line.
    pub fn lend(&mut self, memory: &mut Vec<u8>) {
        if self.buf.capacity() == 0 {
            self.buf = std::mem::take(memory);
            self.buf.clear();
        }
    }

    /// Leaves its memory in `memory`, if nothing is in it.
    pub fn give_back(&mut self, memory: &mut Vec<u8>) {
        if self.is_empty() && self.buf.capacity() > 0 {
            *memory = std::mem::take(&mut self.buf);
            self.start = 0;
            self.release();
        }
    }

    /// Lets go of the memory, if nothing is in it.
    #[inline]
    pub fn release(&mut self) {
        if self.is_empty() {
            *self = Self { ended: self.ended, under_way: self.under_way, ..Self::new(self.limit()) };
        }
    }

    /// The next whole line, and how it ended.
    pub fn next_line(&mut self) -> Option<(Line<'_>, Ending)> {
        self.pass_first_bytes();
        let begin = self.start();
        let Some((end, next, ending)) = self.find_end() else {
            self.shorten();
            return None;
        };
        self.taken = u16::try_from(next - begin).unwrap_or_default();
        self.start = small(next);
        self.searched = self.start;
        let overlong = std::mem::take(&mut self.overlong);
        let len = end - begin + std::mem::take(&mut self.thrown_away) as usize;
        let line = &self.buf[begin..end];
        let line = match *line {
            [b'=', ..] if overlong && len <= 1 + CHUNK_LINE => Line::Chunk(&[]),
            [b'=', ref chunk @ ..] if !overlong && chunk.len() <= CHUNK_LINE => Line::Chunk(chunk),
            [first, ..] if overlong || first == b'=' || next - begin > self.limit() => {
                Line::TooLong { chunk: first == b'=', start: &line[..line.len().min(START)] }
            }
            // Where lines end in LF CR, the end of one stands before the next.
            [b'\r', ref rest @ ..] if rest.first() != Some(&b'\r') => Line::Text(not_dropped(rest)),
            _ => Line::Text(not_dropped(line)),
        };
        Some((line, ending))
    }

    /// Drops a byte order mark from the beginning of the connection.
    fn pass_first_bytes(&mut self) {
        let may_be_bom = !self.ended && BOM.starts_with(&self.buf) && self.buf.len() < BOM.len();
        if !self.under_way && !may_be_bom {
            self.under_way = true;
            if self.buf.starts_with(BOM) {
                self.start = small(BOM.len());
                self.searched = self.start;
            }
        }
    }

    /// Where the line at `start` ends and where the next begins.
    fn find_end(&mut self) -> Option<(usize, usize, Ending)> {
        while let Some(found) = memchr2(b'\n', 0, &self.buf[self.searched()..]) {
            let at = self.searched() + found;
            self.searched = small(at + 1);
            let after_cr = at > self.start() && self.buf[at - 1] == b'\r';
            match (self.buf[at], after_cr) {
                (_, true) => return Some((at - 1, at + 1, Ending::Crlf)),
                (b'\n', false) => return Some((at, at + 1, Ending::Lf)),
                (_, false) => {}
            }
        }
        self.searched = small(self.buf.len());
        if !self.ended || self.is_empty() {
            return None;
        }
        let mut end = self.buf.len() - usize::from(self.buf.last() == Some(&b'\r'));
        if self.at_chunk() {
            self.overlong |= end - self.start() + self.thrown_away as usize > 1 + CHUNK_LINE;
            if !self.overlong {
                // A chunk that was cut off is good as far as it goes, which is in groups of four characters.
                end -= (end - self.start() - 1) % 4;
            }
        } else {
            // It is as long as if it had ended by itself, however its bytes came.
            self.overlong |= self.buf.len() - self.start() >= self.limit();
        }
        Some((end, self.buf.len(), Ending::Lf))
    }

    /// Lets go of memory that no line needs: the middle of an overlong one, and room to spare.
    fn shorten(&mut self) {
        if self.is_empty() {
            return self.release();
        }
        let limit = if self.at_chunk() { 1 + CHUNK_LINE + 1 } else { self.limit() - 1 };
        let len = self.buf.len() - self.start();
        if self.overlong || len > limit {
            return self.throw_away();
        }
        self.searched = small(self.buf.len());
        self.release_spare();
    }

    fn throw_away(&mut self) {
        self.overlong = true;
        // The newest byte may be a CR that belongs to the line end.
        let len = self.buf.len() - self.start();
        let kept = START.min(len - 1);
        self.thrown_away = self.thrown_away.saturating_add(small(len - 1 - kept));
        self.buf.drain(self.start() + kept..self.buf.len() - 1);
        self.searched = small(self.buf.len());
        self.release_spare();
    }

    /// Lets go of room to spare. What is left moves, as memory that shrinks where it is leaves holes too small for the next.
    pub fn release_spare(&mut self) {
        if self.buf.capacity() > 2 * self.buf.len() {
            self.buf = self.buf.to_vec();
        }
    }
}

/// Whether this line looks like several that end in CR alone: two of them stand before something else.
pub fn cut_by_cr(line: &[u8]) -> bool {
    // What follows the last byte has not come.
    memchr_iter(b'\r', &line[..line.len().saturating_sub(1)]).nth(1).is_some()
}

/// What is left of a line where Ctrl-C drops what was typed before it, as a shell has it; of Ctrl-C alone, that. Where a digit stands
/// behind one, they are colours as IRC has them.
fn not_dropped(line: &[u8]) -> &[u8] {
    let Some(last) = memrchr(INTERRUPT, line) else { return line };
    match &line[last + 1..] {
        _ if line.windows(2).any(|pair| pair[0] == INTERRUPT && pair[1].is_ascii_digit()) => line,
        [] => &line[last..],
        rest => rest,
    }
}

/// A place in the buffer, which is a few lines long at most.
fn small(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Takes the lines that there are, as words.
    pub(crate) fn take(lines: &mut LineBuf, seen: &mut Vec<String>) {
        while let Some((line, ending)) = lines.next_line() {
            let line = match line {
                Line::Text(text) => format!("\"{}\"", text.escape_ascii()),
                Line::Chunk(chunk) => format!("={}", chunk.escape_ascii()),
                Line::TooLong { chunk, start } => format!("too long {chunk} {}", start.escape_ascii()),
            };
            seen.push(format!("{line} {ending:?}"));
        }
    }

    /// What comes out of a connection that sends `parts` one after the other and then ends its input.
    fn run(parts: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut seen) = (LineBuf::default(), Vec::new());
        for part in parts {
            lines.feed(part);
            take(&mut lines, &mut seen);
            assert!(lines.buf.capacity() <= 2 * (CHUNK_LINE + 64) + 2 * part.len(), "{}", lines.buf.capacity());
        }
        lines.end();
        take(&mut lines, &mut seen);
        assert_eq!(lines.buf.capacity(), 0);
        seen
    }

    fn check(input: &[u8], want: &[&str]) {
        let whole = run(&[input]);
        assert_eq!(whole, want, "{}", input.escape_ascii());
        for at in 0..=input.len() {
            assert_eq!(run(&[&input[..at], &input[at..]]), whole, "split at {at} of {}", input.escape_ascii());
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(run(&bytes), whole, "byte by byte: {}", input.escape_ascii());
    }

    #[test]
    fn lines_end_in_lf_crlf_or_cr_nul() {
        check(b"a\nb\r\nc\r\0d", &["\"a\" Lf", "\"b\" Crlf", "\"c\" Crlf", "\"d\" Lf"]);
        check(b"\n\r\n", &["\"\" Lf", "\"\" Crlf"]);
        check(b"a\0b\rc\n", &[r#""a\x00b\rc" Lf"#]);
        check(b"=QUJD\n= \r\nx", &["=QUJD Lf", "=  Crlf", "\"x\" Lf"]);
        check(b"a\n\rb\n\r", &["\"a\" Lf", "\"b\" Lf", "\"\" Lf"]);
        check(b"\r\ra\n", &["\"\\r\\ra\" Lf"]);
        check(b"a\r", &["\"a\" Lf"]);
        check(b"=QUJDREV", &["=QUJD Lf"]);
        check(b"=QUJDREV\r", &["=QUJD Lf"]);
        check(b"=\r", &["= Lf"]);
        check(b"", &[]);
    }

    #[test]
    fn the_end_of_the_input_ends_a_long_line_like_any_other() {
        for len in [LINE - 2, LINE - 1, LINE, LINE + 1] {
            for end in ["", "\r", "\n"] {
                let line = format!("{}{end}", "a".repeat(len - end.len()));
                let whole = run(&[line.as_bytes()]);
                assert_eq!(
                    whole[0].starts_with("too long"),
                    line.len() + usize::from(end != "\n") > LINE,
                    "{len} {end:?}"
                );
                for at in [1, len / 2, len - 1] {
                    assert_eq!(run(&[&line.as_bytes()[..at], &line.as_bytes()[at..]]), whole, "{len} {end:?} at {at}");
                }
            }
        }
        for len in [CHUNK_LINE - 1, CHUNK_LINE, CHUNK_LINE + 1] {
            let line = format!("={}", "A".repeat(len));
            let whole = run(&[line.as_bytes()]);
            assert_eq!(whole[0].starts_with("too long"), len > CHUNK_LINE);
            assert_eq!(run(&[&line.as_bytes()[..len / 2], &line.as_bytes()[len / 2..], b""]), whole);
        }
    }

    #[test]
    fn a_line_that_is_put_back_is_taken_again() {
        let mut lines = LineBuf::default();
        lines.feed(b"one\r\ntwo\nthr");
        for want in [&b"one"[..], b"two"] {
            for _ in 0..2 {
                assert_eq!(lines.next_line().unwrap().0, Line::Text(want));
                lines.put_back();
            }
            assert_eq!(lines.next_line().unwrap().0, Line::Text(want));
        }
        assert!(lines.next_line().is_none());
        lines.feed(b"ee\n");
        assert_eq!(lines.next_line().unwrap().0, Line::Text(b"three"));
    }

    #[test]
    fn a_chunk_that_nobody_wants_costs_no_memory() {
        for (len, whole) in [(CHUNK_LINE, true), (CHUNK_LINE + 1, false)] {
            for end in ["\n", "\r\n"] {
                let mut lines = LineBuf::default();
                let sent = format!("={}{end}", "A".repeat(len));
                for part in sent.as_bytes().chunks(1000) {
                    lines.feed(part);
                    if !part.ends_with(b"\n") {
                        assert!(lines.next_line().is_none());
                        lines.hollow_chunk();
                        assert!(lines.buf.len() <= START + 1);
                    }
                }
                let (line, _) = lines.next_line().unwrap();
                assert_eq!(line == Line::Chunk(&[]), whole, "{line:?}");
                lines.feed(b"after\n");
                assert_eq!(lines.next_line().unwrap().0, Line::Text(b"after"));
            }
        }
    }

    #[test]
    fn what_belongs_to_no_upload_takes_no_more_memory_than_its_lines() {
        let chunk = format!("={}", "A".repeat(CHUNK_LINE));
        // Half of a chunk goes, searched or not, and what follows is found.
        for is_searched in [false, true] {
            let mut lines = LineBuf::default();
            lines.feed(&chunk.as_bytes()[..50_000]);
            if is_searched {
                assert!(lines.next_line().is_none());
            }
            lines.forget_chunk();
            assert!(lines.buf.capacity() <= START + 1);
            lines.feed(b"\nafter\n");
            assert_eq!(lines.next_line().unwrap().0, Line::Chunk(&[]));
            assert_eq!(lines.next_line().unwrap().0, Line::Text(b"after"));
        }
        // A whole one is a line like others. Lines behind it take no more than they are.
        let mut lines = LineBuf::default();
        lines.feed(format!("{chunk}\n{}", "x\n".repeat(1000)).as_bytes());
        lines.forget_chunk();
        assert_eq!(lines.next_line().unwrap().0, Line::Chunk(&chunk.as_bytes()[1..]));
        lines.forget_chunk();
        assert!(lines.buf.capacity() <= 2000);
        for _ in 0..1000 {
            assert_eq!(lines.next_line().unwrap().0, Line::Text(b"x"));
        }
        assert!(lines.next_line().is_none());
    }

    #[test]
    fn a_byte_order_mark_goes_only_from_the_beginning() {
        check(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", &["\"a\" Lf", r#""\xef\xbb\xbfb" Lf"#]);
        check(b"\xef\xbb", &[r#""\xef\xbb" Lf"#]);
        check(b"\xef\xbb\xbf=QQ==\n", &["=QQ== Lf"]);
    }

    #[test]
    fn long_lines_are_thrown_away() {
        let line = |fill: usize, ending: &[u8]| run(&[&[&vec![b'a'; fill][..], ending].concat(), b"next\n"]);
        let fits = |seen: Vec<String>| !seen[0].starts_with("too long") && seen[1] == "\"next\" Lf" && seen.len() == 2;
        assert!(fits(line(4095, b"\n")));
        assert!(!fits(line(4096, b"\n")));
        assert!(fits(line(4094, b"\r\n")));
        assert!(!fits(line(4095, b"\r\n")));
        let chunk = |fill: usize, ending: &[u8]| {
            run(&[b"=", &vec![b'a'; fill], ending, b"next\n"])[0].starts_with("too long true =aaaa")
        };
        assert!(!chunk(65_536, b"\n"));
        assert!(!chunk(65_536, b"\r\n"));
        assert!(chunk(65_537, b"\n"));
        assert!(chunk(65_537, b"\r\n"));
        check(
            &[&[b'a'; 5000][..], b"\r\nb\n"].concat(),
            &["too long false aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa Crlf", "\"b\" Lf"],
        );
    }

    #[test]
    fn lent_memory_is_not_kept() {
        let (mut lines, mut memory) = (LineBuf::default(), Vec::with_capacity(65_536));
        lines.lend(&mut memory);
        lines.feed(b"");
        lines.give_back(&mut memory);
        assert_eq!((lines.buf.capacity(), memory.capacity()), (0, 65_536));
        lines.lend(&mut memory);
        lines.feed(b"one\ntwo\n");
        assert!(lines.next_line().is_some());
        lines.give_back(&mut memory);
        lines.release_spare();
        assert!(lines.buf.capacity() <= 16 && memory.capacity() == 0);
        assert!(matches!(lines.next_line(), Some((Line::Text(b"two"), Ending::Lf))));
    }

    #[test]
    fn a_line_without_an_end_costs_no_memory() {
        let mut lines = LineBuf::default();
        for _ in 0..1000 {
            lines.feed(&[b'a'; 65_536]);
            assert_eq!(lines.next_line(), None);
            assert!(lines.buf.capacity() <= LINE, "{}", lines.buf.capacity());
        }
    }

    #[test]
    fn other_protocols_are_known_by_more_than_a_byte_that_people_may_send() {
        let is_not_text = |bytes: &[u8]| {
            let mut lines = LineBuf::default();
            lines.type_in(bytes);
            lines.is_not_text()
        };
        for bytes in [&b"\x16\x03\x01"[..], b"\x00\x01\x00\x08!\x12\xa4B", b"\x00\x03\x0a\x00!\x12\xa4B"] {
            assert!(is_not_text(bytes), "{}", bytes.escape_ascii());
        }
        for bytes in [&b"a\x16\x03"[..], b"\x16", b"\x16\n", b"\0", b"\0\x01", b"\x1b[A", b"\x03", b"\x08", b"\n", b""]
        {
            assert!(!is_not_text(bytes), "{}", bytes.escape_ascii());
        }
    }
}
