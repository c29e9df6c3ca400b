//! Requests as crate `oauth2` encodes them (RFC 6749 appendix B, client authentication of
//! section 2.3.1), caught before they are sent and sent through [`Web`].
//!
//! Its own reading of responses refuses much that real servers send, and its errors hold
//! whole bodies; both are never used.

use super::client::{AuthMethod, Client};
use super::web::{Answer, Web, WebError};
use crate::secret::Secret;
use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, HttpRequest, HttpResponse, SyncHttpClient};
use reqwest::header::{AUTHORIZATION, HeaderMap};
use std::cell::RefCell;
use std::convert::Infallible;
use url::Url;

const FORM: &str = "application/x-www-form-urlencoded";

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
    headers: HeaderMap,
    body: Secret<Vec<u8>>,
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
        Ok(Encoded { headers, body: Secret::new(body) })
    }
}

impl Encoded {
    /// POSTs to `endpoint`, as it was published.
    pub(super) async fn post(self, web: &Web, endpoint: &str) -> Result<Answer, WebError> {
        web.post(endpoint, FORM, self.headers, self.body).await
    }
}

/// `client` in the words of `oauth2`, with its way to authenticate.
pub(super) fn spoken(client: &Client) -> BasicClient {
    let spoken = BasicClient::new(ClientId::new(client.id.clone()));
    let spoken = match client.method {
        AuthMethod::ClientSecretPost => spoken.set_auth_type(AuthType::RequestBody),
        AuthMethod::ClientSecretBasic | AuthMethod::None => spoken,
    };
    match &client.secret {
        Some(secret) if client.method != AuthMethod::None => {
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
