//! What happens in the demo, and what has to be true of it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::keyferry::Keyferry;
use crate::person::{NAME, Person};
use crate::server::{LIFE, Seen, Server};
use crate::{Result, clear, ensure, say};

/// How long the played person takes: longer than keyferry holds up the first list of tools.
const UNHURRIED: u32 = 7;
const EXIT_SIGN_IN_NEEDED: i32 = 3;
const LIST_CHANGED: &str = "notifications/tools/list_changed";

pub(crate) struct Story<'a> {
    keyferry: &'a Keyferry,
    server: &'a Server,
    person: Person,
    /// All that keyferry wrote.
    said: String,
}

impl<'a> Story<'a> {
    pub(crate) fn new(keyferry: &'a Keyferry, server: &'a Server, person: Person) -> Self {
        Self { keyferry, server, person, said: String::new() }
    }

    /// Answered at once, though nobody is signed in; then the browser.
    pub(crate) fn sign_in(&self) -> Result<Client> {
        let mut client = self.launch("client  ", UNHURRIED)?;
        let begin = Instant::now();
        let answer = client.request("initialize", &initialize())?;
        let took = begin.elapsed();
        ensure(answer.get("result").is_some(), "initialize failed")?;
        ensure(took < Duration::from_secs(5), format!("initialize took {took:?}"))?;
        say(&format!(
            "answered after {} ms: keyferry stands in for the server, no client times out",
            took.as_millis()
        ));
        let name = answer.pointer("/result/serverInfo/name");
        ensure(name == Some(&json!("keyferry")), "the server answered, without a sign-in?")?;

        client.notify("notifications/initialized")?;
        let tools = names(client.request("tools/list", &json!({}))?)?;
        if tools == ["sign_in"] {
            say("meanwhile there is one tool, which tells the model where its person signs in");
            client.notified(LIST_CHANGED, self.person.patience(), || {
                let denied = self.server.saw(|seen| *seen == Seen::Denied) > 0;
                denied.then(|| "you said no: run the demo again and allow it".to_owned())
            })?;
            say("signed in: keyferry tells the client that there are other tools now");
        } else {
            ensure(self.person == Person::AtThisMachine, "the stand-in has no tool to sign in")?;
            say("you were quick: keyferry held the list up, the real one came at once");
        }
        let exchanged = |seen: &Seen| matches!(seen, Seen::CodeExchanged { .. });
        ensure(self.server.saw(exchanged) == 1, "not one sign-in at the server")?;
        if let Person::Away(_) = self.person {
            let page = Seen::BrowserShows("You are signed in".to_owned());
            ensure(self.server.saw(|seen| *seen == page) == 1, "the browser ended elsewhere")?;
            let ada = self.server.person();
            ensure(ada.as_deref() == Some(NAME), "somebody else signed in")?;
        }
        Ok(client)
    }

    pub(crate) fn use_tools(&self, client: &mut Client) -> Result<()> {
        let tools = names(client.request("tools/list", &json!({}))?)?;
        ensure(tools == ["whoami"], "not the tools of the server")?;
        ensure(client.last_line() == self.server.last_answer(), "the answer was changed")?;
        say("passed on byte for byte (compared with what the server sent)");
        self.whoami(client)?;
        say("the server knows who is calling, and the client never saw a token");
        Ok(())
    }

    pub(crate) fn expire(&self, client: &mut Client) -> Result<()> {
        let (before, refused) = (self.refreshes(), self.refusals());
        self.outlive();
        self.whoami(client)?;
        ensure(self.refreshes() == before + 1, "the token was not refreshed exactly once")?;
        ensure(self.refusals() == refused, "the server saw an expired token")?;
        say("refreshed before it was sent: no browser, no error, and the client did not notice");
        Ok(())
    }

    /// True if it was let in by what the first one left in the vault.
    pub(crate) fn second_client(&mut self, first: &mut Client) -> Result<bool> {
        let remembered = self.is_remembered()?;
        if !remembered {
            ensure(first.said().contains("memory"), "keyferry did not say that it forgets")?;
            say("NOTE: this machine, or this session, has no keychain that keeps things, so that");
            say("keyferry keeps the sign-in in memory rather than store it in clear: each process");
            say("signs in for itself, and the browser opens once more.");
        }
        let pages = self.pages();
        let mut second = self.launch("client 2", 0)?;
        let answer = second.request("initialize", &initialize())?;
        ensure(answer.get("result").is_some(), "initialize failed")?;
        second.notify("notifications/initialized")?;
        self.whoami(&mut second)?;
        let opened = self.pages() - pages;
        if !remembered {
            ensure(opened == 1, "the second client did not sign in for itself")?;
            self.said.push_str(&second.finish()?);
            return Ok(false);
        }
        ensure(opened == 0, "a second tab was opened")?;
        say("it shares the sign-in: no tab, no question");

        let before = self.refreshes();
        self.outlive();
        say("both ask at the same moment, with one refresh token that is good for one use:");
        first.ask("tools/call", &json!({"name": "whoami", "arguments": {}}))?;
        second.ask("tools/call", &json!({"name": "whoami", "arguments": {}}))?;
        self.is_known(&first.answer()?)?;
        self.is_known(&second.answer()?)?;
        ensure(self.refreshes() == before + 1, "not exactly one refresh for both")?;
        say("one refresh, two answers, nobody signed out");
        self.said.push_str(&second.finish()?);
        Ok(true)
    }

