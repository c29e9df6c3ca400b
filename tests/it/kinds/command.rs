//! `--with command`: another tool holds the secret.

use super::{first_error, hint, login, ready, tells, whoami};
use crate::support::bridge::{Bridge, Launch};
use crate::support::gate::{Gate, Verdict, bearers};
use crate::support::home::Home;
use crate::support::mcp_server::Server;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

const TOKEN: &str = "printed-5ecret-token";

/// A program of the person, in a home of its own; it notes each of its runs.
struct Tool {
    home: Arc<Home>,
    path: String,
}

impl Tool {
    /// `script` is what it does after it has noted that it runs.
    fn new(script: &str) -> Self {
        Self::at_home(Home::new("plaintext"), script)
    }

    fn at_home(home: Home, script: &str) -> Self {
        let runs = home.path("runs");
        let script = format!("#!/bin/sh\necho run >> '{}'\n{script}\n", runs.display());
        let path = home.file("tool", script);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { home: Arc::new(home), path }
    }

    fn runs(&self) -> usize {
        std::fs::read_to_string(self.home.path("runs")).unwrap_or_default().lines().count()
    }

    fn flags<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["--with", "command", "--command", self.path.as_str()], more].concat()
    }

    #[track_caller]
    fn taught(&self, remote: &Server, more: &[&str]) {
        let flags = self.flags(&[more, &["--no-verify"]].concat());
        login(&self.home, &remote.url(), &flags, "").expect(0);
    }

    /// What it has left beside the home.
    fn left(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path(name)).unwrap_or_default()
    }
}

fn takes(token: &'static str) -> Server {
    bearers(401, move |sent| (sent == token).then(|| "svc".to_owned()))
}

fn prints(text: &str) -> Tool {
    Tool::new(&format!("cat <<'END'\n{text}\nEND"))
}

#[test]
fn a_tool_prints_a_bare_token_or_json_that_holds_one() {
    for text in [
        TOKEN.to_owned(),
        format!("  {TOKEN}  "),
        format!("{TOKEN}\r\n"),
        json!({ "token": TOKEN }).to_string(),
        format!("{:#}", json!({ "token": TOKEN, "expires_in": 3600, "other": [1] })),
    ] {
        let tool = prints(&text);
        let remote = takes(TOKEN);
        login(&tool.home, &remote.url(), &tool.flags(&[]), "").expect(0);
        assert_eq!(whoami(&tool.home, &remote.url(), &[]), "svc", "{text}");
        let elsewhere = Arc::new(Home::new("memory"));
        assert_eq!(whoami(&elsewhere, &remote.url(), &tool.flags(&[])), "svc", "{text}");
    }
}

#[test]
fn a_tool_prints_headers_and_they_are_sent_as_they_are() {
    let tool = prints(
        &json!({ "headers": { "X-One": "first-5ecret", "Authorization": "Token second-5ecret" } })
            .to_string(),
    );
    let remote = Gate::default().start(|request| {
        let is = |name, value| request.header(name) == Some(value);
        let both = is("x-one", "first-5ecret") && is("authorization", "Token second-5ecret");
        Verdict::or(both.then(|| "svc".to_owned()), 401)
    });
    tool.taught(&remote, &[]);
    assert_eq!(whoami(&tool.home, &remote.url(), &[]), "svc");
}

#[test]
fn a_token_stands_where_the_flags_say() {
    let tool = prints(TOKEN);
    let remote = Gate::default().start(|request| {
        let sent = request.header("x-key").unwrap_or_default();
        Verdict::or((sent == format!("Key {TOKEN}")).then(|| "svc".to_owned()), 401)
    });
    tool.taught(&remote, &["--key-header", "X-Key", "--key-scheme", "Key"]);
    assert_eq!(whoami(&tool.home, &remote.url(), &[]), "svc");
    let header = tool.home.run(&["token", &remote.url(), "--header"], "").expect(0).stdout;
    assert_eq!(header.trim_end().to_lowercase(), format!("x-key: key {TOKEN}"));
}

