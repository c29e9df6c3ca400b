//! A scripted authorization server on a loopback port: OAuth 2.1 as the
//! specification of MCP wants it, and every deviation a test asks for. What a
//! client may never do fails the test.

mod asked;
mod authorize;
mod client;
mod device;
mod endpoints;
mod guard;
mod metadata;
mod script;
mod state;
#[cfg(all(test, unix))]
mod tests;
mod token;

pub(crate) use asked::Asked;
pub(crate) use authorize::callback_of;
pub(crate) use device::USER_CODE;
pub(crate) use metadata::redirect_to;
pub(crate) use script::{Changes, Consent, Failure, Form, Iss, Published, Registration, Resource};
pub(crate) use script::{Script, Shape};
pub(crate) use state::Client;

use crate::support::dpop::Proofs;
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Handler, Port, Server};
use guard::Guard;
use state::State;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) struct AuthorizationServer {
    server: Server,
    provider: Arc<Provider>,
}

/// The server without its port, so that it can stand at a remote's origin too.
struct Provider {
    origin: String,
    script: Mutex<Script>,
    state: Mutex<State>,
    /// What replaces the scripted answer, by path.
    on: Mutex<HashMap<String, Arc<Handler>>>,
    proofs: Proofs,
}

impl AuthorizationServer {
    pub(crate) fn start() -> Self {
        Self::scripted(|_| {})
    }

    pub(crate) fn scripted(change: impl FnOnce(&mut Script)) -> Self {
        let port = Port::reserve();
        let provider = Arc::new(Provider::new(port.origin(), change));
        let server = port.serve({
            let provider = provider.clone();
            move |request, wire| provider.answer(request, wire)
        });
        Self { server, provider }
    }

    /// A remote and its authorization server at one origin, as the revision
    /// 2025-03-26 has it.
    pub(crate) fn at_the_remote(
        inner: impl Fn(&Request, Wire) + Send + Sync + 'static,
        change: impl FnOnce(&mut Script),
    ) -> Self {
        let port = Port::reserve();
        let provider = Arc::new(Provider::new(port.origin(), change));
        let guard = Guard::new(provider.clone(), port.origin());
        let server = port.serve(move |request, wire| {
            if guard.knows(request) {
                guard.answer(request, wire, &inner);
            } else {
                guard.provider.answer(request, wire);
            }
        });
        Self { server, provider }
    }

    /// A remote that wants this server's tokens; its tools are those of [`tools`].
    pub(crate) fn protect(&self, inner: Legacy) -> Server {
        self.guard(Port::reserve(), inner.tools(self.whoami()).into_handler())
    }

    /// Any MCP server behind this server's tokens.
    pub(crate) fn guard(
        &self,
        port: Port,
        inner: impl Fn(&Request, Wire) + Send + Sync + 'static,
    ) -> Server {
        let guarded = self.guarding(port.origin(), inner);
        port.serve(guarded)
    }

