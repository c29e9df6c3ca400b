//! A secret from a person or a pipe; never from argv.

use crate::failure::{Exit, Failure};
use crate::secret::Secret;
use std::io::{BufRead, IsTerminal, Read, StdinLock, Take};
use std::sync::mpsc::channel;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long further lines may take to come.
const REST: Duration = Duration::from_millis(200);
/// Longest secret that is read, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// From a hidden prompt at a terminal, else the next line of stdin.
///
/// # Errors
/// A usage failure if nothing comes.
pub(super) fn secret(what: &str) -> Result<Secret<String>, Failure> {
    perhaps(what)?.ok_or_else(|| empty(what))
}

/// The same, where it may be missing.
///
/// # Errors
/// A usage failure if nothing can be read.
pub(super) fn perhaps(what: &str) -> Result<Option<Secret<String>>, Failure> {
    read(what, |stdin, text| stdin.read_line(text))
}

/// Nobody reads what stdin still has: a secret of several lines would be cut.
///
/// # Errors
/// A usage failure if there is something.
pub(super) fn nothing_left() -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Ok(());
    }
    // A pipe may stay open long after its last line.
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut rest = Zeroizing::new(Vec::new());
        let mut stdin = std::io::stdin().lock().take(LONGEST);
        while stdin.read_until(b'\n', &mut rest).is_ok_and(|read| read > 0) {
            if !rest.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        sender.send(rest.iter().all(u8::is_ascii_whitespace))
    });
    if receiver.recv_timeout(REST).unwrap_or(true) {
        return Ok(());
    }
    let message = "standard input has more lines than secrets are missing, of one line each";
    Err(Failure::new(Exit::Usage, message))
}

/// The same, but all of stdin: it may have several lines.
///
/// # Errors
/// A usage failure if nothing comes.
pub(super) fn text(what: &str) -> Result<Secret<String>, Failure> {
    read(what, |stdin, text| stdin.read_to_string(text))?.ok_or_else(|| empty(what))
}

fn read(
    what: &str,
    how: impl FnOnce(&mut Take<StdinLock<'static>>, &mut String) -> std::io::Result<usize>,
) -> Result<Option<Secret<String>>, Failure> {
    let stdin = std::io::stdin();
    let text = if stdin.is_terminal() {
        rpassword::prompt_password(format!("{what}: ")).map(Secret::new)
    } else {
        let mut text = Zeroizing::new(String::new());
        how(&mut stdin.lock().take(LONGEST), &mut text).map(|_| Secret::new(String::clone(&text)))
    };
    let text = text.map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot read the secret: {error}"))
            .hint("pipe it in, or use --secret-env VAR or --secret-file PATH")
    })?;
    let trimmed = text.expose().trim_end_matches(['\r', '\n']);
    Ok((!trimmed.is_empty()).then(|| Secret::new(trimmed.to_owned())))
}

fn empty(what: &str) -> Failure {
    Failure::new(Exit::Usage, format!("the secret is empty: {what}"))
        .hint("pipe it in, or use --secret-env VAR or --secret-file PATH")
}
