//! A call that needs more than was granted.

use super::{at_the_door, live_as};
use crate::support::authorization_server::{AuthorizationServer, Consent};
use crate::support::browser::{Browser, follow};
use crate::support::scene::Scene;

fn scene() -> Scene {
    Scene::scripted(|script| {
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin")];
    })
}

fn scopes(text: Option<&str>) -> Vec<&str> {
    let mut scopes: Vec<_> = text.unwrap_or_default().split(' ').collect();
    scopes.sort_unstable();
    scopes
}

#[test]
fn more_scope_is_one_visit_for_the_union_and_the_call_is_answered() {
    let scene = scene();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    bridge.tool("1", "admin");
    assert_eq!(bridge.text("1"), "ok");
    let asked = scene.auth.asked("/authorize");
    assert_eq!(asked.len(), 2);
    assert_eq!(scopes(asked[1].param("scope")), ["admin", "read"]);
    assert_eq!(scene.browser.tabs().len(), 2);
    // Both in one token, kept.
    live_as(&mut bridge, "ada");
    bridge.finish();
    let mut bridge = scene.bridge().ready();
    bridge.tool("1", "admin");
    assert_eq!(bridge.text("1"), "ok");
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_eq!(scene.auth.asked("/register").len(), 1);
}

#[test]
fn a_step_up_that_is_refused_is_an_error_of_that_call_only() {
    let scene = scene();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.script(|script| script.consent = Consent::Error("access_denied", "not for you"));
    bridge.tool("1", "admin");
    let error = bridge.own_error("1", &[-31001, -31004]).to_string();
    assert!(error.contains("access_denied") || error.contains("not for you"), "{error}");
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 2);
    bridge.finish();
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.browser.tabs().len(), 2);
}

#[test]
fn a_server_that_never_has_enough_is_given_up() {
    let scene = scene();
    scene.auth.script(|script| script.grants_only = Some("read"));
    let mut bridge = scene.launch().args(&["--auth-timeout", "5"]).start().ready();
    live_as(&mut bridge, "ada");
    bridge.tool("1", "admin");
    let error = bridge.own_error("1", &[-31001, -31004]).to_string();
    assert!(error.contains("admin"), "{error}");
    assert!(scene.browser.tabs().len() <= 4, "{:?}", scene.browser.tabs().len());
    live_as(&mut bridge, "ada");
}

/// One visit, then the answer stays what it is, also for the next call and process.
#[test]
fn what_was_asked_for_in_vain_is_not_asked_for_again() {
    let scene = scene();
    scene.auth.script(|script| script.grants_only = Some("read"));
    for _ in 0..2 {
        let mut bridge = scene.bridge().ready();
        live_as(&mut bridge, "ada");
        for id in ["1", "2"] {
            bridge.tool(id, "admin");
            let error = bridge.own_error(id, &[-31001, -31004]).to_string();
            assert!(error.contains("admin"), "{error}");
        }
    }
    assert_eq!(scene.browser.tabs().len(), 2);
}

#[test]
fn many_calls_that_need_more_are_one_visit() {
    let scene = scene();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    for id in 0..8 {
        bridge.tool(&id.to_string(), "admin");
    }
    for id in 0..8 {
        assert_eq!(bridge.text(&id.to_string()), "ok");
    }
    assert_eq!(scene.browser.tabs().len(), 2);
}

#[test]
fn several_processes_that_need_more_are_one_visit() {
    let scene = scene().signed_in();
    let mut bridges: Vec<_> = (0..4).map(|_| scene.bridge().ready()).collect();
    for bridge in &mut bridges {
        live_as(bridge, "ada");
    }
    for bridge in &bridges {
        bridge.tool("1", "admin");
    }
    for bridge in &mut bridges {
        assert_eq!(bridge.text("1"), "ok");
    }
    assert_eq!(scene.browser.tabs().len(), 2);
    assert_eq!(scene.auth.reused(), 0);
}

/// Two permissions, one after the other: neither is lost for the other.
#[test]
fn each_step_keeps_what_was_granted_before() {
    let scene = Scene::scripted(|script| {
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin"), ("echo", "echo:all")];
    });
    let mut bridge = scene.bridge().ready();
    bridge.tool("1", "admin");
    assert_eq!(bridge.text("1"), "ok");
    bridge.tool("2", "echo");
    assert_eq!(bridge.text("2"), "ok");
    let asked = scene.auth.asked("/authorize").pop().unwrap();
    assert_eq!(scopes(asked.param("scope")), ["admin", "echo:all", "read"]);
    scene.auth.revoke_access_tokens();
    bridge.tool("3", "admin");
    assert_eq!(bridge.text("3"), "ok");
    assert_eq!(scene.browser.tabs().len(), 3);
    // A sign-in that is over is begun anew with all of them.
    scene.auth.revoke_grants();
    bridge.tool("4", "echo");
    assert_eq!(bridge.text("4"), "ok");
    bridge.tool("5", "admin");
    assert_eq!(bridge.text("5"), "ok");
    assert_eq!(scene.browser.tabs().len(), 4);
}

#[test]
fn other_calls_go_on_while_the_person_decides() {
    let auth = AuthorizationServer::scripted(|script| {
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin")];
    });
    let scene = Scene::of(auth, Browser::new());
    let (mut bridge, link) = at_the_door(&scene, &[]);
    follow(&link);
    live_as(&mut bridge, "ada");
    bridge.tool("1", "admin");
    let link = scene.browser.wait_tabs(2).remove(1);
    live_as(&mut bridge, "ada");
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    follow(&link);
    assert_eq!(bridge.text("1"), "ok");
}

/// Nobody came.
#[test]
fn a_step_up_without_an_answer_ends_with_the_link() {
    let auth = AuthorizationServer::scripted(|script| {
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin")];
    });
    let scene = Scene::of(auth, Browser::new());
    let (mut bridge, link) = at_the_door(&scene, &["--auth-timeout", "1"]);
    follow(&link);
    live_as(&mut bridge, "ada");
    bridge.tool("1", "admin");
    let error = bridge.own_error("1", &[-31001]);
    assert_eq!(error["data"]["url"], scene.browser.wait_tabs(2)[1], "{error}");
    live_as(&mut bridge, "ada");
}
