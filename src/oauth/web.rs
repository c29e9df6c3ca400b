//! Requests to authorization servers and for metadata: bounded in size and time, to allowed
//! addresses only, and no redirect followed to another origin.
//!
//! The remote's own origin is shown what the remote is shown: the client certificate, and the
//! headers that go along with everything. No other origin ever sees either.

mod answer;
mod clients;

use super::cache::Cache;
use crate::http::{
    AddressPolicy, ClientError, ClientSettings, Reach, cause, is_forbidden_address, is_loopback,
    reach_of,
};
use crate::secret::Secret;
pub use answer::Answer;
use answer::answer;
use clients::Clients;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Method, Request, Response};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use url::{Host, Url};

/// How long one exchange may take, its redirects and its body included.
const PATIENCE: Duration = Duration::from_secs(10);
/// Redirects followed for one metadata document, all on its own origin.
const MAX_REDIRECTS: usize = 3;
/// How long the reach of the remote is believed: a laptop changes networks.
const REMEMBERED: Duration = Duration::from_secs(30);
const INSIDE: &str = "its address is inside this machine or network, and the MCP server is not";

/// The headers that go along with every request to the remote, whatever its credential.
pub type HeadersSource =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = HeaderMap> + Send>> + Send + Sync>;

/// Asks authorization servers, and remotes for their metadata.
pub struct Web {
    /// Servers that it names may not be nearer than itself.
    remote: Url,
    allow_http: bool,
    /// Hosts that the person named: they may be anywhere.
    named: Mutex<Vec<String>>,
    clients: Clients,
    along: OnceLock<HeadersSource>,
    policy: AddressPolicy,
    patience: Duration,
    /// Of the remote, and when it was found.
    reach: Mutex<Option<(Reach, Instant)>>,
    /// It has answered from a public address.
    public: AtomicBool,
    cache: Cache,
}

