//! The event loop: it waits for sockets, time, signals and the disk, and carries what comes from each to the core.

mod arrivals;
mod input;
mod kept;
mod output;
mod refusals;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use log::{Level, debug, info, log, warn};

use crate::connection::{Connection, Life, List, Pause, Retry};
use crate::dialect::Dialect;
use crate::effect::{Effect, Query, Record, Whereabouts};
use crate::egress::{Egress, Outgoing};
use crate::event::{Bye, Deed, Detail, Done, Event, Reply};
use crate::home::Home;
use crate::hub::Hub;
use crate::limits;
use crate::listener::{Carrier, Opening};
use crate::metrics::{self, Levels, LoopCounts};
use crate::names::{ConnId, Nick, PlaceToken, Text, Wire};
use crate::outbox::Kind;
use crate::peer::Peer;
use crate::plain::{self, Style};
use crate::register::Author;
use crate::registry::Registry;
use crate::reload::Reader;
use crate::scrape::Monitors;
use crate::settings::Settings;
use crate::system::{Newcomer, Os, Ready, System};
use crate::text::counted;
use crate::time::{Instant, Now};
use crate::transport::{Farewell, Layer, Transport};
use crate::wire::Code;

use self::arrivals::Arrivals;
use self::kept::TakeUp;
use self::refusals::{Refusal, Refusals};

/// Where people come in who speak one dialect.
pub struct Door {
    /// What is spoken there.
    pub dialect: &'static dyn Dialect,
    /// The addresses to listen at, and what comes in there.
    pub addresses: Vec<(SocketAddr, Carrier)>,
}

/// What becomes of somebody who has come.
#[derive(Clone, Copy, Debug)]
enum Admission {
    /// They are let in.
    Admitted,
    /// There is no place for them, and they are heard for a line all the same.
    Heard,
    /// They are told why not.
    Refused(Bye),
}

/// The server, over the operating system or whatever else can take its place.
pub struct Reactor<S: System> {
    hub: Hub,
    registry: Registry<S::Stream>,
    egress: Egress,
    /// What the core has asked for besides the lines that it sent. It is empty but while the core is at work.
    effects: VecDeque<Effect>,
    /// What is to be written down before anything goes out.
    records: Vec<Record>,
    /// What is to be looked up in the log once that is written down.
    queries: Vec<Query>,
    /// Those for whom the core may have file data.
    wanting: Vec<ConnId>,
    /// The wakes of connections, the next one first.
    timers: BTreeSet<(Instant, ConnId)>,
    /// The run queue: connections that have something to do now.
    run_queue: VecDeque<ConnId>,
    /// The low-priority run queue: those whose last turn was not enough for them, or cost much. They share what time the
    /// others leave.
    low_priority: VecDeque<ConnId>,
    /// When these are served next, if the other queue is not empty.
    low_priority_from: Instant,
    /// Connections by the time at which they came, as long as they have not been found to have sent a line.
    silent: VecDeque<(Instant, ConnId)>,
    /// How many there may be of these before those are taken out who have sent one since.
    silent_most: usize,
    /// Connections whose chunks wait for the disk, and those of operators that wait for the audit log.
    held_by_disk: Vec<ConnId>,
    /// Whether an operator waits for the audit log.
    is_audit_behind: bool,
    /// What the log of the process says of those who may not come.
    refusals: Refusals,
    /// Connections that are dropped if their sockets still take too little in this turn.
    on_trial: Vec<ConnId>,
    /// Places that are kept when their connections are lost, by what takes them up.
    places: HashMap<PlaceToken, ConnId>,
    /// The port where TLS is spoken, if there is one.
    tls_port: Option<u16>,
    /// The port where browsers find a page, if there is one.
    web_port: Option<u16>,
    /// Connections that have come and cannot be admitted yet.
    arrivals: Arrivals,
    /// When connections are looked after that have been silent by then, where silence is to be found out here.
    beats: BinaryHeap<Reverse<(Instant, ConnId)>>,
    /// Connections that are heard for a line though there was no place, in the order in which they came.
    applicants: Vec<ConnId>,
    /// A connection has just asked to go on in one of them.
    taking_up: Option<TakeUp>,
    counts: LoopCounts,
    /// When the configuration was read anew for the last time, if it was.
    reloaded: Option<SystemTime>,
    /// Since when what was said in rooms waits for a fan-out, if any does.
    gathering: Option<Instant>,
    /// When the server ends, once it is asked to.
    end: Option<Instant>,
    scratch: Vec<u8>,
    /// What the lines of the connection were in that was served last.
    memory: Vec<u8>,
    ready: Vec<Ready>,
    /// The last, as the core and the connections may hand it something while they go.
    system: S,
}

