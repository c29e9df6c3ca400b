//! An MCP client on the other side of keyferry's stdin and stdout; every message is shown.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keyferry::collect;
use crate::{Result, say};

pub(crate) struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    last_id: u64,
    last_line: String,
    notifications: usize,
}

const DEADLINE: Duration = Duration::from_secs(20);

impl Client {
    pub(crate) fn launch(mut command: Command, shown: &str) -> Result<Self> {
        say(&format!("$ {shown}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("keyferry does not start: {error}"))?;
        let (sender, lines) = channel();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(|line| line.ok()) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            stdin: child.stdin.take(),
            stderr: child.stderr.take().map(collect),
            child,
            lines,
            last_id: 0,
            last_line: String::new(),
            notifications: 0,
        })
    }

    /// The last answer, as it came.
    pub(crate) fn last_line(&self) -> &str {
        &self.last_line
    }

    /// Notifications received so far.
    pub(crate) fn notifications(&self) -> usize {
        self.notifications
    }

    pub(crate) fn notify(&mut self, method: &str) -> Result<()> {
        self.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))
    }

    /// Sends a request and waits for its answer, result or error.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ))?;
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .map_err(|_| format!("{method} was not answered: {}", self.why()))?;
            say(&format!("client < {line}"));
            let message: Value = serde_json::from_str(&line)
                .map_err(|_| "stdout carried something that is not JSON")?;
            if message.get("id") == Some(&id) && message.get("method").is_none() {
                self.last_line = line;
                return Ok(message);
            }
            self.notifications += usize::from(message.get("id").is_none());
        }
    }

    fn send(&mut self, message: &str) -> Result<()> {
        say(&format!("client > {message}"));
        let stdin = self.stdin.as_mut().ok_or("stdin is closed")?;
        writeln!(stdin, "{message}").map_err(|error| {
            let why = self.why();
            format!("keyferry took no message ({error}): {why}")
        })
    }

    /// Closes stdin; keyferry must be gone within a second, without an error.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.stdin = None;
        let begin = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => break,
                Ok(Some(status)) => return Err(format!("keyferry ended with {status}")),
                Ok(None) if begin.elapsed() < Duration::from_secs(1) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(None) => return Err("keyferry is still there 1 s after stdin's end".into()),
                Err(error) => return Err(error.to_string()),
            }
        }
        for line in self.said().lines() {
            say(&format!("| {line}"));
        }
        Ok(())
    }

    /// What it said on stderr; it must be gone.
    fn said(&mut self) -> String {
        let stderr = self.stderr.take();
        stderr.and_then(|stderr| stderr.join().ok()).unwrap_or_default()
    }

    fn why(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.said()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