/// No shell reads them.
#[test]
fn arguments_arrive_as_they_were_given() {
    let tool =
        Tool::new(&format!("printf '<%s>' \"$@\" > \"$(dirname \"$0\")/arguments\"; echo {TOKEN}"));
    let remote = takes(TOKEN);
    let given = ["a b", "$HOME", "`id`", "$(id)", "; exit 1", "*", "'\"", "--flag=x", "", "ö\n"];
    let mut flags = Vec::new();
    for argument in given {
        flags.extend(["--command-arg", argument]);
    }
    tool.taught(&remote, &flags);
    assert_eq!(whoami(&tool.home, &remote.url(), &[]), "svc");
    let expected: String = given.iter().map(|argument| format!("<{argument}>")).collect();
    assert_eq!(tool.left("arguments"), expected);
}

#[test]
fn a_tool_is_given_no_input_and_none_of_our_secrets() {
    const PASSPHRASE: &str = "pass-phr4se-of-the-vault";
    let home = Home::new("plaintext")
        .with("KEYFERRY_PASSPHRASE", PASSPHRASE)
        .with("KEYFERRY_PASSPHRASE_FILE", "/nowhere/pass-phr4se")
        .with("KEYFERRY_PASSPHRASE_COMMAND", "echo pass-phr4se")
        .with("IDP_SECRET", "idp-5ecret")
        .with("KEPT", "what the tool needs");
    let script = format!(
        "here=$(dirname \"$0\"); env > \"$here/environment\"; cat > \"$here/input\"; echo {TOKEN}"
    );
    let tool = Tool::at_home(home, &script);
    let remote = takes(TOKEN);
    tool.taught(&remote, &[]);
    assert_eq!(whoami(&tool.home, &remote.url(), &[]), "svc");
    let environment = tool.left("environment");
    assert!(environment.contains("KEPT=what the tool needs"), "{environment}");
    assert!(environment.contains("PATH="), "{environment}");
    assert!(!environment.contains("pass-phr4se"), "{environment}");
    assert!(!environment.contains("KEYFERRY_PASSPHRASE"), "{environment}");
    assert_eq!(tool.left("input"), "", "stdin is the protocol's");
}

/// A variable that a flag names as a secret's is ours; other ones are the tool's business.
#[test]
fn a_variable_that_holds_a_secret_of_ours_is_hidden_from_the_tool() {
    let script = format!("env > \"$(dirname \"$0\")/environment\"; echo {TOKEN}");
    let tool = Tool::new(&script);
    let remote = takes(TOKEN);
    let mut bridge = Launch::new(tool.home.clone(), &remote.url())
        .args(&tool.flags(&["--secret-env", "OURS"]))
        .env("OURS", "our-5ecret")
        .env("THEIRS", "visible")
        .start();
    bridge.request("0", "initialize", &crate::support::bridge::initialize_params("2025-11-25"));
    // It may be that this kind has no use for a secret, and says so.
    if bridge.answer("0").get("error").is_none() {
        let environment = tool.left("environment");
        assert!(environment.contains("THEIRS=visible"), "{environment}");
        assert!(!environment.contains("our-5ecret"), "{environment}");
    } else {
        assert_eq!(tool.runs(), 0);
    }
}

#[test]
fn a_token_is_kept_until_its_end_and_then_the_tool_runs_again() {
    for end in ["\"expires_in\": 8", "\"expires_at\": '$(($(date +%s) + 8))'"] {
        let script = format!(
            "n=$(wc -l < \"$(dirname \"$0\")/runs\")\necho '{{\"token\": \"printed-'$n'\", {end}}}'"
        );
        let tool = Tool::new(&script);
        let remote =
            bearers(401, |token| token.starts_with("printed-").then(|| token.replace(' ', "")));
        tool.taught(&remote, &[]);
        let mut bridge = ready(&tool.home, &remote.url(), &[]);
        for _ in 0..10 {
            assert_eq!(bridge.whoami(), "printed-1", "{end}");
        }
        assert_eq!(tool.runs(), 1, "{end}");
        std::thread::sleep(Duration::from_millis(8200));
        assert_eq!(bridge.whoami(), "printed-2", "{end}");
        assert_eq!(tool.runs(), 2, "{end}");
    }
}

