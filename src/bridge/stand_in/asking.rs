//! Asking a person to sign in, and waiting for it.

use super::{List, SEEN};
use crate::authorization::{Cause, Link, Need, Seen, SignIn};
use crate::bridge::Bridge;
use crate::bridge::refusal::{Failure, SIGN_IN_NEEDED, TIMED_OUT, UNREACHABLE};
use crate::jsonrpc::BridgeError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Pauses between attempts to reach the remote after a sign-in.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

impl Bridge {
    /// Joins the sign-in that runs, or begins one if `cause` allows it.
    ///
    /// # Errors
    /// The need, where there is none.
    pub(super) fn begin_sign_in(
        self: &Arc<Self>,
        need: &Need,
        cause: Cause,
    ) -> Result<SignIn, Need> {
        let sign_in = match self.authorization.sign_in(need, cause) {
            Ok(sign_in) => sign_in,
            Err(need) => self.authorization.signing_in().ok_or(need)?,
        };
        self.stand_in.hold_lists(Instant::now());
        self.watch(&sign_in);
        Ok(sign_in)
    }

    /// A message of the client's met with a need that it does not wait for.
    pub(in super::super) fn person_is_needed(self: &Arc<Self>, need: &Need, cause: Cause) {
        self.stand_in.needs(need, false, self.authorization.known());
        let _ = self.begin_sign_in(need, cause);
    }

    /// Sees to it that all is live after the sign-in, also if nobody waits for it any more.
    fn watch(self: &Arc<Self>, sign_in: &SignIn) {
        if self.stand_in.watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let (bridge, mut sign_in) = (self.clone(), sign_in.clone());
        tokio::spawn(async move {
            loop {
                let outcome = sign_in.finished().await;
                bridge.stand_in.release_lists();
                bridge.end_elicitation().await;
                bridge.stand_in.watched.store(false, Ordering::Relaxed);
                match outcome {
                    Ok(()) => bridge.signed_in().await,
                    Err(error) => {
                        tracing::warn!("the sign-in failed: {}", bridge.clean(&error.to_string()));
                    }
                }
                // One that began before the mark was taken back has no other watcher.
                let Some(mut next) = bridge.authorization.signing_in() else { return };
                let over = tokio::select! {
                    biased;
                    _ = next.finished() => true,
                    () = std::future::ready(()) => false,
                };
                if over || bridge.stand_in.watched.swap(true, Ordering::Relaxed) {
                    return;
                }
                sign_in = next;
            }
        });
    }

    /// There is a token now: the real remote takes the place of the stand-in.
    async fn signed_in(self: &Arc<Self>) {
        self.person_was_here().await;
        let mut pauses = PAUSES.into_iter();
        // The client may shake hands again meanwhile, and be answered by the stand-in again.
        loop {
            let session = self.session.snapshot();
            let outcome = if session.is_stand_in() {
                self.recover(session.epoch).await
            } else if session.unsaid.is_some() {
                self.end_handshake().await
            } else {
                return;
            };
            let again = match &outcome {
                Ok(()) => true,
                Err(Failure::Bridge(error)) => error.code == UNREACHABLE,
                Err(_) => false,
            };
            let pause = if outcome.is_ok() { Some(Duration::ZERO) } else { pauses.next() };
            self.log_refusal("the handshake after the sign-in", outcome);
            match pause.filter(|_| again) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return,
            }
        }
    }

    /// No person is needed any more: those who wait for that go on, and a client whose lists
    /// came from here looks at the real ones.
    pub(super) async fn person_was_here(self: &Arc<Self>) {
        self.stand_in.met();
        // A stand-in session promised more; that is announced when the real one begins.
        let session = self.session.snapshot();
        if session.is_real() {
            self.announce(&self.stand_in.stale()).await;
        }
    }

    /// Waits for the sign-in that a list begins or finds, as long as a list may wait since
    /// `entered`. True if it ended well.
    pub(super) async fn hold(self: &Arc<Self>, list: List, need: &Need, entered: Instant) -> bool {
        let Ok(mut sign_in) = self.begin_sign_in(need, Cause::Notice) else { return false };
        let until = self.stand_in.held_until(list, entered);
        matches!(tokio::time::timeout_at(until, sign_in.finished()).await, Ok(Ok(())))
    }

    /// What was last seen of the remote; nothing if that cannot be read in time.
    pub(in super::super) async fn last_seen(&self) -> Seen {
        tokio::time::timeout(SEEN, self.authorization.last_seen()).await.unwrap_or_default()
    }

    /// The error for a call that went without a person.
    pub(in super::super) fn sign_in_needed(&self, need: &Need, link: Option<&Link>) -> BridgeError {
        let mut message = self.clean(&need.message);
        let Some(link) = link else {
            return BridgeError::new(SIGN_IN_NEEDED, message).with_hint(need.hint.clone());
        };
        message.push_str(&format!("; {}, then try again: {}", way(link), link.url));
        let mut error = BridgeError::new(SIGN_IN_NEEDED, message)
            .with_hint("open the link to sign in, then try again");
        error.url = Some(link.url.clone());
        error
    }

    /// The same for one that has waited long enough; none if no person is needed.
    pub(in super::super) fn waits_for_person(&self) -> Option<BridgeError> {
        let (need, late) = self.stand_in.need()?;
        let sign_in = self.authorization.signing_in();
        // Perhaps nobody is needed, or a permission was refused to another call.
        if sign_in.is_none() && (late || need.is_step_up()) {
            return None;
        }
        let link = sign_in.and_then(|sign_in| sign_in.link());
        Some(self.sign_in_needed(&need, link.as_ref()))
    }

    /// The error for a call that waited long enough for the session to begin.
    pub(super) fn no_session_in_time(&self) -> BridgeError {
        self.waits_for_person().unwrap_or_else(|| {
            let (remote, waited) = (self.authorization.remote(), self.auth_timeout.as_secs());
            let message = format!("{remote} has not begun a session within {waited} s");
            BridgeError::new(TIMED_OUT, message).with_hint("the call was not executed; try again")
        })
    }

    /// A need, for when it could not be found out in time what the need is.
    pub(in super::super) fn late(&self) -> Need {
        let remote = self.authorization.remote();
        let message = format!("it could not be found out in time how to sign in to {remote}");
        self.authorization.need(message)
    }
}

/// What a person does with the link that follows.
pub(super) fn way(link: &Link) -> String {
    match &link.user_code {
        None => "open this link to sign in".to_owned(),
        Some(code) => format!("open this link to sign in with the code {code}"),
    }
}
