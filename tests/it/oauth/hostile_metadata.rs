//! Documents and endpoints that nobody may believe. Nothing is opened, nothing
//! leaks, and the client learns what was wrong.

use super::live_as;
use crate::support::authorization_server::{
    AuthorizationServer, Changes, Published, Script, redirect_to,
};
use crate::support::bridge::initialize_params;
use crate::support::http::{Request, Wire};
use crate::support::mcp_server::Server;
use crate::support::scene::Scene;
use serde_json::{Value, json};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The client gets an error that names `cause`; no tab, no code, no token.
#[track_caller]
fn refused(scene: &Scene, cause: &str) {
    let flags = ["--auth-timeout", "20", "--log-level", "trace"];
    let mut bridge = scene.launch().args(&flags).start();
    let start = Instant::now();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let first = bridge.answer("1");
    bridge.notify("notifications/initialized", "{}");
    bridge.call("2");
    let second = bridge.own_error("2", &[-31001, -31002, -31004]).to_string();
    assert!(start.elapsed() < Duration::from_secs(45), "{:?}", start.elapsed());
    assert!(second.contains(cause), "no {cause:?} in {second}, first {first}");
    assert!(scene.browser.tabs().is_empty(), "{:?}", scene.browser.tabs());
    assert!(scene.auth.asked("/token").is_empty());
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr, &second]);
}

fn with_metadata(changes: Changes) -> Scene {
    Scene::scripted(|script| script.metadata = changes)
}

fn with_resource(changes: Changes) -> Scene {
    Scene::scripted(|script: &mut Script| script.resource_metadata = changes)
}

#[test]
fn metadata_of_another_issuer_is_refused() {
    for issuer in [
        json!("https://evil.example"),
        json!("{as}/"),
        json!("{as}/tenant"),
        json!("HTTP://127.0.0.1"),
        json!(""),
        Value::Null,
        json!(["{as}"]),
    ] {
        refused(&with_metadata(vec![("issuer", issuer)]), "metadata");
    }
}

#[test]
fn metadata_of_another_resource_is_refused() {
    for resource in [
        json!("https://evil.example/mcp"),
        json!("{remote}/other"),
        // A prefix of the path, but not of its segments.
        json!("{remote}/mc"),
        json!("{remote}/mcp/deeper"),
        json!("{remote}.evil.example/mcp"),
        json!("{remote}@evil.example/mcp"),
        json!("https://127.0.0.1/mcp"),
    ] {
        refused(&with_resource(vec![("resource", resource)]), "metadata");
    }
}

#[test]
fn a_document_of_no_resource_is_none() {
    for resource in [json!(""), json!(["{remote}/mcp"]), json!(7), Value::Null] {
        refused(&with_resource(vec![("resource", resource)]), "");
    }
}

/// The document is believed wherever it is named, and nothing else then.
#[test]
fn a_wrong_resource_is_no_reason_to_look_elsewhere() {
    let scene = Scene::scripted(|script| {
        script.published = Published::Elsewhere;
        script.resource_metadata = vec![("resource", json!("https://evil.example/mcp"))];
    });
    refused(&scene, "metadata");
    let asked = scene.remote.requests();
    assert!(!asked.iter().any(|request| request.target.starts_with("/.well-known")));
}

#[test]
fn a_server_without_s256_is_refused_unless_one_assumes_it() {
    for methods in [Value::Null, json!([]), json!(["plain"])] {
        let changes = vec![("code_challenge_methods_supported", methods)];
        let scene = with_metadata(changes.clone());
        refused(&scene, "--assume-pkce");
        // The challenge is sent all the same; the server insists on it.
        live_as(&mut scene.launch().args(&["--assume-pkce"]).start().ready(), "ada");
    }
}

#[test]
fn an_authorization_endpoint_that_is_no_web_page_is_never_opened() {
    for endpoint in [
        "javascript:alert(document.cookie)",
        "file:///etc/passwd",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "ms-msdt:/id",
        "ftp://127.0.0.1/authorize",
        "/authorize",
        "--help",
        "",
        "http://",
    ] {
        refused(&with_metadata(vec![("authorization_endpoint", json!(endpoint))]), "URL");
    }
}

#[test]
fn plain_http_off_this_machine_is_refused() {
    for endpoint in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        let changes = vec![(endpoint, json!("http://auth.example/endpoint"))];
        refused(&with_metadata(changes), "http");
    }
    let servers = vec![("authorization_servers", json!(["http://auth.example"]))];
    refused(&with_resource(servers), "http");
}

/// A remote on this machine may name this machine and the world, not the net between.
#[test]
fn endpoints_at_private_and_link_local_addresses_are_refused() {
    for host in
        ["10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fe80::1]", "[fd00::1]"]
    {
        let issuer = format!("https://{host}");
        let servers = vec![("authorization_servers", json!([issuer]))];
        refused(&with_resource(servers), host);
        let changes = vec![("token_endpoint", json!(format!("https://{host}/token")))];
        refused(&with_metadata(changes), host);
    }
}

