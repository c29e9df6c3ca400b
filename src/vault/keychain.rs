//! The vault key in the operating system's keychain.
//!
//! Everything here blocks, without any limit when the keychain hangs, and belongs on a
//! thread of its own. Errors of the keychain are never Debug-printed: some carry the secret.

use super::error::VaultError;
use super::record::hex;
use super::seal::{Key, fill_random};
use crate::secret::Secret;
use keyring_core::error::PlatformError;
use keyring_core::{CredentialStore, Entry, Error};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

pub(super) const SOURCE: &str = "keychain";
const KEY_USER: &str = "vault-key";
/// Windows would otherwise let the key roam to other machines of the domain.
#[cfg(windows)]
const MODIFIERS: &[(&str, &str)] = &[("persistence", "Local")];
#[cfg(not(windows))]
const MODIFIERS: &[(&str, &str)] = &[];

/// The items of one service in a keychain.
pub(super) struct Keychain<'a> {
    store: Arc<CredentialStore>,
    service: &'a str,
}

impl<'a> Keychain<'a> {
    /// Connects, once per process.
    pub(super) fn connect(service: &'a str) -> Result<Self, VaultError> {
        // `Entry::new` would hide why there is no store.
        if let Err(error) = keyring::v1::Entry::store_status() {
            return Err(meaning(error));
        }
        let store =
            keyring_core::get_default_store().ok_or_else(|| meaning(&Error::NoDefaultStore))?;
        Ok(Self { store, service })
    }

    /// The vault key, or `None` when the keychain has no such entry.
    ///
    /// `None` may also mean that the keychain has no place to keep things (no default
    /// collection): only writing tells.
    pub(super) fn key(&self) -> Result<Option<Key>, VaultError> {
        let Some(text) = read(&self.entry(KEY_USER)?)? else {
            return Ok(None);
        };
        let key = Key::from_text(text.expose());
        key.map(Some).ok_or_else(not_a_key)
    }

    /// Makes the vault key, after showing that the keychain keeps what it is given.
    pub(super) fn make_key(&self) -> Result<Key, VaultError> {
        self.prove_it_keeps()?;
        let key = Key::random()?;
        let entry = self.entry(KEY_USER)?;
        entry.set_password(key.to_text().expose()).map_err(|error| meaning(&error))?;
        match self.key()? {
            Some(kept) if kept.id() == key.id() => Ok(kept),
            _ => Err(does_not_keep()),
        }
    }

    /// Writes, reads and deletes an entry of a name that nobody else uses.
    fn prove_it_keeps(&self) -> Result<(), VaultError> {
        let mut random = [0; 16];
        fill_random(&mut random)?;
        let value = hex(&random);
        let canary = self.entry(&format!("canary-{}", &value[..16]))?;
        canary.set_password(&value).map_err(|error| meaning(&error))?;
        let kept = read(&canary);
        let deleted = canary.delete_credential();
        if kept?.is_none_or(|kept| kept.expose() != &value) {
            return Err(does_not_keep());
        }
        deleted.map_err(|error| meaning(&error))?;
        match read(&canary)? {
            None => Ok(()),
            Some(_) => Err(does_not_keep()),
        }
    }

    fn entry(&self, user: &str) -> Result<Entry, VaultError> {
        let modifiers: HashMap<&str, &str> = MODIFIERS.iter().copied().collect();
        self.store.build(self.service, user, Some(&modifiers)).map_err(|error| meaning(&error))
    }
}

fn read(entry: &Entry) -> Result<Option<Secret<String>>, VaultError> {
    match entry.get_password() {
        Ok(text) => Ok(Some(Secret::new(text))),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(meaning(&error)),
    }
}

fn does_not_keep() -> VaultError {
    VaultError::Denied { why: "it did not keep a test entry".to_owned() }
}

fn not_a_key() -> VaultError {
    VaultError::WrongKey {
        why: format!("the keychain's entry '{KEY_USER}' is not a vault key of this keyferry"),
        sealed_by: SOURCE.to_owned(),
        in_use: SOURCE.to_owned(),
    }
}

/// What an error of the keychain means for the vault.
fn meaning(error: &Error) -> VaultError {
    match error {
        Error::PlatformFailure(cause) | Error::NoStorageAccess(cause) => cause_means(cause),
        Error::NoDefaultStore => VaultError::Absent { why: "no keychain answers".to_owned() },
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::Ambiguous(_) => not_a_key(),
        // The rest says only names and limits.
        other => VaultError::Denied { why: other.to_string() },
    }
}

/// Told by I/O error kinds and by texts: the stores' own error types are not ours to name.
fn cause_means(cause: &PlatformError) -> VaultError {
    let why = cause.to_string();
    // macOS translates its texts; the number is only in the Debug form, which is number and text.
    let numbered = if cfg!(target_os = "macos") { format!("{cause:?}") } else { why.clone() };
    let says = |signs: &[&str]| signs.iter().any(|sign| numbered.contains(sign));
    if connection_failed(cause) || says(ABSENT) {
        VaultError::Absent { why }
    } else if says(LOCKED) {
        VaultError::Locked { why }
    } else if says(NO_COLLECTION) {
        VaultError::Denied {
            why: format!("it has no default collection to keep things in ({why})"),
        }
    } else {
        VaultError::Denied { why }
    }
}

const ABSENT: &[&str] = &[
    // D-Bus: nobody offers the Secret Service, or whoever should does not start.
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn.",
    "no secret service provider or dbus session found",
    "Failed to connect to address",
    // Windows: a network or service logon has no Credential Manager.
    "ERROR_NO_SUCH_LOGON_SESSION",
    // macOS: errSecNotAvailable, errSecNoSuchKeychain, errSecNoDefaultKeychain
    "code: -25291",
    "code: -25294",
    "code: -25307",
];
const LOCKED: &[&str] = &[
    "prompt dismissed",
    "object locked",
    "org.freedesktop.Secret.Error.IsLocked",
    // macOS: errSecInteractionNotAllowed (locked, and nobody at the screen)
    "code: -25308",
];
const NO_COLLECTION: &[&str] = &["result not returned from SS API"];

/// Whether the bus could not be reached: no socket, or nobody behind it.
fn connection_failed(cause: &PlatformError) -> bool {
    let mut next = cause.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            use io::ErrorKind::{ConnectionRefused, NotFound};
            return matches!(error.kind(), NotFound | ConnectionRefused);
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests;
