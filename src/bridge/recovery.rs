//! A session that the remote has forgotten, begun anew (MCP 2025-11-25, "Session Management").

use super::Bridge;
use super::refusal::{CLOSED, Failure, UNREACHABLE};
use super::session::Snapshot;
use crate::jsonrpc::object::get;
use crate::jsonrpc::{Message, with_id};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the client's settings may hold up the calls that wait for the new session.
const SETTINGS: Duration = Duration::from_secs(10);

/// How the last attempt failed: those who came while it ran share it.
pub(super) struct LastFailure {
    lost: u64,
    at: Instant,
    failure: Failure,
}

impl Bridge {
    /// Begins the session anew after the one of `epoch` was lost, once for all that wait.
    ///
    /// # Errors
    /// The error to answer the waiting request with.
    pub(super) async fn recover(self: &Arc<Self>, epoch: u64) -> Result<(), Failure> {
        let bridge = self.clone();
        // A task of its own: a waiting call that is cancelled must not leave it half done.
        let recovery = tokio::spawn(async move { bridge.recover_once(epoch).await });
        recovery.await.unwrap_or_else(|_| Err(self.unanswered().into()))
    }

    async fn recover_once(self: &Arc<Self>, lost: u64) -> Result<(), Failure> {
        let came = Instant::now();
        let mut last = self.session.recovery.lock().await;
        if self.session.snapshot().epoch != lost {
            return Ok(());
        }
        if let Some(one) = last.as_ref().filter(|one| one.lost == lost && one.at >= came) {
            return Err(one.failure.clone());
        }
        let outcome = self.begin_anew(lost).await.map_err(|failure| self.not_begun(failure));
        if let Some(of_no_use) = self.session.abandon() {
            self.delete_soon(of_no_use);
        }
        *last = match &outcome {
            Ok(()) => None,
            Err(failure) => {
                Some(LastFailure { lost, at: Instant::now(), failure: failure.clone() })
            }
        };
        outcome
    }

    /// The handshake in full before anything else may use the new session.
    async fn begin_anew(self: &Arc<Self>, lost: u64) -> Result<(), Failure> {
        let initialize = self.session.initialize().ok_or_else(|| self.unanswered())?;
        tracing::info!("the remote has forgotten the session; it is begun anew");
        let own = with_id(&initialize, &self.session.own_id());
        let (answer, headers) = self.ask(own, lost + 1, |_| ()).await?;
        if answer.result().is_none() {
            return Err(Failure::Remote(Box::new(answer)));
        }
        let fresh = Snapshot::new(lost + 1, &answer, &headers);
        self.session.form(&fresh);
        let initialized =
            Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.tell(initialized, &fresh).await?;
        if tokio::time::timeout(SETTINGS, self.say_again(&fresh)).await.is_err() {
            tracing::warn!("the new session takes too long over the client's settings");
        }
        if let Some(of_no_use) = self.session.succeed(lost) {
            // The client has shaken hands by itself in the meantime.
            self.delete_soon(of_no_use);
            return Ok(());
        }
        self.listen();
        self.announce_changes(&answer).await;
        Ok(())
    }

    /// Log level and subscriptions, as the client had set them.
    async fn say_again(&self, fresh: &Snapshot) {
        for request in self.session.remembered() {
            let own = with_id(&request, &self.session.own_id());
            let asked = self.ask(own, fresh.epoch, |headers| fresh.put_headers(headers)).await;
            if asked.is_err() {
                tracing::warn!(
                    method = request.method(),
                    "the new session did not take over a setting"
                );
            }
        }
    }

    /// The request that waits was not executed: its 404 proves it.
    fn not_begun(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Bridge(mut error) if error.code == CLOSED => {
                error.code = UNREACHABLE;
                error.message =
                    format!("the session was lost and could not be begun anew: {}", error.message);
                error.hint = Some("the call was not executed; try again".into());
                Failure::Bridge(error)
            }
            other => other,
        }
    }

    /// Tells the client to look again at what the server promised to tell of.
    async fn announce_changes(&self, answer: &Message) {
        let capabilities = answer.result().and_then(|result| get(result, "capabilities"));
        for (capability, method) in [
            ("tools", "notifications/tools/list_changed"),
            ("prompts", "notifications/prompts/list_changed"),
            ("resources", "notifications/resources/list_changed"),
        ] {
            let declared = capabilities.and_then(|all| get(all, capability));
            if declared.is_some_and(|one| get(one, "listChanged") == Some(b"true")) {
                let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
                self.outbox.send(text.into()).await;
            }
        }
    }
}
