//! Many messages at once: order, overlap, back-pressure.

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params, response_id};
use crate::support::home::Home;
use crate::support::http::{Events, Request, Wire};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::park;
use std::collections::HashSet;
use std::io::Write;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A handler that answers no call before `count` of them are there.
fn all_or_none(count: usize) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
    let arrived = (Mutex::new(0), Condvar::new());
    move |request, wire| {
        let mut so_far = arrived.0.lock().unwrap();
        *so_far += 1;
        arrived.1.notify_all();
        let (so_far, wait) =
            arrived.1.wait_timeout_while(so_far, PATIENCE, |so_far| *so_far < count).unwrap();
        assert!(!wait.timed_out(), "only {so_far} of {count} calls arrived");
        drop(so_far);
        wire.json(request.result(&format!(r#"{{"of":{}}}"#, request.id())));
    }
}

/// No call is answered before all are there, so one at a time would never end.
#[test]
fn calls_overlap_however_many_are_in_flight() {
    for count in [16, 64, 256] {
        let server = Legacy::new().on("tools/call", all_or_none(count)).start();
        let mut bridge = Bridge::to(&server).ready();
        for id in 0..count {
            bridge.call(&id.to_string());
        }
        for id in 0..count {
            let id = id.to_string();
            assert_eq!(bridge.result(&id)["of"].to_string(), id);
        }
        bridge.still_serves();
        let ended = bridge.finish();
        assert!(ended.rest.is_empty(), "{:?}", ended.rest);
    }
}

/// What cannot have a connection yet waits for one.
#[cfg(unix)]
#[test]
fn ten_thousand_calls_at_once_are_answered_where_files_are_few() {
    const CALLS: usize = 10_000;
    let server = Legacy::new().on("tools/call", all_or_none(300)).start();
    let launch = Home::new("memory").launch(&server.url()).through("ulimit -n 1024");
    let mut bridge = launch.start().ready();
    for id in 0..CALLS {
        bridge.call(&id.to_string());
    }
    let mut open: HashSet<_> = (0..CALLS).map(|id| id.to_string()).collect();
    while !open.is_empty() {
        let line = bridge.line();
        let id = response_id(&line).expect("an answer");
        assert!(open.remove(&id), "{id} was answered twice");
        assert!(line.contains(r#""result""#), "{line}");
    }
    assert_eq!(server.of("tools/call").len(), CALLS);
    bridge.still_serves();
}

/// Calls that hang take all the room there is for calls; it is not the only room.
#[cfg(unix)]
#[test]
fn a_call_that_hangs_can_be_cancelled_and_answered_however_many_hang() {
    const CALLS: usize = 60;
    let (handler, calls) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let launch = Home::new("memory").launch(&server.url()).through("ulimit -n 64");
    let mut bridge = launch.start().ready();
    for id in 0..CALLS {
        bridge.call(&id.to_string());
    }
    let first = calls.next();
    let id = first.request.id().to_owned();
    bridge.notify("notifications/cancelled", &format!(r#"{{"requestId":{id}}}"#));
    server.wait_for("notifications/cancelled");
    assert!(first.wire.client_closes_within(PATIENCE));
    let second = calls.next();
    let mut events = second.wire.events();
    events.event(r#"{"jsonrpc":"2.0","id":"s","method":"roots/list"}"#);
    bridge.message("roots/list");
    bridge.send(r#"{"jsonrpc":"2.0","id":"s","result":{"roots":[]}}"#);
    server.wait_for("response");
    events.event(second.request.result("{}"));
    events.end();
    bridge.result(second.request.id());
    for _ in 2..CALLS {
        let call = calls.next();
        let id = call.request.id().to_owned();
        call.wire.json(call.request.result("{}"));
        bridge.result(&id);
    }
    bridge.finish().has_no_answer_to(&id);
}

#[test]
fn many_calls_in_a_row_with_many_in_flight_are_all_answered_once() {
    const CALLS: usize = 3000;
    let server = Legacy::new().start();
    let mut bridge = Bridge::to(&server).ready();
    let mut open: HashSet<String> = HashSet::new();
    let mut sent = 0;
    while sent < CALLS || !open.is_empty() {
        while sent < CALLS && open.len() < 64 {
            let id = sent.to_string();
            bridge.call(&id);
            open.insert(id);
            sent += 1;
        }
        let id = response_id(&bridge.line()).expect("an answer");
        assert!(open.remove(&id), "{id} was answered twice");
    }
    assert_eq!(server.of("tools/call").len(), CALLS);
    assert!(server.connections() <= 80, "{} connections", server.connections());
}

fn note(n: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"n":{n}}}}}"#)
}

#[test]
fn a_burst_of_ten_thousand_notifications_is_complete_and_in_order() {
    const BURST: usize = 10_000;
    let server = Legacy::new()
        .on("tools/call", |request, wire| {
            let mut all = String::new();
            for n in 0..BURST {
                all.push_str(&format!("data: {}\n\n", note(n)));
            }
            let mut events = wire.events();
            // Cut at places that have nothing to do with the events.
            for piece in all.as_bytes().chunks(8191) {
                events.raw(piece);
            }
            events.event(request.result("{}"));
            events.end();
        })
        .start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    for n in 0..BURST {
        assert_eq!(bridge.line(), note(n));
    }
    bridge.result("1");
}

#[test]
fn notifications_of_the_client_reach_the_remote_in_order() {
    const COUNT: usize = 200;
    let server = Legacy::new().start();
    let bridge = Bridge::to(&server).ready();
    for n in 0..COUNT {
        bridge.notify("notifications/progress", &format!(r#"{{"progress":{n}}}"#));
    }
    let seen = server.wait_for_count("notifications/progress", COUNT);
    for (n, request) in seen.iter().enumerate() {
        assert_eq!(request.params(), format!(r#"{{"progress":{n}}}"#));
    }
}

#[test]
fn a_slow_call_holds_nothing_else_up() {
    let (handler, parked) = park();
    let server = Legacy::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let slow = parked.next();
    for _ in 0..20 {
        bridge.still_serves();
    }
    slow.wire.json(slow.request.result("{}"));
    bridge.result("1");
}

fn padded(n: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"n":{n},"t":"{}"}}}}"#,
        "x".repeat(4000)
    )
}

/// Sends events until the bridge takes no more for a second or `LIMIT` bytes
/// are gone, says how far it came, and then goes on with a hundred more.
fn send_until_it_stalls(mut events: Events, told: Sender<(usize, bool)>) {
    let stream = events.stream();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let end = Instant::now() + 2 * PATIENCE;
    let (mut bytes, mut n, mut last) = (0, 0, usize::MAX);
    while n < last {
        let event = format!("data: {}\n\n", padded(n));
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        let mut rest = chunk.as_bytes();
        while !rest.is_empty() {
            let mut stream = events.stream();
            match stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(_) if last == usize::MAX => {
                    last = n + 100;
                    let _ = told.send((last, true));
                }
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        }
        n += 1;
        bytes += chunk.len();
        if bytes > LIMIT && last == usize::MAX {
            last = n;
            let _ = told.send((last, false));
        }
    }
    events.event(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    events.end();
}

/// More than all socket buffers and queues on the way together.
const LIMIT: usize = 100 << 20;

#[test]
fn a_client_that_does_not_read_slows_the_remote_and_loses_nothing() {
    let (told, stalled) = channel();
    let told = Mutex::new(told);
    let server = Legacy::new()
        .on("tools/call", move |_, wire| {
            send_until_it_stalls(wire.events(), told.lock().unwrap().clone());
        })
        .start();
    let mut bridge = Home::new("memory").launch(&server.url()).start_unread();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    bridge.read_one();
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    bridge.call("1");
    let (count, held) = stalled.recv_timeout(2 * PATIENCE).expect("the server runs");
    assert!(held, "{LIMIT} bytes were taken though nobody read them");
    #[cfg(target_os = "linux")]
    assert!(bridge.resident() < 64 << 20, "{} bytes are hoarded", bridge.resident());
    bridge.read_on();
    for n in 0..count {
        assert_eq!(bridge.line(), padded(n));
    }
    bridge.result("1");
}

/// A remote that takes no notifications must not make the bridge hoard them.
#[test]
fn notifications_that_the_remote_does_not_take_slow_the_client() {
    let (handler, _parked) = park();
    let server = Legacy::new().on("notifications/progress", handler).start();
    let mut home = Home::new("memory").command();
    home.args(["run", &server.url()]);
    home.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = home.spawn().expect("start the bridge");
    let mut stdin = child.stdin.take().expect("stdin");
    let written = Arc::new(AtomicUsize::new(0));
    let counted = written.clone();
    let writer = thread::spawn(move || {
        let mut line = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}}"#,
            initialize_params("2025-11-25")
        );
        line.push_str("\n{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
        let note = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":"{}"}}"#,
            "x".repeat(60_000)
        );
        let mut bytes = line.into_bytes();
        while counted.load(Ordering::SeqCst) < LIMIT && stdin.write_all(&bytes).is_ok() {
            counted.fetch_add(bytes.len(), Ordering::SeqCst);
            bytes = format!("{note}\n").into_bytes();
        }
    });
    // Stalled: nothing was taken for a second.
    let end = Instant::now() + PATIENCE;
    let mut before = usize::MAX;
    loop {
        let now = written.load(Ordering::SeqCst);
        if now == before || now >= LIMIT {
            break;
        }
        assert!(Instant::now() < end, "it neither stalls nor takes all");
        before = now;
        thread::sleep(Duration::from_secs(1));
    }
    let taken = written.load(Ordering::SeqCst);
    child.kill().expect("kill the bridge");
    child.wait().expect("the bridge ends");
    writer.join().expect("the writer ends");
    assert!(taken < LIMIT, "{taken} bytes were hoarded");
}

/// The answer is there and only waits for the client to read when its time is up.
#[test]
fn an_answer_that_waits_for_a_slow_client_is_not_lost_to_a_time_limit() {
    let (told, stalled) = channel();
    let told = Mutex::new(told);
    let (handler, parked) = park();
    let server = Legacy::new()
        .on("tools/call", move |request, wire| match request.id() {
            "1" => send_until_it_stalls(wire.events(), told.lock().unwrap().clone()),
            _ => handler(request, wire),
        })
        .start();
    let mut bridge =
        Home::new("memory").launch(&server.url()).args(&["--timeout", "5"]).start_unread();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    bridge.read_one();
    bridge.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let start = Instant::now();
    bridge.call("2");
    let second = parked.next();
    bridge.call("1");
    stalled.recv_timeout(2 * PATIENCE).expect("the server runs");
    second.wire.json(second.request.result("{}"));
    // Past the limit, with nobody reading.
    thread::sleep(Duration::from_secs(6).saturating_sub(start.elapsed()));
    bridge.read_on();
    bridge.answer("2");
    bridge.answer("1");
    bridge.still_serves();
    let ended = bridge.finish();
    ended.has_no_answer_to("1");
    ended.has_no_answer_to("2");
}
