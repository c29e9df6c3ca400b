//! A remote of 2025-11-25.

use super::streams::position;
use super::{State, progress, result, tools};
use crate::support::http::{Events, Request, Wire};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use std::sync::Arc;

/// The stream for what nobody asked for.
const UNASKED: &str = "unasked";

pub(super) fn start(state: &Arc<State>) -> Server {
    let on = |answer: fn(&State, &Request, Wire)| {
        let state = state.clone();
        move |request: &Request, wire: Wire| answer(&state, request, wire)
    };
    let legacy = Legacy::new()
        .on("tools/list", |request, wire| wire.json(request.result(&tools(""))))
        .on("tools/call", on(call))
        .on("GET", on(get))
        .on("response", on(take_response))
        .on("resources/subscribe", on(subscribe))
        .on("notifications/cancelled", on(cancel));
    let legacy = if state.ids { legacy.sessions(&state.sessions) } else { legacy };
    let legacy = legacy.into_handler();
    Server::start(move |request, wire| {
        let version = request.header("mcp-protocol-version");
        match &*request.method {
            // Whoever looks for a remote of before.
            "GET" if version.is_none() => wire.status(405),
            _ => legacy(request, wire),
        }
    })
}

fn call(state: &State, request: &Request, wire: Wire) {
    if let Some(error) = state.wants_link(request) {
        return wire.json(error);
    }
    let (tool, token) = state.execute(request, false);
    let answer = request.result(&result(&token, ""));
    let streams = &state.streams;
    match tool.as_str() {
        "progress" => {
            streams.push(&token, progress(request, 1));
            streams.push(&token, progress(request, 2));
            streams.end(&token, Some(answer));
        }
        "ask" => {
            let ask = format!(
                r#"{{"jsonrpc":"2.0","id":"{token}","method":"sampling/createMessage","params":{{"messages":[],"maxTokens":1}}}}"#
            );
            streams.ask(&token, ask, answer);
        }
        "held" => streams.push(&token, progress(request, 1)),
        "poll" => {
            let events = primed(state, &token, wire);
            events.end();
            return streams.end(&token, Some(answer));
        }
        "late" => {
            streams.wait(&token);
            return wire.json(answer);
        }
        _ => return wire.json(answer),
    }
    streams.play(&token, 0, state.ids, primed(state, &token, wire));
}

/// With ids, a stream begins with one, so that it can be taken up from its beginning.
fn primed(state: &State, token: &str, wire: Wire) -> Events {
    let mut events = wire.events();
    if state.ids {
        events.raw(format!("id: {token}/0\nretry: 2\ndata: \n\n"));
    }
    events
}

fn get(state: &State, request: &Request, wire: Wire) {
    let (name, seen) = match request.header("last-event-id") {
        Some(id) => position(id),
        None => (UNASKED.to_owned(), 0),
    };
    state.streams.play(&name, seen, state.ids, wire.events());
}

fn subscribe(state: &State, request: &Request, wire: Wire) {
    let updated = r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"file:///a"}}"#;
    state.streams.push(UNASKED, updated.to_owned());
    wire.json(request.result("{}"));
}

/// The answer to what was asked on the stream of this name.
fn take_response(state: &State, request: &Request, wire: Wire) {
    let id = request.json()["id"].take();
    assert_eq!(request.json()["result"]["model"], "m", "{request:?}");
    let _ = id.as_str().map(|token| state.streams.answered(token));
    wire.accepted();
}

fn cancel(state: &State, request: &Request, wire: Wire) {
    let id = request.json()["params"]["requestId"].take();
    if let Some(token) = id.as_str() {
        state.streams.end(token, None);
    }
    wire.accepted();
}
