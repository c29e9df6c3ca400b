//! Event streams that break or pause are taken up again where they have event ids.

use crate::support::bridge::Bridge;
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Call, Parked, Server, park};
use std::time::{Duration, Instant};

const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"n":1}}"#;
const NOTE_2: &str = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"n":2}}"#;

/// A server whose calls and whose resumed streams are in the test's hands; its
/// standing GET stream is not offered.
fn server() -> (Server, Parked, Parked) {
    let (call, calls) = park();
    let (resume, resumed) = park();
    let server = Legacy::new()
        .sessions(&Sessions::default())
        .on("tools/call", call)
        .on("GET", resumable(resume))
        .start();
    (server, calls, resumed)
}

fn resumable(
    resume: impl Fn(&Request, Wire) + Send + Sync + 'static,
) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
    move |request, wire| match request.header("last-event-id") {
        Some(_) => resume(request, wire),
        None => wire.status(405),
    }
}

/// Primes a call's stream with an event id and one message.
fn primed(call: Call, retry: &str) -> (crate::support::http::Events, String) {
    let answer = call.request.result(r#"{"resumed":true}"#);
    let mut events = call.wire.events();
    events.raw(format!("id: e-0\nretry: {retry}\ndata: \n\n"));
    events.event_with_id("e-1", NOTE);
    (events, answer)
}

#[test]
fn a_broken_stream_with_event_ids_is_resumed_after_the_last_one() {
    let (server, calls, resumed) = server();
    let mut bridge = Bridge::to(&server).ready();
    for ending in ["reset", "cut", "end", "half an event"] {
        bridge.call("1");
        let (mut events, answer) = primed(calls.next(), "10");
        assert_eq!(bridge.line(), NOTE);
        match ending {
            "reset" => events.reset(),
            "cut" => events.cut(),
            "end" => events.end(),
            _ => {
                events.raw(format!("id: e-2\ndata: {NOTE_2}\n"));
                events.cut();
            }
        }
        let resume = resumed.next();
        assert_eq!(resume.request.header("last-event-id"), Some("e-1"), "{ending}");
        assert_eq!(resume.request.header("mcp-session-id"), Some("session-1"));
        let mut events = resume.wire.events();
        events.event_with_id("e-2", NOTE_2);
        events.event_with_id("e-3", &answer);
        events.end();
        assert_eq!(bridge.line(), NOTE_2);
        assert_eq!(bridge.line(), answer);
    }
    assert_eq!(server.of("tools/call").len(), 4, "a call was sent again");
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn a_stream_may_be_closed_on_purpose_again_and_again() {
    const TIMES: usize = 12;
    let (server, calls, resumed) = server();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let (events, answer) = primed(calls.next(), "1");
    bridge.line();
    events.end();
    for n in 1..=TIMES {
        let resume = resumed.next();
        let last = resume.request.header("last-event-id").map(str::to_owned);
        assert_eq!(last, Some(format!("e-{n}")));
        let mut events = resume.wire.events();
        let id = format!("e-{}", n + 1);
        if n == TIMES {
            events.event_with_id(&id, &answer);
        } else {
            // Something new each time: the remote is at work.
            events.event_with_id(&id, NOTE);
        }
        events.end();
    }
    assert_eq!(bridge.result("1")["resumed"], true);
}

#[test]
fn retry_is_honoured() {
    let (server, calls, resumed) = server();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let (mut events, answer) = primed(calls.next(), "10");
    events.raw("retry: 800\n\n");
    events.event_with_id("e-2", NOTE_2);
    bridge.line();
    bridge.line();
    let closed = Instant::now();
    events.end();
    let resume = resumed.next();
    let waited = closed.elapsed();
    assert!(waited >= Duration::from_millis(800), "{waited:?}");
    let mut events = resume.wire.events();
    events.event(&answer);
    events.end();
    bridge.result("1");
}

#[test]
fn other_calls_go_on_while_a_stream_waits_to_be_resumed() {
    let (server, calls, resumed) = server();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let (events, answer) = primed(calls.next(), "300");
    bridge.line();
    events.end();
    bridge.still_serves();
    let resume = resumed.next();
    bridge.still_serves();
    let mut events = resume.wire.events();
    events.event(&answer);
    events.end();
    bridge.result("1");
}

#[test]
fn resumption_is_bounded() {
    let server = Legacy::new()
        .on("tools/call", |_, wire| {
            let mut events = wire.events();
            events.raw("id: e-1\nretry: 1\ndata: \n\n");
            events.end();
        })
        .on("GET", resumable(|_, wire| wire.events().end()))
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    bridge.own_error("1", &[-31003]);
    let tries = server.of("GET").iter().filter(|r| r.header("last-event-id").is_some()).count();
    assert!((1..=50).contains(&tries), "{tries} times");
    bridge.still_serves();
}

/// Asking again is safe: nothing is executed by it.
#[test]
fn a_resumption_that_is_put_off_or_spoilt_is_tried_again() {
    let (server, calls, resumed) = server();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let (events, answer) = primed(calls.next(), "10");
    bridge.line();
    events.end();
    let page = [("Content-Type", "text/html")];
    resumed.next().wire.reply(200, &page, b"<html>sign in to the Wi-Fi</html>");
    resumed.next().wire.status(503);
    let put_off = Instant::now();
    resumed.next().wire.reply(429, &[("Retry-After", "1")], b"");
    let resume = resumed.next();
    assert!(put_off.elapsed() >= Duration::from_secs(1), "{:?}", put_off.elapsed());
    assert_eq!(resume.request.header("last-event-id"), Some("e-1"));
    let mut events = resume.wire.events();
    events.event_with_id("e-2", &answer);
    events.end();
    bridge.result("1");
    assert_eq!(server.of("tools/call").len(), 1);
}

#[test]
fn a_remote_that_does_not_resume_ends_the_call() {
    for status in [400, 404, 405, 501] {
        let server = Legacy::new()
            .on("tools/call", |_, wire| {
                let mut events = wire.events();
                events.raw("id: e-1\nretry: 1\ndata: \n\n");
                events.end();
            })
            .on("GET", resumable(move |_, wire| wire.status(status)))
            .start();
        let mut bridge = Bridge::to(&server).ready();
        bridge.call("1");
        bridge.own_error("1", &[-31003, -31004]);
        bridge.still_serves();
        assert_eq!(server.of("tools/call").len(), 1);
    }
}

#[test]
fn a_cancelled_call_is_not_resumed_and_its_resumption_is_closed() {
    let (server, calls, resumed) = server();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let (events, _) = primed(calls.next(), "1");
    bridge.line();
    events.end();
    let resume = resumed.next();
    let events = resume.wire.events();
    bridge.notify("notifications/cancelled", r#"{"requestId":1}"#);
    assert!(events.client_closes_within(crate::support::PATIENCE));
    bridge.still_serves();
    bridge.finish().has_no_answer_to("1");
}

#[test]
fn an_answer_may_come_on_the_get_stream_and_counts_once() {
    let (call, calls) = park();
    let (get, gets) = park();
    let server = Legacy::new().on("tools/call", call).on("GET", get).start();
    let mut bridge = Bridge::to(&server).ready();
    let mut standing = gets.next().wire.events();
    bridge.call("1");
    let call = calls.next();
    let mut events = call.wire.events();
    standing.event(call.request.result(r#"{"from":"get"}"#));
    assert_eq!(bridge.result("1")["from"], "get");
    events.event(call.request.result(r#"{"from":"post"}"#));
    events.end();
    bridge.still_serves();
    bridge.finish().has_no_answer_to("1");
}

#[test]
fn the_get_stream_is_resumed_too() {
    let (get, gets) = park();
    let server = Legacy::new().on("GET", get).start();
    let mut bridge = Bridge::to(&server).ready();
    let mut standing = gets.next().wire.events();
    standing.raw("retry: 10\n\n");
    standing.event_with_id("g-1", NOTE);
    assert_eq!(bridge.line(), NOTE);
    standing.cut();
    let again = gets.next();
    assert_eq!(again.request.header("last-event-id"), Some("g-1"));
    let mut standing = again.wire.events();
    standing.event_with_id("g-2", NOTE_2);
    assert_eq!(bridge.line(), NOTE_2);
    bridge.still_serves();
}

#[test]
fn a_get_stream_that_is_put_off_comes_back_when_it_may() {
    let (get, gets) = park();
    let server = Legacy::new().on("GET", get).start();
    let mut bridge = Bridge::to(&server).ready();
    for status in [429, 503] {
        let put_off = Instant::now();
        gets.next().wire.reply(status, &[("Retry-After", "3")], b"");
        let again = gets.next();
        assert!(put_off.elapsed() >= Duration::from_secs(3), "{:?}", put_off.elapsed());
        let mut events = again.wire.events();
        events.event(NOTE);
        assert_eq!(bridge.line(), NOTE);
        events.cut();
    }
}

/// A login page of the Wi-Fi, say: the remote has shown that it has such a stream.
#[test]
fn a_get_stream_that_was_there_once_comes_back_whatever_is_in_its_place() {
    let (get, gets) = park();
    let server = Legacy::new().on("GET", get).start();
    let mut bridge = Bridge::to(&server).ready();
    gets.next().wire.events().cut();
    let page = [("Content-Type", "text/html")];
    gets.next().wire.reply(200, &page, b"<html>sign in to the Wi-Fi</html>");
    let mut events = gets.next().wire.events();
    events.event(NOTE);
    assert_eq!(bridge.line(), NOTE);
}

/// Its messages stop, but a remote that ends every stream is not hammered.
#[test]
fn a_get_stream_that_always_ends_is_not_asked_for_without_pause() {
    let server = Legacy::new().on("GET", |_, wire| wire.events().end()).start();
    let mut bridge = Bridge::to(&server).ready();
    server.wait_for("GET");
    for id in 0..200 {
        let id = id.to_string();
        bridge.call(&id);
        bridge.result(&id);
    }
    let asked = server.of("GET").len();
    assert!(asked < 20, "{asked} times");
}

/// Nor is one that says "at once" each time.
#[test]
fn a_get_stream_that_always_ends_is_not_hammered_whatever_retry_says() {
    let server = Legacy::new()
        .on("GET", |_, wire| {
            let mut events = wire.events();
            events.raw("retry: 0\n\n");
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    server.wait_for("GET");
    for id in 0..200 {
        let id = id.to_string();
        bridge.call(&id);
        bridge.result(&id);
    }
    let asked = server.of("GET").len();
    assert!(asked < 50, "{asked} times");
}
