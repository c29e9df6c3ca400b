//! Service JWTs that are made here (RFC 7519).

use super::Minted;
use super::api_key::{KeyError, Placement};
use super::details::placed;
use super::key_file::{KeyFile, KeyFileError};
use crate::jws::{Algorithm, JwsError, SigningKey, token_id};
use crate::secret::{Secret, sealed_option};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// `--ttl` unless it is given, in seconds.
pub const DEFAULT_TTL: u64 = 60;

/// What is signed, and with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Jwt {
    pub alg: Algorithm,
    /// For the algorithms with a shared secret.
    #[serde(default, with = "sealed_option")]
    pub secret: Option<Secret<String>>,
    /// For all others.
    pub key: Option<KeyFile>,
    /// The header's `kid`.
    pub key_id: Option<String>,
    /// Without `iat`, `exp` and `jti`, which are set here.
    pub claims: Map<String, Value>,
    /// In seconds.
    pub ttl: u64,
    pub placement: Placement,
}

/// Why no token is made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// A secret or a key has to be given.
    #[error("{0} signs with {1}, and none was given")]
    Missing(Algorithm, &'static str),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error("the token cannot be sent: {0}")]
    Unsendable(#[from] KeyError),
}

impl Jwt {
    /// What `list` shows.
    pub fn details(&self) -> BTreeMap<String, Value> {
        let claim = |name: &str| self.claims.get(name).cloned().unwrap_or_default();
        placed(
            &self.placement,
            [
                ("algorithm", json!(self.alg)),
                ("key_id", json!(self.key_id)),
                ("issuer", claim("iss")),
                ("subject", claim("sub")),
                ("audience", claim("aud")),
            ],
        )
    }

    /// The key to [`Self::mint`] with. Reads the file of a private key, opens it with its
    /// passphrase, and so may take a while.
    ///
    /// # Errors
    /// [`JwtError`], which says which kind of key is needed.
    pub fn signing_key(&self) -> Result<SigningKey, JwtError> {
        if self.alg.is_symmetric() {
            let missing = JwtError::Missing(self.alg, "a shared secret");
            return Ok(SigningKey::shared(self.alg, self.secret.as_ref().ok_or(missing)?)?);
        }
        let missing = JwtError::Missing(self.alg, "a private key");
        let key = self.key.as_ref().ok_or(missing)?.private_key()?;
        Ok(SigningKey::private(self.alg, &key)?)
    }

    /// A token made at `now`, in seconds since 1970 by the clock of whoever verifies it; its
    /// end is by that clock too.
    ///
    /// # Errors
    /// [`JwtError`] if it cannot be signed or sent.
    pub fn mint(&self, signing_key: &SigningKey, now: u64) -> Result<Minted, JwtError> {
        let mut header = Map::new();
        header.insert("typ".to_owned(), json!("JWT"));
        if let Some(key_id) = &self.key_id {
            header.insert("kid".to_owned(), json!(key_id));
        }
        let expires_at = now.saturating_add(self.ttl.max(1));
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(expires_at));
        claims.insert("jti".to_owned(), json!(token_id()?));
        let token = signing_key.sign(header, &claims)?;
        let headers = vec![self.placement.header(&token)?];
        Ok(Minted { headers, key: Some(token), expires_at: Some(expires_at) })
    }
}
