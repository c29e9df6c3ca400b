//! A remote of 2024-11-05: all that it says comes on the stream of a connection.

use super::streams::Streams;
use super::{State, progress, result, tools};
use crate::support::http::{Request, Wire};
use crate::support::mcp_server::Server;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

#[derive(Default)]
pub(super) struct Connections(Mutex<All>);

#[derive(Default)]
struct All {
    opened: usize,
    live: HashSet<String>,
    /// By token, the calls for which the client was asked something: where and what to answer.
    asked: HashMap<String, (String, String)>,
}

impl Connections {
    /// Ends every connection.
    pub(super) fn forget(&self, streams: &Streams) {
        for name in self.0.lock().unwrap().live.drain() {
            streams.end(&name, None);
        }
    }

    fn open(&self) -> String {
        let mut all = self.0.lock().unwrap();
        all.opened += 1;
        let name = format!("connection-{}", all.opened);
        all.live.insert(name.clone());
        name
    }

    fn is_live(&self, name: &str) -> bool {
        self.0.lock().unwrap().live.contains(name)
    }
}

/// Answers every call for which the client was asked something.
pub(super) fn give_up_asking(state: &State) {
    for (_, (name, answer)) in state.connections.0.lock().unwrap().asked.drain() {
        state.streams.push(&name, answer);
    }
}

pub(super) fn start(state: &Arc<State>) -> Server {
    let state = state.clone();
    Server::start(move |request, wire| {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        match (&*request.method, path) {
            ("GET", "/mcp" | "/mcp-moved") => open(&state, wire),
            ("POST", "/messages") => {
                // A redirect has put something behind it.
                let name = query.trim_end_matches("-moved");
                take(&state, name, request, wire);
            }
            _ => wire.status(405),
        }
    })
}

fn open(state: &State, wire: Wire) {
    let name = state.connections.open();
    let mut events = wire.events();
    events.raw(format!("event: endpoint\ndata: /messages?{name}\n\n"));
    state.streams.play(&name, 0, false, events);
}

fn take(state: &State, name: &str, request: &Request, wire: Wire) {
    if !state.connections.is_live(name) {
        return wire.reply(404, &[], b"no such session");
    }
    // What is executed is, before anybody can be told.
    let calls = request.rpc() == "tools/call";
    let called = calls.then(|| match state.wants_link(request) {
        Some(error) => Err(error),
        None => Ok(state.execute(request, false)),
    });
    wire.reply(202, &[], b"Accepted");
    let say = |text: String| state.streams.push(name, text);
    match called {
        Some(Ok((tool, token))) => return call(state, name, request, &tool, &token),
        Some(Err(error)) => return say(error),
        None => {}
    }
    match &*request.kind() {
        "initialize" => say(request.result(
            r#"{"protocolVersion":"2024-11-05","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"serverInfo":{"name":"sse","version":"0"}}"#,
        )),
        "tools/list" => say(request.result(&tools(""))),
        "resources/subscribe" => {
            say(r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a"}}"#.to_owned());
            say(request.result("{}"));
        }
        "response" => {
            let id = request.json()["id"].take();
            assert_eq!(request.json()["result"]["model"], "m", "{request:?}");
            let asked = &mut state.connections.0.lock().unwrap().asked;
            if let Some((name, answer)) = id.as_str().and_then(|token| asked.remove(token)) {
                state.streams.push(&name, answer);
            }
        }
        _ if request.is_notification() => {}
        _ => say(request.result("{}")),
    }
}

fn call(state: &State, name: &str, request: &Request, tool: &str, token: &str) {
    let streams: &Streams = &state.streams;
    let answer = request.result(&result(token, ""));
    match tool {
        "progress" => {
            streams.push(name, progress(request, 1));
            streams.push(name, progress(request, 2));
        }
        "held" => return streams.push(name, progress(request, 1)),
        "ask" => {
            let ask = format!(
                r#"{{"jsonrpc":"2.0","id":"{token}","method":"sampling/createMessage","params":{{"messages":[],"maxTokens":1}}}}"#
            );
            let asked = (name.to_owned(), answer);
            state.connections.0.lock().unwrap().asked.insert(token.to_owned(), asked);
            return streams.push(name, ask);
        }
        "late" => streams.wait(token),
        _ => {}
    }
    streams.push(name, answer);
}
