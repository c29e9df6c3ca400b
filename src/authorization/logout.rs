//! The end of a sign-in: revoked where that is possible, then forgotten.

use super::sign_in::dismiss;
use super::tokens::TokenRecord;
use super::{Authorization, AuthorizationError};
use crate::oauth::revocation::{TokenKind, revoke};
use crate::vault::{RecordKey, VaultError};
use std::time::{Duration, Instant};

/// How long the authorization server may take for all of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a logout came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// There was something to forget.
    pub forgotten: bool,
    /// What happened at the authorization server, in words; none for other credentials.
    pub server: Option<String>,
}

impl Authorization {
    /// Revokes the refresh token, then the access token (RFC 7009), has the client forgotten
    /// where no other token uses it (RFC 7592), and forgets the record.
    ///
    /// # Errors
    /// `Vault` if the record cannot be removed. A server that does not answer is no error, nor
    /// is a record that cannot be opened: it is forgotten all the same.
    pub async fn leave(&self) -> Result<Leave, AuthorizationError> {
        let known = self.desk.was_signed_in();
        let lock = self.tokens.lock().await?;
        let record = if known { Some(self.tokens.stored().await) } else { None };
        let end = Instant::now() + PATIENCE;
        let mut server = None;
        if let Some(record) = &record {
            server = Some(match record {
                Ok(Some(record)) => in_time(end, self.revoke(record)).await,
                Ok(None) => "there was nothing to revoke".to_owned(),
                Err(error) => format!("not revoked: {}", self.clean(&error.to_string())),
            });
        }
        if let (false, Ok(Some((recipe, true)))) = (known, self.recipe().await) {
            server = in_time_or_none(end, self.machine.revoke(&recipe)).await;
        }
        // Whoever asks for a token now looks again before it keeps one.
        let made = self.vault.lock(&self.machine.place_in_vault(), PATIENCE).await;
        let forgotten = self.vault.remove(&self.remote.record())?;
        self.forget_the_rest()?;
        drop((lock, made));
        if let (Some(Ok(Some(record))), Some(server)) = (&record, &mut server)
            && self.is_unused(record)
        {
            self.tokens.forget_client(record).await;
            let dismissing = dismiss(&self.tokens.web, &record.client);
            if tokio::time::timeout_at(end.into(), dismissing).await.unwrap_or(false) {
                server.push_str("; the client is unregistered there");
            }
        }
        Ok(Leave { forgotten, server })
    }

    fn forget_the_rest(&self) -> Result<(), VaultError> {
        let (url, account) = (self.remote.url().to_string(), self.remote.account().to_owned());
        self.vault.remove(&RecordKey::Minted { url: url.clone(), account: account.clone() })?;
        self.vault.remove(&RecordKey::LastSeen { url, account }).map(|_| ())
    }

    async fn revoke(&self, record: &TokenRecord) -> String {
        let issuer = self.clean(&record.issuer);
        let Some(endpoint) = &record.endpoints.revocation else {
            return format!("{issuer} offers no revocation: the tokens end by themselves");
        };
        let mut outcome = Ok(());
        for (token, kind) in [
            (&record.refresh_token, TokenKind::RefreshToken),
            (&record.access_token, TokenKind::AccessToken),
        ] {
            let Some(token) = token else { continue };
            let client = record.client.at(&record.issuer, self.tokens.now);
            let revoked = revoke(&self.tokens.web, endpoint, client, token, kind).await;
            outcome = outcome.and(revoked);
        }
        match outcome {
            Ok(()) => format!("the tokens are revoked at {issuer}"),
            Err(error) => {
                let why = self.clean(&error.to_string());
                format!("not all tokens are revoked at {issuer}: {why}")
            }
        }
    }

    /// Whether no record uses this client, now that its own is gone.
    fn is_unused(&self, record: &TokenRecord) -> bool {
        let Ok(headers) = self.vault.list() else { return false };
        let (issuer, client) = (record.issuer.as_str(), record.client.id.as_str());
        !headers.iter().any(|header| {
            let detail = |name: &str| header.details.get(name).and_then(|value| value.as_str());
            detail("issuer") == Some(issuer) && detail("client_id") == Some(client)
        })
    }
}

async fn in_time_or_none(
    end: Instant,
    telling: impl Future<Output = Option<String>>,
) -> Option<String> {
    let told = tokio::time::timeout_at(end.into(), telling).await;
    told.unwrap_or_else(|_| Some("not revoked: the authorization server did not answer".into()))
}

async fn in_time(end: Instant, telling: impl Future<Output = String>) -> String {
    let told = tokio::time::timeout_at(end.into(), telling).await;
    told.unwrap_or_else(|_| "not revoked: the authorization server did not answer".to_owned())
}
