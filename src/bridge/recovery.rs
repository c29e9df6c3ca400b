//! A session that the remote has forgotten, begun anew (MCP 2025-11-25, "Session Management").

use super::Bridge;
use super::crossing::From;
use super::era::Era;
use super::refusal::{CLOSED, Failure, UNREACHABLE};
use super::session::Snapshot;
use super::stand_in::Told;
use crate::jsonrpc::with_id;
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

    async fn recover_once(self: &Arc<Self>, epoch: u64) -> Result<(), Failure> {
        let came = Instant::now();
        let mut last = self.session.recovery.lock().await;
        let lost = self.session.snapshot();
        if lost.epoch != epoch {
            return Ok(());
        }
        if self.eras.crossing() == Some(Era::Legacy) {
            return Err(Failure::Crossed);
        }
        if let Some(one) = last.as_ref().filter(|one| one.lost == epoch && one.at >= came) {
            return Err(one.failure.clone());
        }
        let begun = self.begin_anew(&lost).await;
        let outcome = begun.map_err(|failure| match (self.session.initialize(), failure) {
            (Some(initialize), failure) => self.doubt_session(&initialize, failure),
            (None, failure) => failure,
        });
        let outcome = outcome.map_err(|failure| match lost.is_stand_in() {
            true => self.not_live(failure),
            false => self.not_begun(failure),
        });
        if let Some(of_no_use) = self.session.abandon() {
            self.delete_soon(of_no_use);
        }
        *last = match &outcome {
            Ok(()) => None,
            Err(failure) => {
                Some(LastFailure { lost: epoch, at: Instant::now(), failure: failure.clone() })
            }
        };
        outcome
    }

    /// The handshake in full before anything else may use the new session.
    async fn begin_anew(self: &Arc<Self>, lost: &Snapshot) -> Result<(), Failure> {
        let initialize = self.session.initialize().ok_or_else(|| self.unanswered())?;
        if lost.is_real() && lost.connection.is_none() {
            tracing::info!("the remote has forgotten the session; it is begun anew");
        }
        let own = with_id(&initialize, &self.session.own_id());
        let shaken = self.shake_hands_anew(own, lost).await?;
        let (answer, opener) = (&shaken.answer, shaken.opener());
        if answer.result().is_none() {
            return Err(Failure::Remote(Box::new(shaken.answer)));
        }
        let fresh = Snapshot::new(lost.epoch + 1, answer, opener).after(lost, answer);
        self.session.form(&fresh);
        let initialized =
            Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.tell(initialized, &fresh).await?;
        if tokio::time::timeout(SETTINGS, self.say_again(&fresh)).await.is_err() {
            tracing::warn!("the new session takes too long over the client's settings");
        }
        if let Some(of_no_use) = self.session.succeed(lost.epoch) {
            // The client has shaken hands by itself in the meantime.
            self.delete_soon(of_no_use);
            return Ok(());
        }
        self.listen();
        self.look_after_connection();
        self.keep_handshake(answer);
        match &lost.told {
            Some(told) if lost.is_stand_in() => {
                tracing::info!("signed in; the remote answers from now on");
                self.stand_in.met();
                let mut changes = match told.promises.is_empty() {
                    false => told.promises.clone(),
                    true => Told::read(answer.result().unwrap_or_default()).promises,
                };
                let stale = self.stand_in.stale();
                changes.extend(stale.into_iter().filter(|one| !told.promises.contains(one)));
                self.announce(&changes).await;
            }
            _ => self.announce(&Told::read(answer.result().unwrap_or_default()).promises).await,
        }
        Ok(())
    }

    /// Log level and subscriptions, as the client had set them.
    async fn say_again(self: &Arc<Self>, fresh: &Snapshot) {
        for request in self.session.remembered() {
            let own = with_id(&request, &self.session.own_id());
            let asked = self.ask_in(own, fresh).await;
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

    /// Tells the client to look again at what it was promised to hear of.
    pub(super) async fn announce(self: &Arc<Self>, changes: &[&str]) {
        for method in changes {
            let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#);
            self.send(From::Unasked, text.into()).await;
        }
    }
}
