//! A machine that slept: its connections are dead, and nobody says so.

use crate::support::bridge::Bridge;
use crate::support::home::Home;
use crate::support::http::{Request, Wire};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use crate::support::modern::{Modern, request};
use crate::support::preload::Clock;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

const HOUR: i64 = 60 * 60;

/// The network between bridge and remote. Once it has changed, what is sent on an old
/// connection is never answered.
#[derive(Clone, Default)]
struct Network(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    known: HashSet<SocketAddr>,
    dead: HashSet<SocketAddr>,
    waiting: Vec<Wire>,
}

impl Network {
    /// As `answer`, where the connection is alive.
    fn before(
        &self,
        answer: impl Fn(&Request, Wire) + Send + Sync + 'static,
    ) -> impl Fn(&Request, Wire) + Send + Sync + 'static {
        let network = self.clone();
        move |request, wire| {
            let address = wire.stream().peer_addr().expect("an address");
            let mut state = network.0.lock().unwrap();
            state.known.insert(address);
            if state.dead.contains(&address) {
                return state.waiting.push(wire);
            }
            drop(state);
            answer(request, wire);
        }
    }

    fn change(&self) {
        let mut state = self.0.lock().unwrap();
        let State { known, dead, .. } = &mut *state;
        dead.extend(known.drain());
    }

    /// How many requests came over dead connections.
    fn lost(&self) -> usize {
        self.0.lock().unwrap().waiting.len()
    }
}

fn asleep(clock: &Clock, network: &Network, hours: i64) {
    network.change();
    clock.set(hours * HOUR);
}

#[test]
fn the_first_call_after_a_sleep_goes_over_a_new_connection() {
    let (network, clock) = (Network::default(), Clock::new());
    let legacy = Legacy::new().on("initialize", cookie);
    let server = Server::start(network.before(legacy.into_handler()));
    let launch = clock.rules(Home::new("memory").launch(&server.url()));
    let mut bridge = launch.start().ready();
    for hours in 1..=3 {
        bridge.call("1");
        bridge.result("1");
        asleep(&clock, &network, hours);
        bridge.call("2");
        bridge.result("2");
        bridge.notify("notifications/progress", "{}");
        server.wait_for_count("notifications/progress", hours as usize);
    }
    assert_eq!(network.lost(), 0);
    // What a load balancer goes by is known after that.
    let last = server.requests().last().cloned().expect("a request");
    assert_eq!(last.header("cookie"), Some("route=node-7"), "{last:?}");
}

fn cookie(request: &Request, wire: Wire) {
    let result = r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"0"}}"#;
    let headers = [("Content-Type", "application/json"), ("Set-Cookie", "route=node-7")];
    wire.reply(200, &headers, request.result(result).as_bytes());
}

#[test]
fn the_first_modern_call_after_a_sleep_goes_over_a_new_connection() {
    const CALL: &str = r#""name":"echo","arguments":{}"#;
    let (network, clock) = (Network::default(), Clock::new());
    let server = Server::start(network.before(Modern::new().into_handler()));
    let launch = clock.rules(Home::new("memory").launch(&server.url()));
    let mut bridge: Bridge = launch.start();
    bridge.send(request("1", "tools/call", CALL));
    bridge.result("1");
    asleep(&clock, &network, 1);
    bridge.send(request("2", "tools/call", CALL));
    bridge.result("2");
    assert_eq!(network.lost(), 0);
}

/// A clock that was set right by a second, or back, is no reason to connect anew.
#[test]
fn connections_are_kept_as_long_as_the_machine_is_awake() {
    let clock = Clock::new();
    let server = Legacy::new().start();
    let launch = clock.rules(Home::new("memory").launch(&server.url()));
    let mut bridge = launch.start().ready();
    bridge.still_serves();
    let before = server.connections();
    for offset in [2, -HOUR, -HOUR + 3] {
        clock.set(offset);
        bridge.still_serves();
    }
    assert_eq!(server.connections(), before);
}
