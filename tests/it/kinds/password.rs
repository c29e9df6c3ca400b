//! `--with password`: a login endpoint that gives tokens.

use super::{first_error, hint, login, ready, tells, whoami, works_both_ways};
use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, Launch};
use crate::support::clock;
use crate::support::gate::bearers;
use crate::support::home::Home;
use crate::support::jws;
use crate::support::login_endpoint::{LoginEndpoint, PASSWORD, USERNAME, json_answer};
use crate::support::mcp_server::{Port, Server};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECRET: &[(&str, &str)] = &[("--secret-env", PASSWORD)];

/// A remote that takes the tokens of this login endpoint, and answers others with `status`.
fn remote(endpoint: &LoginEndpoint, status: u16) -> Server {
    let tokens = endpoint.tokens.clone();
    bearers(status, move |token| tokens.who(token))
}

fn flags<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--with", "password", "--login-url", url, "--username", USERNAME], more].concat()
}

/// A home that was taught without asking anybody.
fn taught(endpoint: &LoginEndpoint, remote: &Server, more: &[&str]) -> Arc<Home> {
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    let flags = flags(&url, &[more, &["--no-verify"]].concat());
    login(&home, &remote.url(), &flags, PASSWORD).expect(0);
    home
}

#[test]
fn a_name_and_a_password_go_out_as_json_or_as_a_form() {
    for (form, more) in
        [(false, &[][..]), (false, &["--body", "json"]), (true, &["--body", "form"])]
    {
        let endpoint = LoginEndpoint::start();
        endpoint.script(|script| script.form = form);
        let remote = remote(&endpoint, 401);
        let home = Arc::new(Home::new("plaintext"));
        let url = endpoint.url();
        let flags = flags(&url, more);
        assert_eq!(works_both_ways(&home, &remote.url(), &flags, SECRET), ["ada", "ada"]);
        for request in endpoint.server.requests() {
            assert!(!request.target.contains("pa55word"), "{}", request.target);
        }
    }
}

#[test]
fn the_token_is_found_where_it_usually_stands_or_where_the_pointer_says() {
    for (body, more) in [
        (json!({ "access_token": "{token}", "token": "another" }), &[][..]),
        (json!({ "token": "{token}", "user": { "name": "ada" } }), &[]),
        (json!({ "token": "another", "key": "{token}" }), &["--token-pointer", "/key"]),
        (
            json!({ "data": { "tokens": [{ "a/b": "{token}" }] } }),
            &["--token-pointer", "/data/tokens/0/a~1b"],
        ),
    ] {
        let endpoint = LoginEndpoint::start();
        endpoint.script(|script| script.answer = json_answer(&body));
        let remote = remote(&endpoint, 401);
        let home = taught(&endpoint, &remote, more);
        assert_eq!(whoami(&home, &remote.url(), &[]), "ada", "{body}");
        assert_eq!(endpoint.logins(), 1, "{body}");
    }
}

#[test]
fn a_token_stands_where_the_flags_say() {
    let endpoint = LoginEndpoint::start();
    let tokens = endpoint.tokens.clone();
    let remote = crate::support::gate::Gate::default().start(move |request| {
        assert_eq!(request.header("authorization"), None);
        let token = request.header("x-session-token").unwrap_or_default();
        crate::support::gate::Verdict::or(tokens.who(token), 401)
    });
    let home = taught(&endpoint, &remote, &["--key-header", "X-Session-Token"]);
    assert_eq!(whoami(&home, &remote.url(), &[]), "ada");
    let header = home.run(&["token", &remote.url(), "--header"], "").expect(0).stdout;
    let expected = format!("x-session-token: {}", endpoint.tokens.all()[0]);
    assert_eq!(header.trim_end().to_lowercase(), expected);
}

