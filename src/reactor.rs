//! The event loop: it waits for sockets, time, signals and the disk, and carries what comes from each to the core.

mod input;
mod output;

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use log::{debug, info, warn};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::connection::{Connections, Hold, Phase, Standing};
use crate::effect::{Effect, Output};
use crate::event::{Bye, Event, Now};
use crate::home::Home;
use crate::hub::Hub;
use crate::journal::{self, Journal};
use crate::limits::{self, Moment, Settings};
use crate::linebuf::LineBuf;
use crate::listener::{LISTENERS, Listeners, set_user_timeout};
use crate::names::{ConnId, Origin, Prefix};
use crate::plain::{self, Style};
use crate::signals::{self, Signals};
use crate::spool::{self, Spool};

const WAKER: Token = Token(0);
const SIGNALS: Token = Token(1);
/// Listeners and then connections are counted from here.
const FIRST: usize = 2;

/// Events taken from the system at once.
const EVENTS: usize = 1024;

/// The server.
pub struct Reactor {
    settings: Settings,
    started: Instant,
    poll: Poll,
    listeners: Listeners,
    signals: Signals,
    hub: Hub,
    /// Holds the way to the spool, and so must go before it.
    net: Connections,
    /// The rooms' logs, if they are kept. It must go before the spool, which holds the lock of the folder.
    journal: Option<Journal>,
    spool: Spool,
    /// When connections are to be looked at again.
    timers: BTreeSet<(Duration, ConnId)>,
    /// Connections that have something to do now.
    work: VecDeque<ConnId>,
    /// Those of them whose last turn was not enough for them, or cost much. They share what time the others leave.
    later: VecDeque<ConnId>,
    /// Until when they wait, if there are others.
    later_from: Instant,
    /// Connections by the time at which they came, as long as they have not been found to have sent a line.
    silent: VecDeque<(Moment, ConnId)>,
    /// How many there may be of these before those are taken out who have sent one since.
    silent_most: usize,
    /// Connections whose chunks wait for the disk.
    held_by_disk: Vec<ConnId>,
    /// Connections that are dropped if their sockets still take nothing in this turn.
    on_trial: Vec<ConnId>,
    /// When the server ends, once it is asked to.
    end: Option<Duration>,
    scratch: Vec<u8>,
    /// What the lines of the connection were in that was served last.
    memory: Vec<u8>,
}

impl Reactor {
    /// Listens at `addresses`, keeping files in `home`. An error is one of the system's, with what could not be done before it.
    pub fn new(addresses: &[SocketAddr], home: Home, settings: Settings) -> io::Result<Self> {
        let poll = Poll::new()?;
        let listeners = Listeners::open(addresses, poll.registry(), FIRST)?;
        let signals = Signals::open(poll.registry(), SIGNALS, signals::of_the_end())?;
        // There may be only one, so each thread has a handle of the same.
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        let mut hub = Hub::new(settings.clone());
        let (mut journal, mut files) = (None, Vec::new());
        if let (Some(rooms), Some(logging)) = (home.rooms(), settings.log) {
            journal::load(rooms, settings.history)?.for_each(|room| hub.restore_room(room));
            files = spool::load(home.spool())?;
            journal = Some(Journal::start(rooms.to_owned(), logging, Arc::clone(&waker))?);
        }
        let spool = Spool::start(home, waker)?;
        let jobs = spool.jobs().ok_or(io::ErrorKind::NotConnected)?;
        let (mut net, started) = (Connections::new(jobs), Instant::now());
        let now = Now { tick: Duration::ZERO, wall: SystemTime::now() };
        let found = files.len();
        for file in files {
            hub.restore_file(file, now, &mut net);
        }
        if hub.files() < found {
            warn!("{} of the files go, as they do not fit or their time is over", found - hub.files());
        }
        Ok(Self {
            started,
            poll,
            listeners,
            signals,
            hub,
            net,
            journal,
            spool,
            timers: BTreeSet::new(),
            work: VecDeque::new(),
            later: VecDeque::new(),
            later_from: started,
            silent: VecDeque::new(),
            silent_most: 0,
            held_by_disk: Vec::new(),
            on_trial: Vec::new(),
            end: None,
            scratch: vec![0; limits::READ_CHUNK],
            memory: Vec::new(),
            settings,
        })
    }

