//! The authorization request (RFC 6749 section 4.1.1) with PKCE (RFC 7636) and a resource
//! (RFC 8707), and the check of who answered it (RFC 9207).

use crate::http::is_loopback;
use crate::secret::Secret;
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use std::fmt;
use url::{Url, form_urlencoded};

/// Bytes of randomness in `state`.
const STATE_BYTES: u32 = 32;
/// What the flow itself says, so that neither a flag nor the endpoint may.
const FLOW: [&str; 12] = [
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
    "scope",
    "resource",
    // RFC 9101: either would replace all the others.
    "request",
    "request_uri",
    // Asked of the response's reader, who does not check it.
    "nonce",
];

/// What goes into an authorization request; strings that were published go out unchanged.
#[derive(Debug, Clone)]
pub struct AuthorizationParameters<'a> {
    pub authorization_endpoint: &'a str,
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub scope: Option<&'a str>,
    pub resource: Option<&'a str>,
    /// From `--authorize-param`.
    pub extra: &'a [(String, String)],
    /// Ask for consent even where it was given: OpenID Connect wants it for `offline_access`.
    pub prompt_consent: bool,
    pub issuer: ExpectedIssuer<'a>,
    /// `authorization_response_iss_parameter_supported`.
    pub iss_supported: bool,
    /// From `--allow-http`.
    pub allow_http: bool,
}

/// The issuer of the metadata in use.
#[derive(Debug, Clone, Copy)]
pub enum ExpectedIssuer<'a> {
    /// By the server, in metadata that was checked.
    Published(&'a str),
    /// From the origin of a 2025-03-26 server without metadata: with or without a slash.
    Derived(&'a str),
}

/// An authorization request that is under way.
pub struct AuthorizationRequest {
    /// To be opened in a browser. Holds only characters of RFC 3986; what a shell would read
    /// something into is for the one who opens it.
    pub url: String,
    pub state: Secret<String>,
    /// The PKCE code verifier.
    pub verifier: Secret<String>,
    issuer: String,
    published: bool,
    iss_supported: bool,
}

/// Why no request can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the authorization endpoint {0}")]
    Endpoint(&'static str),
    #[error("the redirect URI is not one")]
    RedirectUri,
    /// Of `--authorize-param`.
    #[error("the parameter {0} belongs to the sign-in itself and cannot be set")]
    Reserved(String),
}

/// The response is not from the server that was asked (RFC 9207 section 2.4). Neither its
/// code nor its error may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssError {
    #[error("the response does not say which authorization server it is from (iss)")]
    Missing,
    #[error("the response is from another authorization server than the one asked (iss)")]
    Other,
}

