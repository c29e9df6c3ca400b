//! How an authorization server and the remotes behind it behave; a test may
//! change any of it on the way.

use super::Asked;
use super::token::Refused;
use serde_json::{Map, Value};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Members put into a document; null takes one out. `{as}` and `{remote}` in
/// strings stand for the two origins.
pub(crate) type Changes = Vec<(&'static str, Value)>;

/// The answer to a token request, or error code and description.
pub(crate) type GrantOf = Arc<dyn Fn(&Asked) -> Result<Map<String, Value>, Refused> + Send + Sync>;

pub(crate) struct Script {
    /// Who is signed in at the server when a link is followed.
    pub(crate) user: &'static str,

    /// Protected resource metadata (RFC 9728) and challenges.
    pub(crate) published: Published,
    pub(crate) resource_metadata: Changes,
    /// Instead of the usual challenge, these `WWW-Authenticate` values.
    pub(crate) challenges: Option<Vec<String>>,
    pub(crate) challenge_scope: Option<&'static str>,
    /// Scopes that the challenge for one tool names.
    pub(crate) tool_scopes: Vec<(&'static str, &'static str)>,
    /// Kinds of requests that need no token.
    pub(crate) open: &'static [&'static str],
    /// An expired token is answered with a bare 403.
    pub(crate) expired_is_403: bool,
    /// An expired token that is shown ends its grant, as one real server does.
    pub(crate) expired_ends_the_grant: bool,

    /// Authorization server metadata (RFC 8414, OpenID Connect Discovery).
    pub(crate) issuer_path: &'static str,
    pub(crate) forms: Vec<Form>,
    pub(crate) metadata: Changes,

    pub(crate) registration: Registration,
    /// RFC 7592.
    pub(crate) registration_management: bool,
    /// A loopback redirect URI may come with any port (RFC 8252, section 7.3).
    pub(crate) any_port: bool,

    pub(crate) consent: Consent,
    pub(crate) iss: Iss,
    pub(crate) resource: Resource,

    /// `expires_in`, seconds.
    pub(crate) lifetime: Option<u64>,
    /// How long an access token is really good; by default as said.
    pub(crate) good_for: Option<Duration>,
    /// Whatever is asked for, this scope is granted.
    pub(crate) grants_only: Option<&'static str>,
    pub(crate) refresh_tokens: bool,
    /// ... only where the scope `offline_access` was granted.
    pub(crate) refresh_needs_offline_access: bool,
    pub(crate) rotates: bool,
    /// A spent refresh token may be shown again; else it ends the grant.
    pub(crate) grace: bool,
    pub(crate) shape: Shape,
    pub(crate) token_delay: Duration,
    /// One for each coming token request.
    pub(crate) failures: VecDeque<Failure>,
    /// An ID token with every token answer; remotes take it too.
    pub(crate) id_token: bool,

    /// Tokens are bound to the key that the client proves it has (RFC 9449).
    pub(crate) dpop: bool,
    /// ... but the remotes want no proof: refresh tokens alone are bound (section 5).
    pub(crate) bound_refresh_alone: bool,
    /// ... and these are the nonces that proofs must hold: the server's, the remotes'.
    pub(crate) nonces: Option<(&'static str, &'static str)>,
    /// What is given for grants of other types.
    pub(crate) grants: Vec<(&'static str, GrantOf)>,

    /// Answers to the coming polls (RFC 8628); then it is approved.
    pub(crate) device_polls: VecDeque<&'static str>,
    pub(crate) device_interval: u64,
    pub(crate) device_expires_in: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Published {
    /// At its well-known place, which the challenge names.
    Named,
    /// At a place of its own, which the challenge names.
    Elsewhere,
    /// At the well-known place with the path, which nobody names.
    Path,
    /// At the root's well-known place, which nobody names.
    Root,
    Nowhere,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `/.well-known/oauth-authorization-server{path}`
    Oauth,
    /// `/.well-known/openid-configuration{path}`
    OpenIdInserted,
    /// `{path}/.well-known/openid-configuration`
    OpenIdAppended,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Registration {
    Open,
    /// No such endpoint.
    Off,
    /// 400 with this error and description.
    Refused(&'static str, &'static str),
    /// Clients get a secret, for `client_secret_post`.
    Secret {
        /// Seconds from now; `None` for never.
        expires_in: Option<u64>,
    },
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Consent {
    Given,
    /// Back at the redirect URI with this error and description.
    Error(&'static str, &'static str),
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Iss {
    Right,
    Missing,
    Is(String),
    Twice,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// One of the remotes', on every request.
    Required,
    Forbidden,
    /// Nobody looks.
    Any,
}

#[derive(Clone, PartialEq)]
pub(crate) enum Shape {
    Plain,
    /// With members changed (null for gone), this status and content type.
    Odd {
        status: u16,
        content_type: &'static str,
        changes: Map<String, Value>,
    },
}

impl Shape {
    pub(crate) fn with(name: &str, value: Value) -> Self {
        let changes = [(name.to_owned(), value)].into_iter().collect();
        Self::Odd { status: 200, content_type: "application/json", changes }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Odd { status, content_type: "application/json", changes: Map::new() }
    }

    pub(crate) fn content_type(content_type: &'static str) -> Self {
        Self::Odd { status: 200, content_type, changes: Map::new() }
    }
}

#[derive(Clone)]
pub(crate) enum Failure {
    /// None.
    Pass,
    /// Nothing happens at the server but this status, with a body of HTML.
    Status(u16),
    /// Nothing happens but this error of RFC 6749, section 5.2.
    Error(&'static str, &'static str),
    /// The connection ends before anything has happened.
    CutBefore,
    /// All is done, and the answer never arrives.
    CutAfter,
    /// No answer until the other side gives up.
    Hang,
    /// A redirect to there.
    Redirect(u16, String),
    /// This reply word for word.
    Reply(u16, &'static str, String),
}

impl Default for Script {
    fn default() -> Self {
        Self {
            user: "ada",
            published: Published::Named,
            resource_metadata: Vec::new(),
            challenges: None,
            challenge_scope: None,
            tool_scopes: Vec::new(),
            open: &[],
            expired_is_403: false,
            expired_ends_the_grant: false,
            issuer_path: "",
            forms: vec![Form::Oauth],
            metadata: Vec::new(),
            registration: Registration::Open,
            registration_management: false,
            any_port: false,
            consent: Consent::Given,
            iss: Iss::Right,
            resource: Resource::Required,
            lifetime: Some(3600),
            good_for: None,
            grants_only: None,
            refresh_tokens: true,
            refresh_needs_offline_access: false,
            rotates: true,
            grace: false,
            shape: Shape::Plain,
            token_delay: Duration::ZERO,
            failures: VecDeque::new(),
            id_token: false,
            dpop: false,
            bound_refresh_alone: false,
            nonces: None,
            grants: Vec::new(),
            device_polls: VecDeque::new(),
            device_interval: 1,
            device_expires_in: 600,
        }
    }
}
