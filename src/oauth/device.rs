//! The device authorization grant (RFC 8628): a code that the person enters elsewhere.

use super::asking::Asking;
use super::client::Client;
use super::encoding::{Encoded, Encoder, nowhere, spoken, unusable};
use super::error_response::{ErrorResponse, Unavailable};
use super::response::{Members, body};
use super::token::{TokenError, TokenSet, granted};
use super::web::{Web, WebError};
use crate::secret::Secret;
use oauth2::{DeviceAuthorizationUrl, Scope, StandardDeviceAuthorizationResponse, TokenUrl};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

/// Between two questions where the server does not say (section 3.2).
const INTERVAL: u64 = 5;
/// Added to the interval by `slow_down` (section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Longest pause between two questions that failed on the way.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Lifetime of a code where the server does not say, and the longest that is waited for.
const LIFETIME: (u64, u64) = (600, 1800);

/// A device authorization response (section 3.2).
#[derive(Debug, Clone)]
pub struct Device {
    pub device_code: Secret<String>,
    /// For the person to enter. Not cleaned.
    pub user_code: String,
    /// Where to enter it. Not cleaned, its scheme not checked.
    pub verification_uri: String,
    /// The same with the code in it. Not cleaned, its scheme not checked.
    pub verification_uri_complete: Option<String>,
    /// In seconds; at most half an hour.
    pub expires_in: u64,
    /// In seconds; at least one.
    pub interval: u64,
}

/// What one question came to.
#[derive(Debug)]
pub enum Polled {
    Granted(Box<TokenSet>),
    /// `authorization_pending`.
    Pending,
    /// `slow_down`: five seconds more between questions, from now on.
    SlowDown,
}

/// Why a device sign-in came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DeviceError {
    /// The person said no.
    #[error("the sign-in was denied")]
    Denied,
    #[error("the code expired before anybody entered it")]
    Expired,
    /// The server gives this client no device code.
    #[error("the authorization server gives no device code: {0}")]
    NoCode(ErrorResponse),
    #[error("the authorization server's device code is of no use: {why}")]
    Malformed { why: &'static str },
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error(transparent)]
    Token(TokenError),
}

/// Asks for a device code and a user code (section 3.1).
///
/// # Errors
/// `NoCode`, `Malformed` or `Unavailable`.
pub async fn start(
    web: &Web,
    device_authorization_endpoint: &str,
    client: Asking<'_>,
    scope: Option<&str>,
    resource: Option<&str>,
) -> Result<Device, DeviceError> {
    let request = start_request(client.client, scope, resource).map_err(Unavailable::from)?;
    let answer = client.ask(web, device_authorization_endpoint, &request).await;
    let answer = answer.map_err(Unavailable::from)?;
    let text = body(&answer);
    let members = Members::json_or_form(&text);
    let code = members.secret("device_code");
    if !(200..300).contains(&answer.status) || (code.is_none() && members.text("error").is_some()) {
        let response = ErrorResponse::read(answer.status, &text, &members).of_client();
        return Err(if response.passes() {
            Unavailable::OutOfOrder(response).into()
        } else {
            DeviceError::NoCode(response)
        });
    }
    let missing = |why| DeviceError::Malformed { why };
    // Google's first spelling of it had an l.
    let uri = |name: &str| members.text(name).or_else(|| members.text(&name.replace("uri", "url")));
    Ok(Device {
        device_code: code.ok_or(missing("it is missing"))?,
        user_code: members.text("user_code").ok_or(missing("the code to enter is missing"))?,
        verification_uri: uri("verification_uri").ok_or(missing("the page is missing"))?,
        verification_uri_complete: uri("verification_uri_complete"),
        expires_in: members.lifetime("expires_in").unwrap_or(LIFETIME.0).min(LIFETIME.1),
        interval: members.lifetime("interval").unwrap_or(INTERVAL),
    })
}

