//! `--with cloudflare-access`: a service token for an edge that sends everybody else to a
//! login page.

use super::{first_error, hint, login, ready, tells, whoami, works_both_ways};
use crate::support::bridge::Bridge;
use crate::support::gate::{Gate, Verdict};
use crate::support::home::Home;
use crate::support::http::Request;
use crate::support::mcp_server::Server;
use crate::support::scene::Scene;
use serde_json::json;
use std::sync::Arc;

const ID: &str = "0123456789abcdef.access";
const SECRET: &str = "access-5ecret-0123456789";
const PAGE: &str = "https://team.cloudflareaccess.com/cdn-cgi/access/login/mcp.example?kid=s3cret";

fn has_both(request: &Request) -> bool {
    request.header("cf-access-client-id") == Some(ID)
        && request.header("cf-access-client-secret") == Some(SECRET)
}

fn edge(status: u16) -> Server {
    Gate::default().start(move |request| {
        assert_eq!(request.header("authorization"), None);
        if has_both(request) {
            return Verdict::Is("service".to_owned());
        }
        Verdict::Refused(status, vec![("Location", PAGE.to_owned())], "<html>".to_owned())
    })
}

#[test]
fn both_headers_go_out_with_every_request() {
    let edge = edge(302);
    let home = Arc::new(Home::new("plaintext"));
    let flags = ["--with", "cloudflare-access", "--client-id", ID];
    let both = works_both_ways(&home, &edge.url(), &flags, &[("--secret-env", SECRET)]);
    assert_eq!(both, ["service", "service"]);
    let before = edge.requests().len();
    let mut bridge = ready(&home, &edge.url(), &[]);
    bridge.whoami();
    edge.wait_for_count("GET", 3);
    bridge.finish();
    let requests = edge.requests().split_off(before);
    let kinds: Vec<_> = requests.iter().map(|request| request.kind()).collect();
    assert!(kinds.contains(&"GET".to_owned()) && kinds.contains(&"DELETE".to_owned()), "{kinds:?}");
    assert!(requests.iter().all(|request| has_both(request)), "{kinds:?}");
    let header = home.run(&["token", &edge.url(), "--header"], "").expect(0).stdout.to_lowercase();
    assert!(header.contains(&format!("cf-access-client-id: {ID}\n")), "{header}");
    assert!(header.contains(&format!("cf-access-client-secret: {SECRET}\n")), "{header}");
}

#[test]
fn the_login_page_is_named_as_what_it_is() {
    for status in [302, 303, 403] {
        let edge = edge(status);
        let home = Arc::new(Home::new("plaintext"));
        let flags = ["--with", "cloudflare-access", "--client-id", ID];
        let done = login(&home, &edge.url(), &flags, "another-5ecret").expect_one_of(&[1, 3]);
        let address = edge.address().to_string();
        tells(&json!(done.stderr), &[&address]);
        assert!(!done.stderr.contains("5ecret") && !done.stderr.contains("s3cret"));
        let flags = [&flags[..], &["--no-verify"]].concat();
        login(&home, &edge.url(), &flags, "another-5ecret").expect(0);
        let mut bridge = Bridge::start_in(&home, &edge.url());
        let error = first_error(&mut bridge, &[-31001, -31004]);
        tells(&error, &[&address]);
        if status != 403 {
            tells(&error, &["team.cloudflareaccess.com"]);
        }
        let hint = hint(&error);
        for part in ["keyferry login", &edge.url(), "--with cloudflare-access", ID] {
            assert!(hint.contains(part), "{part}: {hint}");
        }
        let all = error.to_string() + &bridge.finish().stderr;
        assert!(!all.contains("5ecret") && !all.contains("s3cret"), "{all}");
    }
}

/// An edge before a remote that has a sign-in of its own.
#[test]
fn headers_of_an_edge_go_along_with_a_sign_in_and_not_to_its_server() {
    let auth = crate::support::authorization_server::AuthorizationServer::start();
    let port = crate::support::mcp_server::Port::reserve();
    let inner = crate::support::legacy::Legacy::new().tools(auth.whoami()).into_handler();
    let guarded = auth.guarding(port.origin(), inner);
    let remote = port.serve(move |request, wire| {
        if has_both(request) {
            return guarded(request, wire);
        }
        wire.reply(302, &[("Location", PAGE)], b"");
    });
    let scene = Scene::with(auth, remote, crate::support::browser::Browser::following());
    scene.home.run(&["secret", "set", "access"], SECRET).expect(0);
    let id = format!("CF-Access-Client-Id: {ID}");
    let headers = ["--header", &id, "--header", "CF-Access-Client-Secret: ${vault:access}"];
    scene.login(&headers).expect(0);
    // The URL alone, from here on.
    assert_eq!(whoami(&scene.home, &scene.url(), &[]), "ada scope=-");
    assert!(scene.remote.requests().iter().all(|request| has_both(request)));
    for request in scene.auth.server().requests() {
        assert_eq!(request.header("cf-access-client-id"), None, "{}", request.target);
        assert_eq!(request.header("cf-access-client-secret"), None, "{}", request.target);
    }
}
