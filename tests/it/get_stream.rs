//! What the server says unasked: answers on the GET stream, and requests of its own.

use crate::support::PATIENCE;
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::park;

#[test]
fn an_answer_on_the_get_stream_ends_the_post_that_waited_for_it() {
    let (call, calls) = park();
    let (get, gets) = park();
    let server = Legacy::new().on("tools/call", call).on("GET", get).start();
    let mut bridge = Bridge::to(&server).ready();
    let mut standing = gets.next().wire.events();
    for streaming in [true, false] {
        bridge.call("1");
        let call = calls.next();
        let answer = call.request.result(r#"{"n":1.10}"#);
        // Whether its reply has begun or not.
        if streaming {
            let mut events = call.wire.events();
            events.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
            bridge.message("notifications/message");
            standing.event(&answer);
            assert_eq!(bridge.answer_line("1"), answer);
            assert!(events.client_closes_within(PATIENCE), "the POST stays open");
        } else {
            standing.event(&answer);
            assert_eq!(bridge.answer_line("1"), answer);
            assert!(call.wire.client_closes_within(PATIENCE), "the POST stays open");
        }
        // Said twice, it is delivered once.
        standing.event(&answer);
        bridge.still_serves();
    }
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn a_list_that_comes_on_the_get_stream_lacks_the_hidden_tools_too() {
    let (list, lists) = park();
    let (get, gets) = park();
    let server = Legacy::new().on("tools/list", list).on("GET", get).start();
    let home = Home::new("memory");
    let mut bridge =
        home.launch(&server.url()).args(&["--ignore-tool", "delete_*"]).start().ready();
    let mut standing = gets.next().wire.events();
    bridge.request("1", "tools/list", "{}");
    let asked = lists.next();
    standing.event(asked.request.result(
        r#"{"tools":[{"name":"echo","x":1.10,"inputSchema":{}},{"name":"delete_all","inputSchema":{}}]}"#,
    ));
    let line = bridge.answer_line("1");
    assert!(line.contains(r#"[{"name":"echo","x":1.10,"inputSchema":{}}]"#), "{line}");
    assert!(!line.contains("delete_all"), "{line}");
    assert!(asked.wire.client_closes_within(PATIENCE), "the POST stays open");
    bridge.finish().has_no_answer_to("1");
}

/// However much a server asks in vain, an answer to what it asks now reaches it.
#[test]
fn an_answer_is_sent_though_ten_thousand_requests_before_it_had_none() {
    const UNANSWERED: usize = 10_500;
    let sessions = Sessions::default();
    let (call, calls) = park();
    let server = Legacy::new().sessions(&sessions).on("tools/call", call).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let call = calls.next();
    let result = call.request.result("{}");
    let mut events = call.wire.events();
    let ping =
        |n: usize| format!("data: {{\"jsonrpc\":\"2.0\",\"id\":\"s{n}\",\"method\":\"ping\"}}\n\n");
    let all: String = (0..UNANSWERED).map(ping).collect();
    for piece in all.as_bytes().chunks(60_000) {
        events.raw(piece);
    }
    for n in 0..UNANSWERED {
        assert!(bridge.line().contains(&format!(r#""s{n}""#)));
    }
    let later = UNANSWERED + 1;
    events.raw(ping(later));
    bridge.line();
    for n in [UNANSWERED - 1, later] {
        bridge.send(format!(r#"{{"jsonrpc":"2.0","id":"s{n}","result":{{}}}}"#));
        let told = format!(r#""s{n}""#);
        server.wait("the answer", |log| {
            log.iter().any(|r| r.kind() == "response" && r.id() == told).then_some(())
        });
    }
    events.event(&result);
    events.end();
    bridge.result("1");
}

/// Of what a server asked and had answered nothing is kept.
#[cfg(target_os = "linux")]
#[test]
fn what_was_asked_and_answered_takes_no_memory() {
    const TIMES: usize = 2000;
    let (call, calls) = park();
    let server = Legacy::new().on("tools/call", call).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let call = calls.next();
    let result = call.request.result("{}");
    let mut events = call.wire.events();
    let long = "x".repeat(16_000);
    let mut before = 0;
    for n in 0..TIMES {
        // After the first hundred all buffers are there.
        if n == 100 {
            before = bridge.resident();
        }
        events.event(format!(
            r#"{{"jsonrpc":"2.0","id":"s{n}","method":"ping","params":{{"x":"{long}"}}}}"#
        ));
        bridge.line();
        bridge.send(format!(r#"{{"jsonrpc":"2.0","id":"s{n}","result":{{}}}}"#));
    }
    server.wait_for_count("response", TIMES);
    let grown = bridge.resident().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes");
    events.event(&result);
    events.end();
    bridge.result("1");
}
