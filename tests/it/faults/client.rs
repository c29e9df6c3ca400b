//! The client of a conversation: says its lines one after the other through the executable,
//! and keeps what it was told.

use super::conversation::{ANSWER, Conversation, Does, Era, Step, notification};
use super::fault::Fault;
use super::proxy::{Event, Proxy};
use super::remote::Remote;
use super::run::Sent;
use crate::support::PATIENCE;
use crate::support::bridge::Bridge;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::Receiver;

/// The step from which on another call waits, where one is needed.
const BYSTANDS: &str = "list";

/// Whom the client has to do with, and what comes from them.
pub(super) struct Ends<'a> {
    pub(super) remote: &'a Remote,
    pub(super) proxy: &'a Proxy,
    pub(super) bridge: &'a Bridge,
    pub(super) events: Receiver<Event>,
}

pub(super) struct Client<'a> {
    conversation: Conversation,
    ends: Ends<'a>,
    /// The fault gives the client reason to cancel what stalls.
    fault: Option<Fault>,
    /// The plan has struck by now.
    struck: HashSet<String>,
    seen: Vec<Event>,
    lines: Vec<String>,
    answered: HashMap<String, Value>,
    sent: Vec<Sent>,
    probes: usize,
    step: &'static str,
}

pub(super) fn text(line: Vec<u8>) -> String {
    let line = String::from_utf8(line).expect("UTF-8 on stdout");
    line.strip_suffix('\n').expect("whole lines on stdout").to_owned()
}

impl<'a> Client<'a> {
    pub(super) fn new(conversation: Conversation, ends: Ends<'a>, fault: Option<Fault>) -> Self {
        Self {
            conversation,
            ends,
            fault,
            struck: HashSet::new(),
            seen: Vec::new(),
            lines: Vec::new(),
            answered: HashMap::new(),
            sent: Vec::new(),
            probes: 0,
            step: "",
        }
    }

    /// What is still to come, what was said, and what was asked.
    pub(super) fn done(self) -> (Receiver<Event>, Vec<String>, Vec<Sent>) {
        (self.ends.events, self.lines, self.sent)
    }

    pub(super) fn step(&mut self, Step(name, does): &Step, before: Option<Fault>) {
        self.begin(name);
        match before {
            Some(Fault::ListenerGone) => self.ends.proxy.go_away(),
            Some(_) => {
                (self.ends.remote.restart())();
                self.ends.proxy.hang_up();
            }
            None => {}
        }
        let away = before == Some(Fault::ListenerGone);
        let era = self.conversation.era;
        match does {
            Does::ShakesHands => self.shake_hands(name, away),
            Does::Asks(method, params) => {
                self.ask(name, era.request(name, method, params), None);
                // The rest of a handshake that the client knows nothing of.
                if self.answered.get(*name).is_some_and(|answer| answer.get("result").is_some()) {
                    self.wait_for(self.conversation.follows(name), None);
                }
            }
            Does::Calls(tool) => self.call(name, tool),
            Does::CallsAndCancels(tool) => self.call_and_cancel(name, tool),
            Does::Listens => self.listen(name),
            Does::Tells(method) => self.tell(method, away),
        }
        if away && !matches!(does, Does::ShakesHands) {
            self.ends.proxy.come_back();
        }
    }

    fn begin(&mut self, step: &'static str) {
        self.step = step;
        self.ends.proxy.begin(step);
        if step == BYSTANDS && self.fault == Some(Fault::ForeignStream) {
            let call = self.conversation.era.call("bystander", "late");
            self.send("bystander", call, Some("bystander"));
        }
    }

    fn shake_hands(&mut self, name: &str, away: bool) {
        for attempt in 1..=3 {
            let id = if attempt == 1 { name.to_owned() } else { format!("{name} {attempt}") };
            self.ask(&id, Era::initialize(&id), None);
            if away && attempt == 1 {
                self.ends.proxy.come_back();
            }
            if self.answered.get(&id).is_some_and(|answer| answer.get("result").is_some()) {
                return;
            }
        }
        panic!("initialize fails again and again: {:?}", self.answered);
    }

    fn call(&mut self, name: &str, tool: &str) {
        let era = self.conversation.era;
        self.ask(name, era.call(name, tool), Some(name));
        let required = |answer: &Value| answer["result"]["resultType"] == "input_required";
        let Some(answer) = self.answered.get(name).filter(|answer| required(answer)) else {
            return;
        };
        let result = &answer["result"];
        let key = result["inputRequests"].as_object().and_then(|asked| asked.keys().next());
        let state = result["requestState"].as_str().expect("a state");
        let again = format!("{name} again");
        let line = era.call_again(name, tool, key.expect("a question"), state);
        self.ask(&again, line, Some(name));
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, id: &str, line: String, token: Option<&str>) {
        self.send(id, line, token);
        while !self.is_done(id) {
            self.next(id);
        }
    }

    fn send(&mut self, id: &str, line: String, token: Option<&str>) {
        self.ends.bridge.send(line);
        self.sent.push(Sent {
            id: id.to_owned(),
            step: self.step,
            token: token.map(str::to_owned),
            cancelled: false,
            stays_open: false,
        });
    }

    fn is_done(&self, id: &str) -> bool {
        let cancelled = self.sent.iter().any(|one| one.id == id && one.cancelled);
        cancelled || self.answered.contains_key(id)
    }

    fn call_and_cancel(&mut self, name: &str, tool: &str) {
        self.send(name, self.conversation.era.call(name, tool), Some(name));
        while !self.is_done(name) {
            if self.lines.iter().any(|line| is_progress_of(line, name)) {
                self.cancel(name);
            } else {
                self.next(name);
            }
        }
    }

