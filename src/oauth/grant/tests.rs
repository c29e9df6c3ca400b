use super::{Exchange, ID_JAG, ID_TOKEN, client_credentials, jwt_bearer, token_exchange};
use crate::oauth::TokenError;
use crate::oauth::client::{AuthMethod, Client};
use crate::oauth::scripted::{Scripted, now, pairs, public, secret, web};

const JSON: &str = "application/json";
const TOKENS: (u16, &str, &str) = (200, JSON, r#"{"access_token":"at","expires_in":9}"#);

fn confidential(method: AuthMethod) -> Client {
    Client { method, ..Client::preregistered("i d".into(), Some(secret("s&c")), None) }
}

#[tokio::test]
async fn client_credentials_go_out_as_the_clients_method_says() {
    let server = Scripted::start(&[TOKENS, TOKENS]).await;
    let (web, url) = (web(), format!("{}/t?x=y", server.url));
    let basic = confidential(AuthMethod::ClientSecretBasic);
    let resource = Some("https://mcp.example/a/");
    let tokens = client_credentials(&web, &url, basic.at("", now), Some("a b"), resource).await;
    assert_eq!(tokens.unwrap().expires_in, Some(9));
    let post = confidential(AuthMethod::ClientSecretPost);
    client_credentials(&web, &url, post.at("", now), None, None).await.unwrap();
    let asked = server.asked().await;
    assert_eq!(asked[0].line, "POST /t?x=y");
    assert_eq!(asked[0].header("authorization"), Some("Basic aStkOnMlMjZj"));
    let full = [
        ("grant_type", "client_credentials"),
        ("scope", "a b"),
        ("resource", "https://mcp.example/a/"),
    ];
    assert_eq!(asked[0].form(), pairs(&full));
    let post = [full[0], ("client_id", "i d"), ("client_secret", "s&c")];
    assert_eq!(asked[1].form(), pairs(&post));
    assert_eq!(asked[1].header("authorization"), None);
}

#[tokio::test]
async fn an_assertion_goes_out_for_a_client_with_an_id_or_without() {
    let server = Scripted::start(&[TOKENS, TOKENS]).await;
    let (web, url) = (web(), server.url.clone());
    let nobody = Client::preregistered(String::new(), None, None);
    let assertion = secret("e.y+.J");
    for client in [&public(), &nobody] {
        let client = client.at("", now);
        jwt_bearer(&web, &url, client, &assertion, Some("s"), None).await.unwrap();
    }
    let asked = server.asked().await;
    let full = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", "e.y+.J"),
        ("scope", "s"),
        ("client_id", "id &1"),
    ];
    assert_eq!(asked[0].form(), pairs(&full));
    assert_eq!(asked[1].form(), pairs(&full[..3]));
}

async fn exchanged(
    status: u16,
    answer: &str,
) -> (Result<String, TokenError>, Vec<(String, String)>) {
    let server = Scripted::start(&[(status, JSON, answer)]).await;
    let subject_token = secret("id-token");
    let exchange = Exchange {
        subject_token: &subject_token,
        subject_token_type: ID_TOKEN,
        requested_token_type: ID_JAG,
        audience: "https://as.example",
        resource: Some("https://mcp.example/mcp"),
        scope: Some("a"),
    };
    let token = token_exchange(&web(), &server.url, public().at("", now), exchange).await;
    let form = server.asked().await.remove(0).form();
    (token.map(|token| token.expose().clone()), form)
}

#[tokio::test]
async fn an_id_token_becomes_an_assertion_for_another_server() {
    let answer = r#"{"access_token":"jag","issued_token_type":"urn:ietf:params:oauth:token-type:id-jag","token_type":"N_A"}"#;
    let (token, form) = exchanged(200, answer).await;
    assert_eq!(token.unwrap(), "jag");
    let expected = pairs(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("requested_token_type", ID_JAG),
        ("audience", "https://as.example"),
        ("resource", "https://mcp.example/mcp"),
        ("scope", "a"),
        ("subject_token", "id-token"),
        ("subject_token_type", ID_TOKEN),
        ("client_id", "id &1"),
    ]);
    assert_eq!(form, expected);
}

#[tokio::test]
async fn what_was_not_asked_for_is_handed_to_nobody() {
    for answer in [
        r#"{"access_token":"hunter2","token_type":"Bearer"}"#,
        r#"{"access_token":"hunter2","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}"#,
        r#"{"issued_token_type":"urn:ietf:params:oauth:token-type:id-jag"}"#,
    ] {
        let error = exchanged(200, answer).await.0.unwrap_err();
        assert!(matches!(error, TokenError::Malformed { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
    let (refused, _) = exchanged(400, r#"{"error":"invalid_grant"}"#).await;
    assert!(refused.unwrap_err().grant_refused());
}
