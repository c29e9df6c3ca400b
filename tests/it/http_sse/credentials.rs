//! The credential goes to the stream and to the endpoint, and a refusal of either is one of
//! the remote.

use crate::support::authorization_server::{AuthorizationServer, Script};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::{Browser, follow};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::http_sse::{HttpSse, Streams};
use crate::support::mcp_server::{Port, Server};
use crate::support::scene::Scene;

/// A remote behind a sign-in, its endpoint too.
fn remote(auth: &AuthorizationServer) -> (Server, Streams) {
    let whoami = auth.whoami();
    let remote = HttpSse::new()
        .moved("/mcp", "/mcp/messages")
        .endpoint(|path, _| format!("/mcp{path}"))
        .on("tools/call", move |request, wire, _| whoami(request, wire));
    let (handler, streams) = remote.into_handler();
    (auth.guard(Port::reserve(), handler), streams)
}

fn scene(browser: Browser, change: impl FnOnce(&mut Script)) -> (Scene, Streams) {
    let auth = AuthorizationServer::scripted(change);
    let (remote, streams) = remote(&auth);
    (Scene::with(auth, remote, browser), streams)
}

#[test]
fn a_sign_in_leads_to_the_connection() {
    let (scene, streams) = scene(Browser::following(), |_| {});
    let mut bridge = scene.bridge().ready();
    assert!(bridge.whoami().starts_with("ada "));
    assert_eq!(streams.count(), 1);
    let stderr = bridge.finish().stderr;
    scene.nothing_leaked(&[&stderr]);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// Where only stream and endpoint are protected.
#[test]
fn a_refused_stream_begins_the_sign_in() {
    for flags in [&[][..], &["--transport", "sse-only"]] {
        let auth = AuthorizationServer::scripted(|script| script.open = &["initialize"]);
        let (remote, _streams) = remote(&auth);
        let scene = Scene::with(auth, remote, Browser::following());
        let mut bridge = scene.launch().args(flags).start().ready();
        assert!(bridge.whoami().starts_with("ada "));
        assert_eq!(scene.browser.tabs().len(), 1);
    }
}

#[test]
fn a_token_that_is_refused_at_the_endpoint_is_renewed_and_the_call_sent_again() {
    let (scene, streams) = scene(Browser::following(), |_| {});
    let scene = scene.signed_in();
    let mut bridge = scene.bridge().ready();
    assert!(bridge.whoami().starts_with("ada "));
    scene.auth.revoke_access_tokens();
    assert!(bridge.whoami().starts_with("ada "));
    // One of them was the login's.
    assert_eq!((scene.auth.refreshed(), streams.count()), (1, 2));
}

#[test]
fn a_connection_comes_back_with_a_renewed_token() {
    let (scene, streams) = scene(Browser::following(), |_| {});
    let scene = scene.signed_in();
    let mut bridge = scene.bridge().ready();
    assert!(bridge.whoami().starts_with("ada "));
    scene.auth.revoke_access_tokens();
    // The first one was the login's.
    streams.wait(1).cut();
    streams.wait(2);
    bridge.message("notifications/tools/list_changed");
    assert!(bridge.whoami().starts_with("ada "));
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_connection_that_needs_a_person_waits_for_the_call_that_asks_for_one() {
    let (scene, streams) = scene(Browser::new(), |_| {});
    let mut bridge = scene.launch().args(&["--log-level", "info"]).start().ready();
    follow(&scene.browser.link());
    assert!(bridge.whoami().starts_with("ada "));
    scene.auth.revoke_grants();
    streams.wait(0).cut();
    bridge.wait_stderr("connection to the remote was lost");
    bridge.tool("1", "whoami");
    follow(&scene.browser.wait_tabs(2)[1]);
    assert!(bridge.text("1").starts_with("ada "));
    assert_eq!(streams.count(), 2);
}

/// The guard has checked every one: scheme, ath, htu, htm, jti, the key.
#[test]
fn each_request_to_the_endpoint_carries_a_proof_for_it() {
    let (scene, _streams) = scene(Browser::following(), |script| {
        script.dpop = true;
        script.nonces = Some(("of-the-as", "of-the-remote"));
    });
    let scene = scene.signed_in();
    let mut bridge = scene.bridge().ready();
    for _ in 0..3 {
        assert!(bridge.whoami().starts_with("ada "));
    }
    let requests = scene.remote.requests();
    let to_endpoint: Vec<_> =
        requests.iter().filter(|one| one.target.contains("/messages")).collect();
    assert!(to_endpoint.len() >= 5, "{:?}", scene.remote.kinds());
    assert!(to_endpoint.iter().all(|one| one.header("dpop").is_some()));
}

#[test]
fn a_key_goes_to_the_endpoint_on_the_same_origin_and_nowhere_else() {
    let has_key = |request: &Request| request.header("authorization") == Some("Bearer the-key");
    let server = HttpSse::new()
        .first(move |request, wire| {
            if has_key(request) {
                return Some(wire);
            }
            wire.status(401);
            None
        })
        .start();
    let home = Home::new("plaintext").with("THE_KEY", "the-key");
    let flags = ["--with", "api-key", "--secret-env", "THE_KEY", "--log-level", "trace"];
    let mut bridge = home.launch(&server.url()).args(&flags).start().ready();
    bridge.call("1");
    bridge.result("1");
    let stderr = bridge.finish().stderr;
    assert!(server.requests().iter().all(|one| has_key(one)));
    for secret in ["the-key", "secret-0"] {
        assert!(!stderr.contains(secret), "{stderr}");
    }
}

#[test]
fn a_key_that_is_refused_is_told_of() {
    let server = HttpSse::new()
        .first(|_, wire| {
            wire.status(401);
            None
        })
        .start();
    for transport in ["http-first", "sse-only"] {
        let home = Home::new("plaintext").with("THE_KEY", "the-key");
        let flags = ["--with", "api-key", "--secret-env", "THE_KEY", "--transport", transport];
        let mut bridge = home.launch(&server.url()).args(&flags).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        bridge.own_error("1", &[-31001]);
    }
}

/// What a server says of the session is not shown.
#[test]
fn the_address_of_the_endpoint_is_in_no_error() {
    let server = HttpSse::new()
        .on("tools/call", |request, wire, _| {
            let body = format!("cannot serve {}", request.target);
            wire.reply(500, &[("Content-Type", "text/plain")], body.as_bytes());
        })
        .start();
    let home = Home::new("memory");
    let mut bridge: Bridge =
        home.launch(&server.url()).args(&["--log-level", "trace"]).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31004]).to_string();
    assert!(error.contains("cannot serve") && !error.contains("secret-0"), "{error}");
    let stderr = bridge.finish().stderr;
    assert!(!stderr.contains("secret-0"), "{stderr}");
}

#[test]
fn a_login_verifies_its_key_over_the_connection() {
    let server = HttpSse::new()
        .first(|request, wire| {
            if request.header("authorization") == Some("Bearer good-key") {
                return Some(wire);
            }
            // The stream alone is protected, as is the endpoint.
            if request.target == "/mcp" && request.method == "POST" {
                return Some(wire);
            }
            wire.status(401);
            None
        })
        .start();
    let home = Home::new("plaintext");
    let args = ["login", &server.url(), "--with", "api-key"];
    let done = home.run(&args, "good-key").expect(0);
    assert!(done.stderr.contains("shows 1 tool"), "{}", done.stderr);
    assert!(!done.stderr.contains("secret-"), "{}", done.stderr);
    let done = home.run(&args, "wrong-key").expect(3);
    assert!(done.stderr.contains("refused the credential"), "{}", done.stderr);
}
