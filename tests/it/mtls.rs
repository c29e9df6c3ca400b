//! Servers that want to see a client certificate, and servers that cannot be trusted.

use crate::support::bridge::{Launch, initialize_params};
use crate::support::home::Home;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use crate::support::tls::{Authority, Door, Opened};
use rustls::version::{TLS12, TLS13};
use serde_json::Value;
use std::sync::Arc;

/// The command that a person is given, for this URL.
fn login(url: &str) -> String {
    format!("keyferry login {url} --with none --client-cert PEM --client-key PEM")
}

/// What the client is told by its first request.
#[track_caller]
fn first_error(launch: Launch, code: i64) -> Value {
    let mut bridge = launch.start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.own_error("1", &[code]);
    assert!(!bridge.stderr().contains("PRIVATE KEY"));
    error
}

/// A home that trusts the authority of the doors.
fn home(authority: &Authority) -> (Home, String) {
    let home = Home::new("plaintext");
    let file = home.file("ca.pem", &authority.pem);
    (home, file)
}

fn text<'a>(error: &'a Value, pointer: &str) -> &'a str {
    error.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn a_server_that_wants_a_client_certificate_is_named_with_the_command_that_teaches_one() {
    let authority = Authority::new("An authority");
    let server = Legacy::new().start();
    for version in [&TLS12, &TLS13] {
        let door = Door::new(&authority.sign("server")).for_clients_of(&authority.pem);
        let Opened { address, .. } = door.speaking(version).open(&server);
        let url = format!("https://{address}/mcp");
        let (home, ca) = home(&authority);
        let error = first_error(home.launch(&url).args(&["--ca-cert", &ca]), -31001);
        let message = text(&error, "/message");
        assert!(message.contains("wants a client certificate, and there is none"), "{error}");
        assert!(message.contains(&url), "{error}");
        assert_eq!(text(&error, "/data/hint"), login(&url), "{error}");
    }
    assert!(server.requests().is_empty());
}

/// As Node does; the request may have been executed for all that can be seen from here.
#[test]
fn a_server_that_asks_for_a_certificate_and_hangs_up_is_under_suspicion() {
    let authority = Authority::new("An authority");
    let server = Legacy::new().start();
    let door = Door::new(&authority.sign("server")).for_clients_of(&authority.pem).silent();
    let url = door.open(&server).url();
    let (home, ca) = home(&authority);
    let error = first_error(home.launch(&url).args(&["--ca-cert", &ca]), -31003);
    let message = text(&error, "/message");
    assert!(message.contains("wants a client certificate"), "{error}");
    assert!(!message.contains("rustls"), "{error}");
    let hint = text(&error, "/data/hint");
    assert!(hint.contains("may have been executed") && hint.contains(&login(&url)), "{error}");
}

#[test]
fn a_login_that_lacks_the_client_certificate_says_so() {
    let authority = Authority::new("An authority");
    let server = Legacy::new().start();
    let door = Door::new(&authority.sign("server")).for_clients_of(&authority.pem);
    let url = door.open(&server).url();
    let (home, ca) = home(&authority);
    let done = home.run(&["login", &url, "--with", "api-key", "--ca-cert", &ca], "a-key").expect(3);
    assert!(done.stderr.contains("wants a client certificate"), "{}", done.stderr);
    assert!(done.stderr.contains("--client-cert"), "{}", done.stderr);
}

/// nginx terminates the handshake itself, and answers with a page.
#[test]
fn a_page_that_speaks_of_a_client_certificate_comes_with_the_command() {
    const PAGE: &[u8] = b"<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    let server = Server::start(|_, wire| wire.reply(400, &[("Content-Type", "text/html")], PAGE));
    let home = Home::new("plaintext");
    let done = home.run(&["login", &server.url(), "--with", "api-key"], "a-key").expect(3);
    assert!(done.stderr.contains("--client-cert"), "{}", done.stderr);
    let error = first_error(home.launch(&server.url()), -31004);
    let message = text(&error, "/message");
    assert!(message.contains("No required SSL certificate was sent"), "{error}");
    assert!(!message.contains('<'), "{error}");
    assert_eq!(text(&error, "/data/hint"), login(&server.url()), "{error}");
}

