//! The process is gone within a second, whatever state it is in.

use crate::support::bridge::{Bridge, Ended, initialize_params};
use crate::support::home::Home;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Port, Server, park};
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

/// A server with a session, nobody at its GET stream.
fn server() -> Server {
    Legacy::new().sessions(&Sessions::default()).start()
}

fn ready(server: &Server) -> Bridge {
    let bridge = Bridge::to(server).ready();
    server.wait_for("GET");
    bridge
}

fn gone(mut bridge: Bridge) -> Ended {
    bridge.close_stdin();
    bridge.wait_exit(AT_ONCE)
}

fn session_was_ended(server: &Server) {
    let ends = server.of("DELETE");
    assert_eq!(ends.len(), 1, "{:?}", server.kinds());
    assert_eq!(ends[0].header("mcp-session-id"), Some("session-1"));
}

#[test]
fn stdin_eof_while_idle_ends_the_session_and_the_process() {
    let server = server();
    let ended = gone(ready(&server));
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.rest.is_empty());
    session_was_ended(&server);
}

#[test]
fn stdin_eof_before_anything_was_said() {
    let server = server();
    let ended = gone(Bridge::to(&server));
    assert_eq!(ended.status.code(), Some(0));
}

#[test]
fn stdin_eof_with_a_call_in_flight() {
    let (handler, parked) = park();
    let server = Legacy::new().sessions(&Sessions::default()).on("tools/call", handler).start();
    let bridge = ready(&server);
    bridge.call("1");
    bridge.call("2");
    let _held = (parked.next(), parked.next().wire.events());
    gone(bridge);
    session_was_ended(&server);
}

#[test]
fn stdin_eof_with_an_open_get_stream() {
    let (handler, parked) = park();
    let server = Legacy::new().sessions(&Sessions::default()).on("GET", handler).start();
    let bridge = Bridge::to(&server).ready();
    let _held = parked.next().wire.events();
    gone(bridge);
    session_was_ended(&server);
}

#[test]
fn stdin_eof_with_a_remote_that_never_answers_anything() {
    let (handler, parked) = park();
    let server = Server::start(handler);
    let bridge = Bridge::to(&server);
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let _held = parked.next();
    gone(bridge);
}

#[test]
fn stdin_eof_with_a_remote_that_never_answers_the_delete() {
    let (handler, parked) = park();
    let server = Legacy::new().sessions(&Sessions::default()).on("DELETE", handler).start();
    let bridge = ready(&server);
    gone(bridge);
    parked.next();
}

#[test]
fn stdin_eof_while_a_broken_stream_waits_to_be_resumed() {
    let server = Legacy::new()
        .on("tools/call", |_, wire| {
            let mut events = wire.events();
            events.raw("id: 1\nretry: 60000\ndata: \n\n");
            events.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
            events.end();
        })
        .start();
    let mut bridge = ready(&server);
    bridge.call("1");
    bridge.message("notifications/message");
    gone(bridge);
}

#[test]
fn stdin_eof_with_a_remote_that_is_not_there() {
    let port = Port::reserve();
    let bridge = Home::new("memory").launch(&port.url()).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    gone(bridge);
}

/// Nobody reads, the pipe is full, more is to come.
#[test]
fn stdin_eof_while_stdout_is_full() {
    let server = Legacy::new()
        .on("tools/call", |_, wire| {
            let note = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/message","params":"{}"}}"#,
                "x".repeat(10_000)
            );
            let mut events = wire.events();
            for _ in 0..100 {
                events.event(&note);
            }
            events.client_closes_within(crate::support::PATIENCE);
        })
        .start();
    let mut bridge = Home::new("memory").launch(&server.url()).start_unread();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    bridge.read_one();
    bridge.call("1");
    server.wait_for("tools/call");
    // One line has come through, so the rest is on its way to a full pipe.
    bridge.read_one();
    gone(bridge);
}

#[cfg(unix)]
mod signals {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};

    fn signal(bridge: Bridge, signal: Signal) -> Ended {
        let pid = Pid::from_raw(bridge.pid().cast_signed()).expect("a pid");
        kill_process(pid, signal).expect("send the signal");
        bridge.wait_exit(AT_ONCE)
    }

    #[test]
    fn sigterm_while_idle() {
        let server = server();
        signal(ready(&server), Signal::TERM);
        session_was_ended(&server);
    }

    #[test]
    fn sigint_while_idle() {
        let server = server();
        let ended = signal(ready(&server), Signal::INT);
        assert_eq!(ended.status.code(), Some(130));
        session_was_ended(&server);
    }

    #[test]
    fn signals_with_calls_in_flight_and_a_silent_remote() {
        for which in [Signal::TERM, Signal::INT] {
            let (handler, parked) = park();
            let (silent, never) = park();
            let server = Legacy::new()
                .sessions(&Sessions::default())
                .on("tools/call", handler)
                .on("DELETE", silent)
                .start();
            let bridge = ready(&server);
            bridge.call("1");
            let _held = parked.next();
            signal(bridge, which);
            never.next();
        }
    }

    #[test]
    fn signals_before_anything_was_said() {
        for which in [Signal::TERM, Signal::INT] {
            let server = server();
            let mut bridge = Bridge::to(&server);
            // Answered, so its handlers are in place.
            bridge.send("nonsense");
            bridge.refusal();
            signal(bridge, which);
        }
    }
}

