//! The folder that holds all that is on disk: the spool of files, the logs of the rooms, and which file IDs are used.
//!
//! It is for this server's user alone: folders are made with the mode 0700 and files with 0600. What somebody else has made
//! keeps the mode that it has.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use log::{info, warn};
use rustix::fs::{Access, OFlags, access, statvfs};
use rustix::io::Errno;
use rustix::process::{Resource, geteuid, getrlimit};

use crate::limits;
use crate::names::FileId;

/// What the name of a temporary folder begins with.
const TEMPORARY: &str = "chinwag-spool-";

/// The folders of the files and of the rooms' logs in a data folder.
const SPOOL: &str = "spool";
const ROOMS: &str = "rooms";

/// What is lost with these folders.
const FILES: &str = "the files";
const LOGS: &str = "the logs";

/// The file that tells which IDs of files are used.
const NEXT_ID: &str = "next-id";

/// What the operator's door is called in a data folder.
pub const CONTROL: &str = "ctl";
/// The folder in it of the certificate that the server makes for itself.
pub const TLS: &str = "tls";
/// The file in it of what is owned and of rules.
pub const LEDGER: &str = "ledger";
/// What that has once it says anything.
pub const ENTRIES: &str = "entries";
/// The file in it that is locked as long as a server uses the folder. It has a line for each thing that the folder has had and that is
/// missed if it is gone.
const LOCK: &str = "lock";

/// Where everything is kept. A temporary folder goes with this.
#[derive(Debug)]
pub struct Home {
    spool: PathBuf,
    rooms: Option<PathBuf>,
    ids: Option<Ids>,
    kept: Kept,
}

#[derive(Debug)]
enum Kept {
    /// The folder is removed when this goes. It is locked as long as this lives: who sweeps old files away leaves a locked folder alone,
    /// and the next start knows by it which temporary folders belong to somebody. `None` where a folder cannot be locked.
    Temporary(Option<File>),
    Locked(Arc<Hold>),
}

/// A data folder, which no other server uses as long as this lives.
#[derive(Debug)]
pub struct Hold {
    dir: PathBuf,
    /// The file `lock`, and the folder itself, if that can be locked.
    locks: Mutex<(File, Option<File>)>,
}

impl Hold {
    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Locks the folder anew if somebody has swept it away, or the lock in it. That comes before anything else is made anew in it; an
    /// error says that another server has begun to use it meanwhile, so that nothing of ours may be put there.
    pub fn mend(&self) -> io::Result<()> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let (old, held) = &mut *locks;
        let path = self.dir.join(LOCK);
        if is_same(old, &path) {
            return Ok(());
        }
        let around = self.dir.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        let gone = around.last();
        make_folder(&self.dir)?;
        if let Some(gone) = gone {
            warn!("{} was gone, and all in it; it is made anew, for nobody else (mode 700)", gone.display());
        }
        let was = if path.exists() { "another one" } else { "gone; it is made anew" };
        let anew = open_lock(&self.dir)?;
        let ours = anew.try_lock().and_then(|()| match hold(&self.dir) {
            // It is the one that we have locked already.
            Err(TryLockError::WouldBlock) if held.as_ref().is_some_and(|held| is_same(held, &self.dir)) => Ok(None),
            Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
            folder => Ok(folder.ok()),
        });
        let folder = ours.map_err(|e| match e {
            TryLockError::WouldBlock => io::Error::other(format!("another chinwag uses {} by now", self.dir.display())),
            TryLockError::Error(e) => e,
        })?;
        let mut had = String::new();
        old.seek(SeekFrom::Start(0)).and_then(|_| old.read_to_string(&mut had))?;
        anew.write_all_at(had.as_bytes(), 0)?;
        *held = folder.or(held.take());
        *old = anew;
        warn!("{} was {was}", path.display());
        make_again(&self.dir.join(ROOMS), LOGS)?;
        make_again(&self.dir.join(SPOOL), FILES)
    }
}

/// Makes a folder of the data folder anew if somebody has swept it away, and says what went with it. Whoever comes upon it first does, so that
/// it is said once.
pub fn make_again(folder: &Path, lost: &str) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(|()| warn!("{} was gone, and {lost} in it; it is made anew", folder.display())),
    }
}

