//! Where kinds meet the rest: working directories, challenges, the end of a session.

use super::{first_error, login, ready, rows, tells, whoami};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, Launch};
use crate::support::browser::Browser;
use crate::support::clock;
use crate::support::gate::{Gate, Verdict, bearers};
use crate::support::home::{Home, run_to_end};
use crate::support::jws::Pair;
use crate::support::login_endpoint::{LoginEndpoint, PASSWORD, USERNAME};
use crate::support::token_endpoint::{Given, TokenEndpoint};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

const SECRET: &str = "a-shared-5ecret-that-is-long-enough-for-hmac-0123456789";

/// `keyferry login URL`, typed in the directory beside the home.
#[track_caller]
fn login_there(home: &Home, url: &str, flags: &[&str], stdin: &str) {
    let mut command = home.command();
    command.current_dir(home.path("")).args(["login", url]).args(flags);
    run_to_end(command, stdin.as_bytes()).expect(0);
}

/// A client starts its servers wherever it likes.
#[test]
fn a_relative_path_is_where_the_person_was() {
    let pair = Pair::of("ES256");
    let home = Home::new("plaintext");
    home.file("key.pem", &pair.secret);
    home.file("assertion", "the-5ecret-assertion");
    let tool = home.file("tool", "#!/bin/sh\necho printed-5ecret-token\n");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    home.file("headers", "X-From: a file\n");
    let tokens = TokenEndpoint::start(|asked| match asked.param("assertion") {
        Some("the-5ecret-assertion") => Given::Token("pod".to_owned()),
        _ => Given::Error("invalid_grant", "no such assertion"),
    });
    let given = tokens.tokens.clone();
    let remote = Gate::default().start(move |request| {
        let sent = request.header("authorization").unwrap_or_default();
        let token = sent.strip_prefix("Bearer ").unwrap_or_default();
        let signed = pair.verifier.read(token).map(|_| "jwt".to_owned());
        let printed = (token == "printed-5ecret-token").then(|| "tool".to_owned());
        let from = request.header("x-from").map(str::to_owned);
        Verdict::or(signed.or(printed).or_else(|| given.who(token)).or(from), 401)
    });
    let home = Arc::new(home);
    let (url, endpoint) = (remote.url(), tokens.url());
    let assertion = ["--client-id", "w", "--token-endpoint", &endpoint, "--assertion-file"];
    for (flags, who) in [
        (&["--with", "jwt", "--alg", "ES256", "--private-key", "key.pem"][..], "jwt"),
        (&[&["--with", "jwt-bearer"], &assertion[..], &["assertion"]].concat(), "pod"),
        (&["--with", "command", "--command", "./tool"], "tool"),
        (&["--with", "none", "--header-file", "headers"], "a file"),
    ] {
        login_there(&home, &url, flags, "");
        assert_eq!(whoami(&home, &url, &[]), who, "{flags:?}");
    }
}

#[test]
fn a_relative_path_of_a_certificate_is_where_the_person_was() {
    use crate::support::mutual_tls::Authority;
    let server = bearers(401, |_| Some("ada".to_owned()));
    let authority = Authority::new("authority");
    let door = authority.guard(&server, &rustls::version::TLS13);
    let identity = authority.identity("ada");
    let home = Home::new("plaintext");
    home.file("ca.pem", &authority.pem);
    home.file("cert.pem", &identity.certificate);
    home.file("key.pem", &identity.key);
    let files = ["--ca-cert", "ca.pem", "--client-cert", "cert.pem", "--client-key", "key.pem"];
    let flags = [&["--with", "api-key"], &files[..]].concat();
    login_there(&home, &door.url(), &flags, "any-key\n");
    assert_eq!(whoami(&Arc::new(home), &door.url(), &[]), "ada");
}

/// Whoever taught a kind of their own does not want a browser.
#[test]
fn a_challenge_does_not_lead_a_kind_to_a_sign_in() {
    let auth = AuthorizationServer::start();
    let logins = LoginEndpoint::start();
    let login_url = logins.url();
    for challenge in [
        r#"Bearer error="invalid_token", resource_metadata="{document}""#,
        r#"Bearer error="insufficient_scope", scope="admin", resource_metadata="{document}""#,
    ] {
        auth.script(|script| script.challenges = Some(vec![challenge.to_owned()]));
        let remote = auth.remote();
        for (flags, secret) in [
            (&["--with", "api-key"][..], SECRET),
            (&["--with", "jwt", "--alg", "HS256"], SECRET),
            (&["--with", "password", "--login-url", &login_url, "--username", USERNAME], PASSWORD),
            (&["--with", "cloudflare-access", "--client-id", "id.access"], SECRET),
            (&["--with", "command", "--command", "echo", "--command-arg", "token"], ""),
        ] {
            let browser = Browser::new();
            let home = Home::new("plaintext").with("BROWSER", &browser.command());
            let flags = [flags, &["--no-verify"]].concat();
            login(&home, &remote.url(), &flags, secret).expect(0);
            let mut bridge = Bridge::start_in(&Arc::new(home), &remote.url());
            let error = first_error(&mut bridge, &[-31001, -31004]);
            tells(&error, &[&remote.address().to_string()]);
            bridge.finish();
            assert!(browser.tabs().is_empty(), "{flags:?}");
            assert!(remote.requests().len() < 40, "{flags:?}: {:?}", remote.kinds());
        }
    }
    assert!(auth.asked("/register").is_empty());
    assert!(auth.asked("/token").is_empty());
}

