//! The client's requests until they are answered, each exactly once, or cancelled.

use super::super::cancelled;
use super::members::{joined, member};
use super::request::{Outgoing, Purpose, spliced};
use super::{Effect, ToModern};
use crate::jsonrpc::object::{find, get};
use crate::jsonrpc::{BridgeError, IdKey, Message, error_response, with_id};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;

/// A request of the client that waits for its answer.
#[derive(Debug)]
pub(super) struct Call {
    /// As the client sent it.
    pub(super) message: Message,
    pub(super) stage: Stage,
    pub(super) tasking: Tasking,
    /// How often it was sent before.
    pub(super) rounds: u32,
    /// What the remote asked for in this round, if it did: the raw key, and the raw answer.
    pub(super) inputs: Option<Vec<(Bytes, Option<Bytes>)>>,
    /// The raw `requestState` of this round.
    pub(super) state: Option<Bytes>,
    /// What the cache was when it was sent.
    pub(super) cache_epoch: u64,
}

/// What a call waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// The handshake.
    Queued,
    /// The remote's answer to the request with this number.
    Sent(u64),
    /// The client's answers, a pause, or an acknowledged subscription.
    Waiting,
    /// The end of a task.
    Task(String),
}

/// Whether a `tools/call` may become a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tasking {
    No,
    /// The client asked for one.
    Asked,
    /// The tool insists on it, and the client knows nothing of it.
    Hidden,
}

/// The calls in the client's order.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: BTreeMap<u64, Call>,
    by_id: HashMap<IdKey, u64>,
    last: u64,
}

impl Calls {
    fn add(&mut self, message: &Message) -> u64 {
        self.last += 1;
        let call = Call {
            message: message.clone(),
            stage: Stage::Queued,
            tasking: Tasking::No,
            rounds: 0,
            inputs: None,
            state: None,
            cache_epoch: 0,
        };
        self.all.insert(self.last, call);
        self.by_id.insert(IdKey::of(&message.id().unwrap_or_default()), self.last);
        self.last
    }

    pub(super) fn get(&self, call: u64) -> Option<&Call> {
        self.all.get(&call)
    }

    pub(super) fn get_mut(&mut self, call: u64) -> Option<&mut Call> {
        self.all.get_mut(&call)
    }

    pub(super) fn with_id(&self, id: &Bytes) -> Option<u64> {
        self.by_id.get(&IdKey::of(id)).copied()
    }

    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = (u64, &Call)> {
        self.all.iter().map(|(call, waiting)| (*call, waiting))
    }

    pub(super) fn sent(&mut self, call: u64, number: u64) {
        if let Some(call) = self.all.get_mut(&call) {
            call.stage = Stage::Sent(number);
        }
    }

    fn queued(&self) -> Vec<u64> {
        let queued = self.all.iter().filter(|(_, call)| call.stage == Stage::Queued);
        queued.map(|(nth, _)| *nth).collect()
    }

    fn remove(&mut self, call: u64) -> Option<Call> {
        let removed = self.all.remove(&call)?;
        self.by_id.remove(&IdKey::of(&removed.message.id().unwrap_or_default()));
        Some(removed)
    }
}

impl ToModern {
    pub(super) fn requested(&mut self, message: &Message) {
        match message.method() {
            "ping" => self.tell_client(response(&message.id().unwrap_or_default(), b"{}")),
            "initialize" => {
                let call = self.calls.add(message);
                if let Some(waiting) = self.calls.get_mut(call) {
                    waiting.stage = Stage::Waiting;
                }
                self.initialize(call, message);
            }
            _ => {
                let call = self.calls.add(message);
                if self.discovering.is_none() {
                    self.start(call);
                }
            }
        }
    }

    /// What waited for the handshake goes on.
    pub(super) fn start_queued(&mut self) {
        for call in self.calls.queued() {
            self.start(call);
        }
    }

    fn start(&mut self, call: u64) {
        let has_tasks = self.has_tasks();
        let Some(waiting) = self.calls.get_mut(call) else { return };
        waiting.stage = Stage::Waiting;
        let message = waiting.message.clone();
        let params = message.params().unwrap_or_default();
        if !has_room(&message) {
            let error = BridgeError::new(INVALID_PARAMS, "params is no object");
            return self.refuse(call, &error);
        }
        match message.method() {
            "logging/setLevel" => {
                let level = get(params, "level").unwrap_or_default();
                if self.identity.set_level(level) {
                    self.answer_with(call, b"{}");
                } else {
                    let error = "logging/setLevel names no level that there is";
                    self.refuse(call, &BridgeError::new(INVALID_PARAMS, error));
                }
            }
            "resources/subscribe" => self.subscribe(call, params, true),
            "resources/unsubscribe" => self.subscribe(call, params, false),
            "tools/call" if has_tasks && get(params, "task").is_some() => {
                waiting.tasking = Tasking::Asked;
                self.send_round(call);
            }
            "tasks/get" | "tasks/result" | "tasks/cancel" | "tasks/list" if has_tasks => {
                self.start_task_request(call, &message);
            }
            _ => self.ask_cache(call, &message),
        }
    }