    pub(crate) fn finish(&mut self, client: Client) -> Result<()> {
        self.said.push_str(&client.finish()?);
        say("the clients closed stdin; keyferry ended their sessions and is gone");
        let ended =
            |seen: &Seen| matches!(seen, Seen::Call { method, .. } if method.starts_with("DELETE"));
        ensure(self.server.saw(ended) == 2, "not both sessions were ended")?;
        let reused = self.server.saw(|seen| *seen == Seen::ReusedRefreshToken);
        ensure(reused == 0, "a refresh token was used twice")
    }

    pub(crate) fn listed(&mut self) -> Result<()> {
        let list = self.run(["list"])?;
        let person = self.server.person().unwrap_or_default();
        ensure(list.contains(&self.server.url()), "list does not know the server")?;
        ensure(list.contains(&person), "list does not know who signed in")?;
        ensure(list.contains("renewed after"), "list does not know when the token ends")
    }

    /// Neither in the home nor in anything keyferry printed.
    pub(crate) fn nothing_in_clear(&self, home: &Path) -> Result<()> {
        let secrets = self.server.secrets();
        for secret in &secrets {
            ensure(!self.said.contains(secret), "keyferry printed a secret")?;
        }
        let files = clear::search(home, &secrets)?;
        let count = secrets.len();
        say(&match files {
            0 => "keyferry wrote no file at all".to_owned(),
            _ => format!("searched the {files} files that keyferry wrote, and all it printed,"),
        });
        say(&format!("for the {count} tokens and codes of this demo: none is there in clear"));
        Ok(())
    }

    pub(crate) fn logout(&mut self) -> Result<()> {
        let url = self.server.url();
        self.run(["logout", &url])?;
        for expected in [Seen::RevokedRefreshToken, Seen::RevokedAccessToken, Seen::Unregistered] {
            let times = self.server.saw(|seen| *seen == expected);
            ensure(times == 1, format!("not seen at the server: {expected}"))?;
        }
        ensure(!self.server.trusts_anyone(), "a token is still good at the server")?;
        say("no token of this demo is good for anything any more");
        ensure(!self.is_remembered()?, "list still knows the server")?;
        say(&format!("$ keyferry token {url}"));
        let token = self.keyferry.run(["token", &url])?;
        token.show();
        ensure(token.code == Some(EXIT_SIGN_IN_NEEDED), "there is a token after the logout")
    }

    fn launch(&self, name: &'static str, seconds: u32) -> Result<Client> {
        let url = self.server.url();
        let mut command = self.keyferry.command([&*url]);
        self.person.browse_with(&mut command, seconds)?;
        Client::launch(name, command, &format!("keyferry {url}"))
    }

    fn whoami(&self, client: &mut Client) -> Result<()> {
        let params = json!({"name": "whoami", "arguments": {}});
        self.is_known(&client.request("tools/call", &params)?)
    }

    fn is_known(&self, answer: &Value) -> Result<()> {
        let text = answer.pointer("/result/content/0/text").and_then(Value::as_str);
        let text = text.ok_or("the call failed")?;
        let person = self.server.person().unwrap_or_default();
        let known = text.starts_with(&format!("You are {person}, and this is token"));
        ensure(known, "the server does not know who is calling")
    }

    /// Waits until the token has expired.
    fn outlive(&self) {
        say(&format!("(waiting {} s, the life of the token)", LIFE.as_secs()));
        std::thread::sleep(LIFE);
    }

    fn refreshes(&self) -> usize {
        self.server.saw(|seen| matches!(seen, Seen::Refreshed { .. }))
    }

    fn refusals(&self) -> usize {
        self.server.saw(|seen| matches!(seen, Seen::Unauthorized { .. }))
    }

    fn pages(&self) -> usize {
        self.server.saw(|seen| *seen == Seen::SignInPage)
    }

    fn is_remembered(&self) -> Result<bool> {
        let list = self.keyferry.run(["list", "--json"])?;
        ensure(list.succeeded(), "list failed")?;
        Ok(list.holds(&self.server.url()))
    }

    /// Runs a command that must succeed. What it said.
    fn run<const N: usize>(&mut self, arguments: [&str; N]) -> Result<String> {
        say(&format!("$ keyferry {}", arguments.join(" ")));
        let output = self.keyferry.run(arguments)?;
        output.show();
        ensure(output.succeeded(), format!("{arguments:?} failed"))?;
        self.said.push_str(&output.text());
        Ok(output.text())
    }
}

fn initialize() -> Value {
    json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "demo", "version": "1"}
    })
}

fn names(answer: Value) -> Result<Vec<String>> {
    let tools = answer.pointer("/result/tools").and_then(Value::as_array);
    let tools = tools.ok_or("no list of tools came")?;
    Ok(tools.iter().filter_map(|tool| Some(tool.get("name")?.as_str()?.to_owned())).collect())
}
