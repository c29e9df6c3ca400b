//! Which scope is asked for.

use super::live_as;
use crate::support::scene::Scene;
use serde_json::{Value, json};

struct Case {
    challenge: Option<&'static str>,
    resource: Value,
    server: Value,
    flags: &'static [&'static str],
    expected: Option<&'static str>,
    consent: bool,
}

/// The first that is there: the flag's, the challenge's, the resource's.
#[test]
fn the_scope_is_the_flags_the_challenges_the_resources_or_none() {
    let none = || Value::Null;
    let offline = || json!(["read", "offline_access"]);
    let case = |challenge, resource, server, flags, expected, consent| Case {
        challenge,
        resource,
        server,
        flags,
        expected,
        consent,
    };
    let flag: &[&str] = &["--scope", "a b"];
    for case in [
        case(None, none(), json!(["a", "b"]), &[], None, false),
        case(None, json!(["r", "s"]), none(), &[], Some("r s"), false),
        case(Some("c"), json!(["r", "s"]), none(), &[], Some("c"), false),
        case(Some("c"), json!(["r", "s"]), none(), flag, Some("a b"), false),
        case(None, json!([]), none(), &[], None, false),
        // `offline_access` where the server lists it, and only beside another scope.
        case(None, none(), offline(), &[], None, false),
        case(Some("c"), none(), offline(), &[], Some("c offline_access"), true),
        case(None, json!(["r"]), offline(), &[], Some("r offline_access"), true),
    ] {
        asks_for(&case);
    }
}

#[track_caller]
fn asks_for(case: &Case) {
    let scene = Scene::scripted(|script| {
        script.challenge_scope = case.challenge;
        script.resource_metadata = vec![("scopes_supported", case.resource.clone())];
        script.metadata = vec![("scopes_supported", case.server.clone())];
    });
    let mut bridge = scene.launch().args(case.flags).start().ready();
    live_as(&mut bridge, "ada");
    let [asked] = scene.auth.asked("/authorize").try_into().unwrap();
    assert_eq!(asked.param("scope"), case.expected);
    assert_eq!(asked.param("prompt"), case.consent.then_some("consent"));
    assert_eq!(scene.auth.asked("/register")[0].request.json()["scope"], Value::Null);
}

#[test]
fn a_refresh_token_that_needs_offline_access_is_got() {
    let scene = Scene::scripted(|script| {
        script.refresh_needs_offline_access = true;
        script.challenge_scope = Some("read");
        script.metadata = vec![("scopes_supported", json!(["read", "offline_access"]))];
    });
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// A stored token that does not cover what the flags ask for is not used.
#[test]
fn another_scope_in_the_flags_is_another_sign_in() {
    let scene = Scene::scripted(|script| script.challenge_scope = Some("read")).signed_in();
    let mut bridge = scene.launch().args(&["--scope", "read write"]).start().ready();
    assert_eq!(bridge.whoami(), "ada scope=read write");
    assert_eq!(scene.browser.tabs().len(), 2);
}
