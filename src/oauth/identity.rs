//! Who signed in, to be shown: from an ID token, from the userinfo endpoint (OpenID Connect
//! Core section 5.3), or by introspection (RFC 7662). Decides nothing.

use super::asking::Asking;
use super::client::Client;
use super::encoding::{Encoded, Encoder, nowhere, spoken};
use super::response::{Members, body};
use super::web::{Web, WebError};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2::{AccessToken, IntrospectionUrl};
use zeroize::Zeroizing;

/// Longest name that is kept, in characters.
const LONGEST: usize = 200;

/// What is known of a person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// `sub`, as the issuer spells it.
    pub subject: Option<String>,
    /// What people know them by. Not cleaned.
    pub name: Option<String>,
    /// Of the token, where it was introspected.
    pub scope: Option<String>,
}

/// Where to ask besides the ID token, as published.
#[derive(Debug, Clone, Copy, Default)]
pub struct IdentityEndpoints<'a> {
    pub userinfo: Option<&'a str>,
    pub introspection: Option<&'a str>,
}

impl Claims {
    /// The name, else the subject. Not cleaned.
    pub fn shown(&self) -> Option<String> {
        let shown = self.name.as_ref().or(self.subject.as_ref())?;
        Some(shown.chars().take(LONGEST).collect())
    }

    fn read(members: &Members<'_>) -> Self {
        let names = ["email", "preferred_username", "username", "name"];
        Self {
            subject: members.text("sub"),
            name: names.iter().find_map(|name| members.text(name)),
            scope: None,
        }
    }
}

/// Who signed in, from the first source that knows a name, else a subject. Not cleaned, at
/// most 200 characters. Asks only what it must; a server that does not answer is no error.
pub async fn identify(
    web: &Web,
    endpoints: IdentityEndpoints<'_>,
    client: Asking<'_>,
    access_token: &Secret<String>,
    id_token: Option<&Secret<String>>,
) -> Option<String> {
    let own = id_token.and_then(id_token_claims).unwrap_or_default();
    if own.name.is_some() {
        return own.shown();
    }
    if let Some(endpoint) = endpoints.userinfo {
        let claims = userinfo(web, endpoint, client, access_token, own.subject.as_deref()).await;
        if let Some(shown) = claims.and_then(|claims| claims.shown()) {
            return Some(shown);
        }
    }
    if let (None, Some(endpoint)) = (&own.subject, endpoints.introspection) {
        let claims = introspect(web, endpoint, client, access_token).await;
        return claims.and_then(|claims| claims.shown());
    }
    own.shown()
}

/// The claims of an ID token. Its signature is not checked: it came from the token endpoint
/// over TLS, which vouches for the issuer (OpenID Connect Core section 3.1.3.7, item 6).
pub fn id_token_claims(id_token: &Secret<String>) -> Option<Claims> {
    let mut parts = id_token.expose().split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    let json = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?);
    let members = Members::json(std::str::from_utf8(&json).ok()?);
    (!members.is_empty()).then(|| Claims::read(&members))
}

/// Asks the userinfo endpoint. None if it does not answer, or is about somebody else than
/// `subject`, the `sub` of the ID token (section 5.3.2).
pub async fn userinfo(
    web: &Web,
    userinfo_endpoint: &str,
    client: Asking<'_>,
    access_token: &Secret<String>,
    subject: Option<&str>,
) -> Option<Claims> {
    let answer = client.get(web, userinfo_endpoint, access_token).await.ok()?;
    let text = body(&answer);
    let members = Members::json(&text);
    if answer.status != 200 || members.is_empty() {
        return None;
    }
    let claims = Claims::read(&members);
    let same = subject.is_none_or(|subject| claims.subject.as_deref() == Some(subject));
    same.then_some(claims)
}

/// Introspects the access token as `client`. None if the server does not answer, or says that
/// the token is not active.
pub async fn introspect(
    web: &Web,
    introspection_endpoint: &str,
    client: Asking<'_>,
    access_token: &Secret<String>,
) -> Option<Claims> {
    let request = introspection_request(client.client, access_token).ok()?;
    let answer = client.ask(web, introspection_endpoint, &request).await.ok()?;
    let text = body(&answer);
    let members = Members::json(&text);
    if answer.status != 200 || members.is_empty() || members.denies("active") {
        return None;
    }
    Some(Claims { scope: members.words("scope"), ..Claims::read(&members) })
}

fn introspection_request(client: &Client, token: &Secret<String>) -> Result<Encoded, WebError> {
    let token = AccessToken::new(token.expose().clone());
    let client = spoken(client).set_introspection_url(IntrospectionUrl::from_url(nowhere()?));
    let request = client.introspect(&token).set_token_type_hint("access_token");
    let encoder = Encoder::default();
    let _ = request.request(&encoder);
    encoder.finish()
}

#[cfg(test)]
mod tests;
