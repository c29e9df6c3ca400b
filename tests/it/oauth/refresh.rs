//! Tokens are renewed ahead of their end, on refusal, and at start.

use super::live_as;
use crate::support::authorization_server::{AuthorizationServer, Shape};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::scene::Scene;
use serde_json::json;
use std::time::{Duration, Instant};

/// One real server deletes the refresh token when an expired access token is shown.
#[test]
fn an_expired_token_is_renewed_at_start_and_never_shown() {
    let scene = Scene::scripted(|script| {
        script.lifetime = Some(1);
        script.expired_ends_the_grant = true;
    })
    .signed_in();
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    let before = scene.auth.refreshed();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.expired_shown(), 0);
    assert_eq!(scene.auth.refreshed(), before + 1);
    assert_eq!(scene.browser.tabs().len(), 1);
    let refresh = scene.auth.token_requests("refresh_token").pop().unwrap();
    assert_eq!(refresh.param("resource"), Some(scene.url().as_str()));
    assert_eq!(refresh.param("scope"), None, "none was granted or asked for");
}

/// Neither a refusal nor a renewal with every request.
#[test]
fn short_tokens_are_renewed_ahead_of_their_end_and_not_more_often() {
    let scene = Scene::scripted(|script| {
        script.lifetime = Some(2);
        script.expired_ends_the_grant = true;
    })
    .signed_in();
    let start = Instant::now();
    let mut bridge = scene.bridge().ready();
    let mut calls = 0;
    while start.elapsed() < Duration::from_secs(4) {
        live_as(&mut bridge, "ada");
        calls += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(scene.auth.expired_shown(), 0);
    assert_eq!(scene.auth.reused(), 0);
    let refreshed = scene.auth.refreshed();
    assert!((2..=5).contains(&refreshed), "{refreshed} renewals in {calls} calls");
    // None of them was lost.
    bridge.finish();
    scene.auth.wait_expiry();
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_token_that_is_refused_before_its_time_is_renewed_and_the_call_answered() {
    let scene = Scene::scripted(|script| script.challenge_scope = Some("read")).signed_in();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    for id in 0..20 {
        bridge.tool(&id.to_string(), "whoami");
    }
    for id in 0..20 {
        assert_eq!(bridge.text(&id.to_string()), "ada scope=read");
    }
    assert_eq!(scene.auth.refreshed(), 1, "20 refusals of one token are one renewal");
    let [refresh] = scene.auth.token_requests("refresh_token").try_into().unwrap();
    assert_eq!(refresh.param("scope"), Some("read"), "what was granted");
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// More than was granted would be refused; what a server leaves unsaid is what was asked for.
#[test]
fn a_renewal_asks_for_the_scope_that_was_granted() {
    for (granted, said, expected) in [
        (Some("read"), true, "read"),
        (None, false, "read write"),
        (Some("read write admin"), true, "read write admin"),
    ] {
        let scene = Scene::scripted(|script| {
            script.challenge_scope = Some("read write");
            script.grants_only = granted;
            if !said {
                script.shape = Shape::with("scope", json!("<gone>"));
            }
        })
        .signed_in();
        let mut bridge = scene.bridge().ready();
        for turn in 1..=2 {
            scene.auth.revoke_access_tokens();
            live_as(&mut bridge, "ada");
            assert_eq!(scene.auth.refreshed(), turn);
        }
        for refresh in scene.auth.token_requests("refresh_token") {
            assert_eq!(refresh.param("scope"), Some(expected));
        }
        assert_eq!(scene.browser.tabs().len(), 1);
    }
}

#[test]
fn a_token_without_a_lifetime_is_renewed_when_it_is_refused() {
    let scene = Scene::scripted(|script| {
        script.lifetime = None;
        script.good_for = Some(Duration::from_secs(1));
    })
    .signed_in();
    live_as(&mut scene.bridge().ready(), "ada");
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.good_for = None);
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.auth.expired_shown(), 1, "nobody could know");
}

#[test]
fn a_rotated_refresh_token_outlives_a_killed_bridge() {
    let scene = Scene::new().signed_in();
    for turn in 1..=3 {
        scene.auth.revoke_access_tokens();
        let mut bridge = scene.bridge().ready();
        live_as(&mut bridge, "ada");
        assert_eq!(scene.auth.refreshed(), turn);
        // Dropped is killed, in the middle of whatever it does.
        drop(bridge);
    }
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_server_that_keeps_the_refresh_token_is_served_as_well() {
    let scene = Scene::scripted(|script| script.rotates = false).signed_in();
    let mut bridge = scene.bridge().ready();
    for turn in 1..=3 {
        scene.auth.revoke_access_tokens();
        live_as(&mut bridge, "ada");
        assert_eq!(scene.auth.refreshed(), turn);
    }
}

#[test]
fn without_a_refresh_token_the_person_is_asked_again() {
    let scene = Scene::scripted(|script| script.refresh_tokens = false).signed_in();
    scene.auth.revoke_access_tokens();
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.browser.tabs().len(), 2);
    assert!(scene.auth.token_requests("refresh_token").is_empty());
}

/// What is forbidden stays forbidden with a new token.
#[test]
fn a_403_of_a_fresh_token_is_the_answer() {
    let auth = AuthorizationServer::start();
    let remote =
        Legacy::new().sessions(&Sessions::default()).on("tools/call", |_, wire| wire.status(403));
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, crate::support::browser::Browser::following());
    let scene = scene.signed_in();
    let mut bridge = scene.bridge().ready();
    bridge.call("1");
    bridge.own_error("1", &[-31004]);
    assert_eq!(scene.auth.refreshed(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// Cloudflare Workers answer a wrong or expired token so.
#[test]
fn a_403_without_a_challenge_past_the_tokens_time_leads_to_one_renewal() {
    let auth = AuthorizationServer::scripted(|script| script.lifetime = Some(2));
    let whoami = auth.whoami();
    let first = std::sync::atomic::AtomicBool::new(true);
    let remote =
        Legacy::new().sessions(&Sessions::default()).on("tools/call", move |request, wire| {
            if first.swap(false, std::sync::atomic::Ordering::SeqCst) {
                // The token dies on the way.
                std::thread::sleep(Duration::from_millis(2100));
                return wire.status(403);
            }
            whoami(request, wire);
        });
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, crate::support::browser::Browser::following());
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert!(scene.auth.refreshed() >= 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_403_without_a_challenge_before_the_tokens_time_is_the_answer() {
    let scene = Scene::scripted(|script| {
        script.lifetime = Some(60);
        script.good_for = Some(Duration::from_millis(100));
        script.expired_is_403 = true;
    });
    scene.login(&["--no-verify"]);
    scene.auth.wait_expiry();
    let mut bridge = scene.bridge();
    bridge.request("1", "initialize", "{}");
    bridge.error("1");
    assert_eq!(scene.auth.refreshed(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn the_get_stream_and_the_end_of_a_session_carry_the_newest_token() {
    let scene = Scene::new().signed_in();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    live_as(&mut bridge, "ada");
    bridge.finish();
    let ends = scene.remote.of("DELETE");
    let end = ends.last().expect("the session was ended");
    let newest = scene.auth.secrets();
    let newest = newest.iter().rfind(|secret| secret.starts_with("access-")).unwrap();
    assert_eq!(end.header("authorization"), Some(format!("Bearer {newest}").as_str()));
}
