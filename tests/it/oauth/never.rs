//! `--sign-in never`: nothing begins by itself, and what a person does elsewhere is noticed.

use super::{initialized, live_as};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::Browser;
use crate::support::scene::Scene;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(2);

fn never(scene: &Scene) -> Bridge {
    scene.launch().args(&["--sign-in", "never"]).start()
}

#[test]
fn lists_are_answered_at_once_and_the_tool_says_what_to_do() {
    let scene = Scene::new();
    let mut bridge = never(&scene);
    initialized(&mut bridge);
    bridge.notify("notifications/initialized", "{}");
    let start = Instant::now();
    assert_eq!(bridge.tools(), ["sign_in"]);
    assert!(start.elapsed() < SOON, "{:?}: nobody could come", start.elapsed());
    bridge.tool("1", "sign_in");
    let answer = bridge.answer("1").to_string();
    assert!(answer.contains("keyferry login"), "{answer}");
    assert!(scene.browser.tabs().is_empty());
    assert!(scene.auth.asked("/register").is_empty());
}

#[test]
fn a_login_elsewhere_makes_the_next_call_work() {
    let scene = Scene::new();
    let mut bridge = never(&scene);
    initialized(&mut bridge);
    bridge.notify("notifications/initialized", "{}");
    bridge.call("1");
    bridge.own_error("1", &[-31001]);
    scene.login(&[]).expect(0);
    live_as(&mut bridge, "ada");
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_sign_in_that_ends_later_is_an_error_and_no_tab() {
    let scene = Scene::new().signed_in();
    let mut bridge = never(&scene).ready();
    live_as(&mut bridge, "ada");
    // Renewed without anybody.
    scene.auth.revoke_access_tokens();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_grants();
    let start = Instant::now();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]).to_string();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(error.contains("keyferry login"), "{error}");
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_further_scope_is_an_error_and_no_tab() {
    let scene = Scene::scripted(|script| {
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin")];
    })
    .signed_in();
    let mut bridge = never(&scene).ready();
    bridge.tool("1", "admin");
    let error = bridge.own_error("1", &[-31001]).to_string();
    assert!(error.contains("admin"), "{error}");
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_modern_client_is_told_the_same() {
    let scene = Scene::modern(AuthorizationServer::start(), Browser::following());
    let mut bridge = never(&scene);
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    bridge.request("1", "server/discover", &format!("{{{meta}}}"));
    bridge.result("1");
    let start = Instant::now();
    bridge.request("2", "tools/list", &format!("{{{meta}}}"));
    assert_eq!(bridge.tool_names("2"), ["sign_in"]);
    let call = format!(r#"{{"name":"whoami","arguments":{{}},{meta}}}"#);
    bridge.request("3", "tools/call", &call);
    bridge.own_error("3", &[-31001]);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert!(scene.browser.tabs().is_empty());
    scene.login(&[]).expect(0);
    bridge.request("4", "tools/call", &call);
    assert_eq!(bridge.text("4"), "ada scope=-");
}

/// It was never signed in, whoever the client is.
#[test]
fn no_message_of_a_legacy_client_begins_anything() {
    let scene = Scene::new();
    for version in ["2025-11-25", "2025-03-26", "2024-11-05"] {
        let mut bridge = never(&scene);
        bridge.request("1", "initialize", &initialize_params(version));
        bridge.result("1");
        bridge.notify("notifications/initialized", "{}");
        for (id, method) in [("2", "prompts/list"), ("3", "resources/list"), ("4", "ping")] {
            bridge.request(id, method, "{}");
            bridge.result(id);
        }
        bridge.request("5", "resources/read", r#"{"uri":"a:b"}"#);
        bridge.own_error("5", &[-31001]);
    }
    assert!(scene.browser.tabs().is_empty());
    assert!(scene.auth.asked("/register").is_empty());
}
