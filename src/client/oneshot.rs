//! `chinwag send`, `chinwag get` and `chinwag say`: for scripts, and for people in a hurry.

use crate::channel::{Receiver, channel};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io::{self, IsTerminal, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use mio::Waker;
use rustix::termios::tcgetwinsize;
use signal_hook::low_level::emulate_default_handler;

use crate::client::Client;
use crate::client::input::{self, Patient, Typed, UNREADABLE};
use crate::client::model::news::{News, Taken};
use crate::client::model::session::Wish;
use crate::client::patient::{self, tell};
use crate::client::screen::words::{self, Told};
use crate::client::screen::{self, Form, width};
use crate::client::wire::server::Server;
use crate::client::wire::source::Source;
use crate::client::wire::transfers::{self, Keep, TransferEnd, Transfers};
use crate::listener::reason;
use crate::names::{FileId, Place};
use crate::signals;
use crate::text::roughly;

/// How often it is looked how far files are.
const MOVING: Duration = Duration::from_millis(250);
/// How often that is drawn at most: each drawing takes time of the file's, and bytes of whoever is there over ssh.
const PACE: Duration = Duration::from_millis(100);
/// How long the server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// So many lines are under way at most that are to be said: they are still said when one ends the program. A server takes as many a second if
/// nothing else is set, so that this slows nobody down whose way there and back takes less.
const UNDER_WAY: usize = 20;
/// So many columns of a line tell which it is.
const QUOTED: usize = 60;
/// How long a server may be away that has let us in before, or answer nothing. A restart takes less, and programs that are started by the clock must not
/// pile up behind one that never comes back.
const PATIENCE: Duration = Duration::from_secs(300);

/// How a terminal tells how far files are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Telling {
    /// By a bar that is drawn anew.
    Bar,
    /// In lines of words, now and then.
    Words,
}

/// A file to be shared, and what it is to be called.
#[derive(Debug)]
pub enum Outgoing {
    /// One that is open.
    File(Source, String),
    /// Standard input, up to its end.
    Input(String),
}

/// Shares files with `place`, and prints the ID of each. It is an error if one of them has not arrived whole; those
/// that failed before it are told on standard error.
pub fn send(
    server: Server,
    wish: Wish,
    mut files: VecDeque<Outgoing>,
    place: Place,
    telling: Telling,
) -> Result<(), String> {
    let mut client = Client::new(server, wish, PathBuf::new()).map_err(|e| reason(&e))?;
    enter(&mut client)?;
    let mut input: Option<Receiver<Result<Source, String>>> = None;
    carry_out(&mut client, Some(place), &[], telling, |client| {
        while let Some(next) = files.pop_front() {
            let (source, name) = match next {
                Outgoing::File(source, name) => (Ok(source), name),
                Outgoing::Input(name) => {
                    let largest = client.transfers.largest();
                    if input.is_none()
                        && let Some(largest) = largest
                    {
                        input = Some(collect(largest, client.link.waker())?);
                    }
                    let Some(source) = input.as_ref().and_then(|input| input.try_recv().ok()) else {
                        files.push_front(Outgoing::Input(name));
                        return Ok(More::Comes);
                    };
                    (source, name)
                }
            };
            match source {
                Ok(source) => client.transfers.send(place, source, name),
                Err(why) => client.transfers.fail(format!("sending {name}"), why),
            }
        }
        Ok(More::Nothing)
    })
}

/// Fetches files, and prints where each is, in their order. `folder` is where those go that are kept in one. It is an error if one of them is
/// not here whole; those that failed before it are told on standard error.
pub fn get(
    server: Server,
    wish: Wish,
    files: &[FileId],
    keep: &Keep,
    folder: PathBuf,
    telling: Telling,
) -> Result<(), String> {
    let mut client = Client::new(server, wish, folder).map_err(|e| reason(&e))?;
    enter(&mut client)?;
    files.iter().try_for_each(|&file| client.transfers.get(file, keep.clone()))?;
    carry_out(&mut client, None, files, telling, |_| Ok(More::Nothing))
}

