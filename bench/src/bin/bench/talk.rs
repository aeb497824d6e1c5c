//! Talk in one room: a steady trickle, and as much as goes.

use std::time::{Duration, Instant};

use super::figures::Figures;
use super::host::{Host, Meter};
use super::load::{Flow, Load};
use super::roll::Roll;
use chinwag_bench::Outcome;

/// A room with its members, who have all come in and been heard once.
pub struct Room {
    /// Their connections.
    pub load: Load,
    /// What was said.
    pub roll: Roll,
    speakers: usize,
}

impl Room {
    /// Fills a room. The first `speakers` of the members each say a line, so that it is known how lines look.
    pub fn fill(host: &Host, members: usize, speakers: usize) -> Outcome<Self> {
        Self::of(Load::new(host.dialect)?, host, members, speakers)
    }

    /// The same, with connections to begin with.
    pub fn of(mut load: Load, host: &Host, members: usize, speakers: usize) -> Outcome<Self> {
        load.arrive(host, members)?;
        load.join(members)?;
        load.settle()?;
        let mut room = Self { load, roll: Roll::new(host.dialect, members, speakers), speakers };
        room.flat(1, speakers)?;
        Ok(room)
    }

    /// Says a line. Each is a write of its own, as with people's clients.
    fn say(&mut self, speaker: usize) -> Outcome<()> {
        self.roll.say(speaker, |who, line| self.load.say(who, line));
        self.load.flush()
    }

    /// Takes what comes until `until` at the latest. Says whether anything happened.
    fn turn(&mut self, until: Instant) -> Outcome<bool> {
        self.load.turn(until, |out, member, block, at| self.roll.take(out, member, block, at))
    }

    /// From this member on nobody reads any more.
    pub fn deafen(&mut self, from: usize) {
        self.load.deaf_from = from;
        self.roll.deafen(from);
    }

    /// Takes what comes until everybody has heard everything.
    fn finish(&mut self) -> Outcome<()> {
        if self.roll.under_way > 0 {
            self.load.until("for lines of the room", |out, member, block, at| {
                self.roll.take(out, member, block, at)?;
                Ok(if self.roll.under_way == 0 { Flow::Done } else { Flow::More })
            })?;
        }
        self.roll.complete()
    }

    /// Waits for what should not come any more, a line that is sent twice say.
    fn rest(&mut self) -> Outcome<()> {
        self.load.rest(|out, member, block, at| self.roll.take(out, member, block, at))
    }

    /// The speakers take turns with `rate` lines a second in all.
    pub fn steady(&mut self, rate: u32, lines: u32) -> Outcome<()> {
        let begin = Instant::now();
        for n in 0..lines {
            let due = begin + Duration::from_secs(1) * n / rate;
            while Instant::now() < due {
                self.turn(due)?;
            }
            self.say(n as usize % self.speakers)?;
        }
        self.finish()
    }

    /// Every speaker keeps `flight` lines under way, until `lines` were said in all. A line has arrived when everybody
    /// has it.
    pub fn flat(&mut self, flight: usize, lines: usize) -> Outcome<()> {
        let last = self.roll.said() + lines;
        self.roll.arrived.clear();
        for n in 0..lines.min(flight * self.speakers) {
            self.say(n % self.speakers)?;
        }
        while self.roll.under_way > 0 {
            self.load.until("for lines of the room", |out, member, block, at| {
                self.roll.take(out, member, block, at)?;
                Ok(if self.roll.arrived.is_empty() { Flow::More } else { Flow::Done })
            })?;
            for speaker in std::mem::take(&mut self.roll.arrived) {
                if self.roll.said() < last {
                    self.say(speaker)?;
                }
            }
        }
        self.roll.complete()
    }

    /// What `talk` costs in which `lines` are said, and how long they take.
    fn measure(&mut self, host: &Host, lines: usize, talk: impl FnOnce(&mut Self) -> Outcome<()>) -> Outcome<Figures> {
        let deliveries = lines * self.roll.listeners as usize;
        self.roll.times = Some(Vec::with_capacity(deliveries));
        let meter = Meter::start(host)?;
        talk(self)?;
        let spent = meter.stop(host)?;
        self.rest()?;
        let mut figures = Figures::new("µs a delivery", spent.each(deliveries as u64), spent);
        figures.add_times(&mut self.roll.times.take().unwrap_or_default());
        figures.add("million/s", deliveries as f64 / spent.wall.as_secs_f64() / 1e6);
        Ok(figures)
    }
}

/// A room of `members` in which ten people say `rate` lines a second, `lines` in all.
pub fn steady(host: &Host, members: usize, rate: u32, lines: u32) -> Outcome<Figures> {
    let mut room = Room::fill(host, members, 10)?;
    room.steady(rate, rate / 2)?;
    room.measure(host, lines as usize, |room| room.steady(rate, lines))
}

/// A room of `members` in which eight people keep sixteen lines each under way. The load toils so long for each read.
pub fn flat(host: &Host, members: usize, lines: usize, toil: Duration) -> Outcome<Figures> {
    let mut room = Room::fill(host, members, 8)?;
    room.load.toil = toil;
    room.flat(16, lines / 8)?;
    room.measure(host, lines, |room| room.flat(16, lines))
}

/// A room of `people` in which nobody says anything for so long.
pub fn idle(host: &Host, people: usize, time: Duration) -> Outcome<Figures> {
    let mut room = Room::fill(host, people, 1)?;
    room.load.settle()?;
    let (meter, before) = (Meter::start(host)?, host.wakeups()?);
    std::thread::sleep(time);
    let wakeups = host.wakeups()? - before;
    Ok(Figures::new("wakeups", wakeups as f64, meter.stop(host)?))
}
