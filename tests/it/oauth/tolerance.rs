//! Token answers as real servers give them, at the sign-in and at a renewal.

use super::live_as;
use crate::support::authorization_server::Shape;
use crate::support::scene::Scene;
use serde_json::{Value, json};

#[track_caller]
fn copes_with(shape: &Shape, name: &str) {
    let scene = Scene::scripted(|script| script.shape = shape.clone());
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    live_as(&mut bridge, "ada");
    assert!(scene.auth.refreshed() >= 1, "{name}");
    assert_eq!(scene.browser.tabs().len(), 1, "{name}");
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr]);
}

#[test]
fn another_status_or_content_type_is_no_obstacle() {
    copes_with(&Shape::status(201), "201");
    for kind in
        ["text/plain", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\""]
    {
        copes_with(&Shape::content_type(kind), kind);
    }
}

#[test]
fn odd_members_are_no_obstacle() {
    let gone = || json!("<gone>");
    for (name, value) in [
        ("expires_in", json!("3600")),
        ("expires_in", json!(3600.5)),
        ("token_type", gone()),
        ("token_type", json!("bearer")),
        ("token_type", json!("BEARER")),
        ("scope", Value::Null),
        ("scope", json!("")),
        ("extra", json!({ "a": [1, { "b": null }] })),
        ("id_token", Value::Null),
        ("error", Value::Null),
    ] {
        copes_with(&Shape::with(name, value.clone()), &format!("{name}: {value}"));
    }
}

#[test]
fn an_odd_lifetime_is_clamped_and_does_not_stop_anything() {
    for value in [json!(0), json!(-5), json!(1e300), json!(u64::MAX), json!(""), json!("soon")] {
        let shape = Shape::with("expires_in", value.clone());
        let scene = Scene::scripted(|script| script.shape = shape);
        let mut bridge = scene.bridge().ready();
        live_as(&mut bridge, "ada");
        live_as(&mut bridge, "ada");
        assert_eq!(scene.browser.tabs().len(), 1, "{value}");
        bridge.finish();
        live_as(&mut scene.bridge().ready(), "ada");
        assert_eq!(scene.browser.tabs().len(), 1, "{value}");
    }
}

/// The one that was there stays.
#[test]
fn a_renewal_that_brings_no_refresh_token_keeps_the_old_one() {
    for value in [Value::Null, json!("<gone>"), json!("")] {
        let scene = Scene::scripted(|script| script.rotates = false).signed_in();
        let shape = Shape::with("refresh_token", value.clone());
        scene.auth.script(|script| script.shape = shape);
        let mut bridge = scene.bridge().ready();
        for turn in 1..=2 {
            scene.auth.revoke_access_tokens();
            live_as(&mut bridge, "ada");
            assert_eq!(scene.auth.refreshed(), turn, "{value}");
        }
        assert_eq!(scene.browser.tabs().len(), 1);
    }
}

/// 6 KB and more are common, and none may be cut.
#[test]
fn long_tokens_are_kept_whole() {
    let scene = Scene::new().signed_in();
    let token = "t".repeat(60_000);
    let shape = Shape::with("access_token", json!(token));
    scene.auth.script(|script| script.shape = shape);
    scene.login(&["--force", "--no-verify"]);
    assert_eq!(scene.token(), token);
}
