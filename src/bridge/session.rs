//! The legacy session: its id and negotiated version, and what it takes to begin it anew
//! (MCP 2025-11-25, "Session Management").

use super::http_sse::Connection;
use super::recovery::LastFailure;
use super::stand_in::{Lacks, Told};
use crate::jsonrpc::object::{get, string};
use crate::jsonrpc::{IdKey, Message};
use crate::transport::metadata::{PROTOCOL_VERSION, SESSION_ID};
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// The one revision with batches.
const BATCH_VERSION: &str = "2025-03-26";
/// Requests of the server without an answer that are remembered.
const MANY: usize = 10_000;
/// Sessions begun anew between two requests of the client.
const UNASKED: u32 = 3;

#[derive(Default)]
pub(super) struct Session {
    state: Mutex<State>,
    /// Held while a lost session is begun anew.
    pub(super) recovery: tokio::sync::Mutex<Option<LastFailure>>,
    /// Sessions begun anew for the GET stream alone, since the client last sent a request.
    unasked: AtomicU32,
}

#[derive(Default)]
struct State {
    now: Snapshot,
    /// The successor of a lost session, until its handshake is done.
    forming: Option<Snapshot>,
    /// The client's own `initialize`, to begin again with.
    initialize: Option<Message>,
    log_level: Option<Message>,
    /// By URI.
    subscriptions: BTreeMap<String, Message>,
    /// The epoch in which the server asked, by the id it used.
    server_requests: HashMap<IdKey, u64>,
    /// Their ids in the order they came, some of them answered.
    server_order: VecDeque<IdKey>,
    listener: Option<AbortHandle>,
    own_ids: u64,
}

/// How a session came about: what is known of it beside the answer to `initialize`.
#[derive(Clone, Copy)]
pub(super) enum Opener<'a> {
    /// Over Streamable HTTP, with these headers of the response.
    Http(&'a HeaderMap),
    /// Over this connection (HTTP+SSE).
    Connection(&'a Arc<Connection>),
}

/// The session as one request sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    /// Grows with every session.
    pub(super) epoch: u64,
    pub(super) id: Option<HeaderValue>,
    version: Option<HeaderValue>,
    /// What the client was told, where its handshake was answered without the remote.
    pub(super) told: Option<Arc<Told>>,
    /// The remote has begun no session yet.
    stand_in: bool,
    /// A translation speaks for the client instead, as long as that is what the remote wants.
    left: bool,
    /// What the remote does not have, though the client was told so.
    pub(super) lacks: Lacks,
    /// The client's `notifications/initialized`, which the remote would not take yet.
    pub(super) unsaid: Option<Bytes>,
    /// What it goes over, and ends with, where the remote speaks HTTP+SSE.
    pub(super) connection: Option<Arc<Connection>>,
}

impl Snapshot {
    /// The session that an answer to `initialize` opens.
    pub(super) fn new(epoch: u64, answer: &Message, opener: Opener<'_>) -> Self {
        let version = answer.result().and_then(|result| string(get(result, "protocolVersion")?));
        let (id, connection) = match opener {
            Opener::Http(headers) => (headers.get(SESSION_ID).cloned(), None),
            Opener::Connection(connection) => {
                connection.begin(epoch);
                (None, Some(connection.clone()))
            }
        };
        let version = version.and_then(|version| HeaderValue::from_str(&version).ok());
        Self { epoch, id, version, connection, ..Self::default() }
    }

    /// The same as the successor of `lost`, for the same client.
    pub(super) fn after(mut self, lost: &Self, answer: &Message) -> Self {
        self.told.clone_from(&lost.told);
        if self.told.is_some() {
            self.lacks = Lacks::of(answer);
        }
        self
    }

    /// The same over another connection, or over none.
    pub(super) fn by(self, connection: Option<Arc<Connection>>) -> Self {
        Self { connection, ..self }
    }

    /// True while there is no session at the remote, and a person is needed to begin one.
    pub(super) fn is_stand_in(&self) -> bool {
        self.stand_in
    }

    pub(super) fn is_left(&self) -> bool {
        self.left
    }

    /// True for a session at the remote.
    pub(super) fn is_real(&self) -> bool {
        self.epoch > 0 && !self.stand_in
    }

    /// Adds what every message of a session carries.
    pub(super) fn put_headers(&self, headers: &mut HeaderMap) {
        if let Some(id) = &self.id {
            headers.insert(SESSION_ID, id.clone());
        }
        if let Some(version) = &self.version {
            headers.insert(PROTOCOL_VERSION, version.clone());
        }
    }

    /// What the client knows of it, in a stand-in for it.
    pub(super) fn as_told(&self) -> Told {
        match &self.told {
            Some(told) => Told::clone(told),
            None => {
                let version = self.version.as_ref().and_then(|version| version.to_str().ok());
                Told { version: version.unwrap_or_default().to_owned(), promises: Vec::new() }
            }
        }
    }

    /// True where the revision that the client knows has batches.
    pub(super) fn has_batches(&self) -> bool {
        match &self.told {
            Some(told) => told.version == BATCH_VERSION,
            None => self.version.as_ref().is_some_and(|version| version == BATCH_VERSION),
        }
    }
}

impl State {
    /// Returns the session before; what was asked in it can no longer be answered.
    fn become_session(&mut self, fresh: Snapshot) -> Snapshot {
        let epoch = fresh.epoch;
        self.server_requests.retain(|_, asked| *asked == epoch);
        std::mem::replace(&mut self.now, fresh)
    }
}

impl Session {
    pub(super) fn snapshot(&self) -> Snapshot {
        self.lock().now.clone()
    }

