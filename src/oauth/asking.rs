//! A client at the endpoints of its authorization server where it says who it is (RFC 6749
//! section 2.3), with what it signs there.

use super::client::{AuthMethod, Client};
use super::client_assertion::ASSERTION_TYPE;
use super::dpop::{DPOP, ProofKey};
use super::encoding::{Encoded, unusable};
use super::error_response::ErrorResponse;
use super::response::{Members, body};
use super::web::{Answer, Web, WebError};
use crate::jws::JwsError;
use crate::secret::Secret;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;
use zeroize::Zeroizing;

const FORM: &str = "application/x-www-form-urlencoded";

/// A client that asks: with what it needs to sign what it says.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    pub(super) client: &'a Client,
    /// What the server calls itself; empty where nobody told.
    issuer: &'a str,
    /// In seconds since 1970.
    now: fn() -> u64,
}

impl Client {
    /// The client as it asks the authorization server `issuer`, which is empty if it is not
    /// known; `now` gives seconds since 1970.
    pub fn at<'a>(&'a self, issuer: &'a str, now: fn() -> u64) -> Asking<'a> {
        Asking { client: self, issuer, now }
    }
}

/// What was signed anew already: each is done once.
#[derive(Default)]
struct Renewed {
    nonce: bool,
    clock: bool,
}

impl<'a> Asking<'a> {
    /// POSTs to a token endpoint, as it was published, with a proof if the client has a key
    /// for that.
    pub(super) async fn for_tokens(
        self,
        web: &Web,
        endpoint: &str,
        form: &Encoded,
    ) -> Result<Answer, WebError> {
        self.until_signed_well(web, endpoint, form, self.client.proof_key.as_ref()).await
    }

    /// POSTs to another endpoint, as it was published.
    pub(super) async fn ask(
        self,
        web: &Web,
        endpoint: &str,
        form: &Encoded,
    ) -> Result<Answer, WebError> {
        self.until_signed_well(web, endpoint, form, None).await
    }

    /// GETs with an access token: one that is bound goes with a proof.
    pub(super) async fn get(
        self,
        web: &Web,
        endpoint: &str,
        token: &Secret<String>,
    ) -> Result<Answer, WebError> {
        let Some(key) = &self.client.proof_key else {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, carried("Bearer", token)?)]);
            return web.request(Method::GET, endpoint, headers, None).await;
        };
        let url = parsed(endpoint)?;
        let mut again = true;
        loop {
            let proof = key.proof(&Method::GET, &url, Some(token), (self.now)());
            let proof = proof.map_err(unsigned)?;
            let headers =
                HeaderMap::from_iter([(AUTHORIZATION, carried("DPoP", token)?), (DPOP, proof)]);
            let answer = web.request(Method::GET, endpoint, headers, None).await?;
            let told = key.learn(&url, &answer.headers);
            again &= told && answer.status == 401;
            if !again {
                return Ok(answer);
            }
            again = false;
        }
    }

    /// What is refused for a nonce that it lacks, or for the time on it, is signed anew and
    /// sent once more: it was not acted on.
    async fn until_signed_well(
        self,
        web: &Web,
        endpoint: &str,
        form: &Encoded,
        proof_key: Option<&ProofKey>,
    ) -> Result<Answer, WebError> {
        let url = parsed(endpoint)?;
        let mut renewed = Renewed::default();
        loop {
            let (headers, body) = self.signed(&url, endpoint, form, proof_key)?;
            let answer = self.post(web, endpoint, headers, body).await?;
            let told = proof_key.is_some_and(|key| key.learn(&url, &answer.headers));
            if (200..300).contains(&answer.status) {
                return Ok(answer);
            }
            let refusal = refusal(&answer);
            let again = if refusal.is(&["use_dpop_nonce"]) {
                told && !std::mem::replace(&mut renewed.nonce, true)
            } else {
                self.clock_was_off(&url, &answer, &refusal, proof_key)
                    && !std::mem::replace(&mut renewed.clock, true)
            };
            if !again {
                return Ok(answer);
            }
        }
    }

    /// A client that authenticates by its certificate shows it, to whatever host (RFC 8705
    /// section 2).
    async fn post(
        &self,
        web: &Web,
        endpoint: &str,
        mut headers: HeaderMap,
        body: Secret<Vec<u8>>,
    ) -> Result<Answer, WebError> {
        if self.client.method != AuthMethod::TlsClientAuth {
            return web.post(endpoint, FORM, headers, body).await;
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM));
        web.request_with_certificate(Method::POST, endpoint, headers, Some(body)).await
    }

    /// Headers and body, signed now.
    fn signed(
        &self,
        url: &Url,
        endpoint: &str,
        form: &Encoded,
        proof_key: Option<&ProofKey>,
    ) -> Result<(HeaderMap, Secret<Vec<u8>>), WebError> {
        let now = (self.now)();
        let mut headers = form.headers.clone();
        if let Some(key) = proof_key {
            headers.insert(DPOP, key.proof(&Method::POST, url, None, now).map_err(unsigned)?);
        }
        if self.client.method != AuthMethod::PrivateKeyJwt {
            return Ok((headers, form.body(&[])));
        }
        let key = self.client.assertion_key.as_ref();
        let key = key.ok_or_else(|| unusable("the client's private key is not at hand"))?;
        let audience = if self.issuer.is_empty() { endpoint } else { self.issuer };
        let assertion = key.assertion(&self.client.id, audience, key.clocks.at(url, now));
        let assertion = assertion.map_err(unsigned)?;
        let body = form.body(&[
            ("client_assertion_type", ASSERTION_TYPE),
            ("client_assertion", assertion.expose()),
        ]);
        Ok((headers, body))
    }

    /// Whether what was signed may have been refused for the time on it, and the server's
    /// clock was learned.
    fn clock_was_off(
        &self,
        url: &Url,
        answer: &Answer,
        refusal: &ErrorResponse,
        proof_key: Option<&ProofKey>,
    ) -> bool {
        let now = (self.now)();
        let key = self.client.assertion_key.as_ref();
        let key = key.filter(|_| self.client.method == AuthMethod::PrivateKeyJwt);
        let assertion = key.filter(|_| refusal.is(&["invalid_client", "invalid_grant"]));
        let proof = proof_key.filter(|_| refusal.is(&["invalid_dpop_proof"]));
        assertion.is_some_and(|key| key.clocks.learn(url, &answer.headers, now))
            || proof.is_some_and(|key| key.learn_clock(url, &answer.headers, now))
    }
}

fn refusal(answer: &Answer) -> ErrorResponse {
    let text = body(answer);
    ErrorResponse::read(answer.status, &text, &Members::json_or_form(&text)).of_client()
}

/// The header that carries an access token.
pub(super) fn carried(scheme: &str, token: &Secret<String>) -> Result<HeaderValue, WebError> {
    let header = Zeroizing::new(format!("{scheme} {}", token.expose()));
    let mut header = HeaderValue::from_str(&header)
        .map_err(|_| unusable("the token cannot stand in a header"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn parsed(endpoint: &str) -> Result<Url, WebError> {
    Url::parse(endpoint).map_err(|_| unusable("its URL is none"))
}

fn unsigned(error: JwsError) -> WebError {
    unusable(&error.to_string())
}

#[cfg(test)]
mod tests;
