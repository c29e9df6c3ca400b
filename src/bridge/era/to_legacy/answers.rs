//! Answers of a legacy remote in modern words (MCP 2026-07-28, "Responses", "Caching" and
//! "Error Codes"), and those made here.

use super::edits::{Edits, moved};
use super::questions::Question;
use super::session::Remote;
use crate::jsonrpc::object::{Items, find, get};
use crate::jsonrpc::{BridgeError, Message, error_response, with_id};
use bytes::Bytes;
use serde_json::json;

/// Resource not found, up to 2025-11-25.
const NOT_FOUND: i64 = -32002;
/// URL elicitation required, 2025-11-25 only.
pub(super) const LINKS: i64 = -32042;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL: i32 = -32603;
/// The modern revision where the client names none.
const MODERN: &str = "2026-07-28";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// True for results that a modern client may keep.
fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

/// The answer of the remote under the client's raw id.
pub(in super::super::super) fn modern(answer: &Message, id: &Bytes, method: &str) -> Bytes {
    match answer.result_range() {
        Some(result) => complete(answer, result.start, id, method),
        None => failed(answer, id),
    }
}

/// The result as a modern one, every other byte untouched.
fn complete(answer: &Message, at: usize, id: &Bytes, method: &str) -> Bytes {
    let text = answer.text();
    let Ok(items) = Items::object(text, at) else { return with_id(answer, id) };
    let (mut kind, mut ttl, mut scope) = (false, !is_cacheable(method), !is_cacheable(method));
    let mut count = 0;
    for member in items.map_while(Result::ok) {
        count += 1;
        kind |= member.is(text, "resultType");
        ttl |= member.is(text, "ttlMs");
        scope |= member.is(text, "cacheScope");
    }
    let all = [
        (kind, r#""resultType":"complete""#),
        (ttl, r#""ttlMs":0"#),
        (scope, r#""cacheScope":"private""#),
    ];
    let lacking: Vec<_> = all.iter().filter(|(there, _)| !there).map(|(_, text)| *text).collect();
    let mut edits = Edits::default();
    if let Some(range) = answer.id_range() {
        edits.put(range, id.clone());
    }
    if !lacking.is_empty() {
        edits.put_first(at, &lacking.join(","), count);
    }
    edits.apply(text)
}

/// The error with a code that a modern client knows.
fn failed(answer: &Message, id: &Bytes) -> Bytes {
    match answer.error_code() {
        Some(NOT_FOUND) => with_code(answer, id, INVALID_PARAMS),
        Some(LINKS) => with_code(answer, id, INTERNAL),
        _ => with_id(answer, id),
    }
}

/// The error under another code.
fn with_code(answer: &Message, id: &Bytes, code: i32) -> Bytes {
    let text = answer.text();
    let mut edits = Edits::default();
    if let Some(range) = answer.id_range() {
        edits.put(range, id.clone());
    }
    if let Some(error) = answer.error() {
        // A part of the text, so that its place in it is the difference.
        let at = error.as_ptr() as usize - text.as_ptr() as usize;
        if let Some(range) = find(error, 0, "code") {
            edits.put(moved(range, at), code.to_string());
        }
    }
    edits.apply(text)
}

/// The error for a client that cannot open the links that the remote needs opened.
pub(super) fn opens_no_links(answer: &Message, id: &Bytes) -> Bytes {
    let raw = answer.error().and_then(|error| get(error, "message")).unwrap_or(br#""""#);
    let message = String::from_utf8_lossy(raw);
    let error = format!(
        r#"{{"code":-32021,"message":{message},"data":{{"requiredCapabilities":{{"elicitation":{{"url":{{}}}}}}}}}}"#
    );
    [&br#"{"jsonrpc":"2.0","id":"#[..], id, br#","error":"#, error.as_bytes(), b"}"].concat().into()
}

/// The result of `server/discover`, from what the remote said of itself in the handshake.
pub(super) fn discovered(id: &Bytes, version: Option<&str>, remote: &Remote) -> Bytes {
    let result = &remote.result;
    let versions = json!([version.unwrap_or(MODERN)]);
    let mut text =
        format!(r#""resultType":"complete","supportedVersions":{versions}"#).into_bytes();
    let mut add = |name: &[u8], value: &[u8]| {
        text.extend_from_slice(&[b",\"", name, b"\":", value].concat());
    };
    let mut meta = get(result, SERVER_INFO_LEGACY)
        .map(|info| [b"\"", SERVER_INFO.as_bytes(), b"\":", info].concat())
        .unwrap_or_default();
    for member in Items::object(result, 0).into_iter().flatten().map_while(Result::ok) {
        let value = &result[member.value.clone()];
        match member.name(result).as_deref() {
            Some("protocolVersion" | SERVER_INFO_LEGACY) => {}
            Some("resultType" | "supportedVersions" | "ttlMs" | "cacheScope") => {}
            Some("capabilities") => add(b"capabilities", &super::edits::without(value, &["tasks"])),
            Some("_meta") if value.starts_with(b"{") => {
                let more = value[1..value.len() - 1].trim_ascii();
                if !more.is_empty() && !meta.is_empty() {
                    meta.push(b',');
                }
                meta.extend_from_slice(more);
            }
            _ => add(&result[member.key.clone()], value),
        }
    }
    if !meta.is_empty() {
        add(b"_meta", &[b"{", &meta[..], b"}"].concat());
    }
    add(b"ttlMs", b"0");
    add(b"cacheScope", br#""private""#);
    [&br#"{"jsonrpc":"2.0","id":"#[..], id, br#","result":{"#, &text, b"}}"].concat().into()
}

const SERVER_INFO_LEGACY: &str = "serverInfo";

/// The result that has the client answer questions first (MCP 2026-07-28, "Multi Round-Trip
/// Requests").
pub(super) fn input_required<'a>(
    id: &Bytes,
    questions: impl Iterator<Item = &'a Question>,
    state: &str,
) -> Bytes {
    let mut text = br#"{"jsonrpc":"2.0","id":"#.to_vec();
    text.extend_from_slice(id);
    text.extend_from_slice(br#","result":{"resultType":"input_required","inputRequests":{"#);
    for (nth, question) in questions.enumerate() {
        let comma = if nth > 0 { "," } else { "" };
        let head = format!(r#"{comma}"{}":{{"method":"{}""#, question.key, question.method);
        text.extend_from_slice(head.as_bytes());
        if let Some(params) = &question.params {
            text.extend_from_slice(b",\"params\":");
            text.extend_from_slice(params);
        }
        text.push(b'}');
    }
    text.extend_from_slice(format!(r#"}},"requestState":"{state}"}}}}"#).as_bytes());
    text.into()
}

/// A response with this raw result.
pub(super) fn response(id: &[u8], result: &[u8]) -> Bytes {
    [&br#"{"jsonrpc":"2.0","id":"#[..], id, br#","result":"#, result, b"}"].concat().into()
}

/// An error made here.
pub(super) fn refused(id: &[u8], code: i32, message: impl Into<String>) -> Bytes {
    error_response(Some(id), &BridgeError::new(code, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn translated(answer: &str, method: &str) -> String {
        let message = Message::read(answer.to_owned().into()).unwrap();
        String::from_utf8(modern(&message, &"7".into(), method).to_vec()).unwrap()
    }

    #[test]
    fn results_say_what_they_are() {
        for (result, method, expected) in [
            ("{}", "ping", r#"{"resultType":"complete"}"#),
            (r#"{ "a":1e400 }"#, "tools/call", r#"{"resultType":"complete", "a":1e400 }"#),
            (r#"{"resultType":"task"}"#, "tools/call", r#"{"resultType":"task"}"#),
            (
                r#"{"tools":[]}"#,
                "tools/list",
                r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[]}"#,
            ),
            (
                r#"{"ttlMs":5,"contents":[]}"#,
                "resources/read",
                r#"{"resultType":"complete","cacheScope":"private","ttlMs":5,"contents":[]}"#,
            ),
            ("[1.0]", "tools/call", "[1.0]"),
        ] {
            let answer = format!(r#"{{"jsonrpc":"2.0","id":"k-1","result":{result}, "x":1.0}}"#);
            let expected = format!(r#"{{"jsonrpc":"2.0","id":7,"result":{expected}, "x":1.0}}"#);
            assert_eq!(translated(&answer, method), expected);
        }
    }

    #[test]
    fn codes_that_are_gone_have_successors() {
        for (code, expected) in
            [(-32002, -32602), (-32042, -32603), (-32601, -32601), (-31001, -31001)]
        {
            let answer = |id: &str, code: i32| {
                format!(
                    r#"{{"error":{{"data":{{"code":1.0}},"code":{code}}},"id":{id},"jsonrpc":"2.0"}}"#
                )
            };
            assert_eq!(translated(&answer("\"k-1\"", code), "tools/call"), answer("7", expected));
        }
    }

    proptest! {
        /// Number spelling, order, duplicates and white space of everything else.
        #[test]
        fn all_other_bytes_of_a_result_stay(
            members in prop::collection::vec(
                ("[a-z]{1,6}", "-?[1-9][0-9]{0,30}(\\.[0-9]{1,5})?(e[0-9]{1,3})?"),
                0..6,
            ),
            space in "[ \\n]{0,2}",
        ) {
            let members: Vec<_> =
                members.iter().map(|(key, value)| format!("{space}\"{key}\": {value}")).collect();
            let members = members.join(",");
            let answer = |id: &str, first: &str| {
                format!(r#"{{"result" :{{{first}{members}{space}}},"jsonrpc":"2.0","id":{id},"x":1.0}}"#)
            };
            let comma = if members.is_empty() { "" } else { "," };
            let first = format!(r#""resultType":"complete"{comma}"#);
            prop_assert_eq!(translated(&answer("\"k-1\"", ""), "tools/call"), answer("7", &first));
        }
    }
}
