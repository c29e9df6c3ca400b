//! Where the key of the vault comes from, and what lies on the disk.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::{Home, run_to_end};
use crate::support::mcp_server::Server;
use crate::support::protected::{Refusal, protected};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const URL: &str = "https://mcp.example/mcp";
const OTHER: &str = "https://other.example/mcp";
const KEY: &str = "sk-sealed-in-the-vault";
const PASSPHRASE: &str = "correct horse battery staple";

fn token(home: &Home, url: &str) -> String {
    home.run(&["token", url], "").expect(0).stdout
}

#[track_caller]
fn nothing_in_clear(home: &Home, secrets: &[&str]) {
    for (path, content) in home.files() {
        for secret in secrets {
            let found = content.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{secret} lies open in {}", path.display());
        }
    }
}

#[test]
fn a_passphrase_comes_from_a_variable_a_file_or_a_command() {
    let server = protected("authorization", &["Bearer sk-sealed-in-the-vault"], Refusal::Bare401);
    let mut home = Home::new("passphrase").with("KEYFERRY_PASSPHRASE", PASSPHRASE);
    home.store_key(&server.url(), KEY);
    nothing_in_clear(&home, &[KEY, PASSPHRASE]);
    let file = home.file("passphrase", format!("{PASSPHRASE}\n"));
    for (variable, value) in [
        ("KEYFERRY_PASSPHRASE", PASSPHRASE.to_owned()),
        ("KEYFERRY_PASSPHRASE_FILE", file.clone()),
        #[cfg(unix)]
        ("KEYFERRY_PASSPHRASE_COMMAND", format!("cat {file}")),
    ] {
        home.unset("KEYFERRY_PASSPHRASE");
        let mut command = home.command();
        command.args(["token", &server.url()]).env(variable, &value);
        assert_eq!(run_to_end(command, b"").expect(0).stdout, format!("{KEY}\n"));
        let home = Arc::new(Home::new("passphrase"));
        let mut command = home.command();
        command.args(["login", &server.url(), "--with", "api-key"]);
        command.env(variable, &value);
        run_to_end(command, KEY.as_bytes()).expect(0);
        let mut bridge = crate::support::bridge::Launch::new(home, &server.url())
            .env(variable, &value)
            .start()
            .ready();
        bridge.call("1");
        bridge.result("1");
    }
}

#[test]
fn a_wrong_or_missing_passphrase_opens_nothing_and_harms_nothing() {
    let server = Server::start(|_, _| panic!("sent without its key"));
    let mut home = Home::new("passphrase").with("KEYFERRY_PASSPHRASE", PASSPHRASE);
    home.store_key(&server.url(), KEY);
    let url = server.url();
    for passphrase in [Some("wrong"), Some(""), None] {
        match passphrase {
            Some(passphrase) => home.set("KEYFERRY_PASSPHRASE", passphrase),
            None => home.unset("KEYFERRY_PASSPHRASE"),
        }
        let done = home.run(&["token", &url], "").expect(5);
        assert_eq!(done.stdout, "");
        // A login with it would split the vault in two.
        let login = ["login", OTHER, "--with", "api-key", "--no-verify"];
        home.run(&login, "x").expect(5);
        assert!(home.run(&["list"], "").expect(0).stdout.contains(&url));
        let mut command = home.command();
        command.args(["run", &url]);
        let shared = Arc::new(home);
        let mut bridge = Bridge::start_in(&shared, &url);
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        bridge.own_error("1", &[-31008]);
        drop(bridge);
        home = Arc::into_inner(shared).expect("the bridge has let go");
    }
    home.set("KEYFERRY_PASSPHRASE", PASSPHRASE);
    assert_eq!(token(&home, &url), format!("{KEY}\n"));
}

/// A second key beside records that it cannot open would split the vault in two.
#[test]
fn another_vault_over_sealed_records_is_an_error_and_makes_no_new_key() {
    let mut home = Home::new("plaintext").with("KEYFERRY_PASSPHRASE", PASSPHRASE);
    home.store_key(URL, KEY);
    home.set("KEYFERRY_VAULT", "passphrase");
    let login = ["login", OTHER, "--with", "api-key", "--no-verify"];
    for args in [&["token", URL][..], &login] {
        let done = home.run(args, "x").expect(5);
        assert!(done.stderr.contains("plaintext"), "{}", done.stderr);
    }
    home.set("KEYFERRY_VAULT", "plaintext");
    assert_eq!(token(&home, URL), format!("{KEY}\n"));
}

