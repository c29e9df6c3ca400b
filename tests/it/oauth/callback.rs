//! The loopback listener: what it takes, what it refuses, and that nothing
//! but the right answer ends a sign-in.

use super::{at_the_door, live_as};
use crate::support::PATIENCE;
use crate::support::authorization_server::{AuthorizationServer, Iss, callback_of};
use crate::support::browser::Browser;
use crate::support::scene::Scene;
use crate::support::web::{self, authority, exchange, target, with_param};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn port_of(callback: &str) -> u16 {
    url::Url::parse(callback).unwrap().port().unwrap()
}

/// Refused with a page, and nothing has ended.
#[track_caller]
fn refused(url: &str) {
    let reply = web::get(url);
    assert_eq!(reply.status, 400, "{url}: {}", reply.body);
    assert!(!reply.body.contains("5ecret"), "{}", reply.body);
}

#[test]
fn a_wrong_missing_or_doubled_state_ends_nothing() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let right = callback_of(&link);
    let state = web::param(&right, "state").unwrap();
    let longer = format!("{state}x");
    for wrong in [None, Some(""), Some("guessed"), Some(&state[1..]), Some(&longer)] {
        refused(&with_param(&right, "state", wrong));
        // Nor is an error believed that anybody can send.
        let error = with_param(&right, "state", wrong).replace("code=", "error=access_denied&x=");
        refused(&error);
    }
    refused(&format!("{right}&state={state}"));
    refused(&format!("{right}&state=other"));
    assert!(scene.auth.asked("/token").is_empty());
    assert_eq!(web::get(&right).status, 200);
    live_as(&mut bridge, "ada");
}

#[test]
fn a_wrong_missing_or_doubled_iss_ends_nothing() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let right = callback_of(&link);
    let slash = format!("{}/", scene.auth.issuer());
    for wrong in [None, Some(""), Some("https://evil.example"), Some(&slash)] {
        refused(&with_param(&right, "iss", wrong));
        let error = with_param(&right, "iss", wrong).replace("code=", "error=access_denied&x=");
        refused(&error);
    }
    let iss = scene.auth.issuer();
    refused(&format!("{right}&iss={iss}"));
    refused(&format!("{right}&iss=https://evil.example"));
    assert!(scene.auth.asked("/token").is_empty());
    assert_eq!(web::get(&right).status, 200);
    live_as(&mut bridge, "ada");
}

/// All four rows of RFC 9207, section 2.4, in what the server itself sends.
#[test]
fn the_servers_iss_is_checked_whether_it_was_promised_or_not() {
    for (promised, iss, accepted) in [
        (true, Iss::Right, true),
        (true, Iss::Missing, false),
        (true, Iss::Is("https://evil.example".into()), false),
        (true, Iss::Twice, false),
        (false, Iss::Right, true),
        (false, Iss::Missing, true),
        (false, Iss::Is("https://evil.example".into()), false),
    ] {
        let auth = AuthorizationServer::scripted(|script| {
            let promise = serde_json::Value::from(promised);
            script.metadata = vec![("authorization_response_iss_parameter_supported", promise)];
            script.iss = iss;
        });
        let scene = Scene::of(auth, Browser::new());
        let (mut bridge, link) = at_the_door(&scene, &[]);
        let status = web::get(&callback_of(&link)).status;
        assert_eq!(status == 200, accepted, "{status}");
        if !accepted {
            assert!(scene.auth.asked("/token").is_empty());
            scene.auth.script(|script| script.iss = Iss::Right);
            web::get(&callback_of(&link));
        }
        live_as(&mut bridge, "ada");
    }
}

#[test]
fn another_host_method_or_path_ends_nothing() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let right = callback_of(&link);
    let port = port_of(&right);
    let ask = |host: &str, method: &str, target: &str| {
        exchange(&web::connect(&right).unwrap(), host, method, target, &[], "").unwrap().status
    };
    let here = authority(&right);
    for host in
        ["evil.example", &format!("evil.example:{port}"), "localhost:1", "", "localhost.evil"]
    {
        let status = ask(host, "GET", &target(&right));
        assert!((400..500).contains(&status), "{host}: {status}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let status = ask(&here, method, &target(&right));
        assert!((400..500).contains(&status), "{method}: {status}");
    }
    for path in
        ["/", "/favicon.ico", "/oauth", "/oauth/callback/", "/oauth/callbackx", "//oauth/callback"]
    {
        let query = target(&right).split_once('?').unwrap().1.to_owned();
        let status = ask(&here, "GET", &format!("{path}?{query}"));
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert!(scene.auth.asked("/token").is_empty());
    assert_eq!(ask(&here, "GET", &target(&right)), 200);
    live_as(&mut bridge, "ada");
}

#[test]
fn bytes_that_are_no_http_end_nothing() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let right = callback_of(&link);
    let long = format!("GET /oauth/callback?x={} HTTP/1.1\r\n", "x".repeat(1 << 20));
    let headers = "X: y\r\n".repeat(100_000);
    for bytes in ["\r\n\r\n", "\0\u{1}\u{16}\u{3}", &long, &headers, "GET / HTTP/9.9\r\n\r\n"] {
        let mut stream = web::connect(&right).unwrap();
        // It may hang up before it has all.
        let _ = stream.write_all(bytes.as_bytes());
    }
    assert_eq!(web::get(&right).status, 200);
    live_as(&mut bridge, "ada");
}

