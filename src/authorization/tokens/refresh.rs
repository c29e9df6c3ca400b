//! Refresh as a transaction (RFC 6749 section 6): the lock of the record, a second look, room
//! for the answer, the request, the answer kept before it is used.

use super::{Held, TokenRecord, Tokens};
use crate::authorization::AuthorizationError;
use crate::oauth::token::refresh;
use crate::oauth::{TokenError, TokenSet};
use crate::secret::Secret;
use crate::vault::Reservation;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a failure answers for those who come after it.
const SHARED: Duration = Duration::from_secs(1);
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
        let (tokens, came) = (self.clone(), Instant::now());
        // A task of its own: a call that is cancelled must not cut a rotation in two.
        let renewal = tokio::spawn(async move {
            let mut held = tokens.renewing.lock().await;
            let outcome = tokens.renew_alone(&mut held, refused.as_ref(), came).await;
            match &outcome {
                Err(
                    failure @ (AuthorizationError::Unavailable { .. }
                    | AuthorizationError::Vault(_)),
                ) => {
                    // The first to fail; those who share it do not prolong it.
                    if held.failure.as_ref().is_none_or(|(at, _)| at.elapsed() >= SHARED) {
                        held.failure = Some((Instant::now(), failure.clone()));
                    }
                }
                _ => held.failure = None,
            }
            outcome
        });
        renewal.await.unwrap_or_else(|_| {
            Err(AuthorizationError::Unavailable { message: "the refresh broke off".into() })
        })
    }

    async fn renew_alone(
        self: &Arc<Self>,
        held: &mut Held,
        refused: Option<&Secret<String>>,
        came: Instant,
    ) -> Result<TokenRecord, AuthorizationError> {
        let before = self.load().await?.ok_or_else(|| self.never())?;
        if self.will_do(held, &before, refused) {
            return Ok(before);
        }
        // Those who waited while it failed share the failure.
        if let Some((at, failure)) = &held.failure
            && (*at > came || at.elapsed() < SHARED)
        {
            return Err(failure.clone());
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
    fn will_do(
        &self,
        held: &mut Held,
        record: &TokenRecord,
        refused: Option<&Secret<String>>,
    ) -> bool {
        let now = (self.now)();
        let Some(bearer) = record.bearer() else { return false };
        if refused.is_some_and(|refused| refused.expose() == bearer.expose()) {
            return false;
        }
        let Some(expiry) = record.expiry(now) else { return true };
        let seen = held.seen.take().filter(|(seen, _)| seen.expose() == bearer.expose());
        let (_, expiry) = held.seen.insert(seen.unwrap_or_else(|| (bearer.clone(), expiry)));
        let renewable = record.refresh_token.is_some() && !record.refused;
        expiry.is_fresh(now) || (expiry.is_valid(now) && (!renewable || now < held.not_before))
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
        let _busy = self.keep_busy().await;
        let now = (self.now)();
        // What the remote has not refused is used to its end.
        let good = !record.carries(refused)
            && record.expiry(now).is_some_and(|expiry| expiry.is_valid(now));
        let reservation = match self.vault.reserve(&self.remote.record()).await {
            Ok(reservation) => reservation,
            Err(error) if good => {
                tracing::warn!("the sign-in to {} is not renewed yet: {error}", self.whom());
                held.not_before = now + LATER;
                return Ok(record);
            }
            Err(error) => return Err(error.into()),
        };
        match self.ask(&record, &refresh_token).await {
            Ok(set) => {
                let fresh = renewed(record, set, (self.now)());
                self.keep(reservation, &fresh).await;
                held.not_before = 0;
                tracing::debug!(expires_at = fresh.expires_at, "renewed the token");
                // A server that gives the same token again will not be asked a third time.
                if fresh.carries(refused) { Err(self.over(&fresh)) } else { Ok(fresh) }
            }
            Err(error) => {
                let failed = self.not_renewed(&record, reservation, error).await;
                if !good {
                    return Err(failed);
                }
                held.not_before = now + LATER;
                Ok(record)
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
        let ask = |scope| {
            let endpoint = &record.endpoints.token;
            let client = record.client.at(&record.issuer, self.now);
            refresh(&self.web, endpoint, client, refresh_token, scope, resource)
        };
        match ask(scope).await {
            Err(TokenError::Lost(_)) => ask(scope).await,
            // What is left out means as much as was granted (RFC 6749 section 6).
            Err(TokenError::Refused(response)) if response.is(&["invalid_scope"]) => {
                ask(None).await
            }
            other => other,
        }
    }

    /// Persists before use; what cannot be written is held and written later.
    pub(super) async fn keep(self: &Arc<Self>, reservation: Reservation, fresh: &TokenRecord) {
        for secret in fresh.secrets() {
            self.redactor.learn_passing(secret.expose());
        }
        let header = fresh.header(&self.remote, (self.now)());
        let (payload, deadline) = (fresh.payload(), self.deadline);
        let written = self.vault.write_reserved(reservation, header, &payload, deadline).await;
        if let Err(error) = written {
            self.hold(fresh, &error);
        }
    }

    fn never(&self) -> AuthorizationError {
        let why = format!("nobody has signed in to {} yet", self.whom());
        AuthorizationError::Person(self.need(why, None))
    }

    /// These tokens are of no use any more.
    pub(super) fn over(&self, record: &TokenRecord) -> AuthorizationError {
        let why = format!("the sign-in to {} is over", self.whom());
        AuthorizationError::Person(self.need(why, record.bearer().cloned()))
    }

    /// The remote, and the account where it is not the only one.
    pub(in crate::authorization) fn whom(&self) -> String {
        self.remote.whom()
    }
}

/// The record with a new token set; what the answer leaves out stays (RFC 6749 sections 5.1, 6).
fn renewed(mut record: TokenRecord, set: TokenSet, now: u64) -> TokenRecord {
    if set.type_was_told {
        record.bound = set.token_type == "DPoP";
    }
    record.access_token = Some(set.access_token);
    record.refresh_token = set.refresh_token.or(record.refresh_token);
    record.id_token = set.id_token.or(record.id_token);
    record.granted = set.scope.or(record.granted);
    record.obtained_at = now;
    record.expires_at = set.expires_in.map(|seconds| now + seconds);
    record.refused = false;
    record
}
