//! How everything looks: news as lines of text, the status row, and the bytes that put both on a terminal.

pub mod notify;
pub mod pictures;
pub mod terminal;
pub mod width;
pub mod words;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use self::pictures::header::Format;
use self::width::{columns, widest};
use crate::client::model::news::{Mark, News, mark_of};
use crate::client::model::transfer::{PICTURE, Progress, Way};
use crate::names::{Nick, Place};
use crate::text::bytes;
use crate::unicode::fold;
use crate::wire::{self, Rank};

/// Colours of the 256 that can be read on a dark ground and on a light one.
const COLOURS: [u8; 12] = [33, 37, 64, 71, 98, 127, 130, 133, 160, 166, 172, 205];
/// Colours of the 16 that every terminal with colours has, and that can be read on a dark ground.
const FEW_COLOURS: [u8; 5] = [31, 32, 33, 35, 36];
/// Cells of a bar.
const BAR: u64 = 8;

/// Which colours a terminal has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Palette {
    /// None.
    None,
    /// 16.
    Few,
    /// 256 or more.
    Many,
}

impl Palette {
    /// That of the terminal that `TERM` calls so. Most have many by now, whatever they are called.
    pub fn of(term: &str) -> Self {
        let is_hardware = term.strip_prefix("vt").is_some_and(|model| model.starts_with(|c: char| c.is_ascii_digit()));
        if is_hardware || term.ends_with("-mono") {
            Self::None
        } else if term == "linux" || term.ends_with("-16color") {
            Self::Few
        } else {
            Self::Many
        }
    }
}

/// Whether there are colours, and what time it is where we are.
#[derive(Clone, Debug)]
pub struct Look {
    /// Whether there are colours.
    pub colour: bool,
    /// Whether these are 16 and no more.
    pub is_few: bool,
    /// The time zone.
    pub zone: TimeZone,
}

impl Look {
    /// News as one line, without its end.
    pub fn news(&self, news: &News, now: SystemTime) -> String {
        let head = |at: &Option<SystemTime>, place: &Place, mark: &str| {
            let place = self.colour(hash(&place.to_string()), &place.to_string());
            format!("{}{mark}{place}", self.sgr("2", &self.time(at.unwrap_or(now))))
        };
        match news {
            News::Said { place, at, from, text, mark, rank, number, .. } => {
                let sign = if *mark == Mark::ForUs { self.sgr("1;31", "»") } else { " ".to_owned() };
                let line = match wire::action(text) {
                    Some(action) => format!("* {}{} {action}", self.mark(*rank), self.nick(*from)),
                    None => format!("<{}{}> {text}", self.mark(*rank), self.nick(*from)),
                };
                let line = words::numbered(*number) + &line;
                let line = if *mark == Mark::ForUs { self.bold(&line) } else { line };
                format!("{} {line}", head(at, place, &sign))
            }
            News::Happened { place, at, text, .. } => format!("{} {}", head(at, place, " "), self.sgr("2", text)),
            News::Erased { place, at, by, numbers, shown } => {
                let text = words::erased(*by, *numbers, shown, self);
                format!("{} {}", head(at, place, " "), self.sgr("2", &text))
            }
            News::File { place, at, from, file, size, name, .. } => {
                let is_shown = Format::of_name(name).is_some() && *size <= PICTURE;
                let show = if is_shown { format!(" · /show {file}") } else { String::new() };
                let shares = format!("{} shares {name} ({}){show} · /get {file}", self.nick(*from), bytes(*size));
                format!("{} {shares}", head(at, place, " "))
            }
            News::Answer(text) => format!("  {}", words::local(text, self, now)),
            News::Done(text) => self.sgr("2", &format!("  {}", words::local(text, self, now))),
            News::Refused(text) => format!("{} {}", self.sgr("1;31", "✗"), words::local(text, self, now)),
            News::Note(text) => format!("{} {}", self.sgr("36", "·"), words::local(text, self, now)),
        }
    }

    /// The line that tells the day, where another one begins.
    pub fn day(&self, day: Date) -> String {
        self.sgr("2", &format!("— {} —", words::day(day)))
    }