impl Reactor<Os> {
    /// Listens at all doors, at `metrics` for monitors, and at `control` for operators, or in the data folder if that is not given. It
    /// keeps files in `home`, with what an earlier process has left there. For a reload, `reader` reads the settings. An error is one of
    /// the system's, with what could not be done before it.
    pub fn open(
        doors: &[Door],
        metrics: Monitors,
        control: Option<PathBuf>,
        home: Home,
        settings: Settings,
        reader: Reader,
    ) -> io::Result<Self> {
        let dialects = doors.iter().map(|door| door.dialect).collect();
        let openings_of = |(n, door): (usize, &Door)| {
            let dialect = u8::try_from(n).unwrap_or(u8::MAX);
            let opening = move |(address, carrier)| Opening { address, carrier, dialect };
            door.addresses.iter().cloned().map(opening).collect::<Vec<_>>()
        };
        let openings = doors.iter().enumerate().flat_map(openings_of).collect();
        let mut hub = Hub::new(settings.clone());
        let restore = |room| hub.restore_room(room);
        let (os, register, files) = Os::open(openings, metrics, control, home, &settings, reader, restore)?;
        let port_of = |is_meant: fn(IpAddr, &Carrier) -> bool| {
            let addresses = os.addresses()?.into_iter();
            io::Result::Ok(
                addresses
                    .filter(|(address, carrier)| is_meant(address.ip(), carrier))
                    .map(|(address, _)| address.port())
                    .next(),
            )
        };
        let tls_port = port_of(|_, carrier| matches!(carrier, Carrier::Tls(_)))?;
        let web_port = port_of(|_, carrier| matches!(carrier, Carrier::Web(_)))?;
        // Those of IPv6 take nothing that comes by IPv4.
        let clear_port = port_of(|ip, carrier| {
            let is_here = ip == Ipv4Addr::LOCALHOST || ip == Ipv4Addr::UNSPECIFIED;
            is_here && matches!(carrier, Carrier::Plain)
        })?;
        hub.note_ports(tls_port, clear_port);
        let mut reactor = Self { tls_port, web_port, ..Self::new(os, hub, dialects) };
        let (found, now) = (files.len(), reactor.system.now());
        for file in files {
            reactor.core(now, |hub, out| hub.restore_file(file, now, out));
        }
        let kept = reactor.hub.files();
        // With a room that is forgotten go its files, as they are to.
        reactor.core(now, |hub, out| hub.restore_register(register, now, out));
        if kept < found {
            warn!("{} of the files go, as they do not fit or their time is over", found - kept);
        }
        Ok(reactor)
    }

    /// Where it listens, with the ports that were picked, and what comes in there.
    pub fn addresses(&self) -> io::Result<Vec<(SocketAddr, &Carrier)>> {
        self.system.addresses()
    }

    /// Tells the service manager that all is up.
    pub fn tell_ready(&self) {
        self.system.supervisor().ready();
    }

    /// Where monitors fetch the metrics.
    pub fn metrics_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.system.metrics_addresses()
    }
}

/// Of whoever has sent a line the log tells everybody; others may be no more than a look whether the port is open.
fn level_of<T: Transport>(connection: &Connection<T>) -> Level {
    if connection.has_spoken() && !connection.peer().is_control() { Level::Info } else { Level::Debug }
}

impl<S: System> Reactor<S> {
    /// A server of nobody yet. Newcomers name their dialect by its place in `dialects`.
    pub fn new(system: S, hub: Hub, dialects: Vec<&'static dyn Dialect>) -> Self {
        Self {
            hub,
            registry: Registry::default(),
            egress: Egress::new(dialects),
            effects: VecDeque::new(),
            records: Vec::new(),
            queries: Vec::new(),
            wanting: Vec::new(),
            timers: BTreeSet::new(),
            run_queue: VecDeque::new(),
            low_priority: VecDeque::new(),
            low_priority_from: Instant::START,
            silent: VecDeque::new(),
            silent_most: 0,
            held_by_disk: Vec::new(),
            is_audit_behind: false,
            refusals: Refusals::default(),
            on_trial: Vec::new(),
            places: HashMap::new(),
            tls_port: None,
            web_port: None,
            arrivals: Arrivals::default(),
            beats: BinaryHeap::new(),
            applicants: Vec::new(),
            taking_up: None,
            counts: LoopCounts::new(plain::REJECTED, plain::BYES, plain::LOST),
            reloaded: None,
            gathering: None,
            end: None,
            scratch: vec![0; limits::READ_CHUNK],
            memory: Vec::new(),
            ready: Vec::new(),
            system,
        }
    }

    /// The surroundings.
    pub fn system(&mut self) -> &mut S {
        &mut self.system
    }

    /// The core, to be looked at.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// How many connections there are, without places that are kept for who has none.
    pub fn connections(&self) -> usize {
        self.registry.iter().filter(|connection| connection.life() != Life::Kept).count()
    }

