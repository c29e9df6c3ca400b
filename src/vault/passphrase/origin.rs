//! Where a passphrase comes from.

use crate::secret::Secret;
use crate::vault::error::PassphraseError;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use zeroize::Zeroize;

/// How long a passphrase command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
const MAX_BYTES: u64 = 64 * 1024;
/// What a child never gets.
const PASSPHRASE_VARIABLES: [&str; 3] =
    ["KEYFERRY_PASSPHRASE", "KEYFERRY_PASSPHRASE_FILE", "KEYFERRY_PASSPHRASE_COMMAND"];

/// Where the passphrase comes from. It is always one line.
pub enum PassphraseFrom {
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a command prints within 10 s. It is split at blanks, with single
    /// and double quotes but no escapes, and run without a shell and without the variables
    /// that hold secrets: those of the passphrase, and `hidden`.
    Command {
        line: String,
        hidden: Vec<String>,
    },
    /// Itself.
    Given(Secret<String>),
    /// A person at a terminal.
    Ask(fn() -> io::Result<Secret<String>>),
    Nowhere,
}

impl PassphraseFrom {
    /// The passphrase. May block: on a person, or up to 10 s on the command.
    pub(super) fn obtain(&self) -> Result<Secret<String>, PassphraseError> {
        let passphrase = match self {
            Self::File(path) => from_file(path)?,
            Self::Command { line, hidden } => from_command(line, hidden, COMMAND_LIMIT)?,
            Self::Given(passphrase) => passphrase.clone(),
            Self::Ask(ask) => ask().map_err(|error| PassphraseError::Unreadable {
                source_name: "the terminal".to_owned(),
                why: error.to_string(),
            })?,
            Self::Nowhere => return Err(PassphraseError::Missing),
        };
        if passphrase.expose().is_empty() {
            return Err(PassphraseError::Empty);
        }
        Ok(passphrase)
    }

    /// As [`Self::obtain`]; a person is asked twice, since a slip would lose the vault.
    pub(super) fn obtain_new(&self) -> Result<Secret<String>, PassphraseError> {
        let passphrase = self.obtain()?;
        if matches!(self, Self::Ask(_)) && self.obtain()?.expose() != passphrase.expose() {
            return Err(PassphraseError::Differ);
        }
        Ok(passphrase)
    }
}

fn from_file(path: &Path) -> Result<Secret<String>, PassphraseError> {
    let unreadable =
        |why: String| PassphraseError::Unreadable { source_name: path.display().to_string(), why };
    let file = File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let bytes = read_bounded(file).map_err(|error| unreadable(error.to_string()))?;
    first_line(&bytes).ok_or_else(|| unreadable("it is not UTF-8".to_owned()))
}

fn from_command(
    line: &str,
    hidden: &[String],
    limit: Duration,
) -> Result<Secret<String>, PassphraseError> {
    let failed = |why: String| PassphraseError::Command { why };
    let words = split(line).ok_or_else(|| failed("has a quote that is not closed".to_owned()))?;
    let (program, arguments) = words.split_first().ok_or_else(|| failed("is empty".to_owned()))?;
    let mut command = Command::new(program);
    // No stderr either: what a secret helper says there may be a secret.
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    for variable in PASSPHRASE_VARIABLES.into_iter().chain(hidden.iter().map(String::as_str)) {
        command.env_remove(variable);
    }
    let mut child =
        command.spawn().map_err(|error| failed(format!("cannot be started: {error}")))?;
    let answer = answer_of(&mut child, Instant::now() + limit);
    if answer.is_err() {
        // It may have ended in between; either way nothing is left of it.
        let _ = child.kill();
        let _ = child.wait();
    }
    answer.map_err(failed)
}

