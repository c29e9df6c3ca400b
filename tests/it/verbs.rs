//! `list`, `token`, `logout`, `secret`, and what the exit codes say.

use crate::support::bridge::initialize_params;
use crate::support::home::Home;
use crate::support::mcp_server::Server;
use serde_json::Value;

const URL: &str = "https://mcp.example/a/mcp";
const OTHER: &str = "https://other.example/mcp";

/// Two remotes, three records; nothing is verified, so nobody is asked.
fn stocked() -> Home {
    let home = Home::new("plaintext");
    home.store_key(URL, "first-secret");
    home.store_key(OTHER, "third-secret");
    home.run(
        &["login", URL, "--with", "api-key", "--no-verify", "--account", "work"],
        "second-secret",
    )
    .expect(0);
    home
}

#[test]
fn an_empty_vault_lists_nothing() {
    let home = Home::new("plaintext");
    let list = home.run(&["list", "--json"], "").expect(0);
    let list: Value = serde_json::from_str(&list.stdout).expect("JSON");
    assert!(!list.to_string().contains("http"), "{list}");
    home.run(&["list"], "").expect(0);
}

#[test]
fn list_shows_every_record_and_no_secret() {
    let home = stocked();
    let list = home.run(&["list"], "").expect(0);
    for shown in [URL, OTHER, "default", "work", "api-key"] {
        assert!(list.stdout.contains(shown), "{shown}: {}", list.stdout);
    }
    let json = home.run(&["list", "--json"], "").expect(0);
    let parsed: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let mut records = Vec::new();
    objects(&parsed, &mut records);
    let has = |url: &str, account: &str| {
        records.iter().any(|record| {
            let texts: Vec<_> = record.values().filter_map(Value::as_str).collect();
            texts.contains(&url) && texts.contains(&account) && texts.contains(&"api-key")
        })
    };
    assert!(has(URL, "default") && has(URL, "work") && has(OTHER, "default"), "{parsed}");
    assert!(!has(OTHER, "work"));
    for out in [&list, &json] {
        assert!(!out.stdout.contains("secret") || !out.stdout.contains("-secret"));
        assert!(!out.stderr.contains("-secret"), "{}", out.stderr);
    }
}

fn objects<'a>(value: &'a Value, into: &mut Vec<&'a serde_json::Map<String, Value>>) {
    match value {
        Value::Array(members) => members.iter().for_each(|member| objects(member, into)),
        Value::Object(object) => {
            into.push(object);
            object.values().for_each(|member| objects(member, into));
        }
        _ => {}
    }
}

#[test]
fn token_prints_the_key_or_its_header_and_nothing_else() {
    let home = stocked();
    let token = |args: &[&str]| home.run(&[&["token"], args].concat(), "").expect(0).stdout;
    assert_eq!(token(&[URL]), "first-secret\n");
    assert_eq!(token(&[URL, "--account", "work"]), "second-secret\n");
    let header = token(&[OTHER, "--header"]);
    let (name, value) = header.split_once(": ").expect("a header");
    assert!(name.eq_ignore_ascii_case("authorization"), "{name}");
    assert_eq!(value, "Bearer third-secret\n");
    let missing = home.run(&["token", URL, "--account", "nobody"], "").expect(3);
    assert_eq!(missing.stdout, "");
    assert!(missing.stderr.contains("keyferry login"), "{}", missing.stderr);
    home.run(&["token", "https://nowhere.example/mcp"], "").expect(3);
}

#[test]
fn token_prints_a_key_of_several_words_whole() {
    for (flags, header) in [
        (&["--key-scheme", "none"][..], "Authorization: two words\n"),
        (&["--key-header", "X-Key"], "X-Key: two words\n"),
        (&["--key-scheme", "Token"], "Authorization: Token two words\n"),
    ] {
        let home = Home::new("plaintext");
        let args = [&["login", URL, "--with", "api-key", "--no-verify"], flags].concat();
        home.run(&args, "two words\n").expect(0);
        assert_eq!(home.run(&["token", URL], "").expect(0).stdout, "two words\n");
        assert_eq!(home.run(&["token", URL, "--header"], "").expect(0).stdout, header);
    }
}

