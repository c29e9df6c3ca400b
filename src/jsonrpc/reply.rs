//! The few messages that the bridge writes itself.

use super::Message;
use super::object::splice;
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// An error that the bridge itself answers with: `data` says `origin: keyferry`, so that
/// a client can tell it from one of the remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeError {
    /// -31001 ... -31008, -32700 or -32600.
    pub code: i32,
    /// One sentence for a person; already free of secrets and control characters.
    pub message: String,
    /// What to do next, with the whole command.
    pub hint: Option<String>,
    /// A link the person can open.
    pub url: Option<String>,
    /// The HTTP status with which the remote refused.
    pub http_status: Option<u16>,
}

impl BridgeError {
    /// An error with nothing but its code and message.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, url: None, http_status: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The error response to the raw `id`; without one the member is left out, as MCP has it
/// for ids that could not be read.
pub fn error_response(id: Option<&[u8]>, error: &BridgeError) -> Bytes {
    let mut data = Map::from_iter([("origin".to_owned(), json!("keyferry"))]);
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            data.insert(name.to_owned(), value);
        }
    };
    add("hint", error.hint.as_deref().map(Value::from));
    add("url", error.url.as_deref().map(Value::from));
    add("httpStatus", error.http_status.map(Value::from));
    let error = json!({"code": error.code, "message": error.message, "data": data}).to_string();
    let mut text = br#"{"jsonrpc":"2.0","#.to_vec();
    if let Some(id) = id {
        text.extend_from_slice(b"\"id\":");
        text.extend_from_slice(id);
        text.push(b',');
    }
    text.extend_from_slice(b"\"error\":");
    text.extend_from_slice(error.as_bytes());
    text.push(b'}');
    text.into()
}

/// The message under the raw `id`, all else untouched; an id that is absent is put first.
pub fn with_id(message: &Message, id: &[u8]) -> Bytes {
    let text = message.text();
    match message.id_range() {
        Some(range) => splice(text, &[(range, id)]).into(),
        None => {
            // A null id is a member already, of no use as an id.
            if let Some(null) = super::object::find(text, 0, "id") {
                return splice(text, &[(null, id)]).into();
            }
            let brace = memchr::memchr(b'{', text).map_or(0, |at| at + 1);
            let member = [b"\"id\":", id, b","].concat();
            splice(text, &[(brace..brace, &member)]).into()
        }
    }
}
