//! Clients: dynamic registration (RFC 7591), its management (RFC 7592), and
//! how a client shows who it is (RFC 6749, section 2.3).

use super::script::Registration;
use super::{Asked, Client, Provider};
use crate::support::http::Wire;
use serde_json::{Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "a server knows the time")]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

pub(super) fn error(wire: Wire, status: u16, error: &str, description: &str) {
    let body = json!({ "error": error, "error_description": description });
    wire.reply(status, &[JSON], body.to_string().as_bytes());
}

impl Provider {
    pub(super) fn register(&self, asked: &Asked, wire: Wire) {
        assert_eq!(asked.method, "POST");
        assert_eq!(asked.request.header("authorization"), None, "registration is open");
        let registration = self.script().registration.clone();
        let secret = match registration {
            Registration::Off => return wire.status(404),
            Registration::Refused(code, description) => return error(wire, 400, code, description),
            Registration::Open => None,
            Registration::Secret { expires_in } => Some(expires_in),
        };
        let mut document = asked.request.json();
        let client = self.admit(&document, secret.is_some(), secret.flatten());
        let members = document.as_object_mut().expect("an object");
        members.insert("client_id".into(), client.id.clone().into());
        members.insert("client_id_issued_at".into(), now().into());
        members.insert("token_endpoint_auth_method".into(), client.auth_method.clone().into());
        if let Some(secret) = &client.secret {
            let expires_in = secret_life(&client);
            members.insert("client_secret".into(), secret.clone().into());
            let at = expires_in.map_or(0, |seconds| now() + seconds);
            members.insert("client_secret_expires_at".into(), at.into());
        }
        if let Some(token) = &client.management_token {
            let uri = format!("{}/register/{}", self.origin, client.id);
            members.insert("registration_client_uri".into(), uri.into());
            members.insert("registration_access_token".into(), token.clone().into());
        }
        wire.reply(201, &[JSON], document.to_string().as_bytes());
    }

    /// Checks what a client says of itself and lets it in.
    fn admit(&self, document: &Value, with_secret: bool, dies_in: Option<u64>) -> Client {
        let has = |name: &str, value: &str| {
            let values = document[name].as_array().expect(name);
            values.iter().any(|member| member == value)
        };
        assert!(has("grant_types", "authorization_code"), "{document}");
        assert!(has("grant_types", "refresh_token"), "{document}");
        assert_eq!(document["application_type"], "native", "{document}");
        let redirect_uris = document["redirect_uris"].as_array().expect("redirect_uris");
        let redirect_uris = redirect_uris.iter().map(|uri| uri.as_str().expect("a URI").to_owned());
        let redirect_uris: Vec<_> = redirect_uris.collect();
        assert!(!redirect_uris.is_empty(), "{document}");
        let wished = document["token_endpoint_auth_method"].as_str().unwrap_or("none");
        let managed = self.script().registration_management;
        let mut state = self.state();
        let client = Client {
            id: state.name("client"),
            secret: with_secret.then(|| state.secret("client-secret")),
            auth_method: match with_secret {
                true if wished == "none" => "client_secret_post".to_owned(),
                _ => wished.to_owned(),
            },
            redirect_uris,
            scope: document["scope"].as_str().map(str::to_owned),
            secret_dies: dies_in.map(|seconds| Instant::now() + Duration::from_secs(seconds)),
            management_token: managed.then(|| state.secret("management")),
        };
        state.clients.insert(client.id.clone(), client.clone());
        client
    }

    /// RFC 7592, section 2.3.
    pub(super) fn management(&self, asked: &Asked, wire: Wire) {
        let id = asked.path.trim_start_matches("/register/");
        let mut state = self.state();
        let token = state.clients.get(id).and_then(|client| client.management_token.clone());
        if token.is_none() || asked.bearer() != token.as_deref() {
            return wire.status(401);
        }
        assert_eq!(asked.method, "DELETE");
        state.clients.remove(id);
        wire.status(204);
    }

    /// Who asks at the token endpoint or its like; refused by name of the error.
    pub(super) fn client(&self, asked: &Asked) -> Result<Client, &'static str> {
        let basic = asked.basic();
        let id = match &basic {
            Some((id, _)) => id.clone(),
            None => asked.param("client_id").unwrap_or_default().to_owned(),
        };
        let state = self.state();
        let client = state.clients.get(&id).ok_or("no such client")?;
        let shown = match (client.auth_method.as_str(), &basic) {
            ("client_secret_basic", Some((_, secret))) => Some(secret.as_str()),
            ("client_secret_post", None) => asked.param("client_secret"),
            ("none", None) if asked.param("client_secret").is_none() => None,
            _ => return Err("not the registered authentication method"),
        };
        if shown != client.secret.as_deref() {
            return Err("wrong client secret");
        }
        if client.secret_dies.is_some_and(|dies| dies <= Instant::now()) {
            return Err("the client secret has expired");
        }
        Ok(client.clone())
    }
}

fn secret_life(client: &Client) -> Option<u64> {
    let dies = client.secret_dies?;
    Some(dies.saturating_duration_since(Instant::now()).as_secs_f64().ceil() as u64)
}
