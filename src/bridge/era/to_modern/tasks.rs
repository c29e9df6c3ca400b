//! Tasks of 2025-11-25 by the tasks extension, which has no `tasks/result` and no `tasks/list`,
//! and says in one flat result what was nested.

use super::ToModern;
use super::calls::{INVALID_PARAMS, METHOD_NOT_FOUND, Stage, Tasking, response};
use super::made::described;
use super::members::{Edits, Object, member, quoted};
use super::news::take_subscription;
use super::question::related;
use super::request::{Outgoing, Purpose};
use super::result::strip;
use super::shape::call_result;
use super::watch::interval;
use crate::jsonrpc::object::{find, get, string};
use crate::jsonrpc::{BridgeError, Message};
use bytes::Bytes;

/// What the extension says of a task and 2025-11-25 does not.
const NEW: [&str; 4] = ["resultType", "result", "error", "inputRequests"];

impl ToModern {
    pub(super) fn start_task_request(&mut self, call: u64, message: &Message) {
        if message.method() == "tasks/list" {
            let error = format!("{} cannot list tasks", self.remote);
            return self.refuse(call, &BridgeError::new(METHOD_NOT_FOUND, error));
        }
        let raw = get(message.params().unwrap_or_default(), "taskId").unwrap_or_default();
        let Some(task) = string(raw).map(|task| task.into_owned()) else {
            let error = BridgeError::new(INVALID_PARAMS, "the request names no task by its taskId");
            return self.refuse(call, &error);
        };
        match (message.method(), self.made.status(&task)) {
            ("tasks/get", Some(status)) => self.answer_with(call, &status),
            ("tasks/cancel", Some(_)) => {
                let error = BridgeError::new(INVALID_PARAMS, "the task is over already");
                self.refuse(call, &error);
            }
            (_, Some(_)) => {
                let result = self.made.result(&task).unwrap_or_default();
                let text = finished(&self.client_id(call), &result, Some(raw));
                self.answer(call, text);
            }
            ("tasks/result", None) => self.watch(call, task, raw, None),
            (_, None) => self.send_round(call),
        }
    }

    /// A cancelled task is looked at: legacy clients are told how it stands.
    pub(super) fn look_at_cancelled(&mut self, call: u64) {
        let Some(waiting) = self.calls.get_mut(call) else { return };
        waiting.rounds += 1;
        let params = waiting.message.params().unwrap_or_default();
        let task = member("taskId", get(params, "taskId").unwrap_or_default());
        let request = Outgoing::own("tasks/get", task).with_tasks(true);
        let number = self.send(Purpose::Round(call), request);
        self.calls.sent(call, number);
    }

    /// The result of a call for which the client wanted a task.
    pub(super) fn make_task(&mut self, call: u64, message: &Message, result: &Object) {
        let (text, mut edits) = (message.text(), Edits::default());
        let out = call_result(text, result, &mut edits);
        strip(text, result, out, b"", b"", &mut edits);
        let kept = edits.apply_within(text, result);
        let failed = result.get(text, "isError") == Some(b"true");
        let number = self.ids.next();
        let id = string(&self.ids.raw(number)).map(|id| id.into_owned()).unwrap_or_default();
        self.made.add(id.clone(), kept, failed);
        // MCP 2025-11-25: a task begins as working.
        let task = member("task", &described(&id, "working"));
        self.answer_with(call, &[b"{", &task[..], b"}"].concat());
    }

    /// The remote made a task of a call.
    pub(super) fn task_created(&mut self, call: u64, text: &Bytes, result: &Object) {
        let Some(waiting) = self.calls.get(call) else { return };
        let raw = result.get(text, "taskId").unwrap_or_default();
        let Some(task) = string(raw).map(|task| task.into_owned()) else {
            let error = self.senseless("made a task without a name");
            return self.refuse(call, &error);
        };
        if waiting.tasking == Tasking::Asked {
            return self.answer_with(call, &legacy_created(text, result));
        }
        let first = interval(result.get(text, "pollIntervalMs"));
        self.watch(call, task, raw, Some(first));
    }

