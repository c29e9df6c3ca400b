//! Authorization server metadata (RFC 8414; OpenID Connect Discovery).

use super::script::{Changes, Form, Registration};
use super::{Provider, Script};
use crate::support::http::{Request, Wire};
use serde_json::{Map, Value, json};

/// A handler that redirects there.
pub(crate) fn redirect_to(
    status: u16,
    url: &str,
) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
    let url = url.to_owned();
    move |_, wire| wire.reply(status, &[("Location", &url)], b"")
}

/// Where the metadata of an issuer with this path lies.
fn place(form: Form, path: &str) -> String {
    match form {
        Form::Oauth => format!("/.well-known/oauth-authorization-server{path}"),
        Form::OpenIdInserted => format!("/.well-known/openid-configuration{path}"),
        Form::OpenIdAppended => format!("{path}/.well-known/openid-configuration"),
    }
}

impl Provider {
    pub(super) fn metadata(&self, path: &str, wire: Wire) {
        let issuer = self.issuer();
        let script = self.script();
        let mut places = script.forms.iter().map(|form| place(*form, script.issuer_path));
        if !places.any(|place| place == path) {
            return wire.status(404);
        }
        let document = self.document(&script, &issuer);
        drop(script);
        wire.json(document.to_string());
    }

    fn document(&self, script: &Script, issuer: &str) -> Value {
        let at = |path: &str| format!("{}{path}", self.origin);
        let mut document = json!({
            "issuer": issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "registration_endpoint": at("/register"),
            "revocation_endpoint": at("/revoke"),
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported":
                ["none", "client_secret_post", "client_secret_basic"],
            "authorization_response_iss_parameter_supported": true,
        });
        let members = document.as_object_mut().expect("an object");
        if script.registration == Registration::Off {
            members.remove("registration_endpoint");
        }
        if script.dpop {
            members.insert("dpop_signing_alg_values_supported".into(), json!(["ES256"]));
        }
        change(members, &script.metadata, &self.origin, "");
        document
    }
}

/// Applies [`Changes`].
pub(super) fn change(
    members: &mut Map<String, Value>,
    changes: &Changes,
    origin: &str,
    remote: &str,
) {
    for (name, value) in changes {
        let text = value.to_string().replace("{as}", origin).replace("{remote}", remote);
        match serde_json::from_str(&text).expect("JSON") {
            Value::Null => drop(members.remove(*name)),
            value => drop(members.insert((*name).to_owned(), value)),
        }
    }
}