    fn cancel(&mut self, id: &str) {
        let params = format!(r#""requestId":"{id}""#);
        self.ends.bridge.send(notification("cancelled", &params));
        let sent = self.sent.iter_mut().find(|one| one.id == id);
        sent.expect("it was sent").cancelled = true;
        // The answer may have crossed the cancellation, which then goes no further.
        self.wait_for(self.conversation.follows("cancelled"), Some(id));
    }

    fn listen(&mut self, name: &str) {
        let params =
            r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///a"]}"#;
        self.send(name, self.conversation.era.request(name, "subscriptions/listen", params), None);
        self.sent.last_mut().expect("it was sent").stays_open = true;
        let complete = |line: &String| {
            let resource = line.contains("file:///a");
            let acknowledged = line.contains("notifications/subscriptions/acknowledged");
            line.contains("notifications/resources/updated") || (acknowledged && !resource)
        };
        // Each of them can keep the update from coming.
        let on_the_way = ["subscriptions/listen", "resources/subscribe", "GET", "GET again"];
        // The one stream is no sign: it was struck long before.
        let on_the_way = &on_the_way[..if self.conversation.has_one_stream() { 2 } else { 4 }];
        let struck = |client: &Self| on_the_way.iter().any(|one| client.struck.contains(*one));
        while !self.is_done(name) && !self.lines.iter().any(complete) && !struck(self) {
            self.next(name);
        }
    }

    fn tell(&mut self, method: &str, away: bool) {
        self.ends.bridge.send(notification(method, ""));
        if away && !self.conversation.crosses() {
            self.ends.bridge.wait_stderr("did not get through");
        } else if away {
            // What follows is not the client's to wait for.
        } else {
            self.wait_for(self.conversation.follows(method), None);
        }
    }

    /// Waits until these requests have reached the remote, if nothing strikes, or until `id`
    /// is answered.
    fn wait_for(&mut self, labels: &[&str], id: Option<&str>) {
        for &label in labels {
            // These streams have no end.
            let endless = ["GET", "subscriptions/listen"].contains(&label);
            let came = |event: &Event| match event {
                Event::Over(found) => found == label,
                Event::Begun(found) => found == label && endless,
                _ => false,
            };
            while !self.seen.iter().any(came)
                && !self.struck.contains(label)
                && !id.is_some_and(|id| self.answered.contains_key(id))
            {
                self.next("");
            }
        }
        self.seen.clear();
    }

    /// Takes note of one thing that happens while `id` is waited for.
    fn next(&mut self, id: &str) {
        let event = self.ends.events.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            panic!(
                "nothing happens while {id:?} is waited for; exchanges: {:#?}; stderr: {}",
                self.ends.proxy.exchanges(),
                self.ends.bridge.stderr()
            )
        });
        match event {
            Event::Line(Some(line)) => self.take(text(line)),
            Event::Line(None) => panic!("stdout ended; stderr: {}", self.ends.bridge.stderr()),
            Event::Stalled(exchange) => {
                let answers = self.conversation.has_one_stream() && exchange.label == "GET";
                self.stalled(id, exchange.is_awaited() || answers);
            }
            Event::Struck(label) => {
                if label == "response" {
                    // The remote has the answer, or will never get it.
                    self.ends.remote.give_up_asking();
                }
                self.struck.insert(label);
            }
            other => self.seen.push(other),
        }
    }

    fn take(&mut self, line: String) {
        let message = crate::support::value(&line);
        match (message["method"].as_str(), &message["id"]) {
            (Some(_), Value::String(id)) => {
                self.ends
                    .bridge
                    .send(format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{ANSWER}}}"#));
            }
            (None, Value::String(id)) => {
                self.answered.insert(id.clone(), message);
            }
            _ => {}
        }
        self.lines.push(line);
    }

    /// A reply does not go on: the client gives it up, or other calls go through and then the
    /// network ends it.
    fn stalled(&mut self, id: &str, awaited: bool) {
        let swallowed =
            self.conversation.has_one_stream() && self.fault.is_some_and(Fault::swallows);
        if swallowed || self.fault.is_some_and(Fault::is_cancelled) {
            if awaited {
                self.cancel(id);
            }
            if self.conversation.has_one_stream() {
                // Only now, as the stream stays.
                self.ends.proxy.let_go();
            }
            return;
        }
        let first = self.conversation.era == Era::Legacy || self.conversation.crosses();
        let shakes_hands = self.step == "hello" && first;
        if awaited && !shakes_hands && !self.conversation.has_one_stream() {
            self.probes += 1;
            let probe = format!("probe {}", self.probes);
            let line = self.conversation.era.request(&probe, "tools/list", "");
            self.ask(&probe, line, None);
        }
        self.ends.proxy.let_go();
    }

    /// The fault is over: the next call is served.
    pub(super) fn afterwards(&mut self) {
        self.begin("afterwards");
        self.ask(
            "afterwards",
            self.conversation.era.call("afterwards", "json"),
            Some("afterwards"),
        );
        let answer = &self.answered["afterwards"];
        assert!(answer.get("result").is_some(), "the next call is not served: {answer}");
        self.ends.remote.let_go("bystander");
        while self.sent.iter().any(|one| one.id == "bystander") && !self.is_done("bystander") {
            self.next("bystander");
        }
    }
}

fn is_progress_of(line: &str, token: &str) -> bool {
    let message = crate::support::value(line);
    message["method"] == "notifications/progress" && message["params"]["progressToken"] == token
}
