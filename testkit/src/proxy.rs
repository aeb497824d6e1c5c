//! A bad connection: something between a client and its server that cuts, holds up and refuses.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockRef, Socket, Type};

use crate::PATIENCE;

/// How many bytes pass at once: fewer than most lines have, so that cuts come in the middle of them.
const AT_ONCE: usize = 61;
/// How many pass at once where much comes, as files do. It is no multiple of a line of theirs.
const AT_MOST: usize = 15_013;

/// How a connection is cut, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// In good order: each side sees the end.
    Close,
    /// Each side sees a reset.
    Reset,
}

/// Cuts that come by themselves. Each connection is cut in a random way, after a random number of bytes in both
/// directions together or after a random time, whichever comes first.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What the random numbers begin with.
    pub seed: u64,
    /// After so many cuts everything passes.
    pub cuts: usize,
    pub bytes: Range<u64>,
    pub milliseconds: Range<u64>,
}

/// Something that stands between clients and a server. Everything ends when this goes.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    /// What wakes the thread.
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    // What is asked for.
    target: u16,
    refuse: bool,
    stall: bool,
    old: bool,
    over: bool,
    cut: Option<Cut>,
    /// How many bytes may pass in all: from the clients, and to them.
    limits: [usize; 2],
    /// How many of the orders there have been, and how many are carried out.
    orders: usize,
    obeyed: usize,
    // How things are.
    open: usize,
    cuts: usize,
    /// All that has passed from the clients, and to them.
    passed: [Vec<u8>; 2],
}

impl Proxy {
    /// Leads to a port on this machine.
    pub fn start(target: u16) -> Self {
        Self::cutting(target, Plan::default())
    }

