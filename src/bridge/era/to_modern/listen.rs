//! `subscriptions/listen` for the client (MCP 2026-07-28, "Subscriptions"): what the remote
//! promises to announce, and the resources that the client subscribes to. Another filter is
//! another stream, and the old one ends when the new one is acknowledged, so that no change is
//! missed between them.

use super::calls::{INVALID_PARAMS, METHOD_NOT_FOUND};
use super::members::{joined, member, quoted};
use super::request::{Outgoing, Purpose};
use super::{Timer, ToModern, pause};
use crate::bridge::refusal::REFUSED;
use crate::jsonrpc::object::{Items, get, string};
use crate::jsonrpc::{BridgeError, Message};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Subscriptions that are kept.
const SUBSCRIPTIONS: usize = 10_000;
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A stream that lasts this long is no failure when it ends.
const LASTING: Duration = Duration::from_secs(60);

/// The lists, with the member of the filter that announces their changes.
const LISTS: [(&str, &str); 3] = [
    ("tools", "toolsListChanged"),
    ("prompts", "promptsListChanged"),
    ("resources", "resourcesListChanged"),
];

/// What the remote's capabilities say of lists and subscriptions.
#[derive(Debug, Default)]
pub(super) struct Offered {
    /// Of [`LISTS`]: there is one.
    has: [bool; 3],
    /// Of [`LISTS`]: its changes are announced.
    changes: [bool; 3],
    subscribe: bool,
}

