//! A remote behind a key, refusing as real ones do. It has nothing to discover.

use super::http::{Request, Wire};
use super::legacy::{Legacy, Sessions};
use super::mcp_server::Server;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// 401, no body, no `WWW-Authenticate`.
    Bare401,
    /// 403, no body.
    Bare403,
    /// 401 that points at metadata.
    Challenge,
    /// 200 and a text.
    Text200,
    /// 200 and JSON that is no JSON-RPC.
    Json200,
}

pub(crate) const REFUSALS: &[Refusal] =
    &[Refusal::Bare401, Refusal::Bare403, Refusal::Challenge, Refusal::Text200, Refusal::Json200];

impl Refusal {
    fn reply(self, request: &Request, wire: Wire) {
        let host = request.header("host").unwrap_or_default();
        match self {
            Self::Bare401 => wire.status(401),
            Self::Bare403 => wire.status(403),
            Self::Challenge => {
                let challenge = format!(
                    r#"Bearer error="invalid_token", resource_metadata="http://{host}/.well-known/oauth-protected-resource/mcp""#
                );
                wire.reply(401, &[("WWW-Authenticate", &challenge)], b"");
            }
            Self::Text200 => {
                wire.reply(200, &[("Content-Type", "text/plain")], b"Authentication required");
            }
            Self::Json200 => wire.json(r#"{"message":"Authentication required"}"#),
        }
    }
}

/// A legacy server that wants `header` to be one of `values`.
pub(crate) fn protected(header: &'static str, values: &[&str], refusal: Refusal) -> Server {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let legacy = Legacy::new().sessions(&Sessions::default()).into_handler();
    Server::start(move |request, wire| {
        if request.target != "/mcp" {
            // Where to sign in: nowhere.
            assert!(request.header(header).is_none(), "the key is for the MCP URL only");
            return wire.status(404);
        }
        let sent = request.header(header).unwrap_or_default();
        if values.iter().any(|value| value == sent) {
            legacy(request, wire);
        } else {
            refusal.reply(request, wire);
        }
    })
}
