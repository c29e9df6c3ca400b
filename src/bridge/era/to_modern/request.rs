//! What goes to the remote: own ids, `_meta`, and the request again where the remote does not
//! support the version (MCP 2026-07-28, "Versioning and Compatibility").

use super::super::cancelled;
use super::handshake::choose;
use super::identity::{Identity, MODERN, OURS};
use super::members::{Edits, Object, joined, member};
use super::{Effect, Timer, ToModern, pause};
use crate::bridge::refusal::REFUSED;
use crate::jsonrpc::object::{Items, get, string};
use crate::jsonrpc::{BridgeError, Message, error_response};
use bytes::Bytes;
use std::time::Duration;

const UNSUPPORTED: i64 = -32022;
/// How often an answer of the client's is sent again if it does not get through.
const UPDATES: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How many versions of the remote an error names.
const NAMED: usize = 5;

/// Own ids, which are unique among requests to the remote and to the client.
#[derive(Debug)]
pub(super) struct Ids {
    prefix: String,
    last: u64,
}

impl Ids {
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix, last: 0 }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn raw(&self, number: u64) -> Vec<u8> {
        format!("\"{}-{number}\"", self.prefix).into_bytes()
    }

    pub(super) fn number(&self, raw: &[u8]) -> Option<u64> {
        string(raw)?.strip_prefix(&self.prefix)?.strip_prefix('-')?.parse().ok()
    }
}

/// A request under way at the remote.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) purpose: Purpose,
    request: Outgoing,
    /// How often it was sent before.
    tries: u32,
}

/// Whose answer it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// For the client's `initialize`, or none when it was answered long ago.
    Discover(Option<u64>),
    /// A call of the client.
    Round(u64),
    Listen,
    /// `tasks/get` for this task.
    Poll(String),
    /// An answer that a task waits for.
    Update,
    /// Nobody waits for it.
    Nobody,
}

