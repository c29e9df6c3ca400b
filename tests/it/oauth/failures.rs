//! Every sign-in that fails tells the client why, within its time.

use super::live_as;
use crate::support::authorization_server::{Consent, Failure, Registration, Script};
use crate::support::mcp_server::Port;
use crate::support::scene::Scene;
use crate::support::web::free_port;
use serde_json::json;
use std::time::{Duration, Instant};

/// The first call that can know gets an error that names each of `causes`.
#[track_caller]
fn names(scene: &Scene, flags: &[&str], causes: &[&str]) -> String {
    let start = Instant::now();
    let mut bridge = scene.launch().args(flags).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001, -31002, -31004]).to_string();
    assert!(start.elapsed() < Duration::from_secs(45), "{:?}", start.elapsed());
    for cause in causes {
        assert!(error.contains(cause), "no {cause:?} in {error}");
    }
    // The bridge goes on.
    bridge.request("2", "ping", "{}");
    bridge.answer("2");
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr, &error]);
    error
}

fn failing(change: impl FnOnce(&mut Script)) -> Scene {
    Scene::scripted(change)
}

#[test]
fn a_person_who_says_no() {
    let scene = failing(|script| script.consent = Consent::Error("access_denied", "I will not"));
    names(&scene, &[], &["access_denied", "I will not"]);
    let (_, page) = scene.browser.page(0);
    assert!(page.contains("access_denied"), "{page}");
    assert!(scene.auth.asked("/token").is_empty());
}

#[test]
fn any_other_error_of_the_authorization_endpoint() {
    for error in ["invalid_scope", "server_error", "temporarily_unavailable", "invalid_target"] {
        let scene = failing(|script| script.consent = Consent::Error(error, "because of that"));
        names(&scene, &[], &[error, "because of that"]);
    }
}

#[test]
fn a_registration_that_is_refused() {
    let scene = failing(|script| {
        script.registration = Registration::Refused("invalid_redirect_uri", "only our own");
    });
    names(&scene, &[], &["invalid_redirect_uri", "only our own", "--client-id"]);
    assert!(scene.browser.tabs().is_empty());
}

#[test]
fn a_server_that_registers_nobody() {
    let scene = failing(|script| script.registration = Registration::Off);
    names(&scene, &[], &["--client-id"]);
    assert!(scene.browser.tabs().is_empty());
}

#[test]
fn a_registration_that_answers_nonsense() {
    for (status, body) in [
        (201, "{}"),
        (200, "not json"),
        (201, r#"{"client_id":""}"#),
        (403, "<html>forbidden</html>"),
        (500, ""),
    ] {
        let scene = Scene::new();
        scene.auth.on("/register", move |_, wire| {
            wire.reply(status, &[("Content-Type", "application/json")], body.as_bytes());
        });
        names(&scene, &[], &["regist"]);
        assert!(scene.browser.tabs().is_empty());
    }
}

#[test]
fn an_authorization_server_that_is_not_there() {
    let dead = Port::reserve();
    let scene = failing(|script| {
        script.resource_metadata = vec![("authorization_servers", json!([dead.origin()]))];
    });
    names(&scene, &[], &[&dead.origin()[7..]]);
}

#[test]
fn an_authorization_server_that_says_500() {
    let scene = Scene::new();
    scene.auth.on("/.well-known/oauth-authorization-server", |_, wire| wire.status(500));
    names(&scene, &[], &[&scene.auth.origin()[7..]]);
}

/// Its own error page is the end of that road: no callback ever comes.
#[test]
fn a_client_that_the_server_does_not_know() {
    let scene = Scene::new();
    let flags = ["--client-id", "stranger", "--callback-port", &free_port(), "--auth-timeout", "2"];
    let error = names(&scene, &flags, &[&scene.auth.origin()]);
    assert!(error.contains("\"url\""), "{error}");
    let (status, page) = scene.browser.page(0);
    assert_eq!((status, page.contains("unknown client")), (400, true));
}

#[test]
fn a_redirect_uri_that_is_not_registered() {
    let scene = Scene::new();
    scene.auth.preregister("known", None, "none", &["http://localhost:1/other"]);
    let flags = ["--client-id", "known", "--callback-port", &free_port(), "--auth-timeout", "2"];
    names(&scene, &flags, &[&scene.auth.origin()]);
    assert_eq!(scene.browser.page(0).0, 400);
}

#[test]
fn a_token_endpoint_that_refuses_the_code() {
    for (error, text) in [
        ("invalid_grant", "that code is old"),
        ("invalid_client", "who are you"),
        ("unauthorized_client", "not with this"),
        ("invalid_target", "no such resource"),
    ] {
        let scene = failing(|script| {
            script.failures = std::iter::repeat_n(Failure::Error(error, text), 10).collect();
        });
        names(&scene, &["--auth-timeout", "10"], &[error, text]);
        let (_, page) = scene.browser.page(0);
        assert!(page.contains(error), "the page claims success: {page}");
    }
}

#[test]
fn a_token_endpoint_that_is_down() {
    for failure in [Failure::Status(503), Failure::CutBefore] {
        let scene = failing(|script| {
            script.failures = std::iter::repeat_n(failure, 20).collect();
        });
        names(&scene, &["--auth-timeout", "10"], &[&scene.auth.origin()[7..]]);
    }
}

#[test]
fn a_wrong_client_secret() {
    let scene = failing(|script| script.any_port = true);
    let uris = ["http://localhost/oauth/callback"];
    scene.auth.preregister("known", Some("right"), "client_secret_post", &uris);
    let file = scene.home.file("secret", "wr0ng-5ecret");
    let flags = [
        "--client-id",
        "known",
        "--secret-file",
        &file,
        "--callback-port",
        &free_port(),
        "--auth-timeout",
        "10",
    ];
    let error = names(&scene, &flags, &["invalid_client"]);
    assert!(!error.contains("wr0ng-5ecret"), "{error}");
    assert!(scene.auth.asked("/register").is_empty());
}

/// The remote does not take what its own authorization server gives.
#[test]
fn a_remote_that_refuses_every_token() {
    let scene = failing(|script| script.good_for = Some(Duration::ZERO));
    let error = names(&scene, &["--auth-timeout", "10"], &[]);
    assert!(error.contains(&scene.remote.address().to_string()), "{error}");
    let tabs = scene.browser.tabs().len();
    assert!(tabs <= 4, "{tabs} tabs");
}

#[test]
fn after_a_failure_that_was_mended_the_next_call_works() {
    let scene = failing(|script| script.registration = Registration::Refused("x", "not yet"));
    let mut bridge = scene.bridge().ready();
    bridge.call("1");
    bridge.own_error("1", &[-31001]);
    scene.auth.script(|script| script.registration = Registration::Open);
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
}