/// How long a token is good is said in many ways; here always 8 seconds.
#[test]
fn a_token_is_renewed_before_its_end_however_that_is_said() {
    let now = clock::now();
    let threads: Vec<_> = [
        json!({ "token": "{token}", "expires_in": 8 }),
        json!({ "token": "{token}", "expires_in": "8" }),
        json!({ "token": "{token}", "expires_in": 8.0 }),
        json!({ "token": "{token}", "expires_at": now + 8 }),
        json!({ "token": jws::unsigned(&json!({ "exp": now + 8 })) }),
    ]
    .into_iter()
    .map(|body| std::thread::spawn(move || renewed_in_time(&body)))
    .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn renewed_in_time(body: &Value) {
    let endpoint = LoginEndpoint::lasting(8);
    endpoint.script(|script| script.answer = json_answer(body));
    if let Some(token) = body["token"].as_str().filter(|token| *token != "{token}") {
        endpoint.tokens.keep(token, "ada", Duration::from_secs(8));
    }
    let remote = remote(&endpoint, 401);
    let home = taught(&endpoint, &remote, &[]);
    let mut bridge = ready(&home, &remote.url(), &[]);
    for _ in 0..10 {
        assert_eq!(bridge.whoami(), "ada", "{body}");
    }
    assert_eq!(endpoint.logins(), 1, "no login for each request: {body}");
    std::thread::sleep(Duration::from_millis(8200));
    // From here on there are longer ones.
    endpoint.script(|script| {
        script.answer = json_answer(&json!({ "token": "{token}", "expires_in": 3600 }));
        script.good_for = Duration::from_secs(3600);
    });
    assert_eq!(bridge.whoami(), "ada", "{body}");
    assert_eq!(endpoint.logins(), 2, "{body}");
    assert_eq!(endpoint.tokens.refused(), 0, "an expired token was shown: {body}");
}

/// Odd lifetimes are no reason to log in for each request, or never.
#[test]
fn a_lifetime_that_cannot_be_is_none() {
    for lifetime in [json!(0), json!(-5), json!("soon"), json!(1e300), json!(null), json!({})] {
        let endpoint = LoginEndpoint::start();
        let body = json!({ "token": "{token}", "expires_in": lifetime });
        endpoint.script(|script| script.answer = json_answer(&body));
        let remote = remote(&endpoint, 401);
        let home = taught(&endpoint, &remote, &[]);
        let mut bridge = ready(&home, &remote.url(), &[]);
        for _ in 0..5 {
            assert_eq!(bridge.whoami(), "ada", "{lifetime}");
        }
        // Zero and less may say that a token is for one request.
        assert!(endpoint.logins() <= 2 || lifetime.as_f64().is_some_and(|l| l <= 0.0));
        endpoint.tokens.revoke();
        assert_eq!(bridge.whoami(), "ada", "{lifetime}");
    }
}

#[test]
fn a_token_that_is_refused_is_replaced_once() {
    for status in [401, 403] {
        let endpoint = LoginEndpoint::start();
        let remote = remote(&endpoint, status);
        let home = taught(&endpoint, &remote, &[]);
        let mut bridge = ready(&home, &remote.url(), &[]);
        for logins in 1..3 {
            let who = bridge.answer_to_whoami();
            assert!(who.contains("\"ada\""), "{status}: {logins}: {who}");
            assert_eq!(endpoint.logins(), logins, "{status}");
            endpoint.tokens.revoke();
        }
    }
}

/// A viewer who may not use a tool is not logged in again for each try.
#[test]
fn a_role_that_is_refused_a_tool_leads_to_one_login_and_no_more() {
    let endpoint = LoginEndpoint::start();
    let remote = remote(&endpoint, 401);
    let home = taught(&endpoint, &remote, &[]);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "ada");
    for id in ["a", "b", "c", "d", "e"].map(|id| format!("\"{id}\"")) {
        bridge.tool(&id, "admin");
        let error = bridge.own_error(&id, &[-31001, -31004]);
        tells(&error, &[&remote.address().to_string()]);
    }
    assert!(endpoint.logins() <= 2, "{} logins", endpoint.logins());
    assert_eq!(bridge.whoami(), "ada");
    assert!(endpoint.logins() <= 2, "{} logins", endpoint.logins());
}

#[test]
fn calls_that_are_refused_together_lead_to_one_login() {
    let endpoint = LoginEndpoint::start();
    let remote = remote(&endpoint, 401);
    let home = taught(&endpoint, &remote, &[]);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "ada");
    endpoint.tokens.revoke();
    endpoint.script(|script| script.delay = Duration::from_millis(300));
    for id in 0..16 {
        bridge.call(&id.to_string());
    }
    for id in 0..16 {
        bridge.result(&id.to_string());
    }
    assert_eq!(endpoint.logins(), 2);
}

#[test]
fn several_bridges_share_what_one_login_gave() {
    let endpoint = LoginEndpoint::start();
    endpoint.script(|script| script.delay = Duration::from_millis(300));
    let remote = remote(&endpoint, 401);
    let home = taught(&endpoint, &remote, &[]);
    let mut bridges: Vec<_> =
        (0..5).map(|_| Launch::new(home.clone(), &remote.url()).start()).collect();
    for _ in 0..2 {
        bridges = bridges.into_iter().map(Bridge::ready).collect();
        for bridge in &mut bridges {
            assert_eq!(bridge.whoami(), "ada");
        }
    }
    assert_eq!(endpoint.logins(), 1);
    endpoint.tokens.revoke();
    for bridge in &mut bridges {
        bridge.tool("\"again\"", "whoami");
    }
    for bridge in &mut bridges {
        assert_eq!(bridge.text("\"again\""), "ada");
    }
    assert!(endpoint.logins() <= 3, "{} logins", endpoint.logins());
    // What is good is used by who comes later.
    let logins = endpoint.logins();
    assert_eq!(whoami(&home, &remote.url(), &[]), "ada");
    assert_eq!(endpoint.logins(), logins);
}

