//! Proofs that whoever shows a token holds the key it is bound to (DPoP, RFC 9449).

use super::clock::Clocks;
use crate::jws::{JwsError, SigningKey, token_id};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use url::Url;

/// The header that carries a proof.
pub const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// A key for ES256 that tokens are bound to, with what servers said of the proofs made with
/// it. Clones share the key and what they learn.
#[derive(Clone)]
pub struct ProofKey {
    key: SigningKey,
    pkcs8: Arc<Secret<Vec<u8>>>,
    nonces: Nonces,
    clocks: Clocks,
}

/// The last nonce of each origin (sections 8 and 9).
#[derive(Clone, Default)]
struct Nonces(Arc<Mutex<BTreeMap<String, String>>>);

impl fmt::Debug for ProofKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKey").finish_non_exhaustive()
    }
}

impl ProofKey {
    /// A new key.
    ///
    /// # Errors
    /// [`JwsError`], if the system gives no randomness.
    pub fn generate() -> Result<Self, JwsError> {
        let (key, pkcs8) = SigningKey::generate()?;
        Ok(Self { key, pkcs8: pkcs8.into(), nonces: Nonces::default(), clocks: Clocks::default() })
    }

    /// The key that [`Self::pkcs8`] gave.
    ///
    /// # Errors
    /// [`JwsError`], if it is none.
    pub fn from_pkcs8(pkcs8: Secret<Vec<u8>>) -> Result<Self, JwsError> {
        let key = SigningKey::es256(&pkcs8)?;
        Ok(Self { key, pkcs8: pkcs8.into(), nonces: Nonces::default(), clocks: Clocks::default() })
    }

    /// For a sealed record.
    pub fn pkcs8(&self) -> &Secret<Vec<u8>> {
        &self.pkcs8
    }

    /// A fresh proof for one request (section 4.2), for the header [`DPOP`]: with the token
    /// that goes with it, if one does, and the nonce that the server gave last. `now` in
    /// seconds since 1970.
    ///
    /// # Errors
    /// [`JwsError`], if nothing can be signed.
    pub fn proof(
        &self,
        method: &Method,
        url: &Url,
        access_token: Option<&Secret<String>>,
        now: u64,
    ) -> Result<HeaderValue, JwsError> {
        let jwk = self.key.public_jwk().ok_or(JwsError::NotSigned)?;
        let header: [(String, Value); 2] =
            [("typ".to_owned(), "dpop+jwt".into()), ("jwk".to_owned(), jwk.into())];
        let mut claims = Map::from_iter([
            ("jti".to_owned(), token_id()?.into()),
            ("htm".to_owned(), method.as_str().into()),
            ("htu".to_owned(), target(url).into()),
            ("iat".to_owned(), self.clocks.at(url, now).into()),
        ]);
        if let Some(token) = access_token {
            let hash = Sha256::digest(token.expose().as_bytes());
            claims.insert("ath".to_owned(), URL_SAFE_NO_PAD.encode(hash).into());
        }
        if let Some(nonce) = self.nonces.of(url) {
            claims.insert("nonce".to_owned(), nonce.into());
        }
        let proof = self.key.sign(Map::from_iter(header), &claims)?;
        let proof = HeaderValue::from_str(proof.expose());
        let mut proof = proof.map_err(|_| JwsError::NotSigned)?;
        proof.set_sensitive(true);
        Ok(proof)
    }

    /// Learns the nonce for the next proof from any answer (section 8.2). Whether there was
    /// one: then a request that was refused for want of it may be sent again.
    pub fn learn(&self, url: &Url, headers: &HeaderMap) -> bool {
        let nonce = headers.get(DPOP_NONCE).and_then(|nonce| nonce.to_str().ok());
        let Some(nonce) = nonce.filter(|nonce| !nonce.is_empty()) else { return false };
        self.nonces.lock().insert(url.origin().ascii_serialization(), nonce.to_owned());
        true
    }

    /// Learns the server's clock from the answer to a proof that was refused
    /// (`invalid_dpop_proof`). Whether it is off, so that a new proof may help.
    pub fn learn_clock(&self, url: &Url, headers: &HeaderMap, now: u64) -> bool {
        self.clocks.learn(url, headers, now)
    }
}

impl Nonces {
    fn of(&self, url: &Url) -> Option<String> {
        self.lock().get(&url.origin().ascii_serialization()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `htu`: the URL as it is asked, without query and fragment.
fn target(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

#[cfg(test)]
mod tests;
