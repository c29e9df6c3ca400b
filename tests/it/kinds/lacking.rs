//! What `run` lacks is an error that names the login, and the login it names mends it; what
//! the vault holds is for those who ask for the same.

use super::{first_error, hint, login, whoami};
use crate::support::authorization_server::Asked;
use crate::support::bridge::{Bridge, Launch, initialize_params};
use crate::support::gate::{Gate, Verdict, bearers};
use crate::support::home::{Home, run_to_end};
use crate::support::login_endpoint::{LoginEndpoint, PASSWORD, USERNAME};
use crate::support::mcp_server::Server;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use std::path::Path;
use std::sync::Arc;

const SECRET: &str = "a-shared-5ecret-that-is-long-enough-for-hmac-0123456789";

fn any_secret(asked: &Asked) -> Given {
    match asked.basic() {
        Some((id, secret)) if secret == SECRET => Given::Token(id),
        _ => Given::Error("invalid_client", "wrong secret"),
    }
}

/// The kinds that need a secret, with the flags that say all but that.
fn kinds(endpoint: &str, login_url: &str) -> Vec<(&'static str, Vec<String>, &'static str)> {
    let flags = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect();
    vec![
        ("api-key", flags(&["--key-header", "X-Key"]), SECRET),
        ("jwt", flags(&["--alg", "HS256", "--claim", "sub=a b", "--ttl", "30"]), SECRET),
        ("password", flags(&["--login-url", login_url, "--username", USERNAME]), PASSWORD),
        ("cloudflare-access", flags(&["--client-id", "id.access"]), SECRET),
        (
            "client-credentials",
            flags(&["--client-id", "it's me", "--token-endpoint", endpoint, "--scope", "a b"]),
            SECRET,
        ),
        ("jwt-bearer", flags(&["--client-id", "w", "--token-endpoint", endpoint]), SECRET),
    ]
}

/// Runs a command as a person pastes it, with the secret piped into it.
#[cfg(unix)]
#[track_caller]
fn paste(home: &Home, command: &str, stdin: &str) {
    let bin = home.path("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_keyferry"), bin.join("keyferry")).unwrap();
    }
    let mut shell = home.command_of(Path::new("/bin/sh"));
    shell.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    shell.args(["-c", command]);
    run_to_end(shell, format!("{stdin}\n").as_bytes()).expect(0);
}

#[test]
fn the_login_that_the_hint_names_is_all_that_was_lacking() {
    let tokens = TokenEndpoint::start(|asked| match asked.param("assertion") {
        Some(assertion) if assertion == SECRET => Given::Token("w".to_owned()),
        _ => any_secret(asked),
    });
    let logins = LoginEndpoint::start();
    let (one, other) = (tokens.tokens.clone(), logins.tokens.clone());
    // Whatever it is, there is something.
    let remote = Gate::default().start(move |request| {
        let header = |name| request.header(name).unwrap_or_default();
        let bearer = header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let known = one.who(bearer).or_else(|| other.who(bearer)).is_some()
            || crate::support::jws::read(bearer).is_some()
            || header("x-key") == SECRET
            || header("cf-access-client-secret") == SECRET;
        Verdict::or(known.then(|| "known".to_owned()), 401)
    });
    let url = remote.url();
    for (kind, flags, secret) in kinds(&tokens.url(), &logins.url()) {
        let home = Arc::new(Home::new("plaintext"));
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let flags = [&["--with", kind], &flags[..]].concat();
        let before = remote.requests().len();
        let mut bridge = Launch::new(home.clone(), &url).args(&flags).start();
        let error = first_error(&mut bridge, &[-31001]);
        assert_eq!(remote.requests().len(), before, "{kind}: something was sent");
        let hint = hint(&error);
        assert!(hint.starts_with(&format!("keyferry login {url} ")), "{hint}");
        paste(&home, &hint, secret);
        assert_eq!(whoami(&home, &url, &flags), "known", "{kind}: {hint}");
        assert_eq!(whoami(&home, &url, &[]), "known", "{kind}: {hint}");
        // The bridge that has told it goes on with what is there now.
        assert_eq!(bridge.ready().whoami(), "known", "{kind}");
    }
}

