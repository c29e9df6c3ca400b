//! Streams that end, and connections that come back.

use super::ready;
use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::http_sse::{HttpSse, SseServer};
use crate::support::mcp_server::{Port, park};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A server that leaves the calls on its first connection unanswered.
fn deaf_at_first() -> SseServer {
    HttpSse::new()
        .on("tools/call", |request, wire, stream| {
            wire.accepted();
            if !request.target.ends_with("-0") {
                stream.answer(request, "{}");
            }
        })
        .start()
}

fn on(server: &SseServer, connection: usize) -> Vec<String> {
    let end = format!("-{connection}");
    let requests = server.requests();
    let on = requests.iter().filter(|one| one.target.ends_with(&end));
    on.map(|one| one.kind()).collect()
}

#[test]
fn calls_that_wait_when_the_stream_ends_are_told_at_once_and_never_sent_again() {
    for how in ["end", "cut", "reset", "half an event"] {
        let server = deaf_at_first();
        let mut bridge = ready(&server);
        for id in ["1", "2", "3"] {
            bridge.call(id);
        }
        let calls = server.wait_for_count("tools/call", 3);
        let stream = server.stream(0);
        let start = Instant::now();
        match how {
            "end" => stream.end(),
            "cut" => stream.cut(),
            "reset" => stream.reset(),
            _ => {
                stream.raw(format!("data: {}\n", calls[0].result("{}")));
                stream.end();
            }
        }
        for id in ["1", "2", "3"] {
            let error = bridge.own_error(id, &[-31003]);
            let hint = error["data"]["hint"].as_str().unwrap();
            assert!(hint.contains("may have been executed"), "{hint}");
        }
        assert!(start.elapsed() < Duration::from_secs(2), "{how}: {:?}", start.elapsed());
        bridge.call("4");
        bridge.result("4");
        assert_eq!(server.of("tools/call").len(), 4, "{how}: a call was sent again");
        bridge.message("notifications/tools/list_changed");
        let ended = bridge.finish();
        assert!(ended.rest.is_empty(), "{how}: {:?}", ended.rest);
    }
}

