//! How everything reads: news and progress in words alone, without a sign that would have to be read out.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use jiff::civil::Date;

use super::Look;
use crate::client::model::news::{News, mark_of};
use crate::client::model::transfer::{Progress, Way};
use crate::names::{Nick, Place};
use crate::text::{bytes, roughly};
use crate::wire;

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// How many messages that were taken back are named.
const NAMED: usize = 5;
/// How long nothing new is told of a transfer at least, and at most.
const PACE: Duration = Duration::from_secs(2);
const SLOWEST: Duration = Duration::from_secs(10);

/// What stands before what was said or happened: when and where.
#[derive(Debug)]
pub struct Head {
    /// Whether the time is told.
    pub times: bool,
    /// Whether the room is told each time. Else it is told where it is another one than before. That something was said to us alone
    /// is always told.
    pub rooms: bool,
    /// Where that was which was told last.
    pub last: Option<Place>,
}

impl Head {
    fn before(&mut self, place: Place, time: &str) -> String {
        let is_told = self.last.replace(place) != Some(place) || self.rooms || matches!(place, Place::With(_));
        let time = if self.times { format!("{time} ") } else { String::new() };
        if is_told { format!("{time}{place} ") } else { time }
    }
}

/// News as one line, without its end. What happened in one room may have happened in `others` too.
pub fn news(news: &News, others: &[Place], head: &mut Head, look: &Look, now: SystemTime) -> String {
    let time = look.time(news.at().unwrap_or(now));
    // Whoever hears of a room or a person takes what comes next to be said there.
    if let News::Answer(text) | News::Done(text) | News::Refused(text) | News::Note(text) = news
        && text.contains(['#', '@'])
    {
        head.last = None;
    }
    match news {
        News::Said { place, from, text, rank, number, .. } => {
            let (head, mark, number) = (head.before(*place, &time), rank.map_or("", mark_of), numbered(*number));
            match wire::action(text) {
                Some(action) => format!("{head}{number}* {mark}{from} {action}"),
                None => format!("{head}{number}<{mark}{from}> {text}"),
            }
        }
        News::Erased { place, by, numbers, shown, .. } => {
            format!("{}{}", head.before(*place, &time), erased(*by, *numbers, shown, look))
        }
        News::Happened { place, text, .. } if others.is_empty() => format!("{}{text}", head.before(*place, &time)),
        News::Happened { place, text, .. } => {
            // What comes next may be of any of them.
            head.last = None;
            let before = head.before(*place, &time);
            head.last = None;
            format!("{}{} {text}", before.trim_end(), listed(others))
        }
        News::File { place, from, file, size, name, .. } => {
            format!("{}{from} shares {name}, {}; /get {file} saves it", head.before(*place, &time), bytes(*size))
        }
        News::Answer(text) => local(text, look, now),
        // Without that word it would read as something to be done.
        News::Done(text) => format!("done: {}", local(text, look, now)),
        News::Refused(text) => format!("no: {}", local(text, look, now)),
        News::Note(text) => format!("note: {}", local(text, look, now)),
    }
}

/// The other rooms behind the first, in words.
fn listed(others: &[Place]) -> String {
    let sign = |n| if n + 1 < others.len() { ", " } else { " and " };
    others.iter().enumerate().map(|(n, place)| format!("{}{place}", sign(n))).collect()
}

/// The bytes of a time as servers write it: `2026-11-29T06:28:49Z`.
const STAMP: usize = 20;

/// A text in which the times that the server writes are those of where we are, as those of messages are.
pub fn local(text: &str, look: &Look, now: SystemTime) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(end) = rest.find('Z') {
        let (part, behind) = rest.split_at(end + 1);
        let stamp = part.len().checked_sub(STAMP).and_then(|begin| part.split_at_checked(begin));
        let time = stamp.and_then(|(before, stamp)| Some((before, humantime::parse_rfc3339(stamp).ok()?)));
        match time {
            Some((before, at)) => out.extend([before, &time_of(at, look, now)]),
            None => out += part,
        }
        rest = behind;
    }
    out + rest
}

/// A time, with the day unless that is today.
fn time_of(at: SystemTime, look: &Look, now: SystemTime) -> String {
    let (day, today, time) = (look.day_of(at), look.day_of(now), look.time(at));
    if day == today {
        return time;
    }
    let year = if day.year() == today.year() { String::new() } else { format!(" {}", day.year()) };
    format!("{} {}{year}, {time}", day.day(), month(day))
}

fn month(day: Date) -> &'static str {
    MONTHS[usize::from(day.month().unsigned_abs()) - 1]
}

/// The number of a message, before who said it.
pub fn numbered(number: Option<u64>) -> String {
    number.map(|number| format!("({number}) ")).unwrap_or_default()
}

