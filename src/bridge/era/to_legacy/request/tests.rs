use super::*;
use proptest::prelude::*;
use serde_json::Value;

const PROTOCOL: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"a":{}},"io.modelcontextprotocol/clientInfo":{"name":"c"}"#;

fn request(params: &str) -> Request {
    let text = format!(r#"{{"x":1.10,"jsonrpc":"2.0","id":7,"method":"a/b","params":{params}}}"#);
    Request::read(Message::read(text.into()).unwrap()).unwrap()
}

fn legacy(params: &str, change: Change) -> String {
    let text = request(params).to_legacy(&Change { id: Some("\"k-1\"".into()), ..change });
    let text = String::from_utf8(text.to_vec()).unwrap();
    let rest =
        text.strip_prefix(r#"{"x":1.10,"jsonrpc":"2.0","id":"k-1","method":"a/b","params":"#);
    rest.unwrap().strip_suffix('}').unwrap().to_owned()
}

#[test]
fn only_the_protocols_own_members_go() {
    for (params, expected) in [
        (format!(r#"{{"_meta":{{{PROTOCOL}}}}}"#), "{}"),
        (format!(r#"{{"b":1e400, "_meta":{{{PROTOCOL}}},"b2":[]}}"#), r#"{"b":1e400,"b2":[]}"#),
        (
            format!(r#"{{"_meta":{{"progressToken":1.0,{PROTOCOL} ,"traceparent":"00"}},"b":1}}"#),
            r#"{"_meta":{"progressToken":1.0 ,"traceparent":"00"},"b":1}"#,
        ),
        (
            r#"{"_meta":{"io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/x":1}}"#.into(),
            r#"{"_meta":{"io.modelcontextprotocol/x":1}}"#,
        ),
        (r#"{"requestState":"theirs"}"#.into(), r#"{"requestState":"theirs"}"#),
        ("[1]".into(), "[1]"),
    ] {
        assert_eq!(legacy(&params, Change::default()), expected);
    }
}

#[test]
fn a_retry_becomes_the_call_that_it_was() {
    let params = format!(
        r#"{{"inputResponses":{{"k":{{}}}},"name":"t","requestState":"s","_meta":{{{PROTOCOL}}}}}"#
    );
    let fresh = Change { fresh: true, ..Change::default() };
    assert_eq!(legacy(&params, fresh), r#"{"name":"t"}"#);
}

#[test]
fn a_task_is_asked_for_beside_everything_else() {
    let as_task = || Change { as_task: true, ..Change::default() };
    assert_eq!(legacy(r#"{"name":"t"}"#, as_task()), r#"{"task":{},"name":"t"}"#);
    let params = format!(r#"{{"_meta":{{{PROTOCOL}}},"name":"t"}}"#);
    assert_eq!(legacy(&params, as_task()), r#"{"task":{},"name":"t"}"#);
}

#[test]
fn what_decides_may_stand_once_only() {
    let text = r#"{"jsonrpc":"2.0","id":7,"method":"a","params":{"_meta":{},"_meta":{}}}"#;
    let invalid = Request::read(Message::read(text.into()).unwrap()).unwrap_err();
    assert_eq!(invalid.code, -32600);
}

fn member() -> impl Strategy<Value = (String, String)> {
    let number = "-?[1-9][0-9]{0,30}(\\.[0-9]{1,5})?(e[0-9]{1,3})?";
    let text = any::<String>().prop_map(|text| Value::from(text).to_string());
    let value = prop_oneof![number, text, Just("[ 1.0 , {} ]".to_owned()), Just("null".to_owned())];
    ("[a-z]{1,8}", value)
}

proptest! {
    /// Number spelling, order, duplicates and white space of everything else.
    #[test]
    fn all_other_bytes_stay(
        members in prop::collection::vec(member(), 1..8),
        inner in prop::collection::vec(member(), 0..5),
        at in 0..8usize,
        protocol_at in 0..5usize,
    ) {
        let write = |members: &[(String, String)]| {
            members.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect::<Vec<_>>()
        };
        let (mut before, mut after) = (write(&members), write(&members));
        let (mut meta, kept) = (write(&inner), write(&inner));
        meta.insert(protocol_at.min(meta.len()), PROTOCOL.to_owned());
        let at = at.min(before.len());
        before.insert(at, format!("\"_meta\":{{{}}}", meta.join(",")));
        if !kept.is_empty() {
            after.insert(at, format!("\"_meta\":{{{}}}", kept.join(",")));
        }
        let text = legacy(&format!("{{{}}}", before.join(",")), Change::default());
        prop_assert_eq!(text, format!("{{{}}}", after.join(",")));
    }
}
