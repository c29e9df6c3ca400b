//! A client that can show a link itself, where no browser can be opened: it gets
//! the link that works from any machine.

use crate::support::authorization_server::{AuthorizationServer, USER_CODE};
use crate::support::bridge::Launch;
use crate::support::browser::Browser;
use crate::support::scene::Scene;
use serde_json::{Value, json};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"it","version":"1"},"io.modelcontextprotocol/clientCapabilities":{"elicitation":{"url":{}}}}"#;

fn scene(pending: usize) -> Scene {
    let auth = AuthorizationServer::scripted(|script| {
        script.metadata = vec![
            ("device_authorization_endpoint", json!("{as}/device_authorization")),
            ("grant_types_supported", json!(["authorization_code", "refresh_token", DEVICE])),
        ];
        script.device_polls = ["authorization_pending"].repeat(pending).into();
    });
    Scene::modern(auth, Browser::new())
}

fn on_another_machine(scene: &Scene) -> Launch {
    let launch = scene.launch().env("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22");
    launch.env("SSH_TTY", "/dev/pts/0").env("BROWSER", "")
}

fn call(id: &str, more: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"whoami","arguments":{{"a":1e400}}{more},{META}}}}}"#
    )
}

/// The only input that is asked for: its key and params.
#[track_caller]
fn asked(result: &Value) -> (String, Value) {
    assert_eq!(result["resultType"], "input_required", "{result}");
    let requests = result["inputRequests"].as_object().unwrap_or_else(|| panic!("{result}"));
    let [(key, request)] = requests.iter().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(request["method"], "elicitation/create", "{result}");
    (key.clone(), request["params"].clone())
}

#[test]
fn the_call_is_answered_with_the_link_and_the_retried_call_with_its_result() {
    let scene = scene(1);
    let mut bridge = on_another_machine(&scene).start();
    bridge.send(call("1", ""));
    let result = bridge.result("1");
    let (key, params) = asked(&result);
    assert_eq!(params["mode"], "url", "{params}");
    let url = params["url"].as_str().unwrap();
    assert!(url.starts_with(&format!("{}/device", scene.auth.origin())), "{url}");
    assert!(params.to_string().contains(USER_CODE), "{params}");
    let state = result["requestState"].as_str().unwrap();
    assert!(!scene.auth.secrets().iter().any(|secret| state.contains(secret)), "{state}");

    let answer = json!({ key: { "action": "accept" } });
    let more = format!(r#","requestState":{},"inputResponses":{answer}"#, json!(state));
    bridge.send(call("2", &more));
    assert_eq!(bridge.text("2"), "ada scope=-");
    let calls = scene.remote.of("tools/call");
    let real = calls.iter().find(|call| call.header("authorization").is_some()).unwrap();
    assert_eq!(real.text(), call("2", ""), "the answer was for the bridge alone");
}

#[test]
fn a_person_who_declines_gets_an_error_for_that_call() {
    for action in ["decline", "cancel"] {
        let scene = scene(100);
        let mut bridge = on_another_machine(&scene).args(&["--auth-timeout", "5"]).start();
        bridge.send(call("1", ""));
        let result = bridge.result("1");
        let (key, _) = asked(&result);
        let answer = json!({ key: { "action": action } });
        let state = &result["requestState"];
        let more = format!(r#","requestState":{state},"inputResponses":{answer}"#);
        bridge.send(call("2", &more));
        bridge.own_error("2", &[-31001]);
        let calls = scene.remote.of("tools/call");
        assert!(calls.iter().all(|call| call.header("authorization").is_none()));
    }
}

/// Answers for the remote are the remote's.
#[test]
fn a_state_of_the_remote_is_passed_on_untouched() {
    let scene = Scene::modern(AuthorizationServer::start(), Browser::following()).signed_in();
    let mut bridge = scene.bridge();
    let more = r#","requestState":"theirs","inputResponses":{"k":{"action":"accept","v":1.10}}"#;
    bridge.send(call("1", more));
    bridge.result("1");
    let calls = scene.remote.of("tools/call");
    assert_eq!(calls.last().unwrap().text(), call("1", more));
}