/// Whether this is what stands at `path`. Where we may not look, it is taken for that.
pub fn is_same(file: &File, path: &Path) -> bool {
    match file.metadata().and_then(|here| Ok((here, fs::metadata(path)?))) {
        Ok((here, there)) => (here.dev(), here.ino()) == (there.dev(), there.ino()),
        Err(e) => e.kind() == io::ErrorKind::PermissionDenied,
    }
}

/// Notes that the data folder has this from now on. Where that cannot be written, it is tried again at the next start.
pub fn note_had(dir: &Path, what: &str) {
    if !has_had(dir, what) {
        let lock = open_regular(File::options().append(true), &dir.join(LOCK));
        let _ = lock.and_then(|mut lock| writeln!(lock, "{what}"));
    }
}

/// Whether it was noted that the data folder has this.
pub fn has_had(dir: &Path, what: &str) -> bool {
    read_text(&dir.join(LOCK)).is_ok_and(|had| had.lines().any(|line| line == what))
}

/// What is to be said of a data folder that has no ledger: an error if it had one; and a warning if one cannot know, as it is of a
/// server of version 0.1, which kept none.
pub fn lacks_ledger(dir: &Path) -> io::Result<()> {
    let path = dir.join(LEDGER);
    let path = path.display();
    if has_had(dir, LEDGER) {
        return Err(io::Error::other(format!(
            "it is gone, and with it whose which names and rooms are; put it back from a backup, or begin without any: touch {path}"
        )));
    }
    let has = |name| fs::read_dir(dir.join(name)).is_ok_and(|mut found| found.next().is_some());
    if has(ROOMS) || has(SPOOL) {
        warn!(
            "there is no {path}, as after version 0.1, and so no name and no room belongs to anybody; if there was one, put it back \
             from a backup before people register names"
        );
    }
    Ok(())
}

impl Home {
    /// A temporary folder of the system's, in which nothing outlives the process. Those of servers that were killed go.
    pub fn temporary() -> io::Result<Self> {
        remove_left_over(&std::env::temp_dir());
        loop {
            let spool = new_temporary()?;
            let held = hold(&spool).ok();
            // Another start may have taken it for one that was left over, in the moment before it was held.
            if spool.exists() {
                return Ok(Self { spool, rooms: None, ids: None, kept: Kept::Temporary(held) });
            }
        }
    }

    /// The folder `dir`, made if there is none, which no other server may use at the same time. The lock dies with the
    /// process; a server that is saying goodbye is waited for.
    pub fn at(dir: &Path) -> io::Result<Self> {
        let (is_there, is_used, foreign) =
            (dir.is_dir(), [LOCK, LEDGER, ROOMS, SPOOL].iter().any(|name| dir.join(name).exists()), foreign(dir));
        make_folder(dir).map_err(|e| if dir.is_dir() { e } else { not_made(dir, &e) })?;
        remove_left_over(&std::env::temp_dir());
        let lock = open_lock(dir).map_err(|e| about("lock in it", &e, &dir.join(LOCK), dir))?;
        let held = take(&lock, dir)?;
        usable(dir).map_err(|e| about("new files in it", &e, dir, dir))?;
        let ids = Ids::open(dir).map_err(|e| about("next-id in it", &e, &dir.join(NEXT_ID), dir))?;
        let (spool, rooms, has_run) = (dir.join(SPOOL), dir.join(ROOMS), has_had(dir, LEDGER));
        for (folder, name, lost) in [(&spool, "spool in it", FILES), (&rooms, "rooms in it", LOGS)] {
            let again = if has_run { make_again(folder, lost) } else { Ok(()) };
            again
                .and_then(|()| make_own_folder(folder))
                .and_then(|()| usable(folder))
                .map_err(|e| about(name, &e, folder, dir))?;
        }
        let data = fs::metadata(dir)?;
        if let Some(warning) = foreign.or(open_to_others(dir, &data)) {
            warn!("{warning}");
        }
        if geteuid().is_root() && data.uid() != 0 {
            let (dir, user) = (dir.display(), data.uid());
            warn!(
                "{dir} belongs to the user {user}, who cannot use what root makes in it; before the server runs as that one again: chown -R \
                 {user} {dir}"
            );
        }
        // Whoever has mistaken the folder for another one finds nothing of what they look for.
        if !is_used {
            let what = if is_there { "nothing was kept before in the folder" } else { "made a new folder" };
            info!("{what} {}", fs::canonicalize(dir).as_deref().unwrap_or(dir).display());
        }
        let hold = Hold { dir: dir.to_owned(), locks: Mutex::new((lock, held)) };
        Ok(Self { spool, rooms: Some(rooms), ids: Some(ids), kept: Kept::Locked(Arc::new(hold)) })
    }

