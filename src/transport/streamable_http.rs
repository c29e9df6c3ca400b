//! The MCP endpoint of a remote: POST a message, GET a stream, DELETE a session
//! (MCP 2025-03-26 to 2026-07-28, "Streamable HTTP").

use super::sse::{Event, Parser, TooLong};
use crate::http::{ClientCell, ClientError, TlsRefusal, cause, speaks_of_client_certificate};
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Method, Request, Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use url::Url;

/// Redirects followed for one message, all on the remote's own origin.
const MAX_REDIRECTS: usize = 5;
/// What is read of the body of a refusal: bytes, and how long.
const REFUSAL_BYTES: usize = 256 * 1024;
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// A remote's MCP endpoint.
pub struct StreamableHttp {
    client: Arc<ClientCell>,
    url: Url,
    /// Largest message accepted, in bytes.
    limit: usize,
    /// How long the remote may take until its response headers are there.
    headers_timeout: Option<Duration>,
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

/// Why nothing came back, named by whether the message may have been executed.
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    /// It never arrived: the connection could not be made.
    #[error("{0}")]
    Unreachable(String),
    /// It never arrived: one side did not accept the other in the TLS handshake.
    #[error("it {0}")]
    Tls(TlsRefusal),
    /// It may have arrived: the connection ended before a response. `suspicion` is what may
    /// be behind it at a server that has never answered.
    #[error("{why}{}", .suspicion.as_ref().map(|one| format!("; perhaps it {one}")).unwrap_or_default())]
    Broken { why: String, suspicion: Option<TlsRefusal> },
    /// The response did not begin in time.
    #[error("no response within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The remote points elsewhere, which is not followed.
    #[error("it redirects to {to} (status {status}), which is not followed")]
    Redirected { status: u16, to: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl SendFailure {
    /// What a person can do about a connection that could not be made.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Client(ClientError::CaCert { .. }) => {
                "check the path of --ca-cert; it is a PEM file"
            }
            Self::Client(ClientError::Identity { .. }) => {
                "check the files of --client-cert and --client-key"
            }
            Self::Tls(refusal) => refusal.advice(),
            _ => "check the URL, the network and the proxy settings, then try again",
        }
    }

    /// What helps is a client certificate, or another one; nothing was executed.
    pub fn is_about_client_certificate(&self) -> bool {
        match self {
            Self::Tls(refusal) => !matches!(refusal, TlsRefusal::UntrustedServer { .. }),
            Self::Client(error) => matches!(error, ClientError::Identity { .. }),
            _ => false,
        }
    }
}

/// Why a body ended before it was complete.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    #[error("{0}")]
    Broken(String),
    #[error("the message is larger than --max-message")]
    TooLong,
}

