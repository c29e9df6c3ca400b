//! A modern client at a legacy remote (MCP 2026-07-28 in the words of 2025-11-25): the handshake
//! and the session that the client knows nothing of.

use super::Effect;
use crate::jsonrpc::Message;
use bytes::Bytes;

/// The translation's state.
#[derive(Debug)]
pub(in super::super) struct ToLegacy {
    ids: String,
    remote: String,
}

impl ToLegacy {
    /// `ids`: prefix for the ids of own requests; `remote`: its name for error texts.
    pub(in super::super) fn new(ids: String, remote: String) -> Self {
        Self { ids, remote }
    }

    /// A message of the client: valid JSON-RPC, a request's id is none that waits already.
    pub(in super::super) fn client(&mut self, message: &Message) -> Vec<Effect> {
        let _ = (message, &self.ids, &self.remote);
        Vec::new()
    }

    /// A message of the remote: `origin` is the own request on whose stream it came.
    pub(in super::super) fn remote(
        &mut self,
        message: &Message,
        origin: Option<&[u8]>,
    ) -> Vec<Effect> {
        let _ = (message, origin);
        Vec::new()
    }

    /// The time of an [`Effect::After`] has come; stale tokens are harmless.
    pub(in super::super) fn tick(&mut self, token: u64) -> Vec<Effect> {
        let _ = token;
        Vec::new()
    }

    /// True if the client waits for an answer to a request with this raw id.
    pub(in super::super) fn waits_for(&self, id: &Bytes) -> bool {
        let _ = id;
        false
    }

    /// The client's requests without an answer, as it sent them.
    pub(in super::super) fn open(&self) -> Vec<Message> {
        Vec::new()
    }

    /// A `subscriptions/listen` that was acknowledged already.
    pub(in super::super) fn listening(&mut self, message: &Message) -> Vec<Effect> {
        self.client(message)
    }
}