    /// What would keep [`Home::at`] from using `dir`, but that another server uses it; or [`Home::temporary`], if there is none. Nothing
    /// is locked, made or changed.
    pub fn look(dir: Option<&Path>) -> io::Result<()> {
        let Some(dir) = dir else { return look_to_put(&std::env::temp_dir()) };
        if !dir.is_dir() {
            look_to_make(dir).map_err(|e| not_made(dir, &e))?;
            let path = std::path::absolute(dir)?;
            info!("there is no folder {}; a start makes it, and has nothing that was kept before", path.display());
            return Ok(());
        }
        let lock = match open_regular(private().read(true).write(true), &dir.join(LOCK)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => look_to_make(dir),
            opened => opened.map(drop),
        };
        lock.map_err(|e| about("lock in it", &e, &dir.join(LOCK), dir))?;
        usable(dir).map_err(|e| about("new files in it", &e, dir, dir))?;
        Ids::read(dir).map_err(|e| about("next-id in it", &e, &dir.join(NEXT_ID), dir))?;
        let disk = statvfs(dir).ok().map(|disk| (disk.f_bavail, disk.f_favail, disk.f_files));
        if disk.is_some_and(|(free, ..)| free == 0) {
            warn!("cannot reserve IDs for files: no space is left on the disk of {}", dir.display());
        } else if disk.is_some_and(|(_, free, all)| free == 0 && all > 0) {
            warn!("cannot reserve IDs for files: no more files fit on the disk of {} (df -i)", dir.display());
        }
        for (name, lost) in [(SPOOL, FILES), (ROOMS, LOGS)] {
            let folder = dir.join(name);
            if has_had(dir, LEDGER) && fs::symlink_metadata(&folder).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
            {
                warn!("{} is gone, and {lost} in it; a start makes it anew", folder.display());
            }
            let looked =
                no_link(&folder).and_then(|()| if folder.is_dir() { usable(&folder) } else { look_to_make(&folder) });
            looked.map_err(|e| about(&format!("{name} in it"), &e, &folder, dir))?;
        }
        if let Some(warning) = foreign(dir).or(open_to_others(dir, &fs::metadata(dir)?)) {
            warn!("{warning}");
        }
        Ok(())
    }

    /// Makes the folder of the files anew, which somebody has swept away, with what stands beside it. A temporary one gets another
    /// name if what stands in its place is none of ours.
    pub fn make_anew(&mut self) -> io::Result<()> {
        if let Kept::Locked(hold) = &self.kept {
            hold.mend()?;
        }
        let made = make_own_folder(&self.spool);
        let is_ours = self.ours().is_ok();
        match &mut self.kept {
            Kept::Temporary(held) => {
                if !is_ours {
                    self.spool = new_temporary()?;
                }
                // One that is there still is held already.
                *held = hold(&self.spool).ok().or(held.take());
            }
            Kept::Locked(_) => made?,
        }
        self.ids.as_mut().map_or(Ok(()), |ids| ids.reserve(ids.reserved))
    }