/// Nobody has to ask for it.
#[test]
fn a_lost_connection_comes_back_by_itself_with_what_the_client_had_set() {
    let server = HttpSse::new().start();
    let mut bridge = ready(&server);
    bridge.request("1", "logging/setLevel", r#"{"level":"debug"}"#);
    bridge.request("2", "resources/subscribe", r#"{"uri":"a:1"}"#);
    bridge.request("3", "resources/subscribe", r#"{"uri":"a:2"}"#);
    for id in ["1", "2", "3"] {
        bridge.result(id);
    }
    bridge.request("4", "resources/unsubscribe", r#"{"uri":"a:2"}"#);
    bridge.result("4");
    let first = server.of("initialize").pop().unwrap();
    server.stream(0).cut();
    bridge.message("notifications/tools/list_changed");
    assert_eq!(
        on(&server, 1),
        ["initialize", "notifications/initialized", "logging/setLevel", "resources/subscribe"]
    );
    let again = server.of("initialize").pop().unwrap();
    assert_eq!(again.params(), first.params());
    assert_ne!(again.id(), first.id());
    // What the server says there reaches the client, and its answer the new endpoint.
    server.stream(1).event(r#"{"jsonrpc":"2.0","id":"s","method":"roots/list"}"#);
    bridge.message("roots/list");
    bridge.send(r#"{"jsonrpc":"2.0","id":"s","result":{"roots":[]}}"#);
    assert!(server.wait_for("response").target.ends_with("-1"));
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn it_comes_back_again_and_again() {
    let server = HttpSse::new().start();
    let mut bridge = ready(&server);
    for round in 0..4 {
        server.stream(round).cut();
        bridge.message("notifications/tools/list_changed");
    }
    bridge.call("1");
    bridge.result("1");
    assert_eq!(server.streams(), 5);
}

/// A server that closes every stream soon is not asked in a tight loop.
#[test]
fn the_pauses_grow() {
    let server = HttpSse::new()
        .on("notifications/initialized", |request, wire, stream| {
            wire.accepted();
            if !request.target.ends_with("-0") {
                stream.cut();
            }
        })
        .start();
    let bridge = ready(&server);
    server.stream(0).cut();
    let start = Instant::now();
    server.stream(4);
    // 0.25, 0.5, 1 and 2 s at least.
    assert!(start.elapsed() > Duration::from_secs(3), "{:?}", start.elapsed());
    bridge.finish();
}

#[test]
fn a_restarted_remote_serves_the_next_call() {
    let server = HttpSse::new().start();
    let mut bridge = ready(&server);
    bridge.call("1");
    bridge.result("1");
    let address = server.kill();
    bridge.wait_stderr("connection to the remote was lost");
    bridge.call("2");
    let error = bridge.own_error("2", &[-31002]);
    assert!(error["message"].as_str().unwrap().contains("127.0.0.1"), "{error}");
    let server = HttpSse::new().serve(Port::at(address));
    bridge.call("3");
    bridge.result("3");
    assert_eq!(server.of("tools/call").len(), 1);
}

#[test]
fn a_restarted_remote_is_found_without_any_call() {
    let server = HttpSse::new().start();
    let mut bridge = ready(&server);
    let address = server.kill();
    bridge.wait_stderr("connection to the remote was lost");
    let server = HttpSse::new().serve(Port::at(address));
    server.wait_for("notifications/initialized");
    bridge.message("notifications/tools/list_changed");
}

/// Whatever stands in front of it meanwhile.
#[test]
fn a_remote_that_is_away_behind_its_proxy_comes_back() {
    for status in [404, 502, 503] {
        let away = Arc::new(AtomicBool::new(false));
        let server = HttpSse::new()
            .first({
                let away = away.clone();
                move |_, wire| match away.load(Ordering::SeqCst) {
                    true => {
                        wire.reply(status, &[("Content-Type", "text/html")], b"<p>gone</p>");
                        None
                    }
                    false => Some(wire),
                }
            })
            .start();
        let mut bridge = ready(&server);
        away.store(true, Ordering::SeqCst);
        server.stream(0).cut();
        bridge.wait_stderr("connection to the remote was lost");
        for id in ["1", "1", "1"] {
            bridge.call(id);
            let error = bridge.own_error(id, &[-31002]);
            assert!(error["data"]["hint"].as_str().unwrap().contains("not executed"), "{error}");
        }
        away.store(false, Ordering::SeqCst);
        bridge.call("2");
        bridge.result("2");
    }
}

/// They wait for the attempt that runs, and none of them for ever.
#[test]
fn calls_that_come_while_it_is_made_anew_wait_for_that() {
    let (handler, handshakes) = park();
    let anew = Arc::new(AtomicBool::new(false));
    let server = HttpSse::new()
        .first({
            let anew = anew.clone();
            move |request, wire| {
                if anew.load(Ordering::SeqCst) && request.method == "GET" {
                    handler(request, wire);
                    return None;
                }
                Some(wire)
            }
        })
        .start();
    let mut bridge = ready(&server);
    anew.store(true, Ordering::SeqCst);
    server.stream(0).cut();
    let attempt = handshakes.next();
    for id in ["1", "2", "3"] {
        bridge.call(id);
    }
    bridge.send("nonsense");
    bridge.refusal();
    assert!(server.of("tools/call").is_empty());
    anew.store(false, Ordering::SeqCst);
    attempt.wire.status(503);
    for id in ["1", "2", "3"] {
        // Those that came in time share the failure; one that came later made it anew.
        let answer = bridge.answer(id);
        let code = answer["error"]["code"].as_i64();
        assert!(code.is_none_or(|code| code == -31002), "{answer}");
    }
    bridge.call("4");
    bridge.result("4");
}

#[test]
fn a_remote_that_has_forgotten_the_connection_gets_a_new_one_and_the_call() {
    for (status, body) in [
        (404, ""),
        (410, ""),
        (400, "No transport found for sessionId"),
        (
            404,
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#,
        ),
    ] {
        let server = HttpSse::new()
            .on("tools/call", move |request, wire, stream| {
                if request.target.ends_with("-0") && request.id() != "1" {
                    return wire.reply(status, &[], body.as_bytes());
                }
                wire.accepted();
                if request.id() != "1" {
                    stream.answer(request, r#"{"n":2}"#);
                }
            })
            .start();
        let mut bridge = ready(&server);
        bridge.call("1");
        server.wait_for("tools/call");
        bridge.call("2");
        assert_eq!(bridge.result("2")["n"], 2, "{status}");
        bridge.own_error("1", &[-31003]);
        assert_eq!(server.streams(), 2);
        assert!(server.stream(0).client_closes_within(PATIENCE));
    }
}

/// As long as the connection is good, an error is one of the call.
#[test]
fn a_call_that_the_endpoint_refuses_is_answered_and_the_connection_stays() {
    let refusal = Arc::new(AtomicU16::new(0));
    let server = HttpSse::new()
        .on("tools/call", {
            let refusal = refusal.clone();
            move |request, wire, stream| match refusal.load(Ordering::SeqCst) {
                0 => {
                    wire.accepted();
                    stream.answer(request, "{}");
                }
                status => wire.reply(status, &[("Content-Type", "text/plain")], b"too odd"),
            }
        })
        .start();
    let mut bridge = ready(&server);
    for status in [400, 413, 429, 500, 503] {
        refusal.store(status, Ordering::SeqCst);
        bridge.call("1");
        let error = bridge.own_error("1", &[-31004]);
        assert_eq!(error["data"]["httpStatus"], status, "{error}");
        assert!(error["message"].as_str().unwrap().contains("too odd"), "{error}");
    }
    refusal.store(0, Ordering::SeqCst);
    bridge.call("2");
    bridge.result("2");
    assert_eq!(server.streams(), 1);
}

#[test]
fn a_post_that_breaks_may_have_been_executed() {
    let server = HttpSse::new()
        .on("tools/call", |request, wire, stream| match request.id() {
            "1" => wire.cut(),
            _ => {
                wire.accepted();
                stream.answer(request, "{}");
            }
        })
        .start();
    let mut bridge = ready(&server);
    bridge.call("1");
    bridge.own_error("1", &[-31003]);
    // An answer that comes all the same has nobody to go to.
    server.stream(0).event(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    bridge.call("2");
    bridge.result("2");
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    assert_eq!(server.of("tools/call").len(), 2);
}

#[test]
fn a_stream_that_ends_while_the_endpoint_is_silent_ends_the_wait_for_it() {
    let (call, calls) = park();
    let server =
        HttpSse::new().on("tools/call", move |request, wire, _| call(request, wire)).start();
    let mut bridge = ready(&server);
    bridge.call("1");
    let held = calls.next();
    server.stream(0).cut();
    bridge.own_error("1", &[-31003]);
    assert!(held.wire.client_closes_within(PATIENCE), "the POST stays open");
}

#[test]
fn a_handshake_whose_stream_ends_is_an_error_and_can_be_tried_again() {
    let server = HttpSse::new()
        .on("initialize", |request, wire, stream| {
            wire.accepted();
            match request.target.ends_with("-0") {
                true => stream.cut(),
                false => {
                    stream.answer(request, r#"{"protocolVersion":"2024-11-05","capabilities":{}}"#)
                }
            }
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    bridge.own_error("1", &[-31003]);
    let mut bridge = bridge.ready();
    bridge.call("2");
    bridge.result("2");
    assert_eq!(server.streams(), 2);
}

#[test]
fn a_notification_after_the_loss_goes_to_the_new_connection() {
    let server = HttpSse::new().start();
    let bridge = ready(&server);
    server.stream(0).cut();
    bridge.wait_stderr("connection to the remote was lost");
    bridge.notify("notifications/roots/list_changed", "{}");
    let told: Arc<Request> = server.wait_for("notifications/roots/list_changed");
    assert!(told.target.ends_with("-1"), "{}", told.target);
}

#[test]
fn a_message_that_is_too_large_is_told_to_those_who_wait() {
    let server = HttpSse::new()
        .on("tools/call", |request, wire, stream| {
            wire.accepted();
            let size = if request.id() == "1" { 2000 } else { 100 };
            stream.answer(request, &format!(r#"{{"text":"{}"}}"#, "x".repeat(size)));
        })
        .start();
    let home = Home::new("memory");
    let mut bridge = home.launch(&server.url()).args(&["--max-message", "1000"]).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31006]);
    assert!(error.to_string().contains("--max-message"), "{error}");
    bridge.call("2");
    bridge.result("2");
}
