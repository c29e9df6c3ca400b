//! `keyferry login`: teaches the vault how to authenticate, after asking the remote.

mod oauth;
mod teach;

use super::open::Opening;
use super::verify::{self, Verified};
use super::{KEY_EACH_TIME, LOCK, must_last, say};
use crate::authorization::{
    Along, Asked, Authorization, Connection, Kind, Plan, Remote, Taught, record_header,
};
use crate::cli::LoginArgs;
use crate::config::{self, Asking, Reaching};
use crate::failure::Failure;
use crate::http::ClientCell;
use crate::secret::Redactor;
use crate::transport::StreamableHttp;
use crate::vault::{Kept, KeySource, RecordKey, Vault};
use std::sync::Arc;

/// Largest answer read while verifying, in bytes.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

pub(super) async fn login(args: &LoginArgs) -> Result<(), Failure> {
    let redactor = Arc::new(Redactor::default());
    let remote = config::remote(&args.remote)?;
    let filled = !args.no_verify;
    let asking = config::asking(&args.credential, &args.remote, &args.network, filled, &redactor)?;
    let kind = kind(&asking.plan);
    if kind.is_oauth() || asking.plan.oauth.enterprise.is_some() {
        return oauth::login(args, remote, asking, redactor).await;
    }
    let settings = config::vault(true, &config::secret_variables(&args.credential))?;
    let in_memory = matches!(settings.source, KeySource::Memory);
    let vault = Vault::new(settings);
    let open = Taught { kind: Some(kind), along: asking.along.clone(), ..Taught::default() };
    let import = args.credential.certificate.import_key;
    // Before anyone types a secret: one that could not be kept would be typed in vain.
    if !open.is_open() || import || in_memory {
        must_last(&vault, in_memory, KEY_EACH_TIME).await?;
    }
    let Asking { plan, along, headers } = asking;
    let mut taught = teach::taught(kind, plan, along, &remote, import, &redactor)?;
    let mut verified_by = None;
    if !args.no_verify {
        let plan = verification_plan(kind, &taught);
        let asking = Asking { plan, along: taught.along.clone(), headers };
        let (authorization, connection) = opened(args, vault.clone(), &remote, asking, redactor);
        let endpoint = endpoint(args, &connection);
        let verified = verify::verify(&endpoint, &authorization).await?;
        report(&verified, &remote, kind);
        // From now on its secret is for that one alone.
        if let (Some(recipe), Some(issuer)) = (&mut taught.recipe, authorization.found_issuer()) {
            recipe.bind(&issuer);
        }
        verified_by = Some(authorization);
    }
    keep(&vault, &remote, &taught).await?;
    if let (Some(authorization), Some(recipe)) = (verified_by, &taught.recipe) {
        authorization.share(recipe).await;
    }
    Ok(())
}

/// Stores what was taught, and says so.
async fn keep(vault: &Vault, remote: &Remote, taught: &Taught) -> Result<(), Failure> {
    let what = format!("{} for {remote} (account {})", taught.kind(), remote.account());
    match store(vault, remote, taught).await? {
        Kept::OnDisk => say(&format!("stored: {what}")),
        Kept::InMemory => {
            say(&format!("kept in memory only, gone when this process ends: {what}"));
        }
    }
    Ok(())
}

fn opened(
    args: &LoginArgs,
    vault: Vault,
    remote: &Remote,
    asking: Asking,
    redactor: Arc<Redactor>,
) -> (Authorization, Arc<Connection>) {
    Opening {
        vault,
        remote: remote.clone(),
        args: &args.remote,
        network: &args.network,
        credential: Some(&args.credential),
        asking,
        redactor,
        deadline: config::keychain_deadline(),
        reaching: Reaching { allowed: true, tell: say },
        teaches: true,
    }
    .open()
}

fn endpoint(args: &LoginArgs, connection: &Arc<Connection>) -> StreamableHttp {
    let client = Arc::new(ClientCell::new(config::client(&args.network, connection)));
    let patience = config::positive(args.network.headers_timeout).unwrap_or(verify::PATIENCE);
    let url = connection.remote().url().clone();
    StreamableHttp::new(client, url, LARGEST_ANSWER, Some(patience))
}

fn kind(plan: &Plan) -> Kind {
    match plan.kind {
        Some(kind) => kind,
        None if plan.key.is_some() || plan.placement.is_some() => Kind::ApiKey,
        None => Kind::OAuth,
    }
}

/// The credential to try, independent of what is stored already.
fn verification_plan(kind: Kind, taught: &Taught) -> Plan {
    Plan {
        kind: Some(kind),
        placement: taught.placement.clone(),
        key: taught.key.clone(),
        asked: taught
            .recipe
            .clone()
            .map_or(Asked::Nothing, |recipe| Asked::Whole(Box::new(recipe))),
        ..Plan::default()
    }
}

fn report(verified: &Verified, remote: &Remote, kind: Kind) {
    let tools = match verified.tools {
        Some(1) => "1 tool".to_owned(),
        Some(count) => format!("{count} tools"),
        None => "no list of tools".to_owned(),
    };
    say(&format!("verified: {remote} answers as {} and shows {tools}", verified.server));
    if kind != Kind::None && !kind.is_oauth() && verified.open {
        say(&format!(
            "note: {remote} answers the same without a credential, so this does not prove that it is right"
        ));
    }
}

async fn store(vault: &Vault, remote: &Remote, taught: &Taught) -> Result<Kept, Failure> {
    let key = remote.record();
    let header = record_header(taught.kind(), remote, taught.details(), config::now());
    let _lock = vault.lock(&key, LOCK).await?;
    // A token of what was taught before is of no use.
    let (url, account) = (remote.url().to_string(), remote.account().to_owned());
    vault.remove(&RecordKey::Minted { url, account })?;
    Ok(vault.write(&key, header, &taught.payload(), config::keychain_deadline()).await?)
}
