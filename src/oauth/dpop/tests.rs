use super::ProofKey;
use crate::oauth::scripted::{read_token, secret};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};
use url::Url;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn headers(name: &'static str, value: &str) -> HeaderMap {
    let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
    HeaderMap::from_iter([(HeaderName::from_static(name), value)])
}

fn claims(key: &ProofKey, to: &str, now: u64) -> Value {
    let proof = key.proof(&Method::POST, &url(to), None, now).unwrap();
    read_token(proof.to_str().unwrap()).1
}

#[test]
fn a_proof_is_signed_with_the_key_that_it_shows() {
    let key = ProofKey::generate().unwrap();
    let to = url("https://MCP.example:443/a%2Fb/mcp?x=%2f&y#z");
    // The token and its hash of RFC 9449 section 7.1.
    let token = secret("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    let proof = key.proof(&Method::DELETE, &to, Some(&token), 77).unwrap();
    assert!(proof.is_sensitive());
    let proof = proof.to_str().unwrap();
    let (header, mut claims) = read_token(proof);
    let jwk = &header["jwk"];
    assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
    assert_eq!(jwk.as_object().unwrap().len(), 4, "the public half alone: {jwk}");
    assert!(claims.as_object_mut().unwrap().remove("jti").unwrap().as_str().unwrap().len() > 15);
    let expected = json!({
        "htm": "DELETE",
        "htu": "https://mcp.example/a%2Fb/mcp",
        "iat": 77,
        "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo",
    });
    assert_eq!(claims, expected);
    let half = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [vec![4], half("x"), half("y")].concat();
    let (signed, signature) = proof.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
    verifier.verify(signed.as_bytes(), &signature).unwrap();
}

#[test]
fn every_proof_is_another_and_the_key_survives_being_kept() {
    let key = ProofKey::generate().unwrap();
    let again = ProofKey::from_pkcs8(key.pkcs8().clone()).unwrap();
    let proof = |key: &ProofKey| {
        let proof = key.proof(&Method::GET, &url("https://h/"), None, 1).unwrap();
        read_token(proof.to_str().unwrap())
    };
    let ((one, first), (other, second)) = (proof(&key), proof(&again));
    assert_eq!(one["jwk"], other["jwk"]);
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(format!("{key:?}"), "ProofKey { .. }");
    assert!(ProofKey::from_pkcs8(crate::secret::Secret::new(b"hunter2".to_vec())).is_err());
}

#[test]
fn the_last_nonce_of_an_origin_goes_with_the_next_proof_there() {
    let key = ProofKey::generate().unwrap();
    let (server, path) = (url("https://h/mcp"), "https://h/token");
    assert!(!key.learn(&server, &HeaderMap::new()));
    for nothing in ["", "\u{e9}"] {
        assert!(!key.learn(&server, &headers("dpop-nonce", nothing)));
    }
    assert_eq!(claims(&key, path, 1).get("nonce"), None);
    assert!(key.learn(&server, &headers("dpop-nonce", "n1")));
    // Whoever shares the key shares what it learned.
    assert!(key.clone().learn(&server, &headers("dpop-nonce", "n2")));
    assert!(!key.learn(&server, &HeaderMap::new()));
    assert_eq!(claims(&key, path, 1)["nonce"], "n2");
    for other in ["https://h:8443/token", "http://h/token", "https://x/token"] {
        assert_eq!(claims(&key, other, 1).get("nonce"), None, "{other}");
    }
}

#[test]
fn a_proof_bears_the_time_of_the_server_that_refused_one() {
    let key = ProofKey::generate().unwrap();
    let off = headers("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let now = 784_111_777 - 600;
    assert!(key.learn_clock(&url("https://h/mcp"), &off, now));
    assert!(!key.learn_clock(&url("https://h/mcp"), &off, now));
    assert_eq!(claims(&key, "https://h/x", now + 5)["iat"], 784_111_782);
    assert_eq!(claims(&key, "https://other/", now)["iat"], now);
}
