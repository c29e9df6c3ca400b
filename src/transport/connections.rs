//! How many requests are under way at once. HTTP/1.1 takes a connection for each, and a
//! process may have so many files: what cannot have one waits, rather than fail.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Where nothing is known of a limit.
const REQUESTS: usize = 2048;
const OTHERS: usize = 256;

/// Room for connections. What a request waits for (its cancellation, the client's answer to
/// the server, a new session) must not wait for the request, so it has room of its own.
pub(super) struct Connections {
    requests: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

/// Room for one; given back when it is dropped.
pub struct Place(Option<OwnedSemaphorePermit>);

impl Default for Connections {
    fn default() -> Self {
        Self::new(REQUESTS, OTHERS)
    }
}

impl Connections {
    fn new(requests: usize, others: usize) -> Self {
        let room = |count| Arc::new(Semaphore::new(count));
        Self { requests: room(requests), others: room(others) }
    }

    /// For a process that may open so many files. One connection may take several for a while:
    /// its name is looked up, and of two that are tried one is left over.
    pub(super) fn among(files: usize) -> Self {
        Self::new((files * 3 / 8).clamp(8, REQUESTS), (files / 16).clamp(4, OTHERS))
    }

    /// Room for a request of the client.
    pub(super) async fn for_request(&self) -> Place {
        Place(self.requests.clone().acquire_owned().await.ok())
    }

    /// Room for anything else.
    pub(super) async fn for_other(&self) -> Place {
        Place(self.others.clone().acquire_owned().await.ok())
    }
}

impl Place {
    /// Gives it back before the end.
    pub(super) fn leave(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    fn is_free(room: impl Future<Output = Place>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(std::pin::pin!(room).poll(&mut context), Poll::Ready(_))
    }

    #[tokio::test]
    async fn requests_wait_for_each_other_and_nothing_else_waits_for_them() {
        let connections = Connections::among(64);
        let mut places = Vec::new();
        while is_free(connections.for_request()) {
            places.push(connections.for_request().await);
        }
        assert_eq!(places.len(), 24);
        assert!(is_free(connections.for_other()));
        places[0].leave();
        assert!(is_free(connections.for_request()));
    }
}
