//! `--timeout` for requests that are translated: each request to the remote has its own, but one
//! of the client may take several.

use super::Bridge;
use super::refusal::TIMED_OUT;
use crate::jsonrpc::{BridgeError, Message, error_response};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// The limit on the request to the remote comes first: it can tell more.
const LATER: Duration = Duration::from_millis(100);

impl Bridge {
    /// Limits the time of a request that the client sent just now.
    pub(super) fn limit(self: &Arc<Self>, request: &Message) {
        // What lasts is meant to, and a handshake has limits of its own.
        let lasts = matches!(request.method(), "subscriptions/listen" | "initialize");
        let (Some(limit), Some(id)) = (self.timeout.filter(|_| !lasts), request.id()) else {
            return;
        };
        // A part of a text keeps the whole of it.
        let id = Bytes::copy_from_slice(&id);
        let (bridge, number) = (self.clone(), self.eras.limit(&id));
        tokio::spawn(async move {
            tokio::time::sleep(limit + LATER).await;
            if bridge.eras.is_over(&id, number) && bridge.give_up_translated(&id) {
                let error = bridge.no_answer_within(limit);
                bridge.outbox.send(error_response(Some(&id), &error)).await;
            }
        });
    }

    /// The error for a request that took too long.
    pub(super) fn no_answer_within(&self, limit: Duration) -> BridgeError {
        let remote = self.authorization.remote();
        let message = format!("{remote} did not answer within {} s", limit.as_secs());
        BridgeError::new(TIMED_OUT, message).with_hint("raise --timeout")
    }
}