/// Why there is no response.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WebError {
    /// Never asked: the URL is not one that may be asked.
    #[error("{host} is not asked: {why}")]
    Refused { host: String, why: String },
    /// It never arrived.
    #[error("cannot reach {host}: {why}")]
    Unreachable { host: String, why: String },
    /// It may have arrived, but no whole answer came back.
    #[error("{host} gave no whole answer: {why}")]
    Lost { host: String, why: String },
    #[error("{host} redirects elsewhere (to {to}), which is not followed")]
    Redirected { host: String, to: String },
    #[error("the answer of {host} is too large")]
    TooLarge { host: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Web {
    /// `base` is how the remote's client is built; nothing is read, built or looked up yet.
    /// `named` are hosts as [`Url::host_str`] gives them.
    pub fn new(base: &ClientSettings, remote: Url, allow_http: bool, named: Vec<String>) -> Self {
        let policy = AddressPolicy::default();
        Self {
            remote,
            allow_http,
            named: Mutex::new(named),
            clients: Clients::new(base, &policy),
            along: OnceLock::new(),
            policy,
            patience: PATIENCE,
            reach: Mutex::default(),
            public: AtomicBool::new(false),
            cache: Cache::default(),
        }
    }

    /// What goes along with requests to the remote's origin, from now on and once for all;
    /// an `Authorization` among it does not.
    pub fn along(&self, headers: HeadersSource) {
        // The first one stays.
        let _ = self.along.set(headers);
    }

    /// The person named this URL: its host may be anywhere.
    pub fn name(&self, url: &str) {
        let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        if let Some(host) = host.filter(|host| !self.is_named(host)) {
            self.named.lock().unwrap_or_else(PoisonError::into_inner).push(host);
        }
    }

    fn is_named(&self, host: &str) -> bool {
        let named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.iter().any(|named| named == host)
    }

    /// GETs a document; a few redirects on the same origin are followed.
    ///
    /// # Errors
    /// [`WebError`]. A status of 400 and above is no error.
    pub async fn get(&self, url: &str) -> Result<Answer, WebError> {
        let url = self.checked(url).await?;
        let host = host(&url);
        let answer = timeout(self.patience, self.follow(url)).await;
        answer.unwrap_or_else(|_| Err(self.too_slow(host)))
    }

    /// GETs a document as [`Self::get`] does, or takes it from the cache while it is fresh.
    ///
    /// # Errors
    /// [`WebError`]; after one nothing is kept.
    pub async fn document(&self, url: &str) -> Result<Answer, WebError> {
        if let Some(body) = self.cache.fresh(url, Instant::now()) {
            return Ok(Answer { status: 200, headers: HeaderMap::new(), body: Secret::new(body) });
        }
        let answer = self.get(url).await.inspect_err(|_| self.forget())?;
        if answer.status == 200 {
            self.cache.keep(url, &answer.headers, answer.body.expose(), Instant::now());
        }
        Ok(answer)
    }

    /// Forgets every kept document: something that followed from them failed.
    pub fn forget(&self) {
        self.cache.forget();
    }

    /// GETs with an access token, for userinfo and client configuration; no redirect is followed.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Option<Secret<Vec<u8>>>,
    ) -> Result<Answer, WebError> {
        self.exchange(method, url, headers, body, false).await
    }

    /// As [`Self::request`], showing the client certificate to whoever it is: for an issuer
    /// that authenticates clients by it (RFC 8705 section 2).
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn request_with_certificate(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Option<Secret<Vec<u8>>>,
    ) -> Result<Answer, WebError> {
        self.exchange(method, url, headers, body, true).await
    }

    async fn exchange(
        &self,
        method: Method,
        url: &str,
        mut headers: HeaderMap,
        body: Option<Secret<Vec<u8>>>,
        certificate: bool,
    ) -> Result<Answer, WebError> {
        let url = self.checked(url).await?;
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let exchange = async {
            let mut request = Request::new(method, url.clone());
            *request.headers_mut() = headers;
            *request.body_mut() = body.map(|body| Body::from(body.expose().clone()));
            let response = self.send(request, certificate).await?;
            if response.status().is_redirection() {
                return Err(redirected(&response, &url));
            }
            answer(response, &url).await
        };
        let answer = timeout(self.patience, exchange).await;
        answer.unwrap_or_else(|_| Err(self.too_slow(host(&url))))
    }

    /// POSTs a form (RFC 6749 appendix B) or JSON, as `content` says; no redirect is followed.
    ///
    /// # Errors
    /// [`WebError`]; after `Lost` the server may have acted.
    pub async fn post(
        &self,
        url: &str,
        content: &'static str,
        mut headers: HeaderMap,
        body: Secret<Vec<u8>>,
    ) -> Result<Answer, WebError> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content));
        self.request(Method::POST, url, headers, Some(body)).await
    }

    /// The remote, or a proxy on the way to it, answered from this address.
    pub fn met_remote_at(&self, address: IpAddr) {
        if Reach::of(address) == Reach::Public {
            self.public.store(true, Ordering::Relaxed);
        }
    }

    /// The URL, if this may ask it, or open it in a browser.
    ///
    /// # Errors
    /// `Refused`: no https (nor loopback), or nearer than the remote itself as far as the URL
    /// tells; what a name stands for is judged when it is connected to.
    pub async fn checked(&self, url: &str) -> Result<Url, WebError> {
        let refused = |host: String, why: &str| WebError::Refused { host, why: why.into() };
        let parsed = Url::parse(url).map_err(|_| refused("a server".into(), "its URL is none"))?;
        let shown = host(&parsed);
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(refused(shown, "its URL holds a password"));
        }
        match parsed.scheme() {
            "https" => {}
            "http" if is_loopback(&parsed) || self.allow_http => {}
            "http" => return Err(refused(shown, "it has no https (--allow-http allows that)")),
            _ => return Err(refused(shown, "its URL is not https")),
        }
        let Some(name) = parsed.host_str() else {
            return Err(refused(shown, "its URL has no host"));
        };
        if parsed.origin() == self.remote.origin() || self.is_named(name) {
            return Ok(parsed);
        }
        let reach = self.reach().await;
        if literal(&parsed).is_some_and(|literal| !reach.may_name(literal)) {
            return Err(refused(shown, INSIDE));
        }
        self.policy.judge(name, reach);
        Ok(parsed)
    }

    /// The remote's. A name that only a proxy can resolve counts as public.
    async fn reach(&self) -> Reach {
        // What its name stands for now may be another address than the one it answered from.
        if self.public.load(Ordering::Relaxed) {
            return Reach::Public;
        }
        let known = *self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((reach, _)) = known.filter(|(_, found)| found.elapsed() < REMEMBERED) {
            return reach;
        }
        let reach = reach_of(&self.remote).await.unwrap_or(Reach::Public);
        let mut known = self.reach.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((reach, Instant::now()));
        reach
    }

    async fn follow(&self, mut url: Url) -> Result<Answer, WebError> {
        for _ in 0..=MAX_REDIRECTS {
            let mut request = Request::new(Method::GET, url.clone());
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(ACCEPT, json);
            let response = self.send(request, false).await?;
            if !response.status().is_redirection() {
                return answer(response, &url).await;
            }
            url = self.checked(redirect(&response, &url)?.as_str()).await?;
        }
        Err(WebError::Redirected { host: host(&url), to: "itself, again and again".into() })
    }

    /// `certificate`: the client's is shown, even if this is not the remote.
    async fn send(&self, mut request: Request, certificate: bool) -> Result<Response, WebError> {
        let url = request.url();
        let host = host(url);
        let of_remote = url.origin() == self.remote.origin();
        let client = self.clients.client(url, of_remote || certificate).await?;
        if of_remote {
            self.add_along(request.headers_mut()).await;
        }
        let url = request.url().clone();
        let error = match client.get(&url).await?.execute(request).await {
            Err(error) => error,
            Ok(response) => {
                let address = response.remote_addr().filter(|_| of_remote);
                address.inspect(|address| self.met_remote_at(address.ip()));
                return Ok(response);
            }
        };
        let refusal = match client.refusal(&error) {
            None if client.suspicion(&error).is_some() => client.ask_why(&url).await,
            known => known,
        };
        Err(if is_forbidden_address(&error) {
            WebError::Refused { host, why: INSIDE.into() }
        } else if let Some(refusal) = refusal {
            WebError::Unreachable { host, why: format!("it {refusal}") }
        } else if error.is_connect() || error.is_builder() {
            WebError::Unreachable { host, why: cause(&error) }
        } else {
            WebError::Lost { host, why: cause(&error) }
        })
    }

    /// The request's own headers stay as they are.
    async fn add_along(&self, own: &mut HeaderMap) {
        let Some(source) = self.along.get() else { return };
        let mut along = source().await;
        along.remove(AUTHORIZATION);
        for name in own.keys() {
            along.remove(name);
        }
        own.extend(along);
    }

    fn too_slow(&self, host: String) -> WebError {
        WebError::Lost { host, why: format!("it took longer than {} s", self.patience.as_secs()) }
    }
}

/// The kind of an address or of a name that means this machine.
fn literal(url: &Url) -> Option<Reach> {
    let local = |name: &str| name.trim_end_matches('.').ends_with(".localhost");
    match url.host() {
        Some(Host::Domain(name)) if local(name) => Some(Reach::Loopback),
        _ => Reach::literal(url),
    }
}

fn redirect(response: &Response, url: &Url) -> Result<Url, WebError> {
    let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    match location.and_then(|to| url.join(to).ok()) {
        Some(to) if to.origin() == url.origin() => Ok(to),
        _ => Err(redirected(response, url)),
    }
}

fn redirected(response: &Response, url: &Url) -> WebError {
    let location = response.headers().get(LOCATION).and_then(|to| to.to_str().ok());
    let to = location.and_then(|to| url.join(to).ok()).map_or("nowhere".into(), |to| host(&to));
    WebError::Redirected { host: host(url), to }
}

/// Host and port, without what may be secret.
pub fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or("a server without a name");
    url.port().map_or(name.to_owned(), |port| format!("{name}:{port}"))
}

/// The same of a URL that may be none.
pub fn host_of(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "a server without a URL".to_owned(), |url| host(&url))
}

#[cfg(test)]
pub(super) mod tests;
