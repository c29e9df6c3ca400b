//! Whatever happens in whatever order: each request has one answer, in both directions.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const CAPABILITIES: [&str; 4] = [
    "{}",
    r#"{"roots":{}}"#,
    r#"{"elicitation":{"form":{},"url":{}},"roots":{}}"#,
    r#"{"sampling":{}}"#,
];
const METHODS: [&str; 5] =
    ["tools/call", "resources/read", "tools/list", "server/discover", "subscriptions/listen"];
const QUESTIONS: [&str; 3] = ["roots/list", "elicitation/create", "sampling/createMessage"];

/// Both peers, who keep to the rules and check that the translation does.
struct Peers {
    era: ToLegacy,
    last: u64,
    /// Requests of the client without an answer: method by raw id.
    open: BTreeMap<Bytes, String>,
    /// What the client is to come again with: method, state, keys.
    states: Vec<(String, String, Vec<String>)>,
    /// Requests at the remote without an answer: method by raw id.
    remote: BTreeMap<Bytes, String>,
    /// Questions of the remote without an answer.
    questions: Vec<Bytes>,
    timers: Vec<u64>,
}

impl Peers {
    fn new() -> Self {
        Self {
            era: ToLegacy::new("k".into(), "example.com".into()),
            last: 0,
            open: BTreeMap::new(),
            states: Vec::new(),
            remote: BTreeMap::new(),
            questions: Vec::new(),
            timers: Vec::new(),
        }
    }

