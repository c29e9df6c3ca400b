//! Refresh as a transaction (RFC 6749 section 6): the lock of the record, a second look, room
//! for the answer, the request, the answer kept before it is used.

use super::{Held, TokenRecord, Tokens};
use crate::authorization::AuthorizationError;
use crate::oauth::client::ClientOrigin;
use crate::oauth::token::refresh;
use crate::oauth::{TokenError, TokenSet};
use crate::secret::Secret;
use crate::vault::Reservation;
use std::sync::Arc;

/// Seconds between two attempts at a refresh while the token is still valid.
const LATER: u64 = 10;

impl Tokens {
    /// Tokens that can be used: those of the vault, or renewed ones. `refused` is a token
    /// that the remote would not have.
    ///
    /// # Errors
    /// `Person` where only a sign-in helps, `Unavailable` where the authorization server
    /// cannot be asked, `Vault`.
    pub(in crate::authorization) async fn renew(
        self: &Arc<Self>,
        refused: Option<Secret<String>>,
    ) -> Result<TokenRecord, AuthorizationError> {
        let tokens = self.clone();
        // A task of its own: a call that is cancelled must not cut a rotation in two.
        let renewal = tokio::spawn(async move {
            let mut held = tokens.renewing.lock().await;
            tokens.renew_alone(&mut held, refused.as_ref()).await
        });
        renewal.await.unwrap_or_else(|_| {
            Err(AuthorizationError::Unavailable { message: "the refresh broke off".into() })
        })
    }

    async fn renew_alone(
        self: &Arc<Self>,
        held: &mut Held,
        refused: Option<&Secret<String>>,
    ) -> Result<TokenRecord, AuthorizationError> {
        let before = self.load().await?.ok_or_else(|| self.never())?;
        if self.will_do(held, &before, refused) {
            return Ok(before);
        }
        let lock = self.lock().await?;
        // Another process may have renewed them in the meantime.
        let record = self.load().await?.ok_or_else(|| self.never())?;
        if self.will_do(held, &record, refused) {
            return Ok(record);
        }
        let outcome = self.renew_locked(held, record, refused).await;
        drop(lock);
        outcome
    }

    /// Whether these tokens can be used as they are.
    fn will_do(&self, held: &Held, record: &TokenRecord, refused: Option<&Secret<String>>) -> bool {
        let now = (self.now)();
        let Some(bearer) = record.bearer() else { return false };
        if refused.is_some_and(|refused| refused.expose() == bearer.expose()) {
            return false;
        }
        match record.expiry(now) {
            None => true,
            Some(expiry) => {
                let renewable = record.refresh_token.is_some() && !record.refused;
                expiry.is_fresh(now)
                    || (expiry.is_valid(now) && (!renewable || now < held.not_before))
            }
        }
    }

    async fn renew_locked(
        self: &Arc<Self>,
        held: &mut Held,
        record: TokenRecord,
        refused: Option<&Secret<String>>,
    ) -> Result<TokenRecord, AuthorizationError> {
        let Some(refresh_token) = record.refresh_token.clone().filter(|_| !record.refused) else {
            return Err(self.over(&record));
        };
        let busy = self.keep_busy().await;
        let reservation = self.vault.reserve(&self.remote.record()).await?;
        match self.ask(&record, &refresh_token).await {
            Ok(set) => {
                let fresh = renewed(record, set, (self.now)());
                self.keep(reservation, &fresh).await;
                held.not_before = 0;
                tracing::debug!(expires_at = fresh.expires_at, "renewed the token");
                drop(busy);
                Ok(fresh)
            }
            Err(error) => {
                let spent = record.carries(refused);
                let failed = self.not_renewed(&record, reservation, error).await;
                // What the remote has not refused is used to its end.
                let now = (self.now)();
                let good = record.expiry(now).is_some_and(|expiry| expiry.is_valid(now));
                match failed {
                    AuthorizationError::Unavailable { .. } if good && !spent => {
                        held.not_before = now + LATER;
                        Ok(record)
                    }
                    failed => Err(failed),
                }
            }
        }
    }

