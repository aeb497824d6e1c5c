//! `chinwag connect --plain`: a conversation as plain text, one line after the other, for screen readers, braille lines and
//! whatever else shows text as it comes. The terminal stays in its own modes, and nothing is ever drawn twice.

use crate::channel::Receiver;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use mio::Token;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::client::input::{self, Typed, UNREADABLE};
use crate::client::line::editor::addressee;
use crate::client::model::news::{Age, Mark, News};
use crate::client::model::session::is_quit;
use crate::client::screen::Look;
use crate::client::screen::terminal::{Characters, Output, Unseen, forget_unread};
use crate::client::screen::words::{self, Head, Told};
use crate::client::visit::{Bell, Options, RINGING, Shown, Visit};
use crate::client::wire::link;
use crate::client::wire::transfers;
use crate::commands;
use crate::listener::reason;
use crate::names::{Nick, Place};
use crate::signals::Signals;
use crate::text::{counted, roughly};

const SIGNALS: Token = Token(link::FREE);

/// How often it is looked how far transfers are, and who is typing.
const MOVING: Duration = Duration::from_millis(250);
/// How long a message may be unanswered before the person is told.
const UNSURE: Duration = Duration::from_secs(4);
/// How long leaving may take before the person is told that it goes on: they hear of nothing else whether the shell is back.
const LEAVING: Duration = Duration::from_millis(500);
/// How many of them are told at once.
const UNSURE_TOLD: usize = 5;
/// How long a connection may be lost before the person is told, and why nothing is sent: before they are told of what is not.
const LOST: Duration = Duration::from_secs(3);
/// After how long without a connection the person is told that it is still tried; it is told again each time when that has doubled.
const STILL: Duration = Duration::from_secs(60);
/// How long a script waits for a server without which it cannot go on.
const AWAY: Duration = Duration::from_secs(120);

/// Chats until the person leaves. It is an error if the server cannot be reached, or turns us away, or the output fails.
pub fn run(options: Options) -> Result<(), String> {
    let mut plain = Plain::open(options)?;
    let ended = plain.run();
    // What was typed just before a sudden end is told with what was not said.
    if plain.is_person && ended.is_err() {
        plain.typed();
    }
    // What came with the end is told before it.
    plain.gather();
    plain.visit.part();
    let (left, stopped) = (plain.visit.left(), plain.visit.stopped());
    // If nobody takes it, nobody is told.
    left.iter().chain(&stopped).for_each(|line| plain.line(line));
    let _ = plain.show();
    if plain.is_person {
        forget_unread();
    }
    // A script is to know.
    let lost = match left.is_empty() {
        false => Err("not all that was typed has been said; see above".to_owned()),
        true if plain.visit.has_failed && !plain.is_person => {
            Err("not all that was typed has been done; see above".to_owned())
        }
        true => Ok(()),
    };
    ended.and(lost)
}

/// For what one line is, and none that is pasted with it.
enum Alone {
    /// A `/msg` to whoever has this name.
    Msg(String),
    /// A password that was asked for.
    Secret,
}

