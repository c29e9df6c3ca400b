//! Which client a sign-in is for (MCP 2026-07-28, "Client Registration"): one registered by
//! hand, one with a metadata document, one registered here and kept by its issuer.

use super::desk::Desk;
use super::errand::Errand;
use super::trouble::Trouble;
use crate::authorization::{Along, AuthorizationError, OAuthPlan};
use crate::oauth::client::{ClientOrigin, basic_credentials};
use crate::oauth::discovery::Discovered;
use crate::oauth::dpop::ProofKey;
use crate::oauth::redirect::{BindError, Listener, Port, Settings};
use crate::oauth::registration::{Registration, register, unregister};
use crate::oauth::{Client, Web};
use crate::vault::{Header, RecordKey};
use std::time::{Duration, Instant};
use url::Url;

/// How long another process may be registering.
const LOCK: Duration = Duration::from_secs(60);
/// How long a fixed port may be taken by another sign-in.
const TAKEN: Duration = Duration::from_secs(10);

impl Desk {
    /// A port for the redirect, and the client whose redirect URI has it.
    pub(super) async fn client(&self, errand: &Errand) -> Result<(Listener, Client), Trouble> {
        let (plan, server) = (&errand.plan, &errand.found.server);
        if let Some(client) = named(plan, &errand.found) {
            let fixed = plan.callback_port.or_else(|| match client.origin {
                ClientOrigin::Preregistered => Some(self.usual_port()),
                _ => None,
            });
            let listener = self.listen(plan, fixed.map_or(Port::Ephemeral, Port::Fixed)).await?;
            return Ok((listener, client));
        }
        let key = plan.registration_key(&server.issuer);
        // Held until the client is kept: two sign-ins must not register twice.
        let lock = self.tokens.vault.lock(&key, LOCK).await;
        let _lock = lock.map_err(AuthorizationError::from)?;
        let kept = self.kept_client(&key).await;
        let port = match (plan.callback_port, kept.as_ref().and_then(|client| client.port)) {
            (Some(fixed), _) => Port::Fixed(fixed),
            (None, Some(port)) => Port::Preferred(port),
            (None, None) => Port::Ephemeral,
        };
        let plan = &spelled_as(kept.as_ref(), plan);
        let listener = self.listen(plan, port).await?;
        let fits =
            |client: &Client| client.redirect_uri.as_deref() == Some(listener.redirect_uri());
        if let Some(client) = kept.filter(fits) {
            return Ok((listener, client));
        }
        let client = self.registered(&key, errand, &listener).await?;
        if client.redirect_uri.as_deref().is_none_or(|uri| uri == listener.redirect_uri()) {
            return Ok((listener, client));
        }
        // The server took another spelling of the same place.
        let host = if plan.host.is_none() { Some("127.0.0.1".to_owned()) } else { None };
        let port = listener.port();
        drop(listener);
        let plan = OAuthPlan { host: host.or(plan.host.clone()), ..plan.clone() };
        Ok((self.listen(&plan, Port::Fixed(port)).await?, client))
    }

    /// The client for a sign-in without a redirect.
    pub(super) async fn client_for_device(&self, errand: &Errand) -> Result<Client, Trouble> {
        match named(&errand.plan, &errand.found) {
            Some(client) => Ok(client),
            None => Ok(self.client(errand).await?.1),
        }
    }

    /// With a key that its tokens are bound to (RFC 9449 section 5), where they have to be.
    pub(super) fn proving(&self, mut client: Client, wanted: bool) -> Result<Client, Trouble> {
        if wanted && client.proof_key.is_none() {
            let key = ProofKey::generate().map_err(|error| self.failed(&error.to_string()))?;
            client.proof_key = Some(key);
        }
        Ok(client)
    }

    async fn kept_client(&self, key: &RecordKey) -> Option<Client> {
        let kept = self.tokens.vault.read(key, self.tokens.deadline).await;
        // What cannot be read is made anew.
        let client = Client::from_json(kept.ok()??.payload.expose()).ok()?;
        self.learn(&client);
        (!client.secret_expired((self.settings.now)())).then_some(client)
    }

