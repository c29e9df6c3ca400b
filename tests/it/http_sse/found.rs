//! Which remotes are taken for ones of HTTP+SSE, and by which flag.

use crate::support::PATIENCE;
use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::http::{Request, Wire};
use crate::support::http_sse::HttpSse;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::{Server, park};
use crate::support::modern;
use std::time::{Duration, Instant};

fn with(url: &str, args: &[&str]) -> Bridge {
    Home::new("memory").launch(url).args(args).start()
}

/// The error to a first handshake.
#[track_caller]
fn refused(bridge: &mut Bridge, codes: &[i64]) -> serde_json::Value {
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    bridge.own_error("1", codes)
}

#[test]
fn each_transport_does_what_it_says_at_a_remote_of_http_sse() {
    for (transport, works, posts_first) in [
        ("http-first", true, true),
        ("http-only", false, true),
        ("sse-first", true, false),
        ("sse-only", true, false),
    ] {
        let server = HttpSse::new().start();
        let args = ["--transport", transport, "--protocol", "legacy"];
        let mut bridge = with(&server.url(), &args);
        if works {
            let mut bridge = bridge.ready();
            bridge.call("2");
            bridge.result("2");
        } else {
            let error = refused(&mut bridge, &[-31004]);
            assert_eq!(error["data"]["httpStatus"], 405, "{error}");
            assert_eq!(server.of("GET").len(), 0, "{transport}");
        }
        let requests = server.requests();
        let first = (requests[0].method.as_str(), requests[0].target.as_str());
        let expected = if posts_first { ("POST", "/mcp") } else { ("GET", "/mcp") };
        assert_eq!(first, expected, "{transport}");
    }
}

#[test]
fn each_transport_does_what_it_says_at_a_remote_of_streamable_http() {
    for (transport, works) in
        [("http-first", true), ("http-only", true), ("sse-first", true), ("sse-only", false)]
    {
        let server = Legacy::new().lenient().start();
        let mut bridge = with(&server.url(), &["--transport", transport]);
        if works {
            let mut bridge = bridge.ready();
            bridge.call("2");
            bridge.result("2");
        } else {
            let error = refused(&mut bridge, &[-31004]);
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("HTTP+SSE"), "{message}");
            assert_eq!(server.of("initialize").len(), 0, "{transport}");
        }
    }
}

/// The fallback is for certain statuses, and not where a modern remote has spoken.
#[test]
fn what_is_no_sign_of_http_sse_is_answered_as_it_is() {
    let modern = |code: i64| {
        format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":"no"}}}}"#)
    };
    for (status, body, gets) in [
        (400, modern(-32020), 0),
        (400, modern(-32021), 0),
        (400, modern(-32022), 0),
        (404, modern(-32601), 0),
        (400, modern(-32601), 1),
        (400, modern(-32600), 1),
        (404, "<html>not here</html>".to_owned(), 1),
        (500, String::new(), 0),
        (406, String::new(), 0),
    ] {
        let said = body.clone();
        let server =
            Server::start(move |request: &Request, wire: Wire| match request.method.as_str() {
                "GET" => wire.status(405),
                _ => wire.reply(status, &[("Content-Type", "application/json")], said.as_bytes()),
            });
        let mut bridge = with(&server.url(), &["--protocol", "legacy"]);
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.error("1");
        if body.contains("jsonrpc") {
            assert_eq!(error["message"], "no", "{status} {body}");
        } else {
            assert_eq!(error["data"]["httpStatus"], status, "{error}");
        }
        assert_eq!(server.of("GET").len(), gets, "{status} {body}");
    }
}

/// A server of Streamable HTTP may have a GET stream, too.
#[test]
fn a_stream_that_begins_with_something_else_is_no_http_sse() {
    for first in ["data: {}\n\n", "id: 1\ndata: \n\n", "event: endpoints\ndata: /m\n\n"] {
        let server = Server::start(move |request: &Request, wire: Wire| {
            if request.method == "GET" {
                let mut events = wire.events();
                events.raw(first);
                events.client_closes_within(PATIENCE);
                return;
            }
            wire.status(404);
        });
        let mut bridge = with(&server.url(), &["--protocol", "legacy"]);
        let error = refused(&mut bridge, &[-31004]);
        assert_eq!(error["data"]["httpStatus"], 404, "the first failure counts: {error}");
        let mut bridge = with(&server.url(), &["--transport", "sse-only"]);
        let error = refused(&mut bridge, &[-31004]);
        assert!(error["message"].as_str().unwrap().contains("endpoint event"), "{error}");
    }
}

#[test]
fn an_endpoint_on_another_origin_is_refused_and_gets_nothing() {
    let stranger = Server::start(|_, wire| wire.accepted());
    let elsewhere = format!("{}?sessionId=hidden-0", stranger.url());
    for transport in ["http-first", "sse-first", "sse-only"] {
        let server = HttpSse::new()
            .endpoint({
                let elsewhere = elsewhere.clone();
                move |_, _| elsewhere.clone()
            })
            .start();
        let mut bridge = with(&server.url(), &["--transport", transport, "--debug"]);
        let error = refused(&mut bridge, &[-31004]);
        let text = error.to_string();
        assert!(text.contains("another origin"), "{text}");
        assert!(text.contains(&stranger.address().to_string()), "{text}");
        let ended = bridge.finish();
        assert!(!(text + &ended.stderr).contains("hidden-0"), "{}", ended.stderr);
        assert_eq!(server.of("initialize").len(), usize::from(transport == "http-first"));
    }
    assert!(stranger.requests().is_empty(), "{:?}", stranger.requests());
}

