//! Tolerant reading of what an authorization server answers: JSON with whatever spelling of
//! its values, or a form, whatever the content type says.

use super::web::Answer;
use crate::secret::Secret;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use url::form_urlencoded;
use zeroize::Zeroizing;

/// Longest lifetime that is believed, in seconds: ten years.
const LONGEST_LIFETIME: f64 = 315_360_000.0;

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
