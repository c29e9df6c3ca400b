//! Tokens from an authorization server, for a client, an assertion, or an identity of the
//! company.

use super::{Machine, PATIENCE};
use crate::authorization::oauth_plan::words;
use crate::authorization::recipe::{Assertion, Flow, Grant, IdentityProvider, Recipe};
use crate::authorization::{AuthorizationError, OAuthPlan, files};
use crate::credential::Minted;
use crate::credential::api_key::Placement;
use crate::oauth::AssertionKey;
use crate::oauth::client::{AuthMethod, basic_credentials};
use crate::oauth::discovery::{
    Discovered, DiscoveryError, Source, authorization_server, resource_of,
};
use crate::oauth::dpop::ProofKey;
use crate::oauth::grant::{
    Exchange, ID_JAG, ID_TOKEN, client_credentials, jwt_bearer, token_exchange,
};
use crate::oauth::{Client, TokenError, TokenSet, host};
use crate::secret::Secret;
use std::path::Path;
use std::sync::PoisonError;

/// How often, and up to how many scopes, a remote can talk this into asking for more.
const MOST_WIDENINGS: usize = 5;
const MOST_SCOPES: usize = 100;

/// What an authorization server gave.
pub(super) struct Granted {
    pub(super) minted: Minted,
    pub(super) proof_key: Option<ProofKey>,
    /// Its issuer, and where the token can be ended.
    pub(super) revocation: Option<(String, String)>,
}

/// Where tokens are asked for.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) endpoint: String,
    /// Empty where nobody told.
    pub(super) issuer: String,
    pub(super) resource: Option<String>,
    /// What is asked for: as the person says, else as the remote does.
    pub(super) scope: Option<String>,
    /// `token_endpoint_auth_methods_supported`.
    pub(super) methods: Option<Vec<String>>,
    /// For clients that show a certificate (RFC 8705 section 5).
    pub(super) alias: Option<String>,
    /// Where tokens are ended (RFC 7009), as it was published.
    pub(super) revocation: Option<String>,
    /// Tokens are bound to a key (RFC 9449).
    pub(super) dpop: bool,
    /// How often its scope has grown.
    widened: usize,
}

impl Machine {
    pub(super) async fn grant(
        &self,
        recipe: &Recipe,
        grant: &Grant,
    ) -> Result<Granted, AuthorizationError> {
        let mut place = self.place(recipe, &grant.target).await?;
        let now = self.now();
        let mut client = self.client(recipe, grant, &place).await?;
        if let Some(alias) =
            place.alias.take().filter(|_| client.method == AuthMethod::TlsClientAuth)
        {
            place.endpoint = alias;
        }
        let assertion = match &grant.flow {
            Flow::ClientCredentials => None,
            Flow::JwtBearer(assertion) => {
                Some(self.assertion(recipe, assertion, "the assertion").await?)
            }
            Flow::Enterprise(provider) => Some(self.id_jag(recipe, provider, &place).await?),
        };
        let mut set = self.ask(&client, &place, assertion.as_ref()).await;
        // A server that binds its tokens whatever the remote takes says so now.
        if client.proof_key.is_none() && set.as_ref().is_err_and(TokenError::wants_dpop) {
            client.proof_key = Some(self.proof_key(recipe)?);
            set = self.ask(&client, &place, assertion.as_ref()).await;
        }
        let server = if place.issuer.is_empty() { &place.endpoint } else { &place.issuer };
        let set = set.map_err(|error| self.not_granted(recipe, server, &error))?;
        let (minted, proof_key) = self.minted(recipe, set, now, client.proof_key)?;
        let revocation = place.revocation.map(|endpoint| (place.issuer, endpoint));
        Ok(Granted { minted, proof_key, revocation })
    }

    async fn ask(
        &self,
        client: &Client,
        place: &Place,
        assertion: Option<&Secret<String>>,
    ) -> Result<TokenSet, TokenError> {
        let (web, endpoint) = (&self.tokens.web, place.endpoint.as_str());
        let asking = client.at(&place.issuer, self.tokens.now);
        let (scope, resource) = (place.scope.as_deref(), place.resource.as_deref());
        match assertion {
            None => client_credentials(web, endpoint, asking, scope, resource).await,
            Some(assertion) => jwt_bearer(web, endpoint, asking, assertion, scope, resource).await,
        }
    }

