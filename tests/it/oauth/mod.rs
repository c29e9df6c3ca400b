//! Sign-in, from a URL alone to tools that stay.

mod accounts;
mod again;
mod binding;
mod cached;
mod callback;
#[cfg(target_os = "linux")]
mod clock;
mod device;
mod discovery;
mod elicitation;
mod elicitation_legacy;
mod exit;
mod failures;
#[cfg(target_os = "linux")]
mod full_disk;
mod home_gone;
mod hostile;
mod hostile_metadata;
mod impatience;
#[cfg(target_os = "linux")]
mod keychain;
mod mid_session;
mod never;
mod no_browser;
mod other_flags;
mod reach;
mod refresh;
mod refresh_outages;
mod registration;
mod scopes;
mod several;
mod sign_in;
mod stand_in;
mod stand_in_modern;
mod step_up;
mod taught;
mod tolerance;
mod verbs;

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::Browser;
use crate::support::scene::Scene;
use std::sync::Arc;

/// Initialized against a stand-in, as a client does that sends nothing else yet.
#[track_caller]
fn initialized(bridge: &mut Bridge) -> serde_json::Value {
    bridge.request(r#""init""#, "initialize", &initialize_params("2025-11-25"));
    bridge.result(r#""init""#)
}

/// A bridge whose sign-in has begun, and the link of its tab.
#[track_caller]
fn at_the_door(scene: &Scene, flags: &[&str]) -> (Bridge, String) {
    let tabs = scene.browser.tabs().len();
    let bridge = scene.launch().args(flags).start().ready();
    let link = scene.browser.wait_tabs(tabs + 1).remove(tabs);
    (bridge, link)
}

/// The call of `whoami` is answered as `user`.
#[track_caller]
fn live_as(bridge: &mut Bridge, user: &str) {
    let who = bridge.whoami();
    assert!(who.starts_with(&format!("{user} ")), "{who}");
}

/// A scene whose person has gone: nobody follows a link unasked any more.
fn left_alone(mut scene: Scene) -> Scene {
    scene.browser = Browser::new();
    scene.home = Arc::new(
        Arc::into_inner(scene.home)
            .expect("nobody else's")
            .with("BROWSER", &scene.browser.command()),
    );
    scene
}