    /// The same without a port, for a remote that stands behind something else.
    pub(crate) fn guarding(
        &self,
        origin: String,
        inner: impl Fn(&Request, Wire) + Send + Sync + 'static,
    ) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
        let guard = Guard::new(self.provider.clone(), origin);
        move |request, wire| {
            if guard.knows(request) {
                guard.answer(request, wire, &inner);
            } else {
                wire.status(404);
            }
        }
    }

    /// A legacy server with sessions behind this server's tokens.
    pub(crate) fn remote(&self) -> Server {
        self.protect(Legacy::new().sessions(&Sessions::default()))
    }

    /// Answers `tools/call`; the tool `whoami` says who is signed in, with which scope.
    pub(crate) fn whoami(&self) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
        let provider = self.provider.clone();
        move |request, wire| wire.json(request.result(&provider.whoami(request)))
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    pub(crate) fn origin(&self) -> String {
        self.provider.origin.clone()
    }

    pub(crate) fn issuer(&self) -> String {
        self.provider.issuer()
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.provider.script());
    }

    /// Replaces what it does at one path, for good.
    pub(crate) fn on(&self, path: &str, handler: impl Fn(&Request, Wire) + Send + Sync + 'static) {
        let handler: Arc<Handler> = Arc::new(Box::new(handler));
        self.provider.on.lock().unwrap().insert(path.to_owned(), handler);
    }

    /// Takes back what [`Self::on`] has replaced.
    pub(crate) fn restore(&self, path: &str) {
        self.provider.on.lock().unwrap().remove(path);
    }

    /// Every request at one path so far.
    pub(crate) fn asked(&self, path: &str) -> Vec<Asked> {
        let all = self.server.requests().into_iter().map(|request| Asked::of(&request));
        all.filter(|asked| asked.path == path).collect()
    }

    /// The token requests of one grant type.
    pub(crate) fn token_requests(&self, grant_type: &str) -> Vec<Asked> {
        let mut all = self.asked("/token");
        all.retain(|asked| asked.param("grant_type") == Some(grant_type));
        all
    }

    /// Waits for `count` requests at one path.
    pub(crate) fn wait_asked(&self, path: &str, count: usize) -> Vec<Asked> {
        self.server.wait(&format!("{count} requests at {path}"), |log| {
            let asked = log.iter().map(|request| Asked::of(request));
            let asked: Vec<_> = asked.filter(|asked| asked.path == path).collect();
            (asked.len() >= count).then_some(asked)
        })
    }

    /// A client that an administrator has registered.
    pub(crate) fn preregister(&self, id: &str, secret: Option<&str>, method: &str, uris: &[&str]) {
        let mut state = self.provider.state();
        state.secrets.extend(secret.map(str::to_owned));
        let client = Client {
            id: id.to_owned(),
            secret: secret.map(str::to_owned),
            auth_method: method.to_owned(),
            redirect_uris: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            scope: None,
            secret_dies: None,
            management_token: None,
        };
        state.clients.insert(id.to_owned(), client);
    }

    /// The ids of the clients it knows.
    pub(crate) fn clients(&self) -> Vec<String> {
        self.provider.state().clients.keys().cloned().collect()
    }

    pub(crate) fn forget_clients(&self) {
        self.provider.state().clients.clear();
    }

    /// Makes every access token so far worthless, whatever was said of its life.
    pub(crate) fn revoke_access_tokens(&self) {
        let mut state = self.provider.state();
        state.access.values_mut().for_each(|access| access.revoked = true);
    }

    /// Ends every grant: no token so far is worth anything.
    pub(crate) fn revoke_grants(&self) {
        let mut state = self.provider.state();
        state.grants.iter_mut().for_each(|grant| grant.revoked = true);
    }

    /// How often a remote was shown an expired access token.
    pub(crate) fn expired_shown(&self) -> usize {
        self.provider.state().expired_shown
    }

    /// How often a spent refresh token was shown.
    pub(crate) fn reused(&self) -> usize {
        self.provider.state().reused
    }

    /// How many refreshes succeeded.
    pub(crate) fn refreshed(&self) -> usize {
        self.provider.state().refreshed
    }

    /// Waits until every access token so far has expired.
    pub(crate) fn wait_expiry(&self) {
        let last = self.provider.state().access.values().filter_map(|access| access.dies).max();
        let left = last.map(|last| last.saturating_duration_since(std::time::Instant::now()));
        std::thread::sleep(left.unwrap_or_default());
    }

    /// True if this access token is good now.
    pub(crate) fn accepts(&self, token: &str) -> bool {
        self.provider.state().good(token).is_some()
    }

    /// Every proof of possession that was shown, here and to the remotes.
    pub(crate) fn proofs(&self) -> &Proofs {
        &self.provider.proofs
    }

    /// Every code, verifier, token and secret so far.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let mut secrets = self.provider.state().secrets.clone();
        for asked in self.asked("/token") {
            secrets.extend(asked.param("code_verifier").map(str::to_owned));
        }
        secrets
    }
}

impl Provider {
    fn new(origin: String, change: impl FnOnce(&mut Script)) -> Self {
        let mut script = Script::default();
        change(&mut script);
        let (state, on, proofs) = Default::default();
        Self { origin, script: Mutex::new(script), state, on, proofs }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn issuer(&self) -> String {
        format!("{}{}", self.origin, self.script().issuer_path)
    }

    fn answer(&self, request: &Request, wire: Wire) {
        let asked = Asked::of(request);
        let replaced = self.on.lock().unwrap().get(&asked.path).cloned();
        if let Some(handler) = replaced {
            return handler(request, wire);
        }
        match asked.path.as_str() {
            "/authorize" => self.authorize(&asked, wire),
            "/token" => self.token(&asked, wire),
            "/register" => self.register(&asked, wire),
            "/device_authorization" => self.device_authorization(&asked, wire),
            "/revoke" => self.revocation(&asked, wire),
            "/userinfo" => self.userinfo(&asked, wire),
            "/introspect" => self.introspection(&asked, wire),
            path if path.starts_with("/register/") => self.management(&asked, wire),
            path if path.contains("/.well-known/") => self.metadata(path, wire),
            _ => wire.status(404),
        }
    }
}
