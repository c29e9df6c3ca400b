//! `--client-cert` and `--client-key`: alone with `--with none`, or along with another kind.

use super::{first_error, hint, login, rows, tells, whoami};
use crate::support::bridge::{Bridge, Launch};
use crate::support::gate::bearers;
use crate::support::home::Home;
use crate::support::jws::{EC, ENCRYPTED, PASSPHRASE};
use crate::support::legacy::Legacy;
use crate::support::mcp_server::Server;
use crate::support::mutual_tls::{Authority, Identity};
use crate::support::tls::Opened;
use crate::support::token_endpoint::{Given, TokenEndpoint};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A remote that wants a certificate, and files with one it takes.
struct Guarded {
    server: Server,
    authority: Authority,
    door: Opened,
    url: String,
    home: Arc<Home>,
    ca: String,
    cert: String,
    key: String,
}

impl Guarded {
    fn new() -> Self {
        Self::of(
            Legacy::new()
                .tools(|request, wire| {
                    let content =
                        json!({ "content": [{ "type": "text", "text": "with a certificate" }] });
                    wire.json(request.result(&content.to_string()));
                })
                .start(),
        )
    }

    fn of(server: Server) -> Self {
        let authority = Authority::new("authority");
        let door = authority.guard(&server, &rustls::version::TLS13);
        let home = Home::new("plaintext");
        let ca = home.file("ca.pem", &authority.pem);
        let (cert, key) = kept(&home, "ada", &authority.identity("ada"));
        let url = door.url();
        Self { server, authority, door, url, home: Arc::new(home), ca, cert, key }
    }

    fn flags(&self) -> [&str; 6] {
        ["--ca-cert", &self.ca, "--client-cert", &self.cert, "--client-key", &self.key]
    }

    fn with<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [more, &self.flags()].concat()
    }
}

/// The paths of a certificate and its key.
fn kept(home: &Home, name: &str, identity: &Identity) -> (String, String) {
    let cert = home.file(&format!("{name}.pem"), &identity.certificate);
    (cert, home.file(&format!("{name}.key"), &identity.key))
}

#[test]
fn a_certificate_is_taught_or_given_by_flags() {
    let scene = Guarded::new();
    login(&scene.home, &scene.url, &scene.with(&["--with", "none"]), "").expect(0);
    assert_eq!(whoami(&scene.home, &scene.url, &[]), "with a certificate");
    let elsewhere = Arc::new(Home::new("memory"));
    assert_eq!(whoami(&elsewhere, &scene.url, &scene.flags()), "with a certificate");
    let flags = scene.with(&["--with", "none"]);
    assert_eq!(whoami(&elsewhere, &scene.url, &flags), "with a certificate");
    assert!(scene.door.always_saw("ada"));
}

#[test]
fn one_file_that_holds_both_is_enough() {
    let scene = Guarded::new();
    let identity = scene.authority.identity("both");
    for both in [
        format!("{}{}", identity.certificate, identity.key),
        format!("{}{}", identity.key, identity.certificate),
    ] {
        let both = scene.home.file("both.pem", both);
        let flags = ["--ca-cert", scene.ca.as_str(), "--client-cert", &both];
        let elsewhere = Arc::new(Home::new("memory"));
        assert_eq!(whoami(&elsewhere, &scene.url, &flags), "with a certificate");
        login(&scene.home, &scene.url, &[&["--with", "none"], &flags[..]].concat(), "").expect(0);
        assert_eq!(whoami(&scene.home, &scene.url, &[]), "with a certificate");
    }
}

#[test]
fn a_missing_or_foreign_certificate_is_named_as_the_cause() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let scene = Guarded::new();
        let door = scene.authority.guard(&scene.server, version);
        let (url, address) = (door.url(), door.address.to_string());
        let stranger = Authority::new("another").identity("stranger");
        let (cert, key) = kept(&scene.home, "stranger", &stranger);
        let ca = ["--ca-cert", scene.ca.as_str()];
        let foreign = [&ca[..], &["--client-cert", &cert, "--client-key", &key]].concat();
        for flags in [&ca[..], &foreign] {
            let mut bridge = Launch::new(scene.home.clone(), &url).args(flags).start();
            let began = Instant::now();
            let error = first_error(&mut bridge, &[-31001]);
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
            tells(&error, &[&address, "certificate", "--client-cert"]);
            bridge.finish();
            let done = login(&scene.home, &url, &[&["--with", "none"], flags].concat(), "");
            let done = done.expect_one_of(&[1, 3, 4]);
            tells(&json!(done.stderr), &[&address, "certificate"]);
        }
        assert!(scene.server.requests().is_empty());
    }
}