    /// The day of this time, where we are.
    pub fn day_of(&self, at: SystemTime) -> Date {
        self.local(at).date()
    }

    /// The status row, for a window of this width: what matters most comes first into the room there is.
    pub fn status(&self, status: &StatusRow<'_>, width: usize) -> String {
        let mut parts = Vec::new();
        parts.extend(status.link.clone().map(|text| (1, text)));
        parts.push((6, status.server.to_owned()));
        if let Some(nick) = status.nick {
            parts.push((7, nick.to_string()));
            parts.extend(status.online.map(|online| (8, format!("{online} online"))));
        }
        for (n, (place, count)) in status.unread.iter().enumerate() {
            parts.push((4, format!("{}{place} {count}", if n == 0 { "unread " } else { "" })));
        }
        parts.extend(typists(&status.typists).map(|text| (3, text)));
        if status.unsent > 0 {
            parts.push((2, format!("{} unsent", status.unsent)));
        }
        let room = width.saturating_sub(1);
        let with_transfers = |form| {
            let mut parts = parts.clone();
            parts.extend(status.progress.iter().map(|progress| (5, transfer(progress, form))));
            parts
        };
        let long = with_transfers(Form::Long);
        let parts = if wide(&long) <= room { long } else { with_transfers(Form::Short) };
        let text = width::head(&fit(parts, room), room);
        // It ends where its text does: each row that wraps when the window gets narrower moves all rows up in tmux, and ours with
        // them beyond the window, where nobody can erase them.
        self.sgr("7", &text)
    }

    /// A message that is not sure to have been said, for a window of this width.
    pub fn unsure(&self, line: &str, width: usize) -> String {
        self.sgr("2", &width::head(&format!("… {line}"), width.saturating_sub(1)))
    }

    fn sgr(&self, codes: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{codes}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn colour(&self, hash: u32, text: &str) -> String {
        let code = match self.is_few {
            true => FEW_COLOURS[hash as usize % FEW_COLOURS.len()].to_string(),
            false => format!("38;5;{}", COLOURS[hash as usize % COLOURS.len()]),
        };
        self.sgr(&code, text)
    }

    /// The room's own mark of whoever has a rank, which does not look like a part of their name.
    fn mark(&self, rank: Option<Rank>) -> String {
        match rank.map_or("", mark_of) {
            "" => String::new(),
            mark => self.sgr("1", mark),
        }
    }

    fn nick(&self, nick: Nick) -> String {
        self.colour(hash(nick.as_str()), nick.as_str())
    }

    fn bold(&self, line: &str) -> String {
        // The colour of the nick ends in the midst of it, and boldness must not end there.
        if self.colour { format!("\x1b[1m{}\x1b[0m", line.replace("\x1b[0m", "\x1b[0;1m")) } else { line.to_owned() }
    }

    fn local(&self, at: SystemTime) -> Zoned {
        Timestamp::try_from(at).unwrap_or_default().to_zoned(self.zone.clone())
    }

    /// The time of day, where we are.
    pub fn time(&self, at: SystemTime) -> String {
        let at = self.local(at);
        format!("{:02}:{:02}", at.hour(), at.minute())
    }
}

/// What the status row tells.
#[derive(Debug)]
pub struct StatusRow<'a> {
    /// What is to be said of the connection, unless it stands.
    pub link: Option<String>,
    /// Where the server is.
    pub server: &'a str,
    /// What we are called there.
    pub nick: Option<Nick>,
    /// How many are online, if that is known.
    pub online: Option<usize>,
    /// Conversations with unread messages, and how many.
    pub unread: Vec<(Place, usize)>,
    /// Who is typing, and where unless it is here.
    pub typists: Vec<(Nick, Option<Place>)>,
    /// Lines that wait for the server.
    pub unsent: usize,
    /// The transfers.
    pub progress: Vec<Progress<'a>>,
}

/// How much is told of a transfer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Its name, bar, speed and the time that is left.
    Long,
    /// Its name, and how much of it is done.
    Short,
}

