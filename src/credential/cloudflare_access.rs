//! Service tokens of Cloudflare Access.

use super::Minted;
use super::details::details;
use super::header::sensitive;
use crate::secret::{Secret, sealed};
use reqwest::header::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const CLIENT_ID: HeaderName = HeaderName::from_static("cf-access-client-id");
const CLIENT_SECRET: HeaderName = HeaderName::from_static("cf-access-client-secret");

/// A service token; both halves go out with every request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudflareAccess {
    pub client_id: String,
    #[serde(with = "sealed")]
    pub client_secret: Secret<String>,
}

/// A half of the token cannot be sent, in words without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    #[error("the {0} of the service token is empty")]
    Empty(&'static str),
    #[error("the {0} of the service token holds a character that no HTTP header may hold")]
    Unsendable(&'static str),
}

impl CloudflareAccess {
    /// What `list` shows.
    pub fn details(&self) -> BTreeMap<String, Value> {
        details([("client_id", json!(self.client_id))])
    }

    /// Both headers. They have no bare token and no end.
    ///
    /// # Errors
    /// [`AccessError`] naming the half that cannot stand in a header.
    pub fn mint(&self) -> Result<Minted, AccessError> {
        let halves = [
            (CLIENT_ID, &self.client_id, "client id"),
            (CLIENT_SECRET, self.client_secret.expose(), "client secret"),
        ];
        let headers = halves.into_iter().map(|(name, value, half)| {
            if value.trim().is_empty() {
                return Err(AccessError::Empty(half));
            }
            Ok((name, sensitive(value).map_err(|_| AccessError::Unsendable(half))?))
        });
        Ok(Minted { headers: headers.collect::<Result<_, _>>()?, key: None, expires_at: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(client_id: &str, client_secret: &str) -> CloudflareAccess {
        CloudflareAccess {
            client_id: client_id.to_owned(),
            client_secret: Secret::new(client_secret.to_owned()),
        }
    }

    #[test]
    fn both_halves_are_sent_and_only_the_id_is_shown() {
        let token = token("0123.access", "hunter2");
        let minted = token.mint().unwrap();
        let sent: Vec<_> = minted.headers.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        let expected =
            [("cf-access-client-id", &b"0123.access"[..]), ("cf-access-client-secret", b"hunter2")];
        assert_eq!(sent, expected);
        assert!(minted.key.is_none() && minted.expires_at.is_none());
        let shown = format!("{token:?} {minted:?} {:?}", token.details());
        assert!(!shown.contains("hunter2") && shown.contains("0123.access"), "{shown}");
        let sealed = serde_json::to_string(&token).unwrap();
        assert_eq!(serde_json::from_str::<CloudflareAccess>(&sealed).unwrap(), token);
    }

    #[test]
    fn a_half_that_cannot_be_sent_is_named() {
        assert_eq!(token(" ", "x").mint().unwrap_err(), AccessError::Empty("client id"));
        let error = token("x", "hunter2\n").mint().unwrap_err();
        assert_eq!(error, AccessError::Unsendable("client secret"));
        assert!(!error.to_string().contains("hunter2"));
    }
}
