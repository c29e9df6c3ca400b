//! Records on disk, each sealed with one key that lives elsewhere: in the operating system's
//! keychain, or under a passphrase, or (by explicit choice) in a file.
//!
//! Layout:
//! * `record`: names, clear headers, the file format; `seal`: the cipher; both pure.
//! * `settings`: what it is told from outside.
//! * `directory` and `platform`: private files, replaced in one step.
//! * `records`: the record files; `lock`: locks between processes.
//! * `key`: the one question for the key, with deadlines; asked of `keychain`,
//!   `passphrase` or `plaintext`.
//!
//! The vault never downgrades by itself: without any keychain it works in the memory of this
//! process and says so; a keychain that is locked, refuses or hangs is an error.

mod directory;
mod error;
mod key;
mod keychain;
mod lock;
mod passphrase;
mod plaintext;
mod platform;
mod record;
mod records;
mod seal;
mod settings;

pub use error::{PassphraseError, VaultError};
pub use lock::RecordLock;
pub use passphrase::PassphraseFrom;
pub use record::{Header, Record, RecordKey, Sealed};
pub use settings::{KeySource, Settings};

use crate::secret::Secret;
use key::{KeyHolder, Want};
use records::Stored;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where a record went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    OnDisk,
    /// There is no keychain: the record is gone when this process ends.
    InMemory,
}

/// Room on the disk for one record.
pub struct Reservation {
    key: RecordKey,
    /// None where the record is kept in memory.
    place: Option<directory::Reserved>,
}

/// The vault. Clones share the key and what is in memory.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    settings: Arc<Settings>,
    key: Arc<KeyHolder>,
    /// By file name.
    memory: Mutex<HashMap<String, Record>>,
    process_locks: lock::ProcessLocks,
}

impl Vault {
    /// A vault that touches neither disk nor keychain until it is asked for something.
    pub fn new(settings: Settings) -> Self {
        let settings = Arc::new(settings);
        Self(Arc::new(Inner {
            key: KeyHolder::new(Arc::clone(&settings)),
            settings,
            memory: Mutex::default(),
            process_locks: lock::ProcessLocks::default(),
        }))
    }

    /// The clear headers of all records that a person taught or signed in for, sorted by
    /// remote, account and name. Needs no key; a record that cannot be read is logged and left
    /// out.
    ///
    /// # Errors
    /// `Unsafe` or `Io` for the directory.
    pub fn list(&self) -> Result<Vec<Header>, VaultError> {
        let mut headers: HashMap<String, Header> =
            records::headers(self.directory())?.into_iter().collect();
        for (name, record) in self.memory().iter() {
            headers.insert(name.clone(), record.header.clone());
        }
        headers.retain(|_, header| !header.is_auxiliary());
        let mut headers: Vec<Header> = headers.into_values().collect();
        headers.sort_by(|one, other| one.sort_key().cmp(&other.sort_key()));
        Ok(headers)
    }

    /// The clear header of one record, or `None`. Needs no key.
    ///
    /// # Errors
    /// `Corrupt`, `Unsafe` or `Io` for the file.
    pub fn header(&self, key: &RecordKey) -> Result<Option<Header>, VaultError> {
        if let Some(record) = self.memory().get(&key.file_name()) {
            return Ok(Some(record.header.clone()));
        }
        records::header(self.directory(), key)
    }

    /// Starts to fetch the key on a thread of its own and returns at once. Does nothing when
    /// the key is there or on its way.
    pub fn unlock(&self) {
        if !matches!(self.0.settings.source, KeySource::Memory) {
            self.0.key.prefetch();
        }
    }

    /// Opens a record. `None`: there is none, and then the key was not touched.
    ///
    /// # Errors
    /// `Absent`, `Locked`, `Denied`, `Hung` (after `deadline`) or `Passphrase` if the key is
    /// not to be had, `WrongKey` if it is another one, `Corrupt` if the record was changed.
    pub async fn read(
        &self,
        key: &RecordKey,
        deadline: Duration,
    ) -> Result<Option<Record>, VaultError> {
        if let Some(record) = self.memory().get(&key.file_name()) {
            return Ok(Some(record.clone()));
        }
        match records::read(self.directory(), key)? {
            Some(stored) => self.open(key, stored, deadline).await.map(Some),
            None => Ok(None),
        }
    }

