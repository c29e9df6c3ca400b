//! What a sign-in asks for, and of whom: what the person wants, what the servers publish.

use super::Need;
use super::desk::Desk;
use crate::authorization::oauth_plan::words;
use crate::authorization::tokens::TokenRecord;
use crate::authorization::{Along, AuthorizationError, OAuthPlan};
use crate::oauth::Challenge;
use crate::oauth::client::ClientOrigin;
use crate::oauth::discovery::{Discovered, DiscoveryError, Options, discover, identity_provider};
use crate::secret::Secret;
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};

/// Harmless wherever it is let through.
const PROBE: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#;

/// What is asked for, and of whom.
pub(super) struct Errand {
    pub(super) plan: OAuthPlan,
    /// What is remembered of it: flags of `run` are for that process only.
    pub(super) kept_plan: OAuthPlan,
    pub(super) found: Discovered,
    pub(super) scope: Option<String>,
    /// As published, or as the person wants it.
    pub(super) resource: Option<String>,
    /// A session that outlasts the browser needs the person's consent (OpenID Connect Core 11).
    pub(super) consent: bool,
    /// What goes along with the requests to the remote, for the record.
    pub(super) along: Along,
}

impl Desk {
    /// What the person wants: the flags over what was taught.
    pub(super) async fn plan(&self) -> Result<OAuthPlan, AuthorizationError> {
        let taught = self.tokens.readable().await?.map(|record| record.plan);
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
        let web = &self.settings.web;
        let found = match (&plan.enterprise, &plan.issuer) {
            (Some(_), Some(issuer)) => identity_provider(web, issuer, &options).await?,
            _ => discover(web, remote, challenge, &options).await?,
        };
        tracing::debug!(issuer = %self.tokens.redactor.clean(&found.server.issuer), from = ?found.from, "found the authorization server");
        self.remember_found(challenge, &found);
        Ok(found)
    }

    /// The authorization server of the remote for something else than a sign-in.
    pub(in crate::authorization) async fn discover_for(
        &self,
        plan: &OAuthPlan,
    ) -> (Option<Challenge>, Result<Discovered, DiscoveryError>) {
        let challenge = self.probe().await;
        let options =
            Options { issuer: plan.issuer.clone(), token_endpoint: plan.token_endpoint.clone() };
        let remote = self.tokens.remote.url();
        let found = discover(&self.settings.web, remote, challenge.as_ref(), &options).await;
        (challenge, found)
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

    pub(super) async fn errand(&self, need: &Need) -> Result<Errand, AuthorizationError> {
        let plan = self.plan().await?;
        let challenge = match &need.challenge {
            Some(challenge) => Some(Challenge::clone(challenge)),
            None => self.probe().await,
        };
        let found = self.discover(&plan, challenge.as_ref()).await;
        let found = found.map_err(|error| self.undiscovered(&error))?;
        self.check_endpoints(&found).await?;
        let stored = self.tokens.readable().await?;
        if let Some(other) = stored.as_ref().filter(|one| self.is_of_another(one, &plan, &found)) {
            return Err(self.another_issuer(&other.issuer, &found.server.issuer));
        }
        let along = self.settings.along.clone();
        let along = along.or_else(|| stored.as_ref().map(|one| one.along.clone()));
        let taught = stored.as_ref().map(|one| one.plan.clone()).filter(|_| !need.by_person);
        let kept_plan = taught.unwrap_or_else(|| plan.clone());
        let before = stored.filter(|one| one.issuer == found.server.issuer);
        let mut scope = scope(&plan, need, challenge.as_ref(), &found, before.as_ref());
        let offline = ask_offline(&mut scope, &found);
        let resource = match &plan.resource {
            _ if plan.no_resource => None,
            Some(given) => Some(given.clone()),
            None => Some(found.resource.clone()),
        };
        let along = along.unwrap_or_default();
        Ok(Errand { plan, kept_plan, found, scope, resource, consent: offline, along })
    }

    /// Whether a client that the person registered at one authorization server would be shown
    /// to another (MCP, "Authorization Server Binding"): its secret is not for that one.
    fn is_of_another(&self, stored: &TokenRecord, plan: &OAuthPlan, found: &Discovered) -> bool {
        let named = self.tokens.flags.issuer.as_ref() == Some(&found.server.issuer);
        stored.client.origin == ClientOrigin::Preregistered
            && plan.client_id.as_ref() == Some(&stored.client.id)
            && stored.issuer != found.server.issuer
            && !named
    }

    /// Asks the remote without any credential how it wants to be asked.
    async fn probe(&self) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let url = self.tokens.remote.url().as_str();
        let body = Some(Secret::new(PROBE.to_vec()));
        let answer = self.settings.web.request(Method::POST, url, headers, body).await.ok()?;
        Challenge::read(answer.headers.get_all("www-authenticate"))
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
    // A person who signs in by hand begins anew.
    let union = need.step_up.is_some() || (plan.scope.is_none() && !need.by_person);
    let before = before.filter(|_| union);
    let requested = before.and_then(|before| before.requested.clone());
    let granted = before.and_then(|before| before.granted.clone());
    let step_up = need.step_up.as_deref().map(str::to_owned);
    let lists = [requested, granted, wanted, step_up];
    let scopes = words(lists.iter().flatten().map(String::as_str));
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
