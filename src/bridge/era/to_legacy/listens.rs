//! `subscriptions/listen`: one stream of changes there; here announcements that come unasked,
//! and a request for each resource (MCP 2026-07-28, "Subscriptions").

use super::edits::Edits;
use super::request::Request;
use super::{Asked, Reach, ToLegacy, Waiter};
use crate::jsonrpc::object::{Items, find, get, string};
use crate::jsonrpc::{IdKey, Message};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};

/// Listens, and resources over all of them.
const MANY: usize = 1000;
/// Notifications that wait for an acknowledgement.
const HELD: usize = 256;
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The kinds of lists: their name in a filter, and how their changes are announced.
const LISTS: [(&str, &str); 3] = [
    ("toolsListChanged", "notifications/tools/list_changed"),
    ("promptsListChanged", "notifications/prompts/list_changed"),
    ("resourcesListChanged", "notifications/resources/list_changed"),
];

/// What the client listens to.
#[derive(Debug, Default)]
pub(super) struct Listens {
    all: BTreeMap<u64, Listen>,
    /// By URI.
    resources: HashMap<String, Resource>,
}

#[derive(Debug)]
pub(super) struct Listen {
    pub(super) request: Request,
    /// By the order of [`LISTS`].
    lists: [bool; 3],
    /// Raw URIs with their meaning.
    uris: Vec<(Bytes, String)>,
    /// URIs whose subscription has no answer yet.
    open: usize,
    acknowledged: bool,
    held: Vec<Message>,
}

/// A subscription at the remote.
#[derive(Debug)]
struct Resource {
    raw: Bytes,
    listens: Vec<u64>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Asked,
    Agreed,
    /// Given up again: to be asked for anew only after that.
    Leaving,
}

impl Listens {
    pub(super) fn requests(&self) -> impl Iterator<Item = (u64, &Request, Reach)> {
        self.all.iter().map(|(number, listen)| {
            let reach = if listen.acknowledged { Reach::Acknowledged } else { Reach::Here };
            (*number, &listen.request, reach)
        })
    }
}

impl ToLegacy {
    /// Begins to listen; `acknowledged` where the client has been told so already.
    pub(super) fn listen(&mut self, request: Request, acknowledged: bool) {
        let Some(remote) = self.session.remote() else { return };
        let id = request.id();
        if self.listens.all.len() >= MANY {
            return self.refuse(&id, -32603, "too many subscriptions");
        }
        let able = [remote.tools, remote.prompts, remote.resources];
        let subscribe = remote.subscribe;
        let filter = request.param("notifications").unwrap_or_default();
        let asked = LISTS.map(|(name, _)| get(filter, name) == Some(b"true"));
        let lists = [0, 1, 2].map(|nth| asked[nth] && (able[nth] || acknowledged));
        let uris = if subscribe { uris(filter) } else { Vec::new() };
        let number = self.ids.next();
        let mut open = 0;
        for (raw, uri) in &uris {
            open += usize::from(self.join(number, raw, uri));
        }
        let uris = uris.into_iter().filter(|(_, uri)| self.listens.resources.contains_key(uri));
        let uris = uris.collect();
        let listen = Listen { request, lists, uris, open, acknowledged, held: Vec::new() };
        self.clients.insert(IdKey::of(&id), Waiter::Listen(number));
        self.listens.all.insert(number, listen);
        self.acknowledge(number);
    }

    /// True if an answer of the remote has to be waited for.
    fn join(&mut self, number: u64, raw: &Bytes, uri: &str) -> bool {
        let full = self.listens.resources.len() >= MANY;
        match self.listens.resources.get_mut(uri) {
            Some(resource) => {
                resource.listens.push(number);
                resource.state != State::Agreed
            }
            None if full => false,
            None => {
                let (raw, listens) = (raw.clone(), vec![number]);
                let resource = Resource { raw, listens, state: State::Asked };
                self.listens.resources.insert(uri.to_owned(), resource);
                self.subscribe(uri);
                true
            }
        }
    }

    fn subscribe(&mut self, uri: &str) {
        let Some(resource) = self.listens.resources.get_mut(uri) else { return };
        resource.state = State::Asked;
        let params = uri_params(&resource.raw);
        self.ask_remote("resources/subscribe", &params, Asked::Subscribe(uri.to_owned()));
    }

