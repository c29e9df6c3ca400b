//! What the client tells without asking: notifications in order, the end of the handshake,
//! cancellations.

use super::call::Call;
use super::era::Era;
use super::pending::Ticket;
use super::refusal::{Failure, SIGN_IN_NEEDED, UNREACHABLE, VAULT};
use super::session::Snapshot;
use super::{Bridge, Note};
use crate::authorization::Cause;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a notification may hold up the ones behind it.
const NOTIFICATION: Duration = Duration::from_secs(5);
/// How long the end of the handshake may hold up everything else.
const INITIALIZED: Duration = Duration::from_secs(3);

impl Bridge {
    pub(super) fn take_notification(self: &Arc<Self>, call: Call) {
        if call.message.method() == "notifications/cancelled" {
            return self.take_cancellation(&call);
        }
        if call.message.method() == "notifications/initialized" {
            return self.take_initialized(call);
        }
        let held = self.notes.hold(call.message.text().len());
        // The receiver lives as long as the bridge.
        let _ = self.notifications.send((call, held));
    }

    /// Ends the handshake: what the client says after it waits until the remote has it.
    fn take_initialized(self: &Arc<Self>, call: Call) {
        let gate = self.gate.clone();
        let alone = gate.clone().try_write_owned().ok();
        let bridge = self.clone();
        tokio::spawn(async move {
            let alone = match alone {
                Some(alone) => alone,
                None => gate.write_owned().await,
            };
            if bridge.crossed_meanwhile(&call) {
                return;
            }
            let session = bridge.session.snapshot();
            if session.told.is_some() {
                // The remote has heard it, or will, when the real session begins.
                if session.is_stand_in() {
                    bridge.client_is_ready(&session);
                }
                return;
            }
            let mut telling = std::pin::pin!(bridge.initialized(&call, &session));
            tokio::select! {
                () = &mut telling => return,
                // A remote that never takes it must not hold up everything else for good.
                () = tokio::time::sleep(INITIALIZED) => drop(alone),
            }
            telling.await;
        });
    }

    /// Tells the remote that the handshake is over.
    async fn initialized(self: &Arc<Self>, call: &Call, session: &Snapshot) {
        let told = self.notify(call).await;
        match &told {
            Err(failure) if was_not_taken(failure) => {
                self.session.set_unsaid(session.epoch, Some(call.message.text().clone()));
                if let Failure::Person(need) = failure {
                    self.person_is_needed(need, Cause::Notice);
                }
            }
            // Lost on the way, or refused: the session is there all the same.
            Ok(()) | Err(_) => self.listen(),
        }
        self.log_refusal("the end of the handshake", told);
    }

    /// Tells it what it would not take before, ahead of anything else in the session.
    ///
    /// # Errors
    /// If it still does not take it, so that nothing else can be sent either.
    pub(super) async fn end_handshake(self: &Arc<Self>) -> Result<(), Failure> {
        let bridge = self.clone();
        // A task of its own: a call that is cancelled must not leave it told or not.
        let telling = tokio::spawn(async move { bridge.end_handshake_once().await });
        telling.await.unwrap_or_else(|_| Err(self.unanswered().into()))
    }

    async fn end_handshake_once(self: &Arc<Self>) -> Result<(), Failure> {
        let alone = self.session.recovery.lock().await;
        let session = self.session.snapshot();
        let Some(initialized) = session.unsaid.clone() else { return Ok(()) };
        match self.tell(initialized, &session).await {
            Err(failure) if was_not_taken(&failure) => Err(failure),
            Err(failure) if session.is_lost() || session.forgot(&failure) => {
                drop(alone);
                self.recover(session.epoch).await
            }
            told => {
                self.session.set_unsaid(session.epoch, None);
                self.listen();
                self.log_refusal("the end of the handshake", told);
                Ok(())
            }
        }
    }