    /// One for all tokens of this process: it remembers nonces.
    fn proof_key(&self, recipe: &Recipe) -> Result<ProofKey, AuthorizationError> {
        let mut known = self.proof_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*known {
            return Ok(key.clone());
        }
        let key = ProofKey::generate().map_err(|error| self.failed(recipe, &error.to_string()))?;
        Ok(known.insert(key).clone())
    }

    /// The remote takes tokens only that are bound to a key. False if that was known.
    pub(in crate::authorization) async fn prove(&self, recipe: &Recipe) -> bool {
        self.alter_place(recipe, |place| !std::mem::replace(&mut place.dpop, true)).await
    }

    /// Changes what is asked for next; the token in use may have been another process's, so
    /// that where to ask is still to be found out. False if that fails, or nothing changed.
    async fn alter_place(&self, recipe: &Recipe, change: impl FnOnce(&mut Place) -> bool) -> bool {
        let Recipe::Grant(grant) = recipe else { return false };
        let place = tokio::time::timeout(PATIENCE, self.place(recipe, &grant.target));
        if !place.await.is_ok_and(|place| place.is_ok()) {
            return false;
        }
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        place.as_mut().is_some_and(change)
    }

    /// The remote wants more than the token allows (RFC 6750 section 3.1): the next one is asked
    /// for with this scope, too. False if that was so already, or a person has said which.
    pub(in crate::authorization) async fn widen(&self, recipe: &Recipe, wanted: &str) -> bool {
        if matches!(recipe, Recipe::Grant(grant) if grant.target.scope.is_some()) {
            return false;
        }
        let grow = |place: &mut Place| {
            if place.widened >= MOST_WIDENINGS {
                return false;
            }
            place.widened += 1;
            let asked = [place.scope.as_deref(), Some(wanted)];
            let mut scopes = words(asked.into_iter().flatten());
            scopes.truncate(MOST_SCOPES);
            let joined = Some(scopes.join(" "));
            std::mem::replace(&mut place.scope, joined.clone()) != joined
        };
        self.alter_place(recipe, grow).await
    }

    fn minted(
        &self,
        recipe: &Recipe,
        set: TokenSet,
        now: u64,
        proof_key: Option<ProofKey>,
    ) -> Result<(Minted, Option<ProofKey>), AuthorizationError> {
        // Where it was proved in vain, the token is a plain one.
        let bound = set.token_type == "DPoP";
        let placement = Placement::new(None, Some(&set.token_type));
        let header = placement.and_then(|placement| placement.header(&set.access_token));
        let header = header.map_err(|error| self.failed(recipe, &error.to_string()))?;
        let expires_at = set.expires_in.map(|seconds| now.saturating_add(seconds));
        let minted = Minted { headers: vec![header], key: Some(set.access_token), expires_at };
        Ok((minted, proof_key.filter(|_| bound)))
    }

    /// Where to ask: as the person said, else as the remote says.
    async fn place(
        &self,
        recipe: &Recipe,
        target: &OAuthPlan,
    ) -> Result<Place, AuthorizationError> {
        let known = self.place.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(place) = known {
            return Ok(place);
        }
        let found = match &target.token_endpoint {
            // All was said: nobody is asked.
            Some(endpoint) => {
                let url = self.tokens.remote.url();
                let resource = target.resource.clone().or_else(|| Some(resource_of(url)));
                Place {
                    endpoint: endpoint.clone(),
                    issuer: target.issuer.clone().unwrap_or_default(),
                    resource: resource.filter(|_| !target.no_resource),
                    scope: target.scope.clone(),
                    methods: None,
                    alias: None,
                    revocation: None,
                    dpop: false,
                    widened: 0,
                }
            }
            None => self.discovered(recipe, target).await?,
        };
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(found.clone());
        Ok(found)
    }

    async fn discovered(
        &self,
        recipe: &Recipe,
        target: &OAuthPlan,
    ) -> Result<Place, AuthorizationError> {
        let (challenge, found) = self.desk.discover_for(target).await;
        let Discovered { resource, server, dpop, from, scopes_supported, .. } =
            found.map_err(|error| self.undiscovered(recipe, &error))?;
        if from == Source::Defaults {
            let host = host(self.tokens.remote.url());
            return Err(self.undiscovered(recipe, &DiscoveryError::Nothing { host }));
        }
        let given = target.resource.clone().or(Some(resource));
        let alias = server.token_endpoint_for(AuthMethod::TlsClientAuth).map(str::to_owned);
        Ok(Place {
            revocation: server.revocation_endpoint.clone(),
            alias: alias.filter(|_| target.token_endpoint.is_none()),
            endpoint: server.token_endpoint.unwrap_or_default(),
            issuer: server.issuer,
            resource: given.filter(|_| !target.no_resource),
            // MCP 2026-07-28, "Scope Selection Strategy".
            scope: target
                .scope
                .clone()
                .or_else(|| challenge?.scope)
                .or_else(|| Some(scopes_supported?.join(" "))),
            methods: server.token_endpoint_auth_methods_supported,
            dpop,
            widened: 0,
        })
    }

