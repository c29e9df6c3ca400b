//! The keyferry executable, of the same profile as this demo, in a home of its own.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Result, say};

pub(crate) struct Keyferry {
    path: PathBuf,
    home: PathBuf,
}

/// A person's own settings are not the demo's.
const FOREIGN: &[&str] = &[
    "KEYFERRY_LOG",
    "KEYFERRY_PASSPHRASE",
    "KEYFERRY_PASSPHRASE_COMMAND",
    "KEYFERRY_PASSPHRASE_FILE",
    "KEYFERRY_VAULT",
];

/// What `cargo run` tells this process of its own package. Passed on to another cargo, it would
/// look like a change to build scripts that read it, and a part would be compiled once more.
const FROM_CARGO_RUN: &[&str] = &[
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// A keychain may ask the person to allow the access.
const DEADLINE: Duration = Duration::from_secs(90);

impl Keyferry {
    /// Has cargo build it; with nothing to do that takes a moment only. The example is named
    /// too, as it is built already: without it cargo would compile the dependencies once more,
    /// for their features would differ.
    pub(crate) fn build(home: &Path) -> Result<Self> {
        let cargo = option_env!("CARGO").unwrap_or("cargo");
        let mut command = Command::new(cargo);
        for name in FROM_CARGO_RUN {
            command.env_remove(name);
        }
        let output = command
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--bin", "keyferry", "--example", "demo"])
            .args(["--profile", &profile()?])
            .args(["--message-format", "json-render-diagnostics"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("{cargo} does not start: {error}"))?;
        if !output.status.success() {
            return Err("cargo could not build keyferry".into());
        }
        let messages = String::from_utf8_lossy(&output.stdout);
        let path = messages
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|message| message.pointer("/target/name") == Some(&"keyferry".into()))
            .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
            .ok_or("cargo did not say where keyferry is")?;
        Ok(Self { path, home: home.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// In the demo's home.
    pub(crate) fn command<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = self.outside(arguments);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.env("KEYFERRY_HOME", &self.home);
        // A proxy between here and loopback would see the tokens, or nothing.
        command.env("NO_PROXY", "127.0.0.1,localhost");
        command
    }

    /// As the person would run it.
    pub(crate) fn outside<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments);
        command
    }

    pub(crate) fn run<const N: usize>(&self, arguments: [&str; N]) -> Result<Output> {
        run(self.command(arguments))
    }
}

/// The cargo profile this executable was built with: `target/PROFILE/examples/demo`.
fn profile() -> Result<String> {
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    let directory = executable.ancestors().nth(2).and_then(Path::file_name);
    match directory.and_then(|name| name.to_str()) {
        Some("debug") => Ok("dev".into()),
        Some(name) => Ok(name.into()),
        None => Err("cannot tell the profile of the demo: run it with cargo".into()),
    }
}

/// What a command said.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    stderr: String,
}

impl Output {
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stderr, self.stdout)
    }

    pub(crate) fn holds(&self, text: &str) -> bool {
        self.stdout.contains(text) || self.stderr.contains(text)
    }

    pub(crate) fn show(&self) {
        for line in self.stderr.lines().chain(self.stdout.lines()) {
            if !line.is_empty() {
                say(&format!("keyferry | {line}"));
            }
        }
    }
}

pub(crate) fn run(mut command: Command) -> Result<Output> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("keyferry does not start: {error}"))?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if begin.elapsed() > DEADLINE {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("keyferry took more than {} s", DEADLINE.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = |reader: Option<JoinHandle<String>>| {
        reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
    };
    Ok(Output { code: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

/// Reads to the end, so that the child never waits for us.
fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
