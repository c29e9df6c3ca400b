//! Request ids: compared by meaning, kept as written.

use super::object;
use bytes::Bytes;

/// An id's meaning, to look it up by: a string unescaped, a number as spelled. A copy: it may
/// be kept for long, and must not keep the whole text that the id was a part of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdKey(Box<[u8]>);

impl IdKey {
    /// The key of a raw id.
    pub fn of(raw: &Bytes) -> Self {
        if raw.contains(&b'\\')
            && let Some(text) = object::string(raw)
        {
            return Self(format!("\"{text}\"").into_bytes().into());
        }
        Self(raw[..].into())
    }
}

/// True for a string or a number, which is all that a request's id may be.
pub(super) fn is_valid(raw: &[u8]) -> bool {
    matches!(raw.first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

/// True if two raw ids mean the same. Numbers are the same if they are spelled alike or
/// round to the same double: a peer that reads numbers as doubles can send no other.
pub fn same_id(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    match (object::string(one), object::string(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => match (number(one), number(other)) {
            (Some(one), Some(other)) => one == other,
            _ => false,
        },
        _ => false,
    }
}

fn number(raw: &[u8]) -> Option<f64> {
    if !is_valid(raw) {
        return None;
    }
    std::str::from_utf8(raw).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_when_they_mean_the_same() {
        for (one, other) in [
            ("1", "1"),
            ("1", "1.0"),
            ("\"a\"", "\"\\u0061\""),
            ("12345678901234567890123", "1.2345678901234568e22"),
        ] {
            assert!(same_id(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
        for (one, other) in [("1", "\"1\""), ("1", "2"), ("null", "null "), ("1", "null")] {
            assert!(!same_id(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
    }
}
