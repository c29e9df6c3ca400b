//! Locks between processes: an empty file that is never deleted, locked through the
//! operating system, so that a holder that dies frees the others at once.

use super::directory::Directory;
use super::error::VaultError;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OwnedMutexGuard;

const SUFFIX: &str = ".lock";
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A held lock; dropping it frees it.
#[derive(Debug)]
pub struct RecordLock {
    _held: Held,
}

#[derive(Debug)]
enum Held {
    /// Closing the file frees the lock.
    File {
        _file: File,
    },
    Process {
        _guard: OwnedMutexGuard<()>,
    },
}

/// One attempt after the other at a lock file, without ever blocking in the system call.
struct Attempts {
    file: File,
    path: PathBuf,
    started: Instant,
    wait: Duration,
    pause: Duration,
}

impl Attempts {
    fn new(locks: &Path, name: &str, wait: Duration) -> Result<Self, VaultError> {
        let directory = Directory::ensure(locks)?;
        let name = format!("{name}{SUFFIX}");
        Ok(Self {
            file: directory.open_lock(&name)?,
            path: directory.path_of(&name),
            started: Instant::now(),
            wait,
            pause: FIRST_PAUSE,
        })
    }

    /// `None`: it is held. `Some`: how long to wait before the next attempt.
    fn next(&mut self) -> Result<Option<Duration>, VaultError> {
        match self.file.try_lock() {
            Ok(()) => Ok(None),
            Err(TryLockError::Error(error)) => Err(VaultError::io("lock", &self.path, error)),
            Err(TryLockError::WouldBlock) => {
                let left = self.wait.saturating_sub(self.started.elapsed());
                if left.is_zero() {
                    return Err(VaultError::Busy { path: self.path.clone(), waited: self.wait });
                }
                let pause = self.pause.min(left);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Ok(Some(pause))
            }
        }
    }

    fn held(self) -> RecordLock {
        RecordLock { _held: Held::File { _file: self.file } }
    }
}

/// Waits up to `wait` for the lock `name` in the directory `locks`, without blocking the runtime.
///
/// # Errors
/// `Busy` when the wait is over; `Unsafe` and `Io` for the file.
pub(super) async fn acquire(
    locks: &Path,
    name: &str,
    wait: Duration,
) -> Result<RecordLock, VaultError> {
    let mut attempts = Attempts::new(locks, name, wait)?;
    while let Some(pause) = attempts.next()? {
        tokio::time::sleep(pause).await;
    }
    Ok(attempts.held())
}

/// As [`acquire`], for a plain thread.
pub(super) fn acquire_blocking(
    locks: &Path,
    name: &str,
    wait: Duration,
) -> Result<RecordLock, VaultError> {
    let mut attempts = Attempts::new(locks, name, wait)?;
    while let Some(pause) = attempts.next()? {
        std::thread::sleep(pause);
    }
    Ok(attempts.held())
}

/// Locks within this process, for a vault that leaves nothing on disk.
#[derive(Default)]
pub(super) struct ProcessLocks(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl ProcessLocks {
    /// As [`acquire`], among the tasks of this process only.
    pub(super) async fn acquire(
        &self,
        name: &str,
        wait: Duration,
    ) -> Result<RecordLock, VaultError> {
        let mutex = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(name.to_owned()).or_default())
        };
        match tokio::time::timeout(wait, mutex.lock_owned()).await {
            Ok(guard) => Ok(RecordLock { _held: Held::Process { _guard: guard } }),
            Err(_) => Err(VaultError::Busy { path: PathBuf::from("the record"), waited: wait }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn one_holds_and_the_next_waits_or_gives_up() {
        let home = tempfile::tempdir().unwrap();
        let locks = home.path().join("locks");
        runtime().block_on(async {
            let one = acquire(&locks, "a", Duration::ZERO).await.unwrap();
            let other = acquire(&locks, "b", Duration::ZERO).await.unwrap();
            let wait = Duration::from_millis(60);
            let error = acquire(&locks, "a", wait).await.unwrap_err();
            assert!(matches!(error, VaultError::Busy { .. }), "{error}");
            drop((one, other));
            acquire(&locks, "a", Duration::ZERO).await.unwrap();
        });
        assert!(locks.join("a.lock").exists(), "the file stays");
    }

    #[test]
    fn waiting_leaves_the_runtime_free() {
        let home = tempfile::tempdir().unwrap();
        runtime().block_on(async {
            let held = acquire(home.path(), "a", Duration::ZERO).await.unwrap();
            let free = async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(held);
            };
            let waiter = acquire(home.path(), "a", Duration::from_secs(20));
            let (lock, ()) = tokio::join!(waiter, free);
            lock.unwrap();
        });
    }

    #[test]
    fn a_process_lock_excludes_and_is_freed() {
        runtime().block_on(async {
            let locks = ProcessLocks::default();
            let held = locks.acquire("a", Duration::ZERO).await.unwrap();
            let again = locks.acquire("a", Duration::from_millis(10)).await;
            assert!(matches!(again, Err(VaultError::Busy { .. })));
            drop(held);
            locks.acquire("a", Duration::ZERO).await.unwrap();
        });
    }

    #[cfg(unix)]
    #[test]
    fn a_planted_link_is_not_locked() {
        let home = tempfile::tempdir().unwrap();
        let victim = home.path().join("victim");
        std::fs::write(&victim, "x").unwrap();
        let locks = home.path().join("locks");
        std::fs::create_dir(&locks).unwrap();
        std::os::unix::fs::symlink(&victim, locks.join("a.lock")).unwrap();
        let error = acquire_blocking(&locks, "a", Duration::ZERO).unwrap_err();
        assert!(matches!(error, VaultError::Unsafe { .. }), "{error}");
    }
}
