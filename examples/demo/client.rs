//! An MCP client on the other side of keyferry's stdin and stdout; every message is shown.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Result, ensure, say};

pub(crate) struct Client {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    /// Everything keyferry wrote, to both streams.
    said: Arc<Mutex<String>>,
    notifications: Vec<String>,
    last_id: u64,
    last_line: String,
}

/// A call waits up to 45 s for a person.
const DEADLINE: Duration = Duration::from_secs(60);

impl Client {
    pub(crate) fn launch(name: &'static str, mut command: Command, shown: &str) -> Result<Self> {
        say(&format!("$ {shown}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().map_err(|error| format!("keyferry does not start: {error}"))?;
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        let stdout = child.stdout.take().ok_or("no stdout")?;
        read(stdout, &said, move |line| sender.send(line).is_ok());
        let stderr = child.stderr.take().ok_or("no stderr")?;
        read(stderr, &said, |line| {
            if !line.trim().is_empty() {
                say(&format!("keyferry | {line}"));
            }
            true
        });
        Ok(Self {
            name,
            stdin: child.stdin.take(),
            child,
            lines,
            said,
            notifications: Vec::new(),
            last_id: 0,
            last_line: String::new(),
        })
    }

    /// The last answer, as it came.
    pub(crate) fn last_line(&self) -> &str {
        &self.last_line
    }

    /// All that keyferry has written so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn notify(&mut self, method: &str) -> Result<()> {
        self.send(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))
    }

    /// Sends a request and waits for its answer, result or error.
    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.ask(method, params)?;
        self.answer()
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Result<()> {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ))
    }

    /// The answer to the last request.
    pub(crate) fn answer(&mut self) -> Result<Value> {
        let id = json!(self.last_id);
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Some(line) = self.next(left)? else {
                return Err(format!("{}: request {id} was not answered", self.name));
            };
            let message = self.take(&line)?;
            if message.get("id") == Some(&id) && message.get("method").is_none() {
                self.last_line = line;
                return Ok(message);
            }
        }
    }

    /// Waits for a notification, or until `give_up` has a reason to.
    pub(crate) fn notified(
        &mut self,
        method: &str,
        within: Duration,
        give_up: impl Fn() -> Option<String>,
    ) -> Result<()> {
        let end = Instant::now() + within;
        while !self.notifications.iter().any(|seen| seen == method) {
            if let Some(why) = give_up() {
                return Err(why);
            }
            ensure(Instant::now() < end, format!("{method} did not come"))?;
            if let Some(line) = self.next(Duration::from_millis(200))? {
                self.take(&line)?;
            }
        }
        Ok(())
    }

    fn next(&mut self, within: Duration) -> Result<Option<String>> {
        match self.lines.recv_timeout(within) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err("keyferry closed its stdout".into()),
        }
    }

    fn take(&mut self, line: &str) -> Result<Value> {
        say(&format!("{} < {line}", self.name));
        let message: Value =
            serde_json::from_str(line).map_err(|_| "stdout carried something that is not JSON")?;
        let method = message.get("method").and_then(Value::as_str);
        self.notifications.extend(method.map(str::to_owned));
        Ok(message)
    }

    fn send(&mut self, message: &str) -> Result<()> {
        say(&format!("{} > {message}", self.name));
        let stdin = self.stdin.as_mut().ok_or("stdin is closed")?;
        writeln!(stdin, "{message}").map_err(|error| format!("keyferry took no message: {error}"))
    }

    /// Closes stdin; keyferry must be gone within a second, without an error.
    pub(crate) fn finish(mut self) -> Result<String> {
        self.stdin = None;
        let begin = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(self.said()),
                Ok(Some(status)) => return Err(format!("keyferry ended with {status}")),
                Ok(None) if begin.elapsed() < Duration::from_secs(1) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(None) => return Err("keyferry is still there 1 s after stdin's end".into()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines on a thread until the end, or until `each` wants no more.
fn read(
    from: impl Read + Send + 'static,
    said: &Arc<Mutex<String>>,
    each: impl Fn(String) -> bool + Send + 'static,
) {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(|line| line.ok()) {
            let mut all = said.lock().unwrap_or_else(PoisonError::into_inner);
            all.push_str(&line);
            all.push('\n');
            drop(all);
            if !each(line) {
                break;
            }
        }
    });
}
