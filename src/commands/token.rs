//! `keyferry token`: the credential on stdout, for curl and scripts.

use super::print;
use crate::authorization::{Authorization, AuthorizationError, Plan};
use crate::cli::TokenArgs;
use crate::config;
use crate::failure::{Exit, Failure};
use crate::secret::{Redactor, Secret};
use crate::vault::Vault;
use std::sync::Arc;

pub(super) async fn token(args: &TokenArgs) -> Result<(), Failure> {
    let remote = config::remote(&args.remote)?;
    let vault = Vault::new(config::vault(true, None)?);
    let redactor = Arc::new(Redactor::default());
    let plan = Plan::default();
    let authorization =
        Authorization::new(vault, remote.clone(), plan, redactor, config::keychain_deadline());
    let credential = authorization.credential().await.map_err(|error| match error {
        AuthorizationError::SignInNeeded { message, hint } => {
            Failure::new(Exit::SignInNeeded, message).hint(hint)
        }
        AuthorizationError::Vault(error) => error.into(),
    })?;
    let mut lines = Secret::new(String::new());
    for (name, value) in &credential.headers {
        let value = value.to_str().unwrap_or_default();
        let bare = value.split_once(' ').map_or(value, |(_, token)| token);
        let line = if args.header {
            format!("{}: {value}\n", title_case(name.as_str()))
        } else {
            format!("{bare}\n")
        };
        lines = Secret::new(format!("{}{line}", lines.expose()));
    }
    if lines.expose().is_empty() {
        let message =
            format!("the vault holds no token for {remote} (account {})", remote.account());
        return Err(
            Failure::new(Exit::SignInNeeded, message).hint(remote.login_command(Some("api-key")))
        );
    }
    print(lines.expose())
}

/// `x-api-key` as people write it: `X-Api-Key`. Case means nothing in a header's name.
fn title_case(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(capital).collect::<Vec<_>>().join("-")
}