    fn unsubscribe(&mut self, uri: &str) {
        let Some(resource) = self.listens.resources.get_mut(uri) else { return };
        resource.state = State::Leaving;
        let params = uri_params(&resource.raw);
        self.ask_remote("resources/unsubscribe", &params, Asked::Unsubscribe(uri.to_owned()));
    }

    /// In a new session: what the one before had agreed to.
    pub(super) fn subscribe_again(&mut self) {
        let agreed = self.listens.resources.iter().filter(|(_, one)| one.state == State::Agreed);
        let mut uris: Vec<_> = agreed.map(|(uri, _)| uri.clone()).collect();
        uris.sort();
        for uri in uris {
            self.subscribe(&uri);
        }
    }

    /// The answer to a subscription.
    pub(super) fn subscribed(&mut self, uri: &str, answer: &Message) {
        let Some(resource) = self.listens.resources.get_mut(uri) else { return };
        let listens = resource.listens.clone();
        if answer.error().is_some() {
            self.listens.resources.remove(uri);
        } else if listens.is_empty() {
            return self.unsubscribe(uri);
        } else {
            resource.state = State::Agreed;
        }
        for number in listens {
            let Some(listen) = self.listens.all.get_mut(&number) else { continue };
            listen.open = listen.open.saturating_sub(1);
            if answer.error().is_some() {
                listen.uris.retain(|(_, one)| one != uri);
            }
            self.acknowledge(number);
        }
    }

    /// The answer to the end of a subscription.
    pub(super) fn unsubscribed(&mut self, uri: &str) {
        match self.listens.resources.get(uri) {
            Some(resource) if resource.listens.is_empty() => {
                self.listens.resources.remove(uri);
            }
            Some(_) => self.subscribe(uri),
            None => {}
        }
    }

    /// Tells the client what it will hear of, once that is known, and what it has missed.
    fn acknowledge(&mut self, number: u64) {
        let Some(listen) = self.listens.all.get_mut(&number).filter(|one| one.open == 0) else {
            return;
        };
        let id = listen.request.id();
        let held = std::mem::take(&mut listen.held);
        if !std::mem::replace(&mut listen.acknowledged, true) {
            let text = acknowledgement(&id, listen);
            self.tell_client(text);
        }
        for message in held {
            self.tell_client(on_subscription(&message, &id));
        }
    }

    /// The client does not listen any more.
    pub(super) fn end_listen(&mut self, number: u64) {
        let Some(listen) = self.listens.all.remove(&number) else { return };
        self.clients.remove(&IdKey::of(&listen.request.id()));
        for (_, uri) in &listen.uris {
            let Some(resource) = self.listens.resources.get_mut(uri) else { continue };
            resource.listens.retain(|one| *one != number);
            if resource.listens.is_empty() && resource.state == State::Agreed {
                self.unsubscribe(uri);
            }
        }
    }

    /// A change: for every listen that asked for its kind.
    pub(super) fn changed(&mut self, message: &Message) {
        let list = LISTS.iter().position(|(_, method)| *method == message.method());
        let uri = message.params().and_then(|params| string(get(params, "uri")?));
        let mut told = Vec::new();
        for listen in self.listens.all.values_mut() {
            let wanted = match (list, &uri) {
                (Some(list), _) => listen.lists[list],
                (None, Some(uri)) => listen.uris.iter().any(|(_, one)| is_part_of(uri, one)),
                (None, None) => false,
            };
            if !wanted {
                continue;
            }
            if listen.acknowledged {
                told.push(on_subscription(message, &listen.request.id()));
            } else if listen.held.len() < HELD {
                listen.held.push(message.clone());
            }
        }
        told.into_iter().for_each(|text| self.tell_client(text));
    }
}

