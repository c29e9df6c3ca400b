//! `keyferry logout`: forgets a credential.

use super::{LOCK, say};
use crate::authorization::Remote;
use crate::cli::LogoutArgs;
use crate::config;
use crate::failure::{Exit, Failure};
use crate::vault::Vault;

pub(super) async fn logout(args: &LogoutArgs) -> Result<(), Failure> {
    let remote = config::remote(&args.remote)?;
    let vault = Vault::new(config::vault(false, None)?);
    let mut forgotten = 0;
    for account in accounts(args, &remote, &vault)? {
        let one = Remote::new(remote.url().as_str(), &account, true)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let key = one.record();
        let _lock = vault.lock(&key, LOCK).await?;
        if vault.remove(&key)? {
            say(&format!("forgotten: {remote} (account {account})"));
            forgotten += 1;
        }
    }
    if forgotten == 0 {
        let message =
            format!("the vault holds nothing for {remote} (account {})", remote.account());
        return Err(Failure::new(Exit::Failed, message).hint("keyferry list"));
    }
    say("note: a key is not revoked by this; revoke it where it was issued");
    Ok(())
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
