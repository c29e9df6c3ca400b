//! `--header` and `--header-file`, and what their values may refer to.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use crate::support::protected::{Refusal, protected};

/// The headers of every request of a short session.
fn session_with(home: Home, server: &Server, args: &[&str]) {
    let mut bridge = home.launch(&server.url()).args(args).start().ready();
    bridge.call("1");
    bridge.result("1");
    bridge.finish();
}

#[test]
fn headers_are_sent_on_every_request_with_their_references_filled() {
    let server = Legacy::new().start();
    let home = Home::new("plaintext").with("TENANT", "acme");
    home.run(&["secret", "set", "api"], "sealed-value\n").expect(0);
    let file = home.file("in-file", "from-file\n");
    session_with(
        home,
        &server,
        &[
            "--header",
            "X-Plain: a b  c",
            "--header",
            "X-Close:no space",
            "--header",
            "X-Env: t=${TENANT}/${TENANT}",
            "--header",
            "X-Vault: Bearer ${vault:api}",
            "--header",
            &format!("X-File: ${{file:{file}}}!"),
            "--header",
            "X-Url: https://a.example:8080/x",
            "--header",
            "X-Money: $5 and $HOME",
        ],
    );
    for request in server.requests() {
        for (name, value) in [
            ("x-plain", "a b  c"),
            ("x-close", "no space"),
            ("x-env", "t=acme/acme"),
            ("x-vault", "Bearer sealed-value"),
            ("x-file", "from-file!"),
            ("x-url", "https://a.example:8080/x"),
            ("x-money", "$5 and $HOME"),
        ] {
            assert_eq!(request.header(name), Some(value), "{}", request.kind());
        }
    }
}

#[test]
fn a_header_file_holds_one_header_a_line() {
    let server = Legacy::new().start();
    let home = Home::new("memory").with("TENANT", "acme");
    let file = home.file("headers", "X-One: 1\r\n\nX-Two:${TENANT}\n");
    session_with(home, &server, &["--header-file", &file, "--header", "X-Three: 3"]);
    for request in server.requests() {
        for (name, value) in [("x-one", "1"), ("x-two", "acme"), ("x-three", "3")] {
            assert_eq!(request.header(name), Some(value), "{}", request.kind());
        }
    }
}

/// The start fails, yet `initialize` is answered, and nothing has gone out.
#[track_caller]
fn start_fails(home: Home, args: &[&str], names: &str) {
    let server = Server::start(|request, _| panic!("sent: {request:?}"));
    let mut bridge = home.launch(&server.url()).args(args).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.error("1");
    assert_eq!(error["data"]["origin"], "keyferry", "{error}");
    let message = error["message"].as_str().unwrap();
    let found = message.to_lowercase().contains(&names.to_lowercase());
    assert!(found, "{names} is not in {message}");
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_reference_that_cannot_be_filled_is_named_and_nothing_is_sent() {
    for (header, named) in [
        ("X-A: ${NOT_SET_HERE}", "NOT_SET_HERE"),
        ("Authorization: Bearer ${NOT_SET_HERE}", "NOT_SET_HERE"),
        ("X-A: ${user_config.api_key}", "user_config.api_key"),
        ("X-A: ${vault:nobody}", "nobody"),
        ("X-A: ${file:/no/such/file}", "/no/such/file"),
        ("X-Unfinished: ${abc", "x-unfinished"),
    ] {
        start_fails(Home::new("plaintext"), &["--header", header], named);
    }
}

#[test]
fn a_variable_that_still_holds_a_placeholder_is_named() {
    let home = Home::new("memory").with("API_KEY", "${user_config.api_key}");
    let header = "Authorization: Bearer ${API_KEY}";
    start_fails(home, &["--header", header], "user_config.api_key");
}

#[test]
fn a_key_that_still_is_a_placeholder_is_named() {
    let home = Home::new("memory").with("API_KEY", "${user_config.api_key}");
    let args = ["--with", "api-key", "--secret-env", "API_KEY"];
    start_fails(home, &args, "user_config.api_key");
    let args = ["--with", "api-key", "--secret-env", "NOT_SET_HERE"];
    start_fails(Home::new("memory"), &args, "NOT_SET_HERE");
}

#[test]
fn a_header_that_is_none_is_named() {
    for (header, named) in
        [("no-colon-here", "--header"), ("Bad Name: x", "--header"), (": x", "header")]
    {
        start_fails(Home::new("memory"), &["--header", header], named);
    }
    start_fails(
        Home::new("memory").with("TWO", "a\r\nX-Injected: 1"),
        &["--header", "X-A: ${TWO}"],
        "X-A",
    );
    start_fails(Home::new("memory"), &["--header-file", "/no/such/headers"], "/no/such/headers");
}

#[test]
fn an_authorization_header_wins_over_a_stored_key() {
    let server = protected("authorization", &["Bearer from-header"], Refusal::Bare401);
    let home = Home::new("plaintext");
    home.store_key(&server.url(), "from-vault");
    session_with(home, &server, &["--header", "authorization:Bearer from-header"]);
    let refused = protected("authorization", &["Bearer other"], Refusal::Challenge);
    let home = Home::new("plaintext");
    home.store_key(&refused.url(), "other");
    let mut bridge = home
        .launch(&refused.url())
        .args(&["--header", "Authorization: Bearer from-header"])
        .start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.own_error("1", &[-31001, -31004]);
    assert!(error["message"].as_str().unwrap().contains(&refused.address().to_string()));
    for request in refused.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer from-header"));
    }
}

#[test]
fn a_header_beside_a_stored_key_is_sent_with_it() {
    let server = protected("authorization", &["Bearer from-vault"], Refusal::Bare401);
    let home = Home::new("plaintext");
    home.store_key(&server.url(), "from-vault");
    session_with(home, &server, &["--header", "X-Extra: 1"]);
    assert!(server.requests().iter().all(|r| r.header("x-extra") == Some("1")));
}

#[test]
fn a_remote_over_plain_http_needs_loopback_or_leave() {
    // Addresses for documentation: nothing is there, nothing is sent.
    for url in ["http://192.0.2.1/mcp", "http://remote.example/mcp"] {
        let mut bridge = Home::new("memory").launch(url).start();
        bridge.request("1", "initialize", &initialize_params("2025-11-25"));
        let error = bridge.error("1");
        assert!(error.to_string().contains("--allow-http"), "{error}");
    }
}

#[test]
fn the_proxy_of_the_environment_is_used() {
    let proxy = Server::start({
        let legacy = Legacy::new().into_handler();
        move |request, wire| {
            let target = &request.target;
            assert_eq!(target, "http://remote.example/mcp");
            let mut inner = request.clone();
            inner.target = "/mcp".to_owned();
            legacy(&inner, wire);
        }
    });
    let address = format!("http://{}", proxy.address());
    for variable in ["http_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        let mut bridge: Bridge = Home::new("memory")
            .launch("http://remote.example/mcp")
            .args(&["--allow-http"])
            .env(variable, &address)
            .start()
            .ready();
        bridge.call("1");
        bridge.result("1");
    }
}
