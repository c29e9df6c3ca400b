//! No secret shows in a log at any level, in an error, or in clear on the disk;
//! nothing of a server's text reaches a terminal raw.

use crate::support::bridge::{Ended, Launch, initialize_params};
use crate::support::home::Home;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::Server;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;

const KEY: &str = "sk-5ecret-api-key-0001";
const NAMED: &str = "n4med-vault-secret-0002";
const ENV: &str = "env-5ecret-value-0003";
const FILE: &str = "file-5ecret-value-0004";
const QUERY: &str = "query-5ecret-value-0005";
const COOKIE: &str = "cookie-5ecret-value-0006";
const SESSION: &str = "session-5ecret-value-0007";
const PASSPHRASE: &str = "pass-phr4se-of-the-vault-0008";
const ALL: &[&str] = &[KEY, NAMED, ENV, FILE, QUERY, COOKIE, SESSION, PASSPHRASE];

#[track_caller]
fn shows_nothing(what: &str, text: &[u8]) {
    for secret in ALL {
        for form in [(*secret).to_owned(), STANDARD.encode(secret)] {
            let found = text.windows(form.len()).any(|w| w == form.as_bytes());
            assert!(!found, "{secret} shows in {what}");
        }
    }
}

/// A home that holds and is given every kind of secret there is.
fn loaded(server: &Server) -> (Home, String, Vec<String>) {
    let home =
        Home::new("passphrase").with("KEYFERRY_PASSPHRASE", PASSPHRASE).with("SECRET_VALUE", ENV);
    let url = format!("{}?token={QUERY}", server.url());
    home.run(&["secret", "set", "named"], NAMED).expect(0);
    home.store_key(&url, KEY);
    let file = home.file("secret-file", FILE);
    let mut args = vec!["--log-level".to_owned(), "trace".to_owned()];
    for header in
        ["X-Vault: ${vault:named}", "X-Env: ${SECRET_VALUE}", &format!("X-File: ${{file:{file}}}")]
    {
        args.extend(["--header".to_owned(), header.to_owned()]);
    }
    (home, url, args)
}

