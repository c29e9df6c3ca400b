//! However much is refused, nobody is asked again and again: accounts get locked by that.

use super::{login, ready, tells};
use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, Launch, initialize_params};
use crate::support::gate::{Gate, Verdict, bearers};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::login_endpoint::{LoginEndpoint, PASSWORD, USERNAME, json_answer};
use crate::support::mcp_server::Server;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use serde_json::json;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The runs of [`tool`].
fn runs(home: &Home) -> usize {
    std::fs::read_to_string(home.path("runs")).unwrap_or_default().lines().count()
}

/// A program that notes each of its runs and then does this.
fn tool(home: &Home, script: &str) -> String {
    let noted = home.path("runs");
    let script = format!("#!/bin/sh\necho run >> '{}'\n{script}\n", noted.display());
    let path = home.file("tool", script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn password<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--with", "password", "--login-url", url, "--username", USERNAME], more].concat()
}

fn taught(endpoint: &LoginEndpoint, remote: &Server) -> Arc<Home> {
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    login(&home, &remote.url(), &password(&url, &["--no-verify"]), PASSWORD).expect(0);
    home
}

/// A remote that forbids `admin` once another call with the same token was allowed meanwhile.
fn forbidding(who: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Server {
    let allowed: Mutex<HashMap<String, usize>> = Mutex::default();
    Gate::default().start(move |request: &Request| {
        let sent = request.header("authorization").unwrap_or_default();
        let count = || allowed.lock().unwrap().get(sent).copied().unwrap_or_default();
        let (tool, began, before) = (request.json_or_null(), Instant::now(), count());
        match tool["params"]["name"].as_str() {
            Some("admin") => {
                while count() == before && began.elapsed() < Duration::from_millis(300) {
                    std::thread::sleep(Duration::from_millis(2));
                }
                // Until the client has that answer, too.
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => *allowed.lock().unwrap().entry(sent.to_owned()).or_default() += 1,
        }
        Verdict::or(sent.strip_prefix("Bearer ").and_then(&who), 401)
    })
}

/// Ten calls that a role forbids, one after the other and several at once, among many that it
/// allows.
#[track_caller]
fn forbidden_among_allowed(bridge: &mut Bridge) {
    for ids in [&["0"][..], &["1"], &["2"], &["3"], &["4", "5", "6", "7", "8", "9"]] {
        for id in ids {
            bridge.tool(id, "admin");
        }
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(250) {
            bridge.whoami();
        }
        for id in ids {
            bridge.own_error(id, &[-31001, -31004]);
        }
    }
}

#[test]
fn calls_that_a_role_forbids_among_allowed_ones_lead_to_one_more_login() {
    let endpoint = LoginEndpoint::start();
    let tokens = endpoint.tokens.clone();
    let remote = forbidding(move |token| tokens.who(token));
    let home = taught(&endpoint, &remote);
    let mut bridge = ready(&home, &remote.url(), &[]);
    forbidden_among_allowed(&mut bridge);
    assert!(endpoint.logins() <= 2, "{} logins", endpoint.logins());
}

#[test]
fn calls_that_a_role_forbids_among_allowed_ones_lead_to_one_more_run() {
    let home = Arc::new(Home::new("plaintext"));
    let tool = tool(&home, r#"printf '{"token":"token-%s","expires_in":3600}' $$"#);
    let remote = forbidding(|token| token.starts_with("token-").then(|| "svc".to_owned()));
    let flags = ["--with", "command", "--command", &tool, "--no-verify"];
    login(&home, &remote.url(), &flags, "").expect(0);
    let mut bridge = ready(&home, &remote.url(), &[]);
    forbidden_among_allowed(&mut bridge);
    assert!(runs(&home) <= 2, "{} runs", runs(&home));
}

/// The remote takes its time, and judges by what is good when that is over.
#[test]
fn a_token_that_a_role_was_refused_with_is_renewed_when_it_meets_403_at_its_end() {
    let endpoint = LoginEndpoint::lasting(4);
    let (tokens, slow) = (endpoint.tokens.clone(), Arc::new(AtomicBool::new(false)));
    let is_slow = slow.clone();
    let remote = Gate::default().start(move |request: &Request| {
        let sent = request.header("authorization").unwrap_or_default();
        let token = sent.strip_prefix("Bearer ").unwrap_or_default();
        let began = Instant::now();
        if is_slow.swap(false, Ordering::SeqCst) {
            while tokens.who(token).is_some() && began.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Verdict::or(tokens.who(token), 403)
    });
    let home = taught(&endpoint, &remote);
    let mut bridge = ready(&home, &remote.url(), &[]);
    for id in ["1", "2", "3"] {
        bridge.tool(id, "admin");
        bridge.own_error(id, &[-31001, -31004]);
    }
    assert!(endpoint.logins() <= 2, "{} logins", endpoint.logins());
    slow.store(true, Ordering::SeqCst);
    assert_eq!(bridge.whoami(), "ada");
    assert!(endpoint.logins() <= 3, "{} logins", endpoint.logins());
}

/// Sixteen calls at once with what is refused from now on.
#[track_caller]
fn sixteen_are_refused(bridge: &mut Bridge) {
    for id in 0..16 {
        bridge.call(&id.to_string());
    }
    for id in 0..16 {
        bridge.own_error(&id.to_string(), &[-31001]);
    }
}

#[test]
fn a_command_that_prints_the_same_again_is_not_run_for_each_call() {
    let home = Arc::new(Home::new("plaintext"));
    let tool = tool(&home, "sleep 0.4; echo always-the-same");
    let good = Arc::new(AtomicBool::new(true));
    let is_good = good.clone();
    let remote = bearers(401, move |_| is_good.load(Ordering::SeqCst).then(|| "svc".to_owned()));
    let flags = ["--with", "command", "--command", &tool, "--no-verify"];
    login(&home, &remote.url(), &flags, "").expect(0);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "svc");
    good.store(false, Ordering::SeqCst);
    sixteen_are_refused(&mut bridge);
    assert!(runs(&home) <= 3, "{} runs", runs(&home));
}

#[test]
fn an_endpoint_that_gives_the_same_again_is_not_asked_for_each_call() {
    let endpoint = LoginEndpoint::start();
    let body = json!({ "access_token": "always-the-same", "expires_in": 3600 });
    endpoint.script(|script| {
        script.answer = json_answer(&body);
        script.delay = Duration::from_millis(400);
    });
    endpoint.tokens.keep("always-the-same", "ada", Duration::from_secs(3600));
    let tokens = endpoint.tokens.clone();
    let remote = bearers(401, move |token| tokens.who(token));
    let home = taught(&endpoint, &remote);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "ada");
    endpoint.tokens.revoke();
    sixteen_are_refused(&mut bridge);
    assert!(endpoint.logins() <= 3, "{} logins", endpoint.logins());
}

/// The person has changed it at the service, and then here.
#[test]
fn a_password_that_is_refused_is_not_shown_with_every_call_and_a_new_one_is_at_once() {
    refused_until_a_login_with("new-pa55word");
}

/// The account was locked for a while: what that login got is there for all.
#[test]
fn a_password_that_was_refused_is_used_at_once_when_a_login_with_it_succeeds() {
    refused_until_a_login_with("old-pa55word");
}

#[track_caller]
fn refused_until_a_login_with(next: &str) {
    let endpoint = LoginEndpoint::start();
    let right = Arc::new(Mutex::new("old-pa55word".to_owned()));
    let (now, tokens) = (right.clone(), endpoint.tokens.clone());
    endpoint.script(|script| {
        script.on = Some(Arc::new(Box::new(move |request, wire| {
            let shown = request.json()["password"].as_str().unwrap().to_owned();
            match shown == *now.lock().unwrap() {
                true => {
                    let token = tokens.give("ada", Duration::from_secs(3600));
                    wire.json(json!({ "access_token": token, "expires_in": 3600 }).to_string());
                }
                false => wire.reply(401, &[], b"no"),
            }
        })));
    });
    let tokens = endpoint.tokens.clone();
    let remote = bearers(401, move |token| tokens.who(token));
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    login(&home, &remote.url(), &password(&url, &["--no-verify"]), "old-pa55word").expect(0);
    let mut bridge = ready(&home, &remote.url(), &[]);
    assert_eq!(bridge.whoami(), "ada");
    "none-of-them".clone_into(&mut right.lock().unwrap());
    endpoint.tokens.revoke();
    let logins = endpoint.logins();
    // A little more than a second apart: the first back-off alone would not do.
    for id in ["1", "2", "3", "4"] {
        bridge.call(id);
        bridge.own_error(id, &[-31001]);
        std::thread::sleep(Duration::from_millis(1050));
    }
    for id in ["5", "6", "7"] {
        bridge.call(id);
        bridge.own_error(id, &[-31001]);
    }
    let refused = endpoint.logins() - logins;
    assert!(refused <= 3, "{refused} logins");
    next.clone_into(&mut right.lock().unwrap());
    login(&home, &remote.url(), &password(&url, &[]), next).expect(0);
    assert_eq!(bridge.whoami(), "ada");
    assert!(endpoint.logins() - logins <= refused + 1, "what the login got is used");
}

/// Of whatever a remote makes up, little is asked for.
#[test]
fn scopes_that_a_remote_makes_up_lead_to_few_token_requests() {
    let endpoint = TokenEndpoint::start(|_| Given::Token("machine".to_owned()));
    let count = AtomicUsize::new(0);
    let tokens = endpoint.tokens.clone();
    let remote = Gate::default().start(move |request: &Request| {
        let sent = request.header("authorization").unwrap_or_default();
        let who = sent.strip_prefix("Bearer ").and_then(|token| tokens.who(token));
        if request.kind() != "tools/call" {
            return Verdict::or(who, 401);
        }
        let n = count.fetch_add(1, Ordering::SeqCst);
        let challenge = format!(r#"Bearer error="insufficient_scope", scope="made-up-{n}""#);
        Verdict::Refused(403, vec![("WWW-Authenticate", challenge)], String::new())
    });
    let home = Arc::new(Home::new("plaintext"));
    let url = endpoint.url();
    let flags = ["--with", "client-credentials", "--client-id", "m", "--token-endpoint", &url];
    login(&home, &remote.url(), &[&flags[..], &["--no-verify"]].concat(), "5ecret-0001").expect(0);
    let mut bridge = ready(&home, &remote.url(), &[]);
    for id in 0..20 {
        let id = id.to_string();
        bridge.call(&id);
        let error = bridge.own_error(&id, &[-31001, -31004]);
        // It has stopped to ask by then, and says what it was that lacked.
        if id == "19" {
            tells(&error, &["made-up-"]);
        }
    }
    let asked = endpoint.asked().len();
    assert!((2..=8).contains(&asked), "{asked} token requests");
}

/// Each would wait for its own turn, one after the other.
#[test]
fn four_bridges_and_one_silent_endpoint_are_told_within_ten_seconds() {
    let silent = Server::start(|_, wire| {
        let _ = wire.client_closes_within(PATIENCE);
    });
    let remote = bearers(401, |_| None);
    let home = Arc::new(Home::new("plaintext"));
    let url = format!("http://{}/auth/token", silent.address());
    login(&home, &remote.url(), &password(&url, &["--no-verify"]), PASSWORD).expect(0);
    let mut bridges: Vec<_> =
        (0..4).map(|_| Launch::new(home.clone(), &remote.url()).start()).collect();
    // Each is answered, the first with what is known without the remote.
    let soon = |began: Instant| assert!(began.elapsed() < Duration::from_secs(10));
    let began = Instant::now();
    for bridge in &bridges {
        bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    }
    for bridge in &mut bridges {
        bridge.answer("0");
        soon(began);
    }
    let began = Instant::now();
    for bridge in &bridges {
        bridge.notify("notifications/initialized", "{}");
        bridge.tool("1", "whoami");
    }
    for bridge in &mut bridges {
        let error = bridge.own_error("1", &[-31002]);
        tells(&error, &[&silent.address().to_string()]);
        soon(began);
    }
}
