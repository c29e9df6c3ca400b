//! Tools that a legacy remote runs as tasks only: to the client an ordinary call (MCP
//! 2025-11-25, "Tasks"; the modern extension is another one, which is not declared).

use super::request::Request;
use super::{Asked, ToLegacy};
use crate::jsonrpc::object::{Items, get, string};
use crate::jsonrpc::{IdKey, Message};
use bytes::Bytes;
use std::time::Duration;

/// Tools that are remembered.
const MANY: usize = 10_000;
/// How often to ask, in milliseconds.
const POLL: u64 = 1000;
const SHORTEST: u64 = 100;
const LONGEST: u64 = 60_000;

/// A call as a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Task {
    /// An ordinary call.
    No,
    /// The remote was asked to make one.
    Wanted,
    Known {
        /// Raw.
        id: Bytes,
        poll: Duration,
        timer: Option<u64>,
    },
}

impl Task {
    pub(super) fn timer(&self) -> Option<u64> {
        match self {
            Self::Known { timer, .. } => *timer,
            Self::No | Self::Wanted => None,
        }
    }

    fn is(&self, raw: &[u8]) -> bool {
        matches!(self, Self::Known { id, .. } if string(id) == string(raw))
    }
}

/// The raw task in the answer to a call, if it is one.
fn created(answer: &Message) -> Option<&[u8]> {
    let task = get(answer.result()?, "task")?;
    get(task, "taskId").and_then(string)?;
    Some(task)
}

impl ToLegacy {
    /// Remembers which tools insist on being tasks.
    pub(super) fn learn_tasks(&mut self, request: &Request, answer: &Message) {
        let Some(tools) = answer.result().and_then(|result| get(result, "tools")) else { return };
        if !self.session.remote().is_some_and(|remote| remote.tasks) {
            return;
        }
        if request.param("cursor").is_none() {
            self.task_tools.clear();
        }
        for tool in Items::array(tools, 0).into_iter().flatten().map_while(Result::ok) {
            let tool = &tools[tool.value];
            let support = get(tool, "execution").and_then(|one| get(one, "taskSupport"));
            if support.and_then(string).as_deref() == Some("required")
                && let Some(name) = get(tool, "name").and_then(string)
                && self.task_tools.len() < MANY
            {
                self.task_tools.insert(name.into_owned());
            }
        }
    }

    /// How the remote wants this request.
    pub(super) fn task_of(&self, request: &Request) -> Task {
        if request.method() != "tools/call" || self.task_tools.is_empty() {
            return Task::No;
        }
        let name = request.param("name").and_then(string);
        let known = name.is_some_and(|name| self.task_tools.contains(&*name));
        let able = self.session.remote().is_some_and(|remote| remote.tasks);
        if known && able && request.param("task").is_none() { Task::Wanted } else { Task::No }
    }

    /// The call that belongs to what carries this `_meta`.
    pub(super) fn call_of_task(&self, params: &[u8]) -> Option<u64> {
        let id = get(super::questions::related_task(params)?, "taskId")?;
        let mut calls = self.calls.iter();
        calls.find(|(_, call)| call.task.is(id)).map(|(number, _)| *number)
    }

    /// The answer to a call, which may be a task only.
    pub(super) fn called(&mut self, number: u64, answer: &Message) {
        let wanted = self.calls.get(&number).is_some_and(|call| call.task == Task::Wanted);
        // Looked for only where there may be one, as a result can be large.
        match wanted.then(|| created(answer)).flatten() {
            Some(task) => self.look_at(number, task),
            None => self.finish(number, answer),
        }
    }

    /// The same for a call that was cancelled before its task was known.
    pub(super) fn called_in_vain(&mut self, answer: &Message) {
        if let Some(id) = created(answer).and_then(|task| get(task, "taskId")) {
            self.cancel_task(id);
        }
    }

    /// The answer to `tasks/get`.
    pub(super) fn task_seen(&mut self, number: u64, answer: &Message) {
        match answer.result() {
            Some(task) => self.look_at(number, task),
            None => self.finish(number, answer),
        }
    }

    /// Waits on, or fetches the result; that is also how questions are asked.
    fn look_at(&mut self, number: u64, task: &[u8]) {
        let token = self.ids.next();
        let Some(call) = self.calls.get_mut(&number) else { return };
        let before = match &call.task {
            Task::Known { id, poll, .. } => Some((id.clone(), *poll)),
            Task::No | Task::Wanted => None,
        };
        let named = get(task, "taskId").map(Bytes::copy_from_slice);
        let (id, poll) = before.unwrap_or((named.unwrap_or_default(), Duration::from_millis(POLL)));
        let asked = get(task, "pollInterval").and_then(|raw| std::str::from_utf8(raw).ok());
        let asked = asked.and_then(|raw| raw.parse::<f64>().ok()).map(|ms| ms as u64);
        let poll = asked.map_or(poll, |ms| Duration::from_millis(ms.clamp(SHORTEST, LONGEST)));
        let status = get(task, "status").and_then(string);
        let waits = !matches!(
            status.as_deref(),
            Some("completed" | "failed" | "cancelled" | "input_required")
        );
        call.task = Task::Known { id, poll, timer: waits.then_some(token) };
        if waits {
            self.timers.insert(token, number);
            self.after(poll, token);
        } else {
            self.ask_about_task(number, "tasks/result", Asked::TaskResult(number));
        }
    }

    /// It is time to look at the task.
    pub(super) fn poll(&mut self, number: u64) {
        self.ask_about_task(number, "tasks/get", Asked::TaskGet(number));
    }

    fn ask_about_task(&mut self, number: u64, method: &str, asked: Asked) {
        let Some(Task::Known { id, .. }) = self.calls.get(&number).map(|call| &call.task) else {
            return;
        };
        let params = format!(r#"{{"taskId":{}}}"#, String::from_utf8_lossy(id));
        let own = self.ask_remote(method, &params, asked);
        if let Some(call) = self.calls.get_mut(&number) {
            call.own = own;
        }
    }

    pub(super) fn cancel_task(&mut self, id: &[u8]) {
        let params = format!(r#"{{"taskId":{}}}"#, String::from_utf8_lossy(id));
        self.ask_remote("tasks/cancel", &params, Asked::Nothing);
    }

    /// A task cannot be cancelled before it has a name.
    pub(super) fn cancel_once_known(&mut self, number: u64) {
        let Some(call) = self.forget_call(number) else { return };
        self.asked.insert(IdKey::of(&call.own), Asked::InVain);
        self.refuse_questions(call.parked);
    }
}
