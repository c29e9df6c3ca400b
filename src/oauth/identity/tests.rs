use super::{IdentityEndpoints, id_token_claims, identify, introspect, userinfo};
use crate::oauth::scripted::{Scripted, now, pairs, public, secret, web};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const JSON: &str = "application/json";

fn id_token(claims: &str) -> Secret<String> {
    secret(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims)))
}

#[test]
fn a_person_is_known_by_the_most_telling_claim() {
    for (claims, shown) in [
        (r#"{"sub":"1","name":"Ada","email":"ada@x.example"}"#, Some("ada@x.example")),
        (r#"{"sub":"1","name":"Ada","preferred_username":"ada"}"#, Some("ada")),
        (r#"{"sub":"1","name":"Ada","email":null}"#, Some("Ada")),
        (r#"{"sub":1,"email":""}"#, Some("1")),
        (r#"{"iss":"x"}"#, None),
    ] {
        assert_eq!(
            id_token_claims(&id_token(claims)).unwrap().shown().as_deref(),
            shown,
            "{claims}"
        );
    }
    let long = format!(r#"{{"name":"{}"}}"#, "\u{e9}".repeat(9000));
    assert_eq!(id_token_claims(&id_token(&long)).unwrap().shown().unwrap().chars().count(), 200);
    for token in ["", "a", "a.b", "a.!.c", "a.e30.c", "a.bm8.c"] {
        assert_eq!(id_token_claims(&secret(token)), None, "{token}");
    }
}

#[tokio::test]
async fn userinfo_is_asked_with_the_token_and_believed_about_the_same_person_only() {
    let answer = (200, JSON, r#"{"sub":"1","email":"ada@x.example"}"#);
    let server = Scripted::start(&[answer, answer, answer, (401, JSON, answer.2)]).await;
    let web = web();
    let ask = async |subject| {
        userinfo(&web, &server.url, public().at("", now), &secret("at"), subject).await
    };
    assert_eq!(ask(Some("1")).await.unwrap().shown().unwrap(), "ada@x.example");
    assert_eq!(ask(Some("2")).await, None);
    assert!(ask(None).await.is_some());
    assert_eq!(ask(None).await, None);
    let asked = server.asked().await.remove(0);
    assert_eq!(asked.line, "GET /");
    assert_eq!(asked.header("authorization"), Some("Bearer at"));
}

#[tokio::test]
async fn an_opaque_token_is_introspected() {
    let server = Scripted::start(&[
        (200, JSON, r#"{"active":true,"username":"ada","sub":"1","scope":"a b"}"#),
        (200, JSON, r#"{"active":false,"username":"ada"}"#),
    ])
    .await;
    let web = web();
    let ask = async || introspect(&web, &server.url, public().at("", now), &secret("at")).await;
    let claims = ask().await.unwrap();
    assert_eq!((claims.shown().as_deref(), claims.scope.as_deref()), (Some("ada"), Some("a b")));
    assert_eq!(ask().await, None);
    let form = [("token", "at"), ("token_type_hint", "access_token"), ("client_id", "id &1")];
    assert_eq!(server.asked().await[0].form(), pairs(&form));
}

#[tokio::test]
async fn only_what_must_be_asked_is_asked() {
    let server = Scripted::start(&[
        (200, JSON, r#"{"sub":"1","name":"Ada"}"#),
        (404, JSON, "{}"),
        (200, JSON, r#"{"active":true,"sub":"7"}"#),
    ])
    .await;
    let (web, url) = (web(), server.url.clone());
    let endpoints = IdentityEndpoints { userinfo: Some(&url), introspection: Some(&url) };
    let ask = async |endpoints, token: Option<Secret<String>>| {
        identify(&web, endpoints, public().at("", now), &secret("at"), token.as_ref()).await
    };
    let named = id_token(r#"{"sub":"1","email":"a@x"}"#);
    assert_eq!(ask(endpoints, Some(named)).await.as_deref(), Some("a@x"));
    let bare = || Some(id_token(r#"{"sub":"1"}"#));
    assert_eq!(ask(endpoints, bare()).await.as_deref(), Some("Ada"));
    assert_eq!(ask(endpoints, None).await.as_deref(), Some("7"));
    assert_eq!(ask(IdentityEndpoints::default(), bare()).await.as_deref(), Some("1"));
    assert_eq!(ask(IdentityEndpoints::default(), None).await, None);
    assert_eq!(server.asked().await.len(), 3);
}
