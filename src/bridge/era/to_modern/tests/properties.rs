//! For any message and any order of events: what nobody named survives, and each request of the
//! client gets one answer.

use super::message;
use crate::bridge::era::Effect;
use crate::bridge::era::to_modern::ToModern;
use crate::jsonrpc::object::{Items, get};
use crate::jsonrpc::{Kind, Message};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Raw values whose spelling a JSON value would lose.
fn raw_value() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "1.10",
        "1e400",
        "12345678901234567890123",
        "-0",
        "\"\\u0061\\/\"",
        "[ 1 , {\"a\":1,\"a\":2} ]",
        "{}",
        "null",
        "\"io.modelcontextprotocol/serverInfo\"",
        "{\"_meta\":{\"resultType\":1}}",
    ])
    .prop_map(str::to_owned)
}

fn members() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        "[a-z]{1,3}",
        Just("resultType ".to_owned()),
        Just("\\u0078".to_owned()),
        Just("nextCursor".to_owned()),
        Just("isError".to_owned()),
    ];
    prop::collection::vec((name, raw_value()), 0..8)
}

fn object(members: &[(String, String)]) -> String {
    let raw: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\" : {value}")).collect();
    format!("{{ {} }}", raw.join(" , "))
}

fn raw_members(text: &[u8], without: &[&str]) -> Vec<(String, String)> {
    let raw = |range: std::ops::Range<usize>| String::from_utf8_lossy(&text[range]).into_owned();
    let items = Items::object(text, 0).unwrap().map(Result::unwrap);
    let kept = items.filter(|member| !without.iter().any(|name| member.is(text, name)));
    kept.map(|member| (raw(member.key), raw(member.value))).collect()
}

fn sent(effects: &[Effect]) -> Message {
    match effects {
        [Effect::ToRemote(text)] => message(text),
        other => panic!("not one request: {other:?}"),
    }
}

