//! A directory of one's own: private whatever the umask, no link in it ever followed, every
//! file replaced in one step.
//!
//! On Windows privacy comes from the profile directory's access list, which new files inherit.

use super::error::VaultError;
use super::platform::{
    close_to_others, make_directory, open_as_is, ours, own_directory_mode, own_mode, private,
    rename,
};
use super::record::hex;
use super::seal::fill_random;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More than any record; a larger file is not ours.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;
const TEMPORARY_SUFFIX: &str = ".tmp";
/// A writer takes milliseconds; what is this much older than a new file was left by a crash.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

/// A directory that was found, or made, private.
pub(super) struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, made if it is not there.
    ///
    /// # Errors
    /// `Unsafe` if it is a link, is no directory, belongs to someone else, or is open to
    /// others and cannot be closed; `Io` if it cannot be made.
    pub(super) fn ensure(path: &Path) -> Result<Self, VaultError> {
        if let Some(found) = Self::existing(path)? {
            return Ok(found);
        }
        make(path).map_err(|error| VaultError::io("make", path, error))?;
        Self::existing(path)?
            .ok_or_else(|| VaultError::io("make", path, io::Error::from(io::ErrorKind::NotFound)))
    }

    /// The directory at `path`, or `None` if nothing is there.
    ///
    /// # Errors
    /// `Unsafe` as for [`Self::ensure`]; `Io` if it cannot be looked at.
    pub(super) fn existing(path: &Path) -> Result<Option<Self>, VaultError> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(VaultError::io("look at", path, error)),
        };
        if metadata.is_symlink() {
            return Err(VaultError::not_safe(path, "it is a symbolic link"));
        }
        if !metadata.is_dir() {
            return Err(VaultError::not_safe(path, "it is not a directory"));
        }
        ours(path, &metadata)?;
        close_to_others(path)?;
        Ok(Some(Self { path: path.to_owned() }))
    }

    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The names of the files that end in `suffix`.
    pub(super) fn names(&self, suffix: &str) -> Result<Vec<String>, VaultError> {
        let failed = |error| VaultError::io("list", &self.path, error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(name.into_string().ok().filter(|name| name.ends_with(suffix)));
        }
        Ok(names)
    }

    /// Opens the file `name` for reading; `None` if it is not there.
    ///
    /// # Errors
    /// `Unsafe` if it is a link, no regular file, or someone else's.
    pub(super) fn open(&self, name: &str) -> Result<Option<File>, VaultError> {
        let path = self.path_of(name);
        let mut options = OpenOptions::new();
        options.read(true);
        match open_as_is(&mut options, &path) {
            Ok(file) => Ok(Some(checked(file, &path)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(opening_failed(&path, error)),
        }
    }

    /// The whole of the file `name`; `None` if it is not there.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, VaultError> {
        let Some(file) = self.open(name)? else {
            return Ok(None);
        };
        let path = self.path_of(name);
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| VaultError::io("read", &path, error))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(VaultError::corrupt(&path, "it is larger than any record"));
        }
        Ok(Some(bytes))
    }

    /// Opens the file `name` to lock it, made empty if it is not there.
    pub(super) fn open_lock(&self, name: &str) -> Result<File, VaultError> {
        let path = self.path_of(name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = open_as_is(&mut options, &path).map_err(|error| opening_failed(&path, error))?;
        checked(file, &path)
    }

    /// Puts `bytes` in the place of the file `name` in one step that survives a crash: all of
    /// the old content is there, or all of the new.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), VaultError> {
        let temporary = self.temporary(name)?;
        let written =
            self.write_new(&temporary, bytes).and_then(|_| rename(&temporary, &self.path_of(name)));
        if written.is_err() {
            // The first error is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        self.sync()
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<File, VaultError> {
        let failed = |error| VaultError::io("write", path, error);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = open_as_is(&mut options, path).map_err(failed)?;
        own_mode(&file).map_err(failed)?;
        self.clear_left_behind(&file);
        file.write_all(bytes).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(file)
    }

    /// Takes room on the disk for `bytes` that shall replace the file `name`: whatever fails
    /// for lack of room or permission fails now.
    pub(super) fn reserve(self, name: &str, bytes: usize) -> Result<Reserved, VaultError> {
        let temporary = self.temporary(name)?;
        match self.write_new(&temporary, &vec![0; bytes]) {
            Ok(file) => {
                let target = self.path_of(name);
                Ok(Reserved { directory: self, file, temporary, target, filled: false })
            }
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    fn temporary(&self, name: &str) -> Result<PathBuf, VaultError> {
        let mut random = [0; 8];
        fill_random(&mut random)?;
        Ok(self.path_of(&format!(".{name}.{}{TEMPORARY_SUFFIX}", hex(&random))))
    }

    /// Removes the file `name`; false if it was not there.
    pub(super) fn remove(&self, name: &str) -> Result<bool, VaultError> {
        let path = self.path_of(name);
        match fs::remove_file(&path) {
            Ok(()) => self.sync().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(VaultError::io("remove", &path, error)),
        }
    }

    /// Removes what crashed writers left, told by the clock of the file system itself.
    fn clear_left_behind(&self, new: &File) {
        let Ok(now) = new.metadata().and_then(|metadata| metadata.modified()) else {
            return;
        };
        for name in self.names(TEMPORARY_SUFFIX).unwrap_or_default() {
            let path = self.path_of(&name);
            let modified = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|then| now.duration_since(then).ok());
            if name.starts_with('.') && age.is_some_and(|age| age > LEFT_BEHIND) {
                tracing::debug!(file = name, "removing what a crashed writer left");
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Makes a rename or removal durable. Windows has no such call and needs none; some
    /// network file systems have none either, and there it is done all the same.
    fn sync(&self) -> Result<(), VaultError> {
        #[cfg(unix)]
        match File::open(&self.path).and_then(|directory| directory.sync_all()) {
            Err(error) if !cannot_be_synced(&error) => {
                return Err(VaultError::io("sync", &self.path, error));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A file beside the one it will replace, with room for the new content.
pub(super) struct Reserved {
    directory: Directory,
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    filled: bool,
}

impl Reserved {
    /// Puts `bytes` in the place of the file that this was reserved for, as
    /// [`Directory::replace`] does.
    pub(super) fn fill(mut self, bytes: &[u8]) -> Result<(), VaultError> {
        let failed = |error| VaultError::io("write", &self.temporary, error);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.set_len(bytes.len() as u64).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        rename(&self.temporary, &self.target)?;
        self.filled = true;
        self.directory.sync()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if !self.filled {
            // What stays is cleared away with what crashed writers left.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// The file system does not know what to do, as opposed to failing at it.
#[cfg(unix)]
fn cannot_be_synced(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOTSUP))
}

/// Makes a directory and the parents it lacks, each private whatever the umask.
fn make(path: &Path) -> io::Result<()> {
    let made = match (make_directory(path), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
            make(parent)?;
            make_directory(path)
        }
        (made, _) => made,
    };
    match made {
        // The umask may have taken bits that whatever comes into it needs.
        Ok(()) => own_directory_mode(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn opening_failed(path: &Path, error: io::Error) -> VaultError {
    #[cfg(unix)]
    if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::LOOP) {
        return VaultError::not_safe(path, "it is a symbolic link");
    }
    VaultError::io("open", path, error)
}

fn checked(file: File, path: &Path) -> Result<File, VaultError> {
    let metadata = file.metadata().map_err(|error| VaultError::io("look at", path, error))?;
    if metadata.is_symlink() {
        return Err(VaultError::not_safe(path, "it is a symbolic link"));
    }
    if !metadata.is_file() {
        return Err(VaultError::not_safe(path, "it is not a regular file"));
    }
    ours(path, &metadata)?;
    private(&file, path, &metadata)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
