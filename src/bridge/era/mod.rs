//! Which era a message belongs to, and messages of one era in the words of the other (MCP
//! 2026-07-28, "Versioning and Compatibility"). Pure: no I/O and no clock; what has to be done
//! comes back as [`Effect`]s.

pub(super) mod signs;
mod to_legacy;
mod to_modern;

use crate::jsonrpc::{Message, object};
use bytes::Bytes;
use std::borrow::Cow;
use std::time::Duration;

pub(super) use to_legacy::{ToLegacy, as_modern};
pub(super) use to_modern::ToModern;

/// Member of `_meta` that every modern request carries.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// The two generations of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025-11-25 and earlier: a handshake, and sessions.
    Legacy,
    /// 2026-07-28 and later: each request stands for itself.
    Modern,
}

impl Era {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Legacy => Self::Modern,
            Self::Modern => Self::Legacy,
        }
    }
}

/// What a translation wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// A message for the client, in its own era.
    ToClient(Bytes),
    /// A message for the remote, in its era; a request has an id of the translation's own.
    ToRemote(Bytes),
    /// To be told of this after that long (`tick`).
    After(Duration, u64),
}

/// A request of the client that a translation has not answered.
#[derive(Debug, Clone)]
pub(super) struct Open {
    /// As the client sent it.
    pub(super) message: Message,
    pub(super) reach: Reach,
}

/// How far such a request has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// The remote has not heard of it, or only of what can be said to any other.
    Here,
    /// It is under way under this raw id.
    Sent(Bytes),
    /// The remote has begun it, and there is more to come.
    Begun,
    /// A subscription that the client was told of.
    Acknowledged,
}

/// The cancellation of the request with this raw id.
pub(super) fn cancelled(id: &[u8]) -> Bytes {
    let head = br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"#;
    [&head[..], id, b"}}"].concat().into()
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