/// How far a transfer is.
pub fn transfer(progress: &Progress<'_>, form: Form) -> String {
    let Progress { way, name, size, done, .. } = progress;
    let percent = if *size == 0 { 0 } else { done.saturating_mul(100) / size };
    let sign = match way {
        Way::Reading => "reading",
        Way::Up => "↑",
        Way::Down => "↓",
    };
    if form == Form::Short {
        return format!("{sign} {} {percent}%", width::head(name, 12));
    }
    let full = usize::try_from(percent.min(100) * BAR / 100).unwrap_or_default();
    let bar = "█".repeat(full) + &"░".repeat(usize::try_from(BAR).unwrap_or_default() - full);
    let mut text = format!("{sign} {} {bar} {percent}%", width::head(name, 30));
    if let Some(speed) = progress.speed {
        let _ = write!(text, " {}/s", bytes(speed as u64));
    }
    if let Some(left) = progress.left() {
        let _ = write!(text, " {}", duration(left));
    }
    text
}

fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, minutes, seconds) => format!("{minutes}:{seconds:02}"),
        (hours, minutes, seconds) => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

fn typists(typists: &[(Nick, Option<Place>)]) -> Option<String> {
    let names: Vec<String> = typists
        .iter()
        .take(3)
        .map(|(nick, place)| place.map_or_else(|| nick.to_string(), |place| format!("{nick} in {place}")))
        .collect();
    match (names.len(), typists.len()) {
        (0, _) => None,
        (1, _) => Some(format!("{} is typing", names[0])),
        (shown, all) if shown == all => Some(format!("{} are typing", names.join(", "))),
        (shown, all) => Some(format!("{} and {} more are typing", names.join(", "), all - shown)),
    }
}

/// Those of the parts that fit, the most important first, in the order in which they were given.
fn fit(mut parts: Vec<(u8, String)>, room: usize) -> String {
    while wide(&parts) > room && parts.len() > 1 {
        let least = parts.iter().enumerate().max_by_key(|(_, (rank, _))| *rank).map_or(0, |(at, _)| at);
        parts.remove(least);
    }
    join(&parts)
}

fn wide(parts: &[(u8, String)]) -> usize {
    columns(&join(parts))
}

fn join(parts: &[(u8, String)]) -> String {
    parts.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" · ")
}

/// FNV-1a, so that a name has the same colour everywhere and always.
fn hash(name: &str) -> u32 {
    let name = fold(name);
    name.bytes().map(u32::from).fold(0x811c_9dc5, |hash, byte| (hash ^ byte).wrapping_mul(0x0100_0193))
}

/// The two rows at the end of what is on the terminal: where the input row is, with the status row below it.
///
/// The cursor stays in the input row. So the rows are found again whatever the window's width has become: what is above is
/// known from what stands before the cursor, and all that is below is ours. What is above is erased only where the terminal
/// itself has told both how wide that is and that it has wrapped it: a piece of an old input row may stay, a message may not go.
#[derive(Default, Debug)]
pub struct Rows {
    /// What stands before the cursor, if the rows are drawn.
    drawn: Option<Before>,
    /// The width of the window, in columns; 0 if it may have been another one meanwhile.
    width: usize,
    /// How many rows above the cursor the input row begins, where the terminal has wrapped it.
    above: usize,
    /// What the terminal was asked and has not answered yet, in the order of its answers.
    questions: VecDeque<Question>,
    /// Whether the terminal has been seen to wrap its rows when its window gets narrower.
    wraps: bool,
}

/// What stands before the cursor.
#[derive(Debug)]
struct Before {
    text: String,
    /// How many columns the terminal has made of it, if it has told.
    told: Option<usize>,
}

/// What the terminal is asked with [`WHERE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    /// How many columns what stands before the cursor takes.
    Width,
    /// Where the cursor is in a window of another width. Nothing is drawn until this time, unless it answers.
    Narrowed(Instant),
    /// What has changed since it was asked.
    Stale,
}

/// What of the line that is typed fits into the row. Together both parts are narrower than the row, so that its last column stays free.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Row {
    /// The prompt, and the text up to the cursor.
    pub before: String,
    /// The text from the cursor on.
    pub after: String,
}

/// What the rows hold; a window of one row has no status row.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Drawn {
    /// The input row.
    pub row: Row,
    /// The status row.
    pub status: Option<String>,
    /// What stands between both: messages that are not sure yet.
    pub unsure: Vec<String>,
}

