//! The documents that servers publish about themselves: protected resource metadata (RFC 9728
//! section 2) and authorization server metadata (RFC 8414 section 2, OpenID Connect Discovery
//! 1.0 section 3).
//!
//! Strings are kept byte for byte. Members that are absent, null or of another type than the
//! specification's count as absent; only those that identify the server must be there.

use super::client::AuthMethod;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// Protected resource metadata. All text is the server's and not cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedResource {
    pub resource: String,
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub authorization_servers: Vec<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// RFC 9449 section 5.1.
    #[serde(default, deserialize_with = "lenient")]
    pub dpop_bound_access_tokens_required: bool,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
}

/// Authorization server metadata. All text is the server's and not cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationServer {
    pub issuer: String,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub grant_types_supported: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// RFC 9449 section 5.1; absent: no DPoP.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// RFC 8705 section 5.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub mtls_endpoint_aliases: Option<MtlsEndpointAliases>,
    /// Identity Assertion JWT Authorization Grant, section 7.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub authorization_grant_profiles_supported: Option<Vec<String>>,
    /// Absent: no PKCE (RFC 8414 section 2).
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207 section 3.
    #[serde(default, deserialize_with = "lenient")]
    pub authorization_response_iss_parameter_supported: bool,
    #[serde(default, deserialize_with = "lenient")]
    pub client_id_metadata_document_supported: bool,
}

/// Where a client shows its certificate (RFC 8705 section 5). Not cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MtlsEndpointAliases {
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
}

impl ProtectedResource {
    /// It wants tokens that are bound to a key of this side, or says that it takes them.
    pub fn takes_dpop(&self) -> bool {
        self.dpop_bound_access_tokens_required
            || lists_es256(self.dpop_signing_alg_values_supported.as_deref())
    }

    /// The document, if `body` is one.
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

impl AuthorizationServer {
    /// The document, if `body` is one.
    pub fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Whether it offers PKCE with S256 (RFC 7636 section 4.2).
    pub fn offers_s256(&self) -> bool {
        self.code_challenge_methods_supported
            .as_ref()
            .is_some_and(|methods| methods.iter().any(|method| method == "S256"))
    }

    /// Whether proofs of possession with ES256 are understood (RFC 9449 section 5.1).
    pub fn offers_dpop(&self) -> bool {
        lists_es256(self.dpop_signing_alg_values_supported.as_deref())
    }

    /// The token endpoint for a client that authenticates so: with `tls_client_auth` the alias,
    /// if there is one.
    pub fn token_endpoint_for(&self, method: AuthMethod) -> Option<&str> {
        let aliases = self.mtls_endpoint_aliases.as_ref();
        let alias = aliases.filter(|_| method == AuthMethod::TlsClientAuth);
        alias
            .and_then(|aliases| aliases.token_endpoint.as_deref())
            .or(self.token_endpoint.as_deref())
    }
}

fn lists_es256(algorithms: Option<&[String]>) -> bool {
    algorithms.is_some_and(|all| all.iter().any(|one| one == "ES256"))
}

fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// Its strings; other members of the list are skipped.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let members: Vec<Value> = lenient(deserializer)?;
    Ok(members
        .into_iter()
        .filter_map(|member| match member {
            Value::String(text) => Some(text),
            _ => None,
        })
        .collect())
}

#[cfg(test)]
mod tests;
