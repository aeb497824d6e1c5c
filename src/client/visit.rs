//! What a person does on a server, however it is shown to them: what they type is carried out, and what there is to be shown
//! comes out. [`chat`](super::chat) shows it on a screen, [`plain`](super::plain) line by line.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::Token;

use crate::client::Client;
use crate::client::model::fold::Fold;
use crate::client::model::news::{News, Taken, TransferRequest};
use crate::client::model::session::{Wish, is_quit};
use crate::client::model::transfer::{Progress, Way};
use crate::client::saved;
use crate::client::wire::paths;
use crate::client::wire::server::Server;
use crate::client::wire::transfers::{self, Keep, Picture, TransferEnd};
use crate::listener::reason;
use crate::names::{FileId, Nick, Place};
use crate::text::{counted, roughly};

/// Transfers that may be under way or wait for their turn.
const TRANSFERS: usize = 100;
/// How long the server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long the server may answer none of what was said before that.
const ANSWERS: Duration = Duration::from_secs(8);
/// How long the server may take to be told that the person has gone, if they wait for nothing.
const PARTING: Duration = Duration::from_millis(500);
/// How long the question stands whether the person means to leave with files on their way.
const WARNED: Duration = Duration::from_secs(15);
/// How many lines that have not been said are told at the end.
const LEFT: usize = 20;
/// How often the bell rings at most.
pub const RINGING: Duration = Duration::from_secs(1);

/// Whether there is a bell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bell {
    /// It rings for what is said to us.
    Rings,
    /// Never.
    Silent,
}

/// What `chinwag connect` was told.
#[derive(Debug)]
pub struct Options {
    /// The server.
    pub server: Server,
    /// What to begin with.
    pub wish: Wish,
    /// Where to save what is fetched.
    pub downloads: PathBuf,
    /// Whether there are colours.
    pub colour: bool,
    /// Whether there is a bell.
    pub bell: Bell,
    /// Whether to fold who comes and goes.
    pub fold: bool,
    /// Whether plain text tells when something was said.
    pub times: bool,
    /// Whether plain text tells each time in which room, and not only where that is another one than before.
    pub rooms: bool,
}

/// What is to be shown next.
#[derive(Debug)]
pub enum Shown {
    /// A piece of news.
    News(News),
    /// A picture that was fetched to be shown.
    Picture(Picture),
}

/// A person's visit.
pub struct Visit {
    /// The client that it goes through.
    pub client: Client,
    /// Where the server is, as HOST:PORT.
    pub address: String,
    /// Where what is fetched is saved.
    pub downloads: PathBuf,
    fold: Fold,
    /// Since when there have been messages all the time that are not sure, or commands that have no answer.
    unsure: Option<Instant>,
    /// Since when the person wants to leave and so many lines are not said or not answered yet.
    quitting: Option<(Instant, usize)>,
    /// When the person wanted to leave and was told which files do not get there then, if they have typed nothing else since.
    warned: Option<Instant>,
    /// The path that was typed or dropped last, and not said.
    dropped: Option<String>,
    shown: VecDeque<Shown>,
    /// Whether something that was typed could not be taken, or a file did not get there whole.
    pub has_failed: bool,
}

impl Visit {
    /// The visit that was asked for.
    pub fn new(options: Options) -> Result<Self, String> {
        let Options { server, wish, downloads, fold: is_on, .. } = options;
        let address = server.address.to_string();
        let mut fold = Fold::default();
        fold.set(is_on, &mut VecDeque::new());
        let mut client = Client::new(server, wish, downloads.clone()).map_err(|e| reason(&e))?;
        client.session.left = client.session.has_person().then(|| saved::left(&address)).flatten();
        let shown = VecDeque::new();
        let (unsure, quitting, warned, dropped) = (None, None, None, None);
        let has_failed = false;
        Ok(Self { client, address, downloads, fold, unsure, quitting, warned, dropped, shown, has_failed })
    }

    /// One turn of the client, and what came of it. It is an error if the server cannot be reached, or turns us away, before it
    /// has ever let us in, or puts us out for good.
    pub fn turn(&mut self, until: Option<Instant>) -> Result<Vec<Token>, String> {
        let until = [until, self.goodbye(), self.fold.due()].into_iter().flatten().min();
        let tokens = self.client.turn(until)?;
        self.gather();
        Ok(tokens)
    }

