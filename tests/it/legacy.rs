//! Streamable HTTP of the revisions with sessions: headers, streams, cancellation, the end.

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Server, park};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

#[test]
fn session_and_negotiated_version_go_on_everything_but_initialize() {
    for version in ["2025-06-18", "2025-11-25"] {
        let sessions = Sessions::default();
        let server = Legacy::new().version(version).sessions(&sessions).start();
        // The client asks for one version, the server chooses.
        let mut bridge = Bridge::to(&server).ready();
        bridge.call("1");
        bridge.result("1");
        server.wait_for("GET");
        assert!(bridge.finish().rest.is_empty());
        for request in server.requests() {
            let first = request.kind() == "initialize";
            let expected = (!first).then_some(version);
            assert_eq!(request.header("mcp-protocol-version"), expected);
            let expected = (!first).then_some("session-1");
            assert_eq!(request.header("mcp-session-id"), expected);
            assert_eq!(request.header("authorization"), None);
            assert_eq!(request.header("origin"), None);
        }
        let kinds = server.kinds();
        assert_eq!(kinds[0], "initialize");
        assert_eq!(kinds.last().unwrap(), "DELETE");
    }
}

#[test]
fn a_server_of_2025_03_26_is_served() {
    let sessions = Sessions::default();
    let server = Legacy::new().version("2025-03-26").sessions(&sessions).lenient().start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    bridge.result("1");
    for request in server.requests() {
        let version = request.header("mcp-protocol-version");
        assert!(version.is_none_or(|version| version == "2025-03-26"));
    }
}

#[test]
fn a_remote_without_sign_in_sees_only_what_the_client_asks() {
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server);
    let params = initialize_params("2025-11-25");
    bridge.request("0", "initialize", &params);
    bridge.result("0");
    assert_eq!(server.kinds(), ["initialize"]);
    assert_eq!(server.requests()[0].params(), params);
    let mut bridge = bridge.ready();
    for id in ["1", "2", "3"] {
        bridge.call(id);
        bridge.result(id);
    }
    server.wait_for("GET");
    let ended = bridge.finish();
    assert!(ended.status.success());
    let kinds = server.kinds();
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(count("tools/call"), 3);
    // 405 is an answer: it is not asked again.
    assert_eq!(count("GET"), 1, "{kinds:?}");
    assert_eq!(count("DELETE"), 0, "without a session there is none to end");
    assert_eq!(kinds.len(), 7, "{kinds:?}");
}

#[test]
fn a_bridge_that_hears_nothing_asks_nothing() {
    let server = Server::start(|request, _| panic!("{} {}", request.method, request.target));
    let ended = Bridge::to(&server).finish();
    assert!(ended.status.success());
    assert_eq!(server.connections(), 0);
}

#[test]
fn the_get_stream_is_opened_after_initialized_and_carries_messages() {
    let (handler, parked) = park();
    let server = Legacy::new().on("GET", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    let stream = parked.next();
    let kinds = server.kinds();
    assert_eq!(kinds, ["initialize", "notifications/initialized", "GET"]);
    let mut events = stream.wire.events();
    let note = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    events.event(note);
    assert_eq!(bridge.line(), note);

    // A request of the server here is answered by a POST of the client's response.
    events.event(r#"{"jsonrpc":"2.0","id":"g-1","method":"ping"}"#);
    assert_eq!(bridge.message("ping")["id"], "g-1");
    let response = r#"{"jsonrpc":"2.0","id":"g-1","result":{}}"#;
    bridge.send(response);
    assert_eq!(server.wait_for("response").text(), response);
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "a 202 became a message: {:?}", ended.rest);
}

#[test]
fn a_server_request_on_a_post_stream_is_answered_while_the_call_waits() {
    let (handler, parked) = park();
    let sessions = Sessions::default();
    let server = Legacy::new().sessions(&sessions).on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let call = parked.next();
    let mut events = call.wire.events();
    let asked = r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"t":1.10}}"#;
    events.event(asked);
    assert_eq!(bridge.line(), asked);
    // The server's id 1 and the client's id 1 are not the same request.
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{"role":"assistant"}}"#;
    bridge.send(response);
    let posted = server.wait_for("response");
    assert_eq!(posted.text(), response);
    assert_eq!(posted.header("mcp-session-id"), Some("session-1"));
    events.event(call.request.result(r#"{"done":true}"#));
    events.end();
    assert_eq!(bridge.result("1")["done"], true);
}

#[test]
fn notifications_of_one_stream_come_in_the_order_sent() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let mut events = wire.events();
            for n in 0..500 {
                events.event(progress(n));
            }
            events.event(request.result("{}"));
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    for n in 0..500 {
        assert_eq!(bridge.line(), progress(n));
    }
    bridge.result("1");
}

fn progress(n: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":1,"progress":{n}}}}}"#
    )
}