    /// The folder of the files, wherever it was last.
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// The folder of the files, if what stands there is ours: a temporary one stands where others may sweep it away, and put
    /// something else in its place.
    pub fn ours(&self) -> io::Result<&Path> {
        let is_ours = match (&self.kept, fs::symlink_metadata(&self.spool)?) {
            (Kept::Temporary(_), data) => {
                let own = geteuid().as_raw();
                data.is_dir() && data.uid() == own && data.mode() & 0o077 == 0
            }
            (Kept::Locked(_), data) => data.is_dir(),
        };
        if is_ours { Ok(&self.spool) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// The folder of the rooms' logs, if anything is to outlive the process.
    pub fn rooms(&self) -> Option<&Path> {
        self.rooms.as_deref()
    }

    /// The folder of the certificate that the server makes for itself, if anything is to outlive the process.
    pub fn tls(&self) -> Option<PathBuf> {
        self.hold().map(|hold| hold.dir.join(TLS))
    }

    /// The file of what is owned and of rules, if anything is to outlive the process.
    pub fn ledger(&self) -> Option<PathBuf> {
        self.hold().map(|hold| hold.dir.join(LEDGER))
    }

    /// Where the operator's door is, if anything is to outlive the process.
    pub fn control(&self) -> Option<PathBuf> {
        self.hold().map(|hold| hold.dir.join(CONTROL))
    }

    /// What keeps other servers from the folder, if anything is to outlive the process.
    pub fn hold(&self) -> Option<&Arc<Hold>> {
        match &self.kept {
            Kept::Temporary(_) => None,
            Kept::Locked(hold) => Some(hold),
        }
    }

    /// The ID that the next file gets; 1 where nothing is kept.
    pub fn next_id(&self) -> u64 {
        self.ids.as_ref().map_or(1, |ids| ids.next)
    }

    /// Notes that an ID is used up, so that it never means another file.
    pub fn use_id(&mut self, id: FileId) -> io::Result<()> {
        self.hold().map_or(Ok(()), |hold| hold.mend())?;
        self.ids.as_mut().map_or(Ok(()), |ids| ids.used(id))
    }

    /// Notes that an ID was given out though nothing came of it; it is written down by [`Home::leave`].
    pub fn skip_id(&mut self, id: FileId) {
        if let Some(ids) = &mut self.ids {
            ids.next = ids.next.max(id.0 + 1);
        }
    }

    /// Gives back the IDs that were reserved and not used. It is for the end.
    pub fn leave(&mut self) -> io::Result<()> {
        self.ids.as_mut().map_or(Ok(()), |ids| ids.reserve(ids.next))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let (Kept::Temporary(_), Ok(spool)) = (&self.kept, self.ours()) {
            // Who sweeps such folders away does the rest.
            let _ = fs::remove_dir_all(spool);
        }
    }
}

/// Makes a folder that nobody else can have prepared, nor enter.
fn new_temporary() -> io::Result<PathBuf> {
    loop {
        let path = std::env::temp_dir().join(format!("{TEMPORARY}{:016x}", getrandom::u64()?));
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|()| path),
        }
    }
}

/// What is to be said of a folder that is full of other things, as it is where its last part was forgotten. Whom it is for is no matter of
/// ours then.
fn foreign(dir: &Path) -> Option<String> {
    let is_ours = |name: &str| dir.join(name).exists();
    // What a file system has of its own says nothing.
    let mut found = fs::read_dir(dir).into_iter().flatten().flatten();
    let has_others = found.any(|entry| entry.file_name() != "lost+found");
    let dir = dir.display().to_string();
    (has_others && ![LOCK, LEDGER, NEXT_ID, SPOOL, ROOMS, TLS].into_iter().any(is_ours)).then(|| {
        let dir = dir.trim_end_matches('/');
        format!("{dir}/ has other things in it and nothing of a server's; is a folder in it meant, as {dir}/chinwag?")
    })
}

/// What is to be said of a folder that others can enter, and what keeps them out. Where another user owns it, the server may be in its
/// group alone, and its own way in must stay.
fn open_to_others(dir: &Path, data: &Metadata) -> Option<String> {
    let (mode, user, dir) = (data.mode() & 0o7777, geteuid(), dir.display());
    let is_own = user.is_root() || data.uid() == user.as_raw();
    let others = if is_own { 0o077 } else { 0o007 };
    let owner = if is_own { String::new() } else { format!("chown {} {dir} && ", user.as_raw()) };
    (mode & others != 0).then(|| {
        format!("others than its owner can enter {dir} (mode {mode:o}); if they shall not: {owner}chmod 700 {dir}")
    })
}

fn open_lock(dir: &Path) -> io::Result<File> {
    open_regular(private().read(true).write(true).create(true).truncate(false), &dir.join(LOCK))
}

/// Locks a folder by its file `lock` and by itself, as that file may have been swept away, and waits for a server that is about to
/// end. Gives the folder, if it can be locked.
fn take(lock: &File, dir: &Path) -> io::Result<Option<File>> {
    const RETRY: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    while waited < limits::LOCK_WAIT {
        match lock.try_lock().map(|()| hold(dir)) {
            Err(TryLockError::WouldBlock) | Ok(Err(TryLockError::WouldBlock)) => std::thread::sleep(RETRY),
            Err(TryLockError::Error(e)) => return Err(about("lock in it", &e, &dir.join(LOCK), dir)),
            Ok(held) => return Ok(held.ok()),
        }
        waited += RETRY;
        if waited == Duration::from_secs(1) {
            warn!("another chinwag uses {}; waiting for its end", dir.display());
        }
    }
    Err(io::Error::other("another chinwag uses it; end that one, or give each a folder of its own"))
}

