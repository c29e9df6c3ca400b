//! Proof of possession for requests to the remote (RFC 9449 section 7).

use crate::http::RequestHeaders;
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

    /// `headers` with a proof, which is good for one request, for each URL on the way.
    pub(super) fn with_each(
        &self,
        mut headers: HeaderMap,
        method: &Method,
        token: Option<&Secret<String>>,
    ) -> RequestHeaders {
        self.put(&mut headers, method, &self.remote, token);
        let (proof, method, token) = (self.clone(), method.clone(), token.cloned());
        RequestHeaders::with_anew(headers, move |headers, url, answer| {
            proof.key.learn(url, answer);
            proof.put(headers, &method, url, token.as_ref());
        })
    }

    fn put(
        &self,
        headers: &mut HeaderMap,
        method: &Method,
        url: &Url,
        token: Option<&Secret<String>>,
    ) {
        match self.key.proof(method, url, token, (self.now)()) {
            Ok(proof) => {
                headers.insert(DPOP, proof);
            }
            // Without it the remote refuses, and says so.
            Err(error) => {
                headers.remove(DPOP);
                tracing::warn!("no proof of possession can be made: {error}");
            }
        }
    }

    /// The nonce for the next proof (RFC 9449 section 8.2).
    pub(super) fn learn(&self, headers: &HeaderMap) {
        self.key.learn(&self.remote, headers);
    }

    /// The time for the next proof, from the answer to one that was refused. Whether it is
    /// another than was thought.
    pub(super) fn learn_clock(&self, headers: &HeaderMap) -> bool {
        self.key.learn_clock(&self.remote, headers, (self.now)())
    }
}
