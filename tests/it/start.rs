//! The beginning of a session: what comes before the handshake is done waits for it.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Server, park};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const RESULT: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#;

/// `initialize`, `initialized` and calls in one write, as a hasty client does it.
fn all_at_once(bridge: &Bridge, calls: usize) {
    let mut lines = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{}}}\n{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}}\n",
        initialize_params("2025-11-25")
    );
    for id in 1..=calls {
        lines.push_str(&format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\"}}}}\n"
        ));
    }
    bridge.send_bytes(lines.into_bytes());
}

#[test]
fn what_is_sent_before_initialize_is_answered_waits_for_its_session() {
    let server = Legacy::new().sessions(&Sessions::default()).start();
    let mut bridge = Bridge::to(&server);
    all_at_once(&bridge, 5);
    for id in 0..=5 {
        bridge.result(&id.to_string());
    }
    let kinds = server.kinds();
    assert_eq!(kinds[..2], ["initialize", "notifications/initialized"]);
}

#[test]
fn the_remote_is_told_initialized_before_the_first_call() {
    let (handler, parked) = park();
    let server = Legacy::new().on("notifications/initialized", handler).start();
    let bridge = Bridge::to(&server);
    all_at_once(&bridge, 1);
    let told = parked.next();
    told.wire.accepted();
    let mut bridge = bridge;
    bridge.result("1");
    let kinds = server.kinds();
    let at = |kind: &str| kinds.iter().position(|k| k == kind).unwrap();
    assert!(at("notifications/initialized") < at("tools/call"), "{kinds:?}");
}

#[test]
fn calls_behind_a_failed_initialize_are_answered_too() {
    let server = Legacy::new()
        .on("initialize", |_, wire| wire.status(503))
        .on("tools/call", |_, wire| wire.status(400))
        .lenient()
        .start();
    let mut bridge = Bridge::to(&server);
    all_at_once(&bridge, 3);
    for id in 0..=3 {
        bridge.error(&id.to_string());
    }
}

#[test]
fn a_remote_that_answers_initialize_as_an_open_stream_is_served() {
    let (handler, parked) = park();
    let sessions = Sessions::default();
    let server = Legacy::new().sessions(&sessions).on("initialize", handler).start();
    let mut bridge = Bridge::to(&server);
    all_at_once(&bridge, 2);
    let call = parked.next();
    let body = call.request.result(
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#,
    );
    let session = sessions.open();
    let mut events = call.wire.events_with(&[("mcp-session-id", &session)]);
    events.raw("id: prime\ndata:\n\n");
    events.event(&body);
    // The stream stays open, and nothing waits for its end.
    for id in 0..=2 {
        bridge.result(&id.to_string());
    }
    drop(events);
}

#[test]
fn an_initialize_that_the_remote_refuses_by_json_rpc_opens_no_session() {
    let server = Legacy::new()
        .on("initialize", |request, wire| {
            if request.id() == "0" {
                let body = r#"{"jsonrpc":"2.0","id":0,"error":{"code":-32602,"message":"Unsupported protocol version","data":{"supported":["2025-06-18"]}}}"#;
                return wire.json(body);
            }
            wire.json(request.result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#,
            ));
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.request("0", "initialize", &initialize_params("1999-01-01"));
    assert_eq!(bridge.error("0")["code"], -32602);
    let mut bridge = bridge.ready();
    bridge.call("1");
    bridge.result("1");
}

/// Nothing is read from the disk or written to it for an open remote.
#[test]
fn an_open_remote_leaves_no_trace_on_the_disk() {
    let server = Legacy::new().start();
    let mut home = Home::new("");
    home.unset("KEYFERRY_VAULT");
    let bridge = home.launch(&server.url()).start().ready();
    let files = bridge.home().files();
    assert!(files.is_empty(), "{files:?}");
    bridge.finish();
}

#[test]
fn a_remote_that_never_acknowledges_initialized_is_still_asked() {
    let (handler, parked) = park();
    let server = Legacy::new().on("notifications/initialized", handler).start();
    let mut bridge = Bridge::to(&server);
    all_at_once(&bridge, 1);
    let _held = parked.next();
    bridge.result("1");
}

#[test]
fn a_second_initialize_takes_the_place_of_one_that_hangs() {
    let (handler, parked) = park();
    let server = Legacy::new().on("initialize", handler).start();
    let mut bridge = Bridge::to(&server);
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    let first = parked.next();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    bridge.own_error("0", &[-31003]);
    let second = parked.next();
    assert_eq!(second.request.id(), "1");
    second.wire.json(second.request.result(RESULT));
    bridge.result("1");
    // The first one's answer comes too late for anything.
    first.wire.json(first.request.result(RESULT));
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    bridge.call("2");
    bridge.result("2");
    bridge.finish().has_no_answer_to("0");
}

#[test]
fn what_the_server_asks_on_the_stream_of_initialize_is_answered() {
    let (handler, parked) = park();
    let sessions = Sessions::default();
    let server = Legacy::new().sessions(&sessions).on("initialize", handler).start();
    let mut bridge = Bridge::to(&server);
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    let call = parked.next();
    let answer = call.request.result(RESULT);
    let session = sessions.open();
    let mut events = call.wire.events_with(&[("mcp-session-id", &session)]);
    events.event(&answer);
    events.event(r#"{"jsonrpc":"2.0","id":"s1","method":"ping"}"#);
    bridge.result("0");
    assert_eq!(bridge.message("ping")["id"], "s1");
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    bridge.send(r#"{"jsonrpc":"2.0","id":"s1","result":{}}"#);
    let told = server.wait_for("response");
    assert_eq!(told.id(), r#""s1""#);
    assert_eq!(told.header("mcp-session-id"), Some("session-1"));
    events.end();
    bridge.still_serves();
}

#[test]
fn initialized_is_told_with_a_key_that_was_taught_in_the_meantime() {
    let changed = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let legacy = Legacy::new().sessions(&Sessions::default()).into_handler();
        let changed = changed.clone();
        move |request: &Request, wire| {
            let good = if changed.load(Ordering::SeqCst) { "Bearer new" } else { "Bearer old" };
            match request.header("authorization") {
                Some(sent) if sent == good => legacy(request, wire),
                _ => wire.status(401),
            }
        }
    });
    let home = Home::new("plaintext");
    home.store_key(&server.url(), "old");
    let mut bridge = home.launch(&server.url()).start();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    bridge.result("0");
    bridge.home().store_key(&server.url(), "new");
    changed.store(true, Ordering::SeqCst);
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    bridge.call("1");
    bridge.result("1");
    let told = server.of("notifications/initialized");
    let keys: Vec<_> = told.iter().map(|r| r.header("authorization").unwrap()).collect();
    assert_eq!(keys, ["Bearer old", "Bearer new"]);
}

#[test]
fn initialized_that_is_answered_with_an_endless_stream_holds_nothing_up() {
    let open = Arc::new(Mutex::new(Vec::new()));
    let server = Legacy::new()
        .on("notifications/initialized", {
            let open = open.clone();
            move |_, wire| open.lock().unwrap().push(wire.events())
        })
        .start();
    let mut bridge = Bridge::to(&server);
    let start = Instant::now();
    all_at_once(&bridge, 1);
    bridge.result("1");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(open.lock().unwrap().len(), 1);
}
