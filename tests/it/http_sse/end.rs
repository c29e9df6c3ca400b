//! The process is gone within a second, in every state of a connection.

use super::ready;
use crate::support::bridge::{Bridge, Ended, initialize_params};
use crate::support::home::Home;
use crate::support::http_sse::HttpSse;
use crate::support::mcp_server::{Server, park};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn gone(mut bridge: Bridge) -> Ended {
    bridge.close_stdin();
    bridge.wait_exit(Duration::from_secs(1))
}

#[test]
fn while_idle_and_the_stream_is_closed() {
    let server = HttpSse::new().start();
    let ended = gone(ready(&server));
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    assert!(server.stream(0).client_closes_within(Duration::from_secs(1)));
    assert!(server.of("DELETE").is_empty());
}

#[test]
fn with_calls_in_flight_each_of_which_is_answered() {
    let (call, calls) = park();
    let server = HttpSse::new()
        .on("tools/call", move |request, wire, _| match request.id() {
            "1" => call(request, wire),
            _ => wire.accepted(),
        })
        .start();
    let bridge = ready(&server);
    bridge.call("1");
    bridge.call("2");
    let _held = calls.next();
    server.wait_for_count("tools/call", 2);
    let ended = gone(bridge);
    assert_eq!(ended.rest.len(), 2, "{:?}", ended.rest);
}

/// An answer that comes at the last moment is still passed on.
#[test]
fn an_answer_after_the_end_of_the_input_counts() {
    let server = HttpSse::new().on("tools/call", |_, wire, _| wire.accepted()).start();
    let mut bridge = ready(&server);
    bridge.call("1");
    let call = server.wait_for("tools/call");
    bridge.close_stdin();
    server.stream(0).answer(&call, "{}");
    let ended = bridge.wait_exit(Duration::from_secs(1));
    assert!(ended.rest.concat().contains(r#""result""#), "{:?}", ended.rest);
}

#[test]
fn while_the_endpoint_is_awaited() {
    let (handler, streams) = park();
    let server = Server::start(handler);
    let bridge =
        Home::new("memory").launch(&server.url()).args(&["--transport", "sse-only"]).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let _held = streams.next().wire.events();
    gone(bridge);
}

#[test]
fn while_the_handshake_has_no_answer() {
    let server = HttpSse::new().on("initialize", |_, wire, _| wire.accepted()).start();
    let bridge = Bridge::to(&server);
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    server.wait("the endpoint asked", |log| {
        log.iter().any(|one| one.target.starts_with("/messages")).then_some(())
    });
    gone(bridge);
}

#[test]
fn while_a_lost_connection_is_away() {
    let server = HttpSse::new().start();
    let bridge = ready(&server);
    server.kill();
    bridge.wait_stderr("connection to the remote was lost");
    bridge.call("1");
    gone(bridge);
}

#[test]
fn while_it_is_made_anew() {
    let (handler, streams) = park();
    let again = Arc::new(AtomicBool::new(false));
    let server = HttpSse::new()
        .first({
            let again = again.clone();
            move |request, wire| {
                if request.method == "GET" && again.load(Ordering::SeqCst) {
                    handler(request, wire);
                    return None;
                }
                Some(wire)
            }
        })
        .start();
    // Before the headers of its stream, and before its endpoint.
    for headers in [false, true] {
        again.store(false, Ordering::SeqCst);
        let number = server.streams();
        let bridge = ready(&server);
        again.store(true, Ordering::SeqCst);
        server.stream(number).cut();
        let wire = streams.next().wire;
        bridge.call("1");
        let _held = if headers { Ok(wire.events()) } else { Err(wire) };
        let ended = gone(bridge);
        assert_eq!(ended.rest.len(), 1, "{:?}", ended.rest);
    }
}
