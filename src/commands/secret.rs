//! `keyferry secret`: named secrets for `${vault:NAME}`.

use super::{KEY_EACH_TIME, LOCK, ask, must_last, print, say, utc};
use crate::cli::SecretAction;
use crate::config;
use crate::failure::{Exit, Failure};
use crate::secret::Secret;
use crate::vault::{Header, Kept, KeySource, RecordKey, Vault};
use serde_json::{Value, json};

pub(super) async fn secret(action: &SecretAction) -> Result<(), Failure> {
    match action {
        SecretAction::Set { name, secret_env, secret_file } => {
            let given = config::secret(secret_env.as_deref(), secret_file.as_deref())?;
            set(name, given, secret_env.as_deref()).await
        }
        SecretAction::List { json } => list(*json),
        SecretAction::Rm { name } => remove(name).await,
    }
}

async fn set(
    name: &str,
    given: Option<Secret<String>>,
    secret_env: Option<&str>,
) -> Result<(), Failure> {
    if name.is_empty() || name.contains(['}', '{']) || name.chars().any(char::is_control) {
        return Err(Failure::new(Exit::Usage, "this name cannot be written as ${vault:NAME}"));
    }
    let hidden: Vec<String> = secret_env.map(str::to_owned).into_iter().collect();
    let settings = config::vault(true, &hidden)?;
    let in_memory = matches!(settings.source, KeySource::Memory);
    let vault = Vault::new(settings);
    must_last(&vault, in_memory, KEY_EACH_TIME).await?;
    let value = match given {
        Some(value) => value,
        None => ask::text(&format!("secret '{name}'"))?,
    };
    let key = RecordKey::Named(name.to_owned());
    let header = Header {
        schema: 0,
        remote: None,
        account: None,
        name: Some(name.to_owned()),
        kind: "secret".into(),
        details: Default::default(),
        updated_at: config::now(),
        sealed: None,
    };
    let payload = Secret::new(value.expose().clone().into_bytes());
    let _lock = vault.lock(&key, LOCK).await?;
    match vault.write(&key, header, &payload, config::keychain_deadline()).await? {
        Kept::OnDisk => say(&format!("stored: use it as ${{vault:{name}}} in --header")),
        Kept::InMemory => say("kept in memory only: it is gone when this process ends"),
    }
    Ok(())
}

fn list(json: bool) -> Result<(), Failure> {
    let vault = Vault::new(config::vault(false, &[])?);
    let mut names: Vec<_> = vault
        .list()?
        .into_iter()
        .filter_map(|header| header.name.map(|name| (name, header.updated_at)))
        .collect();
    names.sort();
    if json {
        let rows: Vec<_> =
            names.iter().map(|(name, at)| json!({"name": name, "updatedAt": utc(*at)})).collect();
        return print(&format!("{:#}\n", Value::from(rows)));
    }
    print(&names.into_iter().map(|(name, _)| format!("{name}\n")).collect::<String>())
}

async fn remove(name: &str) -> Result<(), Failure> {
    let vault = Vault::new(config::vault(false, &[])?);
    let key = RecordKey::Named(name.to_owned());
    let _lock = vault.lock(&key, LOCK).await?;
    if !vault.remove(&key)? {
        let message = format!("the vault holds no secret '{name}'");
        return Err(Failure::new(Exit::Failed, message).hint("keyferry secret list"));
    }
    say(&format!("removed: {name}"));
    Ok(())
}
