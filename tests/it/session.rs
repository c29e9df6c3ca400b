//! A session that the remote has forgotten is opened again, once, and the calls go on.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::http::Request;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Server, park};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// A bridge whose session is gone, though it does not know yet.
fn forgotten(server: impl FnOnce(Legacy) -> Legacy) -> (Server, Bridge, Sessions) {
    let sessions = Sessions::default();
    let server = server(Legacy::new().sessions(&sessions)).start();
    let bridge = Bridge::to(&server).ready();
    server.wait_for("GET");
    (server, bridge, sessions)
}

#[test]
fn a_call_in_a_forgotten_session_is_answered_from_a_new_one() {
    let (server, mut bridge, sessions) = forgotten(|legacy| legacy);
    sessions.expire();
    bridge.call("1");
    bridge.result("1");

    let [first, second] = server.of("initialize").try_into().unwrap();
    assert_eq!(second.params(), initialize_params("2025-11-25"));
    assert_eq!(second.params(), first.params());
    assert_eq!(server.of("notifications/initialized").len(), 2);
    let calls = server.of("tools/call");
    let sessions: Vec<_> = calls.iter().map(|r| r.header("mcp-session-id")).collect();
    assert_eq!(sessions, [Some("session-1"), Some("session-2")]);
    assert_eq!(calls[0].body, calls[1].body);
    // The new session gets its own GET stream and its own end.
    let streams = server.wait_for_count("GET", 2);
    assert_eq!(streams[1].header("mcp-session-id"), Some("session-2"));
    bridge.finish();
    let ends = server.of("DELETE");
    assert_eq!(ends.last().unwrap().header("mcp-session-id"), Some("session-2"));
}

/// What it negotiated counts as it was said first.
#[test]
fn a_second_answer_to_the_new_initialize_changes_nothing() {
    let sessions = Sessions::default();
    let open = sessions.clone();
    let known = sessions.clone();
    let (server, mut bridge, _) = forgotten(move |legacy| {
        legacy.sessions(&known).on("initialize", move |request, wire| {
            let result = r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#;
            let (first, second) = (request.result(result), request.result("{}"));
            let own = request.id().contains("keyferry");
            let body = if own { format!("[{first},{second}]") } else { first };
            let session = open.open();
            let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", session.as_str())];
            wire.reply(200, &headers, body.as_bytes());
        })
    });
    sessions.expire();
    bridge.call("1");
    bridge.result("1");
    let last = server.of("tools/call").last().cloned().unwrap();
    assert_eq!(last.header("mcp-protocol-version"), Some("2025-11-25"));
}

