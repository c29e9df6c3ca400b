//! Who signs in: the person at this machine, or this very program, which then walks through the
//! pages as a browser would (`demo --as-browser SECONDS URL`, started by keyferry as `BROWSER`).

use std::io::{IsTerminal, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use url::{Url, form_urlencoded};

use crate::{Result, ensure};

pub(crate) const AS_BROWSER: &str = "--as-browser";
/// Whom the demo signs in as when nobody is there.
pub(crate) const NAME: &str = "Ada";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Person {
    AtThisMachine,
    Away(&'static str),
}

impl Person {
    #[allow(clippy::disallowed_methods, reason = "an example has no config.rs")]
    pub(crate) fn look(unattended: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let display = cfg!(any(windows, target_os = "macos"))
            || ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"].into_iter().any(set);
        let terminal = std::io::stdout().is_terminal() || std::io::stderr().is_terminal();
        if unattended {
            Self::Away("--unattended")
        } else if set("CI") {
            Self::Away("this is CI")
        } else if set("SSH_CONNECTION") || set("SSH_TTY") {
            Self::Away("this is an SSH session")
        } else if !display {
            Self::Away("there is no display here")
        } else if !terminal {
            Self::Away("nobody watches")
        } else {
            Self::AtThisMachine
        }
    }

    /// How long the demo waits for the sign-in.
    pub(crate) fn patience(self) -> Duration {
        match self {
            Self::AtThisMachine => Duration::from_secs(300),
            Self::Away(_) => Duration::from_secs(20),
        }
    }

    /// Sees to it that keyferry starts the right browser: one that takes `seconds` if nobody
    /// is here. `BROWSER` is split at white space and colons, so the program is named from its
    /// own directory.
    pub(crate) fn browse_with(self, command: &mut Command, seconds: u32) -> Result<()> {
        if self == Self::AtThisMachine {
            return Ok(());
        }
        let own: PathBuf = std::env::current_exe().map_err(|error| error.to_string())?;
        let (directory, name) = (own.parent(), own.file_name().and_then(|name| name.to_str()));
        let (directory, name) = directory.zip(name).ok_or("this program has no path")?;
        let program = Path::new(".").join(name);
        command.current_dir(directory);
        command.env("BROWSER", format!("{} {AS_BROWSER} {seconds} %s", program.display()));
        Ok(())
    }
}

/// Walks through the sign-in that begins at this URL. Says how it ended to the demo's server,
/// as a browser has no stdout here.
pub(crate) fn as_browser(arguments: &[String]) -> Result<()> {
    let [seconds, link] = arguments else {
        return Err("usage: --as-browser SECONDS URL".into());
    };
    let seconds = seconds.parse().map_err(|_| "no number of seconds")?;
    let link = url(link)?;
    let ended = walk(&link, Duration::from_secs(seconds));
    let shown = ended.clone().unwrap_or_else(|error| format!("none: {error}"));
    fetch("POST", &link.join("/browser-saw").map_err(|error| error.to_string())?, &shown)?;
    ended.map(|_| ())
}

/// The heading of the last page.
fn walk(link: &Url, patience: Duration) -> Result<String> {
    let mut page = fetch("GET", link, "")?;
    let answers = [("name", NAME), ("decision", "allow")];
    for answer in answers {
        // A person reads, and types.
        std::thread::sleep(patience / 2);
        let visit = page.attribute("name=\"visit\" value=\"").ok_or("a page without a form")?;
        let action = page.attribute("action=\"").ok_or("a form that leads nowhere")?;
        let to = link.join(action).map_err(|error| error.to_string())?;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("visit", visit)
            .append_pair(answer.0, answer.1)
            .finish();
        page = fetch("POST", &to, &form)?;
    }
    for _ in 0..5 {
        let Some(location) = page.location() else { break };
        page = fetch("GET", &url(location)?, "")?;
    }
    let heading = page.between("<h1>", "</h1>").ok_or("a page without a heading")?;
    Ok(heading.to_owned())
}

/// A response as it came.
struct Page(String);

impl Page {
    fn between(&self, before: &str, after: &str) -> Option<&str> {
        let start = self.0.find(before)? + before.len();
        let length = self.0[start..].find(after)?;
        Some(&self.0[start..start + length])
    }

    fn attribute(&self, before: &str) -> Option<&str> {
        self.between(before, "\"")
    }

    fn location(&self) -> Option<&str> {
        let head = self.0.split("\r\n\r\n").next()?;
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("location").then_some(value.trim())
        })
    }
}

fn fetch(method: &str, url: &Url, form: &str) -> Result<Page> {
    let text = |error: std::io::Error| format!("{method} {}: {error}", url.path());
    ensure(url.scheme() == "http", "this browser knows http only")?;
    let addresses = url.socket_addrs(|| None).map_err(text)?;
    let mut stream = TcpStream::connect(&*addresses).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(text)?;
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let host = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let length = form.len();
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
    );
    stream.write_all(request.as_bytes()).map_err(text)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(text)?;
    Ok(Page(String::from_utf8_lossy(&answer).into_owned()))
}

fn url(text: &str) -> Result<Url> {
    Url::parse(text).map_err(|error| format!("no URL: {error}"))
}