/// A request before it has an id and `_meta`.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    template: Template,
    /// Declares the tasks extension.
    tasks: bool,
    /// Members of the client's `params` that do not go along.
    out: &'static [&'static str],
    /// Raw members that are added to `params`.
    added: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Template {
    Client(Message),
    Own(&'static str),
}

impl Outgoing {
    /// The client's own message, without and with some members of `params`.
    pub(super) fn of(message: &Message, out: &'static [&'static str], added: Vec<u8>) -> Self {
        Self { template: Template::Client(message.clone()), tasks: false, out, added }
    }

    /// A request made here, with these raw members of `params`.
    pub(super) fn own(method: &'static str, added: Vec<u8>) -> Self {
        Self { template: Template::Own(method), tasks: false, out: &[], added }
    }

    pub(super) fn with_tasks(self, tasks: bool) -> Self {
        Self { tasks, ..self }
    }

    pub(super) fn compose(&self, identity: &Identity, id: &[u8]) -> Bytes {
        match &self.template {
            Template::Client(message) => {
                let meta = identity.meta(self.tasks, true);
                spliced(message, Some(id), &meta, self.out, &self.added)
            }
            Template::Own(method) => {
                let meta = identity.meta(self.tasks, false);
                let params = joined(&[&meta_member(&meta), &self.added]);
                let head = br#"{"jsonrpc":"2.0","id":"#;
                let method = format!(r#","method":"{method}","params":{{"#);
                [&head[..], id, method.as_bytes(), &params, b"}}"].concat().into()
            }
        }
    }
}

fn meta_member(meta: &[u8]) -> Vec<u8> {
    member("_meta", &[b"{", meta, b"}"].concat())
}

/// The client's message under another id, with `_meta` added to; all else untouched.
pub(super) fn spliced(
    message: &Message,
    id: Option<&[u8]>,
    meta: &[u8],
    out: &[&str],
    added: &[u8],
) -> Bytes {
    let text = message.text();
    let mut edits = Edits::default();
    if let (Some(range), Some(id)) = (message.id_range(), id) {
        edits.replace(range, id);
    }
    let whole = joined(&[&meta_member(meta), added]);
    let Some(params) = message.params_range() else {
        let end = text.iter().rposition(|byte| *byte == b'}').unwrap_or(text.len());
        edits.replace(end..end, [b",\"params\":{", &whole[..], b"}"].concat());
        return edits.apply(text);
    };
    match Object::read(text, params.start) {
        None if &text[params.clone()] == b"null" => {
            edits.replace(params, [b"{", &whole[..], b"}"].concat());
        }
        // It is for the remote to refuse.
        None => {}
        Some(object) => match object.value(text, "_meta") {
            None => object.rewrite(text, out, &whole, &mut edits),
            Some(range) => {
                match Object::read(text, range.start) {
                    Some(inner) => inner.rewrite(text, &OURS, meta, &mut edits),
                    None => edits.replace(range, [b"{", meta, b"}"].concat()),
                }
                object.rewrite(text, out, added, &mut edits);
            }
        },
    }
    edits.apply(text)
}

impl ToModern {
    /// Sends a request to the remote and returns the number of its id.
    pub(super) fn send(&mut self, purpose: Purpose, request: Outgoing) -> u64 {
        self.send_sent(Sent { purpose, request, tries: 0 })
    }

    /// Sends what was sent already once more.
    pub(super) fn send_again(&mut self, mut sent: Sent) -> u64 {
        sent.tries += 1;
        self.send_sent(sent)
    }

    fn send_sent(&mut self, sent: Sent) -> u64 {
        let number = self.ids.next();
        let text = sent.request.compose(&self.identity, &self.ids.raw(number));
        self.effects.push(Effect::ToRemote(text));
        self.sent.insert(number, sent);
        number
    }

    /// Nobody waits for the answer any more.
    pub(super) fn abandon(&mut self, number: u64) {
        if self.sent.remove(&number).is_some() {
            let text = cancelled(&self.ids.raw(number));
            self.effects.push(Effect::ToRemote(text));
        }
    }

    /// The remote's answer to a request of ours.
    pub(super) fn answered(&mut self, message: &Message) {
        let number = message.id().and_then(|id| self.ids.number(&id));
        let Some((number, sent)) =
            number.and_then(|number| Some((number, self.sent.remove(&number)?)))
        else {
            return;
        };
        if message.error_code() == Some(UNSUPPORTED) {
            return self.version_refused(number, sent, message);
        }
        self.concluded(number, sent, message);
    }

    fn concluded(&mut self, number: u64, sent: Sent, message: &Message) {
        match sent.purpose.clone() {
            Purpose::Discover(call) => self.discovered(number, call, message),
            Purpose::Round(call) => self.round_answered(call, message),
            Purpose::Listen => self.listen_ended(number, message),
            Purpose::Poll(task) => self.polled(&task, message),
            Purpose::Update if is_transient(message) && sent.tries < UPDATES => {
                self.after(pause(sent.tries, LONGEST_PAUSE), Timer::Update(Box::new(sent)));
            }
            Purpose::Update | Purpose::Nobody => {}
        }
    }

    /// The specification proves that such a request was not executed.
    fn version_refused(&mut self, number: u64, sent: Sent, message: &Message) {
        let data = message.error().and_then(|error| get(error, "data")).unwrap_or_default();
        let supported = get(data, "supported").unwrap_or_default();
        if sent.tries == 0
            && let Some(version) = choose(supported)
        {
            self.identity.modern = version;
            let purpose = sent.purpose.clone();
            let again = self.send_again(sent);
            return self.renumber(&purpose, number, again);
        }
        let error = self.no_common_version(supported);
        let text = error_response(Some(&self.ids.raw(number)), &error);
        if let Ok(error) = Message::read(text) {
            self.concluded(number, sent, &error);
        }
    }

    /// Somebody waits for a request by its number, which has changed.
    fn renumber(&mut self, purpose: &Purpose, from: u64, to: u64) {
        match purpose {
            Purpose::Discover(_) if self.discovering == Some(from) => self.discovering = Some(to),
            Purpose::Round(call) => self.calls.sent(*call, to),
            Purpose::Listen => self.listen.renumber(from, to),
            Purpose::Poll(task) => {
                if let Some(watch) = self.watches.get_mut(task) {
                    watch.poll = Some(to);
                }
            }
            Purpose::Discover(_) | Purpose::Update | Purpose::Nobody => {}
        }
    }

    /// The error where the remote speaks no version that is known here.
    pub(super) fn no_common_version(&self, supported: &[u8]) -> BridgeError {
        let (remote, known) = (&self.remote, MODERN.join(", "));
        let theirs = versions(supported).take(NAMED).collect::<Vec<_>>().join(", ");
        let message = if choose(supported).is_some() {
            format!("{remote} refuses MCP {}, which it says it supports", self.identity.modern)
        } else if theirs.is_empty() {
            format!("{remote} refuses MCP {known} and names no version that it supports")
        } else {
            format!("{remote} supports MCP {theirs}, and keyferry {known}: none in common")
        };
        BridgeError::new(REFUSED, message)
            .with_hint("update keyferry, or ask who runs the server for a version in common")
    }
}

/// The versions that a raw array names, those that look like one.
pub(super) fn versions(array: &[u8]) -> impl Iterator<Item = String> {
    let items = Items::array(array, 0).into_iter().flatten().map_while(Result::ok);
    items.filter_map(|item| {
        let version = string(&array[item.value])?.into_owned();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        (version.len() <= 20 && version.bytes().all(plain)).then_some(version)
    })
}

/// True for an error of the way to the remote, after which another try may do better.
pub(super) fn is_transient(message: &Message) -> bool {
    use crate::bridge::refusal::{CLOSED, TIMED_OUT, UNREACHABLE};
    let code = message.error_code().unwrap_or_default();
    [UNREACHABLE, CLOSED, TIMED_OUT].iter().any(|transient| i64::from(*transient) == code)
}
