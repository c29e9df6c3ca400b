//! What differs between systems about files: modes, owners, links, renames.

use super::error::VaultError;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// Opens a file as it is: without following a link, and on Unix without waiting for the other end of a pipe.
pub(super) fn open_as_is(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        options.mode(0o600).custom_flags(flags.bits().cast_signed());
    }
    #[cfg(windows)]
    {
        use std::os::windows::fs::OpenOptionsExt;
        const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
        options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    }
    options.open(path)
}

#[cfg(unix)]
pub(super) fn own_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
pub(super) fn own_mode(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
pub(super) fn ours(path: &Path, metadata: &Metadata) -> Result<(), VaultError> {
    let owner = std::os::unix::fs::MetadataExt::uid(metadata);
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let why = format!("it belongs to another user (number {owner})");
    Err(VaultError::not_safe(path, why))
}

#[cfg(not(unix))]
pub(super) fn ours(_: &Path, _: &Metadata) -> Result<(), VaultError> {
    Ok(())
}

/// Sets a directory's mode to 0700 and makes sure that the file system kept it: some
/// (Windows drives under WSL) keep no modes at all.
#[cfg(unix)]
pub(super) fn close_to_others(path: &Path) -> Result<(), VaultError> {
    use rustix::fs::{Mode, OFlags, fchmod, fstat, open};
    let failed = |error: rustix::io::Errno| VaultError::io("open", path, error.into());
    let mode = |stat: rustix::fs::Stat| Mode::from_raw_mode(stat.st_mode);
    let private = Mode::RWXU;
    let others = Mode::RWXG | Mode::RWXO;
    if rustix::fs::lstat(path).is_ok_and(|stat| mode(stat) & (private | others) == private) {
        return Ok(());
    }
    // By descriptor, so that a link planted since the look cannot turn the change elsewhere.
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let directory = match open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::ACCESS) => {
            // Made a moment ago under a umask that takes even our own bits.
            rustix::fs::chmod(path, private).map_err(failed)?;
            open(path, flags, Mode::empty()).map_err(failed)?
        }
        other => other.map_err(failed)?,
    };
    let open_before = mode(fstat(&directory).map_err(failed)?).intersects(others);
    let changed = fchmod(&directory, private);
    if mode(fstat(&directory).map_err(failed)?).intersects(others) {
        let why = changed.err().map_or_else(
            || "it is open to others, and the file system keeps no modes".to_owned(),
            |error| format!("it is open to others, and stays so: {error}"),
        );
        return Err(VaultError::not_safe(path, why));
    }
    if open_before {
        tracing::warn!(directory = %path.display(), "was open to others; closed it");
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn close_to_others(_: &Path) -> Result<(), VaultError> {
    Ok(())
}

#[cfg(not(windows))]
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), VaultError> {
    fs::rename(from, to).map_err(|error| VaultError::io("replace", to, error))
}

/// A scanner or a reader in another process may hold the old file for a moment.
#[cfg(windows)]
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), VaultError> {
    let mut tries = 0;
    loop {
        match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && tries < 20 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(10 * tries));
            }
            other => return other.map_err(|error| VaultError::io("replace", to, error)),
        }
    }
}
