//! Revocation (RFC 7009), userinfo (OpenID Connect), introspection (RFC 7662).

use super::client::error;
use super::{Asked, Provider};
use crate::support::http::{Request, Wire};
use serde_json::json;

impl Provider {
    pub(super) fn revocation(&self, asked: &Asked, wire: Wire) {
        assert_eq!(asked.method, "POST");
        if let Err(why) = self.client(asked) {
            return error(wire, 401, "invalid_client", why);
        }
        let token = asked.param("token").expect("a token");
        let mut state = self.state();
        if let Some(grant) = state.refresh.get(token).map(|refresh| refresh.grant) {
            state.revoke(grant);
        } else if let Some(access) = state.access.get_mut(token) {
            access.revoked = true;
        }
        drop(state);
        wire.status(200);
    }

    pub(super) fn userinfo(&self, asked: &Asked, wire: Wire) {
        let state = self.state();
        let Some(grant) = asked.bearer().and_then(|token| state.good(token)) else {
            return wire.status(401);
        };
        let user = grant.user;
        let body = json!({
            "sub": format!("{user}-number"), "email": format!("{user}@people.example"),
            "name": user,
        });
        wire.json(body.to_string());
    }

    pub(super) fn introspection(&self, asked: &Asked, wire: Wire) {
        assert_eq!(asked.method, "POST");
        if let Err(why) = self.client(asked) {
            return error(wire, 401, "invalid_client", why);
        }
        let state = self.state();
        let body = match state.good(asked.param("token").expect("a token")) {
            None => json!({ "active": false }),
            Some(grant) => json!({
                "active": true, "client_id": grant.client, "scope": grant.scope,
                "sub": format!("{}-number", grant.user),
                "username": format!("{}@people.example", grant.user),
            }),
        };
        wire.json(body.to_string());
    }

    /// The result of the tool `whoami`, and of every other tool.
    pub(super) fn whoami(&self, request: &Request) -> String {
        let asked = Asked::of(request);
        let state = self.state();
        let grant = asked.access_token().and_then(|token| state.good(token));
        let grant = grant.expect("a good token");
        let text = match request.json()["params"]["name"].as_str() {
            Some("whoami") => {
                format!("{} scope={}", grant.user, grant.scope.as_deref().unwrap_or("-"))
            }
            _ => "ok".to_owned(),
        };
        json!({ "content": [{ "type": "text", "text": text }], "resultType": "complete" })
            .to_string()
    }
}
