//! No secret of any kind shows in a log at any level, in an error, in an argument, or in
//! clear on the disk.

use super::login;
use crate::support::bridge::{Bridge, Launch};
use crate::support::gate::{Gate, Verdict};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::jws::{self, Pair};
use crate::support::login_endpoint::{LoginEndpoint, PASSWORD, USERNAME};
use crate::support::mcp_server::Server;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use url::form_urlencoded::byte_serialize;

const SECRET: &str = "a-shared-5ecret-that-is-long-enough-for-hmac-0123456789";

/// Takes everybody, and shows in its refusals all it was shown.
fn chatty() -> Server {
    Gate::default().start(|request| {
        if credentials(request).is_empty() {
            return Verdict::status(401);
        }
        let tool = request.json_or_null()["params"]["name"].clone();
        if tool != "admin" && tool != "echo" {
            return Verdict::Is("somebody".to_owned());
        }
        let text = format!("not for {}", credentials(request).join(" nor "));
        let status = if tool == "admin" { 403 } else { 500 };
        Verdict::Refused(status, vec![("Content-Type", "text/plain".to_owned())], text)
    })
}

/// The values of headers that authenticate, whole and without their scheme.
fn credentials(request: &Request) -> Vec<String> {
    let mut all = Vec::new();
    for (name, value) in &request.headers {
        let name = name.to_lowercase();
        if ["authorization", "x-key", "cf-access-client-secret", "dpop"].contains(&name.as_str()) {
            all.extend(value.split_once(' ').map(|(_, token)| token.to_owned()));
            all.push(value.clone());
        }
    }
    all
}

