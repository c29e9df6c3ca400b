//! A redirect may be a login page, or somebody else's server.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::{Request, Wire};
use crate::support::legacy::{Legacy, Sessions};
use crate::support::mcp_server::Server;

fn redirect(wire: Wire, status: u16, to: &str) {
    wire.reply(status, &[("Location", to)], b"<html>elsewhere</html>");
}

const LOGIN: &str = "https://team.login.example/cdn-cgi/access/login?kid=s3cretquery";

#[test]
fn a_redirect_to_a_login_page_is_refused_and_its_host_named() {
    for status in [301, 302, 303] {
        let server =
            Legacy::new().on("initialize", move |_, wire| redirect(wire, status, LOGIN)).start();
        let mut bridge = Bridge::to(&server);
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.own_error("1", &[-31001, -31004]);
        assert!(error.to_string().contains("team.login.example"), "{error}");
        assert!(!error.to_string().contains("s3cretquery"), "{error}");
        assert!(server.of("GET").is_empty(), "the redirect was followed");
    }
}

#[test]
fn a_redirect_that_turns_a_post_into_a_get_is_not_followed_on_the_same_origin_either() {
    for status in [301, 302, 303] {
        let server = Legacy::new()
            .on("tools/call", move |_, wire| redirect(wire, status, "/mcp/other"))
            .start();
        let mut bridge = Bridge::to(&server).ready();
        bridge.call("1");
        bridge.own_error("1", &[-31001, -31004]);
        assert!(server.requests().iter().all(|r| r.target == "/mcp"));
    }
}

#[test]
fn a_307_or_308_on_the_same_origin_is_followed_with_everything() {
    for status in [307, 308] {
        let server = Server::start({
            let legacy = Legacy::new().into_handler();
            move |request: &Request, wire| match request.target.as_str() {
                "/mcp" => redirect(wire, status, "/mcp/v2/?a=b"),
                _ => legacy(request, wire),
            }
        });
        let home = Home::new("plaintext");
        home.store_key(&server.url(), "key-for-here");
        let mut bridge = home.launch(&server.url()).start().ready();
        bridge.call("1");
        bridge.result("1");
        for request in server.requests() {
            let authorization = request.header("authorization");
            assert_eq!(authorization, Some("Bearer key-for-here"));
            assert_eq!(request.target == "/mcp", request.target != "/mcp/v2/?a=b");
        }
        let calls = server.of("tools/call");
        let followed = calls.iter().find(|r| r.target != "/mcp").unwrap();
        assert!(followed.text().contains(r#""name":"echo""#));
    }
}

#[test]
fn a_redirect_to_another_origin_is_refused_whole() {
    let elsewhere = Server::start(|request, _| panic!("{request:?} went elsewhere"));
    for status in [307, 308] {
        let there = elsewhere.url();
        let server =
            Legacy::new().on("tools/call", move |_, wire| redirect(wire, status, &there)).start();
        let home = Home::new("plaintext");
        home.store_key(&server.url(), "key-for-here");
        let mut bridge = home.launch(&server.url()).start().ready();
        bridge.call("1");
        bridge.own_error("1", &[-31001, -31004]);
        bridge.still_serves();
    }
    assert_eq!(elsewhere.connections(), 0);
}

/// `localhost` and `127.0.0.1` are two origins.
#[test]
fn another_name_for_the_same_machine_is_another_origin() {
    let server = Server::start(move |request, wire| {
        let host = request.header("host").unwrap();
        assert!(host.starts_with("127.0.0.1"), "{host}");
        let port = host.rsplit(':').next().unwrap();
        redirect(wire, 307, &format!("http://localhost:{port}/mcp"));
    });
    let mut bridge = Bridge::to(&server);
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    bridge.own_error("1", &[-31001, -31004]);
}

#[test]
fn a_redirect_in_a_circle_ends() {
    let server = Server::start(|_, wire| redirect(wire, 307, "/mcp"));
    let mut bridge = Bridge::to(&server);
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    bridge.own_error("1", &[-31003, -31004]);
    let tries = server.requests().len();
    assert!(tries <= 20, "{tries}");
}

/// A stream and the end of a session carry the credentials too.
#[test]
fn no_other_kind_of_request_is_led_elsewhere() {
    let elsewhere = Server::start(|request, _| panic!("{request:?} went elsewhere"));
    for status in [301, 302, 303, 307, 308] {
        let there = elsewhere.url();
        let server = Legacy::new()
            .sessions(&Sessions::default())
            .on("GET", {
                let there = there.clone();
                move |_, wire| redirect(wire, status, &there)
            })
            .on("DELETE", {
                let there = there.clone();
                move |_, wire| redirect(wire, status, &there)
            })
            .on("notifications/progress", {
                let there = there.clone();
                move |_, wire| redirect(wire, status, &there)
            })
            .start();
        let mut bridge = Bridge::to(&server).ready();
        server.wait_for("GET");
        bridge.notify("notifications/progress", "{}");
        server.wait_for("notifications/progress");
        bridge.still_serves();
        bridge.finish();
        server.wait_for("DELETE");
    }
    assert_eq!(elsewhere.connections(), 0);
}