#[test]
fn the_hint_for_a_missing_certificate_can_be_pasted() {
    let scene = Guarded::new();
    let mut bridge =
        Launch::new(scene.home.clone(), &scene.url).args(&["--ca-cert", &scene.ca]).start();
    let error = first_error(&mut bridge, &[-31001]);
    let hint = hint(&error);
    for part in ["keyferry login", &scene.url, "--client-cert", "--client-key"] {
        assert!(hint.contains(part), "{part}: {hint}");
    }
}

/// The server is not believed: that is nothing a certificate of ours would mend.
#[test]
fn a_server_that_is_not_believed_is_told_apart() {
    let scene = Guarded::new();
    let mut bridge = Launch::new(scene.home.clone(), &scene.url).args(&scene.flags()[2..]).start();
    let error = first_error(&mut bridge, &[-31002]);
    tells(&error, &["--ca-cert"]);
}

#[test]
fn an_imported_key_needs_its_file_no_more_and_is_not_in_clear() {
    let scene = Guarded::new();
    let flags = scene.with(&["--with", "none", "--import-key"]);
    let line = std::fs::read_to_string(&scene.key).unwrap().lines().nth(1).unwrap().to_owned();
    login(&scene.home, &scene.url, &flags, "").expect(0);
    std::fs::remove_file(&scene.key).unwrap();
    assert_eq!(whoami(&scene.home, &scene.url, &[]), "with a certificate");
    for (path, content) in scene.home.files() {
        let text = String::from_utf8_lossy(&content);
        assert!(!text.contains(&line), "the key is in clear in {}", path.display());
    }
}

#[test]
fn a_key_that_stayed_in_its_file_is_named_when_it_is_gone() {
    let scene = Guarded::new();
    login(&scene.home, &scene.url, &scene.with(&["--with", "none"]), "").expect(0);
    std::fs::remove_file(&scene.key).unwrap();
    let mut bridge = Bridge::start_in(&scene.home, &scene.url);
    let error = first_error(&mut bridge, &[-31001, -31002]);
    tells(&error, &[&scene.key]);
}

#[test]
fn an_encrypted_key_asks_for_its_passphrase_after_the_secret() {
    let server = bearers(401, |key| (key == "the-5ecret-key").then(|| "ada".to_owned()));
    let scene = Guarded::of(server);
    let pair = rcgen::KeyPair::from_pem(EC).unwrap();
    let identity = scene.authority.identity_of("encrypted", &pair);
    let cert = scene.home.file("encrypted.pem", &identity.certificate);
    let key = scene.home.file("encrypted.key", ENCRYPTED);
    for import in [&[][..], &["--import-key"]] {
        let flags = ["--ca-cert", &scene.ca, "--client-cert", &cert, "--client-key", &key];
        let flags = [&["--with", "api-key"], &flags[..], import].concat();
        let stdin = format!("the-5ecret-key\n{PASSPHRASE}\n");
        login(&scene.home, &scene.url, &flags, &stdin).expect(0);
        assert_eq!(whoami(&scene.home, &scene.url, &[]), "ada");
    }
    let flags = ["--ca-cert", &scene.ca, "--client-cert", &cert, "--client-key", &key];
    let flags = [&["--with", "none"], &flags[..]].concat();
    let done = login(&scene.home, &scene.url, &flags, "wrong\n").expect_one_of(&[1, 2]);
    tells(&json!(done.stderr), &["passphrase", &key]);
    // A bridge asks nobody.
    let elsewhere = Arc::new(Home::new("memory"));
    let mut bridge = Launch::new(elsewhere, &scene.url).args(&flags).start();
    let error = first_error(&mut bridge, &[-31001, -31002]);
    tells(&error, &["passphrase", "keyferry login"]);
}

#[test]
fn pkcs12_is_refused_with_the_line_that_converts_it() {
    let scene = Guarded::new();
    let pkcs12 = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/keys/ec.p12");
    for flags in [
        ["--client-cert", pkcs12, "--client-key", pkcs12],
        ["--client-cert", &scene.cert, "--client-key", pkcs12],
    ] {
        let flags = [&["--with", "none", "--ca-cert", &scene.ca], &flags[..]].concat();
        let done = login(&scene.home, &scene.url, &flags, "").expect_one_of(&[1, 2]);
        tells(&json!(done.stderr), &["PKCS#12", "openssl pkcs12", "ec.p12"]);
    }
}