/// Locks a folder itself, where the file system can do that.
fn hold(dir: &Path) -> Result<File, TryLockError> {
    let folder = open_folder(dir).map_err(TryLockError::Error)?;
    folder.try_lock().map(|()| folder)
}

/// Removes the temporary folders of servers that were killed. They are told from others by their name and their owner, and
/// from those of servers that run by the lock. What no spool has written stays, and its folder too.
fn remove_left_over(parent: &Path) {
    let own = geteuid().as_raw();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(TEMPORARY)
            && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == own);
        let path = entry.path();
        let Some(_held) = Some(&path).filter(|_| is_ours).and_then(|path| hold(path).ok()) else { continue };
        for file in fs::read_dir(&path).into_iter().flatten().flatten() {
            if file.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                let _ = fs::remove_file(file.path());
            }
        }
        match fs::remove_dir(&path) {
            Ok(()) => info!("removed {}, which a server that was killed has left", path.display()),
            Err(e) => warn!("cannot remove {}, which a server that was killed has left: {e}", path.display()),
        }
    }
}

/// What is wrong with something in a data folder that cannot be opened, and what helps: it gets another mode if it is our own, and else all
/// in the folder is given to whom it must belong to.
pub fn denied(path: &Path, dir: &Path) -> String {
    let (user, at, dir) = (geteuid().as_raw(), dir, dir.display());
    match chmod(path) {
        Some(chmod) => format!(
            "permission denied; the user {user}, as which the server runs, must be able to read and write there: {chmod}"
        ),
        None => match of_another(at) {
            Some(hint) => format!("permission denied; {hint}"),
            None => format!(
                "permission denied; it must belong to the user that the server runs as, as all in its folder: chown -R {user} {dir}"
            ),
        },
    }
}

/// What to do where a folder is another user's, who is not root: it is theirs whose server runs there, whoever asks. One that this
/// machine does not know may come from another.
fn of_another(dir: &Path) -> Option<String> {
    let (own, owner) = (geteuid().as_raw(), fs::metadata(dir).ok()?.uid());
    let name = user_name(owner).filter(|_| owner != 0 && owner != own)?;
    let dir = dir.display();
    Some(format!(
        "{dir} belongs to {name}: if the server runs as that user, try sudo -u {name}; if it is to run as the user {own}, and no other uses \
         that folder: chown -R {own} {dir}"
    ))
}

/// What this machine calls a user, if it knows them.
pub fn user_name(uid: u32) -> Option<String> {
    let (users, uid) = (fs::read_to_string("/etc/passwd").ok()?, uid.to_string());
    let mut users = users.lines().map(|line| line.splitn(4, ':').collect::<Vec<_>>());
    users.find(|fields| fields.get(2) == Some(&&*uid)).map(|fields| fields[0].to_owned())
}

/// How we get into what is ours and has a mode that keeps us out: this, the folder where it is to be, or one on the way there.
fn chmod(path: &Path) -> Option<String> {
    let there = || path.ancestors().find(|at| fs::symlink_metadata(at).is_ok()).map(Path::to_owned);
    let at = closed_above(path).or_else(there)?;
    let data = fs::symlink_metadata(&at).ok()?;
    let (bits, mode) = if data.is_dir() { (0o700, "u+rwx") } else { (0o600, "u+rw") };
    let is_it = data.uid() == geteuid().as_raw() && data.mode() & bits != bits;
    is_it.then(|| format!("chmod {mode} {}", at.display()))
}

/// That a file in a folder of the data folder may not be opened, as it may be after it was copied there, and what to do.
pub fn not_ours(path: &Path, e: &io::Error) -> io::Error {
    let dir = path.ancestors().nth(2).unwrap_or(path);
    io::Error::new(e.kind(), format!("{}: {}", path.display(), denied(path, dir)))
}

