//! Needs for a person that arise where no request waits for one, or while the remote is slow.

use crate::support::authorization_server::AuthorizationServer;
use crate::support::browser::{Browser, follow};
use crate::support::http::{Events, Request};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Call, Parked, park};
use crate::support::scene::Scene;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn is_authorized(request: &Request) -> bool {
    request.header("authorization").is_some()
}

/// Some remotes want no token for `initialize` alone.
#[test]
fn the_end_of_a_handshake_that_was_refused_is_told_first_after_the_sign_in() {
    let auth = AuthorizationServer::scripted(|script| script.open = &["initialize"]);
    let ready = Arc::new(AtomicBool::new(false));
    let (told, asked) = (ready.clone(), ready.clone());
    let (get, gets) = park();
    let whoami = auth.whoami();
    let remote = Legacy::new()
        .sessions(&Sessions::default())
        .on("notifications/initialized", move |_, wire| {
            told.store(true, Ordering::SeqCst);
            wire.accepted();
        })
        .on("tools/call", move |request, wire| {
            assert!(asked.load(Ordering::SeqCst), "a call in a session that is not ready");
            whoami(request, wire);
        })
        .on("GET", get);
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, Browser::new());
    let mut bridge = scene.bridge().ready();
    // Nothing but `initialized` has opened it.
    let link = scene.browser.link();
    bridge.tool("1", "whoami");
    follow(&link);
    assert_eq!(bridge.text("1"), "ada scope=-");
    assert!(gets.next().request.header("mcp-session-id").is_some());
    let told = scene.remote.of("notifications/initialized");
    assert_eq!(told.iter().filter(|request| is_authorized(request)).count(), 1);
    assert_eq!(scene.remote.of("initialize").len(), 1);
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// A remote whose calls and whose resumed streams are in the test's hands.
fn resumable(browser: Browser) -> (Scene, Parked, Parked) {
    let auth = AuthorizationServer::start();
    let (call, calls) = park();
    let (resume, resumed) = park();
    let remote = Legacy::new().sessions(&Sessions::default()).on("tools/call", call).on(
        "GET",
        move |request, wire| match request.header("last-event-id") {
            Some(_) => resume(request, wire),
            None => wire.status(405),
        },
    );
    let remote = auth.protect(remote);
    (Scene::with(auth, remote, browser).signed_in(), calls, resumed)
}

/// The stream of a call, with an event id; its answer comes later.
fn begun(call: Call) -> (Events, String) {
    let answer = call.request.result(r#"{"content":[{"type":"text","text":"done"}]}"#);
    let mut events = call.wire.events();
    events.raw("id: e-0\nretry: 10\ndata: \n\n");
    (events, answer)
}

#[test]
fn a_stream_that_outlives_its_token_is_resumed_with_the_next_one() {
    let (scene, calls, resumed) = resumable(Browser::following());
    let mut bridge = scene.bridge().ready();
    bridge.call("1");
    let call = calls.next();
    let first = call.request.header("authorization").map(str::to_owned);
    let (events, answer) = begun(call);
    scene.auth.revoke_access_tokens();
    events.end();
    let resume = resumed.next();
    assert_ne!(resume.request.header("authorization").map(str::to_owned), first);
    let mut events = resume.wire.events();
    events.event_with_id("e-1", &answer);
    events.end();
    assert_eq!(bridge.text("1"), "done");
    assert_eq!((scene.auth.refreshed(), scene.remote.of("tools/call").len()), (1, 1));
}

#[test]
fn a_stream_whose_sign_in_is_over_is_resumed_after_the_next_one() {
    let (mut scene, calls, resumed) = resumable(Browser::following());
    scene.browser = Browser::new();
    let browser = scene.browser.command();
    let mut bridge = scene.launch().env("BROWSER", &browser).start().ready();
    bridge.call("1");
    let (events, answer) = begun(calls.next());
    scene.auth.revoke_grants();
    events.end();
    follow(&scene.browser.link());
    let mut events = resumed.next().wire.events();
    events.event_with_id("e-1", &answer);
    events.end();
    assert_eq!(bridge.text("1"), "done");
    assert_eq!(scene.remote.of("tools/call").len(), 1, "it was sent again");
}

#[test]
fn a_stream_that_nobody_signs_in_for_ends_with_the_link() {
    let (mut scene, calls, _resumed) = resumable(Browser::following());
    scene.browser = Browser::new();
    let browser = scene.browser.command();
    let flags = ["--auth-timeout", "1"];
    let mut bridge = scene.launch().env("BROWSER", &browser).args(&flags).start().ready();
    bridge.call("1");
    let (events, _) = begun(calls.next());
    scene.auth.revoke_grants();
    events.end();
    let error = bridge.own_error("1", &[-31001]);
    assert_eq!(error["data"]["url"], scene.browser.link(), "{error}");
    assert!(error["message"].as_str().unwrap().contains("may have been executed"), "{error}");
    assert_eq!(scene.remote.of("tools/call").len(), 1);
}
