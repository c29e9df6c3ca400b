//! A request as an authorization server reads it.

use crate::support::http::Request;
use crate::support::web;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Decoded, of the query and of a form in the body.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) request: Request,
}

impl Asked {
    pub(crate) fn of(request: &Request) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let mut params = web::params(query);
        let kind = request.header("content-type").unwrap_or_default();
        if kind.starts_with("application/x-www-form-urlencoded") {
            params.extend(web::params(request.text()));
        }
        let (method, path) = (request.method.clone(), path.to_owned());
        Self { method, path, params, request: request.clone() }
    }

    /// A parameter that may not be repeated (RFC 6749, section 3.1).
    #[track_caller]
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let mut found = self.params.iter().filter(|(n, _)| n == name);
        let value = found.next()?;
        assert!(found.next().is_none(), "{name} was sent twice: {self:?}");
        Some(&value.1)
    }

    /// Client id and secret of HTTP Basic (RFC 6749, section 2.3.1).
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let header = self.request.header("authorization")?;
        let pair = STANDARD.decode(header.strip_prefix("Basic ")?).expect("base64");
        let pair = String::from_utf8(pair).expect("UTF-8");
        let (id, secret) = pair.split_once(':').expect("a colon");
        let decoded = |text: &str| web::params(&format!("v={text}")).remove(0).1;
        Some((decoded(id), decoded(secret)))
    }

    pub(crate) fn bearer(&self) -> Option<&str> {
        self.request.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The access token, bearer or bound to a key (RFC 9449, section 7.1).
    pub(super) fn access_token(&self) -> Option<&str> {
        let bound = self.request.header("authorization")?.strip_prefix("DPoP ");
        bound.or_else(|| self.bearer())
    }
}
