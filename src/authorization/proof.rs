//! Proof of possession for requests to the remote (RFC 9449 section 7).

use crate::oauth::dpop::{DPOP, ProofKey};
use crate::secret::Secret;
use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

/// The key that a token is bound to, and where it is shown.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    key: ProofKey,
    remote: Url,
    /// Seconds since 1970.
    now: fn() -> u64,
}

impl Proof {
    pub(super) fn new(key: ProofKey, remote: Url, now: fn() -> u64) -> Self {
        Self { key, remote, now }
    }

    pub(super) fn key(&self) -> &ProofKey {
        &self.key
    }

    /// A proof is good for one request.
    pub(super) fn put(
        &self,
        headers: &mut HeaderMap,
        method: &Method,
        token: Option<&Secret<String>>,
    ) {
        match self.key.proof(method, &self.remote, token, (self.now)()) {
            Ok(proof) => {
                headers.insert(DPOP, proof);
            }
            // Without it the remote refuses, and says so.
            Err(error) => tracing::warn!("no proof of possession can be made: {error}"),
        }
    }

    /// The nonce for the next proof (RFC 9449 section 8.2).
    pub(super) fn learn(&self, headers: &HeaderMap) {
        self.key.learn(&self.remote, headers);
    }
}
