//! Request metadata in HTTP headers (MCP 2026-07-28, Streamable HTTP, "Request Metadata").

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};

pub const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub const NAME: HeaderName = HeaderName::from_static("mcp-name");
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

const SENTINEL: (&str, &str) = ("=?base64?", "?=");

/// The value as a header carries it: as it is where that is safe, else in Base64 between
/// the sentinels ("Value Encoding").
pub fn encode(value: &str) -> HeaderValue {
    let visible = value.bytes().all(|byte| matches!(byte, 0x20..=0x7e | b'\t'));
    let padded = value.starts_with([' ', '\t']) || value.ends_with([' ', '\t']);
    let ambiguous = value.starts_with(SENTINEL.0) && value.ends_with(SENTINEL.1);
    if visible
        && !padded
        && !ambiguous
        && let Ok(value) = HeaderValue::from_str(value)
    {
        return value;
    }
    let encoded = format!("{}{}{}", SENTINEL.0, STANDARD.encode(value), SENTINEL.1);
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

/// The member of `params` that `Mcp-Name` mirrors for a method.
pub fn name_source(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        _ if method.starts_with("tasks/") => Some("taskId"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn values_are_encoded_as_the_specification_shows() {
        for (value, header) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("", ""),
        ] {
            assert_eq!(encode(value), header, "{value:?}");
        }
    }
}
