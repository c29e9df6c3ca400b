//! What can go wrong with the vault, named for the decision it causes, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Why the vault could not do what was asked.
///
/// Clones are cheap: the same answer of a keychain goes to every caller that waited for it.
/// No text in here holds a secret.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// This machine or session has no keychain at all.
    #[error("there is no keychain here: {why}")]
    Absent { why: String },
    /// There is a keychain and it is locked.
    #[error("the keychain is locked: {why}")]
    Locked { why: String },
    /// There is a keychain and it refuses, or does not keep what it is given.
    #[error("the keychain refused: {why}")]
    Denied { why: String },
    /// No answer within the deadline. The question stays open; a late answer is used.
    #[error("{what} has not answered within {}", seconds(.waited))]
    Hung { what: String, waited: Duration },
    /// Sealed records exist that the key of the present source cannot open.
    #[error("{why}")]
    WrongKey {
        why: String,
        /// The source that sealed them (a value of `KEYFERRY_VAULT`).
        sealed_by: String,
        /// The source in use.
        in_use: String,
    },
    /// A file of the vault is damaged.
    #[error("{} is damaged: {why}", .file.display())]
    Corrupt { file: PathBuf, why: String },
    /// A file or directory is open to others, belongs to someone else, or is a link.
    #[error("{} is not safe to use: {why}", .path.display())]
    Unsafe { path: PathBuf, why: String },
    /// The operating system said no.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io { doing: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// Another process holds the lock, and the wait is over.
    #[error("another keyferry has held {} for more than {}", .path.display(), seconds(.waited))]
    Busy { path: PathBuf, waited: Duration },
    /// The passphrase is missing, wrong, or could not be had.
    #[error("{0}")]
    Passphrase(#[from] PassphraseError),
}

/// What is wrong with the passphrase.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    #[error("the vault needs its passphrase and there is nowhere to get it from")]
    Missing,
    #[error("the passphrase is empty")]
    Empty,
    #[error("the passphrase is wrong")]
    Wrong,
    #[error("the two passphrases differ")]
    Differ,
    #[error("cannot read the passphrase from {source_name}: {why}")]
    Unreadable { source_name: String, why: String },
    #[error("the passphrase command {why}")]
    Command { why: String },
}

impl VaultError {
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn corrupt(file: &Path, why: impl Into<String>) -> Self {
        Self::Corrupt { file: file.to_owned(), why: why.into() }
    }

    pub(super) fn not_safe(path: &Path, why: impl Into<String>) -> Self {
        Self::Unsafe { path: path.to_owned(), why: why.into() }
    }

    /// What to do next: an exact command or variable, for the line after the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Absent { .. } => OTHER_SOURCES.to_owned(),
            Self::Locked { .. } => format!("{UNLOCK}, then try again; or {OTHER_SOURCES}"),
            Self::Denied { .. } => {
                format!("allow keyferry to use the keychain ({UNLOCK}), or {OTHER_SOURCES}")
            }
            Self::Hung { what, .. } if what.contains("passphrase") => {
                "run the command of KEYFERRY_PASSPHRASE_COMMAND by hand and see how long it takes".to_owned()
            }
            Self::Hung { .. } => format!(
                "look for a keychain prompt that waits for an answer, or end and start the keychain's service; or {OTHER_SOURCES}"
            ),
            Self::WrongKey {
                sealed_by, in_use, ..
            } => wrong_key_hint(sealed_by, in_use),
            Self::Corrupt { file, .. } => format!(
                "teach it again with `keyferry login <URL> --with api-key`, which replaces the record; or move {} away",
                file.display()
            ),
            Self::Unsafe { path, .. } => format!(
                "make {} a file or directory of your own that nobody else can open, or set KEYFERRY_HOME to a directory of your own",
                path.display()
            ),
            Self::Io { .. } => {
                "check the disk and the permissions there, or set KEYFERRY_HOME to another directory".to_owned()
            }
            Self::Busy { .. } => {
                "wait for the other keyferry to finish (a sign-in, perhaps), or end it".to_owned()
            }
            Self::Passphrase(error) => error.hint(),
        }
    }
}

impl PassphraseError {
    fn hint(&self) -> String {
        match self {
            Self::Missing | Self::Empty => {
                "set KEYFERRY_PASSPHRASE_FILE to a file that holds the passphrase, or KEYFERRY_PASSPHRASE_COMMAND to a command that prints it".to_owned()
            }
            Self::Wrong => {
                "check KEYFERRY_PASSPHRASE_FILE, KEYFERRY_PASSPHRASE_COMMAND or KEYFERRY_PASSPHRASE; a lost passphrase cannot be recovered: `keyferry logout <URL>` (or `keyferry secret rm <NAME>`) for every entry of `keyferry list`, then `keyferry login <URL> --with api-key`".to_owned()
            }
            Self::Differ => "run the command again and type the same passphrase twice".to_owned(),
            Self::Unreadable { .. } => {
                "set KEYFERRY_PASSPHRASE_FILE to a file that you can read and whose first line is the passphrase".to_owned()
            }
            Self::Command { .. } => {
                "run the command of KEYFERRY_PASSPHRASE_COMMAND by hand: the first line it prints is the passphrase".to_owned()
            }
        }
    }
}

/// The ways to keep records without a keychain, as one phrase.
pub(super) const OTHER_SOURCES: &str = "set KEYFERRY_VAULT=passphrase with KEYFERRY_PASSPHRASE_FILE, or KEYFERRY_VAULT=plaintext (a key file beside the records: anyone who can read your files can open them)";

#[cfg(target_os = "macos")]
const UNLOCK: &str =
    "unlock the login keychain with `security unlock-keychain` or by signing in at the screen";
#[cfg(windows)]
const UNLOCK: &str = "sign in to Windows at the screen, not over the network";
#[cfg(not(any(target_os = "macos", windows)))]
const UNLOCK: &str = "unlock the login keyring by signing in to the desktop, or with `gnome-keyring-daemon --unlock` before anything else uses it";

fn wrong_key_hint(sealed_by: &str, in_use: &str) -> String {
    if sealed_by != in_use {
        return format!(
            "set KEYFERRY_VAULT={sealed_by}, or teach it again with `keyferry login <URL> --with api-key`, which replaces the record"
        );
    }
    let restore = match in_use {
        "keychain" => "run keyferry in the session and as the user that signed in",
        _ => "put the key file back",
    };
    format!(
        "{restore}; if the key is lost, `keyferry logout <URL>` (or `keyferry secret rm <NAME>`) for every entry of `keyferry list`, then `keyferry login <URL> --with api-key`"
    )
}

fn seconds(duration: &Duration) -> String {
    if duration.subsec_millis() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}
