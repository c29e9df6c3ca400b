//! Big messages go through whole; those over the limit are refused by name.

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const BIG: usize = 40 << 20;
/// Without optimisation, on a busy machine, such a message takes its time.
const LONG: Duration = Duration::from_secs(120);
/// The big ones go one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// Text of this length, no two blocks of it alike.
fn text(length: usize) -> String {
    let block = r#"é\n,\"{ "#.repeat(5000);
    let mut text = String::with_capacity(length + block.len() + 16);
    let mut n = 0;
    while text.len() < length {
        text.push_str(&format!("{n:08x}"));
        text.push_str(&block);
        n += 1;
    }
    text
}

#[test]
fn a_result_of_40_mb_arrives_intact_as_json() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let result = format!(r#"{{"v":1e400,"t":"{}","w":1.10}}"#, text(BIG));
    let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    let server = Legacy::new()
        .on("tools/call", move |request, wire| {
            wire.json(request.result(&result));
        })
        .start();
    let mut bridge = Bridge::to(&server).ready().patient(LONG);
    bridge.call("1");
    assert!(bridge.line_unchecked() == expected, "the result was changed");
    bridge.still_serves();
}

#[test]
fn a_result_of_40_mb_arrives_intact_in_one_event() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let result = format!(r#"{{"v":1e400,"t":"{}","w":1.10}}"#, text(BIG));
    let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
    let server = Legacy::new()
        .on("tools/call", move |request, wire| {
            let event = format!("data: {}\n\n", request.result(&result));
            let mut events = wire.events();
            for piece in event.as_bytes().chunks(60_000) {
                events.raw(piece);
            }
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready().patient(LONG);
    bridge.call("1");
    assert!(bridge.line_unchecked() == expected, "the result was changed");
    bridge.still_serves();
}

#[test]
fn an_argument_of_40_mb_arrives_intact() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server).ready().patient(LONG);
    let line = format!(
        r#"{{"jsonrpc":"2.0","method":"tools/call","params":{{"name":"echo","arguments":{{"v":1e400,"t":"{}"}}}},"id":1}}"#,
        text(BIG)
    );
    bridge.send(&line);
    bridge.result("1");
    let calls = server.of("tools/call");
    assert!(calls[0].body == line.as_bytes(), "the argument was changed");
    bridge.still_serves();
}

const LIMIT: &str = "1000000";

fn limited(server: &Server) -> Bridge {
    Home::new("memory").launch(&server.url()).args(&["--max-message", LIMIT]).start().ready()
}

#[test]
fn a_line_over_the_limit_is_refused_with_its_id_wherever_it_stands() {
    let server = Legacy::new().start();
    let mut bridge = limited(&server);
    let big = text(2_000_000);
    for (id, line) in [
        (
            "1",
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","id":2,"t":"{big}"}}}}"#
            ),
        ),
        (
            "3",
            format!(
                r#"{{"params":{{"id":9,"t":"{big}","name":"echo","u":[{{"id":8}}]}},"method":"tools/call","jsonrpc":"2.0","id":3}}"#
            ),
        ),
        (
            r#""f\"our""#,
            format!(
                r#" {{ "x" : "\"id\":5,{big}" , "id" : "f\"our" , "method" : "tools/call", "jsonrpc":"2.0" }}"#
            ),
        ),
    ] {
        bridge.send(&line);
        bridge.own_error(id, &[-31006]);
        bridge.still_serves();
    }
    assert!(server.of("tools/call").is_empty());
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:.300?}", ended.rest);
}

#[test]
fn a_notification_or_nonsense_over_the_limit_does_not_stop_the_bridge() {
    let server = Legacy::new().start();
    let mut bridge = limited(&server);
    let big = text(3_000_000);
    bridge.send(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"t":"{big}"}}}}"#
    ));
    bridge.still_serves();
    bridge.send("x".repeat(3_000_000));
    bridge.still_serves();
    bridge.call("1");
    bridge.result("1");
    assert!(server.of("notifications/progress").is_empty());
}

#[test]
fn a_line_just_under_the_limit_is_served() {
    let server = Legacy::new().start();
    let mut bridge = limited(&server);
    let frame = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","t":""}}"#;
    let fill = "x".repeat(1_000_000 - frame.len() - 2);
    bridge.send(frame.replace(r#""t":"""#, &format!(r#""t":"{fill}""#)));
    bridge.result("1");
}

#[test]
fn a_result_over_the_limit_is_an_error_for_its_request() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let body = request.result(&format!(r#"{{"t":"{}"}}"#, text(2_000_000)));
            match request.id() {
                "1" => wire.json(body),
                "2" => {
                    let mut events = wire.events();
                    events.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
                    events.event(body);
                    events.end();
                }
                _ => {
                    // Its length is not announced.
                    let headers = [("Content-Type", "application/json")];
                    let mut events = wire.chunked(&headers);
                    events.raw(body);
                    events.end();
                }
            }
        })
        .start();
    let mut bridge = limited(&server);
    for id in ["1", "2", "3"] {
        bridge.call(id);
        bridge.own_error(id, &[-31006]);
        bridge.still_serves();
    }
    bridge.message("notifications/message");
    let ended = bridge.finish();
    assert!(ended.rest.is_empty(), "{:.300?}", ended.rest);
}

/// A small compressed body that unpacks to more than the limit.
#[test]
fn a_compressed_bomb_is_stopped_at_the_limit() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            let body = request.result(&format!(r#"{{"t":"{}"}}"#, "a".repeat(30_000_000)));
            encoder.write_all(body.as_bytes()).unwrap();
            let packed = encoder.finish().unwrap();
            assert!(packed.len() < 100_000);
            let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
            wire.reply(200, &headers, &packed);
        })
        .start();
    let mut bridge = limited(&server);
    bridge.call("1");
    bridge.own_error("1", &[-31006]);
    bridge.still_serves();
}
