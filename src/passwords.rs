//! The thread that looks at passwords, which takes some time by design: what is quick for us is quick for whoever guesses.

use crate::channel::{Receiver, Sender, channel};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use log::error;
use mio::Waker;

use crate::effect::{PasswordResult, PasswordTask};
use crate::home::give_way;
use crate::limits;
use crate::register::PasswordHash;

/// The thread, and the ways to it and from it. It ends when this goes.
#[derive(Debug)]
pub struct Passwords {
    tasks: Option<Sender<PasswordTask>>,
    results: Receiver<PasswordResult>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Passwords {
    /// Begins to wait for passwords; each result wakes `waker`.
    pub fn start(waker: Arc<Waker>) -> io::Result<Self> {
        // It has no limit of its own, as the hub hands out one after the other.
        let (tasks, todo) = channel::<PasswordTask>();
        let (done, results) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new().name("passwords".into()).spawn(move || {
            give_way();
            let mut hasher = Hasher::default();
            for task in todo.iter() {
                if stopped.load(Ordering::Relaxed) || done.send(hasher.carry_out(task)).is_err() {
                    break;
                }
                if let Err(e) = waker.wake() {
                    error!("cannot wake the reactor: {e}");
                }
            }
        })?;
        Ok(Self { tasks: Some(tasks), results, stop, thread: Some(thread) })
    }

    /// Has a password looked at.
    pub fn look_at(&self, task: PasswordTask) {
        if self.tasks.as_ref().is_none_or(|thread| thread.send(task).is_err()) {
            error!("the thread of the passwords is gone: nobody can log in with one any more");
        }
    }

    /// What has come of passwords since this was last asked.
    pub fn results(&self) -> impl Iterator<Item = PasswordResult> + '_ {
        self.results.try_iter()
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            error!("the thread of the passwords failed");
        }
    }
}

/// Makes hashes, all of them in the same memory: given back and taken anew each time, it would stay with the process.
#[derive(Default)]
pub struct Hasher {
    memory: Vec<Block>,
}

impl Hasher {
    /// Looks at a password.
    pub fn carry_out(&mut self, task: PasswordTask) -> PasswordResult {
        match task {
            PasswordTask::Hash { password, salt } => {
                let (memory, passes) = (limits::PASSWORD_MEMORY, limits::PASSWORD_PASSES);
                let costs = PasswordHash { memory, passes, salt, hash: [0; 32] };
                match self.hash(&password.0, costs) {
                    Ok(hash) => PasswordResult::Hash(PasswordHash { hash, ..costs }),
                    Err(e) => {
                        error!("cannot hash a password: {e}");
                        PasswordResult::Wrong
                    }
                }
            }
            PasswordTask::Verify { password, hash } => {
                let found = self.hash(&password.0, hash).inspect_err(|e| error!("cannot hash a password: {e}"));
                if found.is_ok_and(|found| is_same(&found, &hash.hash)) {
                    PasswordResult::Right
                } else {
                    PasswordResult::Wrong
                }
            }
        }
    }

    /// What comes of a password with the costs and the salt of a hash.
    fn hash(&mut self, password: &str, like: PasswordHash) -> Result<[u8; 32], argon2::Error> {
        let params = Params::new(like.memory, like.passes, 1, Some(like.hash.len()))?;
        if self.memory.len() < params.block_count() {
            self.memory = vec![Block::default(); params.block_count()];
        }
        let mut hash = [0; 32];
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into_with_memory(password.as_bytes(), &like.salt, &mut hash, &mut self.memory)?;
        Ok(hash)
    }
}

/// Whether two hashes are the same, in a time that tells nothing of where they differ.
fn is_same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.iter().zip(other).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Secret;

    fn secret(word: &str) -> Secret {
        Secret(word.to_owned())
    }

    #[test]
    fn a_password_is_known_again_and_no_other_is() {
        let mut hasher = Hasher::default();
        let hash = |hasher: &mut Hasher, salt| match hasher
            .carry_out(PasswordTask::Hash { password: secret("correct-horse"), salt })
        {
            PasswordResult::Hash(hash) => hash,
            other => panic!("{other:?}"),
        };
        let (one, other) = (hash(&mut hasher, [1; 16]), hash(&mut hasher, [2; 16]));
        assert_ne!(one.hash, other.hash);
        for hash in [one, other] {
            let verify = |word| PasswordTask::Verify { password: secret(word), hash };
            assert_eq!(hasher.carry_out(verify("correct-horse")), PasswordResult::Right);
            assert_eq!(hasher.carry_out(verify("correct-horsf")), PasswordResult::Wrong);
        }
    }

    #[test]
    fn twelve_hashes_take_the_memory_of_one() {
        let mut hasher = Hasher::default();
        let mut hash = |n| {
            hasher.carry_out(PasswordTask::Hash { password: secret("correct-horse"), salt: [n; 16] });
        };
        let first = allocation_counter::measure(|| hash(0));
        let rest = allocation_counter::measure(|| (1..12).for_each(&mut hash));
        let buffer = u64::from(limits::PASSWORD_MEMORY) * 1024;
        assert!(first.bytes_max >= buffer && first.bytes_max < buffer + 64 * 1024, "{first:?}");
        assert!(rest.bytes_max < 64 * 1024, "{rest:?}");
    }
}
