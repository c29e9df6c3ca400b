//! Batches: only revision 2025-03-26 has them.

use crate::support::bridge::{Bridge, response_id};
use crate::support::http::Request;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::{Server, park};
use serde_json::Value;

const BATCH: &str = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","v":1e400}},{"jsonrpc":"2.0","method":"notifications/progress","params":{}},{"jsonrpc":"2.0","id":"b","method":"tools/call","params":{"name":"echo"}}]"#;

#[test]
fn a_batch_is_refused_where_no_revision_with_batches_was_negotiated() {
    for version in ["2025-06-18", "2025-11-25"] {
        let server = Legacy::new().version(version).start();
        let mut bridge = Bridge::to(&server).ready_as(version);
        for batch in [BATCH, "[]", "[1]", r#"[{"jsonrpc":"2.0","method":"x"}]"#] {
            bridge.send(batch);
            assert_eq!(bridge.refusal()["code"], -32600, "{batch}");
            bridge.still_serves();
        }
        assert!(server.of("tools/call").is_empty());
    }
}

#[test]
fn a_batch_before_initialize_is_refused() {
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server);
    bridge.send(BATCH);
    assert_eq!(bridge.refusal()["code"], -32600);
    assert!(server.requests().is_empty());
    bridge.ready();
}

/// A server of 2025-03-26 that answers a batch with a batch.
fn batch_server() -> Server {
    Legacy::new()
        .version("2025-03-26")
        .lenient()
        .on("response", |request: &Request, wire| {
            let Value::Array(members) = request.json() else {
                return wire.accepted();
            };
            let answers: Vec<_> = members
                .iter()
                .filter(|member| member.get("id").is_some())
                .map(|member| {
                    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"n":1.10}}}}"#, member["id"])
                })
                .collect();
            wire.json(format!("[{}]", answers.join(",")));
        })
        .start()
}

/// All messages of the next lines, batches opened, until `count` are there.
fn messages(bridge: &mut Bridge, count: usize) -> Vec<String> {
    let mut all = Vec::new();
    while all.len() < count {
        let line = bridge.line_unchecked();
        match serde_json::from_str::<Vec<Box<serde_json::value::RawValue>>>(&line) {
            Ok(members) => all.extend(members.iter().map(|m| m.get().to_owned())),
            Err(_) => all.push(line),
        }
    }
    assert_eq!(all.len(), count, "{all:?}");
    all
}

