//! What is given out, and why nothing is.

use super::Need;
use super::proof::Proof;
use super::tokens::Expiry;
use crate::http::RequestHeaders;
use crate::oauth::Challenge;
use crate::secret::Secret;
use crate::vault::VaultError;
use reqwest::Method;
use reqwest::header::HeaderMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long what replaced a refused credential, and is refused too, is not replaced again.
const AT_ONCE: Duration = Duration::from_secs(10);

/// The headers of one credential.
#[derive(Debug, Clone, Default)]
pub struct Credential {
    /// All that are the same for every request.
    pub headers: HeaderMap,
    /// The bare key in them, where there is one.
    pub key: Option<Secret<String>>,
    pub origin: Origin,
    /// When it has to be renewed; none for what lasts.
    pub(super) expiry: Option<Expiry>,
    /// Signs each request, where the token is bound to a key.
    pub(super) proof: Option<Proof>,
    /// When it was made because another one had been refused.
    pub(super) replaced: Option<Instant>,
    /// The remote has taken it.
    pub(super) accepted: Arc<AtomicBool>,
    /// The flags alone said how to make it.
    pub(super) by_flags: bool,
}

impl Credential {
    /// True for one that the vault was needed for, where more can be kept.
    pub fn is_of_vault(&self) -> bool {
        match self.origin {
            Origin::Nothing | Origin::Flags => false,
            Origin::Token => true,
            Origin::Record | Origin::Made => !self.by_flags,
        }
    }

    /// The headers for one request to the remote.
    pub fn for_request(&self, method: &Method) -> RequestHeaders {
        let headers = self.headers.clone();
        match &self.proof {
            None => headers.into(),
            Some(proof) => proof.with_each(headers, method, self.key.as_ref()),
        }
    }

    /// What the remote's answer, of this HTTP status, tells for the requests to come.
    pub fn learn(&self, status: u16, headers: &HeaderMap) {
        if !matches!(status, 401 | 403) {
            self.accepted.store(true, Ordering::Relaxed);
        }
        if let Some(proof) = &self.proof {
            proof.learn(headers);
        }
    }

    /// The proof was refused (RFC 9449 section 7.1), and perhaps for the time on it: the
    /// remote's clock was not known, and is now.
    pub(super) fn proof_was_untimely(&self, challenge: &Challenge, refusal: Refusal<'_>) -> bool {
        challenge.error.as_deref() == Some("invalid_dpop_proof")
            && self.proof.as_ref().is_some_and(|proof| proof.learn_clock(refusal.headers))
    }

    /// It replaced a refused one a moment ago, and was never any better.
    pub(super) fn replaced_in_vain(&self) -> bool {
        self.replaced.is_some_and(|at| at.elapsed() < AT_ONCE)
            && !self.accepted.load(Ordering::Relaxed)
    }
}

/// Where a credential came from, which decides what helps when it is refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Origin {
    /// There is none.
    #[default]
    Nothing,
    /// Flags of this process.
    Flags,
    /// The vault's record.
    Record,
    /// A sign-in with OAuth.
    Token,
    /// Made without a person, and can be made anew.
    Made,
}

/// Why there are no headers to send.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AuthorizationError {
    /// A person has to teach the vault first.
    #[error("{message}")]
    SignInNeeded { message: String, hint: String },
    /// The remote will not have the credential it was shown, and there is no other one.
    #[error("{message}")]
    Refused { message: String, hint: String },
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
