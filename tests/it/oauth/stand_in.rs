//! The handshake never waits for a person: what a client sees until the
//! sign-in is done, and what after it. Clients of the legacy era.

use super::{at_the_door, initialized, live_as};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::{Browser, follow};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::scene::Scene;
use std::time::{Duration, Instant};

const AT_ONCE: Duration = Duration::from_secs(2);
const HELD: Duration = Duration::from_secs(5);

#[test]
fn initialize_is_answered_at_once_by_a_stand_in() {
    for version in ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] {
        let scene = Scene::unattended();
        let mut bridge = scene.bridge();
        let start = Instant::now();
        bridge.request("1", "initialize", &initialize_params(version));
        let result = bridge.result("1");
        assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
        assert_eq!(result["protocolVersion"], version);
        assert!(result["serverInfo"]["name"].is_string(), "{result}");
        let capabilities = &result["capabilities"];
        for kind in ["tools", "prompts", "resources"] {
            assert_eq!(capabilities[kind]["listChanged"], true, "{kind}: {result}");
        }
        for kind in ["completions", "logging"] {
            assert!(capabilities[kind].is_object(), "{kind}: {result}");
        }
    }
}

/// `initialize` opens no browser: clients send it to processes they throw away.
#[test]
fn the_message_after_initialize_opens_the_tab_and_only_one() {
    for opener in ["notifications/initialized", "tools/list", "tools/call", "resources/list"] {
        let scene = Scene::unattended();
        let mut bridge = scene.bridge();
        initialized(&mut bridge);
        // Time enough for a tab that must not open.
        std::thread::sleep(Duration::from_millis(200));
        assert!(scene.browser.tabs().is_empty(), "before {opener}");
        match opener {
            "notifications/initialized" => bridge.notify(opener, "{}"),
            "tools/call" => bridge.call("1"),
            _ => bridge.request("1", opener, "{}"),
        }
        let link = scene.browser.link();
        bridge.notify("notifications/initialized", "{}");
        bridge.tool("3", "whoami");
        follow(&link);
        assert_eq!(bridge.text("3"), "ada scope=-");
        assert_eq!(scene.browser.tabs().len(), 1, "{opener}");
    }
}

/// It shows the link, escapes the filters, and gives way to the real list.
#[test]
fn tools_that_nobody_signs_in_for_are_one_tool_that_has_the_link() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &["--allow-tool", "who*", "--read-only"]);
    let start = Instant::now();
    assert_eq!(bridge.tools(), ["sign_in"]);
    let held = start.elapsed();
    assert!(held < HELD + AT_ONCE, "{held:?}");
    assert!(held > Duration::from_secs(3), "a quick person had no chance: {held:?}");
    let start = Instant::now();
    assert_eq!(bridge.tools(), ["sign_in"]);
    assert!(start.elapsed() < AT_ONCE, "only the first list is held");
    bridge.tool("1", "sign_in");
    assert!(bridge.text("1").contains(&link));
    assert_eq!(scene.browser.tabs().len(), 1);
}

#[test]
fn a_sign_in_makes_everything_live_without_a_restart() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let params = r#"{"name":"sign_in","arguments":{}}"#;
    bridge.request("1", "tools/call", params);
    assert!(bridge.text("1").contains(&link));
    follow(&link);
    bridge.message("notifications/tools/list_changed");
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
    // The client's own initialize and initialized reach the remote, once, in order.
    let kinds = scene.remote.kinds();
    let bare = kinds.iter().position(|kind| kind == "initialize").unwrap();
    let real = kinds.iter().rposition(|kind| kind == "initialize").unwrap();
    assert!(bare < real, "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "notifications/initialized").count(), 1);
    let requests = scene.remote.requests();
    let real = &requests[real];
    assert_ne!(real.id(), r#""init""#, "the client's id is answered already");
    assert_eq!(real.params(), initialize_params("2025-11-25"));
}

#[test]
fn the_first_list_waits_for_a_quick_sign_in() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    bridge.request("1", "tools/list", "{}");
    follow(&link);
    let start = Instant::now();
    assert_eq!(bridge.tool_names("1"), ["echo", "whoami", "admin"]);
    assert!(start.elapsed() < HELD - AT_ONCE, "{:?}", start.elapsed());
}

#[test]
fn a_call_waits_for_the_sign_in_and_is_sent_once() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    for id in ["1", "2", "3"] {
        bridge.tool(id, "whoami");
    }
    follow(&link);
    for id in ["1", "2", "3"] {
        assert_eq!(bridge.text(id), "ada scope=-");
    }
    assert_eq!(scene.remote.of("tools/call").len(), 3);
    let ended = bridge.finish();
    for id in ["1", "2", "3"] {
        ended.has_no_answer_to(id);
    }
}

#[test]
fn a_call_that_waited_long_enough_gets_the_link_and_the_sign_in_goes_on() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &["--auth-timeout", "1"]);
    let start = Instant::now();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]);
    assert!(start.elapsed() > Duration::from_millis(900), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert_eq!(error["data"]["url"], link, "{error}");
    assert!(error["data"]["hint"].is_string(), "{error}");
    follow(&link);
    bridge.message("notifications/tools/list_changed");
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
    assert_eq!(scene.remote.of("tools/call").len(), 1, "the call that failed was sent after all");
}

#[test]
fn a_waiting_call_that_is_cancelled_is_never_sent() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    bridge.call("1");
    bridge.tool("2", "whoami");
    bridge.notify("notifications/cancelled", r#"{"requestId":1}"#);
    follow(&link);
    assert_eq!(bridge.text("2"), "ada scope=-");
    live_as(&mut bridge, "ada");
    let calls = scene.remote.of("tools/call");
    assert!(calls.iter().all(|call| call.params().contains("whoami")), "it was sent");
    bridge.finish().has_no_answer_to("1");
}