    /// An answer that was lost on the wire is asked for once more: a server that rotated may
    /// still know the token as just spent.
    async fn ask(
        &self,
        record: &TokenRecord,
        refresh_token: &Secret<String>,
    ) -> Result<TokenSet, TokenError> {
        let scope = record.granted.as_deref().or(record.requested.as_deref());
        let resource = record.resource.as_deref();
        let ask = || {
            let endpoint = &record.endpoints.token;
            refresh(&self.web, endpoint, &record.client, refresh_token, scope, resource)
        };
        match ask().await {
            Err(TokenError::Lost(_)) => ask().await,
            other => other,
        }
    }

    /// Persists before use; what cannot be written is held and written later.
    async fn keep(self: &Arc<Self>, reservation: Reservation, fresh: &TokenRecord) {
        for secret in fresh.secrets() {
            self.redactor.learn(secret.expose());
        }
        let header = fresh.header(&self.remote, (self.now)());
        let (payload, deadline) = (fresh.payload(), self.deadline);
        let written = self.vault.write_reserved(reservation, header, &payload, deadline).await;
        if let Err(error) = written {
            self.hold(fresh, &error);
        }
    }

    async fn not_renewed(
        self: &Arc<Self>,
        record: &TokenRecord,
        reservation: Reservation,
        error: TokenError,
    ) -> AuthorizationError {
        let issuer = &record.issuer;
        let failed = |said: &str| {
            let message = format!("{issuer} did not renew the sign-in to {}: {said}", self.whom());
            self.redactor.clean(&message)
        };
        match error {
            TokenError::Malformed { refresh_token: Some(next), why } => {
                // The one before is spent: this one is all there is, so it is kept first.
                let next = Some(next);
                let kept =
                    TokenRecord { refresh_token: next, access_token: None, ..record.clone() };
                self.keep(reservation, &kept).await;
                AuthorizationError::Unavailable { message: failed(why) }
            }
            TokenError::Refused(response) => {
                let message = failed(&response.told());
                tracing::warn!("{message}");
                if response.is(&["invalid_client"]) {
                    return self.client_refused(record, &response.told());
                }
                // Marked, not deleted: what it says of the sign-in serves the next one.
                self.keep(reservation, &TokenRecord { refused: true, ..record.clone() }).await;
                self.over(record)
            }
            TokenError::Unavailable(_) | TokenError::Lost(_) | TokenError::Malformed { .. } => {
                let message = failed(&error.to_string());
                tracing::warn!("{message}");
                AuthorizationError::Unavailable { message }
            }
        }
    }

    /// A client registered here is registered anew by the next sign-in; one that the person
    /// named is theirs to put right.
    fn client_refused(&self, record: &TokenRecord, said: &str) -> AuthorizationError {
        if record.client.origin == ClientOrigin::Dynamic {
            let _ = self.vault.remove(&record.plan.registration_key(&record.issuer));
            return self.over(record);
        }
        let (id, issuer) = (&record.client.id, &record.issuer);
        let why = format!(
            "{issuer} does not take the client {id} of the sign-in to {}: {said}",
            self.whom()
        );
        let mut need = self.need(self.redactor.clean(&why), record.bearer().cloned());
        need.hopeless = true;
        need.hint = format!("{} --client-id ID --client-secret", self.remote.login_command(None));
        AuthorizationError::Person(need)
    }

    fn never(&self) -> AuthorizationError {
        let why = format!("nobody has signed in to {} yet", self.whom());
        AuthorizationError::Person(self.need(why, None))
    }

    /// These tokens are of no use any more.
    fn over(&self, record: &TokenRecord) -> AuthorizationError {
        let why = format!("the sign-in to {} is over", self.whom());
        AuthorizationError::Person(self.need(why, record.bearer().cloned()))
    }

    /// The remote, and the account where it is not the only one.
    pub(in crate::authorization) fn whom(&self) -> String {
        match self.remote.account() {
            "default" => self.remote.to_string(),
            account => format!("{} (account {account})", self.remote),
        }
    }
}

/// The record with a new token set; what the answer leaves out stays (RFC 6749 sections 5.1, 6).
fn renewed(mut record: TokenRecord, set: TokenSet, now: u64) -> TokenRecord {
    record.access_token = Some(set.access_token);
    record.refresh_token = set.refresh_token.or(record.refresh_token);
    record.id_token = set.id_token.or(record.id_token);
    record.granted = set.scope.or(record.granted);
    record.obtained_at = now;
    record.expires_at = set.expires_in.map(|seconds| now + seconds);
    record.refused = false;
    record
}