/// The URIs that a filter names, each once.
fn uris(filter: &[u8]) -> Vec<(Bytes, String)> {
    let list = get(filter, "resourceSubscriptions").unwrap_or_default();
    let mut seen = std::collections::HashSet::new();
    let items = Items::array(list, 0).into_iter().flatten().map_while(Result::ok);
    items
        .filter_map(|item| {
            let raw = &list[item.value];
            let uri = string(raw)?.into_owned();
            seen.insert(uri.clone()).then(|| (Bytes::copy_from_slice(raw), uri))
        })
        .take(MANY)
        .collect()
}

fn uri_params(raw: &Bytes) -> String {
    format!(r#"{{"uri":{}}}"#, String::from_utf8_lossy(raw))
}

/// True for the resource that was subscribed to, and for what lies within it.
fn is_part_of(uri: &str, whole: &str) -> bool {
    let rest = uri.strip_prefix(whole);
    rest.is_some_and(|rest| {
        rest.is_empty() || whole.ends_with('/') || rest.starts_with(['/', '?', '#'])
    })
}

fn acknowledgement(id: &Bytes, listen: &Listen) -> Bytes {
    let lists = LISTS.iter().zip(listen.lists).filter(|(_, agreed)| *agreed);
    let mut agreed: Vec<_> = lists.map(|((name, _), _)| format!("\"{name}\":true")).collect();
    if !listen.uris.is_empty() {
        let uris: Vec<_> =
            listen.uris.iter().map(|(raw, _)| String::from_utf8_lossy(raw)).collect();
        agreed.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
    }
    let text = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"{SUBSCRIPTION}":{}}},"notifications":{{{}}}}}}}"#,
        String::from_utf8_lossy(id),
        agreed.join(",")
    );
    text.into()
}

/// The notification as one on that subscription, every other byte untouched.
fn on_subscription(message: &Message, id: &Bytes) -> Bytes {
    let text = message.text();
    let name = format!(r#""{SUBSCRIPTION}":{}"#, String::from_utf8_lossy(id));
    let is_empty = |at| Items::object(text, at).is_ok_and(|mut items| items.next().is_none());
    let mut edits = Edits::default();
    let params = message.params_range().filter(|params| text[params.start] == b'{');
    match (params, message.params_range()) {
        (Some(params), _) => match find(text, params.start, "_meta") {
            Some(meta) if text[meta.start] == b'{' => {
                edits.put_first(meta.start, &name, usize::from(!is_empty(meta.start)));
            }
            Some(meta) => edits.put(meta, format!("{{{name}}}")),
            None => {
                let meta = format!(r#""_meta":{{{name}}}"#);
                edits.put_first(params.start, &meta, usize::from(!is_empty(params.start)));
            }
        },
        (None, Some(other)) => edits.put(other, format!(r#"{{"_meta":{{{name}}}}}"#)),
        (None, None) => {
            let end = text.len() - 1 - text.iter().rev().position(|one| *one == b'}').unwrap_or(0);
            edits.put(end..end, format!(r#","params":{{"_meta":{{{name}}}}}"#));
        }
    }
    edits.apply(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_names_its_subscription() {
        let name = r#""io.modelcontextprotocol/subscriptionId":"a""#;
        for (tail, expected) in [
            (r#" }"#, format!(r#" ,"params":{{"_meta":{{{name}}}}}}}"#)),
            (r#","params":{}}"#, format!(r#","params":{{"_meta":{{{name}}}}}}}"#)),
            (
                r#","params": {"uri":"a:b", "x":1.10}}"#,
                format!(r#","params": {{"_meta":{{{name}}},"uri":"a:b", "x":1.10}}}}"#),
            ),
            (
                r#","params":{"_meta":{"x":1e400}}}"#,
                format!(r#","params":{{"_meta":{{{name},"x":1e400}}}}}}"#),
            ),
        ] {
            let head = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed""#;
            let message = Message::read(format!("{head}{tail}").into()).unwrap();
            let told = on_subscription(&message, &"\"a\"".into());
            assert_eq!(told, format!("{head}{expected}"));
        }
    }

    #[test]
    fn a_subscription_covers_what_lies_within() {
        assert!(is_part_of("file:///a", "file:///a"));
        assert!(is_part_of("file:///a/b", "file:///a"));
        assert!(is_part_of("file:///a/b", "file:///a/"));
        assert!(!is_part_of("file:///ab", "file:///a"));
    }
}
