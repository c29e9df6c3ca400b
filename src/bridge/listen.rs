//! The GET stream of a legacy session, on which the server speaks unasked.

use super::Bridge;
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

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait that a server may ask for.
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// Whatever a server asks for, it is not asked in a tight loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);

/// Where the stream stands between two connections.
#[derive(Default)]
struct Position {
    last_id: Option<Bytes>,
    retry: Option<Duration>,
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
        let mut wait = FIRST_WAIT;
        let mut accepted = self.stand_in.acceptance();
        loop {
            let mut soon = None;
            match self.open_stream(&session, &mut position).await {
                Opened::Stream(mut stream) => {
                    was_open = true;
                    position.refused = None;
                    let brought_something = self.read_stream(&mut stream, &session).await;
                    position.last_id = stream.last_id().cloned().or(position.last_id);
                    position.retry = stream.retry().or(position.retry);
                    if brought_something {
                        wait = FIRST_WAIT;
                        soon = position.retry;
                    }
                }
                // MCP: a 404 to a request with a session id begins a new one, which has its
                // own stream. A server without such streams answers 404 from the start.
                Opened::Forgotten if was_open && self.session.may_begin_unasked() => {
                    let anew = self.recover(session.epoch).await;
                    return self.log_refusal("a new session", anew);
                }
                Opened::Forgotten | Opened::Never => return,
                // Another try with another token would be one for ever.
                Opened::Refused => {
                    let _ = accepted.changed().await;
                    (position.refused, wait) = (None, FIRST_WAIT);
                    continue;
                }
                Opened::NotNow => {}
            }
            let pause = match soon {
                Some(retry) => retry.clamp(SHORTEST_WAIT, LONGEST_RETRY),
                None => position.retry.map_or(wait, |retry| retry.clamp(wait, LONGEST_RETRY)),
            };
            if soon.is_none() {
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            let asked = Instant::now() + position.retry.unwrap_or_default().min(LONGEST_RETRY);
            tokio::select! {
                () = tokio::time::sleep(pause + jitter(pause / 4)) => {}
                // Somebody has signed in: no reason to wait but the server's own.
                Ok(()) = accepted.changed() => {
                    wait = FIRST_WAIT;
                    tokio::time::sleep_until(asked).await;
                }
            }
        }
    }

    async fn open_stream(&self, session: &Snapshot, position: &mut Position) -> Opened {
        let Ok(credential) = self.credential().await else { return Opened::NotNow };
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
            // Overloaded or on its way down: it may be back.
            Ok(reply)
                if reply.status.is_server_error()
                    && reply.status != StatusCode::NOT_IMPLEMENTED =>
            {
                Opened::NotNow
            }
            Ok(reply) if reply.status == StatusCode::NOT_FOUND && session.id.is_some() => {
                Opened::Forgotten
            }
            Ok(reply) => {
                tracing::debug!(status = reply.status.as_u16(), "the remote offers no GET stream");
                Opened::Never
            }
            Err(_) => Opened::NotNow,
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
            Ok(_) | Err(_) => Opened::NotNow,
        }
    }

    /// Reads until the stream ends; true if it brought anything.
    async fn read_stream(self: &Arc<Self>, stream: &mut EventStream, session: &Snapshot) -> bool {
        let mut brought_something = false;
        while let Ok(Some(event)) = stream.next().await {
            brought_something = true;
            if event.is_message()
                && !event.data.is_empty()
                && self.take_unasked(event.data, session.epoch).await.is_err()
            {
                tracing::warn!("an event of the remote is no message and is left out");
            }
        }
        brought_something
    }
}

enum Opened {
    Stream(Box<EventStream>),
    NotNow,
    /// Not with what there is.
    Refused,
    /// 404, which may mean the session.
    Forgotten,
    Never,
}
