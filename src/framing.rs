//! How the bytes of a connection become lines: telnet is taken out first, then keys erase what they erase, then the line
//! ends are found.

use crate::linebuf::LineBuf;
use crate::proxy::SIGNATURE;
use crate::telnet::Telnet;

/// What one connection has sent and has not been carried out, and where its stream stands.
#[derive(Debug, Default)]
pub struct Framing {
    telnet: Telnet,
    /// How many bytes of [`SIGNATURE`] the stream began with; more than it has, once another has come.
    signed: u8,
    /// What has come, without telnet, and has not been carried out.
    pub lines: LineBuf,
}

impl Framing {
    /// Takes `bytes` in. What must be said of telnet's options is appended to `answers`.
    pub fn feed(&mut self, bytes: &[u8], answers: &mut Vec<u8>) {
        for &byte in bytes {
            let Some(&next) = SIGNATURE.get(usize::from(self.signed)) else { break };
            self.signed = if byte == next { self.signed + 1 } else { u8::MAX };
        }
        if self.telnet.take_data(bytes) {
            return self.lines.type_in(bytes);
        }
        let mut data = Vec::with_capacity(bytes.len());
        self.telnet.filter(bytes, answers, |run| data.extend_from_slice(run));
        self.lines.type_in(&data);
    }