    fn see(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::After(_, token) => self.timers.push(token),
                Effect::ToClient(text) => self.client_sees(Message::read(text).unwrap()),
                Effect::ToRemote(text) => self.remote_sees(Message::read(text).unwrap()),
            }
        }
        for id in self.open.keys() {
            assert!(self.era.waits_for(id), "{id:?} is forgotten");
        }
        assert_eq!(self.era.open().len(), self.open.len());
    }

    fn client_sees(&mut self, message: Message) {
        match message.kind() {
            Kind::Notification => {}
            Kind::Request => panic!("a modern client is asked nothing: {message:?}"),
            Kind::Response => {
                let method = self.open.remove(&message.id().unwrap());
                let method = method.unwrap_or_else(|| panic!("nobody waits for {message:?}"));
                let Some(result) = message.result() else { return };
                if get(result, "resultType") == Some(br#""input_required""#) {
                    let state = get(result, "requestState").and_then(string).unwrap().into_owned();
                    let asked = get(result, "inputRequests").unwrap();
                    let keys = Items::object(asked, 0).unwrap().map(Result::unwrap);
                    let keys = keys.map(|key| key.name(asked).unwrap().into_owned()).collect();
                    self.states.push((method, state, keys));
                }
            }
        }
    }

    fn remote_sees(&mut self, message: Message) {
        match message.kind() {
            Kind::Request => {
                let method = message.method().to_owned();
                assert!(self.remote.insert(message.id().unwrap(), method).is_none());
            }
            Kind::Response => {
                let id = message.id().unwrap();
                let at = self.questions.iter().position(|one| *one == id);
                self.questions.remove(at.unwrap_or_else(|| panic!("not asked: {message:?}")));
            }
            Kind::Notification if message.method() == "notifications/cancelled" => {
                let id = get(message.params().unwrap(), "requestId").unwrap();
                let gone = self.remote.remove(&Bytes::copy_from_slice(id));
                assert!(gone.is_some(), "nothing to cancel: {message:?}");
            }
            Kind::Notification => {}
        }
    }

    fn say(&mut self, method: &str, capabilities: &str, more: &str) {
        self.last += 1;
        let id: Bytes = self.last.to_string().into();
        self.open.insert(id, method.to_owned());
        let filter = r#""notifications":{"resourceSubscriptions":["a:1","a:2"]}"#;
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{{{filter},"_meta":{{"io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/clientCapabilities":{capabilities}}}{more}}}}}"#,
            self.last
        );
        let effects = self.era.client(&message(text));
        self.see(effects);
    }

    fn come_again(&mut self, nth: usize, all: bool) {
        if self.states.is_empty() {
            return;
        }
        let (method, state, keys) = self.states.remove(nth % self.states.len());
        let keys = keys.into_iter().skip(usize::from(!all));
        let responses: Vec<_> =
            keys.map(|key| format!(r#""{key}":{{"action":"accept"}}"#)).collect();
        let responses = responses.join(",");
        let more = format!(r#","requestState":"{state}","inputResponses":{{{responses}}}"#);
        self.say(&method, CAPABILITIES[nth % CAPABILITIES.len()], &more);
    }

    fn cancel(&mut self, nth: usize) {
        let Some(id) = self.open.keys().nth(nth % self.open.len().max(1)).cloned() else { return };
        self.open.remove(&id);
        let id = String::from_utf8_lossy(&id);
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        );
        let effects = self.era.client(&message(text));
        self.see(effects);
    }

    fn answer(&mut self, nth: usize, how: usize) {
        let Some(id) = self.remote.keys().nth(nth % self.remote.len().max(1)).cloned() else {
            return;
        };
        let method = self.remote.remove(&id).unwrap();
        let task = r#""taskId":"T","status":"#;
        let outcome = match (&*method, how % 6) {
            ("initialize", 0) => r#""error":{"code":-31002,"message":"no"}"#.into(),
            ("initialize", _) => {
                r#""result":{"capabilities":{"logging":{},"resources":{"subscribe":true},"tasks":{"requests":{"tools":{"call":{}}}}}}"#.into()
            }
            (_, 0) => r#""error":{"code":-32602,"message":"no"}"#.into(),
            (_, 1) => {
                r#""error":{"code":-32042,"message":"no","data":{"elicitations":[{"mode":"url","url":"a:"}]}}"#.into()
            }
            ("tools/list", _) => {
                r#""result":{"tools":[{"name":"t","execution":{"taskSupport":"required"}}]}"#.into()
            }
            ("tools/call", 2) => format!(r#""result":{{"task":{{{task}"working"}}}}"#),
            ("tasks/get", 2) => format!(r#""result":{{{task}"working"}}"#),
            ("tasks/get", 3 | 5) => format!(r#""result":{{{task}"completed"}}"#),
            _ => r#""result":{}"#.into(),
        };
        let id = String::from_utf8_lossy(&id);
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},{outcome}}}"#);
        let effects = self.era.remote(&message(text), None);
        self.see(effects);
    }

    fn ask(&mut self, nth: usize, what: usize) {
        self.last += 1;
        let id: Bytes = format!("\"r{}\"", self.last).into();
        self.questions.push(id.clone());
        let method = QUESTIONS[what % QUESTIONS.len()];
        let id = String::from_utf8_lossy(&id);
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#);
        let origin = self.remote.keys().nth(nth).cloned();
        let effects = self.era.remote(&message(text), origin.as_deref());
        self.see(effects);
    }

    fn withdraw(&mut self, nth: usize) {
        if self.questions.is_empty() {
            return;
        }
        let id = self.questions.remove(nth % self.questions.len());
        let id = String::from_utf8_lossy(&id);
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        );
        let effects = self.era.remote(&message(text), None);
        self.see(effects);
    }

    fn tick(&mut self, nth: usize) {
        if !self.timers.is_empty() {
            let token = self.timers.remove(nth % self.timers.len());
            let effects = self.era.tick(token);
            self.see(effects);
        }
    }

    fn step(&mut self, (what, nth, how): (u8, usize, usize)) {
        match what {
            0..=3 => {
                let name = r#","name":"t""#;
                self.say(METHODS[nth % METHODS.len()], CAPABILITIES[how % 4], name);
            }
            4 => self.cancel(nth),
            5..=8 => self.answer(nth, how),
            9 | 10 => self.ask(nth, how),
            11 | 12 => self.come_again(nth, how % 3 > 0),
            13 => self.withdraw(nth),
            _ => self.tick(nth),
        }
    }

    /// The remote answers everything, no client comes again, and all time passes.
    fn finish(&mut self) {
        for _ in 0..2000 {
            if self.remote.is_empty() && self.timers.is_empty() {
                break;
            }
            self.answer(0, 5);
            self.tick(0);
        }
        let listens = self.open.values().filter(|method| *method == "subscriptions/listen").count();
        assert_eq!(self.open.len(), listens, "without an answer: {:?}", self.open);
        while !self.open.is_empty() {
            self.cancel(0);
            self.answer(0, 5);
        }
        while !self.remote.is_empty() {
            self.answer(0, 5);
        }
        // What is left waits for a next call, or was lost with its session.
        assert!(self.questions.len() >= self.era.questions.len());
        let era = &self.era;
        assert!(era.calls.is_empty() && era.clients.is_empty() && era.asked.is_empty());
        assert!(era.rounds.is_empty() && era.queue.is_empty() && era.timers.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn each_request_has_one_answer(
        steps in prop::collection::vec((0..16u8, 0..8usize, 0..12usize), 1..120),
    ) {
        let mut peers = Peers::new();
        steps.into_iter().for_each(|step| peers.step(step));
        peers.finish();
    }
}
