//! `--with jwt-bearer`: an assertion from elsewhere for a token (RFC 7523, section 2.1).

use super::{first_error, hint, login, ready, tells, whoami, works_both_ways};
use crate::support::authorization_server::Asked;
use crate::support::bridge::{Bridge, Launch};
use crate::support::home::Home;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use std::sync::Arc;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const ID: &str = "workload-1";
const FLAGS: [&str; 4] = ["--with", "jwt-bearer", "--client-id", ID];

fn assertion(n: usize) -> String {
    let claims = serde_json::json!({ "iss": "cloud", "sub": "pod", "exp": 9_999_999_999_u64 });
    format!("{}5ecret{n}", crate::support::jws::unsigned(&claims))
}

/// Takes the assertion with this number, from a client without a secret.
fn taking(n: usize) -> impl Fn(&Asked) -> Given {
    move |asked| {
        assert_eq!(asked.param("grant_type"), Some(GRANT), "another grant: {asked:?}");
        assert_eq!(asked.param("client_id"), Some(ID));
        assert_eq!(asked.param("client_secret"), None);
        assert_eq!(asked.request.header("authorization"), None);
        assert_eq!(asked.param("client_assertion"), None);
        match asked.param("assertion") {
            Some(shown) if shown == assertion(n) => Given::Token(format!("pod {n}")),
            _ => Given::Error("invalid_grant", "the assertion is not good"),
        }
    }
}

#[test]
fn an_assertion_as_the_secret() {
    let endpoint = TokenEndpoint::start(taking(1));
    let remote = endpoint.remote();
    let home = Arc::new(Home::new("plaintext"));
    let one = assertion(1);
    let flags = [&FLAGS[..], &["--scope", "read write"]].concat();
    let both = works_both_ways(&home, &remote.url(), &flags, &[("--secret-env", &one)]);
    assert_eq!(both, ["pod 1", "pod 1"]);
    for asked in endpoint.asked() {
        assert_eq!(asked.param("scope"), Some("read write"));
        assert_eq!(asked.param("resource"), Some(remote.url().as_str()));
    }
}

#[test]
fn an_endpoint_by_hand_for_a_remote_that_names_none() {
    let endpoint = TokenEndpoint::start(taking(1));
    endpoint.rules(|rules| rules.unpublished = true);
    let remote = endpoint.silent_remote(403);
    let home = Arc::new(Home::new("plaintext"));
    let (one, url) = (assertion(1), endpoint.url());
    let flags = [&FLAGS[..], &["--token-endpoint", &url]].concat();
    let both = works_both_ways(&home, &remote.url(), &flags, &[("--secret-env", &one)]);
    assert_eq!(both, ["pod 1", "pod 1"]);
    for request in remote.requests() {
        assert_eq!(request.target, "/mcp", "all was said: {request:?}");
    }
}

/// A platform replaces the file before the assertion in it expires.
#[test]
fn a_file_is_read_anew_each_time() {
    let endpoint = TokenEndpoint::start(taking(1));
    let remote = endpoint.remote();
    let home = Arc::new(Home::new("plaintext"));
    let file = home.file("assertion", format!("{}\n", assertion(1)));
    let flags = [&FLAGS[..], &["--assertion-file", &file]].concat();
    login(&home, &remote.url(), &flags, "").expect(0);
    let mut bridge = ready(&home, &remote.url(), &[]);
    let mut alone =
        Launch::new(Arc::new(Home::new("memory")), &remote.url()).args(&flags).start().ready();
    for bridge in [&mut bridge, &mut alone] {
        assert_eq!(bridge.whoami(), "pod 1");
    }
    endpoint.decides(taking(2));
    endpoint.tokens.revoke();
    home.file("assertion", format!("{}\n", assertion(2)));
    for bridge in [&mut bridge, &mut alone] {
        assert_eq!(bridge.whoami(), "pod 2");
    }
    for (path, content) in home.files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("5ecret1"), "the assertion is in {}", path.display());
    }
}

#[test]
fn a_file_that_is_gone_is_told_by_name() {
    let endpoint = TokenEndpoint::start(taking(1));
    let remote = endpoint.remote();
    let home = Arc::new(Home::new("plaintext"));
    let file = home.file("assertion", assertion(1));
    let flags = [&FLAGS[..], &["--assertion-file", &file]].concat();
    login(&home, &remote.url(), &flags, "").expect(0);
    endpoint.tokens.revoke();
    std::fs::remove_file(&file).unwrap();
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &[&file]);
}

/// It was made elsewhere, and shown again it is no better.
#[test]
fn an_assertion_that_is_refused_is_shown_once_and_nothing_else_is_tried() {
    let endpoint = TokenEndpoint::start(taking(1));
    let remote = endpoint.remote();
    let home = Arc::new(Home::new("plaintext"));
    let flags = [&FLAGS[..], &["--no-verify"]].concat();
    login(&home, &remote.url(), &flags, &assertion(7)).expect(0);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &["the assertion is not good", &endpoint.server.address().to_string()]);
    let hint = hint(&error);
    for part in ["keyferry login", &remote.url(), "--with jwt-bearer", ID] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
    assert!(!error.to_string().contains("5ecret"), "{error}");
    assert_eq!(endpoint.asked().len(), 1);
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    for status in [401, 403] {
        let endpoint = TokenEndpoint::start(taking(1));
        let remote = endpoint.silent_remote(status);
        let home = Arc::new(Home::new("plaintext"));
        let url = endpoint.url();
        let flags = [&FLAGS[..], &["--token-endpoint", &url]].concat();
        login(&home, &remote.url(), &flags, &assertion(1)).expect(0);
        endpoint.tokens.revoke();
        assert_eq!(whoami(&home, &remote.url(), &[]), "pod 1", "{status}");
        assert_eq!(endpoint.asked().len(), 2, "{status}");
    }
}
