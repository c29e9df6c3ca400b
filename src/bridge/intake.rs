//! How much of what the client said may wait here: beyond that its lines are not read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Counts the bytes of messages that wait.
pub(super) struct Intake {
    held: AtomicUsize,
    limit: usize,
    less: Notify,
}

/// A message's share; given back when it is dropped.
pub(super) struct Held {
    intake: Arc<Intake>,
    bytes: usize,
}

impl Intake {
    /// Full once more than `limit` bytes wait; a single message may be larger.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), limit, less: Notify::new() })
    }

    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Held {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Held { intake: self.clone(), bytes }
    }

    pub(super) fn is_full(&self) -> bool {
        self.held.load(Ordering::Relaxed) > self.limit
    }

    /// Resolves when a share was given back.
    pub(super) async fn less(&self) {
        self.less.notified().await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.intake.held.fetch_sub(self.bytes, Ordering::Relaxed);
        self.intake.less.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::Intake;

    #[test]
    fn a_share_is_given_back_with_its_message() {
        let intake = Intake::new(10);
        let first = intake.hold(8);
        let second = intake.hold(8);
        assert!(intake.is_full());
        drop(first);
        assert!(!intake.is_full());
        drop(second);
    }
}