    /// Panics unless all that must hold between two turns holds: what is counted is right, and nobody who has something to do
    /// or to wait for is forgotten; for tests.
    pub fn check(&self) {
        self.registry.check();
        self.egress.check(&self.registry);
        assert!(self.records.is_empty() && self.effects.is_empty() && self.on_trial.is_empty());
        for (at, id) in &self.timers {
            let wake = self.registry.get(*id).and_then(Connection::wake);
            assert_eq!(wake, Some(*at), "a timer of {id:?} that means nothing");
        }
        for connection in self.registry.iter() {
            let id = connection.id();
            let queues = [&self.run_queue, &self.low_priority];
            let times: usize = queues.iter().map(|queue| queue.iter().filter(|&&other| other == id).count()).sum();
            assert_eq!(times, usize::from(connection.queued().run), "{id:?} is in the run queues");
            assert!(connection.wake().is_none_or(|at| self.timers.contains(&(at, id))), "{id:?} has no timer");
            let (life, pause) = (connection.life(), connection.pause());
            let is_minded = match (life, pause) {
                (Life::Active, None) => {
                    !connection.may_have_lines() && (!connection.is_readable() || connection.input_ended().is_some())
                }
                (Life::Arriving, _) => connection.wake().is_some() && self.arrivals.has(id),
                (Life::Active, Some(Pause::Rate)) | (Life::Lingering | Life::Kept | Life::Applying, _) => {
                    connection.wake().is_some()
                }
                (Life::Active, Some(Pause::Replies)) => !connection.outbox().is_empty(),
                (Life::Active, Some(Pause::Disk)) => self.held_by_disk.contains(&id),
                (Life::Active, Some(Pause::Answer)) => true,
                (Life::Active, Some(Pause::Account)) => self.hub.is_waiting(id),
                (Life::Draining | Life::Rejected, _) => {
                    !connection.is_written() || connection.queued().lists[List::Prompt as usize]
                }
            };
            assert!(is_minded || times > 0, "{id:?} is forgotten: {life:?}, {pause:?}");
            let place = connection.keep().map(|keep| self.places.get(&keep.token));
            assert!(place.is_none_or(|place| place == Some(&id)), "nobody can take up the place of {id:?}");
        }
        let is_once = |id| self.held_by_disk.iter().filter(|&other| other == id).count() == 1;
        assert!(self.held_by_disk.iter().all(is_once), "twice among those whom the disk holds back");
        let arriving = self.registry.iter().filter(|connection| connection.life() == Life::Arriving).count();
        assert_eq!(self.arrivals.len(), arriving, "nobody arrives");
        let kept = self.registry.iter().filter(|connection| connection.keep().is_some()).count();
        assert_eq!(self.places.len(), kept, "places of nobody");
    }

    /// Panics if anything is left to be done; for tests, when everybody has read all there is.
    pub fn check_at_rest(&self) {
        self.check();
        assert!(self.run_queue.is_empty() && self.low_priority.is_empty() && self.wanting.is_empty());
        assert!(self.egress.shared() == 0 || !self.places.is_empty(), "memory is held for nobody");
        for connection in self.registry.iter().filter(|connection| connection.life() != Life::Kept) {
            assert!(connection.outbox().is_empty(), "something is pending for {:?}", connection.id());
            assert!(
                connection.is_active() && connection.pause().is_none(),
                "{:?} is not at rest: {:?}",
                connection.id(),
                connection.pause()
            );
        }
    }

    /// Serves until a signal ends it.
    pub fn run(&mut self) -> io::Result<()> {
        while self.turn()? {}
        Ok(())
    }

    /// Waits until something is to be done, and does it; `false` when the server has ended.
    pub fn turn(&mut self) -> io::Result<bool> {
        let (timeout, mut ready) = (self.timeout(), std::mem::take(&mut self.ready));
        self.system.wait(timeout, &mut ready)?;
        let now = self.system.now();
        for Ready { slot, readiness } in ready.drain(..) {
            let Some(id) = self.registry.in_slot(slot) else { continue };
            let Some(connection) = self.registry.get_mut(id) else { continue };
            let was_blocked = connection.is_blocked();
            connection.note(readiness, now.at);
            let is_arriving = connection.life() == Life::Arriving;
            // The system says that it can be written of whoever can be read from too.
            if readiness.writable && !is_arriving && (was_blocked || !connection.is_on_fast_path()) {
                self.egress.hurry(connection);
            }
            if readiness.readable || readiness.closed || readiness.failed || is_arriving {
                self.run_soon(id);
            }
        }
        self.ready = ready;
        if self.heard_signals(now) {
            return Ok(false);
        }
        if self.system.heard_reload() {
            self.core(now, |hub, out| hub.heard_reload(out));
        }
        if self.system.is_woken() {
            self.hear_from_threads(now);
        }
        self.accept(now);
        self.core(now, |hub, out| hub.tick(now, out));
        self.run_timers(now);
        self.run_beats(now);
        let others = self.run_queue.len();
        for _ in 0..others {
            let Some(id) = self.run_queue.pop_front() else { break };
            self.serve(id, now);
            if self.egress.is_full() {
                self.write_log(now);
                self.flush_prompt(now);
                self.fan_out(now);
            } else if self.records.len() >= limits::RECORDS {
                self.write_log(now);
            }
        }
        self.serve_low_priority(others, now);
        self.hear_applicants(now);
        self.pump(now);
        self.write_log(now);
        self.flush(now);
        self.drop_stalled(now);
        self.system.note_people(self.hub.people());
        self.counts.turns.add(self.system.at() - now.at);
        Ok(self.end.is_none_or(|end| now.at < end && !self.is_all_done()))
    }

