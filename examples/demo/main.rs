//! The main job on a fresh machine: `cargo run --example demo`.
//!
//! Needs nothing but Rust: no account, no network, no configuration. A protected MCP server with
//! a sign-in page of its own runs on loopback, and keyferry stands in front of it as a client
//! would launch it. Every message is shown, and what the server saw. With a display the sign-in
//! page opens in your browser; without one, or with `--unattended`, the demo signs in itself.
//! Anything that is not as it should be ends the demo with exit code 1.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a narrated demo")]

mod clear;
mod client;
mod keychain;
mod keyferry;
mod person;
mod server;
mod story;

use std::process::ExitCode;

use keychain::VaultKey;
use keyferry::Keyferry;
use person::Person;
use server::{LIFE, Server};
use story::Story;

type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some(person::AS_BROWSER) => {
            return match person::as_browser(&arguments[1..]) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        Some("--unattended") => demo(true),
        None => demo(false),
        Some(_) => Err("usage: cargo run --example demo -- [--unattended]".into()),
    };
    match outcome {
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

fn demo(unattended: bool) -> Result<()> {
    step("Building the keyferry executable, if it is not built yet");
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let keyferry = Keyferry::build(home.path())?;
    say(&format!("{}", keyferry.path().display()));

    step("1. A protected MCP server that nobody has signed in to");
    let server = Server::start()?;
    say(&format!("listens at {}", server.url()));
    say(&format!(
        "has a sign-in page of its own; its tokens last {} s; a refresh token is good for one \
         use,\nand one that is used twice ends the whole sign-in",
        LIFE.as_secs()
    ));
    let person = Person::look(unattended);
    match person {
        Person::AtThisMachine => say("YOU sign in: the page opens in your browser in a moment"),
        Person::Away(why) => say(&format!("the demo plays the person and the browser ({why})")),
    }
    let vault_key = VaultKey::look();
    let mut story = Story::new(&keyferry, &server, person);

    step("2. keyferry as an MCP client launches it: with a URL, and nothing secret");
    let mut client = story.sign_in()?;

    step("3. The tools are there, without a restart");
    story.use_tools(&mut client)?;

    step("4. The token expires");
    story.expire(&mut client)?;

    step("5. A second client on the same machine");
    let remembered = story.second_client(&mut client)?;
    story.finish(client)?;

    step("6. What is remembered, and where the secrets are");
    if remembered {
        story.listed()?;
    }
    story.nothing_in_clear(home.path())?;

    step("7. Leaving nothing behind");
    if remembered {
        story.logout()?;
        vault_key.leave(&keyferry)?;
    } else {
        say("nothing was remembered: the sign-ins ended with their processes");
    }
    let path = home.path().to_owned();
    home.close().map_err(|error| error.to_string())?;
    ensure(!path.exists(), "the demo's home is still there")?;
    say("the demo's home directory is removed");
    Ok(())
}
