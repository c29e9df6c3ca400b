//! The MCP endpoint of a remote: POST a message, GET a stream, DELETE a session
//! (MCP 2025-03-26 to 2026-07-28, "Streamable HTTP").

use super::connections::{Connections, Place};
use super::{Body, SendFailure};
use crate::http::{self, ClientCell, RequestHeaders, cause, speaks_of_client_certificate};
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use url::Url;

/// Redirects followed for one message, all on the remote's own origin.
const MAX_REDIRECTS: usize = 5;

/// A remote's MCP endpoint.
pub struct StreamableHttp {
    client: Arc<ClientCell>,
    url: Url,
    /// Largest message accepted, in bytes.
    limit: usize,
    /// How long the remote may take until its response headers are there.
    headers_timeout: Option<Duration>,
    connections: Connections,
    /// It has answered once, so that TLS is no reason for what goes wrong later.
    answered: AtomicBool,
}

/// The head of a response, with its body still to be read.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub content: Content,
    /// Of the remote, or of a proxy.
    pub address: Option<IpAddr>,
    pub body: Body,
}

/// What the body is, by `Content-Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Json,
    EventStream,
    /// None was named.
    Unnamed,
    Other,
}

impl StreamableHttp {
    /// An endpoint; nothing is sent and no client is built yet.
    pub fn new(
        client: Arc<ClientCell>,
        url: Url,
        limit: usize,
        headers_timeout: Option<Duration>,
    ) -> Self {
        let answered = AtomicBool::new(false);
        let connections = Connections::default();
        Self { client, url, limit, headers_timeout, connections, answered }
    }

    /// The process may open so many files.
    pub fn among_files(self, files: usize) -> Self {
        Self { connections: Connections::among(files), ..self }
    }

    /// POSTs a request of the client, when there is room for it. 307 and 308 on the same origin
    /// are followed, nothing else, with what `headers` make of themselves for the next URL.
    ///
    /// # Errors
    /// [`SendFailure`]; whether the message may be sent again follows from its variant.
    pub async fn post(
        &self,
        message: Bytes,
        headers: RequestHeaders,
    ) -> Result<Reply, SendFailure> {
        self.post_at(self.url.clone(), message, headers).await
    }

    /// Room for [`Self::post_in`], when there is some: until then nothing of a request is sent.
    pub async fn room(&self) -> Place {
        self.connections.for_request().await
    }

