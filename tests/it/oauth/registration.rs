//! Who the client is at an authorization server, and how it came to be that.

use super::{at_the_door, live_as};
use crate::support::authorization_server::{AuthorizationServer, Registration};
use crate::support::browser::{Browser, follow};
use crate::support::scene::Scene;
use crate::support::web;
use serde_json::{Value, json};

#[test]
fn a_dynamic_registration_says_what_the_client_is() {
    let scene = Scene::new().signed_in();
    let [asked] = scene.auth.asked("/register").try_into().unwrap();
    let document = asked.request.json();
    assert_eq!(document["application_type"], "native");
    assert_eq!(document["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(document["response_types"], json!(["code"]));
    assert_eq!(document["token_endpoint_auth_method"], "none");
    assert_eq!(document["scope"], Value::Null, "a scope here forbids a later step-up");
    assert!(document["client_name"].as_str().unwrap().to_lowercase().contains("keyferry"));
    let used = scene.auth.asked("/authorize")[0].param("redirect_uri").unwrap().to_owned();
    let uris = document["redirect_uris"].as_array().unwrap();
    assert!(uris.contains(&json!(used)), "{document}");
    let loopback = |uri: &Value| {
        let uri = uri.as_str().unwrap();
        ["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|host| uri.contains(host))
    };
    assert!(uris.iter().all(loopback), "{document}");
}

#[test]
fn the_device_grant_is_registered_where_it_is_offered() {
    const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
    let scene = Scene::scripted(|script| {
        let grants = json!(["authorization_code", "refresh_token", DEVICE]);
        script.metadata = vec![
            ("grant_types_supported", grants),
            ("device_authorization_endpoint", json!("{as}/device_authorization")),
        ];
    })
    .signed_in();
    let document = scene.auth.asked("/register")[0].request.json();
    assert!(document["grant_types"].as_array().unwrap().contains(&json!(DEVICE)), "{document}");
}

#[test]
fn a_client_that_is_known_already_is_not_registered() {
    // Characters that HTTP Basic wants encoded first.
    const SECRET: &str = "s3cret/with+odd:signs%&é";
    for method in ["none", "client_secret_basic", "client_secret_post"] {
        let scene = Scene::scripted(|script| {
            script.any_port = true;
            script.metadata = vec![("token_endpoint_auth_methods_supported", json!([method]))];
        });
        let secret = (method != "none").then_some(SECRET);
        scene.auth.preregister("known+id", secret, method, &["http://localhost/oauth/callback"]);
        let mut launch =
            scene.launch().args(&["--client-id", "known+id", "--callback-port", &web::free_port()]);
        if let Some(secret) = secret {
            launch = launch.args(&["--secret-env", "THE_SECRET"]).env("THE_SECRET", secret);
        }
        let mut bridge = launch.start().ready();
        live_as(&mut bridge, "ada");
        scene.auth.revoke_access_tokens();
        live_as(&mut bridge, "ada");
        assert!(scene.auth.asked("/register").is_empty());
        let ended = bridge.finish();
        scene.nothing_leaked(&[&ended.stderr]);
        assert!(!scene.browser.processes().contains("THE_SECRET"), "{}", scene.browser.processes());
    }
}

/// What the server lists decides; a server that lists nothing means Basic (RFC 8414).
#[test]
fn a_secret_is_shown_in_the_way_that_the_server_lists() {
    for (listed, method) in [
        (json!(["client_secret_post", "private_key_jwt"]), "client_secret_post"),
        (json!(["client_secret_basic"]), "client_secret_basic"),
        (Value::Null, "client_secret_basic"),
    ] {
        let scene = Scene::scripted(|script| {
            script.any_port = true;
            script.metadata = vec![("token_endpoint_auth_methods_supported", listed)];
        });
        scene.auth.preregister("known", Some("s"), method, &["http://localhost/oauth/callback"]);
        let file = scene.home.file("secret", "s\n");
        let flags =
            ["--client-id", "known", "--secret-file", &file, "--callback-port", &web::free_port()];
        live_as(&mut scene.launch().args(&flags).start().ready(), "ada");
    }
}

#[test]
fn a_client_may_be_given_as_mcp_remote_has_it() {
    let scene = Scene::scripted(|script| script.any_port = true);
    scene.auth.preregister("static", None, "none", &["http://localhost/oauth/callback"]);
    let info = scene.home.file("client.json", r#"{"client_id":"static"}"#);
    for info in [r#"{"client_id":"static"}"#.to_owned(), format!("@{info}")] {
        let home = scene.another_home("plaintext");
        let launch = crate::support::bridge::Launch::new(home, &scene.url());
        let mut bridge = launch
            .args(&["--static-oauth-client-info", &info, "--callback-port", &web::free_port()])
            .start()
            .ready();
        live_as(&mut bridge, "ada");
        assert!(scene.auth.asked("/register").is_empty());
    }
    let metadata = r#"{"client_name":"Mine","software_id":"x","scope":"pinned"}"#;
    let home = scene.another_home("plaintext");
    let launch = crate::support::bridge::Launch::new(home, &scene.url());
    let flags = ["--static-oauth-client-metadata", metadata];
    live_as(&mut launch.args(&flags).start().ready(), "ada");
    let document = scene.auth.asked("/register")[0].request.json();
    assert_eq!(document["client_name"], "Mine");
    assert_eq!(document["software_id"], "x");
    assert_eq!(document["scope"], "pinned");
    assert_eq!(document["application_type"], "native");
}

#[test]
fn a_client_id_metadata_document_is_used_where_the_server_knows_them() {
    const DOCUMENT: &str = "https://people.example/oauth/keyferry.json";
    for supported in [true, false] {
        let scene = Scene::scripted(|script| {
            script.any_port = true;
            script.metadata = vec![("client_id_metadata_document_supported", json!(supported))];
        });
        scene.auth.preregister(DOCUMENT, None, "none", &["http://localhost/oauth/callback"]);
        let flags = ["--client-metadata-url", DOCUMENT, "--callback-port", &web::free_port()];
        let mut bridge = scene.launch().args(&flags).start().ready();
        let who = bridge.answer_to_whoami();
        assert!(who.contains("ada "), "supported: {supported}: {who}");
        let id = scene.auth.asked("/authorize")[0].param("client_id").unwrap().to_owned();
        assert_eq!(id == DOCUMENT, supported, "{id}");
        assert_eq!(scene.auth.asked("/register").is_empty(), supported);
    }
}

#[test]
fn a_registration_is_kept_and_used_for_every_remote_of_its_issuer() {
    let scene = Scene::new().signed_in();
    let other = scene.auth.remote();
    let mut bridge = crate::support::bridge::Bridge::start_in(&scene.home, &other.url()).ready();
    live_as(&mut bridge, "ada");
    scene.auth.revoke_grants();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.asked("/register").len(), 1);
    let ids: Vec<_> = scene.auth.asked("/authorize");
    let ids: Vec<_> = ids.iter().map(|asked| asked.param("client_id").unwrap()).collect();
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn a_secret_that_came_with_a_dynamic_registration_is_used() {
    let scene = Scene::scripted(|script| {
        script.registration = Registration::Secret { expires_in: None };
    })
    .signed_in();
    scene.auth.revoke_access_tokens();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.refreshed(), 1);
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr]);
}

#[test]
fn a_secret_past_its_time_leads_to_a_new_registration() {
    let scene = Scene::scripted(|script| {
        script.registration = Registration::Secret { expires_in: Some(3) };
    })
    .signed_in();
    scene.auth.script(|script| script.registration = Registration::Secret { expires_in: None });
    std::thread::sleep(std::time::Duration::from_millis(3100));
    scene.auth.revoke_grants();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.asked("/register").len(), 2);
}

