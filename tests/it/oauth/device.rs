//! Signing in on another machine (RFC 8628).

use super::live_as;
use crate::support::authorization_server::{Script, USER_CODE};
use crate::support::bridge::Launch;
use crate::support::scene::Scene;
use serde_json::json;
use std::time::{Duration, Instant};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn offered(script: &mut Script) {
    script.metadata = vec![
        ("device_authorization_endpoint", json!("{as}/device_authorization")),
        ("grant_types_supported", json!(["authorization_code", "refresh_token", DEVICE])),
    ];
}

fn scene(polls: &[&'static str]) -> Scene {
    Scene::scripted(|script| {
        offered(script);
        script.challenge_scope = Some("read");
        script.device_polls = polls.to_vec().into();
    })
}

#[test]
fn login_shows_the_code_and_waits_for_the_approval() {
    let scene = scene(&["authorization_pending"]);
    let done = scene.login(&["--with", "device"]).expect(0);
    assert!(done.stderr.contains(USER_CODE), "{}", done.stderr);
    assert!(done.stderr.contains(&format!("{}/device", scene.auth.origin())), "{}", done.stderr);
    assert!(scene.auth.asked("/authorize").is_empty());
    let [asked] = scene.auth.asked("/device_authorization").try_into().unwrap();
    assert_eq!(asked.param("scope"), Some("read"));
    assert_eq!(asked.param("resource"), Some(scene.url().as_str()));
    let polls = scene.auth.token_requests(DEVICE);
    assert_eq!(polls.len(), 2);
    scene.nothing_leaked(&[&done.stderr, &done.stdout]);
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.refreshed(), 1);
}

#[test]
fn a_bridge_shows_the_code_too_and_goes_live() {
    let scene = scene(&["authorization_pending", "authorization_pending"]);
    let mut bridge = scene.launch().args(&["--device-code"]).start().ready();
    bridge.request("1", "tools/list", "{}");
    bridge.wait_stderr(USER_CODE);
    bridge.tool("2", "whoami");
    assert_eq!(bridge.text("2"), "ada scope=read");
    bridge.result("1");
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr]);
}

/// Five seconds more between two questions, which the server checks.
#[test]
fn slow_down_is_heeded() {
    let scene = scene(&["slow_down"]);
    let start = Instant::now();
    scene.login(&["--with", "device", "--no-verify"]).expect(0);
    assert!(start.elapsed() > Duration::from_secs(6), "{:?}", start.elapsed());
}

#[test]
fn a_denied_or_expired_code_is_an_error_of_that_name() {
    for (error, named) in [("access_denied", "denied"), ("expired_token", "expired")] {
        let scene = scene(&[error]);
        let done = scene.login(&["--with", "device"]).expect_one_of(&[1, 3]);
        assert!(done.stderr.contains(named), "{}", done.stderr);
        assert!(scene.home.run(&["list"], "").expect(0).stdout.is_empty());
    }
    // The server never says so, but its time is over.
    let scene = Scene::scripted(|script| {
        offered(script);
        script.device_expires_in = 2;
        script.device_polls = ["authorization_pending"].repeat(50).into();
    });
    let done = scene.login(&["--with", "device"]).expect_one_of(&[1, 3]);
    assert!(done.stderr.contains("expired"), "{}", done.stderr);
}

#[test]
fn an_outage_between_two_questions_is_not_the_end() {
    use crate::support::authorization_server::Failure;
    let scene = scene(&["authorization_pending"]);
    scene.auth.script(|script| {
        script.failures = [Failure::Status(503), Failure::CutBefore].into();
    });
    scene.login(&["--with", "device", "--no-verify"]).expect(0);
}

#[test]
fn under_ssh_the_device_is_chosen_and_that_is_said() {
    let scene = scene(&[]);
    let home = scene.another_home("plaintext");
    let mut bridge = Launch::new(home, &scene.url())
        .env("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
        .env("SSH_TTY", "/dev/pts/0")
        .env("BROWSER", "")
        .start()
        .ready();
    live_as(&mut bridge, "ada");
    assert!(scene.auth.asked("/authorize").is_empty());
    let stderr = bridge.stderr();
    assert!(stderr.contains("SSH"), "{stderr}");
    assert!(stderr.contains(USER_CODE), "{stderr}");
}

#[test]
fn a_server_that_offers_no_device_grant_is_named() {
    let scene = Scene::new();
    let done = scene.login(&["--with", "device"]).expect_one_of(&[1, 3]);
    assert!(done.stderr.contains("device"), "{}", done.stderr);
    let mut bridge =
        scene.launch().args(&["--with", "device", "--auth-timeout", "5"]).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001, -31004]).to_string();
    assert!(error.contains("device"), "{error}");
}