/// Says each line of `text`, or else of standard input as it comes, to `place`. It is an error if one of them has not been said
/// for sure; those that failed before it are told on standard error. Who has nothing to say does not go in.
pub fn say(server: Server, wish: Wish, place: Place, text: Option<&[u8]>) -> Result<(), String> {
    let mut client = Client::new(server, wish, PathBuf::new()).map_err(|e| reason(&e))?;
    let lines = match text {
        Some(text) => {
            let (sender, lines) = channel();
            for line in text.split(|&byte| byte == b'\n') {
                let _ = sender.send(Ok(Typed { line: line.to_owned(), is_at_once: true, is_left: false }));
            }
            lines
        }
        None => input::lines(client.link.waker())?,
    };
    let is_blank = |read: &Result<Typed, String>| matches!(read, Ok(Typed { line, is_left: false, .. }) if line.trim_ascii().is_empty());
    let mut blank = 0_u64;
    let mut first = lines.iter().inspect(|_| blank += 1).find(|read| !is_blank(read));
    let (mut is_more, mut told_unreadable, mut number) = (true, false, blank.saturating_sub(1));
    match first {
        Some(Ok(Typed { ref line, is_left: true, .. })) if line.is_empty() => first = None,
        Some(Ok(Typed { is_left: true, .. })) => return Err(input::HALF.to_owned()),
        Some(Err(why)) => return Err(why),
        _ => {}
    }
    if first.is_none() {
        const NOTHING: &str = "there is nothing to say; write it behind the target, or to standard input";
        // A job that tells only of what is wrong, and that cron runs say, mostly has nothing to tell.
        match text {
            Some(_) => return Err(NOTHING.to_owned()),
            None if io::stdin().is_terminal() => tell(NOTHING),
            None => {}
        }
        return Ok(());
    }
    enter(&mut client)?;
    let mut failed = Failed::default();
    // The lines that are not sure to have been said, and the last before them, by their numbers.
    let (mut unsure, mut sure) = (VecDeque::new(), None);
    while is_more || left(&client) > 0 {
        while is_more && left(&client) < UNDER_WAY {
            let line = match first.take().map_or_else(|| lines.try_recv(), Ok) {
                Ok(Ok(Typed { line, is_left: true, .. })) => {
                    is_more = false;
                    if !line.is_empty() {
                        failed.note(input::HALF.to_owned());
                    }
                    String::new()
                }
                Ok(Ok(Typed { line, .. })) => {
                    let line = String::from_utf8_lossy(&line);
                    if matches!(line, Cow::Owned(_)) && !std::mem::replace(&mut told_unreadable, true) {
                        tell(UNREADABLE);
                    }
                    line.trim_end().to_owned()
                }
                Ok(Err(why)) => {
                    failed.note(why);
                    String::new()
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    is_more = false;
                    String::new()
                }
            };
            number += 1;
            if line.trim().is_empty() {
                continue;
            }
            match client.session.meant(&format!("/msg {place} {line}"), Instant::now()) {
                Taken::No(why) => failed.note(format!("line {number}: {why}")),
                _ => unsure.push_back((number, line)),
            }
        }
        sure = answered(&mut unsure, left(&client)).or(sure);
        let turned = client.turn(Some(Instant::now() + MOVING)).map(drop);
        let is_ended = ENDED.load(Ordering::Relaxed) > 0;
        if is_ended {
            let unsent = client.session.forget_unsent();
            leave(&mut client);
            sure = answered(&mut unsure, left(&client) + unsent).or(sure);
        }
        while let Some(news) = client.session.poll_news() {
            match news {
                News::Refused(why) => failed.note(quoted(why, Some(place))),
                News::Note(text) => tell(&text),
                _ => {}
            }
        }
        if is_ended {
            let last = sure.map_or("nothing has been said for sure".to_owned(), |(number, line)| {
                let line = width::head(&line, QUOTED);
                format!("what came up to line {number} has been said, and that is “{line}”")
            });
            let rest = if unsure.is_empty() { "" } else { "; what follows may have been" };
            failed.note(format!("{last}{rest}"));
            let _ = failed.end().map_err(|why| tell(&why));
            end();
            return Ok(());
        }
        if let Err(why) = turned {
            leave(&mut client);
            match unsure.front() {
                Some((1, _)) => {}
                Some((line, _)) => failed.note(format!(
                    "what stood before line {line} has been said; that line and what follows may not be"
                )),
                None => failed.note(format!("what came up to line {number} has been said")),
            }
            failed.note(why);
            return failed.end();
        }
    }
    leave(&mut client);
    failed.end()
}

/// How many lines are not sure to have been said.
fn left(client: &Client) -> usize {
    client.session.unsent().chain(client.session.unanswered()).count()
}

/// Takes out of `unsure` all but the last `left`, as they are answered in their order. Gives the last of them.
fn answered(unsure: &mut VecDeque<(u64, String)>, left: usize) -> Option<(u64, String)> {
    unsure.drain(..unsure.len().saturating_sub(left)).next_back()
}

