//! What a person wants of a sign-in with OAuth: taught once by `login`, or by flags of `run`,
//! which win.

use super::recipe::Grant;
use crate::secret::Secret;
use crate::vault::RecordKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How to sign in; all that is left open is discovered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OAuthPlan {
    /// A client registered beforehand.
    pub client_id: Option<String>,
    /// Its secret. Not serialized here: see the record.
    #[serde(skip)]
    pub client_secret: Option<Secret<String>>,
    /// Client ID Metadata Document.
    pub client_metadata_url: Option<String>,
    pub scope: Option<String>,
    /// Resource indicator (RFC 8707), verbatim.
    pub resource: Option<String>,
    pub no_resource: bool,
    pub authorize_params: Vec<(String, String)>,
    pub issuer: Option<String>,
    pub token_endpoint: Option<String>,
    pub callback_port: Option<u16>,
    pub host: Option<String>,
    pub callback_path: Option<String>,
    pub use_id_token: bool,
    pub assume_pkce: bool,
    /// RFC 8628 instead of a redirect; or, said so, not.
    pub device: Option<bool>,
    /// Members for the registration request (RFC 7591).
    pub registration: Option<Map<String, Value>>,
    /// Where the browser goes after success.
    pub success_url: Option<String>,
    /// It is the identity provider that is signed in at: what its ID token is exchanged for.
    pub enterprise: Option<Box<Grant>>,
}

/// The scopes in these lists (RFC 6749 section 3.3), each once, in their order.
pub(super) fn words<'a>(lists: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut words = Vec::new();
    for word in lists.flat_map(str::split_ascii_whitespace) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

impl OAuthPlan {
    /// Where the client is kept that is registered at `issuer`: the person may want something
    /// else of another registration.
    pub(super) fn registration_key(&self, issuer: &str) -> RecordKey {
        let wanted = self.registration.as_ref();
        let wanted = wanted.and_then(|wanted| serde_json::to_string(wanted).ok());
        let wanted = wanted.map(|wanted| format!(" {wanted}")).unwrap_or_default();
        RecordKey::Registration { issuer: format!("{issuer}{wanted}") }
    }

    /// Whether these flags ask for something else than what was taught before.
    pub(super) fn teaches(&self, taught: &Self) -> bool {
        let seen = |plan: &Self| serde_json::to_value(plan).ok();
        let both = self.clone().over(taught.clone());
        let [one, other] = [&both, taught].map(|plan| plan.client_secret.as_ref());
        let same = one.map(Secret::expose) == other.map(Secret::expose);
        seen(&both) != seen(taught) || !same
    }

    /// These flags over what was taught before.
    #[must_use]
    pub(super) fn over(self, taught: Self) -> Self {
        // A client and its secret belong together.
        let own_client = self.client_id.is_some() || self.client_metadata_url.is_some();
        let client = if own_client { &self } else { &taught };
        Self {
            client_id: client.client_id.clone(),
            client_secret: self.client_secret.clone().or_else(|| client.client_secret.clone()),
            client_metadata_url: client.client_metadata_url.clone(),
            no_resource: self.no_resource || (self.resource.is_none() && taught.no_resource),
            resource: if self.no_resource { None } else { self.resource.or(taught.resource) },
            scope: self.scope.or(taught.scope),
            authorize_params: if self.authorize_params.is_empty() {
                taught.authorize_params
            } else {
                self.authorize_params
            },
            issuer: self.issuer.or(taught.issuer),
            token_endpoint: self.token_endpoint.or(taught.token_endpoint),
            callback_port: self.callback_port.or(taught.callback_port),
            host: self.host.or(taught.host),
            callback_path: self.callback_path.or(taught.callback_path),
            use_id_token: self.use_id_token || taught.use_id_token,
            assume_pkce: self.assume_pkce || taught.assume_pkce,
            device: self.device.or(taught.device),
            registration: self.registration.or(taught.registration),
            success_url: self.success_url.or(taught.success_url),
            enterprise: self.enterprise.or(taught.enterprise),
        }
    }
}
