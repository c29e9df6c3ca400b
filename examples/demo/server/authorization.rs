//! What the server publishes about itself (RFC 9728, RFC 8414), and registration (RFC 7591,
//! RFC 7592).

use hyper::StatusCode;
use serde_json::{Value, json};

use super::http::{self, Asked, Reply, plain};
use super::{Client, Seen, State, random};

impl State {
    pub(super) fn resource_metadata(&self) -> Reply {
        let document = json!({
            "resource": self.url(),
            "authorization_servers": [self.issuer],
            "scopes_supported": ["tools"]
        });
        http::json(StatusCode::OK, &document)
    }

    pub(super) fn server_metadata(&self) -> Reply {
        let issuer = &self.issuer;
        let document = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
            "authorization_response_iss_parameter_supported": true,
            "scopes_supported": ["tools"]
        });
        http::json(StatusCode::OK, &document)
    }

    pub(super) fn register(&mut self, asked: &Asked) -> Reply {
        let Value::Object(mut metadata) = asked.json() else {
            return plain(StatusCode::BAD_REQUEST);
        };
        let uris = metadata.get("redirect_uris").and_then(Value::as_array);
        let redirect_uris: Vec<String> =
            uris.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let id = random("client");
        let registration_access_token = self.secret("registration");
        metadata.insert("client_id".into(), json!(id));
        metadata.insert("token_endpoint_auth_method".into(), json!("none"));
        let uri = format!("{}/register/{id}", self.issuer);
        metadata.insert("registration_client_uri".into(), json!(uri));
        metadata.insert("registration_access_token".into(), json!(registration_access_token));
        self.clients.insert(id, Client { redirect_uris, registration_access_token });
        self.note(Seen::Registered);
        http::json(StatusCode::CREATED, &Value::Object(metadata))
    }

    pub(super) fn unregister(&mut self, asked: &Asked) -> Reply {
        let id = asked.path.trim_start_matches("/register/");
        let known = self.clients.get(id).map(|client| &*client.registration_access_token);
        if known.is_none() || known != asked.bearer() {
            return plain(StatusCode::UNAUTHORIZED);
        }
        self.clients.remove(id);
        self.note(Seen::Unregistered);
        plain(StatusCode::NO_CONTENT)
    }
}