proptest! {
    #[test]
    fn unknown_members_number_spelling_and_order_survive_towards_the_remote(
        params in members(),
        meta in prop::option::of(members()),
        at in 0usize..8,
    ) {
        let mut all = params.clone();
        if let Some(meta) = &meta {
            all.insert(at.min(all.len()), ("_meta".to_owned(), object(meta)));
        }
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"vendor/x","params":{}}}"#, object(&all));
        let mut translation = ToModern::new("k".to_owned(), "r".to_owned());
        let sent = sent(&translation.client(&message(text.as_bytes())));
        let found = sent.params().unwrap();
        prop_assert_eq!(raw_members(found, &["_meta"]), params);
        let ours = ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"];
        let found = get(found, "_meta").unwrap();
        prop_assert_eq!(raw_members(found, &ours), meta.unwrap_or_default());
        prop_assert!(ours.iter().all(|name| get(found, name).is_some()));
    }

    #[test]
    fn unknown_members_number_spelling_and_order_survive_towards_the_client(
        result in members(),
        meta in prop::option::of(members()),
        at in 0usize..8,
        typed in any::<bool>(),
    ) {
        let mut all = result.clone();
        if let Some(meta) = &meta {
            let mut meta = meta.clone();
            let info = ("io.modelcontextprotocol/serverInfo".to_owned(), "{\"name\":1}".to_owned());
            meta.insert(at.min(meta.len()), info);
            all.insert(at.min(all.len()), ("_meta".to_owned(), object(&meta)));
        }
        if typed {
            all.insert(all.len() - at.min(all.len()), ("resultType".to_owned(), "\"complete\"".to_owned()));
        }
        let mut translation = ToModern::new("k".to_owned(), "r".to_owned());
        translation.client(&message(br#"{"jsonrpc":"2.0","id":1.0,"method":"prompts/get"}"#));
        let answer = format!(r#"{{"jsonrpc":"2.0","x":1.10,"id":"k-1","result":{}}}"#, object(&all));
        let effects = translation.remote(&message(answer.as_bytes()), None);
        let [Effect::ToClient(text)] = &effects[..] else { panic!("{effects:?}") };
        let found = message(text);
        prop_assert_eq!(found.id().unwrap(), "1.0");
        prop_assert_eq!(get(text, "x").unwrap(), b"1.10");
        let found = found.result().unwrap();
        prop_assert_eq!(raw_members(found, &["_meta"]), result);
        let kept = meta.filter(|meta| !meta.is_empty());
        prop_assert_eq!(get(found, "_meta").map(|meta| raw_members(meta, &[])), kept);
    }

    #[test]
    fn each_request_gets_one_answer_whatever_happens(
        steps in prop::collection::vec((0usize..24, 0usize..12, 0usize..8), 0..60)
    ) {
        let mut world = World::default();
        for (what, which, how) in steps {
            world.step(what, which, how);
        }
        world.wind_down();
    }
}

const METHODS: [&str; 10] = [
    "initialize",
    "tools/call",
    "tools/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "tasks/result",
    "tasks/get",
    "tasks/cancel",
    "logging/setLevel",
];

const RESULTS: [&str; 11] = [
    r#""result":{"resultType":"complete","tools":[{}],"ttlMs":1000,"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#,
    r#""result":{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list"},"b":{"method":"elicitation/create","params":{}}},"requestState":"s"}"#,
    r#""result":{"resultType":"input_required","requestState":"s"}"#,
    r#""result":{"resultType":"task","taskId":"T","status":"working"}"#,
    r#""result":{"taskId":"T","status":"input_required","inputRequests":{"a":{"method":"roots/list"},"c":{"method":"roots/list"}}}"#,
    r#""result":{"taskId":"T","status":"completed","result":{"content":[]}}"#,
    r#""result":{"taskId":"T","status":"working"}"#,
    r#""error":{"code":-32021,"message":"","data":{"requiredCapabilities":{"extensions":{"io.modelcontextprotocol/tasks":{}}}}}"#,
    r#""error":{"code":-32022,"message":"","data":{"supported":["2026-07-28"]}}"#,
    r#""error":{"code":-31002,"message":""}"#,
    r#""error":{"code":-32602,"message":""}"#,
];

/// A client, a remote and a clock that do anything they may.
struct World {
    translation: ToModern,
    last: usize,
    /// Of the client: asked, and answered or cancelled.
    asked: BTreeSet<Bytes>,
    closed: BTreeSet<Bytes>,
    /// Requests at the remote, and at the client, that are not answered.
    at_remote: Vec<Message>,
    at_client: Vec<Message>,
    times: Vec<u64>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            translation: ToModern::new("k".to_owned(), "r".to_owned()),
            last: 0,
            asked: BTreeSet::new(),
            closed: BTreeSet::new(),
            at_remote: Vec::new(),
            at_client: Vec::new(),
            times: Vec::new(),
        }
    }
}

fn picked<T>(from: &mut Vec<T>, which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(which % from.len()))
}