#[test]
fn a_record_of_another_kind_is_not_used() {
    let logins = LoginEndpoint::start();
    let tokens = TokenEndpoint::start(any_secret);
    let remote = bearers(401, |_| panic!("something was shown"));
    let url = remote.url();
    for (taught, flags, secret) in kinds(&tokens.url(), &logins.url()) {
        let home = Arc::new(Home::new("plaintext"));
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let flags = [&["--with", taught, "--no-verify"], &flags[..]].concat();
        login(&home, &url, &flags, secret).expect(0);
        for (asked, flags, _) in kinds(&tokens.url(), &logins.url()) {
            if asked == taught {
                continue;
            }
            let flags: Vec<_> = flags.iter().map(String::as_str).collect();
            let flags = [&["--with", asked], &flags[..]].concat();
            let mut bridge = Launch::new(home.clone(), &url).args(&flags).start();
            bridge.request("1", "initialize", "{}");
            let error = bridge.own_error("1", &[-31001]);
            assert!(hint(&error).contains(&format!("--with {asked}")), "{taught} {asked}: {error}");
        }
    }
    assert!(remote.requests().is_empty());
    assert!(tokens.asked().is_empty());
    assert_eq!(logins.logins(), 0);
}

/// A home where one machine was taught, and whose token is there.
fn machine(tokens: &TokenEndpoint, remote: &Server) -> Arc<Home> {
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "client-credentials", "--client-id", "first", "--scope", "a"];
    login(&home, &remote.url(), &flags, SECRET).expect(0);
    assert_eq!(tokens.asked().len(), 1);
    home
}

#[test]
fn a_token_of_another_client_issuer_scope_or_resource_is_not_used_and_stays() {
    let other = TokenEndpoint::start(any_secret);
    let issuer = other.issuer().to_owned();
    let cases: [(&[&str], &str); 5] = [
        (&["--client-id", "second"], "second"),
        (&["--client-id", "first", "--scope", "a b"], "first"),
        (&["--client-id", "first", "--resource", "https://api.example/"], "first"),
        (&["--client-id", "first", "--disable-resource-parameter"], "first"),
        (&["--client-id", "first", "--issuer", &issuer], "first"),
    ];
    for (flags, who) in cases {
        let tokens = TokenEndpoint::start(any_secret);
        let others = other.tokens.clone();
        let ours = tokens.tokens.clone();
        let remote = match flags.contains(&"--issuer") {
            false => tokens.remote(),
            true => bearers(401, move |token| ours.who(token).or_else(|| others.who(token))),
        };
        let home = match flags.contains(&"--issuer") {
            false => machine(&tokens, &remote),
            true => {
                let home = Arc::new(Home::new("plaintext"));
                let taught = ["--with", "client-credentials", "--client-id", "first"];
                let taught = [&taught[..], &["--issuer", tokens.issuer()]].concat();
                login(&home, &remote.url(), &taught, SECRET).expect(0);
                home
            }
        };
        let stored = tokens.tokens.all()[0].clone();
        let before = remote.requests().len();
        let mut bridge = Launch::new(home.clone(), &remote.url())
            .args(&["--with", "client-credentials", "--secret-env", "MINE"])
            .args(flags)
            .env("MINE", SECRET)
            .start()
            .ready();
        assert_eq!(bridge.whoami(), who, "{flags:?}");
        for request in &remote.requests()[before..] {
            let sent = request.header("authorization").unwrap_or_default();
            assert!(!sent.contains(&stored), "{flags:?}: the stored token was used");
        }
        let asked = tokens.asked().len() + other.asked().len();
        assert_eq!(whoami(&home, &remote.url(), &[]), "first", "{flags:?}");
        let again = tokens.asked().len() + other.asked().len();
        assert_eq!(again, asked, "{flags:?}: the stored token is gone");
    }
}

