//! What is said over one connection.

use super::ready;
use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::http_sse::{HttpSse, Stream};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Calls that the server took and has not answered.
struct Taken(Receiver<Request>);

impl Taken {
    fn next(&self) -> Request {
        self.0.recv_timeout(PATIENCE).expect("the call never reached the server")
    }
}

/// A server that takes calls and leaves the answers to the test.
fn taking() -> (HttpSse, Taken) {
    let (sender, receiver) = channel();
    let server = HttpSse::new().on("tools/call", move |request, wire, _: &Stream| {
        wire.accepted();
        let _ = sender.send(request.clone());
    });
    (server, Taken(receiver))
}

#[test]
fn a_remote_of_2024_is_found_by_the_fallback_rule_and_served() {
    for status in [400, 404, 405] {
        let server = HttpSse::new().refuses(status, "").start();
        let mut bridge = Bridge::to(&server);
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        assert_eq!(bridge.result("1")["protocolVersion"], "2024-11-05");
        bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        bridge.call("2");
        bridge.result("2");
        bridge.request("3", "tools/list", "{}");
        assert_eq!(bridge.result("3")["tools"][0]["name"], "echo");
        let ended = bridge.finish();
        assert!(ended.rest.is_empty(), "{:?}", ended.rest);
        let targets: Vec<_> = server.requests().iter().map(|r| r.target.clone()).collect();
        assert_eq!(targets[..2], ["/mcp", "/mcp"], "{status}");
        let rest = targets[2..].iter();
        assert!(rest.clone().all(|one| one == "/messages?sessionId=secret-0"), "{targets:?}");
        assert_eq!(rest.count(), 4, "{targets:?}");
        // Neither DELETE nor another GET.
        assert_eq!(server.of("GET").len(), 1);
    }
}