#[test]
fn files_that_hold_something_else_are_named() {
    let scene = Guarded::new();
    let odd = scene.home.file("odd.pem", "hello");
    for (cert, key) in [
        (odd.as_str(), scene.key.as_str()),
        (&scene.cert, &odd),
        ("/no/such/odd.pem", &scene.key),
        (&scene.cert, "/no/such/odd.pem"),
    ] {
        let flags = ["--ca-cert", &scene.ca, "--client-cert", cert, "--client-key", key];
        let done = login(&scene.home, &scene.url, &[&["--with", "none"], &flags[..]].concat(), "");
        tells(&json!(done.expect_one_of(&[1, 2]).stderr), &["odd.pem"]);
        let mut bridge = Launch::new(scene.home.clone(), &scene.url).args(&flags).start();
        bridge.request("0", "initialize", "{}");
        tells(&bridge.error("0"), &["odd.pem"]);
    }
    assert!(scene.server.requests().is_empty());
}

#[test]
fn list_shows_whose_certificate_it_is_until_when_and_where_the_key_lies() {
    let scene = Guarded::new();
    for (more, where_it_is) in [(&[][..], "file"), (&["--import-key"], "sealed")] {
        let flags = scene.with(&[&["--with", "none"], more].concat());
        login(&scene.home, &scene.url, &flags, "").expect(0);
        let row = rows(&scene.home).remove(0);
        let shown = &row["details"]["client_certificate"];
        let subject = shown["subject"].as_str().unwrap_or_else(|| panic!("{row}"));
        assert!(subject.contains("ada") && subject.contains("People"), "{row}");
        assert_eq!(shown["path"], scene.cert, "{row}");
        assert_eq!(shown["key"], where_it_is, "{row}");
        assert!(!shown["expires_at"].is_null(), "{row}");
        assert_eq!(row["details"]["ca_cert"], scene.ca, "{row}");
        let list = scene.home.run(&["list"], "").expect(0).stdout;
        assert!(list.contains("ada"), "{list}");
    }
}

/// A token endpoint that wants a certificate, and a remote that takes its tokens and wants
/// one too.
fn issuing() -> (TokenEndpoint, Guarded, Opened) {
    let endpoint = TokenEndpoint::start(|asked| {
        assert_eq!(asked.param("grant_type"), Some("client_credentials"));
        assert_eq!(asked.param("client_id"), Some("machine"));
        assert_eq!(asked.request.header("authorization"), None);
        assert_eq!(asked.param("client_secret"), None);
        Given::Token("machine".to_owned())
    });
    let tokens = endpoint.tokens.clone();
    let scene = Guarded::of(bearers(401, move |token| tokens.who(token)));
    let door = scene.authority.guard(&endpoint.server, &rustls::version::TLS13);
    (endpoint, scene, door)
}

/// `tls_client_auth` of RFC 8705: the certificate is who the client is.
#[test]
fn a_certificate_is_shown_to_a_token_endpoint_that_knows_the_client_by_it() {
    for by_alias in [true, false] {
        let (endpoint, scene, door) = issuing();
        let token_url = format!("https://{}/token", door.address);
        let issuer = endpoint.issuer().to_owned();
        endpoint.rules(|rules| {
            let methods = "token_endpoint_auth_methods_supported".to_owned();
            rules.metadata.insert(methods, json!(["tls_client_auth"]));
            let aliases = json!({ "token_endpoint": token_url });
            rules.metadata.insert("mtls_endpoint_aliases".to_owned(), aliases);
        });
        let given = if by_alias { ["--issuer", &issuer] } else { ["--token-endpoint", &token_url] };
        let flags = [&["--with", "client-credentials", "--client-id", "machine"], &given[..]];
        login(&scene.home, &scene.url, &scene.with(&flags.concat()), "").expect(0);
        assert_eq!(whoami(&scene.home, &scene.url, &[]), "machine");
        assert!(door.always_saw("ada"), "{by_alias}");
        assert!(!endpoint.asked().is_empty());
        let row = rows(&scene.home).remove(0);
        assert_eq!(row["details"]["auth_method"], "tls_client_auth", "{row}");
    }
}

/// Who knows the client by a secret need not see the certificate of another server's client.
#[test]
fn a_certificate_is_not_shown_to_a_token_endpoint_that_takes_a_secret() {
    let (endpoint, scene, door) = issuing();
    let token_url = format!("https://{}/token", door.address);
    let flags = ["--with", "client-credentials", "--client-id", "machine"];
    let flags = [&flags[..], &["--token-endpoint", &token_url, "--no-verify"]].concat();
    let secret = scene.home.file("secret", "the-5ecret");
    let flags = [&flags[..], &["--secret-file", &secret]].concat();
    login(&scene.home, &scene.url, &scene.with(&flags), "").expect(0);
    let mut bridge = Bridge::start_in(&scene.home, &scene.url);
    let error = first_error(&mut bridge, &[-31001, -31002]);
    tells(&error, &[&door.address.to_string()]);
    assert!(!door.always_saw("ada") && endpoint.asked().is_empty());
}
