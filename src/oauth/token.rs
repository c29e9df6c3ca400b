//! Token requests (RFC 6749 sections 4.1.3 and 6, RFC 8707 section 2.2) and what comes back.

use super::asking::Asking;
use super::client::Client;
use super::encoding::{Encoded, Encoder, nowhere, spoken, unusable};
use super::error_response::{ErrorResponse, Unavailable};
use super::response::{Members, body};
use super::web::{Answer, Web, WebError};
use crate::secret::Secret;
use oauth2::{AuthorizationCode, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenUrl};
use std::borrow::Cow;

/// What a token endpoint gave.
#[derive(Debug, Clone)]
pub struct TokenSet {
    /// Fit for a header.
    pub access_token: Secret<String>,
    /// `Bearer` or `DPoP`, spelled so.
    pub token_type: String,
    /// The server said which; where it did not, `Bearer` stands there.
    pub type_was_told: bool,
    /// None: the one in hand stays good.
    pub refresh_token: Option<Secret<String>>,
    pub id_token: Option<Secret<String>>,
    /// What was granted; none: what was asked for (RFC 6749 section 5.1).
    pub scope: Option<String>,
    /// In seconds, between one and ten years' worth. None if the server says nothing that is
    /// above zero: then the token is good until it is refused.
    pub expires_in: Option<u64>,
}

/// Why there is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// The server said no; what was asked with is as good or bad as before.
    #[error("the authorization server refused: {0}")]
    Refused(ErrorResponse),
    /// Nothing changed; the same may be asked again later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// Code or refresh token may have been spent.
    #[error("the answer of the authorization server was lost: {0}")]
    Lost(WebError),
    /// It said yes, and not what to.
    #[error("the answer of the authorization server is of no use: {why}")]
    Malformed {
        why: &'static str,
        /// The one that came all the same: it replaces the one that was spent.
        refresh_token: Option<Secret<String>>,
    },
}

impl TokenError {
    /// Whether the code or refresh token is refused for good: `invalid_grant`, or what GitHub
    /// and Slack call it.
    pub fn grant_refused(&self) -> bool {
        self.is(&[
            "invalid_grant",
            "bad_refresh_token",
            "bad_verification_code",
            "invalid_refresh_token",
        ])
    }

    /// Whether the server does not know the client (any more).
    pub fn client_refused(&self) -> bool {
        self.is(&["invalid_client", "unauthorized_client", "incorrect_client_credentials"])
    }

    /// Whether the server wants its tokens bound to a key, and none was shown (RFC 9449
    /// section 5): nothing was spent.
    pub fn wants_dpop(&self) -> bool {
        self.is(&["invalid_dpop_proof", "use_dpop_nonce"])
    }

    /// The error response, if there was one.
    pub fn response(&self) -> Option<&ErrorResponse> {
        match self {
            Self::Refused(response) | Self::Unavailable(Unavailable::OutOfOrder(response)) => {
                Some(response)
            }
            _ => None,
        }
    }

    fn is(&self, codes: &[&str]) -> bool {
        matches!(self, Self::Refused(response) if response.is(codes))
    }
}

/// Turns an authorization code into tokens. `token_endpoint` and `resource` go out as they
/// were published, `redirect_uri` as it was in the authorization request.
///
/// # Errors
/// [`TokenError`]; after `Lost` and `Malformed` the code is spent.
pub async fn exchange_code(
    web: &Web,
    token_endpoint: &str,
    client: Asking<'_>,
    code: &Secret<String>,
    verifier: &Secret<String>,
    redirect_uri: &str,
    resource: Option<&str>,
) -> Result<TokenSet, TokenError> {
    let request =
        code_request(client.client, code, verifier, redirect_uri, resource).map_err(early)?;
    granted(client.for_tokens(web, token_endpoint, &request).await)
}

/// Turns a refresh token into new tokens. `scope` is what was granted, else what was asked for.
///
/// # Errors
/// [`TokenError`]; after `Lost` the refresh token may be spent. A `Malformed` answer may hold
/// the next one, to be kept before anything else.
pub async fn refresh(
    web: &Web,
    token_endpoint: &str,
    client: Asking<'_>,
    refresh_token: &Secret<String>,
    scope: Option<&str>,
    resource: Option<&str>,
) -> Result<TokenSet, TokenError> {
    let request = refresh_request(client.client, refresh_token, scope, resource).map_err(early)?;
    granted(client.for_tokens(web, token_endpoint, &request).await)
}