struct Plain {
    visit: Visit,
    input: Receiver<Result<Typed, String>>,
    /// Whether a person types it, who may not want to wait.
    is_person: bool,
    /// What the line that was typed last was for, and all that came at once with it, and whether the person was told that it is for one line
    /// alone.
    alone: Option<(Alone, bool)>,
    /// How many of the next lines of a script may be passwords, as it was not asked for them.
    secrets: usize,
    /// Whether Ctrl-D was pressed.
    is_left: bool,
    /// There while a password is asked for.
    unseen: Option<Unseen>,
    /// Whether the person has been told so.
    told_unseen: bool,
    /// There where the terminal knows characters as long as we are here.
    characters: Option<Characters>,
    signals: Signals,
    /// Whether we were asked to end.
    ended: Arc<AtomicBool>,
    /// Whether Ctrl-C was pressed.
    interrupted: Arc<AtomicBool>,
    /// Whether somebody stopped us and has us go on.
    continued: Arc<AtomicBool>,
    look: Look,
    /// What stands before what was said.
    head: Head,
    /// The day of what was told last.
    day: Date,
    /// Whether what was told last was said before.
    is_past: bool,
    bell: Bell,
    /// When the bell rang last.
    rang: Option<Instant>,
    /// Where somebody was heard last, or a line of the person's own was told.
    heard: Option<Place>,
    /// Since when there has been no connection, and after how long that is told next.
    away: Option<(Instant, Duration)>,
    /// Whether the person was told at length which keys do nothing here.
    told_keys: bool,
    /// What has been told of each transfer, by its key.
    transfers: HashMap<u64, Told>,
    /// Who was typing when that was looked at last.
    typists: Vec<(Place, Nick)>,
    /// Since when a script cannot go on without the server, which is not there, and whether that has been told.
    stuck: Option<(Instant, bool)>,
    /// Since when the person leaves, and whether they have been told that this goes on.
    leaves: Option<(Instant, bool)>,
    /// The line by which a script leaves.
    goodbye: Option<String>,
    /// Whether the person has been told that what they type is no UTF-8.
    told_unreadable: bool,
    /// Messages that the person was told of as not sure.
    unsure: Vec<String>,
    /// Whether the person was told that the server is silent.
    told_silent: bool,
    output: Output,
    /// What is to be written.
    out: String,
}

impl Plain {
    fn open(options: Options) -> Result<Self, String> {
        let Options { bell, times, rooms, .. } = options;
        let mut visit = Visit::new(options)?;
        visit.client.session.keys = "Ctrl-R shows again what you have typed of a line, Ctrl-U drops it; Ctrl-D leaves, and so does Ctrl-C, whatever you have typed";
        visit.client.session.is_spoken = true;
        visit.client.session.patience = LOST;
        let [ended, interrupted, continued] = <[Arc<AtomicBool>; 3]>::default();
        let ends = [SIGTERM, SIGHUP, SIGQUIT].map(|signal| (signal, &ended));
        let heard = ends.into_iter().chain([(SIGINT, &interrupted), (SIGCONT, &continued)]);
        for (signal, flag) in heard.clone() {
            signal_hook::flag::register(signal, flag.clone()).map_err(|e| reason(&e))?;
        }
        let registry = visit.client.link.poll().registry();
        let signals = Signals::open(registry, SIGNALS, heard.map(|(signal, _)| signal)).map_err(|e| reason(&e))?;
        let input = input::lines(visit.client.link.waker())?;
        let look = Look { colour: false, is_few: false, zone: TimeZone::system() };
        let mut plain = Self {
            day: look.day_of(SystemTime::now()),
            is_past: false,
            look,
            head: Head { times, rooms, last: None },
            visit,
            input,
            is_person: io::stdin().is_terminal(),
            alone: None,
            secrets: 0,
            is_left: false,
            unseen: None,
            told_unseen: false,
            characters: Characters::open(),
            signals,
            ended,
            interrupted,
            continued,
            bell,
            rang: None,
            heard: None,
            away: None,
            told_keys: false,
            transfers: HashMap::new(),
            typists: Vec::new(),
            stuck: None,
            leaves: None,
            goodbye: None,
            told_unreadable: false,
            unsure: Vec::new(),
            told_silent: false,
            output: Output::open(),
            out: String::new(),
        };
        plain.print(&News::Note(format!(
            "connecting to {}; /help lists the commands, /quit leaves",
            plain.visit.address
        )));
        Ok(plain)
    }

