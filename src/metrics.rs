//! What is counted of the server, and the page that shows it to a monitor: the text format of Prometheus, version 0.0.4.
//!
//! Each part of the server counts what it does in a struct of its own from here, so that counting costs an addition. Every series is
//! on the page from the start. No room, no name and no address is ever a label.

use std::fmt::{Display, Write};
use std::time::{Duration, SystemTime};

use crate::wire::Code;

/// The type of the page, as HTTP names it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// By what somebody proves to own a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LoginBy {
    /// A password.
    Password,
    /// A token, be it good once or always.
    Token,
}

/// What came of a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "a variant is its label")]
pub enum Handshake {
    Ok,
    Failed,
    Timeout,
    Evicted,
    NotTls,
}

/// What the core counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct CoreCounts {
    /// Logins that succeeded, and those that did not, by [`LoginBy`].
    pub logins: [Logins; 2],
    /// Messages of rooms that slow consumers were told they missed.
    pub missed: u64,
    /// Bytes of files that came, and that were handed on.
    pub uploaded: u64,
    /// See `uploaded`.
    pub downloaded: u64,
}

/// Tries to log in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Logins {
    /// Those that succeeded.
    pub ok: u64,
    /// Those that did not prove anything.
    pub failed: u64,
}

/// What is counted of what goes out.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutCounts {
    /// Events that were queued for a connection, each as often as there are connections that hear it.
    pub deliveries: u64,
    /// Writes to connections that took something.
    pub writes: u64,
    /// Bytes that these took.
    pub bytes: u64,
}

/// What the loop counts.
#[derive(Debug)]
pub struct LoopCounts {
    /// Connections that were accepted, without those by the operator's door.
    pub accepted: u64,
    /// Of these, those that were not let in.
    pub rejected: ByCode,
    /// Connections that the server closed.
    pub byes: ByCode,
    /// Connections that broke.
    pub lost: ByCode,
    /// Handshakes of TLS, by [`Handshake`].
    pub handshakes: [u64; 5],
    /// Lines that were carried out or refused.
    pub lines: u64,
    /// How long the turns of the loop took, without what they waited.
    pub turns: Histogram,
    /// How long what was said in rooms waited for its fan-out.
    pub gathers: Histogram,
}

