//! JSON Web Signatures read by other code than the product's own, and the keys for them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, KeyPair, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};
use ring::{digest, hmac};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

/// What a compact JWS says.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) header: Value,
    pub(crate) claims: Value,
}

/// What checks a signature.
pub(crate) enum Verifier {
    Shared(hmac::Key),
    Public(&'static dyn VerificationAlgorithm, Vec<u8>),
}

/// What a client signs with, and what its server checks that with.
pub(crate) struct Pair {
    pub(crate) alg: &'static str,
    /// A shared secret, or the private key as PEM.
    pub(crate) secret: String,
    pub(crate) verifier: Verifier,
}

pub(crate) const ALGORITHMS: [&str; 7] =
    ["HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"];

const RSA: &str = include_str!("../fixtures/keys/rsa.pem");
/// What is in the encrypted one.
pub(crate) const EC: &str = include_str!("../fixtures/keys/ec.pem");
pub(crate) const ENCRYPTED: &str = include_str!("../fixtures/keys/ec-encrypted.pem");
pub(crate) const PASSPHRASE: &str = "the-5ecret-passphrase";

impl Pair {
    pub(crate) fn of(alg: &'static str) -> Self {
        let shared = "a-shared-5ecret-that-is-long-enough-for-each-of-the-three-hashes-0123456789";
        let hmac = |algorithm| (shared.to_owned(), hmac_key(algorithm, shared));
        let (secret, verifier) = match alg {
            "HS256" => hmac(hmac::HMAC_SHA256),
            "HS384" => hmac(hmac::HMAC_SHA384),
            "HS512" => hmac(hmac::HMAC_SHA512),
            "RS256" => (RSA.to_owned(), rsa(&signature::RSA_PKCS1_2048_8192_SHA256)),
            "PS256" => (RSA.to_owned(), rsa(&signature::RSA_PSS_2048_8192_SHA256)),
            "ES256" => made(&rcgen::PKCS_ECDSA_P256_SHA256, &signature::ECDSA_P256_SHA256_FIXED),
            "EdDSA" => made(&rcgen::PKCS_ED25519, &signature::ED25519),
            other => panic!("{other}?"),
        };
        Self { alg, secret, verifier }
    }

    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.verifier, Verifier::Shared(_))
    }
}

fn hmac_key(algorithm: hmac::Algorithm, secret: &str) -> Verifier {
    Verifier::Shared(hmac::Key::new(algorithm, secret.as_bytes()))
}

fn rsa(algorithm: &'static dyn VerificationAlgorithm) -> Verifier {
    let key = PrivatePkcs8KeyDer::from_pem_slice(RSA.as_bytes()).expect("a key");
    let key = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).expect("an RSA key");
    Verifier::Public(algorithm, key.public_key().as_ref().to_vec())
}

fn made(
    algorithm: &'static rcgen::SignatureAlgorithm,
    verification: &'static dyn VerificationAlgorithm,
) -> (String, Verifier) {
    let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
    (key.serialize_pem(), Verifier::Public(verification, key.public_key_raw().to_vec()))
}

impl Verifier {
    /// Of the encrypted key among the fixtures, for ES256.
    pub(crate) fn of_the_encrypted_key() -> Self {
        let key = rcgen::KeyPair::from_pem(EC).expect("a key");
        let point = key.public_key_raw().to_vec();
        Self::Public(&signature::ECDSA_P256_SHA256_FIXED, point)
    }

    /// Of an ES256 key in a JWK (RFC 7517).
    pub(crate) fn of_jwk(jwk: &Value) -> Option<Self> {
        if jwk["kty"] != "EC" || jwk["crv"] != "P-256" || jwk.get("d").is_some() {
            return None;
        }
        let mut point = vec![4];
        for coordinate in ["x", "y"] {
            let bytes = URL_SAFE_NO_PAD.decode(jwk[coordinate].as_str()?).ok()?;
            point.extend_from_slice(&bytes);
        }
        Some(Self::Public(&signature::ECDSA_P256_SHA256_FIXED, point))
    }

    /// What the token says, if its signature is right.
    pub(crate) fn read(&self, token: &str) -> Option<Token> {
        let read = read(token)?;
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        match self {
            Self::Shared(key) => hmac::verify(key, signed.as_bytes(), &signature).ok()?,
            Self::Public(algorithm, key) => {
                let key = UnparsedPublicKey::new(*algorithm, key);
                key.verify(signed.as_bytes(), &signature).ok()?;
            }
        }
        Some(read)
    }
}

/// What a token says, whoever signed it.
pub(crate) fn read(token: &str) -> Option<Token> {
    let parts: Vec<_> = token.split('.').collect();
    let [header, claims, _] = parts[..] else { return None };
    let part = |text| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
    Some(Token { header: part(header)?, claims: part(claims)? })
}

/// A token that nobody has signed.
pub(crate) fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(&json!({ "alg": "RS256", "kid": "1" })), part(claims))
}

/// The thumbprint of an EC key (RFC 7638).
pub(crate) fn thumbprint(jwk: &Value) -> String {
    let canonical = format!(
        r#"{{"crv":{},"kty":{},"x":{},"y":{}}}"#,
        jwk["crv"], jwk["kty"], jwk["x"], jwk["y"]
    );
    hash(&canonical)
}

/// SHA-256 in base64url, as `ath` and thumbprints are made.
pub(crate) fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;

    /// What a client that signs rightly sends, by each of the algorithms.
    fn signed(pair: &Pair) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": pair.alg });
        let text = format!("{}.{}", part(&header), part(&json!({ "sub": "ada" })));
        let random = SystemRandom::new();
        let der = || PrivatePkcs8KeyDer::from_pem_slice(pair.secret.as_bytes()).unwrap();
        let signature = match (&pair.verifier, pair.alg) {
            (Verifier::Shared(key), _) => hmac::sign(key, text.as_bytes()).as_ref().to_vec(),
            (_, "ES256") => {
                let alg = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let der = der();
                let key = signature::EcdsaKeyPair::from_pkcs8(alg, der.secret_pkcs8_der(), &random);
                key.unwrap().sign(&random, text.as_bytes()).unwrap().as_ref().to_vec()
            }
            (_, "EdDSA") => {
                let key = signature::Ed25519KeyPair::from_pkcs8(der().secret_pkcs8_der()).unwrap();
                key.sign(text.as_bytes()).as_ref().to_vec()
            }
            (_, alg) => {
                let padding: &dyn signature::RsaEncoding = if alg == "PS256" {
                    &signature::RSA_PSS_SHA256
                } else {
                    &signature::RSA_PKCS1_SHA256
                };
                let key = RsaKeyPair::from_pkcs8(der().secret_pkcs8_der()).unwrap();
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, text.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn a_verifier_reads_what_its_key_signed_and_nothing_else() {
        for alg in ALGORITHMS {
            let pair = Pair::of(alg);
            let token = signed(&pair);
            assert_eq!(pair.verifier.read(&token).expect(alg).claims["sub"], "ada");
            let (head, signature) = token.rsplit_once('.').unwrap();
            let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"eve"}"#);
            let (header, _) = head.split_once('.').unwrap();
            for changed in [
                format!("{header}.{claims}.{signature}"),
                format!("{head}."),
                head.to_owned(),
                unsigned(&json!({ "sub": "ada" })),
            ] {
                assert!(pair.verifier.read(&changed).is_none(), "{alg}: {changed}");
            }
            let other = Pair::of(if alg == "ES256" { "EdDSA" } else { "ES256" });
            assert!(other.verifier.read(&token).is_none(), "{alg}");
        }
    }
}
