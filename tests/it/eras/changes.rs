//! A remote whose era changes, in front of a bridge that runs or that remembers the other one.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Parked, Server, park};
use crate::support::modern::{Modern, Tools, request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ECHO: &str = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;

/// A remote that speaks one era at a time.
struct Changing {
    server: Server,
    modern: Arc<AtomicBool>,
    sessions: Sessions,
}

impl Changing {
    fn start(modern: bool) -> Self {
        let sessions = Sessions::default();
        let old = Legacy::new().sessions(&sessions);
        Self::between(modern, sessions, old, Modern::new())
    }

    fn between(modern: bool, sessions: Sessions, old: Legacy, new: Modern) -> Self {
        let tools = Tools::default();
        tools.set(&[ECHO]);
        let (old, new) = (old.into_handler(), new.tools(&tools).into_handler());
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

/// Has the first call of a tool wait for the test.
fn park_first() -> (impl Fn(&Request, Wire) + Send + Sync + 'static, Parked) {
    let (hold, parked) = park();
    let first = AtomicBool::new(true);
    let handler = move |request: &Request, wire: Wire| match first.swap(false, Ordering::SeqCst) {
        true => hold(request, wire),
        false => wire.json(request.result(r#"{"resultType":"complete","content":[]}"#)),
    };
    (handler, parked)
}

fn calls(remote: &Changing, id: &str) -> usize {
    let named = |one: &Arc<Request>| one.json()["params"]["arguments"]["n"] == id;
    remote.server.of("tools/call").into_iter().filter(named).count()
}

#[test]
fn a_translated_call_is_not_repeated_at_a_remote_that_has_become_legacy() {
    let (handler, parked) = park_first();
    let sessions = Sessions::default();
    let old = Legacy::new().sessions(&sessions);
    let remote = Changing::between(true, sessions, old, Modern::new().on("tools/call", handler));
    let mut bridge = Bridge::to(&remote.server).ready();
    let call = |bridge: &Bridge, id: &str| {
        let params = format!(r#"{{"name":"echo","arguments":{{"n":"{id}"}}}}"#);
        bridge.request(id, "tools/call", &params);
    };
    call(&bridge, "1");
    let executing = parked.next();
    remote.become_modern(false);
    call(&bridge, "2");
    bridge.own_error("1", &[-31003]);
    bridge.result("2");
    assert!(executing.wire.client_closes_within(Duration::from_secs(5)), "it is given up");
    assert_eq!((calls(&remote, "1"), calls(&remote, "2")), (1, 2));
    let ended = bridge.finish();
    ended.has_no_answer_to("1");
}

#[test]
fn a_translated_call_is_not_repeated_at_a_remote_that_has_become_modern() {
    let (handler, parked) = park_first();
    let sessions = Sessions::default();
    let old = Legacy::new().sessions(&sessions).on("tools/call", handler);
    let (listening, listens) = park();
    let new = Modern::new().on("subscriptions/listen", listening);
    let remote = Changing::between(false, sessions, old, new);
    let mut bridge = Bridge::to(&remote.server);
    bridge.send(request(
        "9",
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true}"#,
    ));
    bridge.message("notifications/subscriptions/acknowledged");
    let call = |bridge: &Bridge, id: &str| {
        let params = format!(r#""name":"echo","arguments":{{"n":"{id}"}}"#);
        bridge.send(request(id, "tools/call", &params));
    };
    call(&bridge, "1");
    let _executing = parked.next();
    remote.become_modern(true);
    call(&bridge, "2");
    bridge.own_error("1", &[-31003]);
    bridge.result("2");
    assert_eq!((calls(&remote, "1"), calls(&remote, "2")), (1, 2));
    // The subscription goes on, and the client hears of that only what it may have missed.
    let listen = listens.next();
    assert_eq!(listen.request.id(), "9");
    let mut events = listen.wire.events();
    events.event(
        r#"{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":9},"notifications":{"toolsListChanged":true}}}"#,
    );
    bridge.message("notifications/tools/list_changed");
    let ended = bridge.finish();
    ended.has_no_answer_to("1");
    assert!(!ended.rest.iter().any(|line| line.contains("acknowledged")), "{:?}", ended.rest);
}

#[test]
fn what_a_legacy_client_has_set_holds_when_the_remote_changes_either_way() {
    const CAPABLE: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"logging":{},"resources":{"subscribe":true}},"ttlMs":0,"cacheScope":"private"}"#;
    let (listening, listens) = park();
    let new = Modern::new()
        .on("server/discover", |request, wire| wire.json(request.result(CAPABLE)))
        .on("subscriptions/listen", listening);
    let sessions = Sessions::default();
    let old = Legacy::new().sessions(&sessions);
    let remote = Changing::between(false, sessions, old, new);
    let mut bridge = Bridge::to(&remote.server).ready();
    bridge.request("1", "logging/setLevel", r#"{"level":"notice"}"#);
    bridge.result("1");
    bridge.request("2", "resources/subscribe", r#"{"uri":"a://b"}"#);
    bridge.result("2");
    remote.become_modern(true);
    bridge.call("3");
    bridge.result("3");
    let listen = listens.next();
    let listened = listen.request.json();
    let uris = &listened["params"]["notifications"]["resourceSubscriptions"];
    assert_eq!(*uris, serde_json::json!(["a://b"]), "{listened}");
    let call = remote.server.of("tools/call").pop().unwrap().json();
    let level = &call["params"]["_meta"]["io.modelcontextprotocol/logLevel"];
    assert_eq!(level, "notice", "{call}");
    assert_eq!(remote.server.of("resources/subscribe").len(), 1);

    remote.become_modern(false);
    bridge.call("4");
    bridge.result("4");
    let subscribed = remote.server.of("resources/subscribe");
    assert_eq!(subscribed[1..].len(), 1, "once more");
    assert_eq!(subscribed[1].json()["params"]["uri"], "a://b");
    let level = remote.server.of("logging/setLevel").pop().unwrap().json();
    assert_eq!(level["params"]["level"], "notice", "{level}");
}

#[test]
fn a_legacy_client_is_known_to_a_remote_that_has_become_modern_without_a_session_to_forget() {
    let remote = Changing::between(false, Sessions::default(), Legacy::new(), Modern::new());
    let mut bridge = Bridge::to(&remote.server).ready();
    bridge.call("1");
    bridge.result("1");
    remote.become_modern(true);
    bridge.call("2");
    bridge.result("2");
    let call = remote.server.of("tools/call").pop().unwrap().json();
    let name = &call["params"]["_meta"]["io.modelcontextprotocol/clientInfo"]["name"];
    assert!(name.is_string(), "{call}");
    assert_eq!(remote.server.of("server/discover").len(), 1);
}

#[test]
fn a_call_made_before_the_remote_changed_can_be_cancelled_after_that() {
    let (handler, parked) = park_first();
    let sessions = Sessions::default();
    let old = Legacy::new().sessions(&sessions);
    let remote = Changing::between(true, sessions, old, Modern::new().on("tools/call", handler));
    let mut bridge = Bridge::to(&remote.server);
    bridge.send(request("1", "tools/call", r#""name":"echo","arguments":{}"#));
    let executing = parked.next();
    remote.become_modern(false);
    bridge.send(request("2", "tools/call", r#""name":"echo","arguments":{}"#));
    bridge.result("2");
    bridge.notify("notifications/cancelled", r#"{"requestId":1}"#);
    assert!(executing.wire.client_closes_within(Duration::from_secs(5)));
    bridge.finish().has_no_answer_to("1");
}
/// A gateway speaks for a while; neither era is taken for granted after that.
#[test]
fn a_session_that_could_not_be_begun_anew_is_begun_anew_by_the_next_call() {
    let sessions = Sessions::default();
    let legacy = Legacy::new().sessions(&sessions).into_handler();
    let away = Arc::new(AtomicBool::new(false));
    let server = Server::start({
        let away = away.clone();
        move |request: &Request, wire: Wire| match request.kind().as_str() {
            "GET" => wire.status(405),
            "initialize" if away.load(Ordering::SeqCst) => {
                wire.reply(404, &[("Content-Type", "text/html")], b"<p>nothing here</p>");
            }
            _ => legacy(request, wire),
        }
    });
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    bridge.result("1");
    sessions.expire();
    away.store(true, Ordering::SeqCst);
    bridge.call("2");
    bridge.error("2");
    away.store(false, Ordering::SeqCst);
    bridge.call("3");
    bridge.result("3");
    let last = server.of("tools/call").last().unwrap().clone();
    assert_eq!(last.header("mcp-session-id"), Some("session-2"));
}

/// A page is no word of the remote's own, and others wait for what it may still say.
#[test]
fn a_page_of_a_gateway_costs_no_other_translated_call_its_answer() {
    let (handler, parked) = park();
    let server = Modern::new().on("tools/call", handler).start();
    let mut bridge = Bridge::to(&server).ready();
    bridge.call("1");
    let executing = parked.next();
    bridge.call("2");
    let page = [("Content-Type", "text/html")];
    parked.next().wire.reply(404, &page, b"<p>nothing here</p>");
    assert_eq!(bridge.own_error("2", &[-31004])["data"]["httpStatus"], 404);
    executing.wire.json(executing.request.result(r#"{"resultType":"complete","content":[]}"#));
    bridge.result("1");
    assert_eq!(server.of("initialize").len(), 1, "the era was not doubted");
}