impl LoopCounts {
    /// Nothing has come yet. These are the codes with which connections are rejected, closed and lost.
    pub fn new(rejected: &[Code<'static>], byes: &[Code<'static>], lost: &[Code<'static>]) -> Self {
        Self {
            accepted: 0,
            rejected: ByCode::new(rejected),
            byes: ByCode::new(byes),
            lost: ByCode::new(lost),
            handshakes: [0; 5],
            lines: 0,
            turns: Histogram::default(),
            gathers: Histogram::default(),
        }
    }
}

/// How often each of some codes came.
#[derive(Debug)]
pub struct ByCode(Vec<(Code<'static>, u64)>);

impl ByCode {
    fn new(codes: &[Code<'static>]) -> Self {
        Self(codes.iter().map(|&code| (code, 0)).collect())
    }

    /// One has come.
    pub fn count(&mut self, code: Code<'static>) {
        match self.0.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.0.push((code, 1)),
        }
    }
}

/// The upper bounds of all parts of a histogram but the last, which has none.
const BOUNDS: [Duration; 12] = [
    Duration::from_micros(50),
    Duration::from_micros(200),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(30),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// How often something took how long.
#[derive(Clone, Copy, Debug, Default)]
pub struct Histogram {
    /// By the first of [`BOUNDS`] that it did not exceed.
    parts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

impl Histogram {
    /// It took so long once more.
    pub fn add(&mut self, took: Duration) {
        let part = BOUNDS.iter().position(|&bound| took <= bound).unwrap_or(BOUNDS.len());
        self.parts[part] += 1;
        self.sum += took;
    }
}

/// How things stand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels {
    /// What the core knows of that.
    pub core: CoreLevels,
    /// Connections that were let in and are there, by what carries them: TCP, TLS, WebSocket, WebSocket over TLS.
    pub connections: [u64; 4],
    /// Bytes that are pending for connections.
    pub pending: Pending,
    /// How long the loop has waited for the log.
    pub log_waited: Duration,
    /// When the configuration was read anew for the last time, if it was.
    pub reloaded: Option<SystemTime>,
    /// When the certificate expires, if there is one.
    pub expires: Option<SystemTime>,
}

/// How things stand in the core.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the page tells what each one is")]
pub struct CoreLevels {
    pub people: usize,
    pub slow_consumers: usize,
    pub rooms: usize,
    pub history_bytes: usize,
    pub spool_bytes: u64,
    pub names: usize,
    pub auth_queue: usize,
    pub is_log_degraded: bool,
}

/// Bytes that are pending for connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending {
    /// Of lines that are pending for one connection each.
    pub private: usize,
    /// Of memory of what several connections share.
    pub shared: usize,
    /// Of memory of file data.
    pub files: usize,
    /// Of what was written to connections whose places are kept.
    pub held: usize,
}

/// The page: a line for each series, and before it what it is and of which type.
pub fn page(levels: &Levels, core: &CoreCounts, out: &OutCounts, of_loop: &LoopCounts) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    let CoreLevels { people, slow_consumers, rooms, history_bytes, spool_bytes, names, .. } = levels.core;
    page.gauge("people", "People who are online.", people);
    let wires = ["tcp", "tls", "ws", "wss"].into_iter().zip(levels.connections);
    page.gauges("connections", "Connections that were let in, by what carries them.", "wire", wires);
    let results = ["ok", "failed", "timeout", "evicted", "not-tls"].into_iter().zip(of_loop.handshakes);
    page.counters("handshakes_total", "Handshakes of TLS.", "result", results);
    page.counter("accepted_total", "Connections that were accepted.", of_loop.accepted);
    let by_code = |codes: &ByCode| codes.0.iter().map(|&(code, count)| (code.as_str(), count)).collect::<Vec<_>>();
    let rejected = by_code(&of_loop.rejected);
    page.counters("rejected_total", "Connections that were not let in.", "code", rejected);
    page.counters("byes_total", "Connections that the server closed.", "code", by_code(&of_loop.byes));
    page.counters("lost_total", "Connections that broke.", "code", by_code(&of_loop.lost));
    page.counter("lines_in_total", "Lines that were carried out or refused.", of_loop.lines);
    page.counter("deliveries_total", "Events that were queued for a connection.", out.deliveries);
    page.counter("writes_total", "Writes to connections.", out.writes);
    page.counter("bytes_written_total", "Bytes written to connections.", out.bytes);
    let ways = [("up", core.uploaded), ("down", core.downloaded)];
    page.counters("file_bytes_total", "Bytes of files that came, and that were handed on.", "way", ways);
    let Pending { private, shared, files, held } = levels.pending;
    let kinds = [("private", private), ("shared", shared), ("files", files), ("held", held)];
    page.gauges("pending_bytes", "Bytes of memory that are pending for connections.", "kind", kinds);
    page.gauge("slow_consumers", "Connections for which room lines are left out.", slow_consumers);
    page.counter("missed_total", "Messages that slow consumers missed.", core.missed);
    page.gauge("rooms", "Rooms that anybody may know of.", rooms);
    page.gauge("history_bytes", "Bytes of memory of what rooms remember.", history_bytes);
    page.gauge("spool_bytes", "Bytes of shared files.", spool_bytes);
    page.gauge("names", "Names that have owners.", names);
    page.head("logins_total", "counter", "Tries to log in.");
    for (how, Logins { ok, failed }) in ["password", "token"].into_iter().zip(core.logins) {
        page.sample("logins_total", format_args!(r#"{{how="{how}",result="ok"}}"#), ok);
        page.sample("logins_total", format_args!(r#"{{how="{how}",result="failed"}}"#), failed);
    }
    page.gauge("auth_queue", "Passwords that wait to be looked at.", levels.core.auth_queue);
    let is_log_degraded = u8::from(levels.core.is_log_degraded);
    page.gauge("log_degraded", "Whether history, or rules and bans, are not being kept.", is_log_degraded);
    let waited = levels.log_waited.as_secs_f64();
    page.counter("log_wait_seconds_total", "How long the loop has waited for the log.", waited);
    page.histogram("turn_seconds", "How long turns of the loop took.", &of_loop.turns);
    page.histogram("gather_seconds", "How long what was said waited for its fan-out.", &of_loop.gathers);
    page.time("reload_time", "When the configuration was read anew, in seconds since 1970.", levels.reloaded);
    page.time("certificate_expires", "When the certificate expires, in seconds since 1970.", levels.expires);
    let version = [(env!("CARGO_PKG_VERSION"), 1)];
    page.gauges("build_info", "The version of this server.", "version", version);
    page.0
}

/// A page under way.
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // A text takes all that is written to it.
        let _ = writeln!(self.0, "# HELP chinwag_{name} {help}\n# TYPE chinwag_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: impl Display, value: impl Display) {
        let _ = writeln!(self.0, "chinwag_{name}{labels} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "counter", help);
        self.sample(name, "", value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, "gauge", help);
        self.sample(name, "", value);
    }

    /// A gauge that is 0 as long as there is no such time.
    fn time(&mut self, name: &str, help: &str, at: Option<SystemTime>) {
        let since = at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.gauge(name, help, since.unwrap_or_default().as_secs());
    }

    fn counters<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, impl Display)>,
    ) {
        self.head(name, "counter", help);
        self.samples(name, label, values);
    }

    fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, impl Display)>,
    ) {
        self.head(name, "gauge", help);
        self.samples(name, label, values);
    }

    fn samples<'a>(&mut self, name: &str, label: &str, values: impl IntoIterator<Item = (&'a str, impl Display)>) {
        for (of, value) in values {
            self.sample(name, format_args!(r#"{{{label}="{of}"}}"#), value);
        }
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.head(name, "histogram", help);
        let mut count = 0;
        for (part, times) in histogram.parts.iter().enumerate() {
            count += times;
            let bound = BOUNDS.get(part).map_or_else(|| "+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.sample(name, format_args!(r#"_bucket{{le="{bound}"}}"#), count);
        }
        self.sample(name, "_sum", histogram.sum.as_secs_f64());
        self.sample(name, "_count", count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_took_no_longer() {
        let mut turns = Histogram::default();
        [10, 50, 51, 3_000_000].into_iter().for_each(|micros| turns.add(Duration::from_micros(micros)));
        let mut page = Page(String::new());
        page.histogram("turn_seconds", "Help.", &turns);
        let lines: Vec<&str> = page.0.lines().collect();
        assert_eq!(lines[..2], ["# HELP chinwag_turn_seconds Help.", "# TYPE chinwag_turn_seconds histogram"]);
        assert_eq!(lines[2], r#"chinwag_turn_seconds_bucket{le="0.00005"} 2"#);
        assert_eq!(lines[3], r#"chinwag_turn_seconds_bucket{le="0.0002"} 3"#);
        assert_eq!(lines[13], r#"chinwag_turn_seconds_bucket{le="2"} 3"#);
        assert_eq!(lines[14], r#"chinwag_turn_seconds_bucket{le="+Inf"} 4"#);
        assert_eq!(lines[15..], ["chinwag_turn_seconds_sum 3.000111", "chinwag_turn_seconds_count 4"]);
    }

    #[test]
    fn a_code_that_is_new_is_counted_too() {
        let mut codes = ByCode::new(&[Code::Full]);
        [Code::Full, Code::Idle].into_iter().for_each(|code| codes.count(code));
        assert_eq!(codes.0, [(Code::Full, 1), (Code::Idle, 1)]);
    }
}
