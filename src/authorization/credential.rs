//! What is given out, and why nothing is.

use super::Need;
use super::tokens::Expiry;
use crate::secret::Secret;
use crate::vault::VaultError;
use reqwest::header::HeaderMap;
use std::net::IpAddr;

/// The headers of one credential.
#[derive(Debug)]
pub struct Credential {
    pub headers: HeaderMap,
    /// The bare key in them, where there is one.
    pub key: Option<Secret<String>>,
    pub origin: Origin,
    /// When it has to be renewed; none for what lasts.
    pub(super) expiry: Option<Expiry>,
}

/// Where a credential came from, which decides what helps when it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There is none.
    Nothing,
    /// Flags of this process.
    Flags,
    /// The vault's record.
    Record,
    /// A sign-in with OAuth.
    Token,
}

/// Why there are no headers to send.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthorizationError {
    /// A person has to teach the vault first.
    #[error("{message}")]
    SignInNeeded { message: String, hint: String },
    /// A person has to sign in with OAuth: [`super::Authorization::sign_in`] begins that.
    #[error("{}", .0.message)]
    Person(Need),
    /// The authorization server cannot be asked now; nothing was changed.
    #[error("{message}")]
    Unavailable { message: String },
    #[error("{0}")]
    Vault(#[from] VaultError),
}

/// How the remote refused a request: 401 or 403, with its headers.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
    /// Where it came from.
    pub address: Option<IpAddr>,
}
