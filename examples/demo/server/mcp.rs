//! The MCP server (2025-11-25, with sessions): whoever has a token is served.

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::http::{Asked, Reply, plain, with_body, with_header};
use super::{Seen, State};

const SESSION: &str = "demo-session";
const SESSION_HEADER: &str = "mcp-session-id";

impl State {
    pub(super) fn mcp(&mut self, asked: &Asked) -> Reply {
        let message = asked.json();
        let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
        let shown = match &asked.method {
            &Method::POST => method.to_owned(),
            other => format!("{other} /mcp"),
        };
        let (person, token) = match self.holder(asked.bearer()) {
            Ok(holder) => holder,
            Err(why) => {
                self.note(Seen::Unauthorized { method: shown, why });
                return self.challenge();
            }
        };
        let seen = Seen::Call { method: shown, person: person.clone(), token };
        self.note(seen);
        if method != "initialize" && asked.header(SESSION_HEADER) != Some(SESSION) {
            return plain(StatusCode::NOT_FOUND);
        }
        match asked.method {
            Method::POST => self.post(method, &message, &person, token),
            Method::DELETE => plain(StatusCode::OK),
            // No stream of its own accord: allowed, and the client must not mind.
            _ => plain(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// Where to find out how to sign in (RFC 9728 section 5.1).
    fn challenge(&self) -> Reply {
        let metadata = format!("{}/.well-known/oauth-protected-resource/mcp", self.issuer);
        let challenge = format!("Bearer resource_metadata=\"{metadata}\", scope=\"tools\"");
        with_header(plain(StatusCode::UNAUTHORIZED), "www-authenticate", &challenge)
    }

    fn post(&mut self, method: &str, message: &Value, person: &str, token: u32) -> Reply {
        let Some(id) = message.get("id") else {
            return plain(StatusCode::ACCEPTED);
        };
        let tool = message.pointer("/params/name").and_then(Value::as_str);
        let result = match (method, tool) {
            ("initialize", _) => json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "demo server", "version": "1"}
            }),
            ("tools/list", _) => json!({"tools": [{
                "name": "whoami",
                "description": "Says who is calling, and with which token",
                "inputSchema": {"type": "object"}
            }]}),
            ("tools/call", Some("whoami")) => {
                let text = format!("You are {person}, and this is token {token} of your sign-in.");
                json!({"content": [{"type": "text", "text": text}]})
            }
            _ => {
                let error = json!({"code": -32601, "message": "no such method or tool"});
                return self.said(json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string());
            }
        };
        // With white space that only a copy of the bytes keeps.
        let text = format!(r#"{{ "jsonrpc": "2.0", "id": {id}, "result": {result} }}"#);
        let reply = self.said(text);
        if method == "initialize" { with_header(reply, SESSION_HEADER, SESSION) } else { reply }
    }

    fn said(&mut self, text: String) -> Reply {
        self.last_answer.clone_from(&text);
        with_body(StatusCode::OK, "application/json", text)
    }
}
