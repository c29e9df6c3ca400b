use super::*;

fn read(text: &str) -> Result<Message, Invalid> {
    Message::read(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn kinds_are_told_apart_by_their_members() {
    let request =
        read(r#"{"jsonrpc":"2.0","id":1e400,"method":"a\u0062","params":{"x":1.0}}"#).unwrap();
    assert_eq!((request.kind(), request.method()), (Kind::Request, "ab"));
    assert_eq!(request.id().as_deref(), Some(&b"1e400"[..]));
    assert_eq!(request.params(), Some(&br#"{"x":1.0}"#[..]));
    let notification = read(r#" {"method":"n","jsonrpc":"2.0"} "#).unwrap();
    assert_eq!(notification.kind(), Kind::Notification);
    let result = read(r#"{"jsonrpc":"2.0","id":"a","result":[]}"#).unwrap();
    assert_eq!((result.kind(), result.result()), (Kind::Response, Some(&b"[]"[..])));
    let error = read(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001}}"#).unwrap();
    assert_eq!((error.id(), error.error_code()), (None, Some(-32001)));
}

#[test]
fn what_is_no_json_gets_parse_error_and_what_is_no_message_invalid_request() {
    for (text, code, id) in [
        ("garbage", -32700, None),
        ("{\"a\":1", -32700, None),
        ("{} {}", -32700, None),
        ("42", -32600, None),
        (r#"{"id":1,"method":"m"}"#, -32600, Some("1")),
        (r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#, -32600, None),
        (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, -32600, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","method":"m"}"#, -32600, Some("1")),
        (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"m"}"#, -32600, None),
        (r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"m"}"#, -32600, None),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{},"params":{}}"#, -32600, Some("1")),
        (r#"{"jsonrpc":"2.0","id":"x"}"#, -32600, None),
        (r#"{"jsonrpc":"2.0","id":"x","method":5}"#, -32600, Some("\"x\"")),
    ] {
        let invalid = read(text).unwrap_err();
        let found = invalid.id.map(|id| String::from_utf8(id.to_vec()).unwrap());
        assert_eq!((invalid.code, found.as_deref()), (code, id), "{text}");
    }
}

#[test]
fn a_deciding_member_of_params_stands_once() {
    let text =
        r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"name":1,"x":2,"x":3,"n\u0061me":4}}"#;
    let message = read(text).unwrap();
    assert_eq!(message.params_members(["uri", "x\u{1}"]), Ok([None, None]));
    assert_eq!(message.params_members(["name", "uri"]).unwrap_err().code, -32600);
}

#[test]
fn a_batch_is_read_element_by_element() {
    let text = Bytes::from_static(
        br#" [ {"jsonrpc":"2.0","method":"a"} , {"jsonrpc":"2.0","id":2,"method":"b"} ] "#,
    );
    let messages = Line::read(text).unwrap().into_messages();
    assert_eq!(messages.iter().map(Message::method).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(Line::read(Bytes::from_static(b"[]")).unwrap_err().code, -32600);
    assert_eq!(Line::read(Bytes::from_static(b"[1")).unwrap_err().code, -32700);
}

#[test]
fn an_id_is_put_in_without_touching_the_rest() {
    for (text, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1.0,"result":1e400}"#,
            r#"{"jsonrpc":"2.0","id":7,"result":1e400}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":1}}"#,
            r#"{"id":7,"jsonrpc":"2.0","error":{"code":1}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","error":{"code":1},"id":null}"#,
            r#"{"jsonrpc":"2.0","error":{"code":1},"id":7}"#,
        ),
    ] {
        assert_eq!(with_id(&read(text).unwrap(), b"7"), expected.as_bytes());
    }
}
