//! The real executable with a home of its own, driven as a client drives it.

use super::home::{Home, wait_until};
use super::mcp_server::Server;
use super::message::envelope;
pub(crate) use super::message::{initialize_params, response_id};
use super::{PATIENCE, value};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A bridge about to be started.
pub(crate) struct Launch {
    home: Arc<Home>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    /// Shell commands before it.
    prelude: Option<String>,
}

impl Launch {
    pub(crate) fn new(home: Arc<Home>, url: &str) -> Self {
        let args = vec!["run".to_owned(), url.to_owned()];
        Self { home, args, env: Vec::new(), prelude: None }
    }

    /// Without the verb `run`.
    pub(crate) fn bare(home: Arc<Home>, url: &str) -> Self {
        Self { home, args: vec![url.to_owned()], env: Vec::new(), prelude: None }
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// From a shell that has run these commands, and becomes the bridge.
    #[cfg(unix)]
    pub(crate) fn through(mut self, prelude: &str) -> Self {
        self.prelude = Some(prelude.to_owned());
        self
    }

    pub(crate) fn start(self) -> Bridge {
        let mut bridge = self.start_unread();
        bridge.read_on();
        bridge
    }

    /// Starts it with nobody reading its stdout yet.
    pub(crate) fn start_unread(self) -> Bridge {
        self.spawn(Stdio::piped())
    }

    /// Starts it with a stderr that the test chooses.
    #[cfg(unix)]
    pub(crate) fn start_with_stderr(self, stderr: Stdio) -> Bridge {
        let mut bridge = self.spawn(stderr);
        bridge.read_on();
        bridge
    }

    fn spawn(self, stderr: Stdio) -> Bridge {
        let mut command = match &self.prelude {
            None => self.home.command(),
            Some(prelude) => {
                let mut shell = self.home.command_of(Path::new("sh"));
                shell.args(["-c", &format!("{prelude}; exec \"$0\" \"$@\"")]);
                shell.arg(env!("CARGO_BIN_EXE_keyferry"));
                shell
            }
        };
        command.args(&self.args);
        command.envs(self.env.iter().map(|(n, v)| (n, v)));
        Bridge::spawn(command, self.home, stderr)
    }
}

/// The running bridge. Killed when dropped.
pub(crate) struct Bridge {
    child: Child,
    stdin: Option<Sender<Vec<u8>>>,
    stdout: Option<BufReader<ChildStdout>>,
    lines: Option<Receiver<Vec<u8>>>,
    /// What came while something else was waited for.
    aside: Vec<String>,
    stderr: Arc<(Mutex<Vec<u8>>, Condvar)>,
    stderr_ended: Receiver<()>,
    home: Arc<Home>,
    patience: Duration,
}

/// How a bridge ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    /// Every line that had not been taken.
    pub(crate) rest: Vec<String>,
    pub(crate) stderr: String,
}

impl Bridge {
    /// In front of `server`, with a vault in memory.
    pub(crate) fn to(server: &Server) -> Self {
        Home::new("memory").launch(&server.url()).start()
    }

    /// In a home that others use too.
    pub(crate) fn start_in(home: &Arc<Home>, url: &str) -> Self {
        Launch::new(home.clone(), url).start()
    }

