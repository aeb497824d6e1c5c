//! What the loop needs of its surroundings: time, readiness, newcomers, signals, the disk and the log.
//!
//! The server runs over [`Os`]. Nothing in the loop knows that: whatever else keeps these promises can drive it, with
//! connections that are no sockets and a clock that is not the world's.

use crate::channel::Sender;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mio::{Events, Interest, Poll, Waker};
use rustix::time::{ClockId, clock_gettime};

use crate::connection::Readiness;
use crate::control::{self, ControlListener};
use crate::effect::{
    Entered, Found, Job, Outcome, PasswordResult, PasswordTask, PastFile, PastRoom, Query, Record, Reloaded,
};
use crate::event::{Keeping, Trouble};
use crate::home::{CONTROL, Home};
use crate::journal::{self, Journal};
use crate::ledger::{self, AuditLog, Ledger};
use crate::limits;
use crate::listener::{self, Carrier, Listeners, Opening, TOKENS, cannot, reason};
use crate::names::{PlaceToken, RoomName, Text};
use crate::passwords::Passwords;
use crate::peer::Peer;
use crate::register::{Entry, Register};
use crate::reload::{Anew, Reader, Reloads};
use crate::scrape::{MetricsDoor, Monitors};
use crate::settings::Settings;
use crate::signals::{self, Signals};
use crate::spool::{self, Spool};
use crate::supervisor::Supervisor;
use crate::time::{Day, Instant, Now, as_stamped};
use crate::transport::{Stream, Transport};

/// What became ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The slot of the connection.
    pub slot: usize,
    /// What the system says of it.
    pub readiness: Readiness,
}

/// Somebody who has come in.
pub struct Newcomer<T> {
    /// The connection, not registered yet.
    pub transport: T,
    /// Who is at the other end.
    pub peer: Peer,
    /// Which of the dialects is spoken where it came in.
    pub dialect: u8,
    /// Whether more of it must come before it may be admitted, see [`Transport::arrive`].
    pub is_arriving: bool,
}

/// The surroundings of the loop.
pub trait System {
    /// What carries a connection.
    type Stream: Transport;

    /// What time it is.
    fn now(&self) -> Now;

    /// The instant of it alone, which costs less.
    fn at(&self) -> Instant {
        self.now().at
    }

    /// How much processor time the loop's thread has had.
    fn worked(&self) -> Duration;

    /// Waits until something is to be done, at most for `timeout`, and says which connections are ready. The log, the disk,
    /// the listeners and signals are to be asked then.
    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;

    /// Whether a thread may have something for the loop that has not been asked for since: what the disk has done, what was looked up,
    /// what was read anew, or who wants the page of metrics.
    fn is_woken(&mut self) -> bool {
        true
    }

    /// Has [`System::wait`] tell of a connection by its slot.
    fn register(&mut self, stream: &mut Self::Stream, slot: usize) -> io::Result<()>;

    /// Has [`System::wait`] tell of a connection that is registered by another slot from now on, and once more of what is so.
    fn reregister(&mut self, stream: &mut Self::Stream, slot: usize) -> io::Result<()>;

    /// What nobody can guess.
    fn token(&mut self) -> io::Result<PlaceToken>;

    /// Closes a connection.
    fn close(&mut self, stream: Self::Stream);

    /// The next who comes in, if somebody waits.
    fn accept(&mut self, now: Now) -> Option<Newcomer<Self::Stream>>;

    /// When accepting is to be tried again; at once if somebody may be waiting.
    fn next_accept(&self) -> Option<Instant>;

    /// Whoever wants the page of metrics next.
    fn asker(&mut self) -> Option<Sender<String>> {
        None
    }

    /// So many people are online.
    fn note_people(&mut self, _: usize) {}

    /// Nobody else is let in.
    fn stop_accepting(&mut self);

    /// How many signals to end have come since this was last asked.
    fn signals(&mut self) -> usize;

    /// Whether a signal has come since this was last asked that asks for a reload.
    fn heard_reload(&mut self) -> bool {
        false
    }

    /// Has the configuration read anew.
    fn reload(&mut self);

