//! What holds of every client holds of one whose messages are translated.

use crate::support::bridge::{Bridge, Launch};
use crate::support::home::Home;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::park;
use crate::support::modern::{Modern, request};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

const DONE: &str = r#"{"resultType":"complete","content":[]}"#;

#[test]
fn a_client_of_2025_03_26_sends_batches_to_a_modern_remote() {
    let server = Modern::new().start();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    bridge.send(
        r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}},{"jsonrpc":"2.0","id":2,"method":"ping"}]"#,
    );
    bridge.result("2");
    bridge.result("1");
    let mut bridge = Bridge::to(&server).ready_as("2025-06-18");
    bridge.send(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#);
    assert_eq!(bridge.refusal()["code"], -32600);
}

#[test]
fn a_translated_call_that_is_nearly_done_is_answered_after_the_end_of_the_input() {
    let rounds = AtomicUsize::new(0);
    let server = Modern::new()
        .on("tools/call", move |request, wire| match rounds.fetch_add(1, Ordering::SeqCst) {
            0 => wire
                .json(request.result(r#"{"resultType":"input_required","requestState":"later"}"#)),
            _ => wire.json(request.result(DONE)),
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    server.wait_for("tools/call");
    bridge.close_stdin();
    bridge.result("1");
    assert!(bridge.wait_exit(Duration::from_secs(1)).rest.is_empty());
}

#[test]
fn nobody_waits_for_an_answer_of_a_client_that_has_left() {
    let server = Modern::new()
        .on("tools/call", |request, wire| {
            wire.json(request.result(
                r#"{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"}},"requestState":"s"}"#,
            ));
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.request(
        "0",
        "initialize",
        r#"{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}"#,
    );
    bridge.result("0");
    bridge.notify("notifications/initialized", "{}");
    bridge.call("1");
    bridge.message("roots/list");
    let start = std::time::Instant::now();
    bridge.close_stdin();
    bridge.own_error("1", &[-31003]);
    let took = start.elapsed();
    assert!(took < Duration::from_millis(400), "the grace is for what can still come: {took:?}");
    assert!(bridge.wait_exit(Duration::from_secs(1)).rest.is_empty());
}

#[test]
fn a_remote_that_takes_no_answers_cannot_have_them_piled_up_here() {
    const ASKED: usize = 3000;
    let (hold, streams) = park();
    // Takes no answer until it is told to.
    let open = Arc::new((Mutex::new(false), Condvar::new()));
    let gate = open.clone();
    let server = Legacy::new()
        .on("GET", hold)
        .on("response", move |_, wire| {
            let opened = gate.0.lock().unwrap();
            drop(gate.1.wait_while(opened, |open| !*open).unwrap());
            wire.accepted();
        })
        .start();
    let mut bridge = Bridge::to(&server);
    let filter = r#""notifications":{"toolsListChanged":true}"#;
    bridge.send(request("1", "subscriptions/listen", filter));
    bridge.message("notifications/subscriptions/acknowledged");
    let mut events = streams.next().wire.events();
    for id in 0..ASKED {
        events.event(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
    }
    events.event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    bridge.message("notifications/tools/list_changed");
    *open.0.lock().unwrap() = true;
    open.1.notify_all();
    bridge.send(request("2", "tools/list", ""));
    bridge.result("2");
    bridge.wait_stderr("asks more than it lets be answered");
    bridge.finish();
    let answers = server.of("response").len();
    assert!((1..ASKED).contains(&answers), "{answers} answers were kept");
}

#[test]
fn a_translated_call_takes_no_longer_than_the_timeout_however_often_it_is_sent() {
    let server = Modern::new()
        .on("tools/call", |request, wire| {
            wire.json(request.result(r#"{"resultType":"input_required","requestState":"later"}"#));
        })
        .start();
    let home = Arc::new(Home::new("memory"));
    let launch = Launch::new(home, &server.url()).args(&["--timeout", "1"]);
    let mut bridge = launch.start().ready();
    bridge.call("1");
    bridge.own_error("1", &[-31005]);
    // Another one with the same id has its own time.
    bridge.call("1");
    bridge.own_error("1", &[-31005]);
    bridge.still_serves();
    assert!(bridge.finish().rest.is_empty());
}