/// A server that hands out secrets of its own and repeats those it got.
fn chatty() -> Server {
    Legacy::new()
        .sessions(&Sessions::named(SESSION))
        .on("tools/call", |request, wire| {
            let echoed = format!(
                "no: {} {} {} {} {}",
                request.header("authorization").unwrap_or_default(),
                request.header("x-vault").unwrap_or_default(),
                request.header("x-env").unwrap_or_default(),
                request.header("x-file").unwrap_or_default(),
                request.target,
            );
            match request.id() {
                "1" => wire.json(request.result("{}")),
                "2" => wire.reply(500, &[("Content-Type", "text/plain")], echoed.as_bytes()),
                "3" => wire.reply(403, &[("Content-Type", "text/html")], echoed.as_bytes()),
                "4" => {
                    let challenge = format!(r#"Bearer error_description="{echoed}""#);
                    wire.reply(401, &[("WWW-Authenticate", &challenge)], echoed.as_bytes());
                }
                "5" => wire.json(&echoed),
                "6" => {
                    let to = format!("https://login.example/{KEY}?k={QUERY}");
                    wire.reply(302, &[("Location", &to)], b"");
                }
                "7" => {
                    let mut events = wire.events();
                    events.event(&echoed);
                    events.raw(format!("{echoed}\n"));
                    events.end();
                }
                _ => wire.cut(),
            }
        })
        .on("GET", |_, wire| {
            let cookie = format!("c={COOKIE}; Path=/");
            wire.reply(405, &[("Set-Cookie", &cookie)], b"");
        })
        .start()
}

/// Every kind of failure, with the answers it led to.
fn a_troubled_session(home: &Arc<Home>, url: &str, args: &[String]) -> (Ended, Vec<String>) {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut bridge = Launch::new(home.clone(), url).args(&args).start().ready();
    let mut answers = Vec::new();
    for id in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        bridge.call(id);
        answers.push(bridge.answer_line(id));
    }
    bridge.send(format!(r#"{{"broken": "{KEY}"#));
    answers.push(bridge.refusal().to_string());
    #[cfg(target_os = "linux")]
    {
        let proc = format!("/proc/{}/cmdline", bridge.pid());
        shows_nothing("argv", &without_url(&std::fs::read(proc).unwrap(), url));
    }
    for (path, content) in bridge.home().files() {
        shows_nothing(&path.display().to_string(), &content);
    }
    (bridge.finish(), answers)
}

/// The URL is in argv because the client put it there.
#[cfg(target_os = "linux")]
fn without_url(cmdline: &[u8], url: &str) -> Vec<u8> {
    let cmdline = String::from_utf8_lossy(cmdline).replace(url, "");
    cmdline.into_bytes()
}

#[test]
fn no_secret_shows_on_stderr_at_trace_or_in_any_answer() {
    let server = chatty();
    let (home, url, args) = loaded(&server);
    let (ended, answers) = a_troubled_session(&Arc::new(home), &url, &args);
    shows_nothing("stderr", ended.stderr.as_bytes());
    assert!(!ended.stderr.is_empty(), "trace says nothing");
    for answer in answers {
        shows_nothing("an answer", answer.as_bytes());
    }
}

#[test]
fn no_secret_shows_in_a_log_file_or_with_debug_or_by_the_environment() {
    for how in ["file", "debug", "environment"] {
        let server = chatty();
        let (home, url, mut args) = loaded(&server);
        let log = home.path("keyferry.log");
        let mut home = home;
        match how {
            "file" => args.extend(["--log-file".to_owned(), log.display().to_string()]),
            "debug" => {
                args.drain(..2);
                args.push("--debug".to_owned());
            }
            _ => {
                args.drain(..2);
                home.set("KEYFERRY_LOG", "trace");
            }
        }
        let home = Arc::new(home);
        let (ended, _) = a_troubled_session(&home, &url, &args);
        shows_nothing("stderr", ended.stderr.as_bytes());
        if how == "file" {
            let written = std::fs::read(&log).expect("a log file");
            assert!(!written.is_empty());
            shows_nothing("the log file", &written);
        }
    }
}

#[test]
fn no_secret_shows_when_a_verb_talks_much() {
    let server = chatty();
    let (home, url, _) = loaded(&server);
    let home = home.with("KEYFERRY_LOG", "trace");
    for (args, stdin) in [
        (&["login", &url, "--with", "api-key", "--debug"][..], KEY),
        (&["secret", "set", "named"], NAMED),
        (&["secret", "list"], ""),
        (&["list"], ""),
        (&["list", "--json"], ""),
        (&["logout", &url], ""),
    ] {
        let done = home.run(args, stdin);
        shows_nothing(&format!("stderr of {}", args[0]), done.stderr.as_bytes());
        shows_nothing(&format!("stdout of {}", args[0]), done.stdout.as_bytes());
    }
}

#[test]
fn a_key_that_a_server_repeats_in_its_refusal_of_a_login_is_not_shown() {
    let server = Server::start(|request, wire| {
        let sent = request.header("authorization").unwrap_or_default();
        let body = format!("bad key {sent}");
        wire.reply(401, &[("Content-Type", "text/plain")], body.as_bytes());
    });
    let home = Home::new("plaintext");
    let done = home.run(&["login", &server.url(), "--with", "api-key"], KEY).expect_one_of(&[1, 3]);
    shows_nothing("stderr", done.stderr.as_bytes());
}

#[test]
fn what_a_url_carries_is_not_shown_when_nobody_answers_there() {
    let port = crate::support::mcp_server::Port::reserve();
    let url = port.url().replace("http://", &format!("http://user:{KEY}@"));
    let url = format!("{url}?token={QUERY}&x={NAMED}");
    let mut bridge = Home::new("memory").launch(&url).args(&["--log-level", "trace"]).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.error("1");
    shows_nothing("an answer", error.to_string().as_bytes());
    let ended = bridge.finish();
    shows_nothing("stderr", ended.stderr.as_bytes());
    let home = Home::new("plaintext");
    let args = ["login", &url, "--with", "api-key"];
    let done = home.run(&args, COOKIE);
    shows_nothing("stderr", done.stderr.as_bytes());
}

#[cfg(unix)]
#[test]
fn a_log_file_is_its_owners_alone_and_never_a_planted_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let server = Legacy::new().start();
    let home = Arc::new(Home::new("memory"));
    let log = home.path("log");
    let planted = home.path("planted");
    let victim = home.file("victim", "precious");
    symlink(&victim, &planted).unwrap();
    for path in [&log, &planted] {
        let path = path.to_str().unwrap();
        let mut bridge =
            Launch::new(home.clone(), &server.url()).args(&["--debug", "--log-file", path]).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        // Where the log cannot be written the start fails, and says so here.
        bridge.answer("1");
        bridge.finish();
    }
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    let mode = log.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

/// Nor may a server steer a terminal or turn a text around.
#[test]
fn control_and_direction_characters_of_a_server_are_not_shown() {
    let text = "\u{1b}[31mred\u{7} \u{9b}31m \u{202e}evil\u{2066} \u{200f} \u{0}plain\r\n";
    let server = Legacy::new()
        .on("tools/call", move |_, wire| {
            wire.reply(403, &[("Content-Type", "text/plain")], text.as_bytes());
        })
        .start();
    let mut bridge =
        Home::new("memory").launch(&server.url()).args(&["--log-level", "trace"]).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001, -31004]);
    let ended = bridge.finish();
    for shown in [error["message"].as_str().unwrap(), &ended.stderr] {
        for bad in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{0}'] {
            assert!(!shown.contains(bad), "{bad:?} in {shown:?}");
        }
    }
}

