//! Requests of the client that the remote works on, and its answers to them.

use super::capabilities::Offers;
use super::edits::Edits;
use super::logging::Level;
use super::parked::Parked;
use super::request::{Change, Request};
use super::tasks::Task;
use super::{Asked, ToLegacy, Waiter, answers};
use crate::jsonrpc::object::find;
use crate::jsonrpc::{IdKey, Message};
use bytes::Bytes;

/// A request that was translated and has not been concluded.
#[derive(Debug)]
pub(super) struct Call {
    /// As the client sent it, or its last retry.
    pub(super) request: Request,
    pub(super) offers: Offers,
    pub(super) level: Option<Level>,
    /// The progress token that the remote knows.
    token: Option<Bytes>,
    /// The raw id of the own request that it waits for.
    pub(super) own: Bytes,
    pub(super) task: Task,
    /// While the client has its answer and is to come again.
    pub(super) parked: Option<Box<Parked>>,
}

impl Call {
    pub(super) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// True if the remote has nothing to do with it any more.
    pub(super) fn is_answered(&self) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.answer.is_some())
    }

    /// True for methods whose answer may be a question (MCP 2026-07-28, "Multi Round-Trip
    /// Requests").
    pub(super) fn may_ask(&self) -> bool {
        may_ask(self.request.method())
    }
}

pub(super) fn may_ask(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

impl ToLegacy {
    /// Hands the request to the remote.
    pub(super) fn send(&mut self, request: Request) {
        let fresh = request.state().is_some_and(|state| self.is_own_state(&state));
        let task = self.task_of(&request);
        let number = self.ids.next();
        let own = self.ids.raw(number);
        let change =
            Change { id: Some(own.clone()), fresh, as_task: task == Task::Wanted, also: None };
        self.tell_remote(request.to_legacy(&change));
        self.asked.insert(IdKey::of(&own), Asked::Call(number));
        self.clients.insert(IdKey::of(&request.id()), Waiter::Call(number));
        let token = request.token();
        if let Some(token) = &token {
            self.tokens.insert(IdKey::of(token), number);
        }
        let offers = Offers::of(request.capabilities());
        let level = request.level().unwrap_or_default();
        self.keep_quiet_for(level);
        let call = Call { request, offers, level, token, own, task, parked: None };
        let may_ask = call.may_ask();
        self.calls.insert(number, call);
        if may_ask {
            self.ask_what_waits(number);
        }
    }

    /// The remote has answered: the client is told, or will be when it comes again.
    pub(super) fn finish(&mut self, number: u64, answer: &Message) {
        match self.calls.get_mut(&number).map(|call| &mut call.parked) {
            Some(Some(parked)) => {
                parked.answer = Some(answer.clone());
                self.keep_within_weight(number);
            }
            Some(None) => {
                let Some(call) = self.forget_call(number) else { return };
                self.conclude(&call.request, answer);
                self.linger(call.level);
            }
            None => {}
        }
    }

    /// Answers the client's request.
    pub(super) fn conclude(&mut self, request: &Request, answer: &Message) {
        if answer.error_code() == Some(answers::LINKS) && may_ask(request.method()) {
            return self.ask_for_links(request, answer);
        }
        if request.method() == "tools/list" {
            self.learn_tasks(request, answer);
        }
        self.tell_client(answers::modern(answer, &request.id(), request.method()));
    }

    /// Takes the call out of all books.
    pub(super) fn forget_call(&mut self, number: u64) -> Option<Call> {
        let call = self.calls.remove(&number)?;
        self.asked.remove(&IdKey::of(&call.own));
        if let Some(timer) = call.task.timer() {
            self.timers.remove(&timer);
        }
        if let Some(key) = call.token.as_ref().map(IdKey::of)
            && self.tokens.get(&key) == Some(&number)
        {
            self.tokens.remove(&key);
        }
        match &call.parked {
            Some(parked) => {
                self.rounds.remove(&parked.round);
            }
            None => {
                self.clients.remove(&IdKey::of(&call.request.id()));
            }
        }
        Some(call)
    }

    /// A notification that belongs to the call: now, or when the client comes again.
    pub(super) fn tell_call(&mut self, number: u64, message: Message) {
        let Some(call) = self.calls.get_mut(&number) else { return };
        if let Some(parked) = &mut call.parked {
            return parked.hold(message);
        }
        if message.method() != "notifications/progress" || call.token == call.request.token() {
            return self.tell_client(message.text().clone());
        }
        // A retry has a token of its own, or wants to hear of no progress.
        let Some(token) = call.request.token() else { return };
        let params = message.params_range().map_or(0, |params| params.start);
        if let Some(range) = find(message.text(), params, "progressToken") {
            let mut edits = Edits::default();
            edits.put(range, token);
            self.tell_client(edits.apply(message.text()));
        }
    }

    /// Progress goes to the request whose token it names.
    pub(super) fn progress(&mut self, message: &Message, origin: Option<u64>) {
        let params = message.params_range().map_or(0, |params| params.start);
        let text = message.text();
        let Some(token) = find(text, params, "progressToken") else { return };
        let token = text.slice(token);
        let is_own = |number: &u64| {
            self.calls.get(number).is_some_and(|call| call.token.as_ref() == Some(&token))
        };
        let named = self.tokens.get(&IdKey::of(&token)).copied();
        if let Some(number) = origin.filter(is_own).or(named).or(origin) {
            self.tell_call(number, message.clone());
        }
    }

    /// The client does not want the answer any more.
    pub(super) fn cancel(&mut self, cancellation: &Message) {
        let Some(params) = cancellation.params_range() else { return };
        let Some(range) = find(cancellation.text(), params.start, "requestId") else { return };
        let key = IdKey::of(&cancellation.text().slice(range.clone()));
        match self.clients.get(&key).copied() {
            None => {}
            Some(Waiter::Queued) => {
                self.clients.remove(&key);
                self.queue.retain(|queued| IdKey::of(&queued.request.id()) != key);
            }
            Some(Waiter::Listen(number)) => self.end_listen(number),
            Some(Waiter::Call(number)) => {
                let own = self.calls.get(&number).map(|call| call.own.clone()).unwrap_or_default();
                let text = Request::read(cancellation.clone()).map(|request| {
                    let also = Some((range, own));
                    request.to_legacy(&Change { also, ..Change::default() })
                });
                self.give_up(number, text.ok());
            }
        }
    }

    /// Nobody waits for the call any more: the remote is told, in these words or others.
    pub(super) fn give_up(&mut self, number: u64, text: Option<Bytes>) {
        let unnamed = |call: &Call| call.task == Task::Wanted && !call.is_answered();
        if self.calls.get(&number).is_some_and(unnamed) {
            return self.cancel_once_known(number);
        }
        let Some(call) = self.forget_call(number) else { return };
        if !call.is_answered() {
            match call.task {
                Task::Known { id, .. } => self.cancel_task(&id),
                _ => self.tell_remote(text.unwrap_or_else(|| cancelled(&call.own))),
            }
        }
        self.refuse_questions(call.parked);
    }
}

fn cancelled(own: &Bytes) -> Bytes {
    let head = br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"#;
    [&head[..], own, b"}}"].concat().into()
}