    /// Takes what the threads have for the loop.
    #[inline(never)]
    fn hear_from_threads(&mut self, now: Now) {
        while let Some(read) = self.system.reloaded() {
            self.reloaded = read.as_ref().ok().map(|_| now.wall).or(self.reloaded);
            let restored = self.core(now, |hub, out| hub.reloaded(now, read, out));
            let told: Vec<String> = restored.into_iter().map(|now| plain::deed(&Deed::Server(now)).0).collect();
            if !told.is_empty() {
                warn!("what operators had changed is as the options say again: {}", told.join(", "));
            }
        }
        while let Some(asker) = self.system.asker() {
            // Whoever asked may have gone meanwhile.
            let _ = asker.send(self.page());
        }
        self.hear_from_disk(now);
        while let Some(result) = self.system.password_result() {
            self.core(now, |hub, out| hub.password_did(now, result, out));
        }
        while let Some(entered) = self.system.entered() {
            self.core(now, |hub, out| hub.ledger_did(now, entered, out));
        }
        while let Some(found) = self.system.found() {
            self.core(now, |hub, out| hub.log_has(now, found, out));
        }
    }

    /// Whether nobody is left, and the disk has all that outlives this process.
    fn is_all_done(&self) -> bool {
        self.registry.is_empty() && (self.hub.settings().log.is_none() || self.hub.is_all_on_disk())
    }

