//! The same for clients of the modern era, which take any error for a legacy server.

use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::Bridge;
use crate::support::browser::{Browser, follow};
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::{Port, park};
use crate::support::modern::{Modern, Tools, VERSION, request};
use crate::support::scene::{Scene, modern_tool};
use std::time::{Duration, Instant};

const WHOAMI: &str = r#""name":"whoami","arguments":{}"#;

fn unattended() -> Scene {
    Scene::modern(AuthorizationServer::start(), Browser::new())
}

#[test]
fn discover_is_answered_with_a_result_and_opens_no_tab() {
    let scene = unattended();
    let mut bridge = scene.bridge();
    let start = Instant::now();
    bridge.send(request("1", "server/discover", ""));
    let result = bridge.result("1");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(result["supportedVersions"], serde_json::json!([VERSION]), "{result}");
    for kind in ["tools", "prompts", "resources"] {
        assert_eq!(result["capabilities"][kind]["listChanged"], true, "{result}");
    }
    assert_eq!(result["ttlMs"], 0, "{result}");
    assert_eq!(result["cacheScope"], "private", "{result}");
    // Time enough for a tab that must not open.
    std::thread::sleep(Duration::from_millis(200));
    assert!(scene.browser.tabs().is_empty());
    bridge.send(request("2", "tools/call", WHOAMI));
    follow(&scene.browser.link());
    assert_eq!(bridge.text("2"), "ada scope=-");
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_list_before_the_sign_in_may_not_be_kept() {
    let scene = unattended();
    let mut bridge = scene.bridge();
    bridge.send(request("1", "tools/list", ""));
    let link = scene.browser.link();
    let result = bridge.result("1");
    assert_eq!(result["ttlMs"], 0, "{result}");
    assert_eq!(result["cacheScope"], "private", "{result}");
    assert_eq!(result["resultType"], "complete", "{result}");
    assert_eq!(result["tools"].as_array().unwrap().len(), 1, "{result}");
    assert_eq!(result["tools"][0]["name"], "sign_in", "{result}");
    bridge.send(request("2", "tools/call", r#""name":"sign_in","arguments":{}"#));
    assert!(bridge.text("2").contains(&link));
    follow(&link);
    bridge.send(request("3", "tools/call", WHOAMI));
    assert_eq!(bridge.text("3"), "ada scope=-");
    bridge.send(request("4", "tools/list", ""));
    assert_eq!(bridge.tool_names("4"), ["echo", "whoami", "admin"]);
}

/// A modern remote whose `subscriptions/listen` is in the hands of the test.
fn listened(
    auth: &AuthorizationServer,
    handler: impl Fn(&Request, Wire) + Send + Sync + 'static,
) -> crate::support::mcp_server::Server {
    let tools = Tools::default();
    tools.set(&[&modern_tool("whoami")]);
    let inner = Modern::new().tools(&tools).on("tools/call", auth.whoami());
    auth.guard(Port::reserve(), inner.on("subscriptions/listen", handler).into_handler())
}

fn subscription(message: &serde_json::Value) -> String {
    message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"].to_string()
}

#[test]
fn a_listen_is_acknowledged_here_and_later_joined_upstream() {
    let auth = AuthorizationServer::start();
    let (handler, parked) = park();
    let remote = listened(&auth, handler);
    let scene = Scene::with(auth, remote, Browser::new());
    let mut bridge: Bridge = scene.bridge();
    bridge.send(request("1", "server/discover", ""));
    bridge.result("1");
    let wanted = r#""notifications":{"toolsListChanged":true}"#;
    bridge.send(request(r#""listen""#, "subscriptions/listen", wanted));
    let acknowledged = bridge.message("notifications/subscriptions/acknowledged");
    assert_eq!(subscription(&acknowledged), r#""listen""#, "{acknowledged}");
    follow(&scene.browser.link());
    let changed = bridge.message("notifications/tools/list_changed");
    assert_eq!(subscription(&changed), r#""listen""#, "{changed}");
    // Upstream acknowledges too, which the client need not hear twice.
    let call = parked.next();
    assert!(call.request.header("authorization").is_some());
    let upstream = call.request.id().to_owned();
    let note = |method: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{upstream}}}}}}}"#
        )
    };
    let mut events = call.wire.events();
    events.event(note("notifications/subscriptions/acknowledged"));
    events.event(note("notifications/tools/list_changed"));
    let changed = bridge.message("notifications/tools/list_changed");
    assert_eq!(subscription(&changed), r#""listen""#, "{changed}");
    let ended = bridge.finish();
    for line in &ended.rest {
        assert!(!line.contains("acknowledged"), "{line}");
    }
}

#[test]
fn a_call_that_waited_long_enough_gets_the_link() {
    let scene = unattended();
    let mut bridge = scene.launch().args(&["--auth-timeout", "1"]).start();
    bridge.send(request("1", "tools/call", WHOAMI));
    let error = bridge.own_error("1", &[-31001]);
    assert_eq!(error["data"]["url"], scene.browser.link(), "{error}");
}

#[test]
fn a_waiting_modern_call_that_is_cancelled_is_never_sent() {
    let scene = unattended();
    let mut bridge = scene.bridge();
    bridge.send(request("1", "tools/call", r#""name":"echo","arguments":{}"#));
    bridge.send(request("2", "tools/call", WHOAMI));
    let link = scene.browser.link();
    bridge.notify("notifications/cancelled", r#"{"requestId":1}"#);
    follow(&link);
    assert_eq!(bridge.text("2"), "ada scope=-");
    let calls = scene.remote.of("tools/call");
    let authorized = calls.iter().filter(|call| call.header("authorization").is_some());
    assert!(authorized.clone().all(|call| call.params().contains("whoami")), "it was sent");
    assert_eq!(authorized.count(), 1);
    bridge.finish().has_no_answer_to("1");
}

/// Nobody knew before the sign-in.
#[test]
fn a_legacy_remote_behind_a_sign_in_is_live_after_it() {
    let auth = AuthorizationServer::start();
    let legacy = Legacy::new().sessions(&Sessions::default()).into_handler();
    let remote = auth.guard(Port::reserve(), legacy);
    let scene = Scene::with(auth, remote, Browser::following());
    let mut bridge = scene.bridge();
    bridge.send(request("0", "server/discover", ""));
    bridge.result("0");
    let filter = r#""notifications":{"toolsListChanged":true}"#;
    bridge.send(request("9", "subscriptions/listen", filter));
    bridge.message("notifications/subscriptions/acknowledged");
    bridge.send(request("1", "tools/call", WHOAMI));
    assert_eq!(bridge.text("1"), "ok");
    bridge.message("notifications/tools/list_changed");
    assert_eq!(scene.browser.tabs().len(), 1);
    let ended = bridge.finish();
    let again = "notifications/subscriptions/acknowledged";
    assert!(!ended.rest.iter().any(|line| line.contains(again)), "{:?}", ended.rest);
}

#[test]
fn a_first_call_at_a_known_remote_costs_one_request() {
    let scene = Scene::modern(AuthorizationServer::start(), Browser::following()).signed_in();
    let before = (scene.remote.requests().len(), scene.auth.server().requests().len());
    let mut bridge = scene.bridge();
    bridge.send(request("1", "tools/call", WHOAMI));
    assert_eq!(bridge.text("1"), "ada scope=-");
    bridge.finish();
    assert_eq!(scene.remote.requests().len() - before.0, 1, "{:?}", scene.remote.kinds());
    assert_eq!(scene.auth.server().requests().len(), before.1);
}
