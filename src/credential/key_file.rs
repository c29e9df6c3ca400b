//! Where a private key is, and the key itself.

use crate::pem::{self, PemError, PrivateKey};
use crate::secret::{Secret, sealed_option};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Most that is read of a file, in bytes: a key with any chain of certificates.
const MOST: usize = 256 * 1024;

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

/// Why there is no private key. `place` is its path, or the vault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// To be asked for.
    #[error("{place}: the private key is encrypted, and its passphrase is needed")]
    PassphraseNeeded { place: String },
    /// To be asked for again.
    #[error("{place}: the passphrase does not open the private key")]
    WrongPassphrase { place: String },
    #[error("{place} cannot be read: {why}")]
    Unreadable { place: String, why: String },
    /// It can be read, and holds nothing of use.
    #[error("{place}: {why}")]
    Unfit { place: String, why: PemError },
    #[error("no private key was given")]
    Missing,
}

impl KeyFile {
    /// The key: the imported one, else that of the file, which is read now.
    ///
    /// # Errors
    /// [`KeyFileError`] naming the place and the reason.
    pub fn private_key(&self) -> Result<PrivateKey, KeyFileError> {
        let place = self.place();
        let file = match (&self.imported, &self.path) {
            (Some(pem), _) => Secret::new(pem.expose().clone().into_bytes()),
            (None, Some(path)) => read(path).map_err(|error| KeyFileError::Unreadable {
                place: place.clone(),
                why: error.to_string(),
            })?,
            (None, None) => return Err(KeyFileError::Missing),
        };
        pem::private_key(&file, self.passphrase.as_ref()).map_err(|why| match why {
            PemError::PassphraseNeeded => KeyFileError::PassphraseNeeded { place },
            PemError::WrongPassphrase => KeyFileError::WrongPassphrase { place },
            why => KeyFileError::Unfit { place, why },
        })
    }

    /// Where it is, for people.
    fn place(&self) -> String {
        match (&self.imported, &self.path) {
            (None, Some(path)) => path.display().to_string(),
            _ => "the private key in the vault".to_owned(),
        }
    }
}

fn read(path: &Path) -> io::Result<Secret<Vec<u8>>> {
    // Its full size at once: a vector that grows would leave clear copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST + 1));
    File::open(path)?.take(MOST as u64).read_to_end(&mut bytes)?;
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

impl KeyFile {
    /// It is encrypted, and nobody said with what.
    pub fn lacks_passphrase(&self) -> bool {
        let Some(path) = self.path.as_ref().filter(|_| self.passphrase.is_none()) else {
            return false;
        };
        let file = std::fs::read(path).map(Zeroizing::new);
        file.is_ok_and(|file| pem::needs_passphrase(&file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> Secret<Vec<u8>> {
        let pair = rcgen::KeyPair::generate().unwrap();
        Secret::new(pair.serialize_pem().into_bytes())
    }

    #[test]
    fn a_key_is_read_from_its_file_each_time_or_was_imported() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key.pem");
        let (first, second) = (pem(), pem());
        let mut file = KeyFile { path: Some(path.clone()), ..KeyFile::default() };
        let der = |file: &KeyFile| file.private_key().unwrap().pkcs8_der().expose().clone();
        std::fs::write(&path, first.expose()).unwrap();
        let before = der(&file);
        std::fs::write(&path, second.expose()).unwrap();
        assert_ne!(der(&file), before);
        file.imported = Some(Secret::new(String::from_utf8(first.expose().clone()).unwrap()));
        assert_eq!(der(&file), before);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key.pem");
        let place = path.display().to_string();
        let file = KeyFile { path: Some(path.clone()), ..KeyFile::default() };
        let error = file.private_key().unwrap_err();
        assert!(matches!(error, KeyFileError::Unreadable { .. }), "{error:?}");
        assert!(error.to_string().starts_with(&place), "{error}");
        std::fs::write(&path, "hunter2").unwrap();
        let error = file.private_key().unwrap_err();
        assert!(matches!(error, KeyFileError::Unfit { .. }), "{error:?}");
        assert!(error.to_string().starts_with(&place), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(KeyFile::default().private_key().unwrap_err(), KeyFileError::Missing);
    }

    #[test]
    fn an_encrypted_key_asks_for_its_passphrase() {
        let passphrase = |text: &str| Some(Secret::new(text.to_owned()));
        let imported = Some(Secret::new(ENCRYPTED.to_owned()));
        let mut file = KeyFile { imported, ..KeyFile::default() };
        let error = file.private_key().unwrap_err();
        assert!(matches!(error, KeyFileError::PassphraseNeeded { .. }), "{error:?}");
        file.passphrase = passphrase("wrong");
        let error = file.private_key().unwrap_err();
        assert!(matches!(error, KeyFileError::WrongPassphrase { .. }), "{error:?}");
        file.passphrase = passphrase("hunter2");
        file.private_key().unwrap();
        let shown = format!("{file:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("BEGIN"), "{shown}");
        let sealed = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<KeyFile>(&sealed).unwrap(), file);
    }

    /// openssl genpkey -algorithm ed25519 -aes256 -pass pass:hunter2
    const ENCRYPTED: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAixwjk/bO7azAICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEK3vKoF8B5K23lJ2yVmSCPEEQOp5
ZEJzxfSY6qDe3h222ZGw0bu6hxa49gc4e/cW4duovjKQTstJ3gjpiDjFuQgU0AP1
1QG4LiqUs1nr6+1TK34=
-----END ENCRYPTED PRIVATE KEY-----
";
}