fn code_request(
    client: &Client,
    code: &Secret<String>,
    verifier: &Secret<String>,
    redirect_uri: &str,
    resource: Option<&str>,
) -> Result<Encoded, WebError> {
    let redirect = RedirectUrl::new(redirect_uri.to_owned())
        .map_err(|_| unusable("the redirect URI is none"))?;
    let client = spoken(client).set_token_uri(TokenUrl::from_url(nowhere()?));
    let mut request = client
        .exchange_code(AuthorizationCode::new(code.expose().clone()))
        .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().clone()))
        .set_redirect_uri(Cow::Owned(redirect));
    if let Some(resource) = resource {
        request = request.add_extra_param("resource", resource.to_owned());
    }
    let encoder = Encoder::default();
    let _ = request.request(&encoder);
    encoder.finish()
}

fn refresh_request(
    client: &Client,
    refresh_token: &Secret<String>,
    scope: Option<&str>,
    resource: Option<&str>,
) -> Result<Encoded, WebError> {
    let client = spoken(client).set_token_uri(TokenUrl::from_url(nowhere()?));
    let token = RefreshToken::new(refresh_token.expose().clone());
    let mut request = client.exchange_refresh_token(&token);
    if let Some(scope) = scope.filter(|scope| !scope.is_empty()) {
        request = request.add_scope(Scope::new(scope.to_owned()));
    }
    if let Some(resource) = resource {
        request = request.add_extra_param("resource", resource.to_owned());
    }
    let encoder = Encoder::default();
    let _ = request.request(&encoder);
    encoder.finish()
}

/// An error from before anything was sent.
pub(super) fn early(error: WebError) -> TokenError {
    TokenError::Unavailable(error.into())
}

/// Reads a token response, whatever its status and content type.
pub(super) fn granted(answer: Result<Answer, WebError>) -> Result<TokenSet, TokenError> {
    admitted(answer, |members| {
        // Slack keeps a person's token one level down.
        let nested = members.object("authed_user");
        match nested.filter(|_| members.secret("access_token").is_none()) {
            Some(nested) => token_set(&nested, None),
            None => token_set(members, members.text("token_type")),
        }
    })
}

/// Reads what a token endpoint answers, with `read` for what is no refusal.
pub(super) fn admitted<T>(
    answer: Result<Answer, WebError>,
    read: impl FnOnce(&Members<'_>) -> Result<T, TokenError>,
) -> Result<T, TokenError> {
    let answer = answer.map_err(|error| match error {
        WebError::Lost { .. } | WebError::TooLarge { .. } => TokenError::Lost(error),
        error => early(error),
    })?;
    let text = body(&answer);
    let members = Members::json_or_form(&text);
    // Some say 200 and refuse in the body.
    let none = members.secret("access_token").is_none();
    let refused = none && (members.text("error").is_some() || members.denies("ok"));
    if refused || !(200..300).contains(&answer.status) {
        let response = ErrorResponse::read(answer.status, &text, &members).of_client();
        return Err(if response.passes() {
            Unavailable::OutOfOrder(response).into()
        } else {
            TokenError::Refused(response)
        });
    }
    read(&members)
}

fn token_set(members: &Members<'_>, kind: Option<String>) -> Result<TokenSet, TokenError> {
    let refresh_token = members.secret("refresh_token");
    let malformed = |why, refresh_token| Err(TokenError::Malformed { why, refresh_token });
    let Some(access_token) = members.secret("access_token") else {
        return malformed("it holds no access token", refresh_token);
    };
    // RFC 6749 appendix A.12; anything else would break the header it goes into.
    if !access_token.expose().bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return malformed("its access token cannot stand in a header", refresh_token);
    }
    let token_type = match kind.as_deref() {
        None => "Bearer",
        Some(kind) if kind.eq_ignore_ascii_case("Bearer") => "Bearer",
        Some(kind) if kind.eq_ignore_ascii_case("DPoP") => "DPoP",
        Some(_) => return malformed("its tokens are of an unknown type", refresh_token),
    };
    Ok(TokenSet {
        access_token,
        token_type: token_type.to_owned(),
        type_was_told: kind.is_some(),
        refresh_token,
        id_token: members.secret("id_token"),
        scope: members.words("scope"),
        expires_in: members.lifetime("expires_in"),
    })
}

#[cfg(test)]
mod tests;
