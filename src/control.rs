//! The operator's door: a socket in the file system, by which only who may open it can come in.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use log::warn;
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};
use rustix::fs::{Access, Mode, access, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::home::{look_to_put, make_folder};
use crate::limits;

/// The longest path of a socket that the system takes, in bytes.
const PATH: usize = 107;

/// The door, with somebody behind it. It is removed when this goes.
#[derive(Debug)]
pub struct ControlListener {
    socket: UnixListener,
    path: PathBuf,
    /// Which file it is, so that no other is removed in its place; none once that is swept away.
    file: Option<(u64, u64)>,
}

impl ControlListener {
    /// Opens the door at `path`, for nobody but the user that this process runs as. One that a dead server has left there is
    /// replaced. An error says why it cannot be opened, and what to do.
    pub fn open(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(in_the_way());
            }
            Ok(_) => match connect(path) {
                Ok(_) => {
                    return Err(io::Error::other("another server listens there; end that one, or give another path"));
                }
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                Err(e) => return Err(e),
            },
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // Linux makes the file with the mode of the socket, so that there is no moment in which others could come in.
        let _ = fchmod(&socket, Mode::RUSR | Mode::WUSR);
        let short = Short::of(path)?;
        socket.bind(&SockAddr::unix(&short.path)?)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let data = fs::symlink_metadata(path)?;
        socket.listen(i32::try_from(limits::CONTROLS).unwrap_or(i32::MAX))?;
        Ok(Self {
            socket: UnixListener::from_std(socket.into()),
            path: path.to_owned(),
            file: Some((data.dev(), data.ino())),
        })
    }

    /// Whether no door stands at `path`.
    pub fn is_gone(path: &Path) -> bool {
        match fs::symlink_metadata(path) {
            Ok(found) => !found.file_type().is_socket(),
            Err(e) => e.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Opens the door at `path` anew if somebody has swept it away, perhaps with the folder around it; nothing if it is there. What else stands
    /// there is an error.
    pub fn mend(path: &Path) -> Option<io::Result<Self>> {
        Self::is_gone(path).then(|| path.parent().map_or(Ok(()), make_folder).and_then(|()| Self::open(path)))
    }

    /// It is swept away: when this goes, the disk is not asked for what stands in its place.
    pub fn forget(&mut self) {
        self.file = None;
    }

    /// What would keep [`ControlListener::open`] from opening the door at `path`, but that another server listens there. Nothing is
    /// changed.
    pub fn look(path: &Path) -> io::Result<()> {
        match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                look_to_put(folder)?;
                Short::of(path).map(drop)
            }
            Err(e) => Err(e),
            Ok(found) if found.file_type().is_socket() => access(path, Access::WRITE_OK).map_err(io::Error::from),
            Ok(_) => Err(in_the_way()),
        }
    }

    /// Has the poll of this registry tell by `token` when somebody waits.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// The next who comes in.
    pub fn accept(&self) -> io::Result<mio::net::UnixStream> {
        self.socket.accept().map(|(stream, _)| stream)
    }
}

impl Drop for ControlListener {
    fn drop(&mut self) {
        let Some(file) = self.file else { return };
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|data| (data.dev(), data.ino()) == file);
        if let Some(Err(e)) = is_ours.then(|| fs::remove_file(&self.path)) {
            warn!("cannot remove {}: {e}", self.path.display());
        }
    }
}

fn in_the_way() -> io::Error {
    io::Error::other("something else stands there; move it away, or give another path")
}

/// Comes in by the door at `path`.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(Short::of(path)?.path)
}

/// A path that is short enough for the system, which leads to the same file as long as this lives.
struct Short {
    path: PathBuf,
    _folder: Option<File>,
}

impl Short {
    fn of(path: &Path) -> io::Result<Self> {
        let (Some(folder), Some(name), true) = (path.parent(), path.file_name(), path.as_os_str().len() > PATH) else {
            return Ok(Self { path: path.to_owned(), _folder: None });
        };
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        if path.as_os_str().as_bytes().len() > PATH {
            return Err(io::Error::other("its name is too long for a socket; choose a shorter one"));
        }
        Ok(Self { path, _folder: Some(folder) })
    }
}
