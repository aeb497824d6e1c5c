//! Channels from thread to thread, in a lock and two condition variables. They stand for those of the standard library, whose errors and
//! names they have: without a lock these are 200 KB of the program, as each kind of thing that goes through them has its own. A thread
//! here sends some thousand things a second, each of which costs a system call or a write besides.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::iter;
use std::sync::mpsc::{RecvError, RecvTimeoutError, SendError, TryRecvError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many places an empty queue keeps.
const KEPT: usize = 32;

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Something has come, or nothing comes any more.
    came: Condvar,
    /// Something has gone, or nothing goes any more.
    went: Condvar,
    limit: usize,
}

struct State<T> {
    queue: VecDeque<T>,
    senders: usize,
    has_receiver: bool,
    /// How many threads wait for either; to wake nobody costs a system call, too.
    waiting: usize,
}

/// The end into which things go, from as many threads as have a copy.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end out of which they come, in the order in which they were sent.
pub struct Receiver<T>(Arc<Shared<T>>);

/// A channel that holds whatever is sent.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

/// A channel that holds up whoever sends while it holds `limit` things, at least 1.
pub fn bounded<T>(limit: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { queue: VecDeque::new(), senders: 1, has_receiver: true, waiting: 0 };
    let shared = Shared { state: Mutex::new(state), came: Condvar::new(), went: Condvar::new(), limit: limit.max(1) };
    let shared = Arc::new(shared);
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `what`, up to `until` if there is an end.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        what: &Condvar,
        until: Option<Instant>,
    ) -> MutexGuard<'a, State<T>> {
        state.waiting += 1;
        let mut state = match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => what.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(left) => what.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.waiting -= 1;
        state
    }

    /// Lets go of `state`, and wakes who waits for `what`.
    fn tell(state: MutexGuard<'_, State<T>>, what: &Condvar) {
        let is_awaited = state.waiting > 0;
        drop(state);
        if is_awaited {
            what.notify_all();
        }
    }
}

impl<T> Sender<T> {
    /// Sends `what`.
    ///
    /// # Errors
    ///
    /// Where nobody can take it any more it comes back.
    pub fn send(&self, what: T) -> Result<(), SendError<T>> {
        let mut state = self.0.lock();
        while state.has_receiver && state.queue.len() >= self.0.limit {
            state = self.0.wait(state, &self.0.went, None);
        }
        if !state.has_receiver {
            return Err(SendError(what));
        }
        state.queue.push_back(what);
        Shared::tell(state, &self.0.came);
        Ok(())
    }
}

impl<T> Debug for Sender<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.senders -= 1;
        if state.senders == 0 {
            Shared::tell(state, &self.0.came);
        }
    }
}

impl<T> Receiver<T> {
    /// What comes next, if there is something.
    ///
    /// # Errors
    ///
    /// `Empty`, or `Disconnected` where nobody can send anything any more.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.take(self.0.lock())
    }

    /// What comes next.
    ///
    /// # Errors
    ///
    /// Where nobody can send anything any more.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.next(None).map_err(|_| RecvError)
    }

    /// What comes next within `time`.
    ///
    /// # Errors
    ///
    /// `Timeout`, or `Disconnected` where nobody can send anything any more.
    pub fn recv_timeout(&self, time: Duration) -> Result<T, RecvTimeoutError> {
        self.next(Instant::now().checked_add(time))
    }

    /// All that is there.
    pub fn try_iter(&self) -> impl Iterator<Item = T> {
        iter::from_fn(|| self.try_recv().ok())
    }

    /// All that comes, up to when nobody can send anything any more.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        iter::from_fn(|| self.recv().ok())
    }

    fn next(&self, until: Option<Instant>) -> Result<T, RecvTimeoutError> {
        loop {
            let state = self.0.lock();
            if !state.queue.is_empty() || state.senders == 0 {
                return self.take(state).map_err(|_| RecvTimeoutError::Disconnected);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Err(RecvTimeoutError::Timeout);
            }
            drop(self.0.wait(state, &self.0.came, until));
        }
    }

    fn take(&self, mut state: MutexGuard<'_, State<T>>) -> Result<T, TryRecvError> {
        let is_over = state.senders == 0;
        let next = state.queue.pop_front();
        // What a burst has taken is given back behind it.
        if state.queue.is_empty() && state.queue.capacity() > KEPT {
            state.queue = VecDeque::new();
        }
        if next.is_some() {
            Shared::tell(state, &self.0.went);
        }
        next.ok_or(if is_over { TryRecvError::Disconnected } else { TryRecvError::Empty })
    }
}

impl<T> Debug for Receiver<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.has_receiver = false;
        // What is dropped with it may have a channel of its own, and so is dropped outside.
        let rest = std::mem::take(&mut state.queue);
        Shared::tell(state, &self.0.went);
        drop(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_is_sent_comes_once_and_in_order_from_each_thread() {
        let (sender, receiver) = bounded(3);
        let threads = (0..4).map(|thread| {
            let sender = sender.clone();
            thread::spawn(move || (0..1000).for_each(|n| sender.send((thread, n)).unwrap()))
        });
        let threads: Vec<_> = threads.collect();
        drop(sender);
        let mut next = [0; 4];
        for (thread, n) in receiver.iter() {
            assert_eq!(n, next[thread]);
            next[thread] += 1;
        }
        assert_eq!(next, [1000; 4]);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn whoever_waits_hears_that_the_other_end_is_gone() {
        let (sender, receiver) = channel::<u8>();
        let waits = thread::spawn(move || receiver.recv());
        drop(sender);
        assert_eq!(waits.join().unwrap(), Err(RecvError));

        let (sender, receiver) = bounded(1);
        sender.send(1).unwrap();
        let waits = thread::spawn(move || sender.send(2));
        drop(receiver);
        assert_eq!(waits.join().unwrap(), Err(SendError(2)));
    }

    #[test]
    fn what_was_sent_before_the_end_still_comes() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
        (0..3).for_each(|n| sender.send(n).unwrap());
        drop(sender);
        assert_eq!(receiver.recv_timeout(Duration::MAX), Ok(0));
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn what_a_burst_has_taken_is_given_back() {
        let (sender, receiver) = channel();
        (0..1000).for_each(|n| sender.send(n).unwrap());
        assert_eq!(receiver.try_iter().count(), 1000);
        assert!(receiver.0.lock().queue.capacity() <= KEPT);
    }
}
