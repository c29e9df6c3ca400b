//! Keys that sign, each bound to one algorithm.

use super::{Algorithm, JwsError};
use crate::pem::{KeyKind, PrivateKey};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// A key and the one algorithm it signs with. Clones share the key.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    key: Arc<Key>,
}

enum Key {
    Shared(hmac::Key),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A secret that both sides share, its UTF-8 bytes being the key (RFC 7518 section 3.2).
    ///
    /// # Errors
    /// `EmptySecret`, and `WrongKey` if `algorithm` wants a private key.
    pub fn shared(algorithm: Algorithm, secret: &Secret<String>) -> Result<Self, JwsError> {
        Self::shared_bytes(algorithm, secret.expose().as_bytes())
    }

    pub(super) fn shared_bytes(algorithm: Algorithm, secret: &[u8]) -> Result<Self, JwsError> {
        let hash = match algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return Err(JwsError::wrong_key(algorithm, "a shared secret".to_owned())),
        };
        if secret.is_empty() {
            return Err(JwsError::EmptySecret);
        }
        let key = hmac::Key::new(hash, secret);
        Ok(Self { algorithm, key: Arc::new(Key::Shared(key)) })
    }

    /// A private key of a person or a service.
    ///
    /// # Errors
    /// `WrongKey`, which names the kind of key that `algorithm` wants; `Unusable` for a key
    /// whose parts do not fit together.
    pub fn private(algorithm: Algorithm, key: &PrivateKey) -> Result<Self, JwsError> {
        if algorithm.key_kind() != Some(key.kind()) {
            return Err(JwsError::wrong_key(algorithm, key.kind().to_string()));
        }
        let der = key.pkcs8_der().expose();
        let pair = match key.kind() {
            KeyKind::Rsa => RsaKeyPair::from_pkcs8(der).map(|pair| {
                let pss = algorithm == Algorithm::PS256;
                Key::Rsa(pair, if pss { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 })
            }),
            KeyKind::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Key::Ed25519),
            KeyKind::P256 | KeyKind::P384 => {
                let random = SystemRandom::new();
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
                    .map(Key::P256)
            }
        };
        let pair = pair.map_err(|rejected| JwsError::Unusable(rejected.to_string()))?;
        Ok(Self { algorithm, key: Arc::new(pair) })
    }

    /// A new key for ES256, and its PKCS#8 DER to keep.
    ///
    /// # Errors
    /// `NoRandomness` if the system gives none.
    pub fn generate() -> Result<(Self, Secret<Vec<u8>>), JwsError> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| JwsError::NoRandomness)?;
        let pkcs8 = Secret::new(document.as_ref().to_vec());
        Ok((Self::es256(&pkcs8)?, pkcs8))
    }

    /// The key that [`Self::generate`] made.
    ///
    /// # Errors
    /// `Pem`, `WrongKey` or `Unusable` if it is none.
    pub fn es256(pkcs8: &Secret<Vec<u8>>) -> Result<Self, JwsError> {
        Self::private(Algorithm::ES256, &PrivateKey::from_pkcs8_der(pkcs8.expose())?)
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half as a JSON Web Key (RFC 7518 section 6.2.1), for ES256 only.
    pub fn public_jwk(&self) -> Option<Map<String, Value>> {
        let Key::P256(pair) = &*self.key else { return None };
        // Uncompressed: 4, x, y (SEC 1 section 2.3.3).
        let (x, y) = pair.public_key().as_ref().get(1..)?.split_at_checked(32)?;
        let member = |name: &str, value: &str| (name.to_owned(), Value::from(value));
        Some(Map::from_iter([
            member("kty", "EC"),
            member("crv", "P-256"),
            member("x", &URL_SAFE_NO_PAD.encode(x)),
            member("y", &URL_SAFE_NO_PAD.encode(y)),
        ]))
    }

    /// The token, in the compact serialization: `header`, to which `alg` is added, `claims`
    /// and the signature.
    ///
    /// # Errors
    /// `NotSigned`, if the key turns out to be unusable or there is no randomness.
    pub fn sign(
        &self,
        mut header: Map<String, Value>,
        claims: &Map<String, Value>,
    ) -> Result<Secret<String>, JwsError> {
        header.insert("alg".to_owned(), self.algorithm.name().into());
        let header = serde_json::to_vec(&header).map_err(|_| JwsError::NotSigned)?;
        let claims = serde_json::to_vec(claims).map_err(|_| JwsError::NotSigned)?;
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self.signature(token.as_bytes())?;
        // What is signed becomes a secret with its signature, and from there on is not moved.
        token.reserve(1 + signature.len().div_ceil(3) * 4);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(Secret::new(token))
    }

    /// Over the signing input (RFC 7515 section 5.1, step 5).
    pub(super) fn signature(&self, input: &[u8]) -> Result<Vec<u8>, JwsError> {
        let random = SystemRandom::new();
        match &*self.key {
            Key::Shared(key) => Ok(hmac::sign(key, input).as_ref().to_vec()),
            Key::Ed25519(pair) => Ok(pair.sign(input).as_ref().to_vec()),
            Key::P256(pair) => pair
                .sign(&random, input)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| JwsError::NotSigned),
            Key::Rsa(pair, padding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*padding, &random, input, &mut signature)
                    .map_err(|_| JwsError::NotSigned)?;
                Ok(signature)
            }
        }
    }
}
