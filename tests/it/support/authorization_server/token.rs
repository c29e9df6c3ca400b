//! The token endpoint (RFC 6749, section 5), with all that can go wrong there.

use super::authorize::proves;
use super::client::{error, now};
use super::script::{Failure, Shape};
use super::state::{Access, Refresh, covers};
use super::{Asked, Client, Provider};
use crate::support::PATIENCE;
use crate::support::http::Wire;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// Error code and description.
pub(super) type Refused = (&'static str, &'static str);

/// The thumbprint of the key that a token is bound to.
pub(super) type Key = Option<String>;

impl Provider {
    pub(super) fn token(&self, asked: &Asked, wire: Wire) {
        assert_eq!(asked.method, "POST");
        assert!(asked.request.target == "/token", "parameters in the URL: {asked:?}");
        assert!(asked.bearer().is_none(), "a token was shown at the token endpoint");
        let mut script = self.script();
        let delay = script.token_delay;
        let failure = script.failures.pop_front().unwrap_or(Failure::Pass);
        drop(script);
        std::thread::sleep(delay);
        match failure {
            Failure::Pass => self.answer_token(asked, wire),
            Failure::CutAfter => drop(self.redeem(asked, None)),
            Failure::CutBefore => wire.cut(),
            Failure::Hang => drop(wire.client_closes_within(PATIENCE)),
            Failure::Error(code, description) => error(wire, 400, code, description),
            Failure::Redirect(status, to) => wire.reply(status, &[("Location", &to)], b""),
            Failure::Reply(status, kind, body) => {
                wire.reply(status, &[("Content-Type", kind)], body.as_bytes());
            }
            Failure::Status(status) => {
                let html = [("Content-Type", "text/html")];
                wire.reply(status, &html, b"<html><h1>Bad Gateway</h1></html>");
            }
        }
    }

    fn answer_token(&self, asked: &Asked, wire: Wire) {
        let shape = self.script().shape.clone();
        let key = match self.proven_key(asked) {
            Ok(key) => key,
            Err(why) => return self.refuse_proof(wire, &why),
        };
        let (status, kind, mut body, changes) = match (self.redeem(asked, key), shape) {
            (Err(("invalid_client", why)), _) => return error(wire, 401, "invalid_client", why),
            (Err((code, description)), _) => return error(wire, 400, code, description),
            (Ok(body), Shape::Plain) => (200, "application/json", body, Map::new()),
            (Ok(body), Shape::Odd { status, content_type, changes }) => {
                (status, content_type, body, changes)
            }
        };
        for (name, value) in changes {
            match value {
                Value::String(gone) if gone == "<gone>" => drop(body.remove(&name)),
                value => drop(body.insert(name, value)),
            }
        }
        let headers = [("Content-Type", kind), ("Cache-Control", "no-store")];
        wire.reply(status, &headers, Value::from(body).to_string().as_bytes());
    }

    /// Whom a token will be bound to (RFC 9449, section 5).
    fn proven_key(&self, asked: &Asked) -> Result<Option<String>, String> {
        let (dpop, nonces) = {
            let script = self.script();
            (script.dpop, script.nonces)
        };
        if !dpop {
            return Ok(None);
        }
        let nonce = nonces.map(|(here, _)| here);
        self.proofs.check(&asked.request, None, nonce).map(Some)
    }

    fn refuse_proof(&self, wire: Wire, why: &str) {
        let nonce = self.script().nonces.filter(|_| why == "use_dpop_nonce");
        let code = if nonce.is_some() { why } else { "invalid_dpop_proof" };
        let body = json!({ "error": code, "error_description": why });
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(nonce.map(|(here, _)| ("DPoP-Nonce", here)));
        wire.reply(400, &headers, body.to_string().as_bytes());
    }

    /// Does what is asked for.
    fn redeem(&self, asked: &Asked, key: Key) -> Result<Map<String, Value>, Refused> {
        let client = self.client(asked).map_err(|why| ("invalid_client", why))?;
        match asked.param("grant_type").expect("a grant_type") {
            "authorization_code" => self.redeem_code(asked, &client, key),
            "refresh_token" => self.redeem_refresh(asked, &client, key),
            "urn:ietf:params:oauth:grant-type:device_code" => {
                self.redeem_device(asked, &client, key)
            }
            other => {
                let grants = self.script().grants.clone();
                let grant = grants.into_iter().find(|(name, _)| *name == other);
                let (_, grant) = grant.ok_or(("unsupported_grant_type", "no such grant"))?;
                grant(asked)
            }
        }
    }

