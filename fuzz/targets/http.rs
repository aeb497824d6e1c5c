//! Requests of browsers: whatever comes, and however many bytes of it at a time, the end of its head is found once, and it gets an answer. No
//! page of a stranger gets a WebSocket.
#![no_main]

use std::net::Ipv4Addr;

use chinwag::limits;
use chinwag::peer::Peer;
use chinwag::web::http::{self, Way};
use chinwag::web::{Heard, Places, WebDoor};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&[b"GET /ws HTTP/1.1\r\nHost: localhost\r\n", bytes].concat());
    let stranger = [b"GET /ws HTTP/1.1\r\nOrigin: http://evil.example\r\n", bytes].concat();
    assert!(!check(&stranger), "a stranger's page has a socket");
});

/// Whether it gets a WebSocket.
fn check(bytes: &[u8]) -> bool {
    let whole = http::head_len(bytes);
    for len in 0..bytes.len().min(600) {
        let part = http::head_len(&bytes[..len]);
        assert!(part == Ok(None) || part == whole, "{part:?} and then {whole:?}");
    }
    let Ok(Some(len)) = whole else { return false };
    assert!(len <= limits::WEB_HEAD.min(bytes.len()));
    let peer = Peer::at(Ipv4Addr::LOCALHOST.into());
    match WebDoor::default().hear(bytes, len, (peer, Way::Clear), Places::Left) {
        Heard::Upgraded(answer, _) => {
            assert!(answer.starts_with(b"HTTP/1.1 101 ") && len == bytes.len());
            true
        }
        Heard::Answered(answer) => {
            assert!(answer.head.starts_with(b"HTTP/1.1 ") && answer.head.ends_with(b"\r\n\r\n"));
            false
        }
    }
}
