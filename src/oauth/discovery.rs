//! From a remote and its challenge to one authorization server: MCP 2026-07-28 authorization
//! server discovery, RFC 9728 section 3, RFC 8414 section 3, OpenID Connect Discovery 1.0
//! section 4; for older servers MCP 2025-03-26.

use super::challenge::Challenge;
use super::metadata::{AuthorizationServer, ProtectedResource};
use super::web::{Answer, Web, WebError, host};
use crate::http::ClientError;
use serde_json::{Map, Value};
use std::time::Duration;
use url::Url;

/// How long the whole discovery may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Authorization servers of one remote that are tried.
const MOST_SERVERS: usize = 5;
const PROTECTED_RESOURCE: &str = "/.well-known/oauth-protected-resource";
const AUTHORIZATION_SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// What the person said about the authorization server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The one to use; where the remote lists some, it must be among them.
    pub issuer: Option<String>,
    /// Used in place of the published one, or where none is published.
    pub token_endpoint: Option<String>,
}

/// The authorization server of a remote.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// For the `resource` parameter (RFC 8707), byte for byte.
    pub resource: String,
    /// Of the remote, not of the authorization server.
    pub scopes_supported: Option<Vec<String>>,
    /// The remote's name for people; not cleaned.
    pub resource_name: Option<String>,
    pub server: AuthorizationServer,
    pub from: Source,
    /// The remote takes tokens that are bound to a key: it says so in its metadata (RFC 9728
    /// section 2) or in its challenge (RFC 9449 section 7.1). That the authorization server
    /// could make them is not enough, as most remotes would not know what to do with them.
    pub dpop: bool,
}

/// Where the endpoints come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Metadata,
    /// MCP 2025-03-26, a remote without any metadata.
    Defaults,
    /// The person's token endpoint is all that is known.
    Given,
}

/// Why there is no authorization server. Shown to people; the text may quote servers and is
/// not cleaned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DiscoveryError {
    /// No OAuth is to be found there.
    #[error("{host} does not say how to sign in")]
    Nothing { host: String },
    /// To be tried again later.
    #[error("{host} cannot be asked how to sign in: {why}")]
    Unavailable { host: String, why: String },
    /// What is published is unsafe or contradicts itself.
    #[error("{why}")]
    Refused { why: String },
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// Finds the authorization server to sign in at. After a failure, here or in what follows from
/// it ([`Web::forget`]), nothing is taken from the cache.
///
/// # Errors
/// [`DiscoveryError`]; with several authorization servers that of the first.
pub async fn discover(
    web: &Web,
    remote: &Url,
    challenge: Option<&Challenge>,
    options: &Options,
) -> Result<Discovered, DiscoveryError> {
    let found = tokio::time::timeout(PATIENCE, find(web, remote, challenge, options)).await;
    let too_slow = |_| {
        let why = format!("it took longer than {} s", PATIENCE.as_secs());
        Err(DiscoveryError::Unavailable { host: host(remote), why })
    };
    found.unwrap_or_else(too_slow).inspect_err(|_| web.forget())
}

/// The metadata of an identity provider that the person named, to sign in at for somebody else.
///
/// # Errors
/// [`DiscoveryError`].
pub async fn identity_provider(
    web: &Web,
    issuer: &str,
    options: &Options,
) -> Result<Discovered, DiscoveryError> {
    web.name(issuer);
    let mut server = authorization_server(web, issuer, true).await?;
    server.token_endpoint = options.token_endpoint.clone().or(server.token_endpoint);
    Ok(Discovered {
        resource: String::new(),
        scopes_supported: None,
        resource_name: None,
        server,
        from: Source::Metadata,
        dpop: false,
    })
}

async fn find(
    web: &Web,
    remote: &Url,
    challenge: Option<&Challenge>,
    options: &Options,
) -> Result<Discovered, DiscoveryError> {
    let protected = protected_resource(web, remote, challenge).await?;
    let (mut server, from) = choose(web, remote, protected.as_ref(), options).await?;
    if let Some(given) = &options.token_endpoint {
        server.token_endpoint = Some(given.clone());
    }
    if server.token_endpoint.is_none() {
        let why = format!("the authorization server {} names no token endpoint", server.issuer);
        return Err(DiscoveryError::Refused { why });
    }
    if let Some(endpoint) = &server.authorization_endpoint {
        web.checked(endpoint).await.map_err(|error| DiscoveryError::Refused {
            why: format!("the authorization endpoint cannot be used: {error}"),
        })?;
    }
    let dpop = challenge.is_some_and(|challenge| challenge.dpop)
        || protected.as_ref().is_some_and(ProtectedResource::takes_dpop);
    let (resource, scopes_supported, resource_name) = match protected {
        Some(found) => (found.resource, found.scopes_supported, found.resource_name),
        None => (resource_of(remote), None, None),
    };
    Ok(Discovered { resource, scopes_supported, resource_name, server, from, dpop })
}

