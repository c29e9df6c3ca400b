//! The beginning of a session: what comes before the handshake is done waits for it.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::park;

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