#[test]
fn answers_come_in_any_order_each_once_and_byte_for_byte() {
    let (server, taken) = taking();
    let server = server.start();
    let mut bridge = ready(&server);
    for id in ["1", r#""two""#, "3", "4"] {
        bridge.call(id);
    }
    let stream = server.stream(0);
    let mut taken: Vec<_> = (0..4).map(|_| taken.next()).collect();
    taken.sort_by_key(|request| std::cmp::Reverse(request.id().to_owned()));
    let lines: Vec<_> =
        taken.iter().map(|one| one.result(r#"{"n":1.10, "big":1e400,"content":[]}"#)).collect();
    for line in &lines {
        stream.event(line);
        // Said twice, it is delivered once; and nobody has asked that.
        stream.event(line);
        stream.event(r#"{"jsonrpc":"2.0","id":"never asked","result":{}}"#);
        stream.event(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#);
        stream.event("no JSON");
    }
    for line in &lines {
        assert_eq!(bridge.line(), *line);
    }
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn what_the_server_says_unasked_passes_and_is_answered_at_the_endpoint() {
    let server = HttpSse::new()
        .on("tools/call", |request, wire, stream| {
            wire.accepted();
            stream.event(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":0.50}}"#);
            stream.event(r#"{"jsonrpc":"2.0","id":7,"method":"sampling/createMessage","params":{"x":1.0}}"#);
            stream.answer(request, "{}");
        })
        .start();
    let mut bridge = ready(&server);
    bridge.call("7");
    assert!(bridge.line().contains(r#""progress":0.50"#));
    let asked = bridge.line();
    assert!(asked.contains(r#""x":1.0"#), "{asked}");
    // The same id in the other direction is another one.
    bridge.result("7");
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"role":"assistant","n":1.10}}"#;
    bridge.send(answer);
    let told = server.wait_for("response");
    assert_eq!(told.text(), answer);
    assert_eq!(told.target, "/messages?sessionId=secret-0");
    server.stream(0).event(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    bridge.message("notifications/tools/list_changed");
}

/// The stream is read as the specification of server-sent events says.
#[test]
fn a_stream_of_any_spelling_is_read() {
    let (server, taken) = taking();
    let server = server.start();
    let mut bridge = ready(&server);
    let stream = server.stream(0);
    for id in ["1", "2", "3"] {
        bridge.call(id);
        let answer = taken.next().result("{}");
        match id {
            "1" => stream.raw(format!(": ping\r\n\r\nid: 5\r\ndata: {answer}\r\n\r\n")),
            "2" => {
                stream.raw("event: ping\ndata: 1\n\nevent: endpoint\ndata: /elsewhere\n\n");
                let (head, tail) = answer.split_at(10);
                stream.raw(format!("event: message\nretry: 5\ndata: {head}"));
                stream.raw(format!("{tail}\n\n"));
            }
            _ => stream.raw(format!("data:{answer}\r\r")),
        }
        assert_eq!(bridge.answer_line(id), answer);
    }
    bridge.still_serves();
    assert!(server.requests().iter().all(|one| one.target != "/elsewhere"));
}

#[test]
fn an_answer_in_the_reply_to_a_post_counts_too() {
    let server = HttpSse::new()
        .on("tools/call", |request, wire, _| wire.json(request.result(r#"{"n":1.10}"#)))
        .on("prompts/get", |request, wire, _| {
            let mut events = wire.events();
            events.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
            events.event(request.result("{}"));
            events.end();
        })
        .on("ping", |request, wire, stream| {
            wire.json(r#"{"ok":true}"#);
            stream.answer(request, "{}");
        })
        .start();
    let mut bridge = ready(&server);
    bridge.call("1");
    assert_eq!(bridge.answer_line("1"), r#"{"jsonrpc":"2.0","id":1,"result":{"n":1.10}}"#);
    bridge.request("2", "prompts/get", r#"{"name":"a"}"#);
    bridge.result("2");
    bridge.message("notifications/message");
    bridge.still_serves();
}

#[test]
fn an_answer_may_come_before_its_request_is_acknowledged() {
    let server = HttpSse::new()
        .on("tools/call", |request, wire, stream| {
            stream.answer(request, "{}");
            // It is let end its reply.
            assert!(!wire.client_closes_within(Duration::from_millis(300)));
            wire.reply(202, &[], b"Accepted");
        })
        .start();
    let mut bridge = ready(&server);
    for id in ["1", "2"] {
        bridge.call(id);
        bridge.result(id);
    }
}

#[test]
fn a_cancellation_reaches_the_endpoint_and_no_answer_follows() {
    let (server, taken) = taking();
    let server = server.start();
    let mut bridge = ready(&server);
    bridge.call("1");
    let late = taken.next();
    bridge.notify("notifications/cancelled", r#"{"requestId":1}"#);
    let told = server.wait_for("notifications/cancelled");
    assert!(told.text().contains(r#""requestId":1"#));
    server.stream(0).event(late.result("{}"));
    bridge.still_serves();
    // The id is free again.
    bridge.call("1");
    let again = taken.next().result(r#"{"again":true}"#);
    server.stream(0).event(&again);
    assert_eq!(bridge.answer_line("1"), again);
}

#[test]
fn a_call_that_takes_too_long_is_cancelled_at_the_endpoint() {
    let (server, taken) = taking();
    let server = server.start();
    let mut bridge =
        Home::new("memory").launch(&server.url()).args(&["--timeout", "1"]).start().ready();
    bridge.call("1");
    bridge.own_error("1", &[-31005]);
    server.wait_for("notifications/cancelled");
    server.stream(0).event(taken.next().result("{}"));
    bridge.still_serves();
    bridge.finish().has_no_answer_to("1");
}

/// Servers of this kind know no batches, even where the revision does.
#[test]
fn a_batch_is_sent_one_by_one() {
    let server = HttpSse::new().version("2025-03-26").start();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    bridge.send(
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo"}},{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}]"#,
    );
    bridge.result("1");
    bridge.result("2");
    server.wait_for("notifications/roots/list_changed");
    // An answer in an array is one all the same.
    let server = HttpSse::new()
        .version("2025-03-26")
        .on("tools/call", |request, wire, stream| {
            wire.accepted();
            stream.event(format!("[{}]", request.result("{}")));
        })
        .start();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    bridge.call("1");
    bridge.result("1");
}

#[test]
fn large_messages_pass_both_ways() {
    const SIZE: usize = 10 * 1024 * 1024;
    let server = HttpSse::new()
        .on("tools/call", |request, wire, stream| {
            let text = request.json()["params"]["arguments"]["text"].as_str().unwrap().to_owned();
            wire.accepted();
            stream.answer(request, &format!(r#"{{"content":"{text}"}}"#));
        })
        .start();
    let mut bridge = ready(&server);
    let text = "x".repeat(SIZE);
    bridge.request(
        "1",
        "tools/call",
        &format!(r#"{{"name":"echo","arguments":{{"text":"{text}"}}}}"#),
    );
    assert_eq!(bridge.result("1")["content"].as_str().map(str::len), Some(SIZE));
}

#[test]
fn five_hundred_calls_in_flight_are_answered_each_once() {
    const CALLS: usize = 500;
    let (server, taken) = taking();
    let server = server.start();
    let mut bridge = ready(&server);
    for id in 0..CALLS {
        bridge.call(&id.to_string());
    }
    let stream = server.stream(0);
    let taken: Vec<_> = (0..CALLS).map(|_| taken.next()).collect();
    for one in taken.iter().rev() {
        stream.event(one.result(&format!(r#"{{"own":{}}}"#, one.id())));
    }
    for id in 0..CALLS {
        assert_eq!(bridge.result(&id.to_string())["own"], id);
    }
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn a_compressed_stream_is_read_as_it_comes() {
    let server = HttpSse::new().gzip().start();
    let mut bridge = ready(&server);
    for id in ["1", "2", "3"] {
        bridge.call(id);
        bridge.result(id);
    }
}

/// A second handshake opens a second connection; the first one lasts as long as calls wait there.
#[test]
fn an_answer_counts_on_the_connection_of_its_request_only() {
    let (server, taken) = taking();
    let server = server.start();
    let mut bridge = ready(&server);
    bridge.call("1");
    let first = taken.next();
    bridge.request("2", "initialize", &initialize_params("2025-11-25"));
    bridge.result("2");
    bridge.call("3");
    let second = taken.next();
    assert!(second.target.ends_with("-1"), "{}", second.target);
    server.stream(0).event(second.result(r#"{"n":0}"#));
    server.stream(0).event(first.result("{}"));
    bridge.result("1");
    assert!(server.stream(0).client_closes_within(PATIENCE), "nobody needs it any more");
    server.stream(1).event(second.result(r#"{"n":1}"#));
    assert_eq!(bridge.result("3")["n"], 1);
}
