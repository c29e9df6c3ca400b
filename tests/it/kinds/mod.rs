//! Every kind of credential: taught by `login`, or by the flags of `run` alone.

mod along;
mod bound;
mod by_hand;
mod client_credentials;
mod cloudflare_access;
mod command;
mod corners;
mod dpop;
mod enterprise;
mod jwt;
mod jwt_bearer;
mod lacking;
mod listed;
mod mutual_tls;
mod password;
mod pipes;
mod restraint;
mod reviewed;
#[cfg(target_os = "linux")]
mod silence;
mod usage;

use crate::support::bridge::{Bridge, Launch, initialize_params};
use crate::support::home::{Done, Home};
use serde_json::Value;
use std::sync::Arc;

/// `keyferry login URL` with these flags, and these lines on stdin.
fn login(home: &Home, url: &str, flags: &[&str], stdin: &str) -> Done {
    home.run(&[&["login", url], flags].concat(), stdin)
}

/// A bridge, initialized.
#[track_caller]
fn ready(home: &Arc<Home>, url: &str, flags: &[&str]) -> Bridge {
    Launch::new(home.clone(), url).args(flags).start().ready()
}

/// Whom the remote takes a new bridge for.
#[track_caller]
fn whoami(home: &Arc<Home>, url: &str, flags: &[&str]) -> String {
    ready(home, url, flags).whoami()
}

/// Taught by `login` with these flags, then a bridge that knows the URL alone; and in a home
/// where nothing was ever taught, one with the flags alone.
#[track_caller]
fn works_both_ways(
    home: &Arc<Home>,
    url: &str,
    flags: &[&str],
    secrets: &[(&str, &str)],
) -> [String; 2] {
    let flags_with = with_secrets(flags, secrets);
    let flags_with: Vec<_> = flags_with.iter().map(String::as_str).collect();
    let stdin: String = secrets.iter().map(|(_, secret)| format!("{secret}\n")).collect();
    login(home, url, flags, &stdin).expect(0);
    let taught = whoami(home, url, &[]);
    let elsewhere = Arc::new(Home::new("memory"));
    let mut launch = Launch::new(elsewhere, url).args(&flags_with);
    for (flag, secret) in secrets {
        launch = launch.env(&variable(flag), secret);
    }
    [taught, launch.start().ready().whoami()]
}

/// These flags, and for each secret the flag that names its variable.
fn with_secrets(flags: &[&str], secrets: &[(&str, &str)]) -> Vec<String> {
    let mut all: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    for (flag, _) in secrets {
        all.extend([(*flag).to_owned(), variable(flag)]);
    }
    all
}

fn variable(flag: &str) -> String {
    format!("KINDS{}", flag.to_uppercase().replace('-', "_"))
}

/// The first error that a client sees, of its handshake or of its first call, with one of
/// these codes.
#[track_caller]
fn first_error(bridge: &mut Bridge, codes: &[i64]) -> Value {
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    let mut answer = bridge.answer("0");
    if answer.get("error").is_none() {
        bridge.notify("notifications/initialized", "{}");
        bridge.tool("1", "whoami");
        answer = bridge.answer("1");
    }
    let error = answer["error"].take();
    let code = error["code"].as_i64().unwrap_or_else(|| panic!("no error: {answer}"));
    assert!(codes.contains(&code), "not one of {codes:?}: {error}");
    assert_eq!(error["data"]["origin"], "keyferry", "{error}");
    error
}

/// The error names the remote, or where else it failed, and what to do about it.
#[track_caller]
fn tells(error: &Value, named: &[&str]) {
    let all = error.to_string();
    for name in named {
        assert!(all.contains(name), "no {name:?}: {all}");
    }
}

#[track_caller]
fn hint(error: &Value) -> String {
    error["data"]["hint"].as_str().unwrap_or_else(|| panic!("no hint: {error}")).to_owned()
}

/// The rows of `list --json`.
#[track_caller]
fn rows(home: &Home) -> Vec<Value> {
    let list = home.run(&["list", "--json"], "").expect(0);
    let rows: Value = serde_json::from_str(&list.stdout).expect("JSON");
    rows.as_array().expect("rows").clone()
}
