//! Signed tokens: the compact serialization of a JSON Web Signature (RFC 7515 section 3.1)
//! over a claims set (RFC 7519).
//!
//! Signatures are made by `ring`, which the TLS stack brings. Crate `jsonwebtoken` would bring
//! a second crypto library, and reads neither SEC1 nor encrypted keys.

mod algorithm;
mod key;
#[cfg(test)]
mod tests;

pub use algorithm::Algorithm;
pub use key::SigningKey;

use crate::pem::PemError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Why nothing is signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Another key, or another algorithm, is needed.
    #[error("{algorithm} signs with {wanted}, and this is {given}")]
    WrongKey { algorithm: Algorithm, wanted: String, given: String },
    #[error("the shared secret is empty")]
    EmptySecret,
    /// The key says it is of the right kind, and its numbers do not fit together.
    #[error("the private key cannot be used: {0}")]
    Unusable(String),
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error("the system gives no random numbers")]
    NoRandomness,
    #[error("the signature could not be made")]
    NotSigned,
}

impl JwsError {
    fn wrong_key(algorithm: Algorithm, given: String) -> Self {
        let wanted = algorithm.key_kind();
        let wanted = wanted.map_or_else(|| "a shared secret".to_owned(), |kind| kind.to_string());
        Self::WrongKey { algorithm, wanted, given }
    }
}

/// A fresh `jti` (RFC 7519 section 4.1.7): 128 random bits in base64url.
///
/// # Errors
/// `NoRandomness` if the system gives none.
pub fn token_id() -> Result<String, JwsError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| JwsError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
