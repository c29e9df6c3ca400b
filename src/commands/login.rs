//! `keyferry login`: teaches the vault how to authenticate, after asking the remote.

mod oauth;

use super::verify::{self, Verified};
use super::{KEY_EACH_TIME, LOCK, ask, must_last, say};
use crate::authorization::{
    ApiKeyRecord, Authorization, Kind, Plan, Remote, Settings, record_header,
};
use crate::cli::LoginArgs;
use crate::config::{self, Reaching};
use crate::credential::api_key::Placement;
use crate::failure::{Exit, Failure};
use crate::http::ClientCell;
use crate::secret::{Redactor, Secret};
use crate::transport::StreamableHttp;
use crate::vault::{Kept, KeySource, Vault};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest answer read while verifying, in bytes.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

pub(super) async fn login(args: &LoginArgs) -> Result<(), Failure> {
    let redactor = Arc::new(Redactor::default());
    let remote = config::remote(&args.remote)?;
    let mut plan = config::plan(&args.credential, &redactor)?;
    let kind = kind(&plan);
    if kind.is_oauth() {
        return oauth::login(args, remote, plan, redactor).await;
    }
    let settings = config::vault(true, args.credential.secret_env.as_deref())?;
    let in_memory = matches!(settings.source, KeySource::Memory);
    let vault = Vault::new(settings);
    // Before anyone types a key: one that could not be kept would be typed in vain.
    if kind == Kind::ApiKey || in_memory {
        must_last(&vault, in_memory, KEY_EACH_TIME).await?;
    }
    let record = api_key(kind, &mut plan, &remote, &redactor)?;
    if !args.no_verify {
        let plan = verification_plan(kind, plan, record.as_ref());
        let authorization = authorization(args, vault.clone(), &remote, plan, redactor);
        let verified = verify::verify(&endpoint(args, &remote), &authorization).await?;
        report(&verified, &remote, kind);
    }
    let what = format!("{kind} for {remote} (account {})", remote.account());
    match store(&vault, &remote, kind, record.as_ref()).await? {
        Kept::OnDisk => say(&format!("stored: {what}")),
        Kept::InMemory => {
            say(&format!("kept in memory only, gone when this process ends: {what}"));
        }
    }
    Ok(())
}

fn authorization(
    args: &LoginArgs,
    vault: Vault,
    remote: &Remote,
    plan: Plan,
    redactor: Arc<Redactor>,
) -> Authorization {
    let reaching = Reaching { allowed: true, tell: say };
    let (network, credential) = (&args.network, Some(&args.credential));
    let sign_in = config::sign_in(remote, &args.remote, network, credential, &plan, reaching);
    let deadline = config::keychain_deadline();
    Authorization::new(Settings {
        vault,
        remote: remote.clone(),
        plan,
        redactor,
        deadline,
        sign_in,
    })
}

fn endpoint(args: &LoginArgs, remote: &Remote) -> StreamableHttp {
    let client = Arc::new(ClientCell::new(config::client(&args.network, remote)));
    let patience = config::positive(args.network.headers_timeout).unwrap_or(verify::PATIENCE);
    StreamableHttp::new(client, remote.url().clone(), LARGEST_ANSWER, Some(patience))
}

fn kind(plan: &Plan) -> Kind {
    match plan.kind {
        Some(kind) => kind,
        None if plan.key.is_some() || plan.placement.is_some() => Kind::ApiKey,
        None => Kind::OAuth,
    }
}

fn api_key(
    kind: Kind,
    plan: &mut Plan,
    remote: &Remote,
    redactor: &Redactor,
) -> Result<Option<ApiKeyRecord>, Failure> {
    if kind == Kind::None {
        return Ok(None);
    }
    let key = match plan.key.take() {
        Some(key) => key,
        None => ask::secret(&format!("API key for {remote}: "))?,
    };
    redactor.learn(key.expose());
    let usage =
        |error: crate::credential::api_key::KeyError| Failure::new(Exit::Usage, error.to_string());
    let placement = match plan.placement.take() {
        Some(placement) => placement,
        None => Placement::new(None, None).map_err(usage)?,
    };
    placement.header(&key).map_err(usage)?;
    Ok(Some(ApiKeyRecord { placement, key }))
}

/// The credential to try, independent of what is stored already.
fn verification_plan(kind: Kind, plan: Plan, record: Option<&ApiKeyRecord>) -> Plan {
    Plan {
        kind: Some(kind),
        placement: record.map(|record| record.placement.clone()),
        key: record.map(|record| record.key.clone()),
        headers: plan.headers,
        oauth: plan.oauth,
    }
}

fn report(verified: &Verified, remote: &Remote, kind: Kind) {
    let tools = match verified.tools {
        Some(1) => "1 tool".to_owned(),
        Some(count) => format!("{count} tools"),
        None => "no list of tools".to_owned(),
    };
    say(&format!("verified: {remote} answers as {} and shows {tools}", verified.server));
    if kind == Kind::ApiKey && verified.open {
        say(&format!(
            "note: {remote} answers the same without a key, so this does not prove that the key is right"
        ));
    }
}

async fn store(
    vault: &Vault,
    remote: &Remote,
    kind: Kind,
    record: Option<&ApiKeyRecord>,
) -> Result<Kept, Failure> {
    let key = remote.record();
    let details = record.map_or_else(BTreeMap::new, ApiKeyRecord::details);
    let payload = record.map_or_else(|| Secret::new(Vec::new()), ApiKeyRecord::payload);
    let header = record_header(kind, remote, details, config::now());
    let _lock = vault.lock(&key, LOCK).await?;
    Ok(vault.write(&key, header, &payload, config::keychain_deadline()).await?)
}
