//! Needs for a person that arise in the middle of a session, where no request waits for one.

use super::{left_alone, live_as};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::browser::{Browser, follow};
use crate::support::http::{Events, Request};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Call, Parked, Port, park};
use crate::support::modern;
use crate::support::scene::Scene;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
    let (scene, calls, resumed) = resumable(Browser::following());
    let scene = left_alone(scene);
    let mut bridge = scene.bridge().ready();
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
    let (scene, calls, _resumed) = resumable(Browser::following());
    let scene = left_alone(scene);
    let mut bridge = scene.launch().args(&["--auth-timeout", "1"]).start().ready();
    bridge.call("1");
    let (events, _) = begun(calls.next());
    scene.auth.revoke_grants();
    events.end();
    let error = bridge.own_error("1", &[-31001]);
    assert_eq!(error["data"]["url"], scene.browser.link(), "{error}");
    assert!(error["message"].as_str().unwrap().contains("may have been executed"), "{error}");
    assert_eq!(scene.remote.of("tools/call").len(), 1);
}

/// How often the stream of the server was asked for.
fn streams(log: &[Arc<Request>]) -> usize {
    log.iter().filter(|request| request.kind() == "GET" && request.target == "/mcp").count()
}

fn wait_streams(scene: &Scene, count: usize) {
    scene.remote.wait("the streams", |log| (streams(log) >= count).then_some(()));
}

#[test]
fn a_stream_of_the_server_that_no_token_opens_is_given_up() {
    let auth = AuthorizationServer::start();
    let remote = Legacy::new().sessions(&Sessions::default()).on("GET", |_, wire| {
        wire.reply(401, &[("WWW-Authenticate", r#"Bearer error="invalid_token""#)], b"");
    });
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, Browser::following()).signed_in();
    let mut bridge = scene.bridge().ready();
    wait_streams(&scene, 2);
    // Time enough for a third one that must not come.
    std::thread::sleep(Duration::from_millis(2800));
    live_as(&mut bridge, "ada");
    assert_eq!((streams(&scene.remote.requests()), scene.auth.refreshed()), (2, 1));
}

#[test]
fn a_stream_of_the_server_outlasts_an_outage_of_the_authorization_server() {
    let auth = AuthorizationServer::start();
    let (get, gets) = park();
    let remote = auth.protect(Legacy::new().sessions(&Sessions::default()).on("GET", get));
    let scene = Scene::with(auth, remote, Browser::following()).signed_in();
    let _bridge = scene.bridge().ready();
    let stream = gets.next().wire.events();
    let before = scene.auth.asked("/token").len();
    scene.auth.on("/token", |_, wire| wire.status(503));
    scene.auth.revoke_access_tokens();
    stream.end();
    scene.auth.wait_asked("/token", before + 1);
    // The outage is over when the stream has been asked for in vain once more.
    wait_streams(&scene, 3);
    scene.auth.restore("/token");
    gets.next();
}

#[test]
fn a_stream_of_the_server_comes_back_with_the_sign_in() {
    let auth = AuthorizationServer::start();
    let (get, gets) = park();
    let remote = auth.protect(Legacy::new().sessions(&Sessions::default()).on("GET", get));
    let scene = left_alone(Scene::with(auth, remote, Browser::following()).signed_in());
    let mut bridge = scene.bridge().ready();
    let stream = gets.next().wire.events();
    scene.auth.revoke_grants();
    stream.end();
    // The next pause is of four seconds.
    wait_streams(&scene, 3);
    let start = Instant::now();
    bridge.tool("1", "whoami");
    follow(&scene.browser.link());
    assert_eq!(bridge.text("1"), "ada scope=-");
    gets.next();
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

/// The remote's call waits for it, and with it the client's.
#[test]
fn an_answer_to_the_remote_waits_for_the_sign_in() {
    let auth = AuthorizationServer::start();
    let (call, calls) = park();
    let remote = Legacy::new().sessions(&Sessions::default()).on("tools/call", call);
    let remote = auth.protect(remote);
    let scene = left_alone(Scene::with(auth, remote, Browser::following()).signed_in());
    let mut bridge = scene.bridge().ready();
    bridge.call("1");
    let call = calls.next();
    let answer = call.request.result("{}");
    let mut events = call.wire.events();
    events.event(r#"{"jsonrpc":"2.0","id":"s","method":"sampling/createMessage","params":{}}"#);
    bridge.message("sampling/createMessage");
    scene.auth.revoke_grants();
    bridge.send(r#"{"jsonrpc":"2.0","id":"s","result":{}}"#);
    let refused = scene.remote.wait_for("response").header("authorization").map(str::to_owned);
    follow(&scene.browser.link());
    let taken = scene.remote.wait_for_count("response", 2).remove(1);
    assert_eq!(taken.id(), r#""s""#);
    assert_ne!(taken.header("authorization").map(str::to_owned), refused);
    events.event(answer);
    events.end();
    bridge.result("1");
}

#[test]
fn changes_are_announced_again_when_the_remote_has_taken_up_a_subscription() {
    let auth = AuthorizationServer::start();
    let (listen, parked) = park();
    let inner = modern::Modern::new().on("subscriptions/listen", listen).into_handler();
    let remote = auth.guard(Port::reserve(), inner);
    let scene = Scene::with(auth, remote, Browser::following());
    let mut bridge = scene.bridge();
    let wanted = r#""notifications":{"toolsListChanged":true}"#;
    bridge.send(modern::request("1", "subscriptions/listen", wanted));
    bridge.message("notifications/tools/list_changed");
    let mut events = parked.next().wire.events();
    events.event(
        r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}"#,
    );
    bridge.message("notifications/tools/list_changed");
}
