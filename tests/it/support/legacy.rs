//! A conforming server of the revisions with sessions, any part of it replaceable.

use super::http::{Request, Wire};
use super::mcp_server::{Handler, Port, Server};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

const DEFAULT_CAPABILITIES: &str = r#"{"tools":{"listChanged":true},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{}}"#;

pub(crate) struct Legacy {
    sessions: Option<Sessions>,
    version: String,
    capabilities: String,
    on: HashMap<String, Handler>,
    lenient: bool,
}

/// Who decides which session lives.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<SessionState>>);

struct SessionState {
    name: String,
    opened: u32,
    live: HashSet<String>,
}

impl Default for SessionState {
    fn default() -> Self {
        Self { name: "session".to_owned(), opened: 0, live: HashSet::new() }
    }
}

impl Sessions {
    /// With ids of another name than `session-1`.
    pub(crate) fn named(name: &str) -> Self {
        let sessions = Self::default();
        name.clone_into(&mut sessions.0.lock().unwrap().name);
        sessions
    }

    /// A new session id.
    pub(crate) fn open(&self) -> String {
        let mut state = self.0.lock().unwrap();
        state.opened += 1;
        let id = format!("{}-{}", state.name, state.opened);
        state.live.insert(id.clone());
        id
    }

    /// The server forgets all sessions; whoever names one gets 404.
    pub(crate) fn expire(&self) {
        self.0.lock().unwrap().live.clear();
    }

    fn is_live(&self, id: &str) -> bool {
        self.0.lock().unwrap().live.contains(id)
    }
}

impl Legacy {
    pub(crate) fn new() -> Self {
        Self {
            sessions: None,
            version: "2025-11-25".to_owned(),
            capabilities: DEFAULT_CAPABILITIES.to_owned(),
            on: HashMap::new(),
            lenient: false,
        }
    }

    /// With session ids `session-1`, `session-2`, ...
    pub(crate) fn sessions(mut self, sessions: &Sessions) -> Self {
        self.sessions = Some(sessions.clone());
        self
    }

    /// The version it answers `initialize` with.
    pub(crate) fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    pub(crate) fn capabilities(mut self, capabilities: &str) -> Self {
        capabilities.clone_into(&mut self.capabilities);
        self
    }

    /// Replaces what it does for one kind of request (see [`Request::kind`]).
    pub(crate) fn on(
        mut self,
        kind: &str,
        handler: impl Fn(&Request, Wire) + Send + Sync + 'static,
    ) -> Self {
        self.on.insert(kind.to_owned(), Box::new(handler));
        self
    }

    /// With the tools `echo`, `whoami` and `admin`, answered so.
    pub(crate) fn tools(self, call: impl Fn(&Request, Wire) + Send + Sync + 'static) -> Self {
        let Self { ref on, .. } = self;
        let known = (on.contains_key("tools/list"), on.contains_key("tools/call"));
        let listed = if known.0 { self } else { self.on("tools/list", list_tools) };
        if known.1 { listed } else { listed.on("tools/call", call) }
    }

    /// Does not insist on the version header (a peer of mixed revisions).
    pub(crate) fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    pub(crate) fn start(self) -> Server {
        self.serve(Port::reserve())
    }

    pub(crate) fn serve(self, port: Port) -> Server {
        port.serve(self.into_handler())
    }

    pub(crate) fn into_handler(self) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
        move |request, wire| self.answer(request, wire)
    }

    fn answer(&self, request: &Request, wire: Wire) {
        let kind = request.kind();
        if is_modern(request) {
            return refuse_modern(wire);
        }
        self.check(request, &kind);
        if let Some(sessions) = &self.sessions
            && kind != "initialize"
            && !sessions.is_live(request.header("mcp-session-id").unwrap_or_default())
        {
            return wire.status(404);
        }
        match self.on.get(&kind) {
            Some(handler) => handler(request, wire),
            None => self.answer_by_default(request, &kind, wire),
        }
    }

    fn check(&self, request: &Request, kind: &str) {
        assert!(request.target.starts_with("/mcp"), "{}", request.target);
        let accept = request.header("accept").unwrap_or_default();
        assert!(
            kind == "DELETE" || accept.contains("text/event-stream"),
            "{kind} accepts {accept:?}"
        );
        if request.method == "POST" {
            assert!(accept.contains("application/json"), "{accept:?}");
            let content_type = request.header("content-type").unwrap_or_default();
            assert!(content_type.starts_with("application/json"));
        }
        let session = request.header("mcp-session-id");
        let version = request.header("mcp-protocol-version");
        if kind == "initialize" {
            assert_eq!(session, None, "a session id on initialize");
            assert_eq!(version, None, "a version header on initialize");
            return;
        }
        assert_eq!(session.is_some(), self.sessions.is_some(), "{kind}");
        if !self.lenient {
            assert_eq!(version, Some(self.version.as_str()), "{kind}");
        }
    }

    fn answer_by_default(&self, request: &Request, kind: &str, wire: Wire) {
        match kind {
            "initialize" => {
                let body = request.result(&format!(
                    r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{{"name":"scripted","version":"0"}}}}"#,
                    self.version, self.capabilities
                ));
                let mut headers = vec![("Content-Type", "application/json")];
                let session = self.sessions.as_ref().map(Sessions::open);
                if let Some(session) = &session {
                    headers.push(("Mcp-Session-Id", session));
                }
                wire.reply(200, &headers, body.as_bytes());
            }
            "GET" => wire.reply(405, &[("Allow", "POST, DELETE")], b""),
            "DELETE" => wire.status(200),
            "response" => wire.accepted(),
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => {
                wire.json(request.result("{}"));
            }
            "tools/list" => wire.json(
                request.result(r#"{"tools":[{"name":"echo","inputSchema":{"type":"object"}}]}"#),
            ),
            "tools/call" => {
                wire.json(request.result(r#"{"content":[{"type":"text","text":"ok"}]}"#))
            }
            _ if request.is_notification() => wire.accepted(),
            other => wire.json(format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no {other}"}}}}"#,
                request.id()
            )),
        }
    }
}

fn is_modern(request: &Request) -> bool {
    request.header("mcp-protocol-version").is_some_and(|version| version >= "2026")
}

/// As the official SDK does what comes without a session and in a version it does not know.
fn refuse_modern(wire: Wire) {
    let body = r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: Unsupported protocol version"},"id":null}"#;
    wire.reply(400, &[("Content-Type", "application/json")], body.as_bytes());
}

fn list_tools(request: &Request, wire: Wire) {
    let tools = ["echo", "whoami", "admin"]
        .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#));
    wire.json(request.result(&format!(r#"{{"tools":[{}]}}"#, tools.join(","))));
}
