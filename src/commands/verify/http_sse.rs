//! The same conversation with a remote of 2024-11-05 (HTTP+SSE).

use super::{INITIALIZE, INITIALIZED, LIST, Probe};
use crate::failure::{Exit, Failure};
use crate::jsonrpc::object::get;
use crate::transport::http_sse::Endpoint;
use crate::transport::{Content, EventStream};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use std::time::Duration;

/// How long the remote may take until its endpoint is known.
const OPENING: Duration = Duration::from_secs(12);

/// Where things are said, and where they are answered.
struct Connection {
    endpoint: Endpoint,
    stream: EventStream,
}

impl Probe<'_> {
    /// Handshake and list of tools; nothing if the remote is none of this kind.
    pub(super) async fn converse_over_sse(
        &self,
        headers: &HeaderMap,
    ) -> Result<Option<(String, Option<usize>)>, Failure> {
        let opened = tokio::time::timeout(OPENING, self.open(headers)).await;
        let Some(mut connection) = opened.unwrap_or(Ok(None))? else { return Ok(None) };
        self.say(&connection, INITIALIZE, headers).await?;
        let answer = self.answer_on(&mut connection.stream, b"1").await?;
        let Some(result) = answer.result() else { return Err(self.no_handshake(&answer)) };
        let server = self.server(get(result, "serverInfo"));
        self.say(&connection, INITIALIZED, headers).await?;
        if get(result, "capabilities").and_then(|all| get(all, "tools")).is_none() {
            return Ok(Some((server, None)));
        }
        self.say(&connection, LIST, headers).await?;
        let listed = self.answer_on(&mut connection.stream, b"2").await?;
        Ok(Some((server, Some(self.count(&listed)?))))
    }

    async fn open(&self, headers: &HeaderMap) -> Result<Option<Connection>, Failure> {
        let headers = self.with_credential(&Method::GET, headers.clone());
        let reply = self.taken(self.endpoint.get(headers).await).await?;
        if reply.status != StatusCode::OK || reply.content != Content::EventStream {
            return Ok(None);
        }
        let mut stream = reply.body.events();
        match Endpoint::read(&mut stream).await {
            Ok(endpoint) => {
                self.authorization.hide_address(endpoint.url());
                Ok(Some(Connection { endpoint, stream }))
            }
            Err(why) if why.is_http_sse() => {
                let remote = self.authorization.remote();
                let why = self.authorization.clean(&why.to_string());
                let message = format!("{remote} cannot be used over HTTP+SSE: {why}");
                Err(Failure::new(Exit::Network, message))
            }
            Err(_) => Ok(None),
        }
    }

    async fn say(
        &self,
        connection: &Connection,
        text: &'static str,
        headers: &HeaderMap,
    ) -> Result<(), Failure> {
        let headers = self.with_credential(&Method::POST, headers.clone());
        let text = Bytes::from_static(text.as_bytes());
        let reply =
            self.taken(self.endpoint.post_to(&connection.endpoint, text, headers).await).await?;
        if !reply.status.is_success() {
            let status = reply.status.as_u16();
            return Err(self.refused(status, &reply.body.refusal().await));
        }
        reply.body.discard().await;
        Ok(())
    }
}
