//! A sign-in that is over in the middle of a session, and the next one.

use super::live_as;
use crate::support::browser::follow;
use crate::support::scene::Scene;

/// Live once, and then worth nothing any more.
fn over(flags: &[&str]) -> (Scene, crate::support::bridge::Bridge) {
    let scene = Scene::unattended();
    let mut first = scene.bridge().ready();
    follow(&scene.browser.link());
    live_as(&mut first, "ada");
    // What it saw is kept when it has ended.
    first.tools();
    first.finish();
    let mut bridge = scene.launch().args(flags).start().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    scene.auth.revoke_grants();
    (scene, bridge)
}

/// They may be out of date; the client is told to look again.
#[test]
fn lists_that_were_answered_here_are_announced_when_the_remote_is_back() {
    let (scene, mut bridge) = over(&[]);
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    bridge.request("1", "prompts/list", "{}");
    bridge.answer("1");
    assert_eq!(scene.browser.tabs().len(), 1, "a list opens nothing here");
    bridge.tool("2", "whoami");
    follow(&scene.browser.wait_tabs(2)[1]);
    assert_eq!(bridge.text("2"), "ada scope=-");
    bridge.message("notifications/tools/list_changed");
    bridge.message("notifications/prompts/list_changed");
    assert_eq!(scene.browser.tabs().len(), 2);
}

/// The session of before is still there, and so is what the client set in it.
#[test]
fn the_session_goes_on_with_the_new_token() {
    let (scene, mut bridge) = over(&[]);
    let session = |kind: &str| {
        let last = scene.remote.of(kind).pop().expect("a request");
        last.header("mcp-session-id").map(str::to_owned)
    };
    let before = session("tools/call");
    let handshakes = scene.remote.of("initialize").len();
    bridge.tool("1", "whoami");
    follow(&scene.browser.wait_tabs(2)[1]);
    assert_eq!(bridge.text("1"), "ada scope=-");
    assert_eq!(session("tools/call"), before);
    assert_eq!(scene.remote.of("initialize").len(), handshakes);
}

#[test]
fn a_call_that_nobody_signs_in_for_ends_with_the_link_and_the_next_joins() {
    let (scene, mut bridge) = over(&["--auth-timeout", "1"]);
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]);
    let link = scene.browser.wait_tabs(2).remove(1);
    assert_eq!(error["data"]["url"], link, "{error}");
    bridge.call("2");
    bridge.own_error("2", &[-31001]);
    assert_eq!(scene.browser.tabs().len(), 2);
    follow(&link);
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.token_requests("refresh_token").len(), 1);
}
