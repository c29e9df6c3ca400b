//! The tokens of one account at one remote: read, renewed, kept.
//!
//! * `record`: what the vault keeps; `expiry`: when a token ends.
//! * `refresh`: renewing them, one process at a time; `refused`: what a failure means.

mod expiry;
mod record;
mod refresh;
mod refused;

pub(super) use expiry::Expiry;
pub(super) use record::{Endpoints, TokenRecord, is_sign_in};

use super::{AuthorizationError, Need, OAuthPlan, Remote};
use crate::oauth::Web;
use crate::oauth::client::basic_credentials;
use crate::secret::{Redactor, Secret};
use crate::vault::{Kept, Vault, VaultError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, RwLock};

/// How long another process may hold the tokens: its own refresh is bounded.
const LOCK: Duration = Duration::from_secs(30);

/// Between two attempts to write what could not be written.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What it takes to read, renew and keep the tokens of one account at one remote.
pub(super) struct Tokens {
    pub(super) vault: Vault,
    pub(super) remote: Remote,
    /// What the flags of this process ask for.
    pub(super) flags: OAuthPlan,
    pub(super) redactor: Arc<Redactor>,
    /// How long the keychain may take.
    pub(super) deadline: Duration,
    pub(super) web: Arc<Web>,
    /// Seconds since 1970.
    pub(super) now: fn() -> u64,
    /// One renewal at a time; the others then find its outcome.
    renewing: Mutex<Held>,
    /// Held for reading while something is on its way that must be kept.
    busy: Arc<RwLock<()>>,
}

/// What this process knows beyond the vault.
#[derive(Default)]
struct Held {
    /// Not before this time (seconds since 1970) is a refresh tried again that failed while
    /// the token before was still valid.
    not_before: u64,
    /// The token that was looked at last, with its end as it was seen first: a wall clock that
    /// is set back gives it no second life.
    seen: Option<(Secret<String>, Expiry)>,
    /// How the last renewal failed: those who waited for it share that.
    failure: Option<(Instant, AuthorizationError)>,
}

impl Tokens {
    pub(super) fn new(
        vault: Vault,
        remote: Remote,
        flags: OAuthPlan,
        redactor: Arc<Redactor>,
        deadline: Duration,
        web: Arc<Web>,
        now: fn() -> u64,
    ) -> Self {
        Self {
            vault,
            remote,
            flags,
            redactor,
            deadline,
            web,
            now,
            renewing: Mutex::default(),
            busy: Arc::default(),
        }
    }

    /// The tokens of the vault; none if there are none, or none as the flags ask for.
    ///
    /// # Errors
    /// `Vault`, or `SignInNeeded` where a newer version wrote them.
    pub(super) async fn load(&self) -> Result<Option<TokenRecord>, AuthorizationError> {
        let record = self.stored().await?.filter(|record| record.fits(&self.flags));
        Ok(record.map(|record| record.under(&self.flags)))
    }

    /// What can be read of what is stored: a sign-in replaces the rest.
    pub(super) async fn readable(&self) -> Result<Option<TokenRecord>, AuthorizationError> {
        match self.stored().await {
            Err(AuthorizationError::SignInNeeded { .. })
            | Err(AuthorizationError::Vault(VaultError::Corrupt { .. })) => Ok(None),
            other => other,
        }
    }

    /// As [`Self::load`], whatever the flags ask for.
    pub(super) async fn stored(&self) -> Result<Option<TokenRecord>, AuthorizationError> {
        let Some(found) = self.vault.read(&self.remote.record(), self.deadline).await? else {
            return Ok(None);
        };
        if !is_sign_in(&found.header) {
            return Ok(None);
        }
        let record =
            TokenRecord::read(&found).map_err(|error| AuthorizationError::SignInNeeded {
                message: format!("the sign-in stored for {} is of no use: {error}", self.remote),
                hint: self.remote.login_command(None),
            })?;
        for secret in record.secrets() {
            self.redactor.learn_passing(secret.expose());
        }
        let (id, secret) = (&record.client.id, record.client.secret.iter());
        for spelled in secret.flat_map(|secret| basic_credentials(id, secret)) {
            self.redactor.learn_passing(spelled.expose());
        }
        for named in [&record.plan.issuer, &record.plan.token_endpoint].into_iter().flatten() {
            self.web.name(named);
        }
        Ok(Some(record))
    }

