//! `chinwag send` and `chinwag get`: files for scripts, and for people in a hurry.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::termios::tcgetwinsize;

use crate::client::Client;
use crate::client::model::news::News;
use crate::client::model::session::Wish;
use crate::client::model::transfer::Progress;
use crate::client::screen::width;
use crate::client::screen::{self, Form};
use crate::client::wire::store::Source;
use crate::client::wire::transfers::{self, Keep, TransferEnd};
use crate::listener::reason;
use crate::names::{FileId, Place};

/// How often progress is shown.
const MOVING: Duration = Duration::from_millis(250);
/// How long the server may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Shares files with `place`, and prints the ID of each. It is an error if one of them has not arrived whole; those
/// that failed before it are told on standard error.
pub fn send(address: &str, wish: Wish, files: Vec<(Source, String)>, place: Place) -> Result<(), String> {
    run(address, wish, PathBuf::new(), |client| {
        files.into_iter().for_each(|(source, name)| client.transfers.send(place, source, name));
        Ok(())
    })
}

/// Fetches files, and prints where each is. `folder` is where those go that are kept in one. It is an error if one of them is
/// not here whole; those that failed before it are told on standard error.
pub fn get(address: &str, wish: Wish, files: &[FileId], keep: &Keep, folder: PathBuf) -> Result<(), String> {
    run(address, wish, folder, |client| files.iter().try_for_each(|&file| client.transfers.get(file, keep.clone())))
}

fn run(
    address: &str,
    wish: Wish,
    folder: PathBuf,
    begin: impl FnOnce(&mut Client) -> Result<(), String>,
) -> Result<(), String> {
    let mut client = Client::new(address, wish, folder).map_err(|e| reason(&e))?;
    // Who is not let in as they wished shares nothing and fetches nothing.
    while !client.session.is_online() {
        client.turn(None).map_err(|e| format!("cannot connect to {address}: {e}"))?;
        while let Some(news) = client.session.poll_news() {
            match news {
                News::Refused(why) => return Err(why),
                News::Note(text) => say(&text),
                _ => {}
            }
        }
    }
    begin(&mut client)?;
    let mut bar = Bar::new();
    let mut failed: Option<String> = None;
    while !client.transfers.is_empty() {
        let until = Some(Instant::now() + MOVING);
        let turned = client.turn(until).map_err(|e| format!("cannot connect to {address}: {e}"));
        bar.clear();
        turned?;
        while let Some(news) = client.session.poll_news() {
            match news {
                News::Refused(text) | News::Note(text) => say(&text),
                _ => {}
            }
        }
        while let Some(end) = client.transfers.poll_end() {
            let line = match end {
                TransferEnd::Sent { file, .. } => file.to_string(),
                TransferEnd::Saved { path: Some(path), .. } => path.display().to_string(),
                TransferEnd::Stalled { name } => {
                    say(&format!("{name}: {}", transfers::STALLED));
                    continue;
                }
                TransferEnd::Saved { path: None, .. } | TransferEnd::Picture { .. } => continue,
                TransferEnd::Failed { what, why } => {
                    if let Some(earlier) = failed.replace(format!("{what}: {why}")) {
                        say(&earlier);
                    }
                    continue;
                }
            };
            writeln!(io::stdout(), "{line}").map_err(|e| reason(&e))?;
        }
        bar.draw(client.transfers.progress(Instant::now()).next());
    }
    leave(&mut client);
    failed.map_or(Ok(()), Err)
}

/// Goes without a fuss. All that counted is done.
fn leave(client: &mut Client) {
    let now = Instant::now();
    client.session.typed("/quit", now);
    while client.link.is_up() && now.elapsed() < GOODBYE && client.turn(Some(now + GOODBYE)).is_ok() {}
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "chinwag: {text}");
}

/// A progress bar on standard error, if that is a terminal.
struct Bar {
    is_terminal: bool,
    is_drawn: bool,
}

impl Bar {
    fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), is_drawn: false }
    }

    /// Makes room for a line that stays.
    fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn draw(&mut self, progress: Option<Progress<'_>>) {
        if let Some(progress) = progress.filter(|_| self.is_terminal) {
            let width = tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col));
            let form = if width < 60 { Form::Short } else { Form::Long };
            let line = width::head(&screen::transfer(&progress, form), width.saturating_sub(1));
            let _ = write!(io::stderr(), "\r{line}\x1b[K");
            self.is_drawn = true;
        }
    }
}