impl Offered {
    pub(super) fn by(capabilities: &[u8]) -> Self {
        let one = |name| get(capabilities, name).filter(|raw| raw.starts_with(b"{"));
        let is = |name, what| one(name).and_then(|raw| get(raw, what)) == Some(b"true");
        Self {
            has: LISTS.map(|(name, _)| one(name).is_some()),
            changes: LISTS.map(|(name, _)| is(name, "listChanged")),
            subscribe: is("resources", "subscribe"),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Listen {
    /// The client has said that the handshake is over.
    pub(super) ready: bool,
    pub(super) offered: Offered,
    /// Subscribed resources, with the raw URI as the client wrote it.
    wanted: BTreeMap<String, Bytes>,
    /// Acknowledged.
    current: Option<Stream>,
    /// Not acknowledged yet.
    next: Option<Stream>,
    waiting: Vec<Change>,
    failures: u32,
    /// The time at which it is opened again.
    reopens: Option<u64>,
    /// Something may have been missed since a stream ended.
    gap: bool,
    /// The remote does not know it at all.
    unknown: bool,
}

#[derive(Debug)]
struct Stream {
    number: u64,
    filter: Filter,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Filter {
    lists: [bool; 3],
    uris: BTreeSet<String>,
}

/// A `resources/subscribe` or `resources/unsubscribe` that waits for its stream.
#[derive(Debug)]
struct Change {
    call: u64,
    uri: String,
    subscribe: bool,
}

impl Listen {
    fn filter(&self) -> Filter {
        let lists = if self.ready { self.offered.changes } else { [false; 3] };
        let uris = self.wanted.keys().filter(|_| self.offered.subscribe);
        Filter { lists, uris: uris.cloned().collect() }
    }

    /// Another remote had agreed to announce changes of this resource.
    pub(super) fn go_on(&mut self, raw: &[u8]) {
        if let Some(uri) = string(raw).filter(|_| self.wanted.len() < SUBSCRIPTIONS) {
            self.wanted.insert(uri.into_owned(), Bytes::copy_from_slice(raw));
            self.gap = true;
        }
    }

    /// The raw URIs of what the client subscribes to.
    pub(super) fn subscriptions(&self) -> impl Iterator<Item = &[u8]> {
        self.wanted.values().map(|raw| &raw[..])
    }

    pub(super) fn renumber(&mut self, from: u64, to: u64) {
        let streams = self.current.iter_mut().chain(self.next.iter_mut());
        streams.filter(|one| one.number == from).for_each(|one| one.number = to);
    }

    /// The client does not wait for this change any more.
    pub(super) fn forget(&mut self, call: u64) {
        self.waiting.retain(|change| change.call != call);
    }

    /// True if changes of this resource are announced now.
    fn has(&self, uri: &str) -> bool {
        self.current.as_ref().is_some_and(|stream| stream.filter.uris.contains(uri))
    }

    pub(super) fn lasted(&mut self, number: u64) {
        if self.current.as_ref().is_some_and(|stream| stream.number == number) {
            self.failures = 0;
        }
    }

    fn done(&mut self, which: impl Fn(&Change) -> bool) -> Vec<Change> {
        let (done, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(which);
        self.waiting = waiting;
        done
    }
}

impl ToModern {
    pub(super) fn subscribe(&mut self, call: u64, params: &[u8], subscribe: bool) {
        let raw = get(params, "uri").unwrap_or_default();
        let Some(uri) = string(raw).map(|uri| uri.into_owned()) else {
            let error =
                BridgeError::new(INVALID_PARAMS, "the request names no resource by its uri");
            return self.refuse(call, &error);
        };
        if !self.listen.offered.subscribe || self.listen.unknown {
            return self.refuse(call, &self.no_subscriptions());
        }
        if !subscribe {
            self.listen.wanted.remove(&uri);
        } else if self.listen.wanted.len() < SUBSCRIPTIONS {
            self.listen.wanted.insert(uri.clone(), Bytes::copy_from_slice(raw));
        } else {
            let error = BridgeError::new(REFUSED, "there are too many subscriptions already");
            return self.refuse(call, &error.with_hint("unsubscribe from some first"));
        }
        self.listen.waiting.push(Change { call, uri, subscribe });
        self.settle();
    }

    fn no_subscriptions(&self) -> BridgeError {
        let error = format!("{} has no subscriptions to resources", self.remote);
        BridgeError::new(METHOD_NOT_FOUND, error)
    }

    /// Opens the stream that is wanted, unless it is open or under way.
    pub(super) fn settle(&mut self) {
        if self.listen.next.is_some() || self.listen.unknown {
            return;
        }
        let filter = self.listen.filter();
        let current = self.listen.current.as_ref().map(|stream| &stream.filter);
        let nothing = filter == Filter::default();
        if current == Some(&filter) || (nothing && current.is_none()) {
            return self.agree_to_all();
        }
        self.listen.reopens = None;
        if nothing {
            self.end_current();
            return self.agree_to_all();
        }
        let number = self.open_stream(&filter);
        self.listen.next = Some(Stream { number, filter });
    }

    fn open_stream(&mut self, filter: &Filter) -> u64 {
        let lists = LISTS.iter().zip(filter.lists).filter(|(_, on)| *on);
        let mut asked: Vec<_> = lists.map(|((_, name), _)| member(name, b"true")).collect();
        if !filter.uris.is_empty() {
            let uris: Vec<_> = self.listen.wanted.values().map(|raw| &raw[..]).collect();
            let uris = [b"[", &uris.join(&b","[..])[..], b"]"].concat();
            asked.push(member("resourceSubscriptions", &uris));
        }
        let asked: Vec<_> = asked.iter().map(Vec::as_slice).collect();
        let asked = member("notifications", &[b"{", &joined(&asked)[..], b"}"].concat());
        self.send(Purpose::Listen, Outgoing::own("subscriptions/listen", asked))
    }

    fn agree_to_all(&mut self) {
        for change in self.listen.done(|_| true) {
            self.answer_with(change.call, b"{}");
        }
    }

    fn end_current(&mut self) {
        if let Some(stream) = self.listen.current.take() {
            self.abandon(stream.number);
        }
    }

    /// `notifications/subscriptions/acknowledged` with this raw `notifications`.
    pub(super) fn acknowledged(&mut self, number: u64, agreed: Option<&[u8]>) {
        let Some(mut stream) = self.listen.next.take_if(|next| next.number == number) else {
            return;
        };
        self.end_current();
        let changes = {
            let filter = &stream.filter;
            self.listen.done(|change| filter.uris.contains(&change.uri) == change.subscribe)
        };
        let left = agreed.map(|agreed| uris_in(get(agreed, "resourceSubscriptions")));
        let refused = |uri: &String| left.as_ref().is_some_and(|uris| !uris.contains(uri));
        for Change { call, uri, subscribe } in changes {
            if subscribe && refused(&uri) {
                // It would be refused each time.
                self.listen.wanted.remove(&uri);
                stream.filter.uris.remove(&uri);
                let error = format!("{} does not agree to a subscription to this", self.remote);
                let error = BridgeError::new(REFUSED, error);
                self.refuse(call, &error.with_hint("read the resource again when it matters"));
            } else {
                self.answer_with(call, b"{}");
            }
        }
        let filter = std::mem::take(&mut self.listen.gap).then(|| {
            let uris = stream.filter.uris.iter().filter(|uri| !refused(uri));
            Filter { lists: stream.filter.lists, uris: uris.cloned().collect() }
        });
        self.listen.current = Some(stream);
        if self.listen.failures > 0 {
            self.after(LASTING, Timer::Lasted(number));
        }
        if let Some(filter) = filter {
            self.announce(&filter);
        }
        self.settle();
    }

    /// The remote ended a stream, or refused it.
    pub(super) fn listen_ended(&mut self, number: u64, message: &Message) {
        let unknown = message.error_code() == Some(METHOD_NOT_FOUND.into());
        if self.listen.current.take_if(|stream| stream.number == number).is_some() {
            self.listen.gap = true;
        } else if let Some(stream) = self.listen.next.take_if(|stream| stream.number == number) {
            self.never_opened(&stream.filter, message, unknown);
        } else {
            return;
        }
        self.listen.unknown |= unknown;
        if !unknown && self.listen.next.is_none() && self.listen.reopens.is_none() {
            let wait = pause(self.listen.failures, LONGEST_PAUSE);
            self.listen.failures = self.listen.failures.saturating_add(1);
            self.listen.reopens = Some(self.after(wait, Timer::Reopen));
        }
    }

    fn never_opened(&mut self, filter: &Filter, message: &Message, unknown: bool) {
        // A stream that broke says nothing of what came after it was asked for.
        let broke = matches!(message.error_code(), Some(-31005 | -31003));
        let of_it =
            |change: &Change| !broke || filter.uris.contains(&change.uri) == change.subscribe;
        for Change { call, uri, subscribe } in self.listen.done(of_it) {
            if !subscribe || self.listen.has(&uri) {
                self.answer_with(call, b"{}");
                continue;
            }
            self.listen.wanted.remove(&uri);
            if unknown {
                self.refuse(call, &self.no_subscriptions());
            } else if message.error().is_some() {
                self.pass_error(call, message);
            } else {
                let error = format!("{} ended the subscription before it began", self.remote);
                self.refuse(call, &BridgeError::new(REFUSED, error).with_hint("try again"));
            }
        }
    }

    pub(super) fn reopen(&mut self, token: u64) {
        if self.listen.reopens.take_if(|reopens| *reopens == token).is_some() {
            self.settle();
        }
    }

    /// A new handshake begins.
    pub(super) fn end_listening(&mut self) {
        self.end_current();
        if let Some(stream) = self.listen.next.take() {
            self.abandon(stream.number);
        }
        self.agree_to_all();
        self.listen = Listen::default();
    }

    /// Says of all lists that they may have changed.
    pub(super) fn announce_all(&mut self) {
        let lists = self.listen.offered.has;
        self.announce(&Filter { lists, uris: BTreeSet::new() });
    }

    fn announce(&mut self, filter: &Filter) {
        for ((name, _), _) in LISTS.iter().zip(filter.lists).filter(|(_, on)| *on) {
            self.cache.changed(name);
            let text =
                format!(r#"{{"jsonrpc":"2.0","method":"notifications/{name}/list_changed"}}"#);
            self.tell_client(text.into());
        }
        for uri in &filter.uris {
            self.cache.updated(uri);
            let raw = self.listen.wanted.get(uri).map_or_else(|| quoted(uri), |raw| raw.to_vec());
            let head = br#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":"#;
            let params = [b"{", &member("uri", &raw)[..], b"}}"].concat();
            self.tell_client([&head[..], &params].concat().into());
        }
    }
}

fn uris_in(array: Option<&[u8]>) -> BTreeSet<String> {
    let array = array.unwrap_or_default();
    let items = Items::array(array, 0).into_iter().flatten().map_while(Result::ok);
    items.filter_map(|item| Some(string(&array[item.value])?.into_owned())).collect()
}
