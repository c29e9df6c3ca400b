//! `list` shows what matters of each kind and no secret, without unlocking; `token` prints
//! what is sent.

use super::{login, rows};
use crate::support::bridge::Launch;
use crate::support::gate::bearers;
use crate::support::home::Home;
use crate::support::jws::{self, Pair};
use crate::support::login_endpoint::LoginEndpoint;
use crate::support::login_endpoint::{PASSWORD, USERNAME};
use serde_json::{Value, json};
use std::sync::Arc;

const URL: &str = "https://mcp.example/mcp";
const SECRET: &str = "a-shared-5ecret-that-is-long-enough-for-hmac-0123456789";

/// Flags, what comes on stdin, and what `details` shall hold.
fn stock(home: &Home) -> Vec<(Vec<String>, &'static str, Value)> {
    let key = home.file("key.pem", Pair::of("ES256").secret);
    let assertion = home.file("assertion", "an-5ecret-assertion");
    let id_token = home.file("id-token", jws::unsigned(&json!({ "sub": "ada" })));
    let flags = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    vec![
        (
            flags(&["--with", "api-key", "--key-header", "X-Key", "--key-scheme", "Key"]),
            SECRET,
            json!({ "header": "x-key", "scheme": "Key" }),
        ),
        (
            flags(&[
                "--with",
                "jwt",
                "--alg",
                "ES256",
                "--private-key",
                &key,
                "--key-id",
                "kid-1",
                "--claim",
                "iss=the-issuer",
                "--claim",
                "sub=the-subject",
                "--claim",
                "aud=the-audience",
                "--claim",
                "other=hidden-claim",
            ]),
            "",
            json!({
                "algorithm": "ES256", "key_id": "kid-1", "issuer": "the-issuer",
                "subject": "the-subject", "audience": "the-audience", "header": "authorization",
                "scheme": "Bearer",
            }),
        ),
        (
            flags(&[
                "--with",
                "password",
                "--login-url",
                "https://login.example/auth/token",
                "--username",
                USERNAME,
            ]),
            PASSWORD,
            json!({ "login_url": "https://login.example/auth/token", "username": USERNAME }),
        ),
        (
            flags(&["--with", "cloudflare-access", "--client-id", "id.access"]),
            SECRET,
            json!({ "client_id": "id.access" }),
        ),
        (
            flags(&[
                "--with",
                "command",
                "--command",
                "/usr/bin/op",
                "--command-arg",
                "argument-5ecret",
                "--command-arg",
                "two",
            ]),
            "",
            json!({ "command": "/usr/bin/op", "arguments": 2 }),
        ),
        (
            flags(&[
                "--with",
                "client-credentials",
                "--client-id",
                "machine",
                "--token-endpoint",
                "https://as.example/token",
                "--scope",
                "a b",
            ]),
            SECRET,
            json!({
                "client_id": "machine", "auth_method": "client_secret",
                "token_endpoint": "https://as.example/token", "scopes": ["a", "b"],
            }),
        ),
        (
            flags(&[
                "--with",
                "client-credentials",
                "--client-id",
                "machine",
                "--issuer",
                "https://as.example",
                "--private-key",
                &key,
                "--alg",
                "ES256",
                "--key-id",
                "k7",
            ]),
            "",
            json!({
                "client_id": "machine", "auth_method": "private_key_jwt", "algorithm": "ES256",
                "key_id": "k7", "issuer": "https://as.example",
            }),
        ),
        (
            flags(&["--with", "jwt-bearer", "--client-id", "pod", "--assertion-file", &assertion]),
            "",
            json!({ "client_id": "pod", "assertion_file": assertion }),
        ),
        (
            flags(&[
                "--with",
                "enterprise",
                "--client-id",
                "here",
                "--idp-issuer",
                "https://idp.example",
                "--idp-client-id",
                "there",
                "--id-token-file",
                &id_token,
            ]),
            SECRET,
            json!({
                "client_id": "here", "idp_issuer": "https://idp.example", "idp_client_id": "there",
            }),
        ),
        (flags(&["--with", "none", "--header", "X-Tenant: tenant-5ecret"]), "", json!({})),
    ]
}

#[test]
fn each_kind_shows_what_matters_and_no_secret() {
    let home = Home::new("plaintext");
    for (flags, stdin, expected) in stock(&home) {
        let kind = flags[1].clone();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        login(&home, URL, &[&flags[..], &["--no-verify"]].concat(), stdin).expect(0);
        let row = rows(&home).remove(0);
        assert_eq!((&row["remote"], &row["kind"]), (&json!(URL), &json!(kind)), "{row}");
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&row["details"][name], value, "{kind} {name}: {row}");
        }
        let list = home.run(&["list"], "").expect(0).stdout;
        assert!(list.contains(&kind) && list.contains(URL), "{list}");
        for text in [row.to_string(), list] {
            for secret in ["5ecret", "pa55word", "hidden-claim", "PRIVATE"] {
                assert!(!text.contains(secret), "{kind} shows {secret}: {text}");
            }
        }
    }
}

