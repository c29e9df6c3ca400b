use super::*;
use std::collections::BTreeMap;

const LONG: Duration = Duration::from_secs(60);

fn vault_at(home: &Path, source: KeySource) -> Vault {
    Vault::new(Settings {
        directory: home.join("vault"),
        locks: home.join("locks"),
        source,
        service: "test".into(),
    })
}

fn plaintext_vault(home: &Path) -> Vault {
    vault_at(home, KeySource::Plaintext)
}

fn passphrase_vault(home: &Path, passphrase: &str) -> Vault {
    let given = PassphraseFrom::Given(passphrase.to_owned().into());
    vault_at(home, KeySource::Passphrase(given))
}

fn header(kind: &str) -> Header {
    Header {
        schema: 0,
        remote: Some("https://host/mcp".into()),
        account: Some("default".into()),
        name: None,
        kind: kind.into(),
        details: BTreeMap::new(),
        updated_at: 1,
        sealed: None,
    }
}

fn remote(url: &str) -> RecordKey {
    RecordKey::Remote { url: url.into(), account: "default".into() }
}

fn secret(bytes: &[u8]) -> Secret<Vec<u8>> {
    Secret::new(bytes.to_vec())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

async fn store(vault: &Vault, key: &RecordKey, payload: &[u8]) -> Result<Kept, VaultError> {
    vault.write(key, header("api-key"), &secret(payload), LONG).await
}

async fn load(vault: &Vault, key: &RecordKey) -> Result<Option<Vec<u8>>, VaultError> {
    let record = vault.read(key, LONG).await?;
    Ok(record.map(|record| record.payload.expose().clone()))
}

/// Every byte of every file under `path`, names included.
fn all_bytes(path: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        all.extend(path.to_string_lossy().as_bytes());
        if path.is_dir() {
            all.extend(all_bytes(&path));
        } else {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    all
}

#[test]
fn a_new_vault_touches_nothing() {
    let home = tempfile::tempdir().unwrap();
    let vault = plaintext_vault(home.path());
    run(async {
        assert!(vault.list().unwrap().is_empty());
        assert!(vault.header(&remote("a")).unwrap().is_none());
        assert!(load(&vault, &remote("a")).await.unwrap().is_none());
        assert!(!vault.remove(&remote("a")).unwrap());
    });
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn what_one_vault_writes_the_next_reads_and_the_disk_does_not_show() {
    let home = tempfile::tempdir().unwrap();
    let key = remote("https://host/mcp?key=in-the-query");
    let payload = b"a-very-secret-value ".repeat(20_000);
    run(async {
        let one = passphrase_vault(home.path(), "open sesame");
        assert!(one.lasting(LONG).await.unwrap());
        assert_eq!(store(&one, &key, &payload).await.unwrap(), Kept::OnDisk);
        let other = passphrase_vault(home.path(), "open sesame");
        assert_eq!(load(&other, &key).await.unwrap().unwrap(), payload);
        assert_eq!(other.list().unwrap().len(), 1);
        assert_eq!(other.header(&key).unwrap().unwrap().schema, 1);
    });
    let disk = all_bytes(home.path());
    for secret in ["a-very-secret", "in-the-query", "open sesame"] {
        assert!(memchr::memmem::find(&disk, secret.as_bytes()).is_none());
    }
}

#[test]
fn a_changed_record_is_corrupt_and_the_next_write_mends_it() {
    let home = tempfile::tempdir().unwrap();
    let (key, twin) = (remote("a"), remote("b"));
    let path = |key: &RecordKey| home.path().join("vault").join(key.file_name());
    let vault = plaintext_vault(home.path());
    run(async {
        store(&vault, &key, b"secret").await.unwrap();
        let good = std::fs::read(path(&key)).unwrap();
        let text = String::from_utf8_lossy(&good).into_owned();
        let other_host = text.find("host").unwrap();
        for at in [0, other_host, text.find('\n').unwrap() + 3, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(path(&key), bad).unwrap();
            let error = load(&vault, &key).await.unwrap_err();
            assert!(matches!(error, VaultError::Corrupt { .. }), "{at}: {error}");
        }
        // In another record's place it does not open either.
        std::fs::write(path(&twin), &good).unwrap();
        assert!(load(&vault, &twin).await.is_err());
        std::fs::write(path(&key), "").unwrap();
        assert!(load(&vault, &key).await.is_err());
        assert_eq!(vault.list().unwrap().len(), 1, "the twin");
        store(&vault, &key, b"new").await.unwrap();
        assert_eq!(load(&vault, &key).await.unwrap().unwrap(), b"new");
    });
}

#[test]
fn a_record_without_a_secret_never_touches_the_key() {
    let home = tempfile::tempdir().unwrap();
    let vault = vault_at(home.path(), KeySource::Passphrase(PassphraseFrom::Nowhere));
    let key = remote("a");
    run(async {
        let kept = vault.write(&key, header("none"), &secret(b""), LONG).await;
        assert_eq!(kept.unwrap(), Kept::OnDisk);
        assert_eq!(load(&vault, &key).await.unwrap().unwrap(), b"");
        // Anything to hide is sealed, whatever it calls itself.
        let error = vault.write(&key, header("none"), &secret(b"x"), LONG).await;
        let missing = PassphraseError::Missing.to_string();
        assert_eq!(error.unwrap_err().to_string(), missing);
    });
}

#[test]
fn a_record_of_another_source_names_that_source() {
    let home = tempfile::tempdir().unwrap();
    let key = remote("a");
    run(async {
        store(&plaintext_vault(home.path()), &key, b"x").await.unwrap();
        for other in [passphrase_vault(home.path(), "p"), vault_at(home.path(), KeySource::Memory)]
        {
            let error = load(&other, &key).await.unwrap_err();
            assert!(matches!(error, VaultError::WrongKey { .. }), "{error}");
            assert!(error.to_string().contains("KEYFERRY_VAULT=plaintext"));
            assert!(error.hint().contains("KEYFERRY_VAULT=plaintext"));
        }
        // No key is made beside records that it would not open.
        let other = passphrase_vault(home.path(), "p");
        let error = store(&other, &remote("b"), b"y").await.unwrap_err();
        assert!(matches!(error, VaultError::WrongKey { .. }), "{error}");
        assert!(!home.path().join("vault").join("passphrase.json").exists());
    });
}

#[test]
fn a_lost_key_is_an_error_and_no_new_key_is_made() {
    let home = tempfile::tempdir().unwrap();
    let key_file = home.path().join("vault").join("plaintext.key");
    let key = remote("a");
    run(async {
        store(&plaintext_vault(home.path()), &key, b"x").await.unwrap();
        std::fs::remove_file(&key_file).unwrap();
        let vault = plaintext_vault(home.path());
        let errors = [
            load(&vault, &key).await.unwrap_err(),
            store(&vault, &remote("b"), b"y").await.unwrap_err(),
            vault.lasting(LONG).await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, VaultError::WrongKey { .. }), "{error}");
            assert!(error.hint().contains("keyferry logout"));
        }
        assert!(!key_file.exists());
        assert!(vault.remove(&key).unwrap(), "the way out");
        let vault = plaintext_vault(home.path());
        store(&vault, &key, b"z").await.unwrap();
    });
}

#[test]
fn memory_leaves_nothing_on_disk() {
    let home = tempfile::tempdir().unwrap();
    let vault = vault_at(home.path(), KeySource::Memory);
    let key = RecordKey::Named("token".into());
    run(async {
        vault.unlock();
        assert!(!vault.lasting(LONG).await.unwrap());
        assert_eq!(store(&vault, &key, b"x").await.unwrap(), Kept::InMemory);
        let _lock = vault.lock(&key, Duration::ZERO).await.unwrap();
        assert_eq!(load(&vault.clone(), &key).await.unwrap().unwrap(), b"x");
        assert_eq!(vault.list().unwrap().len(), 1);
        assert!(vault.remove(&key).unwrap());
        assert!(load(&vault, &key).await.unwrap().is_none());
    });
    assert!(vault.notice().is_none());
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn writers_at_once_never_tear_a_record() {
    let home = tempfile::tempdir().unwrap();
    let key = remote("a");
    let writers: Vec<_> = (0..6u8)
        .map(|number| {
            let (home, key) = (home.path().to_owned(), key.clone());
            std::thread::spawn(move || {
                // Each its own vault, as in processes of their own.
                let vault = plaintext_vault(&home);
                run(async {
                    for _ in 0..5 {
                        let size = 1 + 40_000 * usize::from(number);
                        store(&vault, &key, &vec![number; size]).await.unwrap();
                        let read = load(&vault, &key).await.unwrap().unwrap();
                        assert_eq!(read.len(), 1 + 40_000 * usize::from(read[0]));
                        assert!(read.iter().all(|byte| *byte == read[0]));
                    }
                });
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let files = std::fs::read_dir(home.path().join("vault")).unwrap();
    assert_eq!(files.count(), 2, "the key and the record");
}

#[test]
fn a_write_goes_on_when_nobody_awaits_it() {
    let home = tempfile::tempdir().unwrap();
    let vault = plaintext_vault(home.path());
    let key = remote("a");
    run(async {
        vault.lasting(LONG).await.unwrap();
        // The first poll finds the key and hands the write to its thread.
        let payload = secret(b"x");
        let write = vault.write(&key, header("api-key"), &payload, LONG);
        let given_up = tokio::time::timeout(Duration::ZERO, write).await;
        let until = std::time::Instant::now() + LONG;
        while given_up.is_err() && load(&vault, &key).await.unwrap().is_none() {
            assert!(std::time::Instant::now() < until);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(load(&vault, &key).await.unwrap().unwrap(), b"x");
    });
}