/// Asks the terminal where its cursor is.
const WHERE: &str = "\x1b[6n";
/// Columns that hardly a window is narrower than. The width of what takes no more is not asked for.
const SHORT: usize = 12;
/// How long a terminal may take to say where its cursor is.
const ANSWER: Duration = Duration::from_secs(1);
/// Answers that may be to come; a terminal that answers none is not asked for ever.
const QUESTIONS: usize = 64;

impl Before {
    /// How many rows above the cursor it begins, if the terminal has wrapped it at `width`, and says that the cursor is in
    /// this column, from 1. `None` if the cursor would not be there then, or if it is not known how wide this is.
    fn wrapped(&self, width: usize, column: usize) -> Option<usize> {
        let told = self.told?;
        let beyond = told.saturating_sub(column - 1);
        let rows = beyond.div_ceil(width);
        // The last column of a row stays free where a wide character has no room. Some terminals count it, some do not.
        let free = rows * width - beyond;
        if free <= if width::has_wide(&self.text) { rows } else { 0 } {
            return Some(rows);
        }
        // Behind a full row, the cursor stands on its last column or on the first of the next one. Blanks that are left over for
        // the next one are no reason to begin it.
        let blanks = self.text.len() - self.text.trim_end().len();
        (told / width).checked_sub(1).filter(|_| column == width && told % width <= blanks)
    }
}

impl Rows {
    /// The window may have another width. Returns what is to be asked of the terminal: whether it has wrapped the input row
    /// or cut it off cannot be known from here.
    pub fn resize(&mut self, width: usize, now: Instant) -> Option<&'static str> {
        if width == self.width {
            return None;
        }
        self.width = width;
        self.above = 0;
        for question in &mut self.questions {
            if matches!(question, Question::Narrowed(_)) {
                *question = Question::Stale;
            }
        }
        let is_beyond = |before: &Before| before.told.unwrap_or_else(|| widest(&before.text)) >= width;
        self.drawn.as_ref().filter(|before| is_beyond(before))?;
        self.ask(Question::Narrowed(now + ANSWER))
    }

    /// The window may have had another width meanwhile, though it has the same now.
    pub fn disturb(&mut self) {
        self.width = 0;
    }

    /// Returns what is to be written to ask that, unless the terminal does not seem to answer.
    fn ask(&mut self, question: Question) -> Option<&'static str> {
        if self.questions.len() >= QUESTIONS {
            return None;
        }
        self.questions.push_back(question);
        Some(WHERE)
    }

    /// The terminal says in which column, from 1, its cursor is.
    pub fn answer(&mut self, column: usize) {
        let question = self.questions.pop_front();
        let Some(before) = self.drawn.as_mut().filter(|_| column > 0) else { return };
        match question {
            Some(Question::Width) => before.told = Some(column - 1),
            Some(Question::Narrowed(_)) if self.width > 0 => {
                let rows = before.wrapped(self.width, column).filter(|&rows| rows > 0);
                // A terminal that cuts rows off leaves the cursor in the last column. Where a wrapped row has it there too, what
                // the terminal did before decides.
                self.wraps |= rows.is_some() && column < self.width;
                self.above = rows.filter(|_| self.wraps).unwrap_or(0);
            }
            Some(Question::Narrowed(_) | Question::Stale) | None => {}
        }
    }

    /// Whether an answer is still to come.
    pub fn is_asking(&self) -> bool {
        !self.questions.is_empty()
    }

    /// Until when nothing can be drawn, as it is not known where.
    pub fn waits(&self, now: Instant) -> Option<Instant> {
        let waits = |question: &Question| match question {
            Question::Narrowed(until) => Some(*until).filter(|&until| now < until),
            Question::Width | Question::Stale => None,
        };
        self.questions.iter().find_map(waits)
    }

    /// Draws the rows anew, below `above`, whole lines that are printed for good.
    pub fn draw(&mut self, above: &str, Drawn { row, status, unsure }: &Drawn) -> String {
        // Nobody is to see the rows half drawn. Wrapping is off so that a window that has just become smaller does not take
        // one row for two.
        let mut out = String::from("\x1b[?2026h\x1b[?25l");
        self.erase(&mut out);
        out.push_str(above);
        out.push_str("\x1b[?7l");
        let below = unsure.iter().chain(status).inspect(|line| {
            let _ = write!(out, "\r\n{line}");
        });
        let count = below.count();
        if count > 0 {
            let _ = write!(out, "\x1b[{count}A\r");
        }
        out.push_str(&row.before);
        // The terminal itself knows best how wide that is, and whether its window had room for it. It is asked right there, so
        // that no other size can come between.
        if widest(&row.before) > SHORT || !width::is_certain(&row.before) {
            out.push_str(self.ask(Question::Width).unwrap_or_default());
        }
        if !row.after.is_empty() {
            let _ = write!(out, "\x1b7{}\x1b8", row.after);
        }
        out.push_str("\x1b[?7h\x1b[?25h\x1b[?2026l");
        self.drawn = Some(Before { text: row.before.clone(), told: None });
        out
    }

    /// Takes the rows away, and leaves the cursor where they were.
    pub fn clear(&mut self) -> String {
        let mut out = String::new();
        self.erase(&mut out);
        self.drawn = None;
        out
    }

    fn erase(&mut self, out: &mut String) {
        if self.drawn.is_some() && self.above > 0 {
            let _ = write!(out, "\x1b[{}A", self.above);
        }
        self.above = 0;
        self.questions.iter_mut().for_each(|question| *question = Question::Stale);
        // tmux keeps what is erased from the first cell of the window on, so this begins one further.
        out.push_str("\r\x1b[K\x1b[C\x1b[J\r");
    }
}

