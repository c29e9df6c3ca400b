//! The server itself, asked by hand.

use super::authorize::callback_of;
use super::{AuthorizationServer, Failure, Form, Iss, Published, Registration, Script, Shape};
use crate::support::browser::{Browser, follow};
use crate::support::mcp_server::Server;
use crate::support::web::{self, Reply};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::Digest;

const CALLBACK: &str = "http://localhost:7/oauth/callback";
const VERIFIER: &str = "a-verifier-of-at-least-43-characters-0123456789";

fn register(origin: &str) -> String {
    let document = json!({
        "redirect_uris": [CALLBACK], "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
    });
    let kind = [("Content-Type", "application/json")];
    let reply =
        web::request("POST", &format!("{origin}/register"), &kind, &document.to_string()).unwrap();
    assert_eq!(reply.status, 201);
    reply.json()["client_id"].as_str().unwrap().to_owned()
}

fn link(origin: &str, client: &str, resource: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(VERIFIER));
    let mut url = url::Url::parse(&format!("{origin}/authorize")).unwrap();
    url.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("state", "a-state-nobody-guesses"),
        ("scope", "read"),
        ("resource", resource),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    url.into()
}

fn redeem(origin: &str, client: &str, resource: &str) -> Reply {
    let callback = callback_of(&link(origin, client, resource));
    assert_eq!(web::param(&callback, "state").unwrap(), "a-state-nobody-guesses");
    web::post_form(
        &format!("{origin}/token"),
        &[
            ("grant_type", "authorization_code"),
            ("code", &web::param(&callback, "code").unwrap()),
            ("redirect_uri", CALLBACK),
            ("client_id", client),
            ("code_verifier", VERIFIER),
            ("resource", resource),
        ],
    )
}

fn refresh(origin: &str, client: &str, resource: &str, token: &Value) -> Reply {
    web::post_form(
        &format!("{origin}/token"),
        &[
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str().unwrap()),
            ("client_id", client),
            ("resource", resource),
        ],
    )
}