/// A browser opens connections ahead of need; someone else may open many.
#[test]
fn slow_and_many_other_connections_do_not_delay_the_right_one() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let right = callback_of(&link);
    let mut held = Vec::new();
    for n in 0..200 {
        let Ok(mut stream) = web::connect(&right) else { continue };
        let half = if n % 2 == 0 { "" } else { "GET /oauth/callback?code=x HTTP/1.1\r\nHost: " };
        let _ = stream.write_all(half.as_bytes());
        held.push(stream);
    }
    let start = Instant::now();
    assert_eq!(web::get(&right).status, 200);
    live_as(&mut bridge, "ada");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    // Nor does the end wait for them.
    bridge.close_stdin();
    bridge.wait_exit(Duration::from_secs(1));
}

#[test]
fn the_listener_answers_on_both_loopback_addresses() {
    for v6 in [false, true] {
        if v6 && TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
            return;
        }
        let scene = Scene::unattended();
        let (mut bridge, link) = at_the_door(&scene, &[]);
        let right = callback_of(&link);
        let port = port_of(&right);
        let stream = match v6 {
            true => TcpStream::connect((Ipv6Addr::LOCALHOST, port)),
            false => TcpStream::connect((Ipv4Addr::LOCALHOST, port)),
        };
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let page = exchange(&stream, &authority(&right), "GET", &target(&right), &[], "").unwrap();
        assert_eq!(page.status, 200);
        live_as(&mut bridge, "ada");
    }
}

#[test]
fn the_port_is_free_when_the_sign_in_is_over() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &[]);
    let right = callback_of(&link);
    web::get(&right);
    live_as(&mut bridge, "ada");
    crate::support::browser::wait("a free port", || web::connect(&right).err());
}

#[test]
fn a_port_that_is_taken_leads_to_another_and_a_new_registration() {
    for v6 in [false, true] {
        let scene = Scene::new().signed_in();
        let port = port_of(scene.auth.asked("/authorize")[0].param("redirect_uri").unwrap());
        let taken = match v6 {
            true => TcpListener::bind((Ipv6Addr::LOCALHOST, port)),
            false => TcpListener::bind((Ipv4Addr::LOCALHOST, port)),
        };
        let Ok(_taken) = taken else { return };
        scene.auth.revoke_grants();
        live_as(&mut scene.bridge().ready(), "ada");
        let asked = scene.auth.asked("/authorize");
        assert_ne!(port_of(asked[1].param("redirect_uri").unwrap()), port);
        assert_eq!(scene.auth.asked("/register").len(), 2);
        assert_eq!(scene.browser.tabs().len(), 2);
    }
}

#[test]
fn the_page_escapes_what_the_server_says_and_tells_the_truth() {
    let scene = Scene::unattended();
    let (mut bridge, link) = at_the_door(&scene, &["--auth-timeout", "2"]);
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}\u{7}";
    let callback = with_param(&callback_of(&link), "code", None);
    let callback = with_param(&callback, "error", Some("server_error"));
    let callback = with_param(&callback, "error_description", Some(evil));
    let page = web::get(&callback);
    assert!(!page.body.contains("<script>alert") && !page.body.contains("<img"), "{}", page.body);
    assert!(!page.body.contains('\u{202e}') && !page.body.contains('\u{7}'), "{}", page.body);
    assert!(page.body.contains("server_error"), "{}", page.body);
    bridge.call("1");
    let error = bridge.error("1").to_string();
    assert!(!error.contains('\u{202e}') && !error.contains("\\u0007"), "{error}");
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!bridge.stderr().contains('\u{202e}'), "{}", bridge.stderr());
}
