//! The OS keychain as it can be: there, locked, hung, killed, gone. A real
//! gnome-keyring on a private bus stands in for it.

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::keyring::{Bus, Provider};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use crate::support::protected::{Refusal, protected};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEY: &str = "sk-in-the-keychain-123";
const BEARER: &str = "Bearer sk-in-the-keychain-123";

/// A remote that wants the key, and a home that has it behind the keychain.
fn taught(bus: &Bus) -> (Server, Home) {
    let server = protected("authorization", &[BEARER], Refusal::Bare401);
    let home = bus.home();
    home.run(&["login", &server.url(), "--with", "api-key"], KEY).expect(0);
    (server, home)
}

fn initialize(bridge: &mut Bridge, id: &str) {
    bridge.request(id, "initialize", &initialize_params("2025-11-25"));
}

#[track_caller]
fn serves(home: Home, server: &Server) {
    let mut bridge = home.launch(&server.url()).start().ready();
    bridge.call("1");
    bridge.result("1");
}

/// -31008 within five seconds, and the process still ends at once.
#[track_caller]
fn cannot_be_opened(home: &Arc<Home>, server: &Server) {
    let before = server.of("initialize").len();
    let mut bridge = Bridge::start_in(home, &server.url());
    let asked = Instant::now();
    initialize(&mut bridge, "1");
    let error = bridge.own_error("1", &[-31008]);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let hint = error["data"]["hint"].as_str().unwrap_or_default();
    assert!(!hint.is_empty(), "{error}");
    let sent = server.of("initialize").len();
    assert_eq!(sent, before, "sent without its key");
    bridge.close_stdin();
    bridge.wait_exit(Duration::from_secs(1));
}

#[test]
fn the_keychain_guards_one_key_and_the_records_lie_sealed() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    assert_eq!(bus.items(), 1, "one key, no canary left behind");
    let other = "https://other.example/mcp";
    home.store_key(other, "another-secret");
    home.run(&["secret", "set", "named"], "named-secret").expect(0);
    assert_eq!(bus.items(), 1);
    for (path, content) in home.files() {
        for secret in [KEY, "another-secret", "named-secret"] {
            let found = content.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{secret} lies open in {}", path.display());
        }
    }
    let token = home.run(&["token", other], "").expect(0);
    assert_eq!(token.stdout, "another-secret\n");
    serves(home, &server);
}

#[test]
fn the_keychain_is_what_is_used_when_nothing_is_said() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let mut home = bus.home();
    home.unset("KEYFERRY_VAULT");
    home.store_key("https://mcp.example/mcp", KEY);
    assert_eq!(bus.items(), 1);
}

#[test]
fn secrets_of_6_kb_and_200_kb_are_kept_whole() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let long: String = ('a'..='z').cycle().take(6_000).collect();
    let bearer: &'static str = Box::leak(format!("Bearer {long}").into_boxed_str());
    let server = protected("authorization", &[bearer], Refusal::Bare401);
    let home = bus.home();
    home.run(&["login", &server.url(), "--with", "api-key"], &long).expect(0);
    let huge: String = ('0'..='z').cycle().take(200_000).collect();
    let other = "https://other.example/mcp";
    home.store_key(other, &huge);
    let token = home.run(&["token", other], "").expect(0);
    assert!(token.stdout.trim_end() == huge, "the secret was changed");
    assert_eq!(bus.items(), 1);
    serves(home, &server);
}

#[test]
fn many_first_logins_at_once_make_one_key() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let home = bus.home();
    let url = |n: usize| format!("https://mcp-{n}.example/mcp");
    std::thread::scope(|scope| {
        for n in 0..6 {
            let home = &home;
            scope.spawn(move || home.store_key(&url(n), &format!("secret-{n}")));
        }
    });
    assert_eq!(bus.items(), 1);
    for n in 0..6 {
        let token = home.run(&["token", &url(n)], "").expect(0);
        assert_eq!(token.stdout, format!("secret-{n}\n"));
    }
}

#[test]
fn a_locked_keychain_is_an_error_and_no_reason_for_another_vault() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    bus.lock();
    let files = home.files().len();
    home.run(&["token", &server.url()], "").expect(5);
    let other = ["login", "https://other.example/mcp", "--with", "api-key", "--no-verify"];
    home.run(&other, "x-secret").expect(5);
    assert!(home.files().len() <= files + 1, "{:?}", home.files());
    // What needs no secret needs no key.
    let list = home.run(&["list"], "").expect(0);
    assert!(list.stdout.contains(&server.url()));
    cannot_be_opened(&Arc::new(home), &server);
}

#[test]
fn a_killed_keychain_does_not_stop_a_bridge_that_has_its_key() {
    let mut bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    let home = Arc::new(home);
    let mut bridge = Bridge::start_in(&home, &server.url()).ready();
    bridge.call("1");
    bridge.result("1");
    bus.kill_daemon();
    bridge.call("2");
    bridge.result("2");
    // The bus starts a new daemon, and that one is locked.
    cannot_be_opened(&home, &server);
}

#[test]
fn a_hung_keychain_costs_a_call_that_needs_it_an_error_and_a_late_answer_is_used() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    bus.hang();
    let mut bridge = home.launch(&server.url()).start();
    let asked = Instant::now();
    initialize(&mut bridge, "1");
    bridge.own_error("1", &[-31008]);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    bus.wake();
    let end = Instant::now() + PATIENCE;
    for n in 2.. {
        initialize(&mut bridge, &n.to_string());
        let answer = bridge.answer(&n.to_string());
        if answer.get("result").is_some() {
            break;
        }
        assert_eq!(answer["error"]["code"], -31008, "{answer}");
        assert!(Instant::now() < end, "the late answer was never used: {answer}");
    }
}

