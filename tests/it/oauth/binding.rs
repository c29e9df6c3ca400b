//! What belongs to whom: a client to its issuer, flags to their process, a sign-in to what
//! was asked for.

use super::live_as;
use crate::support::authorization_server::AuthorizationServer;
use crate::support::browser::Browser;
use crate::support::scene::Scene;
use crate::support::web;
use serde_json::json;

const CALLBACK: &str = "http://localhost/oauth/callback";

fn with_known_client(secret: &str) -> Scene {
    let scene = Scene::scripted(|script| script.any_port = true);
    scene.auth.preregister("known", Some(secret), "client_secret_basic", &[CALLBACK]);
    scene
}

fn taught(scene: &Scene, secret: &str) {
    let file = scene.home.file("secret", secret);
    let flags =
        ["--client-id", "known", "--secret-file", &file, "--callback-port", &web::free_port()];
    scene.login(&flags).expect(0);
}

/// A remote that turns hostile names its own authorization server.
#[test]
fn a_taught_client_secret_is_shown_to_its_own_issuer_only() {
    let scene = with_known_client("client-5ecret-1");
    taught(&scene, "client-5ecret-1");
    let other = AuthorizationServer::start();
    scene.auth.script(|script| {
        script.resource_metadata = vec![("authorization_servers", json!([other.origin()]))];
    });
    scene.auth.revoke_grants();
    let mut bridge = scene.launch().args(&["--auth-timeout", "5"]).start().ready();
    bridge.call("1");
    let error = bridge.own_error("1", &[-31001]).to_string();
    assert!(error.contains(&other.origin()) && error.contains(&scene.auth.origin()), "{error}");
    assert!(error.contains("--issuer"), "{error}");
    for path in ["/authorize", "/token", "/register"] {
        assert!(other.asked(path).is_empty(), "{path}");
    }
    assert_eq!(scene.browser.tabs().len(), 1);
}

/// A page of something on the way is not the server's word.
#[test]
fn a_refusal_that_is_no_oauth_error_signs_nobody_out() {
    for status in [403, 404] {
        let scene = Scene::new().signed_in();
        scene.auth.revoke_access_tokens();
        scene.auth.on("/token", move |_, wire| {
            wire.reply(status, &[("Content-Type", "text/html")], b"<h1>Blocked</h1>");
        });
        let mut bridge = scene.launch().args(&["--auth-timeout", "1"]).start();
        bridge.request("1", "initialize", "{}");
        bridge.answer("1");
        bridge.call("2");
        bridge.error("2");
        drop(bridge);
        scene.auth.restore("/token");
        live_as(&mut scene.bridge().ready(), "ada");
        assert_eq!((scene.browser.tabs().len(), scene.auth.refreshed()), (1, 1), "{status}");
    }
}

#[test]
fn a_new_client_secret_of_the_flags_renews_what_is_stored() {
    let scene = with_known_client("client-5ecret-1");
    taught(&scene, "client-5ecret-1");
    scene.auth.preregister("known", Some("client-5ecret-2"), "client_secret_basic", &[CALLBACK]);
    scene.auth.revoke_access_tokens();
    let flags = ["--client-id", "known", "--secret-env", "NEW"];
    let launch = scene.launch().args(&flags).env("NEW", "client-5ecret-2");
    live_as(&mut launch.start().ready(), "ada");
    assert_eq!((scene.browser.tabs().len(), scene.auth.refreshed()), (1, 1));
}

#[test]
fn a_login_with_other_flags_teaches_them_though_there_is_a_sign_in() {
    let scene = Scene::new().signed_in();
    scene.login(&["--scope", "read write"]).expect(0);
    let asked = scene.auth.asked("/authorize");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].param("scope"), Some("read write"));
    scene.login(&["--scope", "read write"]).expect(0);
    assert_eq!(scene.browser.tabs().len(), 2, "nothing new is asked for");
    // A bridge that has to ask anew asks as was taught.
    scene.auth.revoke_grants();
    live_as(&mut scene.bridge().ready(), "ada");
    let asked = scene.auth.asked("/authorize");
    assert_eq!(asked[2].param("scope"), Some("read write"));
}

#[test]
fn a_sign_in_that_cannot_be_read_is_replaced_by_the_next_login() {
    let scene = Scene::new().signed_in();
    for (path, content) in scene.home.files() {
        if path.extension().is_some_and(|suffix| suffix == "record") {
            let mut content = content;
            let last = content.len() - 1;
            content[last] ^= 1;
            std::fs::write(&path, content).unwrap();
        }
    }
    scene.login(&[]).expect(0);
    live_as(&mut scene.bridge().ready(), "ada");
}

#[test]
fn a_step_up_keeps_what_was_granted_unasked() {
    let auth = AuthorizationServer::scripted(|script| {
        script.tool_scopes = vec![("admin", "admin")];
        script.grants_only = Some("read");
    });
    let scene = Scene::of(auth, Browser::following());
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    bridge.tool("1", "admin");
    // Which it does not get, and that is the end of it.
    bridge.error("1");
    let asked = scene.auth.asked("/authorize");
    let scopes: Vec<_> = asked.iter().map(|asked| asked.param("scope")).collect();
    assert_eq!(scopes, [None, Some("read admin")]);
}
