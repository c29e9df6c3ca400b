use super::*;
use proptest::prelude::*;

fn call(text: &'static str) -> Call {
    Call::read(Message::read(Bytes::from_static(text.as_bytes())).unwrap()).unwrap()
}

fn modern_list() -> Call {
    call(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
    )
}

fn answer(tools: &str) -> Message {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"x":1.0,"tools":{tools},"y":2}}}}"#);
    Message::read(text.into()).unwrap()
}

fn tool(name: &str, properties: &str) -> String {
    format!(r#"{{"name":"{name}","inputSchema":{{"type":"object","properties":{properties}}}}}"#)
}

#[test]
fn parameters_are_mirrored_from_their_exact_path() {
    let tools = Tools::new(ToolFilter::default());
    let properties = r#"{"region":{"type":"string","x-mcp-header":"Region"},"deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"},"b":{"type":"boolean","x-mcp-header":"B"}}},"none":{"type":"string","x-mcp-header":"None"}}"#;
    let listed = answer(&format!("[{}]", tool("sql", properties)));
    assert_eq!(tools.learn(&modern_list(), &listed), None);
    let mut headers = HeaderMap::new();
    let call = call(
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"sql","arguments":{"region":"é","deep":{"n":42.0,"b":false},"none":null},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
    );
    tools.put_param_headers(&call, &mut headers);
    assert_eq!(headers.len(), 3);
    assert_eq!(headers["mcp-param-region"], "=?base64?w6k=?=");
    assert_eq!(headers["mcp-param-n"], "42");
    assert_eq!(headers["mcp-param-b"], "false");
}

#[test]
fn tools_with_an_invalid_annotation_are_left_out_and_the_others_untouched() {
    let tools = Tools::new(ToolFilter::default());
    let good = r#"{ "name" : "good", "inputSchema": {"properties":{"a":{"type":"string","x-mcp-header":"A"}}} }"#;
    for bad in [
        r#"{"a":{"type":"string","x-mcp-header":""}}"#,
        r#"{"a":{"type":"string","x-mcp-header":"a b"}}"#,
        r#"{"a":{"type":"string","x-mcp-header":"a\n"}}"#,
        r#"{"a":{"type":"string","x-mcp-header":7}}"#,
        r#"{"a":{"type":"number","x-mcp-header":"A"}}"#,
        r#"{"a":{"type":"object","x-mcp-header":"A"}}"#,
        r#"{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}"#,
        r#"{"a":{"type":"array","items":{"type":"string","x-mcp-header":"A"}}}"#,
        r#"{"a":{"anyOf":[{"type":"string","x-mcp-header":"A"}]}}"#,
        r#"{"a":{"anyOf":[{"properties":{"b":{"type":"string","x-mcp-header":"A"}}}]}}"#,
    ] {
        let listed = answer(&format!("[{} , {good}]", tool("bad", bad)));
        let expected = answer(&format!("[{good}]"));
        assert_eq!(tools.learn(&modern_list(), &listed).as_ref(), Some(expected.text()), "{bad}");
    }
}

#[test]
fn flags_hide_tools_and_keep_them_from_being_called() {
    let filter = ToolFilter {
        allow: vec!["get_*".into()],
        ignore: vec!["*secret*".into()],
        read_only: true,
    };
    let tools = Tools::new(filter);
    let read = |name: &str| format!(r#"{{"name":"{name}","annotations":{{"readOnlyHint":true}}}}"#);
    assert!(!tools.may_call("get_a"), "not yet listed");
    let listed = answer(&format!(
        r#"[{},{},{{"name":"get_b"}},{}]"#,
        read("list_a"),
        read("get_a"),
        read("get_secret")
    ));
    let list = call(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    let expected = answer(&format!("[{}]", read("get_a")));
    assert_eq!(tools.learn(&list, &listed).as_ref(), Some(expected.text()));
    assert!(tools.may_call("get_a"));
    assert!(!tools.may_call("get_b") && !tools.may_call("get_secret") && !tools.may_call("list_a"));
}

proptest! {
    #[test]
    fn what_remains_of_an_array_is_what_was_not_hidden(hide in prop::collection::vec(any::<bool>(), 0..8)) {
        let text = format!("[ {} ]", (0..hide.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(" , "));
        let ranges: Vec<_> = Items::array(text.as_bytes(), 0).unwrap().map(|item| item.unwrap().value).collect();
        let hidden: Vec<_> = (0..hide.len()).filter(|&nth| hide[nth]).collect();
        let rest: Vec<usize> = serde_json::from_slice(&without(text.as_bytes(), &ranges, &hidden)).unwrap();
        prop_assert_eq!(rest, (0..hide.len()).filter(|&nth| !hide[nth]).collect::<Vec<_>>());
    }
}
