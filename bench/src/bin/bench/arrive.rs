//! People who come in, who join one room all at once, and who then do nothing.

use std::time::{Duration, Instant};

use super::dialect::{Dialect, bearer, lines, name, numeric};
use super::figures::Figures;
use super::host::{Host, Meter};
use super::load::{Flow, Load, Out};
use chinwag_bench::Outcome;

/// So many connect and take a name, and send `besides` with it; then they do nothing for as long as `rest`.
pub fn connect(host: &Host, count: usize, besides: &'static str, rest: Duration) -> Outcome<Figures> {
    let nobody = host.resident()?;
    let meter = Meter::start(host)?;
    let mut load = Load::new(host.dialect)?;
    load.besides = besides;
    load.arrive(host, count)?;
    let arrived = meter.stop(host)?;
    // What people are told of those who came last belongs to it too.
    load.settle()?;
    let settled = meter.stop(host)?;
    std::thread::sleep(rest);
    let all = host.resident()?;
    let mut figures = Figures::new("µs each", settled.each(count as u64), arrived);
    figures.add("a second", 1e6 / settled.each(count as u64));
    figures.add("s", arrived.wall.as_secs_f64());
    figures.add("people", count as f64);
    figures.add("bytes each", all.saturating_sub(nobody) as f64 / count as f64);
    figures.add("MB with nobody", nobody as f64 / 1e6);
    figures.add("MB with all", all as f64 / 1e6);
    Ok(figures)
}

/// Who has been seen by whom.
struct Seen {
    count: usize,
    /// One flag for each pair.
    pairs: Vec<bool>,
    /// How many each was told were there, itself included, when it came in.
    found: Vec<usize>,
    /// Whether each is in.
    joined: Vec<bool>,
    /// Those that are still to be seen, over all.
    due: usize,
}

impl Seen {
    /// One sees another come; an error if it had seen it before.
    fn see(&mut self, who: usize, other: Option<usize>) -> Outcome<()> {
        let other = other.filter(|other| *other < self.count).ok_or("somebody unknown is seen")?;
        if std::mem::replace(&mut self.pairs[who * self.count + other], true) {
            return Err(format!("{} sees {} twice", name(who), name(other)));
        }
        self.due -= 1;
        Ok(())
    }

    /// Takes a line in plain words. How many were there before is all that one is told of them.
    fn plain(&mut self, who: usize, line: &[u8]) -> Outcome<bool> {
        let event = line.strip_prefix(b"#room * ").and_then(|event| event.strip_suffix(b" joined"));
        if let Some(nick) = event {
            return self.see(who, bearer(nick)).map(|()| true);
        }
        let Some(count) = line.strip_prefix(b"+ join #room ") else { return Ok(line.starts_with(b"- here ")) };
        let count = std::str::from_utf8(count).ok().and_then(|count| count.parse().ok()).ok_or("no count")?;
        if std::mem::replace(&mut self.joined[who], true) {
            return Err(format!("{} joins twice", name(who)));
        }
        self.found[who] = count;
        self.due -= count;
        Ok(true)
    }

    /// Takes a line of IRC, in which one is told everybody's name, and sees oneself come.
    fn irc(&mut self, who: usize, line: &[u8]) -> Outcome<bool> {
        let mut words = line.split(|byte| *byte == b' ');
        let source = words.next().unwrap_or_default();
        match words.next().unwrap_or_default() {
            b"JOIN" => {
                let other = source.strip_prefix(b":").and_then(bearer);
                // One's own name stands in the list that follows.
                if other != Some(who) {
                    self.see(who, other)?;
                }
            }
            b"353" => {
                let names = words.skip(3).map(|name| name.strip_prefix(b":").unwrap_or(name));
                for name in names.filter(|name| !name.is_empty()) {
                    self.see(who, bearer(name.strip_prefix(b"@").unwrap_or(name)))?;
                    self.found[who] += 1;
                }
            }
            b"366" => self.joined[who] = true,
            b"MODE" => {}
            _ => return Ok(numeric(line).is_some_and(|n| matches!(n, b"331" | b"332" | b"333"))),
        }
        Ok(true)
    }

    /// Takes the lines that came to `who`.
    fn take(&mut self, dialect: Dialect, out: &mut Out, who: usize, block: &[u8]) -> Outcome<()> {
        for line in lines(block) {
            let known = if dialect == Dialect::Irc { self.irc(who, line)? } else { self.plain(who, line)? };
            if !known && let Some(answer) = dialect.aside(line)? {
                out.say(who, answer);
            }
        }
        Ok(())
    }

    /// An error if the order in which they came does not explain who has seen whom.
    fn complete(&self, dialect: Dialect) -> Outcome<()> {
        let (count, mut place) = (self.count, vec![false; self.count + 1]);
        for who in 0..count {
            let found = self.found[who];
            if !self.joined[who] || found > count || std::mem::replace(&mut place[found], true) {
                return Err(format!("{} found {found} in the room, as somebody else did", name(who)));
            }
            let seen = self.pairs[who * count..(who + 1) * count].iter().filter(|seen| **seen).count();
            let came_later = (0..count).all(|other| self.found[other] <= found || self.pairs[who * count + other]);
            // In plain words one is told of the others only who comes later.
            let due = if dialect == Dialect::Irc { count } else { count - found };
            if seen != due || !came_later {
                return Err(format!("{} saw {seen} in the room, and found {found}", name(who)));
            }
        }
        Ok(())
    }
}

/// So many enter one room, all at once, until each has seen each.
pub fn join(host: &Host, count: usize) -> Outcome<Figures> {
    let dialect = host.dialect;
    let mut load = Load::new(dialect)?;
    load.arrive(host, count)?;
    load.settle()?;
    let mut seen = Seen {
        count,
        pairs: vec![false; count * count],
        found: vec![0; count],
        joined: vec![false; count],
        due: count * count,
    };
    let meter = Meter::start(host)?;
    let begin = Instant::now();
    (0..count).for_each(|who| load.say(who, dialect.join()));
    load.until("for all to be seen", |out, who, block, _| {
        seen.take(dialect, out, who, block)?;
        Ok(if seen.due == 0 { Flow::Done } else { Flow::More })
    })?;
    let took = begin.elapsed().as_secs_f64();
    let spent = meter.stop(host)?;
    load.rest(|out, who, block, _| seen.take(dialect, out, who, block))?;
    seen.complete(dialect)?;
    let mut figures = Figures::new("s", took, spent);
    figures.add("people", count as f64);
    figures.add("server s", spent.server.as_secs_f64());
    Ok(figures)
}
