//! A modern client and a modern remote: every request its own POST, nothing else.

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, response_id};
use crate::support::mcp_server::park;
use crate::support::modern::{META, Modern, VERSION, request};
use std::time::Duration;

const CALL: &str = r#""name":"echo","arguments":{}"#;

#[test]
fn a_first_call_costs_one_request() {
    let server = Modern::new().start();
    let mut bridge = Bridge::to(&server);
    let line = format!(
        r#"{{"id":1,"x":1e400,"x":1.10,"method":"tools/call","params":{{{META},"name":"echo","arguments":{{"v":1e400}},"k":"\u00e5å"}},"jsonrpc":"2.0"}}"#
    );
    bridge.send(&line);
    bridge.result("1");
    let [only] = server.requests().try_into().unwrap();
    assert_eq!(only.text(), line);
    assert_eq!(only.header("mcp-protocol-version"), Some(VERSION));
    assert_eq!(only.header("mcp-method"), Some("tools/call"));
    assert_eq!(only.header("mcp-name"), Some("echo"));
    let ended = bridge.finish();
    assert!(ended.status.success());
    assert_eq!(server.requests().len(), 1, "{:?}", server.kinds());
}

#[test]
fn discover_lists_and_reads_go_through_untouched() {
    let answers = |kind: &str| {
        format!(
            r#"{{"result":{{"resultType":"complete","of":"{kind}","v":1e400,"v":1.10}},"id":"é","jsonrpc":"2.0"}}"#
        )
    };
    let mut server = Modern::new();
    let requests = [
        ("server/discover", ""),
        ("resources/read", r#""uri":"file:///a%20b?c=d""#),
        ("prompts/get", r#""name":"a prompt""#),
        ("prompts/list", ""),
        ("completion/complete", r#""ref":{"type":"ref/prompt","name":"x"}"#),
    ];
    for (kind, _) in requests {
        server = server.on(kind, move |request, wire| {
            wire.json(answers(&request.kind()));
        });
    }
    let server = server.start();
    let mut bridge = Bridge::to(&server);
    for (kind, params) in requests {
        let line = request(r#""é""#, kind, params);
        bridge.send(&line);
        assert_eq!(bridge.line(), answers(kind));
        assert_eq!(server.of(kind)[0].text(), line);
    }
}

#[test]
fn progress_of_a_modern_call_comes_before_its_result() {
    let (handler, parked) = park();
    let server = Modern::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "tools/call", CALL));
    let call = parked.next();
    let mut events = call.wire.events();
    let progress =
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1.0}}"#;
    events.raw(":\r\n\r\n");
    events.event(progress);
    assert_eq!(bridge.line(), progress);
    events.event(call.request.result(r#"{"resultType":"complete"}"#));
    events.end();
    bridge.result("1");
}

#[test]
fn a_modern_error_is_passed_on_whatever_its_http_status() {
    for (status, code, method) in
        [(404, -32601, "no/such"), (400, -32022, "tools/list"), (400, -32602, "prompts/list")]
    {
        let server = Modern::new()
            .on(method, move |request, wire| {
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":"m","data":{{"supported":["2099-01-01"],"v":1.10}}}}}}"#,
                    request.id()
                );
                wire.reply(status, &[("Content-Type", "application/json")], body.as_bytes());
            })
            .start();
        let mut bridge = Bridge::to(&server);
        bridge.send(request("1", method, ""));
        let line = bridge.line();
        assert!(line.contains(&format!(r#""code":{code}"#)), "{line}");
        assert!(line.contains(r#""v":1.10"#), "{line}");
        assert_eq!(response_id(&line).as_deref(), Some("1"));
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn cancellation_closes_the_stream_and_is_not_forwarded() {
    let (handler, parked) = park();
    let server = Modern::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server);
    for (id, streaming) in [("1", false), (r#""two""#, true)] {
        bridge.send(request(id, "tools/call", CALL));
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
    }
    bridge.send(request("3", "server/discover", ""));
    bridge.result("3");
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    assert!(server.of("notifications/cancelled").is_empty());
}

#[test]
fn a_listen_stream_stays_open_and_its_notifications_flow() {
    let (handler, parked) = park();
    let server = Modern::new().on("subscriptions/listen", handler).start();
    let mut bridge = Bridge::to(&server);
    let params = r#""notifications":{"toolsListChanged":true}"#;
    bridge.send(request("1", "subscriptions/listen", params));
    let listen = parked.next();
    let answer = listen.request.result(r#"{"resultType":"complete"}"#);
    let mut events = listen.wire.events();
    let subscription = r#"{"io.modelcontextprotocol/subscriptionId":1}"#;
    for (n, method) in [
        "notifications/subscriptions/acknowledged",
        "notifications/tools/list_changed",
        "notifications/resources/updated",
    ]
    .iter()
    .enumerate()
    {
        let note = format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{subscription},"n":{n}.0}}}}"#
        );
        events.event(&note);
        assert_eq!(bridge.line(), note);
        events.raw(": keep-alive\n\n");
        let id = format!("10{n}");
        bridge.send(request(&id, "tools/call", CALL));
        bridge.result(&id);
    }
    // The server ends it gracefully.
    events.event(&answer);
    events.end();
    assert_eq!(bridge.line(), answer);

    // A second one is ended by the client.
    bridge.send(request("2", "subscriptions/listen", params));
    let listen = parked.next();
    let events = listen.wire.events();
    bridge.notify("notifications/cancelled", r#"{"requestId":2}"#);
    assert!(events.client_closes_within(PATIENCE));

    // A third one breaks.
    bridge.send(request("3", "subscriptions/listen", params));
    parked.next().wire.events().reset();
    bridge.own_error("3", &[-31003]);
    bridge.finish().has_no_answer_to("2");
}

#[test]
fn a_modern_stream_is_never_resumed() {
    let server = Modern::new()
        .on("tools/call", |_, wire| {
            let mut events = wire.events();
            events.raw("id: e-1\nretry: 1\ndata: \n\n");
            events.cut();
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "tools/call", CALL));
    bridge.own_error("1", &[-31003]);
    assert_eq!(server.requests().len(), 1, "{:?}", server.kinds());
}

#[test]
fn a_session_id_that_a_modern_remote_hands_out_is_ignored() {
    let server = Modern::new()
        .on("server/discover", |request, wire| {
            let body = request.result(&format!(
                r#"{{"resultType":"complete","supportedVersions":["{VERSION}"],"capabilities":{{}}}}"#
            ));
            let headers = [
                ("Content-Type", "application/json"),
                ("Mcp-Session-Id", "stray"),
            ];
            wire.reply(200, &headers, body.as_bytes());
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "server/discover", ""));
    bridge.result("1");
    bridge.send(request("2", "tools/call", CALL));
    bridge.result("2");
    assert!(bridge.finish().status.success());
    assert_eq!(server.requests().len(), 2, "{:?}", server.kinds());
}

#[test]
fn stdin_eof_ends_modern_streams() {
    let (handler, parked) = park();
    let server = Modern::new().on("subscriptions/listen", handler).start();
    let bridge = Bridge::to(&server);
    bridge.send(request("1", "subscriptions/listen", r#""notifications":{}"#));
    let events = parked.next().wire.events();
    let ended = bridge.finish();
    assert!(ended.took.as_secs() < 1, "{:?}", ended.took);
    assert!(events.client_closes_within(PATIENCE));
}

/// Nobody waits for the answer of a stream that is meant to last: no time of grace. The
/// machine may be busy, so the best of some attempts counts.
#[test]
fn stdin_eof_with_an_open_subscription_has_nothing_to_wait_for() {
    const ENOUGH: Duration = Duration::from_millis(300);
    let (handler, parked) = park();
    let server = Modern::new().on("subscriptions/listen", handler).start();
    let mut all = Vec::new();
    for _ in 0..5 {
        let mut bridge = Bridge::to(&server);
        bridge.send(request("1", "subscriptions/listen", r#""notifications":{}"#));
        let mut events = parked.next().wire.events();
        events.event(r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged"}"#);
        bridge.message("notifications/subscriptions/acknowledged");
        let took = bridge.finish().took;
        if took < ENOUGH {
            return;
        }
        all.push(took);
    }
    panic!("{all:?}");
}
