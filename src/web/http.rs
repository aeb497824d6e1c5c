//! One request of HTTP/1, read, and the answers to it, encoded. What is read of a head is what this server needs.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Status};
use memchr::memmem;
use sha1::{Digest as _, Sha1};

use crate::limits;

/// What is added to the key of a handshake (RFC 6455, 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a browser may do with the page, whatever is in it: nothing comes from elsewhere or goes there.
const POLICY: &str = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
     media-src blob:; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types sw\r\n\
     X-Content-Type-Options: nosniff\r\n\
     Referrer-Policy: no-referrer\r\n\
     Cross-Origin-Resource-Policy: same-origin\r\n\
     Permissions-Policy: camera=(), microphone=(), geolocation=()\r\n";
/// What besides, where the page has come by a way on which nobody can read along; elsewhere browsers do not take it.
const OPENER_POLICY: &str = "Cross-Origin-Opener-Policy: same-origin\r\n";

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// What is there.
    Get,
    /// The head of the answer to that.
    Head,
    /// Something else, which nobody does here.
    Other,
}

/// The head of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub method: Method,
    /// Where, without a query.
    pub path: &'a str,
    /// By which name the server was called.
    pub host: &'a str,
    /// The page that asks, if a browser says so.
    pub origin: Option<&'a str>,
    /// What the browser has already, if it tells.
    pub has: Vec<&'a str>,
    /// For whom it is, if a proxy tells, and whether that was called by https.
    pub forwarded_for: Option<&'a str>,
    /// How the proxy was called.
    pub forwarded_proto: Option<&'a str>,
    /// Whether it asks for a WebSocket, and what is missing of that.
    pub upgrade: Result<Accept, NoUpgrade>,
}

/// What the server says of the key of a handshake (RFC 6455, 4.2.2).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accept(String);

/// Why a request is for no WebSocket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoUpgrade {
    /// It does not ask for one.
    Missing,
    /// It asks for another version.
    Version,
    /// Something of what it asks is wrong.
    Wrong,
}

/// Why a request cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadRequest {
    /// It is none, or breaks a rule that is held here.
    Malformed(&'static str),
    /// It is TLS.
    Tls,
    /// Its head is too long, or has too many fields.
    TooLarge,
}

const NO_HTTP: BadRequest = BadRequest::Malformed("this is no request of HTTP/1");

/// Whether what `bytes` begin with may become a request, as far as it has come. A line without an end is none yet; an empty one may stand
/// before it (RFC 9112, 2.2).
fn check_beginning(bytes: &[u8]) -> Result<(), BadRequest> {
    let bytes = bytes.trim_ascii_start();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match bytes {
        [0x16, 0x03, ..] => return Err(BadRequest::Tls),
        // The next byte tells whether this is TLS.
        [0x16] => return Ok(()),
        [first, ..] if !is_token(*first) => return Err(NO_HTTP),
        _ => {}
    }
    match bytes.split(|&byte| byte == b'\n').nth(1).and(bytes.split(|&byte| byte == b'\n').next()) {
        Some(line) if memmem::find(line, b" HTTP/1.").is_none() => Err(NO_HTTP),
        _ => Ok(()),
    }
}

/// How many bytes the head has that `bytes` begin with, once all of it has come. What is plainly none is an error before that.
pub fn head_len(bytes: &[u8]) -> Result<Option<usize>, BadRequest> {
    check_beginning(bytes)?;
    // Empty lines before a request say nothing (RFC 9112, 2.2).
    let blank = bytes.len() - bytes.trim_ascii_start().len();
    let ends = [&b"\n\r\n"[..], b"\n\n"];
    let end_of = |end: &&[u8]| memmem::find(&bytes[blank..], end).map(|at| blank + at + end.len());
    let end = ends.iter().filter_map(end_of).min();
    match end {
        Some(len) if len <= limits::WEB_HEAD => Ok(Some(len)),
        None if bytes.len() < limits::WEB_HEAD => Ok(None),
        _ => Err(BadRequest::TooLarge),
    }
}

/// Reads a head.
pub fn read(head: &[u8]) -> Result<Request<'_>, BadRequest> {
    let mut fields = [EMPTY_HEADER; limits::WEB_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(BadRequest::TooLarge),
        Ok(Status::Partial) | Err(_) => return Err(NO_HTTP),
    }
    let text = |value: &'_ [u8]| std::str::from_utf8(value).is_ok();
    let all = |name: &'static str| {
        parsed.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
    };
    let last = |name| all(name).next_back().and_then(as_text);
    let only = |name: &'static str| -> Result<Option<&str>, BadRequest> {
        let mut values = all(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) if text(value) => Ok(as_text(value)),
            _ => Err(BadRequest::Malformed("a field that may come once came twice, or is no text")),
        }
    };
    let has_body = all("transfer-encoding").next().is_some() || all("content-length").any(|len| len != b"0");
    if has_body {
        return Err(BadRequest::Malformed("a request has no body here"));
    }
    let host = only("host")?.ok_or(BadRequest::Malformed("a request names its host"))?;
    let path = path(parsed.path.unwrap_or_default(), host)?;
    let (key, version) = (only("sec-websocket-key"), only("sec-websocket-version"));
    let names = |name, word: &str| {
        let mut words = all(name).filter_map(as_text).flat_map(|value| value.split(','));
        words.any(|other| other.trim().eq_ignore_ascii_case(word))
    };
    let upgrade = if !names("upgrade", "websocket") || !names("connection", "upgrade") {
        Err(NoUpgrade::Missing)
    } else if parsed.version != Some(1) {
        Err(NoUpgrade::Wrong)
    } else {
        match (version, key) {
            (Ok(Some("13")), Ok(Some(key))) => Accept::of(key).ok_or(NoUpgrade::Wrong),
            (Ok(Some("13")) | Err(_), _) => Err(NoUpgrade::Wrong),
            (Ok(_), _) => Err(NoUpgrade::Version),
        }
    };
    Ok(Request {
        method: match parsed.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        path: path.split('?').next().unwrap_or(path),
        host,
        origin: only("origin")?,
        has: all("if-none-match").filter_map(as_text).collect(),
        forwarded_for: all("x-forwarded-for").next_back().map(|value| as_text(value).unwrap_or_default()),
        forwarded_proto: last("x-forwarded-proto"),
        upgrade,
    })
}

