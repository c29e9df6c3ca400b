use super::*;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

const NOW: u64 = 1_800_000_000;

fn jwt(alg: Algorithm) -> Jwt {
    let claims = json!({
        "iss": "keyferry", "sub": "svc", "aud": ["a", "b"], "role": {"admin": true}, "iat": 1,
    });
    let Value::Object(claims) = claims else { unreachable!() };
    let secret = alg.is_symmetric().then(|| Secret::new("hunter2-hunter2-hunter2".to_owned()));
    let placement = Placement::new(None, None).unwrap();
    Jwt { alg, secret, key: None, key_id: Some("k1".to_owned()), claims, ttl: 60, placement }
}

/// A fresh key for ES256, imported.
fn key_file() -> KeyFile {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    KeyFile { imported: Some(Secret::new(pem)), ..KeyFile::default() }
}

/// Header and claims of the token, which is in its header.
fn minted(jwt: &Jwt) -> (Value, Value) {
    let minted = jwt.mint(&jwt.signing_key().unwrap(), NOW).unwrap();
    let key = minted.key.unwrap();
    assert_eq!(minted.headers[0].0, "authorization");
    assert_eq!(minted.headers[0].1.to_str().unwrap(), format!("Bearer {}", key.expose()));
    assert_eq!(minted.expires_at, Some(NOW + jwt.ttl.max(1)));
    let mut parts = key.expose().split('.').map(|part| BASE64_URL_SAFE_NO_PAD.decode(part));
    let mut part = || parts.next().unwrap().unwrap();
    let read = |json: Vec<u8>| serde_json::from_slice(&json).unwrap();
    (read(part()), read(part()))
}

#[test]
fn a_token_carries_the_claims_and_its_life() {
    let (header, mut claims) = minted(&jwt(Algorithm::HS256));
    assert_eq!(header, json!({"typ": "JWT", "alg": "HS256", "kid": "k1"}));
    let id = claims.as_object_mut().unwrap().remove("jti").unwrap();
    assert!(id.as_str().unwrap().len() >= 22, "{id}");
    let expected = json!({
        "iss": "keyferry", "sub": "svc", "aud": ["a", "b"], "role": {"admin": true},
        "iat": NOW, "exp": NOW + 60,
    });
    assert_eq!(claims, expected);
}

#[test]
fn each_token_has_an_id_of_its_own() {
    let jwt = jwt(Algorithm::HS512);
    assert_ne!(minted(&jwt).1["jti"], minted(&jwt).1["jti"]);
}

#[test]
fn a_private_key_signs_and_the_header_has_no_key_id_unless_there_is_one() {
    let jwt = Jwt { key: Some(key_file()), key_id: None, ttl: 0, ..jwt(Algorithm::ES256) };
    let (header, claims) = minted(&jwt);
    assert_eq!(header, json!({"typ": "JWT", "alg": "ES256"}));
    assert_eq!(claims["exp"], json!(NOW + 1));
}

#[test]
fn what_is_missing_or_does_not_fit_is_named() {
    let missing = Jwt { secret: None, ..jwt(Algorithm::HS256) };
    let error = missing.signing_key().unwrap_err();
    assert_eq!(error.to_string(), "HS256 signs with a shared secret, and none was given");
    let error = jwt(Algorithm::EdDSA).signing_key().unwrap_err();
    assert_eq!(error.to_string(), "EdDSA signs with a private key, and none was given");
    let unfit = Jwt { key: Some(key_file()), ..jwt(Algorithm::RS256) };
    let error = unfit.signing_key().unwrap_err();
    assert!(matches!(error, JwtError::Jws(JwsError::WrongKey { .. })), "{error:?}");
    let unreadable = Jwt { key: Some(KeyFile::default()), ..jwt(Algorithm::ES256) };
    let error = unreadable.signing_key().unwrap_err();
    assert_eq!(error, JwtError::KeyFile(KeyFileError::Missing));
}

#[test]
fn secret_and_key_are_sealed_and_not_shown() {
    let jwt = Jwt { key: Some(key_file()), ..jwt(Algorithm::HS256) };
    let shown = format!("{jwt:?} {:?}", jwt.details());
    assert!(!shown.contains("hunter2") && !shown.contains("BEGIN"), "{shown}");
    let expected = json!({
        "header": "authorization", "scheme": "Bearer", "algorithm": "HS256", "key_id": "k1",
        "issuer": "keyferry", "subject": "svc", "audience": ["a", "b"],
    });
    assert_eq!(json!(jwt.details()), expected);
    let sealed = serde_json::to_string(&jwt).unwrap();
    assert_eq!(serde_json::from_str::<Jwt>(&sealed).unwrap(), jwt);
}