    /// The next thing to be shown.
    pub fn poll(&mut self) -> Option<Shown> {
        if self.shown.is_empty() {
            self.gather();
        }
        self.shown.pop_front()
    }

    /// Files of which the person may know, those that are on their way among them.
    pub fn files(&self) -> Vec<FileId> {
        let under_way = self.client.transfers.progress(Instant::now()).filter_map(|progress| progress.file);
        self.client.session.talks.files().iter().copied().chain(under_way).collect()
    }

    /// Messages that are not sure to have been said, since `age` or longer; the oldest first.
    pub fn unsure(&self, age: Duration) -> impl Iterator<Item = String> {
        let is_old = self.unsure.is_some_and(|since| since.elapsed() >= age);
        let session = &self.client.session;
        is_old.then(|| session.unanswered().chain(session.unsent())).into_iter().flatten()
    }

    /// When [`Visit::unsure`] may first tell of messages that are not sure since `age`.
    pub fn unsure_at(&self, age: Duration) -> Option<Instant> {
        self.unsure.map(|since| since + age).filter(|&at| at > Instant::now())
    }

    /// When the server will have been silent for `age` since a message or a command that has no answer.
    pub fn silent_at(&self, age: Duration) -> Option<Instant> {
        self.unsure.map(|since| since.max(self.client.link.heard()) + age)
    }

    /// Says lines that were pasted and that the person has confirmed, as far as they can be taken: what keeps one of them from being
    /// said, as nobody hears it or too much waits, keeps all that follow.
    pub fn say(&mut self, lines: &[String], now: Instant) {
        for (n, line) in lines.iter().enumerate() {
            if !self.meant(line, now) {
                let left = lines.len() - n;
                let all = counted(lines.len() as u64, "line");
                return self.tell(News::Refused(format!("not said: {left} of {all}")));
            }
        }
    }

    /// Carries out a line that a person has typed, or dropped: a file that is dropped into a terminal is typed there as its path,
    /// which nobody means to say. Whether it could be taken.
    pub fn typed(&mut self, line: &str, now: Instant) -> bool {
        let dropped = self.dropped.take();
        let target = self.client.session.talks.target();
        if let Some(place) = target
            && self.client.session.asks_secret().is_none()
            && dropped.as_deref() != Some(line)
            && paths::is_dropped(line.trim())
        {
            self.dropped = Some(line.to_owned());
            let say = if line.starts_with('/') { "" } else { ", or type it once more to say it as it is" };
            self.tell(News::Refused(format!("that is a file; /send {} shares it with {place}{say}", line.trim())));
        } else if !(line.starts_with('/') && is_quit(line) && self.warns(now)) {
            self.warned = None;
            let taken = self.client.session.typed(line, now);
            return self.carry_out(taken);
        }
        false
    }

    /// Carries out a line that is meant as it stands. Whether it could be taken.
    pub fn meant(&mut self, line: &str, now: Instant) -> bool {
        let taken = self.client.session.meant(line, now);
        self.carry_out(taken)
    }

    fn carry_out(&mut self, taken: Taken) -> bool {
        let done = match taken {
            Taken::Yes => Ok(()),
            Taken::Transfer(request) => self.transfer(request),
            Taken::Fold(change) => {
                self.fold(change);
                Ok(())
            }
            Taken::Set(name, is_on) => {
                if let Err(e) = saved::remember(name, is_on) {
                    self.tell(News::Note(format!(
                        "this run alone has it so, as it cannot be remembered: {}",
                        reason(&e)
                    )));
                }
                Ok(())
            }
            Taken::No(why) => Err(why),
        };
        let is_done = done.is_ok();
        self.has_failed |= !is_done;
        done.unwrap_or_else(|why| self.tell(News::Refused(why)));
        is_done
    }

    /// Leaves, once all that was typed has been said. Whether that was asked for already: then the person does not want to wait.
    pub fn leave(&mut self, now: Instant) -> bool {
        let is_second = self.quitting.is_some();
        if !is_second && !self.warns(now) {
            self.meant("/quit", now);
        }
        is_second
    }

    /// Whether files are on their way, or wait for that.
    pub fn has_transfers(&self) -> bool {
        !self.client.transfers.is_empty() || self.client.session.has_files()
    }

