//! The main job on a fresh machine: `cargo run --release --example demo`.
//!
//! Needs nothing but Rust: no account, no network, no configuration. A protected MCP server runs
//! on loopback, keyferry learns its key and stands in front of it as a client would launch it.
//! Every message is shown. Anything that is not as it should be ends the demo with exit code 1.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a narrated demo")]

mod client;
mod keychain;
mod keyferry;
mod server;

use std::path::Path;
use std::process::ExitCode;

use base64::Engine;
use serde_json::{Value, json};

use client::Client;
use keychain::VaultKey;
use keyferry::Keyferry;
use server::Server;

type Result<T> = std::result::Result<T, String>;

const EXIT_VAULT: i32 = 5;
const KEY_VARIABLE: &str = "DEMO_KEY";

fn main() -> ExitCode {
    match demo() {
        Ok(()) => {
            println!("\ndemo: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\ndemo: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A headline.
fn step(text: &str) {
    println!("\n== {text}");
}

/// What is going on, indented under its step.
fn say(text: &str) {
    for line in text.lines() {
        println!("   {line}");
    }
}

fn ensure(holds: bool, otherwise: impl Into<String>) -> Result<()> {
    if holds { Ok(()) } else { Err(otherwise.into()) }
}

/// How the bridge gets the key.
enum Way {
    /// `login` sealed it in the vault.
    Vault,
    /// No keychain here: from a variable, as said in step 3.
    Variable,
}

fn demo() -> Result<()> {
    step("Building the keyferry executable, if it is not built yet");
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let keyferry = Keyferry::build(home.path())?;
    say(&format!("{}", keyferry.path().display()));

    step("1. A protected MCP server");
    let key = random_key()?;
    let server = Server::start(&key)?;
    let url = server.url();
    say(&format!("listens at {url}"));
    say("wants Authorization: Bearer <a random key made just now>, else it answers 401");

    step("2. keyferry without the key");
    refused(&keyferry, &url)?;

    step("3. The vault learns the key");
    let vault_key = VaultKey::look();
    let way = login(&keyferry, &url, &key)?;

    step("4. keyferry as an MCP client launches it");
    converse(&keyferry, &server, &way, &key)?;

    step("5. What is remembered, and where the key is");
    if let Way::Vault = way {
        listed(&keyferry, &url, &key)?;
    }
    let files = no_file_holds(home.path(), &key)?;
    say(&match files {
        0 => "keyferry wrote no file at all".to_owned(),
        _ => format!("searched the {files} files keyferry wrote: none holds the key in clear"),
    });

    step("6. Leaving nothing behind");
    if let Way::Vault = way {
        logout(&keyferry, &url)?;
        refused(&keyferry, &url)?;
        vault_key.leave(&keyferry)?;
    }
    let path = home.path().to_owned();
    home.close().map_err(|error| error.to_string())?;
    ensure(!path.exists(), "the demo's home is still there")?;
    say("the demo's home directory is removed");
    Ok(())
}

fn random_key() -> Result<String> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("demo-{hex}"))
}

/// The client is told what is wrong and which command helps, as an answer to its own request.
fn refused(keyferry: &Keyferry, url: &str) -> Result<()> {
    let mut client = Client::launch(keyferry.command([url]), &format!("keyferry {url}"))?;
    let mut answer = client.request("initialize", &initialize())?;
    if answer.get("result").is_some() {
        client.notify("notifications/initialized")?;
        answer = client.request("tools/call", &json!({"name": "whoami", "arguments": {}}))?;
    }
    client.finish()?;
    let error = answer.get("error").ok_or("keyferry got in without the key")?;
    let hint = error.pointer("/data/hint").and_then(Value::as_str);
    let hint = hint.ok_or("the error has no hint")?;
    ensure(
        hint.contains("keyferry login") && hint.contains(url),
        "the hint does not name the login command",
    )?;
    say("an error that the client can show, with the command that helps");
    Ok(())
}

fn login(keyferry: &Keyferry, url: &str, key: &str) -> Result<Way> {
    say(&format!("$ keyferry login {url} --with api-key"));
    say("(the key goes in on stdin: never in argv, never in a configuration)");
    let output = keyferry.run(["login", url, "--with", "api-key"], Some(key))?;
    output.show();
    ensure(!output.holds(key), "login printed the key")?;
    if output.succeeded() {
        say("the key is sealed; the key that opens the seal is in this machine's keychain");
        return Ok(Way::Vault);
    }
    ensure(output.code == Some(EXIT_VAULT), format!("login ended with {:?}", output.code))?;
    say("");
    say("NOTE: this machine, or this session, has no keychain that keeps things, so keyferry");
    say("refuses to remember the key rather than to store it in clear. The rest of the demo");
    say(&format!(
        "runs without a vault: the key comes from the variable {KEY_VARIABLE} at each start."
    ));
    Ok(Way::Variable)
}

fn initialize() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "demo", "version": "1"}
    })
}

