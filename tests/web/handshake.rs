//! Who may have a WebSocket, and as whom.

use std::path::Path;

use testkit::{Server, control};

use crate::browser::{Socket, answer, handshake, start, status, web};

#[test]
fn a_handshake_is_taken_as_the_rfc_has_it() {
    let server = start(&[]);
    let host = web(&server);
    for (fields, want) in [
        (&[][..], "101"),
        (&["Upgrade: WebSocket"], "101"),
        (&["Upgrade: h2c, websocket"], "101"),
        (&["Connection: upgrade"], "101"),
        (&["Connection: Upgrade", "Connection: keep-alive"], "101"),
        (&["Sec-WebSocket-Protocol: text.ircv3.net"], "101"),
        (&["Sec-WebSocket-Extensions: permessage-deflate"], "101"),
        (&["Upgrade:"], "426"),
        (&["Upgrade: h2c"], "426"),
        (&["Upgrade: xwebsocket"], "426"),
        (&["Connection:"], "426"),
        (&["Connection: close"], "426"),
        (&["Sec-WebSocket-Version: 8"], "426"),
        (&["Sec-WebSocket-Version:"], "426"),
        (&["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"], "400"),
        (&["Sec-WebSocket-Key:"], "400"),
        (&["Sec-WebSocket-Key: short"], "400"),
        (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="], "400"),
        (&["Content-Length: 1"], "400"),
    ] {
        // It is a WebSocket then, and is closed.
        let request = handshake(host, fields);
        let got = if want == "101" {
            drop(Socket::open(&server, fields));
            "101".to_owned()
        } else {
            status(&server, &request)
        };
        assert_eq!(got, want, "{request}");
    }
    let old = answer(&server, &handshake(host, &["Sec-WebSocket-Version: 8"]));
    assert!(old.contains("\r\nSec-WebSocket-Version: 13\r\n") && old.contains("\r\nUpgrade: websocket\r\n"), "{old}");
    // Nothing stands behind it before it is answered, and none is of HTTP/1.0.
    assert_eq!(status(&server, &(handshake(host, &[]) + "x")), "400");
    assert_eq!(status(&server, &handshake(host, &[]).replace("HTTP/1.1", "HTTP/1.0")), "400");
}

#[test]
fn a_page_of_a_stranger_has_no_socket() {
    let server = start(&["--origin", "https://chat.example.org", "--origin", "http://other.example.org:8080"]);
    let at = web(&server);
    let port = at.rsplit(':').next().unwrap();
    let own = format!("http://{at}");
    for (host, origin, want) in [
        (at, &*own, "101"),
        // TLS ends at the proxy.
        (at, &format!("https://{at}"), "101"),
        ("localhost", "https://localhost", "101"),
        ("localhost", "http://localhost", "101"),
        ("LOCALHOST.", "http://localhost", "101"),
        ("localhost:80", "http://localhost", "101"),
        ("localhost:443", "https://localhost", "101"),
        ("chat.example.org", "https://chat.example.org", "101"),
        (at, "https://chat.example.org", "101"),
        (at, "http://other.example.org:8080", "101"),
        (at, "", "101"),
        (at, "https://chat.example.org:444", "403"),
        (at, "http://other.example.org", "403"),
        (at, "http://chat.example.org", "403"),
        ("localhost", "http://localhost:81", "403"),
        ("localhost:443", "http://localhost", "403"),
        (at, &format!("http://localhost:{port}"), "403"),
        (at, &format!("http://127.0.0.1.evil.example:{port}"), "403"),
        (at, "http://127.0.0.1", "403"),
        (at, "http://evil.example", "403"),
        ("localhost:80", "http://localhost:+80", "403"),
        ("localhost:80", "http://localhost:", "403"),
        (at, "null", "403"),
        (at, " ", "403"),
        (at, "file://", "403"),
        (at, &format!("ftp://{at}"), "403"),
        (at, &format!("{own}/path"), "403"),
        (at, &format!("http://user@{at}"), "403"),
    ] {
        let host = format!("Host: {host}");
        let mut fields = vec![&*host];
        let origin = format!("Origin: {}", origin.trim_end());
        let is_given = !origin.ends_with(": ") || want == "403";
        let request = handshake(at, &[&*host]);
        let request = if is_given { request.replacen("\r\n", &format!("\r\n{origin}\r\n"), 1) } else { request };
        if want == "101" {
            if is_given {
                fields.push(&origin);
            }
            drop(Socket::open(&server, &fields));
        } else {
            assert_eq!(status(&server, &request), want, "{request}");
        }
    }
    let twice = handshake(at, &[&*format!("Origin: {own}"), &*format!("Origin: {own}")]);
    assert_eq!(status(&server, &twice), "400");
}

/// Where the operator sees somebody who came with these fields.
fn place(server: &Server, ctl: &Path, fields: &[&str]) -> String {
    let mut socket = Socket::open(server, fields);
    socket.send("/nick anna");
    socket.until("+ nick anna");
    let line = control(ctl, "/where anna\n").remove(0);
    socket.send("/quit");
    socket.until("+ quit");
    line
}

#[test]
fn who_a_proxy_tells_of_is_whom_it_tells_of() {
    let data = tempfile::tempdir().unwrap();
    let server = start(&["--data", data.path().to_str().unwrap()]);
    for (fields, want) in [
        (&[][..], "127.0.0.1 secure"),
        (&["X-Forwarded-For: 203.0.113.7"], "203.0.113.7 clear"),
        (&["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"], "203.0.113.7 secure"),
        (&["X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: http"], "203.0.113.7 clear"),
        (&["X-Forwarded-For: 198.51.100.1, [2001:db8::7]:99"], "2001:db8::7 clear"),
        (&["X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.8"], "203.0.113.8 clear"),
        // Nobody tells for whom it is.
        (&["X-Forwarded-Proto: http"], "127.0.0.1 secure"),
    ] {
        let line = place(&server, &data.path().join("ctl"), fields);
        assert!(line.contains(want), "{fields:?}: {line}");
    }
}

#[test]
fn who_is_no_proxy_tells_of_nobody() {
    let data = tempfile::tempdir().unwrap();
    let server = start(&["--data", data.path().to_str().unwrap(), "--proxy-from", "192.0.2.1"]);
    let line = place(&server, &data.path().join("ctl"), &["X-Forwarded-For: 203.0.113.7"]);
    assert!(line.contains("127.0.0.1 secure"), "{line}");
}