    async fn registered(
        &self,
        key: &RecordKey,
        errand: &Errand,
        listener: &Listener,
    ) -> Result<Client, Trouble> {
        let server = &errand.found.server;
        let mut uris = vec![listener.redirect_uri().to_owned()];
        if errand.plan.host.is_none() && uris[0].starts_with("http://localhost:") {
            uris.push(uris[0].replacen("localhost", "127.0.0.1", 1));
        }
        let registration = Registration {
            redirect_uris: &uris,
            device: server.device_authorization_endpoint.is_some(),
            auth_methods_supported: server.token_endpoint_auth_methods_supported.as_deref(),
            metadata: errand.plan.registration.as_ref(),
        };
        let endpoint = server.registration_endpoint.as_deref();
        let client = register(&self.settings.web, endpoint, registration).await;
        let client = client.map_err(|error| self.unregistered(&server.issuer, &error))?;
        self.learn(&client);
        self.keep_client(key, &client).await;
        Ok(client)
    }

    fn learn(&self, client: &Client) {
        for secret in [&client.secret, &client.registration_access_token].into_iter().flatten() {
            self.tokens.redactor.learn(secret.expose());
        }
        for secret in client.secret.iter().flat_map(|secret| basic_credentials(&client.id, secret))
        {
            self.tokens.redactor.learn(secret.expose());
        }
    }

    async fn keep_client(&self, key: &RecordKey, client: &Client) {
        let (header, payload) = (Header::of("registration"), client.to_json());
        let kept = self.tokens.vault.write(key, header, &payload, self.tokens.deadline);
        if let Err(error) = kept.await {
            // The tokens keep a copy; only the next sign-in registers again.
            tracing::warn!("the registration cannot be kept: {error}");
        }
    }

    /// The server does not know the client any more: the next sign-in registers a new one.
    pub(super) async fn forget_client(&self, issuer: &str, plan: &OAuthPlan) {
        let key = plan.registration_key(issuer);
        if let Err(error) = self.tokens.vault.remove(&key) {
            tracing::warn!("the old registration cannot be removed: {error}");
        }
    }

    /// Whether a server that publishes nothing registers clients where MCP 2025-03-26 has it.
    /// The client that this makes is kept for the sign-in.
    pub(super) async fn registers(&self, found: &Discovered, plan: &OAuthPlan) -> bool {
        let errand = Errand {
            plan: plan.clone(),
            kept_plan: plan.clone(),
            found: found.clone(),
            scope: None,
            resource: None,
            consent: false,
            along: Along::default(),
        };
        self.client(&errand).await.is_ok()
    }

    async fn listen(&self, plan: &OAuthPlan, port: Port) -> Result<Listener, Trouble> {
        let usual = Settings::default();
        let settings = Settings {
            host: plan.host.clone().unwrap_or(usual.host),
            path: plan.callback_path.clone().unwrap_or(usual.path),
            port,
        };
        let started = Instant::now();
        loop {
            match Listener::bind(&settings) {
                // Another sign-in may have it, for as long as a person takes.
                Err(BindError::Taken(_)) if started.elapsed() < TAKEN => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                bound => return bound.map_err(|error| self.unbound(&error)),
            }
        }
    }

    /// The port of mcp-remote for this remote: clients registered by hand know it.
    fn usual_port(&self) -> u16 {
        use md5::{Digest, Md5};
        let hash = Md5::digest(self.tokens.remote.url().as_str());
        3335 + u16::from_be_bytes([hash[0], hash[1]]) % 45816
    }
}

/// The client that the person named, by its ID or its metadata document.
fn named(plan: &OAuthPlan, found: &Discovered) -> Option<Client> {
    if let Some(id) = &plan.client_id {
        let methods = found.server.token_endpoint_auth_methods_supported.as_deref();
        return Some(Client::preregistered(id.clone(), plan.client_secret.clone(), methods));
    }
    let url = plan.client_metadata_url.as_ref()?;
    let supported = found.server.client_id_metadata_document_supported;
    supported.then(|| Client::metadata_document(url.clone()))
}

/// With the host in the redirect URI that the server took when the client was registered.
fn spelled_as(kept: Option<&Client>, plan: &OAuthPlan) -> OAuthPlan {
    let taken = kept.and_then(|client| Url::parse(client.redirect_uri.as_deref()?).ok());
    let host = taken.and_then(|uri| uri.host_str().map(str::to_owned));
    OAuthPlan { host: plan.host.clone().or(host), ..plan.clone() }
}

/// Has the authorization server forget a client that no token needs any more.
pub(in crate::authorization) async fn dismiss(web: &Web, client: &Client) -> bool {
    client.origin == ClientOrigin::Dynamic && unregister(web, client).await.unwrap_or(false)
}