#[test]
fn logout_forgets_one_account_or_all_of_one_remote() {
    let home = stocked();
    home.run(&["logout", URL], "").expect(0);
    home.run(&["token", URL], "").expect(3);
    home.run(&["token", URL, "--account", "work"], "").expect(0);
    home.run(&["token", OTHER], "").expect(0);

    home.store_key(URL, "again");
    home.run(&["logout", URL, "--all-accounts"], "").expect(0);
    home.run(&["token", URL], "").expect(3);
    home.run(&["token", URL, "--account", "work"], "").expect(3);
    assert_eq!(home.run(&["token", OTHER], "").expect(0).stdout, "third-secret\n");
    let list = home.run(&["list"], "").expect(0).stdout;
    assert!(!list.contains(URL) && list.contains(OTHER), "{list}");
}

#[test]
fn named_secrets_are_set_listed_replaced_and_removed() {
    let home = Home::new("plaintext").with("FROM_ENV", "env-value");
    let file = home.file("value", "file-value\n");
    home.run(&["secret", "set", "one"], "stdin-value\n").expect(0);
    home.run(&["secret", "set", "two", "--secret-env", "FROM_ENV"], "").expect(0);
    home.run(&["secret", "set", "three", "--secret-file", &file], "").expect(0);
    home.run(&["secret", "set", "one"], "newer-value\n").expect(0);
    let list = home.run(&["secret", "list"], "").expect(0);
    for name in ["one", "two", "three"] {
        assert!(list.stdout.lines().any(|line| line.contains(name)), "{}", list.stdout);
    }
    assert!(!list.stdout.contains("-value") && !list.stderr.contains("-value"));
    assert_eq!(values(&home), "newer-value env-value file-value");

    home.run(&["secret", "rm", "two"], "").expect(0);
    let list = home.run(&["secret", "list"], "").expect(0).stdout;
    assert!(list.contains("one") && !list.contains("two"), "{list}");
    home.run(&["secret", "rm", "two"], "").expect(1);
    home.run(&["secret", "set", "none"], "").expect_one_of(&[1, 2]);
    // A named secret is no record of a remote.
    let list = home.run(&["list"], "").expect(0).stdout;
    assert!(!list.contains("one"), "{list}");
}

/// What the three secrets hold, as a header carries them.
fn values(home: &Home) -> String {
    let server = Server::start(|_, wire| wire.status(500));
    let mut command = home.command();
    command.args([
        "login",
        &server.url(),
        "--with",
        "none",
        "--header",
        "X-All: ${vault:one} ${vault:two} ${vault:three}",
    ]);
    crate::support::home::run_to_end(command, b"");
    let request = server.wait("a request", |log| log.first().cloned());
    request.header("x-all").unwrap_or_default().to_owned()
}

#[test]
fn what_cannot_be_understood_is_a_usage_error() {
    let home = Home::new("plaintext");
    for args in [
        &["login"][..],
        &["login", URL, "--no-such-flag"],
        &["login", URL, "--with", "magic"],
        &["login", URL, "--with", "api-key", "--secret", "in-argv"],
        &["login", "not a url", "--with", "api-key"],
        &["login", "ftp://mcp.example/mcp", "--with", "api-key"],
        &["secret", "fly", "x"],
        &["token"],
        &["frobnicate", URL],
        &[],
    ] {
        let done = home.run(args, "x").expect(2);
        assert_eq!(done.stdout, "", "{args:?}");
        assert!(!done.stderr.is_empty(), "{args:?}");
    }
    let home = Home::new("no-such-vault");
    let done = home.run(&["token", URL], "").expect_one_of(&[2, 5]);
    for known in ["keychain", "passphrase", "memory", "plaintext"] {
        assert!(done.stderr.contains(known), "{}", done.stderr);
    }
}

