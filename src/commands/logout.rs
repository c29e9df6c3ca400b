//! `keyferry logout`: forgets a credential.

use super::open::Opening;
use super::say;
use crate::authorization::{Leave, Remote};
use crate::cli::LogoutArgs;
use crate::config::{self, Asking, Reaching};
use crate::failure::{Exit, Failure};
use crate::secret::Redactor;
use crate::vault::Vault;
use std::sync::Arc;

const NOT_REVOKED: &str = "note: a key is not revoked by this; revoke it where it was issued";

pub(super) async fn logout(args: &LogoutArgs) -> Result<(), Failure> {
    let remote = config::remote(&args.remote)?;
    let vault = Vault::new(config::vault(true, &[])?);
    let mut left = Vec::new();
    for account in accounts(args, &remote, &vault)? {
        let one = Remote::new(remote.url().as_str(), &account, true)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let leave = leave(args, one, &vault).await?;
        if leave.forgotten {
            say(&format!("forgotten: {remote} (account {account})"));
            say(leave.server.as_deref().unwrap_or(NOT_REVOKED));
            left.push(leave);
        }
    }
    if left.is_empty() {
        let message =
            format!("the vault holds nothing for {remote} (account {})", remote.account());
        return Err(Failure::new(Exit::Failed, message).hint("keyferry list"));
    }
    Ok(())
}

async fn leave(args: &LogoutArgs, remote: Remote, vault: &Vault) -> Result<Leave, Failure> {
    let (authorization, _) = Opening {
        vault: vault.clone(),
        remote,
        args: &args.remote,
        network: &args.network,
        credential: None,
        asking: Asking::default(),
        redactor: Arc::new(Redactor::default()),
        deadline: config::keychain_deadline(),
        reaching: Reaching { allowed: false, tell: say },
        teaches: false,
    }
    .open();
    Ok(authorization.leave().await?)
}

fn accounts(args: &LogoutArgs, remote: &Remote, vault: &Vault) -> Result<Vec<String>, Failure> {
    if !args.all_accounts {
        return Ok(vec![remote.account().to_owned()]);
    }
    let shown = remote.to_string();
    let headers =
        vault.list()?.into_iter().filter(|header| header.remote.as_deref() == Some(&shown));
    Ok(headers.filter_map(|header| header.account).collect())
}