/// What flags ask for is what is there: its secret is found in the vault.
#[test]
fn flags_that_say_the_same_find_what_was_taught() {
    let tokens = TokenEndpoint::start(any_secret);
    let remote = tokens.remote();
    let home = machine(&tokens, &remote);
    for flags in [
        &["--with", "client-credentials"][..],
        &["--with", "client-credentials", "--client-id", "first"],
        &["--with", "client-credentials", "--client-id", "first", "--scope", "a"],
    ] {
        assert_eq!(whoami(&home, &remote.url(), flags), "first", "{flags:?}");
    }
    assert_eq!(tokens.asked().len(), 1, "the token that is there is used");
}

#[test]
fn a_header_of_ones_own_and_with_none_win_over_what_is_stored() {
    let tokens = TokenEndpoint::start(any_secret);
    let remote = tokens.remote();
    let home = machine(&tokens, &remote);
    tokens.tokens.keep("by-hand", "by hand", std::time::Duration::from_secs(60));
    let before = remote.requests().len();
    let flags = ["--header", "Authorization: Bearer by-hand"];
    assert_eq!(whoami(&home, &remote.url(), &flags), "by hand");
    for request in &remote.requests()[before..] {
        assert_eq!(request.header("authorization"), Some("Bearer by-hand"));
    }
    let before = remote.requests().len();
    let mut bridge = Launch::new(home.clone(), &remote.url()).args(&["--with", "none"]).start();
    first_error(&mut bridge, &[-31001, -31004]);
    for request in &remote.requests()[before..] {
        assert_eq!(request.header("authorization"), None);
    }
    assert_eq!(tokens.asked().len(), 1);
}

/// `login` for one account teaches nobody else.
#[test]
fn accounts_are_apart() {
    let tokens = TokenEndpoint::start(any_secret);
    let remote = tokens.remote();
    let home = Arc::new(Home::new("plaintext"));
    for (account, id) in [("default", "one"), ("work", "two")] {
        let flags = ["--with", "client-credentials", "--client-id", id, "--account", account];
        login(&home, &remote.url(), &flags, SECRET).expect(0);
    }
    assert_eq!(whoami(&home, &remote.url(), &[]), "one");
    assert_eq!(whoami(&home, &remote.url(), &["--account", "work"]), "two");
    home.run(&["logout", &remote.url()], "").expect(0);
    assert_eq!(whoami(&home, &remote.url(), &["--account", "work"]), "two");
    home.run(&["token", &remote.url()], "").expect(3);
}

#[test]
fn what_would_be_gone_at_once_is_not_called_stored() {
    let remote = bearers(401, |_| panic!("something was sent"));
    let tokens = TokenEndpoint::start(any_secret);
    let logins = LoginEndpoint::start();
    for (kind, flags, secret) in kinds(&tokens.url(), &logins.url()) {
        let home = Home::new("memory");
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let flags = [&["--with", kind], &flags[..]].concat();
        let done = login(&home, &remote.url(), &flags, secret).expect(5);
        assert!(done.stderr.contains("KEYFERRY_VAULT=memory"), "{kind}: {}", done.stderr);
    }
}

/// Who runs already uses what a later login teaches.
#[test]
fn a_new_login_is_used_by_a_bridge_that_already_runs() {
    let tokens = TokenEndpoint::start(any_secret);
    let remote = tokens.remote();
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "client-credentials", "--client-id", "first", "--no-verify"];
    login(&home, &remote.url(), &flags, "wrong-secret").expect(0);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    first_error(&mut bridge, &[-31001]);
    login(&home, &remote.url(), &flags, SECRET).expect(0);
    // A failure may answer for those who come right behind it.
    let mut attempt = 0;
    crate::support::browser::wait("the new secret to be used", || {
        attempt += 1;
        let id = format!("\"again-{attempt}\"");
        bridge.request(&id, "initialize", &initialize_params("2025-11-25"));
        bridge.answer(&id).get("result").map(drop)
    });
    bridge.notify("notifications/initialized", "{}");
    assert_eq!(bridge.whoami(), "first");
}