fn converse(keyferry: &Keyferry, server: &Server, way: &Way, key: &str) -> Result<()> {
    let url = server.url();
    let mut client = match way {
        Way::Vault => {
            say(
                "in a client's configuration: \"command\": \"keyferry\", \"args\": [URL]; no secret",
            );
            Client::launch(keyferry.command([&*url]), &format!("keyferry {url}"))?
        }
        Way::Variable => {
            let arguments = [&*url, "--with", "api-key", "--secret-env", KEY_VARIABLE];
            let mut command = keyferry.command(arguments);
            command.env(KEY_VARIABLE, key);
            Client::launch(command, &format!("keyferry {}", arguments.join(" ")))?
        }
    };
    server.forget_requests();

    let answer = client.request("initialize", &initialize())?;
    let name = answer.pointer("/result/serverInfo/name");
    ensure(name == Some(&json!("demo server")), "another server answered")?;
    say("keyferry: added the key, sent it on, and keeps the session id the server gave");
    client.notify("notifications/initialized")?;

    let answer = client.request("tools/list", &json!({}))?;
    let tools = answer.pointer("/result/tools").and_then(Value::as_array);
    let tools = tools.ok_or("no list of tools came")?;
    ensure(tools.len() == 2, "not the two tools of the server")?;
    ensure(client.last_line() == server.last_answer(), "the answer is not what the server sent")?;
    say("keyferry: passed the answer on byte for byte (compared with what the server sent)");

    let answer = client.request("tools/call", &json!({"name": "whoami", "arguments": {}}))?;
    let text = answer.pointer("/result/content/0/text");
    ensure(
        text == Some(&json!("You are Ada, and your key is right.")),
        "the server does not know who is calling",
    )?;
    say("the server knows who is calling, and the client never saw the key");

    let before = client.notifications();
    let params = json!({
        "name": "count",
        "arguments": {},
        "_meta": {"progressToken": "demo"}
    });
    let answer = client.request("tools/call", &params)?;
    ensure(answer.get("result").is_some(), "counting failed")?;
    ensure(client.notifications() - before == 3, "not the three progress events of the server")?;
    say("keyferry: passed each event of the stream on as it came");

    client.finish()?;
    say("the client closed stdin; keyferry ended the session and is gone");
    let seen = server.requests();
    for request in &seen {
        say(&format!("server saw: {request}"));
    }
    ensure(
        seen.iter().all(|request| request.ends_with("with the key")),
        "a request came without the key",
    )?;
    ensure(seen.iter().any(|request| request.starts_with("DELETE")), "the session was not ended")
}

fn listed(keyferry: &Keyferry, url: &str, key: &str) -> Result<()> {
    say("$ keyferry list");
    let output = keyferry.run(["list"], None)?;
    output.show();
    ensure(output.succeeded(), "list failed")?;
    ensure(output.holds(url), "list does not know the server")?;
    ensure(!output.holds(key), "list shows the key")
}

/// How many files there are.
fn no_file_holds(directory: &Path, key: &str) -> Result<usize> {
    let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(key);
    let mut files = 0;
    let entries = std::fs::read_dir(directory).map_err(|error| error.to_string())?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            files += no_file_holds(&path, key)?;
            continue;
        }
        files += 1;
        let bytes = std::fs::read(&path).map_err(|error| error.to_string())?;
        for text in [key, &encoded] {
            let found = memchr::memmem::find(&bytes, text.as_bytes());
            ensure(found.is_none(), format!("{} holds the key in clear", path.display()))?;
        }
    }
    Ok(files)
}

fn logout(keyferry: &Keyferry, url: &str) -> Result<()> {
    say(&format!("$ keyferry logout {url}"));
    let output = keyferry.run(["logout", url], None)?;
    output.show();
    ensure(output.succeeded(), "logout failed")?;
    let output = keyferry.run(["list"], None)?;
    ensure(output.succeeded() && !output.holds(url), "list still knows the server")
}
