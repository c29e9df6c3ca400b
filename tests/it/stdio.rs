//! Whatever kind of file the client gives for stdin, stdout and stderr.
#![cfg(unix)]

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params, response_id};
use crate::support::home::{Home, wait_until};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use rustix::fs::{OFlags, fcntl_getfl};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};

fn spawn(home: &Home, server: &Server, stdin: Stdio, stdout: Stdio) -> Child {
    let mut command = home.command();
    command.args(["run", &server.url()]);
    command.stdin(stdin).stdout(stdout).stderr(Stdio::null());
    command.spawn().expect("start the bridge")
}

/// A pipe that no other child inherits.
fn pipe() -> (OwnedFd, OwnedFd) {
    let (reading, writing) = std::io::pipe().expect("a pipe");
    (reading.into(), writing.into())
}

fn initialize() -> String {
    format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{}}}\n",
        initialize_params("2025-11-25")
    )
}

/// A session over a pair of streams, to the end of the process.
fn converse(mut child: Child, mut to: impl Write, from: impl Read) {
    let mut lines = BufReader::new(from).lines();
    to.write_all(initialize().as_bytes()).unwrap();
    assert_eq!(response_id(&lines.next().unwrap().unwrap()).as_deref(), Some("0"));
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
    writeln!(to, r#"{{"jsonrpc":"2.0","method":"notifications/initialized"}}"#).unwrap();
    writeln!(to, "{call}").unwrap();
    assert_eq!(response_id(&lines.next().unwrap().unwrap()).as_deref(), Some("1"));
    drop(to);
    let status = wait_until(&mut child, PATIENCE).expect("it ends");
    assert!(status.success());
}

/// Node gives its children sockets, not pipes.
#[test]
fn sockets_serve_as_stdin_and_stdout() {
    let server = Legacy::new().start();
    let home = Home::new("memory");
    let (stdin, to) = UnixStream::pair().unwrap();
    let (stdout, from) = UnixStream::pair().unwrap();
    let child = spawn(&home, &server, OwnedFd::from(stdin).into(), OwnedFd::from(stdout).into());
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    converse(child, to, from);
}

#[test]
fn a_closed_socket_for_stdout_ends_the_process_as_a_closed_pipe_does() {
    let server = Legacy::new().start();
    let home = Home::new("memory");
    let (stdin, _to) = UnixStream::pair().unwrap();
    let (stdout, from) = UnixStream::pair().unwrap();
    let mut child =
        spawn(&home, &server, OwnedFd::from(stdin).into(), OwnedFd::from(stdout).into());
    drop(from);
    let status = wait_until(&mut child, std::time::Duration::from_secs(2));
    let _ = child.kill();
    let _ = child.wait();
    assert!(status.is_some(), "still running");
}

#[test]
fn regular_files_serve_as_stdin_and_stdout() {
    let server = Legacy::new().start();
    let home = Home::new("memory");
    let input = home.file("input", format!("{}nonsense\n", initialize()));
    let output = home.path("output");
    let mut child = spawn(
        &home,
        &server,
        File::open(input).unwrap().into(),
        File::create(&output).unwrap().into(),
    );
    let status = wait_until(&mut child, PATIENCE).expect("it ends at the end of the file");
    assert!(status.success());
    let lines = std::fs::read_to_string(output).unwrap();
    assert!(lines.contains("-32700"), "{lines}");
    assert!(lines.ends_with('\n') && lines.lines().all(|line| line.starts_with('{')), "{lines}");
}

#[test]
fn an_empty_stdin_ends_the_process() {
    let server = Legacy::new().start();
    let home = Home::new("memory");
    let mut child = spawn(&home, &server, Stdio::null(), Stdio::null());
    let status = wait_until(&mut child, PATIENCE).expect("it ends");
    assert!(status.success());
}

/// The client may share these open files with others, who expect them to block.
#[test]
fn the_open_files_of_the_client_stay_blocking() {
    let server = Legacy::new().start();
    let home = Home::new("memory");
    let (stdin, to) = pipe();
    let (from, stdout) = pipe();
    let shared = (stdin.try_clone().unwrap(), stdout.try_clone().unwrap());
    let child = spawn(&home, &server, stdin.into(), stdout.into());
    let blocking = |fd: &OwnedFd| !fcntl_getfl(fd.as_fd()).unwrap().contains(OFlags::NONBLOCK);
    let (mut to, from) = (File::from(to), File::from(from));
    to.write_all(initialize().as_bytes()).unwrap();
    let mut lines = BufReader::new(from).lines();
    lines.next().unwrap().unwrap();
    drop(to);
    // Our own copy keeps stdin's reading end, not its writing end, so this is EOF.
    let mut child = child;
    wait_until(&mut child, PATIENCE).expect("it ends");
    assert!(blocking(&shared.0), "stdin was left non-blocking");
    assert!(blocking(&shared.1), "stdout was left non-blocking");
}

#[test]
fn a_closed_stderr_harms_nothing() {
    let server = Legacy::new().start();
    let home = Home::new("memory");
    let (reading, stderr) = pipe();
    drop(reading);
    let mut command = home.command();
    command.args(["run", &server.url(), "--log-level", "trace"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::from(stderr));
    let mut child = command.spawn().expect("start the bridge");
    let to = child.stdin.take().unwrap();
    let from = child.stdout.take().unwrap();
    converse(child, to, from);
}

#[test]
fn a_verb_whose_output_nobody_reads_does_not_panic() {
    let home = Home::new("plaintext");
    home.store_key("https://mcp.example/mcp", "key");
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["token", "https://mcp.example/mcp"],
        &["secret", "list"],
        &["--help"],
        &["login", "https://mcp.example/mcp"],
    ] {
        let (reading, stdout) = pipe();
        drop(reading);
        let mut command = home.command();
        command.args(args).stdin(Stdio::null());
        command.stdout(Stdio::from(stdout)).stderr(Stdio::piped());
        let done = command.spawn().unwrap().wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&done.stderr);
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        assert_ne!(done.status.code(), Some(101), "{args:?}");
    }
}

#[test]
fn a_line_that_trickles_in_byte_by_byte_is_read() {
    let server = Legacy::new().start();
    let bridge = Bridge::to(&server);
    for byte in initialize().into_bytes() {
        bridge.send_bytes(vec![byte]);
    }
    let mut bridge = bridge;
    bridge.result("0");
    // And several at once.
    bridge.send_bytes(
        (1..=50)
            .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n"))
            .collect::<String>()
            .into_bytes(),
    );
    for id in 1..=50 {
        bridge.result(&id.to_string());
    }
}
