use super::{TokenError, TokenSet, exchange_code, granted, refresh};
use crate::oauth::client::{AuthMethod, Client};
use crate::oauth::error_response::Unavailable;
use crate::oauth::scripted::{Scripted, now, pairs, public, secret, web};
use crate::oauth::web::{Answer, WebError};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const TOKENS: (u16, &str, &str) = (200, "application/json", r#"{"access_token":"at"}"#);

fn read(status: u16, body: &str) -> Result<TokenSet, TokenError> {
    let body = Secret::new(body.as_bytes().to_vec());
    granted(Ok(Answer { status, headers: HeaderMap::new(), body }))
}

/// Access token, type, refresh token, scope and lifetime, as far as they are there.
fn shown(tokens: &TokenSet) -> String {
    let refresh = tokens.refresh_token.as_ref().map_or("-", |token| token.expose());
    let scope = tokens.scope.as_deref().unwrap_or("-");
    let expires = tokens.expires_in.map_or("-".into(), |seconds| seconds.to_string());
    format!("{} {} {refresh} {scope} {expires}", tokens.access_token.expose(), tokens.token_type)
}

#[test]
fn whatever_a_token_endpoint_says_is_understood() {
    for (status, body, expected) in [
        (200, r#"{"access_token":"a","token_type":"Bearer","expires_in":9}"#, "a Bearer - - 9"),
        (200, r#"{"access_token":"a","token_type":"bearer","scope":"x y"}"#, "a Bearer - x y -"),
        (200, r#"{"access_token":"a","token_type":"dpop"}"#, "a DPoP - - -"),
        (200, r#"{"access_token":"a","token_type":null}"#, "a Bearer - - -"),
        (201, r#"{"access_token":"a","refresh_token":"r"}"#, "a Bearer r - -"),
        (200, r#"{"access_token":"a","refresh_token":null,"scope":null}"#, "a Bearer - - -"),
        (200, r#"{"access_token":"a","refresh_token":"","scope":""}"#, "a Bearer - - -"),
        (200, r#"{"access_token":"a","scope":["x","y"]}"#, "a Bearer - x y -"),
        (200, r#"{"access_token":"a","access_token":"b"}"#, "a Bearer - - -"),
        (200, r#"{"access_token":null,"access_token":"b"}"#, "b Bearer - - -"),
        (200, r#"{"x":{"access_token":"no"},"y":[1e400],"access_token":"a"}"#, "a Bearer - - -"),
        (200, "\u{feff} \n{\"access_token\":\"a\"}\n<!-- cached -->", "a Bearer - - -"),
        (
            200,
            r#"{"access_token":"a\u002f\/","refresh_token":"r\u00e9"}"#,
            "a// Bearer r\u{e9} - -",
        ),
        (200, r#"{"access_token":"a","refresh_token":"r","scope":"x"#, "a Bearer r - -"),
        (200, "access_token=a%2B&scope=repo%2Cgist&token_type=bearer", "a+ Bearer - repo,gist -"),
        (200, "access_token=a&expires_in=28800&refresh_token=r&scope=", "a Bearer r - 28800"),
        (200, r#"{"ok":true,"access_token":"a","error":null}"#, "a Bearer - - -"),
        (
            200,
            r#"{"ok":true,"scope":"","authed_user":{"access_token":"a","token_type":"user"}}"#,
            "a Bearer - - -",
        ),
    ] {
        assert_eq!(shown(&read(status, body).unwrap()), expected, "{body}");
    }
}

#[test]
fn a_lifetime_is_believed_within_reason() {
    for (spelled, expected) in [
        ("3600", Some(3600)),
        ("\"3600\"", Some(3600)),
        ("\" 3600 \"", Some(3600)),
        ("3599.7", Some(3599)),
        ("\"3599.7\"", Some(3599)),
        ("0.3", Some(1)),
        ("8", Some(8)),
        ("1e400", Some(315_360_000)),
        ("99999999999999999999999", Some(315_360_000)),
        ("0", None),
        ("-1", None),
        ("\"0\"", None),
        ("null", None),
        ("\"\"", None),
        ("\"NaN\"", None),
        ("\"soon\"", None),
        ("true", None),
        ("[3600]", None),
        ("{}", None),
    ] {
        let body = format!(r#"{{"expires_in":{spelled},"access_token":"a"}}"#);
        assert_eq!(read(200, &body).unwrap().expires_in, expected, "{spelled}");
    }
}

#[test]
fn a_refusal_is_understood_in_every_dress() {
    for (status, body, error, description) in [
        (
            400,
            r#"{"error":"invalid_grant","error_description":"gone"}"#,
            Some("invalid_grant"),
            Some("gone"),
        ),
        (200, r#"{"error":"invalid_grant"}"#, Some("invalid_grant"), None),
        (
            200,
            "error=bad_verification_code&error_description=The+code",
            Some("bad_verification_code"),
            Some("The code"),
        ),
        (200, r#"{"ok":false,"error":"invalid_code"}"#, Some("invalid_code"), None),
        (400, r#"{"error":{"code":"x","message":"y"}}"#, Some("x"), Some("y")),
        (403, r#"{"detail":"no"}"#, None, Some("no")),
        (401, "", Some("invalid_client"), None),
        (400, "no such client", None, Some("no such client")),
        (404, "<html>not found</html>", None, None),
        (400, "{broken", None, None),
    ] {
        let Err(TokenError::Refused(response)) = read(status, body) else {
            panic!("{body} is a refusal")
        };
        assert_eq!((response.status, response.error.as_deref()), (status, error), "{body}");
        assert_eq!(response.description.as_deref(), description, "{body}");
    }
    assert!(read(400, r#"{"error":"invalid_grant"}"#).unwrap_err().grant_refused());
    assert!(read(200, "error=bad_refresh_token").unwrap_err().grant_refused());
    assert!(read(401, "").unwrap_err().client_refused());
}

#[test]
fn a_server_out_of_order_refuses_nothing() {
    for (status, body) in [
        (500, r#"{"error":"invalid_grant"}"#),
        (502, "<html>"),
        (503, ""),
        (429, r#"{"error":"slow"}"#),
        (400, r#"{"error":"temporarily_unavailable"}"#),
        (400, r#"{"error":"server_error"}"#),
    ] {
        let error = read(status, body).unwrap_err();
        assert!(matches!(error, TokenError::Unavailable(Unavailable::OutOfOrder(_))), "{body}");
        assert!(!error.grant_refused());
    }
    let host = || "as.example".to_owned();
    let lost = WebError::Lost { host: host(), why: "it broke off".into() };
    assert!(matches!(granted(Err(lost)), Err(TokenError::Lost(_))));
    let unreachable = WebError::Unreachable { host: host(), why: "refused".into() };
    assert!(matches!(granted(Err(unreachable)), Err(TokenError::Unavailable(_))));
    let redirected = WebError::Redirected { host: host(), to: "elsewhere".into() };
    assert!(matches!(granted(Err(redirected)), Err(TokenError::Unavailable(_))));
}

#[test]
fn a_rotated_refresh_token_is_not_lost_with_the_rest() {
    for body in [
        r#"{"refresh_token":"next"}"#,
        r#"{"refresh_token":"next","access_token":["a"]}"#,
        r#"{"refresh_token":"next","access_token":"a\r\nX-Evil: 1"}"#,
        r#"{"refresh_token":"next","access_token":"é"}"#,
        r#"{"refresh_token":"next","access_token":"a","token_type":"mac"}"#,
        r#"{"refresh_token":"next","access_token":"brok"#,
        "refresh_token=next",
    ] {
        let Err(TokenError::Malformed { refresh_token, .. }) = read(200, body) else {
            panic!("{body} is of no use")
        };
        assert_eq!(refresh_token.unwrap().expose(), "next", "{body}");
    }
    for body in ["", "{}", "[]", "null", "<html>Welcome</html>", "\u{feff}", "ok"] {
        let refused = read(200, body).unwrap_err();
        assert!(matches!(refused, TokenError::Malformed { refresh_token: None, .. }), "{body}");
    }
}

#[test]
fn no_error_and_no_debug_shows_a_token() {
    let tokens = read(200, r#"{"access_token":"hunter2","refresh_token":"hunter2"}"#).unwrap();
    assert!(!format!("{tokens:?}").contains("hunter2"));
    for body in [
        r#"{"refresh_token":"hunter2","access_token":"hunter2","token_type":"hunter2"}"#,
        r#"{"access_token":"hunter2\n"}"#,
        r#"{"access_tokens":"hunter2"}"#,
        "hunter2",
    ] {
        let error = read(200, body).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{body}");
    }
    // The server's own words are in fields only.
    let error = read(400, r#"{"error":"hunter2","error_description":"hunter2"}"#).unwrap_err();
    assert_eq!(error.to_string(), "the authorization server refused: HTTP 400");
    assert_eq!(error.response().unwrap().told(), "hunter2: hunter2");
    assert!(!format!("{error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_code_goes_out_with_everything_that_belongs_to_it() {
    let server = Scripted::start(&[TOKENS]).await;
    exchange_code(
        &web(),
        // As published: with a query, and escapes that nobody needs.
        &format!("{}/t%6Fken//x?tenant=a%2fb", server.url),
        public().at("", now),
        &secret("c/o+d&e"),
        &secret(VERIFIER),
        "http://localhost:4711/oauth/callback",
        Some("https://MCP.example"),
    )
    .await
    .unwrap();
    let asked = server.asked().await.remove(0);
    assert_eq!(asked.line, "POST /t%6Fken//x?tenant=a%2fb");
    assert_eq!(asked.header("accept"), Some("application/json"));
    assert_eq!(asked.header("authorization"), None);
    let mut form = asked.form();
    form.sort();
    let expected = pairs(&[
        ("client_id", "id &1"),
        ("code", "c/o+d&e"),
        ("code_verifier", VERIFIER),
        ("grant_type", "authorization_code"),
        ("redirect_uri", "http://localhost:4711/oauth/callback"),
        ("resource", "https://MCP.example"),
    ]);
    assert_eq!(form, expected);
}

#[tokio::test]
async fn a_refresh_token_goes_out_with_scope_and_resource_or_without() {
    let server = Scripted::start(&[TOKENS, TOKENS]).await;
    let (web, url) = (web(), server.url.clone());
    let token = secret("r/1");
    let resource = Some("https://mcp.example/a%2Fb/");
    refresh(&web, &url, public().at("", now), &token, Some("a b"), resource).await.unwrap();
    refresh(&web, &url, public().at("", now), &token, None, None).await.unwrap();
    let asked = server.asked().await;
    let full = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "r/1"),
        ("scope", "a b"),
        ("client_id", "id &1"),
        ("resource", "https://mcp.example/a%2Fb/"),
    ];
    assert_eq!(asked[0].form(), pairs(&full));
    assert_eq!(asked[1].form(), pairs(&[full[0], full[1], full[3]]));
}

#[tokio::test]
async fn a_client_authenticates_as_its_method_says() {
    let server = Scripted::start(&[TOKENS, TOKENS, TOKENS]).await;
    let (web, url) = (web(), server.url.clone());
    let client = |method| Client {
        method,
        ..Client::preregistered("i:d é".into(), Some(secret("s:e c+r%t")), None)
    };
    for method in [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost, AuthMethod::None] {
        refresh(&web, &url, client(method).at("", now), &secret("r"), None, None).await.unwrap();
    }
    let asked = server.asked().await;
    // RFC 6749 section 2.3.1: each is form-encoded first.
    let basic = STANDARD.encode("i%3Ad+%C3%A9:s%3Ae+c%2Br%25t");
    assert_eq!(asked[0].header("authorization"), Some(format!("Basic {basic}").as_str()));
    let bare = [("grant_type", "refresh_token"), ("refresh_token", "r")];
    assert_eq!(asked[0].form(), pairs(&bare));
    let post = [bare[0], bare[1], ("client_id", "i:d é"), ("client_secret", "s:e c+r%t")];
    assert_eq!(asked[1].form(), pairs(&post));
    assert_eq!(asked[2].form(), pairs(&post[..3]));
    assert!(asked[1..].iter().all(|asked| asked.header("authorization").is_none()));
}

#[tokio::test]
async fn what_happened_on_the_way_decides_what_may_be_asked_again() {
    let server = Scripted::start(&[(0, "", ""), (307, "text/plain", "")]).await;
    let (web, url) = (web(), server.url.clone());
    let ask = async |url: &str| {
        refresh(&web, url, public().at("", now), &secret("r"), None, None).await.unwrap_err()
    };
    assert!(matches!(ask(&url).await, TokenError::Lost(_)));
    assert!(matches!(ask(&url).await, TokenError::Unavailable(_)));
    server.asked().await;
    assert!(matches!(ask(&url).await, TokenError::Unavailable(_)));
    assert!(matches!(ask("https://as.example:x/").await, TokenError::Unavailable(_)));
    assert!(matches!(ask("http://as.example/").await, TokenError::Unavailable(_)));
}

#[tokio::test]
async fn a_token_request_can_run_on_any_thread() {
    fn send<T: Send>(future: T) -> T {
        future
    }
    let (web, token, client) = (web(), secret("r"), public());
    drop(send(refresh(&web, "", client.at("", now), &token, None, None)));
    drop(send(exchange_code(&web, "", client.at("", now), &token, &token, "", None)));
}
