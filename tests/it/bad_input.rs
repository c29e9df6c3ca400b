//! A line that is no valid message is refused, and the bridge goes on.

use crate::support::bridge::Bridge;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::{Server, park};

fn ready() -> (Server, Bridge) {
    let server = Legacy::new().start();
    let bridge = Bridge::to(&server).ready();
    server.wait_for("notifications/initialized");
    (server, bridge)
}

/// Nothing but the handshake and pings reached the remote.
fn nothing_was_sent(server: &Server) {
    let mut kinds = server.kinds();
    kinds.retain(|kind| {
        !["initialize", "notifications/initialized", "GET", "ping"].contains(&kind.as_str())
    });
    assert!(kinds.is_empty(), "{kinds:?}");
}

#[test]
fn what_is_no_json_is_a_parse_error_without_an_id() {
    let (server, mut bridge) = ready();
    for line in [
        "hello",
        "{nope",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call""#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"} trailing"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}{"jsonrpc":"2.0","id":2,"method":"ping"}"#,
        r#"{'jsonrpc':'2.0','id':1,'method':'tools/call'}"#,
        r#"{"jsonrpc":"2.0","id":01,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"v":.5}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"v":"\x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{},}"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"v\":\"a\tb\"}}",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":NaN}"#,
    ] {
        bridge.send(line);
        assert_eq!(bridge.refusal()["code"], -32700, "{line}");
        bridge.still_serves();
    }
    nothing_was_sent(&server);
}

#[test]
fn what_is_not_utf8_is_a_parse_error() {
    let (server, mut bridge) = ready();
    for bad in [&b"\xff"[..], b"\xc3(", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"] {
        let mut line =
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","v":""#
                .to_vec();
        line.extend_from_slice(bad);
        line.extend_from_slice(b"\"}}\n");
        bridge.send_bytes(line);
        assert_eq!(bridge.refusal()["code"], -32700, "{bad:?}");
        bridge.still_serves();
    }
    nothing_was_sent(&server);
}

#[test]
fn json_that_is_no_message_is_an_invalid_request() {
    let (server, mut bridge) = ready();
    for line in [
        "42",
        "null",
        r#""hello""#,
        "{}",
        r#"{"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"2.0","method":7}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"method":"ping"}"#,
    ] {
        bridge.send(line);
        assert_eq!(bridge.refusal()["code"], -32600, "{line}");
        bridge.still_serves();
    }
    nothing_was_sent(&server);
}

#[test]
fn an_invalid_request_whose_id_can_be_read_is_refused_once() {
    let (server, mut bridge) = ready();
    for line in [
        r#"{"id":7,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"1.0","id":7,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":null}"#,
    ] {
        bridge.send(line);
        bridge.request("8", "ping", "{}");
        let refused: serde_json::Value = serde_json::from_str(&bridge.line()).unwrap();
        assert_eq!(refused["error"]["code"], -32600, "{line}: {refused}");
        let id = refused.get("id").cloned().unwrap_or_default();
        assert!(id.is_null() || id == 7, "{line}: {refused}");
        bridge.result("8");
    }
    nothing_was_sent(&server);
}

/// A member that decides something may stand once: the remote could read the other one.
#[test]
fn a_doubled_deciding_member_is_an_invalid_request() {
    let (server, mut bridge) = ready();
    for line in [
        r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","method":"tools/call","params":{"name":"echo"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"},"params":{"name":"rm"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","name":"rm"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"a:b","uri":"c:d"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tasks/get","params":{"taskId":"a","taskId":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","_meta":{},"_meta":{}}}"#,
        // The same name, differently spelled.
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","n\u0061me":"rm"}}"#,
        r#"{"jsonrpc":"2.0","id":7,"\u0069d":8,"method":"tools/call","params":{"name":"echo"}}"#,
    ] {
        bridge.send(line);
        bridge.request("9", "ping", "{}");
        let refused: serde_json::Value = serde_json::from_str(&bridge.line()).unwrap();
        assert_eq!(refused["error"]["code"], -32600, "{line}: {refused}");
        bridge.result("9");
    }
    nothing_was_sent(&server);
}

#[test]
fn a_request_with_a_null_id_is_an_invalid_request() {
    let (server, mut bridge) = ready();
    bridge.send(r#"{"jsonrpc":"2.0","id":null,"method":"tools/call","params":{"name":"echo"}}"#);
    assert_eq!(bridge.refusal()["code"], -32600);
    bridge.still_serves();
    nothing_was_sent(&server);
}

#[test]
fn a_bad_notification_does_not_stop_the_bridge() {
    let (server, mut bridge) = ready();
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"name":"a","name":"b"}}"#);
    assert_eq!(bridge.refusal()["code"], -32600);
    bridge.still_serves();
    nothing_was_sent(&server);
}

#[test]
fn a_request_id_that_is_in_flight_is_refused_and_the_first_keeps_its_answer() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("7");
    let call = parked.next();
    bridge.call("7");
    assert_eq!(bridge.error("7")["code"], -32600);
    call.wire.json(call.request.result(r#"{"first":true}"#));
    assert_eq!(bridge.result("7")["first"], true);
    assert_eq!(server.of("tools/call").len(), 1);

    // Once it is answered, the id is free again.
    bridge.call("7");
    let call = parked.next();
    call.wire.json(call.request.result(r#"{"second":true}"#));
    assert_eq!(bridge.result("7")["second"], true);
}

#[test]
fn deep_nesting_from_the_client_is_survived() {
    let (_server, mut bridge) = ready();
    for depth in [100, 10_000, 1_000_000] {
        let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        bridge.request("7", "tools/call", &format!(r#"{{"name":"echo","arguments":{value}}}"#));
        // Carried or refused, but answered.
        let answer: serde_json::Value = serde_json::from_str(&bridge.line()).unwrap();
        assert!(depth > 100 || answer["id"] == 7, "{answer}");
        bridge.still_serves();
        let open = "{\"a\":".repeat(depth);
        bridge.request("8", "tools/call", &open);
        assert_eq!(bridge.refusal()["code"], -32700);
        bridge.still_serves();
    }
}

#[test]
fn deep_nesting_from_the_remote_is_survived() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let depth: usize = request.id().parse().unwrap();
            let value = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            wire.json(request.result(&value));
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    for depth in ["100", "10000", "1000000"] {
        bridge.call(depth);
        let line = bridge.line_unchecked();
        assert!(line.contains(depth), "{line:.200}");
        bridge.still_serves();
    }
}

#[test]
fn answers_and_notifications_of_the_client_that_nobody_waits_for_do_no_harm() {
    let (_server, mut bridge) = ready();
    bridge.send(r#"{"jsonrpc":"2.0","id":99,"result":{}}"#);
    bridge.send(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#);
    bridge.notify("notifications/cancelled", r#"{"requestId":4711}"#);
    bridge.notify("notifications/cancelled", "{}");
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

/// The id of a response is the server's own: a refusal that named it would answer the
/// client's request of the same id.
#[test]
fn a_malformed_answer_of_the_client_does_not_answer_its_own_request() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let call = parked.next();
    bridge.send(r#"{"jsonrpc":"2.0","id":1}"#);
    assert_eq!(bridge.refusal()["code"], -32600);
    call.wire.json(call.request.result("{}"));
    bridge.result("1");
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}
