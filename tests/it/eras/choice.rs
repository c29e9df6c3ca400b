//! What the client speaks first is offered to the remote first, with one round trip wasted.

use crate::support::bridge::{Bridge, Launch, initialize_params};
use crate::support::home::Home;
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::Server;
use crate::support::modern::{Modern, Tools, request};
use std::sync::Arc;

const ECHO: &str = r#"{"name":"echo","inputSchema":{"type":"object"}}"#;

fn modern_only() -> Server {
    let tools = Tools::default();
    tools.set(&[ECHO]);
    Modern::new().tools(&tools).start()
}

fn legacy_only() -> Server {
    Legacy::new().sessions(&Sessions::default()).start()
}

/// A home in which a key for this remote is kept.
fn home_with_key(url: &str) -> Arc<Home> {
    let home = Arc::new(Home::new("plaintext"));
    let login = ["login", url, "--with", "api-key", "--no-verify"];
    home.run(&login, "k3y-of-carol").expect(0);
    home
}

#[track_caller]
fn serves_a_legacy_client(bridge: Bridge) -> Bridge {
    let mut bridge = bridge.ready();
    assert_eq!(bridge.tools(), ["echo"]);
    bridge.call("7");
    bridge.result("7");
    bridge
}

#[track_caller]
fn serves_a_modern_client(mut bridge: Bridge) -> Bridge {
    bridge.send(request("1", "server/discover", ""));
    let discovered = bridge.result("1");
    assert_eq!(discovered["resultType"], "complete", "{discovered}");
    assert_eq!(discovered["supportedVersions"][0], "2026-07-28", "{discovered}");
    bridge.send(request("2", "tools/list", ""));
    assert_eq!(bridge.tool_names("2"), ["echo"]);
    bridge.send(request("3", "tools/call", r#""name":"echo","arguments":{}"#));
    assert_eq!(bridge.result("3")["resultType"], "complete");
    bridge
}

#[test]
fn a_legacy_client_reaches_a_modern_remote_with_one_request_wasted() {
    let server = modern_only();
    let bridge = serves_a_legacy_client(Bridge::to(&server));
    assert!(bridge.finish().status.success());
    let kinds = server.kinds();
    assert_eq!(kinds[..2], ["initialize", "server/discover"], "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "initialize").count(), 1, "{kinds:?}");
    assert!(!kinds.contains(&"notifications/initialized".to_owned()), "{kinds:?}");
}

#[test]
fn a_modern_client_reaches_a_legacy_remote_with_one_request_wasted() {
    let server = legacy_only();
    let bridge = serves_a_modern_client(Bridge::to(&server));
    assert!(bridge.finish().status.success());
    let kinds = server.kinds();
    let expected = ["server/discover", "initialize", "notifications/initialized"];
    assert_eq!(kinds[..3], expected, "{kinds:?}");
    assert_eq!(kinds.last().map(String::as_str), Some("DELETE"), "{kinds:?}");
}

#[test]
fn a_modern_client_that_discovers_nothing_reaches_a_legacy_remote_too() {
    let server = legacy_only();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("3", "tools/call", r#""name":"echo","arguments":{}"#));
    assert_eq!(bridge.result("3")["resultType"], "complete");
    assert_eq!(server.of("tools/call").len(), 2, "once in each era");
}

#[test]
fn the_era_of_a_remote_is_remembered_where_a_credential_is_kept() {
    let server = modern_only();
    let home = home_with_key(&server.url());
    serves_a_legacy_client(Bridge::start_in(&home, &server.url())).finish();
    assert_eq!(server.of("initialize").len(), 1);
    serves_a_legacy_client(Bridge::start_in(&home, &server.url())).finish();
    assert_eq!(server.of("initialize").len(), 1, "nothing is wasted the second time");

    let server = legacy_only();
    let home = home_with_key(&server.url());
    serves_a_modern_client(Bridge::start_in(&home, &server.url())).finish();
    serves_a_modern_client(Bridge::start_in(&home, &server.url())).finish();
    assert_eq!(server.of("server/discover").len(), 1);
}

#[test]
fn a_client_of_the_remotes_own_era_leaves_nothing_to_remember() {
    let server = legacy_only();
    let home = home_with_key(&server.url());
    let files = home.files().len();
    serves_a_legacy_client(Bridge::start_in(&home, &server.url())).finish();
    assert_eq!(home.files().len(), files);
}

#[test]
fn flags_settle_the_era() {
    let home = || Arc::new(Home::new("memory"));
    let server = modern_only();
    let launch = Launch::new(home(), &server.url()).args(&["--protocol", "modern"]);
    serves_a_legacy_client(launch.start()).finish();
    assert!(server.of("initialize").is_empty(), "{:?}", server.kinds());

    let server = legacy_only();
    let launch = Launch::new(home(), &server.url()).args(&["--protocol", "legacy"]);
    serves_a_modern_client(launch.start()).finish();
    assert!(server.of("server/discover").is_empty(), "{:?}", server.kinds());

    let server = modern_only();
    let mut bridge = Launch::new(home(), &server.url()).args(&["--protocol", "legacy"]).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    assert_eq!(bridge.error("1")["code"], -32020);
    assert_eq!(server.kinds(), ["initialize"]);
}

#[test]
fn a_remote_of_no_era_is_told_of_by_its_first_words() {
    let server = Server::start(|request, wire| {
        let body = format!("no {} here", request.kind());
        wire.reply(404, &[("Content-Type", "text/plain")], body.as_bytes());
    });
    let mut bridge = Bridge::to(&server);
    for id in ["1", "2"] {
        bridge.request(id, "initialize", &initialize_params("2025-11-25"));
        let error = bridge.own_error(id, &[-31004]);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains("no initialize here"), "{message}");
        assert_eq!(error["data"]["httpStatus"], 404);
    }
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "server/discover", ""));
    let error = bridge.own_error("1", &[-31004]);
    assert!(error.to_string().contains("no server/discover here"), "{error}");
}

#[test]
fn what_a_client_sends_without_waiting_is_translated_too() {
    let server = modern_only();
    let mut bridge = Bridge::to(&server);
    bridge.request("1", "initialize", &initialize_params("2025-06-18"));
    bridge.notify("notifications/initialized", "{}");
    bridge.call("2");
    bridge.request("3", "ping", "{}");
    let initialized = bridge.result("1");
    assert_eq!(initialized["protocolVersion"], "2025-06-18", "{initialized}");
    bridge.result("2");
    bridge.result("3");
    assert!(server.of("ping").is_empty());
    assert!(server.of("notifications/initialized").is_empty());
}

#[test]
fn a_client_that_falls_back_by_itself_is_served_in_its_second_era() {
    let server = legacy_only();
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "server/discover", ""));
    bridge.result("1");
    let bridge = serves_a_legacy_client(bridge);
    assert!(bridge.finish().status.success());
    assert_eq!(server.of("initialize").len(), 2, "one for each");
}

