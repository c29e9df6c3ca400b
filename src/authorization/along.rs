//! What goes along with every kind of credential: a client certificate, a further root, headers.

use crate::credential::key_file::KeyFile;
use crate::pem;
use crate::secret::{Secret, sealed, sealed_option};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What was taught of it, as it is sealed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Along {
    /// `--header` as it was written, its references still in it.
    pub headers: Vec<HeaderLine>,
    /// `--header-file`, read anew each time.
    pub header_files: Vec<PathBuf>,
    pub certificate: Option<ClientCertificate>,
    pub ca_cert: Option<PathBuf>,
}

/// A header as it was written: it may hold a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeaderLine(#[serde(with = "sealed")] pub Secret<String>);

/// What this side shows in a TLS handshake.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientCertificate {
    pub path: PathBuf,
    /// The certificates themselves as PEM, once the key was imported.
    #[serde(with = "sealed_option")]
    pub imported: Option<Secret<String>>,
    /// Neither path nor import: it stands in the certificate's file.
    pub key: KeyFile,
    /// Of the leaf, as far as it was read.
    pub subject: String,
    /// In seconds since 1970.
    pub expires_at: u64,
}

/// A file of a client certificate that cannot be used.
pub(super) struct Unusable {
    /// Which one, with its path.
    pub(super) what: String,
    pub(super) why: String,
}

impl ClientCertificate {
    /// The certificates and the key in the clear, as one PEM in memory; and what the leaf is.
    /// Blocks, and where the key is encrypted for long.
    ///
    /// # Errors
    /// [`Unusable`] if a file is missing or of another kind, or its passphrase is.
    pub(super) fn read(&self) -> Result<(Secret<Vec<u8>>, pem::Certificate), Unusable> {
        let of = |what: &str, path: &Path, why: String| Unusable {
            what: format!("the {what} {}", path.display()),
            why,
        };
        let of_certificate = |why| of("client certificate", &self.path, why);
        let file = match &self.imported {
            Some(pem) => Zeroizing::new(pem.expose().clone().into_bytes()),
            None => Zeroizing::new(
                std::fs::read(&self.path).map_err(|error| of_certificate(error.to_string()))?,
            ),
        };
        let leaf = pem::certificate(&file).map_err(|error| of_certificate(error.to_string()))?;
        let key_path = self.key.path.as_ref().unwrap_or(&self.path);
        let of_key = |why| of("private key", key_path, why);
        let key = match (&self.key.imported, &self.key.path) {
            (Some(pem), _) => Secret::new(pem.expose().clone().into_bytes()),
            (None, Some(path)) => {
                Secret::new(std::fs::read(path).map_err(|error| of_key(error.to_string()))?)
            }
            (None, None) => Secret::new(file.to_vec()),
        };
        let key = pem::private_key(&key, self.key.passphrase.as_ref());
        let key = key.map_err(|error| match self.key.path {
            None => of_key(format!("{error}; name its file: --client-key")),
            Some(_) => of_key(error.to_string()),
        })?;
        // A key in the certificate's own file may be encrypted.
        let mut text = pem::certificates(&file);
        text.extend_from_slice(key.to_pem().expose());
        Ok((Secret::new(text), leaf))
    }
}

impl Along {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What `list` shows; never a secret.
    pub fn details(&self) -> BTreeMap<String, Value> {
        let mut details = BTreeMap::new();
        if let Some(certificate) = &self.certificate {
            let sealed = certificate.key.imported.is_some();
            let shown = json!({
                "path": certificate.path.to_string_lossy(),
                "subject": certificate.subject,
                "expires_at": certificate.expires_at,
                "key": if sealed { "sealed" } else { "file" },
                "key_path": certificate.key.path.as_ref().map(|path| path.to_string_lossy()),
            });
            details.insert("client_certificate".to_owned(), shown);
        }
        if let Some(path) = &self.ca_cert {
            details.insert("ca_cert".to_owned(), json!(path.to_string_lossy()));
        }
        let name = |line: &HeaderLine| line.0.expose().split(':').next().map(str::to_owned);
        let names: Vec<_> = self.headers.iter().filter_map(name).collect();
        if !names.is_empty() {
            details.insert("headers".to_owned(), json!(names));
        }
        let files: Vec<_> = self.header_files.iter().map(|path| path.to_string_lossy()).collect();
        if !files.is_empty() {
            details.insert("header_files".to_owned(), json!(files));
        }
        details
    }

    /// Nothing of it is secret, so that it can be read from the clear header alone.
    pub(super) fn seals_nothing(&self) -> bool {
        let certificate = self.certificate.as_ref();
        self.headers.is_empty()
            && certificate.is_none_or(|one| {
                one.imported.is_none() && one.key.imported.is_none() && one.key.passphrase.is_none()
            })
    }

    /// From the clear header of a record that seals nothing.
    pub(super) fn from_details(details: &BTreeMap<String, Value>) -> Self {
        let path = |value: Option<&Value>| value.and_then(Value::as_str).map(PathBuf::from);
        let certificate = details.get("client_certificate").and_then(|shown| {
            let key = KeyFile { path: path(shown.get("key_path")), ..KeyFile::default() };
            let path = path(shown.get("path"))?;
            let subject = shown.get("subject").and_then(Value::as_str).unwrap_or_default();
            let expires_at = shown.get("expires_at").and_then(Value::as_u64).unwrap_or_default();
            let (imported, subject) = (None, subject.to_owned());
            Some(ClientCertificate { path, imported, key, subject, expires_at })
        });
        let files = details.get("header_files").and_then(Value::as_array);
        Self {
            headers: Vec::new(),
            header_files: files.into_iter().flatten().filter_map(|one| path(Some(one))).collect(),
            certificate,
            ca_cert: path(details.get("ca_cert")),
        }
    }

    /// The flags over what was taught; headers are put together elsewhere.
    pub(super) fn over(self, taught: Self) -> Self {
        let mut certificate = self.certificate;
        if let (Some(one), Some(known)) = (&mut certificate, &taught.certificate)
            && one.path == known.path
            && one.key.path == known.key.path
        {
            one.key.passphrase = one.key.passphrase.take().or(known.key.passphrase.clone());
        }
        Self {
            headers: taught.headers,
            header_files: taught.header_files,
            certificate: certificate.or(taught.certificate),
            ca_cert: self.ca_cert.or(taught.ca_cert),
        }
    }
}