/// Nobody reads stderr, and the pipe is full.
#[cfg(unix)]
mod full_stderr {
    use super::*;
    use crate::support::home::wait_until;
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    use rustix::process::{Pid, Signal, kill_process};
    use std::io::{ErrorKind, PipeReader, Write};
    use std::process::Stdio;

    fn full() -> (PipeReader, Stdio) {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let flags = fcntl_getfl(&writer).unwrap();
        fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
        // The last bytes of room go one by one.
        for size in [4096, 1] {
            let error = loop {
                if let Err(error) = writer.write_all(&vec![b'.'; size]) {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        fcntl_setfl(&writer, flags).unwrap();
        (reader, writer.into())
    }

    #[test]
    fn it_serves_on_and_ends_with_its_input_or_by_a_signal() {
        for how in ["eof", "signal"] {
            let (_unread, stderr) = full();
            let server = server();
            let launch = Home::new("memory").launch(&server.url());
            let mut bridge =
                launch.args(&["--log-level", "trace"]).start_with_stderr(stderr).ready();
            // Each is worth a line in the log: more lines than may wait.
            for _ in 0..1500 {
                bridge.send(r#"{"jsonrpc":"2.0","id":"never asked","result":{}}"#);
            }
            bridge.call("1");
            bridge.result("1");
            if how == "signal" {
                let pid = Pid::from_raw(bridge.pid().cast_signed()).expect("a pid");
                kill_process(pid, Signal::TERM).expect("send the signal");
                bridge.wait_exit(AT_ONCE);
            } else {
                gone(bridge);
            }
            session_was_ended(&server);
        }
    }

    #[test]
    fn a_start_that_fails_ends_too() {
        for args in [&["--no-such-flag"][..], &["--secret-env", "SURELY_NOT_SET"]] {
            let (_unread, stderr) = full();
            let launch = Home::new("memory").launch("https://mcp.example/mcp");
            let mut bridge = launch.args(args).start_with_stderr(stderr);
            bridge.request("1", "initialize", &initialize_params("2025-11-25"));
            assert!(bridge.error("1").to_string().contains(args[args.len() - 1]));
            gone(bridge);
        }
    }

    /// A person or a script that is slow gets every line.
    #[test]
    fn a_slow_reader_of_a_verb_is_waited_for() {
        use std::io::Read;
        let (mut slow, stderr) = full();
        let mut child = Home::new("plaintext")
            .command()
            .args(["token", "https://mcp.example/mcp"])
            .stderr(stderr)
            .spawn()
            .unwrap();
        assert!(wait_until(&mut child, Duration::from_millis(700)).is_none());
        let mut text = String::new();
        slow.read_to_string(&mut text).unwrap();
        assert!(text.contains("hint: keyferry login"), "{text}");
        let ended = wait_until(&mut child, crate::support::PATIENCE).expect("it ends");
        assert_eq!(ended.code(), Some(3));
    }
}

/// The client died without closing our stdin.
#[cfg(unix)]
#[test]
fn a_closed_stdout_while_idle_ends_the_process() {
    let server = server();
    let mut bridge = Home::new("memory").launch(&server.url()).start_unread();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    bridge.read_one();
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    server.wait_for("GET");
    bridge.close_stdout();
    bridge.wait_exit(AT_ONCE);
    session_was_ended(&server);
}

#[test]
fn a_stdout_closed_while_messages_flow_ends_the_process_without_a_panic() {
    let (handler, parked) = park();
    let server = Legacy::new().sessions(&Sessions::default()).on("tools/call", handler).start();
    let mut bridge = Home::new("memory").launch(&server.url()).start_unread();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    bridge.read_one();
    bridge.call("1");
    let call = parked.next();
    bridge.close_stdout();
    let mut events = call.wire.events();
    for _ in 0..10 {
        events.event(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#);
    }
    let ended = bridge.wait_exit(AT_ONCE);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
}

/// It accepts the connection and then says nothing, not even its part of TLS.
#[test]
fn stdin_eof_while_the_connection_is_being_made() {
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = silent.local_addr().unwrap();
    let accepted = std::thread::spawn(move || silent.accept().unwrap());
    let url = format!("https://{address}/mcp");
    let bridge = Home::new("memory").launch(&url).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let _held = accepted.join().unwrap();
    gone(bridge);
}