    fn take_cancellation(self: &Arc<Self>, call: &Call) {
        let Some(id) = call.cancelled_id() else { return };
        let known = self.pending.get(&id);
        // MCP: the handshake cannot be cancelled.
        if known.as_ref().is_some_and(|ticket| ticket.method() == "initialize") {
            return;
        }
        match self.pending.cancel(&id) {
            Some(ticket) if ticket.era() == Era::Legacy && ticket.was_sent() => {
                self.forward_cancellation(&ticket, Some(call.message.text().clone()));
            }
            // Modern: the end of its stream is the cancellation. Never sent: nothing to cancel.
            Some(_) => {}
            None => tracing::debug!("a cancellation names a request that does not wait any more"),
        }
    }

    /// Tells a legacy remote that nobody waits for this request any more.
    pub(super) fn forward_cancellation(self: &Arc<Self>, ticket: &Ticket, text: Option<Bytes>) {
        if ticket.era() == Era::Modern {
            return;
        }
        let text = text.unwrap_or_else(|| {
            let head =
                br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"#;
            [&head[..], &ticket.id, b"}}"].concat().into()
        });
        let bridge = self.clone();
        tokio::spawn(async move {
            let session = bridge.session.snapshot();
            let told = bridge.tell(text, &session).await;
            bridge.log_refusal("a cancellation", told);
        });
    }

    pub(super) fn log_refusal(&self, what: &str, told: Result<(), Failure>) {
        match told {
            Ok(()) | Err(Failure::Crossed) => {}
            Err(Failure::Bridge(error)) => {
                tracing::warn!("{what} did not get through: {}", error.message)
            }
            Err(Failure::Person(need)) => {
                tracing::warn!("{what} did not get through: {}", self.clean(&need.message));
            }
            Err(Failure::Remote(message)) => {
                let why = String::from_utf8_lossy(message.error().unwrap_or_default()).into_owned();
                tracing::warn!("{what} was refused: {}", self.clean(&why));
            }
        }
    }

    /// Sends one notification; a lost session is begun anew once.
    async fn notify(self: &Arc<Self>, call: &Call) -> Result<(), Failure> {
        if self.crossed_meanwhile(call) {
            return Ok(());
        }
        let session = self.session.snapshot();
        let text = call.message.text().clone();
        if call.era == Era::Modern {
            return self.tell_with(text, |headers| call.put_metadata(headers)).await;
        }
        if session.is_stand_in() {
            // It would be of no interest to the session that is to come.
            return Ok(());
        }
        if session.is_lost() {
            self.recover(session.epoch).await?;
        }
        if self.session.snapshot().unsaid.is_some() {
            self.end_handshake().await?;
        }
        let session = self.session.snapshot();
        match self.tell(text.clone(), &session).await {
            Err(failure) if session.forgot(&failure) => {
                self.recover(session.epoch).await?;
                let session: Snapshot = self.session.snapshot();
                self.tell(text, &session).await
            }
            told => told,
        }
    }
}

/// True if the remote will take the same later, with a credential.
fn was_not_taken(failure: &Failure) -> bool {
    match failure {
        Failure::Person(_) => true,
        Failure::Crossed => false,
        Failure::Bridge(error) => matches!(error.code, SIGN_IN_NEEDED | UNREACHABLE | VAULT),
        Failure::Remote(_) => false,
    }
}

/// Sends the client's notifications one after the other.
pub(super) async fn forward_notifications(
    bridge: Arc<Bridge>,
    mut ordered: mpsc::UnboundedReceiver<Note>,
) {
    while let Some((call, held)) = ordered.recv().await {
        let bridge = bridge.clone();
        let mut sending = tokio::spawn(async move {
            let _held = held;
            drop(bridge.gate.read().await);
            let told = bridge.notify(&call).await;
            bridge.log_refusal("a notification", told);
        });
        // A remote that does not answer must not stop the notifications behind for good.
        let _ = tokio::time::timeout(NOTIFICATION, &mut sending).await;
    }
}
