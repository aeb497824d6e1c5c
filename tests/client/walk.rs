//! The line client in a terminal: random walks, and windows that change their size.

use std::fs;
use std::process::Command;
use std::thread;

use chinwag::client::line::complete::Completion;
use chinwag::client::line::editor::{Editor, Intent};
use chinwag::client::line::keys::{Decoder, Input};
use chinwag::client::screen::Row;
use chinwag::client::screen::width::is_certain;
use fastrand::Rng;
use testkit::pty::{Emulator, Screen, Speaks, Terminal};
use testkit::{Client, Server, binary, eventually, have, seeds};
use unicode_width::UnicodeWidthStr;

use super::terminal::{EMULATORS, alice, below, come_in, connect, contains, input, lobby, told, typed};

/// Where emulators get the blanks wrong, they are left out.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect()
}

/// One of them.
fn of<'a>(random: &mut Rng, all: &[&'a str]) -> &'a str {
    all[random.usize(..all.len())]
}

/// One random walk: the terminal, who talks to it, and what must be seen.
struct Walk {
    terminal: Terminal,
    emulator: Emulator,
    random: Rng,
    characters: &'static [&'static str],
    bob: Client,
    carol: Client,
    carol_is_in: bool,
    /// What Alice types goes the same way here as in the client.
    decoder: Decoder,
    editor: Editor,
    to_bob: bool,
    size: (u16, u16),
    /// The lines that Bob has heard, as Alice sees them.
    heard: Vec<String>,
    /// The text of Alice's last line, until Bob has heard it.
    said: Option<String>,
    /// The lines that Bob has got since all was seen to be right.
    lines: Vec<String>,
    number: usize,
    /// Whether nothing of the rows may be left behind.
    is_exact: bool,
    /// What was done, for whoever looks for a fault.
    done: Vec<String>,
}

/// What is wrong with the lines, which is told if the test fails.
#[derive(Default)]
struct Fault(Option<String>);

impl Drop for Fault {
    fn drop(&mut self) {
        if let (true, Some(fault)) = (thread::panicking(), &self.0) {
            eprintln!("{fault}");
        }
    }
}

/// Characters that no name begins with, so that Tab finds nothing. Two columns wide are six of them.
const CHARACTERS: &[&str] = &["x", "y", "z", "X", "é", "7", " ", "日", "本", "語", "😀", "🎉", "ü", "q", "-", "."];

/// Of these, terminals make different numbers of columns.
const DOUBTFUL: &[&str] = &["🇩🇪", "🇯🇵", "1\u{fe0f}\u{20e3}", "#\u{fe0f}\u{20e3}", "नि", "हिन्दी", "क्षि", "x", " ", "日"];

const EDITING: &[&str] = &[
    "\x1b[D",
    "\x1b[D",
    "\x1b[C",
    "\x1b[H",
    "\x1b[F",
    "\x01",
    "\x05",
    "\x0b",
    "\x15",
    "\x17",
    "\x19",
    "\x7f",
    "\x7f",
    "\x1b[3~",
    "\t",
    "\x1b[1;5D",
    "\x1b[1;5C",
    "\x1b[A",
    "\x1b[B",
    "\x1bb",
    "\x1bd",
    "\x03",
];

impl Walk {
    fn new(seed: u64, emulator: Emulator, server: &Server) -> Self {
        let size = (80, 24);
        let mut bob = server.in_room("bob", "#lobby");
        bob.ask("/set echo on", "+ set echo on");
        bob.ask("/deop bob", "+ deop #lobby bob");
        let carol = server.in_room("carol", "#lobby");
        let terminal = alice(&server.address(), &[], size, emulator);
        bob.send("start");
        bob.until("#lobby <bob> start");
        told(&terminal, "<bob> start");
        // That opens the conversation.
        bob.send("/msg alice psst");
        bob.until("+ msg alice");
        let heard = vec![squeeze("#lobby <bob> start"), squeeze("@bob <bob> psst")];
        Self {
            terminal,
            emulator,
            random: Rng::with_seed(seed),
            characters: CHARACTERS,
            bob,
            carol,
            carol_is_in: true,
            decoder: Decoder::default(),
            editor: Editor::default(),
            to_bob: false,
            size,
            heard,
            said: None,
            lines: Vec::new(),
            number: 0,
            is_exact: true,
            done: vec![format!("seed {seed}, {emulator:?}")],
        }
    }

