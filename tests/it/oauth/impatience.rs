//! What a client sees of a need for a person that it must not wait for, or that takes long.

use super::{left_alone, live_as};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Launch, initialize_params};
use crate::support::browser::{Browser, follow};
use crate::support::home::Home;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Parked, park};
use crate::support::modern;
use crate::support::scene::Scene;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What was last seen of it promised no changes, but what is shown meanwhile is not the truth.
#[test]
fn every_list_that_was_answered_here_is_announced_after_the_sign_in() {
    let auth = AuthorizationServer::start();
    let remote = Legacy::new()
        .sessions(&Sessions::default())
        .capabilities(r#"{"tools":{},"prompts":{},"resources":{}}"#)
        .on("prompts/list", |request, wire| {
            wire.json(request.result(r#"{"prompts":[{"name":"p"}]}"#));
        });
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, Browser::following()).signed_in();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    bridge.finish();
    let scene = left_alone(scene);
    scene.auth.revoke_grants();
    let mut bridge = scene.bridge();
    let result = super::initialized(&mut bridge);
    for kind in ["tools", "prompts", "resources"] {
        assert_eq!(result["capabilities"][kind]["listChanged"], true, "{result}");
    }
    bridge.notify("notifications/initialized", "{}");
    bridge.request("1", "prompts/list", "{}");
    assert_eq!(bridge.result("1")["prompts"], serde_json::json!([]));
    bridge.tool("2", "whoami");
    follow(&scene.browser.link());
    bridge.message("notifications/prompts/list_changed");
    bridge.message("notifications/resources/list_changed");
    bridge.request("3", "prompts/list", "{}");
    assert_eq!(bridge.result("3")["prompts"][0]["name"], "p");
}

/// An authorization server of which nothing can be learned in time.
fn mute() -> (AuthorizationServer, Parked) {
    let auth = AuthorizationServer::start();
    let (handler, parked) = park();
    auth.on("/.well-known/oauth-authorization-server", handler);
    (auth, parked)
}

#[test]
fn a_list_waits_five_seconds_whatever_it_waits_for() {
    let (auth, _parked) = mute();
    let scene = Scene::of(auth, Browser::new());
    let mut bridge = scene.bridge();
    super::initialized(&mut bridge);
    let start = Instant::now();
    assert_eq!(bridge.tools(), ["sign_in"]);
    assert!(start.elapsed() < Duration::from_millis(7000), "{:?}", start.elapsed());
}

#[test]
fn a_short_timeout_makes_no_error_of_a_handshake_that_needs_a_person() {
    let (auth, _parked) = mute();
    let scene = Scene::of(auth, Browser::new());
    let mut bridge = scene.launch().args(&["--timeout", "1"]).start();
    super::initialized(&mut bridge);
    bridge.finish();
    let (auth, _parked) = mute();
    let scene = Scene::modern(auth, Browser::new());
    let mut bridge = scene.launch().args(&["--timeout", "1"]).start();
    bridge.send(modern::request("1", "server/discover", ""));
    bridge.result("1");
}

#[test]
fn an_initialize_that_takes_too_long_is_not_cancelled() {
    let (initialize, parked) = park();
    let remote = Legacy::new().on("initialize", initialize).lenient().start();
    let home = Arc::new(Home::new("memory"));
    let mut bridge = Launch::new(home, &remote.url()).args(&["--timeout", "1"]).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let _call = parked.next();
    bridge.own_error("1", &[-31005]);
    bridge.still_serves();
    assert!(remote.of("notifications/cancelled").is_empty());
}

/// SDK clients of the modern era ask a process for `server/discover` that they throw away.
#[test]
fn what_a_modern_remote_lacks_is_empty_whoever_was_asked_to_discover() {
    let scene = Scene::modern(AuthorizationServer::start(), Browser::following());
    let mut bridge = scene.bridge();
    bridge.send(modern::request("1", "tools/call", r#""name":"whoami","arguments":{}"#));
    assert_eq!(bridge.text("1"), "ada scope=-");
    bridge.send(modern::request("2", "prompts/list", ""));
    assert_eq!(bridge.result("2")["prompts"], serde_json::json!([]));
}

#[test]
fn a_session_is_ended_with_a_token_that_is_due_for_renewal() {
    let begun = Instant::now();
    let scene = Scene::scripted(|script| script.lifetime = Some(10)).signed_in();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    let before = scene.remote.of("DELETE").len();
    // In the last two of its ten seconds.
    std::thread::sleep(Duration::from_millis(8500).saturating_sub(begun.elapsed()));
    bridge.finish();
    assert_eq!(scene.remote.of("DELETE").len(), before + 1);
    assert_eq!((scene.auth.refreshed(), scene.auth.expired_shown()), (0, 0));
}

#[test]
fn a_remotes_own_sign_in_tool_is_the_remotes_while_a_permission_is_asked_for() {
    let auth = AuthorizationServer::scripted(|script| {
        script.challenge_scope = Some("read");
        script.tool_scopes = vec![("admin", "admin")];
    });
    let remote = Legacy::new().sessions(&Sessions::default()).on("tools/call", |request, wire| {
        wire.json(request.result(r#"{"content":[{"type":"text","text":"theirs"}]}"#));
    });
    let remote = auth.protect(remote);
    let scene = left_alone(Scene::with(auth, remote, Browser::following()).signed_in());
    let mut bridge = scene.bridge().ready();
    bridge.tool("1", "admin");
    scene.browser.link();
    bridge.tool("2", "sign_in");
    assert_eq!(bridge.text("2"), "theirs");
}

#[test]
fn a_batch_of_lists_opens_no_tab_where_somebody_was_signed_in_before() {
    let auth = AuthorizationServer::start();
    let remote = Legacy::new().sessions(&Sessions::default()).version("2025-03-26");
    let remote = auth.protect(remote);
    let scene = left_alone(Scene::with(auth, remote, Browser::following()).signed_in());
    let mut bridge = scene.bridge().ready_as("2025-03-26");
    live_as(&mut bridge, "ada");
    scene.auth.revoke_grants();
    let list = |id, kind| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{kind}/list"}}"#);
    bridge.send(format!("[{},{}]", list(1, "tools"), list(2, "prompts")));
    assert_eq!(bridge.tool_names("1"), ["sign_in"]);
    assert_eq!(bridge.result("2")["prompts"], serde_json::json!([]));
    assert!(scene.browser.tabs().is_empty());
}

#[test]
fn a_remote_that_is_slow_after_the_sign_in_does_not_look_like_one_without() {
    let auth = AuthorizationServer::start();
    let (initialize, parked) = park();
    let remote = auth.protect(Legacy::new().lenient().on("initialize", initialize));
    let scene = Scene::with(auth, remote, Browser::following());
    let mut bridge = scene.launch().args(&["--auth-timeout", "1"]).start().ready();
    let _call = parked.next();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31005]);
    assert!(error["data"]["hint"].as_str().unwrap().contains("not executed"), "{error}");
}
