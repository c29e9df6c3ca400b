//! The authorization response (RFC 6749 4.1.2), as it comes in the query of the redirect URI.

use crate::secret::Secret;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

/// A well-formed answer to this authorization request; its issuer is not checked yet.
#[derive(Debug, Clone)]
pub struct AuthorizationResponse {
    /// The authorization code, or why there is none.
    pub result: Result<Secret<String>, ErrorResponse>,
    /// RFC 9207. Not cleaned.
    pub iss: Option<String>,
}

/// Why the server gives no code (RFC 6749 4.1.2.1). Nothing of it is cleaned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    pub error: String,
    pub description: Option<String>,
    pub uri: Option<String>,
}

/// Why a query is no answer to this authorization request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it does not belong to this sign-in (state)")]
    State,
    #[error("it names more than one issuer (iss)")]
    Issuer,
    #[error("it holds neither exactly one code nor exactly one error")]
    Result,
}

impl AuthorizationResponse {
    /// Reads the query of the redirect URI, form-encoded. Unknown parameters are ignored
    /// (RFC 6749 4.1.2), those that decide may stand once only (3.1).
    ///
    /// # Errors
    /// [`Malformed`], `State` before all else.
    pub fn from_query(query: &str, state: &Secret<String>) -> Result<Self, Malformed> {
        let is_ours = |got: &Secret<String>| {
            bool::from(got.expose().as_bytes().ct_eq(state.expose().as_bytes()))
        };
        let got = one(query, "state").map_err(|Doubled| Malformed::State)?;
        if !got.is_some_and(|got| is_ours(&got)) {
            return Err(Malformed::State);
        }
        let iss = one(query, "iss").map_err(|Doubled| Malformed::Issuer)?;
        let wrong = |Doubled| Malformed::Result;
        let code = one(query, "code").map_err(wrong)?;
        let error = one(query, "error").map_err(wrong)?;
        let plain = |value: Option<Secret<String>>| value.map(|value| value.expose().clone());
        let result = match (code, plain(error)) {
            (Some(code), None) if !code.expose().is_empty() => Ok(code),
            (None, Some(error)) if !error.is_empty() => Err(ErrorResponse {
                error,
                description: plain(one(query, "error_description").map_err(wrong)?),
                uri: plain(one(query, "error_uri").map_err(wrong)?),
            }),
            _ => return Err(Malformed::Result),
        };
        Ok(Self { result, iss: plain(iss) })
    }

    /// Reads a redirect URI that a person copied out of the browser's address bar.
    ///
    /// # Errors
    /// As [`from_query`](Self::from_query).
    pub fn from_pasted(pasted: &str, state: &Secret<String>) -> Result<Self, Malformed> {
        let pasted = pasted.trim().split('#').next().unwrap_or_default();
        Self::from_query(pasted.split_once('?').map_or(pasted, |(_, query)| query), state)
    }
}

/// A parameter stands more than once.
struct Doubled;

/// The value of a parameter that may stand once.
fn one(query: &str, name: &str) -> Result<Option<Secret<String>>, Doubled> {
    let mut values = form_urlencoded::parse(query.as_bytes())
        .filter(|(key, _)| key == name)
        .map(|(_, value)| Secret::new(value.into_owned()));
    let first = values.next();
    if values.next().is_some() { Err(Doubled) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<AuthorizationResponse, Malformed> {
        AuthorizationResponse::from_query(query, &Secret::new("st+ate/1".into()))
    }

    #[test]
    fn a_code_is_read_with_its_issuer() {
        let response =
            read("code=a%2Bb+c&state=st%2Bate%2F1&iss=https%3A%2F%2Fas.example&x=1&x=2").unwrap();
        assert_eq!(response.result.unwrap().expose(), "a+b c");
        assert_eq!(response.iss.as_deref(), Some("https://as.example"));
    }

    #[test]
    fn an_error_is_read_with_its_text() {
        let query = "error=access_denied&error_description=no+%3Cb%3E&error_uri=u&state=st%2bate/1";
        let expected = ErrorResponse {
            error: "access_denied".into(),
            description: Some("no <b>".into()),
            uri: Some("u".into()),
        };
        assert_eq!(read(query).unwrap().result.unwrap_err(), expected);
    }

    #[test]
    fn what_is_not_one_answer_to_this_request_is_told_apart() {
        for (query, expected) in [
            ("", Malformed::State),
            ("code=a", Malformed::State),
            ("code=a&state=", Malformed::State),
            ("code=a&state=st%2Bate%2F", Malformed::State),
            ("code=a&state=st+ate/1", Malformed::State),
            ("code=a&state=st%2Bate/1&state=st%2Bate/1", Malformed::State),
            ("code=a&state=st%2Bate/1&%73tate=", Malformed::State),
            ("code=a&state=st%2Bate/1&iss=a&iss=a", Malformed::Issuer),
            ("state=st%2Bate/1", Malformed::Result),
            ("code=&state=st%2Bate/1", Malformed::Result),
            ("error=&state=st%2Bate/1", Malformed::Result),
            ("code=a&code=a&state=st%2Bate/1", Malformed::Result),
            ("code=a&error=b&state=st%2Bate/1", Malformed::Result),
            ("error=a&error=b&state=st%2Bate/1", Malformed::Result),
            ("error=a&error_uri=b&error_uri=c&state=st%2Bate/1", Malformed::Result),
        ] {
            assert_eq!(read(query).unwrap_err(), expected, "{query}");
        }
    }

    #[test]
    fn a_pasted_address_is_read_like_a_redirect() {
        let state = Secret::new("s".to_owned());
        for pasted in [
            " http://localhost:1234/oauth/callback?code=c&state=s\n",
            "http://localhost:1234/oauth/callback?code=c&state=s#_=_",
            "?code=c&state=s",
            "code=c&state=s",
        ] {
            let response = AuthorizationResponse::from_pasted(pasted, &state).unwrap();
            assert_eq!(response.result.unwrap().expose(), "c", "{pasted}");
        }
        assert!(AuthorizationResponse::from_pasted("http://localhost/", &state).is_err());
    }
}