fn ask(remote: &Server, token: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![
        ("Accept", "application/json, text/event-stream"),
        ("Content-Type", "application/json"),
    ];
    if !token.is_empty() {
        headers.push(("Authorization", &bearer));
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    web::request("POST", &remote.url(), &headers, body).unwrap()
}

#[test]
fn the_whole_way_by_hand() {
    let auth = AuthorizationServer::start();
    let remote = auth.remote();
    let refused = ask(&remote, "");
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate").unwrap();
    let document = challenge.split('"').nth(1).unwrap();
    let document = web::get(document).json();
    assert_eq!(document["resource"], remote.url());
    assert_eq!(document["authorization_servers"][0], auth.issuer());
    let metadata = web::get(&format!("{}/.well-known/oauth-authorization-server", auth.origin()));
    assert_eq!(metadata.json()["issuer"], auth.issuer());

    let (origin, url) = (auth.origin(), remote.url());
    let client = register(&origin);
    let tokens = redeem(&origin, &client, &url).json();
    assert_eq!(tokens["scope"], "read");
    assert_eq!(ask(&remote, tokens["access_token"].as_str().unwrap()).status, 200);
    let newer = refresh(&origin, &client, &url, &tokens["refresh_token"]).json();
    assert_eq!(ask(&remote, newer["access_token"].as_str().unwrap()).status, 200);
    assert_eq!(auth.refreshed(), 1);
    // Shown again it ends the grant.
    let reused = refresh(&origin, &client, &url, &tokens["refresh_token"]);
    assert_eq!((reused.status, &reused.json()["error"]), (400, &json!("invalid_grant")));
    assert_eq!(auth.reused(), 1);
    assert_eq!(ask(&remote, newer["access_token"].as_str().unwrap()).status, 401);
}

#[test]
fn metadata_and_documents_lie_where_the_script_says() {
    for (form, path) in [
        (Form::Oauth, "/.well-known/oauth-authorization-server/tenant"),
        (Form::OpenIdInserted, "/.well-known/openid-configuration/tenant"),
        (Form::OpenIdAppended, "/tenant/.well-known/openid-configuration"),
    ] {
        let auth = AuthorizationServer::scripted(|script| {
            script.forms = vec![form];
            script.issuer_path = "/tenant";
            script.metadata = vec![("issuer", json!("{as}/other")), ("jwks_uri", Value::Null)];
        });
        let found = web::get(&format!("{}{path}", auth.origin())).json();
        assert_eq!(found["issuer"], format!("{}/other", auth.origin()));
        let other = web::get(&format!("{}/.well-known/openid-configuration", auth.origin()));
        assert_eq!(other.status, 404);
    }
    for (published, path) in [
        (Published::Path, "/.well-known/oauth-protected-resource/mcp"),
        (Published::Root, "/.well-known/oauth-protected-resource"),
    ] {
        let auth = AuthorizationServer::scripted(|script| script.published = published);
        let remote = auth.remote();
        assert!(!ask(&remote, "").header("www-authenticate").unwrap().contains("metadata"));
        let origin = format!("http://{}", remote.address());
        assert_eq!(web::get(&format!("{origin}{path}")).json()["resource"], remote.url());
    }
}

#[test]
fn deviations_come_as_scripted() {
    let auth = AuthorizationServer::scripted(|script: &mut Script| {
        script.iss = Iss::Is("https://other.example".into());
        script.shape = Shape::with("expires_in", json!("3600"));
        script.failures = [Failure::Pass, Failure::Status(502), Failure::CutBefore].into();
    });
    let remote = auth.remote();
    let (origin, url) = (auth.origin(), remote.url());
    let client = register(&origin);
    let callback = callback_of(&link(&origin, &client, &url));
    assert_eq!(web::param(&callback, "iss").unwrap(), "https://other.example");
    let tokens = redeem(&origin, &client, &url).json();
    assert_eq!(tokens["expires_in"], "3600");
    assert_eq!(refresh(&origin, &client, &url, &tokens["refresh_token"]).status, 502);
    let cut = web::request("POST", &format!("{origin}/token"), &[], "grant_type=refresh_token");
    cut.unwrap_err();
    auth.script(|script| script.registration = Registration::Refused("invalid_client", "no"));
    auth.forget_clients();
    let gone = refresh(&origin, &client, &url, &tokens["refresh_token"]);
    assert_eq!((gone.status, &gone.json()["error"]), (401, &json!("invalid_client")));
    assert!(auth.secrets().iter().any(|secret| secret == VERIFIER));
}

#[test]
fn short_tokens_expire_and_are_counted_when_they_are_shown() {
    let auth = AuthorizationServer::scripted(|script| script.lifetime = Some(1));
    let remote = auth.remote();
    let (origin, url) = (auth.origin(), remote.url());
    let client = register(&origin);
    let tokens = redeem(&origin, &client, &url).json();
    let token = tokens["access_token"].as_str().unwrap();
    assert!(auth.accepts(token));
    auth.wait_expiry();
    assert_eq!(ask(&remote, token).status, 401);
    assert_eq!(auth.expired_shown(), 1);
}

#[test]
fn the_browser_notes_every_link_and_its_person_follows() {
    let site = Server::start(|request, wire| match request.target.as_str() {
        "/start?a=1&b=2" => wire.reply(302, &[("Location", "/end")], b""),
        "/end" => wire.reply(200, &[], b"there"),
        _ => wire.status(404),
    });
    let link = format!("http://{}/start?a=1&b=2", site.address());
    let mut browser = Browser::new();
    for _ in 0..2 {
        let status = std::process::Command::new(browser.command()).arg(&link).status().unwrap();
        assert!(status.success());
    }
    assert_eq!(browser.wait_tabs(2), [link.clone(), link.clone()]);
    assert_eq!(follow(&link).body, "there");
    browser.follow_all();
    assert_eq!(browser.page(1), (200, "there".to_owned()));
}
