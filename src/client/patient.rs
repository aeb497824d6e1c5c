//! Reading and writing files that others may have made not to wait (`O_NONBLOCK`), so that they are waited for all the same.

use std::io;
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long is waited before it is looked whether to go on.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// So many bytes a pipe takes at least, once it has room, and has nobody wait for more.
const ROOM: usize = 4096;

/// Writes all of `bytes`, though whoever else has this file may have it not wait for room. It is an error once
/// `is_given_up` while there is no room, which writing itself would wait for without looking.
pub fn write(out: impl AsFd, mut bytes: &[u8], is_given_up: impl Fn() -> bool) -> io::Result<()> {
    while !bytes.is_empty() {
        let has_room = poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&LOOK)) == Ok(1);
        let next = &bytes[..bytes.len().min(ROOM)];
        match if has_room { rustix::io::write(&out, next) } else { Err(Errno::AGAIN) } {
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::AGAIN) if is_given_up() => return Err(io::ErrorKind::TimedOut.into()),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Tells something on standard error, as far as that goes.
pub fn tell(text: &str) {
    let _ = write(io::stderr(), format!("chinwag: {text}\n").as_bytes(), || false);
}

/// Waits a little until there is something to read or room to write.
pub fn wait(file: impl AsFd, flags: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(&file, flags)], Some(&LOOK)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