    /// Sends a call, for the first time or with what the remote asked for.
    pub(super) fn send_round(&mut self, call: u64) {
        let has_tasks = self.has_tasks();
        let Some(waiting) = self.calls.get_mut(call) else { return };
        let out: &[&str] = match (waiting.rounds, waiting.tasking) {
            (0, Tasking::Asked) => &["task"],
            (0, _) => &[],
            (_, Tasking::Asked) => &["task", "inputResponses", "requestState"],
            (_, _) => &["inputResponses", "requestState"],
        };
        let added = if waiting.rounds > 0 { waiting.collected() } else { Vec::new() };
        let about_tasks = has_tasks && waiting.message.method().starts_with("tasks/");
        let tasks = waiting.tasking != Tasking::No || about_tasks;
        let request = Outgoing::of(&waiting.message, out, added).with_tasks(tasks);
        waiting.cache_epoch = self.cache.epoch();
        let number = self.send(Purpose::Round(call), request);
        self.calls.sent(call, number);
    }

    /// Answers a call with a whole response.
    pub(super) fn answer(&mut self, call: u64, text: Bytes) {
        if self.calls.remove(call).is_some() {
            self.tell_client(text);
        }
    }

    /// Answers a call with a raw result.
    pub(super) fn answer_with(&mut self, call: u64, result: &[u8]) {
        let text = response(&self.client_id(call), result);
        self.answer(call, text);
    }

    /// Answers a call with an error made here.
    pub(super) fn refuse(&mut self, call: u64, error: &BridgeError) {
        let text = error_response(Some(&self.client_id(call)), error);
        self.answer(call, text);
    }

    /// Answers a call with somebody's error response.
    pub(super) fn pass_error(&mut self, call: u64, error: &Message) {
        let text = with_id(error, &self.client_id(call));
        self.answer(call, text);
    }

    pub(super) fn client_id(&self, call: u64) -> Bytes {
        self.calls.get(call).and_then(|call| call.message.id()).unwrap_or_default()
    }

    /// A notification of the client.
    pub(super) fn noted(&mut self, message: &Message) {
        match message.method() {
            "notifications/initialized" => {
                self.listen.ready = true;
                if self.discovering.is_none() {
                    self.settle();
                }
            }
            "notifications/cancelled" => {
                let params = message.params_range().unwrap_or_default();
                if let Some(id) = find(message.text(), params.start, "requestId") {
                    let call = self.calls.with_id(&message.text().slice(id));
                    call.into_iter().for_each(|call| self.cancel(call));
                }
            }
            // What a modern server takes from nobody.
            "notifications/roots/list_changed"
            | "notifications/progress"
            | "notifications/tasks/status" => {}
            _ if !has_room(message) => {}
            _ => {
                let meta = self.identity.meta(false, false);
                self.effects.push(Effect::ToRemote(spliced(message, None, &meta, &[], b"")));
            }
        }
    }

    fn cancel(&mut self, call: u64) {
        // MCP: the handshake cannot be cancelled.
        if self.calls.get(call).is_none_or(|call| call.message.method() == "initialize") {
            return;
        }
        let Some(gone) = self.calls.remove(call) else { return };
        match gone.stage {
            Stage::Queued => {}
            Stage::Sent(number) => self.abandon(number),
            Stage::Waiting => {
                self.listen.forget(call);
                self.withdraw(|whose| whose.is_of_call(call));
            }
            Stage::Task(task) => self.leave(&task, call, gone.tasking),
        }
    }

    /// Takes back questions to the client.
    pub(super) fn withdraw(&mut self, which: impl Fn(&super::question::Whose) -> bool) {
        let open = self.questions.iter().filter(|(_, question)| which(&question.whose));
        let numbers: Vec<_> = open.map(|(number, _)| *number).collect();
        for number in numbers {
            self.questions.remove(&number);
            let text = cancelled(&self.ids.raw(number));
            self.tell_client(text);
        }
    }
}

impl Call {
    /// The raw members that a retried call carries (MCP 2026-07-28, "Multi Round-Trip Requests").
    fn collected(&self) -> Vec<u8> {
        let answered = |(key, answer): &(Bytes, Option<Bytes>)| {
            Some([&key[..], b":", answer.as_ref()?].concat())
        };
        let inputs = self.inputs.as_ref().map(|inputs| {
            let inputs: Vec<_> = inputs.iter().filter_map(answered).collect();
            member("inputResponses", &[b"{", &inputs.join(&b","[..])[..], b"}"].concat())
        });
        let state = self.state.as_ref().map(|state| member("requestState", state));
        joined(&[&inputs.unwrap_or_default(), &state.unwrap_or_default()])
    }
}

/// True if `_meta`, without which no modern server takes it, can be put into `params`.
fn has_room(message: &Message) -> bool {
    message.params().is_none_or(|params| params.starts_with(b"{") || params == b"null")
}

/// The response to a raw id with a raw result.
pub(super) fn response(id: &[u8], result: &[u8]) -> Bytes {
    [&br#"{"jsonrpc":"2.0","id":"#[..], id, br#","result":"#, result, b"}"].concat().into()
}
