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
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<String>,
}

impl ProtectedResource {
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
mod tests {
    use super::*;

    #[test]
    fn strings_are_kept_as_published() {
        let body = br#"{"resource":"HTTPS://Example.com:443/a/../%7e","authorization_servers":["https://AS.example"],"extra":{"a":[1e400]}}"#;
        let found = ProtectedResource::parse(body).unwrap();
        assert_eq!(found.resource, "HTTPS://Example.com:443/a/../%7e");
        assert_eq!(found.authorization_servers, ["https://AS.example"]);
        assert_eq!(found.scopes_supported, None);
    }

    #[test]
    fn null_and_strange_members_count_as_absent() {
        let body = br#"{"issuer":"https://h","token_endpoint":null,"registration_endpoint":7,"scopes_supported":"a b","code_challenge_methods_supported":["S256",null],"authorization_response_iss_parameter_supported":null}"#;
        let found = AuthorizationServer::parse(body).unwrap();
        assert_eq!(found, AuthorizationServer { issuer: "https://h".into(), ..Default::default() });
        let body = br#"{"resource":"https://h","authorization_servers":["https://a",null,5]}"#;
        let found = ProtectedResource::parse(body).unwrap();
        assert_eq!(found.authorization_servers, ["https://a"]);
    }

    #[test]
    fn what_identifies_the_server_must_stand_there_once_and_as_a_string() {
        for body in [
            "{}",
            "[]",
            "null",
            "<html>",
            r#"{"issuer":null}"#,
            r#"{"issuer":5}"#,
            r#"{"issuer":"https://a","issuer":"https://b"}"#,
            "{\"issuer\":\"https://a\"",
        ] {
            assert_eq!(AuthorizationServer::parse(body.as_bytes()), None, "{body}");
        }
        assert_eq!(ProtectedResource::parse(br#"{"resource":["https://h"]}"#), None);
        let deep = format!("{{\"issuer\":\"a\",\"x\":{}", "[".repeat(100_000));
        assert_eq!(AuthorizationServer::parse(deep.as_bytes()), None);
    }

    #[test]
    fn a_document_survives_being_kept() {
        let server = AuthorizationServer {
            issuer: "https://h/".into(),
            token_endpoint: Some("https://h/t".into()),
            code_challenge_methods_supported: Some(vec!["S256".into()]),
            authorization_response_iss_parameter_supported: true,
            ..Default::default()
        };
        let kept = serde_json::to_vec(&server).unwrap();
        assert_eq!(AuthorizationServer::parse(&kept), Some(server.clone()));
        assert!(server.offers_s256());
    }

    #[test]
    fn a_certificate_is_shown_at_the_alias_where_there_is_one() {
        let body = br#"{"issuer":"i","token_endpoint":"t","mtls_endpoint_aliases":{"token_endpoint":"m"},"dpop_signing_alg_values_supported":["RS256","ES256"]}"#;
        let server = AuthorizationServer::parse(body).unwrap();
        assert_eq!(server.token_endpoint_for(AuthMethod::TlsClientAuth), Some("m"));
        assert_eq!(server.token_endpoint_for(AuthMethod::PrivateKeyJwt), Some("t"));
        assert!(server.offers_dpop());
        for body in [
            r#"{"issuer":"i","token_endpoint":"t","mtls_endpoint_aliases":{"x":1},"dpop_signing_alg_values_supported":["RS256"]}"#,
            r#"{"issuer":"i","token_endpoint":"t","mtls_endpoint_aliases":[],"dpop_signing_alg_values_supported":"ES256"}"#,
        ] {
            let server = AuthorizationServer::parse(body.as_bytes()).unwrap();
            assert_eq!(server.token_endpoint_for(AuthMethod::TlsClientAuth), Some("t"));
            assert!(!server.offers_dpop());
        }
    }

    #[test]
    fn pkce_counts_only_where_s256_is_listed() {
        for (methods, offered) in [
            (Some(vec!["plain", "S256"]), true),
            (Some(vec!["plain"]), false),
            (Some(vec![]), false),
            (None, false),
        ] {
            let listed = methods.map(|all| all.into_iter().map(str::to_owned).collect());
            let server = AuthorizationServer {
                code_challenge_methods_supported: listed,
                ..Default::default()
            };
            assert_eq!(server.offers_s256(), offered);
        }
    }
}
