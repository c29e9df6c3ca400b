//! `keyferry login` with OAuth: in the browser, or with a code.

use super::{Along, Taught, endpoint, keep, opened, report, teach};
use crate::authorization::{
    Authorization, AuthorizationError, Cause, Kind, Origin, Remote, SignIn,
};
use crate::cli::LoginArgs;
use crate::commands::{ask, must_last, say, verify};
use crate::config::{self, Asking};
use crate::failure::{Exit, Failure};
use crate::secret::{Redactor, Secret};
use crate::transport::StreamableHttp;
use crate::vault::{KeySource, Vault};
use std::io::BufRead;
use std::sync::Arc;
use std::time::Duration;

/// Without a vault that lasts.
const EACH_TIME: &str = "or let each run sign in for itself: keyferry <URL>";
/// When a person begins to wonder.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn login(
    args: &LoginArgs,
    remote: Remote,
    mut asking: Asking,
    redactor: Arc<Redactor>,
) -> Result<(), Failure> {
    let settings = config::vault(true, &config::secret_variables(&args.credential))?;
    let in_memory = matches!(settings.source, KeySource::Memory);
    let vault = Vault::new(settings);
    must_last(&vault, in_memory, EACH_TIME).await?;
    let for_sign_in = asking.plan.oauth.enterprise.is_none();
    if args.client_secret && for_sign_in && asking.plan.oauth.client_secret.is_none() {
        let secret = ask::secret("client secret")?;
        redactor.learn(secret.expose());
        asking.plan.oauth.client_secret = Some(secret);
    }
    if let Some(grant) = &mut asking.plan.oauth.enterprise
        && grant.client_secret.is_none()
    {
        grant.client_secret = ask::perhaps("client secret, or nothing if the client has none")?;
        grant.client_secret.iter().for_each(|secret| redactor.learn(secret.expose()));
    }
    teach::ready(&mut asking.along, args.credential.certificate.import_key, &redactor)?;
    let (asked_for, along) = (asking.plan.kind.is_some(), asking.along.clone());
    let (authorization, connection) = opened(args, vault.clone(), &remote, asking, redactor);
    let endpoint = endpoint(args, &connection);
    let as_before = authorization.was_signed_in() && !authorization.teaches().await?;
    if !args.force && as_before && is_signed_in(args, &endpoint, &authorization).await? {
        say(&format!("already signed in to {}; anew: --force", remote.whom()));
        return Ok(());
    }
    if !asked_for
        && !authorization.was_signed_in()
        && is_open(args, &endpoint, &authorization).await
    {
        if along != Along::default() {
            let taught = Taught { kind: Some(Kind::None), along, ..Taught::default() };
            return keep(&vault, &remote, &taught).await;
        }
        say(&format!("{remote} answers without a sign-in; to sign in all the same: --with oauth"));
        return Ok(());
    }
    sign_in(args, &authorization).await?;
    let identity = authorization.identity().map(|who| format!(" as {who}"));
    say(&format!("signed in to {}{}", remote.whom(), identity.unwrap_or_default()));
    if !args.no_verify {
        let verified = still_waiting(&remote, verify::verify(&endpoint, &authorization)).await;
        report(&verified.map_err(stored_all_the_same)?, &remote, Kind::OAuth);
    }
    Ok(())
}

/// Whether what is stored still works, renewed if need be.
async fn is_signed_in(
    args: &LoginArgs,
    endpoint: &StreamableHttp,
    authorization: &Authorization,
) -> Result<bool, Failure> {
    match authorization.credential().await {
        Ok(credential) if matches!(credential.origin, Origin::Token | Origin::Made) => {}
        Ok(_) => return Ok(false),
        Err(AuthorizationError::Person(_)) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    if args.no_verify {
        return Ok(true);
    }
    match verify::verify(endpoint, authorization).await {
        Ok(verified) => {
            report(&verified, authorization.remote(), Kind::OAuth);
            Ok(true)
        }
        Err(failure) if failure.exit == Exit::SignInNeeded => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether the remote wants no sign-in at all.
async fn is_open(
    args: &LoginArgs,
    endpoint: &StreamableHttp,
    authorization: &Authorization,
) -> bool {
    let asking = verify::is_open(endpoint, authorization);
    !args.force && still_waiting(authorization.remote(), asking).await
}

async fn sign_in(args: &LoginArgs, authorization: &Authorization) -> Result<(), Failure> {
    let need = authorization.login_need().await;
    let mut signing = authorization
        .sign_in(&need, Cause::Person)
        .map_err(|need| Failure::new(Exit::SignInNeeded, need.message).hint(need.hint))?;
    let known = still_waiting(authorization.remote(), signing.link_known()).await;
    if args.credential.oauth.no_browser && known.is_some_and(|link| link.user_code.is_none()) {
        say(
            "with a browser on another machine: paste the address it ends at here, and press Enter",
        );
        read_addresses(signing.clone());
    }
    signing.finished().await.map_err(|error| Failure::from_shared(&error))
}

/// Says so if the remote, or its authorization server, takes long.
async fn still_waiting<T>(remote: &Remote, asking: impl Future<Output = T>) -> T {
    let mut asking = std::pin::pin!(asking);
    match tokio::time::timeout(PATIENCE, &mut asking).await {
        Ok(done) => done,
        Err(_) => {
            say(&format!("still waiting for {remote} and its authorization server ..."));
            asking.await
        }
    }
}

/// Each line of stdin is an address that a browser ended at. The thread ends with the process.
fn read_addresses(signing: SignIn) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            match line {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => signing.paste(Secret::new(line)),
                Err(_) => return,
            }
        }
    });
}

fn stored_all_the_same(failure: Failure) -> Failure {
    let message = format!("the sign-in is stored, but {}", failure.message);
    let mut hints = failure.hints;
    hints.retain(|hint| !hint.starts_with(verify::NOTHING_STORED) && !hint.contains("--no-verify"));
    Failure { message, hints, ..failure }
}
