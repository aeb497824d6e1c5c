//! The door by which a monitor fetches the page of metrics over HTTP. Threads of its own speak to monitors, so that none of them can
//! hold up the chat: the loop is asked for nothing but the page.

use crate::channel::{Receiver, Sender, channel};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use log::{debug, warn};
use mio::Waker;
use socket2::SockRef;

use crate::host;
use crate::limits;
use crate::metrics::CONTENT_TYPE;
use crate::names::Origin;
use crate::peer::Peer;
use crate::web;

/// Where monitors come in, and by the names of which pages besides addresses and names that nobody can own on the internet.
#[derive(Debug, Default)]
pub struct Monitors {
    /// Where to listen.
    pub addresses: Vec<SocketAddr>,
    /// Pages of the server's own names.
    pub origins: Vec<web::PageOrigin>,
}

/// The door, open at some addresses or none. It is closed when this goes.
#[derive(Debug)]
pub struct MetricsDoor {
    sockets: Vec<TcpListener>,
    asked: Receiver<Sender<String>>,
    pages: Arc<Pages>,
}

impl MetricsDoor {
    /// Accepts at sockets that listen, and wakes `waker` when somebody asks for the page, by an address or a name as browsers may, which
    /// that of one of `origins` is.
    pub fn open(sockets: Vec<TcpListener>, origins: Vec<web::PageOrigin>, waker: &Arc<Waker>) -> io::Result<Self> {
        let (ask, asked) = channel();
        let asking = Mutex::new(Asking { ask, last: None });
        let pages = Arc::new(Pages { waker: Arc::clone(waker), asking, origins: Mutex::new(origins) });
        for socket in &sockets {
            let (socket, pages) = (socket.try_clone()?, Arc::clone(&pages));
            thread::Builder::new().name("metrics".into()).spawn(move || listen(&socket, &pages))?;
        }
        Ok(Self { sockets, asked, pages })
    }