    async fn client(
        &self,
        recipe: &Recipe,
        grant: &Grant,
        place: &Place,
    ) -> Result<Client, AuthorizationError> {
        let mut client = self.authenticated(recipe, grant, place.methods.as_deref()).await?;
        if place.dpop {
            client.proof_key = Some(self.proof_key(recipe)?);
        }
        Ok(client)
    }

    /// The client with its way to authenticate.
    pub(super) async fn authenticated(
        &self,
        recipe: &Recipe,
        grant: &Grant,
        methods: Option<&[String]>,
    ) -> Result<Client, AuthorizationError> {
        let id = grant.target.client_id.clone().unwrap_or_default();
        self.learn_basic(&id, grant.client_secret.as_ref());
        let by_certificate = matches!(grant.flow, Flow::ClientCredentials)
            && grant.client_secret.is_none()
            && grant.key.is_none();
        let mut client = if by_certificate {
            Client::tls_client_auth(id)
        } else {
            Client::preregistered(id, grant.client_secret.clone(), methods)
        };
        if let Some(key) = self.signing_key(recipe).await? {
            client.method = AuthMethod::PrivateKeyJwt;
            client.assertion_key = Some(AssertionKey::new(key, grant.key_id.clone()));
        }
        Ok(client)
    }

    fn learn_basic(&self, id: &str, secret: Option<&Secret<String>>) {
        for spelled in secret.into_iter().flat_map(|secret| basic_credentials(id, secret)) {
            self.tokens.redactor.learn(spelled.expose());
        }
    }

    async fn assertion(
        &self,
        recipe: &Recipe,
        assertion: &Assertion,
        what: &str,
    ) -> Result<Secret<String>, AuthorizationError> {
        if let Some(given) = &assertion.given {
            return Ok(given.clone());
        }
        let path = assertion.file.as_deref().unwrap_or_else(|| Path::new(""));
        let text = files::text(what, path).await.map_err(|why| self.failed(recipe, &why))?;
        let token = Secret::new(text.expose().trim().to_owned());
        if token.expose().is_empty() {
            return Err(self.failed(recipe, &format!("{what} {} is empty", path.display())));
        }
        self.tokens.redactor.learn_passing(token.expose());
        Ok(token)
    }

    /// What the identity provider gives for an ID token, for this one authorization server
    /// (draft-ietf-oauth-identity-assertion-authz-grant section 4).
    async fn id_jag(
        &self,
        recipe: &Recipe,
        provider: &IdentityProvider,
        place: &Place,
    ) -> Result<Secret<String>, AuthorizationError> {
        let id_token = self.assertion(recipe, &provider.id_token, "the ID token").await?;
        let issuer = provider.issuer.clone().unwrap_or_default();
        let (endpoint, methods) = match &provider.token_endpoint {
            Some(endpoint) => (endpoint.clone(), None),
            None => {
                let server = authorization_server(&self.tokens.web, &issuer, true).await;
                let server = server.map_err(|error| self.undiscovered(recipe, &error))?;
                let endpoint = server.token_endpoint.unwrap_or_default();
                (endpoint, server.token_endpoint_auth_methods_supported)
            }
        };
        let id = provider.client_id.clone().unwrap_or_default();
        self.learn_basic(&id, provider.client_secret.as_ref());
        let client = Client::preregistered(id, provider.client_secret.clone(), methods.as_deref());
        let exchange = Exchange {
            subject_token: &id_token,
            subject_token_type: ID_TOKEN,
            requested_token_type: ID_JAG,
            audience: &place.issuer,
            resource: place.resource.as_deref(),
            scope: place.scope.as_deref(),
        };
        let asking = client.at(&issuer, self.tokens.now);
        let jag = token_exchange(&self.tokens.web, &endpoint, asking, exchange).await;
        let server = if issuer.is_empty() { &endpoint } else { &issuer };
        let jag = jag.map_err(|error| self.subject_refused(recipe, server, &error))?;
        self.tokens.redactor.learn_passing(jag.expose());
        Ok(jag)
    }
}