/// Whether there is no room on the disk for what was to be written, or as much as there may be.
pub fn is_full(e: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(e.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// Whether no more files can be open, of this process or of the machine.
pub fn lacks_descriptors(e: &io::Error) -> bool {
    matches!(e.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::MFILE | Errno::NFILE))
}

/// How many files each thread that keeps some open may keep: fewer where there are few descriptors, as people need theirs.
pub fn files_open() -> usize {
    let few = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit / 16).ok());
    few.unwrap_or(usize::MAX).clamp(1, limits::FILES_OPEN)
}

/// Whether this is one of the last descriptors that there are, by its number, as the system gives the lowest that is free. What is written
/// down needs them for moments, so nobody who comes gets one, and no file is kept open by it.
pub fn is_of_reserve(open: &impl AsRawFd) -> bool {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let reserve = limits::DESCRIPTORS_RESERVED.min(limit / 16);
    u64::try_from(open.as_raw_fd()).is_ok_and(|number| number >= limit - reserve)
}

/// That the data folder is not there, and cannot be made; or that it may be there, where we may not look.
fn not_made(dir: &Path, e: &io::Error) -> io::Error {
    if e.kind() != io::ErrorKind::PermissionDenied {
        return about("it cannot be made a folder", e, dir, dir);
    }
    let (user, dir, shut) = (geteuid().as_raw(), dir.display(), closed_above(dir));
    let text = match shut.as_deref().map(Path::display) {
        Some(shut) => format!(
            "the user {user}, as which the server runs, may not enter {shut}; give a folder elsewhere, or let that user in: chmod a+x {shut}"
        ),
        None => format!(
            "it is not there, and may not be made: permission denied; make it, and give it to the user that the server runs as: mkdir {dir} && chown {user} {dir}"
        ),
    };
    io::Error::new(e.kind(), text)
}

/// The outermost folder on the way to `path` that we may not enter.
fn closed_above(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let is_closed = |folder: &&&Path| access(**folder, Access::EXEC_OK) == Err(Errno::ACCESS);
    above.iter().rev().find(is_closed).map(|folder| folder.to_path_buf())
}

/// The same error, with what it is about, which is at `path` in the folder `dir`, and what to do.
pub fn about(what: &str, e: &io::Error, path: &Path, dir: &Path) -> io::Error {
    let (text, user) = (e.to_string(), geteuid().as_raw());
    let hint = match e.kind() {
        io::ErrorKind::PermissionDenied => &*match foreign(dir) {
            // Nobody is to give away what is not the server's.
            Some(why) => format!("; {why}"),
            None => match (chmod(path), of_another(dir)) {
                (None, Some(hint)) => format!("; {hint}"),
                (chmod, _) => format!(
                    "; the user {user}, as which the server runs, must be able to write there: {}",
                    chmod.unwrap_or_else(|| format!("chown -R {user} {}", dir.display()))
                ),
            },
        },
        io::ErrorKind::ReadOnlyFilesystem => "; mount it so that it can be written to, or give another folder",
        io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => "; move away what stands there",
        _ => hint(e),
    };
    io::Error::new(e.kind(), format!("{what}: {}{hint}", text.split(" (os error").next().unwrap_or(&text)))
}

/// What to do where a limit of the system stands in the way; to be added to what failed.
pub fn hint(e: &io::Error) -> &'static str {
    match e.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE) => "; raise the limit with ulimit -n, or LimitNOFILE= in a unit of systemd",
        Some(Errno::NFILE) => "; too many are open on this machine; raise fs.file-max",
        Some(Errno::FBIG) => "; raise the limit with ulimit -f",
        Some(Errno::NOSPC | Errno::DQUOT) => "; make room on its disk (df -h, and df -i)",
        Some(Errno::AGAIN | Errno::NOMEM) => {
            "; raise the limit of threads (ulimit -u, TasksMax) or of memory (ulimit -v)"
        }
        _ => "",
    }
}

/// Options for opening a file that nobody else may read.
pub fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Opens a file. What is no regular file is an error: a pipe is not waited for, and a link is not followed.
pub fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    match options.custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        // What the system says of a link, and of a pipe that nobody reads, tells nobody what is wrong.
        Err(e) if !matches!(Errno::from_io_error(&e), Some(Errno::LOOP | Errno::NXIO)) => Err(e),
        _ => Err(io::Error::other("it is no regular file; move it away")),
    }
}

