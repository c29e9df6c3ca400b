//! Modern answers in legacy words (MCP 2026-07-28, "Responses", "Caching", "Key Changes").

use super::calls::{METHOD_NOT_FOUND, Tasking};
use super::members::{Edits, Object, joined, member};
use super::{TASKS, ToModern, shape};
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{find, get, string};
use bytes::Bytes;

const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// The legacy code for a resource that there is not.
const NO_SUCH_RESOURCE: &str = "-32002";
const INVALID_PARAMS: i64 = -32602;
const CAPABILITY_MISSING: i64 = -32021;

/// What kind of result it is.
#[derive(Debug, PartialEq, Eq)]
enum Type {
    Complete,
    InputRequired,
    Task,
    Unknown,
}

impl ToModern {
    /// The remote's answer to a call of the client.
    pub(super) fn round_answered(&mut self, call: u64, message: &Message) {
        let Some(range) = message.result_range() else { return self.round_failed(call, message) };
        let Some(waiting) = self.calls.get(call) else { return };
        let method = waiting.message.method();
        let Some(result) = Object::read(message.text(), range.start) else {
            return self.pass_error(call, message);
        };
        let asks = matches!(method, "tools/call" | "prompts/get" | "resources/read");
        let tasks = method == "tools/call" && waiting.tasking != Tasking::No;
        match type_of(message.text(), &result) {
            Type::Complete if method == "tools/call" && waiting.tasking == Tasking::Asked => {
                self.make_task(call, message, &result);
            }
            Type::Complete => self.complete(call, message, &result),
            Type::InputRequired if asks => self.input_required(call, message.text(), &result),
            Type::Task if tasks => self.task_created(call, message.text(), &result),
            Type::InputRequired | Type::Task | Type::Unknown => {
                let error =
                    self.senseless("gave a result of a kind that the request does not have");
                self.refuse(call, &error);
            }
        }
    }

    fn complete(&mut self, call: u64, message: &Message, result: &Object) {
        let Some(waiting) = self.calls.get(call) else { return };
        let (text, request) = (message.text(), waiting.message.clone());
        let method = request.method();
        match method {
            "tasks/cancel" if self.has_tasks() && waiting.rounds == 0 => {
                return self.look_at_cancelled(call);
            }
            "tasks/get" | "tasks/cancel" if self.has_tasks() => {
                let task = super::tasks::legacy_task(text, result);
                return self.answer_with(call, &task);
            }
            _ => {}
        }
        let mut edits = Edits::default();
        let cached = super::cache::is_cacheable(method);
        let out: &[&str] =
            if cached { &["resultType", "ttlMs", "cacheScope"] } else { &["resultType"] };
        let out =
            if method == "tools/call" { shape::call_result(text, result, &mut edits) } else { out };
        if method == "tools/list" {
            shape::tools(text, result, self.has_tasks(), &mut edits);
        }
        strip(text, result, out, b"", b"", &mut edits);
        let range = message.id_range().unwrap_or_default();
        let id = self.client_id(call);
        edits.replace(range, id);
        let answer = edits.apply(text);
        if cached {
            self.keep(call, text, result, &answer);
        }
        self.answer(call, answer);
    }

    fn round_failed(&mut self, call: u64, message: &Message) {
        let Some(waiting) = self.calls.get_mut(call) else { return };
        let code = message.error_code().unwrap_or_default();
        let error = message.error().unwrap_or_default();
        match waiting.message.method() {
            // The specification proves that it was not executed.
            "tools/call"
                if code == CAPABILITY_MISSING
                    && waiting.tasking == Tasking::No
                    && insists_on_task(error) =>
            {
                waiting.tasking = Tasking::Hidden;
                return self.send_round(call);
            }
            "resources/read" if code == INVALID_PARAMS && names_a_resource(error) => {
                let mut edits = Edits::default();
                let error = find(message.text(), 0, "error").unwrap_or_default();
                if let Some(code) = find(message.text(), error.start, "code") {
                    edits.replace(code, NO_SUCH_RESOURCE);
                }
                edits.replace(message.id_range().unwrap_or_default(), self.client_id(call));
                return self.answer(call, edits.apply(message.text()));
            }
            // The lists may be out of date (MCP 2026-07-28, "Caching").
            "tools/call" if [i64::from(METHOD_NOT_FOUND), INVALID_PARAMS].contains(&code) => {
                self.cache.forget_list("tools/list");
            }
            method if super::cache::is_cacheable(method) => {
                let method = method.to_owned();
                self.cache.forget_list(&method);
            }
            _ => {}
        }
        self.pass_error(call, message);
    }
}

fn type_of(text: &[u8], result: &Object) -> Type {
    let Some(raw) = result.get(text, "resultType") else { return Type::Complete };
    match string(raw).as_deref() {
        Some("complete") => Type::Complete,
        Some("input_required") => Type::InputRequired,
        Some("task") => Type::Task,
        _ => Type::Unknown,
    }
}

/// True if nothing is missing but the tasks extension.
fn insists_on_task(error: &[u8]) -> bool {
    let required = get(error, "data").and_then(|data| get(data, "requiredCapabilities"));
    let Some(required) = required else { return false };
    let only = |object: &[u8], name: &str| {
        Object::read(object, 0).is_some_and(|object_read| {
            object_read.members().len() == 1 && object_read.members()[0].is(object, name)
        })
    };
    only(required, "extensions")
        && get(required, "extensions").is_some_and(|extensions| only(extensions, TASKS))
}

fn names_a_resource(error: &[u8]) -> bool {
    get(error, "data").and_then(|data| get(data, "uri")).and_then(string).is_some()
}

/// Takes `out` and what names the server out of a result, and puts raw members in: `front`
/// into the result, `meta` into its `_meta`.
pub(super) fn strip(
    text: &[u8],
    result: &Object,
    out: &[&str],
    front: &[u8],
    meta: &[u8],
    edits: &mut Edits,
) {
    let found = result.value(text, "_meta").and_then(|at| Object::read(text, at.start));
    let Some(inner) = found else {
        let made = if meta.is_empty() { Vec::new() } else { meta_member(meta) };
        // A `_meta` that is none gives way to one that is.
        let out = if meta.is_empty() { out.to_vec() } else { [out, &["_meta"]].concat() };
        return result.rewrite(text, &out, &joined(&[front, &made]), edits);
    };
    let others = inner.members().iter().filter(|member| !member.is(text, SERVER_INFO)).count();
    if others == 0 && !inner.members().is_empty() {
        let made = if meta.is_empty() { Vec::new() } else { meta_member(meta) };
        let out = [out, &["_meta"]].concat();
        return result.rewrite(text, &out, &joined(&[front, &made]), edits);
    }
    inner.rewrite(text, &[SERVER_INFO], meta, edits);
    result.rewrite(text, out, front, edits);
}

fn meta_member(meta: &[u8]) -> Vec<u8> {
    member("_meta", &[b"{", meta, b"}"].concat())
}

/// The raw name of the server in a result.
pub(super) fn server_info(text: &[u8], result: &Object) -> Option<Bytes> {
    let info = get(result.get(text, "_meta")?, SERVER_INFO)?;
    info.starts_with(b"{").then(|| Bytes::copy_from_slice(info))
}
