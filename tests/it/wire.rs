//! Messages go through as they are, byte for byte, both ways.

use crate::support::bridge::Bridge;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::park;

/// Values that a parse into typed numbers or a map would change.
const ODD_VALUES: &[&str] = &[
    r#"1e400"#,
    r#"-0.0"#,
    r#"1.10"#,
    r#"1.0"#,
    r#"1E+2"#,
    r#"12345678901234567890123"#,
    r#"9007199254740993"#,
    r#"0.1000000000000000055511151231257827"#,
    r#""raw: åäö 日本 🦀""#,
    r#""escaped: \u00e5 \u65e5 \ud83e\udd80 \/ \b""#,
    r#""a lone surrogate: \ud800""#,
    "\"line separators: \u{2028} \u{2029} \u{85}\"",
    r#"{"z":1,"a":2,"m":3}"#,
    r#"{"twice":1,"twice":2,"twice":{"twice":null,"twice":[]}}"#,
    r#"[ 1 ,2,	3 ]"#,
    r#"{"":null," ":{}}"#,
    r#""\u0000""#,
];

/// A request with `value` in every place that decides nothing.
fn odd_request(id: usize, value: &str) -> String {
    format!(
        r#"{{"x-first":{value},"params": {{"arguments":{{"v":{value}}},"name":"echo","extra":{value},"extra":{value}}},"method":"tools/call","x":{value},"x":{value},"jsonrpc":"2.0","id":{id}}}"#
    )
}

fn odd_answer(id: &str, value: &str) -> String {
    format!(
        r#"{{"x-first":{value},"result" :{{"content":[],"v":{value},"v":{value}}},"x":{value},"jsonrpc":"2.0","id":{id}}}"#
    )
}

#[test]
fn odd_values_reach_the_remote_byte_for_byte() {
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server).ready();
    for (id, value) in ODD_VALUES.iter().enumerate() {
        let line = odd_request(id, value);
        bridge.send(&line);
        bridge.result(&id.to_string());
        let calls = server.of("tools/call");
        assert_eq!(calls.last().unwrap().text(), line);
    }
}

#[test]
fn odd_values_reach_the_client_byte_for_byte_from_json() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let at: usize = request.id().parse().unwrap();
            wire.json(odd_answer(request.id(), ODD_VALUES[at]));
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    for (id, value) in ODD_VALUES.iter().enumerate() {
        let id = id.to_string();
        bridge.call(&id);
        assert_eq!(bridge.answer_line(&id), odd_answer(&id, value));
    }
}

#[test]
fn odd_values_reach_the_client_byte_for_byte_from_an_event_stream() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let at: usize = request.id().parse().unwrap();
            let mut events = wire.events();
            events.event(odd_notification(ODD_VALUES[at]));
            events.event(odd_answer(request.id(), ODD_VALUES[at]));
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    for (id, value) in ODD_VALUES.iter().enumerate() {
        let id = id.to_string();
        bridge.call(&id);
        assert_eq!(bridge.line(), odd_notification(value));
        assert_eq!(bridge.line(), odd_answer(&id, value));
    }
}

fn odd_notification(value: &str) -> String {
    format!(
        r#"{{"params":{{"v":{value},"v":{value}}},"method":"notifications/message","jsonrpc":"2.0","y":{value}}}"#
    )
}

#[test]
fn notifications_and_responses_of_the_client_go_out_byte_for_byte() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let call = parked.next();
    let mut events = call.wire.events();
    events.event(
        r#"{"jsonrpc":"2.0","id":12345678901234567890123,"method":"sampling/createMessage","params":{"v":1e400}}"#,
    );
    bridge.message("sampling/createMessage");
    let response = r#"{"result":{"v":1e400,"v":"\u00e5","w":1.10},"id":12345678901234567890123,"jsonrpc":"2.0","x":[]}"#;
    bridge.send(response);
    assert_eq!(server.wait_for("response").text(), response);

    let notification = r#"{"method":"notifications/progress","params":{"progress":1.0,"total":1e400,"progress2":"å"},"jsonrpc":"2.0","x":1,"x":2}"#;
    bridge.send(notification);
    assert_eq!(server.wait_for("notifications/progress").text(), notification);
    events.event(call.request.result("{}"));
    events.end();
    bridge.result("1");
}

#[test]
fn ids_of_every_kind_come_back_as_they_were_spelled() {
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server).ready();
    for id in [
        "0",
        "-1",
        "12345678901234567890123",
        r#""""#,
        r#""1""#,
        "1",
        r#""a string, with: \"quotes\" {and} brackets]""#,
        r#""日本""#,
    ] {
        bridge.call(id);
        bridge.result(id);
    }
}

/// Many servers parse a string id and write it again with other escapes.
#[test]
fn a_string_id_that_the_remote_spells_differently_is_still_its_request() {
    let server = Legacy::new()
        .on("tools/call", |_, wire| {
            wire.json(r#"{"jsonrpc":"2.0","id":"\u00e5\/b","result":{}}"#);
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call(r#""å/b""#);
    let line = bridge.line();
    assert!(line.contains(r#""result":{}"#), "{line}");
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["id"], "å/b");
}

#[test]
fn newlines_of_a_pretty_printed_body_become_spaces() {
    let body = |id: &str| {
        format!(
            "{{\r\n  \"jsonrpc\": \"2.0\",\n\t\"id\": {id},\r  \"result\": {{\n    \"a\": \"x\\ny\",\n    \"b\": 1.10\n  }}\n}}\n"
        )
    };
    let server = Legacy::new()
        .on("tools/call", move |request, wire| {
            wire.json(body(request.id()));
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let expected = body("1").replace(['\r', '\n'], " ");
    assert_eq!(bridge.line().trim_end(), expected.trim_end());
}

#[test]
fn an_event_of_several_data_lines_becomes_one_line() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let mut events = wire.events();
            events.raw(format!(
                ": a comment\r\nevent: message\r\ndata: {{\"jsonrpc\":\"2.0\",\r\ndata:\"id\":{},\rdata:  \"result\":\ndata: {{\"a\" :1.10}}}}\n\n",
                request.id()
            ));
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    assert_eq!(bridge.line(), r#"{"jsonrpc":"2.0", "id":1,  "result": {"a" :1.10}}"#);
}

#[test]
fn an_event_may_arrive_in_pieces_of_any_size() {
    const RESULT: &str = r#"{"text":"åäö 日本 \u2028 🦀","v":[1e400,{"a":1,"a":2}]}"#;
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let size: usize = request.id().parse().unwrap();
            let event = format!(
                "\u{feff}:\r\n\r\nretry: 10\r\nevent: message\r\nid\r\ndata: {}\r\n\r\n",
                request.result(RESULT)
            );
            let mut events = wire.events();
            for piece in event.as_bytes().chunks(size) {
                events.raw(piece);
            }
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    for size in [1, 2, 3, 5, 7, 64, 4096] {
        bridge.call(&size.to_string());
        assert_eq!(bridge.line(), format!(r#"{{"jsonrpc":"2.0","id":{size},"result":{RESULT}}}"#));
    }
}

#[test]
fn a_client_that_ends_its_lines_with_crlf_is_understood() {
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server).ready();
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    bridge.send(format!("{message}\r"));
    bridge.result("1");
    let sent = server.wait_for("tools/call");
    assert_eq!(sent.text().trim_end_matches('\r'), message);
}
