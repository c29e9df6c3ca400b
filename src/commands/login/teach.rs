//! What `login` teaches of everything but a sign-in with OAuth: the secrets that the flags
//! leave open, and keys taken into the vault.

use crate::authorization::{Along, Asked, ClientCertificate, Kind, Plan, Remote, Taught};
use crate::commands::ask;
use crate::credential::api_key::{KeyError, Placement};
use crate::credential::key_file::KeyFile;
use crate::failure::{Exit, Failure};
use crate::pem::{self, PrivateKey};
use crate::secret::{Redactor, Secret};
use std::path::Path;

/// All of it, asked for where it is missing: first the secret, then passphrases.
///
/// # Errors
/// A usage failure for what cannot be used, or a flag that is missing.
pub(super) fn taught(
    kind: Kind,
    plan: Plan,
    along: Along,
    remote: &Remote,
    import: bool,
    redactor: &Redactor,
) -> Result<Taught, Failure> {
    let mut taught = Taught { kind: Some(kind), along, ..Taught::default() };
    let lacks_key = kind == Kind::ApiKey && plan.key.is_none();
    let asked = lacks_key || matches!(plan.asked, Asked::LacksSecret { .. });
    match plan.asked {
        Asked::LacksFlag(flag) => {
            return Err(Failure::new(Exit::Usage, format!("--with {kind} needs {flag}")));
        }
        Asked::LacksSecret { finish, what, otherwise } => {
            let prompt = format!("{what}, for {remote}");
            let secret = match &otherwise {
                Some(_) => ask::perhaps(&prompt)?,
                None => Some(ask::secret(&prompt)?),
            };
            taught.recipe = secret.map(|secret| {
                redactor.learn(secret.expose());
                finish(secret)
            });
            taught.recipe = taught.recipe.or(otherwise.map(|recipe| *recipe));
        }
        Asked::Whole(recipe) => taught.recipe = Some(*recipe),
        Asked::Nothing if kind == Kind::ApiKey => {
            let key = match plan.key {
                Some(key) => key,
                None => ask::secret(&format!("API key for {remote}"))?,
            };
            redactor.learn(key.expose());
            let usage = |error: KeyError| Failure::new(Exit::Usage, error.to_string());
            let placement = plan.placement.map_or_else(|| Placement::new(None, None), Ok);
            let placement = placement.map_err(usage)?;
            placement.header(&key).map_err(usage)?;
            (taught.key, taught.placement) = (Some(key), Some(placement));
        }
        Asked::Nothing => {}
    }
    if let Some(recipe) = &mut taught.recipe
        && let Some(file) = recipe.key_file()
        && let Some(key) = ready_key(file, import, redactor)?
    {
        recipe.signs_with(&key).map_err(usage)?;
    }
    ready(&mut taught.along, import, redactor)?;
    if asked {
        ask::nothing_left()?;
    }
    Ok(taught)
}

/// The client certificate, with its passphrase; taken into the vault with `import`.
///
/// # Errors
/// A usage failure if a file is of no use.
pub(super) fn ready(along: &mut Along, import: bool, redactor: &Redactor) -> Result<(), Failure> {
    let Some(certificate) = &mut along.certificate else { return Ok(()) };
    let ClientCertificate { path, imported, key, subject, expires_at } = certificate;
    let of_no_use =
        |why: String| usage(format!("the client certificate {}: {why}", path.display()));
    let text = std::fs::read(&path).map_err(|error| of_no_use(error.to_string()))?;
    let text = Secret::new(text);
    let found = pem::certificate(text.expose()).map_err(|error| of_no_use(error.to_string()))?;
    (*subject, *expires_at) = (found.subject, found.not_after);
    if key.path.is_none() {
        // It stands in the certificate's own file.
        let mut own = KeyFile { path: Some(path.clone()), ..KeyFile::default() };
        ready_key(&mut own, import, redactor).map_err(|failure| {
            failure.hint("where the key is in another file: --client-key PEM")
        })?;
        *key = own;
    } else {
        ready_key(key, import, redactor)?;
    }
    if import {
        let pem = String::from_utf8_lossy(&pem::certificates(text.expose())).into_owned();
        *imported = Some(Secret::new(pem));
    }
    Ok(())
}

/// A key that can be used without anybody.
fn ready_key(
    file: &mut KeyFile,
    import: bool,
    redactor: &Redactor,
) -> Result<Option<PrivateKey>, Failure> {
    let Some(path) = file.path.clone() else { return Ok(None) };
    let text = Secret::new(std::fs::read(&path).map_err(|error| of_key(&path, &error))?);
    if pem::needs_passphrase(text.expose()) && file.passphrase.is_none() {
        let passphrase = ask::secret(&format!("passphrase of {}", path.display()))?;
        redactor.learn(passphrase.expose());
        file.passphrase = Some(passphrase);
    }
    let key = pem::private_key(&text, file.passphrase.as_ref());
    let key = key.map_err(|error| of_key(&path, &error))?;
    if import {
        let pem = String::from_utf8_lossy(key.to_pem().expose()).into_owned();
        *file = KeyFile { imported: Some(Secret::new(pem)), ..KeyFile::default() };
    }
    Ok(Some(key))
}

fn of_key(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    usage(format!("the private key {}: {why}", path.display()))
}

fn usage(message: String) -> Failure {
    Failure::new(Exit::Usage, message)
}