#[test]
fn a_server_whose_certificate_is_no_good_is_described_in_words() {
    let authority = Authority::new("An authority");
    let server = Legacy::new().start();
    for (identity, words, hint) in [
        (Authority::new("A stranger").sign("server"), "is not trusted here", "--ca-cert"),
        (authority.sign_expired("server"), "days ago", "clock"),
        (authority.sign_for_host("a.example"), "for a.example, not for 127.0.0.1", "URL"),
    ] {
        let url = Door::new(&identity).open(&server).url();
        let (home, ca) = home(&authority);
        let error = first_error(home.launch(&url).args(&["--ca-cert", &ca]), -31002);
        assert!(text(&error, "/message").contains(words), "{error}");
        assert!(text(&error, "/data/hint").contains(hint), "{error}");
    }
    assert!(server.requests().is_empty());
}

#[test]
fn a_client_certificate_from_flags_or_from_a_login_is_shown_to_the_server() {
    let authority = Authority::new("An authority");
    let server = Legacy::new().start();
    for version in [&TLS12, &TLS13] {
        let door = Door::new(&authority.sign("server")).for_clients_of(&authority.pem);
        let door = door.speaking(version).open(&server);
        let (home, ca) = home(&authority);
        let (certificate, key) = client_files(&home, &authority.sign("alice"));
        let flags = ["--ca-cert", &ca, "--client-cert", &certificate, "--client-key", &key];
        let home = Arc::new(home);
        serves(Launch::new(home.clone(), &door.url()).args(&flags));
        let url = door.url();
        home.run(&[&["login", &url, "--with", "none"], &flags[..]].concat(), "").expect(0);
        serves(Launch::new(home.clone(), &url));
        assert!(door.always_saw("alice"));
    }
}

#[test]
fn a_client_certificate_that_the_server_does_not_accept_is_named_with_the_reason() {
    let authority = Authority::new("An authority");
    let server = Legacy::new().start();
    for (identity, reason) in [
        (Authority::new("A stranger").sign("alice"), "authority"),
        (authority.sign_expired("alice"), "expired"),
    ] {
        for version in [&TLS12, &TLS13] {
            let door = Door::new(&authority.sign("server")).for_clients_of(&authority.pem);
            let url = door.speaking(version).open(&server).url();
            let (home, ca) = home(&authority);
            let (certificate, key) = client_files(&home, &identity);
            let flags = ["--ca-cert", &ca, "--client-cert", &certificate, "--client-key", &key];
            let error = first_error(home.launch(&url).args(&flags), -31001);
            let message = text(&error, "/message");
            assert!(message.contains(&url) && message.contains("alice"), "{error}");
            assert!(message.contains(reason), "{error}");
            assert!(text(&error, "/data/hint").contains("--client-cert PEM"), "{error}");
        }
    }
    assert!(server.requests().is_empty());
}

/// A proxy that is spoken to in TLS could ask for it as well.
#[test]
fn a_client_certificate_is_not_shown_to_a_proxy() {
    let authority = Authority::new("An authority");
    let server = Legacy::new().start();
    let door = Door::new(&authority.sign("server")).for_clients_of(&authority.pem).open(&server);
    let proxy = format!("https://someone:hunter2@{}", door.address);
    let (home, ca) = home(&authority);
    let (certificate, key) = client_files(&home, &authority.sign("alice"));
    let flags = ["--ca-cert", &ca, "--client-cert", &certificate, "--client-key", &key];
    let launch = home.launch("https://mcp.test/mcp").args(&flags).env("HTTPS_PROXY", &proxy);
    let error = first_error(launch, -31002);
    let message = text(&error, "/message");
    assert!(message.contains(&format!("the proxy {} speaks TLS", door.address)), "{error}");
    let hint = text(&error, "/data/hint");
    assert!(hint.contains("NO_PROXY") && hint.contains("http://"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(!door.always_saw("alice"));
}

/// The certificate alone, and the key alone.
fn client_files(home: &Home, identity: &str) -> (String, String) {
    let at = identity.find("-----BEGIN PRIVATE KEY").unwrap();
    (home.file("client.pem", &identity[..at]), home.file("client.key", &identity[at..]))
}

#[track_caller]
fn serves(launch: Launch) {
    let mut bridge = launch.start().ready();
    bridge.call("1");
    bridge.result("1");
}
