//! The table: a row for each work, a column for each server, and whether the target is met.

use super::peers::Peer;
use super::results::{Results, Spread, count, digits};
use super::works::Work::{self, Connect10000, Connect10000Quiet, File, Flat200, Flat1000, Idle, Join3000, Latency};
use super::works::Work::{
    Connect2000Rsa, Connect10000Tls, Connect10000Ws, Flat1000Ws, Handshakes, Lone, Pairs, PairsMsg, Steady, SteadyTls,
    SteadyWs, Ten,
};

/// What is expected of chinwag in a row.
#[derive(Clone, Copy)]
pub enum Target {
    /// To be below so much.
    Below(f64),
    /// To be at most so much.
    AtMost(f64),
    /// To cost at most so many times what another server's figure of the same name is in a work.
    Times(f64, Peer, Work),
    /// To reach at least so many times that.
    Reach(f64, Peer, Work),
    /// To be at most so much more than chinwag's own figure of the same name in a work.
    More(f64, Work),
}

/// One row.
pub struct Row {
    /// What it is called; `{n}` is how many people there are.
    pub label: &'static str,
    /// The work, and its figure.
    pub work: Work,
    /// Which of its figures.
    pub what: &'static str,
    /// What chinwag has to reach; without any the row is there to be read.
    pub targets: &'static [Target],
    /// How it is called in the picture, if it is there.
    pub short: Option<&'static str>,
}

/// As cheap and as quick as version 0.1 was, but for what measuring itself is unsure of.
const fn as_before(work: Work) -> Target {
    Target::Times(1.05, Peer::Before, work)
}

const fn row(
    label: &'static str,
    work: Work,
    what: &'static str,
    targets: &'static [Target],
    short: Option<&'static str>,
) -> Row {
    Row { label, work, what, targets, short }
}