    /// Sets the name of who signed in, if these tokens are still the ones that are stored.
    pub(super) async fn name(&self, record: &TokenRecord) -> Result<(), AuthorizationError> {
        let _lock = self.lock().await?;
        let _busy = self.keep_busy().await;
        let same = |stored: &TokenRecord| {
            stored.carries(record.bearer())
                && stored.refresh_token.as_ref().map(Secret::expose)
                    == record.refresh_token.as_ref().map(Secret::expose)
        };
        if self.stored().await?.is_some_and(|stored| same(&stored)) {
            self.store(record).await?;
        }
        Ok(())
    }

    /// What the ID token is exchanged for is for this authorization server alone from now on.
    pub(super) async fn bind(&self, issuer: &str) -> Result<(), AuthorizationError> {
        let _lock = self.lock().await?;
        let _busy = self.keep_busy().await;
        let Some(mut record) = self.stored().await? else { return Ok(()) };
        if let Some(grant) = &mut record.plan.enterprise
            && grant.target.issuer.is_none()
            && grant.target.token_endpoint.is_none()
        {
            grant.target.issuer = Some(issuer.to_owned());
            self.store(&record).await?;
        }
        Ok(())
    }

    /// Keeps new tokens; the lock of the record is held by the caller.
    pub(super) async fn store(&self, record: &TokenRecord) -> Result<Kept, VaultError> {
        for secret in record.secrets() {
            self.redactor.learn_passing(secret.expose());
        }
        let header = record.header(&self.remote, (self.now)());
        self.vault.write(&self.remote.record(), header, &record.payload(), self.deadline).await
    }

    /// New tokens could not be written: they are kept for this process, and written as soon as
    /// that can be done.
    pub(super) fn hold(self: &Arc<Self>, record: &TokenRecord, error: &VaultError) {
        tracing::error!(
            "the new tokens for {} are in memory only, as they cannot be written: {error}",
            self.remote
        );
        let header = record.header(&self.remote, (self.now)());
        self.vault.hold_in_memory(&self.remote.record(), header, &record.payload());
        let (tokens, found) = (self.clone(), self.vault.stamp(&self.remote.record()));
        tokio::spawn(async move {
            let mut pause = FIRST_PAUSE;
            loop {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                let Ok(_lock) = tokens.lock().await else { continue };
                let key = tokens.remote.record();
                // Signed in anew, or out, by another process: that counts.
                if tokens.vault.stamp(&key) != found {
                    return tokens.vault.let_go(&key);
                }
                if tokens.vault.write_held(&key, tokens.deadline).await.is_ok() {
                    tracing::info!("the tokens for {} are on disk now", tokens.remote);
                    return;
                }
            }
        });
    }

    /// Waits for its turn among the processes that change these tokens.
    pub(super) async fn lock(&self) -> Result<crate::vault::RecordLock, VaultError> {
        self.vault.lock(&self.remote.record(), LOCK).await
    }

    /// While the guard lives, [`Self::settled`] waits.
    pub(super) async fn keep_busy(&self) -> tokio::sync::OwnedRwLockReadGuard<()> {
        self.busy.clone().read_owned().await
    }

    /// Resolves when nothing is on its way any more that must be kept.
    pub(super) async fn settled(&self) {
        drop(self.busy.write().await);
    }

    /// A person has to sign in because of `why`; `refused` is the token that no longer does.
    pub(super) fn need(&self, why: String, refused: Option<Secret<String>>) -> Need {
        Need {
            message: why,
            hint: self.remote.login_command(None),
            challenge: None,
            refused: refused.map(Box::new),
            step_up: None,
            hopeless: false,
            by_person: false,
            since: Instant::now(),
        }
    }
}