    /// The answer to `initialize` has come: a new session begins. Returns the one before,
    /// if it had an id.
    pub(super) fn establish(
        &self,
        initialize: &Message,
        answer: &Message,
        opener: Opener<'_>,
    ) -> Option<Snapshot> {
        self.replace(initialize, |epoch| Snapshot::new(epoch, answer, opener))
    }

    /// The same, where `initialize` was answered without the remote.
    pub(super) fn begin_stand_in(&self, initialize: &Message, told: Told) -> Option<Snapshot> {
        let told = Some(Arc::new(told));
        let fresh = |epoch| Snapshot { epoch, told, stand_in: true, ..Snapshot::default() };
        self.replace(initialize, fresh)
    }

    /// The same, where a translation has taken the place of the session for now.
    pub(super) fn leave(&self, initialize: &Message, told: Told) {
        let told = Some(Arc::new(told));
        self.replace(initialize, |epoch| Snapshot {
            epoch,
            told,
            stand_in: true,
            left: true,
            ..Snapshot::default()
        });
    }

    fn replace(
        &self,
        initialize: &Message,
        fresh: impl FnOnce(u64) -> Snapshot,
    ) -> Option<Snapshot> {
        let mut state = self.lock();
        let fresh = fresh(state.now.epoch + 1);
        state.initialize = Some(initialize.clone());
        let before = state.become_session(fresh);
        before.id.is_some().then_some(before)
    }

    /// The successor of a lost session: the server may ask in it already.
    pub(super) fn form(&self, fresh: &Snapshot) {
        self.lock().forming = Some(fresh.clone());
    }

    /// The session of epoch `lost` has the successor that was formed. Returns the successor
    /// if it is of no use, because there is another one already.
    pub(super) fn succeed(&self, lost: u64) -> Option<Snapshot> {
        let mut state = self.lock();
        let fresh = state.forming.take()?;
        if state.now.epoch != lost {
            return Some(fresh);
        }
        state.become_session(fresh);
        None
    }

    /// The successor came to nothing: returns it, if it was formed.
    pub(super) fn abandon(&self) -> Option<Snapshot> {
        self.lock().forming.take()
    }

    /// The remote has yet to hear `initialized`, the end of the handshake of `epoch`; none
    /// once it has.
    pub(super) fn set_unsaid(&self, epoch: u64, initialized: Option<Bytes>) {
        let mut state = self.lock();
        if state.now.epoch == epoch {
            state.now.unsaid = initialized;
        }
    }

    /// The client sent a request.
    pub(super) fn used(&self) {
        self.unasked.store(0, Ordering::Relaxed);
    }

    /// True if a session may be begun anew though no request of the client needs it: a server
    /// whose sessions do not last must not be given one after the other for ever.
    pub(super) fn may_begin_unasked(&self) -> bool {
        self.unasked.fetch_add(1, Ordering::Relaxed) < UNASKED
    }

    /// A new handshake of the client: what it had set before is void.
    pub(super) fn forget_settings(&self) {
        let mut state = self.lock();
        state.log_level = None;
        state.subscriptions.clear();
    }

    pub(super) fn initialize(&self) -> Option<Message> {
        self.lock().initialize.clone()
    }

    /// Remembers what has to be said again in a new session; called once the remote agreed.
    pub(super) fn remember(&self, request: &Message) {
        let uri = || string(get(request.params()?, "uri")?).map(|uri| uri.into_owned());
        match request.method() {
            "logging/setLevel" => self.lock().log_level = Some(request.clone()),
            "resources/subscribe" => {
                if let Some(uri) = uri() {
                    self.lock().subscriptions.insert(uri, request.clone());
                }
            }
            "resources/unsubscribe" => {
                if let Some(uri) = uri() {
                    self.lock().subscriptions.remove(&uri);
                }
            }
            _ => {}
        }
    }

    /// What was remembered, in the order to say it.
    pub(super) fn remembered(&self) -> Vec<Message> {
        let state = self.lock();
        state.log_level.iter().chain(state.subscriptions.values()).cloned().collect()
    }

    /// An id for a request of the bridge itself.
    pub(super) fn own_id(&self) -> Bytes {
        let mut state = self.lock();
        state.own_ids += 1;
        format!("\"keyferry-{}-{}\"", std::process::id(), state.own_ids).into()
    }

    /// The server asks something; the answer belongs to this session only.
    pub(super) fn asked(&self, id: &Bytes, epoch: u64) {
        let mut state = self.lock();
        // The oldest first, which is the least likely to be answered yet.
        while state.server_requests.len() >= MANY
            && let Some(oldest) = state.server_order.pop_front()
        {
            state.server_requests.remove(&oldest);
        }
        if state.server_order.len() >= 2 * MANY {
            let State { server_order, server_requests, .. } = &mut *state;
            server_order.retain(|id| server_requests.contains_key(id));
        }
        state.server_order.push_back(IdKey::of(id));
        state.server_requests.insert(IdKey::of(id), epoch);
    }

    /// The client answers: the session in which it was asked, if that is still there.
    pub(super) fn answerable(&self, id: &Bytes) -> Option<Snapshot> {
        let mut state = self.lock();
        let epoch = state.server_requests.remove(&IdKey::of(id))?;
        let sessions = [Some(&state.now), state.forming.as_ref()];
        sessions.into_iter().flatten().find(|session| session.epoch == epoch).cloned()
    }

    /// The task that reads the GET stream; the one before ends.
    pub(super) fn set_listener(&self, task: Option<AbortHandle>) {
        let before = std::mem::replace(&mut self.lock().listener, task);
        if let Some(before) = before {
            before.abort();
        }
    }

    /// Ends the session here; returns it if the remote has to be told.
    pub(super) fn end(&self) -> Option<Snapshot> {
        self.set_listener(None);
        let mut state = self.lock();
        let now = std::mem::take(&mut state.now);
        now.id.is_some().then_some(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
