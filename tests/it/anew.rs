//! A session begun anew: its handshake comes first, its failure is shared, and a server
//! whose sessions do not last is not given one after the other.

use crate::support::PATIENCE;
use crate::support::bridge::Bridge;
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Parked, Server, park};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A server whose session is gone, and of which everything of one kind is in the test's
/// hands from now on.
fn forgotten(kind: &'static str) -> (Server, Bridge, Sessions, Parked) {
    let (handler, parked) = park();
    let (sessions, held) = (Sessions::default(), Arc::new(AtomicBool::new(false)));
    let server = Server::start({
        let legacy = Legacy::new().sessions(&sessions).into_handler();
        let held = held.clone();
        move |request: &Request, wire: Wire| {
            if held.load(Ordering::SeqCst) && request.kind() == kind {
                return handler(request, wire);
            }
            legacy(request, wire);
        }
    });
    let bridge = Bridge::to(&server).ready();
    server.wait_for("GET");
    sessions.expire();
    held.store(true, Ordering::SeqCst);
    (server, bridge, sessions, parked)
}

fn sessions_of(server: &Server, kind: &str) -> Vec<String> {
    let requests = server.of(kind);
    let ids = requests.iter().map(|r| r.header("mcp-session-id").unwrap_or_default().to_owned());
    ids.collect()
}

#[test]
fn a_handshake_that_breaks_at_initialized_is_an_error_and_the_next_call_begins_anew() {
    let (server, mut bridge, _sessions, initialized) = forgotten("notifications/initialized");
    bridge.call("1");
    initialized.next().wire.cut();
    let error = bridge.own_error("1", &[-31002]);
    let text = error.to_string();
    assert!(!text.contains("may have been executed"), "{text}");

    bridge.call("2");
    initialized.next().wire.accepted();
    bridge.result("2");
    assert_eq!(server.of("initialize").len(), 3, "{:?}", server.kinds());
    // The half-open session is used for nothing.
    assert_eq!(sessions_of(&server, "tools/call"), ["session-1", "session-1", "session-3"]);
}

#[test]
fn a_call_is_not_sent_in_a_new_session_before_initialized_is_acknowledged() {
    let (server, mut bridge, _sessions, initialized) = forgotten("notifications/initialized");
    bridge.call("1");
    let told = initialized.next();
    assert_eq!(told.request.header("mcp-session-id"), Some("session-2"));
    bridge.call("2");
    // It has been sent somewhere: to where it was sent first.
    server.wait_for_count("tools/call", 2);
    bridge.send("nonsense");
    bridge.refusal();
    assert_eq!(sessions_of(&server, "tools/call"), ["session-1", "session-1"]);
    told.wire.accepted();
    bridge.result("1");
    bridge.result("2");
    let in_new = sessions_of(&server, "tools/call");
    assert_eq!(in_new[2..], ["session-2", "session-2"]);
    assert_eq!(server.of("initialize").len(), 2);
}

#[test]
fn all_that_wait_for_a_new_session_share_its_failure() {
    const CALLS: usize = 6;
    let (server, mut bridge, _sessions, initialize) = forgotten("initialize");
    for id in 0..CALLS {
        bridge.call(&id.to_string());
    }
    server.wait_for_count("tools/call", CALLS);
    let again = initialize.next();
    // The refusals of the calls are on their way to the bridge: it has time to read them.
    for _ in 0..100 {
        bridge.send("nonsense");
        bridge.refusal();
    }
    let start = Instant::now();
    again.wire.status(503);
    for id in 0..CALLS {
        bridge.own_error(&id.to_string(), &[-31002, -31003, -31004]);
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(server.of("initialize").len(), 2, "{:?}", server.kinds());
    let ended = bridge.finish();
    for id in 0..CALLS {
        ended.has_no_answer_to(&id.to_string());
    }
}

/// Each session has one GET stream, which brings an event and ends; its reopening is a 404.
#[test]
fn sessions_that_do_not_last_are_not_begun_anew_for_ever() {
    const QUIET: Duration = Duration::from_secs(1);
    const MOST: usize = 5;
    let sessions = Sessions::default();
    let lasting = Arc::new(AtomicBool::new(false));
    let server = Legacy::new()
        .sessions(&sessions)
        .on("GET", {
            let (sessions, lasting) = (sessions.clone(), lasting.clone());
            move |_, wire| {
                if lasting.load(Ordering::SeqCst) {
                    return wire.status(405);
                }
                let mut events = wire.events();
                events.raw("retry: 10\n\n");
                events.event_with_id(
                    "g-1",
                    r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
                );
                sessions.expire();
                events.end();
            }
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    server.wait_for_count("initialize", 2);
    // Until nothing more comes for a while.
    let end = Instant::now() + PATIENCE;
    let mut before = 0;
    loop {
        let now = server.of("initialize").len();
        assert!(now <= MOST, "{now} times initialized");
        if now == before {
            break;
        }
        assert!(Instant::now() < end, "it goes on: {now} times initialized");
        before = now;
        thread::sleep(QUIET);
    }
    // A call of the client is a reason to begin anew.
    lasting.store(true, Ordering::SeqCst);
    bridge.call("1");
    bridge.result("1");
}

/// What the server asks before it acknowledges a setting is asked in the new session.
#[test]
fn what_the_server_asks_while_settings_are_said_again_is_answered() {
    let (handler, subscribe) = park();
    let sessions = Sessions::default();
    let server = Legacy::new().sessions(&sessions).on("resources/subscribe", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    server.wait_for("GET");
    bridge.request("1", "resources/subscribe", r#"{"uri":"a:1"}"#);
    let first = subscribe.next();
    let result = first.request.result("{}");
    first.wire.json(result);
    bridge.result("1");
    sessions.expire();
    bridge.call("2");
    let again = subscribe.next();
    let result = again.request.result("{}");
    let mut events = again.wire.events();
    events.event(r#"{"jsonrpc":"2.0","id":"s1","method":"roots/list"}"#);
    bridge.message("roots/list");
    bridge.send(r#"{"jsonrpc":"2.0","id":"s1","result":{"roots":[]}}"#);
    let told = server.wait_for("response");
    assert_eq!(told.header("mcp-session-id"), Some("session-2"));
    events.event(result);
    events.end();
    bridge.result("2");
}
