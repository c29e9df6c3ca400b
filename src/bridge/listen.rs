//! The GET stream of a legacy session, on which the server speaks unasked.

use super::Bridge;
use super::resumption::jitter;
use super::session::Snapshot;
use crate::transport::metadata::LAST_EVENT_ID;
use crate::transport::{Content, EventStream};
use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where the stream stands between two connections.
#[derive(Default)]
struct Position {
    last_id: Option<Bytes>,
    retry: Option<Duration>,
}

impl Bridge {
    /// Opens the GET stream of the session as it is now and keeps it open.
    pub(super) fn listen(self: &Arc<Self>) {
        let bridge = self.clone();
        let task = tokio::spawn(async move { bridge.keep_listening().await });
        self.session.set_listener(Some(task.abort_handle()));
    }

    async fn keep_listening(&self) {
        let session = self.session.snapshot();
        let mut position = Position::default();
        let mut wait = FIRST_WAIT;
        loop {
            match self.open_stream(&session, &position).await {
                Opened::Stream(mut stream) => {
                    wait = FIRST_WAIT;
                    self.read_stream(&mut stream, &session).await;
                    position.last_id = stream.last_id().cloned().or(position.last_id);
                    position.retry = stream.retry().or(position.retry);
                }
                Opened::Never => return,
                Opened::NotNow => wait = (wait * 2).min(LONGEST_WAIT),
            }
            let pause = position.retry.map_or(wait, |retry| retry.min(LONGEST_WAIT));
            tokio::time::sleep(pause + jitter(pause / 4)).await;
        }
    }

    async fn open_stream(&self, session: &Snapshot, position: &Position) -> Opened {
        let Ok(credential) = self.credential().await else { return Opened::NotNow };
        let mut headers = credential.headers.clone();
        session.put_headers(&mut headers);
        if let Some(id) = position.last_id.as_ref().and_then(|id| HeaderValue::from_bytes(id).ok())
        {
            headers.insert(LAST_EVENT_ID, id);
        }
        match self.remote.get(headers).await {
            Ok(reply)
                if reply.status == StatusCode::OK && reply.content == Content::EventStream =>
            {
                Opened::Stream(Box::new(reply.body.events()))
            }
            Ok(reply) if reply.status == StatusCode::UNAUTHORIZED => {
                match self.authorization.after_refusal(&credential).await {
                    Ok(_) => Opened::NotNow,
                    Err(_) => Opened::Never,
                }
            }
            // Overloaded or on its way down: it may be back.
            Ok(reply)
                if reply.status.is_server_error()
                    && reply.status != StatusCode::NOT_IMPLEMENTED =>
            {
                Opened::NotNow
            }
            Ok(reply) => {
                tracing::debug!(status = reply.status.as_u16(), "the remote offers no GET stream");
                Opened::Never
            }
            Err(_) => Opened::NotNow,
        }
    }

    async fn read_stream(&self, stream: &mut EventStream, session: &Snapshot) {
        while let Ok(Some(event)) = stream.next().await {
            if event.is_message()
                && !event.data.is_empty()
                && self.take_unasked(event.data, session.epoch).await.is_err()
            {
                tracing::warn!("an event of the remote is no message and is left out");
            }
        }
    }
}

enum Opened {
    Stream(Box<EventStream>),
    NotNow,
    Never,
}
