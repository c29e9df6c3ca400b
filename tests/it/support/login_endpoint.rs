//! A `POST /auth/token` that takes a name and a password and gives a token, as many
//! services have it; every answer replaceable.

use super::authorization_server::Asked;
use super::http::{Request, Wire};
use super::mcp_server::{Handler, Server};
use super::tokens::Tokens;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const USERNAME: &str = "ada@people.example";
pub(crate) const PASSWORD: &str = "pa55word-5ecret \"quoted\" & more";

pub(crate) struct LoginEndpoint {
    pub(crate) server: Server,
    pub(crate) tokens: Tokens,
    script: Arc<Mutex<LoginScript>>,
}

/// Status, content type, body; `{token}` stands for a new one.
type Answer = (u16, &'static str, String);

pub(crate) struct LoginScript {
    pub(crate) form: bool,
    /// How long a token is really good.
    pub(crate) good_for: Duration,
    pub(crate) answer: Answer,
    pub(crate) delay: Duration,
    /// Instead of all that.
    pub(crate) on: Option<Arc<Handler>>,
}

impl LoginEndpoint {
    /// Good tokens for an hour, and it says so.
    pub(crate) fn start() -> Self {
        Self::lasting(3600)
    }

    pub(crate) fn lasting(seconds: u64) -> Self {
        let tokens = Tokens::default();
        let script = Arc::new(Mutex::new(LoginScript {
            form: false,
            good_for: Duration::from_secs(seconds),
            answer: json_answer(&json!({ "access_token": "{token}", "expires_in": seconds })),
            delay: Duration::ZERO,
            on: None,
        }));
        let server = Server::start({
            let (tokens, script) = (tokens.clone(), script.clone());
            move |request, wire| answer(&tokens, &script, request, wire)
        });
        Self { server, tokens, script }
    }

    pub(crate) fn script(&self, change: impl FnOnce(&mut LoginScript)) {
        change(&mut self.script.lock().unwrap());
    }

    /// It answers so from here on.
    pub(crate) fn answers(&self, status: u16, kind: &'static str, body: &str) {
        self.script(|script| script.answer = (status, kind, body.to_owned()));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/auth/token", self.server.address())
    }

    /// How many have tried to log in.
    pub(crate) fn logins(&self) -> usize {
        self.server.requests().len()
    }
}

pub(crate) fn json_answer(body: &serde_json::Value) -> Answer {
    (200, "application/json", body.to_string())
}

fn answer(tokens: &Tokens, script: &Mutex<LoginScript>, request: &Request, wire: Wire) {
    let script = script.lock().unwrap();
    if let Some(on) = script.on.clone() {
        drop(script);
        return on(request, wire);
    }
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/auth/token"));
    assert_eq!(request.header("authorization"), None);
    let kind = request.header("content-type").unwrap_or_default();
    let wanted = if script.form { "application/x-www-form-urlencoded" } else { "application/json" };
    assert!(kind.starts_with(wanted), "{kind}");
    let (status, kind, body) = script.answer.clone();
    let (good_for, form, delay) = (script.good_for, script.form, script.delay);
    drop(script);
    std::thread::sleep(delay);
    if !is_right(request, form) {
        let refused = br#"{"detail":"Incorrect username or password"}"#;
        return wire.reply(401, &[("Content-Type", "application/json")], refused);
    }
    let body = match body.contains("{token}") {
        true => body.replace("{token}", &tokens.give("ada", good_for)),
        false => body,
    };
    wire.reply(status, &[("Content-Type", kind)], body.as_bytes());
}

fn is_right(request: &Request, form: bool) -> bool {
    if form {
        let asked = Asked::of(request);
        return asked.param("username") == Some(USERNAME)
            && asked.param("password") == Some(PASSWORD);
    }
    request.json() == json!({ "username": USERNAME, "password": PASSWORD })
}