#[test]
fn a_progress_event_is_delivered_before_the_stream_goes_on() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let call = parked.next();
    let mut events = call.wire.events();
    for n in 0..5 {
        events.event(progress(n));
        assert_eq!(bridge.line(), progress(n));
    }
    events.event(call.request.result("{}"));
    events.end();
    bridge.result("1");
}

#[test]
fn cancellation_frees_the_post_and_reaches_the_remote() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    for (id, streaming) in [("1", false), (r#""two""#, true)] {
        bridge.call(id);
        let call = parked.next();
        let params = format!(r#"{{"requestId":{id},"reason":"enough"}}"#);
        if streaming {
            let events = call.wire.events();
            bridge.notify("notifications/cancelled", &params);
            assert!(events.client_closes_within(PATIENCE));
        } else {
            bridge.notify("notifications/cancelled", &params);
            assert!(call.wire.client_closes_within(PATIENCE));
        }
        server.wait("the cancellation", |log| {
            let mut log = log.iter();
            log.find(|r| r.kind() == "notifications/cancelled" && r.params() == params).map(|_| ())
        });
    }
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn a_notification_or_response_that_the_remote_refuses_is_not_answered() {
    let server = Legacy::new()
        .on("notifications/progress", |_, wire| {
            let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"no"},"id":null}"#;
            wire.reply(400, &[("Content-Type", "application/json")], body.as_bytes());
        })
        .on("response", |_, wire| wire.status(500))
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.notify("notifications/progress", "{}");
    bridge.send(r#"{"jsonrpc":"2.0","id":5,"result":{}}"#);
    server.wait_for("notifications/progress");
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn cookies_of_the_remote_are_returned_to_it() {
    let server = Legacy::new()
        .on("initialize", |request, wire| {
            let body = request.result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#,
            );
            let headers = [
                ("Content-Type", "application/json"),
                ("Set-Cookie", "route=node-7; Path=/; HttpOnly"),
            ];
            wire.reply(200, &headers, body.as_bytes());
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    bridge.result("1");
    server.wait_for("GET");
    for request in &server.requests()[1..] {
        assert_eq!(request.header("cookie"), Some("route=node-7"), "{request:?}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_compressed_json_body_is_unpacked() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let accepted = request.header("accept-encoding").unwrap_or_default();
            assert!(accepted.contains("gzip"), "{accepted:?}");
            let body = request.result(&format!(r#"{{"v":1e400,"t":"{}"}}"#, "a".repeat(100_000)));
            let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
            wire.reply(200, &headers, &gzip(body.as_bytes()));
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let line = bridge.line();
    assert!(line.contains(r#"{"v":1e400,"t":"aaa"#), "{line:.200}");
    assert!(line.len() > 100_000);
}

/// What is flushed by the remote is delivered, though the stream is not at its end.
#[test]
fn a_compressed_event_stream_is_delivered_as_it_flows() {
    let (next, wanted) = channel::<()>();
    let wanted = Mutex::new(wanted);
    let server = Legacy::new()
        .on("tools/call", move |request, wire| {
            let mut events = wire.events_with(&[("Content-Encoding", "gzip")]);
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            for text in [progress(1), progress(2), request.result("{}")] {
                write!(encoder, "data: {text}\n\n").unwrap();
                encoder.flush().unwrap();
                events.raw(std::mem::take(encoder.get_mut()));
                wanted.lock().unwrap().recv_timeout(PATIENCE).unwrap();
            }
            events.raw(encoder.finish().unwrap());
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    for n in [1, 2] {
        assert_eq!(bridge.line(), progress(n));
        next.send(()).unwrap();
    }
    bridge.result("1");
    next.send(()).unwrap();
}

#[test]
fn a_second_initialize_is_served_too() {
    let sessions = Sessions::default();
    let server = Legacy::new().sessions(&sessions).start();
    let mut bridge = Bridge::to(&server).ready();
    server.wait_for("notifications/initialized");
    bridge.request("9", "initialize", &initialize_params("2025-11-25"));
    bridge.result("9");
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    bridge.call("10");
    bridge.result("10");
    assert_eq!(server.wait_for("tools/call").header("mcp-session-id"), Some("session-2"));
}

/// An SDK client of the modern era asks `server/discover` first and falls back.
#[test]
fn a_legacy_remote_that_refuses_server_discover_is_discovered_and_can_still_be_initialized() {
    let refusals = Arc::new(Mutex::new(0));
    let counted = refusals.clone();
    let server = Server::start({
        let legacy = Legacy::new().into_handler();
        move |request, wire| {
            if request.kind() != "server/discover" {
                return legacy(request, wire);
            }
            *counted.lock().unwrap() += 1;
            let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: no session"},"id":null}"#;
            wire.reply(400, &[("Content-Type", "application/json")], body.as_bytes());
        }
    });
    let mut bridge = Bridge::to(&server);
    bridge.send(crate::support::modern::request("0", "server/discover", ""));
    bridge.result("0");
    let mut bridge = bridge.ready();
    bridge.call("1");
    bridge.result("1");
    assert!(*refusals.lock().unwrap() >= 1);
}
