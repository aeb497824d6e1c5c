//! Pictures on their way from the server to the terminal: those that wait, what the terminal is asked before the first of
//! them, and the process that decodes one.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use mio::{Registry, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::helper::Helper;
use crate::client::line::keys::TerminalAnswer;
use crate::client::screen::pictures::blocks::Colours;
use crate::client::screen::pictures::header::Header;
use crate::client::screen::pictures::pixels::{self, Pixels};
use crate::client::screen::pictures::{Plan, QUESTION, QUESTION_IN_TMUX, Speaks, Window};
use crate::client::wire::transfers::Picture;
use crate::listener::reason;

/// How long the terminal may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much time of the processor a picture may take to be decoded, in seconds.
const SECONDS: u64 = 20;
/// Bytes that tmux may tell of itself.
const TOLD: usize = 1024;

/// What becomes of a picture.
#[derive(Debug)]
pub enum Outcome {
    /// These bytes show it, and there may be more of it than they do.
    Shown {
        /// The bytes for the terminal.
        bytes: String,
        /// Whether there is more of the picture.
        is_scaled: bool,
    },
    /// It is not shown, for this reason.
    NotShown(String),
}

/// Terminals that show no pictures, and may show what they are asked about them: the consoles of Linux and the BSDs, the one in Emacs,
/// and what is wired up.
const PICTURELESS: &[&str] = &["linux", "wsvt25", "vt100", "vt102", "vt220", "eterm", "cons25"];

/// What stands between us and the terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Between {
    Nothing,
    Tmux,
    /// It takes questions for titles or shows them, and shows no pictures.
    Screen,
}

/// The pictures that wait to be shown, and what is known of the terminal.
#[derive(Debug)]
pub struct Gallery {
    speaks: Speaks,
    /// What stands between us and the terminal, and when both were asked, if they were.
    asked: Option<(Between, Instant)>,
    /// Whether the terminal has answered, and will not any more.
    is_answered: bool,
    /// Pictures that wait for their turn.
    waiting: VecDeque<Picture>,
    /// tmux, as long as it has not told of itself.
    tmux: Option<Helper>,
    /// The picture that is being decoded.
    decoding: Option<(Picture, Plan, Helper)>,
    /// The number of the picture that was shown last.
    id: u8,
}

impl Gallery {
    /// None yet; whether there are to be colours.
    pub fn new(colour: bool) -> Self {
        let mut speaks = Speaks::default();
        let is_true = matches!(&*variable("COLORTERM"), "truecolor" | "24bit");
        speaks.text(colour.then_some(if is_true { Colours::True } else { Colours::Indexed }));
        // Others may show pictures in the same window of tmux.
        let id = u8::try_from(std::process::id() % 255).unwrap_or_default();
        let waiting = VecDeque::new();
        Self { speaks, asked: None, is_answered: false, waiting, tmux: None, decoding: None, id }
    }

