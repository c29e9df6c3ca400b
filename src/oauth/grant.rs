//! Grants that need no person: client credentials (RFC 6749 section 4.4), an assertion as the
//! grant (RFC 7523 section 2.1), and the exchange of one token for another (RFC 8693), which
//! gives the ID-JAG of enterprise-managed authorization.

use super::asking::Asking;
use super::encoding::Encoded;
use super::token::{TokenError, TokenSet, admitted, early, granted};
use super::web::Web;
use crate::secret::Secret;

/// An OpenID Connect ID token (RFC 8693 section 3).
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";
/// An identity assertion authorization grant
/// (draft-ietf-oauth-identity-assertion-authz-grant, section 4).
pub const ID_JAG: &str = "urn:ietf:params:oauth:token-type:id-jag";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A token exchange request (RFC 8693 section 2.1).
#[derive(Debug, Clone, Copy)]
pub struct Exchange<'a> {
    pub subject_token: &'a Secret<String>,
    /// [`ID_TOKEN`], or another type of section 3.
    pub subject_token_type: &'a str,
    /// [`ID_JAG`], or another type of section 3.
    pub requested_token_type: &'a str,
    /// For an ID-JAG: the issuer of the resource's authorization server.
    pub audience: &'a str,
    pub resource: Option<&'a str>,
    pub scope: Option<&'a str>,
}

/// A token for the client itself. `token_endpoint` and `resource` go out as they were
/// published.
///
/// # Errors
/// [`TokenError`]; nothing is spent by any of them.
pub async fn client_credentials(
    web: &Web,
    token_endpoint: &str,
    client: Asking<'_>,
    scope: Option<&str>,
    resource: Option<&str>,
) -> Result<TokenSet, TokenError> {
    let parameters =
        [("scope", scope.unwrap_or_default()), ("resource", resource.unwrap_or_default())];
    let request = Encoded::grant(client.client, CLIENT_CREDENTIALS, &parameters).map_err(early)?;
    granted(client.for_tokens(web, token_endpoint, &request).await)
}

/// A token for whom `assertion` speaks of.
///
/// # Errors
/// [`TokenError`]; after `Lost` a server that takes an assertion once will not take it again.
pub async fn jwt_bearer(
    web: &Web,
    token_endpoint: &str,
    client: Asking<'_>,
    assertion: &Secret<String>,
    scope: Option<&str>,
    resource: Option<&str>,
) -> Result<TokenSet, TokenError> {
    let parameters = [
        ("assertion", assertion.expose().as_str()),
        ("scope", scope.unwrap_or_default()),
        ("resource", resource.unwrap_or_default()),
    ];
    let request = Encoded::grant(client.client, JWT_BEARER, &parameters).map_err(early)?;
    granted(client.for_tokens(web, token_endpoint, &request).await)
}

/// One token for another. What comes back is of the type that was asked for and no access
/// token for anybody here: RFC 8693 section 2.2.1 only keeps it in that member.
///
/// # Errors
/// [`TokenError`]; nothing is spent by any of them.
pub async fn token_exchange(
    web: &Web,
    token_endpoint: &str,
    client: Asking<'_>,
    exchange: Exchange<'_>,
) -> Result<Secret<String>, TokenError> {
    let parameters = [
        ("requested_token_type", exchange.requested_token_type),
        ("audience", exchange.audience),
        ("resource", exchange.resource.unwrap_or_default()),
        ("scope", exchange.scope.unwrap_or_default()),
        ("subject_token", exchange.subject_token.expose().as_str()),
        ("subject_token_type", exchange.subject_token_type),
    ];
    let request = Encoded::grant(client.client, TOKEN_EXCHANGE, &parameters).map_err(early)?;
    let answer = client.for_tokens(web, token_endpoint, &request).await;
    admitted(answer, |members| {
        let malformed = |why| TokenError::Malformed { why, refresh_token: None };
        let token = members.secret("access_token").ok_or(malformed("it holds no token"))?;
        // An access token of this server would otherwise go to another one as an assertion.
        if members.text("issued_token_type").as_deref() != Some(exchange.requested_token_type) {
            return Err(malformed("its token is not of the type that was asked for"));
        }
        Ok(token)
    })
}

#[cfg(test)]
mod tests;