    /// Where it listens, with the ports that were picked.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.addresses()
    }

    /// Serves until a signal ends it.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            match self.poll.poll(&mut events, self.timeout()) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
            let now = self.now();
            for event in &events {
                match event.token() {
                    WAKER => {}
                    SIGNALS => {
                        if self.signalled(now) {
                            return Ok(());
                        }
                    }
                    Token(n) => self.socket_event(n - FIRST, event, now),
                }
            }
            self.accept(now);
            self.hear_from_disk(now);
            self.hub.tick(now, &mut self.net);
            self.after_core(now);
            self.run_timers(now);
            let others = self.work.len();
            for _ in 0..others {
                let Some(id) = self.work.pop_front() else { break };
                self.serve(id, now);
            }
            self.serve_later(others, now);
            self.pump();
            self.write_log();
            self.flush(now);
            self.drop_stalled(now);
            if self.end.is_some_and(|end| self.net.is_empty() || now.tick >= end) {
                return Ok(());
            }
        }
    }

    fn now(&self) -> Now {
        Now { tick: self.started.elapsed(), wall: SystemTime::now() }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.work.is_empty() || !self.later.is_empty() || self.net.any_wanting() || self.net.unhurried() > 0 {
            return Some(Duration::ZERO);
        }
        let timer = self.timers.first().map(|(at, _)| *at);
        let log = self.journal.as_ref().and_then(Journal::next_look).map(|left| self.started.elapsed() + left);
        let times = [self.hub.next_alarm(), timer, self.listeners.next_try(), self.end, log];
        let next = times.into_iter().flatten().min()?;
        Some(next.saturating_sub(self.started.elapsed()))
    }

    /// Takes a signal; `true` if the server is to end at once.
    fn signalled(&mut self, now: Now) -> bool {
        let count = self.signals.take();
        if count == 0 {
            return false;
        }
        if self.end.is_some() || count > 1 {
            info!("ending at once");
            return true;
        }
        info!("shutting down");
        self.end = Some(now.tick + limits::SHUTDOWN);
        self.listeners.close();
        for id in self.net.ids() {
            self.net.answer(id, &Event::Bye(Bye::Shutdown));
            self.leave(id, now);
        }
        false
    }

    fn socket_event(&mut self, n: usize, event: &mio::event::Event, now: Now) {
        let Some(slot) = n.checked_sub(LISTENERS) else { return self.listeners.set_ready(n) };
        let Some(id) = self.net.in_slot(slot) else { return };
        let connection = &mut self.net[id];
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.readable = true;
            if event.is_read_closed() || event.is_error() {
                connection.closed.get_or_insert(now.tick.into());
            }
            self.add_work(id);
        }
        if event.is_writable() || event.is_error() {
            let connection = &mut self.net[id];
            connection.writable = true;
            // The system says it of whoever can be read from too.
            if !connection.outbox.is_empty() || !connection.is_at_ease() {
                self.net.mark_dirty(id);
            }
        }
    }

    fn add_work(&mut self, id: ConnId) {
        if let Some(connection) = self.net.get_mut(id)
            && !std::mem::replace(&mut connection.in_work, true)
        {
            let list = if connection.greedy { &mut self.later } else { &mut self.work };
            list.push_back(id);
        }
    }

    /// Serves those who wait behind the `others`, with a part of the time if there were any others in this turn.
    fn serve_later(&mut self, others: usize, now: Now) {
        let begun = Instant::now();
        if self.later.is_empty() || (others > 0 && begun < self.later_from) {
            return;
        }
        while let Some(id) = self.later.pop_front() {
            self.serve(id, now);
            if begun.elapsed() >= limits::LATER_A_TURN {
                break;
            }
        }
        self.later_from = begun + begun.elapsed() * limits::LATER_SHARE;
    }

    fn accept(&mut self, now: Now) {
        for _ in 0..limits::ACCEPTS_A_TURN {
            let Some((stream, address)) = self.listeners.accept(now.tick) else { break };
            self.accepted(stream, address, now);
        }
    }

    fn accepted(&mut self, mut stream: TcpStream, address: IpAddr, now: Now) {
        let too_many = !address.is_loopback() && self.net.clients_from(address) >= self.settings.max_per_ip;
        if !too_many && self.net.clients() >= self.settings.max_clients - self.settings.max_clients / 16 {
            self.make_place(now);
        }
        let refusal = if self.net.clients() >= self.settings.max_clients {
            Some(Bye::Full)
        } else {
            too_many.then_some(Bye::TooManyFromAddress)
        };
        if let Some(bye) = refusal.filter(|_| self.net.turned_away() >= limits::TURNED_AWAY) {
            // It is told so if it can be at once, and that is all that a storm of connections gets.
            let mut line = String::new();
            plain::event(&mut line, &Event::Bye(bye), Style::FIRST);
            let told = stream.write(line.as_bytes());
            return debug!("{address} turned away: {told:?}");
        }
        let token = Token(FIRST + LISTENERS + self.net.next_slot());
        if let Err(e) = self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE) {
            return warn!("cannot set up a connection: {e}");
        }
        let standing = if refusal.is_none() { Standing::Client } else { Standing::TurnedAway };
        let id = self.net.insert(stream, address, standing);
        debug!("{id:?} from {address}, refused: {refusal:?}");
        match refusal {
            Some(bye) => {
                self.net.effect(Effect::Close { conn: id, bye: Some(bye) });
                self.after_core(now);
            }
            None => {
                self.silent.push_back((now.tick.into(), id));
                if self.silent.len() > self.silent_most {
                    let net = &mut self.net;
                    self.silent.retain(|&(_, id)| net.get_mut(id).is_some_and(|c| !c.has_spoken));
                    self.silent_most = 2 * self.silent.len() + 64;
                }
                self.hub.connect(id, origin(address), now, &mut self.net);
            }
        }
        self.add_work(id);
    }

    /// Closes whoever came first of those who have never sent a line, and who have had the time for one.
    fn make_place(&mut self, now: Now) {
        while let Some(&(since, id)) = self.silent.front() {
            let is_silent = self.net.get_mut(id).is_some_and(|c| !c.has_spoken && c.phase == Phase::Open);
            if is_silent && now.tick < since.get() + limits::FIRST_LINE {
                return;
            }
            self.silent.pop_front();
            if is_silent {
                self.hub.expel(id, now, Bye::MadePlace, &mut self.net);
                self.after_core(now);
                self.flush_one(id, now);
                // A farewell that is not taken at once is no reason to keep the place.
                if self.net.get_mut(id).is_some_and(|c| c.phase == Phase::Leaving) {
                    self.remove(id);
                }
                return;
            }
        }
    }

    fn hear_from_disk(&mut self, now: Now) {
        let mut heard = false;
        for outcome in self.spool.outcomes() {
            heard = true;
            self.hub.disk_did(now, outcome, &mut self.net);
        }
        self.after_core(now);
        if heard && self.hub.disk_keeps_up() {
            for id in std::mem::take(&mut self.held_by_disk) {
                if let Some(connection) = self.net.get_mut(id) {
                    connection.hold = Hold::None;
                    self.add_work(id);
                }
            }
        }
    }

    fn run_timers(&mut self, now: Now) {
        while let Some((at, id)) = self.timers.pop_first() {
            if at > now.tick {
                self.timers.insert((at, id));
                return;
            }
            if let Some(connection) = self.net.get_mut(id) {
                connection.wake = None;
                self.add_work(id);
            }
        }
    }

    /// Does what the core has asked for besides the lines that it sent: it has closed connections, or must be told whose
    /// reader is too slow.
    fn after_core(&mut self, now: Now) {
        loop {
            let (lagged, closed) = (self.net.take_lagged(), self.net.take_closed());
            if lagged.is_empty() && closed.is_empty() {
                return;
            }
            for id in lagged {
                // It may have caught up meanwhile.
                if self.net.get_mut(id).is_some_and(|connection| connection.lagging) {
                    self.hub.lag(id);
                }
            }
            for id in closed {
                self.leave(id, now);
            }
        }
    }

    /// Nothing more is read of a connection: it goes when all that waits for it is written.
    fn leave(&mut self, id: ConnId, now: Now) {
        if let Some(connection) = self.net.get_mut(id)
            && connection.phase == Phase::Open
        {
            connection.phase = Phase::Leaving;
            connection.lines = LineBuf::default();
            connection.hold = Hold::None;
            self.net.mark_dirty(id);
            self.rearm(id, now);
        }
    }

    /// Looks after a connection that has something to do: reads and carries out its lines, and minds its times.
    fn serve(&mut self, id: ConnId, now: Now) {
        let Some(connection) = self.net.get_mut(id) else { return };
        connection.in_work = false;
        if let Some(since) = connection.stalled {
            // The system says that there is room only when there is much, so a slow reader deserves a try.
            connection.writable = true;
            self.net.mark_dirty(id);
            if now.tick >= since.get() + self.settings.stall {
                self.on_trial.push(id);
            }
        }
        let connection = &mut self.net[id];
        if connection.stalled.is_none() && connection.slow.is_some_and(|at| now.tick >= at.get() + limits::CALM) {
            connection.slow = None;
            set_user_timeout(&connection.stream, Some(limits::DEAD));
        }
        match self.net[id].phase {
            Phase::Open => self.serve_open(id, now),
            Phase::Leaving => {}
            Phase::Lingering => {
                if self.net[id].until.is_none_or(|until| now.tick >= until.get()) || self.discard_input(id) {
                    return self.remove(id);
                }
            }
        }
        self.rearm(id, now);
    }

    fn remove(&mut self, id: ConnId) {
        let Some(mut connection) = self.net.remove(id) else { return };
        if let Some(wake) = connection.wake {
            self.timers.remove(&(wake.get(), id));
        }
        if let Err(e) = self.poll.registry().deregister(&mut connection.stream) {
            debug!("{id:?} cannot be deregistered: {e}");
        }
        self.listeners.try_soon();
    }

    /// Sets the time at which a connection must be looked at again, whatever else happens.
    fn rearm(&mut self, id: ConnId, now: Now) {
        let stall = self.settings.stall;
        let Some(connection) = self.net.get_mut(id).filter(|connection| !connection.is_at_ease()) else { return };
        let is_held = connection.hold == Hold::Flood;
        let until = connection.until.filter(|_| is_held || connection.phase == Phase::Lingering).map(Moment::get);
        let ended = connection.closed.filter(|_| is_held).map(|closed| closed.get() + limits::AFTER_END);
        let part = stall / limits::TRIES;
        let next_try =
            |since| (1..=limits::TRIES).map(|n| since + part * n).find(|&at| at > now.tick).unwrap_or(since + stall);
        let stalled = connection.stalled.map(Moment::get).map(next_try);
        let calm = connection.slow.filter(|_| stalled.is_none()).map(|at| at.get() + limits::CALM);
        let wake = [until, ended, stalled, calm].into_iter().flatten().min().map(|at| at.max(now.tick));
        let old = std::mem::replace(&mut connection.wake, wake.map(Moment::from)).map(Moment::get);
        if old != wake {
            old.map(|at| self.timers.remove(&(at, id)));
            wake.map(|at| self.timers.insert((at, id)));
        }
    }
}

/// What an address counts as.
fn origin(address: IpAddr) -> Origin {
    match address.to_canonical() {
        address if address.is_loopback() => Origin::Loopback,
        IpAddr::V4(address) => Origin::Network(Prefix::v4(address.octets())),
        IpAddr::V6(address) => Origin::Network(Prefix::v6(address.octets())),
    }
}
