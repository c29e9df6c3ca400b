//! Getting the vault key: one question to its source at a time, on a thread of its own, with
//! a deadline for whoever waits. An answer that comes late is kept for the next.

use super::error::VaultError;
use super::seal::Key;
use super::{KeySource, Settings, keychain, lock, passphrase, plaintext, records};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A source that failed is not asked again sooner, and a key is not doubted sooner.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long one maker of the key waits for another. Those who wait have their own deadlines.
const MAKING: Duration = Duration::from_secs(120);
const MAKING_LOCK: &str = "vault-key";

/// What to do when the source has no key yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Existing,
    Make,
}

/// `Ok(None)`: the source answers, and has no key.
type Answer = Result<Option<Key>, VaultError>;

/// Where the key is kept once it was got, or the question that is under way.
pub(super) struct KeyHolder {
    settings: Arc<Settings>,
    phase: Mutex<Phase>,
    absent: AtomicBool,
    told: AtomicBool,
}

enum Phase {
    Idle,
    Asking(watch::Receiver<Option<Answer>>),
    Got { key: Key, at: Instant },
    Failed { error: VaultError, at: Instant },
}

enum Joined {
    Answered(Answer),
    /// Wait for it; `mine` if this call asked the question.
    Asking {
        answer: watch::Receiver<Option<Answer>>,
        mine: bool,
    },
}

impl KeyHolder {
    pub(super) fn new(settings: Arc<Settings>) -> Arc<Self> {
        Arc::new(Self {
            settings,
            phase: Mutex::new(Phase::Idle),
            absent: AtomicBool::new(false),
            told: AtomicBool::new(false),
        })
    }

    /// Asks the source for an existing key unless it is got or being asked; returns at once.
    pub(super) fn prefetch(self: &Arc<Self>) {
        self.join(Want::Existing);
    }

    /// True once: when it is first asked after the source turned out to be absent.
    pub(super) fn newly_absent(&self) -> bool {
        self.absent.load(Ordering::Relaxed) && !self.told.swap(true, Ordering::Relaxed)
    }

    /// The key, waiting for the source until `deadline` has passed.
    ///
    /// # Errors
    /// `Hung` at the deadline; the question stays open. Else what the source said.
    pub(super) async fn get(self: &Arc<Self>, want: Want, deadline: Duration) -> Answer {
        let until = tokio::time::Instant::now() + deadline;
        loop {
            let (mut answer, mine) = match self.join(want) {
                Joined::Answered(answer) => return answer,
                Joined::Asking { answer, mine } => (answer, mine),
            };
            let hung = |_| VaultError::Hung {
                what: self.settings.source.described().to_owned(),
                waited: deadline,
            };
            let waited = tokio::time::timeout_at(until, answer.wait_for(Option::is_some))
                .await
                .map_err(hung)?;
            // The thread sends before it ends, even if it panics.
            let answered = waited.ok().and_then(|answer| answer.clone());
            match answered {
                // Asked before the key was made, perhaps: ask again for oneself.
                Some(Ok(None)) if !mine => {}
                Some(answer) => return answer,
                None => return Err(ended_early()),
            }
        }
    }

    /// The key if its id is `expected`; another one only if the source, asked anew, says so.
    /// The key may have been made anew since this process got it.
    pub(super) async fn get_expecting(
        self: &Arc<Self>,
        want: Want,
        expected: Option<&str>,
        deadline: Duration,
    ) -> Answer {
        let key = self.get(want, deadline).await?;
        let differs = |key: &Key| expected.is_some_and(|expected| key.id() != expected);
        if key.as_ref().is_some_and(differs) && self.doubt() {
            return self.get(want, deadline).await;
        }
        Ok(key)
    }

    /// Forgets a key that was not got just now.
    fn doubt(&self) -> bool {
        let mut phase = self.phase();
        let old = matches!(&*phase, Phase::Got { at, .. } if at.elapsed() > ASK_AGAIN);
        if old {
            *phase = Phase::Idle;
        }
        old
    }

    fn join(self: &Arc<Self>, want: Want) -> Joined {
        let mut phase = self.phase();
        match &*phase {
            Phase::Got { key, .. } => return Joined::Answered(Ok(Some(key.clone()))),
            Phase::Failed { error, at } if at.elapsed() < ASK_AGAIN => {
                return Joined::Answered(Err(error.clone()));
            }
            Phase::Asking(answer) => {
                return Joined::Asking { answer: answer.clone(), mine: false };
            }
            Phase::Idle | Phase::Failed { .. } => {}
        }
        let (sender, answer) = watch::channel(None);
        *phase = Phase::Asking(answer.clone());
        drop(phase);
        self.ask(want, sender);
        Joined::Asking { answer, mine: true }
    }

    /// Never joined: a thread that hangs in the keychain must not hold up the process's end.
    fn ask(self: &Arc<Self>, want: Want, sender: watch::Sender<Option<Answer>>) {
        let question =
            Question { holder: Arc::clone(self), sender, answer: Some(Err(ended_early())) };
        let settings = Arc::clone(&self.settings);
        let spawned = std::thread::Builder::new().name("vault-key".to_owned()).spawn(move || {
            let mut question = question;
            question.answer = Some(fetch(&settings, want));
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "cannot start a thread for the vault key");
        }
    }

    fn settle(&self, answer: &Answer) {
        let at = Instant::now();
        if matches!(answer, Err(VaultError::Absent { .. })) {
            self.absent.store(true, Ordering::Relaxed);
        }
        *self.phase() = match answer {
            Ok(Some(key)) => Phase::Got { key: key.clone(), at },
            Ok(None) => Phase::Idle,
            Err(error) => Phase::Failed { error: error.clone(), at },
        };
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers when it is dropped: also if the thread panics or never starts.
struct Question {
    holder: Arc<KeyHolder>,
    sender: watch::Sender<Option<Answer>>,
    answer: Option<Answer>,
}

impl Drop for Question {
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            if let Err(error) = &answer {
                tracing::debug!(%error, "the vault key is not to be had");
            }
            self.holder.settle(&answer);
            self.sender.send_replace(Some(answer));
        }
    }
}

fn ended_early() -> VaultError {
    let error = std::io::Error::other("the thread that asked ended early");
    VaultError::io("ask", Path::new("for the vault key"), error)
}

fn fetch(settings: &Settings, want: Want) -> Answer {
    let found = look_up(settings)?;
    if found.is_some() || want == Want::Existing {
        return Ok(found);
    }
    let _making = lock::acquire_blocking(&settings.locks, MAKING_LOCK, MAKING)?;
    if let Some(made_meanwhile) = look_up(settings)? {
        return Ok(Some(made_meanwhile));
    }
    records::refuse_if_sealed(settings)?;
    let key = make(settings)?;
    tracing::info!(source = settings.source.name(), "made the vault key");
    Ok(Some(key))
}

fn look_up(settings: &Settings) -> Answer {
    match &settings.source {
        KeySource::Keychain => keychain::Keychain::connect(&settings.service)?.key(),
        KeySource::Passphrase(from) => passphrase::look_up(&settings.directory, from),
        KeySource::Plaintext => plaintext::look_up(&settings.directory),
        KeySource::Memory => Ok(None),
    }
}

fn make(settings: &Settings) -> Result<Key, VaultError> {
    match &settings.source {
        KeySource::Keychain => keychain::Keychain::connect(&settings.service)?.make_key(),
        KeySource::Passphrase(from) => passphrase::make(&settings.directory, from),
        KeySource::Plaintext => plaintext::make(&settings.directory),
        KeySource::Memory => Key::random(),
    }
}

#[cfg(test)]
mod tests;