/// The end of the secret is known: nobody is sent to a sign-in that must fail.
#[test]
fn a_secret_past_its_time_costs_no_visit() {
    let scene = Scene::scripted(|script| {
        script.registration = Registration::Secret { expires_in: Some(2) };
    })
    .signed_in();
    scene.auth.script(|script| script.registration = Registration::Secret { expires_in: None });
    std::thread::sleep(std::time::Duration::from_millis(2100));
    scene.login(&["--force"]).expect(0);
    assert_eq!(scene.auth.asked("/register").len(), 2);
    assert_eq!(scene.browser.tabs().len(), 2);
}

#[test]
fn a_client_that_the_server_has_forgotten_is_registered_anew() {
    let scene = Scene::new().signed_in();
    scene.auth.forget_clients();
    scene.auth.revoke_access_tokens();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    assert_eq!(scene.auth.asked("/register").len(), 2);
    assert_eq!(scene.browser.tabs().len(), 2);
}

/// The person who gave the id has to mend that.
#[test]
fn a_forgotten_client_known_by_id_is_an_error_and_no_new_registration() {
    let scene = Scene::scripted(|script| script.any_port = true);
    scene.auth.preregister("known", None, "none", &["http://localhost/oauth/callback"]);
    let port = web::free_port();
    scene.login(&["--client-id", "known", "--callback-port", &port]).expect(0);
    scene.auth.forget_clients();
    scene.auth.revoke_access_tokens();
    let flags = ["--client-id", "known", "--callback-port", &port, "--auth-timeout", "1"];
    let mut bridge = scene.launch().args(&flags).start();
    bridge.request("0", "initialize", &crate::support::bridge::initialize_params("2025-11-25"));
    bridge.answer("0");
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]).to_string();
    assert!(error.contains("known") || error.contains("invalid_client"), "{error}");
    assert!(scene.auth.asked("/register").is_empty());
}

#[test]
fn flags_for_another_client_do_not_use_the_stored_token() {
    let scene = Scene::scripted(|script| script.any_port = true).signed_in();
    scene.auth.preregister("known", None, "none", &["http://localhost/oauth/callback"]);
    let mut bridge = scene
        .launch()
        .args(&["--client-id", "known", "--callback-port", &web::free_port()])
        .start()
        .ready();
    live_as(&mut bridge, "ada");
    let asked = scene.auth.asked("/authorize");
    assert_eq!(asked[1].param("client_id"), Some("known"));
}

#[test]
fn the_redirect_uri_is_what_the_flags_say() {
    let port = web::free_port();
    for (flags, expected) in [
        (&["--callback-port", &port][..], format!("http://localhost:{port}/oauth/callback")),
        (&[&port], format!("http://localhost:{port}/oauth/callback")),
        (
            &["--callback-port", &port, "--host", "127.0.0.1", "--callback-path", "/done/here"],
            format!("http://127.0.0.1:{port}/done/here"),
        ),
    ] {
        let auth = AuthorizationServer::start();
        let scene = Scene::of(auth, Browser::new());
        let (mut bridge, link) = at_the_door(&scene, flags);
        assert_eq!(web::param(&link, "redirect_uri"), Some(expected));
        follow(&link);
        live_as(&mut bridge, "ada");
    }
}
