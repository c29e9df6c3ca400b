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

/// What `*` means, spelled out.
fn matches_slowly(glob: &[u8], text: &[u8]) -> bool {
    match glob.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| matches_slowly(rest, &text[skip..])),
        Some((first, rest)) => {
            text.split_first().is_some_and(|(one, text)| one == first && matches_slowly(rest, text))
        }
    }
}

#[test]
fn many_stars_and_many_tools_take_no_longer() {
    let text = "a".repeat(2000);
    assert!(!glob_matches(format!("{}b", "a*".repeat(500)).as_bytes(), text.as_bytes()));
    let tools = Tools::new(ToolFilter { ignore: vec!["*".into()], ..Default::default() });
    let listed = answer(&format!("[{}]", vec![r#"{"name":"a"}"#; 50_000].join(",")));
    let list = call(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(tools.learn(&list, &listed).as_ref(), Some(answer("[]").text()));
}

#[test]
fn a_safe_integer_is_told_from_any_other_number() {
    let sent = |raw: &str| {
        let tools = Tools::new(ToolFilter::default());
        let properties = r#"{"n":{"type":"integer","x-mcp-header":"N"}}"#;
        tools.learn(&modern_list(), &answer(&format!("[{}]", tool("t", properties))));
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"t","arguments":{{"n":{raw}}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
        );
        let mut headers = HeaderMap::new();
        tools.put_param_headers(
            &Call::read(Message::read(text.into()).unwrap()).unwrap(),
            &mut headers,
        );
        headers.get("mcp-param-n").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(sent("-9007199254740991").as_deref(), Some("-9007199254740991"));
    for raw in ["9007199254740992", "-9223372036854775808", "1e400", "1.5"] {
        assert_eq!(sent(raw), None, "{raw}");
    }
}

proptest! {
    #[test]
    fn a_glob_means_what_it_says(glob in "[ab*]{0,8}", text in "[ab]{0,10}") {
        let (glob, text) = (glob.as_bytes(), text.as_bytes());
        prop_assert_eq!(glob_matches(glob, text), matches_slowly(glob, text));
    }

    #[test]
    fn what_remains_of_an_array_is_what_was_not_hidden(hide in prop::collection::vec(any::<bool>(), 0..8)) {
        let text = format!("[ {} ]", (0..hide.len()).map(|n| n.to_string()).collect::<Vec<_>>().join(" , "));
        let ranges: Vec<_> = Items::array(text.as_bytes(), 0).unwrap().map(|item| item.unwrap().value).collect();
        let rest: Vec<usize> = serde_json::from_slice(&without(text.as_bytes(), &ranges, &hide)).unwrap();
        prop_assert_eq!(rest, (0..hide.len()).filter(|&nth| !hide[nth]).collect::<Vec<_>>());
    }
}
