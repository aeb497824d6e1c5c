//! What is written down beside a room's file, in `ID.info`, so that it is there after a restart: one field a line.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use log::{info, warn};
use sha2::{Digest as _, Sha256};

use crate::effect::{Description, PastFile};
use crate::home::{Durability, not_ours, open_regular, read_text, replace};
use crate::names::{Digest, FileId, FileName, Nick, RoomName};
use crate::time::in_millis;

/// Writes down what a file is, and its digest once it is whole.
pub(super) fn write(folder: &Path, id: FileId, what: &Description, digest: Option<Digest>) -> io::Result<()> {
    let Description { room, from, account, size, at, claimed, name } = what;
    let at = in_millis(*at);
    let or_none = |digest: &Option<Digest>| digest.map_or_else(|| "-".to_owned(), |digest| digest.to_string());
    let (claimed, whole) = (or_none(claimed), or_none(&digest));
    let mut text =
        format!("room {room}\nfrom {from}\nsize {size}\nat {at}\nclaimed {claimed}\ndigest {whole}\nname {name}\n");
    // It stands last, as a server that does not know of it reads no further.
    account.iter().for_each(|account| text += &format!("account {account}\n"));
    // Of a whole file its sender is told that it is stored.
    let durability = if digest.is_some() { Durability::Sync } else { Durability::Soon };
    replace(&path(folder, id), text.as_bytes(), durability)
}

/// Where the description of a file is.
pub(super) fn path(folder: &Path, id: FileId) -> PathBuf {
    folder.join(format!("{id}.info"))
}

fn parse(text: &str) -> Option<(Description, Option<Digest>)> {
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
    let digest = |text: &str| match text {
        "-" => Some(None),
        _ => Digest::from_hex(text.strip_prefix("sha256:")?).map(Some),
    };
    let description = Description {
        room: RoomName::new(field("room")?).ok()?,
        from: Nick::new(field("from")?).ok()?,
        size: field("size")?.parse().ok()?,
        at: humantime::parse_rfc3339(field("at")?).ok()?,
        claimed: digest(field("claimed")?)?,
        name: String::new(),
        account: None,
    };
    let whole = digest(field("digest")?)?;
    let name = field("name")?.to_owned();
    FileName::new(&name)?;
    let account = field("account").and_then(|account| Nick::new(account).ok());
    Some((Description { name, account, ..description }, whole))
}

/// The digest that is written down of a whole file.
pub(super) fn digest(folder: &Path, id: FileId) -> Option<Digest> {
    parse(&read_text(&path(folder, id)).ok()?)?.1
}

/// The files in `folder` that go on after a restart, oldest first: those that are whole, and uploads that can be taken up
/// again. All else that a spool has written is removed. From the ID `next` on no spool has written any.
pub fn load(folder: &Path, next: u64) -> io::Result<Vec<PastFile>> {
    let mut past = Vec::new();
    for id in ids(folder)? {
        match load_one(folder, id) {
            Ok(Some(file)) => past.push(file),
            Ok(None) if is_foreign(folder, id, next) => {
                warn!("left alone is {}, which no file here was ever called", folder.join(id.to_string()).display());
            }
            Ok(None) => {
                if is_undescribed(folder, id) {
                    info!(
                        "file {id} in {} goes: it was still coming when the server ended, or {id}.info is gone",
                        folder.display()
                    );
                }
                forget(folder, id);
            }
            // It is no fault of the file's, and can be put right.
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                return look(folder).and_then(|_| Err(not_ours(&folder.join(id.to_string()), &e)));
            }
            Err(e) => {
                warn!("file {id} in {} cannot be read, and goes: {e}", folder.display());
                forget(folder, id);
            }
        }
    }
    info!("files in {}: {}", folder.display(), past.len());
    Ok(past)
}

/// The files that [`load`] would find, or what would keep it from reading them. Nothing is changed.
pub fn look(folder: &Path) -> io::Result<Vec<PastFile>> {
    let mut past = Vec::new();
    for id in ids(folder)? {
        for (path, is_written) in [(path(folder, id), false), (folder.join(id.to_string()), true)] {
            match open_regular(File::options().read(true).write(is_written), &path) {
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(not_ours(&path, &e)),
                _ => {}
            }
        }
        match read_one(folder, id) {
            Ok(None) if is_undescribed(folder, id) => {
                warn!("a start removes file {id} in {}: it is still coming, or {id}.info is gone", folder.display());
            }
            Ok(found) => past.extend(found.map(|(file, _)| file)),
            Err(e) => warn!("file {id} in {} cannot be read, and a start removes it: {e}", folder.display()),
        }
    }
    Ok(past)
}