/// The error of a bridge whose login endpoint answers like this.
#[track_caller]
fn error_after(endpoint: &LoginEndpoint, codes: &[i64]) -> Value {
    let remote = remote(endpoint, 401);
    let home = taught(endpoint, &remote, &[]);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, codes);
    tells(&error, &[&endpoint.server.address().ip().to_string()]);
    for secret in [PASSWORD, "pa55word"] {
        assert!(!error.to_string().contains(secret), "{error}");
    }
    assert!(endpoint.logins() <= 3, "{} logins", endpoint.logins());
    let ended = bridge.finish();
    assert!(!ended.stderr.contains("pa55word"), "{}", ended.stderr);
    error
}

#[test]
fn a_wrong_password_is_told_with_the_words_of_the_endpoint() {
    let endpoint = LoginEndpoint::start();
    let remote = remote(&endpoint, 401);
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    let done = login(&home, &remote.url(), &flags(&url, &[]), "wrong").expect_one_of(&[1, 3]);
    let address = endpoint.server.address().to_string();
    tells(&json!(done.stderr), &["Incorrect username or password", &address, "401"]);
    assert!(super::rows(&home).is_empty());
    login(&home, &remote.url(), &flags(&url, &["--no-verify"]), "wrong-7777").expect(0);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &["Incorrect username or password", &address]);
    let hint = hint(&error);
    for part in ["keyferry login", &remote.url(), "--with password", &url, USERNAME] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
    assert!(!error.to_string().contains("wrong-7777"), "{error}");
}

#[test]
fn refusals_and_faults_of_the_endpoint_are_told_apart() {
    for (status, codes) in [
        (400, &[-31001][..]),
        (401, &[-31001]),
        (403, &[-31001]),
        (422, &[-31001]),
        (429, &[-31001, -31002]),
        (500, &[-31001, -31002]),
        (503, &[-31001, -31002]),
    ] {
        let endpoint = LoginEndpoint::start();
        endpoint.answers(status, "application/json", r#"{"error":"as scripted"}"#);
        let error = error_after(&endpoint, codes);
        tells(&error, &[&status.to_string()]);
    }
}

#[test]
fn an_answer_without_a_token_is_told() {
    for (kind, body) in [
        ("text/html", "<html><form>Sign in</form></html>"),
        ("application/json", r#"{"user":"ada"}"#),
        ("application/json", r#"{"token":7}"#),
        ("application/json", r#"{"token":""}"#),
        ("application/json", r#"{"token":"two\nlines"}"#),
        ("application/json", "[]"),
        ("application/json", ""),
    ] {
        let endpoint = LoginEndpoint::start();
        endpoint.answers(200, kind, body);
        let error = error_after(&endpoint, &[-31001]);
        assert!(error["message"].as_str().unwrap().contains("token"), "{error}");
    }
}

/// The password goes where it was said and nowhere else.
#[test]
fn a_redirect_of_the_endpoint_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(|_, _| panic!("somebody came"));
        let endpoint = LoginEndpoint::start();
        let to = elsewhere.url();
        endpoint.script(|script| {
            script.on = Some(Arc::new(Box::new(move |_, wire| {
                wire.reply(status, &[("Location", &to)], b"");
            })));
        });
        error_after(&endpoint, &[-31001, -31002]);
        assert_eq!(elsewhere.connections(), 0);
    }
}

#[test]
fn an_endpoint_that_is_not_there_or_says_nothing_is_told_within_ten_seconds() {
    let port = Port::reserve();
    let nowhere = port.origin();
    let silent = Server::start(|_, wire| {
        let _ = wire.client_closes_within(PATIENCE);
    });
    let silent = format!("http://{}", silent.address());
    for origin in [&nowhere, &silent] {
        let home = Arc::new(Home::new("plaintext"));
        let remote = bearers(401, |_| None);
        let url = format!("{origin}/auth/token");
        login(&home, &remote.url(), &flags(&url, &["--no-verify"]), PASSWORD).expect(0);
        let mut bridge = Bridge::start_in(&home, &remote.url());
        let began = Instant::now();
        let error = first_error(&mut bridge, &[-31002]);
        assert!(began.elapsed() < Duration::from_secs(11), "{origin}: {:?}", began.elapsed());
        tells(&error, &[origin.trim_start_matches("http://")]);
        assert!(remote.requests().iter().all(|r| r.header("authorization").is_none()));
    }
}

#[test]
fn an_endpoint_that_recovers_is_asked_again_by_the_next_call() {
    let endpoint = LoginEndpoint::start();
    let remote = remote(&endpoint, 401);
    let home = taught(&endpoint, &remote, &[]);
    let mut bridge = ready(&home, &remote.url(), &[]);
    endpoint.tokens.revoke();
    let good = json_answer(&json!({ "token": "{token}" }));
    endpoint.answers(503, "text/plain", "busy");
    bridge.call("1");
    bridge.own_error("1", &[-31001, -31002]);
    endpoint.script(|script| script.answer = good);
    // It is not asked for each call, but soon.
    let mut attempt = 0;
    crate::support::browser::wait("the endpoint to be asked again", || {
        attempt += 1;
        let id = format!("\"again-{attempt}\"");
        bridge.tool(&id, "whoami");
        bridge.answer(&id).get("result").map(drop)
    });
}