    /// What was read next, or what is wrong with it. The rest of the surroundings has taken it by then.
    fn reloaded(&mut self) -> Option<Result<Reloaded, String>>;

    /// When the certificate expires that is shown to whoever comes in TLS, if there is one.
    fn certificate_expires(&self) -> Option<SystemTime> {
        None
    }

    /// Hands a job to the disk.
    fn job(&mut self, job: Job);

    /// What the disk has done next.
    fn outcome(&mut self) -> Option<Outcome>;

    /// Writes down what was said, before anybody hears it, and says what stands in the way of the log.
    fn log(&mut self, records: &[Record]) -> Option<Trouble>;

    /// How it stands with the log of a room since [`System::log`] was called, if that has changed.
    fn keeping(&mut self) -> Option<Keeping> {
        None
    }

    /// Has something looked up in the log. What was given to [`System::log`] in a later turn may be missing.
    fn ask(&mut self, query: Query);

    /// What the log has for the query that is answered next.
    fn found(&mut self) -> Option<Found>;

    /// Has a password looked at.
    fn password(&mut self, task: PasswordTask);

    /// What came of the password that was looked at next.
    fn password_result(&mut self) -> Option<PasswordResult>;

    /// Has entries written down in the ledger, and synced.
    fn enter(&mut self, entries: Vec<Entry>);

    /// Has entries written down in the ledger, for which nobody waits.
    fn note(&mut self, entries: Vec<Entry>);

    /// Returns when what was given to [`System::note`] and [`System::audit`] is written, or when that takes too long, and says what
    /// stands in the way of notes.
    fn settle_notes(&mut self) -> Option<Trouble> {
        None
    }

    /// What came of the entries that were given to [`System::enter`] next.
    fn entered(&mut self) -> Option<Entered>;

    /// Has it written down what an operator has done: who, from where, and what, with names alone, and their own words. Where nothing
    /// outlives the process, it stands in the log of that, without the latter.
    fn audit(&mut self, deed: &str, _: Option<&Text>) {
        log::info!("an operator's deed: {deed}");
    }

    /// Whether [`System::audit`] keeps up. While it does not, operators are to wait; a turn begins when it does again.
    fn takes_deeds(&self) -> bool {
        true
    }

    /// How long [`System::log`] and [`System::settle_notes`] have taken so far.
    fn log_waited(&self) -> Duration {
        Duration::ZERO
    }

    /// In how long [`System::log`] is to be called even if nothing is said.
    fn next_log(&self) -> Option<Duration>;
}

const WAKER: mio::Token = mio::Token(0);
const SIGNALS: mio::Token = mio::Token(1);
const NOTED: mio::Token = mio::Token(2);
const RELOAD: mio::Token = mio::Token(3);
/// Listeners and then connections are counted from here.
const FIRST: usize = 4;
/// What is to be told of a connection.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE).add(Interest::PRIORITY);
/// Events taken from the system at once.
const EVENTS: usize = 1024;

/// What is looked for now and then, as somebody may sweep it away: the operator's door, if there is one, and what is in the data folder.
struct Watch {
    door: Option<PathBuf>,
    /// When it is looked for again, once the loop is awake.
    next: std::time::Instant,
    /// Whether somebody is looking.
    is_asked: bool,
    /// Whether the log says that the door is gone.
    is_missed: bool,
    /// On which day it was last said whether the certificate is good.
    certificate: Day,
}

/// The operating system: sockets by mio, the disk and the log by threads.
pub struct Os {
    started: std::time::Instant,
    poll: Poll,
    events: Events,
    listeners: Listeners,
    /// While people are let in.
    watch: Option<Watch>,
    /// The doors of monitors, while people are let in.
    metrics: Option<MetricsDoor>,
    supervisor: Supervisor,
    signals: Signals,
    /// Signals that are only noted.
    noted: Signals,
    /// Signals that ask for a reload.
    hangups: Signals,
    /// Whether a thread has woken the loop, and it has not asked why.
    woken: bool,
    /// Whether a signal has come that nobody has asked about, of those that end the server, and of those that ask for a reload.
    signalled: bool,
    is_hung_up: bool,
    /// Whether the end of the terminal is to end the server.
    ends_with_terminal: bool,
    /// Whether a reload is under way.
    is_reloading: bool,
    reloads: Reloads,
    /// It holds the way to the spool, and so must go before it.
    jobs: Sender<Job>,
    /// The rooms' logs, if they are kept. It must go before the spool, which holds the lock of the folder.
    journal: Option<Journal>,
    /// Names and rules, if they are kept. They must go before the spool too.
    names: Option<(Ledger, Passwords)>,
    spool: Spool,
}

