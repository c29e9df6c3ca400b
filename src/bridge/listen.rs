//! The GET stream of a legacy session, on which the server speaks unasked.

use super::Bridge;
use super::backoff::Backoff;
use super::resumption::jitter;
use super::session::Snapshot;
use crate::authorization::{AuthorizationError, Credential, Refusal};
use crate::transport::metadata::LAST_EVENT_ID;
use crate::transport::{Content, EventStream, Reply};
use bytes::Bytes;
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where the stream stands between two connections.
#[derive(Default)]
struct Position {
    last_id: Option<Bytes>,
    backoff: Backoff,
    /// The credential that was refused last, since the stream was open.
    refused: Option<Arc<Credential>>,
}

impl Bridge {
    /// Opens the GET stream of the session as it is now and keeps it open.
    pub(super) fn listen(self: &Arc<Self>) {
        if self.session.snapshot().connection.is_some() {
            // It has a stream already, and no other one.
            return self.session.set_listener(None);
        }
        let bridge = self.clone();
        let task = tokio::spawn(async move { bridge.keep_listening().await });
        self.session.set_listener(Some(task.abort_handle()));
    }

    async fn keep_listening(self: &Arc<Self>) {
        let session = self.session.snapshot();
        let mut position = Position::default();
        let mut was_open = false;
        let mut accepted = self.stand_in.acceptance();
        loop {
            match self.open_stream(&session, &mut position).await {
                Opened::Stream(stream) => {
                    was_open = true;
                    self.read_stream(*stream, &session, &mut position).await;
                }
                // MCP: a 404 to a request with a session id begins a new one, which has its
                // own stream. A server without such streams answers 404 from the start.
                Opened::Forgotten if was_open && self.session.may_begin_unasked() => {
                    let anew = self.recover(session.epoch).await;
                    return self.log_refusal("a new session", anew);
                }
                // What it offered once is only away for now, whatever is said in its place.
                Opened::NotThis if was_open => position.backoff.refused(Duration::ZERO),
                Opened::Forgotten | Opened::NotThis | Opened::Never => return,
                // Another try with another token would be one for ever.
                Opened::Refused => {
                    let _ = accepted.changed().await;
                    position.refused = None;
                    position.backoff.begin_again();
                    continue;
                }
                Opened::NotNow(later) => position.backoff.refused(later),
            }
            let asked = Instant::now() + position.backoff.asked();
            let pause = position.backoff.pause();
            tokio::select! {
                () = tokio::time::sleep(pause + jitter(pause / 4)) => {}
                // Somebody has signed in: no reason to wait but the server's own.
                Ok(()) = accepted.changed() => {
                    position.backoff.begin_again();
                    tokio::time::sleep_until(asked).await;
                }
            }
        }
    }

    async fn open_stream(&self, session: &Snapshot, position: &mut Position) -> Opened {
        let Ok(credential) = self.credential().await else { return Opened::not_now() };
        let mut headers = credential.for_request(&Method::GET);
        session.put_headers(&mut headers);
        if let Some(id) = position.last_id.as_ref().and_then(|id| HeaderValue::from_bytes(id).ok())
        {
            headers.insert(LAST_EVENT_ID, id);
        }
        let opened = self.remote.get(headers).await;
        if let Ok(reply) = &opened {
            credential.learn(reply.status.as_u16(), &reply.headers);
        }
        match opened {
            Ok(reply)
                if reply.status == StatusCode::OK && reply.content == Content::EventStream =>
            {
                Opened::Stream(Box::new(reply.body.events()))
            }
            Ok(reply)
                if matches!(reply.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
            {
                self.stream_refused(&reply, credential, position).await
            }
            Ok(reply) if reply.is_for_now() => {
                Opened::NotNow(reply.retry_after().unwrap_or_default())
            }
            Ok(reply) if reply.status == StatusCode::NOT_FOUND && session.id.is_some() => {
                Opened::Forgotten
            }
            Ok(reply) => {
                let status = reply.status;
                tracing::debug!(status = status.as_u16(), "the remote offers no GET stream");
                if status == StatusCode::METHOD_NOT_ALLOWED {
                    Opened::Never
                } else {
                    Opened::NotThis
                }
            }
            Err(_) => Opened::not_now(),
        }
    }

    /// Whether another credential may help.
    async fn stream_refused(
        &self,
        reply: &Reply,
        sent: Arc<Credential>,
        position: &mut Position,
    ) -> Opened {
        if position.refused.as_ref().is_some_and(|before| before.headers != sent.headers) {
            return Opened::Refused;
        }
        position.refused = Some(sent.clone());
        let (status, headers) = (reply.status.as_u16(), &reply.headers);
        let refusal = Refusal { status, headers, address: reply.address };
        match self.authorization.after_refusal(&sent, refusal).await {
            // More permission is for a call to ask for.
            Err(AuthorizationError::Person(need)) if need.is_step_up() => Opened::Refused,
            Err(AuthorizationError::SignInNeeded { .. }) => Opened::Never,
            Ok(_) | Err(_) => Opened::not_now(),
        }
    }

    /// Reads until the stream ends.
    async fn read_stream(
        self: &Arc<Self>,
        mut stream: EventStream,
        session: &Snapshot,
        position: &mut Position,
    ) {
        let opened = Instant::now();
        let mut served = false;
        while let Ok(Some(event)) = stream.next().await {
            served = true;
            if event.is_message()
                && !event.data.is_empty()
                && self.take_unasked(event.data, session.epoch).await.is_err()
            {
                tracing::warn!("an event of the remote is no message and is left out");
            }
        }
        position.refused = None;
        position.last_id = stream.last_id().cloned().or(position.last_id.take());
        position.backoff.ended(opened.elapsed(), served, stream.retry());
    }
}

enum Opened {
    Stream(Box<EventStream>),
    /// Not before this time has passed.
    NotNow(Duration),
    /// Not with what there is.
    Refused,
    /// 404, which may mean the session.
    Forgotten,
    /// Something that is no stream.
    NotThis,
    Never,
}

impl Opened {
    fn not_now() -> Self {
        Self::NotNow(Duration::ZERO)
    }
}
