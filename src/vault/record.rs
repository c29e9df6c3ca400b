//! What the vault keeps: the names of records, their clear headers, and the file format.
//!
//! A record file is one line of JSON (the header), a newline, and then, unless the record
//! seals nothing, a 24-byte nonce and the ciphertext.

use super::error::VaultError;
use crate::secret::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

/// The schema that this version writes; what a later one wrote is not read.
pub(super) const SCHEMA: u32 = 1;
/// The kind that needs no secret.
const UNSEALED_KIND: &str = "none";
pub(super) const SUFFIX: &str = ".record";

/// What a record is of.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum RecordKey {
    /// The credential for one account at one remote.
    Remote {
        /// The canonical full URL. Its query may hold secrets, so only a hash of it is written.
        url: String,
        account: String,
    },
    /// A named secret, for `${vault:NAME}`.
    Named(String),
    /// The client registered at an authorization server.
    Registration { issuer: String },
    /// What was last seen of a remote by one account.
    LastSeen { url: String, account: String },
    /// The sign-in that runs for a remote, whoever it is for.
    SignIn { url: String },
    /// The token that was made last for one account at one remote.
    Minted { url: String, account: String },
}

/// Kinds of records that only save work: lost, they come again by themselves.
const AUXILIARY_KINDS: [&str; 4] = ["registration", "last-seen", "sign-in", "minted"];

impl RecordKey {
    /// 64 hexadecimal digits: SHA-256 of the kind and each field with its length.
    pub(super) fn id(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |field: &str| {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field.as_bytes());
        };
        match self {
            Self::Remote { url, account } => {
                ["remote", url, account].into_iter().for_each(&mut add)
            }
            Self::Named(name) => ["named", name].into_iter().for_each(&mut add),
            Self::Registration { issuer } => {
                ["registration", issuer].into_iter().for_each(&mut add)
            }
            Self::LastSeen { url, account } => {
                ["last-seen", url, account].into_iter().for_each(&mut add)
            }
            Self::SignIn { url } => ["sign-in", url].into_iter().for_each(&mut add),
            Self::Minted { url, account } => {
                ["minted", url, account].into_iter().for_each(&mut add)
            }
        }
        hex(&hash.finalize())
    }

    pub(super) fn file_name(&self) -> String {
        self.id() + SUFFIX
    }
}

// By hand: a derived one would print the URL.
impl fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKey({})", &self.id()[..12])
    }
}

/// The clear part of a record: what `keyferry list` shows, and nothing else.
///
/// It is bound to the sealed part as associated data, byte for byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Set by the vault.
    #[serde(default)]
    pub schema: u32,
    /// The remote as people see it, secrets already taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The name of a named secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub kind: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, serde_json::Value>,
    /// Seconds since the Unix epoch, given by the caller.
    #[serde(default)]
    pub updated_at: u64,
    /// Set by the vault. `None` for a record of kind `none` with an empty payload,
    /// which seals nothing and never touches the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
}

/// Which key a record was sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key source: a value of `KEYFERRY_VAULT`.
    pub source: String,
    /// The first 8 bytes of a hash of the key, in hexadecimal.
    pub key_id: String,
}

/// A record that has been opened.
#[derive(Debug, Clone)]
pub struct Record {
    pub header: Header,
    pub payload: Secret<Vec<u8>>,
}

impl Header {
    /// A header of this kind and nothing else.
    pub fn of(kind: &str) -> Self {
        Self {
            schema: 0,
            remote: None,
            account: None,
            name: None,
            kind: kind.to_owned(),
            details: BTreeMap::new(),
            updated_at: 0,
            sealed: None,
        }
    }

    /// Of a record that only saves work: it is never listed, and may be lost with its key.
    pub(super) fn is_auxiliary(&self) -> bool {
        AUXILIARY_KINDS.contains(&self.kind.as_str())
    }

    /// Whether a record with this header and `payload` has nothing to seal.
    pub(super) fn seals_nothing(&self, payload: &Secret<Vec<u8>>) -> bool {
        self.kind == UNSEALED_KIND && payload.expose().is_empty()
    }

