//! Results that the remote lets be used again for a while (MCP 2026-07-28, "Caching"), in the
//! client's words. At most [`ENTRIES`] of at most [`LARGEST`] bytes, [`TOTAL`] together; kept in
//! memory alone, for this client alone, so that the scope does not matter.

use super::members::{Edits, Object};
use super::{Timer, ToModern, calls::response};
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{find, get, string};
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Duration;

const ENTRIES: usize = 64;
const LARGEST: usize = 1024 * 1024;
const TOTAL: usize = 4 * 1024 * 1024;
/// Times that may be waited for at once: those of entries that are gone count too.
const TIMES: usize = 256;
const LONGEST: Duration = Duration::from_secs(3600);

const LISTS: [&str; 4] =
    ["tools/list", "prompts/list", "resources/list", "resources/templates/list"];
const READ: &str = "resources/read";

pub(super) fn is_cacheable(method: &str) -> bool {
    LISTS.contains(&method) || method == READ
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: VecDeque<Entry>,
    size: usize,
    times: usize,
    /// How often something was said to have changed.
    epoch: u64,
}

#[derive(Debug)]
struct Entry {
    method: String,
    /// The raw `params` without `_meta`.
    key: Bytes,
    uri: Option<String>,
    result: Bytes,
    token: u64,
}

impl Cache {
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn clear(&mut self) {
        self.drop_where(|_| true);
    }

    /// `notifications/{kind}/list_changed`.
    pub(super) fn changed(&mut self, kind: &str) {
        self.drop_where(|entry| {
            entry.method.split('/').next() == Some(kind) && entry.method != READ
        });
    }

    /// `notifications/resources/updated`.
    pub(super) fn updated(&mut self, uri: &str) {
        self.drop_where(|entry| entry.uri.as_deref() == Some(uri));
    }

    pub(super) fn forget_list(&mut self, method: &str) {
        if method != READ {
            self.drop_where(|entry| entry.method == method);
        }
    }

    pub(super) fn expire(&mut self, token: u64) {
        self.times = self.times.saturating_sub(1);
        self.remove(|entry| entry.token == token);
    }

    fn drop_where(&mut self, which: impl Fn(&Entry) -> bool) {
        // An answer that is under way may be from before.
        self.epoch += 1;
        self.remove(which);
    }

    fn remove(&mut self, which: impl Fn(&Entry) -> bool) {
        self.entries.retain(|entry| !which(entry));
        self.size = self.entries.iter().map(Entry::size).sum();
    }

    fn find(&self, method: &str, key: &[u8]) -> Option<Bytes> {
        let same = |entry: &&Entry| entry.method == method && entry.key == key;
        self.entries.iter().find(same).map(|entry| entry.result.clone())
    }

    fn add(&mut self, entry: Entry) {
        self.remove(|other| other.method == entry.method && other.key == entry.key);
        self.size += entry.size();
        self.times += 1;
        self.entries.push_back(entry);
        while self.entries.len() > ENTRIES || self.size > TOTAL {
            let gone = self.entries.pop_front();
            self.size -= gone.as_ref().map_or(0, Entry::size);
        }
    }
}

impl Entry {
    fn size(&self) -> usize {
        self.key.len() + self.result.len()
    }
}

impl ToModern {
    /// Answers a call with what is kept, or sends it.
    pub(super) fn ask_cache(&mut self, call: u64, message: &Message) {
        let key = if is_cacheable(message.method()) { key(message) } else { None };
        match key.and_then(|key| self.cache.find(message.method(), &key)) {
            Some(result) => {
                self.answer(call, response(&message.id().unwrap_or_default(), &result));
            }
            None => self.send_round(call),
        }
    }

    /// Keeps an answer as long as the remote lets it be used: `result` of `text` says how long,
    /// `answer` is what the client gets.
    pub(super) fn keep(&mut self, call: u64, text: &[u8], result: &Object, answer: &Bytes) {
        let Some(waiting) = self.calls.get(call) else { return };
        let fresh = result.get(text, "ttlMs").map(milliseconds).unwrap_or_default();
        let stale = waiting.rounds > 0 || waiting.cache_epoch != self.cache.epoch;
        if fresh.is_zero() || stale || self.cache.times >= TIMES || answer.len() > LARGEST {
            return;
        }
        let message = waiting.message.clone();
        let (Some(key), Some(range)) = (key(&message), find(answer, 0, "result")) else { return };
        let uri = get(message.params().unwrap_or_default(), "uri").and_then(string);
        let uri = uri.map(|uri| uri.into_owned());
        let token = self.after(fresh.min(LONGEST), Timer::Cached);
        let method = message.method().to_owned();
        self.cache.add(Entry { method, key, uri, result: answer.slice(range), token });
    }
}

/// What of a request decides its answer; `None` for one that must not come from here.
fn key(message: &Message) -> Option<Bytes> {
    let Some(params) = message.params() else { return Some(Bytes::from_static(b"{}")) };
    let object = Object::read(params, 0)?;
    if object.get(params, "inputResponses").or(object.get(params, "requestState")).is_some() {
        return None;
    }
    if let Some(meta) = object.value(params, "_meta").and_then(|at| Object::read(params, at.start))
    {
        // These say nothing of the result; of others nobody knows.
        let known = ["progressToken", "traceparent", "tracestate", "baggage"];
        let mut members = meta.members().iter();
        if !members.all(|member| known.iter().any(|name| member.is(params, name))) {
            return None;
        }
    }
    let mut edits = Edits::default();
    object.rewrite(params, &["_meta"], b"", &mut edits);
    Some(edits.apply(params))
}

/// A raw number of milliseconds; zero for what is none.
pub(super) fn milliseconds(raw: &[u8]) -> Duration {
    let number = std::str::from_utf8(raw).ok().and_then(|text| text.parse::<f64>().ok());
    let number = number.filter(|number| number.is_finite()).unwrap_or_default();
    // A float too large for the type becomes its largest value, one below zero becomes zero.
    Duration::from_millis(number as u64)
}