/// A kind with all that it needs, and where else its secrets go.
struct Kind {
    flags: Vec<String>,
    /// `--secret-env` and its like, with what is in the variable.
    secrets: Vec<(&'static str, String)>,
    /// What may be seen nowhere besides.
    hidden: Vec<String>,
}

fn kind(flags: &[&str], secrets: &[(&'static str, &str)], hidden: &[&str]) -> Kind {
    let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let secrets = secrets.iter().map(|(flag, secret)| (*flag, (*secret).to_owned())).collect();
    Kind { flags: own(flags), secrets, hidden: own(hidden) }
}

/// The lines of a private key that say something.
fn lines(pem: &str) -> Vec<&str> {
    pem.lines().filter(|line| line.len() > 20 && !line.starts_with('-')).collect()
}

struct Servers {
    remote: Server,
    logins: LoginEndpoint,
    tokens: TokenEndpoint,
    /// The token endpoint refuses, and shows what it was shown.
    strict: Arc<AtomicBool>,
}

impl Servers {
    fn start() -> Self {
        let strict = Arc::new(AtomicBool::new(false));
        let refusing = strict.clone();
        let tokens = TokenEndpoint::start(move |asked| {
            if refusing.load(Ordering::SeqCst) {
                let shown: Vec<_> = asked.params.iter().map(|(_, value)| value.clone()).collect();
                let basic = asked.request.header("authorization").unwrap_or_default();
                let text = format!("no: {basic} {}", shown.join(" "));
                let body = json!({ "error": "invalid_client", "error_description": text });
                let kind = vec![("Content-Type", "application/json".to_owned())];
                return Given::Reply(401, kind, body.to_string());
            }
            match asked.param("requested_token_type") {
                Some(kind) => Given::Answer(json!({
                    "issued_token_type": kind, "access_token": "id-jag-5ecret-assertion",
                    "token_type": "N_A", "expires_in": 300,
                })),
                None => Given::Token("somebody".to_owned()),
            }
        });
        Self { remote: chatty(), logins: LoginEndpoint::start(), tokens, strict }
    }

    fn kinds(&self, home: &Home) -> Vec<Kind> {
        let pair = Pair::of("ES256");
        let key = home.file("key.pem", &pair.secret);
        let pem = lines(&pair.secret);
        let (login_url, token_url) = (self.logins.url(), self.tokens.url());
        let issuer = self.tokens.issuer();
        let id_token = jws::unsigned(&json!({ "sub": "ada", "note": "5ecret" }));
        let tool = home.file("tool", "#!/bin/sh\necho printed-5ecret-token\n");
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        let machine = ["--with", "client-credentials", "--client-id", "machine"];
        let at = ["--token-endpoint", token_url.as_str()];
        let by_key = ["--private-key", key.as_str(), "--alg", "ES256"];
        let enterprise = [
            "--with",
            "enterprise",
            "--client-id",
            "here",
            "--idp-issuer",
            issuer,
            "--idp-client-id",
            "there",
            "--issuer",
            issuer,
            "--resource",
            "https://r.example/",
        ];
        vec![
            kind(&["--with", "api-key", "--key-header", "X-Key"], &[("--secret-env", SECRET)], &[]),
            kind(&["--with", "jwt", "--alg", "HS256"], &[("--secret-env", SECRET)], &[]),
            kind(&[&["--with", "jwt"], &by_key[..]].concat(), &[], &pem),
            kind(
                &["--with", "password", "--login-url", &login_url, "--username", USERNAME],
                &[("--secret-env", PASSWORD)],
                &["pa55word-5ecret"],
            ),
            kind(
                &["--with", "cloudflare-access", "--client-id", "id.access"],
                &[("--secret-env", SECRET)],
                &[],
            ),
            kind(&["--with", "command", "--command", &tool], &[], &["printed-5ecret-token"]),
            kind(&[&machine[..], &at].concat(), &[("--secret-env", SECRET)], &[]),
            kind(&[&machine[..], &at, &by_key].concat(), &[], &pem),
            kind(
                &[&["--with", "jwt-bearer", "--client-id", "pod"], &at[..]].concat(),
                &[("--secret-env", SECRET)],
                &[],
            ),
            kind(
                &enterprise,
                &[
                    ("--secret-env", SECRET),
                    ("--idp-secret-env", "idp-5ecret-0001"),
                    ("--id-token-env", &id_token),
                ],
                &["id-jag-5ecret-assertion"],
            ),
        ]
    }

    /// Everything that was shown to any of them, or given by them.
    fn seen(&self) -> Vec<String> {
        let mut all = self.logins.tokens.all();
        all.extend(self.tokens.tokens.all());
        for request in self.remote.requests() {
            all.extend(credentials(&request));
        }
        for asked in self.tokens.asked() {
            for secret in ["client_secret", "client_assertion", "assertion", "subject_token"] {
                all.extend(asked.param(secret).map(str::to_owned));
            }
            let basic = asked.request.header("authorization");
            all.extend(basic.and_then(|value| value.split_once(' ')).map(|(_, v)| v.to_owned()));
        }
        all.sort();
        all.dedup();
        all
    }
}

/// What was written anywhere in the course of a test, by whom.
#[derive(Default)]
struct Written(Vec<(String, String)>);

impl Written {
    fn add(&mut self, who: &str, text: impl Into<String>) {
        self.0.push((who.to_owned(), text.into()));
    }

    #[track_caller]
    fn holds_none_of(&self, kind: &Kind, seen: &[String]) {
        let given = kind.secrets.iter().map(|(_, secret)| secret);
        for secret in given.chain(&kind.hidden).chain(seen) {
            if secret.len() < 8 {
                continue;
            }
            let encoded: String = byte_serialize(secret.as_bytes()).collect();
            let json = json!(secret).to_string().trim_matches('"').to_owned();
            for form in [secret.clone(), encoded, json, STANDARD.encode(secret)] {
                for (who, text) in &self.0 {
                    assert!(!text.contains(&form), "{:?}: {form} shows in {who}", kind.flags);
                }
            }
        }
    }
}

/// Each call that goes wrong in another way.
fn troubled(mut bridge: Bridge, who: &str, written: &mut Written) {
    for (id, tool) in [("1", "whoami"), ("2", "admin"), ("3", "echo"), ("4", "admin")] {
        bridge.tool(id, tool);
        written.add(&format!("an answer to {who}"), bridge.answer_line(id));
    }
    written.add(&format!("argv of {who}"), argv(&bridge));
    for (path, content) in bridge.home().files() {
        written.add(&path.display().to_string(), String::from_utf8_lossy(&content));
    }
    let stderr = bridge.finish().stderr;
    assert!(!stderr.is_empty(), "trace says nothing");
    written.add(&format!("stderr of {who}"), stderr);
}

fn argv(bridge: &Bridge) -> String {
    let read = std::fs::read(format!("/proc/{}/cmdline", bridge.pid())).unwrap_or_default();
    String::from_utf8_lossy(&read).into_owned()
}

#[test]
fn nothing_shows_of_a_kind_that_was_taught() {
    let servers = Servers::start();
    let url = servers.remote.url();
    let shared = Home::new("plaintext");
    for kind in servers.kinds(&shared) {
        let mut home = Home::new("plaintext").with("KEYFERRY_LOG", "trace");
        let mut flags: Vec<_> = kind.flags.iter().map(String::as_str).collect();
        // The first comes by stdin, the others by variables that are gone afterwards.
        let stdin = kind.secrets.first().map_or(String::new(), |(_, secret)| format!("{secret}\n"));
        for (flag, secret) in kind.secrets.iter().skip(1) {
            home.set(&super::variable(flag), secret);
        }
        let names: Vec<_> = kind.secrets.iter().map(|(f, _)| (*f, super::variable(f))).collect();
        for (flag, name) in names.iter().skip(1) {
            flags.extend([*flag, name.as_str()]);
        }
        let mut written = Written::default();
        let done = login(&home, &url, &flags, &stdin).expect(0);
        written.add("login", done.stdout + &done.stderr);
        let home = Arc::new(home);
        let bridge = Launch::new(home.clone(), &url).args(&["--log-level", "trace"]).start();
        troubled(bridge.ready(), "run", &mut written);
        servers.logins.tokens.revoke();
        for verb in [&["list"][..], &["list", "--json"], &["logout", &url]] {
            let done = home.run(verb, "");
            written.add(verb[0], done.stdout + &done.stderr);
        }
        for (path, content) in home.files() {
            written.add(&path.display().to_string(), String::from_utf8_lossy(&content));
        }
        written.holds_none_of(&kind, &servers.seen());
    }
}

#[test]
fn nothing_shows_of_a_kind_that_flags_give() {
    let servers = Servers::start();
    let shared = Home::new("plaintext");
    for kind in servers.kinds(&shared) {
        let home = Arc::new(Home::new("memory"));
        let mut launch = Launch::new(home, &servers.remote.url()).args(&["--log-level", "trace"]);
        let flags: Vec<_> = kind.flags.iter().map(String::as_str).collect();
        launch = launch.args(&flags);
        for (flag, secret) in &kind.secrets {
            let name = super::variable(flag);
            launch = launch.args(&[flag, &name]).env(&name, secret);
        }
        let mut written = Written::default();
        troubled(launch.start().ready(), "run", &mut written);
        written.holds_none_of(&kind, &servers.seen());
    }
}

/// Servers that repeat what they were shown, in the words of their refusal.
#[test]
fn nothing_shows_when_the_server_of_a_kind_repeats_it() {
    let servers = Servers::start();
    servers.strict.store(true, Ordering::SeqCst);
    servers.logins.script(|script| {
        script.on = Some(Arc::new(Box::new(|request, wire| {
            let text = format!("no: {}", request.text());
            wire.reply(401, &[("Content-Type", "text/plain")], text.as_bytes());
        })));
    });
    let shared = Home::new("plaintext");
    for kind in servers.kinds(&shared) {
        let asks = ["password", "client-credentials", "jwt-bearer", "enterprise"];
        if !asks.contains(&kind.flags[1].as_str()) {
            continue;
        }
        let home = Arc::new(Home::new("memory"));
        let flags: Vec<_> = kind.flags.iter().map(String::as_str).collect();
        let mut launch =
            Launch::new(home, &servers.remote.url()).args(&["--log-level", "trace"]).args(&flags);
        for (flag, secret) in &kind.secrets {
            let name = super::variable(flag);
            launch = launch.args(&[flag, &name]).env(&name, secret);
        }
        let mut bridge = launch.start();
        let mut written = Written::default();
        let error = super::first_error(&mut bridge, &[-31001]);
        written.add("the error", error.to_string());
        written.add("stderr", bridge.finish().stderr);
        written.holds_none_of(&kind, &servers.seen());
    }
}
