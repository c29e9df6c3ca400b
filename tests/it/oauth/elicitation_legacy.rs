//! URL-mode elicitation as 2025-11-25 has it: a request of the bridge's own to the client,
//! where no browser can be opened here.

use super::live_as;
use crate::support::authorization_server::{AuthorizationServer, USER_CODE};
use crate::support::bridge::Bridge;
use crate::support::browser::Browser;
use crate::support::scene::Scene;
use serde_json::{Value, json};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Approved after so many questions, a second apart.
fn scene(pending: usize) -> Scene {
    let auth = AuthorizationServer::scripted(|script| {
        script.metadata = vec![
            ("device_authorization_endpoint", json!("{as}/device_authorization")),
            ("grant_types_supported", json!(["authorization_code", "refresh_token", DEVICE])),
        ];
        script.device_polls = ["authorization_pending"].repeat(pending).into();
    });
    Scene::of(auth, Browser::new())
}

/// A client with these capabilities, on a machine without a browser.
fn ready(scene: &Scene, elicitation: &Value, flags: &[&str]) -> Bridge {
    let launch = scene.launch().env("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22");
    let mut bridge = launch.env("BROWSER", "").args(flags).start();
    let params = json!({
        "protocolVersion": "2025-11-25", "clientInfo": { "name": "it", "version": "1" },
        "capabilities": { "elicitation": elicitation },
    });
    bridge.request(r#""init""#, "initialize", &params.to_string());
    bridge.result(r#""init""#);
    bridge.notify("notifications/initialized", "{}");
    bridge
}

fn answer(bridge: &Bridge, asked: &Value, action: &str) {
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": action } });
    bridge.send(answer.to_string());
}

#[test]
fn the_client_is_asked_once_and_told_of_the_end_and_its_calls_are_answered() {
    let scene = scene(1);
    let mut bridge = ready(&scene, &json!({ "url": {} }), &[]);
    for id in ["1", "2", "3"] {
        bridge.tool(id, "whoami");
    }
    let asked = bridge.message("elicitation/create");
    let params = &asked["params"];
    assert_eq!(params["mode"], "url", "{asked}");
    let url = params["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/device", scene.auth.origin())), "{asked}");
    assert!(params["message"].as_str().unwrap().contains(USER_CODE), "{asked}");
    assert!(params["elicitationId"].is_string(), "{asked}");
    answer(&bridge, &asked, "accept");
    let complete = bridge.message("notifications/elicitation/complete");
    assert_eq!(complete["params"]["elicitationId"], params["elicitationId"], "{complete}");
    for id in ["1", "2", "3"] {
        assert_eq!(bridge.text(id), "ada scope=-");
    }
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.asked("/device_authorization").len(), 1);
    let ended = bridge.finish();
    for line in &ended.rest {
        assert!(!line.contains("elicitation"), "asked twice: {line}");
    }
    let own = asked["id"].to_string();
    for request in scene.remote.requests() {
        assert!(!request.text().contains(&own), "the answer was for the bridge: {request:?}");
    }
}

#[test]
fn a_person_who_declines_gets_an_error_for_the_waiting_calls() {
    for action in ["decline", "cancel"] {
        let scene = scene(100);
        let mut bridge = ready(&scene, &json!({ "form": {}, "url": {} }), &[]);
        bridge.tool("1", "whoami");
        bridge.tool("2", "whoami");
        let asked = bridge.message("elicitation/create");
        answer(&bridge, &asked, action);
        for id in ["1", "2"] {
            let error = bridge.own_error(id, &[-31001]).to_string();
            assert!(error.contains("declined"), "{error}");
        }
        assert!(scene.remote.of("tools/call").is_empty());
        bridge.still_serves();
    }
}

/// A person may be quicker than their client.
#[test]
fn a_request_that_nobody_answered_is_taken_back_when_the_sign_in_is_done() {
    let scene = scene(1);
    let mut bridge = ready(&scene, &json!({ "url": {} }), &[]);
    bridge.tool("1", "whoami");
    let asked = bridge.message("elicitation/create");
    let cancelled = bridge.message("notifications/cancelled");
    assert_eq!(cancelled["params"]["requestId"], asked["id"], "{cancelled}");
    assert_eq!(bridge.text("1"), "ada scope=-");
    // Too late, and no harm.
    answer(&bridge, &asked, "accept");
    live_as(&mut bridge, "ada");
}

/// Without an answer the call ends with the link, like any other.
#[test]
fn a_client_that_does_not_answer_gets_the_link_in_the_end() {
    let scene = scene(100);
    let mut bridge = ready(&scene, &json!({ "url": {} }), &["--auth-timeout", "2"]);
    bridge.tool("1", "whoami");
    let asked = bridge.message("elicitation/create");
    let error = bridge.own_error("1", &[-31001]);
    assert_eq!(error["data"]["url"], asked["params"]["url"], "{error}");
    assert!(error.to_string().contains(USER_CODE), "{error}");
}

/// `elicitation: {}` means forms only; a form with a link would be phishing.
#[test]
fn a_client_that_shows_no_links_is_not_asked() {
    for elicitation in [json!({}), json!({ "form": {} })] {
        let scene = scene(1);
        let mut bridge = ready(&scene, &elicitation, &[]);
        bridge.tool("1", "whoami");
        assert_eq!(bridge.text("1"), "ada scope=-");
        for line in &bridge.finish().rest {
            assert!(!line.contains("elicitation"), "{line}");
        }
    }
}

/// The link to a loopback redirect would fail on the client's machine.
#[test]
fn where_a_browser_can_be_opened_the_client_is_not_asked() {
    let mut scene = scene(100);
    scene.browser.follow_all();
    let params = json!({
        "protocolVersion": "2025-11-25", "clientInfo": { "name": "it", "version": "1" },
        "capabilities": { "elicitation": { "url": {} } },
    });
    let mut bridge = scene.bridge();
    bridge.request(r#""init""#, "initialize", &params.to_string());
    bridge.result(r#""init""#);
    bridge.notify("notifications/initialized", "{}");
    live_as(&mut bridge, "ada");
    assert_eq!(scene.browser.tabs().len(), 1);
    for line in &bridge.finish().rest {
        assert!(!line.contains("elicitation"), "{line}");
    }
}