#[test]
fn an_endpoint_is_resolved_against_the_stream() {
    for endpoint in [
        (|path: &str, _: &Request| path.to_owned()) as fn(&str, &Request) -> String,
        |path, request| format!("http://{}{path}", request.header("host").unwrap()),
        |path, _| path.trim_start_matches('/').to_owned(),
        |path, _| format!("./{}#part", path.trim_start_matches('/')),
    ] {
        let server = HttpSse::new().endpoint(endpoint).start();
        let mut bridge = with(&server.url(), &[]).ready();
        bridge.call("1");
        bridge.result("1");
    }
}

#[test]
fn a_stream_that_names_no_endpoint_is_given_up_in_bounded_time() {
    let (handler, streams) = park();
    let server = Server::start(move |request: &Request, wire: Wire| match &*request.method {
        "GET" => handler(request, wire),
        _ => wire.status(405),
    });
    std::thread::scope(|scope| {
        for (n, transport) in ["sse-only", "http-first", "sse-only"].into_iter().enumerate() {
            let args = ["--transport", transport, "--protocol", "legacy"];
            let mut bridge = with(&server.url(), &args);
            bridge.request("1", "initialize", &initialize_params("2025-11-25"));
            let wire = streams.next().wire;
            let start = Instant::now();
            scope.spawn(move || {
                // In the middle of the event, before it, and before the headers.
                let _held = match n {
                    0 => {
                        let mut events = wire.events();
                        events.raw(": hello\n\nevent: endpoint\ndata: /messages");
                        Ok(events)
                    }
                    1 => Ok(wire.events()),
                    _ => Err(wire),
                };
                let codes: &[i64] = if n == 1 { &[-31004] } else { &[-31002] };
                bridge.own_error("1", codes);
                assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
                assert!(bridge.finish().took < Duration::from_secs(1));
            });
        }
    });
}

/// However much comes instead of it.
#[test]
fn an_endpoint_without_end_is_given_up() {
    let server = Server::start(|request: &Request, wire: Wire| {
        if request.method != "GET" {
            return wire.status(405);
        }
        let mut events = wire.events();
        events.raw("event: endpoint\ndata: /");
        for _ in 0..1000 {
            events.raw("x".repeat(1000));
        }
        events.client_closes_within(PATIENCE);
    });
    let mut bridge = with(&server.url(), &["--transport", "sse-only"]);
    let start = Instant::now();
    refused(&mut bridge, &[-31004]);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn redirects_on_the_same_origin_are_followed_to_stream_and_endpoint() {
    let server = HttpSse::new()
        .first(|request, wire| {
            let moved = match &*request.target {
                "/mcp" => "/moved/mcp",
                target if target.starts_with("/messages") => "/moved/there",
                _ => return Some(wire),
            };
            let query = request.target.split_once('?').map_or("", |(_, query)| query);
            wire.reply(307, &[("Location", &format!("{moved}?{query}"))], b"");
            None
        })
        .moved("/moved/mcp", "/moved/there")
        .start();
    let mut bridge = with(&server.url(), &[]).ready();
    bridge.call("1");
    bridge.result("1");
}

#[test]
fn a_client_that_shakes_hands_again_gets_a_connection_of_its_own() {
    let server = HttpSse::new().start();
    let mut bridge = with(&server.url(), &[]).ready();
    let before = server.stream(0);
    bridge.request("2", "initialize", &initialize_params("2025-06-18"));
    bridge.result("2");
    bridge.call("3");
    bridge.result("3");
    assert!(before.client_closes_within(PATIENCE), "the stream before stays open");
    assert_eq!(server.streams(), 2);
    // What the remote is was known by then.
    let posts =
        server.requests().iter().filter(|r| r.method == "POST" && r.target == "/mcp").count();
    assert_eq!(posts, 1);
}

/// Its era is found out on the way: nothing has to be said.
#[test]
fn a_modern_client_reaches_it_through_the_translation() {
    for flags in [&[][..], &["--transport", "sse-first"], &["--transport", "sse-only"]] {
        let server = HttpSse::new().start();
        let mut bridge = with(&server.url(), flags);
        bridge.send(modern::request("1", "server/discover", ""));
        assert_eq!(bridge.result("1")["resultType"], "complete");
        bridge.send(modern::request("2", "tools/call", r#""name":"echo","arguments":{}"#));
        assert_eq!(bridge.result("2")["content"][0]["text"], "ok");
        // The connection comes back without the client's noticing.
        server.stream(0).cut();
        server.stream(1);
        bridge.send(modern::request("3", "tools/list", ""));
        assert_eq!(bridge.result("3")["tools"][0]["name"], "echo");
        assert_eq!(server.streams(), 2, "{flags:?}");
    }
}
