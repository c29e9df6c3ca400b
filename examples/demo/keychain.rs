//! keyferry's own entry in the keychain: the key that seals every record of this person.
//!
//! The demo's records are sealed with it too. It stays if it was there before; if the demo was
//! what made keyferry put it there, and nothing else has been sealed since, it goes.

use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use keyring::v1::Entry;

use crate::keyferry::{Keyferry, run};
use crate::{Result, say};

const SERVICE: &str = "keyferry";
const USER: &str = "vault-key";

pub(crate) enum VaultKey {
    Was,
    WasNot,
    Unknown,
}

impl VaultKey {
    pub(crate) fn look() -> Self {
        let found = ask(|| match Entry::new(SERVICE, USER)?.get_password() {
            Ok(_) => Ok(true),
            Err(keyring::v1::Error::NoEntry) => Ok(false),
            Err(error) => Err(error),
        });
        match found {
            Some(true) => Self::Was,
            Some(false) => Self::WasNot,
            None => Self::Unknown,
        }
    }

    /// After the demo: as it was before, where that is known to hurt nobody.
    pub(crate) fn leave(self, keyferry: &Keyferry) -> Result<()> {
        let stays = "the vault key (keychain entry of service keyferry) ";
        match self {
            Self::Was => say(&format!("{stays}was there before the demo and stays")),
            Self::WasNot if nothing_sealed(keyferry)? => {
                let gone = ask(|| Entry::new(SERVICE, USER)?.delete_credential());
                gone.ok_or("the vault key that the demo made cannot be removed")?;
                say(&format!("{stays}was made for the demo and is removed"));
            }
            Self::WasNot => say(&format!("{stays}seals other records now and stays")),
            Self::Unknown => say(&format!("{stays}stays: whether it was there before is unknown")),
        }
        Ok(())
    }
}

/// No record and no named secret in the person's own vault.
fn nothing_sealed(keyferry: &Keyferry) -> Result<bool> {
    let empty = |command: Command| {
        let output = run(command)?;
        Ok::<_, String>(output.succeeded() && output.stdout.trim().is_empty())
    };
    Ok(empty(keyferry.outside(["list"]))? && empty(keyferry.outside(["secret", "list"]))?)
}

/// A keychain may hang: on a thread, with a deadline. `None` when there is no good answer.
fn ask<T: Send + 'static>(
    question: impl FnOnce() -> keyring::v1::Result<T> + Send + 'static,
) -> Option<T> {
    let (sender, answer) = channel();
    std::thread::spawn(move || sender.send(question().ok()));
    answer.recv_timeout(Duration::from_secs(5)).ok().flatten()
}