/// A token in the address of a login endpoint is as secret as in that of a remote.
#[test]
fn what_stands_in_the_query_of_a_login_url_is_not_shown() {
    let endpoint = LoginEndpoint::start();
    endpoint.script(|script| {
        script.on = Some(Arc::new(Box::new(|_, wire| {
            wire.reply(403, &[("Content-Type", "text/plain")], b"wrong key query-5ecret-0001");
        })));
    });
    let remote = bearers(401, |_| None);
    let url = format!("{}?key=query-5ecret-0001", endpoint.url());
    let home = Home::new("plaintext").with("KEYFERRY_LOG", "trace");
    let flags = ["--with", "password", "--login-url", &url, "--username", USERNAME, "--no-verify"];
    let done = login(&home, &remote.url(), &flags, PASSWORD).expect(0);
    let mut texts = vec![done.stderr, rows(&home)[0].to_string()];
    texts.push(home.run(&["list"], "").expect(0).stdout);
    for (_, content) in home.files() {
        texts.push(String::from_utf8_lossy(&content).into_owned());
    }
    let home = Arc::new(home);
    let mut bridge = Launch::new(home, &remote.url()).start();
    texts.push(first_error(&mut bridge, &[-31001]).to_string());
    texts.push(bridge.finish().stderr);
    for text in texts {
        assert!(!text.contains("query-5ecret"), "{text}");
    }
}

/// Also the last word of a bridge that was idle for long is said with a good token.
#[test]
fn the_session_is_ended_with_a_token_that_is_good_by_then() {
    let pair = Pair::of("HS256");
    let remote = bearers(401, move |token| {
        let claims = pair.verifier.read(token)?.claims;
        (claims["exp"].as_u64()? > clock::now()).then(|| "svc".to_owned())
    });
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "jwt", "--alg", "HS256", "--ttl", "3", "--no-verify"];
    login(&home, &remote.url(), &flags, &pair.secret).expect(0);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "svc");
    std::thread::sleep(Duration::from_millis(4100));
    bridge.finish();
    let last = remote.requests().pop().unwrap();
    assert_eq!(last.kind(), "DELETE");
    let token = last.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    let claims = crate::support::jws::read(token).unwrap().claims;
    assert!(claims["exp"].as_u64().unwrap() >= clock::now(), "an expired token: {claims}");
}

/// Each of them asks for itself when its flags alone say how.
#[test]
fn what_flags_make_is_kept_in_memory_and_nowhere_else() {
    let endpoint = LoginEndpoint::start();
    let tokens = endpoint.tokens.clone();
    let remote = bearers(401, move |token| tokens.who(token));
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    let flags = ["--with", "password", "--login-url", &url, "--username", USERNAME];
    for logins in 1..3 {
        let mut bridge = Launch::new(home.clone(), &remote.url())
            .args(&flags)
            .args(&["--secret-env", "PASSWORD"])
            .env("PASSWORD", PASSWORD)
            .start()
            .ready();
        assert_eq!(bridge.whoami(), "ada");
        bridge.finish();
        assert_eq!(endpoint.logins(), logins);
    }
    let kept = rows(&home);
    assert!(kept.is_empty(), "{kept:?}");
    home.run(&["token", &remote.url()], "").expect(3);
}

/// Five bridges whose token ends at the same time.
#[test]
fn several_bridges_renew_a_machine_token_together() {
    let endpoint = TokenEndpoint::start(|_| Given::Token("machine".to_owned()));
    endpoint.rules(|rules| rules.lifetime = 5);
    let remote = endpoint.remote();
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "client-credentials", "--client-id", "m", "--no-verify"];
    login(&home, &remote.url(), &flags, "cl1ent-5ecret").expect(0);
    let mut bridges: Vec<_> = (0..5).map(|_| Bridge::start_in(&home, &remote.url())).collect();
    bridges = bridges.into_iter().map(Bridge::ready).collect();
    for rounds in 1..3 {
        for bridge in &mut bridges {
            bridge.tool("\"r\"", "whoami");
        }
        for bridge in &mut bridges {
            assert_eq!(bridge.text("\"r\""), "machine");
        }
        assert!(endpoint.asked().len() <= rounds + 1, "{}", endpoint.asked().len());
        std::thread::sleep(Duration::from_millis(5100));
    }
    assert_eq!(endpoint.tokens.refused(), 0);
}
