//! The end: in every state within a second.

use super::Bridge;
use super::call::Source;
use super::refusal::CLOSED;
use super::session::Snapshot;
use crate::jsonrpc::{BridgeError, error_response};
use reqwest::Method;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long requests in flight may still be answered after the end of the input.
const GRACE: Duration = Duration::from_millis(450);
/// How long the remote may take to hear that the session ends.
const GOODBYE: Duration = Duration::from_millis(250);
/// How long it may take to hear that one of several sessions ends.
const DELETE: Duration = Duration::from_secs(30);
/// How long the client may take to read the last lines.
const LAST_LINES: Duration = Duration::from_millis(100);

/// How long a refresh under way may take to be kept, counted from the beginning of the end:
/// the waits above fit into it.
const SETTLED: Duration = Duration::from_millis(900);

/// Why the bridge ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The client closed its end of standard input.
    InputClosed,
    /// Nobody reads standard output any more.
    OutputClosed,
    /// SIGTERM, or what stands for it.
    Terminated,
    /// SIGINT.
    Interrupted,
}

/// Resolves when something other than the end of the input asks the bridge to end.
pub(super) async fn asked_to_end(writer: JoinHandle<io::Result<()>>) -> Ended {
    tokio::select! {
        ended = signal() => ended,
        _ = writer => Ended::OutputClosed,
        () = output_closed() => Ended::OutputClosed,
    }
}

#[cfg(unix)]
async fn output_closed() {
    super::unix::stdout_closed().await;
}

#[cfg(not(unix))]
async fn output_closed() {
    // Seen at the next write.
    std::future::pending().await
}

#[cfg(unix)]
async fn signal() -> Ended {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => Ended::Terminated,
        _ = hangup.recv() => Ended::Terminated,
        _ = interrupt.recv() => Ended::Interrupted,
    }
}

#[cfg(windows)]
async fn signal() -> Ended {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close};
    let (Ok(mut c), Ok(mut brk), Ok(mut close)) = (ctrl_c(), ctrl_break(), ctrl_close()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = c.recv() => Ended::Interrupted,
        _ = brk.recv() => Ended::Terminated,
        _ = close.recv() => Ended::Terminated,
    }
}

impl Bridge {
    /// Lets what is nearly done be done, answers the rest, and takes leave of the remote.
    pub(super) async fn finish(
        self: &Arc<Self>,
        ended: Ended,
        mut sooner: impl Future<Output = Ended> + Unpin,
    ) {
        let settled = tokio::time::Instant::now() + SETTLED;
        if ended == Ended::InputClosed && self.is_awaited() {
            tokio::select! {
                () = self.all_answered() => {}
                () = tokio::time::sleep(GRACE) => {}
                _ = &mut sooner => {}
            }
        }
        // First: what they might still want said would be said for nothing.
        self.end_translations();
        let error = BridgeError::new(CLOSED, "keyferry was asked to end before the answer came");
        for ticket in self.pending.all() {
            // Each aborted: nothing may still write for it.
            self.pending.cancel(&ticket.id);
            if ticket.source() == Source::Client {
                let _ = self.outbox.try_send(error_response(Some(&ticket.id), &error));
            }
        }
        let session = self.session.end();
        if ended != Ended::OutputClosed {
            self.outbox.flushed(LAST_LINES).await;
        }
        if let Some(session) = session {
            let _ = tokio::time::timeout(GOODBYE, self.delete(&session)).await;
        }
        let _ = tokio::time::timeout_at(settled, self.authorization.settled()).await;
    }

    async fn all_answered(&self) {
        loop {
            let fewer = self.pending.fewer();
            if !self.is_awaited() {
                return;
            }
            fewer.await;
        }
    }

    /// True if the client waits for an answer that may come.
    fn is_awaited(&self) -> bool {
        self.pending.is_awaited() || self.eras.is_awaited()
    }

    /// Ends a session at the remote that is of no use any more, in its own time.
    pub(super) fn delete_soon(self: &Arc<Self>, session: Snapshot) {
        let bridge = self.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(DELETE, bridge.delete(&session)).await;
        });
    }

    /// Ends a session at the remote; 405 is fine, and so is any other answer. Not with a token
    /// past its end, nor with one renewed for this: a process that ends might not live to
    /// keep what a rotation leaves.
    pub(super) async fn delete(&self, session: &Snapshot) {
        if session.id.is_none() {
            return;
        }
        let Some(credential) = self.authorization.for_the_end().await else { return };
        let mut headers = credential.for_request(&Method::DELETE);
        session.put_headers(&mut headers);
        let _ = self.remote.delete(headers).await;
    }
}