impl Os {
    /// Listens at `openings`, at `metrics` for monitors, and at `control` for operators, or in the data folder if that is not
    /// given. It keeps files in `home`. Rooms of an earlier process go to
    /// `restore`, the one unused for longest first, and its names and files are given back. An error is one of the system's, with what
    /// could not be done before it.
    pub fn open(
        openings: Vec<Opening>,
        metrics: Monitors,
        control: Option<PathBuf>,
        home: Home,
        settings: &Settings,
        reader: Reader,
        mut restore: impl FnMut(PastRoom),
    ) -> io::Result<(Self, Register, Vec<PastFile>)> {
        let starting = |e: io::Error| cannot("wait for connections", &e);
        let poll = Poll::new().map_err(starting)?;
        let mut early = Vec::new();
        let taken = listener::take(openings, &mut early)?;
        let for_metrics = |&address| Opening { address, carrier: Carrier::Plain, dialect: 0 };
        let taken_for_metrics = listener::take(metrics.addresses.iter().map(for_metrics).collect(), &mut early)?;
        // There may be only one, so each thread has a handle of the same.
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).map_err(starting)?);
        let (mut journal, mut names, mut register, mut files) = (None, None, Register::default(), Vec::new());
        let hold = home.hold().cloned();
        if let (Some(rooms), Some(ledger), Some(hold), Some(logging)) =
            (home.rooms(), home.ledger(), &hold, settings.log)
        {
            used_by_nobody(hold.dir())?;
            let reading = |folder: &Path, e: io::Error| cannot(&format!("read {}", folder.display()), &e);
            let (past, file) = ledger::load(&ledger, SystemTime::now(), settings.name_ttl)
                .map_err(|e| cannot(&format!("use {}", ledger.display()), &e))?;
            let file = file.held_by(hold);
            register = past;
            let audit = AuditLog::new(ledger.with_file_name("audit.log"), logging.max);
            let begun = Ledger::start(file, audit, logging.sync, Arc::clone(&waker))
                .and_then(|ledger| Ok((ledger, Passwords::start(Arc::clone(&waker))?)));
            names = Some(begun.map_err(|e| cannot("start the threads of the names", &e))?);
            let past = journal::load(rooms, settings.history, limits::ROOMS).map_err(|e| reading(rooms, e))?;
            let mut ends = BTreeMap::new();
            past.for_each(|room| {
                ends.insert(room.name, room.last_seq);
                restore(room);
            });
            warn_of_lost(&register, &ends);
            files = spool::load(home.spool(), home.next_id()).map_err(|e| reading(home.spool(), e))?;
            let begun = Journal::start(rooms.to_owned(), Some(Arc::clone(hold)), logging, Arc::clone(&waker));
            journal = Some(begun.map_err(|e| cannot("start the threads of the logs", &e))?);
        }
        let in_data = home.control();
        let reloads = Reloads::start(reader, hold.clone(), Arc::clone(&waker))
            .map_err(|e| cannot("start the thread of reloads", &e))?;
        let spool = Spool::start(home, Arc::clone(&waker)).map_err(|e| cannot("start the thread of the files", &e))?;
        let jobs = spool.jobs().ok_or(io::ErrorKind::NotConnected)?;
        // From here on nobody waits for long, and signals are heard by the loop.
        let ends_with_terminal = signals::ends_with_terminal();
        let signals = Signals::open(poll.registry(), SIGNALS, signals::OF_THE_END).map_err(starting)?;
        let noted = Signals::open(poll.registry(), NOTED, signals::OF_NOTE).map_err(starting)?;
        let hangups = Signals::open(poll.registry(), RELOAD, [signals::OF_A_RELOAD]).map_err(starting)?;
        let path = control.clone().or(in_data.clone());
        let control = open_control(control, in_data)?;
        let (started, events) = (std::time::Instant::now(), Events::with_capacity(EVENTS));
        let has_something = path.is_some() || hold.is_some();
        let watch = has_something.then(|| Watch {
            is_missed: control.is_none(),
            door: path,
            next: started,
            is_asked: false,
            certificate: Day::of(SystemTime::now()),
        });
        let metrics = MetricsDoor::open(taken_for_metrics.wait_at()?, metrics.origins, &waker).map_err(starting)?;
        let listeners = Listeners::open(taken, control, poll.registry(), FIRST)?;
        let (woken, signalled, is_hung_up) = (false, false, false);
        let os = Self {
            started,
            poll,
            events,
            listeners,
            watch,
            metrics: Some(metrics),
            supervisor: Supervisor::of_environment(),
            signals,
            noted,
            hangups,
            woken,
            signalled,
            is_hung_up,
            ends_with_terminal,
            is_reloading: false,
            reloads,
            jobs,
            journal,
            names,
            spool,
        };
        Ok((os, register, files))
    }

    /// Has made anew what is gone of what nobody else would miss. While nobody says anything, nobody looks.
    fn look_around(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        if let Some(looked) = watch.is_asked.then(|| self.reloads.looked()).flatten() {
            watch.is_asked = false;
            let made = looked.map(|made| self.listeners.replace_control(made?, self.poll.registry(), FIRST));
            let door = watch.door.as_deref().unwrap_or(Path::new("")).display();
            match made {
                None => {}
                Some(Ok(had)) => {
                    match had {
                        true => log::warn!("{door}, the operator's door was gone; it is made anew"),
                        false => {
                            log::warn!("{door}, the operator's door, is open now; chinwag ctl reaches this server")
                        }
                    }
                    watch.is_missed = false;
                }
                Some(Err(e)) if !std::mem::replace(&mut watch.is_missed, true) => {
                    log::warn!(
                        "{door}, the operator's door is gone and cannot be made anew: {e}; chinwag ctl does not reach this server"
                    );
                }
                Some(Err(_)) => {}
            }
        }
        let now = std::time::Instant::now();
        if now >= watch.next && !watch.is_asked {
            (watch.next, watch.is_asked) = (now + limits::LOOK_AROUND, true);
            // A disk may take its time to say what is there.
            let (wall, certificate) = (SystemTime::now(), self.listeners.certificate());
            if std::mem::replace(&mut watch.certificate, Day::of(wall)) != Day::of(wall)
                && let Some(warning) = certificate.as_ref().and_then(|certificate| certificate.warning(wall))
            {
                log::warn!("the certificate that is shown {warning}");
            }
            self.reloads.look(watch.door.as_deref(), certificate);
            self.names.iter().for_each(|(ledger, _)| ledger.look());
        }
    }

    /// Where it listens, with the ports that were picked, and what comes in there.
    pub fn addresses(&self) -> io::Result<Vec<(SocketAddr, &Carrier)>> {
        self.listeners.addresses()
    }

    /// What is told to the service manager.
    pub fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Where monitors fetch the metrics.
    pub fn metrics_addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.metrics.as_ref().map_or(Ok(Vec::new()), MetricsDoor::addresses)
    }
}

