//! The client of a conversation: says its lines one after the other through the executable,
//! and keeps what it was told.

use super::conversation::{ANSWER, Conversation, Does, Era, Step, notification};
use super::fault::Fault;
use super::proxy::{Event, Proxy};
use super::record::{Exchange, Plan, Record};
use super::remote::Remote;
use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, Ended};
use crate::support::home::Home;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, channel};

/// What strikes before a step: of the others the proxy knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before {
    pub(crate) step: &'static str,
    pub(crate) fault: Fault,
}

/// A request that was sent, as far as its answer is judged.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) step: &'static str,
    /// A call, counted by this.
    pub(crate) token: Option<String>,
    pub(crate) cancelled: bool,
    pub(crate) stays_open: bool,
}

/// All that came of one conversation.
pub(crate) struct Run {
    pub(crate) sent: Vec<Sent>,
    /// Everything on stdout.
    pub(crate) lines: Vec<String>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) struck: Option<Exchange>,
    pub(crate) executed: HashMap<String, usize>,
    pub(crate) ended: Ended,
}

/// The step from which on another call waits, where one is needed.
const BYSTANDS: &str = "list";

struct Client<'a> {
    conversation: Conversation,
    remote: &'a Remote,
    proxy: &'a Proxy,
    bridge: &'a Bridge,
    events: Receiver<Event>,
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

/// Has the whole conversation with a fresh bridge.
pub(crate) fn converse(
    conversation: Conversation,
    plan: Plan,
    fault: Option<Fault>,
    before: Option<Before>,
) -> Run {
    let remote = Remote::start(conversation.remote);
    let (sender, events) = channel();
    let proxy =
        Proxy::start(remote.address(), remote.restart(), Record::new(plan, true), sender.clone());
    let mut bridge = Home::new("memory").launch(&proxy.url()).start_unread();
    bridge.read_with(move |line| drop(sender.send(Event::Line(line))));
    let mut client = Client {
        conversation,
        remote: &remote,
        proxy: &proxy,
        bridge: &bridge,
        events,
        fault,
        struck: HashSet::new(),
        seen: Vec::new(),
        lines: Vec::new(),
        answered: HashMap::new(),
        sent: Vec::new(),
        probes: 0,
        step: "",
    };
    for step in conversation.steps() {
        client.step(step, before.filter(|before| before.step == step.0).map(|one| one.fault));
    }
    client.afterwards();
    let Client { events, mut lines, sent, .. } = client;
    bridge.close_stdin();
    let ended = bridge.wait_exit(PATIENCE);
    lines.extend(rest(&events));
    Run {
        sent,
        lines,
        exchanges: proxy.exchanges(),
        struck: proxy.struck(),
        executed: remote.executed(),
        ended,
    }
}

/// What was written at the very end.
fn rest(events: &Receiver<Event>) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match events.recv_timeout(PATIENCE).expect("the end of stdout") {
            Event::Line(Some(line)) => lines.push(text(line)),
            Event::Line(None) => return lines,
            _ => {}
        }
    }
}

fn text(line: Vec<u8>) -> String {
    let line = String::from_utf8(line).expect("UTF-8 on stdout");
    line.strip_suffix('\n').expect("whole lines on stdout").to_owned()
}

impl Client<'_> {
    fn step(&mut self, Step(name, does): &Step, before: Option<Fault>) {
        self.begin(name);
        match before {
            Some(Fault::ListenerGone) => self.proxy.go_away(),
            Some(_) => {
                (self.remote.restart())();
                self.proxy.hang_up();
            }
            None => {}
        }
        let away = before == Some(Fault::ListenerGone);
        let era = self.conversation.era;
        match does {
            Does::ShakesHands => self.shake_hands(name, away),
            Does::Asks(method, params) => self.ask(name, era.request(name, method, params), None),
            Does::Calls(tool) => self.call(name, tool),
            Does::CallsAndCancels(tool) => self.call_and_cancel(name, tool),
            Does::Listens => self.listen(name),
            Does::Tells(method) => self.tell(method, away),
        }
        if away && !matches!(does, Does::ShakesHands) {
            self.proxy.come_back();
        }
    }

    fn begin(&mut self, step: &'static str) {
        self.step = step;
        self.proxy.begin(step);
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
                self.proxy.come_back();
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
        let state = answer["result"]["requestState"].as_str().expect("a state").to_owned();
        let again = format!("{name} again");
        self.ask(&again, era.call_again(name, tool, &state), Some(&again));
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, id: &str, line: String, token: Option<&str>) {
        self.send(id, line, token);
        while !self.is_done(id) {
            self.next(id);
        }
    }

    fn send(&mut self, id: &str, line: String, token: Option<&str>) {
        self.bridge.send(line);
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
        self.bridge.send(notification("cancelled", &params));
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
        let updated = |line: &String| line.contains("notifications/resources/updated");
        let struck = |client: &Self| client.struck.contains("subscriptions/listen");
        while !self.is_done(name) && !self.lines.iter().any(updated) && !struck(self) {
            self.next(name);
        }
    }

    fn tell(&mut self, method: &str, away: bool) {
        self.bridge.send(notification(method, ""));
        if away {
            self.bridge.wait_stderr("did not get through");
        } else {
            self.wait_for(self.conversation.follows(method), None);
        }
    }

    /// Waits until these requests have reached the remote, if nothing strikes, or until `id`
    /// is answered.
    fn wait_for(&mut self, labels: &[&str], id: Option<&str>) {
        for &label in labels {
            // A GET stream has no end.
            let came = |event: &Event| match event {
                Event::Over(found) => found == label,
                Event::Begun(found) => found == label && label == "GET",
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
        let event = self.events.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            panic!(
                "nothing happens while {id:?} is waited for; exchanges: {:#?}; stderr: {}",
                self.proxy.exchanges(),
                self.bridge.stderr()
            )
        });
        match event {
            Event::Line(Some(line)) => self.take(text(line)),
            Event::Line(None) => panic!("stdout ended; stderr: {}", self.bridge.stderr()),
            Event::Stalled(exchange) => self.stalled(id, exchange.is_awaited()),
            Event::Struck(label) => {
                if label == "response" {
                    // The remote has the answer, or will never get it.
                    self.remote.give_up_asking();
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
                self.bridge.send(format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{ANSWER}}}"#));
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
        if self.fault.is_some_and(Fault::is_cancelled) {
            if awaited {
                self.cancel(id);
            }
            return;
        }
        let shakes_hands = self.step == "hello" && self.conversation.era == Era::Legacy;
        if awaited && !shakes_hands {
            self.probes += 1;
            let probe = format!("probe {}", self.probes);
            let line = self.conversation.era.request(&probe, "tools/list", "");
            self.ask(&probe, line, None);
        }
        self.proxy.let_go();
    }

    /// The fault is over: the next call is served.
    fn afterwards(&mut self) {
        self.begin("afterwards");
        self.ask(
            "afterwards",
            self.conversation.era.call("afterwards", "json"),
            Some("afterwards"),
        );
        let answer = &self.answered["afterwards"];
        assert!(answer.get("result").is_some(), "the next call is not served: {answer}");
        self.remote.let_go("bystander");
        while self.sent.iter().any(|one| one.id == "bystander") && !self.is_done("bystander") {
            self.next("bystander");
        }
    }
}

fn is_progress_of(line: &str, token: &str) -> bool {
    let message = crate::support::value(line);
    message["method"] == "notifications/progress" && message["params"]["progressToken"] == token
}
