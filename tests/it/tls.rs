//! An https remote, and whom it is believed from.

use crate::support::bridge::{Bridge, initialize_params};
use crate::support::home::Home;
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Port;
use crate::support::protected::{Refusal, protected};
use crate::support::tls::{Authority, CA, Door, in_front_of};

fn serves(mut bridge: Bridge) {
    bridge = bridge.ready();
    bridge.call("1");
    bridge.result("1");
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_named_as_the_cause() {
    let server = Legacy::new().start();
    let url = format!("https://{}/mcp", in_front_of(&server));
    let mut bridge = Home::new("memory").launch(&url).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.own_error("1", &[-31002]);
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(error.to_string().contains("--ca-cert"), "{error}");
    assert!(server.requests().is_empty());
}

/// Renewed, replaced by what a middlebox shows, and put back: each connection is judged anew,
/// however often there was one before.
#[test]
fn a_certificate_that_changes_under_a_running_bridge_is_judged_anew() {
    let (ours, foreign) = (Authority::new("ours"), Authority::new("foreign"));
    let ca = ours.file();
    let mut server = Some(Legacy::new().start());
    let address = server.as_ref().unwrap().address();
    let door = Door::new(&ours.sign("server")).open(server.as_ref().unwrap());
    let launch = Home::new("memory").launch(&door.url());
    let mut bridge = launch.args(&["--ca-cert", ca.path().to_str().unwrap()]).start().ready();
    for (id, identity, good) in [
        ("1", ours.sign("renewed"), true),
        ("2", foreign.sign("server"), false),
        ("3", ours.sign_expired("server"), false),
        ("4", ours.sign("again"), true),
    ] {
        bridge.still_serves();
        // All connections end, as they do where a server starts with a new certificate.
        server.take().unwrap().kill();
        door.change(&Door::new(&identity));
        server = Some(Legacy::new().serve(Port::at(address)));
        bridge.call(id);
        if good {
            bridge.result(id);
        } else {
            let error = bridge.own_error(id, &[-31002]);
            assert!(error.to_string().contains("certificate"), "{error}");
            assert!(server.as_ref().unwrap().requests().is_empty());
            door.change(&Door::new(&ours.sign("server")));
        }
    }
}

#[test]
fn an_authority_of_ones_own_is_believed_by_flag_or_environment() {
    let server = Legacy::new().start();
    let port = in_front_of(&server).port();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("https://{host}:{port}/mcp");
        let launch = || Home::new("memory").launch(&url);
        serves(launch().args(&["--ca-cert", CA]).start());
        serves(launch().env("SSL_CERT_FILE", CA).start());
    }
}

/// A container without any CA files still reaches what it can.
#[test]
fn a_machine_without_ca_files_still_starts() {
    let server = Legacy::new().start();
    let url = format!("https://{}/mcp", in_front_of(&server));
    let home = Home::new("memory");
    let empty = home.file("no-certificates.pem", "");
    let launch = |home: Home| home.launch(&url).env("SSL_CERT_FILE", &empty);
    serves(launch(home).args(&["--ca-cert", CA]).start());
    let home = Home::new("memory");
    let absent = home.path("absent").display().to_string();
    let launch = home.launch(&url).env("SSL_CERT_FILE", &absent);
    let mut bridge = launch.env("SSL_CERT_DIR", &absent).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    // The bundled roots do not know our authority, but they are there.
    let error = bridge.own_error("1", &[-31002]);
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn a_key_learned_over_https_is_used_over_https() {
    let server = protected("authorization", &["Bearer over-tls"], Refusal::Bare401);
    let url = format!("https://{}/mcp", in_front_of(&server));
    let home = Home::new("plaintext");
    home.run(&["login", &url, "--with", "api-key", "--ca-cert", CA], "over-tls").expect(0);
    serves(home.launch(&url).args(&["--ca-cert", CA]).start());
}

#[test]
fn an_authority_file_that_holds_none_is_named() {
    let home = Home::new("memory");
    let file = home.file("not-a-certificate", "hello");
    let launch = home.launch("https://mcp.example/mcp");
    let mut bridge = launch.args(&["--ca-cert", &file]).start();
    bridge.request("1", "initialize", &initialize_params("2025-11-25"));
    let error = bridge.error("1");
    assert!(error.to_string().contains("not-a-certificate"), "{error}");
}
