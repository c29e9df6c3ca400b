//! Replies a server should not give: every request is answered all the same, once.

use crate::support::bridge::{Bridge, response_id};
use crate::support::http::{Request, Wire};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::park;

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
fn a_refusal_says_when_to_try_again_and_is_not_tried_again_here() {
    let date = |seconds: u64| crate::support::clock::date(1_000_000_000 + seconds);
    for (status, wait, hint) in [
        (429, Some("30".to_owned()), "try again in 30 s"),
        (503, Some(date(90)), "try again in 90 s"),
        (503, None, "try again later"),
        (502, None, "look before you repeat it"),
    ] {
        let now = date(0);
        let server = Legacy::new()
            .on("tools/call", move |_, wire| {
                let mut headers = vec![("Date", now.as_str())];
                headers.extend(wait.iter().map(|wait| ("Retry-After", wait.as_str())));
                wire.reply(status, &headers, b"");
            })
            .start();
        let mut bridge = Bridge::to(&server).ready();
        bridge.call("1");
        let error = bridge.own_error("1", &[-31004]);
        assert!(error["data"]["hint"].as_str().unwrap_or_default().contains(hint), "{error}");
        bridge.still_serves();
        assert_eq!(server.of("tools/call").len(), 1);
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
fn what_is_not_utf8_is_no_answer() {
    answered_with(NO_ANSWER, |request, wire| {
        let body = request.result(r#""?""#);
        let body: Vec<_> = body.bytes().map(|b| if b == b'?' { 0xff } else { b }).collect();
        wire.json(body);
    });
    answered_with(NO_ANSWER, |request, wire| {
        let event = format!("data: {}\n\n", request.result(r#""?""#));
        let event: Vec<_> = event.bytes().map(|b| if b == b'?' { 0xff } else { b }).collect();
        let mut events = wire.events();
        events.raw(event);
        events.end();
    });
}
