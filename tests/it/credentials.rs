//! A key is taught once with `login`, verified, and used by every `run`.

use crate::support::bridge::{Bridge, Launch, initialize_params};
use crate::support::home::{Done, Home};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::{Port, Server};
use crate::support::protected::{REFUSALS, Refusal, protected};
use std::sync::Arc;

const KEY: &str = "sk-live-5up3r/s3cret+key==";
const BEARER: &str = "Bearer sk-live-5up3r/s3cret+key==";

fn login(home: &Home, url: &str, flags: &[&str], stdin: &str) -> Done {
    let mut args = vec!["login", url, "--with", "api-key"];
    args.extend(flags);
    home.run(&args, stdin)
}

/// The remote is reached with the stored key.
#[track_caller]
fn serves(home: Home, server: &Server) {
    let mut bridge = home.launch(&server.url()).start().ready();
    bridge.call("1");
    bridge.result("1");
    bridge.finish();
}

#[track_caller]
fn nothing_is_stored(home: &Home, url: &str) {
    let list = home.run(&["list"], "").expect(0);
    assert!(!list.stdout.contains(url), "{}", list.stdout);
    home.run(&["token", url], "").expect(3);
}

#[test]
fn a_key_is_verified_stored_and_sent_as_the_flags_say() {
    let bare = format!("Token {KEY}");
    for (flags, header, value) in [
        (&[][..], "authorization", BEARER),
        (&["--key-scheme", "Token"], "authorization", &bare),
        (&["--key-scheme", "none"], "authorization", KEY),
        (&["--key-header", "X-API-Key"], "x-api-key", KEY),
        (&["--key-header", "X-Auth", "--key-scheme", "Bearer"], "x-auth", BEARER),
    ] {
        let server = protected(header, &[value], Refusal::Bare401);
        let home = Home::new("plaintext");
        login(&home, &server.url(), flags, &format!("{KEY}\n")).expect(0);
        let asked = server.requests();
        let verified = |kind: &str| {
            let mut asked = asked.iter().filter(|r| r.kind() == kind);
            asked.any(|r| r.header(header) == Some(value))
        };
        assert!(verified("initialize"), "login asked nobody");
        serves(home, &server);
        for request in &server.requests()[asked.len()..] {
            assert_eq!(request.header(header), Some(value), "{}", request.kind());
            if header != "authorization" {
                assert_eq!(request.header("authorization"), None);
            }
        }
    }
}

#[test]
fn a_key_comes_from_stdin_a_variable_or_a_file() {
    let server = protected("authorization", &[BEARER], Refusal::Bare401);
    for source in ["stdin", "stdin with crlf", "variable", "file"] {
        let home = Home::new("plaintext").with("MY_KEY", KEY);
        let file = home.file("key.txt", format!("{KEY}\n"));
        match source {
            "stdin" => login(&home, &server.url(), &[], KEY),
            "stdin with crlf" => login(&home, &server.url(), &[], &format!("{KEY}\r\n")),
            "variable" => login(&home, &server.url(), &["--secret-env", "MY_KEY"], ""),
            _ => login(&home, &server.url(), &["--secret-file", &file], ""),
        }
        .expect(0);
        serves(home, &server);
    }
}

#[test]
fn a_wrong_key_is_refused_by_name_and_not_stored() {
    for refusal in REFUSALS {
        let server = protected("authorization", &[BEARER], *refusal);
        let home = Home::new("plaintext");
        let wrong = "sk-wrong-7777777";
        let done = login(&home, &server.url(), &[], wrong).expect_one_of(&[1, 3]);
        let address = server.address().to_string();
        assert!(done.stderr.contains(&address), "{refusal:?}: {}", done.stderr);
        assert!(!done.stderr.contains(wrong), "{}", done.stderr);
        assert_eq!(done.stdout, "");
        nothing_is_stored(&home, &server.url());
    }
}

