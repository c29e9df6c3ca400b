//! A remote that dies, is away, is slow, or comes back.

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::hang_up;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::{Port, park};
use std::time::{Duration, Instant};

#[test]
fn a_remote_that_dies_in_the_middle_of_a_call_is_told_within_two_seconds() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    for round in 0..6 {
        let id = round.to_string();
        bridge.call(&id);
        let mut call = parked.next();
        match round {
            0 => call.wire.cut(),
            1 => call.wire.reset(),
            2 => {
                call.wire.promise(1000);
                call.wire.raw(br#"{"jsonrpc":"2.0","#);
                call.wire.cut();
            }
            3 => {
                call.wire.promise(1000);
                call.wire.raw(br#"{"jsonrpc":"2.0","#);
                call.wire.reset();
            }
            4 => call.wire.events().cut(),
            _ => {
                let mut events = call.wire.events();
                events.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
                bridge.message("notifications/message");
                events.reset();
            }
        }
        let ended = Instant::now();
        bridge.own_error(&id, &[-31003]);
        assert!(ended.elapsed() < Duration::from_secs(2), "round {round}");
        bridge.still_serves();
    }
    assert_eq!(server.of("tools/call").len(), 6, "a call was sent again");
}

#[test]
fn after_the_remote_is_back_the_next_call_works() {
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    bridge.result("1");
    let address = server.kill();
    bridge.call("2");
    bridge.own_error("2", &[-31002, -31003]);
    let server = Legacy::new().serve(Port::at(address));
    bridge.call("3");
    bridge.result("3");
    assert_eq!(server.of("tools/call").len(), 1);
}

#[test]
fn a_remote_that_cannot_be_reached_is_named_and_initialize_is_served_later() {
    let port = Port::reserve();
    let url = port.url();
    let mut bridge = Home::new("memory").launch(&url).start();
    for id in ["1", "2"] {
        bridge.request(id, "initialize", &initialize_params("2025-11-25"));
        let error = bridge.own_error(id, &[-31002]);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("127.0.0.1"), "{message}");
    }
    let server = Legacy::new().serve(port);
    let mut bridge = bridge.ready();
    bridge.call("3");
    bridge.result("3");
    assert_eq!(server.of("initialize").len(), 1);
}

#[test]
fn a_host_that_does_not_exist_is_named() {
    let mut bridge = Home::new("memory").launch("https://nowhere.invalid/mcp").start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.own_error("1", &[-31002]);
    assert!(error["message"].as_str().unwrap().contains("nowhere.invalid"), "{error}");
}

/// As long as there is a connection, no name is looked up.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_cannot_be_looked_up_for_a_while_costs_only_what_needs_it() {
    let names = crate::support::preload::Names::new();
    let server = Legacy::new().start();
    let port = server.address().port();
    let url = format!("http://mcp.inside.example:{port}/mcp");
    let launch = Home::new("memory").launch(&url).args(&["--allow-http"]);
    let mut bridge = names.serve(launch).start().ready();
    // Whose connection is free once it was answered; so is that of the call after it.
    server.wait_for("GET");
    bridge.call("0");
    bridge.result("0");
    names.lose(true);
    bridge.call("1");
    bridge.result("1");
    let address = server.kill();
    let server = Legacy::new().serve(Port::at(address));
    for id in ["2", "3"] {
        bridge.call(id);
        let error = bridge.own_error(id, &[-31002]);
        assert!(error["message"].as_str().unwrap().contains("mcp.inside.example"), "{error}");
    }
    assert_eq!(server.connections(), 0);
    names.lose(false);
    bridge.call("4");
    bridge.result("4");
}

#[test]
fn a_failed_initialize_can_be_tried_again() {
    let server = Legacy::new()
        .on("initialize", |request, wire| match request.id() {
            "1" => wire.status(503),
            "2" => wire.cut(),
            _ => wire.json(request.result(
                r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#,
            )),
        })
        .start();
    let mut bridge = Bridge::to(&server);
    for id in ["1", "2"] {
        bridge.request(id, "initialize", &initialize_params("2025-11-25"));
        bridge.own_error(id, &[-31003, -31004]);
    }
    let mut bridge = bridge.ready();
    bridge.call("3");
    bridge.result("3");
}

/// Many servers close an idle connection without a word.
#[test]
fn a_connection_that_the_remote_closes_between_two_calls_costs_nothing() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    for id in 0..50 {
        let id = id.to_string();
        bridge.call(&id);
        let mut call = parked.next();
        let body = call.request.result("{}");
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length:";
        call.wire.raw(format!("{head} {}\r\n\r\n{body}", body.len()).as_bytes());
        // Closed before the next call is made, so that is not a race.
        hang_up(call.wire.stream());
        bridge.result(&id);
    }
    assert_eq!(server.of("tools/call").len(), 50);
}

#[test]
fn a_call_may_be_given_a_time() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge =
        Home::new("memory").launch(&server.url()).args(&["--timeout", "1"]).start().ready();
    bridge.call("1");
    let call = parked.next();
    bridge.own_error("1", &[-31005]);
    assert!(call.wire.client_closes_within(PATIENCE));
    server.wait_for("notifications/cancelled");
    bridge.still_serves();
    bridge.finish().has_no_answer_to("1");
}

#[test]
fn a_reply_may_be_given_a_time_to_begin() {
    for flag in ["--headers-timeout", "--body-timeout"] {
        let (handler, parked) = park();
        let server = Legacy::new().on("tools/call", handler).start();
        let mut bridge =
            Home::new("memory").launch(&server.url()).args(&[flag, "0.5"]).start().ready();
        bridge.call("1");
        let _held = parked.next();
        let error = bridge.own_error("1", &[-31005]);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("no response within "), "{error}");
        bridge.still_serves();
    }
}

#[test]
fn a_remote_is_found_under_every_name_of_this_machine() {
    let server = Legacy::new().start();
    let port = server.address().port();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{port}/mcp");
        let mut bridge = Home::new("memory").launch(&url).start().ready();
        bridge.call("1");
        bridge.result("1");
    }
}

#[test]
fn cancellations_that_the_remote_does_not_take_hold_up_neither_calls_nor_the_end() {
    const CALLS: usize = 200;
    let (call, calls) = park();
    let (cancel, _cancellations) = park();
    let server = Legacy::new()
        .on("tools/call", move |request, wire| match request.id() {
            r#""last""# => wire.json(request.result("{}")),
            _ => call(request, wire),
        })
        .on("notifications/cancelled", cancel)
        .start();
    let mut bridge = Bridge::to(&server).ready();
    for id in 0..CALLS {
        bridge.call(&id.to_string());
    }
    let held: Vec<_> = (0..CALLS).map(|_| calls.next()).collect();
    for id in 0..CALLS {
        bridge.notify("notifications/cancelled", &format!(r#"{{"requestId":{id}}}"#));
    }
    server.wait_for("notifications/cancelled");
    bridge.call(r#""last""#);
    bridge.result(r#""last""#);
    bridge.still_serves();
    drop(held);
    let ended = bridge.finish();
    assert!(ended.took < Duration::from_secs(1), "{:?}", ended.took);
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}