#[test]
fn the_table_tells_one_kind_from_another_at_a_glance() {
    let home = Home::new("plaintext");
    for (flags, stdin, _) in stock(&home) {
        let told = match flags[1].as_str() {
            "api-key" => "x-key",
            "jwt" => "the-subject",
            "password" => USERNAME,
            "cloudflare-access" => "id.access",
            "command" => "/usr/bin/op",
            "client-credentials" => "machine",
            "jwt-bearer" => "pod",
            "enterprise" => "https://idp.example",
            _ => "X-Tenant",
        };
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        login(&home, URL, &[&flags[..], &["--no-verify"]].concat(), stdin).expect(0);
        let list = home.run(&["list"], "").expect(0).stdout;
        assert!(list.to_lowercase().contains(&told.to_lowercase()), "no {told}: {list}");
    }
}

#[test]
fn headers_that_go_along_are_listed_by_name() {
    let home = Home::new("plaintext").with("TWO", "two-5ecret");
    let flags = ["--with", "none", "--header", "X-One: one-5ecret", "--header", "X-Two:${TWO}"];
    login(&home, URL, &[&flags[..], &["--no-verify"]].concat(), "").expect(0);
    let row = rows(&home).remove(0);
    let names = row["details"]["headers"].as_array().unwrap_or_else(|| panic!("{row}"));
    let names: Vec<_> = names.iter().map(|name| name.as_str().unwrap().to_lowercase()).collect();
    assert_eq!(names, ["x-one", "x-two"]);
    assert!(!row.to_string().contains("5ecret"), "{row}");
}

/// Nobody is asked for the passphrase of a vault that is only looked at.
#[test]
fn a_list_unlocks_nothing() {
    let mut home = Home::new("passphrase").with("KEYFERRY_PASSPHRASE", "the phrase");
    let flags = ["--with", "jwt", "--alg", "HS256", "--claim", "sub=ada", "--no-verify"];
    login(&home, URL, &flags, SECRET).expect(0);
    home.unset("KEYFERRY_PASSPHRASE");
    let row = rows(&home).remove(0);
    assert_eq!(row["details"]["subject"], "ada", "{row}");
    let done = home.run(&["list"], "").expect(0);
    assert!(done.stdout.contains("ada"), "{}", done.stdout);
}

#[test]
fn a_token_is_minted_for_curl_and_renewed_when_it_has_ended() {
    let pair = Pair::of("HS256");
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "jwt", "--alg", "HS256", "--claim", "sub=ada", "--no-verify"];
    login(&home, URL, &flags, &pair.secret).expect(0);
    let token = home.run(&["token", URL], "").expect(0).stdout;
    let read = pair.verifier.read(token.trim_end()).expect("a good token");
    assert_eq!(read.claims["sub"], "ada");
    let header = home.run(&["token", URL, "--header"], "").expect(0).stdout;
    let (name, token) = header.split_once(": Bearer ").unwrap();
    assert!(name.eq_ignore_ascii_case("authorization"));
    assert!(pair.verifier.read(token.trim_end()).is_some());

    let endpoint = LoginEndpoint::lasting(3);
    let tokens = endpoint.tokens.clone();
    let remote = bearers(401, move |token| tokens.who(token));
    let url = endpoint.url();
    let flags = ["--with", "password", "--login-url", &url, "--username", USERNAME];
    login(&home, &remote.url(), &flags, PASSWORD).expect(0);
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let token = home.run(&["token", &remote.url()], "").expect(0).stdout;
    assert_eq!(endpoint.tokens.who(token.trim_end()).as_deref(), Some("ada"));
}

#[test]
fn a_token_whose_source_refuses_is_a_failure_that_says_why() {
    let endpoint = LoginEndpoint::start();
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    let flags = ["--with", "password", "--login-url", &url, "--username", USERNAME];
    let flags = [&flags[..], &["--no-verify"]].concat();
    login(&home, URL, &flags, "wrong").expect(0);
    let done = home.run(&["token", URL], "").expect_one_of(&[1, 3]);
    assert_eq!(done.stdout, "");
    assert!(done.stderr.contains("Incorrect username or password"), "{}", done.stderr);
}

#[test]
fn a_logout_forgets_what_was_taught_and_what_was_given() {
    let endpoint = LoginEndpoint::start();
    let tokens = endpoint.tokens.clone();
    let remote = bearers(401, move |token| tokens.who(token));
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    let flags = ["--with", "password", "--login-url", &url, "--username", USERNAME];
    login(&home, &remote.url(), &flags, PASSWORD).expect(0);
    home.run(&["logout", &remote.url()], "").expect(0);
    assert!(rows(&home).is_empty());
    home.run(&["token", &remote.url()], "").expect(3);
    let mut bridge = Launch::new(home, &remote.url()).start();
    super::first_error(&mut bridge, &[-31001, -31004]);
    assert_eq!(endpoint.logins(), 1);
}
