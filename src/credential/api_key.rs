//! A static key in one header.

use super::header::is_reserved;
use crate::secret::Secret;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// How a key is put into a header; nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The header's name, in lower case.
    pub header: String,
    /// The word before the key, `Bearer` say; none for the bare key.
    pub scheme: Option<String>,
}

/// A key cannot be sent, in words without the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is empty")]
    Empty,
    #[error("the key holds a character that no HTTP header may hold")]
    Unsendable,
    #[error("'{0}' is no name of a header that may carry a key")]
    HeaderName(String),
    #[error("'{0}' is no authentication scheme")]
    Scheme(String),
}

impl Placement {
    /// `--key-header` and `--key-scheme` with their defaults: `Authorization: Bearer KEY`,
    /// with another header the bare key.
    ///
    /// # Errors
    /// [`KeyError`] for names that HTTP does not allow (RFC 9110 sections 5.1 and 11.1).
    pub fn new(header: Option<&str>, scheme: Option<&str>) -> Result<Self, KeyError> {
        let header = header.unwrap_or("Authorization");
        let name = HeaderName::from_bytes(header.as_bytes())
            .map_err(|_| KeyError::HeaderName(header.to_owned()))?;
        if is_reserved(&name) {
            return Err(KeyError::HeaderName(header.to_owned()));
        }
        let scheme = match scheme {
            None if name == reqwest::header::AUTHORIZATION => Some("Bearer"),
            None => None,
            Some(scheme) if scheme.eq_ignore_ascii_case("none") => None,
            Some(scheme) => Some(scheme),
        };
        if let Some(scheme) = scheme
            && HeaderName::from_bytes(scheme.as_bytes()).is_err()
        {
            return Err(KeyError::Scheme(scheme.to_owned()));
        }
        Ok(Self { header: name.as_str().to_owned(), scheme: scheme.map(str::to_owned) })
    }

    /// The header that carries `key`, marked sensitive.
    ///
    /// # Errors
    /// [`KeyError`] if the key is empty or cannot stand in a header.
    pub fn header(&self, key: &Secret<String>) -> Result<(HeaderName, HeaderValue), KeyError> {
        let key = key.expose();
        if key.trim().is_empty() {
            return Err(KeyError::Empty);
        }
        let text = match &self.scheme {
            Some(scheme) => Zeroizing::new(format!("{scheme} {key}")),
            None => Zeroizing::new(key.clone()),
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| KeyError::Unsendable)?;
        value.set_sensitive(true);
        let name = HeaderName::from_bytes(self.header.as_bytes())
            .map_err(|_| KeyError::HeaderName(self.header.clone()))?;
        Ok((name, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: Option<&str>, scheme: Option<&str>, key: &str) -> Result<String, KeyError> {
        let placement = Placement::new(name, scheme)?;
        let (name, value) = placement.header(&Secret::new(key.to_owned()))?;
        assert_eq!(format!("{value:?}"), "Sensitive");
        Ok(format!("{name}: {}", value.to_str().unwrap()))
    }

    #[test]
    fn the_key_stands_where_the_flags_say() {
        assert_eq!(header(None, None, "k").unwrap(), "authorization: Bearer k");
        assert_eq!(header(None, Some("Token"), "k").unwrap(), "authorization: Token k");
        assert_eq!(header(None, Some("none"), "k").unwrap(), "authorization: k");
        assert_eq!(header(Some("X-API-Key"), None, "k").unwrap(), "x-api-key: k");
        assert_eq!(header(Some("X-API-Key"), Some("Key"), "k").unwrap(), "x-api-key: Key k");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_showing_it() {
        assert_eq!(header(None, None, " "), Err(KeyError::Empty));
        assert_eq!(header(None, None, "a\nb"), Err(KeyError::Unsendable));
        assert!(matches!(header(Some("X Key"), None, "k"), Err(KeyError::HeaderName(_))));
    }
}