/// A page must not be able to say more than a page may.
#[test]
fn what_a_server_says_is_shown_without_control_characters() {
    let evil = "no\u{1b}[2J\u{202e}\u{7}<b>\r\ninjected";
    let scene = Scene::new();
    let body = json!({ "error": "invalid_client_metadata", "error_description": evil });
    scene.auth.on("/register", move |_, wire| {
        wire.reply(400, &[("Content-Type", "application/json")], body.to_string().as_bytes());
    });
    let mut bridge = scene.launch().args(&["--auth-timeout", "5"]).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]);
    let message = error["message"].as_str().unwrap();
    assert!(error.to_string().contains("injected"), "{error}");
    for text in [message, &bridge.stderr()] {
        for bad in ['\u{1b}', '\u{202e}', '\u{7}'] {
            assert!(!text.contains(bad), "{bad:?} in {text:?}");
        }
    }
}

/// Writes until the other side has enough, and says how much that was.
fn flood(
    head: &'static [u8],
    chunk: Vec<u8>,
    pause: Duration,
) -> (impl Fn(&Request, Wire) + Send + Sync + 'static, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let handler = move |_: &Request, wire: Wire| {
        let mut stream = wire.stream();
        let _ = stream.write_all(head);
        while stream.write_all(&chunk).is_ok() && counted.load(Ordering::SeqCst) < 200 << 20 {
            counted.fetch_add(chunk.len(), Ordering::SeqCst);
            std::thread::sleep(pause);
        }
        wire.cut();
    };
    (handler, sent)
}

const JSON_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"a\":\"";
const EVENTS_HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

#[test]
fn metadata_without_end_is_given_up_soon() {
    let cases = [
        (JSON_HEAD, vec![b'x'; 1 << 20], Duration::ZERO),
        (JSON_HEAD, vec![b'x'; 10], Duration::from_millis(100)),
        (EVENTS_HEAD, b": still here\n\n".to_vec(), Duration::from_millis(100)),
    ];
    let given_up = |(head, chunk, pause)| {
        let scene = Scene::new();
        let (handler, sent) = flood(head, chunk, pause);
        scene.auth.on("/.well-known/oauth-authorization-server", handler);
        refused(&scene, &scene.auth.origin()[7..]);
        let sent = sent.load(Ordering::SeqCst);
        // Several looks, each with what lies in the system's buffers.
        assert!(sent < 100 << 20, "{sent} bytes were taken");
    };
    std::thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || given_up(case));
        }
    });
}

/// Few bytes on the wire, many in memory.
#[test]
fn metadata_that_unpacks_without_end_is_given_up() {
    let scene = Scene::new();
    scene.auth.on("/.well-known/oauth-authorization-server", |_, wire| {
        let packed = Vec::new();
        let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::best());
        packer.write_all(b"{\"a\":\"").unwrap();
        for _ in 0..100 {
            packer.write_all(&vec![b'x'; 1 << 20]).unwrap();
        }
        let packed = packer.finish().unwrap();
        let headers = [("Content-Type", "application/json"), ("Content-Encoding", "gzip")];
        wire.reply(200, &headers, &packed);
    });
    refused(&scene, &scene.auth.origin()[7..]);
}

#[test]
fn metadata_that_redirects_for_ever_is_given_up() {
    let scene = Scene::new();
    let path = "/.well-known/oauth-authorization-server";
    scene.auth.on(path, redirect_to(302, path));
    refused(&scene, &scene.auth.origin()[7..]);
    assert!(scene.auth.asked(path).len() < 50);
}

#[test]
fn documents_that_are_none_are_refused() {
    for body in ["[]", "null", "not json", "", "{\"issuer\":1}", "\u{feff}{"] {
        let scene = Scene::new();
        scene.auth.on("/.well-known/oauth-authorization-server", move |_, wire| wire.json(body));
        refused(&scene, &scene.auth.origin()[7..]);
    }
    let scene = Scene::new();
    let nested = "[".repeat(1 << 20);
    scene.auth.on("/.well-known/oauth-authorization-server", move |_, wire| wire.json(&nested));
    refused(&scene, &scene.auth.origin()[7..]);
}

/// Another server's document does not become this one's by a redirect.
#[test]
fn metadata_redirected_to_another_origin_is_not_believed() {
    let other = AuthorizationServer::start();
    let scene = Scene::new();
    let path = "/.well-known/oauth-authorization-server";
    scene.auth.on(path, redirect_to(302, &format!("{}{path}", other.origin())));
    refused(&scene, &scene.auth.origin()[7..]);
    assert!(other.asked("/register").is_empty());
}

/// The client's own data stays with whom it was meant for.
#[test]
fn a_registration_that_is_redirected_goes_nowhere() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::start(|_, _| panic!("the registration was sent elsewhere"));
        let scene = Scene::new();
        let target = elsewhere.url();
        scene.auth.on("/register", redirect_to(status, &target));
        refused(&scene, "redirect");
    }
}