/// That messages were taken back, and which: what was shown of them is named and not told once more.
pub fn erased(by: Nick, (first, last): (u64, u64), shown: &[(Nick, SystemTime)], look: &Look) -> String {
    let what = if first == last { format!("message {first}") } else { format!("messages {first} to {last}") };
    let of = |(nick, at): &(Nick, SystemTime)| (*nick, look.time(*at));
    let (mut names, mut more) = (Vec::new(), shown.len());
    for alike in shown.chunk_by(|one, other| of(one) == of(other)).take(NAMED) {
        let (nick, time) = of(&alike[0]);
        let count = if alike.len() > 1 { format!("{} ", alike.len()) } else { String::new() };
        names.push(format!("{nick}'s {count}of {time}"));
        more -= alike.len();
    }
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let sign = if names.is_empty() { "" } else { ": " };
    format!("{by} took {what} back{sign}{}{more}", names.join(", "))
}

/// The line that tells the day, where another one begins.
pub fn day(day: Date) -> String {
    let weekday = WEEKDAYS[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())];
    format!("{weekday}, {} {} {}", day.day(), month(day), day.year())
}

/// What is to be told of all transfers now. `told` is what was told of each, by its key.
pub fn transfers<'a>(
    all: impl Iterator<Item = Progress<'a>>,
    told: &mut HashMap<u64, Told>,
    now: Instant,
) -> Vec<String> {
    let mut lines = Vec::new();
    let before = std::mem::take(told);
    for of in all {
        let (is_told, line) = progress(&of, before.get(&of.key).copied(), now);
        told.extend(is_told.map(|is_told| (of.key, is_told)));
        lines.extend(line);
    }
    lines
}

/// What was told of a transfer last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    at: Instant,
    way: Way,
    /// Quarters that were done then.
    quarters: u64,
    percent: u64,
}

