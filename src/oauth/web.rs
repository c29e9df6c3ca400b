//! Requests to authorization servers and for metadata: bounded in size and time, to allowed
//! addresses only, and no redirect followed to another origin.

use crate::http::{ClientCell, ClientError, Reach, is_loopback};
use crate::secret::Secret;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Body, Method, Request, Response};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};
use zeroize::Zeroizing;

/// Largest body that is read, in decoded bytes.
const LARGEST: usize = 1024 * 1024;
/// How long one exchange may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Redirects followed for one metadata document, all on its own origin.
const MAX_REDIRECTS: usize = 3;

/// Asks authorization servers, and remotes for their metadata.
pub struct Web {
    client: Arc<ClientCell>,
    /// Of the remote: servers that it names may not be nearer than itself.
    reach: Reach,
    allow_http: bool,
    /// Hosts that the person named: they may be anywhere.
    named: Vec<String>,
}

/// A response, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// May hold tokens.
    pub body: Secret<Vec<u8>>,
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
    /// `client` follows no redirects and keeps no cookies; `reach` is the remote's.
    pub fn new(
        client: Arc<ClientCell>,
        reach: Reach,
        allow_http: bool,
        named: Vec<String>,
    ) -> Self {
        Self { client, reach, allow_http, named }
    }

    /// GETs a document; a few redirects on the same origin are followed.
    ///
    /// # Errors
    /// [`WebError`]. A status of 400 and above is no error.
    pub async fn get(&self, url: &str) -> Result<Answer, WebError> {
        let mut url = self.checked(url)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            let response = self.send(Method::GET, url.clone(), headers, None).await?;
            if !response.status().is_redirection() {
                return answer(response, &url).await;
            }
            url = redirect(&response, &url)?;
        }
        Err(WebError::Redirected { host: host(&url), to: "itself, again and again".into() })
    }

    /// GETs with an access token, for userinfo and client configuration; no redirect is followed.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        mut headers: HeaderMap,
        body: Option<Secret<Vec<u8>>>,
    ) -> Result<Answer, WebError> {
        let url = self.checked(url)?;
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let response = self.send(method, url.clone(), headers, body).await?;
        if response.status().is_redirection() {
            return Err(redirected(&response, &url));
        }
        answer(response, &url).await
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

    /// The URL, if this may ask it.
    ///
    /// # Errors
    /// `Refused`: no https (nor loopback), or nearer than the remote itself.
    pub fn checked(&self, url: &str) -> Result<Url, WebError> {
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
        let literal = match parsed.host() {
            Some(Host::Ipv4(address)) => Some(Reach::of(address.into())),
            Some(Host::Ipv6(address)) => Some(Reach::of(address.into())),
            Some(Host::Domain(_)) if is_loopback(&parsed) => Some(Reach::Loopback),
            Some(Host::Domain(name)) if name.trim_end_matches('.').ends_with(".localhost") => {
                Some(Reach::Loopback)
            }
            Some(Host::Domain(_)) => None,
            None => return Err(refused(shown, "its URL has no host")),
        };
        let named = self.named.iter().any(|name| parsed.host_str() == Some(name));
        if !named && literal.is_some_and(|literal| !self.reach.may_name(literal)) {
            return Err(refused(
                shown,
                "the address is inside this machine or network, and the MCP server is not",
            ));
        }
        Ok(parsed)
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<Secret<Vec<u8>>>,
    ) -> Result<Response, WebError> {
        let host = host(&url);
        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        *request.body_mut() = body.map(|body| Body::from(body.expose().clone()));
        let client = self.client.get().await?;
        match tokio::time::timeout(PATIENCE, client.execute(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) if error.is_connect() || error.is_builder() => {
                Err(WebError::Unreachable { host, why: cause(&error) })
            }
            Ok(Err(error)) => Err(WebError::Lost { host, why: cause(&error) }),
            Err(_) => Err(too_slow(host)),
        }
    }
}

async fn answer(mut response: Response, url: &Url) -> Result<Answer, WebError> {
    let host = host(url);
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Zeroizing::new(Vec::new());
    let stream = headers.get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .get(..17)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
    });
    // Some servers answer every GET with a stream that never ends.
    if stream {
        return Ok(Answer { status: 404, headers, body: Secret::new(Vec::new()) });
    }
    let read = async {
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| WebError::Lost { host: host.clone(), why: cause(&error) })?
        {
            if body.len() + chunk.len() > LARGEST {
                return Err(WebError::TooLarge { host: host.clone() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(())
    };
    match tokio::time::timeout(PATIENCE, read).await {
        Ok(read) => read?,
        Err(_) => return Err(too_slow(host)),
    }
    Ok(Answer { status, headers, body: Secret::new(std::mem::take(&mut *body)) })
}

fn too_slow(host: String) -> WebError {
    WebError::Lost { host, why: format!("nothing within {} s", PATIENCE.as_secs()) }
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
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or("a server without a name");
    url.port().map_or(name.to_owned(), |port| format!("{name}:{port}"))
}

/// The innermost reason of a failed request, without its URL.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    let mut text = None;
    while let Some(source) = innermost.source() {
        innermost = source;
        text = Some(innermost.to_string());
    }
    text.unwrap_or_else(|| "the request could not be sent".into())
}
