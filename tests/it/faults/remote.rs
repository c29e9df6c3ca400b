//! The remotes of the conversations: what each tool does is in its name. They count how often
//! each call was executed.

mod http_sse;
mod legacy;
mod modern;
mod streams;

use crate::support::http::Request;
use crate::support::mcp_server::Server;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use streams::Streams;

/// The kinds of remote that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With sessions, event ids, and streams that can be resumed.
    Sessions,
    /// Legacy without any of these.
    Plain,
    Modern,
    /// Of 2024-11-05.
    HttpSse,
}

pub(crate) struct Remote {
    server: Server,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    executed: Mutex<HashMap<String, usize>>,
    streams: Streams,
    sessions: crate::support::legacy::Sessions,
    connections: http_sse::Connections,
    ids: bool,
    /// Tokens of calls for which a link had to be opened.
    linked: Mutex<HashSet<String>>,
}

impl Remote {
    pub(crate) fn start(kind: Kind) -> Self {
        let state = Arc::new(State { ids: kind == Kind::Sessions, ..State::default() });
        let server = match kind {
            Kind::Sessions | Kind::Plain => legacy::start(&state),
            Kind::Modern => modern::start(&state),
            Kind::HttpSse => http_sse::start(&state),
        };
        Self { server, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it does when it is started anew: it knows no session any more.
    pub(crate) fn restart(&self) -> impl Fn() + Send + Sync + 'static {
        let state = self.state.clone();
        move || {
            state.sessions.expire();
            state.connections.forget(&state.streams);
        }
    }

    /// It stops waiting for what it asked the client.
    pub(crate) fn give_up_asking(&self) {
        self.state.streams.give_up_asking();
        http_sse::give_up_asking(&self.state);
    }

    /// Answers the late call of this token.
    pub(crate) fn let_go(&self, token: &str) {
        self.state.streams.end(token, None);
    }

    /// How often each call was executed.
    pub(crate) fn executed(&self) -> HashMap<String, usize> {
        self.state.executed.lock().unwrap().clone()
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.state.streams.close();
    }
}

impl State {
    /// The tool and the token of a call, which counts as executed where it is not `asks`, by
    /// which the remote only begins.
    fn execute(&self, request: &Request, asks: bool) -> (String, String) {
        let params = request.json()["params"].take();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let token = text(&params["arguments"]["token"]);
        if !asks {
            *self.executed.lock().unwrap().entry(token.clone()).or_default() += 1;
        }
        (text(&params["name"]), token)
    }

    /// What a legacy remote answers where a link has to be opened first: once for each token.
    fn wants_link(&self, request: &Request) -> Option<String> {
        let params = request.json()["params"].take();
        let token = params["arguments"]["token"].as_str().unwrap_or_default().to_owned();
        let first = params["name"] == "link" && self.linked.lock().unwrap().insert(token);
        first.then(|| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32042,"message":"open it","data":{{"elicitations":[{{"mode":"url","elicitationId":"1","url":"https://x.invalid/","message":"m"}}]}}}}}}"#,
                request.id()
            )
        })
    }
}

/// The result of a call, for one who checks that it is the right one.
fn result(token: &str, more: &str) -> String {
    format!(r#"{{{more}"content":[{{"type":"text","text":"{token}"}}]}}"#)
}

fn progress(request: &Request, n: usize) -> String {
    let token = request.json()["params"]["_meta"]["progressToken"].take();
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{n}}}}}"#
    )
}

/// Tools with these names.
fn tools(more: &str) -> String {
    let tools = ["progress", "json", "ask", "poll", "held", "late", "link"]
        .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
    format!(r#"{{{more}"tools":[{}]}}"#, tools.join(","))
}
