use super::*;
use keyring_core::mock;

fn keychain() -> Keychain<'static> {
    let store: Arc<CredentialStore> = mock::Store::new().unwrap();
    Keychain { store, service: "test" }
}

fn cause(text: &str) -> PlatformError {
    text.into()
}

#[test]
fn a_key_is_made_once_the_canary_is_gone_again_and_then_found() {
    let keychain = keychain();
    assert!(keychain.key().unwrap().is_none());
    let made = keychain.make_key().unwrap();
    assert_eq!(keychain.key().unwrap().unwrap().id(), made.id());
    let found = keychain.store.search(&HashMap::new()).unwrap();
    let kept = found.iter().filter(|entry| entry.get_password().is_ok());
    assert_eq!(kept.count(), 1);
}

#[test]
fn what_is_not_a_key_is_never_replaced() {
    let keychain = keychain();
    let entry = keychain.entry(KEY_USER).unwrap();
    for other in [&b"someone else's"[..], b"\xff\xfe"] {
        entry.set_secret(other).unwrap();
        let error = keychain.key().err().unwrap();
        assert!(matches!(error, VaultError::WrongKey { .. }), "{error}");
    }
}

#[test]
fn errors_mean_absent_locked_or_denied() {
    let not_there = io::Error::from(io::ErrorKind::NotFound);
    let refused = io::Error::from(io::ErrorKind::PermissionDenied);
    let wrapped = |error| -> PlatformError { Box::new(io::Error::other(Wrapped(error))) };
    let absent = [
        Error::NoDefaultStore,
        Error::PlatformFailure(cause("org.freedesktop.DBus.Error.ServiceUnknown: x")),
        Error::PlatformFailure(wrapped(not_there)),
        Error::NoStorageAccess(cause("Windows ERROR_NO_SUCH_LOGON_SESSION")),
    ];
    for error in absent {
        assert!(matches!(meaning(&error), VaultError::Absent { .. }));
    }
    let locked = Error::NoStorageAccess(cause("SS error: prompt dismissed"));
    assert!(matches!(meaning(&locked), VaultError::Locked { .. }));
    let denied = [
        Error::PlatformFailure(cause("something new")),
        Error::PlatformFailure(wrapped(refused)),
        Error::NoStorageAccess(cause("SS error: result not returned from SS API")),
        Error::TooLong("password".into(), 5),
    ];
    for error in denied {
        assert!(matches!(meaning(&error), VaultError::Denied { .. }));
    }
}

#[derive(Debug)]
struct Wrapped(io::Error);

impl std::fmt::Display for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wrapped")
    }
}

impl std::error::Error for Wrapped {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn no_text_of_ours_shows_what_the_keychain_held() {
    for error in [
        Error::BadEncoding(b"hunter2".to_vec()),
        Error::BadDataFormat(b"hunter2".to_vec(), cause("x")),
    ] {
        let meaning = meaning(&error);
        let shown = format!("{meaning} {meaning:?} {}", meaning.hint());
        assert!(!shown.contains("hunter2") && !shown.contains("104, 117"), "{shown}");
    }
}
