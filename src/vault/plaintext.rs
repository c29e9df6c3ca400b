//! The vault key in a file beside the records, named for what it is: anyone who can read
//! the directory can open the records.

use super::directory::Directory;
use super::error::VaultError;
use super::seal::Key;
use crate::secret::Secret;
use std::path::Path;

pub(super) const SOURCE: &str = "plaintext";
const FILE: &str = "plaintext.key";

/// The key in the file, or `None` if there is no file.
pub(super) fn look_up(directory: &Path) -> Result<Option<Key>, VaultError> {
    let Some(directory) = Directory::existing(directory)? else {
        return Ok(None);
    };
    let Some(bytes) = directory.read(FILE)?.map(Secret::new) else {
        return Ok(None);
    };
    let key = std::str::from_utf8(bytes.expose()).ok().and_then(Key::from_text);
    key.map(Some)
        .ok_or_else(|| VaultError::corrupt(&directory.path_of(FILE), "it holds no vault key"))
}

/// Makes the key and its file; the caller holds the lock.
pub(super) fn make(directory: &Path) -> Result<Key, VaultError> {
    let key = Key::random()?;
    Directory::ensure(directory)?.replace(FILE, key.to_text().expose().as_bytes())?;
    Ok(key)
}
