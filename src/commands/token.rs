//! `keyferry token`: the credential on stdout, for curl and scripts.

use super::open::Opening;
use super::{print, say};
use crate::cli::TokenArgs;
use crate::config::{self, Asking, Reaching};
use crate::failure::{Exit, Failure};
use crate::secret::{Redactor, Secret};
use crate::vault::Vault;
use std::sync::Arc;

pub(super) async fn token(args: &TokenArgs) -> Result<(), Failure> {
    let remote = config::remote(&args.remote)?;
    let vault = Vault::new(config::vault(true, &[])?);
    let redactor = Arc::new(Redactor::default());
    let (authorization, _) = Opening {
        vault,
        remote: remote.clone(),
        args: &args.remote,
        network: &args.network,
        credential: None,
        asking: Asking::default(),
        redactor,
        deadline: config::keychain_deadline(),
        reaching: Reaching { allowed: false, tell: say },
        teaches: false,
    }
    .open();
    let credential = authorization.credential().await?;
    let mut lines = Secret::new(String::new());
    if args.header {
        for (name, value) in &credential.headers {
            let value = value.to_str().unwrap_or_default();
            let line = format!("{}{}: {value}\n", lines.expose(), title_case(name.as_str()));
            lines = Secret::new(line);
        }
    } else if let Some(key) = &credential.key {
        lines = Secret::new(format!("{}\n", key.expose()));
    }
    if credential.is_bound() {
        say("note: this token is bound to a key of keyferry (DPoP): other programs cannot use it");
    }
    if lines.expose().is_empty() && !credential.headers.is_empty() {
        let message = format!("the credential for {remote} is headers, and no bare token");
        return Err(
            Failure::new(Exit::Failed, message).hint(format!("keyferry token {remote} --header"))
        );
    }
    if lines.expose().is_empty() {
        let message =
            format!("the vault holds no token for {remote} (account {})", remote.account());
        return Err(Failure::new(Exit::SignInNeeded, message)
            .hint(remote.login_command(None))
            .hint(format!("for a key: {}", remote.login_command(Some("api-key")))));
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
