use crate::http::scripted::{Authority, TlsSite, Wants};
use crate::http::{ClientSettings, Tls, ready_tls};
use crate::oauth::client::{AuthMethod, Client};
use crate::oauth::device::{Device, poll_once, start};
use crate::oauth::error_response::Unavailable;
use crate::oauth::grant::{client_credentials, jwt_bearer};
use crate::oauth::identity::{introspect, userinfo};
use crate::oauth::revocation::{TokenKind, revoke};
use crate::oauth::scripted::{
    Asked, Scripted, now, pairs, public, read_token, secret, signing, web,
};
use crate::oauth::token::{TokenError, TokenSet, exchange_code, refresh};
use crate::oauth::{ProofKey, Web};
use crate::secret::Secret;
use serde_json::{Value, json};
use std::time::Duration;
use url::Url;

const JSON: &str = "application/json";
/// Ten minutes ahead of [`now`].
const AHEAD: &str = "application/json\r\nDate: Sun, 17 Mar 2030 17:56:40 GMT";
const IN_TIME: &str = "application/json\r\nDate: Sun, 17 Mar 2030 17:46:39 GMT";
const NONCE: &str = "application/json\r\nDPoP-Nonce: n1";
const OTHER_NONCE: &str = "application/json\r\ndpop-nonce: n2";
const TOKENS: (u16, &str, &str) = (200, JSON, r#"{"access_token":"at","token_type":"DPoP"}"#);
const NO_CLIENT: &str = r#"{"error":"invalid_client"}"#;
const NO_NONCE: &str = r#"{"error":"use_dpop_nonce"}"#;
const NO_PROOF: &str = r#"{"error":"invalid_dpop_proof"}"#;

fn proving() -> Client {
    Client { proof_key: Some(ProofKey::generate().unwrap()), ..public() }
}

async fn refreshed(web: &Web, url: &str, client: &Client) -> Result<TokenSet, TokenError> {
    refresh(web, url, client.at("https://as.example", now), &secret("r"), None, None).await
}

fn assertion(asked: &Asked) -> Value {
    read_token(&asked.value("client_assertion").unwrap()).1
}

fn proof(asked: &Asked) -> Value {
    read_token(asked.header("dpop").unwrap()).1
}

fn refused(result: Result<TokenSet, TokenError>) -> String {
    match result {
        Err(TokenError::Refused(response)) => response.error.unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_assertion_stands_in_for_the_secret() {
    let server = Scripted::start(&[TOKENS, TOKENS]).await;
    let (web, client) = (web(), signing());
    let url = format!("{}/t%6Fken?x=y", server.url);
    let scope = Some("a b");
    client_credentials(&web, &url, client.at("https://as.example", now), scope, None)
        .await
        .unwrap();
    client_credentials(&web, &url, client.at("", now), None, None).await.unwrap();
    let asked = server.asked().await;
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(asked[0].header("dpop"), None);
    let mut form = asked[0].form();
    form.pop();
    let expected = pairs(&[
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
        ("client_id", "c1"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
    ]);
    assert_eq!(form, expected);
    let (first, second) = (assertion(&asked[0]), assertion(&asked[1]));
    assert_eq!((&first["iss"], &first["sub"]), (&json!("c1"), &json!("c1")));
    assert_eq!((&first["aud"], &first["iat"]), (&json!("https://as.example"), &json!(now())));
    // An issuer that is not known has its endpoint for a name.
    assert_eq!(second["aud"], json!(url));
    assert_ne!(first["jti"], second["jti"]);
}

#[tokio::test]
async fn every_endpoint_is_told_who_asks_and_token_endpoints_alone_see_proofs() {
    let server = Scripted::start(&[TOKENS; 7]).await;
    let (web, url, token) = (web(), server.url.clone(), secret("t"));
    let client = Client { proof_key: proving().proof_key, ..signing() };
    let asking = client.at("", now);
    let device = Device {
        device_code: secret("d"),
        user_code: "u".into(),
        verification_uri: "https://as.example/device".into(),
        verification_uri_complete: None,
        expires_in: 60,
        interval: 1,
    };
    exchange_code(&web, &url, asking, &token, &token, "http://localhost:1/", None).await.unwrap();
    refresh(&web, &url, asking, &token, None, None).await.unwrap();
    jwt_bearer(&web, &url, asking, &token, None, None).await.unwrap();
    poll_once(&web, &url, asking, &device, None).await.unwrap();
    start(&web, &url, asking, None, None).await.unwrap_err();
    revoke(&web, &url, asking, &token, TokenKind::RefreshToken).await.unwrap();
    introspect(&web, &url, asking, &token).await.unwrap();
    for (nth, asked) in server.asked().await.iter().enumerate() {
        assert_eq!(assertion(asked)["sub"], "c1", "{nth}");
        assert_eq!(asked.header("dpop").is_some(), nth < 4, "{nth}");
    }
}

#[tokio::test]
async fn without_its_key_or_with_a_certificate_a_client_signs_nothing() {
    let (web, keyless) = (web(), Client { assertion_key: None, ..signing() });
    let error = refreshed(&web, "http://127.0.0.1:1/", &keyless).await.unwrap_err();
    assert!(matches!(error, TokenError::Unavailable(Unavailable::Web(_))));
    assert!(error.to_string().contains("private key is not at hand"), "{error}");
    let server = Scripted::start(&[TOKENS]).await;
    let client = Client { secret: Some(secret("s")), ..Client::tls_client_auth("c1".into()) };
    assert_eq!(client.method, AuthMethod::TlsClientAuth);
    refreshed(&web, &server.url, &client).await.unwrap();
    let asked = server.asked().await.remove(0);
    let expected =
        pairs(&[("grant_type", "refresh_token"), ("refresh_token", "r"), ("client_id", "c1")]);
    assert_eq!(asked.form(), expected);
    assert_eq!(asked.header("authorization"), None);
}

#[tokio::test]
async fn an_assertion_is_made_anew_with_the_servers_time_once() {
    let refusal = (401, AHEAD, NO_CLIENT);
    let server = Scripted::start(&[refusal, TOKENS, TOKENS, refusal]).await;
    let (web, client) = (web(), signing());
    refreshed(&web, &server.url, &client).await.unwrap();
    refreshed(&web, &server.url, &client).await.unwrap();
    // The clock is known by now: it is something else.
    assert_eq!(refused(refreshed(&web, &server.url, &client).await), "invalid_client");
    let asked = server.asked().await;
    let issued: Vec<_> =
        asked.iter().map(|asked| assertion(asked)["iat"].as_u64().unwrap() - now()).collect();
    assert_eq!(issued, [0, 600, 600, 600]);
    assert_ne!(assertion(&asked[0])["jti"], assertion(&asked[1])["jti"]);
}

#[tokio::test]
async fn what_the_clock_did_not_do_is_not_asked_again() {
    for (kind, error, client) in [
        (IN_TIME, NO_CLIENT, signing()),
        (JSON, NO_CLIENT, signing()),
        (AHEAD, r#"{"error":"invalid_scope"}"#, signing()),
        (AHEAD, NO_CLIENT, public()),
        (AHEAD, r#"{"error":"invalid_grant"}"#, public()),
        (AHEAD, NO_CLIENT, proving()),
        (AHEAD, NO_PROOF, signing()),
        (IN_TIME, NO_PROOF, proving()),
        (JSON, NO_NONCE, proving()),
        (NONCE, NO_NONCE, public()),
        (NONCE, r#"{"error":"invalid_grant"}"#, proving()),
    ] {
        let server = Scripted::start(&[(400, kind, error)]).await;
        let told = refused(refreshed(&web(), &server.url, &client).await);
        assert!(error.contains(&told), "{error}");
        server.asked().await;
    }
}

#[tokio::test]
async fn a_proof_goes_out_again_with_the_nonce_that_is_wanted() {
    let answers = [(400, NONCE, NO_NONCE), (200, OTHER_NONCE, TOKENS.2), TOKENS];
    let server = Scripted::start(&answers).await;
    let (web, client, code) = (web(), proving(), secret("c"));
    let url = format!("{}/token?tenant=a#x", server.url);
    let redirect = "http://localhost:1/";
    let set = exchange_code(&web, &url, client.at("", now), &code, &code, redirect, None).await;
    assert_eq!(set.unwrap().token_type, "DPoP");
    refreshed(&web, &url, &client).await.unwrap();
    let asked = server.asked().await;
    assert_eq!(asked[0].form(), asked[1].form());
    let proofs: Vec<Value> = asked.iter().map(proof).collect();
    assert_eq!(proofs[0].get("nonce"), None);
    assert_eq!((&proofs[1]["nonce"], &proofs[2]["nonce"]), (&json!("n1"), &json!("n2")));
    assert_ne!(proofs[0]["jti"], proofs[1]["jti"]);
    assert_eq!(proofs[0]["htm"], "POST");
    assert_eq!(proofs[0]["htu"], json!(url.split('?').next().unwrap()));
    assert_eq!((proofs[0].get("ath"), &proofs[0]["iat"]), (None, &json!(now())));
}

#[tokio::test]
async fn a_nonce_that_is_never_good_enough_is_given_up() {
    let wants = [(400, NONCE, NO_NONCE), (400, OTHER_NONCE, NO_NONCE)];
    let server = Scripted::start(&wants).await;
    assert_eq!(refused(refreshed(&web(), &server.url, &proving()).await), "use_dpop_nonce");
    server.asked().await;
}

#[tokio::test]
async fn a_proof_is_made_anew_with_nonce_and_time() {
    let answers = [(400, AHEAD, NO_PROOF), (400, NONCE, NO_NONCE), TOKENS];
    let server = Scripted::start(&answers).await;
    refreshed(&web(), &server.url, &proving()).await.unwrap();
    let asked = server.asked().await;
    let last = proof(&asked[2]);
    assert_eq!((&last["nonce"], &last["iat"]), (&json!("n1"), &json!(now() + 600)));
}

#[tokio::test]
async fn userinfo_is_asked_with_a_proof_for_a_token_that_is_bound() {
    let answer = (200, JSON, r#"{"sub":"1"}"#);
    let server = Scripted::start(&[(401, NONCE, ""), answer, (401, JSON, "")]).await;
    let (web, client) = (web(), proving());
    let ask = async || userinfo(&web, &server.url, client.at("", now), &secret("at"), None).await;
    assert!(ask().await.is_some());
    assert!(ask().await.is_none());
    let asked = server.asked().await;
    for asked in &asked {
        assert_eq!(asked.header("authorization"), Some("DPoP at"));
        assert_eq!(proof(asked)["ath"].as_str().unwrap().len(), 43);
        assert_eq!(proof(asked)["htm"], "GET");
    }
    assert_eq!(proof(&asked[1])["nonce"], "n1");
}

#[tokio::test]
async fn a_certificate_is_shown_where_it_is_how_the_client_says_who_it_is() {
    let authority = Authority::new("A");
    let server = authority.sign("server");
    let site = TlsSite::start(&server, Wants::CertificatePerhaps(&authority));
    let (site, ca) = (site.await, authority.file());
    let identity = Some(Secret::new(authority.sign("alice").into_bytes()));
    let tls = Tls { identity, ca_cert: Some(ca.path().to_owned()), shown: None };
    let settings = ClientSettings {
        tls: true,
        loopback: true,
        tls_source: Some(ready_tls(tls)),
        connect_timeout: Duration::from_secs(5),
        body_timeout: None,
        ipv4_only: false,
        cookies: false,
        addresses: None,
        now: || 0,
    };
    let remote = Url::parse("http://127.0.0.1/mcp").unwrap();
    let web = Web::new(&settings, remote, false, Vec::new());
    let endpoint = format!("{}/token", site.origin);
    for client in [Client::tls_client_auth("c1".into()), public()] {
        let answer = refreshed(&web, &endpoint, &client).await;
        assert!(answer.is_err(), "{answer:?}");
    }
    let seen = site.seen();
    assert!(seen[0].is_from("alice"), "{seen:?}");
    assert!(seen[0].request.contains("x-www-form-urlencoded"), "{seen:?}");
    assert_eq!(seen[1].certificate, None);
}