impl AuthorizationRequest {
    /// Makes `state`, the code verifier and the URL.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn new(parameters: &AuthorizationParameters<'_>) -> Result<Self, RequestError> {
        if let Some(name) = parameters.extra.iter().map(|(name, _)| name).find(|name| is_flow(name))
        {
            return Err(RequestError::Reserved(name.clone()));
        }
        let endpoint = checked(parameters.authorization_endpoint, parameters.allow_http)?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (query, state) = query(parameters, challenge)?;
        let replaced = |name: &str| {
            is_flow(name)
                || (name == "prompt" && parameters.prompt_consent)
                || parameters.extra.iter().any(|(extra, _)| extra == name)
        };
        let (issuer, published) = match parameters.issuer {
            ExpectedIssuer::Published(issuer) => (issuer, true),
            ExpectedIssuer::Derived(issuer) => (issuer, false),
        };
        Ok(Self {
            url: joined(endpoint, replaced, &query),
            state: Secret::new(state.into_secret()),
            verifier: Secret::new(verifier.into_secret()),
            issuer: issuer.to_owned(),
            published,
            iss_supported: parameters.iss_supported,
        })
    }

    /// Checks the decoded `iss` of a response, successful or not, before anything else of it
    /// is used or shown. Strings are compared as they are (RFC 3986 section 6.2.1).
    ///
    /// # Errors
    /// [`IssError`].
    pub fn check(&self, iss: Option<&str>) -> Result<(), IssError> {
        let bare = |issuer: &str| issuer.strip_suffix('/').unwrap_or(issuer).to_owned();
        match iss {
            None if self.iss_supported => Err(IssError::Missing),
            None => Ok(()),
            Some(iss) if iss == self.issuer => Ok(()),
            Some(iss) if !self.published && bare(iss) == bare(&self.issuer) => Ok(()),
            Some(_) => Err(IssError::Other),
        }
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds the state.
        f.debug_struct("AuthorizationRequest").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Whether a parameter belongs to the flow and may not be set by `--authorize-param`.
pub fn is_flow(name: &str) -> bool {
    FLOW.contains(&name)
}

fn checked(endpoint: &str, allow_http: bool) -> Result<&str, RequestError> {
    let url = Url::parse(endpoint).map_err(|_| RequestError::Endpoint("is not a URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) || allow_http => {}
        "http" => return Err(RequestError::Endpoint("has no https (--allow-http allows that)")),
        _ => return Err(RequestError::Endpoint("is not https")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(RequestError::Endpoint("has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RequestError::Endpoint("holds a password"));
    }
    // A browser would read these as slashes or leave them out, and name another host so.
    // Behind the host they are encoded.
    let head = endpoint.split('?').next().unwrap_or(endpoint);
    if head.contains(|c: char| c == '\\' || c.is_ascii_control()) || endpoint != endpoint.trim() {
        return Err(RequestError::Endpoint("holds characters that no URL has"));
    }
    // RFC 6749 section 3.1: no fragment.
    Ok(endpoint.split('#').next().unwrap_or(endpoint))
}

/// The parameters as `oauth2` encodes them, and the state among them.
fn query(
    parameters: &AuthorizationParameters<'_>,
    challenge: PkceCodeChallenge,
) -> Result<(String, CsrfToken), RequestError> {
    let redirect = RedirectUrl::new(parameters.redirect_uri.to_owned())
        .map_err(|_| RequestError::RedirectUri)?;
    // The published endpoint is joined with the query later, in its own spelling.
    let elsewhere = AuthUrl::new("https://endpoint.invalid/".to_owned())
        .map_err(|_| RequestError::Endpoint("is not a URL"))?;
    let client = BasicClient::new(ClientId::new(parameters.client_id.to_owned()))
        .set_auth_uri(elsewhere)
        .set_redirect_uri(redirect);
    let mut request = client
        .authorize_url(|| CsrfToken::new_random_len(STATE_BYTES))
        .set_pkce_challenge(challenge);
    if let Some(scope) = parameters.scope.filter(|scope| !scope.is_empty()) {
        request = request.add_scope(Scope::new(scope.to_owned()));
    }
    if let Some(resource) = parameters.resource {
        request = request.add_extra_param("resource", resource);
    }
    if parameters.prompt_consent && !parameters.extra.iter().any(|(name, _)| name == "prompt") {
        request = request.add_extra_param("prompt", "consent");
    }
    for (name, value) in parameters.extra {
        request = request.add_extra_param(name, value);
    }
    let (url, state) = request.url();
    Ok((url.query().unwrap_or_default().to_owned(), state))
}

/// `endpoint` with `query`; of its own query everything that is not replaced stays as it is.
fn joined(endpoint: &str, replaced: impl Fn(&str) -> bool, query: &str) -> String {
    let (base, own) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    let kept = own.split('&').filter(|part| {
        let name = form_urlencoded::parse(part.as_bytes()).next().map(|(name, _)| name);
        !part.is_empty() && !name.is_some_and(|name| replaced(&name))
    });
    let all: Vec<&str> = kept.chain([query]).collect();
    escaped(&format!("{base}?{}", all.join("&")))
}

/// With percent signs for what RFC 3986 has no place for; a valid URL stays as it is.
fn escaped(url: &str) -> String {
    let mut escaped = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests;