    /// Whether the stream began with a PROXY header of version 2.
    pub fn is_proxied(&self) -> bool {
        usize::from(self.signed) == SIGNATURE.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LINE;
    use crate::linebuf::tests::take;
    use proptest::prelude::*;

    /// What comes out of a connection that sends `parts` one after the other and then ends its input, and what it is answered.
    fn run(parts: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let (mut framing, mut seen, mut refusals) = (Framing::default(), Vec::new(), Vec::new());
        for part in parts {
            framing.feed(part, &mut refusals);
            take(&mut framing.lines, &mut seen);
        }
        framing.lines.end();
        take(&mut framing.lines, &mut seen);
        (seen, refusals)
    }

    fn check(input: &[u8], want: &[&str]) {
        let whole = run(&[input]);
        assert_eq!(whole.0, want, "{}", input.escape_ascii());
        for at in 0..=input.len() {
            assert_eq!(run(&[&input[..at], &input[at..]]), whole, "split at {at} of {}", input.escape_ascii());
        }
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(run(&bytes), whole, "byte by byte: {}", input.escape_ascii());
    }

    #[test]
    fn telnet_is_refused_and_never_seen() {
        let refusals = |input: &[u8]| run(&[input]).1;
        check(b"a\xff\xfb\x01b\n", &["\"ab\" Lf"]);
        assert_eq!(refusals(b"\xff\xfb\x01\xff\xfd\x03\xff\xfc\x05\xff\xfe\x06"), b"\xff\xfe\x01\xff\xfc\x03");
        check(b"a\xff\xf1b\xff\xf5\xff\xecc\n", &["\"abc\" Lf"]);
        check(b"a\xff\xffb\xffc\n", &["\"abc\" Lf"]);
        check(b"a\xff\xfa\x18x\nx\xff\xffx\xff\xf0b\n", &["\"ab\" Lf"]);
        check(b"=QQ\xff\xf1==\n", &["=QQ== Lf"]);
        for swallowed in 0..600 {
            let input = [b"say\xff\xfa", &vec![b'x'; swallowed][..], b"\xff\xf0 end\n"].concat();
            assert_eq!(run(&[&input]).0, ["\"say end\" Lf"], "{swallowed}");
        }
        // One that has no end of its own ends with a line, if it is no number that looks like one: here a window of 10 rows.
        check(b"a\xff\xfa\x1f\0\x50\0\x0a\xff\xf0b\n", &["\"ab\" Lf"]);
        // And windows of 13 columns, of 13 rows, of 255 columns, and of a size that is cut off.
        check(b"a\xff\xfa\x1f\0\x0d\0\x18\xff\xf0b\n", &["\"ab\" Lf"]);
        check(b"a\xff\xfa\x1f\0\x50\0\x0d\xff\xf0b\r\n", &["\"ab\" Crlf"]);
        check(b"a\xff\xfa\x1f\0\xff\xff\0\x18\xff\xf0b\n", &["\"ab\" Lf"]);
        check(b"a\xff\xfa\x1f\0\xff\xf0b\n", &["\"ab\" Lf"]);
        check(b"a\xff\xfa\x18\0xterm\r\nb\n", &["\"a\" Lf", "\"b\" Lf"]);
        check(b"a\xff\xfa\x18\0xterm\r\0b\n", &["\"a\" Lf", "\"b\" Lf"]);
        for end in ["\n", "\r\n", "\r\0"] {
            let input = [b"a\xff\xfaUSER\n", &[b'x'; 300][..], b"SECRET", end.as_bytes(), b"b\n"].concat();
            check(&input, &["\"a\" Lf", "\"b\" Lf"]);
        }
        check(&[b"\xff\xfa", &[b'x'; 300][..], b"\xff\xff\xf0x\xff\xf0b\n"].concat(), &["\"b\" Lf"]);
    }

    #[test]
    fn a_telnet_that_takes_letters_for_keys_is_heard_and_asked_to_send_bytes_as_they_are() {
        let answers = |input: &[u8]| run(&[input]).1;
        // So the telnet of Linux sends М, я, К, Ѓ, 小, and what has two such bytes.
        let typed = b"\xd0\xff\xf3\xff\xfd\x06 \xd1\xff\xf5\xff\xfd\x06 \xd0\xff\xed \xd0\xff\xf4\xff\xfd\x06 \xe5\xb0\xff\xf5 \xf0\xff\xee\x98\xff\xf5\r\n";
        let shown = "М я К Ѓ 小 \u{1c60f}".as_bytes().escape_ascii();
        check(typed, &[format!("\"{shown}\" Crlf").as_str()]);
        let refused = b"\xff\xfc\x06";
        assert_eq!(answers(typed), [b"\xff\xfd\0", &refused[..], refused, refused].concat());
        // Behind a whole letter, and in one that goes on with none of these, a command is one.
        check(b"a\xff\xf5\xc3\xbc\xff\xf3\xd0b\xff\xf5\n", &["\"a\\xc3\\xbc\\xd0b\" Lf"]);
        assert_eq!(answers(b"a\xff\xf4\xc3\xbc\xff\xf3\xe5\xb0\x8f\xff\xf3\xd0b\xff\xf5\n"), b"");
        check(b"\xd0\xff\xf7a\xff\xf8b\n", &["\"b\" Lf"]);
        check(b"\xd0\xff\xf1b\n", &["\"\\xd0b\" Lf"]);
        assert_eq!(answers(b"\xd0\xff\xf1b\n"), b"\xff\xfd\0");
        // It is asked once, and what it offers by itself is taken. Each of its words has one answer at most.
        assert_eq!(answers(b"\xd0\xff\xf3\xff\xfb\0\xd0\xff\xf3\xff\xfb\0"), b"\xff\xfd\0");
        assert_eq!(answers(b"\xd0\xff\xf3\xff\xfc\0\xd0\xff\xf3\xff\xfc\0"), b"\xff\xfd\0\xff\xfe\0");
        assert_eq!(answers(b"\xff\xfb\0\xff\xfb\0\xff\xfc\0\xff\xfb\0"), b"\xff\xfd\0\xff\xfe\0\xff\xfd\0");
        // What the server itself sends is no such thing.
        assert_eq!(answers(b"\xff\xfd\0"), b"\xff\xfc\0");
    }

    #[test]
    fn a_line_is_what_its_writer_sees() {
        // NUL is nothing, wherever it stands but behind a CR.
        check(b"\0\r\n\0\0\n", &["\"\" Crlf", "\"\" Lf"]);
        check(b"\0/me wa\0ves\n", &["\"/me waves\" Lf"]);
        check(b"\0=QQ\0==\n", &["=QQ== Lf"]);
        check(b"one\r\0two\r\0\0", &["\"one\" Crlf", "\"two\" Crlf"]);
        // Every way to erase a character, the line, a word; and never more than there is.
        check(b"hx\x08i\n", &["\"hi\" Lf"]);
        check(b"hx\x7fi\r\n", &["\"hi\" Crlf"]);
        check(b"hx\xff\xf7i\r\0", &["\"hi\" Crlf"]);
        check(b"wrong\xff\xf8right\nwrong\x15right\n", &["\"right\" Lf", "\"right\" Lf"]);
        check(b"wrong\xff\xf4right\nwrong\x03right\nno\x03\n", &["\"right\" Lf", "\"right\" Lf", "\"\\x03\" Lf"]);
        check(b"keep\x03a\x08\x08b\nkeep\x03a\x15b\nkeep\x03a\x17\x17b\n", &["\"b\" Lf"; 3]);
        check(b"\x0304red\x03 and\n", &["\"\\x0304red\\x03 and\" Lf"]);
        check(b"say hullo\x17hello\n", &["\"say hello\" Lf"]);
        check(b"first\nx\x08\x08\x08\x7f\x17\x15second\n", &["\"first\" Lf", "\"second\" Lf"]);
        check(b"first\r\0\x08\x08second\n", &["\"first\" Crlf", "\"second\" Lf"]);
        check("n\u{e9}\x08e \u{1f469}\u{200d}\u{1f467}\x08!\n".as_bytes(), &["\"ne !\" Lf"]);
        // What is erased is nothing: neither does a chunk come of it, nor does one go.
        check(b"=\x08hi\nx\x08=QQ==\n", &["\"hi\" Lf", "=QQ== Lf"]);
        check(b"a\x08\n", &["\"\" Lf"]);
        // A CR that was erased ends nothing.
        check(b"a\r\x08\0b\n", &["\"ab\" Lf"]);
    }

    #[test]
    fn a_line_that_was_too_long_stays_so_unless_it_is_erased_as_a_whole() {
        let long = |keys: &[u8]| [&[b'a'; LINE + 10][..], keys, b"b\nnext\n"].concat();
        let too_long = "too long false aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa Lf";
        for (keys, want) in [(&[8; 50][..], too_long), (b"\x17", too_long), (b"\x15", "\"b\" Lf")] {
            let whole = run(&[&long(keys)]).0;
            assert_eq!(whole, [want, "\"next\" Lf"], "{}", keys.escape_ascii());
            for part in [1, 7, 1000, LINE] {
                let input = long(keys);
                let parts: Vec<&[u8]> = input.chunks(part).collect();
                assert_eq!(run(&parts).0, whole, "in parts of {part}");
            }
        }
        let input = [&[b'a'; LINE - 1][..], b"\x08b\n"].concat();
        assert!(run(&[&input]).0[0].starts_with("\"aaa"));
    }

    #[test]
    fn the_signature_of_a_proxy_header_is_known_in_every_split() {
        let is_proxied = |parts: &[&[u8]]| {
            let mut framing = Framing::default();
            parts.iter().for_each(|part| framing.feed(part, &mut Vec::new()));
            framing.is_proxied()
        };
        for (input, want) in [
            (&SIGNATURE[..], true),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", true),
            (b"\r\n\r\n\0\r\nQUIT", false),
            (b"\r\n\r\n\0\r\nQUIT\r\n", false),
            (b"\r\n\r\n\r\n\0\r\nQUIT\n", false),
            (b"QUIT\n", false),
        ] {
            for at in 0..=input.len() {
                assert_eq!(
                    is_proxied(&[&input[..at], &input[at..]]),
                    want,
                    "split at {at} of {}",
                    input.escape_ascii()
                );
            }
            assert_eq!(is_proxied(&input.chunks(1).collect::<Vec<_>>()), want);
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            input in proptest::collection::vec(prop_oneof![
                Just(b'a'), Just(b'='), Just(b'\r'), Just(b'\n'), Just(0), Just(255), Just(250), Just(240), Just(251),
                Just(247), Just(248), Just(8), Just(127), Just(0x15), Just(0x17), Just(b' '), Just(0xc3), Just(0xa9),
                any::<u8>(),
            ], 0..200),
            cuts in proptest::collection::vec(0usize..200, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(input.len())).collect();
            cuts.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts {
                parts.push(&input[from..cut]);
                from = cut;
            }
            parts.push(&input[from..]);
            prop_assert_eq!(run(&parts), run(&[&input]));
        }
    }
}