    /// Leads to a port on this machine, and cuts by itself.
    pub fn cutting(target: u16, plan: Plan) -> Self {
        // It never listens: it keeps the port while connections are refused.
        let keeper = bound(0).unwrap();
        let port = port_of(&keeper);
        let (wake, woken) = UnixStream::pair().unwrap();
        woken.set_nonblocking(true).unwrap();
        let state = State { limits: [usize::MAX; 2], ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let mut run = Run { random: Rng::with_seed(plan.seed), plan, links: Vec::new() };
        let thread = Some(thread::spawn(move || run.run(&theirs, &keeper, &woken)));
        let proxy = Self { shared, port, wake, thread };
        proxy.lead_to(target);
        proxy
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Cuts every connection that is open now.
    pub fn cut(&self, how: Cut) {
        self.order(|state| state.cut = Some(how));
    }

    /// From now on new connections lead to this port.
    pub fn lead_to(&self, target: u16) {
        self.order(|state| state.target = target);
    }

    /// From now on nobody listens, or somebody does.
    pub fn refuse(&self, refuse: bool) {
        self.order(|state| state.refuse = refuse);
    }

    /// From now on connections stay and nothing passes, as on a train, or it passes.
    pub fn stall(&self, stall: bool) {
        self.order(|state| state.stall = stall);
    }

    /// From now on new connections seem to lead to an older server, which does not know `/keep`.
    pub fn grow_old(&self) {
        self.order(|state| state.old = true);
    }

    /// How many connections have been cut.
    pub fn cuts(&self) -> usize {
        self.shared.state().cuts
    }

    /// How many connections there are.
    pub fn open(&self) -> usize {
        self.shared.state().open
    }

    /// From now on no more than so many bytes pass in all, from the clients and to them. What comes beyond waits.
    pub fn limit(&self, up: usize, down: usize) {
        self.order(|state| state.limits = [up, down]);
    }

    /// How many bytes have passed from the clients, and to them.
    pub fn bytes(&self) -> (usize, usize) {
        let [up, down] = &self.shared.state().passed;
        (up.len(), down.len())
    }

    /// What has passed from the clients.
    pub fn up(&self) -> String {
        String::from_utf8_lossy(&self.shared.state().passed[0]).into_owned()
    }

    /// What has passed to the clients.
    pub fn down(&self) -> String {
        String::from_utf8_lossy(&self.shared.state().passed[1]).into_owned()
    }

    /// Gives an order, and waits until it has been carried out.
    #[track_caller]
    fn order(&self, order: impl FnOnce(&mut State)) {
        let mut state = self.shared.state();
        order(&mut state);
        state.orders += 1;
        let mine = state.orders;
        (&self.wake).write_all(b"!").unwrap();
        let unheard = |state: &mut State| state.obeyed < mine;
        let (state, waited) = self.shared.changed.wait_timeout_while(state, PATIENCE, unheard).unwrap();
        drop(state);
        assert!(!waited.timed_out(), "the proxy does not obey");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.state().over = true;
        let _ = (&self.wake).write_all(b"!");
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl State {
    /// How many bytes may still pass now.
    fn room(&self) -> [usize; 2] {
        [0, 1].map(|way| self.limits[way].saturating_sub(self.passed[way].len()))
    }

    /// Notes what has passed on a connection.
    fn note(&mut self, link: &mut Link) {
        for (passed, way) in self.passed.iter_mut().zip([&mut link.up, &mut link.down]) {
            passed.append(&mut way.passed);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// What the thread has. One thread for all connections can cut them at one moment, and can drop both ends of each
/// without saying goodbye first, which makes a reset.
struct Run {
    plan: Plan,
    random: Rng,
    links: Vec<Link>,
}

impl Run {
    fn run(&mut self, shared: &Shared, keeper: &Socket, woken: &UnixStream) {
        let mut listener: Option<TcpListener> = None;
        loop {
            let mut state = shared.state();
            if state.over {
                return;
            }
            if state.refuse {
                // A process that another test is just starting may have the listener too: to drop it is not enough.
                let _ = listener.take().map(|listener| SockRef::from(&listener).shutdown(Shutdown::Both));
            } else if listener.is_none() {
                listener = Some(listen(port_of(keeper)).unwrap());
            }
            while let Some(Ok((client, _))) = listener.as_ref().map(TcpListener::accept) {
                // Without a server the client sees the end at once.
                let _ = self.link(client, state.target, state.old);
            }
            self.cut(&mut state);
            for link in &mut self.links {
                if (!state.stall || !link.open) && link.pass(state.room().map(|room| room.min(AT_MOST))).is_err() {
                    link.cut(Cut::Reset);
                }
                state.note(link);
            }
            // What has come to its end before it was cut leaves its cut to another.
            self.plan.cuts += self.links.extract_if(.., |link| link.over()).filter(|link| link.doom.is_some()).count();
            state.open = self.links.iter().filter(|link| link.open).count();
            state.obeyed = state.orders;
            let (stall, room) = (state.stall, state.room());
            drop(state);
            shared.changed.notify_all();
            self.wait(listener.as_ref(), woken, stall, room);
        }
    }

    /// Leads a connection to this port.
    fn link(&mut self, client: TcpStream, target: u16, old: bool) -> io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
        for stream in [&client, &server] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        let doom = (self.plan.cuts > 0).then(|| {
            self.plan.cuts -= 1;
            let time = Instant::now() + Duration::from_millis(self.random.u64(self.plan.milliseconds.clone()));
            let how = [Cut::Close, Cut::Reset][self.random.usize(..2)];
            Doom { bytes: self.random.u64(self.plan.bytes.clone()) as usize, time, how }
        });
        let up = Way { old, ..Way::default() };
        self.links.push(Link { client, server, up, down: Way::default(), doom, open: true });
        Ok(())
    }

    /// Cuts what is to be cut now.
    fn cut(&mut self, state: &mut State) {
        let everything = state.cut.take();
        let now = Instant::now();
        for link in self.links.iter_mut().filter(|link| link.open) {
            let doomed = link.doom.as_ref().filter(|doom| doom.bytes == 0 || doom.time <= now).map(|doom| doom.how);
            if doomed.is_some() {
                link.doom = None;
            } else if everything.is_some() && !state.stall {
                // What is under way passes in part.
                let part = self.random.usize(..AT_ONCE);
                let _ = link.pass(state.room().map(|room| room.min(part)));
                state.note(link);
            }
            if let Some(how) = doomed.or(everything) {
                // Another connection has the cut that this one was to have.
                self.plan.cuts += usize::from(link.doom.take().is_some());
                link.cut(how);
                state.cuts += 1;
            }
        }
    }

    /// Waits until there is something to do.
    fn wait(&self, listener: Option<&TcpListener>, mut woken: &UnixStream, stall: bool, room: [usize; 2]) {
        let mut events = vec![PollFd::new(woken, PollFlags::IN)];
        events.extend(listener.map(|listener| PollFd::new(listener, PollFlags::IN)));
        for link in self.links.iter().filter(|link| !stall || !link.open) {
            let ways = [(&link.up, &link.client, &link.server), (&link.down, &link.server, &link.client)];
            for ((way, from, to), room) in ways.into_iter().zip(room) {
                if !way.waiting.is_empty() {
                    events.push(PollFd::new(to, PollFlags::OUT));
                } else if !way.ended && (room > 0 || !link.open) {
                    events.push(PollFd::new(from, PollFlags::IN));
                }
            }
        }
        let dooms = self.links.iter().filter_map(|link| link.doom.as_ref());
        // What has had its bytes is cut at once.
        let left = |doom: &Doom| {
            if doom.bytes == 0 { Duration::ZERO } else { doom.time.saturating_duration_since(Instant::now()) }
        };
        let left = dooms.map(left).min().map(|left| Timespec::try_from(left).unwrap());
        poll(&mut events, left.as_ref()).unwrap();
        let _ = woken.read(&mut [0; 64]);
    }
}

/// One connection.
struct Link {
    client: TcpStream,
    server: TcpStream,
    up: Way,
    down: Way,
    doom: Option<Doom>,
    /// It has not been cut.
    open: bool,
}

/// One direction.
#[derive(Default)]
struct Way {
    waiting: Vec<u8>,
    /// Nothing more will come.
    ended: bool,
    /// What has passed since this was last noted.
    passed: Vec<u8>,
    /// How often in a row there was as much as passes at once, or more.
    full: u32,
    /// If it begins with `/keep`, that becomes a command that no server knows.
    old: bool,
}

/// When and how a connection is cut by itself.
struct Doom {
    /// How many bytes may still come.
    bytes: usize,
    time: Instant,
    how: Cut,
}

impl Link {
    /// Passes on what there is, at most so many bytes in each direction.
    fn pass(&mut self, most: [usize; 2]) -> io::Result<()> {
        let Self { client, server, up, down, doom, open } = self;
        let ways = [(up, &*client, &*server), (down, &*server, &*client)];
        for ((way, from, to), most) in ways.into_iter().zip(most) {
            // What is cut is dropped whole.
            let most = if *open { most } else { AT_MOST };
            let most = doom.as_ref().map_or(most, |doom| most.min(doom.bytes));
            let count = way.pass(from, to, most, *open)?;
            if let Some(doom) = doom {
                doom.bytes -= count;
            }
        }
        Ok(())
    }

    fn cut(&mut self, how: Cut) {
        self.open = false;
        for (way, stream) in [(&mut self.up, &self.client), (&mut self.down, &self.server)] {
            way.waiting.clear();
            match how {
                // What still comes is dropped: to close before it has been read would make a reset.
                Cut::Close => drop(stream.shutdown(Shutdown::Write)),
                Cut::Reset => {
                    way.ended = true;
                    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        }
    }

    fn over(&self) -> bool {
        [&self.up, &self.down].iter().all(|way| way.ended && way.waiting.is_empty())
    }
}

impl Way {
    /// Takes at most so many bytes, passes them on as long as the connection is open, and returns how many came.
    fn pass(&mut self, mut from: &TcpStream, mut to: &TcpStream, most: usize, open: bool) -> io::Result<usize> {
        let mut count = 0;
        if self.waiting.is_empty() && !self.ended && most > 0 {
            let mut buffer = [0; AT_MOST];
            let at_once = AT_MOST.min(AT_ONCE << self.full.min(8));
            let read = from.read(&mut buffer[..most.min(at_once)]);
            self.full = if read.as_ref().is_ok_and(|&n| n == at_once) { self.full + 1 } else { 0 };
            match read {
                Ok(0) => {
                    self.ended = true;
                    let _ = to.shutdown(Shutdown::Write);
                }
                Ok(n) if open => {
                    count = n;
                    if std::mem::take(&mut self.old) && buffer.starts_with(b"/keep ") {
                        buffer[..6].copy_from_slice(b"/peek ");
                    }
                    self.waiting.extend_from_slice(&buffer[..n]);
                }
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
        }
        if !self.waiting.is_empty() {
            match to.write(&self.waiting) {
                Ok(n) => self.passed.extend(self.waiting.drain(..n)),
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
                Err(_) => {}
            }
        }
        Ok(count)
    }
}

/// A socket with this port of its own, or with any.
fn bound(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket)
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = bound(port)?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn port_of(socket: &Socket) -> u16 {
    socket.local_addr().unwrap().as_socket().unwrap().port()
}
