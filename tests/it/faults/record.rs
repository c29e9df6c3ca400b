//! What went through the proxy.

use super::fault::Fault;
use crate::support::http::Request;
use std::collections::{BTreeMap, HashMap};

/// A fault at one of the pieces of a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    pub(crate) piece: usize,
}

/// Asked about each request as it arrives.
pub(crate) type Plan = Box<dyn FnMut(&Exchange) -> Option<Strike> + Send>;

/// One request and its reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    /// What it is, and for the second of its kind which.
    pub(crate) key: String,
    pub(crate) label: String,
    /// What the client was about when it came.
    pub(crate) step: String,
    /// A JSON-RPC request, as it was spelled.
    pub(crate) id: Option<String>,
    /// What a call is counted by.
    pub(crate) token: Option<String>,
    /// It goes to the endpoint of HTTP+SSE.
    pub(crate) is_endpoint: bool,
    pub(crate) is_stream: bool,
    /// The remote refused it, by its status.
    pub(crate) is_refusal: bool,
    pub(crate) has_ids: bool,
    /// How many pieces its reply has.
    pub(crate) pieces: usize,
    /// The piece that holds the JSON-RPC response.
    pub(crate) answer: Option<usize>,
    /// For each piece, the step in which it came, and whether it holds a response.
    pub(crate) came: Vec<(String, bool)>,
    /// The piece on which the remote asked the client.
    pub(crate) asks: Option<usize>,
    /// The remote ended the reply.
    pub(crate) whole: bool,
    /// What strikes it.
    pub(crate) fault: Option<Fault>,
}

impl Exchange {
    /// The client waits for its answer, or for that of a stream that it resumes.
    pub(crate) fn is_awaited(&self) -> bool {
        self.id.is_some() || self.resumes()
    }

    /// What HTTP makes of it: requests, notifications, refusals, JSON, streams, resumptions,
    /// what comes unasked, and what goes to an endpoint.
    pub(super) fn sort(&self) -> [bool; 7] {
        [
            self.id.is_some(),
            self.is_refusal,
            self.is_stream,
            self.has_ids,
            self.resumes(),
            self.label == "GET",
            self.is_endpoint,
        ]
    }

    /// It takes up a stream that has ended.
    pub(crate) fn resumes(&self) -> bool {
        self.label == "GET again"
    }
}

pub(crate) struct Record {
    plan: Plan,
    pub(super) step: String,
    exchanges: BTreeMap<usize, Exchange>,
    count: usize,
    labels: HashMap<String, usize>,
    pub(super) struck: Option<Exchange>,
    /// For a look at all of it afterwards; else what is over is forgotten.
    keeps: bool,
}

impl Record {
    pub(crate) fn new(plan: Plan, keeps: bool) -> Self {
        Self {
            plan,
            step: String::new(),
            exchanges: BTreeMap::new(),
            count: 0,
            labels: HashMap::new(),
            struck: None,
            keeps,
        }
    }

    /// Takes note of a request: its number, and what strikes it.
    pub(super) fn arrived(&mut self, request: &Request) -> (usize, Option<Strike>) {
        let label = label(request);
        let nth = self.labels.entry(label.clone()).or_default();
        *nth += 1;
        let key = if *nth == 1 { label.clone() } else { format!("{label} #{nth}") };
        let is_request = !request.rpc().is_empty() && !request.id().is_empty();
        let mut exchange = Exchange {
            key,
            label,
            step: self.step.clone(),
            id: is_request.then(|| request.id().to_owned()),
            token: token(request),
            is_endpoint: request.target.starts_with("/messages"),
            ..Exchange::default()
        };
        let strike = (self.plan)(&exchange);
        exchange.fault = strike.map(|strike| strike.fault);
        if strike.is_some() {
            self.struck = Some(exchange.clone());
        }
        self.count += 1;
        self.exchanges.insert(self.count, exchange);
        (self.count, strike)
    }

    /// The exchange with this number, which is not over yet.
    pub(super) fn at(&mut self, number: usize) -> &mut Exchange {
        self.exchanges.get_mut(&number).expect("it is under way")
    }

    /// An exchange is over. Returns its label.
    pub(super) fn over(&mut self, number: usize) -> String {
        let label = self.at(number).label.clone();
        if !self.keeps {
            self.exchanges.remove(&number);
        }
        label
    }

    pub(super) fn all(&self) -> Vec<Exchange> {
        self.exchanges.values().cloned().collect()
    }
}

fn label(request: &Request) -> String {
    match request.kind().as_str() {
        "GET" if request.header("last-event-id").is_some() => "GET again".to_owned(),
        "tools/call" => {
            let params = request.json()["params"].take();
            let again = if params.get("inputResponses").is_some() { " again" } else { "" };
            format!("tools/call {}{again}", params["name"].as_str().unwrap_or_default())
        }
        kind => kind.to_owned(),
    }
}

/// What the executions of a call are counted by.
pub(crate) fn token(request: &Request) -> Option<String> {
    if request.rpc() != "tools/call" {
        return None;
    }
    let params = request.json()["params"].take();
    let token = params["arguments"]["token"].as_str()?;
    let again = if params.get("inputResponses").is_some() { " again" } else { "" };
    Some(format!("{token}{again}"))
}
