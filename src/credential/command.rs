//! Another tool that holds the secret, and prints a token or headers.

mod output;
mod process;
#[cfg(test)]
#[cfg(unix)]
mod tests;

use super::Minted;
use super::api_key::Placement;
use super::details::placed;
use super::words::Words;
use process::{Ended, Trouble};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// `--command-timeout` unless it is given, in seconds.
pub const DEFAULT_TIMEOUT: f64 = 10.0;

/// A program and its arguments, run without a shell.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    pub program: String,
    /// May hold what is secret.
    pub args: Vec<String>,
    pub timeout_seconds: f64,
    /// Where a token goes.
    pub placement: Placement,
}

/// Why a command gave nothing to send. What it printed is in none of them.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    /// Nothing of that name, on the search path where it is a bare name.
    #[error("there is no program '{program}'")]
    NotFound { program: String },
    #[error("'{program}' cannot be run: {why}")]
    Broken { program: String, why: String },
    /// `ending`: its exit code or signal. `said`: the last line of its stderr.
    #[error("'{program}' failed ({ending})")]
    Failed { program: String, ending: String, said: Words },
    /// It was killed, on unix with its children.
    #[error("'{program}' has not ended within {seconds} s")]
    Late { program: String, seconds: f64, said: Words },
    #[error("'{program}' printed {why}")]
    Unusable { program: String, why: String },
}

impl CommandError {
    /// The last line of its stderr, not cleaned.
    pub fn said(&self) -> Option<&str> {
        match self {
            Self::Failed { said, .. } | Self::Late { said, .. } => {
                Some(said.as_str()).filter(|said| !said.is_empty())
            }
            _ => None,
        }
    }
}

impl Command {
    /// What `list` shows.
    pub fn details(&self) -> BTreeMap<String, Value> {
        placed(
            &self.placement,
            [("command", json!(self.program)), ("arguments", json!(self.args.len()))],
        )
    }

    /// Runs it once, without `hidden_variables` in its environment and without a stdin. It is
    /// killed at its timeout and when the future is dropped, on unix with its children. `now`
    /// in seconds since 1970.
    ///
    /// # Errors
    /// [`CommandError`] naming the program.
    pub async fn run(&self, hidden_variables: &[String], now: u64) -> Result<Minted, CommandError> {
        let program = self.program.clone();
        let limit = self.limit();
        match process::run(&self.program, &self.args, hidden_variables, limit).await {
            Ok(Ended { status, stdout, .. }) if status.success() => {
                output::minted(stdout.expose(), &self.placement, now)
                    .map_err(|why| CommandError::Unusable { program, why })
            }
            Ok(Ended { status, said, .. }) => {
                Err(CommandError::Failed { program, ending: process::ending(status), said })
            }
            Err(Trouble::NotFound) => Err(CommandError::NotFound { program }),
            Err(Trouble::Io(error)) => {
                Err(CommandError::Broken { program, why: error.to_string() })
            }
            Err(Trouble::TooMuch) => {
                Err(CommandError::Unusable { program, why: "more than 1 MiB".to_owned() })
            }
            Err(Trouble::Late { said }) => {
                Err(CommandError::Late { program, seconds: limit.as_secs_f64(), said })
            }
        }
    }

    fn limit(&self) -> Duration {
        Duration::try_from_secs_f64(self.timeout_seconds)
            .ok()
            .filter(|limit| !limit.is_zero())
            .unwrap_or(Duration::from_secs_f64(DEFAULT_TIMEOUT))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("arguments", &self.args.len())
            .field("timeout_seconds", &self.timeout_seconds)
            .field("placement", &self.placement)
            .finish()
    }
}