#[test]
fn a_missing_or_impossible_key_is_refused_before_anything_is_sent() {
    let server = Server::start(|_, _| panic!("something was sent"));
    for (flags, stdin) in [
        (&[][..], ""),
        (&[], "\n"),
        (&["--secret-env", "NOT_SET_ANYWHERE"], ""),
        (&["--secret-file", "/no/such/file"], ""),
        (&[], "two\nlines"),
        (&[], "a\u{1}b"),
    ] {
        let home = Home::new("plaintext");
        let done = login(&home, &server.url(), flags, stdin).expect_one_of(&[1, 2]);
        assert!(!done.stderr.is_empty());
        if let [_, name] = flags {
            assert!(done.stderr.contains(name), "{}", done.stderr);
        }
        nothing_is_stored(&home, &server.url());
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn what_would_be_gone_at_once_is_not_called_stored() {
    let server = Server::start(|_, _| panic!("something was sent"));
    for kind in ["api-key", "none"] {
        let home = Home::new("memory");
        let done = home.run(&["login", &server.url(), "--with", kind], KEY).expect(5);
        assert!(done.stderr.contains("KEYFERRY_VAULT=memory"), "{}", done.stderr);
        assert!(!done.stderr.contains("stored"), "{}", done.stderr);
    }
}

#[test]
fn no_verify_stores_without_asking() {
    let server = protected("authorization", &[BEARER], Refusal::Bare401);
    let home = Home::new("plaintext");
    login(&home, &server.url(), &["--no-verify"], KEY).expect(0);
    assert_eq!(server.connections(), 0);
    serves(home, &server);
}

#[test]
fn a_new_login_replaces_and_a_failed_one_keeps_what_was_there() {
    let server = protected("authorization", &["Bearer one", "Bearer two"], Refusal::Bare403);
    let home = Home::new("plaintext");
    let url = server.url();
    login(&home, &url, &[], "one").expect(0);
    login(&home, &url, &[], "two").expect(0);
    assert_eq!(home.run(&["token", &url], "").expect(0).stdout, "two\n");
    login(&home, &url, &[], "three").expect_one_of(&[1, 3]);
    assert_eq!(home.run(&["token", &url], "").expect(0).stdout, "two\n");
    // Another header replaces it too: one record for one remote and account.
    login(&home, &url, &["--no-verify", "--key-header", "X-Key"], "four").expect(0);
    let header = home.run(&["token", &url, "--header"], "").expect(0);
    assert_eq!(header.stdout.to_lowercase(), "x-key: four\n");
}

#[test]
fn a_login_to_a_remote_that_is_not_there_is_a_network_failure() {
    let port = Port::reserve();
    let home = Home::new("plaintext");
    let done = login(&home, &port.url(), &[], KEY).expect(4);
    assert!(done.stderr.contains("127.0.0.1"), "{}", done.stderr);
    nothing_is_stored(&home, &port.url());
}

/// As servers with many tools do.
#[test]
fn a_login_reads_a_long_and_slow_list_of_tools() {
    for streamed in [false, true] {
        let server = Legacy::new()
            .on("tools/list", move |request, wire| {
                let tool = format!(r#"{{"name":"t","description":"{}"}}"#, "x".repeat(300_000));
                let answer = request.result(&format!(r#"{{"tools":[{tool},{tool}]}}"#));
                if streamed {
                    let mut events = wire.events();
                    events.event(&answer);
                    events.end();
                    return;
                }
                let mut body = wire.chunked(&[("Content-Type", "application/json")]);
                let (head, tail) = answer.split_at(300_000);
                body.raw(head);
                if request.header("authorization").is_some() {
                    std::thread::sleep(std::time::Duration::from_millis(5500));
                }
                body.raw(tail);
                body.end();
            })
            .start();
        let home = Home::new("plaintext");
        let done = login(&home, &server.url(), &[], KEY).expect(0);
        assert!(done.stderr.contains("2 tools"), "{}", done.stderr);
    }
}

#[test]
fn an_answer_to_a_login_that_breaks_off_is_a_network_failure() {
    for streamed in [false, true] {
        let server = Legacy::new()
            .on("tools/list", move |_, mut wire| {
                if streamed {
                    wire.events().cut();
                } else {
                    wire.promise(1000);
                    wire.raw(b"{");
                    wire.cut();
                }
            })
            .start();
        let home = Home::new("plaintext");
        let done = login(&home, &server.url(), &[], KEY).expect(4);
        assert!(done.stderr.contains("closed the connection"), "{}", done.stderr);
        nothing_is_stored(&home, &server.url());
    }
}

/// The error a client sees when its stored key is refused.
#[track_caller]
fn refused(bridge: &mut Bridge, server: &Server, id: &str) {
    let error = bridge.own_error(id, &[-31001, -31004]);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains(&server.address().to_string()), "{error}");
    let hint = error["data"]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("keyferry login"), "{error}");
    assert!(hint.contains(&server.url()), "{error}");
    assert!(!error.to_string().contains(KEY), "{error}");
}

#[test]
fn a_stored_key_that_is_refused_is_an_error_that_says_what_to_do() {
    for refusal in [Refusal::Bare401, Refusal::Bare403, Refusal::Challenge] {
        let server = protected("authorization", &["Bearer other"], refusal);
        let home = Home::new("plaintext");
        home.store_key(&server.url(), KEY);
        let mut bridge = home.launch(&server.url()).start();
        for id in ["1", "2"] {
            bridge.request(id, "initialize", &initialize_params("2025-11-25"));
            refused(&mut bridge, &server, id);
        }
        // A key that was refused is not sent again without a reason.
        assert!(server.requests().len() <= 6, "{}", server.requests().len());
        assert!(bridge.finish().status.success());
    }
}

#[test]
fn a_key_that_is_refused_in_the_middle_of_a_session_is_told_too() {
    let server = Server::start({
        let legacy = Legacy::new().into_handler();
        move |request, wire| match request.kind().as_str() {
            "tools/call" => wire.status(401),
            _ => legacy(request, wire),
        }
    });
    let home = Home::new("plaintext");
    home.store_key(&server.url(), KEY);
    let mut bridge = home.launch(&server.url()).start().ready();
    bridge.call("1");
    refused(&mut bridge, &server, "1");
    bridge.still_serves();
}

#[test]
fn a_new_login_is_used_by_a_bridge_that_already_runs() {
    let server = protected("authorization", &["Bearer good"], Refusal::Bare401);
    let home = Home::new("plaintext");
    let url = server.url();
    home.store_key(&url, "outdated");
    let mut bridge = home.launch(&url).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    refused(&mut bridge, &server, "1");
    bridge.home().store_key(&url, "good");
    let mut bridge = bridge.ready();
    bridge.call("2");
    bridge.result("2");
}

#[test]
fn run_takes_a_key_of_its_own() {
    let server = protected("x-key", &[KEY], Refusal::Bare401);
    for source in ["env", "file"] {
        let home = Home::new("memory");
        let file = home.file("key", KEY);
        let flags = match source {
            "env" => ["--secret-env", "MY_KEY"],
            _ => ["--secret-file", &file],
        };
        let mut bridge = home
            .launch(&server.url())
            .env("MY_KEY", KEY)
            .args(&["--with", "api-key", "--key-header", "X-Key"])
            .args(&flags)
            .start()
            .ready();
        bridge.call("1");
        bridge.result("1");
    }
}

#[test]
fn run_that_lacks_its_key_names_the_login_command_and_sends_nothing() {
    let server = Server::start(|_, _| panic!("something was sent"));
    for vault in ["memory", "plaintext"] {
        let mut bridge =
            Home::new(vault).launch(&server.url()).args(&["--with", "api-key"]).start();
        for id in ["1", "2"] {
            bridge.request(id, "initialize", &initialize_params("2025-11-25"));
            let error = bridge.own_error(id, &[-31001]);
            let hint = error["data"]["hint"].as_str().unwrap_or_default();
            assert!(hint.contains("keyferry login"), "{error}");
        }
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_key_that_was_never_taught_in_this_place_is_taught_by_the_hinted_command() {
    for (flags, expected) in [
        (&["--key-header", "X-Key"][..], "--with api-key --key-header x-key"),
        (&["--key-scheme", "Token"], "--with api-key --key-scheme Token"),
        (
            &["--key-header", "X-Key", "--key-scheme", "Bearer"],
            "--with api-key --key-header x-key --key-scheme Bearer",
        ),
        (&["--key-scheme", "none"], "--with api-key --key-scheme none"),
        (&["--key-scheme", "bearer", "--account", "a b"], "--account 'a b' --key-scheme bearer"),
    ] {
        let home = Home::new("plaintext");
        home.store_key("https://mcp.example/mcp", KEY);
        let mut bridge =
            home.launch("https://mcp.example/mcp").args(&["--with", "api-key"]).args(flags).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.own_error("1", &[-31001]);
        let hint = error["data"]["hint"].as_str().unwrap();
        assert!(hint.starts_with("keyferry login https://mcp.example/mcp "), "{hint}");
        assert!(hint.ends_with(expected), "{hint}");
    }
}

/// Flags win over what is stored, so that a login would not help.
#[test]
fn a_refused_key_of_the_flags_is_corrected_there() {
    let server = protected("authorization", &[BEARER], Refusal::Bare401);
    let home = Arc::new(Home::new("plaintext").with("MY_KEY", "sk-wrong-7777777"));
    for (flags, named) in [
        (&["--secret-env", "MY_KEY"][..], "--secret-env"),
        (&["--header", "Authorization: Bearer ${MY_KEY}"], "--header"),
        (&["--header", "X-Key: ${MY_KEY}"], "--header"),
        (&["--with", "none"], "--with none"),
    ] {
        let mut bridge = Launch::new(home.clone(), &server.url()).args(flags).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.own_error("1", &[-31001]);
        let hint = error["data"]["hint"].as_str().unwrap();
        assert!(hint.contains(named) && !hint.starts_with("keyferry "), "{hint}");
        assert!(!error["message"].as_str().unwrap().contains("run:"), "{error}");
    }
}

#[test]
fn accounts_at_one_remote_are_apart() {
    let server = protected("authorization", &["Bearer a", "Bearer b"], Refusal::Bare401);
    let home = Home::new("plaintext");
    let url = server.url();
    login(&home, &url, &[], "a").expect(0);
    login(&home, &url, &["--account", "work"], "b").expect(0);
    let token = |args: &[&str]| home.run(&[&["token", &url], args].concat(), "").stdout;
    assert_eq!(token(&[]), "a\n");
    assert_eq!(token(&["--account", "work"]), "b\n");
    let before = server.requests().len();
    let mut bridge = home.launch(&url).args(&["--account", "work"]).start().ready();
    bridge.still_serves();
    for request in &server.requests()[before..] {
        assert_eq!(request.header("authorization"), Some("Bearer b"));
    }
}

/// Two tenants on one origin are two remotes.
#[test]
fn a_key_goes_to_its_own_path_only() {
    let server = Server::start(|request, wire| {
        assert_eq!(request.header("authorization"), None);
        wire.status(401);
    });
    let home = Arc::new(Home::new("plaintext"));
    home.store_key(&server.url(), KEY);
    for other in ["", "/", "/mcp/other", "/mcp?tenant=2", "/other"] {
        let url = format!("http://{}{other}", server.address());
        let mut bridge = Bridge::start_in(&home, &url);
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        bridge.own_error("1", &[-31001, -31004]);
    }
}
