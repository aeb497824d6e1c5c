//! The thread that reads the configuration and its files anew, as a disk may take its time.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use log::error;
use mio::Waker;

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

/// The ways to the thread and from it. Nobody waits for its end.
#[derive(Debug)]
pub struct Reloads {
    asked: Sender<()>,
    results: Receiver<Result<Anew, String>>,
}

impl Reloads {
    /// Begins to wait for whoever asks; each result wakes `waker`.
    pub fn start(mut reader: Reader, waker: Arc<Waker>) -> io::Result<Self> {
        let (asked, todo) = channel();
        let (done, results) = channel();
        thread::Builder::new().name("reload".into()).spawn(move || {
            for () in todo {
                if done.send(reader()).is_err() {
                    break;
                }
                if let Err(e) = waker.wake() {
                    error!("cannot wake the reactor: {e}");
                }
            }
        })?;
        Ok(Self { asked, results })
    }

    /// Has all of it read once more. There is one result of each call, in their order.
    pub fn ask(&self) {
        if self.asked.send(()).is_err() {
            error!("the thread that reads the configuration anew is gone; a restart reads it");
        }
    }

    /// What has been read since this was last asked.
    pub fn results(&self) -> impl Iterator<Item = Result<Anew, String>> + '_ {
        self.results.try_iter()
    }
}