#[test]
fn a_tool_runs_again_once_when_its_token_is_refused() {
    for status in [401, 403] {
        let script = "n=$(wc -l < \"$(dirname \"$0\")/runs\")\necho printed-$((n))";
        let tool = Tool::new(script);
        let good = Arc::new(std::sync::Mutex::new("printed-1".to_owned()));
        let wanted = good.clone();
        let remote = bearers(status, move |token| {
            (token == *wanted.lock().unwrap()).then(|| token.to_owned())
        });
        tool.taught(&remote, &[]);
        let mut bridge = ready(&tool.home, &remote.url(), &[]);
        assert_eq!(bridge.whoami(), "printed-1", "{status}");
        "printed-2".clone_into(&mut good.lock().unwrap());
        assert_eq!(bridge.whoami(), "printed-2", "{status}");
        assert_eq!(tool.runs(), 2, "{status}");
        "never".clone_into(&mut good.lock().unwrap());
        bridge.call("1");
        let error = bridge.own_error("1", &[-31001, -31004]);
        tells(&error, &[&remote.address().to_string()]);
        assert!(tool.runs() <= 3, "{} runs", tool.runs());
    }
}

/// The error of a bridge whose tool does this.
#[track_caller]
fn error_of(script: &str, more: &[&str]) -> (Value, Tool) {
    let tool = Tool::new(script);
    let remote = bearers(401, |_| panic!("something was sent"));
    tool.taught(&remote, more);
    let mut bridge = Bridge::start_in(&tool.home, &remote.url());
    let began = Instant::now();
    let error = first_error(&mut bridge, &[-31001]);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let stderr = bridge.finish().stderr;
    for text in [&error.to_string(), &stderr] {
        assert!(!text.contains("5ecret"), "{text}");
    }
    assert!(remote.requests().is_empty(), "sent without a credential");
    (error, tool)
}

#[test]
fn a_tool_that_fails_is_told_by_exit_code_and_last_words_and_never_by_its_output() {
    let script = "echo printed-5ecret; echo first line >&2; echo 'vault is sealed' >&2; exit 7";
    let (error, tool) = error_of(script, &[]);
    tells(&error, &["7", "vault is sealed"]);
    assert!(!error.to_string().contains("first line"), "{error}");
    assert!(tool.runs() <= 3, "{} runs", tool.runs());
    let hint = hint(&error);
    for part in ["keyferry login", "--with command", &tool.path] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
    let (error, _) = error_of("printf 'no end of line' >&2; exit 1", &[]);
    tells(&error, &["no end of line"]);
    let (error, _) = error_of("printf '\\033[31mred\\007\\342\\200\\256' >&2; exit 1", &[]);
    assert!(!error["message"].as_str().unwrap().contains(['\u{1b}', '\u{7}', '\u{202e}']));
    let (error, _) = error_of("kill -9 $$", &[]);
    tells(&error, &["9"]);
}

#[test]
fn a_tool_that_prints_nothing_of_use_is_told() {
    for script in [
        "true",
        "echo",
        "echo '{\"expires_in\": 5}'",
        "echo '{\"token\": 5}'",
        "echo '{\"headers\": {\"a b\": \"printed-5ecret\"}}'",
        "echo '{\"headers\": {}}'",
        "echo '{\"token\": \"two\\nlines-5ecret\"}'",
        "printf 'two\\nlines-5ecret\\n'",
        "head -c 3000000 /dev/zero | tr '\\0' x",
    ] {
        let (error, tool) = error_of(script, &[]);
        tells(&error, &["tool"]);
        assert!(tool.runs() <= 3, "{script}");
    }
}

