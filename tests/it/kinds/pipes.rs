//! Files that are none: pipes that nobody writes to, and keys that take long to open. The
//! bridge answers, and it ends when it shall.

use super::login;
use crate::support::bridge::{Bridge, Launch, initialize_params};
use crate::support::browser::wait;
use crate::support::gate::bearers;
use crate::support::home::Home;
use crate::support::jws::EC;
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The promise: an answer within this.
const ANSWER: Duration = Duration::from_secs(10);
/// And the end within this.
const END: Duration = Duration::from_secs(1);

/// What names the pipe `{}`: taught, where it is, while it still was a file.
const CASES: [(bool, &[&str]); 7] = [
    (
        false,
        &[
            "--with",
            "jwt-bearer",
            "--client-id",
            "w",
            "--token-endpoint",
            "http://127.0.0.1:9/token",
            "--assertion-file",
            "{}",
        ],
    ),
    (false, &["--with", "jwt", "--alg", "ES256", "--private-key", "{}"]),
    (false, &["--with", "none", "--header-file", "{}"]),
    (false, &["--with", "none", "--header", "X-Key: ${file:{}}"]),
    (true, &["--with", "jwt", "--alg", "ES256", "--private-key", "{}"]),
    (true, &["--with", "none", "--header-file", "{}"]),
    (true, &["--with", "none", "--header", "X-Key: ${file:{}}"]),
];

/// One of the cases, about to be looked at.
struct Case {
    flags: Vec<String>,
    pipe: String,
    home: Arc<Home>,
    /// What the bridge is started with.
    args: Vec<String>,
}

/// Looks at each case in a thread of its own.
fn each(look: impl Fn(&Case) + Send + Sync) {
    let remote = bearers(401, |_| None);
    let (url, look) = (remote.url(), &look);
    let cases = CASES.map(|(taught, flags)| {
        let url = url.clone();
        move || {
            let home = Arc::new(Home::new("plaintext"));
            let is_key = flags.contains(&"--private-key");
            let content = if is_key { EC } else { "X-Key: value\n" };
            let pipe = home.file("pipe", content);
            let flags: Vec<_> = flags.iter().map(|flag| flag.replace("{}", &pipe)).collect();
            let texts: Vec<_> = flags.iter().map(String::as_str).collect();
            if taught {
                login(&home, &url, &[&texts[..], &["--no-verify"]].concat(), "").expect(0);
            }
            std::fs::remove_file(&pipe).unwrap();
            assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            let more = if taught { Vec::new() } else { flags.clone() };
            let args = [vec!["run".to_owned(), url], more].concat();
            look(&Case { flags, pipe, home, args });
        }
    });
    let failed = std::thread::scope(|scope| {
        let threads = cases.map(|case| scope.spawn(case));
        threads.map(|thread| thread.join().is_err())
    });
    let failed: Vec<_> = CASES.iter().zip(failed).filter(|(_, failed)| *failed).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

/// Whether it is read before there is anything to end properly: such a start ends by itself.
fn is_read_at_start(case: &Case) -> bool {
    case.args.iter().any(|arg| arg.starts_with("--header"))
}

/// A bridge that waits for the pipe, and the other end of that.
fn reading(case: &Case) -> (Bridge, File) {
    let args: Vec<_> = case.args[2..].iter().map(String::as_str).collect();
    let bridge = Launch::new(case.home.clone(), &case.args[1]).args(&args).start();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    let open = read(&case.pipe);
    (bridge, open)
}

/// Waits until the pipe is read, and holds its other end without a word.
fn read(pipe: &str) -> File {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    wait("somebody to read the pipe", || {
        OpenOptions::new().write(true).custom_flags(flags).open(pipe).ok()
    })
}

/// In the answer to a call, or where nothing can be answered by ending.
#[test]
fn a_pipe_that_nobody_writes_to_is_an_error_within_ten_seconds() {
    each(|case| {
        let mut command = case.home.command();
        command.args(&case.args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let params = initialize_params("2025-11-25");
        for message in [
            format!(r#""id":0,"method":"initialize","params":{params}"#),
            r#""method":"notifications/initialized""#.to_owned(),
            r#""id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}"#.to_owned(),
        ] {
            writeln!(stdin, r#"{{"jsonrpc":"2.0",{message}}}"#).unwrap();
        }
        let (sender, told) = channel();
        for from in [
            Box::new(child.stdout.take().unwrap()) as Box<dyn Read + Send>,
            Box::new(child.stderr.take().unwrap()),
        ] {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(from).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        drop(sender);
        let (end, mut all) = (Instant::now() + ANSWER, Vec::new());
        while !all.iter().any(|line: &String| line.contains(&case.pipe)) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = told.recv_timeout(left) else { break };
            all.push(line);
        }
        let _ = child.kill();
        let _ = child.wait();
        let last = all.last().cloned().unwrap_or_default();
        assert!(last.contains(&case.pipe), "{:?}: {all:?}", case.flags);
    });
}

#[test]
fn a_bridge_that_reads_a_pipe_ends_with_its_stdin() {
    each(|case| {
        if is_read_at_start(case) {
            return;
        }
        let (mut bridge, _open) = reading(case);
        bridge.close_stdin();
        bridge.wait_exit(END);
    });
}

#[test]
fn a_bridge_that_reads_a_pipe_ends_when_it_is_told_to() {
    each(|case| {
        let (bridge, _open) = reading(case);
        let pid = Pid::from_raw(i32::try_from(bridge.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        bridge.wait_exit(END);
    });
}

/// openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 3000000
const SLOW: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHtMFgGCSqGSIb3DQEFDTBLMCoGCSqGSIb3DQEFDDAdBAikDzNK9yzUegIDDDUA
MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBCxWQtLT8+orhVfkaAaFXp8BIGQ
42Z9Qcvgg3Eg43ZNqJIj1/RXnlKoOEguIFmDxnywul20BWWHHDUG5cRFpOfS2OIA
HZJR8UAYppHv81ur3xj7AJNlyBU0sRrLPpKH0CyKylQjxjy5b5lWOyqyrJS0gzhp
n0UXQv6EvIgrnqlg+xwA88jLV/idBK/O6b1B7xtgAyXfrCIcKwJbkM19FQnMgQ0x
-----END ENCRYPTED PRIVATE KEY-----
";

/// Also while it is still at it.
#[test]
fn a_bridge_that_opens_a_slow_key_ends_with_its_stdin() {
    let remote = bearers(401, |_| None);
    let home = Arc::new(Home::new("plaintext"));
    let key = home.file("key.pem", SLOW);
    let flags = ["--with", "jwt", "--alg", "ES256", "--private-key", &key, "--no-verify"];
    login(&home, &remote.url(), &flags, "hunter2-many\n").expect(0);
    let mut bridge = Launch::new(home, &remote.url()).args(&["--log-level", "trace"]).start();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    // It answers at once to what is no message while the key is being opened.
    bridge.send("no message");
    bridge.refusal();
    bridge.close_stdin();
    bridge.wait_exit(END);
}
