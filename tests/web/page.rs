//! The page, and all else that is answered by HTTP.

use std::io::{Read, Write};
use std::net::Shutdown;

use testkit::Server;

use crate::browser::{answer, handshake, knock, start, status, web};

/// What is answered to GET, with its head and its body.
fn get(server: &Server, path: &str, fields: &str) -> (String, String) {
    let answer = answer(server, &format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", web(server)));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[test]
fn the_page_and_its_parts_come_from_one_version() {
    let server = start(&[]);
    let (head, page) = get(&server, "/", "");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(field(&head, "Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!((field(&head, "Cache-Control"), field(&head, "Connection")), (Some("no-cache"), Some("close")));
    let tag = field(&head, "ETag").unwrap();
    let hash = tag.trim_matches('"');
    assert!(hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    assert!(page.contains(&format!("\"{hash}/main.js\"")) && page.contains(&format!("\"{hash}/style.css\"")), "{page}");
    let (head, script) = get(&server, &format!("/{hash}/main.js"), "");
    assert_eq!(field(&head, "Cache-Control"), Some("max-age=31536000, immutable"));
    assert_eq!(field(&head, "Content-Type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(field(&head, "Content-Length"), Some(&*script.len().to_string()));
    for (path, kind) in [
        ("/sw.js", "text/javascript; charset=utf-8"),
        ("/manifest.webmanifest", "application/manifest+json"),
        ("/icon.svg", "image/svg+xml"),
        ("/icon-180.png", "image/png"),
        ("/icon-512.png", "image/png"),
    ] {
        let (head, _) = get(&server, path, "");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{path}: {head}");
        assert_eq!((field(&head, "Content-Type"), field(&head, "Cache-Control")), (Some(kind), Some("no-cache")));
    }
    // What has not changed is not sent again.
    for tags in [tag, "*", &format!("W/{tag}"), &format!("\"other\", {tag}")] {
        let (head, body) = get(&server, "/", &format!("If-None-Match: {tags}\r\n"));
        assert!(head.starts_with("HTTP/1.1 304 ") && body.is_empty(), "{tags}: {head}");
        assert_eq!(field(&head, "ETag"), Some(tag));
    }
    let twice = format!("If-None-Match: {tag}\r\nIf-None-Match: \"other\"\r\n");
    assert!(get(&server, "/", &twice).0.starts_with("HTTP/1.1 304 "));
    assert!(get(&server, "/", "If-None-Match: \"other\"\r\n").0.starts_with("HTTP/1.1 200 "));
}

#[test]
fn every_answer_says_what_a_browser_may_do_with_it() {
    let server = start(&["--origin", "https://chat.example.org"]);
    let at = web(&server);
    let far = "Host: chat.example.org\r\n";
    for request in [
        format!("GET / HTTP/1.1\r\nHost: {at}\r\n\r\n"),
        format!("HEAD /icon.svg HTTP/1.1\r\nHost: {at}\r\n\r\n"),
        format!("GET /none HTTP/1.1\r\nHost: {at}\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nHost: {at}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\n{far}\r\n"),
        "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(),
        "nothing\r\n\r\n".to_owned(),
    ] {
        let answer = answer(&server, &request);
        let (head, _) = answer.split_once("\r\n\r\n").unwrap();
        let policy = field(head, "Content-Security-Policy").unwrap();
        for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "trusted-types sw"] {
            assert!(policy.split("; ").any(|other| other == rule), "{rule} in {policy}");
        }
        assert_eq!(field(head, "X-Content-Type-Options"), Some("nosniff"));
        assert_eq!(field(head, "Referrer-Policy"), Some("no-referrer"));
        assert_eq!(field(head, "Cross-Origin-Resource-Policy"), Some("same-origin"));
        assert_eq!(field(head, "Permissions-Policy"), Some("camera=(), microphone=(), geolocation=()"));
    }
    // This one browsers take only where nobody can read along.
    let opener = |fields: &str| {
        let has = |path| {
            let answer = answer(&server, &format!("GET {path} HTTP/1.1\r\n{fields}\r\n"));
            field(&answer, "Cross-Origin-Opener-Policy").is_some()
        };
        // Refusals have it where the page has it.
        assert_eq!(has("/"), has("/none"), "{fields}");
        has("/")
    };
    assert!(opener(&format!("Host: {at}\r\n")) && opener("Host: localhost:1\r\n") && !opener(far));
    assert!(!opener("Host: pi.local\r\n"));
    assert!(opener(&format!("{far}X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n")));
    assert!(!opener(&format!("{far}X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\n")));
}

#[test]
fn a_request_is_answered_as_it_is_asked() {
    let server = start(&["--origin", "http://chat.example.org"]);
    let at = web(&server);
    let ok = |begin: &str, fields: &str| format!("{begin}\r\nHost: {at}\r\n{fields}\r\n");
    let long = |len: usize| "x".repeat(len);
    let many = |count: usize| (0..count).map(|n| format!("X-{n}: x\r\n")).collect::<String>();
    let base = ok("GET / HTTP/1.1", "X: \r\n").len();
    for (request, want) in [
        (ok("GET / HTTP/1.1", ""), "200"),
        (ok("GET / HTTP/1.0", ""), "200"),
        (ok("HEAD / HTTP/1.1", ""), "200"),
        (ok("GET /?a=b HTTP/1.1", ""), "200"),
        (ok("GET / HTTP/1.1", "Content-Length: 0\r\n"), "200"),
        (ok("POST / HTTP/1.1", ""), "405"),
        (ok("OPTIONS / HTTP/1.1", ""), "405"),
        (ok("POST /ws HTTP/1.1", ""), "405"),
        (ok("HEAD /ws HTTP/1.1", ""), "405"),
        (ok("GET /ws HTTP/1.1", ""), "426"),
        (ok("GET /none HTTP/1.1", ""), "404"),
        (ok("GET /0123456789ab/main.js HTTP/1.1", ""), "404"),
        (ok("GET /../Cargo.toml HTTP/1.1", ""), "404"),
        (ok("GET /main.js HTTP/1.1", ""), "404"),
        (ok("GET /index.html HTTP/1.1", ""), "404"),
        (ok("GET http://127.0.0.1/ HTTP/1.1", ""), "400"),
        (ok(&format!("GET http://{at}/ HTTP/1.1"), ""), "200"),
        (ok(&format!("GET HTTPS://{at}?a=b HTTP/1.1"), ""), "200"),
        (ok(&format!("GET http://{at}/none HTTP/1.1"), ""), "404"),
        (ok(&format!("GET ftp://{at}/ HTTP/1.1"), ""), "400"),
        (ok(&format!("GET http://user@{at}/ HTTP/1.1"), ""), "400"),
        // These are not waited for.
        ("hello\n".to_owned(), "400"),
        ("\x16\x03\x01\x02".to_owned(), "400"),
        ("\x05\x01\0".to_owned(), "400"),
        (ok("GET * HTTP/1.1", ""), "400"),
        (ok("GET / HTTP/2.0", ""), "400"),
        (ok("GET /", ""), "400"),
        ("\x16\x03\x01\x02\0\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), "400"),
        (ok("GET / HTTP/1.1", "Host: localhost\r\n"), "400"),
        (ok("GET / HTTP/1.1", "Origin: http://a\r\nOrigin: http://a\r\n"), "400"),
        (ok("GET / HTTP/1.1", "Content-Length: 3\r\n"), "400"),
        (ok("GET / HTTP/1.1", "Transfer-Encoding: chunked\r\n"), "400"),
        (ok("GET / HTTP/1.1", " folded: x\r\n"), "400"),
        (ok("GET / HTTP/1.1", &format!("X: {}\r\n", long(8192 - base))), "200"),
        (ok("GET / HTTP/1.1", &format!("X: {}\r\n", long(8193 - base))), "431"),
        (ok("GET / HTTP/1.1", &format!("X: {}\r\n", long(20_000))), "431"),
        (ok("GET / HTTP/1.1", &many(63)), "200"),
        (ok("GET / HTTP/1.1", &many(64)), "431"),
        ("GET / HTTP/1.1\r\nHost: chat.example.org\r\n\r\n".to_owned(), "200"),
        ("GET / HTTP/1.1\r\nHost: CHAT.example.org.:99\r\n\r\n".to_owned(), "200"),
        ("GET / HTTP/1.1\r\nHost: pi\r\n\r\n".to_owned(), "200"),
        ("GET / HTTP/1.1\r\nHost: [::1]:2480\r\n\r\n".to_owned(), "200"),
        ("GET / HTTP/1.1\r\nHost: 203.0.113.7\r\n\r\n".to_owned(), "200"),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\nHost: chat.example.org.evil.example\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\nHost: x.chat.example.org\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n".to_owned(), "421"),
        ("GET / HTTP/1.1\r\nHost: \r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: pi:+80\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: pi:\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a..local\r\n\r\n".to_owned(), "400"),
        (handshake("evil.example", &[]), "421"),
        (ok("GET / HTTP/1.1", "X-Forwarded-For: 203.0.113.7\r\n"), "200"),
        (ok("GET / HTTP/1.1", "X-Forwarded-For: nonsense, 203.0.113.7:1234\r\n"), "200"),
        (ok("GET / HTTP/1.1", "X-Forwarded-For: [2001:db8::1]:1\r\n"), "200"),
        (ok("GET / HTTP/1.1", "X-Forwarded-For: [2001:db8::1]\r\n"), "200"),
        (ok("GET / HTTP/1.1", "X-Forwarded-For: 203.0.113.7, unknown\r\n"), "400"),
        (ok("GET / HTTP/1.1", "X-Forwarded-For: \r\n"), "400"),
    ] {
        assert_eq!(status(&server, &request), want, "{request}");
    }
    // The head alone is the same.
    let head = answer(&server, &ok("HEAD / HTTP/1.1", ""));
    let all = answer(&server, &ok("GET / HTTP/1.1", ""));
    assert_eq!(Some(head.as_str()), all.split_inclusive("\r\n\r\n").next());
    let unread = answer(&server, "HEAD / HTTP/1.1\r\n\r\n");
    assert!(unread.starts_with("HTTP/1.1 400 ") && unread.ends_with("\r\n\r\n"), "{unread}");
    let refused = answer(&server, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert!(refused.contains("start it with --origin http://NAME:PORT"), "{refused}");
}

#[test]
fn a_request_may_come_in_any_parts_and_only_one_is_answered() {
    let server = start(&[]);
    let request = format!("GET /icon.svg HTTP/1.1\r\nHost: {}\r\n\r\n", web(&server));
    let whole = answer(&server, &request);
    assert!(whole.ends_with("</svg>\n"), "{whole}");
    let mut stream = knock(&server);
    for byte in request.bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut parts = String::new();
    stream.read_to_string(&mut parts).unwrap();
    assert_eq!(parts, whole);
    assert_eq!(answer(&server, &request.repeat(3)), whole);
    // Whoever has nothing more to ask may end what they say.
    let mut stream = knock(&server);
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut ended = String::new();
    stream.read_to_string(&mut ended).unwrap();
    assert_eq!(ended, whole);
}

#[test]
fn half_a_request_is_waited_for_and_nothing_is_closed_without_a_word() {
    let server = start(&[]);
    let (mut half, mut nothing) = (knock(&server), knock(&server));
    half.write_all(b"GET / HTTP/1.1\r\nHost").unwrap();
    let (mut late, mut silent) = (String::new(), String::new());
    nothing.read_to_string(&mut silent).unwrap();
    half.read_to_string(&mut late).unwrap();
    assert!(late.starts_with("HTTP/1.1 408 ") && silent.is_empty(), "{late:?} {silent:?}");
}

#[test]
fn who_asks_the_port_of_lines_for_a_page_is_told_where_it_is() {
    let server = start(&[]);
    let mut nc = server.connect_raw();
    nc.send("GET / HTTP/1.1");
    let port = web(&server).rsplit(':').next().unwrap().to_owned();
    let lines = nc.rest();
    let bye = lines.iter().find(|line| line.starts_with("* bye not-http ")).unwrap();
    assert!(bye.contains(&format!("open port {port} in a browser")), "{bye}");
}
