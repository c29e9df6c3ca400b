//! Dynamic client registration (RFC 7591), and its end (RFC 7592 section 2.3).

use super::asking::carried;
use super::client::{AuthMethod, Client, ClientOrigin};
use super::error_response::{ErrorResponse, Unavailable};
use super::response::{Members, body};
use super::web::{Answer, Web, WebError};
use crate::secret::Secret;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Map, Value, json};
use url::Url;

/// What people see on the consent page.
const CLIENT_NAME: &str = "keyferry";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What to register.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// The redirect URI to register, then those to try instead if it is refused.
    pub redirect_uris: &'a [String],
    /// The authorization server offers the device grant.
    pub device: bool,
    /// `token_endpoint_auth_methods_supported`.
    pub auth_methods_supported: Option<&'a [String]>,
    /// From `--static-oauth-client-metadata`: wins over what is asked for here.
    pub metadata: Option<&'a Map<String, Value>>,
}

/// Why there is no client.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistrationError {
    #[error("the authorization server does not register clients by itself")]
    NotOffered,
    #[error("the authorization server refused to register keyferry: {0}")]
    Refused(ErrorResponse),
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("the authorization server registered a client that is of no use: {why}")]
    Invalid { why: &'static str },
}

/// Registers a client, with the first redirect URI that is accepted. A server that takes no
/// native application's URI is asked once more as if this were a web application.
///
/// # Errors
/// [`RegistrationError`]: of several refusals, the first.
pub async fn register(
    web: &Web,
    registration_endpoint: Option<&str>,
    registration: Registration<'_>,
) -> Result<Client, RegistrationError> {
    let endpoint = registration_endpoint.ok_or(RegistrationError::NotOffered)?;
    let pinned = |metadata: &Map<String, Value>| metadata.contains_key("application_type");
    let as_web = !registration.metadata.is_some_and(pinned);
    let first = registration.redirect_uris.first().filter(|_| as_web);
    let natives = registration.redirect_uris.iter().map(|uri| (uri, "native"));
    let mut refused = None;
    for (redirect_uri, kind) in natives.chain(first.map(|uri| (uri, "web"))) {
        match attempt(web, endpoint, registration, redirect_uri, kind).await {
            Err(RegistrationError::Refused(response)) => {
                let another = response.is(&["invalid_redirect_uri", "invalid_client_metadata"]);
                let first = refused.get_or_insert(response);
                if !another {
                    return Err(RegistrationError::Refused(first.clone()));
                }
            }
            done => return done,
        }
    }
    Err(match refused {
        Some(response) => RegistrationError::Refused(response),
        None => RegistrationError::Invalid { why: "it would have no redirect URI" },
    })
}

/// Has a client forgotten by the server that registered it. False if it cannot or will not.
///
/// # Errors
/// [`WebError`] if the server did not answer.
pub async fn unregister(web: &Web, client: &Client) -> Result<bool, WebError> {
    let (Some(uri), Some(token)) =
        (&client.registration_client_uri, &client.registration_access_token)
    else {
        return Ok(false);
    };
    let Ok(header) = carried("Bearer", token) else { return Ok(false) };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, header)]);
    let answer = web.request(Method::DELETE, uri, headers, None).await?;
    Ok((200..300).contains(&answer.status))
}

async fn attempt(
    web: &Web,
    endpoint: &str,
    registration: Registration<'_>,
    redirect_uri: &str,
    application_type: &str,
) -> Result<Client, RegistrationError> {
    let request = request(registration, redirect_uri, application_type);
    let asked = request.get("token_endpoint_auth_method").and_then(Value::as_str);
    let asked = asked.and_then(AuthMethod::from_name);
    let json = Secret::new(Value::Object(request).to_string().into_bytes());
    let answer = web
        .post(endpoint, "application/json", HeaderMap::new(), json)
        .await
        .map_err(Unavailable::from)?;
    client(&answer, registration, asked, redirect_uri)
}

/// The client metadata (RFC 7591 section 2). No scope: a client that was registered with the
/// first challenge's could not ask for more later.
fn request(
    registration: Registration<'_>,
    redirect_uri: &str,
    application_type: &str,
) -> Map<String, Value> {
    let mut grants = vec!["authorization_code", "refresh_token"];
    if registration.device {
        grants.push(DEVICE_GRANT);
    }
    let own = json!({
        "client_name": CLIENT_NAME,
        "application_type": application_type,
        "redirect_uris": [redirect_uri],
        "grant_types": grants,
        "response_types": ["code"],
        "token_endpoint_auth_method": method(registration.auth_methods_supported).name(),
    });
    let Value::Object(mut request) = own else { return Map::new() };
    request.extend(registration.metadata.cloned().unwrap_or_default());
    // Whatever else is pinned, the redirect comes here.
    if let Some(Value::Array(uris)) = request.get_mut("redirect_uris")
        && !uris.iter().any(|uri| uri == redirect_uri)
    {
        uris.insert(0, redirect_uri.into());
    }
    request
}

/// A public client where that is possible: a secret in everybody's hands is none.
fn method(supported: Option<&[String]>) -> AuthMethod {
    let listed = |method: &AuthMethod| {
        supported.is_none_or(|supported| supported.iter().any(|name| name == method.name()))
    };
    [AuthMethod::None, AuthMethod::ClientSecretPost, AuthMethod::ClientSecretBasic]
        .into_iter()
        .find(listed)
        .unwrap_or(AuthMethod::None)
}

/// Reads the client information response (section 3.2.1).
fn client(
    answer: &Answer,
    registration: Registration<'_>,
    asked: Option<AuthMethod>,
    redirect_uri: &str,
) -> Result<Client, RegistrationError> {
    let text = body(answer);
    let members = Members::json(&text);
    let id = members.text("client_id");
    let refused = id.is_none() && members.text("error").is_some();
    if refused || !(200..300).contains(&answer.status) {
        let response = ErrorResponse::read(answer.status, &text, &members);
        return Err(if response.passes() {
            Unavailable::OutOfOrder(response).into()
        } else {
            RegistrationError::Refused(response)
        });
    }
    let id = id.ok_or(RegistrationError::Invalid { why: "it has no client_id" })?;
    let secret = members.secret("client_secret");
    let told = members.text("token_endpoint_auth_method");
    let told = told.as_deref().and_then(AuthMethod::from_name);
    let method = match secret {
        None => AuthMethod::None,
        // A server that gives a secret unasked wants to see it.
        Some(_) => told
            .filter(|told| told.uses_secret() || *told == AuthMethod::None)
            .or(asked.filter(|asked| *asked != AuthMethod::None))
            .unwrap_or_else(|| AuthMethod::choose(true, registration.auth_methods_supported)),
    };
    Ok(Client {
        secret_expires_at: members
            .number("client_secret_expires_at")
            .filter(|end| *end > 0 && secret.is_some()),
        secret,
        method,
        redirect_uri: Some(redirect_uri.to_owned()),
        port: Url::parse(redirect_uri).ok().and_then(|uri| uri.port()),
        registration_access_token: members.secret("registration_access_token"),
        registration_client_uri: members.text("registration_client_uri"),
        ..Client::public(id, ClientOrigin::Dynamic)
    })
}

#[cfg(test)]
mod tests;