    /// Other origins, for whoever asks from now on.
    pub fn replace_origins(&self, origins: &[web::PageOrigin]) {
        origins.clone_into(&mut self.pages.origins.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Where it listens, with the ports that were picked.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }

    /// Whoever asks for the page, if anybody does.
    pub fn asker(&self) -> Option<Sender<String>> {
        self.asked.try_recv().ok()
    }
}

impl Drop for MetricsDoor {
    fn drop(&mut self) {
        // The threads that wait hear that it is closed, and let go of it.
        for socket in &self.sockets {
            if let Err(e) = SockRef::from(socket).shutdown(Shutdown::Both) {
                debug!("the door of the metrics cannot be closed: {e}");
            }
        }
    }
}

/// The way to the loop, which makes the page.
#[derive(Debug)]
struct Pages {
    waker: Arc<Waker>,
    asking: Mutex<Asking>,
    /// By whose names it may be asked for.
    origins: Mutex<Vec<web::PageOrigin>>,
}

#[derive(Debug)]
struct Asking {
    ask: Sender<Sender<String>>,
    /// When the loop was last asked.
    last: Option<Instant>,
}

impl Pages {
    /// The page, if the loop gives it before `until`. However many ask, the loop is asked once in [`limits::PAGE_PACE`].
    fn fetch(&self, until: Instant) -> Option<String> {
        let mut asking = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = asking.last {
            thread::sleep((last + limits::PAGE_PACE).saturating_duration_since(Instant::now()));
        }
        let (answer, page) = channel();
        asking.ask.send(answer).ok()?;
        self.waker.wake().ok()?;
        let page = page.recv_timeout(left(until)).ok();
        asking.last = Some(Instant::now());
        page
    }
}

/// Accepts until the door is closed, and has a thread for each who comes.
fn listen(socket: &TcpListener, pages: &Arc<Pages>) {
    let places = Arc::new(Places::default());
    loop {
        let (stream, peer) = match socket.accept() {
            Ok((stream, address)) => (stream, Peer::at(address.ip())),
            // It is closed.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => return,
            Err(e) => {
                debug!("cannot accept at the door of the metrics: {e}");
                thread::sleep(limits::ACCEPT_RETRY);
                continue;
            }
        };
        let Some(place) = Place::take(&places, peer) else { continue };
        let pages = Arc::clone(pages);
        let serve = move || {
            if let Err(e) = serve(&stream, &pages) {
                debug!("a monitor got no page: {e}");
            }
            drop(place);
        };
        if let Err(e) = thread::Builder::new().name("scrape".into()).stack_size(128 * 1024).spawn(serve) {
            warn!("cannot start a thread for a monitor: {e}");
        }
    }
}

/// From where those come who have a place at one door.
type Places = Mutex<Vec<Origin>>;

/// A place that is taken, until this goes.
struct Place {
    places: Arc<Places>,
    origin: Origin,
}

impl Place {
    /// One for whoever comes from there, if there is one.
    fn take(places: &Arc<Places>, peer: Peer) -> Option<Self> {
        let origin = peer.origin().widest();
        let mut taken = places.lock().unwrap_or_else(PoisonError::into_inner);
        let of_origin = taken.iter().filter(|&&other| other == origin).count();
        let is_crowded = origin != Origin::Loopback && of_origin >= limits::SCRAPES_OF_NETWORK;
        if taken.len() >= limits::SCRAPES || is_crowded {
            return None;
        }
        taken.push(origin);
        Some(Self { places: Arc::clone(places), origin })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = taken.iter().position(|&origin| origin == self.origin) {
            taken.swap_remove(at);
        }
    }
}

/// How long it is until then.
fn left(until: Instant) -> Duration {
    // No time at all would be no limit to a socket.
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// Reads one request, answers it, and waits for the other end to go.
fn serve(mut stream: &TcpStream, pages: &Pages) -> io::Result<()> {
    let until = Instant::now() + limits::SCRAPE;
    let head = read_head(stream, until)?;
    let is_asked_for_head = head.as_ref().is_some_and(|head| head.starts_with(b"HEAD "));
    let checked =
        head.as_deref().map(|head| check(head, &pages.origins.lock().unwrap_or_else(PoisonError::into_inner)));
    let answer = match checked {
        None => Answer::refuse("431 Request Header Fields Too Large", "this request is too long"),
        Some(Err(answer)) => answer,
        Some(Ok(())) => match pages.fetch(until) {
            Some(page) => Answer { status: "200 OK", kind: CONTENT_TYPE, body: page },
            None => Answer::refuse("503 Service Unavailable", "the server is busy; try again later"),
        },
    };
    stream.set_write_timeout(Some(left(until)))?;
    let body = if is_asked_for_head { "" } else { &answer.body };
    stream.write_all(answer.encoded(body).as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    // To close before all is read would take the answer back.
    let mut rest = [0; 512];
    while Instant::now() < until {
        stream.set_read_timeout(Some(left(until)))?;
        if stream.read(&mut rest)? == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads up to the empty line that ends the head of a request; `None` if more than [`limits::SCRAPE_HEAD`] comes.
fn read_head(mut stream: &TcpStream, until: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(512);
    let mut bytes = [0; 512];
    loop {
        if Instant::now() >= until {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left(until)))?;
        let read = stream.read(&mut bytes)?;
        head.extend_from_slice(&bytes[..read]);
        if head.len() > limits::SCRAPE_HEAD {
            return Ok(None);
        }
        // The empty line is followed by what is not there yet, or is none of ours.
        let mut lines = head.split(|&byte| byte == b'\n').rev().skip(1);
        if lines.any(|line| matches!(line, b"" | b"\r")) {
            return Ok(Some(head));
        }
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Whether the page is to be given for a request with this head, or what is answered instead.
fn check(head: &[u8], origins: &[web::PageOrigin]) -> Result<(), Answer> {
    let unclear = || Answer::refuse("400 Bad Request", "this is no request of HTTP");
    let head = str::from_utf8(head).map_err(|_| unclear())?;
    let mut lines = head.lines();
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, _, version] = words[..] else { return Err(unclear()) };
    if !version.starts_with("HTTP/1.") {
        return Err(unclear());
    }
    if !["GET", "HEAD"].contains(&method) {
        return Err(Answer::refuse("405 Method Not Allowed", "the metrics can only be fetched, with GET"));
    }
    let fields = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let mut hosts = fields.filter(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, host)| host.trim());
    match (hosts.next(), hosts.next()) {
        // A browser always has one.
        (None, _) => Ok(()),
        (Some(host), None) => match host::split(host) {
            Some((host, _)) if web::is_ours(&host, origins) => Ok(()),
            Some(_) => Err(Answer::refuse(
                "421 Misdirected Request",
                "fetch the metrics by an address of this server, or start it with --origin http://NAME",
            )),
            None => Err(unclear()),
        },
        (Some(_), Some(_)) => Err(unclear()),
    }
}

/// What is answered to a request.
struct Answer {
    status: &'static str,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn refuse(status: &'static str, why: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: format!("{why}\n") }
    }

    /// With `sent` for its body, which is left out for who asks for the head alone.
    fn encoded(&self, sent: &str) -> String {
        let Self { status, kind, body } = self;
        let len = body.len();
        format!(
            "HTTP/1.1 {status}\r\nAllow: GET, HEAD\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{sent}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> &'static str {
        check(head.as_bytes(), &[web::PageOrigin::new("https://chat.example.org").unwrap()])
            .map_or_else(|answer| &answer.status[..3], |()| "200")
    }

    #[test]
    fn one_network_does_not_take_every_place() {
        let places = Arc::new(Places::default());
        let take = |address: &str| Place::take(&places, Peer::at(address.parse().unwrap()));
        // All of a /48 are one network.
        let stranger: Vec<Place> = (0..9).filter_map(|n| take(&format!("2001:db8:7:{n}::1"))).collect();
        assert_eq!(stranger.len(), limits::SCRAPES_OF_NETWORK);
        let mut here: Vec<Place> = (0..9).filter_map(|_| take("127.0.0.1")).collect();
        assert_eq!(here.len(), limits::SCRAPES - limits::SCRAPES_OF_NETWORK);
        assert!(take("203.0.113.7").is_none());
        here.pop();
        assert!(take("203.0.113.7").is_some() && take("2001:db8:7::1").is_none());
        drop((stranger, here));
        assert!(places.lock().unwrap().is_empty());
    }

    #[test]
    fn only_a_request_for_the_page_has_it() {
        for head in [
            "GET / HTTP/1.1\r\nHost: 127.0.0.1:9429\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: chat.example.org:9429\r\n\r\n",
            "GET /metrics?x=1 HTTP/1.0\n\n",
            "HEAD / HTTP/1.1\r\nHost: pi\r\n\r\n",
            "GET /any/path HTTP/1.1\r\nAccept: */*\r\nhOST:localhost\r\n\r\n",
        ] {
            assert_eq!(status(head), "200", "{head}");
        }
        for (head, code) in [
            ("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n", "421"),
            ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", "400"),
            ("GET / HTTP/1.1\r\nHost: localhost:+80\r\n\r\n", "400"),
            ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405"),
            ("GET / HTTP/2\r\n\r\n", "400"),
            ("GET /\r\n\r\n", "400"),
            ("hello\r\n\r\n", "400"),
            ("\r\n\r\n", "400"),
        ] {
            assert_eq!(status(head), code, "{head}");
        }
        assert!(check(b"GET /\xff HTTP/1.1\r\n\r\n", &[]).is_err());
    }
}
