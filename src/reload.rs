//! The thread that reads the configuration and its files anew, and looks for the operator's door, as a disk may take its time.

use crate::channel::{Receiver, Sender, channel};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use log::error;
use mio::Waker;

use crate::control::ControlListener;
use crate::effect::Reloaded;
use crate::home::{Hold, TLS};
use crate::limits;
use crate::listener::Proxies;
use crate::tls::{self, Certificate};
use crate::web::PageOrigin;

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
    pub origins: Vec<PageOrigin>,
}

/// What the thread carries out. An error says what is wrong, and where.
pub type Reader = Box<dyn FnMut() -> Result<Anew, String> + Send>;

/// What the thread is asked for.
enum Asked {
    Configuration,
    /// Whether all is there that is only looked for now and then: the operator's door, at this path, and the certificate that the server
    /// has made.
    Look(Option<PathBuf>, Option<Certificate>),
}

/// The ways to the thread and from it. Nobody waits for its end for long.
#[derive(Debug)]
pub struct Reloads {
    asked: Sender<Asked>,
    results: Receiver<Result<Anew, String>>,
    doors: Receiver<Option<io::Result<ControlListener>>>,
    /// Looks that are not done.
    looking: usize,
}

impl Reloads {
    /// Begins to wait for whoever asks; `hold` keeps the data folder for us, if there is one. Each result wakes `waker`, but that the operator's door is there.
    pub fn start(mut reader: Reader, hold: Option<Arc<Hold>>, waker: Arc<Waker>) -> io::Result<Self> {
        let (asked, todo) = channel();
        let (done, results) = channel();
        let (looked, doors) = channel();
        thread::Builder::new().name("reload".into()).spawn(move || {
            for asked in todo.iter() {
                let (is_heard, is_news) = match asked {
                    Asked::Configuration => (done.send(reader()).is_ok(), true),
                    Asked::Look(path, certificate) => {
                        let door = look(path.as_deref(), certificate.as_ref(), hold.as_deref());
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
        Ok(Self { asked, results, doors, looking: 0 })
    }

    /// Has all of it read once more. There is one result of each call, in their order.
    pub fn ask(&self) {
        if self.asked.send(Asked::Configuration).is_err() {
            error!("the thread that reads the configuration anew is gone; a restart reads it");
        }
    }

    /// Has it looked whether somebody has swept away the lock of the data folder, the certificate that is shown if the server has made it, or
    /// the operator's door at `path`. They are made anew then.
    pub fn look(&mut self, path: Option<&Path>, certificate: Option<Certificate>) {
        if self.asked.send(Asked::Look(path.map(Path::to_owned), certificate)).is_err() {
            error!("the thread that looks for the operator's door is gone");
        }
        self.looking += 1;
    }

    /// What came of a look at the operator's door, if one is done: nothing if it was there, or else the new one.
    pub fn looked(&mut self) -> Option<Option<io::Result<ControlListener>>> {
        let looked = self.doors.try_recv().ok();
        self.looking -= usize::from(looked.is_some());
        looked
    }

    /// What has been read since this was last asked.
    pub fn results(&self) -> impl Iterator<Item = Result<Anew, String>> + '_ {
        self.results.try_iter()
    }
}

impl Drop for Reloads {
    fn drop(&mut self) {
        let until = Instant::now() + limits::LOG_WAIT;
        while self.looking > 0 && self.doors.recv_timeout(until.saturating_duration_since(Instant::now())).is_ok() {
            self.looking -= 1;
        }
    }
}

/// Makes anew what is gone, and gives the operator's door if that is: the folder must be ours first.
fn look(
    path: Option<&Path>,
    certificate: Option<&Certificate>,
    hold: Option<&Hold>,
) -> Option<io::Result<ControlListener>> {
    if let Some(hold) = hold {
        if let Err(e) = hold.mend() {
            return path.filter(|path| ControlListener::is_gone(path)).map(|_| Err(e));
        }
        // Whoever removes it alone may want another.
        let folder = hold.dir().join(TLS);
        if let Some(certificate) = certificate.filter(|_| !folder.exists()) {
            tls::put_back(&folder, certificate);
        }
    }
    path.and_then(ControlListener::mend)
}
