//! A legacy client at a modern remote (MCP 2026-07-28 behind 2025-11-25 and earlier).

use super::Effect;
use crate::jsonrpc::Message;
use bytes::Bytes;

/// What a legacy client says, in modern words, and what comes back in its own.
#[derive(Debug)]
pub(in super::super) struct ToModern {
    _ids: String,
    _remote: String,
}

impl ToModern {
    /// `ids` is the prefix of the ids of own requests; `remote` its name for error texts.
    pub(in super::super) fn new(ids: String, remote: String) -> Self {
        Self { _ids: ids, _remote: remote }
    }

    /// A message of the client.
    pub(in super::super) fn client(&mut self, _message: &Message) -> Vec<Effect> {
        Vec::new()
    }

    /// A message from the core; `origin` is the own request on whose stream it came.
    pub(in super::super) fn remote(
        &mut self,
        _message: &Message,
        _origin: Option<&[u8]>,
    ) -> Vec<Effect> {
        Vec::new()
    }

    /// The time of an `Effect::After` has come.
    pub(in super::super) fn tick(&mut self, _token: u64) -> Vec<Effect> {
        Vec::new()
    }

    /// True if the client waits for an answer to a request with this raw id.
    pub(in super::super) fn waits_for(&self, _id: &Bytes) -> bool {
        false
    }

    /// The client's requests without an answer, as it sent them.
    pub(in super::super) fn open(&self) -> Vec<Message> {
        Vec::new()
    }

    /// Goes on where a legacy session ended: `initialize` was answered already.
    pub(in super::super) fn resume(&mut self, _initialize: &Message) -> Vec<Effect> {
        Vec::new()
    }

    /// The client's `initialize` and the raw result that it was given.
    pub(in super::super) fn told(&self) -> Option<(Message, Bytes)> {
        None
    }
}
