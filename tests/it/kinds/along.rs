//! `--header` along with another kind: taught once, filled in anew each time, sent to the
//! remote's origin and to nobody else.

use super::{login, ready, whoami};
use crate::support::authorization_server::{AuthorizationServer, Published};
use crate::support::bridge::{Launch, initialize_params};
use crate::support::browser::Browser;
use crate::support::gate::{Gate, Verdict, bearers};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::legacy::Legacy;
use crate::support::login_endpoint::{LoginEndpoint, PASSWORD, USERNAME};
use crate::support::mcp_server::{Port, Server};
use crate::support::scene::Scene;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use crate::support::tokens::Tokens;
use std::sync::Arc;

const EDGE: &str = "edge-5ecret-0001";
const TENANT: &str = "tenant-5ecret-0002";
const HEADERS: [&str; 4] = ["--header", "X-Edge: ${vault:edge}", "--header", "X-Tenant:${TENANT}"];

fn has_both(request: &Request) -> bool {
    request.header("x-edge") == Some(EDGE) && request.header("x-tenant") == Some(TENANT)
}

#[track_caller]
fn nobody_else_saw(server: &Server) {
    for request in server.requests() {
        assert_eq!(request.header("x-edge"), None, "{}", request.target);
        assert_eq!(request.header("x-tenant"), None, "{}", request.target);
        let all = format!("{request:?}");
        assert!(!all.contains(EDGE) && !all.contains(TENANT), "{all}");
    }
}

/// A home that has the named secret and the variable.
fn home() -> Home {
    let home = Home::new("plaintext").with("TENANT", TENANT);
    home.run(&["secret", "set", "edge"], EDGE).expect(0);
    home
}

/// An edge that answers 404 to whoever lacks the headers, at every path.
fn behind_an_edge(
    port: Port,
    inner: impl Fn(&Request, crate::support::http::Wire) + Send + Sync + 'static,
) -> Server {
    port.serve(move |request, wire| match has_both(request) {
        true => inner(request, wire),
        false => wire.reply(404, &[], b"no such edge"),
    })
}

#[test]
fn with_a_sign_in_they_reach_the_remote_and_its_metadata_and_never_its_server() {
    for published in [Published::Named, Published::Path, Published::Root] {
        let auth = AuthorizationServer::scripted(|script| {
            script.published = published;
            script.lifetime = Some(3);
        });
        let port = Port::reserve();
        let guarded =
            auth.guarding(port.origin(), Legacy::new().tools(auth.whoami()).into_handler());
        let remote = behind_an_edge(port, guarded);
        let browser = Browser::following();
        let home = Arc::new(home().with("BROWSER", &browser.command()));
        login(&home, &remote.url(), &HEADERS, "").expect(0);
        // Taught: the URL alone is enough, for a refresh too.
        auth.wait_expiry();
        assert_eq!(whoami(&home, &remote.url(), &[]), "ada scope=-");
        assert_eq!(auth.refreshed(), 1);
        let remote_requests = remote.requests();
        assert!(remote_requests.iter().any(|r| r.target.contains("well-known")));
        assert!(remote_requests.iter().all(|request| has_both(request)));
        nobody_else_saw(auth.server());
        let alone = Home::new("plaintext").with("TENANT", TENANT);
        alone.run(&["secret", "set", "edge"], EDGE).expect(0);
        let alone = Arc::new(alone.with("BROWSER", &browser.command()));
        assert_eq!(whoami(&alone, &remote.url(), &HEADERS), "ada scope=-");
        nobody_else_saw(auth.server());
    }
}

#[test]
fn with_a_login_endpoint_and_a_token_endpoint_too() {
    let logins = LoginEndpoint::start();
    let tokens = TokenEndpoint::start(|_| Given::Token("machine".to_owned()));
    let (one, other) = (logins.tokens.clone(), tokens.tokens.clone());
    let remote = Gate::default().start(move |request| {
        let bearer = request.header("authorization").unwrap_or_default();
        let bearer = bearer.strip_prefix("Bearer ").unwrap_or_default();
        let who = one.who(bearer).or_else(|| other.who(bearer)).filter(|_| has_both(request));
        Verdict::or(who, 401)
    });
    let (login_url, token_url) = (logins.url(), tokens.url());
    for (flags, secret, who) in [
        (
            ["--with", "password", "--login-url", &login_url, "--username", USERNAME],
            PASSWORD,
            "ada",
        ),
        (
            ["--with", "client-credentials", "--client-id", "m", "--token-endpoint", &token_url],
            "cl1ent-5ecret",
            "machine",
        ),
    ] {
        let home = Arc::new(home());
        login(&home, &remote.url(), &[&flags[..], &HEADERS].concat(), secret).expect(0);
        assert_eq!(whoami(&home, &remote.url(), &[]), who);
    }
    nobody_else_saw(&logins.server);
    nobody_else_saw(&tokens.server);
}

/// An edge stands before all of its origin.
#[test]
fn a_login_endpoint_at_the_origin_of_the_remote_gets_them_too() {
    let tokens = Tokens::default();
    let given = tokens.clone();
    let remote = behind_an_edge(Port::reserve(), {
        let inner = Gate::default().into_handler(move |request| {
            let sent = request.header("authorization").unwrap_or_default();
            Verdict::or(sent.strip_prefix("Bearer ").and_then(|token| tokens.who(token)), 401)
        });
        move |request, wire| {
            if request.target != "/auth/token" {
                return inner(request, wire);
            }
            let token = given.give("ada", std::time::Duration::from_secs(60));
            wire.json(serde_json::json!({ "token": token }).to_string());
        }
    });
    let home = Arc::new(home());
    let url = format!("http://{}/auth/token", remote.address());
    let flags = ["--with", "password", "--login-url", &url, "--username", USERNAME];
    login(&home, &remote.url(), &[&flags[..], &HEADERS].concat(), PASSWORD).expect(0);
    assert_eq!(whoami(&home, &remote.url(), &[]), "ada");
}