/// The program that tells the passphrase is given nothing to tell on.
#[cfg(unix)]
#[test]
fn a_child_inherits_no_secret() {
    use crate::support::protected::{Refusal, protected};
    use std::os::unix::fs::PermissionsExt;
    let server = protected("authorization", &["Bearer sk-5ecret-api-key-0001"], Refusal::Bare401);
    let home = Home::new("passphrase").with("MY_KEY", KEY);
    let seen = home.path("seen-environment");
    let script = format!("#!/bin/sh\nenv > '{}'\necho {PASSPHRASE}\n", seen.display());
    let script = home.file("tell", script);
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).unwrap();
    let home = home.with("KEYFERRY_PASSPHRASE_COMMAND", &script);
    let args = ["login", &server.url(), "--with", "api-key", "--secret-env", "MY_KEY"];
    home.run(&args, "").expect(0);
    shows_nothing("a child's environment", &std::fs::read(&seen).expect("it ran"));
}

/// `run` never reads a secret from stdin: stdin is the protocol.
#[test]
fn run_takes_nothing_but_messages_from_stdin() {
    let server = Server::start(|_, _| panic!("something was sent"));
    for args in [&["--with", "api-key"][..], &["--header", "X-A: ${vault:named}"]] {
        let home = Home::new("passphrase");
        let mut bridge = home.launch(&server.url()).args(args).start();
        bridge.send(PASSPHRASE);
        assert_eq!(bridge.refusal()["code"], -32700);
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let answer = bridge.error("1");
        shows_nothing("an answer", answer.to_string().as_bytes());
        bridge.close_stdin();
        bridge.wait_exit(Duration::from_secs(1));
    }
}

/// The usual way to give a header by the environment: scheme and key in one variable.
#[test]
fn a_key_behind_its_scheme_is_a_secret_by_itself() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let sent = request.header("authorization").unwrap_or_default();
            let key = sent.rsplit(' ').next().unwrap_or_default();
            let body = format!("token '{key}' has expired");
            wire.reply(403, &[("Content-Type", "text/plain")], body.as_bytes());
        })
        .start();
    let home = Home::new("plaintext").with("AUTH_HEADER", &format!("Bearer {KEY}"));
    home.run(&["secret", "set", "whole"], &format!("Bearer {NAMED}")).expect(0);
    let home = Arc::new(home);
    for header in ["Authorization:${AUTH_HEADER}", "Authorization: ${vault:whole}"] {
        let mut bridge = Launch::new(home.clone(), &server.url())
            .args(&["--log-level", "trace", "--header", header])
            .start()
            .ready();
        bridge.call("1");
        let error = bridge.error("1").to_string();
        assert!(error.contains("has expired"), "{error}");
        shows_nothing("an answer", error.as_bytes());
        shows_nothing("stderr", bridge.finish().stderr.as_bytes());
    }
}

/// Services that take `https://host/mcp?KEY` exist.
#[test]
fn a_query_without_a_name_is_a_secret() {
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            wire.reply(403, &[("Content-Type", "text/plain")], request.target.as_bytes());
        })
        .start();
    let url = format!("{}?{QUERY}&a%62={NAMED}", server.url());
    let home = Home::new("plaintext");
    home.store_key(&url, "a-key-0001");
    for (path, content) in home.files() {
        shows_nothing(&path.display().to_string(), &content);
    }
    for args in [&["list"][..], &["list", "--json"], &["token", &url, "--account", "none"]] {
        let done = home.run(args, "");
        shows_nothing(args[0], done.stdout.as_bytes());
        shows_nothing(args[0], done.stderr.as_bytes());
    }
    let list = home.run(&["list"], "").expect(0).stdout;
    assert!(list.contains("/mcp?...&a%62=..."), "{list}");
    let mut bridge = home.launch(&url).args(&["--log-level", "trace"]).start().ready();
    bridge.call("1");
    shows_nothing("an answer", bridge.error("1").to_string().as_bytes());
    shows_nothing("stderr", bridge.finish().stderr.as_bytes());
}

#[test]
fn a_part_and_another_spelling_of_a_secret_are_not_shown() {
    const SLASHED: &str = "sl4shed/5ecret+value";
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let cookie = request.header("cookie").unwrap_or_default();
            let value = cookie.split(['=', ';']).nth(1).unwrap_or_default();
            let escaped = SLASHED.replace('/', "\\/");
            let encoded = SLASHED.replace('/', "%2F").replace('+', "%2b");
            let body = format!("bad: {value} {escaped} {}", encoded.replace("%2b", "%2B"));
            wire.reply(403, &[("Content-Type", "text/plain")], body.as_bytes());
        })
        .start();
    let home = Home::new("plaintext").with("SLASHED", SLASHED);
    let cookie = format!("Cookie: sid={COOKIE}; theme=dark");
    let mut bridge = home
        .launch(&server.url())
        .args(&["--log-level", "trace", "--header", &cookie, "--header", "X-Key: ${SLASHED}"])
        .start()
        .ready();
    bridge.call("1");
    let error = bridge.error("1").to_string();
    assert!(error.contains("bad:"), "{error}");
    let stderr = bridge.finish().stderr;
    for text in [&error, &stderr] {
        shows_nothing("an answer or stderr", text.as_bytes());
        assert!(!text.contains("5ecret+") && !text.contains("5ecret%"), "{text}");
    }
}
