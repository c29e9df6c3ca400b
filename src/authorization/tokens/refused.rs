//! A refresh that failed: what it means for what is kept.

use super::{TokenRecord, Tokens};
use crate::authorization::AuthorizationError;
use crate::oauth::client::ClientOrigin;
use crate::oauth::{Client, ErrorResponse, TokenError};
use crate::vault::Reservation;
use std::sync::Arc;

impl Tokens {
    /// What to answer. Only a grant that is refused in so many words changes what is kept;
    /// an outage, or a page of some proxy, clears nothing.
    pub(super) async fn not_renewed(
        self: &Arc<Self>,
        record: &TokenRecord,
        reservation: Reservation,
        error: TokenError,
    ) -> AuthorizationError {
        let refused = error.grant_refused();
        match error {
            TokenError::Malformed { refresh_token: Some(next), why } => {
                // The one before is spent: this one is all there is, so it is kept first.
                let next = Some(next);
                let kept =
                    TokenRecord { refresh_token: next, access_token: None, ..record.clone() };
                self.keep(reservation, &kept).await;
                self.unavailable(record, why)
            }
            TokenError::Refused(response) if refused => {
                tracing::warn!("{}", self.unavailable(record, &response.told()));
                // Marked, not deleted: what it says of the sign-in serves the next one.
                self.keep(reservation, &TokenRecord { refused: true, ..record.clone() }).await;
                self.over(record)
            }
            TokenError::Refused(response) => {
                self.client_or_request_refused(record, &response).await
            }
            other => self.unavailable(record, &other.to_string()),
        }
    }

    fn unavailable(&self, record: &TokenRecord, said: &str) -> AuthorizationError {
        let message =
            format!("{} did not renew the sign-in to {}: {said}", record.issuer, self.whom());
        AuthorizationError::Unavailable { message: self.redactor.clean(&message) }
    }

    async fn client_or_request_refused(
        &self,
        record: &TokenRecord,
        response: &ErrorResponse,
    ) -> AuthorizationError {
        let said = self.unavailable(record, &response.told());
        tracing::warn!("{said}");
        if response.is(&["invalid_client"]) {
            return self.client_refused(record, &response.told()).await;
        }
        // An OAuth error is the server's own word: a new sign-in is what is left. Without one
        // it may be anybody on the way.
        if response.error.is_some() { self.over(record) } else { said }
    }

    /// A client registered here is registered anew by the next sign-in; one that the person
    /// named is theirs to put right.
    async fn client_refused(&self, record: &TokenRecord, said: &str) -> AuthorizationError {
        if record.client.origin == ClientOrigin::Dynamic {
            self.forget_client(record).await;
            return self.over(record);
        }
        let (id, issuer) = (&record.client.id, &record.issuer);
        let whom = self.whom();
        let why =
            format!("{issuer} does not take the client {id} of the sign-in to {whom}: {said}");
        let mut need = self.need(self.redactor.clean(&why), record.bearer().cloned());
        need.hopeless = true;
        need.hint = format!("{} --client-id ID --client-secret", self.remote.login_command(None));
        AuthorizationError::Person(need)
    }

    /// Forgets the registration, unless another one has taken its place by now.
    pub(in crate::authorization) async fn forget_client(&self, record: &TokenRecord) {
        let key = record.plan.registration_key(&record.issuer);
        let kept = self.vault.read(&key, self.deadline).await.ok().flatten();
        let kept = kept.and_then(|kept| Client::from_json(kept.payload.expose()).ok());
        if kept.is_some_and(|kept| kept.id == record.client.id) {
            let _ = self.vault.remove(&key);
        }
    }
}
