//! `private_key_jwt`: a client that signs who it is (RFC 7523 sections 2.2 and 3, OpenID
//! Connect Core section 9).

use super::clock::Clocks;
use crate::jws::{JwsError, SigningKey, token_id};
use crate::secret::Secret;
use serde_json::{Map, Value};

/// The `client_assertion_type`.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion is good, in seconds: it is used at once.
const LIFETIME: u64 = 60;

/// A client's key at one authorization server. Clones share what they learn of its clock.
#[derive(Debug, Clone)]
pub struct AssertionKey {
    key: SigningKey,
    key_id: Option<String>,
    pub(super) clocks: Clocks,
}

impl AssertionKey {
    /// `key_id` is what the server calls the key (`kid`).
    pub fn new(key: SigningKey, key_id: Option<String>) -> Self {
        Self { key, key_id, clocks: Clocks::default() }
    }

    /// A fresh assertion that `client_id` is asking `audience`: the issuer, or the token
    /// endpoint; `now` by the server's clock.
    ///
    /// # Errors
    /// [`JwsError`], if nothing can be signed.
    pub(super) fn assertion(
        &self,
        client_id: &str,
        audience: &str,
        now: u64,
    ) -> Result<Secret<String>, JwsError> {
        let mut header = Map::from_iter([("typ".to_owned(), "JWT".into())]);
        if let Some(key_id) = &self.key_id {
            header.insert("kid".to_owned(), key_id.as_str().into());
        }
        let claims: [(&str, Value); 6] = [
            ("iss", client_id.into()),
            ("sub", client_id.into()),
            ("aud", audience.into()),
            ("jti", token_id()?.into()),
            ("iat", now.into()),
            ("exp", now.saturating_add(LIFETIME).into()),
        ];
        let claims = claims.map(|(name, value)| (name.to_owned(), value));
        self.key.sign(header, &Map::from_iter(claims))
    }
}

#[cfg(test)]
mod tests;
