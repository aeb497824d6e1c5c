//! Frames of WebSockets: whatever comes, and however many bytes at a time, the same text comes out of it, it is UTF-8, and a frame that is
//! answered is answered once.
#![no_main]

use chinwag::web::frames::{Besides, End, Frames};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (bytes, sizes) = input;
    let whole = run(&bytes, &[]);
    assert_eq!(run(&bytes, &sizes), whole);
    assert_eq!(run(&bytes, &vec![0; bytes.len()]), whole);
    assert!(std::str::from_utf8(&whole.0).map_or_else(|e| e.error_len().is_none(), |_| true));
});

/// The text of bytes that are read in parts, each of one byte more than is said; what came besides, and how it ended.
fn run(bytes: &[u8], sizes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>, Option<End>) {
    let (mut frames, mut text, mut besides) = (Frames::default(), Vec::new(), Vec::new());
    let (mut rest, mut sizes) = (bytes, sizes.iter());
    loop {
        let mut end = [0];
        let owed = frames.end_line(&mut end);
        text.extend_from_slice(&end[..owed]);
        if rest.is_empty() {
            if frames.end().is_some() {
                // Of a line that has not ended by then nothing is carried out.
                text.truncate(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1));
            }
            return (text, besides, frames.end());
        }
        let len = sizes.next().map_or(rest.len(), |&size| usize::from(size) + 1).min(rest.len());
        let mut buf = rest[..len].to_vec();
        rest = &rest[len..];
        let count = frames.take(&mut buf, len, |other| {
            besides.push(match other {
                Besides::Ping(payload) => payload.to_vec(),
                Besides::Pong => b"pong".to_vec(),
                Besides::Nothing => Vec::new(),
            });
        });
        assert!(count <= len);
        text.extend_from_slice(&buf[..count]);
    }
}