/// All of them.
pub const ROWS: &[Row] = &[
    row(
        "steady: 100 lines/s, room of 1,000; µs a delivery",
        Steady,
        "µs a delivery",
        &[Target::Times(0.5, Peer::Bare(1), Steady)],
        Some("steady talk to 1,000"),
    ),
    row("the same: 99.9th percentile, ms", Steady, "p99.9 ms", &[Target::AtMost(60.0)], None),
    row(
        "flat out: 8 people, 16 lines each under way, room of 200; µs a delivery",
        Flat200,
        "µs a delivery",
        &[Target::Times(0.3, Peer::Inspircd, Flat200)],
        Some("talk flat out to 200"),
    ),
    row("the same: median latency, ms", Flat200, "p50 ms", &[], None),
    row(
        "the same, room of 1,000; µs a delivery",
        Flat1000,
        "µs a delivery",
        &[Target::Times(0.3, Peer::Inspircd, Flat1000)],
        Some("talk flat out to 1,000"),
    ),
    row("the same: median latency, ms", Flat1000, "p50 ms", &[], None),
    row("steady: 100 lines/s, room of ten; µs a delivery", Ten, "µs a delivery", &[as_before(Ten)], None),
    row("the same: median latency, ms", Ten, "p50 ms", &[as_before(Ten)], None),
    row("the same: 99th percentile, ms", Ten, "p99 ms", &[as_before(Ten)], None),
    row("now and then a line, room of 100; µs a delivery", Lone, "µs a delivery", &[as_before(Lone)], None),
    row("the same: median latency, ms", Lone, "p50 ms", &[as_before(Lone)], None),
    row("the same: 99th percentile, ms", Lone, "p99 ms", &[as_before(Lone)], None),
    row(
        "nobody says anything in a room of 100; wakeups in some seconds",
        Idle,
        "wakeups",
        &[Target::AtMost(0.0)],
        None,
    ),
    row(
        "500 pairs playing ping-pong with bare text; µs a message",
        Pairs,
        "µs a message",
        &[Target::Times(0.85, Peer::Hybrid, Pairs), as_before(Pairs)],
        Some("private messages"),
    ),
    row("the same: median latency, ms", Pairs, "p50 ms", &[as_before(Pairs)], None),
    row("the same: 99th percentile, ms", Pairs, "p99 ms", &[as_before(Pairs)], None),
    row(
        "with `/msg` and its reply; µs a message",
        PairsMsg,
        "µs a message",
        &[Target::Times(1.3, Peer::Hybrid, Pairs), as_before(PairsMsg)],
        None,
    ),
    row("the same: median latency, ms", PairsMsg, "p50 ms", &[as_before(PairsMsg)], None),
    row(
        "{n} join one room; s until everyone has seen everyone",
        Join3000,
        "s",
        &[Target::Times(0.5, Peer::Inspircd, Join3000)],
        None,
    ),
    row("the same: s of processor time", Join3000, "server s", &[], Some("{n} join one room")),
    row(
        "{n} connect and take a name; µs each",
        Connect10000,
        "µs each",
        &[Target::Times(0.8, Peer::Inspircd, Connect10000)],
        Some("{n} come in"),
    ),
    row(
        "the same with `/set presence off`",
        Connect10000Quiet,
        "µs each",
        &[Target::Times(0.8, Peer::Inspircd, Connect10000)],
        None,
    ),
    row(
        "{n} idle; resident bytes each",
        Connect10000,
        "bytes each",
        &[Target::Below(500.0)],
        Some("memory for an idle person"),
    ),
    row("the same; MB resident in all", Connect10000, "MB with all", &[Target::Below(10.0)], None),
    row(
        "nobody there; MB resident",
        Connect10000,
        "MB with nobody",
        &[Target::Below(4.0)],
        Some("memory with nobody there"),
    ),
    row(
        "one file down a connection; payload MB/s",
        File,
        "payload MB/s",
        &[Target::Reach(0.7, Peer::Bare(1), File)],
        None,
    ),
    row("the same: s of processor time a GiB", File, "server s/GiB", &[], Some("a file fetched")),
    row("ready-made lines, 64 KiB a write; payload MB/s", File, "64 KiB MB/s", &[], None),
    row("raw bytes with `sendfile`; MB/s", File, "sendfile MB/s", &[], None),
    row("one file up; s of processor time a GiB", File, "upload s/GiB", &[], None),
    row("room of 200 by itself; 99th percentile, ms", Latency, "p99 ms", &[], None),
    row("four fetch and one uploads; times that", Latency, "× p99 with files", &[Target::Below(2.0)], None),
    row("one in a hundred does not read; times that", Latency, "× p99 with deaf", &[Target::Below(1.2)], None),
    row(
        "in TLS, steady: 100 lines/s, room of 1,000; µs a delivery",
        SteadyTls,
        "µs a delivery",
        &[Target::Times(1.35, Peer::Chinwag, Steady)],
        None,
    ),
    row("the same: 99.9th percentile, ms", SteadyTls, "p99.9 ms", &[], None),
    row("in TLS, {n} connect and take a name; µs each", Connect10000Tls, "µs each", &[], None),
    row("the same: so many a second of one core", Connect10000Tls, "a second", &[], None),
    row("in TLS, {n} idle; resident bytes each", Connect10000Tls, "bytes each", &[Target::AtMost(4500.0)], None),
    row("the same; MB resident in all", Connect10000Tls, "MB with all", &[Target::AtMost(45.0)], None),
    row("in TLS with a key of RSA, {n} connect and take a name; µs each", Connect2000Rsa, "µs each", &[], None),
    row("the same: so many a second of one core", Connect2000Rsa, "a second", &[], None),
    row("in TLS, room of 200 by itself; 99th percentile, ms", Handshakes, "p99 ms", &[], None),
    row(
        "beside 2,000 handshakes that stop half way; times that",
        Handshakes,
        "× p99 with handshakes",
        &[Target::AtMost(10.0)],
        None,
    ),
    row(
        "over WebSockets, steady: 100 lines/s, room of 1,000; µs a delivery",
        SteadyWs,
        "µs a delivery",
        &[Target::Times(1.1, Peer::Chinwag, Steady)],
        None,
    ),
    row("the same: 99.9th percentile, ms", SteadyWs, "p99.9 ms", &[Target::AtMost(60.0)], None),
    row(
        "over WebSockets, flat out in a room of 1,000; µs a delivery",
        Flat1000Ws,
        "µs a delivery",
        &[Target::Times(1.1, Peer::Chinwag, Flat1000)],
        None,
    ),
    row("the same: median latency, ms", Flat1000Ws, "p50 ms", &[], None),
    row("over WebSockets, {n} connect and take a name; µs each", Connect10000Ws, "µs each", &[], None),
    row(
        "over WebSockets, {n} idle; resident bytes each",
        Connect10000Ws,
        "bytes each",
        &[Target::More(140.0, Connect10000Quiet)],
        None,
    ),
];