    /// Calls the core, and then does what it asks for besides the lines that it sends.
    fn core<R>(&mut self, now: Now, call: impl FnOnce(&mut Hub, &mut Outgoing<'_, S::Stream>) -> R) -> R {
        let Self { hub, registry, egress, effects, .. } = self;
        let result = call(hub, &mut Outgoing { registry, egress, effects });
        if !self.egress.has_lagged() && self.effects.is_empty() {
            return result;
        }
        self.carry_out(now);
        result
    }

    /// Does what the core asked for. It stands apart, so that the code of a line for which nothing is asked stays together: after a
    /// silence the processor's caches have none of it.
    #[inline(never)]
    fn carry_out(&mut self, now: Now) {
        // The core must know of slow consumers before it does anything else, so that a burst cannot outrun the limit.
        for id in self.egress.take_lagged() {
            // It may have caught up meanwhile.
            if self.registry.get(id).is_some_and(Connection::is_lagging) {
                self.hub.lag(id);
            }
        }
        while let Some(effect) = self.effects.pop_front() {
            match effect {
                Effect::Log(record) => self.records.push(record),
                Effect::ReadLog(query) => self.queries.push(query),
                Effect::Disk(job) => self.system.job(job),
                Effect::Pump(id) => {
                    let is_there = self.registry.get_mut(id).is_some_and(|connection| {
                        connection.begin_to_fetch();
                        std::mem::replace(&mut connection.queued_mut().pump, true)
                    });
                    if !is_there {
                        self.wanting.push(id);
                    }
                }
                Effect::NoteNick(id) => self.note_nick(id),
                Effect::NoteWrongPassword(id) => self.note_guess(id, format_args!("a wrong password")),
                Effect::NoteWrongKey(id, room) => self.note_guess(id, format_args!("a wrong key of {room}")),
                Effect::NoteFailedLogin(id, nick) => self.note_guess(id, format_args!("login failed for {nick}")),
                Effect::NoteLapsed(names) => note_lapsed(&names),
                Effect::NoteAhead(span) => note_ahead(span),
                Effect::Reload => self.system.reload(),
                Effect::Password(task) => self.system.password(task),
                Effect::Ledger(entries) => self.system.enter(entries),
                Effect::Note(entries) => self.system.note(entries),
                Effect::Answered(id) => self.answered(id),
                Effect::PutOut(id) => self.put_out(id),
                Effect::UploadEnded(id) => self.upload_ended(id),
                Effect::Resume(id) => self.put_off(id),
                Effect::Keep { conn, lines } => self.keep(conn, lines),
                Effect::EndKeeping(id) => self.go_on_unkept(id),
                // Its lines are being carried out, and are to go with it.
                Effect::TakeUp { token, lines, .. } => self.taking_up = Some(TakeUp::new(token, lines)),
                Effect::Audit { conn, by, deed } => {
                    let by = match by {
                        Author::Person(nick) => nick,
                        Author::Server => Nick::server(),
                    };
                    // They may have gone meanwhile.
                    let place =
                        self.registry.get(conn).map_or("-".to_owned(), |connection| connection.peer().to_string());
                    let (words, text) = plain::deed(&deed);
                    self.system.audit(&format!("{by} {place} {words}"), text);
                }
                Effect::Where { conn, whom } => self.tell_where(conn, &whom, now),
                Effect::Metrics(id) => self.tell_metrics(id),
                Effect::Close { conn, bye } => {
                    self.note_end(conn, bye.as_ref().map_or("quit", |&(bye, _)| plain::bye_code(bye).as_str()));
                    if let (Some((bye, reason)), Some(connection)) = (bye, self.registry.get_mut(conn)) {
                        if let Bye::Blocked | Bye::GuestsBlocked { .. } = bye {
                            let peer = connection.peer();
                            let is_of_network =
                                bye != Bye::Blocked || self.hub.turns_away(peer.origin(), now) == Some(bye);
                            let why = if is_of_network { Refusal::Told(bye) } else { Refusal::Named };
                            self.refusals.note(peer, why, now.at);
                        }
                        if matches!(plain::bye_code(bye), Code::Full | Code::Refused | Code::Blocked) {
                            connection.refuse();
                        }
                        self.counts.byes.count(plain::bye_code(bye));
                        let event = reason.map_or(Event::Bye(bye), |reason| Event::Expelled { bye, reason });
                        self.egress.tell(connection, &event);
                    }
                    self.drain(conn, now);
                }
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let is_busy = !self.run_queue.is_empty()
            || !self.low_priority.is_empty()
            || !self.wanting.is_empty()
            || self.egress.is_busy();
        if is_busy {
            return Some(Duration::ZERO);
        }
        let now = self.system.at();
        let timer = self.timers.first().map(|(at, _)| *at);
        let log = self.system.next_log().map(|left| now + left);
        let beat = self.beats.peek().map(|Reverse((at, _))| *at);
        let times =
            [self.hub.next_alarm(), timer, beat, self.system.next_accept(), self.end, log, self.egress.next_fanout()];
        let next = times.into_iter().flatten().min()?;
        Some(next - now)
    }

    /// Hears of signals; `true` if the server is to end at once.
    fn heard_signals(&mut self, now: Now) -> bool {
        let count = self.system.signals();
        if count == 0 {
            return false;
        }
        if self.end.is_some() || count > 1 {
            info!("ending at once");
            return true;
        }
        info!("shutting down");
        self.end = Some(now.at + limits::SHUTDOWN);
        self.system.stop_accepting();
        for id in self.registry.ids() {
            // Who was rejected has been told goodbye already.
            if let Some(connection) = self.registry.get_mut(id).filter(|connection| connection.is_active()) {
                self.counts.byes.count(plain::bye_code(Bye::Shutdown));
                self.egress.tell(connection, &Event::Bye(Bye::Shutdown));
            }
            match self.registry.get(id).map(Connection::life) {
                Some(Life::Arriving) => self.end_arrival(id),
                Some(Life::Applying) => self.reject(id, now),
                _ => self.drain(id, now),
            }
        }
        false
    }

    /// Puts a connection into the run queue that is its own, unless it is in one.
    #[inline]
    fn run_soon(&mut self, id: ConnId) {
        if let Some(connection) = self.registry.get_mut(id)
            && !std::mem::replace(&mut connection.queued_mut().run, true)
        {
            let queue = if connection.is_low_priority() { &mut self.low_priority } else { &mut self.run_queue };
            queue.push_back(id);
        }
    }

    /// Serves the low-priority run queue, with a part of the time if there were any `others` in this turn.
    fn serve_low_priority(&mut self, others: usize, now: Now) {
        if self.low_priority.is_empty() {
            return;
        }
        let begun = self.system.at();
        if others > 0 && begun < self.low_priority_from {
            return;
        }
        let mut took = Duration::ZERO;
        for _ in 0..self.low_priority.len() {
            let Some(id) = self.low_priority.pop_front() else { break };
            self.serve(id, now);
            took = self.system.at() - begun;
            if took >= limits::LOW_PRIORITY_A_TURN || self.egress.is_full() {
                break;
            }
        }
        self.low_priority_from = begun + took * limits::LOW_PRIORITY_SHARE;
    }

    fn accept(&mut self, now: Now) {
        for _ in 0..limits::ACCEPTS_A_TURN {
            let Some(newcomer) = self.system.accept(now) else { break };
            self.counts.accepted += u64::from(!newcomer.peer.is_control());
            self.admit(newcomer, now);
        }
    }

    /// Admits a newcomer, or tells them why not.
    fn admit(&mut self, newcomer: Newcomer<S::Stream>, now: Now) {
        if newcomer.is_arriving {
            return self.await_arrival(newcomer, now);
        }
        let Newcomer { mut transport, peer, dialect, .. } = newcomer;
        if peer.is_control() {
            return self.admit_control(transport, dialect, now);
        }
        let admission = self.admission(peer, now);
        if let Admission::Refused(bye) = admission
            && self.registry.rejected() >= limits::REJECTED
        {
            // That is all that a storm of connections gets.
            return self.turn_away(transport, dialect.into(), Style::FIRST, bye);
        }
        if let Err(e) = self.system.register(&mut transport, self.registry.next_slot()) {
            return warn!("cannot set up a connection: {e}");
        }
        let id = self.registry.insert(transport, (peer, now.at), dialect, Life::Arriving);
        self.take_in(id, peer, admission, now);
    }

    /// Finds out what becomes of a peer who has come, and makes place for them if need be.
    fn admission(&mut self, peer: Peer, now: Now) -> Admission {
        let most = self.hub.settings().max_clients;
        if self.turned_away(peer, now).is_none() && self.registry.admitted() >= most - most / 16 {
            self.make_place(now);
        }
        match self.refusal(peer, now) {
            None => Admission::Admitted,
            Some(bye) if self.may_apply(peer, bye) => Admission::Heard,
            Some(bye) => {
                self.note_rejected(peer, bye, now);
                Admission::Refused(bye)
            }
        }
    }

    /// Nobody is let in from there, for this reason.
    pub(super) fn note_rejected(&mut self, peer: Peer, bye: Bye, now: Now) {
        self.counts.rejected.count(plain::bye_code(bye));
        self.refusals.note(peer, Refusal::Told(bye), now.at);
    }

    /// A connection has arrived, and this becomes of it.
    fn take_in(&mut self, id: ConnId, peer: Peer, admission: Admission, now: Now) {
        let what = match admission {
            Admission::Admitted => "admitted",
            Admission::Heard => "heard first",
            Admission::Refused(_) => "refused",
        };
        debug!("connection {id} from {}: {what}", peer.prefix());
        match admission {
            Admission::Admitted => {
                self.registry.set_life(id, Life::Active);
                self.welcome(id, peer, now);
            }
            Admission::Heard => {
                self.registry.set_life(id, Life::Applying);
                self.registry
                    .get_mut(id)
                    .into_iter()
                    .for_each(|connection| connection.wait_until(now.at + limits::APPLY));
                self.applicants.push(id);
                self.rearm(id, now);
                self.run_soon(id);
            }
            Admission::Refused(bye) => self.send_off(id, bye),
        }
    }

    /// Has the core take in a connection that is admitted.
    pub(super) fn welcome(&mut self, id: ConnId, peer: Peer, now: Now) {
        self.silent.push_back((now.at, id));
        if self.silent.len() > self.silent_most {
            let registry = &self.registry;
            self.silent.retain(|&(_, id)| registry.get(id).is_some_and(|connection| !connection.has_spoken()));
            self.silent_most = 2 * self.silent.len() + 64;
        }
        self.look_after(id, now);
        self.core(now, |hub, out| hub.connect(id, peer.origin(), peer.wire(), now, out));
        self.run_soon(id);
    }

    /// Admits somebody who came by the operator's door, which has places of its own.
    fn admit_control(&mut self, mut transport: S::Stream, dialect: u8, now: Now) {
        if self.registry.controls() >= limits::CONTROLS {
            return self.turn_away(transport, dialect.into(), Style::FIRST, Bye::ControlsTaken);
        }
        if let Err(e) = self.system.register(&mut transport, self.registry.next_slot()) {
            return warn!("cannot set up a connection: {e}");
        }
        let id = self.registry.insert(transport, (Peer::CONTROL, now.at), dialect, Life::Active);
        debug!("connection {id} by the operator's door");
        self.core(now, |hub, out| hub.connect_control(id, now, out));
        self.run_soon(id);
    }

    /// Says in the log who has tried something secret that was wrong.
    fn note_guess(&self, id: ConnId, what: fmt::Arguments<'_>) {
        if let Some(connection) = self.registry.get(id) {
            warn!("connection {id}: {what} from {}", connection.peer().prefix());
        }
    }

    /// Notes in the log who somebody is whose first line has come, or who is called otherwise since then. Of others it tells only who
    /// wants to know all.
    pub(super) fn note_nick(&self, id: ConnId) {
        let Some(connection) = self.registry.get(id) else { return };
        let (level, from) = (level_of(connection), connection.peer().prefix());
        match self.hub.nick_at(id) {
            Some(nick) => log!(level, "connection {id} from {from} is {nick}"),
            None => log!(level, "connection {id} from {from} is nobody yet"),
        }
    }

    /// Notes in the log how a connection ends.
    pub(super) fn note_end(&self, id: ConnId, how: &str) {
        if let Some(connection) = self.registry.get(id) {
            log!(level_of(connection), "connection {id} from {} is gone: {how}", connection.peer().prefix());
        }
    }

    /// Tells somebody why there is no place for them, if they can be told at once. Theirs is no connection of the registry.
    pub(super) fn turn_away(&mut self, mut transport: S::Stream, dialect: usize, style: Style, bye: Bye) {
        let line = self.egress.alone(dialect, transport.layer(), &Event::Bye(bye), style);
        let told = transport.write(line.as_bytes()).and_then(|_| transport.shut(Farewell::Refused));
        debug!("somebody is turned away: {}, {told:?}", plain::bye_code(bye).as_str());
        self.system.close(transport);
    }

    /// Tells through which connections somebody is here.
    fn tell_where(&mut self, id: ConnId, whom: &Whereabouts, now: Now) {
        let Whereabouts { nick, named, ref ways } = *whom;
        let way = |&(conn, wire): &(ConnId, Wire)| {
            let connection = self.registry.get(conn)?;
            let since = now.wall.checked_sub(now.at - connection.came()).unwrap_or(now.wall);
            Some(Detail::Way { nick, address: Text::new(&connection.peer().to_string()), wire, since, named })
        };
        let rows: Vec<Detail> = ways.iter().filter_map(way).collect();
        let Some(connection) = self.registry.get_mut(id) else { return };
        rows.iter().for_each(|row| self.egress.detail(connection, row));
        self.egress.reply(connection, Kind::Reply, &Reply::Done(Done::Where(nick)));
    }

    /// Tells the page of metrics, each line as a row.
    fn tell_metrics(&mut self, id: ConnId) {
        let page = self.page();
        let Some(connection) = self.registry.get_mut(id) else { return };
        let rows = page.lines().map(|line| Detail::Metric(Text::new(line)));
        rows.for_each(|row| self.egress.detail(connection, &row));
        self.egress.reply(connection, Kind::Reply, &Reply::Done(Done::Metrics(page.lines().count())));
    }

    /// The page of metrics as things are now.
    fn page(&self) -> String {
        let is_let_in = |connection: &Connection<S::Stream>| {
            matches!(connection.life(), Life::Active | Life::Draining) && !connection.peer().is_control()
        };
        let mut connections = [0; Layer::COUNT];
        for connection in self.registry.iter().filter(|connection| is_let_in(connection)) {
            connections[connection.layer() as usize] += 1;
        }
        let levels = Levels {
            core: self.hub.levels(),
            connections,
            pending: self.egress.pending(),
            log_waited: self.system.log_waited(),
            reloaded: self.reloaded,
            expires: self.system.certificate_expires(),
        };
        metrics::page(&levels, self.hub.counts(), self.egress.counts(), &self.counts)
    }

    /// Why a peer is not admitted, if that is so.
    pub(super) fn refusal(&self, peer: Peer, now: Now) -> Option<Bye> {
        self.turned_away(peer, now).or_else(|| self.is_full().then_some(Bye::Full))
    }

    /// Whether somebody who is not admitted for this reason is heard for a line: it may be who has a place here that is kept, or who owns
    /// a name.
    fn may_apply(&self, peer: Peer, bye: Bye) -> bool {
        let may_be_let_in = match bye {
            Bye::Blocked => false,
            Bye::TooOften => !self.places.is_empty() || self.hub.takes_logins(),
            _ => !self.places.is_empty(),
        };
        may_be_let_in && self.registry.hears_another_from(peer)
    }

    /// Whether a peer who applies may prove that they own a name: too many came from their network of late, and that is all that is
    /// against them.
    pub(super) fn may_prove(&self, peer: Peer, now: Now) -> bool {
        let is_too_often = self.hub.turns_away(peer.origin(), now) == Some(Bye::TooOften);
        let is_crowded = self.registry.is_crowded_from(peer, self.hub.settings().max_per_ip);
        is_too_often && !is_crowded && !self.is_full() && self.hub.takes_logins()
    }

    /// Why a peer is not admitted, if that is so, however many places are left.
    fn turned_away(&self, peer: Peer, now: Now) -> Option<Bye> {
        let is_crowded = || self.registry.is_crowded_from(peer, self.hub.settings().max_per_ip);
        self.hub.turns_away(peer.origin(), now).or_else(|| is_crowded().then_some(Bye::TooManyFromAddress))
    }

    /// Whether no place is left.
    fn is_full(&self) -> bool {
        self.registry.admitted() >= self.hub.settings().max_clients
    }

    /// Closes whoever came first of those who have never sent a line, and who have had the time for one.
    fn make_place(&mut self, now: Now) {
        while let Some(&(since, id)) = self.silent.front() {
            let connection = self.registry.get(id);
            let is_silent = connection.is_some_and(|connection| !connection.has_spoken() && connection.is_active());
            if is_silent && now.at < since + limits::FIRST_LINE {
                return;
            }
            self.silent.pop_front();
            if is_silent {
                self.core(now, |hub, out| hub.expel(id, now, Bye::MadePlace, out));
                // Others may have spoken in this turn.
                self.write_log(now);
                self.flush_one(id, now);
                // A farewell that is not taken at once is no reason to keep the place.
                if self.registry.get(id).is_some_and(|connection| connection.life() == Life::Draining) {
                    self.remove(id);
                }
                return;
            }
        }
    }

    fn hear_from_disk(&mut self, now: Now) {
        let mut heard = false;
        while let Some(outcome) = self.system.outcome() {
            heard = true;
            self.core(now, |hub, out| hub.disk_did(now, outcome, out));
        }
        if self.is_audit_behind && self.system.takes_deeds() {
            self.is_audit_behind = false;
            heard = true;
        }
        if heard && self.hub.disk_keeps_up() {
            for id in std::mem::take(&mut self.held_by_disk) {
                if let Some(connection) = self.registry.get_mut(id).filter(|c| c.pause() == Some(Pause::Disk)) {
                    connection.set_pause(None);
                    self.run_soon(id);
                }
            }
        }
    }

    fn run_timers(&mut self, now: Now) {
        while let Some(&(at, id)) = self.timers.first()
            && at <= now.at
        {
            self.timers.pop_first();
            let Some(connection) = self.registry.get_mut(id) else { continue };
            connection.disarm();
            connection.calm_down(now.at);
            if let Some(retry) = connection.retry(self.hub.settings().stall, now.at) {
                self.egress.hurry(connection);
                if retry == Retry::Last {
                    self.on_trial.push(id);
                }
            }
            self.run_soon(id);
        }
    }

    /// Looks after those who have been silent for long, where silence is to be found out here.
    fn run_beats(&mut self, now: Now) {
        while let Some(&Reverse((at, id))) = self.beats.peek()
            && at <= now.at
        {
            self.beats.pop();
            if let Some(connection) = self.registry.get_mut(id) {
                connection.queued_mut().beat = false;
                self.look_after(id, now);
            }
        }
    }

    /// Has a connection looked after when it has been silent for long, if that is to be found out here.
    fn look_after(&mut self, id: ConnId, now: Now) {
        let Some(connection) = self.registry.get_mut(id).filter(|connection| !connection.queued().beat) else { return };
        match self.egress.beat(connection, now.at) {
            Some(next) => {
                connection.queued_mut().beat = true;
                self.beats.push(Reverse((next, id)));
            }
            // It may have been found to be gone.
            None if connection.input_ended().is_some() => self.run_soon(id),
            None => {}
        }
    }

    /// Nothing more is read of a connection: it goes when all that is pending for it is written.
    fn drain(&mut self, id: ConnId, now: Now) {
        if self.registry.get(id).is_some_and(|connection| connection.life() == Life::Kept) {
            return self.remove(id);
        }
        if self.registry.get(id).is_some_and(Connection::is_active) {
            self.end_keeping(id);
            self.registry.set_life(id, Life::Draining);
            if let Some(connection) = self.registry.get_mut(id) {
                self.egress.hurry(connection);
            }
            self.rearm(id, now);
        }
    }

    /// Looks after a connection that has something to do: reads and carries out its lines, and minds its times.
    fn serve(&mut self, id: ConnId, now: Now) {
        let Some(connection) = self.registry.get_mut(id) else { return };
        connection.queued_mut().run = false;
        match connection.life() {
            Life::Arriving => self.serve_arriving(id, now),
            Life::Active => self.serve_active(id, now),
            Life::Applying => self.hear_applicant(id, now),
            Life::Kept => self.mind_place(id, now),
            Life::Rejected | Life::Draining => {}
            Life::Lingering => {
                if connection.is_over(now.at) || self.discard_input(id) {
                    return self.remove(id);
                }
            }
        }
        self.rearm(id, now);
    }

    fn remove(&mut self, id: ConnId) {
        self.end_keeping(id);
        let Some(connection) = self.registry.get_mut(id) else { return };
        if let Some(wake) = connection.disarm() {
            self.timers.remove(&(wake, id));
        }
        self.egress.discount(connection);
        if let Some(transport) = self.registry.remove(id).and_then(Connection::into_transport) {
            self.system.close(transport);
        }
    }

    /// Sets the time at which a connection must be looked at again, whatever else happens.
    fn rearm(&mut self, id: ConnId, now: Now) {
        let Some(connection) = self.registry.get_mut(id) else { return };
        if let Some((old, new)) = connection.rearm(self.hub.settings().stall, now.at) {
            old.map(|at| self.timers.remove(&(at, id)));
            new.map(|at| self.timers.insert((at, id)));
        }
    }
}

/// Says in the log whose names have lapsed: of very many the ledger has the rest.
fn note_lapsed(names: &[Nick]) {
    let (told, rest) = names.split_at(names.len().min(limits::LAPSES_NOTED));
    told.iter().for_each(|nick| info!("{nick} is nobody's name any more: its owner was not here for too long"));
    if !rest.is_empty() {
        info!("so are {} more; the lines `drop` of the ledger name them", rest.len());
    }
}

fn note_ahead(span: Duration) {
    let days = (span + limits::DAY / 2).as_secs() / limits::DAY.as_secs();
    warn!(
        "the clock went ahead by some {} that this server has not seen pass; names lapse as if it had not, until a restart",
        counted(days, "day")
    );
}
