//! A remote out in the world, played by a proxy, that points at what is here.

use crate::support::authorization_server::{AuthorizationServer, Resource};
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::browser::Browser;
use crate::support::home::Home;
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::Server;
use crate::support::web::{self, param};
use serde_json::json;

const REMOTE: &str = "http://mcp.example/mcp";

/// Plays the whole world: `answer` gets absolute URLs.
fn world(answer: impl Fn(&str, &Request, Wire) + Send + Sync + 'static) -> Server {
    Server::start(move |request, wire| answer(&request.target, request, wire))
}

fn bridge(world: &Server, browser: &Browser) -> Bridge {
    let proxy = format!("http://{}", world.address());
    let home = Home::new("memory").with("http_proxy", &proxy).with("BROWSER", &browser.command());
    home.launch(REMOTE).args(&["--allow-http", "--auth-timeout", "5"]).start()
}

fn unauthorized(wire: Wire, document: &str) {
    let challenge = format!(r#"Bearer resource_metadata="{document}""#);
    wire.reply(401, &[("WWW-Authenticate", &challenge)], b"");
}

#[track_caller]
fn refused(mut bridge: Bridge, browser: &Browser, inside: &AuthorizationServer) {
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let first = bridge.answer("1");
    bridge.notify("notifications/initialized", "{}");
    bridge.call("2");
    let error = bridge.own_error("2", &[-31001, -31002, -31004]).to_string();
    assert!(error.contains("127.0.0.1") || error.contains("localhost"), "{error} after {first}");
    assert!(browser.tabs().is_empty(), "{:?}", browser.tabs());
    assert_eq!(inside.server().connections(), 0, "{:?}", inside.server().requests());
    bridge.finish();
}

#[test]
fn a_challenge_cannot_point_at_this_machine() {
    for host in ["127.0.0.1", "localhost"] {
        let inside = AuthorizationServer::start();
        let browser = Browser::following();
        let origin = inside.origin().replace("127.0.0.1", host);
        let world = world(move |_, _, wire| unauthorized(wire, &format!("{origin}/document")));
        refused(bridge(&world, &browser), &browser, &inside);
    }
}

#[test]
fn resource_metadata_cannot_point_at_this_machine() {
    let inside = AuthorizationServer::start();
    let browser = Browser::following();
    let issuer = inside.issuer();
    let world = world(move |url, _, wire| match url {
        REMOTE => unauthorized(wire, "http://mcp.example/document"),
        _ => {
            wire.json(json!({ "resource": REMOTE, "authorization_servers": [issuer] }).to_string())
        }
    });
    refused(bridge(&world, &browser), &browser, &inside);
}

/// Nor can an authorization server out there; each endpoint in turn.
#[test]
fn an_authorization_server_out_there_cannot_have_endpoints_here() {
    for endpoint in ["token_endpoint", "registration_endpoint", "authorization_endpoint"] {
        let inside = AuthorizationServer::start();
        let browser = Browser::following();
        let here = format!("{}/token", inside.origin());
        let world = world(move |url, _, wire| {
            if url == REMOTE {
                return unauthorized(wire, "http://mcp.example/document");
            }
            if url.ends_with("/document") {
                let issuers = ["http://auth.example"];
                let document = json!({ "resource": REMOTE, "authorization_servers": issuers });
                return wire.json(document.to_string());
            }
            let mut document = json!({
                "issuer": "http://auth.example",
                "authorization_endpoint": "http://auth.example/authorize",
                "token_endpoint": "http://auth.example/token",
                "registration_endpoint": "http://auth.example/register",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            });
            document[endpoint] = json!(here);
            if url.contains("/.well-known/") {
                wire.json(document.to_string())
            } else {
                wire.status(404)
            }
        });
        refused(bridge(&world, &browser), &browser, &inside);
    }
}

/// The person named a server in here once: it stays theirs, for renewals and sign-ins.
#[test]
fn a_server_that_was_named_at_the_login_is_asked_without_being_named_again() {
    let inside = AuthorizationServer::scripted(|script| {
        script.lifetime = Some(1);
        script.resource = Resource::Any;
    });
    let browser = Browser::following();
    let legacy = Legacy::new().sessions(&Sessions::default()).into_handler();
    let issuer = inside.issuer();
    let (auth, named) = (std::sync::Arc::new(inside), issuer.clone());
    let judge = auth.clone();
    let world = world(move |url, request, wire| {
        let token = request.header("authorization").unwrap_or_default();
        if url != REMOTE {
            let document = json!({ "resource": REMOTE, "authorization_servers": [issuer] });
            return wire.json(document.to_string());
        }
        if !judge.accepts(token.trim_start_matches("Bearer ")) {
            return unauthorized(wire, "http://mcp.example/document");
        }
        let mut request = request.clone();
        request.target = "/mcp".to_owned();
        legacy(&request, wire);
    });
    let proxy = format!("http://{}", world.address());
    let home = Home::new("plaintext").with("http_proxy", &proxy);
    let home = std::sync::Arc::new(home.with("BROWSER", &browser.command()));
    home.run(&["login", REMOTE, "--allow-http", "--issuer", &named], "").expect(0);
    auth.wait_expiry();
    auth.script(|script| script.lifetime = Some(3600));
    let refreshed = auth.refreshed();
    for (renewals, tabs) in [(1, 1), (1, 2)] {
        let launch = crate::support::bridge::Launch::new(home.clone(), REMOTE);
        let mut bridge = launch.args(&["--allow-http"]).start().ready();
        bridge.call("1");
        bridge.result("1");
        assert_eq!(auth.refreshed(), refreshed + renewals);
        assert_eq!(browser.tabs().len(), tabs);
        auth.revoke_grants();
    }
}

/// What a name stands for is judged when it is connected to: names have no reach of their own.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_stands_for_this_machine_is_not_connected_to() {
    let names = crate::support::preload::Names::new();
    for endpoint in ["issuer", "token_endpoint", "registration_endpoint"] {
        let inside = AuthorizationServer::start();
        let browser = Browser::following();
        let port = inside.origin().rsplit_once(':').unwrap().1.to_owned();
        let here = format!("http://auth.inside.example:{port}");
        let world = world(move |url, _, wire| {
            let mut document = json!({
                "resource": REMOTE, "authorization_servers": ["http://auth.example"],
                "issuer": "http://auth.example",
                "authorization_endpoint": "http://auth.example/authorize",
                "token_endpoint": "http://auth.example/token",
                "registration_endpoint": "http://auth.example/register",
                "code_challenge_methods_supported": ["S256"],
            });
            match endpoint {
                "issuer" => document["authorization_servers"] = json!([here]),
                endpoint => document[endpoint] = json!(format!("{here}/{endpoint}")),
            }
            match url {
                REMOTE => unauthorized(wire, "http://mcp.example/document"),
                url if url.ends_with("/document") || url.contains("/.well-known/") => {
                    wire.json(document.to_string());
                }
                "http://auth.example/register" => {
                    wire.reply(201, &[], br#"{"client_id":"x"}"#);
                }
                _ => wire.status(404),
            }
        });
        let proxy = format!("http://{}", world.address());
        let home = Home::new("memory").with("http_proxy", &proxy);
        let home = home.with("no_proxy", "inside.example").with("BROWSER", &browser.command());
        let launch = home.launch(REMOTE).args(&["--allow-http", "--auth-timeout", "2"]);
        let mut bridge = names.serve(launch).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        bridge.answer("1");
        bridge.notify("notifications/initialized", "{}");
        bridge.call("2");
        let mut error = bridge.own_error("2", &[-31001, -31002, -31004]);
        if let Some(link) = error["data"]["url"].as_str() {
            let [redirect, state] =
                ["redirect_uri", "state"].map(|name| param(link, name).unwrap());
            let page = web::get(&format!("{redirect}?code=c0de&state={state}")).body;
            assert!(page.contains("failed"), "{page}");
            bridge.call("3");
            error = bridge.own_error("3", &[-31001, -31002, -31004]);
        }
        let error = error.to_string();
        assert_eq!(inside.server().connections(), 0, "{endpoint}: {error}");
    }
}