    /// The header line as it stands in the file, newline included.
    pub(super) fn to_line(&self) -> Vec<u8> {
        // Strings, integers and JSON values under string keys: this cannot fail.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a header line (without its newline) that stood in `file`.
    pub(super) fn parse(line: &[u8], file: &Path) -> Result<Self, VaultError> {
        let header: Self = serde_json::from_slice(line)
            .map_err(|_| VaultError::corrupt(file, "its header cannot be read"))?;
        if header.schema == 0 || header.schema > SCHEMA {
            let why = format!("its schema is {}, and this keyferry knows {SCHEMA}", header.schema);
            return Err(VaultError::corrupt(file, why));
        }
        // Else a swapped header could pass an empty payload off as a sealed one.
        if header.sealed.is_none() && header.kind != UNSEALED_KIND {
            return Err(VaultError::corrupt(file, "it is of a kind that is sealed, and is not"));
        }
        Ok(header)
    }

    /// The order in which `list` shows records.
    pub(super) fn sort_key(&self) -> (Option<&str>, Option<&str>, Option<&str>) {
        (self.remote.as_deref(), self.account.as_deref(), self.name.as_deref())
    }
}

/// Splits a record file into its header, that header's bytes, and what follows the newline.
pub(super) fn split<'a>(
    bytes: &'a [u8],
    file: &Path,
) -> Result<(Header, &'a [u8], &'a [u8]), VaultError> {
    let end = memchr::memchr(b'\n', bytes)
        .ok_or_else(|| VaultError::corrupt(file, "it is cut off in its header"))?;
    let header = Header::parse(&bytes[..end], file)?;
    let body = &bytes[end + 1..];
    if header.sealed.is_none() && !body.is_empty() {
        return Err(VaultError::corrupt(file, "it is not sealed, and is not empty"));
    }
    Ok((header, &bytes[..=end], body))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            schema: SCHEMA,
            remote: Some("https://host/mcp?key=…".into()),
            account: Some("default".into()),
            name: None,
            kind: "api-key".into(),
            details: BTreeMap::from([("header".into(), "Authorization".into())]),
            updated_at: 1_800_000_000,
            sealed: Some(Sealed { source: "plaintext".into(), key_id: "00".into() }),
        }
    }

    #[test]
    fn a_header_survives_the_file() {
        let mut file = header().to_line();
        let line = file.len();
        file.extend_from_slice(b"body\nwith a newline");
        let (read, bytes, body) = split(&file, Path::new("f")).unwrap();
        assert_eq!(read, header());
        assert_eq!(bytes.len(), line);
        assert_eq!(body, b"body\nwith a newline");
    }

    #[test]
    fn members_that_a_later_version_added_are_ignored() {
        let line = br#"{"schema":1,"kind":"none","new":[1]}"#;
        assert_eq!(Header::parse(line, Path::new("f")).unwrap().kind, "none");
    }

    #[test]
    fn what_is_no_header_is_corrupt() {
        for line in [
            &b"{"[..],
            b"",
            br#"{"schema":2,"kind":"none"}"#,
            br#"{"kind":"none"}"#,
            br#"{"schema":1,"kind":"api-key"}"#,
        ] {
            let error = Header::parse(line, Path::new("f")).unwrap_err();
            assert!(matches!(error, VaultError::Corrupt { .. }), "{error}");
        }
        assert!(split(b"{\"schema\":1,\"kind\":\"none\"}\nx", Path::new("f")).is_err());
        assert!(split(b"{\"schema\":1,\"kind\":\"none\"}", Path::new("f")).is_err());
    }

    #[test]
    fn fields_cannot_run_into_each_other() {
        let remote = |url: &str, account: &str| RecordKey::Remote {
            url: url.into(),
            account: account.into(),
        };
        assert_ne!(remote("ab", "c").id(), remote("a", "bc").id());
        assert_ne!(remote("a", "").id(), RecordKey::Named("a".into()).id());
        assert_eq!(remote("a", "b").id().len(), 64);
        assert!(!format!("{:?}", remote("https://h/?secret", "x")).contains("secret"));
    }
}
