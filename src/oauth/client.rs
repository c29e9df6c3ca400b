//! A client as one authorization server knows it: its id, its secret, how it authenticates
//! at the token endpoint (RFC 6749 section 2.3) and how it came to be.

use super::client_assertion::AssertionKey;
use super::dpop::ProofKey;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use url::Url;
use zeroize::Zeroizing;

/// How a client authenticates at the token endpoint (RFC 7591 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// A public client: its id alone.
    None,
    ClientSecretBasic,
    ClientSecretPost,
    /// An assertion that the client signs (RFC 7523 section 2.2).
    PrivateKeyJwt,
    /// The certificate of the connection (RFC 8705 section 2.1).
    TlsClientAuth,
}

/// How a client came to be known to the authorization server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientOrigin {
    /// The person named it.
    Preregistered,
    /// Its id is the URL of a Client ID Metadata Document.
    MetadataDocument,
    /// RFC 7591; may be made anew.
    Dynamic,
}

/// A client's identity at one issuer.
#[derive(Debug, Clone)]
pub struct Client {
    pub id: String,
    pub secret: Option<Secret<String>>,
    pub method: AuthMethod,
    pub origin: ClientOrigin,
    /// In seconds since 1970; none if it does not expire.
    pub secret_expires_at: Option<u64>,
    /// The one it was registered with.
    pub redirect_uri: Option<String>,
    /// Of the redirect URI.
    pub port: Option<u16>,
    /// For RFC 7592.
    pub registration_access_token: Option<Secret<String>>,
    pub registration_client_uri: Option<String>,
    /// For `private_key_jwt`. Not part of the record: the key is where the person put it.
    pub assertion_key: Option<AssertionKey>,
    /// Its tokens are bound to this key (DPoP), and go with proofs.
    pub proof_key: Option<ProofKey>,
}

/// The bytes of a record hold no client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored client cannot be read")]
pub struct ClientUnreadable;

impl AuthMethod {
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::TlsClientAuth => "tls_client_auth",
        }
    }

    /// None for methods that are not spoken here.
    pub fn from_name(name: &str) -> Option<Self> {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost, PrivateKeyJwt, TlsClientAuth};
        [Self::None, ClientSecretBasic, ClientSecretPost, PrivateKeyJwt, TlsClientAuth]
            .into_iter()
            .find(|method| method.name() == name)
    }

    /// Whether it shows a secret that both sides know.
    pub fn uses_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }

    /// For a client with a secret or without, by `token_endpoint_auth_methods_supported`;
    /// its absence means `client_secret_basic` (RFC 8414 section 2), and so does a list of
    /// methods that are not spoken here: the server then says what is wrong.
    pub fn choose(has_secret: bool, supported: Option<&[String]>) -> Self {
        let Some(supported) = supported.filter(|_| has_secret) else {
            return if has_secret { Self::ClientSecretBasic } else { Self::None };
        };
        [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None]
            .into_iter()
            .find(|method| supported.iter().any(|name| name == method.name()))
            .unwrap_or(Self::ClientSecretBasic)
    }
}

/// What `client_secret_basic` makes of a client's id and secret (RFC 6749 section 2.3.1), and
/// what it would be without the encoding that some leave out.
pub fn basic_credentials(id: &str, secret: &Secret<String>) -> [Secret<String>; 2] {
    let form = |text: &str| -> Zeroizing<String> {
        Zeroizing::new(url::form_urlencoded::byte_serialize(text.as_bytes()).collect())
    };
    let joined = |id: &str, secret: &str| {
        let joined = Zeroizing::new(format!("{id}:{secret}"));
        Secret::new(BASE64.encode(joined.as_bytes()))
    };
    [joined(&form(id), &form(secret.expose())), joined(id, secret.expose())]
}

impl Client {
    /// One that the person named (`--client-id`).
    pub fn preregistered(
        id: String,
        secret: Option<Secret<String>>,
        supported: Option<&[String]>,
    ) -> Self {
        let method = AuthMethod::choose(secret.is_some(), supported);
        Self { secret, method, ..Self::public(id, ClientOrigin::Preregistered) }
    }

    /// One whose id is the URL of its metadata document (`--client-metadata-url`).
    pub fn metadata_document(url: String) -> Self {
        Self::public(url, ClientOrigin::MetadataDocument)
    }

    /// A preregistered one that signs who it is.
    pub fn private_key_jwt(id: String, key: AssertionKey) -> Self {
        Self {
            method: AuthMethod::PrivateKeyJwt,
            assertion_key: Some(key),
            ..Self::public(id, ClientOrigin::Preregistered)
        }
    }