#[test]
fn a_vault_in_memory_refuses_what_would_be_lost_and_writes_nothing() {
    let home = Home::new("memory");
    let done = home.run(&["login", URL, "--with", "api-key", "--no-verify"], KEY).expect(5);
    assert!(done.stderr.contains("memory"), "{}", done.stderr);
    home.run(&["secret", "set", "x"], KEY).expect(5);
    home.run(&["token", URL], "").expect(3);
    nothing_in_clear(&home, &[KEY]);
    assert!(!home.run(&["list"], "").expect(0).stdout.contains(URL));
}

/// The files of the vault that hold records, found by their change.
fn record_of(home: &Home, url: &str, key: &str) -> PathBuf {
    let before: Vec<_> = home.files();
    home.store_key(url, key);
    let mut changed = home.files();
    changed.retain(|file| !before.contains(file) && !file.1.is_empty());
    changed.retain(|(path, _)| path.to_string_lossy().contains("vault"));
    // The first record makes the key as well.
    changed.sort_by_key(|(path, _)| path.metadata().unwrap().modified().unwrap());
    changed.pop().expect("a record was written").0
}

#[test]
fn a_damaged_record_costs_only_itself() {
    for damage in ["flipped", "cut", "empty"] {
        let home = Home::new("plaintext");
        home.store_key(OTHER, "other");
        let path = record_of(&home, URL, KEY);
        let mut bytes = std::fs::read(&path).unwrap();
        match damage {
            "flipped" => *bytes.last_mut().unwrap() ^= 1,
            "cut" => bytes.truncate(bytes.len() / 2),
            _ => bytes.clear(),
        }
        std::fs::write(&path, bytes).unwrap();
        let done = home.run(&["token", URL], "").expect_one_of(&[3, 5]);
        assert_eq!(done.stdout, "");
        assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
        assert_eq!(token(&home, OTHER), "other\n");
        let list = home.run(&["list"], "").expect(0);
        assert!(list.stdout.contains(OTHER), "{damage}: {}", list.stdout);
        home.store_key(URL, "new");
        assert_eq!(token(&home, URL), "new\n");
    }
}

#[test]
fn a_record_put_in_the_place_of_another_is_not_believed() {
    let home = Home::new("plaintext");
    let first = record_of(&home, URL, "key of the first");
    let second = record_of(&home, OTHER, "key of the second");
    std::fs::copy(&first, &second).unwrap();
    let done = home.run(&["token", OTHER], "");
    assert_ne!(done.code, Some(0));
    assert!(!done.stdout.contains("key of the first"));
}

