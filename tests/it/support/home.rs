//! A home of its own for the executable, and the verbs that run to their end.

use super::PATIENCE;
use super::bridge::Launch;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A home directory no other test knows, and the environment that goes with it.
pub(crate) struct Home {
    root: TempDir,
    env: Vec<(String, String)>,
}

/// How a command that runs to its end came out.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn expect_one_of(self, codes: &[i32]) -> Self {
        assert!(
            self.code.is_some_and(|code| codes.contains(&code)),
            "exit code {:?}, not one of {codes:?}\nstdout: {}\nstderr: {}",
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }
}

impl Home {
    /// `vault` is what `KEYFERRY_VAULT` shall say.
    pub(crate) fn new(vault: &str) -> Self {
        let root = TempDir::new().expect("a temporary directory");
        let home = Self { root, env: Vec::new() };
        home.with("KEYFERRY_VAULT", vault)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.env.retain(|(n, _)| n != name);
    }

    /// `KEYFERRY_HOME`; the executable makes it.
    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("keyferry")
    }

    /// A path beside `KEYFERRY_HOME`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file beside `KEYFERRY_HOME` and says where it is.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).expect("write a file");
        path.to_str().expect("a UTF-8 path").to_owned()
    }

    /// Every file below `KEYFERRY_HOME` with what it holds.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut found = Vec::new();
        collect(&self.dir(), &mut found);
        found
    }

    pub(crate) fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_keyferry")))
    }

    /// A program in this home's environment and in no other.
    pub(crate) fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        for kept in ["PATH", "SystemRoot", "TMPDIR", "TEMP"] {
            #[expect(clippy::disallowed_methods, reason = "a child needs its search path")]
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command
            .env("HOME", self.root.path())
            .env("USERPROFILE", self.root.path())
            .env("KEYFERRY_HOME", self.dir())
            .env("NO_COLOR", "1")
            .envs(self.env.iter().map(|(n, v)| (n, v)));
        command
    }

    /// Runs a verb to its end, `stdin` given to it.
    pub(crate) fn run(&self, args: &[&str], stdin: &str) -> Done {
        let mut command = self.command();
        command.args(args);
        run_to_end(command, stdin.as_bytes())
    }

    /// Stores an API key without asking the remote.
    #[track_caller]
    pub(crate) fn store_key(&self, url: &str, key: &str) {
        self.run(&["login", url, "--with", "api-key", "--no-verify"], key).expect(0);
    }

    pub(crate) fn launch(self, url: &str) -> Launch {
        Launch::new(Arc::new(self), url)
    }
}

fn collect(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            collect(&path, found);
        } else {
            let content = std::fs::read(&path).expect("read a file");
            found.push((path, content));
        }
    }
}

/// Runs a prepared command to its end.
pub(crate) fn run_to_end(command: Command, stdin: &[u8]) -> Done {
    run_to_end_within(command, stdin, PATIENCE)
}

pub(crate) fn run_to_end_within(mut command: Command, stdin: &[u8], deadline: Duration) -> Done {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("start the command");
    let mut input = child.stdin.take().expect("stdin");
    let bytes = stdin.to_vec();
    thread::spawn(move || {
        let _ = input.write_all(&bytes);
    });
    let (sender, receiver) = channel();
    let read = |mut from: Box<dyn Read + Send>, sender: Sender<(bool, Vec<u8>)>, out| {
        thread::spawn(move || {
            let mut all = Vec::new();
            let _ = from.read_to_end(&mut all);
            let _ = sender.send((out, all));
        });
    };
    read(Box::new(child.stdout.take().expect("stdout")), sender.clone(), true);
    read(Box::new(child.stderr.take().expect("stderr")), sender, false);
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        match receiver.recv_timeout(deadline) {
            Ok((true, bytes)) => stdout = bytes,
            Ok((false, bytes)) => stderr = bytes,
            Err(_) => {
                let _ = child.kill();
                panic!("{command:?} did not end");
            }
        }
    }
    let status = wait_until(&mut child, PATIENCE).expect("the command ends");
    Done {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// Polls for the end of a process; `None` at the deadline.
pub(crate) fn wait_until(child: &mut Child, deadline: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(status) = child.try_wait().expect("the state of the child") {
            return Some(status);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(Duration::from_millis(2));
    }
}