    fn keys(&mut self, keys: &str) {
        self.done.push(format!("keys {keys:?}"));
        self.terminal.keys(keys);
        self.decoder.feed(keys.as_bytes());
        for input in self.decoder.by_ref() {
            match input {
                Input::Key(key) => match self.editor.key(key, |_| Completion::default()) {
                    Some(Intent::Submit(line)) => self.said = Some(line),
                    Some(Intent::Walk(_)) => self.to_bob = !self.to_bob,
                    None | Some(Intent::Redraw) => {}
                    Some(other) => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        }
    }

    /// A message that stands in one row of a terminal that would cut it off, or one of any kind.
    fn text(&mut self) -> String {
        self.number += 1;
        let number = self.number;
        if self.emulator == Emulator::Clipping {
            return format!("m{number} {}", of(&mut self.random, &["", "x", "日本", "e\u{301}", "😀"]));
        }
        let words = ["hello", "日本語", "😀🎉", "e\u{301}a\u{308}", "supercalifragilistic", "a"];
        let count = self.random.usize(..3) * self.random.usize(..30);
        let text: Vec<&str> = (0..count).map(|_| of(&mut self.random, &words)).collect();
        format!("m{number} {}", text.join(" "))
    }

    /// Does something, and does not wait for it.
    fn step(&mut self) {
        match self.random.usize(..100) {
            0..25 => {
                let count = 1 + self.random.usize(..6);
                let keys: String = (0..count).map(|_| of(&mut self.random, self.characters)).collect();
                self.keys(&keys);
            }
            25..50 => {
                let key = of(&mut self.random, EDITING);
                self.keys(key);
            }
            50..56 => self.enter(),
            // A window that grows just then is not known to have more rows, of which some are lost.
            56..58 if self.is_exact => self.keys("\x0c"),
            56..58 => {}
            58..60 => {
                let key = of(&mut self.random, &["\x1b[1;3D", "\x1b[1;3C"]);
                self.keys(key);
            }
            60..75 => {
                let text = self.text();
                self.done.push(format!("bob: {text}"));
                let target = of(&mut self.random, &["#lobby", "#lobby", "alice"]);
                self.bob.send(&format!("/msg {target} {text}"));
            }
            // The server tells of typing when it is time, and so in the midst of a resize.
            75..79 if !self.is_exact => {
                let is_on = of(&mut self.random, &["on", "off"]);
                self.done.push(format!("typing {is_on}"));
                self.bob.send(&format!("/typing {} {is_on}", of(&mut self.random, &["#lobby", "alice"])));
                self.carol.send(&format!("/typing #lobby {is_on}"));
            }
            79..82 => {
                self.done.push("carol comes or goes".to_owned());
                self.carol.send(if self.carol_is_in { "/leave #lobby" } else { "/join #lobby" });
                self.carol_is_in = !self.carol_is_in;
                self.carol.settle();
            }
            _ => self.resize(),
        }
    }

    /// Sends what is typed, with a number, so that it is a line of its own.
    fn enter(&mut self) {
        if self.said.is_some() {
            return;
        }
        if self.emulator == Emulator::Clipping && self.editor.text().width() > 8 {
            self.keys("\x05\x15");
        }
        if self.editor.text().trim().is_empty() {
            // Of that nobody hears, so that what is typed next may come with it, as a paste does.
            return;
        }
        self.number += 1;
        self.keys(&format!("\x05 n{}", self.number));
        self.keys("\r");
        if !self.is_exact {
            // What is typed next must not come with it, as a paste does.
            self.hear_said();
        }
    }

    /// Waits until Bob hears what Alice has said.
    fn hear_said(&mut self) {
        if let Some(said) = self.said.take() {
            let said = format!("<alice> {}", said.trim_end());
            while !self.lines.last().is_some_and(|line: &String| line.ends_with(&said)) {
                self.lines.push(self.bob.line().unwrap());
            }
        }
    }

    fn resize(&mut self) {
        if self.is_exact {
            // Whatever is drawn while a window gets narrower may leave a piece of the rows behind.
            eventually("the client at rest", || self.terminal.is_at_rest());
        }
        // What is cut off is gone, so where that happens no message is wider than the window.
        let narrowest = if self.emulator == Emulator::Clipping { 40 } else { 15 };
        let columns = narrowest + self.random.usize(..121 - narrowest);
        let mut rows = 4 + self.random.usize(..37);
        // Rows of ours that are pushed out at the top when the window gets narrow cannot be taken back.
        let wrapped = |width: usize| width.div_ceil(columns);
        let free = usize::from(self.size.1).saturating_sub(self.terminal.screen().cursor.0 + 2);
        rows = rows.max(wrapped(usize::from(self.size.0)) * 2 + free + 1);
        self.size = (u16::try_from(columns).unwrap(), u16::try_from(rows).unwrap());
        self.done.push(format!("resize {columns} {rows}"));
        self.terminal.resize(self.size.0, self.size.1);
    }

    /// Shows the client what this terminal does with its rows when it gets narrower. Before it has seen that, there are
    /// widths at which it cannot know.
    fn show_what_a_resize_does(&mut self) {
        self.keys(&"x".repeat(60));
        self.settle();
        self.size = (50, 24);
        self.terminal.resize(50, 24);
        self.settle();
        self.keys("\x03");
        self.settle();
    }

    /// What the input row is to show.
    fn row(&self) -> Row {
        let place = if self.to_bob { "@bob" } else { "#lobby" };
        self.editor.row(&format!("{place}> "), place, self.size.0.into())
    }

    /// Waits until everything that was done has come to the screen, and nothing else is there.
    #[track_caller]
    fn settle(&mut self) {
        self.hear_said();
        self.lines.extend(self.bob.settle());
        for line in self.lines.drain(..) {
            let line = line.replacen("@alice", "@bob", 1);
            if line.starts_with("#lobby <") || line.starts_with("@bob <") {
                self.heard.push(squeeze(&line));
            } else if let Some(happened) = line.strip_prefix("#lobby * carol ")
                && matches!(happened, "joined" | "left")
            {
                self.heard.push(squeeze(&format!("#lobby carol {happened}")));
            }
        }
        let row = self.row();
        let column = row.before.width();
        let row = format!("{}{}", row.before, row.after);
        let row = row.trim_end();
        let from = self.done.len().saturating_sub(8);
        let last = self.heard.len().saturating_sub(5);
        let what = format!(
            "in {:?} the row {row:?} with the cursor in column {column}, below {} lines, the last of which are {:#?}, \
             after {:#?}",
            self.size,
            self.heard.len(),
            &self.heard[last..],
            &self.done[from..]
        );
        let mut fault = Fault::default();
        self.terminal.wait_until(&what, |screen| {
            fault.0 = self.fault(screen);
            self.shows(screen, row, column) && !below(screen).is_empty() && fault.0.is_none()
        });
    }

    /// Whether the input row and the cursor are so. What emulators have no room for, as they take it to be wider, is lost at
    /// the end of the row.
    fn shows(&self, screen: &Screen, row: &str, column: usize) -> bool {
        if is_certain(row) {
            return input(screen) == row && screen.cursor.1 == column;
        }
        let mut shown = squeeze(input(screen));
        shown.truncate(shown.char_indices().rev().nth(2).map_or(0, |(at, _)| at));
        squeeze(row).starts_with(&shown)
    }

    /// What is wrong with the lines, if something is: each message must stand there once, and in order.
    ///
    /// Below them stand the two rows, and nothing else is there. Where everything happens at once, a piece of an old input row may
    /// stay: a window that gets narrow just when something is drawn cuts that off or wraps it, and what it did cannot always be
    /// known. Then nothing above the cursor is erased, as a message may never go.
    fn fault(&self, screen: &Screen) -> Option<String> {
        // Who presses Ctrl-C on an empty line is told how to leave.
        let is_hint = |line: &str| line.starts_with("·Ctrl-D");
        let lines = screen.unbroken().into_iter().map(|line| squeeze(&line));
        let lines: Vec<String> = lines.filter(|line| !line.is_empty() && !is_hint(line)).collect();
        let first = lines.iter().position(|line| line.ends_with("#lobby<bob>start")).unwrap_or(lines.len());
        let mut lines = lines[first..].iter();
        for want in &self.heard {
            let Some(line) = lines.find(|line| self.is_exact || line.ends_with(want)) else {
                return Some(format!("there is no {want:?}"));
            };
            let said = line.get(5..).unwrap_or_default();
            if self.is_exact && said.strip_prefix('»').unwrap_or(said) != want {
                return Some(format!("{line:?}\nstands in the place of\n{want:?}"));
            }
        }
        let rows: Vec<&String> = lines.collect();
        let is_good = |row: &&String| !row.contains("<bob>") && !row.contains("<alice>");
        // What was left behind would stand in a row of its own, or before the input row, as if that were the rest of it.
        let all_good = if self.is_exact {
            rows.len() == 2 && *rows[0] == squeeze(input(screen))
        } else {
            rows.iter().all(is_good)
        };
        (!all_good).then(|| format!("below the messages stands {rows:?}"))
    }
}

#[test]
fn the_input_row_is_as_typed_and_each_message_stands_once() {
    thread::scope(|scope| {
        for emulator in EMULATORS {
            for seed in seeds(2) {
                scope.spawn(move || walk(seed, emulator, CHARACTERS));
            }
        }
    });
}

#[test]
fn what_is_wide_in_some_terminals_leaves_nothing_behind() {
    thread::scope(|scope| {
        for emulator in EMULATORS {
            for seed in seeds(2) {
                scope.spawn(move || walk(seed, emulator, DOUBTFUL));
            }
        }
    });
}

/// Three hundred steps, after each of which everything is as it should be.
fn walk(seed: u64, emulator: Emulator, characters: &'static [&'static str]) {
    let server = Server::start(&["--rate", "0"]);
    let mut walk = Walk::new(seed, emulator, &server);
    walk.characters = characters;
    walk.show_what_a_resize_does();
    for _ in 0..300 {
        walk.step();
        walk.settle();
    }
}

#[test]
fn each_message_stands_once_with_everything_at_once() {
    thread::scope(|scope| {
        for seed in seeds(2) {
            scope.spawn(move || {
                let server = Server::start(&["--rate", "0"]);
                let mut walk = Walk::new(seed, Emulator::Reflowing, &server);
                walk.is_exact = false;
                for _ in 0..100 {
                    for _ in 0..2 + walk.random.usize(..6) {
                        walk.step();
                    }
                    walk.settle();
                }
            });
        }
    });
}

#[test]
fn a_window_that_is_dragged_smaller_and_larger() {
    let server = Server::start(&["--rate", "0"]);
    let mut walk = Walk::new(3, Emulator::Reflowing, &server);
    walk.is_exact = false;
    walk.keys("what is typed fills the row from its beginning to its very end. ".repeat(3).trim_end());
    walk.settle();
    // Each step is a signal, which may come in the midst of anything.
    for _ in 0..20 {
        for width in (40..120).rev().chain(40..120) {
            walk.size = (width, 24);
            walk.terminal.resize(width, 24);
            thread::yield_now();
        }
        walk.settle();
    }
}

#[test]
fn a_window_of_another_height_has_both_rows() {
    for emulator in EMULATORS {
        let (server, mut bob) = lobby();
        let terminal = alice(&server.address(), &[], (60, 10), emulator);
        for n in 0..20 {
            bob.send(&format!("line {n}"));
        }
        told(&terminal, "line 19");
        for rows in [9, 8, 5, 3, 2, 6, 20, 19, 30, 2, 12] {
            terminal.resize(60, rows);
            let what = format!("both rows of {rows}");
            let both = |screen: &Screen| input(screen) == "#lobby>" && below(screen).contains("· alice ·");
            terminal.wait_until(&what, both);
        }
    }
}

#[test]
fn a_terminal_that_tells_no_size_has_both_rows() {
    for none in ["cols 0", "rows 0", "cols 0 rows 0"] {
        let (server, mut bob) = lobby();
        let address = server.address();
        let script = format!("stty {none}; exec \"$0\" connect --nick alice --join '#lobby' $1");
        let mut command = Command::new("bash");
        command.args(["-c", &script, binary(), &address]);
        let terminal = Terminal::start(&mut command, 80, 24, Emulator::Reflowing, Speaks::Nothing);
        come_in(&terminal, &address);
        terminal.keys("good");
        typed(&terminal, "#lobby> good");
        terminal.keys("\r");
        bob.until("#lobby <alice> good");
    }
}

#[test]
fn a_tiny_window_does_no_harm() {
    for emulator in EMULATORS {
        let (server, mut bob) = lobby();
        let terminal = alice(&server.address(), &[], (60, 10), emulator);
        for (n, size) in [(60, 1), (2, 10), (1, 1), (2, 2), (3, 1), (60, 1)].into_iter().enumerate() {
            terminal.resize(size.0, size.1);
            terminal.keys("x");
            bob.send(&format!("line {n}"));
            terminal.wait_until_raw("the line", |raw| {
                raw.ends_with(b"\x1b[?2026l") && contains(raw, &format!("> line {n}"))
            });
            terminal.keys("\x03");
        }
        terminal.resize(60, 1);
        terminal.keys("\x03good");
        typed(&terminal, "#lobby> good");
        terminal.resize(60, 10);
        terminal.keys(" again");
        terminal.wait_until("both rows", |screen| {
            input(screen) == "#lobby> good again" && below(screen).contains("· alice ·")
        });
        terminal.keys("\r");
        bob.until("#lobby <alice> good again");
    }
}

#[test]
fn a_window_that_is_dragged_in_tmux_keeps_one_input_row() {
    if !have(&["tmux", "stty"]) {
        return;
    }
    let (server, _bob) = lobby();
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("conf");
    // It goes with the terminal around it.
    fs::write(&conf, "set -g destroy-unattached on\nset -g status off\n").unwrap();
    let tmux = |arguments: &[&str]| {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(folder.path().join("socket")).arg("-f").arg(&conf).args(arguments);
        command
    };
    let told = |arguments: &[&str]| String::from_utf8(tmux(arguments).output().unwrap().stdout).unwrap();
    let client = connect(&server.address(), &[]);
    let mut command = tmux(&["new-session"]);
    command.arg(client.get_program()).args(client.get_args());
    let terminal = Terminal::start(&mut command, 90, 24, Emulator::Clipping, Speaks::Nothing);
    come_in(&terminal, &server.address());
    terminal.keys("kurz");
    typed(&terminal, "#lobby> kurz");
    let tty = told(&["display-message", "-p", "#{pane_tty}"]);
    for width in (45..90).rev().step_by(3) {
        terminal.resize(width, 24);
        // tmux itself takes it at once, and tells of it later.
        eventually("the client's window", || {
            let size = Command::new("stty").args(["-F", tty.trim(), "size"]).output().unwrap();
            String::from_utf8(size.stdout).unwrap() == format!("24 {width}\n")
        });
    }
    terminal.keys("!");
    typed(&terminal, "#lobby> kurz!");
    // What has gone up out of the window could never be erased.
    let rows = told(&["capture-pane", "-p", "-S", "-"]);
    assert_eq!(rows.matches("#lobby> kurz").count(), 1, "{rows}");
}
