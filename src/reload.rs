//! The thread that reads the configuration and its files anew, and looks for the operator's door, as a disk may take its time.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use log::error;
use mio::Waker;

use crate::control::ControlListener;
use crate::effect::Reloaded;
use crate::listener::Proxies;
use crate::tls::Certificate;
use crate::web::Origin;

/// What was read.
#[derive(Debug)]
pub struct Anew {
    /// What concerns what chinwag does.
    pub what: Reloaded,
    /// What is shown to whoever comes in TLS from now on, if that is spoken.
    pub certificate: Option<Certificate>,
    /// The proxies that are believed from now on.
    pub proxies: Proxies,
    /// Pages of which names may talk to a browser's door.
    pub origins: Vec<Origin>,
}

/// What the thread carries out. An error says what is wrong, and where.
pub type Reader = Box<dyn FnMut() -> Result<Anew, String> + Send>;

/// What the thread is asked for.
enum Asked {
    Configuration,
    /// Whether the operator's door is at this path.
    Door(PathBuf),
}

/// The ways to the thread and from it. Nobody waits for its end.
#[derive(Debug)]
pub struct Reloads {
    asked: Sender<Asked>,
    results: Receiver<Result<Anew, String>>,
    doors: Receiver<Option<io::Result<ControlListener>>>,
}

impl Reloads {
    /// Begins to wait for whoever asks; each result wakes `waker`, but that the operator's door is there.
    pub fn start(mut reader: Reader, waker: Arc<Waker>) -> io::Result<Self> {
        let (asked, todo) = channel();
        let (done, results) = channel();
        let (looked, doors) = channel();
        thread::Builder::new().name("reload".into()).spawn(move || {
            for asked in todo {
                let (is_heard, is_news) = match asked {
                    Asked::Configuration => (done.send(reader()).is_ok(), true),
                    Asked::Door(path) => {
                        let door = ControlListener::mend(&path);
                        let is_news = door.is_some();
                        (looked.send(door).is_ok(), is_news)
                    }
                };
                if !is_heard {
                    break;
                }
                if !is_news {
                    continue;
                }
                if let Err(e) = waker.wake() {
                    error!("cannot wake the reactor: {e}");
                }
            }
        })?;
        Ok(Self { asked, results, doors })
    }

    /// Has all of it read once more. There is one result of each call, in their order.
    pub fn ask(&self) {
        if self.asked.send(Asked::Configuration).is_err() {
            error!("the thread that reads the configuration anew is gone; a restart reads it");
        }
    }

    /// Has it looked for the operator's door, which is opened anew if it is gone.
    pub fn look_for_door(&self, path: &Path) {
        if self.asked.send(Asked::Door(path.to_owned())).is_err() {
            error!("the thread that looks for the operator's door is gone");
        }
    }

    /// What came of a look for the operator's door, if one is done: nothing if it was there, or else the new one.
    pub fn door(&self) -> Option<Option<io::Result<ControlListener>>> {
        self.doors.try_recv().ok()
    }

    /// What has been read since this was last asked.
    pub fn results(&self) -> impl Iterator<Item = Result<Anew, String>> + '_ {
        self.results.try_iter()
    }
}
