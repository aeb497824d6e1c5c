//! How long the lines of a room take: by itself, while others fetch and upload files as fast as it goes, while one
//! in a hundred does not read, and while handshakes of TLS are begun and never finished.
//!
//! Who moves the files, or begins the handshakes, is a process of its own, which gets only the time of the core that the people of the room leave,
//! so that what is measured is the server and not those who wait for it.

use std::io::{BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Registry, Token};

use super::figures::Figures;
use super::file::{BLOCK, Get, enter, upload, wait_for};
use super::host::{Host, Meter};
use super::load::Load;
use super::roll::percentile;
use super::talk::Room;
use super::wire::hello;
use chinwag_bench::{Outcome, connect, failed, raise_limit};

/// Lines that are said a second.
const RATE: u32 = 50;
/// Blocks in each file: 20 MB.
const BLOCKS: u64 = 1_700;
/// So many handshakes are begun at once.
const HALF: usize = 2_000;
/// So many fetch.
const FETCHERS: usize = 4;

/// A room of `members` in which `lines` are said each time.
pub fn latency(host: &Host, members: usize, lines: u32) -> Outcome<Figures> {
    let mut load = Load::new(host.dialect)?;
    let deaf = members - (members / 100).max(1);
    load.small_from = deaf;
    let mut room = Room::of(load, host, members, 10)?;
    let meter = Meter::start(host)?;
    let calm = measure(&mut room, lines)?;
    let movers = Others::start("--files", host.address)?;
    let busy = measure(&mut room, lines)?;
    let [fetched, uploaded] = movers.stop()?;
    room.load.settle()?;
    room.deafen(deaf);
    // What they do not read fills the kernel's buffers first. Only then does it wait in the server.
    room.flat(16, 2000)?;
    let beside_deaf = measure(&mut room, lines)?;
    let mut figures = Figures::new("× p99 with files", busy.1 / calm.1, meter.stop(host)?);
    figures.add("× p99 with deaf", beside_deaf.1 / calm.1);
    figures.add("p50 ms", calm.0);
    figures.add("p99 ms", calm.1);
    figures.add("p50 ms with files", busy.0);
    figures.add("p99 ms with files", busy.1);
    figures.add("p50 ms with deaf", beside_deaf.0);
    figures.add("p99 ms with deaf", beside_deaf.1);
    figures.add("MB/s fetched", fetched);
    figures.add("MB/s uploaded", uploaded);
    Ok(figures)
}

/// A room of `members` in which `lines` are said each time, by itself and beside handshakes that stop half way.
pub fn beside_handshakes(host: &Host, members: usize, lines: u32) -> Outcome<Figures> {
    let mut room = Room::fill(host, members, 10)?;
    let meter = Meter::start(host)?;
    let calm = measure(&mut room, lines)?;
    let others = Others::start("--half-handshakes", host.address)?;
    let busy = measure(&mut room, lines)?;
    let [begun] = others.stop()?;
    let mut figures = Figures::new("× p99 with handshakes", busy.1 / calm.1, meter.stop(host)?);
    figures.add("p50 ms", calm.0);
    figures.add("p99 ms", calm.1);
    figures.add("p50 ms with handshakes", busy.0);
    figures.add("p99 ms with handshakes", busy.1);
    figures.add("handshakes begun a second", begun);
    Ok(figures)
}

/// The median and the 99th percentile in milliseconds.
fn measure(room: &mut Room, lines: u32) -> Outcome<(f64, f64)> {
    room.steady(RATE, RATE / 4)?;
    room.roll.times = Some(Vec::new());
    room.steady(RATE, lines)?;
    let mut times = room.roll.times.take().unwrap_or_default();
    Ok((percentile(&mut times, 0.5), percentile(&mut times, 0.99)))
}

