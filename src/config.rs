//! Flags and environment -> what is meant. The only reader of the environment.

mod along;
mod headers;
mod kinds;
mod oauth;
mod person;

pub use along::{Asking, asking, client, connection};
pub use person::{Reaching, sign_in};

use crate::authorization::{Kind, Plan, Remote, RemoteError};
use crate::cli::{CredentialArgs, LogArgs, RemoteArgs, WithArg};
use crate::credential::api_key::Placement;
use crate::credential::template::unfilled;
use crate::failure::{Exit, Failure};
use crate::secret::{Redactor, Secret};
use crate::vault::{KeySource, PassphraseFrom, Settings as VaultSettings};
use directories::{BaseDirs, ProjectDirs};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

/// Longest file that a flag may name, in bytes.
const LONGEST_FILE: u64 = 4 * 1024 * 1024;
/// How long one may take: a pipe may have nobody who writes to it.
const FILE: Duration = Duration::from_secs(5);

/// A variable of the environment; an empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "the one reader of the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Seconds since 1970, read once at the edge.
#[expect(clippy::disallowed_methods, reason = "the one reader of the clock")]
pub fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The remote that the arguments name.
///
/// # Errors
/// A usage failure for an unusable URL.
pub fn remote(args: &RemoteArgs) -> Result<Remote, Failure> {
    Remote::new(&args.url, &args.account, args.allow_http).map_err(|error| {
        let failure = Failure::new(Exit::Usage, error.to_string());
        match error {
            RemoteError::NoUrl(_) => failure.hint("keyferry https://example.com/mcp"),
            RemoteError::Credentials => failure.hint(
                "take them out of the URL and teach them: keyferry login <URL> --with api-key",
            ),
            RemoteError::Clear(_) => {
                failure.hint("use https, or add --allow-http if you trust the network")
            }
        }
    })
}

/// Where the vault is and what opens it. `hidden` are variables that no child may see.
///
/// # Errors
/// A usage failure for an unknown `KEYFERRY_VAULT`, or where no home can be found.
pub fn vault(interactive: bool, hidden: &[String]) -> Result<VaultSettings, Failure> {
    let data = data_directory()?;
    let source = match variable("KEYFERRY_VAULT").as_deref() {
        None | Some("keychain") => KeySource::Keychain,
        Some("passphrase") => KeySource::Passphrase(passphrase(interactive, hidden)),
        Some("memory") => KeySource::Memory,
        Some("plaintext") => KeySource::Plaintext,
        Some(other) => {
            let message = format!("KEYFERRY_VAULT is '{other}'");
            return Err(Failure::new(Exit::Usage, message)
                .hint("KEYFERRY_VAULT is one of keychain, passphrase, memory, plaintext"));
        }
    };
    Ok(VaultSettings {
        directory: data.join("vault"),
        locks: data.join("locks"),
        source,
        service: "keyferry".into(),
    })
}

/// Variables with secrets that flags name.
pub fn secret_variables(args: &CredentialArgs) -> Vec<String> {
    let kinds = &args.kinds;
    let all = [&args.secret_env, &kinds.idp_secret_env, &kinds.id_token_env];
    all.into_iter().flatten().cloned().collect()
}

/// How long the key of the vault may take to come: a person may have to type a password
/// first, and a passphrase command has 10 s.
pub fn keychain_deadline() -> Duration {
    let person = std::io::stdin().is_terminal() || std::io::stderr().is_terminal();
    let passphrase = variable("KEYFERRY_VAULT").as_deref() == Some("passphrase");
    Duration::from_secs(match (person, passphrase) {
        (true, _) => 60,
        (false, true) => 15,
        (false, false) => 3,
    })
}

fn passphrase(interactive: bool, hidden: &[String]) -> PassphraseFrom {
    if let Some(path) = variable("KEYFERRY_PASSPHRASE_FILE") {
        return PassphraseFrom::File(path.into());
    }
    if let Some(command) = variable("KEYFERRY_PASSPHRASE_COMMAND") {
        let hidden = hidden.to_vec();
        return PassphraseFrom::Command { line: command, hidden };
    }
    if let Some(passphrase) = variable("KEYFERRY_PASSPHRASE") {
        return PassphraseFrom::Given(Secret::new(passphrase));
    }
    if interactive && std::io::stdin().is_terminal() {
        return PassphraseFrom::Ask(|| {
            rpassword::prompt_password("passphrase of the keyferry vault: ").map(Secret::new)
        });
    }
    PassphraseFrom::Nowhere
}

fn data_directory() -> Result<PathBuf, Failure> {
    if let Some(home) = variable("KEYFERRY_HOME") {
        return Ok(home.into());
    }
    // Clients packaged as MSIX show their children a private copy of AppData.
    let found = if cfg!(windows) {
        BaseDirs::new().map(|base| base.home_dir().join(".keyferry"))
    } else {
        ProjectDirs::from("", "", "keyferry").map(|project| project.data_dir().to_owned())
    };
    found.ok_or_else(|| {
        Failure::new(Exit::Failed, "this user has no home directory")
            .hint("set KEYFERRY_HOME to a directory of your own")
    })
}

