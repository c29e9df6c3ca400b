//! A conforming server of revision 2026-07-28: no sessions, headers that mirror the body.

use super::http::{Request, Wire};
use super::mcp_server::{Handler, Server};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub(crate) const VERSION: &str = "2026-07-28";

/// `_meta` of a modern request.
pub(crate) const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;

#[derive(Default)]
pub(crate) struct Modern {
    tools: Tools,
    on: HashMap<String, Handler>,
}

/// The tools of the server, raw; a test may change them on the way.
#[derive(Clone, Default)]
pub(crate) struct Tools(Arc<Mutex<Vec<String>>>);

impl Tools {
    pub(crate) fn set(&self, tools: &[&str]) {
        *self.0.lock().unwrap() = tools.iter().map(|tool| (*tool).to_owned()).collect();
    }

    pub(crate) fn list(&self) -> String {
        format!(
            r#"{{"resultType":"complete","tools":[{}],"ttlMs":0,"cacheScope":"private"}}"#,
            self.0.lock().unwrap().join(",")
        )
    }

    /// The schema of one tool.
    fn schema(&self, name: &str) -> Option<Value> {
        let tools = self.0.lock().unwrap();
        let tools = tools.iter().map(|tool| serde_json::from_str::<Value>(tool));
        let mut tools = tools.map(|tool| tool.expect("a tool in JSON"));
        Some(tools.find(|tool| tool["name"] == name)?["inputSchema"].take())
    }
}

impl Modern {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn tools(mut self, tools: &Tools) -> Self {
        self.tools = tools.clone();
        self
    }

    pub(crate) fn on(
        mut self,
        kind: &str,
        handler: impl Fn(&Request, Wire) + Send + Sync + 'static,
    ) -> Self {
        self.on.insert(kind.to_owned(), Box::new(handler));
        self
    }

    pub(crate) fn start(self) -> Server {
        Server::start(self.into_handler())
    }

    pub(crate) fn into_handler(self) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
        move |request, wire| self.answer(request, wire)
    }

    fn answer(&self, request: &Request, wire: Wire) {
        assert_eq!(request.method, "POST", "only POST is known here");
        assert_eq!(request.header("mcp-session-id"), None);
        assert_eq!(request.header("last-event-id"), None);
        let accept = request.header("accept").unwrap_or_default();
        assert!(accept.contains("application/json") && accept.contains("text/event-stream"));
        let kind = request.kind();
        assert_ne!(kind, "response", "a modern client sends no response");
        if let Err(why) = self.validate(request) {
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32020,"message":"Header mismatch: {why}"}}}}"#,
                request.id()
            );
            return wire.reply(400, &[("Content-Type", "application/json")], body.as_bytes());
        }
        if let Some(handler) = self.on.get(&kind) {
            return handler(request, wire);
        }
        match kind.as_str() {
            "server/discover" => wire.json(request.result(&format!(
                r#"{{"resultType":"complete","supportedVersions":["{VERSION}"],"capabilities":{{"tools":{{}}}},"ttlMs":0,"cacheScope":"private"}}"#
            ))),
            "tools/list" => wire.json(request.result(&self.tools.list())),
            "tools/call" | "resources/read" | "prompts/get" => wire.json(request.result(
                r#"{"resultType":"complete","content":[]}"#,
            )),
            _ if request.is_notification() => wire.accepted(),
            other => {
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":-32601,"message":"no {other}"}}}}"#,
                    request.id()
                );
                wire.reply(404, &[("Content-Type", "application/json")], body.as_bytes());
            }
        }
    }

    /// The header checks of the specification's "Server Validation".
    fn validate(&self, request: &Request) -> Result<(), String> {
        let body = request.json();
        let version = &body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
        same(request, "MCP-Protocol-Version", version.as_str())?;
        same(request, "Mcp-Method", body["method"].as_str())?;
        let name = match body["method"].as_str() {
            Some("tools/call" | "prompts/get") => &body["params"]["name"],
            Some("resources/read") => &body["params"]["uri"],
            _ => return Ok(()),
        };
        same(request, "Mcp-Name", name.as_str())?;
        if body["method"] != "tools/call" {
            return Ok(());
        }
        let Some(schema) = self.tools.schema(name.as_str().unwrap_or_default()) else {
            return Ok(());
        };
        let mut expected = HashMap::new();
        mirrored(&schema, &body["params"]["arguments"], &mut expected);
        for (header, value) in &expected {
            same(request, header, Some(value))?;
        }
        for (header, _) in &request.headers {
            let header = header.to_ascii_lowercase();
            if header.starts_with("mcp-param-") && !expected.contains_key(&header) {
                return Err(format!("{header} was not expected"));
            }
        }
        Ok(())
    }
}

fn same(request: &Request, header: &str, expected: Option<&str>) -> Result<(), String> {
    let sent = request.header(header).map(decoded);
    if sent.as_deref() == expected {
        return Ok(());
    }
    Err(format!("{header} differs").replace('"', "'"))
}

/// The value behind the sentinel encoding.
pub(crate) fn decoded(value: &str) -> String {
    let inner = value.strip_prefix("=?base64?");
    match inner.and_then(|rest| rest.strip_suffix("?=")) {
        Some(inner) => {
            let bytes = STANDARD.decode(inner).expect("base64");
            String::from_utf8(bytes).expect("UTF-8")
        }
        None => value.to_owned(),
    }
}

/// What `Mcp-Param-*` headers these arguments need, names in lower case.
fn mirrored(schema: &Value, arguments: &Value, into: &mut HashMap<String, String>) {
    let Some(properties) = schema["properties"].as_object() else {
        return;
    };
    for (name, property) in properties {
        let value = &arguments[name];
        if let Some(header) = property["x-mcp-header"].as_str() {
            let value = match value {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            into.insert(format!("mcp-param-{}", header.to_ascii_lowercase()), value);
        }
        mirrored(property, value, into);
    }
}

/// A modern request line.
pub(crate) fn request(id: &str, method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{comma}{META}}}}}"#
    )
}