/// The other process. It is killed when this goes.
struct Others {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Others {
    /// Starts it to do what this option says, and waits until it has begun.
    fn start(what: &str, server: SocketAddr) -> Outcome<Self> {
        let own = std::env::current_exe().map_err(failed("this program's path"))?;
        let mut command = Command::new("chrt");
        command.args(["--idle", "0"]).arg(own).args([what, &server.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed("chrt"))?;
        let answers = BufReader::new(child.stdout.take().ok_or("the others say nothing")?);
        let mut movers = Self { child, answers };
        wait_for(&mut movers.answers, "running")?;
        Ok(movers)
    }

    /// Ends it. How fast it was, by its own count.
    fn stop<const N: usize>(mut self) -> Outcome<[f64; N]> {
        drop(self.child.stdin.take());
        let line = wait_for(&mut self.answers, "done ")?;
        let mut figures = line.split_whitespace().skip(1).filter_map(|figure| figure.parse().ok());
        Ok([(); N].map(|()| figures.next().unwrap_or_default()))
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// That process: four fetch a file over and over, and one uploads, until standard input ends.
pub fn files(server: SocketAddr) -> Outcome<()> {
    static FETCHED: AtomicU64 = AtomicU64::new(0);
    static UPLOADED: AtomicU64 = AtomicU64::new(0);
    let (tell, told) = channel();
    let mut sharer = enter(server, "#files")?;
    let (id, last) = upload(&mut sharer, "#files", BLOCKS)?;
    let fetchers = (0..FETCHERS).map(|_| enter(server, "#files")).collect::<Outcome<Vec<_>>>()?;
    for mut stream in fetchers {
        // Each hears the others come, but nothing more after this.
        writeln!(stream, "/ping").map_err(failed("asking"))?;
        wait_for(&mut BufReader::with_capacity(1, &stream), "+ ping")?;
        let mut get = Get::new(stream, &id, BLOCKS, last.clone());
        let tell = tell.clone();
        std::thread::spawn(move || {
            loop {
                let done = get.run();
                FETCHED.fetch_add(1, Relaxed);
                if tell.send(done.clone()).is_err() || done.is_err() {
                    return;
                }
            }
        });
    }
    let mut uploader = enter(server, "#uploads")?;
    std::thread::spawn(move || {
        loop {
            let done = upload(&mut uploader, "#uploads", BLOCKS).and_then(|(id, _)| {
                writeln!(uploader, "/cancel {id}").map_err(failed("withdrawing"))?;
                wait_for(&mut BufReader::with_capacity(1, &uploader), "+ cancel ")
            });
            UPLOADED.fetch_add(1, Relaxed);
            if let Err(message) = done {
                let _ = tell.send(Err(message));
                return;
            }
        }
    });
    for _ in 0..FETCHERS {
        told.recv().map_err(failed("those who fetch"))??;
    }
    let (begin, fetched, uploaded) = (Instant::now(), FETCHED.load(Relaxed), UPLOADED.load(Relaxed));
    println!("running");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let rate =
        |from: u64, to: u64| (to - from) as f64 * BLOCKS as f64 * BLOCK as f64 / begin.elapsed().as_secs_f64() / 1e6;
    let (fetched, uploaded) = (rate(fetched, FETCHED.load(Relaxed)), rate(uploaded, UPLOADED.load(Relaxed)));
    told.try_iter().collect::<Outcome<Vec<()>>>()?;
    println!("done {fetched} {uploaded}");
    Ok(())
}

/// The other process of handshakes: two thousand connections each say how a handshake begins, and nothing more. Whoever the server puts
/// out for another begins anew, until standard input ends.
pub fn half_handshakes(server: SocketAddr) -> Outcome<()> {
    raise_limit(2 * HALF as u64)?;
    static ENDED: AtomicBool = AtomicBool::new(false);
    let hello = hello()?;
    let mut poll = Poll::new().map_err(failed("epoll"))?;
    let mut events = Events::with_capacity(HALF);
    let knock = |n: usize, registry: &Registry| {
        let mut stream = connect(server, n, None).map_err(failed("a connection"))?;
        stream.write_all(&hello).map_err(failed("a handshake"))?;
        registry.register(&mut stream, Token(n), Interest::READABLE).map_err(failed("epoll"))?;
        Ok(stream)
    };
    let mut streams = (0..HALF).map(|n| knock(n, poll.registry())).collect::<Outcome<Vec<_>>>()?;
    println!("running");
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ENDED.store(true, Relaxed);
    });
    let (since, mut begun) = (Instant::now(), 0_u32);
    while !ENDED.load(Relaxed) {
        poll.poll(&mut events, Some(Duration::from_millis(100))).map_err(failed("epoll"))?;
        for event in events.iter().filter(|event| event.is_read_closed() || event.is_error()) {
            let Token(n) = event.token();
            streams[n] = knock(n, poll.registry())?;
            begun += 1;
        }
    }
    println!("done {}", f64::from(begun) / since.elapsed().as_secs_f64());
    Ok(())
}
