//! One sign-in, from discovery to stored tokens (MCP authorization, "Authorization Flow Steps").

use super::desk::Desk;
use super::trouble::Trouble;
use super::{Need, Progress};
use crate::authorization::tokens::{Endpoints, TokenRecord};
use crate::authorization::{AuthorizationError, OAuthPlan};
use crate::oauth::discovery::{Discovered, DiscoveryError, Options, Source, discover};
use crate::oauth::identity::{IdentityEndpoints, identify};
use crate::oauth::redirect::{Outcome, Serving, Tab};
use crate::oauth::{Challenge, Client, TokenSet};
use crate::secret::Secret;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long finding out who signed in may hold up everything else.
const IDENTITY: Duration = Duration::from_secs(3);
/// Between the server and the cause.
pub(super) const FAILED: &str = " failed: ";
/// Harmless wherever it is let through.
const PROBE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#;

/// What is asked for, and of whom.
pub(super) struct Errand {
    pub(super) plan: OAuthPlan,
    pub(super) found: Discovered,
    pub(super) scope: Option<String>,
    /// As published, or as the person wants it.
    pub(super) resource: Option<String>,
    /// A session that outlasts the browser needs the person's consent (OpenID Connect Core 11).
    pub(super) consent: bool,
}

/// What the authorization server gave.
pub(super) struct Granted {
    pub(super) set: TokenSet,
    pub(super) client: Client,
    /// The tab that waits for the outcome, where one does.
    pub(super) tab: Option<(Serving, Tab)>,
}

impl Desk {
    /// What the person wants: the flags over what was taught.
    pub(super) async fn plan(&self) -> Result<OAuthPlan, AuthorizationError> {
        let taught = self.tokens.stored().await?.map(|record| record.plan);
        Ok(self.tokens.flags.clone().over(taught.unwrap_or_default()))
    }

    pub(super) async fn discover(
        &self,
        plan: &OAuthPlan,
        challenge: Option<&Challenge>,
    ) -> Result<Discovered, DiscoveryError> {
        if let Some(found) = self.found(challenge) {
            return Ok(found);
        }
        let options =
            Options { issuer: plan.issuer.clone(), token_endpoint: plan.token_endpoint.clone() };
        let remote = self.tokens.remote.url();
        let found = discover(&self.settings.web, remote, challenge, &options).await?;
        tracing::debug!(issuer = %self.tokens.redactor.clean(&found.server.issuer), from = ?found.from, "found the authorization server");
        self.remember_found(challenge, &found);
        Ok(found)
    }

    /// Endpoints that must not be asked are found out about before anyone signs in.
    async fn check_endpoints(&self, found: &Discovered) -> Result<(), AuthorizationError> {
        let server = &found.server;
        for (what, endpoint) in [
            ("authorization endpoint", &server.authorization_endpoint),
            ("token endpoint", &server.token_endpoint),
            ("registration endpoint", &server.registration_endpoint),
            ("device authorization endpoint", &server.device_authorization_endpoint),
        ] {
            let Some(endpoint) = endpoint else { continue };
            if let Err(error) = self.settings.web.checked(endpoint).await {
                let why = format!("its {what} is of no use: {error}");
                return Err(self.undiscovered(&DiscoveryError::Refused { why }));
            }
        }
        Ok(())
    }

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
                Ok(granted) => return self.complete(errand, granted).await,
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

