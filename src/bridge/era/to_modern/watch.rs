//! Waiting for the end of a task: `tasks/result`, and calls that had to become tasks, by polling
//! `tasks/get` and answering with `tasks/update` (the tasks extension, "Task Polling").

use super::calls::Tasking;
use super::members::{Object, member};
use super::question::{Question, Whose, compose, related};
use super::request::{Outgoing, Purpose, is_transient};
use super::rounds::QUESTIONS;
use super::{Timer, ToModern, cache, pause};
use crate::jsonrpc::object::string;
use crate::jsonrpc::{BridgeError, Message};
use bytes::Bytes;
use std::collections::HashSet;
use std::time::Duration;

const INTERNAL_ERROR: i32 = -32603;
/// Tasks that nobody waits for any more but whose answered questions are remembered.
const REMEMBERED: usize = 256;
/// How often in a row the way to the remote may fail.
const FAILURES: u32 = 5;
/// Questions of one task over its life.
const ASKED: usize = 10 * QUESTIONS;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A task that calls wait for.
#[derive(Debug)]
pub(super) struct Watch {
    /// The raw id.
    task: Bytes,
    calls: Vec<u64>,
    /// The `tasks/get` under way.
    pub(super) poll: Option<u64>,
    /// The time of the next one.
    timer: Option<u64>,
    failures: u32,
    /// Raw keys of questions that the client has or had.
    asked: HashSet<Bytes>,
}

/// How long to wait between two looks, by the raw `pollIntervalMs`.
pub(super) fn interval(raw: Option<&[u8]>) -> Duration {
    let asked = raw.map(cache::milliseconds).filter(|asked| !asked.is_zero());
    let asked = asked.unwrap_or(Duration::from_secs(1));
    asked.clamp(Duration::from_millis(100), LONGEST_PAUSE)
}

impl ToModern {
    /// A call waits for this task; the first look is now or after `first`.
    pub(super) fn watch(&mut self, call: u64, task: String, raw: &[u8], first: Option<Duration>) {
        self.waits_for_task(call, &task);
        self.forget_idle();
        let watch = self.watches.entry(task.clone()).or_insert_with(|| Watch {
            task: Bytes::copy_from_slice(raw),
            calls: Vec::new(),
            poll: None,
            timer: None,
            failures: 0,
            asked: HashSet::new(),
        });
        watch.calls.push(call);
        match (watch.poll, watch.timer, first) {
            (Some(_), _, _) => {}
            (None, None, Some(first)) => self.poll_after(&task, first),
            (None, Some(_), Some(_)) => {}
            (None, _, None) => self.poll(&task),
        }
    }

    fn forget_idle(&mut self) {
        if self.watches.len() >= REMEMBERED {
            self.watches.retain(|_, watch| !watch.calls.is_empty());
        }
    }

    fn poll(&mut self, task: &str) {
        let Some(watch) = self.watches.get_mut(task) else { return };
        watch.timer.take().map(|token| self.timers.remove(&token));
        let request = Outgoing::own("tasks/get", member("taskId", &watch.task)).with_tasks(true);
        let number = self.send(Purpose::Poll(task.to_owned()), request);
        if let Some(watch) = self.watches.get_mut(task) {
            watch.poll = Some(number);
        }
    }

    fn poll_after(&mut self, task: &str, wait: Duration) {
        let token = self.after(wait, Timer::Poll(task.to_owned()));
        if let Some(watch) = self.watches.get_mut(task) {
            watch.timer = Some(token);
        }
    }

    pub(super) fn poll_in_time(&mut self, task: &str, token: u64) {
        if self.watches.get(task).is_some_and(|watch| watch.timer == Some(token)) {
            self.poll(task);
        }
    }

    /// The answer to a `tasks/get`.
    pub(super) fn polled(&mut self, task: &str, message: &Message) {
        let Some(watch) = self.watches.get_mut(task) else { return };
        watch.poll = None;
        let Some(range) = message.result_range() else {
            if is_transient(message) && watch.failures < FAILURES {
                let wait = pause(watch.failures, LONGEST_PAUSE);
                watch.failures += 1;
                return self.poll_after(task, wait);
            }
            return self.end_watch(task, |this, call, _| this.pass_error(call, message));
        };
        watch.failures = 0;
        let text = message.text();
        let Some(result) = Object::read(text, range.start) else {
            let error = self.senseless("gave no description of the task");
            return self.end_watch(task, |this, call, _| this.refuse(call, &error));
        };
        match result.get(text, "status").and_then(string).as_deref() {
            Some("completed") => {
                let outcome = result.get(text, "result").unwrap_or(b"{}");
                self.end_watch(task, |this, call, raw| this.task_done(call, outcome, raw));
            }
            Some("failed") => self.task_failed(task, result.get(text, "error")),
            Some("cancelled") => {
                let error = BridgeError::new(INTERNAL_ERROR, "the task was cancelled");
                self.end_watch(task, |this, call, _| this.refuse(call, &error));
            }
            Some("input_required") => {
                if self.ask_for_task(task, text, &result) {
                    self.poll_after(task, interval(result.get(text, "pollIntervalMs")));
                }
            }
            _ => self.poll_after(task, interval(result.get(text, "pollIntervalMs"))),
        }
    }

