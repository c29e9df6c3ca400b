//! A remote of 2024-11-05 (HTTP+SSE): the session is one stream on which all that the remote
//! says comes, answers included, and an endpoint to which all that the client says is POSTed.
//! When the stream ends, the session has ended.
//!
//! `opening`: finding out that the remote is one, and connecting. `reading`: the stream, and
//! its return. `posting`: the way to the endpoint.

mod opening;
mod posting;
mod reading;

use super::session::Snapshot;
use crate::jsonrpc::{IdKey, Message};
use crate::transport::Transports;
use crate::transport::http_sse::Endpoint;
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// What is known of the remote in this regard.
pub(super) struct HttpSse {
    allowed: Transports,
    /// The last handshake found it to be one.
    found: AtomicBool,
    /// Connections so far.
    connections: AtomicU64,
    /// Attempts since a connection has lasted.
    attempts: AtomicU32,
}

impl HttpSse {
    pub(super) fn new(allowed: Transports) -> Self {
        Self {
            allowed,
            found: AtomicBool::default(),
            connections: AtomicU64::default(),
            attempts: AtomicU32::default(),
        }
    }

    /// True if a handshake begins with the stream.
    fn comes_first(&self) -> bool {
        match self.allowed {
            Transports::HttpFirst => self.found.load(Ordering::Relaxed),
            Transports::HttpOnly => false,
            Transports::SseFirst | Transports::SseOnly => true,
        }
    }

    fn is_all(&self) -> bool {
        self.allowed == Transports::SseOnly
    }
}

/// One connection: lives as long as somebody holds it, and ends with its stream.
pub(super) struct Connection {
    /// Unlike that of any other.
    number: u64,
    endpoint: Endpoint,
    /// Of the session that it is; 0 until its handshake is done.
    epoch: AtomicU64,
    opened: Instant,
    /// The bridge's own requests, which wait for their answers.
    asked: Mutex<HashMap<IdKey, oneshot::Sender<Message>>>,
    closed: watch::Sender<Option<Closed>>,
    /// Somebody sees to its return.
    returning: AtomicBool,
    /// The wait before that which the remote asked for, in milliseconds.
    retry: AtomicU64,
}

/// Why it is over.
#[derive(Debug, Clone)]
enum Closed {
    /// Its stream ended properly.
    Ended,
    Broken(String),
    /// A message was larger than allowed.
    TooLong,
    /// The remote does not know it any more.
    Forgotten,
}

impl Connection {
    fn new(number: u64, endpoint: Endpoint) -> Self {
        Self {
            number,
            endpoint,
            epoch: AtomicU64::default(),
            opened: Instant::now(),
            asked: Mutex::default(),
            closed: watch::Sender::new(None),
            returning: AtomicBool::default(),
            retry: AtomicU64::default(),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// It is the session of `epoch` from here on.
    pub(super) fn begin(&self, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
    }

    /// The answer to an own request of this raw id, when it comes.
    pub(super) fn expect(&self, id: &Bytes) -> oneshot::Receiver<Message> {
        let (sender, receiver) = oneshot::channel();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody waits for any more.
        asked.retain(|_, sender| !sender.is_closed());
        asked.insert(IdKey::of(id), sender);
        receiver
    }

    /// True if the message answers an own request; it is on its way to whoever waits for it.
    fn takes(&self, id: &Bytes, answer: &Message) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(&IdKey::of(id)).is_some_and(|one| one.send(answer.clone()).is_ok())
    }

    /// Ends it, with all that wait on it; the first reason counts.
    fn close(&self, why: Closed) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            closed.get_or_insert(why);
            first
        });
    }

    fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }

    /// Resolves when it is over.
    async fn closed(&self) -> Closed {
        let mut closed = self.closed.subscribe();
        let why = closed.wait_for(Option::is_some).await;
        // The sender lives as long as this does.
        why.ok().and_then(|why| why.clone()).unwrap_or(Closed::Ended)
    }
}

impl fmt::Debug for Connection {
    /// The endpoint may be as good as a session id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection {}", self.number)
    }
}

impl Snapshot {
    /// True if it ended with its connection.
    pub(super) fn is_lost(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.is_closed())
    }
}
