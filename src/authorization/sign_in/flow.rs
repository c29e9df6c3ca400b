//! One sign-in, from discovery to stored tokens (MCP authorization, "Authorization Flow Steps").

use super::desk::Desk;
use super::errand::Errand;
use super::trouble::Trouble;
use super::{Need, Progress};
use crate::authorization::AuthorizationError;
use crate::authorization::tokens::{Endpoints, TokenRecord};
use crate::oauth::identity::{IdentityEndpoints, identify};
use crate::oauth::redirect::{Outcome, Serving, Tab};
use crate::oauth::{Client, TokenSet};
use crate::secret::Secret;
use crate::vault::VaultError;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long finding out who signed in may hold up everything else.
const IDENTITY: Duration = Duration::from_secs(3);
/// Between the server and the cause.
pub(super) const FAILED: &str = " failed: ";
/// What the authorization server gave.
pub(super) struct Granted {
    pub(super) set: TokenSet,
    pub(super) client: Client,
    /// The tab that waits for the outcome, where one does.
    pub(super) tab: Option<(Serving, Tab)>,
}

impl Desk {
    /// Signs in, and keeps the tokens.
    pub(super) async fn flow(
        &self,
        need: &Need,
        progress: &watch::Sender<Progress>,
        mut pasted: mpsc::UnboundedReceiver<Secret<String>>,
    ) -> Result<(), AuthorizationError> {
        let errand = self.errand(need).await?;
        let mut again = false;
        loop {
            let outcome = if self.by_device(&errand) {
                self.with_device(&errand, progress).await
            } else {
                self.with_browser(&errand, progress, &mut pasted).await
            };
            match outcome {
                Ok(granted) => {
                    let kept = self.complete(errand, granted).await;
                    // A bridge goes on with what it has in memory; a login ends now.
                    return if need.by_person { kept } else { Ok(()) };
                }
                // The server has forgotten the client: once more, with a new one.
                Err(trouble) if trouble.client_forgotten && !again => {
                    self.forget_client(&errand.found.server.issuer, &errand.plan).await;
                    again = true;
                }
                Err(trouble) => {
                    self.settings.web.forget();
                    return Err(trouble.error);
                }
            }
        }
    }

    /// Keeps the tokens before anyone is told of them.
    async fn complete(&self, errand: Errand, granted: Granted) -> Result<(), AuthorizationError> {
        let Granted { set, client, tab } = granted;
        let mut record = self.record(errand, client, set);
        let kept = self.keep(&record).await;
        tracing::debug!(expires_at = record.expires_at, "signed in");
        let identity = self.identity(&record).await;
        if identity.is_some() && kept.is_ok() {
            record.identity = identity.clone();
            // Only for show: the tokens are kept already.
            let _ = self.tokens.name(&record).await;
        }
        if let Some((serving, tab)) = tab {
            tab.show(Outcome::SignedIn { identity }).await;
            drop(serving);
        }
        Ok(kept?)
    }

    /// Whatever happens: a code can be turned into tokens only once.
    async fn keep(&self, record: &TokenRecord) -> Result<(), VaultError> {
        let kept = match self.tokens.lock().await {
            Ok(_lock) => {
                let _busy = self.tokens.keep_busy().await;
                self.tokens.store(record).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        kept.inspect_err(|error| self.tokens.hold(record, error))
    }

    fn record(&self, errand: Errand, mut client: Client, set: TokenSet) -> TokenRecord {
        let now = (self.settings.now)();
        let bound = set.token_type == "DPoP";
        if !bound && set.refresh_token.is_none() {
            // It was proved in vain. A refresh token may be bound all the same (RFC 9449
            // section 5).
            client.proof_key = None;
        }
        let server = errand.found.server;
        TokenRecord {
            issuer: server.issuer,
            client,
            document: errand.plan.client_metadata_url,
            endpoints: Endpoints {
                token: server.token_endpoint.unwrap_or_default(),
                revocation: server.revocation_endpoint,
                introspection: server.introspection_endpoint,
                userinfo: server.userinfo_endpoint,
            },
            resource: errand.resource,
            access_token: Some(set.access_token),
            refresh_token: set.refresh_token,
            id_token: set.id_token,
            requested: errand.scope,
            granted: set.scope,
            obtained_at: now,
            expires_at: set.expires_in.map(|seconds| now.saturating_add(seconds)),
            signed_in_at: now,
            identity: None,
            refused: false,
            plan_secret: None,
            plan: errand.kept_plan,
            bound,
            along: errand.along,
        }
    }

    async fn identity(&self, record: &TokenRecord) -> Option<String> {
        let endpoints = IdentityEndpoints {
            userinfo: record.endpoints.userinfo.as_deref(),
            introspection: record.endpoints.introspection.as_deref(),
        };
        let access = record.access_token.as_ref()?;
        let mut client = record.client.clone();
        client.proof_key = client.proof_key.filter(|_| record.bound);
        let asking = identify(
            &self.settings.web,
            endpoints,
            client.at(&record.issuer, self.settings.now),
            access,
            record.id_token.as_ref(),
        );
        let identity = tokio::time::timeout(IDENTITY, asking).await.ok()??;
        Some(self.tokens.redactor.clean(&identity))
    }

    pub(super) fn page_of(&self, error: &AuthorizationError) -> Outcome {
        let advice = match error {
            AuthorizationError::SignInNeeded { hint, .. } => format!("Next: {hint}"),
            _ => "Try again from your MCP client.".to_owned(),
        };
        let text = self.tokens.redactor.clean(&error.to_string());
        // The page names the server by itself.
        let why = text.split_once(FAILED).map_or(&*text, |(_, why)| why);
        let mut letters = why.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        let cause = first.unwrap_or_default() + letters.as_str();
        Outcome::Failed { cause, advice }
    }

    /// A sign-in that failed for good.
    pub(super) fn failed(&self, why: &str) -> Trouble {
        self.failed_with(why, &self.tokens.remote.login_command(None))
    }

    pub(super) fn failed_with(&self, why: &str, hint: &str) -> Trouble {
        let why = self.tokens.redactor.clean(why);
        Trouble {
            error: AuthorizationError::SignInNeeded {
                message: format!("signing in to {}{FAILED}{why}", self.tokens.whom()),
                hint: hint.to_owned(),
            },
            client_forgotten: false,
        }
    }
}