async fn choose(
    web: &Web,
    remote: &Url,
    protected: Option<&ProtectedResource>,
    options: &Options,
) -> Result<(AuthorizationServer, Source), DiscoveryError> {
    let listed = protected.map_or(&[][..], |found| &found.authorization_servers);
    let issuers = match &options.issuer {
        Some(given) if listed.is_empty() || listed.contains(given) => std::slice::from_ref(given),
        Some(given) => {
            let others = listed.join(", ");
            let why = format!("the MCP server is not protected by {given}, but by {others}");
            return Err(DiscoveryError::Refused { why });
        }
        None => listed,
    };
    // Without metadata its page is where MCP 2025-03-26 has it.
    let given = |issuer: String| AuthorizationServer {
        authorization_endpoint: Some(format!("{}/authorize", issuer.trim_end_matches('/'))),
        issuer,
        ..AuthorizationServer::default()
    };
    if issuers.is_empty() {
        let origin = remote.origin().ascii_serialization();
        return match server_metadata(web, &origin, false).await? {
            Some(server) => Ok((server, Source::Metadata)),
            None if protected.is_none() => Ok((default_endpoints(remote), Source::Defaults)),
            None if options.token_endpoint.is_some() => Ok((given(origin), Source::Given)),
            None => Err(DiscoveryError::Nothing { host: host(remote) }),
        };
    }
    let mut first = None;
    for issuer in issuers.iter().take(MOST_SERVERS) {
        match server_metadata(web, issuer, true).await {
            Ok(Some(server)) => return Ok((server, Source::Metadata)),
            Ok(None) if options.token_endpoint.is_some() => {
                return Ok((given(issuer.clone()), Source::Given));
            }
            Ok(None) => first = first.or_else(|| Some(unpublished(issuer))),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| DiscoveryError::Nothing { host: host(remote) }))
}

/// The remote's own metadata: where the challenge says, else at the well-known places
/// (RFC 9728 section 3.1). None if there is none: MCP 2025-03-26.
///
/// # Errors
/// [`DiscoveryError`]; `Refused` also if it is the metadata of another resource.
pub async fn protected_resource(
    web: &Web,
    remote: &Url,
    challenge: Option<&Challenge>,
) -> Result<Option<ProtectedResource>, DiscoveryError> {
    let published = challenge.and_then(|challenge| challenge.resource_metadata.clone());
    let published = published.filter(|url| Url::parse(url).is_ok());
    let mut places = protected_resource_places(remote);
    if let Some(published) = &published {
        places.retain(|place| place != published);
        places.insert(0, published.clone());
    }
    let mut out_of_order = None;
    for place in places {
        let answer = match web.document(&place).await {
            Ok(answer) => answer,
            // Many servers send every path that they do not know to a page elsewhere.
            Err(WebError::Redirected { .. } | WebError::TooLarge { .. })
                if published.as_ref() != Some(&place) =>
            {
                continue;
            }
            Err(error) => return Err(unavailable(error)),
        };
        if let Some(why) = failure(&answer) {
            let host = Url::parse(&place).map_or_else(|_| place.clone(), |place| host(&place));
            out_of_order.get_or_insert(DiscoveryError::Unavailable { host, why });
            continue;
        }
        if let Some(found) = success(&answer).and_then(ProtectedResource::parse) {
            check_resource(&found.resource, remote)?;
            return Ok(Some(found));
        }
        if success(&answer).is_some_and(|body| has_member(body, "authorization_servers")) {
            let why = format!("{place} is the metadata of no resource: it does not name one");
            return Err(DiscoveryError::Refused { why });
        }
    }
    out_of_order.map_or(Ok(None), Err)
}

/// An authorization server's metadata, from the first of the places in the specified order
/// that has it. `published` says that somebody spelled `issuer` this way, so that the document
/// must too; otherwise it is an origin, and a final slash makes no difference.
///
/// # Errors
/// [`DiscoveryError`]; `Refused` also if there is no metadata, or only another issuer's.
pub async fn authorization_server(
    web: &Web,
    issuer: &str,
    published: bool,
) -> Result<AuthorizationServer, DiscoveryError> {
    server_metadata(web, issuer, published).await?.ok_or_else(|| unpublished(issuer))
}