/// Why something did not get to `place`. A program cannot give the key of a room. Where the server asks whether a room is meant, it is told how a shell leaves that its
/// sign.
fn quoted(why: String, place: Option<Place>) -> String {
    match place {
        Some(Place::With(nick)) if why.contains(&format!("#{nick}")) => {
            format!("{why} Then put it in quotes, as '#{nick}': a shell takes a bare # for a comment")
        }
        _ if why.contains(" has a key; ") => {
            format!("{why}; this program gives no key, so have an op /invite the name that it goes by")
        }
        _ if why.starts_with(transfers::NO_SUCH_FILE) => {
            format!("{}; --join '#ROOM' comes into a room first", transfers::NO_SUCH_FILE)
        }
        _ => why,
    }
}

/// Whether there is more to come.
#[derive(PartialEq, Eq)]
enum More {
    Comes,
    Nothing,
}

/// Goes in as one wishes. Who is not let in so shares nothing, fetches nothing and says nothing.
fn enter(client: &mut Client) -> Result<(), String> {
    client.give_up_after(PATIENCE);
    let mut ended = signals::note_ends(&ENDED).map_err(|e| reason(&e))?;
    thread::spawn(move || {
        if ended.read(&mut [0]).is_ok_and(|count| count > 0) {
            // What came of all is told behind it.
            thread::sleep(GOODBYE + MOVING);
            end();
        }
    });
    while !client.session.is_online() {
        let mut turned = turn(client, None);
        while let Some(news) = client.session.poll_news() {
            match news {
                News::Refused(why) => turned = turned.and(Err(quoted(why, None))),
                News::Note(text) => tell(&quoted(text, None)),
                _ => {}
            }
        }
        if let Err(why) = turned {
            leave(client);
            return Err(why);
        }
    }
    Ok(())
}

/// Waits until all transfers have ended and `feed` has no more of them, and prints what came of each. `to` is where they go, and `order` which
/// are fetched.
fn carry_out(
    client: &mut Client,
    to: Option<Place>,
    order: &[FileId],
    telling: Telling,
    mut feed: impl FnMut(&mut Client) -> Result<More, String>,
) -> Result<(), String> {
    let mut shown = Shown::new(telling);
    let mut failed = Failed::default();
    let mut places = Places { order: order.iter().copied().collect(), saved: HashMap::new() };
    while feed(client)? == More::Comes || !client.transfers.is_empty() {
        let turned = turn(client, Some(Instant::now() + MOVING));
        while let Some(news) = client.session.poll_news() {
            if let News::Refused(text) | News::Note(text) = news {
                shown.clear();
                tell(&text);
            }
        }
        ends(client, to, &mut failed, &mut places, &mut shown)?;
        if let Err(why) = turned {
            shown.clear();
            leave(client);
            failed.note(why);
            return failed.end();
        }
        shown.update(&client.transfers, Instant::now());
    }
    ends(client, to, &mut failed, &mut places, &mut shown)?;
    shown.clear();
    leave(client);
    failed.end()
}

/// Prints what came of each transfer that has ended.
fn ends(
    client: &mut Client,
    to: Option<Place>,
    failed: &mut Failed,
    places: &mut Places,
    shown: &mut Shown,
) -> Result<(), String> {
    while let Some(end) = client.transfers.poll_end() {
        shown.clear();
        match end {
            TransferEnd::Sent { file, .. } => {
                print(file.to_string().into_bytes())?;
                // It is told once, and no script.
                if let Some(time) = client.session.file_ttl.take().filter(|_| shown.telling.is_some()) {
                    tell(&format!("what you shared can be fetched for {}", roughly(time)));
                }
            }
            TransferEnd::Saved { file, path: Some(path) } => {
                places.saved.insert(file, path);
            }
            TransferEnd::Stalled { name } => {
                tell(&format!("{name}: {}", transfers::STALLED));
            }
            TransferEnd::Saved { path: None, .. } | TransferEnd::Picture(_) => {}
            TransferEnd::Failed { what, why } => failed.note(format!("{what}: {}", quoted(why, to))),
        }
    }
    places.print(|file| client.transfers.fetches(file))
}

/// Prints a line for the program that runs this one.
fn print(mut line: Vec<u8>) -> Result<(), String> {
    line.push(b'\n');
    patient::write(io::stdout(), &line, || false).map_err(|e| transfers::unwritten(&e))
}

