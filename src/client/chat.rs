//! `chinwag connect` in a terminal: what is typed, what is shown, and when.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use mio::Token;
use mio::unix::SourceFd;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};

use crate::client::Client;
use crate::client::gallery::{Gallery, Outcome};
use crate::client::input::UNREADABLE;
use crate::client::line::complete::{self, World};
use crate::client::line::editor::{Direction, Editor, Intent};
use crate::client::line::history::{self, History};
use crate::client::line::keys::{self, Decoder, Input, Key, TerminalAnswer};
use crate::client::model::news::{Extent, News};
use crate::client::model::session::{is_automatic, is_known, own_commands};
use crate::client::screen::notify::{self, Notifier};
use crate::client::screen::pictures::Window;
use crate::client::screen::terminal::{Terminal, is_over_mosh, locale, loses_rows};
use crate::client::screen::{self, Look, Palette, Rows, StatusRow, width};
use crate::client::visit::{Bell, Options, RINGING, Shown, Visit};
use crate::client::wire::link;
use crate::client::wire::transfers::{self, Picture};
use crate::commands;
use crate::listener::reason;
use crate::names::Place;
use crate::signals::Signals;
use crate::text::counted;
use crate::wire;

const KEYS: Token = Token(link::FREE);
const SIGNALS: Token = Token(link::FREE + 1);
const PICTURES: Token = Token(link::FREE + 2);

/// Bytes of one read that are told apart from what comes later.
const TYPED: usize = 64 * 1024;
/// How often the status row is drawn while it moves by itself.
const MOVING: Duration = Duration::from_millis(250);
/// How often the status row is drawn at most when nothing else has changed.
const PACE: Duration = Duration::from_millis(100);
/// How long a message may have no answer before it is shown as one that is not sure. Most have theirs by then.
const UNSURE: Duration = Duration::from_millis(150);
/// After which time the status row tells that the server is silent, while a message or a command has no answer.
const SILENT: Duration = Duration::from_secs(5);
/// How many of them are shown at once.
const UNSURE_ROWS: usize = 3;
/// How long the window must have kept its size for anything to be drawn into it.
const SETTLING: Duration = Duration::from_millis(40);
/// How long the terminal may take to answer before somebody else has it.
const QUESTION: Duration = Duration::from_secs(1);
/// Bytes that may wait to be shown while it is not known where.
const ABOVE: usize = 1024 * 1024;

/// How many of the lines that were printed last are printed again where the terminal loses them.
const RECENT: usize = 100;

/// Chats until the person leaves. It is an error if the server cannot be reached, or turns us away, or the terminal fails.
pub fn run(options: Options) -> Result<(), String> {
    let mut chat = Chat::open(options)?;
    if let Some((locale, false)) = locale() {
        chat.print(&News::Note(format!(
            "your locale ({locale}) is not UTF-8, which is all that is written here; if letters come out wrong, start your terminal and this anew with LC_ALL=C.UTF-8, say"
        )));
    }
    let ended = chat.run();
    // What came with the end is told before it.
    chat.gather();
    chat.visit.part();
    chat.hear_out();
    let last = chat.rows.clear() + &chat.above + chat.title_of_others();
    let _ = chat.terminal.show(&last);
    let left = [chat.visit.left(), chat.visit.stopped()].concat();
    let _ = chat.terminal.show(&screen::lines(left.iter().map(String::as_str)));
    ended
}

/// Whether the person looks at the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gaze {
    /// The terminal has not told.
    Unknown,
    Here,
    Elsewhere,
}

