//! A remote of 2026-07-28.

use super::{State, progress, result, tools};
use crate::support::PATIENCE;
use crate::support::http::{Request, Wire};
use crate::support::mcp_server::Server;
use crate::support::modern::{Modern, VERSION};
use std::sync::Arc;

const COMPLETE: &str = r#""resultType":"complete","#;
const CACHED: &str = r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#;

pub(super) fn start(state: &Arc<State>) -> Server {
    let state = state.clone();
    let modern = Modern::new()
        .on("server/discover", |request, wire| {
            wire.json(request.result(&format!(
                r#"{{{CACHED}"supportedVersions":["{VERSION}"],"capabilities":{{"tools":{{"listChanged":true}},"resources":{{"subscribe":true}}}}}}"#
            )));
        })
        .on("tools/list", |request, wire| wire.json(request.result(&tools(CACHED))))
        .on("tools/call", move |request, wire| call(&state, request, wire))
        .on("subscriptions/listen", listen)
        .into_handler();
    Server::start(move |request, wire| match &*request.method {
        // Whoever sees only a part of a refusal may look for a remote of before.
        "GET" => wire.status(405),
        _ => modern(request, wire),
    })
}

fn call(state: &State, request: &Request, wire: Wire) {
    let params = request.json()["params"].take();
    let asks = params["name"] == "ask" && params.get("inputResponses").is_none();
    let (tool, token) = state.execute(request, asks);
    let answer = request.result(&result(&token, COMPLETE));
    match tool.as_str() {
        "progress" => {
            let mut events = wire.events();
            events.event(progress(request, 1));
            events.event(progress(request, 2));
            events.event(answer);
            events.end();
        }
        "held" => {
            let mut events = wire.events();
            events.event(progress(request, 1));
            // Cancelled by that.
            events.client_closes_within(PATIENCE);
        }
        "ask" if asks => wire.json(request.result(&format!(
            r#"{{"resultType":"input_required","inputRequests":{{"q":{{"method":"sampling/createMessage","params":{{"messages":[],"maxTokens":1}}}}}},"requestState":"{token}"}}"#
        ))),
        "ask" => {
            assert_eq!(params["inputResponses"]["q"]["model"], "m", "{params}");
            assert_eq!(params["requestState"], token.as_str(), "{params}");
            wire.json(answer);
        }
        "late" => {
            state.streams.wait(&token);
            wire.json(answer);
        }
        _ => wire.json(answer),
    }
}

fn listen(request: &Request, wire: Wire) {
    let meta = format!(r#""_meta":{{"io.modelcontextprotocol/subscriptionId":{}}}"#, request.id());
    let note = |method: &str, more: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{meta}{more}}}}}"#
        )
    };
    let mut events = wire.events();
    let granted =
        r#","notifications":{"toolsListChanged":true,"resourceSubscriptions":["file:///a"]}"#;
    events.event(note("subscriptions/acknowledged", granted));
    events.event(note("resources/updated", r#","uri":"file:///a""#));
    events.client_closes_within(PATIENCE);
}
