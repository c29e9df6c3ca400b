//! Gone within a second, in every state of a sign-in, and nothing is lost or left.

use super::{at_the_door, live_as};
use crate::support::authorization_server::callback_of;
use crate::support::bridge::Ended;
use crate::support::browser::follow;
use crate::support::http::Wire;
use crate::support::mcp_server::park;
use crate::support::scene::Scene;
use crate::support::web;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

fn gone(mut bridge: crate::support::bridge::Bridge, how: Option<Signal>) -> Ended {
    match how {
        None => bridge.close_stdin(),
        Some(signal) => {
            let pid = Pid::from_raw(bridge.pid().cast_signed()).expect("a pid");
            kill_process(pid, signal).expect("send the signal");
        }
    }
    bridge.wait_exit(AT_ONCE)
}

#[test]
fn while_the_browser_is_open_and_the_next_start_opens_its_own_tab() {
    for how in [None, Some(Signal::TERM), Some(Signal::INT)] {
        let scene = Scene::unattended();
        let (bridge, link) = at_the_door(&scene, &[]);
        bridge.call("1");
        let old = callback_of(&link);
        gone(bridge, how);
        web::connect(&old).expect_err("the port is still held");
        let (mut bridge, link) = at_the_door(&scene, &[]);
        follow(&link);
        live_as(&mut bridge, "ada");
        assert_eq!(scene.browser.tabs().len(), 2);
    }
}

#[test]
fn while_another_process_has_the_browser_open() {
    let scene = Scene::unattended();
    let (mut holder, link) = at_the_door(&scene, &[]);
    let waiting = scene.bridge().ready();
    waiting.call("1");
    gone(waiting, None);
    follow(&link);
    live_as(&mut holder, "ada");
}

/// Half a page, half a request, an open connection.
#[test]
fn while_a_browser_hangs_on_the_listener() {
    let scene = Scene::unattended();
    let (bridge, link) = at_the_door(&scene, &[]);
    let callback = callback_of(&link);
    let _idle = web::connect(&callback).unwrap();
    gone(bridge, None);
}

/// Each place at which a server may leave us hanging.
#[test]
fn while_a_server_does_not_answer() {
    for path in ["/.well-known/oauth-authorization-server", "/register", "/token"] {
        let scene = Scene::new();
        let (handler, parked) = park();
        scene.auth.on(path, handler);
        let bridge = scene.bridge();
        let params = crate::support::bridge::initialize_params("2025-11-25");
        bridge.request("1", "initialize", &params);
        bridge.notify("notifications/initialized", "{}");
        let _held = parked.next();
        gone(bridge, None);
    }
}

#[test]
fn while_a_device_is_waited_for() {
    let scene = Scene::scripted(|script| {
        script.metadata =
            vec![("device_authorization_endpoint", json!("{as}/device_authorization"))];
        script.device_polls = ["authorization_pending"].repeat(100).into();
    });
    let bridge = scene.launch().args(&["--device-code"]).start().ready();
    bridge.call("1");
    scene.auth.wait_asked("/token", 1);
    gone(bridge, None);
}

/// The server has spent the old refresh token: the new one must not be lost.
#[test]
fn while_a_renewal_is_in_flight_which_is_still_kept() {
    let scene = Scene::new().signed_in();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_access_tokens();
    scene.auth.script(|script| script.token_delay = Duration::from_millis(400));
    bridge.call("1");
    scene.auth.wait_asked("/token", 2);
    gone(bridge, None);
    scene.auth.script(|script| script.token_delay = Duration::ZERO);
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.auth.refreshed(), 1, "what came back was thrown away");
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn while_a_renewal_never_comes_back() {
    let scene = Scene::new().signed_in();
    let (handler, parked) = park();
    scene.auth.revoke_access_tokens();
    scene.auth.on("/token", handler);
    let bridge = scene.bridge();
    bridge.request("1", "initialize", "{}");
    let held = parked.next();
    gone(bridge, None);
    drop::<Wire>(held.wire);
    scene.auth.restore("/token");
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// Killed before, in and after the exchange of the code: the vault opens.
#[test]
fn a_kill_in_the_middle_of_a_sign_in_leaves_a_vault_that_opens() {
    for path in ["/register", "/token"] {
        let scene = Scene::new();
        let (handler, parked) = park();
        scene.auth.on(path, handler);
        let bridge = scene.bridge().ready();
        let held = parked.next();
        drop(bridge);
        drop(held);
        scene.auth.restore(path);
        live_as(&mut scene.bridge().ready(), "ada");
        scene.home.run(&["list"], "").expect(0);
    }
}

/// No session is there whose end, and after a signal no grace that, would hold it up anyway.
#[test]
fn while_the_first_renewal_is_in_flight_which_is_still_kept() {
    let scene = Scene::new().signed_in();
    scene.auth.revoke_access_tokens();
    scene.auth.script(|script| script.token_delay = Duration::from_millis(400));
    let bridge = scene.bridge();
    bridge.request("1", "initialize", "{}");
    scene.auth.wait_asked("/token", 2);
    gone(bridge, Some(Signal::TERM));
    let spent = || (scene.auth.refreshed() == 1).then_some(());
    crate::support::browser::wait("the server to have spent the token", spent);
    scene.auth.script(|script| script.token_delay = Duration::ZERO);
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.reused(), 0);
    assert_eq!(scene.auth.refreshed(), 1, "what came back was thrown away");
    assert_eq!(scene.browser.tabs().len(), 1);
}
