//! A modern client at a legacy remote (MCP 2026-07-28 in the words of 2025-11-25): the handshake
//! and the session that the client knows nothing of, questions of the remote in the answers to
//! the client's own requests, changes on the client's subscriptions.
//!
//! What it remembers is bounded: 100,000 requests of the client, 1,000 calls whose client was
//! asked something (each with 100 questions, 256 notifications or 1 MB of them, and 64 MB of
//! answers in all), 100 questions that wait for a call, 1,000 subscriptions to 1,000 resources.

mod answers;
mod calls;
mod capabilities;
mod edits;
mod links;
mod listens;
mod logging;
mod parked;
mod questions;
mod request;
mod session;
mod tasks;
mod traffic;

pub(in super::super) use answers::modern as as_modern;

use super::{Effect, Open, Reach};
use crate::bridge::pending;
use crate::jsonrpc::{IdKey, Kind, Message};
use bytes::Bytes;
use calls::Call;
use listens::Listens;
use logging::{Level, Logging};
use parked::Round;
use questions::Question;
use request::Request;
use session::Session;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// Requests of the client without an answer.
const MANY: usize = 100_000;

/// The translation's state.
#[derive(Debug)]
pub(in super::super) struct ToLegacy {
    ids: Ids,
    remote: String,
    session: Session,
    /// What cannot be sent yet, in the client's order.
    queue: Vec<Queued>,
    /// The requests that the client waits for.
    clients: HashMap<IdKey, Waiter>,
    /// By the number of their first own request, so that the oldest come first.
    calls: BTreeMap<u64, Call>,
    /// Own requests without an answer.
    asked: HashMap<IdKey, Asked>,
    /// Calls by the progress token that the remote knows.
    tokens: HashMap<IdKey, u64>,
    /// What the client has been asked and is to come again for.
    rounds: BTreeMap<u64, Round>,
    /// What the remote asks while there is no call to ask it with.
    questions: Vec<Question>,
    listens: Listens,
    logging: Logging,
    /// Tools that are to be called as tasks.
    task_tools: HashSet<String>,
    /// Calls whose task is to be looked at.
    timers: HashMap<u64, u64>,
    effects: Vec<Effect>,
}

/// Numbers for everything that needs a name.
#[derive(Debug)]
struct Ids {
    prefix: String,
    last: u64,
}

impl Ids {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn next_plain(&mut self) -> String {
        let number = self.next();
        format!("{}-{number}", self.prefix)
    }

    fn raw(&self, number: u64) -> Bytes {
        format!("\"{}-{number}\"", self.prefix).into()
    }
}

/// A message of the client that cannot be sent yet.
#[derive(Debug)]
struct Queued {
    request: Request,
    why: Why,
    /// A subscription that the client was told of already.
    acknowledged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There is no session yet.
    Session,
    /// The session does not know all that the client can do; with a timer.
    Quiet(u64),
    /// The remote is being told of its log level.
    Level(Level),
}

/// What becomes of a request of the client.
#[derive(Debug, Clone, Copy)]
enum Waiter {
    Queued,
    Call(u64),
    Listen(u64),
}

/// What an own request is for.
#[derive(Debug)]
enum Asked {
    Initialize,
    Level,
    Subscribe(String),
    Unsubscribe(String),
    Call(u64),
    TaskGet(u64),
    TaskResult(u64),
    /// A call that is to become a task, cancelled by now.
    InVain,
    Nothing,
}

impl ToLegacy {
    /// `ids`: prefix for the ids of own requests; `remote`: its name for error texts.
    pub(in super::super) fn new(ids: String, remote: String) -> Self {
        Self {
            ids: Ids { prefix: ids, last: 0 },
            remote,
            session: Session::default(),
            queue: Vec::new(),
            clients: HashMap::new(),
            calls: BTreeMap::new(),
            asked: HashMap::new(),
            tokens: HashMap::new(),
            rounds: BTreeMap::new(),
            questions: Vec::new(),
            listens: Listens::default(),
            logging: Logging::default(),
            task_tools: HashSet::new(),
            timers: HashMap::new(),
            effects: Vec::new(),
        }
    }

    /// A message of the client: valid JSON-RPC, a request's id is none that waits already.
    pub(in super::super) fn client(&mut self, message: &Message) -> Vec<Effect> {
        match message.kind() {
            Kind::Request => self.requested(message, false),
            Kind::Notification => self.notified(message),
            // Nothing is asked of a modern client but in answers to its own requests.
            Kind::Response => {}
        }
        self.done()
    }

