//! The end of a sign-in: revoked where that is possible, then forgotten.

use super::sign_in::dismiss;
use super::tokens::TokenRecord;
use super::{Authorization, AuthorizationError};
use crate::oauth::revocation::{TokenKind, revoke};
use crate::vault::{RecordKey, VaultError};
use std::time::Duration;

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
        let known = self.stored_kind().is_some_and(|kind| kind.is_oauth());
        let lock = self.tokens.lock().await?;
        let server = if known { Some(self.take_leave().await) } else { None };
        let forgotten = self.vault.remove(&self.remote.record())?;
        self.forget_the_rest()?;
        drop(lock);
        Ok(Leave { forgotten, server })
    }

    fn forget_the_rest(&self) -> Result<(), VaultError> {
        let (url, account) = (self.remote.url().to_string(), self.remote.account().to_owned());
        self.vault.remove(&RecordKey::LastSeen { url, account }).map(|_| ())
    }

    async fn take_leave(&self) -> String {
        match tokio::time::timeout(PATIENCE, self.revoke()).await {
            Ok(told) => told,
            Err(_) => "not revoked: the authorization server did not answer".to_owned(),
        }
    }

    async fn revoke(&self) -> String {
        let record = match self.tokens.stored().await {
            Ok(Some(record)) => record,
            Ok(None) => return "there was nothing to revoke".to_owned(),
            Err(error) => return format!("not revoked: {error}"),
        };
        let issuer = self.clean(&record.issuer);
        let mut told = match &record.endpoints.revocation {
            None => format!("{issuer} offers no revocation: the tokens end by themselves"),
            Some(endpoint) => {
                let tokens = [
                    (&record.refresh_token, TokenKind::RefreshToken),
                    (&record.access_token, TokenKind::AccessToken),
                ];
                let mut outcome = Ok(());
                for (token, kind) in tokens {
                    let Some(token) = token else { continue };
                    let web = &self.tokens.web;
                    let revoked = revoke(web, endpoint, &record.client, token, kind).await;
                    outcome = outcome.and(revoked);
                }
                match outcome {
                    Ok(()) => format!("the tokens are revoked at {issuer}"),
                    Err(error) => {
                        format!(
                            "not all tokens are revoked at {issuer}: {}",
                            self.clean(&error.to_string())
                        )
                    }
                }
            }
        };
        if self.is_last(&record) && dismiss(&self.tokens.web, &record.client).await {
            told.push_str("; the client is unregistered there");
        }
        told
    }

    /// Whether no other record uses this client; then its registration is forgotten here.
    fn is_last(&self, record: &TokenRecord) -> bool {
        let (issuer, client_id) = (record.issuer.as_str(), record.client.id.as_str());
        let Ok(headers) = self.vault.list() else { return false };
        let own = self.remote.to_string();
        let used = headers.iter().any(|header| {
            let detail = |name: &str| header.details.get(name).and_then(|value| value.as_str());
            let same = detail("issuer") == Some(issuer) && detail("client_id") == Some(client_id);
            let mine = header.remote.as_deref() == Some(&own)
                && header.account.as_deref() == Some(self.remote.account());
            same && !mine
        });
        if used {
            return false;
        }
        let _ = self.vault.remove(&record.plan.registration_key(issuer));
        true
    }
}