struct Chat {
    visit: Visit,
    terminal: Terminal,
    signals: Signals,
    /// Whether we were asked to end.
    ended: Arc<AtomicBool>,
    /// Whether we go on after we were stopped, perhaps with the terminal in the modes of others.
    continued: Arc<AtomicBool>,
    /// Whether we are to stop, as soon as nothing of the terminal's would be left to others.
    is_stopping: bool,
    decoder: Decoder,
    /// Whether it was told that some of what was typed is no UTF-8.
    told_unreadable: bool,
    /// When what has come so far is all that comes.
    gives_up: Option<Instant>,
    editor: Editor,
    rows: Rows,
    look: Look,
    bell: Bell,
    /// When the bell rang last.
    rang: Option<Instant>,
    /// Whether the person looks at the terminal.
    gaze: Gaze,
    /// How the person can be told where they look elsewhere.
    notifier: Notifier,
    /// How much was said to the person that they have not looked at.
    missed: usize,
    /// The day of what was shown last.
    day: Date,
    /// How often Ctrl-C was pressed on an empty line, one after the other.
    interrupts: usize,
    gallery: Gallery,
    /// What is to be printed above the rows.
    above: String,
    /// Whether the window is to be cleared before that.
    clearing: bool,
    /// The lines that were printed last, if the terminal may lose them, and how many of them are still in `above`.
    recent: Option<(VecDeque<String>, usize)>,
    /// The rows as they were drawn last, to be drawn only when they change.
    shown: Option<(screen::Drawn, Window)>,
    /// When a status row that has changed may be drawn.
    paced: Option<Instant>,
    /// The window's size, and when it was seen to be another.
    window: (Option<Window>, Option<Instant>),
}