    /// A picture is going to be shown. Returns what is to be asked of the terminal for that, the first time.
    pub fn ask(&mut self, registry: &Registry, token: Token) -> Option<&'static str> {
        if self.asked.is_some() {
            return None;
        }
        let between = between();
        self.asked = Some((between, Instant::now()));
        self.is_answered = between == Between::Screen;
        match between {
            Between::Nothing => Some(QUESTION),
            Between::Screen => None,
            Between::Tmux => {
                let mut command = Command::new("tmux");
                command.args(["display-message", "-p", "#{allow-passthrough} #{client_termname} #{client_termtype}"]);
                // Where the tmux is on another machine, one on this machine would tell of itself.
                let is_here = !variable("TMUX").is_empty();
                self.tmux = is_here.then(|| Helper::start(&mut command, &[], TOLD, registry, token).ok()).flatten();
                Some(QUESTION_IN_TMUX)
            }
        }
    }

    /// Takes what the terminal answers.
    pub fn answer(&mut self, answer: &TerminalAnswer) {
        match answer {
            TerminalAnswer::Attributes(attributes) => {
                self.speaks.attributes(attributes);
                self.is_answered = self.asked.is_some();
            }
            TerminalAnswer::Graphics(text) => self.speaks.graphics(text),
            TerminalAnswer::Report(text) => self.speaks.report(text),
            TerminalAnswer::Cell { width, height } => self.speaks.cell(*width, *height),
            TerminalAnswer::Registers(count) => self.speaks.registers(*count),
            _ => {}
        }
    }

    /// Until when an answer of the terminal's may come, if one may.
    pub fn waits(&self) -> Option<Instant> {
        self.patience().filter(|_| !self.is_answered)
    }

    /// Until when answers are waited for.
    fn patience(&self) -> Option<Instant> {
        self.asked.map(|(_, at)| at + PATIENCE).filter(|&until| Instant::now() < until)
    }

    /// Puts a picture behind those that wait.
    pub fn add(&mut self, picture: Picture) {
        self.waiting.push_back(picture);
    }

    /// When there is something to be done even if nothing comes.
    pub fn next(&self) -> Option<Instant> {
        self.patience().filter(|_| !self.waiting.is_empty() && (!self.is_answered || self.tmux.is_some()))
    }

    /// The next picture that is done with, and what becomes of it.
    pub fn poll(&mut self, window: &Window, registry: &Registry, token: Token) -> Option<(Picture, Outcome)> {
        if let Some((_, _, helper)) = &mut self.decoding {
            let decoded = helper.poll()?.map(<[u8]>::to_vec);
            let (picture, plan, _) = self.decoding.take()?;
            let pixels = decoded.ok().zip(plan.decodes_to()).and_then(|(bytes, size)| Pixels::new(size, bytes));
            let outcome = match pixels {
                Some(pixels) => self.shown(&plan, |plan, id| plan.show_decoded(&pixels, id)),
                None => Outcome::NotShown("it cannot be decoded: it is damaged, or of an unusual kind".to_owned()),
            };
            return Some((picture, outcome));
        }
        if let Some(told) = self.tmux.as_mut().and_then(Helper::poll) {
            self.speaks.tmux(&String::from_utf8_lossy(told.unwrap_or_default()));
            self.tmux = None;
        }
        if self.waiting.is_empty() || self.next().is_some() {
            return None;
        }
        self.tmux = None;
        if !self.is_answered && self.asked.is_some_and(|(between, _)| between == Between::Nothing) {
            self.speaks.name([&variable("TERM_PROGRAM"), &variable("LC_TERMINAL")]);
        }
        let picture = self.waiting.pop_front()?;
        let begun = self.begin(&picture, window, registry, token);
        match begun {
            Ok(Begun::Shown(outcome)) => Some((picture, outcome)),
            Ok(Begun::Decoding(plan, helper)) => {
                self.decoding = Some((picture, plan, helper));
                None
            }
            Err(why) => Some((picture, Outcome::NotShown(why))),
        }
    }

    fn begin(
        &mut self,
        picture: &Picture,
        window: &Window,
        registry: &Registry,
        token: Token,
    ) -> Result<Begun, String> {
        // All of it is checked: whatever got through would drive the terminal.
        let bytes = BASE64.decode(&picture.base64).unwrap_or_default();
        let header = Header::of(&bytes).ok_or("it is no picture that can be shown: PNG, JPEG and WebP can")?;
        let plan = self.speaks.plan(&header, picture.extent, window)?;
        let Some((width, height)) = plan.decodes_to() else {
            return Ok(Begun::Shown(self.shown(&plan, |plan, id| plan.show(&picture.name, &bytes, id))));
        };
        // This is the very program that runs, even if there is another one at its path by now.
        let mut command = Command::new("/proc/self/exe");
        command.arg("decode").args([width, height].map(|side| side.to_string()));
        let helper = Helper::start(&mut command, &bytes, width * height * 4, registry, token)
            .map_err(|e| format!("it cannot be decoded: {}", reason(&e)))?;
        Ok(Begun::Decoding(plan, helper))
    }

    fn shown(&mut self, plan: &Plan, bytes: impl FnOnce(&Plan, u8) -> String) -> Outcome {
        self.id = self.id % 255 + 1;
        Outcome::Shown { bytes: bytes(plan, self.id), is_scaled: plan.is_scaled() }
    }
}

enum Begun {
    Shown(Outcome),
    Decoding(Plan, Helper),
}

/// Decodes the picture that standard input has to this size, and writes its pixels to standard output. This is a process of
/// its own, as a picture of a stranger's may make a decoder fail, hang or take too much: it is ended then by the system.
pub fn decode(size: (usize, usize)) -> Result<(), String> {
    let failed = |e: io::Error| reason(&e);
    for (resource, most) in [(Resource::As, pixels::MEMORY), (Resource::Cpu, SECONDS), (Resource::Core, 0)] {
        // Whoever started the client may have set less, and that cannot be raised.
        let most = getrlimit(resource).maximum.map_or(most, |set| set.min(most));
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|e| failed(e.into()))?;
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(failed)?;
    let pixels = pixels::decode(&bytes, size).ok_or("it cannot be decoded")?;
    io::stdout().lock().write_all(pixels.bytes()).map_err(failed)
}

/// What this is in the environment; empty where it is not set.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

fn between() -> Between {
    let term = variable("TERM");
    // One may be in the other, and then it is not known which is nearer to us.
    if !variable("STY").is_empty() {
        Between::Screen
    } else if !variable("TMUX").is_empty() || term.starts_with("tmux") {
        Between::Tmux
    } else if term.starts_with("screen") || PICTURELESS.iter().any(|name| term.starts_with(name)) {
        Between::Screen
    } else {
        Between::Nothing
    }
}