    fn spawn(mut command: Command, home: Arc<Home>, stderr: Stdio) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start the bridge");
        let stderr = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let stderr_ended = collect_stderr(&mut child, stderr.clone());
        Self {
            stdin: Some(write_from_a_thread(child.stdin.take().expect("stdin"))),
            stdout: child.stdout.take().map(BufReader::new),
            child,
            lines: None,
            aside: Vec::new(),
            stderr,
            stderr_ended,
            home,
            patience: PATIENCE,
        }
    }

    /// Waits longer than usual for each line.
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Reads stdout from here on.
    pub(crate) fn read_on(&mut self) {
        let (sender, receiver) = channel();
        self.lines = Some(receiver);
        // Where nobody takes the lines any more, they are read all the same.
        self.read_with(move |line| drop(line.map(|line| sender.send(line))));
    }

    /// Reads stdout from here on, each line with its end given to `take`; none at the end.
    pub(crate) fn read_with(&mut self, take: impl Fn(Option<Vec<u8>>) + Send + 'static) {
        let mut stdout = self.stdout.take().expect("stdout is not read yet");
        thread::spawn(move || {
            loop {
                let mut line = Vec::new();
                match stdout.read_until(b'\n', &mut line) {
                    Ok(read) if read > 0 => take(Some(line)),
                    _ => return take(None),
                }
            }
        });
    }

    /// Reads one line of a stdout that is otherwise not read.
    pub(crate) fn read_one(&mut self) -> String {
        let mut stdout = self.stdout.take().expect("stdout is not read yet");
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = sender.send((line, stdout));
        });
        let (line, stdout) = receiver.recv_timeout(PATIENCE).expect("a line on stdout");
        self.stdout = Some(stdout);
        line
    }

    pub(crate) fn close_stdout(&mut self) {
        drop(self.stdout.take().expect("stdout is not read by a thread"));
    }

    #[cfg(unix)]
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory that it takes.
    #[cfg(target_os = "linux")]
    pub(crate) fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the state of the bridge");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok());
        kib.expect("its resident memory") * 1024
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// Sends one line.
    pub(crate) fn send(&self, line: impl AsRef<str>) {
        self.send_bytes(format!("{}\n", line.as_ref()).into_bytes());
    }

    pub(crate) fn send_bytes(&self, bytes: Vec<u8>) {
        let stdin = self.stdin.as_ref().expect("stdin is open");
        stdin.send(bytes).expect("the bridge reads its stdin");
    }

    pub(crate) fn request(&self, id: &str, method: &str, params: &str) {
        self.send(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#
        ));
    }

    /// A call of the tool `echo`.
    pub(crate) fn call(&self, id: &str) {
        self.request(id, "tools/call", r#"{"name":"echo","arguments":{}}"#);
    }

    pub(crate) fn notify(&self, method: &str, params: &str) {
        self.send(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#));
    }

    fn next_line(&mut self, deadline: Duration) -> Option<String> {
        let lines = self.lines.as_ref().expect("stdout is read");
        let line = match lines.recv_timeout(deadline) {
            Ok(line) => String::from_utf8(line).expect("UTF-8 on stdout"),
            Err(RecvTimeoutError::Timeout) => {
                panic!("nothing on stdout; stderr: {}", self.stderr())
            }
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        let line =
            line.strip_suffix('\n').unwrap_or_else(|| panic!("half a line on stdout: {line:.400}"));
        assert!(!line.contains('\r'), "a carriage return on stdout: {line}");
        Some(line.to_owned())
    }

    /// The next line, without its end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let line = self.line_unchecked();
        envelope(&line);
        line
    }

    /// The next line, where it may be a batch or nested beyond what serde_json reads.
    #[track_caller]
    pub(crate) fn line_unchecked(&mut self) -> String {
        if !self.aside.is_empty() {
            return self.aside.remove(0);
        }
        self.next_line(self.patience)
            .unwrap_or_else(|| panic!("stdout ended; stderr: {}", self.stderr()))
    }

    /// The next line that `wanted` accepts; what comes before is kept.
    #[track_caller]
    fn line_where(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        if let Some(at) = self.aside.iter().position(|line| wanted(line)) {
            return self.aside.remove(at);
        }
        loop {
            let Some(line) = self.next_line(self.patience) else {
                panic!("stdout ended before {what}; stderr: {}", self.stderr());
            };
            envelope(&line);
            if wanted(&line) {
                return line;
            }
            self.aside.push(line);
        }
    }

    /// The line that answers `id`.
    #[track_caller]
    pub(crate) fn answer_line(&mut self, id: &str) -> String {
        let what = format!("the answer to {id}");
        self.line_where(&what, |line| response_id(line).as_deref() == Some(id))
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, id: &str) -> Value {
        value(&self.answer_line(id))
    }

    /// The result that answers `id`.
    #[track_caller]
    pub(crate) fn result(&mut self, id: &str) -> Value {
        let mut answer = self.answer(id);
        assert!(answer.get("result").is_some(), "no result: {answer}");
        answer["result"].take()
    }

    /// The error that answers `id`.
    #[track_caller]
    pub(crate) fn error(&mut self, id: &str) -> Value {
        let mut answer = self.answer(id);
        assert!(answer.get("error").is_some(), "no error: {answer}");
        answer["error"].take()
    }

    /// An error this bridge made itself, with one of these codes.
    #[track_caller]
    pub(crate) fn own_error(&mut self, id: &str, codes: &[i64]) -> Value {
        let error = self.error(id);
        let code = error["code"].as_i64().expect("a code");
        assert!(codes.contains(&code), "not one of {codes:?}: {error}");
        assert_eq!(error["data"]["origin"], "keyferry", "{error}");
        error
    }

    /// An error without an id, for a line that was no message.
    #[track_caller]
    pub(crate) fn refusal(&mut self) -> Value {
        let line = self.line_where("a refusal without an id", |line| {
            let value = value(line);
            value.get("method").is_none() && value.get("id").is_none_or(Value::is_null)
        });
        let mut value = value(&line);
        assert!(value.get("error").is_some(), "no error: {value}");
        value["error"].take()
    }

    /// The next message of this method.
    #[track_caller]
    pub(crate) fn message(&mut self, method: &str) -> Value {
        let line = self.line_where(method, |line| envelope(line).method.as_deref() == Some(method));
        value(&line)
    }

    /// Initializes as a client of 2025-11-25 does.
    pub(crate) fn ready(self) -> Self {
        self.ready_as("2025-11-25")
    }

    pub(crate) fn ready_as(mut self, version: &str) -> Self {
        self.request(r#""init""#, "initialize", &initialize_params(version));
        self.result(r#""init""#);
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self
    }

    /// Shows that the bridge still serves.
    #[track_caller]
    pub(crate) fn still_serves(&mut self) {
        self.request(r#""alive""#, "ping", "{}");
        self.result(r#""alive""#);
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.0.lock().unwrap()).into_owned()
    }

    /// Waits until stderr contains `text`.
    #[track_caller]
    pub(crate) fn wait_stderr(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        let mut bytes = self.stderr.0.lock().unwrap();
        while !String::from_utf8_lossy(&bytes).contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {text:?} on stderr: {}", String::from_utf8_lossy(&bytes));
            bytes = self.stderr.1.wait_timeout(bytes, left).unwrap().0;
        }
    }

    pub(crate) fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end; fails at the deadline.
    #[track_caller]
    pub(crate) fn wait_exit(mut self, deadline: Duration) -> Ended {
        let start = Instant::now();
        let status = wait_until(&mut self.child, deadline);
        let took = start.elapsed();
        let Some(status) = status else {
            panic!("still running after {took:?}; stderr: {}", self.stderr());
        };
        let mut rest = std::mem::take(&mut self.aside);
        if self.lines.is_some() {
            while let Some(line) = self.next_line(self.patience) {
                rest.push(line);
            }
        }
        // What it wrote last may still be on its way to the thread that reads it.
        let _ = self.stderr_ended.recv_timeout(self.patience);
        Ended { status, took, rest, stderr: self.stderr() }
    }

    /// Closes stdin and waits for the end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ended {
        self.close_stdin();
        self.wait_exit(PATIENCE)
    }
}

impl Ended {
    /// No answer to `id` came after all.
    #[track_caller]
    pub(crate) fn has_no_answer_to(&self, id: &str) {
        for line in &self.rest {
            assert_ne!(response_id(line).as_deref(), Some(id), "{line}");
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_from_a_thread(mut stdin: ChildStdin) -> Sender<Vec<u8>> {
    let (sender, receiver) = channel::<Vec<u8>>();
    thread::spawn(move || {
        for bytes in receiver {
            if stdin.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    sender
}

/// The receiver is told nothing: it is let go of when stderr has ended.
fn collect_stderr(child: &mut Child, into: Arc<(Mutex<Vec<u8>>, Condvar)>) -> Receiver<()> {
    let (open, ended) = channel();
    let Some(mut stderr) = child.stderr.take() else { return ended };
    thread::spawn(move || {
        let _open = open;
        let mut chunk = [0; 4096];
        while let Ok(read) = stderr.read(&mut chunk) {
            if read == 0 {
                return;
            }
            into.0.lock().unwrap().extend_from_slice(&chunk[..read]);
            into.1.notify_all();
        }
    });
    ended
}
