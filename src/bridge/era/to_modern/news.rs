//! What the remote tells without being asked (MCP 2026-07-28, "Subscriptions").

use super::ToModern;
use super::members::{Edits, Object};
use super::tasks::legacy_status;
use crate::jsonrpc::Message;
use crate::jsonrpc::object::{get, string};

const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

impl ToModern {
    pub(super) fn told_by_remote(&mut self, message: &Message, origin: Option<&[u8]>) {
        let params = message.params().unwrap_or_default();
        match message.method() {
            "notifications/subscriptions/acknowledged" => {
                let named = || get(get(params, "_meta")?, SUBSCRIPTION);
                let stream = origin.or_else(named).and_then(|id| self.ids.number(id));
                if let Some(stream) = stream {
                    self.acknowledged(stream, get(params, "notifications"));
                }
                return;
            }
            // It says that a stream ends, whose end is heard of anyway.
            "notifications/cancelled" => return,
            "notifications/tasks" => {
                if self.has_tasks() {
                    self.tell_client(legacy_status(message));
                }
                return;
            }
            "notifications/tools/list_changed" => self.cache.changed("tools"),
            "notifications/prompts/list_changed" => self.cache.changed("prompts"),
            "notifications/resources/list_changed" => self.cache.changed("resources"),
            "notifications/resources/updated" => {
                if let Some(uri) = get(params, "uri").and_then(string) {
                    self.cache.updated(&uri);
                }
            }
            _ => {}
        }
        self.tell_client(without_subscription(message));
    }
}

/// The notification without the stream that it came on.
pub(super) fn without_subscription(message: &Message) -> bytes::Bytes {
    let text = message.text();
    let params = message.params_range().and_then(|at| Object::read(text, at.start));
    let Some(params) = params else { return text.clone() };
    let mut edits = Edits::default();
    take_subscription(text, &params, &[], b"", &mut edits);
    edits.apply(text)
}

/// Takes `out` and the name of the stream out of the params of a notification, and puts the raw
/// members `front` in.
pub(super) fn take_subscription(
    text: &[u8],
    params: &Object,
    out: &[&str],
    front: &[u8],
    edits: &mut Edits,
) {
    let meta = params.value(text, "_meta").and_then(|at| Object::read(text, at.start));
    match meta.filter(|meta| meta.get(text, SUBSCRIPTION).is_some()) {
        Some(meta) if meta.members().len() > 1 => {
            meta.rewrite(text, &[SUBSCRIPTION], b"", edits);
            params.rewrite(text, out, front, edits);
        }
        Some(_) => params.rewrite(text, &[out, &["_meta"]].concat(), front, edits),
        None => params.rewrite(text, out, front, edits),
    }
}
