//! A secret from a person or a pipe; never from argv.

use crate::failure::{Exit, Failure};
use crate::secret::Secret;
use std::io::{IsTerminal, Read};

/// Longest secret that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// From a hidden prompt at a terminal, else the whole of stdin without its last line end.
///
/// # Errors
/// A usage failure if nothing comes.
pub(super) fn secret(prompt: &str) -> Result<Secret<String>, Failure> {
    let stdin = std::io::stdin();
    let text = if stdin.is_terminal() {
        rpassword::prompt_password(prompt).map(Secret::new)
    } else {
        let mut text = String::new();
        stdin.lock().take(LONGEST).read_to_string(&mut text).map(|_| Secret::new(text))
    };
    let text = text.map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the secret: {error}"))
            .hint("pipe it in, or use --secret-env VAR or --secret-file PATH")
    })?;
    let trimmed = text.expose().trim_end_matches(['\r', '\n']);
    if trimmed.is_empty() {
        return Err(Failure::new(Exit::Usage, "the secret is empty")
            .hint("pipe it in, or use --secret-env VAR or --secret-file PATH"));
    }
    Ok(Secret::new(trimmed.to_owned()))
}
