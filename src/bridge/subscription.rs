//! A modern subscription that outlives its stream: opened again under another id for as long as
//! the client lives, without the client seeing more than the changes it may have missed (MCP
//! 2026-07-28, "Subscriptions").

use super::exchange::Exchange;
use super::refusal::{CLOSED, Failure, TIMED_OUT, UNREACHABLE};
use super::resumption::jitter;
use crate::jsonrpc::object::{find, splice};
use crate::jsonrpc::{Message, same_id, with_id};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Doublings of that.
const MOST_DOUBLINGS: u32 = 5;
/// Names the subscription that a message belongs to.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a `subscriptions/listen` needs to be opened again; nothing is set for other requests.
#[derive(Default)]
pub(super) struct Subscription {
    /// It was acknowledged to the client: the next acknowledgement of the remote is not for it.
    pub(super) acknowledged: AtomicBool,
    /// It has been open at the remote.
    opened: AtomicBool,
    /// Attempts since a stream brought something.
    fruitless: AtomicU32,
    /// The raw id under which it is open now, if that is not the client's.
    id: Mutex<Option<Bytes>>,
}

impl Subscription {
    pub(super) fn acknowledged() -> Self {
        Self { acknowledged: AtomicBool::new(true), ..Self::default() }
    }

    fn id(&self) -> Option<Bytes> {
        self.id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True for an acknowledgement that the client must not see again.
    pub(super) fn is_known(&self) -> bool {
        self.opened.store(true, Ordering::Relaxed);
        self.fruitless.store(0, Ordering::Relaxed);
        self.acknowledged.swap(false, Ordering::Relaxed)
    }

    /// True if a response with this id answers the request that the client knows as another.
    pub(super) fn is_answered_by(&self, id: &[u8]) -> bool {
        self.id().is_some_and(|own| same_id(&own, id))
    }

    /// A message of the stream as the client must see it.
    pub(super) fn for_client(&self, message: &Message, id: &Bytes) -> Bytes {
        let text = message.text();
        if self.id().is_none() {
            return text.clone();
        }
        let body = message.params_range().or(message.result_range());
        let meta = body.and_then(|body| find(text, body.start, "_meta"));
        let named = meta.and_then(|meta| find(text, meta.start, SUBSCRIPTION));
        named.map_or_else(|| text.clone(), |range| splice(text, &[(range, id)]).into())
    }
}

impl Exchange {
    /// What is POSTed now.
    pub(super) fn body(&self) -> Bytes {
        match (self.subscription.id(), &self.calls[..]) {
            (Some(id), [call]) => with_id(&call.message, &id),
            _ => self.body.clone(),
        }
    }

    /// True for a subscription that ends with its stream, not on purpose; after a pause it is to
    /// be opened again.
    pub(super) async fn comes_back(&self, failure: &Failure) -> bool {
        let subscription = &self.subscription;
        if !self.stays_open() || !subscription.opened.load(Ordering::Relaxed) || is_final(failure) {
            return false;
        }
        let doublings = subscription.fruitless.fetch_add(1, Ordering::Relaxed);
        let wait = FIRST_WAIT * 2u32.pow(doublings.min(MOST_DOUBLINGS));
        tracing::debug!("a subscription has lost its stream; it is opened again");
        tokio::time::sleep(wait + jitter(wait / 4)).await;
        subscription.acknowledged.store(true, Ordering::Relaxed);
        let id = self.bridge.session.own_id();
        *subscription.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        true
    }
}

/// True if the remote does not want it any more, or never did.
fn is_final(failure: &Failure) -> bool {
    match failure {
        Failure::Bridge(error) => match error.http_status {
            Some(status) => status < 500 && status != 429,
            None => !matches!(error.code, CLOSED | UNREACHABLE | TIMED_OUT),
        },
        Failure::Remote(_) | Failure::Person(_) | Failure::Crossed => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_sees_the_id_that_it_knows() {
        let subscription = Subscription::default();
        let text = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":{"a":1.0,"io.modelcontextprotocol/subscriptionId": "own"}}}"#;
        let message = Message::read(text.into()).unwrap();
        let id = Bytes::from_static(b"7");
        assert_eq!(subscription.for_client(&message, &id), text);
        *subscription.id.lock().unwrap() = Some(Bytes::from_static(b"\"own\""));
        let expected = text.replace("\"own\"", "7");
        assert_eq!(subscription.for_client(&message, &id), expected);
        assert!(subscription.is_answered_by(b"\"own\"") && !subscription.is_answered_by(b"7"));
    }
}