/// Reads a whole file of text, with the care of [`open_regular`].
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    open_regular(File::options().read(true), path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a whole file: whatever happens meanwhile, there is the old one or the new one, and never half of one. `Sync` waits
/// for the disk, so that this holds for a loss of power too.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    Replacement::write(path, "new", bytes, durability)?.put_in_place()?;
    match durability {
        Durability::Sync => sync_folder_of(path),
        Durability::Soon => Ok(()),
    }
}

/// Waits until the disk knows what is called how in the folder of this file.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| open_folder(folder)?.sync_all())
}

/// Opens a folder to lock or to sync it. A pipe in its place is not waited for.
pub fn open_folder(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::DIRECTORY.bits().cast_signed()).open(path)
}

/// A whole file that has not taken the place of another one yet. Unless it does, it goes again, as a full disk needs every block.
#[derive(Debug)]
pub struct Replacement<'a> {
    path: &'a Path,
    new: PathBuf,
    file: Arc<File>,
}

impl<'a> Replacement<'a> {
    /// Writes what is to be at `path` beside it, with `.ENDING` behind its name.
    pub fn write(path: &'a Path, ending: &str, bytes: &[u8], durability: Durability) -> io::Result<Self> {
        let mut new = path.as_os_str().to_owned();
        new.push(".");
        new.push(ending);
        let new = PathBuf::from(new);
        // What a crash has left there goes. A link that somebody has put there must not be followed.
        let _ = fs::remove_file(&new);
        let file = private().read(true).write(true).create_new(true).open(&new).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => io::Error::new(e.kind(), format!("move away {}", new.display())),
            _ => e,
        })?;
        let replacement = Self { path, new, file: Arc::new(file) };
        replacement.file.write_all_at(bytes, 0)?;
        if durability == Durability::Sync {
            replacement.file.sync_all()?;
        }
        Ok(replacement)
    }

    /// The file that is written.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// It is what there is from now on.
    pub fn put_in_place(self) -> io::Result<Arc<File>> {
        fs::rename(&self.new, self.path)?;
        Ok(Arc::clone(&self.file))
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        // It is not there any more if it has taken its place.
        let _ = fs::remove_file(&self.new);
    }
}

/// When something must be on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Before anything else happens.
    Sync,
    /// When the system writes it of its own accord.
    Soon,
}

/// Lets the loop go first where it and this thread want the same processor: otherwise a chat line waits for as long as the
/// system lets a thread run, some milliseconds. It gives way by no more than that takes, as other programs go first too: at the
/// lowest priority a login took ten seconds beside two that kept the processors busy, and half a second now. On Linux this is a
/// matter of one thread, elsewhere of the whole process.
pub(crate) fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(e) = rustix::process::setpriority_process(None, 5) {
        let thread = std::thread::current();
        warn!("the thread {} keeps its priority: {e}", thread.name().unwrap_or_default());
    }
}

/// Makes a folder that nobody else may enter, unless it is there.
pub fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The same, but in no other place: what lies where a link leads may be somebody else's, and would be taken for our own.
fn make_own_folder(path: &Path) -> io::Result<()> {
    no_link(path).and_then(|()| make_folder(path))
}

/// A link is an error: what lies where it leads is none of ours.
pub fn no_link(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok_and(|data| data.is_symlink()) {
        return Err(io::Error::other(
            "it is a link, which is not followed; mount the folder there, or let the data folder itself be the link",
        ));
    }
    Ok(())
}

/// What would keep us from making this folder, if it is not there, and something in it. Nothing is made.
pub fn look_to_make(folder: &Path) -> io::Result<()> {
    for folder in std::path::absolute(folder)?.ancestors() {
        match fs::symlink_metadata(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
            Ok(_) if folder.is_dir() => return look_to_put(folder),
            Ok(_) => return Err(Errno::EXIST.into()),
        }
    }
    Ok(())
}

/// How many bytes the disk has for shared files, in the data folder `dir` or a temporary one, with those that are there.
pub fn space_for_files(dir: Option<&Path>) -> Option<u64> {
    let folder = std::path::absolute(dir.map_or_else(std::env::temp_dir, |dir| dir.join(SPOOL))).ok()?;
    let disk = folder.ancestors().find_map(|folder| statvfs(folder).ok())?;
    // What is in the temporary folder is not ours.
    let there = dir.and_then(|_| fs::read_dir(&folder).ok()).into_iter().flatten().flatten();
    let taken: u64 = there.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum();
    Some((disk.f_bavail * disk.f_frsize).saturating_add(taken))
}

