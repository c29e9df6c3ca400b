//! A sign-in: a credential with a person's help, one at a time for a remote.
//!
//! * `desk`: begins and joins; takes its turn among processes.
//! * `flow`: one sign-in up to the stored tokens; `errand`: what it asks for, and of whom;
//!   `clients`: for which client; `browser` and `device`: its two ways; `trouble`: what
//!   failed, in words.

mod browser;
mod clients;
mod desk;
mod device;
mod errand;
mod flow;
mod trouble;

pub(super) use clients::dismiss;
pub(super) use desk::Desk;

use super::{Along, Authorization, AuthorizationError};
use crate::oauth::browser::{Browser, Where};
use crate::oauth::{Challenge, Web};
use crate::secret::Secret;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Where a sign-in takes place.
pub struct SignInSettings {
    pub web: Arc<Web>,
    pub browser: Browser,
    /// Whether a browser can be opened here.
    pub place: Where,
    /// `--no-browser`: the link is printed only.
    pub no_browser: bool,
    /// `--sign-in auto`: it may begin by itself.
    pub allowed: bool,
    pub allow_http: bool,
    /// Tells the person something, whatever the log level.
    pub tell: fn(&str),
    /// Seconds since 1970.
    pub now: fn() -> u64,
    /// `login`: what goes along with every request, to be taught.
    pub along: Option<Along>,
}

/// Why a person is needed.
#[derive(Debug, Clone)]
pub struct Need {
    /// One clause for a person, fit to show.
    pub message: String,
    /// `keyferry login ...`
    pub hint: String,
    /// How the remote asked for a credential.
    pub(super) challenge: Option<Box<Challenge>>,
    /// The token that is of no use any more: another one ends the need.
    pub(super) refused: Option<Box<Secret<String>>>,
    /// Scopes that are needed on top (MCP authorization, "Step-Up Authorization Flow").
    pub(super) step_up: Option<Box<str>>,
    /// Signing in would only fail again: something has to be put right first.
    pub(super) hopeless: bool,
    /// The person asks for it at a terminal.
    pub(super) by_person: bool,
    /// When it arose.
    pub(super) since: Instant,
}

impl Need {
    /// Signed in, but with less than the remote wants.
    pub fn is_step_up(&self) -> bool {
        self.step_up.is_some()
    }

    /// The same, as the remote's answer shows it now.
    pub(super) fn challenged(mut self, challenge: Option<Challenge>) -> Self {
        self.challenge = challenge.map(Box::new).or(self.challenge);
        self
    }
}

/// What asks for the sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The client goes about its start: the end of the handshake, a list. Begins a sign-in
    /// only if this (remote, account) was never signed in, and only once.
    Notice,
    /// A call that cannot be answered without.
    Call,
    /// The person asks for it at a terminal.
    Person,
}

/// Where the person goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// https, or http for loopback; safe to print.
    pub url: String,
    /// The code to enter there (RFC 8628), fit to show.
    pub user_code: Option<String>,
    /// What went wrong on the way, though the sign-in goes on; fit to show.
    pub note: Option<String>,
}

/// A sign-in that runs, or has ended. Dropping it ends nothing.
#[derive(Clone)]
pub struct SignIn {
    progress: watch::Receiver<Progress>,
    pasted: mpsc::UnboundedSender<Secret<String>>,
}

/// How far it is.
#[derive(Debug, Clone, Default)]
struct Progress {
    link: Option<Link>,
    outcome: Option<Result<(), Arc<AuthorizationError>>>,
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

    /// Hands over the address that the browser ended at, where it could not reach this machine.
    pub fn paste(&self, address: Secret<String>) {
        // A sign-in that is over needs none.
        let _ = self.pasted.send(address);
    }
}

impl Authorization {
    /// Whether this (remote, account) was ever signed in with OAuth. Asks no keychain.
    pub fn was_signed_in(&self) -> bool {
        self.desk.was_signed_in()
    }

    /// Whether a browser can be opened here; if not, the link of a sign-in is one that can be
    /// opened on any machine, where the authorization server offers that (RFC 8628).
    pub fn has_browser(&self) -> bool {
        self.desk.has_browser()
    }

    /// Joins the sign-in that runs for this remote, or begins one, which opens the browser.
    ///
    /// # Errors
    /// The need itself, where no sign-in may be begun now: `cause` does not allow it, or
    /// `--sign-in never`, or too many failed.
    pub fn sign_in(&self, need: &Need, cause: Cause) -> Result<SignIn, Need> {
        self.desk.sign_in(need, cause)
    }

    /// The sign-in that runs now.
    pub fn signing_in(&self) -> Option<SignIn> {
        self.desk.running()
    }

    /// A need of which nothing is known but `why`.
    pub fn need(&self, why: String) -> Need {
        self.tokens.need(why, None)
    }

    /// The need of a person who wants to sign in, whatever there is.
    pub async fn login_need(&self) -> Need {
        self.desk.login_need().await
    }

    /// Who is signed in, as far as the authorization server told. Asks no keychain.
    pub fn identity(&self) -> Option<String> {
        let header = self.vault.header(&self.remote.record()).ok().flatten()?;
        header.details.get("identity")?.as_str().map(str::to_owned)
    }

    /// Resolves when no refresh is on its way any more.
    pub async fn settled(&self) {
        self.tokens.settled().await;
    }
}