    /// The client does not wait for the end of a task any more.
    pub(super) fn leave(&mut self, task: &str, call: u64, tasking: Tasking) {
        let Some(raw) = self.unwatch(task, call) else { return };
        // The client knows of no task: what it cancels is the call.
        if tasking == Tasking::Hidden {
            let request = Outgoing::own("tasks/cancel", member("taskId", &raw)).with_tasks(true);
            self.send(Purpose::Nobody, request);
        }
    }

    /// A call waits for the end of a task.
    pub(super) fn waits_for_task(&mut self, call: u64, task: &str) {
        if let Some(waiting) = self.calls.get_mut(call) {
            waiting.stage = Stage::Task(task.to_owned());
        }
    }

    /// Answers a call with the result inside a task.
    pub(super) fn task_done(&mut self, call: u64, result: &[u8], task: &[u8]) {
        let Some(waiting) = self.calls.get(call) else { return };
        let told = waiting.tasking != Tasking::Hidden;
        let text = finished(&self.client_id(call), result, told.then_some(task));
        self.answer(call, text);
    }
}

/// The response with the raw result of a call that was a task, for a client that knows it by
/// this raw id or not at all.
fn finished(id: &[u8], result: &[u8], task: Option<&[u8]>) -> Bytes {
    let Some(read) = Object::read(result, 0) else { return response(id, result) };
    let mut edits = Edits::default();
    let meta = task.map(related).unwrap_or_default();
    let out = call_result(result, &read, &mut edits);
    strip(result, &read, out, b"", &meta, &mut edits);
    edits.replace(0..0, [&br#"{"jsonrpc":"2.0","id":"#[..], id, b",\"result\":"].concat());
    edits.replace(result.len()..result.len(), "}");
    edits.apply(result)
}

/// The raw result that describes a task.
pub(super) fn legacy_task(text: &[u8], result: &Object) -> Bytes {
    let mut edits = Edits::default();
    let front = renamed(text, result, &mut edits);
    strip(text, result, &NEW, &front, b"", &mut edits);
    edits.apply_within(text, result)
}

/// The raw result that says which task was made.
fn legacy_created(text: &[u8], result: &Object) -> Bytes {
    let mut edits = Edits::default();
    let front = renamed(text, result, &mut edits);
    result.rewrite(text, &[&NEW[..], &["_meta"]].concat(), &front, &mut edits);
    let task = member("task", &edits.apply_within(text, result));
    let meta = result.get(text, "_meta").unwrap_or(b"{}");
    let outer = [b"{", &member("_meta", meta)[..], b"}"].concat();
    let Some(read) = Object::read(&outer, 0) else { return Bytes::new() };
    let mut edits = Edits::default();
    let out: &[&str] = if meta == b"{}" { &["_meta"] } else { &[] };
    strip(&outer, &read, out, &task, b"", &mut edits);
    edits.apply(&outer)
}

/// Other names, the status in legacy words, and what has to be there.
fn renamed(text: &[u8], task: &Object, edits: &mut Edits) -> Vec<u8> {
    task.rename(text, "ttlMs", "ttl", edits);
    task.rename(text, "pollIntervalMs", "pollInterval", edits);
    // MCP 2025-11-25: a tool's own error is a failure of its task.
    let failed = task.get(text, "result").and_then(|result| get(result, "isError"));
    if failed == Some(b"true")
        && let Some(status) = task.value(text, "status")
        && string(&text[status.clone()]).as_deref() == Some("completed")
    {
        edits.replace(status, quoted("failed"));
    }
    let has_ttl = task.get(text, "ttlMs").or(task.get(text, "ttl")).is_some();
    if has_ttl { Vec::new() } else { member("ttl", b"null") }
}

/// `notifications/tasks` as `notifications/tasks/status`.
pub(super) fn legacy_status(message: &Message) -> Bytes {
    let text = message.text();
    let mut edits = Edits::default();
    if let Some(method) = find(text, 0, "method") {
        edits.replace(method, quoted("notifications/tasks/status"));
    }
    let params = message.params_range().and_then(|at| Object::read(text, at.start));
    if let Some(params) = params {
        let front = renamed(text, &params, &mut edits);
        take_subscription(text, &params, &NEW, &front, &mut edits);
    }
    edits.apply(text)
}
