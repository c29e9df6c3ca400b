//! What a record of the vault holds, by kind.

use crate::credential::api_key::Placement;
use crate::secret::Secret;
use crate::vault::{Header, Record};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// How to authenticate at a remote (`--with`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sign-in in the browser.
    OAuth,
    /// Sign-in with a code (RFC 8628).
    Device,
    ApiKey,
    None,
}

impl Kind {
    /// The name that flags and records use.
    pub fn name(self) -> &'static str {
        match self {
            Self::OAuth => "oauth",
            Self::Device => "device",
            Self::ApiKey => "api-key",
            Self::None => "none",
        }
    }

    /// The kind of that name, if this version knows it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::OAuth, Self::Device, Self::ApiKey, Self::None]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// A sign-in with OAuth, wherever the browser is.
    pub fn is_oauth(self) -> bool {
        matches!(self, Self::OAuth | Self::Device)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record that this version cannot use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    #[error("its kind '{0}' is unknown to this version of keyferry")]
    Unknown(String),
    #[error("its content is damaged")]
    Damaged,
}

/// A static key and how it is sent.
pub struct ApiKeyRecord {
    pub placement: Placement,
    pub key: Secret<String>,
}

impl ApiKeyRecord {
    /// What goes into the clear header: never the key.
    pub fn details(&self) -> BTreeMap<String, Value> {
        BTreeMap::from([
            ("header".to_owned(), json!(self.placement.header)),
            ("scheme".to_owned(), json!(self.placement.scheme)),
        ])
    }

    /// What is sealed.
    pub fn payload(&self) -> Secret<Vec<u8>> {
        Secret::new(self.key.expose().clone().into_bytes())
    }
}

/// The clear header of a new record of `kind`; `now` in seconds since 1970.
pub fn header(
    kind: Kind,
    remote: &super::Remote,
    details: BTreeMap<String, Value>,
    now: u64,
) -> Header {
    Header {
        remote: Some(remote.to_string()),
        account: Some(remote.account().to_owned()),
        kind: kind.name().to_owned(),
        details,
        updated_at: now,
        schema: 0,
        name: None,
        sealed: None,
    }
}

/// The key of a record; `None` for a remote that needs none.
pub(super) fn read(record: &Record) -> Result<Option<ApiKeyRecord>, KindError> {
    match record.header.kind.as_str() {
        "none" => Ok(None),
        "api-key" => {
            let details = &record.header.details;
            let text = |name: &str| details.get(name).and_then(Value::as_str);
            let placement = Placement {
                header: text("header").ok_or(KindError::Damaged)?.to_owned(),
                scheme: text("scheme").map(str::to_owned),
            };
            let key = String::from_utf8(record.payload.expose().clone());
            let key = Secret::new(key.map_err(|_| KindError::Damaged)?);
            Ok(Some(ApiKeyRecord { placement, key }))
        }
        other => Err(KindError::Unknown(other.to_owned())),
    }
}