    fn task_failed(&mut self, task: &str, error: Option<&[u8]>) {
        let head = br#"{"jsonrpc":"2.0","error":"#;
        let error = error.map(|error| Bytes::from([&head[..], error, b"}"].concat()));
        match error.and_then(|error| Message::read(error).ok()) {
            Some(error) => self.end_watch(task, |this, call, _| this.pass_error(call, &error)),
            None => {
                let error = BridgeError::new(INTERNAL_ERROR, "the task failed");
                self.end_watch(task, |this, call, _| this.refuse(call, &error));
            }
        }
    }

    /// Answers all that wait for a task and forgets it.
    fn end_watch(&mut self, task: &str, answer: impl Fn(&mut Self, u64, &[u8])) {
        let Some(watch) = self.watches.remove(task) else { return };
        self.withdraw(|whose| whose.is_of_task(task));
        for call in watch.calls {
            answer(self, call, &watch.task);
        }
    }

    /// Asks the client what it was not asked yet. False if that ends the wait.
    fn ask_for_task(&mut self, task: &str, text: &Bytes, result: &Object) -> bool {
        let requests = result.value(text, "inputRequests");
        let requests = requests.and_then(|at| Object::read(text, at.start));
        let Some(watch) = self.watches.get_mut(task) else { return false };
        let told = watch
            .calls
            .iter()
            .any(|call| self.calls.get(*call).is_some_and(|call| call.tasking != Tasking::Hidden));
        let meta = told.then(|| related(&watch.task));
        let mut composed = Vec::new();
        for request in requests.iter().flat_map(|requests| requests.members()) {
            let key = text.slice(request.key.start - 1..request.key.end + 1);
            if watch.asked.contains(&key) {
                continue;
            }
            let number = self.ids.next();
            let raw = &text[request.value.clone()];
            let question = compose(&self.identity, raw, &self.ids.raw(number), meta.as_deref());
            let too_much = watch.asked.len() >= ASKED;
            match question {
                Ok(question) if !too_much => {
                    watch.asked.insert(key.clone());
                    composed.push((number, key, question));
                }
                wrong => {
                    let what = wrong.err().unwrap_or_else(|| "asked for too much".to_owned());
                    let error = self.senseless(&what);
                    self.end_watch(task, |this, call, _| this.refuse(call, &error));
                    return false;
                }
            }
        }
        for (number, key, (text, kind)) in composed {
            let whose = Whose::Task { task: task.to_owned(), key };
            self.questions.insert(number, Question { whose, kind });
            self.tell_client(text);
        }
        true
    }

    /// The client answered for a task.
    pub(super) fn update_task(&mut self, task: &str, key: &[u8], answer: &[u8]) {
        let Some(watch) = self.watches.get(task) else { return };
        let responses = [b"{", key, b":", answer, b"}"].concat();
        let params = [&member("taskId", &watch.task)[..], &member("inputResponses", &responses)];
        let request = Outgoing::own("tasks/update", params.join(&b","[..])).with_tasks(true);
        self.send(Purpose::Update, request);
    }

    /// The client cannot give what the task needs: that is the answer of those who wait.
    pub(super) fn task_not_given(&mut self, task: &str, key: &[u8], error: &Message) {
        let Some(watch) = self.watches.get_mut(task) else { return };
        watch.asked.remove(key);
        for call in watch.calls.clone() {
            let tasking = self.calls.get(call).map_or(Tasking::No, |call| call.tasking);
            self.leave(task, call, tasking);
            self.pass_error(call, error);
        }
    }

    /// One call less waits for a task; the task's raw id.
    pub(super) fn unwatch(&mut self, task: &str, call: u64) -> Option<Bytes> {
        let watch = self.watches.get_mut(task)?;
        watch.calls.retain(|waiting| *waiting != call);
        let raw = watch.task.clone();
        if watch.calls.is_empty() {
            watch.timer.take().map(|token| self.timers.remove(&token));
            let poll = watch.poll.take();
            poll.into_iter().for_each(|number| self.abandon(number));
            self.take_back(task);
        }
        Some(raw)
    }

    /// Nobody waits: what the client has not answered it may be asked again.
    fn take_back(&mut self, task: &str) {
        let open = self.questions.values().filter_map(|question| match &question.whose {
            Whose::Task { task: of, key } if of == task => Some(key.clone()),
            _ => None,
        });
        let open: Vec<_> = open.collect();
        self.withdraw(|whose| whose.is_of_task(task));
        if let Some(watch) = self.watches.get_mut(task) {
            open.iter().for_each(|key| {
                watch.asked.remove(key);
            });
        }
    }
}
