//! The door for browsers: what of HTTP is answered there and how, and who may have a WebSocket. It knows no socket: bytes come in, and
//! what is to be answered comes out.

pub mod frames;
pub mod http;
pub mod page;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};

use log::warn;

use self::http::{Answer, BadRequest, Method, NoUpgrade, Request, Way};
use self::page::{Cache, PAGE};
use crate::host;
use crate::names::Wire;
use crate::peer::Peer;
use crate::register::entry::Network;

/// Where pages ask for a WebSocket.
const SOCKET: &str = "/ws";
const NO_STORE: &str = "Cache-Control: no-store\r\n";

/// Whether there is a place for one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Places {
    /// There may be.
    Left,
    /// There is none.
    None,
}

/// A page that may ask for WebSockets, as its browser calls it: `https://chat.example.org`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PageOrigin {
    scheme: Scheme,
    host: String,
    port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// The port that is meant where none is named.
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl PageOrigin {
    /// Reads `SCHEME://HOST` or `SCHEME://HOST:PORT`.
    pub fn new(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return None,
        };
        let (host, port) = host::split(rest)?;
        Some(Self { scheme, host, port: port.unwrap_or(scheme.port()) })
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

/// Whether the server is called by a name that no stranger can lead here: none of the public internet, or that of one of these origins. A
/// host is as [`host::split`] gives it.
pub fn is_ours(host: &str, origins: &[PageOrigin]) -> bool {
    host::is_private(host) || origins.iter().any(|origin| origin.host == host)
}

/// What is answered to a request.
#[derive(Debug)]
pub enum Heard {
    /// This, and then it is a WebSocket of this peer.
    Upgraded(Vec<u8>, Peer),
    /// This, and nothing else.
    Answered(Answer),
}

impl Heard {
    fn by(self, way: Way) -> Self {
        match self {
            Self::Answered(answer) => Self::Answered(answer.by(way)),
            upgraded @ Self::Upgraded(..) => upgraded,
        }
    }
}

/// The door, as it is for whoever comes.
#[derive(Debug, Default)]
pub struct WebDoor {
    /// Pages of other names than those that nobody can own on the internet.
    origins: RefCell<Vec<PageOrigin>>,
    /// Proxies that are believed.
    proxies: RefCell<Vec<Network>>,
    /// Whether a page of another name has been told of that is refused.
    has_warned: Cell<bool>,
    /// The port where browsers come in by TLS, if there is one.
    tls_port: Cell<Option<u16>>,
}

impl WebDoor {
    /// For pages of these origins too, and behind these proxies.
    pub fn new(origins: Vec<PageOrigin>, proxies: Vec<Network>) -> Self {
        Self { origins: RefCell::new(origins), proxies: RefCell::new(proxies), ..Self::default() }
    }

    /// Whether a proxy at this address is believed when it tells for whom it comes.
    pub fn believes(&self, address: IpAddr) -> bool {
        self.proxies.borrow().iter().any(|proxies| proxies.contains(address))
    }

    /// Browsers come in by TLS at this port.
    pub fn note_tls_port(&self, port: u16) {
        self.tls_port.set(Some(port));
    }

    /// Other origins, for whoever comes from now on.
    pub fn replace_origins(&self, origins: &[PageOrigin]) {
        origins.clone_into(&mut self.origins.borrow_mut());
    }

    /// Other proxies, for whoever comes from now on.
    pub fn replace_proxies(&self, proxies: &[Network]) {
        proxies.clone_into(&mut self.proxies.borrow_mut());
    }

    /// What is answered to `bytes`, of which the first `len` are the head of a request. The peer and the way are
    /// those that the socket knows.
    pub fn hear(&self, bytes: &[u8], len: usize, from: (Peer, Way), places: Places) -> Heard {
        let request = match http::read(&bytes[..len]) {
            Ok(request) => request,
            Err(why) => return Heard::Answered(self.bad(why).by(from.1)),
        };
        let (peer, way) = match self.peer(&request, from) {
            Ok(from) => from,
            Err(answer) => return Heard::Answered(answer.by(from.1)),
        };
        match self.answer(&request, &bytes[len..], peer, places) {
            Ok(heard) => heard,
            Err(answer) => Heard::Answered(answer),
        }
        .by(way)
    }

    /// A request that cannot be read.
    pub fn bad(&self, why: BadRequest) -> Answer {
        match (why, self.tls_port.get()) {
            (BadRequest::Malformed(why), _) => malformed(why),
            (BadRequest::Tls, Some(port)) => malformed(&format!(
                "this port speaks no TLS; open port {port} with https:// in front, or this one with http://"
            )),
            (BadRequest::Tls, None) => malformed("this port speaks no TLS; open it with http:// in front"),
            (BadRequest::TooLarge, _) => http::refusal(
                "431 Request Header Fields Too Large",
                "this request is too long; clear the cookies of this site",
                "",
            ),
        }
    }

    fn answer(&self, request: &Request<'_>, behind: &[u8], peer: Peer, places: Places) -> Result<Heard, Answer> {
        self.check_host(request.host)?;
        if request.path == SOCKET {
            return self.upgrade(request, peer, behind);
        }
        self.page(request, places).map(Heard::Answered)
    }

    /// For whom a request is, and by which way.
    fn peer(&self, request: &Request<'_>, (peer, way): (Peer, Way)) -> Result<(Peer, Way), Answer> {
        let is_here = host::split(request.host).is_some_and(|(host, _)| is_this_machine(&host));
        let is_believed = peer.address().is_some_and(|address| self.believes(address));
        let Some(forwarded) = request.forwarded_for.filter(|_| is_believed) else {
            let peer = peer.itself();
            return Ok((peer, if is_here { Way::Secure } else { way }));
        };
        let address = last(forwarded);
        let address = forwarded_address(address).ok_or_else(|| {
            malformed("X-Forwarded-For ends in no address; have the proxy send the one that it was called from")
        })?;
        let is_https = request.forwarded_proto.is_some_and(|proto| last(proto).eq_ignore_ascii_case("https"));
        let wire = if is_https { Wire::Secure } else { Wire::Clear };
        Ok((Peer::named(address, wire), if is_here || is_https { Way::Secure } else { Way::Clear }))
    }

    /// Whether the server is called by a name that no stranger can lead here.
    fn check_host(&self, host: &str) -> Result<(), Answer> {
        let (host, _) =
            host::split(host).ok_or_else(|| malformed("Host is no name or address, with a port or without"))?;
        if is_ours(&host, &self.origins.borrow()) {
            return Ok(());
        }
        Err(http::refusal(
            "421 Misdirected Request",
            "this server is not known by that name; start it with --origin http://NAME:PORT, as the browser shows it",
            "",
        ))
    }

    /// What is answered to a request for a WebSocket.
    fn upgrade(&self, request: &Request<'_>, peer: Peer, behind: &[u8]) -> Result<Heard, Answer> {
        const UPGRADE: &str = "Upgrade: websocket\r\n";
        let required = |more: &str| {
            let fields = format!("{UPGRADE}{more}");
            http::refusal("426 Upgrade Required", "this is for WebSockets of version 13; open the page at /", &fields)
        };
        if request.method != Method::Get {
            return Err(not_allowed("GET"));
        }
        let accept = request.upgrade.as_ref().map_err(|why| match why {
            NoUpgrade::Missing => required(""),
            NoUpgrade::Version => required("Sec-WebSocket-Version: 13\r\n"),
            NoUpgrade::Wrong => malformed("the handshake of the WebSocket is wrong; see RFC 6455"),
        })?;
        if !behind.is_empty() {
            return Err(malformed("something stands behind the handshake before it is answered"));
        }
        if request.origin.is_some_and(|origin| !self.allows(origin, request.host)) {
            let is_here = host::split(request.host).is_some_and(|(host, _)| is_this_machine(&host));
            if is_here && !self.has_warned.replace(true) {
                warn!("a page of another name may not talk here; a proxy must pass Host on, or give --origin");
            }
            return Err(http::refusal(
                "403 Forbidden",
                "a page of another server may not talk here; a proxy must pass Host on, or start the server with --origin",
                "",
            ));
        }
        Ok(Heard::Upgraded(accept.encoded(), peer))
    }

    /// Whether a page of this origin may talk to a server of this name.
    fn allows(&self, origin: &str, host: &str) -> bool {
        let Some(origin) = PageOrigin::new(origin) else { return false };
        let is_own = host::split(host)
            .is_some_and(|(name, port)| name == origin.host && port.unwrap_or(origin.scheme.port()) == origin.port);
        is_own || self.origins.borrow().iter().any(|other| other.is_same(&origin))
    }

    /// What is answered to a request for the page or a part of it.
    fn page(&self, request: &Request<'_>, places: Places) -> Result<Answer, Answer> {
        if request.method == Method::Other {
            return Err(not_allowed("GET, HEAD"));
        }
        let none = || http::refusal("404 Not Found", "there is nothing here; open the page at /", "");
        let file = PAGE.at(request.path).ok_or_else(none)?;
        if places == Places::None {
            return Err(full());
        }
        let hash = PAGE.hash();
        let mut fields = match file.cache {
            Cache::Ask => "Cache-Control: no-cache\r\n".to_owned(),
            Cache::Immutable => "Cache-Control: max-age=31536000, immutable\r\n".to_owned(),
        };
        if request.path == "/" {
            fields.push_str(&format!("ETag: \"{hash}\"\r\n"));
            let is_known = |tag: &str| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == hash;
            if request.has.iter().any(|tags| tags.split(',').any(|tag| is_known(tag.trim()))) {
                return Ok(http::answer("304 Not Modified", &fields, Cow::default()));
            }
        }
        fields.push_str(&format!("Content-Type: {}\r\n", file.kind));
        Ok(http::answer("200 OK", &fields, file.bytes))
    }
}

fn malformed(why: &str) -> Answer {
    http::refusal("400 Bad Request", why, "")
}

fn not_allowed(allowed: &str) -> Answer {
    http::refusal("405 Method Not Allowed", "this is a page to be read", &format!("Allow: {allowed}\r\n"))
}

/// Somebody in clear where only TLS is spoken.
pub fn needs_https() -> Answer {
    malformed("this port speaks TLS; open it with https:// in front")
}

/// A request of which the rest has not come in time.
pub fn late() -> Answer {
    http::refusal("408 Request Timeout", "the rest of the request did not come; load the page again", "")
}

/// No place is left.
pub fn full() -> Answer {
    const TEXT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Full</title><p>The server is full. Try again \
                        in half a minute.</p></html>\n";
    let fields = format!("Content-Type: text/html; charset=utf-8\r\nRetry-After: 30\r\n{NO_STORE}");
    http::answer("503 Service Unavailable", &fields, TEXT.as_bytes().into())
}

/// The last of a list.
fn last(list: &str) -> &str {
    list.rsplit(',').next().unwrap_or(list).trim()
}

/// An address as proxies write it: alone, in brackets, with a port.
fn forwarded_address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let address = text.parse().ok().or_else(bracketed);
    address.or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
}

/// Whether a name, in lower case, is of the machine that the browser runs on.
fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback()) || host == "localhost" || host.ends_with(".localhost")
}
