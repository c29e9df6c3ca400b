//! A remote that decides for itself who is calling: legacy, with sessions, and the tools
//! `echo`, `whoami` and `admin` (for those whose name begins with `admin`).

use super::http::{Request, Wire};
use super::legacy::{Legacy, Sessions};
use super::mcp_server::Server;
use std::collections::HashMap;

pub(crate) enum Verdict {
    Is(String),
    /// Status, headers, body.
    Refused(u16, Vec<(&'static str, String)>, String),
}

impl Verdict {
    pub(crate) fn status(status: u16) -> Self {
        Self::Refused(status, Vec::new(), String::new())
    }

    /// Who it is, or this status and nothing else.
    pub(crate) fn or(who: Option<String>, status: u16) -> Self {
        who.map_or_else(|| Self::status(status), Self::Is)
    }
}

/// What lies at the remote's origin besides the MCP endpoint, by path.
#[derive(Default)]
pub(crate) struct Gate {
    documents: HashMap<String, String>,
}

impl Gate {
    pub(crate) fn document(mut self, path: &str, json: &str) -> Self {
        self.documents.insert(path.to_owned(), json.to_owned());
        self
    }

    pub(crate) fn start(self, who: impl Fn(&Request) -> Verdict + Send + Sync + 'static) -> Server {
        Server::start(self.into_handler(who))
    }

    pub(crate) fn into_handler(
        self,
        who: impl Fn(&Request) -> Verdict + Send + Sync + 'static,
    ) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
        let legacy = Legacy::new().sessions(&Sessions::default()).tools(|_, wire| wire.status(500));
        let legacy = legacy.into_handler();
        move |request, wire| {
            if !request.target.starts_with("/mcp") {
                assert!(
                    request.header("authorization").is_none(),
                    "the credential is for the MCP URL only: {request:?}"
                );
                return match self.documents.get(&request.target) {
                    Some(document) => wire.json(document),
                    None => wire.status(404),
                };
            }
            match who(request) {
                Verdict::Is(name) if request.kind() == "tools/call" => call(request, wire, &name),
                Verdict::Is(_) => legacy(request, wire),
                Verdict::Refused(status, headers, body) => {
                    let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                    wire.reply(status, &headers, body.as_bytes());
                }
            }
        }
    }
}

fn call(request: &Request, wire: Wire, name: &str) {
    let text = match request.json()["params"]["name"].as_str() {
        Some("whoami") => name,
        Some("admin") if !name.starts_with("admin") => return wire.status(403),
        _ => "ok",
    };
    let content = serde_json::json!({ "content": [{ "type": "text", "text": text }] });
    wire.json(request.result(&content.to_string()));
}

/// A remote that takes what `who` makes of the bearer token, else answers `status`.
pub(crate) fn bearers(
    status: u16,
    who: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
) -> Server {
    Gate::default().start(move |request| {
        let sent = request.header("authorization").unwrap_or_default();
        Verdict::or(sent.strip_prefix("Bearer ").and_then(&who), status)
    })
}