#[test]
fn a_hung_keychain_does_not_stop_a_list() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    bus.hang();
    let start = Instant::now();
    for args in [&["list"][..], &["list", "--json"]] {
        let list = home.run(args, "").expect(0);
        assert!(list.stdout.contains(&server.url()), "{}", list.stdout);
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_hung_keychain_never_holds_up_the_end() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    let home = Arc::new(home);
    bus.hang();
    for wait_for_the_error in [false, true] {
        let mut bridge = Bridge::start_in(&home, &server.url());
        initialize(&mut bridge, "1");
        if wait_for_the_error {
            bridge.own_error("1", &[-31008]);
        } else {
            // It has read the request, and waits for the keychain.
            bridge.send("nonsense");
            bridge.refusal();
        }
        bridge.close_stdin();
        bridge.wait_exit(Duration::from_secs(1));
    }
}

/// The bus of this test accepts connections and never says a word.
#[test]
fn an_open_remote_is_served_without_ever_touching_the_keychain() {
    let server = Legacy::new().start();
    let home = Home::new("keychain");
    let socket = home.path("bus");
    let listener = UnixListener::bind(&socket).expect("listen");
    listener.set_nonblocking(true).expect("non-blocking");
    let mut home =
        home.with("DBUS_SESSION_BUS_ADDRESS", &format!("unix:path={}", socket.display()));
    home.unset("KEYFERRY_VAULT");
    let mut bridge = home.launch(&server.url()).start().ready();
    bridge.call("1");
    bridge.result("1");
    bridge.finish();
    let touched = listener.accept();
    assert!(touched.is_err(), "the keychain was asked for");
}

/// Somebody else's record is no reason to touch it either.
#[test]
fn an_open_remote_starts_with_a_hung_keychain_that_guards_another_remote() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (_, home) = taught(&bus);
    let server = Legacy::new().start();
    bus.hang();
    let started = Instant::now();
    let mut bridge = home.launch(&server.url()).start().ready();
    bridge.call("1");
    bridge.result("1");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}

#[test]
fn a_key_that_the_keychain_lost_is_not_made_anew_over_sealed_records() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    bus.forget_items();
    assert_eq!(bus.items(), 0);
    let done = home.run(&["token", &server.url()], "").expect(5);
    assert!(done.stderr.contains("hint:"), "{}", done.stderr);
    let login = ["login", "https://other.example/mcp", "--with", "api-key", "--no-verify"];
    home.run(&login, "x").expect(5);
    assert_eq!(bus.items(), 0, "a new key was made over records it cannot open");
    cannot_be_opened(&Arc::new(home), &server);
}

/// Homes without any keychain: a bus without a provider, and no bus.
fn without_a_keychain() -> Vec<(Option<Bus>, Home)> {
    let bus = Bus::start(Provider::Nobody);
    let mut joined = bus.joined(Home::new(""));
    joined.unset("KEYFERRY_VAULT");
    let mut alone = Home::new("");
    alone.unset("KEYFERRY_VAULT");
    let empty = alone.path("empty");
    std::fs::create_dir(&empty).expect("make a directory");
    let alone = alone.with("XDG_RUNTIME_DIR", empty.to_str().expect("UTF-8"));
    vec![(Some(bus), joined), (None, alone)]
}

#[test]
fn without_any_keychain_a_login_that_would_be_lost_is_refused() {
    for (_bus, home) in without_a_keychain() {
        let url = "https://mcp.example/mcp";
        let done = home.run(&["login", url, "--with", "api-key", "--no-verify"], KEY).expect(5);
        for way_out in ["KEYFERRY_VAULT", "passphrase", "plaintext"] {
            assert!(done.stderr.contains(way_out), "{}", done.stderr);
        }
        home.run(&["secret", "set", "x"], KEY).expect(5);
        for (path, content) in home.files() {
            let clear = content.windows(KEY.len()).any(|w| w == KEY.as_bytes());
            assert!(!clear, "{}", path.display());
        }
        assert!(!home.run(&["list"], "").expect(0).stdout.contains(url));
    }
}

#[test]
fn without_any_keychain_a_run_goes_on_and_says_so_once() {
    for (_bus, home) in without_a_keychain() {
        let server = protected("authorization", &[BEARER], Refusal::Bare401);
        let home = home.with("MY_KEY", KEY);
        let mut bridge = home
            .launch(&server.url())
            .args(&["--with", "api-key", "--secret-env", "MY_KEY"])
            .start()
            .ready();
        bridge.call("1");
        bridge.result("1");
        let stderr = bridge.finish().stderr;
        assert!(stderr.matches("KEYFERRY_VAULT").count() <= 1, "{stderr}");
    }
}

#[test]
fn a_named_secret_that_no_vault_can_have_is_named() {
    for (_bus, home) in without_a_keychain() {
        let server = Server::start(|_, _| panic!("something was sent"));
        let mut bridge =
            home.launch(&server.url()).args(&["--header", "X-Key: ${vault:mine}"]).start();
        initialize(&mut bridge, "1");
        let error = bridge.error("1");
        assert!(error["message"].as_str().unwrap().contains("mine"), "{error}");
        let hint = error["data"]["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("keyferry secret set mine"), "{error}");
    }
}

#[test]
fn records_whose_keychain_is_gone_are_an_error_with_a_way_out() {
    let bus = Bus::start(Provider::GnomeKeyring);
    let (server, home) = taught(&bus);
    let mut home = home;
    home.unset("DBUS_SESSION_BUS_ADDRESS");
    home.set("XDG_RUNTIME_DIR", "/nonexistent");
    home.run(&["token", &server.url()], "").expect(5);
    cannot_be_opened(&Arc::new(home), &server);
}