/// Asks once whether the person has entered the code (section 3.4).
///
/// # Errors
/// `Denied`, `Expired`, `Unavailable` (also for an answer that was lost: the next one will
/// tell) or `Token`.
pub async fn poll_once(
    web: &Web,
    token_endpoint: &str,
    client: Asking<'_>,
    device: &Device,
    resource: Option<&str>,
) -> Result<Polled, DeviceError> {
    let request = poll_request(client.client, device, resource).map_err(Unavailable::from)?;
    match granted(client.for_tokens(web, token_endpoint, &request).await) {
        Ok(tokens) => Ok(Polled::Granted(Box::new(tokens))),
        Err(TokenError::Refused(response)) => match response.error.as_deref() {
            Some("authorization_pending") => Ok(Polled::Pending),
            Some("slow_down") => Ok(Polled::SlowDown),
            Some("access_denied") => Err(DeviceError::Denied),
            Some("expired_token") => Err(DeviceError::Expired),
            _ => Err(DeviceError::Token(TokenError::Refused(response))),
        },
        Err(TokenError::Unavailable(error)) => Err(error.into()),
        Err(TokenError::Lost(error)) => Err(Unavailable::Web(error).into()),
        Err(error) => Err(DeviceError::Token(error)),
    }
}

/// Asks until there is an answer or the code has expired. Dropped, it stops.
///
/// # Errors
/// [`DeviceError`].
pub async fn poll(
    web: &Web,
    token_endpoint: &str,
    client: Asking<'_>,
    device: &Device,
    resource: Option<&str>,
) -> Result<TokenSet, DeviceError> {
    let end = Instant::now() + Duration::from_secs(device.expires_in);
    let mut pace = Pace::new(device.interval);
    loop {
        let pause = pace.pause();
        if Instant::now() + pause >= end {
            tokio::time::sleep_until(end).await;
            return Err(DeviceError::Expired);
        }
        sleep(pause).await;
        match poll_once(web, token_endpoint, client, device, resource).await {
            Ok(Polled::Granted(tokens)) => return Ok(*tokens),
            Ok(Polled::Pending) => pace.answered(),
            Ok(Polled::SlowDown) => pace.slow_down(),
            Err(DeviceError::Unavailable(error)) if error.passes() => pace.failed(),
            Err(error) => return Err(error),
        }
    }
}

/// How long to wait before the next question.
struct Pace {
    /// What the server asks for.
    interval: Duration,
    /// Failures in a row.
    failures: u32,
}

impl Pace {
    fn new(interval: u64) -> Self {
        Self { interval: Duration::from_secs(interval.max(1)), failures: 0 }
    }

    /// The interval, doubled for every failure in a row, to a bound that is never below it.
    fn pause(&self) -> Duration {
        let doubled = self.interval.saturating_mul(1 << self.failures.min(10));
        doubled.min(LONGEST_PAUSE.max(self.interval))
    }

    fn answered(&mut self) {
        self.failures = 0;
    }

    fn slow_down(&mut self) {
        self.answered();
        self.interval = self.interval.saturating_add(SLOWER);
    }

    fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }
}

fn start_request(
    client: &Client,
    scope: Option<&str>,
    resource: Option<&str>,
) -> Result<Encoded, WebError> {
    let endpoint = DeviceAuthorizationUrl::from_url(nowhere()?);
    let client = spoken(client).set_device_authorization_url(endpoint);
    let mut request = client.exchange_device_code();
    if let Some(scope) = scope.filter(|scope| !scope.is_empty()) {
        request = request.add_scope(Scope::new(scope.to_owned()));
    }
    if let Some(resource) = resource {
        request = request.add_extra_param("resource", resource);
    }
    let encoder = Encoder::default();
    let _: Result<StandardDeviceAuthorizationResponse, _> = request.request(&encoder);
    encoder.finish()
}

fn poll_request(
    client: &Client,
    device: &Device,
    resource: Option<&str>,
) -> Result<Encoded, WebError> {
    let unspeakable = |_| unusable("the device code cannot be sent");
    // `oauth2` takes the code only out of a response of its own; the rest of it is not sent.
    let code = serde_json::to_string(device.device_code.expose()).map_err(unspeakable)?;
    let response = Zeroizing::new(format!(
        r#"{{"device_code":{},"user_code":"-","verification_uri":"https://endpoint.invalid/","expires_in":60}}"#,
        *Zeroizing::new(code),
    ));
    let response: StandardDeviceAuthorizationResponse =
        serde_json::from_str(&response).map_err(unspeakable)?;
    let client = spoken(client).set_token_uri(TokenUrl::from_url(nowhere()?));
    let mut request = client.exchange_device_access_token(&response);
    if let Some(resource) = resource {
        request = request.add_extra_param("resource", resource.to_owned());
    }
    let encoder = Encoder::default();
    let _ = request.request(&encoder, |_| {}, None);
    encoder.finish()
}

#[cfg(test)]
mod tests;