    async fn errand(&self, need: &Need) -> Result<Errand, AuthorizationError> {
        let plan = self.plan().await?;
        let challenge = match &need.challenge {
            Some(challenge) => Some(Challenge::clone(challenge)),
            None => self.probe().await,
        };
        let found = self.discover(&plan, challenge.as_ref()).await;
        let found = found.map_err(|error| self.undiscovered(&error))?;
        self.check_endpoints(&found).await?;
        if found.from == Source::Metadata && !found.server.offers_s256() && !plan.assume_pkce {
            return Err(self.without_pkce(&found.server.issuer));
        }
        let before = self.tokens.load().await?.filter(|one| one.issuer == found.server.issuer);
        let mut scope = scope(&plan, need, challenge.as_ref(), &found, before.as_ref());
        let offline = ask_offline(&mut scope, &found);
        let resource = match &plan.resource {
            _ if plan.no_resource => None,
            Some(given) => Some(given.clone()),
            None => Some(found.resource.clone()),
        };
        Ok(Errand { plan, found, scope, resource, consent: offline })
    }

    /// Asks the remote without any credential how it wants to be asked.
    async fn probe(&self) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let url = self.tokens.remote.url().as_str();
        let body = Some(Secret::new(PROBE.to_vec()));
        let answer = self.settings.web.request(Method::POST, url, headers, body).await.ok()?;
        Challenge::bearer(answer.headers.get_all("www-authenticate"))
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
            let _ = self.keep(&record).await;
        }
        if let Some((serving, tab)) = tab {
            tab.show(match &kept {
                Ok(()) => Outcome::SignedIn { identity },
                Err(error) => self.page_of(error),
            })
            .await;
            drop(serving);
        }
        kept
    }

    async fn keep(&self, record: &TokenRecord) -> Result<(), AuthorizationError> {
        let _busy = self.tokens.keep_busy().await;
        let _lock = self.tokens.lock().await?;
        if let Err(error) = self.tokens.store(record).await {
            self.tokens.hold(record, &error);
        }
        Ok(())
    }

    fn record(&self, errand: Errand, client: Client, set: TokenSet) -> TokenRecord {
        let now = (self.settings.now)();
        let server = errand.found.server;
        TokenRecord {
            issuer: server.issuer,
            client,
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
            plan: errand.plan,
        }
    }

    async fn identity(&self, record: &TokenRecord) -> Option<String> {
        let endpoints = IdentityEndpoints {
            userinfo: record.endpoints.userinfo.as_deref(),
            introspection: record.endpoints.introspection.as_deref(),
        };
        let access = record.access_token.as_ref()?;
        let asking = identify(
            &self.settings.web,
            endpoints,
            &record.client,
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

/// MCP 2026-07-28, "Scope Selection Strategy", and the union for a step-up or a sign-in anew.
fn scope(
    plan: &OAuthPlan,
    need: &Need,
    challenge: Option<&Challenge>,
    found: &Discovered,
    before: Option<&TokenRecord>,
) -> Option<String> {
    let from_challenge = challenge.and_then(|challenge| challenge.scope.clone());
    let wanted = plan.scope.clone().or_else(|| match &need.step_up {
        Some(_) => None,
        None => from_challenge.or_else(|| Some(found.scopes_supported.as_ref()?.join(" "))),
    });
    let previous = before.filter(|_| plan.scope.is_none() || need.step_up.is_some());
    let previous = previous.and_then(|before| before.requested.clone());
    let mut scopes: Vec<String> = Vec::new();
    for text in [previous, wanted, need.step_up.as_deref().map(str::to_owned)].into_iter().flatten()
    {
        for one in text.split_ascii_whitespace() {
            if !scopes.iter().any(|known| known == one) {
                scopes.push(one.to_owned());
            }
        }
    }
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// Adds `offline_access` where the authorization server lists it; never as the only scope,
/// which would narrow what is granted by default. True if it is asked for.
fn ask_offline(scope: &mut Option<String>, found: &Discovered) -> bool {
    const OFFLINE: &str = "offline_access";
    let Some(scope) = scope else { return false };
    let asked = |scope: &str| scope.split(' ').any(|one| one == OFFLINE);
    let listed = found.server.scopes_supported.as_ref();
    if !asked(scope) && listed.is_some_and(|all| all.iter().any(|one| one == OFFLINE)) {
        scope.push_str(" offline_access");
    }
    asked(scope)
}