#[test]
fn a_tool_that_hangs_is_ended_with_its_children() {
    let script = "echo $$ > \"$(dirname \"$0\")/pid\"; sleep 1000 & echo $! > \"$(dirname \"$0\")/child\"; wait";
    let (error, tool) = error_of(script, &["--command-timeout", "1"]);
    tells(&error, &["1 s"]);
    for name in ["pid", "child"] {
        let pid = tool.left(name).trim().to_owned();
        assert!(!pid.is_empty());
        crate::support::browser::wait("the end of the tool", || is_gone(&pid).then_some(()));
    }
}

fn is_gone(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn a_tool_that_is_not_there_is_told_by_name() {
    let home = Arc::new(Home::new("plaintext"));
    let remote = bearers(401, |_| None);
    let flags = ["--with", "command", "--command", "/no/such/tool", "--no-verify"];
    login(&home, &remote.url(), &flags, "").expect(0);
    let mut bridge = Bridge::start_in(&home, &remote.url());
    let error = first_error(&mut bridge, &[-31001]);
    tells(&error, &["/no/such/tool"]);
    let done = login(&home, &remote.url(), &flags[..4], "").expect_one_of(&[1, 3]);
    tells(&json!(done.stderr), &["/no/such/tool"]);
}

/// A bridge is gone within a second, whatever its tool does.
#[test]
fn the_end_of_the_bridge_is_the_end_of_the_tool() {
    let tool = Tool::new("echo $$ > \"$(dirname \"$0\")/pid\"; exec sleep 1000");
    let remote = bearers(401, |_| None);
    tool.taught(&remote, &[]);
    let mut bridge = Bridge::start_in(&tool.home, &remote.url());
    bridge.request("0", "initialize", "{}");
    crate::support::browser::wait("the tool", || tool.left("pid").ends_with('\n').then_some(()));
    bridge.close_stdin();
    let ended = bridge.wait_exit(Duration::from_secs(5));
    assert!(ended.took < Duration::from_secs(2), "{:?}", ended.took);
    let pid = tool.left("pid").trim().to_owned();
    crate::support::browser::wait("the end of the tool", || is_gone(&pid).then_some(()));
}

#[test]
fn a_tool_is_found_where_a_shell_would_find_it() {
    let remote = takes(TOKEN);
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "command", "--command", "printf", "--command-arg", TOKEN];
    login(&home, &remote.url(), &flags, "").expect(0);
    assert_eq!(whoami(&home, &remote.url(), &[]), "svc");
}

/// As agents do that a tool starts and leaves behind.
#[test]
fn a_tool_whose_child_stays_is_done_when_it_has_ended() {
    let tool =
        Tool::new(&format!("sleep 60 & echo $! > \"$(dirname \"$0\")/child\"; echo {TOKEN}"));
    let remote = takes(TOKEN);
    tool.taught(&remote, &[]);
    let began = Instant::now();
    assert_eq!(whoami(&tool.home, &remote.url(), &[]), "svc");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let pid = tool.left("child").trim().to_owned();
    if !is_gone(&pid) {
        let _ = std::process::Command::new("kill").arg(&pid).status();
    }
}

#[test]
fn calls_that_come_together_wait_for_one_run() {
    let tool = Tool::new(&format!("sleep 0.5; echo {TOKEN}"));
    let remote = takes(TOKEN);
    tool.taught(&remote, &[]);
    let mut bridge = ready(&tool.home, &remote.url(), &[]);
    for id in 0..8 {
        bridge.call(&id.to_string());
    }
    for id in 0..8 {
        bridge.result(&id.to_string());
    }
    assert_eq!(tool.runs(), 1);
}
