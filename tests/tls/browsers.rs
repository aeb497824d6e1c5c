//! The door for browsers, in TLS.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustls::version::{TLS12, TLS13};
use testkit::{PATIENCE, control};

use crate::secure::{Secure, Tls};

/// A frame of a client with a message of less than 126 bytes, whose mask changes nothing.
fn message(text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[test]
fn a_browser_in_tls_has_the_page_and_a_socket_on_which_nobody_reads_along() {
    let tls = Tls::start(&["--web-tls", "127.0.0.1:0"]);
    let address = tls.server.door("web https://").to_owned();
    let knock = || {
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    };
    let mut alice = tls.server.in_room("alice", "#a");
    for version in [&TLS12, &TLS13] {
        let mut page = Secure::new(knock(), version);
        page.send_bytes(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes());
        assert_eq!(page.until("HTTP/1.1 "), "HTTP/1.1 200 OK");
        page.until("Cross-Origin-Opener-Policy: same-origin");
        page.until("<!doctype html>");
        // To its end, and not to where it was cut.
        while page.line().is_some() {}

        let mut bob = Secure::new(knock(), version);
        let fields = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
        bob.send_bytes(
            format!("GET /ws HTTP/1.1\r\nHost: {address}\r\nOrigin: https://{address}\r\n{fields}\r\n\r\n").as_bytes(),
        );
        assert_eq!(bob.until("HTTP/1.1 "), "HTTP/1.1 101 Switching Protocols");
        bob.until("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(bob.line().as_deref(), Some(""));
        bob.send_bytes(&message("/nick bob\n/join #a"));
        alice.expect("#a * bob joined");
        bob.send_bytes(&message("from within"));
        alice.expect("#a <bob> from within");
        let told = control(&tls.folder.path.join("ctl"), "/where bob\n");
        assert!(told[0].contains(" secure "), "{told:?}");
        let page = control(&tls.folder.path.join("ctl"), "/metrics\n");
        assert!(page.iter().any(|line| line.ends_with(r#"connections{wire="wss"} 1"#)), "{page:?}");
        bob.send_bytes(&message("/quit"));
        alice.expect("#a * bob quit");
    }
    // Who speaks in clear is told what to do, in clear.
    let mut clear = knock();
    clear.write_all(format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    clear.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
}
