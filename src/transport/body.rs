//! The body of a response, whole or as server-sent events.

use super::connections::Place;
use super::sse::{Event, Parser, TooLong};
use crate::http::cause;
use bytes::{Bytes, BytesMut};
use reqwest::Response;
use std::time::Duration;
use url::Url;

/// What is read of the body of a refusal: bytes, and how long.
const REFUSAL_BYTES: usize = 256 * 1024;
const REFUSAL_TIME: Duration = Duration::from_secs(5);

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

/// A response body not yet read.
pub struct Body {
    response: Response,
    limit: usize,
    /// Of its connection.
    place: Place,
}

impl Body {
    /// `limit`: the largest message accepted, in bytes.
    pub(super) fn new(response: Response, limit: usize, place: Place) -> Self {
        Self { response, limit, place }
    }

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
        let Self { response, limit, place } = self;
        EventStream { parser: Parser::new(limit), response, place }
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
    place: Place,
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
            let ended = match self.response.chunk().await {
                Ok(Some(chunk)) => {
                    self.parser.push(chunk);
                    continue;
                }
                Ok(None) => Ok(None),
                Err(error) => Err(Lost::Broken(cause(&error))),
            };
            // The stream that takes this one up needs the place.
            self.place.leave();
            return ended;
        }
    }

    /// Where the stream came from, after redirects.
    pub(super) fn url(&self) -> &Url {
        self.response.url()
    }

    /// Accepts events of up to `limit` bytes from here on; returns what the limit was.
    pub(super) fn limit(&mut self, limit: usize) -> usize {
        self.parser.limit(limit)
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