/// The client must see the cause, not a closed connection.
#[test]
fn a_run_that_cannot_start_still_answers_initialize() {
    for (args, named) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--with", "magic"], "magic"),
        (&["--max-message", "many"], "many"),
    ] {
        let bridge = Home::new("memory").launch(URL).args(args).start();
        fails_by_name(bridge, named);
    }
    let bridge = Home::new("memory").launch("not a url").start();
    fails_by_name(bridge, "not a url");
    let bridge = Home::new("no-such-vault").launch(URL).args(&["--with", "api-key"]).start();
    fails_by_name(bridge, "no-such-vault");
}

#[track_caller]
fn fails_by_name(mut bridge: crate::support::bridge::Bridge, named: &str) {
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.error("1");
    assert!(error.to_string().contains(named), "{error}");
    let ended = bridge.finish();
    assert!(!ended.status.success());
}

/// Some clients split an argument at its space, and what comes behind it is the secret.
#[test]
fn a_header_that_a_client_has_split_is_not_shown() {
    const SECRET: &str = "sk-split-5ecret";
    for args in [
        &["--header", "X-Api-Key:", SECRET][..],
        &["--header", "Authorization:", "Bearer", SECRET],
        &["3334", "--header", "X-Api-Key:", SECRET],
        &["--read-only=sk-split-5ecret"],
        &["--sk-split-5ecret/0"],
    ] {
        let mut bridge = Home::new("memory").launch(URL).args(args).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.error("1").to_string();
        assert!(!error.contains(SECRET), "{error}");
        let ended = bridge.finish();
        assert!(!ended.stderr.contains(SECRET), "{}", ended.stderr);
        assert_eq!(ended.status.code(), Some(2));
        if args.contains(&SECRET) {
            assert!(ended.stderr.contains("--header Name:value"), "{}", ended.stderr);
            assert!(error.contains("--header Name:value"), "{error}");
        }
    }
    let home = Home::new("memory");
    for verb in ["login", "logout", "token", "list"] {
        let done = home.run(&[verb, URL, "--header", "X-Api-Key:", SECRET], "").expect(2);
        assert!(!done.stderr.contains(SECRET), "{}", done.stderr);
    }
}

#[test]
fn a_url_that_is_none_is_shown_without_its_secrets() {
    for (url, named) in [
        ("https://bob:hunter2@mcp.example:99999/", "mcp.example:99999"),
        ("htps://bob:hunter2@mcp.example/", "mcp.example"),
        ("https://bob:hun@hunter2@mcp.example:99999/", "mcp.example"),
        ("htps://bob:hun/hunter2@mcp.example/", "mcp.example"),
        ("htps://hunter2#@mcp.example/", "htps://"),
        ("bob:hunter2@mcp.example/x?hunter2#hunter2", "mcp.example/x"),
        ("http://mcp.example/?hunter2", "mcp.example"),
    ] {
        let done = Home::new("memory").run(&["token", url], "").expect(2);
        assert!(done.stderr.contains(named), "{}", done.stderr);
        assert!(!done.stderr.contains("hunter2"), "{}", done.stderr);
    }
}

#[test]
fn help_and_version_go_to_stdout() {
    let home = Home::new("memory");
    let version = home.run(&["--version"], "").expect(0);
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")));
    for args in [&["--help"][..], &["run", "--help"], &["login", "--help"]] {
        let help = home.run(args, "").expect(0);
        assert!(help.stdout.contains("keyferry"), "{}", help.stdout);
        assert_eq!(help.stderr, "");
    }
    // Nothing was touched for that.
    assert!(!home.dir().exists());
}

#[test]
fn the_url_alone_means_run() {
    let server = crate::support::legacy::Legacy::new().start();
    let home = std::sync::Arc::new(Home::new("memory"));
    let mut bridge = crate::support::bridge::Launch::bare(home, &server.url())
        .args(&["3334", "--log-level", "error"])
        .start()
        .ready();
    bridge.call("1");
    bridge.result("1");
}
