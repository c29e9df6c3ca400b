use super::AssertionKey;
use crate::jws::SigningKey;
use crate::oauth::scripted::read_token;
use serde_json::json;

#[test]
fn an_assertion_says_who_asks_whom_and_for_a_minute() {
    let (key, _) = SigningKey::generate().unwrap();
    let anonymous = AssertionKey::new(key.clone(), None);
    let key = AssertionKey::new(key, Some("k1".into()));
    let token = key.assertion("c1", "https://as.example", 1000).unwrap();
    let (header, mut claims) = read_token(token.expose());
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}));
    let once = claims.as_object_mut().unwrap().remove("jti").unwrap();
    let expected =
        json!({"iss": "c1", "sub": "c1", "aud": "https://as.example", "iat": 1000, "exp": 1060});
    assert_eq!(claims, expected);
    let token = anonymous.assertion("c1", "https://as.example", 1000).unwrap();
    let (header, claims) = read_token(token.expose());
    assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
    assert_ne!(claims["jti"], once);
}
