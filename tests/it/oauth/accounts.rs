//! Two people at one remote at once.

use super::live_as;
use crate::support::bridge::initialize_params;
use crate::support::browser::follow;
use crate::support::scene::Scene;
use serde_json::Value;

fn rows(scene: &Scene) -> Vec<Value> {
    let list = scene.home.run(&["list", "--json"], "").expect(0);
    let rows: Value = serde_json::from_str(&list.stdout).expect("JSON");
    rows.as_array().expect("rows").clone()
}

/// Ada is `default`, Bob is `work`.
fn both_signed_in() -> Scene {
    let scene = Scene::scripted(|script| {
        script.id_token = true;
        script.registration_management = true;
    })
    .signed_in();
    scene.auth.script(|script| script.user = "bob");
    scene.login(&["--account", "work"]).expect(0);
    scene
}

#[test]
fn two_first_sign_ins_at_once_are_two_tabs_one_after_the_other() {
    let scene = Scene::unattended();
    let mut ada = scene.bridge().ready();
    let first = scene.browser.link();
    let bob = scene.launch().args(&["--account", "work", "--log-level", "info"]);
    let mut bob = bob.start().ready();
    bob.tool("1", "whoami");
    bob.wait_stderr("another keyferry");
    assert_eq!(scene.browser.tabs().len(), 1);
    follow(&first);
    live_as(&mut ada, "ada");
    let second = scene.browser.wait_tabs(2).remove(1);
    scene.auth.script(|script| script.user = "bob");
    follow(&second);
    assert_eq!(bob.text("1"), "bob scope=-");
    live_as(&mut ada, "ada");
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_eq!(scene.auth.asked("/register").len(), 1);
}

#[test]
fn each_is_listed_with_its_own_identity() {
    let scene = both_signed_in();
    let rows = rows(&scene);
    let identity = |account: &str| {
        let row = rows.iter().find(|row| row["account"] == account);
        row.unwrap_or_else(|| panic!("{rows:?}"))["identity"].to_string()
    };
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(identity("default").contains("ada"), "{rows:?}");
    assert!(identity("work").contains("bob"), "{rows:?}");
    let token = |account: &str| {
        scene.home.run(&["token", &scene.url(), "--account", account], "").expect(0).stdout
    };
    assert_ne!(token("default"), token("work"));
}

#[test]
fn the_logout_of_one_leaves_the_other_alone() {
    let scene = both_signed_in();
    let mut ada = scene.bridge().ready();
    let mut bob = scene.launch().args(&["--account", "work"]).start().ready();
    live_as(&mut ada, "ada");
    live_as(&mut bob, "bob");
    scene.home.run(&["logout", &scene.url(), "--account", "work"], "").expect(0);
    let rows = rows(&scene);
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["account"], "default");
    assert_eq!(scene.auth.clients().len(), 1, "ada's tokens are of that client");
    live_as(&mut ada, "ada");
    scene.auth.revoke_access_tokens();
    live_as(&mut ada, "ada");
    assert_eq!(scene.browser.tabs().len(), 2);
    let token = scene.home.run(&["token", &scene.url(), "--account", "work"], "").expect(3);
    assert!(token.stderr.contains("--account work"), "{}", token.stderr);
    // Bob's bridge notices with its next call, and asks for Bob.
    bob.tool("1", "whoami");
    assert_eq!(bob.text("1"), "bob scope=-");
    assert_eq!(scene.browser.tabs().len(), 3);
    live_as(&mut ada, "ada");
}

#[test]
fn the_logout_of_all_ends_them_all_and_the_client_last() {
    let scene = both_signed_in();
    let done = scene.home.run(&["logout", &scene.url(), "--all-accounts"], "").expect(0);
    for account in ["default", "work"] {
        assert!(done.stderr.contains(&format!("account {account}")), "{}", done.stderr);
    }
    assert!(rows(&scene).is_empty());
    assert_eq!(scene.auth.asked("/revoke").len(), 4);
    assert!(scene.auth.clients().is_empty());
}

/// What one of them was shown is not shown to the other.
#[test]
fn the_last_seen_tools_are_kept_for_each() {
    let scene = both_signed_in();
    let mut ada = scene.bridge().ready();
    assert_eq!(ada.tools(), ["echo", "whoami", "admin"]);
    ada.finish();
    scene.auth.revoke_grants();
    let offline = |account: &str| {
        let mut bridge = scene.launch().args(&["--account", account, "--sign-in", "never"]).start();
        super::initialized(&mut bridge);
        bridge.notify("notifications/initialized", "{}");
        bridge.tools()
    };
    assert_eq!(offline("default"), ["echo", "whoami", "admin"]);
    assert_eq!(offline("work"), ["sign_in"]);
}

/// A client that was named by one of them is not the one that was registered for the other.
#[test]
fn the_logout_of_a_client_known_by_id_leaves_the_registered_one() {
    let scene = Scene::scripted(|script| script.any_port = true).signed_in();
    scene.auth.preregister("known", None, "none", &["http://localhost/oauth/callback"]);
    let port = crate::support::web::free_port();
    let flags = ["--account", "work", "--client-id", "known", "--callback-port", &port];
    scene.login(&flags).expect(0);
    scene.home.run(&["logout", &scene.url(), "--account", "work"], "").expect(0);
    scene.auth.revoke_grants();
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.asked("/register").len(), 1);
}

/// Bob at Ada's link would be Bob in Ada's account.
#[test]
fn the_link_of_one_is_not_offered_to_the_other_as_theirs() {
    let scene = Scene::unattended();
    let _ada = scene.bridge().ready();
    let hers = scene.browser.link();
    let launch = scene.launch().args(&["--account", "work", "--auth-timeout", "1"]);
    let mut bob = launch.start().ready();
    bob.call("1");
    let error = bob.own_error("1", &[-31001]);
    assert_ne!(error["data"]["url"], hers, "{error}");
}

#[test]
fn ten_first_starts_for_two_accounts_are_two_tabs() {
    let scene = Scene::new();
    let start = |account| scene.launch().args(&["--account", account]).start();
    let mut bridges: Vec<_> = (0..5).flat_map(|_| [start("default"), start("work")]).collect();
    for bridge in &bridges {
        bridge.request(r#""init""#, "initialize", &initialize_params("2025-11-25"));
    }
    for bridge in &mut bridges {
        bridge.result(r#""init""#);
        bridge.notify("notifications/initialized", "{}");
        bridge.tool("1", "whoami");
    }
    for bridge in &mut bridges {
        assert_eq!(bridge.text("1"), "ada scope=-");
    }
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_eq!(rows(&scene).len(), 2);
}
