//! The requests of the client that have no answer yet: each gets one, and one only.

use super::call::{Call, Source};
use super::era::Era;
use crate::jsonrpc::IdKey;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::AbortHandle;

/// Requests in flight beyond which no more lines are read until some are answered.
pub(super) const MANY: usize = 20_000;

/// Handed to the transport.
const SENT: u64 = 1;

#[derive(Default)]
pub(super) struct Pending {
    entries: Mutex<HashMap<IdKey, Entry>>,
    fewer: Notify,
}

struct Entry {
    ticket: Ticket,
    task: Option<AbortHandle>,
}

/// What a request in flight is known by.
#[derive(Clone)]
pub(super) struct Ticket {
    /// The raw id as the client wrote it.
    pub(super) id: Bytes,
    pub(super) call: Arc<Call>,
    /// Whether it was handed to the transport, so that the remote may know of it; a number
    /// beyond [`SENT`] is that of the connection.
    sent: Arc<AtomicU64>,
}

impl Ticket {
    pub(super) fn new(call: &Arc<Call>) -> Self {
        let id = call.message.id().unwrap_or_default();
        Self { id, call: call.clone(), sent: Arc::default() }
    }

    pub(super) fn era(&self) -> Era {
        self.call.era
    }

    /// Who gets the answer.
    pub(super) fn source(&self) -> Source {
        self.call.source
    }

    pub(super) fn method(&self) -> &str {
        self.call.message.method()
    }

    /// A stream that is meant to last: nobody waits for its answer.
    pub(super) fn stays_open(&self) -> bool {
        self.method() == "subscriptions/listen"
    }

    pub(super) fn mark_sent(&self) {
        self.sent.store(SENT, Ordering::Relaxed);
    }

    /// The same over the connection of this number (HTTP+SSE).
    pub(super) fn mark_sent_over(&self, connection: u64) {
        self.sent.store(SENT + connection, Ordering::Relaxed);
    }

    /// The remote refused it unread: there is nothing that could be cancelled there.
    pub(super) fn mark_unsent(&self) {
        self.sent.store(0, Ordering::Relaxed);
    }

    pub(super) fn was_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed) >= SENT
    }

    pub(super) fn was_sent_over(&self, connection: u64) -> bool {
        self.sent.load(Ordering::Relaxed) == SENT + connection
    }
}

impl Pending {
    /// False if a request with that id has no answer yet.
    pub(super) fn add(&self, ticket: &Ticket) -> bool {
        let entry = Entry { ticket: ticket.clone(), task: None };
        let mut entries = self.lock();
        match entries.entry(IdKey::of(&ticket.id)) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(entry);
                true
            }
        }
    }

    /// Names the task that works on the request, for [`Pending::cancel`].
    pub(super) fn set_task(&self, id: &Bytes, task: AbortHandle) {
        if let Some(entry) = self.lock().get_mut(&IdKey::of(id)) {
            entry.task = Some(task);
        }
    }

    /// Claims the right to answer the request; only the first claim of the same ticket gets it.
    pub(super) fn claim(&self, ticket: &Ticket) -> bool {
        let mut entries = self.lock();
        let key = IdKey::of(&ticket.id);
        let entry = entries.get(&key);
        let mine = entry.is_some_and(|entry| Arc::ptr_eq(&entry.ticket.sent, &ticket.sent));
        if mine {
            entries.remove(&key);
            drop(entries);
            self.fewer.notify_waiters();
        }
        mine
    }

    /// True while the request waits for its answer.
    pub(super) fn holds(&self, ticket: &Ticket) -> bool {
        let entries = self.lock();
        let entry = entries.get(&IdKey::of(&ticket.id));
        entry.is_some_and(|entry| Arc::ptr_eq(&entry.ticket.sent, &ticket.sent))
    }

    /// The ticket of the request with that id.
    pub(super) fn get(&self, id: &Bytes) -> Option<Ticket> {
        self.lock().get(&IdKey::of(id)).map(|entry| entry.ticket.clone())
    }

    /// Gives the request up: it gets no answer any more, and its task ends, with which its
    /// connection is freed. `None` if it had its answer already.
    pub(super) fn cancel(&self, id: &Bytes) -> Option<Ticket> {
        let mut entries = self.lock();
        let entry = entries.remove(&IdKey::of(id))?;
        self.end_task(&entries, &entry);
        Some(entry.ticket)
    }

    /// Claims the right to answer for someone else than the request's own task, which ends.
    pub(super) fn take_over(&self, ticket: &Ticket) -> bool {
        let mut entries = self.lock();
        let key = IdKey::of(&ticket.id);
        let entry = entries.get(&key);
        if !entry.is_some_and(|entry| Arc::ptr_eq(&entry.ticket.sent, &ticket.sent)) {
            return false;
        }
        if let Some(entry) = entries.remove(&key) {
            self.end_task(&entries, &entry);
        }
        true
    }

    fn end_task(&self, entries: &HashMap<IdKey, Entry>, entry: &Entry) {
        // The requests of a batch share a task: it goes on for the others.
        let alone = |task: &AbortHandle| {
            !entries
                .values()
                .any(|other| other.task.as_ref().is_some_and(|one| one.id() == task.id()))
        };
        if let Some(task) = entry.task.as_ref().filter(|task| alone(task)) {
            task.abort();
        }
        self.fewer.notify_waiters();
    }

    /// Takes a request out that goes another way: its own task may end by itself. False if it
    /// was answered or given up.
    pub(super) fn withdraw(&self, ticket: &Ticket) -> bool {
        self.claim(ticket)
    }

    /// Every request that still waits, oldest or not.
    pub(super) fn all(&self) -> Vec<Ticket> {
        self.lock().values().map(|entry| entry.ticket.clone()).collect()
    }

    /// True if somebody waits for an answer.
    pub(super) fn is_awaited(&self) -> bool {
        self.lock().values().any(|entry| !entry.ticket.stays_open())
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().len() >= MANY
    }

    /// Something has become of a request elsewhere.
    pub(super) fn changed(&self) {
        self.fewer.notify_waiters();
    }

    /// Resolves when a request was answered or given up after this call.
    pub(super) fn fewer(&self) -> Notified<'_> {
        self.fewer.notified()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IdKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(id: &'static str) -> Ticket {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        let call = Call::read(crate::jsonrpc::Message::read(text.into()).unwrap()).unwrap();
        Ticket::new(&Arc::new(call))
    }

    #[test]
    fn only_the_first_claim_is_granted() {
        let pending = Pending::default();
        let first = ticket("1");
        assert!(pending.add(&first) && !pending.add(&ticket("1")));
        assert!(pending.claim(&first) && !pending.claim(&first));
        let second = ticket("1");
        assert!(pending.add(&second) && !pending.claim(&first), "an old ticket claims nothing");
    }

    #[test]
    fn a_cancelled_request_is_never_answered() {
        let pending = Pending::default();
        let ticket = ticket("\"a\"");
        pending.add(&ticket);
        assert!(pending.cancel(&Bytes::from_static(b"\"\\u0061\"")).is_some());
        assert!(!pending.claim(&ticket));
    }
}
