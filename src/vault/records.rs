//! The record files on disk.

use super::directory::{Directory, Reserved};
use super::error::VaultError;
use super::record::{Header, RecordKey, SUFFIX, split};
use super::{KeySource, Settings};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Far more than `list` could show.
const MAX_HEADER_BYTES: u64 = 1024 * 1024;
/// Reserved for a record that will hold tokens; most are a fraction of this.
const RESERVED: usize = 64 * 1024;

/// A record file as it was read, not opened yet.
pub(super) struct Stored {
    pub(super) header: Header,
    /// The header as it stands in the file.
    pub(super) line: Vec<u8>,
    pub(super) sealed: Vec<u8>,
    pub(super) path: PathBuf,
}

/// The record file of `key`, or `None`.
pub(super) fn read(directory: &Path, key: &RecordKey) -> Result<Option<Stored>, VaultError> {
    let Some(directory) = Directory::existing(directory)? else {
        return Ok(None);
    };
    let name = key.file_name();
    let Some(bytes) = directory.read(&name)? else {
        return Ok(None);
    };
    let path = directory.path_of(&name);
    let (header, line, sealed) = split(&bytes, &path)?;
    Ok(Some(Stored { header, line: line.to_vec(), sealed: sealed.to_vec(), path }))
}

/// Puts a record in place of the one of `key`, if any, in one step.
pub(super) fn write(directory: &Path, key: &RecordKey, bytes: &[u8]) -> Result<(), VaultError> {
    Directory::ensure(directory)?.replace(&key.file_name(), bytes)
}

/// Room on the disk for a record of `key`.
pub(super) fn reserve(directory: &Path, key: &RecordKey) -> Result<Reserved, VaultError> {
    let directory = Directory::ensure(directory)?;
    let name = key.file_name();
    let now = directory.read(&name)?.map_or(0, |bytes| bytes.len());
    directory.reserve(&name, RESERVED.max(2 * now))
}

/// Removes the record of `key`; false if there is none.
pub(super) fn remove(directory: &Path, key: &RecordKey) -> Result<bool, VaultError> {
    match Directory::existing(directory)? {
        Some(directory) => directory.remove(&key.file_name()),
        None => Ok(false),
    }
}

/// The clear header of `key`, or `None`.
pub(super) fn header(directory: &Path, key: &RecordKey) -> Result<Option<Header>, VaultError> {
    match Directory::existing(directory)? {
        Some(directory) => header_of(&directory, &key.file_name()),
        None => Ok(None),
    }
}

/// Every record's file name and header. One that cannot be read is logged and left out.
pub(super) fn headers(directory: &Path) -> Result<Vec<(String, Header)>, VaultError> {
    let Some(directory) = Directory::existing(directory)? else {
        return Ok(Vec::new());
    };
    let mut headers = Vec::new();
    for name in directory.names(SUFFIX)? {
        match header_of(&directory, &name) {
            Ok(Some(header)) => headers.push((name, header)),
            // Removed since the directory was read.
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "leaving out a record that cannot be read"),
        }
    }
    Ok(headers)
}

fn header_of(directory: &Directory, name: &str) -> Result<Option<Header>, VaultError> {
    let Some(file) = directory.open(name)? else {
        return Ok(None);
    };
    let path = directory.path_of(name);
    let mut line = Vec::new();
    BufReader::new(file)
        .take(MAX_HEADER_BYTES)
        .read_until(b'\n', &mut line)
        .map_err(|error| VaultError::io("read", &path, error))?;
    match line.strip_suffix(b"\n") {
        Some(line) => Header::parse(line, &path).map(Some),
        None => Err(VaultError::corrupt(&path, "it is cut off in its header")),
    }
}

/// Refuses to go on to a new key while records exist that it would not open: of a key that
/// is missing, or of another source, whose records would then lie beside ones they cannot
/// be opened with. Memory makes no key that outlives the process.
pub(super) fn refuse_if_sealed(settings: &Settings) -> Result<(), VaultError> {
    let source = settings.source.name();
    if matches!(settings.source, KeySource::Memory) {
        return Ok(());
    }
    let headers = headers(&settings.directory)?;
    let needed = headers.iter().filter(|(_, header)| !header.is_auxiliary());
    let sources = needed.filter_map(|(_, header)| Some(&header.sealed.as_ref()?.source));
    let sources: Vec<_> = sources.collect();
    if let Some(other) = sources.iter().find(|other| **other != source) {
        return Err(VaultError::WrongKey {
            why: format!(
                "{} holds records sealed with KEYFERRY_VAULT={other}, and KEYFERRY_VAULT={source} is in use",
                settings.directory.display()
            ),
            sealed_by: other.to_string(),
            in_use: source.to_owned(),
        });
    }
    match sources.len() {
        0 => Ok(()),
        sealed => Err(lost_key(settings, sealed)),
    }
}

/// The source answers and has no key, yet `sealed` records need it.
pub(super) fn lost_key(settings: &Settings, sealed: usize) -> VaultError {
    let source = settings.source.name();
    let holder = settings.source.described();
    let records = if sealed == 1 { "a record" } else { "records" };
    VaultError::WrongKey {
        why: format!(
            "{holder} has no vault key, yet {records} in {} can be opened with that key only",
            settings.directory.display()
        ),
        sealed_by: source.to_owned(),
        in_use: source.to_owned(),
    }
}
