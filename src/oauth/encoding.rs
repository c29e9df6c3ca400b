//! Requests as crate `oauth2` encodes them (RFC 6749 appendix B, client authentication of
//! section 2.3.1), caught before they are sent and sent through [`Web`].
//!
//! Its own reading of responses refuses much that real servers send, and its errors hold
//! whole bodies; both are never used.

use super::client::{AuthMethod, Client};
use super::web::WebError;
use crate::secret::Secret;
use oauth2::basic::BasicClient;
use oauth2::{
    AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, SyncHttpClient, TokenUrl,
};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use std::cell::RefCell;
use std::convert::Infallible;
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

/// Takes the place of an HTTP client: keeps the request and answers with nothing.
#[derive(Default)]
pub(super) struct Encoder(RefCell<Option<HttpRequest>>);

impl SyncHttpClient for Encoder {
    type Error = Infallible;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, Infallible> {
        self.0.replace(Some(request));
        // Nothing that could be read as "ask again", so no request loops.
        Ok(HttpResponse::new(Vec::new()))
    }
}

/// A form and the headers that go with it.
pub(super) struct Encoded {
    pub(super) headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl Encoder {
    /// What was caught.
    ///
    /// # Errors
    /// `Refused` if nothing was: the request could not be put into words.
    pub(super) fn finish(self) -> Result<Encoded, WebError> {
        let request = self.0.into_inner().ok_or_else(|| unusable("the request is none"))?;
        let (parts, body) = request.into_parts();
        let mut headers = HeaderMap::new();
        if let Some(mut credentials) = parts.headers.get(AUTHORIZATION).cloned() {
            credentials.set_sensitive(true);
            headers.insert(AUTHORIZATION, credentials);
        }
        Ok(Encoded { headers, body: Zeroizing::new(body) })
    }
}

impl Encoded {
    /// A token request with a grant that `oauth2` does not know (RFC 6749 section 4.5), or with
    /// the client credentials alone. A client without an id is not named.
    ///
    /// # Errors
    /// `Refused` if it could not be put into words.
    pub(super) fn grant(
        client: &Client,
        grant_type: &str,
        parameters: &[(&'static str, &str)],
    ) -> Result<Self, WebError> {
        let client = spoken(client).set_token_uri(TokenUrl::from_url(nowhere()?));
        let encoder = Encoder::default();
        let _ = client.exchange_client_credentials().request(&encoder);
        let mut encoded = encoder.finish()?;
        let length: usize = parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
        // Large enough that no copy is left behind by growing.
        let target = String::with_capacity(encoded.body.len() + 4 * length + 1024);
        let mut form = form_urlencoded::Serializer::new(target);
        form.append_pair("grant_type", grant_type);
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            form.append_pair(name, value);
        }
        // How the client says who it is.
        let pairs = form_urlencoded::parse(&encoded.body);
        for (name, value) in pairs.filter(|(name, value)| name != "grant_type" && !value.is_empty())
        {
            let value = Zeroizing::new(value.into_owned());
            form.append_pair(&name, &value);
        }
        encoded.body = Zeroizing::new(form.finish().into_bytes());
        Ok(encoded)
    }

    /// The form, with these behind what it holds.
    pub(super) fn body(&self, more: &[(&str, &str)]) -> Secret<Vec<u8>> {
        let length: usize = more.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut body = Vec::with_capacity(self.body.len() + length);
        body.extend_from_slice(&self.body);
        for (name, value) in more {
            body.push(b'&');
            body.extend_from_slice(name.as_bytes());
            body.push(b'=');
            for piece in form_urlencoded::byte_serialize(value.as_bytes()) {
                body.extend_from_slice(piece.as_bytes());
            }
        }
        Secret::new(body)
    }
}

/// `client` in the words of `oauth2`, with its way to authenticate.
pub(super) fn spoken(client: &Client) -> BasicClient {
    let spoken = BasicClient::new(ClientId::new(client.id.clone()));
    let spoken = match client.method {
        AuthMethod::ClientSecretPost => spoken.set_auth_type(AuthType::RequestBody),
        _ => spoken,
    };
    match &client.secret {
        Some(secret) if client.method.uses_secret() => {
            spoken.set_client_secret(ClientSecret::new(secret.expose().clone()))
        }
        _ => spoken,
    }
}

/// An endpoint where `oauth2` wants one: nothing is sent there, so that the real one keeps
/// the spelling it was published with.
///
/// # Errors
/// Never, but that cannot be said in types.
pub(super) fn nowhere() -> Result<Url, WebError> {
    Url::parse("https://endpoint.invalid/").map_err(|_| unusable("no URL can be made"))
}

/// A URL that is none.
pub(super) fn unusable(why: &str) -> WebError {
    WebError::Refused { host: "the authorization server".into(), why: why.into() }
}