/// None if there is no such document.
async fn server_metadata(
    web: &Web,
    issuer: &str,
    published: bool,
) -> Result<Option<AuthorizationServer>, DiscoveryError> {
    let url = web.checked(issuer).await.map_err(unavailable)?;
    if url.query().is_some() || url.fragment().is_some() {
        let why = format!("{issuer} names no authorization server: it has a query or a fragment");
        return Err(DiscoveryError::Refused { why });
    }
    let mut odd = None;
    for place in authorization_server_places(&url) {
        let answer = match web.document(&place).await {
            Ok(answer) => answer,
            Err(error @ (WebError::Redirected { .. } | WebError::TooLarge { .. })) => {
                if published {
                    odd.get_or_insert(unavailable(error));
                }
                continue;
            }
            Err(error) => return Err(unavailable(error)),
        };
        if let Some(why) = failure(&answer) {
            odd.get_or_insert(DiscoveryError::Unavailable { host: host(&url), why });
        }
        let Some(found) = success(&answer).and_then(AuthorizationServer::parse) else {
            if success(&answer).is_some_and(|body| has_member(body, "token_endpoint")) {
                let why = format!("{place} is the metadata of nobody: it names no issuer");
                odd.get_or_insert(DiscoveryError::Refused { why });
            }
            continue;
        };
        let same = found.issuer == issuer
            || (!published && found.issuer.strip_suffix('/') == Some(issuer));
        if same {
            return Ok(Some(found));
        }
        let why = format!(
            "the authorization server {issuer} publishes metadata of another issuer, {}",
            found.issuer
        );
        odd.get_or_insert(DiscoveryError::Refused { why });
    }
    odd.map_or(Ok(None), Err)
}

/// The endpoints of a remote without any metadata (MCP 2025-03-26, "Fallbacks for Servers
/// without Metadata Discovery"), which has to know PKCE with S256.
pub fn default_endpoints(remote: &Url) -> AuthorizationServer {
    let issuer = remote.origin().ascii_serialization();
    let endpoint = |path: &str| Some(format!("{issuer}{path}"));
    AuthorizationServer {
        authorization_endpoint: endpoint("/authorize"),
        token_endpoint: endpoint("/token"),
        registration_endpoint: endpoint("/register"),
        code_challenge_methods_supported: Some(vec!["S256".into()]),
        issuer,
        ..AuthorizationServer::default()
    }
}

/// What a remote that publishes no `resource` is called (RFC 8707 section 2).
pub fn resource_of(remote: &Url) -> String {
    let mut resource = remote.clone();
    resource.set_query(None);
    resource.set_fragment(None);
    let text = String::from(resource);
    if remote.path() == "/" { text.trim_end_matches('/').to_owned() } else { text }
}

fn protected_resource_places(remote: &Url) -> Vec<String> {
    let path = remote.path();
    let bare = path.trim_end_matches('/');
    // RFC 9728 keeps a final slash; servers that come in two spellings answer for the other.
    let mut places = vec![path, bare, ""];
    places.retain(|path| *path != "/");
    places.dedup();
    places.iter().map(|path| well_known(remote, &format!("{PROTECTED_RESOURCE}{path}"))).collect()
}

fn authorization_server_places(issuer: &Url) -> Vec<String> {
    let path = issuer.path().trim_end_matches('/');
    let mut places = vec![format!("{AUTHORIZATION_SERVER}{path}"), format!("{OPENID}{path}")];
    if !path.is_empty() {
        places.push(format!("{path}{OPENID}"));
    }
    places.iter().map(|place| well_known(issuer, place)).collect()
}

/// Whether it is a document of this sort, if a broken one.
fn has_member(body: &[u8], name: &str) -> bool {
    serde_json::from_slice::<Map<String, Value>>(body).is_ok_and(|found| found.contains_key(name))
}

fn well_known(url: &Url, path: &str) -> String {
    let mut place = url.clone();
    place.set_path(path);
    place.set_query(None);
    place.set_fragment(None);
    place.into()
}

/// A token for `resource` is safe in the remote's hands only if the remote is part of it.
fn check_resource(resource: &str, remote: &Url) -> Result<(), DiscoveryError> {
    let covers = |resource: Url| {
        let segments = resource.path().trim_end_matches('/');
        let rest = remote.path().strip_prefix(segments);
        resource.origin() == remote.origin()
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            && (resource.query().is_none() || resource.query() == remote.query())
            && resource.fragment().is_none()
            && resource.username().is_empty()
            && resource.password().is_none()
    };
    if Url::parse(resource).is_ok_and(covers) {
        return Ok(());
    }
    let why = format!(
        "the MCP server {} publishes metadata of another resource, {resource}",
        resource_of(remote)
    );
    Err(DiscoveryError::Refused { why })
}

/// The body of a good answer.
fn success(answer: &Answer) -> Option<&[u8]> {
    (200..300).contains(&answer.status).then(|| answer.body.expose().as_slice())
}

/// Says that the server could not answer, not that there is nothing.
fn failure(answer: &Answer) -> Option<String> {
    matches!(answer.status, 408 | 429 | 500..).then(|| format!("HTTP {}", answer.status))
}

fn unpublished(issuer: &str) -> DiscoveryError {
    let why = format!("the authorization server {issuer} publishes no metadata");
    DiscoveryError::Refused { why }
}

fn unavailable(error: WebError) -> DiscoveryError {
    match error {
        WebError::Unreachable { host, why } | WebError::Lost { host, why } => {
            DiscoveryError::Unavailable { host, why }
        }
        WebError::Client(error) => DiscoveryError::Client(error),
        error => DiscoveryError::Refused { why: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
