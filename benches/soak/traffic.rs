//! The traffic of one bridge, and what must hold of it.

use crate::dice::Dice;
use crate::faults::conversation::{ANSWER, Conversation, Era, notification};
use crate::faults::fault::Fault;
use crate::faults::proxy::{Event, Proxy};
use crate::faults::record::{Exchange, Record};
use crate::faults::remote::Remote;
use crate::memory::Memory;
use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::weather::{DRIVEN, Weather};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

const STORM: Duration = Duration::from_secs(8);
/// Requests under way at the same time.
const WINDOW: usize = 16;
/// A client's own limit, after which it cancels what a fault may have stopped.
const LIMIT: Duration = Duration::from_secs(3);
/// Nothing else may take so long.
const HUNG: Duration = Duration::from_secs(20);
/// Calls that have to succeed in a calm.
const CALLS: usize = 40;
/// Between two things that the client says, so that minutes are not hours of work.
const PACE: Duration = Duration::from_millis(2);

/// A request without an answer.
struct Open {
    since: Instant,
    token: Option<String>,
    tool: &'static str,
}

/// What came of it all.
pub(crate) struct Report {
    name: &'static str,
    sent: usize,
    results: usize,
    errors: BTreeMap<i64, usize>,
    cancelled: usize,
    strikes: BTreeMap<String, usize>,
    memory: Memory,
    violations: Vec<String>,
}

struct Traffic {
    conversation: Conversation,
    remote: Remote,
    proxy: Proxy,
    bridge: Bridge,
    events: Receiver<Event>,
    weather: Weather,
    dice: Dice,
    open: HashMap<String, Open>,
    /// Cancelled since the last calm: an answer may have crossed that.
    cancelled: HashSet<String>,
    count: usize,
    back_at: Option<Instant>,
    let_go_at: Option<Instant>,
    report: Report,
}

/// Soaks one bridge for so long.
pub(crate) fn soak(
    name: &'static str,
    conversation: Conversation,
    time: Duration,
    seed: u64,
) -> Report {
    let weather = Weather::default();
    let plan = weather.plan(conversation, Dice::new(seed));
    let remote = Remote::start(conversation.remote);
    let (sender, events) = channel();
    let record = Record::new(plan, false);
    let proxy = Proxy::start(remote.address(), remote.restart(), record, sender.clone());
    let mut bridge = Home::new("memory").launch(&proxy.url()).start_unread();
    bridge.read_with(move |line| drop(sender.send(Event::Line(line))));
    let report = Report {
        name,
        sent: 0,
        results: 0,
        errors: BTreeMap::new(),
        cancelled: 0,
        strikes: BTreeMap::new(),
        memory: Memory::default(),
        violations: Vec::new(),
    };
    let mut traffic = Traffic {
        conversation,
        remote,
        proxy,
        bridge,
        events,
        weather,
        dice: Dice::new(!seed),
        open: HashMap::new(),
        cancelled: HashSet::new(),
        count: 0,
        back_at: None,
        let_go_at: None,
        report,
    };
    traffic.shake_hands();
    let (start, mut told) = (Instant::now(), 0.0);
    while start.elapsed() < time && traffic.report.violations.is_empty() {
        traffic.storm(STORM.min(time / 4));
        traffic.calm();
        let seconds = start.elapsed().as_secs_f64();
        traffic.report.memory.sample(traffic.bridge.pid(), seconds);
        if seconds >= told + 60.0 {
            told = seconds;
            println!("{name}: {seconds:.0} s, {} requests", traffic.report.sent);
        }
    }
    traffic.end()
}

