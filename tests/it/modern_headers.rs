//! The headers that mirror a modern request's body, and the lists they are read from.

use crate::support::bridge::Bridge;
use crate::support::mcp_server::Server;
use crate::support::modern::{META, Modern, Tools, request};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn call(id: &str, tool: &str, arguments: &str) -> String {
    request(id, "tools/call", &format!(r#""name":"{tool}","arguments":{arguments}"#))
}

#[test]
fn names_that_no_header_can_carry_are_sent_in_base64() {
    let server = Modern::new().start();
    let mut bridge = Bridge::to(&server);
    for (name, header) in [
        ("get_weather", "get_weather"),
        ("a b~!", "a b~!"),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (r"Hello, \u4e16\u754c", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        (r"line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("=?base64?no end", "=?base64?no end"),
        (r"a\\b\/c\u0041", r"a\b/cA"),
    ] {
        bridge.send(call("1", name, "{}"));
        bridge.result("1");
        let calls = server.of("tools/call");
        assert_eq!(calls.last().unwrap().header("mcp-name"), Some(header));
    }
    bridge.send(request("2", "resources/read", r#""uri":"file:///ö""#));
    bridge.result("2");
    let read = server.wait_for("resources/read");
    assert_eq!(read.header("mcp-name"), Some("=?base64?ZmlsZTovLy/Dtg==?="));
}

const SQL: &str = r#"{"name":"sql","inputSchema":{"type":"object","properties":{
"region":{"type":"string","x-mcp-header":"Region"},
"limit":{"type":"integer","x-mcp-header":"Limit"},
"dry":{"type":"boolean","x-mcp-header":"X-Dry"},
"query":{"type":"string"},
"at":{"type":"object","properties":{"tenant":{"type":"string","x-mcp-header":"Tenant"},
"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}}}}"#;

fn one_line(tool: &str) -> String {
    tool.replace('\n', "")
}

/// A server with the tool `sql`, a bridge that has seen its list, and the tools.
fn listed() -> (Server, Bridge, Tools) {
    let tools = Tools::default();
    tools.set(&[&one_line(SQL)]);
    let server = Modern::new().tools(&tools).start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("0", "tools/list", ""));
    bridge.result("0");
    (server, bridge, tools)
}

/// The `Mcp-Param-*` headers of the last call, sorted.
fn params_of_last_call(server: &Server) -> Vec<(String, String)> {
    let calls = server.of("tools/call");
    let mut headers = calls.last().unwrap().headers.clone();
    for header in &mut headers {
        header.0.make_ascii_lowercase();
    }
    headers.retain(|(name, _)| name.starts_with("mcp-param-"));
    headers.sort();
    headers
}

#[test]
fn annotated_arguments_are_mirrored_into_headers() {
    let (server, mut bridge, _) = listed();
    for (arguments, expected) in [
        (
            r#"{"region":"us-west1","limit":42,"dry":true,"query":"SELECT 1","at":{"tenant":"a","deep":{"n":-7}}}"#,
            &[
                ("mcp-param-limit", "42"),
                ("mcp-param-n", "-7"),
                ("mcp-param-region", "us-west1"),
                ("mcp-param-tenant", "a"),
                ("mcp-param-x-dry", "true"),
            ][..],
        ),
        (
            r#"{"region":" Köln","dry":false,"limit":9007199254740991}"#,
            &[
                ("mcp-param-limit", "9007199254740991"),
                ("mcp-param-region", "=?base64?IEvDtmxu?="),
                ("mcp-param-x-dry", "false"),
            ],
        ),
        // Null or absent, at any depth: no header.
        (r#"{"region":null,"at":null}"#, &[]),
        (r#"{"at":{"tenant":null,"deep":{}}}"#, &[]),
        (r#"{"query":"x"}"#, &[]),
        (
            r#"{"region":"line1\nline2\r\nX-Injected: 1"}"#,
            &[("mcp-param-region", "=?base64?bGluZTEKbGluZTINClgtSW5qZWN0ZWQ6IDE=?=")],
        ),
        (r#"{"reg\u0069on":"\u0061"}"#, &[("mcp-param-region", "a")]),
    ] {
        bridge.send(call("1", "sql", arguments));
        bridge.result("1");
        let expected: Vec<_> =
            expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(params_of_last_call(&server), expected, "{arguments}");
    }
    assert_eq!(server.of("tools/list").len(), 1, "the list was known");
    // Another tool has no such headers.
    bridge.send(call("2", "other", r#"{"region":"x"}"#));
    bridge.result("2");
    assert_eq!(params_of_last_call(&server), []);
}

#[test]
fn a_header_mismatch_leads_to_a_fresh_list_and_one_retry() {
    let (server, mut bridge, tools) = listed();
    // The tool has changed since the list was seen.
    let changed = r#"{"name":"sql","inputSchema":{"type":"object","properties":{"zone":{"type":"string","x-mcp-header":"Zone"}}}}"#;
    tools.set(&[changed]);
    let line = call("1", "sql", r#"{"zone":"z","region":"r","v":1e400}"#);
    bridge.send(&line);
    bridge.result("1");
    let kinds = server.kinds();
    assert_eq!(kinds, ["tools/list", "tools/call", "tools/list", "tools/call"]);
    assert_eq!(params_of_last_call(&server), [("mcp-param-zone".to_owned(), "z".to_owned())]);
    assert!(server.of("tools/call").iter().all(|r| r.text() == line));
    // The fresh list was for the bridge, not for the client.
    let fresh = &server.of("tools/list")[1];
    assert_ne!(fresh.id(), "1");
    assert!(bridge.finish().rest.is_empty());
}

#[test]
fn a_client_that_never_lists_is_served_too() {
    let tools = Tools::default();
    tools.set(&[&one_line(SQL)]);
    let server = Modern::new().tools(&tools).start();
    let mut bridge = Bridge::to(&server);
    bridge.send(call("1", "sql", r#"{"region":"r"}"#));
    bridge.result("1");
    assert_eq!(server.kinds(), ["tools/call", "tools/list", "tools/call"]);
}

#[test]
fn a_tool_on_the_second_page_of_the_fresh_list_is_found() {
    let tools = Tools::default();
    tools.set(&[&one_line(SQL)]);
    let server = Modern::new()
        .tools(&tools)
        .on("tools/list", {
            let tools = tools.clone();
            move |request, wire| {
                if request.json()["params"]["cursor"] == "two" {
                    return wire.json(request.result(&tools.list()));
                }
                wire.json(request.result(
                    r#"{"resultType":"complete","tools":[],"nextCursor":"two","ttlMs":0,"cacheScope":"private"}"#,
                ));
            }
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.send(call("1", "sql", r#"{"region":"r"}"#));
    bridge.result("1");
    assert_eq!(server.of("tools/call").len(), 2);
}

#[test]
fn a_second_mismatch_is_the_clients_to_see() {
    let tries = Arc::new(AtomicUsize::new(0));
    let server = Modern::new()
        .on("tools/call", {
            let tries = tries.clone();
            move |request, wire| {
                tries.fetch_add(1, Ordering::SeqCst);
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32020,"message":"still wrong"}}}}"#,
                    request.id()
                );
                wire.reply(400, &[("Content-Type", "application/json")], body.as_bytes());
            }
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.send(call("1", "sql", "{}"));
    assert_eq!(bridge.error("1")["code"], -32020);
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

const GOOD: &[&str] = &[
    r#"{"name":"good one","x":1e400,"x":1.10,"inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"integer","x-mcp-header":"B"}}}}"#,
    r#"{ "inputSchema" : {"type":"object","properties":{"x-mcp-header":{"type":"array","items":{"type":"string"}}}}, "name":"good\u0020two" }"#,
    r#"{"name":"good three","inputSchema":{"type":"object"},"_meta":{"é":"\u00e9"}}"#,
];

const BAD: &[&str] = &[
    r#"{"name":"bad-empty","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":""}}}}"#,
    r#"{"name":"bad-token","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"a b"}}}}"#,
    r#"{"name":"bad-control","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"a\r\nb"}}}}"#,
    r#"{"name":"bad-twice","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":"Same"},"b":{"type":"string","x-mcp-header":"sAME"}}}}"#,
    r#"{"name":"bad-number","inputSchema":{"type":"object","properties":{"a":{"type":"number","x-mcp-header":"A"}}}}"#,
    r#"{"name":"bad-object","inputSchema":{"type":"object","properties":{"a":{"type":"object","x-mcp-header":"A"}}}}"#,
    r#"{"name":"bad-items","inputSchema":{"type":"object","properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}}}"#,
    r#"{"name":"bad-anyof","inputSchema":{"type":"object","anyOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}}"#,
    r##"{"name":"bad-defs","inputSchema":{"type":"object","$defs":{"d":{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}}}}"##,
    r#"{"name":"bad-type","inputSchema":{"type":"object","properties":{"a":{"type":"string","x-mcp-header":7}}}}"#,
];

#[test]
fn tools_with_an_invalid_header_annotation_are_left_out_and_named_on_stderr() {
    let mut tools = vec![GOOD[0]];
    tools.extend(&BAD[..5]);
    tools.push(GOOD[1]);
    tools.extend(&BAD[5..]);
    tools.push(GOOD[2]);
    let server = Modern::new()
        .on("tools/list", move |request, wire| {
            let list = tools.join(" , ");
            wire.json(request.result(&format!(
                r#"{{"ttlMs":1.0,"ttlMs":2.0,"tools":[{list}],"resultType":"complete","z":1e400}}"#
            )));
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "tools/list", ""));
    let line = bridge.line();
    for good in GOOD {
        assert!(line.contains(good), "{good} is not in {line}");
    }
    assert!(!line.contains("bad-"), "{line}");
    for kept in [r#""ttlMs":1.0,"ttlMs":2.0"#, r#""z":1e400"#] {
        assert!(line.contains(kept), "{line}");
    }
    let answer: serde_json::Value =
        serde_json::from_str(&line.replace("1e400", "1")).expect("valid JSON");
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), GOOD.len());
    for bad in BAD {
        let name = bad.split('"').nth(3).unwrap();
        bridge.wait_stderr(name);
    }
}

#[test]
fn the_name_of_a_tool_that_is_left_out_is_short_and_plain_on_stderr() {
    let name = format!(r"\u001b[31m\u202e{}", "n".repeat(100_000));
    let server = Modern::new()
        .on("tools/list", move |request, wire| {
            let tool = BAD[0].replace("bad-empty", &name);
            wire.json(request.result(&format!(r#"{{"tools":[{tool}]}}"#)));
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "tools/list", ""));
    assert_eq!(bridge.result("1")["tools"], serde_json::json!([]));
    bridge.wait_stderr("x-mcp-header");
    let stderr = bridge.finish().stderr;
    assert!(stderr.contains("nnnn") && stderr.len() < 1000, "{} bytes", stderr.len());
    assert!(!stderr.contains(['\u{1b}', '\u{202e}']), "{stderr:?}");
}

#[test]
fn every_tool_of_a_list_may_be_invalid() {
    let server = Modern::new()
        .on("tools/list", |request, wire| {
            wire.json(request.result(&format!(r#"{{"tools":[{}]}}"#, BAD.join(","))));
        })
        .start();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "tools/list", ""));
    assert_eq!(bridge.result("1")["tools"], serde_json::json!([]));
}

#[test]
fn a_list_of_valid_tools_is_not_touched() {
    let body = format!(
        r#"{{"result": {{"resultType":"complete","tools":[ {} ],"tools2":[]}},"id":1,"jsonrpc":"2.0"}}"#,
        GOOD.join(",\t")
    );
    for streamed in [false, true] {
        let sent = body.clone();
        let server = Modern::new()
            .on("tools/list", move |_, wire| {
                if streamed {
                    let mut events = wire.events();
                    events.event(&sent);
                    events.end();
                } else {
                    wire.json(&sent);
                }
            })
            .start();
        let mut bridge = Bridge::to(&server);
        bridge.send(request("1", "tools/list", ""));
        assert_eq!(bridge.line(), body);
    }
}

#[test]
fn the_version_header_is_the_one_of_the_request_itself() {
    let server = Modern::new().start();
    let mut bridge = Bridge::to(&server);
    let meta = META.replace("2026-07-28", "2027-01-01");
    bridge.send(format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{{"name":"p",{meta}}}}}"#
    ));
    bridge.result("1");
    let sent = server.wait_for("prompts/get");
    assert_eq!(sent.header("mcp-protocol-version"), Some("2027-01-01"));
}
