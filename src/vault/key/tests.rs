use super::*;
use crate::vault::{PassphraseError, PassphraseFrom};
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;

fn holder(home: &Path, source: KeySource) -> Arc<KeyHolder> {
    KeyHolder::new(Arc::new(Settings {
        directory: home.join("vault"),
        locks: home.join("locks"),
        source,
        service: "test".into(),
    }))
}

/// A passphrase command that runs until `gate` exists.
#[cfg(unix)]
fn slow(gate: &Path) -> KeySource {
    let script = format!("while ! test -e {}; do sleep 0.02; done; echo x", gate.display());
    KeySource::Passphrase(PassphraseFrom::Command {
        line: format!("sh -c '{script}'"),
        hidden: Vec::new(),
    })
}

fn given() -> KeySource {
    KeySource::Passphrase(PassphraseFrom::Given("x".to_owned().into()))
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_source_without_a_key_is_asked_anew_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    run(async {
        let one = holder(home.path(), KeySource::Plaintext);
        let other = holder(home.path(), KeySource::Plaintext);
        assert!(one.get(Want::Existing, LONG).await.unwrap().is_none());
        let made = other.get(Want::Make, LONG).await.unwrap().unwrap();
        let found = one.get(Want::Existing, LONG).await.unwrap().unwrap();
        assert_eq!(made.id(), found.id());
    });
}

#[test]
fn racing_makers_end_with_one_key() {
    type Source = fn() -> KeySource;
    for source in [(|| KeySource::Plaintext) as Source, given] {
        let home = tempfile::tempdir().unwrap();
        let makers: Vec<_> = (0..6)
            .map(|_| {
                let holder = holder(home.path(), source());
                std::thread::spawn(move || run(holder.get(Want::Make, LONG)))
            })
            .collect();
        let mut ids: Vec<_> =
            makers.into_iter().map(|maker| maker.join().unwrap().unwrap().unwrap().id()).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }
}

#[cfg(unix)]
#[test]
fn a_late_answer_is_used_and_the_question_is_asked_once() {
    let home = tempfile::tempdir().unwrap();
    let gate = home.path().join("gate");
    run(async {
        let made = holder(home.path(), given());
        made.get(Want::Make, LONG).await.unwrap();
        let holder = holder(home.path(), slow(&gate));
        holder.prefetch();
        for _ in 0..2 {
            let error = holder.get(Want::Existing, Duration::from_millis(30)).await;
            assert!(matches!(error, Err(VaultError::Hung { .. })));
            assert!(matches!(&*holder.phase(), Phase::Asking(_)));
        }
        std::fs::write(&gate, "").unwrap();
        let waiting = [holder.get(Want::Existing, LONG), holder.get(Want::Make, LONG)];
        for waiting in waiting {
            assert!(waiting.await.unwrap().is_some());
        }
        let at_once = holder.get(Want::Existing, Duration::ZERO).await;
        assert!(at_once.unwrap().is_some());
    });
}

#[test]
fn a_source_that_failed_is_not_asked_again_at_once() {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let home = tempfile::tempdir().unwrap();
    run(async {
        let made = holder(home.path(), given());
        made.get(Want::Make, LONG).await.unwrap();
        let ask = PassphraseFrom::Ask(|| {
            let times = ASKED.fetch_add(1, Ordering::Relaxed);
            Ok(if times == 0 { "wrong" } else { "x" }.to_owned().into())
        });
        let holder = holder(home.path(), KeySource::Passphrase(ask));
        for _ in 0..3 {
            let error = holder.get(Want::Existing, LONG).await.err().unwrap();
            let wrong = PassphraseError::Wrong.to_string();
            assert_eq!(error.to_string(), wrong);
        }
        assert_eq!(ASKED.load(Ordering::Relaxed), 1);
        if let Phase::Failed { at, .. } = &mut *holder.phase() {
            *at -= ASK_AGAIN;
        }
        assert!(holder.get(Want::Existing, LONG).await.unwrap().is_some());
    });
}

#[test]
fn a_thread_that_panics_leaves_an_error_and_no_wait() {
    let home = tempfile::tempdir().unwrap();
    run(async {
        let made = holder(home.path(), given());
        made.get(Want::Make, LONG).await.unwrap();
        let ask = PassphraseFrom::Ask(|| panic!("as a keychain library might"));
        let holder = holder(home.path(), KeySource::Passphrase(ask));
        let error = holder.get(Want::Existing, LONG).await.err().unwrap();
        assert!(matches!(error, VaultError::Io { .. }), "{error}");
    });
}

#[test]
fn a_key_that_was_made_anew_meanwhile_is_fetched_again() {
    let home = tempfile::tempdir().unwrap();
    let file: PathBuf = home.path().join("vault").join("plaintext.key");
    run(async {
        let holder = holder(home.path(), KeySource::Plaintext);
        let old = holder.get(Want::Make, LONG).await.unwrap().unwrap();
        std::fs::remove_file(file).unwrap();
        let new = plaintext::make(&home.path().join("vault")).unwrap();
        let id = |answer: Answer| answer.unwrap().unwrap().id();
        // Not in the first two seconds, else a foreign record would cost a question each time.
        let expected = new.id();
        let soon = holder.get_expecting(Want::Existing, Some(&expected), LONG).await;
        assert_eq!(id(soon), old.id());
        if let Phase::Got { at, .. } = &mut *holder.phase() {
            *at -= 2 * ASK_AGAIN;
        }
        let later = holder.get_expecting(Want::Existing, Some(&expected), LONG).await;
        assert_eq!(id(later), new.id());
    });
}