#[cfg(unix)]
mod modes {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().permissions().mode() & 0o777
    }

    #[track_caller]
    fn closed_to_others(dir: &Path) {
        assert_eq!(mode(dir) & 0o077, 0, "{} {:o}", dir.display(), mode(dir));
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path) & 0o077, 0, "{} {:o}", path.display(), mode(&path));
            if path.is_dir() {
                closed_to_others(&path);
            }
        }
    }

    /// The directory that holds the sealed records.
    fn vault_dir(home: &Home) -> PathBuf {
        record_of(home, "https://probe.example/mcp", "x")
            .ancestors()
            .find(|dir| dir.ends_with("vault"))
            .expect("a directory named vault")
            .to_owned()
    }

    #[test]
    fn whatever_the_umask_nobody_else_reads_the_vault() {
        let home = Home::new("plaintext");
        let mut command = home.command_of(Path::new("sh"));
        command.args(["-c", r#"umask 000; exec "$0" "$@""#]);
        command.arg(env!("CARGO_BIN_EXE_keyferry"));
        command.args(["login", URL, "--with", "api-key", "--no-verify"]);
        run_to_end(command, KEY.as_bytes()).expect(0);
        closed_to_others(&vault_dir(&home));
        home.run(&["secret", "set", "x"], "y").expect(0);
        closed_to_others(&vault_dir(&home));
    }

    #[test]
    fn a_directory_open_to_others_is_tightened_or_refused() {
        let home = Home::new("plaintext");
        let dir = vault_dir(&home);
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).unwrap();
        let login = ["login", URL, "--with", "api-key", "--no-verify"];
        let done = home.run(&login, KEY).expect_one_of(&[0, 5]);
        if done.code == Some(0) {
            closed_to_others(&dir);
        }
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let home = Home::new("plaintext");
        let dir = vault_dir(&home);
        let elsewhere = home.path("elsewhere");
        std::fs::rename(&dir, &elsewhere).unwrap();
        symlink(&elsewhere, &dir).unwrap();
        let before = std::fs::read_dir(&elsewhere).unwrap().count();
        let login = ["login", URL, "--with", "api-key", "--no-verify"];
        home.run(&login, KEY).expect(5);
        assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), before);
    }

    #[test]
    fn a_record_that_is_a_link_is_replaced_and_not_written_through() {
        let home = Home::new("plaintext");
        let record = record_of(&home, URL, KEY);
        let victim = PathBuf::from(home.file("victim", "precious"));
        std::fs::remove_file(&record).unwrap();
        symlink(&victim, &record).unwrap();
        let login = ["login", URL, "--with", "api-key", "--no-verify"];
        home.run(&login, KEY).expect_one_of(&[0, 5]);
        assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    }

    /// As root nothing is read-only, so a file stands where the directory should.
    #[test]
    fn a_home_that_cannot_be_written_is_named() {
        let home = Home::new("plaintext");
        std::fs::write(home.dir(), "in the way").unwrap();
        let login = ["login", URL, "--with", "api-key", "--no-verify"];
        let done = home.run(&login, KEY).expect(5);
        let dir = home.dir();
        assert!(done.stderr.contains(dir.to_str().unwrap()), "{}", done.stderr);
    }
}

#[test]
fn a_vault_that_cannot_be_opened_does_not_hold_up_the_end() {
    let mut home = Home::new("passphrase").with("KEYFERRY_PASSPHRASE", PASSPHRASE);
    home.store_key(URL, KEY);
    home.unset("KEYFERRY_PASSPHRASE");
    let mut bridge = home.launch(URL).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    bridge.own_error("1", &[-31008]);
    bridge.close_stdin();
    bridge.wait_exit(Duration::from_secs(1));
}

/// Without `KEYFERRY_HOME` everything lies where the platform wants it.
#[cfg(target_os = "linux")]
#[test]
fn the_vault_lies_in_the_platforms_data_directory() {
    for own in [false, true] {
        let home = Home::new("plaintext");
        let data = home.path("xdg-data");
        let mut command = home.command();
        command.env_remove("KEYFERRY_HOME");
        if own {
            command.env("XDG_DATA_HOME", &data);
        }
        command.args(["login", URL, "--with", "api-key", "--no-verify"]);
        run_to_end(command, KEY.as_bytes()).expect(0);
        let data = if own { data } else { home.path(".local/share") };
        assert!(data.join("keyferry").join("vault").is_dir());
        assert!(!home.dir().exists());
    }
}

/// Whoever should tell the passphrase waits for a person, or for ever.
#[cfg(unix)]
#[test]
fn a_passphrase_command_that_hangs_costs_an_error_and_holds_up_nothing() {
    let server = Server::start(|_, _| panic!("sent without its key"));
    let mut home = Home::new("passphrase").with("KEYFERRY_PASSPHRASE", PASSPHRASE);
    home.store_key(&server.url(), KEY);
    home.unset("KEYFERRY_PASSPHRASE");
    home.set("KEYFERRY_PASSPHRASE_COMMAND", "sleep 30");
    let home = Arc::new(home);
    for wait_for_the_error in [true, false] {
        let mut bridge = Bridge::start_in(&home, &server.url());
        let asked = std::time::Instant::now();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        if wait_for_the_error {
            bridge.own_error("1", &[-31008]);
            assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        } else {
            bridge.send("nonsense");
            bridge.refusal();
        }
        bridge.close_stdin();
        bridge.wait_exit(Duration::from_secs(1));
    }
}
