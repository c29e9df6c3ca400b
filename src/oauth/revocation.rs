//! Revocation of tokens (RFC 7009).

use super::asking::Asking;
use super::client::Client;
use super::encoding::{Encoded, Encoder, nowhere, spoken, unusable};
use super::error_response::{ErrorResponse, Unavailable};
use super::response::{Members, body};
use super::web::{Web, WebError};
use crate::secret::Secret;
use oauth2::{AccessToken, RefreshToken, RevocationUrl, StandardRevocableToken};

/// The `token_type_hint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    AccessToken,
    RefreshToken,
}

/// Why a token may still be good.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RevocationError {
    /// The server revokes no tokens of this kind (section 2.2.1).
    #[error("the authorization server does not revoke tokens of this kind")]
    UnsupportedTokenType,
    #[error("the authorization server refused to revoke the token: {0}")]
    Refused(ErrorResponse),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Revokes a token. One that the server does not know counts as revoked (section 2.2).
///
/// # Errors
/// [`RevocationError`].
pub async fn revoke(
    web: &Web,
    revocation_endpoint: &str,
    client: Asking<'_>,
    token: &Secret<String>,
    kind: TokenKind,
) -> Result<(), RevocationError> {
    let request = request(client.client, token, kind).map_err(Unavailable::from)?;
    let answer = client.ask(web, revocation_endpoint, &request).await;
    let answer = answer.map_err(Unavailable::from)?;
    let text = body(&answer);
    let members = Members::json(&text);
    let response = ErrorResponse::read(answer.status, &text, &members).of_client();
    match answer.status {
        200..300 if members.text("error").is_none() => Ok(()),
        _ if response.is(&["unsupported_token_type"]) => Err(RevocationError::UnsupportedTokenType),
        _ if response.passes() => Err(Unavailable::OutOfOrder(response).into()),
        _ => Err(RevocationError::Refused(response)),
    }
}

fn request(client: &Client, token: &Secret<String>, kind: TokenKind) -> Result<Encoded, WebError> {
    let token: StandardRevocableToken = match kind {
        TokenKind::AccessToken => AccessToken::new(token.expose().clone()).into(),
        TokenKind::RefreshToken => RefreshToken::new(token.expose().clone()).into(),
    };
    let client = spoken(client).set_revocation_url(RevocationUrl::from_url(nowhere()?));
    let request = client.revoke_token(token).map_err(|_| unusable("no request can be made"))?;
    let encoder = Encoder::default();
    let _ = request.request(&encoder);
    encoder.finish()
}

#[cfg(test)]
mod tests;