/// What would keep [`Os::open`] from using the data folder `dir`, which [`Home::look`] has found to be well. What it would set aside
/// is told, and nothing is made or changed.
pub fn look(dir: &Path, settings: &Settings) -> io::Result<()> {
    let [ledger, rooms, spool] = ["ledger", "rooms", "spool"].map(|name| dir.join(name));
    let register = ledger::look(&ledger, SystemTime::now(), settings.name_ttl)
        .map_err(|e| cannot(&format!("use {}", ledger.display()), &e))?;
    // What it says of what stands in its place is to be said here too.
    drop(AuditLog::new(dir.join("audit.log"), 0));
    let look_at_rooms = |folder: &Path| {
        let ends = journal::look(folder, settings.history, limits::ROOMS)?;
        warn_of_lost(&register, &ends.into_iter().collect());
        Ok(())
    };
    let look_at_files = |folder: &Path| {
        let (files, now) = (spool::look(folder)?, SystemTime::now());
        let goes = |PastFile { description, digest, .. }: &PastFile| {
            let is_over = now.duration_since(description.at).is_ok_and(|age| age >= settings.file_ttl);
            (is_over && digest.is_some()) || description.size > settings.spool
        };
        if files.iter().any(goes) || files.iter().map(|file| file.len).sum::<u64>() > settings.spool {
            log::warn!(
                "some of the files in {} go with a start, as they do not fit or their time is over",
                folder.display()
            );
        }
        Ok(())
    };
    for (folder, look) in [(rooms, &look_at_rooms as &dyn Fn(&Path) -> io::Result<()>), (spool, &look_at_files)] {
        if folder.exists() {
            look(&folder).map_err(|e| cannot(&format!("read {}", folder.display()), &e))?;
        }
    }
    Ok(())
}