impl World {
    fn step(&mut self, what: usize, which: usize, how: usize) {
        match what {
            0..6 => self.ask(METHODS[which % METHODS.len()], how),
            6 => self.client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
            7 => {
                let open = self.translation.open();
                let Some(open) =
                    open.get(which).filter(|open| open.message.method() != "initialize")
                else {
                    return;
                };
                let id = open.message.id().unwrap();
                let text = String::from_utf8_lossy(&id).into_owned();
                self.closed.insert(id);
                self.client(&format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{text}}}}}"#
                ));
            }
            8..16 => {
                if let Some(request) = picked(&mut self.at_remote, which) {
                    self.answer_by_remote(&request, RESULTS[(what + how) % RESULTS.len()]);
                }
            }
            16..18 => self.acknowledge(which),
            18..21 => {
                if let Some(question) = picked(&mut self.at_client, which) {
                    let answer = if how == 0 {
                        r#""error":{"code":-1,"message":"no"}"#
                    } else {
                        r#""result":{"roots":[]}"#
                    };
                    self.client(&response(&question, answer));
                }
            }
            21 => {
                if let Some(token) = picked(&mut self.times, which) {
                    let effects = self.translation.tick(token);
                    self.note(effects);
                }
            }
            _ => self.remote(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#),
        }
    }

    fn ask(&mut self, method: &str, how: usize) {
        self.last += 1;
        let task = if how < 2 { r#","task":{}"# } else { "" };
        let version = if how.is_multiple_of(2) { "2025-11-25" } else { "2025-03-26" };
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{{"protocolVersion":"{version}","capabilities":{{"roots":{{}},"elicitation":{{}}}},"taskId":"T","uri":"u{how}","level":"info"{task}}}}}"#,
            self.last
        );
        self.asked.insert(Bytes::from(self.last.to_string()));
        self.client(&text);
    }

    fn acknowledge(&mut self, which: usize) {
        let listens = self.at_remote.iter().filter(|one| one.method() == "subscriptions/listen");
        let listens: Vec<_> = listens.map(|listen| listen.id().unwrap()).collect();
        let Some(id) = listens.get(which % listens.len().max(1)) else { return };
        let text = br#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"resourceSubscriptions":["u1","u2","u3"]}}}"#;
        let effects = self.translation.remote(&message(text), Some(id));
        self.note(effects);
    }

    fn answer_by_remote(&mut self, request: &Message, outcome: &str) {
        self.remote(&response(request, outcome));
    }

    fn client(&mut self, text: &str) {
        let effects = self.translation.client(&message(text.as_bytes()));
        self.note(effects);
    }

    fn remote(&mut self, text: &str) {
        let effects = self.translation.remote(&message(text.as_bytes()), None);
        self.note(effects);
    }

    fn note(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::After(_, token) => self.times.push(token),
                Effect::ToClient(text) => {
                    let message = message(&text);
                    match (message.kind(), cancelled(&message)) {
                        (Kind::Request, _) => self.at_client.push(message),
                        (Kind::Response, _) => {
                            let id = message.id().unwrap();
                            assert!(self.asked.contains(&id), "nobody asked {id:?}");
                            assert!(self.closed.insert(id.clone()), "{id:?} was answered before");
                        }
                        (_, Some(id)) => {
                            self.at_client.retain(|question| question.id().unwrap() != id);
                        }
                        _ => {}
                    }
                }
                Effect::ToRemote(text) => {
                    let message = message(&text);
                    match cancelled(&message) {
                        Some(id) => self.at_remote.retain(|one| one.id().unwrap() != id),
                        None => self.at_remote.push(message),
                    }
                }
            }
        }
        let open: BTreeSet<_> =
            self.translation.open().iter().map(|open| open.message.id().unwrap()).collect();
        let waiting: BTreeSet<_> = self.asked.difference(&self.closed).cloned().collect();
        assert_eq!(open, waiting);
    }

    /// Everybody answers, and nothing is left.
    fn wind_down(&mut self) {
        for _ in 0..2000 {
            if self.asked.len() == self.closed.len() {
                return;
            }
            let quiet = |one: &&Message| one.method() != "subscriptions/listen";
            if let Some(nth) = self.at_remote.iter().position(|one| quiet(&one)) {
                let request = self.at_remote.remove(nth);
                let task = request.method().starts_with("tasks/");
                self.answer_by_remote(&request, RESULTS[if task { 5 } else { 0 }]);
            } else if let Some(question) = self.at_client.pop() {
                self.client(&response(&question, r#""result":{"roots":[]}"#));
            } else if let Some(token) = self.times.pop() {
                let effects = self.translation.tick(token);
                self.note(effects);
            } else {
                for which in 0..self.at_remote.len() {
                    self.acknowledge(which);
                }
            }
        }
        panic!("still waiting: {:?}", self.translation.open());
    }
}

fn cancelled(message: &Message) -> Option<Bytes> {
    let params = message.params().filter(|_| message.method() == "notifications/cancelled")?;
    get(params, "requestId").map(Bytes::copy_from_slice)
}

fn response(request: &Message, outcome: &str) -> String {
    let id = request.id().unwrap();
    format!(r#"{{"jsonrpc":"2.0","id":{},{outcome}}}"#, String::from_utf8_lossy(&id))
}