impl From<TooLong> for Lost {
    fn from(_: TooLong) -> Self {
        Self::TooLong
    }
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
        Self { client, url, limit, headers_timeout, answered }
    }

    /// POSTs one message. 307 and 308 on the same origin are followed, nothing else.
    ///
    /// # Errors
    /// [`SendFailure`]; whether the message may be sent again follows from its variant.
    pub async fn post(&self, message: Bytes, mut headers: HeaderMap) -> Result<Reply, SendFailure> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        self.send(Method::POST, headers, Some(message)).await
    }

    /// GETs the stream for messages that belong to no request, or resumes one.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn get(&self, mut headers: HeaderMap) -> Result<Reply, SendFailure> {
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        self.send(Method::GET, headers, None).await
    }

    /// DELETEs the session that `headers` name.
    ///
    /// # Errors
    /// [`SendFailure`].
    pub async fn delete(&self, headers: HeaderMap) -> Result<Reply, SendFailure> {
        self.send(Method::DELETE, headers, None).await
    }

    async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Reply, SendFailure> {
        let client = self.client.get().await?;
        let mut url = self.url.clone();
        for _ in 0..MAX_REDIRECTS {
            let mut request = Request::new(method.clone(), url.clone());
            *request.headers_mut() = headers.clone();
            *request.body_mut() = body.clone().map(Into::into);
            let response = self.first_byte(client.execute(request)).await?;
            let status = response.status();
            if !status.is_redirection() || status == StatusCode::NOT_MODIFIED {
                return Ok(Reply::new(response, self.limit));
            }
            url = self.redirect(&response)?;
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

    fn failure(&self, error: &reqwest::Error, start: Instant) -> SendFailure {
        if let Some(refusal) = self.client.refusal(error) {
            return SendFailure::Tls(refusal);
        }
        let answered = self.answered.load(Ordering::Relaxed);
        let suspicion = if answered { None } else { self.client.suspicion(error) };
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

    fn new(mut response: Response, limit: usize) -> Self {
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
            body: Body { response, limit },
        }
    }
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

/// A response body not yet read.
pub struct Body {
    response: Response,
    limit: usize,
}

impl Body {
    /// The whole body, decoded.
    ///
    /// # Errors
    /// [`Lost`] if the connection ends in the middle or the body exceeds the limit.
    pub async fn whole(mut self) -> Result<Bytes, Lost> {
        let limit = self.limit;
        self.read(limit).await?.ok_or(Lost::TooLong)
    }

    /// What a refusal says, as far as it is short and comes soon; empty otherwise.
    pub async fn refusal(mut self) -> Bytes {
        match tokio::time::timeout(REFUSAL_TIME, self.read(REFUSAL_BYTES)).await {
            Ok(Ok(Some(text))) => text,
            _ => Bytes::new(),
        }
    }

    /// Reads on until the body ends, so that its connection can be used again.
    pub async fn discard(self) {
        self.refusal().await;
    }

    /// The body as server-sent events.
    pub fn events(self) -> EventStream {
        EventStream { parser: Parser::new(self.limit), response: self.response }
    }

    /// `None` if there is more than `limit` bytes.
    async fn read(&mut self, limit: usize) -> Result<Option<Bytes>, Lost> {
        let announced = self.response.content_length();
        if announced.is_some_and(|length| length > limit as u64) {
            return Ok(None);
        }
        let Some(first) = self.chunk().await? else { return Ok(Some(Bytes::new())) };
        let whole = announced.is_some_and(|length| length == first.len() as u64);
        let Some(second) = (if whole { None } else { self.chunk().await? }) else {
            return Ok(Some(first).filter(|first| first.len() <= limit));
        };
        let expected = announced.map_or(0, |length| length as usize);
        let mut body = BytesMut::with_capacity(expected.max(first.len() + second.len()));
        body.extend_from_slice(&first);
        body.extend_from_slice(&second);
        drop((first, second));
        while body.len() <= limit {
            match self.chunk().await? {
                Some(chunk) => body.extend_from_slice(&chunk),
                None => return Ok(Some(body.freeze())),
            }
        }
        Ok(None)
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Lost> {
        self.response.chunk().await.map_err(|error| Lost::Broken(cause(&error)))
    }
}

/// A stream of server-sent events.
pub struct EventStream {
    response: Response,
    parser: Parser,
}

impl EventStream {
    /// The next event; `None` at the end of the stream, where half an event counts for nothing.
    ///
    /// # Errors
    /// [`Lost`] if the connection breaks or an event exceeds the limit.
    pub async fn next(&mut self) -> Result<Option<Event>, Lost> {
        loop {
            if let Some(event) = self.parser.next_event()? {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.parser.push(chunk),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Lost::Broken(cause(&error))),
            }
        }
    }

    /// The id to resume from, if the stream had any.
    pub fn last_id(&self) -> Option<&Bytes> {
        self.parser.last_id()
    }

    /// The wait before a resumption that the server asked for.
    pub fn retry(&self) -> Option<Duration> {
        self.parser.retry().map(Duration::from_millis)
    }
}
