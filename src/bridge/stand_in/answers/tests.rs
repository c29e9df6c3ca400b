use super::*;
use serde_json::Value;

fn value(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

fn initialize_of(version: &str, seen: Option<&[u8]>) -> Value {
    let text = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": version}});
    value(&initialize(&Message::read(text.to_string().into()).unwrap(), seen))
}

#[test]
fn a_stand_in_speaks_the_clients_version_if_it_knows_it() {
    for (asked, answered) in
        [("2025-03-26", "2025-03-26"), ("2025-11-25", "2025-11-25"), ("1999-01-01", LATEST)]
    {
        let result = initialize_of(asked, None);
        assert_eq!(result["protocolVersion"], answered);
        assert_eq!(result["capabilities"]["resources"], json!({"listChanged": true}));
        assert_eq!(result["serverInfo"]["name"], "keyferry");
    }
}

#[test]
fn what_was_last_seen_keeps_all_but_what_this_client_cannot_take() {
    let seen = br#"{"protocolVersion":"2025-06-18","x":1e400,"capabilities":{"tools":{}}}"#;
    let text = initialize(
        &Message::read(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#.into()).unwrap(),
        Some(seen),
    );
    let kept = br#"{"protocolVersion":"2025-06-18","x":1e400,"capabilities":{"tools":{"listChanged":true}}}"#;
    assert_eq!(text, kept);
    let seen = br#"{"protocolVersion":"2025-06-18","capabilities":{"resources":{"subscribe":true},"x":{},"prompts":{"listChanged":false}}}"#;
    let capabilities = &initialize_of("2025-11-25", Some(seen))["capabilities"];
    let changes = json!({"listChanged": true});
    let resources = json!({"listChanged": true, "subscribe": true});
    assert_eq!(*capabilities, json!({"resources": resources, "x": {}, "prompts": changes}));
    let seen = br#"{"protocolVersion":"2025-06-18","capabilities":{}}"#;
    assert_eq!(initialize_of("2025-03-26", Some(seen))["protocolVersion"], "2025-03-26");
}

#[test]
fn modern_results_have_what_their_revision_requires() {
    for result in [
        discover(Some("2027-01-01"), None),
        discover(
            None,
            Some(br#"{"supportedVersions":["2026-07-28"],"ttlMs":60000,"cacheScope":"public"}"#),
        ),
        sign_in_list("https://h/mcp", Era::Modern),
        empty_list(List::Templates, Era::Modern),
    ] {
        let result = value(&result);
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["ttlMs"], 0);
        assert_eq!(result["cacheScope"], "private");
    }
    let made = value(&discover(Some("2027-01-01"), None));
    assert_eq!(made["supportedVersions"], json!(["2027-01-01"]));
    assert_eq!(made["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "keyferry");
    assert_eq!(value(&empty_list(List::Templates, Era::Legacy)), json!({"resourceTemplates": []}));
}

#[test]
fn members_are_put_into_any_object() {
    assert_eq!(with_member(b" { }", "a", b"1"), b" {\"a\":1 }");
    assert_eq!(with_member(b"{\"b\":2}", "a", b"1"), b"{\"a\":1,\"b\":2}");
    assert_eq!(with_member(b"{\"a\" : 2}", "a", b"1"), b"{\"a\" : 1}");
}

#[test]
fn a_subscription_is_acknowledged_under_the_clients_own_id() {
    let text = r#"{"jsonrpc":"2.0","id":"s\u0061","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"promptsListChanged":false,"resourceSubscriptions":["a"],"x":1}}}"#;
    let listen = Call::read(Message::read(text.into()).unwrap()).unwrap();
    let said = value(&acknowledgement(&listen).unwrap());
    assert_eq!(said["method"], "notifications/subscriptions/acknowledged");
    let agreed = json!({"toolsListChanged": true, "resourceSubscriptions": ["a"]});
    assert_eq!(said["params"]["notifications"], agreed);
    assert_eq!(said["params"]["_meta"][SUBSCRIPTION], "sa");
    let changes = changes(&listen);
    assert_eq!(changes.len(), 1);
    let change = value(&changes[0]);
    assert_eq!(change["method"], "notifications/tools/list_changed");
    assert_eq!(change["params"]["_meta"][SUBSCRIPTION], "sa");
}