/// What the credential flags ask for.
///
/// # Errors
/// A usage failure that names the flag or reference at fault.
fn plan(args: &CredentialArgs, allow_http: bool, redactor: &Redactor) -> Result<Plan, Failure> {
    let placed = args.key_header.is_some() || args.key_scheme.is_some();
    let placement = Placement::new(args.key_header.as_deref(), args.key_scheme.as_deref())
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    let kind = kind(args);
    kinds::check(&args.kinds, kind, allow_http)?;
    let secret = secret(args.secret_env.as_deref(), args.secret_file.as_deref())?;
    if kind == Some(Kind::None) && (secret.is_some() || placed) {
        return Err(Failure::new(Exit::Usage, "--with none takes no key"));
    }
    if let Some(secret) = &secret {
        redactor.learn(secret.expose());
    }
    let is_oauth = kind.is_some_and(Kind::is_oauth);
    let is_placed = kind.is_none_or(|kind| {
        matches!(kind, Kind::ApiKey | Kind::Jwt | Kind::Password | Kind::Command)
    });
    if placed && !is_placed {
        return Err(Failure::new(
            Exit::Usage,
            "--key-header and --key-scheme are for keys, not for tokens of an authorization server",
        ));
    }
    let client_secret = secret.as_ref().filter(|_| is_oauth);
    let oauth = oauth::plan(&args.oauth, args.with, client_secret, redactor)?;
    if let Some(kind) = kind.filter(|kind| kind.is_made()) {
        let given = kinds::Given { args, oauth, placement, secret, redactor };
        let (asked, wanted) = kinds::asked(kind, given)?;
        let (asked, oauth) = kinds::by_sign_in(asked);
        return Ok(Plan { kind: Some(kind), asked, wanted, oauth, ..Plan::default() });
    }
    // With OAuth the secret is the client's, and no key.
    let key = secret.filter(|_| !is_oauth);
    Ok(Plan { kind, placement: placed.then_some(placement), key, oauth, ..Plan::default() })
}

fn kind(args: &CredentialArgs) -> Option<Kind> {
    let with = args.with.map(|with| match with {
        WithArg::Oauth if args.oauth.device_code => Kind::Device,
        WithArg::Oauth => Kind::OAuth,
        WithArg::Device => Kind::Device,
        WithArg::ApiKey => Kind::ApiKey,
        WithArg::ClientCredentials => Kind::ClientCredentials,
        WithArg::JwtBearer => Kind::JwtBearer,
        WithArg::Enterprise => Kind::Enterprise,
        WithArg::Jwt => Kind::Jwt,
        WithArg::Password => Kind::Password,
        WithArg::CloudflareAccess => Kind::CloudflareAccess,
        WithArg::Command => Kind::Command,
        WithArg::None => Kind::None,
    });
    // What only OAuth knows asks for it.
    with.or_else(|| match oauth::is_asked_for(&args.oauth) {
        true if args.oauth.device_code => Some(Kind::Device),
        true => Some(Kind::OAuth),
        false => None,
    })
}

/// The secret that `--secret-env` or `--secret-file` names.
///
/// # Errors
/// A usage failure if it is not there, empty, or a placeholder that was left unfilled.
pub fn secret(name: Option<&str>, file: Option<&Path>) -> Result<Option<Secret<String>>, Failure> {
    named_secret(name, file, "--secret-env")
}

/// The same for another pair of flags, `--X-env` and `--X-file`.
fn named_secret(
    name: Option<&str>,
    file: Option<&Path>,
    flag: &str,
) -> Result<Option<Secret<String>>, Failure> {
    let value = match (name, file) {
        (Some(name), _) => variable(name).ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                format!("the environment variable {name} of {flag} is not set"),
            )
        })?,
        (None, Some(path)) => read(path, &flag.replace("-env", "-file"))?,
        (None, None) => return Ok(None),
    };
    let value = value.trim_end_matches(['\r', '\n']).to_owned();
    if value.is_empty() {
        return Err(Failure::new(Exit::Usage, "the secret is empty"));
    }
    if let Some(placeholder) = unfilled(&value) {
        let message =
            format!("the secret is the placeholder {placeholder}, which the client left unfilled");
        return Err(Failure::new(Exit::Usage, message).hint("fill it in the client's settings"));
    }
    Ok(Some(Secret::new(value)))
}

fn read(path: &Path, what: &str) -> Result<String, Failure> {
    let (sender, receiver) = channel();
    let file = path.to_owned();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = std::fs::File::open(file)
            .and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text));
        sender.send(read.map(|_| text))
    });
    let failed = |why: String| {
        Failure::new(Exit::Usage, format!("cannot read {what} {}: {why}", path.display()))
    };
    match receiver.recv_timeout(FILE) {
        Ok(read) => read.map_err(|error| failed(error.to_string())),
        Err(_) => Err(failed("nothing came out of it".to_owned())),
    }
}

/// Zero means no limit, as in mcp-remote.
pub fn positive(seconds: Option<f64>) -> Option<Duration> {
    seconds.filter(|seconds| *seconds > 0.0).map(Duration::from_secs_f64)
}

/// The level from flags, else from `KEYFERRY_LOG`, else `default`; and the log file.
pub fn logging(args: &LogArgs, default: tracing::Level) -> (tracing::Level, Option<PathBuf>) {
    let level = match args {
        LogArgs { debug: true, .. } => Some(tracing::Level::DEBUG),
        LogArgs { silent: true, .. } => Some(tracing::Level::ERROR),
        LogArgs { log_level, .. } => *log_level,
    };
    let from_environment = || variable("KEYFERRY_LOG").and_then(|level| level.parse().ok());
    (level.or_else(from_environment).unwrap_or(default), args.log_file.clone())
}