#[test]
fn a_batch_of_the_client_is_served_under_2025_03_26() {
    let server = batch_server();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    bridge.send(BATCH);
    let answers = messages(&mut bridge, 2);
    let mut ids: Vec<_> = answers.iter().map(|line| response_id(line)).collect();
    ids.sort();
    assert_eq!(ids, [Some(r#""b""#.to_owned()), Some("1".to_owned())]);
    assert!(answers.iter().all(|line| line.contains(r#""result""#)));

    // Whole or one by one, every member reached the remote as it was.
    let seen = server.wait("every member", |log| {
        let bodies: String = log.iter().map(|r| r.text()).collect();
        bodies.contains("notifications/progress").then_some(bodies)
    });
    assert!(seen.contains(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","v":1e400}}"#
    ));
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:?}", ended.rest);
}

#[test]
fn a_batch_of_the_remote_is_delivered_under_2025_03_26() {
    let (handler, parked) = park();
    let server = Legacy::new().version("2025-03-26").lenient().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");

    // As a JSON body.
    bridge.call("1");
    let call = parked.next();
    let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"p":1.10}}"#;
    let answer = call.request.result(r#"{"v":1e400}"#);
    call.wire.json(format!("[{note},\n{answer}]"));
    assert_eq!(messages(&mut bridge, 2), [note, &answer]);

    // As an event, with a request of the server that the client answers.
    bridge.call("2");
    let call = parked.next();
    let asked = r#"{"jsonrpc":"2.0","id":"s1","method":"roots/list"}"#;
    let answer = call.request.result("{}");
    let mut events = call.wire.events();
    events.event(format!("[{note},{asked}]"));
    assert_eq!(messages(&mut bridge, 2), [note, asked]);
    bridge.send(r#"{"jsonrpc":"2.0","id":"s1","result":{"roots":[]}}"#);
    assert_eq!(server.wait_for("response").id(), r#""s1""#);
    events.event(format!("[{answer}]"));
    events.end();
    assert_eq!(messages(&mut bridge, 1), [answer]);
    bridge.still_serves();
}

#[test]
fn every_request_of_a_batch_is_answered_when_the_remote_dies() {
    let (handler, parked) = park();
    let server = Legacy::new()
        .version("2025-03-26")
        .lenient()
        .on("tools/call", park_nothing)
        .on("response", handler)
        .start();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    bridge.send(BATCH);
    // Sent whole, it is held here and cut; sent one by one, each is cut.
    server.wait("the batch", |log| log.iter().any(|r| r.text().contains("1e400")).then_some(()));
    if server.of("tools/call").is_empty() {
        parked.next().wire.reset();
    }
    let mut ids: Vec<_> = messages(&mut bridge, 2)
        .iter()
        .map(|line| {
            assert!(line.contains("-31003"), "{line}");
            response_id(line)
        })
        .collect();
    ids.sort();
    assert_eq!(ids, [Some(r#""b""#.to_owned()), Some("1".to_owned())]);
    bridge.still_serves();
}

fn park_nothing(_: &Request, wire: crate::support::http::Wire) {
    wire.cut();
}

#[test]
fn cancelling_one_request_of_a_batch_leaves_the_others() {
    let (handler, parked) = park();
    let (single, singles) = park();
    let server = Legacy::new()
        .version("2025-03-26")
        .lenient()
        .on("response", handler)
        .on("tools/call", single)
        .start();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    bridge.send(BATCH);
    server.wait("the batch", |log| log.iter().any(|r| r.text().contains("1e400")).then_some(()));
    let whole = server.of("tools/call").is_empty();
    bridge.notify("notifications/cancelled", r#"{"requestId":1}"#);
    server.wait_for("notifications/cancelled");
    let answer = r#"{"jsonrpc":"2.0","id":"b","result":{}}"#;
    if whole {
        parked.next().wire.json(format!("[{answer}]"));
    } else {
        for call in [singles.next(), singles.next()] {
            call.wire.json(call.request.result("{}"));
        }
    }
    assert_eq!(messages(&mut bridge, 1), [answer]);
    bridge.still_serves();
    bridge.finish().has_no_answer_to("1");
}

#[test]
fn an_empty_or_broken_batch_is_refused_under_2025_03_26_too() {
    let server = batch_server();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    for batch in ["[]", "[1]", r#"[{"jsonrpc":"2.0","id":null,"method":"ping"}]"#] {
        bridge.send(batch);
        assert!(messages(&mut bridge, 1)[0].contains("-32600"), "{batch}");
        bridge.still_serves();
    }
    bridge.send(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert!(messages(&mut bridge, 1)[0].contains("-32700"));
    bridge.still_serves();
}

/// The ids of a batch's answers, in order, each with the code of its error or 0.
fn outcomes(batch: &str, count: usize) -> Vec<(String, i64)> {
    let server = Legacy::new().version("2025-03-26").lenient().start();
    let mut bridge = Bridge::to(&server).ready_as("2025-03-26");
    bridge.send(batch);
    let answers = messages(&mut bridge, count);
    let mut outcomes: Vec<_> = answers
        .iter()
        .map(|line| {
            let code = crate::support::value(line)["error"]["code"].as_i64();
            (response_id(line).unwrap_or_default(), code.unwrap_or_default())
        })
        .collect();
    outcomes.sort();
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{batch}: {:?}", ended.rest);
    outcomes
}

fn owned(outcomes: &[(&str, i64)]) -> Vec<(String, i64)> {
    outcomes.iter().map(|(id, code)| ((*id).to_owned(), *code)).collect()
}

fn echo(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo"}}}}"#)
}

#[test]
fn an_id_that_stands_twice_in_a_batch_costs_only_its_second_request() {
    let batch = format!("[{},{},{}]", echo(1), echo(2), echo(2));
    assert_eq!(outcomes(&batch, 3), owned(&[("1", 0), ("2", -32600), ("2", 0)]));
    let cancelled =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}"#;
    let batch = format!("[{cancelled},{},{},{}]", echo(5), echo(5), echo(6));
    assert_eq!(outcomes(&batch, 3), owned(&[("5", -32600), ("5", 0), ("6", 0)]));
}

#[test]
fn an_invalid_element_of_a_batch_costs_only_itself() {
    let invalid = r#"{"id":12,"method":"tools/call","params":{"name":"echo"}}"#;
    for batch in [format!("[{},{invalid}]", echo(11)), format!("[{invalid},{}]", echo(11))] {
        assert_eq!(outcomes(&batch, 2), owned(&[("11", 0), ("12", -32600)]));
    }
}
