//! Metadata is kept as long as its server allows, and never past a failure.

use super::live_as;
use crate::support::authorization_server::Consent;
use crate::support::bridge::Bridge;
use crate::support::scene::Scene;
use crate::support::web;
use std::time::Duration;

const PLACE: &str = "/.well-known/oauth-authorization-server";

/// The metadata comes with this `Cache-Control`; two tools need scopes of their own.
fn scene(control: &'static str) -> Scene {
    let scene = Scene::scripted(|script| {
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin"), ("echo", "echo")];
    });
    let document = web::get(&format!("{}{PLACE}", scene.auth.origin())).body;
    scene.auth.on(PLACE, move |_, wire| {
        let headers = [("Content-Type", "application/json"), ("Cache-Control", control)];
        wire.reply(200, &headers, document.as_bytes());
    });
    scene
}

/// How often it was asked for, apart from the test itself.
fn asked(scene: &Scene) -> usize {
    scene.auth.asked(PLACE).len() - 1
}

#[track_caller]
fn steps_up(bridge: &mut Bridge, tool: &str) {
    bridge.tool(r#""up""#, tool);
    assert_eq!(bridge.text(r#""up""#), "ok");
}

#[test]
fn a_second_visit_asks_again_only_where_the_headers_want_it() {
    for (control, expected) in
        [("max-age=3600", 1), ("no-store", 2), ("max-age=3600, no-cache", 2), ("max-age=1", 2)]
    {
        let scene = scene(control);
        let mut bridge = scene.bridge().ready();
        live_as(&mut bridge, "ada");
        assert_eq!(asked(&scene), 1, "{control}");
        if control == "max-age=1" {
            std::thread::sleep(Duration::from_millis(1100));
        }
        steps_up(&mut bridge, "admin");
        assert_eq!(asked(&scene), expected, "{control}");
    }
}

#[test]
fn after_a_failure_it_is_asked_for_again() {
    let scene = scene("max-age=3600");
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    scene.auth.script(|script| script.consent = Consent::Error("server_error", "moved"));
    bridge.tool("1", "admin");
    bridge.own_error("1", &[-31001]);
    assert_eq!(asked(&scene), 1, "nothing had failed before");
    scene.auth.script(|script| script.consent = Consent::Given);
    steps_up(&mut bridge, "admin");
    assert_eq!(asked(&scene), 2);
    steps_up(&mut bridge, "echo");
    assert_eq!(asked(&scene), 2);
}

/// A server that has moved is found where it is now.
#[test]
fn a_sign_in_that_is_over_looks_where_the_server_is_now() {
    let scene = scene("max-age=3600");
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    let moved = web::get(&format!("{}{PLACE}", scene.auth.origin())).body;
    let moved = moved.replace("/authorize\"", "/authorize?moved=1\"");
    scene.auth.on(PLACE, move |_, wire| wire.json(&moved));
    scene.auth.revoke_grants();
    live_as(&mut bridge, "ada");
    let visits = scene.auth.asked("/authorize");
    assert_eq!(visits.last().unwrap().param("moved"), Some("1"));
}
