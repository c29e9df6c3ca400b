//! The vault key sealed under a passphrase: argon2id (RFC 9106) turns the passphrase into the
//! key that opens the vault key in `passphrase.json`.
//!
//! That the vault key opens at all is the check of the passphrase, so a wrong one is told
//! apart from a damaged record.

mod origin;

pub use origin::PassphraseFrom;

use super::directory::Directory;
use super::error::{PassphraseError, VaultError};
use super::seal::{Key, fill_random};
use crate::secret::Secret;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use std::path::Path;
use zeroize::Zeroizing;

pub(super) const SOURCE: &str = "passphrase";
const FILE: &str = "passphrase.json";
const SCHEMA: u32 = 1;
const KDF: &str = "argon2id";
/// RFC 9106's second recommendation on one lane: about 0.15 s, paid at every start.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;
/// What a file may ask for; more would only stall this process.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 64;
const MOST_LANES: u32 = 16;

#[derive(Serialize, Deserialize)]
struct KeyFile {
    schema: u32,
    kdf: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    /// Base64.
    salt: String,
    /// The vault key's text, sealed; base64.
    key: String,
}

/// The vault key, or `None` if no key file was made yet (then no passphrase is asked for).
pub(super) fn look_up(directory: &Path, from: &PassphraseFrom) -> Result<Option<Key>, VaultError> {
    let Some(directory) = Directory::existing(directory)? else {
        return Ok(None);
    };
    let Some(bytes) = directory.read(FILE)? else {
        return Ok(None);
    };
    let path = directory.path_of(FILE);
    let file: KeyFile = serde_json::from_slice(&bytes)
        .map_err(|_| VaultError::corrupt(&path, "it cannot be read"))?;
    file.open(&from.obtain()?, &path).map(Some)
}

/// Makes the vault key and its file; the caller holds the lock.
pub(super) fn make(directory: &Path, from: &PassphraseFrom) -> Result<Key, VaultError> {
    let passphrase = from.obtain_new()?;
    let directory = Directory::ensure(directory)?;
    let key = Key::random()?;
    let file = KeyFile::seal(&key, &passphrase, &directory.path_of(FILE))?;
    // Strings and integers: this cannot fail.
    let bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
    directory.replace(FILE, &bytes)?;
    Ok(key)
}

impl KeyFile {
    fn seal(key: &Key, passphrase: &Secret<String>, path: &Path) -> Result<Self, VaultError> {
        let mut salt = [0; 16];
        fill_random(&mut salt)?;
        let mut file = Self {
            schema: SCHEMA,
            kdf: KDF.to_owned(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
            salt: STANDARD_NO_PAD.encode(salt),
            key: String::new(),
        };
        let sealed =
            file.derive(passphrase, path)?.seal(key.to_text().expose().as_bytes(), FILE, b"")?;
        file.key = STANDARD_NO_PAD.encode(sealed);
        Ok(file)
    }

    fn open(&self, passphrase: &Secret<String>, path: &Path) -> Result<Key, VaultError> {
        let sealed = STANDARD_NO_PAD
            .decode(&self.key)
            .map_err(|_| VaultError::corrupt(path, "its key cannot be read"))?;
        let text = self
            .derive(passphrase, path)?
            .open(&sealed, FILE, b"")
            .ok_or(PassphraseError::Wrong)?;
        let key = std::str::from_utf8(text.expose()).ok().and_then(Key::from_text);
        key.ok_or_else(|| VaultError::corrupt(path, "it holds no vault key"))
    }

    /// The key that the passphrase stands for, under this file's salt and parameters.
    fn derive(&self, passphrase: &Secret<String>, path: &Path) -> Result<Key, VaultError> {
        let unknown = || VaultError::corrupt(path, "it asks for what this keyferry cannot do");
        let bounded = self.memory_kib <= MOST_MEMORY_KIB
            && self.passes <= MOST_PASSES
            && self.lanes <= MOST_LANES;
        if self.schema != SCHEMA || self.kdf != KDF || !bounded {
            return Err(unknown());
        }
        let salt = STANDARD_NO_PAD.decode(&self.salt).map_err(|_| unknown())?;
        let params =
            Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(|_| unknown())?;
        let mut bytes = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose().as_bytes(), &salt, bytes.as_mut_slice())
            .map_err(|_| unknown())?;
        Ok(Key::from_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(text: &str) -> PassphraseFrom {
        PassphraseFrom::Given(Secret::new(text.to_owned()))
    }

    #[test]
    fn the_right_passphrase_opens_and_a_wrong_one_is_called_wrong() {
        let home = tempfile::tempdir().unwrap();
        let vault = home.path().join("vault");
        assert!(look_up(&vault, &PassphraseFrom::Nowhere).unwrap().is_none());
        let made = make(&vault, &given("correct horse")).unwrap();
        let found = look_up(&vault, &given("correct horse")).unwrap().unwrap();
        assert_eq!(made.id(), found.id());
        let wrong = look_up(&vault, &given("battery staple")).err().unwrap();
        assert!(matches!(wrong, VaultError::Passphrase(PassphraseError::Wrong)));
        let missing = look_up(&vault, &PassphraseFrom::Nowhere).err().unwrap();
        assert!(matches!(missing, VaultError::Passphrase(PassphraseError::Missing)));
        let file = std::fs::read_to_string(vault.join(FILE)).unwrap();
        assert!(!file.contains(made.to_text().expose().as_str()));
    }

    #[test]
    fn a_file_that_asks_for_too_much_is_refused() {
        let home = tempfile::tempdir().unwrap();
        make(home.path(), &given("x")).unwrap();
        let path = home.path().join(FILE);
        let good = std::fs::read_to_string(&path).unwrap();
        for (from, to) in [
            ("65536", "4194304"),
            ("\"argon2id\"", "\"md5\""),
            ("\"schema\": 1", "\"schema\": 2"),
            ("{", ""),
        ] {
            std::fs::write(&path, good.replacen(from, to, 1)).unwrap();
            let error = look_up(home.path(), &given("x")).err().unwrap();
            assert!(matches!(error, VaultError::Corrupt { .. }), "{error}");
        }
    }
}