/// Text for the terminal, each line ended in the way that works whatever mode the terminal is in.
pub fn lines<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.fold(String::new(), |out, line| out + line + "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::news::Age;
    use crate::names::FileId;

    fn look(colour: bool) -> Look {
        Look { colour, is_few: false, zone: TimeZone::fixed(jiff::tz::offset(1)) }
    }

    fn shown(news: &News) -> String {
        look(false).news(news, SystemTime::UNIX_EPOCH)
    }

    fn said(place: &str, from: &str, text: &str, mark: Mark) -> News {
        let at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(48_600));
        News::Said {
            place: Place::new(place).unwrap(),
            at,
            from: Nick::new(from).unwrap(),
            text: text.to_owned(),
            mark,
            age: Age::New,
            rank: None,
            number: None,
        }
    }

    #[test]
    fn how_news_look() {
        assert_eq!(shown(&said("#lobby", "bob", "hi  all", Mark::Plain)), "14:30 #lobby <bob> hi  all");
        assert_eq!(shown(&said("#lobby", "bob", "/me waves", Mark::Plain)), "14:30 #lobby * bob waves");
        assert_eq!(shown(&said("#lobby", "bob", "alice?", Mark::ForUs)), "14:30»#lobby <bob> alice?");
        assert_eq!(shown(&said("@bob", "alice", "yes", Mark::Own)), "14:30 @bob <alice> yes");
        let file = |name: &str, size: u64| {
            let (place, from) = (Place::new("#lobby").unwrap(), Nick::new("alice").unwrap());
            shown(&News::File { place, at: None, from, file: FileId(7), size, name: name.to_owned(), age: Age::New })
        };
        assert_eq!(file("cat.png", 48_213), "01:00 #lobby alice shares cat.png (47 kB) · /show 7 · /get 7");
        assert_eq!(file("cat.txt", 48_213), "01:00 #lobby alice shares cat.txt (47 kB) · /get 7");
        // It would be fetched and not shown.
        assert_eq!(file("cat.png", PICTURE + 1), "01:00 #lobby alice shares cat.png (12 MB) · /get 7");
    }

    #[test]
    fn colours_are_steady_and_end_where_they_should() {
        let line = look(true).news(&said("#lobby", "bob", "alice?", Mark::ForUs), SystemTime::UNIX_EPOCH);
        assert_eq!(hash("bob"), hash("BOB"));
        let nick = format!("\x1b[38;5;{}mbob\x1b[0;1m", COLOURS[hash("bob") as usize % COLOURS.len()]);
        assert!(line.contains(&format!("\x1b[1m<{nick}> alice?\x1b[0m")), "{line:?}");
    }

    #[test]
    fn no_terminal_gets_colours_that_it_has_not() {
        for (term, want) in [
            ("xterm-256color", Palette::Many),
            ("tmux-256color", Palette::Many),
            ("xterm", Palette::Many),
            ("weird", Palette::Many),
            ("", Palette::Many),
            ("linux", Palette::Few),
            ("xterm-16color", Palette::Few),
            ("vt100", Palette::None),
            ("vt220-am", Palette::None),
            ("xterm-mono", Palette::None),
        ] {
            assert_eq!(Palette::of(term), want, "{term}");
        }
        for news in [said("#lobby", "bob", "alice?", Mark::ForUs), said("#dev", "carol", "hi", Mark::Plain)] {
            let line = Look { is_few: true, ..look(true) }.news(&news, SystemTime::UNIX_EPOCH);
            assert!(line.contains("\x1b[3") && !line.contains("38;5;"), "{line:?}");
        }
    }

    #[test]
    fn sizes_and_times_for_people() {
        for (count, want) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 kB"),
            (48_213, "47 kB"),
            (20 << 20, "20 MB"),
            (3 << 29, "1.5 GB"),
            (u64::MAX, "16777216 TB"),
        ] {
            assert_eq!(bytes(count), want);
        }
        assert_eq!(duration(Duration::from_secs(65)), "1:05");
        assert_eq!(duration(Duration::from_secs(3_665)), "1:01:05");
    }

    fn status(link: Option<&str>) -> StatusRow<'static> {
        let (place, nick) = (|name| Place::new(name).unwrap(), |name| Nick::new(name).unwrap());
        let progress = Progress {
            key: 1,
            way: Way::Down,
            file: Some(FileId(7)),
            name: "cat.png",
            size: 1000,
            done: 450,
            speed: Some(100.0),
        };
        StatusRow {
            link: link.map(str::to_owned),
            server: "127.0.0.1:2428",
            nick: Some(nick("alice")),
            online: Some(3),
            unread: vec![(place("#dev"), 3), (place("@bob"), 1)],
            typists: vec![(nick("bob"), None), (nick("carol"), Some(place("#dev")))],
            unsent: 0,
            progress: vec![progress],
        }
    }

    #[test]
    fn the_status_row_keeps_what_matters_most() {
        let row = |width| look(false).status(&status(None), width);
        assert_eq!(
            row(160),
            "127.0.0.1:2428 · alice · 3 online · unread #dev 3 · @bob 1 · bob, carol in #dev are typing · \
             ↓ cat.png ███░░░░░ 45% 100 bytes/s 0:05"
        );
        assert_eq!(row(80), "unread #dev 3 · @bob 1 · bob, carol in #dev are typing · ↓ cat.png 45%");
        let reconnecting = |width| look(false).status(&status(Some("reconnecting in 4 s")), width);
        assert!(reconnecting(40).starts_with("reconnecting in 4 s"), "{}", reconnecting(40));
        for width in 0..200 {
            assert!(columns(&row(width)) < width.max(1), "{width}");
            assert!(columns(&reconnecting(width)) < width.max(1), "{width}");
        }
    }

    /// Rows that have drawn this before the cursor, in a window of 120 columns where the terminal makes so many of it.
    fn drawn(before: &str, told: usize) -> Rows {
        let mut rows = asking(before);
        rows.answer(told + 1);
        // What is short is not asked for.
        rows.drawn.as_mut().unwrap().told = Some(told);
        rows
    }

    /// Rows that have drawn this before the cursor, and wait for how wide that is.
    fn asking(before: &str) -> Rows {
        let mut rows = Rows::default();
        rows.resize(120, Instant::now());
        rows.draw(
            "",
            &Drawn { row: Row { before: before.to_owned(), after: String::new() }, status: None, unsure: Vec::new() },
        );
        rows
    }

    /// How many rows above the cursor they begin, in a window of this width where the terminal has the cursor in this column.
    fn narrowed(rows: &mut Rows, width: usize, column: usize) -> usize {
        if rows.resize(width, Instant::now()).is_some() {
            rows.answer(column);
        }
        rows.above
    }

    #[test]
    fn where_the_input_row_is_after_its_window_became_smaller() {
        // (what stands before the cursor, the width, the column that the terminal tells, rows above)
        for (before, width, column, want) in [
            ("0123456789", 8, 3, 1),
            ("0123456789", 4, 3, 2),
            ("0123456789", 8, 8, 0),
            ("01234567", 4, 1, 2),
            // Free columns where a wide character has no room are counted by some terminals, and not by others.
            ("日本語日本", 5, 3, 2),
            ("日本語日本", 5, 1, 2),
            ("日本語日本", 5, 5, 0),
            // Whether it is wrapped or cut off there cannot be told.
            ("01234567", 4, 4, 0),
            ("", 5, 1, 0),
            // Nothing that is known explains that.
            ("0123456789", 8, 5, 0),
        ] {
            let mut rows = drawn(before, columns(before));
            assert_eq!(narrowed(&mut rows, width, column), want, "{before} {width} {column}");
        }
    }

    #[test]
    fn what_the_terminal_did_before_decides_where_both_would_do() {
        let (mut wraps, mut cuts) = (drawn("0123456789abcdef", 16), drawn("0123456789abcdef", 16));
        assert_eq!((narrowed(&mut wraps, 10, 7), narrowed(&mut cuts, 10, 10)), (1, 0));
        assert_eq!((narrowed(&mut wraps, 8, 8), narrowed(&mut cuts, 8, 8)), (1, 0));
        // A blank that is left over does not begin another row.
        let mut wraps = drawn("0123456789abcdef ", 17);
        assert_eq!((narrowed(&mut wraps, 10, 8), narrowed(&mut wraps, 8, 8)), (1, 1));
    }

    #[test]
    fn the_terminal_tells_how_wide_what_it_shows_is() {
        // Thirty columns here, and fewer or more elsewhere.
        let text = "1️⃣2️⃣3️⃣".repeat(5);
        for told in [15, 30, 45] {
            let mut rows = asking(&text);
            assert!(rows.is_asking());
            rows.answer(told + 1);
            assert!(!rows.is_asking());
            assert_eq!(narrowed(&mut rows, 12, told % 12 + 1), told / 12, "{told}");
        }
        // It tells so only after it was asked something else, and the answers are not mistaken for each other.
        let mut rows = asking(&text);
        rows.resize(12, Instant::now());
        rows.answer(31);
        assert!(rows.waits(Instant::now()).is_some());
        rows.answer(7);
        assert_eq!(rows.above, 2);
        // What is drawn meanwhile is not what it tells of.
        let mut rows = asking(&text);
        rows.draw(
            "",
            &Drawn { row: Row { before: "> ".to_owned(), after: String::new() }, status: None, unsure: Vec::new() },
        );
        rows.answer(31);
        assert!(!rows.is_asking());
        assert_eq!(rows.resize(12, Instant::now()), None);
    }

    #[test]
    fn in_doubt_what_is_above_is_not_erased() {
        let text = "0123456789abcdef0123456789abc";
        // It wraps, but had become narrower just before this was drawn, and cut it off.
        let mut rows = drawn(text, 29);
        assert_eq!(narrowed(&mut rows, 20, 10), 1);
        rows.resize(120, Instant::now());
        rows.draw(
            "",
            &Drawn { row: Row { before: text.to_owned(), after: String::new() }, status: None, unsure: Vec::new() },
        );
        assert!(rows.resize(15, Instant::now()).is_some());
        rows.answer(15);
        rows.answer(15);
        assert_eq!(rows.above, 0);
        // It has not told how wide that is.
        let mut rows = asking(text);
        rows.wraps = true;
        rows.questions.clear();
        assert_eq!(narrowed(&mut rows, 15, 15), 0);
        assert_eq!(narrowed(&mut rows, 14, 2), 0);
        // The window has been another one since it was asked.
        let mut rows = drawn(text, 29);
        rows.resize(20, Instant::now());
        rows.disturb();
        rows.answer(10);
        assert_eq!(rows.above, 0);
        assert!(rows.resize(20, Instant::now()).is_some());
    }
}