    /// Tells a person who wants to leave that files do not get there then, and has them say it once more. Whether that was told now.
    fn warns(&mut self, now: Instant) -> bool {
        let session = &self.client.session;
        let is_asked = self.has_transfers() && session.has_person() && !session.is_quitting();
        if !is_asked || self.warned.replace(now).is_some_and(|at| now < at + WARNED) {
            return false;
        }
        let names: Vec<_> = self.client.transfers.progress(Instant::now()).map(|progress| called(&progress)).collect();
        let what = match &names[..] {
            [] => "a file waits".to_owned(),
            [name] => format!("{name} is on its way"),
            [name, ..] => format!("{name} and {} more are on their way", names.len() - 1),
        };
        self.tell(News::Refused(format!(
            "{what}, and leaving stops that; leave once more, by /quit or Ctrl-D, if you mean it"
        )));
        true
    }

    /// What is to be told at the end of files that did not get there.
    pub fn stopped(&self) -> Vec<String> {
        let told = |progress: Progress<'_>| match (progress.way, progress.file) {
            (Way::Down, Some(file)) => {
                format!("not fetched: {}; /get {file} goes on where it stopped", called(&progress))
            }
            _ => format!("not sent: {}", called(&progress)),
        };
        let progress = self.client.transfers.progress(Instant::now());
        progress.filter(|_| self.client.session.has_person()).map(told).collect()
    }

    /// The program ends, however that comes. The server is told, so that it keeps no place for somebody who has left.
    pub fn part(&mut self) {
        let until = Instant::now() + PARTING;
        let session = &mut self.client.session;
        session.part();
        let newest = session.talks.iter().filter_map(|talk| talk.seen.last_at()).chain(session.left).max();
        if let Some(at) = newest.filter(|_| session.has_person()) {
            // Where it cannot be remembered, nothing is told to be new.
            let _ = saved::leave(&self.address, at);
        }
        while self.client.link.is_up() && Instant::now() < until && self.client.turn(Some(until)).is_ok() {}
    }

    /// Whether the person has left, or has waited long enough for that.
    pub fn is_over(&self) -> bool {
        let now = Instant::now();
        let is_gone = !self.client.link.is_up() && !self.client.session.is_blinking(now);
        self.goodbye().is_some_and(|end| is_gone || now >= end)
    }

    /// What is to be told at the end: lines of which it is not known whether they were said, or that were not.
    pub fn left(&self) -> Vec<String> {
        let session = &self.client.session;
        let unanswered = session.unanswered().map(|line| format!("may not have arrived: {line}"));
        let mut left: Vec<String> =
            unanswered.chain(session.unsent().map(|line| format!("not sent: {line}"))).collect();
        let last = left.last().cloned().unwrap_or_default();
        let more = left.len().saturating_sub(LEFT);
        left.truncate(LEFT);
        left.extend((more > 0).then(|| format!("and {more} more, up to: {last}")));
        left
    }

    /// Shows something, after all that is to be shown already.
    pub fn tell(&mut self, news: News) {
        self.gather();
        self.shown.push_back(Shown::News(news));
    }

    /// When the server has had time enough to say goodbye, if it was asked to.
    fn goodbye(&self) -> Option<Instant> {
        self.quitting.map(|(since, left)| since + if left > 0 { ANSWERS } else { GOODBYE })
    }

    /// Sets whether who comes and goes is folded, if that is to change, and tells how it is.
    fn fold(&mut self, change: Option<bool>) {
        let mut kept = Ok(());
        if let Some(is_on) = change {
            let mut out = VecDeque::new();
            self.fold.set(is_on, &mut out);
            self.shown.extend(out.into_iter().map(Shown::News));
            // The next run begins so too.
            kept = saved::remember("fold", is_on);
        }
        let told =
            if self.fold.is_on() { "who comes and goes is only counted" } else { "who comes and goes is told by name" };
        let kept = kept.map_or_else(|e| format!(", but that cannot be remembered: {}", reason(&e)), |()| String::new());
        self.tell(News::Note(format!("{told}{kept}")));
    }

    fn transfer(&mut self, request: TransferRequest) -> Result<(), String> {
        if self.client.transfers.progress(Instant::now()).count() >= TRANSFERS
            && !matches!(request, TransferRequest::Cancel(_) | TransferRequest::CancelNamed(_))
        {
            return Err(format!("{TRANSFERS} files are on their way or wait already; wait for one"));
        }
        match request {
            TransferRequest::Send(place, path) => {
                let (source, name) = transfers::open(&path).map_err(|why| match place {
                    // The first word of a name with blanks is taken for somebody's.
                    Place::With(_) => {
                        format!("{why}; it was for {place}: if that is part of its name, put the whole name in quotes")
                    }
                    Place::Room(_) => why + &behind(&path),
                })?;
                self.client.transfers.send(place, source, name);
                Ok(())
            }
            TransferRequest::Get(file) => self.client.transfers.get(file, Keep::Folder),
            TransferRequest::Show(file, extent) => self.client.transfers.get(file, Keep::Show(extent)),
            TransferRequest::CancelNamed(name) => {
                let name = self.client.transfers.stop_named(&name)?;
                self.tell(News::Note(format!("{name} is not sent")));
                Ok(())
            }
            TransferRequest::Cancel(file) => {
                match self.client.transfers.stop(file) {
                    Some((Way::Down, name)) => {
                        self.tell(News::Note(format!("{name} is fetched no more; /get {file} goes on with it")));
                    }
                    Some((_, name)) => self.tell(News::Note(format!("{name} is not sent"))),
                    None if self.client.session.is_in() => self.client.session.ask_cancel(file),
                    None => return Err("there is no connection; try again when there is".into()),
                }
                Ok(())
            }
        }
    }

    /// Takes what there is to be shown, and notes since when what is so.
    fn gather(&mut self) {
        let now = Instant::now();
        let mut out = VecDeque::new();
        while let Some(news) = self.client.session.poll_news() {
            self.fold.take(news, now, &mut out);
        }
        self.fold.release(now, &mut out);
        self.shown.extend(out.into_iter().map(Shown::News));
        while let Some(request) = self.client.session.poll_file() {
            if let Err(why) = self.transfer(request) {
                self.has_failed = true;
                self.shown.push_back(Shown::News(News::Refused(why)));
            }
        }
        self.warned = self.warned.filter(|_| self.has_transfers());
        while let Some(end) = self.client.transfers.poll_end() {
            self.shown.push_back(match end {
                TransferEnd::Sent { file, place, name } => {
                    self.client.session.talks.hear_of_file(file);
                    let time = self.client.session.file_ttl.map(|time| format!(" (for {})", roughly(time)));
                    let time = time.unwrap_or_default();
                    Shown::News(News::Note(format!("{name} is shared with {place}, as file {file}{time}")))
                }
                TransferEnd::Saved { path, .. } => {
                    let path = path.map(|path| path.display().to_string()).unwrap_or_default();
                    Shown::News(News::Note(format!("saved {path}")))
                }
                TransferEnd::Stalled { name } => Shown::News(News::Note(format!("{name}: {}", transfers::STALLED))),
                TransferEnd::Picture(picture) => Shown::Picture(picture),
                TransferEnd::Failed { what, why } => {
                    self.has_failed = true;
                    let is_left = self.client.session.is_quitting() && self.client.session.has_person();
                    let why = if is_left { "you left before all of it was there".to_owned() } else { why };
                    Shown::News(News::Refused(format!("{what}: {why}")))
                }
            });
        }
        let hint = self.client.hint(now).map(|hint| Shown::News(News::Note(hint)));
        self.shown.extend(hint);
        let session = &self.client.session;
        let is_unsure = session.awaited().is_some() || session.unanswered().chain(session.unsent()).next().is_some();
        self.unsure = if is_unsure { self.unsure.or(Some(now)) } else { None };
        if session.is_quitting() {
            let left = session.unsent().count() + session.unanswered().count();
            if self.quitting.is_none_or(|(_, before)| before != left) {
                self.quitting = Some((now, left));
            }
        }
    }
}

/// What a file is called of which that may not be known yet.
fn called(progress: &Progress<'_>) -> String {
    match progress.file {
        Some(file) if progress.name.is_empty() => format!("file {file}"),
        _ => progress.name.to_owned(),
    }
}

/// What is to be told of a path that leads nowhere, if it is that of a file with a target behind it.
fn behind(path: &str) -> String {
    let (file, word) = path.trim_end().rsplit_once(' ').unwrap_or_default();
    let is_target = Place::new(word).is_some() || Nick::new(word).is_ok();
    if is_target && paths::meant(file.trim_end().as_ref()).is_file() {
        format!("; the target comes first, as in /send {word} {}", file.trim_end())
    } else {
        String::new()
    }
}
