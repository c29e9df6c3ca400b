//! Signatures against the vectors of RFC 7515 appendix A, and against `ring`'s verifiers.
use super::*;
use crate::secret::Secret;
use serde_json::{Map, Value};
#[test]
fn a_new_key_signs_and_survives_being_kept() {
    let (key, pkcs8) = SigningKey::generate().unwrap();
    let again = SigningKey::es256(&pkcs8).unwrap();
    assert_eq!(key.public_jwk(), again.public_jwk());
    let token = key.sign(Map::new(), &Map::from_iter([("a".to_owned(), Value::from(1))])).unwrap();
    let _: &Secret<String> = &token;
    assert_eq!(token.expose().split('.').count(), 3);
}
