//! Which era a message belongs to (MCP 2026-07-28, "Versioning"). Pure: no I/O, no clock.
//! Messages of one era for a remote of the other are not translated yet.

use crate::jsonrpc::object;
use std::borrow::Cow;

/// Member of `_meta` that every modern request carries.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The two generations of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// 2025-11-25 and earlier: a handshake, and sessions.
    Legacy,
    /// 2026-07-28 and later: each request stands for itself.
    Modern,
}

/// The protocol version that a raw `_meta` names; legacy messages name none.
pub(super) fn version_in(meta: &[u8]) -> Option<Cow<'_, str>> {
    object::string(object::get(meta, VERSION)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_modern_message_names_its_version() {
        let meta = br#"{"progressToken":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        assert_eq!(version_in(meta).as_deref(), Some("2026-07-28"));
        assert_eq!(version_in(br#"{"progressToken":1}"#), None);
    }
}