/// The stand-in declared them, so the client asks.
#[test]
fn lists_that_the_real_server_lacks_are_answered_empty() {
    let auth = AuthorizationServer::start();
    let remote = Legacy::new()
        .sessions(&Sessions::default())
        .capabilities(r#"{"tools":{}}"#)
        .on("logging/setLevel", |_, _| panic!("it declared no logging"));
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, Browser::following());
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    for (id, method, member) in [
        ("1", "prompts/list", "prompts"),
        ("2", "resources/list", "resources"),
        ("3", "resources/templates/list", "resourceTemplates"),
    ] {
        bridge.request(id, method, "{}");
        let result = bridge.result(id);
        assert_eq!(result[member], serde_json::json!([]), "{method}: {result}");
    }
    bridge.request("4", "completion/complete", r#"{"ref":{},"argument":{}}"#);
    assert_eq!(bridge.result("4")["completion"]["values"], serde_json::json!([]));
    bridge.request("5", "logging/setLevel", r#"{"level":"info"}"#);
    bridge.result("5");
}

#[test]
fn the_next_start_shows_what_was_last_seen_and_opens_no_tab_for_a_list() {
    let mut scene = Scene::new();
    let mut bridge = scene.bridge().ready();
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    bridge.finish();
    scene.browser = Browser::new();
    scene.auth.revoke_grants();
    let browser = scene.browser.command();
    let launch = || scene.launch().env("BROWSER", &browser).args(&["--auth-timeout", "1"]);
    let mut bridge = launch().start();
    let result = initialized(&mut bridge);
    assert_eq!(result["serverInfo"]["name"], "scripted", "{result}");
    bridge.notify("notifications/initialized", "{}");
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    assert!(scene.browser.tabs().is_empty(), "nobody has called anything");
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]);
    let link = scene.browser.link();
    assert_eq!(error["data"]["url"], link);
    follow(&link);
    live_as(&mut bridge, "ada");
    bridge.finish();
}

#[test]
fn never_means_never() {
    let scene = Scene::new();
    let mut bridge = scene.launch().args(&["--sign-in", "never"]).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let answer = bridge.answer("1");
    bridge.notify("notifications/initialized", "{}");
    let start = Instant::now();
    bridge.call("2");
    let error = bridge.own_error("2", &[-31001]).to_string();
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
    assert!(error.contains("keyferry login"), "{error} after {answer}");
    assert!(scene.browser.tabs().is_empty());
    assert!(scene.auth.asked("/register").is_empty());
}

/// Clients start a server twice and throw one away.
#[test]
fn an_initialize_that_leads_to_nothing_leaves_nothing() {
    let scene = Scene::unattended();
    for _ in 0..3 {
        let mut bridge = scene.bridge();
        initialized(&mut bridge);
        bridge.close_stdin();
        bridge.wait_exit(Duration::from_secs(1));
    }
    assert!(scene.browser.tabs().is_empty());
    assert!(scene.auth.asked("/register").is_empty(), "registered for nothing");
}

#[test]
fn a_sign_in_that_failed_is_begun_again_by_a_call_and_not_for_ever() {
    use crate::support::authorization_server::Consent;
    let scene = Scene::scripted(|script| script.consent = Consent::Error("access_denied", "no"));
    let mut bridge = scene.launch().args(&["--auth-timeout", "5"]).start().ready();
    for id in 0..12 {
        let id = id.to_string();
        bridge.call(&id);
        bridge.own_error(&id, &[-31001]);
    }
    let tabs = scene.browser.tabs().len();
    assert!((2..=7).contains(&tabs), "{tabs} tabs");
    scene.nothing_leaked(&[&bridge.stderr()]);
}

/// Nobody knew before the sign-in.
#[test]
fn a_remote_of_the_other_era_is_live_after_the_sign_in() {
    let scene = Scene::modern(AuthorizationServer::start(), Browser::following());
    let mut bridge = scene.bridge();
    initialized(&mut bridge);
    bridge.notify("notifications/initialized", "{}");
    bridge.message("notifications/tools/list_changed");
    assert_eq!(bridge.whoami(), "ada scope=-");
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    assert_eq!(scene.browser.tabs().len(), 1);
    bridge.finish();
    // The next one knows: also what it answers while a person is needed.
    let before = scene.remote.of("initialize").len();
    let mut bridge = scene.bridge();
    initialized(&mut bridge);
    bridge.notify("notifications/initialized", "{}");
    assert_eq!(bridge.tools(), ["echo", "whoami", "admin"]);
    assert_eq!(scene.remote.of("initialize").len(), before, "{:?}", scene.remote.kinds());
}

/// A remote tool of the name wins.
#[test]
fn a_remotes_own_sign_in_tool_is_the_remotes() {
    let auth = AuthorizationServer::start();
    let remote = Legacy::new().sessions(&Sessions::default()).on("tools/list", |request, wire| {
        wire.json(request.result(r#"{"tools":[{"name":"sign_in","inputSchema":{}}]}"#));
    });
    let remote = auth.protect(remote);
    let scene = Scene::with(auth, remote, Browser::following());
    let mut bridge: Bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(bridge.tools(), ["sign_in"]);
    bridge.tool("1", "sign_in");
    assert_eq!(bridge.text("1"), "ok");
    assert_eq!(scene.remote.of("tools/call").len(), 2);
}