fn load_one(folder: &Path, id: FileId) -> io::Result<Option<PastFile>> {
    let Some((file, known)) = read_one(folder, id)? else { return Ok(None) };
    if file.digest != known {
        write(folder, id, &file.description, file.digest)?;
    }
    Ok(Some(file))
}

/// A file that goes on, and the digest that is written down. An error says why there is none any more though it was whole.
fn read_one(folder: &Path, id: FileId) -> io::Result<Option<(PastFile, Option<Digest>)>> {
    let text = match read_text(&path(folder, id)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let Some((description, known)) = parse(&text) else {
        return Err(io::Error::other("what is written down about it is damaged"));
    };
    let mut digest = known;
    let data = folder.join(id.to_string());
    let len = match fs::symlink_metadata(&data) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && known.is_none() => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(io::Error::other("its bytes are gone")),
        metadata if metadata.as_ref().is_ok_and(fs::Metadata::is_file) => metadata?.len(),
        _ => return Err(io::Error::other("something else stands in its place")),
    };
    if known.is_some() && len != description.size {
        return Err(io::Error::other(format!("it has {len} bytes, and had {}", description.size)));
    }
    if digest.is_none() && len == description.size {
        // All of it had come, and nobody has been told.
        let (_, hash) = hash(&data)?;
        digest = Some(Digest(hash.finalize().into())).filter(|digest| description.claimed == Some(*digest));
        if digest.is_none() {
            return Ok(None);
        }
    }
    open_regular(File::options().read(true).write(true), &data)?;
    let goes_on = match digest {
        Some(_) => len == description.size,
        None => description.claimed.is_some() && 0 < len && len < description.size,
    };
    Ok(goes_on.then_some((PastFile { id, description, len, digest }, known)))
}

/// The length of a file, and the digest of what is in it so far.
pub(super) fn hash(path: &Path) -> io::Result<(u64, Sha256)> {
    let (mut file, mut hash, mut len) = (open_regular(File::options().read(true), path)?, Sha256::new(), 0);
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok((len, hash)),
            n => {
                hash.update(&bytes[..n]);
                len += n as u64;
            }
        }
    }
}

/// Whether something is in the folder that somebody else has put there under a number.
fn is_foreign(folder: &Path, id: FileId, next: u64) -> bool {
    id.0 >= next && !path(folder, id).exists()
}

/// Whether there are bytes of a file about which nothing is written down.
fn is_undescribed(folder: &Path, id: FileId) -> bool {
    !path(folder, id).exists() && fs::metadata(folder.join(id.to_string())).is_ok_and(|data| data.len() > 0)
}

/// Removes the files that nothing is written down about, which end with the process, and of which the last came before `next`.
pub(super) fn tidy(folder: &Path, next: u64) -> io::Result<()> {
    for id in ids(folder)? {
        if id.0 < next && !path(folder, id).exists() {
            forget(folder, id);
        }
    }
    Ok(())
}

/// Every file that a spool has written something of, and nothing else, whatever folder this turns out to be.
fn ids(folder: &Path) -> io::Result<BTreeSet<FileId>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let name = entry.file_name();
        let id = name.to_str().map(|name| name.trim_end_matches(".new").trim_end_matches(".info"));
        // No server gives out an ID of twenty digits.
        ids.extend(
            id.filter(|id| id.len() < 20)
                .filter(|id| id.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|id| id.parse().ok())
                .map(FileId),
        );
    }
    Ok(ids)
}

/// Removes a file; one that cannot be removed stops nothing.
pub(super) fn forget(folder: &Path, id: FileId) {
    if let Err(e) = remove(folder, id) {
        warn!("cannot remove file {id}: {e}");
    }
}