/// Where those files are that have been fetched, which is told in the order of all.
struct Places {
    /// Those of which it is not told yet.
    order: VecDeque<FileId>,
    saved: HashMap<FileId, PathBuf>,
}

impl Places {
    /// Tells of all before the first that is still coming.
    fn print(&mut self, is_coming: impl Fn(FileId) -> bool) -> Result<(), String> {
        while let Some(&file) = self.order.front().filter(|file| !is_coming(**file)) {
            self.order.pop_front();
            if let Some(path) = self.saved.remove(&file) {
                // The path itself, which need not be UTF-8.
                print(path.into_os_string().into_vec())?;
            }
        }
        Ok(())
    }
}

/// Whatever ends it, what is here whole is told of.
impl Drop for Places {
    fn drop(&mut self) {
        let _ = self.print(|_| false);
    }
}

/// What failed last. What failed before is told already.
#[derive(Default)]
struct Failed(Option<String>);

impl Failed {
    fn note(&mut self, why: String) {
        if let Some(earlier) = self.0.replace(why) {
            tell(&earlier);
        }
    }

    fn end(self) -> Result<(), String> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Reads all of standard input, but no more than the server takes, while the client goes on.
fn collect(largest: u64, waker: Arc<Waker>) -> Result<Receiver<Result<Source, String>>, String> {
    input::beside(waker, move |sender| {
        let collected = Source::collect(Patient(io::stdin()), largest);
        let _ = sender.send(match collected {
            Ok(Some(source)) => Ok(source),
            Ok(None) => Err(transfers::too_big_for(largest)),
            Err(e) => Err(format!("cannot read standard input: {}", reason(&e))),
        });
    })
}

/// The signal that has asked us to end.
static ENDED: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);

/// One turn of the client. Who is asked to end leaves first: for somebody who only vanishes the server keeps a place.
fn turn(client: &mut Client, until: Option<Instant>) -> Result<(), String> {
    let turned = client.turn(until).map(drop);
    if ENDED.load(Ordering::Relaxed) > 0 {
        leave(client);
        end();
    }
    turned
}

/// Ends as the signal would have had it.
fn end() {
    let _ = emulate_default_handler(ENDED.load(Ordering::Relaxed) as i32);
}

/// Goes without a fuss. All that counted is done, or will not be.
fn leave(client: &mut Client) {
    let now = Instant::now();
    client.session.part();
    while (client.link.is_up() || client.session.is_blinking(Instant::now()))
        && now.elapsed() < GOODBYE
        && client.turn(Some(now + GOODBYE)).is_ok()
    {}
}

/// Writes to standard error, as far as that goes.
fn show(text: &str) {
    let _ = patient::write(io::stderr(), text.as_bytes(), || false);
}

/// What is told on standard error of how far files are, if that is a terminal.
struct Shown {
    telling: Option<Telling>,
    /// The bar that stands there.
    bar: Option<String>,
    /// When one was drawn last.
    drawn: Option<Instant>,
    /// What has been told of each transfer in words, by its key.
    told: HashMap<u64, Told>,
}

impl Shown {
    fn new(telling: Telling) -> Self {
        let telling = io::stderr().is_terminal().then_some(telling);
        Self { telling, bar: None, drawn: None, told: HashMap::new() }
    }

    /// Makes room for a line that stays.
    fn clear(&mut self) {
        if self.bar.take().is_some() {
            show("\r\x1b[K");
        }
    }

    fn update(&mut self, transfers: &Transfers, now: Instant) {
        match self.telling {
            Some(Telling::Bar) if self.drawn.is_none_or(|at| now >= at + PACE) => {
                let Some(progress) = transfers.progress(now).next() else { return self.clear() };
                // Some terminals say that they have none at all.
                let columns = tcgetwinsize(io::stderr()).ok().map(|size| size.ws_col).filter(|&columns| columns > 0);
                let width = usize::from(columns.unwrap_or(80));
                let form = if width < 60 { Form::Short } else { Form::Long };
                let line = width::head(&screen::transfer(&progress, form), width.saturating_sub(1));
                if self.bar.as_ref() != Some(&line) {
                    show(&format!("\r{line}\x1b[K"));
                    (self.bar, self.drawn) = (Some(line), Some(now));
                }
            }
            Some(Telling::Words) => {
                words::transfers(transfers.progress(now), &mut self.told, now).iter().for_each(|line| tell(line));
            }
            Some(Telling::Bar) | None => {}
        }
    }
}

/// Whatever ends it, the next line does not stand in the bar.
impl Drop for Shown {
    fn drop(&mut self) {
        self.clear();
    }
}
