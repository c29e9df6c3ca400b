//! What stands before a remote: bearer tokens (RFC 6750), challenges, protected
//! resource metadata (RFC 9728).

use super::metadata::change;
use super::script::{Published, Resource};
use super::state::covers;
use super::{Asked, Provider};
use crate::support::http::{Request, Wire};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const ELSEWHERE: &str = "/documents/of-the-resource";

pub(super) struct Guard {
    pub(super) provider: Arc<Provider>,
    origin: String,
    resource: String,
}

enum Verdict {
    Good,
    NoToken,
    BadToken,
    Expired,
    /// What is wrong with its proof of possession.
    BadProof(String),
    /// The scope that is missing.
    Insufficient(&'static str),
}

impl Guard {
    pub(super) fn new(provider: Arc<Provider>, origin: String) -> Self {
        let resource = format!("{origin}/mcp");
        let published = provider.script().resource_metadata.iter().find_map(|(name, value)| {
            let value = value.as_str().filter(|_| *name == "resource")?;
            Some(value.replace("{remote}", &origin))
        });
        let resource = published.unwrap_or(resource);
        provider.state().resources.push(resource.clone());
        Self { provider, origin, resource }
    }

    /// True if this request is for the remote and not for anyone else at its origin.
    pub(super) fn knows(&self, request: &Request) -> bool {
        let path = request.target.as_str();
        path.starts_with("/mcp") || path.starts_with(WELL_KNOWN) || path.starts_with(ELSEWHERE)
    }

    pub(super) fn answer(&self, request: &Request, wire: Wire, inner: &impl Fn(&Request, Wire)) {
        if !request.target.starts_with("/mcp") {
            return self.document(&request.target, wire);
        }
        if self.provider.script().open.contains(&request.kind().as_str()) {
            return inner(request, wire);
        }
        match self.verdict(request) {
            Verdict::Good => inner(request, wire),
            Verdict::NoToken => self.challenge(wire, ""),
            Verdict::BadToken => self.challenge(wire, r#"error="invalid_token", "#),
            Verdict::Expired if self.provider.script().expired_is_403 => wire.status(403),
            Verdict::Expired => self.challenge(
                wire,
                r#"error="invalid_token", error_description="the token has expired", "#,
            ),
            Verdict::BadProof(why) => self.refuse_proof(wire, &why),
            Verdict::Insufficient(scope) => {
                let challenge = format!(
                    r#"Bearer error="insufficient_scope", scope="{scope}", resource_metadata="{}", error_description="more is needed""#,
                    self.document_url()
                );
                wire.reply(403, &[("WWW-Authenticate", &challenge)], b"");
            }
        }
    }

    fn verdict(&self, request: &Request) -> Verdict {
        let asked = Asked::of(request);
        assert_eq!(asked.param("access_token"), None, "a token in a URL");
        let Some(token) = asked.access_token() else { return Verdict::NoToken };
        let script = self.provider.script();
        let mut state = self.provider.state();
        let dpop = script.dpop && !script.bound_refresh_alone;
        assert!(dpop != asked.bearer().is_some(), "the wrong scheme: {asked:?}");
        if dpop {
            let nonce = script.nonces.map(|(_, here)| here);
            let bound_to = state.access.get(token).and_then(|access| access.key.clone());
            match self.provider.proofs.check(request, Some(token), nonce) {
                Ok(key) if Some(&key) == bound_to.as_ref() || bound_to.is_none() => {}
                Ok(_) => return Verdict::BadProof("another key".to_owned()),
                Err(why) => return Verdict::BadProof(why),
            }
        }
        if state.good(token).is_none() {
            let Some(access) = state.access.get(token) else { return Verdict::BadToken };
            let number = access.grant;
            if access.dies.is_none_or(|dies| dies > Instant::now()) {
                return Verdict::BadToken;
            }
            state.expired_shown += 1;
            if script.expired_ends_the_grant {
                state.revoke(number);
            }
            return Verdict::Expired;
        }
        let grant = state.good(token).expect("it is good");
        if script.resource == Resource::Required && grant.resource.as_ref() != Some(&self.resource)
        {
            return Verdict::BadToken;
        }
        let tool = request.json_or_null()["params"]["name"].as_str().unwrap_or_default().to_owned();
        let needed = script.tool_scopes.iter().find(|(name, _)| *name == tool);
        match needed {
            Some((_, scope)) if !covers(grant.scope.as_deref(), scope) => {
                Verdict::Insufficient(scope)
            }
            _ => Verdict::Good,
        }
    }

    fn refuse_proof(&self, wire: Wire, why: &str) {
        let nonce = self.provider.script().nonces.filter(|_| why == "use_dpop_nonce");
        assert!(nonce.is_some(), "a wrong proof: {why}");
        let challenge = r#"DPoP error="use_dpop_nonce", error_description="another nonce""#;
        let mut headers = vec![("WWW-Authenticate", challenge)];
        headers.extend(nonce.map(|(_, here)| ("DPoP-Nonce", here)));
        wire.reply(401, &headers, b"");
    }

    fn challenge(&self, wire: Wire, error: &str) {
        let script = self.provider.script();
        let challenges = match &script.challenges {
            Some(challenges) => challenges.clone(),
            None => {
                let scope = script.challenge_scope.map(|scope| format!(r#"scope="{scope}", "#));
                let dpop = script.dpop && !script.bound_refresh_alone;
                let scheme = if dpop { "DPoP" } else { "Bearer" };
                let mut challenge = format!("{scheme} {error}{}", scope.unwrap_or_default());
                if matches!(script.published, Published::Named | Published::Elsewhere) {
                    let url = document_url(script.published, &self.origin);
                    challenge.push_str(&format!(r#"resource_metadata="{url}""#));
                }
                vec![challenge.trim_end_matches([',', ' ']).to_owned()]
            }
        };
        drop(script);
        let url = document_url(Published::Named, &self.origin);
        let challenges = challenges.iter().map(|text| text.replace("{document}", &url));
        let challenges: Vec<_> = challenges.collect();
        let headers = challenges.iter().map(|text| ("WWW-Authenticate", text.as_str()));
        wire.reply(401, &headers.collect::<Vec<_>>(), b"");
    }

    fn document_url(&self) -> String {
        document_url(self.provider.script().published, &self.origin)
    }

    fn document(&self, target: &str, wire: Wire) {
        let issuer = self.provider.issuer();
        let script = self.provider.script();
        let place = match script.published {
            Published::Named | Published::Path => format!("{WELL_KNOWN}/mcp"),
            Published::Elsewhere => ELSEWHERE.to_owned(),
            Published::Root => WELL_KNOWN.to_owned(),
            Published::Nowhere => return wire.status(404),
        };
        if place != target {
            return wire.status(404);
        }
        let mut document = json!({
            "resource": self.resource,
            "authorization_servers": [issuer],
            "bearer_methods_supported": ["header"],
        });
        let members = document.as_object_mut().expect("an object");
        change(members, &script.resource_metadata, &self.provider.origin, &self.origin);
        drop(script);
        wire.json(document.to_string());
    }
}

fn document_url(published: Published, origin: &str) -> String {
    match published {
        Published::Elsewhere => format!("{origin}{ELSEWHERE}"),
        Published::Root => format!("{origin}{WELL_KNOWN}"),
        _ => format!("{origin}{WELL_KNOWN}/mcp"),
    }
}
