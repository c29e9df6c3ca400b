//! Sign-ins behind a passphrase.

use super::live_as;
use crate::support::bridge::{Launch, initialize_params};
use crate::support::scene::Scene;

const RIGHT: (&str, &str) = ("KEYFERRY_PASSPHRASE", "correct horse 5ecret");

fn launch(scene: &Scene) -> Launch {
    scene.launch().env(RIGHT.0, RIGHT.1)
}

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.home = scene.another_home("passphrase");
    live_as(&mut launch(&scene).start().ready(), "ada");
    scene
}

#[test]
fn the_next_start_renews_and_needs_nobody() {
    let scene = scene();
    scene.auth.revoke_access_tokens();
    let mut bridge = launch(&scene).start().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.refreshed(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
    let ended = bridge.finish();
    assert!(!ended.stderr.contains(RIGHT.1), "{}", ended.stderr);
    assert!(!scene.browser.processes().contains(RIGHT.1));
    scene.nothing_leaked(&[&ended.stderr]);
}

/// No token is spent that could not be read, none is replaced, and no tab is opened.
#[test]
fn a_wrong_or_missing_passphrase_is_an_error_and_loses_nothing() {
    let scene = scene();
    scene.auth.revoke_access_tokens();
    for wrong in [Some("wrong horse"), None] {
        let mut launch = scene.launch();
        if let Some(wrong) = wrong {
            launch = launch.env(RIGHT.0, wrong);
        }
        let mut bridge = launch.args(&["--auth-timeout", "2"]).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let first = bridge.answer("1");
        bridge.call("2");
        let error = bridge.own_error("2", &[-31008]).to_string();
        assert!(!error.contains("horse"), "{error} after {first}");
    }
    assert!(scene.auth.token_requests("refresh_token").is_empty());
    live_as(&mut launch(&scene).start().ready(), "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
}