/// The path of a target, which may stand behind the scheme and the host that `Host` names too (RFC 9112, 3.2.2).
fn path<'a>(target: &'a str, host: &str) -> Result<&'a str, BadRequest> {
    if target.starts_with('/') {
        return Ok(target);
    }
    let absolute = target
        .split_once("://")
        .filter(|(scheme, _)| ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)));
    let (_, rest) = absolute.ok_or(BadRequest::Malformed("a request asks for a path"))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if !authority.eq_ignore_ascii_case(host) {
        return Err(BadRequest::Malformed("the host of the address that is asked for is another than Host"));
    }
    Ok(if path.starts_with('/') { path } else { "/" })
}

fn as_text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().map(str::trim)
}

impl Accept {
    /// The answer to a key, which is 16 bytes in base64.
    fn of(key: &str) -> Option<Self> {
        STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 16)?;
        Some(Self(STANDARD.encode(Sha1::new_with_prefix(key).chain_update(GUID).finalize())))
    }

    /// What is answered to a request that is taken.
    pub fn encoded(&self) -> Vec<u8> {
        let Self(accept) = self;
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes()
    }
}

/// By which way the page goes to a browser.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Others may read along.
    Clear,
    /// Nobody can: it is encrypted, or within one machine.
    Secure,
}

/// What is answered to a request, to be written behind each other.
#[derive(Debug, Default)]
pub struct Answer {
    /// The status and the fields.
    pub head: Vec<u8>,
    /// What is asked for.
    pub body: Cow<'static, [u8]>,
}

impl Answer {
    /// The same to whoever asks for it by this way.
    pub fn by(mut self, way: Way) -> Self {
        if way == Way::Secure {
            // Behind the other fields stands an empty line.
            self.head.truncate(self.head.len() - 2);
            self.head.extend_from_slice(OPENER_POLICY.as_bytes());
            self.head.extend_from_slice(b"\r\n");
        }
        self
    }

    /// The same to a request that begins so: who asks for the head gets that alone.
    pub fn to(mut self, request: &[u8]) -> Self {
        if request.trim_ascii_start().starts_with(b"HEAD ") {
            self.body = Cow::default();
        }
        self
    }
}

/// An answer that says in a sentence why there is nothing else; `more` are fields with their ends.
pub fn refusal(status: &str, text: &str, more: &str) -> Answer {
    let body = format!("{text}\n").into_bytes();
    let fields = format!("Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n{more}");
    answer(status, &fields, body.into())
}

/// An answer with these fields, each with its end.
pub fn answer(status: &str, fields: &str, body: Cow<'static, [u8]>) -> Answer {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{fields}{POLICY}");
    // What has not changed has no body, and no length of one.
    if !status.starts_with("304") {
        _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    Answer { head: head.into_bytes(), body }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_is_answered_as_the_rfc_has_it() {
        assert_eq!(Accept::of("dGhlIHNhbXBsZSBub25jZQ=="), Some(Accept("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned())));
        for bad in ["", "dGhlIHNhbXBsZSBub25j", "dGhlIHNhbXBsZSBub25jZQ", "?"] {
            assert_eq!(Accept::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line_and_has_so_many_bytes() {
        let head = |len: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(len - 23));
        assert_eq!(head(limits::WEB_HEAD).len(), limits::WEB_HEAD);
        assert_eq!(head_len(head(limits::WEB_HEAD).as_bytes()), Ok(Some(limits::WEB_HEAD)));
        assert_eq!(head_len(head(limits::WEB_HEAD + 1).as_bytes()), Err(BadRequest::TooLarge));
        assert_eq!(head_len(&head(limits::WEB_HEAD).as_bytes()[..limits::WEB_HEAD - 1]), Ok(None));
        assert_eq!(head_len(b"GET / HTTP/1.1\r\n\r\nmore"), Ok(Some(18)));
    }

    #[test]
    fn what_is_plainly_no_request_is_not_waited_for() {
        for bytes in [&b""[..], b"\r\n", b"\r\nGET / HT", b"G", b"\x16", b"GET / HTTP/1.1\r\nHost", b"hello"] {
            assert_eq!(head_len(bytes), Ok(None), "{}", bytes.escape_ascii());
        }
        for bytes in [&b"\0"[..], b"\x05\x01\0", b"{", b"\xff", b"hello\n", b"GET /\r\n", b"GET / HTTP/2.0\r\n"] {
            assert_eq!(head_len(bytes), Err(NO_HTTP), "{}", bytes.escape_ascii());
        }
        assert_eq!(head_len(b"\x16\x03\x01"), Err(BadRequest::Tls));
    }
}
