//! Tolerant reading of what an authorization server answers: JSON with whatever spelling of
//! its values, or a form, whatever the content type says.

use super::web::{Answer, WebError};
use crate::secret::Secret;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// Longest text of an error that is kept, in characters.
const LONGEST: usize = 1000;
/// Longest lifetime that is believed, in seconds: ten years.
const LONGEST_LIFETIME: f64 = 315_360_000.0;
/// Codes that may be shown as they are (RFC 6749 5.2, 7009 2.2.1, 7591 3.2.2, 8628 3.5, 8707 2).
const KNOWN: [&str; 18] = [
    "access_denied",
    "authorization_pending",
    "expired_token",
    "invalid_client",
    "invalid_client_metadata",
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
];

/// An error response (RFC 6749 section 5.2), or as much of one as there was.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Without the server's own words, which have to be cleaned first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error.as_deref().filter(|error| KNOWN.contains(error)) {
            Some(error) => write!(f, "{error} (HTTP {})", self.status),
            None => write!(f, "HTTP {}", self.status),
        }
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
        // RFC 6749 5.2 knows this status for this code alone.
        let error = error.or_else(|| (status == 401).then(|| "invalid_client".to_owned()));
        Self { status, error: error.map(bounded), description: description.map(bounded) }
    }
}

/// The text, cut.
pub(super) fn bounded(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
    }
    text
}

/// The body as text, without a byte order mark; whatever charset it claims, it is read as UTF-8.
pub(super) fn body(answer: &Answer) -> Zeroizing<String> {
    let bytes = answer.body.expose();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    Zeroizing::new(String::from_utf8_lossy(bytes).into_owned())
}

/// The members of a response. Of a document that breaks off, those before the break: a
/// refresh token among them is not lost.
#[derive(Default)]
pub(super) struct Members<'a>(Vec<(String, Member<'a>)>);

enum Member<'a> {
    Json(&'a RawValue),
    Form(Zeroizing<String>),
}

impl<'a> Members<'a> {
    pub(super) fn json(text: &'a str) -> Self {
        let mut pairs = Vec::new();
        let mut json = serde_json::Deserializer::from_str(text);
        // What could be read is in `pairs`, whatever became of the rest.
        let _ = Pairs(&mut pairs).deserialize(&mut json);
        Self(pairs.into_iter().map(|(name, value)| (name, Member::Json(value))).collect())
    }

    /// JSON, else a form, as GitHub sends it.
    pub(super) fn json_or_form(text: &'a str) -> Self {
        let members = Self::json(text);
        let form = text.contains('=') && !text.trim_start().starts_with(['<', '{', '[']);
        if !form || !members.is_empty() {
            return members;
        }
        let pairs = form_urlencoded::parse(text.trim().as_bytes());
        Self(
            pairs
                .map(|(name, value)| {
                    (name.into_owned(), Member::Form(Zeroizing::new(value.into_owned())))
                })
                .collect(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A string that is not empty, or a number as it is spelled. Of several, the first that
    /// says something.
    pub(super) fn secret(&self, name: &str) -> Option<Secret<String>> {
        self.named(name).find_map(Member::string).map(Secret::new)
    }

    /// The same for what is no secret.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.named(name).find_map(Member::string)
    }

    /// Text, or a list of texts joined by spaces.
    pub(super) fn words(&self, name: &str) -> Option<String> {
        let listed = |member: &Member<'_>| match member {
            Member::Json(raw) => serde_json::from_str::<Vec<String>>(raw.get()).ok(),
            Member::Form(_) => None,
        };
        let list = || self.named(name).find_map(listed).filter(|words| !words.is_empty());
        self.text(name).or_else(|| list().map(|words| words.join(" ")))
    }

    /// A lifetime in seconds, at least one and at most ten years, from a number or a string,
    /// with or without a fraction. None if it is absent, is none, or is not above zero: a
    /// token that is good for nothing would not have been sent.
    pub(super) fn lifetime(&self, name: &str) -> Option<u64> {
        let seconds: f64 = self.text(name)?.trim().parse().ok()?;
        (seconds > 0.0).then(|| seconds.clamp(1.0, LONGEST_LIFETIME) as u64)
    }

    /// A point in time in seconds since 1970, or a count: zero is a value here.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let number: f64 = self.text(name)?.trim().parse().ok()?;
        (number >= 0.0).then_some(number as u64)
    }

    /// Whether it says false, in whatever type.
    pub(super) fn denies(&self, name: &str) -> bool {
        self.named(name).any(|member| match member {
            Member::Json(raw) => matches!(raw.get(), "false" | "\"false\""),
            Member::Form(text) => text.as_str() == "false",
        })
    }

    pub(super) fn object(&self, name: &str) -> Option<Members<'a>> {
        self.named(name).find_map(|member| match member {
            Member::Json(raw) if raw.get().starts_with('{') => Some(Members::json(raw.get())),
            _ => None,
        })
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Member<'a>> {
        self.0.iter().filter(move |(one, _)| one == name).map(|(_, member)| member)
    }
}

impl Member<'_> {
    fn string(&self) -> Option<String> {
        let text = match self {
            Self::Json(raw) if raw.get().starts_with('"') => {
                serde_json::from_str(raw.get()).ok()?
            }
            Self::Json(raw) => {
                let number = raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit());
                number.then(|| raw.get().to_owned())?
            }
            Self::Form(text) => String::clone(text),
        };
        (!text.is_empty()).then_some(text)
    }
}

/// Collects the members of a JSON object as they are read.
struct Pairs<'p, 'a>(&'p mut Vec<(String, &'a RawValue)>);

impl<'de> DeserializeSeed<'de> for Pairs<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pairs<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some((name, value)) = map.next_entry()? {
            self.0.push((name, value));
        }
        Ok(())
    }
}
