//! What `login` was told once is how every later sign-in goes, without a flag.

use super::live_as;
use crate::support::authorization_server::Resource;
use crate::support::scene::Scene;
use crate::support::web::free_port;
use serde_json::json;

const SECRET: &str = "taught-5ecret";
const CALLBACK: &str = "http://localhost/oauth/callback";

/// A scene whose server knows the client `known`.
fn scene() -> Scene {
    let scene = Scene::scripted(|script| {
        script.any_port = true;
        script.resource = Resource::Any;
        script.challenge_scope = Some("read");
    });
    scene.auth.preregister("known", Some(SECRET), "client_secret_basic", &[CALLBACK]);
    scene
}

fn home(scene: &mut Scene) -> &mut crate::support::home::Home {
    std::sync::Arc::get_mut(&mut scene.home).expect("only one holds it")
}

/// All that was asked for is worth nothing any more; a bridge without a flag signs in anew.
#[track_caller]
fn signed_in_anew(scene: &Scene) -> crate::support::authorization_server::Asked {
    let before = scene.auth.asked("/authorize").len();
    scene.auth.revoke_grants();
    let mut bridge = scene.bridge().ready();
    live_as(&mut bridge, "ada");
    let ended = bridge.finish();
    scene.nothing_leaked(&[&ended.stderr]);
    let mut asked = scene.auth.asked("/authorize");
    assert_eq!(asked.len(), before + 1);
    asked.pop().expect("a sign-in")
}

#[test]
fn a_client_and_its_secret_from_a_pipe_or_a_file_are_remembered() {
    for from in ["stdin", "file", "env"] {
        let mut scene = scene();
        let port = free_port();
        let file = scene.home.file("secret", format!("{SECRET}\n"));
        if from == "env" {
            home(&mut scene).set("THE_SECRET", SECRET);
        }
        let flags = ["login", &scene.url(), "--client-id", "known", "--callback-port", &port];
        let (more, stdin): (&[&str], _) = match from {
            "stdin" => (&["--client-secret"], format!("{SECRET}\n")),
            "file" => (&["--secret-file", &file], String::new()),
            _ => (&["--secret-env", "THE_SECRET"], String::new()),
        };
        let done = scene.home.run(&[&flags, more].concat(), &stdin).expect(0);
        scene.nothing_leaked(&[&done.stdout, &done.stderr]);
        home(&mut scene).unset("THE_SECRET");
        let asked = signed_in_anew(&scene);
        assert_eq!(asked.param("client_id"), Some("known"), "{from}");
        let redirect = format!("http://localhost:{port}/oauth/callback");
        assert_eq!(asked.param("redirect_uri"), Some(redirect.as_str()), "{from}");
        assert!(scene.auth.asked("/register").is_empty(), "{from}");
    }
}

#[test]
fn scope_resource_and_parameters_are_remembered() {
    let scene = scene();
    let resource = "https://api.example/Some%2fThing";
    let done = scene.login(&[
        "--scope",
        "a b",
        "--resource",
        resource,
        "--authorize-param",
        "tenant=t1",
        "--host",
        "127.0.0.1",
        "--callback-path",
        "/done",
    ]);
    done.expect(0);
    let asked = signed_in_anew(&scene);
    assert_eq!(asked.param("scope"), Some("a b"));
    assert_eq!(asked.param("resource"), Some(resource));
    assert_eq!(asked.param("tenant"), Some("t1"));
    let redirect = asked.param("redirect_uri").unwrap();
    assert!(redirect.starts_with("http://127.0.0.1:"), "{redirect}");
    assert!(redirect.ends_with("/done"), "{redirect}");
    // Flags of one process win for that process.
    let mut bridge = scene.launch().args(&["--scope", "a b c"]).start().ready();
    assert_eq!(bridge.whoami(), "ada scope=a b c");
    let asked = scene.auth.asked("/authorize").pop().unwrap();
    assert_eq!(asked.param("resource"), Some(resource), "what no flag names stays");
}

#[test]
fn no_resource_parameter_is_remembered() {
    let scene = scene();
    scene.auth.script(|script| script.resource = Resource::Forbidden);
    scene.login(&["--disable-resource-parameter"]).expect(0);
    assert_eq!(signed_in_anew(&scene).param("resource"), None);
}

#[test]
fn an_id_token_as_the_bearer_is_remembered() {
    let scene = scene();
    scene.auth.script(|script| script.id_token = true);
    scene.login(&["--use-id-token"]).expect(0);
    signed_in_anew(&scene);
    let call = scene.remote.of("tools/call").pop().unwrap();
    let bearer = call.header("authorization").unwrap().strip_prefix("Bearer ").unwrap();
    assert_eq!(bearer.split('.').count(), 3, "{bearer}");
    assert_eq!(scene.token(), bearer);
}

#[test]
fn a_device_sign_in_is_remembered() {
    const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
    let scene = scene();
    scene.auth.script(|script| {
        script.metadata = vec![
            ("device_authorization_endpoint", json!("{as}/device_authorization")),
            ("grant_types_supported", json!(["authorization_code", "refresh_token", DEVICE])),
        ];
    });
    scene.login(&["--with", "device"]).expect(0);
    scene.auth.revoke_grants();
    live_as(&mut scene.bridge().ready(), "ada");
    assert_eq!(scene.auth.asked("/device_authorization").len(), 2);
    assert!(scene.auth.asked("/authorize").is_empty());
    assert!(scene.browser.tabs().is_empty());
}

#[test]
fn one_of_several_authorization_servers_is_remembered() {
    let scene = scene();
    let elsewhere = crate::support::authorization_server::AuthorizationServer::start();
    let servers = json!([elsewhere.issuer(), scene.auth.issuer()]);
    scene.auth.script(|script| script.resource_metadata = vec![("authorization_servers", servers)]);
    scene.login(&["--issuer", &scene.auth.issuer()]).expect(0);
    signed_in_anew(&scene);
    assert!(elsewhere.server().requests().is_empty());
}

/// A second login with other flags teaches those.
#[test]
fn a_later_login_teaches_anew_what_it_names() {
    let scene = scene();
    scene.login(&["--scope", "a"]).expect(0);
    scene.login(&["--scope", "a b"]).expect(0);
    assert_eq!(scene.browser.tabs().len(), 2, "the first token has less than is asked for");
    assert_eq!(signed_in_anew(&scene).param("scope"), Some("a b"));
}

/// What a login says counts, also where nobody has to sign in for it.
#[test]
fn a_login_with_other_flags_teaches_them_though_one_is_signed_in() {
    let scene = scene();
    scene.login(&[]).expect(0);
    let port = free_port();
    scene.login(&["--authorize-param", "tenant=t2", "--callback-port", &port]).expect(0);
    let asked = signed_in_anew(&scene);
    assert_eq!(asked.param("tenant"), Some("t2"));
    let redirect = format!("http://localhost:{port}/oauth/callback");
    assert_eq!(asked.param("redirect_uri"), Some(redirect.as_str()));
}

/// Flags of `run` win for that process, and teach nothing.
#[test]
fn flags_of_run_are_not_remembered() {
    let scene = scene();
    scene.login(&["--scope", "a b", "--authorize-param", "tenant=t1"]).expect(0);
    let flags = ["--scope", "a b c", "--authorize-param", "tenant=t2"];
    let mut bridge = scene.launch().args(&flags).start().ready();
    assert_eq!(bridge.whoami(), "ada scope=a b c");
    bridge.finish();
    let asked = signed_in_anew(&scene);
    assert_eq!(asked.param("tenant"), Some("t1"));
    assert_eq!(asked.param("scope"), Some("a b"));
}
