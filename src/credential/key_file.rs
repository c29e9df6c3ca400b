//! Where a private key is.

use crate::secret::{Secret, sealed_option};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A private key in a file of the person, or imported into the vault.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyFile {
    /// Read anew each time.
    pub path: Option<PathBuf>,
    /// The PEM itself, once it was imported.
    #[serde(with = "sealed_option")]
    pub imported: Option<Secret<String>>,
    /// Of an encrypted file.
    #[serde(with = "sealed_option")]
    pub passphrase: Option<Secret<String>>,
}