    async fn open(
        &self,
        key: &RecordKey,
        stored: Stored,
        deadline: Duration,
    ) -> Result<Record, VaultError> {
        let Some(seal) = &stored.header.sealed else {
            return Ok(Record { header: stored.header, payload: Secret::new(Vec::new()) });
        };
        let settings = &self.0.settings;
        let wrong_key = |why: String| VaultError::WrongKey {
            why,
            sealed_by: seal.source.clone(),
            in_use: settings.source.name().to_owned(),
        };
        if seal.source != settings.source.name() {
            return Err(wrong_key(format!(
                "the record was sealed with KEYFERRY_VAULT={}, and KEYFERRY_VAULT={} is in use",
                seal.source,
                settings.source.name()
            )));
        }
        let holder = &self.0.key;
        let got = holder
            .get_expecting(Want::Existing, Some(&seal.key_id), deadline)
            .await?
            .ok_or_else(|| records::lost_key(settings, 1))?;
        if got.id() != seal.key_id {
            let holder = settings.source.described();
            return Err(wrong_key(format!(
                "{holder} has another vault key than the one that sealed this record"
            )));
        }
        let payload = got
            .open(&stored.sealed, &key.id(), &stored.line)
            .ok_or_else(|| VaultError::corrupt(&stored.path, "it was changed or cut off"))?;
        Ok(Record { header: stored.header, payload })
    }