#[test]
fn the_new_session_is_open_before_anything_else_is_sent_in_it() {
    let (server, mut bridge, sessions) = forgotten(|legacy| legacy);
    bridge.request("0", "logging/setLevel", r#"{"level":"debug"}"#);
    bridge.result("0");
    sessions.expire();
    bridge.call("1");
    bridge.result("1");
    let seen = server.requests();
    let again = seen.iter().rposition(|r| r.kind() == "initialize").unwrap();
    let in_new = seen.iter().enumerate();
    let mut in_new = in_new.filter(|(_, r)| r.header("mcp-session-id") == Some("session-2"));
    let (at, first) = in_new.next().unwrap();
    assert!(at > again);
    assert_eq!(first.kind(), "notifications/initialized");
}

#[test]
fn several_waiting_calls_share_one_new_session() {
    const CALLS: usize = 8;
    // The old session's calls are refused only when all of them have arrived.
    let arrived = Arc::new((Mutex::new(0), Condvar::new()));
    let sessions = Sessions::default();
    let server = Server::start({
        let legacy = Legacy::new().sessions(&sessions).into_handler();
        let arrived = arrived.clone();
        move |request: &Request, wire| {
            let old = request.header("mcp-session-id") == Some("session-1");
            if old && request.kind() == "tools/call" {
                let mut count = arrived.0.lock().unwrap();
                *count += 1;
                arrived.1.notify_all();
                let wait = arrived
                    .1
                    .wait_timeout_while(count, crate::support::PATIENCE, |count| *count < CALLS);
                assert!(!wait.unwrap().1.timed_out(), "the calls do not overlap");
            }
            legacy(request, wire);
        }
    });
    let mut bridge = Bridge::to(&server).ready();
    server.wait_for("GET");
    sessions.expire();
    for id in 0..CALLS {
        bridge.call(&id.to_string());
    }
    for id in 0..CALLS {
        bridge.result(&id.to_string());
    }
    assert_eq!(server.of("initialize").len(), 2);
    assert_eq!(server.of("notifications/initialized").len(), 2);
    assert_eq!(server.of("tools/call").len(), 2 * CALLS);
    let ended = bridge.finish();
    for id in 0..CALLS {
        ended.has_no_answer_to(&id.to_string());
    }
}

#[test]
fn log_level_and_subscriptions_are_replayed_with_ids_of_our_own() {
    let (server, mut bridge, sessions) = forgotten(|legacy| legacy);
    bridge.request("1", "logging/setLevel", r#"{"level":"info"}"#);
    bridge.result("1");
    bridge.request("2", "logging/setLevel", r#"{"level":"debug","x":1.10}"#);
    bridge.result("2");
    for (id, uri) in [("3", "a:1"), ("4", "a:2"), ("5", "a:3")] {
        bridge.request(id, "resources/subscribe", &format!(r#"{{"uri":"{uri}"}}"#));
        bridge.result(id);
    }
    bridge.request("6", "resources/unsubscribe", r#"{"uri":"a:2"}"#);
    bridge.result("6");
    sessions.expire();
    bridge.call("7");
    bridge.result("7");
    server.wait("the replay", |log| {
        let replayed = log.iter().filter(|r| is_replay(r)).count();
        (replayed >= 3).then_some(())
    });
    bridge.still_serves();

    let log = server.requests();
    let replayed: Vec<_> = log.iter().filter(|r| is_replay(r)).collect();
    let mut sent: Vec<_> = replayed.iter().map(|r| (r.kind(), r.params())).collect();
    sent.sort();
    let owned = |kind: &str, params: &str| (kind.to_owned(), params.to_owned());
    assert_eq!(
        sent,
        [
            owned("logging/setLevel", r#"{"level":"debug","x":1.10}"#),
            owned("resources/subscribe", r#"{"uri":"a:1"}"#),
            owned("resources/subscribe", r#"{"uri":"a:3"}"#),
        ]
    );
    let mut own: Vec<_> = replayed.iter().map(|r| r.id()).collect();
    own.push(log.iter().rfind(|r| r.kind() == "initialize").unwrap().id());
    for id in &own {
        let by_client = ["1", "2", "3", "4", "5", "6", "7", r#""init""#];
        assert!(!by_client.contains(id), "{id} is the client's");
    }
    // What the bridge asked is not answered to the client.
    let ended = bridge.finish();
    for id in &own {
        ended.has_no_answer_to(id);
    }
}

fn is_replay(request: &Request) -> bool {
    request.header("mcp-session-id") == Some("session-2")
        && ["logging/setLevel", "resources/subscribe", "resources/unsubscribe"]
            .contains(&request.kind().as_str())
}

#[test]
fn the_client_is_told_that_its_lists_may_have_changed() {
    let (_server, mut bridge, sessions) = forgotten(|legacy| legacy);
    sessions.expire();
    bridge.call("1");
    bridge.result("1");
    for list in ["tools", "prompts", "resources"] {
        bridge.message(&format!("notifications/{list}/list_changed"));
    }
}

#[test]
fn lists_that_the_remote_does_not_have_are_not_announced() {
    let (_server, mut bridge, sessions) =
        forgotten(|legacy| legacy.capabilities(r#"{"tools":{"listChanged":true}}"#));
    sessions.expire();
    bridge.call("1");
    bridge.result("1");
    bridge.message("notifications/tools/list_changed");
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn an_answer_to_a_request_of_the_old_session_is_dropped() {
    let (handler, parked) = park();
    let (server, mut bridge, sessions) = forgotten(|legacy| legacy.on("GET", handler));
    let old = parked.next();
    let mut events = old.wire.events();
    events.event(r#"{"jsonrpc":"2.0","id":"old-1","method":"roots/list"}"#);
    bridge.message("roots/list");
    sessions.expire();
    bridge.call("1");
    bridge.result("1");
    bridge.send(r#"{"jsonrpc":"2.0","id":"old-1","result":{"roots":[]}}"#);

    // The new session's own request is answered as ever.
    let mut events = parked.next().wire.events();
    events.event(r#"{"jsonrpc":"2.0","id":"new-1","method":"roots/list"}"#);
    assert_eq!(bridge.message("roots/list")["id"], "new-1");
    bridge.send(r#"{"jsonrpc":"2.0","id":"new-1","result":{"roots":[]}}"#);
    server.wait_for("response");
    bridge.finish();
    let answered = server.of("response");
    assert_eq!(answered.len(), 1);
    assert_eq!(answered[0].id(), r#""new-1""#);
}

#[test]
fn a_remote_that_forgets_every_session_is_not_asked_for_ever() {
    let (server, mut bridge, _) = forgotten(|legacy| legacy.on("tools/call", |_, w| w.status(404)));
    bridge.call("1");
    bridge.own_error("1", &[-31003, -31004]);
    let tried = server.of("initialize").len();
    assert!((2..=4).contains(&tried), "{tried} times initialized");
    assert!(server.of("tools/call").len() <= 4);
}

#[test]
fn a_session_that_cannot_be_opened_again_is_an_error_and_the_next_call_tries_anew() {
    let broken = Arc::new(AtomicUsize::new(0));
    let sessions = Sessions::default();
    let server = Server::start({
        let legacy = Legacy::new().sessions(&sessions).into_handler();
        let broken = broken.clone();
        move |request: &Request, wire| {
            if request.kind() == "initialize" && broken.load(Ordering::SeqCst) > 0 {
                return wire.status(503);
            }
            legacy(request, wire);
        }
    });
    let mut bridge = Bridge::to(&server).ready();
    server.wait_for("GET");
    sessions.expire();
    broken.store(1, Ordering::SeqCst);
    bridge.call("1");
    bridge.own_error("1", &[-31002, -31003, -31004]);
    broken.store(0, Ordering::SeqCst);
    bridge.call("2");
    bridge.result("2");
}

/// Without a session id a 404 is only a refusal.
#[test]
fn a_404_where_no_session_was_is_no_reason_to_initialize() {
    let server = Legacy::new().on("tools/call", |_, wire| wire.status(404)).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31004]);
    assert_eq!(error["data"]["httpStatus"], 404);
    assert_eq!(server.of("initialize").len(), 1);
}

#[test]
fn a_forgotten_session_found_by_a_notification_costs_no_answer() {
    let (server, mut bridge, sessions) = forgotten(|legacy| legacy);
    sessions.expire();
    bridge.notify("notifications/progress", "{}");
    server.wait_for("notifications/progress");
    bridge.call("1");
    bridge.result("1");
    assert_eq!(server.of("initialize").len(), 2);
}

#[test]
fn a_call_cancelled_while_the_session_is_opened_again_is_never_sent() {
    let (handler, parked) = park();
    let (server, bridge, sessions) = {
        let sessions = Sessions::default();
        let server = Server::start({
            let legacy = Legacy::new().sessions(&sessions).into_handler();
            let first = AtomicUsize::new(0);
            move |request: &Request, wire| {
                if request.kind() == "initialize" && first.fetch_add(1, Ordering::SeqCst) > 0 {
                    return handler(request, wire);
                }
                legacy(request, wire);
            }
        });
        let bridge = Bridge::to(&server).ready();
        server.wait_for("GET");
        (server, bridge, sessions)
    };
    sessions.expire();
    bridge.call("1");
    let again = parked.next();
    bridge.call("2");
    bridge.notify("notifications/cancelled", r#"{"requestId":1}"#);
    // Refused at once, so the notification before it has been read.
    bridge.send("nonsense");
    let mut bridge = bridge;
    bridge.refusal();
    let body = again.request.result(
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#,
    );
    let session = sessions.open();
    let headers = [("Content-Type", "application/json"), ("Mcp-Session-Id", session.as_str())];
    again.wire.reply(200, &headers, body.as_bytes());
    bridge.result("2");
    bridge.still_serves();
    bridge.finish().has_no_answer_to("1");
    let sent = server.of("tools/call");
    let mut sent = sent.iter().filter(|r| r.id() == "1");
    assert!(sent.all(|r| r.header("mcp-session-id") == Some("session-1")));
}

/// MCP: a 404 to any request with a session id begins a new one.
#[test]
fn a_get_stream_that_finds_its_session_forgotten_begins_a_new_one() {
    let (handler, parked) = park();
    let (server, mut bridge, sessions) = forgotten(|legacy| legacy.on("GET", handler));
    let mut events = parked.next().wire.events();
    events.raw("retry: 10\n\n");
    events.event_with_id("g-1", r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
    bridge.message("notifications/message");
    sessions.expire();
    events.cut();
    // Without a call of the client, it hears of changes again.
    let mut events = parked.next().wire.events();
    assert_eq!(server.of("initialize").len(), 2);
    bridge.message("notifications/tools/list_changed");
    events.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
    bridge.message("notifications/message");
}
