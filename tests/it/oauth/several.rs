//! Several processes, one login.

use super::live_as;
use crate::support::authorization_server::{AuthorizationServer, Failure};
use crate::support::bridge::Bridge;
use crate::support::browser::follow;
use crate::support::scene::Scene;
use std::time::{Duration, Instant};

/// What a call may take when the one before us has died.
const SOON: Duration = Duration::from_secs(2);

fn start(scene: &Scene, count: usize) -> Vec<Bridge> {
    (0..count).map(|_| scene.bridge()).collect()
}

/// Everything is asked before anything is awaited.
#[track_caller]
fn all_live(bridges: &mut [Bridge]) {
    for bridge in &*bridges {
        bridge.request(
            r#""init""#,
            "initialize",
            &crate::support::bridge::initialize_params("2025-11-25"),
        );
    }
    for bridge in &mut *bridges {
        bridge.result(r#""init""#);
        bridge.notify("notifications/initialized", "{}");
        bridge.tool("1", "whoami");
    }
    for bridge in bridges {
        assert_eq!(bridge.text("1"), "ada scope=-");
    }
}

#[test]
fn twenty_bridges_renew_one_expired_token_once() {
    let scene = Scene::scripted(|script| {
        script.lifetime = Some(1);
        script.expired_ends_the_grant = true;
    })
    .signed_in();
    scene.auth.wait_expiry();
    scene.auth.script(|script| script.lifetime = Some(3600));
    let before = scene.auth.refreshed();
    let mut bridges = start(&scene, 20);
    all_live(&mut bridges);
    assert_eq!(scene.auth.refreshed(), before + 1);
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.auth.expired_shown(), 0);
    // Refused in the middle of their sessions, all at once.
    scene.auth.revoke_access_tokens();
    for bridge in &bridges {
        bridge.tool("2", "whoami");
    }
    for bridge in &mut bridges {
        assert_eq!(bridge.text("2"), "ada scope=-");
    }
    assert_eq!(scene.auth.refreshed(), before + 2);
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn ten_first_starts_open_one_tab_and_are_all_live() {
    let scene = Scene::unattended();
    let mut bridges: Vec<_> = (0..10).map(|_| scene.bridge()).collect();
    let link = std::thread::scope(|scope| {
        let link = scope.spawn(|| {
            let link = scene.browser.link();
            follow(&link);
            link
        });
        all_live(&mut bridges);
        link.join().unwrap()
    });
    assert_eq!(scene.browser.tabs(), [link]);
    assert_eq!(scene.auth.asked("/register").len(), 1);
    assert_eq!(scene.auth.asked("/token").len(), 1);
}

#[test]
fn those_who_wait_for_anothers_sign_in_open_no_tab_and_go_live_with_it() {
    let scene = Scene::unattended();
    let holder = scene.bridge().ready();
    let link = scene.browser.link();
    let mut other = scene.launch().args(&["--auth-timeout", "1"]).start().ready();
    other.call("1");
    let error = other.own_error("1", &[-31001]);
    assert_eq!(scene.browser.tabs().len(), 1, "{error}");
    follow(&link);
    live_as(&mut other, "ada");
    drop(holder);
}

#[test]
fn the_holder_of_a_sign_in_dies_and_the_next_opens_a_tab() {
    let scene = Scene::unattended();
    let holder = scene.bridge().ready();
    scene.browser.link();
    let mut others: Vec<_> = (0..3).map(|_| scene.bridge().ready()).collect();
    for other in &mut others {
        other.tool("1", "whoami");
    }
    assert_eq!(scene.browser.tabs().len(), 1);
    let start = Instant::now();
    // Dropped is SIGKILL.
    drop(holder);
    let link = scene.browser.wait_tabs(2).remove(1);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    follow(&link);
    for other in &mut others {
        assert_eq!(other.text("1"), "ada scope=-");
    }
    assert_eq!(scene.browser.tabs().len(), 2);
}

#[test]
fn the_holder_of_a_renewal_dies_and_the_others_go_on() {
    let scene = Scene::new().signed_in();
    scene.auth.revoke_access_tokens();
    scene.auth.script(|script| script.failures = [Failure::Hang].into());
    let holder = scene.bridge();
    holder.request("1", "initialize", "{}");
    scene.auth.wait_asked("/token", 2);
    let mut others: Vec<_> = (0..5).map(|_| scene.bridge()).collect();
    for other in &others {
        other.request(
            r#""init""#,
            "initialize",
            &crate::support::bridge::initialize_params("2025-11-25"),
        );
    }
    let start = Instant::now();
    drop(holder);
    for other in &mut others {
        other.result(r#""init""#);
        other.notify("notifications/initialized", "{}");
        live_as(other, "ada");
    }
    assert!(start.elapsed() < SOON + SOON, "{:?}", start.elapsed());
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn two_accounts_live_side_by_side() {
    let scene = Scene::new().signed_in();
    scene.auth.script(|script| script.user = "bob");
    scene.login(&["--account", "work"]).expect(0);
    let mut ada = scene.bridge().ready();
    let mut bob = scene.launch().args(&["--account", "work"]).start().ready();
    for _ in 0..2 {
        live_as(&mut ada, "ada");
        live_as(&mut bob, "bob");
        scene.auth.revoke_access_tokens();
    }
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_eq!(scene.auth.asked("/register").len(), 1);
}

#[test]
fn a_renewal_of_one_remote_holds_up_no_other() {
    let scene = Scene::new().signed_in();
    let auth = AuthorizationServer::start();
    let other = auth.remote();
    scene.home.run(&["login", &other.url()], "").expect(0);
    scene.auth.revoke_access_tokens();
    auth.revoke_access_tokens();
    scene.auth.script(|script| script.failures = [Failure::Hang].into());
    let held = scene.bridge();
    held.request("1", "initialize", "{}");
    // The sign-in, and the renewal that hangs.
    scene.auth.wait_asked("/token", 2);
    let start = Instant::now();
    live_as(&mut Bridge::start_in(&scene.home, &other.url()).ready(), "ada");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}