    fn run(&mut self) -> Result<(), String> {
        let (mut is_open, mut is_leaving) = (true, false);
        loop {
            match self.show() {
                // Nobody reads on, which is their affair.
                Err(_) if self.is_given_up() => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                shown => shown.map_err(|e| transfers::unwritten(&e))?,
            }
            let tokens = self.visit.turn(self.next())?;
            if tokens.contains(&SIGNALS) {
                self.signals.take();
            }
            let is_interrupt = self.interrupted.swap(false, Ordering::Relaxed);
            if is_interrupt && self.is_person {
                // The terminal has shown that key, and no end of the line.
                self.out.push('\n');
            }
            is_open = is_open && self.typed();
            // Who asks twice does not want to wait for anything.
            let is_given_up = (std::mem::take(&mut self.is_left) || is_interrupt) && self.visit.leave(Instant::now());
            // What a script has to say is said before it leaves, and its files are sent and fetched.
            let is_done = self.visit.client.session.is_online() && !self.visit.has_transfers();
            if !is_open && !is_leaving && (self.is_person || is_done) {
                is_leaving = true;
                if let Some(line) = self.goodbye.take() {
                    self.visit.meant(&line, Instant::now());
                } else if !self.visit.client.session.is_quitting() {
                    self.visit.meant("/quit", Instant::now());
                }
            }
            self.stuck(is_open)?;
            self.leaves();
            self.still();
            self.gather();
            if is_given_up || self.visit.is_over() || self.ended.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// When there is something to be done even if nothing comes.
    fn next(&self) -> Option<Instant> {
        let is_moving = !self.visit.client.transfers.is_empty()
            || self.visit.client.session.talks.typists(Instant::now()).next().is_some();
        let moving = is_moving.then(|| Instant::now() + MOVING);
        let stuck = self.stuck.map(|(since, is_told)| since + if is_told { AWAY } else { UNSURE });
        let silent = self.visit.silent_at(UNSURE).filter(|&at| at > Instant::now());
        let leaves = self.leaves.filter(|(_, is_told)| !is_told).map(|(since, _)| since + LEAVING);
        let still = self.away.map(|(since, after)| since + after);
        [moving, stuck, leaves, silent, still, self.visit.unsure_at(UNSURE)].into_iter().flatten().min()
    }

    /// Tells now and then that a connection is still tried for, as nothing else shows that.
    fn still(&mut self) {
        let session = &self.visit.client.session;
        let is_here = session.is_in() || session.locked().is_some() || session.is_dozing() || session.is_quitting();
        if is_here || !self.is_person {
            self.away = None;
            return;
        }
        let (since, after) = *self.away.get_or_insert((Instant::now(), STILL));
        if since.elapsed() >= after {
            self.away = Some((since, after * 2));
            let time = roughly(after.as_secs());
            self.visit.tell(News::Note(format!("there has been no connection for {time}; still trying")));
        }
    }

    /// Tells the person who leaves that this goes on, if it does not end at once.
    fn leaves(&mut self) {
        if !self.is_person || !self.visit.client.session.is_quitting() {
            return;
        }
        let (since, is_told) = *self.leaves.get_or_insert((Instant::now(), false));
        if !is_told && since.elapsed() >= LEAVING {
            self.leaves = Some((since, true));
            self.visit.tell(News::Note("leaving; leave once more to do so at once".to_owned()));
        }
    }

    /// Tells if a script cannot go on without the server, as no more lines can wait or it has said all that it has to say. It is an error
    /// if that lasts too long: nobody is there to end it. `is_open`: whether there may be more input.
    fn stuck(&mut self, is_open: bool) -> Result<(), String> {
        let session = &self.visit.client.session;
        let unsent = session.unsent().count();
        if self.is_person || session.is_in() || is_open && unsent < input::WAITING {
            self.stuck = None;
            return Ok(());
        }
        let (since, is_told) = self.stuck.unwrap_or((Instant::now(), false));
        if since.elapsed() >= AWAY {
            let rest = if is_open { ", and the rest of the input is not read" } else { "" };
            return Err(format!("the server did not come back within {} seconds{rest}", AWAY.as_secs()));
        }
        let is_due = since.elapsed() >= UNSURE;
        if is_due && !is_told {
            let rest = if is_open { "; no more are read until then" } else { "" };
            let lines = counted(unsent as u64, "line");
            let text =
                format!("waiting for the server, for {} seconds at most, with {lines} to say{rest}", AWAY.as_secs());
            self.print(&News::Note(text));
        }
        self.stuck = Some((since, is_told || is_due));
        Ok(())
    }

    /// Carries out the lines that were typed. Whether there may be more.
    fn typed(&mut self) -> bool {
        // A script may have more to say than can wait; a person may not be kept from leaving.
        while self.is_person || self.visit.client.session.unsent().count() < input::WAITING {
            match self.input.try_recv() {
                Ok(Ok(Typed { line, is_left: true, .. })) => {
                    if !line.is_empty() {
                        // It stands there without an end.
                        self.out.push('\n');
                        self.visit.tell(News::Note(input::HALF.to_owned()));
                    }
                    self.is_left = true;
                    return true;
                }
                Ok(Ok(Typed { line, is_at_once, .. })) => {
                    let line = String::from_utf8_lossy(&line);
                    if matches!(line, Cow::Owned(_)) && !std::mem::replace(&mut self.told_unreadable, true) {
                        self.visit.tell(News::Note(UNREADABLE.to_owned()));
                    }
                    let line = line.trim_end_matches(['\n', '\r']);
                    // Alone, the end of a line says that no password comes.
                    if line.is_empty() && self.visit.client.session.asks_secret().is_none() {
                        continue;
                    }
                    // So begin the keys that move the cursor, wherever they stand, and so are those with Ctrl that the terminal leaves.
                    if self.is_person && line.contains(|c: char| c.is_ascii_control() && c != '\t') {
                        // Whoever hears all of it need not hear it all each time.
                        let why = match std::mem::replace(&mut self.told_keys, true) {
                            false => {
                                "the keys that move the cursor, and most with Ctrl, do nothing here, so nothing of that line is taken; type it again, with Backspace for what is wrong"
                            }
                            true => "nothing of that line is taken, as such a key is in it",
                        };
                        self.visit.tell(News::Refused(why.to_owned()));
                    } else if self.is_behind(line, is_at_once) {
                        // It was told once.
                    } else if self.is_person {
                        self.visit.typed(line, Instant::now());
                    } else if line.starts_with('/') && is_quit(line) {
                        // It is the end of the input, before which nothing is left out.
                        self.goodbye = Some(line.to_owned());
                        return false;
                    } else if self.may_be_secret(line) {
                        let why =
                            "one line is not said, as it may be the password; a program writes it behind its command";
                        self.visit.has_failed = true;
                        self.visit.tell(News::Refused(why.to_owned()));
                    } else {
                        self.visit.meant(line, Instant::now());
                    }
                }
                Ok(Err(why)) => self.visit.tell(News::Refused(why)),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        true
    }

    /// Whether a line came at once with a `/msg NAME` or a password before it, and so was pasted with it: it is for nobody else, and must not go
    /// to a room unseen. The first of such lines is told.
    fn is_behind(&mut self, line: &str, is_at_once: bool) -> bool {
        let is_command = line.starts_with('/');
        let is_asked = self.visit.client.session.asks_secret().is_some();
        let alone = self.alone.take().filter(|_| self.is_person && is_at_once && !is_command && !is_asked);
        let Some((alone, is_told)) = alone else {
            let (msg, _) = addressee(line);
            let is_secret = is_asked && !is_command && !line.is_empty();
            let msg = msg.split(' ').nth(1).map(|name| Alone::Msg(name.to_owned()));
            self.alone = if is_secret { Some(Alone::Secret) } else { msg }.map(|alone| (alone, false));
            return false;
        };
        if !is_told {
            let why = match &alone {
                Alone::Msg(name) => format!(
                    "only the first of the lines that you pasted goes to {name}; /query {name}, then paste the others again"
                ),
                Alone::Secret => {
                    "what you pasted behind the password is not said; paste it again if others are to read it"
                        .to_owned()
                }
            };
            self.visit.tell(News::Refused(why));
        }
        self.alone = Some((alone, true));
        true
    }

    /// Whether a line of a script may be a password, as it is one word behind a command that asks a person for one.
    fn may_be_secret(&mut self, line: &str) -> bool {
        let mut words = line.split_whitespace();
        let spec = words.next().filter(|word| word.starts_with('/')).and_then(commands::find);
        let rest = words.count();
        let left = self.secrets.checked_sub(1).filter(|_| spec.is_none() && rest == 0);
        self.secrets = match spec.map(|spec| spec.name) {
            Some("register") if rest == 0 => 2,
            Some("passwd") if rest == 0 => 3,
            Some("drop") if rest == 0 => 1,
            Some("login") if rest < 2 => 1,
            _ => left.unwrap_or(0),
        };
        left.is_some()
    }

    /// Has nobody see a password that is typed, as long as one is asked for.
    fn hide(&mut self) {
        let session = &self.visit.client.session;
        let is_login = session.asks_secret().is_some();
        let is_asked = self.is_person && (session.locked().is_some() || is_login);
        // Whoever had the terminal meanwhile has set it for itself.
        let is_back = self.continued.swap(false, Ordering::Relaxed);
        if is_back {
            (self.unseen, self.told_unseen, self.characters) = (None, false, None);
            self.characters = Characters::open();
        }
        // A password that came along is tried first, and with what is asked for it was told.
        let is_told = is_login && !is_back || !session.asks_password();
        if !is_asked {
            (self.unseen, self.told_unseen) = (None, false);
        } else if self.unseen.is_none()
            && let Ok(unseen) = Unseen::open()
        {
            self.unseen = Some(unseen);
        }
        if self.unseen.is_some() && !is_told && !std::mem::replace(&mut self.told_unseen, true) {
            self.print(&News::Note("what you type is not shown until the server lets you in".to_owned()));
        }
    }

    /// Puts into words what there is to tell.
    fn gather(&mut self) {
        let mut next = self.visit.poll();
        while let Some(shown) = next {
            next = self.visit.poll();
            match shown {
                Shown::News(news) => {
                    let mut others = Vec::new();
                    while let Some(Shown::News(other)) = &next
                        && let Some(place) = news.also_in(other)
                    {
                        others.push(place);
                        next = self.visit.poll();
                    }
                    self.told(&news, &others);
                }
                Shown::Picture(picture) => self.picture(&picture.name, &picture.base64),
            }
        }
        if !self.visit.client.session.is_reading_history() {
            self.frame(false);
        }
        self.hide();
        self.unsure();
        self.typists();
        self.progress();
    }

    /// Tells news, unless the person has typed that, and sees it there. What goes elsewhere than where somebody was heard last is told
    /// a person all the same, as the line that they typed does not show where it went. `others` are where the same happened, too.
    fn told(&mut self, news: &News, others: &[Place]) {
        let heard = match news {
            News::Said { place, .. } => self.heard.replace(*place).filter(|heard| self.is_person && heard != place),
            _ => None,
        };
        if let News::Said { place, from, text, mark: Mark::Own, age: Age::New, .. } = news {
            let said = format!("{place} {text}");
            let told = self.unsure.iter().position(|unsure| *unsure == said);
            match told {
                Some(at) => drop(self.unsure.remove(at)),
                None if heard.is_none() && self.visit.client.session.status().nick == Some(*from) => return,
                None => {}
            }
        }
        let is_early = self.rang.is_some_and(|at| at.elapsed() < RINGING);
        if news.call().is_some() && self.bell == Bell::Rings && !is_early {
            self.rang = Some(Instant::now());
            self.out.push('\x07');
        }
        self.print_of(news, others);
    }

    /// Tells once of each message that has no answer for too long, and once that the server is silent while a command has none.
    fn unsure(&mut self) {
        let unsure: Vec<String> = self.visit.unsure(UNSURE).take(UNSURE_TOLD).collect();
        // Once it is known to whom it goes, that stands before it.
        let is_it = |line: &str, told: &str| {
            line.strip_suffix(told).is_some_and(|place| place.is_empty() || place.ends_with(' '))
        };
        let sent: Vec<String> = self.visit.client.session.unanswered().collect();
        for line in &unsure {
            if !self.unsure.iter().any(|told| is_it(line, told)) {
                // Others may have heard what was sent long ago.
                let what = if sent.contains(line) { "no answer yet" } else { "not sent yet" };
                self.print(&News::Note(format!("{what}: {line}")));
            }
        }
        self.unsure = unsure;
        // That there is no connection is told instead.
        if !self.visit.client.session.is_connected() {
            return;
        }
        let is_silent = self.visit.silent_at(UNSURE).is_some_and(|at| at <= Instant::now());
        let awaited = self.visit.client.session.awaited().filter(|_| is_silent).map(str::to_owned);
        let is_told = std::mem::replace(&mut self.told_silent, awaited.is_some());
        if let Some(command) = awaited.filter(|_| !is_told) {
            self.print(&News::Note(format!("no answer to {command} yet; waiting for the server")));
        }
    }

    /// Tells who has begun to type.
    fn typists(&mut self) {
        let typists: Vec<_> = self.visit.client.session.talks.typists(Instant::now()).collect();
        let before = std::mem::replace(&mut self.typists, typists.clone());
        for (place, nick) in typists.into_iter().filter(|typist| !before.contains(typist)) {
            let text = format!("{nick} is typing");
            self.print(&News::Happened { place, at: None, text, moves: None, call: None });
        }
    }

    /// Tells how far transfers are, when there is something to be told. Whoever leaves has been told that they end, and whoever has lost the
    /// connection that they wait.
    fn progress(&mut self) {
        if self.leaves.is_some() || !self.visit.client.session.is_connected() {
            return;
        }
        let now = Instant::now();
        let lines = words::transfers(self.visit.client.transfers.progress(now), &mut self.transfers, now);
        lines.into_iter().for_each(|line| self.print(&News::Note(line)));
    }

    /// Saves a picture, as there is nothing to show it on.
    fn picture(&mut self, name: &str, base64: &str) {
        let saved = transfers::save(&self.visit.downloads, name, base64);
        self.print(&match saved {
            Ok(path) => News::Note(format!("saved {}, as plain text shows no pictures", path.display())),
            Err(e) => News::Refused(format!("saving {name}: {}", reason(&e))),
        });
    }

    /// Tells where what was said before begins and ends. Who hears it read out may not know that from the times, if there are any.
    fn frame(&mut self, is_past: bool) {
        if std::mem::replace(&mut self.is_past, is_past) != is_past {
            self.line(if is_past { "note: what comes next was said before" } else { "note: that was said before" });
        }
    }

    /// Prints news, below a line that tells the day where that is another one than before.
    fn print(&mut self, news: &News) {
        self.print_of(news, &[]);
    }

    fn print_of(&mut self, news: &News, others: &[Place]) {
        self.frame(matches!(news, News::Said { age: Age::Past, .. } | News::File { age: Age::Past, .. }));
        let now = SystemTime::now();
        let day = if news.is_timeless() { self.day } else { self.look.day_of(news.at().unwrap_or(now)) };
        if std::mem::replace(&mut self.day, day) != day {
            self.line(&words::day(day));
        }
        let line = words::news(news, others, &mut self.head, &self.look, now);
        self.line(&line);
    }

    /// One line, and nothing in it that is no text. A TAB is, as it makes columns of tables.
    fn line(&mut self, text: &str) {
        self.out
            .extend(text.chars().map(|c| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c }));
        self.out.push('\n');
    }

    /// Writes what there is.
    fn show(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        self.output.write(out.as_bytes(), || self.is_given_up())
    }

    /// Whether somebody asks to end, and so does not wait for whoever takes nothing.
    fn is_given_up(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.interrupted.load(Ordering::Relaxed)
    }
}
