//! How to reach the person: the browser, and whether there is one here.

use super::{client, now, secret_variables, variable};
use crate::authorization::{Connection, Plan, SignInSettings};
use crate::cli::{CredentialArgs, NetworkArgs, RemoteArgs};
use crate::oauth::Web;
use crate::oauth::browser::{Browser, Os, Surroundings};
use std::sync::Arc;
use url::Url;

/// Variables that hold what opens the vault.
const PASSPHRASE: [&str; 3] =
    ["KEYFERRY_PASSPHRASE", "KEYFERRY_PASSPHRASE_FILE", "KEYFERRY_PASSPHRASE_COMMAND"];

/// What a sign-in may do.
pub struct Reaching {
    /// It may begin by itself.
    pub allowed: bool,
    /// Tells the person something.
    pub tell: fn(&str),
}

/// Where a sign-in for the remote takes place.
pub fn sign_in(
    connection: &Arc<Connection>,
    args: &RemoteArgs,
    network: &NetworkArgs,
    credential: Option<&CredentialArgs>,
    plan: &Plan,
    reaching: Reaching,
) -> SignInSettings {
    let named = [&plan.oauth.issuer, &plan.oauth.token_endpoint];
    let named = named
        .into_iter()
        .flatten()
        .filter_map(|url| Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)));
    let (base, url) = (client(network, connection), connection.remote().url().clone());
    let web = Web::new(&base, url, args.allow_http, named.collect());
    web.along(connection.headers_source());
    let secrets = credential.map(secret_variables).unwrap_or_default();
    let command = variable("BROWSER");
    let surroundings = Surroundings {
        os: Os::HERE,
        ssh: variable("SSH_CONNECTION").is_some() || variable("SSH_TTY").is_some(),
        display: variable("DISPLAY").is_some(),
        wayland: variable("WAYLAND_DISPLAY").is_some(),
        browser_command: command.is_some(),
        wsl: variable("WSL_DISTRO_NAME").is_some(),
    };
    SignInSettings {
        web: Arc::new(web),
        browser: Browser {
            command,
            hidden_variables: PASSPHRASE.map(str::to_owned).into_iter().chain(secrets).collect(),
            system_root: variable("SystemRoot"),
        },
        place: surroundings.browser(),
        no_browser: credential.is_some_and(|args| args.oauth.no_browser),
        allowed: reaching.allowed,
        allow_http: args.allow_http,
        tell: reaching.tell,
        now,
        along: None,
    }
}