/// What the columns are called.
pub const COLUMNS: &[(Peer, &str)] = &[
    (Peer::Bare(1), "bare loop"),
    (Peer::Bare(16), "16 lines a write"),
    (Peer::Bare(64), "64 lines a write"),
    (Peer::Chinwag, "chinwag"),
    (Peer::Before, "chinwag 0.1"),
    (Peer::Inspircd, "InspIRCd"),
    (Peer::Hybrid, "ircd-hybrid"),
    (Peer::Ngircd, "ngIRCd"),
];

impl Results {
    /// What a peer gave in a row.
    pub fn of(&self, row: &Row, peer: Peer) -> Option<Spread> {
        self.spread(&row.work.to_string(), &peer.to_string(), row.what)
    }

    /// How many people a work had.
    pub fn people(&self, work: Work) -> String {
        let people = self.spread(&work.to_string(), &Peer::Chinwag.to_string(), "people");
        people.map_or_else(|| "many".into(), |people| count(people.median))
    }

    /// A target as words, the ratio or figure, and whether it is as it should be; none if there is nobody to compare with.
    fn verdict(&self, row: &Row, target: Target) -> Option<(String, f64, bool)> {
        let own = self.of(row, Peer::Chinwag)?.median;
        let other = |peer: Peer, work: Work| {
            self.spread(&work.to_string(), &peer.to_string(), row.what).map(|spread| spread.median)
        };
        let times = |peer: Peer, work: Work| other(peer, work).map(|other| own / other);
        let name = |peer: Peer| COLUMNS.iter().find(|column| column.0 == peer).map_or("", |column| column.1);
        Some(match target {
            Target::Below(bound) => (format!("< {bound}"), own, own < bound),
            Target::AtMost(bound) => (format!("≤ {bound}"), own, own <= bound),
            Target::Times(bound, peer, work) => {
                let ratio = times(peer, work)?;
                (format!("≤ {bound} × {}", name(peer)), ratio, ratio <= bound)
            }
            Target::Reach(bound, peer, work) => {
                let ratio = times(peer, work)?;
                (format!("≥ {bound} × {}", name(peer)), ratio, ratio >= bound)
            }
            Target::More(bound, work) => {
                let more = own - other(Peer::Chinwag, work)?;
                (format!("≤ {bound} more than {work}"), more, more <= bound)
            }
        })
    }

    /// The table, in Markdown, with what is to be told about it.
    pub fn table(&self) -> String {
        let mut text: String = self.about.iter().fold(String::new(), |text, line| text + "- " + line + "\n");
        let columns: Vec<_> =
            COLUMNS.iter().filter(|(peer, _)| ROWS.iter().any(|row| self.of(row, *peer).is_some())).collect();
        let names: Vec<&str> = columns.iter().map(|(_, name)| *name).collect();
        text += &format!("\n| work | {} | chinwag's target | is |\n", names.join(" | "));
        text += &format!("| --- |{}\n", " --- |".repeat(columns.len() + 2));
        let mut bound_by_load = false;
        for row in ROWS {
            let spreads: Vec<Option<Spread>> = columns.iter().map(|(peer, _)| self.of(row, *peer)).collect();
            if spreads.iter().all(Option::is_none) {
                continue;
            }
            let cells: Vec<String> = spreads
                .iter()
                .map(|spread| {
                    let Some(Spread { median, least, most, bound_by_load: bound }) = spread else {
                        return "–".into();
                    };
                    bound_by_load |= bound;
                    let mark = if *bound { " *" } else { "" };
                    format!("{} ({}–{}){mark}", digits(*median), digits(*least), digits(*most))
                })
                .collect();
            let label = row.label.replace("{n}", &self.people(row.work));
            let (mut targets, mut is) = (Vec::new(), Vec::new());
            for (target, figure, met) in row.targets.iter().filter_map(|target| self.verdict(row, *target)) {
                targets.push(target);
                is.push(format!("{}: {}", digits(figure), if met { "met" } else { "**MISSED**" }));
            }
            let (target, is) = (targets.join(", "), is.join(", "));
            text += &format!("| {label} | {} | {target} | {is} |\n", cells.join(" | "));
        }
        if bound_by_load {
            text += "\n\\* The load was the slow one: the server could have done more in the time, but not for less.\n";
        }
        text
    }
}