#[test]
fn with_a_key_and_with_nothing() {
    let remote = Gate::default().start(|request| {
        let key = request.header("authorization").unwrap_or("nobody").to_owned();
        Verdict::or(has_both(request).then_some(key), 401)
    });
    for (kind, stdin, who) in
        [("api-key", "the-5ecret-key", "Bearer the-5ecret-key"), ("none", "", "nobody")]
    {
        let home = Arc::new(home());
        let flags = [&["--with", kind], &HEADERS[..]].concat();
        login(&home, &remote.url(), &flags, stdin).expect(0);
        assert_eq!(whoami(&home, &remote.url(), &[]), who);
    }
}

/// What is kept is the reference, not what it stood for.
#[test]
fn a_reference_is_filled_in_anew_by_each_process() {
    let home = home();
    let remote = Gate::default().start(|request| {
        let sent = |name| request.header(name).unwrap_or("-").to_owned();
        Verdict::Is(format!("{} {}", sent("x-edge"), sent("x-tenant")))
    });
    let flags = [&["--with", "none"], &HEADERS[..]].concat();
    login(&home, &remote.url(), &flags, "").expect(0);
    home.run(&["secret", "set", "edge"], "replaced-5ecret").expect(0);
    let home = Arc::new(home.with("TENANT", "moved-5ecret"));
    assert_eq!(whoami(&home, &remote.url(), &[]), "replaced-5ecret moved-5ecret");
    for (path, content) in home.files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains("5ecret"), "a secret is in clear in {}", path.display());
    }
}

/// A client may pass the placeholder of its own settings on, which is nobody's value.
#[test]
fn a_variable_that_a_client_left_unfilled_is_not_sent() {
    let home = home();
    let remote = Gate::default().start(|_| Verdict::Is("somebody".to_owned()));
    let flags = [&["--with", "none"], &HEADERS[..], &["--no-verify"]].concat();
    login(&home, &remote.url(), &flags, "").expect(0);
    let home = home.with("TENANT", "${user_config.tenant}");
    let mut bridge = home.launch(&remote.url()).start();
    bridge.request("0", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.own_error("0", &[-31001]);
    assert!(error.to_string().contains("TENANT"), "{error}");
    assert!(remote.requests().is_empty());
}

#[test]
fn a_reference_that_leads_nowhere_is_an_error_before_anything_is_sent() {
    let endpoint = LoginEndpoint::start();
    let remote = bearers(401, |_| panic!("something was sent"));
    let url = endpoint.url();
    for gone in ["edge", "TENANT"] {
        let mut home = home();
        let flags = ["--with", "password", "--login-url", &url, "--username", USERNAME];
        let flags = [&flags[..], &HEADERS, &["--no-verify"]].concat();
        login(&home, &remote.url(), &flags, PASSWORD).expect(0);
        match gone {
            "edge" => drop(home.run(&["secret", "rm", "edge"], "").expect(0)),
            _ => home.unset("TENANT"),
        }
        let mut bridge = home.launch(&remote.url()).start();
        bridge.request("0", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.error("0");
        assert!(error.to_string().contains(gone), "{error}");
        assert!(!error.to_string().contains("5ecret"), "{error}");
    }
    assert!(remote.requests().is_empty());
    assert_eq!(endpoint.logins(), 0);
}

#[test]
fn a_header_of_the_flags_wins_over_one_of_that_name_that_was_taught() {
    let home = Arc::new(home());
    let remote = Gate::default().start(|request| {
        let sent = |name| request.header(name).unwrap_or("-").to_owned();
        Verdict::Is(format!("{} {}", sent("x-edge"), sent("x-tenant")))
    });
    let flags = [&["--with", "none"], &HEADERS[..]].concat();
    login(&home, &remote.url(), &flags, "").expect(0);
    let mine = ["--header", "x-tenant: mine"];
    assert_eq!(whoami(&home, &remote.url(), &mine), format!("{EDGE} mine"));
    assert_eq!(whoami(&home, &remote.url(), &[]), format!("{EDGE} {TENANT}"));
}

#[test]
fn a_file_of_headers_is_taught_and_read_anew() {
    let home = Home::new("plaintext");
    let file = home.file("headers", "X-Edge: from-a-file\n");
    let remote = Gate::default()
        .start(|request| Verdict::Is(request.header("x-edge").unwrap_or("-").to_owned()));
    let flags = ["--with", "none", "--header-file", &file];
    login(&home, &remote.url(), &flags, "").expect(0);
    let home = Arc::new(home);
    assert_eq!(whoami(&home, &remote.url(), &[]), "from-a-file");
}

/// Another origin that the remote names gets none of them, and no cookie either.
#[test]
fn a_document_at_another_origin_is_asked_for_without_them() {
    let scene = Scene::new();
    let elsewhere = Server::start(|_, wire| wire.status(404));
    let document = format!("http://{}/document", elsewhere.address());
    scene.auth.script(|script| {
        script.challenges = Some(vec![format!(r#"Bearer resource_metadata="{document}""#)]);
    });
    let mut bridge = Launch::new(scene.home.clone(), &scene.url())
        .args(&["--header", "X-Edge: edge-5ecret-0001", "--auth-timeout", "2"])
        .start()
        .ready();
    bridge.call("1");
    bridge.answer("1");
    nobody_else_saw(&elsewhere);
    nobody_else_saw(scene.auth.server());
    drop(ready(&scene.another_home("memory"), &scene.url(), &[]));
}