/// Says of which rooms the ledger knows more than the logs have. It has the numbers of messages that were taken back, which are given to
/// no other.
fn warn_of_lost(register: &Register, ends: &BTreeMap<RoomName, u64>) {
    for (room, rules) in register.rooms().filter(|(_, rules)| !rules.is_forgotten()) {
        let (end, erased) = (ends.get(room).copied(), rules.last_erased());
        // A guests' room without a log is made anew by whoever comes.
        if end.unwrap_or(0) < erased && (end.is_some() || !rules.is_of_guests()) {
            let has = end.map_or("has no message".to_owned(), |end| format!("ends with message {end}"));
            let next = erased + 1;
            log::warn!(
                "the log of {room} {has}, and the ledger knows of messages up to {erased}: some of it is lost, or it is an older one; the \
                 next message is {next}"
            );
        }
    }
}

/// What would keep [`Os::open`] from opening the operator's door at `path`, but that another server listens there; its folder is the
/// data folder `data`, say, which is made before it. Nothing is changed.
pub fn look_at_control(path: &Path, data: Option<&Path>) -> io::Result<()> {
    match path.parent() {
        Some(folder) if data == Some(folder) && !folder.exists() => Ok(()),
        _ => ControlListener::look(path).map_err(|e| cannot_open(path, &e)),
    }
}

/// Says that [`Os::open`] could not open the operator's door in the data folder `dir`, if that is so.
pub fn look_at_own_control(dir: &Path) {
    if let Err(e) = look_at_control(&dir.join(CONTROL), Some(dir)) {
        warn_of_no_control(&e);
    }
}

fn warn_of_no_control(e: &io::Error) {
    log::warn!("{}; the server tries again, and until that works chinwag ctl does not reach it", reason(e));
}

/// An error if another server has its door in this data folder, which holds no lock of it any more.
fn used_by_nobody(dir: &Path) -> io::Result<()> {
    let path = dir.join(CONTROL);
    match control::connect(&path) {
        Ok(_) => Err(io::Error::other(format!(
            "cannot use {}: another chinwag is there, whose operators come in by {}; end that one, or give each a folder of its own",
            dir.display(),
            path.display()
        ))),
        Err(_) => Ok(()),
    }
}

fn cannot_open(path: &Path, e: &io::Error) -> io::Error {
    let cannot = cannot(&format!("open the operator's door {}", path.display()), e);
    let hint = match e.kind() {
        io::ErrorKind::NotFound => "; make its folder first, or give another path",
        io::ErrorKind::PermissionDenied if path.symlink_metadata().is_ok() => {
            "; another user's server has left it there, or uses it; end that, or remove it"
        }
        io::ErrorKind::PermissionDenied => "; let the user that the server runs as write into its folder",
        _ => "",
    };
    io::Error::new(e.kind(), format!("{cannot}{hint}"))
}

/// Opens the operator's door where they want it, or else in the data folder. People can talk without the latter.
fn open_control(wanted: Option<PathBuf>, in_data: Option<PathBuf>) -> io::Result<Option<ControlListener>> {
    if let Some(path) = wanted {
        return ControlListener::open(&path).map(Some).map_err(|e| cannot_open(&path, &e));
    }
    let Some(path) = in_data else { return Ok(None) };
    match ControlListener::open(&path) {
        Ok(door) => Ok(Some(door)),
        Err(e) => {
            warn_of_no_control(&cannot_open(&path, &e));
            Ok(None)
        }
    }
}

