//! A client at the endpoints of its authorization server where it says who it is (RFC 6749
//! section 2.3).

use super::client::Client;
use super::encoding::Encoded;
use super::web::{Answer, Web, WebError};

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

impl Asking<'_> {
    /// POSTs to a token endpoint, as it was published.
    pub(super) async fn for_tokens(
        self,
        web: &Web,
        endpoint: &str,
        form: &Encoded,
    ) -> Result<Answer, WebError> {
        self.ask(web, endpoint, form).await
    }

    /// POSTs to another endpoint, as it was published.
    pub(super) async fn ask(
        self,
        web: &Web,
        endpoint: &str,
        form: &Encoded,
    ) -> Result<Answer, WebError> {
        web.post(endpoint, FORM, form.headers.clone(), form.body(&[])).await
    }
}
