//! What the vault is told from outside: it reads no environment itself.

use super::{PassphraseFrom, keychain, passphrase, plaintext};
use std::path::PathBuf;

/// What a vault needs to know.
pub struct Settings {
    /// Where the records are: `<data>/vault`.
    pub directory: PathBuf,
    /// Where the lock files are, `<data>/locks`; nothing in there is secret.
    pub locks: PathBuf,
    pub source: KeySource,
    /// The service name in the keychain: `keyferry`.
    pub service: String,
}

/// Where the vault key is.
pub enum KeySource {
    Keychain,
    Passphrase(PassphraseFrom),
    /// Nothing outlives this process.
    Memory,
    /// In a file beside the records.
    Plaintext,
}

impl KeySource {
    /// The value of `KEYFERRY_VAULT` that chooses this source.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Keychain => keychain::SOURCE,
            Self::Passphrase(_) => passphrase::SOURCE,
            Self::Memory => "memory",
            Self::Plaintext => plaintext::SOURCE,
        }
    }

    /// How to speak of it in a sentence.
    pub(super) fn described(&self) -> &'static str {
        match self {
            Self::Keychain => "the keychain",
            Self::Passphrase(_) => "the source of the passphrase",
            Self::Memory => "this process",
            Self::Plaintext => "the directory of the vault",
        }
    }
}