#[test]
fn nothing_is_kept_for_a_credential_that_the_flags_alone_make() {
    let server = modern_only();
    let home = Arc::new(Home::new("plaintext"));
    let files = home.files().len();
    let made = ["--with", "command", "--command", "/bin/echo", "--command-arg", "k3y"];
    let given = ["--with", "api-key", "--secret-env", "KEY"];
    for args in [&made[..], &given[..]] {
        let launch = Launch::new(home.clone(), &server.url()).args(args).env("KEY", "k3y");
        let ended = serves_a_legacy_client(launch.start()).finish();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(home.files().len(), files, "{args:?}");
    }
    let sent = server.requests();
    assert!(sent.iter().all(|one| one.header("authorization") == Some("Bearer k3y")));
}
/// SDK clients discover in a process that they throw away, and begin the next one with a call.
#[test]
fn a_legacy_remote_that_takes_a_modern_request_for_its_own_is_told_by_its_answer() {
    let legacy = Legacy::new().lenient().into_handler();
    let server = Server::start(move |request, wire| {
        let modern = request.header("mcp-protocol-version") == Some("2026-07-28");
        match request.kind().as_str() {
            "server/discover" => wire.json(request.result("{}")),
            "tools/list" if modern => {
                wire.json(request.result(r#"{"v":1.10,"tools":[{"name":"a"},{"name":"b"}]}"#))
            }
            _ => legacy(request, wire),
        }
    });
    let home = Arc::new(Home::new("memory"));
    let mut bridge = Launch::new(home, &server.url()).args(&["--ignore-tool", "b"]).start();
    bridge.send(request("1", "tools/list", ""));
    let line = bridge.answer_line("1");
    assert!(line.contains(r#""v":1.10"#) && !line.contains(r#""b""#), "{line}");
    assert!(line.contains(r#""resultType":"complete""#) && line.contains(r#""ttlMs":0"#), "{line}");
    bridge.send(request("2", "tools/call", r#""name":"echo","arguments":{}"#));
    assert_eq!(bridge.result("2")["resultType"], "complete");
    let expected = ["tools/list", "initialize", "notifications/initialized"];
    assert_eq!(server.kinds()[..3], expected, "nothing is sent twice");
    let mut bridge = Bridge::to(&server);
    bridge.send(request("1", "server/discover", ""));
    assert_eq!(bridge.result("1")["supportedVersions"][0], "2026-07-28");
}
