//! How the bytes of a connection become lines: telnet is taken out first, then the line ends are found.

use crate::linebuf::LineBuf;
use crate::telnet::Telnet;

/// What one connection has sent and has not been carried out, and where its stream stands.
#[derive(Debug, Default)]
pub struct Framing {
    telnet: Telnet,
    /// What has come, without telnet, and has not been carried out.
    pub lines: LineBuf,
}

impl Framing {
    /// Takes `bytes` in. What telnet options among them must be answered is appended to `refusals`.
    pub fn feed(&mut self, bytes: &[u8], refusals: &mut Vec<u8>) {
        let lines = &mut self.lines;
        self.telnet.filter(bytes, refusals, |data| lines.feed(data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        check(b"a\xff\xf1b\xff\xf4\xff\xecc\n", &["\"abc\" Lf"]);
        check(b"a\xff\xffb\xffc\n", &["\"abc\" Lf"]);
        check(b"a\xff\xfa\x18x\nx\xff\xffx\xff\xf0b\n", &["\"ab\" Lf"]);
        check(b"=QQ\xff\xf1==\n", &["=QQ== Lf"]);
        // A sub-negotiation that never ends is given up after 256 bytes.
        check(&[b"\xff\xfa", &[b'x'; 256][..], b"end\n"].concat(), &["\"end\" Lf"]);
        for swallowed in 0..300 {
            let input = [b"\xff\xfa", &vec![b'x'; swallowed][..], b"\xff\xf0end\n"].concat();
            let want = format!("\"{}end\" Lf", "x".repeat(swallowed.saturating_sub(256)));
            check(&input, &[&want]);
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_lines(
            input in proptest::collection::vec(prop_oneof![
                Just(b'a'), Just(b'='), Just(b'\r'), Just(b'\n'), Just(0), Just(255), Just(250), Just(240), Just(251),
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