    /// A preregistered one that shows the certificate of its connections.
    pub fn tls_client_auth(id: String) -> Self {
        let public = Self::public(id, ClientOrigin::Preregistered);
        Self { method: AuthMethod::TlsClientAuth, ..public }
    }

    pub(super) fn public(id: String, origin: ClientOrigin) -> Self {
        Self {
            id,
            secret: None,
            method: AuthMethod::None,
            origin,
            secret_expires_at: None,
            redirect_uri: None,
            port: None,
            registration_access_token: None,
            registration_client_uri: None,
            assertion_key: None,
            proof_key: None,
        }
    }

    /// Whether the secret is past its time; `now` in seconds since 1970.
    pub fn secret_expired(&self, now: u64) -> bool {
        self.secret_expires_at.is_some_and(|end| end <= now)
    }

    /// For a sealed record, secrets included.
    pub fn to_json(&self) -> Secret<Vec<u8>> {
        let proof_key = self.proof_key.as_ref();
        let proof_key = proof_key.map(|key| Zeroizing::new(BASE64.encode(key.pkcs8().expose())));
        let written = Written {
            id: &self.id,
            secret: self.secret.as_ref().map(|secret| secret.expose().as_str()),
            method: self.method,
            origin: self.origin,
            secret_expires_at: self.secret_expires_at,
            redirect_uri: self.redirect_uri.as_deref(),
            port: self.port,
            registration_access_token: self
                .registration_access_token
                .as_ref()
                .map(|token| token.expose().as_str()),
            registration_client_uri: self.registration_client_uri.as_deref(),
            proof_key: proof_key.as_ref().map(|key| key.as_str()),
        };
        // Large enough that no copy is left behind by growing.
        let texts = [written.secret, written.registration_access_token, written.proof_key];
        let length: usize = texts.iter().flatten().map(|text| 2 * text.len()).sum();
        let mut json = Vec::with_capacity(length + 4096);
        // Writing strings and numbers to memory does not fail.
        let _ = serde_json::to_writer(&mut json, &written);
        Secret::new(json)
    }

    /// From a sealed record; members of later versions are left aside.
    ///
    /// # Errors
    /// [`ClientUnreadable`], which shows nothing of the bytes.
    pub fn from_json(json: &[u8]) -> Result<Self, ClientUnreadable> {
        let read: Read = serde_json::from_slice(json).map_err(|_| ClientUnreadable)?;
        let proof_key = read.proof_key.map(|key| {
            let pkcs8 = BASE64.decode(key.as_bytes()).map_err(|_| ClientUnreadable)?;
            ProofKey::from_pkcs8(Secret::new(pkcs8)).map_err(|_| ClientUnreadable)
        });
        Ok(Self {
            proof_key: proof_key.transpose()?,
            secret: read.secret.map(|mut text| Secret::new(std::mem::take(&mut *text))),
            method: read.method,
            secret_expires_at: read.secret_expires_at,
            redirect_uri: read.redirect_uri,
            port: read.port,
            registration_access_token: read
                .registration_access_token
                .map(|mut text| Secret::new(std::mem::take(&mut *text))),
            registration_client_uri: read.registration_client_uri,
            ..Self::public(read.id, read.origin)
        })
    }
}

/// Whether `url` may be the id of a client: https with a path and no fragment, no user and no
/// dot segments (Client ID Metadata Document, section 3).
pub fn is_metadata_document_url(url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else { return false };
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = path.map_or("", |(_, path)| path.split('?').next().unwrap_or(path));
    parsed.scheme() == "https"
        && !path.is_empty()
        && !path.split('/').any(|segment| segment == "." || segment == "..")
        && !url.contains('#')
        && parsed.username().is_empty()
        && parsed.password().is_none()
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    secret: Option<&'a str>,
    method: AuthMethod,
    origin: ClientOrigin,
    secret_expires_at: Option<u64>,
    redirect_uri: Option<&'a str>,
    port: Option<u16>,
    registration_access_token: Option<&'a str>,
    registration_client_uri: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof_key: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    id: String,
    #[serde(default, deserialize_with = "wiped")]
    secret: Option<Zeroizing<String>>,
    method: AuthMethod,
    origin: ClientOrigin,
    secret_expires_at: Option<u64>,
    redirect_uri: Option<String>,
    port: Option<u16>,
    #[serde(default, deserialize_with = "wiped")]
    registration_access_token: Option<Zeroizing<String>>,
    registration_client_uri: Option<String>,
    #[serde(default, deserialize_with = "wiped")]
    proof_key: Option<Zeroizing<String>>,
}

fn wiped<'de, D: serde::Deserializer<'de>>(
    value: D,
) -> Result<Option<Zeroizing<String>>, D::Error> {
    Ok(Option::<String>::deserialize(value)?.map(Zeroizing::new))
}

#[cfg(test)]
mod tests;
