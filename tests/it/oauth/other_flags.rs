//! Flags of `run` that ask for something else than what is stored: the stored token is not
//! for them, and stays for those who do not ask.

use super::live_as;
use crate::support::authorization_server::{AuthorizationServer, Resource, Script};
use crate::support::browser::Browser;
use crate::support::mcp_server::Server;
use crate::support::scene::Scene;
use crate::support::web::{free_port, param};
use serde_json::json;

/// Somebody signed in without a flag; from here on nobody follows a link.
fn scene(change: impl FnOnce(&mut Script)) -> Scene {
    let mut scene = Scene::scripted(|script| {
        script.any_port = true;
        script.resource = Resource::Any;
        script.challenge_scope = Some("read");
        script.id_token = true;
        change(script);
    })
    .signed_in();
    scene.browser = Browser::new();
    scene
}

/// A bridge with these flags opens a tab and shows the stored tokens to nobody; one without
/// is served by them. The link.
#[track_caller]
fn asks_anew(scene: &Scene, flags: &[&str]) -> String {
    let stored = scene.token();
    let before = scene.remote.requests().len();
    let bridge = scene.launch().env("BROWSER", &scene.browser.command()).args(flags);
    let bridge = bridge.start().ready();
    bridge.call("1");
    let link = scene.browser.link();
    drop(bridge);
    never_saw(&scene.remote, before, &stored);
    assert!(scene.auth.token_requests("refresh_token").is_empty());
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.token(), stored);
    link
}

#[track_caller]
fn never_saw(server: &Server, before: usize, token: &str) {
    for request in server.requests().into_iter().skip(before) {
        assert!(
            !request.header("authorization").unwrap_or_default().contains(token),
            "{request:?}"
        );
    }
}

#[test]
fn another_client() {
    let scene = scene(|_| {});
    scene.auth.preregister("known", None, "none", &["http://localhost/oauth/callback"]);
    let link = asks_anew(&scene, &["--client-id", "known", "--callback-port", &free_port()]);
    assert_eq!(param(&link, "client_id").as_deref(), Some("known"));
}

#[test]
fn another_client_metadata_document() {
    const DOCUMENT: &str = "https://people.example/oauth/keyferry.json";
    let scene = scene(|script| {
        script.metadata = vec![("client_id_metadata_document_supported", json!(true))];
    });
    let link = asks_anew(&scene, &["--client-metadata-url", DOCUMENT]);
    assert_eq!(param(&link, "client_id").as_deref(), Some(DOCUMENT));
}

#[test]
fn another_issuer() {
    let other = AuthorizationServer::start();
    let scene = scene(|_| {});
    let servers = json!([scene.auth.issuer(), other.issuer()]);
    scene.auth.script(|script| script.resource_metadata = vec![("authorization_servers", servers)]);
    let link = asks_anew(&scene, &["--issuer", &other.issuer()]);
    assert!(link.starts_with(&other.origin()), "{link}");
    assert!(other.asked("/token").is_empty(), "nothing of one server is shown to another");
}

#[test]
fn another_resource_or_none() {
    let scene = scene(|_| {});
    let link = asks_anew(&scene, &["--resource", "https://api.example/other"]);
    assert_eq!(param(&link, "resource").as_deref(), Some("https://api.example/other"));
    let scene = self::scene(|_| {});
    let link = asks_anew(&scene, &["--disable-resource-parameter"]);
    assert_eq!(param(&link, "resource"), None);
}

#[test]
fn more_scopes() {
    let scene = scene(|_| {});
    let link = asks_anew(&scene, &["--scope", "read write"]);
    assert_eq!(param(&link, "scope").as_deref(), Some("read write"));
}

/// The same said in flags is no difference.
#[test]
fn the_same_in_flags_is_served_by_what_is_stored() {
    let scene = scene(|_| {});
    let issuer = scene.auth.issuer();
    let url = scene.url();
    for flags in [
        &["--with", "oauth"][..],
        &["--issuer", &issuer],
        &["--resource", &url],
        &["--scope", "read"],
    ] {
        let launch = scene.launch().env("BROWSER", &scene.browser.command());
        live_as(&mut launch.args(flags).start().ready(), "ada");
    }
    assert!(scene.browser.tabs().is_empty());
}

/// A key in the flags, or another kind, never touches the sign-in.
#[test]
fn another_kind_of_credential() {
    let scene = scene(|_| {});
    let stored = scene.token();
    let before = scene.remote.requests().len();
    for flags in [
        &["--with", "api-key", "--secret-env", "KEY"][..],
        &["--with", "api-key"],
        &["--with", "none"],
    ] {
        let launch = scene.launch().env("KEY", "sk-mine").args(flags);
        let mut bridge = launch.env("BROWSER", &scene.browser.command()).start();
        bridge.request("1", "initialize", "{}");
        bridge.own_error("1", &[-31001, -31004]);
    }
    never_saw(&scene.remote, before, &stored);
    assert!(scene.browser.tabs().is_empty());
    live_as(&mut scene.bridge().ready(), "ada");
}

/// Both came with one sign-in; which of them is sent is the flag's to say.
#[test]
fn an_id_token_that_is_stored_already_is_sent_where_the_flag_says_so() {
    let scene = scene(|_| {});
    let launch = scene.launch().env("BROWSER", &scene.browser.command());
    live_as(&mut launch.args(&["--use-id-token"]).start().ready(), "ada");
    let call = scene.remote.of("tools/call").pop().unwrap();
    let bearer = call.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(bearer.split('.').count(), 3, "{bearer}");
}
