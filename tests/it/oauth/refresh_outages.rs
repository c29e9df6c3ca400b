//! A renewal that fails: who is asked again, what is kept.

use super::live_as;
use crate::support::authorization_server::{Failure, redirect_to};
use crate::support::mcp_server::Server;
use crate::support::scene::Scene;
use serde_json::json;

fn stale() -> Scene {
    let scene = Scene::new().signed_in();
    scene.auth.revoke_access_tokens();
    scene
}

/// A call fails while the server is away, and nobody is signed out.
#[test]
fn an_outage_clears_nothing_and_opens_no_tab() {
    for down in ["502", "cut", "redirect"] {
        let scene = stale();
        let elsewhere = Server::start(|_, _| panic!("a refresh token was sent elsewhere"));
        match down {
            "502" => scene.auth.on("/token", |_, wire| wire.status(502)),
            "cut" => scene.auth.on("/token", |_, wire| wire.cut()),
            _ => scene.auth.on("/token", redirect_to(307, &elsewhere.url())),
        }
        let flags = ["--auth-timeout", "1"];
        let mut bridge = scene.launch().args(&flags).start();
        bridge.request("1", "initialize", "{}");
        let first = bridge.answer("1");
        bridge.call("2");
        let error = bridge.error("2").to_string();
        assert!(error.contains(&scene.auth.origin()[7..]), "{down}: {error} after {first}");
        scene.auth.restore("/token");
        drop(bridge);
        live_as(&mut scene.bridge().ready(), "ada");
        assert_eq!(scene.browser.tabs().len(), 1, "{down}");
        assert_eq!(scene.auth.refreshed(), 1, "{down}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_token_that_is_still_good_is_used_while_the_server_is_away() {
    for down in ["503", "cut"] {
        let scene = Scene::new().signed_in();
        // Inside the margin ahead of the end.
        let clock = crate::support::preload::Clock::new();
        clock.set(3600 - 30);
        match down {
            "503" => scene.auth.on("/token", |_, wire| wire.status(503)),
            _ => scene.auth.on("/token", |_, wire| wire.cut()),
        }
        let mut bridge = clock.rules(scene.launch()).start().ready();
        live_as(&mut bridge, "ada");
        // Back in time, it renews.
        scene.auth.restore("/token");
        clock.set(3600 - 5);
        live_as(&mut bridge, "ada");
        assert_eq!(scene.auth.refreshed(), 1, "{down}");
        assert_eq!(scene.browser.tabs().len(), 1, "{down}");
    }
}

/// Every call would wait for a server that is not there.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_away_is_not_asked_with_every_call() {
    let scene = Scene::new().signed_in();
    // Inside the margin ahead of the end.
    let clock = crate::support::preload::Clock::new();
    clock.set(3600 - 30);
    scene.auth.on("/token", |_, wire| wire.status(503));
    let mut bridge = clock.rules(scene.launch()).start().ready();
    for _ in 0..10 {
        live_as(&mut bridge, "ada");
    }
    let asked = scene.auth.token_requests("refresh_token").len();
    assert_eq!(asked, 1, "asked {asked} times");
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// A server that forgives it gives a new one; the person notices nothing.
#[test]
fn an_answer_lost_on_the_wire_is_asked_for_once_more() {
    let scene = stale();
    scene.auth.script(|script| {
        script.grace = true;
        script.failures = [Failure::CutAfter].into();
    });
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.token_requests("refresh_token").len(), 2);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn one_that_is_not_forgiven_leads_to_the_browser() {
    let scene = stale();
    scene.auth.script(|script| script.failures = [Failure::CutAfter].into());
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.token_requests("refresh_token").len(), 2);
    assert_eq!(scene.browser.tabs().len(), 2);
}

#[test]
fn a_refresh_token_that_is_refused_is_marked_and_the_person_asked() {
    let scene = Scene::new().signed_in();
    scene.auth.revoke_grants();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.token_requests("refresh_token").len(), 1, "it was shown again");
    assert_eq!(scene.browser.tabs().len(), 2);
    bridge.finish();
    // What came then is kept.
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.browser.tabs().len(), 2);
}

/// Another process has renewed meanwhile: no one needs a browser.
#[test]
fn a_newer_token_in_the_vault_is_adopted() {
    let scene = Scene::new().signed_in();
    let mut one = scene.bridge().ready();
    let mut other = scene.bridge().ready();
    live_as(&mut one, "ada");
    live_as(&mut other, "ada");
    for turn in 1..=3 {
        scene.auth.revoke_access_tokens();
        live_as(&mut one, "ada");
        live_as(&mut other, "ada");
        assert_eq!(scene.auth.refreshed(), turn);
    }
    assert_eq!(scene.auth.reused(), 0);
}

#[test]
fn an_error_inside_a_200_is_read_as_the_error_it_is() {
    let scene = stale();
    let body = json!({ "error": "invalid_grant", "error_description": "gone for good" });
    scene.auth.script(|script| {
        script.failures = [Failure::Reply(200, "application/json", body.to_string())].into();
    });
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.browser.tabs().len(), 2, "the person has to sign in anew");
}

#[test]
fn what_is_no_answer_at_all_is_an_outage() {
    for (kind, body) in [
        ("text/html", "<html>maintenance</html>".to_owned()),
        ("application/json", String::new()),
        ("application/json", "[]".to_owned()),
        ("application/json", json!({ "access_token": "" }).to_string()),
        ("application/json", json!({ "access_token": "a\nb: c" }).to_string()),
        ("application/json", "[".repeat(100_000)),
    ] {
        let scene = stale();
        scene.auth.on("/token", move |_, wire| {
            wire.reply(200, &[("Content-Type", kind)], body.as_bytes());
        });
        let mut bridge = scene.launch().args(&["--auth-timeout", "1"]).start();
        bridge.request("1", "initialize", "{}");
        bridge.answer("1");
        bridge.call("2");
        bridge.error("2");
        scene.auth.restore("/token");
        drop(bridge);
        live_as(&mut scene.bridge().ready(), "ada");
        assert_eq!(scene.browser.tabs().len(), 1);
    }
}

/// The record stays, and says what it is.
#[test]
fn a_sign_in_that_is_over_is_listed_as_one_that_needs_a_person() {
    let scene = stale();
    scene.auth.revoke_grants();
    let fails = || {
        let mut bridge = scene.launch().args(&["--sign-in", "never"]).start().ready();
        bridge.call("1");
        bridge.own_error("1", &[-31001]);
    };
    fails();
    let list = scene.home.run(&["list"], "").expect(0);
    assert!(list.stdout.contains("sign-in needed"), "{}", list.stdout);
    let rows = scene.home.run(&["list", "--json"], "").expect(0).stdout;
    let rows: serde_json::Value = serde_json::from_str(&rows).expect("JSON");
    assert_eq!(rows[0]["issuer"], scene.auth.issuer(), "{rows}");
    // The dead refresh token is not shown again by anyone.
    fails();
    assert_eq!(scene.auth.token_requests("refresh_token").len(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
    scene.login(&[]).expect(0);
    let list = scene.home.run(&["list"], "").expect(0);
    assert!(!list.stdout.contains("sign-in needed"), "{}", list.stdout);
}