    fn redeem_code(
        &self,
        asked: &Asked,
        client: &Client,
        key: Key,
    ) -> Result<Map<String, Value>, Refused> {
        self.check_resource(&self.script(), asked);
        let mut state = self.state();
        let code = state.codes.get_mut(asked.param("code").expect("a code"));
        let code = code.ok_or(("invalid_grant", "no such code"))?;
        assert!(!code.spent, "a code was shown twice: {asked:?}");
        code.spent = true;
        assert_eq!(asked.param("redirect_uri"), Some(code.redirect_uri.as_str()));
        assert_eq!(code.client, client.id, "another client's code");
        let verifier = asked.param("code_verifier").expect("a code_verifier");
        assert!(proves(verifier, &code.challenge), "the verifier does not fit: {asked:?}");
        let grant = code.grant;
        assert_eq!(asked.param("resource"), state.grants[grant].resource.as_deref());
        drop(state);
        Ok(self.issue(grant, None, key))
    }

    fn redeem_refresh(
        &self,
        asked: &Asked,
        client: &Client,
        key: Key,
    ) -> Result<Map<String, Value>, Refused> {
        self.check_resource(&self.script(), asked);
        let (rotates, grace) = {
            let script = self.script();
            (script.rotates, script.grace)
        };
        let mut state = self.state();
        let shown = asked.param("refresh_token").expect("a refresh_token");
        let refresh = state.refresh.get_mut(shown).ok_or(("invalid_grant", "no such token"))?;
        let (number, spent) = (refresh.grant, refresh.spent);
        if refresh.key != key {
            return Err(("invalid_grant", "the refresh token is bound to another key"));
        }
        refresh.spent = rotates;
        if spent {
            state.reused += 1;
            if !grace {
                state.revoke(number);
            }
        }
        let grant = &state.grants[number];
        assert_eq!(grant.client, client.id, "another client's refresh token");
        if grant.revoked {
            return Err(("invalid_grant", "the grant was revoked"));
        }
        assert_eq!(asked.param("resource"), grant.resource.as_deref());
        if let Some(scope) = asked.param("scope")
            && !covers(grant.scope.as_deref(), scope)
        {
            return Err(("invalid_scope", "more than was granted"));
        }
        state.refreshed += 1;
        drop(state);
        Ok(self.issue(number, (!rotates).then_some(shown), key))
    }

    /// New tokens; `keep` is the refresh token that stays as it is.
    pub(super) fn issue(&self, grant: usize, keep: Option<&str>, key: Key) -> Map<String, Value> {
        let issuer = self.issuer();
        let script = self.script();
        let mut state = self.state();
        let access = state.secret("access");
        let good_for = script.good_for.or(script.lifetime.map(Duration::from_secs));
        let dies = good_for.map(|good_for| Instant::now() + good_for);
        let number = grant;
        let bound = key.clone().filter(|_| !script.bound_refresh_alone);
        let kind = if bound.is_some() { "DPoP" } else { "Bearer" };
        let bound = Access { grant, dies, revoked: false, key: bound };
        state.access.insert(access.clone(), bound);
        let mut body = json!({ "access_token": access, "token_type": kind });
        if let Some(lifetime) = script.lifetime {
            body["expires_in"] = lifetime.into();
        }
        let offline = covers(state.grants[grant].scope.as_deref(), "offline_access");
        let refreshable =
            script.refresh_tokens && (offline || !script.refresh_needs_offline_access);
        if refreshable && keep.is_none() {
            let refresh = state.secret("refresh");
            state.refresh.insert(refresh.clone(), Refresh { grant, spent: false, key });
            body["refresh_token"] = refresh.into();
        }
        let grant = &state.grants[grant];
        if let Some(scope) = &grant.scope {
            body["scope"] = scope.clone().into();
        }
        if script.id_token {
            let token = id_token(&issuer, &grant.client, grant.user);
            body["id_token"] = token.clone().into();
            state.secrets.push(token.clone());
            state.access.insert(token, Access { grant: number, dies, revoked: false, key: None });
        }
        match body {
            Value::Object(members) => members,
            _ => unreachable!("an object was made"),
        }
    }
}

/// Signed by nobody: it comes over a direct connection (OpenID Connect Core, 3.1.3.7).
fn id_token(issuer: &str, client: &str, user: &str) -> String {
    let claims = json!({
        "iss": issuer, "aud": client, "sub": format!("{user}-number"),
        "email": format!("{user}@people.example"), "name": user,
        "iat": now(), "exp": now() + 600,
    });
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.c2lnbmF0dXJl", part(json!({ "alg": "RS256", "kid": "1" })), part(claims))
}
