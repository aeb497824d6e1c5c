//! How everything reads: news and progress in words alone, without a sign that would have to be read out.

use std::time::{Duration, Instant, SystemTime};

use jiff::civil::Date;

use super::{Look, bytes};
use crate::client::model::news::{News, mark_of};
use crate::client::model::transfer::{Progress, Way};
use crate::names::{FileId, Nick};
use crate::text::counted;
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

/// News as one line, without its end.
pub fn news(news: &News, look: &Look, now: SystemTime) -> String {
    let time = look.time(news.at().unwrap_or(now));
    match news {
        News::Said { place, from, text, rank, number, .. } => {
            let (mark, number) = (rank.map_or("", mark_of), numbered(*number));
            match wire::action(text) {
                Some(action) => format!("{time} {place} {number}* {mark}{from} {action}"),
                None => format!("{time} {place} {number}<{mark}{from}> {text}"),
            }
        }
        News::Erased { place, by, numbers, shown, .. } => {
            format!("{time} {place} {}", erased(*by, *numbers, shown, look))
        }
        News::Happened { place, text, .. } => format!("{time} {place} {text}"),
        News::File { place, from, file, size, name, .. } => {
            format!("{time} {place} {from} shares {name}, {}; /get {file} saves it", bytes(*size))
        }
        News::Answer(text) => text.clone(),
        // Without that word it would read as something to be done.
        News::Done(text) => format!("done: {text}"),
        News::Refused(text) => format!("no: {text}"),
        News::Note(text) => format!("note: {text}"),
    }
}

/// The number of a message, before who said it.
pub fn numbered(number: Option<u64>) -> String {
    number.map(|number| format!("({number}) ")).unwrap_or_default()
}

/// That messages were taken back, and which: what was shown of them is named and not told once more.
pub fn erased(by: Nick, (first, last): (u64, u64), shown: &[(Nick, SystemTime)], look: &Look) -> String {
    let what = if first == last { format!("message {first}") } else { format!("messages {first} to {last}") };
    let named = |(nick, at): &(Nick, SystemTime)| format!("{nick}'s of {}", look.time(*at));
    let names: Vec<String> = shown.iter().take(NAMED).map(named).collect();
    let more = shown.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let sign = if names.is_empty() { "" } else { ": " };
    format!("{by} took {what} back{sign}{}{more}", names.join(", "))
}

/// The line that tells the day, where another one begins.
pub fn day(day: Date) -> String {
    let weekday = WEEKDAYS[usize::from(day.weekday().to_monday_zero_offset().unsigned_abs())];
    let month = MONTHS[usize::from(day.month().unsigned_abs()) - 1];
    format!("{weekday}, {} {month} {}", day.day(), day.year())
}

/// What was told of a transfer last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    at: Instant,
    /// Quarters that were done then.
    quarters: u64,
    percent: u64,
}

/// What tells a transfer from others: an upload has no ID at first, and a download no name.
pub fn key(progress: &Progress<'_>) -> (Option<FileId>, String) {
    match progress.way {
        Way::Down => (progress.file, String::new()),
        Way::Reading | Way::Up => (None, progress.name.to_owned()),
    }
}

/// What is to be told of a transfer now, and what has been told then: that it begins, then each quarter, or every ten seconds.
pub fn progress(progress: &Progress<'_>, told: Option<Told>, now: Instant) -> (Option<Told>, Option<String>) {
    let Progress { way, name, size, done, .. } = progress;
    let percent = done.saturating_mul(100) / (*size).max(1);
    let is_now = Told { at: now, quarters: percent / 25, percent };
    let Some(before) = told else {
        // How large a file is that is fetched is not known at first.
        if *way == Way::Down && *size == 0 {
            return (None, None);
        }
        let what = if *way == Way::Down { "fetching" } else { "sending" };
        return (Some(is_now), Some(format!("{what} {name}, {}", bytes(*size))));
    };
    let since = now.saturating_duration_since(before.at);
    let is_due = is_now.quarters > before.quarters && since >= PACE || percent > before.percent && since >= SLOWEST;
    if !is_due || percent >= 100 {
        return (told, None);
    }
    let reading = if *way == Way::Reading { " read" } else { "" };
    let left = progress.left().map(|left| format!(", {} left", span(left))).unwrap_or_default();
    (Some(is_now), Some(format!("{name}: {percent} percent{reading}{left}")))
}

/// A span of time, roughly.
fn span(time: Duration) -> String {
    let (count, unit) = match time.as_secs() {
        seconds @ 0..90 => (seconds.max(1), "second"),
        seconds @ 90..5_400 => ((seconds + 30) / 60, "minute"),
        seconds => ((seconds + 1_800) / 3_600, "hour"),
    };
    counted(count, unit)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::client::model::news::{Age, Mark};
    use crate::names::Place;
    use crate::wire::Rank;

    #[test]
    fn news_are_words() {
        let look = Look { colour: false, zone: TimeZone::fixed(jiff::tz::offset(1)) };
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
        let file = News::File { place, at, from, file: FileId(7), size: 2_048, name: "cat.png".to_owned() };
        for (told, want) in [
            (said("hi"), "14:30 #lobby <@bob> hi"),
            (said("/me waves"), "14:30 #lobby * @bob waves"),
            (erased((41, 41), 0), "14:30 #lobby alice took message 41 back"),
            (erased((41, 42), 1), "14:30 #lobby alice took messages 41 to 42 back: bob's of 14:30"),
            (file, "14:30 #lobby bob shares cat.png, 2.0 KB; /get 7 saves it"),
            (News::Refused("not so".to_owned()), "no: not so"),
            (News::Done("leave #club".to_owned()), "done: leave #club"),
        ] {
            assert_eq!(news(&told, &look, SystemTime::UNIX_EPOCH), want);
        }
        assert_eq!(day(look.day_of(SystemTime::UNIX_EPOCH)), "Thursday, 1 January 1970");
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
            let transfer = Progress { way, file: Some(FileId(7)), name, size: 100, done, speed };
            let (next, line) = progress(&transfer, told, start + Duration::from_secs(second));
            told = next;
            lines.extend(line);
        }
        let want = [
            "fetching cat.png, 100 bytes",
            "cat.png: 30 percent, 70 seconds left",
            "cat.png: 55 percent, 45 seconds left",
            "cat.png: 57 percent, 43 seconds left",
        ];
        assert_eq!(lines, want);
        assert_eq!(
            [1, 60, 100, 5_399, 7_200].map(|n| span(Duration::from_secs(n))).join(", "),
            "1 second, 60 seconds, 2 minutes, 90 minutes, 2 hours"
        );
    }
}
