//! What a record of the vault holds, by kind.

use super::along::Along;
use super::recipe::Recipe;
use crate::credential::api_key::Placement;
use crate::secret::{Secret, sealed_option};
use crate::vault::{Header, Record};
use serde::{Deserialize, Serialize};
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
    /// RFC 6749 section 4.4.
    ClientCredentials,
    /// RFC 7523 section 2.1.
    JwtBearer,
    /// Enterprise-managed authorization (ID-JAG).
    Enterprise,
    Jwt,
    Password,
    CloudflareAccess,
    Command,
    None,
}

/// Every kind, with the name that flags and records use.
const NAMES: [(Kind, &str); 11] = [
    (Kind::OAuth, "oauth"),
    (Kind::Device, "device"),
    (Kind::ApiKey, "api-key"),
    (Kind::ClientCredentials, "client-credentials"),
    (Kind::JwtBearer, "jwt-bearer"),
    (Kind::Enterprise, "enterprise"),
    (Kind::Jwt, "jwt"),
    (Kind::Password, "password"),
    (Kind::CloudflareAccess, "cloudflare-access"),
    (Kind::Command, "command"),
    (Kind::None, "none"),
];

impl Kind {
    /// The name that flags and records use.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of that name, if this version knows it.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, one)| *one == name).map(|(kind, _)| *kind)
    }

    /// A sign-in with OAuth, wherever the browser is.
    pub fn is_oauth(self) -> bool {
        matches!(self, Self::OAuth | Self::Device)
    }

    /// A [`super::Recipe`] makes its credential.
    pub fn is_made(self) -> bool {
        !self.is_oauth() && !matches!(self, Self::ApiKey | Self::None)
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

/// What `login` teaches of everything but a sign-in with OAuth.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Taught {
    #[serde(skip)]
    pub kind: Option<Kind>,
    #[serde(skip)]
    pub placement: Option<Placement>,
    /// A static key.
    #[serde(with = "sealed_option")]
    pub key: Option<Secret<String>>,
    pub recipe: Option<Recipe>,
    pub along: Along,
}

impl Taught {
    pub fn kind(&self) -> Kind {
        self.kind.unwrap_or(Kind::None)
    }

    /// What goes into the clear header: never a secret.
    pub fn details(&self) -> BTreeMap<String, Value> {
        let mut details = self.recipe.as_ref().map(Recipe::details).unwrap_or_default();
        if let Some(placement) = &self.placement {
            details.insert("header".to_owned(), json!(placement.header));
            details.insert("scheme".to_owned(), json!(placement.scheme));
        }
        details.extend(self.along.details());
        details
    }

    /// It needs no key of the vault.
    pub fn is_open(&self) -> bool {
        self.kind() == Kind::None && self.along.seals_nothing()
    }

    /// What is sealed.
    pub fn payload(&self) -> Secret<Vec<u8>> {
        if self.is_open() {
            return Secret::new(Vec::new());
        }
        // Strings, numbers and maps with string keys: nothing in it can fail.
        Secret::new(serde_json::to_vec(self).unwrap_or_default())
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

/// What a record teaches.
///
/// # Errors
/// [`KindError`] where a later version wrote it, or nobody did.
pub(super) fn read(record: &Record) -> Result<Taught, KindError> {
    let name = record.header.kind.as_str();
    let kind = Kind::from_name(name).filter(|kind| !kind.is_oauth());
    let kind = kind.ok_or_else(|| KindError::Unknown(name.to_owned()))?;
    let details = &record.header.details;
    let payload = record.payload.expose();
    let taught = if payload.is_empty() {
        Taught { along: Along::from_details(details), ..Taught::default() }
    } else {
        serde_json::from_slice(payload).map_err(|_| KindError::Damaged)?
    };
    let text = |name: &str| details.get(name).and_then(Value::as_str).map(str::to_owned);
    let placement = match kind {
        Kind::ApiKey => Some(Placement {
            header: text("header").ok_or(KindError::Damaged)?,
            scheme: text("scheme"),
        }),
        _ => None,
    };
    if (kind == Kind::ApiKey && taught.key.is_none()) || (kind.is_made() && taught.recipe.is_none())
    {
        return Err(KindError::Damaged);
    }
    Ok(Taught { kind: Some(kind), placement, ..taught })
}