/// The same, and what would keep us from writing anything there.
pub fn look_to_write(folder: &Path) -> io::Result<()> {
    look_to_make(folder)?;
    let there = std::path::absolute(folder)?.ancestors().find_map(|folder| statvfs(folder).ok());
    let is_left = there.is_none_or(|disk| if geteuid().is_root() { disk.f_bfree > 0 } else { disk.f_bavail > 0 });
    if is_left { Ok(()) } else { Err(Errno::NOSPC.into()) }
}

/// What would keep us from making something in this folder. Nothing is made.
pub fn look_to_put(folder: &Path) -> io::Result<()> {
    match fs::metadata(folder)?.is_dir() {
        true => Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?),
        false => Err(Errno::NOTDIR.into()),
    }
}

/// Whether we may make and read files in a folder.
fn usable(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Remembers which file IDs have been used. They are reserved many at a time.
#[derive(Debug)]
struct Ids {
    path: PathBuf,
    next: u64,
    reserved: u64,
}

impl Ids {
    /// No server comes to this ID.
    const LAST: u64 = 1 << 60;
    /// More than there can be new files that the disk has not heard of yet.
    const AHEAD: u64 = 2048;

    /// So many IDs are passed over where nobody knows any more which have been used.
    const UNKNOWN: u64 = 1_000_000;

    fn open(dir: &Path) -> io::Result<Self> {
        let next = Self::read(dir)?;
        let mut ids = Self { path: dir.join(NEXT_ID), next, reserved: next };
        if let Err(e) = ids.reserve(next + 2 * Self::AHEAD) {
            // No file gets an ID before this works, but people can talk.
            warn!("cannot reserve IDs for files: {}: {e}{}", dir.display(), hint(&e));
        }
        Ok(ids)
    }

    /// The ID that the next file gets.
    fn read(dir: &Path) -> io::Result<u64> {
        let spool = dir.join(SPOOL);
        let no_number = || {
            io::Error::other(
                "it holds no number; write one into it that is greater than the ID of any file so far, or remove it, and the next file \
                 is a million higher",
            )
        };
        match read_text(&dir.join(NEXT_ID)) {
            // That is what a loss of power leaves.
            Ok(text) if text.bytes().all(|b| b == 0) => Ok(Self::after_all_in(&spool)),
            Ok(text) => text.trim().parse().ok().filter(|&next| next < Self::LAST).ok_or_else(no_number),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(no_number()),
            Err(e) if e.kind() == io::ErrorKind::NotFound && spool.exists() => Ok(Self::after_all_in(&spool)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(1),
            Err(e) => Err(e),
        }
    }

    /// An ID that no file has had, as far as one can tell by those that are there.
    fn after_all_in(spool: &Path) -> u64 {
        let id = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let digits = name.to_str()?.split('.').next()?;
            digits.parse().ok().filter(|&id| id < Self::LAST - Self::UNKNOWN)
        };
        let last = fs::read_dir(spool).into_iter().flatten().flatten().filter_map(id).max().unwrap_or(0);
        let next = last + Self::UNKNOWN;
        warn!("next-id was lost, and with it which IDs files have had; the next file is {next}");
        next
    }

    fn used(&mut self, id: FileId) -> io::Result<()> {
        self.next = self.next.max(id.0 + 1);
        if self.next + Self::AHEAD > self.reserved {
            self.reserve(self.next + 2 * Self::AHEAD)
        } else if !self.path.exists() {
            // Somebody has swept it away.
            self.reserve(self.reserved)
        } else {
            Ok(())
        }
    }

    fn reserve(&mut self, up_to: u64) -> io::Result<()> {
        replace(&self.path, format!("{up_to}\n").as_bytes(), Durability::Sync)?;
        self.reserved = up_to;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, Mode, mkfifoat};

    #[test]
    fn a_pipe_in_the_folder_is_not_waited_for() {
        for name in ["lock", "next-id"] {
            let dir = tempfile::tempdir().unwrap();
            mkfifoat(CWD, dir.path().join(name), Mode::RUSR | Mode::WUSR).unwrap();
            let error = Home::at(dir.path()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} in it: ")), "{error}");
        }
    }
}
