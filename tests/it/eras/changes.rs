//! A remote whose era changes, in front of a bridge that runs or that remembers the other one.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::Server;
use crate::support::modern::{Modern, Tools, request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const ECHO: &str = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;

/// A remote that speaks one era at a time.
struct Changing {
    server: Server,
    modern: Arc<AtomicBool>,
    sessions: Sessions,
}

impl Changing {
    fn start(modern: bool) -> Self {
        let tools = Tools::default();
        tools.set(&[ECHO]);
        let sessions = Sessions::default();
        let old = Legacy::new().sessions(&sessions).into_handler();
        let new = Modern::new().tools(&tools).on("GET", |_, wire| wire.status(405));
        let new = new.on("DELETE", |_, wire| wire.status(405)).into_handler();
        let modern = Arc::new(AtomicBool::new(modern));
        let server = Server::start({
            let modern = modern.clone();
            move |request: &Request, wire: Wire| match modern.load(Ordering::SeqCst) {
                true if request.method != "POST" => wire.status(405),
                true if request.header("mcp-session-id").is_some() => wire.status(404),
                true => new(request, wire),
                false => old(request, wire),
            }
        });
        Self { server, modern, sessions }
    }

    fn become_modern(&self, modern: bool) {
        self.sessions.expire();
        self.modern.store(modern, Ordering::SeqCst);
    }
}

#[test]
fn a_legacy_session_goes_on_at_a_remote_that_has_become_modern() {
    let remote = Changing::start(false);
    let mut bridge = Bridge::to(&remote.server).ready();
    bridge.call("1");
    bridge.result("1");
    remote.become_modern(true);
    bridge.call("2");
    bridge.result("2");
    assert_eq!(remote.server.of("server/discover").len(), 1);
    bridge.still_serves();
    let ended = bridge.finish();
    assert!(ended.status.success(), "{}", ended.stderr);
}

#[test]
fn a_legacy_client_goes_on_at_a_remote_that_has_become_legacy() {
    let remote = Changing::start(true);
    let mut bridge = Bridge::to(&remote.server).ready();
    bridge.call("1");
    bridge.result("1");
    remote.become_modern(false);
    bridge.call("2");
    bridge.result("2");
    assert_eq!(remote.server.of("initialize").len(), 2);
    assert!(bridge.finish().status.success());
}

#[test]
fn a_modern_client_goes_on_when_the_remote_changes_either_way() {
    let remote = Changing::start(false);
    let mut bridge = Bridge::to(&remote.server);
    let call = |id: &str| request(id, "tools/call", r#""name":"echo","arguments":{}"#);
    bridge.send(call("1"));
    bridge.result("1");
    remote.become_modern(true);
    bridge.send(call("2"));
    bridge.result("2");
    remote.become_modern(false);
    bridge.send(call("3"));
    bridge.result("3");
    assert!(bridge.finish().status.success());
}

#[test]
fn what_was_remembered_of_a_remote_is_found_out_again_where_it_no_longer_fits() {
    for modern in [true, false] {
        let remote = Changing::start(modern);
        let url = remote.server.url();
        let home = Arc::new(Home::new("plaintext"));
        let login = ["login", &url, "--with", "api-key", "--no-verify"];
        home.run(&login, "k3y-of-carol").expect(0);
        let serve = |bridge: Bridge| {
            if modern {
                let mut bridge = bridge.ready();
                assert_eq!(bridge.tools(), ["echo"]);
                return bridge.finish();
            }
            let mut bridge = bridge;
            bridge.send(request("1", "server/discover", ""));
            bridge.result("1");
            bridge.send(request("2", "tools/list", ""));
            assert_eq!(bridge.tool_names("2"), ["echo"]);
            bridge.finish()
        };
        serve(Bridge::start_in(&home, &url));
        remote.become_modern(!modern);
        let ended = serve(Bridge::start_in(&home, &url));
        assert!(ended.status.success(), "{}", ended.stderr);
        let before = remote.server.kinds();
        serve(Bridge::start_in(&home, &url));
        let first = remote.server.kinds()[before.len()].clone();
        let own = if modern { "initialize" } else { "server/discover" };
        assert_eq!(first, own, "and remembered anew");
    }
}

#[test]
fn the_answer_to_a_second_handshake_is_the_remotes() {
    let remote = Changing::start(true);
    let mut bridge = Bridge::to(&remote.server).ready();
    bridge.request("1", "initialize", &initialize_params("2025-03-26"));
    assert_eq!(bridge.result("1")["protocolVersion"], "2025-03-26");
    bridge.notify("notifications/initialized", "{}");
    bridge.call("2");
    bridge.result("2");
}
