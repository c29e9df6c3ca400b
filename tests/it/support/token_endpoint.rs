//! An authorization server for machines: metadata, and a token endpoint whose every
//! decision is a test's own.

use super::authorization_server::Asked;
use super::gate::{Gate, Verdict};
use super::http::{Request, Wire};
use super::mcp_server::{Port, Server};
use super::tokens::Tokens;
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) struct TokenEndpoint {
    pub(crate) server: Server,
    pub(crate) tokens: Tokens,
    origin: String,
    rules: Arc<Mutex<Rules>>,
}

/// What is given for a token request.
pub(crate) enum Given {
    /// A token of this one.
    Token(String),
    /// These members.
    Answer(Value),
    /// This error of RFC 6749, section 5.2, with a description.
    Error(&'static str, &'static str),
    /// Whatever: status, headers, body.
    Reply(u16, Vec<(&'static str, String)>, String),
}

type Decision = Arc<dyn Fn(&Asked) -> Given + Send + Sync>;

pub(crate) struct Rules {
    decide: Decision,
    /// Seconds; what is said, and how long a token is really good.
    pub(crate) lifetime: u64,
    pub(crate) good_for: Option<Duration>,
    /// Members of the answer besides.
    pub(crate) answer: Map<String, Value>,
    /// Members of the metadata besides; null takes one out.
    pub(crate) metadata: Map<String, Value>,
    /// No metadata anywhere.
    pub(crate) unpublished: bool,
}

impl TokenEndpoint {
    pub(crate) fn start(decide: impl Fn(&Asked) -> Given + Send + Sync + 'static) -> Self {
        let port = Port::reserve();
        let origin = port.origin();
        let tokens = Tokens::default();
        let rules = Arc::new(Mutex::new(Rules {
            decide: Arc::new(decide),
            lifetime: 3600,
            good_for: None,
            answer: Map::new(),
            metadata: Map::new(),
            unpublished: false,
        }));
        let server = port.serve({
            let (tokens, rules, origin) = (tokens.clone(), rules.clone(), origin.clone());
            move |request, wire| serve(&tokens, &rules, &origin, request, wire)
        });
        Self { server, tokens, origin, rules }
    }

    pub(crate) fn rules(&self, change: impl FnOnce(&mut Rules)) {
        change(&mut self.rules.lock().unwrap());
    }

    /// It decides so from here on.
    pub(crate) fn decides(&self, decide: impl Fn(&Asked) -> Given + Send + Sync + 'static) {
        self.rules(|rules| rules.decide = Arc::new(decide));
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.origin
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/token", self.origin)
    }

    /// Every token request so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let all = self.server.requests().into_iter().map(|request| Asked::of(&request));
        all.filter(|asked| asked.path == "/token").collect()
    }

    /// The only or latest token request.
    #[track_caller]
    pub(crate) fn last(&self) -> Asked {
        self.asked().pop().expect("a token request")
    }

    /// A remote that takes these tokens and says nothing about where they come from.
    pub(crate) fn silent_remote(&self, status: u16) -> Server {
        let tokens = self.tokens.clone();
        super::gate::bearers(status, move |token| tokens.who(token))
    }

    /// A remote that takes these tokens and names this server in its metadata (RFC 9728).
    pub(crate) fn remote(&self) -> Server {
        let port = Port::reserve();
        let handler = self.guarding(&port.origin());
        port.serve(handler)
    }

    /// The same without a port.
    pub(crate) fn guarding(&self, origin: &str) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
        const PLACE: &str = "/.well-known/oauth-protected-resource/mcp";
        let document = json!({
            "resource": format!("{origin}/mcp"),
            "authorization_servers": [self.origin],
            "bearer_methods_supported": ["header"],
        });
        let tokens = self.tokens.clone();
        let challenge = format!(r#"Bearer resource_metadata="{origin}{PLACE}""#);
        Gate::default().document(PLACE, &document.to_string()).into_handler(move |request| {
            let sent = request.header("authorization").unwrap_or_default();
            match sent.strip_prefix("Bearer ").and_then(|token| tokens.who(token)) {
                Some(who) => Verdict::Is(who),
                None => {
                    let challenge = vec![("WWW-Authenticate", challenge.clone())];
                    Verdict::Refused(401, challenge, String::new())
                }
            }
        })
    }
}

fn serve(tokens: &Tokens, rules: &Mutex<Rules>, origin: &str, request: &Request, wire: Wire) {
    let asked = Asked::of(request);
    let rules = rules.lock().unwrap();
    if asked.path != "/token" {
        let document = asked.path == "/.well-known/oauth-authorization-server"
            || asked.path == "/.well-known/openid-configuration";
        return match document && !rules.unpublished {
            true => wire.json(metadata(&rules, origin).to_string()),
            false => wire.status(404),
        };
    }
    assert_eq!(asked.method, "POST");
    assert_eq!(asked.request.target, "/token", "parameters in the URL");
    let (decide, lifetime) = (rules.decide.clone(), rules.lifetime);
    let good_for = rules.good_for.unwrap_or(Duration::from_secs(lifetime));
    let more = rules.answer.clone();
    drop(rules);
    let json = [("Content-Type", "application/json"), ("Cache-Control", "no-store")];
    match decide(&asked) {
        Given::Token(who) => {
            let token = tokens.give(&who, good_for);
            let mut body = json!({
                "access_token": token, "token_type": "Bearer", "expires_in": lifetime,
            });
            body.as_object_mut().expect("an object").extend(more);
            wire.reply(200, &json, body.to_string().as_bytes());
        }
        Given::Answer(body) => wire.reply(200, &json, body.to_string().as_bytes()),
        Given::Error(error, description) => {
            let status = if error == "invalid_client" { 401 } else { 400 };
            let body = json!({ "error": error, "error_description": description });
            wire.reply(status, &json, body.to_string().as_bytes());
        }
        Given::Reply(status, headers, body) => {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            wire.reply(status, &headers, body.as_bytes());
        }
    }
}

fn metadata(rules: &Rules, origin: &str) -> Value {
    let mut document = json!({
        "issuer": origin,
        "token_endpoint": format!("{origin}/token"),
        "authorization_endpoint": format!("{origin}/authorize"),
        "response_types_supported": ["code"],
        "grant_types_supported": [
            "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "urn:ietf:params:oauth:grant-type:token-exchange",
        ],
        "token_endpoint_auth_methods_supported":
            ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported":
            ["RS256", "PS256", "ES256", "EdDSA"],
        "code_challenge_methods_supported": ["S256"],
    });
    let members = document.as_object_mut().expect("an object");
    for (name, value) in &rules.metadata {
        match value {
            Value::Null => drop(members.remove(name)),
            value => drop(members.insert(name.clone(), value.clone())),
        }
    }
    document
}
