//! One verb per file. What a second verb needs lies below.

mod ask;
mod list;
mod login;
mod logout;
mod open;
mod run;
mod secret;
mod token;
mod verify;

pub use run::{refuse_command_line, refuse_start};

use crate::authorization::AuthorizationError;
use crate::cli::{Command, LogArgs, Misuse};
use crate::config;
use crate::failure::{Exit, Failure};
use crate::vault::{PassphraseError, Vault, VaultError};
use std::io::Write;
use std::time::Duration;

/// How long another keyferry may hold a record.
const LOCK: Duration = Duration::from_secs(30);

/// The logging flags of a command.
pub fn log_args(command: &Command) -> Option<&LogArgs> {
    match command {
        Command::Run(args) => Some(&args.log),
        Command::Login(args) => Some(&args.log),
        Command::Logout(args) => Some(&args.log),
        Command::List(args) => Some(&args.log),
        Command::Token(args) => Some(&args.log),
        Command::Secret(_) => None,
    }
}

/// Does what the command line asks for.
///
/// # Errors
/// A [`Failure`] for the person at the terminal; `run` itself fails only where there is no
/// standard input.
pub async fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(&args).await,
        Command::Login(args) => login::login(&args).await,
        Command::Logout(args) => logout::logout(&args).await,
        Command::List(args) => list::list(&args),
        Command::Token(args) => token::token(&args).await,
        Command::Secret(args) => secret::secret(&args.action).await,
    }
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        Self { exit: Exit::Usage, message: misuse.message, hints: misuse.hints }
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let exit = match error {
            VaultError::Passphrase(PassphraseError::Differ) => Exit::Usage,
            _ => Exit::Vault,
        };
        Self::new(exit, error.to_string()).hint(error.hint())
    }
}

impl From<AuthorizationError> for Failure {
    fn from(error: AuthorizationError) -> Self {
        Self::from_shared(&error)
    }
}

impl Failure {
    /// What a person sees of an error that others wait for, too.
    fn from_shared(error: &AuthorizationError) -> Self {
        match error {
            AuthorizationError::SignInNeeded { message, hint }
            | AuthorizationError::Refused { message, hint } => {
                Self::new(Exit::SignInNeeded, message).hint(hint)
            }
            AuthorizationError::Person(need) => {
                Self::new(Exit::SignInNeeded, &need.message).hint(&need.hint)
            }
            AuthorizationError::Unavailable { message } => Self::new(Exit::Network, message),
            AuthorizationError::Vault(error) => error.clone().into(),
        }
    }
}

/// Without a vault that lasts.
const KEY_EACH_TIME: &str =
    "or give the key to each run: keyferry <URL> --with api-key --secret-env VAR";

/// Refuses to take a secret that would be gone when this process ends, before anyone types it.
async fn must_last(vault: &Vault, in_memory: bool, otherwise: &str) -> Result<(), Failure> {
    if vault.lasting(config::keychain_deadline()).await? {
        return Ok(());
    }
    let why = if in_memory {
        "KEYFERRY_VAULT=memory keeps nothing beyond this process"
    } else {
        "there is no keychain here, so the secret would be lost at once"
    };
    Err(Failure::new(Exit::Vault, why)
        .hint("KEYFERRY_VAULT=passphrase with KEYFERRY_PASSPHRASE_FILE=PATH seals the vault with a passphrase")
        .hint("KEYFERRY_VAULT=plaintext keeps the key of the vault in a file beside it")
        .hint(otherwise))
}

/// Prints data, the only thing that goes to stdout outside of `run`.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        // Whoever reads has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot write the output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Tells a person something, on stderr.
fn say(text: &str) {
    // Where stderr is closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Seconds since 1970 as a date and time in UTC (RFC 3339).
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days, Howard Hinnant's algorithm, for days from 1970 on.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_shown_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_218_301, "2026-11-20T23:45:01Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }
}