impl System for Os {
    type Stream = Stream;

    fn now(&self) -> Now {
        Now { at: self.at(), wall: as_stamped(SystemTime::now()) }
    }

    fn at(&self) -> Instant {
        Instant::START + self.started.elapsed()
    }

    fn worked(&self) -> Duration {
        // It is never negative.
        clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
    }

    fn wait(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let timeout = timeout.into_iter().chain(self.supervisor.left()).min();
        match self.poll.poll(&mut self.events, timeout) {
            // What was there before is there still, but nothing is new.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            done => done?,
        }
        for event in &self.events {
            let mio::Token(n) = event.token();
            self.woken |= event.token() == WAKER;
            self.signalled |= event.token() == SIGNALS;
            self.is_hung_up |= event.token() == RELOAD && self.hangups.take() > 0;
            if event.token() == NOTED && self.noted.take() > 0 {
                log::info!(
                    "SIGUSR1 and SIGUSR2 change nothing; SIGHUP has the configuration read anew, SIGTERM ends the server"
                );
            }
            if let (NOTED | RELOAD, Some(watch)) = (event.token(), &mut self.watch) {
                watch.next = std::time::Instant::now();
            }
            let Some(n) = n.checked_sub(FIRST) else { continue };
            let Some(slot) = n.checked_sub(TOKENS) else {
                self.listeners.set_ready(n);
                continue;
            };
            let readiness = Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                closed: event.is_read_closed(),
                failed: event.is_error(),
                urgent: event.is_priority(),
            };
            ready.push(Ready { slot, readiness });
        }
        self.look_around();
        self.supervisor.tell_due();
        Ok(())
    }

    fn is_woken(&mut self) -> bool {
        std::mem::take(&mut self.woken)
    }

    fn register(&mut self, stream: &mut Stream, slot: usize) -> io::Result<()> {
        self.poll.registry().register(stream, mio::Token(FIRST + TOKENS + slot), INTEREST)
    }

    fn reregister(&mut self, stream: &mut Stream, slot: usize) -> io::Result<()> {
        self.poll.registry().reregister(stream, mio::Token(FIRST + TOKENS + slot), INTEREST)
    }

    fn token(&mut self) -> io::Result<PlaceToken> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(PlaceToken(u128::from_ne_bytes(bytes)))
    }

    fn close(&mut self, mut stream: Stream) {
        if let Err(e) = self.poll.registry().deregister(&mut stream) {
            log::debug!("a connection cannot be deregistered: {e}");
        }
        // A descriptor is free again.
        self.listeners.try_soon();
    }

    fn accept(&mut self, now: Now) -> Option<Newcomer<Stream>> {
        let (transport, peer, dialect) = self.listeners.accept(now.at)?;
        let is_arriving = matches!(transport, Stream::Proxied(..) | Stream::Tls(_) | Stream::Web(_));
        Some(Newcomer { transport, peer, dialect, is_arriving })
    }

    fn next_accept(&self) -> Option<Instant> {
        self.listeners.next_try()
    }

    fn note_people(&mut self, people: usize) {
        self.supervisor.note_people(people);
    }

    fn asker(&mut self) -> Option<Sender<String>> {
        self.metrics.as_ref()?.asker()
    }

    fn stop_accepting(&mut self) {
        if self.watch.take().is_some() {
            self.reloads.look(None, self.listeners.certificate());
        }
        self.listeners.close();
        self.metrics = None;
        self.supervisor.stopping();
    }

    fn signals(&mut self) -> usize {
        let count = if std::mem::take(&mut self.signalled) { self.signals.take() } else { 0 };
        // Some terminals are taken away only after the signal that tells of it.
        let is_hung_up = self.ends_with_terminal && (self.is_hung_up || self.is_reloading);
        if !is_hung_up || signals::has_terminal() {
            return count;
        }
        log::info!("the terminal was closed");
        (self.ends_with_terminal, self.is_hung_up) = (false, false);
        count + 1
    }

    fn heard_reload(&mut self) -> bool {
        std::mem::take(&mut self.is_hung_up)
    }

    fn reload(&mut self) {
        self.supervisor.reloading();
        self.is_reloading = true;
        self.reloads.ask();
    }

    fn reloaded(&mut self) -> Option<Result<Reloaded, String>> {
        let read = self.reloads.results().next()?;
        self.is_reloading = false;
        match &read {
            Ok(Anew { what: Reloaded { settings, restart, .. }, certificate, proxies, origins }) => {
                self.listeners.replace_origins(origins);
                self.metrics.iter().for_each(|door| door.replace_origins(origins));
                certificate.iter().for_each(|certificate| self.listeners.replace_certificate(certificate));
                self.listeners.replace_proxies(proxies);
                if let Some(logging) = settings.log {
                    self.journal.iter().for_each(|journal| journal.set(logging));
                    self.names.iter().for_each(|(ledger, _)| ledger.set(logging));
                }
                log::info!("the configuration is read anew");
                if !restart.is_empty() {
                    log::warn!("a restart takes what has changed of these: {}", restart.join(", "));
                }
            }
            Err(why) => log::error!("the configuration cannot be read anew, and stays as it was: {why}"),
        }
        self.supervisor.ready();
        Some(read.map(|anew| anew.what))
    }

    fn certificate_expires(&self) -> Option<SystemTime> {
        self.listeners.certificate()?.expires()
    }

    fn job(&mut self, job: Job) {
        // The spool's thread lives as long as this does; without it every transfer is dead anyway.
        if self.jobs.send(job).is_err() {
            log::error!("the spool is gone: files cannot be shared any more");
        }
    }

    fn outcome(&mut self) -> Option<Outcome> {
        self.spool.outcomes().next()
    }

    fn log(&mut self, records: &[Record]) -> Option<Trouble> {
        let journal = self.journal.as_mut()?;
        if !records.is_empty() {
            journal.write(records);
        }
        journal.trouble()
    }

    fn keeping(&mut self) -> Option<Keeping> {
        self.journal.as_mut()?.keeping()
    }

    fn ask(&mut self, query: Query) {
        if let Some(journal) = &self.journal {
            journal.ask(query);
        }
    }

    fn found(&mut self) -> Option<Found> {
        self.journal.as_ref()?.found().next()
    }

    fn password(&mut self, task: PasswordTask) {
        if let Some((_, passwords)) = &self.names {
            passwords.look_at(task);
        }
    }

    fn password_result(&mut self) -> Option<PasswordResult> {
        self.names.as_ref()?.1.results().next()
    }

    fn enter(&mut self, entries: Vec<Entry>) {
        if let Some((ledger, _)) = &self.names {
            ledger.write(&entries);
        }
    }

    fn note(&mut self, entries: Vec<Entry>) {
        if let Some((ledger, _)) = &mut self.names {
            ledger.note(&entries);
        }
    }

    fn settle_notes(&mut self) -> Option<Trouble> {
        let (ledger, _) = self.names.as_mut()?;
        ledger.settle();
        ledger.trouble()
    }

    fn entered(&mut self) -> Option<Entered> {
        self.names.as_ref()?.0.outcomes().next()
    }

    fn audit(&mut self, deed: &str, text: Option<&Text>) {
        match &mut self.names {
            Some((ledger, _)) => ledger.audit(SystemTime::now(), deed, text.map_or("", Text::as_str)),
            None => log::info!("an operator's deed: {deed}"),
        }
    }

    fn takes_deeds(&self) -> bool {
        self.names.as_ref().is_none_or(|(ledger, _)| ledger.takes_deeds())
    }

    fn log_waited(&self) -> Duration {
        let journal = self.journal.as_ref().map(Journal::waited);
        journal.unwrap_or_default() + self.names.as_ref().map(|(ledger, _)| ledger.waited()).unwrap_or_default()
    }

    fn next_log(&self) -> Option<Duration> {
        let journal = self.journal.as_ref().and_then(Journal::next_look);
        let ledger = self.names.as_ref().and_then(|(ledger, _)| ledger.next_look());
        journal.into_iter().chain(ledger).min()
    }
}
