//! A sign-in: one at a time for a remote, awaited by whoever needs it.

use super::{Authorization, AuthorizationError};
use std::sync::Arc;
use tokio::sync::watch;

/// Why a person is needed.
#[derive(Debug, Clone)]
pub struct Need {
    /// One clause for a person, fit to show.
    pub message: String,
    /// `keyferry login ...`
    pub hint: String,
}

/// What asks for the sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client goes about its start: the end of the handshake, a list. Begins a sign-in
    /// only if this (remote, account) was never signed in, and only once.
    Notice,
    /// A call that cannot be answered without.
    Call,
}

/// Where the person goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// https, or http for loopback; safe to print.
    pub url: String,
    /// The code to enter there (RFC 8628), fit to show.
    pub user_code: Option<String>,
}

/// A sign-in that runs, or has ended. Dropping it ends nothing.
#[derive(Clone)]
pub struct SignIn {
    progress: watch::Receiver<Progress>,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) link: Option<Link>,
    pub(super) outcome: Option<Result<(), Arc<AuthorizationError>>>,
}

impl SignIn {
    /// The link, once it is known.
    pub fn link(&self) -> Option<Link> {
        self.progress.borrow().link.clone()
    }

    /// Resolves when the link is known, or the sign-in is over.
    pub async fn link_known(&mut self) -> Option<Link> {
        let known = self.progress.wait_for(|now| now.link.is_some() || now.outcome.is_some());
        known.await.ok().and_then(|now| now.link.clone())
    }

    /// Resolves when the sign-in is over; then [`Authorization::credential`] has the token.
    ///
    /// # Errors
    /// Why it failed, for the person and the client.
    pub async fn finished(&mut self) -> Result<(), Arc<AuthorizationError>> {
        match self.progress.wait_for(|now| now.outcome.is_some()).await {
            Ok(now) => now.outcome.clone().unwrap_or(Ok(())),
            Err(_) => Err(Arc::new(AuthorizationError::Unavailable {
                message: "the sign-in was given up".into(),
            })),
        }
    }
}

impl Authorization {
    /// Whether this (remote, account) was ever signed in with OAuth. Asks no keychain.
    pub fn was_signed_in(&self) -> bool {
        false
    }

    /// Whether a browser can be opened here; if not, the link of a sign-in is one that can be
    /// opened on any machine, where the authorization server offers that (RFC 8628).
    pub fn has_browser(&self) -> bool {
        true
    }

    /// Joins the sign-in that runs for this remote, or begins one, which opens the browser.
    ///
    /// # Errors
    /// The need itself, where no sign-in may be begun now: `cause` does not allow it, or
    /// `--sign-in never`, or too many failed.
    pub fn sign_in(self: &Arc<Self>, need: &Need, _cause: Cause) -> Result<SignIn, Need> {
        Err(need.clone())
    }

    /// The sign-in that runs now.
    pub fn signing_in(&self) -> Option<SignIn> {
        None
    }

    /// Resolves when no refresh is on its way any more.
    pub async fn settled(&self) {}
}
