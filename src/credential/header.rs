//! Headers that a credential may bring along.

use reqwest::header::{HeaderName, HeaderValue, InvalidHeaderValue};

/// Headers that belong to the transport.
const RESERVED: [&str; 12] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
];

/// Whether the protocol sets this header, so that nobody else may.
pub fn is_reserved(name: &HeaderName) -> bool {
    RESERVED.contains(&name.as_str())
}

/// A value that is never shown.
pub(super) fn sensitive(value: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut value = HeaderValue::from_str(value)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_sets_is_reserved_however_it_is_spelled() {
        assert!(is_reserved(&HeaderName::from_bytes(b"Mcp-Session-Id").unwrap()));
        assert!(!is_reserved(&HeaderName::from_static("authorization")));
        assert_eq!(format!("{:?}", sensitive("hunter2").unwrap()), "Sensitive");
    }
}
