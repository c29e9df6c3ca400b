//! A child driven over stdio as an MCP client drives it: blocking pipes, no runtime.

mod child;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
pub(crate) use child::Child;

/// How a child is started.
pub(crate) struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    socketpair: bool,
}

/// Variables that would let the person's own settings into the measurement.
const FOREIGN: &[&str] = &[
    "DBUS_SESSION_BUS_ADDRESS",
    "KEYFERRY_LOG",
    "KEYFERRY_PASSPHRASE",
    "KEYFERRY_PASSPHRASE_COMMAND",
    "KEYFERRY_PASSPHRASE_FILE",
    "KEYFERRY_VAULT",
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "all_proxy",
    "http_proxy",
    "https_proxy",
];

impl Launch {
    pub(crate) fn new(program: &Path, socketpair: bool) -> Self {
        Self {
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            socketpair,
        }
    }

    pub(crate) fn argument(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn variable(&mut self, name: &'static str, value: impl AsRef<OsStr>) -> &mut Self {
        self.environment.push((name, value.as_ref().to_owned()));
        self
    }

    pub(crate) fn home(&mut self, home: &Path) -> &mut Self {
        self.variable("HOME", home).variable("KEYFERRY_HOME", home)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::null());
        command
    }

    pub(crate) fn spawn(&self) -> Result<Child> {
        let mut command = self.command();
        let name = self.program.display();
        if self.socketpair {
            return spawn_on_sockets(command);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process =
            command.spawn().map_err(|error| format!("{name} does not start: {error}"))?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("a child without pipes".into());
        };
        Ok(Child::new(process, Box::new(input), Box::new(output)))
    }
}

#[cfg(unix)]
fn spawn_on_sockets(mut command: Command) -> Result<Child> {
    use std::net::Shutdown;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// Closing one direction of a socket takes a shutdown.
    struct Input(UnixStream);
    impl Write for Input {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl Drop for Input {
        fn drop(&mut self) {
            let _ = self.0.shutdown(Shutdown::Both);
        }
    }

    let (input, its_input) = UnixStream::pair()?;
    let (output, its_output) = UnixStream::pair()?;
    command
        .stdin(Stdio::from(OwnedFd::from(its_input)))
        .stdout(Stdio::from(OwnedFd::from(its_output)));
    let process = command.spawn()?;
    Ok(Child::new(process, Box::new(Input(input)), Box::new(output)))
}

#[cfg(not(unix))]
fn spawn_on_sockets(_: Command) -> Result<Child> {
    Err("--socketpair is for Unix".into())
}
