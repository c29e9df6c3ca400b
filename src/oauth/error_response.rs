//! Error responses (RFC 6749 section 5.2), as different servers dress them.

use super::response::Members;
use super::web::WebError;
use std::fmt;

/// Longest text of an error that is kept, in characters.
const LONGEST: usize = 1000;
/// Codes that may be shown as they are (RFC 6749 5.2, 7009 2.2.1, 7591 3.2.2, 8628 3.5, 8707 2,
/// 9449 5 and 8).
const KNOWN: [&str; 20] = [
    "access_denied",
    "authorization_pending",
    "expired_token",
    "invalid_client",
    "invalid_client_metadata",
    "invalid_dpop_proof",
    "invalid_grant",
    "invalid_redirect_uri",
    "invalid_request",
    "invalid_scope",
    "invalid_software_statement",
    "invalid_target",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "unapproved_software_statement",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
    "use_dpop_nonce",
];

/// An error response (RFC 6749 section 5.2), or as much of one as there was. Shown by itself
/// it keeps the server's words back: they have to be cleaned first, and may repeat a token.
#[derive(Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    pub status: u16,
    /// The code. Not cleaned.
    pub error: Option<String>,
    /// What the server says for people. Not cleaned.
    pub description: Option<String>,
}

/// The server is not there at the moment; nothing changed by asking.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unavailable {
    #[error(transparent)]
    Web(#[from] WebError),
    /// 5xx, 408, 429, or the codes that say the same.
    #[error("the authorization server is out of order (HTTP {})", .0.status)]
    OutOfOrder(ErrorResponse),
}

impl Unavailable {
    /// Whether asking again later may help.
    pub fn passes(&self) -> bool {
        match self {
            Self::Web(error) => {
                matches!(error, WebError::Unreachable { .. } | WebError::Lost { .. })
            }
            Self::OutOfOrder(_) => true,
        }
    }
}

impl fmt::Display for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.as_deref().filter(|error| KNOWN.contains(error)) {
            Some(error) => write!(f, "{error} (HTTP {})", self.status),
            None => write!(f, "HTTP {}", self.status),
        }
    }
}

impl fmt::Debug for ErrorResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl ErrorResponse {
    /// Code and description in one line. Not cleaned.
    pub fn told(&self) -> String {
        match (&self.error, &self.description) {
            (Some(error), Some(description)) => format!("{error}: {description}"),
            (Some(told), None) | (None, Some(told)) => told.clone(),
            (None, None) => format!("HTTP {}", self.status),
        }
    }

    /// Whether the code is one of these.
    pub fn is(&self, codes: &[&str]) -> bool {
        self.error.as_deref().is_some_and(|error| codes.contains(&error))
    }

    /// Whether the server is out of order rather than of another opinion.
    pub(super) fn passes(&self) -> bool {
        matches!(self.status, 408 | 429 | 500..)
            || self.is(&["server_error", "temporarily_unavailable"])
    }

    /// The same from an endpoint where clients authenticate: RFC 6749 section 5.2 has the
    /// status 401 for one code alone.
    pub(super) fn of_client(mut self) -> Self {
        if self.error.is_none() && self.status == 401 {
            self.error = Some("invalid_client".to_owned());
        }
        self
    }

    pub(super) fn read(status: u16, text: &str, members: &Members<'_>) -> Self {
        let nested = members.object("error").unwrap_or_default();
        let plain = || {
            // Some refuse in a plain sentence; a page of HTML says nothing in one.
            let text = text.trim();
            let sentence = members.is_empty() && !text.is_empty() && !text.starts_with(['<', '{']);
            sentence.then(|| text.to_owned())
        };
        let error = members.text("error").or_else(|| nested.text("code"));
        let description = members
            .text("error_description")
            .or_else(|| members.text("message"))
            .or_else(|| members.text("detail"))
            .or_else(|| nested.text("message"))
            .or_else(plain);
        Self { status, error: error.map(bounded), description: description.map(bounded) }
    }
}

/// The text, cut.
fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
    }
    text
}
