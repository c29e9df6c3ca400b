//! Signatures against the vectors of the RFCs where they are deterministic, and against
//! `ring`'s verifiers where they are not.

use super::*;
use crate::pem::{PrivateKey, private_key, test_keys};
use crate::secret::Secret;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, KeyPair, RSA_PSS_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use serde_json::{Map, Value, json};

/// Payload of RFC 7515 appendices A.1 to A.3.
const JOE: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                   cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

fn key(pem: &str) -> PrivateKey {
    private_key(&Secret::new(pem.as_bytes().to_vec()), None).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn decode(base64: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64).unwrap()
}

fn signature(key: &SigningKey, input: &str) -> String {
    URL_SAFE_NO_PAD.encode(key.signature(input.as_bytes()).unwrap())
}

/// Header, claims, signing input, signature.
fn taken_apart(token: &Secret<String>) -> (Value, Value, String, Vec<u8>) {
    let (input, signature) = token.expose().rsplit_once('.').unwrap();
    let (header, claims) = input.split_once('.').unwrap();
    let parsed = |segment| serde_json::from_slice(&decode(segment)).unwrap();
    (parsed(header), parsed(claims), input.to_owned(), decode(signature))
}

#[test]
fn hs256_makes_the_signature_of_rfc_7515_a_1() {
    let secret = decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    );
    let key = SigningKey::shared_bytes(Algorithm::HS256, &secret).unwrap();
    let input = format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}");
    assert_eq!(signature(&key, &input), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

#[test]
fn each_hmac_makes_the_code_of_rfc_4231_test_case_2() {
    for (algorithm, begin) in [
        (Algorithm::HS256, "5bdcc146bf60754e"),
        (Algorithm::HS384, "af45d2e376484031"),
        (Algorithm::HS512, "164b7a7bfcf819e2"),
    ] {
        let key = SigningKey::shared(algorithm, &Secret::new("Jefe".to_owned())).unwrap();
        let code = key.signature(b"what do ya want for nothing?").unwrap();
        let begins: String = code[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(begins, begin, "{algorithm}");
        assert_eq!(code.len() * 8, algorithm.name()[2..].parse::<usize>().unwrap());
    }
}

#[test]
fn rs256_makes_the_signature_of_rfc_7515_a_2() {
    let key = SigningKey::private(Algorithm::RS256, &key(test_keys::RSA)).unwrap();
    assert_eq!(
        signature(&key, &format!("eyJhbGciOiJSUzI1NiJ9.{JOE}")),
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W\
         2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS\
         jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
         Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
    );
}

#[test]
fn eddsa_makes_the_signature_of_rfc_8037_a_4() {
    let key = SigningKey::private(Algorithm::EdDSA, &key(test_keys::ED25519)).unwrap();
    assert_eq!(
        signature(&key, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"),
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    );
}

#[test]
fn ps256_makes_a_signature_that_verifies() {
    let private = key(test_keys::RSA);
    let key = SigningKey::private(Algorithm::PS256, &private).unwrap();
    let token = key.sign(Map::new(), &object(json!({"iss": "joe"}))).unwrap();
    let (header, _, input, signature) = taken_apart(&token);
    assert_eq!(header, json!({"alg": "PS256"}));
    let pair = RsaKeyPair::from_pkcs8(private.pkcs8_der().expose()).unwrap();
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, pair.public_key())
        .verify(input.as_bytes(), &signature)
        .unwrap();
}

#[test]
fn es256_makes_a_signature_that_verifies_with_the_published_key() {
    let key = SigningKey::private(Algorithm::ES256, &key(test_keys::EC)).unwrap();
    let jwk = json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    assert_eq!(key.public_jwk(), Some(object(jwk)));
    assert_verifies(&key);
}

#[test]
fn a_generated_key_signs_the_same_after_it_was_kept() {
    let (key, pkcs8) = SigningKey::generate().unwrap();
    assert_verifies(&key);
    let again = SigningKey::es256(&pkcs8).unwrap();
    assert_eq!(again.public_jwk(), key.public_jwk());
    assert_verifies(&again);
    let (other, _) = SigningKey::generate().unwrap();
    assert_ne!(other.public_jwk(), key.public_jwk());
}

fn assert_verifies(key: &SigningKey) {
    let header = object(json!({"typ": "dpop+jwt", "alg": "none"}));
    let claims = object(json!({"htm": "POST", "a": "ü.\n"}));
    let (header, back, input, signature) = taken_apart(&key.sign(header, &claims).unwrap());
    assert_eq!(header, json!({"typ": "dpop+jwt", "alg": "ES256"}));
    assert_eq!(back, Value::Object(claims));
    let jwk = key.public_jwk().unwrap();
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        point.extend(decode(jwk[coordinate].as_str().unwrap()));
    }
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(input.as_bytes(), &signature)
        .unwrap();
}

#[test]
fn another_kind_of_key_is_refused_with_the_kind_that_is_wanted() {
    let refused =
        |algorithm, pem| SigningKey::private(algorithm, &key(pem)).unwrap_err().to_string();
    assert_eq!(
        refused(Algorithm::ES256, test_keys::P384),
        "ES256 signs with an EC key on the curve P-256, and this is an EC key on the curve P-384"
    );
    assert_eq!(
        refused(Algorithm::RS256, test_keys::ED25519),
        "RS256 signs with an RSA key, and this is an Ed25519 key"
    );
    assert_eq!(
        refused(Algorithm::HS256, test_keys::EC),
        "HS256 signs with a shared secret, and this is an EC key on the curve P-256"
    );
    let secret = Secret::new("s3cret".to_owned());
    let error = SigningKey::shared(Algorithm::EdDSA, &secret).unwrap_err();
    assert_eq!(error.to_string(), "EdDSA signs with an Ed25519 key, and this is a shared secret");
    let empty = SigningKey::shared(Algorithm::HS256, &Secret::new(String::new()));
    assert_eq!(empty.unwrap_err(), JwsError::EmptySecret);
}

#[test]
fn algorithms_go_by_their_registered_names() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.to_string());
        assert_eq!(algorithm.is_symmetric(), algorithm.name().starts_with("HS"));
    }
    assert_eq!(Algorithm::from_name("none"), None);
    assert!(serde_json::from_str::<Algorithm>("\"none\"").is_err());
}

#[test]
fn keys_are_not_shown_and_ids_of_tokens_differ() {
    let secret = Secret::new("hunter2".to_owned());
    let key = SigningKey::shared(Algorithm::HS256, &secret).unwrap();
    assert_eq!(format!("{key:?}"), "SigningKey { algorithm: HS256, .. }");
    assert_eq!(token_id().unwrap().len(), 22);
    assert_ne!(token_id().unwrap(), token_id().unwrap());
}