/// Removes a file and what is written down about it. The description goes first, as without it the rest goes anyway. A folder of
/// such a name is none of ours.
fn remove(folder: &Path, id: FileId) -> io::Result<()> {
    let description = path(folder, id);
    for path in [description.with_extension("info.new"), description, folder.join(id.to_string())] {
        match fs::remove_file(path) {
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::IsADirectory) => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

/// What is written down of a file that is under way or whole.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) what: Description,
    pub(super) digest: Option<Digest>,
}

impl Described {
    /// Writes it down, if the file would go on after a restart.
    pub(super) fn write(&self, folder: &Path, id: FileId) -> io::Result<()> {
        let goes_on = self.digest.is_some() || self.what.claimed.is_some();
        if goes_on { write(folder, id, &self.what, self.digest) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn description() -> Description {
        Description {
            room: RoomName::new("#a").unwrap(),
            from: Nick::new("alice").unwrap(),
            account: Nick::new("Alice").ok(),
            size: 3,
            at: SystemTime::UNIX_EPOCH,
            claimed: Some(Digest(Sha256::digest("abc").into())),
            name: "two words.txt".to_owned(),
        }
    }

    /// A spool in which file 7 has these bytes and is described so.
    fn spool(what: &Description, digest: Option<Digest>, bytes: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("7"), bytes).unwrap();
        write(folder.path(), FileId(7), what, digest).unwrap();
        folder
    }

    fn found(folder: &tempfile::TempDir) -> Vec<(u64, bool)> {
        load(folder.path(), 77).unwrap().into_iter().map(|file| (file.len, file.digest.is_some())).collect()
    }

    #[test]
    fn what_is_whole_or_can_go_on_is_found_again() {
        let whole = description();
        let digest = whole.claimed;
        let folder = spool(&whole, digest, "abc");
        assert_eq!(
            load(folder.path(), 77).unwrap(),
            [PastFile { id: FileId(7), description: whole.clone(), len: 3, digest }]
        );
        assert_eq!(found(&spool(&Description { claimed: None, ..whole.clone() }, digest, "abc")), [(3, true)]);
        assert_eq!(found(&spool(&whole, None, "ab")), [(2, false)]);
        // All had come when the process ended.
        let folder = spool(&whole, None, "abc");
        assert_eq!(found(&folder), [(3, true)]);
        assert_eq!(found(&folder), [(3, true)]);
    }

    #[test]
    fn an_older_server_and_this_one_read_what_each_other_wrote() {
        let known = description();
        let folder = spool(&known, known.claimed, "abc");
        let text = fs::read_to_string(path(folder.path(), FileId(7))).unwrap();
        let (older, account) = text.split_at(text.find("account ").unwrap());
        // It reads the fields that it knows, in their order, and nothing behind them.
        assert!(older.ends_with("\nname two words.txt\n") && account == "account Alice\n");
        fs::write(path(folder.path(), FileId(7)), older).unwrap();
        let found = load(folder.path(), 77).unwrap().remove(0).description;
        assert_eq!(found, Description { account: None, ..known });
    }

    #[test]
    fn the_rest_is_cleared_up() {
        let whole = description();
        let unclaimed = Description { claimed: None, ..whole.clone() };
        let cases = [
            spool(&whole, None, ""),
            spool(&whole, None, "abx"),
            spool(&whole, None, "abcd"),
            spool(&whole, whole.claimed, "ab"),
            spool(&unclaimed, None, "ab"),
            spool(&unclaimed, None, "abc"),
        ];
        for folder in cases {
            fs::write(folder.path().join("8"), "private").unwrap();
            fs::write(folder.path().join("9.info"), "rubbish").unwrap();
            fs::write(folder.path().join("10.info.new"), "half").unwrap();
            fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
            fs::write(folder.path().join("77"), "not ours").unwrap();
            assert_eq!(found(&folder), []);
            let mut left: Vec<_> =
                fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            left.sort_unstable();
            assert_eq!(left, ["77", "notes.txt"]);
        }
    }

    #[test]
    fn a_folder_in_the_place_of_a_description_keeps_no_file() {
        let whole = description();
        let folder = spool(&whole, whole.claimed, "abc");
        fs::remove_file(path(folder.path(), FileId(7))).unwrap();
        fs::create_dir(path(folder.path(), FileId(7))).unwrap();
        assert_eq!(found(&folder), []);
        assert!(path(folder.path(), FileId(7)).is_dir() && !folder.path().join("7").exists());
    }
}
