//! Opens the authorization request in the person's browser (RFC 8252 6), without a shell.

mod address;
mod surroundings;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

pub use address::{BrowserUrl, check};
pub use surroundings::{Away, Os, Surroundings, Where};

use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// An opener that still runs then has found a browser, or is one.
const VERDICT: Duration = Duration::from_secs(2);

/// How a browser is started. [`Default`]: the desktop's own way.
#[derive(Debug, Clone, Default)]
pub struct Browser {
    /// `BROWSER`: commands between `:` (`;` on Windows), words between white space, `%s` for
    /// the URL, which else becomes the last word. The first that starts is the one; if none
    /// does, the desktop is asked.
    pub command: Option<String>,
    /// Variables that the browser must not inherit: they hold secrets.
    pub hidden_variables: Vec<String>,
    /// `SystemRoot`; matters on Windows only.
    pub system_root: Option<String>,
}

/// Why no browser has opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrowserError {
    /// A server named a URL that is not opened.
    #[error("the authorization server's URL is not opened: {0}")]
    Refused(&'static str),
    #[error("no browser could be started ({0})")]
    Missing(String),
    #[error("{program} could not open a browser ({status})")]
    Failed { program: String, status: String },
}

/// What became of one command.
enum Attempt {
    Opened,
    NotStarted(String),
    Failed(ExitStatus),
}

/// Opens the URL; returns once the opener has done its work or has run for two seconds.
/// Dropped before that, it leaves the opener to itself. A browser outlives this process.
///
/// # Errors
/// [`BrowserError`], never `Refused`.
pub async fn open(url: &BrowserUrl, browser: &Browser) -> Result<(), BrowserError> {
    let mut missing = String::from("there is none to start");
    for mut command in browser.command.iter().flat_map(|list| named(list, url.as_str())) {
        let program = program(&command);
        set_apart(&mut command, browser);
        match run(command).await {
            Attempt::Opened => return Ok(()),
            Attempt::NotStarted(why) => missing = format!("{program}: {why}"),
            // It may have opened something all the same; a second tab would be worse.
            Attempt::Failed(status) => return Err(failed(program, status)),
        }
    }
    let mut failure = None;
    for mut command in desktop(url.as_str(), browser) {
        let program = program(&command);
        set_apart(&mut command, browser);
        match run(command).await {
            Attempt::Opened => return Ok(()),
            Attempt::NotStarted(why) if browser.command.is_none() => {
                missing = format!("{program}: {why}");
            }
            Attempt::NotStarted(_) => {}
            Attempt::Failed(status) => failure = failure.or(Some(failed(program, status))),
        }
    }
    Err(failure.unwrap_or(BrowserError::Missing(missing)))
}

/// The commands of `BROWSER`, with the URL in its place.
fn named(list: &str, url: &str) -> Vec<Command> {
    let separator = if cfg!(windows) { ';' } else { ':' };
    list.split(separator)
        .filter_map(|command| {
            let mut words = command.split_whitespace();
            let mut built = Command::new(words.next()?);
            let mut placed = false;
            for word in words {
                placed |= word.contains("%s");
                built.arg(word.replace("%s", url));
            }
            if !placed {
                built.arg(url);
            }
            Some(built)
        })
        .collect()
}

#[cfg(unix)]
fn desktop(url: &str, _: &Browser) -> Vec<Command> {
    open::commands(url)
}

/// Not through the crate `open`, whose way on Windows leads through cmd.exe.
#[cfg(windows)]
fn desktop(url: &str, browser: &Browser) -> Vec<Command> {
    let root = browser.system_root.as_deref().unwrap_or(r"C:\Windows");
    let mut command = Command::new(format!(r"{root}\System32\rundll32.exe"));
    command.args(["url.dll,FileProtocolHandler", url]);
    vec![command]
}

/// The child gets none of our streams and secrets, and no Ctrl-C of our terminal.
fn set_apart(command: &mut Command, browser: &Browser) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for name in &browser.hidden_variables {
        command.env_remove(name);
    }
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    #[cfg(windows)]
    {
        const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
        const CREATE_NO_WINDOW: u32 = 0x0800_0000;
        let flags = CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW;
        std::os::windows::process::CommandExt::creation_flags(command, flags);
    }
}

/// On a thread of its own, which stays until the child ends and reaps it.
async fn run(mut command: Command) -> Attempt {
    let (sender, receiver) = oneshot::channel();
    let waiting = std::thread::Builder::new().name("browser".into()).spawn(move || {
        let attempt = match command.spawn().map(|mut child| child.wait()) {
            Err(error) => Attempt::NotStarted(error.to_string()),
            Ok(Ok(status)) if !status.success() => Attempt::Failed(status),
            Ok(_) => Attempt::Opened,
        };
        // Nobody listens any more: the verdict came too late.
        let _ = sender.send(attempt);
    });
    if let Err(error) = waiting {
        return Attempt::NotStarted(error.to_string());
    }
    match timeout(VERDICT, receiver).await {
        Ok(Ok(attempt)) => attempt,
        Ok(Err(_)) | Err(_) => Attempt::Opened,
    }
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn failed(program: String, status: ExitStatus) -> BrowserError {
    BrowserError::Failed { program, status: status.to_string() }
}