impl Chat {
    fn open(options: Options) -> Result<Self, String> {
        let Options { colour, bell, .. } = options;
        let visit = Visit::new(options)?;
        let ended = Arc::new(AtomicBool::new(false));
        let ends = [SIGTERM, SIGHUP, SIGINT, SIGQUIT];
        for signal in ends {
            signal_hook::flag::register(signal, ended.clone()).map_err(|e| reason(&e))?;
        }
        let continued = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGCONT, continued.clone()).map_err(|e| reason(&e))?;
        let registry = visit.client.link.poll().registry();
        let others = [SIGWINCH, SIGCONT];
        let signals = Signals::open(registry, SIGNALS, ends.into_iter().chain(others)).map_err(|e| reason(&e))?;
        visit.client.link.register(&mut SourceFd(&0), KEYS).map_err(|e| reason(&e))?;
        let terminal = Terminal::open(ended.clone()).map_err(|e| reason(&e))?;
        let mut decoder = Decoder::default();
        decoder.is_late = is_over_mosh();
        let term = std::env::var("TERM").unwrap_or_default();
        let look = Look { colour, is_few: Palette::of(&term) != Palette::Many, zone: TimeZone::system() };
        Ok(Self {
            visit,
            terminal,
            signals,
            ended,
            continued,
            is_stopping: false,
            decoder,
            told_unreadable: false,
            gives_up: None,
            editor: Editor::new(History::open(history::default_path())),
            rows: Rows::default(),
            day: look.day_of(SystemTime::now()),
            look,
            bell,
            rang: None,
            gaze: Gaze::Unknown,
            notifier: Notifier::of(|name| std::env::var(name).ok()),
            missed: 0,
            interrupts: 0,
            gallery: Gallery::new(colour),
            above: String::new(),
            clearing: false,
            recent: loses_rows().then(Default::default),
            shown: None,
            paced: None,
            window: Default::default(),
        })
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            match self.draw() {
                // The terminal takes nothing, and would not take why either.
                Err(_) if self.ended.load(Ordering::Relaxed) => return Ok(()),
                drawn => drawn.map_err(|e| reason(&e))?,
            }
            let until = self.next();
            self.visit.turn(until)?;
            let is_gone = self.ask().is_err()
                || self.go_on().is_err()
                || self.keys().is_err()
                || self.stop().is_err()
                || self.ended.load(Ordering::Relaxed);
            self.gather();
            if is_gone || self.visit.is_over() {
                return Ok(());
            }
        }
    }

    /// When there is something to be done even if nothing comes.
    fn next(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let client = &self.visit.client;
        let is_moving =
            !client.transfers.is_empty() || !client.link.is_up() || client.session.talks.typists(now).next().is_some();
        let moving = is_moving.then(|| now + MOVING);
        let paced = self.paced.filter(|&at| at > now);
        let unsure = self.visit.unsure_at(UNSURE);
        let silent = self.visit.silent_at(SILENT).filter(|&at| at > now);
        [paced, silent, self.gives_up, self.gallery.next(), unsure, moving, self.settles(now), self.rows.waits(now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Takes what was typed. It is an error if the terminal is gone.
    fn keys(&mut self) -> io::Result<()> {
        loop {
            let typed = self.typed()?;
            if !typed.is_empty() {
                self.decoder.feed(&typed);
            } else if self.gives_up.is_some_and(|at| at <= Instant::now()) {
                self.decoder.give_up();
            } else {
                return Ok(());
            }
            self.gives_up = self.decoder.patience().map(|patience| Instant::now() + patience);
            if self.decoder.is_unreadable && !std::mem::replace(&mut self.told_unreadable, true) {
                self.print(&News::Note(UNREADABLE.to_owned()));
            }
            while let Some(input) = self.decoder.next() {
                self.input(input)?;
            }
        }
    }

    /// All that has come at once, as far as it is told apart.
    fn typed(&self) -> io::Result<Vec<u8>> {
        let mut typed = Vec::new();
        let mut bytes = [0; 4096];
        while typed.len() < TYPED {
            match self.terminal.read(&mut bytes)? {
                [] => break,
                some => typed.extend_from_slice(some),
            }
        }
        Ok(typed)
    }

    fn input(&mut self, input: Input) -> io::Result<()> {
        let is_interrupt = input == Input::Key(Key::Ctrl('c')) && self.editor.is_idle();
        self.interrupts = if is_interrupt { self.interrupts + 1 } else { 0 };
        let session = &self.visit.client.session;
        self.editor.history.is_private =
            session.asks_password() || session.is_wary() || matches!(session.talks.target(), Some(Place::With(_)));
        self.editor.hide(session.asks_secret().is_some());
        let before = (self.editor.text().to_owned(), self.visit.client.session.talks.target());
        let action = match input {
            Input::Paste(text) => self.editor.paste(&text),
            Input::Rest(text) => self.editor.rest(&text),
            Input::TooMuch => Some(Intent::Refuse(format!(
                "what you pasted is not taken: it has more than {} bytes; share it as a file, with /send",
                keys::PASTE_MAX
            ))),
            Input::Answer(answer) => {
                self.answer(answer);
                return Ok(());
            }
            Input::Key(Key::Ctrl('c')) if self.editor.is_idle() && !self.editor.is_hidden() => {
                let forgotten = self.visit.client.session.forget_unsent();
                if forgotten > 0 {
                    self.print(&News::Note(format!("not sent any more: {}", counted(forgotten as u64, "line"))));
                } else if self.interrupts == 1 {
                    self.print(&News::Note("Ctrl-D on the empty line leaves, and so does /quit".to_owned()));
                }
                // Who went back through the lines and emptied the row begins anew, too.
                self.editor.history.leave();
                None
            }
            Input::Key(key) => {
                let (talks, files) = (&self.visit.client.session.talks, self.visit.files());
                let is_operator = self.visit.client.session.is_operator;
                self.editor.key(key, |before| {
                    let is_ours = |spec: &&commands::Spec| {
                        (is_operator || !spec.verb.is_of_operators()) && !is_automatic(spec.name)
                    };
                    let ours = commands::TABLE.iter().filter(is_ours);
                    let commands: Vec<&str> = ours.map(|spec| spec.name).chain(own_commands()).collect();
                    let rooms: Vec<String> = talks.rooms().map(|room| room.to_string()).collect();
                    let known: Vec<String> = talks.known_rooms().map(|room| room.to_string()).collect();
                    let mut world = World {
                        commands: &commands,
                        nicks: talks.here().map(|nick| nick.as_str()).collect(),
                        rooms: rooms.iter().map(String::as_str).collect(),
                        known_rooms: known.iter().map(String::as_str).collect(),
                        files: files.iter().map(|file| file.0).collect(),
                    };
                    let of_here = complete::complete(before, &world, complete::list_folder);
                    if !of_here.candidates.is_empty() {
                        return of_here;
                    }
                    // Who has gone is offered only where nobody is meant who is here.
                    world.nicks = talks.known().map(|nick| nick.as_str()).collect();
                    complete::complete(before, &world, complete::list_folder)
                })
            }
        };
        let now = Instant::now();
        match action {
            Some(Intent::Submit(line)) => {
                let is_taken = self.visit.typed(&line, now);
                self.editor.history.settle(is_taken && is_known(&line));
            }
            Some(Intent::Untold) => self.visit.client.session.leave_untold(now),
            Some(Intent::Say(lines)) => {
                self.visit.say(&lines, now);
                self.editor.history.settle(true);
            }
            // Who asks twice does not want to wait for anything.
            Some(Intent::Leave) => {
                let is_given_up = self.visit.leave(now);
                self.ended.fetch_or(is_given_up, Ordering::Relaxed);
            }
            Some(Intent::Walk(direction)) => {
                let step = if direction == Direction::Back { -1 } else { 1 };
                let has_gone = self.visit.client.session.walk(step);
                if !has_gone {
                    self.print(&News::Refused("wait for what you typed last; it may take you elsewhere".to_owned()));
                }
            }
            Some(Intent::Refuse(why)) => self.print(&News::Refused(why)),
            Some(Intent::List(words)) => self.print(&News::Answer(words.join("  "))),
            Some(Intent::Redraw) => self.clearing = true,
            Some(Intent::Suspend) => self.is_stopping = true,
            None => {}
        }
        let is_other = (self.editor.text(), self.visit.client.session.talks.target()) != (&before.0, before.1);
        if is_other && !self.editor.is_hidden() {
            self.visit.client.session.keystroke(self.editor.text(), now);
        }
        Ok(())
    }

    fn answer(&mut self, answer: TerminalAnswer) {
        match answer {
            TerminalAnswer::Cursor { column, .. } => self.rows.answer(column.into()),
            TerminalAnswer::Focused => {
                self.gaze = Gaze::Here;
                let title = self.title_of_others();
                self.above.push_str(title);
            }
            TerminalAnswer::Unfocused => self.gaze = Gaze::Elsewhere,
            of_pictures => self.gallery.answer(&of_pictures),
        }
    }

    /// Asks the terminal what it shows, once a picture is fetched.
    fn ask(&mut self) -> io::Result<()> {
        let client = &self.visit.client;
        if !client.transfers.has_pictures() {
            return Ok(());
        }
        let Some(question) = self.gallery.ask(client.link.poll().registry(), PICTURES) else { return Ok(()) };
        // Should the terminal show the question, the rows are drawn over that.
        self.shown = None;
        self.terminal.show(&(self.rows.clear() + question))
    }

    /// Takes the terminal over anew, if somebody stopped us and has us go on.
    fn go_on(&mut self) -> io::Result<()> {
        if self.continued.swap(false, Ordering::Relaxed) {
            self.shown = None;
            self.terminal.take()?;
        }
        Ok(())
    }

    /// Stops, if that was asked for.
    fn stop(&mut self) -> io::Result<()> {
        if self.is_stopping {
            self.hear_out();
            self.is_stopping = false;
            let title = self.title_of_others();
            self.terminal.show(&(self.rows.clear() + title))?;
            self.terminal.suspend()?;
            self.shown = None;
        }
        Ok(())
    }

    /// Waits for answers that are still to come, so that they do not go to whoever has the terminal next. Who asks to end a
    /// second time does not want to wait.
    fn hear_out(&mut self) {
        let end = Instant::now() + QUESTION;
        self.signals.take();
        while self.gallery.waits().is_some() || self.rows.is_asking() {
            let until = [self.gallery.waits(), self.gives_up].into_iter().flatten().fold(end, Instant::min);
            let left = until.saturating_duration_since(Instant::now());
            let is_given_up = self.signals.wait_for_input(io::stdin(), left).is_err() || self.signals.take() > 0;
            if is_given_up || self.keys().is_err() || Instant::now() >= end {
                break;
            }
        }
    }

    /// Prints what there is to tell.
    fn gather(&mut self) {
        let mut calls = None;
        while let Some(shown) = self.visit.poll() {
            match shown {
                Shown::News(news) => {
                    if let Some((from, place, text)) = news.call() {
                        self.missed += usize::from(self.gaze == Gaze::Elsewhere);
                        calls = Some((notify::call(from, place), wire::action(text).unwrap_or(text).to_owned()));
                    }
                    self.print(&news);
                }
                Shown::Picture(picture) => self.gallery.add(picture),
            }
        }
        if let Some((call, text)) = calls {
            self.call(&call, &text, Instant::now());
        }
        let window = self.terminal.window();
        while let Some((picture, outcome)) =
            self.gallery.poll(&window, self.visit.client.link.poll().registry(), PICTURES)
        {
            self.picture(&picture, outcome);
        }
    }

    /// Tells the person that something was said to them: by the bell, if that is wanted and they do not look, and where they are
    /// known to look elsewhere by a notification and the title, too.
    fn call(&mut self, call: &str, text: &str, now: Instant) {
        if self.gaze == Gaze::Elsewhere {
            self.above.push_str(&self.notifier.title(self.missed, call));
        }
        let is_early = self.rang.is_some_and(|at| now.duration_since(at) < RINGING);
        if self.bell == Bell::Rings && self.gaze != Gaze::Here && !is_early {
            self.rang = Some(now);
            self.above.push('\x07');
            if self.gaze == Gaze::Elsewhere {
                self.above.push_str(&self.notifier.notification(call, text));
            }
        }
    }

    /// What gives the window the title back that it had before, if it has one of ours.
    fn title_of_others(&mut self) -> &'static str {
        self.missed = 0;
        self.notifier.restore()
    }

    /// Prints news, below a line that tells the day where that is another one than before.
    fn print(&mut self, news: &News) {
        let now = SystemTime::now();
        let line = self.look.news(news, now);
        let day = if news.is_timeless() { self.day } else { self.look.day_of(news.at().unwrap_or(now)) };
        let change = (std::mem::replace(&mut self.day, day) != day).then(|| self.look.day(day));
        if let Some((recent, waiting)) = &mut self.recent {
            let count = recent.len();
            recent.extend(change.iter().chain([&line]).cloned());
            *waiting += recent.len() - count;
            recent.drain(..recent.len().saturating_sub(RECENT));
        }
        let line = width::broken(&line, self.terminal.window().columns.into());
        self.above.push_str(&screen::lines(change.iter().map(String::as_str).chain([line.as_str()])));
    }

    /// Shows a picture, or saves one that cannot be shown.
    fn picture(&mut self, picture: &Picture, outcome: Outcome) {
        let Picture { file, name, base64, extent } = picture;
        match outcome {
            Outcome::Shown { bytes, is_scaled } => {
                let has_more = is_scaled && *extent == Extent::Thumbnail;
                let more = if has_more { format!(" (/show {file} full shows more of it)") } else { String::new() };
                self.print(&News::Note(format!("{name}{more}:")));
                self.above.push_str(&bytes);
                // Where lines are printed again, the picture is not.
                let again = News::Note(format!("{name}: /show {file} shows it again"));
                if let Some(heading) = self.recent.as_mut().and_then(|(recent, _)| recent.back_mut()) {
                    *heading = self.look.news(&again, SystemTime::now());
                }
            }
            Outcome::NotShown(why) => match transfers::save(&self.visit.downloads, name, base64) {
                Ok(path) => self.print(&News::Note(format!("{name}: {why}; saved {}", path.display()))),
                Err(e) => self.print(&News::Refused(format!("{name}: {why}; saving it: {}", reason(&e)))),
            },
        }
    }

    /// The lines that were printed last, as many as the window has room for.
    fn again(&self, window: Window) -> String {
        let Some((recent, waiting)) = &self.recent else { return String::new() };
        let mut room = usize::from(window.rows).saturating_sub(2);
        let rows = |line: &String| width::broken(line, window.columns.into());
        let printed = recent.iter().rev().skip(*waiting).map(rows);
        let fitting: Vec<String> = printed
            .take_while(|rows| {
                let left = room.checked_sub(rows.lines().count());
                room = left.unwrap_or(0);
                left.is_some()
            })
            .collect();
        screen::lines(fitting.iter().rev().map(String::as_str))
    }

    /// Clears the window, as shells do. What stood in it goes up into the scrollback; where there is none, it is printed again.
    fn clear(&mut self, window: Window) {
        let rows = usize::from(window.rows);
        let scroll = format!("{}\x1b[{rows}H{}\x1b[H", self.rows.clear(), "\n".repeat(rows.saturating_sub(1)));
        self.above.insert_str(0, &(scroll + &self.again(window)));
    }

    /// Draws what has changed, if it is known where.
    fn draw(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.signals.take() > 0 {
            // The window may have been another one for a moment, and what stands in it have moved.
            self.shown = None;
            self.rows.disturb();
        }
        let window = self.terminal.window();
        let width = usize::from(window.columns);
        if self.window.0 != Some(window) {
            // What was cut off by then is seen again in one that is larger, too.
            self.clearing |= self.window.0.is_some() && self.recent.is_some();
            // The first size that is seen is no change.
            self.window = (Some(window), self.window.0.map(|_| now));
        }
        if self.settles(now).is_some() && self.above.len() < ABOVE {
            return Ok(());
        }
        if let Some(question) = self.rows.resize(width, now) {
            self.terminal.show(question)?;
        }
        if self.rows.waits(now).is_some() && self.above.len() < ABOVE {
            return Ok(());
        }
        if std::mem::take(&mut self.clearing) {
            self.clear(window);
        }
        self.editor.hide(self.visit.client.session.asks_secret().is_some());
        let place = self.visit.client.session.talks.target().map(|place| place.to_string()).unwrap_or_default();
        let row = self.editor.row(&self.prompt(), &place, width);
        let status = (window.rows > 1).then(|| self.look.status(&self.status(now), width));
        let most = usize::from(window.rows).saturating_sub(2).min(UNSURE_ROWS);
        let mut unsure: Vec<String> = self.visit.unsure(UNSURE).collect();
        let hidden = unsure.len().saturating_sub(most);
        // The last is what was just typed.
        unsure.drain(..hidden);
        if let Some(first) = unsure.first_mut().filter(|_| hidden > 0 && most > 1) {
            *first = format!("{} more", hidden + 1);
        }
        let unsure = unsure.iter().map(|line| self.look.unsure(line, width)).collect();
        let drawn = screen::Drawn { row, status, unsure };
        let is_other = |(shown, before): &(screen::Drawn, Window)| shown.row != drawn.row || *before != window;
        let is_urgent = !self.above.is_empty() || self.shown.as_ref().is_none_or(is_other);
        if !is_urgent && self.paced.is_some_and(|at| now < at) {
            return Ok(());
        }
        if !self.above.is_empty() || self.shown.as_ref() != Some(&(drawn.clone(), window)) {
            self.terminal.show(&self.rows.draw(&std::mem::take(&mut self.above), &drawn))?;
            self.recent.iter_mut().for_each(|(_, waiting)| *waiting = 0);
            self.shown = Some((drawn, window));
            self.paced = Some(now + PACE);
        }
        Ok(())
    }

    /// Until when the window may be on its way to yet another size, as it is while somebody drags it.
    fn settles(&self, now: Instant) -> Option<Instant> {
        self.window.1.map(|since| since + SETTLING).filter(|&until| now < until)
    }

    fn prompt(&self) -> String {
        if let Some(secret) = self.visit.client.session.asks_secret() {
            return format!("{secret}> ");
        }
        // Nothing is said anywhere before the server lets us in.
        if self.visit.client.session.asks_password() {
            return "> ".to_owned();
        }
        self.visit.client.session.talks.target().map_or_else(|| "> ".to_owned(), |place| format!("{place}> "))
    }

    fn status(&self, now: Instant) -> StatusRow<'_> {
        let Client { link, session, transfers, .. } = &self.visit.client;
        let state = session.status();
        let link = if session.is_online() {
            let is_silent = self.visit.silent_at(SILENT).is_some_and(|at| at <= now);
            is_silent.then(|| "waiting for the server".to_owned())
        } else if let Some(at) = link.next_try().filter(|&at| at > now) {
            let seconds = at.saturating_duration_since(now).as_secs_f64().ceil();
            Some(format!("reconnecting in {seconds} s"))
        } else if session.asks_secret().is_some() {
            Some("a password is asked for".to_owned())
        } else if let Some(how) = session.locked() {
            Some(format!("locked: {how}"))
        } else {
            Some(if link.is_up() { "waiting for the server" } else { "connecting" }.to_owned())
        };
        let target = session.talks.target();
        let unread = session.talks.iter().filter(|talk| talk.unread > 0).map(|talk| (talk.place, talk.unread));
        let typists = session.talks.typists(now).map(|(place, nick)| (nick, elsewhere(place, target)));
        let (mut typists, others): (Vec<_>, Vec<_>) = typists.partition(|(_, place)| place.is_none());
        typists.extend(others);
        StatusRow {
            link,
            server: &self.visit.address,
            nick: state.nick,
            online: state.online,
            unread: unread.collect(),
            typists,
            unsent: state.unsent,
            progress: transfers.progress(now).collect(),
        }
    }
}

fn elsewhere(place: Place, target: Option<Place>) -> Option<Place> {
    (Some(place) != target && !matches!(place, Place::With(_))).then_some(place)
}
