//! The flags of the sign-in with OAuth.

use super::headers::with_variables;
use super::read;
use crate::authorization::OAuthPlan;
use crate::cli::{OAuthArgs, WithArg};
use crate::failure::{Exit, Failure};
use crate::oauth::authorization_request::is_flow;
use crate::oauth::client::is_metadata_document_url;
use crate::secret::{Redactor, Secret};
use serde_json::{Map, Value};
use std::path::Path;
use url::Url;

/// What the flags say of OAuth; `None` if none of them is given.
///
/// # Errors
/// A usage failure that names the flag at fault.
pub(super) fn plan(
    args: &OAuthArgs,
    with: Option<WithArg>,
    secret: Option<&Secret<String>>,
    redactor: &Redactor,
) -> Result<OAuthPlan, Failure> {
    for (flag, url) in [
        ("--issuer", &args.issuer),
        ("--token-endpoint", &args.token_endpoint),
        ("--resource", &args.resource),
        ("--auth-success-url", &args.auth_success_url),
        ("--client-metadata-url", &args.client_metadata_url),
    ] {
        if url.as_deref().is_some_and(|url| Url::parse(url).is_err()) {
            return Err(usage(format!("{flag} takes a URL, with https:// in front")));
        }
    }
    let web_page = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    if args.auth_success_url.as_ref().is_some_and(|url| !web_page(url)) {
        return Err(usage("--auth-success-url takes the URL of a web page"));
    }
    let (client_id, client_secret) = client(args, secret, redactor)?;
    if args.client_metadata_url.as_deref().is_some_and(|url| !is_metadata_document_url(url)) {
        return Err(usage("--client-metadata-url takes an https URL with a path"));
    }
    if args.callback_path.as_deref().is_some_and(|path| !path.starts_with('/')) {
        return Err(usage("--callback-path begins with a slash"));
    }
    if args.host.as_deref().is_some_and(|host| !is_host_of_loopback(host)) {
        return Err(usage("--host is localhost, 127.0.0.1 or [::1]"));
    }
    Ok(OAuthPlan {
        client_id,
        client_secret,
        client_metadata_url: args.client_metadata_url.clone(),
        scope: args.scope.clone(),
        resource: args.resource.clone(),
        no_resource: args.disable_resource_parameter,
        authorize_params: authorize_params(&args.authorize_param)?,
        issuer: args.issuer.clone(),
        token_endpoint: args.token_endpoint.clone(),
        callback_port: args.callback_port,
        host: args.host.clone(),
        callback_path: args.callback_path.clone(),
        use_id_token: args.use_id_token,
        assume_pkce: args.assume_pkce,
        device: match with {
            _ if args.device_code => Some(true),
            Some(WithArg::Device) => Some(true),
            Some(WithArg::Oauth) => Some(false),
            _ => None,
        },
        registration: args
            .static_oauth_client_metadata
            .as_deref()
            .map(|text| object(text, "--static-oauth-client-metadata"))
            .transpose()?,
        success_url: args.auth_success_url.clone(),
        enterprise: None,
    })
}

/// Whether any flag that only OAuth knows was given.
pub(super) fn is_asked_for(args: &OAuthArgs) -> bool {
    args.client_id.is_some()
        || args.client_metadata_url.is_some()
        || args.static_oauth_client_info.is_some()
        || args.static_oauth_client_metadata.is_some()
        || args.device_code
        || args.issuer.is_some()
        || args.token_endpoint.is_some()
        || args.scope.is_some()
}

fn is_host_of_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]" | "::1")
}

fn client(
    args: &OAuthArgs,
    secret: Option<&Secret<String>>,
    redactor: &Redactor,
) -> Result<(Option<String>, Option<Secret<String>>), Failure> {
    const FLAG: &str = "--static-oauth-client-info";
    let Some(text) = &args.static_oauth_client_info else {
        return Ok((args.client_id.clone(), secret.cloned()));
    };
    let mut info = object(text, FLAG)?;
    for value in info.values_mut() {
        if let Value::String(text) = value {
            *text = with_variables(text, FLAG)?;
        }
    }
    let member = |name: &str| info.get(name).and_then(Value::as_str).map(str::to_owned);
    let Some(id) = member("client_id") else {
        return Err(usage(format!("{FLAG} has no client_id")));
    };
    let literal = member("client_secret").map(Secret::new);
    if let Some(literal) = &literal {
        redactor.learn(literal.expose());
        if !text.starts_with('@') && text.contains(literal.expose().as_str()) {
            tracing::warn!(
                "{FLAG} holds a secret that every process can read; teach it instead: keyferry login <URL> --client-id ID --client-secret"
            );
        }
    }
    Ok((Some(id), secret.cloned().or(literal)))
}

/// JSON, or `@FILE` with JSON.
fn object(text: &str, flag: &str) -> Result<Map<String, Value>, Failure> {
    let read = match text.strip_prefix('@') {
        Some(path) => read(Path::new(path), flag)?,
        None => text.to_owned(),
    };
    serde_json::from_str(&read).map_err(|_| usage(format!("{flag} takes a JSON object, or @FILE")))
}

fn authorize_params(params: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let split = |param: &String| match param.split_once('=') {
        Some((name, _)) if is_flow(name) => Err(usage(format!(
            "--authorize-param cannot set {name}: it belongs to the sign-in itself"
        ))),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(usage("--authorize-param takes name=value")),
    };
    params.iter().map(split).collect()
}

fn usage(message: impl Into<String>) -> Failure {
    Failure::new(Exit::Usage, message)
}