    /// Seals a record and puts it in the place of the old one, in one step that survives a
    /// crash. Makes the key if there is none yet. Goes on to the end even if it is no longer
    /// awaited once the key is there.
    ///
    /// # Errors
    /// As [`Self::read`], and `Io` if it cannot be written. `WrongKey` also when there is no
    /// key while other records need it.
    pub async fn write(
        &self,
        key: &RecordKey,
        header: Header,
        payload: &Secret<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Kept, VaultError> {
        match self.to_bytes(key, header, payload, deadline).await? {
            None => Ok(Kept::InMemory),
            Some(bytes) => {
                let (directory, to) = (self.directory().to_owned(), key.clone());
                off_the_runtime(move || records::write(&directory, &to, &bytes)).await?;
                self.memory().remove(&key.file_name());
                Ok(Kept::OnDisk)
            }
        }
    }

    /// Takes room for a record of `key` before something irrevocable is done whose outcome
    /// must be kept. The record that stands there must have been read with the key at hand.
    ///
    /// # Errors
    /// `Io` or `Unsafe` if it could not be written now.
    pub async fn reserve(&self, key: &RecordKey) -> Result<Reservation, VaultError> {
        let in_memory = matches!(self.0.settings.source, KeySource::Memory)
            || self.memory().contains_key(&key.file_name());
        if in_memory {
            return Ok(Reservation { key: key.clone(), place: None });
        }
        let (directory, to) = (self.directory().to_owned(), key.clone());
        let place = off_the_runtime(move || records::reserve(&directory, &to)).await?;
        Ok(Reservation { key: key.clone(), place: Some(place) })
    }

    /// As [`Self::write`], into the room that was taken.
    ///
    /// # Errors
    /// As [`Self::write`]; the record before is then still there.
    pub async fn write_reserved(
        &self,
        reservation: Reservation,
        header: Header,
        payload: &Secret<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Kept, VaultError> {
        let Some(place) = reservation.place else {
            return self.write(&reservation.key, header, payload, deadline).await;
        };
        match self.to_bytes(&reservation.key, header, payload, deadline).await? {
            None => Ok(Kept::InMemory),
            Some(bytes) => {
                off_the_runtime(move || place.fill(&bytes)).await?;
                Ok(Kept::OnDisk)
            }
        }
    }

    /// Remembers a record for this process only, in the place of the one on disk, until it
    /// can be written.
    pub fn hold_in_memory(&self, key: &RecordKey, header: Header, payload: &Secret<Vec<u8>>) {
        self.keep_in_memory(key, header, payload);
    }

    /// Forgets what [`Self::hold_in_memory`] remembers: the record on disk counts.
    pub fn let_go(&self, key: &RecordKey) {
        self.memory().remove(&key.file_name());
    }

    /// Something that changes with the record on disk; the same for none and for one that
    /// cannot be read.
    pub fn stamp(&self, key: &RecordKey) -> Option<Vec<u8>> {
        let stored = records::read(self.directory(), key).ok().flatten()?;
        Some([stored.line, stored.sealed].concat())
    }

    /// Writes what [`Self::hold_in_memory`] remembers; nothing is done if there is nothing.
    ///
    /// # Errors
    /// As [`Self::write`]; it is remembered all the same.
    pub async fn write_held(&self, key: &RecordKey, deadline: Duration) -> Result<(), VaultError> {
        let held = self.memory().get(&key.file_name()).cloned();
        let Some(Record { header, payload }) = held else { return Ok(()) };
        self.write(key, header, &payload, deadline).await.map(|_| ())
    }

    /// The content of the file; none if the record was kept in memory instead.
    async fn to_bytes(
        &self,
        key: &RecordKey,
        mut header: Header,
        payload: &Secret<Vec<u8>>,
        deadline: Duration,
    ) -> Result<Option<Vec<u8>>, VaultError> {
        header.schema = record::SCHEMA;
        header.sealed = None;
        if matches!(self.0.settings.source, KeySource::Memory) {
            self.keep_in_memory(key, header, payload);
            return Ok(None);
        }
        if header.seals_nothing(payload) {
            return Ok(Some(header.to_line()));
        }
        let vault_key = match self.key_to_write(key, deadline).await {
            Err(VaultError::Absent { .. }) => {
                self.keep_in_memory(key, header, payload);
                return Ok(None);
            }
            other => other?,
        };
        header.sealed = Some(Sealed {
            source: self.0.settings.source.name().to_owned(),
            key_id: vault_key.id(),
        });
        let mut bytes = header.to_line();
        bytes.extend(vault_key.seal(payload.expose(), &key.id(), &bytes)?);
        Ok(Some(bytes))
    }

    async fn key_to_write(
        &self,
        key: &RecordKey,
        deadline: Duration,
    ) -> Result<seal::Key, VaultError> {
        let settings = &self.0.settings;
        // A record that cannot be read may be replaced all the same.
        let replaced = records::header(self.directory(), key).ok().flatten();
        let expected = replaced
            .and_then(|header| header.sealed)
            .filter(|sealed| sealed.source == settings.source.name())
            .map(|sealed| sealed.key_id);
        let got = self.0.key.get_expecting(Want::Make, expected.as_deref(), deadline).await?;
        got.ok_or_else(|| records::lost_key(settings, 1))
    }

    fn keep_in_memory(&self, key: &RecordKey, header: Header, payload: &Secret<Vec<u8>>) {
        let record = Record { header, payload: payload.clone() };
        self.memory().insert(key.file_name(), record);
    }

    /// Forgets a record; false if there is none. Needs no key.
    ///
    /// # Errors
    /// `Unsafe` or `Io` for the directory.
    pub fn remove(&self, key: &RecordKey) -> Result<bool, VaultError> {
        let remembered = self.memory().remove(&key.file_name()).is_some();
        Ok(records::remove(self.directory(), key)? || remembered)
    }

    /// Waits up to `wait` for the lock of one record, without blocking the runtime. A holder
    /// that dies frees it at once.
    ///
    /// # Errors
    /// `Busy` when the wait is over; `Unsafe` or `Io` for the lock file.
    pub async fn lock(&self, key: &RecordKey, wait: Duration) -> Result<RecordLock, VaultError> {
        match self.0.settings.source {
            KeySource::Memory => self.0.process_locks.acquire(&key.id(), wait).await,
            _ => lock::acquire(&self.0.settings.locks, &key.id(), wait).await,
        }
    }

    /// Whether a record written now would outlive this process. Makes the key if there is
    /// none yet, which tries the keychain out.
    ///
    /// # Errors
    /// As [`Self::write`] would.
    pub async fn lasting(&self, deadline: Duration) -> Result<bool, VaultError> {
        if matches!(self.0.settings.source, KeySource::Memory) {
            return Ok(false);
        }
        match self.0.key.get(Want::Make, deadline).await {
            Ok(_) => directory::Directory::ensure(self.directory()).map(|_| true),
            Err(VaultError::Absent { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The one line for people when there turned out to be no keychain and memory is used
    /// instead; `None` at all other times, and from the second call on.
    pub fn notice(&self) -> Option<String> {
        self.0.key.newly_absent().then(|| {
            format!(
                "no keychain here: credentials stay in memory and are gone when this process ends; to keep them, {}",
                error::OTHER_SOURCES
            )
        })
    }

    fn directory(&self) -> &Path {
        &self.0.settings.directory
    }

    fn memory(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs what waits for the disk on a thread of its own, which goes on when nobody waits.
async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let (sender, done) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("vault-disk".to_owned())
        .spawn(move || sender.send(work()))
        .map_err(|error| VaultError::io("start", Path::new("a thread"), error))?;
    done.await.unwrap_or_else(|_| {
        let error = std::io::Error::other("the thread ended early");
        Err(VaultError::io("finish", Path::new("writing"), error))
    })
}

#[cfg(test)]
mod tests;
