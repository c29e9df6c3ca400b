//! Replies a server should not give: every request is answered all the same, once.

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params, response_id};
use crate::support::home::Home;
use crate::support::http::{Request, Wire, hang_up};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::{Port, park};
use std::time::{Duration, Instant};

const NO_ANSWER: &[i64] = &[-31003, -31004];

/// Whatever the remote does to a call, it is answered with one of `codes`,
/// once, and the next call works.
#[track_caller]
fn answered_with(
    codes: &[i64],
    reply: impl Fn(&Request, Wire) + Send + Sync + 'static,
) -> serde_json::Value {
    let server = Legacy::new().on("tools/call", reply).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("7");
    let error = bridge.own_error("7", codes);
    assert!(!error["message"].as_str().unwrap().is_empty());
    assert_eq!(server.of("tools/call").len(), 1, "the call was sent again");
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    error
}

#[test]
fn a_202_to_a_request_is_no_answer() {
    answered_with(NO_ANSWER, |_, wire| wire.accepted());
}

#[test]
fn an_answer_to_another_id_alone_is_no_answer() {
    answered_with(NO_ANSWER, |_, wire| {
        wire.json(r#"{"jsonrpc":"2.0","id":"foreign","result":{}}"#);
    });
    answered_with(NO_ANSWER, |_, wire| {
        let mut events = wire.events();
        events.event(r#"{"jsonrpc":"2.0","id":"foreign","result":{}}"#);
        events.event(r#"{"jsonrpc":"2.0","id":"7","result":{}}"#);
        events.end();
    });
}

#[test]
fn half_an_event_is_no_answer() {
    answered_with(NO_ANSWER, |request, wire| {
        let mut events = wire.events();
        events.raw(format!("data: {}\n", request.result("{}")));
        events.end();
    });
    answered_with(NO_ANSWER, |_, wire| {
        let mut events = wire.events();
        events.raw(r#"data: {"jsonrpc":"2.0","id":7,"#);
        events.cut();
    });
}

#[test]
fn an_event_stream_that_ends_without_an_answer_is_no_answer() {
    answered_with(NO_ANSWER, |_, wire| wire.events().end());
}

#[test]
fn an_unknown_content_type_is_no_answer() {
    answered_with(NO_ANSWER, |_, wire| {
        wire.reply(200, &[("Content-Type", "text/html")], b"<h1>Sign in</h1>");
    });
    answered_with(NO_ANSWER, |_, wire| wire.reply(200, &[], b""));
}

#[test]
fn a_body_that_is_no_message_is_no_answer() {
    for body in ["", "{", "nonsense", "[]", "{}", r#"{"error":"sign in first"}"#, "\u{feff}"] {
        answered_with(NO_ANSWER, move |_, wire| wire.json(body));
    }
}

#[test]
fn an_event_that_is_no_message_is_skipped() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let mut events = wire.events();
            for nonsense in ["nonsense", "{", "[", "42", "{}", ""] {
                events.event(nonsense);
            }
            events.event(request.result("{}"));
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("7");
    assert!(bridge.line().contains(r#""result":{}"#));
}

#[test]
fn a_refusal_without_json_rpc_carries_the_http_status() {
    for status in [400, 403, 404, 405, 406, 409, 429, 500, 502, 503] {
        let error = answered_with(&[-31001, -31004], move |_, wire| {
            wire.reply(status, &[("Content-Type", "text/html")], b"<h1>no</h1>");
        });
        if error["code"] == -31004 {
            assert_eq!(error["data"]["httpStatus"], status, "{error}");
        }
        assert!(status == 403 || error["code"] == -31004, "{error}");
    }
}

#[test]
fn an_http_error_with_a_json_rpc_error_is_passed_on_under_the_requests_id() {
    for id in [r#","id":null"#, "", r#","id":7"#, r#","id":"server-error""#] {
        let error =
            r#"{"code":-32000,"message":"Bad Request: \u00e5","data":{"v":1e400,"v":1.10}}"#;
        let body = format!(r#"{{"jsonrpc":"2.0","error":{error}{id}}}"#);
        let server = Legacy::new()
            .on("tools/call", move |_, wire| {
                wire.reply(400, &[("Content-Type", "application/json")], body.as_bytes());
            })
            .start();
        let mut bridge = Bridge::to(&server).ready();
        bridge.call("7");
        let line = bridge.line();
        assert_eq!(response_id(&line).as_deref(), Some("7"), "{line}");
        assert!(line.contains(&format!(r#""error":{error}"#)), "{line}");
    }
}

#[test]
fn a_json_rpc_error_inside_a_200_goes_through_untouched() {
    let body = r#"{"error":{"code":-32602,"message":"no","x":1e400},"id":7,"jsonrpc":"2.0"}"#;
    let server = Legacy::new().on("tools/call", move |_, wire| wire.json(body)).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("7");
    assert_eq!(bridge.line(), body);
}

#[test]
fn content_types_are_read_as_http_says() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let kind = match request.id() {
                "1" => "Application/JSON; charset=utf-8",
                "2" => "application/json;charset=UTF-8",
                _ => "TEXT/Event-Stream; charset=utf-8",
            };
            let body = match request.id() {
                "3" => format!("data:{}\n\n", request.result("{}")),
                _ => request.result("{}"),
            };
            wire.reply(200, &[("content-type", kind)], body.as_bytes());
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    for id in ["1", "2", "3"] {
        bridge.call(id);
        bridge.result(id);
    }
}

#[test]
fn an_answer_that_comes_twice_is_delivered_once() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let mut events = wire.events();
            events.event(request.result(r#"{"n":1}"#));
            events.event(request.result(r#"{"n":2}"#));
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("7");
    assert_eq!(bridge.result("7")["n"], 1);
    bridge.still_serves();
    bridge.finish().has_no_answer_to("7");
}

#[test]
fn an_answer_to_one_call_on_the_stream_of_another_is_not_taken() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let first = parked.next();
    bridge.call("2");
    let second = parked.next();
    let mut events = second.wire.events();
    events.event(first.request.result(r#"{"forged":true}"#));
    events.event(second.request.result("{}"));
    events.end();
    bridge.result("2");
    first.wire.json(first.request.result(r#"{"forged":false}"#));
    assert_eq!(bridge.result("1")["forged"], false);
}

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
        bridge.own_error(id, NO_ANSWER);
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
fn a_body_that_only_the_end_of_its_connection_ends_is_read() {
    let server = Legacy::new()
        .on("tools/call", |request, mut wire| {
            let body = match request.id() {
                "1" => request.result("{}"),
                _ => format!("data: {}\n\n", request.result("{}")),
            };
            let kind = match request.id() {
                "1" => "application/json",
                _ => "text/event-stream",
            };
            wire.raw(format!("HTTP/1.0 200 OK\r\nContent-Type: {kind}\r\n\r\n{body}").as_bytes());
            wire.cut();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    for id in ["1", "2"] {
        bridge.call(id);
        bridge.result(id);
    }
}

#[test]
fn an_informational_reply_before_the_real_one_is_skipped() {
    let server = Legacy::new()
        .on("tools/call", |request, mut wire| {
            wire.raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
            wire.json(request.result("{}"));
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    bridge.result("1");
}

#[test]
fn what_is_no_http_at_all_is_no_answer() {
    answered_with(&[-31002, -31003, -31004], |_, mut wire| {
        wire.raw(b"SSH-2.0-OpenSSH_9.2\r\n");
        wire.cut();
    });
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