impl Traffic {
    fn shake_hands(&mut self) {
        let era = self.conversation.era;
        let hello = match era {
            Era::Legacy => Era::initialize("hello"),
            Era::Modern => era.request("hello", "server/discover", ""),
        };
        self.send("hello".to_owned(), hello, None, "");
        self.drain(HUNG);
        if era == Era::Legacy {
            self.bridge.send(notification("initialized", ""));
            self.ask("resources/subscribe", r#""uri":"file:///a""#);
            self.ask("logging/setLevel", r#""level":"info""#);
        } else {
            self.ask("subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#);
        }
    }

    fn send(&mut self, id: String, line: String, token: Option<String>, tool: &'static str) {
        self.bridge.send(line);
        self.report.sent += 1;
        self.open.insert(id, Open { since: Instant::now(), token, tool });
    }

    fn id(&mut self) -> String {
        self.count += 1;
        format!("r{}", self.count)
    }

    fn ask(&mut self, method: &'static str, params: &str) {
        let id = self.id();
        let line = self.conversation.era.request(&id, method, params);
        self.send(id, line, None, method);
    }

    fn call(&mut self, tool: &'static str) {
        let id = self.id();
        let line = self.conversation.era.call(&id, tool);
        self.send(id.clone(), line, Some(id), tool);
    }

    /// Says one thing at random.
    fn say(&mut self) {
        let legacy = self.conversation.era == Era::Legacy;
        match self.dice.below(20) {
            0 | 1 => self.ask("tools/list", ""),
            2 if legacy => self.ask("ping", ""),
            3 if legacy => self.bridge.send(notification("roots/list_changed", "")),
            4..=6 => self.call("ask"),
            7 if self.conversation.resumes() => self.call("poll"),
            8 | 9 => self.call("held"),
            10..=13 => self.call("progress"),
            _ => self.call("json"),
        }
    }

    /// Anything may fail; nothing may be lost.
    fn storm(&mut self, time: Duration) {
        self.weather.set_storm(true);
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.open.len() < WINDOW {
                self.say();
            }
            if self.dice.per_mille(3) {
                self.outage();
            }
            self.take_events(PACE);
            self.look_at_the_clock(true);
        }
        self.weather.set_storm(false);
    }

    fn outage(&mut self) {
        let fault = *self.dice.one_of(&DRIVEN);
        self.weather.count(&format!("{fault:?}"));
        if fault == Fault::Restart {
            (self.remote.restart())();
            return self.proxy.hang_up();
        }
        if self.back_at.is_none() {
            self.proxy.go_away();
            let away = Duration::from_millis(self.dice.below(300) as u64);
            self.back_at = Some(Instant::now() + away);
        }
    }

    /// What the client or the network does when its time has come.
    fn look_at_the_clock(&mut self, storm: bool) {
        let now = Instant::now();
        if self.back_at.is_some_and(|at| at <= now) {
            self.back_at = None;
            self.proxy.come_back();
        }
        if self.let_go_at.is_some_and(|at| at <= now) {
            self.let_go_at = None;
            self.proxy.let_go();
            self.remote.give_up_asking();
        }
        for (id, tool) in self.older_than(HUNG) {
            self.violation(format!("{id} ({tool}) hangs"));
        }
        let limit = if storm { LIMIT } else { LIMIT / 3 };
        for (id, _) in self.older_than(limit) {
            self.cancel(&id);
        }
        if self.let_go_at.is_none() {
            self.let_go_at = Some(now + Duration::from_millis(self.dice.below(400) as u64));
        }
    }

    fn older_than(&self, limit: Duration) -> Vec<(String, &'static str)> {
        let open = self.open.iter().filter(|(_, open)| open.tool != "subscriptions/listen");
        let old = open.filter(|(_, open)| open.since.elapsed() > limit);
        old.map(|(id, open)| (id.clone(), open.tool)).collect()
    }

    fn cancel(&mut self, id: &str) {
        if self.open.remove(id).is_some() {
            self.bridge.send(notification("cancelled", &format!(r#""requestId":"{id}""#)));
            self.report.cancelled += 1;
            self.cancelled.insert(id.to_owned());
        }
    }

    /// The faults are over: what was struck comes to its end, and everything new succeeds.
    fn calm(&mut self) {
        while self.back_at.is_some() {
            self.take_events(PACE);
            self.look_at_the_clock(false);
        }
        self.drain(HUNG);
        let before = self.report.errors.values().sum::<usize>();
        for n in 0..CALLS {
            self.call(["json", "progress", "ask"][n % 3]);
        }
        // Each must have come to its result: none is cancelled here.
        let end = Instant::now() + HUNG;
        while self.is_waiting() && Instant::now() < end {
            self.take_events(PACE);
        }
        if self.is_waiting() {
            self.violation("calls hang in a calm".to_owned());
        }
        let after = self.report.errors.values().sum::<usize>();
        if after != before {
            self.violation(format!("{} calls failed in a calm", after - before));
        }
        self.cancelled.clear();
        if self.conversation.era == Era::Modern && self.open.is_empty() {
            self.ask("subscriptions/listen", r#""notifications":{"toolsListChanged":true}"#);
        }
    }

    fn is_waiting(&self) -> bool {
        self.open.values().any(|open| open.tool != "subscriptions/listen")
    }

    fn drain(&mut self, limit: Duration) {
        let end = Instant::now() + limit;
        while self.is_waiting() && Instant::now() < end {
            self.take_events(PACE);
            self.look_at_the_clock(false);
        }
    }

    fn take_events(&mut self, wait: Duration) {
        let end = Instant::now() + wait;
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(Event::Line(Some(line))) => self.take(&line),
                Ok(Event::Stalled(exchange)) => self.stalled(&exchange),
                Ok(Event::Line(None)) => return self.violation("stdout ended".to_owned()),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn stalled(&mut self, exchange: &Exchange) {
        let id = exchange.id.as_deref().and_then(|id| serde_json::from_str::<String>(id).ok());
        if let Some(id) = id.filter(|_| exchange.fault.is_some_and(Fault::is_cancelled)) {
            self.cancel(&id);
        }
    }

    fn take(&mut self, line: &[u8]) {
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            return self.violation(format!("no JSON: {}", String::from_utf8_lossy(line)));
        };
        if message["jsonrpc"] != "2.0" {
            return self.violation(format!("no message: {message}"));
        }
        match (message["method"].as_str(), message["id"].as_str()) {
            (Some(_), Some(id)) => {
                self.bridge.send(format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{ANSWER}}}"#));
            }
            (None, Some(id)) => self.take_answer(id, &message),
            (None, None) => self.violation(format!("an answer without an id: {message}")),
            (Some("notifications/progress"), None) => {
                let token = message["params"]["progressToken"].as_str().unwrap_or_default();
                if self.open.get(token).is_some_and(|open| open.tool == "held") {
                    self.cancel(token);
                }
            }
            (Some(_), None) => {}
        }
    }

    fn take_answer(&mut self, id: &str, message: &Value) {
        let Some(open) = self.open.remove(id) else {
            if !self.cancelled.remove(id) {
                self.violation(format!("an answer that nobody waits for: {message}"));
            }
            return;
        };
        if let Some(code) = message["error"]["code"].as_i64() {
            *self.report.errors.entry(code).or_default() += 1;
            let own = message["error"]["data"]["origin"] == "keyferry";
            if !own || !(-31004..=-31002).contains(&code) {
                self.violation(format!("an error that is none of the network: {message}"));
            }
            return;
        }
        self.report.results += 1;
        let result = &message["result"];
        let Some(token) = open.token else { return };
        if result["resultType"] == "input_required" {
            let state = result["requestState"].as_str().unwrap_or_default();
            let again = format!("{id} again");
            let line = self.conversation.era.call_again(id, "ask", "q", state);
            return self.send(again, line, Some(token), "ask");
        }
        if result["content"][0]["text"] != token.as_str() {
            self.violation(format!("the result of another call: {message}"));
        }
    }

    fn violation(&mut self, what: String) {
        println!("{}: {what}", self.report.name);
        self.report.violations.push(what);
    }

    fn end(mut self) -> Report {
        for (token, count) in self.remote.executed() {
            if count > 1 {
                self.violation(format!("{token} was executed {count} times"));
            }
        }
        self.bridge.close_stdin();
        let ended = self.bridge.wait_exit(HUNG);
        let mut report = self.report;
        if !ended.status.success() || ended.took > Duration::from_secs(1) {
            report.violations.push(format!("the end: {:?} after {:?}", ended.status, ended.took));
        }
        report.strikes = self.weather.strikes();
        report
    }
}

impl Report {
    pub(crate) fn is_good(&self) -> bool {
        self.violations.is_empty() && self.memory.is_flat()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (growth, mean) = self.memory.growth();
        let (least, most) = self.memory.range();
        let strikes: usize = self.strikes.values().sum();
        writeln!(f, "\n{}", self.name)?;
        writeln!(
            f,
            "  {} requests: {} results, {:?} errors, {} cancelled",
            self.sent, self.results, self.errors, self.cancelled
        )?;
        writeln!(f, "  {strikes} strikes: {:?}", self.strikes)?;
        write!(
            f,
            "  resident after warm-up: {mean:.0} KiB ({least:.0} to {most:.0}), growth {growth:+.0} KiB: {}",
            if self.memory.is_flat() { "flat" } else { "NOT FLAT" }
        )?;
        for violation in &self.violations {
            write!(f, "\n  VIOLATION: {violation}")?;
        }
        Ok(())
    }
}