fn answer_of(child: &mut Child, until: Instant) -> Result<Secret<String>, String> {
    let late = || "has not ended in time".to_owned();
    let left = || until.saturating_duration_since(Instant::now());
    let stdout = child.stdout.take().ok_or_else(late)?;
    let (send, receive) = mpsc::channel();
    // A thread of its own, as a grandchild may keep the pipe open for ever.
    std::thread::Builder::new()
        .name("passphrase-command".to_owned())
        .spawn(move || send.send(read_bounded(stdout)))
        .map_err(|error| error.to_string())?;
    let bytes =
        receive.recv_timeout(left()).map_err(|_| late())?.map_err(|error| error.to_string())?;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if left().is_zero() => return Err(late()),
            None => std::thread::sleep(POLL),
        }
    };
    if !status.success() {
        return Err(format!("failed ({status})"));
    }
    first_line(&bytes).ok_or_else(|| "printed something that is not UTF-8".to_owned())
}

fn read_bounded(from: impl Read) -> io::Result<Secret<Vec<u8>>> {
    // Its full size at once: a vector that grows would leave clear copies behind.
    let mut bytes = Vec::with_capacity(MAX_BYTES as usize + 1);
    match from.take(MAX_BYTES).read_to_end(&mut bytes) {
        Ok(_) => Ok(Secret::new(bytes)),
        Err(error) => {
            bytes.zeroize();
            Err(error)
        }
    }
}

fn first_line(bytes: &Secret<Vec<u8>>) -> Option<Secret<String>> {
    let line = bytes.expose().split(|&byte| byte == b'\n').next()?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    std::str::from_utf8(line).ok().map(|line| Secret::new(line.to_owned()))
}

/// Splits at blanks outside quotes; `None` if a quote is not closed. A backslash is itself,
/// as in Windows paths.
fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_at_blanks_outside_quotes() {
        let words = |line| split(line).unwrap();
        assert_eq!(words("pass show  keyferry "), ["pass", "show", "keyferry"]);
        assert_eq!(words(r#"'/a b/c' "d 'e'" f"g h"i """#), ["/a b/c", "d 'e'", "fg hi", ""]);
        assert_eq!(words(r"C:\bin\pass.exe x"), [r"C:\bin\pass.exe", "x"]);
        assert!(words("  ").is_empty());
        assert!(split("a 'b").is_none());
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("passphrase");
        std::fs::write(&path, "open sesame \r\nsecond").unwrap();
        let from = PassphraseFrom::File(path.clone());
        assert_eq!(from.obtain().unwrap().expose(), "open sesame ");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(from.obtain(), Err(PassphraseError::Empty)));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(from.obtain(), Err(PassphraseError::Unreadable { .. })));
    }

    #[test]
    fn a_new_passphrase_is_asked_for_twice() {
        use std::sync::atomic::{AtomicU32, Ordering};
        static ASKED: AtomicU32 = AtomicU32::new(0);
        let ask = PassphraseFrom::Ask(|| {
            let number = ASKED.fetch_add(1, Ordering::Relaxed);
            Ok(Secret::new(number.to_string()))
        });
        assert!(matches!(ask.obtain_new(), Err(PassphraseError::Differ)));
        assert_eq!(ASKED.load(Ordering::Relaxed), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_command_gives_its_first_line_or_its_failure() {
        let run = |line: &str, limit| from_command(line, &[], Duration::from_millis(limit));
        let line = run("printf 'open sesame\\nsecond'", 10_000).unwrap();
        assert_eq!(line.expose(), "open sesame");
        for (line, limit, why) in [
            ("false", 10_000, "failed (exit status: 1)"),
            ("sleep 60", 50, "has not ended in time"),
            ("sh -c 'echo x; exec >&-; sleep 60'", 200, "has not ended in time"),
            ("", 10_000, "is empty"),
            ("/nowhere/x", 10_000, "cannot be started: No such file or directory (os error 2)"),
        ] {
            let error = run(line, limit).unwrap_err();
            assert_eq!(error.to_string(), format!("the passphrase command {why}"));
        }
    }
}
