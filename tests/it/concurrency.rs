//! Many processes, one vault; and processes that die in the middle.

use crate::support::PATIENCE;
use crate::support::bridge::Launch;
use crate::support::home::{Home, run_to_end_within};
use crate::support::protected::{Refusal, protected};
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const URL: &str = "https://mcp.example/mcp";

#[test]
fn two_logins_and_ten_runs_at_once_neither_lose_nor_corrupt_the_record() {
    let keys = ["first", "second", "third"];
    let bearers: Vec<_> = keys.iter().map(|key| format!("Bearer {key}")).collect();
    let bearers: Vec<_> = bearers.iter().map(String::as_str).collect();
    let server = protected("authorization", &bearers, Refusal::Bare401);
    let url = server.url();
    let home = Arc::new(Home::new("plaintext"));
    home.store_key(&url, keys[0]);
    for _ in 0..3 {
        thread::scope(|scope| {
            for key in &keys[1..] {
                let (home, url) = (&home, &url);
                scope.spawn(move || {
                    home.run(&["login", url, "--with", "api-key"], key).expect(0);
                });
            }
            for _ in 0..10 {
                let (home, url) = (&home, &url);
                scope.spawn(move || {
                    let mut bridge = Launch::new(home.clone(), url).start().ready();
                    bridge.call("1");
                    bridge.result("1");
                    assert!(bridge.finish().status.success());
                });
            }
        });
        let token = home.run(&["token", &url], "").expect(0).stdout;
        assert!(keys[1..].contains(&token.trim_end()), "{token:?}");
    }
    let list = home.run(&["list", "--json"], "").expect(0).stdout;
    assert_eq!(list.matches(&url).count(), 1, "{list}");
}

#[test]
fn first_logins_at_once_all_count() {
    let home = Home::new("plaintext");
    thread::scope(|scope| {
        for n in 0..8 {
            let home = &home;
            scope.spawn(move || {
                let account = format!("account-{n}");
                let args = ["login", URL, "--with", "api-key", "--no-verify", "--account"];
                let args = [&args[..], &[&account]].concat();
                home.run(&args, &format!("secret-{n}")).expect(0);
            });
        }
    });
    for n in 0..8 {
        let account = format!("account-{n}");
        let token = home.run(&["token", URL, "--account", &account], "").expect(0);
        assert_eq!(token.stdout, format!("secret-{n}\n"));
    }
}

/// How long a whole login takes here.
fn one_login(home: &Home, secret: &str) -> Duration {
    let start = Instant::now();
    home.store_key(URL, secret);
    start.elapsed()
}

/// Kills are spread over twice the time that a login takes.
#[test]
fn a_login_killed_at_any_point_leaves_a_vault_that_opens() {
    const KILLS: u32 = 60;
    let home = Home::new("plaintext");
    // The very first login is killed too: the key may be half made.
    let usual = one_login(&Home::new("plaintext"), "trial");
    for n in 0..KILLS {
        let mut child = login(&home, &format!("killed-{n}"));
        thread::sleep(usual * 2 * n / KILLS);
        child.kill().expect("kill the login");
        child.wait().expect("the login ends");
        let token = home.run(&["token", URL], "").expect_one_of(&[0, 3]);
        if token.code == Some(0) {
            let stored = token.stdout.trim_end().strip_prefix("killed-");
            let stored: u32 = stored.and_then(|n| n.parse().ok()).expect("a whole secret");
            assert!(stored <= n);
        }
    }
    one_login(&home, "at last");
    assert_eq!(home.run(&["token", URL], "").expect(0).stdout, "at last\n");
    // What the dead left behind is not kept for ever.
    let files = home.files().len();
    assert!(files < 20, "{files} files are left");
}

#[test]
fn a_record_once_stored_survives_every_kill_of_the_next_login() {
    const KILLS: u32 = 40;
    let home = Home::new("plaintext");
    let usual = one_login(&home, "stored");
    for n in 0..KILLS {
        let mut child = login(&home, "next");
        thread::sleep(usual * n / KILLS);
        child.kill().expect("kill the login");
        child.wait().expect("the login ends");
        let token = home.run(&["token", URL], "").expect(0).stdout;
        assert!(["stored\n", "next\n"].contains(&token.as_str()), "{token}");
    }
}

fn login(home: &Home, secret: &str) -> std::process::Child {
    let mut command = home.command();
    command.args(["login", URL, "--with", "api-key", "--no-verify"]);
    command.stdin(Stdio::piped());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("start a login");
    let mut stdin = child.stdin.take().expect("stdin");
    let _ = stdin.write_all(secret.as_bytes());
    child
}

/// A process that holds a lock may be stopped for good; the others say so and go on.
#[test]
fn a_lock_that_is_never_released_is_told_in_bounded_time() {
    let home = Home::new("plaintext");
    one_login(&home, "stored");
    let mut held = Vec::new();
    for (path, content) in home.files() {
        if content.is_empty() {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.try_lock().expect("nobody holds it");
            held.push(file);
        }
    }
    assert!(!held.is_empty(), "no lock files: {:?}", home.files());
    let start = Instant::now();
    let mut command = home.command();
    command.args(["login", URL, "--with", "api-key", "--no-verify"]);
    let done = run_to_end_within(command, b"next", 2 * PATIENCE).expect(5);
    assert!(start.elapsed() < Duration::from_secs(45), "{:?}", start.elapsed());
    assert!(done.stderr.contains("lock") || done.stderr.contains("another"), "{}", done.stderr);
    // Reading needs no lock.
    assert_eq!(home.run(&["token", URL], "").expect(0).stdout, "stored\n");
    drop(held);
    one_login(&home, "next");
}