    /// The same with room that is there.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn post_in(
        &self,
        place: Place,
        message: Bytes,
        headers: RequestHeaders,
    ) -> Result<Reply, SendFailure> {
        self.send(Method::POST, self.url.clone(), for_message(headers), Some(message), place).await
    }

    /// The same at another URL of the remote's origin.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub(super) async fn post_at(
        &self,
        url: Url,
        message: Bytes,
        headers: RequestHeaders,
    ) -> Result<Reply, SendFailure> {
        let place = self.connections.for_request().await;
        self.send(Method::POST, url, for_message(headers), Some(message), place).await
    }

    /// POSTs any other message, however many requests are under way.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn tell(
        &self,
        message: Bytes,
        headers: RequestHeaders,
    ) -> Result<Reply, SendFailure> {
        let place = self.connections.for_other().await;
        self.send(Method::POST, self.url.clone(), for_message(headers), Some(message), place).await
    }

    /// GETs the stream for messages that belong to no request.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn get(&self, headers: RequestHeaders) -> Result<Reply, SendFailure> {
        let place = self.connections.for_other().await;
        self.send(Method::GET, self.url.clone(), for_stream(headers), None, place).await
    }

    /// GETs the rest of a request's stream, when there is room for it.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn resume(&self, headers: RequestHeaders) -> Result<Reply, SendFailure> {
        let place = self.connections.for_request().await;
        self.send(Method::GET, self.url.clone(), for_stream(headers), None, place).await
    }

    /// DELETEs the session that `headers` name.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn delete(&self, headers: RequestHeaders) -> Result<Reply, SendFailure> {
        let place = self.connections.for_other().await;
        self.send(Method::DELETE, self.url.clone(), headers, None, place).await
    }

    async fn send(
        &self,
        method: Method,
        mut url: Url,
        mut headers: RequestHeaders,
        body: Option<Bytes>,
        place: Place,
    ) -> Result<Reply, SendFailure> {
        let client = self.client.get(&self.url).await?;
        for _ in 0..MAX_REDIRECTS {
            let mut request = Request::new(method.clone(), url.clone());
            *request.headers_mut() = HeaderMap::clone(&headers);
            *request.body_mut() = body.clone().map(Into::into);
            let response = match self.first_byte(client.execute(request)).await {
                Err(failure) => return Err(self.explained(failure, &url).await),
                Ok(response) => response,
            };
            let status = response.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return Ok(Reply::new(response, self.limit, place));
            }
            url = self.redirect(&response)?;
            headers.redirected(&url, response.headers());
        }
        Err(SendFailure::Redirected { status: 308, to: "itself, again and again".into() })
    }

    async fn first_byte(
        &self,
        response: impl Future<Output = reqwest::Result<Response>>,
    ) -> Result<Response, SendFailure> {
        let start = Instant::now();
        let outcome = match self.headers_timeout {
            None => response.await,
            Some(limit) => tokio::time::timeout(limit, response)
                .await
                .map_err(|_| SendFailure::TimedOut(limit))?,
        };
        match outcome {
            Ok(response) => {
                self.answered.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(error) => Err(self.failure(&error, start)),
        }
    }

    /// What is only suspected of a server that has never answered may be known for certain
    /// when asked for.
    async fn explained(&self, failure: SendFailure, url: &Url) -> SendFailure {
        let suspected = matches!(failure, SendFailure::Broken { suspicion: Some(_), .. });
        if !suspected || self.answered.load(Ordering::Relaxed) {
            return failure;
        }
        self.client.ask_why(url).await.map_or(failure, SendFailure::Tls)
    }

    fn failure(&self, error: &reqwest::Error, start: Instant) -> SendFailure {
        let answered = self.answered.load(Ordering::Relaxed);
        let suspicion = match self.client.refusal(error) {
            // The connection may be an old one, which such a request came through.
            Some(refusal) if answered && !error.is_connect() => Some(refusal),
            Some(refusal) => return SendFailure::Tls(refusal),
            None if answered => None,
            None => self.client.suspicion(error),
        };
        if error.is_connect() || error.is_builder() {
            suspicion.map_or_else(|| SendFailure::Unreachable(cause(error)), SendFailure::Tls)
        } else if error.is_timeout() {
            // Of --body-timeout, which counts from the beginning.
            let tenths = start.elapsed().as_millis() / 100;
            SendFailure::TimedOut(Duration::from_millis(tenths as u64 * 100))
        } else {
            SendFailure::Broken { why: cause(error), suspicion }
        }
    }

    fn redirect(&self, response: &Response) -> Result<Url, SendFailure> {
        let status = response.status().as_u16();
        let target = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(|location| response.url().join(location).ok());
        match target {
            Some(url) if matches!(status, 307 | 308) && url.origin() == self.url.origin() => {
                Ok(url)
            }
            Some(url) => {
                let to = url.host_str().unwrap_or("an address without a host").to_owned();
                Err(SendFailure::Redirected { status, to })
            }
            None => Err(SendFailure::Redirected { status, to: "nowhere".into() }),
        }
    }
}

impl Reply {
    /// Whether a response with this status and body says that a client certificate is missing
    /// or was refused.
    pub fn is_about_client_certificate(status: u16, body: &[u8]) -> bool {
        speaks_of_client_certificate(status, body)
    }

    /// How long the remote wants not to be asked.
    pub fn retry_after(&self) -> Option<Duration> {
        http::retry_after(&self.headers)
    }

    /// It may answer in another way some time later: it is overloaded, or on its way down or up.
    pub fn is_for_now(&self) -> bool {
        let busy =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        let down = self.status.is_server_error() && self.status != StatusCode::NOT_IMPLEMENTED;
        down || busy.contains(&self.status)
    }

    fn new(mut response: Response, limit: usize, place: Place) -> Self {
        let content = match response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes) {
            None => Content::Unnamed,
            Some(value) => content_of(value),
        };
        let headers = std::mem::take(response.headers_mut());
        let address = response.remote_addr().map(|address| address.ip());
        Self {
            status: response.status(),
            headers,
            content,
            address,
            body: Body::new(response, limit, place),
        }
    }
}

fn for_message(mut headers: RequestHeaders) -> RequestHeaders {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers
}

fn for_stream(mut headers: RequestHeaders) -> RequestHeaders {
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers
}

fn content_of(value: &[u8]) -> Content {
    let essence = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        Content::Json
    } else if essence.eq_ignore_ascii_case(b"text/event-stream") {
        Content::EventStream
    } else {
        Content::Other
    }
}

#[cfg(test)]
mod tests;