/// What is to be told of a transfer now, and what has been told then: that it begins, then each quarter, or every ten seconds.
pub fn progress(progress: &Progress<'_>, told: Option<Told>, now: Instant) -> (Option<Told>, Option<String>) {
    let Progress { way, name, size, done, .. } = progress;
    let percent = done.saturating_mul(100) / (*size).max(1);
    let is_now = Told { at: now, way: *way, quarters: percent / 25, percent };
    let Some(before) = told else {
        // How large a file is that is fetched is not known at first.
        if *way == Way::Down && *size == 0 {
            return (None, None);
        }
        let what = if *way == Way::Down { "fetching" } else { "sending" };
        return (Some(is_now), Some(format!("{what} {name}, {}", bytes(*size))));
    };
    let since = now.saturating_duration_since(before.at);
    let goes_on = is_now.quarters > before.quarters && since >= PACE || percent > before.percent && since >= SLOWEST;
    let is_due = goes_on || is_now.way != before.way && since >= PACE;
    if !is_due || percent >= 100 {
        return (told, None);
    }
    let (verb, why) = match way {
        Way::Reading => ("reading", " before it is sent"),
        Way::Up => ("sending", ""),
        Way::Down => ("fetching", ""),
    };
    let left = progress.left().map(|left| format!(", {} left", roughly(left.as_secs()))).unwrap_or_default();
    (Some(is_now), Some(format!("{verb} {name}{why}: {percent} percent{left}")))
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::client::model::news::{Age, Mark};
    use crate::names::FileId;
    use crate::wire::Rank;

    #[test]
    fn news_are_words() {
        let look = Look { colour: false, is_few: false, zone: TimeZone::fixed(jiff::tz::offset(1)) };
        let when = SystemTime::UNIX_EPOCH + Duration::from_secs(48_600);
        let at = Some(when);
        let (place, from) = (Place::new("#lobby").unwrap(), Nick::new("bob").unwrap());
        let said = |text: &str| News::Said {
            place,
            at,
            from,
            text: text.to_owned(),
            mark: Mark::ForUs,
            age: Age::New,
            rank: Some(Rank::Op),
            number: None,
        };
        let erased = |numbers, count| News::Erased {
            place,
            at,
            by: Nick::new("alice").unwrap(),
            numbers,
            shown: vec![(from, when); count],
        };
        let file =
            News::File { place, at, from, file: FileId(7), size: 2_048, name: "cat.png".to_owned(), age: Age::New };
        for (told, want) in [
            (said("hi"), "14:30 #lobby <@bob> hi"),
            (said("/me waves"), "14:30 #lobby * @bob waves"),
            (erased((41, 41), 0), "14:30 #lobby alice took message 41 back"),
            (erased((41, 42), 1), "14:30 #lobby alice took messages 41 to 42 back: bob's of 14:30"),
            (erased((1, 99), 7), "14:30 #lobby alice took messages 1 to 99 back: bob's 7 of 14:30"),
            (file, "14:30 #lobby bob shares cat.png, 2.0 kB; /get 7 saves it"),
            (News::Refused("not so".to_owned()), "no: not so"),
            (News::Done("leave #club".to_owned()), "done: leave #club"),
        ] {
            let head = &mut Head { times: true, rooms: true, last: Some(place) };
            assert_eq!(news(&told, &[], head, &look, SystemTime::UNIX_EPOCH), want);
        }
        // On wish neither the time is told nor a room that is the same as before.
        let head = &mut Head { times: false, rooms: false, last: None };
        let here = |text: &str, place: &str| News::Happened {
            place: Place::new(place).unwrap(),
            at,
            text: text.to_owned(),
            moves: None,
            call: None,
        };
        for (told, want) in [
            (said("hi"), "#lobby <@bob> hi"),
            (said("there"), "<@bob> there"),
            (News::Note("tea".to_owned()), "note: tea"),
            (here("bob left", "#lobby"), "bob left"),
            (here("bob joined", "#club"), "#club bob joined"),
            (said("so"), "#lobby <@bob> so"),
            // Whoever heard of another room meanwhile is told in which one this is.
            (News::Answer("in #club: @lena".to_owned()), "in #club: @lena"),
            (said("in the lobby"), "#lobby <@bob> in the lobby"),
            (said("still"), "<@bob> still"),
            (here("bob is away", "@bob"), "@bob bob is away"),
            (here("bob is typing", "@bob"), "@bob bob is typing"),
        ] {
            assert_eq!(news(&told, &[], head, &look, SystemTime::UNIX_EPOCH), want);
        }
        // What happened in several rooms names them all, and so does what comes next.
        for others in [&["#club"][..], &["#club", "#tea"]] {
            let places: Vec<_> = others.iter().map(|place| Place::new(place).unwrap()).collect();
            head.last = Some(place);
            let told = [here("bob quit", "#lobby"), said("so")].map(|told| {
                let others = if matches!(told, News::Happened { .. }) { &places[..] } else { &[] };
                news(&told, others, head, &look, SystemTime::UNIX_EPOCH)
            });
            let rooms = ["#lobby"].iter().chain(others).copied().collect::<Vec<_>>().join(", ");
            let (first, last) = rooms.rsplit_once(", ").unwrap();
            assert_eq!(told, [format!("{first} and {last} bob quit"), "#lobby <@bob> so".to_owned()]);
        }
        assert_eq!(day(look.day_of(SystemTime::UNIX_EPOCH)), "Thursday, 1 January 1970");
    }

    #[test]
    fn times_of_the_servers_are_told_as_they_are_here() {
        let look = Look { colour: false, is_few: false, zone: TimeZone::fixed(jiff::tz::offset(1)) };
        let now = humantime::parse_rfc3339("2026-11-29T05:00:00Z").unwrap();
        for (text, want) in [
            ("banned from #a until 2026-11-29T06:28:49Z; ask", "banned from #a until 07:28; ask"),
            ("until 2026-11-29T23:30:00Z", "until 30 November, 00:30"),
            ("since 2025-01-02T03:04:05Z or 2026-11-29T06:28:49Z", "since 2 January 2025, 04:04 or 07:28"),
            ("Zoë: 2026-11-29T99:28:49Z ZZ", "Zoë: 2026-11-29T99:28:49Z ZZ"),
            ("ééééééééééééééZ", "ééééééééééééééZ"),
            ("", ""),
        ] {
            assert_eq!(local(text, &look, now), want);
        }
        let refused = News::Refused("until 2026-11-29T06:28:49Z".to_owned());
        assert_eq!(
            (
                news(&refused, &[], &mut Head { times: true, rooms: true, last: None }, &look, now),
                look.news(&refused, now)
            ),
            ("no: until 07:28".into(), "✗ until 07:28".into())
        );
    }

    #[test]
    fn progress_is_told_now_and_then() {
        let start = Instant::now();
        let mut told = None;
        let mut lines = Vec::new();
        // (second, percent)
        for (second, done) in
            [(0, 0), (1, 10), (2, 20), (3, 30), (4, 40), (5, 55), (6, 56), (20, 57), (21, 99), (60, 100)]
        {
            let (way, name, speed) = (Way::Down, "cat.png", Some(1.0));
            let transfer = Progress { key: 1, way, file: Some(FileId(7)), name, size: 100, done, speed };
            let (next, line) = progress(&transfer, told, start + Duration::from_secs(second));
            told = next;
            lines.extend(line);
        }
        let want = [
            "fetching cat.png, 100 bytes",
            "fetching cat.png: 30 percent, 70 seconds left",
            "fetching cat.png: 55 percent, 45 seconds left",
            "fetching cat.png: 57 percent, 43 seconds left",
        ];
        assert_eq!(lines, want);
        assert_eq!(
            [1, 60, 100, 5_399, 7_200, 172_800].map(roughly).join(", "),
            "1 second, 60 seconds, 2 minutes, 90 minutes, 2 hours, 2 days"
        );
        // Reading comes before sending, of which the quarters are told again.
        let mut told = None;
        let mut lines = Vec::new();
        for (second, way, done) in
            [(0, Way::Reading, 0), (4, Way::Reading, 55), (8, Way::Up, 2), (9, Way::Up, 30), (30, Way::Up, 100)]
        {
            let transfer = Progress { key: 1, way, file: None, name: "cat.png", size: 100, done, speed: Some(1.0) };
            let (next, line) = progress(&transfer, told, start + Duration::from_secs(second));
            told = next;
            lines.extend(line);
        }
        let want = [
            "sending cat.png, 100 bytes",
            "reading cat.png before it is sent: 55 percent, 45 seconds left",
            "sending cat.png: 2 percent, 2 minutes left",
        ];
        assert_eq!(lines, want);
    }
}