    /// A message of the remote: `origin` is the own request on whose stream it came.
    pub(in super::super) fn remote(
        &mut self,
        message: &Message,
        origin: Option<&[u8]>,
    ) -> Vec<Effect> {
        match message.kind() {
            Kind::Request => self.asked(message, origin),
            Kind::Notification => self.told(message, origin),
            Kind::Response => self.answered(message),
        }
        self.done()
    }

    /// The time of an [`Effect::After`] has come; stale tokens are harmless.
    pub(in super::super) fn tick(&mut self, token: u64) -> Vec<Effect> {
        if let Some(number) = self.timers.remove(&token) {
            self.poll(number);
        } else {
            self.expire(token);
            self.end_lingering(token);
            self.give_up_quiet(token);
        }
        self.done()
    }

    /// True if the client waits for an answer to a request with this raw id.
    pub(in super::super) fn waits_for(&self, id: &Bytes) -> bool {
        self.clients.contains_key(&IdKey::of(id))
    }

    /// The client's requests without an answer, as it sent them.
    pub(in super::super) fn open(&self) -> Vec<Open> {
        let calls = self.calls.iter().filter(|(_, call)| !call.is_parked());
        let calls = calls.map(|(number, call)| (*number, &call.request, call.reach()));
        let mut sent: Vec<_> = calls.chain(self.listens.requests()).collect();
        sent.sort_by_key(|(number, ..)| *number);
        let queued = self.queue.iter().map(|queued| {
            let reach = if queued.acknowledged { Reach::Acknowledged } else { Reach::Here };
            (&queued.request, reach)
        });
        let all = sent.into_iter().map(|(_, request, reach)| (request, reach)).chain(queued);
        all.filter(|(one, _)| one.message.kind() == Kind::Request)
            .map(|(one, reach)| Open { message: one.message.clone(), reach })
            .collect()
    }

    /// True if the client waits for an answer that does not depend on what it says next.
    pub(in super::super) fn is_awaited(&self) -> bool {
        let listens = |queued: &Queued| queued.request.method() == "subscriptions/listen";
        self.calls.values().any(|call| !call.is_parked())
            || self.queue.iter().any(|queued| !listens(queued))
    }

    /// True while as much waits for the handshake as may.
    pub(in super::super) fn is_full(&self) -> bool {
        self.session.is_opening() && self.queue.len() >= pending::MANY
    }

    /// A `subscriptions/listen` that was acknowledged already.
    pub(in super::super) fn listening(&mut self, message: &Message) -> Vec<Effect> {
        self.requested(message, true);
        self.done()
    }

    fn done(&mut self) -> Vec<Effect> {
        self.settle();
        std::mem::take(&mut self.effects)
    }

    fn queue_up(&mut self, queued: Queued) {
        if queued.request.message.kind() == Kind::Request {
            self.clients.insert(IdKey::of(&queued.request.id()), Waiter::Queued);
        }
        self.queue.push(queued);
    }

    fn take_queued(&mut self, ready: impl Fn(&Queued) -> bool) -> Vec<Queued> {
        let (ready, waiting) = std::mem::take(&mut self.queue).into_iter().partition(ready);
        self.queue = waiting;
        ready
    }

    /// What waited for a session, in it.
    fn unqueue(&mut self, queued: Queued) {
        self.forget_client(&queued.request.id());
        self.dispatch(queued.request, queued.acknowledged);
    }

    /// The client does not wait for this any more; false if it did not.
    fn forget_client(&mut self, id: &Bytes) -> bool {
        self.clients.remove(&IdKey::of(id)).is_some()
    }

    fn tell_client(&mut self, text: impl Into<Bytes>) {
        self.effects.push(Effect::ToClient(text.into()));
    }

    fn tell_remote(&mut self, text: impl Into<Bytes>) {
        self.effects.push(Effect::ToRemote(text.into()));
    }

    fn after(&mut self, time: Duration, token: u64) {
        self.effects.push(Effect::After(time, token));
    }

    /// A request of our own; returns its raw id.
    fn ask_remote(&mut self, method: &str, params: &str, asked: Asked) -> Bytes {
        let number = self.ids.next();
        let own = self.ids.raw(number);
        let id = String::from_utf8_lossy(&own);
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        self.asked.insert(IdKey::of(&own), asked);
        self.tell_remote(text);
        own
    }

    /// Answers the client with an error.
    fn refuse(&mut self, id: &Bytes, code: i32, why: impl Into<String>) {
        self.tell_client(answers::refused(id, code, why));
    }

    /// Answers the remote with an error.
    fn refuse_remote(&mut self, id: &Bytes, code: i32, why: impl Into<String>) {
        self.tell_remote(answers::refused(id, code, why));
    }
}

#[cfg(test)]
mod tests;
